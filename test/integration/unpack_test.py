"""Malformed and hostile archives, a tag each, all in one image layout: none
ends specman, none escapes, each is refused with a reason or stored as what it
says, and what is refused leaves nothing in the store."""
import io
import os
import re
import subprocess
import tarfile
import unittest

from lib import artifact, hostile_archives, large_archives, layout, tree
from lib.case import Case
from lib.daemon import call, parse
from lib.wait import scale

# `make soak` has these in full size and within the limits by default.
MANY = int(os.environ.get("UNPACK_MANY_FILES", "0"))


class Archives(Case):
    def sync(self, cases, *flags, env=None):
        """Syncs all cases; returns the store and {tag: error of its refusal}."""
        folder = self.folder()
        data = os.path.join(folder, "data")
        layout.write(os.path.join(folder, "scar"),
                     {case.name: case.data for case in cases})
        os.mkdir(data)
        done = call("sync", "--data-dir", data, "--repository",
                    f"oci-layout:{folder}/scar", *flags, env=env, check=False,
                    seconds=280)
        self.assertIn(done.returncode, (0, 1), done.stderr[-2000:])
        refused = {}
        for line in done.stderr.decode(errors="replace").splitlines():
            fields = parse(line)
            if fields.get("msg") == "Release refused":
                refused[fields["tag"]] = fields["error"]
        self.escaped(folder)
        self.check_store(data)
        return data, refused

    def escaped(self, folder):
        self.assertEqual(sorted(os.listdir(folder)), ["data", "scar"])
        for path in ("up", "x", "evil"):
            self.assertFalse(os.path.lexists(os.path.join(folder, path)))

    def stored(self, data, tag):
        """The files of a release, as bsdtar alone rebuilds them, which has
        nothing to complain about."""
        done = subprocess.run(
            ["bsdtar", "-cf", "-", "--format", "gnutar",
             f"@releases/{tag}.mtree"], cwd=data, capture_output=True,
            check=True)
        self.assertEqual(done.stderr, b"", tag)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as box:
            return {os.path.normpath(member.name):
                    box.extractfile(member).read()
                    for member in box if member.isfile()}

    def judge(self, cases, data, refused):
        for case in cases:
            with self.subTest(case.name):
                path = os.path.join(data, "releases", case.name + ".mtree")
                if case.files is None:
                    self.assertFalse(os.path.exists(path), "it was stored")
                    self.assertRegex(refused.get(case.name, ""), case.says)
                else:
                    self.assertIsNone(refused.get(case.name))
                    if case.files:
                        self.assertEqual(self.stored(data, case.name),
                                         case.files)

    def test_small_ones(self):
        cases = hostile_archives.CASES
        self.assertEqual(len({case.name for case in cases}), len(cases))
        data, refused = self.sync(cases, "--max-entries", "5000")
        self.judge(cases, data, refused)

    def test_names_of_tools(self):
        """In any locale they are packed and unpacked."""
        names = {"gr\u00fc\u00df/\u20ac.yaml": b"1", "b": b"2", "l\u00fcnk": b"1"}
        folder = self.folder()
        os.mkdir(os.path.join(folder, "gr\u00fc\u00df"))
        for name in list(names)[:2]:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(names[name])
        os.symlink("gr\u00fc\u00df/\u20ac.yaml", os.path.join(folder, "l\u00fcnk"))
        cases = []
        for locale in "C", "C.UTF-8":
            for tool in ("bsdtar --format zip", "bsdtar --format pax",
                         "bsdtar --format gnutar", "tar", "zip"):
                out = os.path.join(self.folder(), "out.zip")
                command = ["zip", "-qry", out, "."] if tool == "zip" else \
                    [*tool.split(), "-cf", out, "."]
                subprocess.run(command, cwd=folder, check=False,
                               stderr=subprocess.DEVNULL,
                               env={**os.environ, "LC_ALL": locale})
                with open(out, "rb") as file:
                    cases.append(hostile_archives.Case(
                        "-".join([*tool.split(), locale]), file.read(), names))
        for locale in "C", "C.UTF-8":
            self.judge(cases, *self.sync(cases, env={"LC_ALL": locale}))

    def test_large_ones(self):
        count = MANY or 100000
        limits = () if MANY else ("--max-unpacked-size", "512Mi",
                                  "--max-entries", "100000")
        cases = list(large_archives.big(count))
        data, refused = self.sync(cases, *limits)
        self.judge(cases, data, refused)
        with open(os.path.join(data, "releases", "many-files.mtree"),
                  encoding="ascii") as file:
            self.assertEqual(file.read().count(" type=file "), count)


