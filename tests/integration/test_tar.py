# SPDX-License-Identifier: Apache-2.0
"""Tar archives as other programs list them: GNU tar, bsdtar and Python's tarfile, over the corpus of
the fuzz target and over archives of random trees in every dialect that the programs here write."""
import datetime
import os
import pathlib
import posixpath
import re
import shutil
import stat
import subprocess
import sys

import pytest

from lab import torture

TOP = pathlib.Path(__file__).resolve().parents[2]
# Archives in every dialect, and those that images come in.
CORPORA = [TOP / "tests/fuzz/corpus" / name for name in ("tar", "tar_members")]
sys.path.insert(0, str(TOP / "tests/support"))

import tar_dump  # noqa: E402

GNU_DIALECTS = {
    "v7": ["--format=v7"],
    "ustar": ["--format=ustar"],
    "oldgnu": ["--format=oldgnu"],
    "gnu": ["--format=gnu"],
    "pax": ["--format=pax", "--xattrs", "--xattrs-include=*"],
    "pax-global": ["--format=pax", "--pax-option=comment=x,gid=77"],
    "sparse-old": ["--format=gnu", "--sparse", "--hole-detection=raw"],
    "sparse-0.0": ["--format=pax", "--sparse-version=0.0", "--hole-detection=raw"],
    "sparse-0.1": ["--format=pax", "--sparse-version=0.1", "--hole-detection=raw"],
    "sparse-1.0": ["--format=pax", "--sparse-version=1.0", "--hole-detection=raw"],
}
BSDTAR_DIALECTS = {
    "v7": ["--format=v7"],
    "ustar": ["--format=ustar"],
    "gnutar": ["--format=gnutar"],
    "pax": ["--format=pax", "--xattrs"],
    "restricted": ["--format=paxr"],
}


def build_directory():
    """The build that VARVE_BIN (BUILD/src/cli/varve) belongs to; otherwise the usual one."""
    binary = os.environ.get("VARVE_BIN")
    return pathlib.Path(binary).parents[2] if binary else TOP / "build"


def run(*command, locale="C"):
    return subprocess.run([str(word) for word in command], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=dict(os.environ, TZ="UTC", LC_ALL=locale))


def our_dump(archive):
    result = run(build_directory() / "tests/unit/format/tar_tool", archive)
    return result.stdout.decode() if result.returncode == 0 else None


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def cleaned(name):
    return posixpath.normpath(b"/" + name).lstrip(b"/")


def unescaped(text):
    """Of \\xNN, as in our dump, of \\NNN, as in mtree and GNU tar's listing, and of its \\n and such."""
    letters = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b"\\": 92}

    def byte(match):
        code = match.group(1)
        if code in letters:
            return bytes([letters[code]])
        return bytes([int(code[1:], 16) if code[:1] == b"x" else int(code, 8)])

    return re.sub(rb"\\(x[0-9a-f]{2}|[0-7]{3}|[abtnvfr\\])", byte, text)


def rows_of_dump(dump):
    """Of each entry: type, name, mode, owner, mtime, size, link, device."""
    rows = []
    for line in dump.splitlines():
        if line.startswith("  "):
            continue
        kind, name, mode, owner, mtime, *rest = line.encode().split(b" ")
        more = dict(zip(rest[0::2], rest[1::2]))
        name = b"" if name == b"/" else unescaped(name)
        rows.append({"type": kind.decode(), "name": name, "mode": int(mode, 8),
                     "owner": owner.decode(), "mtime": mtime.decode(),
                     "size": int(more.get(b"size", 0)), "link": unescaped(more.get(b"->", b"")),
                     "device": more.get(b"dev", b"").decode()})
    return rows


def mode_of(letters):
    """Of "rwxr-sr-t"."""
    bits = sum(0o400 >> i for i, letter in enumerate(letters) if letter not in "-ST")
    special = (0o4000 if letters[2] in "sS" else 0) + (0o2000 if letters[5] in "sS" else 0)
    return bits + special + (0o1000 if letters[8] in "tT" else 0)


