#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two hubs that share nothing but their authority, and an agent that knows both: the first is killed, comes back, and is
killed again. The agent is over within `failover_after` and back after `failback_after`; every record it made is at one of
them under one key and one epoch, and each hub's own account adds up."""
import contextlib
import pathlib
import sqlite3
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging" / "demo"))

from stack import THIS_MACHINE, Stack, free_port, wait_for  # noqa: E402

FAILOVER_S, FAILBACK_S = 1, 1
AGENT = """[agent]
data_dir = "{data}"

[uplink]
ca_file = "{identity}/ca.pem"
certificate_file = "{identity}/device.pem"
key_file = "{identity}/device.key"
answer_timeout = "500ms"
reconnect_max = "1s"
status_interval = "1s"
failover_after = "{failover}s"
failback_after = "{failback}s"

[[uplink.hub]]
host = "localhost"
port = {port_a}

[[uplink.hub]]
host = "localhost"
port = {port_b}
priority = 2

[status]
listen = "127.0.0.1:{status}"
"""


class Region:
    """A hub's two processes and its database."""

    def __init__(self, number, folder, parts, port):
        self.number, self.database, self.port = number, folder / "hub.db", port
        self.broker, self.hub = parts

    def start(self):
        self.broker.start()
        self.hub.start()

    def kill(self):
        self.broker.kill()
        self.hub.kill()

    def rows(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as db:
            return db.execute(sql).fetchall()

    def stored(self):
        return self.rows("SELECT stored FROM devices")[0][0]


def make_regions(stack):
    stack.hub_dir = stack.dir / "a"
    stack.make_hub(stack.hub_dir, stack.mqtt_port, stack.http_port)
    token, regions = stack.token, []
    for number, folder, port, http in ((1, stack.hub_dir, stack.mqtt_port, stack.http_port),
                                       (2, stack.dir / "b", free_port(), free_port())):
        if number == 2:
            stack.make_hub(folder, port, http, "--authority", stack.hub_dir)
        ready = lambda url=f"http://127.0.0.1:{http}": stack.hub_ready(url)  # noqa: E731
        parts = stack.add_hub(f"hub-{number}", folder, port, ready, {"LAPWING__HUB__REGION": str(number)})
        regions.append(Region(number, folder, parts, port))
    stack.token = token
    return regions


def register(here, there):
    """The device is known in both, as if the second had heard of it from the first."""
    device = here.rows("SELECT t.tenant, d.device, d.enrolled_at, d.certificate_serial FROM devices d JOIN tenants t USING(tenant_no)")[0]
    with contextlib.closing(sqlite3.connect(there.database)) as db, db:
        db.execute("INSERT INTO tenants(tenant) VALUES(?) ON CONFLICT DO NOTHING", device[:1])
        db.execute("INSERT INTO devices(tenant_no, device_no, device, enrolled_at, certificate_serial)"
                   " SELECT tenant_no, 1, ?, ?, ? FROM tenants WHERE tenant = ?", (*device[1:], device[0]))


def at(stack, region):
    """Seconds until the region's hub takes what the agent sends."""
    began = time.monotonic()

    def there():
        uplink = stack.status()["uplink"]
        return uplink["connected"] and uplink["region"] == f"region-{region.number}"

    wait_for(there, 30, f"the agent at region {region.number}")
    return time.monotonic() - began


def grows(region, records=20):
    before = region.stored()
    wait_for(lambda: region.stored() >= before + records, 30, f"records at region {region.number}")


def check(stack, regions):
    with contextlib.closing(sqlite3.connect(stack.agent_data / "outbox.db")) as db:
        epoch, acked, next_seq = db.execute("SELECT epoch, acked_seq, next_seq FROM position").fetchone()
    assert acked == next_seq - 1, f"the agent still holds {next_seq - 1 - acked} records"
    union, lost = {}, set()
    for region in regions:
        keys = region.rows("SELECT epoch, seq, hash FROM ledger")
        for key in keys:
            assert union.setdefault(key[:2], key[2]) == key[2], f"two records under one key: {key}"
        for of_epoch, first, last in region.rows("SELECT epoch, seq_first, seq_last FROM losses"):
            lost.update((of_epoch, seq) for seq in range(first, last + 1))
        stored, elsewhere, losses, base, produced, accounted = region.rows(
            "SELECT stored, elsewhere, lost_quota + lost_corrupt + lost_vanished + lost_poison, epoch_base, epoch_produced,"
            " epoch_accounted FROM devices")[0]
        print(f"region {region.number}: produced {produced - base} = stored {stored} + lost {losses} + elsewhere {elsewhere} + "
              f"outstanding {produced - base - accounted}")
        assert stored == len(keys)
        assert stored + losses + elsewhere == accounted <= produced - base
        assert stored > 0
    assert {key[0] for key in union} == {epoch}, "one epoch goes through all regions"
    assert set(union) | lost == {(epoch, seq) for seq in range(1, next_seq)}, "every number is at one of them"
    assert regions[0].rows("SELECT elsewhere FROM devices")[0][0] > 0
    print(f"{next_seq - 1} records in epoch {epoch}, {sum(r.stored() for r in regions) - len(union)} of them at both")


def run(stack):
    a, b = make_regions(stack)
    a.start()
    stack.enrol()
    register(a, b)
    b.start()
    stack.agent_data = stack.dir / "agent-data"
    config = stack.dir / "agent.toml"
    config.write_text((AGENT + THIS_MACHINE).format(data=stack.agent_data, identity=stack.identity, failover=FAILOVER_S,
                                                    failback=FAILBACK_S, port_a=a.port, port_b=b.port, status=stack.status_port))
    stack.agent = stack.add("agent", [stack.bin / "lapwing-agent", "run", "--config", config], stack.agent_ready)
    stack.agent.start()
    at(stack, a)
    grows(a)
    a.kill()
    over = at(stack, b)
    grows(b)
    a.start()
    back = at(stack, a)
    grows(a)
    a.kill()
    at(stack, b)
    grows(b)
    a.start()
    at(stack, a)
    uplink = stack.status()["uplink"]
    assert uplink["hub_changes"] == 4, uplink
    for _ in range(20):  # it sends what it holds; what it cannot in its time the next start does
        stack.agent.stop()
        with contextlib.closing(sqlite3.connect(stack.agent_data / "outbox.db")) as db:
            if db.execute("SELECT acked_seq = next_seq - 1 FROM position").fetchone()[0]:
                break
        stack.agent.start()
        at(stack, a)
    stack.agent.stop()
    check(stack, (a, b))
    print(f"over in {over:.1f} s, back in {back:.1f} s")
    assert over < FAILOVER_S + 10, over
    assert back >= FAILBACK_S, back


if __name__ == "__main__":
    with Stack() as whole:
        run(whole)
