"""Runs the tests of one file: runfile.py FILE REPORT [PATTERN…]

Writes {"passed": [names], "failed": [names], "hidden": [secrets]} to REPORT. A test that is skipped
has failed: what can't run proves nothing.
"""
import importlib
import json
import os
import signal
import sys
import time
import traceback
import unittest


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed, self.failed = [], []
        self._begun = 0.0

    def startTest(self, test):
        super().startTest(test)
        self._begun = time.monotonic()

    def addSuccess(self, test):
        self.passed.append(test.id())
        print(f"ok      {test.id()} ({time.monotonic() - self._begun:.1f} s)",
              flush=True)

    def _failure(self, test, text):
        if test.id() not in self.failed:
            self.failed.append(test.id())
        if test.id() in self.passed:
            self.passed.remove(test.id())
        print(f"FAILED  {test.id()}\n{text}", flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self._failure(test, self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failure(test, self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._failure(test, f"{subtest}\n"
                          + "".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        self._failure(test, f"skipped: {reason}")

    def addExpectedFailure(self, test, err):
        self._failure(test, "marked as an expected failure")

    def addUnexpectedSuccess(self, test):
        self._failure(test, "marked as an expected failure")


def _interrupt(*_):
    raise KeyboardInterrupt


def main():
    path, report, patterns = sys.argv[1], sys.argv[2], sys.argv[3:]
    signal.signal(signal.SIGTERM, _interrupt)
    # A shell starts what it puts into the background with SIGINT ignored; what is
    # ignored stays so in all that is started here.
    signal.signal(signal.SIGINT, _interrupt)
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    result = Result()
    name = os.path.basename(path)[:-3]
    hidden = importlib.import_module("lib.hidden")
    try:
        loader = unittest.TestLoader()
        if patterns:
            loader.testNamePatterns = [f"*{p}*" for p in patterns]
        loader.loadTestsFromModule(importlib.import_module(name)).run(result)
        hidden.check_all()
    except KeyboardInterrupt:
        traceback.print_exc(file=sys.stdout)
        result.failed.append(name + ": interrupted")
        return 1
    except Exception:
        traceback.print_exc(file=sys.stdout)
        result.failed.append(name)
        return 1
    finally:
        with open(report, "w", encoding="utf-8") as file:
            json.dump({"passed": result.passed, "failed": result.failed,
                       "hidden": hidden.known()}, file)
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.path[0:1] = []  # this folder is a package, not a place for modules
    sys.exit(main())
