# SPDX-License-Identifier: Apache-2.0
"""How a mount behaves towards the system it is in: writing, executing, df, unmounting, owners."""
import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from lab import faults, mounts, processes, trees, varve

WRITES = {
    "create": lambda p: os.open(p("new"), os.O_CREAT | os.O_WRONLY, 0o644),
    "open for writing": lambda p: os.open(p("sizes/1"), os.O_WRONLY),
    "truncate": lambda p: os.truncate(p("sizes/4096"), 0),
    "mkdir": lambda p: os.mkdir(p("new")),
    "rmdir": lambda p: os.rmdir(p("links/b")),
    "unlink": lambda p: os.unlink(p("sizes/1")),
    "rename": lambda p: os.rename(p("sizes/1"), p("sizes/one")),
    "link": lambda p: os.link(p("sizes/1"), p("sizes/one")),
    "symlink": lambda p: os.symlink("x", p("new")),
    "mknod": lambda p: os.mknod(p("new"), stat.S_IFIFO | 0o600),
    "chmod": lambda p: os.chmod(p("sizes/1"), 0o600),
    "chown": lambda p: os.chown(p("sizes/1"), 1, 1),
    "utime": lambda p: os.utime(p("sizes/1"), (1, 1)),
    "setxattr": lambda p: os.setxattr(p("sizes/1"), "user.new", b"x"),
    "removexattr": lambda p: os.removexattr(p("xattrs/many"), "user.n1"),
}


def test_every_way_to_write_is_refused_as_read_only(lab, face):
    mount = lab.mounted("torture", face)
    for name, write in WRITES.items():
        with pytest.raises(OSError) as caught:
            write(mount.path)
        assert caught.value.errno == errno.EROFS, f"{name}: {caught.value}"
    assert os.access(mount.path("sizes/1"), os.R_OK) and not os.access(mount.path("sizes/1"),
                                                                       os.W_OK)


def test_programs_of_the_image_run_from_the_mount(lab, face):
    mount = lab.mounted("base", face, "--dev")
    assert subprocess.run(["chroot", mount.dir, "/bin/true"], check=False).returncode == 0
    listed = processes.run(["chroot", mount.dir, "/bin/ls", "/usr/bin"]).splitlines()
    assert sorted(listed) == sorted(os.listdir(os.path.join(lab.images.tree("base"), "usr/bin")))
    perl = processes.run(["chroot", mount.dir, "/usr/bin/perl", "-e", "print 6*7"])
    assert perl == "42"


MMAP = """
import hashlib, mmap, sys
with open(sys.argv[1], "rb") as file:
    view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    pieces = [view[i:i + 4096] for i in range(len(view) - len(view) % 4096, -1, -4096)]
print(hashlib.sha256(b"".join(reversed(pieces))).hexdigest())
"""


def test_files_are_mapped_and_read_from_their_end(lab, face):
    mount = lab.mounted("torture", face, "--no-background", "--prefetch=off")
    for name in ("sizes/9437184", "sizes/4194305", "sizes/4097", "sizes/zeros"):
        said = processes.run([sys.executable, "-c", MMAP, mount.path(name)]).strip()
        assert said == trees.file_hash(os.path.join(lab.images.tree("torture"), name)), name


def test_holes_and_data_are_told_apart_or_all_is_data(lab, face):
    mount = lab.mounted("torture", face)
    for name in ("sizes/zeros", "sizes/9437184", "sizes/1"):
        size = os.stat(mount.path(name)).st_size
        with open(mount.path(name), "rb") as file:
            hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
            assert 0 <= hole <= size
            with open(os.path.join(lab.images.tree("torture"), name), "rb") as original:
                content = original.read()
            assert not content[hole:].strip(b"\0") or hole == size or name == "sizes/zeros"
            with pytest.raises(OSError, match="No such device or address"):
                os.lseek(file.fileno(), size, os.SEEK_DATA)


