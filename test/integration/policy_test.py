"""Which tags are taken, and which releases are let go again."""
import os
import random
import shutil
import time
import unittest

from lib import artifact
from lib.case import Case
from lib.client import read_to_end
from lib.daemon import call
from lib.faulty import FakeRegistry
from lib.registry import Registry
from lib.wait import until

ROUND = 'msg="(Nothing new|Sync done|Sync failed)"'


def layer(tag, **more):
    """A release with a file of its own and one that all have."""
    files = {"versions.yaml": f"newest: {tag}\n".encode(),
             f"only/{tag}.yaml": f"{tag}\n".encode()}
    files.update({name: text.encode() for name, text in more.items()})
    return artifact.tgz(files)


class PolicyCase(Case):
    def run_against(self, registry, *flags, path=None, **options):
        repository = registry.repository(path) if path else \
            registry.repository()
        return self.start("--plain-http", "--repository", repository,
                          "--poll-interval", "1h", "--log-level", "debug",
                          "--view-lease", "off", *flags, **options)

    def round(self, daemon):
        """Has the daemon go one round; returns its records."""
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log(ROUND, mark)
        return daemon.records(mark)

    def first_round(self, daemon):
        daemon.wait_log(ROUND)
        return daemon.records()

    def dropped(self, records):
        return [(r["tag"], r["reason"]) for r in records
                if r.get("msg") == "Release dropped"]

    def published(self, records):
        return [r["tag"] for r in records if r.get("msg") == "Published"]

    def releases(self, daemon):
        return {name.removesuffix(".mtree") for name in
                os.listdir(os.path.join(daemon.data, "releases"))}

    def served(self, client, *tags):
        """Just these releases are served, the last on top."""
        for tag in ("0.0.0", "4.4.0", "4.5.13", "4.5.15", "5.0.0", "latest"):
            self.assertEqual(client.get(f"/only/{tag}.yaml").status,
                             200 if tag in tags else 404, tag)
        self.assertEqual(client.get("/versions.yaml").body,
                         f"newest: {tags[-1]}\n".encode())


