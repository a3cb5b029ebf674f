#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens the page of a running demo in headless Chromium: the fleet, a stream's chart, a live anomaly arriving, what was
lost; on a phone's width too. Saves the pictures that the README shows."""
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


# From here on the page hears of a hub whose device lost records: of the stream's points the middle third.
LOSE_RECORDS = """
const real = window.fetch;
window.fetch = async (path, options) => {
  const response = await real(path, options);
  const which = String(path).match(/\\/(history|losses)(?:[?]|$)/)?.[1];
  if (!which || !response.ok) return response;
  const body = await response.json();
  if (which === "losses") {
    const loss = { epoch: 1, received_at: "2026-11-24T09:00:00Z" };
    body.items = [
      { ...loss, seq_first: 90, seq_last: 90, reason: "corrupt", records: 1, from: "2026-11-24T08:30:00Z", to: null },
      { ...loss, seq_first: 12, seq_last: 23, reason: "quota", records: 12, from: "2026-11-24T08:00:00Z",
        to: "2026-11-24T08:10:00Z" }];
  } else {
    const third = Math.floor(body.points.length / 3);
    const gone = body.points.splice(third, third);
    body.gaps = [{ from: gone[0].begin, to: gone.at(-1).end, reason: "quota", records: 1234 }];
  }
  return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
};
"""

# Pixels as faint as a tint: of bands, anomalies and gaps.
CANVAS_TINT = """
const canvas = document.querySelector("#chart canvas");
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let tint = 0;
for (let i = 3; i < data.length; i += 4) if (data[i] > 0 && data[i] < 60) tint++;
return tint;
"""

# Gives the form a table of two sensors, and sends it.
TRAIN = """
let text = "timestamp,flow,pressure\\n";
for (let i = 0; i < 400; i++) text += `${1700000000 + 60 * i},${(i * 7919) % 101},${(i * 104729) % 53}\\n`;
const files = new DataTransfer();
files.items.add(new File([text], "pump.csv", { type: "text/csv" }));
document.querySelector("#train-file").files = files.files;
document.querySelector("#train").requestSubmit();
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

        def the_account_adds_up():
            browser.run(f"location.hash = '#/devices/{device}'")
            browser.wait(lambda: browser.run("return !!document.querySelector('#ledger')"), 20, "the account")
            terms = browser.run("return [...document.querySelectorAll('#ledger b')].map((b) => b.textContent)")
            produced, stored, lost, outstanding = [int(term.replace(",", "")) for term in terms]
            assert produced == stored + lost + outstanding, terms
            assert stored > 0, terms
            assert not browser.run("return document.querySelector('#losses')"), "losses are shown where nothing was lost"

        def shows_losses_and_gaps():
            browser.run("location.hash = arguments[0]", f"#/devices/{device}/streams/factory%2Fdemo%2Fpump1%2Fvibration")
            browser.wait(lambda: browser.run(CANVAS_INK) > 2000, 20, "a drawn chart")
            assert not browser.run("return document.querySelector('#stream-gaps').textContent"), "a gap without a loss"
            tint = browser.run(CANVAS_TINT)
            browser.run(LOSE_RECORDS)
            browser.wait(lambda: "records lost: quota, 1,234 records" in
                         browser.run("return document.querySelector('#stream-gaps').innerText"), 20, "the gap's words")
            browser.wait(lambda: browser.run(CANVAS_TINT) > tint + 5000, 20, "a hatched part of the chart")
            browser.run(f"location.hash = '#/devices/{device}'")
            rows = browser.wait(lambda: browser.run("return [...document.querySelectorAll('#losses tbody tr')]"
                                                    ".map((row) => row.innerText)"), 20, "the losses")
            assert len(rows) == 2 and rows[0].startswith("corrupt") and "since" in rows[0], rows
            assert rows[1].startswith("quota") and "12" in rows[1], rows

        def trains_a_model():
            browser.run("location.hash = '#/models'")
            browser.wait(lambda: browser.run("return !!document.querySelector('#train')"), 20, "the form")
            browser.run(TRAIN)
            link = browser.wait(lambda: browser.run("return document.querySelector('#trainings a')?.hash"), 60, "a model file")
            browser.run("location.hash = arguments[0]", link)
            browser.wait(lambda: browser.run("return document.querySelector('.spread')?.naturalWidth > 0"), 20, "its picture")
            said = browser.run("return document.querySelector('#view').innerText")
            assert "isolation_forest" in said and "320 rows" in said and "flow" in said, said
            browser.picture(pictures / "model.png")

        def fits_a_phone():
            browser.resize(412, 900)
            for place in ["#/", f"#/devices/{device}", "#/anomalies", "#/models"]:
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
                                ("shows a device's account, which adds up", the_account_adds_up),
                                ("shows losses, and the gaps they left", shows_losses_and_gaps),
                                ("has the hub train a model, and shows it", trains_a_model),
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
