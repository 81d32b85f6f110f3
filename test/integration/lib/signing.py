"""Signatures as cosign makes them with key pairs, by the openssl command: simple
signing under a tag, and bundles among the referrers."""
import base64
import hashlib
import json
import os

from . import artifact, hidden, proc

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
VALUE = "dev.cosignproject.cosign/signature"
INDEX = "application/vnd.oci.image.index.v1+json"
STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"

_NEW = {
    "p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ed25519": ["ED25519"],
}


class Key:
    """`public` is the path of its public half, in PEM."""

    def __init__(self, folder, name="cosign", kind="p256", digest="sha256"):
        self.kind, self.digest = kind, digest
        self.private = os.path.join(folder, name + ".key")
        self.public = os.path.join(folder, name + ".pub")
        proc.run(["openssl", "genpkey", "-algorithm", *_NEW[kind],
                  "-out", self.private])
        proc.run(["openssl", "pkey", "-in", self.private, "-pubout",
                  "-out", self.public])
        with open(self.private, encoding="ascii") as file:
            # The last line may have any length.
            hidden.hide(*(line for line in file.read().split("\n")[1:-2]
                          if len(line) > 40))

    def pem(self):
        with open(self.public, encoding="ascii") as file:
            return file.read()

    def fingerprint(self):
        return artifact.digest(proc.run(
            ["openssl", "pkey", "-pubin", "-in", self.public, "-outform",
             "der"]).stdout)

    def sign(self, message):
        """The signature, in base64."""
        path = self.private + ".message"
        with open(path, "wb") as file:
            file.write(message)
        command = ["openssl", "pkeyutl", "-sign", "-rawin",
                   "-inkey", self.private, "-in", path]
        if self.kind != "ed25519":
            command += ["-digest", self.digest]
        return base64.b64encode(proc.run(command).stdout).decode()


def _json(value):
    return json.dumps(value, separators=(",", ":")).encode()


def tag(digest, ending=".sig"):
    return digest.replace(":", "-") + ending


def payload(digest, kind="cosign container image signature", **optional):
    return _json({"critical": {
        "identity": {"docker-reference": "127.0.0.1/a/b"},
        "image": {"docker-manifest-digest": digest},
        "type": kind}, "optional": optional or None})


def layer(body, value, media_type=SIMPLE, **changes):
    return {"mediaType": media_type, "size": len(body),
            "digest": artifact.digest(body), "annotations": {VALUE: value},
            **changes}


def manifest(layers, **more):
    """The manifest that holds signatures."""
    return _json({
        "schemaVersion": 2, "mediaType": artifact.OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "size": len(artifact.EMPTY),
                   "digest": artifact.digest(artifact.EMPTY)},
        "layers": layers, **more})


def sign(registry, digest, *keys, path=None):
    """Pushes what `cosign sign --key` does for each key, in one manifest;
    returns its digest."""
    body = payload(digest)
    return put(registry, digest, body, manifest(
        [layer(body, key.sign(body)) for key in keys]), path)


def put(registry, digest, body, signatures, path=None, ending=".sig"):
    """Pushes a blob and a manifest under the tag for a digest."""
    more = {"path": path} if path else {}
    return registry.push(tag(digest, ending), body, manifest=signatures, **more)


def encoding(body, kind=STATEMENT):
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)


def statement(digest, predicate=PREDICATE):
    return _json({"_type": "https://in-toto.io/Statement/v1",
                  "subject": [{"digest": {"sha256": digest.split(":")[1]},
                               "annotations": {}}],
                  "predicateType": predicate, "predicate": {}})


def bundle(digest, key, body=None, **changes):
    """What `cosign sign --key` writes since version 3."""
    body = statement(digest) if body is None else body
    hint = base64.b64encode(hashlib.sha256(proc.run(
        ["openssl", "pkey", "-pubin", "-in", key.public, "-outform",
         "der"]).stdout).digest()).decode()
    return _json({
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint},
                                 "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(body).decode(),
            "payloadType": STATEMENT,
            "signatures": [{"sig": key.sign(encoding(body)), "keyid": ""}]},
        **changes})


def referrer(body, subject, size=0, media_type=BUNDLE):
    """The manifest that holds a bundle."""
    return _json({
        "schemaVersion": 2, "mediaType": artifact.OCI_MANIFEST,
        "artifactType": media_type,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json",
                   "size": len(artifact.EMPTY),
                   "digest": artifact.digest(artifact.EMPTY)},
        "layers": [{"mediaType": media_type, "size": len(body),
                    "digest": artifact.digest(body)}],
        "subject": {"mediaType": artifact.OCI_MANIFEST, "digest": subject,
                    "size": size},
        "annotations": {"dev.sigstore.bundle.content": "dsse-envelope",
                        "dev.sigstore.bundle.predicateType": PREDICATE}})


def index(manifests, media_type=BUNDLE):
    """An index of referrers as a registry makes it."""
    return artifact.index([
        {**_entry(one), "artifactType": media_type,
         "annotations": json.loads(one).get("annotations", {})}
        for one in manifests])


def fallback(manifests):
    """The same as cosign writes it under the tag of the digest: it has the
    configurations' types."""
    return artifact.index([
        {**_entry(one), "artifactType": json.loads(one)["config"]["mediaType"]}
        for one in manifests])


def _entry(manifest):
    return {"mediaType": artifact.OCI_MANIFEST, "size": len(manifest),
            "digest": artifact.digest(manifest)}
