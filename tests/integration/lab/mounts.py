# SPDX-License-Identifier: Apache-2.0
"""Mounts as the kernel lists them, and file systems of a test's own."""
import contextlib
import ctypes
import dataclasses
import errno
import os
import re
import subprocess

from . import processes

MNT_DETACH = 2
MS_RDONLY = 1

libc = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass
class Mount:
    directory: str
    kind: str
    source: str
    device: str
    options: str


def table(pid="self"):
    """All mounts of a process' namespace. Touches none of them, so a hanging one does no harm."""
    found = []
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.rstrip("\n").partition(" - ")
            fields, (kind, source, *_) = left.split(" "), right.split(" ")
            found.append(Mount(_unescape(fields[4]), kind, _unescape(source), fields[2], fields[5]))
    return found


def _unescape(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def at(directory, pid="self"):
    """The topmost mount on a directory, or None."""
    return next((m for m in reversed(table(pid)) if m.directory == directory), None)


def below(directory):
    """Mounts on a directory and inside it, the newest first."""
    inside = directory.rstrip("/") + "/"
    return [m for m in reversed(table()) if (m.directory + "/").startswith(inside)]


def detach(directory):
    """Takes a mount away, whoever uses it."""
    libc.umount2(os.fsencode(directory), MNT_DETACH)


@contextlib.contextmanager
def bound(source, target):
    """A directory that is entered without the permissions of those above it."""
    os.makedirs(target)
    processes.run(["mount", "--bind", source, target])
    try:
        yield target
    finally:
        detach(target)


def abort_fuse(device):
    """Ends a FUSE connection ("0:45"): whoever waits for it gets an error."""
    path = f"/sys/fs/fuse/connections/{device.split(':')[1]}/abort"
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write("1")
    except OSError:
        pass  # gone already, or the control file system is not mounted


def why_no_erofs(directory):
    """None where this kernel mounts EROFS images from files, otherwise what it lacks."""
    image, target = os.path.join(directory, "probe.erofs"), os.path.join(directory, "probe")
    os.makedirs(target, exist_ok=True)
    processes.run(["mkfs.erofs", image, target])
    if libc.mount(os.fsencode(image), os.fsencode(target), b"erofs", MS_RDONLY, None) == 0:
        detach(target)
        return None
    number = ctypes.get_errno()
    if number == errno.ENOTBLK:
        return "this kernel mounts erofs only from block devices (before 6.12)"
    return f"this kernel or container cannot mount erofs: {os.strerror(number)}"


class Disk:
    """A small ext4 of a test's own on a loop device."""

    def __init__(self, directory, size):
        self.image, self.dir = f"{directory}.img", directory
        os.makedirs(directory)
        with open(self.image, "wb") as file:
            file.truncate(size)
        processes.run(["mkfs.ext4", "-q", "-m", "0", "-F", self.image])
        self.mount()

    def mount(self, *options):
        processes.run(["mount", "-o", ",".join(["loop", *options]), self.image, self.dir])

    def unmount(self):
        processes.run(["umount", self.dir])

    def fill(self, leave):
        """Takes space away until no more than this many bytes are left."""
        with open(os.path.join(self.dir, "ballast"), "ab") as file:
            while (free := self.free()) > leave:
                file.write(bytes(min(free - leave, 1 << 20)))
                file.flush()
                os.fsync(file.fileno())

    def free(self):
        numbers = os.statvfs(self.dir)
        return numbers.f_bavail * numbers.f_frsize

    def relieve(self):
        os.unlink(os.path.join(self.dir, "ballast"))


def can_loop():
    return subprocess.run(["losetup", "-f"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0
