"""HTTP over TLS as a client sees it, on loopback."""
import http.client
import socket
import ssl

from . import hidden
from .wait import patience


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        return self.headers.get(name)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:200]!r}>"


class _Connection(http.client.HTTPSConnection):
    """Connects to an address while it speaks to a name."""

    def __init__(self, address, name, context, timeout):
        super().__init__(name, address[1], timeout=timeout, context=context)
        self._address = address
        self._name = name

    def connect(self):
        sock = socket.create_connection(self._address, self.timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(sock,
                                              server_hostname=self._name)


class Client:
    """One keep-alive connection; opened again when the server closed it."""

    def __init__(self, address, ca, name="localhost"):
        self.address, self.name, self.timeout = address, name, patience(60)
        self.context = ssl.create_default_context(cafile=ca)
        self._connection = None

    def request(self, method, path, headers=None, body=None):
        if self._connection is None:
            self._connection = _Connection(self.address, self.name,
                                           self.context, self.timeout)
        fresh = self._connection.sock is None
        try:
            return self._request(method, path, headers or {}, body)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if fresh:
                raise
            return self.request(method, path, headers, body)
        except BaseException:
            self.close()
            raise

    def _request(self, method, path, headers, body):
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())

    def get(self, path, **headers):
        return self.request("GET", path, _names(headers))

    def head(self, path, **headers):
        return self.request("HEAD", path, _names(headers))

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def raw(self, receive_buffer=None, source=None):
        """A TLS socket after its handshake, for bytes as they are; `source` is an
        address of this machine."""
        sock = socket.socket(socket.AF_INET)
        sock.settimeout(self.timeout)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                            receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.connect(self.address)
        return self.context.wrap_socket(sock, server_hostname=self.name)


def _names(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}


def plain(address, path, method="GET", headers=None, body=None):
    """One request over plain HTTP: the admin port's."""
    connection = http.client.HTTPConnection(*address, timeout=patience(60))
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        body = answer.read()
        hidden.keep(body)
        return Response(answer.status, answer.headers, body)
    finally:
        connection.close()


def read_response(sock, file=None, head=False):
    """Reads one answer from a socket (or its file, when several follow)."""
    file = file or sock.makefile("rb")
    status = file.readline().split(b" ", 2)
    if len(status) < 2:
        raise AssertionError(f"no answer: {status}")
    headers = http.client.parse_headers(file)
    length = 0 if head else int(headers.get("Content-Length", 0))
    return Response(int(status[1]), headers, file.read(length))


def read_to_end(sock):
    """All bytes until the server closes."""
    parts = []
    while True:
        try:
            data = sock.recv(65536)
        except (ssl.SSLEOFError, ConnectionResetError):
            break
        if not data:
            break
        parts.append(data)
    return b"".join(parts)
