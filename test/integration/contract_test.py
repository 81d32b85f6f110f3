"""The HTTP contract as a table: the bytes of a request, and what the answer is.

Each row goes over a TLS connection of its own, byte for byte; where the
connection stays open a second request must find it in step. GET, HEAD, ranges
and conditions go to nginx as well, which serves the same release, unpacked by
bsdtar. What differs is in DIFFERENCES, each with its reason: a difference that
is not listed fails, and so does one that is listed and does not occur.
"""
import base64
import gzip
import hashlib
import json
import os
import re
import unittest

from lib import artifact, proc, tree
from lib.case import Case
from lib.client import Client
from lib.daemon import Specman
from lib.faulty import FakeRegistry
from lib.front import Files
from lib.wait import until
from lib.wire import Broken, Wire, request

SMALL = b"versions:\n- name: 4.5.15\n"
TEXT = tree.text("contract", 5000)
BIN = tree.binary("contract", 1000)
BIG = tree.binary("contract big", 3 << 20)
FILES = {
    "small.yaml": SMALL,
    "text.yaml": TEXT,
    "data.bin": BIN,
    "big.bin": BIG,
    "empty.txt": b"",
    "dir/a.txt": b"a\n",
    "dir/sub/b.txt": b"b\n",
    "site/index.html": b"<h1>index</h1>\n",
    "odd/with space.txt": b"space\n",
    "odd/percent%41.txt": b"percent\n",
    "odd/plus+colon:.txt": b"plus\n",
    "odd/grüße.txt": b"unicode\n",
    "odd/q?m#h.txt": b"marks\n",
}
MTIME = "Fri, 06 Dec 2024 12:43:14 GMT"
BEFORE = "Thu, 05 Dec 2024 12:43:14 GMT"
AFTER = "Sat, 07 Dec 2024 12:43:14 GMT"


def etag(data):
    return f'"{hashlib.sha256(data).hexdigest()}"'


def ranges(*parts, of=BIN):
    """Expects several parts: (first, last) each."""
    def check(test, answer):
        found = answer.parts()
        test.assertEqual(
            [(part["Content-Range"], body) for part, body in found],
            [(f"bytes {first}-{last}/{len(of)}", of[first:last + 1])
             for first, last in parts])
        for part, _ in found:
            test.assertEqual(part["Content-Type"], "application/octet-stream")
    return check


def zipped(test, answer):
    test.assertEqual(gzip.decompress(answer.body), TEXT)
    test.assertLess(len(answer.body), len(TEXT))


def one(first, last, of=BIN):
    """The fields of a single part."""
    return {"Content-Range": f"bytes {first}-{last}/{len(of)}"}


class Row:
    """data -> status, fields (a pattern, or None for not there), body."""

    def __init__(self, name, data, status, fields=None, body=None,
                 closes=False, nginx=False):
        self.name, self.data, self.status = name, data, status
        self.fields, self.body = fields or {}, body
        self.closes, self.nginx = closes, nginx

    @property
    def method(self):
        return self.data.split(b" ", 1)[0].decode("latin-1")


def get(name, target, status, fields=None, body=None, *lines, **options):
    """A row that nginx is asked as well."""
    closes = options.pop("closes", status == 400
                         or options.get("version") == "HTTP/1.0")
    nginx = options.pop("nginx", True)
    return Row(name, request(target, *lines, **options), status, fields, body,
               closes, nginx)


def head(name, target, status, fields=None, *lines, **options):
    return get(name, target, status, fields, b"", *lines, method="HEAD",
               **options)


def raw(name, data, status, fields=None, body=None, closes=True, nginx=False):
    return Row(name, data, status, fields, body, closes, nginx)


H = b"Host: localhost\r\n"
OK = b"GET /small.yaml HTTP/1.1\r\n" + H

CONTENT = [
    get("file", "/small.yaml", 200, {
        "ETag": re.escape(etag(SMALL)), "Last-Modified": MTIME,
        "Content-Length": str(len(SMALL)), "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache", "Content-Type": "application/yaml",
        "X-Content-Type-Options": "nosniff", "Specman-Release": "4.5.15",
        "Content-Encoding": None, "Vary": None,
        "Repr-Digest": re.escape("sha-256=:" + base64.b64encode(
            hashlib.sha256(SMALL).digest()).decode() + ":")}, SMALL),
    get("large file", "/big.bin", 200, {"ETag": re.escape(etag(BIG))}, BIG),
    get("empty file", "/empty.txt", 200, {
        "Content-Length": "0", "Content-Type": "text/plain; charset=utf-8"},
        b""),
    head("head of a file", "/small.yaml", 200, {
        "Content-Length": str(len(SMALL)), "ETag": re.escape(etag(SMALL)),
        "Repr-Digest": "sha-256=:.*:", "Accept-Ranges": "bytes"}),
    head("head of a large file", "/big.bin", 200,
         {"Content-Length": str(len(BIG))}),
    head("head of nothing", "/none", 404, {"Content-Type": "text/.*"}),
    head("head of a folder", "/dir/", 200, {"Content-Type": "text/html.*",
                                            "Content-Length": r"\d+"}),
    head("head of a folder without slash", "/dir", 301, {"Location": "/dir/"}),
    get("nothing", "/none", 404, {"Specman-Release": None, "ETag": None}),
    get("a file is no folder", "/small.yaml/", 404),
    get("below a file", "/small.yaml/x", 404),
    get("case matters", "/SMALL.yaml", 404),
    get("a trailing dot matters", "/small.yaml.", 404),
    get("index", "/site/", 200, {"Content-Type": "text/html; charset=utf-8",
                                 "ETag": ".+"}, b"<h1>index</h1>\n"),
    get("listing", "/dir/", 200, {
        "Content-Type": "text/html; charset=utf-8", "ETag": None,
        "Vary": "Accept", "Content-Security-Policy": "default-src 'none'.*"}),
    get("listing for an older client", "/dir/", 200,
        {"Transfer-Encoding": None}, version="HTTP/1.0"),
    get("http/1.0", "/small.yaml", 200, {"Connection": "[Cc]lose"}, SMALL,
        version="HTTP/1.0"),
    get("http/1.0 without host", "/small.yaml", 200, None, SMALL,
        version="HTTP/1.0", host=None),
    get("http/1.0 kept alive", "/small.yaml", 200,
        {"Connection": "[Kk]eep-[Aa]live"}, SMALL, "Connection: keep-alive",
        version="HTTP/1.0", closes=False),
    get("http/1.1 closed", "/small.yaml", 200, {"Connection": "[Cc]lose"},
        SMALL, "Connection: close", closes=True),
    get("http/1.1 kept alive", "/small.yaml", 200, None, SMALL,
        "Connection: keep-alive"),
    get("connection with several tokens", "/small.yaml", 200,
        {"Connection": "[Cc]lose"}, SMALL, "Connection: TE, close, x",
        "TE: trailers", closes=True),
    get("http/1.2 is 1.1", "/small.yaml", 200, None, SMALL,
        version="HTTP/1.2"),
    get("upgrade is passed over", "/small.yaml", 200, {"Upgrade": None},
        SMALL, "Upgrade: h2c", "Connection: upgrade"),
    get("http/1.0 kept alive over an error", "/none", 404, None, None,
        "Connection: keep-alive", version="HTTP/1.0", closes=False),
    get("http/1.0 kept alive in upper case", "/small.yaml", 200, None, SMALL,
        "Connection: KEEP-ALIVE", version="HTTP/1.0", closes=False),
    get("http/1.0 with another token", "/small.yaml", 200, None, SMALL,
        "Connection: x", version="HTTP/1.0"),
    get("http/1.0 and a condition", "/small.yaml", 304, None, b"",
        "Connection: keep-alive", "If-None-Match: " + etag(SMALL),
        version="HTTP/1.0", closes=False),
    get("http/1.0 and the absolute form", "http://localhost/small.yaml", 200,
        None, SMALL, version="HTTP/1.0", host=None),
    get("closed over an error", "/none", 404, {"Connection": "[Cc]lose"},
        None, "Connection: close", closes=True),
    get("an expectation that nobody knows", "/small.yaml", 200, None, SMALL,
        "Expect: 200-ok"),
    get("a long value", "/small.yaml", 200, None, SMALL,
        "X-Long: " + "a" * 8000),
    get("unknown fields are passed over", "/small.yaml", 200, None, SMALL,
        "X-Whatever: \xe4 value", "Cookie: a=b; c=d"),
    get("an empty field", "/small.yaml", 200, None, SMALL, "X-Empty:"),
]

