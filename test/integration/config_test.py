"""Every flag of `specman --help`: by flag, by environment, by both; what it may
not be, with the whole message; and what can't be together. A flag without a row
in FLAGS fails the tests."""
import os
import re
import unittest

from lib import hidden, proc
from lib.case import Case
from lib.daemon import call, environment, program
from lib.stage import in_mounts
from lib.wait import scale

LONG = 4095  # bytes that a text may have
HUGE = "9" * 30


class Kind:
    """`good` are values; `bad` are (value, what the message says of it)."""
    several = False

    def __init__(self, good=(), bad=(), default=None, beside=(), shows=None,
                 apart=False):
        self.good = list(good) or self.samples()
        self.bad = self.mistakes() + list(bad)
        self.default = default
        self.beside = list(beside)  # flags that it needs
        self.shows = shows          # the default in effect, if that is no text
        self.apart = apart          # it does not go with all others at once

    def samples(self):
        return []

    def mistakes(self):
        return []

    def wrong(self, values, may_be):
        return [(value, f'is "{value[:80]}", and may be {may_be}')
                for value in values]


class Text(Kind):
    def samples(self):
        return ["/some/file", "/with space/ä", os.fsdecode(b"/odd/\xff\xc3")]

    def mistakes(self):
        return [("", "is empty"),
                ("/" * (LONG + 1), "has 4096 bytes, and may have 4095"),
                *((f"/a{control}", f'is "/a?", and may have no control '
                   f"character (here 0x{ord(control):02x} at byte 3)")
                  for control in "\n\x01\x1b\x7f")]


class Texts(Text):
    several, most = True, 32


class Switch(Kind):
    def samples(self):
        return ["true", "false"]

    def mistakes(self):
        return self.wrong(["", "yes", "1", "0", "TRUE", "true ", "truefalse",
                           "t"], "true or false")


class Duration(Kind):
    may_be = "a time such as 30s, 5m or 12h, up to 8760h"
    zeros = ["0"]

    def samples(self):
        return ["1ms", "250ms", "30s", "5m", "12h", "1h30m", "8760h"]

    def mistakes(self):
        return self.wrong([
            "", "0s", "0h0m", "5", "s", "-5s", "+5s", " 5s", "5 s", "5s ",
            "1.5h", "1d", "1w", "5mm", "5min", "1h-1m", "0x5s", "1e3s", "٣s",
            "8761h", "8760h1ms", HUGE + "h", "8760h" * 9, "infinity",
            "5s,5s", *self.zeros], self.may_be)


class Interval(Duration):
    may_be = "a time such as 12h, up to 8760h, or off"
    zeros = ["OFF", "never", "00"]

    def samples(self):
        return ["off", "0"] + super().samples()


class Percent(Kind):
    def samples(self):
        return ["0%", "7%", "100%"]

    def mistakes(self):
        return self.wrong(["", "10", "%", "101%", "-1%", "10%%", "1.5%",
                           "10 %", HUGE + "%"], "0% to 100%")


class Count(Kind):
    def __init__(self, least, most, **options):
        self.least, self.most = least, most
        super().__init__(**options)

    def samples(self):
        return [str(self.least), str(self.most)]

    def mistakes(self):
        return self.wrong([
            "", str(self.least - 1), str(self.most + 1), "-1", "+1", " 1",
            "1 ", "1x", "1.5", "0x1", "1e1", "1k", "ten", HUGE, "-" + HUGE],
            f"{self.least} to {self.most}")


class Size(Kind):
    def samples(self):
        return ["0", "4096", "512Ki", "64Mi", "10Gi", "1Ti", "5k", "5M"]

    def mistakes(self):
        return self.wrong([
            "", "-1", "Mi", "1.5Gi", "64MiB", "64mi", "64 Mi", " 64Mi", "64Mi ",
            "64KB", "1Pi", "1048577Ti", "1152921504606846977", HUGE, HUGE + "k"],
            "a size such as 512Ki, 64Mi or 10Gi")


