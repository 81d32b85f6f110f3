"""What may stand in no line of specman's: passwords, tokens, keys of all tests of
a file. Whoever makes one tells it here; what the program is given by files and
variables is found by `given`. Each log and each command's output is searched when
it ends, and once more at the end of the file, when all secrets are known."""
import base64
import binascii
import json
import os
import re
import urllib.parse

SHORTEST = 8        # a shorter one of those that are found may stand anywhere
FOLLOWED_MOST = 200
KEPT_MOST = 4 << 20

_values = {"PRIVATE KEY"}
_sets = []
_kept = set()       # outputs
_followed = []      # files that programs write to

_SECRET_KEYS = {"password", "token", "secretkey", "sessiontoken", "clientkey"}
_SECRET_VARIABLES = {"SPECMAN_REGISTRY_PASSWORD", "AWS_SECRET_ACCESS_KEY",
                     "AWS_SESSION_TOKEN"}


def hide(*values):
    _values.update(value.rstrip("\n") for value in values if value)


def watch(values):
    """A set that grows while tests run."""
    _sets.append(values)


def known():
    return sorted(_values.union(*_sets))


def check(output):
    if isinstance(output, bytes):
        output = output.decode(errors="replace")
    found = [value for value in known() if value in output]
    if found:
        raise AssertionError(f"secrets {found} stand in:\n{output[-20000:]}")


# ---- what programs write ----

def keep(output):
    """What a program has written: looked at now, and again at the end."""
    if isinstance(output, bytes):
        output = output.decode(errors="replace")
    if output:
        _kept.add(output[:KEPT_MOST])
        check(output)


def follow(path):
    """A file that a program writes to."""
    if len(_followed) == FOLLOWED_MOST:
        _keep_file(_followed.pop(0))
    _followed.append(open(path, "rb"))


def _keep_file(file):
    with file:
        _kept.add(file.read(KEPT_MOST).decode(errors="replace"))


def check_all():
    """At the end: nothing that was written holds what was told by then."""
    while _followed:
        _keep_file(_followed.pop())
    for output in _kept:
        check(output)


# ---- what programs are given ----

def given(command, env):
    """Hides what a command reads that is a secret, as far as it is there."""
    words = [os.fspath(word) for word in command]
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if not equals:
            value = words[at + 1] if at + 1 < len(words) else ""
        _given_by(flag, value)
    for name, value in (env or {}).items():
        if name in _SECRET_VARIABLES:
            _hide_found(value)
        elif name.lower() in ("https_proxy", "http_proxy"):
            _hide_found(urllib.parse.urlsplit(value).password or "")
        elif name == "DOCKER_CONFIG":
            _docker_config(os.path.join(value, "config.json"))
        elif name.startswith("SPECMAN_"):
            _given_by("--" + name[8:].lower().replace("_", "-"), value)


def _given_by(flag, value):
    if flag in ("--registry-password-file", "--hook-token-file"):
        _hide_found(_read(value))
    elif flag == "--registry-config":
        _docker_config(value)
    elif flag == "--registry-secret-dir":
        _secret(value)
    elif flag == "--htpasswd":
        for line in _read(value).split("\n"):
            _hide_found(line.partition(":")[2])
    elif flag in ("--registry-key", "--tls-key"):
        _key(_read(value))


def _hide_found(value):
    value = value.strip()
    if len(value) >= SHORTEST:
        hide(value)


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""


def _key(pem):
    """Any line of it would be one too many."""
    for line in pem.split("\n"):
        if len(line) == 64 and "-" not in line:
            hide(line)


def _secret(folder):
    for name in os.listdir(folder) if os.path.isdir(folder) and \
            os.access(folder, os.R_OK) else ():
        plain = re.sub("[^a-z]", "", name.lower())
        path = os.path.join(folder, name)
        if plain == "clientkey":
            _key(_read(path))
        elif plain in _SECRET_KEYS:
            _hide_found(_read(path))
        elif plain == "dockerconfigjson":
            _docker_config(path)


def _docker_config(path):
    try:
        entries = json.loads(_read(path))["auths"].values()
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # made broken on purpose
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        for name in ("auth", "password", "identitytoken", "registrytoken"):
            if isinstance(entry.get(name), str):
                _hide_found(entry[name])
        try:
            _hide_found(base64.b64decode(entry.get("auth", "")).decode()
                        .partition(":")[2])
        except (binascii.Error, TypeError, UnicodeDecodeError):
            pass
