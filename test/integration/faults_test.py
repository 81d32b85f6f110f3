"""A registry that fails, in each of the ways that registries do: what is
asked again, what is not, and what the log says."""
import email.utils
import re
import time
import unittest
from urllib.parse import unquote

from lib import artifact, hidden, tree
from lib.case import FakeCase
from lib.faulty import blob, error
from lib.registry import PATH
from lib.wait import until

BASE = {"base.yaml": b"kept: true\n"}


class FaultCase(FakeCase):
    """A registry with one good release that is served."""

    retries = "5"

    def setUp(self):
        super().setUp()
        self.fake.push("0.1.0", artifact.tgz(BASE))
        self.daemon = self.run_daemon("--log-level", "debug",
                                      "--registry-retries", self.retries)
        self.daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.served = self.client(self.daemon)
        self.layer = artifact.tgz({"new.bin": tree.binary("new", 400000)})

    def push(self, tag="1.0.0", **options):
        self.digest = self.fake.push(tag, self.layer, **options)
        self.blob = "/blobs/" + artifact.digest(self.layer)

    def poll(self, pattern, seconds=90):
        """Polls; returns the first line that matches, once it is there."""
        mark = self.daemon.mark()
        self.daemon.poll_now()
        found = self.daemon.wait_log(pattern, mark, seconds)
        self.check_tree(self.served, BASE)
        return found

    def published(self, tag="1.0.0"):
        found = self.poll(rf"msg=Published .*tag={re.escape(tag)} |level=error")
        self.assertNotIn("error", found)
        return found

    def failed(self, tag="1.0.0"):
        record = self.poll(rf"level=error .*\b{re.escape(tag)}\b")
        self.assertEqual(self.served.get("/new.bin").status, 404)
        return record["error"]


