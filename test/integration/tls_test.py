"""TLS as operators and clients meet it: certificates that change, client
certificates, resumption, limits, and what goes wrong on the wire."""
import os
import signal
import socket
import ssl
import struct
import threading
import time
import unittest
import xml.etree.ElementTree as xml
from operator import gt

from lib import artifact, proc
from lib.case import Case
from lib.client import Client, plain, read_response, read_to_end
from lib.daemon import Specman
from lib.faulty import FakeRegistry
from lib.wait import patience, until

FILE = b"versions: []\n"
PATH = "/roar/nickfury/versions.yaml"
GET = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
SWAPS = 100


class Mounted:
    """Certificate and key as the kubelet mounts a secret: links through
    ..data, which is exchanged in one step."""

    def __init__(self, folder, *pair):
        self.folder = folder
        self._count = 0
        self.cert = os.path.join(folder, "tls.crt")
        self.key = os.path.join(folder, "tls.key")
        self.swap(*pair)
        for name in ("tls.crt", "tls.key"):
            os.symlink(f"..data/{name}", os.path.join(folder, name))

    def swap(self, cert, key):
        self._count += 1
        version = os.path.join(self.folder, f"..{self._count}")
        os.mkdir(version)
        for source, name in ((cert, "tls.crt"), (key, "tls.key")):
            with open(source, "rb") as file, \
                    open(os.path.join(version, name), "wb") as copy:
                copy.write(file.read())
        link = os.path.join(self.folder, "..data_tmp")
        os.symlink(os.path.basename(version), link)
        os.rename(link, os.path.join(self.folder, "..data"))


