"""--fips where OpenSSL's FIPS provider is missing, broken or another one: nothing
starts, and nothing falls back. With a real provider: test/fips/fips_test.py."""
import os
import unittest

from lib import artifact
from lib.case import Case
from lib.daemon import call, environment, parse, program
from lib.faulty import FakeRegistry
from lib import proc

SECTION = """openssl_conf = init
[init]
providers = providers
[providers]
fips = fips_sect
{more}
[fips_sect]
activate = 1
{module}
[default_sect]
activate = 1
"""


class Refused(Case):
    def config(self, module="", more=""):
        path = os.path.join(self.folder(), "openssl.cnf")
        with open(path, "w", encoding="ascii") as file:
            file.write(SECTION.format(module=module, more=more))
        return {"OPENSSL_CONF": path}

    def refuse(self, *words, env, seconds=30):
        """Runs what has to be refused; returns the fields of its one line."""
        done = call(*words, env=env, check=False, seconds=seconds)
        lines = done.stderr.decode().strip().split("\n")
        self.assertEqual((done.returncode, done.stdout, len(lines)),
                         (1, b"", 1), done)
        found = parse(lines[0])
        self.assertEqual((found["level"], found["msg"], found["cause"]),
                         ("error", "Refused by --fips", "fips-not-active"))
        self.assertIn("openssl fipsinstall", found["advice"])
        return found["error"]

    def test_every_command(self):
        """Without a provider nothing runs, and nothing is made or asked."""
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz({"a": b"a\n"}))
        data = os.path.join(self.folder(), "data")
        source = self.folder()
        with open(os.path.join(source, "file"), "wb") as file:
            file.write(b"x\n")
        none = {"OPENSSL_CONF": "/dev/null"}
        for words in ([], ["serve"], ["sync"], ["ls"], ["cat", "a"],
                      ["verify"], ["export", "1.0.0", "-"], ["history"],
                      ["gc"], ["ca"], ["version"],
                      ["push", fake.repository() + ":2.0.0", source]):
            with self.subTest(command=words):
                error = self.refuse(
                    *words, "--fips", "--data-dir", data, "--plain-http",
                    "--listen", "127.0.0.1:0", "--admin-listen",
                    "127.0.0.1:0", "--repository", fake.repository(),
                    env=none)
                self.assertIn("FIPS provider is not active", error)
                self.assertIn("fips.so", error)
        self.assertEqual(fake.requests, [])
        self.assertFalse(os.path.exists(data))

    def test_by_the_environment(self):
        self.refuse("ca", "--data-dir", self.folder(),
                    env={"SPECMAN_FIPS": "true", "OPENSSL_CONF": "/dev/null"})

    def test_module_is_missing(self):
        """Named, beside the default provider, which would do all the rest."""
        env = self.config("module = /nowhere/fips.so",
                          "default = default_sect")
        self.assertIn(env["OPENSSL_CONF"], self.refuse(
            "ca", "--fips", "--data-dir", self.folder(), env=env))
        done = call("ca", "--data-dir", self.folder(), env=env)
        self.assertIn(b"BEGIN CERTIFICATE", done.stdout)

    def test_module_is_no_module(self):
        path = os.path.join(self.folder(), "fips.so")
        with open(path, "wb") as file:
            file.write(b"\x7fELF and no more")
        env = self.config(f"module = {path}")
        self.assertIn(env["OPENSSL_CONF"], self.refuse(
            "ca", "--fips", "--data-dir", self.folder(), env=env))

    def test_another_provider_by_that_name(self):
        """It loads and passes its self-tests, for it has none."""
        modules = proc.run(["openssl", "version", "-m"]).stdout.decode()
        legacy = os.path.join(modules.split('"')[1], "legacy.so")
        self.assertTrue(os.path.exists(legacy))
        for more in ("", "default = default_sect"):
            self.assertRegex(self.refuse(
                "ca", "--fips", "--data-dir", self.folder(),
                env=self.config(f"module = {legacy}", more)),
                "does not give SHA2-256 .nobody does")

    def test_check_says_so_and_goes_on(self):
        done = call("check", "--fips", "--data-dir", self.folder(),
                    env={"OPENSSL_CONF": "/dev/null"}, check=False)
        text = done.stdout.decode()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(text, "(?m)^FAIL OpenSSL: .*FIPS provider is not "
                         "active.*\n  cause: fips-not-active\n  do: ")
        self.assertRegex(text, "(?m)^ok   data directory: ")
        for step in ("certificate", "registry"):
            self.assertRegex(text, f"(?m)^skip {step}: needs OpenSSL")

    def test_passwords(self):
        """bcrypt and SHA-crypt are not approved: a wrong usage, whatever
        OpenSSL has."""
        done = proc.run([program(), "--fips", "--htpasswd", "/dev/null",
                         "--data-dir", self.folder()], check=False,
                        env=environment())
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--htpasswd does not go with --fips", done.stderr)

    def test_version_and_check_say_that_there_is_none(self):
        none = {"OPENSSL_CONF": "/dev/null"}
        self.assertRegex(call("version", env=none).stdout,
                         rb"\Aspecman \S+\nOpenSSL 3\.\S+ .*\n"
                         rb"no FIPS provider active\n\Z")
        self.assertRegex(call("check", "--data-dir", self.folder(), env=none,
                              check=False).stdout,
                         rb"(?m)^ok   OpenSSL: OpenSSL 3.*, without a FIPS")


if __name__ == "__main__":
    unittest.main()
