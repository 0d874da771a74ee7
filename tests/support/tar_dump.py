# SPDX-License-Identifier: Apache-2.0
"""What a tar archive has, in the form of tests/unit/format/dump.h, read by Python's tarfile.

It reads all that GNU tar writes, but knows nothing of xattrs, times below a microsecond, and the
types and times of incremental archives; that is done here, from what it keeps.
"""

import base64
import hashlib
import io
import posixpath
import tarfile
import urllib.parse

TYPES = {
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
    b"D": "dir",
}
VOLUME_LABEL = b"V"


def as_bytes(text):
    return text.encode("utf-8", "surrogateescape")


def shown(text):
    """Bytes outside printable ASCII as \\xNN."""
    return "".join(
        chr(c) if 0x20 < c < 0x7F and c != 0x5C else f"\\x{c:02x}" for c in as_bytes(text)
    )


def clean(name):
    return posixpath.normpath("/" + name).lstrip("/")


def mtime(member):
    """Seconds and, unless they are none, nanoseconds: those of a float are not exact."""
    text = member.pax_headers.get("mtime", "")
    if not text:
        return str(int(member.mtime))
    whole, _, fraction = text.partition(".")
    nanoseconds = int(fraction[:9].ljust(9, "0"))
    seconds = int(whole)
    if whole.startswith("-") and nanoseconds:
        seconds, nanoseconds = seconds - 1, 10**9 - nanoseconds
    return f"{seconds}.{nanoseconds:09d}" if nanoseconds else str(seconds)


def xattrs(member):
    for key, value in member.pax_headers.items():
        if key.startswith("SCHILY.xattr."):
            yield key[len("SCHILY.xattr.") :], as_bytes(value)
        elif key.startswith("LIBARCHIVE.xattr."):
            name = urllib.parse.unquote(key[len("LIBARCHIVE.xattr.") :], errors="surrogateescape")
            yield name, base64.b64decode(value + "=" * (-len(value) % 4))


def device(member):
    return tuple(
        int(member.pax_headers.get(f"SCHILY.dev{half}", getattr(member, f"dev{half}")))
        for half in ("major", "minor")
    )


def segments(member):
    """(place in the file, size) of what is not a hole; neighbours are one."""
    merged = []
    for off, size in member.sparse or [(0, member.size)]:
        if size and merged and sum(merged[-1]) == off:
            merged[-1] = (merged[-1][0], merged[-1][1] + size)
        elif size:
            merged.append((off, size))
    return merged


def chunks(member, archive, previous):
    """Lines about the chunks, one for each segment and hole, and the place in the archive that a
    file which is all hole would have after them."""
    lines, at, end = [], member.offset_data, 0

    def hole(upto, place):
        if upto > end:
            lines.append(f"  chunk {end}+{upto - end} at 0+0 inner {place} none {'0' * 16} zeros")

    for off, size in segments(member):
        hole(off, at)
        digest = hashlib.sha256(archive[at : at + size]).hexdigest()[:16]
        lines.append(f"  chunk {off}+{size} at 0+{len(archive)} inner {at} none {digest}")
        previous, at, end = at, at + size, off + size
    hole(member.size, previous)
    return lines, previous


def name_of(member, archive):
    """In a GNU header, tarfile takes the time of the last access for a prefix; and of two names, the
    one that comes last."""
    if "GNU.sparse.name" in member.pax_headers:
        return member.pax_headers["GNU.sparse.name"]
    header = archive[member.offset_data - 512 : member.offset_data]
    time = header[345:356].decode("latin-1")
    if header[257:265] == b"ustar  \0" and member.name.startswith(time + "/"):
        return member.name[len(time) + 1 :]
    return member.name


def head(member, kind, name):
    line = f"{kind} {shown(clean(name)) or '/'} {member.mode & 0o7777:04o}"
    line += f" {member.uid}:{member.gid} {mtime(member)}"
    if kind == "reg":
        line += f" size {member.size}"
    elif kind == "symlink":
        line += f" -> {shown(member.linkname)}"
    elif kind == "hardlink":
        line += f" -> {shown(clean(member.linkname))}"
    elif kind in ("char", "block"):
        major, minor = device(member)
        line += f" dev {major}:{minor}"
    return line


def dump(archive):
    lines, previous = [], 0
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", errors="surrogateescape") as tar:
        for member in tar:
            if member.type == VOLUME_LABEL:
                continue
            kind = TYPES.get(member.type, "reg")
            lines.append(head(member, kind, name_of(member, archive)))
            lines += [f"  xattr {shown(name)} {value.hex()}" for name, value in xattrs(member)]
            if kind == "reg":
                more, previous = chunks(member, archive, previous)
                lines += more
    return "".join(line + "\n" for line in lines)
