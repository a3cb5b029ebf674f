# SPDX-License-Identifier: Apache-2.0
"""Two regions on one machine: hubs with brokers and databases of their own, one authority, each taking the other's rows over HTTPS.

A `Stack` otherwise: what it says of its hub is the first region's. Everything that comes from outside, devices and the other region alike,
comes through gates that can be shut.
"""
import subprocess

from gate import Gate
from postgres import Postgres
from stack import Stack, free_port


class Region:
    """Its folder, its two processes and the gates before them."""

    def __init__(self, regions, number, name, store, env):
        self.regions, self.number, self.name, self.store = regions, number, name, store
        self.mqtt_port, self.http_port = regions.port(), regions.port()
        self.mqtt, self.http = Gate(self.mqtt_port), Gate(self.http_port)
        self.dir = regions.dir / f"hub-{name}"
        self.hub_dir = self.dir
        more = ["--public-port", str(self.mqtt.port)]
        if regions.regions:
            more += ["--authority", regions.regions[0].dir]
        regions.store = store  # of the hub that is made
        regions.make_hub(self.dir, self.mqtt_port, self.http_port, *more)
        self.admin = self.make_token("admin")
        self.export = self.make_token("export")
        self.broker, self.hub = regions.add_hub(f"hub-{name}", self.dir, self.mqtt_port, self.ready,
                                                {**(env or {}), "LAPWING__HUB__REGION": str(number), "LAPWING__HUB__REGION_NAME": name})

    def make_token(self, scope):
        """From the database: its hub must not run."""
        made = subprocess.run([self.regions.bin / "lapwing-hub", "token", "create", "--config", self.dir / "hub.toml", "--tenant", "demo",
                               "--name", scope, "--scope", scope], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"lapwing-hub token create: {made.stderr}{made.stdout}")
        return next(word for word in made.stdout.split() if word.startswith("lwt_"))

    def take_from(self, other, every="1s"):
        token = self.dir / f"{other.name}.token"
        token.write_text(other.export + "\n")
        with open(self.dir / "hub.toml", "a", encoding="utf-8") as config:
            config.write(f'\n[[peer]]\nname = "{other.name}"\ntenant = "demo"\nurl = "https://127.0.0.1:{other.http.port}"\n'
                         f'token_file = "{token}"\nca_file = "{other.dir}/ca.pem"\nevery = "{every}"\n')

    @property
    def url(self):
        return f"https://127.0.0.1:{self.http_port}"

    def fetch(self, path, timeout=10):
        token, self.regions.token = self.regions.token, self.admin
        try:
            return self.regions.fetch(path, timeout=timeout, url=self.url)
        finally:
            self.regions.token = token

    def ready(self):
        return self.regions.hub_ready(self.url)

    def start(self):
        """What of it does not run."""
        for part in (self.broker, self.hub):
            if not part.running():
                part.start()

    def cut_off(self):
        for gate in (self.mqtt, self.http):
            gate.shut()

    def back(self):
        for gate in (self.mqtt, self.http):
            gate.open()

    def kill(self):
        for part in (self.hub, self.broker):
            part.kill()


class Regions(Stack):
    """stores: for each region `sqlite` or `postgres`; port: gives out free ports."""

    def __init__(self, names=("north", "south"), stores=("sqlite", "sqlite"), bin_dir=None, keep=False, port=free_port):
        super().__init__(bin_dir, tls=True, keep=keep, port=port)
        self.port, self.names, self.stores = port, names, stores
        self.postgres = Postgres("", port(), keep) if "postgres" in stores else None
        self.regions = []

    def close(self):
        super().close()
        if self.postgres:
            self.postgres.close()

    def start_hub(self, env=None):
        if self.postgres:
            self.postgres.start()
        for number, (name, store) in enumerate(zip(self.names, self.stores, strict=True), 1):
            self.regions.append(Region(self, number, name, self.postgres.url if store == "postgres" else None, env))
        first = self.regions[0]
        self.store, self.hub_dir, self.token = first.store, first.dir, first.admin
        self.mqtt_port, self.http_port = first.mqtt.port, first.http_port
        self.hub, self.hub_broker = first.hub, first.broker
        for one in self.regions:
            for other in self.regions:
                if other is not one:
                    one.take_from(other)
        for one in self.regions:
            one.start()
