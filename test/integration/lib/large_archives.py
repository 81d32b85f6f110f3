"""Archives that are large, or would be if they were unpacked; and those whose
unpacking wants memory: what xz and zstd call a dictionary or a window, of any
size that their formats can say, filled by more than that of zeros; small files
all the same.
"""
import gzip
import lzma
import random
import struct
import zipfile
import zlib

from .hostile_archives import (BROKEN, Case, END, GOOD, base256, entry, header,
                               packed, pad, pax, whole, zipped)

MIB = 1 << 20
PIECE = 2 * MIB
NOISE = random.Random(5).randbytes(2 * MIB)
OVER = "window of over 128 MiB"


def start(size):
    """Of a tar archive: as much noise as lets 200 times of it be unpacked, then
    a file of zeros."""
    return header(b"noise", len(NOISE)) + NOISE + header(b"zeros", size)


# ---- xz (its format's sections 2, 3 and 5.3.1) ----

def lzma2(data):
    """Chunks, without the end."""
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[
        {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 16}])[:-1]


def going_on(chunks):
    """The same behind others: the state begins anew, the dictionary does not."""
    return bytes([chunks[0] & 0x1f | 0xc0]) + chunks[1:]


def vli(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def four(data):
    return data + bytes(-len(data) % 4)


def checked(data):
    return data + struct.pack("<I", zlib.crc32(data))


def xz_stream(*blocks):
    """Of (code of the dictionary's size, chunks, size unpacked)."""
    flags = bytes(2)
    out, records = b"\xfd7zXZ\0" + checked(flags), b""
    for code, chunks, size in blocks:
        block = checked(bytes([2, 0, 0x21, 1, code, 0, 0, 0])) + chunks + b"\0"
        records += vli(len(block)) + vli(size)
        out += four(block)
    index = checked(four(b"\0" + vli(len(blocks)) + records))
    foot = struct.pack("<I", len(index) // 4 - 1) + flags
    return out + index + struct.pack("<I", zlib.crc32(foot)) + foot + b"YZ"


def xz_parts(size):
    """The archive's first part and the second, as in xz_stream."""
    head, zeros = start(size), lzma2(bytes(PIECE))
    more = going_on(zeros) * (size // PIECE - 1)
    return ((lzma2(head), len(head)),
            (zeros + more + going_on(lzma2(END)), size + len(END)))


def xz(code, size):
    (first, first_size), (second, second_size) = xz_parts(size)
    return xz_stream((code, first + going_on(second), first_size + second_size))


def xz_later(code, size, is_stream):
    """A small dictionary first."""
    first, second = xz_parts(size)
    if is_stream:
        return xz_stream((12, *first)) + xz_stream((code, *second))
    return xz_stream((12, *first), (code, *second))


# ---- zstd (RFC 8878 section 3.1.1) ----

def zstd_block(kind, size, body, last=False):
    return struct.pack("<I", last | kind << 1 | size << 3)[:3] + body


def zstd_frame(log, head, zeros, magic=b"\x28\xb5\x2f\xfd"):
    """A window of 2 to the log; of the whole content for None."""
    block = 128 << 10
    start_ = b"\0" + bytes([log - 10 << 3]) if log else \
        b"\xe0" + struct.pack("<Q", len(head) + zeros)
    out = [magic, start_]
    for at in range(0, len(head), block):
        part = head[at:at + block]
        out.append(zstd_block(0, len(part), part))
    out.append(zstd_block(1, block, b"\0") * (zeros // block))
    out.append(zstd_block(1, zeros % block, b"\0", True))
    return b"".join(out)


def zstd(log, size):
    return zstd_frame(log, start(size), size + len(END))


def zstd_later(log, size, **options):
    return zstd_frame(18, start(size), 0) + \
        zstd_frame(log, b"", size + len(END), **options)


# ---- the archive itself ----

def sparse(count):
    """A map of that many parts (GNU's pax format 1.0)."""
    body = pad(b"%d\n" % count + b"0\n0\n" * count)
    return gzip.compress(whole(GOOD, pax(
        (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.realsize", b"0"), (b"GNU.sparse.name", b"sparse")),
        header(b"x", len(body)) + body), 1)


def sparse_old(count):
    """The same in GNU's old format: blocks of 21 parts."""
    parts = b"00000000000\0" * 42
    more = (parts + b"\1" + bytes(7)) * (count // 21 - 1)
    tail = b"00000000000\0" * 8 + b"\1" + b"00000000000\0"
    return gzip.compress(whole(
        GOOD, header(b"s", 0, b"S", magic=b"ustar  \0", tail=(386, tail)),
        more + parts + bytes(8)), 1)


def zip_list(count):
    """A zip archive's list of that many files, with but one in front of it."""
    name = b"f"
    local = b"PK\3\4" + struct.pack("<5H3I2H", 20, 0, 0, 0, 33, 0, 0, 0, 1,
                                    0) + name
    rest = b"".join(
        b"PK\1\2" + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1,
                                0, 0, 0, 0, 0, n) + name for n in range(count))
    return local + rest + b"PK\5\6" + struct.pack(
        "<4H2IH", 0, 0, count % 65536, count % 65536, len(rest), len(local), 0)


def zip_lzma_link():
    """libarchive unpacks a link's target with the header: 64 KiB at most, but by
    a dictionary of 4 GiB that it never fills."""
    data = zipped([("link", b"target" * 9)], zipfile.ZIP_LZMA, mode=0o120777)
    at = data.index(b"\x09\x04\x05\0") + 5
    return data[:at] + b"\xff" * 4 + data[at + 4:]


def refused():
    size = 320 * MIB
    large = r"what describes the entries is larger than it may be \("
    # Codes 31, 36 and 40 are 192 MiB, 1 GiB and 4 GiB.
    for code in 31, 36, 40:
        yield Case(f"xz-{code}", xz(code, size), says="by xz with a " + OVER)
    yield Case("xz-later-block", xz_later(36, size, False), says=OVER)
    yield Case("xz-later-stream", xz_later(36, size, True), says=OVER)
    for log in 28, 31, 41:
        yield Case(f"zstd-{log}", zstd(log, size),
                   says="by zstd with a " + OVER)
    yield Case("zstd-of-one-segment", zstd(None, size), says=OVER)
    yield Case("zstd-later-frame", zstd_later(30, size), says=OVER)
    yield Case("zstd-of-before", zstd_later(
        27, size, magic=b"\x27\xb5\x2f\xfd"), says="other bytes follow")
    yield Case("zip-lzma-link", zip_lzma_link(),
               says=r"by the method \(lzma\)|link")
    yield Case("sparse-map", sparse(4000000), says=large)
    yield Case("sparse-map-old", sparse_old(4000000), says=large)


def stored():
    """What may be as large as it may be, and its files' sizes."""
    size = 136 * MIB
    for name, data in (("xz", xz(30, size)), ("zstd", zstd(27, size)),
                       ("xz-later", xz_later(30, size, False))):
        yield Case(name, data, {"noise": len(NOISE), "zeros": size})


# ---- bombs ----

def zeros(size, level=9):
    """What deflate makes of that many zeros, without an end: a piece that is
    repeated, since what is said in it holds anywhere."""
    box = zlib.compressobj(level, zlib.DEFLATED, -15)
    piece = box.compress(bytes(1 << 20)) + box.flush(zlib.Z_FULL_FLUSH)
    return piece * (size >> 20)


def gzip_of(head, size):
    """A gzip file of a head and zeros, whose end is wrong: nobody ought to get
    there."""
    box = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = box.compress(head) + box.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\2\xff" + start + zeros(size) + \
        b"\3\0" + bytes(8)


def many(count):
    """That many empty files."""
    parts = [b"d%d/f%d" % (n % 100, n) for n in range(count)]
    box = zlib.compressobj(1, zlib.DEFLATED, 31)
    out = [box.compress(header(name)) for name in parts]
    return b"".join(out) + box.compress(END) + box.flush()


def big(count):
    """Bombs of 10 GiB, and `count` empty files."""
    size = 10 << 30
    yield Case("bomb", gzip_of(header(b"zeros", 3 << 30), size),
               says="times its size|over")
    yield Case("bomb-of-one-file", gzip_of(
        header(b"zeros", raw_size=base256(size)), size), says="over")
    yield Case("bomb-in-a-folder", gzip_of(
        header(b"d/", raw_size=base256(size), kind=b"5"), size), says=".")
    yield Case("bomb-in-a-long-name", gzip_of(header(
        b"x", raw_size=base256(size), kind=b"L"), size), says=BROKEN)
    yield Case("bomb-after-the-end", gzip_of(whole(GOOD), size * 2),
               says="is over")
    yield Case("bomb-of-xz", lzma.compress(
        entry(b"zeros", size=3 << 30) + bytes(160 << 20), preset=0),
        says="times its size|over")
    inner = gzip_of(header(b"zeros", 3 << 30), 4 << 30)
    yield Case("bomb-in-a-bomb", packed(whole(entry(b"m.tgz", inner))),
               says="times its size|over")
    yield Case("many-files", many(count), ())
