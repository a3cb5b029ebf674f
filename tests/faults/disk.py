# SPDX-License-Identifier: Apache-2.0
"""Rows 1, 5, 6 and 8 of the fault matrix, under an agent's disk: killed at the Nth call, power cut, failing, full."""
import contextlib
import signal
import time

from case import Case
from faulty_disk import edge_disk
from fleet import wait_for
from gate import Gate
from oracle import high_water_mark

QUEUE = "[outbox]\nqueue_records_max = 100\n"  # so that a full disk is felt within a second
SMALL = '[outbox]\nbytes_max = "1MiB"\n'
STOPPING_MOST = 5  # pages that an agent about to stop moves into its database are not many
FILES_MAX = 8 << 20  # of the database at twice its quota and the write-ahead log
SUMMARIES = {"LAPWING__ENGINE__SUMMARY_INTERVAL": "100ms"}  # as many records as there can be


# --- after a process ended without warning
def come_back(trial, since):
    """Starts the agent again. What it promised is in the mark; it may promise nothing else, and no number twice."""
    edge = trial.edge
    mark, held = high_water_mark(edge.data), edge.hub.watermark()[1]
    if mark <= held:
        trial.problem(f"run {trial.done + 1}: the mark is {mark}, but the hub has record {held} already")
    edge.oracle.again()
    edge.start()
    following = edge.next_seq()
    if following < mark:
        trial.problem(f"run {trial.done + 1}: numbering goes on at {following}, though it had come to {mark}")
    trial.recovered(since)


def die_starting(trial, command):
    """The agent is killed, and starts with `command`, which ends it early on."""
    edge = trial.edge
    edge.kill()
    edge.oracle.pause(look=False)
    trial.disk.at_start(command)
    try:
        edge.part.start()
        edge.ended()
    except RuntimeError:  # before it was ready
        pass
    finally:
        trial.disk.at_start(None)


def die_stopping(trial, command):
    """The agent stops, and nobody else looks on: so it moves its log into the database, where `command` may end it."""
    edge = trial.edge
    edge.oracle.pause()
    trial.disk.say(f"{command} outbox.db")
    edge.part.process.terminate()
    with contextlib.suppress(OSError, RuntimeError):
        trial.disk.answer(20, command)
        trial.disk.say("go")
    edge.ended()


def die_running(trial, command):
    trial.disk.ask(command, 30)
    trial.edge.oracle.pause()  # a last look, while all stands still
    with contextlib.suppress(OSError):  # of a kill there is nobody left to tell
        trial.disk.say("go")
    trial.edge.ended()


def die(trial, command, most, code):
    """Of `command`, a text with the number of the call in it, somewhere; counts where, and the deaths that came too late."""
    time.sleep(trial.random.uniform(0, 0.2))
    how = trial.random.choices((die_running, die_starting, die_stopping), (3, 1, 1))[0]
    command = command.format(nth=trial.random.randint(1, STOPPING_MOST if how is die_stopping else most))
    how(trial, command)
    ended = trial.edge.part.process.returncode
    if ended == code:
        trial.count(how.__name__.replace("die_", ""))
    elif how is die_stopping and ended == 0:
        trial.count("stopped")
    else:
        raise RuntimeError(f"`{command}` ended the agent with {ended}:\n{trial.edge.part.tail()}")


def kill_at_call(trial):
    pick = trial.random
    die(trial, f"kill {pick.choice(('before', 'after'))} {pick.choice(('write', 'sync', 'any'))} {{nth}}", 40,
        -signal.SIGKILL)
    trial.edge.part.kills += 1
    come_back(trial, time.monotonic())


def cut_power(trial):
    pick = trial.random
    kind = pick.choice(("lost", "torn"))
    die(trial, f"cut {kind} {{nth}} {pick.getrandbits(32)}", 60, 137)
    for gone in trial.edge.data.glob("*-shm"):
        gone.unlink()  # memory
    trial.count(kind)
    come_back(trial, time.monotonic())


# --- calls that fail
def scoring_goes_on(trial, since, what):
    wait_for(lambda: trial.edge.metric("lapwing_readings_total") > since, 10, f"{trial.case.name}: scoring {what}")


