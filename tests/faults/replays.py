# SPDX-License-Identifier: Apache-2.0
"""Rows 15, 16 and 18 of the fault matrix: what the agent said comes again, in another order, or late."""
import threading
import time

from case import Case
from mqtt import Client
from stack import wait_for
from tap import tapped


def break_up(trial):
    """The connection ends, sometimes the process too: what was said belongs to another connection from now on."""
    if trial.random.random() < 0.5:
        trial.proxy.reset()
    else:
        trial.edge.kill()
        trial.hellos = len(trial.proxy.of("hello"))
        trial.edge.start()
    trial.edge.wait_moved_on()


def replay(trial, messages):
    """Each 1 to 10 times, in a random order, on the connection of now."""
    again = [one for one in messages for _ in range(trial.random.randint(1, 10))]
    trial.random.shuffle(again)
    wait_for(lambda: trial.proxy.inject(again), 20, f"{trial.edge.name}: a connection to say it on")
    trial.count("replayed", len(again))


def duplicates(trial):
    edge, tap, draw = trial.edge, trial.proxy, trial.random
    if trial.done % 3 == 0:  # a backlog, so that there are live copies too
        tap.cut()
        time.sleep(draw.uniform(0.8, 1.2))
        tap.mend()
    time.sleep(draw.uniform(0.1, 0.5))  # some more to choose from
    since = time.monotonic()
    if trial.done % 2:
        break_up(trial)
    chosen = []
    for channel in ("records", "report", "status"):
        said = tap.of(channel)
        chosen += draw.sample(said, min(len(said), 10))
        chosen += said[-3:]
    # Hellos of this process only: those of an ended one count as a clone's, which is quarantined.
    replay(trial, chosen + tap.of("hello")[getattr(trial, "hellos", 0):][-3:])
    if trial.done % 5 == 4:  # from a connection of its own, which takes the place of the agent's
        with Client(tap.to, edge.name, edge.identity) as other:
            for topic, payload in chosen[-8:]:
                other.publish(topic, payload)
        trial.count("replayed", min(8, len(chosen)))
    trial.recovered(since)


def reordering(trial):
    """A backlog goes out in small batches, which change places on their way; some come once more."""
    tap = trial.proxy
    tap.cut()
    time.sleep(trial.random.uniform(0.4, 1))
    tap.shuffle = trial.random.randint(2, 8)
    before = tap.shuffled
    tap.mend()
    since = time.monotonic()
    time.sleep(trial.random.uniform(0.3, 1))
    replay(trial, tap.of("records")[-12:])
    tap.shuffle = 0
    trial.recovered(since)
    trial.count("batches out of order", tap.shuffled - before)


class Watch(threading.Thread):
    """Looks at whether the hub shows a device online, often."""

    def __init__(self, edge):
        super().__init__(daemon=True)
        self.edge, self.looks, self.offline, self._stop_asked = edge, 0, 0, False
        self.start()

    def run(self):
        while not self._stop_asked:
            self.looks += 1
            self.offline += 0 if self.edge.hub.online() else 1
            time.sleep(0.003)

    def finish(self):
        self._stop_asked = True
        self.join()
        return self.offline


def late_will(trial):
    """The agent has a new connection; the wills of its earlier ones fire. In every tenth run the newest fires and counts."""
    edge, tap = trial.edge, trial.proxy
    if trial.done % 10 == 9:
        will_that_counts(trial)
        return
    since = time.monotonic()
    tap.reset(keep_broker_side=True)
    edge.wait_moved_on()
    watch = Watch(edge)
    tap.close_kept()
    earlier = tap.wills[:-1]
    wait_for(lambda: tap.inject(earlier[-3:] + trial.random.sample(earlier, min(3, len(earlier)))), 20, "a connection")
    trial.count("late wills", min(3, len(earlier)) * 2)
    trial.recovered(since)
    time.sleep(0.05)
    offline = watch.finish()
    trial.count("looks", watch.looks)
    trial.count("false offline", offline)
    if offline or watch.looks < 5:
        trial.problem(f"run {trial.done + 1}: the hub showed the device offline in {offline} of {watch.looks} looks")


def will_that_counts(trial):
    edge, tap = trial.edge, trial.proxy
    tap.black_hole = True  # so that it stays away
    tap.reset()
    try:
        wait_for(lambda: not edge.hub.online(), 5, f"{edge.name}: offline at the hub after its will")
    except TimeoutError as error:
        trial.problem(str(error))
    trial.count("true offline")
    tap.mend()
    tap.reset()
    trial.recovered(time.monotonic())
    if not edge.hub.online():
        trial.problem(f"run {trial.done + 1}: the device is back, and the hub shows it offline")


CASES = [
    Case("duplicates", "15", 60, "what the agent said is said again up to ten times, later and on other connections", duplicates,
         tapped, {"uplink": "live_backlog = 100\nbatch_records_max = 50"}, edges=2),
    Case("reordering", "16", 60, "batches change places on their way", reordering, tapped, {"uplink": "batch_records_max = 10"},
         edges=2),
    Case("late-will", "18", 100, "the wills of earlier connections fire after the agent's return", late_will, tapped, edges=2),
]
