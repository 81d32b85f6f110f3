"""The log, byte by byte as logrus writes it: the same records go through
daemon/log.c (test/golden/log_driver.c) and through logrus itself
(test/golden/logrus); what a daemon logs is printed anew by logrus; and errors
that come again and again are thinned."""
import calendar
import json
import os
import random
import re
import threading
import time
import unittest

from lib import artifact, proc
from lib.case import Case
from lib.daemon import call, program
from lib.faulty import FakeRegistry
from lib.registry import PATH
from lib.secret import Secret
from lib.stage import closed_port
from lib.wait import until
from lib.wire import Wire

HERE = os.path.dirname(os.path.abspath(__file__))
LOGRUS = os.path.join(HERE, os.pardir, "golden", "logrus")
AT = 1733488994  # 2024-12-06T12:43:14Z
LEVELS = ["debug", "info", "warning", "error"]

SIX = [
    ("Syncing with OCI repo", {}),
    ("tags[4.5.13 4.5.15 0.0.0]", {}),
    ("Downloading 0.0.0", {"digest": "sha256:" + "ab" * 32, "bytes": "4096"}),
    ("listing dir /var/lib/specman", {}),
    ("filename: manifests.tgz, isDir: false", {}),
    ("Persisting 0.0.0", {"files": "12", "duration": "1.25s"}),
]
GUIDE = '''\
time="2024-12-06T12:43:14Z" level=info msg="Syncing with OCI repo"
time="2024-12-06T12:43:14Z" level=info msg="tags[4.5.13 4.5.15 0.0.0]"
time="2024-12-06T12:43:14Z" level=info msg="Downloading 0.0.0"
time="2024-12-06T12:43:14Z" level=info msg="listing dir /var/lib/specman"
time="2024-12-06T12:43:14Z" level=info msg="filename: manifests.tgz, isDir: false"
time="2024-12-06T12:43:14Z" level=info msg="Persisting 0.0.0"
'''
VALUES = [
    "", "4.5.13", "a-b_c/d@e^f+g", "a b", "tags[a b]", 'say "x"', "back\\slash",
    "a:1", "a=b", "a,b", "a;b", "#", "~", "%s%n", "'", "`", "{}", "<a&b>",
    "\a\b\f\n\r\t\v", "\x00".replace("\x00", "\x01"), "\x1b[31m", "\x1f", "\x7f",
    "ä", "日本語", "🚀", "👩\u200d💻", "\u0080", "\u0085", "\u009f", "\u00a0",
    "\u00ad", "\u061c", "\u200b", "\u200e", "\u2028", "\u2029", "\u202e",
    "\u3000", "\ue000", "\uf8ff", "\ufeff", "\ufffd", "\uffff", "\U0001f9ff",
    "\U0001fae0", "\U000e0001", "\U000e0100", "\U000f0000", "\U0010ffff",
    b"\xff", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xf0\x9f\x9a", b"\xed\xa0\x80",
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"\x80\xbf", b"ok\xfe\xffok", b"\xf0\x28\x8c\xbc", "x" * 20000,
]
KEYS = ["a", "b", "tag", "Tag", "tags", "error", "func", "file", "zz", "a.b",
        "msg", "level", "time", "logrus_error", "fields", "lev", "m", "n"]


def record(form, message, fields, level=1, at=AT):
    def word(value):
        value = value if isinstance(value, bytes) else value.encode()
        return "x" + value.hex()
    return " ".join([form, str(level), str(at), word(message),
                     *(word(part) for pair in fields.items()
                       for part in pair)]) + "\n"


def noise(random_):
    """A string in which anything may stand but NUL."""
    parts = []
    for _ in range(random_.randrange(12)):
        kind = random_.randrange(7)
        if kind == 0:
            parts.append(bytes(random_.randrange(1, 256) for _ in range(
                random_.randrange(1, 9))))
        elif kind == 1:
            parts.append(bytes([random_.randrange(1, 32)]))
        elif kind == 2:
            parts.append(random_.choice(VALUES[:-1]))
        elif kind == 3:
            parts.append("".join(random_.choices(
                "abcXYZ019-._/@^+ \"\\<>&:=", k=8)))
        else:
            parts.append(chr(random_.choice([
                random_.randrange(0x80, 0xd800), random_.randrange(0x80, 0x800),
                random_.randrange(0xe000, 0x110000),
                random_.randrange(0x10000, 0x20000)])))
    return b"".join(p if isinstance(p, bytes) else p.encode() for p in parts)


