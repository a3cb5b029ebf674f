#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three replicas behind haproxy on one PostgreSQL, under load, and in turn each part of them is killed.

A fault is over when every device has a record at the hub that it made after the fault: these are the recovery times. At the end the
load stops, all drains, and the oracle compares each outbox with the hub. No device may ever be shown offline while it is connected
(presence.py). Prints one row for each kind of fault; exit code 0 only if all held.
"""
import argparse
import os
import random
import signal
import sys
import threading
import time

from case import conclude, percentile, run_steps
from fleet import Fleet, quiet_port
from presence import Presence, falsely_offline

from cluster import Cluster
from stack import wait_for

AGENTS = 5
RECOVERED_S = 15  # every device, after every fault; from the fault on, or from the part's return where nothing can go on without it
TOPICS_MAX = 400


class Trial:
    """One fault after another."""

    def __init__(self, fleet, options):
        self.fleet, self.cluster = fleet, fleet.stack
        self.random = random.Random(options.seed)
        self.recoveries = {}  # kind -> for each fault the seconds of each device, the last one last
        self.problems = []
        self.late_wills = 0
        self.own_recovery = []  # seconds that PostgreSQL took of a recovery
        self.edges = []

    # --- what is broken. Each returns since when a device's recovery counts, or the seconds themselves, and what mends it later; None:
    # nothing is left to mend.
    def busiest(self):
        """The replica whose loss moves most devices."""
        held = self.cluster.balancer.held()
        most = max(held.values())
        return self.random.choice([one for one in self.cluster.replicas if held[one.name] == most])

    def note_late_wills(self, replica):
        """Before its counters are gone."""
        try:
            self.late_wills += replica.metric("lapwing_hub_late_wills_total")
        except OSError:
            pass  # it is down already

    def away(self, replica, parts):
        if replica.hub in parts:
            self.note_late_wills(replica)
        since = time.monotonic()
        for part in parts:
            part.kill()
        return since, replica.start

    def kill_hub(self, replica):
        return self.away(replica, [replica.hub])

    def kill_broker(self, replica):
        return self.away(replica, [replica.broker])

    def kill_replica(self, replica):
        return self.away(replica, [replica.hub, replica.broker])

    def drain(self, replica):
        """SIGTERM: it serves on, then hands off its devices. What counts is how long a device's records wait meanwhile."""
        self.note_late_wills(replica)
        ending = threading.Thread(target=replica.hub.stop, args=(30,))
        ending.start()
        waits = self.longest_waits(ending.is_alive)
        ending.join()
        return waits, replica.start

    def freeze(self, replica):
        """It stands still, as a machine whose network is cut, while its devices go elsewhere; then it goes on with what it had: the wills
        of connections that others followed."""
        processes = [part.process for part in (replica.hub, replica.broker)]

        def thaw():
            for process in processes:
                process.send_signal(signal.SIGCONT)

        since = time.monotonic()
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        return since, thaw

    def kill_postgres(self, _):
        self.cluster.postgres.crash()
        time.sleep(self.random.uniform(0.2, 2))
        since = time.monotonic()
        self.cluster.postgres.start()
        self.own_recovery.append(time.monotonic() - since)
        return since, None

    def kill_balancer(self, _):
        self.cluster.balancer.kill()
        time.sleep(self.random.uniform(0, 1))
        since = time.monotonic()
        self.cluster.balancer.start()
        return since, None

    KINDS = {"hub": kill_hub, "broker": kill_broker, "replica": kill_replica, "drain": drain, "freeze": freeze, "postgres": kill_postgres,
             "balancer": kill_balancer}

    def fault(self, kind):
        # A connection that lasts for less than five seconds does not make the next back-off short again: faults come less often.
        time.sleep(self.random.uniform(5, 6))
        victim = self.busiest()
        measured, mend = self.KINDS[kind](self, victim)
        later = threading.Timer(self.random.uniform(4, 6), mend) if mend else None
        if later:
            later.start()
        try:
            self.recoveries.setdefault(kind, []).append(measured if isinstance(measured, list) else self.wait_recovered(measured))
        finally:
            if later:
                later.join()
        wait_for(lambda: all(replica.ready() for replica in self.cluster.replicas), 30, "all replicas are ready")
        wait_for(self.cluster.balanced, 30, "the balancer uses all replicas")

    def longest_waits(self, going):
        """Of each device: how long nothing of it came to the hub, until it came again after `going` ended."""
        seen, longest, ended = {}, {}, None

        def look():
            nonlocal ended
            now = time.monotonic()
            if ended is None and not going():
                ended = now
            for device, watermark in self.edges[0].hub.rows("SELECT device, watermark FROM devices"):
                before = seen.setdefault(device, (watermark, now))
                if watermark != before[0]:
                    longest[device] = max(longest.get(device, 0), now - before[1])
                    seen[device] = (watermark, now)
            return ended is not None and all(seen[edge.name][1] > ended for edge in self.edges)

        wait_for(look, 60, "every device goes on")
        return sorted(longest.values())

    def wait_recovered(self, since, seconds=60):
        """Of each device: until a record that it made after now is at the hub."""
        targets = {edge.name: edge.next_seq() for edge in self.edges}
        found = {}

        def all_back():
            for device, watermark in self.edges[0].hub.rows("SELECT device, watermark FROM devices"):
                if device not in found and watermark >= targets.get(device, float("inf")):
                    found[device] = time.monotonic() - since
            return len(found) == len(targets)

        try:
            wait_for(all_back, seconds, "every device is back")
        except TimeoutError:
            raise TimeoutError(f"not back within {seconds} s: {sorted(set(targets) - set(found))}") from None
        return sorted(found.values())

    # --- all of it
    def start(self, summary_ms, topics):
        share = topics // AGENTS
        for number in range(AGENTS):
            names = ", ".join(f'"load/{n}"' for n in range(number * share, (number + 1) * share))
            # The standard's patience: what is measured is what users get.
            self.edges.append(self.fleet.edge(f"device-{number + 1}", patience="", topics=names, summary_ms=summary_ms))
        for edge in self.edges:
            edge.start()
        for edge in self.edges:
            edge.wait_moved_on()
        self.presence = Presence(self.cluster.store)
        self.began, self.first = time.monotonic(), self.produced()

    def produced(self):
        return sum(edge.next_seq() for edge in self.edges)

    def run(self, kinds, runs):
        for number in range(runs):
            kind = kinds[number % len(kinds)]
            self.fault(kind)
            print(f"  {number + 1}/{runs} {kind}: {', '.join(f'{one:.1f}' for one in self.recoveries[kind][-1])} s", flush=True)
        self.rate = (self.produced() - self.first) / (time.monotonic() - self.began)

    def settle(self):
        self.fleet.stop_load()
        accounts = [edge.account() for edge in self.edges]
        for replica in self.cluster.replicas:
            self.note_late_wills(replica)
        for edge, account in zip(self.edges, accounts, strict=True):
            self.problems += [f"{edge.name}: {text}" for text in account.problems]
            for what in ("lost", "duplicated", "altered", "reordered", "told"):
                if getattr(account, what):
                    self.problems.append(f"{edge.name}: {getattr(account, what)} {what}")
            if account.epochs != 1:
                self.problems.append(f"{edge.name}: it came to epoch {account.epochs}, though its history was never broken")
        living = [edge.name for edge in self.edges if edge.status()["uplink"]["connected"]]
        changes = self.presence.changes()
        wrong = falsely_offline(changes, living)
        self.problems += wrong
        total = {what: sum(getattr(account, what) for account in accounts)
                 for what in ("records", "checked", "lost", "duplicated", "altered", "reordered", "told")}
        print(", ".join(f"{what} {value:,}" for what, value in total.items()))
        print(f"{self.rate:,.0f} records/s produced; presence changed {len(changes)} times, false offline {len(wrong)}, "
              f"late wills ignored {self.late_wills:.0f} or more")

    def print_rows(self):
        print(f"\n{'':<10} {'':>5} {'a device is back, s':>20} {'all are back, s':>20}")
        print(f"{'fault':<10} {'runs':>5} {'p50':>6} {'p99':>6} {'worst':>6} {'p50':>6} {'p99':>6} {'worst':>6}")
        for kind, faults in self.recoveries.items():
            each, last = [one for times in faults for one in times], [times[-1] for times in faults]
            print(f"{kind:<10} {len(faults):>5} " + " ".join(f"{percentile(times, share):>6.2f}"
                                                             for times in (each, last) for share in (0.5, 0.99, 1)))
            if kind == "postgres":
                print(f"{'':<10} {'':>5} of it PostgreSQL's own recovery: "
                      f"{percentile(self.own_recovery, 0.5):.2f} p50, {max(self.own_recovery):.2f} worst")
            if max(last) > RECOVERED_S:
                self.problems.append(f"{kind}: it took up to {max(last):.1f} s until all were back, {RECOVERED_S} are allowed")


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh replicas", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50, help="faults, in turn of each kind")
    parser.add_argument("--rate", type=int, default=5000, help="records a second, of all devices together")
    parser.add_argument("--kinds", default=",".join(Trial.KINDS), help="of faults, by comma")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="repeats the choices")
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    for kind in kinds:
        if kind not in Trial.KINDS:
            parser.error(f"--kinds {kind}: choose from {', '.join(Trial.KINDS)}")
    topics = min(TOPICS_MAX, max(AGENTS, options.rate // 10)) // AGENTS * AGENTS
    summary_ms = max(50, round(2 * topics * 1000 / options.rate))  # two streams a topic, a summary of each
    print(f"seed {options.seed}: {AGENTS} devices, {2 * topics} streams with a summary every {summary_ms} ms; load {os.getloadavg()[0]:.1f}",
          flush=True)
    began = time.monotonic()
    cluster = Cluster(keep=options.keep, port=quiet_port)
    with Fleet(rate=topics * 1000 / summary_ms * 1.2, topics=topics, stack=cluster) as fleet:
        trial = Trial(fleet, options)
        run_steps(trial, lambda: trial.start(summary_ms, topics), lambda: trial.run(kinds, options.runs), trial.settle)
    return conclude(trial, began, "lost, duplicated, altered, reordered, false offline")


if __name__ == "__main__":
    sys.exit(main())
