# SPDX-License-Identifier: Apache-2.0
"""What is not promised, measured: the readings that are in no record when the agent is killed.

A sensor counts at a fixed rate, QoS 1, and the broker keeps for the agent what comes while it is away. Each summary tells how many
readings it stands for and between which counts; what is missing between two neighbours was in flight.
"""
import socket
import struct
import threading
import time

from case import Case
from load import connect, remaining_length, text

RATE = 1000  # a second: a reading is a millisecond
SUMMARY = 0.2  # seconds, of fleet.AGENT

SOURCE = """
[[source]]
name = "counter"
kind = "mqtt"
broker = "mqtt://127.0.0.1:{port}"
topics = ["count/#"]
qos = 1
format = "json"

[[watch]]
name = "counter"
streams = ["count/#"]
"""


class Counter(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = connect(port)
        self.client.settimeout(5)
        self.ended = threading.Event()
        self.start()

    def run(self):
        threading.Thread(target=self.hear, daemon=True).start()
        began, count = time.monotonic(), 0
        while not self.ended.wait(0.005):
            packets = bytearray()
            while count < (time.monotonic() - began) * RATE:
                count += 1
                body = text("count/line") + struct.pack("!H", count % 65535 + 1) + b'{"n": %d}' % count
                packets += b"\x32" + remaining_length(len(body)) + body
            self.client.sendall(packets)
        self.client.close()

    def hear(self):
        try:
            while self.client.recv(4096):  # acknowledgements
                pass
        except (OSError, socket.timeout):
            pass


def prepare(trial):
    port = trial.fleet.stack.site_port
    trial.edge.write_config(more=SOURCE.format(port=port))
    trial.counter = Counter(port)


def points(trial):
    return trial.edge.hub.rows(
        "SELECT value_min, value_max FROM history h JOIN streams s USING (tenant_no, device_no, stream_no) JOIN devices d"
        " USING (tenant_no, device_no) WHERE d.device = ? AND s.stream LIKE 'count/%' ORDER BY value_min", trial.edge.name)


def kill(trial):
    time.sleep(trial.random.uniform(0.6, 1.2))
    trial.edge.kill()
    since = time.monotonic()
    trial.edge.start()
    trial.recovered(since)
    if trial.done + 1 < trial.runs:
        return
    trial.counter.ended.set()
    trial.edge.wait_moved_on()
    neighbours = points(trial)
    gaps = [round(after[0] - before[1]) - 1 for before, after in zip(neighbours, neighbours[1:])]
    for gap in gaps:
        if gap > 0:
            trial.sample("readings in flight", gap)
    worst = max(gaps, default=0)
    if sum(gap > 0 for gap in gaps) > 2 * trial.runs:  # what the broker says again after a kill may lie in the middle of one
        trial.problem(f"{sum(gap > 0 for gap in gaps)} gaps after {trial.runs} kills")
    if worst > (SUMMARY + 0.3) * RATE:
        trial.problem(f"{worst} readings were in flight")


CASES = [
    Case("in-flight", "1", 100, "readings that are in no record when the agent is killed: not promised, measured", kill, prepare,
         {"topics": '"none/#"'}, edges=4),
]
