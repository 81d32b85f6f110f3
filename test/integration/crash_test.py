"""kill -9 in the middle of a sync: what is committed is whole, the rest is not
there, and the store heals at the next start."""
import os
import random
import time
import unittest

from lib import artifact, tree
from lib.case import Case, quote
from lib.daemon import Specman
from lib.faulty import FakeRegistry
from lib.wait import until

FILES = 1000
KILLS = 10


def contents(tag, generation):
    """A thousand files of one tag's own, some the same in both."""
    files = {}
    for number in range(FILES):
        size = 100 + 53 * number % 5000
        seed = f"shared {number}" if number % 10 == 0 else \
            f"{tag} {generation} {number}"
        files[f"{tag}/{number % 13}/file-{number:04}.yaml"] = \
            tree.text(seed, size)
    return files


class Killed(Case):
    def setUp(self):
        self.rng = random.Random()
        self.seed = self.rng.getrandbits(32)
        self.rng.seed(self.seed)
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.flags = ("--plain-http", "--poll-interval", "1h",
                      "--repository", self.fake.repository())
        self.away = ("--plain-http", "--poll-interval", "1h",
                     "--repository", "127.0.0.1:1/spectro-manifests/manifest")

    def launch(self, data, *flags):
        """A daemon that a test kills by itself."""
        folder = self.folder()
        daemon = Specman(*(flags or self.flags), data=data,
                         log=os.path.join(folder, "stderr.log"))
        self.addCleanup(daemon.finish)
        return daemon

    def full_sync_seconds(self):
        data = self.folder()
        start = time.monotonic()
        daemon = self.launch(data)
        daemon.wait_log('msg="Sync done"', seconds=120)
        took = time.monotonic() - start
        daemon.kill()
        return took

    def state(self, client, candidates):
        """Which of a tag's candidate trees is served: its index, or None
        when the tag is absent. Anything in between fails."""
        if client.get("/").status == 503:
            return None
        answers = {path: client.get("/" + quote(path))
                   for path in candidates[0]}
        statuses = {answer.status for answer in answers.values()}
        if statuses == {404}:
            return None
        self.assertEqual(statuses, {200}, "part of a release is served")
        for index, files in enumerate(candidates):
            if all(answers[path].body == data
                   for path, data in files.items()):
                return index
        self.fail("a mix of two releases, or wrong bytes, is served")

    def kill_at_random(self, data, limit):
        """Starts a sync and kills it within the time of a whole one."""
        daemon = self.launch(data)
        moment = time.monotonic() + self.rng.uniform(0, limit)
        while time.monotonic() < moment and daemon.process.poll() is None:
            time.sleep(0.001)
        self.assertIsNone(daemon.process.poll(), daemon.tail())
        daemon.kill()
        daemon.check_reports()

    def examine(self, data, candidates):
        """Starts without a registry; returns the state of each tag."""
        daemon = self.launch(data, *self.away)
        client = self.client(daemon)
        states = {tag: self.state(client, trees)
                  for tag, trees in candidates.items()}
        committed = {name.removesuffix(".mtree") for name in
                     os.listdir(os.path.join(data, "releases"))
                     if name.endswith(".mtree")}
        self.assertEqual({t for t, s in states.items() if s is not None},
                         committed)
        self.check_objects(data)
        client.close()
        daemon.stop()
        return states

    def check_objects(self, data):
        """What no release names is gone after the start; what one names is
        there and is what its name says. (tmp/ may hold a download that can
        go on.)"""
        until(lambda: self.stored_objects(data) == self.named_objects(data),
              "objects/ to hold what the releases name", 30,
              lambda: f"{len(self.stored_objects(data))} stored, "
                      f"{len(self.named_objects(data))} named")
        for name in self.named_objects(data):
            with open(os.path.join(data, "objects", name[:2], name[2:]),
                      "rb") as file:
                self.assertEqual(artifact.digest(file.read()),
                                 "sha256:" + name)

    def test_ten_kills_of_a_first_sync_and_of_an_update(self):
        """Five kills of a sync into an empty store, five of a sync that
        replaces both releases: 2,000 files each."""
        old = {tag: contents(tag, "old") for tag in ("1.0.0", "1.0.1")}
        new = {tag: contents(tag, "new") for tag in old}
        self.push(old)
        limit = self.full_sync_seconds()
        seen = []
        with self.subTest(seed=self.seed):
            for number in range(KILLS // 2):
                data = self.folder()
                self.push(old)
                self.kill_at_random(data, limit)
                states = self.examine(
                    data, {tag: [files] for tag, files in old.items()})
                seen.append(states)
                self.finish_sync(data, old)
                self.push(new)
                self.kill_at_random(data, limit)
                states = self.examine(
                    data, {tag: [old[tag], new[tag]] for tag in old})
                seen.append(states)
                self.assertNotIn(None, states.values(),
                                 "an update took a release away")
                if number == 0:
                    self.finish_sync(data, new)
            self.assertEqual(len(seen), KILLS)

    def push(self, trees):
        for tag, files in trees.items():
            self.fake.push(tag, artifact.tgz(files))

    def finish_sync(self, data, trees):
        """The next round brings what the kill prevented."""
        daemon = self.launch(data, *self.flags, "--log-level", "debug",
                             "--view-lease", "off")
        daemon.wait_log('msg="(Sync done|Nothing new)"', seconds=120)
        client = self.client(daemon)
        for tag, files in trees.items():
            self.assertEqual(self.state(client, [files]), 0, tag)
        client.close()
        daemon.stop()
        self.check_store(data)

    def test_rubbish_of_a_crash_is_swept(self):
        """Leftovers as a crash leaves them: a download, an object that no
        release names, a release that was not committed."""
        self.fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))
        data = self.folder()
        first = self.launch(data)
        first.wait_log('msg="Sync done"')
        first.stop()
        name = artifact.digest(b"nobody's").split(":")[1]
        os.makedirs(os.path.join(data, "objects", name[:2]), exist_ok=True)
        for path, body in (
                (os.path.join("objects", name[:2], name[2:]), b"nobody's"),
                ("tmp/object.XYZ", b"half"),
                ("releases/.1.0.1.mtree.tmp", b"#mtree\n")):
            with open(os.path.join(data, path), "wb") as file:
                file.write(body)
        os.mkdir(os.path.join(data, "lost+found"))
        again = self.launch(data, *self.away)
        client = self.client(again)
        self.assertEqual(client.get("/a.yaml").body, b"a\n")
        self.assertEqual(client.get("/1.0.1").status, 404)
        self.check_store(data)
        self.assertTrue(os.path.isdir(os.path.join(data, "lost+found")))

    def test_store_of_a_newer_version_is_refused(self):
        data = self.folder()
        first = self.launch(data, *self.away)
        first.address()
        first.stop()
        path = os.path.join(data, "format")
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "specman-store 1\n")
        os.chmod(path, 0o644)
        with open(path, "w", encoding="ascii") as file:
            file.write("specman-store 99\n")
        second = self.launch(data, *self.away)
        self.assertEqual(second.wait(), 1)
        self.assertRegex(second.log(), "level=error .*99")


if __name__ == "__main__":
    unittest.main()
