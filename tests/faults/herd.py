#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Thousands of devices (tests/bench/fleet) under load on three replicas behind haproxy: a replica is lost, then the balancer.

Prints, for each fault, how many devices lost their connection, the seconds until all have one again, and the most new connections, each
a TLS handshake with both certificates, that the balancer let through in a second. At the end every device's ledger must be exact.
"""
import argparse
import json
import os
import subprocess
import sys
import time

from fleet import KEEP_ALL, quiet_port
from psql import Psql

from cluster import Cluster
from stack import wait_for

BACK_S = 15


class Herd:
    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options
        self.bench = cluster.bin.parent / "bench/bench_fleet"
        self.file, self.report = cluster.dir / "fleet.json", cluster.dir / "report.json"
        self.problems = []

    def prepare(self):
        self.database = Psql(self.cluster.store)
        subprocess.run([self.bench, "prepare", "--hub-dir", self.cluster.hub_dir, "--tenant", "demo", "--devices",
                        str(self.options.devices), "--out", self.file], check=True, stdout=subprocess.DEVNULL)

    def start(self):
        log = open(self.cluster.dir / "bench_fleet.log", "wb")
        self.process = subprocess.Popen(
            [self.bench, "run", "--fleet", self.file, "--host", "localhost", "--port", str(self.cluster.mqtt_port), "--rate",
             str(self.options.rate), "--seconds", str(self.options.seconds), "--connect-rate", "200", "--json", self.report, "--check",
             f"https://localhost:{self.cluster.http_port}", "--token", self.cluster.token, "--ca", self.cluster.hub_dir / "ca.pem"],
            stdout=log, stderr=log)
        self.wait_connected(300)

    def connected(self):
        try:
            return sum(self.cluster.balancer.held().values())
        except OSError:
            return 0

    def wait_connected(self, seconds):
        def all_there():
            if self.process.poll() is not None:
                raise RuntimeError(f"bench_fleet ended with {self.process.returncode}: {(self.cluster.dir / 'bench_fleet.log').read_text()[-500:]}")
            return self.connected() >= self.options.devices

        wait_for(all_there, seconds, f"{self.options.devices} devices are connected")

    def fault(self, what, break_it, mend):
        time.sleep(6)  # connections that last make the next back-off short again
        self.cluster.balancer.ask("clear counters all")
        before = self.connections()
        since = time.monotonic()
        moved = break_it()
        self.wait_connected(120)
        connected = time.monotonic() - since
        wait_for(lambda: sum(1 for device, connection in self.connections().items() if connection != before.get(device)) >= moved, 120,
                 "every device is welcomed again")
        took = time.monotonic() - since
        most = self.cluster.balancer.new_connections_most()
        mend()
        print(f"{what:<10} {moved:>6} devices cut off, all connected after {connected:>5.1f} s, welcomed after "
              f"{took:>5.1f} s; at most {most} new connections/s", flush=True)
        if took > BACK_S:
            self.problems.append(f"{what}: {took:.1f} s until all were back, {BACK_S} are allowed")

    def connections(self):
        """device -> the newest connection that a hub accepted, of those that are online."""
        return dict(self.database.rows("SELECT device, connection_id FROM devices WHERE online = 1"))

    def lose_replica(self):
        held = self.cluster.balancer.held()
        self.victim = max(self.cluster.replicas, key=lambda one: held[one.name])
        self.victim.hub.kill()
        self.victim.broker.kill()
        wait_for(lambda: self.cluster.balancer.held()[self.victim.name] == 0, 20, "its connections are gone")
        return held[self.victim.name]

    def replica_back(self):
        self.victim.start()
        wait_for(self.cluster.balanced, 30, "the balancer uses all replicas")

    def lose_balancer(self):
        held = self.connected()
        self.cluster.balancer.kill()
        self.cluster.balancer.start()
        return held

    def finish(self):
        code = self.process.wait(600)
        text = (self.cluster.dir / "bench_fleet.log").read_text(errors="replace")
        if code:
            self.problems.append(f"bench_fleet: exit code {code}: {text[-1500:]}")
            return
        report = json.loads(self.report.read_text())
        outage, ledger = report["outage"], report["ledger"]
        print(f"{report['devices']} devices, {report['due_per_s']:,.0f} records/s due, {report['acked_per_s']:,.0f} acknowledged; from a lost "
              f"connection to the next welcome ({outage['count']}): p50 {outage['p50_ms'] / 1000:.1f} s, p99 {outage['p99_ms'] / 1000:.1f} s, "
              f"worst {outage['max_ms'] / 1000:.1f} s")
        print(f"ledger: made {ledger['made']:,}, stored {ledger['stored']:,}, lost {ledger['lost']}, outstanding {ledger['outstanding']}")
        self.problems += report["problems"]


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh herd", description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=3000)
    parser.add_argument("--rate", type=int, default=5000, help="records a second, of all devices together")
    parser.add_argument("--seconds", type=int, default=60, help="of load; the faults must fit into it")
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    print(f"{options.devices} devices, {options.rate} records/s, three replicas; load {os.getloadavg()[0]:.1f}", flush=True)
    with Cluster(keep=options.keep, port=quiet_port) as cluster:
        herd = Herd(cluster, options)
        try:
            cluster.start_hub(KEEP_ALL)
            herd.prepare()
            herd.start()
            herd.fault("replica", herd.lose_replica, herd.replica_back)
            herd.fault("balancer", herd.lose_balancer, lambda: None)
            herd.finish()
        except (TimeoutError, RuntimeError) as error:
            herd.problems.append(str(error))
        finally:
            if getattr(herd, "process", None) and herd.process.poll() is None:
                herd.process.kill()
                herd.process.wait()
    for problem in herd.problems:
        print(f"PROBLEM: {problem}")
    print("herd: " + ("NOT passed" if herd.problems else "passed"))
    return 1 if herd.problems else 0


if __name__ == "__main__":
    sys.exit(main())
