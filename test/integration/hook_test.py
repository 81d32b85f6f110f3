"""Webhooks: a registry that tells of a push has it synced at once, whoever has no
token changes nothing, and a flood leads to a round a second at most."""
import json
import os
import re
import socket
import threading

from lib import artifact, hidden, proc, tree
from lib.case import Case
from lib.client import plain, read_response
from lib.daemon import call
from lib.faulty import FakeRegistry
from lib.registry import PATH, Registry
from lib.wait import patience, until

TOKEN = "a-token-for-hooks-0123456789"
LIST = "/tags/list"


def status(daemon):
    return json.loads(plain(daemon.address("admin"), "/status.json").body)


class HookCase(Case):
    def setUp(self):
        hidden.hide(TOKEN)
        self.token_file = os.path.join(self.folder(), "token")
        self.put_token(TOKEN + "\n")

    def put_token(self, text):
        with open(self.token_file, "w", encoding="ascii") as file:
            file.write(text)

    def launch(self, repository, *flags):
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--log-level", "debug",
                            "--repository", repository, *flags)
        until(lambda: status(daemon)["sync"]["ended_at"], "a round")
        return daemon

    def hook(self, daemon, token="Bearer " + TOKEN, body=b"",
             method="POST"):
        return plain(daemon.address("admin"), "/hooks/sync", method,
                     {"Authorization": token} if token else {}, body)


class Registries(HookCase):
    def test_docker_registry_tells_of_a_push(self):
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        registry.push("1.0.0", artifact.tgz({"a.yaml": b"one\n"}))
        daemon = self.launch(registry.repository(), "--hook-token-file",
                             self.token_file)
        registry.stop()
        registry.notified = [{
            "name": "specman", "timeout": "60s", "threshold": 3,
            "backoff": "1s", "headers": {"Authorization": ["Bearer " + TOKEN]},
            "url": "http://%s:%d/hooks/sync" % daemon.address("admin")}]
        registry.start()
        client = self.client(daemon)
        self.wait_body(client, "/a.yaml", b"one\n", daemon)
        newer = artifact.tgz({"a.yaml": b"two\n"})
        registry.push("other", newer, path="team/elsewhere")
        proc.run(["skopeo", "copy", "--retry-times=3", "--insecure-policy",
                  "--src-tls-verify=false", "--dest-tls-verify=false",
                  f"docker://{registry.host}/team/elsewhere:other",
                  f"docker://{registry.repository()}:2.0.0"])
        self.wait_body(client, "/a.yaml", b"two\n", daemon)
        fields = daemon.wait_log('msg="Hook asks to sync".*tag=2.0.0')
        self.assertEqual((fields["sender"], fields["repository"]),
                         ("distribution", PATH))
        # It tells of each pull as well, also of specman's: that is no news.
        # A round that was asked for before may still come.
        self.assertTrue(any(self.is_pull_no_news(daemon, registry)
                            for _ in range(5)))

    def is_pull_no_news(self, daemon, registry):
        """Whether no round follows a pull of somebody else."""
        log = daemon.mark()
        daemon.poll_now()
        daemon.wait_log('msg="Nothing new"', log)
        mark, log = registry.mark(), daemon.mark()
        with socket.create_connection(("127.0.0.1", registry.port)) as sock:
            sock.sendall(f"GET /v2/{PATH}/manifests/1.0.0 HTTP/1.1\r\n"
                         "Host: x\r\nAccept: application/vnd.oci.image.manifest"
                         ".v1+json\r\n\r\n".encode())
            self.assertEqual(read_response(sock).status, 200)
        daemon.wait_log('msg="Hook tells of pulls alone"', log)
        return not any(LIST in r[1] for r in registry.requests(mark))


PULL = json.dumps({"events": [{"action": "pull", "target": {
    "repository": PATH, "tag": "1.0.0"}}]}).encode()
