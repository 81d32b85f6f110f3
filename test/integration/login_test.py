"""Basic authentication of clients: --htpasswd."""
import base64
import os
import signal
import socket
import ssl
import threading
import time
import unittest

from lib import artifact, hidden, proc
from lib.case import Case
from lib.client import Client, plain
from lib.faulty import FakeRegistry
from lib.wait import until
from lib.wire import Broken, Wire, request

GOOD, OTHER = "corréct:horse", "battery staple"
PATH = "/a.yaml"


def basic(user, password):
    return "Basic " + base64.b64encode(
        f"{user}:{password}".encode()).decode()


def line(user, password, kind="bcrypt", cost=4):
    """A line of an htpasswd file, made by Debian's tools."""
    if kind == "bcrypt":
        made = proc.run(["htpasswd", "-niBC", str(cost), user],
                        input=password.encode())
        return made.stdout.decode().strip() + "\n"
    made = proc.run(["openssl", "passwd", kind, "-stdin"],
                    input=password.encode())
    return f"{user}:{made.stdout.decode().strip()}\n"


class Login(Case):
    def setUp(self):
        for password in (GOOD, OTHER):
            hidden.hide(password)
        self.users = os.path.join(self.folder(), "users")

    def write(self, *lines):
        """As a mounted secret changes: in one rename."""
        with open(self.users + ".new", "w", encoding="utf-8") as file:
            file.writelines(lines)
        os.rename(self.users + ".new", self.users)

    def serve(self, *lines, flags=()):
        self.write(*lines)
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n", "d/b": b"b\n"}))
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--repository", fake.repository(),
                            "--htpasswd", self.users, *flags)
        daemon.wait_log("msg=Published")
        return daemon

    def ask(self, client, authorization=None, path=PATH, method="GET"):
        headers = {"Authorization": authorization} if authorization else {}
        return client.request(method, path, headers)

    def test_who_may_ask(self):
        daemon = self.serve(
            "# users\n", "\n", line("bob", GOOD), line("eve", OTHER, "-5"),
            line("sue", GOOD, "-6").replace("\n", "\r\n"),
            line("jürgen", ""))
        client = self.client(daemon)
        for user, password in (("bob", GOOD), ("eve", OTHER), ("sue", GOOD),
                               ("jürgen", ""), ("bob", GOOD)):
            with self.subTest(user=user):
                answer = self.ask(client, basic(user, password))
                self.assertEqual((answer.status, answer.body), (200, b"a\n"))
        for value in (None, basic("bob", OTHER), basic("nobody", GOOD),
                      basic("", GOOD), basic("bob", GOOD + "x"), "Basic",
                      "Basic ", "Basic !!!!", "Basic Ym9i", "Bearer Ym9iOng=",
                      basic("bob", GOOD)[:-1], basic("BOB", GOOD),
                      basic("bob", GOOD) + " x", basic("bob", "a\0b"),
                      basic("bob", "x" * 600), basic("u" * 300, "x")):
            with self.subTest(value=value):
                answer = self.ask(client, value)
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer["WWW-Authenticate"],
                                 'Basic realm="specman", charset="UTF-8"')
                self.assertIsNone(answer["ETag"])
        # Spelling of the scheme; every path and method.
        self.assertEqual(self.ask(client, basic("bob", GOOD).replace(
            "Basic", "bAsIC ")).status, 200)
        for path in ("/", "/d", "/none", "/.specman/releases", "/%"):
            for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
                with self.subTest(path=path, method=method):
                    self.assertEqual(self.ask(client, None, path, method)
                                     .status, 401)
        self.assertEqual(plain(daemon.address("admin"), "/readyz").status, 200)

    def test_files_that_are_refused(self):
        good = line("bob", GOOD)
        for content, said in (
                (good + "eve:$apr1$x$y\n", "line 2: MD5"),
                (good + "\neve:{SHA}AAAA\n", "line 3: SHA-1"),
                ("eve:rqXexS6ZhobKA\n", "line 1: this form"),
                ("eve:plain\n", "line 1: this form"),
                ("eve:$2y$04$short\n", "line 1: no whole bcrypt"),
                ("eve:" + good.split(":")[1].replace("$04$", "$31$"),
                 "line 1: bcrypt with a cost of 31; at most 16"),
                ("eve:$6$rounds=99999999$a$" + "b" * 86 + "\n",
                 "line 1: SHA-crypt with 99999999 rounds"),
                ("eve:$6$a$b\n", "line 1: no whole SHA-crypt"),
                ("eve\n", "line 1: not of the form"),
                (good + good, "line 2: this user is there already"),
                ("# nobody\n", "there is no user")):
            with self.subTest(content=content):
                self.write(content)
                daemon = self.start("--repository", "localhost:1/x",
                                    "--htpasswd", self.users)
                self.assertIn(daemon.wait(), (1, 2))
                self.assertIn(said, daemon.log())
                self.assertNotIn("$2y$", daemon.log())
        daemon = self.start("--repository", "localhost:1/x", "--htpasswd",
                            "/not/there")
        self.assertIn(daemon.wait(), (1, 2))
        self.assertIn("/not/there", daemon.log())

    def test_file_that_changes(self):
        daemon = self.serve(line("bob", GOOD))
        client = self.client(daemon)
        self.assertEqual(self.ask(client, basic("bob", GOOD)).status, 200)
        mark = daemon.mark()
        self.write(line("bob", OTHER), line("eve", GOOD))
        daemon.wait_log('msg="Users taken over" count=2', mark)
        self.assertEqual(self.ask(client, basic("bob", GOOD)).status, 401)
        self.assertEqual(self.ask(client, basic("bob", OTHER)).status, 200)
        self.assertEqual(self.ask(client, basic("eve", GOOD)).status, 200)
        for broken in (["eve:$apr1$x$y\n"], None):
            mark = daemon.mark()
            if broken:
                self.write(*broken)
            else:
                os.unlink(self.users)
            daemon.wait_log('level=error msg="Users not taken over', mark)
            self.assertEqual(self.ask(client, basic("eve", GOOD)).status, 200)
            self.assertEqual(self.ask(client, basic("bob", OTHER)).status,
                             200)
        mark = daemon.mark()
        self.write(line("sue", GOOD))
        daemon.wait_log('msg="Users taken over" count=1', mark)
        self.assertEqual(self.ask(client, basic("eve", GOOD)).status, 401)

    def test_what_was_right_opens_nothing_for_others(self):
        """Hundreds who were let in are known: that is no help to guess."""
        end = line("x", GOOD).partition(":")[2]
        names = [f"user-{number}" for number in range(700)]
        daemon = self.serve(*(f"{name}:{end}" for name in names))
        client = self.client(daemon)
        for name in names:
            self.assertEqual(self.ask(client, basic(name, GOOD)).status, 200)
        for number in range(10):
            self.assertIn(self.ask(client, basic(
                names[number], f"guess {number}")).status, (401, 429))

    def test_names_that_nobody_has_are_not_told(self):
        """Who types the password in the wrong place does not find it in a log."""
        daemon = self.serve(line("bob", GOOD))
        hidden.hide("typed-by-mistake")
        self.assertEqual(self.ask(self.client(daemon), basic(
            "typed-by-mistake", "x")).status, 401)
        failed = daemon.wait_log('msg="Login failed"')
        self.assertEqual(failed["reason"], "no such user")
        self.assertNotIn("user", failed)

    def test_failures_are_slowed_down(self):
        daemon = self.serve(line("bob", GOOD))
        client = self.client(daemon)
        self.assertEqual(self.ask(client, basic("bob", GOOD)).status, 200)
        statuses = []

        def fail(number):
            answer = self.ask(client, basic("bob", f"wrong {number}"))
            statuses.append(answer.status)
            if answer.status == 429:
                self.assertEqual(answer["Retry-After"], "1")
            return answer.status == 429
        begun = time.monotonic()
        self.assertTrue(any(fail(number) for number in range(100)), statuses)
        # Ten at once, and one more a second.
        self.assertGreaterEqual(statuses.count(401), 10)
        self.assertLessEqual(statuses.count(401),
                             10 + time.monotonic() - begun)
        # Who is known goes on; who is not has a try a second.
        self.assertEqual(self.ask(client, basic("bob", GOOD)).status, 200)
        until(lambda: self.ask(client, basic("bob", "wrong")).status == 401,
              "another try")
        failed = [r for r in daemon.records() if r["msg"] == "Login failed"]
        self.assertEqual(len(failed), 1, failed)
        self.assertEqual((failed[0]["peer"], failed[0]["reason"],
                          failed[0]["user"]),
                         ("127.0.0.1", "wrong password", "bob"))

    def test_hashing_keeps_nobody_waiting(self):
        """While a worker's clients wait for bcrypt, others are answered."""
        self.assertTrue(any(self.overtakes() for _ in range(5)))

    def overtakes(self):
        """Whether one who is known was answered three times before the last of
        five who are not. A busy machine may not come to ask in time."""
        daemon = self.serve(line("bob", GOOD, cost=11),
                            flags=("--workers", "1"))
        client = self.client(daemon)
        self.assertEqual(self.ask(client, basic("bob", GOOD)).status, 200)
        wires, answered, threads = [], [], []

        def wait_for(wire):
            try:
                answered.append(wire.read().status)
            except Broken:
                answered.append(None)  # its time was over before its turn
        for _ in range(5):
            wires.append(Wire(Client(daemon.address(), daemon.ca()).raw()))
            self.addCleanup(wires[-1].close)
        for number, wire in enumerate(wires):
            wire.send(request(PATH, "Authorization: "
                              + basic("bob", f"wrong {number}")))
            threads.append(threading.Thread(target=wait_for, args=(wire,)))
            threads[-1].start()
        for _ in range(3):
            self.assertEqual(self.ask(client, basic("bob", GOOD)).status, 200)
        before = len(answered)
        for thread in threads:
            thread.join()
        daemon.stop()
        self.assertLessEqual(set(answered), {401, None})
        return before < 5 and None not in answered

    def test_one_user_of_many_clients(self):
        """As after a restart: all at once, from one address; each is right, so
        none is too often, and it is hashed once for all."""
        daemon = self.serve(line("bob", GOOD, cost=12), line("eve", OTHER))
        wires = [Wire(Client(daemon.address(), daemon.ca()).raw())
                 for _ in range(40)]
        for wire in wires:
            self.addCleanup(wire.close)
        for number, wire in enumerate(wires):
            wire.send(request(PATH, "Authorization: " + basic("bob", GOOD)
                              if number % 4 else "Authorization: "
                              + basic("bob", "wrong")))
        self.assertEqual([wire.read().status for wire in wires],
                         [200 if number % 4 else 401
                          for number in range(len(wires))])
        failed = [r for r in daemon.records() if r["msg"] == "Login failed"]
        self.assertEqual(len(failed), 1, failed)
        # The others are not told for it, and a failure is one failure.
        self.assertEqual(self.ask(self.client(daemon), basic("eve", OTHER))
                         .status, 200)

    def eight_guesses(self, daemon):
        """Sent at once, each on a connection of its own."""
        wires = [Wire(Client(daemon.address(), daemon.ca()).raw())
                 for _ in range(8)]
        for number, wire in enumerate(wires):
            self.addCleanup(wire.close)
            wire.send(request(PATH, "Authorization: "
                              + basic("bob", f"wrong {number}")))
        return wires

    def test_who_would_wait_too_long(self):
        """Is told so while there is time for an answer, and is not cut off."""
        daemon = self.serve(line("bob", GOOD, cost=16))
        answers = [wire.read() for wire in self.eight_guesses(daemon)]
        self.assertEqual({a.status for a in answers} - {401, 503}, set())
        for answer in answers:
            self.assertEqual(answer["Retry-After"] is not None,
                             answer.status == 503)

    def test_stop_while_hashing(self):
        daemon = self.serve(line("bob", GOOD, cost=13))
        self.eight_guesses(daemon)
        daemon.stop()

    def test_stop_with_tries_that_nobody_waits_for(self):
        """Their clients' time is over before their passwords are hashed: what
        is judged when all else has ended lets nobody in."""
        daemon = self.serve(line("bob", GOOD, cost=15),
                            flags=("--workers", "1", "--access-log"))
        wires = [Wire(Client(daemon.address(), daemon.ca()).raw())
                 for _ in range(10)]
        for number, wire in enumerate(wires):
            self.addCleanup(wire.close)
            wire.send(request("/.specman/releases/1.0.0" + PATH,
                              "Authorization: "
                              + basic("bob", f"wrong {number}")))
        daemon.wait_log('msg="Login failed"')  # all are read by then
        daemon.stop()
        asked = [r["status"] for r in daemon.records()
                 if r["msg"] == "Request"]
        self.assertEqual(len(asked), len(wires))
        self.assertFalse(set(asked) - {"401", "503", "-"}, asked)

    def test_many_addresses_hide_nothing(self):
        """Who fails from hundreds of addresses is told of, and makes no news
        of what the operator was told already."""
        daemon = self.serve(line("eva", GOOD), flags=("--log-level", "debug"))
        cert = os.path.join(daemon.data, "tls", "tls.crt")
        with open(cert, "w", encoding="ascii") as file:
            file.write("broken")
        os.rename(os.path.join(daemon.data, "tls", "ca.key"), cert + ".away")
        kept = 'msg="Certificate not reloaded"'
        mark, begun = daemon.mark(), time.monotonic()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_log(kept, mark)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for number in range(300):
            source = f"127.0.{1 + number // 200}.{1 + number % 200}"
            with socket.create_connection(daemon.address(), 30,
                                          (source, 0)) as sock, \
                    context.wrap_socket(sock) as tls:
                tls.sendall(request(PATH, "Authorization: " + basic(
                    "eva", "guess")))
                self.assertIn(b" 401 ", tls.recv(100))
        for _ in range(3):
            mark = daemon.mark()
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_log('msg="(Nothing new|Sync done)"', mark)
        told = daemon.log().count(kept)
        # After a minute it is told again by right.
        self.assertLessEqual(told, 1 + int((time.monotonic() - begun) / 60))
        self.assertEqual(daemon.log().count('msg="Login failed"'), 300)


if __name__ == "__main__":
    unittest.main()
