# SPDX-License-Identifier: Apache-2.0
"""Row 23 of the fault matrix, the way: a model file over a bad link, beside records that must not wait for it."""
import dataclasses
import threading
import time

from case import Case
from model_kit import Kit
from proxy import proxied
from stack import wait_for

RATE = 8000  # bytes/s each way: 64 kbit/s
WAIT = 1.2  # seconds that an acknowledgement may wait behind pieces, as docs/protocol.md has it, and one look of the meter
UNDER_WAY = 4 * 65536  # bytes of pieces, at most

GROUP = """
[[group]]
name = "pumps"
streams = ["load/0/temperature", "load/0/pressure"]
model = "pumps"
interval = "100ms"
wait = "1s"
warmup = 100
"""
# As delivered: the answer timeouts of real agents, for this is about time.
EDGE = {"topics": '"load/0"', "more": GROUP, "patience": 'reconnect_max = "1s"', "summary_ms": 250}


@dataclasses.dataclass
class Size:
    trees: int
    sample: int
    rate: float  # of the link, bytes/s
    quiet: float  # seconds for which records alone are measured
    cut: float  # seconds


SIZES = {"model-transfer": Size(640, 1024, RATE, 30, 2), "model-transfer-small": Size(40, 256, 4 * RATE, 1, 0.3)}


class Meter:
    """How long each record waited from its commit to its acknowledgement, looked at from outside."""

    def __init__(self, edge):
        self.edge, self.waits = edge, []  # (when made, when acknowledged)
        self._looks, self._stop = [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        made, last = {}, None  # seq -> when it was first seen committed
        while not self._stop.wait(0.02):
            try:
                outbox, at = self.edge.status()["outbox"], time.monotonic()
            except (OSError, ValueError, KeyError):
                made, last = {}, None
                continue
            for seq in range(last if last is not None else outbox["next_seq"], outbox["next_seq"]):
                made[seq] = at
            last = outbox["next_seq"]
            for seq in [seq for seq in made if seq <= outbox["acked_seq"]]:
                self.waits.append((made.pop(seq), at))

    def stop(self):
        self._stop.set()
        self._thread.join()

    def between(self, begin, end, disturbed=()):
        """Waits of records that were made and acknowledged then, and while nothing was broken."""
        return [acked - made for made, acked in self.waits if made >= begin and acked <= end
                and not any(made < till and acked > since for since, till in disturbed)]


def prepare(trial):
    """The hub gets its key; the edge's link is a proxy."""
    stack = trial.fleet.stack
    trial.kit = kit = Kit(stack)
    trial.number = 0
    (stack.hub_dir / "release-hub.key").write_bytes((kit.dir / "hub.key").read_bytes())
    keys = kit.key_list(1)
    kit.run("keys", "import", keys, "--config", stack.hub_dir / "hub.toml", program="lapwing-hub")
    stack.hub.stop()
    stack.hub.start()
    trial.table = kit.table()
    (trial.edge.identity / "keys.lwk").write_bytes(keys.read_bytes())  # as a later enrolment brings it
    proxied(trial)


def transfer(trial):
    """A run with cuts, then one in which 9 of 10 segments stall and connections end, in turn."""
    edge, proxy, size = trial.edge, trial.proxy, SIZES[trial.case.name]
    trial.number += 1
    file = trial.kit.train(f"pumps-{trial.number}.lw", trial.table, "--set", f"trees={size.trees}", "--set", f"sample={size.sample}",
                           "--seed", str(trial.number))
    length = file.stat().st_size
    manifest = trial.kit.sign(file, trial.number)
    trial.kit.push(file, manifest)
    stalls = trial.done % 2 == 1
    for way in (proxy.up, proxy.down):
        way.rate = 0 if stalls else size.rate
        way.stalls = 0.9 if stalls else 0
    edge.wait_moved_on(60)
    meter = Meter(edge)
    began = time.monotonic()
    time.sleep(size.quiet)
    asked = time.monotonic()
    alone = meter.between(began, asked)
    want(trial.fleet.stack, edge.name, trial.number)
    fetched = Fetched(edge)
    disturbed = []
    for part, cut in enumerate((held, lost, restarted), 1):
        wait_for(lambda: fetched.look() >= length * part // 4, 120 + 6 * length / size.rate, f"{part}/4 of the file")
        since = time.monotonic()
        cut(trial, fetched)
        edge.wait_moved_on(60)
        disturbed.append((since, time.monotonic() + size.cut))
    whole = lambda: fetched.look() >= length and reported(trial.fleet.stack, edge.name, trial.number)  # noqa: E731
    wait_for(whole, 120 + 6 * length / size.rate, "the whole file, and the device's word")
    ended = time.monotonic()
    meter.stop()
    beside = meter.between(asked, ended, disturbed)
    name = "stalls" if stalls else f"{size.rate * 8 / 1000:.0f} kbit/s"
    trial.sample(f"{name}: file s", ended - asked)
    trial.sample(f"{name}: records alone s", max(alone, default=float("nan")))
    trial.sample(f"{name}: beside s", max(beside, default=float("nan")))
    trial.count("bytes", length)
    trial.count("fetched", fetched.look())
    if fetched.look() > length + 3 * UNDER_WAY:
        trial.problem(f"{fetched.look()} bytes were fetched for a file of {length}")
    if not alone or not beside:
        trial.problem("no record was seen to go up beside the file")
    elif not stalls and max(beside) > max(alone) + WAIT:
        trial.problem(f"a record waited {max(beside):.2f} s for its acknowledgement; without a transfer {max(alone):.2f} s")
    proxy.mend()
    trial.recovered(time.monotonic())


def want(stack, device, number, url=None):
    stack.fetch(f"/api/v1/devices/{device}/models/pumps", {"number": number, "stage": "shadow"}, url=url, method="PUT")


def reported(stack, device, number, url=None):
    """Whether the device's word that it runs the version is at the hub."""
    rows = stack.fetch(f"/api/v1/devices/{device}/models", url=url)["items"]
    report = (rows[0]["report"] if rows else None) or {}
    return report.get("version") == number and report["state"] in ("shadow", "active", "confirmed")


class Fetched:
    """Bytes of the file, over all processes of the agent."""

    def __init__(self, edge):
        self.edge, self.before, self.now = edge, 0, 0
        self.base = edge.metric("lapwing_uplink_model_bytes_total")

    def look(self):
        try:
            self.now = self.edge.metric("lapwing_uplink_model_bytes_total") - self.base
        except OSError:
            pass
        return self.before + self.now

    def restart(self):
        self.before, self.now, self.base = self.look(), 0, 0


def held(trial, _):
    trial.proxy.cut()
    time.sleep(SIZES[trial.case.name].cut)
    for way in (trial.proxy.up, trial.proxy.down):
        way.open = True


def lost(trial, _):
    trial.proxy.reset()


def restarted(trial, fetched):
    fetched.look()
    trial.edge.kill()
    fetched.restart()
    trial.edge.start()


CASES = [
    Case("model-transfer", "23", 2, "a model of 5 MB over 64 kbit/s with three cuts; with 90 % of segments stalling", transfer, prepare,
         options=EDGE, alone=True),
    Case("model-transfer-small", "23", 1, "likewise in short", transfer, prepare, options=EDGE, alone=True),
]
