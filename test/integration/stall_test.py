"""Clients that connect and then do nothing: they cost no CPU time, and the
others are served as ever."""
import socket
import ssl
import time
import unittest

from lib import artifact
from lib.case import Case
from lib.faulty import FakeRegistry
from lib.prometheus import figures
from lib.wait import until

# On a machine that is too busy for the first number the server hangs up on some
# before it is done with them all.
CLIENTS = (100, 50, 25, 10)
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
            until(quiet, "the daemon to settle", 0.4)
        except AssertionError:
            pass

    def open(self):
        return figures(self.daemon).sum("specman_connections_open")

    def share(self, stall, clients, are_kept):
        """What part of a core so many clients take; None when they are not all
        there, or not all gone, at the end of the measurement."""
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()
        self.other.close()
        until(lambda: self.open() == 0, "the connections to end", 60)
        for _ in range(clients):
            stall()
        self.settle()
        begun, used = time.monotonic(), self.daemon.cpu_seconds()
        time.sleep(SECONDS)  # the length of the measurement
        used = self.daemon.cpu_seconds() - used
        share = used / (time.monotonic() - begun)
        return share if self.open() == are_kept * clients else None

    def check_idle(self, stall, are_kept=True):
        shares = []
        for clients in CLIENTS:
            shares.append(self.share(stall, clients, are_kept))
            if shares[-1] is not None and shares[-1] < SHARE:
                break
        else:
            self.fail(f"shares of a core: {shares}")
        fresh = self.client(self.daemon)
        for client in (self.other, fresh):
            self.assertEqual(client.get("/a.yaml").body, b"a\n")

    def test_before_the_client_hello(self):
        self.check_idle(self.connect)

    def test_in_the_client_hello(self):
        hello = client_hello(self.other.context)
        self.check_idle(lambda: self.connect().sendall(
            hello[:len(hello) // 2]))

    def test_after_the_client_hello(self):
        hello = client_hello(self.other.context)
        self.check_idle(lambda: self.connect().sendall(hello))

    def greet(self, data=b""):
        sock = self.other.raw()
        self.sockets.append(sock)
        if data:
            sock.sendall(data)
        return sock

    def test_after_the_handshake(self):
        self.check_idle(self.greet)

    def test_in_a_request(self):
        self.check_idle(lambda: self.greet(
            b"GET /a.yaml HTTP/1.1\r\nHost: local"))

    def test_between_requests(self):
        self.check_idle(lambda: self.assertTrue(self.greet(
            b"GET /a.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n").recv(10)))

    def test_that_hung_up(self):
        """Half a handshake, then the client's side is closed: so is the other
        long before the time for a handshake is over."""
        hello = client_hello(self.other.context)

        def hang_up():
            sock = self.connect()
            sock.sendall(hello[:100])
            sock.shutdown(socket.SHUT_WR)
        self.check_idle(hang_up, are_kept=False)


if __name__ == "__main__":
    unittest.main()
