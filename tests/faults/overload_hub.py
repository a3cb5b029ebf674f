# SPDX-License-Identifier: Apache-2.0
"""Overloads of the hub's queues: more comes from devices, followers and strangers than it can take. See docs/reference/limits.md.

Each states what memory the hub may take, as MiB and why, and fails beyond it; the peak is set back before each.
"""
import contextlib
import pathlib
import threading
import time

import flood
from case import Case
from flood import Client, head
from overload import burst_source, expect, topics
from stack import memory_kb, wait_for

# Program, page, TLS, the allocator's arenas of a dozen threads; the caches of the store's writer and four readers.
BASE_MIB = 24 + 4 + 4 * 1
CACHE = {"LAPWING__STORE__CACHE": "4MiB"}


def hub_metric(stack, name):
    """The sum over labels, or of the one whose labels are named."""
    name, _, label = name.partition("{")
    return sum(float(line.rsplit(" ", 1)[1]) for line in stack.fetch("/metrics").splitlines()
               if line.startswith(name) and line[len(name)] in " {" and label.rstrip("}") in line)


@contextlib.contextmanager
def watched(trial, mib_max, *counted):
    """Around an overload: the hub's peak memory, and that each counter grew."""
    stack = trial.fleet.stack
    before = {name: hub_metric(stack, name) for name in counted}
    pathlib.Path(f"/proc/{stack.hub.process.pid}/clear_refs").write_text("5")  # the peak is what it has now
    yield
    mib = memory_kb(stack.hub.process.pid, "VmHWM") / 1024
    trial.notes["hub's peak MiB"], trial.notes["may MiB"] = round(mib), round(mib_max)
    if mib > mib_max:
        trial.problem(f"the hub took {mib:.0f} MiB under overload; {mib_max:.0f} are allowed")
    for name in counted:
        expect(trial, name.removeprefix("lapwing_"), hub_metric(stack, name) - before[name])


@contextlib.contextmanager
def hub_with(trial, **env):
    """Another hub process, with these settings."""
    stack, usual = trial.fleet.stack, dict(trial.fleet.stack.hub.env)
    stack.hub.stop()
    stack.hub.env.update(CACHE, **env)
    stack.hub.start()
    try:
        yield
    finally:
        stack.hub.stop()
        stack.hub.env = usual
        stack.hub.start()


# The queue's 1 MiB, as much taken at once, one message unpacked (8 MiB at most), what a transaction keeps of a device.
INGEST_MIB = BASE_MIB + 1 + 1 + 8 + 8


def overload_ingest(trial):
    stack = trial.fleet.stack
    stack.enrol(f"rogue-{trial.done}")
    identity = stack.identity
    with hub_with(trial, LAPWING__INGEST__QUEUE_BYTES="1MiB"), watched(trial, INGEST_MIB, "lapwing_hub_queue_full_total"):
        since = time.monotonic()
        trial.notes["flooded"] = flood.rogue(stack, identity, f"rogue-{trial.done}", b"\x00garbage" * 4000, 5)
        if hub_metric(stack, "lapwing_hub_queue_bytes") > 1 << 20:
            trial.problem("the queue holds more than its bound")
        trial.recovered(since)


# 256 followers hold 64 KiB and an event twice; 8 batches of 200 rows; 400 connections' buffers.
SSE_MIB = BASE_MIB + 256 * 2 * 66 // 1024 + 2 + 8
FOLLOWERS = 400


def overload_sse(trial):
    stack, edge = trial.fleet.stack, trial.edge
    follow = head("GET", "/api/v1/feed", f"Authorization: Bearer {stack.token}", "Last-Event-ID: 0")
    with hub_with(trial), watched(trial, SSE_MIB, 'lapwing_http_refused_total{reason="event_streams"}',
                                  "lapwing_http_event_streams_dropped_total"):
        stored = hub_metric(stack, 'lapwing_hub_records_total{class="anomaly"}')
        clients = [Client(stack.http_port, follow, receive_bytes=4096) for _ in range(FOLLOWERS)]
        anomalies = threading.Thread(target=lambda: [flood.burst(stack.site_port, topics(trial, 500), out_of_range, 1000) or time.sleep(0.3)
                                                     for _ in range(20)])
        anomalies.start()
        since = time.monotonic()
        trial.recovered(since)  # with the followers there
        took = time.monotonic() - since
        anomalies.join()
        wait_for(lambda: hub_metric(stack, "lapwing_feed_followers") == 0, 20, "the last of the followers is dropped")
        for client in clients:
            client.close()
        expect(trial, "anomaly records", hub_metric(stack, 'lapwing_hub_records_total{class="anomaly"}') - stored, 500)
    if took > 5:
        trial.problem(f"a record took {took:.1f} s to the hub: followers slow ingest down")


def out_of_range(n):
    """Each stream of 500 leaves its range and comes back."""
    return b"99" if n < 500 else b"5"


# 512 connections with a head (16 KiB), a body (64 KiB) and what is read ahead (64 KiB) each.
HTTP_MIB = BASE_MIB + 512 * 144 // 1024 + 8


def overload_http(trial):
    stack = trial.fleet.stack
    reasons = [f'lapwing_http_refused_total{{reason="{reason}"}}'
               for reason in ("connections", "read_timeout", "header_bytes", "body_bytes")]
    half = head("POST", "/api/v1/enrol", "Content-Length: 65000")
    with hub_with(trial), watched(trial, HTTP_MIB, *reasons):
        slow = [Client(stack.http_port, ("", half[:-4], half + "x" * 60000)[n % 3]) for n in range(800)]
        took = []
        for _ in range(50):  # others are served meanwhile
            since = time.monotonic()
            stack.fetch("/health/live")
            took.append(time.monotonic() - since)
        for refused, wanted in ((head("POST", "/api/v1/enrol", "Content-Length: 999999999"), 413),
                                (head("POST", "/api/v1/enrol", "Content-Length: 70000") + "x" * 70000, 413),
                                (head("GET", "/", "X: " + "x" * 100_000), 431)):
            client = Client(stack.http_port, refused)
            if client.status() != wanted:
                trial.problem(f"what is too large is not answered with {wanted}")
            client.close()
        wait_for(lambda: hub_metric(stack, "lapwing_http_connections") < 20, 20, "slow clients are closed")
        for client in slow:
            client.close()
    trial.notes["others' worst ms"] = round(1000 * max(took))
    if max(took) > 2:
        trial.problem(f"a request took {max(took):.1f} s while others were slow")
    trial.recovered(time.monotonic())


CASES = [
    Case("overload-ingest", "22", 1, "a device floods the hub's short queue", overload_ingest, alone=True),
    Case("overload-sse", "22", 1, f"{FOLLOWERS} followers of the live feed never read", overload_sse, alone=True,
         prepare=burst_source(watch="min = 0\nmax = 10\n")),
    Case("overload-http", "21", 1, "slow, too many and oversized HTTP requests", overload_http, alone=True),
]