class Limits(Case):
    def test_flags(self):
        """What passes by default is refused by the flag, which is named in
        the configuration that `check` prints."""
        files = {"a/b/c/file": tree.text("x", 5000), "small": b"s"}
        layer = artifact.tgz(files)
        for flag, value, says in (
                ("--max-entries", "3", "over 3 entries"),
                ("--max-file-size", "4Ki", "over 4096 bytes"),
                ("--max-unpacked-size", "5000", "over 5000 bytes"),
                ("--max-path-length", "9", "over 9 bytes"),
                ("--max-depth", "3", "over 3 folders deep"),
                ("--max-ratio", "200", None)):
            with self.subTest(flag):
                folder = self.folder()
                layout.write(os.path.join(folder, "scar"), {"1.0.0": layer})
                done = call("sync", "--data-dir", folder, "--repository",
                            f"oci-layout:{folder}/scar", flag, value,
                            check=False)
                log = done.stderr.decode()
                self.assertEqual(done.returncode, 1 if says else 0, log)
                self.assertEqual("Release refused" in log, bool(says))
                self.assertIn(says or "Published", log)

    def test_ratio(self):
        """Counted from 100 MiB on."""
        layer = artifact.tgz({"zeros": bytes(101 << 20)}, level=9)
        self.assertGreater(len(layer) * 1100, 101 << 20)
        for value, code in (("1100", 0), ("900", 1)):
            folder = self.folder()
            layout.write(os.path.join(folder, "scar"), {"1.0.0": layer})
            done = call("sync", "--data-dir", folder, "--repository",
                        f"oci-layout:{folder}/scar", "--max-ratio", value,
                        check=False, seconds=60)
            self.assertEqual(done.returncode, code, done.stderr)


class Memory(Case):
    """The peak of a daemon that has unpacked it all."""

    def peak(self, cases, pattern, *flags):
        """Its peak in MiB, and {tag: fields} of the lines of the log that match
        the pattern, one for each case."""
        folder = self.folder()
        layout.write(folder, {case.name: case.data for case in cases})
        daemon = self.start("--repository", f"oci-layout:{folder}",
                            "--poll-interval", "1h", *flags)
        lines = {case.name: daemon.wait_log(
            rf"{pattern}.* tag={case.name}( |$)", seconds=60)
            for case in cases}
        with open(f"/proc/{daemon.process.pid}/status",
                  encoding="ascii") as file:
            status = dict(line.split(":", 1) for line in file)
        return int(status["VmHWM"].split()[0]) // 1024, lines

    def below(self, peak, limit):
        """Sanitizers have memory of their own, and keep what is freed."""
        if scale() == 1:
            self.assertLess(peak, limit)

    def test_what_wants_too_much(self):
        cases = list(large_archives.refused())
        peak, lines = self.peak(cases, 'msg="Release refused"')
        for case in cases:
            with self.subTest(case.name):
                self.assertRegex(lines[case.name]["error"], case.says)
        self.below(peak, 96)

    def test_largest_windows(self):
        """Three of them, one after another."""
        cases = list(large_archives.stored())
        peak, lines = self.peak(cases, "msg=Published")
        for case in cases:
            self.assertEqual(int(lines[case.name]["bytes"]),
                             sum(case.files.values()))
        self.assertGreater(peak, 128, "no window was needed")
        self.below(peak, 176)

    def test_list_of_a_zip_archive(self):
        """It is held in memory: 256 bytes of it for each entry that may be."""
        case = hostile_archives.Case(
            "list", large_archives.zip_list(500000),
            says="what describes the entries is larger")
        peak, lines = self.peak([case], 'msg="Release refused"',
                                "--max-entries", "1000")
        self.assertRegex(lines["list"]["error"], case.says)
        self.below(peak, 48)


class Twins(Case):
    def test_bsdtar_reads_what_names_twins(self):
        files = tree.release("1.0.0")
        folder = self.folder()
        data = os.path.join(folder, "data")
        os.mkdir(data)
        layout.write(os.path.join(folder, "scar"),
                     {"1.0.0": artifact.tgz(files)})
        call("sync", "--data-dir", data, "--repository",
             f"oci-layout:{folder}/scar")
        with open(os.path.join(data, "releases", "1.0.0.mtree"),
                  encoding="utf-8") as file:
            text = file.read()
        found = re.findall(r"^\./(\S+) type=file \S+ size=(\d+) .*\n"
                           r"# gzip sha256digest=\S+ size=(\d+)$", text, re.M)
        self.assertEqual({path for path, _, _ in found},
                         {path for path, data in files.items()
                          if len(data) >= 1024})
        for _, size, twin in found:
            self.assertLessEqual(int(twin), int(size) * 9 // 10 + 1)
        self.check_store(data)
        self.assertEqual(Archives.stored(self, data, "1.0.0"), files)


if __name__ == "__main__":
    unittest.main()
