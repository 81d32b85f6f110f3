"""The HTTP contract of the served port, over TLS, as clients see it."""
import email.utils
import http.client
import os
import re
import signal
import socket
import ssl
import tarfile
import threading
import time
import unittest
import urllib.parse
from io import BytesIO

from lib import artifact, proc, tree
from lib.case import Case
from lib.client import (Client, plain, read_response, read_to_end)
from lib.daemon import Specman, call
from lib.faulty import FakeRegistry
from lib.wait import patience, until
from lib.wire import Wire, request

SERVICE = "specman-service.hubble-system.svc.cluster.local"
BIG = tree.binary("big", 20 << 20)
YAML = b"versions:\n- name: 4.5.15\n"
FILES = {
    "roar/nickfury/versions.yaml": YAML,
    "roar/nickfury/4.5/version.yaml": b"version: 4.5\n",
    "roar/nickfury/short.yml": b"a: b\n",
    "types/data.json": b'{"a": 1}\n',
    "types/pack.tgz": tree.binary("tgz", 3000),
    "types/pack.tar.gz": tree.binary("tar.gz", 3000),
    "types/pack.zip": tree.binary("zip", 3000),
    "types/notes.txt": "Grüße\n".encode(),
    "types/page.html": b"<p>hello</p>\n",
    "types/unknown.zzz": b"\x00\x01\x02",
    "types/several-writes.bin": tree.binary("several writes", 200000),
    "types/none": b"no ending\n",
    "site/index.html": b"<h1>the index</h1>\n",
    "odd/with space.txt": b"space\n",
    "odd/percent%41.txt": b"percent\n",
    "odd/plus+and&amp;'\"<b>.txt": b"markup\n",
    "odd/grüße-日本.txt": b"unicode\n",
    "odd/q?mark#hash.txt": b"marks\n",
    "empty.txt": b"",
    "big.bin": BIG,
}


def quote(path):
    return "/" + urllib.parse.quote(path)


