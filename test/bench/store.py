#!/usr/bin/env python3
"""How a store of many files starts, what it costs, and how fast it is.

    test/bench/store.py PROGRAM

For 1,000, 100,000 and 1,000,000 files: the time to load the view alone, the
time from the process's start to its first answer over TLS, resident memory,
and look-ups a second; then, with a hundred releases of 10,000 files each, the
time from the end of unpacking to the new view. Exit code 1 when 100,000 files
take more than a second to start, or an entry of the view more than 160 bytes
besides its path. Takes about 10 GiB of disk in $TMPDIR for the time of the run.
"""
import os
import statistics
import sys
import time

from place import bench

SIZES = (1000, 100_000, 1_000_000)
RELEASES, RELEASE_FILES = 100, 10_000
PUBLISHES = 5
START_LIMIT_S = 1.0
ENTRY_LIMIT = 160
PATH_BYTES = len("roar/nickfury/packs/00000/manifest-0000000-of-0.yaml")
LAST = "/roar/nickfury/packs/00000/manifest-0000001-of-0.yaml"


def drive(*arguments):
    """Runs the driver; its lines, each as a list of numbers."""
    from lib import proc
    driver = os.path.join(os.path.dirname(os.environ["SPECMAN"]),
                          "test/bench/store_driver")
    out = proc.run([driver, *map(str, arguments)], 3600).stdout.decode()
    return [list(map(float, line.split())) for line in out.splitlines()]


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file
                    if line.startswith("VmRSS"))


def start(data, folder, stack):
    """Seconds to the first answer, and KiB then. The certificate is there
    from an earlier start."""
    from lib.client import Client
    from lib.daemon import Specman
    flags = ("--plain-http", "--poll-interval", "1h",
             "--repository", "127.0.0.1:1/spectro-manifests/manifest")
    log = os.path.join(folder, "specman.log")
    first = Specman(*flags, data=data, log=log)
    stack.callback(first.finish)
    ca = first.ca()
    first.stop(60)
    begin = time.monotonic()
    daemon = Specman(*flags, data=data, log=log)
    stack.callback(daemon.finish)
    # Looked for more often than the tests do: the wait is measured.
    while "listener=https" not in daemon.log():
        time.sleep(0.002)
    client = Client(daemon.address(), ca)
    if client.get(LAST).status != 200:
        raise AssertionError("not served")
    took = time.monotonic() - begin
    kib = resident_kib(daemon.process.pid)
    client.close()
    daemon.stop(60)
    return took, kib


def one_size(files, folder, stack):
    """Returns what is beyond its limit."""
    data = os.path.join(folder, str(files))
    drive("make", data, files, 1)
    load_ms, kib, _, lookups = drive("load", data)[0]
    seconds, resident = start(data, folder, stack)
    entry = kib * 1024 / files
    print(f"{files} files: view loaded in {load_ms:.0f} ms; first answer "
          f"after {seconds:.2f} s; {resident / 1024:.0f} MiB resident, "
          f"{kib / 1024:.1f} MiB of it for the view ({entry:.0f} bytes an "
          f"entry with its path); {lookups / 1e6:.2f} million look-ups a "
          "second", flush=True)
    failed = []
    if files == 100_000 and seconds > START_LIMIT_S:
        failed.append(f"{files} files start in {seconds:.2f} s")
    if files > 1000 and entry > ENTRY_LIMIT + PATH_BYTES:
        failed.append(f"an entry takes {entry:.0f} bytes")
    return failed


def main():
    failed = []
    with bench() as (folder, stack):
        for files in SIZES:
            failed += one_size(files, folder, stack)
        data = os.path.join(folder, "many")
        drive("make", data, RELEASE_FILES, RELEASES)
        load_ms = drive("load", data)[0][0]
        times = [line[0] for line in drive("publish", data, PUBLISHES)]
        print(f"{RELEASES} releases of {RELEASE_FILES} files: loaded in "
              f"{load_ms:.0f} ms; a new one published in "
              f"{statistics.median(times):.0f} ms "
              f"(median of {PUBLISHES}, {max(times):.0f} at most)")
    for reason in failed:
        print("FAILED:", reason)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
