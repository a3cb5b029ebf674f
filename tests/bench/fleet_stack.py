# SPDX-License-Identifier: Apache-2.0
"""A hub with a fleet of simulated devices, and what its processes use; for tests/bench/hub.py."""
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging/demo"))
from cluster import Cluster  # noqa: E402  (their folder is no package)
from postgres import Postgres  # noqa: E402
from stack import Stack, memory_kb  # noqa: E402

sys.path.insert(0, str(ROOT / "tests/faults"))
from psql import Psql  # noqa: E402

# What a server for this load has; its commits are as durable as they are by default.
POSTGRES = "shared_buffers = 512MB\nmax_wal_size = 4GB\ncheckpoint_timeout = 15min\nmax_connections = 200\n"


def children(pid):
    """The process and all below it."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # it ended meanwhile
    return found


def cpu_seconds(pid):
    """Of a process and all below it, by the scheduler's own clock; those that ended meanwhile are not counted."""
    total = 0
    for one in children(pid):
        try:
            total += sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{one}/task").iterdir())
        except OSError:
            continue
    return total / 1e9


class Usage:
    """CPU of some processes between two times, as shares of a core."""

    def __init__(self, pids):
        self.pids = pids  # name -> process id
        self.begin()

    def begin(self):
        self.since, self.used = time.monotonic(), {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def shares(self):
        elapsed = time.monotonic() - self.since
        return {name: (cpu_seconds(pid) - self.used[name]) / elapsed for name, pid in self.pids.items()}


class Fleet:
    """Mixed into a Stack: prepares devices when the first hub's folder is made."""

    tools = None  # folder of bench_fleet
    devices = 100
    fleet_file = None

    def make_hub(self, folder, mqtt_port, http_port, *more):
        super().make_hub(folder, mqtt_port, http_port, *more)
        if self.fleet_file is None:
            self.fleet_file = self.dir / "fleet.json"
            began = time.monotonic()
            self.bench("prepare", "--hub-dir", folder, "--devices", self.devices, "--out", self.fleet_file)
            self.prepared_s = time.monotonic() - began

    def bench(self, *words):
        """One command of bench_fleet to its end; its output."""
        done = subprocess.run([str(word) for word in (self.tools / "bench_fleet", *words)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"bench_fleet {words[0]}: {done.stderr}{done.stdout}")
        return done.stdout

    def start_bench(self, *words):
        return subprocess.Popen([str(word) for word in (self.tools / "bench_fleet", *words)], stdout=subprocess.PIPE, text=True)

    def run_fleet(self, *words, check=True, on_phase=None, others=None):
        """bench_fleet run; its report. on_phase: name of a phase -> what to do when it begins, in this thread.

        Adds `usage`: the shares of a core of the stack's processes, and of others (name -> process id), while it measured.
        """
        report = self.dir / "report.json"
        report.unlink(missing_ok=True)
        asked = ["--check", self.url, "--token", self.token, *(["--ca", self.hub_dir / "ca.pem"] if self.tls else [])] if check else []
        log = self.dir / "bench.log"
        usage = Usage({**self.pids(), **(others or {}), "generator": None})
        with open(log, "ab") as errors:
            process = subprocess.Popen([str(word) for word in (self.tools / "bench_fleet", "run", "--fleet", self.fleet_file, "--port",
                                                               self.mqtt_port, "--json", report, *asked, *words)],
                                       stdout=subprocess.PIPE, stderr=errors, text=True)
        usage.pids["generator"] = process.pid
        shares = {}
        for line in process.stdout:
            phase = line.split()[1] if line.startswith("phase ") else None
            if phase == "measuring":
                usage.begin()
            elif phase == "draining":
                shares = usage.shares()
            if on_phase and phase in on_phase:
                on_phase[phase]()
        if process.wait() != 0:
            raise RuntimeError(f"bench_fleet run: {log.read_text(errors='replace')[-2000:]}")
        return {**json.loads(report.read_text()), "usage": shares}


class OneHub(Fleet, Stack):
    """One replica; postgres: a running server, on which it gets a database of its own; None: SQLite."""

    databases = 0

    def __init__(self, build, postgres, devices):
        self.tools, self.devices, self.postgres = build / "bench", devices, postgres
        if postgres:
            OneHub.databases += 1
            self.database = f"bench{OneHub.databases}"
            self.ask_server(f"CREATE DATABASE {self.database};")
        super().__init__(bin_dir=build / "bin", store=postgres.url.replace("/postgres", f"/{self.database}") if postgres else None)

    def ask_server(self, statement):
        sql = Psql(self.postgres.url)
        try:
            return sql.lines(statement)
        finally:
            sql.close()

    def close(self):
        super().close()
        if self.postgres:
            self.ask_server(f"DROP DATABASE {self.database};")

    def pids(self):
        pids = {"mosquitto": self.hub_broker.process.pid, "hub": self.hub.process.pid}
        return {**pids, "postgres": self.postgres.part.process.pid} if self.postgres else pids

    def stored_bytes(self):
        """Of the database with its indexes, once what was written is in its files."""
        return int(self.ask_server(f"SELECT pg_database_size('{self.database}');")[0])

    def memory_mb(self):
        return {name: memory_kb(pid, "VmRSS") / 1024 for name, pid in self.pids().items() if name != "postgres"}


class ManyHubs(Fleet, Cluster):
    """Replicas on one PostgreSQL behind a balancer."""

    def __init__(self, build, devices, replicas=3):
        self.tools, self.devices = build / "bench", devices
        super().__init__(replicas, bin_dir=build / "bin", postgres=POSTGRES)

    def pids(self):
        pids = {"haproxy": self.balancer.process.pid, "postgres": self.postgres.part.process.pid}
        for replica in self.replicas:
            pids[f"{replica.name} with broker"] = replica.hub.process.pid
        return pids
