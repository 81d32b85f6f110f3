"""Listings of folders that have more entries than are sorted, and of releases
by themselves."""
import ctypes
import json
import os
import struct
import threading
import unittest

from lib import artifact
from lib.case import Case
from lib.faulty import FakeRegistry
from lib.wait import until
from lib.wire import Wire, request

ENTRIES = 20001
FILES = {f"many/{number:05}.txt": b"" for number in range(ENTRIES)}


IN_OPEN, CLIENTS = 0x20, 30
_libc = ctypes.CDLL(None)


class Opened:
    """Counts how often a file is opened. The kernel makes one of equal events
    that nobody has read yet, so they are read as they come."""

    def __init__(self, path):
        self.count = 0
        self._fd = _libc.inotify_init1(os.O_CLOEXEC)
        if _libc.inotify_add_watch(self._fd, os.fsencode(path), IN_OPEN) < 0:
            raise OSError("inotify")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while data := os.read(self._fd, 65536):
            self.count += len(data) // struct.calcsize("iIII")


class Large(Case):
    @classmethod
    def setUpClass(cls):
        cls.layer = artifact.tgz(FILES)

    def setUp(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", self.layer)
        # What is served as a whole is not 1.0.0 by itself.
        fake.push("0.0.0", artifact.tgz({"other.txt": b""}))
        self.daemon = self.start("--plain-http", "--poll-interval", "1h",
                                 "--scrub-interval", "off", "--view-lease",
                                 "off", "--repository", fake.repository())
        self.daemon.wait_log('msg="Sync done"', seconds=120)
        self.http = self.client(self.daemon)

    def test_in_the_order_of_names(self):
        answer = self.http.get("/many/?sort=size&order=desc",
                               Accept="application/json")
        self.assertEqual([entry["name"] for entry in json.loads(answer.body)],
                         [path[5:] for path in FILES])

    def test_head(self):
        """As GET's it comes in chunks, of which HEAD has none."""
        wire = Wire(self.http.raw())
        self.addCleanup(wire.close)
        for accept in ("*/*", "application/json"):
            for target in ("/many/", "/many/?sort=size"):
                wire.send(request(target, "Accept: " + accept, method="HEAD")
                          + request("/many/00000.txt"))
                answer = wire.read("HEAD")
                self.assertEqual((answer.status, answer["Transfer-Encoding"],
                                  answer["Content-Length"]),
                                 (200, "chunked", None))
                self.assertEqual(wire.read().status, 200)
        wire.send(request("/many/", "Connection: close", method="HEAD"))
        self.assertEqual(wire.read("HEAD").status, 200)
        self.assertTrue(wire.closed())

    def test_one_release_for_many_at_once(self):
        """It is read once, and in memory once, for all who ask for it."""
        opened = Opened(os.path.join(self.daemon.data,
                                     "releases/1.0.0.mtree"))
        wires = [Wire(self.http.raw()) for _ in range(CLIENTS)]
        for wire in wires:
            self.addCleanup(wire.close)
        for wire in wires:
            wire.send(request("/.specman/releases/1.0.0/many/00000.txt"))
        self.assertEqual({wire.read().status for wire in wires}, {200})
        until(lambda: opened.count, "the release to be read")
        self.assertEqual(opened.count, 1)

    def test_head_for_an_older_client(self):
        wire = Wire(self.http.raw())
        self.addCleanup(wire.close)
        wire.send(request("/many/", method="HEAD", version="HTTP/1.0"))
        answer = wire.read("HEAD")
        self.assertEqual((answer.status, answer["Transfer-Encoding"]),
                         (200, None))
        self.assertTrue(answer.ends and wire.closed())


if __name__ == "__main__":
    unittest.main()
