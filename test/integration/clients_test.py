"""Clients as they are: Go's net/http, curl, wget, urllib, Node's fetch, and a
browser on the listing."""
import hashlib
import html.parser
import os
import re
import ssl
import unittest
import urllib.error
import urllib.parse
import urllib.request

from lib import artifact, proc, tree
from lib.case import Case
from lib.daemon import Specman
from lib.faulty import FakeRegistry

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = tree.text("clients", 20000)
BIG = tree.binary("clients", 5 << 20)
MARKUP = "<b>&amp; \"'.txt"
FILES = {
    "text.yaml": TEXT,
    "big.bin": BIG,
    "dir/small.txt": b"x" * 10,
    "dir/large.txt": b"y" * 5000,
    "dir/middle.txt": b"z" * 300,
    "dir/" + MARKUP: b"markup\n",
    "dir/grüße.txt": b"unicode\n",
    "dir/colon:in.txt": b"colon\n",
    "dir/sub/deep/file.txt": b"deep\n",
}
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--ignore-certificate-errors",
            "--window-size=1000,700"]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Rows(html.parser.HTMLParser):
    """The links and cells of a listing."""

    def __init__(self, page):
        super().__init__()
        self.links, self.sorted, self._column = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "th":
            self._column = attrs.get("aria-sort")
        if tag == "a":
            self.links.append(attrs["href"])
            if self._column:
                self.sorted[attrs["href"]] = self._column
                self._column = None

    def names(self):
        return [urllib.parse.unquote(link[2:]) for link in self.links
                if link.startswith("./")]


