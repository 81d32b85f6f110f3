"""Clients that connect and then do nothing: they cost no CPU time, and the
others are served as ever."""
import socket
import ssl
import time
import unittest

from lib import artifact
from lib.case import Case
from lib.faulty import FakeRegistry
from lib.wait import until

CLIENTS = 100
SECONDS = 3
SHARE = 0.05


def client_hello(context):
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing,
                         server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Stalled(Case):
    def setUp(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))
        self.daemon = self.start("--plain-http", "--poll-interval", "1h",
                                 "--repository", fake.repository())
        self.daemon.wait_log('msg="Sync done"')
        self.other = self.client(self.daemon)
        self.wait_body(self.other, "/a.yaml", b"a\n", self.daemon)
        self.sockets = []
        self.addCleanup(lambda: [s.close() for s in self.sockets])

    def connect(self):
        sock = socket.create_connection(self.daemon.address(), 30)
        self.sockets.append(sock)
        return sock

    def settle(self):
        """Waits until the daemon has taken in what was sent: it burns no
        more time, or it goes on burning it, which the measurement shows."""
        last = [self.daemon.cpu_seconds(), time.monotonic()]

        def quiet():
            now = self.daemon.cpu_seconds()
            if now != last[0]:
                last[:] = [now, time.monotonic()]
            return time.monotonic() - last[1] > 0.2
        try:
            until(quiet, "the daemon to settle", 1)
        except AssertionError:
            pass

    def check_idle(self):
        self.assertEqual(len(self.sockets), CLIENTS)
        self.settle()
        begun, used = time.monotonic(), self.daemon.cpu_seconds()
        time.sleep(SECONDS)  # the length of the measurement
        used = self.daemon.cpu_seconds() - used
        share = used / (time.monotonic() - begun)
        self.assertLess(share, SHARE, f"{100 * share:.1f} % of a core")
        fresh = self.client(self.daemon)
        for client in (self.other, fresh):
            self.assertEqual(client.get("/a.yaml").body, b"a\n")

    def test_before_the_client_hello(self):
        for _ in range(CLIENTS):
            self.connect()
        self.check_idle()

    def test_in_the_client_hello(self):
        hello = client_hello(self.other.context)
        for _ in range(CLIENTS):
            self.connect().sendall(hello[:len(hello) // 2])
        self.check_idle()

    def test_after_the_client_hello(self):
        hello = client_hello(self.other.context)
        for _ in range(CLIENTS):
            self.connect().sendall(hello)
        self.check_idle()

    def test_after_the_handshake(self):
        for _ in range(CLIENTS):
            self.sockets.append(self.other.raw())
        self.check_idle()

    def test_in_a_request(self):
        for _ in range(CLIENTS):
            sock = self.other.raw()
            self.sockets.append(sock)
            sock.sendall(b"GET /a.yaml HTTP/1.1\r\nHost: local")
        self.check_idle()

    def test_between_requests(self):
        for _ in range(CLIENTS):
            sock = self.other.raw()
            self.sockets.append(sock)
            sock.sendall(b"GET /a.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(sock.recv(10))
        self.check_idle()

    def test_that_hung_up(self):
        """Half a handshake, then the client's side is closed."""
        hello = client_hello(self.other.context)
        for _ in range(CLIENTS):
            sock = self.connect()
            sock.sendall(hello[:100])
            sock.shutdown(socket.SHUT_WR)
        self.check_idle()


if __name__ == "__main__":
    unittest.main()