class Real(PolicyCase):
    """Against docker-registry; a repository a test."""

    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(cls.class_folder())
        cls.addClassCleanup(cls.registry.stop)

    def setUp(self):
        self.path = self.id().split(".")[-1].replace("_", "-")

    def push(self, *tags):
        return {tag: self.registry.push(tag, layer(tag), self.path)
                for tag in tags}

    def run_here(self, *flags, **options):
        return self.run_against(self.registry, *flags, path=self.path,
                                **options)

    def forget(self, tag):
        """docker-registry 2.8 has no request that deletes a tag alone."""
        shutil.rmtree(os.path.join(
            self.registry.storage, "docker/registry/v2/repositories",
            self.path, "_manifests/tags", tag))

    def test_include_exclude_and_semver(self):
        self.push("0.0.0", "4.4.0", "4.5.13", "4.5.15", "5.0.0", "latest")
        since = self.registry.mark()
        daemon = self.run_here(
            "--tag-include", "^[0-9.]+$", "--tag-include", "latest",
            "--tag-exclude", "13$", "--tag-semver", ">=4.4 <5")
        self.first_round(daemon)
        self.served(self.client(daemon), "0.0.0", "4.4.0", "4.5.15")
        end = self.registry.mark()
        for tag in ("4.5.13", "5.0.0", "latest"):
            self.assertNotIn(f"/manifests/{tag} ",
                             self.registry.log()[since:end])

    def test_flags_from_the_environment(self):
        self.push("4.4.0", "5.0.0")
        daemon = self.run_here(env={"SPECMAN_TAG_SEMVER": "^4",
                                    "SPECMAN_MAX_RELEASES": "3"})
        self.first_round(daemon)
        self.served(self.client(daemon), "4.4.0")

    def test_deleted_tag_with_and_without_prune(self):
        digests = self.push("4.5.13", "4.5.15")
        keeps = self.run_here()
        prunes = self.run_here("--prune", "--allow-rollback")
        holds = self.run_here("--prune")
        for daemon in (keeps, prunes, holds):
            self.first_round(daemon)
        # A manifest that is deleted while its tag is listed proves nothing.
        self.registry.delete(digests["4.5.15"], self.path)
        for daemon in (keeps, prunes):
            self.round(daemon)
        tags = os.path.join(
            self.registry.storage, "docker/registry/v2/repositories",
            self.path, "_manifests/tags", "4.5.15")
        if os.path.exists(tags):
            self.served(self.client(prunes), "4.5.13", "4.5.15")
            self.forget("4.5.15")
            records = self.round(prunes)
        else:
            records = prunes.records()
        self.assertEqual(self.dropped(records), [("4.5.15", "tag is gone")])
        self.served(self.client(prunes), "4.5.13")
        self.check_store(prunes.data)
        self.round(keeps)
        self.served(self.client(keeps), "4.5.13", "4.5.15")
        self.assertEqual(self.dropped(keeps.records()), [])
        # The newest version is held, and that is said once.
        for _ in range(2):
            self.round(holds)
        self.served(self.client(holds), "4.5.13", "4.5.15")
        self.assertEqual(self.dropped(holds.records()), [])
        held = [r for r in holds.records() if r.get("msg") ==
                "Release kept although its tag is gone"]
        self.assertEqual([(r["tag"], r["cause"]) for r in held],
                         [("4.5.15", "rollback")])
        self.assertIn("--allow-rollback", held[0]["advice"])
        # A newer one takes its place.
        self.push("5.0.0")
        self.assertEqual(self.dropped(self.round(holds)),
                         [("4.5.15", "tag is gone")])
        self.served(self.client(holds), "4.5.13", "5.0.0")

    def test_prune_lets_go_of_what_the_policy_takes_no_more(self):
        self.push("4.5.13", "5.0.0")
        daemon = self.run_here()
        self.first_round(daemon)
        daemon.stop()
        keeps = self.run_here("--tag-semver", "<5", data=daemon.data)
        self.first_round(keeps)
        self.served(self.client(keeps), "4.5.13", "5.0.0")
        keeps.stop()
        prunes = self.run_here("--tag-semver", "<5", "--prune",
                               data=daemon.data)
        self.assertEqual(self.dropped(self.first_round(prunes)),
                         [("5.0.0", "outside the tag policy")])
        self.served(self.client(prunes), "4.5.13")

    def test_newest_releases_over_the_operators_own(self):
        self.push("0.0.0", "4.4.0", "4.5.13", "latest")
        since = self.registry.mark()
        daemon = self.run_here("--max-releases", "1")
        self.first_round(daemon)
        client = self.client(daemon)
        self.served(client, "latest", "0.0.0", "4.5.13")
        end = self.registry.mark()
        self.assertNotIn("/manifests/4.4.0 ", self.registry.log()[since:end])
        self.push("4.5.15")
        records = self.round(daemon)
        self.assertEqual(self.published(records), ["4.5.15"])
        self.assertEqual(self.dropped(records),
                         [("4.5.13", "older than the newest 1")])
        messages = [r["msg"] for r in records]
        self.assertLess(messages.index("Published"),
                        messages.index("Release dropped"))
        self.served(client, "latest", "0.0.0", "4.5.15")
        self.check_store(daemon.data)
        # And it rests there.
        records = self.round(daemon)
        self.assertEqual(self.published(records) + self.dropped(records), [])

    def test_fewer_releases_than_before(self):
        self.push("4.4.0", "4.5.13", "4.5.15")
        daemon = self.run_here()
        self.first_round(daemon)
        daemon.stop()
        fewer = self.run_here("--max-releases", "1", data=daemon.data)
        self.assertEqual(
            self.dropped(self.first_round(fewer)),
            [("4.4.0", "older than the newest 1"),
             ("4.5.13", "older than the newest 1")])
        self.served(self.client(fewer), "4.5.15")
        fewer.stop()
        # Without a registry nothing goes, and what went stays away.
        away = self.start("--repository", "127.0.0.1:1/a/b", "--plain-http",
                          "--poll-interval", "1h", data=daemon.data)
        self.served(self.client(away), "4.5.15")

    def test_release_that_is_damaged_and_gone(self):
        """It would keep the store from being swept for ever."""
        self.push("4.5.13", "4.5.15")
        daemon = self.run_here()
        self.first_round(daemon)
        daemon.stop()
        path = os.path.join(daemon.data, "releases", "4.5.15.mtree")
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            file.truncate(10)
        self.forget("4.5.15")
        again = self.run_here("--prune", data=daemon.data)
        self.assertEqual(self.dropped(self.first_round(again)),
                         [("4.5.15", "tag is gone")])
        self.served(self.client(again), "4.5.13")
        self.check_store(daemon.data)


