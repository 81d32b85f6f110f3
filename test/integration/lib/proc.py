"""Child processes that do not outlive the process that tests.

The kernel kills a child when the thread that started it ends: start children
from the main thread, or from one that lives as long as they do.
"""
import atexit
import ctypes
import os
import signal
import subprocess

from . import hidden
from .wait import patience

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = set()


def _tied_to(parent):
    def hook():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)
    return hook


def _is_specman(command):
    return os.environ.get("SPECMAN") in map(os.fspath, command)


class _Specman(subprocess.Popen):
    """What it writes must hold no secret."""

    def __init__(self, command, **options):
        hidden.given(command, options.get("env"))
        super().__init__(command, **options)
        for output in options.get("stdout"), options.get("stderr"):
            name = getattr(output, "name", None)
            if isinstance(name, str) and os.path.isfile(name):
                hidden.follow(name)

    def communicate(self, *arguments, **options):
        outputs = super().communicate(*arguments, **options)
        for output in outputs:
            hidden.keep(output)
        return outputs


def spawn(command, detached=False, **options):
    """Popen; `detached` is for what is to go on running on purpose."""
    kind = _Specman if _is_specman(command) else subprocess.Popen
    options.setdefault("stdin", subprocess.DEVNULL)
    if detached:
        return kind(command, start_new_session=True, **options)
    process = kind(command, preexec_fn=_tied_to(os.getpid()), **options)
    _running.add(process)
    return process


def end(process, seconds=10):
    """Asks a process to end, then makes it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _running.discard(process)
    return process.returncode


def run(command, seconds=60, check=True, **options):
    """Runs a tool to its end; its output comes with the failure."""
    options.setdefault("stdin", subprocess.DEVNULL) if "input" not in options \
        else None
    if _is_specman(command):
        hidden.given(command, options.get("env"))
    done = subprocess.run(command, capture_output=True,
                          timeout=patience(seconds), **options)
    if _is_specman(command):
        hidden.keep(done.stdout)
        hidden.keep(done.stderr)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(map(str, command))}: exit {done.returncode}\n"
            f"{_text(done.stdout)}{_text(done.stderr)}")
    return done


def _text(output):
    return output.decode(errors="replace") if isinstance(output, bytes) \
        else output


@atexit.register
def _end_all():
    for process in list(_running):
        if process.poll() is None:
            process.kill()
            process.wait()
