"""deploy/ builds, offline, base and each overlay; the objects are what Kubernetes
knows, and say what they have to."""
import copy
import os
import re
import textwrap
import unittest

from lib import kube, pod_security, proc
from lib.case import Case

SECRET = "spectro-manifest-registry-secrets"


def one(objects, kind, name):
    found = [o for o in objects
             if o["kind"] == kind and o["metadata"]["name"] == name]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} of {kind} {name}")
    return found[0]


def one_named(items, name):
    found = [item for item in items if item["name"] == name]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} named {name}")
    return found[0]


class Objects(Case):
    """Each object of base and overlays is what the API's schemas know."""

    def check(self, folder):
        objects = kube.build(folder)
        names = [(o["kind"], o["metadata"]["name"]) for o in objects]
        self.assertEqual(len(names), len(set(names)))
        for item in objects:
            kube.validate(item)
            if item["kind"] != "Namespace":
                self.assertEqual(item["metadata"].get("namespace"),
                                 "hubble-system", item["kind"])
        return objects

    def test_base(self):
        kinds = [o["kind"] for o in self.check("base")]
        self.assertEqual(sorted(kinds), [
            "NetworkPolicy", "PodDisruptionBudget", "Service", "Service",
            "ServiceAccount", "StatefulSet"])

    def test_overlays(self):
        self.assertEqual(len(kube.overlays()), 8)
        for folder in kube.overlays():
            with self.subTest(folder):
                base = kube.build("base")
                self.assertNotEqual(self.check(folder), base)

    def test_monitoring(self):
        kinds = [o["kind"] for o in self.check("monitoring")]
        self.assertEqual(sorted(kinds), ["ConfigMap", "PrometheusRule"])

    def test_variables_are_known(self):
        """The daemon refuses to start with a variable that it does not know."""
        text = proc.run([os.environ["SPECMAN"], "--help"]).stdout.decode()
        for folder in ["base", *kube.overlays()]:
            container = one(kube.build(folder), "StatefulSet", "specman")[
                "spec"]["template"]["spec"]["containers"][0]
            for item in container["env"]:
                flag = "--" + item["name"].removeprefix("SPECMAN_").lower() \
                    .replace("_", "-")
                self.assertRegex(text, rf"(?m)^\s+{flag}\b", folder)

    def beside(self, text):
        """The objects of a kustomization beside deploy/."""
        folder = self.folder()
        os.symlink(kube.DEPLOY, os.path.join(folder, "deploy"))
        with open(os.path.join(folder, "kustomization.yaml"), "w",
                  encoding="ascii") as file:
            file.write(text)
        return self.check(folder)

    def image_of(self, objects):
        return one(objects, "StatefulSet", "specman")["spec"]["template"][
            "spec"]["containers"][0]["image"]

    def test_as_the_readme_says(self):
        """Its kustomization, word for word; and with the component fips, where the
        tag has to be said anew."""
        with open(os.path.join(kube.ROOT, "README.md"),
                  encoding="utf-8") as file:
            readme = file.read()
        text = re.search(r"(?m)^ {7}resources: .*\n(?: {7}\S.*\n)+",
                         readme).group()
        text = textwrap.dedent(text)
        patches = re.search(r"(?m)^ {4}patches:\n(?: {6}.*\n)+", readme).group()
        objects = self.beside(text + textwrap.dedent(patches))
        spec = one(objects, "StatefulSet", "specman")["spec"]
        self.assertIn({"name": "SPECMAN_MAX_RELEASES", "value": "5"},
                      spec["template"]["spec"]["containers"][0]["env"])
        claim = spec["volumeClaimTemplates"][0]["spec"]
        self.assertEqual(claim["resources"]["requests"]["storage"], "50Gi")
        self.assertEqual(claim["storageClassName"], "fast")
        self.assertEqual(self.image_of(objects),
                         "harbor.example.com/tools/specman:0.1.0")
        one(objects, "ServiceMonitor", "specman")
        text = re.sub("components: .*", "components: [deploy/components/fips]",
                      text)
        for tag in ("0.1.0", "0.1.0-fips"):
            self.assertEqual(
                self.image_of(self.beside(text.replace("0.1.0}", tag + "}"))),
                "harbor.example.com/tools/specman:" + tag)
        self.assertEqual(
            self.image_of(self.beside(re.sub(r", newTag: [^}]*", "", text))),
            "harbor.example.com/tools/specman:0.1.0-fips")

    def test_all_at_once(self):
        """The components fit together."""
        parts = sorted(os.listdir(os.path.join(kube.DEPLOY, "components")))
        objects = self.beside(
            "resources: [deploy/base]\ncomponents:\n" + "".join(
                f"  - deploy/components/{part}\n" for part in parts))
        container = one(objects, "StatefulSet", "specman")["spec"][
            "template"]["spec"]["containers"][0]
        self.assertEqual({v["name"] for v in container["env"]},
                         {"SPECMAN_CACHE_SIZE", "SPECMAN_FIPS",
                          "SPECMAN_HOOK_TOKEN_FILE",
                          "SPECMAN_MAX_CONNECTIONS",
                          "SPECMAN_MAX_CONNECTIONS_PER_ADDRESS",
                          "SPECMAN_MAX_ENTRIES", "SPECMAN_TLS_CERT",
                          "SPECMAN_TLS_KEY", "SPECMAN_VERIFY_KEY"})
        self.assertEqual({m["name"] for m in container["volumeMounts"]},
                         {"data", "hook", "registry", "signers", "tls"})
        self.assertEqual(len(objects), 9)