def der(path):
    with open(path, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.fake = FakeRegistry()
        cls.addClassCleanup(cls.fake.stop)
        cls.fake.push("4.5.15", artifact.tgz({PATH[1:]: FILE}))
        cls.authority = cls.class_authority()
        cls.other = cls.class_authority()

    def run_daemon(self, *flags, **options):
        daemon = self.start("--repository", self.fake.repository(),
                            "--plain-http", "--poll-interval", "1h", *flags,
                            **options)
        until(lambda: plain(daemon.address("admin"), "/readyz").status == 200,
              "something to be served", 30, daemon.tail)
        return daemon

    def mounted(self, *pair):
        return Mounted(self.folder(), *pair)

    def given(self, mount, *flags, **options):
        return self.run_daemon("--tls-cert", mount.cert, "--tls-key",
                               mount.key, *flags, **options)

    def shown(self, daemon):
        """The certificate that a new connection sees."""
        context = ssl.create_default_context(cafile=self.authority.ca)
        with socket.create_connection(daemon.address(), 30) as sock, \
                context.wrap_socket(sock, server_hostname="localhost") as tls:
            return tls.getpeercert(True)


class Changes(Tls):
    def test_swapped_under_load(self):
        pairs = [self.authority.issue(f"swap{i}") for i in range(2)]
        ders = [der(cert) for cert, _ in pairs]
        mount = self.mounted(*pairs[0])
        daemon = self.given(mount)
        address = daemon.address()
        kept = Client(address, self.authority.ca)
        self.addCleanup(kept.close)
        self.assertEqual(kept.get(PATH).body, FILE)
        stop, failed, served = threading.Event(), [], [0, 0]

        def load(number):
            client = Client(address, self.authority.ca)
            while not stop.is_set():
                try:
                    if number:
                        client.close()  # each request shakes hands
                    answer = client.get(PATH)
                    if answer.status != 200 or answer.body != FILE:
                        raise AssertionError(answer)
                    served[number] += 1
                except Exception as error:  # whatever it is, it is a loss
                    failed.append(repr(error))
                    return
            client.close()
        threads = [threading.Thread(target=load, args=(number,))
                   for number in range(2)]
        for thread in threads:
            thread.start()
        try:
            for i in range(1, SWAPS + 1):
                mount.swap(*pairs[i % 2])
                daemon.process.send_signal(signal.SIGHUP)
                until(lambda: self.shown(daemon) == ders[i % 2],
                      f"certificate {i} to be shown", 30, daemon.tail)
                before = list(served)
                until(lambda: failed or all(map(gt, served, before)),
                      f"both to be served after swap {i}", 30, daemon.tail)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(kept.get(PATH).body, FILE)
        self.assertEqual(daemon.log().count('msg="Certificate reloaded"'),
                         SWAPS)

    def test_noticed_without_a_signal(self):
        pairs = [self.authority.issue(f"seen{i}") for i in range(2)]
        mount = self.mounted(*pairs[0])
        daemon = self.given(mount)
        mount.swap(*pairs[1])
        until(lambda: self.shown(daemon) == der(pairs[1][0]),
              "the new certificate", 10, daemon.tail)

    def test_broken_one_is_refused(self):
        good, next_one = (self.authority.issue(f"good{i}") for i in range(2))
        rubbish = os.path.join(self.folder(), "rubbish.pem")
        with open(rubbish, "w", encoding="ascii") as file:
            file.write("rubbish\n")
        mount = self.mounted(*good)
        daemon = self.given(mount)
        for cert, key, error in (
                (rubbish, good[1], "certificate .* can't be used"),
                (good[0], rubbish, "key .* can't be used"),
                (good[0], next_one[1], "is not the key of certificate")):
            with self.subTest(error):
                mark = daemon.mark()
                mount.swap(cert, key)
                line = daemon.wait_log('msg="Certificate not reloaded"', mark)
                self.assertEqual(line["level"], "error")
                self.assertRegex(line["error"], error)
                self.assertEqual(self.shown(daemon), der(good[0]))
        mount.swap(*next_one)
        until(lambda: self.shown(daemon) == der(next_one[0]),
              "the good certificate", 10, daemon.tail)

    def test_end_is_told_once_for_each_stage(self):
        def pair(days):
            return self.authority.issue(f"ends{days}", days=(-40, days))
        mount = self.mounted(*pair(60))
        daemon = self.given(mount)
        for days, message, level in (
                (20, "Certificate expires soon", "warning"),
                (3, "Certificate expires soon", "warning"),
                (0.5, "Certificate expires soon", "warning"),
                (-1, "Certificate has expired", "error")):
            with self.subTest(days):
                mark = daemon.mark()
                mount.swap(*pair(days))
                line = daemon.wait_log(f'msg="{message}"', mark)
                self.assertEqual(line["level"], level)
                if days > 0:
                    self.assertEqual(line["days"], str(max(0, int(days - .01))))
        told = [r for r in daemon.records()
                if r.get("msg", "").startswith("Certificate expires")]
        self.assertEqual(len(told), 3)
        # The one at the start was far from its end.
        self.assertNotIn("expires soon",
                         "\n".join(daemon.lines()[:daemon.lines().index(next(
                             line for line in daemon.lines()
                             if "Certificate reloaded" in line))]))

    def short_one(self, folder):
        """One of the own CA for the own key that ends in days; its bytes."""
        request = os.path.join(self.folder(), "request")
        fresh = os.path.join(os.path.dirname(request), "tls.crt")
        with open(request + ".ext", "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:localhost\n")
        proc.run(["openssl", "req", "-new", "-key",
                  os.path.join(folder, "tls.key"), "-subj", "/CN=short",
                  "-out", request])
        proc.run(["openssl", "x509", "-req", "-in", request, "-CA",
                  os.path.join(folder, "ca.crt"), "-CAkey",
                  os.path.join(folder, "ca.key"), "-days", "5", "-extfile",
                  request + ".ext", "-out", fresh])
        short = der(fresh)
        os.rename(fresh, os.path.join(folder, "tls.crt"))
        return short

    def test_own_one_is_renewed_while_it_runs(self):
        daemon = self.run_daemon()
        ca = daemon.ca()
        folder = os.path.join(daemon.data, "tls")
        short = self.short_one(folder)
        daemon.wait_log('msg="Certificate reloaded"')
        client = Client(daemon.address(), ca)
        self.assertEqual(client.get(PATH).body, FILE)
        client.close()
        self.assertNotEqual(der(os.path.join(folder, "tls.crt")), short)
        self.assertNotIn("expires soon", daemon.log())

    def test_own_one_that_can_not_be_renewed_at_the_start(self):
        """It is good for days yet: it is shown, and the log says why."""
        daemon = self.run_daemon()
        ca = daemon.ca()
        daemon.stop()
        folder = os.path.join(daemon.data, "tls")
        short = self.short_one(folder)
        for broken in ("tls.crt.new", "ca.key"):
            with self.subTest(broken=broken):
                path = os.path.join(folder, broken)
                if broken == "ca.key":
                    os.rename(path, path + ".away")
                os.mkdir(path)  # in the way of what is to be written or read
                again = self.run_daemon(data=daemon.data)
                told = again.wait_log('msg="Certificate not reloaded"')
                self.assertIn(broken, told["error"])
                client = Client(again.address(), ca)
                self.assertEqual(client.get(PATH).body, FILE)
                client.close()
                self.assertEqual(der(os.path.join(folder, "tls.crt")), short)
                # What was in the way is gone: it is renewed without a restart.
                os.rmdir(path)
                if broken == "ca.key":
                    os.rename(path + ".away", path)
                again.process.send_signal(signal.SIGHUP)
                again.wait_log('msg="Certificate reloaded"')
                again.stop()
                short = self.short_one(folder)


class ClientCertificates(Tls):
    def setUp(self):
        self.server = self.authority.issue()
        self.good = self.authority.issue("client")
        self.stranger = self.other.issue("client")
        self.expired = self.authority.issue("expired", days=(-3, -1))
        self.wrong_purpose = self.authority.issue(
            "purpose", purpose="serverAuth")

    def daemon(self, mode, ca=None):
        return self.run_daemon(
            "--tls-cert", self.server[0], "--tls-key", self.server[1],
            "--tls-client-ca", ca or self.authority.ca,
            "--tls-client-auth", mode)

    def connect(self, address, version, pair=None, session=None,
                context=None):
        if not context:
            context = ssl.create_default_context(cafile=self.authority.ca)
            context.minimum_version = context.maximum_version = version
            if pair:
                context.load_cert_chain(*pair)
        sock = socket.create_connection(address, 30)
        try:
            return context.wrap_socket(sock, server_hostname="localhost",
                                       session=session)
        except BaseException:
            sock.close()
            raise

    def ask(self, *arguments, **options):
        """The status, or the alert that the server gave."""
        try:
            with self.connect(*arguments, **options) as tls:
                tls.sendall(GET)
                return read_response(tls).status
        except ssl.SSLError as error:
            return error.reason

    def test_required_and_requested(self):
        versions = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        missing = ("SSLV3_ALERT_HANDSHAKE_FAILURE",
                   "TLSV13_ALERT_CERTIFICATE_REQUIRED")
        for mode in ("require", "request"):
            daemon = self.daemon(mode)
            address = daemon.address()
            for name, pair, want in (
                    ("good", self.good, (200, 200)),
                    ("none", None,
                     missing if mode == "require" else (200, 200)),
                    ("of another CA", self.stranger,
                     ("TLSV1_ALERT_UNKNOWN_CA",) * 2),
                    ("expired", self.expired,
                     ("SSLV3_ALERT_CERTIFICATE_EXPIRED",) * 2),
                    ("for servers", self.wrong_purpose,
                     ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",) * 2)):
                for version, result in zip(versions, want):
                    with self.subTest(mode=mode, pair=name, version=version):
                        self.assertEqual(self.ask(address, version, pair),
                                         result)
            mark = 'msg="TLS handshake failed"'
            reasons = [daemon.wait_log(mark + ".*" + reason)["reason"]
                       for reason in ("certificate has expired",
                                      "unsuitable certificate purpose")]
            self.assertTrue(all(r.startswith("client certificate: ")
                                for r in reasons), reasons)
            # Two versions, one reason: told once.
            self.assertEqual(
                daemon.log().count("certificate has expired"), 1)
            daemon.stop()

    def test_no_way_around_by_resumption(self):
        """A session is worth no more than what was shown for it."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                self._resumption(version)

    def _resumption(self, version):
        ca = os.path.join(self.folder(), "clients.pem")
        _copy(self.authority.ca, ca)
        daemon = self.daemon("request", ca)
        address = daemon.address()
        context = ssl.create_default_context(cafile=self.authority.ca)
        context.minimum_version = context.maximum_version = version
        with self.connect(address, version, context=context) as tls:
            tls.sendall(GET)
            self.assertEqual(read_response(tls).status, 200)
            session = tls.session
        with self.connect(address, version, context=context,
                          session=session) as tls:
            tls.sendall(GET)
            self.assertEqual(read_response(tls).status, 200)
            self.assertTrue(tls.session_reused)
            session = tls.session
        # The same CAs and one more: other rules, so no session of before.
        _copy(self.authority.ca, ca, self.other.ca)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_log('msg="Certificate reloaded"')
        with self.connect(address, version, context=context,
                          session=session) as tls:
            tls.sendall(GET)
            self.assertEqual(read_response(tls).status, 200)
            self.assertFalse(tls.session_reused)
        # And a client of the CA that is new is let in.
        self.assertEqual(self.ask(address, version, self.stranger), 200)
        daemon.stop()

    def test_broken_client_ca(self):
        path = os.path.join(self.folder(), "none.pem")
        with open(path, "w", encoding="ascii") as file:
            file.write("no certificate\n")
        for given, error in ((path, "it has no certificate"),
                             (path + ".absent", "client CA")):
            daemon = Specman("--tls-client-ca", given, "--repository",
                             self.fake.repository(), data=self.folder(),
                             log=os.path.join(self.folder(), "log"))
            self.assertNotEqual(daemon.wait(), 0)
            self.assertIn(error, daemon.log())


def _copy(*paths):
    """The first file's content, and that of those after the second, become
    the second's."""
    source, target, *more = paths
    content = b""
    for path in (source, *more):
        with open(path, "rb") as file:
            content += file.read()
    with open(target + ".new", "wb") as file:
        file.write(content)
    os.rename(target + ".new", target)


class Limits(Tls):
    def test_connections(self):
        daemon = self.run_daemon("--max-connections", "3")
        ca = daemon.ca()
        clients = [Client(daemon.address(), ca) for _ in range(3)]
        for client in clients:
            self.addCleanup(client.close)
            self.assertEqual(client.get(PATH).status, 200)
        with self.assertRaises((ConnectionError, ssl.SSLError)):
            Client(daemon.address(), ca).get(PATH)
        self.assertEqual(daemon.wait_log("Connection turned away")["cap"],
                         "connections")
        self.assertEqual(clients[0].get(PATH).status, 200)

    def test_connections_of_one_address(self):
        daemon = self.run_daemon("--max-connections-per-address", "2")
        ca = daemon.ca()
        clients = [Client(daemon.address(), ca) for _ in range(2)]
        for client in clients:
            self.addCleanup(client.close)
            self.assertEqual(client.get(PATH).status, 200)
        with self.assertRaises((ConnectionError, ssl.SSLError)):
            Client(daemon.address(), ca).get(PATH)
        daemon.wait_log("connections from one address")

    def test_few_descriptors(self):
        """The soft limit is raised; a hard one that is too low is told, and
        kept to: the last client is turned away, not left hanging."""
        def limit(soft, hard):
            return ["prlimit", f"--nofile={soft}:{hard}"]
        folder = self.folder()
        daemon = self.wrapped(limit(64, 300), folder)
        line = daemon.wait_log("Fewer connections than --max-connections")
        self.assertEqual((line["connections"], line["descriptors"]),
                         ("22", "300"))
        daemon.stop()
        daemon = self.wrapped(limit(64, 20000), folder)
        daemon.address()
        self.assertNotIn("Fewer connections", daemon.log())
        with open(f"/proc/{daemon.process.pid}/limits",
                  encoding="ascii") as file:
            soft = next(line for line in file
                        if line.startswith("Max open files")).split()[3]
        self.assertEqual(int(soft), 4096 * 2 + 256)

    def wrapped(self, wrapper, folder):
        return self.start("--repository", self.fake.repository(),
                          "--plain-http", data=folder, wrapper=wrapper)

    def test_request_that_drips(self):
        """One byte now and then does not keep a connection, be it the first
        request or a later one."""
        daemon = self.run_daemon()
        client = Client(daemon.address(), daemon.ca())
        begun, ended = [time.monotonic()], {}
        socks = [client.raw()]
        begun.append(time.monotonic())
        socks.append(client.raw())
        socks[1].sendall(GET)
        read_response(socks[1])
        for sock in socks:
            sock.settimeout(0.5)

        def drip(sock, byte):
            """Whether it goes on."""
            try:
                sock.sendall(byte)
                return sock.recv(1000) != b""
            except socket.timeout:
                return True
            except (ssl.SSLError, ConnectionError):
                return False
        # It would go on for as long as a head may be.
        head = b"GET / HTTP/1.1\r\nX: " + b"x" * 2000
        deadline = time.monotonic() + patience(60)
        while len(ended) < 2 and time.monotonic() < deadline:
            byte, head = head[:1], head[1:]
            for number, sock in enumerate(socks):
                if number not in ended and not drip(sock, byte):
                    ended[number] = time.monotonic()
        self.assertEqual(len(ended), 2)
        for number, sock in enumerate(socks):
            self.assertGreater(ended[number] - begun[number], 9.5)
            sock.close()


class Wire(Tls):
    """What is broken below HTTP: no crash, nothing left behind."""

    def setUp(self):
        self.daemon = self.run_daemon()
        self.client = Client(self.daemon.address(), self.daemon.ca())
        self.addCleanup(self.client.close)
        self.assertEqual(self.client.get(PATH).body, FILE)
        self.descriptors = self.count()

    def count(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def tearDown(self):
        self.assertEqual(self.client.get(PATH).body, FILE)
        until(lambda: self.count() <= self.descriptors,
              "the descriptors to be closed", 30)

    def hello(self):
        """The bytes of a ClientHello."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.client.context.wrap_bio(incoming, outgoing,
                                           server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        return outgoing.read()

    def test_broken_hellos(self):
        hello = self.hello()
        whole = [hello[:3] + struct.pack(">H", 17000) + hello[5:],
                 hello[:5] + b"\x02" + hello[6:],
                 hello[:9] + b"\xff" * (len(hello) - 9),
                 b"\x17" + hello[1:],
                 b"\x80\x2e\x01\x00\x02" + b"\x00" * 41]
        for data in whole + [hello[:n] for n in (1, 4, 5, 6, 43, 100)]:
            sock = socket.create_connection(self.daemon.address(), 30)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            read_to_end(sock)
            sock.close()

    def test_truncated_and_altered_records(self):
        """Within a connection: half a record and the end, or a record whose
        bytes were touched; neither is a request."""
        for alter in (lambda data: data[:-5],
                      lambda data: data[:-1] + bytes([data[-1] ^ 1]),
                      lambda data: data[:5],
                      lambda data: b"\x16" + data[1:]):
            sock = socket.create_connection(self.daemon.address(), 30)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self.client.context.wrap_bio(incoming, outgoing,
                                               server_hostname="localhost")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            sock.sendall(outgoing.read())
            tls.write(GET)
            sock.sendall(alter(outgoing.read()))
            try:
                sock.shutdown(socket.SHUT_WR)
                incoming.write(read_to_end(sock))
            except OSError:
                pass  # it was thrown out already
            sock.close()
            got = b""
            try:
                while True:
                    data = tls.read()
                    if not data:
                        break
                    got += data
            except ssl.SSLError:
                pass
            self.assertEqual(got, b"")

    def test_renegotiation(self):
        done = proc.run(
            ["openssl", "s_client", "-connect",
             "%s:%d" % self.daemon.address(), "-tls1_2"],
            check=False, input=b"R\n")
        self.assertIn(b"no renegotiation", done.stdout + done.stderr)

    def test_sslscan(self):
        """No version, cipher or group that is weak."""
        done = proc.run(["sslscan", "--no-colour", "--xml=-",
                         "%s:%d" % self.daemon.address()], 120)
        test = xml.fromstring(done.stdout).find("ssltest")
        versions = {p.get("type") + p.get("version"): p.get("enabled")
                    for p in test.findall("protocol")}
        self.assertEqual(versions, {
            "ssl2": "0", "ssl3": "0", "tls1.0": "0", "tls1.1": "0",
            "tls1.2": "1", "tls1.3": "1"})
        ciphers = test.findall("cipher")
        self.assertGreater(len(ciphers), 4)
        for cipher in ciphers:
            self.assertRegex(cipher.get("cipher"),
                             r"^(TLS_|ECDHE-).*(GCM|POLY1305)")
        self.assertEqual({g.get("name") for g in test.findall("group")},
                         {"x25519", "secp256r1 (NIST P-256)",
                          "secp384r1 (NIST P-384)"})
        self.assertEqual(test.find("renegotiation").get("supported"), "0")
        self.assertEqual({h.get("vulnerable")
                          for h in test.findall("heartbleed")}, {"0"})


if __name__ == "__main__":
    unittest.main()
