# SPDX-License-Identifier: Apache-2.0
"""Overloads of an agent's queues: more comes than can be scored, kept or sent. docs/reference/limits.md has the figures.

Each states what memory the agent may take, in MiB and why, and fails beyond it.
"""
import signal
import threading
import time

import flood
from case import Case
from stack import wait_for

# A second source for what a case floods with: its buffer and quality of service are the case's own.
SOURCE = """
[[source]]
name = "burst"
kind = "mqtt"
broker = "mqtt://127.0.0.1:{site_port}"
topics = ["burst-{name}/#"]
qos = {qos}
format = "{format}"
buffer = "{buffer}"

[[watch]]
name = "burst"
streams = ["burst-{name}/#"]
alarms_per_week = 1000
warmup = 60
{watch}
"""
BASE_MIB = 24  # program, libraries, TLS, the allocator's arenas of a dozen threads
STREAM_MIB = 22 / 1024  # what `auto` keeps of a stream, with its names
SQLITE_MIB = 10  # the outbox's cache and statements, and what a commit holds
SLOW = 'detector = "matrix_profile"\n[watch.parameters]\nhistory = 65536\n'  # some 10,000 readings a second


def burst_source(qos=0, form="number", buffer="4MiB", watch=""):
    def prepare(trial):
        trial.edge.write_config(more=SOURCE.format(site_port=trial.fleet.stack.site_port, name=trial.edge.name, qos=qos, format=form,
                                                   buffer=buffer, watch=watch))
    return prepare


def topics(trial, count):
    return [f"burst-{trial.edge.name}/{n}" for n in range(count)]


def number(n):
    return b"%.3f" % (20 + (n * 7919 % 1000) / 1000)


def fields(n):
    return b"{" + b",".join(b'"f%d":%.3f' % (i, 20 + ((n + i) * 7919 % 1000) / 1000) for i in range(20)) + b"}"


def taken(edge):
    """Messages of the flood that the agent took in."""
    return next(source["messages"] for source in edge.status()["sources"] if source["name"] == "burst")


def check_memory(trial, mib_max):
    """The peak since the process began, or since the last reset."""
    trial.edge.note_memory()
    mib = trial.edge.peak_kb / 1024
    trial.notes["peak MiB"] = max(trial.notes.get("peak MiB", 0), round(mib))
    trial.notes["may MiB"] = round(mib_max)
    if mib > mib_max:
        trial.problem(f"the agent took {mib:.0f} MiB under overload; {mib_max:.0f} are allowed")


def expect(trial, what, value, least=1):
    trial.notes[what] = trial.notes.get(what, 0) + round(value)
    if value < least:
        trial.problem(f"{what} is {value:g}: there was no overload, nothing was tested")


def take_burst(trial, streams, payload, count, qos=0, seconds=60):
    """Floods, and waits until all of it was taken in. Most readings that waited for the shard."""
    edge, before, most = trial.edge, taken(trial.edge), 0
    flooding = threading.Thread(target=flood.burst, args=(trial.fleet.stack.site_port, topics(trial, streams), payload, count, qos))
    flooding.start()

    def all_taken():
        nonlocal most
        most = max(most, edge.metric("lapwing_anomaly_processing_queue_size"))
        return not flooding.is_alive() and taken(edge) >= before + count

    try:
        wait_for(all_taken, seconds, f"{edge.name}: {count} messages taken in")
    except TimeoutError:
        trial.problem(f"{before + count - taken(edge)} of {count} messages did not arrive")
    flooding.join()
    return most


def metrics_delta(edge, *names):
    before = {name: edge.metric(name) for name in names}
    return lambda name: edge.metric(name) - before[name]


# The buffer's two halves (in vectors that double), 10,000 readings waiting and as many being scored (24 bytes, doubling), and the
# long profiles of 4 streams.
SOURCE_MIB = BASE_MIB + 2 * 1 + 2 * 0.5 + 4 * 1.5


def overload_source(trial):
    since = time.monotonic()
    grown = metrics_delta(trial.edge, "lapwing_source_waits_total")
    take_burst(trial, 4, number, 200_000)
    expect(trial, "source waits", grown("lapwing_source_waits_total"))
    check_memory(trial, SOURCE_MIB)
    trial.recovered(since)


# 1,000 readings and one hand-over (4,096, and one message's) wait and as many are scored; the default buffer; 440 streams.
SHARD_MIB = BASE_MIB + 1 + 8 + 440 * STREAM_MIB + SQLITE_MIB


def overload_shard(trial):
    since = time.monotonic()
    grown = metrics_delta(trial.edge, "lapwing_engine_waits_total")
    most = take_burst(trial, 20, fields, 20_000)
    expect(trial, "shard waits", grown("lapwing_engine_waits_total"))
    expect(trial, "most queued", most)
    if most > 2 * (1000 + 4096 + 20 + 1000):
        trial.problem(f"{most:g} readings waited for one shard")
    check_memory(trial, SHARD_MIB)
    trial.recovered(since)


