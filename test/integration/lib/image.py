"""The image, built as deploy/Dockerfile says, and containers of it.

Built by buildah (chroot isolation) in a Debian that mmdebstrap makes, run by podman
and runc; where these can't run, laid out by deploy/image-root.sh here and run by
lib/jail.py. `way()` says which: it tries both tools on a container of the base, so a
fault of the image is never taken for one of the machine.
"""
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from . import hidden, kube, proc
from .daemon import Specman
from .secret import Secret
from .wait import until

NAME = "localhost/specman:test"
BASE = "localhost/specman-base:test"
DATA = "/var/lib/specman"
SECRET = "/etc/specman/registry"
# Ends a container whatever becomes of the test.
SECONDS = 1400
FORCED = os.environ.get("IMAGE_TEST_WAY")


def note(text):
    """A line that test/run.py shows even when all is well."""
    print("note: " + text, flush=True)


def build_folder():
    return os.path.dirname(os.path.abspath(os.environ["SPECMAN"]))


def base_archive():
    """A Debian 12 with what the Dockerfile installs, made once a build folder."""
    with open(os.path.join(kube.DEPLOY, "Dockerfile"), encoding="utf-8") as file:
        packages = re.search(r'^ARG PACKAGES="(.*)"$', file.read(), re.M)[1]
    key = hashlib.sha256(packages.encode()).hexdigest()[:16]
    path = os.path.join(build_folder(), "image", f"base-{key}.tar")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        proc.run(["mmdebstrap", "--quiet", "--variant=apt",
                  "--include=" + packages.replace(" ", ","),
                  "--aptopt=APT::Install-Recommends \"false\"",
                  "--dpkgopt=path-exclude=/usr/share/man/*",
                  "--dpkgopt=path-exclude=/usr/share/locale/*",
                  "bookworm", path + ".new.tar"], seconds=240)
        os.rename(path + ".new.tar", path)
    return path


