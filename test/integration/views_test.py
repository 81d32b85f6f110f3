"""Views by their names: who begins with one ends with it, whatever is published,
pruned or swept meanwhile."""
import email.utils
import gzip
import hashlib
import json
import os
import re
import threading
import time
import unittest

from lib import artifact, tree
from lib.case import Case
from lib.client import Client, plain, read_response
from lib.daemon import Specman
from lib.faulty import FakeRegistry
from lib.registry import Registry
from lib.wait import patience, scale, until

LIST = "roar/nickfury/versions.yaml"
ROUNDS, WALKERS = 20, 4


def release(tag):
    """A list, and what it names: paths that all releases have, with contents of
    their own, and paths that no other has."""
    files = {f"roar/pack-{n}.yaml": tree.text(f"{tag} {n}", 300 + 700 * n)
             for n in range(4)}
    files[f"roar/nickfury/{tag}/manifest.yaml"] = tag.encode()
    files["roar/image.bin"] = tree.binary(tag, 3 << 19)  # read in parts
    lines = [f"{hashlib.sha256(data).hexdigest()} {path}\n"
             for path, data in sorted(files.items())]
    files[LIST] = "".join(lines).encode()
    return files


class ViewCase(Case):
    def launch(self, registry, *flags, **options):
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--log-level", "debug", "--repository",
                            registry.repository(), *flags, **options)
        daemon.wait_log(r"msg=\"Sync done\"")
        return daemon

    def publish(self, daemon, registry, tag, files):
        mark = daemon.mark()
        registry.push(tag, artifact.tgz(files))
        daemon.poll_now()
        daemon.wait_log(rf"msg=Published\b.* tag={re.escape(tag)}\b", mark)
        daemon.wait_log('msg="Sync done"', mark)

    def begin(self, client):
        """A walk's first step: (view, list)."""
        answer = client.get("/" + LIST)
        self.assertEqual(answer.status, 200)
        self.assertRegex(answer["Specman-View"], "^[0-9a-f]{64}$")
        return answer["Specman-View"], answer.body

    def finish(self, client, view, listed):
        """And all others."""
        answer = client.get(f"/.specman/views/{view}/{LIST}")
        self.assertEqual((answer.status, answer.body), (200, listed))
        for line in listed.decode().splitlines():
            digest, path = line.split(" ")
            answer = client.get(f"/.specman/views/{view}/{path}")
            self.assertEqual(answer.status, 200, (path, answer))
            self.assertEqual(answer["Specman-View"], view)
            self.assertEqual(hashlib.sha256(answer.body).hexdigest(), digest,
                             path)

    def rows(self, client):
        return json.loads(client.get("/.specman/views").body)


class Walks(ViewCase):
    def setUp(self):
        self.registry = Registry(self.folder())
        self.addCleanup(self.registry.stop)

    def test_walks_while_releases_come_and_go(self):
        self.registry.push("1.0.0", artifact.tgz(release("1.0.0")))
        daemon = self.launch(self.registry, "--max-releases", "2", "--prune")
        client, ca = self.client(daemon), daemon.ca()
        errors, walks, over = [], [0] * WALKERS, threading.Event()

        def walk(number):
            own = Client(daemon.address(), ca)
            try:
                while not over.is_set():
                    self.finish(own, *self.begin(own))
                    walks[number] += 1
            except Exception as error:
                errors.append(f"walker {number}: {error!r}")
            finally:
                own.close()
        threads = [threading.Thread(target=walk, args=(n,), daemon=True)
                   for n in range(WALKERS)]
        for thread in threads:
            thread.start()
        begun, mark = [self.begin(client)], daemon.mark()
        try:
            for n in range(1, ROUNDS + 1):
                tag = f"1.0.{n}"
                self.publish(daemon, self.registry, tag, release(tag))
                begun.append(self.begin(client))
        finally:
            over.set()
            for thread in threads:
                thread.join(patience(120))
        self.assertEqual(errors, [])
        self.assertGreater(min(walks), 0)
        # Those that began before everything else come to their end as well.
        self.assertEqual(len({view for view, _ in begun}), ROUNDS + 1)
        self.assertEqual(len(os.listdir(os.path.join(daemon.data,
                                                     "releases"))), 2)
        for view, listed in begun:
            self.finish(client, view, listed)
        self.assertIn(b"/1.0.0/", begun[0][1])
        gone = f"/.specman/views/{begun[0][0]}/roar/nickfury/1.0.20/"
        answer = client.get(gone)
        self.assertEqual((answer.status, answer["Specman-View"]),
                         (404, begun[0][0]))
        self.assertEqual([line for line in daemon.lines(mark)
                          if "level=info" not in line
                          and "level=debug" not in line], [])

    def test_views_have_the_same_name_everywhere(self):
        """Whoever came to it in whatever way."""
        self.registry.push("0.0.0", artifact.tgz({"own.yaml": b"own\n"}))
        first = self.launch(self.registry)
        for tag in ("1.10.0", "1.9.0"):
            self.publish(first, self.registry, tag, release(tag))
        second = self.launch(self.registry)
        views = [self.begin(self.client(daemon)) for daemon in (first, second)]
        self.assertEqual(views[0], views[1])
        self.assertIn(b"/1.10.0/", views[0][1])
        self.finish(self.client(second), *views[0])
        # And not where what is served is another.
        alone = self.launch(self.registry, "--overlay", "single")
        self.assertNotEqual(self.begin(self.client(alone))[0], views[0][0])


