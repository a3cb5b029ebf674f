# SPDX-License-Identifier: Apache-2.0
"""What a case of the fault matrix is, and what it leaves behind."""
import dataclasses
import random
import time
import typing


@dataclasses.dataclass
class Case:
    """One row. `inject(trial)` is called `runs` times; it breaks something, mends it, and waits until all goes on."""
    name: str
    row: str  # of the fault matrix
    runs: int  # when nobody says otherwise
    what: str
    inject: typing.Callable
    prepare: typing.Callable = lambda trial: None  # once, before the edge's agent starts
    options: dict = dataclasses.field(default_factory=dict)  # of Fleet.edge
    edges: int = 1  # the runs are shared among so many agents, each with its own thread
    alone: bool = False  # it breaks what all share (hub, brokers): nothing else runs meanwhile
    losses: bool = False  # records may be destroyed: then each is accounted for as lost
    epochs: bool = False  # a new epoch may be granted


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Samples:
    """Many measurements as one of a trial's notes: sums are unions, and it prints as median/99 %/worst."""

    def __init__(self, values=()):
        self.values = list(values)

    def __radd__(self, other):
        return self if other == 0 else NotImplemented

    def __add__(self, other):
        return Samples(self.values + other.values)

    def __format__(self, form):
        return "/".join(format(percentile(self.values, share), ".3g") for share in (0.5, 0.99, 1))


class Trial:
    """A case on one edge: what inject() works with."""

    def __init__(self, case, fleet, edge, runs, seed):
        self.case, self.fleet, self.edge, self.runs = case, fleet, edge, runs
        self.random = random.Random(seed)
        self.done = 0
        self.recoveries = []  # seconds
        self.notes = {}  # figures of the case's own: name -> number, summed over its edges, printed at the end of its row
        self.problems = []
        self.error = None

    def count(self, name, amount=1):
        self.notes[name] = self.notes.get(name, 0) + amount

    def sample(self, name, value):
        self.notes.setdefault(name, Samples()).values.append(value)

    def problem(self, text):
        self.problems.append(f"{self.case.name}: {text}")

    def recovered(self, since, seconds=60):
        """Waits until a record committed from now on is at the hub; notes how long that was after `since`."""
        self.edge.wait_moved_on(seconds)
        self.recoveries.append(time.monotonic() - since)

    def run(self, say):
        for _ in range(self.runs):
            self.case.inject(self)
            self.done += 1
            say()


def run_steps(trial, *steps):
    """One after another; the first that fails ends them, and is a problem of the trial."""
    try:
        for step in steps:
            step()
    except (TimeoutError, RuntimeError) as error:
        trial.problems.append(str(error))


def conclude(trial, began, must_be_none):
    """Prints the rows, the problems and the verdict; the exit code."""
    trial.print_rows()
    for problem in trial.problems:
        print(f"PROBLEM: {problem}")
    print(f"{time.monotonic() - began:.0f} s; {must_be_none}: {'NOT 0' if trial.problems else '0'}")
    return 1 if trial.problems else 0
