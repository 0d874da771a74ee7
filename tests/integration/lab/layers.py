# SPDX-License-Identifier: Apache-2.0
"""Archives as layers without a table of contents, by the programs that compress them."""
import dataclasses
import gzip
import io
import subprocess
import tarfile

from . import pushing

PIECE = 1 << 20
TAR_LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@dataclasses.dataclass
class Blob:
    """A layer as pushing.push() takes it."""
    data: bytes
    diff_id: str
    media_type: str
    annotations: dict = dataclasses.field(default_factory=dict)

    @property
    def digest(self):
        return pushing.sha256(self.data)

    def describe(self):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


def through(*command):
    return lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE,
                                       check=True).stdout


def each(encode):
    """Pieces that follow one another, each as a whole."""
    return lambda data: b"".join(encode(data[off:off + PIECE])
                                 for off in range(0, len(data), PIECE))


FORMS = {
    "gzip": (pushing.LAYER, through("gzip", "-6", "-n", "-c")),
    "pigz": (FOREIGN_LAYER, through("pigz", "-p", "2", "-c")),
    "members": (pushing.LAYER, each(lambda piece: gzip.compress(piece, 6, mtime=0))),
    "zstd": (pushing.ZSTD_LAYER, through("zstd", "-q", "-c")),
    "frames": (pushing.ZSTD_LAYER, each(through("zstd", "-q", "-c"))),
    "tar": (TAR_LAYER, lambda data: data),
}


def layer(data, form="gzip", **changes):
    media_type, encode = FORMS[form]
    return dataclasses.replace(Blob(encode(data), pushing.sha256(data), media_type), **changes)


def push(server, name, blobs, tag="latest"):
    return pushing.push(server.host, name, blobs, tag=tag, layers=[blob.describe() for blob in blobs])


def tarball(name, data):
    """An archive of one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


KINDS = {tarfile.REGTYPE: "reg", tarfile.AREGTYPE: "reg", tarfile.DIRTYPE: "dir",
         tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink", tarfile.CHRTYPE: "char",
         tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo"}
XATTR = "SCHILY.xattr."


def entries(path):
    """What estargz.build() makes the same archive of."""
    with tarfile.open(path) as archive:
        return [pushing.estargz.Entry(
            info.name, KINDS[info.type], archive.extractfile(info).read() if info.isreg() else b"",
            info.linkname, info.mode, info.uid, info.gid, info.uname, info.gname, info.mtime,
            info.devmajor, info.devminor,
            {key[len(XATTR):]: value.encode("utf-8", "surrogateescape")
             for key, value in info.pax_headers.items() if key.startswith(XATTR)})
            for info in archive]
