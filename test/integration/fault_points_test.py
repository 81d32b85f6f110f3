"""A sync is killed, or fails, at every one of its calls that change the data
directory, one after the other: each release is whole or absent, what was served
is served, nothing leaks, and the next sync brings what the first was to bring."""
import concurrent.futures
import errno
import os
import shutil
import tempfile
import unittest

from lib import fault
from lib.case import Case

SHARED = {"s.yaml": b"the same in all\n"}


def release(tag, text):
    """Paths of its own, so that a view tells which release is there."""
    return {f"{tag}/{path}": data for path, data in
            {"a.yaml": f"{tag} {text}\n".encode(), "deep/b": b"",
             **SHARED}.items()}


ONE, TWO = release("1.0.0", "one"), release("1.0.1", "two")
MOVED = release("1.0.1", "another")


class Scenario:
    """before and after: {tag: files}; `spoil` changes the store between."""

    def __init__(self, case, before, after, *flags, spoil=None):
        self.folder = tempfile.mkdtemp(prefix="specman-fault-",
                                       dir=fault.scratch())
        case.addCleanup(shutil.rmtree, self.folder)
        self.before, self.after, self.flags = before, after, flags
        self.base = os.path.join(self.folder, "base")
        self.spoil = spoil
        if before:
            done = fault.sync(self.base, fault.layout(
                os.path.join(self.folder, "old"), before))
            case.assertEqual(done.returncode, 0, done.stderr)
        self.layout = fault.layout(os.path.join(self.folder, "new"), after)
        if spoil:
            spoil(self.base)
        self.calls = self.trace()

    def copy(self, name):
        data = os.path.join(self.folder, name)
        if os.path.exists(self.base):
            shutil.copytree(self.base, data)
        return data

    def trace(self):
        data, trace = self.copy("traced"), os.path.join(self.folder, "trace")
        done = fault.sync(data, self.layout, *self.flags, trace=trace)
        assert done.returncode == 0, done.stderr
        return fault.calls(trace)

    def whole(self, files):
        """What is wrong with the files that are served: each tag is to be as
        it was before, or as after."""
        wrong = []
        for tag in set(self.before) | set(self.after):
            has = {p: d for p, d in files.items() if p.startswith(tag + "/")}
            may = [fault.hashes(state.get(tag, {}))
                   for state in (self.before, self.after)]
            if self.spoil is lose:
                may.append({p: d for p, d in may[0].items() if p != LOST})
            if has not in may:
                wrong.append(f"{tag}: {has}")
        return "; ".join(wrong)

    def is_done(self, files):
        return files == fault.hashes(
            {p: d for tree in self.after.values() for p, d in tree.items()})


class Points(Case):
    def go(self, scenario, examine):
        """Calls examine(scenario, call, data) for each call of a sync."""
        calls = scenario.calls
        self.assertEqual([c.number for c in calls],
                         list(range(1, len(calls) + 1)))
        failures = []

        def one(call):
            data = scenario.copy(f"{call.number}")
            try:
                return examine(scenario, call, data)
            except AssertionError as error:
                return str(error)
            finally:
                shutil.rmtree(data, ignore_errors=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for call, wrong in zip(calls, pool.map(one, calls)):
                if wrong:
                    failures.append(f"{call.number} {call.name} {call.path} "
                                    f"{call.other}: {wrong}")
        self.assertFalse(failures, f"{len(failures)} of {len(calls)}:\n"
                         + "\n".join(failures[:20]))
        print(f"{self.id()}: {len(calls)} calls", flush=True)
        return calls

    def after_restart(self, scenario, data):
        files, told = fault.served(data)
        if scenario.spoil is lose:
            return scenario.whole(files)
        return scenario.whole(files) or "; ".join(told) or \
            fault.disorder(data)

    def next_sync(self, scenario, data):
        done = fault.sync(data, scenario.layout, *scenario.flags)
        if done.returncode:
            return f"the next sync: {done.returncode}\n{done.stderr}"
        files, told = fault.served(data)
        if told or not scenario.is_done(files):
            return f"the next sync leaves {files} {told}"
        return fault.disorder(data) or \
            "; ".join(os.listdir(os.path.join(data, "tmp")))

    def killed(self, scenario, call, data):
        done = fault.sync(data, scenario.layout, *scenario.flags,
                          at=call.number, how="before")
        if done.returncode != -9:
            return f"not killed: {done.returncode}\n{done.stderr}"
        return self.after_restart(scenario, data) or \
            self.next_sync(scenario, data)

    def failed(self, number, on):
        def examine(scenario, call, data):
            done = fault.sync(data, scenario.layout, *scenario.flags,
                              at=call.number, how=number, on=on)
            if done.returncode not in (0, 1):
                return f"exit {done.returncode}\n{done.stderr}"
            if done.returncode and os.strerror(number) not in done.stderr:
                return f"no cause is told:\n{done.stderr}"
            # Where a removal failed, or is not sure to last, something stays
            # until the next start.
            if on is None and not scenario.spoil and call.name != "unlink" \
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
                ("ENOSPC", self.failed(errno.ENOSPC, None)),
                ("EIO", self.failed(errno.EIO, None)),
                ("EIO from then on", self.failed(errno.EIO, ""))):
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


def litter(data):
    """As a killed writer leaves it."""
    for path in ("objects/aa/" + "0" * 62, "objects/00/" + "1" * 62,
                 "releases/1.0.1.mtree.new", "tmp/new-0"):
        os.makedirs(os.path.dirname(os.path.join(data, path)), exist_ok=True)
        with open(os.path.join(data, path), "wb") as file:
            file.write(b"half")


LOST = "1.0.0/a.yaml"


def lose(data):
    """One of the objects is gone: its release is to be fetched again."""
    digest = fault.hashes(ONE)[LOST]
    os.unlink(os.path.join(data, "objects", digest[:2], digest[2:]))


if __name__ == "__main__":
    unittest.main()
