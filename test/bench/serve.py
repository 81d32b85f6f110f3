#!/usr/bin/env python3
"""How fast files are served: specman beside nginx, Caddy and Go's
http.FileServer, with the same tree, certificate, cipher and client.

    test/bench/serve.py PROGRAM [--rounds N] [--seconds S] [--only CASE,…]
                        [--peers NAME,…] [--versus OTHER_PROGRAM]

Each server has one worker and one processor, the client (wrk) another one.
Rounds are interleaved: every server once in each round of a case, so that what
else the machine does meets them all. A ratio is specman's to the peer's within
a round: of requests per second (more is better), and of requests per second of
the server's CPU time. `busy` is the part of its processor that specman used;
where it is low, the client was the bottleneck, and the CPU ratio is the one
that counts. --versus measures another specman as a peer. Exit code 1 when a bar
is missed by the median.
"""
import argparse
import dataclasses
import glob
import os
import re
import ssl
import statistics
import sys
import time

from place import bench

SERVER_CPU, CLIENT_CPU = "0", "1"
MARGIN = 0.97  # what two runs of the same program differ by


@dataclasses.dataclass
class Load:
    name: str
    path: str
    connections: int
    headers: tuple = ()
    bars: tuple = (("nginx", 1.0), ("go", 1.0))


LOADS = [
    Load("4 KiB, 1 connection", "/small.txt", 1,
         bars=(("nginx", 1.0), ("go", 1.6))),
    Load("4 KiB, 32 connections", "/small.txt", 32,
         bars=(("nginx", 1.0), ("go", 1.6))),
    Load("4 KiB, 512 connections", "/small.txt", 512,
         bars=(("nginx", 1.0), ("go", 1.6))),
    Load("100 KiB text, 32", "/text.yaml", 32),
    Load("100 KiB binary, 32", "/binary.tgz", 32),
    Load("10 MiB, 8", "/large.tgz", 8),
    Load("304, 32", "/small.txt", 32, ("If-None-Match: {etag}",)),
    Load("handshake each, 32", "/small.txt", 32, ("Connection: close",)),
    Load("gzip, 100 KiB text, 32", "/text.yaml", 32,
         ("Accept-Encoding: gzip",),
         (("nginx", 8.0), ("nginx-static", 1.0), ("go", 1.0))),
]


def files():
    from lib import tree
    words = [b"pack-%03d: {registry: public, version: 4.5.%d}\n" % (i % 271, i)
             for i in range(4000)]
    return {"small.txt": b"".join(words)[:4096],
            "text.yaml": b"".join(words)[:100 << 10],
            "binary.tgz": tree.binary("binary", 100 << 10),
            "large.tgz": tree.binary("large", 10 << 20)}


# ---- servers ----

class Server:
    """A program on SERVER_CPU."""

    def __init__(self, name, command, port, folder, env=None):
        from lib import proc
        self.name, self.port = name, port
        with open(os.path.join(folder, name + ".log"), "ab") as log:
            self.process = proc.spawn(
                ["taskset", "-c", SERVER_CPU, *command], stdout=log,
                stderr=log, env={**os.environ, **(env or {})})

    def pids(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children",
                  encoding="ascii") as file:
            return [pid, *map(int, file.read().split())]

    def cpu_seconds(self):
        """To the nanosecond: ticks are too coarse where it got little."""
        ran = 0
        for pid in self.pids():
            for name in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                with open(name, encoding="ascii") as file:
                    ran += int(file.read().split()[0])
        return ran / 1e9

    def get(self, path, *headers):
        """The answer's headers."""
        import http.client
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port,
                                                 context=context, timeout=30)
        try:
            connection.request("GET", path, headers=dict(
                h.split(": ", 1) for h in headers))
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 304):
                raise OSError(f"{self.name}: {answer.status}")
            return answer.headers
        finally:
            connection.close()


NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/{name}.pid;
error_log {folder}/{name}.error;
events {{ worker_connections 4096; }}
http {{
    types {{ text/plain txt; application/yaml yaml; application/gzip tgz; }}
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=1000;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/{name}.body;
    proxy_temp_path {folder}/{name}.proxy;
    fastcgi_temp_path {folder}/{name}.fastcgi;
    uwsgi_temp_path {folder}/{name}.uwsgi;
    scgi_temp_path {folder}/{name}.scgi;
    {gzip}
    gzip_types application/yaml;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_prefer_server_ciphers on;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        root {tree};
    }}
}}
"""

CADDY = """
{{
    admin off
    auto_https off
    servers {{
        protocols h1
    }}
}}
https://127.0.0.1:{port} {{
    bind 127.0.0.1
    tls {cert} {key}
    encode gzip
    root * {tree}
    file_server
}}
"""


class Setup:
    def __init__(self, folder, stack, options):
        from lib import certs
        self.folder, self.stack, self.options = folder, stack, options
        self.tree = os.path.join(folder, "tree")
        os.mkdir(self.tree)
        self.contents = files()
        for name, data in self.contents.items():
            with open(os.path.join(self.tree, name), "wb") as file:
                file.write(data)
        authority = certs.Authority(os.path.join(folder, "ca"))
        self.cert, self.key = authority.issue()

    def text(self, template, name, **more):
        from lib.front import free_port
        port = free_port()
        path = os.path.join(self.folder, name + ".conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(template.format(
                folder=self.folder, name=name, port=port, cert=self.cert,
                key=self.key, tree=self.tree, **more))
        return path, port

    def add(self, name, command, port, env=None):
        from lib import proc
        from lib.wait import until

        server = Server(name, command, port, self.folder, env)
        self.stack.callback(proc.end, server.process)

        def answers():
            try:
                return server.get("/small.txt")
            except OSError:
                return None
        until(answers, f"{name} to serve", 60)
        return server

    def specman(self, name, program):
        from lib import artifact
        from lib.faulty import FakeRegistry
        from lib.front import free_port
        fake = FakeRegistry()
        self.stack.callback(fake.stop)
        fake.push("4.5.15", artifact.tgz(self.contents))
        data = os.path.join(self.folder, name + ".data")
        os.mkdir(data)
        port = free_port()
        command = [program, "--data-dir", data, "--listen",
                   f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0",
                   "--workers", "1", "--max-connections-per-address", "4096",
                   "--repository", fake.repository(), "--plain-http",
                   "--poll-interval", "12h", "--tls-cert", self.cert,
                   "--tls-key", self.key]
        return self.add(name, command, port)

    def nginx(self, name, gzip):
        config, port = self.text(
            NGINX, name, gzip=gzip,
            user="user root;" if os.geteuid() == 0 else "")
        return self.add(name, ["nginx", "-c", config, "-e",
                               os.path.join(self.folder, name + ".error")],
                        port)

    def caddy(self):
        config, port = self.text(CADDY, "caddy")
        home = {"HOME": self.folder, "XDG_DATA_HOME": self.folder,
                "XDG_CONFIG_HOME": self.folder, "GOMAXPROCS": "1"}
        return self.add("caddy", ["caddy", "run", "--adapter", "caddyfile",
                                  "--config", config], port, home)

    def go(self):
        from lib import proc
        from lib.front import free_port
        program = os.path.join(self.folder, "fileserver")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                              "fileserver", "main.go")
        proc.run(["go", "build", "-o", program, source], 300,
                 env={**os.environ, "GOCACHE": os.path.join(
                     self.folder, "gocache"), "GO111MODULE": "off"})
        port = free_port()
        return self.add("go", [program, self.tree, self.cert, self.key,
                               str(port)], port, {"GOMAXPROCS": "1"})

    def start(self):
        servers = [self.specman("specman", os.environ["SPECMAN"])]
        if self.options.versus:
            servers.append(self.specman("versus", os.path.abspath(
                self.options.versus)))
        peers = self.options.peers.split(",")
        if "nginx" in peers:
            servers.append(self.nginx("nginx", "gzip on;"))
            static = os.path.join(self.tree, "text.yaml")
            from lib import proc
            proc.run(["gzip", "-9", "-k", static])
            servers.append(self.nginx("nginx-static", "gzip_static on;"))
        if "caddy" in peers:
            servers.append(self.caddy())
        if "go" in peers:
            servers.append(self.go())
        return servers


# ---- measuring ----

@dataclasses.dataclass
class Result:
    per_second: float
    per_cpu_second: float
    busy: float


def measure(server, load, seconds):
    from lib import proc
    headers = [h.format(etag=server.get(load.path).get("ETag"))
               for h in load.headers]
    answer = server.get(load.path, *headers)
    if "Accept-Encoding: gzip" in headers and \
            answer.get("Content-Encoding") != "gzip":
        return None
    command = ["taskset", "-c", CLIENT_CPU, "wrk", "-t", "1", "-c",
               str(load.connections), "-d", f"{seconds}s", "--timeout", "30s"]
    for header in headers:
        command += ["-H", header]
    before, start = server.cpu_seconds(), time.monotonic()
    output = proc.run([*command, f"https://127.0.0.1:{server.port}"
                       + load.path], seconds + 60).stdout.decode()
    took = time.monotonic() - start
    used = server.cpu_seconds() - before
    requests = max(1, int(re.search(r"(\d+) requests in", output).group(1)))
    bad = re.search(r"Non-2xx.*|Socket errors.*", output)
    if bad and not re.search(r"connect 0, read \d+, write 0, timeout 0",
                             bad.group()):
        raise AssertionError(f"{server.name}, {load.name}: {bad.group()}")
    return Result(requests / took, requests / used, used / took)


def spread(values):
    return (f"{min(values):5.2f} {statistics.median(values):5.2f} "
            f"{max(values):5.2f}")


def compare(load, rounds, servers):
    """Print a row for each peer; the bars that were missed."""
    missed = []
    ours = [r["specman"] for r in rounds]
    if None in ours:
        print(f"{load.name:24}  specman answers without compression: not "
              "measured")
        return missed
    for server in servers[1:]:
        if any(r[server.name] is None for r in rounds) or (
                server.name == "nginx-static" and "gzip" not in load.name):
            continue
        theirs = [r[server.name] for r in rounds]
        speed = [a.per_second / b.per_second for a, b in zip(ours, theirs)]
        cost = [a.per_cpu_second / b.per_cpu_second
                for a, b in zip(ours, theirs)]
        bar = dict(load.bars).get(server.name)
        note = ""
        if bar and (statistics.median(speed) < bar * MARGIN
                    or statistics.median(cost) < bar * MARGIN):
            note = f"  below {bar}"
            missed.append((load.name, server.name))
        us = statistics.median(1e6 / r.per_cpu_second for r in ours)
        them = statistics.median(1e6 / r.per_cpu_second for r in theirs)
        busy = statistics.median(r.busy for r in ours)
        print(f"{load.name:24} {server.name:13} {spread(speed)}   "
              f"{spread(cost)} {us:8.0f} {them:8.0f} {busy:5.0%}{note}",
              flush=True)
    return missed


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--peers", default="nginx,caddy,go")
    parser.add_argument("--versus")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two processors are needed: one for the server, one for wrk")
    wanted = [w for w in options.only.split(",") if w]
    missed = []
    with bench(options.program) as (folder, stack):
        servers = Setup(folder, stack, options).start()
        print(f"{'':38} {'requests/s':^17}   {'per CPU second':^17} "
              f"{'CPU µs a request':^17}")
        print(f"{'case':24} {'specman to':13} {'min  median max':>17}   "
              f"{'min  median max':>17} {'specman':>8} {'peer':>8}  busy")
        for load in LOADS:
            if wanted and not any(w in load.name for w in wanted):
                continue
            rounds = [{s.name: measure(s, load, options.seconds)
                       for s in servers} for _ in range(options.rounds)]
            missed += compare(load, rounds, servers)
    if missed:
        print("missed:", ", ".join(f"{a} ({b})" for a, b in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
