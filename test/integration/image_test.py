"""The image: what is in it, and how it runs as the StatefulSet runs it."""
import collections
import http.client
import io
import json
import lzma
import os
import random
import re
import signal
import stat
import tarfile
import threading
import time
import unittest
import zipfile

from lib import artifact, image, kube, layout, proc, prometheus
from lib.case import Case, quote
from lib.certs import Authority
from lib.client import Client
from lib.image import Container, Mounted, note
from lib.registry import PATH, Registry
from lib.secret import platform
from lib.wait import until

MIB = 1 << 20
LIMIT = 30 * MIB
BUSYBOX = "/usr/bin/busybox"
TREE = {"roar/nickfury/versions.yaml": b"versions: [4.5.15]\n" * 100,
        "roar/gr\u00fc\u00df.yaml": b"a: 1\n",
        "packs/large.bin": random.Random(1).randbytes(3 * MIB)}
ZIPPED = {"a.yaml": b"a: 1\n" * 1000, "b/gr\u00fc\u00df.yaml": b"b: 1\n" * 1000,
          "b/c.bin": random.Random(2).randbytes(MIB)}

way = None
built = None
shared = {}


def setUpModule():
    global way, built
    folder = Case.class_folder.__func__(Module)
    way = image.choose(folder)
    unittest.addModuleCleanup(Module.doClassCleanups)
    unittest.addModuleCleanup(way.close)
    note("the image runs by " + way.name)
    built = way.build()
    shared["authority"] = Authority(os.path.join(folder, "ca"))
    shared["registry"] = Registry(folder, shared["authority"], "puller",
                                  "pass/of+puller")
    unittest.addModuleCleanup(shared["registry"].stop)


class Module(Case):
    """Holds what the module has."""


def pod():
    for item in kube.build("base"):
        if item["kind"] == "StatefulSet":
            return item["spec"]["template"]["spec"]
    raise AssertionError("no StatefulSet")


def pod_flags():
    """The flags of the pod's variables."""
    return [part for item in pod()["containers"][0]["env"] for part in (
        "--" + item["name"].removeprefix("SPECMAN_").lower().replace("_", "-"),
        item["value"])]