class Scripted(PolicyCase):
    """Lists and failures that no healthy registry gives."""

    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)

    def push(self, *tags):
        for tag in tags:
            self.fake.push(tag, layer(tag))

    def lists(self, reply):
        """Answers requests for the list by reply(request) until the hook that
        is returned is taken out."""
        self.fake.on("GET", "/tags/list", reply)
        return self.fake.hooks[-1]

    def test_empty_list_prunes_nothing(self):
        self.push("4.4.0", "4.5.13")
        daemon = self.run_against(self.fake, "--prune")
        self.first_round(daemon)
        for tags in (None, []):
            hook = self.lists(lambda request: request.reply(
                200, {"name": "x", "tags": tags}))
            for _ in range(2):
                self.assertEqual(self.dropped(self.round(daemon)), [])
            self.fake.hooks.remove(hook)
        warnings = [r for r in daemon.records()
                    if r.get("msg") == "Nothing pruned"]
        self.assertEqual([(r["level"], r["reason"]) for r in warnings],
                         [("warning", "the list of tags is empty")])
        self.served(self.client(daemon), "4.4.0", "4.5.13")
        self.assertEqual(self.dropped(self.round(daemon)), [])

    def test_list_of_another_repository_prunes_nothing(self):
        self.push("4.5.13")
        daemon = self.run_against(self.fake, "--prune")
        self.first_round(daemon)
        self.lists(lambda request: request.reply(
            200, {"name": "x", "tags": ["no-such-release"]}))
        self.assertEqual(self.dropped(self.round(daemon)), [])
        daemon.wait_log('level=warning msg="Nothing pruned"')
        self.served(self.client(daemon), "4.5.13")

    def test_list_that_breaks_off_prunes_nothing(self):
        self.push("4.4.0", "4.5.13")
        daemon = self.run_against(self.fake, "--prune")
        self.first_round(daemon)
        path = self.fake.repository().split("/", 1)[1]

        def page(request):
            if "last=" in request.path:
                return request.reply(403, {"errors": [{"code": "DENIED"}]})
            return request.reply(
                200, {"name": path, "tags": ["4.5.13"]},
                {"Link": f'</v2/{path}/tags/list?last=4.5.13>; rel="next"'})
        hook = self.lists(page)
        self.assertEqual(self.dropped(self.round(daemon)), [])
        self.fake.hooks.remove(hook)
        for status in (404, 403):
            hook = self.lists(lambda request: request.reply(status, {}))
            self.assertEqual(self.dropped(self.round(daemon)), [])
            self.fake.hooks.remove(hook)
        self.served(self.client(daemon), "4.4.0", "4.5.13")

    def test_listed_tag_without_a_manifest_is_kept(self):
        self.push("4.4.0", "4.5.13")
        daemon = self.run_against(self.fake, "--prune", "--max-releases", "1")
        self.first_round(daemon)
        for method in ("HEAD", "GET"):
            self.fake.on(method, "/manifests/4.5.13$",
                         lambda request: request.reply(404, {}))
        self.assertEqual(self.dropped(self.round(daemon)), [])
        self.served(self.client(daemon), "4.5.13")

    def test_newest_that_is_broken_takes_nothing_away(self):
        self.push("4.5.13")
        daemon = self.run_against(self.fake, "--max-releases", "1")
        self.first_round(daemon)
        self.fake.push("4.5.15", b"no archive at all")
        records = self.round(daemon)
        self.assertIn("Release refused", [r["msg"] for r in records])
        self.assertEqual(self.dropped(records), [])
        self.served(self.client(daemon), "4.5.13")
        self.assertEqual(self.dropped(self.round(daemon)), [])
        # Pushed anew, it takes the place.
        self.push("4.5.15")
        self.assertEqual(self.dropped(self.round(daemon)),
                         [("4.5.13", "older than the newest 1")])
        self.served(self.client(daemon), "4.5.15")

    def test_newest_that_can_not_be_downloaded(self):
        self.push("4.5.13")
        daemon = self.run_against(self.fake, "--max-releases", "1")
        self.first_round(daemon)
        self.push("4.5.15")
        self.fake.on("GET", "/blobs/", lambda request: request.hang_up())
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log('msg="Release not fetched"', mark)
        self.assertEqual(self.dropped(daemon.records(mark)), [])
        self.served(self.client(daemon), "4.5.13")

    def test_older_one_in_place_of_one_that_can_not_be_had(self):
        """Into an empty store: what can be served is."""
        self.push("4.4.0", "4.5.13", "4.5.15")
        self.fake.push("5.0.0", b"no archive at all")
        for method in ("HEAD", "GET"):
            self.fake.on(method, "/manifests/4.5.15$",
                         lambda request: request.reply(404, {}))
        daemon = self.run_against(self.fake, "--max-releases", "1")
        self.first_round(daemon)
        self.served(self.client(daemon), "4.5.13")

    def test_replaced_while_a_client_reads_the_old(self):
        """A pruned release's file goes on to its last byte."""
        big = os.urandom(32 << 20)
        self.fake.push("4.4.0", artifact.tgz({"big.bin": big}))
        self.push("4.5.13")
        daemon = self.run_against(self.fake, "--prune")
        self.first_round(daemon)
        client = self.client(daemon)
        with client.raw(receive_buffer=4096) as sock:
            sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n"
                         b"Connection: close\r\n\r\n")
            read = sock.recv(1024)
            path = self.fake.repository().split("/", 1)[1]
            del self.fake.repositories[path].tags["4.4.0"]
            self.assertEqual(self.dropped(self.round(daemon)),
                             [("4.4.0", "tag is gone")])
            read += read_to_end(sock)
        self.assertEqual(read.partition(b"\r\n\r\n")[2], big)
        self.assertEqual(client.get("/big.bin").status, 404)
        # It is swept then, without any other change.
        until(lambda: artifact.digest(big).split(":")[1]
              not in self.stored_objects(daemon.data),
              "the pruned object to be swept", 30)