class Statuses(FaultCase):
    """Statuses at each stage. A stage is a method and a pattern of paths."""

    STAGES = (("GET", "/tags/list"), ("HEAD", "/manifests/1.0.0"),
              ("GET", "/manifests/sha256:"), ("GET", "/blobs/"))

    def once(self, method, pattern, answer):
        """The first request of a kind gets another answer."""
        left = [answer]
        self.fake.on(method, pattern, lambda request: left and
                     request.reply(left[0][0], left.pop()[1],
                                   {"Retry-After": "0"}))

    def test_what_passes_is_asked_again(self):
        for status in (408, 425, 429, 500, 502, 503, 504):
            for method, pattern in self.STAGES:
                if status not in (429, 503) and "list" not in pattern:
                    continue
                with self.subTest(status=status, stage=pattern):
                    self.fake.hooks.clear()
                    self.fake.requests.clear()
                    self.layer = artifact.tgz(
                        {f"{status}{pattern[1]}": b"x" * 9})
                    self.push()
                    self.once(method, pattern, (status, b"<html>no</html>"))
                    self.published()
                    # A HEAD that fails is tried as a GET before it is retried.
                    self.assertIn(len(self.fake.seen(method, pattern)),
                                  (1, 2) if method == "HEAD" else (2,))
                    self.assertEqual(self.daemon.log().count("level=error"), 0)

    def test_what_stays_is_asked_once(self):
        for status, body, says in (
                (400, error("UNSUPPORTED", "no"), "UNSUPPORTED"),
                (403, error("DENIED", "no pull for you"), "no pull for you"),
                (404, error("BLOB_UNKNOWN", "not here"), "BLOB_UNKNOWN"),
                (405, b"", ""), (410, b"gone", "gone"),
                (412, error("PROJECTPOLICYVIOLATION", "not scanned"),
                 "not scanned"),
                (416, b"", ""), (451, b"<html>", ""), (204, b"", "")):
            with self.subTest(status=status):
                self.fake.hooks.clear()
                self.fake.requests.clear()
                self.layer = artifact.tgz({"new.bin": b"%d" % status})
                self.push()
                self.fake.on("GET", self.blob, lambda request, status=status,
                             body=body: request.reply(status, body))
                self.assertRegex(self.failed(), f"(?s){status}.*{says}")
                self.assertEqual(len(self.fake.seen("GET", self.blob)), 1)

    def test_at_most_five_pauses(self):
        self.push()
        self.fake.on("GET", self.blob, lambda request: request.reply(
            503, error("UNAVAILABLE", "try later")))
        self.assertRegex(self.failed(), "503.*try later")
        self.assertEqual(len(self.fake.seen("GET", self.blob)), 6)

    def test_retry_after_is_waited_for(self):
        for status, form in ((429, "seconds"), (429, "date"), (503, "date"),
                             (502, "seconds"), (408, "date")):
            with self.subTest(status=status, form=form):
                self.fake.hooks.clear()
                self.layer = artifact.tgz({form: b"%d" % status})
                self.push()
                times = []

                def hook(request, status=status, form=form, times=times):
                    times.append(time.monotonic())
                    if len(times) > 1:
                        return False
                    # The server's clock is ten years behind.
                    now = time.time() - 315360000
                    value = "2" if form == "seconds" else \
                        email.utils.formatdate(now + 2, usegmt=True)
                    request.send_response_only(status)
                    for name, text in (
                            ("Date", email.utils.formatdate(now, usegmt=True)),
                            ("Retry-After", value), ("Content-Length", "0")):
                        request.send_header(name, text)
                    request.end_headers()
                    return True
                self.fake.on("GET", self.blob, hook)
                self.published()
                self.assertEqual(len(times), 2)
                self.assertGreaterEqual(times[1] - times[0], 1.9)

    def test_whole_message(self):
        """Registry, repository, tag, status, the registry's code and words, at
        each stage that can fail."""
        for stage in ("/tags/list", "/manifests/1.0.0", "/manifests/sha256:",
                      "/blobs/"):
            with self.subTest(stage=stage):
                self.fake.hooks.clear()
                self.layer = artifact.tgz({"new.bin": stage.encode()})
                self.push()
                for method in ("GET", "HEAD"):
                    self.fake.on(method, stage, lambda request: request.reply(
                        451, error("LEGAL_" + request.command, "not in here")))
                record = self.poll(r"level=error")
                for part in (self.fake.host, PATH, "451", "LEGAL_GET",
                             "not in here"):
                    self.assertIn(part, record["error"])
                if "list" not in stage:
                    self.assertEqual(record["tag"], "1.0.0")
                if "1.0.0" in stage:
                    self.assertIn("tag 1.0.0", record["error"])

    def test_refusal_that_breaks_off(self):
        """Its status says what there is to say, the rest of its body does
        not come."""
        for status in (403, 404):
            with self.subTest(status=status):
                self.fake.hooks.clear()
                self.fake.requests.clear()
                self.layer = artifact.tgz({"new.bin": b"%d" % status})
                self.push()
                self.fake.on("GET", self.blob, lambda request, status=status:
                             request.reply(status, b"{", length=100)
                             and request.hang_up())
                self.assertIn(f"{status} from", self.failed())
                self.assertEqual(len(self.fake.seen("GET", self.blob)), 1)

    def test_long_retry_after_ends_the_round(self):
        self.push()
        self.fake.on("GET", "/tags/list", lambda request: request.reply(
            429, error("TOOMANYREQUESTS", "slow down"),
            {"Retry-After": "1800"}))
        failed = self.poll(r'level=error msg="Sync failed"')
        self.assertRegex(failed["error"], "429.*slow down")
        asked = len(self.fake.requests)
        # The next round knows it still.
        mark = self.daemon.mark()
        self.daemon.poll_now()
        self.daemon.wait_log(r'level=(error|debug) msg="Sync failed".*'
                             r"no question for 1[78]\d\d seconds", mark)
        self.assertEqual(len(self.fake.requests), asked)

    def test_too_many_requests_stop_the_questions(self):
        """One 429 among many tags: the others are not asked for nothing."""
        for number in range(60):
            self.fake.push(f"2.0.{number}", artifact.tgz(
                {f"n{number}": b"n"}))
        refused = []

        def hook(request):
            if len(refused) > 2:
                return False
            refused.append(request.path)
            return request.reply(429, b"", {"Retry-After": "1"})
        self.fake.on("HEAD", "/manifests/2.0.", hook)
        self.poll(r"msg=Published\b.* releases=61\b")
        self.assertEqual(self.daemon.log().count("level=error"), 0)


