"""Debian's docker-registry on loopback, with its storage in a folder."""
import base64
import http.client
import json
import os
import re
import ssl
import tempfile
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import artifact, hidden, proc
from .wait import patience, until

PATH = "spectro-packs/spectro-manifests/manifest"


class Registry:
    """`authority` gives TLS, `client_ca` lets in its clients alone, `user` and
    `password` give htpasswd, `tokens` a TokenServer. Starts at once; start() after stop() has the same port."""

    def __init__(self, folder, authority=None, user=None, password=None,
                 tokens=None, detached=False, client_ca=None):
        self.folder = folder
        self.authority = authority
        self.client_ca = client_ca
        self.user, self.password = user, password
        if user is not None:
            basic(user, password)  # from now on both are hidden
        self.tokens = tokens
        self.notified = []  # endpoints that start() has it notify
        self.storage = os.path.join(folder, "registry")
        self.port = 0
        self.process = None
        self._detached = detached
        self._log = os.path.join(folder, "registry.log")
        os.makedirs(self.storage, exist_ok=True)
        self.start()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return ("https://" if self.authority else "http://") + self.host

    def repository(self, path=PATH):
        return f"{self.host}/{path}"

    def start(self):
        config = os.path.join(self.folder, "registry.yml")
        until(lambda: self._try_start(config), "docker-registry to listen")
        return self

    def _try_start(self, config):
        with open(config, "w", encoding="ascii") as file:
            file.write(json.dumps(self._config()))  # JSON is YAML
        start = os.path.getsize(self._log) if os.path.exists(self._log) else 0
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("REGISTRY_")}
        with open(self._log, "ab") as log:
            self.process = proc.spawn(["docker-registry", "serve", config],
                                      self._detached, stdout=log, stderr=log,
                                      env=env)

        def listening():
            if self.process.poll() is not None:
                return True
            return re.search(r"listening on 127\.0\.0\.1:(\d+)",
                             self.log(start))
        found = until(listening, "docker-registry to start", 30,
                      lambda: self.log(start))
        if found is True:
            if "address already in use" in self.log(start):
                return False
            raise AssertionError("docker-registry ended:\n" + self.log(start))
        self.port = int(found.group(1))
        return True

    def _config(self):
        config = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": self.storage},
                        "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{self.port}", "secret": "x" * 32},
        }
        if self.notified:
            config["notifications"] = {"endpoints": self.notified}
        if self.authority:
            cert, key = self.authority.issue()
            config["http"]["tls"] = {"certificate": cert, "key": key}
        if self.client_ca:
            config["http"]["tls"]["clientcas"] = [self.client_ca.ca]
        if self.user is not None:
            path = os.path.join(self.folder, "htpasswd")
            with open(path, "wb") as file:
                file.write(proc.run(["htpasswd", "-inB", "-C", "4", self.user],
                                    input=self.password.encode()).stdout)
            config["auth"] = {"htpasswd": {"realm": "test", "path": path}}
        if self.tokens:
            config["auth"] = {"token": {
                "realm": self.tokens.realm, "service": self.tokens.service,
                "issuer": self.tokens.issuer,
                "rootcertbundle": self.tokens.bundle}}
        return config

    def stop(self):
        if self.process:
            proc.end(self.process)
            self.process = None

    def log(self, start=0):
        with open(self._log, "rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def mark(self):
        """A place in the access log, after all that was answered so far."""
        name = uuid.uuid4().hex
        connection = self._connect()
        connection.request("GET", f"/v2/{name}")
        connection.getresponse().read()
        connection.close()
        until(lambda: f"GET /v2/{name}" in self.log(), "the access log")
        return self.log().rindex(name)

    def blob_gets(self, since=0):
        """The blobs that were downloaded: their digests, from the access
        log, in the order of the answers."""
        end = self.mark()
        return re.findall(r'"GET /v2/\S+/blobs/(\S+) HTTP/[0-9.]+" 20[06]',
                          self.log()[since:end])

    def requests(self, since=0):
        """What was asked since a mark: (method, path with query, status),
        from the access log, in the order of the answers."""
        end = self.mark()
        lines = self.log()[since:end].rpartition("\n")[0]
        return [(method, path, int(status)) for method, path, status in
                re.findall(r'"([A-Z]+) (/v2/\S*) HTTP/[0-9.]+" (\d+)', lines)]

    def blob_path(self, digest):
        """Where docker-registry keeps a blob's bytes."""
        value = digest.split(":")[1]
        return os.path.join(self.storage, "docker/registry/v2/blobs/sha256",
                            value[:2], value, "data")

    def push(self, tag, layer, path=PATH, manifest=None):
        """Pushes a layer and a manifest (ORAS' by default) under a tag.
        Returns the manifest's digest."""
        connection = self._connect()
        headers = self._authorization(path)
        for blob in (artifact.EMPTY, layer):
            self._push_blob(connection, headers, path, blob)
        if manifest is None:
            manifest = artifact.oras_manifest(layer)
        headers["Content-Type"] = artifact.media_type(manifest)
        self._expect(201, connection, "PUT", f"/v2/{path}/manifests/{tag}",
                     manifest, headers)
        connection.close()
        return artifact.digest(manifest)

    def push_file(self, tag, file, digest, size, path=PATH):
        """Pushes a layer as push() does, from a file, without ever having
        all of it in memory."""
        connection = self._connect()
        headers = self._authorization(path)
        self._upload(connection, {**headers, "Content-Length": str(size)},
                     path, digest, file)
        connection.close()
        return self.push(tag, artifact.EMPTY, path, artifact.oras_manifest(
            b"", digest=digest, size=size))

    def _push_blob(self, connection, headers, path, blob):
        digest = artifact.digest(blob)
        connection.request("HEAD", f"/v2/{path}/blobs/{digest}",
                           headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            self._upload(connection, headers, path, digest, blob)

    def _upload(self, connection, headers, path, digest, body):
        start = {k: v for k, v in headers.items() if k != "Content-Length"}
        location = self._expect(202, connection, "POST",
                                f"/v2/{path}/blobs/uploads/", None, start
                                ).headers["Location"]
        parts = urllib.parse.urlsplit(location)
        self._expect(201, connection, "PUT",
                     f"{parts.path}?{parts.query}&digest="
                     + urllib.parse.quote(digest, safe=""), body,
                     {**headers, "Content-Type": "application/octet-stream"})

    def delete(self, digest, path=PATH):
        connection = self._connect()
        self._expect(202, connection, "DELETE",
                     f"/v2/{path}/manifests/{digest}", None,
                     self._authorization(path))
        connection.close()

    def _connect(self):
        if not self.authority:
            return http.client.HTTPConnection("127.0.0.1", self.port,
                                              timeout=patience(60))
        context = ssl.create_default_context(cafile=self.authority.ca)
        if self.client_ca:
            context.load_cert_chain(*self.client_ca.issue("pusher"))
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=patience(60), context=context)

    @staticmethod
    def _expect(status, connection, method, target, body, headers):
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != status:
            raise AssertionError(f"{method} {target}: {answer.status} "
                                 f"{text.decode(errors='replace')}")
        return answer

    def _authorization(self, path):
        if self.tokens:
            token = self.tokens.token(self.user or "pusher", [
                {"type": "repository", "name": path,
                 "actions": ["pull", "push", "delete"]}])
            return {"Authorization": "Bearer " + token}
        if self.user is None:
            return {}
        return {"Authorization": basic(self.user, self.password)}


def basic(user, password):
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    hidden.hide(password, text)
    return "Basic " + text


class TokenServer:
    """Gives out the Bearer tokens that docker-registry 2.8 accepts: RS256,
    with the signer's certificate in the header (x5c). One user may pull, and what
    else `may` says, by
    password (GET) or refresh token (POST)."""

    refresh = "refresh/of+the=user"
    service = "test-registry"
    issuer = "test-issuer"

    def __init__(self, folder, authority, user, password):
        self.folder = folder
        self.user, self.password = user, password
        hidden.hide(self.refresh)
        self.may = {"pull"}  # what the user may
        self.requests = []
        self.bundle, self._key = authority.issue("tokens", algorithm="rsa")
        with open(self.bundle, encoding="ascii") as file:
            self._x5c = "".join(file.read().split("-----")[2].split())
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self)

            do_POST = do_GET

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # a client that hangs up is no news

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue())
        self._server.socket = context.wrap_socket(self._server.socket,
                                                  server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def realm(self):
        return f"https://127.0.0.1:{self.port}/token?tenant=one"

    def answer(self, handler):
        shown = handler.headers.get("Authorization")
        query = urllib.parse.parse_qs(
            urllib.parse.urlsplit(handler.path).query)
        self.requests.append((handler.path, shown))
        known = shown == basic(self.user, self.password)
        if handler.command == "POST":
            query = urllib.parse.parse_qs(handler.rfile.read(
                int(handler.headers["Content-Length"])).decode())
            known = query["refresh_token"] == [self.refresh] and not shown
        if not known:
            status, body = 401, {"details": "no such user"}
        else:
            access = []
            for scope in query.get("scope", []):
                kind, name, actions = scope.split(":", 2)
                access.append({"type": kind, "name": name, "actions": [
                    a for a in actions.split(",") if a in self.may]})
            status = 200
            body = {"token": self.token(self.user, access), "expires_in": 300}
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def token(self, subject, access):
        now = int(time.time())
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (
            {"typ": "JWT", "alg": "RS256", "x5c": [self._x5c]},
            {"iss": self.issuer, "sub": subject, "aud": self.service,
             "exp": now + 300, "nbf": now - 30, "iat": now,
             "jti": uuid.uuid4().hex, "access": access}))
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            file.write(signed.encode())
            file.flush()
            signature = proc.run(["openssl", "dgst", "-sha256", "-sign",
                                  self._key, file.name]).stdout
        token = signed + "." + _base64url(signature)
        hidden.hide(token, token.rsplit(".", 1)[1])
        return token

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def _base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
