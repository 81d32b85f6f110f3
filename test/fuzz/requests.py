#!/usr/bin/env python3
"""Sends random and broken requests to a specman of its own.

    test/fuzz/requests.py build/specman [--count N] [--seed TEXT]

A failure names the requests that made it; with the same seed they come again.
"""
import argparse
import os
import sys

INTEGRATION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                           "integration")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    env = {**os.environ, "SPECMAN": os.path.abspath(options.program),
           "ABUSE_COUNT": str(options.count), "ABUSE_SEED": options.seed}
    os.execve(sys.executable,
              [sys.executable, "-B", os.path.join(INTEGRATION,
                                                  "abuse_test.py")], env)


if __name__ == "__main__":
    main()
