"""Completion in real bash, zsh and fish, as `make install` puts it: each command
and each flag of --help, and what flags take."""
import os
import pty
import re
import select
import unittest

from lib import proc
from lib.case import Case
from lib.daemon import call, environment, program
from lib.wait import until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BASH = r'''
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_specman
printf '%s\n' "${COMPREPLY[@]}"
'''

ZSHRC = r'''
fpath=($FUNCTIONS $fpath)
autoload -Uz compinit
compinit -u -D
unsetopt zle_bracketed_paste beep
number=1
compadd()
{
	local -a hits
	if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
		builtin compadd -A hits "$@"
		print -rl -- $hits >>$SEEN/hits-$number
	fi
	builtin compadd "$@"
}
seen()
{
	zle complete-word
	: >$SEEN/done-$number
	((number++))
}
zle -N seen
bindkey '^I' seen
started() { : >$SEEN/ready }
zle -N zle-line-init started
'''


class Installed(Case):
    @classmethod
    def setUpClass(cls):
        cls.prefix = os.path.join(cls.class_folder(), "usr")
        proc.run(["make", "-s", "-C", ROOT, "install", f"PREFIX={cls.prefix}",
                  f"O={os.path.dirname(program())}"])
        cls.place = cls.class_folder()
        os.mkdir(os.path.join(cls.place, "a folder"))
        with open(os.path.join(cls.place, "a file"), "wb"):
            pass
        text = call("--help").stdout.decode()
        cls.flags = dict(re.findall(r"(?m)^  (--[a-z0-9-]+) (\S*) ", text))
        cls.commands = re.findall(r"(?m)^  ([a-z]+) ", text)
        cls.env = environment({
            "PATH": f"{cls.prefix}/bin:{os.environ['PATH']}",
            "HOME": cls.class_folder(), "TERM": "vt100", "LC_ALL": "C.UTF-8",
            "XDG_DATA_DIRS": f"{cls.prefix}/share:/usr/share"})
        assert len(cls.flags) > 40 and len(cls.commands) > 8

    def share(self, path):
        return os.path.join(self.prefix, "share", path)

    def choices(self):
        found = {flag: value.split("|") for flag, value in self.flags.items()
                 if "|" in value}
        self.assertIn("--log-format", found)
        return found

    def with_value(self, value):
        return sorted(f for f, v in self.flags.items() if v == value)


class Lists:
    """What bash and fish show; complete(*words) gives a set."""

    def test_commands(self):
        self.assertEqual(self.complete(""), set(self.commands))
        self.assertEqual(self.complete("ex"), {"export"})
        self.assertEqual(self.complete("--prune", "ve"),
                         {"verify", "version"})
        self.assertEqual(self.complete("--log-level", "debug", "hi"),
                         {"history"})

    def test_flags(self):
        self.assertEqual(self.complete("--"), {"--help", *self.flags})
        self.assertEqual(self.complete("check", "--"),
                         {"--help", *self.flags})
        self.assertEqual(self.complete("serve", "--tls-client"),
                         {"--tls-client-ca", "--tls-client-auth"})

    def test_choices(self):
        for flag, choices in self.choices().items():
            self.assertEqual(self.complete(flag, ""), set(choices))
            self.assertEqual(self.complete("serve", flag, choices[0][:-1]),
                             {choices[0]})

    def test_files_and_folders(self):
        for flag in self.with_value("FILE"):
            self.assertEqual(self.complete(flag, "a"), self.both, flag)
        for flag in self.with_value("DIR"):
            self.assertEqual(self.complete(flag, "a"), self.folders, flag)
        self.assertEqual(self.complete("--poll-interval", "a"), set())

    def test_operands(self):
        self.assertEqual(self.complete("push", "h/a:1", "a"), self.both)
        self.assertEqual(self.complete("push", "a"), set())
        self.assertEqual(self.complete("export", "1.0.0", "a"), self.folders)
        self.assertEqual(self.complete("sync", "a"), set())


