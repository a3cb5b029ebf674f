#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of docs/grow.md, in their order, with a device connected all the while; at the end its ledger is exact.

Machines are folders, and addresses of this machine's own network 127.0.0.0/8; so replicas have the page's ports each. `systemctl` and
`scp` are played by scripts. hub.example.org is an address, too, whose way to hub-1 or to the balancer this program changes.
"""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "packaging/demo"), str(ROOT / "tests/faults")]

from gate import Gate  # noqa: E402
from postgres import Postgres, programs  # noqa: E402
from stack import THIS_MACHINE, Stack, accepts, wait_for  # noqa: E402

NET = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}."
MACHINES = {"hub-1": NET + "11", "hub-2": NET + "12", "hub-3": NET + "13", "balancer": NET + "10", "db": "127.0.0.1"}
NAME = NET + "1"  # what hub.example.org resolves to
UNITS = {"lapwing-broker": "mosquitto -c {root}/var/lib/lapwing-hub/mosquitto.conf",
         "lapwing-hub": "lapwing-hub serve --config {root}/var/lib/lapwing-hub/hub.toml",
         "haproxy": "haproxy -W -f {root}/etc/haproxy/haproxy.cfg"}

SYSTEMCTL = """#!/bin/bash
# systemctl VERB UNIT...: a unit's command is in run/UNIT, its process in run/UNIT.pid.
verb=$1; shift
cd "$MACHINE_ROOT" || exit 1
end() { # UNIT
  [ -s "run/$1.pid" ] || return 0
  kill -TERM "$(cat "run/$1.pid")" 2>/dev/null
  while [ -d "/proc/$(cat "run/$1.pid")" ]; do sleep 0.05; done
  rm "run/$1.pid"
}
for unit in "$@"; do
  case $verb in
    stop) end "$unit" ;;
    start | restart)
      [ "$verb" = start ] || end "$unit"
      sed -i "s|/run/haproxy/admin.sock|$MACHINE_ROOT/run/haproxy.sock|; s/bind :/bind $MACHINE_ADDRESS:/" etc/haproxy/haproxy.cfg 2>/dev/null
      (setsid $(cat "run/$unit") </dev/null >>"run/$unit.log" 2>&1 & echo $! >"run/$unit.pid"; wait) >/dev/null 2>&1 &
      while [ ! -s "run/$unit.pid" ]; do sleep 0.05; done
      ;;
    reload)
      sed -i "s|/run/haproxy/admin.sock|$MACHINE_ROOT/run/haproxy.sock|; s/bind :/bind $MACHINE_ADDRESS:/" etc/haproxy/haproxy.cfg
      kill -USR2 "$(cat "run/$unit.pid")"
      ;;
  esac
done
"""
SCP = """#!/bin/bash
# scp MACHINE:PATH... FOLDER
for to; do :; done
while [ $# -gt 1 ]; do
  cp -p "$MACHINES_ROOT/${1%%:*}${1#*:}" "$to" || exit 1
  shift
done
"""
AGENT = """
[agent]
data_dir = "{data}"

[status]
listen = "127.0.0.1:{status_port}"
"""


def blocks():
    """(machines, commands) of the page's code, in order."""
    for text in re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/grow.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        first, commands = text.split("\n", 1)
        machines = [name for name in MACHINES if re.search(rf"\b{name}\b", first)]
        assert first.startswith("# on ") and machines, f"a block of docs/grow.md does not say where it runs: {first}"
        yield machines, commands


class Page:
    def __init__(self, folder, postgres):
        self.dir, self.postgres = folder, postgres
        self.bin = pathlib.Path(os.environ.get("LAPWING_BIN") or ROOT / "build/release/bin")
        scripts = folder / "scripts"
        scripts.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("scp", SCP)):
            (scripts / name).write_text(text)
            (scripts / name).chmod(0o755)
        self.path = f"{scripts}:{self.bin}:{programs()}:{os.environ['PATH']}"
        for machine in MACHINES:
            for name in ("var/lib", "root", "run", "etc/haproxy"):
                (folder / machine / name).mkdir(parents=True)
            for unit, command in UNITS.items():
                (folder / machine / "run" / unit).write_text(command.format(root=folder / machine))

    def here(self, machine, commands):
        """The page's text, for a folder and an address in place of a machine."""
        root, address = self.dir / machine, MACHINES[machine]
        text = re.sub(r"(?<![\w.:])/(var/lib|root|etc)\b", rf"{root}/\1", commands)
        text = text.replace("10.0.0.20:5432", f"127.0.0.1:{self.postgres.port}").replace("10.0.0.", NET).replace("0.0.0.0", address)
        return text.replace("--host hub.example.org", f"--host hub.example.org --host {NAME}")

    def run(self, machine, commands):
        print(f"--- {machine}\n{commands}", end="", flush=True)
        ran = subprocess.run(["bash", "-euo", "pipefail", "-c", self.here(machine, commands)], cwd=ROOT, check=False, text=True,
                             capture_output=True, env={**os.environ, "PATH": self.path, "MACHINES_ROOT": str(self.dir),
                                                       "MACHINE_ROOT": str(self.dir / machine), "MACHINE_ADDRESS": MACHINES[machine],
                                                       "PGHOST": "127.0.0.1", "PGPORT": str(self.postgres.port), "PGUSER": "lapwing"})
        if ran.returncode:
            logs = "\n".join(f"== {log}\n{log.read_text()[-1500:]}" for log in (self.dir / machine / "run").glob("*.log"))
            raise RuntimeError(f"{machine}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}\n{logs}")

    def pids(self):
        return [int(file.read_text()) for file in self.dir.glob("*/run/*.pid")]

    def close(self):
        for machine in reversed(MACHINES):
            running = " ".join(file.stem for file in (self.dir / machine / "run").glob("*.pid"))
            if running:
                self.run(machine, f"systemctl stop {running}\n")


