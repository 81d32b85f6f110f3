#!/usr/bin/env python3
"""The image with a FIPS provider, as the component fips runs it. Run by `make
fips-test`, with the provider of test/fips/provider.sh, which is no validated module.

    test/fips/fips_image_test.py PROGRAM PROVIDER_DIR [TEST…]
"""
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "integration"))
from lib import artifact, image, kube  # noqa: E402
from lib.case import Case  # noqa: E402
from lib.daemon import parse  # noqa: E402
from lib.image import Container, Mounted  # noqa: E402
from lib.registry import Registry  # noqa: E402
from lib.secret import platform  # noqa: E402

FILE = b"versions: []\n"
NAME = "roar/nickfury/versions.yaml"
MODULE = re.compile(r"/usr/lib/[^/]+/ossl-modules/fips\.so")
SETTINGS = "/usr/lib/ssl/"
provider_dir = None


def read(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


class FipsImage(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.way = image.choose(cls.class_folder())
        cls.addClassCleanup(cls.way.close)
        image.note("the image runs by " + cls.way.name)
        cls.way.fips_module = os.path.relpath(
            os.path.join(provider_dir, "fips.so"), kube.ROOT)
        cls.built = cls.way.build()
        cls.root = cls.way.root()
        cls.module = next(path for path, _ in image.files(cls.root)
                          if MODULE.fullmatch(path))

    def run_image(self, *flags, **options):
        """With what the component adds to the pod."""
        folder = self.folder()
        variables = [item for item in self.pod()["containers"][0]["env"]
                     if item["name"] == "SPECMAN_FIPS"]
        self.assertEqual([v["value"] for v in variables], ["true"])
        container = Container(
            self.way, "--fips=true", "--poll-interval", "1h", *flags,
            data=os.path.join(folder, "data"),
            log=os.path.join(folder, "stderr.log"), **options)
        self.addCleanup(container.finish)
        return container

    @staticmethod
    def pod():
        return next(item for item in kube.build("overlays/fips")
                    if item["kind"] == "StatefulSet")["spec"]["template"]["spec"]

    def test_as_the_stateful_set(self):
        authority = self.class_authority()
        registry = Registry(self.folder(), authority, "puller", "pass/of+puller")
        self.addCleanup(registry.stop)
        registry.push("4.5.15", artifact.tgz({NAME: FILE}))
        secret = Mounted(os.path.join(self.folder(), "secret"),
                         **platform(registry))
        container = self.run_image(secret=secret.folder)
        container.wait_log("msg=Published")
        self.assertEqual(container.records()[0]["msg"], "FIPS provider active")
        self.assertEqual(self.client(container).get("/" + NAME).body, FILE)
        status = container.status()
        self.assertEqual(set(status["Uid"].split()), {"65532"})
        self.assertEqual(int(status["CapEff"], 16), 0)
        for command in (["check", "--fips"], ["version"]):
            done = container.execute("specman", *command)
            self.assertRegex(done.stdout.decode(),
                             r"OpenSSL FIPS Provider 3\.\S+ active")

    def test_a_module_that_was_changed_is_refused(self):
        changed = os.path.join(self.folder(), "fips.so")
        bytes_ = bytearray(read(self.root + self.module, "rb"))
        bytes_[bytes_.index(b"OpenSSL FIPS Provider")] ^= 0x20
        with open(changed, "wb") as file:
            file.write(bytes_)
        os.chmod(changed, 0o755)
        os.chmod(os.path.dirname(changed), 0o755)
        container = self.run_image(binds=[f"{changed}:{self.module}:ro"])
        self.assertEqual(container.process.wait(60), 1)
        told = parse(container.log())
        self.assertEqual(told["cause"], "fips-not-active")
        self.assertIn("Module_Integrity", told["error"])

    def test_self_tests_run_on_each_machine(self):
        """Nothing says that they have run elsewhere; no other provider is there."""
        section = read(self.root + SETTINGS + "fipsmodule.cnf")
        self.assertRegex(section, r"(?m)^module-mac = ([0-9A-F]{2}:){31}")
        self.assertNotIn("install-", section.replace("install-version", ""))
        settings = read(self.root + SETTINGS + "openssl.cnf")
        self.assertEqual(re.search(r"\[providers\]\n((?:\w.*\n)*)",
                                   settings).group(1),
                         "fips = fips_sect\nbase = base_sect\n")

    def test_list_of_packages(self):
        """The list names the module by its digest, and claims nothing of it."""
        document = json.loads(read(
            self.root + "/usr/share/specman/specman.spdx.json"))
        found = [p for p in document["packages"] if p["name"] == "fips.so"]
        self.assertEqual(len(found), 1)
        self.assertEqual(
            "sha256:" + found[0]["checksums"][0]["checksumValue"],
            artifact.digest(read(self.root + self.module, "rb")))
        self.assertIn("nothing here says that it is validated",
                      found[0]["comment"])
        self.assertIn({"spdxElementId": "SPDXRef-specman",
                       "relationshipType": "DEPENDS_ON",
                       "relatedSpdxElement": "SPDXRef-fips.so"},
                      document["relationships"])

    def test_same_bytes_again(self):
        self.assertEqual(self.way.build_again(), self.built)


if __name__ == "__main__":
    os.environ["SPECMAN"] = os.path.abspath(sys.argv[1])
    provider_dir = os.path.abspath(sys.argv[2])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
