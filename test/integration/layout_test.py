"""An OCI image layout in a folder instead of a registry, and beside one."""
import os
import shutil
import unittest

from lib import artifact, proc, tree
from lib.case import Case
from lib.registry import PATH, Registry


class Layout(Case):
    """A registry from which skopeo copies tags into a folder."""

    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(cls.class_folder())
        cls.addClassCleanup(cls.registry.stop)
        for tag in ("0.0.0", "4.5.13", "4.5.15"):
            cls.registry.push(tag, artifact.tgz(tree.release(tag)))

    def setUp(self):
        self.dir = os.path.join(self.folder(), "scar")

    def copy(self, tag, folder=None, name=None):
        proc.run(["skopeo", "copy", "--retry-times=3", "--src-tls-verify=false",
                  f"docker://{self.registry.repository()}:{tag}",
                  f"oci:{folder or self.dir}" + (name or f":{tag}")])

    def begin(self, *flags, repository=None):
        return self.start("--poll-interval", "1h", "--plain-http",
                          "--log-level", "debug", "--repository",
                          repository or f"oci-layout:{self.dir}", *flags)

    def poll(self, daemon, pattern):
        line = daemon.mark()
        daemon.poll_now()
        return daemon.wait_log(pattern, line)

    def test_what_skopeo_copied_is_served(self):
        self.copy("0.0.0")
        self.copy("4.5.13")
        daemon = self.begin()
        daemon.wait_log(r"msg=Published\b.* releases=2\b")
        self.check_tree(self.client(daemon), tree.release("4.5.13"))
        self.poll(daemon, 'msg="Nothing new"')
        self.copy("4.5.15")
        self.poll(daemon, r"msg=Published\b.* releases=3\b")
        self.check_tree(self.client(daemon), tree.release("4.5.15"))

    def test_a_folder_that_is_exchanged_goes_and_comes(self):
        one, two = self.dir + ".1", self.dir + ".2"
        self.copy("4.5.13", one)
        self.copy("4.5.15", two)
        os.symlink(one, self.dir)
        daemon = self.begin()
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        os.symlink(two, self.dir + ".new")
        os.rename(self.dir + ".new", self.dir)
        shutil.rmtree(one)
        self.poll(daemon, r"msg=Published\b.* releases=2\b")

        os.unlink(self.dir)
        fields = self.poll(daemon, 'msg="Sync failed"')
        self.assertIn(f"oci-layout:{self.dir}", fields["error"])
        self.assertIn("no such folder", fields["error"])
        self.check_tree(self.client(daemon), tree.release("4.5.15"))
        os.symlink(two, self.dir)
        self.poll(daemon, 'msg="Nothing new"')

    def test_a_folder_that_comes_later(self):
        daemon = self.begin()
        daemon.wait_log('msg="Sync failed".*no such folder')
        self.copy("4.5.13")
        self.poll(daemon, r"msg=Published\b.* releases=1\b")

    def test_a_copy_without_a_tag_is_explained(self):
        self.copy("4.5.13", name=":")
        fields = self.begin().wait_log('msg="Sync failed"')
        self.assertIn("none of the 1 manifests", fields["error"])
        self.assertIn("oci:DIR:0.0.0", fields["error"])

    def test_a_damaged_blob_is_not_served(self):
        self.copy("4.5.13")
        layer = max((os.path.join(folder, name) for folder, _, names in
                     os.walk(os.path.join(self.dir, "blobs"))
                     for name in names), key=os.path.getsize)
        with open(layer, "r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 1]))
        daemon = self.begin()
        fields = daemon.wait_log('msg="Release refused"')
        self.assertIn(os.path.basename(layer), fields["error"])
        os.unlink(layer)
        fields = self.poll(daemon, 'msg="Release not fetched"')
        self.assertIn("is not there", fields["error"])

    def test_it_stands_in_for_a_registry(self):
        for tag in ("4.5.13", "4.5.15"):
            self.copy(tag)
        closed = Registry(self.folder())
        closed.stop()
        daemon = self.begin("--repository-mirror", f"oci-layout:{self.dir}",
                            repository=f"{closed.host}/{PATH}")
        daemon.wait_log(r"msg=Published\b.* releases=2\b")
        self.check_tree(self.client(daemon), tree.release("4.5.15"))


if __name__ == "__main__":
    unittest.main()
