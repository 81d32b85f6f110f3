"""The status: what it says of each state, as JSON and as a page that is looked at
in Chromium: no script, nothing loaded, readable at each width and in both colour
schemes. With STATUS_SHOTS=DIR each page's picture is kept there."""
import base64
import ctypes
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import tarfile
import threading

from lib import artifact, fault, hidden, proc, tree
from lib.browser import Browser
from lib.case import Case, FakeCase
from lib.client import plain
from lib.daemon import program
from lib.faulty import FakeRegistry
from lib.registry import PATH, Registry, basic
from lib.secret import Secret
from lib.wait import patience, until

MIB = 1 << 20
WIDTHS = {"desktop": 1280, "phone": 390, "small": 320}
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


def get(daemon, path="/status", **headers):
    return plain(daemon.address("admin"), path, headers=headers)


def status(daemon):
    answer = get(daemon, "/status.json")
    assert answer.status == 200, answer
    return json.loads(answer.body)


def needs(found):
    return [(need["what"], need["subject"]) for need in found["needs"]]


class StatusCase(Case):
    FLAGS = ("--plain-http", "--poll-interval", "1h", "--registry-retries",
             "0")

    def launch(self, repository, *flags, **options):
        return self.start(*self.FLAGS, "--repository", repository, *flags,
                          **options)

    def wait_status(self, daemon, condition):
        last = []

        def look():
            last[:] = [status(daemon)]
            return condition(last[0]) and last[0]
        return until(look, "the status", 30,
                     lambda: json.dumps(last, indent=1) + daemon.tail())

    def wait_synced(self, daemon):
        return self.wait_status(daemon, lambda s: s["sync"]["success_at"])

    def poll(self, daemon):
        before = daemon.mark()
        daemon.poll_now()
        return before


# Relative luminance and contrast by WCAG 2.2; of each text, against the
# nearest background that is painted.
LOOK = r"""
(() => {
  const faults = [];
  const channel = v => { v /= 255; return v <= .04045 ? v / 12.92
    : ((v + .055) / 1.055) ** 2.4; };
  const luminance = c => .2126 * channel(c[0]) + .7152 * channel(c[1])
    + .0722 * channel(c[2]);
  const parse = s => { const m = s.match(/[\d.]+/g).map(Number);
    return m.length < 4 ? [...m, 1] : m; };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const walker = document.createTreeWalker(document.body,
    NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let n; n = walker.nextNode();) {
    const e = n.parentElement, s = getComputedStyle(e);
    if (!n.data.trim() || !e.getClientRects().length) continue;
    texts++;
    const a = luminance(parse(s.color)), b = luminance(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)}: ${n.data}`);
    if (parseFloat(s.fontSize) < 12) faults.push(`small text: ${n.data}`);
  }
  if (texts < 20) faults.push(`only ${texts} texts`);
  if (innerWidth !== WIDTH || document.scrollingElement.scrollWidth > WIDTH)
    faults.push(`wider than the window: ${innerWidth}, `
      + document.scrollingElement.scrollWidth);
  for (const e of document.querySelectorAll('.card *')) {
    const r = e.getBoundingClientRect();
    const card = e.closest('.card').getBoundingClientRect();
    if (r.width && (r.right > card.right || r.left < card.left))
      faults.push(`outside of its card: ${e.outerHTML.slice(0, 80)}`);
  }
  let level = 0;
  for (const h of document.querySelectorAll('h1,h2,h3,h4')) {
    if (+h.tagName[1] > level + 1) faults.push(`jumps to ${h.outerHTML}`);
    level = +h.tagName[1];
  }
  if (document.querySelectorAll('h1').length !== 1) faults.push('one h1');
  for (const name of ['header', 'main', 'footer'])
    if (document.querySelectorAll(name).length !== 1) faults.push(name);
  for (const e of document.querySelectorAll('section')) {
    const l = document.getElementById(e.getAttribute('aria-labelledby'));
    if (!l || !l.textContent) faults.push('section without a name');
  }
  for (const t of document.querySelectorAll('table')) {
    if (!t.caption || !t.caption.textContent) faults.push('no caption');
    for (const th of t.querySelectorAll('th'))
      if (!['col', 'row'].includes(th.scope)) faults.push('th: scope');
  }
  for (const s of document.querySelectorAll('svg'))
    if (s.getAttribute('aria-hidden') !== 'true' &&
        !(s.getAttribute('role') === 'img' && s.getAttribute('aria-label')))
      faults.push('picture without a name');
  for (const a of document.querySelectorAll('a'))
    if (!a.textContent.trim() || !a.getAttribute('href')) faults.push('link');
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  if (new Set(ids).size !== ids.length) faults.push('an id twice');
  if (!document.documentElement.lang) faults.push('lang');
  if (document.querySelectorAll('script,link,iframe,img,object,form').length)
    faults.push('not self-contained');
  return faults;
})()
"""


