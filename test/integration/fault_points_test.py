"""A sync is killed, or fails, at every one of its calls that change the data
directory, one after the other: each release is whole or absent, what was served
is served, nothing leaks, and the next sync brings what the first was to bring."""
import errno
import os
import unittest

from lib import fault
from lib.case import Case
from lib.daemon import Specman
from lib.powerloss import Disk, write
from lib.scenario import (MOVED, ONE, TWO, FaultPoints, Scenario, haunt,
                          litter, lose)


class Points(FaultPoints):
    def killed(self, scenario, call, data):
        done = fault.sync(data, scenario.layout, *scenario.flags,
                          at=call.number, how="before")
        if done.returncode != -9:
            return f"not killed: {done.returncode}\n{done.stderr}"
        return self.after_restart(scenario, data) or \
            self.next_sync(scenario, data)

    def failed(self, number, lasting=False):
        def examine(scenario, call, data):
            done = fault.sync(data, scenario.layout, *scenario.flags,
                              at=call.number, how=number,
                              lasting=lasting)
            if done.returncode not in (0, 1):
                return f"exit {done.returncode}\n{done.stderr}"
            if done.returncode and os.strerror(number) not in done.stderr:
                return f"no cause is told:\n{done.stderr}"
            # Where a removal failed, or is not sure to last, something stays
            # until the next start.
            if not lasting and not scenario.spoil and call.name != "unlink" \
                    and (call.name, call.path) != ("fsync", "releases") \
                    and fault.disorder(data):
                return "left behind: " + fault.disorder(data)
            wrong = self.after_restart(scenario, data)
            if not wrong and not done.returncode:
                files, _ = fault.served(data)
                if not scenario.is_done(files):
                    wrong = "success is told, and it is not there"
            return wrong or self.next_sync(scenario, data)
        return examine

    def all_ways(self, *arguments, **options):
        scenario = Scenario(self, *arguments, **options)
        for name, examine in (
                ("SIGKILL", self.killed),
                ("ENOSPC", self.failed(errno.ENOSPC)),
                ("EIO", self.failed(errno.EIO)),
                ("EIO from then on", self.failed(errno.EIO, True))):
            with self.subTest(name):
                self.go(scenario, examine)

    def test_first_sync(self):
        self.all_ways({}, {"1.0.0": ONE, "1.0.1": TWO})

    def test_tag_that_moves(self):
        both = {"1.0.0": ONE, "1.0.1": TWO}
        self.all_ways(both, {"1.0.0": ONE, "1.0.1": MOVED})

    def test_tag_that_is_pruned(self):
        both = {"1.0.0": ONE, "1.0.1": TWO}
        self.all_ways(both, {"1.0.1": TWO}, "--prune")

    def test_sweep_at_start(self):
        self.all_ways({"1.0.0": ONE}, {"1.0.0": ONE}, spoil=litter)

    def test_release_that_is_healed(self):
        self.all_ways({"1.0.0": ONE}, {"1.0.0": ONE}, spoil=lose)

    def test_object_of_no_release_is_not_trusted(self):
        """Its size is right, and its content was lost: if it can't be swept,
        it is written anew."""
        self.all_ways({"1.0.0": ONE}, {"1.0.0": ONE, "1.0.1": TWO},
                      spoil=haunt)


class Retries(Case):
    """A sync that failed once is not trusted when it is asked again: the kernel
    tells of a page that it could not write only once."""

    def retry(self, only, at):
        folder = self.folder()
        link = os.path.join(folder, "layout")
        os.symlink(fault.layout(link + ".1", {"1.0.0": ONE}), link)
        os.symlink(fault.layout(link + ".2", {"1.0.0": ONE, "1.0.1": TWO}),
                   link + ".new")
        data, trace = os.path.join(folder, "data"), os.path.join(folder, "trace")
        daemon = Specman("--repository", "oci-layout:" + link,
                         "--poll-interval", "1h", data=data,
                         log=os.path.join(folder, "log"), env=fault.preload(
                             data, at, errno.EIO, only=only, trace=trace))
        self.addCleanup(daemon.finish)
        daemon.wait_log("msg=Published .*tag=1.0.0")
        os.replace(link + ".new", link)
        daemon.poll_now()
        told = daemon.wait_log('msg="Release not fetched".*tag=1.0.1')
        self.assertIn(os.strerror(errno.EIO), told["error"])
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log("msg=Published .*tag=1.0.1", mark)
        daemon.stop()
        return data, fault.calls(trace)

    def check(self, only, at, again):
        data, calls = self.retry(only, at)
        self.assertEqual([c.error for c in calls if c.error == errno.EIO],
                         [errno.EIO])
        self.assertEqual([c.error for c in calls if c.name == "rename"
                          and c.other == again], [0, 0])
        self.assertEqual(fault.disorder(data), "")
        disk = Disk("/nonexistent")
        for call in calls:
            disk.apply(call)
        found = os.path.join(data, "found")
        write(disk.found("nothing"), found)
        files, told = fault.served(found)
        self.assertEqual((files, told), (fault.hashes({**ONE, **TWO}), []))

    def test_objects(self):
        digest = fault.hashes(TWO)["1.0.1/a.yaml"]
        self.check("syncfs .", 2, f"objects/{digest[:2]}/{digest[2:]}")

    def test_release(self):
        digest = fault.hashes(TWO)["1.0.1/a.yaml"]
        self.check("fsync releases/1.0.1.mtree.new", 1,
                   f"objects/{digest[:2]}/{digest[2:]}")

    def test_folder(self):
        """The first is at the start, the second that of 1.0.0."""
        self.check("fsync releases", 3, "releases/1.0.1.mtree")


if __name__ == "__main__":
    unittest.main()
