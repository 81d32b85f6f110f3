"""A disk that is full, read-only, or busy while specman serves: it goes on
serving, says why it can't do more, and does it when it can."""
import errno
import os
import re
import subprocess
import unittest

from lib import artifact, fault, proc, tree
from lib.case import Case
from lib.daemon import Specman
from lib.faulty import FakeRegistry

MIB = 1 << 20
BASE = {"base.bin": tree.binary("base", MIB)}
NUMBERS = r"(\d+) bytes needed, (\d+) free, (\d+) of them kept in reserve"


class DiskCase(Case):
    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.fake.push("0.0.0", artifact.tgz(BASE))

    def launch(self, data, *flags, **options):
        self.data = data
        self.daemon = Specman(
            "--plain-http", "--poll-interval", "1h", "--log-level", "debug",
            "--repository", self.fake.repository(), *flags, data=data,
            log=os.path.join(self.folder(), "stderr.log"), **options)
        self.addCleanup(self.daemon.finish)
        self.daemon.wait_log("msg=Published")
        self.daemon.wait_log('msg="Sync done"')
        self.served = self.client(self.daemon)

    def poll(self, pattern):
        mark = self.daemon.mark()
        self.daemon.poll_now()
        fields = self.daemon.wait_log(pattern, mark)
        self.check_tree(self.served, BASE)
        return fields