class Clients(Case):
    @classmethod
    def setUpClass(cls):
        fake = FakeRegistry()
        cls.addClassCleanup(fake.stop)
        members = [artifact.member(path, data=data)
                   for path, data in FILES.items()]
        for number, (info, _) in enumerate(members):
            info.mtime += number
        fake.push("4.5.15", artifact.tgz(members=members))
        folder = cls.class_folder()
        authority = cls.class_authority()
        cert, key = authority.issue("localhost", "DNS:localhost,IP:127.0.0.1")
        cls.ca = authority.ca
        cls.daemon = Specman(
            "--plain-http", "--repository", fake.repository(),
            "--poll-interval", "1h", "--tls-cert", cert, "--tls-key", key,
            data=folder, log=os.path.join(folder, "stderr.log"))
        cls.addClassCleanup(cls.daemon.finish)
        cls.daemon.wait_log("msg=Published", seconds=60)
        cls.base = f"https://127.0.0.1:{cls.daemon.address()[1]}"

    def lines(self, output):
        """{word: the rest}"""
        return dict(line.split(" ", 1)
                    for line in output.decode().splitlines())

    def test_go(self):
        env = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local",
               "GOPROXY": "off", "GOCACHE": self.folder(),
               "GOPATH": self.folder(), "HOME": self.folder(),
               "GO111MODULE": "off"}
        done = proc.run(["go", "run", os.path.join(HERE, "clients", "get.go"),
                         self.base, self.ca], env=env, seconds=120)
        found = self.lines(done.stdout)
        text = f"200 {len(TEXT)} {sha256(TEXT)}"
        empty = f"0 {sha256(b'')}"
        tail = "uncompressed=false reused=true path="
        self.assertEqual(found["first"], f"{text} uncompressed=true "
                                         "reused=false path=/text.yaml")
        self.assertEqual(found["again"], f"{text} uncompressed=true "
                                         "reused=true path=/text.yaml")
        self.assertEqual(found["same-tag"], f"304 {empty} {tail}/text.yaml")
        self.assertEqual(found["same-date"], f"304 {empty} {tail}/text.yaml")
        self.assertEqual(found["identity"], f"{text} {tail}/text.yaml")
        self.assertEqual(found["big"],
                         f"200 {len(BIG)} {sha256(BIG)} {tail}/big.bin")
        self.assertEqual(found["range"],
                         f"206 1000 {sha256(BIG[1000:2000])} {tail}/big.bin")
        self.assertEqual(found["head"], f"200 {len(BIG)} 0")
        self.assertRegex(found["folder"], f"^200 .* {tail}/dir/$")
        self.assertRegex(found["none"], f"^404 .* {tail}/none$")

    def curl(self, *arguments, check=True):
        return proc.run(["curl", "-sS", "--cacert", self.ca, *arguments],
                        check=check)

    def test_curl(self):
        for version in ("--http1.1", "--http1.0"):
            with self.subTest(version=version):
                done = self.curl(version, "--fail", "--compressed",
                                 self.base + "/text.yaml")
                self.assertTrue(done.stdout == TEXT)
                done = self.curl(version, "-r", "100-299,-5",
                                 self.base + "/big.bin")
                self.assertIn(BIG[100:300], done.stdout)
                self.assertIn(BIG[-5:], done.stdout)
                done = self.curl(version, "-L", "-o", "/dev/null", "-w",
                                 "%{http_code} %{url_effective}",
                                 self.base + "/dir")
                self.assertEqual(done.stdout.decode(),
                                 f"200 {self.base}/dir/")
                done = self.curl(version, "--fail", self.base + "/none",
                                 check=False)
                self.assertEqual(done.returncode, 22)

    def test_curl_revalidates(self):
        folder = self.folder()
        file, tag = (os.path.join(folder, n) for n in ("file", "tag"))
        once = ["--compressed", "-o", file, "--etag-save", tag,
                "--etag-compare", tag, "-w", "%{http_code}",
                self.base + "/text.yaml"]
        self.assertEqual(self.curl(*once).stdout, b"200")
        self.assertEqual(self.curl(*once).stdout, b"304")
        done = self.curl("-z", file, "-o", os.devnull, "-w", "%{http_code}",
                         "-R", self.base + "/text.yaml")
        self.assertEqual(done.stdout, b"304")

    def test_curl_goes_on(self):
        file = os.path.join(self.folder(), "big")
        with open(file, "wb") as half:
            half.write(BIG[:1 << 20])
        self.curl("-C", "-", "-o", file, self.base + "/big.bin")
        with open(file, "rb") as whole:
            self.assertTrue(whole.read() == BIG)

    def test_curl_keeps_the_connection(self):
        done = self.curl("-o", os.devnull, "-o", os.devnull, "-o", os.devnull,
                         "-w", "%{num_connects}\n",
                         *[self.base + path for path in
                           ("/text.yaml", "/dir/", "/none")])
        self.assertEqual(done.stdout.split(), [b"1", b"0", b"0"])

    def test_wget(self):
        folder = self.folder()

        def wget(*arguments):
            return proc.run(["wget", "--ca-certificate", self.ca, "-nv",
                             "--no-config", "-P", folder, *arguments],
                            check=False)
        file = os.path.join(folder, "big.bin")
        with open(file, "wb") as half:
            half.write(BIG[:1234567])
        self.assertEqual(wget("-c", self.base + "/big.bin").returncode, 0)
        with open(file, "rb") as whole:
            self.assertTrue(whole.read() == BIG)
        # What is whole is not fetched again, nor what is no newer.
        self.assertEqual(wget("-c", self.base + "/big.bin").returncode, 0)
        for _ in range(2):
            done = wget("-N", self.base + "/text.yaml")
            self.assertEqual(done.returncode, 0)
        self.assertNotIn(b"text.yaml", done.stdout)
        # A listing leads to all that is there.
        self.assertEqual(wget("-r", "-np", "-nH", self.base + "/dir/")
                         .returncode, 0)
        with open(os.path.join(folder, "dir/sub/deep/file.txt"),
                  "rb") as deep:
            self.assertEqual(deep.read(), b"deep\n")
        self.assertTrue(os.path.exists(os.path.join(folder, "dir",
                                                    "colon:in.txt")))

    def test_urllib(self):
        context = ssl.create_default_context(cafile=self.ca)

        def get(path, **fields):
            return urllib.request.urlopen(urllib.request.Request(
                self.base + path, headers=fields), context=context)
        with get("/text.yaml") as answer:
            self.assertTrue(answer.read() == TEXT)
            tag = answer.headers["ETag"]
        with get("/dir") as answer:
            self.assertEqual(answer.url, self.base + "/dir/")
            answer.read()
        with get("/big.bin", Range="bytes=-100") as answer:
            self.assertEqual((answer.status, answer.read()),
                             (206, BIG[-100:]))
        for path, fields, status in (("/text.yaml", {"If-None-Match": tag},
                                      304), ("/none", {}, 404)):
            with self.assertRaises(urllib.error.HTTPError) as failed:
                get(path, **fields)
            self.assertEqual(failed.exception.code, status)
            failed.exception.close()

    def test_node(self):
        done = proc.run(["node", os.path.join(HERE, "clients", "get.mjs"),
                         self.base],
                        env={**os.environ, "NODE_EXTRA_CA_CERTS": self.ca})
        found = self.lines(done.stdout)
        self.assertEqual(found["first"],
                         f"200 {len(TEXT)} {sha256(TEXT)} /text.yaml")
        self.assertEqual(found["same-tag"],
                         f"304 0 {sha256(b'')} /text.yaml")
        self.assertEqual(found["range"],
                         f"206 1000 {sha256(BIG[1000:2000])} /big.bin")
        self.assertEqual(found["big"],
                         f"200 {len(BIG)} {sha256(BIG)} /big.bin")
        self.assertRegex(found["folder"], r"^200 .* /dir/$")
        self.assertEqual(found["json"].split(",")[0], "sub")
        self.assertRegex(found["none"], r"^404 .* /none$")

    # ---- listings ----

    def browse(self, path, *arguments):
        """The page as a browser has it."""
        profile = self.folder()
        done = proc.run([*CHROMIUM, "--user-data-dir=" + profile, *arguments,
                         "--dump-dom", self.base + path],
                        env={**os.environ, "HOME": profile}, seconds=90)
        return done.stdout.decode()

    def page(self, path):
        return self.curl("--fail", self.base + path).stdout.decode()

    def test_browser(self):
        """Links are followed from page to page, as the browser has them."""
        page = self.browse("/dir/")
        rows = Rows(page)
        self.assertEqual(rows.names()[0], "sub/")
        self.assertEqual(set(rows.names()),
                         {"sub/", MARKUP, *[os.path.basename(path)
                          for path in FILES if re.fullmatch("dir/[^/<]+",
                                                            path)]})
        by_size = next(link for link in rows.links if "sort=size" in link)
        rows = Rows(self.browse(urllib.parse.urljoin("/dir/", by_size)))
        files = [name for name in rows.names() if not name.endswith("/")]
        self.assertEqual(files, sorted(files, key=lambda name: (
            len(FILES["dir/" + name]))))
        self.assertIn("ascending", rows.sorted.values())
        deep = Rows(self.browse("/dir/sub/deep/"))
        crumbs = [urllib.parse.urljoin("/dir/sub/deep/", link)
                  for link in deep.links[:3]]
        self.assertEqual(crumbs, ["/", "/dir/", "/dir/sub/"])

    def test_screenshot(self):
        file = os.path.join(os.environ.get("SCREENSHOT_DIR", self.folder()),
                            "listing.png")
        profile = self.folder()
        proc.run([*CHROMIUM, "--user-data-dir=" + profile,
                  "--screenshot=" + file, self.base + "/dir/"],
                 env={**os.environ, "HOME": profile}, seconds=90)
        with open(file, "rb") as image:
            self.assertEqual(image.read(8), b"\x89PNG\r\n\x1a\n")

    def test_orders(self):
        for key, of in (("name", lambda path: path.encode()),
                        ("size", lambda path: len(FILES[path])),
                        ("date", list(FILES).index)):
            for order in ("asc", "desc"):
                with self.subTest(key=key, order=order):
                    rows = Rows(self.page(f"/dir/?sort={key}&order={order}"))
                    files = ["dir/" + name for name in rows.names()
                             if not name.endswith("/")]
                    self.assertEqual(len(files), 6)
                    self.assertEqual(files, sorted(
                        files, key=of, reverse=order == "desc"))
                    self.assertEqual(list(rows.sorted.values()),
                                     ["ascending" if order == "asc"
                                      else "descending"])
        for query in ("?sort=x", "?order=x", "?&&", "?sort", "?sort=sizes",
                      "?%73ort=size", "?sort=size;order=desc"):
            with self.subTest(query=query):
                self.assertEqual(Rows(self.page("/dir/" + query)).names(),
                                 Rows(self.page("/dir/")).names())

    def test_html_is_valid(self):
        for path in ("/", "/dir/", "/dir/sub/?sort=date&order=desc",
                     "/.specman/releases/4.5.15/dir/"):
            with self.subTest(path=path):
                page = self.page(path)
                done = proc.run(["tidy", "-errors", "-quiet", "-utf8",
                                 "--doctype", "html5"], input=page.encode(),
                                check=False)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertNotIn("<script", page)


if __name__ == "__main__":
    unittest.main()
