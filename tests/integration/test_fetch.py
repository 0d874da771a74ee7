# SPDX-License-Identifier: Apache-2.0
"""What is fetched, when, and what is not: lazily, ahead, in the background, offline."""
import os

from lab import faults, processes, pushing, toc, trees, varve

LAZY = ("--plain-http", "--no-background", "--prefetch=off")


def blob_ranges(proxy):
    """{(digest, first byte, end)} of what was asked for."""
    found = set()
    for request in proxy.blobs():
        first, _, last = request.headers["range"].partition("=")[2].partition("-")
        found.add((request.digest, int(first), int(last) + 1))
    return found


def test_only_the_units_of_what_is_read_are_fetched(lab, face):
    proxy = lab.proxy(lab.registry().port)
    path = lab.images.path("torture")
    mount = lab.varve().mount(f"{proxy.host}/{path}", *LAZY, face)
    lower, _ = toc.layers(proxy.host, path)
    assert not [r for r in proxy.blobs() if r.headers.get("range", "").startswith("bytes=0-")]
    for name in ("sizes/4096", "links/b/three", "sizes/4194303"):
        proxy.seen.clear()
        real = "links/a/one" if name.startswith("links") else name
        chunks = lower.chunks(real)
        assert trees.file_hash(mount.path(name))
        wanted = {byte for c in chunks for byte in (c.blob_off, c.blob_off + c.blob_size)}
        ranges = sorted((first, end) for _, first, end in blob_ranges(proxy))
        assert {place for pair in ranges for place in pair} <= wanted
        assert sum(r.sent for r in proxy.blobs()) == sum(c.blob_size for c in chunks)
        units = mount.varve.why(mount.path(name))["units"]
        assert units["present"] == units["total"] == len(chunks)
        assert [u["digest"] for u in units["list"]] == [c.digest for c in chunks]


