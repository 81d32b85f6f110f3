"""Requests while releases are published: each answer is whole and from one
release."""
import threading
import unittest

from lib import artifact, tree
from lib.case import Case
from lib.client import Client
from lib.registry import Registry
from lib.wait import patience

CONNECTIONS, RELEASES = 50, 20
PATHS = [f"roar/nickfury/file-{number}.yaml" for number in range(8)]


def contents(number):
    """The same paths in each release, in sizes of their own: from nothing to
    more than a socket's buffers take."""
    return {path: tree.text(f"{number} {path}",
                            (7919 * (number + 1) * (at + 3)) % 400000
                            if at else number)
            for at, path in enumerate(PATHS)}


class Publishing(Case):
    def test_thousand_requests_while_twenty_releases_come(self):
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        releases = {f"1.0.{n}": contents(n) for n in range(RELEASES)}
        layers = {tag: artifact.tgz(files)
                  for tag, files in releases.items()}
        base = contents(99)
        releases["0.9.0"] = base
        registry.push("0.9.0", artifact.tgz(base))
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--repository", registry.repository())
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        ca, address = daemon.ca(), daemon.address()

        begin = [threading.Event() for _ in range(RELEASES)]
        answers = [[] for _ in range(CONNECTIONS)]
        errors = []

        def requests(number):
            client = Client(address, ca)
            try:
                client.get("/")
                connection = client._connection.sock
                for round_, event in enumerate(begin):
                    event.wait()
                    path = PATHS[(number + round_) % len(PATHS)]
                    answers[number].append((path, client.get("/" + path)))
                if client._connection.sock is not connection:
                    errors.append(f"connection {number} was not kept")
            except Exception as error:
                errors.append(f"connection {number}: {error!r}")
            finally:
                client.close()
        threads = [threading.Thread(target=requests, args=(number,),
                                    daemon=True)
                   for number in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            for number, event in enumerate(begin):
                tag = f"1.0.{number}"
                registry.push(tag, layers[tag])
                daemon.poll_now()
                event.set()  # the requests of this round run against it
                daemon.wait_log(
                    rf"msg=Published\b.* releases={number + 2}\b")
        finally:
            for event in begin:
                event.set()
            for thread in threads:
                thread.join(patience(120))
        self.assertEqual(errors, [])
        self.judge([a for row in answers for a in row], releases)
        self.check_tree(self.client(daemon), releases[f"1.0.{RELEASES - 1}"])

    def judge(self, answers, releases):
        self.assertEqual(len(answers), CONNECTIONS * RELEASES)
        bodies = {}  # (path, ETag) -> body
        for path, answer in answers:
            self.assertEqual(answer.status, 200)
            self.assertEqual(int(answer["Content-Length"]), len(answer.body))
            tag = answer["Specman-Release"]
            self.assertIn(tag, releases)
            self.assertEqual(artifact.digest(answer.body),
                             artifact.digest(releases[tag][path]),
                             f"{path} is not that of {tag}")
            etag = answer["ETag"]
            self.assertRegex(etag, r'^"[^"]+"$')
            self.assertEqual(bodies.setdefault((path, etag), answer.body),
                             answer.body)
        self.assertEqual(len({body for body in bodies.values()}),
                         len({etag for _, etag in bodies}))
        self.assertGreater(len({a["Specman-Release"] for _, a in answers}), 1,
                           "all requests were answered from one release")


if __name__ == "__main__":
    unittest.main()