class Validation(Case):
    """What the schemas refuse: each change makes an object that Kubernetes would not
    take, or would take without the field."""

    CHANGES = [
        ("StatefulSet", "replica", lambda o: o["spec"].update(replica=2)),
        ("StatefulSet", "replicas",
         lambda o: o["spec"].update(replicas="1")),
        ("StatefulSet", "serviceName",
         lambda o: o["spec"].pop("serviceName")),
        ("StatefulSet", "containers/0",
         lambda o: o["spec"]["template"]["spec"]["containers"][0].update(
             imagePulPolicy="Always")),
        ("StatefulSet", "mountPath",
         lambda o: o["spec"]["template"]["spec"]["containers"][0][
             "volumeMounts"][0].pop("mountPath")),
        ("StatefulSet", "protocol",
         lambda o: o["spec"]["template"]["spec"]["containers"][0]["ports"][
             0].update(protocol="tcp")),
        ("StatefulSet", "spec",
         lambda o: o.update(spec=None)),
        ("Service", "clusterIp", lambda o: o["spec"].update(clusterIp="")),
        ("NetworkPolicy", "port",
         lambda o: o["spec"]["ingress"][0]["ports"][0].update(port=True)),
        ("PodDisruptionBudget", "maxUnavailabl",
         lambda o: o["spec"].update(maxUnavailabl=1)),
        ("ServiceAccount", "automount",
         lambda o: o.update(automountServiceAccountToken="false")),
        ("Certificate", "dnsName", lambda o: o["spec"].update(dnsName=["a"])),
        ("Certificate", "issuerRef", lambda o: o["spec"].pop("issuerRef")),
        ("ServiceMonitor", "endpoints/0",
         lambda o: o["spec"]["endpoints"][0].update(intervall="1s")),
        ("Namespace", "label", lambda o: o["metadata"].update(label={})),
        ("Namespace", "no schema", lambda o: o.update(apiVersion="v2")),
    ]

    @classmethod
    def setUpClass(cls):
        cls.samples = {}
        for folder in ["base", *kube.overlays()]:
            for item in kube.build(folder):
                cls.samples.setdefault(item["kind"], item)

    def test_refused(self):
        self.assertEqual({kind for kind, _, _ in self.CHANGES},
                         set(self.samples), "a kind without a negative sample")
        for kind, says, change in self.CHANGES:
            with self.subTest(f"{kind} {says}"):
                item = copy.deepcopy(self.samples[kind])
                kube.validate(item)
                change(item)
                with self.assertRaisesRegex(AssertionError, says):
                    kube.validate(item)


def _container(spec, **context):
    spec["containers"][0]["securityContext"].update(context)


def _pod(spec, **context):
    spec["securityContext"].update(context)