class Contents(Case):
    def test_nothing_else(self):
        """The program, what its loader needs, certificates, accounts, licences,
        the list; nothing that another user could change or that runs as one."""
        libraries = set()
        for path, status in image.files(way.root()):
            if path.split("/")[1] in ("dev", "proc", "sys") and \
                    not way.nested:
                continue
            mode = stat.S_IMODE(status.st_mode)
            self.assertFalse(mode & 0o6000, path)
            self.assertFalse(mode & 0o002 and path != "/tmp", path)
            self.assertEqual(status.st_uid, 65532 if path == image.DATA else 0,
                             path)
            if stat.S_ISDIR(status.st_mode):
                continue
            self.assertTrue(stat.S_ISREG(status.st_mode), path)
            if re.match(r"/lib(64)?/.*\.so(\.[0-9.]+)?$", path):
                libraries.add(os.path.basename(path))
            elif path not in ("/usr/bin/specman", "/etc/passwd", "/etc/group",
                              "/etc/nsswitch.conf", "/etc/hosts",
                              "/etc/ssl/certs/ca-certificates.crt",
                              "/usr/lib/locale/C.utf8/LC_CTYPE",
                              "/usr/share/specman/specman.spdx.json"):
                self.assertRegex(path, "^/usr/share/doc/[^/]+/copyright$")
        self.assertEqual(libraries, self.needed())

    def needed(self):
        """What the loader is asked for, from the program on."""
        found, ahead = set(), ["/usr/bin/specman"]
        places = {os.path.basename(path): path
                  for path, _ in image.files(way.root())
                  if path.startswith("/lib")}
        while ahead:
            done = proc.run(["readelf", "-d", way.root() + ahead.pop()])
            for name in re.findall(r"\(NEEDED\).*\[(.*)\]",
                                   done.stdout.decode()):
                if name not in found:
                    found.add(name)
                    ahead.append(places[name])
        loader = re.search(r"interpreter: (.*)\]", proc.run(
            ["readelf", "-l", way.root() + "/usr/bin/specman"]
        ).stdout.decode()).group(1)
        return found | {os.path.basename(loader)}

    def test_list_of_packages(self):
        """The SPDX document names what each library is from, and what is linked
        statically; each licence is there."""
        root = way.root()
        with open(root + "/usr/share/specman/specman.spdx.json",
                  encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual(document["spdxVersion"], "SPDX-2.3")
        self.assertEqual(document["dataLicense"], "CC0-1.0")
        self.assertRegex(document["documentNamespace"], r"^\w+:\S+$")
        packages = {p["SPDXID"]: p for p in document["packages"]}
        self.assertEqual(len(packages), len(document["packages"]))
        for package in packages.values():
            self.assertRegex(package["SPDXID"], r"^SPDXRef-[A-Za-z0-9.-]+$")
            self.assertTrue(package["versionInfo"])
            self.assertTrue(os.path.exists(
                f"{root}/usr/share/doc/{package['name']}/copyright"))
        links = collections.defaultdict(set)
        for relation in document["relationships"]:
            links[relation["relationshipType"]].add(
                packages[relation["relatedSpdxElement"]]["name"])
        self.assertEqual(links["DESCRIBES"], {"specman"})
        self.assertEqual(links["STATIC_LINK"],
                         {"libmicrohttpd-dev", "libarchive-dev"})
        names = ["*" + path for path, _ in image.files(root)
                 if re.match(r"/lib.*\.so", path)]
        done = proc.run(["dpkg-query", "-S", *names]).stdout.decode()
        self.assertEqual(links["DEPENDS_ON"],
                         {"ca-certificates", "libc-bin"} | {
            line.split(":")[0] for line in done.splitlines()})
        digest = packages["SPDXRef-specman"]["checksums"][0]["checksumValue"]
        with open(root + "/usr/bin/specman", "rb") as file:
            self.assertEqual("sha256:" + digest, artifact.digest(file.read()))

    def test_same_bytes_again(self):
        self.assertEqual(way.build_again(), built)

    def test_configuration(self):
        if not way.nested:
            return self.check_root()
        found = json.loads(way.podman("image", "inspect",
                                      image.NAME).stdout)[0]["Config"]
        self.assertEqual(found["User"], "65532:65532")
        self.assertEqual(found["Entrypoint"], ["/usr/bin/specman"])
        self.assertEqual(set(found["ExposedPorts"]), {"8443/tcp", "8080/tcp"})
        self.assertEqual(found["StopSignal"], "SIGTERM")
        self.assertEqual(found["Env"], ["PATH=/usr/bin"])
        labels = way.labels()
        self.assertEqual(set(labels), {"title", "description", "version",
                                       "revision", "created", "licenses"})
        self.assertEqual(labels["version"], "0.1.0")
        self.assertRegex(labels["revision"], "^([0-9a-f]{40}|unknown)$")
        self.assertRegex(labels["created"], r"^\d{4}-\d\d-\d\dT[\d:]{8}Z$")

    def check_root(self):
        with open(way.root() + "/etc/passwd", encoding="ascii") as file:
            self.assertRegex(file.read(), "^specman:x:65532:65532:")

    def test_size_as_pushed(self):
        if way.nested:
            size = image.pushed_size(way, shared["registry"],
                                     shared["authority"])
        else:
            tar = proc.run(["tar", "-C", way.root(), "--exclude=./proc",
                            "--exclude=./sys", "--exclude=./dev", "-czO",
                            "."]).stdout
            size = len(tar)
        note(f"the image has {size / MIB:.1f} MiB as pushed")
        self.assertLess(size, LIMIT)


class RunCase(Case):
    """Containers that sync from a registry on loopback."""

    number = 0

    def setUp(self):
        RunCase.number += 1
        self.path = f"packs{self.number}"
        self.registry = shared["registry"]
        self.repository_path = \
            f"{self.path}/spectro-manifests/manifest"

    def push(self, tag, layer):
        return self.registry.push(tag, layer, self.repository_path)

    def secret(self, **more):
        folder = os.path.join(self.folder(), "secret")
        return Mounted(folder, **platform(self.registry, self.path, **more))

    def run_image(self, *flags, **options):
        folder = self.folder()
        options.setdefault("data", os.path.join(folder, "data"))
        container = Container(way, *flags,
                              log=os.path.join(folder, "stderr.log"),
                              **options)
        self.addCleanup(container.finish)
        return container

    def synced(self, *flags, files=None, **options):
        """A container that serves a release."""
        files = files or TREE
        self.push("1.0.0", artifact.tgz(files))
        secret = self.secret()
        container = self.run_image("--poll-interval", "1h", *flags,
                                   secret=secret.folder, **options)
        container.test_secret = secret
        path, data = next(iter(files.items()))
        self.wait_body(self.client(container), "/" + quote(path), data,
                       container)
        return container


class Running(RunCase):
    def test_as_the_stateful_set(self):
        """User, rights, root, memory are what the objects ask for; it syncs with
        the mounted secret and serves; commands are found by name."""
        container = self.synced()
        self.check_tree(self.client(container), TREE)
        context = pod()["securityContext"]
        own = pod()["containers"][0]["securityContext"]
        status = container.status()
        self.assertEqual(set(status["Uid"].split()),
                         {str(context["runAsUser"])})
        self.assertEqual(set(status["Gid"].split()),
                         {str(context["runAsGroup"])})
        self.assertEqual(own["capabilities"], {"drop": ["ALL"]})
        for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
            self.assertEqual(int(status["Cap" + kind], 16), 0, kind)
        self.assertIs(own["allowPrivilegeEscalation"], False)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["NSpid"].split()[-1], "1")
        self.check_mounts(container)
        if way.nested:
            self.assertEqual(status["Seccomp"], "2")
            self.assertEqual(self.memory_limit(container), 256 * MIB)
        container.execute("specman", "sync")
        done = container.execute("specman", "check")
        self.assertRegex(done.stdout.decode(), r"(?m)^\d+ ok, 0 failed")
        done = container.execute("specman", "ls")
        self.assertIn(b"1.0.0", done.stdout)

    def check_mounts(self, container):
        mounts = {}
        with open(f"/proc/{container.pid()}/mountinfo",
                  encoding="utf-8") as file:
            for line in file:
                fields = line.split()
                mounts[fields[4]] = fields[5].split(",")[0]
        names = {m["name"]: m for m in
                 pod()["containers"][0]["volumeMounts"]}
        self.assertEqual(mounts["/"], "ro")
        self.assertEqual(mounts[names["data"]["mountPath"]], "rw")
        self.assertTrue(names["registry"]["readOnly"])
        self.assertEqual(mounts[names["registry"]["mountPath"]], "ro")

    def test_memory(self):
        """The largest window that zstd is given leave for, beside a full cache,
        stays within the limit."""
        limit = pod()["containers"][0]["resources"]["limits"]["memory"]
        self.assertEqual(limit, "256Mi")
        source = random.Random(4)
        files = {f"{n}.bin": source.randbytes(MIB) for n in range(80)}
        container = self.synced(*pod_flags(), files=files)
        client = self.client(container)
        for _ in range(2):
            self.check_tree(client, files)
        self.push("2.0.0", proc.run(
            ["zstd", "-qc1", "--long=27"], input=artifact.tar(
                {"large.bin": source.randbytes(150 * MIB)})).stdout)
        container.process.send_signal(signal.SIGHUP)
        container.wait_log("msg=Published .*tag=2.0.0", seconds=60)
        most = int(container.status()["VmHWM"].split()[0]) * 1024
        note(f"at most {most / MIB:.0f} MiB of memory")
        self.assertLess(most, 256 * MIB)
        self.assertGreater(most, 150 * MIB, "no window was needed")

    def test_memory_of_slow_clients(self):
        """As many as may connect, from some addresses, each with an answer that it
        does not take, beside a full cache: nobody has the pod killed so."""
        source = random.Random(5)
        files = {f"{n}.bin": source.randbytes(3 * MIB) for n in range(27)}
        container = self.synced(*pod_flags(), files=files)
        client = self.client(container)
        for _ in range(2):
            self.check_tree(client, files)
        client.close()
        slow = [sock for number in range(1, 6) for _ in range(250)
                for sock in self.slow_client(client, f"127.0.0.{number}")]
        # All that the pod's flags let in, or podman's limit of open files.
        self.assertGreater(len(slow), 300)
        until(lambda: prometheus.figures(container).sum(
            "specman_http_requests_in_flight") >= len(slow),
            "all answers to be under way")
        most = int(container.status()["VmHWM"].split()[0]) * 1024
        note(f"{len(slow)} slow clients: at most {most / MIB:.0f} MiB of memory")
        self.assertLess(most, 256 * MIB)

    def slow_client(self, client, address):
        """A connection with an answer that is not read; none where it is turned
        away."""
        try:
            sock = client.raw(receive_buffer=4096, source=address)
        except OSError:
            return
        self.addCleanup(sock.close)
        sock.sendall(b"GET /1.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        yield sock

    def memory_limit(self, container):
        for name in ("memory.limit_in_bytes", "memory.max"):
            path = os.path.join(container.cgroup("memory"), name)
            if os.path.exists(path):
                with open(path, encoding="ascii") as file:
                    return int(file.read())
        raise AssertionError("no control group for memory")

    def test_probes(self):
        """With a network of its own and no flag at all: what the kubelet asks is
        answered on the ports that the objects name, as it should be."""
        folder = self.folder()
        os.chmod(folder, 0o755)
        layout.write(folder, {"1.0.0": artifact.tgz(TREE)})
        container = self.run_image(
            "--repository", "oci-layout:/mnt", "--poll-interval", "1h",
            own_net=True, listen=None,
            binds=[f"{folder}:/mnt:ro"])
        probes = pod()["containers"][0]
        ports = {p["name"]: p["containerPort"] for p in probes["ports"]}
        for name, wanted in (("startupProbe", 200), ("livenessProbe", 200),
                             ("readinessProbe", 200)):
            get = probes[name]["httpGet"]
            url = (f"{get.get('scheme', 'HTTP').lower()}://127.0.0.1:"
                   f"{ports.get(get['port'], get['port'])}{get['path']}")
            until(lambda: self.ask(container, url) == wanted, f"{name}: {url}",
                  30, container.tail)
        service = f"https://127.0.0.1:{ports['https']}/packs/large.bin"
        self.assertEqual(self.ask(container, service), 200)

    def test_not_ready_without_files(self):
        container = self.run_image(own_net=True, listen=None)
        container.wait_log("Waiting for the registry secret")
        self.assertEqual(self.ask(container, "http://127.0.0.1:8080/livez"),
                         200)
        self.assertEqual(self.ask(container, "http://127.0.0.1:8080/readyz"),
                         503)

    def ask(self, container, url):
        """The status of an answer in the container's network."""
        done = proc.run(["nsenter", "--net", "-t", str(container.pid()),
                         "curl", "-sk", "-o", "/dev/null", "--max-time", "100",
                         "-w", "%{http_code}", url], check=False)
        return int(done.stdout)

    def test_names_of_the_hosts_file(self):
        """hostAliases count: the image says where names are looked up first."""
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        registry.push("1.0.0", artifact.tgz(TREE))
        container = self.run_image(
            "--plain-http", "--repository",
            f"registry.invalid:{registry.port}/{PATH}",
            hosts=["registry.invalid:127.0.0.1"])
        container.wait_log('msg="Persisting 1.0.0"')

    def test_archives(self):
        """All kinds that are promised, by what is linked statically."""
        plain_tar = artifact.tar(TREE)
        box = io.BytesIO()
        with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as file:
            for number, (path, data) in enumerate(ZIPPED.items()):
                file.writestr(path, data, (zipfile.ZIP_DEFLATED,
                                           zipfile.ZIP_BZIP2,
                                           zipfile.ZIP_STORED)[number % 3])
        zstd = proc.run(["zstd", "-qc"], input=plain_tar).stdout
        layers = {"1.0.0": plain_tar, "2.0.0": artifact.tgz(TREE),
                  "3.0.0": lzma.compress(plain_tar), "4.0.0": zstd,
                  "5.0.0": box.getvalue()}
        for tag, layer in layers.items():
            self.push(tag, layer)
        container = self.run_image("--poll-interval", "1h",
                                   secret=self.secret().folder)
        client = self.client(container)
        for tag in layers:
            for path, data in (ZIPPED if tag == "5.0.0" else TREE).items():
                self.wait_body(client, f"/.specman/releases/{tag}/"
                               + quote(path), data, container)


class Played(RunCase):
    """The pod of the objects themselves, by `podman kube play`."""

    def test_kube_play(self):
        if not way.nested:
            note("no podman kube play without nested containers")
            return
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        registry.push("1.0.0", artifact.tgz(TREE))
        folder = self.folder()
        path = os.path.join(folder, "pod.json")
        with open(path, "w", encoding="ascii") as file:
            file.write("---\n".join(json.dumps(item) + "\n"
                                    for item in self.objects(registry)))
        way.podman("kube", "play", "--network=host", path)
        self.addCleanup(way.podman, "kube", "down", path)
        self.wait_in_log('msg="Persisting 1.0.0"')
        port = self.wait_in_log(r'address="127.0.0.1:(\d+)" '
                                "listener=https").group(1)
        ca = os.path.join(folder, "ca.pem")
        with open(ca, "wb") as file:
            file.write(way.podman("exec", "specman-0-specman", "specman",
                                  "ca").stdout)
        client = Client(("127.0.0.1", int(port)), ca)
        self.addCleanup(client.close)
        self.check_tree(client, TREE)

    def wait_in_log(self, pattern):
        text = [""]

        def look():
            done = way.podman("logs", "specman-0-specman", check=False)
            text[0] = (done.stdout + done.stderr).decode()
            return re.search(pattern, text[0])
        return until(look, pattern, 30, lambda: text[0])

    def objects(self, registry):
        """What the StatefulSet makes of its template, and what podman needs to
        know: the image is here, ports are free ones, a claim has no fsGroup but an
        owner. podman 4.3 leaves optional secrets out and others in base64: where
        the registry is comes by variables here."""
        spec = pod()
        container = spec["containers"][0]
        container.update(image=image.NAME, imagePullPolicy="Never")
        container["env"] += [
            {"name": "SPECMAN_REPOSITORY",
             "value": registry.repository()},
            {"name": "SPECMAN_PLAIN_HTTP", "value": "true"},
            {"name": "SPECMAN_LISTEN", "value": "127.0.0.1:0"},
            {"name": "SPECMAN_ADMIN_LISTEN", "value": "127.0.0.1:0"}]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            del container[probe]  # podman has systemd run them
        del container["ports"]  # not with the host's network
        spec["volumes"].append({"name": "data", "persistentVolumeClaim": {
            "claimName": "data-specman-0"}})
        return [
            {"apiVersion": "v1", "kind": "Secret", "data": {"region": "YQ=="},
             "metadata": {"name": "spectro-manifest-registry-secrets"}},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
             "metadata": {"name": "data-specman-0", "annotations": {
                 "volume.podman.io/uid": "65532",
                 "volume.podman.io/gid": "65532"}},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {
                 "requests": {"storage": "10Gi"}}}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {
                "name": "specman-0", "labels": {"component": "specman"}},
             "spec": spec}]


