"""The kustomize base builds, offline, and says what it has to."""
import json
import os
import re
import unittest

from lib import proc
from lib.case import Case

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
SECRET = "spectro-manifest-registry-secrets"


def scalar(text):
    if text[:1] == '"':
        return json.loads(text)
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text in ("{}", "[]"):
        return {} if text == "{}" else []
    if text in ("true", "false"):
        return text == "true"
    if text in ("null", "~", ""):
        return None
    return int(text) if re.fullmatch(r"-?\d+", text) else text


class Yaml:
    """The block style that kustomize writes, and no more of YAML."""

    def __init__(self, text):
        self.lines = [(len(line) - len(line.lstrip(" ")), line.lstrip(" "))
                      for line in text.split("\n")]
        self.at = 0

    def peek(self):
        while self.at < len(self.lines) and (
                not self.lines[self.at][1]
                or self.lines[self.at][1].startswith("#")):
            self.at += 1
        return self.lines[self.at] if self.at < len(self.lines) else (-1, "")

    def value(self, indent):
        depth, text = self.peek()
        if depth < indent:
            return None
        if text.startswith("- ") or text == "-":
            return self.sequence(depth)
        return self.mapping(depth)

    def sequence(self, depth):
        items = []
        while True:
            here, text = self.peek()
            if here != depth or not (text.startswith("- ") or text == "-"):
                return items
            rest = text[2:]
            if rest and not self.key(rest):
                self.at += 1
                items.append(scalar(rest))
            else:  # a mapping that begins beside the dash
                self.lines[self.at] = (depth + 2, rest)
                items.append(self.value(depth + 1))

    @staticmethod
    def key(text):
        return re.match(r"""("[^"]*"|'[^']*'|[^\s:'"][^:]*):(?: (.*))?$""",
                        text)

    def mapping(self, depth):
        found = {}
        while True:
            here, text = self.peek()
            match = here == depth and not text.startswith("- ") and \
                self.key(text)
            if not match:
                return found
            self.at += 1
            name, rest = scalar(match.group(1)), match.group(2)
            if rest and rest[0] in "|>":
                found[name] = self.block(depth)
            elif rest:
                found[name] = scalar(rest)
            else:
                below, text = self.peek()
                listed = below == depth and text.startswith("-")
                found[name] = self.value(depth if listed else depth + 1)

    def block(self, depth):
        lines = []
        while self.at < len(self.lines):
            indent, text = self.lines[self.at]
            if text and indent <= depth:
                break
            lines.append(text)
            self.at += 1
        return "\n".join(lines)


class Base(Case):
    @classmethod
    def setUpClass(cls):
        env = {**os.environ, "HOME": cls.class_folder(), "KUBECONFIG": ""}
        text = proc.run(["kubectl", "kustomize",
                         os.path.join(ROOT, "deploy", "base")],
                        env=env).stdout.decode()
        cls.objects = [Yaml(part).value(0) for part in
                       re.split(r"^---$", text, flags=re.M) if part.strip()]

    def one(self, kind, name):
        found = [o for o in self.objects
                 if o["kind"] == kind and o["metadata"]["name"] == name]
        self.assertEqual(len(found), 1, f"{kind} {name}")
        return found[0]

    def pod(self):
        return self.one("StatefulSet", "specman")["spec"]["template"]["spec"]

    def container(self):
        containers = self.pod()["containers"]
        self.assertEqual(len(containers), 1)
        return containers[0]

    def test_namespace(self):
        self.assertTrue(self.objects)
        for item in self.objects:
            if item["kind"] != "Namespace":
                self.assertEqual(item["metadata"].get("namespace"),
                                 "hubble-system", item["kind"])

    def test_stateful_set(self):
        item = self.one("StatefulSet", "specman")
        labels = item["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(labels["component"], "specman")
        for name, value in item["spec"]["selector"]["matchLabels"].items():
            self.assertEqual(labels[name], value)
        self.assertEqual(item["spec"].get("replicas", 1), 1)

    def test_service(self):
        spec = self.one("Service", "specman-service")["spec"]
        self.assertEqual([p["port"] for p in spec["ports"]], [8443])
        ports = {p.get("name"): p["containerPort"]
                 for p in self.container()["ports"]}
        target = spec["ports"][0].get("targetPort", 8443)
        self.assertEqual(ports.get(target, target), 8443)
        labels = self.one("StatefulSet", "specman")["spec"]["template"][
            "metadata"]["labels"]
        for name, value in spec["selector"].items():
            self.assertEqual(labels[name], value)

    def test_headless_service(self):
        name = self.one("StatefulSet", "specman")["spec"]["serviceName"]
        self.assertEqual(self.one("Service", name)["spec"]["clusterIP"],
                         "None")

    def test_claim(self):
        claims = self.one("StatefulSet", "specman")["spec"][
            "volumeClaimTemplates"]
        self.assertEqual(len(claims), 1)
        spec = claims[0]["spec"]
        self.assertEqual(spec["resources"]["requests"]["storage"], "10Gi")
        self.assertEqual(spec["accessModes"], ["ReadWriteOnce"])
        mounts = {m["name"]: m["mountPath"]
                  for m in self.container()["volumeMounts"]}
        self.assertEqual(mounts[claims[0]["metadata"]["name"]],
                         "/var/lib/specman")

    def test_secret_is_optional(self):
        volumes = [v for v in self.pod()["volumes"]
                   if v.get("secret", {}).get("secretName") == SECRET]
        self.assertEqual(len(volumes), 1)
        self.assertIs(volumes[0]["secret"].get("optional"), True)
        mount = [m for m in self.container()["volumeMounts"]
                 if m["name"] == volumes[0]["name"]]
        self.assertEqual(mount[0]["mountPath"], "/etc/specman/registry")
        self.assertNotIn("subPath", mount[0], "a subPath is never updated")

    def test_restricted(self):
        pod, container = self.pod(), self.container()
        both = {**pod.get("securityContext", {}),
                **container["securityContext"]}
        self.assertIs(both.get("runAsNonRoot"), True)
        self.assertEqual(both["seccompProfile"]["type"], "RuntimeDefault")
        own = container["securityContext"]
        self.assertIs(own.get("allowPrivilegeEscalation"), False)
        self.assertIs(own.get("readOnlyRootFilesystem"), True)
        self.assertEqual(own["capabilities"]["drop"], ["ALL"])
        self.assertNotIn("add", own["capabilities"])
        self.assertIn("fsGroup", pod["securityContext"],
                      "a non-root user could not write to the claim")
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            self.assertFalse(pod.get(name))

    def test_account_without_token(self):
        account = self.one("ServiceAccount", "spectro-specman")
        self.assertEqual(self.pod()["serviceAccountName"], "spectro-specman")
        self.assertIs(self.pod().get(
            "automountServiceAccountToken",
            account.get("automountServiceAccountToken")), False)

    def test_probes(self):
        container = self.container()
        for probe, path in (("livenessProbe", "/livez"),
                            ("readinessProbe", "/readyz")):
            self.assertEqual(container[probe]["httpGet"]["path"], path)

    def test_no_variables_of_services(self):
        """Kubernetes would give the pod SPECMAN_SERVICE_HOST and its kin for
        specman-service, and unknown SPECMAN_* variables are refused."""
        self.assertIs(self.pod().get("enableServiceLinks"), False)


if __name__ == "__main__":
    unittest.main()
