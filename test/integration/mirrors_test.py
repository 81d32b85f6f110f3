"""A repository at several places: who is asked, who is believed, and who is
told which credentials."""
import json
import os
import threading
import unittest

from lib import artifact, secret, tree
from lib.case import FakeCase
from lib.faulty import blob, error
from lib.registry import PATH, Registry, basic
from lib.wait import until

TREE = {"roar/nickfury/versions.yaml": b"of the release\n",
        "big.bin": tree.binary("mirrors", 300000)}


class MirrorCase(FakeCase):
    def setUp(self):
        super().setUp()
        self.first = self.fake
        self.second = self.registry()
        self.layer = artifact.tgz(TREE)
        self.manifest = artifact.oras_manifest(self.layer)
        self.digest = artifact.digest(self.manifest)
        self.blob = "/blobs/" + artifact.digest(self.layer)
        for registry in (self.first, self.second):
            registry.push("1.0.0", self.layer, manifest=self.manifest)

    def run_daemon(self, *flags, mirrors=None):
        mirrors = [self.second] if mirrors is None else mirrors
        self.fake = self.first
        return super().run_daemon(
            *(flag for mirror in mirrors for flag in
              ("--repository-mirror", mirror.repository())), *flags)

    def check_served(self, daemon, wanted=None):
        daemon.wait_log(r"msg=Published\b.* releases=1\b", seconds=60)
        self.check_tree(self.client(daemon), wanted or TREE)
        self.assertEqual(daemon.log().count("level=error"), 0)


