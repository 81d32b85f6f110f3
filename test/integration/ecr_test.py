"""Amazon's ECR: where AWS credentials come from, what is signed with them,
and what an operator is told when they don't work."""
import os
import unittest

from lib import artifact, secret, sigv4, tree
from lib.aws import ROLE, REGION, Aws, EcrRegistry
from lib.case import Case
from lib.registry import PATH, TokenServer
from lib.faulty import FakeRegistry
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

    def keys(self, credential_type="secret", **more):
        """The secret's keys, as the platform writes them."""
        with open(self.authority.ca, encoding="ascii") as file:
            ca = file.read()
        return {"endpoint": self.registry.url, "caCert": ca,
                "baseContentPath": PATH.partition("/")[0], "region": REGION,
                "credentialType": credential_type, **more}

    def launch(self, keys, *flags, interval="1h", **variables):
        mounted = secret.Secret(os.path.join(self.folder(), "secret"))
        mounted.put({k: v for k, v in keys.items() if v is not None})
        daemon = self.start("--registry-secret-dir", mounted.folder,
                            "--poll-interval", interval, *flags,
                            env=self.aws.environment(**variables))
        self.addCleanup(self.check_log, daemon)
        return daemon

    def check_log(self, daemon):
        log = daemon.log()
        for text in self.aws.secrets:
            self.assertNotIn(text, log)

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
        return self.keys(accessKey=keys.access, secretKey=keys.secret,
                         sessionToken=keys.session, **more)


class Sources(EcrCase):
    """Each place where credentials can be, to files served."""

    def test_keys_of_the_secret(self):
        daemon = self.launch(self.given(self.aws.make_keys()))
        self.wait_served(daemon)
        self.assertEqual(self.aws.count("ecr"), 1)
        # The token is shown at once: nobody is asked for a challenge.
        self.assertTrue(all("Authorization" in headers for _, _, headers in
                            self.registry.requests))

    def test_temporary_keys_of_the_secret(self):
        self.wait_served(self.launch(self.given(
            self.aws.make_keys(temporary=True))))

    def test_environment(self):
        keys = self.aws.make_keys(temporary=True)
        self.wait_served(self.launch(self.keys(None, credentialType=None),
                                     **keys.environment())) \
            if False else self.wait_served(self.launch(
                self.keys("sts", arn=ROLE), **keys.environment()))


if __name__ == "__main__":
    unittest.main()
