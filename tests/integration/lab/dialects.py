# SPDX-License-Identifier: Apache-2.0
"""One layer in each dialect of tar, by programs we did not write, over a tree that has what the
dialect can say: each below a directory of its name."""
import os
import shutil

from . import processes, torture

MTIME = 1_600_000_000
MIB = 1 << 20
SPARSE = ["--sparse", "--hole-detection=raw"]
# dialect: the program that writes it, and what it needs beside to leave out holes.
DIALECTS = {
    "ustar": (["tar", "--format=ustar"], []),
    "gnu": (["tar", "--format=gnu"], SPARSE),
    "pax": (["tar", "--format=pax", "--xattrs", "--xattrs-include=*"], SPARSE),
    "bsdtar": (["bsdtar", "--format=pax", "--xattrs", "--no-read-sparse"], ["--read-sparse"]),
}
# What tarfile calls the nearest one.
PYTHON = {"ustar": "ustar", "gnu": "gnu", "pax": "pax", "bsdtar": "pax"}


class Tree:
    """Files below one directory; times differ from file to file."""

    def __init__(self, root):
        self.root, self.times = root, {}

    def _made(self, name, mode, mtime=None):
        if mode is not None:
            os.chmod(self.path(name), mode)
        self.times[name] = MTIME + len(self.times) if mtime is None else mtime

    def path(self, name):
        return os.path.join(self.root, name)

    def directory(self, name, mode=0o755):
        os.makedirs(self.path(name))
        self._made(name, mode)

    def file(self, name, data=b"", mode=0o644, owner=None, mtime=None, xattrs=None):
        with open(self.path(name), "wb") as file:
            file.write(data)
        if owner:
            os.chown(self.path(name), *owner)
        self._made(name, mode, mtime)
        for key, value in (xattrs or {}).items():
            os.setxattr(self.path(name), key, value)

    def sparse(self, name, size, places):
        with open(self.path(name), "wb") as file:
            file.truncate(size)
            for off, data in places.items():
                file.seek(off)
                file.write(data)
        self._made(name, 0o600)

    def symlink(self, name, target):
        os.symlink(target, self.path(name))
        self._made(name, None)

    def link(self, name, target):
        os.link(self.path(target), self.path(name))

    def device(self, name, kind, mode=0o600, device=0):
        os.mknod(self.path(name), kind | mode, device)
        self._made(name, mode)

    def settle(self):
        """What was changed last is not what has the last time."""
        for name, mtime in reversed(self.times.items()):
            nanoseconds = int(mtime * 1000) * 1_000_000
            os.utime(self.path(name), ns=(nanoseconds, nanoseconds), follow_symlinks=False)
        os.utime(self.root, (MTIME, MTIME))


def pattern(size, seed):
    """Bytes that compress, but not to nothing, and differ from place to place."""
    return torture.pattern(size, seed)


def _common(tree, seed):
    tree.directory("modes", 0o1777)
    for mode in (0o4755, 0o2750, 0o000, 0o7777):
        tree.file(f"modes/{mode:04o}", b"mode\n", mode)
    tree.file("modes/owner", b"owner\n", owner=(70_000, 2_000_000))
    tree.directory("names")
    # Where 100 bytes of a name, and 155 before them, are just enough.
    for size in (93, 94, 95, 100):
        tree.file("names/" + "n" * size, b"%d\n" % size)
    deep = "names/" + "p" * 99
    tree.directory(deep)
    tree.file(f"{deep}/" + "q" * 90, b"deep\n")
    tree.file("names/ spaces and\ttabs ", b"spaces\n")
    tree.file("names/\u00fcn\u00efc\u00f6de", b"unicode\n")
    tree.directory("links")
    tree.file("links/one", pattern(70_000, seed))
    tree.link("links/two", "links/one")
    tree.symlink("links/symlink", "../names")
    tree.symlink("links/hundred", "t" * 100)
    tree.directory("devices")
    tree.device("devices/null", 0o020000, 0o666, os.makedev(1, 3))
    tree.device("devices/disk", 0o060000, 0o660, os.makedev(7, 200))
    tree.device("devices/pipe", 0o010000)
    tree.directory("sizes")
    for size in (0, 1, 511, 512, 513, 4096, 4097):
        tree.file(f"sizes/{size}", pattern(size, size))
    tree.file("sizes/noise", os.urandom(200_000))
    tree.file("sizes/zeros", bytes(MIB))


def _beyond_ustar(tree):
    """What GNU's extensions and PAX can say."""
    tree.file("names/" + "n" * 255, b"255\n")
    deep = "names" + "/deeper-than-two-hundred-and-fifty-six" * 8
    tree.directory(deep)
    tree.file(f"{deep}/file", b"far down\n")
    tree.link(f"{deep}/" + "l" * 200, "links/one")
    tree.symlink("links/long", "t" * 1000)
    tree.file("modes/large-owner", b"owner\n", owner=(3_000_000_000, 4_000_000_000))
    tree.file("modes/before-1970", b"time\n", mtime=-86_400)
    tree.file("modes/after-2242", b"time\n", mtime=9_000_000_000)
    # Across a border of spans.
    tree.file("sizes/large", pattern(5 * MIB + 77, 5))


def _sparse(tree):
    tree.directory("sparse")
    tree.sparse("sparse/hole", MIB, {0: b"start", 300_000: b"middle" * 1000, MIB - 3: b"end"})
    tree.sparse("sparse/many", 3 * MIB, {i * 65_536: b"%d" % i * 512 for i in range(40)})
    tree.sparse("sparse/nothing", 2 * MIB, {})
    tree.sparse("sparse/tail", 100_000, {40_000: pattern(4096, 9)})


def _xattrs(tree):
    tree.directory("xattrs")
    tree.file("xattrs/capability", b"x\n", xattrs={"security.capability": torture.CAPABILITY})
    tree.file("xattrs/bytes", b"x\n", xattrs={"user.bytes": bytes(range(256))})
    tree.file("xattrs/large", b"x\n", xattrs={"user.large": b"L" * 3000})


def _fractions(tree):
    tree.file("modes/fraction", b"time\n", mtime=MTIME + 0.625)


MORE = {"ustar": [], "gnu": [_beyond_ustar, _sparse],
        "pax": [_beyond_ustar, _sparse, _xattrs, _fractions],
        "bsdtar": [_beyond_ustar, _sparse, _xattrs, _fractions]}


def layers(directory):
    """{dialect: (path, path)} of layers that have the same files: one as every program reads it,
    one with holes left out, which those that convert images refuse."""
    made = {}
    for dialect, (command, sparse) in DIALECTS.items():
        top = os.path.join(directory, f"tree-{dialect}")
        os.makedirs(os.path.join(top, dialect))
        tree = Tree(os.path.join(top, dialect))
        _common(tree, len(made))
        for add in MORE[dialect]:
            add(tree)
        tree.settle()
        made[dialect] = tuple(os.path.join(directory, f"{dialect}-{kind}.tar")
                              for kind in ("dense", "sparse"))
        for path, options in zip(made[dialect], ([], sparse)):
            processes.run([*command, *options, "--numeric-owner", "-C", top, "-cf", path, dialect])
        shutil.rmtree(top)
    return made
