#!/usr/bin/env python3
"""--fips with a real FIPS provider of OpenSSL, that of test/fips/provider.sh. Run
by `make fips-test`.

    test/fips/fips_test.py PROGRAM PROVIDER_DIR [TEST…]
"""
import os
import re
import shutil
import ssl
import sys
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "integration"))
from lib import artifact, proc, secret  # noqa: E402
from lib.aws import REGION, Aws, EcrRegistry  # noqa: E402
from lib.case import Case  # noqa: E402
from lib.daemon import call, parse  # noqa: E402
from lib.faulty import FakeRegistry  # noqa: E402
from lib.front import Nginx  # noqa: E402
from lib.registry import PATH, Registry  # noqa: E402

FILE = b"versions: []\n"
NAME = "roar/nickfury/versions.yaml"
CHACHA = "ECDHE-ECDSA-CHACHA20-POLY1305"
provider_dir = None


def provider_env(**more):
    return {"OPENSSL_CONF": os.path.join(provider_dir, "openssl.cnf"),
            "OPENSSL_MODULES": provider_dir, **more}


class FipsCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.authority = cls.class_authority()

    def fips(self, *flags, env=None, **options):
        return self.start("--fips", "--poll-interval", "1h", *flags,
                          env=provider_env(**(env or {})), **options)

    def other_config(self, change):
        """The configuration of OpenSSL, changed; and a module of its own."""
        folder = self.folder()
        shutil.copy(os.path.join(provider_dir, "fips.so"), folder)
        texts = {}
        for name in ("fipsmodule.cnf", "openssl.cnf"):
            with open(os.path.join(provider_dir, name), encoding="ascii") as file:
                texts[name] = file.read().replace(provider_dir, folder)
        change(texts, folder)
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
        return {"OPENSSL_CONF": os.path.join(folder, "openssl.cnf"),
                "OPENSSL_MODULES": folder}


class Whole(FipsCase):
    """The main job, against a real registry over TLS."""

    def setUp(self):
        self.registry = Registry(self.folder(), self.authority)
        self.addCleanup(self.registry.stop)
        self.registry.push("4.5.15", artifact.tgz({NAME: FILE}))
        self.flags = ["--repository", self.registry.repository(),
                      "--registry-ca", self.authority.ca]

    def test_serves_what_it_synced(self):
        daemon = self.fips(*self.flags)
        told = daemon.wait_log('msg="FIPS provider active"')
        self.assertEqual(told["name"], "OpenSSL FIPS Provider")
        self.assertRegex(told["version"], r"^3\.0\.\d+$")
        self.assertEqual(daemon.records()[0], told)
        daemon.wait_log("msg=Published")
        client = self.client(daemon)
        self.assertEqual(client.get("/" + NAME).body, FILE)
        data = ["--data-dir", daemon.data, "--fips"]
        self.assertEqual(call("cat", NAME, *data, env=provider_env()).stdout,
                         FILE)
        call("verify", *data, env=provider_env())
        call("sync", *data, *self.flags, env=provider_env())

    def test_commands(self):
        told = call("version", "--fips", env=provider_env()).stdout.decode()
        self.assertRegex(told, r"\nOpenSSL FIPS Provider 3\.0\.\d+ active\n")
        told = call("check", "--fips", *self.flags, "--data-dir",
                    self.folder(), env=provider_env()).stdout.decode()
        self.assertRegex(told, "(?m)^ok   OpenSSL: .*FIPS Provider .* active, "
                         "approved algorithms alone$")
        self.assertNotRegex(told, "(?m)^(FAIL|skip)")
        told = call("check", *self.flags, "--data-dir", self.folder(),
                    env=provider_env()).stdout.decode()
        self.assertRegex(told, r"(?m)^ok   OpenSSL: .*other algorithms as "
                         r"well \(no --fips\)$")
        source = self.folder()
        with open(os.path.join(source, "pushed.yaml"), "wb") as file:
            file.write(FILE)
        call("push", self.registry.repository() + ":4.6.0", source, "--fips",
             "--registry-ca", self.authority.ca, env=provider_env())
        daemon = self.fips(*self.flags)
        daemon.wait_log("msg=Published .*tag=4.6.0")
        self.assertEqual(self.client(daemon).get("/pushed.yaml").body, FILE)

    def test_beside_the_default_provider(self):
        """What it has besides is there, and is not used."""
        def change(texts, _):
            texts["openssl.cnf"] = texts["openssl.cnf"].replace(
                "base = base\n", "base = base\ndefault = all_else\n"
            ) + "[all_else]\nactivate = 1\n"
        env = self.other_config(change)
        daemon = self.start("--fips", "--poll-interval", "1h", *self.flags,
                            env=env)
        daemon.wait_log("msg=Published")
        self.assertFalse(shakes(daemon, "-tls1_2", "-cipher", CHACHA))
        self.assertTrue(shakes(daemon, "-tls1_2"))

    def test_named_but_not_active(self):
        """specman loads what the configuration names."""
        def change(texts, _):
            text = texts["fipsmodule.cnf"]
            texts["fipsmodule.cnf"] = text.replace("activate = 1\n", "")
            self.assertNotEqual(text, texts["fipsmodule.cnf"])
        env = self.other_config(change)
        self.assertIn(b"no FIPS provider active", call("version", env=env).stdout)
        self.assertIn(b"FIPS Provider 3", call("version", "--fips",
                                               env=env).stdout)

    def test_stricter_configuration_stays(self):
        """Properties that the operator asks for are kept beside fips=yes."""
        def change(texts, _):
            texts["openssl.cnf"] = texts["openssl.cnf"].replace(
                "[openssl_init]\n", "[openssl_init]\nalg_section = rules\n"
            ) + "[rules]\ndefault_properties = provider=nobody\n"
        done = call("version", "--fips", env=self.other_config(change),
                    check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"does not give SHA2-256", done.stderr)


