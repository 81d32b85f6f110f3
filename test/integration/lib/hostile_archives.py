"""Archives as nobody should make them: each class of malformed sample that the
test suites of libarchive and of Python's tarfile and zipfile know, and then some.

CASES is a list of Case: what is refused has a pattern of the error, what is
stored has the files that it is stored as. Nothing here is large; see
large_archives.py.

    hostile_archives.py FOLDER    writes the small ones there, a file each
"""
import gzip
import io
import lzma
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from collections import namedtuple

# files: {path: bytes}, or None when it is refused with an error like `says`.
Case = namedtuple("Case", "name data files says", defaults=(None, None))

END = bytes(1024)


def pad(data):
    return data + bytes(-len(data) % 512)


def header(name=b"file", size=0, kind=b"0", link=b"", prefix=b"",
           magic=b"ustar\x0000", raw_size=None, checksum=None, mtime=None,
           tail=None):
    """A header block of which each field may be anything."""
    block = bytearray(512)

    def put(at, value):
        block[at:at + len(value)] = value
    put(0, name[:100])
    put(100, b"0000644\0")
    put(108, b"0000000\0")
    put(116, b"0000000\0")
    put(124, raw_size or b"%011o\0" % size)
    put(136, mtime or b"14524770442\0")
    put(148, b" " * 8)
    put(156, kind)
    put(157, link[:100])
    put(257, magic)
    put(345, prefix[:155])
    if tail:
        put(tail[0], tail[1])
    put(148, checksum or b"%06o\0 " % sum(block))
    return bytes(block)


def entry(name=b"file", data=b"", **fields):
    return header(name, fields.pop("size", len(data)), **fields) + pad(data)


def base256(number):
    return b"\x80" + (number % (1 << 88)).to_bytes(11, "big") \
        if number >= 0 else (number % (1 << 96)).to_bytes(12, "big")


def pax(*records, kind=b"x"):
    body = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        size = len(rest)
        while size != len(b"%d" % size) + len(rest):
            size = len(b"%d" % size) + len(rest)
        body += b"%d" % size + rest
    return entry(b"PaxHeaders/x", body, kind=kind)


def pax_raw(body):
    return entry(b"PaxHeaders/x", body, kind=b"x")


def long_name(name, kind=b"L"):
    return entry(b"././@LongLink", name + b"\0", kind=kind,
                 magic=b"ustar  \0")


def link(name, target, kind=b"2"):
    return header(name, kind=kind, link=target)


def folder(name):
    return header(name + b"/", kind=b"5")


def packed(data):
    return gzip.compress(data, 9, mtime=0)


GOOD = entry(b"file", b"text\n")
STORED = {"file": b"text\n"}
BROKEN = r"archive is broken|cut off"


def whole(*parts):
    return b"".join(parts) + END


# ---- what is cut off or damaged ----

def damaged():
    two = GOOD + entry(b"second", b"x" * 700)
    yield Case("cut-in-a-header", two[:1024 + 100], says=BROKEN)
    yield Case("cut-in-a-content", two[:1024 + 512 + 300], says=BROKEN)
    yield Case("cut-in-padding", two[:1024 + 512 + 710], says=BROKEN)
    yield Case("cut-in-a-long-name", long_name(b"n" * 200)[:600], says=BROKEN)
    yield Case("cut-after-a-long-name", long_name(b"n" * 200), says=BROKEN)
    yield Case("cut-after-a-pax-header", pax((b"path", b"x")), says=BROKEN)
    yield Case("without-an-end", GOOD, STORED)
    yield Case("with-half-an-end", GOOD + bytes(512), STORED)
    yield Case("bytes-after-the-end", whole(GOOD) + b"\xff" * 512, STORED)
    yield Case("nothing-but-an-end", END * 4, says="empty|Unrecognized")
    yield Case("bad-checksum", whole(GOOD, header(checksum=b"123456\0 ")),
               says=BROKEN)
    yield Case("checksum-of-letters", whole(header(checksum=b"abcdefgh")),
               says=BROKEN)
    yield Case("no-name", whole(GOOD, header(b"")),
               says="root is no folder|no name")
    yield Case("noise-between", whole(GOOD, b"\xa5" * 512, GOOD), says=BROKEN)


