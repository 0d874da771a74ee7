# SPDX-License-Identifier: Apache-2.0
"""Layers with a ztoc of SOCI's: lazy from the first mount, and believed as far as it goes."""
import errno
import gzip
import io
import os
import subprocess
import tarfile

import pytest

from lab import faults, pushing, toc, torture, trees
from lab.layers import Blob, layer
from lab.pushing import soci
from test_pass import is_complete

SPAN_SIZE = 256 << 10
QUIET = ("--no-background", "--prefetch=off", "--plain-http")


@pytest.fixture(name="tars", scope="module")
def tars_fixture(tmp_path_factory):
    contents = []
    for path in torture.layers(str(tmp_path_factory.mktemp("tars"))):
        with open(path, "rb") as file:
            contents.append(file.read())
    return contents


def ztoc(blob, **options):
    return soci.ztoc(blob.data, span_size=SPAN_SIZE, **options)


def push(server, name, blobs, ztocs, **changes):
    """An image whose manifest names the index of these ztocs; None: the index leaves it out."""
    layers = [soci.Layer(blob.digest, table, **changes)
              for blob, table in zip(blobs, ztocs) if table is not None]
    digest = pushing.push_soci_index(server.host, name, layers)
    return pushing.push(server.host, name, blobs, layers=[blob.describe() for blob in blobs],
                        annotations={soci.INDEX_DIGEST_ANNOTATION: digest})


def push_v1(server, name, blobs, ztocs):
    image = pushing.push(server.host, name, blobs, layers=[blob.describe() for blob in blobs])
    pushing.push_soci_index(server.host, name, [
        soci.Layer(blob.digest, table) for blob, table in zip(blobs, ztocs)], image)
    return image


def through(proxy, server, image):
    return image.reference.replace(server.host, proxy.host)


def bytes_of(proxy, digest):
    return sum(request.sent for request in proxy.blobs() if request.digest == digest)


def spans_of(blob, name):
    """Places in the blob of the spans with the headers and the payload of a file."""
    archive = gzip.decompress(blob.data)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.getmember(name)
    found, _ = soci.points(blob.data, SPAN_SIZE)
    starts = [point.out for point in found] + [len(archive)]
    places = [point.into - (1 if point.bits else 0) for point in found]
    ends = [point.into for point in found[1:]] + [len(blob.data)]
    return [(places[i], ends[i]) for i in range(len(found))
            if starts[i] < member.offset_data + member.size and starts[i + 1] > member.offset]


def expect_eio(path):
    with pytest.raises(OSError) as raised:
        trees.file_hash(path)
    assert raised.value.errno == errno.EIO


def assert_same_file(lab, mount, name):
    assert trees.file_hash(mount.path(name)) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), name))


FORMS = {
    "gzip": ("gzip", {}),
    "first-point-left-out": ("gzip", {"layout": 1}),
    "pigz": ("pigz", {}),
    "members": ("members", {}),
    "tar": ("tar", {"algorithm": "uncompressed"}),
}


def check_tree(lab, face, form, tars):
    esgz = lab.registry()
    implicit = toc.implicit_directories(toc.layers(esgz.host, lab.images.path("torture")))
    expected = trees.read(lab.images.tree("torture"))
    server = lab.empty_registry()
    encoding, options = FORMS[form]
    blobs = [layer(tar, encoding) for tar in tars]
    image = push(server, "torture", blobs, [ztoc(blob, **options) for blob in blobs])
    proxy = lab.proxy(server.port)
    program = lab.varve()
    mount = program.mount(through(proxy, server, image), *QUIET, face)
    assert not any(bytes_of(proxy, blob.digest) for blob in blobs)
    assert not is_complete(mount)
    trees.assert_same(expected, trees.read(mount.dir), implicit, whole_seconds=False)
    # In an order of its own, so that files are read before the one that their span begins with; and
    # once more when all of it is here, to check the ztoc.
    for blob in blobs:
        assert len(blob.data) / 2 < bytes_of(proxy, blob.digest) < len(blob.data) * 2.5
    mount.stop()
    program.verify()
    server.stop()
    again = program.mount(through(proxy, server, image), "--plain-http", "--pull=never", face)
    trees.assert_same(expected, trees.read(again.dir), implicit, whole_seconds=False)


