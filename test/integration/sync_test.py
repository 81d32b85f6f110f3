"""From a registry's tags to served files: what is synced, when, and with
which credentials."""
import base64
import json
import os
import re
import stat
import unittest

from lib import artifact, hidden, proc, secret, tree
from lib.case import Case
from lib.client import Client, plain
from lib.daemon import Specman, environment, program
from lib.faulty import FakeRegistry
from lib.registry import Registry, TokenServer, basic
from lib.wait import is_prompt, scale, until

USER, PASSWORD = "robot$spectro", "s3cret:with=signs"
VERSIONS = "/roar/nickfury/versions.yaml"

SIX = (r"Syncing with OCI repo|tags\[.*\]|Downloading \S+|listing dir \S+"
       r"|filename: .*, isDir: (?:true|false)|Persisting \S+")


def versions(tag):
    return tree.release(tag)["roar/nickfury/versions.yaml"]


class RegistryCase(Case):
    """One docker-registry with TLS and htpasswd; a repository a test."""

    @classmethod
    def setUpClass(cls):
        cls.authority = cls.class_authority()
        cls.registry = Registry(cls.class_folder(), cls.authority, USER,
                                PASSWORD)
        cls.addClassCleanup(cls.registry.stop)

    def setUp(self):
        self.base = self.id().split(".")[-1].replace("_", "-")
        self.path = self.base + "/spectro-manifests/manifest"

    def push(self, tag, files=None, registry=None, **options):
        layer = artifact.tgz(files or tree.release(tag))
        (registry or self.registry).push(tag, layer, self.path, **options)
        return layer

    def secret(self, **keys):
        return secret.Secret(
            os.path.join(self.folder(), "secret"),
            **secret.platform(self.registry, self.base, **keys))

    def start_with_secret(self, *flags, interval="1h", **options):
        self.mounted = self.secret()
        return self.start("--registry-secret-dir", self.mounted.folder,
                          "--poll-interval", interval, *flags, **options)


