# SPDX-License-Identifier: Apache-2.0
"""What the generators of golden files have in common: a tree that fits into a few KiB, and entries
of tables of contents in the form of tests/unit/format/dump.h, computed by another reader than the
one it tests."""

import base64
import datetime
import pathlib
import posixpath
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import estargz  # noqa: E402  pylint: disable=wrong-import-position


def small_tree():
    """Everything that a layer can hold, in a few KiB."""
    text = b"".join(b"line %d of a text that compresses\n" % i for i in range(400))
    noise = b"".join(estargz.hashlib.sha256(b"%d" % i).digest() for i in range(96))
    return [
        estargz.directory(""),
        estargz.directory("etc", uid=1, gid=2, uname="daemon", gname="bin"),
        estargz.file("etc/empty", mtime=0),
        estargz.file("etc/text", text, mode=0o4755, xattrs={"user.comment": b"\x00\xffbinary"}),
        estargz.file("etc/noise", noise),
        estargz.file("etc/one", b"1"),
        estargz.hardlink("etc/again", "etc/text"),
        estargz.hardlink("lower", "not/in/this/layer"),
        estargz.symlink("bin", "usr/./bin/"),
        estargz.device("dev/null", "char", 1, 3, mode=0o666),
        estargz.device("dev/loop0", "block", 7, 0),
        estargz.fifo("run/pipe", uid=4294967294),
        estargz.whiteout("etc/gone"),
        estargz.opaque("srv"),
        estargz.file("n" * 255, b"a long name"),
        estargz.file("d/" * 100 + "deep", b"a long path"),
        estargz.file("odd/<&>\u00e9\n\\ name", b"an odd name", xattrs={
            "security.capability": bytes.fromhex("0100000200200000000000000000000000000000"),
            "user.empty": b"",
        }),
        estargz.file("twice", b"first"),
        estargz.file("twice", b"second"),
        estargz.file("zeros", bytes(10000)),
        estargz.directory("last"),
    ]


def shown(text):
    """Bytes outside printable ASCII as \\xNN."""
    return "".join(
        chr(c) if 0x20 < c < 0x7F and c != 0x5C else f"\\x{c:02x}" for c in text.encode()
    )


def clean(name):
    return posixpath.normpath("/" + name).lstrip("/")


def seconds(moment):
    """Of RFC 3339, UTC; a fraction stays as it is written."""
    whole, _, fraction = (moment or "1970-01-01T00:00:00Z").rstrip("Z").partition(".")
    parsed = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    result = int(parsed.replace(tzinfo=datetime.timezone.utc).timestamp())
    return f"{result}.{fraction:0<9}" if fraction.strip("0") else str(result)


def head(entry, name):
    line = f"{entry['type']} {shown(name) or '/'} {entry.get('mode', 0) & 0o7777:04o}"
    line += f" {entry.get('uid', 0)}:{entry.get('gid', 0)} {seconds(entry.get('modtime'))}"
    if entry["type"] == "reg":
        line += f" size {entry.get('size', 0)}"
    if entry["type"] == "symlink":
        line += f" -> {shown(entry['linkName'])}"
    if entry["type"] == "hardlink":
        line += f" -> {shown(clean(entry['linkName']))}"
    if entry["type"] in ("char", "block"):
        line += f" dev {entry.get('devMajor', 0)}:{entry.get('devMinor', 0)}"
    yield line
    for key, value in entry.get("xattrs", {}).items():
        yield f"  xattr {shown(key)} {base64.b64decode(value).hex()}"


def chunk(entry, file_size, blob_off, blob_size, codec):
    at, size = entry.get("chunkOffset", 0), entry.get("chunkSize", 0)
    digest = entry.get("chunkDigest") or entry.get("digest") or "sha256:" + 64 * "0"
    line = f"  chunk {at}+{size or file_size - at} at {blob_off}+{blob_size}"
    line += f" inner {entry.get('innerOffset', 0)} {codec} {digest[7:23]}"
    return line + (" zeros" if entry.get("chunkType") == "zeros" else "")


def write_all(directory, blobs, failing_blobs, write):
    """Both kinds of blobs, by write(name, blob), and the words that refuse those of the second."""
    for name, blob in blobs:
        write(name, blob)
    for name, blob, words in failing_blobs:
        write(f"should-fail-{name}", blob)
        (directory / f"should-fail-{name}.error").write_text(words + "\n")


def readable(directory):
    """The blobs that should be read, also those of other programs."""
    return [path for path in sorted(directory.glob("*.blob"))
            if not path.name.startswith("should-fail-")]
