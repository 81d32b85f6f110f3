"""Amazon's ECR: where AWS credentials come from, what is signed with them,
and what an operator is told when they don't work."""
import json
import os
import re
import time
import unittest

from lib import artifact, hidden, secret, sigv4, tree
from lib.aws import ROLE, REGION, Aws, EcrRegistry, Tunnel
from lib.case import Case
from lib.daemon import call
from lib.faulty import FakeRegistry
from lib.registry import PATH
from lib.stage import closed_port
from lib.wait import until

# AWS' Signature Version 4 test suite: these are its constants.
SUITE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE_DATE = "20150830T123600Z"
SUITE_SESSION = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWH"
    "GBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC"
    "1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQ"
    "cHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fP"
    "OLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==")
FORM = "application/x-www-form-urlencoded"
# name, method, target, more headers, body, signature
SUITE = [
    ("get-vanilla", "GET", "/", [], b"", "5fa00fa31553b73ebf1942676e86291e8372"
     "ff2a2260956d9b8aae1d763fbf31"),
    ("get-vanilla-empty-query-key", "GET", "/?Param1=value1", [], b"",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    ("get-header-key-duplicate", "GET", "/",
     [("My-Header1", "value2"), ("My-Header1", "value2"),
      ("My-Header1", "value1")], b"", "c9d5ea9f3f72853aea855b47ea873832890dbdd"
     "183b4468f858259531a5138ea"),
    ("get-header-value-trim", "GET", "/",
     [("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')], b"",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    ("post-vanilla", "POST", "/", [], b"", "5da7c1a2acd57cee7505fc6676e4e54462"
     "1c30862966e37dddb68e92efbe5d6b"),
    ("post-sts-header-before", "POST", "/",
     [("X-Amz-Security-Token", SUITE_SESSION)], b"",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ("post-x-www-form-urlencoded", "POST", "/", [("Content-Type", FORM)],
     b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196"
     "a0fe09473a"),
    ("post-x-www-form-urlencoded-parameters", "POST", "/",
     [("Content-Type", FORM + "; charset=utf8")], b"Param1=value1",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"),
]


class Verifier(unittest.TestCase):
    """The tests' own idea of a signature is AWS' one."""

    def headers(self, more):
        return [("Host", "example.amazonaws.com"),
                ("X-Amz-Date", SUITE_DATE), *more]

    def signed(self, more, signature):
        names = sorted({name.lower() for name, _ in self.headers(more)})
        return sigv4.Signed.read(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/"
            f"service/aws4_request, SignedHeaders={';'.join(names)}, "
            f"Signature={signature}")

    def test_suite(self):
        for name, method, target, more, body, signature in SUITE:
            with self.subTest(name):
                self.assertIsNone(self.signed(more, signature).check(
                    SUITE_SECRET, method, target, self.headers(more), body))

    def test_documented_example(self):
        """The request of "Signature Version 4 signing process" in the AWS
        General Reference: IAM's ListUsers, with the suite's keys and date."""
        signed = sigv4.Signed.read(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/"
            "aws4_request, SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b59"
            "24a6f2b5d7")
        self.assertIsNone(signed.check(
            SUITE_SECRET, "GET", "/?Action=ListUsers&Version=2010-05-08", [
                ("Host", "iam.amazonaws.com"), ("X-Amz-Date", SUITE_DATE),
                ("Content-Type", FORM + "; charset=utf-8")], b""))

    def test_anything_else_is_refused(self):
        _, method, target, more, body, signature = SUITE[6]
        check = self.signed(more, signature).check
        headers = self.headers(more)
        later = [(n, v.replace("1236", "1237")) for n, v in headers]
        for case in (("x" + SUITE_SECRET, method, target, headers, body),
                     (SUITE_SECRET, "GET", target, headers, body),
                     (SUITE_SECRET, method, "/?a=b", headers, body),
                     (SUITE_SECRET, method, target, later, body),
                     (SUITE_SECRET, method, target, headers, body + b"&")):
            self.assertIsNotNone(check(*case))
        # The token of a session is to be signed, too.
        self.assertIsNotNone(check(SUITE_SECRET, method, target, headers + [
            ("X-Amz-Security-Token", "x")], body))


class Named:
    """An authority that issues but one certificate."""

    def __init__(self, files):
        self.issue = lambda: files


class EcrCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.authority = cls.class_authority()

    def setUp(self):
        self.aws = Aws()
        self.addCleanup(self.aws.stop)
        self.registry = self.make_registry()
        self.addCleanup(self.registry.stop)
        self.registry.push("4.5.13", artifact.tgz(tree.release("4.5.13")))

    def make_registry(self):
        return EcrRegistry(self.aws, self.authority)

    def keys(self, kind="secret", **more):
        """What the platform writes into the secret; None: not there."""
        with open(self.authority.ca, encoding="ascii") as file:
            ca = file.read()
        return {"endpoint": self.registry.url, "caCert": ca,
                "baseContentPath": PATH.partition("/")[0], "region": REGION,
                "credentialType": kind, **more}

    def launch(self, keys, *flags, interval="1h", **variables):
        mounted = secret.Secret(os.path.join(self.folder(), "secret"))
        mounted.put({k: v for k, v in keys.items() if v is not None})
        daemon = self.start("--registry-secret-dir", mounted.folder,
                            "--poll-interval", interval, *flags,
                            env=self.aws.environment(**variables))
        return daemon

    def wait_served(self, daemon, tag="4.5.13"):
        daemon.wait_log(r"msg=Published\b.* tag=%s\b" % tag)
        self.check_tree(self.client(daemon), tree.release(tag))

    def wait_failed(self, daemon, pattern):
        failed = daemon.wait_log(r'level=error msg="Sync failed"')
        self.assertRegex(failed["error"], pattern)
        return failed

    def file(self, text):
        path = os.path.join(self.folder(), "file")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def given(self, keys, **more):
        """The same with AWS' keys in it."""
        return self.keys(**{"accessKey": keys.access,
                            "secretKey": keys.secret,
                            "sessionToken": keys.session, **more})


class Sources(EcrCase):
    """Each place where credentials can be, to files served."""

    def test_keys_of_the_secret(self):
        daemon = self.launch(self.given(self.aws.make_keys()))
        self.wait_served(daemon)
        self.assertEqual(self.aws.count("ecr"), 1)
        # The token is shown at once: nobody is asked for a challenge.
        self.assertTrue(all("Authorization" in headers for _, _, headers in
                            self.registry.requests))

    def test_login_by_flags_counts_more(self):
        """Also where the secret says that it is ECR."""
        daemon = self.launch(
            self.given(self.aws.make_keys()), "--registry-username", "AWS",
            "--registry-password-file", self.file("of-yesterday"))
        self.wait_failed(daemon, "40[13] from the registry")
        config = self.file(json.dumps({"auths": {self.registry.host: {
            "username": "AWS", "password": "of-yesterday"}}}))
        daemon = self.launch(self.given(self.aws.make_keys()),
                             "--registry-config", config)
        self.wait_failed(daemon, "40[13] from the registry")
        self.assertEqual(self.aws.calls, [])

    def test_region_by_its_other_name(self):
        keys = self.given(self.aws.make_keys(), region=None)
        self.wait_served(self.launch({**keys, "default_region": REGION}))

    def test_temporary_keys_of_the_secret(self):
        self.wait_served(self.launch(self.given(
            self.aws.make_keys(temporary=True))))

    def test_assumed_role(self):
        self.aws.external_id = "tenant-7"
        daemon = self.launch(self.given(
            self.aws.make_keys(), credentialType="sts", arn=ROLE,
            externalId="tenant-7"))
        self.wait_served(daemon)
        self.assertEqual([c[:2] for c in self.aws.calls],
                         [("sts", "sts:AssumeRole"),
                          ("ecr", "ecr:GetAuthorizationToken")])

    def test_assumed_role_with_keys_of_the_environment(self):
        keys = self.aws.make_keys(temporary=True)
        self.wait_served(self.launch(self.keys("sts", arn=ROLE),
                                     **keys.environment()))

    def test_pod_identity(self):
        self.aws.agent_token = "eyJhbGciOi.pod-identity"
        token = self.file(self.aws.agent_token)
        self.aws.secrets.add(self.aws.agent_token)
        daemon = self.launch(
            self.keys("pod-identity"), "--log-level", "debug",
            AWS_CONTAINER_CREDENTIALS_FULL_URI=self.aws.url
            + "/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token,
            # The kind asked for is the only one that is looked at.
            AWS_ACCESS_KEY_ID="AKIANOTTHISONE", AWS_SECRET_ACCESS_KEY="x")
        self.wait_served(daemon)

    def test_pod_identity_without_an_agent(self):
        daemon = self.launch(self.keys("pod-identity"),
                             **self.aws.make_keys().environment())
        self.wait_failed(daemon, "no AWS credentials: "
                         "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set")

    def test_pod_identity_at_a_wrong_address(self):
        daemon = self.launch(
            self.keys("pod-identity"),
            AWS_CONTAINER_CREDENTIALS_FULL_URI="http://10.0.0.1/v1/x",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="never-to-be-sent")
        self.wait_failed(daemon, r"FULL_URI: 10\.0\.0\.1 may not be asked")


    def test_pod_identity_that_is_refused(self):
        """By the agent; and where nobody answers."""
        self.aws.agent_token = "of-another-pod"
        hidden.hide("of-this-pod")
        daemon = self.launch(
            self.keys("pod-identity"),
            AWS_CONTAINER_CREDENTIALS_FULL_URI=self.aws.url
            + "/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="of-this-pod")
        self.wait_failed(daemon, r"credentials of the pod's role: 401 from "
                         + re.escape(self.aws.host))
        self.assertEqual(self.aws.count("agent"), 1)
        daemon = self.launch(
            self.keys("pod-identity"), "--registry-retries", "0",
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://127.0.0.1:"
            f"{closed_port()}/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="of-this-pod")
        self.wait_failed(daemon, r"the container's agent: 127\.0\.0\.1:")


class NamedCase(EcrCase):
    """What is found by the host's name alone, without a word in the secret."""

    name = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"

    def make_registry(self):
        name = self.name
        cert = self.authority.issue("ecr", "DNS:" + name)
        registry = EcrRegistry(self.aws, Named(cert), name)
        self.tunnel = Tunnel(registry.port)
        self.addCleanup(self.tunnel.stop)
        return registry

    def launch_here(self, **variables):
        return self.launch(self.keys(credentialType=None, region=None),
                           HTTPS_PROXY=self.tunnel.url, **variables)


class DualStack(NamedCase):
    name = f"123456789012.dkr-ecr.{REGION}.on.aws"

    def test_sync_and_check(self):
        keys = self.aws.make_keys().environment()
        daemon = self.launch_here(**keys)
        self.wait_served(daemon)
        done = call("check", *daemon.command[5:], "--data-dir", self.folder(),
                    env=self.aws.environment(HTTPS_PROXY=self.tunnel.url,
                                             **keys))
        self.assertIn(f"ok   login: {self.registry.host} takes the AWS "
                      "credentials", done.stdout.decode())


class RealName(NamedCase):
    """The usual chain of sources."""

    def test_environment(self):
        keys = self.aws.make_keys(temporary=True)
        daemon = self.launch_here(
            AWS_WEB_IDENTITY_TOKEN_FILE="/nonexistent", **keys.environment())
        self.wait_served(daemon)
        self.assertEqual(self.aws.calls, [
            ("ecr", "ecr:GetAuthorizationToken", keys.access)])
        self.assertEqual(set(self.tunnel.hosts), {self.registry.host})

    def test_web_identity(self):
        self.aws.identity = "eyJhbGciOi.web/identity+&="
        self.aws.secrets.add(self.aws.identity)
        daemon = self.launch_here(
            AWS_WEB_IDENTITY_TOKEN_FILE=self.file(self.aws.identity + "\n"),
            AWS_ROLE_ARN=ROLE, AWS_REGION="us-west-2")
        self.wait_served(daemon)
        self.assertEqual([c[0] for c in self.aws.calls], ["sts", "ecr"])

    def test_web_identity_that_is_repeated(self):
        """In an error of a service that shows what it was told."""
        token = "eyJhbGciOi.web/identity+&="
        self.aws.secrets.add(token)
        self.aws.identity = "another"
        self.wait_failed(self.launch_here(
            AWS_WEB_IDENTITY_TOKEN_FILE=self.file(token), AWS_ROLE_ARN=ROLE,
            AWS_REGION="us-west-2"),
            r"can't be assumed: InvalidIdentityToken: .*\*{20}")

    def test_credentials_file(self):
        keys, other = self.aws.make_keys(), self.aws.make_keys()
        path = self.file(
            "# by hand\n[default]\n"
            f"aws_access_key_id = {other.access}\n"
            "aws_secret_access_key = wrong\n[profile-2]\r\n"
            f"aws_access_key_id={keys.access}\r\n"
            f"AWS_SECRET_ACCESS_KEY =  {keys.secret} \r\n")
        self.wait_served(self.launch_here(AWS_SHARED_CREDENTIALS_FILE=path,
                                          AWS_PROFILE="profile-2"))

    def test_redirects_are_not_followed(self):
        """What AWS is shown, keys and tokens, is for AWS alone."""
        other = FakeRegistry()
        self.addCleanup(other.stop)

        def move(request):
            request.rfile.read(int(request.headers.get("Content-Length") or 0))
            return request.reply(307, b"", {"Location": other.url
                                            + request.path})
        self.aws.hooks.append(move)
        token = self.file("pod-token-1")
        for keys, variables in (
                (self.given(self.aws.make_keys()), {}),
                (self.given(self.aws.make_keys(), credentialType="sts",
                            arn=ROLE), {}),
                (self.keys("pod-identity"), {
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI":
                    self.aws.url + "/v1/credentials",
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token}),
                (self.keys(credentialType=None, region=None), {
                    "AWS_EC2_METADATA_DISABLED": "false",
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.aws.url})):
            with self.subTest(keys=keys["credentialType"], **variables):
                self.aws.requests.clear()
                daemon = self.launch(keys, "--registry-retries", "0",
                                     HTTPS_PROXY=self.tunnel.url, **variables)
                self.wait_failed(daemon, "307|credentials")
                self.assertTrue(self.aws.requests)
                self.assertEqual(other.requests, [])
                daemon.stop()

    def test_metadata_of_an_instance(self):
        self.aws.metadata = True
        daemon = self.launch_here(
            AWS_EC2_METADATA_DISABLED="false", HTTP_PROXY="http://127.0.0.1:1",
            NO_PROXY=f"127.0.0.1:{self.aws.port}",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=self.aws.url + "/")
        self.wait_served(daemon)

    def test_nothing_anywhere(self):
        daemon = self.launch_here(
            AWS_EC2_METADATA_DISABLED="false",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=self.aws.url)
        failed = self.wait_failed(daemon, "no AWS credentials")
        for reason in ("environment: AWS_ACCESS_KEY_ID is not set",
                       "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set",
                       "Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI",
                       "credentials file: .*/nonexistent/.aws/credentials",
                       "instance: the instance has no role"):
            self.assertRegex(failed["error"], reason)
        self.assertEqual(self.registry.requests, [])

    def test_metadata_service_that_is_silent(self):
        self.aws.hooks.append(lambda request: request.path.startswith(
            "/latest/") and request.wait_closed())
        daemon = self.launch_here(
            AWS_EC2_METADATA_DISABLED="false",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=self.aws.url)
        self.wait_failed(daemon, "no AWS credentials.*instance: .*time")

    def test_given_username_is_no_business_of_aws(self):
        keys = self.keys(credentialType=None, region=None, username="AWS",
                         password="of-yesterday")
        daemon = self.launch(keys, HTTPS_PROXY=self.tunnel.url)
        self.wait_failed(daemon, "40[13] from the registry")
        self.assertEqual(self.aws.calls, [])


class Renewal(EcrCase):
    """Tokens and keys end; files go on being synced. What is asked for in time
    may reach AWS later on a busy machine, hence late_s."""

    def push(self, daemon, tag):
        self.registry.push(tag, artifact.tgz(tree.release(tag)))
        daemon.poll_now()
        self.wait_served(daemon, tag)

    def test_token_before_its_end(self):
        self.aws.token_seconds, self.aws.late_s = 4, 120
        daemon = self.launch(self.given(self.aws.make_keys()), interval="1s")
        self.wait_served(daemon)
        until(self.aws.renewed_in_time, "a renewed token", 30, daemon.tail)
        self.push(daemon, "4.5.15")
        # None was shown after its end: the registry has said no to nobody.
        self.assertEqual(self.registry.denied, 0)
        self.assertNotIn("Sync failed", daemon.log())

    def test_token_goes_on_while_aws_is_out_of_reach(self):
        """From half of its life to its end, which may be over before a busy
        machine has asked."""
        self.aws.token_seconds, self.aws.late_s = 12, 120
        self.assertTrue(any(self.goes_on(f"4.5.{tag}")
                            for tag in range(15, 20)))

    def goes_on(self, tag):
        self.aws.hooks.clear()
        tags = self.registry.repositories[PATH].tags
        for other in set(tags) - {"4.5.13"}:
            del tags[other]
        daemon = self.launch(self.given(self.aws.make_keys()), interval="1s")
        self.wait_served(daemon)
        self.aws.hooks.append(lambda request: request.reply(503))
        asked = len(self.aws.seen("POST", "^/$"))
        until(lambda: len(self.aws.seen("POST", "^/$")) > asked, "a renewal",
              30, daemon.tail)
        self.registry.push(tag, artifact.tgz(tree.release(tag)))
        daemon.poll_now()
        daemon.wait_log(rf'msg=Published .* tag={tag}\b|msg="Sync failed"')
        failed = "Sync failed" in daemon.log()
        if failed:
            self.assertGreater(time.time(), self.aws.given[-1][1],
                               "it was given up before its end")
        daemon.stop()
        return not failed

    def test_token_that_ends_early(self):
        daemon = self.launch(self.given(self.aws.make_keys()))
        self.wait_served(daemon)
        daemon.wait_log('msg="Sync done"')
        self.aws.tokens.clear()
        self.push(daemon, "4.5.15")
        self.assertEqual(self.aws.count("ecr"), 2)
        self.assertEqual(self.registry.denied, 1)
        self.assertNotIn("Sync failed", daemon.log())

    def test_temporary_keys_that_are_withdrawn(self):
        self.aws.agent_token = "pod-token-1"
        token = self.file(self.aws.agent_token)
        daemon = self.launch(
            self.keys("pod-identity"),
            AWS_CONTAINER_CREDENTIALS_FULL_URI=self.aws.url
            + "/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token)
        self.wait_served(daemon)
        daemon.wait_log('msg="Sync done"')
        self.aws.tokens.clear()
        self.aws.keys.clear()
        # Its file is read again each time.
        self.aws.agent_token = "pod-token-2"
        with open(token, "w", encoding="ascii") as file:
            file.write("pod-token-2")
        self.push(daemon, "4.5.15")
        self.assertEqual(self.aws.count("agent"), 2)

    def test_temporary_keys_before_their_end(self):
        self.aws.token_seconds, self.aws.late_s = 2, 120
        self.aws.keys_seconds = 16
        daemon = self.launch(self.given(
            self.aws.make_keys(), credentialType="sts", arn=ROLE),
            interval="1s")
        self.wait_served(daemon)
        until(lambda: self.aws.count("sts") >= 2, "renewed keys", 30,
              daemon.tail)
        self.assertNotIn("Sync failed", daemon.log())
        # And none were asked for again while they were good.
        self.assertGreater(self.aws.count("ecr"), self.aws.count("sts"))

    def test_clock_that_differs_a_little(self):
        self.aws.skew_s = 240
        self.wait_served(self.launch(self.given(
            self.aws.make_keys(), credentialType="sts", arn=ROLE)))


class Failures(EcrCase):
    """What an operator is told."""

    def test_wrong_secret_key(self):
        keys = self.aws.make_keys(temporary=True)
        wrong = self.given(keys, secretKey="wJalrXUtnFEMI-not-this-one")
        self.aws.secrets.add("wJalrXUtnFEMI")
        self.wait_failed(self.launch(wrong),
                         "secret key of the registry's secret does not fit")

    def test_unknown_access_key(self):
        self.wait_failed(self.launch(self.keys(
            accessKey="AKIAUNKNOWN", secretKey="wJalrXUt/unknown")),
            "doesn't know the access key of the registry's secret")

    def test_clock(self):
        for skew_s, words in ((17 * 60, "17 minutes behind"),
                              (-3 * 3600, "180 minutes ahead of")):
            self.aws.skew_s = skew_s
            self.wait_failed(self.launch(self.given(self.aws.make_keys())),
                             f"clock is {words} that of AWS")

    def test_missing_right_to_log_in(self):
        self.wait_failed(self.launch(self.given(self.aws.make_keys(
            rights=()))), "the right ecr:GetAuthorizationToken is missing")

    def test_missing_right_to_pull(self):
        self.registry.missing = "ecr:BatchGetImage"
        self.wait_failed(self.launch(self.given(self.aws.make_keys())),
                         "the right ecr:BatchGetImage is missing")
        # Another token would lack it, too.
        self.assertEqual(self.aws.count("ecr"), 1)

    def test_role_that_is_refused(self):
        self.aws.external_id = "tenant-7"
        self.wait_failed(self.launch(self.given(
            self.aws.make_keys(), credentialType="sts", arn=ROLE,
            externalId="tenant-8")),
            f"the role {ROLE} can't be assumed.*sts:AssumeRole")

    def test_wrong_region(self):
        self.wait_failed(self.launch(self.given(
            self.aws.make_keys(), region="us-east-1")),
            "the region is not the right one")

    def test_no_region(self):
        self.wait_failed(self.launch(self.given(
            self.aws.make_keys(), region=None)), "region .* is not known")

    def test_region_of_the_environment(self):
        self.wait_served(self.launch(self.given(
            self.aws.make_keys(), region=None), AWS_REGION=REGION))

    def test_refused_token(self):
        """The registry has the last word: no third question."""
        daemon = self.launch(self.given(self.aws.make_keys()))
        self.wait_served(daemon)
        self.registry.aws = Aws()
        self.addCleanup(self.registry.aws.stop)
        mark = daemon.mark()
        daemon.poll_now()
        failed = daemon.wait_log('msg="Sync failed"', mark)
        self.assertRegex(failed["error"], "403 .*authorization token has exp")
        self.assertEqual(self.aws.count("ecr"), 2)

    def test_throttled_answer_is_a_matter_of_the_network(self):
        def throttle(request):
            request.rfile.read(int(request.headers.get("Content-Length", 0)))
            return request.reply(400, {"__type": "ThrottlingException",
                                       "message": "Rate exceeded"})
        self.aws.hooks.append(throttle)
        failed = self.wait_failed(self.launch(self.given(
            self.aws.make_keys())), "ThrottlingException: Rate exceeded")
        self.assertEqual(failed["kind"], "network")

    def test_override_over_http_elsewhere_is_refused(self):
        daemon = self.launch(self.given(self.aws.make_keys()),
                             AWS_ENDPOINT_URL_ECR="http://192.0.2.1/")
        self.wait_failed(daemon, "AWS_ENDPOINT_URL_ECR is http")
        self.assertEqual(self.aws.calls, [])


class Public(EcrCase):
    """Public ECR: the token is for the token server that the registry names."""

    def make_registry(self, host="127.0.0.1", authority=None):
        registry = FakeRegistry(authority or self.authority, host)
        self.asked = []

        def serve(request):
            shown = request.headers.get("Authorization")
            if request.path.startswith("/token"):
                self.asked.append(shown)
                if shown and not self.aws.accepts(shown):
                    return request.reply(401)
                return request.reply(200, {"token": "bearer-1"})
            if shown == "Bearer bearer-1":
                return False
            return request.reply(401, b"", {
                "WWW-Authenticate": f'Bearer realm="{registry.url}/token/",'
                                    'service="public.ecr.aws",scope="aws"'})
        registry.hooks.append(serve)
        self.aws.secrets.add("bearer-1")
        return registry

    def test_with_keys(self):
        self.aws.region = "us-east-1"
        keys = self.aws.make_keys(rights=["ecr-public:GetAuthorizationToken"])
        self.wait_served(self.launch(self.given(keys, isPrivate="false")))
        self.assertTrue(self.aws.accepts(self.asked[0]))
        self.assertEqual(self.aws.count("ecr-public"), 1)

    def test_as_nobody(self):
        name = "public.ecr.aws"
        self.registry.stop()
        self.registry = self.make_registry(
            name, Named(self.authority.issue("public", "DNS:" + name)))
        self.addCleanup(self.registry.stop)
        self.registry.push("4.5.13", artifact.tgz(tree.release("4.5.13")))
        tunnel = Tunnel(self.registry.port)
        self.addCleanup(tunnel.stop)
        self.wait_served(self.launch(
            self.keys(credentialType=None, region=None),
            HTTPS_PROXY=tunnel.url))
        self.assertEqual(self.asked, [None])
        self.assertEqual(self.aws.calls, [])


if __name__ == "__main__":
    unittest.main()
