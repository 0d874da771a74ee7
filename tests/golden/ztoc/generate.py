#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/golden/ztoc/generate.py

Writes, with tests/support/soci.py, layers and their ztocs beside this file:

    NAME.blob    the layer
    NAME.ztoc
    NAME.dump    what is to be read from both, in the form of tests/unit/format/dump.h

should-fail-*.error is a part of the message that refuses should-fail-*.ztoc.
The dump is computed here, by another reader than the one it tests.
"""

import base64
import gzip
import hashlib
import io
import pathlib
import posixpath
import struct
import sys
import tarfile
import urllib.parse
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))

import soci  # noqa: E402


def member(name, kind=tarfile.REGTYPE, data=b"", **attributes):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(data), 1700000000
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def small_tree():
    text = b"".join(b"line %d of a text that compresses\n" % (i * i) for i in range(700))
    noise = b"".join(hashlib.sha256(b"%d" % i).hexdigest().encode() for i in range(200))
    xattrs = {
        "SCHILY.xattr.user.comment": "text",
        "SCHILY.xattr.security.capability": "\x01\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        "comment": "no xattr",
    }
    return [
        member("./", tarfile.DIRTYPE),
        member("./etc/", tarfile.DIRTYPE, uid=1, gid=2, uname="daemon"),
        member("./etc/empty", mtime=0),
        member("./etc/text", data=text, mode=0o4755, pax_headers=xattrs),
        member("./etc/again", tarfile.LNKTYPE, linkname="./etc/text"),
        member("./bin", tarfile.SYMTYPE, linkname="usr/./bin/", mode=0o777),
        member("./null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("./loop", tarfile.BLKTYPE, devmajor=7),
        member("./pipe", tarfile.FIFOTYPE, uid=4294967294),
        member("./noise", data=noise, mtime=1700000000.25),
        member("./" + "d/" * 100 + "deep", data=b"a long path"),
        member("./twice", data=b"first"),
        member("./twice", data=b"second"),
    ]


def libarchive_member():
    """Names like in URLs and values in base64, as libarchive writes besides the usual form."""
    records = {
        "LIBARCHIVE.xattr.user.%3dodd%25": "AP9iaW5hcnk",
        "LIBARCHIVE.xattr.user.both": "Zmlyc3Q=",
        "SCHILY.xattr.user.both": "first",
        "SCHILY.xattr.user.empty": "",
    }
    return member("file", data=b"contents", pax_headers=records)


def archive(tree, form=tarfile.PAX_FORMAT, padding=b""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, data in tree:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue() + padding


def pack(data, name=b""):
    """Small blocks, so that there are places for checkpoints."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31, 2)
    packed = packer.compress(data) + packer.flush()
    if not name:
        return packed
    return packed[:3] + b"\x08" + packed[4:10] + name + b"\0" + packed[10:]


def layers():
    """Name, blob, arguments for soci.ztoc()."""
    tar = archive(small_tree())
    yield "gzip", pack(tar), {"span_size": 17000}
    yield "gzip-first-point-left-out", pack(tar), {"span_size": 17000, "layout": 1}
    yield "gzip-named", pack(tar, b"layer.tar"), {"span_size": 30000}
    members = pack(tar[:9000]) + pack(b"") + pack(tar[9000:20000]) + pack(tar[20000:])
    yield "gzip-members", members, {"span_size": 30000}
    yield "gzip-padded", pack(tar + bytes(60000)), {"span_size": 30000, "layout": 1}
    yield "gzip-one-span", pack(tar), {"layout": 1}
    yield "gnu", pack(archive(small_tree(), tarfile.GNU_FORMAT)), {"layout": 1}
    few = archive(small_tree()[:3] + small_tree()[-4:])
    yield "plain", few, {"span_size": 3000, "algorithm": "uncompressed"}
    yield "plain-without-table", few, {"algorithm": "uncompressed", "layout": 1}
    yield "xattrs", pack(archive([libarchive_member()])), {"layout": 1}
    yield "empty", pack(bytes(10240)), {"layout": 1}


VERSION, TOOL, BLOB_SIZE, ARCHIVE_SIZE, TOC, COMPRESSION = range(6)


def failing():
    """Name, part of the message, what is done to the fields of a ztoc with one span."""

    def set_root(slot, value):
        return lambda root: root.__setitem__(slot, value)

    def set_file(i, slot, value):
        return lambda root: set_field(root[TOC].fields[0][i], slot, value)

    def set_compression(slot, value):
        return lambda root: set_field(root[COMPRESSION], slot, value)

    def set_field(table, slot, value):
        fields = list(table.fields)
        fields[slot] = value
        table.fields = fields

    def records(*pairs):
        return [soci.Table(key, value) for key, value in pairs]

    yield "version", 'version "1.0"', set_root(VERSION, b"1.0")
    yield "no-version", 'version ""', set_root(VERSION, None)
    yield "other-blob", "it is of a blob of 77 bytes", set_root(BLOB_SIZE, ("<q", 77))
    yield "archive-size", "16 TiB", set_root(ARCHIVE_SIZE, ("<q", -1))
    yield "archive-too-small", "the spans end at 30000", set_root(ARCHIVE_SIZE, ("<q", 30000))
    yield "no-compression", "checkpoints of 0 bytes", set_root(COMPRESSION, None)
    yield "algorithm", "compression algorithm 3", set_compression(0, ("<b", 3))
    yield "max-span", "9 as the number of the last", set_compression(1, ("<i", 9))
    yield "no-digests", "1 spans, but 0 digests", set_compression(2, [])
    yield "digest", "digest", set_compression(2, [b"sha256:00"])
    yield "digest-sha512", "not SHA-256", set_compression(2, [b"sha512:" + b"0" * 128])
    yield "checkpoints", "neither all of them", set_compression(3, struct.pack("<iqq", 1, 1, 1))
    yield "no-points", "0 checkpoints", set_compression(3, struct.pack("<iq", 0, 1))
    yield "type", "unknown type", set_file(3, 1, b"regular")
    yield "no-name", "no name", set_file(3, 0, None)
    yield "root", "the root is no directory", set_file(3, 0, b"/..")
    yield "zero-in-name", "zero byte", set_file(3, 0, b"a\0b")
    yield "time", "mod_time", set_file(3, 10, b"yesterday")
    yield "no-link", "link name", set_file(4, 4, b"")
    yield "device", "device 4096:3", set_file(6, 11, ("<q", 4096))
    yield "sparse", "sparse file", set_file(3, 13, records((b"GNU.sparse.major", b"1")))
    yield "xattr-name", "xattr name", set_file(
        3, 13, records((b"SCHILY.xattr." + b"n" * 256, b""))
    )
    yield "overlap", "but the one before it ends at", set_file(3, 3, ("<q", 30000))
    yield "behind", "but the spans end at", set_file(12, 3, ("<q", 60000))
    yield "negative-size", "16 TiB", set_file(3, 3, ("<q", -1))


