# SPDX-License-Identifier: Apache-2.0
"""The kernel's own reading of an index is the referee of ours: it mounts what the writer wrote,
with the data files as devices, and every name has to look the same as through our reader."""
import ctypes
import errno
import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BLOCK = 4096
MS_RDONLY = 1
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


def build_directory():
    """The build that VARVE_BIN (BUILD/src/cli/varve) belongs to; otherwise the usual one."""
    binary = os.environ.get("VARVE_BIN")
    return pathlib.Path(binary).parents[2] if binary else TOP / "build"


def index_tool(*arguments):
    tool = build_directory() / "tests/unit/index/index_tool"
    result = subprocess.run([tool, *map(str, arguments)], check=True, stdout=subprocess.PIPE)
    return result.stdout


def dump(image):
    """What our reader says: path in bytes (b"" for the root's own is absent) -> attributes."""
    lines = index_tool("dump", image).decode().splitlines()
    entries = [json.loads(line) for line in lines]
    return {bytes.fromhex(entry["path"])[1:]: entry for entry in entries}


def mount_erofs(image, devices, target):
    """mount(2) of the file itself; skips where the kernel cannot."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    options = ",".join(f"device={device}" for device in devices).encode()
    if libc.mount(os.fsencode(image), os.fsencode(target), b"erofs", MS_RDONLY, options) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.ENODEV:
        pytest.skip("this kernel has no erofs")
    if number == errno.ENOTBLK:
        pytest.skip("this kernel mounts erofs only from block devices (before 6.12)")
    if number == errno.EPERM:
        pytest.skip("mounting is not permitted here")
    raise OSError(number, os.strerror(number), str(image))


@pytest.fixture(name="mount")
def mount_fixture(tmp_path):
    """mount(image, devices) -> mount point, unmounted afterwards."""
    mounted = []

    def mount(image, devices):
        target = tmp_path / f"mount{len(mounted)}"
        target.mkdir()
        mount_erofs(image, devices, target)
        mounted.append(target)
        return os.fsencode(target)

    yield mount
    for target in mounted:
        libc.umount2(os.fsencode(target), MNT_DETACH)


@pytest.fixture(name="torture", scope="module")
def torture_fixture(tmp_path_factory):
    """A directory with the torture index and its devices."""
    directory = tmp_path_factory.mktemp("torture")
    index_tool("torture", directory)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(name="layers")
def layers_fixture(tmp_path):
    """(directory, keys of the layers, key of the image): three layers and their merged tree."""
    keys = index_tool("layers", tmp_path).decode().split()
    return tmp_path, keys[:-1], keys[-1]


def mount_overlay(lowers, target):
    """Lowest first."""
    options = b"lowerdir=" + b":".join(reversed(lowers))
    if libc.mount(b"overlay", os.fsencode(target), b"overlay", MS_RDONLY, options) != 0:
        number = ctypes.get_errno()
        pytest.skip(f"overlayfs does not take these layers: {os.strerror(number)}")


def names_below(root):
    """Every path below root, relative, in bytes."""
    found = []
    pending = [b""]
    while pending:
        here = pending.pop()
        with os.scandir(os.path.join(root, here)) as entries:
            for entry in entries:
                path = os.path.join(here, entry.name)
                found.append(path)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
    return found


def xattrs_of(path):
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in names}


def check_attributes(path, expected):
    status = os.lstat(path)
    assert status.st_ino == expected["nid"]
    assert status.st_mode == expected["mode"]
    assert status.st_uid == expected["uid"]
    assert status.st_gid == expected["gid"]
    assert status.st_nlink == expected["nlink"]
    assert status.st_size == expected["size"]
    assert status.st_mtime_ns == expected["mtime_s"] * 10**9 + expected["mtime_ns"]
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        assert os.major(status.st_rdev) == expected["major"]
        assert os.minor(status.st_rdev) == expected["minor"]
    if stat.S_ISLNK(status.st_mode):
        assert os.readlink(path).hex() == expected["target"]
    assert xattrs_of(path) == expected["xattrs"]


def places_to_read(size):
    """All of a file of usual size; of a huge one its ends and the places where 32 bits wrap."""
    if size <= 64 << 20:
        return [(0, size)]
    offsets = [0, 2 << 30, (4 << 30) - BLOCK, 4 << 30, size - BLOCK - 5]
    return [(offset, min(BLOCK * 3, size - offset)) for offset in offsets if offset < size]


def check_content(path, expected, devices):
    if expected["size"] == 0:
        return
    with open(path, "rb") as file, open(devices[expected["device"]], "rb") as device:
        for offset, size in places_to_read(expected["size"]):
            file.seek(offset)
            device.seek(expected["data_off"] + offset)
            assert file.read(size) == device.read(size)


def check_tree(root, entries, devices):
    assert sorted(names_below(root)) == sorted(entries)
    for name, expected in entries.items():
        path = os.path.join(root, name)
        try:
            check_attributes(path, expected)
            if stat.S_ISREG(expected["mode"]):
                check_content(path, expected, devices)
        except AssertionError as error:
            raise AssertionError(f"{name!r}: {error}") from error


def test_the_kernel_reads_a_torture_tree_as_we_do(torture, mount):
    devices = [torture / "0.data", torture / "1.data"]
    entries = dump(torture / "torture.erofs")
    assert len(entries) > 16000
    check_tree(mount(torture / "torture.erofs", devices), entries, devices)


def test_a_link_count_of_the_kernel_is_the_number_of_names(torture, mount):
    root = mount(torture / "torture.erofs", [torture / "0.data", torture / "1.data"])
    names = {}
    for name in names_below(root):
        status = os.lstat(os.path.join(root, name))
        if not stat.S_ISDIR(status.st_mode):
            names.setdefault(status.st_ino, []).append(status.st_nlink)
    for counts in names.values():
        assert set(counts) == {len(counts)}


def test_fsck_accepts_the_torture_tree(torture):
    if not shutil.which("fsck.erofs"):
        pytest.skip("fsck.erofs is not installed")
    # It recurses once per level of directories, and the tree is 1000 deep.
    result = subprocess.run(
        ["prlimit", f"--stack={256 << 20}", "fsck.erofs", f"--device={torture}/0.data",
         f"--device={torture}/1.data", torture / "torture.erofs"],
        capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_kernel_reads_every_layer_and_the_image_as_we_do(layers, mount):
    directory, keys, image = layers
    devices = [directory / f"{number}.data" for number in range(len(keys))]
    for key, device in zip(keys, devices):
        index = directory / f"{key}.erofs"
        check_tree(mount(index, [device]), dump(index), [device])
    index = directory / f"{image}.erofs"
    check_tree(mount(index, devices), dump(index), devices)


def visible(root, name):
    """What a merged tree shows of a file, whoever merged it."""
    path = os.path.join(root, name)
    status = os.lstat(path)
    shown = [status.st_mode, status.st_uid, status.st_gid, status.st_rdev, status.st_mtime_ns]
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            shown.append(file.read())
    if stat.S_ISLNK(status.st_mode):
        shown.append(os.readlink(path))
    xattrs = xattrs_of(path)
    return shown + [{key: xattrs[key] for key in xattrs if ".overlay." not in key}]


def test_overlayfs_makes_of_the_layers_what_we_do(layers, mount, tmp_path):
    directory, keys, image = layers
    devices = [directory / f"{number}.data" for number in range(len(keys))]
    lowers = [mount(directory / f"{key}.erofs", [device]) for key, device in zip(keys, devices)]
    merged = mount(directory / f"{image}.erofs", devices)
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    mount_overlay(lowers, overlay)
    try:
        names = sorted(names_below(merged))
        assert sorted(names_below(os.fsencode(overlay))) == names
        for name in names:
            assert visible(os.fsencode(overlay), name) == visible(merged, name), name
    finally:
        libc.umount2(os.fsencode(overlay), MNT_DETACH)
