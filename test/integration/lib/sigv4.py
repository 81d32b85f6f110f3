"""AWS Signature Version 4, from AWS' description of it: what a service does
to check a request. No line of it is shared with what signs."""
import hashlib
import hmac
import re
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=([^/, ]+)/(\d{8})/([^/, ]+)/([^/, ]+)/"
    r"aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})")


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _path(path):
    return urllib.parse.quote(urllib.parse.unquote(path) or "/", safe="/~")


def _query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    return "&".join(sorted(f"{urllib.parse.quote(k, safe='~')}="
                           f"{urllib.parse.quote(v, safe='~')}"
                           for k, v in pairs))


def canonical(method, target, headers, signed, body):
    """The canonical request; headers are (name, value) as they came."""
    path, _, query = target.partition("?")
    values = {name: [] for name in signed}
    for name, value in headers:
        if name.lower() in values:
            values[name.lower()].append(re.sub(" +", " ", value.strip()))
    lines = [f"{name}:{','.join(values[name])}\n" for name in signed]
    return "\n".join([method, _path(path), _query(query), "".join(lines),
                      ";".join(signed), hashlib.sha256(body).hexdigest()])


def signature(secret, date, region, service, request):
    """`date` is that of the request: 20150830T123600Z."""
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, date, scope,
                      hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, text).hex()


class Signed:
    """What a request's Authorization says; None where it has no signature."""

    def __init__(self, match):
        (self.access_key, self.day, self.region, self.service, names,
         self.signature) = match.groups()
        self.headers = names.split(";")

    @classmethod
    def read(cls, authorization):
        match = _AUTHORIZATION.fullmatch(authorization or "")
        return cls(match) if match else None

    def check(self, secret, method, target, headers, body):
        """An error's text, or None: the signature is the right one, and over
        all that a service wants signed."""
        present = {name.lower(): value for name, value in headers}
        wanted = {"host"} | {n for n in present if n.startswith("x-amz-")}
        if not wanted <= set(self.headers) or \
                self.headers != sorted(self.headers):
            return f"signed are {self.headers}, to be signed {sorted(wanted)}"
        date = present["x-amz-date"]
        if date[:8] != self.day:
            return f"the scope is of {self.day}, the request of {date}"
        request = canonical(method, target, headers, self.headers, body)
        expected = signature(secret, date, self.region, self.service, request)
        return None if hmac.compare_digest(expected, self.signature) \
            else "another signature"