class Served(Case):
    """One release, served by one daemon for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        fake = FakeRegistry()
        cls.addClassCleanup(fake.stop)
        fake.push("4.5.15", artifact.tgz(FILES))
        folder = cls.class_folder()
        cls.data = os.path.join(folder, "data")
        os.mkdir(cls.data)
        cls.daemon = Specman(
            "--plain-http", "--repository", fake.repository(),
            "--poll-interval", "1h", data=cls.data,
            log=os.path.join(folder, "stderr.log"))
        cls.addClassCleanup(cls.daemon.finish)
        cls.daemon.wait_log(r"msg=Published\b.* releases=1\b", seconds=60)
        cls.ca = cls.daemon.ca()

    def setUp(self):
        self.http = Client(self.daemon.address(), self.ca)
        self.addCleanup(self.http.close)

    def raw(self, data, **options):
        """Sends bytes on a connection of their own."""
        sock = self.http.raw(**options)
        self.addCleanup(sock.close)
        sock.sendall(data)
        return sock


class Content(Served):
    def test_every_file(self):
        for path, data in FILES.items():
            with self.subTest(path=path):
                answer = self.http.get(quote(path))
                self.assertEqual(answer.status, 200)
                self.assertEqual(len(answer.body), len(data))
                self.assertEqual(artifact.digest(answer.body),
                                 artifact.digest(data))
                self.assertEqual(answer["Content-Length"], str(len(data)))

    def test_headers(self):
        answer = self.http.get("/roar/nickfury/versions.yaml")
        self.assertRegex(answer["ETag"], r'^"[\x21\x23-\x7e]{16,}"$')
        self.assertEqual(answer["Accept-Ranges"], "bytes")
        self.assertEqual(answer["Cache-Control"], "no-cache")
        self.assertEqual(answer["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer["Specman-Release"], "4.5.15")
        for name in ("Last-Modified", "Date"):
            self.assertRegex(
                answer[name], r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} "
                r"\d{4} \d\d:\d\d:\d\d GMT$")
        self.assertEqual(
            email.utils.parsedate_to_datetime(answer["Last-Modified"])
            .timestamp(), 1733488994)

    def test_types(self):
        for path, pattern in (
                ("roar/nickfury/versions.yaml", r"application/(x-)?yaml"),
                ("roar/nickfury/short.yml", r"application/(x-)?yaml"),
                ("types/data.json", "application/json"),
                ("types/pack.tgz", "application/(x-)?gzip"),
                ("types/pack.tar.gz", "application/(x-)?gzip"),
                ("types/pack.zip", "application/zip"),
                ("types/notes.txt", "text/plain; ?charset=utf-8"),
                ("types/page.html", "text/html; ?charset=utf-8"),
                ("types/unknown.zzz", "application/octet-stream"),
                ("types/none", "application/octet-stream|text/plain.*")):
            with self.subTest(path=path):
                kind = self.http.get(quote(path))["Content-Type"]
                self.assertRegex(kind, rf"^(?:{pattern})(?:; ?charset=utf-8)?"
                                 "$")

    def test_head(self):
        for path in ("/roar/nickfury/versions.yaml", "/big.bin", "/empty.txt",
                     "/roar/", "/not/there"):
            with self.subTest(path=path):
                get = self.http.get(path)
                head = self.http.head(path)
                self.assertEqual(head.status, get.status)
                self.assertEqual(head.body, b"")
                # A listing is sent in chunks, without its length.
                self.assertEqual(head["Content-Length"], str(len(get.body)))
                for name in ("Content-Type", "ETag", "Last-Modified",
                             "Specman-Release"):
                    self.assertEqual(head[name], get[name], name)

    def test_big_file_to_a_slow_reader(self):
        sock = self.raw(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        receive_buffer=4096)
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1)
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        body = bytearray()
        while len(body) < len(BIG):
            # Others are answered while this one takes its time.
            if len(body) < 1 << 20:
                answer = self.http.get("/roar/nickfury/versions.yaml")
                self.assertEqual(answer.body, YAML)
            part = sock.recv(65536)
            self.assertTrue(part, f"closed after {len(body)} bytes")
            body += part
        self.assertEqual(artifact.digest(bytes(body)), artifact.digest(BIG))

    def test_big_file_to_one_who_hangs_up(self):
        for _ in range(5):
            sock = self.raw(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n"
                            b"\r\n", receive_buffer=4096)
            sock.recv(1000)
            sock.close()
        self.assertEqual(self.http.get("/roar/nickfury/versions.yaml").body,
                         YAML)

    def test_big_file_many_times_at_once(self):
        answers, threads = [], []

        def fetch():
            client = Client(self.daemon.address(), self.ca)
            answers.append(artifact.digest(client.get("/big.bin").body))
            client.close()
        for _ in range(6):
            threads.append(threading.Thread(target=fetch, daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, [artifact.digest(BIG)] * 6)


class Conditions(Served):
    PATH = "/roar/nickfury/versions.yaml"

    def test_if_none_match(self):
        etag = self.http.get(self.PATH)["ETag"]
        for value, status in ((etag, 304), ("W/" + etag, 304), ("*", 304),
                              (f'"other", {etag}', 304), ('"other"', 200),
                              (etag.strip('"'), 200)):
            with self.subTest(value=value):
                answer = self.http.get(self.PATH, If_None_Match=value)
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.body, YAML if status == 200 else b"")
                self.assertEqual(answer["ETag"], etag)
                self.assertEqual(answer["Cache-Control"], "no-cache")

    def test_if_modified_since(self):
        date = self.http.get(self.PATH)["Last-Modified"]
        for value, status in ((date, 304),
                              ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
                              ("Thu, 01 Jan 2015 00:00:00 GMT", 200),
                              ("no date at all", 200)):
            with self.subTest(value=value):
                answer = self.http.get(self.PATH, If_Modified_Since=value)
                self.assertEqual(answer.status, status)

    def test_if_none_match_goes_before_the_date(self):
        date = self.http.get(self.PATH)["Last-Modified"]
        answer = self.http.get(self.PATH, If_None_Match='"other"',
                               If_Modified_Since=date)
        self.assertEqual(answer.status, 200)

    def test_etag_is_of_the_content(self):
        tags = [self.http.get(quote(path))["ETag"] for path in FILES]
        self.assertEqual(len(set(tags)), len(FILES))


class Ranges(Served):
    def part(self, value, path="/big.bin", **headers):
        return self.http.get(path, Range=value, **headers)

    def test_one_range(self):
        size = len(BIG)
        for value, first, last in (
                ("bytes=0-0", 0, 0), ("bytes=0-99", 0, 99),
                ("bytes=1000-1999", 1000, 1999),
                (f"bytes={size - 5}-", size - 5, size - 1),
                ("bytes=-7", size - 7, size - 1),
                (f"bytes=5-{size * 2}", 5, size - 1),
                (f"bytes=-{size * 2}", 0, size - 1)):
            with self.subTest(value=value):
                answer = self.part(value)
                self.assertEqual(answer.status, 206)
                self.assertEqual(answer["Content-Range"],
                                 f"bytes {first}-{last}/{size}")
                self.assertEqual(answer["Content-Length"],
                                 str(last - first + 1))
                self.assertTrue(answer.body == BIG[first:last + 1])

    def test_range_that_cannot_be(self):
        for value, path, size in (
                (f"bytes={len(BIG)}-", "/big.bin", len(BIG)),
                ("bytes=-0", "/big.bin", len(BIG)),
                ("bytes=0-", "/empty.txt", 0)):
            with self.subTest(value=value, path=path):
                answer = self.part(value, path)
                if size == 0 and answer.status == 200:
                    continue  # as good an answer for a file without bytes
                self.assertEqual(answer.status, 416)
                self.assertEqual(answer["Content-Range"], f"bytes */{size}")

    def test_range_that_is_none(self):
        for value in ("bytes=9-3", "bytes=a-b", "bytes", "items=0-5",
                      "bytes=", "bytes=-", "bytes=99999999999999999999999-5"):
            with self.subTest(value=value):
                answer = self.part(value, "/roar/nickfury/versions.yaml")
                self.assertIn(answer.status, (200, 416))
                if answer.status == 200:
                    self.assertEqual(answer.body, YAML)

    def test_if_range(self):
        etag = self.http.get("/big.bin")["ETag"]
        self.assertEqual(self.part("bytes=0-4", If_Range=etag).status, 206)
        self.assertEqual(self.part("bytes=0-4", "/types/pack.zip",
                                   If_Range='"old"').status, 200)

    def test_range_with_curl(self):
        address = f"localhost:{self.daemon.address()[1]}"
        done = proc.run(["curl", "-sS", "--fail", "--cacert", self.ca,
                         "--connect-to", f"{address}:127.0.0.1:",
                         "-r", "100-299", f"https://{address}/big.bin"])
        self.assertEqual(done.stdout, BIG[100:300])


class Paths(Served):
    def check(self, target, status, body=None):
        """The target goes out as it stands, byte for byte."""
        sock = self.raw(b"GET %s HTTP/1.1\r\nHost: localhost\r\n"
                        b"Connection: close\r\n\r\n" % target.encode())
        answer = read_response(sock)
        wanted = status if isinstance(status, tuple) else (status,)
        self.assertIn(answer.status, wanted, target)
        if body is not None:
            self.assertEqual(answer.body, body, target)
        return answer

    def test_dots_and_slashes(self):
        for target in ("//roar/nickfury/versions.yaml",
                       "/roar//nickfury///versions.yaml",
                       "/roar/./nickfury/./versions.yaml",
                       "/roar/x/../nickfury/versions.yaml",
                       "/types/../roar/nickfury/versions.yaml",
                       "/roar/%2e/nickfury/versions.yaml",
                       "/types/%2E%2e/roar/nickfury/versions.yaml",
                       "/%72oar/nickfury/versions%2eyaml",
                       "/roar%2Fnickfury/versions.yaml",
                       "/roar/nickfury/versions.yaml?a=b&c",
                       "/roar/nickfury/versions.yaml?"):
            with self.subTest(target=target):
                self.check(target, 200, YAML)

    def test_out_of_the_root(self):
        for target in ("/../etc/passwd", "/../../../../etc/passwd",
                       "/roar/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                       "/..%2f..%2fetc/passwd", "/roar/..%2f..%2f..%2fetc"):
            with self.subTest(target=target):
                answer = self.check(target, (400, 404))
                self.assertNotIn(b"root:", answer.body)

    def test_bad_escapes(self):
        for target in ("/%", "/%4", "/%zz", "/roar/%g0", "/%00",
                       "/roar/nickfury/versions.yaml%00.txt"):
            with self.subTest(target=target):
                self.check(target, 400)
        self.assertEqual(self.http.get("/roar/").status, 200)

    def test_escaped_once_only(self):
        self.check("/odd/percent%2541.txt", 200, b"percent\n")
        self.check("/odd/percentA.txt", 404)
        self.check("/odd/with+space.txt", 404)

    def test_not_there(self):
        for target in ("/nothing", "/roar/nickfury/versions.yaml/",
                       "/roar/nickfury/versions.yaml/more", "/ROAR/",
                       "/roar/nickfury/versions.yam",
                       "/roar/nickfury/versions.yamll"):
            with self.subTest(target=target):
                answer = self.check(target, 404)
                self.assertIsNone(answer["Specman-Release"])
                self.assertNotIn(self.data.encode(), answer.body)

    def test_the_store_is_not_served(self):
        for name in os.listdir(self.data):
            with self.subTest(name=name):
                self.check("/" + urllib.parse.quote(name), (403, 404))

    def test_folder_without_slash(self):
        for path in ("/roar", "/roar/nickfury", "/roar//nickfury"):
            with self.subTest(path=path):
                answer = self.check(path, 301)
                self.assertNotRegex(answer["Location"], r"^(\w+:|//)")
                target = urllib.parse.urljoin("https://localhost" + path,
                                              answer["Location"])
                self.assertEqual(target.replace("//nick", "/nick"),
                                 "https://localhost"
                                 + path.replace("//", "/") + "/")

    def test_redirect_does_not_leave(self):
        for target in ("//roar", "///roar", "/%0d%0aX-Evil:1/../roar"):
            with self.subTest(target=target):
                answer = self.check(target, (301, 404, 400))
                self.assertIsNone(answer["X-Evil"])
                if answer.status == 301:
                    self.assertNotRegex(answer["Location"], "^//")

    def test_target_with_a_host(self):
        self.check("http://localhost/roar/nickfury/versions.yaml",
                   (200, 400, 404))

    def test_long_target(self):
        answer = self.check("/" + "a" * 12000, (404, 414))
        self.assertLess(len(answer.body), 1 << 16)


class Listings(Served):
    def test_listing(self):
        answer = self.http.get("/roar/nickfury/")
        self.assertEqual(answer.status, 200)
        self.assertRegex(answer["Content-Type"], "^text/html; ?charset=utf-8$")
        text = answer.body.decode()
        for name in ("4.5/", "short.yml", "versions.yaml"):
            self.assertRegex(text, rf'href="(\./)?{re.escape(name)}"')

    def test_root(self):
        text = self.http.get("/").body.decode()
        for name in ("roar/", "types/", "odd/", "empty.txt"):
            self.assertRegex(text, rf'href="(\./)?{re.escape(name)}"')

    def test_names_are_escaped(self):
        text = self.http.get("/odd/").body.decode()
        self.assertNotIn("<b>", text)
        self.assertIn("grüße-日本.txt", text)
        links = re.findall(r'href="([^"]*)"', text)
        bodies = set()
        for link in links:
            link = link.replace("&amp;", "&").replace("&#39;", "'")
            target = urllib.parse.urljoin("https://localhost/odd/", link)
            path = target[len("https://localhost"):].split("?")[0] \
                if target.startswith("https://localhost/odd/") else None
            if path and path != "/odd/":
                answer = self.http.get(path)
                self.assertEqual(answer.status, 200, link)
                bodies.add(answer.body)
        self.assertEqual(bodies, {data for name, data in FILES.items()
                                  if name.startswith("odd/")})

    def test_index(self):
        answer = self.http.get("/site/")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, FILES["site/index.html"])
        self.assertEqual(answer["Specman-Release"], "4.5.15")


class Protocol(Served):
    HOST = b"Host: localhost\r\n"
    GET = b"GET /roar/nickfury/versions.yaml HTTP/1.1\r\n" + HOST

    def test_methods(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
            with self.subTest(method=method):
                answer = self.http.request(
                    method, "/roar/nickfury/versions.yaml")
                self.assertEqual(answer.status, 405)
                allowed = [m.strip() for m in answer["Allow"].split(",")]
                self.assertIn("GET", allowed)
                self.assertIn("HEAD", allowed)
                self.http.close()

    def test_body_does_not_become_a_request(self):
        inner = b"GET /types/data.json HTTP/1.1\r\n" + self.HOST + b"\r\n"
        sock = self.raw(b"POST / HTTP/1.1\r\n" + self.HOST
                        + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
                        + b"GET /empty.txt HTTP/1.1\r\n" + self.HOST
                        + b"Connection: close\r\n\r\n")
        got = read_to_end(sock)
        self.assertRegex(got[:13], rb"^HTTP/1\.1 4(05|13|00)")
        self.assertNotIn(FILES["types/data.json"], got)

    def test_pipelining(self):
        paths = ("/roar/nickfury/versions.yaml", "/types/data.json",
                 "/types/several-writes.bin", "/roar/nickfury/short.yml")
        sock = self.raw(b"".join(
            b"GET %s HTTP/1.1\r\n%s\r\n" % (path.encode(), self.HOST)
            for path in paths))
        file = sock.makefile("rb")
        for path in paths:
            answer = read_response(sock, file)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.body, FILES[path[1:]])

    def test_keep_alive(self):
        self.http.get("/empty.txt")
        connection = self.http._connection.sock
        for _ in range(100):
            self.assertEqual(
                self.http.get("/roar/nickfury/versions.yaml").body, YAML)
        self.assertIs(self.http._connection.sock, connection)

    def test_http_1_0_closes(self):
        got = read_to_end(self.raw(b"GET /roar/nickfury/versions.yaml "
                                   b"HTTP/1.0\r\n\r\n"))
        head, _, body = got.partition(b"\r\n\r\n")
        self.assertRegex(head, rb"^HTTP/1\.[01] 200 ")
        self.assertEqual(body, YAML)

    def test_connection_close(self):
        got = read_to_end(self.raw(self.GET + b"Connection: close\r\n\r\n"))
        self.assertTrue(got.endswith(b"\r\n\r\n" + YAML))

    def test_byte_by_byte(self):
        sock = self.raw(b"")
        for byte in self.GET + b"\r\n":
            sock.sendall(bytes([byte]))
        self.assertEqual(read_response(sock).body, YAML)

    def test_client_that_closes_its_side_after_the_request(self):
        """A close_notify after the request does not take the answer away."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.http.context.wrap_bio(incoming, outgoing,
                                         server_hostname="localhost")
        got = b""
        with socket.create_connection(self.daemon.address(), 60) as sock:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            tls.write(self.GET + b"Connection: close\r\n\r\n")
            with self.assertRaises(ssl.SSLWantReadError):
                tls.unwrap()  # ours is sent, the other side's is not there
            sock.sendall(outgoing.read())
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                incoming.write(data)
        while True:
            try:
                data = tls.read()
            except ssl.SSLZeroReturnError:
                break
            if not data:
                break
            got += data
        self.assertRegex(got, rb"^HTTP/1\.1 200 ")
        self.assertTrue(got.endswith(b"\r\n\r\n" + YAML), got)

    def test_no_host(self):
        got = read_to_end(self.raw(b"GET / HTTP/1.1\r\n"
                                   b"Connection: close\r\n\r\n"))
        self.assertRegex(got, rb"^HTTP/1\.1 400 ")

    def test_head_that_is_too_large(self):
        sock = self.raw(b"")
        try:
            sock.sendall(self.GET + b"X-Long: " + b"a" * 70000 + b"\r\n\r\n")
            got = read_to_end(sock)
        except (ConnectionError, ssl.SSLError):
            got = b""
        if got:
            self.assertRegex(got, rb"^HTTP/1\.[01] (431|400|413) ")
        self.assertEqual(self.http.get("/empty.txt").status, 200)

    def test_what_is_no_http(self):
        for data in (b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01", b"a" * 20000 + b"\r\n\r\n"):
            with self.subTest(data=data[:20]):
                sock = self.raw(b"")
                sock.settimeout(patience(60))
                try:
                    sock.sendall(data)
                    sock.sendall(b"\r\n\r\n")
                    got = read_to_end(sock)
                except (ConnectionError, ssl.SSLError):
                    continue
                if got:
                    self.assertRegex(got, rb"^HTTP/1\.[01] [45]\d\d ")
        self.assertEqual(self.http.get("/empty.txt").status, 200)

    def test_plain_http_on_the_tls_port(self):
        try:
            status = plain(self.daemon.address(), "/").status
        except (OSError, http.client.HTTPException):
            status = 400
        self.assertEqual(status, 400)
        self.assertEqual(self.http.get("/empty.txt").status, 200)


class Tls(Served):
    def s_client(self, *options, ca=None):
        host, port = self.daemon.address()
        return proc.run(["openssl", "s_client", "-connect", f"{host}:{port}",
                         "-servername", "localhost", "-CAfile",
                         ca or self.ca, "-verify_return_error", *options],
                        check=False)

    def test_versions(self):
        for version, name in (("-tls1_2", b"TLSv1.2"),
                              ("-tls1_3", b"TLSv1.3")):
            with self.subTest(version=version):
                done = self.s_client(version)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(b"New, " + name, done.stdout)
        for version in ("-tls1", "-tls1_1"):
            with self.subTest(version=version):
                done = self.s_client(version, "-cipher",
                                     "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stdout + done.stderr,
                                 rb"(?i)alert|Cipher is \(NONE\)")

    def test_weak_ciphers(self):
        for cipher in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                       "NULL"):
            with self.subTest(cipher=cipher):
                done = self.s_client("-tls1_2", "-cipher",
                                     cipher + ":@SECLEVEL=0")
                self.assertNotEqual(done.returncode, 0)

    def test_alpn(self):
        done = self.s_client("-alpn", "h2,http/1.1")
        self.assertIn(b"ALPN protocol: http/1.1", done.stdout)

    def test_own_ca_vouches_for_the_names(self):
        for name in ("localhost", SERVICE, "specman-service",
                     "specman-service.hubble-system",
                     "specman-service.hubble-system.svc"):
            with self.subTest(name=name):
                done = self.s_client("-verify_hostname", name)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(b"Verify return code: 0 (ok)", done.stdout)
        done = self.s_client("-verify_hostname", "example.com")
        self.assertNotEqual(done.returncode, 0)

    def test_ca_command(self):
        text = call("ca", "--data-dir", self.data).stdout
        self.assertEqual(text.count(b"BEGIN CERTIFICATE"), 1)
        self.assertNotIn(b"PRIVATE", text)
        done = proc.run(["openssl", "x509", "-noout", "-text"], input=text)
        self.assertIn(b"CA:TRUE", done.stdout)

    def test_no_renegotiation(self):
        done = self.s_client("-tls1_2")
        self.assertNotIn(b"Compression: zlib", done.stdout)
        self.assertIn(b"Secure Renegotiation IS supported", done.stdout)

    def test_resumption(self):
        """A ticket of one connection opens another, whichever worker
        answers."""
        context = ssl.create_default_context(cafile=self.ca)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        session, reused = None, 0
        for _ in range(8):
            with socket.create_connection(self.daemon.address(), 60) as sock, \
                    context.wrap_socket(sock, server_hostname="localhost",
                                        session=session) as tls:
                session = session or tls.session
                reused += tls.session_reused
        self.assertEqual(reused, 7)


