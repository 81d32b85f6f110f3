"""Artifacts: a manifests.tgz and the manifests that name it.

The bytes are those of ORAS 1.0.0: compact JSON, its order of members, its
media types, a `{}` as configuration.
"""
import gzip
import hashlib
import io
import itertools
import json
import re
import tarfile
import time

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
ORAS_CONFIG = "application/vnd.unknown.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
TITLE = "org.opencontainers.image.title"
CREATED = "org.opencontainers.image.created"

EMPTY = b"{}"

_ticks = itertools.count()
_epoch = int(time.time()) - 86400


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def created():
    """A date later than all that were given out before."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ",
                         time.gmtime(_epoch + next(_ticks)))


def member(name, kind=tarfile.REGTYPE, link="", data=b"", mode=0o644):
    """One entry of an archive, of whatever kind, under whatever name."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.mode = mode
    info.mtime = 1733488994
    info.size = len(data)
    if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = 1, 3
    return info, data


def tar(files=None, members=(), prefix=""):
    """An uncompressed archive: folders, files, then the given members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as box:
        seen = set()
        for path, data in sorted((files or {}).items()):
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                folder = prefix + "/".join(parts[:depth])
                if folder not in seen:
                    seen.add(folder)
                    box.addfile(member(folder, tarfile.DIRTYPE,
                                       mode=0o755)[0])
            info, data = member(prefix + path, data=data)
            box.addfile(info, io.BytesIO(data))
        for info, data in members:
            box.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tgz(files=None, members=(), prefix="", level=1):
    return gzip.compress(tar(files, members, prefix), level, mtime=0)


def _json(value):
    return json.dumps(value, separators=(",", ":")).encode()


def oras_manifest(layer, title="manifests.tgz", **changes):
    """The manifest that `oras push` 1.0.0 makes; `changes` are for the layer's
    descriptor (digest, size, urls…)."""
    descriptor = {"mediaType": OCI_LAYER, "digest": digest(layer),
                  "size": len(layer), "annotations": {TITLE: title}}
    descriptor.update(changes)
    return _json({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": ORAS_CONFIG, "digest": digest(EMPTY),
                   "size": len(EMPTY)},
        "layers": [descriptor],
        "annotations": {CREATED: created()},
    })


def dated(manifest, date):
    """The same manifest as if made at another time; None: it has no date."""
    value = json.loads(manifest)
    del value["annotations"][CREATED]
    if date is not None:
        value["annotations"][CREATED] = date
    return _json(value)


def later_oras_manifest(layer):
    """What ORAS makes since 1.2: an artifact type, an empty configuration with
    its bytes in the descriptor."""
    return _json({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.unknown.artifact.v1",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json",
                   "digest": digest(EMPTY), "size": 2, "data": "e30="},
        "layers": [{"mediaType": OCI_LAYER, "digest": digest(layer),
                    "size": len(layer),
                    "annotations": {TITLE: "manifests.tgz"}}],
        "annotations": {CREATED: created()},
    })


def artifact_manifest(layer):
    """The artifact manifest of image-spec 1.1's first drafts, as ORAS 0.x
    pushed it: blobs instead of layers, no schemaVersion."""
    return _json({
        "mediaType": "application/vnd.oci.artifact.manifest.v1+json",
        "artifactType": "application/vnd.unknown.artifact.v1",
        "blobs": [{"mediaType": OCI_LAYER, "digest": digest(layer),
                   "size": len(layer),
                   "annotations": {TITLE: "manifests.tgz"}}],
    })


def index(entries):
    return _json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": list(entries),
    })


def docker_manifest(layer):
    """Docker's schema 2, as copying tools leave it: no titles."""
    return _json({
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "size": len(EMPTY),
                   "digest": digest(EMPTY)},
        "layers": [{"mediaType": DOCKER_LAYER, "size": len(layer),
                    "digest": digest(layer)}],
    })


def media_type(manifest):
    """By its place, the first: what is tested need not be JSON."""
    return re.search(rb'"mediaType":"([^"]*)"', manifest).group(1).decode()
