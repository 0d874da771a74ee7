# SPDX-License-Identifier: Apache-2.0
"""Every compression of every dialect of tar is the same tree: that of `umoci unpack` of the gzip
twin. Likewise a Debian in the compressions that people use."""
import pytest

from lab import images, toc, trees

# Their tables of contents know no fractions of seconds.
WHOLE_SECONDS = {"esgz", "minchunk", "external", "zstdchunked"}


@pytest.mark.one_face
@pytest.mark.parametrize("form", images.DIALECTS)
def test_every_dialect_of_tar_is_what_umoci_unpacks_of_its_gzip_twin(lab, face, form, unpacked):
    server = lab.registry()
    program = lab.varve()
    mount = program.mount(f"{server.host}/{lab.images.path('dialects', form)}", "--plain-http",
                          face)
    trees.assert_same(unpacked("dialects"), trees.read(mount.dir),
                      whole_seconds=form in WHOLE_SECONDS)
    assert not mount.status()["unverified"]
    mount.stop()
    program.verify()


@pytest.mark.plain
@pytest.mark.parametrize("form", images.BASE_WITHOUT_TABLE)
def test_a_system_is_what_umoci_unpacks_of_its_gzip_twin(lab, form, unpacked, long, why_no_erofs):
    server = lab.registry()
    implicit = toc.implicit_directories(toc.layers(server.host, lab.images.path("base")))
    program = lab.varve()
    for face in ["fuse", "erofs"] if long and not why_no_erofs else ["fuse"]:
        mount = program.mount(f"{server.host}/{lab.images.path('base', form)}", "--plain-http",
                              f"--face={face}")
        trees.assert_same(unpacked("base"), trees.read(mount.dir), implicit, whole_seconds=False)
        mount.stop()
    program.verify()
