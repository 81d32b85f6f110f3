"""`specman push` against real docker-registry, and against one that fails in the
ways that registries fail."""
import json
import os
import pty
import re
import shutil
import signal
import tarfile
import time
import unittest

from lib import artifact, hidden, proc, tree
from lib.aws import REGION, Aws, EcrRegistry, Tunnel
from lib.breaker import Breaker
from lib.case import Case
from lib.daemon import call, environment, program
from lib.faulty import FakeRegistry, error
from lib.push_mishaps import WAYS
from lib.registry import PATH, Registry, TokenServer, basic
from lib.stage import in_mounts, without_privileges
from lib.uploads import Uploads
from lib.wait import is_prompt, patience, scale, until

USER, PASSWORD = "robot$pusher", "p:ss word=1"


def fill(folder, files):
    for path, data in files.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
    return folder


class PushCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.authority = cls.class_authority()
        cls.home = cls.class_folder()
        cls.trust = ["--registry-ca", cls.authority.ca]
        cls.password = os.path.join(cls.home, "password")
        with open(cls.password, "w", encoding="ascii") as file:
            file.write(PASSWORD + "\n")
        hidden.hide(PASSWORD)
        cls.login = [*cls.trust, "--registry-username", USER,
                     "--registry-password-file", cls.password]

    def push(self, reference, what, *flags, env=None, code=0, wrapper=()):
        """Returns what it has printed."""
        flags = flags or self.login
        command = [*wrapper, program(), "push", reference, what, *flags]
        done = proc.run(command, 100, False, env=environment(
            {"HOME": self.home, "TMPDIR": self.folder(), **(env or {})}))
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, out + err)
        self.assertNotRegex(err, "Sanitizer|runtime error")
        return out if code == 0 else out + err

    def tree_folder(self, version="4.5.15", **more):
        return fill(self.folder(), {**tree.release(version), **more})

    def file(self, data, name="manifests.tgz"):
        path = os.path.join(self.folder(), name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    @classmethod
    def large(cls):
        """A layer that goes in chunks: (path, bytes). Made once."""
        if "_large" not in cls.__dict__:
            data = artifact.tgz({"roar/image.tar": tree.binary(1, 66 << 20)},
                                level=0)
            path = os.path.join(cls.class_folder(), "manifests.tgz")
            with open(path, "wb") as file:
                file.write(data)
            cls._large = path, data
        return cls._large


class RealRegistry(PushCase):
    """docker-registry over TLS, with htpasswd."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = Registry(cls.class_folder(), cls.authority, USER,
                                PASSWORD)
        cls.addClassCleanup(cls.registry.stop)

    def reference(self, tag="0.0.0", path=PATH):
        return f"{self.registry.repository(path)}:{tag}"

    def pulled(self, tag="0.0.0", path=PATH):
        """(manifest, layer), by skopeo."""
        certs = self.folder()
        shutil.copy(self.authority.ca, os.path.join(certs, "ca.crt"))
        folder = os.path.join(self.folder(), "copy")
        proc.run(["skopeo", "copy", "--retry-times=3",
                  "--src-cert-dir", certs, "--src-creds",
                  f"{USER}:{PASSWORD}",
                  "docker://" + self.reference(tag, path), "dir:" + folder])
        with open(os.path.join(folder, "manifest.json"), "rb") as file:
            manifest = file.read()
        name = json.loads(manifest)["layers"][0]["digest"].split(":")[1]
        with open(os.path.join(folder, name), "rb") as file:
            return manifest, file.read()

    def test_two_pushes_of_one_folder_give_one_layer(self):
        """Whatever the times, owners, permissions and order in the folder."""
        first = self.tree_folder()
        reference = self.reference("0.0.0", "a/twice")
        out = self.push(reference, first)
        self.assertIn(f"packed {first}: 32 files, ", out)
        self.assertRegex(out, r"layer sha256:\w{64}: \d+ bytes, sent\n")
        self.assertIn("read back: tag, manifest and layer are what was sent",
                      out)
        second = self.folder()
        for path, data in sorted(tree.release("4.5.15").items(), reverse=True):
            fill(second, {path: data})
            os.chmod(os.path.join(second, path), 0o600)
            os.utime(os.path.join(second, path), (1, 1))
        if os.geteuid() == 0:
            os.chown(os.path.join(second, path), 1234, 1234)
        os.chmod(os.path.join(second, "roar"), 0o700)
        mark = self.registry.mark()
        again = self.push(reference, second)
        layer = re.search(r"layer (\S+):", out).group(1)
        self.assertRegex(again, rf"layer {layer}: \d+ bytes, was there already")
        self.assertEqual([r for r in self.registry.requests(mark)
                          if r[0] in ("POST", "PATCH")], [])

    def test_the_manifest_is_that_of_oras(self):
        self.push(self.reference(), self.tree_folder())
        manifest, layer = self.pulled()
        date = re.search(rb'"org.opencontainers.image.created":"([^"]+)"',
                         manifest).group(1).decode()
        self.assertRegex(date, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertLess(abs(time.time() - time.mktime(time.strptime(
            date, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone), 300)
        self.assertEqual(manifest, (
            '{"schemaVersion":2,'
            '"mediaType":"application/vnd.oci.image.manifest.v1+json",'
            '"config":{"mediaType":"application/vnd.unknown.config.v1+json",'
            '"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8'
            '310c060f61caaff8a","size":2},'
            '"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",'
            f'"digest":"{artifact.digest(layer)}","size":{len(layer)},'
            '"annotations":{"org.opencontainers.image.title":"manifests.tgz"}'
            '}],"annotations":{"org.opencontainers.image.created":'
            f'"{date}"}}}}').encode())

    def test_the_archive_is_as_tar_would_make_it(self):
        """bsdtar and GNU tar list it: `./` before each name, sorted by bytes,
        no owner, no time, no name in gzip's header."""
        names = {"b/z.yaml": b"1", "b/Ä.yaml": b"2", "b.yaml": b"3",
                 "B/x": b"4", "run.sh": b"#!/bin/sh\n",
                 "long/" + "x" * 120 + "/" + "y" * 200: b"5"}
        folder = fill(self.folder(), names)
        os.mkdir(os.path.join(folder, "empty"))
        os.chmod(os.path.join(folder, "run.sh"), 0o700)
        os.symlink("b/z.yaml", os.path.join(folder, "link"))
        self.push(self.reference("1.0.0", "a/archive"), folder)
        _, layer = self.pulled("1.0.0", "a/archive")
        self.assertEqual(layer[:10].hex(), "1f8b0800000000000003")
        path = self.file(layer)
        expected = ["./", "./B/", "./B/x", "./b/", "./b/z.yaml",
                    "./b/Ä.yaml", "./b.yaml", "./empty/", "./link", "./long/",
                    "./long/" + "x" * 120 + "/",
                    "./long/" + "x" * 120 + "/" + "y" * 200, "./run.sh"]
        for lister in ["bsdtar"], ["tar", "--quoting-style=literal"]:
            listed = proc.run([*lister, "-tf", path], env={
                **os.environ, "LC_ALL": "C.UTF-8"}).stdout.decode()
            self.assertEqual(listed.splitlines(), expected)
        with tarfile.open(path) as box:
            members = box.getmembers()
        self.assertEqual({(m.uid, m.gid, m.uname, m.gname, m.mtime)
                          for m in members}, {(0, 0, "", "", 0)})
        modes = {m.name: m.mode for m in members}
        self.assertEqual(modes["./run.sh"], 0o755)
        self.assertEqual(modes["./b.yaml"], 0o644)
        self.assertEqual(modes["./B"], 0o755)
        self.assertEqual([m.linkname for m in members if m.issym()],
                         ["b/z.yaml"])

    def test_specman_serves_what_was_pushed(self):
        path = "a/served"
        files = {**tree.release("4.5.15"), "a b/ü&%.yaml": b"x: 1\n",
                 "empty.yaml": b""}
        folder = fill(self.folder(), files)
        os.symlink("nickfury/versions.yaml",
                   os.path.join(folder, "roar/newest.yaml"))
        self.push(self.reference("0.0.0", path), folder)
        daemon = self.start("--repository", self.registry.repository(path),
                            "--poll-interval", "1h", *self.login)
        client = self.client(daemon)
        versions = files["roar/nickfury/versions.yaml"]
        self.wait_body(client, "/roar/newest.yaml", versions, daemon)
        self.check_tree(client, files)
        # Another release would have the same times: they prove nothing.
        answer = client.request("GET", "/roar/nickfury/versions.yaml")
        answer = client.request("GET", "/roar/nickfury/versions.yaml", {
            "If-Modified-Since": answer["Last-Modified"]})
        self.assertEqual((answer.status, answer.body), (200, versions))

    def test_an_archive_is_pushed_as_it_is(self):
        data = artifact.tgz(tree.release("4.5.13"), prefix="./")
        path = self.file(data, "any-name.tar.gz")
        out = self.push(self.reference("4.5.13", "a/file"), path)
        self.assertIn(f"tried {path}: specman can unpack it", out)
        self.assertEqual(self.pulled("4.5.13", "a/file")[1], data)

    def test_a_large_layer_goes_in_chunks_with_flat_memory(self):
        path, data = self.large()
        temporary = self.folder()
        mark = self.registry.mark()
        process = proc.spawn(
            [program(), "push", self.reference("2.0.0", "a/large"), path,
             *self.login], stdout=-1, stderr=-1,
            env=environment({"HOME": self.home, "TMPDIR": temporary}))
        peak = 0
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status", "rb") as file:
                    found = re.search(rb"VmHWM:\s+(\d+) kB", file.read())
                peak = max(peak, int(found.group(1)) if found else 0)
            except ProcessLookupError:
                pass
            time.sleep(0.005)
        out, err = process.communicate()
        proc.end(process)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertIn(b"the layer is there with its size", out)
        requests = [r[0] for r in self.registry.requests(mark)
                    if r[0] in ("PATCH", "PUT")]
        self.assertEqual(requests.count("PATCH"), 5)
        with open(self.registry.blob_path(artifact.digest(data)), "rb") as f:
            self.assertEqual(artifact.digest(f.read()), artifact.digest(data))
        self.assertGreater(peak, 1000)
        if scale() == 1:
            self.assertLess(peak, 48 << 10, "KiB, of a layer of 66 MiB")
        self.assertEqual(os.listdir(temporary), [])

    def test_an_upload_that_breaks_is_taken_up_again(self):
        path, data = self.large()
        for name, cuts in (("small", [9000]), ("a/broken", [30 << 20,
                                                             10 << 20])):
            breaker = Breaker(self.registry.port, cuts)
            self.addCleanup(breaker.stop)
            small = self.file(artifact.tgz(
                {"x": tree.binary(name, 50000)}))
            what = small if name == "small" else path
            reference = f"127.0.0.1:{breaker.port}/{name}:1.0.0"
            self.push(reference, what)
            self.assertEqual(breaker.done, len(cuts))
            digest = artifact.digest(self.pulled("1.0.0", name)[1])
            with open(what, "rb") as file:
                self.assertEqual(digest, artifact.digest(file.read()))

    def test_wrong_password(self):
        wrong = self.file(b"wrong", "password")
        out = self.push(self.reference(), self.tree_folder(), *self.trust,
                        "--registry-username", USER,
                        "--registry-password-file", wrong, code=1)
        self.assertRegex(out, r"specman: push: push .*: 401 from the registry"
                              r".*; check username and password")
        self.assertIn("  cause: push-login\n", out)
        out = self.push(self.reference(), self.tree_folder(), *self.trust,
                        code=1)
        self.assertIn("no credentials are given", out)
        self.assertIn("  cause: push-login\n", out)

    def test_the_logins_of_docker_are_taken(self):
        config = self.file(json.dumps({"auths": {self.registry.host: {
            "auth": basic(USER, PASSWORD).split()[1]}}}).encode(),
            "config.json")
        home = self.folder()
        os.mkdir(os.path.join(home, ".docker"))
        shutil.copy(config, os.path.join(home, ".docker"))
        what = self.file(artifact.tgz({"x": b"1"}))
        for env in ({"DOCKER_CONFIG": os.path.dirname(config)},
                    {"HOME": home}):
            self.push(self.reference("1", "a/logins"), what, *self.trust,
                      env=env)
        self.push(self.reference("1", "a/logins"), what, *self.trust,
                  "--registry-config", config)
        helper = self.file(json.dumps({"credHelpers": {
            self.registry.host: "desktop"}}).encode(), "config.json")
        out = self.push(self.reference("1", "a/logins"), what, *self.trust,
                        env={"DOCKER_CONFIG": os.path.dirname(helper)}, code=1)
        self.assertIn("  cause: push-login\n", out)

    def test_the_secret_for_pulling_is_not_sent(self):
        folder = self.folder()
        for name, value in (("username", USER), ("password", PASSWORD),
                            ("endpoint", "https://" + self.registry.host)):
            with open(os.path.join(folder, name), "w") as file:
                file.write(value)
        out = self.push(self.reference(), self.tree_folder(), *self.trust,
                        "--registry-secret-dir", folder, code=1)
        self.assertIn("no credentials are given", out)

    def test_usage(self):
        for reference, says in (
                ("example.com/a", "has no tag"), ("example.com", "has no tag"),
                ("example.com/a:-b", "is no tag"),
                ("example.com/A:1", "is no repository name"),
                ("user:geheim@example.com/a:1", "has an @"),
                ("http://example.com/a:1", "--plain-http"),
                ("oci-layout:/x:1", "to a registry alone"),
                ("example.com:port/a:1", "no valid port")):
            with self.subTest(reference):
                out = self.push(reference, self.home, code=2)
                self.assertIn(says, out)
                self.assertNotIn("geheim", out)
        done = call("push", "example.com/a:1", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"usage: specman push HOST", done.stderr)
        self.assertIn(b"read back at the end",
                      call("push", "--help").stdout)

    def test_a_terminal_sees_a_bar(self):
        folder = self.tree_folder(**{"image.tar": tree.binary(3, 9 << 20)})
        master, terminal = pty.openpty()
        process = proc.spawn(
            [program(), "push", self.reference("3.0.0", "a/bar"), folder,
             *self.login], stdout=-1, stderr=terminal,
            env=environment({"HOME": self.home, "TMPDIR": self.folder()}))
        os.close(terminal)
        seen = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(master)
        hidden.keep(seen)
        out = process.communicate()[0]
        proc.end(process)
        self.assertEqual(process.returncode, 0, out + seen)
        self.assertRegex(seen.decode(), r"\rpack: \[[# ]{20}\] \d+ of 9 MiB, "
                                        r"\d+ %, [\d.]+ MiB/s")
        self.assertRegex(seen.decode(), r"\rsend: \[#*\s*\] \d+ of 9 MiB")
        self.assertTrue(seen.endswith(b"\r\x1b[K"), seen[-50:])

    def test_tokens(self):
        tokens = TokenServer(self.folder(), self.authority, USER, PASSWORD)
        self.addCleanup(tokens.stop)
        registry = Registry(self.folder(), self.authority, tokens=tokens)
        self.addCleanup(registry.stop)
        registry.push("4.5.13", artifact.tgz({"x": b"1"}))
        reference = registry.repository() + ":0.0.0"
        folder = self.tree_folder()
        out = self.push(reference, folder, code=1)
        self.assertRegex(out, r"layer sha256|configuration sha256")
        self.assertIn("  cause: no-push-right\n", out)
        tokens.may = {"pull", "push"}
        out = self.push(reference, folder)
        self.assertIn("pushed " + reference, out)
        asked = [target for target, _ in tokens.requests]
        self.assertTrue(any("push" in target for target in asked), asked)
        # What reads back asks for no more than a client would.
        self.assertNotIn("push", asked[-1])

    def test_a_client_certificate(self):
        clients = self.class_authority()
        registry = Registry(self.folder(), self.authority, client_ca=clients)
        self.addCleanup(registry.stop)
        reference = registry.repository() + ":0.0.0"
        what = self.file(artifact.tgz({"x": b"1"}))
        out = self.push(reference, what, *self.trust, code=1)
        self.assertIn("  cause: tls-client-certificate\n", out)
        cert, key = clients.issue("pusher")
        self.push(reference, what, *self.trust, "--registry-cert", cert,
                  "--registry-key", key)

    def test_without_tls_and_without_trust(self):
        what = self.file(artifact.tgz({"x": b"1"}))
        plain = Registry(self.folder())
        self.addCleanup(plain.stop)
        self.push(plain.repository() + ":0.0.0", what, "--plain-http")
        out = self.push(plain.repository() + ":0.0.0", what, "--registry-ca",
                        self.authority.ca, code=1)
        self.assertIn("  cause: tls-plain-http\n", out)
        reference = self.reference("1", "a/insecure")
        out = self.push(reference, what, *self.login[2:], code=1)
        self.assertIn("  cause: tls-untrusted-ca\n", out)
        self.push(reference, what, *self.login[2:], "--registry-insecure")

    def test_a_registry_whose_disk_is_full(self):
        folder = self.folder()
        small = os.path.join(folder, "registry")
        script = os.path.join(folder, "docker-registry")
        wrapper = in_mounts('mount -t tmpfs -o size=2m tmpfs "$1"', small)
        with open(script, "w", encoding="ascii") as file:
            file.write("#!/usr/bin/env python3\nimport os, sys\n"
                       f"command = {wrapper!r} + ['/usr/bin/docker-registry']"
                       "\nos.execvp(command[0], command + sys.argv[1:])\n")
        os.chmod(script, 0o755)
        before = os.environ["PATH"]
        os.environ["PATH"] = folder + ":" + before
        try:
            registry = Registry(folder, self.authority)
        finally:
            os.environ["PATH"] = before
        self.addCleanup(registry.stop)
        what = self.file(artifact.tgz({"x": tree.binary(5, 4 << 20)}))
        out = self.push(registry.repository() + ":1.0.0", what, *self.trust,
                        code=1)
        self.assertIn("  cause: registry-full\n", out)


class Refused(PushCase):
    """What is found before a byte is sent."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fake = FakeRegistry(cls.authority, user=USER, password=PASSWORD)
        cls.addClassCleanup(cls.fake.stop)

    def refused(self, what, says, cause="push-unfit", wrapper=(), flags=()):
        out = self.push(f"{self.fake.host}/a/b:0.0.0", what, *flags, code=1,
                        wrapper=wrapper)
        self.assertRegex(out, says)
        self.assertIn(f"  cause: {cause}\n", out)
        self.assertEqual(self.fake.requests, [])

    def test_links_that_lead_nowhere_good(self):
        for target, why in (("../outside", "leaves the archive"),
                            ("/etc/passwd", "leaves the archive"),
                            ("roar/../../x", "leaves the archive"),
                            ("no-such-file", "points at nothing"),
                            ("link", "goes round in a circle")):
            folder = self.tree_folder()
            os.symlink(target, os.path.join(folder, "link"))
            with self.subTest(target):
                self.refused(folder, f'link "link" to "{target}" {why}')

    def test_a_link_that_is_a_folder_around_itself(self):
        folder = self.tree_folder()
        os.symlink("..", os.path.join(folder, "roar", "up"))
        self.refused(folder, 'link "roar/up" to ".." points at a folder that')

    def test_what_is_no_file(self):
        folder = self.tree_folder()
        os.mkfifo(os.path.join(folder, "roar", "pipe"))
        self.refused(folder, 'entry "roar/pipe" is a fifo')

    def test_names(self):
        folder = self.tree_folder()
        with open(os.path.join(folder, "a\nb"), "w"):
            pass
        self.refused(folder, r'entry "a\?b" has a control character')
        folder = fill(self.folder(), {"d/" * 64 + "x": b"deep"})
        self.refused(folder, "lies over 64 folders deep")

    def test_a_file_that_is_too_large(self):
        folder = self.tree_folder()
        with open(os.path.join(folder, "roar", "hole"), "wb") as file:
            file.truncate((4 << 30) + 1)
        self.refused(folder, 'file "roar/hole" is over 4294967296 bytes')

    def test_the_limits_of_the_flags(self):
        """Those that say how large a release may be count here, too, and the advice
        names them."""
        advice = r"(?:.|\n)*\n  do: .*--max-file-size, --max-unpacked-size"
        for flag, limit, says in (
                ("--max-file-size", "1Mi", 'file "x" is over 1048576 bytes'),
                ("--max-unpacked-size", "2Mi", "all are over 2097152 bytes"),
                ("--max-entries", "1", "over 1 entries")):
            folder = self.tree_folder(x=tree.binary(1, 3 << 20))
            with self.subTest(flag):
                self.refused(folder, says + advice, flags=[flag, limit])

    def test_a_file_that_packs_too_well(self):
        folder = self.tree_folder()
        with open(os.path.join(folder, "zeros"), "wb") as file:
            file.truncate(110 << 20)
        self.refused(folder, "unpacks to over 200 times its size")

    def test_unreadable(self):
        folder = self.tree_folder()
        os.chmod(os.path.join(folder, "roar/nickfury/versions.yaml"), 0)
        self.refused(folder, 'read "roar/nickfury/versions.yaml": Permission '
                     "denied", "push-unreadable", without_privileges())
        folder = self.tree_folder()
        os.chmod(os.path.join(folder, "roar/shared"), 0)
        self.addCleanup(os.chmod, os.path.join(folder, "roar/shared"), 0o700)
        self.refused(folder, 'read "roar/shared": Permission denied',
                     "push-unreadable", without_privileges())
        self.refused(folder + "/nothing", "No such file", "push-unreadable")

    def test_nothing_to_push(self):
        self.refused(self.folder(), "there is no file in it")
        self.refused("/dev/null", "is neither a folder nor a file")

    def test_archives_that_would_not_be_unpacked(self):
        rows = (({"members": [artifact.member("../x", data=b"1")]},
                 r'entry "\.\./x" leaves the archive'),
                ({"members": [artifact.member("/x", data=b"1")]},
                 'entry "/x" has an absolute path'),
                ({"members": [artifact.member("a", tarfile.SYMTYPE, "/x")]},
                 'link "a" to "/x" leaves the archive'),
                ({"members": [artifact.member("dev", tarfile.CHRTYPE)]},
                 'entry "dev" is a character device'))
        for members, says in rows:
            with self.subTest(says):
                self.refused(self.file(artifact.tgz(**members)), says)
        whole = artifact.tgz(tree.release("4.5.15"))
        self.refused(self.file(whole[:len(whole) // 2]), "it is cut off")
        self.refused(self.file(b"this is no archive\n" * 100), "archive")

    def test_no_room_for_what_is_temporary(self):
        small = self.folder()
        folder = self.tree_folder(**{"noise": tree.binary(1, 3 << 20)})
        wrapper = in_mounts('mount -t tmpfs -o size=1m tmpfs "$1"', small)
        wrapper += ["env", "TMPDIR=" + small]
        self.refused(folder, f"{small} has no room", "push-no-room", wrapper)
        self.refused(self.file(artifact.tgz({"x": tree.binary(1, 3 << 20)})),
                     f"{small} has no room", "push-no-room", wrapper)


class FakeRegistryCase(PushCase):
    """Against a registry in memory that can be made to fail."""

    def setUp(self):
        self.fake = self.registry()

    def registry(self, **options):
        fake = FakeRegistry(self.authority, user=USER, password=PASSWORD,
                            **options)
        self.addCleanup(fake.stop)
        return fake

    def reference(self, tag="0.0.0"):
        return f"{self.fake.repository()}:{tag}"

    def push_here(self, what=None, code=0, **options):
        return self.push(self.reference(), what or self.file(
            artifact.tgz(tree.release("4.5.15"))), code=code, **options)


class Uploading(FakeRegistryCase):
    def check_layer(self, uploads, data):
        self.assertIn(artifact.digest(data), uploads.repository.blobs)

    def test_it_goes_on_where_the_registry_has_stopped(self):
        path, data = self.large()
        uploads = Uploads(self.fake)
        uploads.cuts = [5 << 20, 3 << 20]
        self.push_here(path)
        self.check_layer(uploads, data)
        self.assertEqual(uploads.received, len(data) + len(artifact.EMPTY))
        self.assertEqual([first for method, first, _ in uploads.parts[1:4]],
                         [0, 5 << 20, 8 << 20])
        self.assertEqual(len(self.fake.seen("POST", "uploads")), 2)

    def test_a_session_that_is_lost_begins_anew(self):
        path, data = self.large()
        uploads = Uploads(self.fake)
        uploads.cuts, uploads.lose = [5 << 20], True
        self.push_here(path)
        self.check_layer(uploads, data)
        self.assertEqual(len(self.fake.seen("POST", "uploads")), 3)

    def test_what_a_registry_says_of_its_progress_is_checked(self):
        path, data = self.large()
        for lie in "0-99999999", "5-100", "nonsense", "0-0":
            with self.subTest(lie):
                self.fake = self.registry()
                uploads = Uploads(self.fake)
                uploads.ranges = [lie]
                self.push_here(path)
                self.check_layer(uploads, data)

    def test_a_registry_that_takes_nothing_is_not_sent_chunks_for_ever(self):
        uploads = Uploads(self.fake)

        def take_nothing(request):
            request.rfile.read(int(request.headers["Content-Length"]))
            return request.reply(202, b"", {"Range": "0-0"})
        self.fake.hooks.insert(0, lambda request: request.command == "PATCH"
                               and take_nothing(request))
        out = self.push(self.reference(), self.large()[0], *self.login,
                        "--registry-retries", "1", code=1)
        self.assertIn("it has 0 bytes, of 16777216 that were sent", out)
        self.assertEqual(len(self.fake.seen("PATCH", "")), 2)
        self.assertEqual(len(uploads.repository.blobs), 1)

    def test_a_layer_of_another_repository_is_not_sent(self):
        path, data = self.large()
        uploads = Uploads(self.fake)
        uploads.elsewhere[artifact.digest(data)] = data
        self.assertIn("was there already", self.push_here(path))
        self.check_layer(uploads, data)
        self.assertEqual(uploads.received, len(artifact.EMPTY))

    def test_who_does_not_mount_is_sent_the_layer(self):
        for status in 400, 403, 404, 405, 500:
            with self.subTest(status):
                self.fake = self.registry()
                uploads = Uploads(self.fake)
                uploads.no_mount = status
                data = artifact.tgz({"x": b"1"})
                self.assertIn("bytes, sent", self.push_here(self.file(data)))
                self.check_layer(uploads, data)
                self.assertEqual(len(self.fake.seen("POST", "mount=")), 1)

    def test_locations(self):
        small = self.file(artifact.tgz({"x": b"1"}))
        for make in (lambda target: target,
                     lambda target: self.fake.url + target,
                     lambda target: "//" + self.fake.host + target):
            self.fake = self.registry()
            uploads = Uploads(self.fake, location=make)
            self.push_here(small)
            self.assertEqual(len(uploads.repository.blobs), 2)

    def test_another_host_gets_bytes_but_no_credentials(self):
        path, data = self.large()
        other = FakeRegistry(self.authority)
        self.addCleanup(other.stop)
        uploads = Uploads(self.fake, other=other)
        uploads.cuts = [1 << 20]
        self.push_here(path)
        self.check_layer(uploads, data)
        self.assertGreater(len(other.requests), 5)
        for _, _, headers in other.requests:
            self.assertNotIn("Authorization", headers)

    def test_a_location_without_tls_is_refused(self):
        Uploads(self.fake, location=lambda t: "http://127.0.0.1:1" + t)
        out = self.push_here(code=1)
        self.assertIn("from https to http at 127.0.0.1 is refused", out)
        self.assertIn("  cause: redirect-refused\n", out)

    def test_a_least_size_of_chunks_is_kept_to(self):
        path, data = self.large()
        uploads = Uploads(self.fake, chunk_min=40 << 20)
        self.push_here(path)
        self.check_layer(uploads, data)
        self.assertEqual([size for method, _, size in uploads.parts
                          if method == "PATCH"],
                         [40 << 20, len(data) - (40 << 20)])

    def test_a_registry_without_chunks_gets_all_in_one(self):
        path, data = self.large()
        uploads = Uploads(self.fake, chunks=False)
        self.push_here(path)
        self.check_layer(uploads, data)
        self.assertEqual(uploads.parts[-1], ("PUT", 0, len(data)))

    def test_a_commit_whose_answer_is_lost(self):
        uploads = Uploads(self.fake)
        lost = []

        class Silent:
            """Does what is asked, and hangs up instead of answering."""
            def __init__(self, request):
                self.request = request
                self.command, self.path = request.command, request.path
                self.headers, self.rfile = request.headers, request.rfile

            def reply(self, *_):
                return self.request.hang_up()

        def silent(request):
            if len(lost) == 2:
                return False
            lost.append(request.path)
            return uploads._session(Silent(request))
        self.fake.hooks.insert(0, lambda request: request.command == "PUT"
                               and "/uploads/" in request.path
                               and silent(request))
        self.push_here()
        self.assertEqual(len(lost), 2)
        self.assertEqual(len(self.fake.seen("POST", "uploads")), 2)

    def test_what_may_pass_is_tried_again(self):
        Uploads(self.fake)
        answers = [503, 429, 500]
        self.fake.hooks.insert(0, lambda request: request.command == "POST"
                               and answers and request.reply(answers.pop()))
        done = self.push_here()
        self.assertIn("pushed", done)
        self.assertEqual(answers, [])

    def test_retries_end(self):
        self.fake.on("POST", "uploads", lambda r: r.reply(503))
        out = self.push(self.reference(), self.file(artifact.tgz({"x": b""})),
                        *self.login, "--registry-retries", "2", code=1)
        self.assertEqual(len(self.fake.seen("POST", "uploads")), 3)
        self.assertEqual(out.count("; again in "), 2)
        self.assertIn("  cause: server-failed\n", out)

    def test_a_tag_that_is_moved_meanwhile_is_found(self):
        uploads = Uploads(self.fake)
        other = self.fake.push("9.9.9", artifact.tgz({"y": b"2"}))

        def moved(request):
            uploads._manifest(request)
            uploads.repository.tags["0.0.0"] = other
            return True
        self.fake.hooks.insert(0, lambda r: r.command == "PUT"
                               and "/manifests/" in r.path and moved(r))
        out = self.push_here(code=1)
        self.assertRegex(out, f"reading back.*: the tag names {other}")
        self.assertIn("  cause: digest-mismatch\n", out)

    def test_a_registry_that_keeps_other_bytes_is_found(self):
        uploads = Uploads(self.fake)
        self.fake.on("GET", "/blobs/sha256", lambda r: r.reply(200, bytes(len(
            uploads.repository.blobs[r.path.rsplit("/", 1)[1]]))))
        out = self.push_here(code=1)
        self.assertRegex(out, "reading back.* bytes that came have the digest")

    def test_a_blob_of_another_size_is_not_believed(self):
        Uploads(self.fake)
        self.fake.hooks.insert(0, lambda r: r.command == "HEAD"
                               and "/blobs/" in r.path and r.reply(200, b"1"))
        out = self.push_here(code=1)
        self.assertIn("has it with 1 bytes instead of 2", out)

    def start_push(self, what):
        process = proc.spawn(
            [program(), "push", self.reference(), what, *self.login],
            stdout=-1, stderr=-1,
            env=environment({"HOME": self.home, "TMPDIR": self.folder()}))
        self.addCleanup(proc.end, process)
        return process

    def interrupt(self, process):
        """Returns how long it takes to end."""
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=patience(30))
        took = time.monotonic() - begin
        self.assertEqual(process.returncode, 1, err)
        self.assertIn(b"specman: push: ", err)
        return took

    def test_an_interrupt_while_sending(self):
        sending = []

        def stall(request):
            sending.append(request.path)
            return request.wait_closed()
        Uploads(self.fake)
        self.fake.hooks.insert(0, lambda r: r.command == "PUT" and stall(r))
        what = self.file(artifact.tgz({"x": b"1"}))

        def attempt():
            sending.clear()
            process = self.start_push(what)
            until(lambda: sending, "an upload")
            return self.interrupt(process)
        self.assertTrue(is_prompt(attempt, 1 * scale()))

    def test_an_interrupt_while_packing(self):
        folder = self.folder()
        with open(os.path.join(folder, "large"), "wb") as file:
            for number in range(64):
                file.write(tree.binary(number, 1 << 20) * 4)

        def packing(process):
            """How far the file is read, by proc(5)'s fdinfo."""
            try:
                for fd in os.listdir(f"/proc/{process.pid}/fd"):
                    if os.readlink(f"/proc/{process.pid}/fd/{fd}").endswith(
                            "/large"):
                        with open(f"/proc/{process.pid}/fdinfo/{fd}") as file:
                            return int(file.readline().split()[1]) > 1 << 20
            except OSError:
                pass
            return False
        def attempt():
            process = self.start_push(folder)
            until(lambda: packing(process), "the file to be read")
            return self.interrupt(process)
        self.assertTrue(is_prompt(attempt, 1 * scale()))
        self.assertEqual(self.fake.requests, [])


class Amazon(PushCase):
    """ECR by its host's name, with AWS credentials of the environment."""

    def setUp(self):
        name = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
        self.aws = Aws()
        self.addCleanup(self.aws.stop)
        pair = self.authority.issue("ecr", "DNS:" + name)

        class Named:
            @staticmethod
            def issue():
                return pair
        self.fake = EcrRegistry(self.aws, Named, name)
        self.addCleanup(self.fake.stop)
        tunnel = Tunnel(self.fake.port)
        self.addCleanup(tunnel.stop)
        # docker's own config leaves ECR to a helper, as it often does.
        config = self.file(json.dumps({"credHelpers": {
            self.fake.host: "ecr-login"}}).encode(), "config.json")
        self.env = self.aws.environment(
            HTTPS_PROXY=tunnel.url, DOCKER_CONFIG=os.path.dirname(config),
            **self.aws.make_keys().environment())

    def push_here(self, code=0):
        return self.push(self.fake.repository() + ":0.0.0", self.file(
            artifact.tgz({"x": b"1"})), *self.trust, env=self.env, code=code)

    def test_push(self):
        Uploads(self.fake)
        out = self.push_here()
        self.assertIn("pushed " + self.fake.host, out)

    def test_a_repository_has_to_be_there(self):
        self.fake.on("POST", "uploads", lambda r: r.reply(404, error(
            "NAME_UNKNOWN", "The repository with name 'x' does not exist in "
            "the registry with id '123456789012'")))
        out = self.push_here(code=1)
        self.assertIn("does not exist in the registry", out)
        self.assertIn("  cause: no-push-repository\n", out)
        self.assertIn("aws ecr create-repository", out)

    def test_a_right_that_is_missing(self):
        self.fake.missing = "ecr:InitiateLayerUpload"
        out = self.push_here(code=1)
        self.assertIn("the right ecr:InitiateLayerUpload is missing", out)
        self.assertIn("  cause: aws-right-missing\n", out)


class EachRefusal(FakeRegistryCase):
    """Each way in which registries say no: lib/push_mishaps.py."""

    def check_way(self, cause, method, pattern, status, body):
        Uploads(self.fake)
        self.fake.hooks.insert(0, lambda r: r.command == method
                               and re.search(pattern, r.path)
                               and (r.rfile.read(int(r.headers.get(
                                   "Content-Length") or 0)), True)[1]
                               and r.reply(status, body))
        out = self.push_here(code=1)
        self.assertIn(f"  cause: {cause}\n", out)
        self.assertRegex(out, r"(?m)^  do: .{20,}$")
        self.assertIn(f"{status} from the registry", out)
        self.assertEqual(len(self.fake.seen(method, pattern)), 1,
                         "it is not worth another try")


for _name, *_way in WAYS:
    setattr(EachRefusal, "test_" + _name,
            lambda self, way=tuple(_way): self.check_way(*way))


if __name__ == "__main__":
    unittest.main()
