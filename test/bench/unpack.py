#!/usr/bin/env python3
"""How fast an archive becomes a release, beside bsdtar and GNU tar, which have
neither hashes, nor gzip twins, nor durability; and what ten releases take.

    test/bench/unpack.py PROGRAM [FILES…]

For each number of files (1000, 100000 and 1000000, of a few hundred bytes as
most manifests have, and "large" for one file of 1 GiB) the three take turns
in three rounds or more; shown are seconds (smallest, middle, largest) and how
many times the faster tar's rate specman reaches in the same round (goal: 1.0).
specman's time is that of the whole `specman sync` from an image layout, with
the copy, its digest, and syncfs. "yaml" is 20000 texts of 1 to 8 KiB, each of
which gets a twin.

A release's file takes some 300 bytes for each of its files, shared or not, so
what ten releases that share 90 % of their files take is shown for two mean
sizes of a file. Exit code 1 when it is twice as much as one release, or more,
for files of 32 KiB. Takes about 12 GiB in $TMPDIR.
"""
import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import time

from place import bench

ROUNDS = 3
BLOCK = 1 << 20
SPACE_FILES = 1000
SPACE_RELEASES = 10


def contents(kind):
    """(path, bytes) of each file."""
    from lib import tree
    if kind == "yaml":
        for n in range(20000):
            yield f"d{n % 200}/f{n}.yaml", tree.text(n, 1024 + n * 37 % 7168)
        return
    text = tree.text("small", 900)
    for n in range(int(kind)):
        yield f"d{n % 1000}/s{n % 7}/f{n}.yaml", \
            b"# %d\n" % n + text[:200 + n % 700]


def make_archive(path, kind):
    from lib import artifact, tree
    with tarfile.open(path, "w:gz", compresslevel=1) as box:
        if kind == "large":
            info, _ = artifact.member("image.tar")
            info.size = 1 << 30
            block = tree.binary("block", BLOCK // 2) + bytes(BLOCK // 2)
            box.addfile(info, Repeated(block))
            return
        for name, data in contents(kind):
            info, _ = artifact.member(name)
            info.size = len(data)
            box.addfile(info, io.BytesIO(data))


class Repeated:
    """A file of one block over and over; reads are no larger than that."""

    def __init__(self, block):
        self.block, self.at = block, 0

    def read(self, size):
        self.at = (self.at + size) % len(self.block)
        start = self.at - size
        return self.block[start:self.at] if start >= 0 and self.at \
            else (self.block * 2)[start % len(self.block):][:size]


def measured(command, folder):
    """Seconds of a command in a new folder, which stays until all have run:
    ext4 hands out what was just removed only after a long search."""
    command = [folder if word == "FOLDER" else word for word in command]
    os.mkdir(folder)
    os.sync()
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True,
                          check=False)
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr[-2000:]}")
    return seconds


def commands(archive, layout):
    return {
        "specman": [os.environ["SPECMAN"], "sync", "--data-dir", "FOLDER",
                    "--repository", f"oci-layout:{layout}"],
        "bsdtar": ["bsdtar", "-xf", archive],
        "tar": ["tar", "-xf", archive],
    }


def compare(folder, kind, rounds):
    from lib import layout
    place = os.path.join(folder, kind)
    os.mkdir(place)
    archive = os.path.join(place, "archive.tgz")
    make_archive(archive, kind)
    with open(archive, "rb") as file:
        layout.write(os.path.join(place, "scar"), {"1.0.0": file.read()})
    times = {name: [] for name in commands("", "")}
    for number in range(rounds):
        for name, command in commands(archive,
                                      os.path.join(place, "scar")).items():
            times[name].append(measured(
                command, os.path.join(place, f"{name}-{number}")))
    ratios = [min(b, t) / s for s, b, t in zip(
        times["specman"], times["bsdtar"], times["tar"])]
    for name, seconds in times.items():
        print(f"{kind:>8} {name:8} {spread(seconds)} s", flush=True)
    print(f"{kind:>8} rate of specman, that of the faster tar being 1: "
          f"{spread(ratios)}", flush=True)
    shutil.rmtree(place)


def spread(values):
    return f"{min(values):.2f} {statistics.median(values):.2f} " \
           f"{max(values):.2f}"


def taken(folder):
    """Bytes on disk."""
    return sum(os.lstat(os.path.join(base, name)).st_blocks * 512
               for base, _, names in os.walk(folder) for name in names)


def space(folder, mean):
    """What ten releases take, each sharing 90 % of its files with the one
    before, in terms of one."""
    from lib import artifact, layout, tree
    place = os.path.join(folder, "space")
    data = os.path.join(place, "data")
    os.makedirs(data)

    def text(seed, n):
        return tree.text(seed, 512 + n * 37 % 1000 * 2 * mean // 1000)
    files = {f"d{n % 20}/f{n}.yaml": text(n, n) for n in range(SPACE_FILES)}
    releases, sizes = {}, []
    for number in range(SPACE_RELEASES):
        for n in range(number, SPACE_FILES, 10) if number else ():
            files[f"d{n % 20}/f{n}.yaml"] = text(f"{number} {n}", n)
        releases[f"1.0.{number}"] = artifact.tgz(files)
        if number in (0, SPACE_RELEASES - 1):
            layout.write(os.path.join(place, "scar"), releases)
            measured([os.environ["SPECMAN"], "sync", "--data-dir", data,
                      "--repository", f"oci-layout:{place}/scar"],
                     os.path.join(place, f"run-{number}"))
            sizes.append(taken(data))
    ratio = sizes[1] / sizes[0]
    print(f"{SPACE_RELEASES} releases that share 90 % of their files of some "
          f"{mean >> 10} KiB: {sizes[1] >> 20} MiB, {ratio:.2f} times one "
          f"({sizes[0] >> 20})", flush=True)
    shutil.rmtree(place)
    return ratio


def main():
    kinds = sys.argv[2:] or ["1000", "yaml", "large", "100000", "1000000"]
    del sys.argv[2:]
    with bench() as (folder, _):
        space(folder, 10 << 10)
        ratio = space(folder, 32 << 10)
        for kind in kinds:
            compare(folder, kind, 9 if kind == "1000" else ROUNDS)
        return 1 if ratio >= 2 else 0


if __name__ == "__main__":
    sys.exit(main())