PATHS = [
    get("double slashes", "//dir///a.txt", 200, None, b"a\n"),
    get("a dot", "/dir/./a.txt", 200, None, b"a\n"),
    get("two dots", "/dir/sub/../a.txt", 200, None, b"a\n"),
    get("two dots through what is not there", "/no/../dir/a.txt", 200, None,
        b"a\n"),
    get("dots that end a path", "/dir/sub/..", 200, {"Content-Type":
                                                     "text/html.*"}),
    get("a dot that ends a path", "/dir/.", 200,
        {"Content-Type": "text/html.*"}),
    get("escaped letters", "/%64ir/%61.txt", 200, None, b"a\n"),
    get("an escaped slash", "/dir%2fa.txt", 200, None, b"a\n"),
    get("escaped dots", "/dir/sub/%2e%2e/a.txt", 200, None, b"a\n"),
    get("an escaped blank", "/odd/with%20space.txt", 200, None, b"space\n"),
    get("a plus is a plus", "/odd/plus+colon:.txt", 200, None, b"plus\n"),
    get("a plus is no blank", "/odd/with+space.txt", 404),
    get("utf-8 escaped", "/odd/gr%C3%BC%C3%9Fe.txt", 200, None, b"unicode\n"),
    get("utf-8 as it is", "/odd/gr\xc3\xbc\xc3\x9fe.txt", 200, None,
        b"unicode\n"),
    get("escapes are decoded once", "/odd/percent%2541.txt", 200, None,
        b"percent\n"),
    get("and not twice", "/odd/percent%41.txt", 404),
    get("escaped marks", "/odd/q%3Fm%23h.txt", 200, None, b"marks\n"),
    get("a query", "/small.yaml?a=b&c", 200, None, SMALL),
    get("an empty query", "/small.yaml?", 200, None, SMALL),
    get("a query with escapes that are none", "/small.yaml?%zz%", 200, None,
        SMALL),
    get("a query with a slash and dots", "/small.yaml?/../../x", 200, None,
        SMALL),
    get("a fragment", "/small.yaml#part", 200, None, SMALL),
    get("an escape cut off", "/small%2", 400),
    get("an escape of nothing", "/%zz", 400),
    get("a lone percent", "/%", 400),
    get("NUL", "/small.yaml%00", 400),
    get("out of the root", "/../etc/passwd", 400),
    get("out of the root further on", "/dir/../../etc/passwd", 400),
    get("out of the root, escaped", "/%2e%2e/etc/passwd", 400),
    get("out of the root, escaped slashes", "/..%2f..%2fetc/passwd", 400),
    get("three dots", "/.../a", 404),
    get("a backslash", "/dir\\a.txt", 404),
    get("an escaped line end", "/dir%0d%0aX:y", 404),
    get("a control character, escaped", "/dir/%01", 404),
    get("not utf-8", "/%ff%fe", 404),
    get("a hidden name", "/.hidden", 404),
    get("folder", "/dir", 301, {"Location": "/dir/", "Content-Type": "text/.*"}),
    get("folder further on", "/dir/sub", 301, {"Location": "/dir/sub/"}),
    get("folder with a query", "/dir?a=b&c=%20", 301,
        {"Location": r"/dir/\?a=b&c=%20"}),
    get("folder with a long query", "/dir?" + "a" * 8000, 301,
        {"Location": r"/dir/\?a{8000}"}),
    get("folder with a query that is long once it is escaped",
        "/dir?" + '"' * 8000, 414, nginx=False),
    get("folder with an empty query", "/dir?", 301, {"Location": "/dir/"}),
    get("folder behind slashes", "//dir", 301, {"Location": "/dir/"}),
    get("folder through dots", "/no/../dir", 301, {"Location": "/dir/"}),
    get("folder that has an index", "/site", 301, {"Location": "/site/"}),
    get("absolute form", "http://other.example/dir/a.txt", 200, None, b"a\n"),
    get("absolute form with https", "https://localhost/small.yaml", 200, None,
        SMALL),
    get("absolute form with a port", "http://localhost:1/small.yaml?x", 200,
        None, SMALL),
    get("absolute form without path", "http://localhost", 200,
        {"Content-Type": "text/html.*"}),
    get("absolute form, upper case", "HTTP://LOCALHOST/small.yaml", 200, None,
        SMALL),
    get("absolute form of nowhere", "http:///small.yaml", 400),
    get("another scheme", "ftp://localhost/small.yaml", 400),
    get("no slash in front", "small.yaml", 400),
    get("an asterisk", "*", 400),
    get("a long path", "/" + "a" * 4000, 404),
    get("a long query", "/small.yaml?" + "a" * 4000, 200, None, SMALL),
]

