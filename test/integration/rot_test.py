"""Objects that rot on disk while they are served: no wrong byte ever leaves,
and what is damaged is fetched again."""
import hashlib
import http.client
import os
import resource
import random
import shutil
import threading
import unittest

from lib import artifact, tree
from lib.case import FakeCase
from lib.client import Client
from lib.wait import patience, scale, until

BLOCK = 128 * 1024
FILES = {
    "small.yaml": tree.text("small", 6000),
    "medium.bin": tree.binary("medium", 900 * 1024),
    "large.bin": tree.binary("large", 3 * 1024 * 1024 + 4321),
    "other.yaml": tree.text("other", 5000),
}
LAYER = artifact.tgz(FILES)
CLIENTS = 4


def flip(at):
    def damage(path):
        os.chmod(path, 0o640)
        with open(path, "r+b") as file:
            file.seek(at if at >= 0 else os.path.getsize(path) + at)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
    return damage


def cut_off(path):
    os.truncate(path, os.path.getsize(path) // 2)


def grow(path):
    with open(path, "ab") as file:
        file.write(b"x")


def make_folder(path):
    os.unlink(path)
    os.mkdir(path)


def make_fifo(path):
    os.unlink(path)
    os.mkfifo(path)


def remove_fan_out(path):
    shutil.rmtree(os.path.dirname(path))


class Load:
    """Clients that ask on and on, and compare each byte they get."""

    def __init__(self, daemon):
        self.address, self.ca = daemon.address(), daemon.ca()
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.wrong, self.failed, self.whole, self.all = [], {}, {}, {}
        self.threads = [threading.Thread(target=self._ask, args=(number,),
                                         daemon=True)
                        for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(patience(60))

    def forget(self):
        with self.lock:
            self.failed, self.whole = {}, {}

    def count(self, kind, name):
        with self.lock:
            return getattr(self, kind).get(name, 0)

    def _note(self, kind, name):
        with self.lock:
            of_kind = getattr(self, kind)
            of_kind[name] = of_kind.get(name, 0) + 1

    def _ask(self, number):
        rng = random.Random(number)
        client = Client(self.address, self.ca)
        try:
            while not self.over.is_set():
                name = rng.choice(sorted(FILES))
                first = rng.choice((0, rng.randrange(len(FILES[name]))))
                self._ask_one(client, name, first)
        except Exception as error:
            self.wrong.append(repr(error))
        finally:
            client.close()

    def _ask_one(self, client, name, first):
        data = FILES[name][first:]
        headers = {"Range": f"bytes={first}-"} if first else {}
        try:
            answer = client.request("GET", "/" + name, headers)
        except http.client.IncompleteRead as error:
            if not data.startswith(error.partial):
                self.wrong.append(f"{name} from {first}: wrong before its end")
            return self._note("failed", name)
        if answer.status == 503:
            if not answer["Retry-After"]:
                self.wrong.append(f"{name}: no Retry-After")
            return self._note("failed", name)
        if answer.status != (206 if first else 200) or \
                hashlib.sha256(answer.body).digest() != \
                hashlib.sha256(data).digest():
            self.wrong.append(f"{name} from {first}: {answer.status}, "
                              f"{len(answer.body)} bytes")
        self._note("whole", name)
        self._note("all", name)


class RotCase(FakeCase):
    def setUp(self):
        super().setUp()
        self.fake.push("1.0.0", LAYER)

    def serve(self, *flags, **options):
        self.daemon = self.run_daemon(*flags, **options)
        self.daemon.wait_log(r"msg=Published\b")

    def object(self, name):
        hex_ = hashlib.sha256(FILES[name]).hexdigest()
        return os.path.join(self.daemon.data, "objects", hex_[:2], hex_[2:])

    def load(self):
        load = Load(self.daemon)
        self.addCleanup(load.stop)
        return load

    def inodes(self, but=()):
        return {name: os.stat(self.object(name)).st_ino
                for name in FILES if name not in but}


class Rot(RotCase):
    DAMAGES = (
        ("small.yaml", flip(0)), ("medium.bin", flip(500000)),
        ("large.bin", flip(0)), ("large.bin", flip(BLOCK * 11 + 5)),
        ("large.bin", flip(-1)), ("large.bin", cut_off),
        ("small.yaml", cut_off), ("small.yaml", grow), ("large.bin", grow),
        ("small.yaml", os.unlink), ("large.bin", os.unlink),
        ("medium.bin", make_folder), ("large.bin", make_fifo),
        ("small.yaml", remove_fan_out),
    )

    def test_under_load_without_a_cache(self):
        self.serve("--cache-size", "0", "--scrub-interval", "off")
        load = self.load()
        for name, damage in self.DAMAGES:
            with self.subTest(name=name, damage=damage.__qualname__):
                self.damage_and_heal(load, name, damage)
        load.stop()
        self.assertEqual(load.wrong, [])
        self.assertGreaterEqual(load.count("all", "other.yaml"),
                                len(self.DAMAGES))
        self.check_store(self.daemon.data)
        self.assertEqual(os.listdir(
            os.path.join(self.daemon.data, "quarantine")), [])

    def damage_and_heal(self, load, name, damage):
        subject = "objects/" + self.object(name).split("/objects/")[1]
        others = self.inodes(but=[name])
        mark = self.daemon.mark()
        hold = threading.Event()
        self.fake.hooks.clear()
        # No healing, which begins by itself, before the damage was seen.
        self.fake.on("GET", "/blobs/", lambda request: hold.wait(
            patience(60)) and 0)
        load.forget()
        damage(self.object(name))
        line = self.daemon.wait_log(r'level=error msg="File damaged on disk',
                                    mark)
        self.assertEqual(line["subject"], subject)
        self.assertIn(name, line["detail"])
        until(lambda: load.count("failed", name) > 3, f"503 for {name}")
        before = load.count("whole", "other.yaml")
        until(lambda: load.count("whole", "other.yaml") > before,
              "the others to be served meanwhile")
        hold.set()
        self.daemon.poll_now()
        line = self.daemon.wait_log('msg="File whole again"', mark)
        self.assertEqual(line["subject"], subject)
        load.forget()
        until(lambda: load.count("whole", name), f"{name} to be served again")
        self.assertEqual(self.inodes(but=[name]), others)
        for other in others:
            self.assertEqual(load.count("failed", other), 0)
        self.assertEqual(load.wrong, [])

    def test_cached_files_are_served_while_the_disk_is_healed(self):
        self.serve("--cache-size", "16Mi", "--scrub-interval", "1s",
                   "--log-level", "debug")
        load = self.load()
        until(lambda: all(load.count("whole", name) > 10 for name in FILES),
              "all to be cached")
        for name in ("small.yaml", "medium.bin"):
            mark = self.daemon.mark()
            flip(100)(self.object(name))
            self.daemon.wait_log(r"File damaged on disk", mark)
            self.daemon.poll_now()
            self.daemon.wait_log("File whole again", mark)
            self.daemon.wait_log('msg="The store was read and checked".* '
                                 "damaged=0 ", mark)
        mark = self.daemon.mark()
        flip(100)(self.object("large.bin"))
        self.daemon.wait_log(r"File damaged on disk", mark)
        self.daemon.poll_now()
        self.daemon.wait_log("File whole again", mark)
        load.stop()
        self.assertEqual(load.wrong, [])
        for name in ("small.yaml", "medium.bin", "other.yaml"):
            self.assertEqual(load.count("failed", name), 0)
        cache = self.daemon.wait_log("msg=Cache ", mark)
        self.assertGreater(int(cache["hits"]), 10)
        self.assertLessEqual(int(cache["bytes"]), 16 << 20)

    def test_scrubbing_finds_what_nobody_asks_for_and_a_round_follows(self):
        self.serve("--scrub-interval", "1s")
        client = self.client(self.daemon)
        flip(BLOCK * 3)(self.object("large.bin"))
        os.unlink(self.object("small.yaml"))
        for name in ("large.bin", "small.yaml"):
            object_ = self.object(name).rsplit("/", 1)[1]
            self.daemon.wait_log(f"File damaged on disk.*{object_}")
            # Nobody asks for a round here.
            self.daemon.wait_log(f"File whole again.*{object_}", 0, 60)
        self.check_tree(client, FILES)

    def test_lists_of_hashes_that_are_lost_are_made_anew(self):
        self.serve("--scrub-interval", "off", "--cache-size", "0")
        shutil.rmtree(os.path.join(self.daemon.data, "blocks"),
                      ignore_errors=True)
        os.makedirs(os.path.join(self.daemon.data, "blocks"))
        self.daemon.stop()
        self.daemon = self.start("--repository", self.fake.repository(),
                                 "--registry-ca", self.authority.ca,
                                 "--scrub-interval", "off",
                                 data=self.daemon.data)
        client = self.client(self.daemon)
        self.assertEqual(client.get("/large.bin").status, 503)
        self.wait_body(client, "/large.bin", FILES["large.bin"])
        self.daemon.wait_log('msg="Hashes of a large file made anew"')


class Memory(FakeCase):
    LIMIT = 8 << 20

    def test_many_sizes_leave_no_holes(self):
        files = {f"{number}.bin": tree.binary(number, number * 37 % 997 * 1024)
                 for number in range(80)}
        files.update({f"{number}.yaml": tree.text(number, number * 37 % 8000)
                      for number in range(300)})
        self.fake.push("1.0.0", artifact.tgz(files))
        daemon = self.run_daemon("--cache-size", str(self.LIMIT),
                                 "--scrub-interval", "off")
        daemon.wait_log(r"msg=Published\b")
        clients = [self.client(daemon) for _ in range(4)]
        for client in clients:
            client.get("/0.yaml")
        before = resident(daemon)
        rng = random.Random(1)
        for _ in range(2000):
            name = rng.choice(sorted(files))
            self.assertEqual(rng.choice(clients).get("/" + name).body,
                             files[name])
        if scale() == 1:  # a sanitizer keeps what was freed
            self.assertLess(resident(daemon) - before, 1.25 * self.LIMIT)


def resident(daemon):
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Away(RotCase):
    def test_without_a_registry_the_rest_is_served(self):
        self.serve("--scrub-interval", "off", "--cache-size", "0")
        client = self.client(self.daemon)
        flip(0)(self.object("small.yaml"))
        away = [True]
        self.fake.on("GET", "", lambda request: away[0] and
                     request.hang_up())
        for restart in (False, True):
            if restart:
                self.daemon.stop()
                self.daemon = self.start(
                    "--repository", self.fake.repository(),
                    "--poll-interval", "1h", "--cache-size", "0",
                    "--registry-ca", self.authority.ca,
                    data=self.daemon.data)
                client = self.client(self.daemon)
            for answer in (client.get("/small.yaml"),
                           client.head("/small.yaml")):
                self.assertEqual(answer.status, 503)
                self.assertEqual(answer["Retry-After"], "5")
            self.check_tree(client, {name: data for name, data in FILES.items()
                                     if name != "small.yaml"})
            # What is left of it is kept for those who need it.
            self.assertEqual(len(os.listdir(
                os.path.join(self.daemon.data, "quarantine"))), 1)
        away[0] = False
        self.daemon.poll_now()
        self.wait_body(client, "/small.yaml", FILES["small.yaml"],
                       self.daemon, 90)
        self.check_store(self.daemon.data)

    def test_that_the_process_lacks_something_is_told(self):
        self.serve("--scrub-interval", "off", "--cache-size", "0")
        client = self.client(self.daemon)
        self.assertEqual(client.get("/small.yaml").status, 200)
        pid = self.daemon.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        for _ in range(3):
            self.assertEqual(client.get("/small.yaml").status, 503)
        told = self.daemon.wait_log('msg="File not served"')
        self.assertIn("Too many open files", told["error"])
        self.assertEqual(self.daemon.log().count("File not served"), 1)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        self.assertEqual(client.get("/small.yaml").status, 200)
        self.check_store(self.daemon.data)


if __name__ == "__main__":
    unittest.main()