class Killed(PolicyCase):
    def test_kill_while_releases_are_let_go(self):
        """Each release is there as a whole or not at all, and what none
        names is swept at the next start."""
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        tags = [f"1.0.{number}" for number in range(40)]
        for tag in tags:
            fake.push(tag, artifact.tgz({f"{tag}/{name}": f"{tag} {name}\n"
                                         .encode() for name in range(5)}))
        daemon = self.run_against(fake)
        daemon.wait_log('msg="Sync done"', seconds=60)
        daemon.stop()
        path = fake.repository().split("/", 1)[1]
        for tag in tags[:-1]:
            del fake.repositories[path].tags[tag]
        rng = random.Random()
        for _ in range(5):
            data = os.path.join(self.folder(), "data")
            shutil.copytree(daemon.data, data)
            asked = len(fake.requests)
            victim = self.run_against(fake, "--prune", data=data)
            until(lambda: len(fake.requests) > asked, "the round to begin")
            moment = time.monotonic() + rng.uniform(0, 0.015)
            while time.monotonic() < moment:
                pass
            victim.kill()
            after = self.start("--repository", "127.0.0.1:1/a/b",
                               "--plain-http", "--poll-interval", "1h",
                               data=data)
            left = self.releases(after)
            self.assertIn(tags[-1], left)
            client = self.client(after)
            for tag in tags:
                answers = {client.get(f"/{tag}/{name}").status
                           for name in range(5)}
                self.assertEqual(answers, {200 if tag in left else 404}, tag)
            self.check_store(data)
            client.close()
            after.stop()


class Refused(Case):
    """A policy that can't be is refused at start."""

    def test_bad_values(self):
        for flag, value, why in (
                ("--tag-include", "a(b", r"Unmatched \( or \\\("),
                ("--tag-exclude", "[[:nope:]]", "Invalid character class"),
                ("--tag-semver", ">=4.4 <five", "\"five\"|\"<five\""),
                ("--max-releases", "none", "1 to 10000")):
            for command in ("serve", "sync"):
                done = call(command, flag, value, "--data-dir",
                            self.folder(), check=False)
                stderr = done.stderr.decode()
                self.assertEqual(done.returncode, 2, stderr)
                self.assertIn(f'{flag} is "{value}"', stderr)
                self.assertRegex(stderr, why)


if __name__ == "__main__":
    unittest.main()
