# SPDX-License-Identifier: Apache-2.0
"""A small image in docker-registry, and the registry client that is asked for it."""
import hashlib
import json
import os
import pathlib
import subprocess
import urllib.request

import pytest

from . import registry

TOP = pathlib.Path(__file__).resolve().parents[3]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Tool:
    """A registry_tool of one test; it lives as long as a daemon would."""

    def __init__(self, *options, env=None):
        binary = os.environ.get("VARVE_BIN")
        build = pathlib.Path(binary).parents[2] if binary else TOP / "build"
        home = {"HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent", "no_proxy": "*"}
        self.process = subprocess.Popen(
            [build / "tests/unit/registry/registry_tool", *options], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **home, **(env or {})})

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return errors


@pytest.fixture(name="tool")
def tool_fixture():
    """Makes tools, and sees to it that each ended well."""
    tools = []

    def make(*options, **more):
        tools.append(Tool(*options, **more))
        return tools[-1]
    yield make
    for tool in tools:
        tool.close()


def push(host, repository, content):
    """Uploads a blob."""
    url = f"http://{host}/v2/{repository}/blobs/uploads/"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
        location = answer.headers["Location"]
    separator = "&" if "?" in location else "?"
    request = urllib.request.Request(
        f"{location}{separator}digest={digest_of(content)}", data=content, method="PUT",
        headers={"Content-Type": "application/octet-stream"})
    urllib.request.urlopen(request).close()
    return {"digest": digest_of(content), "size": len(content),
            "mediaType": "application/octet-stream"}


class Image:
    """Pushed once; every registry of these tests serves the same storage."""

    def __init__(self, directory):
        self.storage = str(directory / "storage")
        self.layer = os.urandom(3 << 20)
        writer = registry.Registry(str(directory / "writer"), self.storage, writable=True).start()
        try:
            for repository in ("public/app", "private/app"):
                config = push(writer.host, repository, b"{}")
                layer = push(writer.host, repository, self.layer)
                self.manifest = json.dumps(
                    {"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                     "layers": [layer]}).encode()
                urllib.request.urlopen(urllib.request.Request(
                    f"http://{writer.host}/v2/{repository}/manifests/v1", data=self.manifest,
                    method="PUT", headers={"Content-Type": MANIFEST})).close()
        finally:
            writer.stop()

    def check(self, tool, host, repository="public/app", count=1):
        """Every kind of question is answered rightly."""
        reference = f"{host}/{repository}:v1"
        digest = digest_of(self.manifest)
        assert tool.ask("resolve", reference) == f"ok {digest} {MANIFEST}"
        assert tool.ask("manifest", reference, digest) == f"ok {digest} {MANIFEST}"
        self.check_range(tool, reference, 0, len(self.layer), count)
        self.check_range(tool, reference, 1234567, 100000, count)
        self.check_range(tool, reference, len(self.layer) - 1, 1, count)
        blob = digest_of(self.layer)
        assert tool.ask("blob", reference, blob, len(self.layer)) == f"ok {blob}"

    def check_range(self, tool, reference, off, size, count=1):
        answer = tool.ask("range", reference, digest_of(self.layer), len(self.layer), off, size,
                          count)
        assert answer == f"ok {digest_of(self.layer[off:off + size])}"


@pytest.fixture(scope="module", name="image")
def image_fixture(tmp_path_factory):
    return Image(tmp_path_factory.mktemp("image"))


@pytest.fixture(name="serve")
def serve_fixture(tmp_path, image):
    """Starts registries that serve the image."""
    servers = []

    def start(**options):
        directory = tmp_path / f"registry-{len(servers)}"
        servers.append(registry.Registry(str(directory), image.storage, **options))
        return servers[-1].start()
    yield start
    for server in servers:
        server.stop()


@pytest.fixture(name="hosts")
def hosts_fixture(tmp_path):
    """Writes hosts.toml files; calling it returns the options that make a tool read them."""
    root = tmp_path / "certs.d"
    root.mkdir()

    def write(host, text):
        directory = root / host.replace(":", "_")
        if ":" in host:
            directory = root / (host.replace(":", "_") + "_")
        directory.mkdir(exist_ok=True)
        (directory / "hosts.toml").write_text(text, encoding="utf-8")
        return ["--hosts-dir", str(root)]
    write.root = root
    return write