class Store(Served):
    def test_bsdtar_rebuilds_a_release(self):
        release = os.path.join("releases", "4.5.15.mtree")
        listed = proc.run(["bsdtar", "-tf", release], cwd=self.data).stdout
        names = {re.sub(r"^\./", "", line)
                 for line in listed.decode().split("\n")}
        for path in FILES:
            if path.isascii() and not re.search(r"[\\\"'&<>?#%]", path):
                self.assertIn(path, names)
        packed = proc.run(["bsdtar", "-cf", "-", "--format", "pax",
                           "@" + release], cwd=self.data,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
        found = {}
        with tarfile.open(fileobj=BytesIO(packed)) as box:
            for member in box:
                if member.isfile():
                    name = re.sub(r"^\./", "", member.name)
                    found[name] = box.extractfile(member).read()
        self.assertEqual(set(found), set(FILES))
        for path, data in FILES.items():
            self.assertTrue(found[path] == data, path)

    def test_objects_are_named_by_their_content(self):
        self.check_store(self.data)
        self.assertGreaterEqual(len(self.named_objects(self.data)),
                                len(set(FILES.values())))


class Admin(Served):
    def test_health(self):
        admin = self.daemon.address("admin")
        for path in ("/livez", "/readyz"):
            for method in ("GET", "HEAD"):
                with self.subTest(path=path, method=method):
                    self.assertEqual(plain(admin, path, method).status, 200)
        self.assertEqual(plain(admin, "/nothing").status, 404)
        self.assertEqual(plain(admin, "/livez", "DELETE").status, 405)

    def test_files_are_not_on_the_admin_port(self):
        answer = plain(self.daemon.address("admin"),
                       "/roar/nickfury/versions.yaml")
        self.assertEqual(answer.status, 404)


class Nothing(Case):
    """Before the first release."""

    def setUp(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        self.daemon = self.start("--plain-http", "--poll-interval", "1h",
                                 "--repository", fake.repository())

    def test_unavailable(self):
        client = self.client(self.daemon)
        for path in ("/", "/roar/nickfury/versions.yaml", "/roar"):
            for method in ("GET", "HEAD"):
                with self.subTest(path=path, method=method):
                    answer = client.request(method, path)
                    self.assertEqual(answer.status, 503)
                    self.assertRegex(answer["Retry-After"], r"^[1-9]\d*$")

    def test_health(self):
        admin = self.daemon.address("admin")
        self.assertEqual(plain(admin, "/livez").status, 200)
        self.assertEqual(plain(admin, "/readyz").status, 503)


class Dates(Case):
    def test_clock_that_was_ahead(self):
        """No date is later than the answer's (RFC 9110, 8.8.2.1)."""
        info, data = artifact.member("ahead.txt", data=b"ahead\n")
        info.mtime = time.time() + 400 * 86400
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz(members=[(info, data)]))
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--repository", fake.repository())
        client = self.client(daemon)
        self.wait_body(client, "/ahead.txt", b"ahead\n", daemon)
        answer = client.get("/ahead.txt")
        self.assertLessEqual(
            email.utils.parsedate_to_datetime(answer["Last-Modified"]),
            email.utils.parsedate_to_datetime(answer["Date"]))
        # It says nothing about what a client has.
        self.assertEqual(client.get("/ahead.txt", If_Modified_Since=answer[
            "Last-Modified"]).status, 200)
        self.assertEqual(client.get("/ahead.txt", If_None_Match=answer[
            "ETag"]).status, 304)


class Stopping(Case):
    def test_each_answer_is_its_connections_last(self):
        """While another's answer is still under way: a request whose head has
        begun to come is answered, and who asked knows that it was the last."""
        big = tree.binary("stopping", 8 << 20)
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"big.bin": big, "a.txt": b"a\n"}))
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--repository", fake.repository(), workers=1)
        daemon.wait_log('msg="Sync done"')
        client = self.client(daemon)
        slow, good, bad = Wire(client.raw(65536)), Wire(client.raw()), \
            Wire(client.raw())
        for wire in (slow, good, bad):
            self.addCleanup(wire.close)
        slow.send(request("/big.bin"))
        self.assertTrue(slow.sock.recv(1) == b"H")
        good.send(request("/a.txt")[:-2])
        bad.send(b"GET / HTTP/1.1\r\nX-A : b\r\nHost: a\r\n")
        client.get("/a.txt")  # both have been read by now
        daemon.process.send_signal(signal.SIGTERM)

        def is_deaf():
            try:
                socket.create_connection(daemon.address(), 30).close()
            except ConnectionRefusedError:
                return True
            return False
        until(is_deaf, "the listener to be closed")
        for wire, status in ((good, 200), (bad, 400)):
            wire.send(b"\r\n" + request("/a.txt"))
            answer = wire.read()
            self.assertEqual((answer.status, answer["Connection"]),
                             (status, "close"))
            self.assertTrue(wire.closed())
        slow.held = b"H"
        self.assertTrue(slow.read().body == big)
        self.assertEqual(daemon.wait(), 0)


