#!/usr/bin/env python3
"""How long a poll takes that finds nothing new: 500 tags in docker-registry,
behind a link that delays each answer by 20 ms.

    test/bench/poll.py PROGRAM

Exit code 1 when it takes over 2 seconds, asks more than one list and a HEAD
for each tag, needs a new connection, or the registry counts otherwise than the
link.
"""
import os
import statistics
import sys
import time

from place import bench

TAGS = 500
MANIFESTS = 5
DELAY_SECONDS = 0.020
LIMIT_SECONDS = 2.0
ROUNDS = 5


def fill(registry):
    from lib import artifact
    layers = [artifact.tgz({f"roar/{number}.yaml": b"version: %d\n" % number})
              for number in range(MANIFESTS)]
    manifests = [artifact.oras_manifest(layer) for layer in layers]
    for number in range(TAGS):
        which = number % MANIFESTS
        registry.push(f"4.{number // 100}.{number % 100}", layers[which],
                      manifest=manifests[which])


def poll(daemon, link, registry):
    """One poll: (seconds, requests by the link, requests by the registry)."""
    place, line = registry.mark(), daemon.mark()
    link.reset()
    start = time.monotonic()
    daemon.poll_now()
    daemon.wait_log(r'msg="Nothing new"', line, 60)
    return (time.monotonic() - start, list(link.requests),
            [(method, path) for method, path, _ in registry.requests(place)])


def check(seconds, seen, logged):
    problems = []
    lists = sum("/tags/list" in path for _, path in seen)
    heads = sum(method == "HEAD" for method, _ in seen)
    if lists > 1 or heads > TAGS or len(seen) > 1 + TAGS:
        problems.append(f"{lists} lists, {heads} HEADs, {len(seen)} requests")
    if sorted(seen) != sorted(logged):
        problems.append(f"the registry counts {len(logged)} requests")
    if seconds > LIMIT_SECONDS:
        problems.append(f"{seconds:.2f} s are over {LIMIT_SECONDS} s")
    return problems


def measure(daemon, link, registry, name):
    worst, problems = [], []
    for _ in range(ROUNDS):
        seconds, seen, logged = poll(daemon, link, registry)
        worst.append(seconds)
        problems += check(seconds, seen, logged)
        if link.connections:
            problems.append(f"{link.connections} connections were not kept")
    print(f"{name}: {len(seen)} requests, {link.sent} bytes there, "
          f"{link.received} bytes back; "
          f"median {statistics.median(worst):.3f} s, worst {max(worst):.3f} s "
          f"of {ROUNDS}; {link.cpu():.3f} s of it the link's own computing",
          flush=True)
    return problems


def main():
    with bench() as (folder, stack):
        from delay import Link
        from lib.daemon import Specman
        from lib.registry import PATH, Registry
        registry = Registry(folder)
        stack.callback(registry.stop)
        fill(registry)
        link = Link(registry.port, DELAY_SECONDS)
        stack.callback(link.close)
        os.mkdir(os.path.join(folder, "data"))
        start = time.monotonic()
        daemon = Specman("--plain-http", "--poll-interval", "1h",
                         "--log-level", "debug",
                         "--repository", f"127.0.0.1:{link.port}/{PATH}",
                         data=os.path.join(folder, "data"),
                         log=os.path.join(folder, "specman.log"))
        stack.callback(daemon.finish)
        daemon.wait_log('msg="Sync done"', seconds=300)
        print(f"first sync of {TAGS} tags: {time.monotonic() - start:.1f} s",
              flush=True)
        link.seconds = 0
        problems = measure(daemon, link, registry, "no delay")
        link.seconds = DELAY_SECONDS
        problems += measure(daemon, link, registry,
                            f"{DELAY_SECONDS * 1000:.0f} ms delay")
        for problem in problems:
            print("FAILED: " + problem)
        return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
