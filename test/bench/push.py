#!/usr/bin/env python3
"""How much memory a push of 2 GiB takes that don't shrink when packed, to
docker-registry over TLS.

    test/bench/push.py PROGRAM

Exit code 1 when specman has more than 48 MiB in memory at the peak. Takes about
7 GiB of disk in $TMPDIR for the time of the run.
"""
import os
import sys
import time

from memory import BLOCK, FILE_BYTES, FILES, Noise
from place import bench

LIMIT_KIB = 48 << 10


def make_folder(folder):
    for number in range(FILES):
        noise = Noise(number)
        with open(os.path.join(folder, f"{number}.tar"), "wb") as file:
            for _ in range(FILE_BYTES // BLOCK):
                file.write(noise.read(BLOCK))


def push(command):
    """Returns its largest resident set in KiB (proc(5): VmHWM)."""
    from lib import proc
    from lib.daemon import environment
    process = proc.spawn(command, env=environment())
    peak = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                peak = max([peak] + [int(line.split()[1]) for line in file
                                     if line.startswith("VmHWM")])
        except ProcessLookupError:
            pass
        time.sleep(0.02)
    if process.returncode:
        sys.exit(process.returncode)
    return peak


def main():
    with bench() as (folder, stack):
        from lib.certs import Authority
        from lib.daemon import program
        from lib.registry import Registry
        authority = Authority(os.path.join(folder, "ca"))
        registry = Registry(folder, authority)
        stack.callback(registry.stop)
        source = os.path.join(folder, "source")
        os.mkdir(source)
        make_folder(source)
        begin = time.monotonic()
        peak = push([program(), "push", registry.repository() + ":0.0.0",
                     source, "--registry-ca", authority.ca])
        print(f"{FILES * FILE_BYTES} bytes packed, sent and read back in "
              f"{time.monotonic() - begin:.0f} s; {peak} KiB resident at the "
              f"peak, of {LIMIT_KIB} allowed")
        return 1 if peak > LIMIT_KIB else 0


if __name__ == "__main__":
    sys.exit(main())
