// SPDX-License-Identifier: Apache-2.0
// The fleet: all devices; and one device: its account, streams and losses.
import { get } from "./api.js";
import { ago, band, el, number, regionChoice, streamLink } from "./format.js";
import { equation, lossTable } from "./losses.js";
import { refresh } from "./refresh.js";

const kLosses = 5; // shown at first

function deviceRow(device, regions) {
  const lost = device.lost > 0 ? el("span", { class: "bad" }, number(device.lost)) : "0";
  return el("tr", {},
    el("td", {}, el("span", { class: `dot ${device.status}` }),
      el("a", { href: `#/devices/${encodeURIComponent(device.device)}` }, device.device)),
    el("td", {}, device.status),
    regions ? el("td", {}, device.region ?? "this one") : null,
    el("td", {}, ago(device.last_seen)),
    el("td", { class: "num" }, number(device.streams)),
    el("td", { class: "num" }, device.anomalies_open > 0
      ? el("span", { class: "bad" }, number(device.anomalies_open)) : "0"),
    el("td", { class: "num wide" }, number(device.stored)),
    el("td", { class: "num wide" }, number(device.outstanding)),
    el("td", { class: "num wide" }, lost),
    el("td", { class: "wide" }, device.agent_version ?? "–"));
}

export async function showFleet(view, { signal }) {
  const { items: regions } = await get("regions");
  const wanted = regionChoice(regions, () => draw().catch(() => {}));
  const summary = el("p", { class: "muted" });
  const box = el("div", {});
  const draw = async () => {
    const { items } = await get("devices", { limit: 500, region: wanted?.value });
    if (signal.aborted) return;
    const online = items.filter((device) => device.status === "online").length;
    summary.textContent = `${items.length} devices, ${online} online`;
    box.replaceChildren(items.length === 0 && !wanted?.value
      ? el("p", {}, "No device yet. Make a one-time token (lapwing permit NAME), then run lapwing-agent enrol on the device.")
      : el("div", { class: "scroll" }, el("table", { id: "fleet" },
        el("thead", {}, el("tr", {},
          ...["Device", "Status", ...(wanted ? ["Region"] : []), "Last seen"].map((title) => el("th", {}, title)),
          ...["Streams", "Open anomalies"].map((title) => el("th", { class: "num" }, title)),
          ...["Records", "Outstanding", "Lost"].map((title) => el("th", { class: "num wide" }, title)),
          el("th", { class: "wide" }, "Agent"))),
        el("tbody", {}, ...items.map((device) => deviceRow(device, wanted !== null))))));
    if (!view.contains(box)) {
      view.replaceChildren(el("h1", {}, "Fleet"), summary, wanted ? el("div", { class: "filters" }, wanted) : "", box);
    }
  };
  await refresh(draw, signal);
}

function figure(title, value) {
  return el("div", { class: "figure" }, el("span", { class: "muted" }, title), el("b", {}, value));
}

function streamRow(device, stream) {
  const score = stream.last_score;
  return el("tr", {},
    el("td", {}, el("a", { href: streamLink(device, stream.stream) }, stream.stream)),
    el("td", { class: "num" }, number(stream.last_value)),
    el("td", { class: "num wide" }, band(stream)),
    el("td", { class: "num" }, el("span", { class: score > 1 ? "bad" : "" }, score === null ? "learning" : number(score))),
    el("td", { class: "num" }, stream.anomalies_open > 0 ? el("span", { class: "bad" }, number(stream.anomalies_open)) : "0"),
    el("td", { class: "wide" }, ago(stream.last_time)));
}

export async function showDevice(view, { device, signal }) {
  const path = `devices/${encodeURIComponent(device)}`;
  const filter = el("input", { type: "search", placeholder: "Filter streams", "aria-label": "Filter streams" });
  const head = el("div", {});
  const body = el("tbody", {});
  const lossBox = el("div", {});
  let streams = [];
  let losses = kLosses;
  let told = ""; // what `lossBox` shows: drawn anew when it changes, so that its button keeps the focus
  const fill = () => {
    const wanted = filter.value.toLowerCase();
    const rows = streams.filter((stream) => stream.stream.toLowerCase().includes(wanted));
    body.replaceChildren(...rows.map((stream) => streamRow(device, stream)));
  };
  filter.addEventListener("input", fill);
  const showMore = () => {
    losses = Math.min(1000, losses * 5);
    draw().catch(() => {});
  };
  const draw = async () => {
    const [state, list, lost] = await Promise.all([
      get(path), get(`${path}/streams`, { limit: 1000 }), get(`${path}/losses`, { limit: losses })]);
    if (signal.aborted) return;
    streams = list.items;
    head.replaceChildren(
      el("h1", {}, el("span", { class: `dot ${state.status}` }), device),
      el("div", { class: "figures" },
        figure("Status", state.status), figure("Last seen", ago(state.last_seen)), figure("Streams", number(state.streams)),
        ...Object.entries(state.labels).map(([key, value]) => figure(key, value))),
      equation(state));
    const text = JSON.stringify(lost);
    if (text !== told) lossBox.replaceChildren(lossTable(lost, showMore) ?? "");
    told = text;
    fill();
    if (!view.contains(head)) {
      view.replaceChildren(head, lossBox, filter, el("div", { class: "scroll" }, el("table", { id: "streams" },
        el("thead", {}, el("tr", {}, el("th", {}, "Stream"), el("th", { class: "num" }, "Value"),
          el("th", { class: "num wide" }, "Expected"), el("th", { class: "num" }, "Score"),
          el("th", { class: "num" }, "Open"), el("th", { class: "wide" }, "Last reading"))), body)));
    }
  };
  await refresh(draw, signal);
}
