"""Requests that no client sends: broken ones at random, some thousands of them
(test/fuzz/requests.py sends as many as it is told)."""
import os
import unittest

from lib import artifact, mutate, tree
from lib.case import Case
from lib.client import Client
from lib.daemon import Specman
from lib.faulty import FakeRegistry
from lib.wait import scale, until

FILES = {"small.yaml": b"a: b\n", "text.yaml": tree.text("abuse", 5000),
         "big.bin": tree.binary("abuse", 200000), "dir/a.txt": b"a\n",
         "dir/sub/b.txt": b"b\n"}
COUNT = int(os.environ.get("ABUSE_COUNT", "3000"))
SEED = os.environ.get("ABUSE_SEED", "1")


class Abuse(Case):
    def state(self, daemon):
        """Open descriptors, and resident memory in KiB."""
        process = f"/proc/{daemon.process.pid}"
        with open(process + "/status", encoding="ascii") as file:
            memory = next(int(line.split()[1]) for line in file
                          if line.startswith("VmRSS:"))
        return len(os.listdir(process + "/fd")), memory

    def test_random_requests(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        fake.push("1.0.0", artifact.tgz(FILES))
        daemon = self.start("--plain-http", "--repository",
                            fake.repository(), "--poll-interval", "1h",
                            "--access-log")
        client = self.client(daemon)
        self.wait_body(client, "/small.yaml", FILES["small.yaml"], daemon)
        mutate.run(client, SEED + " before", COUNT // 3)
        before = {}

        def settled():
            before["fds"], before["memory"] = self.state(daemon)
            return before["fds"] < 60
        until(settled, "connections to end")
        mutate.run(client, SEED, COUNT - COUNT // 3)
        until(lambda: self.state(daemon)[0] <= before["fds"],
              "all descriptors to be closed again", detail=lambda: str(
                  (before, self.state(daemon))))
        # Of what is lost at each request, megabytes would be left by now;
        # sanitizers keep what is freed, and look for leaks themselves.
        if scale() == 1:
            self.assertLess(self.state(daemon)[1],
                            before["memory"] + 8192)
        for path, data in FILES.items():
            self.assertTrue(client.get("/" + path).body == data)


if __name__ == "__main__":
    unittest.main()
