# SPDX-License-Identifier: Apache-2.0
"""Row 21 of the fault matrix: payloads around every limit and far above, at the site's broker and at the hub's."""
import time

import load
from case import Case
from mqtt import Client, publish_packet
from poison import MIB, POISON_TOPIC, dead_letters, prepare
from stack import wait_for


def oversized_intake(trial):
    """(size, what became of it) around the source's payload_bytes_max of 1 MiB and the 16 MiB that it tells the broker."""
    edge = trial.edge
    rows = []
    for size, wanted in ((MIB - 1, "taken"), (MIB, "taken"), (MIB + 1, "quarantined"), (8 * MIB, "quarantined"),
                         (16 * MIB + 1, "withheld by the broker"), (64 * MIB, "withheld by the broker")):
        taken = edge.metric("lapwing_unwatched_readings_total"), edge.metric("lapwing_quarantine_total")
        site = load.connect(trial.fleet.stack.site_port)
        body = b'{"x": 1%s}' % (b" " * (size - 8))
        site.sendall(load.publish(POISON_TOPIC.format(edge.name), body))

        def became():
            taken_now = edge.metric("lapwing_unwatched_readings_total"), edge.metric("lapwing_quarantine_total")
            return "quarantined" if taken_now[1] > taken[1] else "taken" if taken_now[0] > taken[0] else None
        try:
            got = wait_for(became, 1.5 if size > 16 * MIB else 10, "an outcome")
        except TimeoutError:
            got = "withheld by the broker" if size > 16 * MIB else "nothing"
        site.close()
        rows.append((size, got))
        if got != wanted:
            trial.problem(f"run {trial.done + 1}: a payload of {size} bytes is {got}, not {wanted}")
    return rows


def oversized_hub(trial):
    """Around the 2 MiB of a frame and the 2 MiB + 64 KiB of a packet at the hub's broker."""
    stack = trial.fleet.stack
    topic = f"lapwing/v1/demo/{trial.stranger}/up/records"
    packet_max = 2 * MIB + (64 << 10)
    overhead = len(publish_packet(topic, b"x" * 3 * MIB, 1)) - 3 * MIB - 5  # without the fixed header
    rows = []
    for size, wanted in ((2 * MIB - 1, "dead letter"), (2 * MIB, "dead letter"), (2 * MIB + 1, "dead letter: frame"),
                         (packet_max - overhead - 5, "dead letter: frame"),
                         (packet_max - overhead + 1, "refused by the broker"), (16 * MIB, "refused by the broker"),
                         (64 * MIB, "refused by the broker")):
        before = dead_letters(trial, trial.stranger)
        try:
            with Client(stack.mqtt_port, trial.stranger, trial.stranger_identity) as client:
                client.publish(topic, b"LW\x01\0" + b"\0" * (size - 4))
            wait_for(lambda: dead_letters(trial, trial.stranger) > before, 10, "a dead letter")
            reason = trial.edge.hub.one("SELECT reason FROM dead_letters WHERE device = ? ORDER BY number DESC LIMIT 1",
                                        trial.stranger)[0]
            got = "dead letter: frame" if reason.startswith("frame of") else "dead letter"
        except (EOFError, OSError) as error:
            got = "refused by the broker"
            trial.refusals.add(str(error)[:60])
        rows.append((size, got))
        if got != wanted:
            trial.problem(f"run {trial.done + 1}: a frame of {size} bytes: {got}, not {wanted}")
    return rows


def oversized(trial):
    trial.refusals = set()
    rows = (oversized_intake, oversized_hub)[trial.done % 2](trial)
    if trial.done < 2:
        side = ("site", "hub")[trial.done % 2]
        print("".join(f"  {side}: {size} bytes: {got}\n" for size, got in rows) + f"  {sorted(trial.refusals)}", flush=True)
    trial.count("sizes", len(rows))
    since = time.monotonic()
    # In the agent's name: the broker ends its connection.
    trial.proxy.inject([(trial.proxy.topic("records"), b"\0" * (3 * MIB))])
    trial.recovered(since)


CASES = [Case("oversized", "21", 8, "payloads around every limit, and far above", oversized, prepare, edges=2)]
