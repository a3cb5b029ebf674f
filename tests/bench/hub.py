#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what a hub carries, with a fleet of simulated devices, and prints a table; tests/bench/run.sh hub builds and calls it.

Ratios are of one run; what shares the machine with the hub (generator, broker, database) is shown with its share of a core.
--quick: everything once, small, in seconds, and no target is judged: that the bench works.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

from figures import MISSED, row
from fleet_stack import POSTGRES, ManyHubs, OneHub, Postgres
from hub_lists import QUERIES, anomalies_at_rest, list_times
from hub_plot import draw_growth

FLOORS = {"postgres": 60_000, "sqlite": 40_000}
NAMES = {"postgres": "PostgreSQL", "sqlite": "SQLite"}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def shares(usage):
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in usage.items())


class HubBench:
    def __init__(self, build, quick, plot, anomalies):
        self.build, self.quick, self.plot, self.anomalies = build, quick, plot, anomalies
        self.seconds = 0.5 if quick else 12
        self.rates = {}  # engine -> records/s at saturation
        self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.server:
            self.server.close()

    def hub(self, engine, devices):
        """One PostgreSQL server serves all that are measured one after the other."""
        if engine == "postgres" and self.server is None:
            self.server = Postgres(POSTGRES)
            self.server.start()
        return OneHub(self.build, self.server if engine == "postgres" else None, devices)

    def judge(self, good):
        return good or self.quick

    def timing(self, seconds=None):
        return ["--seconds", seconds or self.seconds, "--warmup", 0.3 if self.quick else 3]

    # --- one replica: how much, how soon -------------------------------------------------------------------------
    def one(self, engine):
        with self.hub(engine, 20 if self.quick else 100) as hub:
            hub.start_hub()
            name = f"one replica, {NAMES[engine]}"
            full = hub.run_fleet("--saturate", "--burst", 500, *self.timing())
            rate = self.rates[engine] = full["acked_per_s"]
            row(f"{name}, committed and acknowledged, batches of {full['records'] / full['batches']:.0f}",
                f">= {FLOORS[engine]:,}/s", f"{rate:,.0f} records/s; in flight p50 {full['latency']['p50_ms']:.0f} ms",
                self.judge(rate >= FLOORS[engine]))
            row(f"{name}: of a core", "shown", shares(full["usage"]))
            paced = hub.run_fleet("--rate", 0.7 * rate, "--burst", 500, *self.timing())
            wait = paced["latency"]
            row(f"{name}, at 70 %, due to acknowledged, p99", "< 500 ms", f"{wait['p99_ms']:.0f} ms (p50 {wait['p50_ms']:.0f} ms, "
                f"greatest {wait['max_ms']:.0f} ms, {paced['acked_per_s']:,.0f} records/s)", self.judge(wait["p99_ms"] < 500))
            row(f"{name}: of a core at 70 %", "shown", shares(paced["usage"]))
            if engine == "sqlite":
                hub.hub.stop()
            print(f"  bytes in the store: {hub.bench('hashes', '--hub-dir', hub.hub_dir, '--fleet', hub.fleet_file).strip()}", flush=True)

    def broker(self):
        """The same messages without a hub: a subscriber in its place, with its client library, drops them."""
        with self.hub("sqlite", 20 if self.quick else 100) as hub:
            hub.start_hub()
            hub.hub.stop()
            drop = hub.start_bench("drop", "--hub-dir", hub.hub_dir, "--port", hub.mqtt_port)
            try:
                if drop.stdout.readline().strip() != "ready":
                    raise RuntimeError("bench_fleet drop does not connect")
                hub.pids = lambda: {"mosquitto": hub.hub_broker.process.pid, "subscriber": drop.pid}
                load = hub.run_fleet("--broker-only", "--saturate", "--burst", 500, *self.timing(), check=False)
            finally:
                drop.terminate()
                drop.communicate()
            row("mosquitto alone, TLS, the same batches to one that drops them", "shown", f"{load['acked_per_s']:,.0f} records/s")
            row("mosquitto alone: of a core", "shown", shares(load["usage"]))

    def copy(self):
        """Bare COPY of such rows into such a server, beside the store alone; the whole hub's share of it."""
        words = ["--rounds", 1, "--records", 20_000] if self.quick else []
        done = subprocess.run([str(word) for word in (self.build / "bench/bench_store", "--engines", "postgres", *words)],
                              stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout, end="", flush=True)
        if not self.quick:
            MISSED.extend(line.split(" | ")[0].strip() for line in done.stdout.splitlines() if line.endswith("MISSED"))
        line = next(line for line in done.stdout.splitlines() if line.startswith("bare COPY"))
        bare = float(line.split(" | ")[2].split()[0].replace(",", ""))
        share = 100 * self.rates["postgres"] / bare
        row("one replica, PostgreSQL, with broker and TLS, of bare COPY", ">= 40 %", f"{share:.0f} %", self.judge(share >= 40))

    # --- many connections ----------------------------------------------------------------------------------------
    def connected(self):
        devices = 200 if self.quick else 5000
        with self.hub("postgres", devices) as hub:
            hub.start_hub()
            row(f"{devices} devices registered, with certificates", "seconds", f"{hub.prepared_s:.1f} s")
            seen = {}

            def look():
                seen.update(hub.memory_mb())

            idle = hub.run_fleet("--connect-rate", 0, "--connecting-max", 0, "--connect-wait", 300, "--rate", 0,
                                 *self.timing(2 if self.quick else 60), on_phase={"draining": look})
            row(f"{devices} devices connect at once", "shown",
                f"{devices / idle['connect_s']:.0f} handshakes/s; all welcomed after {idle['connect_s']:.1f} s, "
                f"{idle['losses']} connections lost on the way")
            memory = sum(seen.values())
            row(f"{devices} devices connected: resident, hub and broker", "<= 250 MB",
                f"{memory:.0f} MB (" + ", ".join(f"{name} {size:.0f}" for name, size in seen.items()) + ")", self.judge(memory <= 250))
            cpu = 100 * (idle["usage"]["hub"] + idle["usage"]["mosquitto"])
            row(f"{devices} devices idle, status every 30 s: of a core, hub and broker", "<= 5 %",
                f"{cpu:.1f} % ({shares(idle['usage'])})", self.judge(cpu <= 5))

    # --- replicas ------------------------------------------------------------------------------------------------
    def replicas(self):
        devices, rate = (30, 600) if self.quick else (1000, 5000)
        with ManyHubs(self.build, devices, 2 if self.quick else 3) as cluster:
            cluster.start_hub()
            killed = {}

            def kill():
                time.sleep(0.5 if self.quick else 3)
                killed.update(held=cluster.balancer.held())
                for part in (cluster.replicas[-1].broker, cluster.replicas[-1].hub):
                    part.kill()

            load = cluster.run_fleet("--rate", rate, "--burst", 50, "--connect-rate", 200, *self.timing(5 if self.quick else 20),
                                     on_phase={"measuring": kill})
            back, ledger = load["outage"], load["ledger"]
            row(f"{len(cluster.replicas)} replicas, {devices} devices, {rate:,} records/s: one killed, all back after", "< 15 s",
                f"{back['max_ms'] / 1000:.1f} s ({back['count']} devices, median {back['p50_ms'] / 1000:.1f} s)",
                self.judge(back["max_ms"] < 15_000))
            row("  nothing lost: stored of made", "all", f"{ledger['stored']:,} of {ledger['made']:,}, {ledger['lost']} lost; "
                f"{load['resends']} times sent again, waits p99 {load['latency']['p99_ms']:.0f} ms",
                ledger["stored"] == ledger["made"] and ledger["lost"] == 0)

    # --- what people read ----------------------------------------------------------------------------------------
    def lists(self):
        anomalies = 20_000 if self.quick else self.anomalies
        with self.hub("postgres", 20 if self.quick else 100) as hub:
            hub.start_hub()
            filled = anomalies_at_rest(hub, anomalies)
            row(f"{anomalies:,} anomalies put into PostgreSQL", "shown", f"{filled:.0f} s, by SQL")
            for name, times in list_times(hub, QUERIES, 20 if self.quick else 300).items():
                p99 = times[int(0.99 * len(times))]
                row(f"  {name}, p99", "< 50 ms", f"{p99:.1f} ms (median {statistics.median(times):.1f} ms)", self.judge(p99 < 50))
            self.followers(hub, 1000, True)
            self.followers(hub, 100, False)

    def followers(self, hub, every, judged):
        """every: one record of so many is a step of an anomaly, which each follower is told."""
        clients, turns = 20 if self.quick else 200, 4 if judged and not self.quick else 1
        rates, steps = {True: [], False: []}, []

        def load(name, **others):
            at = {}
            marks = {phase: lambda phase=phase: at.update({phase: time.monotonic()}) for phase in ("measuring", "draining")}
            report = hub.run_fleet("--saturate", "--burst", 500, "--anomaly-every", every, *self.timing(0.5 if self.quick else 6),
                                   check=False, on_phase=marks, others=others)
            print(f"    {name}: {report['acked_per_s']:,.0f} records/s; of a core: {shares(report['usage'])}", flush=True)
            return report["acked_per_s"], at["measuring"], at["draining"]

        def follow():
            listen = hub.start_bench("listen", "--port", hub.http_port, "--token", hub.token, "--clients", clients)
            if listen.stdout.readline().strip() != "ready":
                raise RuntimeError("bench_fleet listen gets no answer")
            rate, began, ended = load("followed", listener=listen.pid)
            listen.terminate()
            told = [[float(word) for word in line.split()] for line in listen.communicate()[0].splitlines()]
            first, last = (min(told, key=lambda line: abs(line[0] - when)) for when in (began, ended))
            steps.append((last[1] - first[1]) / clients / max(last[0] - first[0], 0.001))
            if int(told[-1][3]) != clients:
                row("  live feeds still followed at the end", f"{clients}", f"{told[-1][3]:.0f}", self.judge(False))
            return rate

        load("warm, not counted")
        for turn in range(turns):  # A B, B A, ...: what a growing store costs meanwhile falls on both alike
            for followed in (False, True) if turn % 2 == 0 else (True, False):
                rates[followed].append(follow() if followed else load("without")[0])
        without, followed = (statistics.mean(rates[which]) for which in (False, True))
        slowed = 100 * (1 - followed / max(without, 1))
        row(f"{clients} live feeds followed, one record of {every} a step: intake slowed by", "<= 5 %" if judged else "shown",
            f"{slowed:.1f} % ({followed:,.0f} of {without:,.0f} records/s; each is told {statistics.mean(steps):,.0f} steps/s)",
            not judged or self.judge(slowed <= 5))

    # --- as it grows ---------------------------------------------------------------------------------------------
    def growth(self):
        points = []
        for devices in (10, 50) if self.quick else (10, 100, 1000, 5000):
            with self.hub("postgres", devices) as hub:
                hub.start_hub()
                connect = ["--connect-wait", 300]
                # Each device sends one round of its streams: what is kept of each stream is there before counting.
                first = hub.run_fleet("--rate", 30_000, "--burst", 200, "--warmup", 0, "--seconds", max(1, devices * 200 / 30_000),
                                      "--drain", 300, *connect)
                bytes_before = hub.stored_bytes()
                load = hub.run_fleet("--saturate", "--burst", 200, *connect, *self.timing())
                stored = load["ledger"]["stored"] - first["ledger"]["stored"]
                point = {"devices": devices, "rate": load["acked_per_s"], "wire": load["bytes"] / load["records"],
                         "disk": (hub.stored_bytes() - bytes_before) / stored, "p99": load["latency"]["p99_ms"]}
                points.append(point)
                row(f"{devices:,} devices, batches of 200", "shown", f"{point['rate']:,.0f} records/s; a record {point['wire']:.0f} bytes "
                    f"on the wire, {point['disk']:.0f} in PostgreSQL")
        if self.plot:
            draw_growth(points, self.plot)
            print(f"  drawn: {self.plot}", flush=True)


FIGURES = {"postgres": lambda b: b.one("postgres"), "copy": HubBench.copy, "sqlite": lambda b: b.one("sqlite"), "broker": HubBench.broker,
           "connected": HubBench.connected, "replicas": HubBench.replicas, "lists": HubBench.lists, "growth": HubBench.growth}


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh hub")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--quick", action="store_true", help="small and without judging: does it work?")
    parser.add_argument("--plot", type=pathlib.Path, help="SVG to draw the growth into, as docs/img/hub-growth.svg")
    parser.add_argument("--anomalies", type=int, default=10_000_000, help="that lists are read over")
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="copy needs postgres before it")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for mosquitto and haproxy, which inherit it
    print(f"{os.cpu_count()} cores; load before {os.getloadavg()[0]:.2f}")
    print(f"{'figure':<74} | {'target':<12} | measured\n{'-' * 130}")
    with HubBench(options.build.resolve(), options.quick, options.plot, options.anomalies) as bench:
        for figure in options.figures or FIGURES:
            FIGURES[figure](bench)
    if MISSED:
        print(f"\n{len(MISSED)} missed: " + "; ".join(MISSED))
    return 1 if MISSED else 0


if __name__ == "__main__":
    sys.exit(main())