class Credentials(RegistryCase):
    """The ways to say where the registry is and who asks."""

    def check_served(self, daemon, tag="4.5.13"):
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.check_tree(self.client(daemon), tree.release(tag))

    def password_file(self):
        path = os.path.join(self.folder(), "password")
        with open(path, "w", encoding="ascii") as file:
            file.write(PASSWORD + "\n")
        return path

    def test_secret_directory_of_the_platform(self):
        self.push("4.5.13")
        self.check_served(self.start_with_secret())

    def test_secret_with_other_spellings(self):
        self.push("4.5.13")
        keys = secret.platform(self.registry, self.base)
        folder = secret.Secret(
            os.path.join(self.folder(), "secret"),
            endpoint=self.registry.host + "/",
            base_content_path=f"/{self.base}/",
            USERNAME=keys["username"] + "\n", password=keys["password"],
            **{"ca-cert": keys["caCert"], "someOtherKey": "not-to-be-logged"})
        daemon = self.start("--registry-secret-dir", folder.folder,
                            "--poll-interval", "1h")
        self.check_served(daemon)
        self.assertRegex(daemon.log(), "(?i)level=info .*some_?other_?key")
        self.assertNotIn("not-to-be-logged", daemon.log())

    def test_values_of_the_secret_in_other_forms(self):
        """A CA in base64, in lines; the password under the name token; a path
        by its other name."""
        self.push("4.5.13")
        keys = secret.platform(self.registry, self.base)
        folder = secret.Secret(
            os.path.join(self.folder(), "secret"), ENDPOINT=keys["endpoint"],
            basePath=self.base, username=USER, token=PASSWORD,
            CA_CERT=base64.encodebytes(keys["caCert"].encode()))
        self.check_served(self.start("--registry-secret-dir", folder.folder,
                                     "--poll-interval", "1h"))

    def test_certificate_that_is_not_to_be_checked(self):
        self.push("4.5.13")
        for name, value, good in (("insecureSkipVerify", "true", True),
                                  ("insecure-verify", "TRUE\n", True),
                                  ("insecureSkipVerify", "false", False)):
            with self.subTest(name=name, value=value):
                mounted = self.secret(caCert="", **{name: value})
                daemon = self.start("--registry-secret-dir", mounted.folder,
                                    "--poll-interval", "1h")
                if good:
                    self.check_served(daemon)
                    daemon.wait_log("level=warning .*certificate")
                else:
                    daemon.wait_log('msg="Sync failed".*issuer')

    def test_dockerconfigjson_in_the_secret(self):
        self.push("4.5.13")
        auth = basic(USER, PASSWORD).split()[1]
        folder = secret.Secret(os.path.join(self.folder(), "secret"))
        folder.put({".dockerconfigjson": json.dumps(
            {"auths": {"https://" + self.registry.host: {"auth": auth}}})})
        self.check_served(self.start(
            "--registry-secret-dir", folder.folder,
            "--repository", self.registry.repository(self.path),
            "--registry-ca", self.authority.ca, "--poll-interval", "1h"))

    def test_registry_config_flag(self):
        self.push("4.5.13")
        path = os.path.join(self.folder(), "config.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump({"auths": {self.registry.host: {
                "username": USER, "password": PASSWORD}}}, file)
        self.check_served(self.start(
            "--registry-config", path, "--registry-ca", self.authority.ca,
            "--repository", self.registry.repository(self.path),
            "--poll-interval", "1h"))

    def test_username_and_password_file(self):
        self.push("4.5.13")
        self.check_served(self.start(
            "--repository", self.registry.repository(self.path),
            "--registry-ca", self.authority.ca, "--poll-interval", "1h",
            "--registry-username", USER,
            "--registry-password-file", self.password_file()))

    def test_password_by_the_environment(self):
        """A line end of a Secret made with echo is none of it; a file counts
        more."""
        self.push("4.5.13")
        for password, flags in (
                (PASSWORD, []), (PASSWORD + "\n", []),
                ("not-the-right-one", ["--registry-password-file",
                                       self.password_file()])):
            daemon = self.start(
                "--repository", self.registry.repository(self.path),
                "--registry-ca", self.authority.ca, "--poll-interval", "1h",
                *flags, env={"SPECMAN_REGISTRY_USERNAME": USER,
                             "SPECMAN_REGISTRY_PASSWORD": password})
            self.check_served(daemon)
            daemon.stop()

    def test_environment_and_a_flag_that_wins(self):
        self.push("4.5.13")
        self.check_served(self.start(
            "--repository", self.registry.repository(self.path), env={
                "SPECMAN_REPOSITORY": "127.0.0.1:1/not/this/one",
                "SPECMAN_REGISTRY_CA": self.authority.ca,
                "SPECMAN_POLL_INTERVAL": "1h",
                "SPECMAN_REGISTRY_USERNAME": USER,
                "SPECMAN_REGISTRY_PASSWORD_FILE": self.password_file()}))

    def test_wrong_password_is_an_error_that_says_so(self):
        self.push("4.5.13")
        path = os.path.join(self.folder(), "password")
        with open(path, "w", encoding="ascii") as file:
            file.write("not-the-right-one")
        hidden.hide("not-the-right-one")
        daemon = self.start(
            "--repository", self.registry.repository(self.path),
            "--registry-ca", self.authority.ca, "--poll-interval", "1h",
            "--registry-username", USER, "--registry-password-file", path)
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertIn("401", failed["error"])
        self.assertIn(self.registry.host, failed["error"])
        self.assertEqual(self.client(daemon).get("/").status, 503)

    def test_credentials_are_read_anew_after_a_refusal(self):
        """Also from a file that, by all that can be seen, has not changed."""
        self.push("4.5.13")
        path = self.password_file()
        with open(path, "r+", encoding="ascii") as file:
            file.write(PASSWORD[::-1])
        hidden.hide(PASSWORD[::-1])
        before = os.stat(path)
        daemon = self.start(
            "--repository", self.registry.repository(self.path),
            "--registry-ca", self.authority.ca, "--poll-interval", "1h",
            "--registry-username", USER, "--registry-password-file", path)
        daemon.wait_log(r'level=error msg="Sync failed".*\b401\b')
        with open(path, "r+", encoding="ascii") as file:
            file.write(PASSWORD)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = os.stat(path)
        for field in ("st_ino", "st_size", "st_mtime_ns"):
            self.assertEqual(getattr(after, field), getattr(before, field))
        daemon.poll_now()
        self.check_served(daemon)

    def test_unknown_authority_is_refused(self):
        self.push("4.5.13")
        daemon = self.start(
            "--repository", self.registry.repository(self.path),
            "--registry-username", USER, "--poll-interval", "1h",
            "--registry-password-file", self.password_file())
        failed = daemon.wait_log(r'level=error msg="Sync failed"', seconds=90)
        self.assertRegex(failed["error"], "(?i)certificate|SSL|TLS")

    def test_anonymous_over_plain_http(self):
        plain_registry = Registry(self.folder())
        self.addCleanup(plain_registry.stop)
        self.push("4.5.13", registry=plain_registry)
        daemon = self.start(
            "--plain-http", "--poll-interval", "1h",
            "--repository", plain_registry.repository(self.path))
        self.check_served(daemon)
        daemon.wait_log("level=warning .*plain-http")

    def test_token_server(self):
        tokens = TokenServer(self.folder(), self.authority, USER, PASSWORD)
        self.addCleanup(tokens.stop)
        registry = Registry(self.folder(), self.authority, tokens=tokens)
        self.addCleanup(registry.stop)
        self.push("4.5.13", registry=registry)
        daemon = self.start(
            "--repository", registry.repository(self.path),
            "--registry-ca", self.authority.ca, "--poll-interval", "1h",
            "--registry-username", USER,
            "--registry-password-file", self.password_file())
        self.check_served(daemon)
        asked = [target for target, _ in tokens.requests]
        self.assertLessEqual(len(asked), 2, asked)
        self.assertIn("tenant=one", asked[0])
        self.assertRegex(asked[0], "service=test-registry")
        self.assertRegex(asked[0], "(?i)scope=repository(:|%3A)"
                         + self.path.replace("/", "(/|%2F)")
                         + "(:|%3A)pull")


    def test_token_server_and_a_refresh_token(self):
        tokens = TokenServer(self.folder(), self.authority, USER, PASSWORD)
        self.addCleanup(tokens.stop)
        registry = Registry(self.folder(), self.authority, tokens=tokens)
        self.addCleanup(registry.stop)
        self.push("4.5.13", registry=registry)
        mounted = secret.Secret(os.path.join(self.folder(), "secret"))
        keys = secret.platform(registry, self.base)
        mounted.put({**keys, ".dockerconfigjson": json.dumps({"auths": {
            registry.host: {"auth": base64.b64encode(
                b"00000000-0000-0000-0000-000000000000:").decode(),
                "identitytoken": tokens.refresh}}})})
        self.check_served(self.start("--registry-secret-dir", mounted.folder,
                                     "--poll-interval", "1h"))
        self.assertEqual(tokens.requests, [("/token?tenant=one", None)])

    def test_token_server_that_refuses(self):
        tokens = TokenServer(self.folder(), self.authority, USER,
                             "an0ther-password")
        self.addCleanup(tokens.stop)
        registry = Registry(self.folder(), self.authority, tokens=tokens)
        self.addCleanup(registry.stop)
        daemon = self.start(
            "--repository", registry.repository(self.path),
            "--registry-ca", self.authority.ca, "--poll-interval", "1h",
            "--registry-username", USER,
            "--registry-password-file", self.password_file())
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertRegex(
            failed["error"], r"401 from token server 127\.0\.0\.1:"
            f"{tokens.port}: .*no such user; check username and password")
        self.assertEqual(failed["cause"], "login-refused")
        self.assertEqual(len(tokens.requests), 1)


