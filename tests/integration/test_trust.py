# SPDX-License-Identifier: Apache-2.0
"""Indexes that somebody has put beside an image: used before they are checked, and what happens
when they have not told the truth."""
import contextlib
import dataclasses
import errno
import glob
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tarfile

import pytest

from lab import faults, processes, pushing, trees, varve

TOP = pathlib.Path(__file__).resolve().parents[2]
ARTIFACT = "application/vnd.varve.layer-index.v1+json"
INDEX = "application/vnd.varve.layer-index.v1"
LAYER_ANNOTATION = "dev.varve.layer-index.layer-digest"
EMPTY = "application/vnd.oci.empty.v1+json"
LAZY = ("--plain-http", "--no-background", "--prefetch=off")
# Time to read something before the check has read the whole layer, 13 MB.
SLOWLY = "--background-limit=3M/s" if varve.SLOWNESS == 1 else "--background-limit=2M/s"
FILES = 24
SIZE = 1 << 20
LIED_ABOUT = "data/07"


@dataclasses.dataclass
class Blob:
    """A layer as pushing.push() takes it."""
    data: bytes
    diff_id: str
    annotations: dict = dataclasses.field(default_factory=dict)

    @property
    def digest(self):
        return pushing.sha256(self.data)

    def describe(self):
        return {"mediaType": pushing.LAYER, "digest": self.digest, "size": len(self.data)}


def contents(i):
    """Compressible by half."""
    return random.Random(i).randbytes(SIZE // 2).hex().encode()


@pytest.fixture(name="layer", scope="session")
def layer_fixture():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for i in range(FILES):
            entry = tarfile.TarInfo(f"data/{i:02}")
            entry.size, entry.mode, entry.mtime = SIZE, 0o644, 1
            archive.addfile(entry, io.BytesIO(contents(i)))
    return Blob(gzip.compress(out.getvalue(), 6, mtime=0), pushing.sha256(out.getvalue()))


@pytest.fixture(name="index", scope="session")
def index_fixture(layer, tmp_path_factory, binary):
    """What a pass over the layer leaves."""
    layout = tmp_path_factory.mktemp("index")
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": pushing.MANIFEST,
        "config": {"mediaType": pushing.CONFIG, "digest": pushing.sha256(config),
                   "size": len(config)}, "layers": [layer.describe()]}).encode()
    for data in (layer.data, config, manifest):
        (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(json.dumps({
        "schemaVersion": 2, "mediaType": pushing.INDEX, "manifests": [
            {"mediaType": pushing.MANIFEST, "digest": pushing.sha256(manifest),
             "size": len(manifest)}]}))
    directory = layout / "v"
    directory.mkdir()
    program = varve.Varve(str(directory), binary)
    program.mount(f"oci:{layout}").stop()
    path, = glob.glob(os.path.join(program.store, "layers", "*.spans"))
    return pathlib.Path(path).read_bytes()


@pytest.fixture(name="lie")
def lie_fixture(index, tmp_path):
    """Makes the index say something else."""
    binary = os.environ.get("VARVE_BIN")
    build = pathlib.Path(binary).parents[2] if binary else TOP / "build"

    def make(kind, name=LIED_ABOUT):
        (tmp_path / "index").write_bytes(index)
        subprocess.run([build / "tests/unit/format/spans_tool", kind, tmp_path / "index", name,
                        tmp_path / "lie"], check=True)
        return (tmp_path / "lie").read_bytes()
    return make


def push_index(host, image, layer, index):
    """As an artifact that refers to the image, in the way of registries without an API for that."""
    repository = image.reference.split("/", 1)[1].rsplit(":", 1)[0]
    for data in (b"{}", index):
        pushing.push_blob(host, repository, data)
    document = {
        "schemaVersion": 2, "mediaType": pushing.MANIFEST, "artifactType": ARTIFACT,
        "config": {"mediaType": EMPTY, "digest": pushing.sha256(b"{}"), "size": 2},
        "layers": [{"mediaType": INDEX, "digest": pushing.sha256(index), "size": len(index),
                    "annotations": {LAYER_ANNOTATION: layer.digest}}],
        "subject": {"mediaType": pushing.MANIFEST, "digest": image.digest, "size": 1000}}
    data = json.dumps(document).encode()
    pushing.push_document(host, repository, document, tag=pushing.sha256(data))
    pushing.push_index(host, repository, [
        {"mediaType": pushing.MANIFEST, "digest": pushing.sha256(data), "size": len(data),
         "artifactType": ARTIFACT}], tag=image.digest.replace(":", "-"))


@dataclasses.dataclass
class Lab:
    server: object
    image: object
    proxy: object
    reference: str  # through the proxy

    def blob_bytes(self, layer):
        """Of the layer, that left the proxy."""
        return sum(request.sent for request in self.proxy.seen
                   if request.is_blob and request.digest == layer.digest)


@pytest.fixture(name="put")
def put_fixture(lab, layer):
    def make(index, name="app"):
        server = lab.empty_registry()
        image = pushing.push(server.host, name, [layer], layers=[layer.describe()])
        if index:
            push_index(server.host, image, layer, index)
        proxy = lab.proxy(server.port)
        return Lab(server, image, proxy, image.reference.replace(server.host, proxy.host))
    return make


def layer_of(mount):
    found, = mount.status()["layers"]
    return found


def trust_of(mount):
    return layer_of(mount)["trust"]


def wait_for_trust(mount, trust, seconds=60):
    processes.wait_for(lambda: trust_of(mount) == trust, seconds * varve.SLOWNESS,
                       f"the layer is {trust}")


def store_files(program):
    return [path for folder in ("layers", "images")
            for path in glob.glob(os.path.join(program.store, folder, "*"))]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def cached_pages(path):
    """How many of the file's bytes the kernel has."""
    done = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", path],
                          stdout=subprocess.PIPE, check=True, text=True)
    return int(done.stdout)


