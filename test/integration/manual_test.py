"""The man page, as `make install` puts it, says all that --help says."""
import os
import re
import shlex
import unittest

from lib import proc
from lib.case import Case
from lib.daemon import program

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


class Manual(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prefix = os.path.join(cls.class_folder(), "usr")
        proc.run(["make", "-s", "-C", ROOT, "install", f"PREFIX={cls.prefix}",
                  f"O={os.path.dirname(program())}"])
        cls.page = os.path.join(cls.prefix, "share", "man", "man1",
                                "specman.1")
        shown = proc.run(["mandoc", "-Tascii", "-Owidth=200", cls.page])
        cls.text = re.sub(r".\x08", "", shown.stdout.decode())
        cls.help = proc.run([program(), "--help"]).stdout.decode()

    def section(self, name):
        return re.search(rf"^{name}\n(.*?)(?=^\S|\Z)", self.text,
                         re.M | re.S).group(1)

    def test_lint(self):
        """Debian's mandoc has nothing to say of it, but of pages that are
        not installed here."""
        found = proc.run(["mandoc", "-Tlint", "-Wstyle", self.page],
                         check=False).stdout.decode()
        self.assertEqual([line for line in found.splitlines()
                          if "referenced manual not found" not in line], [])

    def test_flags(self):
        flags = re.findall(r"^  (--\S+) (\S*) +(.*)$", self.help, re.M)
        self.assertGreater(len(flags), 40)
        options = self.section("OPTIONS")
        for name, value, what in flags:
            entry = re.search(rf"^ +{name}(?: (.*))?\n((?:.+\n)+)", options,
                              re.M)
            self.assertTrue(entry, name)
            self.assertEqual(entry.group(1) or "", value, name)
            words = " ".join(entry.group(2).split())
            self.assertEqual(words.lower(), what.lower() + ".", name)
        self.assertEqual(len(re.findall(r"^ {5}--[a-z-]+(?: \S+)?$", options,
                                        re.M)), len(flags))

    def test_commands(self):
        block = re.search(r"^Commands:\n((?:  .*\n)+)", self.help, re.M)
        commands = re.findall(r"^  (\S+)", block.group(1), re.M)
        described = re.findall(r"^ {5}([a-z]+)(?:$| {2,})",
                               self.section("COMMANDS"), re.M)
        self.assertEqual(described, commands)
        for command in commands:
            self.assertRegex(self.section("SYNOPSIS"), rf"\b{command}\b")

    def test_examples(self):
        """Each is a command that may be pasted as it stands: its lines belong
        together for a shell, and its flags have their values."""
        values = dict(re.findall(r"^  (--\S+) (\S*) +.*$", self.help, re.M))
        shown = re.findall(r"(?m)^ {11}(\S.*\n(?:^ {12,}\S.*\n)*)",
                           self.section("EXAMPLES"))
        self.assertGreater(len(shown), 4)
        for command in shown:
            words = shlex.split(command)
            self.assertIn(words[0].split("=")[0],
                          ("specman", "repository", "kubectl", "cd"), command)
            for word, after in zip(words, words[1:] + ["--end"]):
                if values.get(word):
                    self.assertFalse(after.startswith("--"), command)

    def test_exit_codes(self):
        codes = re.search(r"Exit codes: (.*)\.$", self.help, re.M).group(1)
        status = self.section("EXIT STATUS")
        for code in re.findall(r"\b\d\b", codes):
            self.assertRegex(status, rf"(?m)^ {{5}}{code} ")


if __name__ == "__main__":
    unittest.main()
