# SPDX-License-Identifier: Apache-2.0
"""Row 22 of the fault matrix, the hub's half: a hub at one hundredth of its speed."""
import signal
import time

from case import Case
from stack import memory_kb, wait_for

SHARE, PERIOD = 0.01, 0.5  # it runs for 5 ms in every 500
HUB_MIB_MAX = 256  # its queue may hold 64 MiB, its page cache 64


def peak_mib(process):
    return memory_kb(process.pid, "VmHWM") / 1024


def slow_hub(trial):
    stack, edge = trial.fleet.stack, trial.edge
    hub, began = stack.hub.process, time.monotonic()
    stored, given = edge.hub.watermark()[1], edge.next_seq()
    try:
        hub.send_signal(signal.SIGSTOP)  # first a queue that it has to take
        time.sleep(4)
        while time.monotonic() - began < 12:
            hub.send_signal(signal.SIGSTOP)
            time.sleep(PERIOD * (1 - SHARE))
            hub.send_signal(signal.SIGCONT)
            time.sleep(PERIOD * SHARE)
    finally:
        hub.send_signal(signal.SIGCONT)
    trial.sample("stored/given", (edge.hub.watermark()[1] - stored) / max(1, edge.next_seq() - given))
    since = time.monotonic()
    trial.recovered(since, 60)
    edge.note_memory()
    queue = stack.fetch("/metrics")
    waiting = max(float(line.split()[1]) for line in queue.splitlines() if line.startswith("lapwing_hub_queue_bytes "))
    trial.sample("hub MiB", peak_mib(hub))
    trial.sample("broker MiB", peak_mib(stack.hub_broker.process))
    if peak_mib(hub) > HUB_MIB_MAX:
        trial.problem(f"the hub took {peak_mib(hub):.0f} MiB, more than {HUB_MIB_MAX}")
    wait_for(lambda: edge.hub.online(), 10, f"{edge.name}: online again")
    trial.sample("queued KiB", waiting / 1024)


CASES = [Case("slow-hub", "22", 4, "the hub gets one hundredth of the time", slow_hub, alone=True)]
