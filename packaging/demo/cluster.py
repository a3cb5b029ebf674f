# SPDX-License-Identifier: Apache-2.0
"""A hub that grew, on one machine: replicas, each with its own broker, on one PostgreSQL, behind haproxy.

A `Stack` otherwise: devices and people reach the balancer where they would reach the one hub.
"""
from balancer import Balancer
from postgres import Postgres
from stack import Stack, free_port, wait_for


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

    def __init__(self, replicas=3, bin_dir=None, keep=False, postgres="", rate=None, port=free_port):
        super().__init__(bin_dir, tls=True, keep=keep, port=port)
        self.port, self.size, self.rate = port, replicas, rate
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
        self.hub_dir = self.replicas[0].dir  # whose authority is everyone's
        for replica in self.replicas:
            replica.broker.start()
            replica.hub.launch()
        for replica in self.replicas:
            replica.hub.wait()
        self.balancer = Balancer(self.dir, self.replicas, self.hub_dir / "ca.pem", self.mqtt_port, self.http_port, rate=self.rate)
        self.parts.append(self.balancer)
        self.balancer.start()
        wait_for(self.balanced, 30, "the balancer uses all replicas")

    def balanced(self):
        """Whether the balancer gives devices to every replica."""
        return set(self.balancer.states().values()) == {"UP"}