class Failover(MirrorCase):
    """At every stage the next source is asked."""

    def test_healthy_repository_leaves_mirrors_alone(self):
        daemon = self.run_daemon()
        self.check_served(daemon)
        # One question, whether it agrees on what is new.
        self.assertEqual([r[0] for r in self.second.requests], ["HEAD"])
        daemon.poll_now()
        until(lambda: len(self.first.seen("GET", "/tags/list")) == 2,
              "another poll")
        self.assertEqual(len(self.second.requests), 1)

    def test_repository_is_down(self):
        self.first.stop()
        daemon = self.run_daemon()
        self.check_served(daemon)
        told = daemon.wait_log(r'msg="Asking the next source"')
        self.assertIn(self.first.host, told["source"])
        self.assertEqual(told["subject"], "tags")

    def test_repository_that_comes_back(self):
        """That is told, once it was asked again; and so is its next failure."""
        over = 'msg="The first source answers again"'
        down = threading.Event()
        down.set()
        self.first.on("GET", "", lambda request: down.is_set()
                      and (request.reply(500) or True))
        daemon = self.run_daemon("--poll-interval", "1s")
        self.check_served(daemon)
        daemon.wait_log('msg="Asking the next source"')
        down.clear()
        told = daemon.wait_log(over, seconds=90)
        self.assertIn(self.first.host, told["source"])
        self.assertTrue(self.first.seen("GET", "/tags/list"))
        mark = daemon.mark()
        down.set()
        daemon.wait_log('msg="Asking the next source"', mark)
        self.assertEqual(daemon.log().count(over), 1)

    def test_each_stage_alone(self):
        for method, pattern, answer in (
                ("GET", "/tags/list", 500), ("GET", "/tags/list", 404),
                ("GET", "/tags/list", 403), ("HEAD", "/manifests/", 429),
                ("GET", "/manifests/sha256", 502),
                ("GET", "/manifests/sha256", 404), ("GET", "/blobs/", 404),
                ("GET", "/blobs/", 503)):
            with self.subTest(stage=pattern, answer=answer):
                self.first.hooks.clear()
                self.first.on(method, pattern,
                              lambda request, answer=answer: request.reply(
                                  answer, error("NO", "not from here"),
                                  {"Retry-After": "1000"}))
                daemon = self.run_daemon()
                self.check_served(daemon)
                daemon.stop()

    def test_storage_behind_a_redirect_is_down(self):
        gone = self.registry(host="localhost")
        gone.stop()
        self.first.on("GET", self.blob, lambda request: request.reply(
            307, b"", {"Location": gone.url + "/x?sig=hush-hush"}))
        daemon = self.run_daemon()
        self.check_served(daemon)
        self.assertNotIn("hush-hush", daemon.log())

    def lose_manifests(self):
        """The registry knows the tag, and redirects to a storage that does not."""
        storage = self.registry(host="localhost")
        for method in ("GET", "HEAD"):
            storage.on(method, "^/lost", lambda request: request.reply(
                404, b"<Error><Code>NoSuchKey</Code></Error>"))
            self.first.on(method, "/manifests/1.0.0", lambda request: request.reply(
                307, b"", {"Location": storage.url + "/lost"}))

    def test_storage_behind_a_redirect_has_lost_the_tag(self):
        """Who has it in fact is asked: only a registry can say that it is gone."""
        self.lose_manifests()
        self.check_served(self.run_daemon())

    def test_tag_that_all_storages_have_lost(self):
        """That is a failure, and what is served stays, whatever is pruned."""
        daemon = self.run_daemon("--prune", mirrors=[])
        self.check_served(daemon)
        self.lose_manifests()
        daemon.poll_now()
        told = daemon.wait_log('msg="Tag not resolved"')
        self.assertEqual((told["kind"], told["cause"]), ("lost", "content-gone"))
        self.assertIn("NoSuchKey", told["error"])
        self.check_tree(self.client(daemon), TREE)

    def test_download_goes_on_at_the_mirror(self):
        half = len(self.layer) // 2

        def cut(request):
            request.reply(200, self.layer[:half], length=len(self.layer))
            return request.hang_up()
        self.first.on("GET", self.blob, cut)
        daemon = self.run_daemon()
        self.check_served(daemon)
        asked = self.second.seen("GET", self.blob)
        self.assertEqual([r[2].get("Range") for r in asked],
                         [f"bytes={half}-"])

    def test_wrong_bytes_are_replaced(self):
        wrong = bytearray(self.layer)
        wrong[len(wrong) // 2] ^= 1
        self.first.on("GET", self.blob,
                      lambda request: blob(request, bytes(wrong)))
        daemon = self.run_daemon()
        self.check_served(daemon)
        told = daemon.wait_log(r'msg="Asking the next source"')
        self.assertIn("digest", told["reason"])
        self.check_store(daemon.data)

    def test_wrong_manifest_is_replaced(self):
        self.first.on("GET", "/manifests/sha256", lambda request:
                      request.reply(200, self.manifest + b" ", {
                          "Content-Type": artifact.OCI_MANIFEST}))
        self.check_served(self.run_daemon())

    def test_when_all_fail_each_is_named(self):
        third = self.registry()
        for registry in (self.first, self.second, third):
            registry.on("GET", "/tags/list", lambda request: request.reply(
                403, error("DENIED", "no")))
        daemon = self.run_daemon(mirrors=[self.second, third])
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        for registry in (self.first, self.second, third):
            self.assertIn(registry.host, failed["error"])

    def test_second_mirror_is_a_real_registry(self):
        real = Registry(self.folder(), self.authority)
        self.addCleanup(real.stop)
        real.push("1.0.0", self.layer, manifest=self.manifest)
        self.first.stop()
        self.second.on("GET", "", lambda request: request.reply(500))
        self.check_served(self.run_daemon(mirrors=[self.second, real]))
        self.assertEqual(len(real.blob_gets()), 1)


class Belief(MirrorCase):
    """The digest is what the first source says; a tag that is gone is gone."""

    def test_mirror_that_disagrees_is_reported(self):
        other = self.second.push("1.0.0", artifact.tgz({"other": b"other"}))
        daemon = self.run_daemon()
        self.check_served(daemon)
        told = daemon.wait_log(r'level=warning msg="A source differs')
        self.assertIn(self.second.host, told["source"])
        self.assertEqual(told["subject"], "1.0.0")
        self.assertEqual(told["reason"], other)
        self.assertEqual(self.client(daemon).get("/other").status, 404)

    def test_mirror_that_lags_is_reported(self):
        del self.second.repositories[PATH].tags["1.0.0"]
        daemon = self.run_daemon()
        self.check_served(daemon)
        told = daemon.wait_log(r'level=warning msg="A source differs')
        self.assertRegex(told["reason"], "no such tag")

    def test_mirror_that_lags_takes_nothing_away(self):
        """What its list lacks is no proof, whatever is pruned."""
        for tag in "2.0.0", "3.0.0":
            layer = artifact.tgz({tag: tag.encode()})
            manifest = artifact.oras_manifest(layer)
            self.first.push(tag, layer, manifest=manifest)
        self.second.push("3.0.0", layer, manifest=manifest)
        del self.second.repositories[PATH].tags["1.0.0"]
        daemon = self.run_daemon("--prune")
        daemon.wait_log(r"msg=Published\b.* releases=3\b")
        self.first.on("GET", "/tags/list", lambda request: request.reply(404))
        daemon.poll_now()
        told = daemon.wait_log('msg="Nothing pruned"')
        self.assertIn("a mirror's", told["reason"])
        self.assertEqual(self.client(daemon).get("/2.0.0").status, 200)
        # By the repository's own word they go.
        self.first.hooks.clear()
        del self.first.repositories[PATH].tags["2.0.0"]
        daemon.poll_now()
        daemon.wait_log('msg="Release dropped".*2\\.0\\.0')

    def test_mirror_does_not_raise_the_dead(self):
        """Listed, then deleted before it was asked for."""
        self.first.push("2.0.0", artifact.tgz({"two": b"two"}))
        self.second.push("2.0.0", artifact.tgz({"undead": b"undead"}))
        for method in ("HEAD", "GET"):
            self.first.on(method, "/manifests/2.0.0", lambda request:
                          request.reply(404, error("MANIFEST_UNKNOWN", "")))
        daemon = self.run_daemon()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        daemon.wait_log(r'level=error .*\b2\.0\.0\b.*404')
        self.assertEqual(self.second.seen("HEAD", "2.0.0"), [])
        self.assertEqual(self.client(daemon).get("/undead").status, 404)

    def test_list_of_the_mirror_and_digests_of_it(self):
        """Who gave the list is asked for the digests first."""
        self.first.on("GET", "/tags/list", lambda request:
                      request.reply(404, error("NAME_UNKNOWN", "")))
        self.first.push("1.0.0", artifact.tgz({"old": b"old"}))
        daemon = self.run_daemon()
        self.check_served(daemon)


class Credentials(MirrorCase):
    """Each source has its own."""

    def test_credentials_stay_where_they_belong(self):
        first = self.first = self.registry(user="one", password="first-secret")
        second = self.second = self.registry(user="two", password="second-secret",
                                         host="localhost")
        second.push("1.0.0", self.layer, manifest=self.manifest)
        first.push("1.0.0", self.layer, manifest=self.manifest)
        first.on("GET", "/blobs/", lambda request: request.reply(500))
        config = os.path.join(self.folder(), "config.json")
        with open(config, "w", encoding="ascii") as file:
            json.dump({"auths": {
                first.host: {"username": "one", "password": "first-secret"},
                second.host: {"auth": basic("two", "second-secret")[6:]}}},
                file)
        daemon = self.run_daemon("--registry-config", config)
        self.check_served(daemon)
        for registry, own in ((first, first.login), (second, second.login)):
            said = {r[2].get("Authorization") for r in registry.requests}
            self.assertEqual(said - {None}, {own})

    def test_username_of_the_flags_is_for_the_repository(self):
        password = os.path.join(self.folder(), "password")
        with open(password, "w", encoding="ascii") as file:
            file.write("first-secret")
        for registry in (self.first, self.second):
            registry.login = basic("one", "first-secret")
        self.first.on("GET", "/blobs/", lambda request: request.reply(404))
        daemon = self.start(
            "--repository", self.first.repository(), "--poll-interval", "1h",
            "--registry-ca", self.authority.ca, "--registry-username", "one",
            "--registry-password-file", password, "--repository-mirror",
            self.second.repository().replace("127.0.0.1", "localhost"))
        daemon.wait_log(r"level=error .*\b1\.0\.0\b")
        for _, _, headers in self.second.requests:
            self.assertNotIn("Authorization", headers)

    def test_mirrors_of_the_secret(self):
        self.first.stop()
        path = "copies/" + PATH
        self.second.push("1.0.0", self.layer, path, self.manifest)
        mounted = secret.Secret(
            os.path.join(self.folder(), "secret"),
            **{"endpoint": self.first.url,
               "baseContentPath": "spectro-packs",
               "caCert": open(self.authority.ca, encoding="ascii").read(),
               "mirrorRegistries":
               "docker.io::other.example.com/v2/docker.io,"
               f"{self.first.host}::{self.second.host}/v2/copies"})
        daemon = self.start("--registry-secret-dir", mounted.folder,
                            "--poll-interval", "1h")
        self.check_served(daemon)

    def test_bad_mapping_is_named(self):
        mounted = secret.Secret(
            os.path.join(self.folder(), "secret"),
            endpoint=self.first.url, baseContentPath="spectro-packs",
            mirrorRegistries="somewhere.example.com")
        daemon = self.start("--registry-secret-dir", mounted.folder,
                            "--poll-interval", "1h")
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertIn("somewhere.example.com", failed["error"])
        self.assertIn("src::dest", failed["error"])


if __name__ == "__main__":
    unittest.main()
