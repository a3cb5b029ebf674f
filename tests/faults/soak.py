#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Long runs under load with a fault every few seconds: memory stays flat, nothing leaks, the ledgers add up.

Two agents: `steady` takes the whole load and is never killed, so that its memory tells; `restless` takes a little and is killed
and stopped. Hub and brokers are killed, stopped and paused. Meant for programs built with AddressSanitizer (LAPWING_BIN), whose
reports and leaks end a run; without it only memory and ledgers are looked at. Prints a line a minute.
"""
import argparse
import random
import signal
import statistics
import sys
import time

from fleet import Fleet, memory_kb

# Freed memory is kept for a while to find its use; a little of that is enough, or it is all that one sees grow.
ASAN = {"ASAN_OPTIONS": "quarantine_size_mb=8:detect_stack_use_after_return=0:malloc_context_size=8"}
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")
HUB_MIB = 450  # what docs/reference/limits.md states, half as much again for the sanitizer's shadow and red zones
RESTLESS = ", ".join(f'"load/{n}"' for n in range(10))


class Soak:
    def __init__(self, fleet, options):
        self.fleet, self.options = fleet, options
        self.random = random.Random(options.seed)
        self.steady = fleet.edge("steady", env=ASAN)
        self.restless = fleet.edge("restless", env=ASAN, topics=RESTLESS)
        self.faults = {}
        self.problems = []
        self.memory = {"steady": [], "hub": []}  # (seconds since the start, MiB)

    def start(self):
        for edge in (self.steady, self.restless):
            edge.start(120)
            edge.wait_moved_on(120)
        self.began = time.monotonic()

    def restart(self, part, how):
        """kill: without warning; stop: cleanly, which is when leaks are told."""
        if how == "kill":
            part.kill()
        else:
            part.stop(60)
            if part.process.returncode != 0:
                self.problems.append(f"{part.name} ended with {part.process.returncode}:\n{part.tail(30)}")
        time.sleep(self.random.uniform(0, 0.5))
        part.start(120)

    def pause(self, part):
        part.process.send_signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(1, 4))
        part.process.send_signal(signal.SIGCONT)

    def fault(self):
        stack = self.fleet.stack
        parts = {"hub": stack.hub, "hub-broker": stack.hub_broker, "site-broker": stack.site, "agent": self.restless.part}
        what, how = self.random.choice([("hub", "kill"), ("hub", "stop"), ("hub", "pause"), ("hub-broker", "kill"),
                                        ("hub-broker", "pause"), ("site-broker", "kill"), ("agent", "kill"), ("agent", "stop")])
        name = f"{what} {how}"
        self.faults[name] = self.faults.get(name, 0) + 1
        if how == "pause":
            self.pause(parts[what])
        else:
            self.restart(parts[what], how)

    def look(self):
        at = time.monotonic() - self.began
        for name, part in (("steady", self.steady.part), ("hub", self.fleet.stack.hub)):
            resident = memory_kb(part.process.pid, "VmRSS")
            if resident is not None:
                self.memory[name].append((at, resident / 1024))

    def run(self):
        end = self.began + self.options.minutes * 60
        next_fault, next_line = self.began + self.options.every, self.began + 60
        while time.monotonic() < end:
            self.look()
            if time.monotonic() >= next_fault:
                self.fault()
                next_fault = max(next_fault + self.options.every, time.monotonic())
            if time.monotonic() >= next_line:
                next_line += 60
                self.tell()
            time.sleep(0.5)

    def tell(self):
        epoch, watermark = self.steady.hub.watermark()
        status = self.steady.status()
        print(f"  {round((time.monotonic() - self.began) / 60):>3} min: {status['readings_total']:,} readings, "
              f"{status['outbox']['next_seq'] - 1:,} records, {watermark:,} at the hub (epoch {epoch}), "
              + ", ".join(f"{name} {values[-1][1]:.0f} MiB" for name, values in self.memory.items() if values)
              + f", {sum(self.faults.values())} faults", flush=True)

    def settle(self):
        self.fleet.stop_load()
        for edge in (self.steady, self.restless):
            account = edge.account(300)
            print(f"{edge.name}: {account.records:,} records, {account.checked:,} compared, lost {account.lost}, duplicated "
                  f"{account.duplicated}, altered {account.altered}, reordered {account.reordered}, told lost {account.told}")
            if account.lost or account.duplicated or account.altered or account.reordered or account.told or account.epochs != 1:
                self.problems.append(f"{edge.name}: the ledger does not add up: {account}")
            self.problems += account.problems
        for part in (self.steady.part, self.restless.part, self.fleet.stack.hub):
            part.stop(120)
            if part.process.returncode != 0:
                self.problems.append(f"{part.name} ended with {part.process.returncode}:\n{part.tail(30)}")
            if any(report in part.log.read_text(errors="replace") for report in REPORTS):
                self.problems.append(f"{part.name} was reported by a sanitizer:\n{part.tail(40)}")

    def flat(self, name, slack):
        """The last quarter against the second: the first warms up."""
        values, whole = self.memory[name], self.options.minutes * 60
        second = [mib for at, mib in values if whole / 4 <= at < whole / 2]
        last = [mib for at, mib in values if at >= whole * 3 / 4]
        if not second or not last:
            return self.problems.append(f"{name}: its memory was not seen")
        before, after = statistics.median(second), statistics.median(last)
        print(f"{name}: {before:.1f} MiB in the second quarter, {after:.1f} MiB in the last, {max(mib for _, mib in values):.1f} "
              "MiB at most")
        if after > before * (1 + slack) + 2:
            self.problems.append(f"{name}: its memory grew from {before:.1f} to {after:.1f} MiB")
        return None


    def bounded(self, name):
        """One that is killed all the time, and warms up again: over its lives, the second half against the first."""
        values, half = self.memory[name], self.options.minutes * 30
        first, second = (max((mib for at, mib in values if (at < half) == early), default=0) for early in (True, False))
        print(f"{name}: at most {first:.1f} MiB in the first half, {second:.1f} MiB in the second")
        if second > HUB_MIB or (self.options.minutes >= 30 and second > first * 1.15 + 8):
            self.problems.append(f"{name}: its memory grew from {first:.1f} to {second:.1f} MiB; {HUB_MIB} are allowed")


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second, two readings each")
    parser.add_argument("--topics", type=int, default=400)
    parser.add_argument("--every", type=float, default=10, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    print(f"seed {options.seed}: {options.minutes:g} min at {options.rate} messages/s, a fault every {options.every:g} s", flush=True)
    with Fleet(rate=options.rate, topics=options.topics, env={**ASAN}) as fleet:
        soak = Soak(fleet, options)
        try:
            soak.start()
            soak.run()
            soak.settle()
        except (TimeoutError, RuntimeError) as error:
            soak.problems.append(str(error))
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(soak.faults.items())))
    soak.flat("steady", 0.05 if options.minutes >= 30 else 0.1)
    soak.bounded("hub")
    for problem in soak.problems:
        print(f"PROBLEM: {problem}")
    print("soak: " + ("NOT passed" if soak.problems else "passed"))
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
