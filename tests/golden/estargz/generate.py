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

import gzip
import io
import json
import pathlib
import re
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "support")]

import estargz  # noqa: E402
import golden  # noqa: E402


def blobs():
    tree = golden.small_tree()
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
    tree = golden.small_tree()
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


def payload_ranges(entries, end):
    """For each entry with a payload, by its index: (start, size) of the member."""
    starts = {}
    for i, entry in enumerate(entries):
        if entry["type"] == "chunk" or (entry["type"] == "reg" and entry.get("size")):
            starts[i] = entry.get("offset", 0)
    edges = sorted(set(starts.values())) + [end]
    return {i: (start, edges[edges.index(start) + 1] - start) for i, start in starts.items()}


def describe(toc_json, end):
    entries = json.loads(toc_json)["entries"] or []
    ranges = payload_ranges(entries, end)
    landmark, lines, size, hidden = [], [], 0, False
    for i, entry in enumerate(entries):
        if entry["type"] != "chunk":
            name, size = golden.clean(entry["name"]), entry.get("size", 0)
            hidden = name in estargz.LANDMARKS
            if name == estargz.PREFETCH_LANDMARK:
                landmark = [f"landmark {entry['offset']}"]
            elif name == estargz.NO_PREFETCH_LANDMARK:
                landmark = ["landmark none"]
            else:
                lines += golden.head(entry, name)
        if i in ranges and not hidden:
            lines.append(golden.chunk(entry, size, *ranges[i], "gzip"))
    return "\n".join(landmark + lines + [""])


def write(name, blob):
    (HERE / f"{name}.blob").write_bytes(blob.data)
    (HERE / f"{name}.digest").write_text(blob.toc_digest + "\n")
    if blob.toc_blob:
        (HERE / f"{name}.toc").write_bytes(blob.toc_blob)


def main():
    golden.write_all(HERE, blobs(), failing_blobs(), write)
    for path in golden.readable(HERE):
        toc = path.with_suffix(".toc")
        toc_json, end = read_json(path.read_bytes(), toc.read_bytes() if toc.exists() else None)
        path.with_suffix(".digest").write_text(estargz.sha256(toc_json) + "\n")
        path.with_suffix(".dump").write_text(describe(toc_json, end))


if __name__ == "__main__":
    main()