class Nested:
    """buildah and podman, with all that they keep in a folder."""

    name = "podman and runc"
    nested = True
    fips_module = None  # a path below the tree, for the image with one

    def __init__(self, folder):
        self.folder = folder
        # podman waits for ever for the end of a container whose sockets have long
        # paths.
        self.short = tempfile.mkdtemp(prefix="sm-", dir="/tmp")
        self.env = {**os.environ,
                    "TMPDIR": self._made("tmp"),
                    "CONTAINERS_STORAGE_CONF": self._storage(),
                    "CONTAINERS_CONF": self._engine()}
        self.id = None

    def _made(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def _storage(self):
        # Overlays don't stack.
        kind = proc.run(["stat", "-f", "-c", "%T", self.folder]).stdout.strip()
        driver = "vfs" if kind in (b"overlayfs", b"tmpfs") else "overlay"
        return self._config("storage.conf", f"""[storage]
driver = "{driver}"
graphroot = "{self.folder}/root"
runroot = "{self.short}/run"
""")

    def _engine(self):
        return self._config("containers.conf", f"""[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
tmp_dir = "{self.short}/engine"
""")

    def _config(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def run(self, *command, **options):
        # conmon notes in its folder that memory was not enough.
        return proc.run(list(command), env=self.env, cwd=self.folder,
                        **options)

    def podman(self, *arguments, **options):
        return self.run("podman", *arguments, **options)

    def prepare(self):
        """Takes in the base, and tries both tools on it."""
        self.podman("import", "--quiet", base_archive(), BASE, seconds=120)
        tried = self.podman("run", "--rm", "--detach", "--cap-drop=ALL",
                            "--memory=64m", BASE, "/bin/sleep", "60"
                            ).stdout.decode().strip()
        try:  # which wants more than to run
            self.podman("exec", tried, "/bin/ls", "/bin/ls")
        finally:
            self.podman("rm", "--force", "--time=0", tried, check=False)
        name = self.run("buildah", "from", BASE).stdout.decode().strip()
        self.run("buildah", "run", "--isolation=chroot", name, "true")
        self.run("buildah", "rm", name)

    def labels(self):
        found = json.loads(self.podman("image", "inspect", NAME).stdout)
        return {name.removeprefix("org.opencontainers.image."): value
                for name, value in found[0]["Config"]["Labels"].items()}

    def build_again(self):
        """By the other tool; of the same commit, though there may be another by
        now."""
        labels = self.labels()
        made = datetime.datetime.fromisoformat(labels["created"])
        self.env.update(BUILDER="podman", REVISION=labels["revision"],
                        SOURCE_DATE_EPOCH=str(int(made.timestamp())))
        return self.build("localhost/specman:again")

    def build(self, name=NAME):
        """The id of the image (the digest of its configuration)."""
        given = [f"FIPS_MODULE={self.fips_module}"] if self.fips_module else []
        done = self.run(
            os.path.join(kube.DEPLOY, "image.sh"), name, "0.1.0",
            "BASE=" + BASE, *given, seconds=200)
        note(done.stdout.decode().strip().split("\n")[-1])
        return self.podman("image", "inspect", "--format={{.Id}}",
                           name).stdout.decode().strip()

    def root(self):
        """The folder with the image's files."""
        return self.podman("image", "mount", NAME).stdout.decode().strip()

    def start_command(self, name, options, command):
        """Foreground: signals go on to the container, its exit code comes back."""
        given = ["--name=" + name, f"--timeout={SECONDS}",
                 "--user=65532:65532", "--read-only", "--read-only-tmpfs=false",
                 "--cap-drop=ALL", "--security-opt=no-new-privileges",
                 "--memory=256m",
                 f"--pidfile={options['pid_file']}"]
        given += [f"--volume={b}" for b in options["binds"]]
        given += [f"--add-host={h}" for h in options["hosts"]]
        if options["own_net"]:
            given.append("--network=none")
        return ["podman", "run", *given, NAME, *command]

    def exec_command(self, container, command):
        return ["podman", "exec", container.name, *command]

    def remove(self, container):
        self.podman("rm", "--force", "--time=0", container.name, check=False)

    def close(self):
        self.podman("pod", "rm", "--all", "--force", "--time=0", check=False)
        self.podman("rm", "--all", "--force", "--time=0", check=False)
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split()[4] for line in file]
        for path in reversed(mounts):
            if path.startswith((self.folder + "/", self.short + "/")):
                proc.run(["umount", "--lazy", path], check=False)
        shutil.rmtree(self.short, ignore_errors=True)


class Jailed:
    """The same files without these tools."""

    name = "unshare and chroot, without limits of memory"
    nested = False
    fips_module = None

    def __init__(self, folder):
        self.folder = os.path.join(folder, "jail")
        self.env = dict(os.environ)

    def build(self, folder="root"):
        objects = os.path.join(build_folder(), "image", "static")
        root = os.path.join(self.folder, folder)
        proc.run(["make", "-s", "-C", kube.ROOT, "O=" + objects,
                  "ARCHIVE=static", objects + "/specman"], 200)
        proc.run([os.path.join(kube.DEPLOY, "image-root.sh"),
                  objects + "/specman", root, "0.1.0", "0",
                  *filter(None, [self.fips_module])], cwd=kube.ROOT)
        os.chown(root + DATA, 65532, 65532)
        for name in ("dev", "proc", "sys"):  # a runtime makes them
            os.mkdir(os.path.join(root, name))
        tar = proc.run(["tar", "--sort=name", "--mtime=@0", "-C", root, "-c",
                        "."]).stdout
        return hashlib.sha256(tar).hexdigest()

    def build_again(self):
        return self.build("again")

    def root(self):
        return os.path.join(self.folder, "root")

    def start_command(self, name, options, command):
        hosts = os.path.join(self.root(), "etc", "hosts")
        with open(hosts, "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n")
            for pair in options["hosts"]:
                file.write("{1} {0}\n".format(*pair.split(":")))
        given = ["--pid-file", options["pid_file"]]
        for pair in options["binds"]:
            target = self.root() + pair.split(":")[1]
            if os.path.isdir(pair.split(":")[0]):
                os.makedirs(target, exist_ok=True)
            elif not os.path.exists(target):
                with open(target, "wb"):
                    pass
            given += ["--bind", pair]
        if options["own_net"]:
            given.append("--net")
        return [*self._jail(), *given, "--", "/usr/bin/specman", *command]

    def _jail(self):
        return [sys.executable, "-B", os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "jail.py"),
            self.root()]

    def exec_command(self, container, command):
        return [*self._jail(), "--enter", str(container.pid()), "--", *command]

    def remove(self, container):
        pass

    def close(self):
        pass


