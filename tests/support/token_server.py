#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A token server for docker-registry's token authentication, as strict as a test wants it.

usage: token_server.py CONFIG.json, with the keys
  port, certificate, key          of the listener (TLS when "tls" is true) and of the signature
  tls                             whether to serve TLS; client_ca: require certificates of it
  service, issuer                 as in docker-registry's configuration
  users                           {name: password}; others may pull from "public/..." only
  refresh_tokens                  {token: name}
  lifetime                        seconds until a token expires
  says_lifetime                   whether expires_in is in the answer (default true)
  post                            status to answer POST with instead of a token, or null
  log                             file to append one JSON line to for each request
"""
import base64
import binascii
import http.server
import json
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """JSON Web Tokens with RS256, the certificate in the header."""

    def __init__(self, config):
        self.config = config
        der = subprocess.run(["openssl", "x509", "-in", config["certificate"], "-outform", "DER"],
                             check=True, stdout=subprocess.PIPE).stdout
        self.header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}

    def token(self, subject, access):
        now = int(time.time())
        claims = {"iss": self.config["issuer"], "sub": subject, "aud": self.config["service"],
                  "exp": now + self.config["lifetime"], "nbf": now - 10, "iat": now,
                  "jti": str(uuid.uuid4()), "access": access}
        text = ".".join(encode(json.dumps(part).encode()) for part in (self.header, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.config["key"]],
                                   input=text.encode(), check=True, stdout=subprocess.PIPE).stdout
        return f"{text}.{encode(signature)}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        fields = urllib.parse.parse_qs(url.query)
        user = None
        header = self.headers.get("Authorization", "")
        if header.startswith("Basic "):
            try:
                name, _, password = base64.b64decode(header[6:]).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return self.refuse(400, fields)
            if self.server.config["users"].get(name) != password:
                return self.refuse(401, fields)
            user = name
        scopes = fields.get("scope", [])
        return self.grant(user, scopes, fields, "token")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        fields = urllib.parse.parse_qs(body)
        if self.server.config.get("post"):
            return self.refuse(self.server.config["post"], fields)
        one = {key: values[0] for key, values in fields.items()}
        user = None
        if one.get("grant_type") == "password":
            if self.server.config["users"].get(one.get("username")) == one.get("password"):
                user = one["username"]
        elif one.get("grant_type") == "refresh_token":
            user = self.server.config.get("refresh_tokens", {}).get(one.get("refresh_token"))
        if user is None:
            return self.refuse(401, fields)
        return self.grant(user, one.get("scope", "").split(), fields, "access_token")

    def grant(self, user, scopes, fields, key):
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            if user is not None or name.startswith("public/"):
                access.append({"type": kind, "name": name, "actions": actions.split(",")})
        answer = {key: self.server.signer.token(user or "", access)}
        if self.server.config.get("says_lifetime", True):
            answer["expires_in"] = self.server.config["lifetime"]
        self.answer(200, answer, fields)

    def refuse(self, status, fields):
        self.answer(status, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]},
                    fields)

    def answer(self, status, document, fields):
        secrets = ("password", "refresh_token")
        record = {"method": self.command, "path": self.path, "status": status,
                  "headers": dict(self.headers),
                  "fields": {k: v for k, v in fields.items() if k not in secrets}}
        with self.server.lock, open(self.server.config["log"], "a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    lock = threading.Lock()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    server = Server(("127.0.0.1", config["port"]), Handler)
    server.config, server.signer = config, Signer(config)
    if config.get("tls"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config["certificate"], config["key"])
        if config.get("client_ca"):
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(config["client_ca"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
