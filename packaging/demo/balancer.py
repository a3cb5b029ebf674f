# SPDX-License-Identifier: Apache-2.0
"""haproxy or nginx with the configuration of packaging/balancer, on free ports of this machine."""
import pathlib
import signal
import socket
import sys

from stack import ROOT, Part, accepts, wait_for

sys.path.insert(0, str(ROOT / "packaging" / "balancer"))
import render  # noqa: E402


def children(pid):
    return set(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b"is shutting down: it has"


class Balancer(Part):
    """For whoever reaches 127.0.0.1:devices_port and :people_port. replicas: each with name, mqtt_port, http_port; the list may change
    until it is started. rate: new connections of devices in a second."""

    def __init__(self, directory, replicas, ca, devices_port, people_port, engine="haproxy", rate=None):
        self.engine, self.replicas = engine, replicas
        self.config, self.run = directory / f"{engine}.cfg", directory / engine
        self.words = [engine, "--name", "localhost", "--ca", str(ca), "--devices", f"127.0.0.1:{devices_port}", "--people",
                      f"127.0.0.1:{people_port}", "--run", str(self.run)] + (["--rate", str(rate)] if rate else [])
        argv = {"haproxy": ["haproxy", "-db", "-f", self.config], "nginx": ["nginx", "-c", self.config, "-g", "daemon off;"]}[engine]
        super().__init__(engine, argv, directory, lambda: accepts(devices_port) and self.answers())

    def start(self, wait=30):
        words = self.words + [f"--replica={one.name}=127.0.0.1:{one.mqtt_port}:{one.http_port}" for one in self.replicas]
        self.config.write_text(render.render(self.engine, render.parse(words)), encoding="utf-8")
        super().start(wait)

    def reload(self):
        """nginx reads its configuration again; its connections stay with the processes they are in."""
        workers = children(self.process.pid)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: all(b"is shutting down" in command(worker) for worker in workers) and children(self.process.pid) - workers, 5,
                 "new workers")

    def answers(self):
        """haproxy's socket for operators comes last, and is a file before anybody listens; nginx keeps a file there."""
        if self.engine != "haproxy":
            return self.run.exists()
        with socket.socket(socket.AF_UNIX) as link:
            return link.connect_ex(str(self.run)) == 0

    def ask(self, command):
        """The answer of haproxy's socket for operators."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(self.run))
            link.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: link.recv(65536), b"")).decode()

    def _rows(self, proxy):
        lines = self.ask("show stat").splitlines()
        columns = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines if line.startswith(proxy + ",")]
        return {row["svname"]: row for row in rows}

    def _servers(self):
        return {name: row for name, row in self._rows("brokers").items() if name != "BACKEND"}

    def new_connections_most(self):
        """Of devices, in one second, since it was started or its counters were cleared."""
        return int(self._rows("devices")["FRONTEND"]["rate_max"])

    def states(self):
        """replica -> UP, NOLB (gets no new devices), DOWN (with a number while it changes)."""
        return {name: row["status"] for name, row in self._servers().items()}

    def held(self):
        """replica -> devices' connections."""
        return {name: int(row["scur"]) for name, row in self._servers().items()}
