# SPDX-License-Identifier: Apache-2.0
"""Row 26 of the fault matrix: an outbox that is there twice, one after the other (a restored backup) or at once (a clone)."""
import time

from case import Case
from disk import SUMMARIES, behind_gate
from fleet import Part, quiet_port, wait_for
from oracle import high_water_mark


def steady_watermark(edge):
    """Once nothing of an agent that ended is under way any more."""
    last = None
    while (now := edge.hub.watermark()) != last:
        last = now
        time.sleep(0.2)
    return now[1]


def ledger(edge):
    return {(epoch, seq): value for epoch, seq, _, value in edge.hub.ledger()}


def nothing_overwritten(trial, before):
    after = ledger(trial.edge)
    changed = sum(1 for key, value in before.items() if after.get(key) != value)
    trial.count("collisions", changed)
    if changed:
        trial.problem(f"run {trial.done + 1}: {changed} stored records were overwritten or are gone")


def restore_backup(trial):
    edge, pick = trial.edge, trial.random
    backup = edge.dir / "backup"
    edge.stop()
    edge.oracle.pause()
    edge.copy_data(backup)
    edge.start()
    edge.wait_moved_on()
    time.sleep(pick.uniform(0, 0.5))
    edge.stop() if pick.random() < 0.5 else edge.kill()
    edge.oracle.pause()
    stored, epoch = steady_watermark(edge), edge.hub.watermark()[0]
    before = ledger(edge)
    branch = high_water_mark(backup)
    if stored < branch:
        raise RuntimeError(f"the hub has no record from {branch} on, where the backup goes on")
    edge.put_data(backup)
    edge.oracle.branch(branch, stored)
    grows = pick.random() < 0.5
    if grows:  # beyond what the hub has of the first history, before the two meet
        trial.gate.shut()
    since = time.monotonic()
    edge.start()
    if grows:
        trial.count("restored and grown")
        wait_for(lambda: edge.next_seq() > stored + 5, 60, f"{edge.name}: growing beyond record {stored}")
        trial.gate.open()
    else:
        trial.count("restored")
    wait_for(lambda: edge.hub.watermark()[0] > epoch, 30, f"{edge.name}: a new epoch for the restored backup")
    trial.recovered(since)
    nothing_overwritten(trial, before)


class Clone:
    """A second agent with a copy of the edge's data and its identity; it measures something else, elsewhere."""

    def __init__(self, edge):
        self.edge, self.data, self.port = edge, edge.dir / "clone", quiet_port()
        edge.copy_data(self.data)
        text = edge.config.read_text()
        for old, new in ((f'name = "{edge.name}"', f'name = "{edge.name}-clone"'), (f'"{edge.data}"', f'"{self.data}"'),
                         (f":{edge.status_port}", f":{self.port}"), ('format = "json"', 'format = "json"\ntemplate = "_/+"'),
                         ('streams = ["load/#"]', 'streams = ["#"]')):
            if old not in text:
                raise RuntimeError(f"{edge.config}: no {old}")
            text = text.replace(old, new)
        config = edge.dir / "clone.toml"
        config.write_text(text)
        self.part = Part(f"{edge.name}-clone", [edge.part.argv[0], "run", "--config", config], edge.dir, self.ready,
                         edge.part.env)

    def ready(self):
        try:
            self.edge.fleet.stack.fetch_from(f"http://127.0.0.1:{self.port}/health/live")
            return True
        except OSError:
            return False


def quarantined(edge):
    return (edge.hub.one("SELECT quarantined FROM devices WHERE device = ?", edge.hub.device) or (0,))[0]


def live_clone(trial):
    edge = trial.edge
    edge.stop()
    edge.oracle.pause()
    clone = Clone(edge)
    epoch, before = edge.hub.watermark()[0], ledger(edge)
    edge.start()
    edge.wait_moved_on()
    since = time.monotonic()
    clone.part.start()
    try:
        wait_for(lambda: quarantined(edge) or edge.hub.watermark()[0] > epoch, 30, f"{edge.name}: the clone is detected")
        trial.count("clone detected within s", round(time.monotonic() - since, 2))
        if trial.random.random() < 0.7:  # both go on until an operator is called for
            wait_for(lambda: quarantined(edge), 60, f"{edge.name}: quarantine")
    finally:
        if clone.part.running():
            clone.part.kill()
    before |= ledger(edge)
    following = edge.next_seq()  # the one that is left may be what makes it three returns
    wait_for(lambda: quarantined(edge) or edge.hub.watermark()[1] >= following, 60,
             f"{edge.name}: heard again, or quarantined")
    if quarantined(edge):
        trial.count("quarantined")
        edge.stop()
        edge.oracle.pause()
        edge.fleet.stack.fetch(f"/api/v1/devices/{edge.hub.device}/release", {})
        edge.start()
    trial.count("cloned")
    trial.recovered(since)
    nothing_overwritten(trial, before)


def copy(trial):
    (restore_backup if (trial.done + int(trial.edge.name[-1])) % 2 else live_clone)(trial)


CASES = [
    Case("clone-restore", "26", 50, "the outbox is restored from a backup, or cloned and used twice", copy, behind_gate,
         edges=5, options={"env": SUMMARIES}, epochs=True),
]
