# SPDX-License-Identifier: Apache-2.0
"""Prints each anomaly as it reaches the hub, and holds what the hub reports against the faults that were injected."""
import datetime
import json
import urllib.parse
import urllib.request

SLACK_BEFORE_S = 1.0  # a detector may date an onset a little early
SLACK_AFTER_S = 6.0  # and needs readings after the fault's end to be sure of an outage
# What counts as the right word for a fault; the others are the detector's to name.
REASONS = {"stuck": {"stuck"}, "dropout": {"gap"}}


def instant(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def all_anomalies(stack):
    items, cursor = [], None
    while True:
        query = {"limit": 500, **({"cursor": cursor} if cursor else {})}
        page = stack.fetch("/api/v1/anomalies?" + urllib.parse.urlencode(query))
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return items


def follow(stack, on_event, stop):
    """Calls on_event(anomaly) for each event of the live feed until `stop` is set; reconnects where it left off."""
    last = None
    while not stop.is_set():
        headers = {"Authorization": f"Bearer {stack.token}", **({"Last-Event-ID": last} if last else {})}
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{stack.url}/api/v1/feed", headers=headers),
                                        timeout=60) as stream:
                for line in stream:
                    name, _, value = line.decode().rstrip("\r\n").partition(": ")
                    if name == "id":
                        last = value
                    elif name == "data":
                        on_event(json.loads(value))
                    if stop.is_set():
                        return
        except OSError:
            stop.wait(0.5)


def show(anomaly):
    delay = instant(anomaly["updated_at"]) - instant(anomaly["end"] if anomaly["state"] == "closed" else anomaly["onset"])
    opened = anomaly.get("phase", "opened") == "opened"
    if not opened and anomaly["state"] != "closed":
        return  # an update of an open anomaly: the page shows it
    what = "ANOMALY" if opened else "closed "
    clock = datetime.datetime.now().strftime("%H:%M:%S")
    print(f"{clock}  {what}  {anomaly['severity']:<8} {anomaly['reason']:<12} {anomaly['stream']:<36} "
          f"at the hub {delay:6.2f} s after its {'onset' if opened else 'end'}  {anomaly['text']}", flush=True)


def reported(fault, anomalies):
    """The first anomaly that reports this fault, or None."""
    first = fault["onset"] - SLACK_BEFORE_S
    last = fault["end"] + SLACK_AFTER_S
    wanted = REASONS.get(fault["fault"])
    found = [a for a in anomalies if a["stream"] in fault["streams"] and first <= instant(a["onset"]) <= last
             and (wanted is None or a["reason"] in wanted)]
    return min(found, key=lambda a: instant(a["received_at"]), default=None)


def verdict(faults, anomalies):
    print(f"\n{'injected fault':<16} {'sensors':<44} {'reported as':<12} {'delay':>8}")
    missed = 0
    for fault in faults:
        hit = reported(fault, anomalies)
        names = ", ".join(stream.rsplit("/", 1)[-1] for stream in fault["streams"])
        if hit:
            delay = instant(hit["received_at"]) - fault["onset"]
            print(f"{fault['fault']:<16} {names:<44} {hit['reason']:<12} {delay:6.2f} s")
        else:
            missed += 1
            print(f"{fault['fault']:<16} {names:<44} {'NOT REPORTED':<12}")
    inside = [a for a in anomalies if any(f["onset"] - SLACK_BEFORE_S <= instant(a["onset"]) <= f["end"] + SLACK_AFTER_S
                                          for f in faults)]
    plant = [a for a in anomalies if a["stream"].startswith("factory/")]
    others = [a for a in plant if a not in inside]
    print(f"{len(faults) - missed} of {len(faults)} injected faults reported; "
          f"{len(others)} anomalies of the pump outside the faults, {len(anomalies) - len(plant)} of this machine's own telemetry")
    return missed
