#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/golden/tar/generate.py      (as root: it makes devices and gives files away)

Writes archives in every dialect with the programs that speak it - GNU tar, bsdtar, Python, git,
umoci - into tests/fuzz/corpus/tar/NAME, and what is to be read from each into NAME.dump beside this
file, in the form of tests/unit/format/dump.h. The dump is computed by Python's tarfile and not by
what it tests. Archives that are there already are kept, and so is their dump if it still agrees.
"""

import gzip
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / "fuzz/corpus/tar"
sys.path.insert(0, str(HERE.parents[1] / "support"))

import tar_dump  # noqa: E402

TIME = 1700000000
NO_ATIME = "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def run(*command, cwd=None, **more):
    subprocess.run([str(word) for word in command], cwd=cwd, check=True, **more)


def set_times(top):
    for path in sorted(top.rglob("*"), reverse=True):
        os.utime(path, ns=(TIME * 10**9,) * 2, follow_symlinks=False)
    os.utime(top, ns=(TIME * 10**9,) * 2)


def make_tree(top):
    """One of each kind, as every dialect can have it."""
    top.mkdir()
    etc = top / "etc"
    etc.mkdir()
    (etc / "empty").write_bytes(b"")
    (etc / "text").write_bytes(b"line of a text\n" * 40)
    os.link(etc / "text", etc / "text hard")
    os.chmod(etc / "text", 0o4755)
    os.chown(etc / "empty", 12345, 54321)
    (top / "link").symlink_to("etc/../etc/./text")
    (top / ".wh.gone").write_bytes(b"")
    (top / "tmp").mkdir()
    os.chmod(top / "tmp", 0o1777)
    set_times(top)
    return top


def make_special(top):
    make_tree(top)
    os.mkfifo(top / "pipe")
    os.mknod(top / "null", 0o20666, os.makedev(1, 3))
    os.mknod(top / "loop0", 0o60660, os.makedev(7, 0))
    os.mknod(top / "large", 0o20600, os.makedev(300, 70000))
    set_times(top)
    return top


def make_long(top):
    top.mkdir()
    deep = top
    for _ in range(3):
        deep = deep / ("d" * 60)
    deep.mkdir(parents=True)
    (deep / ("n" * 120)).write_bytes(b"long name")
    (top / "link").symlink_to("t/" * 100)
    os.link(deep / ("n" * 120), top / "hard")
    os.chown(top / "hard", 3000000, 4294967294)
    set_times(top)
    os.utime(top / "hard", ns=(-TIME * 10**9 + 1,) * 2)
    os.utime(deep, ns=(TIME * 10**9 + 123456789,) * 2)
    return top


def make_xattrs(top):
    make_tree(top)
    os.setxattr(top / "etc/text", "security.capability", CAPABILITY)
    os.setxattr(top / "etc/text", "user.comment", b"\0\n\xff=")
    os.setxattr(top / "etc", "user.empty", b"")
    os.setxattr(top / "etc", "trusted.overlay.opaque", b"y")
    set_times(top)
    return top


def make_sparse(top):
    """Files with holes; those at the end of a file need raw detection, in units of 512 bytes."""
    top.mkdir()
    with open(top / "many", "wb") as file:
        for i in range(7):
            file.seek(i * 8192)
            file.write(bytes([65 + i]) * 512)
        file.truncate(70000)
    with open(top / "begin", "wb") as file:
        file.seek(20000)
        file.write(b"end")
    with open(top / "all hole", "wb") as file:
        file.truncate(1 << 33)
    (top / "plain").write_bytes(b"no hole")
    set_times(top)
    return top


def gnu_tar(top, *options):
    return subprocess.run(
        ["tar", "--create", "--file=-", "--blocking-factor=1", "--sort=name", "--numeric-owner",
         *options, "."], cwd=top, check=True, stdout=subprocess.PIPE,
    ).stdout


def bsdtar(top, *options):
    return subprocess.run(
        ["bsdtar", "-c", "-b", "1", "-f", "-", "--numeric-owner", *options, "."],
        cwd=top, check=True, stdout=subprocess.PIPE,
    ).stdout


def python_tar(form, members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for changes, payload in members:
            info = tarfile.TarInfo()
            for key, value in changes.items():
                setattr(info, key, value)
            info.size = len(payload)
            tar.addfile(info, io.BytesIO(payload))
    return file.getvalue()[: (file.tell() // 10240) * 10240].rstrip(b"\0") + bytes(1024 + 512)


def git_archive(scratch):
    """Begins with a global header."""
    top = scratch / "repository"
    top.mkdir()
    (top / "script").write_text("#!/bin/sh\n")
    os.chmod(top / "script", 0o755)
    (top / "link").symlink_to("script")
    environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.com",
                        f"GIT_{role}_DATE": f"{TIME} +0000"}
    run("git", "init", "-q", cwd=top, env=environment)
    run("git", "add", ".", cwd=top, env=environment)
    run("git", "commit", "-q", "-m", "one", cwd=top, env=environment)
    return subprocess.run(["git", "archive", "--prefix=p/", "HEAD"], cwd=top, check=True,
                          env=environment, stdout=subprocess.PIPE).stdout


def umoci_layer(scratch):
    """What Go's archive/tar writes."""
    layout, tree = scratch / "layout", make_long(scratch / "umoci")
    os.setxattr(tree / "hard", "security.capability", CAPABILITY)
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:x")
    run("umoci", "insert", "--image", f"{layout}:x", tree, "/srv")

    def blob(descriptor):
        return (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()

    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(blob(index["manifests"][0]))
    return gzip.decompress(blob(manifest["layers"][0]))


def cut_blanks(archive):
    """Zeros at the end of a file are not worth their place in the repository."""
    return archive[: len(archive.rstrip(b"\0")) + 511 & ~511] + bytes(1024)


def archives(scratch):
    tree, special = make_tree(scratch / "tree"), make_special(scratch / "special")
    names, marked = make_long(scratch / "long"), make_xattrs(scratch / "marked")
    sparse = make_sparse(scratch / "sparse")
    raw = ("--sparse", "--hole-detection=raw")

    yield "gnu-v7", gnu_tar(tree, "--format=v7")
    yield "gnu-ustar", gnu_tar(special, "--format=ustar")
    yield "gnu-oldgnu", gnu_tar(special, "--format=oldgnu")
    yield "gnu-gnu", gnu_tar(special, "--format=gnu")
    yield "gnu-pax", gnu_tar(special, "--format=pax")
    yield "gnu-gnu-long", gnu_tar(names, "--format=gnu")
    yield "gnu-pax-long", gnu_tar(names, "--format=pax")
    yield "gnu-xattrs", gnu_tar(marked, "--format=pax", "--xattrs", "--xattrs-include=*", NO_ATIME)
    yield "gnu-global", gnu_tar(tree, "--format=pax", "--pax-option=comment=all,mtime=5.25,gid=7")
    yield "gnu-incremental", gnu_tar(tree, "--format=gnu", "--incremental", "--label=name")
    yield "gnu-sparse-old", gnu_tar(sparse, "--format=gnu", *raw)
    for version in ("0.0", "0.1", "1.0"):
        yield f"gnu-sparse-{version}", gnu_tar(
            sparse, "--format=pax", f"--sparse-version={version}", NO_ATIME, *raw)
    yield "bsdtar-v7", bsdtar(tree, "--format=v7")
    yield "bsdtar-ustar", bsdtar(special, "--format=ustar")
    yield "bsdtar-gnutar", bsdtar(names, "--format=gnutar")
    yield "bsdtar-pax", bsdtar(marked, "--format=pax", "--xattrs")
    yield "bsdtar-pax-long", bsdtar(names, "--format=pax")
    yield "bsdtar-pax-special", bsdtar(special, "--format=pax")
    yield "python-gnu", python_tar(tarfile.GNU_FORMAT, [
        ({"name": "../../up/./x", "uid": 2**31, "mtime": 2**40}, b"x"),
        ({"name": "/abs/" + "y" * 150, "mode": 0o100644}, b"")])
    yield "python-pax", python_tar(tarfile.PAX_FORMAT, [
        ({"name": "é/\n", "mtime": 1.5, "pax_headers": {"SCHILY.xattr.user.x": "é"}}, b"x"),
        ({"name": "big", "gid": 2**32 - 1}, b"")])
    yield "git", git_archive(scratch)
    yield "umoci", umoci_layer(scratch)


def main():
    scratch = pathlib.Path(tempfile.mkdtemp())
    CORPUS.mkdir(exist_ok=True)
    try:
        for name, archive in archives(scratch):
            path = CORPUS / name
            if not path.exists():
                path.write_bytes(cut_blanks(archive))
            (HERE / f"{name}.dump").write_text(tar_dump.dump(path.read_bytes()))
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