# ---- sizes ----

def sizes():
    for name, raw in (("octal", b"77777777777\0"),
                      ("2-to-the-62", base256(1 << 62)),
                      ("2-to-the-63-less-1", base256((1 << 63) - 1)),
                      ("2-to-the-64", base256(1 << 64)),
                      ("2-to-the-87", base256((1 << 87) - 1)),
                      ("minus-1", base256(-1)),
                      ("minus-512", base256(-512)),
                      ("minus-2-to-the-63", base256(-(1 << 63)))):
        for kind in (b"0", b"L", b"x", b"g", b"K"):
            yield Case(f"size-{name}-of-{kind.decode()}",
                       whole(header(raw_size=raw, kind=kind), GOOD),
                       says=r"over \d+ bytes|negative|times its size|"
                            + BROKEN)
    yield Case("size-of-a-folder", whole(
        header(b"d/", raw_size=base256(1 << 62), kind=b"5"), GOOD), STORED)
    yield Case("size-of-pax-negative",
               whole(pax((b"size", b"-1")), GOOD), says=".")
    yield Case("size-of-pax-huge",
               whole(pax((b"size", b"9223372036854775807")), GOOD), says=".")
    yield Case("size-of-pax-larger",
               whole(pax((b"size", b"99999")), GOOD), says=BROKEN)
    yield Case("time-before-1970", whole(
        entry(b"file", b"text\n", mtime=base256(-1))), STORED)
    yield Case("time-far-away", whole(
        entry(b"file", b"text\n", mtime=base256((1 << 63) - 1))), STORED)


# ---- sparse files ----

def gnu_sparse(pairs, data, real, more=(), extended=False):
    """The old GNU format (star's and GNU tar's manual): four pairs in the
    header, more in blocks after it."""
    tail = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[:4])
    tail = tail.ljust(96, b"\0") + (b"\1" if extended else b"\0")
    tail += real if isinstance(real, bytes) else b"%011o\0" % real
    head = header(b"sparse", len(data), b"S", magic=b"ustar  \0",
                  tail=(386, tail))
    return head + b"".join(more) + pad(data)


def sparse_block(pairs, extended):
    block = b"".join(b"%011o\0%011o\0" % pair for pair in pairs[:21])
    return block.ljust(504, b"\0") + (b"\1" if extended else b"\0") + bytes(7)


