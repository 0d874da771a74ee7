#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/golden/estargz/generate.py

Writes the blobs beside this file that tests/support/estargz.py can make, and for every blob here,
also those made by other programs (ctr-remote-*), what is to be read from it:

    NAME.blob    the layer
    NAME.toc     only where the table of contents is outside: the layer of its own image
    NAME.digest  of the JSON
    NAME.dump    the entries, in the form of tests/unit/format/dump.h

should-fail-*.error is a part of the message that refuses should-fail-*.blob.
The dump is computed here, by another reader than the one it tests.
"""

import base64
import datetime
import gzip
import io
import json
import pathlib
import posixpath
import re
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))

import estargz  # noqa: E402


def small_tree():
    """Everything that a layer can hold, in a few KiB."""
    text = b"".join(b"line %d of a text that compresses\n" % i for i in range(400))
    noise = b"".join(estargz.hashlib.sha256(b"%d" % i).digest() for i in range(96))
    return [
        estargz.directory(""),
        estargz.directory("etc", uid=1, gid=2, uname="daemon", gname="bin"),
        estargz.file("etc/empty", mtime=0),
        estargz.file("etc/text", text, mode=0o4755, xattrs={"user.comment": b"\x00\xffbinary"}),
        estargz.file("etc/noise", noise),
        estargz.file("etc/one", b"1"),
        estargz.hardlink("etc/again", "etc/text"),
        estargz.hardlink("lower", "not/in/this/layer"),
        estargz.symlink("bin", "usr/./bin/"),
        estargz.device("dev/null", "char", 1, 3, mode=0o666),
        estargz.device("dev/loop0", "block", 7, 0),
        estargz.fifo("run/pipe", uid=4294967294),
        estargz.whiteout("etc/gone"),
        estargz.opaque("srv"),
        estargz.file("n" * 255, b"a long name"),
        estargz.file("d/" * 100 + "deep", b"a long path"),
        estargz.file("odd/<&>\u00e9\n\\ name", b"an odd name", xattrs={
            "security.capability": bytes.fromhex("0100000200200000000000000000000000000000"),
            "user.empty": b"",
        }),
        estargz.file("twice", b"first"),
        estargz.file("twice", b"second"),
        estargz.file("zeros", bytes(10000)),
        estargz.directory("last"),
    ]


def blobs():
    tree = small_tree()
    yield "plain", estargz.build(tree)
    yield "chunked", estargz.build(tree, chunk_size=1000)
    yield "min-chunk", estargz.build(tree, chunk_size=4096, min_chunk_size=2000)
    yield "one-member", estargz.build(tree, min_chunk_size=1 << 20, landmark=4)
    yield "prefix-dot", estargz.build(tree, prefix="./", landmark=4)
    yield "prefix-slash", estargz.build(tree, prefix="/", tar_format="gnu", landmark="none")
    yield "prefix-up", estargz.build(tree, prefix="../", level=1)
    yield "external", estargz.build(tree, toc="external", chunk_size=4096)
    yield "empty", estargz.build([])


def failing_blobs():
    """Name, blob, part of the message."""
    tree = small_tree()
    good = estargz.build(tree)
    start = int(good.data[-35:-19], 16)

    yield "legacy", estargz.build(tree, toc="legacy"), "no chunkDigest"

    other = estargz.build(tree)
    other.toc_json += b" "
    yield "other-digest", other, "sha256:"

    renamed = estargz.build(tree)
    archive = gzip.decompress(good.data[start:-51])
    info = tarfile.TarInfo("other.json")
    info.size = len(good.toc_json)
    renamed.data = good.data[:start]
    renamed.data += gzip.compress(info.tobuf() + archive[512:], mtime=0) + good.data[-51:]
    yield "other-name", renamed, "begins with something else than stargz.index.json"

    cut = estargz.build(tree)
    cut.data = good.data[:start] + good.data[start:-51][:200] + good.data[-51:]
    yield "cut-toc", cut, "in the middle of a frame"

    def swap(toc):
        with_offset = [entry for entry in toc["entries"] if entry.get("offset")]
        with_offset[0]["offset"], with_offset[1]["offset"] = (
            with_offset[1]["offset"],
            with_offset[0]["offset"],
        )

    yield "swapped-offsets", estargz.build(tree, edit_toc=swap), "lies before"


def read_json(blob, toc_blob):
    """The table of contents of a blob, and where payloads end."""
    if toc_blob is not None:
        archive, end = gzip.decompress(toc_blob), len(blob)
    else:
        footer_size = 51 if blob[-39:-37] == b"SG" else 47
        end = int(re.search(rb"([0-9a-f]{16})STARGZ", blob[-footer_size:]).group(1), 16)
        archive = gzip.decompress(blob[end:-footer_size])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.next()
        assert member.name == estargz.TOC_NAME
        return tar.extractfile(member).read(), end


def shown(text):
    """Bytes outside printable ASCII as \\xNN."""
    return "".join(
        chr(c) if 0x20 < c < 0x7F and c != 0x5C else f"\\x{c:02x}" for c in text.encode()
    )


def clean(name):
    return posixpath.normpath("/" + name).lstrip("/")


def payload_ranges(entries, end):
    """For each entry with a payload, by its index: (start, size) of the member."""
    starts = {}
    for i, entry in enumerate(entries):
        if entry["type"] == "chunk" or (entry["type"] == "reg" and entry.get("size")):
            starts[i] = entry.get("offset", 0)
    edges = sorted(set(starts.values())) + [end]
    return {i: (start, edges[edges.index(start) + 1] - start) for i, start in starts.items()}


def dump_head(entry, name):
    mtime = 0
    if entry.get("modtime"):
        moment = datetime.datetime.strptime(entry["modtime"], "%Y-%m-%dT%H:%M:%SZ")
        mtime = int(moment.replace(tzinfo=datetime.timezone.utc).timestamp())
    line = f"{entry['type']} {shown(name) or '/'} {entry.get('mode', 0) & 0o7777:04o}"
    line += f" {entry.get('uid', 0)}:{entry.get('gid', 0)} {mtime}"
    if entry["type"] == "reg":
        line += f" size {entry.get('size', 0)}"
    if entry["type"] == "symlink":
        line += f" -> {shown(entry['linkName'])}"
    if entry["type"] == "hardlink":
        line += f" -> {shown(clean(entry['linkName']))}"
    if entry["type"] in ("char", "block"):
        line += f" dev {entry.get('devMajor', 0)}:{entry.get('devMinor', 0)}"
    yield line
    for key, value in entry.get("xattrs", {}).items():
        yield f"  xattr {shown(key)} {base64.b64decode(value).hex()}"


def dump(toc_json, end):
    entries = json.loads(toc_json)["entries"] or []
    ranges = payload_ranges(entries, end)
    landmark, lines, size, hidden = [], [], 0, False
    for i, entry in enumerate(entries):
        if entry["type"] != "chunk":
            name, size = clean(entry["name"]), entry.get("size", 0)
            hidden = name in estargz.LANDMARKS
            if name == estargz.PREFETCH_LANDMARK:
                landmark = [f"landmark {entry['offset']}"]
            elif name == estargz.NO_PREFETCH_LANDMARK:
                landmark = ["landmark none"]
            else:
                lines += dump_head(entry, name)
        if i in ranges and not hidden:
            at, length = entry.get("chunkOffset", 0), entry.get("chunkSize", 0)
            lines.append(
                f"  chunk {at}+{length or size - at} at {ranges[i][0]}+{ranges[i][1]}"
                f" inner {entry.get('innerOffset', 0)} gzip"
                f" {(entry.get('chunkDigest') or entry['digest'])[7:23]}"
            )
    return "\n".join(landmark + lines + [""])


def write(name, blob):
    (HERE / f"{name}.blob").write_bytes(blob.data)
    (HERE / f"{name}.digest").write_text(blob.toc_digest + "\n")
    if blob.toc_blob:
        (HERE / f"{name}.toc").write_bytes(blob.toc_blob)


def main():
    for name, blob in blobs():
        write(name, blob)
    for name, blob, words in failing_blobs():
        write(f"should-fail-{name}", blob)
        (HERE / f"should-fail-{name}.error").write_text(words + "\n")

    for path in sorted(HERE.glob("*.blob")):
        if path.name.startswith("should-fail-"):
            continue
        toc = path.with_suffix(".toc")
        toc_json, end = read_json(path.read_bytes(), toc.read_bytes() if toc.exists() else None)
        path.with_suffix(".digest").write_text(estargz.sha256(toc_json) + "\n")
        path.with_suffix(".dump").write_text(dump(toc_json, end))


if __name__ == "__main__":
    main()
