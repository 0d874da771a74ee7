# SPDX-License-Identifier: Apache-2.0
"""`varve index`: indexes of layers without a table of contents, made, pushed, pulled, verified."""
import base64
import dataclasses
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile

import pytest

from lab import places, pushing, referrers_api, registry, varve

INDEX_ARTIFACT = "application/vnd.varve.layer-index.v1+json"
LAYER_INDEX = "application/vnd.varve.layer-index.v1"
LAYER_ANNOTATION = "dev.varve.layer-index.layer-digest"


@dataclasses.dataclass
class Blob:
    """A gzip layer as pushing.push() takes it."""
    data: bytes
    diff_id: str
    files: dict

    @property
    def digest(self):
        return pushing.sha256(self.data)

    def describe(self):
        return {"mediaType": pushing.LAYER, "digest": self.digest, "size": len(self.data)}


def layer(seed, n_files=14, size=1 << 20, other_name=None):
    """Files of which half compresses; several spans."""
    random_bytes, text, files = random.Random(seed), io.BytesIO(), {}
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for i in range(n_files):
            content = random_bytes.randbytes(size // 2) + (b"%d words " % i) * (size // 20)
            member = tarfile.TarInfo(other_name if i == 0 and other_name
                                     else f"data/file-{seed}-{i}")
            member.size, member.mtime = len(content), 1700000000 + i
            archive.addfile(member, io.BytesIO(content))
            files[member.name] = content
    return Blob(gzip.compress(text.getvalue(), 6, mtime=0), pushing.sha256(text.getvalue()), files)


@pytest.fixture(name="blobs", scope="module")
def blobs_fixture():
    return [layer(1), layer(2, 3)]


def push(server, blobs, name="app"):
    return pushing.push(server.host, name, blobs, layers=[blob.describe() for blob in blobs])


def index(program, verb, *operands, code=0, **more):
    return program.run("index", verb, "--store", program.store, "--hosts-dir", program.hosts,
                       *operands, code=code, **more)


def index_json(program, verb, *operands, code=0):
    return json.loads(index(program, verb, *operands, "--json", code=code).stdout)


def tag_of(image):
    return image.digest.replace(":", "-")


def sha256_of(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.sha256(file.read()).hexdigest()


def test_what_is_created_is_small_and_makes_the_layer_lazy(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    program = lab.varve()
    output = lab.path("indexes")
    os.mkdir(output)
    report = index_json(program, "create", image.reference, "--plain-http", "--output", output)
    assert report["manifest"] == image.digest
    for made, blob in zip(report["layers"], blobs, strict=True):
        assert (made["digest"], made["format"], made["made"]) == (blob.digest, "gzip", True)
        assert made["state"] == "authentic"
        facts = made["index"]
        assert facts["layer"] == blob.digest and facts["diff_id"] == blob.diff_id
        assert facts["entries"] == len(blob.files) and facts["spans"] >= 1
        assert facts["size"] < len(blob.data) / 50
        path = os.path.join(output, blob.digest.replace(":", "-") + ".index")
        assert sha256_of(path) == made["index_digest"]
    read = server.bytes_of_blobs()
    again = index_json(program, "create", image.reference, "--plain-http")
    assert [made["made"] for made in again["layers"]] == [False, False]
    assert server.bytes_of_blobs() == read
    mount = program.mount(image.reference, "--plain-http", "--no-background", "--prefetch=off")
    for name, content in blobs[0].files.items():
        with open(mount.path(name), "rb") as file:
            assert file.read() == content
    assert server.bytes_of_blobs() == read


def test_only_one_layer_goes_to_a_file_and_the_file_says_what_it_is(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    program = lab.varve()
    output = lab.path("one.index")
    said = index(program, "create", image.reference, "--plain-http", "--output", output,
                 code=varve.INVALID).stderr
    assert "make it one" in said and not os.path.exists(output)
    index(program, "create", image.reference, "--plain-http", "--output", output, "--layer",
          blobs[1].digest)
    facts = json.loads(program.run("index", "show", output, "--json").stdout)
    assert facts["layer"] == blobs[1].digest and facts["layer_size"] == len(blobs[1].data)
    assert "compares it" in program.run("index", "show", output).stdout
    said = index(program, "verify", output, code=varve.INVALID).stderr
    assert "--image=IMAGE" in said
    report = index_json(program, "verify", output, "--image", image.reference, "--plain-http")
    assert [(one["layer"], one["outcome"]) for one in report["verdicts"]] == \
        [(blobs[1].digest, "true")]
    os.truncate(output, os.path.getsize(output) - 1)
    program.run("index", "show", output, code=varve.BAD_DATA)


def test_an_artifact_is_pushed_once_and_found_by_its_tag(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    program = lab.varve()
    first = index_json(program, "push", image.reference, "--plain-http")
    assert (first["found_by"], first["tag"]) == ("tag", tag_of(image))
    assert (first["indexes"], first["sent"]) == (2, 2)
    listed, _ = registry.manifest(server.host, "app", tag_of(image))
    entry, = listed["manifests"]
    assert (entry["artifactType"], entry["digest"]) == (INDEX_ARTIFACT, first["artifact"])
    artifact, _ = registry.manifest(server.host, "app", first["artifact"])
    assert artifact["artifactType"] == INDEX_ARTIFACT
    assert artifact["subject"]["digest"] == image.digest
    assert [(one["mediaType"], one["annotations"][LAYER_ANNOTATION])
            for one in artifact["layers"]] == [(LAYER_INDEX, blob.digest) for blob in blobs]
    read = server.bytes_of_blobs()
    again = index_json(program, "push", image.reference, "--plain-http")
    assert (again["artifact"], again["sent"]) == (first["artifact"], 0)
    assert registry.manifest(server.host, "app", tag_of(image))[0] == listed
    assert server.bytes_of_blobs() == read
    # From another store: the same bytes.
    other = lab.varve("other")
    assert index_json(other, "push", image.reference, "--plain-http")["sent"] == 0
    shown = index_json(program, "show", image.reference, "--plain-http")
    assert [one["layer"] for one in shown["repository"]] == [blob.digest for blob in blobs]
    assert [one["digest"] for one in shown["repository"]] == \
        [one["index_digest"] for one in shown["layers"]]
    said = index(program, "show", image.reference, "--plain-http").stdout
    assert said.count("the same") == 2


def test_a_registry_with_the_referrers_api_needs_no_tag(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    api = lab.serve(referrers_api.ReferrersApi(server.host))
    # Others refer to the image, too; pages have one entry.
    for other in ("application/vnd.example.signature", INDEX_ARTIFACT):
        api.referrers.setdefault(image.digest, []).append(
            {"mediaType": pushing.MANIFEST, "digest": pushing.sha256(other.encode()), "size": 7,
             "artifactType": other})
    reference = image.reference.replace(server.host, api.host)
    program = lab.varve()
    first = index_json(program, "push", reference, "--plain-http")
    assert (first["found_by"], first["tag"]) == ("referrers API", "")
    assert [entry["digest"] for entry in api.referrers[image.digest]][2:] == [first["artifact"]]
    again = index_json(program, "push", reference, "--plain-http")
    assert (again["artifact"], again["sent"]) == (first["artifact"], 0)
    assert not [path for _, path in api.seen if f"/manifests/{tag_of(image)}" in path]
    node = lab.varve("node")
    # One of the two is not there; the log says so, and the other one serves.
    done = index(node, "pull", reference, "--plain-http")
    assert pushing.sha256(INDEX_ARTIFACT.encode()) in done.stderr
    shown = index_json(node, "show", reference, "--plain-http")
    assert [one["state"] for one in shown["layers"]] == ["repository-trusted"] * 2
    assert len([path for _, path in api.seen if "/referrers/" in path and "first=1" in path]) >= 2


def test_another_node_pulls_and_reads_one_span(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    index(lab.varve(), "push", image.reference, "--plain-http")
    node = lab.varve("node")
    before = server.bytes_of_blobs()
    report = index_json(node, "pull", image.reference, "--plain-http")
    assert [one["state"] for one in report["layers"]] == ["repository-trusted"] * 2
    assert server.bytes_of_blobs() - before < len(blobs[0].data) / 20
    mount = node.mount(image.reference, "--plain-http", "--no-background", "--prefetch=off")
    name, content = list(blobs[0].files.items())[7]
    with open(mount.path(name), "rb") as file:
        assert file.read() == content
    assert server.bytes_of_blobs() - before < len(blobs[0].data)
    mount.stop()
    # What was read as a whole here counts more than what somebody says.
    report = index_json(node, "create", image.reference, "--plain-http")
    assert [one["state"] for one in report["layers"]] == ["authentic"] * 2


def test_without_an_artifact_there_is_nothing_to_pull_or_verify(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    program = lab.varve()
    report = index_json(program, "pull", image.reference, "--plain-http", code=varve.NOT_FOUND)
    assert [one["state"] for one in report["layers"]] == ["missing"] * 2
    report = index_json(program, "verify", image.reference, "--plain-http", code=varve.NOT_FOUND)
    assert [one["outcome"] for one in report["verdicts"]] == ["none"] * 2


def push_artifact(server, image, indexes, name="app"):
    """Lists files as the indexes of layers. indexes: [(file's bytes, digest of the layer)]."""
    config = b"{}"
    pushing.push_blob(server.host, name, config)
    for data, _ in indexes:
        pushing.push_blob(server.host, name, data)
    manifest, _ = registry.manifest(server.host, name, image.digest)
    document = {
        "schemaVersion": 2, "mediaType": pushing.MANIFEST, "artifactType": INDEX_ARTIFACT,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json",
                   "digest": pushing.sha256(config), "size": len(config)},
        "layers": [{"mediaType": LAYER_INDEX, "digest": pushing.sha256(data), "size": len(data),
                    "annotations": {LAYER_ANNOTATION: of}} for data, of in indexes],
        "subject": {"mediaType": manifest["mediaType"], "digest": image.digest, "size": 1}}
    data = json.dumps(document).encode()
    pushing.push_document(server.host, name, document, pushing.sha256(data))
    pushing.push_index(server.host, name, [{
        "mediaType": pushing.MANIFEST, "digest": pushing.sha256(data), "size": len(data),
        "artifactType": INDEX_ARTIFACT}], tag_of(image))


def test_the_index_of_another_layer_is_called_that_and_not_used(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    program = lab.varve()
    output = lab.path("files")
    os.mkdir(output)
    index(program, "create", image.reference, "--plain-http", "--output", output)
    files = []
    for blob in blobs:
        with open(os.path.join(output, blob.digest.replace(":", "-") + ".index"), "rb") as file:
            files.append(file.read())
    push_artifact(server, image, [(files[1], blobs[0].digest), (files[0], blobs[1].digest)])
    report = index_json(program, "verify", image.reference, "--plain-http", code=varve.BAD_DATA)
    assert [one["outcome"] for one in report["verdicts"]] == ["wrong"] * 2
    assert all("another layer" in one["message"] for one in report["verdicts"])
    node = lab.varve("node")
    done = index(node, "pull", image.reference, "--plain-http", code=varve.NOT_FOUND)
    assert "another layer" in done.stderr
    # A file of an image that has no such layer.
    other = push(server, [layer(3, 2)], "other")
    path = os.path.join(output, blobs[0].digest.replace(":", "-") + ".index")
    said = index(program, "verify", path, "--image", other.reference, "--plain-http",
                 code=varve.INVALID).stderr
    assert blobs[0].digest in said and "does not have" in said


def changed(file, before, after):
    """The index with other bytes of the same length in its columns."""
    head, columns = file[:16], subprocess.run(["zstd", "-dc"], input=file[16:], check=True,
                                              stdout=subprocess.PIPE).stdout
    assert columns.count(before) == 1 and len(before) == len(after)
    return head + subprocess.run(["zstd", "-c"], input=columns.replace(before, after), check=True,
                                 stdout=subprocess.PIPE).stdout


def test_an_index_that_lies_is_told_from_one_that_does_not(lab):
    server = lab.empty_registry()
    blob = layer(4, 3, other_name="data/zebra")
    image = push(server, [blob])
    output = lab.path("one.index")
    index(lab.varve(), "create", image.reference, "--plain-http", "--output", output)
    with open(output, "rb") as file:
        right = file.read()
    lie = changed(right, b"zebra", b"cobra")
    push_artifact(server, image, [(lie, blob.digest)])
    report = index_json(lab.varve(), "verify", image.reference, "--plain-http",
                        code=varve.BAD_DATA)
    verdict, = report["verdicts"]
    assert (verdict["outcome"], verdict["index"]) == ("wrong", pushing.sha256(lie))
    assert "data/cobra" in verdict["message"] and "data/zebra" in verdict["message"]
    # The right one, encoded in another way, is right.
    push_artifact(server, image, [(changed(right, b"zebra", b"zebra"), blob.digest)])
    report = index_json(lab.varve(), "verify", image.reference, "--plain-http")
    assert [one["outcome"] for one in report["verdicts"]] == ["true"]
    # One digest of a span is another one.
    facts = json.loads(lab.varve().run("index", "show", output, "--json").stdout)
    decoded = hashlib.sha256(gzip.decompress(blob.data)).digest()
    assert facts["spans"] == 1 and facts["diff_id"] == blob.diff_id
    columns = subprocess.run(["zstd", "-dc"], input=right[16:], check=True,
                             stdout=subprocess.PIPE).stdout
    place = columns.rindex(decoded)
    wrong = columns[:place] + bytes(32) + columns[place + 32:]
    lie = right[:16] + subprocess.run(["zstd", "-c"], input=wrong, check=True,
                                      stdout=subprocess.PIPE).stdout
    with open(output, "wb") as file:
        file.write(lie)
    report = index_json(lab.varve(), "verify", output, "--image", image.reference, "--plain-http",
                        code=varve.BAD_DATA)
    assert "span at byte 0" in report["verdicts"][0]["message"]


def test_an_artifact_of_another_image_is_not_used(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    program = lab.varve()
    pushed = index_json(program, "push", image.reference, "--plain-http")
    other = push(server, blobs[1:])
    pushing.push_index(server.host, "app", [{
        "mediaType": pushing.MANIFEST, "digest": pushed["artifact"], "size": 1,
        "artifactType": INDEX_ARTIFACT}], tag_of(other))
    node = lab.varve("node")
    said = index(node, "pull", f"{other.reference}@{other.digest}", "--plain-http",
                 code=varve.NOT_FOUND).stderr
    assert f"it is of the image {image.digest}" in said


def test_what_is_true_is_verified(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    index(lab.varve(), "push", image.reference, "--plain-http")
    other = lab.varve("other")
    before = server.bytes_of_blobs()
    report = index_json(other, "verify", image.reference, "--plain-http")
    assert [one["outcome"] for one in report["verdicts"]] == ["true"] * 2
    assert server.bytes_of_blobs() - before >= sum(len(blob.data) for blob in blobs)
    # Nothing of it is kept.
    shown = index_json(other, "show", image.reference, "--plain-http")
    assert [one["state"] for one in shown["layers"]] == ["missing"] * 2


class Protected:
    """An image in a registry that wants a password."""

    def __init__(self, lab, blobs):
        storage = lab.new("storage")
        with_access = lab.registry(storage, writable=True)
        self.image = push(with_access, blobs)
        with_access.stop()
        htpasswd = registry.htpasswd_file(lab.path("htpasswd"), "writer", "secret")
        self.server = lab.registry(storage, writable=True, htpasswd=htpasswd)
        self.reference = self.image.reference.replace(with_access.host, self.server.host)


def write_login(program, host, user, password):
    directory = os.path.join(program.env["HOME"], ".docker")
    os.makedirs(directory, exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    with open(os.path.join(directory, "config.json"), "w", encoding="ascii") as file:
        json.dump({"auths": {host: {"auth": auth}}}, file)
    return os.path.join(directory, "config.json")


def test_passwords_are_those_of_a_login_or_of_the_command_line(lab, blobs):
    protected = Protected(lab, blobs[1:])
    program = lab.varve()
    said = index(program, "push", protected.reference, "--plain-http",
                 code=varve.UNAUTHORIZED).stderr
    assert "looked at" in said
    path = write_login(program, protected.server.host, "writer", "wrong")
    said = index(program, "push", protected.reference, "--plain-http",
                 code=varve.UNAUTHORIZED).stderr
    assert '"writer"' in said and path in said
    write_login(program, protected.server.host, "writer", "secret")
    assert index_json(program, "push", protected.reference, "--plain-http")["sent"] == 1
    other = lab.varve("other")
    index(other, "push", protected.reference, "--plain-http", "--username", "writer",
          "--password-stdin", stdin="secret\n")
    said = index(other, "push", protected.reference, "--plain-http", "--username", "writer",
                 code=varve.INVALID).stderr
    assert "belong together" in said


def test_certificates_are_those_of_hosts_toml(lab, blobs):
    storage = lab.new("storage")
    plain = lab.registry(storage, writable=True)
    image = push(plain, blobs[1:])
    plain.stop()
    authority = lab.authority()
    pair = authority.sign("client")
    server = lab.registry(storage, writable=True, tls=authority.sign("server", server=True),
                          client_ca=authority.cert)
    reference = image.reference.replace(plain.host, server.host)
    program = lab.varve()
    toml = f'server = "https://{server.host}"\nca = "{authority.cert}"\n'
    program.hosts_toml(server.host, toml)
    said = index(program, "push", reference, code=varve.UNAUTHORIZED).stderr
    assert "client certificate" in said
    program.hosts_toml(server.host, toml + f'client = [["{pair[0]}", "{pair[1]}"]]\n')
    assert index_json(program, "push", reference)["sent"] == 1
    program.hosts_toml(server.host, toml + f'client = [["{pair[0]}", "{pair[1]}"]]\n'
                       'capabilities = ["pull", "resolve"]\n')
    said = index(program, "push", reference, code=varve.INVALID).stderr
    assert "the capability to push" in said


def test_a_registry_that_takes_nothing_says_so(lab, blobs):
    storage = lab.new("storage")
    writer = lab.registry(storage, writable=True)
    image = push(writer, blobs[1:])
    writer.stop()
    server = lab.registry(storage)
    reference = image.reference.replace(writer.host, server.host)
    said = index(lab.varve(), "push", reference, "--plain-http", code=varve.UNSUPPORTED).stderr
    assert "it takes no pushes" in said


def test_layers_with_a_table_of_contents_are_named_and_skipped(lab):
    server = lab.registry()
    reference = f"{server.host}/{lab.images.path('torture')}"
    program = lab.varve()
    report = index_json(program, "create", reference, "--plain-http")
    assert {one["state"] for one in report["layers"]} == {"not needed"}
    assert server.bytes_of_blobs() == 0
    assert "table of contents" in index(program, "create", reference, "--plain-http").stdout
    said = index(program, "push", reference, "--plain-http", code=varve.INVALID).stderr
    assert "no layer whose index could be pushed" in said


def test_images_in_files_have_the_same_indexes(lab, blobs):
    server = lab.empty_registry()
    image = push(server, blobs)
    expected = [one["index_digest"] for one in index_json(
        lab.varve("registry"), "create", image.reference, "--plain-http")["layers"]]
    source = f"docker://{image.reference}"
    layout, archive = lab.path("layout"), lab.path("archive.tar")
    places.copy(source, f"oci:{layout}:app")
    places.copy(source, f"oci-archive:{archive}:app")
    places.copy(source, f"docker-archive:{archive}.docker:app:latest")
    _, digest = places.manifest(layout, "app")
    os.rename(layout, lab.path("content"))
    os.symlink(lab.path("content"), layout)
    for name, reference in {"oci": f"oci:{layout}:app", "archive": f"oci-archive:{archive}:app",
                            "containerd": f"containerd:{layout}@{digest}"}.items():
        report = index_json(lab.varve(name), "create", reference)
        assert [one["index_digest"] for one in report["layers"]] == expected
    report = index_json(lab.varve("docker"), "create", f"docker-archive:{archive}.docker")
    assert [one["format"] for one in report["layers"]] == ["tar", "tar"]
    assert [one["state"] for one in report["layers"]] == ["authentic"] * 2
    said = index(lab.varve("oci"), "push", f"oci:{layout}:app", code=varve.INVALID).stderr
    assert "in no registry" in said
