"""What is needed to make `specman check` fail in the ways that operators meet:
registries, proxies, certificates, mounts."""
import email.utils
import json
import os
import socket
import socketserver
import ssl
import sys
import threading
import time

from . import artifact, hidden, secret
from .faulty import FakeRegistry
from .registry import PATH, Registry

USER, PASSWORD = "robot$spectro", "s3cret:with=signs"
AWS_SECRET = "s" * 40
SERVICE = "specman-service.hubble-system.svc.cluster.local"
_held = []
LAYER = artifact.tgz({"roar/nickfury/versions.yaml": b"versions: []\n"})

class Run:
    """How to run the check: `wrapper` is put in front of the command."""

    def __init__(self, *flags, env=None, wrapper=()):
        self.flags, self.env, self.wrapper = flags, env or {}, list(wrapper)


def in_mounts(script, *arguments):
    """A wrapper: mounts of the program's own, made by a shell script."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "sh", "-ec",
            script + '\nshift $#n; exec "$@"'.replace(
                "$#n", str(len(arguments))), "sh", *arguments]


def without_privileges():
    """A wrapper: root that may not do more than others."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] \
        if os.geteuid() == 0 else []


_EIO = """
import ctypes, errno, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 74, "aarch64": 82}[os.uname().machine]
code = b"".join(struct.pack("=HBBI", *line) for line in (
    (0x20, 0, 0, 0),                        # load the system call's number
    (0x15, 0, 1, number),                   # is it fsync?
    (0x06, 0, 0, 0x00050000 | errno.EIO),   # SECCOMP_RET_ERRNO
    (0x06, 0, 0, 0x7fff0000)))              # SECCOMP_RET_ALLOW
buffer = ctypes.create_string_buffer(code)
program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def on_a_bad_disk():
    """A wrapper: nothing can be made durable, as on a disk that fails."""
    return [sys.executable, "-c", _EIO]


class Stage:
    """What rows share, and how they make things go wrong."""

    def __init__(self, case):
        self.case = case
        self.authority = case.class_authority()
        self.other_ca = case.class_authority()
        self.registry = Registry(case.class_folder(), self.authority, USER,
                                 PASSWORD)
        case.addClassCleanup(self.registry.stop)
        self.registry.push("4.5.13", LAYER)

    def folder(self):
        return self.case.class_folder()

    def data(self):
        """Flags for an empty data directory and no secret."""
        folder = self.folder()
        return ["--data-dir", folder,
                "--registry-secret-dir", os.path.join(folder, "absent")]

    def file(self, content, name="file"):
        path = os.path.join(self.folder(), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def fake(self, tls=None, **options):
        options.setdefault("authority", self.authority)
        fake = FakeRegistry(**options)
        if tls:
            fake.exchange_context(tls)
        self.case.addClassCleanup(fake.stop)
        fake.push("4.5.13", LAYER)
        return fake

    def plain(self):
        """A healthy repository, for what goes wrong elsewhere."""
        return ["--repository", self.fake().repository(),
                "--registry-ca", self.authority.ca]

    def hooked(self, method, pattern, hook, *flags, **options):
        fake = self.fake(**options)
        fake.on(method, pattern, hook)
        return Run("--repository", fake.repository(), "--registry-ca",
                   self.authority.ca, *self.data(), *flags)

    def answers(self, status, body=b"", headers=(), pattern="/tags/list"):
        return self.hooked("GET", pattern, lambda request: request.reply(
            status, body, headers))

    def real(self, *flags, path=PATH, user=USER, password=PASSWORD):
        hidden.hide(password)
        return Run("--repository", self.registry.repository(path),
                   "--registry-ca", self.authority.ca,
                   "--registry-username", user,
                   "--registry-password-file", self.file(password),
                   *self.data(), *flags)

    def tls(self, *certificate, **changes):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(certificate or self.authority.issue()))
        for name, value in changes.items():
            setattr(context, name, value)
        return context

    def shows(self, *certificate, **changes):
        """A registry with another certificate, or other rules for TLS."""
        fake = self.fake(tls=self.tls(*certificate, **changes))
        return Run("--repository", fake.repository(), "--registry-ca",
                   self.authority.ca, *self.data())

    def through(self, proxy):
        return Run("--repository", "registry.invalid/" + PATH, *self.data(),
                   "--registry-ca", self.authority.ca,
                   env={"HTTPS_PROXY": proxy})

    def serving(self, days=(0, 30), sans="DNS:" + SERVICE):
        """Flags for a certificate of specman's own port."""
        name = os.path.basename(self.folder())
        cert, key = self.authority.issue(name, sans, days=days)
        return ["--tls-cert", cert, "--tls-key", key]

    def secret(self, **keys):
        return secret.Secret(os.path.join(self.folder(), "secret"), **keys)

    def mounted(self, *flags, env=None, wrapper=(), **keys):
        """The check of a secret with these keys."""
        return Run("--registry-secret-dir", self.secret(**keys).folder,
                   "--data-dir", self.folder(), *flags, env=env,
                   wrapper=wrapper)

    def amazon(self, status, code, message, ahead_s=0):
        """ECR's API answers so, by a clock that is ahead of ours."""
        fake = self.fake(authority=None)

        def answer(request):
            request.rfile.read(int(request.headers["Content-Length"] or 0))
            body = json.dumps({"__type": code, "message": message}).encode()
            request.send_response_only(status)
            request.send_header("Date", email.utils.formatdate(
                time.time() + ahead_s, usegmt=True))
            request.send_header("Content-Type", "application/x-amz-json-1.1")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
            return True
        fake.on("POST", "^/$", answer)
        return self.ecr(credentialType="secret", accessKey="AKIAEXAMPLE",
                        secretKey=AWS_SECRET, region="us-east-1",
                        env={"AWS_ENDPOINT_URL_ECR": fake.url})

    def ecr(self, env=None, **keys):
        """A registry that is said to be ECR, and no AWS but on loopback."""
        return self.mounted(
            "--registry-ca", self.authority.ca, endpoint=self.fake().host,
            baseContentPath="a", **keys, env={
                "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}",
                **(env or {})})


class Proxy(socketserver.ThreadingTCPServer):
    """Answers CONNECT with `answer`; ends TLS itself when it has a context."""
    daemon_threads = True

    def __init__(self, answer, tls=None):
        super().__init__(("127.0.0.1", 0), None)
        self.answer, self.tls = answer, tls
        threading.Thread(target=self.serve_forever, args=(0.05,),
                         daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, request, client_address):
        with request.makefile("rb") as lines:
            while lines.readline() not in (b"\r\n", b""):
                pass
        request.sendall(self.answer + b"\r\n\r\n")
        if self.tls:
            self.tls.wrap_socket(request, server_side=True)

    def handle_error(self, request, client_address):
        pass  # a client that does not go on is what is wanted

    def stop(self):
        self.shutdown()
        self.server_close()


def proxy(stage, answer, tls=None):
    server = Proxy(answer, tls)
    stage.case.addClassCleanup(server.stop)
    return server.url


def closed_port():
    """Nobody listens there, and nobody else can: it is held until the end. One
    of our own may."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    _held.append(sock)
    return sock.getsockname()[1]
