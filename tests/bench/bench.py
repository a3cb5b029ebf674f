#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Lapwing's speed and size with real processes and prints a table; tests/bench/run.sh builds and calls it.

Ratios are measured side by side: the bare subscriber and the agent take turns on the same flood, in one run.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging/demo"))
sys.path.insert(0, str(ROOT / "tests/faults"))
from figures import MISSED, row  # noqa: E402
from follow import follow  # noqa: E402  (their folders are no packages)
from load import connect, publish  # noqa: E402
from stack import Stack, memory_kb, wait_for  # noqa: E402

AGENT = """
[engine]
summary_interval = "10s"
streams_max = 50000

[[source]]
name = "site"
kind = "mqtt"
broker = "mqtt://127.0.0.1:{port}"
topics = ["bench/#"]
qos = {qos}
persistent = false

[[watch]]
name = "bench"
streams = ["bench/#"]
"""


def metric(text, name, labels=""):
    """Sum of a metric over its labels; those whose labels hold `labels` only."""
    total = 0.0
    for line in text.splitlines():
        head, _, value = line.rpartition(" ")
        if head.split("{")[0] == name and labels in head:
            total += float(value)
    return total


def cpu_seconds(pid):
    """Of all threads, by the scheduler's own clock: ticks miss threads that run for microseconds."""
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def resident_bytes(pid):
    return memory_kb(pid, "VmRSS") * 1024


class LoneAgent(Stack):
    """An agent without a hub."""

    def start(self, toml):
        data = self.dir / "agent-data"
        data.mkdir()
        config = self.dir / "agent.toml"
        config.write_text(f'[agent]\ndata_dir = "{data}"\n[status]\nlisten = "127.0.0.1:{self.status_port}"\n{toml}')
        self.agent = self.add("agent", [self.bin / "lapwing-agent", "run", "--config", config], self.agent_ready)
        self.agent.start()