@pytest.mark.limit(240)
def test_an_image_with_ztocs_is_what_umoci_unpacks_and_needs_no_pass(lab, face, tars):
    check_tree(lab, face, "gzip", tars)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "gzip"])
@pytest.mark.limit(240)
def test_every_kind_of_ztoc_leads_to_that_tree(lab, form, tars):
    check_tree(lab, "--face=fuse", form, tars)


def test_an_image_of_real_tools_is_lazy_with_a_ztoc(lab, face, tmp_path):
    """umoci has compressed the layers."""
    from lab import images  # pylint: disable=import-outside-toplevel
    layout = str(tmp_path / "layout")
    images.make_image(layout, "torture", torture.layers(str(tmp_path)))
    server = lab.empty_registry()
    blobs = []
    listed = os.path.join(layout, "blobs", "sha256")
    for name in sorted(os.listdir(listed), key=lambda n: -os.path.getsize(os.path.join(listed, n))):
        with open(os.path.join(listed, name), "rb") as file:
            data = file.read()
        if data[:2] == b"\x1f\x8b":
            blobs.append(Blob(data, pushing.sha256(gzip.decompress(data)), pushing.LAYER))
    assert len(blobs) == 2
    image = push(server, "torture", blobs, [ztoc(blob) for blob in blobs])
    mount = lab.varve().mount(image.reference, *QUIET, face)
    assert not is_complete(mount)
    assert_same_file(lab, mount, "links/a/one")
    assert_same_file(lab, mount, "sizes/4097")


def test_a_read_costs_its_spans_and_those_of_its_headers(lab, face, tars):
    server = lab.empty_registry()
    blob = layer(tars[0])
    table = ztoc(blob)
    image = push(server, "torture", [blob], [table])
    proxy = lab.proxy(server.port)
    mount = lab.varve().mount(through(proxy, server, image), *QUIET, face)
    assert bytes_of(proxy, pushing.sha256(table)) == len(table)
    assert bytes_of(proxy, blob.digest) == 0
    places = set()
    for name in ("sizes/9437184", "links/a/one"):
        assert_same_file(lab, mount, name)
        places |= set(spans_of(blob, name))
        # What is asked for together is asked for once, also the bytes that spans share.
        assert 0 <= sum(end - start for start, end in places) - bytes_of(proxy, blob.digest) \
            <= len(places)
    assert len(places) > 3
    assert bytes_of(proxy, blob.digest) < len(blob.data) * 3 / 4


