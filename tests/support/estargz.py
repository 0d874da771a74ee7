# SPDX-License-Identifier: Apache-2.0
"""Writes eStargz blobs, deterministically and with every liberty that the format leaves.

    blob = estargz.build([estargz.directory("etc"), estargz.file("etc/hostname", b"varve\\n")])
    blob.data, blob.digest, blob.toc_digest, blob.diff_id, blob.annotations

What a blob looks like, and so what this follows: stargz-snapshotter, docs/estargz.md. The layout of
members is that of its reference writer: a member starts at each payload and at each chunk, unless
min_chunk_size asks for larger ones; then payloads share a member, and innerOffset tells them apart.
"""

import base64
import dataclasses
import datetime
import hashlib
import io
import json
import struct
import tarfile
import zlib

TOC_NAME = "stargz.index.json"
TOC_DIGEST_ANNOTATION = "containerd.io/snapshot/stargz/toc.digest"
UNCOMPRESSED_SIZE_ANNOTATION = "io.containers.estargz.uncompressed-size"
EXTERNAL_LAYER_ANNOTATION = "containerd.io/snapshot/stargz/layer.digest"
PREFETCH_LANDMARK = ".prefetch.landmark"
NO_PREFETCH_LANDMARK = ".no.prefetch.landmark"
LANDMARKS = (PREFETCH_LANDMARK, NO_PREFETCH_LANDMARK)
DEFAULT_CHUNK_SIZE = 4 << 20

TAR_FORMATS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}

TAR_TYPES = {
    "dir": tarfile.DIRTYPE,
    "reg": tarfile.REGTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


class Sparse:
    """Contents of a large file: zeros, except for the given bytes at the given offsets."""

    def __init__(self, size, pieces=None):
        self.size = size
        self.pieces = dict(pieces or {})
        self._zeros = {}

    def __len__(self):
        return self.size

    def read(self, off, size):
        touched = [
            (at, data) for at, data in self.pieces.items() if at < off + size and at + len(data) > off
        ]
        if not touched:
            # The same object each time, so that it is compressed and hashed once.
            return self._zeros.setdefault(size, bytes(size))
        result = bytearray(size)
        for at, data in touched:
            for i, byte in enumerate(data):
                if off <= at + i < off + size:
                    result[at + i - off] = byte
        return bytes(result)


@dataclasses.dataclass
class Entry:
    """One tar member; name without the prefix that build() puts before it."""

    name: str
    type: str
    data: object = b""  # bytes or Sparse
    link: str = ""  # target; of a hard link without prefix
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    mtime: int = 1700000000
    major: int = 0
    minor: int = 0
    xattrs: dict = dataclasses.field(default_factory=dict)  # name: bytes


def file(name, data=b"", **attributes):
    return Entry(name, "reg", data, **attributes)


def directory(name, **attributes):
    return Entry(name, "dir", **{"mode": 0o755, **attributes})


def symlink(name, target, **attributes):
    return Entry(name, "symlink", link=target, **{"mode": 0o777, **attributes})


def hardlink(name, target, **attributes):
    return Entry(name, "hardlink", link=target, **attributes)


def device(name, kind, major, minor, **attributes):
    """kind: "char" or "block"."""
    return Entry(name, kind, major=major, minor=minor, **attributes)


def fifo(name, **attributes):
    return Entry(name, "fifo", **attributes)


def whiteout(name):
    """Removes what a lower layer has under this name."""
    parent, _, base = name.rpartition("/")
    return file((parent + "/" if parent else "") + ".wh." + base, mode=0)


def opaque(name):
    """Hides what lower layers have in this directory ("" for the root)."""
    return file((name + "/" if name else "") + ".wh..wh..opq", mode=0)


@dataclasses.dataclass
class BlobWithTable:
    """A layer of any format that has a table of contents."""
    data: bytes
    toc: dict
    toc_json: bytes
    diff_id: str
    uncompressed_size: int

    @property
    def digest(self):
        return sha256(self.data)

    @property
    def toc_digest(self):
        return sha256(self.toc_json)


@dataclasses.dataclass
class Blob(BlobWithTable):
    toc_blob: bytes  # external: the layer of the TOC image; otherwise b""

    @property
    def annotations(self):
        """What the layer's descriptor carries."""
        return {
            TOC_DIGEST_ANNOTATION: self.toc_digest,
            UNCOMPRESSED_SIZE_ANNOTATION: str(self.uncompressed_size),
        }


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class _MemberWriter:
    """Concatenated gzip members, and the digest of what is in them."""

    def __init__(self, level):
        self.level = level
        self.out = io.BytesIO()
        self.member = None
        self.plain = hashlib.sha256()
        self.plain_size = 0
        self._whole = {}  # id of bytes -> (bytes, member)

    @property
    def off(self):
        return self.out.tell()

    def write(self, data):
        if self.member is None:
            self.member = zlib.compressobj(self.level, zlib.DEFLATED, 31)
        self.out.write(self.member.compress(data))
        self._account(data)

    def write_whole(self, data):
        """A member of its own, remembered in case that the same object comes again."""
        self.close()
        if id(data) not in self._whole:
            packer = zlib.compressobj(self.level, zlib.DEFLATED, 31)
            self._whole[id(data)] = (data, packer.compress(data) + packer.flush())
        self.out.write(self._whole[id(data)][1])
        self._account(data)

    def flush(self):
        """Makes off include everything written so far."""
        if self.member is not None:
            self.out.write(self.member.flush(zlib.Z_SYNC_FLUSH))

    def close(self):
        if self.member is not None:
            self.out.write(self.member.flush())
            self.member = None

    def _account(self, data):
        self.plain.update(data)
        self.plain_size += len(data)


def rfc3339(seconds):
    if seconds == 0:
        return ""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=round(seconds))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def tar_header(entry, prefix, tar_format):
    info = tarfile.TarInfo(prefix + entry.name + ("/" if entry.type == "dir" else ""))
    info.type = TAR_TYPES[entry.type]
    info.size = len(entry.data) if entry.type == "reg" else 0
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.uname, info.gname, info.mtime = entry.uname, entry.gname, entry.mtime
    info.devmajor, info.devminor = entry.major, entry.minor
    info.linkname = prefix + entry.link if entry.type == "hardlink" else entry.link
    info.pax_headers = {
        "SCHILY.xattr." + name: value.decode("utf-8", "surrogateescape")
        for name, value in entry.xattrs.items()
    }
    return info, info.tobuf(TAR_FORMATS[tar_format], "utf-8", "surrogateescape")


