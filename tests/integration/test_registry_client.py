# SPDX-License-Identifier: Apache-2.0
"""The registry client against Debian's docker-registry: transport, certificates, mirrors,
redirects."""
import http.server
import os
import pathlib
import shutil
import threading

import pytest

from lab import processes, registry
from lab.registry_tool import (digest_of, hosts_fixture, image_fixture, serve_fixture,
                               tool_fixture)

__all__ = ["hosts_fixture", "image_fixture", "serve_fixture", "tool_fixture"]


def test_plain_registry(image, serve, tool):
    server = serve()
    client = tool("--plain-http")
    image.check(client, server.host)
    image.check(client, server.host, count=16)
    assert client.ask("hosts").startswith(f"ok http://{server.host}:")


def test_loopback_registry_is_found_to_speak_plain_http(image, serve, tool):
    server = serve()
    image.check(tool(), server.host)


def test_content_that_is_not_there_is_told_apart(image, serve, tool):
    server = serve()
    client = tool("--plain-http")
    reference = f"{server.host}/public/app:none"
    assert client.ask("resolve", reference).startswith("error not_found resolve ")
    missing = "sha256:" + "0" * 64
    assert client.ask("manifest", reference, missing).startswith("error not_found manifest ")
    assert client.ask("blob", reference, missing, 3).startswith("error not_found blob ")
    assert client.ask("range", reference, missing, 3, 0, 3).startswith("error not_found blob ")
    paths = [path for _, path, _, _ in server.requests()]
    assert f"/v2/public/app/blobs/{missing}" in paths


class Tls:
    """A registry with TLS and required client certificates, and whom it accepts."""

    def __init__(self, directory, serve):
        self.authority = registry.Authority(str(directory / "ca"))
        self.server_pair = self.authority.sign("server", server=True)
        self.client_pair = self.authority.sign("client")
        self.server = serve(tls=self.server_pair, client_ca=self.authority.cert)
        self.host = self.server.host


@pytest.fixture(name="tls")
def tls_fixture(tmp_path, serve):
    return Tls(tmp_path, serve)


def test_required_client_certificate_comes_from_hosts_toml_alone(image, tls, hosts, tool):
    client = tool(*hosts(tls.host, f"""
server = "https://{tls.host}"
ca = "{tls.authority.cert}"
client = [["{tls.client_pair[0]}", "{tls.client_pair[1]}"]]
"""))
    image.check(client, tls.host, count=8)


def test_relative_certificate_names_are_below_the_directory(image, tls, hosts, tool):
    options = hosts(tls.host, f"""
server = "https://{tls.host}"
ca = ["ca.pem"]
client = "both.pem"
""")
    directory = hosts.root / (tls.host.replace(":", "_") + "_")
    shutil.copy(tls.authority.cert, directory / "ca.pem")
    (directory / "both.pem").write_bytes(b"".join(
        pathlib.Path(path).read_bytes() for path in tls.client_pair))
    image.check(tool(*options), tls.host)


def test_docker_style_directory(image, tls, hosts, tool):
    directory = hosts.root / tls.host
    directory.mkdir()
    shutil.copy(tls.authority.cert, directory / "ca.crt")
    shutil.copy(tls.client_pair[0], directory / "client.cert")
    shutil.copy(tls.client_pair[1], directory / "client.key")
    image.check(tool("--hosts-dir", str(hosts.root)), tls.host)


def test_missing_client_certificate_is_called_that(tls, hosts, tool):
    client = tool(*hosts(tls.host, f'server = "https://{tls.host}"\nca = "{tls.authority.cert}"\n'))
    answer = client.ask("resolve", f"{tls.host}/public/app:v1")
    assert answer.startswith("error unauthorized ")
    assert "client certificate" in answer


def test_unknown_authority_is_called_that(tls, hosts, tool):
    client = tool(*hosts(tls.host, f'server = "https://{tls.host}"\n'))
    answer = client.ask("resolve", f"{tls.host}/public/app:v1")
    assert answer.startswith("error unauthorized ")
    assert "not trusted" in answer


def test_pair_that_does_not_match_is_found_when_loading(tls, hosts, tool):
    other = tls.authority.sign("other")
    client = tool(*hosts(tls.host, f"""
server = "https://{tls.host}"
client = [["{tls.client_pair[0]}", "{other[1]}"]]
"""))
    answer = client.ask("resolve", f"{tls.host}/public/app:v1")
    assert answer.startswith("error invalid ")
    assert "hosts.toml" in answer and other[1] in answer
    assert tls.server.requests() == []