class Choice(Kind):
    def __init__(self, *names, **options):
        self.names = list(names)
        super().__init__(**options)

    def samples(self):
        return self.names

    def mistakes(self):
        return self.wrong(
            ["", self.names[0].upper(), self.names[0][:-1],
             self.names[0] + "x", " " + self.names[0], "x" * 200],
            ", ".join(self.names[:-1]) + " or " + self.names[-1])


class Listen(Kind):
    several, most = True, 8

    def samples(self):
        return ["127.0.0.1:0", "[::1]:0", "0.0.0.0:65535", "[::]:1"]

    def mistakes(self):
        return [(value, f': "{value[:80]}" is no ADDRESS:PORT, such as '
                 "[::]:8443") for value in ("8443", "localhost", "x" * 200)] \
            + [(value, f': "{value.rpartition(":")[2]}" is no port (0 to '
                "65535)") for value in (
                    "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", ":+1",
                    "127.0.0.1:1x", "[::1]:https", ":" + "9" * 20)] \
            + [(value, f': "{value}" has no IP address before its port')
               for value in ("localhost:1", "127.0.0.256:1", "::1:1",
                             "[::1:1", "[127.0.0.1]:1", "[::g]:1", "[]:1",
                             "1.2.3:1")]


REPOSITORY_BAD = [
    ("oci-layout:", 'is "oci-layout:", and may be oci-layout:DIR'),
]
PAIR = "/some/other/file"