class Downloads(FaultCase):
    """Blobs that come badly."""

    retries = "2"

    def cut(self, sizes, ranges=True, reset=False):
        """Breaks off answers for the blob behind so many bytes of its whole;
        counts the bytes that were sent."""
        left = list(sizes)
        self.asked, self.sent = [], []

        def hook(request):
            wanted = request.headers.get("Range") if ranges else None
            self.asked.append(request.headers.get("Range"))
            first = int(wanted[6:-1]) if wanted else 0
            end = left.pop(0) if left else len(self.layer)
            data = self.layer[first:end]
            self.sent.append(len(data))
            headers = {"Content-Type": "application/octet-stream"}
            if wanted:
                headers["Content-Range"] = \
                    f"bytes {first}-{len(self.layer) - 1}/{len(self.layer)}"
            request.reply(206 if wanted else 200, data, headers,
                          length=len(self.layer) - first)
            if end < len(self.layer):
                if reset:
                    # SO_LINGER of 0: the kernel sends a reset.
                    request.connection.setsockopt(1, 13, bytes([1] + [0] * 7))
                    request.close_connection = True
                    request.connection.close()
                else:
                    request.hang_up()
            return True
        self.fake.on("GET", self.blob, hook)

    def check_new(self):
        self.check_tree(self.served, {"new.bin": tree.binary("new", 400000)})
        self.check_store(self.daemon.data)

    def test_resume_asks_for_the_rest_alone(self):
        self.push()
        size = len(self.layer)
        self.cut([size // 3, size // 2])
        self.published()
        self.check_new()
        self.assertEqual(sum(self.sent), size)
        self.assertEqual(self.asked, [None, f"bytes={size // 3}-",
                                      f"bytes={size // 2}-"])

    def test_resume_after_a_reset(self):
        self.push()
        self.cut([len(self.layer) - 1], reset=True)
        self.published()
        self.check_new()
        self.assertEqual(len(self.asked), 2)
        self.assertRegex(self.asked[1], r"bytes=\d+-")

    def test_server_without_ranges_starts_again(self):
        self.push()
        size = len(self.layer)
        self.cut([size // 2], ranges=False)
        self.published()
        self.check_new()
        self.assertEqual(self.asked, [None, f"bytes={size // 2}-"])
        self.assertEqual(self.sent, [size // 2, size])

    def test_first_part_was_wrong(self):
        """The digest tells only at the end: once it is fetched as a whole."""
        self.push()
        good, size = self.layer, len(self.layer)
        asked = []

        def hook(request):
            asked.append(request.headers.get("Range"))
            if len(asked) > 1:
                return blob(request, good)
            request.reply(200, bytes(size // 2), length=size)
            return request.hang_up()
        self.fake.on("GET", self.blob, hook)
        self.published()
        self.check_new()
        self.assertEqual(asked, [None, f"bytes={size // 2}-", None])

    def resumed_badly(self, part, first, whole):
        """Breaks off in the middle, then sends a part under a Content-Range
        that is not what was asked for: all is fetched anew."""
        good, size = self.layer, len(self.layer)
        asked = []

        def hook(request):
            wanted = request.headers.get("Range")
            asked.append(wanted)
            if len(asked) == 1:
                request.reply(200, good[:size // 2], length=size)
                return request.hang_up()
            if wanted:
                return request.reply(206, part, {
                    "Content-Range":
                    f"bytes {first}-{first + len(part) - 1}/{whole}"})
            return request.reply(200, good)
        self.fake.on("GET", self.blob, hook)
        self.published()
        self.check_new()
        self.assertEqual(asked, [None, f"bytes={size // 2}-", None])

    def test_another_part_than_asked_for(self):
        self.push()
        size = len(self.layer)
        self.resumed_badly(self.layer[:size // 2], 0, size)

    def test_part_of_a_larger_whole(self):
        """The right bytes, but the descriptor has another size."""
        self.push()
        size = len(self.layer)
        self.resumed_badly(self.layer[size // 2:], size // 2, size + 1)

    def test_broken_off_behind_the_last_byte(self):
        """The end of the answer does not come, but all of the blob did."""
        self.push()

        def hook(request):
            request.send_response(200)
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            request.chunk(self.layer)
            return request.hang_up()
        self.fake.on("GET", self.blob, hook)
        self.published()
        self.check_new()
        self.assertEqual(len(self.fake.seen("GET", self.blob)), 1)

    def test_bytes_that_come_again_are_no_progress(self):
        """Each connection breaks behind more than a mebibyte, and the server
        only knows wholes, so that it would go on for ever."""
        self.layer = artifact.tgz({"new.bin": tree.binary("large", 3 << 20)})
        self.push()

        def hook(request):
            if request.headers.get("Range"):
                return request.reply(416)
            request.reply(200, self.layer[:3 << 19], length=len(self.layer))
            return request.hang_up()
        self.fake.on("GET", self.blob, hook)
        self.assertIn("broken off", self.failed())
        # Then two pauses, behind each of which it is asked for twice.
        self.assertEqual(len(self.fake.seen("GET", self.blob)), 5)

    def test_slow_but_steady(self):
        self.push()
        self.fake.on("GET", self.blob, self.trickle)
        self.published()
        self.check_new()

    def trickle(self, request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.layer)))
        request.end_headers()
        step = len(self.layer) // 20 + 1
        for at in range(0, len(self.layer), step):
            request.wfile.write(self.layer[at:at + step])
            request.wfile.flush()
            time.sleep(0.05)  # it is the server's pace, not a wait of the test
        return True

    def test_redirected_download_resumes(self):
        """A presigned URL is asked for anew; its storage does ranges."""
        store = self.registry(host="localhost")
        self.push()
        good, size = self.layer, len(self.layer)
        asked = []

        def hook(request):
            asked.append(request.headers.get("Range"))
            if len(asked) > 1:
                return blob(request, good)
            request.reply(200, good[:size // 2], length=size)
            return request.hang_up()
        store.on("GET", "^/signed", hook)
        self.fake.on("GET", self.blob, lambda request: request.reply(
            307, b"", {"Location": store.url + "/signed?n="
                       + str(len(self.fake.requests))}))
        self.published()
        self.check_new()
        self.assertEqual(asked, [None, f"bytes={size // 2}-"])
        self.assertEqual(len({r[1] for r in store.requests}), 2)

    def test_storage_that_refuses_its_own_url(self):
        """An expired presigned URL is no matter of our credentials."""
        store = self.registry(host="localhost")
        self.push()
        answers = [403]
        store.on("GET", "^/signed", lambda request: request.reply(
            answers.pop(), b"<Error>expired</Error>") if answers
            else blob(request, self.layer))
        self.fake.on("GET", self.blob, lambda request: request.reply(
            307, b"", {"Location": store.url + "/signed?token=hush-hush"}))
        self.published()
        self.check_new()
        self.assertNotIn("hush-hush", self.daemon.log())

    def test_words_of_a_storage(self):
        store = self.registry(host="localhost")
        self.push()
        store.on("GET", "^/signed", lambda request: request.reply(
            404, b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>"
                 b"It is not here</Message><Key>k</Key></Error>"))
        self.fake.on("GET", self.blob, lambda request: request.reply(
            307, b"", {"Location": store.url + "/signed?token=hush-hush"}))
        self.assertIn(f"404 from {store.host} (redirected): NoSuchKey: It is "
                      "not here", self.failed())
        self.assertNotIn("hush-hush", self.daemon.log())


class Documents(FaultCase):
    """Manifests and indexes of each kind."""

    def entry(self, manifest, **more):
        self.fake.push("unused", self.layer, manifest=manifest)
        del self.fake.repositories[PATH].tags["unused"]
        return {"mediaType": artifact.OCI_MANIFEST, "size": len(manifest),
                "digest": artifact.digest(manifest), **more}

    def index(self, *entries, tag="1.0.0"):
        self.push(tag, manifest=artifact.index(entries))

    def other(self, name):
        layer = artifact.tgz({"other": name.encode()})
        self.fake.push("unused", layer)
        return artifact.oras_manifest(layer)

    def test_index_of_one(self):
        self.index(self.entry(artifact.oras_manifest(self.layer)))
        self.published()
        self.assertEqual(self.served.get("/new.bin").status, 200)

    def test_index_of_three(self):
        import platform
        here = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        there = {"amd64": "arm64", "arm64": "amd64"}[here]
        self.index(
            self.entry(self.other("a"),
                       platform={"os": "linux", "architecture": there}),
            self.entry(artifact.oras_manifest(self.layer),
                       platform={"os": "linux", "architecture": here}),
            self.entry(self.other("b"),
                       platform={"os": "windows", "architecture": here}))
        self.published()
        self.assertEqual(self.served.get("/new.bin").status, 200)

    def test_index_without_this_platform_lists_them(self):
        self.index(*(self.entry(self.other(name), platform={
            "os": "plan9", "architecture": name}) for name in "abc"))
        self.assertRegex(self.failed(), "plan9/a, plan9/b, plan9/c")

    def test_artifact_manifest(self):
        self.push(manifest=artifact.artifact_manifest(self.layer))
        self.published()
        self.assertEqual(self.served.get("/new.bin").status, 200)

    def test_later_oras(self):
        self.push(manifest=artifact.later_oras_manifest(self.layer))
        self.published()
        self.assertEqual(self.served.get("/new.bin").status, 200)

    def test_folder_that_oras_packed(self):
        """`oras push … roar`: no file with a name, but an archive."""
        layer = artifact.tgz({"new.bin": b"n"}, prefix="roar/")
        self.layer = layer
        self.push(manifest=artifact.oras_manifest(layer, annotations={
            artifact.TITLE: "roar",
            "io.deis.oras.content.digest": "sha256:" + "0" * 64,
            "io.deis.oras.content.unpack": "true"}))
        self.published()
        self.assertEqual(self.served.get("/roar/new.bin").body, b"n")

    def test_manifest_of_one_byte_too_many(self):
        body = artifact.oras_manifest(self.layer)
        body += b" " * ((4 << 20) + 1 - len(body))
        self.push(manifest=body)
        self.assertRegex(self.failed(), "4194304")

    def test_largest_manifest(self):
        body = artifact.oras_manifest(self.layer)
        body += b" " * ((4 << 20) - len(body))
        self.push(manifest=body)
        self.published()

    def test_deep_json(self):
        body = artifact.oras_manifest(self.layer)
        body = body[:-1] + b',"x":' + b"[" * 100000 + b"]" * 100000 + b"}"
        self.push(manifest=body)
        self.assertRegex(self.failed(), "(?i)deep|depth|nest")

    def test_manifest_and_index_in_one(self):
        body = artifact.oras_manifest(self.layer)
        body = body[:-1] + b',"manifests":[]}'
        self.push(manifest=body)
        self.assertRegex(self.failed(), "no single thing")


class Logins(FakeCase):
    """The 401 dance in its forms, and tokens that end."""

    def setUp(self):
        super().setUp()
        self.fake.push("1.0.0", artifact.tgz(BASE))
        self.given, self.valid = [], set()
        self.answer = {}
        self.fake.on("GET", "^/token", self.give)

    def give(self, request):
        token = f"token-{len(self.given)}"
        hidden.hide(token)
        self.given.append((request.path, request.headers.get("Authorization")))
        self.valid.add("Bearer " + token)
        return request.reply(200, {"token": token, **self.answer})

    def protect(self, challenge, status=401):
        """challenge: values of WWW-Authenticate, with {realm}."""
        def hook(request):
            if request.path.startswith("/token") or \
                    request.headers.get("Authorization") in self.valid:
                return False
            refused = status if request.headers.get("Authorization") else 401
            pairs = [("WWW-Authenticate", value.replace(
                "{realm}", self.fake.url + "/token?x=%2F")) for value in
                challenge] if refused == 401 else []
            return request.reply(refused, b"", pairs)
        for method in ("GET", "HEAD"):
            self.fake.on(method, "", hook)

    def test_forms_of_the_challenge(self):
        scope = f"repository:{PATH}:pull"
        for challenge in (
                ['Bearer realm="{realm}",service="s"'],
                ['bearer realm="{realm}", service="s", scope="' + scope + '"'],
                ['BEARER  realm = "{realm}" ,service=s'],
                ['Basic realm="one"', 'Bearer realm="{realm}",service="s"'],
                ['Basic realm="a, b=\\"c\\"", Bearer realm="{realm}",'
                 'service="s",error="invalid_token"'],
                ['Negotiate abc==, Digest realm="x", nonce="y", Bearer '
                 'service="s", realm="{realm}"']):
            with self.subTest(challenge=challenge):
                self.given.clear()
                self.valid.clear()
                self.fake.hooks[:] = self.fake.hooks[:1]
                self.protect(challenge)
                daemon = self.run_daemon()
                daemon.wait_log(r"msg=Published\b.* releases=1\b")
                daemon.stop()
                self.assertEqual(len(self.given), 1)
                path, authorization = self.given[0]
                self.assertTrue(path.startswith("/token?x=%2F&"), path)
                self.assertIn("service=s", path)
                self.assertIn("&scope=" + scope, unquote(path))
                self.assertIsNone(authorization)

    def expire_in_the_middle(self, challenge, status):
        self.protect(challenge, status)
        ended = []

        def expire(request):
            if not ended:
                ended.append(1)
                self.valid.clear()
            return False
        self.fake.hooks.insert(1, lambda request: request.command == "GET"
                               and "/blobs/" in request.path
                               and expire(request))
        daemon = self.run_daemon()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertEqual(len(self.given), 2)
        self.assertEqual(daemon.log().count("level=error"), 0)

    def test_token_server_that_wants_a_long_pause(self):
        """It is not asked before, in this round and the next."""
        self.protect(['Bearer realm="{realm}",service="s"'])
        asked = []

        def limit(request):
            asked.append(request.path)
            return request.reply(429, error("TOOMANYREQUESTS", "slow down"),
                                 {"Retry-After": "1800"})
        self.fake.hooks.insert(0, lambda request: request.path.startswith(
            "/token") and limit(request))
        daemon = self.run_daemon()
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertRegex(failed["error"], "429 from token server.*slow down")
        self.assertEqual(failed["cause"], "rate-limited")
        self.assertNotIn("after a pause", daemon.log())
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log(r'level=(error|debug) msg="Sync failed".*token server '
                        r"wants no question for 1[78]\d\d seconds", mark)
        self.assertEqual(len(asked), 1)

    def test_token_ends_in_the_middle_of_a_round(self):
        self.expire_in_the_middle(['Bearer realm="{realm}",service="s"'], 401)

    def test_token_ends_and_the_answer_is_403(self):
        self.expire_in_the_middle(['Bearer realm="{realm}",service="s"'], 403)

    def test_token_ends_and_the_answer_is_400(self):
        self.expire_in_the_middle(['Bearer realm="{realm}",service="s"'], 400)

    def test_token_ends_and_the_answer_is_basic(self):
        """Harbor's way."""
        self.protect(['Bearer realm="{realm}",service="s"'])
        begun = []

        def hook(request):
            if "/blobs/" not in request.path or begun or \
                    not request.headers.get("Authorization"):
                return False
            begun.append(1)
            self.valid.clear()
            return request.reply(401, b"", {
                "WWW-Authenticate": 'Basic realm="harbor"'})
        self.fake.hooks.insert(1, hook)
        daemon = self.run_daemon()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.assertEqual(len(self.given), 2)

    def test_short_lived_tokens_are_renewed_in_time(self):
        """Of one second each: each poll needs another, and gets no 401."""
        self.answer = {"expires_in": 1, "issued_at": "2000-01-01T00:00:00Z"}
        self.protect(['Bearer realm="{realm}",service="s"'])
        daemon = self.run_daemon()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        first = len(self.given)
        daemon.poll_now()
        until(lambda: len(self.given) > first or time.sleep(0.3)
              or daemon.poll_now(), "another token", 30, daemon.tail)
        self.assertEqual(daemon.log().count("level=error"), 0)

    def test_token_goes_on_while_its_server_is_out_of_reach(self):
        """From nine tenths of its life to its end, which may be over before a
        busy machine has asked."""
        give = self.fake.hooks[0]
        self.assertTrue(any(self.goes_on(give, 10) for _ in range(5)))

    def goes_on(self, give, seconds):
        self.answer = {"expires_in": seconds}
        self.given.clear()
        self.valid.clear()
        self.fake.hooks[:] = [give]
        self.fake.requests.clear()
        self.protect(['Bearer realm="{realm}",service="s"'])
        begun = time.monotonic()
        daemon = self.run_daemon()
        daemon.wait_log('msg="Sync done"')
        failed, asked = [], []

        def fail(request):
            if failed:
                asked.append(time.monotonic())
                return False
            if request.path.startswith("/token"):
                failed.append(len(self.fake.requests))
                return request.reply(503)
            return False
        self.fake.hooks.insert(0, fail)
        until(lambda: failed or time.sleep(0.05) or daemon.poll_now(),
              "a renewal", 30, daemon.tail)
        daemon.poll_now()
        until(lambda: asked, "another question", 30, daemon.tail)
        _, path, headers = self.fake.requests[failed[0]]
        if path.startswith("/token") and asked[0] - begun > seconds:
            daemon.stop()
            return False
        self.assertTrue(path.startswith("/v2/"), path)
        self.assertEqual(headers["Authorization"], "Bearer token-0")
        until(lambda: len(self.given) == 2 or time.sleep(0.05)
              or daemon.poll_now(), "the next token", 30, daemon.tail)
        self.assertNotRegex(daemon.log(), "level=(warning|error)")
        return True

    def test_powerless_token(self):
        """Harbor gives a token to whoever asks; it opens nothing."""
        self.protect(['Bearer realm="{realm}",service="s"'])
        self.valid = frozenset()
        self.give = None
        self.fake.hooks[0] = lambda request: \
            request.path.startswith("/token") and \
            request.reply(200, {"token": "powerless"})
        daemon = self.run_daemon()
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertIn("401", failed["error"])
        self.assertLess(len(self.fake.requests), 10)


if __name__ == "__main__":
    unittest.main()
