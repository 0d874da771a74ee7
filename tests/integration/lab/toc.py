# SPDX-License-Identifier: Apache-2.0
"""Reads eStargz tables of contents: what an image says of itself, apart from the program's reading
of it."""
import dataclasses
import io
import json
import posixpath
import tarfile
import urllib.request
import zlib

from . import registry


@dataclasses.dataclass
class Chunk:
    off: int  # in the file
    size: int
    blob_off: int
    blob_size: int
    digest: str


@dataclasses.dataclass
class Layer:
    digest: str
    size: int
    toc_off: int
    entries: list
    descriptor: dict

    def chunks(self, path):
        """Of a regular file, in their order."""
        starts = sorted({e["offset"] for e in self.entries if e.get("offset")} | {self.toc_off})
        found, inside, size = [], False, 0
        for entry in self.entries:
            if entry["type"] != "chunk":
                inside = entry["type"] == "reg" and clean(entry["name"]) == path
                size = entry.get("size", 0) if inside else size
            if inside and size:
                off = entry.get("chunkOffset", 0)
                end = next(start for start in starts if start > entry["offset"])
                found.append(Chunk(off, entry.get("chunkSize") or size - off, entry["offset"],
                                   end - entry["offset"],
                                   entry.get("chunkDigest") or entry["digest"]))
        return found


def clean(name):
    return posixpath.normpath("/" + name).lstrip("/")


def layers(host, path):
    """The layers of an image, lowest first, over plain HTTP. path: "repository:tag"."""
    repository, tag = path.rsplit(":", 1)
    document, _ = registry.manifest(host, repository, tag)
    return [_layer(host, repository, descriptor) for descriptor in document["layers"]]


def _layer(host, repository, descriptor):
    size = descriptor["size"]
    url = f"http://{host}/v2/{repository}/blobs/{descriptor['digest']}"
    footer = _range(url, size - 51, size)
    toc_off = int(footer[16:32], 16)
    packed = zlib.decompressobj(31).decompress(_range(url, toc_off, size - 51))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        table = json.load(archive.extractfile("stargz.index.json"))
    return Layer(descriptor["digest"], size, toc_off, table["entries"], descriptor)


def _range(url, start, end):
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-{end - 1}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def implicit_directories(image_layers):
    """Directories that no layer lists: paths in bytes, as trees.read() has them."""
    explicit, needed = set(), set()
    for layer in image_layers:
        for entry in layer.entries:
            name = clean(entry["name"])
            if entry["type"] == "dir":
                explicit.add(name)
            while name := posixpath.dirname(name):
                needed.add(name)
    return {name.encode("utf-8", "surrogateescape") for name in needed - explicit}