class Lists(ViewCase):
    def test_the_list_of_releases_is_that_of_each_view(self):
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        registry.push("1.0.0", artifact.tgz({"a": b"1"}))
        daemon = self.launch(registry, "--workers", "1")
        slow = self.client(daemon).raw()
        self.addCleanup(slow.close)
        slow.sendall(b"GET /.specman/releases HTTP/1.1\r\nHost: localhost\r\n"
                     b"Connection: close\r\n\r\n")
        client, old = self.client(daemon), self.client(daemon)
        self.assertEqual(self.listed(old), ["1.0.0"])
        view = client.get("/a")["Specman-View"]
        for number in range(1, 4):
            tag = f"1.0.{number}"
            self.publish(daemon, registry, tag, {"a": tag.encode()})
            for one in (client, old, client):
                self.assertEqual(len(self.listed(one)), number + 1)
            head = client.head("/.specman/releases")
            self.assertEqual(head["Content-Length"], str(len(
                client.get("/.specman/releases").body)))
        self.assertNotEqual(client.get("/a")["Specman-View"], view)
        # One that asked long ago, and reads only now, gets what was whole then.
        self.assertEqual([one["tag"] for one in json.loads(
            read_response(slow).body)], ["1.0.0"])

    def listed(self, client):
        answer = client.get("/.specman/releases")
        self.assertEqual(answer.status, 200)
        return [one["tag"] for one in json.loads(answer.body)]