def sparse():
    expected = {"sparse": bytes(512) + b"a" * 512 + bytes(1024)}
    good = [(512, 512), (2048, 0)]
    yield Case("sparse-gnu", whole(gnu_sparse(good, b"a" * 512, 2048)),
               expected)
    yield Case("sparse-gnu-extended", whole(gnu_sparse(
        good[:1], b"a" * 512, 2048, [sparse_block(good[1:], False)], True)),
        expected)
    bad = r"overlaps|over \d+ bytes|times its size|negative|" + BROKEN
    for name, pairs, real in (
            ("overlap", [(0, 512), (256, 512)], 2048),
            ("backwards", [(1024, 256), (0, 256)], 2048),
            ("overflow", [(0o77777777777, 0o77777777777), (0, 1)], 2048),
            ("huge", [(0, 512), (1 << 32, 0)], 1 << 32)):
        yield Case(f"sparse-gnu-{name}", whole(
            gnu_sparse(pairs, b"a" * 1024, real)), says=bad)
    yield Case("sparse-gnu-of-2-to-the-62", whole(
        gnu_sparse(good, b"a" * 512, base256(1 << 62))), says=bad)
    yield Case("sparse-gnu-negative", whole(
        gnu_sparse(good, b"a" * 512, base256(-5))), says=bad)
    yield Case("sparse-gnu-without-its-blocks", gnu_sparse(
        good, b"", 2048, extended=True), says=bad)
    base = [(b"GNU.sparse.size", b"2048"), (b"GNU.sparse.numblocks", b"2")]
    yield Case("sparse-pax-0.0", whole(pax(
        *base, (b"GNU.sparse.offset", b"512"), (b"GNU.sparse.numbytes", b"512"),
        (b"GNU.sparse.offset", b"2048"), (b"GNU.sparse.numbytes", b"0")),
        entry(b"sparse", b"a" * 512)), expected)
    for name, sparse_map, files in (
            ("good", b"512,512,2048,0", expected),
            ("overlap", b"0,512,256,512", None),
            ("overflow", b"9223372036854775807,9223372036854775807", None),
            ("negative", b"-5,512", None),
            ("of-letters", b"a,b,c,d", None)):
        yield Case(f"sparse-pax-0.1-{name}", whole(pax(
            *base, (b"GNU.sparse.name", b"sparse"), (b"GNU.sparse.map", sparse_map)),
            entry(b"other", b"a" * (512 if files else 1024))), files,
            None if files else ".")
    for name, sparse_map, files in (
            ("good", b"2\n512\n512\n2048\n0\n", expected),
            ("overlap", b"2\n0\n512\n256\n512\n", None),
            ("overflow", b"1\n9223372036854775807\n512\n", None),
            ("count-huge", b"99999999999999\n", None),
            ("of-letters", b"x\ny\n", None),
            ("negative", b"-1\n-5\n-5\n", None)):
        yield Case(f"sparse-pax-1.0-{name}", whole(pax(
            (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.realsize", b"2048"),
            (b"GNU.sparse.name", b"sparse")),
            entry(b"other", pad(sparse_map) + b"a" * (
                512 if files else 1024))), files, None if files else ".")


# ---- pax and GNU headers ----

def headers():
    yield Case("pax-giant", whole(pax((b"comment", b"x" * (2 << 20))), GOOD),
               says=BROKEN)
    yield Case("pax-giant-global", whole(
        pax((b"comment", b"x" * (2 << 20)), kind=b"g"), GOOD), says=BROKEN)
    for name, body in (("length-0", b"0 path=x\n"),
                       ("length-too-large", b"999999 path=x\n"),
                       ("length-endless", b"9" * 400 + b" path=x\n"),
                       ("no-newline", b"8 path=xy"),
                       ("no-equals", b"8 pathx\n"),
                       ("no-space", b"pathpathpath\n"),
                       ("negative", b"-9 path=x\n")):
        yield Case(f"pax-{name}", whole(pax_raw(body), GOOD), says=BROKEN)
    yield Case("pax-many", whole(*[pax((b"comment", b"x"))] * 50, GOOD),
               says="no name|malformed")
    yield Case("pax-path-up", whole(pax((b"path", b"../up")), GOOD),
               says="leaves the archive")
    yield Case("pax-path-with-nul", whole(
        pax((b"path", b"fi\0le")), GOOD), {"fi": b"text\n"})
    yield Case("pax-linkpath-up", whole(
        pax((b"linkpath", b"../../etc/passwd")), link(b"l", b"x")),
        says="leaves the archive")
    yield Case("pax-path-for-all", whole(
        pax((b"path", b"other"), kind=b"g"), GOOD), STORED)
    yield Case("long-name-giant", whole(long_name(b"n/" * (1 << 20)), GOOD),
               says=BROKEN)
    yield Case("long-name-over-the-limit", whole(
        long_name(b"/".join([b"n" * 200] * 25)), GOOD),
        says="over 4096 bytes")
    yield Case("long-name-part", whole(long_name(b"n" * 300), GOOD),
               says="over 255 bytes")
    yield Case("long-link-giant", whole(
        long_name(b"n/" * (1 << 20), b"K"), link(b"l", b"x")), says=BROKEN)
    yield Case("long-link-over-the-limit", whole(
        long_name(b"n/" * 3000, b"K"), link(b"l", b"x")),
        says="no usable target")
    yield Case("long-name-twice", whole(
        long_name(b"a"), long_name(b"b"), GOOD), {"b": b"text\n"})
    yield Case("deep", whole(long_name(b"d/" * 65 + b"f"), GOOD),
               says="folders deep")
    yield Case("volume-name", whole(header(b"label", kind=b"V"), GOOD),
               STORED)
    yield Case("contiguous", whole(entry(b"file", b"text\n", kind=b"7")),
               STORED)
    yield Case("unknown-type", whole(entry(b"file", b"text\n", kind=b"Z")),
               STORED)
    yield Case("v7", whole(entry(b"file", b"text\n", magic=bytes(8),
                                 kind=b"\0")), STORED)


# ---- names and links ----

def names():
    for name, path in (("up", b"../x"), ("up-inside", b"a/../../x"),
                       ("absolute", b"/etc/x"), ("twice-absolute", b"//x"),
                       ("dots", b".."), ("newline", b"new\nline"),
                       ("escape", b"\x1b[2J"), ("delete", b"\x7f"),
                       ("first-of-the-second-set", b"a\xc2\x80"),
                       ("escape-of-the-second-set", b"\xc2\x9b2J"),
                       ("last-of-the-second-set", b"d/\xc2\x9f/x"),
                       ("up-prefixed", b"./../x")):
        yield Case(f"name-{name}", whole(GOOD, entry(path, b"x")),
                   says="leaves the archive|absolute|control character")
    yield Case("name-prefix-up", whole(entry(b"x", b"x", prefix=b"../..")),
               says="leaves the archive")
    yield Case("name-odd", whole(
        entry(b"./a//b/./c", b"1"), entry(b"C:\\x", b"2"),
        entry(b"name.", b"3"), entry(b" ", b"4"), entry(b"con", b"5"),
        entry(b"-rf", b"6"), entry(b"...", b"7"), entry(b"%2e%2e", b"8"),
        entry(b"\xc2\xa0\xc3\x9b", b"9")),
        {"a/b/c": b"1", "C:\\x": b"2", "name.": b"3", " ": b"4",
         "con": b"5", "-rf": b"6", "...": b"7", "%2e%2e": b"8",
         "\u00a0\u00db": b"9"})
    nfc, nfd = "f\u00fc".encode(), "fu\u0308".encode()
    yield Case("name-nfc-and-nfd", whole(entry(nfc, b"c"), entry(nfd, b"d")),
               {nfc.decode(): b"c", nfd.decode(): b"d"})
    yield Case("name-nfc-and-nfd-in-pax", whole(
        pax((b"path", nfc)), entry(b"x", b"c"),
        pax((b"path", nfd)), entry(b"y", b"d")),
        {nfc.decode(): b"c", nfd.decode(): b"d"})
    yield Case("name-no-utf-8", whole(entry(b"\xff\xfe", b"x")),
               {os.fsdecode(b"\xff\xfe"): b"x"})
    yield Case("name-no-utf-8-in-pax", whole(
        pax((b"path", b"\xff\xfe")), entry(b"y", b"x")),
        {os.fsdecode(b"\xff\xfe"): b"x"})
    yield Case("twice", whole(entry(b"a", b"1"), entry(b"./a", b"2")),
               {"a": b"2"})
    yield Case("file-then-folder", whole(GOOD, folder(b"file"),
                                         entry(b"file/x", b"x")),
               {"file/x": b"x"})
    yield Case("file-then-below", whole(GOOD, entry(b"file/x", b"x")),
               says="below")
    yield Case("folder-then-file", whole(folder(b"file"),
                                         entry(b"file/x", b"x"), GOOD),
               says="a file and a folder")
    yield Case("empty-folder-then-file", whole(folder(b"file"), GOOD), STORED)
    yield Case("folder-with-content", whole(
        entry(b"d/", b"x" * 600, kind=b"5"), GOOD), says=BROKEN)


def links():
    yield Case("link-to-link", whole(
        GOOD, link(b"a", b"b"), link(b"b", b"c"), link(b"c", b"file")),
        {p: b"text\n" for p in ("file", "a", "b", "c")})
    yield Case("link-chain-of-50", whole(GOOD, *[
        link(b"l%d" % n, b"l%d" % (n + 1)) for n in range(50)],
        link(b"l50", b"file")), says="circle")
    for name, parts in (
            ("itself", [link(b"a", b"a")]),
            ("cycle", [link(b"a", b"b"), link(b"b", b"a")]),
            ("cycle-of-folders", [link(b"d/e", b"../f"),
                                  link(b"f/g", b"../d")]),
            ("parent", [link(b"d/e/up", b"../..")]),
            ("root", [link(b"d/root", b"..")]),
            ("out", [link(b"a", b"../../etc/passwd")]),
            ("out-and-in", [link(b"d/a", b"../../d/x")]),
            ("absolute", [link(b"a", b"/etc/passwd")]),
            ("nothing", [link(b"a", b"gone")]),
            ("empty", [link(b"a", b"")]),
            ("through", [link(b"d", b"/tmp"), entry(b"d/x", b"x")]),
            ("through-link", [folder(b"e"), link(b"d", b"e"),
                              entry(b"d/x", b"x")]),
            ("below-a-file", [link(b"a", b"file/x")])):
        yield Case(f"link-{name}", whole(GOOD, *parts),
                   says="link|lies below")
    for name, target in (("itself", b"h"), ("up", b"../x"), ("absolute",
                         b"/etc/passwd"), ("later", b"z"), ("folder", b"d"),
                         ("nothing", b"")):
        yield Case(f"hard-link-{name}", whole(
            GOOD, folder(b"d"), link(b"h", target, b"1"), entry(b"z", b"z")),
            says="hard link|leaves|absolute|folder|unknown type")
    yield Case("hard-link-with-content", whole(
        GOOD, entry(b"h", b"other", kind=b"1", link=b"file")), says=BROKEN)
    # Each level has two links to the one before: 2 to the 30 files.
    yield Case("link-bomb", whole(
        entry(b"d0/f", b"x"), *[part for n in range(1, 31) for part in (
            folder(b"d%d" % n), link(b"d%d/a" % n, b"../d%d" % (n - 1)),
            link(b"d%d/b" % n, b"../d%d" % (n - 1)))]),
        says="entries|deep|circle")
    for kind, what in ((b"3", "character"), (b"4", "block"), (b"6", "fifo")):
        yield Case(f"special-{what}", whole(GOOD, header(b"s", kind=kind)),
                   says=what)


# ---- zip ----

def zipped(files, method=zipfile.ZIP_DEFLATED, **attributes):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as box:
        for path, data in files:
            info = zipfile.ZipInfo(path)
            info.compress_type = method
            info.external_attr = attributes.get("mode", 0o100644) << 16
            info.create_system = attributes.get("system", 3)
            info.extra = attributes.get("extra", b"")
            box.writestr(info, data)
    return out.getvalue()


class _Unseekable(io.BytesIO):
    def seekable(self):
        return False

    def seek(self, *args):
        raise io.UnsupportedOperation

    def tell(self):
        raise io.UnsupportedOperation


def zip_streamed(data):
    """With a data descriptor behind the content: no size in front."""
    out = _Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("file", data)
    return out.getvalue()


def patched(data, at, value):
    return data[:at] + value + data[at + len(value):]


def central(data):
    return data.index(b"PK\1\2")


def zips():
    good = zipped([("file", b"text\n")], zipfile.ZIP_STORED)
    bad = BROKEN + "|shorter than it says|encrypted|no usable|over"
    method = r'entry "file" is packed by the method \('
    yield Case("zip", good, STORED)
    yield Case("zip-deflated", zipped([("file", b"text\n")]), STORED)
    yield Case("zip-streamed", zip_streamed(b"text\n"), STORED)
    yield Case("zip-up", zipped([("../x", b"x")]), says="leaves the archive")
    yield Case("zip-absolute", zipped([("/x", b"x")]), says="absolute")
    yield Case("zip-link-out", zipped([("l", b"/etc/passwd")],
                                      mode=0o120777), says="leaves")
    yield Case("zip-fifo", zipped([("f", b"")], mode=0o010644), {"f": b""})
    yield Case("zip-wrong-crc", patched(patched(good, 14, b"\1\2\3\4"),
               central(good) + 16, b"\1\2\3\4"), says=bad)
    for name, packed_size, size in (("shorter", 2, 2), ("longer", 4000, 4000),
                                    ("differs", 5, 4), ("huge", 5, 1 << 31)):
        sizes_ = struct.pack("<II", packed_size, size)
        yield Case(f"zip-size-{name}", patched(patched(
            good, 18, sizes_), central(good) + 20, sizes_), says=bad)
    for bit, name in ((1, "encrypted"), (65, "strongly-encrypted")):
        flag = struct.pack("<H", bit)
        yield Case(f"zip-{name}", patched(patched(good, 6, flag),
                   central(good) + 8, flag), says=bad)
    for number in (1, 6, 14, 93, 95, 98, 99, 200):
        code = struct.pack("<H", number)
        both = patched(patched(good, 8, code), central(good) + 10, code)
        yield Case(f"zip-method-{number}", both, says=method)
        yield Case(f"zip-method-{number}-in-front", patched(good, 8, code),
                   says=method)
    yield Case("zip-lzma", zipped([("file", b"text\n")], zipfile.ZIP_LZMA),
               says=method)
    yield Case("zip-bzip2", zipped([("file", b"text\n")], zipfile.ZIP_BZIP2),
               STORED)
    yield Case("zip-cut", zipped([("file", b"ab" * 4000)],
                                 zipfile.ZIP_STORED)[:4000], says=bad)
    yield Case("zip-bomb", zipped([("zeros", bytes(8 << 20))])
               .replace(struct.pack("<I", 8 << 20),
                        struct.pack("<I", 0xfffffff0)), says=bad)


def zip_names():
    """Bit 11 says that a name is UTF-8, Python sets it for what is not ASCII;
    so does the field 0x7075 (APPNOTE.TXT sections 4.4.4 and 4.6.9)."""
    name = "gr\u00fc\u00df/\u20ac \U0001f600.yaml"
    yield Case("zip-utf-8", zipped([(name, b"1"), ("b", b"2")]),
               {name: b"1", "b": b"2"})
    yield Case("zip-utf-8-decomposed", zipped([("fu\u0308", b"1")]),
               {"f\u00fc": b"1"})
    yield Case("zip-utf-8-link-to-nothing", zipped(
        [("\u00e4", "gr\u00fc\u00df".encode())], mode=0o120777),
        says="link \"\u00e4\" .*\"gr\u00fc\u00df\"|link")
    yield Case("zip-utf-8-up", zipped([("\u00fc/../../x", b"1")]),
               says="leaves the archive")
    wrong = zipped([("\u00fc", b"1")]).replace("\u00fc".encode(), b"\xff\xfe")
    yield Case("zip-utf-8-that-is-none", wrong, says="no name that is UTF-8")
    old = zipped([("gr#n", b"1")]).replace(b"gr#n", b"gr\x81n")
    yield Case("zip-cp437", old, {os.fsdecode(b"gr\x81n"): b"1"})
    extra = b"\1" + struct.pack("<I", zlib.crc32(b"grun")) + \
        "gr\u00fcn".encode()
    yield Case("zip-utf-8-field", zipped(
        [("grun", b"1")], extra=struct.pack("<HH", 0x7075, len(extra))
        + extra), {"gr\u00fcn": b"1"})
    yield Case("zip-utf-8-backslash", zipped(
        [("gr\u00fcn\\x", b"1")], system=0), {"gr\u00fcn/x": b"1"})


# ---- packing ----

def packings():
    good = whole(GOOD)
    yield Case("gzip", packed(good), STORED)
    yield Case("gzip-in-members", b"".join(
        packed(good[at:at + 100]) for at in range(0, len(good), 100)), STORED)
    yield Case("gzip-twice", packed(packed(good)), says=BROKEN)
    seven = good
    for _ in range(7):
        seven = packed(seven)
    yield Case("gzip-seven-times", seven, says=BROKEN)
    one = packed(good)
    for name, flags, more in (("extra", 4, b"\4\0abcd"),
                              ("name", 8, b"../../x\0"),
                              ("comment", 16, b"c" * 5000 + b"\0")):
        yield Case(f"gzip-with-{name}", one[:3] + bytes([flags]) + one[4:10]
                   + more + one[10:], STORED)
    yield Case("gzip-head-crc", one[:3] + b"\2" + one[4:10] + b"\0\0"
               + one[10:], says="broken")
    yield Case("gzip-reserved-flag", one[:3] + b"\x80" + one[4:],
               says="broken")
    yield Case("gzip-method", one[:2] + b"\7" + one[3:], says="broken")
    yield Case("gzip-empty", packed(b""), says=BROKEN + "|empty")
    yield Case("gzip-wrong-crc", one[:-8] + b"\0\0\0\0" + one[-4:],
               says="data check")
    yield Case("gzip-wrong-length", one[:-4] + b"\1\0\0\0",
               says="length check")
    yield Case("gzip-garbage-after", one + b"garbage", says="other bytes")
    yield Case("gzip-zeros-after", one + bytes(512), STORED)
    yield Case("xz", lzma.compress(good), STORED)
    yield Case("xz-cut", lzma.compress(good)[:-20], says="broken")
    yield Case("xz-flipped", patched(lzma.compress(good), 60, b"\xff\xff"),
               says="broken")
    yield Case("xz-of-gzip", lzma.compress(packed(good)), says=BROKEN)
    yield Case("zstd-broken", b"\x28\xb5\x2f\xfd" + b"\xff" * 60,
               says="broken")
    for name, data in (("cpio", b"070701" + b"0" * 200), ("mtree",
                       b"#mtree\nfile type=file contents=/etc/passwd\n"),
                       ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(300)),
                       ("ar", b"!<arch>\nx" + bytes(200)),
                       ("rar", b"Rar!\x1a\x07\0" + bytes(100)),
                       ("text", b"text\n" * 500)):
        yield Case(f"format-{name}", data, says=BROKEN)


def nested():
    inner = packed(whole(GOOD, entry(b"more", b"m")))
    files = {**STORED, "more": b"m"}
    yield Case("nested", whole(entry(b"manifests.tgz", inner)), files)
    yield Case("nested-up", whole(entry(b"manifests.tgz", packed(whole(
        entry(b"../x", b"x"))))), says="manifests.tgz in the archive.*leaves")
    yield Case("nested-beside", whole(entry(b"manifests.tgz", inner), GOOD),
               {**STORED, "manifests.tgz": inner})
    middle = whole(entry(b"manifests.tgz", inner))
    yield Case("nested-twice", packed(whole(entry(b"m.tar", middle))),
               {"manifests.tgz": inner})
    yield Case("nested-cut", whole(entry(b"m.tgz", inner[:-5])),
               says="m.tgz in the archive.*cut off")


def cases():
    for group in (damaged, sizes, sparse, headers, names, links, zips,
                  zip_names, packings, nested):
        yield from group()


CASES = list(cases())


def main():
    for case in CASES:
        if len(case.data) <= 16384:
            path = os.path.join(sys.argv[1], case.name)
            with open(path, "wb") as file:
                file.write(case.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
