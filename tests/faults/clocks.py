# SPDX-License-Identifier: Apache-2.0
"""Row 11 of the fault matrix: the agent's wall clock jumps, slews, starts in 1970. Its monotonic clock is left alone."""
import os
import pathlib
import struct
import subprocess
import threading
import time

from case import Case
from proxy import proxied
from stack import wait_for

HOUR, YEAR = 3600.0, 365.25 * 86400
_building = threading.Lock()


def library(folder):
    """The preloaded library, made once."""
    made = folder / "faulty_clock.so"
    with _building:
        if not made.exists():
            compiler = os.environ.get("CXX", "c++")
            subprocess.run([compiler, "-std=c++20", "-O1", "-shared", "-fPIC", "-o", made,
                            pathlib.Path(__file__).with_name("faulty_clock.cpp"), "-ldl"], check=True)
    return made


class Clock:
    """What the preloaded library reads."""

    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, offset, slew=0.0):
        """Seconds beside the true time; seconds gained a second."""
        fault = struct.pack("qqq", int(offset * 1e9), int(slew * 1e9), time.monotonic_ns())
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(fault)


def prepare(trial):
    edge = trial.edge
    proxied(trial)
    trial.clock = Clock(edge.dir / "clock")
    edge.part.env.update(LD_PRELOAD=str(library(trial.fleet.stack.dir)), FAULTY_CLOCK=str(trial.clock.path))
    edge.part.env.setdefault("ASAN_OPTIONS", "verify_asan_link_order=0")


def jump(trial, offset):
    """While it runs. A connection that is there stays; one made with a clock outside the certificates' time is refused."""
    trial.clock.set(offset)
    since = time.monotonic()
    trial.recovered(since, 15)  # over the connection that is there
    if abs(offset) < 2 * YEAR:  # an hour after its making, a certificate of an hour ago is not valid: refused at -1 h
        return
    trial.proxy.reset()
    told_of_the_clock(trial)


def told_of_the_clock(trial):
    """No connection can be made, and the agent says that its clock may be why."""
    since = time.monotonic()

    def told():
        uplink = trial.edge.status()["uplink"]
        return not uplink["connected"] and "clock" in uplink["problem"]
    try:
        wait_for(told, 40, f"{trial.edge.name}: TLS refused because of the clock, and told so")
        trial.sample("clock told s", time.monotonic() - since)
    except TimeoutError as error:
        trial.problem(f"run {trial.done + 1}: {error}, but: {trial.edge.status()['uplink']['problem']}")


def boot(trial, at):
    """A machine without a battery: the agent starts before its clock is set, and works; then the clock is set."""
    edge = trial.edge
    edge.stop()
    trial.clock.set(at - time.time())
    edge.start()
    before = edge.next_seq()
    told_of_the_clock(trial)
    wait_for(lambda: edge.next_seq() > before + 20, 15, f"{edge.name}: records while the clock is wrong")


def answers_in_time(trial):
    """Timeouts are of the monotonic clock: an hour more or less must not end a connection, or keep a dead one."""
    edge, clock = trial.edge, trial.clock
    accepted = trial.proxy.accepted
    for offset in (HOUR, -HOUR, 0.0):
        clock.set(offset)
        edge.wait_moved_on(15)
    if trial.proxy.accepted != accepted:
        trial.problem(f"run {trial.done + 1}: a jump of the wall clock ended the connection")


STEPS = (
    ("forward 1 h", lambda trial: jump(trial, HOUR)),
    ("back 1 h", lambda trial: jump(trial, -HOUR)),
    ("to and fro", answers_in_time),
    ("slew", lambda trial: (trial.clock.set(0, 0.2), time.sleep(1), trial.clock.set(0.2, -0.2), time.sleep(1))),
    ("forward 10 y", lambda trial: jump(trial, 10 * YEAR)),
    ("back 10 y", lambda trial: jump(trial, -10 * YEAR)),
    # Not twice at one instant: of two points of a stream that begin together, the hub's history keeps the first.
    ("boot in 1970", lambda trial: boot(trial, trial.random.uniform(10, 1e6))),
    ("boot in 2040", lambda trial: boot(trial, 70 * YEAR + trial.random.uniform(0, 1e6))),
)


def clocks(trial):
    name, step = STEPS[(trial.done * trial.case.edges + int(trial.edge.name[-1]) - 1) % len(STEPS)]
    step(trial)
    trial.count(name)
    trial.clock.set(0)
    right = time.time()
    trial.recovered(time.monotonic(), 50)
    wait_for(lambda: trial.edge.hub.of_another_time(right) == 0, 15, f"{trial.edge.name}: streams shown as of the clock set right")


CASES = [Case("clock", "11", 40, "the agent's wall clock jumps, slews, starts in 1970", clocks, prepare, edges=4)]
