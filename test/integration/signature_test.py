"""--verify-key: what is signed is served, what is not is refused, and what could
not be asked is neither."""
import base64
import json
import os
import re
import unittest

from lib import artifact, proc, signing
from lib.case import Case, FakeCase
from lib.client import plain
from lib.daemon import call, parse
from lib.faulty import FakeRegistry, error
from lib.registry import PATH, Registry
from lib.wait import until

REFUSED = r'msg="Release refused"'
UNASKED = r'msg="Signature could not be asked for"'
WITHHELD = r'msg="Release not served"'


def files(text):
    return {"a.yaml": text.encode() + b"\n", "roar/b.yaml": b"the same\n"}


class SignedCase(Case):
    """A real docker-registry, which knows no referrers; a repository a test."""

    @classmethod
    def setUpClass(cls):
        folder = cls.class_folder()
        cls.registry = Registry(folder)
        cls.addClassCleanup(cls.registry.stop)
        cls.key = signing.Key(folder, "one")
        cls.other = signing.Key(folder, "other")

    def setUp(self):
        self.path = "signed/" + self.id().split(".")[-1].replace("_", "-")
        self.file = os.path.join(self.folder(), "cosign.pub")
        self.trust(self.key)

    def trust(self, *keys):
        """What stands in the file of trusted keys, exchanged as a whole."""
        with open(self.file + ".new", "w", encoding="ascii") as file:
            file.write("".join(key.pem() for key in keys))
        os.rename(self.file + ".new", self.file)

    def push(self, tag, text):
        return self.registry.push(tag, artifact.tgz(files(text)), self.path)

    def sign(self, digest, *keys):
        return signing.sign(self.registry, digest, *(keys or (self.key,)),
                            path=self.path)

    def run_daemon(self, *flags, verify=True, **options):
        return self.start(
            "--repository", f"{self.registry.host}/{self.path}", "--plain-http",
            "--poll-interval", "1h",
            *(("--verify-key", self.file) if verify else ()), *flags, **options)

    def refused(self, daemon, cause, since=0):
        line = daemon.wait_log(REFUSED, since)
        self.assertEqual(line["cause"], cause, line)
        self.assertEqual(line["kind"], "unsigned")
        self.assertIn("advice", line)
        return line

    def wait_need(self, daemon, what, subject):
        """What the status page tells the operator."""
        def look():
            answer = plain(daemon.address("admin"), "/status.json")
            return (what, subject) in [
                (need["what"], need["subject"])
                for need in json.loads(answer.body)["needs"]]
        until(look, f"the status to have {what}")

    def client_of(self, daemon, text):
        client = self.client(daemon)
        self.wait_body(client, "/a.yaml", text.encode() + b"\n", daemon)
        return client