def test_changed_files_are_read_again(image, tls, hosts, tool):
    wrong = registry.Authority(str(hosts.root / "wrong"))
    ca = hosts.root / "ca.pem"
    shutil.copy(wrong.cert, ca)
    text = f"""
server = "https://{tls.host}"
ca = "{ca}"
client = [["{tls.client_pair[0]}", "{tls.client_pair[1]}"]]
"""
    client = tool(*hosts(tls.host, text))
    reference = f"{tls.host}/public/app:v1"
    assert "not trusted" in client.ask("resolve", reference)
    shutil.copy(tls.authority.cert, ca)
    image.check(client, tls.host)
    hosts(tls.host, text + "\ndial_timeout = 3\n")
    assert client.ask("resolve", reference).startswith("error invalid ")
    image.check_range(client, reference, 5, 50)  # what is mounted goes on
    hosts(tls.host, text)
    image.check(client, tls.host)


def test_mirrors_are_asked_before_the_upstream(image, serve, hosts, tool, tmp_path):
    upstream, mirror = serve(), serve()
    empty = registry.Registry(str(tmp_path / "empty"), str(tmp_path / "nothing")).start()
    down = processes.free_port()
    try:
        options = hosts(upstream.host, f"""
server = "http://{upstream.host}"
[host."http://127.0.0.1:{down}"]
capabilities = ["pull", "resolve"]
[host."http://{empty.host}"]
capabilities = ["pull", "resolve"]
[host."http://{mirror.host}"]
capabilities = ["pull"]
[host."http://{mirror.host}".header]
x-only = "mirror"
""")
        image.check(tool(*options), upstream.host)
    finally:
        empty.stop()
    digest = digest_of(image.manifest)
    asked = {method + path for method, path, _, _ in empty.requests()}
    assert f"HEAD/v2/public/app/manifests/v1?ns={upstream.host}" in asked
    asked = [method + path for method, path, _, _ in mirror.requests()]
    assert not any("/manifests/v1" in path for path in asked)  # it may not resolve
    assert f"GET/v2/public/app/manifests/{digest}?ns={upstream.host}" in asked
    asked = [method + path for method, path, _, _ in upstream.requests()]
    assert asked == ["HEAD/v2/public/app/manifests/v1"]


def test_when_all_hosts_fail_each_is_named_with_its_cause(tls, hosts, tool):
    down = processes.free_port()
    client = tool(*hosts(tls.host, f"""
server = "https://{tls.host}"
ca = "{tls.authority.cert}"
[host."https://127.0.0.1:{down}"]
"""))
    answer = client.ask("resolve", f"{tls.host}/public/app:v1")
    assert answer.startswith("error unauthorized ")
    assert f"https://127.0.0.1:{down}: " in answer and "Connection refused" in answer
    assert f"https://{tls.host}: " in answer and "client certificate" in answer


def test_default_directory_serves_registries_without_their_own(image, serve, hosts, tool):
    mirror = serve()
    options = hosts("_default", f'[host."http://{mirror.host}"]\n')
    image.check(tool(*options), "registry.example.com")
    assert all("ns=registry.example.com" in path for _, path, _, _ in mirror.requests())


def test_registry_that_comes_back_during_a_read(image, serve, tool):
    server = serve()
    client = tool("--plain-http")
    reference = f"{server.host}/public/app:v1"
    image.check_range(client, reference, 0, 100)
    server.kill()
    threading.Timer(2, server.start).start()
    image.check_range(client, reference, 100, 100000)


class Front(http.server.BaseHTTPRequestHandler):
    """A registry that keeps its blobs elsewhere: redirects there with a ticket that ends."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        state = self.server.state
        state["asked"].append((self.server.role, self.path, dict(self.headers)))
        if self.server.role == "front":
            self.send_response(307)
            self.send_header("Location", f"{state['target']}/blob?ticket={state['ticket']}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if f"ticket={state['ticket']}" not in self.path:
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, last = map(int, self.headers["Range"].split("=")[1].split("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(state['blob'])}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(state["blob"][first:last + 1])


@pytest.fixture(name="front")
def front_fixture(image):
    state = {"asked": [], "ticket": 1, "blob": image.layer}
    servers = []
    for role in ("front", "target"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
        server.state, server.role = state, role
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    state["host"] = f"127.0.0.1:{servers[0].server_port}"
    state["target"] = f"http://127.0.0.1:{servers[1].server_port}"
    yield state
    for server in servers:
        server.shutdown()
        server.server_close()


def test_redirects_take_nothing_along(image, front, hosts, tool):
    client = tool(*hosts(front["host"], f"""