class Rounds(RegistryCase):
    """What a round does and what it leaves alone."""

    def test_the_six_messages(self):
        tags = ["0.0.0", "4.5.13", "4.5.15"]
        for tag in tags:
            self.push(tag)
        daemon = self.start_with_secret()
        daemon.wait_log(r"msg=Published\b.* releases=3\b")
        messages = [r["msg"] for r in daemon.records()
                    if re.fullmatch(SIX, r.get("msg", ""))]
        self.assertEqual(messages[0], "Syncing with OCI repo")
        self.assertRegex(messages[1], r"^tags\[\S+ \S+ \S+\]$")
        listed = messages[1][len("tags["):-1].split(" ")
        self.assertEqual(sorted(listed), tags)
        steps = messages[2:]
        self.assertEqual(len(steps), 4 * len(tags), steps)
        seen = []
        for at in range(0, len(steps), 4):
            tag = steps[at].removeprefix("Downloading ")
            seen.append(tag)
            self.assertEqual(steps[at], "Downloading " + tag)
            self.assertRegex(steps[at + 1], r"^listing dir \S+$")
            self.assertEqual(steps[at + 2],
                             "filename: manifests.tgz, isDir: false")
            self.assertEqual(steps[at + 3], "Persisting " + tag)
        self.assertEqual(sorted(seen), tags)
        for line in daemon.lines():
            self.assertRegex(line, r'^time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ" '
                             r"level=(debug|info|warning|error) msg=")

    def test_overlay(self):
        own, old, new = (tree.operators_own(), tree.release("4.5.9"),
                         tree.release("4.5.10"))
        own["roar/only-in-0.yaml"] = b"from: 0.0.0\n"
        old["roar/nickfury/only-in-old.yaml"] = b"from: 4.5.9\n"
        for tag, files in (("4.5.10", new), ("0.0.0", own), ("4.5.9", old)):
            self.push(tag, files)
        daemon = self.start_with_secret()
        daemon.wait_log(r"msg=Published\b.* releases=3\b")
        client = self.client(daemon)
        self.check_tree(client, {**own, **old, **new})
        self.assertEqual(client.get(VERSIONS)["Specman-Release"], "4.5.10")
        self.assertEqual(client.get("/roar/only-in-0.yaml")
                         ["Specman-Release"], "0.0.0")
        self.assertEqual(client.get("/roar/nickfury/only-in-old.yaml")
                         ["Specman-Release"], "4.5.9")

    def test_new_tag_within_a_poll(self):
        self.push("4.5.13")
        daemon = self.start_with_secret(interval="1s")
        client = self.client(daemon)
        self.wait_body(client, VERSIONS, versions("4.5.13"), daemon)
        self.push("4.5.15")
        self.wait_body(client, VERSIONS, versions("4.5.15"), daemon)
        self.check_tree(client, tree.release("4.5.13")
                        | tree.release("4.5.15"))

    def test_new_tag_at_once_on_a_signal(self):
        self.push("4.5.13")
        daemon = self.start_with_secret(interval="1h")
        client = self.client(daemon)
        self.wait_body(client, VERSIONS, versions("4.5.13"), daemon)
        self.push("4.5.15")
        daemon.poll_now()
        self.wait_body(client, VERSIONS, versions("4.5.15"), daemon)

    def test_moved_tag(self):
        self.push("4.5.13", {"a.yaml": b"one\n", "gone.yaml": b"x\n"})
        daemon = self.start_with_secret("--view-lease", "off")
        client = self.client(daemon)
        self.wait_body(client, "/a.yaml", b"one\n", daemon)
        etag = client.get("/a.yaml")["ETag"]
        self.push("4.5.13", {"a.yaml": b"two\n", "new.yaml": b"y\n"})
        daemon.poll_now()
        self.wait_body(client, "/a.yaml", b"two\n", daemon)
        self.assertNotEqual(client.get("/a.yaml")["ETag"], etag)
        self.assertEqual(client.get("/new.yaml").body, b"y\n")
        self.assertEqual(client.get("/gone.yaml").status, 404)
        self.check_store(daemon.data)

    def test_unchanged_digest_downloads_nothing(self):
        self.push("4.5.13")
        self.push("4.5.15")
        since = self.registry.mark()
        daemon = self.start_with_secret("--log-level", "debug")
        daemon.wait_log(r"msg=Published\b.* releases=2\b")
        first = self.registry.blob_gets(since)
        self.assertEqual(len(set(first) - {artifact.digest(b"{}")}), 2)
        daemon.wait_log('msg="Sync done"')
        since = self.registry.mark()
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log('msg="Nothing new"', mark)
        self.assertEqual(self.registry.blob_gets(since), [])
        self.assertNotIn("Downloading", "\n".join(daemon.lines(mark)))
        # Nor does a new start, with the same store.
        daemon.stop()
        again = self.start("--registry-secret-dir", self.mounted.folder,
                           "--poll-interval", "1h", "--log-level", "debug",
                           data=daemon.data)
        again.wait_log('msg="Nothing new"')
        self.assertEqual(self.registry.blob_gets(since), [])
        self.check_tree(self.client(again), tree.release("4.5.15"))

    def test_same_layer_under_a_new_manifest(self):
        layer = self.push("4.5.13")
        daemon = self.start_with_secret()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        daemon.wait_log('msg="Sync done"')
        since = self.registry.mark()
        digest = self.registry.push("4.5.13", layer, self.path)
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log(r'msg="(Sync done|Nothing new)"|msg=Published', mark)
        self.assertNotIn(artifact.digest(layer),
                         self.registry.blob_gets(since))

        def noted():
            path = os.path.join(daemon.data, "releases", "4.5.13.mtree")
            with open(path, encoding="utf-8") as file:
                return digest in file.read()
        until(noted, "the release to name its new manifest", 30, daemon.tail)
        self.check_tree(self.client(daemon), tree.release("4.5.13"))

    def test_deleted_tag_stays_served(self):
        self.push("4.5.13")
        layer = artifact.tgz(tree.release("4.5.15"))
        digest = self.registry.push("4.5.15", layer, self.path)
        daemon = self.start_with_secret("--log-level", "debug")
        daemon.wait_log(r"msg=Published\b.* releases=2\b")
        daemon.wait_log('msg="Sync done"')
        self.registry.delete(digest, self.path)
        mark = daemon.mark()
        daemon.poll_now()
        # docker-registry goes on listing a tag whose manifest is deleted.
        daemon.wait_log(r'msg="(Nothing new|Sync done|Sync failed|Release .*)"',
                        mark)
        self.check_tree(self.client(daemon), tree.release("4.5.15"))

    def test_docker_schema_2(self):
        layer = artifact.tgz(tree.release("4.5.13"))
        self.registry.push("4.5.13", layer, self.path,
                           artifact.docker_manifest(layer))
        daemon = self.start_with_secret()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.check_tree(self.client(daemon), tree.release("4.5.13"))

    def test_copy_made_by_skopeo(self):
        self.push("4.5.13")
        certs = self.folder()
        os.symlink(self.authority.ca, os.path.join(certs, "ca.crt"))
        source = f"docker://{self.registry.repository('copied/' + self.path)}"
        self.registry.push("4.5.13", artifact.tgz(tree.release("4.5.13")),
                           "copied/" + self.path)
        login = f"{USER}:{PASSWORD}"
        proc.run(["skopeo", "copy", "--retry-times=3", "--insecure-policy",
                  "--src-cert-dir", certs, "--dest-cert-dir", certs,
                  "--src-creds", login, "--dest-creds", login,
                  source + ":4.5.13",
                  f"docker://{self.registry.repository(self.path)}:4.5.15"])
        daemon = self.start_with_secret()
        daemon.wait_log(r"msg=Published\b.* releases=2\b")
        answer = self.client(daemon).get(VERSIONS)
        self.assertEqual(answer.body, versions("4.5.13"))
        self.assertEqual(answer["Specman-Release"], "4.5.15")

    def test_title_that_is_a_path(self):
        layer = artifact.tgz(tree.release("4.5.13"))
        self.registry.push("4.5.13", layer, self.path, artifact.oras_manifest(
            layer, title="/home/operator/out/manifests.tgz"))
        daemon = self.start_with_secret()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertIn("filename: manifests.tgz, isDir: false", daemon.log())
        self.check_tree(self.client(daemon), tree.release("4.5.13"))

    def test_empty_repository_is_no_error_for_serving(self):
        daemon = self.start_with_secret(interval="1s")
        daemon.wait_log(r'level=error msg="Sync failed"|tags\[\]')
        client = self.client(daemon)
        self.assertEqual(client.get(VERSIONS).status, 503)
        self.push("4.5.13")
        self.wait_body(client, VERSIONS, versions("4.5.13"), daemon)