class Lifecycle(RunCase):
    def test_sigterm_under_load(self):
        """Answers that run when SIGTERM comes are whole, and the end comes within
        five seconds, or of what the last client took after them."""
        data = random.Random(3).randbytes(8 * MIB)
        path = "/huge.bin"
        container = self.synced(files={"huge.bin": data, **TREE})
        client = self.client(container)
        running = [self.begun(client, path) for _ in range(8)]
        stop, torn = threading.Event(), []
        load = [threading.Thread(target=self.ask_on, args=(
            self.client(container), "/packs/large.bin",
            TREE["packs/large.bin"], stop, torn))
            for _ in range(4)]
        for thread in load:
            thread.start()
        container.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        container.wait_log("msg=Stopping")
        for sock, file, head in running:
            self.assertTrue(head + file.read(len(data) - len(head)) == data)
            sock.close()
        taken = time.monotonic()
        self.assertEqual(container.wait(), 0)
        took = time.monotonic() - start
        self.assertLess(time.monotonic() - taken, 5)
        stop.set()
        for thread in load:
            thread.join()
        self.assertEqual(torn, [])
        note(f"ended {took:.2f} s after SIGTERM, 8 answers and more running")

    def begun(self, client, path):
        """A connection in the middle of an answer, which is longer than what lies
        in sockets on the way."""
        sock = client.raw(receive_buffer=16384)
        self.addCleanup(sock.close)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        file = sock.makefile("rb")
        self.assertIn(b" 200 ", file.readline())
        while file.readline() != b"\r\n":
            pass
        return sock, file, file.read(1000)

    @staticmethod
    def ask_on(client, path, data, stop, torn):
        """Requests without end; notes answers that begin and are not whole. Who is
        not answered at all asks another replica."""
        while not stop.is_set():
            try:
                if client.get(path).body != data:
                    torn.append("other bytes")
            except http.client.IncompleteRead as error:
                torn.append(repr(error))
            except (http.client.RemoteDisconnected, OSError):
                return

    def test_orphans_are_reaped(self):
        """What a command leaves behind becomes PID 1's child; it does not stay
        as a zombie. specman itself makes no children."""
        container = self.synced(binds=[f"{BUSYBOX}:/busybox:ro"])
        self.assertEqual(self.children(container), [])
        container.execute("/busybox", "sh", "-c",
                          "/busybox sleep 1000 >/dev/null 2>&1 </dev/null &")
        orphans = until(lambda: self.children(container), "an orphan")
        self.assertEqual(len(orphans), 1)
        os.kill(orphans[0], signal.SIGKILL)
        until(lambda: self.children(container) == [], "the orphan to be reaped")

    @staticmethod
    def children(container):
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8",
                          errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == container.pid():
                found.append(int(name))
        return found

    def test_sighup(self):
        container = self.synced()
        self.push("2.0.0", artifact.tgz({"new.yaml": b"new: 1\n"}))
        container.process.send_signal(signal.SIGHUP)
        self.wait_body(self.client(container), "/new.yaml", b"new: 1\n",
                       container)

    def test_secret_comes_changes_and_goes(self):
        """As the kubelet does it: by the link ..data."""
        folder = os.path.join(self.folder(), "secret")
        secret = Mounted(folder)
        container = self.run_image("--poll-interval", "1h", secret=folder)
        container.wait_log("Waiting for the registry secret")
        client = self.client(container)
        for number, keys in enumerate(({}, {"region": "nowhere"})):
            base = f"{self.path}-{number}"
            body = f"n: {number}\n".encode()
            self.registry.push("1.0.0" if number == 0 else "2.0.0",
                               artifact.tgz({"n.yaml": body}),
                               f"{base}/spectro-manifests/manifest")
            secret.put(platform(self.registry, base, **keys))
            self.wait_body(client, "/n.yaml", body, container)
        mark = container.mark()
        secret.remove()
        container.wait_log("Waiting for the registry secret", mark)
        self.assertEqual(client.get("/n.yaml").body, b"n: 1\n")

    def test_replicas_agree(self):
        """Two with volumes of their own and one registry: the same answers, to
        the ETag, whenever each came by what it has."""
        text = b"versions: [1, 2, 3]\n" * 1000
        for number in (1, 2):
            self.push(f"{number}.0.0", artifact.tgz(
                {**TREE, "text.yaml": text, f"own-{number}.yaml": b"a: 1\n"}))
        secret = self.secret()
        one = self.run_image("--poll-interval", "1h", secret=secret.folder)
        self.wait_body(self.client(one), "/own-2.yaml", b"a: 1\n", one)
        self.push("3.0.0", artifact.tgz({"text.yaml": text + b"more: 1\n"}))
        one.execute("specman", "sync")
        other = self.run_image("--poll-interval", "1h", secret=secret.folder)
        self.wait_body(self.client(other), "/text.yaml", text + b"more: 1\n",
                       other)
        paths = [*TREE, "text.yaml", "own-1.yaml", "own-2.yaml"]
        for path in paths:
            for coding in ("identity", "gzip"):
                found = []
                for container in (one, other):
                    answer = self.client(container).get(
                        "/" + quote(path), Accept_Encoding=coding)
                    self.assertEqual(answer.status, 200)
                    found.append((answer.body, *map(answer.headers.get, (
                        "ETag", "Last-Modified", "Repr-Digest",
                        "Content-Encoding", "Specman-Release"))))
                self.assertEqual(found[0], found[1], path)
                self.assertTrue(found[0][1])


if __name__ == "__main__":
    unittest.main()
