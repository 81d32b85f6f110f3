"""Waiting for a condition, never for a length of time."""
import os
import time

_scale = None


def scale():
    """How much longer deadlines are: sanitizers slow a program down."""
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


def until(condition, what, seconds=30, detail=None):
    """Returns the first true value of condition(); fails after a deadline."""
    deadline = time.monotonic() + seconds * scale()
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
