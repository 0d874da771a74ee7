# SPDX-License-Identifier: Apache-2.0
"""The referrers API before a registry that has none: what is pushed with a subject is listed, in
pages of one entry. Everything else goes to the registry behind it."""
import http.client
import http.server
import json
import threading
import urllib.parse

from . import processes, pushing

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):  # pylint: disable=redefined-builtin
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.api.seen.append((self.command, self.path))
        if "/referrers/" in self.path:
            self.list_page()
        else:
            self.pass_on(body)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def reply(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def list_page(self):
        path, _, query = self.path.partition("?")
        asked = urllib.parse.parse_qs(query)
        wanted = asked.get("artifactType", [None])[0]
        found = [entry for entry in self.server.api.referrers.get(path.rsplit("/", 1)[-1], [])
                 if wanted in (None, entry["artifactType"])]
        first = int(asked.get("first", ["0"])[0])
        headers = [("Content-Type", pushing.INDEX)]
        if wanted:
            headers.append(("OCI-Filters-Applied", "artifactType"))
        if first + 1 < len(found):
            asked["first"] = [str(first + 1)]
            following = urllib.parse.urlencode(asked, doseq=True)
            headers.append(("Link", f'<{path}?{following}>; rel="next"'))
        self.reply(200, headers, json.dumps({
            "schemaVersion": 2, "mediaType": pushing.INDEX,
            "manifests": found[first:first + 1]}).encode())

    def pass_on(self, body):
        upstream = http.client.HTTPConnection(self.server.api.upstream, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        upstream.request(self.command, self.path, body=body or None, headers=headers)
        answer = upstream.getresponse()
        data = answer.read()
        passed = [(k, v.replace(self.server.api.upstream, self.server.api.host))
                  for k, v in answer.getheaders()
                  if k.lower() not in HOP_BY_HOP or k.lower() == "content-length"]
        if self.command == "PUT" and "/manifests/" in self.path and answer.status == 201:
            passed += self.server.api.take(body)
        self.reply(answer.status, passed, data)
        upstream.close()


class ReferrersApi:
    def __init__(self, upstream):
        self.upstream, self.referrers, self.seen = upstream, {}, []
        self.host = f"127.0.0.1:{processes.free_port()}"
        self._server = None

    def start(self):
        address, port = self.host.split(":")
        self._server = http.server.ThreadingHTTPServer((address, int(port)), _Handler)
        self._server.daemon_threads = True
        self._server.api = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        return self

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, body):
        """The headers that a manifest with a subject is answered with."""
        manifest = json.loads(body)
        subject = manifest.get("subject")
        if not subject:
            return []
        entry = {"mediaType": manifest["mediaType"], "digest": pushing.sha256(body),
                 "size": len(body), "artifactType": manifest["artifactType"]}
        listed = self.referrers.setdefault(subject["digest"], [])
        if entry not in listed:
            listed.append(entry)
        return [("OCI-Subject", subject["digest"])]
