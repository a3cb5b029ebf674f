# SPDX-License-Identifier: Apache-2.0
"""A hub with its broker, a site broker with load, and as many agents as the cases need; all real processes."""
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging" / "demo"))

from hub_view import hub_view  # noqa: E402
from oracle import OutboxOracle, compare  # noqa: E402
from stack import Part, Stack, memory_kb, wait_for  # noqa: E402

AGENT = """
[agent]
name = "{name}"
data_dir = "{data}"

[engine]
shards = 1
summary_interval = "{summary_ms}ms"

[uplink]
host = "localhost"
port = {mqtt_port}
ca_file = "{identity}/ca.pem"
certificate_file = "{identity}/device.pem"
key_file = "{identity}/device.key"
{patience}
{uplink}

[status]
listen = "127.0.0.1:{status_port}"

[[source]]
name = "site"
kind = "mqtt"
broker = "mqtt://127.0.0.1:{site_port}"
topics = [{topics}]
qos = 0
format = "json"

[[watch]]
name = "load"
streams = ["load/#"]
alarms_per_week = 1000
warmup = 60
{more}
"""
PATIENCE = 'answer_timeout = "1s"\nreconnect_max = "1s"'  # less than the standard's, for many faults in a short time
KEEP_ALL = {"LAPWING__STORE__LEDGER_ROWS_PER_DEVICE": "1000000000",  # every key stays for the comparison
            "LAPWING__INGEST__TRIM_EVERY": "1d"}  # and every point, of whatever year


PORTS = set()  # given out


def quiet_port():
    """A free one that the kernel does not give to clients meanwhile: an edge may need it again for hours."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as text:
        first = int(text.read().split()[0])
    while True:
        port = random.randrange(max(1024, first - 16384), first)
        if port in PORTS:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                PORTS.add(port)
                return port
            except OSError:
                continue


class Fleet:
    """Use as a context manager."""

    def __init__(self, rate=200, topics=20, keep=False, env=None, stack=None):
        self.stack = stack or Stack(keep=keep, port=quiet_port)
        self.env = {**KEEP_ALL, **(env or {})}  # of the hub
        self.rate, self.topics = rate, topics
        self.edges = []
        self._load = None
        self._enrolling = threading.Lock()

    def __enter__(self):
        try:
            self.stack.start_site_broker()
            self.stack.start_hub(self.env)
            self.start_load()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop_load()
        for edge in self.edges:
            edge.close()
        self.stack.close()

    def start_load(self):
        load = pathlib.Path(__file__).with_name("load.py")
        self._load = subprocess.Popen([sys.executable, load, str(self.stack.site_port), str(self.rate), str(self.topics)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop_load(self):
        """How many messages there were."""
        if self._load is None:
            return 0
        sent, _ = self._load.communicate("\n", timeout=30)
        self._load = None
        return int(sent or 0)

    def edge(self, name, **options):
        """An enrolled agent, not started yet."""
        with self._enrolling:
            self.stack.enrol(name)
            edge = Edge(self, name, self.stack.identity, **options)
            self.edges.append(edge)
            return edge

    def identity(self, name):
        """The folder of a device that is enrolled and has no agent."""
        with self._enrolling:
            self.stack.enrol(name)
            return self.stack.identity


class Edge:
    """One device: its folder, its agent's process, and who watches over its records from outside.

    mqtt_port: where the uplink connects (a proxy's port, say); patience, uplink, more: TOML for the agent; env: for its process;
    topics: of its source, as in TOML; summary_ms: its summary_interval.
    """

    def __init__(self, fleet, name, identity, mqtt_port=None, patience=PATIENCE, uplink="", more="", env=None, topics='"load/#"',
                 summary_ms=200):
        self.fleet, self.name, self.identity = fleet, name, identity
        stack = fleet.stack
        self.dir = stack.dir / f"edge-{name}"
        self.dir.mkdir()
        self.data = self.dir / "data"
        self.data.mkdir()
        self.status_port = quiet_port()
        self.options = {"mqtt_port": mqtt_port or stack.mqtt_port, "site_port": stack.site_port, "patience": patience,
                        "uplink": uplink, "more": more, "topics": topics, "summary_ms": summary_ms}
        self.config = self.dir / "agent.toml"
        self.write_config()
        self.part = Part(f"agent-{name}", [stack.bin / "lapwing-agent", "run", "--config", self.config], self.dir, self.ready, env)
        self.hub = hub_view(stack, name)
        self.oracle = OutboxOracle(self.data)
        self.peak_kb = 0  # of the agent's resident memory, over all its processes

    def write_config(self, **changes):
        self.options.update(changes)
        self.config.write_text(AGENT.format(name=self.name, data=self.data, identity=self.identity,
                                            status_port=self.status_port, **self.options))

    def ready(self):
        try:
            self.status("/health/live")
            return True
        except OSError:
            return False

    def status(self, path="/api/v1/status"):
        stack = self.fleet.stack
        return stack.fetch_from(f"http://127.0.0.1:{self.status_port}{path}", timeout=5)

    def metric(self, name):
        """The sum over labels of one of the agent's metrics."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.status("/metrics").splitlines()
                   if line.startswith(name) and line[len(name)] in " {")

    # --- the process
    def start(self, wait=30):
        self.part.start(wait)
        self.oracle.resume()

    def note_memory(self):
        if self.part.process is not None:
            self.peak_kb = max(self.peak_kb, memory_kb(self.part.process.pid, "VmHWM") or 0)

    def kill(self):
        self.note_memory()
        self.part.kill()

    def stop(self):
        self.note_memory()
        self.part.stop()

    def ended(self, seconds=30):
        """Waits for a process that ends by itself."""
        self.part.process.wait(seconds)

    def close(self):
        self.oracle.finish()
        try:
            self.part.stop()
        except TimeoutError as error:
            print(error, flush=True)
        self.hub.close()

    def copy_data(self, to):
        """The data folder as it is now (of an agent that does not run): a backup, a clone."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.data, to)

    def put_data(self, source):
        shutil.rmtree(self.data)
        shutil.copytree(source, self.data)

    # --- where it stands
    def next_seq(self):
        """Of the running agent's outbox; waits while it cannot be asked."""
        def ask():
            try:
                return self.status()["outbox"]["next_seq"]
            except (OSError, ValueError, KeyError):
                if not self.part.running():
                    raise RuntimeError(f"{self.name}: the agent ended with {self.part.process.returncode}:\n"
                                       f"{self.part.tail()}") from None
                return None
        return wait_for(ask, 30, f"{self.name}: the agent's status")

    def wait_moved_on(self, seconds=60):
        target = self.next_seq()  # the next record gets it
        wait_for(lambda: self.hub.watermark()[1] >= target, seconds, f"{self.name}: record {target} at the hub")

    def account(self, seconds=120):
        """What became of its records, once agent and hub are quiet; an agent may notice late that its sensors fell silent."""
        for _ in range(10):
            self.drain(seconds)
            next_seq = self.next_seq()
            self.oracle.pause()
            account = compare(self.oracle, next_seq, self.hub)
            if self.next_seq() == next_seq:
                return account
            self.oracle.resume()
        raise TimeoutError(f"{self.name}: it does not come to rest")

    def drain(self, seconds=120):
        """After the load has ended: waits until everything committed is at the hub."""
        last = -1

        def quiet():
            nonlocal last
            before, last = last, self.next_seq()
            time.sleep(0.3)
            return last == before and self.hub.watermark()[1] >= last - 1

        wait_for(quiet, seconds, f"{self.name}: draining")
        self.note_memory()
