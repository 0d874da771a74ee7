# SPDX-License-Identifier: Apache-2.0
"""What a missing byte of a layer without a table of contents brings back: its span, and no more."""
import io
import os
import tarfile

import pytest

from lab import toc, torture, trees, varve
from lab.layers import Blob, TAR_LAYER, layer, push
from lab.pushing import sha256

LAZY = ("--plain-http", "--no-background", "--prefetch=off")


@pytest.fixture(name="tars", scope="session")
def tars_fixture(tmp_path_factory):
    """The layers of the torture image."""
    tars = []
    for path in torture.layers(str(tmp_path_factory.mktemp("tars"))):
        with open(path, "rb") as file:
            tars.append(file.read())
    return tars


@pytest.fixture(name="lower", scope="session")
def lower_fixture(tars):
    return tars[0]


def is_complete(mount):
    return all(one["complete"] for one in mount.status()["layers"])


@pytest.mark.one_face
@pytest.mark.parametrize("form", ["gzip", "pigz", "members", "frames", "tar"])
def test_a_file_of_an_evicted_layer_costs_exactly_one_span(lab, face, form, lower):
    server = lab.empty_registry()
    blob = layer(lower, form)
    image = push(server, "torture", [blob])
    proxy = lab.proxy(server.port)
    reference = image.reference.replace(server.host, proxy.host)
    program = lab.varve()
    program.mount(reference, "--plain-http", face).stop()
    program.evict()
    n_before = len(proxy.blobs())
    mount = program.mount(reference, *LAZY, face)
    assert len(proxy.blobs()) == n_before
    assert not is_complete(mount)
    tree = lab.images.tree("torture")
    path = mount.path("links/for-upper")
    assert trees.file_hash(path) == trees.file_hash(os.path.join(tree, "links/for-upper"))
    (unit,) = program.why(path)["units"]["list"]
    assert sum(request.sent for request in proxy.blobs()[n_before:]) == unit["blob_size"]
    # What comes out of the same span is here with it.
    assert trees.file_hash(mount.path("sizes/4096")) == \
        trees.file_hash(os.path.join(tree, "sizes/4096"))
    assert len(proxy.blobs()) == n_before + 1


HEADERS_ONLY = LAZY + ("--allow-unverified",)


def large_files(rng, n=3, size=(9 << 20) + 17):
    files = {f"large/{i}": rng.randbytes(size) for i in range(n)}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return files, out.getvalue()


def test_plain_tar_is_lazy_by_its_headers_where_that_is_allowed(lab, face, rng):
    files, data = large_files(rng)
    server = lab.empty_registry()
    proxy = lab.proxy(server.port)
    image = push(server, "large", [layer(data, "tar")])
    program = lab.varve()
    mount = program.mount(image.reference.replace(server.host, proxy.host), *HEADERS_ONLY, face)
    assert sum(request.sent for request in proxy.blobs()) < 80 << 10
    assert mount.status()["unverified"]
    assert {name: os.path.getsize(mount.path(name)) for name in files} == \
        {name: len(body) for name, body in files.items()}
    n_before = len(proxy.blobs())
    with open(mount.path("large/1"), "rb") as file:
        assert file.read() == files["large/1"]
    assert sum(request.sent for request in proxy.blobs()[n_before:]) == len(files["large/1"])
    assert sum(unit["present"] for unit in program.why(mount.path("large/2"))["units"]["list"]) == 0
    mount.stop()
    # Who does not ask for it gets what was checked.
    mount = program.mount(image.reference, *LAZY, face)
    assert not mount.status()["unverified"] and is_complete(mount)


def test_an_image_of_plain_tar_by_its_headers_is_that_tree(lab, face, tars):
    implicit = toc.implicit_directories(
        toc.layers(lab.registry().host, lab.images.path("torture")))
    image = push(lab.empty_registry(), "torture", [layer(tar, "tar") for tar in tars])
    mount = lab.varve().mount(image.reference, "--plain-http", "--allow-unverified", face)
    trees.assert_same(trees.read(lab.images.tree("torture")), trees.read(mount.dir), implicit,
                      whole_seconds=False)


def test_headers_that_promise_what_is_not_there_make_no_layer(lab, rng):
    files, data = large_files(rng, n=2)
    second = 512 + -(-len(files["large/0"]) // 512) * 512
    server = lab.empty_registry()
    program = lab.varve()
    for name, wrong, said in (("cut", data[:5 << 20], "ends behind the end of the layer"),
                              ("zstd", layer(data, "zstd").data, "begins as zstd"),
                              ("damaged", data[:second] + b"9" + data[second + 1:], "checksum")):
        blob = Blob(wrong, sha256(wrong), TAR_LAYER)
        image = push(server, name, [blob])
        message = program.refused(varve.BAD_DATA, image.reference, *HEADERS_ONLY)
        assert said in message and blob.digest in message
        assert program.layer_files() == []
