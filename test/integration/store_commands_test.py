"""ls, cat, verify, export, history, gc: what they say, and beside a daemon."""
import fcntl
import io
import os
import re
import shutil
import signal
import stat
import tarfile
import threading
import unittest

from lib import artifact, fault, proc, tree
from lib.case import Case
from lib.daemon import REPORT, Specman, call, environment, program
from lib.faulty import FakeRegistry
from lib.wait import patience, until

BASE = {"roar/v.yaml": b"base\n", "roar/base.yaml": b"only in the base\n",
        "x/y": b"below\n"}
BIG = tree.binary("big", 3 << 20)
NEWEST = {
    "roar/v.yaml": b"newest\n",
    "big.bin": BIG,
    "empty": b"",
    "odd/with space": b"space\n",
    "odd/gr\u00fc\u00dfe-\u65e5\u672c.txt": b"unicode\n",
    "odd/q'\"\\*?[#=%.txt": b"marks\n",
    "odd/" + "long-" * 40: b"long\n",
    "deep/" + "/".join("folder%02d" % n for n in range(40)) + "/f": b"deep\n",
}
MTIME = 1733488994


def objects(data, content):
    name = artifact.digest(content).split(":")[1]
    return os.path.join(data, "objects", name[:2], name[2:])


def flip(path):
    os.chmod(path, 0o640)
    with open(path, "r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))


class Commands(Case):
    def command(self, code, *arguments, data=None):
        """Runs a command; its output, and what it says on standard error."""
        done = call(arguments[0], "--data-dir", data or self.data,
                    *arguments[1:], check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout, done.stderr.decode()


class BesideADaemon(Commands):
    """One daemon serves two releases; the commands only read."""

    @classmethod
    def setUpClass(cls):
        cls.fake = FakeRegistry()
        cls.addClassCleanup(cls.fake.stop)
        cls.layer = artifact.tgz(NEWEST)
        cls.digests = {"0.0.0": cls.fake.push("0.0.0", artifact.tgz(BASE)),
                       "4.5.15": cls.fake.push("4.5.15", cls.layer)}
        folder = cls.class_folder()
        cls.data = os.path.join(folder, "data")
        os.mkdir(cls.data)
        cls.daemon = Specman(
            "--plain-http", "--repository", cls.fake.repository(),
            "--poll-interval", "1h", "--log-level", "debug", data=cls.data,
            log=os.path.join(folder, "stderr.log"))
        cls.addClassCleanup(cls.daemon.finish)
        cls.daemon.wait_log('msg="Sync done"')

    def test_ls_releases(self):
        out, _ = self.command(0, "ls")
        rows = [line.split() for line in out.decode().splitlines()]
        self.assertEqual(rows[0],
                         ["TAG", "CREATED", "FILES", "BYTES", "MANIFEST"])
        self.assertEqual([row[0] for row in rows[1:]], ["0.0.0", "4.5.15"])
        self.assertRegex(rows[2][1], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(rows[2][2:], [
            str(len(NEWEST)), str(sum(map(len, NEWEST.values()))),
            self.digests["4.5.15"]])

    def names(self, out):
        return [line.split(" ", 3)[-1] for line in
                re.sub(" +", " ", out.decode()).splitlines()]

    def test_ls_files_of_a_release(self):
        out, _ = self.command(0, "ls", "4.5.15")
        self.assertEqual(self.names(out),
                         ["big.bin", "deep/", "empty", "odd/", "roar/"])
        self.assertIn(f"-rw-r--r--       {len(BIG)} 2024-12-06T12:43:14Z "
                      "big.bin\n", out.decode())
        self.assertRegex(out.decode(), r"(?m)^drwxr-xr-x +0 \S+ deep/$")
        for path in ("odd", "/odd/"):
            out, _ = self.command(0, "ls", "4.5.15", path)
            self.assertEqual(self.names(out), sorted(
                name.removeprefix("odd/") for name in NEWEST
                if name.startswith("odd/")))
        out, _ = self.command(0, "ls", "4.5.15", "roar/v.yaml")
        self.assertEqual(self.names(out), ["v.yaml"])

    def test_ls_what_is_served(self):
        out, _ = self.command(0, "ls", "/roar")
        rows = [line.split()[-2:] for line in out.decode().splitlines()]
        self.assertEqual(rows, [["0.0.0", "base.yaml"],
                                ["4.5.15", "v.yaml"]])
        out, _ = self.command(0, "ls", "/")
        self.assertRegex(out.decode(), r"(?m)^d.* 0\.0\.0 +x/$")
        out, _ = self.command(0, "ls", "--overlay", "single", "/roar")
        self.assertEqual(out.count(b"\n"), 1)

    def test_what_is_not_there(self):
        for arguments, named in ((["ls", "9.9.9"], "9.9.9"),
                                 (["ls", "../x"], "../x"),
                                 (["ls", "4.5.15", "nothing"], "nothing"),
                                 (["ls", "/nothing"], "nothing"),
                                 (["cat", "nothing"], "nothing"),
                                 (["cat", "4.5.15", "x/y"], "x/y"),
                                 (["cat", "odd"], "folder"),
                                 (["export", "9.9.9", "-"], "9.9.9")):
            with self.subTest(arguments=arguments):
                out, err = self.command(1, *arguments)
                self.assertEqual(out, b"")
                self.assertIn(named, err)
        _, err = self.command(1, "ls", data=self.folder())
        self.assertIn("data directory", err)

    def test_cat(self):
        for path, body in (BASE | NEWEST).items():
            out, _ = self.command(0, "cat", path)
            self.assertTrue(out == body, path)
        self.assertEqual(self.command(0, "cat", "/roar/v.yaml")[0],
                         b"newest\n")
        self.assertEqual(self.command(0, "cat", "0.0.0", "roar/v.yaml")[0],
                         b"base\n")

    def test_verify(self):
        out, _ = self.command(0, "verify")
        self.assertEqual(out.decode().split(" bytes")[0],
                         f"2 releases, {len(BASE) + len(NEWEST)} objects, "
                         f"{sum(map(len, [*BASE.values(), *NEWEST.values()]))}"
                         )
        self.assertIn(b"0 damaged, 0 that no release names", out)

    def check_folder(self, folder):
        found = {}
        for path, _, names in os.walk(folder):
            for name in names:
                full = os.path.join(path, name)
                with open(full, "rb") as file:
                    found[os.path.relpath(full, folder)] = file.read()
                self.assertEqual(os.stat(full).st_mtime, MTIME)
                self.assertEqual(stat.S_IMODE(os.stat(full).st_mode), 0o644)
        self.assertEqual(set(found), set(NEWEST))
        for path, body in NEWEST.items():
            self.assertTrue(found[path] == body, path)

    def test_export_to_a_folder(self):
        above = self.folder()
        for name in ("new", "new/", "there"):
            with self.subTest(name=name):
                folder = os.path.join(above, name)
                if name == "there":
                    os.mkdir(folder)
                else:
                    shutil.rmtree(folder, ignore_errors=True)
                self.command(0, "export", "4.5.15", folder)
                self.check_folder(folder)
        self.assertEqual(sorted(os.listdir(above)), ["new", "there"])
        # One that has something in it is left as it is.
        _, err = self.command(1, "export", "0.0.0", folder)
        self.assertIn("not empty", err)
        self.check_folder(folder)
        self.command(1, "export", "0.0.0", os.path.join(folder, "empty"))
        self.command(1, "export", "0.0.0", os.path.join(above, "no/where"))
        self.assertEqual(sorted(os.listdir(above)), ["new", "there"])

    def test_export_that_was_killed(self):
        """The next one to the same place takes away what it left, and nothing
        of one that is under way, or of somebody else."""
        above = self.folder()
        folder = os.path.join(above, "out")
        killed = fault.call(
            [program(), "export", "--data-dir", self.data, "4.5.15", folder],
            fault.preload(above, at=6, how="before"))
        self.assertEqual(killed.returncode, -signal.SIGKILL)
        left, = os.listdir(above)
        self.assertRegex(left, r"^out\.specman-part-\w{6}$")
        self.assertTrue(os.listdir(os.path.join(above, left)))
        under_way = os.path.join(above, "out.specman-part-abcdef")
        others = ["out.specman-part-abcdefg", "out.part-abcdef",
                  "other.specman-part-abcdef"]
        for path in (under_way, *(os.path.join(above, n) for n in others)):
            os.mkdir(path)
            with open(os.path.join(path, "file"), "wb"):
                pass
        os.symlink(self.folder(), os.path.join(above, "out.specman-part-linked"))
        with open(os.path.join(above, "out.specman-part-nofold"), "wb"):
            pass
        lock = os.open(under_way, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        stay = sorted([*others, "out", "out.specman-part-abcdef",
                       "out.specman-part-linked", "out.specman-part-nofold"])
        self.command(0, "export", "4.5.15", folder)
        self.check_folder(folder)
        self.assertEqual(sorted(os.listdir(above)), stay)
        self.assertTrue(os.path.exists(os.path.join(under_way, "file")))
        os.close(lock)
        shutil.rmtree(folder)
        # By a relative path, too.
        proc.run([program(), "export", "--data-dir", self.data, "4.5.15",
                  "out"], cwd=above, env=environment())
        self.assertFalse(os.path.exists(under_way))
        self.check_folder(folder)

    def test_export_as_an_archive(self):
        one, _ = self.command(0, "export", "4.5.15", "-")
        two, _ = self.command(0, "export", "4.5.15", "-")
        self.assertTrue(one == two, "not the same bytes each time")
        for tool in ("tar", "bsdtar"):
            folder = self.folder()
            proc.run([tool, "-xf", "-", "-C", folder], input=one,
                     env={**os.environ, "LC_ALL": "C.UTF-8"})
            self.check_folder(folder)
        with tarfile.open(fileobj=io.BytesIO(one)) as box:
            for member in box:
                self.assertEqual((member.uid, member.gid, member.uname),
                                 (0, 0, ""))

    def test_bsdtar_alone_rebuilds_what_export_gives(self):
        folder = self.folder()
        release = os.path.join("releases", "4.5.15.mtree")
        utf8 = {**os.environ, "LC_ALL": "C.UTF-8"}
        listed = proc.run(["bsdtar", "-tf", release], cwd=self.data,
                          env=utf8).stdout.decode().splitlines()
        self.assertIn("./odd/with space", listed)
        self.assertIn("./odd/gr\u00fc\u00dfe-\u65e5\u672c.txt", listed)
        packed = proc.run(["bsdtar", "-cf", "-", "--format", "gnutar",
                           "@" + release], cwd=self.data, env=utf8).stdout
        proc.run(["tar", "-xf", "-", "-C", folder], input=packed, env=utf8)
        self.check_folder(folder)

    def test_history(self):
        out, _ = self.command(0, "history")
        rows = [line.split() for line in out.decode().splitlines()]
        self.assertEqual([row[1:] for row in rows],
                         [[tag, "-", self.digests[tag]]
                          for tag in ("0.0.0", "4.5.15")])
        self.assertRegex(rows[0][0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")

    def test_gc_is_the_daemons(self):
        orphan = objects(self.data, b"nobody's")
        os.makedirs(os.path.dirname(orphan), exist_ok=True)
        with open(orphan, "wb") as file:
            file.write(b"nobody's")
        out, _ = self.command(0, "verify")
        self.assertIn(b" 1 that no release names", out)
        asked = len(self.fake.requests)
        out, _ = self.command(0, "gc")
        self.assertEqual(out, b"1 objects swept\n")
        self.assertFalse(os.path.exists(orphan))
        self.assertEqual(self.command(0, "gc")[0], b"0 objects swept\n")
        # It goes no round for that.
        self.assertEqual(len(self.fake.requests), asked)
        self.check_store(self.data)

    def test_usage(self):
        for arguments in (["cat"], ["cat", "a", "b", "c"], ["export"],
                          ["export", "4.5.15"], ["ls", "a", "b", "c"],
                          ["verify", "stray"], ["gc", "stray"],
                          ["ls", "/roar", "v.yaml"], ["history", "-x"]):
            with self.subTest(arguments=arguments):
                out, err = self.command(2, *arguments)
                self.assertEqual(out, b"")
                self.assertRegex(err, "^specman: ")
        for name in ("ls", "cat", "verify", "export", "history", "gc"):
            out = call(name, "--help").stdout.decode()
            self.assertTrue(out.startswith(f"Usage: specman {name}"), out)
            self.assertIn("--data-dir", out)
        # A file whose name looks like a flag.
        _, err = self.command(1, "cat", "--", "--overlay")
        self.assertIn("there is no --overlay", err)


class Damaged(Commands):
    """No daemon: what is wrong is told, and nothing wrong comes out."""

    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.fake.push("0.0.0", artifact.tgz(BASE))
        self.fake.push("4.5.15", artifact.tgz(NEWEST))
        self.data = os.path.join(self.folder(), "data")
        os.mkdir(self.data)
        call("sync", "--data-dir", self.data, "--plain-http",
             "--repository", self.fake.repository())

    def test_flipped_and_missing_objects(self):
        flip(objects(self.data, b"newest\n"))
        flip(objects(self.data, BIG))
        os.unlink(objects(self.data, b"below\n"))
        with open(objects(self.data, b"marks\n"), "rb") as file:
            marks = file.read()
        os.chmod(objects(self.data, b"marks\n"), 0o640)
        with open(objects(self.data, b"marks\n"), "wb") as file:
            file.write(marks + b"more")
        out, _ = self.command(1, "verify")
        lines = out.decode().splitlines()
        self.assertEqual(sorted(line.split(":")[0] for line in lines[:-1]),
                         sorted(["0.0.0/x/y", "4.5.15/roar/v.yaml",
                                 "4.5.15/big.bin",
                                 "4.5.15/odd/q'\"\\*?[#=%.txt"]))
        self.assertIn("4 damaged", lines[-1])
        for path in ("roar/v.yaml", "big.bin", "x/y"):
            out, err = self.command(1, "cat", path)
            self.assertEqual(out, b"")
            self.assertRegex(err, "object [0-9a-f/]+ (does not|is missing)")
        above = self.folder()
        self.command(1, "export", "4.5.15", os.path.join(above, "out"))
        self.assertEqual(os.listdir(above), [])
        out, _ = self.command(1, "export", "4.5.15", "-")
        self.assertNotIn(BIG[:1024], out)
        self.assertNotEqual(out[-1024:], bytes(1024))
        # The commands have changed nothing: the next sync finds the damage.
        self.assertTrue(os.path.exists(objects(self.data, BIG)))

    def test_damaged_release(self):
        path = os.path.join(self.data, "releases", "4.5.15.mtree")
        with open(path, "r+b") as file:
            file.truncate(400)
        out, _ = self.command(1, "verify")
        self.assertRegex(out.decode(), "(?m)^4.5.15: .*damaged")
        out, err = self.command(0, "ls")
        self.assertRegex(out.decode(), "(?m)^4.5.15 +damaged")
        self.assertIn("4.5.15 is left out", err)
        self.assertEqual(self.command(0, "cat", "roar/v.yaml")[0], b"base\n")
        _, err = self.command(1, "ls", "4.5.15")
        self.assertIn("damaged", err)
        # What it names is not known, so all stays.
        stored = sorted(os.walk(os.path.join(self.data, "objects")))
        self.assertEqual(self.command(0, "gc")[0],
                         b"nothing swept: a release's file is damaged, and "
                         b"what it names is not known\n")
        self.assertEqual(sorted(os.walk(os.path.join(self.data, "objects"))),
                         stored)

    def test_gc_alone(self):
        os.unlink(os.path.join(self.data, "releases", "0.0.0.mtree"))
        self.assertEqual(self.command(0, "gc")[0],
                         f"{len(BASE)} objects swept\n".encode())
        self.check_store(self.data)

    def test_output_that_can_not_be_written(self):
        for command in (["ls"], ["verify"], ["history"],
                        ["cat", "big.bin"], ["export", "4.5.15", "-"]):
            log = os.path.join(self.folder(), "stderr.log")
            with open("/dev/full", "wb") as full, open(log, "wb") as err:
                done = proc.spawn([os.environ["SPECMAN"], *command,
                                   "--data-dir", self.data],
                                  stdout=full, stderr=err)
                self.assertEqual(done.wait(patience(60)), 1, command)
            with open(log, encoding="utf-8") as file:
                said = file.read()
            self.assertIn("No space left on device", said, command)
            self.assertNotRegex(said, REPORT)

    def test_store_of_a_newer_version(self):
        os.chmod(os.path.join(self.data, "format"), 0o644)
        with open(os.path.join(self.data, "format"), "w",
                  encoding="ascii") as file:
            file.write("specman-store 99\n")
        _, err = self.command(1, "ls")
        self.assertIn("99", err)


class Missing(Commands):
    def test_missing_object_is_found_and_fetched_again(self):
        """At the start nothing is looked for: what is there is served at
        once, and the first round finds what is not."""
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("0.0.0", artifact.tgz(BASE))
        flags = ("--plain-http", "--poll-interval", "1h")
        first = self.start(*flags, "--repository", fake.repository())
        first.wait_log('msg="Sync done"')
        self.data = first.data
        first.stop()
        os.unlink(objects(self.data, b"below\n"))
        away = self.start(*flags, "--repository", "127.0.0.1:1/a/b",
                          data=self.data)
        away.wait_log('level=error msg="File damaged on disk.*missing')
        client = self.client(away)
        self.assertEqual(client.get("/roar/v.yaml").body, b"base\n")
        self.assertEqual(client.get("/x/y").status, 503)
        away.stop()
        again = self.start(*flags, "--repository", fake.repository(),
                           data=self.data)
        again.wait_log('msg="Sync done"')
        self.check_tree(self.client(again), BASE)
        self.assertIn(b" 0 damaged", self.command(0, "verify")[0])


class UnderTheirFeet(Commands):
    """Releases are replaced, and their objects swept, all the while."""

    def test_nothing_is_called_damaged(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)

        def content(number):
            return {f"f/{i % 7}/{i}": b"%d of %d\n" % (i, number)
                    for i in range(150)}
        fake.push("1.0.0", artifact.tgz(content(0)))
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--repository", fake.repository())
        self.data = daemon.data
        daemon.wait_log('msg="Sync done"')
        stop, failed = threading.Event(), []
        counts = {"verify": 0, "cat": 0, "export": 0}

        def look():
            above = self.folder()
            while not stop.is_set() and not failed:
                for command in (["verify"], ["cat", "f/0/0"],
                                ["export", "1.0.0",
                                 os.path.join(above, str(counts["cat"]))]):
                    done = call(*command, "--data-dir", self.data,
                                check=False)
                    counts[command[0]] += 1
                    # A release that is replaced again and again can't be
                    # exported, and the command says so.
                    if done.returncode and not (
                            command[0] == "export" and
                            b"was replaced meanwhile" in done.stderr):
                        failed.append((command, done))
        looker = threading.Thread(target=look)
        looker.start()
        try:
            for number in range(1, 9):
                mark = daemon.mark()
                fake.push("1.0.0", artifact.tgz(content(number)))
                daemon.poll_now()
                daemon.wait_log('msg="Sync done"', mark)
                before = counts["verify"]
                until(lambda: failed or counts["verify"] > before, "a look")
        finally:
            stop.set()
            looker.join()
        self.assertEqual(failed, [])


if __name__ == "__main__":
    unittest.main()
