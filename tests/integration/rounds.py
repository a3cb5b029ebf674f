#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A federated round over real processes: three agents that share summaries, one that shares nothing, a hub; from the order to a
model file. Prints the bytes of each device. Kinds as arguments: pca without."""
import math
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging" / "demo"))

from stack import Stack, free_port, wait_for  # noqa: E402

LOOK_EVERY = "50ms"  # of the hub's workers: what a round takes is what they wait between two looks
TOOK_S = 10  # at most; some 0.7 s, with forests 2.7 s: they are told in two pieces
AGENT = """[agent]
data_dir = "{data}"

[uplink]
host = "localhost"
port = {port}
ca_file = "{identity}/ca.pem"
certificate_file = "{identity}/device.pem"
key_file = "{identity}/device.key"

[status]
enabled = false

[[source]]
kind = "csv"
name = "rows"
file = "{table}"
time_path = "timestamp"

[[group]]
name = "pump"
streams = ["rows/flow", "rows/heat"]
interval = "1s"
gap_check = false
share = "{share}"
"""


def table(path, seed):
    draw = random.Random(seed)
    with open(path, "w", encoding="utf-8") as out:
        out.write("timestamp,flow,heat\n")
        for second in range(400):
            load = math.sin(second / 20) + draw.gauss(0, 0.1)
            out.write(f"{1_790_000_000 + second},{10 + load:.6f},{300 - 2 * load + draw.gauss(0, .1):.6f}\n")


def run(stack):
    stack.start_hub({"LAPWING__JOBS__LOOK_EVERY": LOOK_EVERY})
    for number, share in enumerate(["summaries", "summaries", "samples", "none"], 1):
        device = f"pump-{number}"
        stack.enrol(device)
        folder = stack.dir / f"agent-{number}"
        folder.mkdir()
        table(folder / "rows.csv", number)
        config = folder / "agent.toml"
        config.write_text(AGENT.format(data=folder / "data", port=stack.mqtt_port, identity=stack.identity,
                                       table=folder / "rows.csv", share=share))
        stack.add(device, [stack.bin / "lapwing-agent", "run", "--config", config], lambda: True).start()
    wait_for(lambda: all(d["status"] == "online" for d in stack.fetch("/api/v1/devices")["items"]), 20, "devices online")
    for kind in sys.argv[1:] or ["pca"]:
        began = time.monotonic()
        made = stack.fetch("/api/v1/rounds", {"name": "autumn", "kind": kind, "devices_min": 3, "trees": 20, "sample": 64,
                                              "sensors": [{"name": "flow"}, {"name": "heat"}], "minutes": 5})
        at = f"/api/v1/rounds/{made['id']}"
        wait_for(lambda at=at: stack.fetch(at)["state"] in ("done", "failed"), 60, "the round's end")
        ended = stack.fetch(at)
        devices = {d["device"]: d for d in stack.fetch(at + "/devices")["items"]}
        for device in devices.values():
            print(f"{kind}: {device['device']}: {device['state']}, {device['rows']} rows, {device['bytes']} bytes {device['text']}")
        took = time.monotonic() - began
        print(f"{kind}: {ended['text']}, {took:.1f} s")
        assert ended["state"] == "done", ended
        assert took < TOOK_S, f"{took:.1f} s: what waited? An answer that is lost costs 15 s"
        assert devices["pump-4"]["state"] == "refused" and devices["pump-4"]["bytes"] == 0
        assert "share" in devices["pump-4"]["text"], devices["pump-4"]
        file = stack.fetch(f"/api/v1/model-files/{ended['model_sha256']}")
        assert file["kind"] == kind and file["length"] > 0, file
        assert len(ended["report"]) == 3 and ended["report"][0]["devices"] == 3


if __name__ == "__main__":
    with Stack() as s:
        run(s)
    print("ok")
