#!/usr/bin/env python3
"""Holds the tree to its own rules: which folder may include which, headers
that compile alone, sizes, leaves that neither log nor exit. Each rule counts
as one test; the last line is `N passed, N failed`."""
import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LEAVES = ("oci", "storage", "tls")
PARTS = ("daemon",) + LEAVES
PACKAGES = ("libmicrohttpd", "libcurl", "jansson", "libarchive", "openssl",
            "zlib", "cmocka")
TOP = {"Makefile", "daemon", "oci", "storage", "tls", "deploy", "test",
       "README.md", "LICENSE", "HACKING.md"}
FILE_LINES = 600
FUNCTION_LINES = 70

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)
_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
                    r"|'(?:\\.|[^'\\\n])*'", re.S)
_FORBIDDEN = re.compile(
    r"\b(?:_?exit|_Exit|quick_exit|abort|perror|syslog|vsyslog|printf|vprintf"
    r"|puts|putchar)\s*\("
    r"|\b(?:v?fprintf|fputs|fputc|putc|fwrite)\s*\([^;]*\bstderr\b"
    r"|\bdprintf\s*\(\s*(?:2|STDERR_FILENO)\b")


def sources(*folders, ends=(".c", ".h")):
    for folder in folders:
        for path, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in sorted(names):
                if name.endswith(ends):
                    yield os.path.relpath(os.path.join(path, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def bare(text):
    """The code without comments and literals, on the same lines."""
    return _NOISE.sub(lambda m: " " + "\n" * m.group().count("\n"), text)


def resolve(path, name):
    """The file that an include names, by the order of the compiler's search:
    beside the includer, -I., -Idaemon."""
    for base in (os.path.dirname(path), "", "daemon"):
        full = os.path.normpath(os.path.join(base, name))
        if os.path.exists(os.path.join(ROOT, full)):
            return full
    return None


def include_directions():
    """A leaf includes itself and base; base includes base; nobody includes
    tests."""
    for path in sources(*PARTS):
        if path.startswith("daemon/base/"):
            allowed = ("daemon/base/",)
        elif path.startswith("daemon/"):
            allowed = tuple(part + "/" for part in PARTS)
        else:
            allowed = (path.split("/")[0] + "/", "daemon/base/")
        for name in _INCLUDE.findall(read(path)):
            target = resolve(path, name)
            if target is None:
                yield f'{path}: "{name}" is not in the tree'
            elif not target.startswith(allowed):
                yield f'{path}: may not include "{name}"'


def headers_alone():
    """Each header compiles without anything before it."""
    known = [p for p in PACKAGES
             if subprocess.run(["pkg-config", "--exists", p],
                               check=False).returncode == 0]
    flags = subprocess.run(["pkg-config", "--cflags", *known],
                           capture_output=True, text=True,
                           check=True).stdout.split() if known else []

    def compile_one(path):
        done = subprocess.run(
            [os.environ.get("CC", "gcc").split()[0], "-fsyntax-only",
             "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
             "-I.", "-Idaemon", *flags, "-x", "c", "-"],
            input=f'#include "{path}"\n', capture_output=True, text=True,
            cwd=ROOT, check=False)
        return None if done.returncode == 0 else f"{path}:\n{done.stderr}"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(compile_one,
                                         sources(*PARTS, ends=(".h",))))


def top_level_names():
    """Only the names of the layout stand at the top."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return
    for name in sorted({p.split("/")[0]
                        for p in listed.stdout.split("\0") if p}):
        if name not in TOP and not name.startswith("."):
            yield f"{name}: not part of the layout"


def file_sizes():
    for path in sources(*PARTS, "test"):
        lines = read(path).count("\n")
        if lines > FILE_LINES:
            yield f"{path}: {lines} lines, {FILE_LINES} at the most"


def function_sizes():
    """In this style a function's braces stand in the first column."""
    for path in sources(*PARTS, "test", ends=(".c",)):
        start = None
        for number, line in enumerate(bare(read(path)).split("\n"), 1):
            if line.startswith("{"):
                start = number
            elif line.startswith("}") and start is not None:
                length = number - start - 1
                if length > FUNCTION_LINES:
                    yield (f"{path}:{start}: a function of {length} lines, "
                           f"{FUNCTION_LINES} at the most")
                start = None


def quiet_leaves():
    """Only daemon/ logs, and only its main ends the process."""
    for path in sources(*LEAVES, "daemon/base"):
        code = bare(read(path))
        for found in _FORBIDDEN.finditer(code):
            line = code.count("\n", 0, found.start()) + 1
            yield f"{path}:{line}: {' '.join(found.group().split())}"


RULES = (include_directions, headers_alone, top_level_names, file_sizes,
         function_sizes, quiet_leaves)


def main():
    failed = 0
    for rule in RULES:
        name = rule.__name__.replace("_", " ")
        problems = list(rule())
        print(f"{'FAILED' if problems else 'ok    '}  {name}")
        for problem in problems:
            print("  " + problem.replace("\n", "\n  "))
        failed += bool(problems)
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
