"""A secret's folder, changed as the kubelet changes it: the keys are links
into ..data, which is swapped for a new folder in one rename."""
import itertools
import os
import shutil

from . import hidden

_numbers = itertools.count(1)
HIDDEN = {"password", "token", "secretKey", "sessionToken", "clientKey"}


class Secret:
    def __init__(self, folder, **keys):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        if keys:
            self.put(**keys)

    def put(self, keys=None, **more):
        """Gives the secret these keys and no others."""
        wanted = {**(keys or {}), **more}
        data = os.path.join(self.folder, "..data")
        before = os.path.realpath(data) if os.path.islink(data) else None
        version = f"..2024_12_06_{next(_numbers):06}"
        os.mkdir(os.path.join(self.folder, version))
        for name, value in wanted.items():
            if name in HIDDEN and isinstance(value, str):
                hidden.hide(value)
            mode = "wb" if isinstance(value, bytes) else "w"
            path = os.path.join(self.folder, version, name)
            with open(path, mode) as file:
                file.write(value)
            self.written(path)
        os.symlink(version, data + "_tmp")
        os.rename(data + "_tmp", data)
        for name in wanted:
            link = os.path.join(self.folder, name)
            if not os.path.islink(link):
                os.symlink(os.path.join("..data", name), link)
        for name in os.listdir(self.folder):
            if not name.startswith("..") and name not in wanted:
                os.unlink(os.path.join(self.folder, name))
        if before:
            shutil.rmtree(before)

    def written(self, path):
        """Called for each new file."""

    def remove(self):
        """The secret is deleted: an optional volume becomes empty."""
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.islink(path):
                os.unlink(path)
            else:
                shutil.rmtree(path)


def platform(registry, base="spectro-packs", **more):
    """The keys that the platform's console writes, for a registry."""
    keys = {"endpoint": registry.url, "baseContentPath": base}
    if registry.user is not None:
        keys.update(username=registry.user, password=registry.password)
    if registry.authority:
        with open(registry.authority.ca, encoding="ascii") as file:
            keys["caCert"] = file.read()
    keys.update(more)
    return keys
