# SPDX-License-Identifier: Apache-2.0
"""Layers without any table of contents: read once as a whole, lazy from then on."""
import dataclasses
import errno
import os
import shutil

import pytest

from lab import faults, pushing, readers, toc, torture, trees, varve
from lab.layers import FORMS, layer, push


@pytest.fixture(name="tars", scope="session")
def tars_fixture(tmp_path_factory):
    """The layers of the torture image, whose tree umoci made of the same archives."""
    contents = []
    for path in torture.layers(str(tmp_path_factory.mktemp("tars"))):
        with open(path, "rb") as file:
            contents.append(file.read())
    return contents


def is_complete(mount):
    return all(layer["complete"] for layer in mount.status()["layers"])


@pytest.mark.one_face
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.limit(240)
def test_a_plain_image_is_what_umoci_unpacks_and_needs_one_pass(lab, face, form, tars):
    esgz = lab.registry()
    implicit = toc.implicit_directories(toc.layers(esgz.host, lab.images.path("torture")))
    expected = trees.read(lab.images.tree("torture"))
    server = lab.empty_registry()
    blobs = [layer(tar, form) for tar in tars]
    image = push(server, "torture", blobs)
    program = lab.varve()
    mount = program.mount(image.reference, "--plain-http", "--no-background", "--prefetch=off", face)
    assert server.bytes_of_blobs() >= sum(len(blob.data) for blob in blobs)
    assert is_complete(mount)
    assert not mount.status()["unverified"]
    trees.assert_same(expected, trees.read(mount.dir), implicit, whole_seconds=False)
    mount.stop()
    server.stop()
    program.verify()
    again = program.mount(image.reference, "--plain-http", "--pull=never", face)
    assert is_complete(again)
    trees.assert_same(expected, trees.read(again.dir), implicit, whole_seconds=False)


def test_what_the_image_says_of_a_layer_has_to_be_true(lab, tars):
    server = lab.empty_registry()
    program = lab.varve()
    right = layer(tars[1])
    wrong = {
        "diffid": (layer(tars[1], diff_id=pushing.sha256(b"")), varve.BAD_DATA,
                   "(diffID) says " + pushing.sha256(b"") + ": it is of another layer; push"),
        "cut": (dataclasses.replace(right, data=right.data[:-100]), varve.BAD_DATA,
                "in the middle of a gzip member"),
        "garbage": (dataclasses.replace(right, data=right.data + b"garbage"), varve.BAD_DATA,
                    "neither another member nor zeros"),
        "zstd": (layer(tars[1], "zstd", media_type=pushing.LAYER), varve.BAD_DATA,
                 "begins as zstd"),
        "gzip": (layer(tars[1], media_type=pushing.ZSTD_LAYER), varve.BAD_DATA, "begins as gzip"),
    }
    for name, (blob, code, message) in wrong.items():
        image = push(server, name, [blob])
        said = program.refused(code, image.reference, "--plain-http")
        assert message in said and blob.digest in said
        assert program.layer_files() == []


def test_wrong_bytes_of_a_span_never_reach_a_reader(lab, face, tars):
    """Of a layer that was evicted nothing has a digest of its own but its spans."""
    server = lab.empty_registry()
    image = push(server, "torture", [layer(tars[0], "tar")])
    proxy = lab.proxy(server.port)
    reference = image.reference.replace(server.host, proxy.host)
    program = lab.varve()
    program.mount(reference, "--plain-http", face).stop()
    for path in program.layer_files():
        if not path.endswith(".spans"):
            os.unlink(path)
    mount = program.mount(reference, "--plain-http", "--no-background", "--prefetch=off", face,
                          "--read-timeout=5s")
    proxy.fault = faults.FlippedBits()
    path = mount.path("links/a/one")
    assert readers.Reader(path).result() == ("errno", errno.EIO)
    report = program.why(path)
    assert report["units"]["present"] == 0
    failure = report["failures"][0]
    assert failure["kind"] == "digest_mismatch" and "span" in failure["message"]
    assert "No reader saw them" in failure["advice"]
    proxy.fault = faults.Fault()
    assert trees.file_hash(path) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), "links/a/one"))
    mount.stop()
    program.verify()


def test_the_index_of_another_layer_is_not_used(lab, tars):
    """Put into the store by a mistake of somebody's: the layer is read again."""
    server = lab.empty_registry()
    images = [push(server, f"layer{i}", [layer(tars[i])]) for i in range(2)]
    program = lab.varve()
    for image in images:
        program.mount(image.reference, "--plain-http").stop()
    first, second = (path for path in program.layer_files() if path.endswith(".spans"))
    os.unlink(second)
    shutil.copyfile(first, second)
    for path in program.layer_files():
        if not path.endswith(".spans"):
            os.unlink(path)
    n = server.bytes_of_blobs()
    for image in images:
        program.mount(image.reference, "--plain-http", "--no-background").stop()
    assert server.bytes_of_blobs() > n
    program.verify()


def test_wrong_bytes_on_the_way_are_called_that(lab, tars):
    server = lab.empty_registry()
    blob = layer(tars[0])
    image = push(server, "torture", [blob])
    proxy = lab.proxy(server.port)
    reference = image.reference.replace(server.host, proxy.host)
    program = lab.varve()
    damaged = bytearray(blob.data)
    damaged[len(damaged) // 2] ^= 1
    proxy.fault = faults.Replaced("torture", blob.digest, bytes(damaged))
    said = program.refused(varve.BAD_DATA, reference, "--plain-http")
    assert "the blob has the digest" in said and "repair it there" in said
    assert program.layer_files() == []
    proxy.fault = faults.Fault()
    mount = program.mount(reference, "--plain-http")
    assert trees.file_hash(mount.path("links/a/one")) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), "links/a/one"))


class Dying(faults.Fault):
    """Sends so many bytes of blobs, and no more."""

    def __init__(self, left):
        self.left = left

    def body(self, _request, _off, pieces):  # pylint: disable=redefined-outer-name
        for piece in pieces:
            self.left -= len(piece)
            if self.left < 0:
                raise faults.Cut()
            yield piece


def test_a_registry_that_dies_in_the_middle_leaves_nothing(lab, tars):
    server = lab.empty_registry()
    image = push(server, "torture", [layer(tars[0], "tar")])
    proxy = lab.proxy(server.port)
    reference = image.reference.replace(server.host, proxy.host)
    program = lab.varve()
    proxy.fault = Dying(len(tars[0]) // 2)
    program.refused(varve.UNAVAILABLE, reference, "--plain-http", "--read-timeout=5s")
    assert program.layer_files() == []
