"""What a registry or an archive may try: each is refused and logged, what was
served stays, the store keeps no trace."""
import gzip
import json
import os
import ssl
import tarfile
import unittest
import urllib.parse
import zlib

from lib import artifact, hidden, tree
from lib.case import Case
from lib.client import Client
from lib.faulty import FakeRegistry, blob, error
from lib.registry import PATH, Registry
from lib.wait import until

GOOD = {"roar/nickfury/versions.yaml": b"versions: good\n",
        "roar/kept.yaml": b"kept: yes\n"}
OTHER = {"roar/other.yaml": b"from: another tag\n"}


def corrupt(path):
    """Flips one bit in the middle of a file."""
    with open(path, "r+b") as file:
        middle = os.path.getsize(path) // 2
        file.seek(middle)
        byte = file.read(1)
        file.seek(middle)
        file.write(bytes([byte[0] ^ 0x10]))


class Archives(Case):
    """Bad archives under tags that were good before, in a real registry."""

    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(cls.class_folder())
        cls.addClassCleanup(cls.registry.stop)

    def setUp(self):
        self.path = self.id().split(".")[-1].replace("_", "-")
        self.registry.push("1.0.0", artifact.tgz(GOOD), self.path)
        self.registry.push("0.9.0", artifact.tgz(OTHER), self.path)
        self.daemon = self.start(
            "--plain-http", "--poll-interval", "1h", "--view-lease", "off",
            "--repository", self.registry.repository(self.path))
        self.daemon.wait_log(r"msg=Published\b.* releases=2\b")
        self.served = self.client(self.daemon)

    def refused(self, layer, *names, after=None):
        """Pushes a layer over 1.0.0; returns the error of its refusal, which
        has to hold the names."""
        self.registry.push("1.0.0", layer, self.path)
        if after:
            after(layer)
        mark = self.daemon.mark()
        self.daemon.poll_now()
        record = self.daemon.wait_log(
            r'level=error msg="Release refused".* tag=1\.0\.0\b', mark, 60)
        for name in names:
            self.assertIn(name, record["error"])
        self.still_good()
        return record["error"]

    def still_good(self):
        self.check_tree(self.served, GOOD | OTHER)
        self.assertEqual(self.served.get("/roar/kept.yaml")
                         ["Specman-Release"], "1.0.0")
        self.check_store(self.daemon.data)
        self.assertEqual(
            sorted(os.listdir(os.path.join(self.daemon.data, "releases"))),
            ["0.9.0.mtree", "1.0.0.mtree"])

    def test_flipped_byte_in_a_blob(self):
        said = self.refused(
            artifact.tgz({**GOOD, "bad.bin": tree.binary("x", 50000)}),
            after=lambda layer: corrupt(
                self.registry.blob_path(artifact.digest(layer))))
        self.assertRegex(said, "(?i)digest")
        self.assertEqual(self.served.get("/bad.bin").status, 404)

    def test_truncated_gzip(self):
        whole = artifact.tgz({"new.bin": tree.binary("x", 50000)})
        self.refused(whole[:len(whole) // 2])
        self.assertEqual(self.served.get("/new.bin").status, 404)

    def test_tar_cut_at_a_header(self):
        whole = artifact.tar({"a": b"a" * 1024, "b": b"b" * 2048})
        self.refused(gzip.compress(whole[:1024 + 512 + 700]))

    def test_garbage(self):
        self.refused(tree.binary("garbage", 4096))

    def test_empty_layer(self):
        self.refused(b"")

    def test_garbage_in_gzip(self):
        self.refused(gzip.compress(tree.binary("garbage", 4096)))

    def test_parent_folder(self):
        self.refused(artifact.tgz(
            {"new": b"n"}, [artifact.member("../evil-up", data=b"e")]),
            "../evil-up")

    def test_parent_folder_inside(self):
        self.refused(artifact.tgz(
            {"new": b"n"},
            [artifact.member("roar/../../evil-in", data=b"e")]), "evil-in")

    def test_absolute_path(self):
        self.refused(artifact.tgz(
            {"new": b"n"}, [artifact.member("/etc/evil-abs", data=b"e")]),
            "/etc/evil-abs")

    def test_symbolic_link_out(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("roar/evil-link", tarfile.SYMTYPE,
                            "../../etc/passwd")]), "roar/evil-link")

    def test_absolute_symbolic_link(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil-abs-link", tarfile.SYMTYPE,
                            "/etc/passwd")]), "evil-abs-link")

    def test_file_through_a_link(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil-dir", tarfile.SYMTYPE, "/tmp"),
            artifact.member("evil-dir/file", data=b"e")]), "evil-dir")

    def test_links_in_a_circle(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("loop-a", tarfile.SYMTYPE, "loop-b"),
            artifact.member("loop-b", tarfile.SYMTYPE, "loop-a")]), "loop-")

    def test_hard_link_out(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil-hard", tarfile.LNKTYPE,
                            "../../etc/passwd")]), "evil-hard")

    def test_hard_link_to_nothing(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil-hard", tarfile.LNKTYPE, "not/there")]),
            "evil-hard")

    def test_device(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil-null", tarfile.CHRTYPE)]), "evil-null")

    def test_block_device(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil-disk", tarfile.BLKTYPE)]), "evil-disk")

    def test_fifo(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil-fifo", tarfile.FIFOTYPE)]), "evil-fifo")

    def test_control_character_in_a_name(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil\x1b[2Jname", data=b"e")]), "evil")
        self.assertNotIn("\x1b", self.daemon.log())

    def test_newline_in_a_name(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("evil\ntime=now level=info msg=Forged",
                            data=b"e")]), "evil")
        self.assertFalse([line for line in self.daemon.lines()
                          if line.startswith("time=now")])

    def test_path_that_is_too_deep(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("deep/" * 70 + "file", data=b"e")]), "deep/")

    def test_name_that_is_too_long(self):
        self.refused(artifact.tgz({"new": b"n"}, [
            artifact.member("/".join(["n" * 200] * 25), data=b"e")]))

    def test_bomb(self):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        size = 400 << 20
        info, _ = artifact.member("zeros.bin")
        info.size = size
        parts = [packer.compress(info.tobuf(tarfile.GNU_FORMAT))]
        zeros = bytes(1 << 20)
        parts += [packer.compress(zeros) for _ in range(size >> 20)]
        parts += [packer.compress(bytes(1024)), packer.flush()]
        layer = b"".join(parts)
        self.assertGreater(size / len(layer), 500)
        self.refused(layer, "zeros.bin")

    def test_new_tag_that_is_bad(self):
        """A tag that never was good does not come into being."""
        self.registry.push("2.0.0", artifact.tgz(
            {"roar/kept.yaml": b"overlaid\n"},
            [artifact.member("../evil", data=b"e")]), self.path)
        self.registry.push("1.5.0", artifact.tgz({"fresh.yaml": b"f\n"}),
                           self.path)
        mark = self.daemon.mark()
        self.daemon.poll_now()
        self.daemon.wait_log(
            r'level=error msg="Release refused".* tag=2\.0\.0\b', mark, 60)
        self.wait_body(self.served, "/fresh.yaml", b"f\n", self.daemon)
        self.check_tree(self.served, GOOD | OTHER)
        self.check_store(self.daemon.data)

    def test_good_again(self):
        """A refusal is no dead end: the next good push is served."""
        self.refused(tree.binary("garbage", 4096))
        self.registry.push("1.0.0", artifact.tgz(
            {**GOOD, "roar/kept.yaml": b"kept: new\n"}), self.path)
        self.daemon.poll_now()
        self.wait_body(self.served, "/roar/kept.yaml", b"kept: new\n",
                       self.daemon)
        self.check_store(self.daemon.data)

    def test_links_that_stay_inside(self):
        """The other side of the rules: these are fine."""
        self.registry.push("1.0.0", artifact.tgz(GOOD, [
            artifact.member("latest", tarfile.SYMTYPE, "roar/nickfury"),
            artifact.member("roar/alias.yaml", tarfile.SYMTYPE,
                            "./kept.yaml"),
            artifact.member("roar/hard.yaml", tarfile.LNKTYPE,
                            "roar/kept.yaml"),
            artifact.member("./dotted.yaml", data=b"dotted\n", mode=0o4755),
            artifact.member("twice.yaml", data=b"first\n"),
            artifact.member("twice.yaml", data=b"second\n")]), self.path)
        self.daemon.poll_now()
        self.wait_body(self.served, "/dotted.yaml", b"dotted\n", self.daemon)
        self.check_tree(self.served, {
            **GOOD, "twice.yaml": b"second\n",
            "roar/alias.yaml": GOOD["roar/kept.yaml"],
            "roar/hard.yaml": GOOD["roar/kept.yaml"],
            "latest/versions.yaml": GOOD["roar/nickfury/versions.yaml"]})
        self.check_store(self.daemon.data)


class Answers(Case):
    """Lies of a registry about manifests, sizes and bytes."""

    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.fake.push("0.9.0", artifact.tgz(OTHER))
        self.fake.push("1.0.0", artifact.tgz(GOOD))
        self.daemon = self.start(
            "--plain-http", "--poll-interval", "1h", "--view-lease", "off",
            "--repository", self.fake.repository())
        self.daemon.wait_log(r"msg=Published\b.* releases=2\b")
        self.served = self.client(self.daemon)
        self.layer = artifact.tgz({"new.bin": tree.binary("new", 300000)})

    def error(self, seconds=90):
        """Polls; returns the error that names the tag."""
        mark = self.daemon.mark()
        self.daemon.poll_now()
        record = self.daemon.wait_log(r"level=error .*\b1\.0\.0\b", mark,
                                      seconds)
        self.check_tree(self.served, GOOD | OTHER)
        self.assertEqual(self.served.get("/new.bin").status, 404)
        return record["error"]

    def answer_blob(self, hook):
        self.fake.on("GET", "/blobs/" + artifact.digest(self.layer), hook)

    def test_descriptor_larger_than_the_blob(self):
        self.fake.push("1.0.0", self.layer, manifest=artifact.oras_manifest(
            self.layer, size=len(self.layer) + 1))
        self.assertRegex(self.error(), "(?i)size|length|bytes")

    def test_descriptor_smaller_than_the_blob(self):
        self.fake.push("1.0.0", self.layer, manifest=artifact.oras_manifest(
            self.layer, size=len(self.layer) - 1))
        self.assertRegex(self.error(), "(?i)size|length|bytes|digest")
        self.check_store(self.daemon.data)

    def test_other_bytes_of_the_same_size(self):
        self.fake.push("1.0.0", self.layer)
        other = bytearray(self.layer)
        other[len(other) // 2] ^= 1
        self.answer_blob(lambda request: blob(request, bytes(other)))
        self.assertRegex(self.error(), "(?i)digest")
        self.check_store(self.daemon.data)

    def test_answer_that_never_ends(self):
        self.fake.push("1.0.0", self.layer)
        sent = []

        self.answer_blob(lambda request: request.endless(sent))
        self.assertRegex(self.error(), "(?i)size|length|bytes|digest|larger")
        until(lambda: sent, "the server to be hung up on")
        self.assertLess(max(sent), 64 << 20)

    def test_broken_off_each_time(self):
        self.fake.push("1.0.0", self.layer)

        def cut(request):
            request.reply(200, self.layer[:1000], length=len(self.layer))
            return request.hang_up()
        self.answer_blob(cut)
        self.error(120)
        self.assertLess(len(self.fake.seen(
            "GET", artifact.digest(self.layer))), 20)

    def test_broken_off_once(self):
        self.fake.push("1.0.0", self.layer)
        cuts = [len(self.layer) // 2]

        def cut(request):
            if not cuts:
                return False
            request.reply(200, self.layer[:cuts[0]], length=len(self.layer))
            cuts.pop()
            return request.hang_up()
        self.answer_blob(cut)
        self.daemon.poll_now()
        until(lambda: not cuts, "the download", 30, self.daemon.tail)

        def served():
            self.daemon.poll_now()
            return self.served.get("/new.bin").status == 200
        until(served, "the file to be served", 60, self.daemon.tail)
        self.check_tree(self.served,
                        {"new.bin": tree.binary("new", 300000)})
        self.check_store(self.daemon.data)

    def test_manifest_of_another_digest(self):
        digest = self.fake.push("1.0.0", self.layer)
        other = artifact.oras_manifest(self.layer)
        self.fake.on("GET", "/manifests/", lambda request: (
            request.path.endswith(("1.0.0", digest))
            and request.reply(200, other, {
                "Content-Type": artifact.OCI_MANIFEST,
                "Docker-Content-Digest": digest})))
        self.assertRegex(self.error(), "(?i)digest")

    def test_manifest_type_that_contradicts_its_body(self):
        body = artifact.oras_manifest(self.layer)
        digest = self.fake.push("1.0.0", self.layer, manifest=body)
        self.fake.on("GET", "/manifests/", lambda request: (
            request.path.endswith(("1.0.0", digest))
            and request.reply(200, body, {
                "Content-Type": "application/vnd.oci.image.index.v1+json",
                "Docker-Content-Digest": digest})))
        self.error()

    def test_manifests_that_are_none(self):
        for number, body in enumerate((
                b"not json", b"[]", b'{"schemaVersion":1}', b"[" * 100000,
                b'{"schemaVersion":2,"mediaType":"' +
                artifact.OCI_MANIFEST.encode() + b'","layers":[]}',
                artifact.oras_manifest(self.layer).replace(
                    b"sha256:", b"md5:"),
                artifact.oras_manifest(self.layer, size=-1),
                artifact.oras_manifest(self.layer, digest="sha256:../../x"))):
            with self.subTest(body=body[:40]):
                tag = f"2.0.{number}"
                digest = artifact.digest(body)
                repository = self.fake.repositories[PATH]
                repository.tags[tag] = digest
                for method in ("HEAD", "GET"):
                    self.fake.on(method, f"/manifests/({tag}|{digest})$",
                                 lambda request, body=body, digest=digest:
                                 request.reply(200, body, {
                                     "Content-Type": artifact.OCI_MANIFEST,
                                     "Docker-Content-Digest": digest}))
                mark = self.daemon.mark()
                self.daemon.poll_now()
                self.daemon.wait_log(
                    r"level=error .*\b" + tag.replace(".", r"\."), mark, 60)
                del repository.tags[tag]
        self.check_tree(self.served, GOOD | OTHER)

    def test_manifest_without_end(self):
        digest = self.fake.push("1.0.0", self.layer)
        sent = []

        def endless(request):
            if not request.path.endswith(("1.0.0", digest)):
                return False
            return request.endless(sent, b" " * 65536, headers=(
                ("Content-Type", artifact.OCI_MANIFEST),
                ("Docker-Content-Digest", digest)))
        self.fake.on("GET", "/manifests/", endless)
        self.error(120)
        until(lambda: sent, "the server to be hung up on")
        self.assertLess(max(sent), 64 << 20)

    def test_foreign_layer_urls_are_not_followed(self):
        other = FakeRegistry(host="localhost")
        self.addCleanup(other.stop)
        manifest = artifact.oras_manifest(
            self.layer, urls=[other.url + "/layer"])
        self.fake.push("1.0.0", self.layer, manifest=manifest)
        self.answer_blob(lambda request: request.reply(404, b""))
        self.error()
        self.assertEqual(other.requests, [])


class Secrecy(Case):
    """Credentials go to the registry and to nobody else."""

    USER, PASSWORD = "robot", "the-password"

    def setUp(self):
        self.authority = type(self).authority
        self.fake = self.registry(user=self.USER, password=self.PASSWORD)
        self.layer = artifact.tgz(GOOD)
        self.fake.push("1.0.0", self.layer)
        self.password = os.path.join(self.folder(), "password")
        with open(self.password, "w", encoding="ascii") as file:
            file.write(self.PASSWORD)

    @classmethod
    def setUpClass(cls):
        cls.authority = cls.class_authority()

    def registry(self, secure=True, **options):
        fake = FakeRegistry(self.authority if secure else None, **options)
        self.addCleanup(fake.stop)
        return fake

    def run_daemon(self, *flags):
        return self.start(
            "--repository", self.fake.repository(), "--poll-interval", "1h",
            "--registry-ca", self.authority.ca,
            "--registry-username", self.USER,
            "--registry-password-file", self.password, *flags)

    def redirect(self, target):
        hidden.hide(target.partition("?")[2])

        def hook(request):
            if request.headers.get("Authorization") != self.fake.login:
                return False
            return request.reply(307, b"", {"Location": target})
        self.fake.on("GET", "/blobs/" + artifact.digest(self.layer), hook)

    def test_redirect_to_another_host(self):
        for host in ("localhost", "127.0.0.1"):
            with self.subTest(host=host):
                store = self.registry(host=host)
                store.on("GET", "/presigned",
                         lambda request: blob(request, self.layer))
                self.fake.hooks.clear()
                self.redirect(store.url + "/presigned?X-Signature=hush-hush")
                daemon = self.run_daemon()
                daemon.wait_log(r"msg=Published\b.* releases=1\b")
                self.check_tree(Client(daemon.address(), daemon.ca()), GOOD)
                self.assertTrue(store.requests)
                for _, _, headers in store.requests:
                    self.assertNotIn("Authorization", headers)
                    self.assertNotIn("Cookie", headers)
                daemon.stop()

    def test_redirect_there_and_back(self):
        """What another host asks of the registry is not asked in our name."""
        back = []

        def look(request):
            back.append(request.headers.get("Authorization"))
            return blob(request, self.layer)
        store = self.registry(host="localhost")
        store.on("GET", "/presigned", lambda r: r.reply(
            307, b"", {"Location": self.fake.url + "/elsewhere"}))
        self.redirect(store.url + "/presigned")
        self.fake.on("GET", "^/elsewhere$", look)
        daemon = self.run_daemon()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertEqual(back, [None])

    def test_challenge_of_a_storage(self):
        """Who a redirect leads to has no say in where credentials go."""
        thief = self.registry()
        thief.on("GET", "", lambda r: r.reply(200, {"token": "stolen"}))
        store = self.registry(host="localhost")
        for challenge in (f'Bearer realm="{thief.url}/token",service="s"',
                          'Basic realm="store"'):
            with self.subTest(challenge=challenge):
                store.hooks.clear()
                store.requests.clear()
                store.on("GET", "/presigned", lambda r: r.reply(
                    401, b"", {"WWW-Authenticate": challenge}))
                self.fake.hooks.clear()
                self.redirect(store.url + "/presigned?X-Signature=hush-hush")
                daemon = self.run_daemon("--registry-retries", "0")
                failed = daemon.wait_log(r"level=error .*\b1\.0\.0\b")
                self.assertIn(f"401 from {store.host} (redirected)",
                              failed["error"])
                self.assertEqual(thief.requests, [])
                self.assertTrue(store.requests)
                for _, _, headers in store.requests:
                    self.assertNotIn("Authorization", headers)
                daemon.stop()

    def test_client_certificate_is_for_the_registry_alone(self):
        """Storage and token server elsewhere don't get to know who asks."""
        shown = {}

        def look(server, name):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.authority.issue())
            context.load_verify_locations(self.authority.ca)
            context.verify_mode = ssl.CERT_OPTIONAL
            server.exchange_context(context)
            server.hooks.insert(0, lambda request: shown.setdefault(
                name, set()).add(bool(request.connection.getpeercert())))
        other = self.registry(host="localhost")
        other.on("GET", "^/token", lambda r: r.reply(200, {"token": "good"}))
        other.on("GET", "^/presigned", lambda r: blob(r, self.layer))
        self.fake.login = None
        self.challenge(f'Bearer realm="{self.fake.url}/token",service="s"')
        self.fake.on("GET", "^/token", lambda r: r.reply(
            200, {"token": "good"}))
        self.fake.on("GET", "/blobs/", lambda r: r.reply(
            307, headers={"Location": other.url + "/presigned"}))
        look(self.fake, "registry")
        look(other, "elsewhere")
        cert, key = self.authority.issue("client")
        daemon = self.run_daemon("--registry-cert", cert, "--registry-key",
                                 key)
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertEqual(shown, {"registry": {True}, "elsewhere": {False}})

    def test_unchecked_certificates_are_those_of_the_registry_alone(self):
        store = FakeRegistry(self.class_authority(), host="localhost")
        self.addCleanup(store.stop)
        store.on("GET", "/presigned", lambda r: blob(r, self.layer))
        self.redirect(store.url + "/presigned")
        daemon = self.run_daemon("--registry-insecure",
                                 "--registry-retries", "0")
        failed = daemon.wait_log(r"level=error .*\b1\.0\.0\b")
        self.assertRegex(failed["error"], "redirected to localhost.*issuer")
        self.assertEqual(store.requests, [])

    def test_redirect_from_https_to_http(self):
        store = self.registry(secure=False, host="localhost")
        store.on("GET", "/presigned",
                 lambda request: blob(request, self.layer))
        self.redirect(store.url + "/presigned")
        daemon = self.run_daemon()
        failed = daemon.wait_log(r"level=error .*\b1\.0\.0\b", seconds=90)
        self.assertIn("redirect from https to http at localhost is refused",
                      failed["error"])
        self.assertEqual(failed["cause"], "redirect-refused")
        self.assertEqual(store.requests, [])

    def test_redirect_in_a_circle(self):
        path = self.fake.repository().split("/", 1)[1]
        self.redirect(f"{self.fake.url}/v2/{path}/blobs/"
                      + artifact.digest(self.layer))
        daemon = self.run_daemon()
        daemon.wait_log(r"level=error .*\b1\.0\.0\b", seconds=90)
        self.assertLess(len(self.fake.seen(
            "GET", artifact.digest(self.layer))), 60)

    def challenge(self, value):
        self.fake.hooks.clear()
        for method in ("GET", "HEAD"):
            self.fake.on(method, "/v2/", lambda request: (
                not request.headers.get("Authorization", "").startswith(
                    "Bearer ")
                and request.reply(401, b"", {"WWW-Authenticate": value})))

    def test_realm_over_http_on_another_host(self):
        thief = self.registry(secure=False, host="localhost")
        thief.on("GET", "", lambda request: request.reply(
            200, {"token": "stolen"}))
        self.challenge(f'Bearer realm="{thief.url}/token",service="s"')
        daemon = self.run_daemon()
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertRegex(failed["error"], "(?i)realm|https")
        self.assertEqual(thief.requests, [])

    def test_realm_over_http_on_the_same_host(self):
        thief = self.registry(secure=False)
        self.challenge(f'Bearer realm="{thief.url}/token",service="s"')
        daemon = self.run_daemon()
        daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertEqual(thief.requests, [])

    def test_realm_at_a_private_address(self):
        for realm in ("https://127.0.0.2:1/token", "https://[::1]:1/token",
                      "file:///etc/passwd", "gopher://127.0.0.1/"):
            with self.subTest(realm=realm):
                self.challenge(f'Bearer realm="{realm}",service="s"')
                daemon = self.run_daemon()
                failed = daemon.wait_log(r'level=error msg="Sync failed"',
                                         seconds=20)
                self.assertRegex(failed["error"], "(?i)realm|token server")
                daemon.stop()

    def test_realm_that_redirects(self):
        thief = self.registry(host="localhost")
        thief.on("GET", "", lambda request: request.reply(
            200, {"token": "stolen"}))
        realm = self.registry()
        realm.on("GET", "", lambda request: request.reply(
            307, b"", {"Location": thief.url + "/token"}))
        self.challenge(f'Bearer realm="{realm.url}/token",service="s"')
        failed = self.run_daemon().wait_log(r'level=error msg="Sync failed"')
        self.assertIn("it leads elsewhere", failed["error"])
        self.assertEqual((failed["kind"], failed["cause"]),
                         ("format", "no-token-server"))
        for _, _, headers in thief.requests:
            self.assertNotIn("Authorization", headers)

    def test_answer_of_a_realm_without_end(self):
        realm = self.registry()
        sent = []

        realm.on("GET", "", lambda request: request.endless(
            sent, b" " * 65536, 1 << 28))
        self.challenge(f'Bearer realm="{realm.url}/token",service="s"')
        daemon = self.run_daemon()
        daemon.wait_log(r'level=error msg="Sync failed"', seconds=120)
        until(lambda: sent, "the server to be hung up on")
        self.assertLess(max(sent), 32 << 20)

    def test_answer_of_a_realm_is_at_most_128_kib(self):
        realm = self.registry()
        body = json.dumps({"token": "given"}).encode()
        self.fake.login = None
        self.challenge(f'Bearer realm="{realm.url}/token",service="s"')
        for size, outcome in ((128 << 10, "msg=Published"),
                              ((128 << 10) + 1, 'msg="Sync failed".*131072')):
            with self.subTest(size=size):
                realm.hooks.clear()
                realm.on("GET", "^/token", lambda request: request.reply(
                    200, body.ljust(size)))
                self.run_daemon().wait_log(outcome)

    def test_servers_that_repeat_what_they_were_told(self):
        """Their words go into the log, our credentials in them don't."""
        def repeat(request):
            shown = request.headers.get("Authorization")
            return shown and request.reply(403, error(
                "DENIED", f"{shown} is not enough"))
        realm = self.registry()
        realm.on("GET", "^/token", repeat)
        for step in "registry", "token server":
            with self.subTest(step):
                if step == "registry":
                    self.fake.on("GET", "/tags/list", repeat)
                else:
                    self.challenge(f'Bearer realm="{realm.url}/token"')
                failed = self.run_daemon().wait_log('msg="Sync failed"')
                self.assertRegex(failed["error"], f"403 from (the )?{step}.*: "
                                 r"DENIED: Basic \*+ is not enough")

    def test_token_server_that_repeats_a_refresh_token(self):
        """As it is, as the form had it, and as Go writes JSON."""
        hidden.hide("re/fresh+&token", "re%2Ffresh%2B%26token",
                    "re/fresh+\\u0026token")
        realm = self.registry()

        def repeat(request):
            sent = request.rfile.read(int(request.headers["Content-Length"]))
            form = sent.decode().rpartition("refresh_token=")[2]
            token = urllib.parse.unquote_plus(form)
            return request.reply(400, json.dumps({
                "error": "invalid_grant", "error_description":
                f"neither {token} nor {form}"}).replace("&", "\\u0026").encode())
        realm.on("POST", "^/token", repeat)
        self.challenge(f'Bearer realm="{realm.url}/token"')
        config = os.path.join(self.folder(), "config.json")
        with open(config, "w", encoding="ascii") as file:
            json.dump({"auths": {self.fake.host: {
                "identitytoken": "re/fresh+&token"}}}, file)
        daemon = self.start(
            "--repository", self.fake.repository(), "--poll-interval", "1h",
            "--registry-ca", self.authority.ca, "--registry-config", config)
        failed = daemon.wait_log('msg="Sync failed"')
        self.assertRegex(failed["error"], r"neither \*{20} nor \*{21}")

    def test_several_challenges_in_one_header(self):
        realm = self.registry()
        realm.on("GET", "^/token", lambda request: request.reply(
            200, {"access_token": "the-token-of-the-realm"}))
        hidden.hide("the-token-of-the-realm")
        self.fake.login = None
        self.challenge(f'Basic realm="a \\"quoted, realm\\"", Bearer '
                       f'realm="{realm.url}/token" , service="s",scope=""')
        daemon = self.run_daemon()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        asked = self.fake.seen("GET", "/blobs/")
        self.assertEqual(asked[-1][2].get("Authorization"),
                         "Bearer the-token-of-the-realm")


if __name__ == "__main__":
    unittest.main()