class Leases(ViewCase):
    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)

    def test_the_end_of_a_lease(self):
        data = os.path.join(self.folder(), "data")
        os.mkdir(data)
        self.fake.push("1.0.0", artifact.tgz(release("1.0.0")))
        daemon = self.launch(self.fake, "--max-releases", "1", "--prune",
                             "--view-lease", "1s", data=data)
        client = self.client(daemon)
        old = self.begin(client)[0]
        before = self.stored_objects(data)
        self.publish(daemon, self.fake, "1.0.1", release("1.0.1"))
        new = self.begin(client)
        path = f"/.specman/views/{old}/{LIST}"
        answer = until(lambda: (a := client.get(path)).status != 200 and a,
                       "the end of a lease")
        self.assertEqual(answer.status, 410)
        self.assertIsNone(answer["Specman-View"])
        self.assertIn(b"gone", answer.body)
        answer = client.get(path, Accept="application/json")
        self.assertEqual(json.loads(answer.body)["error"]["code"], 410)
        until(lambda: b'specman_http_requests_total{method="GET",code="410"}'
              in plain(daemon.address("admin"), "/metrics").body,
              "both to be counted")
        # Nothing else happens, and what was kept for it goes.
        self.check_store(data)
        self.assertFalse(before & self.stored_objects(data))
        self.assertEqual([row["digest"] for row in self.rows(client)],
                         [new[0]])
        self.finish(client, *new)
        daemon.stop()

        daemon = self.start("--plain-http", "--repository",
                            self.fake.repository(), "--max-releases", "1",
                            "--prune", data=data)
        client = self.client(daemon)
        self.assertEqual(self.begin(client), new)
        self.finish(client, *new)
        answer = client.get(path)
        self.assertEqual((answer.status, answer.body),
                         (404, b"no such view\n"))
        self.assertIsNone(answer["Specman-View"])

    def test_gzip_forms_are_kept_as_well(self):
        old, new = (f"{name}: {name}\n".encode() * 500
                    for name in ("old", "new"))
        self.fake.push("1.0.0", artifact.tgz({"a.yaml": old}))
        daemon = self.launch(self.fake)
        client = self.client(daemon)
        view = client.get("/a.yaml")["Specman-View"]
        self.publish(daemon, self.fake, "1.0.0", {"a.yaml": new})
        for path, text in (("/a.yaml", new),
                           (f"/.specman/views/{view}/a.yaml", old)):
            answer = client.get(path, Accept_Encoding="gzip")
            self.assertEqual(answer["Content-Encoding"], "gzip", path)
            self.assertEqual(gzip.decompress(answer.body), text)

    def test_a_restart_ends_leases(self):
        data = os.path.join(self.folder(), "data")
        os.mkdir(data)
        flags = ("--max-releases", "1", "--prune")
        self.fake.push("1.0.0", artifact.tgz(release("1.0.0")))
        daemon = self.launch(self.fake, *flags, data=data)
        client = self.client(daemon)
        old = self.begin(client)
        self.publish(daemon, self.fake, "1.0.1", release("1.0.1"))
        self.assertGreater(self.stored_objects(data), self.named_objects(data))
        self.finish(client, *old)
        daemon.kill()
        daemon = self.start("--plain-http", "--repository",
                            self.fake.repository(), *flags, data=data)
        self.check_store(data)
        self.assertEqual(self.client(daemon).get(
            f"/.specman/views/{old[0]}/{LIST}").status, 404)

    def test_no_leases(self):
        self.fake.push("1.0.0", artifact.tgz(release("1.0.0")))
        daemon = self.launch(self.fake, "--max-releases", "1", "--prune",
                             "--view-lease", "off")
        client = self.client(daemon)
        old = self.begin(client)[0]
        self.publish(daemon, self.fake, "1.0.1", release("1.0.1"))
        self.assertEqual(client.get(f"/.specman/views/{old}/").status, 404)
        self.finish(client, *self.begin(client))
        self.check_store(daemon.data)

    def test_views_are_bounded(self):
        """75 releases in one round: a view after each."""
        layer = artifact.tgz({LIST: b"in all of them\n"})
        self.fake.push("1.0.0", layer)
        daemon = self.launch(self.fake)
        client = self.client(daemon)
        first = self.begin(client)[0]
        for n in range(1, 75):
            self.fake.push(f"1.0.{n}", layer)
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log('msg="Sync done"', mark)
        self.assertEqual(client.get(f"/.specman/views/{first}/").status, 410)
        daemon.wait_log("level=warning msg=\"Replaced views given up before "
                        "their time\" .*too many", mark)
        rows = self.rows(client)
        self.assertEqual(len(rows), 65)
        self.assertEqual([row["current"] for row in rows],
                         [False] * 64 + [True])
        for at, row in enumerate(rows):
            answer = client.get(f"/.specman/views/{row['digest']}/{LIST}")
            self.assertEqual(answer["Specman-Release"], f"1.0.{at + 10}")
        self.assertEqual(rows[-1]["digest"], self.begin(client)[0])

    def test_damage_of_what_is_kept(self):
        """Nobody can heal it, and nobody else is concerned."""
        self.fake.push("1.0.0", artifact.tgz(release("1.0.0")))
        daemon = self.launch(self.fake, "--max-releases", "1", "--prune",
                             "--cache-size", "0")
        client = self.client(daemon)
        old, listed = self.begin(client)
        self.publish(daemon, self.fake, "1.0.1", release("1.0.1"))
        digest = next(line.split(" ")[0] for line in
                      listed.decode().splitlines() if "image.bin" in line)
        os.unlink(os.path.join(daemon.data, "objects", digest[:2], digest[2:]))
        answer = client.get(f"/.specman/views/{old}/roar/image.bin")
        self.assertEqual(answer.status, 503)
        self.finish(client, *self.begin(client))
        self.assertEqual(client.get(f"/.specman/views/{old}/{LIST}").body,
                         listed)
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log('msg="Nothing new"', mark)


