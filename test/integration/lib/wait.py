"""Waiting for a condition, never for a length of time."""
import os
import time

# A machine that others use as well may be many times slower than one at rest. A
# deadline is for what never comes: it may be generous.
PATIENCE = 5
_scale = None


def scale():
    """How much slower a program is: sanitizers cost time and memory."""
    global _scale
    if _scale is None:
        _scale = float(os.environ.get("TEST_DEADLINE_SCALE", "1"))
        program = os.environ.get("SPECMAN")
        if program and os.path.exists(program):
            with open(program, "rb") as file:
                image = file.read()
            if b"__asan_init" in image or b"__tsan_init" in image:
                _scale *= 4
    return _scale


def patience(seconds):
    """How long to wait for what takes up to so many seconds on a machine at rest."""
    return seconds * scale() * PATIENCE


def is_prompt(attempt, seconds, tries=5):
    """Whether attempt() returns less than so many seconds, once in some tries: what
    another program does to this machine's time says nothing of specman."""
    return any(attempt() < seconds for _ in range(tries))


def until(condition, what, seconds=30, detail=None):
    """Returns the first true value of condition(); fails after a deadline."""
    deadline = time.monotonic() + patience(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            message = f"deadline passed while waiting for {what}"
            if detail:
                message += "\n" + detail()
            raise AssertionError(message)
        time.sleep(0.01)