def fail_calls(trial):
    """Every N in turn: the writes of two edges fail, the syncs of the others."""
    edge, pick = trial.edge, trial.random
    number = int(edge.name.rsplit("-", 1)[1]) - 1
    kind, nth = ("write", "sync")[number % 2], (2 * trial.done + number // 2) % 40 + 1
    error, file = pick.choices(("EIO", "ENOSPC"), (4, 1))[0], ""
    if trial.done % 10 == 9:  # where the log is moved into the database
        nth, file = min(nth, 20) if kind == "write" else 1, "outbox.db"
    readings = edge.metric("lapwing_readings_total")
    trial.disk.ask(f"fail {kind} {error} {nth} {pick.choice((1, 1, 3))} {file}", 60)
    trial.recovered(time.monotonic())
    scoring_goes_on(trial, readings, "while calls fail")
    trial.disk.ask("disarm")


def note_syncs(inject):
    """inject(), then how the agent behaved after failed syncs: none may be tried again."""
    def noting(trial):
        before = trial.disk.counters()
        inject(trial)
        after = trial.disk.counters()
        for name, text in (("failed", "calls failed"), ("retries", "syncs retried"), ("vouched", "of them for lost data")):
            trial.count(text, after[name] - before[name])
        if after["retries"] != before["retries"]:
            trial.problem(f"run {trial.done + 1}: a failed sync was tried again")
    return noting


# --- no room
def dropped(trial):
    return trial.edge.metric("lapwing_outbox_records_dropped_total")


def told_is_dropped(trial):
    """The hub was told lost exactly what the agent counted."""
    try:
        wait_for(lambda: trial.edge.hub.lost("quota") == dropped(trial), 20, "told")
    except TimeoutError:
        trial.problem(f"run {trial.done + 1}: {trial.edge.hub.lost('quota')} records were told lost, {dropped(trial):.0f} the"
                      " agent gave up")


def fill_disk(trial):
    before, readings = dropped(trial), trial.edge.metric("lapwing_readings_total")
    trial.disk.ask(f"full {trial.random.choice(('on', 'all'))}")
    time.sleep(trial.random.uniform(0.3, 1.5))
    scoring_goes_on(trial, readings, "while the disk is full")
    refused = trial.disk.counters()["refused"]
    trial.disk.ask("full off")
    if not refused:
        trial.problem(f"run {trial.done + 1}: the full disk refused nothing")
    trial.recovered(time.monotonic())
    told_is_dropped(trial)
    trial.count("dropped", dropped(trial) - before)


def quiet(trial):
    """Waits until nothing is committed or given up any more."""
    last = None
    while (now := (trial.edge.next_seq(), dropped(trial))) != last:
        last = now
        time.sleep(0.5)


def reach_quota(trial):
    """The hub is away until records are given up at outbox.bytes_max, and a little longer."""
    edge, before = trial.edge, dropped(trial)
    trial.gate.shut()

    def held():
        """Stored, but their acknowledgement was cut off: the summaries among them are the first to be given up, needlessly."""
        acked, stored = edge.status()["outbox"]["acked_seq"], edge.hub.watermark()[1]
        return sum(1 for _, seq, record_class, _ in edge.hub.ledger() if record_class == 2 and acked < seq <= stored)

    time.sleep(1)
    wait_for(lambda: dropped(trial) - before > held(), 120, f"{trial.case.name}: reaching the quota")
    readings = edge.metric("lapwing_readings_total")
    time.sleep(trial.random.uniform(0.2, 1))
    scoring_goes_on(trial, readings, "at the quota")
    size = sum(file.stat().st_size for file in edge.data.glob("outbox.db*"))
    if size > FILES_MAX:
        trial.problem(f"run {trial.done + 1}: the outbox takes {size} bytes, though its quota is 1 MiB")
    trial.site.shut()  # what is sent while it is given up would be both
    quiet(trial)
    needless = held()
    trial.held += needless
    trial.gate.open()
    wait_for(lambda: edge.hub.watermark()[1] == edge.next_seq() - 1, 60, f"{trial.case.name}: draining")
    told = edge.hub.lost("quota")  # what was given up while its acknowledgement was on its way is at the hub, and is not told
    if not 0 < told <= dropped(trial) - trial.held:
        trial.problem(f"run {trial.done + 1}: {told} records were told lost, {trial.held} more the hub had, {dropped(trial):.0f} the"
                      " agent gave up")
    trial.site.open()
    trial.recovered(time.monotonic())
    trial.count("dropped", dropped(trial) - before)
    trial.count("of them at the hub", needless)


def behind_gate(trial):
    trial.gate = Gate(trial.fleet.stack.mqtt_port)
    trial.edge.write_config(mqtt_port=trial.gate.port)


def between_gates(trial):
    trial.held = 0
    trial.site = Gate(trial.fleet.stack.site_port)
    trial.edge.write_config(site_port=trial.site.port)
    behind_gate(trial)


CASES = [
    Case("agent-kill-write", "1", 100, "the agent is killed around its Nth write or sync", kill_at_call, edge_disk, edges=3),
    Case("power-cut", "5", 300, "power is cut at the Nth write or sync: unsynced writes are lost or torn", cut_power,
         edge_disk, edges=8),
    Case("io-error", "8", 80, "the Nth write, the Nth sync fails with EIO or ENOSPC", note_syncs(fail_calls), edge_disk,
         edges=4, options={"env": SUMMARIES}),
    Case("disk-full", "6", 50, "another process fills the agent's disk", note_syncs(fill_disk), edge_disk, edges=2,
         options={"more": QUEUE, "env": SUMMARIES}, losses=True),
    Case("outbox-quota", "6", 10, "the outbox reaches bytes_max while the hub is away", reach_quota, between_gates, edges=5,
         options={"more": SMALL, "env": SUMMARIES}, losses=True),
]
