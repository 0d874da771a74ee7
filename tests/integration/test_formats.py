# SPDX-License-Identifier: Apache-2.0
"""Layers that are not eStargz, or eStargz in its rarer forms: the same tree, as lazily."""
import errno
import os

import pytest

from lab import faults, images, pushing, readers, toc, trees, varve

LAZY = ("--plain-http", "--no-background", "--prefetch=off")


def mounted(lab, image, form, *options):
    server = lab.registry()
    mount = lab.varve().mount(f"{server.host}/{lab.images.path(image, form)}", "--plain-http",
                              *options)
    mount.registry = server
    return mount


@pytest.mark.one_face
@pytest.mark.parametrize("image,form", images.ZSTD_CHUNKED)
def test_zstd_chunked_layers_are_what_umoci_unpacks_of_the_gzip_twin(lab, face, image, form,
                                                                     unpacked):
    mount = mounted(lab, image, form, face)
    implicit = toc.implicit_directories(toc.layers(mount.registry.host, lab.images.path(image)))
    # Only containers/storage writes fractions of a second.
    trees.assert_same(unpacked(image), trees.read(mount.dir), implicit,
                      whole_seconds=form == "zstdchunked")
    assert not mount.status()["unverified"]
    reference = f"{mount.registry.host}/{lab.images.path(image, form)}"
    mount.stop()
    mount.registry.stop()
    program = lab.varves[0]
    program.verify()
    again = program.mount(reference, "--plain-http", "--pull=never", face)
    trees.assert_same(unpacked(image), trees.read(again.dir), implicit)


@pytest.mark.parametrize("form", ["zstdchunked", "skopeo"])
def test_a_zstd_chunked_file_is_read_without_the_rest(lab, face, form):
    mount = mounted(lab, "base", form, *LAZY, face)
    before = mount.registry.bytes_of_blobs()
    size = os.stat(mount.path("bin/bash")).st_size
    assert mount.registry.bytes_of_blobs() == before
    with open(mount.path("bin/bash"), "rb", buffering=0) as file:
        with open(os.path.join(lab.images.tree("base"), "bin/bash"), "rb") as original:
            assert file.read() == original.read()
    fetched = mount.registry.bytes_of_blobs() - before
    assert 0 < fetched < size


@pytest.mark.one_face
@pytest.mark.parametrize("form", ["zstdchunked", "skopeo"])
def test_reading_a_whole_zstd_chunked_image_takes_few_requests(lab, face, form):
    """Chunks of zeros, and headers between files, do not break ranges apart."""
    mount = mounted(lab, "base", form, face)
    trees.read(mount.dir)
    n = sum(method == "GET" and "/blobs/" in path
            for method, path, _, _ in mount.registry.requests())
    units = sum(layer["units"] for layer in mount.status()["layers"])
    assert units > 5000 and n < 500


@pytest.mark.parametrize("form", ["zstdchunked", "skopeo"])
def test_wrong_bytes_of_a_zstd_frame_never_reach_a_reader(lab, face, form):
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture', form)}", *LAZY, face)
    proxy.fault = faults.FlippedBits()
    path = mount.path("sizes/1048576")
    assert readers.Reader(path).result() == ("errno", errno.EIO)
    report = mount.varve.why(path)
    assert report["failures"][0]["kind"] in ("digest_mismatch", "format")
    assert report["units"]["present"] == 0
    proxy.fault = faults.Fault()
    try:
        digest = trees.file_hash(path)
    except OSError as error:
        pytest.fail(f"{error}; {mount.varve.why(path)['failures']}")
    assert digest == trees.file_hash(os.path.join(lab.images.tree("torture"), "sizes/1048576"))


def small_tree():
    make = pushing.estargz
    return [
        make.directory("etc", mode=0o750, uid=3, gid=4),
        make.file("etc/text", b"text\n" * 5000, xattrs={"user.comment": b"\0\xff"}),
        make.file("etc/holes", b"a" * 3000 + bytes(70_000) + b"b" * 5000 + bytes(2000)),
        make.file("etc/noise", os.urandom(20_000), mtime=1_600_000_000.75),
        make.file("etc/empty"),
        make.symlink("etc/link", "text"),
        make.hardlink("etc/hard", "etc/text"),
        make.fifo("pipe"),
    ]


def check_small_tree(mount, entries):
    for entry in entries:
        if entry.type == "reg":
            with open(mount.path(entry.name), "rb") as file:
                assert file.read() == entry.data, entry.name
            assert os.stat(mount.path(entry.name)).st_mode & 0o7777 == entry.mode
    assert os.readlink(mount.path("etc/link")) == "text"
    assert os.stat(mount.path("etc/hard")).st_nlink == 2
    assert os.getxattr(mount.path("etc/text"), "user.comment") == b"\0\xff"
    assert os.stat(mount.path("etc")).st_gid == 4


PAIRINGS = [(dialect, tar_split, names)
            for dialect in ("containers", "stargz") for tar_split in (True, False)
            for names in ("containers", "stargz", "estargz")]


def test_every_pairing_of_dialect_footer_and_annotations_is_read(lab, face):
    server = lab.empty_registry()
    program = lab.varve()
    entries = small_tree()
    for dialect, tar_split, names in PAIRINGS:
        blob = pushing.zstd_chunked.build(entries, dialect=dialect, with_tar_split=tar_split,
                                          names=names, chunk_size=8192)
        name = f"{dialect}-{tar_split}-{names}".lower()
        image = pushing.push(server.host, name, [blob])
        mount = program.mount(image.reference, *LAZY, face)
        check_small_tree(mount, entries)
        fraction = os.stat(mount.path("etc/noise")).st_mtime_ns % 10**9
        assert fraction == (750_000_000 if dialect == "containers" else 0)
        mount.stop()
    program.verify()


