"""/metrics: its form, and that each figure is that of what happened; alert rules
and dashboard against a real Prometheus."""
import hashlib
import json
import os
import re
import socket
import ssl
import time
import unittest

from lib import artifact, kube, proc, prometheus, secret, tree
from lib.case import Case, FakeCase
from lib.client import Client, plain
from lib.faulty import FakeRegistry
from lib.prometheus import Figures, figures, scrape
from lib.stage import closed_port
from lib.wait import patience, until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MONITORING = os.path.join(ROOT, "deploy", "monitoring")
ALERTS_TEST = os.path.join(ROOT, "test", "data", "alerts_test.yaml")
FILES = {"a.yaml": tree.text("a", 3000), "large.bin": tree.binary("l", 3 << 20),
         "folder/b.bin": tree.binary("b", 5000)}
# As Prometheus 2.42 asks.
PROMETHEUS = ("application/openmetrics-text;version=1.0.0,application/"
              "openmetrics-text;version=0.0.1;q=0.75,text/plain;"
              "version=0.0.4;q=0.5,*/*;q=0.1")
# The reference parser of OpenMetrics is strict; it belongs to Debian's python.
PARSE = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, f.unit, f.documentation,
                   [s.name for s in f.samples]]
                  for f in text_string_to_metric_families(sys.stdin.read())]))
"""


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def readme_section():
    return read(ROOT, "README.md").split("\n## Metrics\n")[1].split("\n## ")[0]


def readme_table():
    """{name: type} of README's table."""
    rows = {}
    for line in readme_section().split("\n"):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        names = re.findall(r"`((?:specman|process)_\w+)`", cells[0]) \
            if cells else []
        kinds = cells[1].split(", ") if names else []
        for name in names:
            if len(kinds) > 1:  # a row for counters and gauges
                kind = "counter" if name.endswith("_total") else "gauge"
            else:
                kind = kinds[0]
            rows[name] = kind
    return rows


def rules():
    """The rule file that is in the operator's object."""
    text = read(MONITORING, "alerts.yaml")
    return re.sub(r"^  ", "", text.split("\nspec:\n")[1], flags=re.M)


def hasty(text):
    """The rules with times for a test: no waiting before an alert, windows of 15
    seconds, and syncing fails after three."""
    for pattern, replacement in ((r"for: \w+", "for: 0s"),
                                 (r"\[(5m|10m)\]", "[15s]"),
                                 (r"\b10 \* specman_sync", "1 * specman_sync"),
                                 (r"\b1800\b", "3")):
        text, count = re.subn(pattern, replacement, text)
        if not count:
            raise AssertionError(f"{pattern} is not in the rules")
    return text


def alerts():
    return re.findall(r"alert: (\w+)", rules())


def panels():
    """(title, query) of the dashboard."""
    board = json.loads(read(MONITORING, "dashboard.json"))
    return [(panel["title"], target["expr"]) for panel in board["panels"]
            for target in panel.get("targets", ())]


