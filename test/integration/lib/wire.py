"""HTTP answers read from a socket byte for byte: nothing is repaired, what is
not by the book is an error (RFC 9112)."""
import gzip
import re
import ssl

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [\x20-\x7e]*\r\n")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e\x80-\xff\t]*)"
                   rb"\r\n")


class Broken(AssertionError):
    """What came is no answer by the book."""


class Answer:
    def __init__(self, status, fields, body, ends):
        self.status, self.fields, self.body = status, fields, body
        self.ends = ends  # it can only be followed by the connection's end

    def __getitem__(self, name):
        """A field's value, None without one."""
        values = [v for n, v in self.fields if n.lower() == name.lower()]
        if len(values) > 1:
            raise Broken(f"{name} comes {len(values)} times")
        return values[0] if values else None

    def plain(self):
        """The body without its content coding."""
        return gzip.decompress(self.body) \
            if self["Content-Encoding"] == "gzip" else self.body

    def parts(self):
        """Of a multipart/byteranges body: (fields, bytes) each."""
        mark = re.fullmatch(r"multipart/byteranges; boundary=(\S+)",
                            self["Content-Type"])
        pieces = self.body.split(b"\r\n--" + mark.group(1).encode())
        if pieces[0] != b"" or pieces[-1] != b"--\r\n":
            raise Broken(f"around the parts: {pieces[0]!r} {pieces[-1]!r}")
        return [_part(piece) for piece in pieces[1:-1]]

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:200]!r}>"


def _part(piece):
    head, mark, body = piece.partition(b"\r\n\r\n")
    if not mark:
        raise Broken(f"a part without end of head: {piece[:200]!r}")
    return dict(line.decode().split(": ", 1)
                for line in head.split(b"\r\n")[1:]), body


class Wire:
    """One connection."""

    def __init__(self, sock):
        self.sock, self.held = sock, b""

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass  # what it answered before it closed is still to be read

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except (ssl.SSLEOFError, ConnectionResetError):
            data = b""
        self.held += data
        return bool(data)

    def _line(self):
        while b"\n" not in self.held:
            if not self._more():
                raise Broken(f"ended within a line: {self.held[:200]!r}")
        line, _, self.held = self.held.partition(b"\n")
        return line + b"\n"

    def _take(self, size):
        while len(self.held) < size:
            if not self._more():
                raise Broken(f"ended {size - len(self.held)} bytes early")
        taken, self.held = self.held[:size], self.held[size:]
        return taken

    def _chunks(self):
        body = b""
        while True:
            size = int(self._line().rstrip(b"\r\n"), 16)
            chunk = self._take(size)
            if self._line() != b"\r\n":
                raise Broken("a chunk without its end")
            if not size:
                return body
            body += chunk

    def rest(self):
        """All that comes until the server closes."""
        while self._more():
            pass
        rest, self.held = self.held, b""
        return rest

    def read(self, method="GET"):
        """The next answer. 100 is one, too."""
        line = self._line()
        status = STATUS.fullmatch(line)
        if not status:
            raise Broken(f"status line {line!r}")
        code, fields = int(status.group(1)), []
        while (line := self._line()) != b"\r\n":
            field = FIELD.fullmatch(line)
            if not field:
                raise Broken(f"field {line!r}")
            fields.append((field.group(1).decode(),
                           field.group(2).decode("latin-1").strip()))
        answer = Answer(code, fields, b"", False)
        answer.ends = (answer["Connection"] or "").lower() == "close"
        if method == "HEAD" or code < 200 or code in (204, 304):
            return answer
        if answer["Transfer-Encoding"]:
            answer.body = self._chunks()
        elif answer["Content-Length"] is not None:
            answer.body = self._take(int(answer["Content-Length"]))
        else:
            answer.body, answer.ends = self.rest(), True
        return answer

    def closed(self):
        """Whether nothing comes any more."""
        return self.rest() == b""

    def close(self):
        self.sock.close()


def request(target="/", *fields, method="GET", version="HTTP/1.1",
            host="localhost"):
    """The bytes of a request; fields are whole lines without their ends."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    return "\r\n".join([*lines, *fields, "", ""]).encode("latin-1")
