"""What stands between specman and a registry: Debian's nginx and tinyproxy, and
a proxy of our own for what those two don't do.

Loopback is never proxied. 0.0.0.0 is no loopback address by that rule, and to
the kernel it is this machine: it stands in for a registry elsewhere.
"""
import base64
import os
import re
import select
import socket
import ssl
import threading

from . import hidden, proc
from .wait import patience, until

ELSEWHERE = "0.0.0.0"
SANS = f"DNS:registry.example.test,IP:{ELSEWHERE},IP:127.0.0.1"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 60).close()
        return True
    except OSError:
        return False


class _Program:
    """A server on a port of its own choice; another one when that is taken
    meanwhile."""

    def __init__(self, folder):
        self.folder = folder
        self.port = 0
        self.process = None
        os.makedirs(folder, exist_ok=True)
        until(self._try_start, f"{self.name} to listen")

    def _try_start(self):
        self.port = free_port()
        config = os.path.join(self.folder, self.name + ".conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(self.config())
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = proc.spawn(self.command(config), stdout=output,
                                      stderr=output)
        until(lambda: self.process.poll() is not None or _listens(self.port),
              f"{self.name} to start", 30, self.output)
        if self.process.poll() is None:
            return True
        if "ddress already in use" not in self.output():
            raise AssertionError(f"{self.name} ended:\n{self.output()}")
        return False

    def output(self):
        with open(os.path.join(self.folder, "output"), "rb") as file:
            return file.read().decode(errors="replace")

    def stop(self):
        if self.process:
            proc.end(self.process)
            self.process = None


class Nginx(_Program):
    """nginx before a registry, with a certificate of `authority`; with
    `client_ca` only for clients with a certificate of that one."""

    name = "nginx"

    def __init__(self, folder, registry, authority, client_ca=None,
                 sans=SANS, days=(0, 30)):
        self.registry = registry
        self.pair = authority.issue(re.sub(r"\W", "-", f"{days}-{sans}"),
                                    sans, days=days)
        self.client_ca = client_ca
        super().__init__(folder)

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def command(self, config):
        return ["nginx", "-p", self.folder, "-e", "stderr", "-c", config]

    def requests(self):
        """The request lines that it answered."""
        with open(os.path.join(self.folder, "access.log"),
                  encoding="ascii") as file:
            return [line.split('"')[1] for line in file]

    def config(self):
        client = ""
        if self.client_ca:
            client = (f"ssl_client_certificate {self.client_ca.ca};\n"
                      "ssl_verify_client on;\n")
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
access_log {self.folder}/access.log;
{temp}server {{
listen 127.0.0.1:{self.port} ssl http2;
ssl_certificate {self.pair[0]};
ssl_certificate_key {self.pair[1]};
{client}client_max_body_size 0;
location / {{
{self.location()}
}} }} }}
"""

    def location(self):
        """What it does with a request."""
        return f"""proxy_pass {self.registry.url};
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-Proto https;
proxy_ssl_verify on;
proxy_ssl_name registry.example.test;
proxy_ssl_trusted_certificate {self.registry.authority.ca};"""


class Files(_Program):
    """nginx that serves a folder itself, as one would set it up for that."""

    name = "nginx"

    def __init__(self, folder, root, pair):
        self.root, self.pair = root, pair
        super().__init__(folder)

    def command(self, config):
        return ["nginx", "-p", self.folder, "-e", "stderr", "-c", config]

    def config(self):
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
access_log off;
{temp}types {{ application/yaml yaml; text/plain txt; text/html html; }}
default_type application/octet-stream;
charset utf-8;
gzip_static on;
gzip_vary on;
gzip_http_version 1.0;
autoindex on;
absolute_redirect off;
server {{
listen 127.0.0.1:{self.port} ssl;
ssl_certificate {self.pair[0]};
ssl_certificate_key {self.pair[1]};
root {self.root};
}} }}
"""


