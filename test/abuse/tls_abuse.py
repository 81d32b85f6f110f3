#!/usr/bin/env python3
"""What would take too long for `make check`: scanners, slow clients, thousands
of idle connections, floods. Afterwards nothing is left: descriptors, memory
and CPU are as they were.

    test/abuse/tls_abuse.py PROGRAM [TEST…]
"""
import json
import os
import resource
import socket
import ssl
import statistics
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "integration"))

import tls_test  # noqa: E402
from lib import artifact, proc, tree  # noqa: E402
from lib.client import Client, read_to_end  # noqa: E402
from lib.wait import until  # noqa: E402

IDLE = 4096
PER_ADDRESS = 500
SMALL = tree.binary("small", 4096)
LARGE = tree.binary("large", 32 << 20)
GET = b"GET /small.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
# What testssl.sh finds and is no fault of TLS: of its own OpenSSL, of a CA that
# publishes no revocations, and of a header that is for browsers.
NO_FAULT = {"engine_problem", "cert_revocation", "HSTS"}


def half_close(sock):
    """End what is sent, below TLS; SSLSocket's own method gives TLS up."""
    socket.socket.shutdown(sock, socket.SHUT_WR)


class Abuse(tls_test.Tls):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fake.push("4.5.15", artifact.tgz({
            tls_test.PATH[1:]: tls_test.FILE, "small.bin": SMALL,
            "large.bin": LARGE}))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def served(self, *flags):
        daemon = self.run_daemon(*flags)
        client = Client(daemon.address(), daemon.ca())
        self.addCleanup(client.close)
        self.assertEqual(client.get("/small.bin").body, SMALL)
        return daemon, client

    # What a process holds

    def descriptors(self, daemon):
        return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))

    def resident_kib(self, daemon):
        with open(f"/proc/{daemon.process.pid}/status",
                  encoding="ascii") as file:
            return int(next(line for line in file if
                            line.startswith("RssAnon")).split()[1])

    def check_rest(self, daemon, client, descriptors, kib):
        """As before: it serves, holds no descriptor and little memory more,
        and does nothing."""
        self.assertEqual(client.get("/small.bin").body, SMALL)
        until(lambda: self.descriptors(daemon) <= descriptors,
              "descriptors to be closed", 60,
              lambda: f"{self.descriptors(daemon)} for {descriptors}")
        until(lambda: self.resident_kib(daemon) < kib + (8 << 10),
              "memory to be given back", 30,
              lambda: f"{self.resident_kib(daemon)} KiB for {kib}")
        self.check_idle(daemon)

    def check_idle(self, daemon, seconds=2):
        before = daemon.cpu_seconds()
        time.sleep(seconds)  # a length of time is what is measured
        self.assertLess(daemon.cpu_seconds() - before, seconds * 0.05)

    def connect(self, daemon, context, source):
        sock = socket.socket()
        sock.settimeout(60)
        sock.bind((source, 0))
        sock.connect(daemon.address())
        return context.wrap_socket(sock, server_hostname="localhost")


class Scanners(Abuse):
    def test_testssl(self):
        """Nothing that testssl.sh finds is low or worse."""
        daemon, _ = self.served()
        report = os.path.join(self.folder(), "report.json")
        proc.run(["testssl", "--quiet", "--color", "0", "--warnings", "batch",
                  "--nodns", "none", "--ip", "127.0.0.1", "--add-ca",
                  daemon.ca(), "--jsonfile", report,
                  "localhost:%d" % daemon.address()[1]], 900, check=False)
        with open(report, encoding="utf-8") as file:
            findings = json.load(file)
        self.assertGreater(len(findings), 80)
        ids = {f["id"]: f for f in findings}
        for name in ("heartbleed", "CCS", "ticketbleed", "ROBOT",
                     "secure_client_renego", "CRIME_TLS", "POODLE_SSL",
                     "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST",
                     "LUCKY13", "RC4"):
            self.assertEqual(ids[name]["severity"], "OK", ids[name])
        bad = [f for f in findings if f["id"].split(" ")[0] not in NO_FAULT
               and f["severity"] not in ("OK", "INFO")]
        self.assertEqual(bad, [])


class Slow(Abuse):
    def attack(self, *options):
        """slowhttptest for ten seconds; others are served meanwhile."""
        daemon, client = self.served("--max-connections-per-address", "900")
        descriptors = self.descriptors(daemon)
        kib = self.resident_kib(daemon)
        stop, times, failed = threading.Event(), [], []

        def ask():
            while not stop.is_set():
                start = time.monotonic()
                try:
                    if client.get("/small.bin").body != SMALL:
                        raise AssertionError("another body")
                except Exception as error:  # whatever it is, it is a loss
                    failed.append(repr(error))
                    return
                times.append(time.monotonic() - start)
                stop.wait(0.01)
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            done = proc.run(
                ["slowhttptest", *options, "-c", "800", "-r", "400", "-l",
                 "15", "-p", "3", "-u",
                 "https://localhost:%d/large.bin" % daemon.address()[1]], 120,
                check=False)
        finally:
            stop.set()
            thread.join()
        self.assertIn(b"Exit status", done.stdout)
        self.assertEqual(failed, [])
        self.assertGreater(len(times), 50)
        self.assertLess(statistics.median(times), 0.5)
        self.assertLess(max(times), 10)
        self.check_rest(daemon, client, descriptors, kib)

    def test_slow_headers(self):
        self.attack("-H", "-i", "5")

    def test_slow_read(self):
        self.attack("-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32")

    def test_ranges(self):
        self.attack("-R", "-a", "10", "-b", "3000")