class Secrets(RegistryCase):
    """The secret comes, changes and goes while specman runs."""

    def test_secret_that_appears_later(self):
        self.push("4.5.13")
        folder = os.path.join(self.folder(), "secret")
        os.mkdir(folder)
        daemon = self.start("--registry-secret-dir", folder,
                            "--poll-interval", "1h")
        daemon.wait_log(r'level=warning msg="Waiting for the registry secret"')
        client = self.client(daemon)
        self.assertEqual(client.get(VERSIONS).status, 503)
        secret.Secret(folder, **secret.platform(self.registry, self.base))
        self.wait_body(client, VERSIONS, versions("4.5.13"), daemon)

    def test_folder_that_appears_later(self):
        self.push("4.5.13")
        folder = os.path.join(self.folder(), "not", "there")
        daemon = self.start("--registry-secret-dir", folder,
                            "--poll-interval", "1h")
        daemon.wait_log(r'level=warning msg="Waiting for the registry secret"')
        secret.Secret(folder, **secret.platform(self.registry, self.base))
        daemon.wait_log(r"msg=Published\b.* releases=1\b")

    def test_secret_that_changes(self):
        self.push("4.5.13")
        daemon_secret = self.secret(password="not yet the right one")
        daemon = self.start("--registry-secret-dir", daemon_secret.folder,
                            "--poll-interval", "1h")
        daemon.wait_log(r'level=error msg="Sync failed"')
        daemon_secret.put(secret.platform(self.registry, self.base))
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.check_tree(self.client(daemon), tree.release("4.5.13"))

    def test_secret_that_is_deleted(self):
        self.push("4.5.13")
        daemon = self.start_with_secret()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        mark = daemon.mark()
        self.mounted.remove()
        daemon.poll_now()
        daemon.wait_log(r'level=warning msg="Waiting for the registry secret"',
                        mark)
        self.check_tree(self.client(daemon), tree.release("4.5.13"))


