# SPDX-License-Identifier: Apache-2.0
"""Layers of plain zstd: how much of one a read brings back, and which are refused."""
import io
import os
import struct
import tarfile

import pytest

from lab import pushing, varve

FILES = {f"file{i}": os.urandom(700_000) + bytes(i) for i in range(20)}
LAZY = ("--plain-http", "--no-background", "--prefetch=off")

# RFC 8878 section 3.1.1: a frame with one block of five bytes, behind header fields of its own.
MAGIC = b"\x28\xb5\x2f\xfd"
RAW_BLOCK = b"\x29\x00\x00\x01\x02\x03\x04\x05"


class Layer:
    """What pushing.push() takes."""

    def __init__(self, data, plain, annotations=None):
        self.data, self.diff_id, self.annotations = data, pushing.sha256(plain), annotations or {}

    @property
    def digest(self):
        return pushing.sha256(self.data)

    def describe(self):
        return {"mediaType": pushing.ZSTD_LAYER, "digest": self.digest, "size": len(self.data)}


def archive():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def frames(plain, size):
    return [pushing.zstd_chunked.compress(plain[off:off + size], 1)
            for off in range(0, len(plain), size)]


def seek_table(encoded, plain_size, size):
    """zstd, contrib/seekable_format/zstd_seekable_compression_format.md"""
    entries = b"".join(struct.pack("<2I", len(frame), min(size, plain_size - i * size))
                       for i, frame in enumerate(encoded))
    table = entries + struct.pack("<IBI", len(encoded), 0, 0x8F92EAB1)
    return struct.pack("<2I", 0x184D2A5E, len(table)) + table


def evict(program):
    for path in program.layer_files():
        if not path.endswith(".spans"):
            os.unlink(path)


def read_one(mount, name):
    with open(mount.path(name), "rb") as file:
        assert file.read() == FILES[name]


def push(server, name, blob):
    return pushing.push(server.host, name, [blob], layers=[blob.describe()])


def test_a_layer_of_one_frame_comes_back_as_a_whole_and_says_so(lab, face):
    server = lab.empty_registry()
    plain = archive()
    blob = Layer(pushing.zstd_chunked.compress(plain, 1), plain)
    image = push(server, "whole", blob)
    program = lab.varve()
    mount = program.mount(image.reference, *LAZY, face)
    layer, = mount.status()["layers"]
    assert (layer["access"], layer["codec"], layer["spans"]) == ("whole", "zstd", 1)
    assert layer["complete"]
    said = program.run("status", "--store", program.store).stdout
    assert f"{blob.digest[7:19]} is one zstd frame: once evicted, any read brings back all" in said
    mount.stop()

    evict(program)
    before = server.bytes_of_blobs()
    mount = program.mount(image.reference, *LAZY, face)
    read_one(mount, "file7")
    assert server.bytes_of_blobs() - before >= len(blob.data)
    said = program.run("why", mount.path("file7")).stdout
    assert "one zstd frame: any byte that is missing brings back all of it" in said


@pytest.mark.parametrize("seekable", [False, True])
def test_a_layer_of_several_frames_is_lazy_by_frame(lab, face, seekable):
    server = lab.empty_registry()
    plain = archive()
    size = 3 << 20
    encoded = frames(plain, size)
    data = b"".join(encoded) + (seek_table(encoded, len(plain), size) if seekable else b"")
    image = push(server, "frames", Layer(data, plain))
    program = lab.varve()
    program.mount(image.reference, *LAZY, face).stop()
    evict(program)
    before = server.bytes_of_blobs()
    mount = program.mount(image.reference, *LAZY, face)
    layer, = mount.status()["layers"]
    assert (layer["access"], layer["spans"]) == ("spans", len(encoded))
    read_one(mount, "file7")
    assert 0 < server.bytes_of_blobs() - before <= 2 * (size + 4096)
    assert f"lazy by frame ({len(encoded)} of them)" in \
        program.run("why", mount.path("file7")).stdout
    for name in FILES:
        read_one(mount, name)
    mount.stop()
    program.verify()


def test_frames_that_nobody_can_decode_are_refused_and_named(lab):
    server = lab.empty_registry()
    program = lab.varve()
    plain = archive()
    first = pushing.zstd_chunked.compress(plain, 1)
    cases = {
        "dictionary": (MAGIC + b"\x21\x07\x05" + RAW_BLOCK, varve.UNSUPPORTED,
                       "needs a dictionary"),
        "window": (MAGIC + b"\x00\x89" + RAW_BLOCK, varve.UNSUPPORTED,
                   "a window of more than 128 MiB"),
        "reserved": (MAGIC + b"\x28\x05" + RAW_BLOCK, varve.UNSUPPORTED, "version 1"),
        "garbage": (b"garbage", varve.BAD_DATA, "no zstd frame"),
        "cut": (first[:-1], varve.BAD_DATA, "in the middle of the zstd frame"),
    }
    for name, (second, code, message) in cases.items():
        blob = Layer(first + second, plain)
        said = program.refused(code, push(server, name, blob).reference, "--plain-http")
        assert message in said and f"byte {len(first)}" in said and blob.digest in said
        assert program.layer_files() == []
