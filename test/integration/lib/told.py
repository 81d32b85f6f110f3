"""What an operator looks up: each warning and error that a daemon writes in any
test has a row in README's table of messages."""
import json
import os
import re

_README = os.path.join(os.path.dirname(__file__), *[os.pardir] * 3, "README.md")
_TEXT = re.compile(r'time="[^"]*" level=(?:warning|error) '
                   r'msg=("(?:[^"\\]|\\.)*"|\S+)')
_known = []


def _messages():
    """Those of the rows; "…" stands for the rest."""
    if not _known:
        with open(_README, encoding="utf-8") as file:
            table = re.search(r"(?ms)^\| message \| what to do \|\n(.*?)\n\n",
                              file.read()).group(1)
        for row in table.split("\n")[1:]:
            first = row.split(" | ")[0]
            _known.extend(re.findall(r"`([^`]+)`", first))
    return _known


def _is_known(message):
    return any(message.startswith(known[:-1]) if known.endswith("…")
               else message == known for known in _messages())


def _messages_of(log):
    for line in log.split("\n"):
        if line.startswith("{"):
            try:
                fields = json.loads(line)
            except ValueError:
                continue  # cut off by a kill
            if fields.get("level") in ("warning", "error"):
                yield fields["msg"]
        elif match := _TEXT.match(line):
            quoted = match.group(1)
            yield json.loads(quoted) if quoted.startswith('"') else quoted


def check(log):
    unknown = sorted({m for m in _messages_of(log) if not _is_known(m)})
    if unknown:
        raise AssertionError(f"README does not say what to do about {unknown}")
