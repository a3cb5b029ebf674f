# SPDX-License-Identifier: Apache-2.0
"""A whole Lapwing on one machine: site broker, hub broker, hub and agent as real processes in one fresh directory.

The demo, the crash tests, the browser test and the benchmarks all start it from here. Everything binds to 127.0.0.1;
only processes started here are ever ended here.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A broker that many devices came to at once gives the buffers of their handshakes back (docs/grow.md).
BROKER = {"MALLOC_MMAP_THRESHOLD_": "16384"}
# For `start_agent`: it watches the machine it is on, with records from the first second.
THIS_MACHINE = """
[engine]
summary_interval = "200ms"

[[source]]
name = "this-machine"
kind = "host"
interval = "200ms"

[[watch]]
name = "machine"
streams = ["host/#"]
alarms_per_week = 1000
warmup = 60
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds, what):
    """Polls an outside process; returns the condition's first true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def accepts(port, address="127.0.0.1"):
    with socket.socket() as client:
        client.settimeout(0.5)
        return client.connect_ex((address, port)) == 0


def memory_kb(pid, field):
    """A figure of /proc/PID/status: VmRSS, what is resident; VmHWM, the most that was. None when the process is gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), None)


class Part:
    """One process of the stack; its output goes to a file named after it."""

    def __init__(self, name, argv, directory, ready, env=None):
        self.name, self.argv, self.ready = name, [str(word) for word in argv], ready
        self.log = directory / f"{name}.log"
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.kills = 0

    def start(self, wait=30):
        self.launch()
        self.wait(wait)

    def launch(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)

    def wait(self, seconds=30):
        """Until it is ready."""
        def up():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            return self.ready()

        try:
            wait_for(up, seconds, self.name)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.tail()}") from None

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Ends it without warning, as a power cut or the kernel's out-of-memory killer would."""
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def stop(self, seconds=15):
        if not self.running():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise TimeoutError(f"{self.name} did not stop within {seconds} s of SIGTERM:\n{self.tail()}") from None


class Stack:
    """Use as a context manager: `with Stack() as stack: stack.start_hub(); stack.start_agent(toml)`."""

    def __init__(self, bin_dir=None, http_port=None, tls=False, keep=False, store=None, port=free_port):
        self.bin = pathlib.Path(bin_dir or os.environ.get("LAPWING_BIN") or ROOT / "build/release/bin")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lapwing-stack-"))
        self.keep, self.tls = keep, tls
        self.store = store  # a PostgreSQL database's URL; None: SQLite
        self.site_port, self.mqtt_port, self.status_port = port(), port(), port()
        self.http_port = http_port or port()
        self.device = "edge-1"
        self.parts = []  # in start order
        self.token = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for part in reversed(self.parts):
            try:
                part.stop()
            except TimeoutError as error:
                print(error, flush=True)
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def add(self, name, argv, ready, env=None):
        part = Part(name, argv, self.dir, ready, env)
        self.parts.append(part)
        return part

    # --- the parts -----------------------------------------------------------------------------------------------
    def start_site_broker(self):
        folder = self.dir / "site"
        folder.mkdir()
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {self.site_port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                          "max_queued_messages 1000000\nmax_queued_bytes 268435456\nmax_inflight_messages 1000\n"
                          f"{'user root' if os.geteuid() == 0 else ''}\n")
        self.site = self.add("site-broker", ["mosquitto", "-c", config], lambda: accepts(self.site_port))
        self.site.start()

    def make_hub(self, folder, mqtt_port, http_port, *more):
        """`lapwing-hub init`; the first admin token becomes the stack's."""
        made = subprocess.run([self.bin / "lapwing-hub", "init", "--dir", folder, "--tenant", "demo", "--host", "localhost",
                               "--host", "127.0.0.1", "--mqtt-port", str(mqtt_port), "--http-port", str(http_port),
                               *(["--store", self.store] if self.store else []), *more],
                              capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"lapwing-hub init: {made.stderr}{made.stdout}")
        self.token = next((word for word in made.stdout.split() if word.startswith("lwt_")), self.token)

    def add_hub(self, name, folder, mqtt_port, ready, env=None):
        """The two processes of a hub, its broker and itself, not started."""
        return (self.add(f"{name}-broker", ["mosquitto", "-c", folder / "mosquitto.conf"], lambda: accepts(mqtt_port), BROKER),
                self.add(name, [self.bin / "lapwing-hub", "serve", "--config", folder / "hub.toml"], ready,
                         {"LAPWING__HTTP__TLS": "true" if self.tls else "false", **(env or {})}))

    def start_hub(self, env=None):
        self.hub_dir = self.dir / "hub"
        self.make_hub(self.hub_dir, self.mqtt_port, self.http_port)
        self.hub_broker, self.hub = self.add_hub("hub", self.hub_dir, self.mqtt_port, self.hub_ready, env)
        self.hub_broker.start()
        self.hub.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.http_port}"

    def fetch(self, path, body=None, timeout=10, url=None, method=None):
        """The hub's answer as JSON (text where it is not); path as in /api/v1/devices. url: of another than `self.url`; method: GET, or POST
        with a body, unless it is given."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        context = ssl.create_default_context(cafile=self.hub_dir / "ca.pem") if self.tls else None
        request = urllib.request.Request((url or self.url) + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            text = answer.read()
            return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text.decode()

    def hub_ready(self, url=None):
        try:
            self.fetch("/health/ready", timeout=2, url=url)
            return True
        except OSError:
            return False

    def enrol(self, device="edge-1"):
        """Makes a one-time token through the API and enrols the device; its identity lands in DIR/<device>."""
        self.device = device
        token = self.fetch("/api/v1/enrolments", {"device": device, "expires_in_s": 600})["token"]
        self.identity = self.dir / device
        ca = ["--ca", self.hub_dir / "ca.pem"] if self.tls else []
        made = subprocess.run([self.bin / "lapwing-agent", "enrol", "--hub", self.url, *ca, "--token", token,
                               "--dir", self.identity], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"lapwing-agent enrol: {made.stderr}{made.stdout}")

    def start_agent(self, toml, env=None, start=True):
        """`toml` is added to what every agent of the stack needs: data directory, uplink, status."""
        self.agent_data = self.dir / "agent-data"
        self.agent_data.mkdir(exist_ok=True)
        config = self.dir / "agent.toml"
        config.write_text(f"""[agent]
data_dir = "{self.agent_data}"

[uplink]
host = "localhost"
port = {self.mqtt_port}
ca_file = "{self.identity}/ca.pem"
certificate_file = "{self.identity}/device.pem"
key_file = "{self.identity}/device.key"

[status]
listen = "127.0.0.1:{self.status_port}"
{toml}""")
        self.agent = self.add("agent", [self.bin / "lapwing-agent", "run", "--config", config], self.agent_ready, env)
        if start:
            self.agent.start()

    @staticmethod
    def fetch_from(url, timeout=5):
        """An answer as JSON, text where it is not."""
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            text = answer.read()
            return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text.decode()

    def status(self, path="/api/v1/status", timeout=5):
        return self.fetch_from(f"http://127.0.0.1:{self.status_port}{path}", timeout)

    def agent_ready(self):
        try:
            self.status("/health/live", timeout=2)
            return True
        except OSError:
            return False
