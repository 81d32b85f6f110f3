"""An OCI image layout in a folder, written without a tool."""
import json
import os

from . import artifact


def write(folder, layers):
    """One tag for each {tag: layer}."""
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs, exist_ok=True)

    def put(data):
        name = artifact.digest(data)
        with open(os.path.join(blobs, name.removeprefix("sha256:")),
                  "wb") as file:
            file.write(data)
        return name, len(data)
    manifests = []
    put(artifact.EMPTY)
    for tag, layer in layers.items():
        put(layer)
        manifest = artifact.oras_manifest(layer)
        digest, size = put(manifest)
        manifests.append({
            "mediaType": artifact.OCI_MANIFEST, "digest": digest,
            "size": size, "annotations": {
                "org.opencontainers.image.ref.name": tag}})
    for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                        ("index.json", {"schemaVersion": 2,
                                        "manifests": manifests})):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file)
