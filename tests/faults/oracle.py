# SPDX-License-Identifier: Apache-2.0
"""Watches an agent's outbox and a hub's database from outside, read-only, and compares them at the end.

The outbox deletes a record once the hub acknowledged it; so its rows are copied (sequence number and SHA-256 of the payload) as
they appear, and the next sequence number tells how many there were in all.
"""
import hashlib
import pathlib
import sqlite3
import threading
import time


def open_read_only(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5, isolation_level=None)
    db.execute("PRAGMA query_only=1")
    return db


def record_hash(payload):
    """What both sides call a record's hash: the first 8 bytes of the SHA-256, little-endian; signed, as SQLite stores it."""
    return int.from_bytes(hashlib.sha256(payload).digest()[:8], "little", signed=True)


class OutboxOracle:
    """A thread that copies what the agent commits. `hashes` is seq -> hash of every row it saw."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.hashes = {}
        self.next_seq = 1
        self.epochs = set()
        self.problems = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        db, last = None, 0
        while not self._stop.is_set():
            try:
                if db is None:
                    db = open_read_only(self.path)
                position = db.execute("SELECT epoch, next_seq FROM position").fetchone()
                if position:
                    if position[1] < self.next_seq:
                        self.problems.append(f"next_seq went back from {self.next_seq} to {position[1]}")
                    self.next_seq = max(self.next_seq, position[1])
                    if position[0]:
                        self.epochs.add(position[0])
                for seq, payload in db.execute("SELECT seq, payload FROM records WHERE seq > ? ORDER BY seq", (last,)):
                    self.hashes[seq] = record_hash(payload)
                    last = seq
            except sqlite3.Error:  # not made yet, or locked while the agent opens it
                if db is not None:
                    db.close()
                db = None
            self._stop.wait(0.01)
        if db is not None:
            db.close()

    def finish(self):
        self._stop.set()
        self._thread.join()


class HubView:
    """The hub's database, read-only. The hub may be killed at any time; its database stays readable."""

    def __init__(self, path, device):
        self.path, self.device = path, device
        self.db = None

    def one(self, sql, *arguments):
        for attempt in range(50):
            try:
                if self.db is None:
                    self.db = open_read_only(self.path)
                return self.db.execute(sql, arguments).fetchone()
            except sqlite3.Error:
                self.close()
                if attempt == 49:
                    raise
                time.sleep(0.05)
        return None

    def close(self):
        if self.db is not None:
            self.db.close()
        self.db = None

    def watermark(self):
        """(epoch, watermark) of the device."""
        return self.one("SELECT epoch, watermark FROM devices WHERE device = ?", self.device) or (0, 0)

    def ledger(self):
        """Every stored key: list of (epoch, seq, class, hash)."""
        self.close()
        db = open_read_only(self.path)
        rows = db.execute("SELECT ledger.epoch, seq, class, hash FROM ledger JOIN devices USING (tenant_no, device_no)"
                          " WHERE device = ?", (self.device,)).fetchall()
        db.close()
        return rows


def compare(oracle, hub, ranges):
    """One result per (name, first, last) in `ranges`; and a list of what is wrong over all."""
    rows = hub.ledger()
    problems = list(oracle.problems)
    by_seq = {}
    duplicates = set()
    for _, seq, _, value in rows:
        if seq in by_seq:
            duplicates.add(seq)
        by_seq[seq] = value
    stored, lost, anomalies, outstanding = hub.one(
        "SELECT stored, lost_quota + lost_corrupt + lost_vanished + lost_poison, anomalies_open,"
        " epoch_produced - epoch_base - epoch_accounted FROM devices WHERE device = ?", hub.device)
    summaries = sum(1 for row in rows if row[2] == 2)
    points = hub.one("SELECT count(*) FROM history JOIN devices USING (tenant_no, device_no) WHERE device = ?", hub.device)[0]
    late = hub.one("SELECT count(*) FROM streams s JOIN devices USING (tenant_no, device_no) WHERE device = ? AND last_time <>"
                   " (SELECT coalesce(max(end_us), last_time) FROM history h WHERE h.tenant_no = s.tenant_no AND h.device_no ="
                   " s.device_no AND h.stream_no = s.stream_no)", hub.device)[0]
    if stored != len(rows):
        problems.append(f"the hub counts {stored} stored records, but holds {len(rows)} keys: something was applied twice")
    if points != summaries:
        problems.append(f"{summaries} summaries arrived, but the history has {points} points")
    if late:
        problems.append(f"{late} streams do not show their newest summary: order was not kept")
    if lost:
        problems.append(f"{lost} records are accounted as lost")
    if outstanding:
        problems.append(f"{outstanding} records are outstanding after draining")
    if len(oracle.epochs) > 1 or any(row[0] not in oracle.epochs for row in rows):
        problems.append(f"epochs changed: {sorted(oracle.epochs | {row[0] for row in rows})}")
    beyond = [seq for seq in by_seq if seq >= oracle.next_seq]
    if beyond:
        problems.append(f"{len(beyond)} records at the hub were never committed by the agent")
    results = []
    for name, first, last in ranges:
        wanted = range(first, last + 1)
        results.append({
            "case": name,
            "records": len(wanted),
            "lost": sum(1 for seq in wanted if seq not in by_seq),
            "duplicated": sum(1 for seq in wanted if seq in duplicates),
            "checked": sum(1 for seq in wanted if seq in oracle.hashes),
            "altered": sum(1 for seq in wanted if seq in oracle.hashes and seq in by_seq and
                           oracle.hashes[seq] != by_seq[seq]),
        })
    return results, problems, anomalies
