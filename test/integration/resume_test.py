"""Downloads that go on: after kill -9, in the next round, and never with bytes
that are not those of the digest."""
import os
import re
import time
import unittest

from lib import artifact, tree
from lib.case import Case
from lib.daemon import Specman
from lib.faulty import FakeRegistry
from lib.wait import until

DAY = 24 * 60 * 60


class Resume(Case):
    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.data = os.path.join(self.folder(), "data")
        self.content = {"a.bin": tree.binary("resumed", 600000)}
        self.layer = artifact.tgz(self.content)
        self.fake.push("1.0.0", self.layer)
        self.blob = "/blobs/" + artifact.digest(self.layer)
        self.partial = os.path.join(
            self.data, "tmp",
            "download-" + artifact.digest(self.layer).replace(":", "-"))
        self.sent = []  # bytes of each answer to a request for the blob

    def launch(self, *flags):
        daemon = Specman("--plain-http", "--poll-interval", "1h",
                         "--log-level", "debug",
                         "--repository", self.fake.repository(), *flags,
                         data=self.data,
                         log=os.path.join(self.folder(), "stderr.log"))
        self.addCleanup(daemon.finish)
        return daemon

    def break_off(self, share, hang=False):
        """The first answer ends, or stands still, in the middle."""
        def hook(request):
            if self.sent:
                return False
            part = self.layer[:int(len(self.layer) * share)]
            self.sent.append(len(part))
            request.reply(200, part, length=len(self.layer))
            return request.wait_closed() if hang else request.hang_up()
        self.fake.on("GET", self.blob, hook)

    def ranges(self):
        return [headers.get("Range")
                for _, _, headers in self.fake.seen("GET", self.blob)]

    def leave(self, data, age_s=0):
        """What an earlier process has left of the layer."""
        os.makedirs(os.path.dirname(self.partial), exist_ok=True)
        with open(self.partial, "wb") as file:
            file.write(data)
        then = time.time() - age_s
        os.utime(self.partial, (then, then))

    def published(self, daemon):
        daemon.wait_log("msg=Published")
        daemon.wait_log('msg="Sync done"')
        self.check_tree(self.client(daemon), self.content)
        self.check_store(self.data)
        self.assertNotIn("level=error", daemon.log())

    def test_after_a_kill(self):
        self.break_off(0.6, hang=True)
        first = self.launch()
        size = int(len(self.layer) * 0.6)
        until(lambda: os.path.exists(self.partial) and
              os.path.getsize(self.partial) == size, "a part of the layer")
        first.kill()
        second = self.launch()
        self.published(second)
        self.assertEqual(self.ranges(), [None, f"bytes={size}-"])
        self.assertEqual(second.wait_log("msg=.Downloading")["held"],
                         str(size))

    def test_in_the_next_round(self):
        self.break_off(0.5)
        daemon = self.launch("--registry-retries", "0")
        daemon.wait_log('msg="Release not fetched"')
        size = os.path.getsize(self.partial)
        self.assertEqual(size, self.sent[0])
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log("msg=Published", mark)
        self.assertEqual(self.ranges(), [None, f"bytes={size}-"])
        daemon.wait_log('msg="Sync done"', mark)
        self.check_store(self.data)

    def test_what_was_left(self):
        """Whatever it is: right, wrong, too long, all of it."""
        layer = self.layer
        half = len(layer) // 2
        damaged = bytearray(layer[:half])
        damaged[half // 2] ^= 1
        part = f"bytes={half}-"
        for what, left, ranges in (
                ("right", layer[:half], [part]),
                ("empty", b"", [None]),
                ("whole", layer, []),
                # Wrong bytes are found out with the last one; once as a whole.
                ("damaged", bytes(damaged), [part, None]),
                ("zeros, after a power loss", bytes(half), [part, None]),
                ("whole and damaged", bytes(damaged) + layer[half:], [None]),
                ("too long", layer + b"more", [None])):
            with self.subTest(what):
                self.data = os.path.join(self.folder(), "data")
                self.partial = os.path.join(self.data, "tmp",
                                            os.path.basename(self.partial))
                self.fake.requests.clear()
                self.leave(left)
                daemon = self.launch()
                self.published(daemon)
                self.assertEqual(self.ranges(), ranges)
                daemon.stop()

    def test_old_ones_are_swept_at_start(self):
        self.leave(self.layer[:1000], age_s=8 * DAY)
        self.published(self.launch())
        self.assertEqual(self.ranges(), [None])

    def test_others_stay_until_all_is_well(self):
        """While a tag is still to be fetched it may be the one; after a round
        that brought everything there is nothing left to go on with."""
        self.leave(b"of a layer that no tag has any more")
        left = re.sub("[0-9a-f]{8}$", "00000000", self.partial)
        os.rename(self.partial, left)
        self.fake.on("GET", "/blobs/", lambda request: request.reply(500))
        daemon = self.launch("--registry-retries", "0")
        daemon.wait_log('msg="Release not fetched"')
        self.assertTrue(os.path.exists(left))
        self.fake.hooks.clear()
        daemon.poll_now()
        self.published_again(daemon)
        self.assertFalse(os.path.exists(left))

    def published_again(self, daemon):
        daemon.wait_log("msg=Published")
        daemon.wait_log('msg="Sync done"')
        self.check_store(self.data)

    def test_link_in_its_place_is_not_followed(self):
        victim = os.path.join(self.folder(), "victim")
        with open(victim, "wb") as file:
            file.write(b"mine")
        os.makedirs(os.path.dirname(self.partial))
        os.symlink(victim, self.partial)
        daemon = self.launch("--registry-retries", "0")
        daemon.wait_log("msg=(Published|.Release not fetched)")
        with open(victim, "rb") as file:
            self.assertEqual(file.read(), b"mine")


if __name__ == "__main__":
    unittest.main()
