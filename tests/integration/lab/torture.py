# SPDX-License-Identifier: Apache-2.0
"""Layers with everything that file systems and archives get wrong, as tar files."""
import io
import os
import struct
import tarfile

MTIME = 1_600_000_000
# CAP_NET_BIND_SERVICE, effective and permitted (linux/capability.h, version 2)
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


class Layer:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self.count = 0

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, **fields):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size = kind, mode, len(data)
        info.mtime = MTIME + self.count
        self.count += 1
        xattrs = fields.pop("xattrs", {})
        info.pax_headers = {f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape")
                            for key, value in xattrs.items()}
        for key, value in fields.items():
            setattr(info, key, value)
        self.tar.addfile(info, io.BytesIO(data))

    def directory(self, name, mode=0o755, **fields):
        self.add(name, tarfile.DIRTYPE, mode=mode, **fields)

    def symlink(self, name, target):
        self.add(name, tarfile.SYMTYPE, mode=0o777, linkname=target)

    def link(self, name, target):
        self.add(name, tarfile.LNKTYPE, linkname=target)

    def close(self):
        self.tar.close()


def pattern(size, seed):
    """Bytes that compress, but not to nothing, and differ from place to place."""
    word = struct.Struct("<QQ")
    return b"".join(word.pack(seed, i * 2654435761 % (1 << 40)) for i in range(size // 16 + 1))[:size]


def _lower(path):
    layer = Layer(path)
    layer.directory("many", mode=0o1777)
    for i in range(10_000):
        layer.add(f"many/{i:05d}-{'x' * (i % 90)}", data=b"%d\n" % i if i % 7 else b"")
    layer.directory("names")
    layer.add("names/" + "n" * 255, data=b"long name\n")
    layer.add("names/new\nline\ttab", data=b"control characters\n")
    layer.add("names/\u00fcn\u00efc\u00f6de-\u65e5\u672c\u8a9e", data=b"unicode\n")
    layer.add("names/ leading and trailing ", data=b"spaces\n")
    layer.add("names/-rf", data=b"option\n")
    layer.add("names/.hidden", data=b"dot\n")
    deep = "deep" + "/d" * 200
    layer.add(deep + "/file", data=b"far down\n")  # its parents are implicit
    layer.directory("modes")
    for mode in (0o4755, 0o2755, 0o1644, 0o000, 0o777, 0o7777):
        layer.add(f"modes/{mode:04o}", data=b"mode\n", mode=mode)
    layer.add("modes/owner", data=b"owner\n", uid=70_000, gid=4_000_000_000 % (1 << 31))
    layer.add("modes/fraction", data=b"half a second and a bit\n", mtime=MTIME + 0.625)
    layer.directory("xattrs", xattrs={"user.on-directory": b"yes"})
    layer.add("xattrs/capability", data=b"cap\n", xattrs={"security.capability": CAPABILITY})
    layer.add("xattrs/many", data=b"x\n", xattrs={f"user.n{i}": b"v" * i for i in range(1, 20)})
    layer.add("xattrs/large", data=b"x\n", xattrs={"user.large": b"L" * 3000})
    layer.directory("links/a")
    layer.directory("links/b")
    layer.add("links/a/one", data=pattern(100_000, 1))
    layer.link("links/a/two", "links/a/one")
    layer.link("links/b/three", "links/a/two")
    layer.add("links/for-upper", data=b"the upper layer links here\n")
    layer.symlink("links/to-file", "a/one")
    layer.symlink("links/absolute", "/etc/none")
    layer.symlink("links/nowhere", "../../../../x")
    layer.symlink("links/long", "t" * 4000)
    layer.directory("devices")
    layer.add("devices/null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3)
    layer.add("devices/disk", tarfile.BLKTYPE, mode=0o660, devmajor=259, devminor=70_000)
    layer.add("devices/pipe", tarfile.FIFOTYPE, mode=0o600)
    layer.directory("sizes")
    for size in (0, 1, 4095, 4096, 4097, 1 << 20, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20):
        layer.add(f"sizes/{size}", data=pattern(size, size))
    layer.add("sizes/zeros", data=bytes(6 << 20))
    layer.directory("whiteouts/kept")
    layer.add("whiteouts/removed", data=b"gone later\n")
    layer.add("whiteouts/kept/file", data=b"stays\n")
    layer.add("whiteouts/directory/inside", data=b"gone with its directory\n")
    layer.add("opaque/lower", data=b"hidden by opaque\n")
    layer.add("opaque/below/lower", data=b"hidden by opaque\n")
    layer.add("swap/file-to-directory", data=b"a file at first\n")
    layer.add("swap/directory-to-file/inside", data=b"a directory at first\n")
    layer.close()


def _upper(path):
    layer = Layer(path)
    layer.add("whiteouts/.wh.removed")
    layer.add("whiteouts/.wh.directory")
    layer.directory("opaque", mode=0o700)
    layer.add("opaque/.wh..wh..opq")
    layer.add("opaque/upper", data=b"the only one\n")
    layer.directory("swap/file-to-directory")
    layer.add("swap/file-to-directory/inside", data=b"a directory now\n")
    layer.add("swap/.wh.directory-to-file")
    layer.add("swap/directory-to-file", data=b"a file now\n")
    layer.directory("modes", mode=0o750, uid=5, gid=6)  # attributes of the upper one
    layer.add("sizes/4097", data=b"replaced\n")
    layer.add("names/upper", data=b"added\n")
    layer.close()


def layers(directory):
    """Paths of the layers, lowest first."""
    paths = [os.path.join(directory, f"torture-{i}.tar") for i in (1, 2)]
    _lower(paths[0])
    _upper(paths[1])
    return paths
