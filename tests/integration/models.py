#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model's whole way with real processes: trained from a CSV on the hub, signed, rolled out to three agents under load.

Ring by ring each agent goes from its own detector over shadow to active and confirmed. Every row gets a score throughout, though
versions change under load; the time to 100 % is printed. With --pictures a browser follows the rollouts' page.
"""
import argparse
import contextlib
import json
import pathlib
import sys
import time
import urllib.error

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "faults"), str(ROOT / "tests" / "browser")]

from fleet import Fleet  # noqa: E402
from model_kit import Kit  # noqa: E402
from rollout_page import RolloutPage  # noqa: E402
from stack import wait_for  # noqa: E402

TOPICS = 20
GROUP = """
[models]
keys_file = "{keys}"
confirm_after = "{confirm}s"
report_every = "{report}s"

[[group]]
name = "pumps"
streams = ["load/+/temperature", "load/+/pressure"]
model = "pumps"
wait = "1s"
warmup = 300
alarms_per_week = 1000
"""


class Way:
    def __init__(self, fleet, options):
        self.fleet, self.stack, self.options, self.kit = fleet, fleet.stack, options, Kit(fleet.stack)
        self.page = None

    def prepare(self):
        keys = self.kit.key_list()
        self.kit.run("keys", "import", keys, "--config", self.stack.hub_dir / "hub.toml", program="lapwing-hub")
        self.stack.hub.stop()
        self.stack.hub.env["LAPWING__MODELS__SIGNING_KEY"] = str(self.kit.dir / "hub.key")
        self.stack.hub.start()
        more = GROUP.format(keys=keys, confirm=self.options.step, report=self.options.step)
        self.edges = [self.fleet.edge(f"edge-{i + 1}", more=more, summary_ms=1000) for i in range(3)]
        for edge in self.edges:
            edge.start()
        for edge in self.edges:
            edge.wait_moved_on()
            wait_for(lambda edge=edge: self.warm(edge), 120, f"{edge.name}: its own detector warm")

    @staticmethod
    def warm(edge):
        page = edge.status("/api/v1/streams?limit=1000")
        groups = [one for one in page["items"] if one["stream"].startswith("pumps")]
        return len(groups) == TOPICS and all(one["last_score"] is not None for one in groups)

    def train(self, seed):
        """On the hub; the file comes back to be signed where the release key is."""
        began = time.monotonic()
        table = self.kit.table(rows=20_000)
        made = json.loads(self.kit.hub_client("train", table, "--name", "pumps", "--seed", seed, "--json").stdout)
        self.kit.hub_client("model", "pull", made["sha256"], "--out", f"pumps-{seed}.lw")
        print(f"trained on the hub from {table.stat().st_size:,} bytes of CSV in {time.monotonic() - began:.1f} s", flush=True)
        return self.kit.dir / f"pumps-{seed}.lw"

    def release(self, file, number):
        self.kit.push(file, self.kit.sign(file, number))

    def rollout(self, number, undo, **gates):
        """The load's jumps are not in the table, so the scores are not spread as in training."""
        step = self.options.step
        plan = {"rings": [{"percent": 33}, {"percent": 100}], "shadow_s": step, "soak_s": step, "silence_after_s": 60,
                # What else runs here may hold single rows up.
                "gates": {"rows_min": 200, "psi_max": 2, "cost_allowance_s": 0.001, **gates}}
        try:
            return self.stack.fetch("/api/v1/rollouts", {"model": "pumps", "number": number, "undo": undo, "plan": plan})["id"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"no rollout: {error.read().decode()}") from None

    def phase(self, rollout):
        return self.stack.fetch(f"/api/v1/rollouts/{rollout}")

    def follow(self, rollout, seconds):
        """Until it ends; says each change. The last state."""
        last = None
        if self.page:
            self.page.open(rollout)

        def ended():
            nonlocal last
            now = self.phase(rollout)
            what = (now["phase"], now["ring"])
            if what != last:
                last = what
                print(f"  {now['phase']}, ring {now['ring']}: {now['text']}", flush=True)
                if self.page:
                    self.page.look()
            return now if now["phase"] in ("done", "aborted", "rolled_back", "paused") else None

        return wait_for(ended, seconds, f"the end of rollout {rollout}")

    def active(self, edge):
        active = next((one["active"] for one in edge.status()["models"]["items"] if one["model"] == "pumps"), None)
        return active["version"] if active else 0


def spread(way, number, undo, **gates):
    """A rollout to its end; what went wrong."""
    before = [(edge.metric("lapwing_predictions_total"), edge.status()["readings_total"]) for edge in way.edges]
    print(f"version {number}:")
    began = time.monotonic()
    end = way.follow(way.rollout(number, undo, **gates), 900)
    took = time.monotonic() - began
    problems = [] if end["phase"] == "done" else [f"the rollout of version {number} ended as {end['phase']}: {end['text']}"]
    for edge, (scored, read) in zip(way.edges, before):
        scored, read = edge.metric("lapwing_predictions_total") - scored, edge.status()["readings_total"] - read
        unscored, unwatched = edge.metric("lapwing_model_rows_unscored_total"), edge.metric("lapwing_unwatched_readings_total")
        print(f"  {edge.name}: version {way.active(edge)} active, {read / took:,.0f} readings/s, without a score: {unscored + unwatched:g}")
        if way.active(edge) != number:
            problems.append(f"{edge.name}: version {way.active(edge)} is active")
        if unscored or unwatched:
            problems.append(f"{edge.name}: {unscored:g} rows and {unwatched:g} readings were not scored")
        if scored < read * 0.9:
            problems.append(f"{edge.name}: {scored:g} of {read} readings were scored")
    print(f"  {'100 % of 3 devices' if not problems else end['phase']} after {took:.1f} s", flush=True)
    return problems


def run(fleet, options):
    with contextlib.ExitStack() as also:
        return versions(Way(fleet, options), also)


def versions(way, also):
    fleet, options = way.fleet, way.options
    way.prepare()
    if options.pictures:
        way.page = also.enter_context(RolloutPage(way.stack, options.pictures))
    # The first takes the place of the groups' own detectors, which have seen a second or so and call most of the rest strange.
    first = way.train(1)
    way.release(first, 1)
    problems = spread(way, 1, 0, agreement_min=0, alarm_ratio_max=1000, active_alarm_ratio_max=1000)
    if options.versions > 1:
        way.release(way.train(2), 2)
        way.release(first, 3)  # the way back
        problems += spread(way, 2, 3)
    if way.page:
        problems += way.page.problems()
        print(f"the page agreed with the hub {way.page.looks} times", flush=True)
    print(f"{fleet.stop_load():,} messages in all, {options.rate} a second")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=5000, help="messages/s, of two readings each, to each agent")
    parser.add_argument("--step", type=int, default=5, help="seconds a device is in shadow, on trial, and between its reports")
    parser.add_argument("--versions", type=int, choices=(1, 2), default=2, help="one after the other")
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder: the rollouts' page is looked at in Chromium, too")
    parser.add_argument("--keep", action="store_true", help="leave the processes' folder in place")
    options = parser.parse_args()
    with Fleet(rate=options.rate, topics=TOPICS, keep=options.keep, env={}) as fleet:
        return run(fleet, options)


if __name__ == "__main__":
    sys.exit(main())
