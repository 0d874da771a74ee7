# SPDX-License-Identifier: Apache-2.0
"""Writes zstd:chunked blobs in every pairing of dialect, footer and annotation names.

    blob = zstd_chunked.build([estargz.directory("etc"), estargz.file("etc/hostname", b"varve\\n")])
    blob.data, blob.digest, blob.manifest_digest, blob.toc_digest, blob.annotations

Entries are those of estargz.py. What a blob looks like, and so what this follows:
containers/storage, pkg/chunked/internal/minimal and pkg/chunked/compressor (with tar-split and the
footer of 64 bytes); stargz-snapshotter, estargz/zstdchunked.

The reference writer cuts files where a rolling checksum says so; here they are cut every chunk_size
bytes and at runs of zeros, for a reader cannot tell the difference.
"""

import base64
import ctypes
import dataclasses
import hashlib
import json
import re
import struct

import estargz
from estargz import sha256

SKIPPABLE = b"\x50\x2a\x4d\x18"
MANIFEST_TYPE = 1  # "CRFS"
CONTAINERS = "io.github.containers.zstd-chunked."
STARGZ = "io.containers.zstd-chunked."
HOLE = 1024  # shorter runs of zeros are data

_zstd = ctypes.CDLL("libzstd.so.1")
_zstd.ZSTD_compressBound.restype = ctypes.c_size_t
_zstd.ZSTD_compress.restype = ctypes.c_size_t


def compress(data, level=3):
    """One zstd frame."""
    room = _zstd.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(room)
    size = _zstd.ZSTD_compress(out, ctypes.c_size_t(room), bytes(data),
                               ctypes.c_size_t(len(data)), ctypes.c_int(level))
    if _zstd.ZSTD_isError(ctypes.c_size_t(size)):
        raise RuntimeError("ZSTD_compress failed")
    return out.raw[:size]


def skippable(data):
    return SKIPPABLE + struct.pack("<I", len(data)) + data


@dataclasses.dataclass
class Blob(estargz.BlobWithTable):
    manifest: bytes  # the JSON, compressed
    manifest_off: int
    tar_split: bytes  # compressed; b"" where there is none
    tar_split_size: int  # of what it decodes to
    names: str = "containers"  # of annotations: "containers", "stargz", "estargz" or "none"

    @property
    def manifest_digest(self):
        return sha256(self.manifest)

    @property
    def position(self):
        return f"{self.manifest_off}:{len(self.manifest)}:{len(self.toc_json)}:{MANIFEST_TYPE}"

    @property
    def annotations(self):
        """What the layer's descriptor carries."""
        if self.names == "none":
            return {}
        if self.names == "estargz":  # what is left when the others get lost on the way
            return {estargz.TOC_DIGEST_ANNOTATION: self.toc_digest}
        prefix = CONTAINERS if self.names == "containers" else STARGZ
        found = {prefix + "manifest-checksum": self.manifest_digest,
                 prefix + "manifest-position": self.position}
        if self.names == "stargz":
            found[estargz.TOC_DIGEST_ANNOTATION] = self.toc_digest
            found[estargz.UNCOMPRESSED_SIZE_ANNOTATION] = str(self.uncompressed_size)
        elif self.tar_split:
            off = self.manifest_off + len(self.manifest) + 8
            found[prefix + "tarsplit-position"] = f"{off}:{len(self.tar_split)}:{self.tar_split_size}"
        return found


class _FrameWriter:
    """Concatenated frames, and the digest of what is in them."""

    def __init__(self, level):
        self.level = level
        self.out = bytearray()
        self.pending = bytearray()
        self.plain = hashlib.sha256()
        self.plain_size = 0

    def write(self, data):
        self.pending += data
        self.plain.update(data)
        self.plain_size += len(data)

    def cut(self):
        """Ends the frame; returns where the next one begins."""
        if self.pending:
            self.out += compress(self.pending, self.level)
            self.pending.clear()
        return len(self.out)


class _TarSplit:
    """What is between the files of the tar, so that it can be made again from them.
    Spec: vbatts/tar-split, tar/storage."""

    def __init__(self):
        self.lines = []

    def segment(self, data):
        self._add({"type": 2, "payload": base64.b64encode(data).decode()})

    def file(self, name, data):
        self._add({"type": 1, "name": name, "size": len(data),
                   "payload": base64.b64encode(_crc64(data)).decode()})

    def _add(self, line):
        self.lines.append(json.dumps({**line, "position": len(self.lines)}))


