#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of agent, hub, site broker and hub broker in turn under load: every record the agent committed is at the hub, once.

Real processes: an agent, a hub, two mosquittos, TLS. The load is JSON through the site broker; hundreds of streams with a short
summary interval, and jumps that become anomalies, make the records. Faults come at random instants (the seed is printed). At
the end the system drains, and the oracle (oracle.py) compares the outbox with the hub. Prints one row a case; exit 0 only if
nothing was lost, duplicated or altered, order was kept and every recovery came in time.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging" / "demo"))

from oracle import HubView, OutboxOracle, compare  # noqa: E402
from stack import Stack, wait_for  # noqa: E402

AGENT = """
[engine]
summary_interval = "1s"

[[source]]
name = "site"
kind = "mqtt"
broker = "mqtt://127.0.0.1:{site_port}"
topics = ["load/#"]
qos = 0
format = "json"

[[watch]]
name = "load"
streams = ["load/#"]
alarms_per_week = 1000
warmup = 60
"""
RECOVERY_MAX_S = 60
CASES = ("agent", "hub", "site-broker", "hub-broker")


class Trial:
    def __init__(self, stack, options):
        self.stack, self.options = stack, options
        self.random = random.Random(options.seed)
        self.load = None

    def start(self):
        stack = self.stack
        stack.start_site_broker()
        stack.start_hub()
        stack.hub.stop()  # again, with a ledger that keeps every key for the comparison
        stack.hub.env["LAPWING__STORE__LEDGER_ROWS_PER_DEVICE"] = "1000000000"
        stack.hub.start()
        stack.enrol("kill-edge")
        stack.start_agent(AGENT.format(site_port=stack.site_port))
        self.oracle = OutboxOracle(stack.agent_data / "outbox.db")
        self.hub = HubView(stack.hub_dir / "hub.db", "kill-edge")
        load = pathlib.Path(__file__).with_name("load.py")
        self.load = subprocess.Popen([sys.executable, load, str(stack.site_port), str(self.options.rate),
                                      str(self.options.topics)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: self.hub.watermark()[1] > 0, 60, "the first record at the hub")

    def stop_load(self):
        if self.load is None:
            return 0
        sent, _ = self.load.communicate("\n", timeout=30)
        self.load = None
        return int(sent or 0)

    def moved_on(self):
        """A record committed after this call is at the hub."""
        target = self.oracle.next_seq + 1
        return lambda: self.hub.watermark()[1] >= target

    def kill_once(self, part):
        time.sleep(self.random.uniform(0.2, self.options.between))
        part.kill()
        killed = time.monotonic()
        time.sleep(self.random.uniform(0, 0.2))
        part.start()
        wait_for(self.moved_on(), RECOVERY_MAX_S, f"new records at the hub after {part.name} was killed")
        return time.monotonic() - killed

    def run(self):
        parts = {"agent": self.stack.agent, "hub": self.stack.hub, "site-broker": self.stack.site,
                 "hub-broker": self.stack.hub_broker}
        ranges, recoveries = [], {}
        for case in self.options.cases:
            first = self.oracle.next_seq
            recoveries[case] = [self.kill_once(parts[case]) for _ in range(self.options.runs)]
            ranges.append((case, first, self.oracle.next_seq - 1))
            print(f"  {case}: {self.options.runs} kills", flush=True)
        return ranges, recoveries

    def drain(self):
        """No more load; the agent ends cleanly, comes back, and delivers what is left."""
        sent = self.stop_load()
        self.stack.agent.stop()
        self.stack.agent.start()
        last = -1

        def quiet():
            nonlocal last
            before, last = last, self.oracle.next_seq
            time.sleep(0.3)
            return last == before and self.hub.watermark()[1] >= last - 1

        wait_for(quiet, 120, "draining: everything committed is at the hub")
        self.stack.agent.stop()
        self.stack.agent.start()  # the final state of its detectors was a commit too
        wait_for(quiet, 120, "draining after the last stop")
        return sent


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(results, recoveries, runs):
    print(f"\n{'case':<12} {'kills':>5} {'records':>8} {'content checked':>15} {'lost':>5} {'duplicated':>10} {'altered':>7}"
          f" {'recovery p50':>12} {'p99':>7}")
    for row in results:
        times = recoveries.get(row["case"])
        timing = f"{percentile(times, 0.5):>10.2f} s {percentile(times, 0.99):>5.2f} s" if times else ""
        kills = runs if times else 0
        print(f"{row['case']:<12} {kills:>5} {row['records']:>8} {row['checked']:>15} {row['lost']:>5} {row['duplicated']:>10}"
              f" {row['altered']:>7} {timing}")


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh kill", description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--runs", type=int, default=20, help="kills of each part")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--rate", type=int, default=5000, help="messages a second")
    parser.add_argument("--topics", type=int, default=400, help="each carries two streams")
    parser.add_argument("--between", type=float, default=1.2, help="longest calm between two kills, s")
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    options.cases = options.cases or list(CASES)
    for case in options.cases:
        if case not in CASES:
            parser.error(f"{case}: is not a case; choose from {', '.join(CASES)}")
    print(f"seed {options.seed}: {options.rate} messages/s, {options.runs} kills of each of {', '.join(options.cases)}", flush=True)
    began = time.monotonic()
    with Stack(keep=options.keep) as stack:
        trial = Trial(stack, options)
        try:
            trial.start()
            ranges, recoveries = trial.run()
            sent = trial.drain()
        except (RuntimeError, TimeoutError) as error:
            print(f"FAILED: {error}", flush=True)
            for part in stack.parts:
                print(f"--- {part.name}, {'running' if part.running() else 'ended'}\n{part.tail(8)}", flush=True)
            return 1
        finally:
            if trial.load is not None:
                trial.stop_load()
            if options.keep:
                print(f"kept: {stack.dir}")
        trial.oracle.finish()
        tail = (ranges[-1][2] + 1 if ranges else 1, trial.oracle.next_seq - 1)
        ranges = [("warm-up", 1, ranges[0][1] - 1)] + ranges + [("draining", *tail)]
        results, problems, _ = compare(trial.oracle, trial.hub, ranges)
        trial.hub.close()
    report(results, recoveries, options.runs)
    produced = trial.oracle.next_seq - 1
    print(f"\n{sent} messages sent, {produced} records committed by the agent, {time.monotonic() - began:.0f} s in all")
    bad = sum(row["lost"] + row["duplicated"] + row["altered"] for row in results)
    for problem in problems:
        print(f"PROBLEM: {problem}")
    good = bad == 0 and not problems and produced > 0
    print("exactly once: yes" if good else "exactly once: NO")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
