"""specman sync: one round and an exit code, alone and beside a daemon."""
import os
import signal
import socket
import stat
import threading
import unittest

from lib import artifact, proc
from lib.case import Case
from lib.daemon import call, environment, parse, program
from lib.faulty import FakeRegistry
from lib.registry import Registry
from lib.wait import patience, until

DONE, FAILED, NOTHING = 0, 1, 3


def layer(tag):
    return artifact.tgz({"versions.yaml": f"newest: {tag}\n".encode()})


class CommandCase(Case):
    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.data = os.path.join(self.folder(), "data")
        os.mkdir(self.data)

    def flags(self):
        return ("--plain-http", "--repository", self.fake.repository())

    def push(self, tag):
        self.fake.push(tag, layer(tag))

    def sync(self, code, *flags, data=None):
        """Runs the command to its end; returns the records of its log."""
        done = call("sync", "--data-dir", data or self.data, *flags,
                    check=False)
        log = done.stderr.decode()
        self.assertEqual(done.returncode, code, log)
        self.assertEqual(done.stdout, b"")
        return [parse(line) for line in log.splitlines()]

    def spawn(self, *flags):
        """The command, going on."""
        log = os.path.join(self.folder(), "sync.log")
        with open(log, "wb") as file:
            process = proc.spawn([program(), "sync", "--data-dir", self.data,
                                  *flags], stderr=file, env=environment())
        self.addCleanup(proc.end, process)
        process.log_path = log
        return process

    def ended(self, process, code):
        self.assertEqual(process.wait(patience(30)), code)
        with open(process.log_path, encoding="utf-8") as file:
            return file.read()

    def daemon(self, *flags, **options):
        return self.start(*(flags or self.flags()), "--poll-interval", "1h",
                          "--log-level", "debug", data=self.data, **options)

    def hold(self, pattern, method="GET"):
        """Holds requests back until the event that is returned is set; the
        other event says that one is being held."""
        free, held = threading.Event(), threading.Event()
        self.addCleanup(free.set)

        def wait(request):
            held.set()
            free.wait(patience(60))
            return False
        self.fake.on(method, pattern, wait)
        return free, held

    def messages(self, records):
        return [r["msg"] for r in records]


class Alone(CommandCase):
    """No daemon has the store."""

    def test_a_round_into_an_empty_store(self):
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        registry.push("4.5.13", layer("4.5.13"))
        flags = ("--plain-http", "--repository", registry.repository())
        records = self.sync(DONE, *flags)
        self.assertIn("Persisting 4.5.13", self.messages(records))
        self.assertIn("Sync done", self.messages(records))
        self.assertEqual([(r["tag"], r["files"]) for r in records
                          if r["msg"] == "Published"], [("4.5.13", "1")])
        self.assertRegex(next(r["duration"] for r in records
                              if r["msg"] == "Published"), r"^\d+\.\d{3}s$")
        records = self.sync(DONE, *flags)
        self.assertEqual(self.messages(records)[-1], "Nothing new")
        registry.stop()
        daemon = self.daemon()
        self.assertEqual(self.client(daemon).get("/versions.yaml").body,
                         b"newest: 4.5.13\n")

    def test_nothing_configured(self):
        records = self.sync(NOTHING, "--registry-secret-dir",
                            os.path.join(self.folder(), "none"))
        self.assertEqual(self.messages(records),
                         ["Waiting for the registry secret",
                          "Nothing to serve yet"])

    def test_file_of_a_flag_that_is_not_there(self):
        """The registry is named: nobody waits for a secret."""
        for flags in (("--registry-config", "/nonexistent/config.json"),
                      ("--registry-username", "user",
                       "--registry-password-file", "/nonexistent/password"),
                      ("--registry-ca", "/nonexistent/ca.pem")):
            records = self.sync(FAILED, *self.flags(), *flags)
            told = [r for r in records if r["msg"] == "Sync failed"]
            self.assertEqual([r["cause"] for r in told], ["file-unreadable"])
            self.assertIn("/nonexistent/", told[0]["error"])

    def test_nothing_to_serve(self):
        self.push("4.5.13")
        records = self.sync(NOTHING, *self.flags(), "--tag-semver", "5.x")
        self.assertEqual(self.messages(records)[-1], "Nothing to serve yet")

    def test_registry_that_fails(self):
        self.fake.on("GET", "/tags/list",
                     lambda request: request.reply(403, {}))
        records = self.sync(FAILED, *self.flags())
        self.assertEqual([(r["level"], r["msg"]) for r in records
                          if r["level"] == "error"],
                         [("error", "Sync failed")])

    def test_anything_that_fails(self):
        """Also what does not keep the rest from being done."""
        self.push("4.5.13")
        self.fake.push("4.5.15", b"no archive at all")
        records = self.sync(FAILED, *self.flags())
        self.assertIn("Published", self.messages(records))
        self.assertIn("Release refused", self.messages(records))

    def test_data_directory_that_can_not_be(self):
        path = os.path.join(self.folder(), "file")
        with open(path, "wb"):
            pass
        records = self.sync(FAILED, *self.flags(), data=path)
        self.assertEqual(self.messages(records), ["Sync failed"])
        self.assertIn(path, records[0]["error"])

    def test_another_sync_is_under_way(self):
        self.push("4.5.13")
        free, held = self.hold("/tags/list")
        first = self.spawn(*self.flags())
        until(held.is_set, "the first to ask the registry")
        records = self.sync(FAILED, *self.flags())
        self.assertIn(f"process {first.pid}", records[0]["error"])
        free.set()
        self.ended(first, DONE)

    def test_it_stops_when_it_is_told_to(self):
        self.push("4.5.13")
        for number in (signal.SIGINT, signal.SIGTERM):
            free, held = self.hold("/tags/list")
            process = self.spawn(*self.flags())
            until(held.is_set, "it to ask the registry")
            process.send_signal(number)
            self.assertIn("stopped before the round was done",
                          self.ended(process, FAILED))
            free.set()
            self.fake.hooks.clear()
        self.sync(DONE, *self.flags())


