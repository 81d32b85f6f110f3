"""What flags make of the served port: --no-listing, --access-log; and the
first minutes, before anything is there."""
import json
import os
import socket
import unittest

from lib import artifact
from lib.case import Case
from lib.daemon import call, parse
from lib.faulty import FakeRegistry
from lib.wait import scale, until
from lib.wire import Wire, request

FILES = {"a.yaml": b"a\n", "d/b.txt": b"b\n", "site/index.html": b"<p>\n"}
MANY = 30000


class Options(Case):
    def serve(self, *flags, files=None, tags=("1.0.0",)):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        for tag in tags:
            fake.push(tag, artifact.tgz(files or FILES))
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--repository", fake.repository(), *flags)
        daemon.wait_log('msg="Sync done"', seconds=60)
        return daemon

    def test_no_listing(self):
        client = self.client(self.serve("--no-listing"))
        for path in ("/", "/d/", "/.specman/releases/1.0.0/"):
            with self.subTest(path=path):
                answer = client.get(path)
                self.assertEqual((answer.status, answer.body),
                                 (403, b"folders are not listed\n"))
                answer = client.get(path, Accept="application/json")
                self.assertEqual(json.loads(answer.body)["error"]["code"],
                                 403)
        self.assertEqual(client.get("/site/").body, b"<p>\n")
        self.assertEqual(client.request("GET", "/d").status, 301)
        self.assertEqual(client.get("/.specman/releases").status, 200)

    def test_port_that_is_taken(self):
        """It does not start, and says which; nor does it stay half-started."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            for flag, other in (("--listen", "--admin-listen"),
                                ("--admin-listen", "--listen")):
                with self.subTest(flag=flag):
                    done = call(flag, address, other, "127.0.0.1:0",
                                "--data-dir", self.folder(), check=False)
                    self.assertEqual(done.returncode, 1)
                    last = parse(done.stderr.decode().rstrip().split("\n")[-1])
                    self.assertEqual(last["msg"], "specman can't start")
                    self.assertRegex(last["error"], f"listen on {address}: "
                                     "bind: Address already in use$")

    def test_release_that_can_not_be_read(self):
        """Asked for by itself, when its file is damaged behind the daemon's
        back: what is in memory is served on. (As the view is where it was the
        only one.)"""
        daemon = self.serve("--view-lease", "off", tags=("1.0.0", "2.0.0"))
        path = os.path.join(daemon.data, "releases", "1.0.0.mtree")
        with open(path, "rb") as file:
            whole = file.read()
        with open(path, "wb") as file:
            file.write(whole[:len(whole) // 2])
        client = self.client(daemon)
        answer = client.get("/.specman/releases/1.0.0/a.yaml")
        self.assertEqual(answer.status, 503)
        self.assertIn(b"the release can't be read now", answer.body)
        self.assertTrue(answer["Retry-After"])
        told = daemon.wait_log('level=warning msg="Release not shown by itself"')
        self.assertEqual(told["tag"], "1.0.0")
        self.assertEqual(client.get("/a.yaml").body, FILES["a.yaml"])
        with open(path, "wb") as file:
            file.write(whole)
        self.assertEqual(client.get("/.specman/releases/1.0.0/a.yaml").body,
                         FILES["a.yaml"])

    def test_access_log(self):
        daemon = self.serve("--access-log")
        client = self.client(daemon)
        mark = daemon.mark()
        client.get("/a.yaml?x=\"y\"", User_Agent="who else\x7e")
        client.head("/a.yaml")
        client.get("/none")
        client.get("/a.yaml", Range="bytes=0-0")
        # A line is written behind its answer, each worker's by itself.
        until(lambda: len(self.requests(daemon, mark)) == 4, "four lines")
        wire = Wire(client.raw())
        wire.send(b"GET /a.yaml HTTP/1.1\r\nX: \x1b\r\n\r\n")
        wire.rest()
        wire.close()
        until(lambda: len(self.requests(daemon, mark)) == 5, "five lines")
        wire = Wire(client.raw())
        wire.send(b"GET /a.yaml HTTP/1.1\r\nno colon\r\n\r\n")
        wire.rest()
        wire.close()
        until(lambda: len(self.requests(daemon, mark)) >= 6, "six lines")
        records = self.requests(daemon, mark)
        first = records[0]
        self.assertRegex(first["peer"], r"^127\.0\.0\.1:\d+$")
        self.assertRegex(first["seconds"], r"^\d+\.\d{6}$")
        self.assertEqual(
            {key: first[key] for key in ("method", "target", "status",
                                         "bytes", "release", "agent")},
            {"method": "GET", "target": "/a.yaml?x=\"y\"", "status": "200",
             "bytes": "2", "release": "1.0.0", "agent": "who else~"})
        self.assertEqual(
            [(r["method"], r["status"], r["bytes"]) for r in records[1:6]],
            [("HEAD", "200", "0"), ("GET", "404", "10"), ("GET", "206", "1"),
             ("GET", "400", "12"), ("-", "-", "0")])
        self.assertEqual(len({r["peer"] for r in records[:4]}), 1)
        mark = daemon.mark()
        listing = client.get("/")
        client.head("/")
        until(lambda: len(self.requests(daemon, mark)) == 2, "two lines")
        self.assertEqual([r["bytes"] for r in self.requests(daemon, mark)],
                         [str(len(listing.body)), "0"])

    def test_no_request_is_too_long_for_the_access_log(self):
        daemon = self.serve("--access-log")
        wire = Wire(self.client(daemon).raw())
        mark = daemon.mark()
        wire.send(b"GET /" + 20000 * b"\xff" + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(wire.read().status, 414)
        wire.close()
        until(lambda: self.requests(daemon, mark), "its line")
        record = self.requests(daemon, mark)[0]
        self.assertEqual(record["status"], "414")
        self.assertEqual(len(record["target"]), 1 + 20000 * len("\\xff"))

    def requests(self, daemon, mark):
        return [r for r in daemon.records(mark) if r["msg"] == "Request"]

    def test_no_access_log(self):
        daemon = self.serve()
        self.client(daemon).get("/a.yaml")
        self.assertEqual(self.requests(daemon, 0), [])

    def test_folder_of_many(self):
        """It is made as it is taken: whole, and small in memory."""
        daemon = self.serve(files={f"many/file-{n:05}.txt": b"x"
                                   for n in range(MANY)})
        client = self.client(daemon)
        answer = client.get("/many/", Accept="application/json")
        listed = json.loads(answer.body)
        self.assertEqual([entry["name"] for entry in listed],
                         [f"file-{n:05}.txt" for n in range(MANY)])
        page = client.get("/many/?sort=name&order=desc").body.decode()
        self.assertEqual(page.count("<tr><td>"), MANY + 1)
        self.assertTrue(page.endswith("</html>\n"))
        # One who takes none of it holds a block or two.
        wires = [Wire(client.raw(receive_buffer=4096)) for _ in range(20)]
        before = self.memory(daemon)
        for wire in wires:
            self.addCleanup(wire.close)
            wire.send(request("/many/"))
        client.get("/many/")
        self.assertLess(self.memory(daemon) - before, scale() * 40 * 1024)

    def memory(self, daemon):
        """Resident, in KiB."""
        with open(f"/proc/{daemon.process.pid}/status",
                  encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file
                        if line.startswith("VmRSS:"))

    def test_before_the_first_release(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        client = self.client(self.start("--plain-http", "--repository",
                                        fake.repository()))
        for path in ("/", "/a.yaml", "/.specman/releases", "/.specman/x",
                     "/d"):
            for accept, body in (
                    ("*/*", b"nothing to serve yet\n"),
                    ("application/json", b'{"error":{"code":503,"message":'
                     b'"nothing to serve yet"}}\n')):
                with self.subTest(path=path, accept=accept):
                    answer = client.get(path, Accept=accept)
                    self.assertEqual((answer.status, answer.body),
                                     (503, body))
                    self.assertEqual(answer["Retry-After"], "5")

    def test_gzip_form_that_is_damaged(self):
        """The file itself is given out."""
        daemon = self.serve(files={"t.yaml": b"key: value\n" * 500})
        client = self.client(daemon)
        for name in self.stored_objects(daemon.data):
            with _open(daemon.data, name, "rb") as file:
                if file.read(2) == b"\x1f\x8b":
                    twin = name
        with _open(daemon.data, twin, "rb") as file:
            os.fchmod(file.fileno(), 0o640)
        with _open(daemon.data, twin, "r+b") as file:
            file.seek(50)
            file.write(b"\0\0\0\0")
        answer = client.get("/t.yaml", Accept_Encoding="gzip")
        self.assertEqual(answer.status, 200)
        self.assertIsNone(answer["Content-Encoding"])
        self.assertEqual(answer["Vary"], "Accept-Encoding")
        self.assertEqual(answer.body, b"key: value\n" * 500)


def _open(data, name, mode):
    return open(os.path.join(data, "objects", name[:2], name[2:]), mode)


if __name__ == "__main__":
    unittest.main()
