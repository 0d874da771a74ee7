#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/golden/zstd_chunked/generate.py

Writes the blobs beside this file that tests/support/zstd_chunked.py can make, and for every blob
here, also those made by other programs (skopeo, ctr-remote*), what is to be read from it:

    NAME.blob         the layer
    NAME.annotations  of its descriptor: name and value on each line
    NAME.dump         the entries, in the form of tests/unit/format/dump.h

should-fail-*.error is a part of the message that refuses should-fail-*.blob.
"""

import ctypes
import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "support")]

import golden  # noqa: E402
import estargz  # noqa: E402
import zstd_chunked  # noqa: E402


def tree():
    """Each name once, no link that leads out of the layer, and a file with holes."""
    entries = [e for e in golden.small_tree() if e.name not in ("twice", "lower")]
    noise = b"".join(estargz.hashlib.sha256(b"%d" % i).digest() for i in range(1000, 1100))
    entries.append(estargz.file("holes", noise + bytes(5000) + noise[:7] + bytes(1024),
                                mtime=1700000000.5))
    entries.append(estargz.file(".no.prefetch.landmark", b"\x0f"))
    return entries


def blobs():
    yield "containers", zstd_chunked.build(tree())
    yield "containers-footer", zstd_chunked.build(tree(), names="estargz")
    yield "containers-short-footer", zstd_chunked.build(tree(), with_tar_split=False,
                                                        names="estargz")
    yield "containers-stargz-names", zstd_chunked.build(tree(), names="stargz", prefix="./")
    yield "stargz", zstd_chunked.build(tree()[:-1], dialect="stargz", landmark=True)
    yield "stargz-footer", zstd_chunked.build(tree()[:-1], dialect="stargz", names="estargz")
    yield "stargz-containers-names", zstd_chunked.build(tree()[:-1], dialect="stargz",
                                                        names="containers", prefix="/")
    yield "tar-split-without-digest", zstd_chunked.build(
        tree()[:3], edit_toc=lambda toc: toc.pop("tarSplitDigest"))
    yield "empty", zstd_chunked.build([])


def failing_blobs():
    """Name, blob, part of the message."""
    def make(edit, **options):
        return zstd_chunked.build(tree(), edit_toc=edit, **options)

    def twice(toc):
        toc["entries"].append({"type": "dir", "name": "./bin/"})

    def mixed(toc):
        del next(e for e in toc["entries"] if e["name"] == "etc/one")["endOffset"]

    def backwards(toc):
        part = next(e for e in toc["entries"] if e["name"] == "etc/noise")
        part["offset"], part["endOffset"] = part["endOffset"], part["offset"]

    def typed(toc):
        next(e for e in toc["entries"] if e["type"] == "chunk")["chunkType"] = "ones"

    yield "twice", make(twice), "'bin' comes twice"
    yield "mixed", make(mixed), "mixes two dialects"
    yield "backwards", make(backwards), "a chunk from"
    yield "chunk-type", make(typed), 'chunkType "ones" is unknown'
    other = {"tarSplitDigest": estargz.sha256(b"another")}
    yield "other-tar-split", make(lambda toc: toc.update(other)), "the tar-split has digest"
    yield "other-tar-split-footer", make(lambda toc: toc.update(other), names="estargz"), \
        "the tar-split has digest"
    yield "tar-split-digest", make(lambda toc: toc.update(tarSplitDigest="sha256:1")), \
        "tarSplitDigest: "
    other = zstd_chunked.build(tree())
    other.manifest += b" "
    yield "other-digest", other, "manifest"
    other = zstd_chunked.build(tree(), names="stargz")
    other.toc_json += b" "
    yield "other-toc-digest", other, "instead of"
    other = zstd_chunked.build(tree(), names="estargz")
    other.toc_json += b" "
    yield "other-json", other, "JSON"


def read_toc(blob, annotations):
    """(the table of contents, where payloads end), by the annotation or the footer."""
    position = next((v for k, v in annotations.items() if k.endswith(".manifest-position")), None)
    size = 64 if blob.endswith(b"GNUlInUx") else 40
    numbers = [int(n) for n in position.split(":")] if position else \
        struct.unpack("<4Q", blob[-size:][:32])
    off, size, json_size, _ = numbers
    out = ctypes.create_string_buffer(json_size)
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    assert library.ZSTD_decompress(out, ctypes.c_size_t(json_size), blob[off:off + size],
                                   ctypes.c_size_t(size)) == json_size
    return json.loads(out.raw), off - 8


def ranges(entries, end):
    """For each entry with a payload, by its index: (start, size) in the blob."""
    with_payload = [i for i, e in enumerate(entries)
                    if e["type"] == "chunk" or (e["type"] == "reg" and e.get("size"))]
    found = {}
    for i, following in zip(with_payload, with_payload[1:] + [None]):
        first = next(entries[j] for j in range(i, -1, -1) if entries[j]["type"] == "reg")
        if "endOffset" in first and (following is None or entries[following]["type"] == "reg"):
            until = first["endOffset"]
        else:
            until = end if following is None else entries[following]["offset"]
        found[i] = (entries[i]["offset"], until - entries[i]["offset"])
    return found


def describe(toc, end):
    entries = toc["entries"] or []
    places = ranges(entries, end)
    is_stargz = not any("endOffset" in e for e in entries)
    landmark, lines, size, hidden = [], [], 0, False
    for i, entry in enumerate(entries):
        if entry["type"] != "chunk":
            name, size = golden.clean(entry["name"]), entry.get("size", 0)
            hidden = is_stargz and name == estargz.NO_PREFETCH_LANDMARK
            if hidden:
                landmark = ["landmark none"]
            else:
                lines += golden.head(entry, name)
        if i in places and not hidden:
            lines.append(golden.chunk(entry, size, *places[i], "zstd"))
    return "\n".join(landmark + lines + [""])


def write(name, blob):
    (HERE / f"{name}.blob").write_bytes(blob.data)
    (HERE / f"{name}.annotations").write_text(
        "".join(f"{key} {value}\n" for key, value in blob.annotations.items()))


def main():
    golden.write_all(HERE, blobs(), failing_blobs(), write)
    for path in golden.readable(HERE):
        lines = path.with_suffix(".annotations").read_text().splitlines()
        toc = read_toc(path.read_bytes(), dict(line.split(" ") for line in lines))
        path.with_suffix(".dump").write_text(describe(*toc))


if __name__ == "__main__":
    main()
