"""Standard input, output and error: closed, full, read by nobody, or a terminal."""
import os
import pty
import re
import socket
import subprocess
import time
import unittest

from lib import artifact, proc
from lib.case import Case
from lib.daemon import REPORT, Specman, call, environment, parse, program
from lib.faulty import FakeRegistry
from lib.registry import Registry
from lib.wait import scale, until

CLOSED = ("sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh")


class OneRelease(Case):
    """A registry with one release, and a data directory."""

    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.fake.push("4.5.15", artifact.tgz({"a": b"content\n"}))
        self.data = os.path.join(self.folder(), "data")
        os.mkdir(self.data)
        self.flags = ("--plain-http", "--repository", self.fake.repository())

    def fill(self):
        call("sync", "--data-dir", self.data, *self.flags)


class Streams(OneRelease):
    def test_a_daemon_without_any(self):
        """What it opens gets no number that the log is written to."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        daemon = Specman(*self.flags, "--log-level", "debug", "--access-log",
                         data=self.data, listen=f"127.0.0.1:{port}",
                         log=os.path.join(self.folder(), "stderr.log"),
                         wrapper=CLOSED)
        self.addCleanup(daemon.finish)
        # It can't say so; where it has the store already, a command that can't ask it fails.
        until(lambda: os.path.exists(os.path.join(self.data, "run"))
              and not call("sync", "--data-dir", self.data,
                           check=False).returncode, "the daemon to sync")
        for number in range(3):
            self.assertEqual(
                os.readlink(f"/proc/{daemon.process.pid}/fd/{number}"), "/")
        daemon.stop()
        self.assertEqual(daemon.log(), "")
        self.check_store(self.data)
        call("verify", "--data-dir", self.data)

    def test_commands_whose_output_is_lost(self):
        """Closed or full: exit code 1, and where it can be said, why."""
        self.fill()
        for command in (["ls"], ["verify"], ["history"], ["cat", "a"],
                        ["export", "4.5.15", "-"], ["gc"], ["ca"], ["check"],
                        ["version"], ["--help"], ["ls", "--help"]):
            arguments = [program(), *command]
            if command[0] != "--help":
                arguments += ["--data-dir", self.data]
            for shell in ('exec "$@" >/dev/full', 'exec "$@" >&-',
                          'exec "$@" >&- 2>&-'):
                with self.subTest(command=command, shell=shell):
                    done = proc.run(["sh", "-c", shell, "sh", *arguments],
                                    60 * scale(), check=False,
                                    env=environment())
                    said = done.stderr.decode()
                    self.assertEqual(done.returncode, 1, said)
                    self.assertNotRegex(said, REPORT)
                    if "2>" not in shell:
                        self.assertRegex(said, "No space left|Bad file desc")
        self.check_store(self.data)

    def test_a_reader_that_has_enough(self):
        """As other programs, it ends without a word."""
        self.fill()
        for command in (["ls"], ["cat", "a"], ["export", "4.5.15", "-"],
                        ["history"], ["verify"]):
            end, start = os.pipe()
            os.close(end)
            with self.subTest(command=command):
                done = subprocess.run(
                    [program(), *command, "--data-dir", self.data],
                    stdout=start, stderr=subprocess.PIPE, check=False,
                    timeout=60 * scale(), env=environment())
                os.close(start)
                self.assertEqual(done.stderr, b"")
                self.assertLess(done.returncode, 0)


class Names(OneRelease):
    def test_a_terminal_gets_no_control_characters_of_names(self):
        """Names are bytes: 0x9b begins a control sequence, as ESC [ does."""
        name = b"a\x9b31mred-" + "\u00e4\u65e5".encode()
        self.fake.push("4.5.16", artifact.tgz(
            {os.fsdecode(name): b"content\n"}))
        self.fill()
        plain = call("ls", "4.5.16", "--data-dir", self.data).stdout
        self.assertIn(name + b"\n", plain)
        master, terminal = pty.openpty()
        process = proc.spawn([program(), "ls", "4.5.16", "--data-dir",
                              self.data], stdin=subprocess.DEVNULL,
                             stdout=terminal, env=environment())
        self.addCleanup(proc.end, process)
        os.close(terminal)
        self.assertEqual(process.wait(60 * scale()), 0)
        shown = os.read(master, 65536)
        os.close(master)
        self.assertIn(name.replace(b"\x9b", b"?") + b"\r\n", shown)


class Progress(OneRelease):
    """A bar where standard error is a terminal, and it does not stay; else
    lines. Each of the commands that may take long has one."""

    def commands(self):
        """What shows a bar, and the command that does."""
        folder = os.path.join(self.folder(), "release")
        os.mkdir(folder)
        with open(os.path.join(folder, "a"), "wb") as file:
            file.write(os.urandom(1 << 20))
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        return [("4.5.15", ["sync", "--data-dir", self.data, *self.flags]),
                ("verify", ["verify", "--data-dir", self.data]),
                ("export", ["export", "4.5.15", os.path.join(folder, "out"),
                            "--data-dir", self.data]),
                ("send", ["push", registry.repository() + ":1.0.0", folder,
                          "--plain-http"]),
                ("pack", ["push", registry.repository() + ":2.0.0", folder,
                          "--plain-http"])]

    def run_on_terminal(self, arguments):
        """What the command writes to it."""
        master, terminal = pty.openpty()
        process = proc.spawn([program(), *arguments], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=terminal,
                             env=environment())
        self.addCleanup(proc.end, process)
        os.close(terminal)
        said = b""
        try:
            while more := os.read(master, 65536):
                said += more
        except OSError:  # EIO: nobody has the terminal any more
            pass
        os.close(master)
        self.assertEqual(process.wait(60 * scale()), 0, said)
        return said.decode()

    def test_on_a_terminal(self):
        for verb, arguments in self.commands():
            with self.subTest(verb):
                said = self.run_on_terminal(arguments)
                self.assertRegex(
                    said, rf"\r{re.escape(verb)}: \[#* *\] \d+ of \d+ MiB, "
                    r"\d+ %, [\d.]+ MiB/s")
                # Whatever was written over is gone: lines stand alone.
                stays = re.sub(r"[^\r\n]*\r\x1b\[K", "", re.sub(
                    r"\r[^\r\n]*\x1b\[K(?=\r)", "", said))
                for line in stays.splitlines():
                    self.assertRegex(line, "^(time=.*|specman: .*|)$", said)

    def test_elsewhere(self):
        for verb, arguments in self.commands():
            with self.subTest(verb):
                done = call(*arguments)
                self.assertNotIn(b"\r", done.stderr)
                self.assertNotIn(b"\x1b", done.stderr)

    def test_a_download_that_takes_long(self):
        """A line of the log each ten seconds."""
        log = os.path.join(self.folder(), "stderr.log")
        layer = artifact.tgz({"b": os.urandom(4096)})
        self.fake.push("4.5.16", layer)

        def told():
            with open(log, "rb") as file:
                return b'msg="Still downloading"' in file.read()

        def trickle(request):
            if artifact.digest(layer) not in request.path:
                return False
            request.send_response(200)
            request.send_header("Content-Length", str(len(layer)))
            request.end_headers()
            at = 0
            while at < len(layer) - 1 and not told():
                request.wfile.write(layer[at:at + 1])
                request.wfile.flush()
                time.sleep(0.05)  # the server's pace, not a wait of the test
                at += 1
            request.wfile.write(layer[at:])
            return True
        self.fake.on("GET", "/blobs/", trickle)
        with open(log, "wb") as file:
            process = proc.spawn([program(), "sync", "--data-dir", self.data,
                                  *self.flags], stderr=file, env=environment())
        self.addCleanup(proc.end, process)
        self.assertEqual(process.wait(120 * scale()), 0)
        with open(log, encoding="utf-8") as file:
            lines = [parse(line) for line in file]
        told = [r for r in lines if r["msg"] == "Still downloading"]
        self.assertEqual({(r["tag"], r["of"]) for r in told},
                         {("4.5.16", str(len(layer)))})


if __name__ == "__main__":
    unittest.main()