class Form(FakeCase):
    """How it is written."""

    def setUp(self):
        super().setUp()
        self.fake.push("1.0.0", artifact.tgz(FILES))
        self.daemon = self.run_daemon()
        self.daemon.wait_log(r"msg=Published\b")

    def test_older_text(self):
        answer = scrape(self.daemon)
        self.assertEqual(answer["Content-Type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        done = proc.run(["promtool", "check", "metrics"], input=answer.body)
        self.assertEqual(done.stdout + done.stderr, b"")

    def test_openmetrics(self):
        answer = scrape(self.daemon, PROMETHEUS)
        self.assertEqual(
            answer["Content-Type"],
            "application/openmetrics-text; version=1.0.0; charset=utf-8")
        done = proc.run(["/usr/bin/python3", "-c", PARSE], input=answer.body)
        families = json.loads(done.stdout)
        self.assertGreater(len(families), 40)
        for name, kind, unit, text, samples in families:
            with self.subTest(family=name):
                self.assertIn(kind, ("counter", "gauge", "histogram", "info"))
                self.assertTrue(text.endswith("."))
                if name.endswith(("_seconds", "_bytes", "_ratio")):
                    self.assertEqual(unit, name.rpartition("_")[2])
        # Both have the same families and series.
        older = figures(self.daemon)
        suffix = {"counter": "_total", "info": "_info"}
        self.assertEqual({name + suffix.get(kind, "")
                          for name, kind, *_ in families}, set(older.types))

    def test_who_gets_which(self):
        for accept, is_open in (
                (None, False), ("*/*", False), ("text/plain", False),
                ("text/plain;version=0.0.4", False),
                ("application/openmetrics-text", True),
                ("text/plain;q=0.5, application/openmetrics-text;q=0.5", True),
                ("text/plain, application/openmetrics-text;q=0.5", False),
                ("application/openmetrics-text;q=0", False)):
            with self.subTest(accept=accept):
                answer = scrape(self.daemon, accept)
                self.assertEqual("openmetrics" in answer["Content-Type"],
                                 is_open)
                self.assertEqual(answer.body.endswith(b"# EOF\n"), is_open)
        head = plain(self.daemon.address("admin"), "/metrics", "HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(plain(self.daemon.address("admin"), "/metrics",
                               "POST").status, 405)

    def test_readme_has_all_of_them_and_no_other(self):
        kinds = {"info": "gauge"}
        written = figures(self.daemon)
        self.assertEqual({name: kinds.get(kind, kind)
                          for name, kind in readme_table().items()},
                         written.types)
        # Labels that are written stand in the family's row.
        for name, labels, _ in written.samples:
            row = next(line for line in readme_section().split("\n")
                       if f"`{written.family(name)}`" in line)
            for label in labels:
                self.assertIn(f"`{label}`", row, name)


class Counts(FakeCase):
    """What happens is what is counted."""

    def serve(self, *flags, **options):
        self.fake.push("1.0.0", artifact.tgz(FILES))
        daemon = self.run_daemon(*flags, **options)
        daemon.wait_log(r"msg=Published\b")
        return daemon

    def wait(self, daemon, value, name, **labels):
        """Waits for a sum; what follows an answer may be counted after it."""
        seen = []

        def look():
            seen[:] = [figures(daemon).sum(name, **labels)]
            return seen[0] == value
        until(look, f"{name}{labels} to be {value}", 20, lambda: str(seen))

    def test_requests(self):
        daemon = self.serve()
        client = self.client(daemon)
        etag = client.get("/a.yaml")["ETag"]
        for method, path, headers, status in (
                ("GET", "/a.yaml", {}, 200),
                ("GET", "/large.bin", {}, 200),
                ("GET", "/large.bin", {"Range": "bytes=5-9"}, 206),
                ("GET", "/a.yaml", {"If-None-Match": etag}, 304),
                ("GET", "/a.yaml", {"If-Match": '"other"'}, 412),
                ("GET", "/large.bin", {"Range": "bytes=9999999-"}, 416),
                ("GET", "/folder", {}, 301), ("GET", "/none", {}, 404),
                ("HEAD", "/a.yaml", {}, 200), ("HEAD", "/none", {}, 404),
                ("OPTIONS", "/", {}, 200), ("PROPFIND", "/", {}, 405),
                ("DELETE", "/a.yaml", {}, 405)):
            self.assertEqual(client.request(method, path, headers).status,
                             status, (method, path))
        name = "specman_http_requests_total"
        # The last one is counted after it was answered.
        self.wait(daemon, 14, name)
        found = figures(daemon)
        for method, code, count in (
                ("GET", "200", 3), ("GET", "206", 1), ("GET", "304", 1),
                ("GET", "412", 1), ("GET", "416", 1), ("GET", "301", 1),
                ("GET", "404", 1), ("HEAD", "200", 1), ("HEAD", "404", 1),
                ("OPTIONS", "200", 1), ("other", "405", 2),
                ("GET", "503", 0)):
            self.assertEqual(found.sum(name, method=method, code=code), count,
                             (method, code))
        duration = "specman_http_request_duration_seconds"
        self.assertEqual(found.sum(duration + "_count"), 14)
        self.assertEqual(found.sum(duration + "_bucket", le="+Inf"), 14)
        self.assertGreater(found.sum(duration + "_sum"), 0)
        self.assertEqual(found.sum("specman_http_requests_in_flight"), 0)
        sent = len(FILES["large.bin"]) + 2 * len(FILES["a.yaml"])
        bytes_ = found.sum("specman_http_response_bytes_total")
        self.assertGreater(bytes_, sent)
        self.assertLess(bytes_, sent + 14 * 1000)

    def test_requests_that_come_to_nothing(self):
        daemon = self.serve()
        client = self.client(daemon)
        with client.raw() as sock:
            sock.sendall(b"GET /a.yaml HTTP/1.1\r\nHost")
        self.wait(daemon, 1, "specman_http_requests_total", method="other",
                  code="none")
        with client.raw() as sock:
            sock.sendall(b"GET /a.yaml HTTP/1.1\r\nBad Name: x\r\n\r\n")
            self.assertIn(b" 400 ", sock.recv(4096))
        self.wait(daemon, 1, "specman_http_requests_total", code="400")
        # A client that takes little of a large answer.
        sock = client.raw(receive_buffer=4096)
        sock.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(1000)
        self.wait(daemon, 1, "specman_http_requests_in_flight")
        sock.close()
        self.wait(daemon, 1, "specman_http_answers_broken_off_total")
        self.wait(daemon, 0, "specman_http_requests_in_flight")

    def test_clients_make_no_series(self):
        """Whatever they ask for, and by whatever method."""
        daemon = self.serve()
        client = self.client(daemon)
        before = len(figures(daemon).samples)
        for n in range(40):
            client.request(f"METHOD{n}", f"/path-{n}",
                           {"User-Agent": f"agent-{n}", "Host": f"host-{n}"})
            client.request("GET", f"/path-{n}")
        self.wait(daemon, 40, "specman_http_requests_total", method="other",
                  code="405")
        answer = scrape(daemon)
        self.assertEqual(len(Figures(answer.body.decode()).samples),
                         before + 1)
        for word in (b"METHOD", b"path-", b"agent-", b"host-"):
            self.assertNotIn(word, answer.body)

    def test_logins(self):
        users = os.path.join(self.folder(), "users")
        made = proc.run(["htpasswd", "-nbB", "-C", "4", "reader", "pass-word"])
        with open(users, "wb") as file:
            file.write(made.stdout)
        daemon = self.serve("--htpasswd", users)
        client = self.client(daemon)
        for authorization, status in ((None, 401), ("Basic eDp5", 401),
                                      ("Basic cmVhZGVyOnBhc3Mtd29yZA==", 200)):
            headers = {"Authorization": authorization} if authorization else {}
            self.assertEqual(client.request("GET", "/a.yaml", headers).status,
                             status)
        for reason, count in (("missing", 1), ("wrong", 1), ("too_often", 0),
                              ("busy", 0)):
            self.wait(daemon, count, "specman_http_logins_refused_total",
                      reason=reason)
        wrong = 0
        while client.request("GET", "/a.yaml", {
                "Authorization": "Basic eDp6"}).status == 401:
            wrong += 1
            self.assertLess(wrong, 1000)
        self.wait(daemon, 1, "specman_http_logins_refused_total",
                  reason="too_often")
        self.wait(daemon, 1 + wrong, "specman_http_logins_refused_total",
                  reason="wrong")

    def handshake(self, daemon, version=None, session=None):
        """Shakes hands, and waits for an answer, with which a ticket comes."""
        context = ssl.create_default_context(cafile=daemon.ca())
        if version:
            context.minimum_version = context.maximum_version = version
        with socket.create_connection(daemon.address(), 60) as tcp, \
                context.wrap_socket(tcp, server_hostname="localhost",
                                    session=session) as sock:
            sock.sendall(b"GET /a.yaml HTTP/1.0\r\n\r\n")
            sock.recv(100)
            return context, sock.session

    def test_handshakes(self):
        daemon = self.serve()
        self.handshake(daemon, ssl.TLSVersion.TLSv1_2)
        context, session = self.handshake(daemon, ssl.TLSVersion.TLSv1_3)
        with socket.create_connection(daemon.address(), 60) as tcp, \
                context.wrap_socket(tcp, server_hostname="localhost",
                                    session=session) as sock:
            self.assertTrue(sock.session_reused)
            self.wait(daemon, 2, "specman_tls_handshakes_total",
                      result="done", version="TLSv1.3")
            self.wait(daemon, 1, "specman_connections_open")
        self.wait(daemon, 0, "specman_connections_open")
        with socket.create_connection(daemon.address(), 60) as tcp:
            tcp.sendall(b"GET / HTTP/1.1\r\n\r\n")
            tcp.recv(100)
        with socket.create_connection(daemon.address(), 60):
            pass  # a probe of the port
        name = "specman_tls_handshakes_total"
        self.wait(daemon, 1, name, result="failed")
        self.wait(daemon, 1, name, result="gone")
        found = figures(daemon)
        self.assertEqual(found.sum(name, result="done", version="TLSv1.2"), 1)
        self.assertEqual(found.sum(name, result="timeout"), 0)
        self.assertEqual(found.sum("specman_tls_resumptions_total",
                                   version="TLSv1.3"), 1)
        self.assertEqual(found.sum("specman_tls_resumptions_total",
                                   version="TLSv1.2"), 0)
        self.assertEqual(found.sum("specman_connections_accepted_total"), 5)

    def test_connections_over_the_cap(self):
        daemon = self.serve("--max-connections-per-address", "2")
        held = [socket.create_connection(daemon.address(), 60)
                for _ in range(2)]
        self.wait(daemon, 2, "specman_connections_open")
        with socket.create_connection(daemon.address(), 60) as more:
            self.assertEqual(more.recv(1), b"")
        self.wait(daemon, 1, "specman_connections_refused_total",
                  cap="address")
        for sock in held:
            sock.close()
        self.assertEqual(figures(daemon).sum(
            "specman_connections_refused_total", cap="all"), 0)
        self.wait(daemon, 0, "specman_connections_open")

    def test_what_is_served_and_stored(self):
        self.fake.push("0.0.0", artifact.tgz({"a.yaml": FILES["a.yaml"],
                                              "own.txt": b"own"}))
        daemon = self.serve("--log-level", "debug")
        daemon.wait_log('msg="Sync done"')
        self.wait(daemon, 1, "specman_sync_rounds_total", result="done")
        found = figures(daemon)
        view = {path: data for path, data in FILES.items()}
        view["own.txt"] = b"own"
        for name, value in (
                ("specman_view_releases", 2), ("specman_view_files", 4),
                ("specman_view_bytes", sum(map(len, view.values()))),
                ("specman_sync_interval_seconds", 3600),
                ("specman_sync_waiting_for_secret", 0),
                ("specman_store_quarantined_objects", 0),
                ("specman_store_damaged_objects", 0),
                ("specman_disk_reserve_bytes", 32 << 20),
                ("specman_cache_limit_bytes", 128 << 20)):
            self.assertEqual(found.sum(name), value, name)
        stored = self.stored_objects(daemon.data)
        self.assertEqual(found.sum("specman_store_objects"), len(stored))
        self.assertEqual(
            found.sum("specman_store_object_bytes"),
            sum(os.path.getsize(os.path.join(daemon.data, "objects", name[:2],
                                             name[2:])) for name in stored))
        disk = os.statvfs(daemon.data)
        self.assertEqual(found.sum("specman_disk_size_bytes"),
                         disk.f_blocks * disk.f_frsize)
        self.assertEqual(found.sum("specman_disk_inodes"), disk.f_files)
        self.assertEqual(found.sum("specman_view_info", top="1.0.0"), 1)
        self.assertEqual(found.sum("specman_sync_last_round_result",
                                   result="done"), 1)
        now = time.time()
        for name in ("last_success", "last_done", "last_round"):
            self.assertAlmostEqual(
                found.sum(f"specman_sync_{name}_timestamp_seconds"), now,
                delta=patience(60))
        self.assertAlmostEqual(found.sum("specman_sync_next_timestamp_seconds"),
                               now + 3600, delta=600)
        self.assertAlmostEqual(
            found.sum("specman_certificate_expiry_timestamp_seconds"),
            now + 397 * 86400, delta=2 * 86400)
        self.check_log_lines(daemon)

    def test_lines_of_each_level(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", b"no archive")
        daemon = self.start("--plain-http", "--repository", fake.repository(),
                            "--poll-interval", "1h", "--log-level", "debug")
        daemon.wait_log('msg="Release refused"')
        self.assertLessEqual({"info", "warning", "error"}, {
            line["level"] for line in daemon.records()})
        self.check_log_lines(daemon)

    def check_log_lines(self, daemon):
        def counted():
            found, lines = figures(daemon), daemon.records()
            return all(found.sum("specman_log_lines_total", level=level)
                       == sum(line["level"] == level for line in lines)
                       for level in ("debug", "info", "warning", "error"))
        until(counted, "each line to be counted", 30, daemon.tail)

    def test_cache(self):
        daemon = self.serve("--scrub-interval", "off")
        client = self.client(daemon)
        for _ in range(3):
            client.get("/folder/b.bin")
        found = figures(daemon)
        self.assertEqual(found.sum("specman_cache_hits_total"), 2)
        self.assertEqual(found.sum("specman_cache_misses_total"), 1)
        self.assertEqual(found.sum("specman_cache_pieces"), 1)

    def test_damage_is_found_and_mended(self):
        daemon = self.serve("--cache-size", "0", "--scrub-interval", "off")
        client = self.client(daemon)
        gone = []
        self.fake.on("GET", "/blobs/", lambda request: gone or
                     request.reply(503, b"") or True)
        name = hashlib.sha256(FILES["folder/b.bin"]).hexdigest()
        path = os.path.join(daemon.data, "objects", name[:2], name[2:])
        os.chmod(path, 0o640)
        with open(path, "r+b") as file:
            file.write(b"other")
        self.assertEqual(client.get("/folder/b.bin").status, 503)
        self.wait(daemon, 1, "specman_http_requests_total", code="503")
        self.wait(daemon, 1, "specman_store_quarantined_objects")
        found = figures(daemon)
        for figure in ("damaged_objects", "damages_total"):
            self.assertEqual(found.sum("specman_store_" + figure), 1, figure)
        self.fake.hooks.clear()
        daemon.poll_now()
        self.wait(daemon, 1, "specman_store_heals_total")
        for figure in ("damaged_objects", "quarantined_objects"):
            self.wait(daemon, 0, "specman_store_" + figure)
        found = figures(daemon)
        self.assertEqual(found.sum("specman_store_damages_total"), 1)

    def test_scrubbing(self):
        daemon = self.serve("--scrub-interval", "1s")
        # The first passes may have found an empty store, or half of it.
        for name, least in (("read_bytes", 3 << 20), ("objects", 3),
                            ("passes", 2)):
            until(lambda: figures(daemon).sum(f"specman_scrub_{name}_total")
                  > least, name)
        found = figures(daemon)
        self.assertAlmostEqual(
            found.sum("specman_scrub_last_pass_timestamp_seconds"),
            time.time(), delta=patience(60))

    def test_process(self):
        daemon = self.serve()
        pid = daemon.process.pid
        until(lambda: figures(daemon).sum("process_threads") ==
              len(os.listdir(f"/proc/{pid}/task")), "its threads")
        found = figures(daemon)
        # That of the scrape itself is in the figure, and may be gone.
        self.assertAlmostEqual(found.sum("process_open_fds"),
                               len(os.listdir(f"/proc/{pid}/fd")), delta=3)
        limits = read(f"/proc/{pid}/limits")
        self.assertEqual(found.sum("process_max_fds"), int(re.search(
            r"Max open files\s+(\d+)", limits).group(1)))
        self.assertAlmostEqual(found.sum("process_start_time_seconds"),
                               time.time(), delta=patience(60))
        status = read(f"/proc/{pid}/status")
        size = int(re.search(r"VmSize:\s+(\d+)", status).group(1)) * 1024
        self.assertAlmostEqual(found.sum("process_virtual_memory_bytes"), size,
                               delta=size / 2)
        self.assertGreater(found.sum("process_resident_memory_bytes"), 1 << 20)


class Registry(FakeCase):
    """What is asked of the registry, and how it goes."""

    REQUESTS = "specman_registry_requests_total"

    def test_requests_and_retries(self):
        layer = artifact.tgz(FILES)
        self.fake.push("1.0.0", layer)
        failures = [503, 429, 599]
        self.fake.on("GET", "/tags/list", lambda request: failures and
                     (request.reply(failures.pop(0), b"{}") or True))
        daemon = self.run_daemon()
        daemon.wait_log('msg="Sync done"')
        found = figures(daemon)
        for method, code, count in (
                ("GET", "503", 1), ("GET", "429", 1), ("GET", "5xx", 1),
                ("GET", "200", 3), ("HEAD", "200", 1)):
            self.assertEqual(found.sum(self.REQUESTS, method=method,
                                       code=code), count, (method, code))
        self.assertEqual(found.sum(self.REQUESTS), 7)
        self.assertEqual(found.sum("specman_registry_retries_total"), 3)
        self.assertGreater(found.sum("specman_registry_received_bytes_total"),
                           len(layer))

    def test_mirror(self):
        mirror = self.registry()
        mirror.push("1.0.0", artifact.tgz(FILES))
        self.fake.on("GET", ".", lambda request: request.hang_up() or True)
        daemon = self.run_daemon("--repository-mirror", mirror.repository())
        daemon.wait_log('msg="Sync done"')
        found = figures(daemon)
        self.assertGreater(found.sum("specman_registry_failovers_total"), 0)
        self.assertGreater(found.sum(self.REQUESTS, code="none"), 0)

    def test_nothing_goes_back_when_the_secret_changes(self):
        other = self.registry()
        for fake in (self.fake, other):
            fake.user = None
            fake.authority = self.authority
            fake.push("1.0.0", artifact.tgz(FILES))
        mounted = secret.Secret(os.path.join(self.folder(), "secret"),
                                **secret.platform(self.fake))
        daemon = self.start("--registry-secret-dir", mounted.folder,
                            "--poll-interval", "1h")
        daemon.wait_log('msg="Sync done"')
        before = figures(daemon)
        self.assertGreater(before.sum(self.REQUESTS), 2)
        mounted.put(secret.platform(other))
        until(lambda: other.requests and figures(daemon).sum(
            "specman_sync_rounds_total", result="done") == 2,
              "a round at the other registry")
        after = figures(daemon)
        self.assertEqual(after.sum(self.REQUESTS),
                         before.sum(self.REQUESTS) + len(other.requests))
        for name, labels, value in before.samples:
            if before.types[before.family(name)] == "counter":
                self.assertGreaterEqual(after.sum(name, **labels), value, name)

    def test_rounds_failures_and_troubles(self):
        self.fake.push("1.0.0", b"no archive")
        daemon = self.run_daemon()
        daemon.wait_log('msg="Release refused"')
        until(lambda: figures(daemon).sum("specman_sync_rounds_total",
                                          result="done") == 1, "the round")
        found = figures(daemon)
        self.assertEqual(found.sum("specman_troubles", about="release",
                                   kind="format"), 1)
        self.assertEqual(found.sum("specman_sync_failures_total"), 1)
        self.assertEqual(
            found.sum("specman_sync_last_success_timestamp_seconds"), 0)
        self.assertGreater(
            found.sum("specman_sync_last_done_timestamp_seconds"), 0)
        self.fake.push("1.0.0", artifact.tgz(FILES))
        daemon.poll_now()
        until(lambda: figures(daemon).sum(
            "specman_sync_last_success_timestamp_seconds"), "success")
        self.assertIsNone(figures(daemon).sum("specman_troubles"))

    def test_waiting(self):
        daemon = self.start("--registry-secret-dir",
                            os.path.join(self.folder(), "absent"))
        daemon.wait_log('msg="Waiting for the registry secret"')
        until(lambda: figures(daemon).sum("specman_sync_waiting_for_secret"),
              "waiting to be told")
        self.assertEqual(figures(daemon).sum("specman_sync_rounds_total",
                                             result="waiting"), 1)


class Objects(unittest.TestCase):
    def test_kubernetes_takes_them(self):
        """As `kubectl apply -k` would, or an overlay of its own."""
        found = {item["kind"]: item for item in kube.build("monitoring")}
        self.assertEqual(set(found), {"ConfigMap", "PrometheusRule"})
        for item in found.values():
            kube.validate(item)
            self.assertEqual(item["metadata"]["namespace"], "hubble-system")
        rule = found["PrometheusRule"]["spec"]["groups"][0]["rules"][0]
        self.assertEqual(rule["alert"], alerts()[0])
        board = found["ConfigMap"]
        self.assertEqual(board["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(board["data"]["dashboard.json"],
                         read(MONITORING, "dashboard.json"))
        # What makes a rule is held against its schema.
        found["PrometheusRule"]["spec"]["groups"][0]["rules"][0]["four"] = "1m"
        with self.assertRaisesRegex(AssertionError, "four"):
            kube.validate(found["PrometheusRule"])


class Rules(Case):
    """The alert rules with their own times."""

    def setUp(self):
        self.file = os.path.join(self.folder(), "rules.yml")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(rules())

    def test_checked_by_promtool(self):
        done = proc.run(["promtool", "check", "rules", "--lint=all",
                         "--lint-fatal", self.file])
        self.assertIn(b"SUCCESS", done.stdout)

    def test_each_fires_in_its_time(self):
        test = read(ALERTS_TEST)
        self.assertEqual(set(re.findall(r'alertname="(\w+)"', test)),
                         set(alerts()))
        path = os.path.join(os.path.dirname(self.file), "test.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(test)
        done = proc.run(["promtool", "test", "rules", path])
        self.assertIn(b"SUCCESS", done.stdout)

    def test_readme_has_each(self):
        self.assertEqual(re.findall(r"^\| `(Specman\w+)` \|", readme_section(),
                                    re.M), alerts())


class RealPrometheus(FakeCase):
    """A Prometheus that scrapes specmans in every kind of trouble. The rules
    have short times (hasty), the rest is as it is delivered."""

    def ready(self):
        """Well; with some of everything in its figures."""
        self.fake.push("1.0.0", artifact.tgz(FILES))
        daemon = self.run_daemon()
        daemon.wait_log('msg="Sync done"')
        return daemon

    def refused(self):
        """A release that it does not take, and a damaged file that it can't get
        again."""
        fake = self.registry()
        fake.push("1.0.0", artifact.tgz(FILES))
        daemon = self.start("--repository", fake.repository(),
                            "--registry-ca", self.authority.ca,
                            "--poll-interval", "1h", "--cache-size", "0")
        daemon.wait_log('msg="Sync done"')
        fake.on("GET", "/blobs/" + artifact.digest(artifact.tgz(FILES)),
                lambda request: request.reply(404, b"{}") or True)
        fake.push("2.0.0", b"no archive")
        name = hashlib.sha256(FILES["folder/b.bin"]).hexdigest()
        os.unlink(os.path.join(daemon.data, "objects", name[:2], name[2:]))
        self.assertEqual(self.client(daemon).get("/folder/b.bin").status, 503)
        daemon.poll_now()
        return daemon

    def lost(self):
        """No registry, a certificate that ends tomorrow, one connection, and a
        reserve that no disk has."""
        cert, key = self.authority.issue("tomorrow", days=(0, 1))
        return self.start("--repository", f"127.0.0.1:{closed_port()}/x",
                          "--plain-http", "--poll-interval", "1s",
                          "--registry-retries", "0", "--disk-reserve", "100Ti",
                          "--tls-cert", cert, "--tls-key", key,
                          "--max-connections-per-address", "1")

    def kept_out(self):
        """The registry wants a login."""
        fake = self.registry(user="robot", password="pass-of-robot")
        fake.push("1.0.0", artifact.tgz(FILES))
        return self.start("--repository", fake.repository(),
                          "--registry-ca", self.authority.ca,
                          "--poll-interval", "1h")

    def waiting(self):
        return self.start("--registry-secret-dir",
                          os.path.join(self.folder(), "absent"))

    def make_traffic(self):
        """Some of everything that a dashboard shows; 503s of the waiting one;
        connections over the cap of the lost one."""
        for path in ("/a.yaml", "/a.yaml", "/none"):
            self.well.get(path)
        self.bad.get("/a.yaml")
        for sock in [socket.create_connection(self.daemons["lost"].address(),
                                              60) for _ in range(2)]:
            sock.close()

    def test_alerts_and_dashboard(self):
        self.daemons = {"ready": self.ready(), "refused": self.refused(),
                        "lost": self.lost(), "kept-out": self.kept_out(),
                        "waiting": self.waiting()}
        targets = [(name, daemon.address("admin")[1])
                   for name, daemon in self.daemons.items()]
        self.well = self.client(self.daemons["ready"])
        self.bad = Client(self.daemons["waiting"].address(),
                          self.daemons["waiting"].ca())
        self.addCleanup(self.bad.close)
        self.server = prometheus.Prometheus(
            self.folder(), targets + [("down", closed_port())], hasty(rules()))
        self.addCleanup(self.server.stop)
        self.check_alerts()
        self.check_values()
        self.check_families()
        self.check_dashboard()

    def check_alerts(self):
        wanted = {
            ("SpecmanDown", "down"), ("SpecmanNothingServed", "lost"),
            ("SpecmanSyncFailing", "lost"), ("SpecmanDiskNearlyFull", "lost"),
            ("SpecmanCertificateExpiresSoon", "lost"),
            ("SpecmanConnectionsRefused", "lost"),
            ("SpecmanReleaseRefused", "refused"),
            ("SpecmanStoreDamaged", "refused"),
            ("SpecmanRegistryLoginRefused", "kept-out"),
            ("SpecmanWaitingForSecret", "waiting"),
            ("SpecmanHighErrorRate", "waiting")}
        self.assertEqual({alert for alert, _ in wanted}, set(alerts()))
        seen = {}

        def all_fire():
            self.make_traffic()
            for name, annotations in self.server.firing().items():
                seen.setdefault(name, annotations)
            return wanted <= set(seen)
        until(all_fire, "all alerts to fire", 60,
              lambda: f"missing: {wanted - set(seen)}")
        # The one that is well has none, and none has what is another's alone.
        until(lambda: not any(who == "ready"
                              for _, who in self.server.firing()),
              "no alert for the one that is well")
        for (alert, who), annotations in seen.items():
            for text in annotations.values():
                self.assertNotRegex(text, r"<error|<no value>|%!", (alert, who))
        for alert in ("SpecmanSyncFailing", "SpecmanStoreDamaged",
                      "SpecmanWaitingForSecret"):
            self.assertEqual(len([1 for name, _ in seen if name == alert]), 1,
                             alert)

    def check_values(self):
        """What was done is what Prometheus has."""
        counted = 'sum(specman_http_requests_total{instance="ready"%s})'
        own = self.daemons["ready"]
        until(lambda: figures(own).sum("specman_http_requests_in_flight") == 0,
              "the last request to be counted")
        before = figures(own).sum("specman_http_requests_total", code="404")
        for _ in range(5):
            self.well.get("/none")
        until(lambda: self.server.value(counted % ',code="404"') == before + 5,
              "five more requests", 20)
        for expression, value in (
                ('specman_view_files{instance="ready"}', len(FILES)),
                ('specman_store_damaged_objects{instance="refused"}', 1),
                ('specman_view_releases{instance="waiting"}', 0),
                ('specman_troubles{instance="kept-out"}', 1)):
            until(lambda: self.server.value(expression) == value,
                  f"{expression} to be {value}")

    def check_families(self):
        """Each family of README came through the scrape, with its type."""
        told = self.server.metadata()
        for name, kind in readme_table().items():
            base = re.sub("_(total|info)$", "", name)
            self.assertEqual(told.get(base), kind, name)
            series = name + ("_count" if kind == "histogram" else "")
            until(lambda: self.server.query(series), series)

    def check_dashboard(self):
        """Each query can be read, names what is there, and has data."""
        names = set(readme_table())
        self.assertGreater(len(panels()), 40)
        for title, expression in panels():
            with self.subTest(panel=title, query=expression):
                for name in re.findall(r"\b(?:specman|process)_\w+",
                                       expression):
                    self.assertIn(re.sub("_bucket$", "", name), names)
                expression = expression.replace("$__rate_interval", "15s")
                expression = expression.replace("$instance", ".*")
                self.assertNotIn("$", expression)

                def has_data():
                    self.make_traffic()
                    return self.server.query(expression)
                until(has_data, "data")


if __name__ == "__main__":
    unittest.main()