def unquoted(line):
    """The fields of a line of text, as bytes: what %q has made is undone."""
    escape = re.compile(rb'\\(?:x(..)|u(....)|U(.{8})|(.))')
    named = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r",
             b"t": b"\t", b"v": b"\v"}

    def plain(found):
        byte, four, eight, one = found.groups()
        if byte:
            return bytes([int(byte, 16)])
        return named.get(one, one) if one else \
            chr(int(four or eight, 16)).encode()
    fields = {}
    for name, value in re.findall(
            rb'([\w.-]+)=("(?:[^"\\]|\\.)*"|\S*)', line):
        if value.startswith(b'"'):
            value = escape.sub(plain, value[1:-1])
        fields[name.decode()] = value
    for name in ("time", "level"):
        fields[name] = fields[name].decode()
    return fields


class Compared(Case):
    @classmethod
    def setUpClass(cls):
        folder = cls.class_folder()
        cls.logrus = os.path.join(folder, "logrus")
        proc.run(["go", "build", "-o", cls.logrus, "."], 240, cwd=LOGRUS, env={
            "PATH": os.environ["PATH"], "HOME": folder, "GO111MODULE": "off",
            "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOPROXY": "off",
            "GOCACHE": os.path.join(folder, "cache"), "CGO_ENABLED": "0"})
        cls.driver = os.path.join(os.path.dirname(program()), "test", "golden",
                                  "log_driver")

    def lines(self, tool, records):
        done = proc.run([tool], 120, input="".join(records).encode())
        lines = done.stdout.split(b"\n")
        self.assertEqual(lines.pop(), b"")
        self.assertEqual(len(lines), len(records))
        return lines

    def compare(self, records):
        """Both print the same."""
        for one, ours, theirs in zip(records, self.lines(self.driver, records),
                                     self.lines(self.logrus, records)):
            self.assertEqual(ours, theirs, one[:2000])


class Golden(Compared):
    """Records made up here."""

    def test_the_six_messages(self):
        self.compare([record(form, message, fields) for message, fields in SIX
                      for form in ("text", "json")])
        lines = self.lines(self.driver, [record("text", message, {})
                                         for message, _ in SIX])
        self.assertEqual(b"\n".join(lines).decode() + "\n", GUIDE)

    def test_levels_and_times(self):
        times = [0, 1, 951782400, 1709164800, AT, 2147483647, 4102444799]
        self.compare([record(form, "m", {}, level, at) for at in times
                      for level in range(4) for form in ("text", "json")])

    def test_each_value_as_message_and_as_field(self):
        self.compare([record(form, message, fields) for value in VALUES
                      for message, fields in ((value, {}), ("m", {"k": value}))
                      for form in ("text", "json")])

    def test_keys_are_sorted_and_kept_apart_from_those_of_the_line(self):
        shuffled = random.Random(6)
        sets = [dict.fromkeys(shuffled.sample(KEYS, size), "v")
                for size in range(len(KEYS) + 1) for _ in range(5)]
        self.compare([record(form, "m", fields) for fields in sets
                      for form in ("text", "json")])

    def test_thousands_of_random_strings(self):
        seed = int(os.environ.get("LOG_SEED", time.time_ns() % 10 ** 9))
        print(f"LOG_SEED={seed}")
        source = random.Random(seed)
        self.compare([record(source.choice(["text", "json"]), noise(source), {
            "k": noise(source), "l": noise(source)}) for _ in range(6000)])

    def test_every_character_of_unicode(self):
        """What is printed as it is and what isn't, by Go's own table."""
        records = []
        for start in range(0, 0x110000, 512):
            text = "".join(chr(c) for c in range(start, start + 512)
                           if c and not 0xd800 <= c < 0xe000)
            records += [record(form, "m", {"k": text})
                        for form in ("text", "json")]
        self.compare(records)