def test_zeros_of_a_table_are_read_without_a_fetch(lab, face):
    server = lab.empty_registry()
    blob = pushing.zstd_chunked.build([
        pushing.estargz.file("mixed", b"a" * 100 + bytes(1 << 20) + b"b" * 100)])
    image = pushing.push(server.host, "zeros", [blob])
    mount = lab.varve().mount(image.reference, *LAZY, face)
    before = server.bytes_of_blobs()
    with open(mount.path("mixed"), "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 4096, 512 << 10) == bytes(4096)
    assert server.bytes_of_blobs() == before
    with open(mount.path("mixed"), "rb") as file:
        assert file.read() == b"a" * 100 + bytes(1 << 20) + b"b" * 100
    assert server.bytes_of_blobs() > before


def test_a_zstd_chunked_layer_that_nobody_vouches_for_is_lazy_only_when_allowed(lab, face):
    server = lab.empty_registry()
    entries = small_tree()
    blob = pushing.zstd_chunked.build(entries, names="none")
    image = pushing.push(server.host, "plain", [blob])
    program = lab.varve()
    mount = program.mount(image.reference, "--plain-http", "--allow-unverified", face)
    check_small_tree(mount, entries)
    assert mount.status()["unverified"] is True
    mount.stop()
    mount = program.mount(image.reference, "--plain-http", "--no-background", face)
    check_small_tree(mount, entries)
    assert mount.status()["unverified"] is False
    assert all(layer["complete"] for layer in mount.status()["layers"])


def test_media_types_that_lie_are_refused_and_named(lab):
    server = lab.empty_registry()
    program = lab.varve()
    gzip = pushing.estargz.build(small_tree())
    zstd = pushing.zstd_chunked.build(small_tree(), names="estargz")
    cases = [(gzip, pushing.ZSTD_LAYER, "eStargz"), (zstd, pushing.LAYER, "zstd:chunked"),
             (zstd, "application/vnd.oci.image.layer.v1.tar", "toc.digest")]
    for i, (blob, media_type, is_really) in enumerate(cases):
        layer = {**pushing.describe(blob), "mediaType": media_type}
        image = pushing.push(server.host, f"lie{i}", [blob], layers=[layer])
        said = program.refused(varve.BAD_DATA, image.reference, "--plain-http")
        assert media_type in said and is_really in said and "push the image again" in said
    assert program.layer_files() == []


def test_two_tables_of_contents_for_one_layer_are_refused(lab):
    server = lab.empty_registry()
    blob = pushing.zstd_chunked.build(small_tree())
    layer = pushing.describe(blob)
    layer["annotations"][pushing.estargz.TOC_DIGEST_ANNOTATION] = blob.toc_digest
    image = pushing.push(server.host, "both", [blob], layers=[layer])
    program = lab.varve()
    said = program.refused(varve.BAD_DATA, image.reference, "--plain-http")
    assert "two tables" in said and "push it again with one of them" in said
    assert program.layer_files() == []


@pytest.mark.parametrize("dialect", ["containers", "stargz"])
def test_a_name_that_comes_twice_in_a_zstd_chunked_table_is_refused(lab, dialect):
    server = lab.empty_registry()
    entries = small_tree() + [pushing.estargz.directory("./etc/")]
    blob = pushing.zstd_chunked.build(entries, dialect=dialect)
    image = pushing.push(server.host, "twice", [blob])
    program = lab.varve()
    said = program.refused(varve.BAD_DATA, image.reference, "--plain-http")
    assert "the name 'etc' comes twice" in said and "build the layer again" in said
    assert program.layer_files() == []


@pytest.mark.parametrize("names", ["containers", "estargz"])
def test_a_tar_split_that_the_table_does_not_name_is_refused(lab, names):
    """Found by the annotations, or by the footer."""
    server = lab.empty_registry()
    blob = pushing.zstd_chunked.build(small_tree(), names=names)
    off = blob.data.index(blob.tar_split)
    damaged = bytearray(blob.data)
    damaged[off + len(blob.tar_split) // 2] ^= 1
    layer = pushing.describe(blob)
    blob.data = bytes(damaged)
    layer["digest"] = blob.digest
    image = pushing.push(server.host, "split", [blob], layers=[layer])
    program = lab.varve()
    said = program.refused(varve.BAD_DATA, image.reference, "--plain-http")
    assert "tar-split has digest" in said and "pushed again" in said and blob.digest in said
    assert program.layer_files() == []


@pytest.mark.parametrize("min_chunk_size", [0, 64_000])
def test_a_table_of_contents_in_an_image_of_its_own_is_found(lab, face, min_chunk_size):
    server = lab.empty_registry()
    entries = small_tree()
    blob = pushing.estargz.build(entries, toc="external", min_chunk_size=min_chunk_size,
                                 chunk_size=16_384)
    image = pushing.push(server.host, "external", [blob])
    program = lab.varve()
    assert "latest-esgztoc" in program.refused(varve.NOT_FOUND, image.reference, "--plain-http")
    pushing.push_external_tables(server.host, "external", [blob])
    mount = program.mount(image.reference, *LAZY, face)
    check_small_tree(mount, entries)
    mount.stop()
    program.verify()


def test_a_wrong_external_table_of_contents_is_refused(lab):
    make = pushing.estargz
    server = lab.empty_registry()
    named, other = (make.build([make.file("file", text)], toc="external")
                    for text in (b"one\n", b"two\n"))
    image = pushing.push(server.host, "external", [named])
    other.data = named.data  # claims to belong to it
    pushing.push_external_tables(server.host, "external", [other])
    said = lab.varve().refused(varve.BAD_DATA, image.reference, "--plain-http")
    assert "digest" in said