class _Writer:
    def __init__(self, chunk_size, min_chunk_size, tar_format, level, prefix):
        self.members = _MemberWriter(level)
        self.chunk_size = chunk_size
        self.min_chunk_size = min_chunk_size
        self.tar_format = tar_format
        self.prefix = prefix
        self.records = []
        self.member_off = 0  # of the member that payloads go to
        self.member_plain = 0  # plain bytes before it
        self.named_ids = {"userName": {}, "groupName": {}}

    def add(self, entry):
        info, header = tar_header(entry, self.prefix, self.tar_format)
        self.members.write(header)
        record = {"name": info.name, "type": entry.type}
        if entry.type == "reg":
            record["size"] = info.size
        record.update(self._attributes(entry, info))
        if info.size == 0:
            if entry.type == "reg":
                record["digest"] = sha256(b"")
            self.records.append(record)
            return
        self._add_payload(entry, record)
        self.members.write(bytes(-info.size % 512))

    def _attributes(self, entry, info):
        record = {
            "modtime": rfc3339(entry.mtime),
            "linkName": info.linkname,
            "mode": entry.mode,
            "uid": entry.uid,
            "gid": entry.gid,
        }
        for field, number, name in (
            ("userName", entry.uid, entry.uname),
            ("groupName", entry.gid, entry.gname),
        ):
            if self.named_ids[field].get(number, "") != name:
                self.named_ids[field][number] = record[field] = name
        if entry.type in ("char", "block"):
            record["devMajor"], record["devMinor"] = entry.major, entry.minor
        record["xattrs"] = {
            name: base64.b64encode(value).decode() for name, value in sorted(entry.xattrs.items())
        }
        return record

    def _add_payload(self, entry, record):
        size = len(entry.data)
        whole = hashlib.sha256()
        first = record
        written = 0
        while written < size:
            piece_size = min(self.chunk_size, size - written)
            piece = _read(entry.data, written, piece_size)
            if piece_size == self.chunk_size:
                record["chunkSize"] = piece_size
            self._place(entry, record)
            record["chunkOffset"] = written
            record["chunkDigest"] = sha256(piece)
            whole.update(piece)
            if isinstance(entry.data, Sparse) and written + piece_size < size:
                self.members.write_whole(piece)
            else:
                self.members.write(piece)
            self.records.append(record)
            written += piece_size
            record = {"name": first["name"], "type": "chunk"}
        first["digest"] = "sha256:" + whole.hexdigest()

    def _place(self, entry, record):
        self.members.flush()
        is_alone = isinstance(entry.data, Sparse) or entry.name in LANDMARKS
        if is_alone or self.members.off - self.member_off >= self.min_chunk_size:
            self.members.close()
            self.member_off = self.members.off
            self.member_plain = self.members.plain_size
        record["offset"] = self.member_off
        record["innerOffset"] = self.members.plain_size - self.member_plain