class Contract(ViewCase):
    """What lies below a view's name is answered as what lies below the root."""

    @classmethod
    def setUpClass(cls):
        cls.fake = FakeRegistry()
        cls.addClassCleanup(cls.fake.stop)
        cls.fake.push("1.0.0", artifact.tgz({
            **release("1.0.0"), "site/index.html": b"<h1>old</h1>\n"}))
        folder = cls.class_folder()
        cls.data = os.path.join(folder, "data")
        os.mkdir(cls.data)
        cls.daemon = Specman(
            "--plain-http", "--poll-interval", "1h", "--max-releases", "1",
            "--prune", "--repository", cls.fake.repository(), data=cls.data,
            log=os.path.join(folder, "stderr.log"))
        cls.addClassCleanup(cls.daemon.finish)
        cls.daemon.wait_log('msg="Sync done"')
        cls.own = Client(cls.daemon.address(), cls.daemon.ca())
        cls.addClassCleanup(cls.own.close)
        cls.before = {path: cls.own.get(path) for path in
                      ("/" + LIST, "/roar/image.bin", "/roar/", "/site/")}
        cls.old = cls.before["/site/"]["Specman-View"]
        mark = cls.daemon.mark()
        cls.fake.push("1.0.1", artifact.tgz(release("1.0.1")))
        cls.daemon.poll_now()
        cls.daemon.wait_log('msg="Sync done"', mark)
        cls.new = cls.own.get("/")["Specman-View"]
        until(lambda: cls.own.get("/")["Specman-Synced-At"],
              "the end of a round")

    def below(self, path, method="GET", view=None, **headers):
        return self.own.request(
            method, f"/.specman/views/{view or self.old}{path}",
            {name.replace("_", "-"): value for name, value in headers.items()})

    def test_files(self):
        for path in ("/" + LIST, "/roar/image.bin", "/site/"):
            before, after = self.before[path], self.below(path)
            self.assertEqual(after.body, before.body)
            for name in ("ETag", "Last-Modified", "Cache-Control", "Vary",
                         "Content-Type", "Repr-Digest", "Specman-Release",
                         "Specman-View", "Accept-Ranges"):
                self.assertEqual(after[name], before[name], (path, name))
            self.assertEqual(after["Specman-View"], self.old)
            etag = before["ETag"]
            answer = self.below(path, If_None_Match=etag)
            self.assertEqual((answer.status, answer["Specman-View"]),
                             (304, self.old))
            answer = self.below(path, Range="bytes=2-5", If_Range=etag)
            self.assertEqual((answer.status, answer.body),
                             (206, before.body[2:6]))
            self.assertEqual(answer["Specman-View"], self.old)
            answer = self.below(path, "HEAD")
            self.assertEqual((answer.status, answer["Content-Length"]),
                             (200, str(len(before.body))))
            self.assertEqual(answer["Specman-View"], self.old)
            answer = self.below(path, If_Match='"x"')
            self.assertEqual((answer.status, answer["Specman-View"]),
                             (412, self.old))
            answer = self.below(path, Range="bytes=9999999-")
            self.assertEqual((answer.status, answer["Specman-View"]),
                             (416, self.old))

    def test_the_current_view_has_a_name_too(self):
        for view in (self.old, self.new):
            answer = self.below("/" + LIST, view=view)
            self.assertEqual(answer["Specman-View"], view)
        self.assertEqual(answer.body, self.own.get("/" + LIST).body)
        self.assertNotEqual(self.old, self.new)

    def test_folders(self):
        root = f"/.specman/views/{self.old}"
        for path in ("", "/roar", "/roar/nickfury"):
            answer = self.below(path)
            self.assertEqual((answer.status, answer["Location"]),
                             (301, root + path + "/"))
            self.assertEqual(answer["Specman-View"], self.old)
        answer = self.below("/roar/nickfury?sort=date")
        self.assertEqual(answer["Location"],
                         root + "/roar/nickfury/?sort=date")
        names = [row["name"] for row in json.loads(self.below(
            "/roar/nickfury/", Accept="application/json").body)]
        self.assertEqual(names, ["1.0.0", "versions.yaml"])
        self.assertEqual(self.below("/roar/").body,
                         self.before["/roar/"].body)

    def test_links_stay_inside(self):
        """From the deepest folder to the root of the view, and no further."""
        seen, wanted = set(), ["/"]
        while wanted:
            path = wanted.pop()
            if path in seen or not path.endswith("/"):
                continue
            seen.add(path)
            answer = self.below(path)
            self.assertEqual((answer.status, answer["Specman-View"]),
                             (200, self.old), path)
            for link in re.findall('href="([^"?]+)"', answer.body.decode()):
                parts = [p for p in path.split("/") if p]
                for step in link.rstrip("/").split("/"):
                    if step == "..":
                        self.assertTrue(parts, f"{path}: {link} leads out")
                        parts.pop()
                    elif step != ".":
                        parts.append(step)
                wanted.append("/".join(["", *parts, ""]) if
                              link.endswith("/") and parts else
                              "/" if not parts else "/" + "/".join(parts))
        self.assertEqual(seen, {"/", "/roar/", "/site/", "/roar/nickfury/",
                                "/roar/nickfury/1.0.0/"})

    def test_what_is_no_view(self):
        for path in ("/.specman/views/" + "0" * 64,
                     "/.specman/views/" + "0" * 64 + "/",
                     f"/.specman/views/{self.old[:-1]}/{LIST}",
                     f"/.specman/views/{self.old}0/{LIST}",
                     f"/.specman/views/{self.old.upper()}/{LIST}",
                     "/.specman/views/current/", "/.specman/views//x"):
            answer = self.own.get(path)
            self.assertEqual((answer.status, answer.body),
                             (404, b"no such view\n"), path)
            self.assertIsNone(answer["Specman-View"], path)
        for path in (f"/.specman/views/{self.old}/.specman/releases",
                     f"/.specman/views/{self.old}/none", "/none"):
            answer = self.own.get(path)
            self.assertEqual((answer.status, answer.body),
                             (404, b"not found\n"), path)
            self.assertIsNotNone(answer["Specman-View"], path)

    def test_the_list(self):
        for path in ("/.specman/views", "/.specman/views/"):
            answer = self.own.get(path)
            self.assertEqual(answer["Content-Type"], "application/json")
            # Between them both releases were served, until the older went.
            old, both, new = json.loads(answer.body)
            self.assertEqual((old["digest"], old["current"]),
                             (self.old, False))
            # Both may have been replaced in the same millisecond.
            self.assertLessEqual(old["until"], both["until"])
            self.assertEqual((new["digest"], new["current"], new["until"]),
                             (self.new, True, None))
            stamp = "%Y-%m-%dT%H:%M:%S.%fZ"
            # Ten minutes after it was replaced.
            self.assertEqual(
                time.mktime(time.strptime(old["until"], stamp))
                - time.mktime(time.strptime(both["since"], stamp)), 600)
            self.assertLess(old["since"], both["since"])

    def test_which_answers_name_their_view(self):
        named = {"/": 200, "/roar": 301, "/roar/": 200, "/none": 404,
                 "/.specman/releases": 200, "/.specman/views": 200,
                 f"/.specman/releases/1.0.1/{LIST}": 200,
                 "/.specman/releases/1.0.1/": 200,
                 "/.specman/releases/9.9.9/": 404, "/.specman/none": 404}
        for path, status in named.items():
            answer = self.own.get(path)
            self.assertEqual((answer.status, answer["Specman-View"]),
                             (status, self.new), path)
            self.assertTrue(answer["Specman-Synced-At"], path)
        for method, path, status in (("GET", "/%", 400), ("POST", "/", 405),
                                     ("OPTIONS", "/", 200)):
            answer = self.own.request(method, path)
            self.assertEqual((answer.status, answer["Specman-View"],
                              answer["Specman-Synced-At"]),
                             (status, None, None), path)

    def test_synced_at(self):
        """When a round began last that ended well."""
        text = self.own.get("/")["Specman-Synced-At"]
        when = email.utils.parsedate_to_datetime(text)
        self.assertEqual(email.utils.format_datetime(when, usegmt=True), text)
        self.assertLess(abs(when.timestamp() - time.time()), 300 * scale())