def choose(folder):
    """The way to build and run here, ready for it."""
    if FORCED != "jail":
        way = Nested(folder)
        try:
            way.prepare()
            return way
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            way.close()
            if FORCED == "podman":
                raise
            # "runtime error:" stands for a sanitizer's report in test/run.py.
            note("no nested containers here: " + str(error).strip().split(
                "\n")[-1].replace("OCI runtime error: ", ""))
    os.makedirs(os.path.join(folder, "jail"), exist_ok=True)
    return Jailed(folder)


class Mounted(Secret):
    """A secret as the pod has it: by defaultMode, for the group of fsGroup."""

    def written(self, path):
        os.chown(path, 0, 65532)
        os.chmod(path, 0o440)


class Container(Specman):
    """specman in a container, as the StatefulSet has it: everything of Specman's,
    but that `data` is mounted and the process is the runtime's."""

    def __init__(self, way, *flags, data, log, secret=None, binds=(),
                 hosts=(), own_net=False, listen="127.0.0.1:0",
                 admin="127.0.0.1:0"):
        self.way = way
        self.data, self.log_path, self._start = data, log, 0
        self.name = "specman-" + os.path.basename(tempfile.mktemp())
        self._pid_file = log + ".pid"
        os.makedirs(data, exist_ok=True)
        # What the kubelet makes of a new volume by fsGroup.
        os.chown(data, 0, 65532)
        os.chmod(data, 0o2775)
        mounts = [f"{data}:{DATA}", *binds]
        if secret:
            mounts.append(f"{secret}:{SECRET}:ro")
        if listen:
            flags = ("--listen", listen, "--admin-listen", admin, *flags)
        self.command = way.start_command(
            self.name, {"binds": mounts, "hosts": hosts, "own_net": own_net,
                        "pid_file": self._pid_file}, flags)
        with open(log, "ab") as stderr:
            self.process = proc.spawn(self.command, stdout=stderr,
                                      stderr=stderr, env=way.env,
                                      cwd=way.folder)

    def pid(self):
        """Of specman, as this machine sees it."""
        until(lambda: os.path.exists(self._pid_file)
              and os.path.getsize(self._pid_file), "the container to start",
              30, self.tail)
        with open(self._pid_file, encoding="ascii") as file:
            return int(file.read())

    def execute(self, *command, check=True, seconds=60):
        done = proc.run(self.way.exec_command(self, command), seconds, check,
                        env=self.way.env)
        hidden.check((done.stdout + done.stderr).decode(errors="replace"))
        return done

    def status(self):
        with open(f"/proc/{self.pid()}/status", encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file)

    def cgroup(self, controller):
        """The folder of its control group, by either version."""
        with open(f"/proc/{self.pid()}/cgroup", encoding="ascii") as file:
            for line in file:
                _, names, path = line.rstrip("\n").split(":", 2)
                if controller in names.split(","):
                    return f"/sys/fs/cgroup/{controller}{path}"
                unified = path
        return "/sys/fs/cgroup" + unified

    def finish(self):
        try:
            super().finish()
        finally:
            self.way.remove(self)


def files(root):
    """Every path below a folder, with its lstat."""
    for folder, names, leaves in os.walk(root):
        for name in names + leaves:
            path = os.path.join(folder, name)
            yield "/" + os.path.relpath(path, root), os.lstat(path)


def pushed_size(way, registry, authority):
    """Bytes of all blobs and the manifest after a push."""
    target = f"docker://{registry.host}/specman:test"
    folder = tempfile.mkdtemp(dir=way.folder)
    shutil.copy(authority.ca, os.path.join(folder, "ca.crt"))
    way.podman("push", "--quiet", "--cert-dir", folder,
               "--creds", f"{registry.user}:{registry.password}", NAME, target)
    done = way.run("skopeo", "inspect", "--raw", "--cert-dir", folder,
                   "--creds", f"{registry.user}:{registry.password}", target)
    manifest = json.loads(done.stdout)
    return len(done.stdout) + manifest["config"]["size"] + sum(
        layer["size"] for layer in manifest["layers"])
