# SPDX-License-Identifier: Apache-2.0
"""Debian's docker-registry as tests need it: plain, TLS with client certificates, passwords."""
import json
import os
import ssl
import subprocess
import urllib.request

from . import processes


class Authority:
    """A certificate authority of a test, and what it signs. All files are in one directory."""

    def __init__(self, directory, name="authority"):
        self.dir = directory
        os.makedirs(directory, exist_ok=True)
        self.cert = os.path.join(directory, f"{name}.crt")
        self.key = os.path.join(directory, f"{name}.key")
        processes.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                       "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert])

    def sign(self, name, days=10, server=False):
        """Returns (certificate file, key file)."""
        cert, key = (os.path.join(self.dir, f"{name}.{ending}") for ending in ("cert", "key"))
        request = os.path.join(self.dir, f"{name}.csr")
        extensions = os.path.join(self.dir, f"{name}.ext")
        with open(extensions, "w", encoding="ascii") as file:
            if server:
                file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            file.write(f"extendedKeyUsage={'serverAuth' if server else 'clientAuth'}\n")
        processes.run(["openssl", "req", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                       "-keyout", key, "-out", request])
        processes.run(["openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey",
                       self.key, "-CAcreateserial", "-days", str(days), "-extfile", extensions,
                       "-out", cert])
        return cert, key


class Registry(processes.Server):
    """Serves a storage directory; several may serve the same one when it is read-only."""

    def __init__(self, directory, storage, port=None, writable=False, tls=None, client_ca=None,
                 htpasswd=None, token=None, address="127.0.0.1"):
        self.dir = directory
        os.makedirs(directory, exist_ok=True)
        self.port = port or processes.free_port()
        self.host = f"{address}:{self.port}"
        self.access_log = os.path.join(directory, "registry.log")
        http = {"addr": self.host}
        if tls:
            http["tls"] = {"certificate": tls[0], "key": tls[1]}
            if client_ca:
                http["tls"]["clientcas"] = [client_ca]
        config = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": storage},
                        "maintenance": {"uploadpurging": {"enabled": False},
                                        "readonly": {"enabled": not writable}}},
            "http": http,
        }
        if htpasswd:
            config["auth"] = {"htpasswd": {"realm": "test", "path": htpasswd}}
        if token:
            config["auth"] = {"token": token}
        path = os.path.join(directory, "registry.yml")
        with open(path, "w", encoding="ascii") as file:
            json.dump(config, file)  # JSON is YAML
        super().__init__(["docker-registry", "serve", path], self.access_log,
                         ready=lambda: processes.is_listening(self.port))

    def requests(self):
        """(method, path, status, bytes sent) of every request so far, from the access log."""
        found = []
        with open(self.access_log, errors="replace", encoding="utf-8") as log:
            for line in log:
                parts = line.split('"')
                if " - - [" not in line or len(parts) < 3:
                    continue
                method, path = parts[1].split()[:2]
                status, size = parts[2].split()[:2]
                found.append((method, path, int(status), int(size)))
        return found

    def bytes_of_blobs(self):
        return sum(size for method, path, status, size in self.requests()
                   if method == "GET" and "/blobs/" in path and status in (200, 206))


def htpasswd_file(path, user, password):
    with open(path, "w", encoding="ascii") as file:
        subprocess.run(["htpasswd", "-Bbn", user, password], stdout=file, check=True)
    return path


def manifest(host, repository, reference):
    """(document, digest) of a manifest, over plain HTTP."""
    request = urllib.request.Request(
        f"http://{host}/v2/{repository}/manifests/{reference}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json, "
                           "application/vnd.oci.image.index.v1+json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer), answer.headers["Docker-Content-Digest"]


def tls_context(authority):
    return ssl.create_default_context(cafile=authority.cert)
