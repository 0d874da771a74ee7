# SPDX-License-Identifier: Apache-2.0
"""A mount shows what `umoci unpack` makes of the same image, on both faces, to root and to a normal
user; also layers alone, writable mounts, and a file larger than 32 bits can count."""
import hashlib
import os
import pickle
import subprocess

import pytest

from lab import mounts, processes, pushing, readers, toc, trees, varve

IMAGES = ["base", "torture"]


def implicit(lab, mount, image):
    return toc.implicit_directories(toc.layers(mount.registry.host, lab.images.path(image)))


@pytest.mark.parametrize("image", IMAGES)
def test_a_mount_is_what_umoci_unpacks(lab, face, image, unpacked):
    mount = lab.mounted(image, face)
    trees.assert_same(unpacked(image), trees.read(mount.dir), implicit(lab, mount, image))


@pytest.mark.parametrize("image", IMAGES)
def test_a_second_look_at_a_complete_image_is_the_same(lab, face, image, unpacked):
    first = lab.mounted(image, face)
    reference = f"{first.registry.host}/{lab.images.path(image)}"
    no_mtime = implicit(lab, first, image)
    trees.read(first.dir)
    first.stop()
    first.registry.stop()
    again = lab.varves[0].mount(reference, "--plain-http", "--pull=never", face)
    trees.assert_same(unpacked(image), trees.read(again.dir), no_mtime)


