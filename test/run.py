#!/usr/bin/env python3
"""Runs the tests and counts them.

    test/run.py BUILD_DIR [--unit-only|--integration-only] [-j N] [PATTERN…]

A pattern chooses what runs by a part of its name: a unit test's program, an
integration file (Python or bats), or FILE:TEST for some tests of a file. Without patterns the
check of the tree runs as well. The last line is `N passed, N failed`; the exit
code is 1 when anything failed, crashed, ran out of time, or nothing ran.
"""
import argparse
import concurrent.futures
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
INTEGRATION = os.path.join(HERE, "integration")
# For what hangs: a busy machine may be many times slower than one at rest.
UNIT_SECONDS = 600
FILE_SECONDS = 1800
TAIL = 200
# The long ones first, so that the last to end is a short one.
ORDER = ["image", "crash", "powerloss", "fault_points", "hostile", "push", "sync",
         "stall", "consistency", "ecr", "serve"]
REPORT = re.compile(r"ERROR: (Address|Leak|Memory)Sanitizer"
                    r"|WARNING: ThreadSanitizer|runtime error:"
                    r"|SUMMARY: \w+Sanitizer")

_libc = ctypes.CDLL(None)
_running = set()
_lock = threading.Lock()
_stop = threading.Event()


class Outcome:
    def __init__(self, name, passed, failed, output, seconds, note=""):
        self.name, self.passed, self.failed = name, passed, failed
        self.output, self.seconds, self.note = output, seconds, note


def deadline_scale(build):
    """Sanitized programs are slow; their names are in the program."""
    program = os.path.join(build, "specman")
    if os.path.exists(program):
        with open(program, "rb") as file:
            image = file.read()
        if b"__asan_init" in image or b"__tsan_init" in image:
            return 4
    return 1


def unit_tests(build):
    found = []
    for folder, _, names in os.walk(os.path.join(build, "test", "unit")):
        for name in names:
            path = os.path.join(folder, name)
            if "." not in name and os.access(path, os.X_OK):
                found.append(path)
    return sorted(found)


def integration_tests():
    names = [n for n in os.listdir(INTEGRATION)
             if n.endswith(("_test.py", ".bats"))]
    rank = {name + "_test.py": i for i, name in enumerate(ORDER)}
    return [os.path.join(INTEGRATION, name) for name in
            sorted(names, key=lambda n: (rank.get(n, len(ORDER)), n))]


def execute(command, seconds, env):
    """Runs a program in a session of its own. Returns (exit code or None when
    it ran out of time, output)."""
    parent = os.getpid()

    def tie():
        _libc.prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(127)
    with tempfile.TemporaryFile(dir=env["TMPDIR"]) as output:
        with _lock:
            if _stop.is_set():
                return None, "interrupted"
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, env=env, start_new_session=True,
                preexec_fn=tie)
            _running.add(process)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(process)
        output.seek(0)
        return code, output.read().decode(errors="replace")


def end(process):
    """Ends a program and whatever it left in its session."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    with _lock:
        _running.discard(process)


def run_unit(path, build, env, scale):
    start = time.monotonic()
    code, output = execute([path], UNIT_SECONDS * scale, env)
    passed = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", output)))
    failed = sum(map(int, re.findall(r"\[  FAILED  \] (\d+) test", output)))
    note = verdict(code, output, passed, failed)
    if note and not failed:
        failed = 1
    return Outcome(os.path.relpath(path, build), passed, failed, output,
                   time.monotonic() - start, note)


def run_file(path, patterns, env, scale):
    start = time.monotonic()
    report = os.path.join(env["TMPDIR"], "report.json")
    code, output = execute(
        [sys.executable, "-B", os.path.join(INTEGRATION, "lib", "runfile.py"),
         path, report, *patterns], FILE_SECONDS * scale, env)
    counts = {"passed": [], "failed": [], "hidden": []}
    if os.path.exists(report):
        with open(report, encoding="utf-8") as file:
            counts = json.load(file)
    passed, failed = len(counts["passed"]), len(counts["failed"])
    note = verdict(code, output, passed, failed)
    if not note and not failed and any(
            secret in output for secret in counts["hidden"]):
        note = "a secret of its own in its output"
    if note and not failed:
        failed = 1
    return Outcome(os.path.relpath(path, os.path.dirname(HERE)), passed,
                   failed, output, time.monotonic() - start, note)


def run_bats(path, patterns, env, scale):
    """Counts lines of TAP: "ok 1 name", "not ok 2 name". A test that is skipped
    has failed: what can't run proves nothing."""
    start = time.monotonic()
    some = ["--filter", "|".join(patterns)] if patterns else []
    code, output = execute(["bats", "--tap", *some, path],
                           FILE_SECONDS * scale, env)
    passed = failed = 0
    for line in re.findall(r"^(?:not )?ok \d+ .*$", output, re.M):
        if line.startswith("ok") and " # skip" not in line:
            passed += 1
        else:
            failed += 1
    planned = re.search(r"^1\.\.(\d+)$", output, re.M)
    note = verdict(code, output, passed, failed)
    if not note and int(planned.group(1)) != passed + failed:
        note = f"{planned.group(1)} tests were planned"
    if note and not failed:
        failed = 1
    return Outcome(os.path.relpath(path, os.path.dirname(HERE)), passed,
                   failed, output, time.monotonic() - start, note)


