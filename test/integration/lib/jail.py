#!/usr/bin/env python3
"""Runs a program of a root folder as a container runtime would, with unshare and
chroot alone: for machines where podman can't.

    jail.py ROOT [--bind FROM:TO[:ro]]… [--net] [--pid-file FILE] -- COMMAND…
    jail.py ROOT --enter PID -- COMMAND…

The program is PID 1 of its own, with namespaces of its own (the network's with --net),
a read-only root, /proc, user and group 65532, no capabilities, no new privileges.
Limits of memory and seccomp filters are not set. SIGTERM, SIGHUP, SIGUSR1 are passed on.
"""
import argparse
import ctypes
import os
import signal
import subprocess
import sys
import traceback

ID = 65532
CLONE = {"mnt": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000,
         "pid": 0x20000000, "net": 0x40000000}
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
_libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if getattr(_libc, function)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{function}{arguments}")


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def bind(source, target, read_only=False):
    mount("--rbind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro", target)


def lay_out(root, binds):
    """The mounts of the new namespace."""
    mount("--make-rprivate", "/")
    bind(root, root, True)
    mount("-t", "proc", "proc", root + "/proc")
    bind("/sys", root + "/sys", True)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root + "/dev")
    for name in ("null", "zero", "random", "urandom"):
        with open(f"{root}/dev/{name}", "wb"):
            pass
        bind(f"/dev/{name}", f"{root}/dev/{name}")
    for item in binds:
        source, target, *options = item.split(":")
        bind(source, root + target, "ro" in options)


def become(root, command):
    """The chosen program, in the root folder, without any right."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    os.chroot(root)  # from here on Python finds no module of its own
    os.chdir("/")
    for capability in range(last + 1):
        call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(ID, ID, ID)
    os.setresuid(ID, ID, ID)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # A change of user forgets it, so here.
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execvpe(command[0], command, {"PATH": "/usr/bin"})


def in_child(action):
    """What a child does with this; gives its pid."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
        os._exit(127)
    return child


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("--net", action="store_true")
    parser.add_argument("--pid-file")
    parser.add_argument("--enter", type=int)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    def enter():
        become(options.root, options.command)

    def start():
        lay_out(options.root, options.bind)
        enter()

    if options.enter:
        for name, flag in sorted(CLONE.items(), reverse=True):
            with open(f"/proc/{options.enter}/ns/{name}", "rb") as file:
                call("setns", file.fileno(), flag)
        child = in_child(enter)
    else:
        if options.net:
            call("unshare", CLONE["net"])
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # The next child of all is PID 1.
        call("unshare", sum(flag for name, flag in CLONE.items()
                            if name != "net"))
        child = in_child(start)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda n, _: os.kill(child, n))
    if options.pid_file:
        with open(options.pid_file + ".new", "w", encoding="ascii") as file:
            file.write(str(child))
        os.rename(options.pid_file + ".new", options.pid_file)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255


if __name__ == "__main__":
    sys.exit(main())