def test_blocks_are_those_of_the_size(lab, face):
    mount = lab.mounted("torture", face)
    for name in ("sizes/0", "sizes/1", "sizes/4097", "sizes/9437184"):
        info = os.stat(mount.path(name))
        assert -(-info.st_size // 512) <= info.st_blocks <= -(-info.st_size // 4096) * 8
        assert info.st_blksize >= 4096


def test_df_shows_something_sane(lab, face):
    mount = lab.mounted("torture", face)
    numbers = os.statvfs(mount.dir)
    assert numbers.f_namemax == 255
    assert numbers.f_bsize >= 512 and numbers.f_bfree == 0 == numbers.f_bavail
    assert numbers.f_blocks * numbers.f_frsize > 20 << 20
    assert numbers.f_flag & os.ST_RDONLY
    line = processes.run(["df", "-P", mount.dir]).splitlines()[1]
    # The kernel's EROFS wants its image there.
    expected = lab.images.path("torture") if face == "--face=fuse" else ".erofs"
    assert expected in line.split()[0]


def test_suid_and_dev_are_off_unless_asked_for(lab, face):
    mount = lab.mounted("torture", face)
    flags = mounts.at(mount.dir).options.split(",")
    assert {"ro", "nosuid", "nodev"} <= set(flags)
    with pytest.raises(PermissionError):
        os.open(mount.path("devices/null"), os.O_RDONLY)
    reference = f"{mount.registry.host}/{lab.images.path('torture')}"
    mount.stop()
    allowed = lab.varves[0].mount(reference, "--plain-http", face, "--suid", "--dev")
    assert not {"nosuid", "nodev"} & set(mounts.at(allowed.dir).options.split(","))
    with open(allowed.path("devices/null"), "rb") as file:
        assert file.read() == b""


def test_a_busy_mount_says_who_uses_it_and_can_be_detached(lab, face):
    mount = lab.mounted("torture", face)
    with open(mount.path("sizes/4194305"), "rb", buffering=0) as file:
        said = mount.varve.run("umount", mount.dir, code=varve.CONFLICT).stderr
        assert mount.dir in said and "in use by" in said
        assert mount.is_mounted()
        mount.varve.run("umount", "--lazy", mount.dir)
        assert not mount.is_mounted()
        # Serves until its last user is gone.
        assert file.read(100) == expected_start(lab)
        assert mount.process.poll() is None
    assert mount.process.wait(20 * varve.SLOWNESS) == 0


def expected_start(lab):
    with open(os.path.join(lab.images.tree("torture"), "sizes/4194305"), "rb") as file:
        return file.read(100)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_mount_cleanly(lab, face, number):
    mount = lab.mounted("torture", face)
    os.kill(mount.pid, number)
    assert mount.process.wait(20 * varve.SLOWNESS) == 0
    assert not mount.is_mounted()


def test_umount_of_others_ends_the_process(lab, face):
    mount = lab.mounted("torture", face)
    processes.run(["umount", mount.dir])
    assert mount.process.wait(20 * varve.SLOWNESS) == 0


def test_a_detached_mount_serves_after_its_command_returned(lab, face):
    server = lab.registry()
    program = lab.varve()
    target = program.target("mnt")
    arguments = program.mount_arguments(f"{server.host}/{lab.images.path('torture')}", target,
                                        ("--plain-http", "--detach", face))
    said = program.run(*arguments)
    log = program.status()["mounts"][0]["log"]
    assert log and log in said.stdout + said.stderr and os.path.exists(log)
    assert trees.file_hash(os.path.join(target, "sizes/4096"))
    program.run("umount", target)
    assert mounts.at(target) is None
    processes.wait_for(lambda: not program.pids(), 20 * varve.SLOWNESS, "the process to end")


def test_a_detached_mount_that_fails_says_so_before_it_returns(lab):
    server = lab.registry()
    said = lab.varve().refused(varve.NOT_FOUND, f"{server.host}/test/absent:1", "--plain-http",
                               "--detach")
    assert "test/absent" in said


def test_a_mount_that_is_not_there_yet_ends_at_once_when_told_to(lab):
    proxy = lab.proxy(lab.registry().port)
    proxy.applies_to_all = True
    proxy.fault = faults.Stalled(after=0)
    program = lab.varve()
    log = lab.path("log")
    with open(log, "wb") as out:
        process = subprocess.Popen([program.binary, *program.mount_arguments(
            f"{proxy.host}/{lab.images.path('torture')}", program.target("mnt"),
            ("--plain-http",))], stdout=out, stderr=out, env=program.env)
    processes.wait_for(lambda: proxy.seen, what="a request")
    start = time.monotonic()
    process.terminate()
    assert process.wait(30 * varve.SLOWNESS) == varve.CANCELLED, open(log, encoding="utf-8").read()
    assert time.monotonic() - start < 5 * varve.SLOWNESS
    assert mounts.at(os.path.join(program.dir, "mnt")) is None


def test_scripts_get_json_from_mount_and_umount(lab, face):
    server = lab.registry()
    program = lab.varve()
    target = program.target("mnt")
    said = program.json(*program.mount_arguments(
        f"{server.host}/{lab.images.path('torture')}", target, ("--plain-http", "--detach", face)))
    assert said["dir"] == target and said["pid"] in program.pids()
    said = program.json("umount", target)
    assert said["dir"] == target and said["still_served"] is False
    failed = program.json("umount", target, code=varve.NOT_FOUND)
    assert failed["error"]["kind"] == "not_found"


def test_a_store_has_one_owner_and_a_second_mount_is_told_who(lab, face):
    mount = lab.mounted("torture", face)
    said = mount.varve.refused(
        varve.CONFLICT, f"{mount.registry.host}/{lab.images.path('base')}", "--plain-http", face,
        name="second")
    assert str(mount.pid) in said and mount.dir in said and "--store" in said


def test_the_same_image_already_there_is_success(lab, face):
    mount = lab.mounted("torture", face)
    arguments = mount.varve.mount_arguments(
        f"{mount.registry.host}/{lab.images.path('torture')}", mount.dir, ("--plain-http", face))
    said = mount.varve.run(*arguments)
    assert "already" in said.stdout + said.stderr
    assert len(mounts.below(mount.dir)) == 1


def test_a_directory_that_is_not_there_or_not_empty_is_remarked_on(lab):
    server = lab.registry()
    program = lab.varve()
    reference = f"{server.host}/{lab.images.path('torture')}"
    missing = os.path.join(program.dir, "missing")
    said = program.run("mount", "--store", program.store, "--plain-http", reference, missing,
                       code=varve.NOT_FOUND).stderr
    assert missing in said
    with open(os.path.join(program.target("mnt"), "file"), "w", encoding="ascii"):
        pass
    mount = program.mount(reference, "--plain-http")
    assert "not empty" in mount.text()
    assert not os.path.exists(mount.path("file"))


def test_what_a_command_line_lacks_or_has_too_much_is_said(lab):
    program = lab.varve()
    for arguments in (("mount",), ("mount", "x"), ("mount", "a", "b", "c"), ("nonsense",),
                      ("mount", "--nonsense", "a", "b"), ("mount", "--face=round", "a", "b"),
                      ("mount", "UPPER/case", program.dir)):
        said = program.run(*arguments, code=varve.INVALID)
        assert said.stderr and not said.stdout
    assert "varve" in program.run("--version").stdout
    assert "mount" in program.run("--help").stdout
    assert "--plain-http" in program.run("mount", "--help").stdout


def test_an_fstab_line_is_mounted_by_the_helper(lab, face):
    """As mount(8) calls it for `REF DIR varve OPTIONS 0 0`; mount(8) itself looks in /sbin only."""
    server = lab.registry()
    program = lab.varve()
    helper = lab.path("mount.varve")
    os.symlink(program.binary, helper)
    target = program.target("mnt")
    options = ",".join(["ro", "nosuid", "_netdev", "x-systemd.automount", "plain-http",
                        f"store={program.store}", face.lstrip("-")])
    program.binary = helper
    program.run(f"{server.host}/{lab.images.path('torture')}", target, "-o", options)
    assert mounts.at(target) is not None
    assert os.stat(os.path.join(target, "sizes/4096")).st_size == 4096
    program.binary = lab.binary
    program.run("umount", target)
    assert mounts.at(target) is None
