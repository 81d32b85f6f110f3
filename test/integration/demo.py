"""The main job from end to end, shown step by step: see test/demo.sh."""
import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

from lib import artifact, proc, secret, tree
from lib.certs import Authority
from lib.registry import Registry
from lib.wait import patience, until

USER, PASSWORD = "robot$spectro", "a-password-of-the-demo"
VERSIONS = "roar/nickfury/versions.yaml"
OWN = "operator/own.yaml"
FILES = 300
BOLD, GREEN, RED, DIM, PLAIN = (
    ("\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m")
    if sys.stdout.isatty() else ("",) * 5)


class Demo:
    def __init__(self, keep):
        self.keep = keep
        self.folder = tempfile.mkdtemp(prefix="specman-demo-")
        self.passed = self.failed = self.steps = 0
        self.registry = self.daemon = self.address = None
        self.shown = 0

    # What the reader sees

    def step(self, title):
        self.steps += 1
        print(f"\n{BOLD}{self.steps}. {title}{PLAIN}", flush=True)

    def check(self, what, good):
        self.passed += bool(good)
        self.failed += not good
        verdict = f"{GREEN}ok{PLAIN}" if good else f"{RED}FAILED{PLAIN}"
        print(f"   {verdict}: {what}", flush=True)

    def wait(self, what, condition, seconds=30):
        """A check that may take its time, up to a deadline."""
        try:
            until(condition, what, seconds)
            self.check(what, True)
        except AssertionError:
            self.check(what, False)

    def show_log(self):
        """The lines that specman logged since they were last shown."""
        lines = self.daemon.lines()
        for line in lines[self.shown:]:
            print(f"   {DIM}|{PLAIN} {line}")
        self.shown = len(lines)

    # What it does

    def curl(self, path, *options):
        host, port = self.address
        return subprocess.run(
            ["curl", "-sS", "--cacert", self.ca, "--connect-to",
             f"localhost:{port}:{host}:{port}", *options,
             f"https://localhost:{port}/{path}"],
            capture_output=True, check=False, timeout=patience(60))

    def show_curl(self, path):
        host, port = self.address
        print(f"   $ curl --cacert {self.ca} "
              f"https://localhost:{port}/{path}")
        done = self.curl(path)
        for line in (done.stdout or done.stderr).decode().splitlines()[:6]:
            print(f"   {DIM}|{PLAIN} {line}")
        return done.stdout

    def serves(self, files):
        """Whether each of these files is answered with its bytes."""
        out = tempfile.mkdtemp(dir=self.folder)
        config = os.path.join(out, "curl.cfg")
        host, port = self.address
        with open(config, "w", encoding="ascii") as file:
            for number, path in enumerate(files):
                file.write(f'url = "https://localhost:{port}/{path}"\n'
                           f'output = "{out}/{number}"\n')
        done = subprocess.run(
            ["curl", "-sS", "--fail", "--cacert", self.ca, "--connect-to",
             f"localhost:{port}:{host}:{port}", "--config", config],
            capture_output=True, check=False, timeout=patience(120))
        good = done.returncode == 0
        for number, data in enumerate(files.values()):
            name = os.path.join(out, str(number))
            if not os.path.exists(name):
                good = False
                continue
            with open(name, "rb") as file:
                good = good and file.read() == data
        shutil.rmtree(out)
        return good

    def start_daemon(self):
        from lib.daemon import Specman
        self.daemon = Specman(
            "--registry-secret-dir", self.secret.folder,
            "--poll-interval", "2s", data=self.data,
            log=os.path.join(self.folder, "specman.log"), detached=self.keep)
        self.shown = 0
        print("   $ " + shlex.join(self.daemon.command))
        self.address = self.daemon.address()
        self.ca = self.daemon.ca()

    def push(self, tag, files):
        layer = artifact.tgz(files)
        digest = self.registry.push(tag, layer)
        print(f"   pushed {self.registry.repository()}:{tag}  "
              f"({len(files)} files, {len(layer)} bytes, {digest[:19]}…)")

    def run(self):
        self.releases = {"0.0.0": tree.operators_own(FILES),
                         "4.5.13": tree.release("4.5.13", FILES),
                         "4.5.15": tree.release("4.5.15", FILES)}
        self.step("A registry on loopback, with TLS and htpasswd")
        authority = Authority(os.path.join(self.folder, "ca"))
        self.registry = Registry(self.folder, authority, USER, PASSWORD,
                                 detached=self.keep)
        ping = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                "--cacert", authority.ca, self.registry.url + "/v2/"]
        self.check(f"docker-registry answers at {self.registry.url}, not "
                   "without a password", proc.run(ping).stdout == b"401")

        self.step("Three releases, as ORAS pushes them")
        for tag in ("0.0.0", "4.5.13"):
            self.push(tag, self.releases[tag])
        self.push("4.5.15", self.releases["4.5.15"])
        self.check("the manifest is the artifact that ORAS 1.0.0 makes",
                   b'"mediaType":"application/vnd.unknown.config.v1+json"'
                   in self.manifest(authority, "4.5.15"))

        self.step("specman, with the registry's secret mounted")
        self.secret = secret.Secret(
            os.path.join(self.folder, "secret"),
            **secret.platform(self.registry))
        self.data = os.path.join(self.folder, "data")
        os.mkdir(self.data)
        self.start_daemon()
        self.daemon.wait_log(r"msg=Published\b.* releases=3\b", seconds=60)
        self.show_log()
        log = self.daemon.log()
        self.check("the sync logs the messages of the guide", all(
            text in log for text in
            ["Syncing with OCI repo", "tags["]
            + [f"{verb} {tag}" for tag in self.releases
               for verb in ("Downloading", "Persisting")]))
        self.check("the password is not in the log", PASSWORD not in log)

        self.step("A file over TLS")
        self.check("curl trusts the CA and has the newest versions.yaml",
                   self.show_curl(VERSIONS)
                   == self.releases["4.5.15"][VERSIONS])
        etag = [line for line in self.curl(VERSIONS, "-I").stdout.decode()
                .splitlines() if line.lower().startswith("etag: ")]
        unchanged = etag and self.curl(
            VERSIONS, "-H", "If-None-Match: " + etag[0][6:], "-o",
            os.devnull, "-w", "%{http_code}").stdout
        self.check("asked again with its ETag: 304", unchanged == b"304")

        self.step("The overlay: the newest wins, 0.0.0 fills in")
        self.check(f"{OWN} comes from 0.0.0",
                   self.show_curl(OWN) == self.releases["0.0.0"][OWN])
        whole = {}
        for files in self.releases.values():
            whole.update(files)
        self.check(f"all {len(whole)} files of the three releases are served, "
                   "byte for byte", self.serves(whole))

        self.step("A new tag, served within a poll of its push, no restart")
        self.releases["4.5.16"] = tree.release("4.5.16", FILES)
        whole.update(self.releases["4.5.16"])
        pid = self.daemon.process.pid
        self.push("4.5.16", self.releases["4.5.16"])
        wanted = self.releases["4.5.16"][VERSIONS]
        self.wait("versions.yaml is that of 4.5.16",
                  lambda: self.curl(VERSIONS).stdout == wanted)
        self.show_log()
        self.show_curl(VERSIONS)
        self.check(f"the same process ({pid})",
                   self.daemon.process.poll() is None)

        self.step("The registry goes away, specman restarts")
        self.registry.stop()
        print("   docker-registry stopped")
        self.daemon.stop()
        self.check("specman ends with exit code 0 at SIGTERM", True)
        self.start_daemon()
        self.check(f"all {len(whole)} files are still served",
                   self.serves(whole))
        self.wait("and the log says what is wrong",
                  lambda: 'msg="Sync failed"' in self.daemon.log(), 60)
        self.show_log()

        self.step("The registry is back")
        self.registry.start()
        print(f"   docker-registry at {self.registry.url}")
        self.push("4.5.17", {VERSIONS: b"versions:\n- name: 4.5.17\n"})
        self.daemon.poll_now()
        self.wait("versions.yaml is that of 4.5.17",
                  lambda: b"4.5.17" in self.curl(VERSIONS).stdout, 60)
        self.show_log()

    def manifest(self, authority, tag):
        """The manifest, as a tool of others reads it."""
        certs = os.path.join(self.folder, "certs.d")
        os.makedirs(certs, exist_ok=True)
        shutil.copy(authority.ca, os.path.join(certs, "ca.crt"))
        return proc.run(["skopeo", "inspect", "--raw", "--cert-dir", certs,
                         "--creds", f"{USER}:{PASSWORD}",
                         f"docker://{self.registry.repository()}:{tag}"]
                        ).stdout

    def end(self):
        """Leaves nothing behind."""
        try:
            if self.daemon:
                self.daemon.finish()
        except AssertionError as error:
            self.check(f"specman ends well: {error}", False)
        finally:
            if self.daemon and self.daemon.process.poll() is None:
                self.daemon.kill()
            if self.registry:
                self.registry.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self):
        """Leaves it running, and says how to go on."""
        port = self.address[1]
        admin = "%s:%d" % self.daemon.address("admin")
        password = os.path.join(self.folder, "password")
        with open(os.open(password, os.O_WRONLY | os.O_CREAT, 0o600), "w",
                  encoding="ascii") as file:
            file.write(PASSWORD)
        print(f"""
{BOLD}Left running. To try:{PLAIN}
   curl --cacert {self.ca} https://localhost:{port}/
   curl --cacert {self.ca} https://localhost:{port}/{VERSIONS}
   curl http://{admin}/readyz
   tail -f {self.daemon.log_path}
   kill -USR1 {self.daemon.process.pid}    # poll now
   skopeo list-tags --cert-dir {self.folder}/certs.d \\
       --creds "$(printf '%s:%s' '{USER}' "$(cat {password})")" \\
       docker://{self.registry.repository()}
{BOLD}To stop:{PLAIN}
   kill {self.daemon.process.pid} {self.registry.process.pid}; \
rm -r {self.folder}
""", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="demo.sh")
    parser.add_argument("specman")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    os.environ["SPECMAN"] = os.path.abspath(options.specman)
    if not os.access(os.environ["SPECMAN"], os.X_OK):
        parser.error(f"{options.specman} is not a program")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    demo = Demo(options.keep)
    finished = False
    try:
        demo.run()
        finished = True
    except KeyboardInterrupt:
        print("interrupted")
        demo.failed += 1
    except Exception as error:  # a tool that failed, a deadline
        demo.check(f"{type(error).__name__}: {error}", False)
    finally:
        if finished and options.keep:
            demo.leave()
        else:
            demo.end()
    print(f"{demo.passed} passed, {demo.failed} failed", flush=True)
    return 1 if demo.failed or not finished else 0


if __name__ == "__main__":
    sys.exit(main())