def test_one_unit_of_a_large_file_is_fetched_alone(lab, face):
    proxy = lab.proxy(lab.registry().port)
    path = lab.images.path("base")
    mount = lab.varve().mount(f"{proxy.host}/{path}", *LAZY, face)
    chunks = toc.layers(proxy.host, path)[1].chunks("opt/app/random")
    proxy.seen.clear()
    with open(mount.path("opt/app/random"), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert len(os.pread(file.fileno(), 4096, chunks[3].off + 5000)) == 4096
    units = mount.varve.why(mount.path("opt/app/random"))["units"]
    assert [u["present"] for u in units["list"]] == [i == 3 for i in range(len(chunks))]
    assert sum(request.sent for request in proxy.blobs()) == chunks[3].blob_size
    assert units["present_size"] == chunks[3].size


def test_metadata_needs_no_blob_beyond_the_tables(lab, face):
    proxy = lab.proxy(lab.registry().port)
    path = lab.images.path("base")
    mount = lab.varve().mount(f"{proxy.host}/{path}", *LAZY, face)
    proxy.seen.clear()
    assert len(trees.read(mount.dir, content=False)) > 5000
    assert proxy.blobs() == []


def test_the_rest_of_an_image_comes_in_the_background(lab, face):
    mount = lab.mounted("torture", face)
    processes.wait_for(lambda: all(l["complete"] for l in mount.status()["layers"]),
                       60 * varve.SLOWNESS, "all layers to be complete")
    # Claimed when it is durable.
    processes.wait_for(lambda: mount.varve.json("images", "--store", mount.varve.store)["images"]
                       [0]["complete"], 10 * varve.SLOWNESS, "the claim")


def read_ahead_kib(path):
    device = os.stat(path).st_dev
    with open(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb",
              encoding="ascii") as file:
        return int(file.read())


def test_what_is_on_the_disk_is_read_further_ahead(lab):
    mount = lab.mounted("torture", "--face=fuse")
    reference = f"{mount.registry.host}/{lab.images.path('torture')}"
    assert read_ahead_kib(mount.dir) == 1024
    processes.wait_for(lambda: all(l["complete"] for l in mount.status()["layers"]),
                       60 * varve.SLOWNESS, "all layers to be complete")
    mount.stop()
    again = mount.varve.mount(reference, "--plain-http", "--face=fuse")
    assert read_ahead_kib(again.dir) == 2048


def test_what_an_author_marked_is_fetched_at_once_and_the_rest_is_not(lab, face):
    make = pushing.estargz
    blob = make.build([make.file("first", os.urandom(200_000)), make.file("second", b"2" * 1000),
                       make.file("later", os.urandom(300_000))], landmark=2)
    server = lab.empty_registry()
    image = pushing.push(server.host, "marked", [blob])
    mount = lab.varve().mount(image.reference, "--plain-http", "--no-background",
                              "--prefetch=on", face)

    def present(name):
        units = mount.varve.why(mount.path(name))["units"]
        return units["present"] == units["total"]

    processes.wait_for(lambda: present("first") and present("second"), 20 * varve.SLOWNESS,
                       "the prefetch")
    assert not present("later")


def test_an_image_forbids_prefetching(lab, face):
    make = pushing.estargz
    blob = make.build([make.file("first", os.urandom(200_000))], landmark="none")
    server = lab.empty_registry()
    image = pushing.push(server.host, "unmarked", [blob])
    mount = lab.varve().mount(image.reference, "--plain-http", "--no-background",
                              "--prefetch=on", face)
    assert trees.read(mount.dir, content=False).keys() == {b".", b"first"}
    assert mount.varve.why(mount.path("first"))["units"]["present"] == 0


def test_a_complete_image_needs_no_registry(lab, face):
    mount = lab.mounted("torture", face)
    reference = f"{mount.registry.host}/{lab.images.path('torture')}"
    processes.wait_for(lambda: all(l["complete"] for l in mount.status()["layers"]),
                       60 * varve.SLOWNESS, "all layers to be complete")
    mount.stop()
    mount.registry.stop()
    for pull in ("--pull=never", "--pull=missing", "--pull=always"):
        again = lab.varves[0].mount(reference, "--plain-http", pull, face)
        assert trees.file_hash(again.path("sizes/9437184")) == \
            trees.file_hash(os.path.join(lab.images.tree("torture"), "sizes/9437184"))
        if pull == "--pull=always":
            assert "using what the tag named" in again.text()
        again.stop()


def test_an_image_that_was_never_here_is_not_mounted_with_pull_never(lab):
    server = lab.registry()
    said = lab.varve().refused(varve.NOT_FOUND, f"{server.host}/{lab.images.path('torture')}",
                               "--plain-http", "--pull=never")
    assert "--pull" in said
    assert server.requests() == []


def test_a_tag_that_moved_is_followed_and_a_digest_stays(lab, face):
    make = pushing.estargz
    old, new = (make.build([make.file("file", text)]) for text in (b"old\n", b"new\n"))
    server = lab.empty_registry()
    first = pushing.push(server.host, "moving", [old])
    program = lab.varve()

    def content(reference, *options):
        mount = program.mount(reference, "--plain-http", face, *options)
        with open(mount.path("file"), "rb") as file:
            text = file.read()
        mount.stop()
        return text

    assert content(first.reference) == b"old\n"
    pushing.push(server.host, "moving", [new])
    assert content(first.reference, "--pull=missing") == b"old\n"
    assert content(first.reference) == b"new\n"
    assert content(f"{server.host}/moving@{first.digest}") == b"old\n"


def test_the_same_bytes_in_another_layer_are_not_fetched_again(lab, face):
    make = pushing.estargz
    shared = os.urandom(3 << 20)
    one = make.build([make.file("a", shared)])
    two = make.build([make.file("other/place", shared), make.file("b", b"more\n")])
    server = lab.empty_registry()
    images = [pushing.push(server.host, f"copy{i}", [blob]) for i, blob in enumerate((one, two))]
    program = lab.varve()
    for image, name in zip(images, ("a", "other/place")):
        mount = program.mount(image.reference, *LAZY, face)
        with open(mount.path(name), "rb") as file:
            assert file.read() == shared
        layer = mount.status()["layers"][0]
        mount.stop()
    assert layer["copied_bytes"] == len(shared) and layer["fetched_bytes"] == 0


def test_readers_of_the_same_unit_share_one_request(lab, face):
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", *LAZY, face)
    proxy.seen.clear()
    stalled = proxy.fault = faults.Stalled(after=0)
    waiting = [processes.subprocess.Popen(["sha256sum", mount.path("sizes/1048576")],
                                          stdout=processes.subprocess.PIPE) for _ in range(8)]
    assert stalled.stalled.wait(20)
    stalled.released.set()
    said = {process.communicate()[0] for process in waiting}
    assert len(said) == 1 and b"sizes/1048576" in said.pop()
    assert len(proxy.blobs()) == 1


def test_a_platform_is_chosen_from_an_index(lab, face):
    make = pushing.estargz
    server = lab.empty_registry()
    manifests = []
    for architecture, variant in (("amd64", ""), ("arm64", "v8"), ("arm", "v7")):
        blob = make.build([make.file("architecture", architecture.encode())])
        image = pushing.push(server.host, "many", [blob], tag=architecture)
        platform = {"architecture": architecture, "os": "linux"}
        if variant:
            platform["variant"] = variant
        manifests.append(pushing.describe_manifest(server.host, "many", image, platform))
    reference = pushing.push_index(server.host, "many", manifests)
    program = lab.varve()
    for platform, expected in (("linux/arm64", b"arm64"), ("linux/arm/v7", b"arm"),
                               ("linux/amd64", b"amd64")):
        mount = program.mount(reference, "--plain-http", "--platform", platform, face)
        with open(mount.path("architecture"), "rb") as file:
            assert file.read() == expected
        mount.stop()
    said = program.refused(varve.NOT_FOUND, reference, "--plain-http", "--platform",
                           "linux/riscv64")
    assert "riscv64" in said and "arm64" in said