CONDITIONS = [
    get("if-none-match", "/small.yaml", 304, {
        "ETag": re.escape(etag(SMALL)), "Last-Modified": MTIME,
        "Cache-Control": "no-cache", "Content-Type": None},
        b"", "If-None-Match: " + etag(SMALL)),
    get("if-none-match, weak", "/small.yaml", 304, None, b"",
        "If-None-Match: W/" + etag(SMALL)),
    get("if-none-match, one of them", "/small.yaml", 304, None, b"",
        f'If-None-Match: "x", {etag(SMALL)}, "y"'),
    get("if-none-match, any", "/small.yaml", 304, None, b"",
        "If-None-Match: *"),
    get("if-none-match, another", "/small.yaml", 200, None, SMALL,
        'If-None-Match: "x"'),
    get("if-none-match without quotes", "/small.yaml", 200, None, SMALL,
        "If-None-Match: " + etag(SMALL).strip('"')),
    get("if-none-match, empty", "/small.yaml", 200, None, SMALL,
        "If-None-Match:"),
    get("if-none-match in two lines", "/small.yaml", 304, None, b"",
        'If-None-Match: "x"', "If-None-Match: " + etag(SMALL)),
    get("if-none-match of nothing", "/none", 404, None, None,
        "If-None-Match: *"),
    head("if-none-match and head", "/small.yaml", 304, None,
         "If-None-Match: " + etag(SMALL)),
    get("if-modified-since, the same", "/small.yaml", 304, None, b"",
        "If-Modified-Since: " + MTIME),
    get("if-modified-since, before", "/small.yaml", 200, None, SMALL,
        "If-Modified-Since: " + BEFORE),
    get("if-modified-since, after", "/small.yaml", 200, None, SMALL,
        "If-Modified-Since: " + AFTER),
    get("if-modified-since, rfc 850", "/small.yaml", 304, None, b"",
        "If-Modified-Since: Friday, 06-Dec-24 12:43:14 GMT"),
    get("if-modified-since, asctime", "/small.yaml", 304, None, b"",
        "If-Modified-Since: Fri Dec  6 12:43:14 2024"),
    get("if-modified-since, no date", "/small.yaml", 200, None, SMALL,
        "If-Modified-Since: yesterday"),
    get("if-modified-since beside another tag", "/small.yaml", 200, None,
        SMALL, 'If-None-Match: "x"', "If-Modified-Since: " + MTIME),
    get("if-modified-since, before, beside the tag", "/small.yaml", 304, None,
        b"", "If-None-Match: " + etag(SMALL), "If-Modified-Since: " + BEFORE),
    get("if-match", "/small.yaml", 200, None, SMALL,
        "If-Match: " + etag(SMALL)),
    get("if-match, any", "/small.yaml", 200, None, SMALL, "If-Match: *"),
    get("if-match, one of them", "/small.yaml", 200, None, SMALL,
        f'If-Match: "x", {etag(SMALL)}'),
    get("if-match, another", "/small.yaml", 412, {"ETag": None}, None,
        'If-Match: "x"'),
    get("if-match, weak", "/small.yaml", 412, None, None,
        "If-Match: W/" + etag(SMALL)),
    get("if-unmodified-since, the same", "/small.yaml", 200, None, SMALL,
        "If-Unmodified-Since: " + MTIME),
    get("if-unmodified-since, before", "/small.yaml", 412, None, None,
        "If-Unmodified-Since: " + BEFORE),
    get("if-unmodified-since, after", "/small.yaml", 200, None, SMALL,
        "If-Unmodified-Since: " + AFTER),
    get("if-unmodified-since, before, beside the tag", "/small.yaml", 200,
        None, SMALL, "If-Match: " + etag(SMALL),
        "If-Unmodified-Since: " + BEFORE),
    get("if-match fails before if-none-match", "/small.yaml", 412, None, None,
        'If-Match: "x"', "If-None-Match: " + etag(SMALL)),
    get("if-none-match before a range", "/data.bin", 304, None, b"",
        "If-None-Match: " + etag(BIN), "Range: bytes=0-1"),
    get("if-match before a range", "/data.bin", 206, one(0, 1), BIN[:2],
        "If-Match: " + etag(BIN), "Range: bytes=0-1"),
    get("a condition twice", "/small.yaml", 400, None, None,
        "If-Modified-Since: " + MTIME, "If-Modified-Since: " + MTIME),
]


def part(name, value, status, fields=None, body=None, *lines,
         target="/data.bin", **options):
    return get(name, target, status, fields, body, "Range: " + value, *lines,
               **options)


