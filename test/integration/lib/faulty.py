"""A registry in memory that does what a healthy one can't.

It answers as the distribution specification says, until a hook takes a
request over: hook(request) returns true when it has answered. A request is the
handler itself (`command`, `path`, `headers`) with a few helpers.
"""
import json
import re
import select
import socket
import ssl
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import artifact
from .registry import PATH, basic
from .wait import patience


class Repository:
    def __init__(self):
        self.tags = {}       # tag -> digest
        self.manifests = {}  # digest -> bytes
        self.blobs = {artifact.digest(artifact.EMPTY): artifact.EMPTY}


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer goes out in two parts
    timeout = patience(120)

    def setup(self):
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(patience(30))
            try:
                self.request.do_handshake()
            except ssl.SSLError:
                self.drain()
                raise
        super().setup()
        self.server.owner.connections += 1

    def drain(self):
        """Closing on unread bytes resets the connection, and an alert that
        is under way is lost."""
        with socket.fromfd(self.request.fileno(), socket.AF_INET,
                           socket.SOCK_STREAM) as raw:
            raw.settimeout(5)
            while raw.recv(4096):
                pass

    def do_GET(self):
        self.server.owner.answer(self)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, *arguments):
        pass

    def reply(self, status, body=b"", headers=(), length=None):
        """One whole answer; `length` when the header is to lie. Headers are a
        dictionary, or pairs where a name comes twice."""
        headers = list(getattr(headers, "items", lambda: headers)())
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.append(("Content-Type", "application/json"))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length",
                         str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()
        return True

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        return True

    def wait_closed(self):
        """Returns when the client has hung up, or the server stops."""
        while not self.server.owner.stopping.is_set():
            if select.select([self.connection], [], [], 0.1)[0]:
                try:
                    if not self.connection.recv(4096):
                        break
                except OSError:
                    break
        self.close_connection = True
        return True

    def endless(self, sent, piece=bytes(65536), most=1 << 30, headers=()):
        """A body that does not end by itself; appends to sent how much of it
        went out before the client hung up."""
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        total = 0
        try:
            while total < most:
                self.chunk(piece)
                total += len(piece)
        finally:
            sent.append(total)
        return True

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients hang up in the middle, on purpose


class FakeRegistry:
    """Listens at once. `host` is the name that clients are to use."""

    def __init__(self, authority=None, host="127.0.0.1", page=None,
                 user=None, password=None, port=0):
        self.repositories = {}
        self.requests = []   # (method, path, headers)
        self.hooks = []
        self.page = page
        self.login = basic(user, password) if user else None
        self.stopping = threading.Event()
        self.connections = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), Request)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.host = f"{host}:{self.port}"
        self.url = ("https://" if authority else "http://") + self.host
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*authority.issue())
            self.exchange_context(context)
        threading.Thread(target=self._server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    def exchange_context(self, context):
        """From now on, connections are accepted with this TLS context."""
        listener = self._server.socket
        if isinstance(listener, ssl.SSLSocket):
            listener._context = context  # its setter is for connections
        else:
            self._server.socket = context.wrap_socket(
                listener, server_side=True, do_handshake_on_connect=False)

    def stop(self):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def repository(self, path=PATH):
        return f"{self.host}/{path}"

    def push(self, tag, layer, path=PATH, manifest=None):
        if manifest is None:
            manifest = artifact.oras_manifest(layer)
        with self._lock:
            repository = self.repositories.setdefault(path, Repository())
            digest = artifact.digest(manifest)
            repository.blobs[artifact.digest(layer)] = layer
            repository.manifests[digest] = manifest
            repository.tags[tag] = digest
        return digest

    def on(self, method, pattern, hook):
        """Hands requests of a method whose path matches to a hook."""
        def guarded(request):
            return (request.command == method
                    and re.search(pattern, request.path)
                    and hook(request))
        self.hooks.append(guarded)

    def seen(self, method, pattern):
        with self._lock:
            return [r for r in self.requests
                    if r[0] == method and re.search(pattern, r[1])]

    def answer(self, request):
        with self._lock:
            self.requests.append((request.command, request.path,
                                  dict(request.headers.items())))
        try:
            for hook in list(self.hooks):
                if hook(request):
                    return
            self._answer(request)
        except OSError:
            request.close_connection = True

    def _answer(self, request):
        if self.login and request.headers.get("Authorization") != self.login:
            return request.reply(
                401, error("UNAUTHORIZED", "authentication required"),
                {"WWW-Authenticate": 'Basic realm="fake"'})
        parts = urllib.parse.urlsplit(request.path)
        if parts.path in ("/v2", "/v2/"):
            return request.reply(200, {})
        found = re.fullmatch(r"/v2/(.+)/(tags|manifests|blobs)/([^/]+)",
                             parts.path)
        with self._lock:
            repository = found and self.repositories.get(found.group(1))
        if not repository:
            return request.reply(404, error("NAME_UNKNOWN", "no repository"))
        kind, what = found.group(2), urllib.parse.unquote(found.group(3))
        if kind == "tags":
            return self._tags(request, found.group(1), repository,
                              urllib.parse.parse_qs(parts.query))
        if kind == "manifests":
            with self._lock:
                digest = repository.tags.get(what, what)
                body = repository.manifests.get(digest)
            if body is None:
                return request.reply(404, error("MANIFEST_UNKNOWN", what))
            return request.reply(200, body, {
                "Content-Type": artifact.media_type(body),
                "Docker-Content-Digest": digest})
        return blob(request, repository.blobs.get(what))

    def _tags(self, request, name, repository, query):
        with self._lock:
            tags = sorted(repository.tags)
        last = query.get("last", [""])[0]
        tags = [tag for tag in tags if tag > last]
        headers = {}
        if self.page and len(tags) > self.page:
            tags = tags[:self.page]
            headers["Link"] = (f"</v2/{name}/tags/list?n={self.page}&last="
                               f"{tags[-1]}>; rel=\"next\"")
        return request.reply(200, {"name": name, "tags": tags}, headers)


def blob(request, data):
    """The right answer to a request for a blob, a range of it too."""
    if data is None:
        return request.reply(404, error("BLOB_UNKNOWN", request.path))
    headers = {"Content-Type": "application/octet-stream",
               "Docker-Content-Digest": artifact.digest(data)}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)",
                          request.headers.get("Range", ""))
    if not wanted:
        return request.reply(200, data, headers)
    first = int(wanted.group(1))
    last = int(wanted.group(2) or len(data) - 1)
    if first >= len(data):
        return request.reply(416, b"",
                             {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return request.reply(206, data[first:last + 1], headers)


def error(code, message):
    return {"errors": [{"code": code, "message": message}]}
