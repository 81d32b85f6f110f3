"""`specman check`: each cause that lib/mishaps.py makes happen has to be named
together with what to do about it; and what holds whatever is wrong."""
import concurrent.futures
import os
import re
import shlex
import signal
import threading
import unittest

from lib import artifact, hidden, proc, push_mishaps, secret
from lib.case import Case
from lib.daemon import REPORT, environment, program
from lib.faulty import FakeRegistry
from lib.mishaps import (CAUSES, TOLD_BY_FIPS, TOLD_BY_ROUNDS,
                         users_that_cannot_be_used)
from lib.registry import PATH
from lib.stage import (PASSWORD, USER, Run, Stage, closed_port,
                       in_mounts)
from lib.wait import patience, until


def check(run, seconds=90):
    """The check's exit code and what it printed."""
    done = proc.run([*run.wrapper, program(), "check", *run.flags],
                    seconds, check=False, env=environment(run.env))
    stdout, stderr = done.stdout.decode(), done.stderr.decode()
    if REPORT.search(stderr):
        raise AssertionError("sanitizer report:\n" + stderr)
    return done.returncode, stdout, stderr


class EachCause(Case):
    """All checks run side by side: where the client asks again, they wait."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(cls)
        cls.pool = concurrent.futures.ThreadPoolExecutor(8)
        cls.addClassCleanup(cls.pool.shutdown)
        cls.runs = {}
        for title, _, _, _, set_up in CAUSES:
            cls.runs[title] = cls.pool.submit(check, set_up(cls.stage))

    def check_row(self, title, name, verdict, says):
        code, stdout, stderr = self.runs[title].result()
        self.assertRegex(
            stdout, rf"(?m)^{verdict} +[^\n]+: [^\n]*{says}[^\n]*\n"
            rf"  cause: {name}\n  do: .{{20,}}$", stderr)
        self.assertEqual(code, 1 if verdict == "FAIL" else 0, stdout + stderr)


for *_row, _ in CAUSES:
    setattr(EachCause, "test_" + _row[0],
            lambda self, row=tuple(_row): self.check_row(*row))


class Check(Case):
    """What holds whatever is wrong."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(cls)

    def test_there_are_at_least_25_causes(self):
        self.assertGreaterEqual(len({row[1] for row in CAUSES}), 25)

    def test_every_cause_has_a_row(self):
        """What the program can advise, it is made to advise here, by push_test,
        or (a release that is older) by overlay_test."""
        table = os.path.join(os.path.dirname(__file__), *[os.pardir] * 2,
                             "daemon", "advice.c")
        with open(table, encoding="utf-8") as file:
            names = re.findall(r'\] = \{\s*"([a-z0-9-]+)"', file.read())
        self.assertGreaterEqual(len(names), 25)
        self.assertEqual(set(names), {row[1] for row in CAUSES}
                         | push_mishaps.CAUSES | TOLD_BY_ROUNDS
                         | TOLD_BY_FIPS)

    def test_all_is_well(self):
        folder = self.stage.folder()
        run = Run("--registry-secret-dir", self.stage.secret(
            **secret.platform(self.stage.registry)).folder,
            *self.stage.serving(), "--data-dir", folder,
            env={"SPECMAN_POLL_INTERVAL": "5m"})
        code, stdout, stderr = check(run)
        self.assertEqual(code, 0, stdout + stderr)
        self.assertNotRegex(stdout, "(?m)^(FAIL|warn|skip)")
        for step in ("configuration", "secret", "data directory",
                     "OpenSSL", "certificate", "client CA", "users", "hook",
                     "clock", "reach", "TLS", "login",
                     "tags", "digest", "manifest", "content"):
            self.assertRegex(stdout, f"(?m)^ok   {step}: ")
        self.assertIn("--poll-interval 5m  [environment: "
                      "SPECMAN_POLL_INTERVAL]", stdout)
        self.assertIn(f"--data-dir {folder}  [flag]", stdout)
        self.assertIn("--poll-jitter 10%  [default]", stdout)
        self.assertIn(f"  username {USER}  [secret]", stdout)
        self.assertRegex(stdout, r"  password \*{8} .*\[secret\]")
        self.assertNotIn(PASSWORD, stdout + stderr)
        self.assertEqual(os.listdir(folder), [], "it changes nothing")

    def test_given_cas_are_trusted_besides_those_of_the_system(self):
        for given in self.stage.other_ca.ca, self.stage.authority.ca:
            run = Run(*self.stage.plain()[:2], "--registry-ca", given,
                      *self.stage.data(), wrapper=in_mounts(
                          'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt',
                          self.stage.authority.ca
                          if given == self.stage.other_ca.ca
                          else self.stage.other_ca.ca))
            code, stdout, _ = check(run)
            self.assertEqual(code, 0, stdout)

    def test_anonymous_access_is_said_to_be_that(self):
        run = Run(*self.stage.plain(), *self.stage.data())
        code, stdout, _ = check(run)
        self.assertEqual(code, 0, stdout)
        self.assertRegex(stdout, "(?m)^ok   login: anonymous")

    def test_a_flag_counts_more_than_the_secret(self):
        keys = secret.platform(self.stage.registry, "elsewhere")
        _, stdout, _ = check(Run(
            "--registry-secret-dir", self.stage.secret(**keys).folder,
            "--repository", self.stage.registry.repository(),
            "--data-dir", self.stage.folder()))
        self.assertRegex(stdout, r"  endpoint \S+  \[secret, but what counts "
                         r"is --repository\]")
        self.assertRegex(stdout, "(?m)^ok   content: 4.5.13")

    def test_the_newest_that_is_taken_is_tried(self):
        """What the policy leaves out decides nothing."""
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        for tag in "1.0.0", "2.0.0":
            fake.push(tag, artifact.tgz({tag: b"a"}))
        fake.push("3.0.0", b"", manifest=b"no manifest at all")
        flags = ("--plain-http", "--repository", fake.repository(),
                 *self.stage.data())
        code, stdout, _ = check(Run(*flags))
        self.assertEqual(code, 1, stdout)
        code, stdout, _ = check(Run(*flags, "--tag-semver", "<3"))
        self.assertEqual(code, 0, stdout)
        self.assertRegex(stdout, "(?m)^ok   tags: .* has 3, of which 2 are "
                         "taken; the newest of these is 2.0.0$")
        self.assertRegex(stdout, "(?m)^ok   manifest: 2.0.0 has")

    def test_who_may_ask(self):
        users = self.stage.file("".join(f"{name}:{hash_}\n" for name, hash_ in (
            ("a", "$2y$05$" + "a" * 53), ("b", "$2b$05$" + "b" * 53),
            ("c", "$5$salt$" + "c" * 43), ("d", "$6$salt$" + "d" * 86),
            ("e", "$6$rounds=5000$salt$" + "e" * 86))))
        flags = [*self.stage.plain(), *self.stage.data()]
        hidden.hide("a" * 53, "b" * 53, "c" * 43, "d" * 86, "e" * 86)
        code, stdout, _ = check(Run(
            *flags, "--htpasswd", users, "--tls-client-ca",
            self.stage.authority.ca))
        self.assertEqual(code, 0, stdout)
        self.assertIn(f"ok   users: {users} has 5: 2 by bcrypt, 1 by "
                      "SHA-256-crypt, 2 by SHA-512-crypt\n", stdout)
        self.assertRegex(stdout, r"(?m)^ok   client CA: \S+ has 1, good until "
                         r"\d{4}-\d\d-\d\d; a client has to show a certificate$")
        _, stdout, _ = check(Run(*flags, "--tls-client-auth", "request",
                                 "--tls-client-ca", self.stage.authority.ca))
        self.assertRegex(stdout, "(?m)^ok   client CA: .*; a client may show a "
                         "certificate$")
        self.assertRegex(stdout, "(?m)^ok   users: no --htpasswd is given")

    def test_each_line_that_cannot_be_used_is_told(self):
        _, stdout, _ = check(users_that_cannot_be_used(self.stage))
        for line in (
                "line 2: MD5 hashes are not taken; make a bcrypt hash: "
                "htpasswd -B", "line 4: this user is there already",
                "line 5: SHA-1 hashes without salt are not taken; make a "
                "bcrypt hash: htpasswd -B", "line 6: not of the form USER:HASH",
                "line 7: no whole bcrypt hash"):
            self.assertIn(line + "\n", stdout)
        self.assertNotIn("line 3", stdout)

    def test_steps_behind_a_failed_one_are_skipped(self):
        _, stdout, _ = check(Run(
            "--repository", f"127.0.0.1:{closed_port()}/{PATH}",
            *self.stage.data()))
        for step in ("TLS", "login", "tags", "digest", "manifest", "content"):
            self.assertRegex(stdout, f"(?m)^skip {step}: ")

    def test_a_large_blob_is_not_downloaded(self):
        fake = self.stage.fake()
        layer = bytes(8 << 20)
        fake.push("5.0.0", layer)
        closed = []

        def trickle(request):
            request.send_response(200)
            request.send_header("Content-Length", str(len(layer)))
            request.end_headers()
            try:
                request.wfile.write(layer[:128 << 10])
                request.wfile.flush()
                return request.wait_closed()
            finally:  # also when it has hung up before all was written
                closed.append(True)
        fake.on("GET", "/blobs/", trickle)
        code, stdout, _ = check(Run(
            "--repository", fake.repository(), "--registry-ca",
            self.stage.authority.ca, *self.stage.data()))
        self.assertEqual(code, 0, stdout)
        self.assertRegex(stdout, "(?m)^ok   content: 5.0.0: its first ")
        until(lambda: closed, "the connection to be closed")

    def test_beside_a_daemon(self):
        fake = self.stage.fake()
        flags = ["--repository", fake.repository(), "--registry-ca",
                 self.stage.authority.ca, "--poll-interval", "1h"]
        daemon = self.start(*flags)
        daemon.wait_log('msg="Sync done"')
        before = daemon.mark()
        code, stdout, _ = check(Run(*flags, "--data-dir", daemon.data))
        self.assertEqual(code, 0, stdout)
        self.assertRegex(stdout, "(?m)^ok   certificate: .*own CA")
        self.check_store(daemon.data)
        self.assertEqual(daemon.lines(before), [])

    def test_an_error_is_one_line(self):
        """What a value says can't look like a line of the check."""
        code, stdout, _ = check(self.stage.mounted(
            *self.stage.plain(), credentialType="a\nok   login: fine"))
        self.assertEqual(code, 1)
        self.assertRegex(stdout, r"(?m)^FAIL .*a\?ok   login: fine")
        self.assertNotRegex(stdout, "(?m)^ok   login")

    def test_usage_is_exit_code_2(self):
        code, stdout, stderr = check(Run("--no-such-flag"))
        self.assertEqual(code, 2)
        self.assertEqual(stdout, "")
        self.assertIn("--no-such-flag", stderr)

    def test_help_names_it(self):
        done = proc.run([program(), "--help"], env=environment())
        self.assertRegex(done.stdout.decode(), "(?m)^  check +test ")

    def test_control_c_ends_it(self):
        fake = self.stage.fake()
        asked = threading.Event()

        def stall(request):
            asked.set()
            return request.wait_closed()
        fake.on("GET", "/tags/list", stall)
        command = [program(), "check", "--repository", fake.repository(),
                   "--registry-ca", self.stage.authority.ca,
                   *self.stage.data()]
        with open(os.path.join(self.folder(), "out"), "w+b") as out:
            process = proc.spawn(command, stdout=out, stderr=out,
                                 env=environment())
            self.addCleanup(proc.end, process)
            self.assertTrue(asked.wait(patience(30)), shlex.join(command))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(patience(30)), 1)
            out.seek(0)
            self.assertRegex(out.read().decode(),
                             "(?m)^skip tags: interrupted")

    def test_the_log_names_cause_and_advice_once(self):
        folder = self.folder()
        daemon = self.start("--registry-config", self.stage.file("{"),
                            "--repository", self.stage.registry.repository(),
                            "--poll-interval", "1h", data=folder)
        found = daemon.wait_log("msg=\"Sync failed\"")
        self.assertEqual(found["cause"], "docker-config-broken")
        self.assertIn("kubectl create secret", found["advice"])
        since = daemon.mark()
        with open(daemon.command[daemon.command.index("--registry-config") +
                                 1], "w", encoding="ascii") as file:
            file.write("[]")
        daemon.poll_now()
        again = daemon.wait_log("msg=\"Sync failed\"", since)
        self.assertEqual(again["cause"], "docker-config-broken")
        self.assertNotIn("advice", again)


if __name__ == "__main__":
    unittest.main()
