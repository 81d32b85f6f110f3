"""Standard input, output and error that are closed, full, or that nobody reads."""
import os
import socket
import subprocess
import unittest

from lib import artifact, proc
from lib.case import Case
from lib.daemon import REPORT, Specman, call, environment, program
from lib.faulty import FakeRegistry
from lib.wait import scale

CLOSED = ("sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh")


class Streams(Case):
    """A store with one release."""

    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.fake.push("4.5.15", artifact.tgz({"a": b"content\n"}))
        self.data = os.path.join(self.folder(), "data")
        os.mkdir(self.data)
        self.flags = ("--plain-http", "--repository", self.fake.repository())

    def fill(self):
        call("sync", "--data-dir", self.data, *self.flags)

    def test_a_daemon_without_any(self):
        """What it opens gets no number that the log is written to."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        daemon = Specman(*self.flags, "--log-level", "debug", "--access-log",
                         data=self.data, listen=f"127.0.0.1:{port}",
                         log=os.path.join(self.folder(), "stderr.log"),
                         wrapper=CLOSED)
        self.addCleanup(daemon.finish)
        sync = call("sync", "--data-dir", self.data, check=False)
        while sync.returncode and daemon.process.poll() is None:
            sync = call("sync", "--data-dir", self.data, check=False)
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


if __name__ == "__main__":
    unittest.main()
