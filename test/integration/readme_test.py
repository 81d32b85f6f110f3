"""README: what it names is there, and what an operator meets is named."""
import os
import re
import unittest

from lib import told
from lib.case import Case
from lib.daemon import call

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
# A text of one or more literals.
LITERAL = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


class Readme(Case):
    def test_links(self):
        """Each leads to a heading or a file of the tree."""
        for page in ("README.md", "HACKING.md", "deploy/MIGRATION.md"):
            text = read(page)
            anchors = {anchor(h) for h in re.findall(r"(?m)^#+ (.*)$", text)}
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if target.startswith("#"):
                    self.assertIn(target[1:], anchors, page)
                elif not target.startswith("http"):
                    self.assertTrue(os.path.exists(os.path.join(
                        ROOT, os.path.dirname(page), target)),
                        f"{page}: {target}")

    def test_warnings_and_errors(self):
        """Each that the daemon's source has is in the table of messages."""
        found = set()
        folder = os.path.join(ROOT, "daemon")
        for name in os.listdir(folder):
            if name.endswith(".c"):
                for texts in re.findall(r"LOG_(?:WARNING|ERROR),\s*" + LITERAL,
                                        read("daemon/" + name)):
                    found.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"',
                                                 texts)))
        self.assertGreater(len(found), 20)
        told.check("\n".join(f'time="…" level=error msg="{message}"'
                             for message in sorted(found)))

    def test_a_message_that_is_missing_is_found(self):
        with self.assertRaises(AssertionError):
            told.check('time="…" level=warning msg="Nobody knows this"')
        with self.assertRaises(AssertionError):
            told.check('{"level":"error","msg":"Nobody knows this"}')

    def test_flags(self):
        """What README calls a flag of specman's is one."""
        known = set(re.findall(r"(?m)^  (--[a-z0-9-]+)",
                               call("--help").stdout.decode()))
        named = set(re.findall(r"`(--[a-z][a-z0-9-]*)[^`]*`", read("README.md")))
        others = {"--help", "--tlog-upload", "--use-signing-config"}  # cosign's
        self.assertEqual(sorted(named - known - others), [])
        self.assertGreater(len(named), 30)

    def test_make_targets(self):
        targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", read("Makefile")))
        for page in ("README.md", "HACKING.md"):
            for line in re.findall(r"(?m)`make ([a-z-]+)", read(page)):
                self.assertIn(line, targets, page)


if __name__ == "__main__":
    unittest.main()