server = "http://{front['host']}"
[header]
x-secret = "for the registry only"
authorization = "Basic dXNlcjpzZWNyZXQ="
"""))
    reference = f"{front['host']}/public/app:v1"
    image.check_range(client, reference, 10, 20)
    (first, _, sent), (second, _, forwarded) = front["asked"]
    assert (first, second) == ("front", "target")
    assert sent["x-secret"] and sent["authorization"]
    assert not {"x-secret", "authorization"} & {name.lower() for name in forwarded}


def test_redirect_is_followed_again_only_when_its_target_refuses(image, front, tool):
    client = tool("--plain-http")
    reference = f"{front['host']}/public/app:v1"
    image.check_range(client, reference, 10, 20)
    image.check_range(client, reference, 30, 20)
    assert [role for role, _, _ in front["asked"]] == ["front", "target", "target"]
    front["ticket"] = 2
    image.check_range(client, reference, 50, 20)
    assert [role for role, _, _ in front["asked"][3:]] == ["target", "front", "target"]


class Nginx(processes.Server):
    """nginx with these server blocks; %DIR% in them is a directory of its own."""

    def __init__(self, directory, port, blocks):
        directory.mkdir()
        config = directory / "nginx.conf"
        # As root its workers would be somebody who may not read the test's files.
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(user + """
daemon off; pid %DIR%/pid; error_log %DIR%/error.log;
events {}
http {
  log_format certificate '$request_uri [$ssl_client_s_dn]';
  access_log %DIR%/access.log certificate;
  client_body_temp_path %DIR%/1; proxy_temp_path %DIR%/2; fastcgi_temp_path %DIR%/3;
  uwsgi_temp_path %DIR%/4; scgi_temp_path %DIR%/5;
""".replace("%DIR%", str(directory)) + blocks.replace("%DIR%", str(directory)) + "}\n",
                          encoding="utf-8")
        self.access_log = directory / "access.log"
        super().__init__(["nginx", "-c", str(config)], str(directory / "out"),
                         ready=lambda: processes.is_listening(port))


def test_plain_redirect_from_https_is_refused(front, hosts, tool, tmp_path):
    authority = registry.Authority(str(tmp_path / "ca"))
    cert, key = authority.sign("server", server=True)
    port = processes.free_port()
    nginx = Nginx(tmp_path / "nginx", port, f"""
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ proxy_pass http://{front['host']}; proxy_redirect off; }}
  }}
""").start()
    try:
        client = tool(*hosts(f"127.0.0.1:{port}",
                             f'server = "https://127.0.0.1:{port}"\nca = "{authority.cert}"\n'))
        answer = client.ask("range", f"127.0.0.1:{port}/public/app:v1", "sha256:" + "1" * 64,
                            len(front["blob"]), 0, 9)
        assert answer.startswith("error unsupported ")
        assert "refused its redirect from https to http" in answer
        assert [role for role, _, _ in front["asked"]] == ["front"]
    finally:
        nginx.stop()


def test_certificates_of_a_host_are_not_for_its_redirect_targets(image, hosts, tool, tmp_path):
    authority = registry.Authority(str(tmp_path / "ca"))
    cert, key = authority.sign("server", server=True)
    client_pair = authority.sign("client")
    port, target = processes.free_port(), processes.free_port()
    tls = f"ssl_certificate {cert}; ssl_certificate_key {key};"
    nginx = Nginx(tmp_path / "nginx", port, f"""
  server {{
    listen 127.0.0.1:{port} ssl; {tls}
    ssl_client_certificate {authority.cert}; ssl_verify_client on;
    location / {{ return 307 https://localhost:{target}/blob; }}
  }}
  server {{
    listen 127.0.0.1:{target} ssl; {tls}
    ssl_verify_client optional_no_ca;
    root %DIR%;
  }}
""")
    (tmp_path / "nginx/blob").write_bytes(image.layer)
    options = hosts(f"127.0.0.1:{port}", f"""
server = "https://127.0.0.1:{port}"
ca = "{authority.cert}"
client = [["{client_pair[0]}", "{client_pair[1]}"]]
""")
    reference = f"127.0.0.1:{port}/public/app:v1"
    nginx.start()
    try:
        answer = tool(*options).ask("range", reference, digest_of(image.layer), len(image.layer),
                                    0, 9)
        assert answer.startswith("error unauthorized ") and "not trusted" in answer
        image.check_range(tool(*options, env={"SSL_CERT_FILE": authority.cert}), reference, 5, 99)
    finally:
        nginx.stop()
    lines = nginx.access_log.read_text(encoding="utf-8").splitlines()
    assert "/blob []" in lines or "/blob [-]" in lines
    assert any(line.startswith("/v2/") and "CN=client" in line for line in lines)
