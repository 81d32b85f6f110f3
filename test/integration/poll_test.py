"""What a poll asks when nothing is new, and when polls are."""
import os
import signal
import threading
import time
import unittest

from lib import artifact
from lib.case import Case, FakeCase
from lib.faulty import FakeRegistry, basic
from lib.registry import PATH, Registry
from lib.wait import patience, until

TAGS = [f"4.{number // 10}.{number % 10}" for number in range(40)]


class NothingNew(Case):
    """40 tags for two manifests."""

    def setUp(self):
        self.registry = Registry(self.folder())
        self.addCleanup(self.registry.stop)
        layers = [artifact.tgz({f"roar/{name}.yaml": name.encode()})
                  for name in ("even", "odd")]
        manifests = [artifact.oras_manifest(layer) for layer in layers]
        for number, tag in enumerate(TAGS):
            self.registry.push(tag, layers[number % 2],
                               manifest=manifests[number % 2])

    def test_one_list_and_a_head_for_each_tag(self):
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--log-level", "debug",
                            "--repository", self.registry.repository())
        daemon.wait_log('msg="Sync done"')
        for _ in range(2):
            place, line = self.registry.mark(), daemon.mark()
            daemon.poll_now()
            fields = daemon.wait_log('msg="Nothing new"', line)
            self.assertEqual(fields["tags"], str(len(TAGS)))
            first, *rest = self.registry.requests(place)
            self.assertEqual(first[0], "GET")
            self.assertRegex(first[1], rf"^/v2/{PATH}/tags/list(\?|$)")
            self.assertEqual(sorted(rest), sorted(
                ("HEAD", f"/v2/{PATH}/manifests/{tag}", 200) for tag in TAGS))


class Reload(Case):
    """SIGHUP: everything is read anew, and not what seems to have changed."""

    def test_file_whose_change_does_not_show(self):
        """The password is another, in a file of the same size and time."""
        fake = FakeRegistry(user="user", password="first-password")
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        path = os.path.join(self.folder(), "password")

        def write(password):
            with open(path, "r+" if os.path.exists(path) else "w",
                      encoding="ascii") as file:
                file.write(password)
            os.utime(path, (1733488994, 1733488994))
        write("first-password")
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--log-level", "debug", "--registry-username",
                            "user", "--registry-password-file", path,
                            "--repository", fake.repository())
        daemon.wait_log('msg="Sync done"')
        for number in range(2):
            other = ("other-password", "third-password")[number]
            fake.login = basic("user", other)
            write(other)
            mark = daemon.mark()
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_log('msg="(Nothing new|Sync failed)"', mark)
            self.assertNotIn("Sync failed", daemon.log())


class Manner(FakeCase):
    """How it asks, of a registry that looks closely."""

    def test_questions_stand_side_by_side(self):
        """Sixteen tags: each HEAD is answered once all sixteen are there."""
        for number in range(16):
            self.fake.push(f"1.0.{number}", artifact.tgz({"a": b"a"}))
        meeting = threading.Barrier(16)

        def hook(request):
            meeting.wait(patience(20))
            return False
        self.fake.on("HEAD", "/manifests/", hook)
        daemon = self.run_daemon()
        daemon.wait_log(r"msg=Published\b.* releases=16\b", seconds=60)
        self.assertFalse(meeting.broken)

    def test_header_lines(self):
        """Each type of manifest is named, and what has a digest is not to be
        packed on its way."""
        self.fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        self.run_daemon().wait_log(r"msg=Published\b")
        for method, path, headers in self.fake.requests:
            self.assertEqual(headers["Accept-Encoding"], "identity", path)
            if "/manifests/" not in path:
                continue
            self.assertEqual(sorted(headers["Accept"].split(", ")), [
                "application/vnd.docker.distribution.manifest.list.v2+json",
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.oci.artifact.manifest.v1+json",
                "application/vnd.oci.image.index.v1+json",
                "application/vnd.oci.image.manifest.v1+json"], method)
        self.assertEqual({method for method, path, _ in self.fake.requests
                          if "/manifests/" in path}, {"HEAD", "GET"})

    def test_polls_back_off_and_come_back(self):
        """To ten times the interval; the first success ends that."""
        self.fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        times, failing = [], [True]

        def hook(request):
            times.append(time.monotonic())
            return failing[0] and request.reply(500)
        self.fake.on("GET", "/tags/list", hook)
        daemon = self.start(
            "--repository", self.fake.repository(), "--poll-interval", "100ms",
            "--poll-jitter", "0%", "--registry-retries", "0",
            "--registry-ca", self.authority.ca)

        def pauses(since):
            return [later - earlier for earlier, later in
                    zip(times[since:], times[since + 1:])]
        until(lambda: len(times) > 6, "polls", 60, daemon.tail)
        # A busy machine makes them longer, never shorter.
        for pause, least in zip(pauses(0), (0.2, 0.4, 0.8, 1, 1, 1)):
            self.assertGreaterEqual(pause, least - 0.01)
        until(lambda: any(pause < 1.6 for pause in pauses(3)),
              "a pause that is doubled no more", 60, daemon.tail)
        failing[0] = False
        daemon.wait_log(r"msg=Published\b")
        since = len(times)
        until(lambda: any(pause < 0.2 for pause in pauses(since)),
              "a pause of before", 60, daemon.tail)


if __name__ == "__main__":
    unittest.main()