def _read(data, off, size):
    if isinstance(data, Sparse):
        return data.read(off, size)
    return data if off == 0 and size == len(data) else data[off : off + size]


def without_defaults(record):
    return {k: v for k, v in record.items() if v or k in ("name", "type")}


def _encode_toc(toc):
    """As Go's encoding/json does: indented by tabs, <, > and & escaped."""
    text = json.dumps(toc, indent="\t", ensure_ascii=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace")


def _empty_member(extra):
    """An empty gzip member with an extra field, stored and not compressed."""
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra
    return head + b"\x01\0\0\xff\xff" + bytes(8)


def footer(toc_off):
    pointer = f"{toc_off:016x}STARGZ".encode()
    return _empty_member(b"SG" + struct.pack("<H", len(pointer)) + pointer)


def legacy_footer(toc_off):
    return _empty_member(f"{toc_off:016x}STARGZ".encode())


def external_footer():
    magic = b"STARGZEXTERNALTOC"
    return _empty_member(b"SG" + struct.pack("<H", len(magic)) + magic)


def _toc_archive(toc_json):
    info = tarfile.TarInfo(TOC_NAME)
    info.size = len(toc_json)
    header = info.tobuf(tarfile.PAX_FORMAT)
    return header + toc_json + bytes(-len(toc_json) % 512) + bytes(1024)


def build(
    entries,
    *,
    toc="internal",
    chunk_size=DEFAULT_CHUNK_SIZE,
    min_chunk_size=0,
    landmark=None,
    prefix="",
    tar_format="pax",
    level=9,
    edit_toc=None,
):
    """A blob with these entries, in their order.

    toc: "internal", "external" (the table of contents is an image of its own: Blob.toc_blob) or
        "legacy" (the footer before eStargz, and no digests).
    landmark: None; "none" forbids prefetch; a number prefetches that many of the first entries.
    prefix: before every name: "", "./", "/" or "../".
    edit_toc: gets the table of contents as a dictionary, and may change it before it is encoded.
    """
    writer = _Writer(chunk_size, min_chunk_size, tar_format, level, prefix)
    marker = file(NO_PREFETCH_LANDMARK if landmark == "none" else PREFETCH_LANDMARK, b"\x0f")
    position = 0 if landmark == "none" else landmark
    for i, entry in enumerate(entries):
        if i == position:
            writer.add(marker)
        writer.add(entry)
    if position is not None and position >= len(entries):
        writer.add(marker)

    table = {"version": 1, "entries": [without_defaults(r) for r in writer.records]}
    if toc == "legacy":
        for record in table["entries"]:
            record.pop("digest", None)
            record.pop("chunkDigest", None)
    if edit_toc:
        edit_toc(table)
    return _finish(writer.members, table, toc)


def _finish(members, table, toc):
    toc_json = _encode_toc(table)
    archive = _toc_archive(toc_json)
    toc_blob = b""
    if toc == "external":
        members.write(bytes(1024))
        members.close()
        members.out.write(external_footer())
        packer = zlib.compressobj(members.level, zlib.DEFLATED, 31)
        toc_blob = packer.compress(archive) + packer.flush()
    else:
        members.close()
        toc_off = members.off
        members.write(archive)
        members.close()
        members.out.write((legacy_footer if toc == "legacy" else footer)(toc_off))
    return Blob(
        data=members.out.getvalue(),
        toc=table,
        toc_json=toc_json,
        toc_blob=toc_blob,
        diff_id="sha256:" + members.plain.hexdigest(),
        uncompressed_size=members.plain_size,
    )
