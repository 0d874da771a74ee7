# SPDX-License-Identifier: Apache-2.0
"""Bytes that are not what the image names never reach a reader, and `varve why` tells of them."""
import errno
import os

import pytest

from lab import faults, processes, pushing, readers, trees, varve

LAZY = ("--plain-http", "--no-background", "--prefetch=off")


def expect_eio(path, off=0):
    assert readers.Reader(path, off).result() == ("errno", errno.EIO)


@pytest.fixture(name="lying")
def lying_fixture(lab, face):
    """(proxy, mount) of the torture image; the proxy lies about its blobs from now on."""
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", *LAZY, face,
                              "--read-timeout=5s")
    proxy.fault = faults.FlippedBits()
    return proxy, mount


def test_wrong_bytes_are_an_error_and_why_says_whose(lab, lying):
    proxy, mount = lying
    path = mount.path("sizes/1048576")
    expect_eio(path)
    report = mount.varve.why(path)
    assert report["failures"], report
    failure = report["failures"][0]
    assert failure["kind"] in ("digest_mismatch", "format")
    assert proxy.host in failure["origin"]
    assert failure["advice"]
    assert report["units"]["present"] == 0
    assert any(f["path"].endswith("sizes/1048576") for f in mount.varve.status()["failures"])


def test_well_formed_bytes_of_another_content_are_an_error_too(lab, face):
    """Not damaged: valid gzip of the right size, and only the digest tells."""
    make = pushing.estargz
    sizes = (5000, 5 << 20)  # one chunk, and two
    named, forged = (make.build([make.file(f"file{size}", letter * size) for size in sizes],
                                level=0) for letter in (b"a", b"b"))
    assert len(named.data) == len(forged.data)
    behind = lab.empty_registry()
    pushing.push(behind.host, "forged", [named])
    proxy = lab.proxy(behind.port)
    mount = lab.varve().mount(f"{proxy.host}/forged:latest", *LAZY, face, "--read-timeout=5s")
    proxy.fault = faults.Replaced("forged", named.digest, forged.data)
    for size in sizes:
        expect_eio(mount.path(f"file{size}"))
        report = mount.varve.why(mount.path(f"file{size}"))
        assert report["failures"][0]["kind"] == "digest_mismatch"
        assert report["units"]["present"] == 0
    assert "No reader saw them" in mount.varve.run("why", mount.path("file5000")).stdout


def test_wrong_bytes_are_not_kept_and_right_ones_are_read_later(lab, lying):
    proxy, mount = lying
    path = mount.path("sizes/4194305")
    expect_eio(path)
    expect_eio(path, 4 << 20)
    proxy.fault = faults.Fault()
    assert trees.file_hash(path) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), "sizes/4194305"))
    mount.stop()
    mount.varve.verify()


def test_a_mirror_that_lies_is_passed_over_for_one_that_does_not(lab, face):
    honest = lab.registry()
    liar = lab.proxy(honest.port)
    program = lab.varve()
    program.hosts_toml("images.example.com",
                       f'server = "http://{honest.host}"\n[host."http://{liar.host}"]\n')
    mount = program.mount(f"images.example.com/{lab.images.path('torture')}",
                          "--no-background", "--prefetch=off", face)
    liar.fault = faults.FlippedBits()
    for name in ("sizes/1048576", "sizes/4194305", "links/a/one"):
        assert trees.file_hash(mount.path(name)) == \
            trees.file_hash(os.path.join(lab.images.tree("torture"), name))
    assert liar.blobs()
    assert sum(layer["wrong_units"] for layer in mount.status()["layers"]) > 0


def test_a_wrong_table_of_contents_is_refused_before_anything_is_mounted(lab):
    make = pushing.estargz
    named, served = (make.build([make.file("file", text)]) for text in (b"one\n", b"two\n"))
    server = lab.empty_registry()
    layer = {**pushing.describe(served), "annotations": named.annotations}
    image = pushing.push(server.host, "lie", [served], layers=[layer])
    said = lab.varve().refused(varve.BAD_DATA, image.reference, "--plain-http")
    assert "digest" in said


def test_a_manifest_with_other_bytes_than_its_digest_is_refused(lab):
    proxy = lab.proxy(lab.registry().port)
    proxy.applies_to_all = True
    proxy.fault = faults.FlippedBits()
    lab.varve().refused(varve.BAD_DATA, f"{proxy.host}/{lab.images.path('torture')}",
                        "--plain-http")


def test_the_same_blob_digest_with_another_table_never_shows_the_other_tree(lab, face):
    """The digest of a lazily mounted blob is unchecked: the table's decides whose tree it is."""
    make = pushing.estargz
    real = make.build([make.file("etc/passwd", b"root:x:0:0\n"), make.file("only-real", b"r\n")])
    fake = make.build([make.file("etc/passwd", b"evil:x:0:0\n"), make.file("only-fake", b"f\n")])
    behind = lab.empty_registry()
    good = pushing.push(behind.host, "good", [real])
    claimed = {**pushing.describe(fake), "digest": real.digest}
    # The registry itself would refuse this manifest's blob; the proxy has it.
    pushing.push(behind.host, "evil", [real], layers=[claimed])
    proxy = lab.proxy(behind.port)
    proxy.fault = faults.Replaced("evil", real.digest, fake.data)
    program = lab.varve()
    for name, text, only, other in (("evil", b"evil:x:0:0\n", "only-fake", "only-real"),
                                    ("good", b"root:x:0:0\n", "only-real", "only-fake"),
                                    ("evil", b"evil:x:0:0\n", "only-fake", "only-real")):
        mount = program.mount(f"{proxy.host}/{name}:latest", "--plain-http", face)
        with open(mount.path("etc/passwd"), "rb") as file:
            assert file.read() == text
        assert os.path.exists(mount.path(only)) and not os.path.exists(mount.path(other))
        mount.stop()
    assert good.layers[0]["digest"] == claimed["digest"]
    program.verify()
    caches = program.json("cache", "ls", "--store", program.store)["layers"]
    assert len({layer["key"] for layer in caches}) == 2
    assert {layer["blob"] for layer in caches} == {real.digest}


def test_a_blob_that_is_gone_is_an_error_with_a_reason(lab, face):
    make = pushing.estargz
    blob = make.build([make.file("file", os.urandom(100_000))])
    server = lab.empty_registry()
    image = pushing.push(server.host, "gone", [blob])
    mount = lab.varve().mount(image.reference, *LAZY, face, "--read-timeout=5s")
    processes.run(["find", lab.dir, "-path", f"*/blobs/sha256/*{blob.digest[7:]}*", "-name",
                   "data", "-delete"])
    expect_eio(mount.path("file"))
    failure = mount.varve.why(mount.path("file"))["failures"][0]
    assert failure["kind"] == "not_found" and failure["message"]