def test_the_middle_of_a_file_brings_one_span_beside_its_own(lab, tars):
    server = lab.empty_registry()
    blob = layer(tars[0])
    image = push(server, "torture", [blob], [ztoc(blob)])
    proxy = lab.proxy(server.port)
    program = lab.varve()
    mount = program.mount(through(proxy, server, image), *QUIET, "--face=fuse")

    def read_piece(mount, off):
        before = bytes_of(proxy, blob.digest)
        with open(mount.path("sizes/9437184"), "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            assert len(os.pread(file.fileno(), 4096, off)) == 4096
        return bytes_of(proxy, blob.digest) - before

    places = spans_of(blob, "sizes/9437184")
    most = 2 * max(end - start for start, end in places)
    first = read_piece(mount, 5 << 20)
    assert 0 < first <= most + places[0][1] - places[0][0]
    # Its headers are known from now on, also in the next life of the store.
    assert 0 < read_piece(mount, 7 << 20) <= most
    mount.stop()
    mount = program.mount(through(proxy, server, image), *QUIET, "--face=fuse")
    assert 0 < read_piece(mount, 3 << 20) <= most


def break_digest(number):
    def edit(fields):
        fields[5].fields[2][number] = soci.sha256(b"other").encode()
    return edit


def test_a_span_of_another_digest_is_refused(lab, face, tars):
    server = lab.empty_registry()
    blob = layer(tars[0])
    image = push(server, "torture", [blob], [ztoc(blob, edit=break_digest(0))])
    program = lab.varve()
    mount = program.mount(image.reference, *QUIET, face)
    expect_eio(mount.path("many/00001-x"))
    failure = program.why(mount.path("many/00001-x"))
    assert "digest" in str(failure)
    assert_same_file(lab, mount, "links/a/one")


def test_bytes_are_checked_before_they_are_decoded(lab, tars):
    server = lab.empty_registry()
    blob = layer(tars[1])
    image = push(server, "torture", [blob], [ztoc(blob)])
    proxy = lab.proxy(server.port)
    program = lab.varve()
    mount = program.mount(through(proxy, server, image), *QUIET, "--read-timeout=5s")
    proxy.fault = faults.FlippedBits()
    expect_eio(mount.path("names/upper"))
    failures = program.status()["failures"]
    assert failures and {failure["kind"] for failure in failures} == {"digest_mismatch"}
    assert mount.status()["layers"][0]["present"] == 0
    proxy.fault = faults.Fault()
    assert_same_file(lab, mount, "names/upper")


def lie_about(entry, **changes):
    slots = {"name": 0, "mode": 5, "uid": 6}

    def edit(fields):
        for file in fields[4].fields[0]:
            if file.fields[0] == entry.encode():
                new = {slots[key]: value for key, value in changes.items()}
                file.fields = [new.get(i, old) for i, old in enumerate(file.fields)]
                return
        raise AssertionError(entry)
    return edit


LIES = {
    "mode": (lie_about("links/a/one", mode=("<q", 0o4755)), "links/a/one", "its mode is 4755"),
    "name": (lie_about("modes/owner", name=b"modes/other"), "modes/other", "its name is "),
    "far": (lie_about("sizes/9437184", uid=("<I", 7)), "sizes/9437184", "its owner is 7"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_ztoc_that_lies_about_a_file_is_found_out_by_the_first_who_reads_it(lab, face, lie, tars):
    server = lab.empty_registry()
    edit, name, message = LIES[lie]
    blob = layer(tars[0])
    image = push(server, "torture", [blob], [ztoc(blob, edit=edit)])
    program = lab.varve()
    mount = program.mount(image.reference, *QUIET, face)
    assert_same_file(lab, mount, "many/00001-x")
    if lie == "far":
        with open(mount.path(name), "rb", buffering=0) as file, pytest.raises(OSError) as raised:
            os.pread(file.fileno(), 4096, 8 << 20)
        assert raised.value.errno == errno.EIO
    else:
        expect_eio(mount.path(name))
    assert any(message in failure["message"] for failure in program.status()["failures"])


def test_an_index_that_nothing_names_is_used_only_where_that_is_allowed(lab, face, tars):
    server = lab.empty_registry()
    blobs = [layer(tar) for tar in tars]
    image = push_v1(server, "torture", blobs, [ztoc(blob) for blob in blobs])
    with_it = lab.varve("v1")
    mount = with_it.mount(image.reference, *QUIET, "--soci-v1", face)
    assert not is_complete(mount)
    assert_same_file(lab, mount, "links/a/one")
    mount.stop()
    # What was allowed once is not for ever.
    for program in (with_it, lab.varve("v2")):
        mount = program.mount(image.reference, *QUIET, face)
        assert is_complete(mount)
        mount.stop()


def test_an_index_of_another_image_is_refused(lab, tars):
    server = lab.empty_registry()
    blobs = [layer(tar) for tar in tars]
    image = push_v1(server, "torture", blobs, [ztoc(blob) for blob in blobs])
    other = pushing.push(server.host, "torture", blobs[:1], tag="other",
                         layers=[blobs[0].describe()])
    stolen = pushing.push_soci_index(server.host, "torture", [
        soci.Layer(blob.digest, ztoc(blob)) for blob in blobs], image)
    pushing.push_document(server.host, "torture", {
        "schemaVersion": 2, "mediaType": pushing.INDEX, "manifests": [{
            "mediaType": pushing.MANIFEST, "digest": stolen, "size": 1,
            "artifactType": soci.INDEX_V1}]}, tag=other.digest.replace(":", "-"),
        kind=pushing.INDEX)
    mount = lab.varve().mount(other.reference, *QUIET, "--soci-v1")
    assert is_complete(mount)
    assert "is not used" in mount.text()


BROKEN = {
    "truncated": lambda table, _: table[:1000],
    "garbage": lambda table, _: bytes(4) + b"\xff" * 5000,
    "of-another-blob": lambda _, other: other,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_ztoc_that_cannot_be_of_the_layer_means_a_pass(lab, kind, tars):
    server = lab.empty_registry()
    blob, other = layer(tars[1]), layer(tars[0])
    table = BROKEN[kind](ztoc(blob), ztoc(other))
    image = push(server, "torture", [blob], [table])
    mount = lab.varve().mount(image.reference, *QUIET)
    assert is_complete(mount)
    assert f"layer {blob.digest}: the ztoc {pushing.sha256(table)} is not used: ztoc: " \
        in mount.text()
    assert_same_file(lab, mount, "names/upper")


def test_an_index_that_is_not_there_means_a_pass(lab, tars):
    server = lab.empty_registry()
    blob = layer(tars[1])
    image = pushing.push(server.host, "torture", [blob], layers=[blob.describe()], annotations={
        soci.INDEX_DIGEST_ANNOTATION: pushing.sha256(b"nowhere")})
    mount = lab.varve().mount(image.reference, *QUIET)
    assert is_complete(mount)
    assert f"the SOCI index of {image.digest} is not used: index {pushing.sha256(b'nowhere')}" \
        in mount.text()


def test_a_layer_that_the_index_leaves_out_is_read_as_a_whole(lab, tars):
    server = lab.empty_registry()
    blobs = [layer(tar) for tar in tars]
    image = push(server, "torture", blobs, [ztoc(blobs[0]), None])
    mount = lab.varve().mount(image.reference, *QUIET)
    assert [part["complete"] for part in mount.status()["layers"]] == [False, True]
    assert_same_file(lab, mount, "names/upper")
    assert_same_file(lab, mount, "links/a/one")


def test_whoever_trusts_no_index_reads_the_layer(lab, tars):
    server = lab.empty_registry()
    blob = layer(tars[1])
    image = push(server, "torture", [blob], [ztoc(blob)])
    mount = lab.varve().mount(image.reference, *QUIET, "--trust-indexes=none", "--soci-v1")
    assert is_complete(mount)


def test_a_layer_without_xattrs_may_say_so(lab, face, tmp_path):
    """Whether it has any is known from its entries: nothing else depends on that annotation."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"contents\n" * 1000)
    data = subprocess.run(["tar", "-C", str(tree), "-cf", "-", "file"], stdout=subprocess.PIPE,
                          check=True).stdout
    server = lab.empty_registry()
    blob = layer(data)
    image = push(server, "plain", [blob], [ztoc(blob)], disable_xattrs=True)
    mount = lab.varve().mount(image.reference, *QUIET, face)
    assert not is_complete(mount)
    assert trees.file_hash(mount.path("file")) == trees.file_hash(str(tree / "file"))
    assert trees.xattrs(mount.path("file")) == {}


def test_a_detached_mount_uses_an_index_of_version_1(lab, tars):
    server = lab.empty_registry()
    blob = layer(tars[1])
    image = push_v1(server, "torture", [blob], [ztoc(blob)])
    program = lab.varve()
    target = program.target("detached")
    program.run(*program.mount_arguments(image.reference, target,
                                         (*QUIET, "--soci-v1", "--detach")))
    try:
        status = next(m for m in program.status()["mounts"] if m["dir"] == target)
        assert not status["layers"][0]["complete"]
        assert trees.file_hash(os.path.join(target, "names/upper")) == \
            trees.file_hash(os.path.join(lab.images.tree("torture"), "names/upper"))
    finally:
        program.run("umount", target)