class Broken(FipsCase):
    """A provider that can't be trusted is refused, by name of what fails."""

    def refuse(self, change):
        data = os.path.join(self.folder(), "data")
        done = call("--fips", "--data-dir", data, env=self.other_config(change),
                    check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertFalse(os.path.exists(data))
        told = parse(done.stderr.decode())
        self.assertEqual(told["cause"], "fips-not-active")
        return told["error"]

    def test_module_was_changed(self):
        def change(_, folder):
            path = os.path.join(folder, "fips.so")
            with open(path, "rb+") as file:
                image = file.read()
                at = image.index(b"OpenSSL FIPS Provider")
                file.seek(at)
                file.write(b"o")
        self.assertIn("self-test Module_Integrity, HMAC fails",
                      self.refuse(change))

    def test_checksum_of_another_module(self):
        def change(texts, _):
            texts["fipsmodule.cnf"] = re.sub(
                "module-mac = ..", "module-mac = 00", texts["fipsmodule.cnf"])
        self.assertIn("self-test Module_Integrity, HMAC fails",
                      self.refuse(change))

    def test_no_checksum(self):
        def change(texts, _):
            texts["openssl.cnf"] = re.sub(r"(?m)^(\.include .*|fips = .*)\n",
                                          "", texts["openssl.cnf"])
        self.assertIn("can't be loaded: missing config data",
                      self.refuse(change))

    def test_module_is_gone(self):
        def change(_, folder):
            os.remove(os.path.join(folder, "fips.so"))
        self.assertIn("cannot open shared object file", self.refuse(change))


def shakes(daemon, *options):
    """Whether openssl s_client, with these options, gets a session."""
    done = proc.run(["openssl", "s_client", "-connect",
                     "%s:%d" % daemon.address(), *options], check=False)
    text = done.stdout.decode(errors="replace")
    if "Cipher is (NONE)" in text or done.returncode:
        assert "alert handshake failure" in done.stderr.decode(), done
        return None
    return text


class Handshakes(FipsCase):
    """What clients are offered; each probe also against a specman without --fips,
    where it has to work."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fake = FakeRegistry()
        cls.addClassCleanup(cls.fake.stop)
        cls.fake.push("4.5.15", artifact.tgz({NAME: FILE}))

    def pair(self, *flags):
        common = ["--repository", self.fake.repository(), "--plain-http",
                  *flags]
        both = (self.fips(*common),
                self.start("--poll-interval", "1h", *common))
        for daemon in both:
            daemon.wait_log("msg=Published")
        return both

    def test_not_approved(self):
        # To ECDSA, TLS 1.2 has the certificate's curve among the groups.
        cert, key = self.authority.issue("rsa", algorithm="rsa")
        fips, usual = self.pair("--tls-cert", cert, "--tls-key", key)
        for options in (
                ["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"],
                ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
                ["-tls1_2", "-groups", "X25519"],
                ["-tls1_3", "-groups", "X25519"]):
            with self.subTest(options=options):
                self.assertTrue(shakes(usual, *options))
                self.assertFalse(shakes(fips, *options))

    def test_approved(self):
        fips, _ = self.pair()
        for options, cipher in (
                (["-tls1_3", "-groups", "P-256"], "TLS_AES_128_GCM_SHA256"),
                (["-tls1_3", "-groups", "P-384"], "TLS_AES_128_GCM_SHA256"),
                (["-tls1_2", "-groups", "P-256"],
                 "ECDHE-ECDSA-AES128-GCM-SHA256"),
                (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
                 "ECDHE-ECDSA-AES256-GCM-SHA384")):
            with self.subTest(options=options):
                self.assertIn(f"Cipher is {cipher}", shakes(fips, *options))

    def test_sslscan(self):
        fips, _ = self.pair()
        done = proc.run(["sslscan", "--no-colour", "--xml=-",
                         "%s:%d" % fips.address()], 120)
        test = xml.fromstring(done.stdout).find("ssltest")
        self.assertEqual(
            {c.get("cipher") for c in test.findall("cipher")},
            {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
             "ECDHE-ECDSA-AES128-GCM-SHA256",
             "ECDHE-ECDSA-AES256-GCM-SHA384"})
        self.assertEqual({g.get("name") for g in test.findall("group")},
                         {"secp256r1 (NIST P-256)", "secp384r1 (NIST P-384)",
                          "secp521r1 (NIST P-521)"})

    def test_sessions_are_resumed(self):
        """A ticket's cipher and MAC are approved ones."""
        fips, _ = self.pair()
        kept = os.path.join(self.folder(), "session")
        for version in ("-tls1_2", "-tls1_3"):
            address = "%s:%d" % fips.address()
            ask = [b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
            proc.run(["openssl", "s_client", "-connect", address, version,
                      "-sess_out", kept, "-ign_eof"], input=ask[0])
            done = proc.run(["openssl", "s_client", "-connect", address,
                             version, "-sess_in", kept, "-ign_eof"],
                            input=ask[0])
            self.assertIn(b"Reused, TLS", done.stdout)

    def test_client_certificates(self):
        own = self.class_authority()
        fips, usual = self.pair("--tls-client-ca", own.ca)
        for algorithm in ("ec", "rsa"):
            pair = own.issue(algorithm, algorithm=algorithm)
            for daemon in (fips, usual):
                self.assertTrue(self.lets_in(daemon, pair), algorithm)
        pair = ed25519(own, self.folder())
        self.assertTrue(self.lets_in(usual, pair))
        self.assertFalse(self.lets_in(fips, pair))

    @staticmethod
    def lets_in(daemon, pair):
        done = proc.run(
            ["openssl", "s_client", "-connect", "%s:%d" % daemon.address(),
             "-cert", pair[0], "-key", pair[1], "-ign_eof"], check=False,
            input=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return b"HTTP/1.1 200" in done.stdout

    def test_own_key_that_is_not_approved(self):
        cert, key = ed25519(self.authority, self.folder())
        flags = ["--repository", self.fake.repository(), "--plain-http",
                 "--tls-cert", cert, "--tls-key", key]
        self.start(*flags).wait_log("msg=Published")
        done = call("--fips", "--data-dir", self.folder(), "--listen",
                    "127.0.0.1:0", *flags, env=provider_env(), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"is not approved for FIPS", done.stderr)
        done = call("check", "--fips", "--data-dir", self.folder(), *flags,
                    env=provider_env(), check=False)
        self.assertIn(b"  cause: key-not-approved\n", done.stdout)


def ed25519(authority, folder):
    """A certificate of the authority for a key that is not approved."""
    key, request, cert, ext = (os.path.join(folder, name) for name in (
        "ed.key", "ed.csr", "ed.pem", "ed.ext"))
    proc.run(["openssl", "req", "-newkey", "ed25519", "-nodes", "-keyout", key,
              "-out", request, "-subj", "/CN=ed25519"])
    with open(ext, "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    authority._sign(request, ext, cert, (0, 30))
    return cert, key


class Narrow(Nginx):
    """A registry that offers but one thing."""

    def __init__(self, folder, registry, authority, rules):
        self.rules = rules
        super().__init__(folder, registry, authority)

    def config(self):
        return super().config().replace("client_max_body_size",
                                        self.rules + "\nclient_max_body_size")

    def location(self):
        return (f"proxy_pass {self.registry.url};\n"
                "proxy_set_header Host $http_host;")


class Registries(FipsCase):
    """What registries have to offer."""

    def sync(self, repository, fips=True, check=False):
        return call("sync", *(["--fips"] if fips else []), "--repository",
                    repository, "--registry-ca", self.authority.ca,
                    "--registry-retries", "0", "--data-dir", self.folder(),
                    env=provider_env() if fips else None, check=check)

    def test_only_what_is_not_approved(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("4.5.15", artifact.tgz({NAME: FILE}))
        for rules in (
                f"ssl_protocols TLSv1.2; ssl_ciphers {CHACHA};",
                "ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites "
                "TLS_CHACHA20_POLY1305_SHA256;",
                "ssl_protocols TLSv1.2; ssl_ecdh_curve X25519;",
                "ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;"):
            with self.subTest(rules=rules):
                front = Narrow(self.folder(), fake, self.authority, rules)
                self.addCleanup(front.stop)
                repository = f"{front.host}/{PATH}"
                self.sync(repository, fips=False, check=True)
                before = len(fake.requests)
                done = self.sync(repository)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"cause=tls-handshake", done.stderr)
                self.assertEqual(len(fake.requests), before)

    def test_certificate_that_is_not_approved(self):
        fake = FakeRegistry(self.authority)
        self.addCleanup(fake.stop)
        fake.push("4.5.15", artifact.tgz({NAME: FILE}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*ed25519(self.authority, self.folder()))
        fake.exchange_context(context)
        self.sync(fake.repository(), fips=False, check=True)
        done = self.sync(fake.repository())
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cause=tls-handshake", done.stderr)

    def test_chain_that_is_not_approved(self):
        """An approved key, whose certificate a CA with Ed25519 has signed."""
        folder = self.folder()
        ca, ca_key, key, request, cert, ext = (
            os.path.join(folder, name) for name in (
                "ca.pem", "ca.key", "key", "csr", "pem", "ext"))
        proc.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes",
                  "-keyout", ca_key, "-out", ca, "-days", "30", "-subj",
                  "/CN=edwards"])
        proc.run(["openssl", "req", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                  request, "-subj", "/CN=registry"])
        with open(ext, "w", encoding="ascii") as file:
            file.write("subjectAltName=IP:127.0.0.1\n")
        proc.run(["openssl", "x509", "-req", "-in", request, "-CA", ca,
                  "-CAkey", ca_key, "-extfile", ext, "-out", cert, "-days",
                  "30", "-CAcreateserial"])
        fake = FakeRegistry(self.authority)
        self.addCleanup(fake.stop)
        fake.push("4.5.15", artifact.tgz({NAME: FILE}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        fake.exchange_context(context)
        flags = ["--repository", fake.repository(), "--registry-ca", ca,
                 "--registry-retries", "0"]
        call("sync", *flags, "--data-dir", self.folder())
        done = call("sync", "--fips", *flags, "--data-dir", self.folder(),
                    env=provider_env(), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"certificate signature algorithm", done.stderr)
        self.assertIn(b"cause=tls-handshake", done.stderr)

    def test_ecr(self):
        """Requests to AWS are signed with SHA-256 of the provider."""
        aws = Aws()
        self.addCleanup(aws.stop)
        registry = EcrRegistry(aws, self.authority)
        self.addCleanup(registry.stop)
        registry.push("4.5.13", artifact.tgz({NAME: FILE}))
        keys = aws.make_keys()
        mounted = secret.Secret(os.path.join(self.folder(), "secret"))
        with open(self.authority.ca, encoding="ascii") as file:
            ca = file.read()
        mounted.put({
            "endpoint": registry.url, "caCert": ca, "region": REGION,
            "baseContentPath": PATH.partition("/")[0],
            "credentialType": "secret", "accessKey": keys.access,
            "secretKey": keys.secret})
        daemon = self.fips("--registry-secret-dir", mounted.folder,
                           env=aws.environment())
        daemon.wait_log("msg=Published")
        self.assertEqual(aws.count("ecr"), 1)
        self.assertEqual(self.client(daemon).get("/" + NAME).body, FILE)


if __name__ == "__main__":
    os.environ["SPECMAN"] = os.path.abspath(sys.argv[1])
    provider_dir = os.path.abspath(sys.argv[2])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