def _crc64(data):
    """ISO 3309, as Go's hash/crc64 has it."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xD800000000000000 if crc & 1 else 0)
    return struct.pack(">Q", crc ^ 0xFFFFFFFFFFFFFFFF)


def _pieces(data, chunk_size):
    """[(start, end, is zeros)]"""
    cuts = [(0, 0, False)]
    for hole in re.finditer(rb"\0{%d,}" % HOLE, data):
        cuts.append((*hole.span(), True))
    found = []
    for i, (start, end, zeros) in enumerate(cuts):
        if zeros:
            found.append((start, end, True))
        until = cuts[i + 1][0] if i + 1 < len(cuts) else len(data)
        found += [(off, min(off + chunk_size, until), False)
                  for off in range(end, until, chunk_size)]
    return found


class _Writer:
    def __init__(self, dialect, chunk_size, tar_format, level, prefix):
        self.frames = _FrameWriter(level)
        self.tar_split = _TarSplit()
        self.dialect, self.chunk_size = dialect, chunk_size
        self.tar_format, self.prefix = tar_format, prefix
        self.records = []

    def add(self, entry):
        info, header = estargz.tar_header(entry, self.prefix, self.tar_format)
        self.between(header)
        record = {"type": entry.type, "name": info.name, "linkName": info.linkname,
                  "mode": entry.mode, "size": info.size, "uid": entry.uid, "gid": entry.gid}
        record.update(self._times(entry))
        if entry.type in ("char", "block"):
            record["devMajor"], record["devMinor"] = entry.major, entry.minor
        record["xattrs"] = {name: base64.b64encode(value).decode()
                            for name, value in sorted(entry.xattrs.items())}
        if entry.type == "reg":
            self.tar_split.file(info.name, entry.data)
        if info.size > 0:
            self._add_payload(entry, record)
            self.between(bytes(-info.size % 512))
        else:
            self.records.append(record)

    def between(self, data):
        """Bytes of the tar that belong to no file."""
        self.frames.write(data)
        self.tar_split.segment(data)

    def _times(self, entry):
        if self.dialect == "stargz":
            return {"modtime": estargz.rfc3339(entry.mtime)}
        return {"modtime": rfc3339_nano(entry.mtime),
                **{key: "0001-01-01T00:00:00Z" for key in ("accesstime", "changetime")}}

    def _add_payload(self, entry, record):
        pieces = _pieces(entry.data, self.chunk_size) if self.dialect == "containers" else \
            [(off, min(off + self.chunk_size, len(entry.data)), False)
             for off in range(0, len(entry.data), self.chunk_size)]
        record["digest"] = sha256(entry.data)
        record["offset"] = self.frames.cut()
        chunks = [record] + [{"type": "chunk", "name": record["name"]} for _ in pieces[1:]]
        for chunk, (start, end, zeros) in zip(chunks, pieces):
            if self.dialect == "stargz" or len(pieces) > 1:
                chunk["offset"] = self.frames.cut()
                chunk["chunkOffset"] = start
                chunk["chunkDigest"] = sha256(entry.data[start:end])
                if self.dialect == "containers" or end - start == self.chunk_size:
                    chunk["chunkSize"] = end - start
                if zeros:
                    chunk["chunkType"] = "zeros"
            self.frames.write(entry.data[start:end])
        if self.dialect == "containers":
            record["endOffset"] = self.frames.cut()
        self.records += chunks


def rfc3339_nano(seconds):
    whole = estargz.rfc3339(int(seconds // 1)) or "1970-01-01T00:00:00Z"
    nanoseconds = round(seconds % 1 * 1_000_000_000)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return whole[:-1] + fraction + "Z"


def footer(manifest_off, manifest_size, json_size, tar_split=None, kind=MANIFEST_TYPE):
    """tar_split: (offset, size, decoded size) for the footer of 64 bytes, None for that of 40."""
    numbers = (manifest_off, manifest_size, json_size, kind)
    if tar_split is None:
        return struct.pack("<4Q", *numbers) + b"GnUlInUx"
    return struct.pack("<7Q", *numbers, *tar_split) + b"GNUlInUx"


def build(entries, *, dialect="containers", with_tar_split=None, names=None, chunk_size=4096,
          landmark=None, prefix="", tar_format="pax", level=3, edit_toc=None):
    """A blob with these entries, in their order.

    dialect: "containers" or "stargz".
    with_tar_split: tar-split and the long footer; without, the short one. Default: by dialect.
    names: of the annotations: "containers", "stargz", "estargz" or "none". Default: the dialect.
    landmark: True puts one that forbids prefetch first.
    edit_toc: gets the table of contents as a dictionary, and may change it before it is encoded.
    """
    with_tar_split = dialect == "containers" if with_tar_split is None else with_tar_split
    writer = _Writer(dialect, chunk_size, tar_format, level, prefix)
    if landmark:
        writer.add(estargz.file(estargz.NO_PREFETCH_LANDMARK, b"\x0f"))
    for entry in entries:
        writer.add(entry)
    writer.between(bytes(1024))
    writer.frames.cut()

    table = {"version": 1, "entries": [estargz.without_defaults(r) for r in writer.records]}
    split_json = "\n".join(writer.tar_split.lines).encode()
    split = compress(split_json, level) if with_tar_split else b""
    if with_tar_split:
        table["tarSplitDigest"] = sha256(split)
    if edit_toc:
        edit_toc(table)
    return _finish(writer.frames, table, split, len(split_json), names or dialect)


def _finish(frames, table, split, split_json_size, names):
    toc_json = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    manifest = compress(toc_json)
    manifest_off = len(frames.out) + 8
    frames.out += skippable(manifest)
    position = None
    if split:
        position = (len(frames.out) + 8, len(split), split_json_size)
        frames.out += skippable(split)
    frames.out += skippable(footer(manifest_off, len(manifest), len(toc_json), position))
    return Blob(data=bytes(frames.out), toc=table, toc_json=toc_json, manifest=manifest,
                manifest_off=manifest_off, tar_split=split, tar_split_size=split_json_size,
                diff_id="sha256:" + frames.plain.hexdigest(),
                uncompressed_size=frames.plain_size, names=names)
