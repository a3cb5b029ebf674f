# SPDX-License-Identifier: Apache-2.0
"""Rows 2 and 7 of the fault matrix under the hub's disk: killed around its Nth write or sync, full."""
import time

from case import Case
from faulty_disk import FaultyDisk
from fleet import wait_for


def under_hub(trial):
    """Restarts the hub with a faulty disk under its folder. Without commands it is a sound one, for the cases that follow."""
    stack = trial.fleet.stack
    trial.disk = FaultyDisk(stack.hub, stack.hub_dir, stack.bin)
    stack.hub.stop()
    stack.hub.start()


def nothing_acknowledged_early(trial):
    """What the hub has committed."""
    acked = trial.edge.status()["outbox"]["acked_seq"]  # first: the hub's own only grows
    stored = trial.edge.hub.watermark()[1]
    if acked > stored:
        raise RuntimeError(f"{acked} was acknowledged, {stored} is committed")
    return stored


def kill_hub(trial):
    pick, hub = trial.random, trial.fleet.stack.hub
    time.sleep(pick.uniform(0, 0.2))
    when, call = pick.choice(("before", "after")), pick.choice(("write", "sync", "sync"))
    sent = trial.edge.metric("lapwing_uplink_records_sent_total")
    kept = trial.edge.hub.watermark()[1]
    trial.disk.ask(f"kill {when} {call} {pick.randint(1, 12)}", 60)
    hub.process.wait()
    hub.kills += 1
    trial.count(f"{when} a {call}")
    nothing_acknowledged_early(trial)
    since = time.monotonic()
    hub.start()
    trial.recovered(since)
    again = trial.edge.metric("lapwing_uplink_records_sent_total") - sent - (trial.edge.hub.watermark()[1] - kept)
    trial.count("records sent again", max(0, round(again)))


def fill_hub(trial):
    """Full for what grows, or for every write, as where a file system never writes in place."""
    disk, hub = trial.disk, trial.fleet.stack.hub
    refused = disk.counters()["refused"]
    disk.ask("full all")
    wait_for(lambda: disk.counters()["refused"] > refused, 30, "the hub meets a full disk")
    until = time.monotonic() + trial.random.uniform(0.5, 2)
    stored = nothing_acknowledged_early(trial)
    while time.monotonic() < until:
        nothing_acknowledged_early(trial)
        time.sleep(0.05)
    trial.count("records stored while full", nothing_acknowledged_early(trial) - stored)
    trial.count("calls refused", disk.counters()["refused"] - refused)
    since = time.monotonic()
    disk.ask("full off")
    if not hub.running():
        trial.problem(f"run {trial.done + 1}: the hub ended with {hub.process.returncode}")
    trial.recovered(since)


CASES = [
    Case("hub-kill-commit", "2", 60, "the hub is killed around the Nth write or sync of its database", kill_hub, under_hub,
         alone=True),
    Case("hub-disk-full", "7", 10, "the hub's volume is full", fill_hub, under_hub, alone=True),
]
