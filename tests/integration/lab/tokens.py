# SPDX-License-Identifier: Apache-2.0
"""A token server as docker-registry's token authentication expects one.
Spec: distribution, docs/spec/auth/token.md and jwt.md."""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse

from . import processes

ISSUER, SERVICE = "tokens.example.com", "registry.example.com"


def _encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class TokenServer:
    """Gives tokens to one user, or to anybody when user is None. What was asked is in seen."""

    def __init__(self, directory, user=None, password=None, lifetime=300):
        os.makedirs(directory, exist_ok=True)
        self.user, self.password, self.lifetime = user, password, lifetime
        self.seen = []  # (method, parameters, was a password given)
        self.key = os.path.join(directory, "token.key")
        self.cert = os.path.join(directory, "token.crt")
        processes.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                       "-subj", "/CN=tokens", "-keyout", self.key, "-out", self.cert])
        self.port = processes.free_port()
        self.realm = f"http://127.0.0.1:{self.port}/token"
        self._server = None
        self._count = 0

    def registry_options(self):
        """For Registry(token=...)."""
        return {"realm": self.realm, "service": SERVICE, "issuer": ISSUER,
                "rootcertbundle": self.cert}

    def challenge(self, repository):
        return (f'Bearer realm="{self.realm}",service="{SERVICE}",'
                f'scope="repository:{repository}:pull",error="invalid_token"')

    def token(self, scopes):
        """A signed JSON web token for these scopes, each another one."""
        with open(self.cert, encoding="ascii") as file:
            certificate = base64.b64encode(ssl.PEM_cert_to_DER_cert(file.read())).decode()
        now = int(time.time())
        self._count += 1
        access = [{"type": kind, "name": name, "actions": actions.split(",")}
                  for kind, name, actions in (scope.split(":") for scope in scopes)]
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {"iss": ISSUER, "sub": self.user or "", "aud": SERVICE, "nbf": now - 10,
                  "iat": now, "exp": now + self.lifetime, "jti": str(self._count),
                  "access": access}
        signed = b".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed,
                                   stdout=subprocess.PIPE, check=True).stdout
        return (signed + b"." + _encode(signature)).decode()

    def start(self):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        self._server.daemon_threads = True
        self._server.tokens = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        return self

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):  # pylint: disable=redefined-builtin
        pass

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given = self.headers.get("Authorization", "")
        wanted = f"{self.server.tokens.user}:{self.server.tokens.password}".encode()
        right = given == "Basic " + base64.b64encode(wanted).decode()
        self.serve(query, bool(given), right)

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(size).decode())
        tokens = self.server.tokens
        right = form.get("username") == [tokens.user] and form.get("password") == [tokens.password]
        self.serve(form, "password" in form, right)

    def serve(self, parameters, given, right):
        tokens = self.server.tokens
        tokens.seen.append((self.command, parameters, given))
        if tokens.user is not None and not right:
            self.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
            return
        scopes = [one for text in parameters.get("scope", []) for one in text.split(" ")]
        token = tokens.token(scopes)
        self.reply(200, {"token": token, "access_token": token, "expires_in": tokens.lifetime})

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