def cpus():
    """Those of the affinity, or what the quota of this very container, if it
    is one, comes to; cpus_test.c has the rest."""
    count = len(os.sched_getaffinity(0))
    for name in ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"):
        if os.path.exists(name):
            with open(name, encoding="ascii") as file:
                words = file.read().split()
            if len(words) == 1:
                with open(name.replace("quota", "period"),
                          encoding="ascii") as file:
                    words += file.read().split()
            if words[0].isdigit():
                count = min(count, -(-int(words[0]) // int(words[1])))
    return count


FLAGS = {
    "repository": Text(["127.0.0.1:1/a/b", "127.0.0.1:5000/a",
                        "oci-layout:/mnt/scar"], REPOSITORY_BAD),
    "registry-secret-dir": Text(default="/etc/specman/registry"),
    "registry-config": Text(),
    "registry-username": Text(["robot$x", "ä"], beside=[
        "--registry-password-file", PAIR]),
    "registry-password-file": Text(beside=["--registry-username", "u"]),
    "registry-ca": Text(),
    "registry-cert": Text(beside=["--registry-key", PAIR]),
    "registry-key": Text(beside=["--registry-cert", PAIR]),
    "repository-mirror": Texts(["127.0.0.1:1/a", "oci-layout:/m", "[::1]:1/b"],
                               REPOSITORY_BAD),
    "verify-key": Texts(["/keys/one.pub", "/keys/two.pub", "three.pub"]),
    "sign-key": Text(),
    "registry-insecure": Switch(default="false"),
    "plain-http": Switch(default="false"),
    "registry-idle-timeout": Duration(default="60s"),
    "registry-retries": Count(0, 20, default="5"),
    "poll-interval": Duration(default="60s"),
    "poll-jitter": Percent(default="10%"),
    "tag-include": Texts([r"^4\.5\.", "[0-9]{1,3}", "a|b"], [(
        "(", 'is "(", and may be a POSIX extended regular expression: '
        "Unmatched ( or \\(")]),
    "tag-exclude": Texts(["-debug$", "x", "y"], [(
        "[a", 'is "[a", and may be a POSIX extended regular expression: '
        "Unmatched [, [^, [:, [., or [=")]),
    "tag-semver": Text([">=4.4 <5", "^4.5"], [(
        "latest", 'is "latest", and may be a range such as ">=4.4 <5", ^4.5, '
        '~4.5.1, 4.5.x or "4.4 - 4.6": "latest" is not understood '
        "(a number, x or * is missing)")]),
    "max-releases": Count(1, 10000),
    "prune": Switch(default="false"),
    "overlay": Choice("semver", "pushed", "single", default="semver"),
    "allow-rollback": Switch(default="false"),
    "data-dir": Text(default="/var/lib/specman", bad=[
        (value, f'is "{value}", and may be a path that begins with /')
        for value in ("data", ".", "../x", "~/x")]),
    "disk-reserve": Size(default="32Mi"),
    "cache-size": Size(default="128Mi"),
    "scrub-interval": Interval(default="24h"),
    "view-lease": Interval(default="10m"),
    "max-entries": Count(1, 10000000, default="1000000"),
    "max-file-size": Size(default="4Gi"),
    "max-unpacked-size": Size(default="8Gi"),
    "max-ratio": Count(1, 1000000, default="200"),
    "max-path-length": Count(1, 4096, default="4096"),
    "max-depth": Count(1, 256, default="64"),
    "listen": Listen(default="[::]:8443"),
    "admin-listen": Listen(["127.0.0.2:0", "[::2]:2", "0.0.0.0:3"],
                           default="[::]:8080"),
    "workers": Count(1, 256, shows=str(cpus())),
    "tls-cert": Text(beside=["--tls-key", PAIR]),
    "tls-key": Text(beside=["--tls-cert", PAIR]),
    "hook-token-file": Text(),
    "htpasswd": Text(),
    "no-listing": Switch(default="false"),
    "access-log": Switch(default="false"),
    "tls-client-ca": Text(),
    "tls-client-auth": Choice("require", "request", default="require",
                              beside=["--tls-client-ca", PAIR]),
    "fips": Switch(default="false", apart=True),
    "max-connections": Count(1, 65536, default="4096"),
    "max-connections-per-address": Count(1, 65536, default="512"),
    "log-level": Choice("debug", "info", "warning", "error", default="info"),
    "log-format": Choice("text", "json", default="text"),
}
# By the environment alone, and masked.
SECRETS = {"registry-password": ["--registry-username", "u"]}


def variable(name):
    return "SPECMAN_" + name.upper().replace("-", "_")


def documented():
    """{name: (value, default, what it is)} of --help."""
    found = {}
    for line in call("--help").stdout.decode().split("\n"):
        match = re.match(r"  --([a-z0-9-]+) (\S*) +(\S.*?)"
                         r"(?: \(default (\S+)\))?$", line)
        if match:
            name, value, what, default = match.groups()
            found[name] = value, default, what
    return found


class Configuration(Case):
    @classmethod
    def setUpClass(cls):
        folder = cls.class_folder()
        cls.base = ["--data-dir", folder, "--repository",
                    "oci-layout:" + os.path.join(folder, "none"),
                    "--registry-secret-dir", os.path.join(folder, "none")]

    def effective(self, *flags, env=None):
        """{flag: (value, source)} of `specman check`."""
        done = call("check", *self.base, *flags, env=env, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return dict((name, (value, source)) for name, value, source in
                    re.findall(r"^  (?:--)?(\S+) (.*)  \[([^\]]*)\]$",
                               os.fsdecode(done.stdout), re.M))

    def refused(self, message, *flags, env=None, command=("check",)):
        done = call(*command, *flags, env=env, check=False)
        self.assertEqual(
            (done.returncode, done.stdout, os.fsdecode(done.stderr)),
            (2, b"", f"specman: {message} specman --help\n"), (flags, env))

    def each(self, *kinds):
        for name, row in FLAGS.items():
            if isinstance(row, kinds or Kind):
                yield name, row

    # ---- the table ----

    def test_every_flag_has_a_row_here(self):
        self.assertEqual(set(documented()), set(FLAGS))

    def test_the_readme_has_the_same_flags(self):
        with open(os.path.join(os.path.dirname(__file__), *[os.pardir] * 2,
                               "README.md"), encoding="utf-8") as file:
            section = re.search(r"(?ms)^## Configuration\n(.*?)^## ",
                                file.read()).group(1)
        rows = re.findall(r"(?m)^\| `--([a-z0-9-]+)(?: (\S+))?` \| "
                          r"(?:`(\S+)`)? \| (.*) \|$", section)
        self.assertEqual({
            name: (value.replace("\\|", "|"), default or None,
                   what.replace("\\|", "|"))
            for name, value, default, what in rows}, documented())
        self.assertEqual(len(rows), len(FLAGS), "each stands there once")
        for name in SECRETS:
            self.assertIn(f"| `{variable(name)}` |", section)

    def test_every_variable_without_a_flag_has_one(self):
        text = call("--help").stdout.decode()
        self.assertEqual(
            set(re.findall(r"(?m)^  (SPECMAN_\w+) ", text)),
            {variable(name) for name in SECRETS})

    def test_defaults(self):
        help_, found = documented(), self.effective_of_nothing()
        for name, row in self.each():
            self.assertEqual(help_[name][1], row.default)
            if isinstance(row, Choice):
                self.assertEqual(help_[name][0], "|".join(row.names))
            else:
                self.assertNotIn("|", help_[name][0])
            self.assertEqual(found[name], (
                row.shows or row.default or "(not set)", "default"))
        self.assertEqual(set(found), set(FLAGS) | {
            variable(name) for name in SECRETS})

    def effective_of_nothing(self):
        done = call("check", check=False)
        return dict((name, (value, source)) for name, value, source in
                    re.findall(r"^  (?:--)?(\S+) (.*)  \[([^\]]*)\]$",
                               done.stdout.decode(), re.M))

    # ---- what is understood ----

    # All flags at once: so those that need one another have one another.

    def rounds(self):
        """(flags that are needed besides, values, the next ones)."""
        groups = [(row.beside, [name]) for name, row in FLAGS.items()
                  if row.apart]
        groups.append(([], [n for n, row in FLAGS.items() if not row.apart]))
        for beside, names in groups:
            for number in range(max(len(FLAGS[n].good) for n in names)):
                yield beside, *({n: FLAGS[n].good[at % len(FLAGS[n].good)]
                                 for n in names} for at in (number, number + 1))

    def flags(self, values):
        return [f"--{name}={value}" for name, value in values.items()]

    def variables(self, values):
        return {variable(name): value for name, value in values.items()}

    def check_all(self, expected, *flags, env=None):
        found = self.effective(*flags, env=env)
        for name, value in expected.items():
            self.assertEqual(found[name], (value, "flag"), name)

    def test_workers_of_a_container_with_a_quota(self):
        """One, whatever the machine has: a quota of half a CPU, as both kinds
        of control groups tell it."""
        groups = self.folder()
        os.mkdir(os.path.join(groups, "cpu"))
        for name, text in (("cpu.max", "50000 100000"),
                           ("cpu/cpu.cfs_quota_us", "50000"),
                           ("cpu/cpu.cfs_period_us", "100000")):
            with open(os.path.join(groups, name), "w",
                      encoding="ascii") as file:
                file.write(text + "\n")
        done = proc.run([*in_mounts('mount --bind "$1" /sys/fs/cgroup', groups),
                         program(), "check", *self.base], 60 * scale(),
                        check=False, env=environment())
        self.assertIn("  --workers 1  [default]\n", done.stdout.decode())

    def test_by_flag(self):
        for beside, values, _ in self.rounds():
            self.check_all(values, *beside, *self.flags(values))
            self.check_all(values, *beside, *(
                word for name, value in values.items() for word in (
                    [f"--{name}={value}"] if isinstance(FLAGS[name], Switch)
                    else [f"--{name}", value])))

    def test_by_environment(self):
        for beside, values, _ in self.rounds():
            done = call("check", *beside, env=self.variables(values),
                        check=False)
            for name, value in values.items():
                self.assertIn(f"  --{name} {value}  [environment: "
                              f"{variable(name)}]\n", os.fsdecode(done.stdout))

    def test_by_both_the_flag_counts(self):
        """And what does not count is not looked at."""
        for beside, values, others in self.rounds():
            bad = {name: FLAGS[name].bad[-1][0] for name in values}
            for other in (others, bad):
                self.check_all(values, *beside, *self.flags(values),
                               env=self.variables(other))

    def test_of_a_flag_that_is_given_twice_the_last_one_counts(self):
        for beside, first, last in self.rounds():
            self.check_all({
                name: f"{first[name]} {value}" if FLAGS[name].several else value
                for name, value in last.items()}, *beside, *self.flags(first),
                *self.flags(last))

    def test_a_flag_that_may_be_repeated(self):
        for name, row in self.each(Texts, Listen):
            first, second, third = row.good[:3]
            found = self.effective("--registry-retries=0",
                                   f"--{name}={first}", f"--{name}", second)
            self.assertEqual(found[name], (f"{first} {second}", "flag"))
            for between in (" ", "\n", " \t\r\n "):
                found = self.effective("--registry-retries=0", env={
                    variable(name): between.join(["", first, second, ""])})
                self.assertEqual(found[name], (
                    f"{first} {second}", "environment: " + variable(name)))
            # The flag's list takes the place of the variable's.
            found = self.effective(
                "--registry-retries=0", f"--{name}={third}",
                env={variable(name): f"{first} {second}"})
            self.assertEqual(found[name], (third, "flag"))
            many = [f"--{name}={third}" if isinstance(row, Texts)
                    else f"--{name}=127.0.0.1:0"] * (row.most + 1)
            self.effective("--registry-retries=0", *many[1:])
            self.refused(f"--{name} is given more than {row.most} times; see",
                         *many)
            self.refused(f"{variable(name)} is empty; see",
                         env={variable(name): " \n"})

    def test_switches(self):
        for name, _ in self.each(Switch):
            self.assertEqual(self.effective(f"--{name}")[name],
                             ("true", "flag"))
            self.assertEqual(self.effective(f"--{name}=false", env={
                variable(name): "true"})[name], ("false", "flag"))
            # A switch takes no word behind it: that is an operand.
            self.refused('"false" is not understood: usage: specman check; '
                         "see", f"--{name}", "false")

    # ---- what is not ----

    def test_bad_values(self):
        for name, row in self.each():
            for value, message in row.bad:
                between = "" if message.startswith(":") else " "
                self.refused(f"--{name}{between}{message}; see", *row.beside,
                             f"--{name}={value}")
            for value, message in row.bad[:1] + row.bad[-2:]:
                between = "" if message.startswith(":") else " "
                if row.several and re.search(r"\s", value):
                    continue  # there it stands between values
                # Some are found where only the flag's name is known.
                by = "--" + name if re.search(
                    "regular exp|range such|begins with /|DIR$", message) \
                    else variable(name)
                self.refused(f"{by}{between}{message}; see", *row.beside,
                             env={variable(name): value})

    def test_values_that_are_missing(self):
        for name, row in self.each():
            if not isinstance(row, Switch):
                self.refused(f"--{name} needs a value: "
                             f"{documented()[name][0]}; see", f"--{name}")

    def test_unknown_flags(self):
        for given, meant in (
                ("--pol-interval", "--poll-interval"), ("--poll", "--poll-interval"),
                ("--registry", "--registry-secret-dir"), ("--prun", "--prune"),
                ("-prune", "--prune"), ("-xprune", "--prune"), ("--Prune", "--prune"),
                ("--tag-includes", "--tag-include"), ("--log-lvl", "--log-level"),
                ("--listen-admin", "--listen"), ("--htpaswd", "--htpasswd"),
                ("--poll_interval", "--poll-interval")):
            for flags in ([given], [given + "=5s"], ["--prune", given, "x"]):
                with self.subTest(flags=flags):
                    self.refused(f"unknown flag {given}: did you mean "
                                 f"{meant}? See", *flags)
        # Nothing is near: what is named then changes with the flags.
        for given, shown in (("--" + "x" * 300, "--" + "x" * 61),
                             ("--a\nb\x1bcdefgh", "--a\\?b\\?cdefgh")):
            done = call("check", given, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr.decode(), (
                rf"^specman: unknown flag {shown}: did you mean --[a-z0-9-]+\? "
                r"See specman --help\n$"))

    def test_unknown_variables(self):
        for given, meant in (
                ("SPECMAN_POL_INTERVAL", "SPECMAN_POLL_INTERVAL"),
                ("SPECMAN_POLL", "SPECMAN_POLL_INTERVAL"),
                ("SPECMAN_LOG", "SPECMAN_LOG_LEVEL"),
                ("SPECMAN_REGISTRY_PASSWD", "SPECMAN_REGISTRY_PASSWORD"),
                ("SPECMAN_prune", "SPECMAN_PRUNE")):
            with self.subTest(variable=given):
                self.refused(f"unknown variable {given}: did you mean {meant}? "
                             "See", env={given: "the-value-is-not-shown"})

    def test_variables_that_kubernetes_makes_for_services(self):
        self.effective(env={
            "SPECMAN_SERVICE_SERVICE_HOST": "10.0.0.1",
            "SPECMAN_SERVICE_SERVICE_PORT": "8443",
            "SPECMAN_SERVICE_SERVICE_PORT_HTTPS": "8443",
            "SPECMAN_SERVICE_PORT": "tcp://10.0.0.1:8443",
            "SPECMAN_SERVICE_PORT_8443_TCP": "tcp://10.0.0.1:8443",
            "SPECMAN_SERVICE_PORT_8443_TCP_PROTO": "tcp",
            "SPECMAN_SERVICE_PORT_8443_TCP_ADDR": "10.0.0.1",
            "SPECMAN_SERVICE_HOST": "10.0.0.1",
            "SPECMAN_PORT": "udp://10.0.0.1:8443",
            "SPECMAN_METRICS_SERVICE_HOST": "10.0.0.1",
            "SPECMAN_METRICS_PORT_8080_TCP_PORT": "8080"})
        for name, value in (("SPECMAN_PORT", "8443"), ("SPECMAN_HOST", "x"),
                            ("SPECMAN_PORT_X", "1"), ("SPECMAN_SERVICE", "1")):
            done = call("check", env={name: value}, check=False)
            self.assertEqual(done.returncode, 2, name)
            self.assertIn(f"unknown variable {name}: ", done.stderr.decode())

    def test_unknown_commands(self):
        for given, meant in (("snyc", "sync"), ("chek", "check"),
                             ("export-", "export"), ("sever", "serve"),
                             ("versions", "version"), ("historie", "history")):
            self.refused(f"unknown command {given}: did you mean {meant}? See",
                         command=(given,))
        names = re.findall(r"(?m)^  ([a-z]+) ", call("--help").stdout.decode())
        for given, shown in (("frobnicate", "frobnicate"), ("--prune",) * 2,
                             ("a\x1bb", "a?b"), ("x" * 99, "x" * 63)):
            self.refused(f"unknown command {shown}: it may be one of "
                         f"{', '.join(names)}; see", command=("--", given))
        done = call("help", "snyc", check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (
            2, b"", b"specman: unknown command snyc: did you mean sync? See "
            b"specman --help\n"))
        self.assertIn(b"Usage: specman sync ", call("help", "sync").stdout)

    def test_operands(self):
        self.refused('"x" is not understood: usage: specman sync; see', "x",
                     command=("sync",))
        self.refused("something is missing: usage: specman cat [TAG] PATH; "
                     "see", command=("cat",))
        self.refused('"c" is not understood: ls takes no more; see', "a", "b",
                     "c", command=("ls",))

    # ---- secrets ----

    def test_secrets_come_by_the_environment_and_are_masked(self):
        secret = "a secret of 23 \\bytes\x01"
        hidden.hide(secret, "a secret of")
        for name, beside in SECRETS.items():
            found = self.effective(*beside, env={variable(name): secret})
            self.assertEqual(found[variable(name)], (
                f"******** ({len(secret)} bytes)",
                f"environment: {variable(name)}"))
            for flags in ([f"--{name}={secret}"], [f"--{name}", secret]):
                self.refused(
                    f"--{name} is no flag, because others may read the command "
                    f"line: set {variable(name)} in the environment, or give "
                    f"--{name}-file; see", *flags)
            self.refused(f"{variable(name)} is empty; see", *beside,
                         env={variable(name): ""})
            self.refused(f"{variable(name)} has 4096 bytes, and may have 4095;"
                         " see", *beside, env={variable(name): "x" * 4096})

    def test_addresses_with_passwords_are_not_repeated(self):
        hidden.hide("hunter2hunter2")
        for name in ("repository", "repository-mirror"):
            for value in "u:hunter2hunter2@h/a", "https://u:hunter2hunter2@h/a":
                done = call("check", *self.base[:2], check=False,
                            env={variable(name): value})
                self.assertEqual(done.returncode, 2)
            done = call("check", f"--{name}=u:hunter2hunter2@h/a", check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"--{name}: ", done.stderr.decode())

    # ---- together ----

    def test_flags_that_need_one_another(self):
        for given, needed in (
                ("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert"),
                ("--registry-cert", "--registry-key"),
                ("--registry-key", "--registry-cert"),
                ("--registry-password-file", "--registry-username"),
                ("--registry-username", "--registry-password-file, or "
                 "SPECMAN_REGISTRY_PASSWORD in the environment")):
            with self.subTest(given=given):
                self.refused(f"{given} is given, and needs {needed}; see",
                             given, "/x")
                self.refused(f"{given} is given, and needs {needed}; see",
                             env={variable(given[2:]): "/x"})
        for mode in ("require", "request"):
            self.refused("--tls-client-auth is given, and needs "
                         "--tls-client-ca; see", "--tls-client-auth", mode)
        self.refused("SPECMAN_REGISTRY_PASSWORD is given, and needs "
                     "--registry-username; see",
                     env={"SPECMAN_REGISTRY_PASSWORD": "any-password-at-all"})

    def test_addresses_in_each_others_way(self):
        for one, other in (
                ("127.0.0.1:9443", "127.0.0.1:9443"), ("[::1]:1", "[::1]:1"),
                ("[::]:9443", "127.0.0.1:9443"), ("0.0.0.0:1", "127.0.0.1:1"),
                ("[::1]:1", "[::]:1"), ("0.0.0.0:1", "[::]:1")):
            for first, second in (("--listen", "--admin-listen"),
                                  ("--listen", "--listen"),
                                  ("--admin-listen", "--admin-listen")):
                with self.subTest(first=first, one=one, second=second):
                    self.refused(f"{first} {one} and {second} {other} are in "
                                 "each other's way: give one of them another "
                                 "port; see", first, one, second, other)
        self.refused("--listen [::]:8443 and --admin-listen 127.0.0.1:8443 are "
                     "in each other's way: give one of them another port; see",
                     "--admin-listen", "127.0.0.1:8443")
        for one, other in (("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "[::]:0"),
                           ("127.0.0.1:1", "127.0.0.2:1"),
                           ("127.0.0.1:1", "[::1]:1"), ("0.0.0.0:1", "[::1]:1"),
                           ("127.0.0.1:1", "127.0.0.1:2")):
            self.effective("--listen", one, "--admin-listen", other)

    def test_a_daemon_refuses_as_well(self):
        self.refused('--workers is "0", and may be 1 to 256; see',
                     "--workers=0", command=())
        self.refused('--workers is "0", and may be 1 to 256; see',
                     "--workers=0", command=("serve",))


if __name__ == "__main__":
    unittest.main()