class BesideADaemon(CommandCase):
    """A daemon has the store: it goes the round."""

    def socket_path(self):
        return os.path.join(self.data, "run", "control.sock")

    def ask(self, line, path=None):
        """What the daemon answers to these bytes."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(patience(60))
            sock.connect(path or self.socket_path())
            try:
                sock.sendall(line)
            except BrokenPipeError:
                pass  # it has answered, and hung up
            return sock.makefile("rb").readline()

    def started(self, *flags):
        daemon = self.daemon(*flags)
        daemon.wait_log('msg="(Nothing new|Sync done|Sync failed|Waiting .*)"')
        return daemon

    def test_the_daemon_goes_the_round(self):
        self.push("4.5.13")
        daemon = self.started()
        self.push("4.5.15")
        # The command's own flags don't matter; nor would its network.
        records = self.sync(DONE, "--repository", "127.0.0.1:1/a/b")
        self.assertEqual(self.messages(records), ["Sync done"])
        self.assertEqual(self.client(daemon).get("/versions.yaml").body,
                         b"newest: 4.5.15\n")

    def test_modes(self):
        self.push("4.5.13")
        self.started()
        self.assertEqual(stat.S_IMODE(os.stat(self.socket_path()).st_mode),
                         0o600)
        self.assertEqual(stat.S_IMODE(os.stat(
            os.path.dirname(self.socket_path())).st_mode), 0o700)

    def test_a_round_under_way_does_not_count(self):
        """What is pushed before the command is there after it."""
        self.push("4.5.13")
        daemon = self.started()
        free, held = self.hold("/manifests/", "HEAD")
        daemon.poll_now()
        until(held.is_set, "a round to be under way")
        self.push("4.5.15")
        process = self.spawn()
        lists = len(self.fake.seen("GET", "/tags/list"))
        self.assertEqual(lists, 2)
        free.set()
        self.ended(process, DONE)
        self.assertEqual(self.client(daemon).get("/versions.yaml").body,
                         b"newest: 4.5.15\n")

    def test_several_at_once(self):
        self.push("4.5.13")
        self.started()
        for process in [self.spawn() for _ in range(6)]:
            self.ended(process, DONE)

    def test_failures_are_told(self):
        self.push("4.5.13")
        self.started()
        self.fake.on("GET", "/tags/list",
                     lambda request: request.reply(403, {}))
        for _ in range(2):  # also what the daemon's log does not repeat
            records = self.sync(FAILED)
            self.assertEqual(self.messages(records), ["Sync failed"])
            self.assertIn("403", records[0]["error"])
        self.fake.hooks.clear()
        self.fake.push("4.5.15", b"no archive at all")
        for _ in range(2):  # the second does not download it again
            records = self.sync(FAILED)
            self.assertIn("Release refused, tag 4.5.15", records[0]["error"])
        self.push("4.5.15")
        self.sync(DONE)

    def test_nothing_configured(self):
        folder = os.path.join(self.folder(), "secret")
        self.started("--registry-secret-dir", folder)
        records = self.sync(NOTHING)
        self.assertEqual(self.messages(records), ["Nothing to serve yet"])
        self.assertIn("Waiting for the registry secret", records[0]["reason"])

    def test_daemon_that_stops(self):
        self.push("4.5.13")
        daemon = self.started()
        free, held = self.hold("/tags/list")
        process = self.spawn()
        until(held.is_set, "the round to be under way")
        daemon.stop()
        self.assertIn("the daemon is stopping", self.ended(process, FAILED))
        self.assertFalse(os.path.exists(self.socket_path()))
        free.set()

    def test_daemon_that_is_stopping(self):
        """While it still finishes an answer."""
        self.fake.push("4.5.13", artifact.tgz({"big": os.urandom(32 << 20)}))
        daemon = self.started()
        client = self.client(daemon)
        over = threading.Event()
        self.addCleanup(over.set)
        with client.raw(receive_buffer=4096) as sock:
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(sock.recv(1))

            def read_on():
                """Slowly: who takes nothing at all is not waited for."""
                while not over.wait(0.1) and sock.recv(4096):
                    pass
            reader = threading.Thread(target=read_on, daemon=True)
            reader.start()
            daemon.process.terminate()
            daemon.wait_log("msg=Stopping")
            until(lambda: self.ask(b"sync\n")
                  == b"stopping: the daemon is stopping\n",
                  "the daemon to say that it is stopping")
            records = self.sync(FAILED)
            self.assertEqual(records[0]["error"], "the daemon is stopping")
            over.set()
            reader.join()

    def test_daemon_that_is_killed(self):
        self.push("4.5.13")
        daemon = self.started()
        free, held = self.hold("/tags/list")
        process = self.spawn()
        until(held.is_set, "the round to be under way")
        daemon.kill()
        self.assertIn("ended before it answered", self.ended(process, FAILED))
        free.set()
        self.fake.hooks.clear()
        # Its socket is nobody's: the command goes the round itself, and the
        # next daemon takes the place.
        self.assertTrue(os.path.exists(self.socket_path()))
        self.sync(DONE, *self.flags())
        self.started()
        self.assertEqual(self.messages(self.sync(DONE)), ["Sync done"])

    def test_interrupted_command_leaves_the_daemon_alone(self):
        self.push("4.5.13")
        daemon = self.started()
        self.push("4.5.15")
        free, held = self.hold("/tags/list")
        process = self.spawn()
        until(held.is_set, "the round to be under way")
        process.send_signal(signal.SIGINT)
        self.ended(process, -signal.SIGINT)
        free.set()
        daemon.wait_log(r"msg=Published\b.* tag=4\.5\.15\b")
        self.sync(DONE)

    def test_long_path(self):
        """Longer than the address of a socket may be."""
        self.push("4.5.13")
        self.data = os.path.join(self.folder(), "d" * 100, "e" * 100)
        os.makedirs(self.data)
        self.started()
        self.sync(DONE)

    def test_requests_that_are_none(self):
        self.push("4.5.13")
        daemon = self.started()
        lists = len(self.fake.seen("GET", "/tags/list"))
        for line in (b"\n", b"help\n", b"sync now\n", b"s" * 100,
                     b"sync\nsync\n", b"\0\0\0\0\0"):
            self.assertEqual(self.ask(line),
                             b"failed: the request is not understood\n", line)
        self.assertEqual(len(self.fake.seen("GET", "/tags/list")), lists)
        # Connections that say nothing are in nobody's way for long, and no
        # more than a few are held.
        idle = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        try:
            for sock in idle:
                sock.connect(self.socket_path())
            self.assertEqual(self.ask(b""),
                             b"failed: the daemon is asked by too many "
                             b"already\n")
        finally:
            for sock in idle:
                sock.close()
        until(lambda: self.ask(b"sync\n") == b"done\n", "room for a request")
        daemon.stop()

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_user_may_not_ask(self):
        self.push("4.5.13")
        self.started()
        # The folders let nobody through; the daemon doesn't rely on that.
        folder = os.path.dirname(self.socket_path())
        os.chmod(folder, 0o777)
        os.chmod(self.socket_path(), 0o777)
        script = ("import os, socket, sys\n"
                  "os.chdir(sys.argv[1])\n"
                  "os.setuid(65534)\n"
                  "s = socket.socket(socket.AF_UNIX)\n"
                  "s.connect('control.sock')\n"
                  "sys.stdout.write(s.makefile().readline())\n")
        done = proc.run(["python3", "-c", script, folder])
        self.assertIn(b"failed: only the daemon's own user and root",
                      done.stdout)

    def test_place_that_can_not_be_had(self):
        """The daemon serves all the same."""
        self.push("4.5.13")
        with open(os.path.join(self.data, "run"), "wb"):
            pass
        daemon = self.daemon()
        daemon.wait_log("level=warning msg=.*The command sync can't")
        daemon.wait_log('msg="Sync done"')
        records = self.sync(FAILED, *self.flags())
        self.assertIn(f"process {daemon.process.pid}", records[0]["error"])


if __name__ == "__main__":
    unittest.main()