class Seen(StatusCase):
    """Each state, as JSON and in Chromium."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.stop)
        with open(os.path.join(os.path.dirname(program()), "page",
                               "node_modules/axe-core/axe.min.js"),
                  encoding="utf-8") as file:
            cls.axe = file.read()

    def registry(self):
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        for version in ("4.5.13", "4.5.15", "0.0.0"):
            registry.push(version, artifact.tgz(tree.release(version)))
        return registry

    def check_accessible(self, page):
        page.evaluate(self.axe)
        found = page.evaluate("axe.run(document, {resultTypes: "
                              "['violations']})")
        self.assertGreater(len(found["passes"]), 15)
        self.assertEqual([(v["id"], [n["html"] for n in v["nodes"]])
                          for v in found["violations"]], [])

    def shot(self, page, name):
        folder = os.environ.get("STATUS_SHOTS")
        if folder:
            os.makedirs(folder, exist_ok=True)
            page.screenshot(os.path.join(folder, name + ".png"))

    def look(self, daemon, name, *texts):
        """The page is valid, self-contained and readable, and has these."""
        answer = get(daemon)
        self.assertEqual(answer.status, 200)
        self.check_markup(answer)
        url = "http://%s:%d/status" % daemon.address("admin")
        for dark in (False, True):
            for kind, width in WIDTHS.items():
                if dark and kind == "small":
                    continue
                with self.subTest(name, dark=dark, width=width):
                    page = self.browser.page(width, dark=dark)
                    page.open(url)
                    self.shot(page, f"{name}-{kind}-"
                              + ("dark" if dark else "light"))
                    self.assertEqual(page.evaluate(LOOK.replace("WIDTH", str(width))), [])
                    self.assertEqual(page.requests(), [url])
                    self.assertEqual(page.complaints(), [])
                    shown = page.evaluate("document.body.innerText")
                    for text in texts:
                        self.assertIn(text, shown)
                    if dark == (kind == "phone"):
                        self.check_accessible(page)
                    page.close()

    def check_markup(self, answer):
        page = answer.body.decode()
        self.assertEqual(answer["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(answer["Cache-Control"], "no-store")
        style = re.search("<style>(.*?)</style>", page, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest())
        self.assertIn("default-src 'none'; style-src 'sha256-%s';"
                      % digest.decode(), answer["Content-Security-Policy"])
        self.assertNotRegex(page, r"(?i)<script|javascript:|\son\w+=|\sstyle=")
        done = subprocess.run(["tidy", "-errors", "-quiet", "-utf8"],
                              input=answer.body, capture_output=True,
                              check=False)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))

    def test_healthy(self):
        registry = self.registry()
        daemon = self.launch(registry.repository())
        found = self.wait_synced(daemon)
        self.assertEqual(found["state"], "healthy")
        self.assertIs(found["ready"], True)
        self.assertRegex(found["summary"], "^Healthy: serving 3 releases, "
                         r"synced (just now|\d+ seconds ago)$")
        self.assertEqual(found["needs"], [])
        self.assertEqual([r["tag"] for r in found["releases"]],
                         ["4.5.15", "4.5.13", "0.0.0"])
        self.assertEqual(found["sync"]["source"], registry.repository())
        self.assertEqual(found["sync"]["result"], "done")
        trees = [tree.release(r["tag"]) for r in found["releases"]]
        covered = {}
        for release, files in zip(found["releases"], trees):
            own = {p: d for p, d in files.items() if p not in covered}
            covered.update(own)
            self.assertEqual(
                (release["files"], release["bytes"], release["served_files"],
                 release["served_bytes"]),
                (len(files), sum(map(len, files.values())), len(own),
                 sum(map(len, own.values()))))
        self.assertEqual((found["view"]["files"], found["view"]["bytes"]),
                         (len(covered), sum(map(len, covered.values()))))
        page = get(daemon).body.decode()
        for release in found["releases"]:  # in the wide form and the narrow one
            self.assertGreaterEqual(page.count(
                'taken <time datetime="%s"' % release["seen_at"]), 2)
        self.assertEqual(len(re.findall("synced", page.split("<main>")[1])), 1)
        for link in re.findall('<a href="([^"]+)"', page):
            self.assertEqual(get(daemon, "/" + link).status, 200, link)
        self.look(daemon, "healthy", found["summary"].split(",")[0],
                  "4.5.15", found["view"]["id"], registry.repository(),
                  found["releases"][0]["manifest"])

    def test_waiting_for_the_secret(self):
        daemon = self.start(*self.FLAGS, "--registry-secret-dir",
                            os.path.join(self.folder(), "none"))
        found = self.wait_status(daemon, lambda s: s["sync"]["result"])
        self.assertEqual(found["state"], "waiting")
        self.assertIs(found["ready"], False)
        self.assertEqual(found["sync"]["result"], "waiting")
        self.assertIsNone(found["sync"]["source"])
        self.assertEqual(needs(found),
                         [("Waiting for the registry secret", "secret")])
        self.assertEqual(found["needs"][0]["cause"], "no-repository")
        self.assertIn("Contains Spectro Manifests",
                      found["needs"][0]["advice"])
        self.look(daemon, "waiting", "Waiting for the registry secret: "
                  "nothing is served yet", "Contains Spectro Manifests")

    def test_registry_down(self):
        registry = self.registry()
        daemon = self.launch(registry.repository())
        success = self.wait_synced(daemon)["sync"]["success_at"]
        registry.stop()
        daemon.poll_now()
        found = self.wait_status(daemon, lambda s: s["needs"])
        self.assertEqual(found["state"], "attention")
        self.assertIs(found["ready"], True)
        self.assertEqual(needs(found), [("Sync failed", "sync")])
        self.assertEqual(found["needs"][0]["cause"], "connection-refused")
        self.assertEqual(found["sync"]["success_at"], success)
        found = self.wait_status(daemon, lambda s: not s["sync"]["running"])
        self.assertEqual(found["sync"]["result"], "failed")
        self.assertIn("Sync failed", found["sync"]["reason"])
        self.look(daemon, "down", "Needs attention: sync failed; serving 3 "
                  "releases", "Error: Sync failed", registry.host, "To do:",
                  "connection-refused")
        registry.start()
        daemon.poll_now()
        self.wait_status(daemon, lambda s: s["state"] == "healthy")

    def test_release_refused(self):
        registry = self.registry()
        pipe = artifact.member("<b>&\"'pipe", tarfile.FIFOTYPE)
        registry.push("4.6.0", artifact.tgz(members=[pipe]))
        daemon = self.launch(registry.repository())
        found = self.wait_status(daemon, lambda s: s["sync"]["ended_at"])
        self.assertEqual(found["state"], "attention")
        self.assertEqual(needs(found), [("Release refused", "4.6.0")])
        self.assertIn("<b>&\"'pipe", found["needs"][0]["why"])
        self.assertIsNone(found["sync"]["success_at"])
        self.assertEqual(found["needs"][0]["cause"], "release-unfit")
        self.assertIn("Push the release again", found["needs"][0]["advice"])
        self.look(daemon, "refused", "Error: Release refused, 4.6.0",
                  "Needs attention: release refused, 4.6.0; serving 3 releases",
                  "<b>&\"'pipe", "none since the start", "first met ")
        # It is remembered, and stays until the tag moves.
        daemon.poll_now()
        again = self.wait_status(
            daemon, lambda s: s["needs"] and s["needs"][0]["times"] == 2)
        self.assertEqual(again["needs"][0]["since"], found["needs"][0]["since"])
        self.assertEqual(again["needs"][0]["why"], found["needs"][0]["why"])
        registry.push("4.6.0", artifact.tgz(tree.release("4.6.0")))
        daemon.poll_now()
        self.wait_status(daemon, lambda s: s["state"] == "healthy"
                         and s["view"]["releases"] == 4)

    def test_disk_nearly_full(self):
        folder = self.folder()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={40 * MIB}",
                               "specman-test", folder], capture_output=True,
                              check=False)
        if done.returncode:
            print("not shown: a disk nearly full, since mounting is not "
                  "permitted (" + done.stderr.decode().strip() + ")")
            return
        self.addCleanup(proc.run, ["umount", "-l", folder])
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a.bin": tree.binary("a", 8 * MIB)}))
        daemon = self.launch(fake.repository(), "--disk-reserve", "4Mi",
                             data=folder)
        found = self.wait_synced(daemon)
        self.assertEqual(found["needs"], [])
        self.assertEqual(found["disk"]["total_bytes"], 40 * MIB)
        self.assertEqual(found["disk"]["reserve_bytes"], 4 * MIB)
        other = os.path.join(folder, "other")
        with open(other, "wb") as file:
            file.write(bytes(found["disk"]["room_bytes"] - 3 * MIB))
        found = self.wait_status(daemon, lambda s: s["needs"])
        self.assertEqual(needs(found), [("Disk nearly full", "disk")])
        self.assertEqual(found["needs"][0]["severity"], "warning")
        self.assertLess(abs(found["disk"]["room_bytes"] - 3 * MIB), 65536)
        self.look(daemon, "disk", "Warning: Disk nearly full")
        with open(other, "ab") as file:
            file.write(bytes(4 * MIB))
        found = self.wait_status(
            daemon, lambda s: needs(s) == [("Disk full", "disk")])
        self.assertEqual(found["needs"][0]["severity"], "error")
        os.unlink(other)
        self.wait_status(daemon, lambda s: s["state"] == "healthy")

    def test_long_names(self):
        """What is as long as it may be, and has no place to be broken at."""
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        path = "p" * 120 + "/" + "m" * 100
        pipe = artifact.member("f" * 250 + "/" + "p" * 200, tarfile.FIFOTYPE)
        fake.push("1" * 128, artifact.tgz({"a.yaml": b"a\n"}), path)
        fake.push("x" * 128, artifact.tgz({"b.yaml": b"b\n"}), path)
        for number in range(30):
            fake.push(f"{number}" + "y" * 120, artifact.tgz(members=[pipe]),
                      path)
        daemon = self.launch(fake.repository(path))
        found = self.wait_status(daemon, lambda s: s["sync"]["ended_at"])
        self.assertEqual((len(found["needs"]), found["needs_omitted"]),
                         (24, 6))
        self.assertIn(", and 29 more; serving 2 releases", found["summary"])
        self.look(daemon, "long", "And 6 more tags: see the log.", "x" * 128)
        page = get(daemon).body.decode()
        self.assertEqual(page.count(found["needs"][0]["advice"][:30]), 1)
        self.assertEqual(page.count("As above."), 23)

    def test_nothing_yet(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))
        daemon = self.launch(fake.repository(), "--tag-include", "^2")
        found = self.wait_status(daemon, lambda s: s["sync"]["ended_at"])
        self.assertEqual(found["state"], "nothing")
        self.assertIs(found["ready"], False)
        self.assertEqual(needs(found),
                         [("No release in the repository", "repository")])
        self.assertEqual(found["view"]["releases"], 0)
        self.look(daemon, "nothing", "Nothing is served yet: no release in the "
                  "repository",
                  "None is served yet.")


class Held:
    """A thread of a child, known by its name, that stands still (ptrace)."""

    SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, pid, name):
        self.thread, self.error = None, None
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as f:
                if f.read().strip() == name:
                    self.thread = int(task)
        if self._call(self.SEIZE) or self._call(self.INTERRUPT):
            return
        os.waitpid(self.thread, self.WALL)

    def _call(self, request):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(request, self.thread, None, None) == -1:
            self.error = os.strerror(ctypes.get_errno())
        return self.error

    def let_go(self):
        self._call(self.DETACH)


KEYS = {
    "": "state summary ready time version started_at view sync needs "
        "needs_omitted releases releases_omitted disk store certificate",
    "view": "id releases files bytes",
    "sync": "source running began_at ended_at seconds result reason "
            "success_at next_at thread_turned_seconds_ago",
    "needs": "severity subject is_tag what why cause advice since last_at "
             "times",
    "releases": "tag manifest layer created seen_at files bytes served_files "
                "served_bytes",
    "disk": "total_bytes free_bytes reserve_bytes room_bytes looked_at",
    "store": "objects damaged damaged_total healed_total checked_at",
    "certificate": "ends_at self_made",
}


class Answers(StatusCase):
    """The forms of the status, and what probes say."""

    def setUp(self):
        self.fake = FakeRegistry()
        self.addCleanup(self.fake.stop)
        self.fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))

    def test_keys(self):
        pipe = artifact.member("pipe", tarfile.FIFOTYPE)
        self.fake.push("2.0.0", artifact.tgz(members=[pipe]))
        daemon = self.launch(self.fake.repository())
        found = self.wait_status(daemon, lambda s: s["sync"]["ended_at"])
        for part, keys in KEYS.items():
            value = found[part] if part else found
            for item in value if isinstance(value, list) else [value]:
                self.assertEqual(list(item), keys.split(), part)
        for at in (found["time"], found["started_at"],
                   found["sync"]["began_at"], found["sync"]["ended_at"],
                   found["sync"]["next_at"], found["needs"][0]["since"],
                   found["releases"][0]["seen_at"],
                   found["certificate"]["ends_at"]):
            self.assertRegex(at, TIME)
        self.assertEqual(found["releases"][0]["manifest"],
                         self.fake.repositories[PATH].tags["1.0.0"])
        self.assertIs(found["certificate"]["self_made"], True)
        text = plain(daemon.address("admin"), "/status.json").body.decode()
        self.assertEqual(len(re.findall(
            r'"\w*seconds\w*": \d+\.\d{1,3}[,\n]', text)), 2, text)

    def test_forms(self):
        daemon = self.launch(self.fake.repository())
        self.wait_synced(daemon)
        html, json_type = "text/html; charset=utf-8", "application/json"
        for path, accept, expected in (
                ("/status", None, html),
                ("/status", "text/html,*/*;q=0.8", html),
                ("/status", "application/json", json_type),
                ("/status?format=json", None, json_type),
                ("/status?format=html", "application/json", html),
                ("/status.json", "text/html", json_type)):
            with self.subTest(path=path, accept=accept):
                answer = get(daemon, path,
                             **({"Accept": accept} if accept else {}))
                self.assertEqual((answer.status, answer["Content-Type"]),
                                 (200, expected))
                self.assertEqual(answer["X-Content-Type-Options"], "nosniff")
        answer = plain(daemon.address("admin"), "/status", "HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(
            plain(daemon.address("admin"), "/status", "POST").status, 405)

    def test_probes(self):
        daemon = self.launch(self.fake.repository())
        self.wait_synced(daemon)
        self.assertEqual(get(daemon, "/livez?verbose").body.decode(),
                         "[+]workers ok\n[+]sync-thread ok\n"
                         "livez check passed\n")
        answer = get(daemon, "/readyz?verbose")
        self.assertEqual(answer.status, 200)
        lines = answer.body.decode().split("\n")
        self.assertEqual(lines[:2], ["[+]running ok",
                                     "[+]serving ok: 1 release"])
        self.assertEqual(lines[-2:], ["readyz check passed", ""])
        for line in lines[:-2]:
            self.assertRegex(line, r"^\[\+\][a-z-]+ ok")
        self.assertEqual(get(daemon, "/readyz").body, b"ok\n")
        # The registry has no say in it.
        self.fake.on("GET", "/tags/list", lambda r: r.reply(503))
        daemon.poll_now()
        self.wait_status(daemon, lambda s: s["needs"])
        answer = get(daemon, "/readyz?verbose")
        self.assertEqual(answer.status, 200)
        self.assertRegex(answer.body.decode(), r"(?m)^\[-\]sync failed: "
                         r"Sync failed: .* \(for information\)$")
        self.assertEqual(get(daemon, "/livez").status, 200)

    def test_one_address_keeps_no_probe_out(self):
        """More connections than there may be in all, which say now and then
        one byte more."""
        daemon = self.launch(self.fake.repository())
        self.wait_synced(daemon)
        held = []
        self.addCleanup(lambda: [sock.close() for sock in held])
        for _ in range(100):
            sock = socket.create_connection(daemon.address("admin"), 30,
                                            ("127.0.0.2", 0))
            held.append(sock)
            try:
                sock.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ")
            except OSError:
                pass  # it is one too many
        done = threading.Event()

        def trickle():
            while not done.wait(1):
                for sock in held:
                    try:
                        sock.sendall(b"x")
                    except OSError:
                        pass
        thread = threading.Thread(target=trickle)
        thread.start()
        self.addCleanup(lambda: (done.set(), thread.join()))
        for _ in range(3):
            self.assertEqual(get(daemon, "/livez").status, 200)

    def test_a_disk_that_hangs(self):
        """The sync thread is in it; whoever asks is answered all the same,
        and after half an hour that the thread does not go round."""
        folder = self.folder()
        hold, clock = (os.path.join(folder, n) for n in ("hold", "clock"))
        env = fault.preload("")
        env.update(LD_PRELOAD=fault.built("hang.so"), HANG_WHILE=hold,
                   HANG_CLOCK=clock)
        daemon = self.launch(self.fake.repository(), env=env)
        self.wait_synced(daemon)

        def answers(path, status):
            return until(lambda: get(daemon, path).status == status,
                         f"{path} to answer {status}", 30, daemon.tail)
        client = self.client(daemon)
        with open(hold, "w", encoding="ascii"):
            pass
        self.addCleanup(lambda: os.path.exists(hold) and os.unlink(hold))
        self.wait_status(
            daemon, lambda s: s["sync"]["thread_turned_seconds_ago"] > 4)
        for path in "/livez", "/readyz?verbose", "/status", "/metrics":
            self.assertEqual(get(daemon, path).status, 200, path)
        self.assertEqual(client.get("/a.yaml").status, 200)
        with open(clock, "w", encoding="ascii") as file:
            file.write(str(31 * 60))
        answers("/livez", 503)
        until(lambda: get(daemon, "/livez?verbose").body.decode()
              == "[+]workers ok\n"
              "[-]sync-thread failed: the sync thread does not go round\n"
              "livez check failed\n", "the workers to be well", 30, daemon.tail)
        found = status(daemon)
        self.assertIn(("The sync thread does not go round", "sync thread"),
                      needs(found))
        self.assertEqual(get(daemon, "/readyz").status, 200)
        os.unlink(hold)
        answers("/livez", 200)
        self.wait_status(daemon, lambda s: s["state"] == "healthy")

    def test_not_ready(self):
        daemon = self.launch(self.fake.repository(), "--tag-include", "^2")
        self.wait_status(daemon, lambda s: s["sync"]["ended_at"])
        answer = get(daemon, "/readyz?verbose")
        self.assertEqual(answer.status, 503)
        self.assertIn("[-]serving failed: nothing to serve yet\n",
                      answer.body.decode())
        self.assertTrue(answer.body.endswith(b"readyz check failed\n"))
        self.assertEqual(get(daemon, "/readyz").body,
                         b"nothing to serve yet\n")
        self.assertEqual(get(daemon, "/livez").status, 200)

    def test_probes_while_it_stops(self):
        """Nobody new is sent to it, and nobody kills it over an answer that is
        still under way."""
        big = {"big.bin": tree.binary("big", 32 << 20)}
        self.fake.push("2.0.0", artifact.tgz(big))
        daemon = self.launch(self.fake.repository())
        self.wait_synced(daemon)
        over = threading.Event()
        self.addCleanup(over.set)
        with self.client(daemon).raw(receive_buffer=4096) as sock:
            sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(sock.recv(1))

            def read_on():
                while not over.wait(0.1) and sock.recv(4096):
                    pass
            reader = threading.Thread(target=read_on, daemon=True)
            reader.start()
            admin = daemon.address("admin")
            daemon.process.terminate()
            answer = until(
                lambda: (now := plain(admin, "/readyz?verbose")).status == 503
                and now, "it to be ready no more", 30, daemon.tail)
            self.assertIn(b"[-]running failed: stopping\n", answer.body)
            self.assertEqual(plain(admin, "/livez").status, 200)
            over.set()
            reader.join()

    def test_a_download_that_stalls_is_no_reason_to_be_killed(self):
        begun = threading.Event()

        def stall(request):
            begun.set()
            return request.wait_closed()
        self.fake.on("GET", "/blobs/sha256:", stall)
        daemon = self.launch(self.fake.repository())
        self.assertTrue(begun.wait(patience(30)))
        found = status(daemon)
        self.assertEqual((found["state"], found["sync"]["running"]),
                         ("starting", True))
        self.assertIsNone(found["sync"]["next_at"])
        self.assertIn("the first sync is under way", found["summary"])
        # The thread goes round while nothing comes; a poll may take a second.
        seen = set()

        def turned():
            ago = status(daemon)["sync"]["thread_turned_seconds_ago"]
            self.assertLess(ago, patience(10))
            seen.add(ago)
            return min(seen) < ago < max(seen)
        until(turned, "another turn")

    def test_a_thread_that_is_stuck_is_seen(self):
        daemon = self.launch(self.fake.repository())
        self.wait_synced(daemon)
        held = Held(daemon.process.pid, "sync")
        if held.error:
            print("not shown: a stuck thread, since no thread may be held ("
                  + held.error + ")")
            return
        try:
            until(lambda: status(daemon)["sync"]["thread_turned_seconds_ago"]
                  > 4, "the thread to stand still")
            # Neither the status nor a probe waits for it; there is still time.
            self.assertEqual(status(daemon)["state"], "healthy")
            self.assertEqual(get(daemon, "/livez").status, 200)
        finally:
            held.let_go()
        until(lambda: status(daemon)["sync"]["thread_turned_seconds_ago"] < 3,
              "the thread to go on")

    def test_many_releases(self):
        for number in range(60):
            self.fake.push(f"1.1.{number}", artifact.tgz({"a.yaml": b"a\n"}))
        daemon = self.launch(self.fake.repository())
        found = self.wait_synced(daemon)
        self.assertEqual(len(found["releases"]), 61)
        page = get(daemon).body.decode()
        self.assertIn("The newest 50 of 61 releases", page)
        self.assertEqual(page.count('<th scope="row">'), 50)
        self.assertIn(">1.1.59<", page)
        self.assertNotIn(">1.1.9<", page)

    def test_many_who_ask_keep_nothing_up(self):
        daemon = self.launch(self.fake.repository())
        self.wait_synced(daemon)
        stop, failures, count = threading.Event(), [], [0]

        def ask(path):
            while not stop.is_set():
                answer = get(daemon, path)
                if answer.status != 200:
                    failures.append(answer)
                count[0] += 1
        threads = [threading.Thread(target=ask, args=(path,)) for path in
                   ("/status", "/status.json", "/readyz?verbose") * 3]
        for thread in threads:
            thread.start()
        try:
            for number in range(5):
                self.fake.push(f"2.0.{number}",
                               artifact.tgz(tree.release(str(number))))
                daemon.poll_now()
                daemon.wait_log(f"msg=Published .*tag=2.0.{number}")
                enough = count[0] + 2 * len(threads)
                until(lambda: failures or count[0] > enough, "answers")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])

    def test_a_tag_that_vanished_is_no_trouble(self):
        pipe = artifact.member("pipe", tarfile.FIFOTYPE)
        self.fake.push("2.0.0", artifact.tgz(members=[pipe]))
        daemon = self.launch(self.fake.repository())
        self.wait_status(daemon, lambda s: s["needs"])
        del self.fake.repositories[PATH].tags["2.0.0"]
        daemon.poll_now()
        self.wait_status(daemon, lambda s: s["state"] == "healthy")

    def test_what_is_kept_and_not_pruned(self):
        self.fake.push("2.0.0", artifact.tgz({"b.yaml": b"b\n"}))
        daemon = self.launch(self.fake.repository(), "--prune")
        self.wait_synced(daemon)
        del self.fake.repositories[PATH].tags["2.0.0"]
        daemon.poll_now()
        found = self.wait_status(daemon, lambda s: s["needs"])
        self.assertEqual(needs(found), [
            ("Release kept although its tag is gone", "2.0.0")])
        self.assertEqual((found["needs"][0]["severity"],
                          found["needs"][0]["cause"]), ("warning", "rollback"))
        self.assertTrue(found["sync"]["success_at"])

    def test_damage(self):
        content = tree.text("damaged", 5000)
        self.fake.push("1.0.0", artifact.tgz({"a.yaml": content}))
        daemon = self.launch(self.fake.repository(), "--cache-size", "0")
        self.wait_synced(daemon)
        self.fake.on("GET", "/blobs/", lambda r: r.reply(503))
        name = hashlib.sha256(content).hexdigest()
        path = os.path.join(daemon.data, "objects", name[:2], name[2:])
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            file.write(b"X")
        client = self.client(daemon)
        self.assertEqual(client.get("/a.yaml").status, 503)
        found = self.wait_status(daemon, lambda s: s["needs"])
        self.assertEqual(needs(found), [("Files damaged on disk", "store")])
        self.assertEqual(found["needs"][0]["cause"], "data-dir-io")
        self.assertIn("a.yaml", found["needs"][0]["why"])
        self.assertEqual(found["store"]["damaged"], 1)
        self.fake.hooks.clear()
        daemon.poll_now()
        found = self.wait_status(daemon, lambda s: s["state"] == "healthy")
        self.assertEqual((found["store"]["damaged"],
                          found["store"]["healed_total"]), (0, 1))


class Certificate(StatusCase):
    def test_certificate(self):
        authority = self.class_authority()
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))
        cert, key = authority.issue("soon", days=(0, 5))
        daemon = self.launch(fake.repository(), "--tls-cert", cert,
                             "--tls-key", key)
        found = self.wait_synced(daemon)
        self.assertEqual(needs(found),
                         [("Certificate expires soon", "certificate")])
        self.assertRegex(found["needs"][0]["why"], "^it ends in (4|5) days")
        self.assertIs(found["certificate"]["self_made"], False)
        with open(cert, "rb") as file:
            good = file.read()
        with open(cert, "wb") as file:
            file.write(b"no certificate\n")
        daemon.process.send_signal(signal.SIGHUP)
        found = self.wait_status(daemon, lambda s: len(s["needs"]) == 2)
        self.assertEqual(needs(found)[0],
                         ("Certificate not reloaded", "certificate"))
        self.assertIn(cert, found["needs"][0]["why"])
        later, later_key = authority.issue("later", days=(0, 300))
        for source, target in ((later_key, key), (later, cert)):
            with open(source, "rb") as file, open(target, "wb") as out:
                out.write(file.read())
        self.assertNotEqual(good, b"")
        daemon.process.send_signal(signal.SIGHUP)
        self.wait_status(daemon, lambda s: s["state"] == "healthy")


class Users(StatusCase):
    def test_a_broken_file_of_users(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))
        path = os.path.join(self.folder(), "users")
        password = hide_password()
        users = proc.run(["htpasswd", "-inB", "-C", "4", "operator"],
                         input=password.encode()).stdout

        def put(text):
            with open(path, "wb") as file:
                file.write(text)
        put(users)
        daemon = self.launch(fake.repository(), "--htpasswd", path)
        self.wait_synced(daemon)
        client = self.client(daemon)

        def ask():
            return client.get("/a.yaml", Authorization=basic("operator",
                                                             password))
        put(b"operator:no-hash\n")
        self.assertEqual(ask().status, 200)
        found = self.wait_status(daemon, lambda s: ask() and s["needs"])
        self.assertEqual(needs(found), [("Users not taken over", "users")])
        put(users + b"\n")
        self.wait_status(daemon, lambda s: ask().status == 200
                         and s["state"] == "healthy")


class Secrets(FakeCase):
    def test_no_credentials_are_shown(self):
        password = hide_password()
        folder = Secret(self.folder(), endpoint=self.fake.host,
                        baseContentPath="spectro-packs", username="user",
                        password=password, insecureSkipVerify="true")
        self.fake.login = basic("user", password)
        self.fake.push("1.0.0", artifact.tgz({"a.yaml": b"a\n"}))
        daemon = self.start("--registry-secret-dir", folder.folder)
        found = until(lambda: status(daemon)["sync"]["success_at"]
                      and status(daemon), "a sync", 30, daemon.tail)
        self.assertEqual(found["sync"]["source"], self.fake.repository())
        for path in ("/status", "/status.json", "/readyz?verbose"):
            self.assertNotIn(password, get(daemon, path).body.decode())


def hide_password():
    password = "a-password-of-the-status"
    hidden.hide(password)
    return password
