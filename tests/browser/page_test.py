#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens the page of a running demo in headless Chromium: the fleet, a stream's chart, a live anomaly arriving; on a
phone's width too. Saves the pictures that the README shows."""
import argparse
import json
import os
import pathlib
import urllib.parse

from webdriver import Browser

# A drawn chart has pixels of the value line's colour; reads the canvas back.
CANVAS_INK = """
const canvas = document.querySelector("#chart canvas");
if (!canvas) return 0;
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let ink = 0;
for (let i = 3; i < data.length; i += 4) if (data[i] > 200) ink++;
return ink;
"""


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def that(self, promise, action):
        try:
            action()
            self.passed += 1
            print(f"ok      {promise}", flush=True)
        except (AssertionError, TimeoutError, RuntimeError) as error:
            self.failed += 1
            print(f"FAILED  {promise}: {error}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--info", required=True)
    parser.add_argument("--pictures", required=True)
    options = parser.parse_args()
    info = json.loads(pathlib.Path(options.info).read_text(encoding="utf-8"))
    pictures = pathlib.Path(options.pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    checks = Checks()
    device = info["device"]

    with Browser() as browser:
        def signs_in_by_fragment():
            browser.open(info["page"])
            browser.wait(lambda: browser.run("return !!document.querySelector('#fleet tbody tr')"), 20, "the fleet table")
            assert "token" not in browser.run("return location.href"), "the token stays in the address"

        def shows_the_fleet():
            browser.wait(lambda: device in browser.run("return document.querySelector('#fleet').innerText")
                         and browser.run("return !!document.querySelector('#fleet .dot.online')"), 20, f"{device} online")

        def a_live_anomaly_arrives():
            # Counts only what comes by the feed after the page stood: the feed marks it fresh.
            browser.wait(lambda: browser.run("return document.querySelectorAll('#live-list .fresh').length") > 0,
                         100, "a live anomaly")
            browser.picture(pictures / "fleet.png")

        def lists_the_streams():
            browser.run(f"location.hash = '#/devices/{device}'")
            browser.wait(lambda: browser.run("return document.querySelectorAll('#streams tbody tr').length") >= 6,
                         20, "six streams or more")

        def draws_a_stream():
            stream = f"#/devices/{device}/streams/{urllib.parse.quote('factory/demo/pump1/vibration', safe='')}"
            browser.run("location.hash = arguments[0]", stream)
            browser.wait(lambda: browser.run(CANVAS_INK) > 2000, 20, "a drawn chart")
            # Worn bearing, then cavitation: both shake the pump.
            browser.wait(lambda: browser.run("return document.querySelectorAll('#stream-anomalies .closed').length") > 1,
                         90, "two anomalies of the stream, over")
            name = urllib.parse.unquote(stream).rsplit("streams/", 1)[-1]
            assert name in browser.run("return document.querySelector('h1').innerText"), "the stream's name is the title"
            browser.picture(pictures / "stream.png")

        def fits_a_phone():
            browser.resize(412, 900)
            for place in ["#/", f"#/devices/{device}", "#/anomalies"]:
                browser.run("location.hash = arguments[0]", place)
                browser.wait(lambda: browser.run("return !!document.querySelector('#view h1')"), 10, place)
                wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{place} is {wide} px wider than the screen"
            browser.picture(pictures / "phone.png")

        def loads_nothing_from_elsewhere():
            names = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
            foreign = [name for name in names if not name.startswith(info["url"] + "/")]
            assert names and not foreign, f"foreign addresses: {foreign}"

        def has_no_script_errors():
            errors = browser.console_errors()
            assert not errors, errors

        for promise, action in [("signs in by the address' fragment, which is then cleared", signs_in_by_fragment),
                                ("shows the fleet with its status", shows_the_fleet),
                                ("a live anomaly arrives without reloading", a_live_anomaly_arrives),
                                ("lists a device's streams", lists_the_streams),
                                ("draws a stream with its anomalies", draws_a_stream),
                                ("fits a phone's width", fits_a_phone),
                                ("loads nothing from another address", loads_nothing_from_elsewhere),
                                ("runs without script errors", has_no_script_errors)]:
            checks.that(promise, action)

    with Browser(width=1360, height=860, dark=True) as browser:
        def follows_the_dark_scheme():
            browser.open(info["page"])
            browser.wait(lambda: browser.run("return !!document.querySelector('#fleet tbody tr')"), 20, "the fleet table")
            dark = browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")
            ground = browser.run("return getComputedStyle(document.body).backgroundColor")
            assert dark and ground == "rgb(18, 24, 26)", f"dark scheme {dark}, background {ground}"
            browser.picture(pictures / "dark.png")

        checks.that("follows the dark scheme", follows_the_dark_scheme)

    print(f"{checks.passed} passed, {checks.failed} failed")
    os._exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