class PodSecurity(Case):
    """The pods hold the restricted standard, and the check refuses what does not."""

    UNCONFINED = {"type": "Unconfined"}
    # For each rule, changes of the pod (its spec, its annotations) that it forbids.
    REFUSED = [
        ("HostProcess", lambda s, a: _pod(
            s, windowsOptions={"hostProcess": True})),
        ("HostProcess", lambda s, a: _container(
            s, windowsOptions={"hostProcess": True})),
        ("Host Namespaces", lambda s, a: s.update(hostNetwork=True)),
        ("Host Namespaces", lambda s, a: s.update(hostPID=True)),
        ("Host Namespaces", lambda s, a: s.update(hostIPC=True)),
        ("Privileged Containers", lambda s, a: _container(s, privileged=True)),
        ("HostPath Volumes", lambda s, a: s["volumes"].append(
            {"name": "host", "hostPath": {"path": "/"}})),
        ("Host Ports", lambda s, a: s["containers"][0]["ports"][0].update(
            hostPort=8443)),
        ("Host Probes / Lifecycle Hooks", lambda s, a: s["containers"][0][
            "livenessProbe"]["httpGet"].update(host="169.254.169.254")),
        ("Host Probes / Lifecycle Hooks", lambda s, a: s["containers"][
            0].update(lifecycle={"preStop": {"tcpSocket": {
                "host": "10.0.0.1", "port": 1}}})),
        ("AppArmor", lambda s, a: _pod(s, appArmorProfile={
            "type": "Unconfined"})),
        ("AppArmor", lambda s, a: a.update(
            {pod_security.APPARMOR + "specman": "unconfined"})),
        ("SELinux", lambda s, a: _pod(s, seLinuxOptions={"type": "spc_t"})),
        ("SELinux", lambda s, a: _container(s, seLinuxOptions={
            "user": "system_u"})),
        ("/proc Mount Type", lambda s, a: _container(
            s, procMount="Unmasked")),
        ("Sysctls", lambda s, a: _pod(s, sysctls=[
            {"name": "kernel.msgmax", "value": "1"}])),
        ("Volume Types", lambda s, a: s["volumes"].append(
            {"name": "nfs", "nfs": {"server": "a", "path": "/"}})),
        ("Privilege Escalation", lambda s, a: s["containers"][0][
            "securityContext"].pop("allowPrivilegeEscalation")),
        ("Privilege Escalation", lambda s, a: s.update(initContainers=[
            {"name": "init", "securityContext": {
                "capabilities": {"drop": ["ALL"]}}}])),
        ("Running as Non-root", lambda s, a: s["securityContext"].pop(
            "runAsNonRoot")),
        ("Running as Non-root", lambda s, a: _container(
            s, runAsNonRoot=False)),
        ("Running as Non-root user", lambda s, a: _pod(s, runAsUser=0)),
        ("Running as Non-root user", lambda s, a: _container(
            s, runAsUser=0)),
        ("Seccomp", lambda s, a: s["securityContext"].pop("seccompProfile")),
        ("Seccomp", lambda s, a: _container(
            s, seccompProfile=PodSecurity.UNCONFINED)),
        ("Seccomp", lambda s, a: (_pod(
            s, seccompProfile=PodSecurity.UNCONFINED), _container(
                s, seccompProfile={"type": "RuntimeDefault"}))),
        ("Capabilities", lambda s, a: s["containers"][0][
            "securityContext"].pop("capabilities")),
        ("Capabilities", lambda s, a: _container(
            s, capabilities={"drop": ["NET_RAW"]})),
        ("Capabilities", lambda s, a: _container(
            s, capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
    ]
    ALLOWED = [
        lambda s, a: _container(s, capabilities={
            "drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
        lambda s, a: (s["securityContext"].pop("runAsNonRoot"),
                      _container(s, runAsNonRoot=True)),
        lambda s, a: (s["securityContext"].pop("seccompProfile"),
                      _container(s, seccompProfile={"type": "Localhost"})),
        lambda s, a: _pod(s, sysctls=[
            {"name": "net.ipv4.tcp_keepalive_time", "value": "60"}]),
        lambda s, a: s["volumes"].append({"name": "t", "emptyDir": {}}),
    ]

    def pods(self):
        for folder in ["base", *kube.overlays()]:
            for item in kube.build(folder):
                if "template" in item.get("spec", {}):
                    yield folder, copy.deepcopy(item["spec"]["template"])

    def found(self, change=None):
        template = next(self.pods())[1]
        annotations = {}
        if change:
            change(template["spec"], annotations)
        return pod_security.check({"annotations": annotations},
                                  template["spec"])

    def test_restricted(self):
        count = 0
        for folder, template in self.pods():
            count += 1
            self.assertEqual(pod_security.check(
                template["metadata"], template["spec"]), [], folder)
        self.assertEqual(count, 1 + len(kube.overlays()))

    def test_each_rule_refuses(self):
        self.assertEqual({rule for rule, _ in self.REFUSED},
                         set(pod_security.RULES))
        for number, (rule, change) in enumerate(self.REFUSED):
            with self.subTest(f"{number} {rule}"):
                self.assertIn(rule, [name for name, _ in self.found(change)])

    def test_allowed(self):
        for number, change in enumerate(self.ALLOWED):
            with self.subTest(number):
                self.assertEqual(self.found(change), [])


class Base(Case):
    @classmethod
    def setUpClass(cls):
        cls.objects = kube.build("base")

    def one(self, kind, name):
        return one(self.objects, kind, name)

    def pod(self):
        return self.one("StatefulSet", "specman")["spec"]["template"]["spec"]

    def container(self):
        containers = self.pod()["containers"]
        self.assertEqual(len(containers), 1)
        return containers[0]

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
        """It has the name of a pod that is not ready, too: a webhook is to reach
        one that waits for the first release."""
        name = self.one("StatefulSet", "specman")["spec"]["serviceName"]
        spec = self.one("Service", name)["spec"]
        self.assertEqual(spec["clusterIP"], "None")
        self.assertIs(spec["publishNotReadyAddresses"], True)

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
        self.assertEqual(volumes[0]["secret"]["defaultMode"], 0o440)

    def test_read_only_root(self):
        self.assertIs(self.container()["securityContext"][
            "readOnlyRootFilesystem"], True)
        self.assertIn("fsGroup", self.pod()["securityContext"],
                      "a non-root user could not write to the claim")

    def test_account_without_token(self):
        account = self.one("ServiceAccount", "spectro-specman")
        self.assertEqual(self.pod()["serviceAccountName"], "spectro-specman")
        self.assertIs(self.pod().get(
            "automountServiceAccountToken",
            account.get("automountServiceAccountToken")), False)

    def test_probes(self):
        container = self.container()
        for probe, path in (("startupProbe", "/livez"),
                            ("livenessProbe", "/livez"),
                            ("readinessProbe", "/readyz")):
            self.assertEqual(container[probe]["httpGet"]["path"], path)
            self.assertEqual(container[probe]["httpGet"]["port"], "admin")
        start = container["startupProbe"]
        self.assertGreaterEqual(start["periodSeconds"]
                                * start["failureThreshold"], 600)
        live = container["livenessProbe"]
        self.assertGreaterEqual(live["timeoutSeconds"], 5)
        self.assertGreaterEqual(live["periodSeconds"]
                                * live["failureThreshold"], 60)

    def test_grace(self):
        """Longer than the daemon takes for answers that run."""
        with open(os.path.join(kube.ROOT, "daemon", "serve.c"),
                  encoding="utf-8") as file:
            grace = re.search(r"GRACE_MS = (\d+) \* 1000,", file.read())
        self.assertGreaterEqual(self.pod()["terminationGracePeriodSeconds"],
                                int(grace.group(1)) + 10)

    def test_policy(self):
        """Files for all; the admin port for nobody but the kubelet; names and
        TCP to wherever the registry is."""
        spec = self.one("NetworkPolicy", "specman")["spec"]
        self.assertEqual(spec["podSelector"]["matchLabels"],
                         {"component": "specman"})
        self.assertEqual(spec["policyTypes"], ["Ingress", "Egress"])
        self.assertEqual(spec["ingress"], [
            {"ports": [{"protocol": "TCP", "port": 8443}]}])
        self.assertEqual(spec["egress"], [
            {"ports": [{"protocol": "UDP", "port": 53},
                       {"protocol": "UDP", "port": 5353}]},
            {"ports": [{"protocol": "TCP"}]}])

    def test_nodes_can_be_drained(self):
        spec = self.one("PodDisruptionBudget", "specman")["spec"]
        self.assertEqual(spec["maxUnavailable"], 1)
        self.assertNotIn("minAvailable", spec)

    def test_resources(self):
        self.assertEqual(self.container()["resources"], {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": "256Mi"}})

    def test_image_is_this_version(self):
        done = proc.run([os.environ["SPECMAN"], "version"]).stdout.decode()
        self.assertEqual(self.container()["image"],
                         done.split("\n")[0].replace(" ", ":"))

    def test_no_variables_of_services(self):
        """Kubernetes would give the pod SPECMAN_SERVICE_HOST and its kin for
        specman-service, and unknown SPECMAN_* variables are refused."""
        self.assertIs(self.pod().get("enableServiceLinks"), False)


class Overlays(Case):
    """What each adds to the base."""

    def built(self, name):
        return kube.build("overlays/" + name)

    def pod(self, name):
        return one(self.built(name), "StatefulSet", "specman")["spec"][
            "template"]["spec"]

    def test_cert_manager(self):
        certificate = one(self.built("cert-manager"), "Certificate",
                          "specman")["spec"]
        pod = self.pod("cert-manager")
        container = pod["containers"][0]
        volume = one_named(pod["volumes"], "tls")
        self.assertEqual(volume["secret"], {
            "secretName": certificate["secretName"], "defaultMode": 0o440})
        mount = one_named(container["volumeMounts"], "tls")
        self.assertNotIn("subPath", mount, "a subPath is never updated")
        self.assertEqual(
            {v["name"]: v["value"] for v in container["env"]},
            {**{v["name"]: v["value"] for v in one(
                kube.build("base"), "StatefulSet", "specman")["spec"][
                    "template"]["spec"]["containers"][0]["env"]},
             "SPECMAN_TLS_CERT": mount["mountPath"] + "/tls.crt",
             "SPECMAN_TLS_KEY": mount["mountPath"] + "/tls.key"})
        self.assertIn("specman-service.hubble-system.svc",
                      certificate["dnsNames"])

    def check_secret_file(self, overlay, volume, variable, secret, key):
        """A variable names a file of a secret, which is mounted as a folder."""
        pod = self.pod(overlay)
        container = pod["containers"][0]
        self.assertEqual(one_named(pod["volumes"], volume)["secret"],
                         {"secretName": secret, "defaultMode": 0o440})
        mount = one_named(container["volumeMounts"], volume)
        self.assertNotIn("subPath", mount, "a subPath is never updated")
        self.assertIs(mount["readOnly"], True)
        self.assertEqual(one_named(container["env"], variable)["value"],
                         f"{mount['mountPath']}/{key}")

    def test_webhook(self):
        self.check_secret_file("webhook", "hook", "SPECMAN_HOOK_TOKEN_FILE",
                               "specman-hook", "token")
        ingress = one(self.built("webhook"), "NetworkPolicy", "specman")[
            "spec"]["ingress"]
        self.assertEqual([rule["ports"][0]["port"] for rule in ingress],
                         [8443, 8080])
        self.assertTrue(ingress[1]["from"], "open for all")

    def test_signed(self):
        self.check_secret_file("signed", "signers", "SPECMAN_VERIFY_KEY",
                               "specman-verify-key", "cosign.pub")

    def test_ecr_irsa(self):
        account = one(self.built("ecr-irsa"), "ServiceAccount",
                      "spectro-specman")
        self.assertRegex(account["metadata"]["annotations"][
            "eks.amazonaws.com/role-arn"], "^arn:aws:iam::[0-9]{12}:role/")
        self.assertIs(account["automountServiceAccountToken"], False)

    def test_service_monitor(self):
        objects = self.built("servicemonitor")
        spec = one(objects, "ServiceMonitor", "specman")["spec"]
        endpoint = spec["endpoints"][0]
        self.assertEqual(endpoint["path"], "/metrics")
        wanted = spec["selector"]["matchLabels"].items()
        ports = [port["targetPort"] for item in objects
                 if item["kind"] == "Service"
                 and wanted <= item["metadata"]["labels"].items()
                 for port in item["spec"]["ports"]
                 if port["name"] == endpoint["port"]]
        self.assertEqual(ports, ["admin"])
        ingress = one(objects, "NetworkPolicy", "specman")["spec"]["ingress"]
        self.assertEqual([rule["ports"][0]["port"] for rule in ingress],
                         [8443, 8080])
        self.assertTrue(ingress[1]["from"], "open for all")

    def test_replicas(self):
        objects = self.built("replicas")
        spec = one(objects, "StatefulSet", "specman")["spec"]
        self.assertEqual(spec["replicas"], 2)
        self.assertEqual(spec["podManagementPolicy"], "Parallel")
        self.assertEqual(len(spec["volumeClaimTemplates"]), 1)
        affinity = spec["template"]["spec"]["affinity"]["podAntiAffinity"]
        term = affinity["preferredDuringSchedulingIgnoredDuringExecution"][0][
            "podAffinityTerm"]
        self.assertEqual(term["topologyKey"], "kubernetes.io/hostname")
        self.assertEqual(term["labelSelector"], spec["selector"])
        self.assertEqual(one(objects, "Service", "specman-service")["spec"][
            "sessionAffinity"], "ClientIP")
        self.assertIn("readinessProbe",
                      spec["template"]["spec"]["containers"][0])

    def test_fips(self):
        container = self.pod("fips")["containers"][0]
        base = one(kube.build("base"), "StatefulSet", "specman")["spec"][
            "template"]["spec"]["containers"][0]
        self.assertEqual(container["image"], base["image"] + "-fips")
        self.assertEqual(one_named(container["env"], "SPECMAN_FIPS"),
                         {"name": "SPECMAN_FIPS", "value": "true"})

    def test_namespace(self):
        labels = one(self.built("namespace"), "Namespace", "hubble-system")[
            "metadata"]["labels"]
        self.assertEqual(labels["pod-security.kubernetes.io/enforce"],
                         "restricted")


if __name__ == "__main__":
    unittest.main()
