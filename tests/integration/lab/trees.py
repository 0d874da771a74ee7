# SPDX-License-Identifier: Apache-2.0
"""Reads file trees into comparable form. The oracle is what `umoci unpack` made of the image."""
import hashlib
import os
import stat


def read(root, content=True):
    """{path: attributes} of everything below root, root itself as "."; paths are bytes."""
    root = os.fsencode(root)
    found = {}
    stack = [b""]
    while stack:
        relative = stack.pop()
        path = os.path.join(root, relative) if relative else root
        found[relative or b"."] = attributes(path, content)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            stack.extend(os.path.join(relative, name) for name in os.listdir(path))
    return found


def attributes(path, content):
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    result = {"type": kind, "mode": stat.S_IMODE(info.st_mode), "uid": info.st_uid,
              "gid": info.st_gid, "mtime": int(info.st_mtime), "xattrs": xattrs(path)}
    if kind != stat.S_IFDIR:
        result["nlink"] = info.st_nlink
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
    except OSError:
        return {}
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def file_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def differences(expected, actual, no_mtime=()):
    """Lines that say how actual differs; no_mtime are paths whose times mean nothing (implicit
    directories; the root's never do)."""
    lines = [f"missing: {path!r}" for path in sorted(expected.keys() - actual.keys())]
    lines += [f"not expected: {path!r}" for path in sorted(actual.keys() - expected.keys())]
    for path in sorted(expected.keys() & actual.keys()):
        skip = {"mtime"} if path == b"." or path in no_mtime else set()
        wanted, found = expected[path], actual[path]
        lines += [f"{path!r}: {key} is {found.get(key)!r}, expected {wanted.get(key)!r}"
                  for key in sorted(wanted.keys() | found.keys())
                  if key not in skip and wanted.get(key) != found.get(key)]
    return lines