class Certificates(Case):
    """A certificate that is given, and the one that specman makes."""

    def run_daemon(self, *flags, **options):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))
        return self.start("--plain-http", "--poll-interval", "1h",
                          "--repository", fake.repository(), *flags,
                          **options)

    def test_given(self):
        authority = self.class_authority()
        for algorithm in ("ec", "rsa"):
            with self.subTest(algorithm=algorithm):
                cert, key = authority.issue("own-" + algorithm,
                                            "DNS:files.example.com",
                                            algorithm)
                daemon = self.run_daemon("--tls-cert", cert, "--tls-key", key)
                client = Client(daemon.address(), authority.ca,
                                "files.example.com")
                self.wait_body(client, "/a.yaml", b"a\n", daemon)
                daemon.stop()

    def test_pair_that_does_not_match(self):
        authority = self.class_authority()
        cert, _ = authority.issue("one", "DNS:one")
        _, key = authority.issue("two", "DNS:two")
        daemon = self.run_daemon("--tls-cert", cert, "--tls-key", key)
        self.assertEqual(daemon.wait(), 1)
        self.assertRegex(daemon.log(), "level=error .*(?i:key|cert)")

    def test_certificate_that_is_not_there(self):
        daemon = self.run_daemon("--tls-cert", "/not/there.pem",
                                 "--tls-key", "/not/there.key")
        self.assertIn(daemon.wait(), (1, 2))
        self.assertIn("/not/there", daemon.log())

    def test_certificate_without_key(self):
        daemon = self.run_daemon("--tls-cert", "/not/there.pem")
        self.assertEqual(daemon.wait(), 2)
        self.assertIn("--tls-key", daemon.log())

    def test_own_ca_stays_over_a_restart(self):
        first = self.run_daemon()
        with open(first.ca(), "rb") as file:
            before = file.read()
        first.stop()
        second = self.run_daemon(data=first.data)
        with open(second.ca(), "rb") as file:
            self.assertEqual(file.read(), before)
        self.wait_body(self.client(second), "/a.yaml", b"a\n", second)

    def test_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            return  # a machine without IPv6 has nothing to show here
        daemon = self.run_daemon(listen="[::1]:0", admin="[::1]:0")
        client = Client(daemon.address(), daemon.ca())
        self.addCleanup(client.close)
        self.wait_body(client, "/a.yaml", b"a\n", daemon)

    def test_port_in_use(self):
        first = self.run_daemon()
        port = first.address()[1]
        second = self.run_daemon(listen=f"127.0.0.1:{port}")
        self.assertEqual(second.wait(), 1)
        self.assertRegex(second.log(), rf"level=error .*{port}")


if __name__ == "__main__":
    unittest.main()
