# SPDX-License-Identifier: Apache-2.0
"""The hub's database as the cases look at it, read-only: SQLite or PostgreSQL, by the same questions."""
import array
import sqlite3
import sys
import threading
import time

from psql import Psql


def open_read_only(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA query_only=1")
    return db


class HubView:
    """Of one device. An engine says how to open it, to ask, and what its errors are."""
    patience_s = 2.5

    def __init__(self, device):
        self.device, self.db = device, None
        self._lock = threading.Lock()

    def rows(self, sql, *arguments):
        with self._lock:
            deadline = time.monotonic() + self.patience_s
            while True:
                try:
                    if self.db is None:
                        self.db = self.open()
                    return self.ask(sql, arguments)
                except self.errors:
                    self.drop()
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)

    def drop(self):
        if self.db is not None:
            self.db.close()
        self.db = None

    def one(self, sql, *arguments):
        found = self.rows(sql, *arguments)
        return found[0] if found else None

    def of_another_time(self, since):
        """Streams whose newest summary is of before `since`, or of a time to come."""
        return self.one("SELECT count(*) FROM streams JOIN devices USING (tenant_no, device_no) WHERE device = ? AND"
                        " last_time NOT BETWEEN ? AND ?", self.device, int(since * 1e6), int(time.time() * 1e6))[0]

    def close(self):
        with self._lock:
            self.drop()

    def watermark(self):
        """(epoch, watermark) of the device."""
        return self.one("SELECT epoch, watermark FROM devices WHERE device = ?", self.device) or (0, 0)

    def online(self):
        return bool((self.one("SELECT online FROM devices WHERE device = ?", self.device) or (0,))[0])

    def lost(self, *reasons):
        """Records accounted for as lost for these reasons."""
        columns = " + ".join(f"lost_{reason}" for reason in reasons or ("quota", "corrupt", "vanished", "poison"))
        return (self.one(f"SELECT {columns} FROM devices WHERE device = ?", self.device) or (0,))[0]

    def losses(self):
        """(epoch, seq_first, seq_last)."""
        return self.rows("SELECT losses.epoch, seq_first, seq_last FROM losses JOIN devices USING (tenant_no, device_no)"
                         " WHERE device = ?", self.device)


class SqliteView(HubView):
    """The hub may be killed at any time; its database stays readable."""
    errors = sqlite3.Error

    def __init__(self, path, device):
        super().__init__(device)
        self.path = path

    def open(self):
        return open_read_only(self.path)

    def ask(self, sql, arguments):
        return self.db.execute(sql, arguments).fetchall()

    def ledger(self):
        """Every stored key: list of (epoch, seq, class, hash)."""
        return self.rows("SELECT ledger.epoch, seq, class, hash FROM ledger JOIN devices USING (tenant_no, device_no)"
                         " WHERE device = ?", self.device)


class PostgresView(HubView):
    """The server may be killed at any time, and is asked again until it is back."""
    patience_s = 60
    errors = OSError

    def __init__(self, url, device):
        super().__init__(device)
        self.url = url

    def open(self):
        return Psql(self.url)

    def ask(self, sql, arguments):
        return self.db.rows(sql, arguments)

    def ledger(self):
        """Every stored key: list of (epoch, seq, class, hash). The ledger keeps runs of numbers (postgres_schema.hpp): of each a
        byte for its class and eight, the highest first, for its hash."""
        found = []
        for epoch, first, last, classes, raw in self.rows(
                "SELECT ledger.epoch, seq_first, seq_last, classes, hashes FROM ledger JOIN devices USING (tenant_no, device_no)"
                " WHERE device = ?", self.device):
            hashes = array.array("q", bytes.fromhex(raw[2:]))
            if sys.byteorder == "little":
                hashes.byteswap()
            found += [(epoch, seq, kind, value) for seq, kind, value in zip(range(first, last + 1), bytes.fromhex(classes[2:]), hashes,
                                                                           strict=True)]
        return found


def hub_view(stack, device):
    """The stack's hub's."""
    return PostgresView(stack.store, device) if stack.store else SqliteView(stack.hub_dir / "hub.db", device)