class Daemon(Compared):
    """What a daemon has written, printed anew by logrus, is the same."""

    def logged(self, *flags):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("0.0.0", artifact.tgz({"a": b"a"}))
        fake.push("4.5.13", b"this is no archive")
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--access-log", "--log-level", "debug",
                            "--repository", fake.repository(), *flags)
        for message in ("Published", "Release refused"):
            until(lambda m=message: [r for r in daemon.records()
                                     if r["msg"] == m], message, 30, daemon.tail)
        wire = Wire(self.client(daemon).raw())
        wire.send(b"GET /<a>&%20\"' HTTP/1.1\r\nHost: h\r\n"
                  b"User-Agent: \xe4 <&> \xe2\x80\xa8 \xf0\x9f\x9a\x80 \\\r\n"
                  b"Connection: close\r\n\r\n")
        wire.rest()
        wire.close()
        daemon.stop()
        with open(daemon.log_path, "rb") as file:
            lines = file.read().split(b"\n")
        self.assertEqual(lines.pop(), b"")
        return lines

    def anew(self, form, lines, read):
        records = []
        for line in lines:
            fields = read(line)
            at = calendar.timegm(time.strptime(fields.pop("time"),
                                               "%Y-%m-%dT%H:%M:%SZ"))
            records.append(record(form, fields.pop("msg"), fields,
                                  LEVELS.index(fields.pop("level")), at))
        self.assertEqual(self.lines(self.logrus, records), lines)

    def test_text(self):
        lines = self.logged()
        self.anew("text", lines, unquoted)
        self.assertIn(rb'agent="\xe4 <&> \u2028 ' + "🚀".encode(),
                      b"\n".join(lines))
        told = b"\n".join(unquoted(line)["msg"] for line in lines).decode()
        self.assertRegex(told, (
            r"(?s)Syncing with OCI repo\ntags\[[045. 13]+\]\n"
            r".*Downloading 0\.0\.0\n.*listing dir [^\n]+\n"
            r".*filename: manifests\.tgz, isDir: false\n.*Persisting 0\.0\.0\n"))

    def test_json(self):
        lines = self.logged("--log-format=json")
        self.anew("json", [line for line in lines if rb"\ufffd" not in line],
                  json.loads)
        self.assertIn(rb'"agent":"\ufffd \u003c\u0026\u003e \u2028 '
                      + "🚀".encode(), b"\n".join(lines))
        for line in lines:
            fields = json.loads(line)
            self.assertLessEqual({"time", "level", "msg"}, set(fields), line)
            self.assertEqual(set(map(type, fields.values())), {str}, line)


class Levels(Case):
    def test_what_is_below_the_level_is_not_written(self):
        for number, level in enumerate(LEVELS):
            fake = FakeRegistry()
            self.addCleanup(fake.stop)
            daemon = self.start(
                "--plain-http", "--repository", fake.repository(),
                "--poll-interval", "1h", env={"SPECMAN_LOG_LEVEL": level})
            until(lambda fake=fake: fake.requests, "a request")
            daemon.stop()
            seen = {r["level"] for r in daemon.records()}
            self.assertFalse(seen & set(LEVELS[:number]), seen)
            if number < 3:  # --plain-http is warned of
                self.assertIn("warning", seen)