class Signatures(SignedCase):
    def test_signed_is_served(self):
        self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        self.check_tree(self.client_of(daemon, "one"), files("one"))
        self.assertNotIn("level=error", daemon.log())
        daemon.wait_log("Only signed releases are served")

    def test_history_says_whose_key(self):
        """Of several that are trusted, and for each change."""
        self.trust(self.other, self.key)
        first = self.push("1.0.0", "one")
        self.sign(first)
        daemon = self.run_daemon()
        self.client_of(daemon, "one")
        second = self.push("1.0.0", "two")
        self.sign(second, self.other)
        daemon.poll_now()
        self.client_of(daemon, "two")
        out = call("history", "--data-dir", daemon.data).stdout.decode()
        self.assertEqual([line.split()[1:] for line in out.splitlines()], [
            ["1.0.0", "-", first, self.key.fingerprint()],
            ["1.0.0", first, second, self.other.fingerprint()]])

    def test_each_kind_of_key(self):
        folder = self.folder()
        for number, (kind, digest) in enumerate((
                ("p384", "sha256"), ("p384", "sha384"), ("p521", "sha512"),
                ("rsa", "sha256"), ("ed25519", ""))):
            with self.subTest(kind=kind, digest=digest):
                key = signing.Key(folder, f"{kind}-{number}", kind, digest)
                tag = f"1.0.{number}"
                self.sign(self.push(tag, tag), key)
                self.trust(key)
                done = call("sync", "--data-dir", self.folder() + "/data",
                            "--repository",
                            f"{self.registry.host}/{self.path}",
                            "--plain-http", "--tag-include", f"^{tag}$",
                            "--verify-key", self.file)
                self.assertIn("msg=Published", done.stderr.decode())

    def test_unsigned_is_refused_and_nothing_is_downloaded(self):
        self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        client = self.client_of(daemon, "one")
        start = self.registry.mark()
        self.push("1.0.0", "two")
        daemon.poll_now()
        line = self.refused(daemon, "not-signed")
        self.assertEqual(line["tag"], "1.0.0")
        self.assertEqual(self.registry.blob_gets(start), [])
        self.check_tree(client, files("one"))
        until(lambda: b'_failures_total{cause="not-signed"} 1\n' in
              plain(daemon.address("admin"), "/metrics").body, "the figure")

    def test_signed_by_another_key(self):
        self.sign(self.push("1.0.0", "one"), self.other)
        daemon = self.run_daemon()
        self.refused(daemon, "signed-by-another-key")
        self.assertEqual(self.client(daemon).get("/a.yaml").status, 503)

    def test_one_of_several_keys_and_signatures(self):
        self.sign(self.push("1.0.0", "one"), self.other, self.key)
        self.client_of(self.run_daemon(), "one")
        # Two flags, and two keys in a file.
        self.trust(self.other)
        more = os.path.join(self.folder(), "more.pub")
        os.link(self.key.public, more)
        self.client_of(self.run_daemon("--verify-key", more), "one")

    def test_signature_over_another_digest(self):
        signed = self.push("1.0.0", "one")
        unsigned = self.push("1.0.1", "two")
        body = signing.payload(signed)
        signing.put(self.registry, unsigned, body, signing.manifest(
            [signing.layer(body, self.key.sign(body))]), self.path)
        daemon = self.run_daemon("--tag-include", "1.0.1")
        line = self.refused(daemon, "signature-malformed")
        self.assertIn("about another manifest", line["error"])

    def test_signature_arrives_later(self):
        digest = self.push("1.0.0", "one")
        daemon = self.run_daemon()
        self.refused(daemon, "not-signed")
        for _ in range(2):
            start = self.registry.mark()
            daemon.poll_now()
            until(lambda start=start: any(
                signing.tag(digest) in path for _, path, _ in
                self.registry.requests(start)), "the signature to be looked for")
        # Once in the log, although it is looked for with each poll.
        self.assertEqual(daemon.log().count("Release refused"), 1)
        self.assertNotIn("Syncing with", daemon.log())
        self.sign(digest)
        daemon.poll_now()
        self.client_of(daemon, "one")
        daemon.wait_log('msg="Release accepted again" tag=1.0.0')

    def test_older_release_is_served_in_its_place(self):
        self.sign(self.push("1.0.0", "one"))
        self.push("1.0.1", "two")
        daemon = self.run_daemon("--max-releases", "1")
        self.client_of(daemon, "one")
        self.refused(daemon, "not-signed")

    def test_sync_says_what_is_refused(self):
        self.push("1.0.0", "one")
        done = call("sync", "--data-dir", self.folder(), "--repository",
                    f"{self.registry.host}/{self.path}", "--plain-http",
                    "--verify-key", self.file, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cause=not-signed", done.stderr)


class AtStart(SignedCase):
    """What is on disk, without a registry."""

    def restart(self, daemon, **options):
        daemon.stop()
        return self.run_daemon(data=daemon.data, **options)

    def test_signed_is_served_without_the_registry(self):
        self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        self.client_of(daemon, "one")
        daemon.stop()
        daemon = self.start("--repository", "127.0.0.1:1/a/b", "--plain-http",
                            "--verify-key", self.file, data=daemon.data)
        self.check_tree(self.client(daemon), files("one"))
        self.check_store(daemon.data)

    def test_key_that_is_withdrawn_while_the_registry_is_away(self):
        self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        self.client_of(daemon, "one")
        daemon.stop()
        self.trust(self.other)
        away = ("--repository", "127.0.0.1:1/a/b", "--plain-http",
                "--verify-key", self.file)
        daemon = self.start(*away, data=daemon.data)
        self.assertEqual(self.client(daemon).get("/a.yaml").status, 503)
        line = daemon.wait_log(WITHHELD)
        self.assertEqual((line["tag"], line["cause"]),
                         ("1.0.0", "signed-by-another-key"))
        self.wait_need(daemon, "Release not served", "1.0.0")
        # Who looks into the store is shown what is served, and told why not.
        for command in (("ls", "/"), ("cat", "a.yaml")):
            done = call(*command, "--data-dir", daemon.data, "--verify-key",
                        self.file, check=False)
            self.assertEqual(done.stdout, b"")
            self.assertIn(b"Release not served", done.stderr)
            done = call(*command, "--data-dir", daemon.data)
            self.assertIn(b"a.yaml" if command[0] == "ls" else b"one\n",
                          done.stdout)
        # Nothing of it is lost.
        self.check_store(daemon.data)
        self.trust(self.key)
        self.wait_body(self.client(daemon), "/a.yaml", b"one\n", daemon)

    def test_verify_key_is_new_on_an_old_store(self):
        self.sign(self.push("1.0.0", "one"))
        self.push("1.0.1", "two")
        daemon = self.run_daemon(verify=False)
        self.client_of(daemon, "two")
        start = self.registry.mark()
        daemon = self.restart(daemon)
        self.assertEqual(
            {daemon.wait_log(WITHHELD + r".* tag=" + tag)["cause"]
             for tag in ("1.0.0", "1.0.1")}, {"not-signed"})
        # It comes back without a download.
        self.client_of(daemon, "one")
        self.assertEqual(self.refused(daemon, "not-signed")["tag"], "1.0.1")
        self.assertEqual(daemon.log().count("Downloading"), 0)
        self.assertEqual(len(self.registry.blob_gets(start)), 1)  # the payload
        # Its content is there still, and is served again without --verify-key.
        daemon = self.restart(daemon, verify=False)
        self.client_of(daemon, "two")

    def test_damaged_proof_is_fetched_again(self):
        self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        self.client_of(daemon, "one")
        daemon.stop()
        folder = os.path.join(daemon.data, "releases")
        proof, = (os.path.join(folder, name) for name in os.listdir(folder)
                  if name.endswith(".proof"))
        with open(proof, "r+b") as file:
            file.write(b"x" * 20)
        daemon = self.run_daemon(data=daemon.data)
        self.client_of(daemon, "one")
        self.assertEqual(daemon.wait_log(WITHHELD)["cause"],
                         "signature-malformed")

    def test_damage_is_mended_without_the_signature(self):
        """What was taken once is fetched again though nobody signs it now."""
        signatures = self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        self.client_of(daemon, "one")
        daemon.stop()
        self.registry.delete(signatures, self.path)
        for name in self.stored_objects(daemon.data):
            os.unlink(os.path.join(daemon.data, "objects", name[:2], name[2:]))
        daemon = self.run_daemon(data=daemon.data)
        self.client_of(daemon, "one")
        self.assertNotIn("Release refused", daemon.log())

    def test_proofs_of_nobody_are_swept(self):
        self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        self.client_of(daemon, "one")
        second = self.push("1.0.0", "two")
        self.sign(second)
        daemon.poll_now()
        self.client_of(daemon, "two")
        daemon.wait_log('msg="Sync done"')
        daemon.stop()
        names = [name for name in
                 os.listdir(os.path.join(daemon.data, "releases"))
                 if name.endswith(".proof")]
        self.assertEqual(names, [signing.tag(second, ".proof")])


class Keys(SignedCase):
    """Files of keys, at the start and while it runs."""

    def test_bad_files_are_refused_at_start(self):
        with open(self.key.private, encoding="ascii") as file:
            private = file.read()
        small = os.path.join(self.folder(), "small.pem")
        with open(small, "wb") as file:
            file.write(proc.run(["openssl", "genrsa", "1024"]).stdout)
        small = proc.run(["openssl", "rsa", "-in", small,
                          "-pubout"]).stdout.decode()
        curve = proc.run(["openssl", "pkey", "-pubout"], input=proc.run(
            ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
             "ec_paramgen_curve:secp256k1"]).stdout).stdout.decode()
        broken = self.key.pem().replace("M", "!", 1)
        for text, why in ((None, "is not there"), ("", "no PEM block"),
                          (private, "a private key"), (small, "1024 bits"),
                          (curve, "not supported"), (broken, "PEM is broken"),
                          (self.key.pem()[:-40], "PEM is broken"),
                          (self.key.pem() + "-----BEGIN X-----\n",
                           "PEM is broken")):
            with self.subTest(why=why):
                if text is None:
                    os.unlink(self.file)
                else:
                    with open(self.file, "w", encoding="ascii") as file:
                        file.write(text)
                done = call("sync", "--data-dir", self.folder() + "/d",
                            "--repository", "127.0.0.1:1/a/b", "--plain-http",
                            "--verify-key", self.file, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stderr.decode())
                self.assertIn(self.file, done.stderr.decode())

    def test_key_that_is_withdrawn_is_followed_within_seconds(self):
        first = self.push("1.0.0", "one")
        self.sign(first)
        second = self.push("1.0.1", "two")
        self.sign(second, self.other)
        self.trust(self.key, self.other)
        daemon = self.run_daemon()
        client = self.client_of(daemon, "two")
        self.trust(self.key)
        self.wait_body(client, "/a.yaml", b"one\n", daemon, seconds=10)
        self.assertEqual(daemon.wait_log(WITHHELD)["tag"], "1.0.1")
        self.refused(daemon, "signed-by-another-key")
        # And back, from what is on disk.
        start = self.registry.mark()
        self.trust(self.key, self.other)
        self.wait_body(client, "/a.yaml", b"two\n", daemon, seconds=10)
        self.assertEqual(self.registry.blob_gets(start), [])

    def test_rotation(self):
        digest = self.push("1.0.0", "one")
        self.sign(digest, self.key)
        daemon = self.run_daemon()
        client = self.client_of(daemon, "one")
        self.sign(digest, self.key, self.other)
        self.trust(self.other)
        daemon.wait_log("Trusted keys reloaded")
        self.wait_body(client, "/a.yaml", b"one\n", daemon)
        self.assertEqual(daemon.log().count("Downloading"), 1)

    def test_bad_file_keeps_the_old_keys(self):
        self.sign(self.push("1.0.0", "one"))
        daemon = self.run_daemon()
        client = self.client_of(daemon, "one")
        with open(self.file, "w", encoding="ascii") as file:
            file.write("nothing\n")
        line = daemon.wait_log('msg="Trusted keys not reloaded"')
        self.assertIn(self.file, line["error"])
        self.wait_need(daemon, "Trusted keys not reloaded", "trusted keys")
        self.sign(self.push("1.0.0", "two"))
        daemon.poll_now()
        self.wait_body(client, "/a.yaml", b"two\n", daemon)

    def test_withdrawn_key_breaks_a_download_off(self):
        """A long download is no reason to go on serving."""
        fake = self.fake()
        first = fake.push("1.0.0", artifact.tgz(files("one")))
        signing.sign(fake, first, self.other)
        self.trust(self.key, self.other)
        daemon = self.start("--repository", fake.repository(), "--plain-http",
                            "--poll-interval", "1h", "--verify-key", self.file)
        client = self.client_of(daemon, "one")
        large = artifact.tgz(files("two"))
        signing.sign(fake, fake.push("1.0.1", large), self.key)
        fake.on("GET", "/blobs/" + artifact.digest(large),
                lambda request: request.wait_closed())
        daemon.poll_now()
        daemon.wait_log("msg=\"Downloading 1.0.1\"")
        self.trust(self.key)
        until(lambda: client.get("/a.yaml").status == 503, "nothing to serve",
              10)

    def fake(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        return fake


class FakeSigned(FakeCase):
    """A scripted registry."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.class_folder()
        cls.key = signing.Key(folder, "one")
        cls.other = signing.Key(folder, "other")

    def setUp(self):
        super().setUp()
        self.layer = artifact.tgz(files("one"))
        self.digest = self.fake.push("1.0.0", self.layer)

    def run_daemon(self, *flags, **options):
        return super().run_daemon("--verify-key", self.key.public, *flags,
                                  **options)

    def sync_refused(self, cause, text=""):
        """One round refuses the release, and asks for nothing of it."""
        done = call("sync", "--data-dir", self.folder(), "--repository",
                    self.fake.repository(), "--registry-ca", self.authority.ca,
                    "--verify-key", self.key.public, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        line = parse(re.search(REFUSED + ".*|$",
                               done.stderr.decode()).group())
        self.assertEqual(line.get("cause"), cause, done.stderr)
        self.assertIn(text, line["error"])
        self.assertEqual(self.fake.seen(
            "GET", "/blobs/" + artifact.digest(self.layer)), [])

    def served(self, daemon):
        client = self.client(daemon)
        self.wait_body(client, "/a.yaml", b"one\n", daemon, seconds=60)

    def refer(self, *bundles, fallback=False, registry=None):
        """Bundles as referrers, in the index of the API or under its tag."""
        registry = registry or self.fake
        manifests = []
        for body in bundles:
            one = signing.referrer(body, self.digest)
            registry.push("unused-" + artifact.digest(one)[7:20], body,
                          manifest=one)
            manifests.append(one)
        for tag in [t for t in registry.repositories[PATH].tags
                    if t.startswith("unused-")]:
            del registry.repositories[PATH].tags[tag]
        index = signing.index(manifests)
        if fallback:
            signing.put(registry, self.digest, b"",
                        signing.fallback(manifests), ending="")
        else:
            registry.on("GET", "/referrers/" + self.digest,
                        lambda request: request.reply(
                            200, index, {"Content-Type": signing.INDEX}))
        return index


class Bundles(FakeSigned):
    """What cosign writes since version 3, and what is found among referrers."""

    def test_bundle_among_the_referrers(self):
        self.refer(signing.bundle(self.digest, self.other),
                   signing.bundle(self.digest, self.key))
        daemon = self.run_daemon()
        self.served(daemon)
        # Asked for once: the answer is kept until the release is there.
        self.assertEqual(len(self.fake.seen("GET", "/referrers/")), 1)

    def test_bundle_under_the_fallback_tag(self):
        self.refer(signing.bundle(self.digest, self.key), fallback=True)
        self.served(self.run_daemon())

    def test_referrers_on_several_pages(self):
        self.refer(signing.bundle(self.digest, self.key))
        index = self.fake.hooks.pop()

        def pages(request):
            if "page=2" in request.path:
                return index(request)
            return request.reply(200, signing.index([]), {
                "Content-Type": signing.INDEX,
                "Link": f"<{request.path}?page=2>; rel=\"next\""})
        self.fake.on("GET", "/referrers/", pages)
        self.served(self.run_daemon())

    def test_simple_signing_among_the_referrers(self):
        body = signing.payload(self.digest)
        kind = "application/vnd.dev.cosign.artifact.sig.v1+json"
        one = signing.manifest([signing.layer(body, self.key.sign(body))],
                               artifactType=kind)
        self.fake.push("x", body, manifest=one)
        del self.fake.repositories[PATH].tags["x"]
        index = signing.index([one], kind)
        self.fake.on("GET", "/referrers/", lambda request: request.reply(
            200, index, {"Content-Type": signing.INDEX}))
        self.served(self.run_daemon())

    def test_bundles_that_do_not_count(self):
        sbom = signing.statement(self.digest, "https://cyclonedx.org/bom")
        foreign = signing.statement(artifact.digest(b"another"))
        for body, cause in (
                (signing.bundle(self.digest, self.other),
                 "signed-by-another-key"),
                (signing.bundle(self.digest, self.key, sbom),
                 "signature-malformed"),
                (signing.bundle(self.digest, self.key, foreign),
                 "signature-malformed"),
                (signing.bundle(self.digest, self.key, mediaType="x"),
                 "signature-malformed"),
                (b"{}", "signature-malformed")):
            with self.subTest(cause=cause):
                self.fake.hooks.clear()
                self.refer(body)
                self.sync_refused(cause)


class ThirdAnswer(FakeSigned):
    """What could not be asked is not unsigned."""

    def test_failures_are_no_answers(self):
        signing.sign(self.fake, self.digest, self.key)
        place = "/manifests/" + signing.tag(self.digest)
        payload = artifact.digest(signing.payload(self.digest))
        for pattern, status, cause in (
                (place, 429, "rate-limited"), (place, 503, "server-failed"),
                ("/blobs/" + payload, 500, "server-failed"),
                (place, 403, "no-pull-right")):
            with self.subTest(pattern=pattern, status=status):
                self.fake.hooks.clear()
                self.fake.on("GET", pattern, lambda request, status=status:
                             request.reply(status, error("NO", "not now")))
                daemon = self.run_daemon("--registry-retries", "1")
                line = daemon.wait_log(UNASKED)
                self.assertEqual(line["cause"], cause)
                self.assertIn(str(status), line["error"])
                self.assertNotIn("Release refused", daemon.log())
                self.assertNotIn("Downloading", daemon.log())
                if status != 403:
                    daemon.wait_log("Asking the registry again after a pause")
                # It is over as soon as there is an answer.
                self.fake.hooks.clear()
                daemon.poll_now()
                self.served(daemon)
                daemon.stop()

    def test_token_server_that_is_gone_is_no_answer(self):
        """Its 404 is not that of the signature."""
        self.fake.on("GET", "^/token", lambda request: request.reply(404))
        self.fake.on("GET", signing.tag(self.digest), lambda request:
                     request.reply(401, b"", {
                         "WWW-Authenticate":
                         f'Bearer realm="{self.fake.url}/token"'}))
        line = self.run_daemon().wait_log(UNASKED)
        self.assertEqual(line["cause"], "no-token-server")

    def test_unsigned_and_referrers_that_fail(self):
        self.fake.on("GET", "/referrers/", lambda request: request.reply(503))
        daemon = self.run_daemon("--registry-retries", "0")
        self.assertIn("503", daemon.wait_log(UNASKED)["error"])
        self.fake.hooks.clear()
        self.fake.on("GET", "/referrers/", lambda request: request.reply(405))
        daemon.poll_now()
        self.assertEqual(daemon.wait_log(REFUSED)["cause"], "not-signed")

    def test_silence_is_no_answer(self):
        self.fake.on("GET", signing.tag(self.digest),
                     lambda request: request.wait_closed())
        daemon = self.run_daemon("--registry-retries", "0",
                                 "--registry-idle-timeout", "5s")
        self.assertEqual(daemon.wait_log(UNASKED)["cause"],
                         "connection-stalled")
        daemon.stop()

    def test_retried_within_the_round(self):
        signing.sign(self.fake, self.digest, self.key)
        answers = [503, 429]
        self.fake.on("GET", signing.tag(self.digest), lambda request:
                     answers and request.reply(answers.pop()))
        daemon = self.run_daemon()
        self.served(daemon)
        self.assertEqual(daemon.log().count("level=error"), 0)

    def test_mirror_has_the_signature(self):
        mirror = self.registry()
        mirror.push("1.0.0", self.layer, manifest=self.fake.repositories[
            PATH].manifests[self.digest])
        signing.sign(mirror, self.digest, self.key)
        self.served(self.run_daemon("--repository-mirror",
                                    mirror.repository()))

    def test_mirror_that_is_down_is_no_answer(self):
        mirror = self.registry()
        mirror.stop()
        daemon = self.run_daemon("--repository-mirror", mirror.repository(),
                                 "--registry-retries", "0")
        line = daemon.wait_log(UNASKED)
        self.assertIn("not signed", line["error"])


class Hostile(FakeSigned):
    """Everything in a signature's place that may be there, and must not count."""

    def put(self, layers, *bodies, **more):
        manifest = layers if isinstance(layers, bytes) \
            else signing.manifest(layers, **more)
        signing.put(self.fake, self.digest, b"", manifest)
        for body in bodies:
            self.fake.repositories[PATH].blobs[artifact.digest(body)] = body

    def test_payloads(self):
        good = signing.payload(self.digest)
        twice = good.replace(b'"image":', b'"image":{"docker-manifest-digest":'
                             b'"sha256:' + b"0" * 64 + b'"},"image":')
        for body, text in (
                (twice, "a key twice"),
                (good.replace(b"cosign container", b"atomic container"),
                 "its type"),
                (good.replace(b"docker-manifest", b"Docker-manifest"),
                 "another manifest"),
                (b"[" * 100 + b"]" * 100, "deeper"),
                (b"", "not valid JSON"), (b"null", "not valid JSON"),
                (b"[]", "its type"),
                (good[:-1], "not valid JSON"),
                (b'{"critical":[1]}', "its type")):
            with self.subTest(text=text, body=body[:30]):
                self.put([signing.layer(body, self.key.sign(body))], body)
                self.sync_refused("signature-malformed", text)

    def test_layers(self):
        body = signing.payload(self.digest)
        value = self.key.sign(body)
        layer = signing.layer(body, value)
        flipped = value[:20] + ("A" if value[20] != "A" else "B") + value[21:]
        many = [signing.layer(body, self.other.sign(body))] * 1000
        self.put(many, body)
        self.sync_refused("signed-by-another-key")
        self.assertEqual(len(self.fake.seen(
            "GET", artifact.digest(body))), 1)  # for all that are over it
        for layers, cause, text in (
                ([signing.layer(body, flipped)], "signed-by-another-key", ""),
                ([signing.layer(body, "")], "not-signed", ""),
                ([signing.layer(body, "?" + value[1:])], "signature-malformed",
                 "base64"),
                ([signing.layer(body, value, "text/plain")], "not-signed", ""),
                ([{**layer, "size": 1 << 40}], "signature-malformed",
                 "at most"),
                ([{**layer, "size": layer["size"] - 1}], "signature-malformed",
                 ""),
                ([{**layer, "digest": "sha256:" + "0" * 64}],
                 "signature-malformed", ""),
                ([{**layer, "digest": "md5:00"}], "signature-malformed", ""),
                ([1, "x", None, [], {}], "not-signed", ""),
                ({}, "signature-malformed", "layers"),
                (b'{"mediaType":"x"', "signature-malformed", "JSON"),
                (b'{"mediaType":"x","layers":[],"layers":[]}',
                 "signature-malformed", "twice"),
                (b'{"mediaType":"x","y":"' + b"x" * (5 << 20), "signature-malformed",
                 "")):
            with self.subTest(layers=str(layers)[:80]):
                self.put(layers, body)
                self.sync_refused(cause, text)

    def test_endless_payload(self):
        body = signing.payload(self.digest)
        self.put([signing.layer(body, self.key.sign(body))])
        sent = []
        self.fake.on("GET", artifact.digest(body),
                     lambda request: request.endless(sent))
        self.sync_refused("signature-malformed")
        self.assertLess(sent[0], 16 << 20)

    def test_payloads_without_end(self):
        """Each layer is over bytes of its own: 64 things are fetched at most."""
        bodies = [signing.payload(self.digest) + b" " * number
                  for number in range(100)]
        value = self.other.sign(bodies[0])
        self.put([signing.layer(body, value) for body in bodies], *bodies)
        self.sync_refused("signed-by-another-key")
        asked = [self.fake.seen("GET", artifact.digest(body) + "$")
                 for body in bodies]
        self.assertEqual([len(of_one) for of_one in asked],
                         [1] * 64 + [0] * 36)

    def test_good_one_among_bad_ones(self):
        body, bad = signing.payload(self.digest), b"not JSON"
        self.put([signing.layer(bad, self.key.sign(bad)),
                  signing.layer(body, "AAAA"),
                  signing.layer(body, self.other.sign(body)),
                  {"mediaType": "text/plain"},
                  signing.layer(body, self.key.sign(body))], body, bad)
        self.served(self.run_daemon())

    def test_many_unsigned_tags(self):
        """More than a round asks about again: they take turns."""
        for number in range(34):
            self.fake.push(f"2.0.{number}", artifact.tgz(files(str(number))))
        daemon = self.run_daemon()
        until(lambda: daemon.log().count("Release refused") == 35,
              "all to be refused", 60)
        asked = set()
        for _ in range(2):
            start = len(self.fake.requests)
            call("sync", "--data-dir", daemon.data, check=False, seconds=60)
            turn = {r[1] for r in self.fake.requests[start:] if ".sig" in r[1]}
            self.assertLess(len(turn), 33)
            asked |= turn
        self.assertEqual(len(asked), 35)


class Push(SignedCase):
    """specman push --sign-key."""

    def push_here(self, key, code=0):
        folder = self.folder()
        for path, data in files("pushed").items():
            path = os.path.join(folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        done = call("push", f"{self.registry.host}/{self.path}:1.0.0", folder,
                    "--plain-http", "--sign-key", key, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return (done.stdout + done.stderr).decode()

    def test_what_is_pushed_is_signed(self):
        folder = self.folder()
        for kind in ("p256", "p384", "rsa", "ed25519"):
            with self.subTest(kind=kind):
                key = signing.Key(folder, kind, kind)
                start = self.registry.mark()
                out = self.push_here(key.private)
                self.assertIn(" " + key.fingerprint(), out)
                # It is never there without its signature.
                puts = [path for method, path, _ in
                        self.registry.requests(start)
                        if method == "PUT" and "/manifests/" in path]
                self.assertRegex(puts[0], r"/sha256-[0-9a-f]{64}\.sig$")
                self.assertTrue(puts[1].endswith("/1.0.0"), puts)
                self.trust(key)
                daemon = self.run_daemon()
                self.check_tree(self.client_of(daemon, "pushed"),
                                files("pushed"))
                daemon.stop()

    def test_signature_is_what_openssl_takes(self):
        """And what cosign makes, to the byte."""
        out = self.push_here(self.key.private)
        digest = re.search(r"manifest (sha256:\S+)", out).group(1)
        done = proc.run(["curl", "-s", f"{self.registry.url}/v2/{self.path}"
                         f"/manifests/{signing.tag(digest)}", "-H",
                         "Accept: " + artifact.OCI_MANIFEST])
        layer, = json.loads(done.stdout)["layers"]
        with open(self.registry.blob_path(layer["digest"]), "rb") as file:
            body = file.read()
        self.assertEqual(body, signing.payload(digest).replace(
            b"127.0.0.1/a/b", f"{self.registry.host}/{self.path}".encode()))
        folder = self.folder()
        value = os.path.join(folder, "value")
        with open(value, "wb") as file:
            file.write(base64.b64decode(layer["annotations"][signing.VALUE]))
        proc.run(["openssl", "dgst", "-sha256", "-verify", self.key.public,
                  "-signature", value,
                  self.registry.blob_path(layer["digest"])])

    def test_bad_keys(self):
        folder = self.folder()
        locked = os.path.join(folder, "locked")
        proc.run(["openssl", "pkey", "-in", self.key.private, "-aes256",
                  "-passout", "pass:x", "-out", locked])
        empty = os.path.join(folder, "empty")
        with open(empty, "wb"):
            pass
        for path, why, cause in (
                (locked, "encrypted", "sign-key-bad"),
                (self.key.public, "no key in PEM", "sign-key-bad"),
                (empty, "no key in PEM", "sign-key-bad"),
                (folder + "/gone", "is not there", "push-unreadable")):
            with self.subTest(why=why):
                start = self.registry.mark()
                out = self.push_here(path, code=1)
                self.assertIn(why, out)
                self.assertIn("cause: " + cause, out)
                self.assertEqual(self.registry.requests(start), [])


class Checks(SignedCase):
    """specman check."""

    def check(self, *flags, code=0):
        done = call("check", "--data-dir", self.folder(), "--repository",
                    f"{self.registry.host}/{self.path}", "--plain-http",
                    "--verify-key", self.file, *flags, check=False)
        self.assertEqual(done.returncode, code, done.stdout.decode())
        return done.stdout.decode()

    def test_keys_and_signatures(self):
        self.sign(self.push("1.0.0", "one"))
        out = self.check()
        self.assertIn(f"ECDSA P-256 {self.key.fingerprint()}", out)
        self.assertRegex(out, r"ok +signature: 1.0.0 is signed")

    def test_not_signed(self):
        self.sign(self.push("1.0.1", "one"))
        self.push("1.0.0", "zero")
        self.assertRegex(self.check(), r"warn\w* signature: .*1.0.0")
        self.push("1.0.2", "two")
        out = self.check(code=1)
        self.assertRegex(out, r"FAIL signature: .*not signed")
        self.assertIn("cause: not-signed", out)

    def test_bad_file(self):
        self.sign(self.push("1.0.0", "one"))
        with open(self.file, "w", encoding="ascii") as file:
            file.write("x")
        out = self.check(code=1)
        self.assertIn("cause: verify-key-bad", out)


if __name__ == "__main__":
    unittest.main()
