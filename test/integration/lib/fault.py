"""specman over the layer of test/fault/, which counts its calls and fails or
kills it at one of them; image layouts to sync from; what a store holds."""
import collections
import functools
import hashlib
import json
import os
import re
import tempfile

from . import artifact, proc, signing
from .daemon import REPORT, environment, program

SECONDS = 60
Call = collections.namedtuple(
    "Call", "number name error offset path other data")
_OBJECT = re.compile(r"sha256digest=([0-9a-f]{64})\b"
                     r"(?: contents=objects/(\S+))?")


def built(name):
    return os.path.join(os.path.dirname(program()), "test", "fault", name)


def scratch():
    """A place for stores that are thrown away by the hundred: in memory, where
    a sync costs nothing, if there is one."""
    shm = "/dev/shm"
    if os.access(shm, os.W_OK):
        fs = os.statvfs(shm)
        if fs.f_bavail * fs.f_frsize > 48 << 20:
            return shm
    return tempfile.gettempdir()


def preload(data, at=0, how="", lasting=False, only=None, switch=None,
            trace=None):
    """The environment of a process over the layer."""
    env = {"LD_PRELOAD": built("layer.so"), "FAULT_DIR": data,
           "FAULT_AT": str(at), "FAULT_HOW": str(how)}
    if lasting:
        env["FAULT_ON"] = "1"
    if switch:
        env["FAULT_WHILE"] = switch
    if only:
        env["FAULT_ONLY"] = only
    if trace:
        env["FAULT_TRACE"] = trace
    # The layer goes straight to the kernel: it may come before the runtime.
    env["ASAN_OPTIONS"] = ":".join(filter(None, (
        os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
    return env


def call(command, env=None):
    """Runs a program to its end, from whatever thread."""
    done = proc.run(command, SECONDS, False, env=environment(env))
    done.stdout, done.stderr = (text.decode(errors="replace")
                                for text in (done.stdout, done.stderr))
    if REPORT.search(done.stderr):
        raise AssertionError("sanitizer report:\n" + done.stderr)
    return done


def sync(data, layout, *flags, **fault):
    return call([program(), "sync", "--data-dir", data, "--repository",
                 f"oci-layout:{layout}", *flags],
                preload(data, **fault) if fault else None)


def calls(trace):
    """The lines of a trace, in order."""
    found = []
    with open(trace, encoding="utf-8") as file:
        for line in file:
            number, name, error, offset, path, other, data = \
                line.rstrip("\n").split("\t")
            found.append(Call(int(number), name, int(error), int(offset), path,
                              other, bytes.fromhex(data)))
    return found


@functools.cache
def _manifest(layer):
    """The same for the same layer, although each has a date."""
    return artifact.oras_manifest(layer)


@functools.cache
def _signatures(digest, key):
    body = signing.payload(digest)
    return body, signing.manifest([signing.layer(body, key.sign(body))])


def layout(folder, releases, key=None):
    """An image layout in a new folder: {tag: {path: bytes}}; signed by a key."""
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs)
    entries = []

    def put(data):
        with open(os.path.join(blobs, hashlib.sha256(data).hexdigest()),
                  "wb") as file:
            file.write(data)
        return artifact.digest(data), len(data)

    def name(tag, manifest):
        digest, size = put(manifest)
        entries.append({
            "mediaType": artifact.OCI_MANIFEST, "digest": digest, "size": size,
            "annotations": {"org.opencontainers.image.ref.name": tag}})
        return digest
    put(artifact.EMPTY)
    for tag, files in releases.items():
        layer = artifact.tgz(files)
        put(layer)
        digest = name(tag, _manifest(layer))
        if key:
            body, signatures = _signatures(digest, key)
            put(body)
            name(signing.tag(digest), signatures)
    for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                        ("index.json", {"schemaVersion": 2,
                                        "manifests": entries})):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            json.dump(value, file)
    return folder


def hashes(files):
    return {path: hashlib.sha256(data).hexdigest()
            for path, data in files.items()}


def served(data):
    """Opens the store as a restart does, reads every file as a client would, and
    sweeps: ({path: SHA-256}, [what else it told])."""
    done = call([built("served"), data])
    if done.returncode not in (0, 1):
        raise AssertionError(f"the store does not open: {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    files, told = {}, []
    for line in done.stdout.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "file":
            path, _, digest = rest.rpartition(" ")
            files[path] = digest
        elif kind != "release":
            told.append(line)
    return files, told


def named(text):
    """The objects that a release's file names."""
    return [f"objects/{digest[:2]}/{digest[2:]}"
            for digest, _ in _OBJECT.findall(text.decode())]


def _proofs(data):
    """The files of kept signatures, and those that the releases would have."""
    folder = os.path.join(data, "releases")
    names = os.listdir(folder) if os.path.isdir(folder) else ()
    manifests = set()
    for name in names:
        if name.endswith(".mtree"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                manifests.add(signing.tag(re.search(
                    r"^# manifest (\S+)$", file.read(), re.M).group(1),
                    ".proof"))
    return {name for name in names if name.endswith(".proof")}, manifests


def unproven(data):
    """Which releases have no signature that was kept; "" when all have one."""
    proofs, manifests = _proofs(data)
    return "; ".join(f"no {name}" for name in sorted(manifests - proofs))


def disorder(data):
    """What is wrong with a store's folders: objects that no release names or
    that are not what their name says, names that are missing, leftovers in
    tmp/ (but downloads) and releases/. A full re-hash. "" when nothing is."""
    wrong = []
    named = set()
    releases = os.path.join(data, "releases")
    proofs, manifests = _proofs(data)
    wrong += [f"releases/{name} is nobody's" for name in
              sorted(proofs - manifests)]
    for name in os.listdir(releases) if os.path.isdir(releases) else ():
        if name in proofs:
            continue
        with open(os.path.join(releases, name), encoding="utf-8") as file:
            for digest, path in _OBJECT.findall(file.read()):
                named.add(digest)
                if path and digest != path.replace("/", ""):
                    wrong.append(f"releases/{name} names {path}")
        if not name.endswith(".mtree"):
            wrong.append(f"releases/{name}")
    stored = set()
    for folder, _, names in os.walk(os.path.join(data, "objects")):
        for name in names:
            digest = os.path.basename(folder) + name
            stored.add(digest)
            with open(os.path.join(folder, name), "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != digest:
                    wrong.append(f"objects/{digest} has another content")
    wrong += [f"blocks/{os.path.basename(folder)}{name} is named by nobody"
              for folder, _, names in os.walk(os.path.join(data, "blocks"))
              for name in names if os.path.basename(folder) + name not in named]
    wrong += [f"objects/{d} is named by nobody" for d in stored - named]
    wrong += [f"objects/{d} is missing" for d in named - stored]
    tmp = os.path.join(data, "tmp")
    wrong += [f"tmp/{name}" for name in
              (os.listdir(tmp) if os.path.isdir(tmp) else ())
              if not name.startswith("download-")]
    return "; ".join(sorted(wrong))
