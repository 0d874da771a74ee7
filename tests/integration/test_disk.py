# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, read-only or broken below the store: reads go on or fail, the process
stays."""
import errno
import glob
import os

import pytest

from lab import mounts, processes, readers, trees, varve

LAZY = ("--plain-http", "--no-background", "--prefetch=off")
MIB = 1 << 20


@pytest.fixture(name="disk")
def disk_fixture(lab):
    if not mounts.can_loop():
        pytest.skip("no loop devices here")
    return lab.disk(64 * MIB)


def program_on(lab, disk):
    program = lab.varve()
    program.store = os.path.join(disk.dir, "store")
    return program


def reference(lab, server, image="torture"):
    return f"{server.host}/{lab.images.path(image)}"


def check(lab, mount, *names, image="torture"):
    for name in names:
        assert trees.file_hash(mount.path(name)) == \
            trees.file_hash(os.path.join(lab.images.tree(image), name)), name


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


def test_a_full_disk_stops_caching_and_not_reading(lab, disk, face):
    program = program_on(lab, disk)
    mount = program.mount(reference(lab, lab.registry()), *LAZY, face)
    check(lab, mount, "sizes/1048576")
    disk.fill(leave=2 * MIB)
    check(lab, mount, "sizes/9437184", "sizes/4194305", "sizes/4194303", "sizes/4194304")
    store = program.status()["store"]
    assert store["caching"] is False and store["caching_why"]
    disk.relieve()
    check(lab, mount, "sizes/zeros", "links/a/one")
    mount.stop()
    program.verify()


def test_a_chunk_is_not_fetched_for_each_piece_of_it_when_nothing_can_be_kept(lab, disk, face):
    program = program_on(lab, disk)
    server = lab.registry()
    mount = program.mount(reference(lab, server), *LAZY, face)
    disk.fill(leave=1 * MIB)
    before = server.bytes_of_blobs()
    check(lab, mount, "sizes/9437184")
    units = mount.varve.why(mount.path("sizes/9437184"))["units"]
    fetched = server.bytes_of_blobs() - before
    assert fetched <= 2 * sum(unit["blob_size"] for unit in units["list"])


def test_a_store_that_cannot_even_begin_is_refused_with_the_reason(lab, disk):
    disk.fill(leave=0)
    program = program_on(lab, disk)
    said = program.refused(varve.LOCAL, reference(lab, lab.registry()), "--plain-http")
    assert program.store in said and "space" in said.lower()


def test_a_pass_over_a_layer_that_finds_the_disk_full_keeps_its_index(lab, disk, face):
    program = program_on(lab, disk)
    server = lab.registry()
    where = f"{server.host}/{lab.images.path('dialects', 'gzip')}"
    disk.fill(leave=6 * MIB)
    mount = program.mount(where, *LAZY, face)
    assert "only its index is kept" in mount.text()
    assert not all(layer["complete"] for layer in mount.status()["layers"])
    trees.assert_same(trees.read(lab.images.tree("dialects")), trees.read(mount.dir))
    mount.stop()
    disk.relieve()
    before = server.bytes_of_blobs()
    again = program.mount(where, *LAZY, face)
    assert server.bytes_of_blobs() == before
    check(lab, again, "pax/sizes/large", "gnu/links/one", image="dialects")
    again.stop()
    program.verify()


def test_an_index_that_finds_the_disk_full_is_refused_and_leaves_nothing(lab, disk):
    program = program_on(lab, disk)
    server = lab.registry()
    program.mount(reference(lab, server), *LAZY).stop()
    before = set(program.layer_files())
    disk.fill(leave=0)
    where = f"{server.host}/{lab.images.path('dialects', 'gzip')}"
    said = program.refused(varve.LOCAL, where, *LAZY)
    assert program.store in said and "space" in said.lower()
    assert set(program.layer_files()) <= before
    disk.relieve()
    mount = program.mount(where, *LAZY)
    check(lab, mount, "pax/sizes/large", "gnu/links/one", image="dialects")


def test_a_store_on_a_read_only_file_system_serves_and_fetches_what_it_lacks(lab, disk, face):
    program = program_on(lab, disk)
    server = lab.registry()
    first = program.mount(reference(lab, server), *LAZY, face)
    check(lab, first, "sizes/1048576")
    first.stop()
    disk.unmount()
    disk.mount("ro")
    again = program.mount(reference(lab, server), *LAZY, face)
    before = server.bytes_of_blobs()
    check(lab, again, "sizes/1048576")
    assert server.bytes_of_blobs() == before
    check(lab, again, "sizes/9437184", "names/-rf")
    assert again.varve.status()["store"]["caching"] is False
    again.stop()


def test_an_index_that_shrinks_under_the_mount_is_an_error_and_no_crash(lab, face):
    mount = lab.mounted("torture", face, "--no-background")
    check(lab, mount, "sizes/4096")
    for index in glob.glob(os.path.join(mount.varve.store, "*", "*.erofs")):
        os.truncate(index, 4096)
    drop_caches()
    failures = 0
    for name in ("modes", "names", "devices", "many", "deep/d/d", "links/a/one", "sizes/1"):
        try:
            os.listdir(mount.path(name)) if "/" not in name else os.stat(mount.path(name))
        except OSError as error:
            assert error.errno in (errno.EIO, errno.EUCLEAN), error
            failures += 1
    assert failures > 0
    assert mount.process.poll() is None
    assert mount.varve.status()["pid"] == mount.pid


def test_a_database_that_shrinks_under_the_mount_stops_caching_and_not_reading(lab, face):
    mount = lab.mounted("torture", face, *LAZY[1:])
    check(lab, mount, "sizes/4096")
    os.truncate(os.path.join(mount.varve.store, "index.mdb"), 8192)
    check(lab, mount, "sizes/9437184", "sizes/4194305", "sizes/4096")
    processes.wait_for(lambda: not mount.varve.status()["store"]["caching"],
                       20 * varve.SLOWNESS, "the loss to be noticed")
    assert "index.mdb" in mount.varve.status()["store"]["caching_why"]
    check(lab, mount, "sizes/4194303", "links/a/one", "sizes/9437184")
    assert mount.process.poll() is None
    mount.stop()
    again = mount.varve.mount(f"{mount.registry.host}/{lab.images.path('torture')}", *LAZY, face)
    check(lab, again, "sizes/4096", "sizes/9437184")
    assert again.varve.status()["store"]["caching"] is True


def test_a_disk_that_breaks_under_the_mount_is_errors_and_no_crash(lab, disk, face):
    program = program_on(lab, disk)
    mount = program.mount(reference(lab, lab.registry()), *LAZY, face)
    check(lab, mount, "sizes/1048576")
    os.truncate(disk.image, 0)
    drop_caches()
    for directory, _, names in os.walk(mount.dir):
        for name in names:
            try:
                os.lstat(os.path.join(directory, name))
            except OSError as error:
                assert error.errno in (errno.EIO, errno.EUCLEAN), error
    for name in ("sizes/9437184", "sizes/4194305", "sizes/4194303", "sizes/1048576"):
        kind, number = readers.Reader(mount.path(name), 8192).result()
        assert (kind, number) in (("bytes", 4096), ("errno", errno.EIO))
    assert mount.process.poll() is None
    assert mount.varve.status()["pid"] == mount.pid


def test_a_data_file_that_shrinks_under_the_mount_is_fetched_again_or_an_error(lab, face):
    mount = lab.mounted("torture", face, *LAZY[1:])
    check(lab, mount, "sizes/9437184")
    for data in glob.glob(os.path.join(mount.varve.store, "layers", "*.data")):
        os.truncate(data, 4096)
    drop_caches()
    kind, number = readers.Reader(mount.path("sizes/9437184"), 5 * MIB).result()
    assert (kind, number) in (("bytes", 4096), ("errno", errno.EIO))
    if kind == "bytes":
        check(lab, mount, "sizes/9437184")
    assert mount.process.poll() is None


def test_damaged_bytes_in_the_store_are_found_and_repaired(lab):
    mount = lab.mounted("torture", *LAZY[1:])
    program, where = mount.varve, f"{mount.registry.host}/{lab.images.path('torture')}"
    check(lab, mount, "sizes/9437184", "sizes/4194304")
    unit = program.why(mount.path("sizes/9437184"))
    data_off = unit["layer"]["data_off"]
    mount.stop()
    data = max(glob.glob(os.path.join(program.store, "layers", "*.data")), key=os.path.getsize)
    with open(data, "r+b") as file:
        file.seek(data_off + 100)
        byte = file.read(1)[0]
        file.seek(data_off + 100)
        file.write(bytes([byte ^ 1]))
    found = program.json("cache", "verify", "--store", program.store, code=varve.BAD_DATA)
    assert found["wrong_units"] == 1 and len(found["findings"]) == 1
    repaired = program.json("cache", "verify", "--repair", "--store", program.store, code=None)
    assert repaired["repaired_units"] == 1
    layers = program.json("cache", "ls", "--store", program.store)["layers"]
    assert sum(layer["units_present"] for layer in layers) == found["checked_units"] - 1
    program.verify()
    check(lab, program.mount(where, *LAZY), "sizes/9437184")


def test_the_cache_keeps_its_quota(lab, face):
    server = lab.registry()
    program = lab.varve()
    first = program.mount(reference(lab, server), "--plain-http", "--quota=12M", face)
    check(lab, first, "sizes/9437184", "sizes/4194305")
    first.stop()
    second = program.mount(reference(lab, server, "base"), *LAZY, "--quota=12M", face)
    check(lab, second, "bin/bash", image="base")
    processes.wait_for(lambda: program.status()["store"]["evicted_layers"] > 0, 30 * varve.SLOWNESS,
                       "an eviction")
    assert program.status()["store"]["allocated"] <= 16 * MIB
    check(lab, second, "bin/bash", "usr/bin/perl", image="base")


def test_the_quota_takes_indexes_of_images_that_nobody_uses(lab):
    server = lab.registry()
    program = lab.varve()
    first = program.mount(reference(lab, server), *LAZY, "--face=fuse")
    first.stop()
    listed = program.json("cache", "ls", "--store", program.store)["layers"]
    assert listed and all(layer["units"] and layer["allocated"] for layer in listed)
    assert len(program.json("images", "--store", program.store)["images"]) == 1

    second = program.mount(reference(lab, server, "base"), *LAZY, "--quota=1M", "--face=fuse")
    gone = [os.path.join(program.store, "layers", layer["key"] + ".units") for layer in listed]
    processes.wait_for(lambda: not any(map(os.path.exists, gone)), 30 * varve.SLOWNESS,
                       "an eviction")
    check(lab, second, "bin/bash", image="base")
    images = second.varve.json("images", "--store", program.store)["images"]
    assert [image["mounted"] for image in images] == [[second.dir]]
    second.stop()
    again = program.mount(reference(lab, server), *LAZY, "--face=fuse")
    check(lab, again, "sizes/4096")


def test_a_corrupt_database_is_set_aside_and_not_deleted(lab, face):
    mount = lab.mounted("torture", face)
    program, where = mount.varve, f"{mount.registry.host}/{lab.images.path('torture')}"
    check(lab, mount, "sizes/4096")
    mount.stop()
    path = os.path.join(program.store, "index.mdb")
    path = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
    with open(path, "r+b") as file:
        file.write(os.urandom(8192))
    again = program.mount(where, "--plain-http", face)
    check(lab, again, "sizes/4096", "links/a/one")
    assert len(glob.glob(os.path.join(program.store, "index.mdb*"))) > 1
    assert "index.mdb" in again.text()
