"""A disk in memory that knows what is durable: it is fed the calls of a trace
and gives back what could be found after the power went at that moment.

What POSIX promises and no more: fsync of a file makes its bytes durable, but not
its name; fsync of a folder the names in it, but not the bytes behind them;
syncfs everything. All else may be there or not, each change by itself: a new
name without the old one having gone, a name without bytes, a size without bytes.
A sync that fails reports it once: what it was to write counts as written from
then on, and is not (for files; a journal that can't be written stops the disk).
"""
import os
import random


class File:
    def __init__(self, data=b"", durable=None):
        self.data = data          # as processes see it
        self.durable = durable    # as it is on the disk; None: not at all
        self.is_dirty = durable is None


class Folder:
    def __init__(self):
        self.names = {}
        self.durable = {}
        self.changes = []  # (name, node or None) since the last sync

    def set(self, name, node):
        if node is None:
            self.names.pop(name, None)
        else:
            self.names[name] = node
        self.changes.append((name, node))


class Disk:
    def __init__(self, folder):
        self.root = self._load(folder) if os.path.isdir(folder) else Folder()

    def _load(self, path):
        node = Folder()
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                child = self._load(entry.path)
            else:
                with open(entry.path, "rb") as file:
                    data = file.read()
                child = File(data, data)
            node.names[entry.name] = node.durable[entry.name] = child
        return node

    def find(self, path):
        node = self.root
        for part in path.split("/") if path != "." else ():
            node = node.names.get(part) if isinstance(node, Folder) else None
        return node

    def _place(self, path):
        folder, _, name = path.rpartition("/")
        return self.find(folder or "."), name

    def apply(self, call):
        """What a call has done, successful or not."""
        if call.error:
            if call.name in ("fsync", "fdatasync", "syncfs"):
                self._lose(call)
            return
        getattr(self, "_" + call.name)(call)

    def _mkdir(self, call):
        if call.path != ".":
            folder, name = self._place(call.path)
            folder.set(name, Folder())

    def _create(self, call):
        folder, name = self._place(call.path)
        if name not in folder.names:
            folder.set(name, File())

    def _write(self, call):
        file = self.find(call.path)
        data = file.data.ljust(call.offset, b"\0")
        file.data = data[:call.offset] + call.data + \
            data[call.offset + len(call.data):]
        file.is_dirty = True

    def _truncate(self, call):
        file = self.find(call.path)
        file.data = file.data[:call.offset].ljust(call.offset, b"\0")
        file.is_dirty = True

    def _rename(self, call):
        source, old = self._place(call.path)
        target, new = self._place(call.other)
        node = source.names[old]
        target.set(new, node)
        source.set(old, None)

    def _link(self, call):
        folder, name = self._place(call.other)
        folder.set(name, self.find(call.path))

    def _unlink(self, call):
        folder, name = self._place(call.path)
        folder.set(name, None)

    _rmdir = _unlink

    def _close(self, call):
        pass

    def _fsync(self, call):
        self._settle(self.find(call.path))

    _fdatasync = _fsync

    def _syncfs(self, call):
        self._settle_all(self.root)

    @staticmethod
    def _settle(node):
        if isinstance(node, Folder):
            node.durable = dict(node.names)
            node.changes = []
        elif node.is_dirty:
            node.durable = node.data
            node.is_dirty = False

    def _settle_all(self, node):
        self._settle(node)
        for child in node.names.values():
            if isinstance(child, Folder):
                self._settle_all(child)
            else:
                self._settle(child)

    def _lose(self, call):
        def lose(node):
            if isinstance(node, File):
                node.is_dirty = False
                node.durable = node.durable or b""
            elif call.name == "syncfs":
                for child in node.names.values():
                    lose(child)
        lose(self.find(call.path))

    def durable(self, path):
        """The bytes that are sure to be found under a path, or None."""
        node = self.root
        for part in path.split("/"):
            node = node.durable.get(part) if isinstance(node, Folder) else None
        return node.durable if isinstance(node, File) else None

    # After the power has gone

    def found(self, way):
        """{path: bytes, or None for a folder}. Ways: "nothing" that was not
        durable is there; all "names" are, but empty files; the names and the
        sizes, but "zeros"; or a number, a seed: each change by itself."""
        rng = random.Random(way)
        result = {}

        def names(folder):
            if way == "nothing":
                return folder.durable
            if not isinstance(way, int):
                return folder.names
            kept = dict(folder.durable)
            for name, node in folder.changes:
                if rng.random() < 0.5:
                    continue
                if node is None:
                    kept.pop(name, None)
                else:
                    kept[name] = node
            return kept

        def content(file):
            on_disk = file.durable or b""
            if not file.is_dirty or way == "nothing":
                return on_disk
            return {"names": on_disk, "zeros": bytes(len(file.data))}.get(
                way) if not isinstance(way, int) else rng.choice(
                    (on_disk, file.data, bytes(len(file.data)),
                     file.data[:len(file.data) // 2]))

        def walk(folder, path):
            for name, node in sorted(names(folder).items()):
                below = f"{path}/{name}" if path else name
                if isinstance(node, Folder):
                    result[below] = None
                    walk(node, below)
                else:
                    result[below] = content(node)
        walk(self.root, "")
        return result


def write(found, folder):
    os.makedirs(folder)
    for path, data in sorted(found.items()):
        full = os.path.join(folder, path)
        if data is None:
            os.mkdir(full)
        else:
            with open(full, "wb") as file:
                file.write(data)
