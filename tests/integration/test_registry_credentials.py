# SPDX-License-Identifier: Apache-2.0
"""The registry client and those who ask it who it is: passwords and token servers."""
import json
import sys
import time

import pytest

from lab import processes, registry
from lab.registry_tool import TOP, hosts_fixture, image_fixture, serve_fixture, tool_fixture

__all__ = ["hosts_fixture", "image_fixture", "serve_fixture", "tool_fixture"]


def test_password(image, serve, tool, tmp_path):
    server = serve(htpasswd=registry.htpasswd_file(str(tmp_path / "htpasswd"), "user", "secret"))
    image.check(tool("--plain-http", "--username", "user", "--password", "secret"), server.host,
                count=8)
    reference = f"{server.host}/public/app:v1"
    answer = tool("--plain-http", "--username", "user", "--password", "no").ask(
        "resolve", reference)
    assert answer.startswith("error unauthorized ") and '"user"' in answer
    answer = tool("--plain-http", env={"DOCKER_CONFIG": str(tmp_path / "docker")}).ask(
        "resolve", reference)
    assert answer.startswith("error unauthorized ")
    assert str(tmp_path / "docker/config.json") in answer


def test_password_of_a_login_needs_no_restart(image, serve, tool, tmp_path):
    server = serve(htpasswd=registry.htpasswd_file(str(tmp_path / "htpasswd"), "user", "secret"))
    client = tool("--plain-http", env={"DOCKER_CONFIG": str(tmp_path)})
    assert client.ask("resolve", f"{server.host}/public/app:v1").startswith("error unauthorized ")
    (tmp_path / "config.json").write_text(json.dumps(
        {"auths": {server.host: {"auth": "dXNlcjpzZWNyZXQ="}}}), encoding="utf-8")
    image.check(client, server.host)


class Tokens:
    """A registry that wants tokens, and the server that gives them."""

    def __init__(self, directory, serve, https=False, **config):
        authority = registry.Authority(str(directory / "tokens"))
        directory.mkdir(exist_ok=True)
        self.log = directory / "tokens.log"
        port = processes.free_port()
        cert, key = self.rsa_pair(directory)
        self.config = {"port": port, "certificate": cert, "key": key, "service": "test service",
                       "issuer": "tests", "users": {"user": "secret"}, "lifetime": 300,
                       "log": str(self.log), **config}
        path = directory / "token-server.json"
        path.write_text(json.dumps(self.config), encoding="utf-8")
        self.server = processes.Server(
            [sys.executable, str(TOP / "tests/support/token_server.py"), str(path)],
            str(directory / "token-server.log"), ready=lambda: processes.is_listening(port))
        self.server.start()
        self.authority = authority
        self.cert = cert
        scheme = "https" if config.get("tls") else "http"
        options = {"tls": authority.sign("server", server=True)} if https else {}
        self.registry = serve(token={
            "realm": f"{scheme}://127.0.0.1:{port}/token", "service": "test service",
            "issuer": "tests", "rootcertbundle": cert}, **options)
        self.host = self.registry.host

    @staticmethod
    def rsa_pair(directory):
        cert, key = str(directory / "token.crt"), str(directory / "token.key")
        processes.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                       "-subj", "/CN=tokens", "-addext", "subjectAltName=IP:127.0.0.1",
                       "-keyout", key, "-out", cert])
        return cert, key

    def requests(self):
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(name="tokens")
def tokens_fixture(tmp_path, serve):
    made = []

    def make(**config):
        made.append(Tokens(tmp_path / f"tokens-{len(made)}", serve, **config))
        return made[-1]
    yield make
    for tokens in made:
        tokens.server.stop()


LOGIN = ["--plain-http", "--username", "user", "--password", "secret"]


def test_anonymous_token(image, tokens, tool):
    server = tokens()
    client = tool("--plain-http")
    image.check(client, server.host, count=16)
    asked = server.requests()
    assert [one["method"] for one in asked] == ["GET"]
    assert asked[0]["fields"] == {"service": ["test service"],
                                  "scope": ["repository:public/app:pull"]}
    answer = client.ask("resolve", f"{server.host}/private/app:v1")
    assert answer.startswith("error unauthorized ")
    assert "without credentials (looked at" in answer


def test_token_for_a_password_is_fetched_once_for_all(image, tokens, tool):
    server = tokens()
    client = tool(*LOGIN)
    reference = f"{server.host}/private/app:v1"
    image.check_range(client, reference, 100, 1000, count=16)
    image.check(client, server.host, "private/app", count=16)
    assert [one["method"] for one in server.requests()] == ["POST"]


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_server_that_takes_no_forms_is_asked_with_get(image, tokens, tool, status):
    server = tokens(post=status)
    image.check(tool(*LOGIN), server.host, "private/app")
    assert [one["method"] for one in server.requests()] == ["POST", "GET"]
    assert server.requests()[1]["headers"]["Authorization"].startswith("Basic ")


def test_wrong_password_names_token_server_and_user(tokens, tool):
    server = tokens()
    client = tool("--plain-http", "--username", "user", "--password", "no")
    answer = client.ask("resolve", f"{server.host}/private/app:v1")
    assert answer.startswith("error unauthorized ")
    assert f":{server.config['port']}/token" in answer and '"user"' in answer
    assert "wrong password" in answer


def test_identity_token(image, tokens, tool, tmp_path):
    server = tokens(refresh_tokens={"refresh-me": "user"})
    (tmp_path / "config.json").write_text(json.dumps(
        {"auths": {server.host: {"auth": "PHRva2VuPjo=", "identitytoken": "refresh-me"}}}),
        encoding="utf-8")
    client = tool("--plain-http", env={"DOCKER_CONFIG": str(tmp_path)})
    image.check(client, server.host, "private/app")
    assert [one["fields"]["grant_type"] for one in server.requests()] == [["refresh_token"]]


def test_token_that_expires_unannounced_is_refreshed_once(image, tokens, tool):
    server = tokens(lifetime=-57, says_lifetime=False)  # the registry allows a minute more
    client = tool(*LOGIN)
    reference = f"{server.host}/private/app:v1"
    image.check_range(client, reference, 0, 10)
    time.sleep(4)
    image.check_range(client, reference, 10, 10, count=8)
    assert len(server.requests()) == 2


def test_token_server_gets_headers_and_certificates_of_the_host(image, tokens, hosts, tool,
                                                                tmp_path):
    authority = registry.Authority(str(tmp_path / "clients"))
    cert, key = authority.sign("client")
    server = tokens(tls=True, client_ca=authority.cert)
    options = hosts(server.host, f"""
server = "http://{server.host}"
ca = "{server.cert}"
client = [["{cert}", "{key}"]]
[header]
x-team = "blue"
""")
    image.check(tool(*options, "--username", "user", "--password", "secret"), server.host,
                "private/app")
    assert server.requests()[0]["headers"]["x-team"] == "blue"
