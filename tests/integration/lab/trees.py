# SPDX-License-Identifier: Apache-2.0
"""Reads file trees into comparable form. The oracle is what `umoci unpack` made of the image."""
import errno
import hashlib
import os
import stat


def read(root, content=True, tolerant=False):
    """{path: attributes} of everything below root, root itself as "."; paths are bytes. tolerant:
    an errno stands for what this user may not read."""
    root = os.fsencode(root)
    found = {}
    stack = [b""]
    while stack:
        relative = stack.pop()
        path = os.path.join(root, relative) if relative else root
        entry = found[relative or b"."] = attributes(path, content and not tolerant)
        try:
            if tolerant and entry["type"] == stat.S_IFREG:
                entry["sha256"] = file_hash(path)
            if entry["type"] == stat.S_IFDIR:
                stack.extend(os.path.join(relative, name) for name in os.listdir(path))
        except PermissionError as error:
            if not tolerant:
                raise
            entry["refused"] = errno.errorcode[error.errno]
    return found


def attributes(path, content):
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    result = {"type": kind, "mode": stat.S_IMODE(info.st_mode), "uid": info.st_uid,
              "gid": info.st_gid, "mtime_ns": info.st_mtime_ns, "nlink": info.st_nlink,
              "xattrs": xattrs(path)}
    if kind == stat.S_IFREG:
        result["size"] = info.st_size
        if content:
            result["sha256"] = file_hash(path)
    elif kind == stat.S_IFLNK:
        result["target"] = os.readlink(path)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        result["device"] = (os.major(info.st_rdev), os.minor(info.st_rdev))
    return result


def xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        # A file system may have none at all; an error of any other kind is one.
        if error.errno != errno.EOPNOTSUPP:
            raise
        return {}
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def file_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _in_seconds(entry):
    """The resolution of stargz: Go's Round(time.Second)."""
    return {**entry, "mtime_ns": (entry["mtime_ns"] + 500_000_000) // 10**9 * 10**9}


def differences(expected, actual, no_mtime=(), whole_seconds=True):
    """Lines that say how actual differs; no_mtime are paths whose times mean nothing (implicit
    directories; the root's never do)."""
    lines = [f"missing: {path!r}" for path in sorted(expected.keys() - actual.keys())]
    lines += [f"not expected: {path!r}" for path in sorted(actual.keys() - expected.keys())]
    for path in sorted(expected.keys() & actual.keys()):
        skip = {"mtime_ns"} if path == b"." or path in no_mtime else set()
        wanted, found = expected[path], actual[path]
        if whole_seconds:
            wanted, found = _in_seconds(wanted), _in_seconds(found)
        lines += [f"{path!r}: {key} is {found.get(key)!r}, expected {wanted.get(key)!r}"
                  for key in sorted(wanted.keys() | found.keys())
                  if key not in skip and wanted.get(key) != found.get(key)]
    return lines


def assert_same(expected, actual, no_mtime=(), whole_seconds=True):
    lines = differences(expected, actual, no_mtime, whole_seconds)
    assert not lines, f"{len(lines)} differences:\n" + "\n".join(lines[:50])
