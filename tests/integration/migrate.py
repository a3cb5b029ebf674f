#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hub with a live device is stopped, moved from SQLite to PostgreSQL and started again: the device goes on in the same
epoch, every record it made meanwhile arrives, and what was there before is told as before."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging" / "demo"))

from postgres import Postgres  # noqa: E402
from stack import THIS_MACHINE, Stack, wait_for  # noqa: E402


def device(stack):
    return stack.fetch(f"/api/v1/devices/{stack.device}")


def device_when(stack, good):
    found = device(stack)
    return found if good(found) else None


def run(stack, postgres):
    stack.start_hub()
    stack.enrol()
    stack.start_agent(THIS_MACHINE, {"LAPWING__UPLINK__ANSWER_TIMEOUT": "500ms", "LAPWING__UPLINK__RECONNECT_MAX": "1s",
                              "LAPWING__UPLINK__STATUS_INTERVAL": "1s"})
    before = wait_for(lambda: device_when(stack, lambda d: d["stored"] >= 40), 30, "records")
    stream = stack.fetch(f"/api/v1/devices/{stack.device}/streams")["items"][0]
    stack.hub.stop()
    moved = subprocess.run([stack.bin / "lapwing-hub", "migrate", "--config", stack.hub_dir / "hub.toml", "--to", postgres.url],
                           capture_output=True, text=True, check=False)
    print(moved.stdout, end="")
    assert moved.returncode == 0, moved.stderr
    assert postgres.url in (stack.hub_dir / "hub.toml").read_text()
    source = (stack.hub_dir / "hub.db").read_bytes()
    stack.hub.start()
    wait_for(lambda: device(stack)["stored"] >= before["stored"] + 40, 30, "records after the move")
    stack.agent.stop()  # it sends what it holds
    stack.agent.start()
    after = wait_for(lambda: device_when(stack, lambda d: d["outstanding"] == 0), 30, "all to arrive")
    stack.agent.stop()
    ledger = after
    assert after["epoch"] == before["epoch"] == 1, (before, after)
    assert ledger["produced"] == ledger["stored"], ledger
    points = stack.fetch(f"/api/v1/devices/{stack.device}/history?stream={stream['stream']}&limit=10000")
    assert points["gaps"] == [], points["gaps"]
    assert source == (stack.hub_dir / "hub.db").read_bytes(), "the old database is as it was"
    print(f"stored {before['stored']} before, {ledger['stored']} after, nothing lost, epoch {after['epoch']}")


def main():
    postgres = Postgres("fsync = off")
    try:
        postgres.start()
        with Stack() as stack:
            run(stack, postgres)
    finally:
        postgres.close()


if __name__ == "__main__":
    main()