def reads_fail(path):
    with pytest.raises(OSError) as failed:
        read(path)
    return failed.value.errno == errno.EIO


def test_a_second_node_mounts_without_reading_the_layer(lab, face, layer, index, put):
    place = put(index)
    program = lab.varve()
    mount = program.mount(place.reference, *LAZY, face)
    assert place.blob_bytes(layer) == 0
    assert sorted(os.listdir(mount.path("data"))) == [f"{i:02}" for i in range(FILES)]
    assert read(mount.path("data/10")) == contents(10)
    assert 0 < place.blob_bytes(layer) < len(layer.data) / 2
    report = layer_of(mount)
    assert (report["trust"], report["index_by"], report["index"]) == \
        ("repository-trusted", "varve", pushing.sha256(index))
    assert program.why(mount.path("data/10"))["layer"]["trust"] == "repository-trusted"
    said = program.run("why", mount.path("data/10")).stdout
    assert "\n  its index is repository-trusted (varve index" in said
    assert "repository-trusted (varve index" in program.run(
        "status", "--store", program.store).stdout
    mount.stop()
    before = place.blob_bytes(layer)
    again = program.mount(place.reference, *LAZY, "--pull=never", face)
    assert trust_of(again) == "repository-trusted"
    assert read(again.path("data/10")) == contents(10)
    assert place.blob_bytes(layer) == before


@pytest.mark.concurrent
def test_a_true_index_becomes_authentic_in_the_background(lab, face, layer, index, put):
    place = put(index)
    program = lab.varve()
    mount = program.mount(place.reference, "--plain-http", face)
    assert read(mount.path("data/10")) == contents(10)
    wait_for_trust(mount, "authentic")
    processes.wait_for(lambda: layer_of(mount)["complete"], 20 * varve.SLOWNESS, "it is complete")
    # Once as a whole, and what was read and read ahead before that.
    assert place.blob_bytes(layer) < len(layer.data) * 2
    before = place.blob_bytes(layer)
    for i in range(FILES):
        assert read(mount.path(f"data/{i:02}")) == contents(i)
    assert place.blob_bytes(layer) == before
    mount.stop()
    program.verify()
    place.proxy.stop()
    again = program.mount(place.reference, "--plain-http", "--pull=never", face)
    assert (trust_of(again), layer_of(again)["complete"]) == ("authentic", True)
    assert read(again.path("data/23")) == contents(23)


def test_without_background_a_layer_is_checked_once_all_of_it_was_read(lab, face, layer, index, put):
    place = put(index)
    mount = lab.varve().mount(place.reference, *LAZY, face)
    for i in range(FILES - 1):
        assert read(mount.path(f"data/{i:02}")) == contents(i)
    assert trust_of(mount) == "repository-trusted"
    assert read(mount.path(f"data/{FILES - 1}")) == contents(FILES - 1)
    wait_for_trust(mount, "authentic")


@pytest.mark.one_face
@pytest.mark.concurrent
@pytest.mark.parametrize("kind", ["name", "mode", "size", "place", "digest"])
def test_a_lie_is_found_out_and_then_nothing_of_the_layer_is_read(lab, face, layer, lie, put, kind):
    lying = lie(kind)
    place = put(lying)
    program = lab.varve()
    mount = program.mount(place.reference, "--plain-http", SLOWLY, face)
    path = mount.path("data/01")
    # Believed, and cached by the kernel.
    assert read(path) == contents(1)
    assert cached_pages(path) > 0
    assert trust_of(mount) == "repository-trusted"
    opened = open(path, "rb")  # pylint: disable=consider-using-with
    with contextlib.closing(opened):
        wait_for_trust(mount, "contradicted", 90)
        processes.wait_for(lambda: cached_pages(path) == 0, 10 * varve.SLOWNESS, "it is dropped")
        with pytest.raises(OSError) as failed:
            opened.read(10)
        assert failed.value.errno == errno.EIO
    for name in ("data/01", "data/20"):
        assert reads_fail(mount.path(name))
    report = layer_of(mount)
    assert pushing.sha256(lying) in report["contradiction"]
    assert "does not tell the truth" in mount.text()
    assert any("does not tell the truth" in failure["message"]
               for failure in program.status()["failures"])
    assert "CONTRADICTED" in program.run("status", "--store", program.store).stdout
    assert "does not tell the truth" in program.run("why", path).stdout
    # Nothing that came of it stays.
    assert store_files(program) == []
    mount.stop()
    again = program.mount(place.reference, *LAZY, face)
    assert trust_of(again) == "authentic"
    assert f"{pushing.sha256(lying)} is not used: it was found to contradict the layer" \
        in again.text()
    for i in range(FILES):
        assert read(again.path(f"data/{i:02}")) == contents(i)
    assert os.stat(again.path(LIED_ABOUT)).st_mode & 0o777 == 0o644


