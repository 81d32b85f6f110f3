"""What a poll asks when nothing is new."""
import unittest

from lib import artifact
from lib.case import Case
from lib.registry import PATH, Registry

TAGS = [f"4.{number // 10}.{number % 10}" for number in range(40)]


class NothingNew(Case):
    """40 tags for two manifests."""

    def setUp(self):
        self.registry = Registry(self.folder())
        self.addCleanup(self.registry.stop)
        layers = [artifact.tgz({f"roar/{name}.yaml": name.encode()})
                  for name in ("even", "odd")]
        manifests = [artifact.oras_manifest(layer) for layer in layers]
        for number, tag in enumerate(TAGS):
            self.registry.push(tag, layers[number % 2],
                               manifest=manifests[number % 2])

    def test_one_list_and_a_head_for_each_tag(self):
        daemon = self.start("--plain-http", "--poll-interval", "1h",
                            "--log-level", "debug",
                            "--repository", self.registry.repository())
        daemon.wait_log('msg="Sync done"')
        for _ in range(2):
            place, line = self.registry.mark(), daemon.mark()
            daemon.poll_now()
            fields = daemon.wait_log('msg="Nothing new"', line)
            self.assertEqual(fields["tags"], str(len(TAGS)))
            first, *rest = self.registry.requests(place)
            self.assertEqual(first[0], "GET")
            self.assertRegex(first[1], rf"^/v2/{PATH}/tags/list(\?|$)")
            self.assertEqual(sorted(rest), sorted(
                ("HEAD", f"/v2/{PATH}/manifests/{tag}", 200) for tag in TAGS))


if __name__ == "__main__":
    unittest.main()