HARBOR = {
    "type": "PUSH_ARTIFACT", "occur_at": 1680502375, "operator": "robot$p+ci",
    "event_data": {
        "resources": [{"digest": "sha256:" + "a" * 64, "tag": "4.6.0",
                       "resource_url": "harbor.example.com/p/m:4.6.0"}],
        "repository": {"name": "m", "namespace": "p",
                       "repo_full_name": "p/m", "repo_type": "private"}}}


class Asked(HookCase):
    def setUp(self):
        super().setUp()
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.fake.push("1.0.0", artifact.tgz({"a.yaml": b"one\n"}))

    def lists(self):
        return len(self.fake.seen("GET", LIST))

    def start_asked(self):
        return self.launch(self.fake.repository(), "--hook-token-file",
                           self.token_file)

    def wait_round(self, before):
        until(lambda: self.lists() > before, "another round")

    def test_who_may(self):
        daemon = self.start_asked()
        for token in (None, "", "Bearer", "Bearer ", "Bearer wrong",
                      "Bearer " + TOKEN[:-1], "Bearer " + TOKEN + "x",
                      "Basic " + TOKEN, "x" * 4000):
            with self.subTest(token=token):
                answer = self.hook(daemon, token)
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer["WWW-Authenticate"],
                                 'Bearer realm="specman"')
        self.assertIsNone(status(daemon)["sync"]["reason"])
        daemon.wait_log('level=warning msg="Hook refused"')
        self.assertEqual(self.lists(), 1)
        # Those that are right between do not make it news.
        for token in ("Bearer " + TOKEN, "Bearer wrong") * 2:
            self.hook(daemon, token)
        self.assertEqual(daemon.log().count('msg="Hook refused"'), 1)
        # Harbor sends what it is given as it is.
        for token in ("Bearer " + TOKEN, "bearer " + TOKEN, TOKEN):
            with self.subTest(token=token):
                before = self.lists()
                answer = self.hook(daemon, token)
                self.assertEqual((answer.status, json.loads(answer.body)),
                                 (202, {"accepted": True}))
                self.assertEqual(answer["Content-Type"], "application/json")
                self.wait_round(before)
        answer = self.hook(daemon, method="GET")
        self.assertEqual((answer.status, answer["Allow"]), (405, "POST"))

    def test_a_new_token_counts_at_once(self):
        daemon = self.start_asked()
        other = "another-token-9876543210"
        hidden.hide(other)
        self.put_token(other)
        self.assertEqual(self.hook(daemon).status, 401)
        self.assertEqual(self.hook(daemon, other).status, 202)
        os.unlink(self.token_file)
        self.assertEqual(self.hook(daemon, other).status, 500)
        fields = daemon.wait_log('msg="Hook not taken"')
        self.assertIn(self.token_file, fields["error"])
        self.put_token("")
        self.assertEqual(self.hook(daemon, "").status, 500)
        self.assertEqual(self.hook(daemon, "Bearer ").status, 500)

    def test_off(self):
        daemon = self.launch(self.fake.repository())
        answer = self.hook(daemon)
        self.assertEqual(answer.status, 404)
        self.assertIn(b"--hook-token-file", answer.body)
        self.assertEqual(self.lists(), 1)

    def test_bad_files_are_refused_at_start(self):
        for text, reason in (("short", "16 bytes at least"),
                             (None, "is not there")):
            with self.subTest(reason):
                if text is None:
                    os.unlink(self.token_file)
                else:
                    self.put_token(text)
                done = call("serve", "--data-dir", self.folder(), "--listen",
                            "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                            "--hook-token-file", self.token_file, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(reason, done.stderr.decode())
                self.assertIn("--hook-token-file", done.stderr.decode())

    def test_bodies(self):
        """Whatever a body is, it leads to a round, but for pulls alone."""
        daemon = self.start_asked()
        before = self.lists()
        push = {"action": "push", "target": {"repository": "p/m",
                                             "tag": "4.6.0"}}
        pull = {"action": "pull", "target": {"repository": "p/x",
                                             "tag": "1"}}
        named = {"repository": "p/m", "tag": "4.6.0"}
        deep = b"[" * 100000
        for body, fields in (
                (b"", {}), (b"\0\xff", {}), (b"{", {}), (b"[]", {}), (deep, {}),
                (b'{"events":[]}', {"sender": "distribution"}),
                (b'{"events":[1,{"target":3}]}', {"sender": "distribution"}),
                (b'{"event_data":{}}', {"sender": "Harbor"}),
                (b'{"event_data":{"resources":7,"repository":[]},"type":1}',
                 {"sender": "Harbor"}),
                ({"events": [pull, push]},
                 {"sender": "distribution", **named}),
                (HARBOR, {"sender": "Harbor", **named}),
                ({"events": [{"action": "push", "target": {
                    "repository": "r" * 9999, "tag": "../\n x"}}]},
                 {"sender": "distribution"}),
                ({"events": [{"action": "push", "target": {
                    "repository": 'a" level=error tag="b\n', "tag": "1"}}]},
                 {"sender": "distribution", "tag": "1",
                  "repository": 'a" level=error tag="b\n'})):
            with self.subTest(body=str(body)[:80]):
                if isinstance(body, dict):
                    body = json.dumps(body).encode()
                mark = daemon.mark()
                self.assertEqual(self.hook(daemon, body=body).status, 202)
                found = daemon.wait_log('msg="Hook asks to sync"', mark)
                self.assertEqual({k: v for k, v in found.items() if k in
                                  ("sender", "repository", "tag")}, fields)
        mark = daemon.mark()
        daemon.poll_now()  # whose round is for all that was asked before
        daemon.wait_log('msg="Nothing new"', mark)
        self.assertGreater(self.lists(), before)
        harbor = json.dumps({**HARBOR, "type": "PULL_ARTIFACT"}).encode()
        before = self.lists()
        for body in (PULL, harbor):
            answer = self.hook(daemon, body=body)
            self.assertEqual((answer.status, json.loads(answer.body)),
                             (200, {"accepted": False,
                                    "reason": "it tells of pulls alone"}))
        self.assertEqual(self.lists(), before)

    def test_a_huge_body(self):
        daemon = self.start_asked()
        self.assertEqual(self.hook(daemon, body=b"x" * (256 * 1024)).status,
                         202)
        self.assertEqual(
            self.hook(daemon, body=b"x" * (256 * 1024 + 1)).status, 413)
        self.assertEqual(self.hook(daemon, body=bytes(20 << 20)).status, 413)
        self.assertEqual(self.hook(daemon).status, 202)

    def test_a_flood(self):
        """Of many that come at once, and during a round, one more round."""
        daemon = self.start_asked()
        held, release = threading.Event(), threading.Event()

        def hold(request):
            held.set()
            release.wait(patience(60))
            return False
        self.fake.on("GET", LIST, hold)
        before = self.lists()
        self.assertEqual(self.hook(daemon).status, 202)
        self.assertTrue(held.wait(patience(30)))

        def flood():
            for _ in range(50):
                self.assertEqual(self.hook(daemon).status, 202)
        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.lists(), before + 1)
        self.fake.hooks.clear()
        release.set()
        self.wait_round(before + 1)
        until(lambda: not status(daemon)["sync"]["running"], "its end")
        self.assertEqual(self.lists(), before + 2)
        self.assertEqual(
            len([line for line in daemon.lines() if
                 re.search('level=info msg="Hook asks', line)]), 2)
        self.assertTrue(status(daemon)["sync"]["next_at"])

    def test_rounds_that_are_asked_for_lie_apart(self):
        daemon = self.start_asked()
        stop, failures = threading.Event(), []

        def flood():
            while not stop.is_set():
                if self.hook(daemon).status != 202:
                    failures.append(1)
        times = []
        self.fake.on("GET", LIST, lambda r: times.append(
            status(daemon)["sync"]["ended_at"]) and False)
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            until(lambda: len(times) >= 4, "four rounds")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        # Each begins a second after the end of the one before.
        self.assertEqual(len(set(times)), len(times))
