# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of a real registry that misbehaves in one chosen way, and remembers what it was
asked. Faults apply to blobs; manifests pass."""
import dataclasses
import http.client
import http.server
import re
import socket
import ssl
import threading
import time

from . import processes

PIECE = 16384
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict  # names in lower case
    peer_certificate: dict
    at: float = dataclasses.field(default_factory=time.monotonic)
    status: int = 0
    sent: int = 0  # bytes of the body: counted before anybody can have read them

    @property
    def is_blob(self):
        return self.method == "GET" and "/blobs/" in self.path

    @property
    def digest(self):
        return self.path.split("?")[0].rsplit("/", 1)[-1]


class Cut(Exception):
    """Ends the connection where it is."""


class Fault:
    """Passes everything on as it is; the others change one thing of this."""

    def answer(self, _request):
        """(status, headers, body) instead of the registry's answer, or None."""
        return None

    def ask(self, request):
        """The headers for the registry."""
        return {k: v for k, v in request.headers.items() if k not in HOP_BY_HOP}

    def body(self, _request, _off, pieces):
        """Pieces of the answer; off is where in the blob they start."""
        return pieces


class FlippedBits(Fault):
    """One bit in every 8 bytes of a blob is another one."""

    def body(self, _request, off, pieces):
        for piece in pieces:
            piece = bytearray(piece)
            for i in range(-off % 8, len(piece), 8):
                piece[i] ^= 0x10
            off += len(piece)
            yield bytes(piece)


class Replaced(Fault):
    """Other bytes for one digest in one repository; those of the registry elsewhere."""

    def __init__(self, repository, digest, data):
        self.repository, self.digest, self.data = repository, digest, data

    def answer(self, request):
        if f"/{self.repository}/" not in request.path or request.digest != self.digest:
            return None
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not match:
            return 200, {}, self.data
        first, last = int(match[1]), min(int(match[2] or len(self.data)), len(self.data) - 1)
        return (206, {"Content-Range": f"bytes {first}-{last}/{len(self.data)}"},
                self.data[first:last + 1])


class Stalled(Fault):
    """Sends the start of a body, then nothing until it is released."""

    def __init__(self, after=1000):
        self.after, self.released = after, threading.Event()
        self.stalled = threading.Event()

    def body(self, _request, _off, pieces):
        left = self.after
        for piece in pieces:
            yield piece[:left]
            if len(piece) > left:
                self.stalled.set()
                self.released.wait(600)
                yield piece[left:]
                left = 1 << 62
            left -= len(piece)


class CutOff(Fault):
    """Ends connections within a body, a number of times."""

    def __init__(self, after=1000, times=1):
        self.after, self.times = after, times

    def body(self, _request, _off, pieces):
        left = self.after
        for piece in pieces:
            yield piece[:left]
            if len(piece) > left and self.times > 0:
                self.times -= 1
                raise Cut()
            yield piece[left:]
            left = max(0, left - len(piece))


class RangeIgnored(Fault):
    """The whole blob, whatever was asked for."""

    def ask(self, request):
        return {k: v for k, v in super().ask(request).items() if k != "range"}


class Refusing(Fault):
    """A status with headers, a number of times; then as usual."""

    def __init__(self, status, headers=None, times=1):
        self.status, self.headers, self.times = status, headers or {}, times
        self.refused = []  # when

    def answer(self, _request):
        if self.times <= 0:
            return None
        self.times -= 1
        self.refused.append(time.monotonic())
        return self.status, self.headers, b'{"errors":[]}'


class Redirected(Fault):
    """Blobs are at another place."""

    def __init__(self, base):
        self.base = base
        self.count = 0

    def answer(self, request):
        self.count += 1
        path = request.path.split("?")[0]
        return 307, {"Location": f"{self.base}{path}?signature={self.count}"}, b""


class Expired(Fault):
    """Refuses the first redirects that were given out."""

    def __init__(self, last):
        self.last = last

    def answer(self, request):
        match = re.search(r"signature=(\d+)", request.path)
        return (403, {}, b"expired") if match and int(match[1]) <= self.last else None


class Unauthorized(Fault):
    """Wants a token, and at some moment no longer accepts those it accepted."""

    def __init__(self, challenge):
        self.challenge = challenge
        self.revoked, self.seen = set(), set()

    def revoke(self):
        self.revoked |= self.seen

    def answer(self, request):
        token = request.headers.get("authorization", "")
        if token and token not in self.revoked:
            self.seen.add(token)
            return None
        return 401, {"WWW-Authenticate": self.challenge}, b'{"errors":[]}'


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):  # pylint: disable=redefined-builtin
        pass

    def setup(self):
        self.request.settimeout(600)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def peer_certificate(self):
        if isinstance(self.request, ssl.SSLSocket):
            return self.request.getpeercert() or {}
        return {}

    def do_GET(self):
        proxy = self.server.proxy
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()},
                          self.peer_certificate())
        proxy.seen.append(request)
        fault = proxy.fault if proxy.is_subject(request) else Fault()
        try:
            answer = fault.answer(request)
            if answer:
                self.reply(request, *answer)
            else:
                self.pass_on(request, fault)
        except (Cut, OSError, http.client.HTTPException):
            self.close_connection = True
            self.shut()

    do_HEAD = do_GET

    def shut(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def reply(self, request, status, headers, body):
        request.status = status
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            request.sent += len(body)
            self.wfile.write(body)

    def pass_on(self, request, fault):
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.proxy.upstream, timeout=60)
        try:
            upstream.request(self.command, self.path, headers=fault.ask(request))
            answer = upstream.getresponse()
            request.status = answer.status
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP or name.lower() == "content-length":
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.pass_body(request, fault, answer)
        finally:
            upstream.close()

    def pass_body(self, request, fault, answer):
        start = re.match(r"bytes (\d+)-", answer.getheader("Content-Range", ""))
        pieces = iter(lambda: answer.read(PIECE), b"")
        for piece in fault.body(request, int(start[1]) if start else 0, pieces):
            request.sent += len(piece)
            self.wfile.write(piece)
            self.wfile.flush()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls = None

    def get_request(self):
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True,
                                              do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        pass  # a client that went away


class Proxy:
    """Set fault at any time. Requests so far are in seen."""

    def __init__(self, upstream, certificate=None, client_ca=None, port=None):
        self.upstream, self.seen, self.fault = upstream, [], Fault()
        self.port = port or processes.free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.base = f"{'https' if certificate else 'http'}://{self.host}"
        self.applies_to_all = False
        self._certificate, self._client_ca = certificate, client_ca
        self._server = None

    def start(self):
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.proxy = self
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            if self._client_ca:
                context.load_verify_locations(self._client_ca)
                context.verify_mode = ssl.CERT_OPTIONAL
            self._server.tls = context
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        return self

    def stop(self):
        if isinstance(self.fault, Stalled):
            self.fault.released.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def is_subject(self, request):
        return self.applies_to_all or request.is_blob

    def blobs(self):
        """Requests for blobs so far."""
        return [request for request in self.seen if request.is_blob]
