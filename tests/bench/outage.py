#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A day without the hub, and the hour after: restart over the backlog, draining beside live records.

The backlog is built at once (bench_backlog writes what an agent would have written at RATE records/s), then a real agent starts
over it with a real hub, broker, TLS, and live readings that make RATE records/s. Prints figure | target | measured.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging/demo"))
sys.path.insert(0, str(ROOT / "tests/faults"))
from case import percentile  # noqa: E402  (their folders are no packages)
from figures import MISSED, row  # noqa: E402
from hub_view import open_read_only  # noqa: E402
from stack import Stack, memory_kb, wait_for  # noqa: E402

AGENT = """
[engine]
summary_interval = "1s"

[outbox]
bytes_max = "200GiB"

[[source]]
name = "site"
kind = "mqtt"
broker = "mqtt://127.0.0.1:{port}"
topics = ["load/#"]
qos = 0
format = "json"

[[watch]]
name = "load"
streams = ["load/#"]
"""


class LiveWatch:
    """How long after its commit each live record is at the hub: polls the outbox and the hub's ledger from outside."""

    def __init__(self, outbox, hub, first_seq):
        self.outbox, self.hub, self.next = outbox, hub, first_seq
        self.waiting = []  # [first, last, committed at, how many have come]
        self.delays = []  # seconds, one a record
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        outbox, hub = open_read_only(self.outbox), open_read_only(self.hub)
        while not self.stop.is_set():
            next_seq = outbox.execute("SELECT next_seq FROM position").fetchone()[0]
            now = time.monotonic()
            if next_seq > self.next:
                self.waiting.append([self.next, next_seq - 1, now, 0])
                self.next = next_seq
            for commit in self.waiting:
                count = hub.execute("SELECT count(*) FROM ledger WHERE seq BETWEEN ? AND ? AND device_no = 1 AND tenant_no = 1"
                                    " AND epoch = (SELECT epoch FROM devices)", commit[:2]).fetchone()[0]
                now = time.monotonic()
                self.delays += [now - commit[2]] * (count - commit[3])
                commit[3] = count
            self.waiting = [one for one in self.waiting if one[3] < one[1] - one[0] + 1]
            self.stop.wait(0.01)

    def finish(self):
        """Those that have not come count with what they waited so far."""
        self.stop.set()
        self.thread.join()
        late = sum(one[1] - one[0] + 1 - one[3] for one in self.waiting if time.monotonic() - one[2] > 1)
        return self.delays + [float("inf")] * late


def measure(stack, options, build):
    data = stack.dir / "agent-data"
    data.mkdir()
    records = round(options.hours * 3600 * options.rate)
    made = subprocess.run([build / "bench/bench_backlog", data, str(records), str(options.rate)], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.split()
    took = float(made[1])
    size = sum(file.stat().st_size for file in data.iterdir())
    row(f"backlog of {options.hours:g} h at {options.rate} records/s", "", f"{records:,} records, built in {took:.0f} s")
    row("disk bytes a record (payload " + f"{int(made[2]) / records - 40:.0f} bytes)", "", f"{size / records:.0f}, {size / 1e9:.2f} GB")

    stack.start_site_broker()
    load = subprocess.Popen([sys.executable, ROOT / "tests/faults/load.py", str(stack.site_port), str(options.rate * 2),
                             str(options.rate // 2)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        stack.start_agent(AGENT.format(port=stack.site_port), start=False)
        began = time.monotonic()
        stack.agent.start()
        ready = time.monotonic() - began
        scored = wait_for(lambda: stack.status()["readings_total"] > 0, 30, "the first reading") and time.monotonic() - began
        row("restart: ready", "", f"{ready:.2f} s")
        row("restart: the first reading scored", "< 2 s", f"{scored:.2f} s", scored < 2)
        hub = open_read_only(stack.hub_dir / "hub.db")

        def watermark():
            return hub.execute("SELECT watermark, epoch_base FROM devices").fetchone()

        wait_for(lambda: watermark()[0] > 0, 60, "draining has begun")
        time.sleep(3)  # live records at their rate
        live = LiveWatch(data / "outbox.db", stack.hub_dir / "hub.db", stack.status()["outbox"]["next_seq"])
        first, began = watermark()[0], time.monotonic()
        while time.monotonic() - began < options.seconds and watermark()[0] < records:
            time.sleep(1)
            if int(time.monotonic() - began) % 10 == 0:
                print(f"  {watermark()[0] / 1e6:.2f} of {records / 1e6:.1f} million drained, "
                      f"{(watermark()[0] - first) / (time.monotonic() - began):,.0f} records/s", file=sys.stderr, flush=True)
        span = time.monotonic() - began
        drained = (watermark()[0] - first) / span
        delays = live.finish()
        row(f"drained beside live records, over {span:.0f} s", f">= {options.ratio * options.rate:,}/s", f"{drained:,.0f} records/s",
            drained >= options.ratio * options.rate)
        row(f"live, commit to hub, of {len(delays):,}: p50 / p99", "p99 < 1 s",
            f"{percentile(delays, 0.5):.3f} s / {percentile(delays, 0.99):.3f} s", percentile(delays, 0.99) < 1)
        peak = memory_kb(stack.agent.process.pid, "VmHWM") * 1024
        row("the agent's peak memory", "< 60 MB", f"{peak / 1e6:.1f} MB", peak < 60e6)
        hub_peak = memory_kb(stack.hub.process.pid, "VmHWM") * 1024
        row("the hub's peak memory", "", f"{hub_peak / 1e6:.1f} MB")
        if options.drain:
            load.communicate(b"\n", timeout=30)
            wait_for(lambda: stack.status()["outbox"]["records"] == 0, 900, "everything drained")
            wait_for(lambda: stack.fetch(f"/api/v1/devices/{stack.device}")["outstanding"] == 0, 60, "the hub's account")
            device = stack.fetch(f"/api/v1/devices/{stack.device}")
            whole = device["stored"] == device["produced"] and device["outstanding"] == 0
            row("after draining: produced = stored", "", f"{device['produced']:,} = {device['stored']:,}", whole)
    finally:
        load.kill()
        load.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rate", type=int, default=1000, help="records a second, in the outage and live")
    parser.add_argument("--ratio", type=int, default=20, help="drained at least so many times the live rate")
    parser.add_argument("--seconds", type=float, default=60, help="of draining that are measured")
    parser.add_argument("--drain", action="store_true", help="wait until everything is at the hub, and compare the ledger")
    options = parser.parse_args()
    with Stack(bin_dir=os.environ.get("LAPWING_BIN") or options.build / "bin") as stack:
        stack.start_hub()
        stack.enrol("edge-outage")
        measure(stack, options, options.build)
    return 1 if MISSED else 0


if __name__ == "__main__":
    sys.exit(main())