RANGES = [
    part("first byte", "bytes=0-0", 206,
         {**one(0, 0), "Content-Length": "1", "ETag": re.escape(etag(BIN)),
          "Accept-Ranges": "bytes", "Last-Modified": MTIME}, BIN[:1]),
    part("some", "bytes=10-19", 206, one(10, 19), BIN[10:20]),
    part("all", "bytes=0-", 206, one(0, 999), BIN),
    part("the last byte", "bytes=999-", 206, one(999, 999), BIN[999:]),
    part("suffix", "bytes=-7", 206, one(993, 999), BIN[-7:]),
    part("suffix longer than all", "bytes=-5000", 206, one(0, 999), BIN),
    part("end past the end", "bytes=990-5000", 206, one(990, 999), BIN[990:]),
    part("across blocks", "bytes=131000-1048600", 206,
         one(131000, 1048600, BIG), BIG[131000:1048601], target="/big.bin"),
    part("unit in upper case", "BYTES=0-1", 206, one(0, 1), BIN[:2]),
    part("blanks around", "bytes= 0-1 ", 206, one(0, 1), BIN[:2]),
    part("behind the end", "bytes=1000-", 416,
         {"Content-Range": r"bytes \*/1000", "ETag": None}),
    part("behind the end by far", "bytes=5000-6000", 416,
         {"Content-Range": r"bytes \*/1000"}),
    part("suffix of nothing", "bytes=-0", 416),
    part("a number over all numbers", "bytes=99999999999999999999-", 416),
    part("an end over all numbers", "bytes=990-99999999999999999999", 206,
         one(990, 999), BIN[990:]),
    part("last before first", "bytes=9-3", 416),
    part("letters", "bytes=a-b", 416),
    part("no range", "bytes=", 200, None, BIN),
    part("a dash", "bytes=-", 416),
    part("one number", "bytes=5", 416),
    part("a sign", "bytes=+1-2", 416),
    part("another unit", "items=0-1", 200, None, BIN),
    part("no unit", "0-1", 200, None, BIN),
    part("of an empty file", "bytes=0-", 200, None, b"", target="/empty.txt"),
    part("suffix of an empty file", "bytes=-5", 200, None, b"",
         target="/empty.txt"),
    part("two", "bytes=0-1,10-19", 206,
         {"Content-Type": "multipart/byteranges; boundary=.+",
          "Content-Range": None}, ranges((0, 1), (10, 19))),
    part("two with blanks", "bytes=0-1 , 10-19", 206, None,
         ranges((0, 1), (10, 19))),
    part("two, the later first", "bytes=10-19,0-1", 206, None,
         ranges((10, 19), (0, 1))),
    part("two that overlap", "bytes=0-9,5-14", 206, None,
         ranges((0, 9), (5, 14))),
    part("two that touch", "bytes=0-4,5-9", 206, None, ranges((0, 4), (5, 9))),
    part("three of each kind", "bytes=0-1,-2,990-", 206, None,
         ranges((0, 1), (998, 999), (990, 999))),
    part("two of a large file", "bytes=0-1,1048570-1048590", 206, None,
         ranges((0, 1), (1048570, 1048590), of=BIG), target="/big.bin"),
    part("two, one of them behind the end", "bytes=0-1,5000-", 206,
         one(0, 1), BIN[:2]),
    part("two, both behind the end", "bytes=5000-,6000-", 416),
    part("two, one malformed", "bytes=0-1,x", 416),
    part("an empty one among two", "bytes=0-1,,3-4", 206, None,
         ranges((0, 1), (3, 4))),
    part("more than all", "bytes=0-,0-", 200, None, BIN),
    part("the same again and again", "bytes=" + ",".join(["0-999"] * 50), 200,
         None, BIN),
    part("64 ranges", "bytes=" + ",".join(f"{i}-{i}" for i in range(64)), 206,
         None, ranges(*[(i, i) for i in range(64)])),
    part("65 ranges", "bytes=" + ",".join(f"{i}-{i}" for i in range(65)), 200,
         None, BIN),
    part("if-range, the tag", "bytes=0-1", 206, None, BIN[:2],
         "If-Range: " + etag(BIN)),
    part("if-range, another tag", "bytes=0-1", 200, None, BIN,
         'If-Range: "x"'),
    part("if-range, weak", "bytes=0-1", 200, None, BIN,
         "If-Range: W/" + etag(BIN)),
    part("if-range, more than the tag", "bytes=0-1", 200, None, BIN,
         "If-Range: " + etag(BIN) + "x"),
    part("if-range, two tags", "bytes=0-1", 200, None, BIN,
         "If-Range: " + etag(BIN) + ', "x"'),
    part("if-range, the date", "bytes=0-1", 206, None, BIN[:2],
         "If-Range: " + MTIME),
    part("if-range, a later date", "bytes=0-1", 200, None, BIN,
         "If-Range: " + AFTER),
    part("if-range, no date", "bytes=0-1", 200, None, BIN, "If-Range: x"),
    part("if-range, another tag, behind the end", "bytes=5000-", 200, None,
         BIN, 'If-Range: "x"'),
    get("if-range without range", "/data.bin", 200, None, BIN,
        "If-Range: " + etag(BIN)),
    head("head has no ranges", "/data.bin", 200,
         {"Content-Length": "1000", "Content-Range": None},
         "Range: bytes=0-1"),
    part("of nothing", "bytes=0-1", 404, None, None, target="/none"),
    part("of a folder", "bytes=0-1", 301, None, None, target="/dir"),
    part("http/1.0 and a range", "bytes=0-1", 206, one(0, 1), BIN[:2],
         version="HTTP/1.0"),
    part("twice", "bytes=0-1", 400, None, None, "Range: bytes=0-1"),
    part("an empty one in front", "bytes=,0-1", 206, one(0, 1), BIN[:2]),
    part("an empty one at the end", "bytes=0-1,", 206, one(0, 1), BIN[:2]),
    part("blanks within", "bytes= 0 - 1 ", 206, one(0, 1), BIN[:2]),
    part("a blank within a number", "bytes=0 0-1", 416),
    part("a semicolon", "bytes=0-1;10-19", 416),
    part("two dashes", "bytes=--1", 416),
    part("a blank behind the unit", "bytes =0-1", 200, None, BIN),
    part("leading zeros", "bytes=0000000000000000000000-01", 206, one(0, 1),
         BIN[:2]),
    part("if-range, empty", "bytes=0-1", 200, None, BIN, "If-Range:"),
    part("if-range, any", "bytes=0-1", 200, None, BIN, "If-Range: *"),
    part("if-range, a list", "bytes=0-1", 200, None, BIN,
         f'If-Range: "x", {etag(BIN)}'),
    part("if-range without quotes", "bytes=0-1", 200, None, BIN,
         "If-Range: " + etag(BIN).strip('"')),
    part("if-range, the date in another form", "bytes=0-1", 206, None,
         BIN[:2], "If-Range: Friday, 06-Dec-24 12:43:14 GMT"),
    part("if-range, an earlier date", "bytes=0-1", 200, None, BIN,
         "If-Range: " + BEFORE),
    part("if-range, the tag of the other form", "bytes=0-1", 200,
         {"Content-Encoding": "gzip"}, zipped, "If-Range: " + etag(TEXT),
         "Accept-Encoding: gzip", target="/text.yaml"),
    part("of an index", "bytes=1-2", 206, {"Content-Range": "bytes 1-2/15"},
         b"h1", target="/site/"),
    part("if-none-match of another, and behind the end", "bytes=5000-", 416,
         None, None, 'If-None-Match: "x"'),
]


def coded(name, value, is_gzip, *lines, **options):
    lines = ([] if value is None else ["Accept-Encoding: " + value]) \
        + list(lines)
    return get(name, "/text.yaml", 200, {
        "Content-Encoding": "gzip" if is_gzip else None,
        "Vary": "Accept-Encoding",
        "ETag": ".+" if is_gzip else re.escape(etag(TEXT))},
        zipped if is_gzip else TEXT, *lines, **options)


CODINGS = [
    coded("nothing is said", None, False),
    coded("gzip", "gzip", True),
    coded("gzip in upper case", "GZIP", True),
    coded("gzip among others", "br, deflate, gzip", True),
    coded("gzip as browsers say it", "gzip, deflate, br, zstd", True),
    coded("gzip with a weight", "gzip;q=0.5", True),
    coded("gzip with a weight and blanks", "br , gzip ; q=0.001", True),
    coded("gzip refused", "gzip;q=0", False),
    coded("gzip refused with decimals", "gzip;q=0.000", False),
    coded("gzip with a weight that is none", "gzip;q=x", False),
    coded("x-gzip", "x-gzip", True),
    coded("any", "*", True),
    coded("any but gzip", "*, gzip;q=0", False),
    coded("none", "*;q=0", False),
    coded("identity", "identity", False),
    coded("identity rather", "identity, gzip;q=0.5", False),
    coded("no identity", "identity;q=0", False),
    coded("gzip and no identity", "gzip, identity;q=0", True),
    coded("an empty value", "", False),
    coded("a longer name", "gzipped", False),
    coded("in two lines", "br", True, "Accept-Encoding: gzip"),
    coded("http/1.0 and gzip", "gzip", True, version="HTTP/1.0"),
    get("gzip for a file without a twin", "/data.bin", 200,
        {"Content-Encoding": None, "Vary": None}, BIN,
        "Accept-Encoding: gzip"),
    head("gzip and head", "/text.yaml", 200, {"Content-Encoding": "gzip"},
         "Accept-Encoding: gzip"),
    get("the tag of the other form", "/text.yaml", 200,
        {"Content-Encoding": "gzip"}, zipped, "Accept-Encoding: gzip",
        "If-None-Match: " + etag(TEXT)),
    get("the tag of the form", "/text.yaml", 304, {"Vary": "Accept-Encoding"},
        b"", "If-None-Match: " + etag(TEXT)),
    get("a range of the gzip form", "/text.yaml", 206,
        {"Content-Encoding": "gzip", "Content-Range": r"bytes 0-1/\d+"},
        b"\x1f\x8b", "Accept-Encoding: gzip", "Range: bytes=0-1"),
]