def run_tree(build, env, scale):
    start = time.monotonic()
    code, output = execute([sys.executable, "-B",
                            os.path.join(HERE, "check_tree.py")],
                           UNIT_SECONDS * scale, env)
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    passed, failed = map(int, found[-1]) if found else (0, 0)
    note = verdict(code, output, passed, failed)
    if note and not failed:
        failed = 1
    return Outcome("test/check_tree.py", passed, failed, output,
                   time.monotonic() - start, note)


def verdict(code, output, passed, failed):
    """What is wrong with a run beyond the failures that it counted."""
    if code is None:
        return "ran out of time"
    if code < 0:
        return "ended by " + signal.Signals(-code).name
    if REPORT.search(output):
        return "sanitizer report"
    if code != 0 and not failed:
        return f"exit code {code}"
    if not passed and not failed:
        return "ran no tests"
    return ""


def choose(build, options):
    """The jobs, as functions that give an Outcome: (parallel group, job)."""
    patterns = [p.partition(":") for p in options.pattern]

    def chosen(name):
        """None, or the patterns for the tests inside."""
        if not patterns:
            return []
        hits = [inner for outer, _, inner in patterns if outer in name]
        return None if not hits else [i for i in hits if i]

    unit, integration = [], []
    if not patterns and not options.integration_only:
        unit.append(("check_tree", run_tree, (build,)))
    if not options.integration_only:
        for path in unit_tests(build):
            name = os.path.relpath(path, os.path.join(build, "test", "unit"))
            if chosen(name) is not None:
                unit.append((name, run_unit, (path, build)))
    if not options.unit_only:
        for path in integration_tests():
            name = os.path.basename(path)
            inner = chosen(name)
            if inner is not None:
                run = run_bats if name.endswith(".bats") else run_file
                integration.append((name, run, (path, inner)))
    return unit, integration


def run_all(jobs, count, folder, env, scale):
    def one(number, job):
        _, function, arguments = job
        scratch = tempfile.mkdtemp(prefix=f"{number}-", dir=folder)
        outcome = function(*arguments, {**env, "TMPDIR": scratch}, scale)
        shutil.rmtree(scratch, ignore_errors=True)
        return outcome
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        pending = [pool.submit(one, n, job) for n, job in enumerate(jobs)]
        try:
            for future in concurrent.futures.as_completed(pending):
                yield future.result()
        except BaseException:
            interrupt(pending)
            raise


def interrupt(pending):
    for future in pending:
        future.cancel()
    with _lock:
        _stop.set()
        running = list(_running)
    for process in running:
        end(process)


def show(outcome):
    print(f"{outcome.name}: {outcome.passed} passed, {outcome.failed} failed "
          f"({outcome.seconds:.1f} s)"
          + (f": {outcome.note}" if outcome.note else ""), flush=True)
    for line in re.findall("^note: .*$", outcome.output, re.M):
        print("  " + line, flush=True)
    if outcome.failed:
        lines = outcome.output.rstrip("\n").split("\n")
        if len(lines) > TAIL:
            print(f"  … {len(lines) - TAIL} lines before")
        for line in lines[-TAIL:]:
            print("  " + line)
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--unit-only", action="store_true")
    parser.add_argument("--integration-only", action="store_true")
    parser.add_argument("-j", type=int, default=3)  # they wait most of the time
    parser.add_argument("pattern", nargs="*")
    options = parser.parse_intermixed_args()
    build = os.path.abspath(options.build)
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    env = {k: v for k, v in os.environ.items()
           if not k.startswith("SPECMAN")}
    env["SPECMAN"] = os.path.join(build, "specman")
    env["PYTHONUNBUFFERED"] = "1"
    # A client that the tests kill is not to wait on symbolizers.
    env.setdefault("TSAN_OPTIONS", "halt_on_error=0:second_deadlock_stack=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    scale = deadline_scale(build)
    passed = failed = 0
    unit, integration = choose(build, options)
    # Long paths would not fit the address of a local socket.
    folder = tempfile.mkdtemp(prefix="specman-check-")
    try:
        for jobs, count in ((unit, os.cpu_count() or 1),
                            (integration, options.j)):
            if not jobs:
                continue
            for outcome in run_all(jobs, count, folder, env, scale):
                show(outcome)
                passed += outcome.passed
                failed += outcome.failed
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        failed += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not passed and not failed:
        print("no test matches", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
