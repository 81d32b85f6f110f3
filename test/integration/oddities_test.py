"""Registries that are healthy, and different: lists, HEAD, digests, logins,
old TLS, silence."""
import json
import os
import socket
import ssl
import unittest
import urllib.parse

from lib import artifact, hidden, secret, tree
from lib.case import FakeCase
from lib.faulty import blob, error
from lib.registry import PATH
from lib.wait import is_prompt, scale, until

TREE = {"a.yaml": b"a: 1\n", "b.bin": tree.binary("oddities", 100000)}


def connections(port, state):
    """Clients' ends of connections to a port, in a state."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        lines = [line.split() for line in file][1:]
    return [line for line in lines
            if line[2].endswith(f":{port:04X}") and line[3] == state]


class OddCase(FakeCase):
    def setUp(self):
        super().setUp()
        self.layer = artifact.tgz(TREE)
        self.fake.push("1.0.0", self.layer)

    def check_served(self, daemon):
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.check_tree(self.client(daemon), TREE)
        self.assertEqual(daemon.log().count("level=error"), 0)


class Lists(OddCase):
    def test_page_size_that_is_refused(self):
        """Quay answers 413 to more than 100, others 400: asked without n,
        from then on."""
        for status in (400, 413):
            with self.subTest(status=status):
                self.fake.hooks.clear()
                self.fake.requests.clear()
                self.fake.on("GET", r"/tags/list\?n=", lambda request,
                             status=status: request.reply(status, error(
                                 "PAGINATION_NUMBER_INVALID", "n")))
                daemon = self.run_daemon("--log-level", "debug")
                self.check_served(daemon)
                daemon.poll_now()
                daemon.wait_log('msg="Nothing new"')
                daemon.stop()
                self.assertEqual([r[1].rpartition("/")[2] for r in
                                  self.fake.seen("GET", "/tags/list")],
                                 ["list?n=1000", "list", "list"])

    def test_last_that_has_been_deleted(self):
        """zot answers 404 to a page behind a tag that is gone."""
        starts = []

        def hook(request):
            query = urllib.parse.urlsplit(request.path).query
            if "last=" in query:
                if len(starts) == 1:
                    return request.reply(404, error("NAME_UNKNOWN", ""))
                return False
            starts.append(1)
            return request.reply(200, {"tags": []}, {
                "Link": f'</v2/{PATH}/tags/list?last=0>; rel="next"'})
        self.fake.on("GET", "/tags/list", hook)
        self.check_served(self.run_daemon())
        self.assertEqual(len(starts), 2)

    def test_page_size_that_is_refused_and_then_the_repository(self):
        """That is no list that changed under our hands."""
        self.fake.on("GET", r"/tags/list\?n=", lambda request: request.reply(
            413))
        self.fake.on("GET", r"/tags/list$", lambda request: request.reply(
            404, error("NAME_UNKNOWN", "no such repository")))
        failed = self.run_daemon().wait_log(r'level=error msg="Sync failed"')
        self.assertIn("404 from the registry: NAME_UNKNOWN: no such",
                      failed["error"])
        self.assertEqual(len(self.fake.seen("GET", "/tags/list")), 2)

    def test_more_tags_than_anybody_needs(self):
        tags = [f"1.{n}.0" for n in range(10001)]
        self.fake.on("GET", "/tags/list", lambda request: request.reply(
            200, {"name": PATH, "tags": tags}))
        daemon = self.run_daemon()
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertIn("10000", failed["error"])
        self.assertEqual(self.fake.seen("HEAD", ""), [])

    def test_signatures_are_no_releases(self):
        hexes = "0123456789abcdef" * 4
        for end in ("", ".sig", ".att", ".sbom"):
            self.fake.push(f"sha256-{hexes}{end}", artifact.tgz({"s": b"s"}))
        daemon = self.run_daemon()
        self.check_served(daemon)
        self.assertEqual(self.fake.seen("HEAD", hexes), [])


class Heads(OddCase):
    def head(self, hook):
        self.fake.on("HEAD", "/manifests/1.0.0", hook)
        self.check_served(self.run_daemon())
        self.assertEqual(len(self.fake.seen("GET", "/manifests/1.0.0")), 1)

    def test_without_a_digest(self):
        self.head(lambda request: request.reply(200, b"x" * 10))

    def test_with_a_digest_of_another_kind(self):
        self.head(lambda request: request.reply(200, b"", {
            "Docker-Content-Digest": "md5:0123"}))

    def test_that_is_not_allowed(self):
        self.head(lambda request: request.reply(405))

    def test_redirected_to_a_url_signed_for_get(self):
        store = self.registry(host="localhost")
        store.on("HEAD", "", lambda request: request.reply(403))
        self.head(lambda request: request.reply(307, b"", {
            "Location": store.url + "/signed"}))

    def test_redirected_to_what_is_not_there_for_head(self):
        """The registry knows the tag, whatever the storage says."""
        store = self.registry(host="localhost")
        store.on("HEAD", "", lambda request: request.reply(404))
        self.head(lambda request: request.reply(307, b"", {
            "Location": store.url + "/signed"}))

    def test_that_is_hung_up_on(self):
        self.head(lambda request: request.hang_up())

    def test_that_says_the_tag_is_gone(self):
        """Then nobody else is asked, and by nothing else."""
        self.fake.on("HEAD", "/manifests/1.0.0",
                     lambda request: request.reply(404))
        failed = self.run_daemon().wait_log(r"level=error .*\b1\.0\.0\b")
        self.assertIn("404", failed["error"])
        self.assertEqual(len(self.fake.seen("HEAD", "/manifests/")), 1)
        self.assertEqual(self.fake.seen("GET", "/manifests/"), [])

    def test_registry_that_is_gone_behind_its_list(self):
        """Forty tags are not asked for one after the other."""
        for number in range(39):
            self.fake.push(f"2.0.{number}", self.layer)

        def hook(request):
            request.close_connection = True
            self.fake.stop()  # before there is an answer to ask more by
            request.reply(200, {"tags": sorted(
                self.fake.repositories[PATH].tags)}, {"Connection": "close"})
            return True
        self.fake.on("GET", "/tags/list", hook)
        daemon = self.run_daemon("--registry-retries", "0")
        until(lambda: daemon.log().count('msg="Tag not resolved"') == 40,
              "word of each tag", 30, daemon.tail)
        asked = [r for r in daemon.records() if "not asked" not in
                 r.get("error", "not asked")]
        self.assertGreaterEqual(len(asked), 16)
        self.assertLessEqual(len(asked), 31)  # 15 are under way at the 16th


class Redirects(OddCase):
    def chain(self, length):
        """A blob behind so many redirects; how many requests it took."""
        self.fake.hooks.clear()
        self.fake.requests.clear()

        def hook(request):
            step = int(request.path.rpartition("/")[2]) \
                if "/step/" in request.path else 0
            if step == length:
                return blob(request, self.layer)
            return request.reply((301, 302, 303, 307, 308)[step % 5], b"moved",
                                 {"Location": f"/step/{step + 1}"})
        self.fake.on("GET", "/blobs/|/step/", hook)
        daemon = self.run_daemon()
        record = daemon.wait_log(r"msg=Published\b|level=error")
        daemon.stop()
        return record, len(self.fake.seen("GET", "/blobs/|/step/"))

    def test_as_many_as_there_may_be(self):
        record, asked = self.chain(5)
        self.assertEqual(record["msg"], "Published")
        self.assertEqual(asked, 6)

    def test_one_too_many(self):
        record, asked = self.chain(6)
        self.assertIn("more than 5 redirects", record["error"])
        self.assertEqual(asked, 6)

    def test_places_that_lead_nowhere(self):
        for location in ("ftp://127.0.0.1/x", "file:///etc/passwd", "",
                         "https://", "https://user:secret@localhost/",
                         "https://[::1%25lo]/", "//", "/a b", "/" + "x" * 9000,
                         "https://localhost:99999/"):
            with self.subTest(location=location):
                self.fake.hooks.clear()
                self.fake.on("GET", "/blobs/", lambda request: request.reply(
                    307, b"", {"Location": location}))
                daemon = self.run_daemon("--registry-retries", "0")
                failed = daemon.wait_log(r"level=error .*\b1\.0\.0\b")
                self.assertIn("redirect", failed["error"])
                self.assertNotIn("secret", daemon.log())
                daemon.stop()


class Digests(OddCase):
    def test_sha512(self):
        import hashlib
        digest = "sha512:" + hashlib.sha512(self.layer).hexdigest()
        self.fake.push("1.0.0", self.layer, manifest=artifact.oras_manifest(
            self.layer, digest=digest))
        self.fake.on("GET", "/blobs/sha512:",
                     lambda request: blob(request, self.layer))
        self.check_served(self.run_daemon())

    def test_header_that_names_other_bytes(self):
        """The bytes are those that were asked for, so one of both is wrong:
        with a digest (after HEAD) and with a tag (without HEAD)."""
        for head, says in ((200, "manifest sha256:"), (405, "tag 1.0.0 of")):
            with self.subTest(head=head):
                self.fake.hooks.clear()
                if head != 200:
                    self.fake.on("HEAD", "", lambda request:
                                 request.reply(405))
                self.fake.on("GET", "/manifests/", self.lie)
                daemon = self.run_daemon()
                failed = daemon.wait_log(r"level=error .*\b1\.0\.0\b")
                self.assertTrue(failed["error"].startswith(says), failed)
                self.assertIn("Docker-Content-Digest", failed["error"])
                self.assertEqual(failed["kind"], "digest")
                daemon.stop()

    def lie(self, request):
        body, = self.fake.repositories[PATH].manifests.values()
        return request.reply(200, body, {
            "Content-Type": artifact.OCI_MANIFEST,
            "Docker-Content-Digest": "sha256:" + "1" * 64})

    def test_wrong_sha512(self):
        digest = "sha512:" + "0" * 128
        self.fake.push("1.0.0", self.layer, manifest=artifact.oras_manifest(
            self.layer, digest=digest))
        self.fake.on("GET", "/blobs/sha512:",
                     lambda request: blob(request, self.layer))
        failed = self.run_daemon().wait_log(r"level=error .*\b1\.0\.0\b")
        self.assertRegex(failed["error"], "have the digest sha512:")


class Logins(OddCase):
    def test_identity_token(self):
        """A refresh token is posted, never put into a URL."""
        hidden.hide("refresh/+&=token", "refresh%2F", "short-lived")
        asked = []

        def give(request):
            length = int(request.headers["Content-Length"])
            asked.append(urllib.parse.parse_qs(
                request.rfile.read(length).decode()))
            return request.reply(200, {"access_token": "short-lived",
                                       "expires_in": 300})
        self.fake.on("POST", "^/token", give)
        for method in ("GET", "HEAD"):
            self.fake.on(method, "^/v2/", lambda request: request.headers.get(
                "Authorization") != "Bearer short-lived" and request.reply(
                    401, b"", {"WWW-Authenticate": 'Bearer realm="'
                               f'{self.fake.url}/token",service="the,one"'}))
        config = os.path.join(self.folder(), "config.json")
        with open(config, "w", encoding="ascii") as file:
            json.dump({"auths": {self.fake.host: {
                "identitytoken": "refresh/+&=token"}}}, file)
        daemon = self.run_daemon("--registry-config", config)
        self.check_served(daemon)
        self.assertEqual(asked, [{
            "grant_type": ["refresh_token"], "service": ["the,one"],
            "client_id": ["specman"], "refresh_token": ["refresh/+&=token"],
            "scope": [f"repository:{PATH}:pull"]}])

    def test_registry_token(self):
        hidden.hide("as-it-is")
        for method in ("GET", "HEAD"):
            self.fake.on(method, "^/v2/", lambda request: request.headers.get(
                "Authorization") != "Bearer as-it-is" and request.reply(401))
        config = os.path.join(self.folder(), "config.json")
        with open(config, "w", encoding="ascii") as file:
            json.dump({"auths": {f"https://{self.fake.host}/v2/": {
                "registrytoken": "as-it-is"}}}, file)
        self.check_served(self.run_daemon("--registry-config", config))

    def test_token_of_the_secret(self):
        """Without a username it is a Bearer token as it is."""
        for method in ("GET", "HEAD"):
            self.fake.on(method, "^/v2/", lambda request: request.headers.get(
                "Authorization") != "Bearer of-the-secret"
                and request.reply(401))
        with open(self.authority.ca, encoding="ascii") as file:
            mounted = secret.Secret(
                os.path.join(self.folder(), "secret"), endpoint=self.fake.url,
                baseContentPath=PATH.partition("/")[0], caCert=file.read(),
                token="of-the-secret\n")
        self.check_served(self.start("--registry-secret-dir", mounted.folder,
                                     "--poll-interval", "1h"))

    def test_realm_in_the_link_local_network(self):
        """The metadata service of a cloud is no token server."""
        for method in ("GET", "HEAD"):
            self.fake.on(method, "^/v2/", lambda request: request.reply(
                401, b"", {"WWW-Authenticate": 'Bearer realm="https://'
                           '169.254.169.254/latest",service="s"'}))
        failed = self.run_daemon().wait_log(r'level=error msg="Sync failed"')
        self.assertRegex(failed["error"], "169.254.169.254 is refused")


class Connections(OddCase):
    def test_tls_before_1_2(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue())
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.fake.exchange_context(context)
        failed = self.run_daemon().wait_log(r'level=error msg="Sync failed"')
        self.assertRegex(failed["error"], "(?i)tls|ssl|protocol|version")
        self.assertEqual(self.fake.requests, [])

    def test_silence_in_the_middle_of_a_download(self):
        left = [1]

        def hook(request):
            if not left:
                return blob(request, self.layer)
            left.pop()
            request.send_response(200)
            request.send_header("Content-Length", str(len(self.layer)))
            request.end_headers()
            request.wfile.write(self.layer[:50000])
            request.wfile.flush()
            return request.wait_closed()
        self.fake.on("GET", "/blobs/", hook)
        daemon = self.run_daemon("--registry-idle-timeout", "3s")
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.check_tree(self.client(daemon), TREE)
        first, *later = [r[2].get("Range") for r in
                         self.fake.seen("GET", "/blobs/")]
        # More than one follows where the machine itself is silent so long.
        self.assertEqual((first, later[0]), (None, "bytes=50000-"))

    def test_hung_up_on_by_who_asks_for_certificates(self):
        """One that has done without a client certificate doesn't miss it now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue())
        context.load_verify_locations(self.authority.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.num_tickets = 0  # with a session that goes on it doesn't ask
        self.fake.exchange_context(context)
        self.fake.hooks.insert(0, lambda request: setattr(
            request, "close_connection", True))
        left = [1]
        self.fake.on("GET", "/blobs/", lambda request: bool(left) and
                     (left.pop(), request.hang_up()))
        daemon = self.run_daemon()
        line = daemon.wait_log("Asking the registry again after a pause")
        self.assertNotIn("certificate", line["reason"])
        self.check_served(daemon)

    def test_silence_before_an_answer(self):
        left = [1]
        self.fake.on("GET", "/tags/list", lambda request: bool(left) and
                     (left.pop(), request.wait_closed()))
        daemon = self.run_daemon("--registry-idle-timeout", "3s")
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertFalse(left)

    def test_stop_while_a_pause_lasts(self):
        self.fake.on("GET", "/tags/list", lambda request: request.reply(
            503, b"", {"Retry-After": "50"}))

        def stop():
            daemon = self.run_daemon()
            daemon.wait_log(r'msg="Asking the registry again after a pause"')
            return daemon.stop()
        self.check_prompt(stop)

    def check_prompt(self, stop):
        """What is waited for would take most of a minute."""
        self.assertTrue(is_prompt(stop, 2 * scale()))

    def test_stop_while_an_answer_does_not_come(self):
        for method, pattern in (("GET", "/tags/list"), ("HEAD", "/manifests/"),
                                ("GET", "/manifests/sha256:"),
                                ("GET", "/blobs/")):
            with self.subTest(stage=pattern):
                self.fake.hooks.clear()
                self.fake.on(method, pattern,
                             lambda request: request.wait_closed())

                def stop():
                    self.fake.requests.clear()
                    daemon = self.run_daemon()
                    until(lambda: self.fake.seen(method, pattern),
                          "the question", 30, daemon.tail)
                    return daemon.stop()
                self.check_prompt(stop)

    def test_stop_while_there_is_no_connection(self):
        """Neither TLS nor even TCP gets an answer."""
        for backlog in (10, 0):
            with self.subTest(backlog=backlog), socket.socket() as silent:
                silent.bind(("127.0.0.1", 0))
                silent.listen(backlog)
                port = silent.getsockname()[1]
                if not backlog:  # the one place there is, is taken
                    taken = socket.create_connection(("127.0.0.1", port))
                    self.addCleanup(taken.close)

                def stop():
                    daemon = self.start("--repository",
                                        f"127.0.0.1:{port}/{PATH}")
                    # ESTABLISHED or SYN_SENT, of include/net/tcp_states.h
                    until(lambda: connections(port, "01" if backlog else "02"),
                          "the attempt", 30, daemon.tail)
                    return daemon.stop()
                self.check_prompt(stop)

    def test_connections_are_kept(self):
        """Some polls of twenty tags: no more connections in all than requests
        side by side, of which a fast registry may meet few at first."""
        for number in range(20):
            self.fake.push(f"2.0.{number}", self.layer)
        daemon = self.run_daemon()
        daemon.wait_log(r'msg="Sync done"')
        for polls in range(2, 8):
            daemon.poll_now()
            until(lambda polls=polls: len(self.fake.seen(
                "HEAD", "")) == 21 * polls, "a poll", 30, daemon.tail)
        self.assertLessEqual(self.fake.connections, 16)


if __name__ == "__main__":
    unittest.main()