# 2,040 streams, each with a summary of some 300 bytes waiting, and one committing; the default buffer.
OUTBOX_MIB = BASE_MIB + 2040 * (STREAM_MIB + 2 * 300 / 2**20) + SQLITE_MIB + 8


def hub_away(trial, during):
    stack = trial.fleet.stack
    stack.hub_broker.kill()
    try:
        during()
    finally:
        since = time.monotonic()
        stack.hub_broker.start()
    trial.recovered(since)


def overload_outbox(trial):
    edge = trial.edge
    grown = metrics_delta(edge, "lapwing_outbox_records_dropped_total")

    def during():
        for _ in range(5):  # each a summary of each of 2,000 streams: more than 1 MiB in all
            take_burst(trial, 100, fields, 5000)
            time.sleep(0.5)
        bytes_now, bytes_max = edge.metric("lapwing_outbox_bytes"), edge.metric("lapwing_outbox_bytes_max")
        if bytes_now > bytes_max:
            trial.problem(f"the outbox holds {bytes_now:g} bytes of {bytes_max:g}")

    hub_away(trial, during)
    expect(trial, "dropped", grown("lapwing_outbox_records_dropped_total"))
    check_memory(trial, OUTBOX_MIB)


def overload_outbox_block(trial):
    edge, port, before, count = trial.edge, trial.fleet.stack.site_port, taken(trial.edge), 0
    grown = metrics_delta(edge, "lapwing_source_pauses_total", "lapwing_source_dropped_total", "lapwing_outbox_records_dropped_total")

    def publish(messages):
        nonlocal count
        flood.burst(port, topics(trial, 100), fields, messages, qos=1)
        count += messages

    def during():
        until = time.monotonic() + 20
        while not edge.status()["outbox"]["waiting"] and time.monotonic() < until:
            publish(1000)
        publish(10_000)
        wait_for(lambda: grown("lapwing_source_pauses_total"), 20, f"{edge.name}: the source leaves its broker")

    hub_away(trial, during)
    wait_for(lambda: taken(edge) >= before + count, 60, f"{edge.name}: everything its broker kept")
    expect(trial, "left its broker", grown("lapwing_source_pauses_total"))
    for name in ("lapwing_source_dropped_total", "lapwing_outbox_records_dropped_total"):
        if grown(name):
            trial.problem(f"{name} grew by {grown(name):g}, though nothing may be given up")
    check_memory(trial, OUTBOX_MIB)


# As before, and 8 batches of 96 KiB under way, each read, encoded, compressed, and kept by the MQTT library; the rest stays on disk.
UPLINK_MIB = OUTBOX_MIB + 8 * 4 * 96 / 1024


def overload_uplink(trial):
    edge, hub = trial.edge, trial.fleet.stack.hub.process
    grown = metrics_delta(edge, "lapwing_uplink_resends")
    behind, until = 0, time.monotonic() + 8
    while time.monotonic() < until:  # the hub works a tenth of the time
        hub.send_signal(signal.SIGSTOP)
        try:
            take_burst(trial, 100, fields, 2000)
            time.sleep(0.5)
            behind = max(behind, edge.metric("lapwing_uplink_backlog_records"))
        finally:
            hub.send_signal(signal.SIGCONT)
        time.sleep(0.1)
    since = time.monotonic()
    wait_for(lambda: edge.metric("lapwing_uplink_backlog_records") < 500, 60, f"{edge.name}: its backlog at the hub")
    expect(trial, "most behind", behind, 1000)
    trial.notes["resends"] = grown("lapwing_uplink_resends")
    check_memory(trial, UPLINK_MIB)
    trial.recovered(since)


CASES = [
    Case("overload-source", "22", 1, "a burst comes faster than one shard scores", overload_source,
         prepare=burst_source(watch=SLOW, buffer="1MiB"), options={"env": {"LAPWING__ENGINE__QUEUE_READINGS_MAX": "10000"}}),
    Case("overload-shard", "22", 1, "readings come faster than a shard with a short queue scores", overload_shard,
         prepare=burst_source(form="json"), options={"env": {"LAPWING__ENGINE__QUEUE_READINGS_MAX": "1000"}}),
    Case("overload-outbox", "22", 1, "the hub is away and the outbox of many streams is full", overload_outbox,
         prepare=burst_source(form="json"), options={"env": {"LAPWING__OUTBOX__BYTES_MAX": "1MiB"}}, alone=True, losses=True),
    Case("overload-block", "22", 1, "likewise, and nothing may be given up: sources wait", overload_outbox_block,
         prepare=burst_source(qos=1, form="json", buffer="256KiB"), alone=True,
         options={"env": {"LAPWING__OUTBOX__BYTES_MAX": "1MiB", "LAPWING__OUTBOX__SUMMARIES_AT_BOUND": "block",
                          "LAPWING__ENGINE__QUEUE_READINGS_MAX": "10000"}}),
    Case("overload-uplink", "22", 1, "the hub answers a tenth of the time", overload_uplink, prepare=burst_source(form="json"), alone=True),
]