MAPS = """
import mmap, sys
file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print(len(bytes(mapped)), flush=True)
sys.stdin.read()
"""


def test_pages_of_a_mapped_file_go_on_the_fuse_face(lab, lie, put):
    place = put(lie("mode"))
    mount = lab.varve().mount(place.reference, "--plain-http", SLOWLY, "--face=fuse")
    path = mount.path("data/01")
    # Not in this process: who touches the mapping afterwards gets SIGBUS.
    with subprocess.Popen([sys.executable, "-c", MAPS, path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as reader:
        assert int(reader.stdout.readline()) == SIZE
        assert cached_pages(path) > 0
        wait_for_trust(mount, "contradicted", 90)
        processes.wait_for(lambda: cached_pages(path) == 0, 10 * varve.SLOWNESS, "it is dropped")
        reader.stdin.close()


@pytest.mark.parametrize("kind, message", [
    ("blob", "it is the index of another layer"),
    ("blob-size", "it is of a blob of"),
    ("diffid", "but the image's config (diffID) says"),
])
def test_an_index_that_cannot_be_of_the_layer_is_not_used(lab, layer, lie, put, kind, message):
    lying = lie(kind)
    place = put(lying)
    program = lab.varve()
    mount = program.mount(place.reference, *LAZY)
    assert message in mount.text() and pushing.sha256(lying) in mount.text()
    assert (trust_of(mount), layer_of(mount)["complete"]) == ("authentic", True)
    assert place.blob_bytes(layer) == len(layer.data)
    # Of the pass alone.
    assert sorted(path.rsplit(".", 1)[1] for path in store_files(program)) == \
        ["data", "erofs", "erofs", "spans", "units"]
    assert read(mount.path("data/10")) == contents(10)


def test_a_wrong_digest_of_a_span_fails_the_reads_of_that_span_alone(lab, lie, put):
    place = put(lie("digest"))
    program = lab.varve()
    mount = program.mount(place.reference, *LAZY)
    assert reads_fail(mount.path(LIED_ABOUT))
    assert read(mount.path("data/20")) == contents(20)
    failures = program.why(mount.path(LIED_ABOUT))["failures"]
    assert "span" in failures[0]["message"] and "digest" in failures[0]["message"]
    assert program.why(mount.path(LIED_ABOUT))["units"]["present"] < \
        program.why(mount.path(LIED_ABOUT))["units"]["total"]


def test_an_index_of_another_repository_is_nobodys_word(lab, layer, index, put):
    place = put(index)
    other = pushing.push(place.server.host, "other", [layer], layers=[layer.describe()])
    program = lab.varve()
    program.mount(place.reference, *LAZY).stop()
    mount = program.mount(other.reference.replace(place.server.host, place.proxy.host), *LAZY)
    assert trust_of(mount) == "authentic"
    assert place.blob_bytes(layer) == len(layer.data)


def test_nobody_is_believed_who_is_not_to_be(lab, layer, index, put):
    place = put(index)
    program = lab.varve()
    mount = program.mount(place.reference, *LAZY, "--trust-indexes=none")
    assert trust_of(mount) == "authentic"
    assert place.blob_bytes(layer) == len(layer.data)
    assert not any(pushing.sha256(index) in request.path for request in place.proxy.seen)


class NoReferrers(faults.Fault):
    """Whoever asks what refers to an image gets an error."""

    def answer(self, request):
        if "/referrers/" in request.path or "/manifests/sha256-" in request.path:
            return 503, {}, b"not now"
        return None


def test_a_registry_that_does_not_say_what_refers_to_an_image_costs_a_pass(lab, layer, index, put):
    place = put(index)
    place.proxy.fault, place.proxy.applies_to_all = NoReferrers(), True
    mount = lab.varve().mount(place.reference, *LAZY)
    assert "is not known" in mount.text()
    assert trust_of(mount) == "authentic"
    assert place.blob_bytes(layer) == len(layer.data)
    assert trees.file_hash(mount.path("data/03")) == hashlib.sha256(contents(3)).hexdigest()
