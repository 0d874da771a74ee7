# SPDX-License-Identifier: Apache-2.0
"""Images in files, made by tools we did not write, and a server of files."""
import json
import os
import shutil

from . import processes, pushing


def copy(source, target, *options):
    """skopeo's; "docker://host/..." is plain HTTP."""
    processes.run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", *options,
                   source, target])


def umoci_changed(layout, name, tag):
    """Lets umoci write a new config and manifest for an image of a layout, under another tag."""
    processes.run(["umoci", "config", "--image", f"{layout}:{name}", "--tag", tag,
                   "--config.user", "nobody"])


def blob_path(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_json(path, document):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)


def manifest(layout, name):
    """(manifest, its digest) of an image of a layout."""
    index = read_json(os.path.join(layout, "index.json"))
    digest, = {entry["digest"] for entry in index["manifests"]
               if entry["annotations"]["org.opencontainers.image.ref.name"] == name}
    return read_json(blob_path(layout, digest)), digest


def put_blob(layout, data):
    """Returns the digest."""
    digest = pushing.sha256(data)
    with open(blob_path(layout, digest), "wb") as file:
        file.write(data)
    return digest


def put_manifest(layout, name, document):
    """Adds an image to a layout; returns its digest."""
    data = json.dumps(document).encode()
    path = os.path.join(layout, "index.json")
    index = read_json(path)
    index["manifests"].append({
        "mediaType": pushing.MANIFEST, "digest": put_blob(layout, data), "size": len(data),
        "annotations": {"org.opencontainers.image.ref.name": name}})
    write_json(path, index)
    return index["manifests"][-1]["digest"]


class Containerd(processes.Server):
    """A containerd of the test's own."""

    def __init__(self, directory):
        os.makedirs(directory)
        self.root = os.path.join(directory, "root")
        self.content = os.path.join(self.root, "io.containerd.content.v1.content")
        self.socket = os.path.join(directory, "containerd.sock")
        config = os.path.join(directory, "config.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f'version = 2\nroot = "{self.root}"\nstate = "{directory}/state"\n'
                       'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                       f'[grpc]\naddress = "{self.socket}"\n')
        super().__init__(["containerd", "-c", config], os.path.join(directory, "log"),
                         ready=self._answers)

    def _answers(self):
        return os.path.exists(self.socket) and self.ctr("version", check=False) is not None

    def ctr(self, *arguments, check=True):
        try:
            return processes.run(["ctr", "-a", self.socket, *arguments])
        except RuntimeError:
            if check:
                raise
            return None

    def fetch(self, reference, *options):
        """Pulls without unpacking; returns the digest of what the name means."""
        self.ctr("content", "fetch", "--plain-http", *options, reference)
        line, = (line for line in self.ctr("image", "ls").splitlines()
                 if line.startswith(reference + " "))
        return next(word for word in line.split() if word.startswith("sha256:"))


class Nginx(processes.Server):
    """Serves a directory of files; its log has what requests carried."""

    def __init__(self, directory, certificate=None):
        self.root = os.path.join(directory, "files")
        os.makedirs(self.root)
        port = processes.free_port()
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        self.access_log = os.path.join(directory, "access.log")
        tls = f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};" \
            if certificate else ""
        config = os.path.join(directory, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"""
                user root; daemon off; pid {directory}/pid; error_log {directory}/error.log;
                events {{}}
                http {{
                    log_format all '$request_method $uri $status $body_bytes_sent '
                                   'auth="$http_authorization" range="$http_range"';
                    access_log {self.access_log} all;
                    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
                    fastcgi_temp_path {directory}/fcgi; uwsgi_temp_path {directory}/uwsgi;
                    scgi_temp_path {directory}/scgi;
                    server {{
                        listen 127.0.0.1:{port}{' ssl' if certificate else ''}; {tls}
                        root {self.root};
                    }}
                }}""")
        super().__init__([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", config, "-e",
                          os.path.join(directory, "start.log")],
                         os.path.join(directory, "log"),
                         ready=lambda: processes.is_listening(port))

    def put(self, name, path):
        """Serves a copy of a file; returns its URL."""
        shutil.copy(path, os.path.join(self.root, name))
        return f"{self.url}/{name}"

    def requests(self):
        with open(self.access_log, encoding="utf-8") as log:
            return log.read().splitlines()