class Lists(Case):
    """Lists of tags that no docker-registry gives."""

    def fake(self, **options):
        fake = FakeRegistry(**options)
        self.addCleanup(fake.stop)
        return fake

    def run_against(self, fake, *flags, interval="1h"):
        return self.start("--plain-http", "--repository", fake.repository(),
                          "--poll-interval", interval, *flags)

    def test_more_than_one_page(self):
        fake = self.fake(page=3)
        for number in range(10):
            fake.push(f"1.0.{number}", artifact.tgz(
                {f"file-{number}.txt": b"%d\n" % number}))
        daemon = self.run_against(fake)
        daemon.wait_log(r"msg=Published\b.* releases=10\b")
        client = self.client(daemon)
        for number in range(10):
            self.assertEqual(client.get(f"/file-{number}.txt").body,
                             b"%d\n" % number)
        self.assertEqual(len(fake.seen("GET", "/tags/list")), 4)

    def test_absolute_and_unquoted_link(self):
        fake = self.fake()
        fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        fake.push("1.0.1", artifact.tgz({"b": b"b"}))
        path = fake.repository().split("/", 1)[1]

        def page(request):
            if "last=" in request.path:
                return request.reply(200, {"name": path, "tags": ["1.0.1"]})
            return request.reply(
                200, {"name": path, "tags": ["1.0.0"]},
                {"Link": f"<{fake.url}/v2/{path}/tags/list?last=1.0.0>; "
                         "rel=next"})
        fake.on("GET", "/tags/list", page)
        daemon = self.run_against(fake)
        daemon.wait_log(r"msg=Published\b.* releases=2\b")

    def test_link_in_a_circle(self):
        fake = self.fake()
        fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        path = fake.repository().split("/", 1)[1]
        fake.on("GET", "/tags/list", lambda request: request.reply(
            200, {"name": path, "tags": ["1.0.0"]},
            {"Link": f'</v2/{path}/tags/list?last=1.0.0>; rel="next"'}))
        daemon = self.run_against(fake)
        daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertLess(len(fake.seen("GET", "/tags/list")), 50)

    def test_link_to_another_host(self):
        fake, other = self.fake(), self.fake(host="localhost")
        path = fake.repository().split("/", 1)[1]
        for registry in (fake, other):
            registry.push("1.0.0", artifact.tgz({"a": b"a"}))
        fake.on("GET", "/tags/list", lambda request: request.reply(
            200, {"name": path, "tags": ["1.0.0"]},
            {"Link": f'<{other.url}/v2/{path}/tags/list>; rel="next"'}))
        daemon = self.run_against(fake)
        daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertEqual(other.requests, [])

    def test_null_duplicates_and_what_is_no_release(self):
        fake = self.fake()
        for tag in ("1.0.0", "sha256-" + "a" * 64 + ".sig"):
            fake.push(tag, artifact.tgz({"a": b"a"}))
        path = fake.repository().split("/", 1)[1]
        lists = [{"name": path, "tags": None},
                 {"name": path, "tags": [
                     "1.0.0", "1.0.0", "sha256-" + "a" * 64 + ".sig",
                     "sha256-" + "b" * 64 + ".att"]}]
        fake.on("GET", "/tags/list",
                lambda request: request.reply(200, lists[0]))
        daemon = self.run_against(fake, "--log-level", "debug")
        daemon.wait_log('msg="(Nothing new|Sync done)"')
        lists[0] = lists[1]
        daemon.poll_now()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertEqual(self.client(daemon).get("/a").body, b"a")
        self.assertEqual(fake.seen("GET", r"\.sig|\.att"), [])

    def test_tag_that_is_a_path(self):
        fake = self.fake()
        fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        path = fake.repository().split("/", 1)[1]
        fake.on("GET", "/tags/list", lambda request: request.reply(
            200, {"name": path, "tags": ["../../../../x", "1.0.0", "..",
                                         "a\r\nX-Evil: 1"]}))
        daemon = self.run_against(fake)
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertEqual(fake.seen("GET", r"\.\.|Evil|%2e"), [])
        self.assertEqual(fake.seen("HEAD", r"\.\.|Evil|%2e"), [])
        self.assertEqual(os.listdir(os.path.join(daemon.data, "releases")),
                         ["1.0.0.mtree"])

    def test_one_tag_that_fails_does_not_stop_the_others(self):
        fake = self.fake()
        for tag in ("1.0.0", "1.0.1", "1.0.2"):
            fake.push(tag, artifact.tgz({tag: tag.encode()}))
        for method in ("HEAD", "GET"):
            fake.on(method, "/manifests/1.0.1$", lambda request: request.reply(
                403, {"errors": [{"code": "DENIED",
                                  "message": "quarantined by policy"}]}))
        daemon = self.run_against(fake)
        daemon.wait_log(r"msg=Published\b.* releases=2\b")
        failed = daemon.wait_log(r"level=error .*1\.0\.1")
        self.assertIn("403", failed["error"])
        client = self.client(daemon)
        self.assertEqual(client.get("/1.0.0").body, b"1.0.0")
        self.assertEqual(client.get("/1.0.2").body, b"1.0.2")
        self.assertEqual(client.get("/1.0.1").status, 404)

    def test_server_errors_are_asked_again(self):
        fake = self.fake()
        fake.push("1.0.0", artifact.tgz({"a": b"a"}))
        failures = [503, 500]
        fake.on("GET", "/tags/list", lambda request: bool(failures) and
                request.reply(failures.pop(), b"<html>try later</html>",
                              {"Retry-After": "0"}))
        daemon = self.run_against(fake, interval="1s")
        daemon.wait_log(r"msg=Published\b.* releases=1\b", seconds=60)
        self.assertEqual(failures, [])


