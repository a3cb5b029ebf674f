# SPDX-License-Identifier: Apache-2.0
"""Watches an agent's outbox from outside, read-only, and compares it at the end with the hub's database (hub_view.py).

The outbox deletes a record once the hub acknowledged it; so its rows are copied (number and SHA-256 of the payload) as they
appear. A row counts as promised when it lies below the high-water mark: from then on the agent may send it.
"""
import collections
import dataclasses
import hashlib
import pathlib
import sqlite3
import struct
import threading
import time
import zlib

from hub_view import open_read_only


def record_hash(payload):
    """What both sides call a record's hash: the first 8 bytes of the SHA-256, little-endian; signed, as SQLite stores it."""
    return int.from_bytes(hashlib.sha256(payload).digest()[:8], "little", signed=True)


def row_is_sound(seq, record_class, time_us, crc, payload):
    try:
        head = struct.pack("<QqB", seq, time_us, record_class)
    except struct.error:  # a damaged file may hold anything
        return False
    return isinstance(payload, bytes) and zlib.crc32(payload, zlib.crc32(head)) == crc


def high_water_mark(folder):
    """next_seq of the newest sound slot of outbox.hwm; 1 when there is none."""
    return read_mark(folder)[1]


def read_mark(folder):
    """(acked_seq, next_seq) of the newest sound slot of outbox.hwm; (0, 1) when there is none."""
    newest = (0, 0, 1)
    try:
        data = (pathlib.Path(folder) / "outbox.hwm").read_bytes()
    except OSError:
        return newest[1:]
    for at in (0, 512):
        slot = data[at:at + 512]
        if len(slot) == 512 and slot[:8] == b"LWHWM001" and zlib.crc32(slot[:504]) == struct.unpack("<Q", slot[504:])[0]:
            generation, _, acked_seq, _, next_seq = struct.unpack("<5Q", slot[40:80])
            newest = max(newest, (generation, acked_seq, next_seq))
    return newest[1:]


def file_number(path):
    try:
        return path.stat().st_ino
    except OSError:
        return None


class OutboxOracle:
    """A thread that copies what the agent commits. `seen` is seq -> hashes of the sound rows that had that number;
    `destroyed` likewise: of them, those that went with a disk before they could be delivered."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.seen = collections.defaultdict(set)
        self.destroyed = collections.defaultdict(set)
        self.next_seq = 1  # as far as it was seen
        self._db, self._last, self._file = None, 0, None
        self._lock = threading.Lock()
        self._paused = True
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _look(self):
        path = self.folder / "outbox.db"
        if self._db is not None and self._file != file_number(path):  # a healed one took its place
            self._close()
            self._last = 0
        if self._db is None:
            self._file = file_number(path)
            self._db = open_read_only(path)
            self._db.text_factory = bytes
        mark = high_water_mark(self.folder)
        self.next_seq = max(self.next_seq, mark)
        rows = self._db.execute("SELECT seq, class, time_us, crc, payload FROM records WHERE seq > ? AND seq < ? ORDER BY seq",
                                (self._last, mark))
        for seq, record_class, time_us, crc, payload in rows:
            if row_is_sound(seq, record_class, time_us, crc, payload):
                self.seen[seq].add(record_hash(payload))
            self._last = seq

    def _close(self):
        if self._db is not None:
            self._db.close()
        self._db = None

    def _run(self):
        while self._awake.wait() and not self._stop.is_set():
            with self._lock:
                if not self._paused:
                    try:
                        self._look()
                    except sqlite3.Error:  # not made yet, or locked while the agent opens it
                        self._close()
            self._stop.wait(0.03)
        self._close()

    def pause(self, look=True):
        """Lets go of the files, after a last look; until resume()."""
        with self._lock:
            if look and not self._paused:
                try:
                    self._look()
                except sqlite3.Error:
                    pass
            self._close()
            self._paused = True
            self._awake.clear()

    def resume(self):
        with self._lock:
            self._paused = False
            self._awake.set()

    def again(self, from_seq=1):
        """The rows from there on are looked at once more when it resumes: the disk may not give back what was there."""
        with self._lock:
            self._last = min(self._last, from_seq - 1)

    def branch(self, from_seq, stored):
        """Another history begins: numbers from there on come again. Of the old one the hub has all up to `stored`."""
        with self._lock:
            self._last = min(self._last, from_seq - 1)
            for seq, values in self.seen.items():
                if seq >= from_seq and seq > stored:
                    self.destroyed[seq] |= values

    def finish(self):
        self._stop.set()
        self._awake.set()
        self._thread.join()


@dataclasses.dataclass
class Account:
    """What became of one device's records."""
    records: int = 0  # numbers given
    checked: int = 0  # of them: content seen in the outbox and compared
    lost: int = 0  # promised, not at the hub, and no loss record says so
    duplicated: int = 0
    altered: int = 0
    reordered: int = 0  # streams whose newest summary is not what the hub shows (clocks are right at the end)
    told: int = 0  # accounted for as lost, by loss records
    epochs: int = 0
    problems: list = dataclasses.field(default_factory=list)