class Many(Abuse):
    def test_idle_connections(self):
        """Thousands of idle connections cost no time, and hardly slow down
        those that work: p99 beside them is at most three times that of a
        server without them, measured in turns."""
        busy, _ = self.served()
        calm, _ = self.served()
        descriptors = self.descriptors(busy)
        kib = self.resident_kib(busy)
        ca = busy.ca()
        context = ssl.create_default_context(cafile=ca)
        socks = []
        for i in range(IDLE - 8):
            sock = self.connect(busy, context,
                                f"127.0.1.{1 + i // PER_ADDRESS}")
            sock.sendall(GET)
            socks.append(sock)
        for sock in socks:
            self.assertTrue(sock.recv(65536).startswith(b"HTTP/1.1 200"))
        self.check_idle(busy)
        print("  resident with %d connections: %d KiB a connection" % (
            len(socks), (self.resident_kib(busy) - kib) / len(socks)))
        p99 = {busy: [], calm: []}
        for _ in range(15):
            for daemon in p99:
                p99[daemon].append(self.p99(daemon))
        ratio = statistics.median(p99[busy]) / statistics.median(p99[calm])
        print("  p99 beside them to p99 without: %.2f" % ratio)
        self.assertLess(ratio, 3)
        for sock in socks:
            sock.close()
        client = Client(busy.address(), ca)
        self.addCleanup(client.close)
        self.assertEqual(client.get("/small.bin").status, 200)
        until(lambda: self.descriptors(busy) <= descriptors + 3,
              "descriptors to be closed", 60)
        self.check_idle(busy)

    def p99(self, daemon):
        client = Client(daemon.address(), daemon.ca())
        times = []
        for _ in range(300):
            start = time.monotonic()
            self.assertEqual(client.get("/small.bin").status, 200)
            times.append(time.monotonic() - start)
        client.close()
        return sorted(times)[296]

    def test_flood(self):
        """Far more connections than the caps allow, from many addresses, with
        and without a handshake: those over it are turned away, who is inside
        is served, and all is as before when they are gone."""
        daemon, client = self.served("--max-connections", "1000",
                                     "--max-connections-per-address", "100")
        descriptors = self.descriptors(daemon)
        kib = self.resident_kib(daemon)
        for hello in (b"", b"\x16\x03\x01\x02\x00\x01\x00"):
            socks = []
            for i in range(5000):
                sock = socket.socket()
                sock.bind((f"127.0.2.{1 + i % 50}", 0))
                sock.connect(daemon.address())
                try:
                    sock.send(hello)
                except OSError:
                    pass  # turned away
                socks.append(sock)
            self.assertEqual(client.get("/small.bin").body, SMALL)
            self.assertLessEqual(self.descriptors(daemon),
                                 descriptors + 3 * 1000 + 16)
            for sock in socks:
                sock.close()
            until(lambda: self.descriptors(daemon) <= descriptors,
                  "descriptors to be closed", 60)
        daemon.wait_log("Connection turned away")
        # One line for each cap, not one for each connection.
        self.assertLess(daemon.log().count("Connection turned away"), 10)
        self.check_rest(daemon, client, descriptors, kib)

    def test_broken_off(self):
        """Clients that go at any moment of a large answer, in any way."""
        daemon, client = self.served()
        # It is in the cache from here on, which is not to be given back.
        self.assertTrue(client.get("/large.bin").body == LARGE)
        descriptors = self.descriptors(daemon)
        kib = self.resident_kib(daemon)
        context = ssl.create_default_context(cafile=daemon.ca())
        request = GET.replace(b"small", b"large")
        for i in range(600):
            sock = self.connect(daemon, context, "127.0.3.1")
            sock.sendall(request)
            if i % 3:
                sock.recv(i * 50 + 1)
            if i % 4 == 0:  # a reset
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                b"\x01\0\0\0\0\0\0\0")
            elif i % 4 == 1:
                half_close(sock)
            sock.close()
        whole = self.connect(daemon, context, "127.0.3.2")
        whole.sendall(request.replace(b"\r\n\r\n",
                                      b"\r\nConnection: close\r\n\r\n"))
        half_close(whole)  # it is answered nevertheless
        self.assertTrue(read_to_end(whole).endswith(LARGE[-1000:]))
        whole.close()
        self.check_rest(daemon, client, descriptors, kib)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    os.environ["SPECMAN"] = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
