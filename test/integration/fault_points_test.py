"""A sync is killed, or fails, at every one of its calls that change the data
directory, one after the other: each release is whole or absent, what was served
is served, nothing leaks, and the next sync brings what the first was to bring."""
import errno
import os
import unittest

from lib import artifact, fault, signing
from lib.case import Case
from lib.daemon import Specman
from lib.powerloss import Disk, write
from lib.scenario import (LARGE, LOST, MOVED, ONE, TWO, FaultPoints, Scenario, haunt,
                          litter, lose)


class Points(FaultPoints):
    def killed(self, scenario, call, data):
        done = fault.sync(data, scenario.layout, *scenario.flags,
                          at=call.number, how="after")
        # How many folders of objects are made twice is a matter of threads.
        if done.returncode and done.returncode != -9 or \
                done.returncode == 0 and call.number < len(scenario.calls) - 9:
            return f"not killed: {done.returncode}\n{done.stderr}"
        return self.after_restart(scenario, data) or \
            self.next_sync(scenario, data)

    def failed(self, number, lasting=False):
        def examine(scenario, call, data):
            trace = data + ".trace"
            done = fault.sync(data, scenario.layout, *scenario.flags,
                              at=call.number, how=number, lasting=lasting,
                              trace=trace)
            # Threads write: the call that failed need not be that of the first run.
            call = next((c for c in fault.calls(trace)
                         if c.number == call.number), call)
            os.unlink(trace)
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

    def test_signed_tag_that_moves(self):
        self.all_ways({"1.0.1": TWO}, {"1.0.1": MOVED},
                      key=signing.Key(self.folder()))

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

    def test_large_file(self):
        """It has a list of its blocks' hashes, which is to be there as well."""
        self.all_ways({"1.0.0": ONE}, {"1.0.0": ONE, "1.0.1": LARGE})


class Retries(Case):
    """A sync that failed once is not trusted when it is asked again: the kernel
    tells of a page that it could not write only once."""

    def setUp(self):
        self.work = self.folder()
        self.link = os.path.join(self.work, "layout")
        self.data = os.path.join(self.work, "data")
        self.old = fault.layout(self.link + ".1", {"1.0.0": ONE})
        os.symlink(self.old, self.link)

    def launch(self, only, at, how=errno.EIO):
        self.disk = Disk(self.data)
        self.trace = os.path.join(self.work, "trace")
        daemon = Specman(
            "--repository", "oci-layout:" + self.link, "--poll-interval", "1h",
            data=self.data, log=os.path.join(self.work, "log"),
            env=fault.preload(self.data, at, how, only=only,
                              trace=self.trace))
        self.addCleanup(daemon.finish)
        return daemon

    def retry(self, daemon, tag):
        told = daemon.wait_log(f'msg="Release not fetched".*tag={tag}')
        self.assertIn(os.strerror(errno.EIO), told["error"])
        mark = daemon.mark()
        daemon.poll_now()
        daemon.wait_log(f"msg=Published .*tag={tag}", mark)
        daemon.stop()

    def check(self, again, files):
        """`again` was renamed into place twice, and if the power went now, all
        files would be there."""
        calls = fault.calls(self.trace)
        self.assertEqual([c.error for c in calls if c.error == errno.EIO],
                         [errno.EIO])
        # The first of a folder's objects finds no folder and is renamed again.
        self.assertEqual([c.error for c in calls if c.name == "rename"
                          and c.other == again and c.error != errno.ENOENT],
                         [0, 0])
        self.assertEqual(fault.disorder(self.data), "")
        for call in calls:
            self.disk.apply(call)
        found = os.path.join(self.work, "found")
        write(self.disk.found("nothing"), found)
        self.assertEqual(fault.served(found), (fault.hashes(files), []))

    def push_another(self):
        os.symlink(fault.layout(self.link + ".2",
                                {"1.0.0": ONE, "1.0.1": TWO}),
                   self.link + ".new")
        os.replace(self.link + ".new", self.link)

    def new_release(self, only, at, again):
        daemon = self.launch(only, at)
        daemon.wait_log("msg=Published .*tag=1.0.0")
        self.push_another()
        daemon.poll_now()
        self.retry(daemon, "1.0.1")
        self.check(again, {**ONE, **TWO})

    def test_objects(self):
        self.new_release("syncfs .", 2, object_of(TWO, "1.0.1/a.yaml"))

    def test_release(self):
        self.new_release("fsync releases/1.0.1.mtree.new", 1,
                         object_of(TWO, "1.0.1/a.yaml"))

    def test_folder(self):
        """The first is at the start, the second that of 1.0.0."""
        self.new_release("fsync releases", 3, "releases/1.0.1.mtree")

    def test_object_that_is_healed(self):
        """A release names it all the time, so that no sweep removes it. What is
        made durable of another release in between says nothing of this one."""
        done = fault.sync(self.data, self.old)
        self.assertEqual(done.returncode, 0, done.stderr)
        lose(self.data)
        self.push_another()
        self.retry(self.launch("syncfs .", 1), "1.0.0")
        self.check(object_of(ONE, LOST), {**ONE, **TWO})


    def test_download_that_changes_on_disk(self):
        """It was verified when it came, and is read otherwise: neither is that
        unpacked, nor is the artifact blamed, nor is it gone on with."""
        layer = artifact.digest(artifact.tgz(TWO)).replace(":", "-")
        daemon = self.launch(f"write tmp/download-{layer}", 1, "rot")
        daemon.wait_log("msg=Published .*tag=1.0.0")
        self.push_another()
        daemon.poll_now()
        told = daemon.wait_log('msg="Release not fetched".*tag=1.0.1')
        self.assertIn("the download changed on disk", told["error"])
        self.assertEqual((told["kind"], told["cause"]), ("io", "data-dir-io"))
        self.assertIn("dmesg", told["advice"])
        mark = daemon.mark()
        daemon.poll_now()
        self.assertNotIn("held", daemon.wait_log('msg="Downloading 1.0.1"', mark))
        daemon.wait_log("msg=Published .*tag=1.0.1", mark)
        daemon.stop()
        self.assertEqual(fault.disorder(self.data), "")
        self.assertEqual(os.listdir(os.path.join(self.data, "tmp")), [])
        self.assertEqual(fault.served(self.data),
                         (fault.hashes({**ONE, **TWO}), []))


def object_of(files, path):
    digest = fault.hashes(files)[path]
    return f"objects/{digest[:2]}/{digest[2:]}"


if __name__ == "__main__":
    unittest.main()