class Bench:
    def __init__(self, build, seconds):
        self.bin, self.tools, self.seconds = build / "bin", build / "bench", seconds

    def stack(self):
        return LoneAgent(bin_dir=self.bin)

    def flood(self, stack, qos, rate, topics, seconds):
        return subprocess.Popen([self.tools / "bench_flood", str(stack.site_port), str(qos), str(rate), str(topics),
                                 str(seconds)], stdout=subprocess.PIPE, text=True)

    def agent(self, stack, qos=0, extra=""):
        """Starts an agent and waits until it has the site broker; its process id."""
        stack.start(AGENT.format(port=stack.site_port, qos=qos) + extra)
        wait_for(lambda: metric(stack.status("/metrics"), "lapwing_source_connected") == 1, 20, "the agent's source")
        return stack.agent.process.pid

    # --- figures -------------------------------------------------------------------------------------------------
    def decode(self):
        subprocess.run([self.tools / "bench_decode"], check=True)

    def detect(self):
        subprocess.run([self.tools / "bench_detect"], check=True)

    def store(self):
        subprocess.run([self.tools / "bench_store"], check=True)

    def size(self):
        with tempfile.NamedTemporaryFile() as file:
            subprocess.run(["strip", "-o", file.name, self.bin / "lapwing-agent"], check=True)
            megabytes = os.stat(file.name).st_size / 1e6
        row("agent, stripped", "<= 8 MB", f"{megabytes:.2f} MB", megabytes <= 8)

    def memory(self):
        with self.stack() as stack:
            stack.start_site_broker()
            pid = self.agent(stack)
            time.sleep(5)
            idle = resident_bytes(pid) / 1e6
            row("agent memory, idle", "<= 15 MB", f"{idle:.1f} MB", idle <= 15)
            flood = self.flood(stack, 0, 10000, 1000, 20)
            time.sleep(18)
            busy = resident_bytes(pid) / 1e6
            flood.communicate()
            row("agent memory, 10,000 msg/s, 2,000 streams", "<= 40 MB", f"{busy:.1f} MB", busy <= 40)
            before = resident_bytes(pid)
            self.flood(stack, 0, 10000, 11000, 5).communicate()
            time.sleep(3)
            streams = 2 * 10000
            per_stream = (resident_bytes(pid) - before) / streams
            row("agent memory for each further stream (20,000 more)", "stated", f"{per_stream:.0f} bytes")

    def cpu(self):
        """The bare subscriber's share is printed beside the agent's: what the client library costs by itself."""
        with self.stack() as stack:
            stack.start_site_broker()
            pid = self.agent(stack)
            bare = subprocess.Popen([self.tools / "bench_subscriber", str(stack.site_port), "0"],
                                    stdout=subprocess.DEVNULL)
            seconds = self.seconds * 4
            flood = self.flood(stack, 0, 1000, 1000, seconds + 6)
            time.sleep(5)
            begin, used, bare_used = time.monotonic(), cpu_seconds(pid), cpu_seconds(bare.pid)
            time.sleep(seconds)
            elapsed = time.monotonic() - begin
            percent = 100 * (cpu_seconds(pid) - used) / elapsed
            bare_percent = 100 * (cpu_seconds(bare.pid) - bare_used) / elapsed
            flood.communicate()
            bare.terminate()
            bare.wait()
            row("agent CPU at 1,000 msg/s (2,000 readings/s), of one core", "<= 3 %",
                f"{percent:.2f} % (a bare Paho subscriber {bare_percent:.2f} %)", percent <= 3)

    def bare_rate(self, qos):
        with self.stack() as stack:
            stack.start_site_broker()
            bare = subprocess.Popen([self.tools / "bench_subscriber", str(stack.site_port), str(qos)],
                                    stdout=subprocess.PIPE, text=True)
            bare.stdout.readline()  # subscribed
            samples = []
            reader = threading.Thread(target=lambda: samples.extend(line.split() for line in bare.stdout))
            reader.start()
            begin = time.monotonic()
            self.flood(stack, qos, 0, 1000, self.seconds + 1.5).communicate()
            bare.terminate()
            reader.join()
            bare.wait()
            window = [(float(at), int(count)) for at, count in samples if begin + 1 < float(at) < begin + 1 + self.seconds]
            return (window[-1][1] - window[0][1]) / (window[-1][0] - window[0][0])

    def agent_rate(self, qos):
        with self.stack() as stack:
            stack.start_site_broker()
            self.agent(stack, qos)

            def taken():
                return time.monotonic(), metric(stack.status("/metrics"), "lapwing_messages_total")

            flood = self.flood(stack, qos, 0, 1000, self.seconds + 1.5)
            time.sleep(1)
            first = taken()
            time.sleep(self.seconds)
            last = taken()
            sent = int(flood.communicate()[0])
            wait_for(lambda: taken()[1] >= sent, 60, f"the agent to take all {sent} messages")
            self.check_scored(stack, sent)
            return (last[1] - first[1]) / (last[0] - first[0])

    @staticmethod
    def check_scored(stack, messages):
        """Every message taken gave two scored readings, none refused."""
        wait_for(lambda: metric(stack.status("/metrics"), "lapwing_predictions_total") >= 2 * messages, 30, "all readings scored")
        text = stack.status("/metrics")
        refused = metric(text, "lapwing_quarantine_total")
        if refused or metric(text, "lapwing_readings_total") != 2 * messages:
            raise RuntimeError(f"{refused:.0f} refused; {metric(text, 'lapwing_readings_total'):.0f} readings of {messages} messages")

    def intake(self):
        for qos in (0, 1):
            bare, agent = [], []
            for _ in range(3):
                bare.append(self.bare_rate(qos))
                agent.append(self.agent_rate(qos))
            bare_median, agent_median = statistics.median(bare), statistics.median(agent)
            share = 100 * agent_median / bare_median
            row(f"intake at QoS {qos}, 1,000 topics, share of a bare Paho subscriber", ">= 80 %",
                f"{share:.0f} % ({agent_median:,.0f} of {bare_median:,.0f} msg/s, every reading scored)", share >= 80)

    def delay(self):
        """From publishing a value beyond a hard limit to the hub's feed telling of it."""
        seen, stop = {}, threading.Event()

        def on_event(anomaly):
            seen.setdefault(anomaly["stream"], time.monotonic())

        with Stack(bin_dir=self.bin) as stack:
            stack.start_site_broker()
            stack.start_hub()
            stack.enrol()
            stack.start_agent(AGENT.format(port=stack.site_port, qos=1) + "max = 500.0\n")
            wait_for(lambda: metric(stack.status("/metrics"), "lapwing_source_connected") == 1, 20, "the agent's source")
            threading.Thread(target=follow, args=(stack, on_event, stop), daemon=True).start()
            spikes = 300
            flood = self.flood(stack, 0, 1000, 1000, spikes * 0.1 + 15)
            time.sleep(5)
            client = connect(stack.site_port)
            sent = {}
            for spike in range(spikes):
                sent[f"bench/{spike}/temperature"] = time.monotonic()
                client.sendall(publish(f"bench/{spike}", b'{"temperature":9999,"humidity":90}'))
                time.sleep(0.1)
            wait_for(lambda: all(stream in seen for stream in sent), 20, "every anomaly at the hub")
            stop.set()
            flood.communicate()
        delays = sorted(1000 * (seen[stream] - sent[stream]) for stream in sent)
        p99 = delays[int(0.99 * len(delays))]
        row("publish -> anomaly at the hub's API, 1,000 msg/s, p99", "<= 500 ms",
            f"{p99:.0f} ms (median {statistics.median(delays):.0f} ms, {len(delays)} anomalies)", p99 <= 500)


FIGURES = ["decode", "detect", "size", "memory", "cpu", "intake", "delay", "store"]


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--seconds", type=int, default=5, help="of each measured flood")
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []])
    options = parser.parse_args()
    bench = Bench(options.build.resolve(), options.seconds)
    print(f"{os.cpu_count()} cores; load before {os.getloadavg()[0]:.2f}")
    print(f"{'figure':<62} | {'target':<14} | measured\n{'-' * 110}")
    for figure in options.figures or FIGURES:
        getattr(bench, figure)()
    if MISSED:
        print(f"\n{len(MISSED)} missed: " + "; ".join(MISSED))
    return 1 if MISSED else 0


if __name__ == "__main__":
    sys.exit(main())
