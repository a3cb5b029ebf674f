#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two regions under load; one of them is cut off, or killed, and comes back, in turn.

Each has its own database, and takes the other's devices and anomalies over HTTPS. Half of the devices prefer the one, half the other; all know
both. A fault is over when every device has a record that it made after the fault at the region that is left; it is undone when those
that prefer the region are back there. At the end the load stops, all drains, and the oracle compares each outbox with both ledgers
together, by key; both regions must show the same anomalies, each as its newest record says. Exit code 0 only if all held.
"""
import argparse
import collections
import os
import random
import sys
import time

from case import conclude, percentile, run_steps
from fleet import Edge, Fleet, quiet_port
from hub_view import PostgresView, SqliteView
from oracle import reordered

from stack import wait_for
from two_regions import Regions

AGENTS = 4
OVER_S = 20  # a device is at the other region, from the fault on
COMPLETE_S = 60  # both regions show the same, after the load ended
UPLINK = """failover_after = "1s"
failback_after = "2s"
"""


class BothViews:
    """Of one device at both regions."""

    def __init__(self, regions, device):
        self.views = [PostgresView(region.store, device) if region.store else SqliteView(region.dir / "hub.db", device)
                      for region in regions]

    def watermark(self):
        """The newest (epoch, watermark) of any."""
        return max(view.watermark() for view in self.views)

    def close(self):
        for view in self.views:
            view.close()


class RegionsEdge(Edge):
    """An agent that knows both regions."""

    def __init__(self, fleet, name, identity, order, **options):
        self.order = order  # regions, the preferred one first
        hubs = "".join(f'[[uplink.hub]]\nhost = "localhost"\nport = {region.mqtt.port}\npriority = {number}\n'
                       for number, region in enumerate(order, 1))
        super().__init__(fleet, name, identity, uplink=UPLINK + hubs, **options)
        self.hub.close()
        self.hub = BothViews(fleet.stack.regions, name)

    def write_config(self, **changes):
        super().write_config(**changes)
        lines = self.config.read_text().splitlines()
        uplink = lines.index("[uplink]")
        lines = lines[:uplink + 1] + [line for line in lines[uplink + 1:uplink + 3]
                                      if not line.startswith(("host", "port"))] + lines[uplink + 3:]
        self.config.write_text("\n".join(lines) + "\n")

    def at_home(self):
        """Whether it is connected to the region that it prefers."""
        uplink = self.status()["uplink"]
        return uplink["connected"] and uplink["hub"].endswith(f":{self.order[0].mqtt.port}")


def account_of(edge, next_seq):
    """What is wrong with one device's records over both regions; and how many there are, and at both."""
    problems = []
    keys = collections.defaultdict(set)
    both = taken = 0
    for view, region in zip(edge.hub.views, edge.fleet.stack.regions, strict=True):
        rows = view.ledger()
        for epoch, seq, kind, value in rows:
            both += (epoch, seq) in keys
            keys[epoch, seq].add((kind, value))
        found = view.one("SELECT stored, lost_quota + lost_corrupt + lost_vanished + lost_poison, elsewhere,"
                         " epoch_produced - epoch_base - epoch_accounted FROM devices WHERE device = ?", edge.name)
        if found is None:
            problems.append(f"{region.name} does not know the device")
            continue
        stored, lost, elsewhere, outstanding = found
        if stored != len(rows):
            problems.append(f"{region.name} counts {stored} records stored, its ledger has {len(rows)}")
        if lost:
            problems.append(f"{region.name} accounts for {lost} records as lost, though none may be")
        if outstanding < 0:
            problems.append(f"{region.name}: {outstanding} records are outstanding")
        if region is edge.order[0]:
            taken = elsewhere
            if outstanding:
                problems.append(f"{region.name}: {outstanding} records are outstanding after draining")
            if stored + elsewhere != next_seq - 1:
                problems.append(f"{region.name}: stored {stored} + elsewhere {elsewhere} are not the {next_seq - 1} that there are")
        wrong = reordered(view)
        if wrong:
            problems.append(f"{region.name}: {wrong} streams are reordered")
    by_seq = collections.defaultdict(set)
    for (_, seq), values in keys.items():
        by_seq[seq] |= {value for _, value in values}
    wrong = {
        "lost": sum(1 for seq in range(1, next_seq) if seq not in by_seq),
        "duplicated by key with different content": sum(1 for values in keys.values() if len(values) > 1),
        "altered": sum(1 for seq, values in edge.oracle.seen.items() for value in values if value not in by_seq.get(seq, ())),
        "never committed by the agent": sum(1 for seq in by_seq if seq >= next_seq),
    }
    summaries = collections.Counter((epoch, value) for (epoch, _), values in keys.items() for kind, value in values if kind == 2)
    wrong["summaries twice"] = sum(count - 1 for count in summaries.values())
    problems += [f"{count} {what}" for what, count in wrong.items() if count]
    checked = len(edge.oracle.seen)
    if checked < (next_seq - 1) / 4:
        problems.append(f"only {checked} of {next_seq - 1} records were seen and compared")
    epochs = len({epoch for epoch, _ in keys})
    return {"records": next_seq - 1, "compared": checked, "taken by the other region": taken, "at both": both, "epochs": epochs}, problems