class Bash(Installed, Lists):
    both, folders = {"a file", "a folder"}, {"a folder"}

    def shown(self, words):
        done = proc.run(["bash", "--norc", "-c", BASH, "bash", self.share(
            "bash-completion/completions/specman"), "specman", *words],
            cwd=self.place, env=self.env)
        self.assertEqual(done.stderr, b"")
        return set(done.stdout.decode().split("\n")) - {""}

    def complete(self, *words):
        return self.shown(words)

    def test_values_behind_an_equals_sign(self):
        for flag, choices in self.choices().items():
            self.assertEqual(self.shown([flag, "="]), set(choices))
            self.assertEqual(self.shown([flag, "=", choices[0][:-1]]),
                             {choices[0]})
        self.assertEqual(self.shown(["--data-dir", "=", "a"]), self.folders)
        self.assertEqual(self.shown(["--prune", "="]), {"true", "false"})
        self.assertEqual(self.shown(["--prune", "=", "f"]), {"false"})
        self.assertEqual(self.shown(["--data-dir", "=", "/x", "ex"]),
                         {"export"})

    def test_bash_completion_finds_it(self):
        done = proc.run(["bash", "--norc", "-c", (
            "source /usr/share/bash-completion/bash_completion\n"
            "_completion_loader specman\ncomplete -p specman")], env=self.env)
        self.assertEqual(done.stdout, b"complete -F _specman specman\n")


class Fish(Installed, Lists):
    both, folders = {"a file", "a folder/"}, {"a folder/"}

    def complete(self, *words):
        done = proc.run(["fish", "--no-config", "-c", (
            "source $argv[1]; complete -C $argv[2]"),
            self.share("fish/vendor_completions.d/specman.fish"),
            " ".join(["specman", *words])], cwd=self.place, env=self.env)
        self.assertEqual(done.stderr, b"")
        return {line.split("\t")[0] for line in
                done.stdout.decode().split("\n")} - {""}

    def test_fish_finds_it(self):
        done = proc.run(["fish", "-c", "complete -C 'specman exp'"],
                        cwd=self.place, env=self.env)
        self.assertRegex(done.stdout.decode(), "^export\t")


class Zsh(Installed, Lists):
    """At a terminal, since that is where it completes; what it adds to the list
    of matches is written to a file."""
    both, folders = {"a file", "a folder"}, {"a folder"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = cls.class_folder()
        with open(os.path.join(cls.home, ".zshrc"), "w",
                  encoding="ascii") as file:
            file.write(ZSHRC)
        cls.master, terminal = pty.openpty()
        cls.addClassCleanup(os.close, cls.master)
        process = proc.spawn(
            ["zsh", "-i"], stdin=terminal, stdout=terminal, stderr=terminal,
            cwd=cls.place, env={
                **cls.env, "ZDOTDIR": cls.home, "SEEN": cls.home,
                "FUNCTIONS": os.path.join(cls.prefix, "share", "zsh",
                                          "site-functions")})
        os.close(terminal)
        cls.addClassCleanup(proc.end, process, 0)
        cls.shown, cls.times = "", 0
        cls.wait("", "ready")

    @classmethod
    def wait(cls, what, name):
        """Until it has written a file; what it shows is for who looks."""
        def look():
            if select.select([cls.master], [], [], 0.01)[0]:
                cls.shown += os.read(cls.master, 65536).decode(errors="replace")
            return os.path.exists(os.path.join(cls.home, name))
        until(look, f"zsh: {what}", 30, lambda: cls.shown[-4000:])

    def complete(self, *words):
        type(self).times += 1
        line = " ".join(["specman", *words]).replace("a f", "a\\ f")
        os.write(self.master, f"\x15{line}\t".encode())  # ^U before it
        self.wait(line, f"done-{self.times}")
        try:
            with open(os.path.join(self.home, f"hits-{self.times}"),
                      encoding="utf-8") as file:
                return set(file.read().replace("\\", "").split("\n")) - {""}
        except FileNotFoundError:
            return set()

    def test_values_behind_an_equals_sign(self):
        for flag, choices in self.choices().items():
            self.assertEqual(self.complete(flag + "="), set(choices))
        self.assertEqual(self.complete("--data-dir=a"), self.folders)
        self.assertEqual(self.complete("--prune="), {"true", "false"})
        self.assertEqual(self.complete("--data-dir=/x", "ex"), {"export"})


if __name__ == "__main__":
    unittest.main()
