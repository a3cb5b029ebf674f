# SPDX-License-Identifier: Apache-2.0
"""A hub that grew, on one machine: replicas, each with its own broker, on one PostgreSQL, behind haproxy.

A `Stack` otherwise: devices and people reach the balancer where they would reach the one hub.
"""
import socket
import sys

from postgres import Postgres
from stack import ROOT, Stack, accepts, free_port

sys.path.insert(0, str(ROOT / "packaging" / "balancer"))
import render  # noqa: E402


class Replica:
    """Its folder and its two processes."""

    def __init__(self, cluster, name, env):
        self.name, self.cluster = name, cluster
        self.mqtt_port, self.http_port = cluster.port(), cluster.port()
        self.dir = cluster.dir / name
        more = ["--public-port", str(cluster.mqtt_port)]
        if cluster.replicas:
            more += ["--authority", cluster.replicas[0].dir]
        cluster.make_hub(self.dir, self.mqtt_port, self.http_port, *more)
        self.broker, self.hub = cluster.add_hub(name, self.dir, self.mqtt_port, self.ready, env)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.http_port}"

    def ready(self):
        return self.cluster.hub_ready(self.url)

    def start(self):
        """What of it does not run."""
        for part in (self.broker, self.hub):
            if not part.running():
                part.start()

    def metric(self, name):
        """The sum over labels of one of the hub's metrics."""
        lines = self.cluster.fetch("/metrics", url=self.url).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and line[len(name)] in " {")


class Cluster(Stack):
    """postgres: lines of postgresql.conf; rate: new connections of devices in a second; port: gives out free ports."""

    def __init__(self, replicas=3, bin_dir=None, keep=False, postgres="", rate=300, engine="haproxy", port=free_port):
        super().__init__(bin_dir, tls=True, keep=keep, port=port)
        self.port, self.size, self.rate, self.engine = port, replicas, rate, engine
        self.postgres = Postgres(postgres, port(), keep)
        self.store = self.postgres.url
        self.replicas = []

    def close(self):
        super().close()
        self.postgres.close()

    def start_hub(self, env=None):
        self.postgres.start()
        for number in range(1, self.size + 1):
            self.replicas.append(Replica(self, f"hub-{number}", env))
            self.hub_dir = self.replicas[0].dir
            self.replicas[-1].start()
        self.start_balancer()

    # --- the balancer
    def balancer_config(self):
        """(Re)written with the replicas there are; its path."""
        path = self.dir / f"{self.engine}.cfg"
        words = [self.engine, "--name", "localhost", "--ca", str(self.hub_dir / "ca.pem"), "--rate", str(self.rate),
                 "--devices", f"127.0.0.1:{self.mqtt_port}", "--people", f"127.0.0.1:{self.http_port}",
                 "--run", str(self.balancer_socket)]
        for replica in self.replicas:
            words += ["--replica", f"{replica.name}=127.0.0.1:{replica.mqtt_port}:{replica.http_port}"]
        path.write_text(render.render(self.engine, render.parse(words)), encoding="utf-8")
        return path

    @property
    def balancer_socket(self):
        return self.dir / "balancer"

    def start_balancer(self):
        config = self.balancer_config()
        argv = {"haproxy": ["haproxy", "-db", "-f", config], "nginx": ["nginx", "-c", config, "-g", "daemon off;"]}[self.engine]
        self.balancer = self.add("balancer", argv, lambda: accepts(self.mqtt_port) and self.hub_ready())
        self.balancer.start()

    def haproxy(self, command):
        """The answer of haproxy's socket for operators."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(self.balancer_socket))
            link.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: link.recv(65536), b"")).decode()

    def balanced(self):
        """Whether the balancer gives devices to every replica."""
        rows = [line.split(",") for line in self.haproxy("show stat").splitlines() if line.startswith("brokers,")]
        return all(row[17].startswith("UP") for row in rows)

    def held(self):
        """How many devices' connections each replica has, by the balancer."""
        rows = [line.split(",") for line in self.haproxy("show stat").splitlines() if line.startswith("brokers,")]
        return {row[1]: int(row[4]) for row in rows if row[1] != "BACKEND"}
