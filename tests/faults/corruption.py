# SPDX-License-Identifier: Apache-2.0
"""Rows 9 and 10 of the fault matrix: bits that flip, pages and frames that go bad in the files of an outbox with a backlog."""
import os
import sqlite3
import struct
import time

from case import Case
from disk import SUMMARIES, behind_gate
from fleet import wait_for
from oracle import read_mark

BACKLOG = 120  # records that only the outbox has
PAGE = 4096
ASIDE_MAX = 3  # damaged files that are kept


# --- harm
def flip_bit(path, pick, first=0, end=None):
    """Where it was."""
    at = pick.randrange(first, end or path.stat().st_size)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << pick.randrange(8)]))
    return f"bit flipped in byte {at}"


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def zero_page(path, pick):
    page = pick.randrange(path.stat().st_size // PAGE)
    overwrite(path, page * PAGE, bytes(PAGE))
    return f"page {page} zeroed"


def truncate(path, pick, first=0, end=None):
    size = pick.randrange(first, end or path.stat().st_size)
    os.truncate(path, size)
    return f"truncated to {size}"


class WriteAheadLog:
    """The frames of the newest generation: those SQLite would read back."""
    HEAD, FRAME_HEAD = 32, 24

    def __init__(self, path):
        data = path.read_bytes() if path.exists() else b""
        self.path, self.frames, self.commits = path, 0, 0
        if len(data) < self.HEAD:
            return
        self.page = struct.unpack(">I", data[8:12])[0]
        salts = data[16:24]
        for at in range(self.HEAD, len(data) - self.FRAME_HEAD - self.page + 1, self.FRAME_HEAD + self.page):
            if data[at + 8:at + 16] != salts:
                break
            self.frames += 1
            self.commits += data[at + 4:at + 8] != bytes(4)

    def at(self, frame):
        return self.HEAD + frame * (self.FRAME_HEAD + self.page)

    def flip(self, pick):
        return flip_bit(self.path, pick, end=self.at(self.frames))

    def tear(self, pick):
        """From somewhere inside a frame on it is not what was written: the head of it is, the rest is older or gone."""
        frame = pick.randrange(self.frames)
        at = pick.randrange(self.at(frame) + 1, self.at(frame + 1))
        if pick.random() < 0.5:
            os.truncate(self.path, at)
        else:
            overwrite(self.path, at, bytes(self.at(frame + 1) - at) if pick.random() < 0.5 else
                      pick.randbytes(self.at(frame + 1) - at))
        return f"frame {frame} of {self.frames} torn at {at}"


def harm_database(trial, folder):
    pick = trial.random
    kind, harm = pick.choice((("bits", flip_bit), ("bits", flip_bit), ("pages", zero_page), ("truncations", truncate)))
    trial.count(kind)
    return harm(folder / "outbox.db", pick)


def harm_log(trial, folder):
    log = WriteAheadLog(folder / "outbox.db-wal")
    if not log.commits:
        raise RuntimeError("the write-ahead log holds no commit")
    kind, harm = trial.random.choice((("bits", log.flip), ("torn frames", log.tear)))
    trial.count(kind)
    return harm(trial.random)


def harm_mark(trial, folder):
    mark = folder / "outbox.hwm"
    kind = trial.random.choice(("bits", "missing", "truncations"))
    trial.count(kind)
    if kind == "bits":
        return flip_bit(mark, trial.random)
    if kind == "truncations":
        return truncate(mark, trial.random)
    mark.unlink()
    return "missing"


# --- the cases
def end_with_backlog(trial, cleanly):
    """The hub is away until records wait, then the agent ends; nothing holds its files any more. Its mark: acknowledged, next."""
    edge = trial.edge
    trial.gate.shut()
    wait_for(lambda: edge.metric("lapwing_outbox_records") >= BACKLOG, 60, f"{trial.case.name}: a backlog of {BACKLOG}")
    if cleanly:
        edge.stop()
    else:
        edge.kill()
    edge.oracle.pause()
    if cleanly:  # what the agent does unless somebody looks on
        database = sqlite3.connect(edge.data / "outbox.db")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
    return read_mark(edge.data)


def damage(harm, cleanly):
    """cleanly: how often the agent stops by itself, which leaves all in the main file, and no write-ahead log."""
    def inject(trial):
        edge, hub, run = trial.edge, trial.edge.hub, trial.done + 1
        acked, mark = end_with_backlog(trial, trial.random.random() < cleanly)
        told, (epoch, held), logged = hub.lost(), hub.watermark(), edge.part.log.stat().st_size
        what = harm(trial, edge.data)
        trial.gate.open()
        since = time.monotonic()
        edge.oracle.again()
        edge.start()
        readings, following = edge.metric("lapwing_readings_total"), edge.next_seq()
        if following < mark:
            trial.problem(f"run {run}: {what}: numbering goes on at {following}, though it had come to {mark}")
        trial.recovered(since)
        wait_for(lambda: edge.metric("lapwing_readings_total") > readings, 10, f"{trial.case.name}: scoring after {what}")
        # In a new epoch it tells again what was not acknowledged to it, though the hub may have it from the epoch before.
        known = held if hub.watermark()[0] == epoch else min(acked, held)
        lost, waited = hub.lost() - told, following - 1 - known
        if lost > waited:
            trial.problem(f"run {run}: {what}: {lost} told lost, of {waited} that waited")
        trial.count("waited", waited)
        trial.count("runs with losses", lost > 0)
        with open(edge.part.log, "rb") as log:
            log.seek(logged)
            trial.count("heals", log.read().count(b"outbox was damaged"))
        kept = {file.name.removesuffix("-wal").removesuffix("-shm") for file in edge.data.glob("outbox.db.damaged-*")}
        if len(kept) > ASIDE_MAX:
            trial.problem(f"run {run}: {len(kept)} damaged files are kept: {', '.join(sorted(kept))}")
    return inject


def case(name, row, runs, what, harm, cleanly, edges, **more):
    return Case(name, row, runs, what, damage(harm, cleanly), behind_gate, {"env": SUMMARIES}, edges, **more)


CASES = [
    case("flip-database", "9", 300, "bits, pages, the end of outbox.db with a backlog go bad", harm_database, 0.7, 8,
         losses=True, epochs=True),
    case("flip-wal", "10", 300, "bits, frames of the outbox's write-ahead log go bad", harm_log, 0, 8,
         losses=True, epochs=True),
    case("flip-mark", "10", 20, "the high-water mark goes bad or missing", harm_mark, 0.5, 1),
]