class Away(RegistryCase):
    """The registry is not there."""

    def setUp(self):
        super().setUp()
        self.own = Registry(self.folder(), self.authority)
        self.addCleanup(self.own.stop)

    def flags(self, interval="1s"):
        return ("--repository", self.own.repository(self.path),
                "--registry-ca", self.authority.ca,
                "--poll-interval", interval)

    def test_down_at_start_serves_what_it_has(self):
        self.push("4.5.13", registry=self.own)
        daemon = self.start(*self.flags())
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        etag = self.client(daemon).get(VERSIONS)["ETag"]
        daemon.stop()
        self.own.stop()
        again = self.start(*self.flags(), data=daemon.data)
        client = self.client(again)
        self.assertEqual(client.get(VERSIONS).status, 200)
        self.assertEqual(client.get(VERSIONS)["ETag"], etag)
        self.check_tree(client, tree.release("4.5.13"))
        self.assertEqual(plain(again.address("admin"), "/readyz").status, 200)
        # And it goes on when the registry is back.
        self.own.start()
        self.push("4.5.15", registry=self.own)
        again.poll_now()
        self.wait_body(client, VERSIONS, versions("4.5.15"), again, 90)

    def test_down_at_the_first_start(self):
        self.push("4.5.13", registry=self.own)
        self.own.stop()
        daemon = self.start(*self.flags())
        client = self.client(daemon)
        self.assertEqual(client.get(VERSIONS).status, 503)
        self.own.start()
        self.wait_body(client, VERSIONS, versions("4.5.13"), daemon, 90)

    def test_goes_away_while_serving(self):
        self.push("4.5.13", registry=self.own)
        daemon = self.start(*self.flags("1h"))
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.own.stop()
        daemon.poll_now()
        failed = daemon.wait_log(r'level=error msg="Sync failed"', seconds=120)
        self.assertIn(self.own.host, failed["error"])
        self.check_tree(self.client(daemon), tree.release("4.5.13"))


