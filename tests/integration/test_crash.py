# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: the store never claims what it does not have, and serves again."""
import os
import shutil
import subprocess
import threading
import time

import pytest

from lab import mounts, readers, trees, varve

ROUNDS, ROUNDS_LONG = 3, 50


def begin_store(program, reference):
    """A new store with something in it, so that there is something to verify after each kill."""
    shutil.rmtree(program.store, ignore_errors=True)
    mount = program.mount(reference, "--plain-http", "--no-background", name="first")
    assert trees.file_hash(mount.path("usr/bin/perl"))
    mount.stop()


@pytest.mark.limit(1800)
def test_a_store_is_whole_after_kills_at_random_moments(lab, rng, long):
    server = lab.registry()
    program = lab.varve()
    reference = f"{server.host}/{lab.images.path('base')}"
    complete = True
    for i in range(ROUNDS_LONG if long else ROUNDS):
        if complete:  # nothing is written to it any more
            begin_store(program, reference)
        face = rng.choice(["--face=fuse", "--face=auto"])
        mount = program.mount(reference, "--plain-http", face, name=f"mnt{i}")
        # Reads everything it can until the mount breaks off below it.
        reader = subprocess.Popen(["tar", "-C", mount.dir, "-cf", "/dev/zero", "."],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.02, 1.5) * varve.SLOWNESS)
        mount.crash()
        reader.kill()
        reader.wait()
        program.verify()
        complete = program.json("images", "--store", program.store)["images"][0]["complete"]
    # What survived is right, and what is missing is fetched.
    mount = program.mount(reference, "--plain-http", name="last")
    trees.assert_same(trees.read(os.path.join(lab.images.tree("base"), "usr/bin")),
                      trees.read(mount.path("usr/bin")))


def test_what_was_read_a_while_before_a_kill_is_still_there(lab):
    mount = lab.mounted("torture", "--no-background", "--prefetch=off")
    program, server = mount.varve, mount.registry
    reference = f"{server.host}/{lab.images.path('torture')}"
    assert trees.file_hash(mount.path("sizes/9437184"))
    time.sleep(2.5)  # the writer's batch is at most a second old
    mount.crash()
    program.verify()
    server.stop()
    again = program.mount(reference, "--plain-http", "--pull=never", "--read-timeout=2s")
    assert trees.file_hash(again.path("sizes/9437184")) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), "sizes/9437184"))


def test_a_mount_whose_process_died_is_replaced_with_a_message(lab, face):
    mount = lab.mounted("torture", face)
    program, reference = mount.varve, f"{mount.registry.host}/{lab.images.path('torture')}"
    mount.expect_clean_end = False
    mount.kill()
    assert mount.is_mounted()
    if mounts.at(mount.dir).kind.startswith("fuse"):
        with pytest.raises(OSError, match="not connected"):
            os.listdir(mount.dir)
    again = program.mount(reference, "--plain-http", face)
    assert again.path() == mount.path()
    assert trees.file_hash(again.path("sizes/4096")) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), "sizes/4096"))
    assert f"process {mount.pid}" in again.text()
    again.stop()
    assert mounts.at(mount.dir) is None


def test_umount_takes_away_what_a_dead_process_left(lab, face):
    mount = lab.mounted("torture", face)
    mount.expect_clean_end = False
    mount.kill()
    mount.varve.run("umount", mount.dir)
    assert mounts.below(mount.varve.dir) == []


def test_a_reader_of_a_dead_mount_gets_an_error(lab):
    mount = lab.mounted("torture", "--face=fuse", "--no-background", "--prefetch=off")
    mount.registry.pause()
    reader = readers.Reader(mount.path("sizes/1048576"))
    time.sleep(0.5)
    threading.Timer(0.5, mount.crash).start()
    assert reader.result()[0] == "errno"
    mount.registry.resume()
    mount.crash()