class Freshness(ViewCase):
    def wait_later(self, text):
        """Until a round that begins now has another time: that of a clock
        which moves in ticks."""
        at = email.utils.parsedate_to_datetime(text).timestamp()
        until(lambda: time.time() >= at + 1.1, "the next second")

    def test_a_registry_that_is_away(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz(release("1.0.0")))
        daemon = self.launch(fake, "--registry-retries", "0")
        client = self.client(daemon)
        first = until(lambda: client.get("/")["Specman-Synced-At"],
                      "the end of a round")
        self.wait_later(first)
        daemon.poll_now()
        at = until(lambda: (now := client.get("/")["Specman-Synced-At"])
                   != first and now, "the end of another round")
        self.wait_later(at)
        fake.on("GET", "/tags/list", lambda request: request.reply(500))
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log('msg="Sync failed"', mark)
        self.assertEqual(client.get("/")["Specman-Synced-At"], at)
        daemon.stop()
        # Nothing is known of what another process did.
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--registry-retries", "0", "--repository",
                            fake.repository(), data=daemon.data)
        daemon.wait_log('msg="Sync failed"')
        client = self.client(daemon)
        answer = client.get("/" + LIST)
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer["Specman-View"])
        self.assertIsNone(answer["Specman-Synced-At"])


if __name__ == "__main__":
    unittest.main()