def test_the_names_of_a_large_directory_come_in_any_order_of_asking(lab, face):
    """readdir in pieces, from the start, again, and by scandir's types."""
    mount = lab.mounted("torture", face)
    expected = sorted(os.listdir(os.path.join(lab.images.tree("torture"), "many")))
    directory = mount.path("many")
    assert sorted(os.listdir(directory)) == expected
    assert sorted(os.listdir(directory)) == expected
    with os.scandir(directory) as entries:
        assert all(e.is_file(follow_symlinks=False) for e in entries)
    names = subprocess.run(["ls", "-f", "-1", directory], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.splitlines()
    assert sorted(names) == sorted(expected + [".", ".."])


@pytest.mark.parametrize("image", IMAGES)
def test_find_and_tar_go_through_the_whole_tree(lab, face, image):
    mount = lab.mounted(image, face)
    listed = [processes.run(["find", ".", "-mindepth", "1", "-printf", "%P %y %m %s\\n"], cwd=where)
              for where in (mount.dir, lab.images.tree(image))]
    types = [sorted(line for line in text.splitlines() if " d " not in line) for text in listed]
    assert types[0] == types[1]
    with open(lab.path("tar.log"), "wb") as log:
        archive = subprocess.run(["tar", "-C", mount.dir, "-cf", "/dev/zero", "."], stderr=log,
                                 stdout=subprocess.DEVNULL, check=False)
    assert archive.returncode == 0, open(lab.path("tar.log"), encoding="utf-8").read()


def test_an_absent_name_is_absent_and_stays_so(lab, face):
    mount = lab.mounted("torture", face)
    for name in ("nothing", "names/nothing", "sizes/1/below-a-file", "x" * 256):
        for _ in range(2):
            with pytest.raises(OSError):
                os.stat(mount.path(name))
    assert not os.path.lexists(mount.path(".prefetch.landmark"))
    assert not os.path.lexists(mount.path(".no.prefetch.landmark"))


def test_an_xattr_that_is_not_there_is_told_apart_from_one_that_is_too_large(lab, face):
    mount = lab.mounted("torture", face)
    libc, buffer = mounts.libc, bytes(8)
    path = os.fsencode(mount.path("xattrs/large"))
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(path, "user.absent")
    assert libc.getxattr(path, b"user.large", buffer, 8) == -1
    assert mounts.ctypes.get_errno() == mounts.errno.ERANGE
    assert libc.getxattr(path, b"user.large", None, 0) == 3000
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(mount.path("sizes/1"), "user.absent")


def test_a_layer_alone_shows_its_own_names_only(lab, face):
    server = lab.registry()
    path = lab.images.path("torture")
    upper = toc.layers(server.host, path)[1]
    mount = lab.varve().mount(f"{server.host}/{path}", "--plain-http", face, "--layer",
                              upper.digest)
    names = {toc.clean(e["name"]) for e in upper.entries}
    assert sorted(os.listdir(mount.path("swap"))) == ["directory-to-file", "file-to-directory"]
    assert os.listdir(mount.path("opaque")) == ["upper"]
    assert "names/upper" in names and os.listdir(mount.path("names")) == ["upper"]
    assert not os.path.lexists(mount.path("many"))
    assert mount.status()["layer"] == upper.digest
    # A whiteout is a device 0:0, as overlayfs wants it.
    removed = os.lstat(mount.path("whiteouts/removed"))
    assert (os.major(removed.st_rdev), os.minor(removed.st_rdev)) == (0, 0)
    with open(mount.path("sizes/4097"), encoding="ascii") as file:
        assert file.read() == "replaced\n"


def test_a_writable_mount_takes_what_is_written_and_leaves_the_image_alone(lab, face, unpacked):
    mount = lab.mounted("torture", face, "--rw")
    with open(mount.path("links/for-upper"), "ab") as file:  # copied up
        file.write(b"and more\n")
    with open(mount.path("new"), "w", encoding="ascii") as file:
        file.write("new\n")
    os.unlink(mount.path("names/upper"))
    os.rename(mount.path("sizes/1"), mount.path("sizes/one"))
    os.mkdir(mount.path("opaque/made"))
    with open(mount.path("links/for-upper"), "rb") as file:
        assert file.read() == b"the upper layer links here\nand more\n"
    assert trees.file_hash(mount.path("sizes/one")) == unpacked("torture")[b"sizes/1"]["sha256"]
    upper = mount.status()["upper"]
    assert os.path.exists(os.path.join(upper, "new"))
    reference = f"{mount.registry.host}/{lab.images.path('torture')}"
    mount.stop()
    plain = lab.varves[0].mount(reference, "--plain-http", face)
    assert not os.path.lexists(plain.path("new"))
    with open(plain.path("links/for-upper"), "rb") as file:
        assert file.read() == b"the upper layer links here\n"


def test_a_normal_user_sees_the_same_tree(lab):
    server = lab.registry()
    user = lab.user_varve()
    mount = user.mount(f"{server.host}/{lab.images.path('torture')}", "--plain-http")
    namespace = ["nsenter", f"--mount=/proc/{mount.pid}/ns/mnt"]
    assert user.status()["mounts"][0]["face"] == "fuse"
    with mounts.bound(lab.images.tree("torture"), lab.path("unpacked")) as unpacked:
        expected = readers.tree_as(readers.NOBODY, unpacked)
    assert sum("sha256" in entry for entry in expected.values()) > 9000
    actual = readers.tree_as(readers.NOBODY, mount.dir, namespace)
    mount.registry = server
    trees.assert_same(expected, actual, implicit(lab, mount, "torture"))


GIB = 1 << 30


PLACES = {0: b"the start", 3 * GIB: b"three", 4 * GIB + 300_000_000: b"beyond 32 bits",
          4 * GIB - 3: b"across", 5 * GIB - 3: b"end"}


@pytest.fixture(name="huge", scope="session")
def huge_fixture(the_images):
    """A layer with a file of 5 GiB; the blob itself is small. Kept, because it takes 20 s."""
    with open(pushing.estargz.__file__, "rb") as source:
        name = f"huge-{hashlib.sha256(source.read() + repr(PLACES).encode()).hexdigest()[:16]}"
    path = os.path.join(os.path.dirname(the_images.dir), name)
    if not os.path.exists(path):
        blob = pushing.estargz.build([
            pushing.estargz.file("small", b"small\n"),
            pushing.estargz.file("large", pushing.estargz.Sparse(5 * GIB, PLACES)),
            pushing.estargz.file("after", b"after\n")])
        with open(path + ".new", "wb") as file:
            pickle.dump(blob, file)
        os.rename(path + ".new", path)
    with open(path, "rb") as file:
        return pickle.load(file)


def test_a_file_of_five_gigabytes_is_read_at_any_place(lab, face, huge):
    server = lab.empty_registry()
    image = pushing.push(server.host, "large", [huge])
    mount = lab.varve().mount(image.reference, "--plain-http", "--no-background", face)
    path = mount.path("large")
    assert os.stat(path).st_size == 5 * GIB
    with open(path, "rb", buffering=0) as file:
        for off, text in PLACES.items():
            assert os.pread(file.fileno(), len(text), off) == text
            assert os.pread(file.fileno(), 5, off + len(text) + 5000) == \
                (bytes(5) if off + 5000 < 5 * GIB - 5 else b"")
        assert os.pread(file.fileno(), 10, 5 * GIB) == b""
    for name in ("small", "after"):
        with open(mount.path(name), encoding="ascii") as file:
            assert file.read() == f"{name}\n"
    stored = sum(layer["allocated"] for layer in mount.status()["layers"])
    assert stored < 200 << 20


def test_a_layer_without_a_digest_of_its_table_is_read_as_a_whole_unless_allowed(lab, face):
    blob = pushing.estargz.build([pushing.estargz.file("file", b"unverified\n")])
    server = lab.empty_registry()
    image = pushing.push(server.host, "plain", [blob], layers=[
        {**pushing.describe(blob), "annotations": {}}])
    program = lab.varve()
    for option, unverified in (("--allow-unverified", True), ("--no-background", False)):
        mount = program.mount(image.reference, "--plain-http", option, face)
        with open(mount.path("file"), encoding="ascii") as file:
            assert file.read() == "unverified\n"
        assert mount.status()["unverified"] is unverified
        mount.stop()


def test_a_link_to_a_lower_layer_works_in_the_image_and_not_in_the_layer_alone(lab, face):
    make = pushing.estargz
    lower = make.build([make.directory("d"), make.file("d/target", b"below\n")])
    upper = make.build([make.hardlink("link", "d/target")])
    server = lab.empty_registry()
    image = pushing.push(server.host, "links", [lower, upper])
    program = lab.varve()
    mount = program.mount(image.reference, "--plain-http", face)
    link, target = os.stat(mount.path("link")), os.stat(mount.path("d/target"))
    assert link.st_ino == target.st_ino and link.st_nlink == 2
    with open(mount.path("link"), "rb") as file:
        assert file.read() == b"below\n"
    mount.stop()
    said = program.refused(varve.UNSUPPORTED, image.reference, "--plain-http", face, "--layer",
                           upper.digest)
    assert "hard links to files of lower layers" in said
