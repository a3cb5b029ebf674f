# SPDX-License-Identifier: Apache-2.0
"""A rollout's page in headless Chromium: rings fill as the hub says they do. Saves a picture of the second ring's time in shadow."""
from webdriver import Browser

RINGS = "return [...document.querySelectorAll('#rings li')].map((ring) => [...ring.querySelectorAll('.key')].map((key) => key.innerText.trim()))"
WORDS = {"left_out": "left out", "undone": "taken back", "rolling_back": "rolling back", "rolled_back": "rolled back"}


def word(name):
    return WORDS.get(name, name)


class RolloutPage:
    """Use as a context manager."""

    def __init__(self, stack, pictures):
        self.stack, self.pictures, self.looks = stack, pictures, 0
        self.browser = Browser(width=1360, height=1000)
        self.browser.open(f"{stack.url}/#token={stack.token}")
        self.browser.wait(lambda: self.browser.run("return !!document.querySelector('#view h1')"), 20, "the page")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.__exit__()

    def open(self, rollout):
        self.path = f"/api/v1/rollouts/{rollout}"
        self.browser.run("location.hash = arguments[0]", f"#/rollouts/{rollout}")

    def agrees(self):
        """What is shown is what the hub tells now: the phase, and the devices of each ring by stage."""
        told = self.stack.fetch(self.path)
        self.ring = told["ring"]
        shown = self.browser.run("return document.querySelector('#view h1 .phase')?.innerText"), self.browser.run(RINGS)
        rings = [sorted(f"{count} {word(stage)}" for stage, count in ring["stages"].items() if count) for ring in told["figures"]["rings"]]
        return shown[0] == word(told["phase"]) and [sorted(ring) for ring in shown[1]] == rings and told["phase"]

    def look(self):
        """Without a reload, the page comes to say what the hub says."""
        phase = self.browser.wait(self.agrees, 20, "the page shows what the hub says")
        self.looks += 1
        if (phase, self.ring) == ("shadow", 2):
            self.browser.picture(self.pictures / "rollout.png")

    def problems(self):
        wide = self.browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        errors = self.browser.console_errors()
        return ([f"the page is {wide} px wider than the screen"] if wide > 0 else []) + [f"the page: {error}" for error in errors]
