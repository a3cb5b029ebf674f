#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Injects faults into real processes: agents, a hub, mosquittos, TLS, files. Prints one table row a case.

Cases that break one agent run side by side, each with an agent of its own; cases that break what all share run one after
another. At the end the load stops, all drains, and the oracle (oracle.py) compares each outbox with the hub. Exit code 0 only
if nothing was lost, duplicated, altered or reordered, and every recovery came in time.
"""
import argparse
import concurrent.futures
import importlib
import random
import sys
import threading
import time

from case import Trial, percentile
from fleet import Fleet
from oracle import compare

MODULES = ("processes", "in_flight", "disk", "corruption", "copies", "hub_disk", "network", "replays", "certificates", "clocks",
           "poison", "oversized", "slow", "overload", "overload_hub", "model_transfer")


def all_cases():
    return [case for module in MODULES for case in importlib.import_module(module).CASES]


class Progress:
    """One line now and then: what has run of what there is."""

    def __init__(self, trials):
        self.trials, self.last, self.lock = trials, 0, threading.Lock()

    def say(self):
        with self.lock:
            if time.monotonic() - self.last < 10:
                return
            self.last = time.monotonic()
            running = [f"{trial.edge.name} {trial.done}/{trial.runs}" for trial in self.trials if 0 < trial.done < trial.runs]
            print("  " + ", ".join(running), flush=True)


def attempt(trial, say):
    try:
        trial.case.prepare(trial)
        trial.edge.start()
        trial.edge.wait_moved_on()
        trial.run(say)
        trial.edge.stop()  # until all have run: the others have the machine
        trial.edge.oracle.pause()
    except Exception as error:  # the other cases go on
        trial.error = error
        trial.problem(f"run {trial.done + 1}: {error}")


def perform(trials, agents, say):
    """So many at a time."""
    with concurrent.futures.ThreadPoolExecutor(agents) as pool:
        list(pool.map(lambda trial: attempt(trial, say), trials))


def settle(fleet, trials):
    """No more load; everything drains, and each outbox is compared with the hub."""
    fleet.stop_load()
    accounts = {}
    for trial in trials:
        edge = trial.edge
        try:
            if trial.error is None:
                edge.stop()  # its last records, and what its detectors learnt
                edge.start()
                accounts[edge.name] = edge.account()
            else:
                next_seq = edge.next_seq()
                edge.oracle.pause()
                accounts[edge.name] = compare(edge.oracle, next_seq, edge.hub)
        except (TimeoutError, RuntimeError) as error:
            trial.problem(str(error))
        edge.close()
    return accounts


HEAD = (f"{'case':<18} {'row':>6} {'runs':>5} {'records':>8} {'lost':>5} {'dupl.':>5} {'alter.':>6} {'reord.':>6} {'told':>6}"
        f" {'p50 s':>6} {'p99 s':>6} {'MiB':>5}")


def row_of(case, trials, accounts):
    """The case's row and what is wrong with it."""
    problems = [text for trial in trials for text in trial.problems]
    known = [accounts[trial.edge.name] for trial in trials if trial.edge.name in accounts]
    total = {field: sum(getattr(account, field) for account in known)
             for field in ("records", "checked", "lost", "duplicated", "altered", "reordered", "told")}
    for account in known:
        problems += [f"{case.name}: {text}" for text in account.problems]
        if account.told and not case.losses:
            problems.append(f"{case.name}: {account.told} records are accounted for as lost, though none may be")
        if account.epochs > 1 and not case.epochs:
            problems.append(f"{case.name}: it came to epoch {account.epochs}, though its history was never broken")
    for what in ("lost", "duplicated", "altered", "reordered"):
        if total[what]:
            problems.append(f"{case.name}: {total[what]} {what}")
    if known and not total["records"]:
        problems.append(f"{case.name}: no records")
    times = [one for trial in trials for one in trial.recoveries]
    notes = {}
    for trial in trials:
        for name, value in trial.notes.items():
            notes[name] = notes.get(name, 0) + value
    row = (f"{case.name:<18} {case.row:>6} {sum(trial.done for trial in trials):>5} {total['records']:>8} {total['lost']:>5}"
           f" {total['duplicated']:>5} {total['altered']:>6} {total['reordered']:>6} {total['told']:>6}"
           f" {percentile(times, 0.5):>6.2f} {percentile(times, 0.99):>6.2f}"
           f" {max(trial.edge.peak_kb for trial in trials) / 1024:>5.0f}  "
           + ", ".join(f"{name} {value:g}" for name, value in notes.items()))
    return row, problems


def trials_of(fleet, case, runs, seed):
    shares = [runs // case.edges + (1 if i < runs % case.edges else 0) for i in range(case.edges)]
    return [Trial(case, fleet, fleet.edge(f"{case.name}-{i + 1}", **case.options), share, f"{seed} {case.name} {i}")
            for i, share in enumerate(shares) if share > 0]


def play(fleet, cases, options):
    """Everything of one fleet; rows and problems."""
    trials = {case.name: trials_of(fleet, case, options.runs or max(1, round(case.runs * options.share)), options.seed)
              for case in cases}
    progress = Progress([trial for some in trials.values() for trial in some])
    beside = [trial for case in cases if not case.alone for trial in trials[case.name]]
    perform(beside, options.agents, progress.say)
    for case in cases:
        if case.alone:
            perform(trials[case.name], options.agents, progress.say)
    accounts = settle(fleet, progress.trials)
    rows = [row_of(case, trials[case.name], accounts) for case in cases]
    for trial in progress.trials:
        if trial.problems:
            print(f"--- {trial.edge.name}\n{trial.edge.part.tail(12)}", flush=True)
    return rows


def main():
    cases = all_cases()
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="cases:\n" + "\n".join(f"  {case.name:<18} row {case.row}: {case.what}" for case in cases))
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all by default")
    parser.add_argument("--runs", type=int, help="of each case; by default each has its own number")
    parser.add_argument("--share", type=float, default=1, help="of each case's own number of runs, 0.1 for a tenth")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="repeats the instants")
    parser.add_argument("--agents", type=int, default=8, help="that are broken side by side")
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    names = {case.name: case for case in cases}
    for name in options.cases:
        if name not in names:
            parser.error(f"{name}: is not a case; choose from {', '.join(names)}")
    chosen = [names[name] for name in options.cases] or cases
    print(f"seed {options.seed}: {', '.join(case.name for case in chosen)}", flush=True)
    began = time.monotonic()
    try:
        with Fleet(keep=options.keep) as fleet:
            rows = play(fleet, chosen, options)
    except (RuntimeError, TimeoutError) as error:
        print(f"FAILED: {error}")
        return 1
    print(f"\n{HEAD}")
    for row, _ in rows:
        print(row)
    problems = [text for _, some in rows for text in some]
    for text in problems:
        print(f"PROBLEM: {text}")
    print(f"{time.monotonic() - began:.0f} s; lost, duplicated, altered, reordered: {'NOT 0' if problems else '0'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