def shown(text):
    """Bytes outside printable ASCII as \\xNN."""
    return "".join(
        chr(c) if 0x20 < c < 0x7F and c != 0x5C else f"\\x{c:02x}"
        for c in text.encode("utf-8", "surrogateescape")
    )


def clean(name):
    return posixpath.normpath("/" + name).lstrip("/")


def dump_spans(blob, arguments):
    """Lines, and for each span (first and last decoded byte + 1, place, size)."""
    size = arguments.get("span_size", soci.DEFAULT_SPAN_SIZE)
    lines, spans = [], []
    if arguments.get("algorithm"):
        for off in range(0, len(blob), size):
            end = min(len(blob), off + size)
            spans.append((off, end, off, end - off))
            lines.append(f"span {off}+{end - off} decodes to {end - off}")
    else:
        points, _ = soci.points(blob, size)
        tar = gzip.decompress(blob)
        archive_end = max(points[-1].out, stop(tar))
        ends = [(p.into, p.out, p.bits) for p in points[1:]] + [(len(blob), archive_end, 0)]
        for point, (end, out, bits) in zip(points, ends):
            start = point.into - bool(point.bits)
            if out > point.out:
                spans.append((point.out, out, start, end - start))
                line = f"span {start}+{end - start} decodes to {out - point.out} in member"
                line += f" bits {point.bits}" if point.bits else ""
                line += f" end bits {8 - bits}" if bits else ""
                before = tar[max(0, point.out - 32768) : point.out].lstrip(b"\0")
                line += f" window {hashlib.sha256(before).hexdigest()[:16]}" if before else ""
                lines.append(line)
    for i, (_, _, start, length) in enumerate(spans):
        lines[i] += f" encoded {hashlib.sha256(blob[start:start + length]).hexdigest()[:16]}"
    return lines, spans


def stop(tar):
    with tarfile.open(fileobj=io.BytesIO(tar)) as reader:
        ends = [m.offset_data + (m.size + 511) // 512 * 512 for m in reader.getmembers()]
    return min(len(tar), max(ends, default=0) + 1024)


def dump_member(info):
    kind = soci.TYPES[info.type]
    seconds = int(info.mtime // 1)
    line = f"{kind} {shown(clean(info.name)) or '/'} {info.mode:04o} {info.uid}:{info.gid} {seconds}"
    line += f".{round(info.mtime % 1 * 10**9):09}" if info.mtime % 1 else ""
    if kind == "reg":
        line += f" size {info.size}"
    if kind == "symlink":
        line += f" -> {shown(info.linkname)}"
    if kind == "hardlink":
        line += f" -> {shown(clean(info.linkname))}"
    if kind in ("char", "block"):
        line += f" dev {info.devmajor}:{info.devminor}"
    yield line
    for key, value in sorted(info.pax_headers.items()):
        if key.startswith("SCHILY.xattr."):
            value = value.encode("utf-8", "surrogateescape")
            yield f"  xattr {key[13:]} {value.hex()}"
        if key.startswith("LIBARCHIVE.xattr."):
            value = base64.b64decode(value + "=" * (-len(value) % 4))
            yield f"  xattr {urllib.parse.unquote(key[17:])} {value.hex()}"


def dump(blob, arguments):
    lines, spans = dump_spans(blob, arguments)
    codec = "none" if arguments.get("algorithm") else "gzip"
    tar = blob if arguments.get("algorithm") else gzip.decompress(blob)
    with tarfile.open(fileobj=io.BytesIO(tar)) as reader:
        members = reader.getmembers()
    for info in members:
        lines += dump_member(info)
        end = info.offset_data + info.size
        for first, last, start, length in spans:
            low, high = max(first, info.offset_data), min(last, end)
            if low < high:
                lines.append(
                    f"  chunk {low - info.offset_data}+{high - low} at {start}+{length}"
                    f" inner {low - first} {codec} {'0' * 16} in span"
                )
    return "\n".join(lines + [""])


def main():
    for name, blob, arguments in layers():
        (HERE / f"{name}.blob").write_bytes(blob)
        (HERE / f"{name}.ztoc").write_bytes(soci.ztoc(blob, **arguments))
        (HERE / f"{name}.dump").write_text(dump(blob, arguments))
    blob = pack(archive(small_tree()))
    for name, words, edit in failing():
        ztoc = soci.ztoc(blob, layout=1, edit=edit)
        (HERE / f"should-fail-{name}.ztoc").write_bytes(ztoc)
        (HERE / f"should-fail-{name}.error").write_text(words + "\n")


if __name__ == "__main__":
    main()
