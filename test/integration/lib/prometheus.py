"""Figures: read from /metrics as they are, or asked of a real Prometheus."""
import json
import os
import re
import urllib.parse
import urllib.request

from . import client, hidden
from .front import _Program
from .wait import patience, until

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Figures:
    """What one scrape of the older text format says."""

    def __init__(self, text):
        self.types, self.samples = {}, []
        for line in text.split("\n"):
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
            elif line and not line.startswith("#"):
                name, labels, value = _SAMPLE.match(line).groups()
                self.samples.append((name, dict(_LABEL.findall(labels or "")),
                                     float(value)))

    def sum(self, name, **labels):
        """The sum of all samples that have these labels; None without any."""
        found = [value for sample, has, value in self.samples
                 if sample == name
                 and all(has.get(k) == v for k, v in labels.items())]
        return sum(found) if found else None

    def family(self, sample):
        """The family that a sample belongs to."""
        base = re.sub(r"_(bucket|sum|count)$", "", sample)
        return base if self.types.get(base) == "histogram" else sample


def scrape(daemon, accept=None):
    """One answer of /metrics."""
    headers = {"Accept": accept} if accept else {}
    answer = client.plain(daemon.address("admin"), "/metrics", "GET", headers)
    hidden.check(answer.body.decode())
    return answer


def figures(daemon):
    return Figures(scrape(daemon).body.decode())


class Prometheus(_Program):
    """Debian's prometheus with its own storage. `targets` are (name, port) of
    loopback, scraped as the job specman each second; `rules` is the
    text of a file of rules."""

    name = "prometheus"

    def __init__(self, folder, targets, rules):
        self.targets, self.rules = targets, rules
        super().__init__(folder)
        until(self._is_ready, "prometheus to be ready", 60, self.output)

    def _is_ready(self):
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/-/ready", timeout=patience(60)):
                return True
        except OSError:  # it listens before it can answer
            return False

    def command(self, config):
        return ["prometheus", "--config.file=" + config,
                "--storage.tsdb.path=" + os.path.join(self.folder, "tsdb"),
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=warn"]

    def config(self):
        rules = os.path.join(self.folder, "rules.yml")
        with open(rules, "w", encoding="utf-8") as file:
            file.write(self.rules)
        return json.dumps({  # which is YAML
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s",
                       "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "specman",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"],
                     "labels": {"instance": name}}
                    for name, port in self.targets]}]})

    def _get(self, path, **query):
        url = (f"http://127.0.0.1:{self.port}/api/v1/{path}?"
               + urllib.parse.urlencode(query))
        with urllib.request.urlopen(url, timeout=patience(60)) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """[(labels, value)]; an expression that it can't read fails."""
        return [(s["metric"], float(s["value"][1]))
                for s in self._get("query", query=expression)["result"]]

    def value(self, expression):
        """The only sample's value, or None."""
        found = self.query(expression)
        return found[0][1] if len(found) == 1 else None

    def firing(self):
        """{(alert, instance): its annotations}"""
        return {(a["labels"]["alertname"], a["labels"].get("instance")):
                a["annotations"] for a in self._get("alerts")["alerts"]
                if a["state"] == "firing"}

    def metadata(self):
        """{family: type}, as it was told by OpenMetrics."""
        return {name: entries[0]["type"]
                for name, entries in self._get("metadata").items()}
