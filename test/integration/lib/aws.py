"""Amazon in one port on loopback: ECR's API, STS, the agent of EKS Pod
Identity, an instance's metadata. Signatures are checked as AWS does, and its
answers to wrong ones are the ones that AWS gives."""
import base64
import calendar
import email.utils
import itertools
import json
import secrets
import socket
import threading
import time
import urllib.parse

from . import hidden
from .faulty import FakeRegistry
from .sigv4 import Signed

REGION = "eu-central-1"
ECR = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
ECR_PUBLIC = "SpencerFrontendService.GetAuthorizationToken"
ROLE = "arn:aws:iam::123456789012:role/specman"
IMDS_ROLE = "specman-node"
_XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"


class Keys:
    """Keys that Amazon knows. Their rights are given by name."""

    def __init__(self, access, secret, session=None, seconds=None,
                 rights=("ecr:GetAuthorizationToken", "sts:AssumeRole")):
        self.access, self.secret, self.session = access, secret, session
        self.seconds = seconds
        self.end = time.time() + seconds if seconds is not None else None
        self.rights = set(rights)

    def environment(self):
        env = {"AWS_ACCESS_KEY_ID": self.access,
               "AWS_SECRET_ACCESS_KEY": self.secret}
        if self.session:
            env["AWS_SESSION_TOKEN"] = self.session
        return env


