#!/usr/bin/env python3
"""How much memory a large release takes: a layer of 2 GiB, which doesn't
shrink when packed, from docker-registry over TLS.

    test/bench/memory.py PROGRAM

Exit code 1 when specman has more than 64 MiB more in memory at the peak than
when idle. Counted is the resident set, anonymous pages and mapped files; the
kernel's cache of files that are read and written is no part of it. Takes about
7 GiB of disk in $TMPDIR for the time of the run.
"""
import gzip
import hashlib
import os
import random
import sys
import tarfile
import threading
import time

from place import bench

FILES = 8
FILE_BYTES = 256 << 20
BLOCK = 1 << 20
LIMIT_KIB = 64 << 10
SAMPLE_SECONDS = 0.02


class Noise:
    """A file of pseudo-random bytes that nobody holds."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def read(self, size):
        return self._random.randbytes(size)


class Hashing:
    """Counts and hashes what is written to a file."""

    def __init__(self, file):
        self.file, self.size = file, 0
        self.hash = hashlib.sha256()

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()


def make_layer(path):
    """Returns (digest, size)."""
    from lib import artifact
    with open(path, "wb") as file:
        out = Hashing(file)
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=0,
                           mtime=0) as box, \
                tarfile.open(fileobj=box, mode="w|", bufsize=BLOCK) as tar:
            for number in range(FILES):
                info, _ = artifact.member(f"images/{number}.tar")
                info.size = FILE_BYTES
                tar.addfile(info, Noise(number))
    return "sha256:" + out.hash.hexdigest(), out.size


def memory(pid):
    """The lines of /proc/PID/status that are sizes, in KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {name: int(rest.split()[0]) for name, _, rest in
                (line.partition(":") for line in file)
                if name.startswith(("Vm", "Rss"))}


class Watch:
    """Samples a process until stop(); `peak` has the largest of each size."""

    def __init__(self, pid):
        self.pid = pid
        self.peak = memory(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(SAMPLE_SECONDS):
            for name, size in memory(self.pid).items():
                self.peak[name] = max(self.peak[name], size)

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self.peak


def show(name, sizes):
    print(f"{name}: VmRSS {sizes['VmRSS']} KiB, RssAnon {sizes['RssAnon']}, "
          f"RssFile {sizes['RssFile']}, RssShmem {sizes['RssShmem']}, "
          f"VmHWM {sizes['VmHWM']}", flush=True)


def start(folder, stack, registry, authority):
    from lib.daemon import Specman
    os.mkdir(os.path.join(folder, "data"))
    daemon = Specman("--poll-interval", "1h", "--registry-ca", authority.ca,
                     "--repository", registry.repository(),
                     data=os.path.join(folder, "data"),
                     log=os.path.join(folder, "specman.log"))
    stack.callback(daemon.finish)
    daemon.wait_log(r"msg=Published\b.* releases=1\b")
    return daemon


def pull_large(daemon):
    """Returns the seconds that it took and the largest sizes meanwhile."""
    pid = daemon.process.pid
    # proc(5): 5 sets VmHWM back to what is resident now.
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    line = daemon.mark()
    watch = Watch(pid)
    begin = time.monotonic()
    try:
        daemon.poll_now()
        fields = daemon.wait_log(r"msg=Published\b|level=error", line, 900)
        if fields.get("releases") != "2":
            raise AssertionError(daemon.tail())
    finally:
        peak = watch.stop()
    return time.monotonic() - begin, peak


def main():
    with bench() as (folder, stack):
        from lib import artifact
        from lib.certs import Authority
        from lib.registry import Registry
        authority = Authority(os.path.join(folder, "ca"))
        registry = Registry(folder, authority)
        stack.callback(registry.stop)
        registry.push("1.0.0", artifact.tgz({"roar/versions.yaml": b"x: 1\n"}))
        path = os.path.join(folder, "manifests.tgz")
        digest, size = make_layer(path)
        daemon = start(folder, stack, registry, authority)
        with open(path, "rb") as file:
            registry.push_file("2.0.0", file, digest, size)
        os.unlink(path)

        idle = memory(daemon.process.pid)
        show("idle", idle)
        seconds, peak = pull_large(daemon)
        show("peak", peak)
        grown = max(peak["VmHWM"], peak["VmRSS"]) - idle["VmRSS"]
        print(f"{size} bytes pulled, verified and unpacked in {seconds:.0f} s;"
              f" {grown} KiB more than idle, of {LIMIT_KIB} allowed")
        return 1 if grown > LIMIT_KIB else 0


if __name__ == "__main__":
    sys.exit(main())
