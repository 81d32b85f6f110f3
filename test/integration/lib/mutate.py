"""Random and broken requests over TLS, the same for the same seed, and what
must hold of whatever is answered."""
import random
import ssl
import threading

from .wire import Broken, Wire, request

PATHS = ["/", "/small.yaml", "/text.yaml", "/big.bin", "/dir", "/dir/",
         "/none", "/.specman/releases", "/.specman/releases/1.0.0/small.yaml",
         "/%2e%2e/x", "//dir//", "/dir/?sort=size", "http://h/small.yaml",
         "*", "/%zz", "/" + "a" * 300]
FIELDS = ["Range: bytes=0-1,5-", "Range: bytes=-5", "If-Range: \"x\"",
          "If-None-Match: *", "If-Match: \"x\"", "Accept-Encoding: gzip",
          "Accept-Encoding: *;q=0, gzip;q=0.5", "Accept: application/json",
          "If-Modified-Since: Fri, 06 Dec 2024 12:43:14 GMT",
          "Connection: close", "Connection: keep-alive", "X-A: b",
          "Expect: 100-continue", "Content-Length: 0", "Content-Length: 5",
          "Transfer-Encoding: chunked", "Authorization: Basic Ym9iOng=",
          "Cookie: a=b; c", "Host: other", "Range: bytes=0-0"]
METHODS = ["GET"] * 8 + ["HEAD", "HEAD", "OPTIONS", "POST", "G\0T", "get"]
VERSIONS = ["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9",
                               "", "HTTP/1.1 "]
PIECES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"%", b"?",
          b"\r\n\r\n", b"\xff", b"\x80", b"\"", b"a" * 2000, b"1" * 30,
          b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"]
STATUSES = {100, 200, 206, 301, 304, 400, 404, 405, 412, 413, 414, 416, 431,
            501, 505}
LAST = request("/small.yaml", "Connection: close")


def one(rng):
    data = request(rng.choice(PATHS), *rng.sample(FIELDS, rng.randrange(4)),
                   method=rng.choice(METHODS), version=rng.choice(VERSIONS),
                   host=rng.choice(["localhost"] * 9 + [None]))
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        data = data or b"\r\n"
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data = data[:at] + rng.choice(PIECES) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + rng.randrange(1, 20):]
        elif kind == 2:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
        else:
            data = data[:at] + data[rng.randrange(len(data)):]
    return data


def converse(client, rng, count):
    """Some requests on one connection, then one that ends it. Returns what
    came, which has to be answers by the book."""
    sent = b"".join(one(rng) for _ in range(count))
    wire = Wire(client.raw())
    try:
        # A server that closes early may do so while this is on its way.
        wire.send(sent + LAST)
        if rng.randrange(50) == 0:
            return 0
        said = wire.rest()
    except (ssl.SSLError, ConnectionError):
        return 0
    finally:
        wire.close()
    check(sent, said)
    return 1


class _Said:
    """A socket that gives what was read."""

    def __init__(self, data):
        self.data = data

    def recv(self, size):
        data, self.data = self.data[:size], self.data[size:]
        return data


def check(sent, said):
    """Every answer is whole; HEAD's have no content, which can only be told
    by trying."""
    wire = Wire(_Said(said))
    heads = sent.count(b"HEAD")
    while wire.held or wire.sock.data:
        held, data = wire.held, wire.sock.data
        for method in ("GET", "HEAD")[:2 if heads else 1]:
            wire.held, wire.sock.data = held, data
            try:
                answer = wire.read(method)
                rest = wire.held + wire.sock.data
                if not rest or rest.startswith(b"HTTP/1.1 "):
                    break
            except Broken:
                pass
        else:
            raise AssertionError(f"{sent!r}\ngot {(held + data)[:2000]!r}")
        if answer.status not in STATUSES:
            raise AssertionError(f"{sent!r}\ngot {answer}")


def run(client, seed, count, threads=4):
    """`count` requests or some more."""
    failures = []

    def work(number):
        rng = random.Random(f"{seed} {number}")
        done = 0
        try:
            while done < count / threads and not failures:
                some = rng.randrange(1, 5)
                converse(client, rng, some)
                done += some + 1
        except Exception as error:  # told below, by the thread that waits
            failures.append(error)
    workers = [threading.Thread(target=work, args=(number,))
               for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
