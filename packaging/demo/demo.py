#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the whole of Lapwing on this machine with a simulated pump; packaging/demo.sh installs, builds and calls this."""
import argparse
import json
import os
import signal
import sys
import threading
import time

from follow import all_anomalies, follow, show, verdict
from stack import Stack, accepts, free_port

AGENT = """
[engine]
summary_interval = "1s"

[[source]]
name = "site"
kind = "mqtt"
broker = "mqtt://127.0.0.1:{site_port}"
topics = ["factory/#"]
qos = 1
format = "json"

[[source]]
name = "this-machine"
kind = "host"
interval = "1s"

[[watch]]
name = "pump"
streams = ["factory/#"]
alarms_per_week = 20

[[watch]]
name = "machine"
streams = ["host/#"]
alarms_per_week = 1
"""
SETTLE_S = 8  # after the plant's run: the last outage is noticed and its record arrives


def read_truth(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def main():
    parser = argparse.ArgumentParser(prog="packaging/demo.sh")
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--port", type=int)
    parser.add_argument("--info")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.seconds is not None and options.seconds < 60:
        parser.error("--seconds: 60 or more; the detectors need half of it to learn what is normal")
    if options.port and accepts(options.port):
        parser.error(f"--port {options.port}: another program listens there; choose another, or leave it out")
    port = options.port or (8080 if not accepts(8080) else free_port())

    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    missed = 1
    with Stack(http_port=port, keep=options.keep) as stack:
        try:
            missed = run(stack, options)
        except KeyboardInterrupt:
            missed = 0 if options.seconds is None else 130
            print("\nstopping", flush=True)
        except (RuntimeError, TimeoutError, OSError) as error:
            print(f"demo: {error}", file=sys.stderr)
        if options.keep:
            print(f"kept: {stack.dir}")
    return missed


def run(stack, options):
    stack.start_site_broker()
    stack.start_hub()
    stack.enrol("demo-edge")
    stack.start_agent(AGENT.format(site_port=stack.site_port))
    page = f"{stack.url}/#token={stack.token}"
    print(f"\n  the page: {page}\n", flush=True)
    if options.info:
        with open(options.info + ".new", "w", encoding="utf-8") as file:
            json.dump({"url": stack.url, "token": stack.token, "page": page, "device": stack.device}, file)
        os.replace(options.info + ".new", options.info)

    stop = threading.Event()
    threading.Thread(target=follow, args=(stack, show, stop), daemon=True).start()
    truth = stack.dir / "truth.ndjson"
    plant_s = 0 if options.seconds is None else options.seconds - SETTLE_S
    plant = stack.add("plant", [stack.bin / "lapwing-demo-plant", "--broker", f"mqtt://127.0.0.1:{stack.site_port}",
                                "--seconds", plant_s, "--truth", truth], lambda: True)
    plant.start()
    if options.seconds is None:
        print("the pump runs and breaks again and again; Ctrl-C stops everything", flush=True)
        threading.Event().wait()
    print(f"the pump runs for {plant_s} s; its detectors learn first, then four faults come", flush=True)
    deadline = time.monotonic() + options.seconds
    while time.monotonic() < deadline:
        for part in stack.parts:
            if part is not plant and not part.running():
                raise RuntimeError(f"{part.name} ended by itself:\n{part.tail()}")
        time.sleep(min(1.0, max(0.0, deadline - time.monotonic())))
    stop.set()
    faults = read_truth(truth)
    if not faults:
        raise RuntimeError(f"the plant injected no fault:\n{plant.tail()}")
    return 0 if verdict(faults, all_anomalies(stack)) == 0 else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the feed's thread may be blocked in a read
