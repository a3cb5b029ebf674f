#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rows 23 to 25 of the fault matrix: models that are damaged, signed by or for somebody else, old, withheld or mixed up.

A real agent with a real hub whose database the attacker owns: it holds whatever is to be tried, the hub relays it, and the device
alone refuses. After each attempt the version that ran before must still run, and rows must still be scored.
"""
import argparse
import concurrent.futures
import contextlib
import hashlib
import itertools
import os
import random
import sqlite3
import sys
import time

from fleet import Fleet  # first: it says where the stack is
from clocks import Clock, library
from model_kit import Kit
from stack import wait_for

DAY = 86400.0
CLASS = "pump-station"
GROUP = """
[models]
keys_file = "{keys}"
confirm_after = "1s"
device_class = "{device_class}"

[[group]]
name = "pumps"
streams = ["load/+/temperature", "load/+/pressure"]
model = "pumps"
interval = "50ms"
wait = "1s"
warmup = 100
alarms_per_week = 1000
"""


class Table:
    """What was tried, what had to come of it, and what did."""

    def __init__(self, title, *columns):
        self.title, self.columns, self.rows, self.problems = title, columns, [], []

    def add(self, cells, expected, seen):
        self.rows.append((*cells, expected, seen))
        if expected != seen:
            self.problems.append(f"{self.title}: {', '.join(cells)}: {expected} expected, {seen}")

    def print(self):
        heads = (*self.columns, "expected", "seen")
        widths = [max(len(str(cell)) for cell in column) for column in zip(heads, *self.rows)]
        print(f"\n{self.title}")
        for row in (heads, *self.rows):
            print("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())
        sys.stdout.flush()


def offsets(kit, file, check):
    """Every 64-byte offset: a byte changed there, and the file cut there. How many were tried, and how many of them loaded."""
    whole = file.read_bytes()
    damaged = [(at, whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1:]) for at in range(0, len(whole), 64)]
    damaged += [(at, whole[:at]) for at in range(0, len(whole), 64)]

    def attempt(numbered):
        number, (_, content) = numbered
        copy = kit.dir / f"damaged-{number % (os.cpu_count() or 2)}-{number}.lw"
        copy.write_bytes(content)
        done = check(copy)
        copy.unlink()
        return done

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = list(pool.map(attempt, enumerate(damaged)))
    crashed = [code for code in codes if code not in (0, 1)]
    return len(codes), codes.count(0), len(crashed)


class Attack:
    """One device, its hub, and the hub's database."""

    def __init__(self, fleet, options):
        self.fleet, self.stack, self.random = fleet, fleet.stack, random.Random(options.seed)
        self.kit = Kit(self.stack)
        self.number = 0  # of the newest version there is
        self.problems = []

    # --- the way things go when nobody attacks
    def prepare(self):
        kit = self.kit
        for name in ("stranger", "release-2", "stolen"):
            kit.new_key(name)
        self.keys = kit.key_list(1, releases=("release", "stolen"))
        kit.run("keys", "import", self.keys, "--config", self.stack.hub_dir / "hub.toml", program="lapwing-hub")
        table = kit.table()
        self.model = kit.train("pumps.lw", table, "--set", "trees=20")
        self.other_content = kit.train("other.lw", table, "--set", "trees=20", "--seed", "2")
        swapped = kit.dir / "swapped.csv"
        lines = [line.split(",") for line in table.read_text().splitlines()]
        swapped.write_text("".join(f"{at},{pressure},{temperature}\n" for at, temperature, pressure in lines))
        self.other_schema = kit.train("swapped.lw", swapped, "--set", "trees=20")
        self.clock = None
        self.edge = self.fleet.edge("edge-1", more=GROUP.format(keys=self.keys, device_class=CLASS), summary_ms=1000)
        self.second = self.fleet.identity("edge-2")  # another device, whose assignment is stolen
        self.clock = Clock(self.edge.dir / "clock")
        self.edge.part.env.update(LD_PRELOAD=str(library(self.stack.dir)), FAULTY_CLOCK=str(self.clock.path))
        self.edge.part.env.setdefault("ASAN_OPTIONS", "verify_asan_link_order=0")
        self.edge.start()
        self.edge.wait_moved_on()

    @contextlib.contextmanager
    def database(self):
        with contextlib.closing(sqlite3.connect(self.stack.hub_dir / "hub.db", timeout=30)) as db, db:
            yield db

    def add_version(self, file, **signed):
        """As whoever owns the database adds it: the hub has no word in it."""
        self.number = max(self.number + 1, signed.pop("number", 0))
        number = signed.pop("at", self.number)
        manifest = self.kit.sign(file, number, **signed)
        info = file.read_bytes()
        digest = hashlib.sha256(info).hexdigest()
        with self.database() as db:
            tenant = db.execute("SELECT tenant_no FROM tenants WHERE tenant = 'demo'").fetchone()[0]
            known = db.execute("SELECT file_no FROM model_files WHERE tenant_no = ? AND sha256 = ?", (tenant, digest)).fetchone()
            if known is None:
                file_no = db.execute("SELECT coalesce(max(file_no), 1000) + 1 FROM model_files").fetchone()[0]
                db.execute("INSERT INTO model_files(tenant_no, sha256, file_no, length, kind, header, report, picture, job, actor,"
                           " created_at) VALUES(?,?,?,?,'isolation_forest','{}','','',0,'attacker',0)",
                           (tenant, digest, file_no, len(info)))
                for part in range(0, len(info), 65536):
                    db.execute("INSERT INTO model_parts(file_no, part, bytes) VALUES(?,?,?)",
                               (file_no, part // 65536, info[part:part + 65536]))
            version_no = db.execute("SELECT coalesce(max(version_no), 1000) + 1 FROM model_versions").fetchone()[0]
            db.execute("INSERT OR REPLACE INTO model_versions(tenant_no, model, number, version_no, sha256, manifest, device_class,"
                       " actor, created_at) VALUES(?,'pumps',?,?,?,?,'','attacker',0)",
                       (tenant, number, version_no, digest, manifest.read_bytes()))
        return number

    def want(self, number, stage="active", device="edge-1"):
        self.stack.fetch(f"/api/v1/devices/{device}/models/pumps", {"number": number, "stage": stage}, method="PUT")

    def target(self, device="edge-1"):
        found = self.stack.fetch(f"/api/v1/devices/{device}/models")["items"]
        return next((one for one in found if one["model"] == "pumps"), None)

    def answer(self, seconds=30):
        """(state, detail) once the device has answered the newest offer and nothing is under way."""
        def told():
            target = self.target()
            report = target["report"]
            if not report or report["offer"] < target["offer"] or report["state"] == "fetching":
                return None
            return report["state"], report["detail"]
        return wait_for(told, seconds, "the device's answer to the offer")

    def running(self):
        """The version that scores on the device; 0: the group's own detector."""
        models = self.edge.status()["models"]["items"]
        active = next((one["active"] for one in models if one["model"] == "pumps"), None)
        return active["version"] if active else 0

    def seen(self):
        """One word: `loaded`, or the first word of the reason."""
        state, detail = self.answer()
        if state in ("active", "confirmed", "shadow"):
            return "loaded"
        return f"{state} {detail.split(':')[0]}" if state == "refused" else state

    def waits(self):
        """The transfer rests since the hub has not got all of the file, and says so."""
        def told():
            file = self.edge.status()["uplink"]["model_file"]
            return file and file["problem"]
        with contextlib.suppress(TimeoutError):
            return "waits" if wait_for(told, 20, "a transfer that rests") else None
        return "nothing told"

    def attempt(self, table, cells, expected, act, seen=None):
        """`act` brings an offer about; what runs must stay unless `loaded` is expected."""
        before, scored = self.running(), self.edge.metric("lapwing_predictions_total")
        act()
        table.add(cells, expected, (seen or self.seen)())
        after = self.running()
        if expected != "loaded" and after != before:
            self.problems.append(f"{table.title}: {', '.join(cells)}: version {after} runs, {before} ran")
        wait_for(lambda: self.edge.metric("lapwing_predictions_total") > scored, 10, "scoring goes on")

    def restart_hub(self, **env):
        self.stack.hub.stop()
        self.stack.hub.env.update(env)
        self.stack.hub.start()

    # --- the tables
    def row_23(self):
        table = Table("row 23: damaged on the way, and on the device's disk", "what")
        inspect = lambda file: self.kit.run("model", "inspect", file, program="lapwing-agent", ok=False).returncode  # noqa: E731
        tried, loaded, crashed = offsets(self.kit, self.model, inspect)
        print(f"\nrow 23: {tried} damaged files (a byte changed, and cut, at every 64-byte offset of {self.model.stat().st_size} bytes): "
              f"loaded {loaded}, crashed {crashed}", flush=True)
        if loaded or crashed or tried < 200:
            self.problems.append(f"row 23: of {tried} damaged files {loaded} loaded, {crashed} crashed the reader")
        self.attempt(table, ("a sound file",), "loaded", lambda: self.want(self.add_version(self.model)))
        for name, change in (("a byte of a part", lambda part: part[:5000] + bytes([part[5000] ^ 1]) + part[5001:]),
                             ("a part of zeros", lambda part: bytes(len(part)))):
            self.attempt(table, (name,), "failed", lambda change=change: self.damaged_part(change))
        self.attempt(table, ("a part cut short in the store",), "waits", lambda: self.damaged_part(lambda part: part[:6000]), self.waits)
        for part in ("the active slot's file changed", "cut"):
            self.attempt_disk(table, part)
        return table

    def damaged_part(self, change):
        content = self.kit.train(f"fresh-{self.number}.lw", self.kit.dir / "normal.csv", "--set", "trees=20", "--seed",
                                 str(100 + self.number))
        number = self.add_version(content)
        with self.database() as db:
            file_no = db.execute("SELECT max(file_no) FROM model_files").fetchone()[0]
            part = db.execute("SELECT bytes FROM model_parts WHERE file_no = ? AND part = 0", (file_no,)).fetchone()[0]
            db.execute("UPDATE model_parts SET bytes = ? WHERE file_no = ? AND part = 0", (change(part), file_no))
        self.want(number)

    def attempt_disk(self, table, what):
        """The active version's file is damaged while the agent is down: the version before runs, and the hub hears why."""
        running = self.running()
        self.edge.stop()
        slot = self.edge.data / "models" / "pumps"
        file = max(slot.glob("*.lw"), key=lambda one: one.stat().st_mtime)
        whole = file.read_bytes()
        at = self.random.randrange(len(whole))
        file.write_bytes(whole[:at] if what == "cut" else whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        self.edge.start()
        table.add((f"{what} at byte {at}",), "failed", self.state_soon("failed"))
        if self.running() == running:
            self.problems.append(f"row 23: a damaged file of version {running} was loaded")
        self.want(self.add_version(self.model))
        self.seen()

    def state_soon(self, state, seconds=20):
        """The reported state; waits for this one."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self.target()["report"]["state"] == state, seconds, state)
        return self.target()["report"]["state"]

    def row_24(self):
        table = Table("row 24: signed by whom, for whom", "release key", "tenant", "class", "schema", "hub key")
        for release, tenant, device_class, schema in itertools.product(("release", "stranger"), ("demo", "other"),
                                                                       (CLASS, "other-class"), ("right", "other")):
            expected = ("refused wrong_key" if release != "release" else "refused wrong_tenant" if tenant != "demo" else
                        "refused wrong_class" if device_class != CLASS else "refused wrong_schema" if schema != "right" else "loaded")
            file = self.model if schema == "right" else self.other_schema
            self.attempt(table, (release, tenant, device_class, schema, "hub"), expected, lambda f=file, r=release, t=tenant, c=device_class:
                         self.want(self.add_version(f, key=r, tenant=t, device_class=c)))
        self.restart_hub(LAPWING__MODELS__SIGNING_KEY=str(self.kit.dir / "stranger.key"))
        self.attempt(table, ("release", "demo", CLASS, "right", "stranger"), "refused wrong_key",
                     lambda: self.want(self.add_version(self.model, device_class=CLASS)))
        self.restart_hub(LAPWING__MODELS__SIGNING_KEY=str(self.kit.dir / "hub.key"))
        return table

    def put_assignment(self, blob, number):
        """The hub hands out what lies there as long as it seems to hold."""
        self.stack.hub.stop()
        with self.database() as db:
            db.execute("UPDATE model_targets SET number = ?, stage = 2, offer = offer + 1, assignment = ?, until_us = ?, sent_at = NULL"
                       " WHERE model = 'pumps' AND device_no = (SELECT device_no FROM devices WHERE device = 'edge-1')",
                       (number, blob, int((time.time() + 300 * DAY) * 1e6)))
        self.stack.hub.start()

    def assignment_of(self, device):
        def there():
            with self.database() as db:
                row = db.execute("SELECT assignment FROM model_targets JOIN devices USING (tenant_no, device_no) WHERE model = 'pumps'"
                                 " AND device = ?", (device,)).fetchone()
            return row and row[0]
        return wait_for(there, 30, f"an assignment of {device}")

    def row_25(self):
        table = Table("row 25: old, mixed up, withheld, pushed ahead", "what")
        self.add_version(self.model)
        now = self.add_version(self.model)
        self.attempt(table, (f"version {now}",), "loaded", lambda: self.want(now))
        kept = self.assignment_of("edge-1")
        self.attempt(table, ("the version before",), "refused rollback", lambda: self.want(now - 1))
        self.attempt(table, ("the same number, other content",), "refused mismatch",
                     lambda: (self.add_version(self.other_content, at=now), self.restart_hub(), self.want(now, "shadow")))
        self.attempt(table, ("the next version", ), "loaded", lambda: self.want(self.add_version(self.model)))
        following = self.add_version(self.other_content)
        self.attempt(table, ("a new manifest with an old assignment",), "refused mismatch", lambda: self.put_assignment(kept, following))
        self.connect_second(following)
        self.attempt(table, ("another device's assignment",), "refused wrong_device",
                     lambda: self.put_assignment(self.assignment_of("edge-2"), following))
        self.freeze(table)
        self.fast_forward(table)
        return table

    def connect_second(self, number):
        """Makes the hub sign an assignment for the other device: its agent runs for a moment."""
        self.want(number, device="edge-2")
        other = self.fleet.edges[0].__class__(self.fleet, "edge-2", self.second,
                                              more=GROUP.format(keys=self.keys, device_class=CLASS), summary_ms=1000)
        other.start()
        self.assignment_of("edge-2")
        other.close()

    def freeze(self, table):
        """Nobody tells for longer than an assignment holds; then what comes is too old to be taken."""
        self.want(self.add_version(self.model))
        self.answer()
        running, scored = self.running(), self.edge.metric("lapwing_predictions_total")
        self.clock.set(8 * DAY)
        frozen = False
        with contextlib.suppress(TimeoutError):
            frozen = wait_for(lambda: self.edge.status()["models"]["frozen"], 20, "the freeze alarm")
        table.add(("eight days without a word",), "alarm, scoring goes on", "alarm, scoring goes on" if frozen and self.running() == running
                  and self.edge.metric("lapwing_predictions_total") > scored else "nothing told")
        self.attempt(table, ("an assignment that is over",), "refused expired", lambda: self.want(self.add_version(self.model)))
        self.clock.set(0)
        self.attempt(table, ("the hub speaks again",), "loaded", lambda: self.want(self.add_version(self.model)))

    def fast_forward(self, table):
        """A stolen release key pushes a number far ahead; a new key list undoes it."""
        was = self.number
        refused = self.kit.run("model", "sign", self.model, "--key", "stolen.key", "--model", "pumps", "--number", str(2**63), "--tenant",
                               "demo", "--out", "far.manifest", ok=False).returncode != 0
        table.add(("version 2^63",), "not signed", "not signed" if refused else "signed")
        self.attempt(table, ("version 2^61 by a stolen key",), "loaded",
                     lambda: self.want(self.add_version(self.other_content, key="stolen", number=2**61)))
        self.number = was
        self.attempt(table, ("the next version, while the stolen key counts",), "refused rollback",
                     lambda: self.want(self.add_version(self.model)))
        forged = self.kit.key_list(2, releases=("stranger",), signers=("root-1",), out="forged.lwk")
        done = self.kit.run("keys", "import", forged, "--config", self.stack.hub_dir / "hub.toml", program="lapwing-hub", ok=False)
        table.add(("a key list with one root's signature, at the hub",), "refused", "refused" if done.returncode else "taken")
        self.insert_list(2, forged)
        self.attempt(table, ("the same, in the database",), "refused wrong_key",
                     lambda: (self.restart_hub(), self.want(self.add_version(self.model, key="stranger", number=2**61 + 1))))
        self.remove_list(2)
        good = self.kit.key_list(2, releases=("release", "release-2"))
        self.kit.run("keys", "import", good, "--config", self.stack.hub_dir / "hub.toml", program="lapwing-hub")
        self.number = was + 10
        self.attempt(table, ("a lower version, once the stolen key is out",), "loaded",
                     lambda: (self.restart_hub(), self.want(self.add_version(self.model, key="release-2"))))
        self.attempt(table, ("the stolen key's version again",), "refused wrong_key", lambda: self.want(2**61))

    def insert_list(self, number, file):
        with self.database() as db:
            db.execute("INSERT OR REPLACE INTO key_lists(number, list, taken_at) VALUES(?,?,0)", (number, file.read_bytes()))

    def remove_list(self, number):
        with self.database() as db:
            db.execute("DELETE FROM key_lists WHERE number = ?", (number,))


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run.sh models", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="23,24,25", help="of the fault matrix")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    began, problems = time.monotonic(), []
    with Fleet(rate=200, topics=4, keep=options.keep, env={}) as fleet:
        attack = Attack(fleet, options)
        attack.prepare()
        attack.restart_hub(LAPWING__MODELS__SIGNING_KEY=str(attack.kit.dir / "hub.key"))
        for row in options.rows.split(","):
            table = getattr(attack, f"row_{row}")()
            table.print()
            problems += table.problems
        unscored = attack.edge.metric("lapwing_model_rows_unscored_total")
        problems += attack.problems
        if unscored:
            problems.append(f"{unscored:g} rows were not scored")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print(f"{time.monotonic() - began:.0f} s; loaded that must not be, rows unscored: {'NOT 0' if problems else '0'} (seed {options.seed})")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
