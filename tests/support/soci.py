# SPDX-License-Identifier: Apache-2.0
"""Writes SOCI's ztocs and index manifests for layers that exist.

    ztoc = soci.ztoc(blob)                        # of a tar.gz
    ztoc = soci.ztoc(tar, algorithm="uncompressed")
    manifest = soci.index([soci.Layer(blob_digest, ztoc)], subject=image_descriptor)

What both look like, and so what this follows: soci-snapshotter, ztoc/fbs/ztoc.fbs,
ztoc/compression/gzip_zinfo.c and docs of the index manifest. A checkpoint is what zlib's
examples/zran.c makes: a place between two deflate blocks, and the 32 KiB before it.
"""

import ctypes
import dataclasses
import datetime
import functools
import gzip
import hashlib
import io
import json
import struct
import tarfile

INDEX_V1 = "application/vnd.amazon.soci.index.v1+json"
INDEX_V2 = "application/vnd.amazon.soci.index.v2+json"
ZTOC_MEDIA_TYPE = "application/octet-stream"
INDEX_DIGEST_ANNOTATION = "com.amazon.soci.index-digest"
DEFAULT_SPAN_SIZE = 1 << 22
WINDOW_SIZE = 32768

TYPES = {
    tarfile.REGTYPE: "reg",
    tarfile.AREGTYPE: "reg",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# --- FlatBuffers ---------------------------------------------------------------------------------


class Table:
    """Fields in order of their slots: None (absent), (struct format, number), bytes (a string or a
    vector of bytes), Table, or a list of bytes and Tables."""

    def __init__(self, *fields):
        self.fields = fields


def flatbuffer(root):
    """The file with this root table: what refers to something lies before it."""
    out = bytearray(4)
    _patch(out, 0, _write(out, root))
    return bytes(out)


def _align(out, size):
    out.extend(bytes(-len(out) % size))


def _patch(out, at, target):
    struct.pack_into("<I", out, at, target - at)


def _write(out, value):
    if isinstance(value, Table):
        return _write_table(out, value)
    _align(out, 4)
    at = len(out)
    out.extend(struct.pack("<I", len(value)))
    if isinstance(value, bytes):
        out.extend(value + b"\0")
        return at
    out.extend(bytes(4 * len(value)))
    for i, element in enumerate(value):
        _patch(out, at + 4 + 4 * i, _write(out, element))
    return at


def _write_table(out, table):
    inline, offsets, references = bytearray(4), [], []
    for field in table.fields:
        if field is None:
            offsets.append(0)
            continue
        form = field[0] if isinstance(field, tuple) else "<I"
        _align(inline, struct.calcsize(form))
        offsets.append(len(inline))
        if isinstance(field, tuple):
            inline.extend(struct.pack(*field))
        else:
            references.append((len(inline), field))
            inline.extend(bytes(4))
    vtable = struct.pack(f"<{len(offsets) + 2}H", 4 + 2 * len(offsets), len(inline), *offsets)
    _align(out, 2)
    vtable_at = len(out)
    out.extend(vtable)
    _align(out, 8)
    at = len(out)
    struct.pack_into("<i", inline, 0, at - vtable_at)
    out.extend(inline)
    for off, target in references:
        _patch(out, at + off, _write(out, target))
    return at


# --- Checkpoints ---------------------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    """Where decoding may start: in the blob, in the archive, bits of the byte before, window."""

    into: int
    out: int
    bits: int
    window: bytes


class _Stream(ctypes.Structure):
    _fields_ = [
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    ]


_Z_BLOCK, _Z_OK, _Z_STREAM_END, _Z_BUF_ERROR = 5, 0, 1, -5
_GZIP_WINDOW_BITS = 47


@functools.lru_cache(maxsize=8)
def points(blob, span_size):
    """The checkpoints of a blob of gzip members, and how much it decodes to."""
    zlib = ctypes.CDLL("libz.so.1")
    zlib.zlibVersion.restype = ctypes.c_char_p
    source = ctypes.create_string_buffer(blob, len(blob))
    room = ctypes.create_string_buffer(WINDOW_SIZE)
    stream = _Stream(next_in=ctypes.addressof(source), avail_in=len(blob))
    reference = ctypes.byref(stream)
    assert (
        zlib.inflateInit2_(
            reference, _GZIP_WINDOW_BITS, zlib.zlibVersion(), ctypes.sizeof(stream)
        )
        == _Z_OK
    )
    found, out, last = [], 0, 0
    while True:
        if stream.avail_out == 0:
            stream.next_out, stream.avail_out = ctypes.addressof(room), WINDOW_SIZE
        before = stream.avail_out
        result = zlib.inflate(reference, _Z_BLOCK)
        out += before - stream.avail_out
        assert result in (_Z_OK, _Z_STREAM_END, _Z_BUF_ERROR), result
        if result == _Z_STREAM_END:
            if stream.avail_in == 0:
                break
            assert zlib.inflateReset2(reference, _GZIP_WINDOW_BITS) == _Z_OK
            continue
        at_border = stream.data_type & 128 and not stream.data_type & 64
        if at_border and (out == 0 or out - last > span_size):
            older = room.raw[WINDOW_SIZE - stream.avail_out :] if stream.avail_out else b""
            window = older + room.raw[: WINDOW_SIZE - len(older)]
            found.append(Point(len(blob) - stream.avail_in, out, stream.data_type & 7, window))
            last = out
    zlib.inflateEnd(reference)
    return found, out


def _pack_points(found, span_size, layout):
    packed = struct.pack("<iq", len(found), span_size)
    for point in found[1 if layout == 1 else 0 :]:
        packed += struct.pack("<qqB", point.into, point.out, point.bits) + point.window
    return packed


def _gzip_compression(blob, span_size, layout):
    found, _ = points(blob, span_size)
    starts = [point.into - (1 if point.bits else 0) for point in found]
    ends = [point.into for point in found[1:]] + [len(blob)]
    digests = [sha256(blob[start:end]).encode() for start, end in zip(starts, ends)]
    return Table(
        None,  # the default is gzip
        ("<i", len(found) - 1),
        digests,
        _pack_points(found, span_size, layout),
    )


def _plain_compression(blob, span_size, layout):
    digests = [
        sha256(blob[off : off + span_size]).encode() for off in range(0, len(blob), span_size)
    ]
    if layout == 1:
        checkpoints = struct.pack("<iqq", 2, span_size, len(blob))
    else:
        checkpoints = flatbuffer(Table(("<i", 2), ("<q", span_size), ("<q", len(blob))))
    return Table(("<b", 2), ("<i", len(digests) - 1), digests, checkpoints)


# --- Files ---------------------------------------------------------------------------------------


def _rfc3339(mtime):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=int(mtime // 1))
    fraction = f"{mtime % 1:.9f}"[1:].rstrip("0").rstrip(".")
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction + "Z"


def _file(member):
    encode = lambda text: text.encode("utf-8", "surrogateescape")  # noqa: E731
    records = [
        Table(encode(key), encode(value)) for key, value in sorted(member.pax_headers.items())
    ]
    kind = TYPES[member.type]
    return Table(
        encode(member.name + ("/" if kind == "dir" else "")),
        kind.encode(),
        ("<q", member.offset_data),
        ("<q", member.size),
        encode(member.linkname),
        ("<q", member.mode),
        ("<I", member.uid),
        ("<I", member.gid),
        encode(member.uname),
        encode(member.gname),
        _rfc3339(member.mtime).encode(),
        ("<q", member.devmajor),
        ("<q", member.devminor),
        records,
    )


@functools.lru_cache(maxsize=8)
def _members(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), errorlevel=2) as tar:
        members = tar.getmembers()
    end = max((m.offset_data + (m.size + 511) // 512 * 512 for m in members), default=0)
    return members, end


def ztoc(blob, *, span_size=DEFAULT_SPAN_SIZE, layout=2, algorithm="gzip", edit=None):
    """layout: of the checkpoints; 1 leaves out the first one (of an uncompressed layer: has no
    table). edit: gets the list of the root's fields before they are written."""
    archive = gzip.decompress(blob) if algorithm == "gzip" else blob
    members, end = _members(archive)
    pack = _gzip_compression if algorithm == "gzip" else _plain_compression
    fields = [
        b"0.9",
        b"varve tests",
        ("<q", len(blob)),
        # Where Go's reader stops: behind the two blocks of zeros, not behind their padding.
        ("<q", min(len(archive), end + 1024)),
        Table([_file(member) for member in members]),
        pack(blob, span_size, layout),
    ]
    if edit:
        edit(fields)
    return flatbuffer(Table(*fields))


# --- The index manifest --------------------------------------------------------------------------


@dataclasses.dataclass
class Layer:
    """A layer of the image, and its ztoc."""

    digest: str
    ztoc: bytes
    media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip"
    disable_xattrs: bool = False


def index(layers, *, subject=None):
    """The manifest as JSON: version 1 with a subject (the descriptor of the image's manifest),
    version 2 without."""

    def descriptor(layer):
        annotations = {
            "com.amazon.soci.image-layer-digest": layer.digest,
            "com.amazon.soci.image-layer-mediaType": layer.media_type,
        }
        if layer.disable_xattrs:
            annotations["com.amazon.soci.disable-xattrs"] = "true"
        return {
            "mediaType": ZTOC_MEDIA_TYPE,
            "digest": sha256(layer.ztoc),
            "size": len(layer.ztoc),
            "annotations": annotations,
        }

    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": INDEX_V1 if subject else INDEX_V2,
            "digest": sha256(b"{}"),
            "size": 2,
        },
        "layers": [descriptor(layer) for layer in layers],
        "annotations": {"com.amazon.soci.build-tool-identifier": "varve tests"},
    }
    if subject:
        manifest["subject"] = subject
    return json.dumps(manifest).encode()