class Cover:
    """Whether a number lies in one of many ranges."""

    def __init__(self, ranges):
        self.numbers = set()
        for first, last in ranges:
            self.numbers.update(range(first, last + 1))

    def __contains__(self, seq):
        return seq in self.numbers


def reordered(hub):
    """Streams whose newest summary is not what the hub shows. Its history is kept by minute before stream: one way through it for all."""
    return hub.one(
        "WITH newest AS (SELECT stream_no, max(end_us) AS told FROM history JOIN devices USING (tenant_no, device_no)"
        " WHERE device = ? AND end_us <= ? GROUP BY stream_no)"
        " SELECT count(*) FROM newest JOIN streams USING (stream_no) JOIN devices USING (tenant_no, device_no)"
        " WHERE device = ? AND last_time <> told", hub.device, int(time.time() * 1e6), hub.device)[0]


def compare(oracle, next_seq, hub):
    """Everything below next_seq was promised, by the newest history; what was seen of others as well."""
    account = Account(records=next_seq - 1)
    rows = hub.ledger()
    by_seq = collections.defaultdict(set)
    for _, seq, _, value in rows:
        by_seq[seq].add(value)
    told = Cover((first, last) for _, first, last in hub.losses())
    account.lost = sum(1 for seq in range(1, next_seq) if not by_seq.get(seq) and seq not in told)
    for seq, values in oracle.seen.items():
        for value in values - oracle.destroyed.get(seq, set()):
            account.checked += 1
            if value not in by_seq.get(seq, ()) and seq not in told:
                account.altered += 1
    stored, account.told, outstanding, account.epochs = hub.one(
        "SELECT stored, lost_quota + lost_corrupt + lost_vanished + lost_poison,"
        " epoch_produced - epoch_base - epoch_accounted, epoch FROM devices WHERE device = ?", hub.device)
    # Only summaries: a killed agent restores an older state of its detectors, and may close an anomaly once more.
    again = collections.Counter((epoch, value) for epoch, _, record_class, value in rows if record_class == 2)
    account.duplicated = abs(stored - len(rows)) + sum(count - 1 for count in again.values())
    if stored != len(rows):
        account.problems.append(f"the hub counts {stored} records stored, its ledger has {len(rows)}")
    summaries = len({row[3] for row in rows if row[2] == 2})
    points = hub.one("SELECT count(*) FROM history JOIN devices USING (tenant_no, device_no) WHERE device = ?", hub.device)[0]
    account.reordered = reordered(hub)
    if points != summaries:
        account.problems.append(f"{summaries} summaries arrived, but the history has {points} points")
    if account.checked + account.told < account.records / 4:
        account.problems.append(f"only {account.checked} of {account.records} records were seen and compared")
    if outstanding:
        account.problems.append(f"{outstanding} records are outstanding after draining")
    beyond = sum(1 for seq in by_seq if seq >= max(next_seq, oracle.next_seq))
    if beyond:
        account.problems.append(f"{beyond} records at the hub were never committed by the agent")
    return account