def time_of(date):
    """None for what datetime cannot express, and for fractions before 1970: one program takes them
    for seconds before, the other for seconds after the whole ones."""
    whole, _, fraction = date.partition(".")
    try:
        moment = datetime.datetime.strptime(whole, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    seconds = int((moment - datetime.datetime(1970, 1, 1)).total_seconds())
    if seconds < 0 and fraction:
        return None
    return f"{seconds}.{fraction.ljust(9, '0')}" if fraction else str(seconds)


def rows_of_gnu_tar(archive):
    """None when GNU tar finds something wrong with it."""
    result = run("tar", "--list", "-v", "--full-time", "--numeric-owner", "--quoting-style=escape",
                 "--absolute-names", "--file", archive)
    if result.returncode != 0:
        return None
    types = {"-": "reg", "C": "reg", "d": "dir", "l": "symlink", "h": "hardlink", "c": "char",
             "b": "block", "p": "fifo"}
    rows = []
    for line in result.stdout.splitlines():
        match = re.match(rb"(.)(.{9})\S? (\d+/\d+) +([\d,]+) (\S+ \S+) +(.*)", line, re.S)
        kind, letters, owner, size, date = (match.group(i).decode() for i in range(1, 6))
        if kind == "V":
            continue
        name, _, link = match.group(6).partition({"l": b" -> ", "h": b" link to "}.get(kind, b"\0"))
        is_device = "," in size
        link = unescaped(link)
        rows.append({"type": types[kind], "name": cleaned(unescaped(name)), "mode": mode_of(letters),
                     "owner": owner.replace("/", ":"), "mtime": time_of(date),
                     "size": int(size) if kind in "-C" else 0,
                     "link": cleaned(link) if kind == "h" else link,
                     "device": size.replace(",", ":") if is_device else ""})
    return rows


def rows_of_bsdtar(archive):
    """None when bsdtar finds something wrong with it. By name, as mtree has no order; hard links
    are not told from files."""
    result = run("bsdtar", "-cf", "-", "--format=mtree",
                 "--options=!all,type,mode,uid,gid,size,time,link,device", f"@{archive}",
                 locale="C.UTF-8")
    if result.returncode != 0:
        return None
    types = {"file": "reg", "dir": "dir", "link": "symlink", "char": "char", "block": "block",
             "fifo": "fifo"}
    rows = {}
    for line in result.stdout.splitlines()[1:]:
        name, *words = line.split(b" ")
        word = dict(item.decode("latin-1").split("=", 1) for item in words)
        seconds, _, nanoseconds = word["time"].partition(".")
        has_fraction = int(nanoseconds) != 0
        device = word.get("device", "").split(",")
        rows[cleaned(unescaped(name))] = {
            "type": types[word["type"]], "mode": int(word["mode"], 8),
            "owner": f"{word['uid']}:{word['gid']}",
            "mtime": f"{seconds}.{int(nanoseconds):09d}" if has_fraction else seconds,
            "size": int(word.get("size", 0)) if word["type"] == "file" else 0,
            "link": unescaped(word.get("link", "").encode("latin-1")),
            "device": ":".join(device[1:])}
    return rows


def check_gnu_tar(archive, rows):
    theirs = rows_of_gnu_tar(archive)
    if theirs is None:
        return False
    ours = [dict(row, mtime=row["mtime"] if their["mtime"] is not None else None)
            for row, their in zip(rows, theirs)]
    assert ours == theirs
    assert len(rows) == len(theirs)
    return True


def check_bsdtar(archive, rows):
    theirs = rows_of_bsdtar(archive)
    if theirs is None:
        return False
    assert {row["name"] for row in rows} == set(theirs)
    for row in rows:
        their = theirs[row["name"]]
        if row["type"] == "hardlink" or row["mtime"].startswith("-"):
            continue
        assert {key: row[key] for key in their} == their, row["name"]
    return True


def corpus():
    return sorted(path for directory in CORPORA for path in directory.iterdir())


@pytest.mark.parametrize("archive", corpus(), ids=lambda path: path.name)
def test_the_corpus_is_listed_alike(archive):
    dump = our_dump(archive)
    if dump is None:
        assert rows_of_gnu_tar(archive) is None
        return
    rows = rows_of_dump(dump)
    assert dump == tar_dump.dump(archive.read_bytes())
    assert check_gnu_tar(archive, rows)
    # bsdtar knows neither global headers nor the directories of incremental archives.
    known = archive.name not in ("gnu-global", "gnu-incremental")
    if shutil.which("bsdtar") and known:
        assert check_bsdtar(archive, rows)


def must(check):
    """The other program takes the archive, too."""
    def checked(archive, rows):
        assert check(archive, rows)
    return checked


def test_the_layers_of_the_torture_image_are_listed_alike(tmp_path):
    need("bsdtar")
    if os.geteuid() != 0:
        pytest.skip("making devices needs root")
    for path in torture.layers(str(tmp_path)):
        check_archive(pathlib.Path(path), [must(check_gnu_tar), must(check_bsdtar)])


def random_name(rng):
    letters = "abcXYZ0._- é\n\\=%+"
    size = rng.choice((1, 3, 8, 40, 99, 100, 101, 180))
    name = "".join(rng.choice(letters) for _ in range(size)).strip(". ") or "x"
    return name.encode()[:250].decode("utf-8", "ignore")


def fill_sparse(rng, path):
    with open(path, "wb") as file:
        at = 0
        for _ in range(rng.randrange(8)):
            at += rng.choice((0, 1, 512, 4096, 70000)) + rng.randrange(3) * 512
            file.seek(at)
            file.write(bytes([rng.randrange(1, 256)]) * rng.choice((1, 511, 512, 4097)))
            at = file.tell()
        file.truncate(at + rng.choice((0, 1, 512, 100000)))


def fill(rng, path):
    path.write_bytes(rng.randbytes(rng.choice((0, 1, 511, 512, 513, 5000))))


def decorate(rng, path):
    if not path.is_symlink():
        os.chmod(path, rng.choice((0o644, 0o755, 0o4755, 0o2700, 0o1777, 0o400)))
        if rng.random() < 0.3:
            os.setxattr(path, b"trusted.\xffname", rng.randbytes(rng.randrange(30)))
    os.utime(path, ns=(0, rng.choice((0, 1, 10**18 + 5, 17 * 10**17 + 5 * 10**8, 2**33 * 10**9))),
             follow_symlinks=False)


def make_tree(rng, top):
    """Up to 40 files of all types."""
    top.mkdir()
    directories, files = [top], []
    for _ in range(rng.randrange(3, 40)):
        path = rng.choice(directories) / random_name(rng)
        kind = rng.choice(("dir", "file", "file", "sparse", "symlink", "hard", "fifo", "device"))
        if os.path.lexists(path) or len(bytes(path)) > 3000:
            continue
        if kind == "dir":
            path.mkdir()
            directories.append(path)
        elif kind == "symlink":
            path.symlink_to("/".join(random_name(rng) for _ in range(rng.randrange(1, 6))))
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "device":
            os.mknod(path, rng.choice((stat.S_IFCHR, stat.S_IFBLK)) | 0o600,
                     os.makedev(rng.choice((1, 255, 4095)), rng.choice((0, 255, 262143))))
        elif kind == "hard" and files:
            os.link(rng.choice(files), path)
        else:
            (fill_sparse if kind == "sparse" else fill)(rng, path)
            files.append(path)
    for path in sorted(top.rglob("*"), reverse=True):
        if rng.random() < 0.5:
            owner = rng.choice((1000, 2097151, 2097152, 4294967294))
            os.chown(path, owner, owner, follow_symlinks=False)
        decorate(rng, path)


def check_archive(archive, rows_checks):
    dump = our_dump(archive)
    assert dump is not None, run(build_directory() / "tests/unit/format/tar_tool", archive).stderr
    assert dump == tar_dump.dump(archive.read_bytes())
    rows = rows_of_dump(dump)
    for check in rows_checks:
        check(archive, rows)


@pytest.mark.parametrize("dialect", GNU_DIALECTS)
def test_archives_of_gnu_tar_are_listed_alike(dialect, tmp_path, rng, long):
    if os.geteuid() != 0:
        pytest.skip("making devices and giving files away needs root")
    for i in range(20 if long else 4):
        tree, archive = tmp_path / f"{i}", tmp_path / f"{i}.tar"
        make_tree(rng, tree)
        # What a dialect cannot express is left out: exit code 2.
        run("tar", "--create", "--file", archive, "--numeric-owner", *GNU_DIALECTS[dialect],
            "--directory", tree, ".")
        check_archive(archive, [check_gnu_tar])


@pytest.mark.parametrize("dialect", BSDTAR_DIALECTS)
def test_archives_of_bsdtar_are_listed_alike(dialect, tmp_path, rng, long):
    need("bsdtar")
    if os.geteuid() != 0:
        pytest.skip("making devices and giving files away needs root")
    for i in range(20 if long else 4):
        tree, archive = tmp_path / f"{i}", tmp_path / f"{i}.tar"
        make_tree(rng, tree)
        run("bsdtar", "-cf", archive, "--numeric-owner", *BSDTAR_DIALECTS[dialect], "-C", tree, ".",
            locale="C.UTF-8")
        check_archive(archive, [check_bsdtar])