METHODS = [
    *[Row(f"{method} is not taken", request("/small.yaml", method=method), 405,
          {"Allow": "GET, HEAD, OPTIONS"}) for method in
      ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "GETS",
       "X-ANY")],
    Row("connect", request("localhost:443", method="CONNECT"), 405,
        {"Allow": "GET, HEAD, OPTIONS"}),
    Row("options", request("/small.yaml", method="OPTIONS"), 200,
        {"Allow": "GET, HEAD, OPTIONS"}, b""),
    Row("options of nothing", request("/none", method="OPTIONS"), 200,
        {"Allow": "GET, HEAD, OPTIONS"}, b""),
    Row("options of all", request("*", method="OPTIONS"), 200,
        {"Allow": "GET, HEAD, OPTIONS"}, b""),
]

FRAMING = [
    raw("empty lines in front", b"\r\n\r\n" + OK + b"\r\n", 200, None, SMALL,
        closes=False, nginx=True),
    raw("no host", b"GET / HTTP/1.1\r\n\r\n", 400, nginx=True),
    raw("two hosts", OK + b"Host: other\r\n\r\n", 400, nginx=True),
    raw("the same host twice", OK + H + b"\r\n", 400, nginx=True),
    raw("an empty host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, nginx=True),
    raw("a host with a slash", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400,
        nginx=True),
    raw("a host with a blank", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400,
        nginx=True),
    raw("a host of IPv6", b"GET /small.yaml HTTP/1.1\r\nHost: [::1]:8443\r\n"
        b"\r\n", 200, None, SMALL, closes=False, nginx=True),
    raw("two hosts, absolute form", b"GET http://localhost/small.yaml "
        b"HTTP/1.1\r\n" + H + b"Host: other\r\n\r\n", 400, nginx=True),
    raw("a host of another site, absolute form", b"GET http://localhost/"
        b"small.yaml HTTP/1.1\r\nHost: other\r\n\r\n", 200, None, SMALL,
        closes=False, nginx=True),
    raw("no host, absolute form",
        b"GET http://localhost/ HTTP/1.1\r\n\r\n", 400, nginx=True),
    raw("a blank in front of the colon",
        OK + b"X-A : b\r\n\r\n", 400, nginx=True),
    raw("a length with a blank in front of the colon",
        OK + b"Content-Length : 5\r\n\r\nGET /", 400, nginx=True),
    raw("a folded line", OK + b"X-A: b\r\n c\r\n\r\n", 400, nginx=True),
    raw("a folded first line", OK[:-len(H)] + b" X-A: b\r\n" + H + b"\r\n",
        400, nginx=True),
    raw("a line without colon", OK + b"X-A\r\n\r\n", 400, nginx=True),
    raw("a field without name", OK + b": b\r\n\r\n", 400, nginx=True),
    raw("a name with a bracket", OK + b"X(A): b\r\n\r\n", 400, nginx=True),
    raw("a name beyond ascii", OK + b"X\xe4: b\r\n\r\n", 400, nginx=True),
    raw("NUL in a value", OK + b"X-A: b\0c\r\n\r\n", 400, nginx=True),
    raw("NUL in a name", OK + b"X\0A: b\r\n\r\n", 400, nginx=True),
    raw("a bare line feed", b"GET /small.yaml HTTP/1.1\n" + H + b"\r\n", 400,
        nginx=True),
    raw("a bare line feed after a field", OK + b"X-A: b\n\r\n", 400,
        nginx=True),
    raw("a bare carriage return", OK + b"X-A: b\rc\r\n\r\n", 400, nginx=True),
    raw("an escape character in a value", OK + b"X-A: \x1b\r\n\r\n", 400,
        nginx=True),
    raw("two blanks behind the method",
        b"GET  /small.yaml HTTP/1.1\r\n" + H + b"\r\n", 400, nginx=True),
    raw("two blanks behind the target",
        b"GET /small.yaml  HTTP/1.1\r\n" + H + b"\r\n", 400, nginx=True),
    raw("a blank in the target",
        b"GET /small .yaml HTTP/1.1\r\n" + H + b"\r\n", 400, nginx=True),
    raw("a blank behind the version",
        b"GET /small.yaml HTTP/1.1 \r\n" + H + b"\r\n", 400, nginx=True),
    raw("a tab in the target",
        b"GET /small\t.yaml HTTP/1.1\r\n" + H + b"\r\n", 400, nginx=True),
    raw("NUL in the target",
        b"GET /small.yaml\0x HTTP/1.1\r\n" + H + b"\r\n", 400, nginx=True),
    raw("a control character in the query",
        b"GET /small.yaml?\x01 HTTP/1.1\r\n" + H + b"\r\n", 400, nginx=True),
    raw("a method with a bracket",
        b"G(T /small.yaml HTTP/1.1\r\n" + H + b"\r\n", 400, nginx=True),
    raw("http/2.0", b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505, nginx=True),
    raw("http/0.9 with a number", b"GET / HTTP/0.9\r\n" + H + b"\r\n", 505,
        nginx=True),
    raw("no version", b"GET /\r\n" + H + b"\r\n", 400),
    raw("another protocol", b"GET / HTTQ/1.1\r\n" + H + b"\r\n", 400,
        nginx=True),
    raw("lower case protocol", b"GET / http/1.1\r\n" + H + b"\r\n", 400,
        nginx=True),
    raw("a target over the limit",
        b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + H + b"\r\n", 414,
        nginx=True),
    raw("a target far over the limit",
        b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\n" + H + b"\r\n", 414,
        nginx=True),
    raw("a target at the limit",
        b"GET /" + b"a" * 8190 + b" HTTP/1.1\r\n" + H + b"\r\n", 404,
        closes=False),
    raw("a head at the limit", OK + b"X-A: " + b"a" * (
        16384 - len(OK) - 9) + b"\r\n\r\n", 200, None, SMALL, closes=False),
    raw("a head over the limit", OK + b"X-A: " + b"a" * (
        16384 - len(OK) - 8) + b"\r\n\r\n", 431),
    raw("a head far over the limit", OK + b"X-A: " + b"a" * 60000
        + b"\r\n\r\n", 431),
    raw("a hundred fields", OK + b"X: y\r\n" * 99 + b"\r\n", 200, None, SMALL,
        closes=False, nginx=True),
    raw("more than a hundred fields", OK + b"X: y\r\n" * 100 + b"\r\n", 431),
    raw("no end of fields", OK + b"X: y\r\n" * 9000 + b"\r\n", 431),
    raw("a length of nothing", OK + b"Content-Length: 0\r\n\r\n", 200, None,
        SMALL, closes=False, nginx=True),
    raw("content", OK + b"Content-Length: 5\r\n\r\nhello", 413, nginx=True),
    raw("content that is a request", OK + b"Content-Length: 37\r\n\r\n" + OK
        + b"\r\n", 413),
    raw("content of post", b"POST / HTTP/1.1\r\n" + H
        + b"Content-Length: 5\r\n\r\nhello", 413),
    raw("content of head", b"HEAD / HTTP/1.1\r\n" + H
        + b"Content-Length: 5\r\n\r\nhello", 413),
    raw("chunks", OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
    raw("chunks and a length", OK + b"Transfer-Encoding: chunked\r\n"
        b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400, nginx=True),
    raw("a length and chunks", OK + b"Content-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nginx=True),
    raw("no length and chunks", OK + b"Content-Length: 0\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nginx=True),
    raw("chunks twice", OK + b"Transfer-Encoding: chunked\r\n" * 2
        + b"\r\n0\r\n\r\n", 400, nginx=True),
    raw("chunks in http/1.0", b"GET / HTTP/1.0\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nginx=True),
    raw("another coding", OK + b"Transfer-Encoding: gzip\r\n\r\n", 501,
        nginx=True),
    raw("another coding and chunks", OK
        + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, nginx=True),
    raw("a coding that looks like chunks", OK
        + b"Transfer-Encoding: xchunked\r\n\r\n", 501, nginx=True),
    raw("two lengths", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n"
        b"\r\nhello", 400, nginx=True),
    raw("the same length twice", OK + b"Content-Length: 0\r\n" * 2 + b"\r\n",
        400, nginx=True),
    raw("lengths in a list", OK + b"Content-Length: 0, 0\r\n\r\n", 400,
        nginx=True),
    raw("a negative length", OK + b"Content-Length: -1\r\n\r\n", 400,
        nginx=True),
    raw("a length with a sign", OK + b"Content-Length: +0\r\n\r\n", 400,
        nginx=True),
    raw("a hexadecimal length", OK + b"Content-Length: 0x0\r\n\r\n", 400,
        nginx=True),
    raw("an empty length", OK + b"Content-Length:\r\n\r\n", 400, nginx=True),
    raw("a length over all numbers", OK + b"Content-Length: "
        + b"9" * 40 + b"\r\n\r\n", 413),
]

JSON = "application/json"
OWN = [
    get("list of releases", "/.specman/releases", 200,
        {"Content-Type": JSON, "Cache-Control": "no-cache"},
        lambda t, a: t.check_releases(a), nginx=False),
    head("head of the list", "/.specman/releases", 200,
         {"Content-Type": JSON, "Content-Length": r"\d+"}, nginx=False),
    get("list with a slash", "/.specman/releases/", 200,
        {"Content-Type": JSON}, nginx=False),
    get("one release", "/.specman/releases/4.5.15/small.yaml", 200,
        {"Specman-Release": r"4\.5\.15", "ETag": re.escape(etag(SMALL))},
        SMALL, nginx=False),
    get("a release below another", "/.specman/releases/4.5.13/small.yaml",
        200, {"Specman-Release": r"4\.5\.13"}, b"older\n", nginx=False),
    get("a file of that one alone", "/.specman/releases/4.5.13/old.txt", 200,
        None, b"old\n", nginx=False),
    get("a file that it does not have",
        "/.specman/releases/4.5.13/text.yaml", 404, nginx=False),
    get("listing of a release", "/.specman/releases/4.5.13/", 200,
        {"Content-Type": "text/html.*"}, nginx=False),
    get("a release without slash", "/.specman/releases/4.5.13", 301,
        {"Location": r"/\.specman/releases/4\.5\.13/"}, nginx=False),
    get("a folder of a release", "/.specman/releases/4.5.15/dir?x", 301,
        {"Location": r"/\.specman/releases/4\.5\.15/dir/\?x"}, nginx=False),
    get("index of a release", "/.specman/releases/4.5.15/site/", 200, None,
        b"<h1>index</h1>\n", nginx=False),
    part("a range of a release", "bytes=0-1", 206, None, BIN[:2],
         target="/.specman/releases/4.5.15/data.bin", nginx=False),
    get("a tag that is not there", "/.specman/releases/9.9.9/", 404,
        nginx=False),
    get("a part of a tag", "/.specman/releases/4.5.1/", 404, nginx=False),
    get("nothing else", "/.specman/other", 404, nginx=False),
    get("no listing of it", "/.specman/", 404, nginx=False),
    get("a name that begins like it", "/.specmanx", 404, nginx=False),
    get("through dots", "/dir/../.specman/releases/4.5.13/old.txt", 200,
        None, b"old\n", nginx=False),
    get("listing in json", "/dir/", 200, {"Content-Type": JSON,
                                          "Vary": "Accept"},
        lambda t, a: t.check_listing(a), "Accept: " + JSON, nginx=False),
    get("json rather than a page", "/dir/", 200, {"Content-Type": JSON}, None,
        "Accept: text/html;q=0.5, application/json", nginx=False),
    get("a page rather than json", "/dir/", 200,
        {"Content-Type": "text/html.*"}, None,
        "Accept: text/html, application/json;q=0.9", nginx=False),
    get("a page for anything", "/dir/", 200,
        {"Content-Type": "text/html.*"}, None, "Accept: */*", nginx=False),
    get("an error in json", "/none", 404, {"Content-Type": JSON,
                                           "Vary": "Accept"},
        b'{"error":{"code":404,"message":"not found"}}\n', "Accept: " + JSON,
        nginx=False),
    get("an error in words", "/none", 404,
        {"Content-Type": "text/plain; charset=utf-8"}, b"not found\n",
        nginx=False),
    get("a method in json", "/dir/", 405, {"Content-Type": JSON,
                                           "Allow": "GET, HEAD, OPTIONS"},
        None, "Accept: " + JSON, method="POST", nginx=False),
]

GROUPS = {"content": CONTENT, "paths": PATHS, "conditions": CONDITIONS,
          "ranges": RANGES, "codings": CODINGS, "methods": METHODS,
          "framing": FRAMING, "own": OWN}

# Rows, what differs (ours, nginx'), and why ours stays.
DIFFERENCES = [
    (["another scheme"], {"status": (400, 200)},
     "nothing of ftp: is here (RFC 9110, 7.4)"),
    (["if-none-match in two lines"], {"status": (304, 400)},
     "the field is a list, which may come in lines (RFC 9110, 5.2)"),
    (["if-modified-since, before, beside the tag"], {"status": (304, 200)},
     "If-Modified-Since is ignored beside If-None-Match (RFC 9110, 13.1.3)"),
    (["if-match, another", "if-match, weak", "if-unmodified-since, before",
      "if-match fails before if-none-match"],
     {"connection": ("in step", "ended within a line: b''")},
     "nginx closes after 412 without saying so"),
    (["if-unmodified-since, before, beside the tag"], {"status": (200, 412)},
     "If-Unmodified-Since is ignored beside If-Match (RFC 9110, 13.1.4)"),
    (["an end over all numbers"], {"status": (206, 416)},
     "an end behind the end is the end, whatever number (RFC 9110, 14.1.2)"),
    (["an empty one among two", "an empty one in front",
      "an empty one at the end"], {"status": (206, 416)},
     "empty elements of lists are passed over (RFC 9110, 5.6.1.2)"),
    (["65 ranges"], {"status": (200, 206)},
     "a bound; many small ranges may be ignored (RFC 9110, 14.2)"),
    (["head has no ranges"], {"status": (200, 206)},
     "Range is GET's alone (RFC 9110, 14.2)"),
    (["twice"], {"status": (400, 206)},
     "two Range lines are no list; which one counts would be a guess"),
    (["gzip", "gzip in upper case", "gzip among others",
      "gzip as browsers say it", "gzip with a weight",
      "gzip with a weight and blanks", "gzip and no identity",
      "http/1.0 and gzip", "gzip and head", "the tag of the other form",
      "if-range, the tag of the other form"],
     {"Accept-Ranges": ("bytes", None)},
     "parts of the gzip form are had as well: downloads of it go on"),
    (["a range of the gzip form"], {"status": (206, 200)},
     "the same"),
    (["x-gzip", "any", "in two lines"],
     {"Content-Encoding": ("gzip", None)},
     "all three accept gzip (RFC 9110, 8.4.1.3, 12.5.3 and 5.2)"),
    (["identity rather"], {"Content-Encoding": (None, "gzip"),
                           "Accept-Ranges": ("bytes", None)},
     "the client weighs identity higher (RFC 9110, 12.5.3)"),
    (["a line without colon", "a name with a bracket",
      "a name beyond ascii", "an escape character in a value"],
     {"status": (400, 200)},
     "not the form of a field (RFC 9112, 5; RFC 9110, 5.5): what one server "
     "passes over another may read"),
    (["a bare line feed", "a bare line feed after a field"],
     {"status": (400, 200)},
     "a line may be taken to end so (RFC 9112, 2.2), and who takes it sees "
     "other requests than who does not"),
    (["two blanks behind the method", "two blanks behind the target",
      "a blank behind the version"], {"status": (400, 200)},
     "one blank each (RFC 9112, 3); more make it unclear what the target is"),
    (["http/0.9 with a number"], {"status": (505, 400)},
     "a version that is not spoken (RFC 9110, 15.6.6)"),
    (["content"], {"status": (413, 200)},
     "content has no meaning here (RFC 9110, 9.3.1), and is what requests "
     "are smuggled in"),
]


class Contract(Case):
    @classmethod
    def setUpClass(cls):
        fake = FakeRegistry()
        cls.addClassCleanup(fake.stop)
        fake.push("4.5.13", artifact.tgz({"small.yaml": b"older\n",
                                          "old.txt": b"old\n"}))
        fake.push("4.5.15", artifact.tgz(FILES))
        folder = cls.class_folder()
        authority = cls.class_authority()
        pair = authority.issue("localhost", "DNS:localhost")
        cls.data = os.path.join(folder, "data")
        os.mkdir(cls.data)
        cls.daemon = Specman(
            "--plain-http", "--repository", fake.repository(),
            "--poll-interval", "1h", "--tls-cert", pair[0], "--tls-key",
            pair[1], data=cls.data, log=os.path.join(folder, "stderr.log"))
        cls.addClassCleanup(cls.daemon.finish)
        cls.daemon.wait_log(r"msg=Published\b.* releases=2\b", seconds=60)
        cls.ours = Client(cls.daemon.address(), authority.ca)
        until(lambda: cls.ours.get("/")["Specman-Synced-At"],
              "the first round to end")
        cls.root = os.path.join(folder, "root")
        cls.export()
        nginx = Files(os.path.join(folder, "nginx"), cls.root, pair)
        cls.addClassCleanup(nginx.stop)
        cls.theirs = Client(("127.0.0.1", nginx.port), authority.ca)

    @classmethod
    def export(cls):
        """The release as bsdtar unpacks it, with the twins beside."""
        os.mkdir(cls.root)
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        box = proc.run(["bsdtar", "-cf", "-", "--format", "pax",
                        "@releases/4.5.15.mtree"], cwd=cls.data, env=env)
        proc.run(["bsdtar", "-xf", "-", "-C", cls.root], input=box.stdout,
                 env=env)
        twin = os.path.join(cls.root, "text.yaml.gz")
        with open(twin, "wb") as file:
            file.write(gzip.compress(TEXT, 9))
        os.utime(twin, (1733488994, 1733488994))

    def ask(self, client, row):
        """The answer, and how the connection is afterwards: in step, closed as
        was announced, or whatever else."""
        wire = Wire(client.raw())
        try:
            wire.send(row.data)
            answer = wire.read(row.method)
            if answer.ends:
                rest = wire.rest()
                return answer, f"{rest!r} follows" if rest else "closed"
            wire.send(request("/dir/a.txt"))
            try:
                return answer, ("in step" if wire.read().body == b"a\n"
                                else "out of step")
            except Broken as error:
                return answer, str(error)
        finally:
            wire.close()

    def check(self, row):
        answer, state = self.ask(self.ours, row)
        self.assertEqual(answer.status, row.status, answer)
        self.assertEqual(state, "closed" if row.closes else "in step", answer)
        for name, pattern in row.fields.items():
            if pattern is None:
                self.assertIsNone(answer[name], (name, answer))
            else:
                self.assertRegex(answer[name] or "(none)",
                                 f"^(?:{pattern})$", name)
        if callable(row.body):
            row.body(self, answer)
        elif row.body is not None:
            self.assertTrue(answer.body == row.body, answer)
        self.check_manners(row, answer)

    def check_manners(self, row, answer):
        """What holds for every answer."""
        names = [name.lower() for name, _ in answer.fields]
        self.assertEqual(len(names), len(set(names)), answer)
        self.assertRegex(answer["Date"], r"^\w{3}, \d\d \w{3} \d{4} "
                                         r"\d\d:\d\d:\d\d GMT$")
        self.assertNotIn(self.data.encode(), answer.body)
        if answer.status >= 400 and row.method != "HEAD":
            self.assertLess(len(answer.body), 400)
        if answer.status in (200, 206):
            self.assertEqual(answer["X-Content-Type-Options"], "nosniff")
        # That of the 200 or none (RFC 9110, 8.6), and Node waits for the former.
        if answer.status == 304:
            self.assertIsNone(answer["Content-Length"])
        self.assertEqual(answer["Specman-Release"] is not None,
                         answer["ETag"] is not None)
        # What was looked up in a view says in which.
        is_from_view = answer.status in (200, 206, 301, 304, 404, 412, 416) \
            and row.method != "OPTIONS"
        for name in ("Specman-View", "Specman-Synced-At"):
            self.assertEqual(answer[name] is not None, is_from_view, name)

    def check_releases(self, answer):
        found = json.loads(answer.body)
        self.assertEqual([release["tag"] for release in found],
                         ["4.5.13", "4.5.15"])
        self.assertEqual(found[1]["files"], len(FILES))
        self.assertEqual(found[1]["bytes"], sum(map(len, FILES.values())))
        for release in found:
            self.assertEqual(set(release), {"tag", "digest", "created",
                                            "files", "bytes"})
            self.assertRegex(release["digest"], "^sha256:[0-9a-f]{64}$")
            self.assertRegex(release["created"], r"^\d{4}-\d\d-\d\dT")

    def check_listing(self, answer):
        folder, file = json.loads(answer.body)
        self.assertEqual((folder["name"], folder["type"]),
                         ("sub", "directory"))
        self.assertEqual(file, {
            "name": "a.txt", "type": "file", "mtime": MTIME, "size": 2,
            "sha256": hashlib.sha256(b"a\n").hexdigest(),
            "release": "4.5.15"})

    # ---- beside nginx ----

    def signature(self, client, row):
        """What a client can tell of an answer, as {name: value}, but for what
        names the server: the tags themselves, the words of an error, pages of
        listings, fields of specman's own (Specman-Release, Specman-View,
        Specman-Synced-At: RFC 9110, 16.3.1, clients pass over what they don't
        know). Not counted is `Vary: Accept`, which says that errors and
        listings come in JSON as well, and Accept-Ranges beside a part, which
        nginx leaves out."""
        try:
            answer, state = self.ask(client, row)
        except Broken as error:
            return {"answer": str(error)}
        signature = {"status": answer.status, "connection": state}
        for name in ("ETag", "Last-Modified", "Content-Range",
                     "Content-Encoding", "Vary", "Location",
                     "Accept-Ranges", "Content-Type"):
            signature[name] = answer[name]
        if answer["ETag"]:
            signature["ETag"] = "weak" if answer["ETag"].startswith("W/") \
                else "strong"
        if answer["Vary"] == "Accept":
            signature["Vary"] = None
        if answer.status == 206:
            signature["Accept-Ranges"] = None
        if answer.status not in (200, 206):
            signature["Content-Type"] = None
        if answer.status == 304:
            signature["Content-Length"] = answer["Content-Length"]
        if "multipart" in (answer["Content-Type"] or ""):
            signature["Content-Type"] = "multipart"
            body = [(fields["Content-Range"], fields["Content-Type"], data)
                    for fields, data in answer.parts()]
        elif answer.status == 206:
            body = answer.body
        elif answer["ETag"] and row.method != "HEAD":
            body = answer.plain() if answer.status == 200 else answer.body
        else:
            body = None
        signature["body"] = body and hashlib.sha256(
            repr(body).encode()).hexdigest()[:8]
        return signature

    def theirs_for(self, row):
        """The row as nginx is asked: its tags are others."""
        tags = {}
        for path, data in (("/small.yaml", SMALL), ("/data.bin", BIN),
                           ("/text.yaml", TEXT)):
            tags[etag(data).encode()] = self.theirs.get(path)["ETag"].encode()
        sent = row.data
        for ours, theirs in tags.items():
            sent = sent.replace(ours, theirs).replace(ours.strip(b'"'),
                                                      theirs.strip(b'"'))
        return Row(row.name, sent, row.status)

    def differences(self):
        """{row: {what: (ours, nginx')}}"""
        found = {}
        for row in (row for rows in GROUPS.values() for row in rows
                    if row.nginx):
            ours = self.signature(self.ours, row)
            theirs = self.signature(self.theirs, self.theirs_for(row))
            differs = {key: (ours.get(key), theirs.get(key))
                       for key in {**ours, **theirs}
                       if ours.get(key) != theirs.get(key)}
            # With another status, what goes with it is no news.
            if "status" in differs:
                differs = {"status": differs["status"]}
            if differs:
                found[row.name] = differs
        return found

    def test_expect(self):
        """100 comes first, except where the answer is a refusal."""
        for client in (self.ours, self.theirs):
            wire = Wire(client.raw())
            self.addCleanup(wire.close)
            wire.send(request("/small.yaml", "Expect: 100-continue"))
            self.assertEqual(wire.read().status, 100)
            self.assertEqual(wire.read().body, SMALL)
            wire.send(request("/small.yaml", "Expect: 100-continue",
                              version="HTTP/1.0"))
            self.assertEqual(wire.read().status, 200)
        wire = Wire(self.ours.raw())
        self.addCleanup(wire.close)
        wire.send(request("/small.yaml", "Expect: 100-continue",
                          "Content-Length: 5"))
        self.assertEqual(wire.read().status, 413)
        self.assertTrue(wire.closed())

    def test_pipelining(self):
        """Answers come in order, however requests are cut."""
        rows = [row for row in CONTENT + CONDITIONS + RANGES + CODINGS
                if not row.closes and row.data.find(b"HTTP/1.1") > 0]
        wire = Wire(self.ours.raw())
        self.addCleanup(wire.close)
        sent = b"".join(row.data for row in rows)
        for at in range(0, len(sent), 997):
            wire.send(sent[at:at + 997])
        for row in rows:
            answer = wire.read(row.method)
            self.assertEqual(answer.status, row.status, row.name)
            if isinstance(row.body, bytes):
                self.assertTrue(answer.body == row.body, row.name)

    def test_pipelining_with_errors(self):
        """What goes wrong with one is no other's, until one can't be read."""
        sent = [("GET", "/none", (), 404), ("GET", "/data.bin",
                                            ("Range: bytes=5000-",), 416),
                ("HEAD", "/none", (), 404), ("GET", "/dir", (), 301),
                ("GET", "/small.yaml", ('If-Match: "x"',), 412),
                ("POST", "/dir/a.txt", ("Content-Length: 0",), 405),
                ("HEAD", "/dir/a.txt", (), 200),
                ("GET", "/small.yaml", ("If-None-Match: *",), 304),
                ("GET", "/dir/a.txt", (), 200)]
        for client in (self.ours, self.theirs):
            wire = Wire(client.raw())
            self.addCleanup(wire.close)
            # nginx closes after 412 without saying so.
            rows = [row for row in sent
                    if client is self.ours or row[3] != 412]
            wire.send(b"".join(request(target, *lines, method=method)
                               for method, target, lines, _ in rows)
                      + b"GET / HTTP/1.1\r\nX-A : b\r\n\r\n"
                      + request("/dir/a.txt"))
            self.assertEqual([wire.read(method).status
                              for method, _, _, _ in rows],
                             [status for _, _, _, status in rows])
            answer = wire.read()
            self.assertEqual((answer.status, answer.ends), (400, True))
            self.assertTrue(wire.closed())

    def test_head_of_a_listing_has_its_length(self):
        for path in ("/dir/", "/", "/odd/?sort=size&order=desc",
                     "/.specman/releases/4.5.13/"):
            for accept in ("*/*", JSON):
                body = self.ours.get(path, Accept=accept).body
                answer = self.ours.head(path, Accept=accept)
                self.assertEqual((answer.status, answer["Content-Length"]),
                                 (200, str(len(body))), path)

    def test_beside_nginx(self):
        found = self.differences()
        listed = {name: differs for rows, differs, _ in DIFFERENCES
                  for name in rows}
        wrong = [f"{name}: {found.get(name)}, listed is {listed.get(name)}"
                 for name in {**found, **listed}
                 if found.get(name) != listed.get(name)]
        self.assertEqual(wrong, [], "\n".join(["", *wrong]))


def _group(rows):
    def test(self):
        for row in rows:
            with self.subTest(row=row.name):
                self.check(row)
    return test


for _name, _rows in GROUPS.items():
    setattr(Contract, "test_" + _name, _group(_rows))


if __name__ == "__main__":
    unittest.main()