class FullDisk(DiskCase):
    """A file system of 16 MiB, 2 of which are to stay free."""

    SIZE, RESERVE = 16 * MIB, 2 * MIB

    def mount(self, options=""):
        """None, and a word about it, where nobody may mount."""
        folder = self.folder()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}{options}",
             "specman-test", folder], capture_output=True, check=False)
        if done.returncode:
            print("not shown: a full disk, since mounting is not permitted ("
                  + done.stderr.decode().strip() + "); fault_points_test "
                  "shows ENOSPC at each call", flush=True)
            return None
        self.addCleanup(proc.run, ["umount", "-l", folder])
        return folder

    def fill(self, name, size):
        path = os.path.join(self.data, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(bytes(size))
        return path

    def refused(self, needed):
        fields = self.poll('msg="Release not fetched"')
        found = re.search(NUMBERS, fields["error"])
        self.assertTrue(found, fields["error"])
        wanted, room, reserve = map(int, found.groups())
        self.assertEqual(reserve, self.RESERVE)
        self.assertGreater(wanted + reserve, room)
        self.assertGreaterEqual(wanted, needed)
        self.assertLess(room, self.SIZE)
        self.assertEqual(fields["kind"], "no space")
        self.assertEqual(self.stored_objects(self.data),
                         self.named_objects(self.data))
        fs = os.statvfs(self.data)
        self.assertGreaterEqual(fs.f_bavail * fs.f_frsize, self.RESERVE)

    def test_too_small_for_the_second_release(self):
        folder = self.mount()
        if not folder:
            return
        self.launch(os.path.join(folder, "data"), "--disk-reserve",
                    f"{self.RESERVE >> 20}Mi", "--view-lease", "off")
        filler = self.fill("of-somebody-else", 8 * MIB)
        with self.subTest("it does not fit as it comes"):
            big = {"big.bin": tree.binary("big", 6 * MIB)}
            self.fake.push("1.0.0", artifact.tgz(big))
            self.refused(6 * MIB)
            self.assertFalse(self.fake.seen("GET", artifact.digest(
                artifact.tgz(big))), "it was asked for, to no use")
            os.unlink(filler)
            self.fake.requests.clear()
        with self.subTest("it does not fit unpacked"):
            filler = self.fill("of-somebody-else", 8 * MIB)
            # One file after the other, each another one; next to nothing packed.
            flat = {f"flat/{n}": b"%d" % n + bytes(MIB) for n in range(7)}
            self.fake.push("1.0.0", artifact.tgz(flat))
            self.refused(1)
            self.assertEqual(len(os.listdir(os.path.join(self.data, "tmp"))),
                             1, "what was fetched is to be gone on with")
        with self.subTest("there is room again"):
            fetched = len(self.fake.seen("GET", "/blobs/"))
            os.unlink(filler)
            self.poll("msg=Published .*tag=1.0.0")
            self.assertEqual(len(self.fake.seen("GET", "/blobs/")), fetched)
            self.check_tree(self.served, {**BASE, **flat})
            self.check_store(self.data)
        # 8 MiB are taken, 6 are free, and the next needs 2 times 1.5.
        for name in ("tmp/download-sha256-" + "0" * 64,
                     "objects/00/" + "0" * 62):
            with self.subTest("what nobody needs makes room", name=name):
                self.fill(name, 5 * MIB)
                last = {"last.bin": tree.binary(name, 3 * MIB // 2)}
                self.fake.push("2.0.0", artifact.tgz(last))
                self.poll("msg=Published .*tag=2.0.0")
                self.check_tree(self.served, last)
                self.check_store(self.data)


    GIVEN_UP = 'msg="Replaced views given up before their time" .*room'

    def replace(self, seed, size, pattern="msg=Published .*tag=1.0.0"):
        """Other content of a tag; returns it, and the view that was current."""
        files = {"big.bin": tree.binary(seed, size)}
        view = self.served.get("/")["Specman-View"]
        self.fake.push("1.0.0", artifact.tgz(files))
        self.poll(pattern)
        return files, f"/.specman/views/{view}/big.bin"

    def test_replaced_views_make_room_for_files(self):
        folder = self.mount()
        if not folder:
            return
        self.launch(os.path.join(folder, "data"), "--disk-reserve", "2Mi")
        first, _ = self.replace("first", 3 * MIB)
        _, kept = self.replace("second", 3 * MIB)
        self.assertEqual(self.served.get(kept).body, first["big.bin"])
        # 7 MiB are taken, 7 are free, and this needs 2 times 4.
        third, _ = self.replace("third", 4 * MIB, 'msg="Release not fetched"')
        self.daemon.wait_log(self.GIVEN_UP)
        self.assertEqual(self.served.get(kept).status, 410)
        self.poll("msg=Published .*tag=1.0.0")
        self.check_tree(self.served, third)

    def test_replaced_views_make_room_for_a_download(self):
        folder = self.mount()
        if not folder:
            return
        self.launch(os.path.join(folder, "data"), "--disk-reserve", "2Mi")
        first, _ = self.replace("first", 4 * MIB)
        _, kept = self.replace("second", 1000)
        self.fill("of-somebody-else", 7 * MIB)
        self.assertEqual(self.served.get(kept).body, first["big.bin"])
        # 12 MiB are taken, 2 are free, and this needs 2 times 2.5.
        third, _ = self.replace("third", 5 * MIB // 2)
        self.daemon.wait_log(self.GIVEN_UP)
        self.assertEqual(self.served.get(kept).status, 410)
        self.check_tree(self.served, third)

    def test_too_few_inodes(self):
        folder = self.mount(",nr_inodes=900")
        if not folder:
            return
        self.launch(os.path.join(folder, "data"), "--disk-reserve", "2Mi")
        many = {f"many/{n}": b"%d" % n for n in range(600)}
        self.fake.push("1.0.0", artifact.tgz(many))
        fields = self.poll('msg="Release not fetched"')
        self.assertRegex(fields["error"], r"no room: \d+ inodes free")
        self.assertEqual(self.stored_objects(self.data),
                         self.named_objects(self.data))
        proc.run(["mount", "-o", "remount,nr_inodes=9000", folder])
        self.poll("msg=Published .*tag=1.0.0")
        self.check_tree(self.served, dict(list(many.items())[:9]))
        self.check_store(self.data)


    def test_read_only_from_the_start(self):
        folder = self.mount()
        if not folder:
            return
        self.launch(os.path.join(folder, "data"), "--disk-reserve", "2Mi")
        self.daemon.stop()
        proc.run(["mount", "-o", "remount,ro", folder])
        self.assertEqual(fault.served(self.data), (fault.hashes(BASE), []))
        # With the certificate that it made before.
        daemon = Specman("--plain-http", "--repository",
                         self.fake.repository(), data=self.data,
                         log=os.path.join(self.folder(), "log"))
        self.addCleanup(daemon.finish)
        self.check_tree(self.client(daemon), BASE)


class OddDisk(DiskCase):
    """Faults that come and go while the daemon serves."""

    def launch_over_layer(self, number, *flags, only=None):
        folder = self.folder()
        data = os.path.join(folder, "data")
        self.switch = os.path.join(folder, "switch")
        self.launch(data, *flags, env=fault.preload(data, how=number, only=only,
                                            switch=self.switch))

    def turn(self, on):
        if on:
            with open(self.switch, "wb"):
                pass
        else:
            os.unlink(self.switch)

    def test_read_only(self):
        self.launch_over_layer(errno.EROFS)
        self.turn(True)
        new = {"new.yaml": b"new\n"}
        self.fake.push("1.0.0", artifact.tgz(new))
        fields = self.poll('msg="Release not fetched"')
        self.assertIn(os.strerror(errno.EROFS), fields["error"])
        self.assertEqual(self.served.get("/new.yaml").status, 404)
        self.turn(False)
        self.poll("msg=Published .*tag=1.0.0")
        self.check_tree(self.served, new)
        self.check_store(self.data)

    def test_busy(self):
        """What can't be removed stays, and the next sweep tries again."""
        self.launch_over_layer(errno.EBUSY, "--view-lease", "off",
                               only="unlink")
        old, new = {"x.yaml": b"old\n"}, {"x.yaml": b"new\n"}
        self.fake.push("1.0.0", artifact.tgz(old))
        self.poll("msg=Published .*tag=1.0.0")
        self.turn(True)
        self.fake.push("1.0.0", artifact.tgz(new))
        fields = self.poll('msg="Old objects not swept"')
        self.assertIn(os.strerror(errno.EBUSY), fields["error"])
        self.check_tree(self.served, new)
        self.turn(False)
        self.fake.push("1.0.1", artifact.tgz({"y.yaml": b"y\n"}))
        self.poll('msg="Sync done"')
        self.check_store(self.data)

    def test_what_others_keep_in_the_folder_stays(self):
        data = os.path.join(self.folder(), "data")
        kept = ["lost+found/#12", ".nfs000000000001", "notes.txt",
                "objects/lost+found/#13", "objects/.nfs000000000002",
                "objects/ab/.nfs000000000003", "objects/ab/cd",
                "objects/AB/x", "releases/.nfs000000000004",
                "releases/notes.txt", "tmp/.nfs000000000005"]
        for path in kept:
            path = os.path.join(data, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(b"not a store's")
        self.launch(data)
        self.fake.push("0.0.0", artifact.tgz({**BASE, "more": b"more"}))
        self.poll('msg="Sync done"')
        for path in kept:
            self.assertTrue(os.path.exists(os.path.join(data, path)), path)
        self.assertNotIn("level=error", self.daemon.log())

    def test_no_locks(self):
        """flock is passed on to the file system, which may have none: neither
        for the store nor for the certificate."""
        self.launch_over_layer(errno.ENOLCK, only="flock")
        self.assertNotIn("no locks", self.daemon.log())
        self.daemon.stop()
        self.turn(True)
        daemon = Specman("--plain-http", "--repository",
                         self.fake.repository(), data=self.data,
                         log=os.path.join(self.folder(), "log"),
                         env=fault.preload(self.data, how=errno.ENOLCK,
                                           only="flock", switch=self.switch))
        self.addCleanup(daemon.finish)
        daemon.wait_log("level=warning .*has no locks")
        self.check_tree(self.client(daemon), BASE)


if __name__ == "__main__":
    unittest.main()
