"""specman as a child process: its log, its addresses, its end."""
import json
import os
import re
import signal
import time

from . import hidden, proc, told
from .wait import patience, until

REPORT = re.compile(r"ERROR: (Address|Leak|Memory)Sanitizer"
                    r"|WARNING: ThreadSanitizer|runtime error:"
                    r"|SUMMARY: \w+Sanitizer")
_FIELD = re.compile(r'([\w.-]+)=("(?:[^"\\]|\\.)*"|\S*)')
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\r": "\r"}


def program():
    return os.path.abspath(os.environ["SPECMAN"])


def environment(extra=None):
    """The environment of a child: nothing that would configure it."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("SPECMAN")
           and k.lower() not in ("http_proxy", "https_proxy", "no_proxy",
                                 "all_proxy")}
    env.update(extra or {})
    return env


def call(*arguments, env=None, check=True, seconds=30):
    """Runs a command of specman that ends by itself."""
    done = proc.run([program(), *arguments], seconds, check,
                    env=environment(env))
    stderr = done.stderr.decode(errors="replace")
    if REPORT.search(stderr):
        raise AssertionError("sanitizer report:\n" + stderr)
    return done


def parse(line):
    """The fields of a line in logrus' text format, or in its JSON."""
    if line.startswith("{"):
        return json.loads(line)
    fields = {}
    for name, value in _FIELD.findall(line):
        if value.startswith('"'):
            value = re.sub(r'\\["\\ntr]', lambda m: _ESCAPES[m.group()],
                           value[1:-1])
        fields[name] = value
    return fields


class Specman:
    """`log` is the file that takes standard error, appended to; `wrapper` is
    a command in front that becomes it."""

    def __init__(self, *flags, data, log, env=None, detached=False,
                 listen="127.0.0.1:0", admin="127.0.0.1:0", workers=2,
                 wrapper=()):
        self.data = data
        self.log_path = log
        self._start = os.path.getsize(log) if os.path.exists(log) else 0
        self.command = [*wrapper, program(), "--data-dir", data, "--listen", listen,
                        "--admin-listen", admin, "--workers", str(workers),
                        *flags]
        with open(log, "ab") as stderr:
            self.process = proc.spawn(self.command, detached,
                                      stdout=stderr, stderr=stderr,
                                      env=environment(env))

    # The log

    def log(self):
        with open(self.log_path, "rb") as file:
            file.seek(self._start)
            return file.read().decode(errors="replace")

    def lines(self, since=0):
        """The whole lines logged after a mark."""
        return self.log().split("\n")[:-1][since:]

    def mark(self):
        return len(self.lines())

    def records(self, since=0):
        return [parse(line) for line in self.lines(since)]

    def wait_log(self, pattern, since=0, seconds=30):
        """The fields of the first line that matches, once it is there."""
        regex = re.compile(pattern)

        def look():
            alive = self.process.poll() is None
            for line in self.lines(since):
                if regex.search(line):
                    return parse(line)
            if not alive:
                raise AssertionError(
                    f"specman ended ({self.process.returncode}) before it "
                    f"logged {pattern}:\n{self.tail()}")
            return None
        return until(look, f"the log line {pattern}", seconds, self.tail)

    def tail(self, count=60):
        return "\n".join(self.log().split("\n")[-count:])

    # Where it listens

    def address(self, listener="https"):
        """(host, port) of a listener."""
        fields = self.wait_log(
            rf'msg=Listening .*listener={listener}\b'
            rf'|"listener":"{listener}","msg":"Listening"')
        host, port = fields["address"].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def ca(self):
        """The path of a file with the CA that it made for itself."""
        path = os.path.join(os.path.dirname(self.log_path), "specman-ca.pem")
        self.address()
        with open(path, "wb") as file:
            file.write(call("ca", "--data-dir", self.data).stdout)
        return path

    # What it does

    def poll_now(self):
        self.process.send_signal(signal.SIGUSR1)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Its end

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self, seconds=30):
        return self.process.wait(patience(seconds))

    def stop(self, seconds=20):
        """SIGTERM; returns how long it took. Anything but exit code 0 is a
        failure, and so is a report of a sanitizer."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(patience(seconds))
        except Exception:
            self.kill()
            raise AssertionError("specman did not end after SIGTERM:\n"
                                 + self.tail()) from None
        took = time.monotonic() - start
        self.check_reports()
        if code != 0:
            raise AssertionError(f"specman ended with {code}:\n{self.tail()}")
        return took

    def check_reports(self):
        if REPORT.search(self.log()):
            raise AssertionError("sanitizer report:\n" + self.tail(400))
        hidden.check(self.log())
        told.check(self.log())

    def finish(self):
        """The clean-up of a test: stop what runs, judge what it said."""
        if self.process.poll() is None:
            self.stop()
        else:
            self.check_reports()
