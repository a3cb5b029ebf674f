# SPDX-License-Identifier: Apache-2.0
"""Rows 12, 13, 14 and 22 of the fault matrix: the way between agent and hub, seen as TCP."""
import time

from case import Case
from load import connect, publish
from proxy import proxied
from stack import wait_for

KEEP_ALIVE = 5  # seconds, the least that the configuration allows
ANSWER_TIMEOUT = 1  # of the fleet's agents
SLOW = 15  # seconds within which there is progress on a slow link
ADAPT = 90  # at first: what is under way was meant for a fast link, and batches have to become smaller
RECONNECT = 45  # the same with a new connection: TLS alone takes 12 s at 2.4 kbit/s


def turn(trial):
    """Counts runs over all of the case's edges, so that few of them meet different faults."""
    return trial.done + int(trial.edge.name.rsplit("-", 1)[1]) - 1


def partition(trial):
    """Both ways, either way, flapping, in turn."""
    edge, proxy, draw = trial.edge, trial.proxy, trial.random
    mode = ("both", "up", "down", "flapping")[turn(trial) % 4]
    if mode == "flapping":
        for _ in range(draw.randrange(4, 9)):
            proxy.cut(draw.random() < 0.7, draw.random() < 0.7)
            time.sleep(draw.uniform(0.02, 0.3))
            proxy.mend()
            time.sleep(draw.uniform(0.02, 0.2))
    else:
        proxy.cut(mode != "down", mode != "up")
        time.sleep(draw.uniform(0.2, 2.5))
    trial.count(mode)
    behind = edge.hub.watermark()[1]
    proxy.mend()
    since = time.monotonic()
    trial.recovered(since, 30)
    trial.sample("drained records/s", (edge.hub.watermark()[1] - behind) / (time.monotonic() - since))


def say_something(trial):
    """A few readings for an agent that nothing else is said to."""
    site = connect(trial.fleet.stack.site_port)
    for n in range(3):
        site.sendall(publish(f"quiet/{trial.edge.name}", b'{"temperature": %d}' % (20 + n)))
        time.sleep(0.25)
    site.close()


def prepare_half_open(trial):
    proxied(trial)
    edge = trial.edge
    trial.idle = edge.name.endswith(("-3", "-6"))
    if not trial.idle:
        return
    edge.write_config(topics=f'"quiet/{edge.name}"', more='[[watch]]\nname = "quiet"\nstreams = ["quiet/#"]\n')

    def speak_and_wait(seconds=60):
        """In the place of wait_moved_on(): this agent has a record only when something is said to it."""
        before = edge.next_seq()
        wait_for(lambda: say_something(trial) or edge.next_seq() > before, seconds, f"{edge.name}: a record")
        wait_for(lambda: edge.hub.watermark()[1] >= before, seconds, f"{edge.name}: record {before} at the hub")
    edge.wait_moved_on = speak_and_wait


def half_open(trial):
    """The connection dies without a word, as behind a balancer that forgot it. In every second run the whole way is gone."""
    edge, proxy = trial.edge, trial.proxy
    time.sleep(trial.random.uniform(0, 1))
    proxy.black_hole = whole = turn(trial) % 2 == 1
    accepted = proxy.accepted
    if proxy.swallow() == 0:
        trial.problem("there was no connection to swallow")
    since = time.monotonic()
    bound = 1.5 * KEEP_ALIVE + ANSWER_TIMEOUT
    wait_for(lambda: not edge.status()["uplink"]["connected"] or proxy.accepted > accepted, 60, f"{edge.name}: noticing")
    noticed = time.monotonic() - since
    trial.sample("noticed idle s" if trial.idle else "noticed s", noticed)
    if noticed > bound + 0.5:
        trial.problem(f"run {trial.done + 1}: the dead connection was noticed after {noticed:.1f} s, not {bound} s")
    if whole:
        wait_for(lambda: not edge.hub.online(), 60, f"{edge.name}: offline at the hub")
        offline = time.monotonic() - since
        trial.sample("offline at hub s", offline)
        if offline > 1.5 * KEEP_ALIVE + 6:  # the broker looks at keep-alives every 5 seconds
            trial.problem(f"run {trial.done + 1}: the hub showed the device online for {offline:.1f} s")
    proxy.mend()
    if whole:
        proxy.reset()  # with the way come the RSTs for what it had swallowed
    trial.recovered(time.monotonic(), 40)
    if not edge.hub.online():
        trial.problem("the hub shows a device offline that is back")


def slow_link(trial):
    """2.4 kbit/s, a round trip of 2 s, 90 % of the segments stall, in turn, with a new connection between; then all is well."""
    edge, proxy = trial.edge, trial.proxy
    mode = ("2.4 kbit/s", "2 s round trip", "90 % stalls")[turn(trial) % 3]
    figures = ("sent", "acked")
    before = [edge.metric(f"lapwing_uplink_records_{name}_total") for name in figures]
    if mode == "2.4 kbit/s":
        proxy.up.rate = proxy.down.rate = 300
    elif mode == "2 s round trip":
        proxy.up.delay = proxy.down.delay = 1
    else:
        proxy.up.stalls = proxy.down.stalls = 0.9
    began, carried, stored = time.monotonic(), proxy.up.bytes, edge.hub.watermark()[1]
    for stage in range(3):
        if stage == 2:
            proxy.reset()
        at = edge.hub.watermark()[1]
        wait = (ADAPT, SLOW, RECONNECT)[stage]
        until = time.monotonic() + SLOW
        try:
            wait_for(lambda: edge.hub.watermark()[1] > at, wait, f"{mode}: progress {'after a reset' if stage == 2 else ''}")
        except TimeoutError as error:
            trial.problem(f"run {trial.done + 1}: {error}")
        time.sleep(max(0, until - time.monotonic()))
    took = time.monotonic() - began
    sent, acked = (edge.metric(f"lapwing_uplink_records_{name}_total") - value for name, value in zip(figures, before))
    trial.sample(f"{mode}: records/s", (edge.hub.watermark()[1] - stored) / took)
    trial.sample(f"{mode}: bytes/s", (proxy.up.bytes - carried) / took)
    trial.sample(f"{mode}: sent/acked", sent / max(acked, 1))
    proxy.mend()
    trial.recovered(time.monotonic(), 60)


def slow_device(trial):
    """The device does not read while it goes on to write."""
    trial.proxy.cut(up=False)
    time.sleep(trial.random.uniform(3, 6))
    trial.proxy.mend()
    trial.recovered(time.monotonic(), 30)


CASES = [
    Case("partition", "12", 50, "both ways, either way, flapping", partition, proxied, edges=4),
    Case("half-open", "13", 20, "a connection that swallows everything, busy and idle", half_open, prepare_half_open, edges=6,
         options={"uplink": f'keep_alive = "{KEEP_ALIVE}s"'}),
    Case("slow-link", "14", 6, "2.4 kbit/s; a round trip of 2 s; 90 % of segments stall", slow_link, proxied, edges=6),
    Case("slow-device", "22", 8, "the device does not read what it is told", slow_device, proxied, edges=2),
]
