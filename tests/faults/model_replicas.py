#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Any replica answers a fetch: a device gets a model over a slow link while the replicas that it hangs on are killed.

Three replicas behind haproxy on one PostgreSQL. The file is pushed through one of them; at one third of it the replica that the device
is connected to is killed, hub and broker, and at two thirds another, with what was on the way from it. The device must get the whole file
without beginning anew, its word must reach the hub, and the same content under another version must not be fetched again. Prints a row
for each run.
"""
import argparse
import random
import sys
import time

from case import conclude, run_steps
from fleet import Fleet, quiet_port
from model_kit import Kit
from model_transfer import EDGE, UNDER_WAY, Fetched, reported, want
from proxy import Proxy

from cluster import Cluster
from stack import wait_for

TREES, SAMPLE = 160, 1024  # a file of some 1.2 MB: longer than what may come twice, or a fetch that begins anew would not be seen
RATE = 35_000  # bytes/s of the device's link, on which pieces are compressed: some 8 s of it
BACK_S = 15  # until pieces come again, after each kill


class Trial:
    def __init__(self, fleet, kit, seed):
        self.fleet, self.cluster, self.kit = fleet, fleet.stack, kit
        self.random = random.Random(seed)
        self.number = 0  # of the newest version
        self.rows, self.problems = [], []

    def start(self):
        """The hub knows the keys before the device enrols, and the device has them from there."""
        self.kit.run("keys", "import", self.kit.key_list(), "--config", self.cluster.hub_dir / "hub.toml", program="lapwing-hub")
        self.table = self.kit.table()
        self.proxy = Proxy(self.cluster.mqtt_port, seed=self.random.getrandbits(32))
        self.edge = self.fleet.edge("device-1", mqtt_port=self.proxy.port, **EDGE)
        self.edge.start()
        self.edge.wait_moved_on()

    def holder(self):
        """The replica that the device hangs on; None while it is between two."""
        held = self.cluster.balancer.held()
        return next((one for one in self.cluster.replicas if held[one.name] and one.hub.running()), None)

    def sent(self, replica):
        return replica.metric("lapwing_hub_model_bytes_sent_total")

    def run(self, runs):
        for number in range(runs):
            self.transfer()
            print(f"  {number + 1}/{runs}: {self.rows[-1]['seconds']:.1f} s", flush=True)

    def release(self, file, url):
        """The next version of it."""
        self.number += 1
        self.kit.push(file, self.kit.sign(file, self.number), url=url)
        return self.number

    def transfer(self):
        file = self.kit.train(f"pumps-{self.number}.lw", self.table, "--set", f"trees={TREES}", "--set", f"sample={SAMPLE}",
                              "--seed", str(self.number + 1))
        length = file.stat().st_size
        through = self.random.choice(self.cluster.replicas)
        number = self.release(file, through.url)
        for way in (self.proxy.up, self.proxy.down):
            way.rate = RATE
        self.served = {one.name: -self.sent(one) for one in self.cluster.replicas}
        fetched, began = Fetched(self.edge), time.monotonic()
        want(self.cluster, self.edge.name, number, through.url)
        back, victims = [], []
        for part in (1, 2):
            wait_for(lambda: fetched.look() >= length * part // 3, 60, f"{part}/3 of the file")
            victims.append(wait_for(self.holder, 10, "the replica that the device hangs on"))
            if fetched.look() >= length:
                self.problems.append(f"run {len(self.rows) + 1}: the file was there before replica {part} was killed")
            back.append(self.kill(victims[-1], fetched, machine=part == 2))
        wait_for(lambda: fetched.look() >= length, 60, "the whole file")
        seconds = time.monotonic() - began
        wait_for(lambda: reported(self.cluster, self.edge.name, number), 30, "the device's word that it has the version")
        self.proxy.mend()
        for one in self.cluster.replicas:
            self.served[one.name] += self.sent(one)
        again = self.same_content(file, fetched)
        wait_for(self.cluster.balanced, 30, "the balancer uses all replicas")
        row = {"length": length, "seconds": seconds, "fetched": fetched.look() - again, "again": again, "back": back,
               "through": through.name, "killed": [one.name for one in victims], "served": dict(self.served)}
        self.judge(row)
        self.rows.append(row)

    def kill(self, victim, fetched, machine):
        """It is started again once the device has gone on elsewhere. Seconds until then. machine: what was on the way is lost too."""
        self.served[victim.name] += self.sent(victim)  # its counters go with it
        since = time.monotonic()
        victim.hub.kill()
        victim.broker.kill()
        if machine:
            self.proxy.reset()
        wait_for(lambda: self.holder() not in (None, victim), 60, f"the device elsewhere after {victim.name} was killed")
        before = fetched.look()
        wait_for(lambda: fetched.look() > before, 60, f"pieces after {victim.name} was killed")
        took = time.monotonic() - since
        victim.start()
        return took

    def same_content(self, file, fetched):
        """Bytes that are fetched though the device has them: the same file as another version, wanted through another replica."""
        before = fetched.look()
        number = self.release(file, self.random.choice(self.cluster.replicas).url)
        url = self.random.choice(self.cluster.replicas).url
        want(self.cluster, self.edge.name, number, url)
        wait_for(lambda: reported(self.cluster, self.edge.name, number, url), 30, "the device's word on the same content")
        return fetched.look() - before

    def judge(self, row):
        run = f"run {len(self.rows) + 1}"
        most = row["length"] + 3 * UNDER_WAY
        if not row["length"] <= row["fetched"] <= most or sum(row["served"].values()) > most:
            self.problems.append(f"{run}: {row['fetched']:.0f} bytes fetched and {sum(row['served'].values()):.0f} sent of a file of "
                                 f"{row['length']}")
        if row["again"]:
            self.problems.append(f"{run}: {row['again']:.0f} bytes of the same content were fetched again")
        if sum(1 for count in row["served"].values() if count > 0) < 2:
            self.problems.append(f"{run}: fewer than two replicas gave pieces: {row['served']}")
        if max(row["back"]) > BACK_S:
            self.problems.append(f"{run}: no pieces for {max(row['back']):.1f} s, {BACK_S} are allowed")

    def print_rows(self):
        names = [one.name for one in self.cluster.replicas]
        print(f"\n{'':>4} {'':>10} {'':>10} {'':>6} {'goes on after, s':>17}   {'bytes that each replica sent':<30}")
        print(f"{'run':>4} {'bytes':>10} {'fetched':>10} {'s':>6} {'1/3':>8} {'2/3':>8}   "
              + " ".join(f"{name:>10}" for name in names) + "  pushed through, killed")
        for number, row in enumerate(self.rows, 1):
            print(f"{number:>4} {row['length']:>10,} {row['fetched']:>10,.0f} {row['seconds']:>6.1f} "
                  + " ".join(f"{one:>8.2f}" for one in row["back"]) + "   "
                  + " ".join(f"{row['served'][name]:>10,.0f}" for name in names) + f"  {row['through']}, {' and '.join(row['killed'])}")


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh model-replicas", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1, help="transfers, with two replicas killed in each")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="repeats the choices")
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    cluster = Cluster(keep=options.keep, port=quiet_port)
    kit = Kit(cluster)
    env = {"LAPWING__MODELS__SIGNING_KEY": str(kit.dir / "hub.key"), "LAPWING__HUB__DRAIN": "0s", "LAPWING__HUB__HANDOFF": "0s"}
    with Fleet(rate=40, topics=1, stack=cluster, env=env) as fleet:
        trial = Trial(fleet, kit, options.seed)
        run_steps(trial, trial.start, lambda: trial.run(options.runs))
    return conclude(trial, began, "not whole, fetched twice, not told")


if __name__ == "__main__":
    sys.exit(main())