class Device:
    """One that knows the hub by its name, through everything."""

    def __init__(self, page, stack):
        self.stack, self.page = stack, page
        self.dir = page.dir / "device"
        hub = page.dir / "hub-1/var/lib/lapwing-hub"
        stack.hub_dir, stack.tls = hub, True
        stack.token = next(word for word in (page.dir / "hub-1/root/first-token").read_text().split() if word.startswith("lwt_"))
        token = stack.fetch("/api/v1/enrolments", {"device": "edge-1", "expires_in_s": 600}, url=self.hub)["token"]
        subprocess.run([stack.bin / "lapwing-agent", "enrol", "--hub", self.hub, "--ca", hub / "ca.pem", "--token", token, "--dir",
                        self.dir], check=True, capture_output=True)
        uplink = self.dir / "conf.d/uplink.toml"
        uplink.write_text(uplink.read_text().replace("hub.example.org", NAME))
        (self.dir / "agent.toml").write_text((AGENT + THIS_MACHINE).format(data=self.dir / "data", status_port=stack.status_port))
        self.part = stack.add("agent", [stack.bin / "lapwing-agent", "run", "--config", self.dir / "agent.toml"], stack.agent_ready)
        self.part.start()

    hub = f"https://{NAME}:8443"

    def row(self):
        return self.stack.fetch("/api/v1/devices/edge-1", url=self.hub)

    def goes_on(self):
        """A record that it has not made yet is at the hub."""
        target = self.stack.status()["outbox"]["next_seq"]

        def there():
            try:
                return self.row()["watermark"] >= target
            except OSError:  # the hub, or the replica that was asked, is away
                return False

        wait_for(there, 60, f"record {target} at the hub")

    def assert_exact(self):
        self.part.stop()  # it sends what it has
        self.part.start()
        self.goes_on()
        self.part.stop()
        row = self.row()
        assert row["epoch"] == 1 and row["lost"] == 0 and row["produced"] == row["stored"], row
        print(f"{row['stored']} records stored, none lost, epoch {row['epoch']}")


def run(page, stack):
    gates = [Gate((MACHINES["hub-1"], port), (NAME, port)) for port in (8883, 8443)]
    device, held = None, 0
    for machines, commands in blocks():
        if "once the name has moved" in commands or "systemctl restart lapwing-hub" in commands:
            for gate, port in zip(gates, (8883, 8443), strict=True):
                gate.target = (MACHINES["balancer"], port)
        for machine in machines:
            page.run(machine, commands)
            if machine.startswith("hub") and "stop lapwing-hub lapwing-broker" not in commands:
                wait_for(lambda: accepts(8443, MACHINES[machine]), 30, f"{machine} serves")
            if machine == "balancer":
                wait_for(lambda: accepts(8443, MACHINES[machine]), 30, "the balancer serves")
            device = device or Device(page, stack)
            device.goes_on()
        held += 1
    device.assert_exact()
    return held


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lapwing-grow-"))
    postgres = Postgres("fsync = off")
    try:
        postgres.start()
        with Stack() as stack:
            page = Page(folder, postgres)
            try:
                print(f"{run(page, stack)} blocks of docs/grow.md ran")
            finally:
                page.close()
    finally:
        postgres.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
