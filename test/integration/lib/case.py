"""What the test files share: folders that vanish, daemons that end."""
import os
import re
import shutil
import tempfile
import unittest

from . import artifact
from .certs import Authority
from .client import Client
from .daemon import Specman
from .faulty import FakeRegistry
from .wait import until

_OBJECT = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})"
                     r"|^# gzip sha256digest=([0-9a-f]{2})([0-9a-f]{62}) ",
                     re.M)


class Case(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def class_folder(cls):
        folder = tempfile.mkdtemp(prefix="specman-test-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    @classmethod
    def class_authority(cls):
        return Authority(os.path.join(cls.class_folder(), "ca"))

    def folder(self):
        folder = tempfile.mkdtemp(prefix="specman-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def start(self, *flags, data=None, **options):
        """A specman that ends with the test, and has to end well."""
        folder = self.folder()
        data = data or os.path.join(folder, "data")
        os.makedirs(data, exist_ok=True)
        daemon = Specman(*flags, data=data,
                         log=os.path.join(folder, "stderr.log"), **options)
        self.addCleanup(daemon.finish)
        return daemon

    def client(self, daemon):
        client = Client(daemon.address(), daemon.ca())
        self.addCleanup(client.close)
        return client

    def wait_body(self, client, path, body, daemon=None, seconds=30):
        """Waits until a path answers with these bytes."""
        last = []

        def look():
            last[:] = [client.get(path)]
            return last[0].status == 200 and last[0].body == body
        until(look, f"{path} to be served", seconds,
              lambda: f"{last}\n{daemon.tail() if daemon else ''}")

    def check_tree(self, client, tree):
        """Each path of a tree is served with its bytes."""
        for path, data in tree.items():
            answer = client.get("/" + quote(path))
            self.assertEqual(answer.status, 200, path)
            self.assertEqual(answer.body, data, path)

    # The store

    def named_objects(self, data):
        """The objects that the committed releases name."""
        names = set()
        for release in os.scandir(os.path.join(data, "releases")):
            if release.name.endswith(".mtree"):
                with open(release.path, encoding="utf-8",
                          errors="surrogateescape") as file:
                    names.update("".join(found)
                                 for found in _OBJECT.findall(file.read()))
        return names

    def stored_objects(self, data):
        return {os.path.basename(folder) + name
                for folder, _, names in
                os.walk(os.path.join(data, "objects")) for name in names}

    def check_store(self, data):
        """Nothing half-done in the store: tmp/ is empty, objects/ has what
        releases name and nothing else, and each object is what its name
        says."""
        def clean():
            return not os.listdir(os.path.join(data, "tmp")) and \
                self.stored_objects(data) == self.named_objects(data)

        def detail():
            stored, named = self.stored_objects(data), self.named_objects(data)
            return (f"tmp: {os.listdir(os.path.join(data, 'tmp'))}\n"
                    f"not named: {sorted(stored - named)[:5]}\n"
                    f"missing: {sorted(named - stored)[:5]}")
        until(clean, "a store without leftovers", 30, detail)
        for name in self.named_objects(data):
            path = os.path.join(data, "objects", name[:2], name[2:])
            with open(path, "rb") as file:
                self.assertEqual(artifact.digest(file.read()),
                                 "sha256:" + name)


class FakeCase(Case):
    """Tests against a scripted registry with TLS."""

    @classmethod
    def setUpClass(cls):
        cls.authority = cls.class_authority()

    def setUp(self):
        self.fake = self.registry()

    def registry(self, **options):
        fake = FakeRegistry(self.authority, **options)
        self.addCleanup(fake.stop)
        return fake

    def run_daemon(self, *flags, **options):
        return self.start(
            "--repository", self.fake.repository(), "--poll-interval", "1h",
            "--registry-ca", self.authority.ca, *flags, **options)


def quote(path):
    from urllib.parse import quote as percent
    return percent(path)
