"""The restricted level of Kubernetes' Pod Security Standards, with the baseline that
it includes, rule by rule (kubernetes.io/docs/concepts/security/pod-security-standards).

A rule takes a pod's metadata and spec and gives what is wrong.
"""
RULES = {}
SYSCTLS = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range",
           "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
           "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
           "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
           "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"}
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t",
           "container_engine_t"}
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral",
           "persistentVolumeClaim", "projected", "secret"}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def check(metadata, spec):
    """All that is wrong, as (rule, what)."""
    return [(name, what) for name, rule in RULES.items()
            for what in rule(metadata, spec)]


def _rule(name):
    def add(function):
        RULES[name] = function
        return function
    return add


def _containers(spec):
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or []


def _own(holder):
    return holder.get("securityContext") or {}


def _holders(spec):
    """What has a security context: the pod, each container."""
    yield "pod", _own(spec)
    for container in _containers(spec):
        yield container["name"], _own(container)


def _everywhere(spec, field, good):
    """The containers of which neither themselves nor the pod say what is good."""
    by_pod = good(_own(spec).get(field))
    for container in _containers(spec):
        own = _own(container).get(field)
        if not (by_pod if own is None else good(own)):
            yield f"{container['name']}: {field} is {own}"


# Baseline

@_rule("HostProcess")
def _(_, spec):
    for name, context in _holders(spec):
        if (context.get("windowsOptions") or {}).get("hostProcess"):
            yield name


@_rule("Host Namespaces")
def _(_, spec):
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field


@_rule("Privileged Containers")
def _(_, spec):
    for name, context in _holders(spec):
        if context.get("privileged"):
            yield name


@_rule("HostPath Volumes")
def _(_, spec):
    for volume in spec.get("volumes") or []:
        if volume.get("hostPath") is not None:
            yield volume["name"]


@_rule("Host Ports")
def _(_, spec):
    for container in _containers(spec):
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                yield f"{container['name']}: {port['hostPort']}"


@_rule("Host Probes / Lifecycle Hooks")
def _(_, spec):
    for container in _containers(spec):
        hooks = container.get("lifecycle") or {}
        for handler in (container.get("startupProbe"),
                        container.get("livenessProbe"),
                        container.get("readinessProbe"),
                        hooks.get("postStart"), hooks.get("preStop")):
            for action in ("httpGet", "tcpSocket"):
                if ((handler or {}).get(action) or {}).get("host"):
                    yield f"{container['name']}: {action}"


@_rule("AppArmor")
def _(metadata, spec):
    for name, context in _holders(spec):
        profile = context.get("appArmorProfile") or {}
        if profile.get("type") not in (None, "RuntimeDefault", "Localhost"):
            yield name
    for name, value in (metadata.get("annotations") or {}).items():
        if name.startswith(APPARMOR) and value != "runtime/default" and \
                not value.startswith("localhost/"):
            yield name


@_rule("SELinux")
def _(_, spec):
    for name, context in _holders(spec):
        options = context.get("seLinuxOptions") or {}
        if options.get("type") not in SELINUX or options.get("user") or \
                options.get("role"):
            yield name


@_rule("/proc Mount Type")
def _(_, spec):
    for container in _containers(spec):
        if _own(container).get("procMount") not in (None, "Default"):
            yield container["name"]


@_rule("Sysctls")
def _(_, spec):
    for sysctl in _own(spec).get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield sysctl["name"]


# Restricted

@_rule("Volume Types")
def _(_, spec):
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if len(kinds) != 1 or not kinds <= VOLUMES:
            yield f"{volume['name']}: {sorted(kinds)}"


@_rule("Privilege Escalation")
def _(_, spec):
    for container in _containers(spec):
        if _own(container).get("allowPrivilegeEscalation") is not False:
            yield container["name"]


@_rule("Running as Non-root")
def _(_, spec):
    yield from _everywhere(spec, "runAsNonRoot", lambda value: value is True)


@_rule("Running as Non-root user")
def _(_, spec):
    for name, context in _holders(spec):
        if context.get("runAsUser") == 0:
            yield name


@_rule("Seccomp")
def _(_, spec):
    def good(profile):
        return (profile or {}).get("type") in ("RuntimeDefault", "Localhost")
    yield from _everywhere(spec, "seccompProfile", good)
    if _own(spec).get("seccompProfile") is not None and \
            not good(_own(spec)["seccompProfile"]):
        yield "pod"


@_rule("Capabilities")
def _(_, spec):
    for container in _containers(spec):
        capabilities = _own(container).get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or []):
            yield f"{container['name']}: not all are dropped"
        extra = set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}
        if extra:
            yield f"{container['name']}: {sorted(extra)}"
