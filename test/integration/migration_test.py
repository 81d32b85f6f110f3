"""The migration guide (deploy/MIGRATION.md) as one test: an nginx that serves the old
SCAR, its folder pushed, specman in its place, the platform's endpoint set to it; then
back again."""
import http.client
import os
import re
import ssl
import unittest

from lib import hidden, proc, tree
from lib.case import Case, quote
from lib.daemon import call, environment
from lib.front import Nginx
from lib.registry import Registry
from lib.scar import JOBS, USER, Console
from lib.secret import Secret, platform

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                      os.pardir, "deploy")
SCRIPT = os.path.join(DEPLOY, "scar-endpoint.sh")
GUIDE = os.path.join(DEPLOY, "MIGRATION.md")
PASSWORD = "console \"pass\" \\word ü"


class OldScar(Nginx):
    """nginx over a folder, as the customer runs it."""

    def __init__(self, folder, root, authority):
        self.root = root
        super().__init__(folder, None, authority)

    def location(self):
        return f"root {self.root};\nautoindex on;"


class Migration(Case):
    def setUp(self):
        self.authority = self.class_authority()
        self.old = self.make_old_scar()
        self.registry = Registry(self.folder(), self.authority, "robot$push",
                                 "registry pass")
        self.addCleanup(self.registry.stop)
        hidden.hide(PASSWORD, "registry pass")
        self.old_url = "https://" + self.old.host
        self.console = Console(self.folder(), self.authority, PASSWORD, {
            "endpoint": self.old_url, "username": "", "password": ""})
        self.addCleanup(self.console.stop)
        self.state = os.path.join(self.folder(), "former.json")

    def make_old_scar(self):
        self.root = self.folder()
        os.chmod(self.root, 0o755)
        self.files = {**tree.release("4.5.13"), **tree.release("4.5.15"),
                      **tree.operators_own(),
                      "roar/images/a b+c%d.bin": tree.binary(1, 3 << 20),
                      "roar/empty.yaml": b""}
        for path, data in self.files.items():
            full = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as file:
                file.write(data)
        os.symlink("4.5.15", os.path.join(self.root, "roar/nickfury/newest"))
        self.files["roar/nickfury/newest/version.yaml"] = \
            self.files["roar/nickfury/4.5.15/version.yaml"]
        old = OldScar(os.path.join(self.folder(), "nginx"), self.root,
                      self.authority)
        self.addCleanup(old.stop)
        return old

    def get(self, url, path, ca):
        host = url.split("//")[1]
        connection = http.client.HTTPSConnection(
            host, context=ssl.create_default_context(cafile=ca))
        connection.request("GET", "/" + quote(path))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def script(self, *arguments, code=0):
        done = proc.run([SCRIPT, self.console.url, "--user", USER, "--ca",
                         self.authority.ca, "--state", self.state, *arguments],
                        check=False, env=environment(
                            {"SCAR_ADMIN_PASSWORD": PASSWORD}))
        text = (done.stdout + done.stderr).decode()
        hidden.check(text)
        self.assertEqual(done.returncode, code, text)
        return text

    def push(self):
        password = os.path.join(self.folder(), "password")
        with open(password, "w", encoding="ascii") as file:
            file.write("registry pass\n")
        reference = self.registry.repository() + ":0.0.0"
        out = call("push", reference, self.root, "--registry-ca",
                   self.authority.ca, "--registry-username", "robot$push",
                   "--registry-password-file", password).stdout.decode()
        self.assertIn(f"pushed {reference}: manifest sha256:", out)

    def sync(self):
        """specman, which learns of the registry by the console's secret."""
        secret = Secret(os.path.join(self.folder(), "secret"))
        daemon = self.start("--registry-secret-dir", secret.folder)
        daemon.wait_log("Waiting for the registry secret")
        secret.put(platform(self.registry))
        daemon.wait_log(r'msg="Persisting 0\.0\.0"')
        daemon.wait_log(r"msg=Published .*tag=0\.0\.0")
        return daemon

    def compare(self, url, ca):
        """Every file of the tree, from nginx and from specman."""
        for path, data in self.files.items():
            was = self.get(self.old_url, path, self.authority.ca)
            self.assertEqual(was, (200, data), path)
            self.assertEqual(self.get(url, path, ca), was, path)

    def compare_as_the_guide_says(self, port, ca):
        """The commands of its step 4, with other ports and files."""
        with open(GUIDE, encoding="utf-8") as file:
            lines = re.search(r"(?m)^    NAME=.*\n(?:    .*\n)+", file.read())
        script = lines.group().replace(
            "127.0.0.1:8443", f"127.0.0.1:{port}").replace(
                "specman-ca.pem", ca)
        done = proc.run(["bash", "-euc", script], check=False,
                        cwd=self.folder(), env=environment(
                            {"SCAR": self.root, "LC_ALL": "C.UTF-8"}))
        self.assertEqual((done.returncode, done.stdout), (0, b"the same\n"),
                         done.stderr)

    def test_the_guide(self):
        self.assertIn("endpoint: " + self.old_url, self.script("show"))
        self.push()
        daemon = self.sync()
        self.assertRegex(call("ls", "--data-dir", daemon.data).stdout.decode(),
                         r"(?m)^0\.0\.0 +\d{4}-.* sha256:")
        url = "https://%s:%d" % daemon.address()
        ca = daemon.ca()
        self.compare(url, ca)

        self.compare_as_the_guide_says(daemon.address()[1], ca)

        # A certificate that the operator does not know is not set.
        self.assertIn("Nothing was changed", self.script("set", url, code=12))
        self.assertEqual(self.console.setting["endpoint"], self.old_url)
        out = self.script("set", url, "--endpoint-ca", ca)
        self.assertIn(url + " answers (", out)
        self.assertIn("the platform has validated it", out)
        self.assertEqual(self.console.setting["endpoint"], url)
        self.assertEqual(self.console.calls()[-2:],
                         ["GET " + path for path in JOBS])
        self.assertIn("former:   " + self.old_url, self.script("show"))

        # nginx is not needed any more.
        self.old.stop()
        for path, data in self.files.items():
            self.assertEqual(self.get(url, path, ca), (200, data))
        self.script("rollback")
        self.assertEqual(self.console.setting["endpoint"], self.old_url)


if __name__ == "__main__":
    unittest.main()