class Thinning(Case):
    """An error of each poll: told at first, and when it is over."""

    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)

    def test_registry_that_is_down_for_some_polls(self):
        port = closed_port()
        flags = ["--plain-http", "--registry-retries", "0", "--repository",
                 f"127.0.0.1:{port}/{PATH}"]
        daemon = self.start(*flags, "--poll-interval", "100ms")
        daemon.wait_log('msg="Sync failed"')
        self.poll(daemon, 1)
        self.assertEqual(self.told(daemon), ["Sync failed"], daemon.log())
        fake = FakeRegistry(port=port)
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        daemon.wait_log("msg=Published")
        self.poll(daemon, 0)
        self.assertEqual(self.told(daemon),
                         ["Sync failed", "The registry answers again"])
        mark = daemon.mark()
        fake.on("GET", "/tags/list", lambda request: request.reply(500))
        daemon.wait_log('msg="Sync failed".* 500 ', mark)
        self.poll(daemon, 1)
        self.assertEqual(self.told(daemon), [
            "Sync failed", "The registry answers again", "Sync failed"])

    def launch(self, *flags):
        """A daemon that polls when it is told to."""
        return self.start(
            "--plain-http", "--registry-retries", "0", "--poll-interval", "1h",
            *flags)

    def named(self):
        return "--repository", self.fake.repository()

    def lines(self, daemon, *messages):
        """(message, tag or None) of those lines, in order."""
        return [(r["msg"], r.get("tag")) for r in daemon.records()
                if r["msg"] in messages]

    def test_tag_that_fails_for_some_polls(self):
        """What it fails with is told once, and that it is over; then it is
        something new."""
        failed, over = "Tag not resolved", "Trouble with a tag is over"
        self.fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        daemon = self.launch(*self.named())
        daemon.wait_log('msg="Sync done"')
        story = []
        for _ in range(2):
            broken = threading.Event()
            broken.set()

            def fail(request, broken=broken):
                if broken.is_set():
                    request.reply(500)
                return broken.is_set()
            for method in ("HEAD", "GET"):
                self.fake.on(method, "/manifests/1.0.0", fail)
            self.poll(daemon, 1)
            story.append((failed, "1.0.0"))
            self.assertEqual(self.lines(daemon, failed, over), story)
            broken.clear()
            self.poll(daemon, 0)
            story.append((over, "1.0.0"))
            self.assertEqual(self.lines(daemon, failed, over), story)

    def test_release_that_stays_refused(self):
        """Who asks for a round is told why each time; the log tells once."""
        self.fake.push("1.0.0", b"no archive")
        daemon = self.launch(*self.named())
        first = daemon.wait_log('msg="Release refused"')
        for _ in range(2):
            done = call("sync", "--data-dir", daemon.data, check=False)
            self.assertIn(first["error"][:60], done.stderr.decode())
        del self.fake.repositories[PATH].tags["1.0.0"]
        daemon.poll_now()
        daemon.wait_log('msg="Trouble with a tag is over" tag=1.0.0')
        self.assertEqual(
            self.lines(daemon, "Release refused", "Trouble with a tag is over"),
            [("Release refused", "1.0.0"),
             ("Trouble with a tag is over", "1.0.0")])

    def test_two_tags_that_are_kept(self):
        """Neither makes the other news."""
        kept = "Release kept although its tag is gone"
        for tag in ("1.0.0", "2.0.0", "3.0.0"):
            self.fake.push(tag, artifact.tgz({tag: b"a"}))
        daemon = self.launch("--prune", *self.named())
        daemon.wait_log('msg="Sync done"')
        for tag in ("2.0.0", "3.0.0"):
            del self.fake.repositories[PATH].tags[tag]
        self.poll(daemon, 0)
        self.assertEqual(self.lines(daemon, kept),
                         [(kept, "2.0.0"), (kept, "3.0.0")])

    def test_mirrors_that_are_all_away(self):
        """That one is asked after the other, and all again, is told once."""
        ports = [closed_port(), closed_port()]
        daemon = self.launch(
            "--registry-retries", "1",
            "--repository", f"127.0.0.1:{ports[0]}/{PATH}",
            "--repository-mirror", f"127.0.0.1:{ports[1]}/{PATH}")
        daemon.wait_log('msg="Sync failed"')
        self.poll(daemon, 1)
        told = [r["msg"] for r in daemon.records()
                if r["msg"].startswith("Asking the")]
        self.assertEqual(sorted(told), sorted(set(told)), daemon.log())

    def test_mirror_that_differs_in_two_tags(self):
        """Each tag is told of."""
        differs = "A source differs from the one that is believed"
        mirror = FakeRegistry()
        self.addCleanup(mirror.stop)
        for tag in ("1.0.0", "2.0.0"):
            self.fake.push(tag, artifact.tgz({tag: b"a"}))
            mirror.push(tag, artifact.tgz({tag: b"another"}))
        daemon = self.launch(*self.named(), "--repository-mirror",
                             mirror.repository())
        daemon.wait_log('msg="Sync done"')
        self.assertEqual(
            sorted(r["subject"] for r in daemon.records()
                   if r["msg"] == differs), ["1.0.0", "2.0.0"], daemon.log())

    def test_secret_that_is_changed_and_still_wrong(self):
        """Who corrects the password learns that it did not help."""
        self.fake.on("GET", "/tags/list", lambda request: request.reply(
            401, headers=[("WWW-Authenticate", 'Basic realm="x"')]))
        folder = os.path.join(self.folder(), "secret")
        keys = {"endpoint": self.fake.repository().split("/")[0],
                "baseContentPath": "spectro-packs", "username": "user"}
        secret = Secret(folder, **keys, password="wrong-0123456789")
        daemon = self.launch("--registry-secret-dir", folder)
        daemon.wait_log('msg="Sync failed"')
        self.poll(daemon, 1)
        self.assertEqual(self.told(daemon), ["Sync failed"], daemon.log())
        mark = daemon.mark()
        secret.put(**keys, password="wrong-too-123456")
        daemon.wait_log('msg="Sync failed"', mark)
        self.poll(daemon, 1)
        self.assertEqual(self.told(daemon), ["Sync failed"] * 2, daemon.log())
        # The same after one that was taken away meanwhile.
        mark = daemon.mark()
        secret.remove()
        daemon.wait_log('msg="Waiting for the registry secret"', mark)
        secret.put(**keys, password="wrong-too-123456")
        daemon.wait_log('msg="Sync failed"', mark)

    def poll(self, daemon, code):
        """Three rounds, besides those that the daemon goes by itself."""
        for _ in range(3):
            done = call("sync", "--data-dir", daemon.data, check=False)
            self.assertEqual(done.returncode, code, done.stderr)

    def told(self, daemon):
        return [r["msg"] for r in daemon.records() if r["msg"] in (
            "Sync failed", "The registry answers again")]


if __name__ == "__main__":
    unittest.main()