class Tinyproxy(_Program):
    """An HTTP proxy that lets in who knows user and password, and connects to
    one port if there is a choice."""

    name = "tinyproxy"

    def __init__(self, folder, user=None, password=None, only_port=None):
        self.user, self.password = user, password
        hidden.hide(password)
        self.only_port = only_port
        super().__init__(folder)

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def command(self, config):
        return ["tinyproxy", "-d", "-c", config]

    def config(self):
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 60",
                 "LogLevel Connect", "MaxClients 100"]
        if self.user:
            lines.append(f"BasicAuth {self.user} {self.password}")
        if self.only_port:
            lines.append(f"ConnectPort {self.only_port}")
        return "\n".join(lines) + "\n"

    def requests(self):
        """The first lines of the requests so far: "CONNECT host:port"."""
        return re.findall(r"Request \(file descriptor \d+\): (\S+ \S+)",
                          self.output())


class _InProcess:
    """A proxy in this process, a thread for each client. It knows names by
    itself: `hosts` maps "name:port" to a port of loopback."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.targets = []  # what was asked for
        self._clients = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._server.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def hang_up(self):
        """Ends the connections that stand."""
        for client in self._clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._clients.append(client)
            threading.Thread(target=self._guarded, args=(client,),
                             daemon=True).start()

    def _guarded(self, client):
        client.settimeout(patience(60))
        try:
            with client:
                self.serve(client)
        except (OSError, IndexError):
            pass  # clients hang up as they please

    def connect(self, name):
        """A connection to a name, or None."""
        self.targets.append(name)
        port = self.hosts.get(name)
        return port and socket.create_connection(("127.0.0.1", port),
                                                 patience(60))


class Interceptor(_InProcess):
    """An HTTP proxy. With `tunnels`, an Authority, it opens what goes through
    it, with certificates of its own; with `authority` it wants TLS itself;
    `login` is "user:password"."""

    def __init__(self, hosts, tunnels=None, authority=None, login=None):
        self.tunnels = tunnels
        self.heads = []  # of the requests to the proxy
        self.login = login and "Basic " + base64.b64encode(
            login.encode()).decode()
        self._lock = threading.Lock()
        self._tls = authority and _context(*authority.issue())
        super().__init__(hosts)

    def serve(self, client):
        if self._tls:
            client = self._tls.wrap_socket(client, server_side=True)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                return
            head += byte
        head = head.decode("latin-1")
        self.heads.append(head)
        said = re.search(r"(?mi)^proxy-authorization: (.*?)\r$", head)
        if self.login and (said and said.group(1)) != self.login:
            client.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic "
                           b"realm=x\r\nContent-Length: 0\r\n\r\n")
            return
        name = head.split()[1]
        server = self.connect(name)
        if not server:
            client.sendall(b"HTTP/1.1 502 Unknown host\r\n"
                           b"Content-Length: 0\r\n\r\n")
            return
        with server:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            if self.tunnels:
                client, server = self._open(client, server, name)
            _relay(client, server)

    def _open(self, client, server, name):
        host = name.rsplit(":", 1)[0]
        kind = "IP" if re.fullmatch(r"[\d.]+", host) else "DNS"
        with self._lock:
            pair = self.tunnels.issue("opened-" + host, f"{kind}:{host}")
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        return (_context(*pair).wrap_socket(client, server_side=True),
                trusting.wrap_socket(server))


class Socks5(_InProcess):
    """A SOCKS 5 proxy (RFC 1928) that wants a login (RFC 1929)."""

    def __init__(self, hosts, user, password):
        self.login = (user.encode(), password.encode())
        super().__init__(hosts)

    def serve(self, client):
        stream = client.makefile("rb", buffering=0)
        stream.read(stream.read(2)[1])
        client.sendall(b"\5\2")
        user = stream.read(stream.read(2)[1])
        password = stream.read(stream.read(1)[0])
        good = (user, password) == self.login
        client.sendall(b"\1\0" if good else b"\1\1")
        if not good or stream.read(4)[3] != 3:
            return
        name = stream.read(stream.read(1)[0]).decode()
        name += ":" + str(int.from_bytes(stream.read(2), "big"))
        server = self.connect(name)
        client.sendall(bytes([5, 0 if server else 5, 0, 1] + [0] * 6))
        if server:
            with server:
                _relay(client, server)


def _context(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def _relay(one, other):
    """Moves bytes both ways until one side ends."""
    ways = {one: other, other: one}
    while True:
        ready = [s for s in ways if isinstance(s, ssl.SSLSocket)
                 and s.pending()] or select.select(list(ways), [], [],
                                                patience(60))[0]
        if not ready:
            return
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            ways[source].sendall(data)