class Process(Case):
    """The daemon as a process: lock, end, usage."""

    def test_second_daemon_on_the_same_store(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        flags = ("--plain-http", "--repository", fake.repository())
        first = self.start(*flags)
        first.address()
        folder = self.folder()
        second = Specman(*flags, data=first.data,
                         log=os.path.join(folder, "stderr.log"))
        self.addCleanup(second.finish)
        self.assertEqual(second.wait(), 1)
        self.assertRegex(second.log(), r"level=error .*(?i:lock|in use|held)")
        self.assertIn(str(first.process.pid), second.log())
        self.assertEqual(self.client(first).get("/").status, 503)

    def test_term_during_a_slow_download(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        layer = artifact.tgz({"big": tree.binary("big", 1 << 20)})
        fake.push("1.0.0", layer)

        def slow(request):
            request.reply(200, layer[:70000], length=len(layer))
            return request.wait_closed()
        fake.on("GET", "/blobs/" + artifact.digest(layer), slow)

        def stop():
            fake.requests.clear()
            daemon = self.start("--plain-http", "--repository",
                                fake.repository())
            until(lambda: fake.seen("GET", artifact.digest(layer)),
                  "the download", 30, daemon.tail)
            daemon.wait_log("Downloading 1.0.0")
            return daemon.stop()
        self.assertTrue(is_prompt(stop, 4 * scale()))

    def test_term_while_the_list_does_not_come(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.on("GET", "/tags/list", lambda request: request.wait_closed())

        def stop():
            fake.requests.clear()
            daemon = self.start("--plain-http", "--repository",
                                fake.repository())
            until(lambda: fake.seen("GET", "/tags/list"), "the list", 30,
                  daemon.tail)
            return daemon.stop()
        self.assertTrue(is_prompt(stop, 4 * scale()))

    def test_term_lets_a_running_answer_end(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        data = tree.binary("drain", 8 << 20)
        fake.push("1.0.0", artifact.tgz({"big.bin": data}))
        daemon = self.start("--plain-http", "--repository", fake.repository(),
                            "--poll-interval", "1h")
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        client = Client(daemon.address(), daemon.ca())
        with client.raw(receive_buffer=8192) as sock:
            sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            file = sock.makefile("rb")
            head = file.readline()
            self.assertIn(b"200", head)
            daemon.process.terminate()
            while file.readline() not in (b"\r\n", b""):
                pass
            self.assertEqual(file.read(len(data)), data)
        self.assertEqual(daemon.wait(), 0)

    def test_private_files_are_private(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        daemon = self.start("--plain-http", "--repository", fake.repository())
        daemon.address()
        keys = []
        for folder, _, names in os.walk(daemon.data):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.isfile(path):
                    continue  # the control socket
                with open(path, "rb") as file:
                    if b"PRIVATE KEY" in file.read():
                        keys.append(path)
        self.assertTrue(keys)
        for path in keys:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0,
                             path)

    def refused(self, *flags, env=None):
        done = proc.run([program(), *flags, "--data-dir", self.folder()],
                        20, check=False, env=environment(env))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stdout, b"")
        return done.stderr.decode()

    def test_bad_usage(self):
        for flags, named in (
                (["--poll-intervall", "1s"], "--poll-interval"),
                (["--pol-jitter=1%"], "--poll-jitter"),
                (["--poll-interval", "banana"], "banana"),
                (["--workers", "-1"], "--workers"),
                (["--workers", "2x"], "2x"),
                (["--log-level", "loud"], "debug"),
                (["--listen", "127.0.0.1:99999"], "99999"),
                (["--repository", "UPPER/../case"], "UPPER"),
                (["--registry-username", "u"], "--registry-password-file"),
                (["serve", "stray"], "stray"),
                (["sevre"], "serve")):
            with self.subTest(flags=flags):
                self.assertIn(named, self.refused(*flags))

    def test_flag_without_its_value(self):
        done = proc.run([program(), "--poll-interval"], 20,
                        check=False, env=environment())
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--poll-interval", done.stderr)

    def test_bad_environment(self):
        said = self.refused(env={"SPECMAN_POLL_INTERVALL": "1s"})
        self.assertIn("SPECMAN_POLL_INTERVALL", said)
        self.assertRegex(said, r"SPECMAN_POLL_INTERVAL\b")
        said = self.refused(env={"SPECMAN_POLL_INTERVAL": "soon"})
        self.assertIn("SPECMAN_POLL_INTERVAL", said)
        self.assertIn("soon", said)

    def test_version_and_help(self):
        done = proc.run([program(), "version"], env=environment())
        self.assertRegex(done.stdout, rb"^specman \S+")
        done = proc.run([program(), "--help"], env=environment())
        for flag in (b"--repository", b"--registry-secret-dir", b"--listen",
                     b"--poll-interval", b"--data-dir"):
            self.assertIn(flag, done.stdout)


if __name__ == "__main__":
    unittest.main()
