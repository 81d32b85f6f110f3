"""What is done to a store over and over, each time with another fault: its state
before, the sync, and what may be served afterwards."""
import concurrent.futures
import os
import shutil
import tempfile

from . import fault
from .case import Case

SHARED = {"s.yaml": b"the same in all\n"}


def release(tag, text):
    """Paths of its own, so that a view tells which release is there."""
    return {f"{tag}/{path}": data for path, data in
            {"a.yaml": f"{tag} {text}\n".encode(), "deep/b": b"",
             "long.yaml": f"{tag} {text}\n".encode() * 120,
             **SHARED}.items()}


ONE, TWO = release("1.0.0", "one"), release("1.0.1", "two")
LARGE = {"1.0.1/large.bin": bytes(range(251)) * 4300, **TWO}
MOVED = release("1.0.1", "another")


class Scenario:
    """before and after: {tag: files}; `spoil` changes the store between; with a
    `key` everything is signed, and has to be."""

    def __init__(self, case, before, after, *flags, spoil=None, key=None):
        # Memory that nobody else would clear: it goes with this process at last.
        scratch = tempfile.TemporaryDirectory(prefix="specman-fault-",
                                              dir=fault.scratch())
        case.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        self.key = key
        if key:
            flags += ("--verify-key", key.public)
        self.before, self.after, self.flags = before, after, flags
        self.base = os.path.join(self.folder, "base")
        self.spoil = spoil
        if before:
            done = fault.sync(self.base, fault.layout(
                os.path.join(self.folder, "old"), before, key),
                *(flags[-2:] if key else ()))
            case.assertEqual(done.returncode, 0, done.stderr)
        self.layout = fault.layout(os.path.join(self.folder, "new"), after, key)
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


def litter(data):
    """As a killed writer leaves it."""
    for path in ("objects/aa/" + "0" * 62, "objects/00/" + "1" * 62,
                 "releases/1.0.1.mtree.new", "tmp/new-0"):
        os.makedirs(os.path.dirname(os.path.join(data, path)), exist_ok=True)
        with open(os.path.join(data, path), "wb") as file:
            file.write(b"half")


def haunt(data):
    """What a power loss may leave of a sync: the names of the objects and their
    sizes, and no release that names them."""
    for path, digest in fault.hashes(TWO).items():
        name = os.path.join(data, "objects", digest[:2], digest[2:])
        os.makedirs(os.path.dirname(name), exist_ok=True)
        if not os.path.exists(name):
            with open(name, "wb") as file:
                file.write(bytes(len(TWO[path])))


LOST = "1.0.0/a.yaml"


def lose(data):
    """One of the objects is gone: its release is to be fetched again."""
    digest = fault.hashes(ONE)[LOST]
    os.unlink(os.path.join(data, "objects", digest[:2], digest[2:]))


class FaultPoints(Case):
    def go(self, scenario, examine):
        """Calls examine(scenario, call, data) for each call of a sync."""
        calls = scenario.calls
        self.assertEqual(sorted(c.number for c in calls),
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
            fault.disorder(data) or (scenario.key and fault.unproven(data))

    def next_sync(self, scenario, data):
        done = fault.sync(data, scenario.layout, *scenario.flags)
        if done.returncode:
            return f"the next sync: {done.returncode}\n{done.stderr}"
        files, told = fault.served(data)
        if told or not scenario.is_done(files):
            return f"the next sync leaves {files} {told}"
        return fault.disorder(data) or \
            "; ".join(os.listdir(os.path.join(data, "tmp")))
