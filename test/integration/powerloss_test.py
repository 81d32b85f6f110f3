"""The power goes at each moment of a sync, and of one that follows a kill or an
error: what the disk could then hold is opened, serves the old or the new, and is
clean. The order of syncs and renames is checked by itself."""
import concurrent.futures
import errno
import hashlib
import os
import shutil
import unittest

from lib import fault, signing
from lib.powerloss import Disk, write
from lib.scenario import MOVED, ONE, TWO, FaultPoints, Scenario

BOTH = {"1.0.0": ONE, "1.0.1": TWO}
WAYS = ("nothing", "names", "zeros", 1, 2, 3)
SYNCS = ("fsync", "fdatasync", "syncfs")


class PowerLoss(FaultPoints):
    def setUp(self):
        self.seen = set()
        self.looked = 0

    def trace(self, scenario, data, **options):
        path = os.path.join(scenario.folder, "trace")
        if os.path.exists(path):
            os.unlink(path)
        fault.sync(data, scenario.layout, *scenario.flags, trace=path,
                   **options)
        return fault.calls(path) if os.path.exists(path) else []

    def cut(self, scenario, disk, ways, goes_on):
        """Looks at all that could be found now, at what is new of it."""
        jobs = []
        for way in ways:
            found = disk.found(way)
            key = hash(frozenset(found.items())) ^ hash(goes_on)
            if key not in self.seen:
                self.seen.add(key)
                self.looked += 1
                jobs.append((way, found, self.looked))

        def one(job):
            way, found, number = job
            data = os.path.join(scenario.folder, f"cut-{number}")
            write(found, data)
            try:
                wrong = self.after_restart(scenario, data)
                if not wrong and goes_on:
                    # From what was found, not from what the restart has swept.
                    shutil.rmtree(data)
                    write(found, data)
                    wrong = self.next_sync(scenario, data)
                return wrong and f"{way}: {wrong}"
            finally:
                shutil.rmtree(data)
        return [wrong for wrong in self.pool.map(one, jobs) if wrong]

    def run_through(self, scenario, disk, calls, ways, goes_on):
        """Applies calls; cuts the power before the first, and after each."""
        wrong = self.cut(scenario, disk, ways, goes_on)
        for call in calls:
            disk.apply(call)
            wrong += [f"after {call.number} {call.name} {call.path} "
                      f"{call.other}: {text}" for text in
                      self.cut(scenario, disk, ways, goes_on)]
        return wrong

    def lose_power(self, *arguments):
        scenario = Scenario(self, *arguments)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            self.pool = pool
            with self.subTest("during a sync"):
                self.report(self.run_through(
                    scenario, Disk(scenario.base), scenario.calls, WAYS, True))
            with self.subTest("in the one after a kill"):
                self.report(self.after(scenario, [
                    {"at": call.number, "how": "before"}
                    for call in scenario.calls]))
            with self.subTest("in the one after a sync that failed"):
                self.report(self.after(scenario, [
                    {"at": call.number, "how": errno.EIO}
                    for call in scenario.calls if call.name in SYNCS]))
        print(f"{self.id()}: {len(scenario.calls)} calls, {self.looked} "
              "different disks", flush=True)

    def after(self, scenario, faults):
        wrong = []
        for number, options in enumerate(faults):
            data = scenario.copy("twice")
            disk = Disk(data)
            for call in self.trace(scenario, data, **options):
                disk.apply(call)
            calls = self.trace(scenario, data)
            wrong += [f"{options}: {text}" for text in self.run_through(
                scenario, disk, calls, ("nothing", "zeros", number), False)]
            shutil.rmtree(data)
        return wrong

    def report(self, wrong):
        self.assertFalse(wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:20]))

    def test_first_sync(self):
        self.lose_power({}, BOTH)

    def test_tag_that_moves(self):
        self.lose_power(BOTH, {"1.0.0": ONE, "1.0.1": MOVED})

    def test_signed_tag_that_moves(self):
        scenario = Scenario(self, {"1.0.1": TWO}, {"1.0.1": MOVED},
                            key=signing.Key(self.folder()))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            self.pool = pool
            self.report(self.run_through(
                scenario, Disk(scenario.base), scenario.calls, WAYS, True))

    def test_tag_that_is_pruned(self):
        self.lose_power(BOTH, {"1.0.1": TWO}, "--prune")


class Order(FaultPoints):
    """No name before what it names, nothing gone that could still be named."""

    def check(self, disk, call):
        if call.name == "rename" and not call.other.startswith("objects/"):
            node = disk.find(call.path)
            self.assertFalse(node.is_dirty, f"{call.path} is not durable")
            for path in fault.named(node.data):
                data = disk.durable(path)
                self.assertIsNotNone(data, f"{call.other} would name {path}")
                self.assertEqual(hashlib.sha256(data).hexdigest(),
                                 path.replace("/", "")[len("objects"):])
        if call.name == "unlink" and call.path.startswith("objects/"):
            releases = disk.root.durable.get("releases")
            for tag, file in releases.durable.items():
                self.assertNotIn(call.path, fault.named(file.durable or b""),
                                 f"a power loss may bring {tag} back")

    def follow(self, scenario, calls):
        disk = Disk(scenario.base)
        renames = 0
        for number, call in enumerate(calls):
            if call.error:
                continue
            self.check(disk, call)
            disk.apply(call)
            if call.name == "rename" and call.other.endswith(".mtree"):
                renames += 1
                then = next(c for c in calls[number + 1:] if c.name != "close")
                self.assertEqual((then.name, then.path),
                                 ("fsync", "releases"))
        return renames

    def test_order(self):
        for before, after, flags, renames in (
                ({}, BOTH, (), 2),
                (BOTH, {"1.0.0": ONE, "1.0.1": MOVED}, (), 1),
                (BOTH, {"1.0.1": TWO}, ("--prune",), 0)):
            scenario = Scenario(self, before, after, *flags)
            self.assertEqual(self.follow(scenario, scenario.calls), renames)
            if not before:
                # The format is there, and durable, before all else.
                names = [c.other or c.path for c in scenario.calls
                         if c.name in ("rename", "mkdir")]
                self.assertEqual(names[:3], ["-", "format", "-"])


if __name__ == "__main__":
    unittest.main()