ANOMALIES = ("SELECT device, a.id, a.phase, a.epoch, a.seq, a.stream, a.onset, a.text FROM anomalies a"
             " JOIN devices d ON d.tenant_no = a.tenant_no AND d.device_no = a.device_no")


class Trial:
    """One fault after another."""

    def __init__(self, fleet, options):
        self.fleet, self.regions = fleet, fleet.stack.regions
        self.random = random.Random(options.seed)
        self.over, self.home = collections.defaultdict(list), collections.defaultdict(list)
        self.problems, self.edges = [], []

    def start(self):
        stack = self.fleet.stack
        for number in range(AGENTS):
            name = f"device-{number + 1}"
            stack.enrol(name)
            order = self.regions if number % 2 == 0 else self.regions[::-1]
            edge = RegionsEdge(self.fleet, name, stack.identity, order)
            self.edges.append(edge)
            self.fleet.edges.append(edge)
        began = time.monotonic()
        wait_for(lambda: len(self.regions[1].fetch("/api/v1/devices")["items"]) == AGENTS, 30, "the other region knows the devices")
        print(f"devices enrolled in {self.regions[0].name} are known in {self.regions[1].name} after {time.monotonic() - began:.1f} s",
              flush=True)
        for edge in self.edges:
            edge.start()
        for edge in self.edges:
            edge.wait_moved_on()
        wait_for(lambda: all(edge.at_home() for edge in self.edges), 60, "all are where they prefer to be")

    def fault(self, kind, victim):
        time.sleep(self.random.uniform(0.2, 1))
        since = time.monotonic()
        if kind == "cut":
            victim.cut_off()
        else:
            victim.kill()
        moved = [edge for edge in self.edges if edge.order[0] is victim]
        self.over[kind] += self.wait_each(since, self.edges, self.moved_on(), "every device has a record at the region that is left")
        time.sleep(self.random.uniform(0.5, 2))
        since = time.monotonic()
        if kind == "cut":
            victim.back()
        else:
            victim.start()
        self.home[kind] += self.wait_each(since, moved, lambda edge: edge.at_home(), "every device is back home")

    def moved_on(self):
        targets = {edge.name: edge.next_seq() for edge in self.edges}
        return lambda edge: edge.hub.watermark()[1] >= targets[edge.name]

    @staticmethod
    def wait_each(since, edges, condition, what):
        found = {}

        def all_of_them():
            for edge in edges:
                if edge.name not in found and condition(edge):
                    found[edge.name] = time.monotonic() - since
            return len(found) == len(edges)

        try:
            wait_for(all_of_them, 60, what)
        except TimeoutError:
            raise TimeoutError(f"{what}: not {sorted({edge.name for edge in edges} - set(found))} within 60 s") from None
        return list(found.values())

    def run(self, runs):
        kinds = ("cut", "kill")
        for number in range(runs):
            kind, victim = kinds[number // 2 % 2], self.regions[number % 2]
            over, home = len(self.over[kind]), len(self.home[kind])
            self.fault(kind, victim)
            print(f"  {number + 1}/{runs} {kind} {victim.name}: over in {max(self.over[kind][over:]):.1f} s,"
                  f" home in {max(self.home[kind][home:]):.1f} s", flush=True)

    def settle(self):
        self.fleet.stop_load()
        total = collections.Counter()
        for edge in self.edges:
            figures, problems = self.account(edge)
            total.update({name: value for name, value in figures.items() if name != "epochs"})
            total["epochs"] = max(total["epochs"], figures["epochs"])
            self.problems += [f"{edge.name}: {text}" for text in problems]
        print(", ".join(f"{name} {value:,}" for name, value in total.items()), flush=True)
        self.compare_views()

    @staticmethod
    def account(edge):
        """Once agent and hubs are quiet; an agent may notice late that its sensors fell silent."""
        for _ in range(10):
            edge.drain()
            next_seq = edge.next_seq()
            edge.oracle.pause()
            found = account_of(edge, next_seq)
            if edge.next_seq() == next_seq:
                return found
            edge.oracle.resume()
        raise TimeoutError(f"{edge.name}: it does not come to rest")

    def compare_views(self):
        """Each anomaly is in both, as its newest record says."""
        began = time.monotonic()
        views = self.edges[0].hub.views

        def missing():
            known = [{(row[0], row[1]): row[2:] for row in view.rows(ANOMALIES)} for view in views]
            union = {}
            for one in known:
                for key, row in one.items():
                    union[key] = max(row, union.get(key, row), key=lambda step: step[:3])
            return union, [sum(1 for key, row in union.items() if one.get(key) != row) for one in known]

        try:
            wait_for(lambda: not any(missing()[1]), COMPLETE_S, "both regions show the same anomalies")
        except TimeoutError:
            for region, count in zip(self.regions, missing()[1], strict=True):
                if count:
                    self.problems.append(f"{region.name} lacks {count} anomalies, or shows an older step of them")
        union, _ = missing()
        if not union:
            self.problems.append("there were no anomalies")
        foreign = [view.one("SELECT count(*) FROM anomalies WHERE peer_no <> 0")[0] for view in views]
        print(f"anomalies {len(union):,}, of the other region {' and '.join(str(one) for one in foreign)}; "
              f"the same in both {time.monotonic() - began:.1f} s after the accounts", flush=True)

    def print_rows(self):
        print(f"\n{'':<6} {'':>5} {'at the other region, s':>22} {'back home, s':>20}")
        print(f"{'fault':<6} {'moves':>5}   {'p50':>6} {'p99':>6} {'worst':>6} {'p50':>6} {'p99':>6} {'worst':>6}")
        for kind, over in self.over.items():
            if not over:
                continue
            print(f"{kind:<6} {len(self.home[kind]):>5}   " + " ".join(f"{percentile(times, share):>6.2f}"
                                                                       for times in (over, self.home[kind]) for share in (0.5, 0.99, 1)))
            if max(over) > OVER_S:
                self.problems.append(f"{kind}: it took up to {max(over):.1f} s until all went on, {OVER_S} are allowed")


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh regions", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="faults: cut, cut, kill, kill, of each region in turn")
    parser.add_argument("--rate", type=int, default=400, help="messages a second; each device takes them all")
    parser.add_argument("--stores", default="sqlite,postgres", help="of the two regions, by comma")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="repeats the choices")
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    print(f"seed {options.seed}: {AGENTS} devices, two regions ({options.stores}); load {os.getloadavg()[0]:.1f}", flush=True)
    began = time.monotonic()
    stack = Regions(stores=options.stores.split(","), keep=options.keep, port=quiet_port)
    with Fleet(rate=options.rate, topics=40, stack=stack) as fleet:
        trial = Trial(fleet, options)
        run_steps(trial, trial.start, lambda: trial.run(options.runs), trial.settle)
    return conclude(trial, began, "lost, duplicated, altered, reordered, missing in a region")


if __name__ == "__main__":
    sys.exit(main())