class Aws(FakeRegistry):
    """`tokens` are ECR's, with their ends; `skew_s` is how far its clock is
    ahead of ours."""

    def __init__(self):
        super().__init__()
        self.keys = {}
        self.tokens = {}
        self.calls = []          # (service, action, access key)
        self.secrets = set()     # that may stand in no log
        hidden.watch(self.secrets)
        self.region = REGION
        self.token_seconds = 12 * 3600
        self.keys_seconds = 3600
        self.late_s = 0          # how long both are good after the end it tells
        self.given = []          # (when, the end it tells) of ECR's tokens
        self.skew_s = 0
        self.identity = None     # the web identity's token
        self.agent_token = None  # for the Pod Identity agent
        self.metadata = False    # whether this is an instance with a role
        self.external_id = None
        self._numbers = itertools.count(1)
        self._sessions = set()

    # What it knows

    def make_keys(self, temporary=False, **options):
        keys = Keys(f"{'ASIA' if temporary else 'AKIA'}TEST"
                    f"{next(self._numbers):012}",
                    secrets.token_urlsafe(30) + "/+",
                    secrets.token_urlsafe(200) + "/+==" if temporary
                    else None, **options)
        self.keys[keys.access] = keys
        self.secrets.update(s for s in (keys.secret, keys.session) if s)
        return keys

    def environment(self, **more):
        """The variables that lead every question here, and nowhere else."""
        return {"AWS_ENDPOINT_URL": self.url, "HOME": "/nonexistent",
                "AWS_EC2_METADATA_DISABLED": "true", **more}

    def accepts(self, authorization):
        """Whether a registry's Authorization is a token that still lives."""
        scheme, _, token = (authorization or "").partition(" ")
        return scheme == "Basic" and \
            self.tokens.get(token, 0) + self.late_s > time.time()

    def renewed_in_time(self):
        """Whether a token was asked for before the end of the one before."""
        return any(after[0] < before[1] for before, after in
                   zip(self.given, self.given[1:]))

    def count(self, service):
        return len([c for c in self.calls if c[0] == service])

    # Requests

    def _answer(self, request):
        body = request.rfile.read(
            int(request.headers.get("Content-Length") or 0))
        if request.path.startswith("/latest/"):
            return self._metadata(request)
        if request.command == "GET" and request.path == "/v1/credentials":
            return self._agent(request)
        if request.command != "POST" or request.path != "/":
            return request.reply(404, b"no such thing")
        target = request.headers.get("X-Amz-Target")
        if target in (ECR, ECR_PUBLIC):
            return self._ecr(request, body, target)
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if form.get("Version") == "2011-06-15":
            return self._sts(request, body, form)
        return request.reply(404, {"__type": "UnknownOperationException"})

    def _dated(self, request, status, body, kind):
        """Like AWS: its own clock stands in each answer."""
        request.send_response_only(status)
        request.send_header("Date", email.utils.formatdate(
            time.time() + self.skew_s, usegmt=True))
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        return True

    def _json(self, request, status, value):
        return self._dated(request, status, json.dumps(value).encode(),
                           "application/x-amz-json-1.1")

    def _verify(self, request, body, service, right):
        """(keys, None), or (None, (code, message)): the code without
        "Exception", which the JSON protocol puts behind most."""
        signed = Signed.read(request.headers.get("Authorization"))
        if not signed:
            return None, ("MissingAuthenticationToken", "no signature")
        self.calls.append((service, right, signed.access_key))
        if (signed.region, signed.service) != (self.region, service):
            return None, ("InvalidSignature", "Credential should be scoped "
                          f"to a valid region, not '{signed.region}'.")
        keys = self.keys.get(signed.access_key)
        if not keys or keys.session != request.headers.get(
                "X-Amz-Security-Token"):
            return None, ("UnrecognizedClient", "The security token included "
                          "in the request is invalid.")
        wrong = signed.check(keys.secret, request.command, request.path,
                             request.headers.items(), body)
        if wrong:
            return None, ("InvalidSignature", "The request signature we "
                          "calculated does not match the signature you "
                          "provided. Check your AWS Secret Access Key and "
                          "signing method.\n\nThe Canonical String for this "
                          "request should have been\n'POST\n/\n\n"
                          f"x-amz-security-token:{keys.session}' ({wrong})")
        date = calendar.timegm(time.strptime(
            request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
        if abs(date - time.time() - self.skew_s) > 300:
            return None, ("InvalidSignature", "Signature expired: "
                          f"{request.headers['X-Amz-Date']} is now earlier "
                          "than 20240101T000000Z (20240101T000500Z - 5 min.)")
        if keys.end and keys.end + self.late_s < time.time():
            return None, ("ExpiredToken", "The security token included in "
                          "the request is expired")
        if right not in keys.rights:
            return None, ("AccessDenied", "User: arn:aws:iam::123456789012:"
                          f"user/specman is not authorized to perform: {right}"
                          " on resource: * because no identity-based policy "
                          f"allows the {right} action")
        return keys, None

    # ECR

    def _ecr(self, request, body, target):
        public = target == ECR_PUBLIC
        service = "ecr-public" if public else "ecr"
        if request.headers.get("Content-Type") != \
                "application/x-amz-json-1.1" or json.loads(body) != {}:
            return self._json(request, 400,
                              {"__type": "SerializationException"})
        keys, error = self._verify(request, body, service,
                                   service + ":GetAuthorizationToken")
        if not keys:
            return self._json(request, 400, {
                "__type": "com.amazon.coral#" + error[0] + "Exception",
                "message": error[1]})
        password = secrets.token_urlsafe(64)
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        end = time.time() + self.token_seconds
        self.tokens[token] = end
        self.given.append((time.time(), end))
        self.secrets.update((password, token))
        data = {"authorizationToken": token, "expiresAt": end + self.skew_s,
                "proxyEndpoint": "https://123456789012.dkr.ecr."
                                 f"{REGION}.amazonaws.com"}
        return self._json(request, 200, {
            "authorizationData": data if public else [data]})

    # STS

    def _sts(self, request, body, form):
        action = form["Action"]
        if action == "AssumeRoleWithWebIdentity":
            self.calls.append(("sts", action, None))
            error = None
            if request.headers.get("Authorization"):
                error = ("InvalidAction", "it is not signed")
            elif form["WebIdentityToken"] != self.identity:
                error = ("InvalidIdentityToken", "No OpenIDConnect provider "
                         "found in your account for "
                         f"\"{form['WebIdentityToken']}\"")
        else:
            keys, error = self._verify(request, body, "sts",
                                       "sts:AssumeRole")
            if keys and form.get("ExternalId") != self.external_id:
                error = ("AccessDenied", "User: arn:aws:iam::123456789012:"
                         "user/specman is not authorized to perform: "
                         f"sts:AssumeRole on resource: {form['RoleArn']}")
        if not error and form["RoleArn"] != ROLE:
            error = ("AccessDenied", f"Not authorized to perform sts:{action}")
        if error:
            code = {"UnrecognizedClient": "InvalidClientTokenId",
                    "InvalidSignature": "SignatureDoesNotMatch"}.get(error[0], error[0])
            message = error[1].replace('"', "&quot;")
            return self._dated(request, 403, (
                f'<ErrorResponse xmlns="{_XMLNS}">\n  <Error>\n'
                f"    <Type>Sender</Type>\n    <Code>{code}</Code>\n"
                f"    <Message>{message}</Message>\n  </Error>\n"
                "</ErrorResponse>\n").encode(), "text/xml")
        made = self._temporary()
        return self._dated(request, 200, (
            f'<{action}Response xmlns="{_XMLNS}">\n  <{action}Result>\n'
            f"    <AssumedRoleUser><Arn>{ROLE}</Arn></AssumedRoleUser>\n"
            "    <Credentials>\n"
            f"      <AccessKeyId>{made.access}</AccessKeyId>\n"
            f"      <SecretAccessKey>{made.secret}</SecretAccessKey>\n"
            f"      <SessionToken>{made.session}</SessionToken>\n"
            f"      <Expiration>{self._end(made)}</Expiration>\n"
            f"    </Credentials>\n  </{action}Result>\n</{action}Response>\n"
        ).encode(), "text/xml")

    def _temporary(self):
        return self.make_keys(temporary=True, seconds=self.keys_seconds)

    def _end(self, keys):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ",
                             time.gmtime(keys.end + self.skew_s))

    def _as_json(self, keys, **more):
        return {"AccessKeyId": keys.access, "SecretAccessKey": keys.secret,
                "Token": keys.session, "Expiration": self._end(keys), **more}

    # On the node

    def _agent(self, request):
        self.calls.append(("agent", None, None))
        if not self.agent_token or \
                request.headers.get("Authorization") != self.agent_token:
            return request.reply(401, b"Service account token is invalid")
        return request.reply(200, self._as_json(self._temporary(),
                                                AccountId="123456789012"))

    def _metadata(self, request):
        self.calls.append(("metadata", request.path, None))
        base = "/latest/meta-data/iam/security-credentials/"
        if request.path == "/latest/api/token":
            ttl = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            if request.command != "PUT" or not 1 <= int(ttl or 0) <= 21600:
                return request.reply(400)
            session = secrets.token_urlsafe(40) + "=="
            self._sessions.add(session)
            self.secrets.add(session)
            return request.reply(200, session.encode())
        if request.headers.get("X-aws-ec2-metadata-token") \
                not in self._sessions:
            return request.reply(401)
        if request.path == base and self.metadata:
            return request.reply(200, IMDS_ROLE.encode())
        if request.path == base + IMDS_ROLE and self.metadata:
            return request.reply(200, self._as_json(
                self._temporary(), Code="Success", Type="AWS-HMAC"))
        return request.reply(404)


class EcrRegistry(FakeRegistry):
    """A registry behind such tokens, which answers like ECR: no Bearer, 401
    to nobody, 403 without a challenge to a token that has ended."""

    def __init__(self, aws, authority, host="127.0.0.1"):
        super().__init__(authority, host)
        self.aws = aws
        self.missing = None  # a right that the caller lacks
        self.denied = 0      # tokens that had ended

    def _answer(self, request):
        authorization = request.headers.get("Authorization")
        if not authorization:
            return request.reply(401, b"Not Authorized\n", {
                "WWW-Authenticate": f'Basic realm="{self.url}/",'
                                    'service="ecr.amazonaws.com"'})
        if not self.aws.accepts(authorization):
            self.denied += 1
            return request.reply(403, {"errors": [{
                "code": "DENIED", "message": "Your authorization token has "
                "expired. Reauthenticate and try again."}]})
        if self.missing:
            return request.reply(403, {"errors": [{
                "code": "DENIED", "message": "User: arn:aws:iam::"
                "123456789012:user/specman is not authorized to perform: "
                f"{self.missing} on resource: arn:aws:ecr:{REGION}:"
                "123456789012:repository/spectro because no identity-based "
                f"policy allows the {self.missing} action"}]})
        return super()._answer(request)


class Tunnel:
    """An HTTP proxy that leads each CONNECT, whatever its host, to one port
    on loopback: so that a host can have its real name."""

    def __init__(self, port):
        self.hosts = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,),
                             daemon=True).start()

    def _serve(self, near):
        with near, near.makefile("rb") as lines:
            request = lines.readline().split()
            while lines.readline().strip():
                pass
            self.hosts.append(request[1].decode())
            with socket.create_connection(("127.0.0.1", self._port)) as far:
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pump, args=(far, near),
                                        daemon=True)
                back.start()
                _pump(near, far)
                back.join()


def _pump(source, sink):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
