"""What a registry in memory (lib/faulty.py) needs to be pushed to, and the ways in
which uploads go wrong."""
import itertools
import re
import urllib.parse

from . import artifact
from .faulty import Repository, error
from .registry import PATH

_numbers = itertools.count(1)


class Uploads:
    """Takes uploads for `fake`. `other`, another FakeRegistry, is where the bytes
    are to be sent then. `location` makes the header from a path with query."""

    def __init__(self, fake, path=PATH, other=None, location=None,
                 chunk_min=None, chunks=True):
        self.fake, self.path, self.other = fake, path, other
        self.location = location or (lambda target: target)
        self.chunk_min, self.chunks = chunk_min, chunks
        self.sessions = {}
        self.cuts = []        # bytes of a PATCH after which it hangs up, once each
        self.ranges = []      # lies of the next answers to PATCH
        self.lose = False     # a session is forgotten at the next cut
        self.elsewhere = {}   # blobs of other repositories, by digest
        self.no_mount = None  # what a question for a mount is answered with
        self.received = 0     # bytes of all bodies
        self.parts = []       # (method, first byte, bytes) of each body
        self.repository = fake.repositories.setdefault(path, Repository())
        self.repository.blobs.clear()
        base = f"^/v2/{path}/"
        fake.on("POST", base + r"blobs/uploads/(\?mount=[^&]*)?$", self._guarded(self._begin))
        fake.on("PUT", base + "manifests/", self._guarded(self._manifest))
        where = other or fake
        for method in "PATCH", "PUT", "GET":
            where.on(method, "/blobs/uploads/[0-9]+", self._session)

    def _guarded(self, answer):
        def hook(request):
            if self.fake.login and request.headers.get(
                    "Authorization") != self.fake.login:
                return False  # the registry says what is missing
            return answer(request)
        return hook

    def _begin(self, request):
        request.rfile.read(int(request.headers["Content-Length"]))
        mount = urllib.parse.unquote(request.path.partition("?mount=")[2])
        if mount and self.no_mount:
            return request.reply(self.no_mount, error("UNSUPPORTED", "mount"))
        if mount in self.elsewhere:
            self.repository.blobs[mount] = self.elsewhere[mount]
            return request.reply(201, b"", {"Location": "/v2/blob"})
        number = str(next(_numbers))
        self.sessions[number] = bytearray()
        headers = {"Location": self._location(number), "Range": "0-0"}
        if self.chunk_min:
            headers["OCI-Chunk-Min-Length"] = str(self.chunk_min)
        return request.reply(202, b"", headers)

    def _location(self, number):
        target = (f"/v2/{self.path}/blobs/uploads/{number}"
                  "?_state=a%2Bb%3D%3D&x=1")
        if self.other:
            return self.other.url + target
        return self.location(target)

    def _session(self, request):
        parts = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(parts.query)
        number = parts.path.rsplit("/", 1)[1]
        session = self.sessions.get(number)
        if session is None:
            return request.reply(404, error("BLOB_UPLOAD_UNKNOWN", number))
        assert query["_state"] == ["a+b=="] and query["x"] == ["1"], query
        headers = {"Location": self._location(number),
                   "Range": f"0-{max(len(session) - 1, 0)}"}
        if request.command == "GET":
            return request.reply(204, b"", headers)
        if request.command == "PATCH":
            return self._patch(request, number, session, headers)
        return self._commit(request, session, query)

    def _read(self, request, session, most=None):
        """Returns whether all of the body came."""
        length = int(request.headers["Content-Length"])
        self.parts.append((request.command, len(session), length))
        left = length if most is None else min(length, most)
        while left:
            data = request.rfile.read(min(left, 1 << 20))
            session += data
            self.received += len(data)
            left -= len(data)
            if not data:
                return False
        return most is None or length <= most

    def _patch(self, request, number, session, headers):
        if not self.chunks:
            request.rfile.read(int(request.headers["Content-Length"]))
            return request.reply(405, error("UNSUPPORTED", "no chunks"))
        first, last = map(int, request.headers["Content-Range"].split("-"))
        length = int(request.headers["Content-Length"])
        assert last - first + 1 == length
        if first != len(session):
            request.rfile.read(length)
            return request.reply(416, b"", headers)
        cut = self.cuts.pop(0) if self.cuts else None
        if not self._read(request, session, cut):
            if self.lose:
                del self.sessions[number]
            return request.hang_up()
        headers["Range"] = f"0-{len(session) - 1}"
        if self.ranges:
            headers["Range"] = self.ranges.pop(0)
        return request.reply(202, b"", headers)

    def _commit(self, request, session, query):
        self._read(request, session)
        data = bytes(session)
        if query["digest"] != [artifact.digest(data)]:
            return request.reply(400, error("DIGEST_INVALID", "other bytes"))
        self.repository.blobs[artifact.digest(data)] = data
        return request.reply(201, b"", {"Location": "/v2/blob"})

    def _manifest(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        digest = artifact.digest(body)
        for named in re.findall(rb'"digest":"([^"]+)"', body):
            assert named.decode() in self.repository.blobs
        self.repository.manifests[digest] = body
        self.repository.tags[request.path.rsplit("/", 1)[1]] = digest
        return request.reply(201, b"", {"Docker-Content-Digest": digest})
