"""In which order releases lie over one another, and tags that move back."""
import gzip
import unittest

from lib import artifact
from lib.case import FakeCase

ROUND = 'msg="(Nothing new|Sync done)"'


def layer(name):
    return artifact.tgz({"versions.yaml": f"{name}\n".encode(),
                         f"only/{name}": b"x\n"})


class OverlayCase(FakeCase):
    def push(self, tag, name=None, **date):
        blob = layer(name or tag)
        manifest = artifact.oras_manifest(blob)
        if date:
            manifest = artifact.dated(manifest, date["date"])
        return self.fake.push(tag, blob, manifest=manifest)

    def round(self, daemon):
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log(ROUND, mark)
        return daemon.records(mark)

    def run_daemon(self, *flags, **options):
        daemon = super().run_daemon("--log-level", "debug", *flags, **options)
        daemon.wait_log(ROUND)
        return daemon

    def served(self, daemon, newest, *names):
        """What wins, and whose files are there besides."""
        client = self.client(daemon)
        self.assertEqual(client.get("/versions.yaml").body,
                         f"{newest}\n".encode())
        self.assertEqual({name for name in ("0.0.0", "4.5.13", "4.5.15",
                                            "moved", "latest")
                          if client.get(f"/only/{name}").status == 200},
                         {newest, *names})
        client.close()


class Modes(OverlayCase):
    def test_semver_pushed_and_single(self):
        for tag in ("0.0.0", "4.5.13", "4.5.15"):
            self.push(tag)
        pushed = self.run_daemon("--overlay", "pushed")
        # All were seen in one round: the versions decide.
        self.served(pushed, "4.5.15", "0.0.0", "4.5.13")
        self.push("4.5.13", "moved")
        self.round(pushed)
        self.served(pushed, "moved", "0.0.0", "4.5.15")
        self.push("latest")
        self.round(pushed)
        self.served(pushed, "latest", "0.0.0", "4.5.15", "moved")
        data = pushed.data
        pushed.stop()
        for flags, newest, names in (
                (["--overlay", "pushed"], "latest",
                 ("0.0.0", "4.5.15", "moved")),
                ([], "4.5.15", ("0.0.0", "moved", "latest")),
                (["--overlay", "single"], "4.5.15", ()),
                (["--overlay=pushed"], "latest",
                 ("0.0.0", "4.5.15", "moved"))):
            with self.subTest(flags=flags):
                daemon = self.run_daemon(*flags, data=data)
                self.served(daemon, newest, *names)
                daemon.stop()
        # With one version alone served, the others are still kept up to date.
        single = self.run_daemon("--overlay", "single", data=data)
        mark = single.mark()
        self.assertEqual(
            [r["msg"] for r in self.round(single)], ["Nothing new"])
        self.fake.push("4.6.0", layer("4.6.0"))
        single.poll_now()
        single.wait_log(r"msg=Published .*releases=1\b.*tag=4.6.0|"
                        r"msg=Published .*tag=4.6.0.*releases=1\b", mark)
        self.assertEqual(self.client(single).get("/versions.yaml").body,
                         b"4.6.0\n")
        self.check_store(data)


class GoingBack(OverlayCase):
    NEW, OLD = "2024-12-06T12:43:14Z", "2024-11-06T12:43:14Z"

    def refused(self, records):
        return [(r["tag"], r["cause"]) for r in records
                if r.get("msg") == "Release refused"]

    def test_what_is_covered_is_kept_with_its_gzip_form(self):
        """Nobody sees it in the view; the release by itself has it still."""
        texts = {tag: f"{tag}: {tag}\n".encode() * 500
                 for tag in ("4.5.13", "4.5.15")}
        for tag, text in texts.items():
            self.fake.push(tag, artifact.tgz({"a.yaml": text}))
        daemon = self.run_daemon("--view-lease", "off")
        self.push("0.0.0")
        self.round(daemon)
        self.check_store(daemon.data)
        client = self.client(daemon)
        self.assertEqual(client.get("/a.yaml").body, texts["4.5.15"])
        for tag, text in texts.items():
            answer = client.get(f"/.specman/releases/{tag}/a.yaml",
                                Accept_Encoding="gzip")
            self.assertEqual(answer["Content-Encoding"], "gzip")
            self.assertEqual(gzip.decompress(answer.body), text)

    def test_tag_that_moves_backwards(self):
        self.push("4.5.13", date=self.NEW)
        daemon = self.run_daemon()
        self.push("4.5.13", "moved", date=self.OLD)
        requests = len(self.fake.requests)
        records = self.round(daemon)
        self.assertEqual(self.refused(records), [("4.5.13", "rollback")])
        told = [r for r in records if r["msg"] == "Release refused"][0]
        for part in (self.NEW, self.OLD, "backwards"):
            self.assertIn(part, told["error"])
        self.assertIn("--allow-rollback", told["advice"])
        self.served(daemon, "4.5.13")
        # Nothing was downloaded for it, and it is not said at each poll.
        self.assertEqual([path for method, path, _ in
                          self.fake.requests[requests:] if "/blobs/" in path],
                         [])
        self.assertEqual(self.refused(self.round(daemon)), [])
        # The right one is pushed again.
        self.push("4.5.13", "4.5.15", date="2024-12-07T00:00:00Z")
        self.assertIn("Release accepted again",
                      [r["msg"] for r in self.round(daemon)])
        self.served(daemon, "4.5.15")
        # Meant to go back.
        self.push("4.5.13", "moved", date=self.OLD)
        self.assertEqual(self.refused(self.round(daemon)),
                         [("4.5.13", "rollback")])
        daemon.stop()
        allowed = self.run_daemon("--allow-rollback", "--view-lease", "off",
                                  data=daemon.data)
        self.served(allowed, "moved")
        self.check_store(daemon.data)

    def test_moves_that_are_not_backwards(self):
        self.push("4.5.13", date=self.NEW)
        daemon = self.run_daemon()
        # The same layer with an older date, and manifests without one.
        self.push("4.5.13", date=self.OLD)
        self.assertEqual(self.refused(self.round(daemon)), [])
        self.push("4.5.13", "moved", date=None)
        self.assertEqual(self.refused(self.round(daemon)), [])
        self.served(daemon, "moved")
        self.push("4.5.13", "4.5.15", date=self.OLD)
        self.assertEqual(self.refused(self.round(daemon)), [])
        self.served(daemon, "4.5.15")


if __name__ == "__main__":
    unittest.main()
