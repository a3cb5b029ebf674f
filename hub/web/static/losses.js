// SPDX-License-Identifier: Apache-2.0
// What was lost: the account of a device as an equation, its losses as a list, and gaps in a stream's chart.
import { clock, count, el } from "./format.js";

const reasons = {
  quota: "given up at the outbox's bound, or while the disk was full",
  corrupt: "a row of the outbox failed its check",
  vanished: "committed at the device, then gone",
  poison: "the hub could not read it",
};
const kHatchPx = 7;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** `records lost: quota, 12 records`: the same words in the chart and below it. */
export const lostText = ({ reason, records }) => `records lost: ${reason}, ${count(records)} record${records === 1 ? "" : "s"}`;

function span(from, to) {
  if (!from && !to) return "not known";
  if (!to) return `since ${clock(from)}`;
  return from ? `${clock(from)} – ${clock(to)}` : `until ${clock(to)}`;
}

/** produced = stored + lost (+ elsewhere, where other regions have some) + outstanding, in records; what was lost by reason below it. */
export function equation(state) {
  const term = (sign, title, value) => el("div", { class: "term" },
    sign ? el("span", { class: "sign" }, sign) : null,
    el("div", { class: "figure" }, el("span", { class: "muted" }, title),
      el("b", { class: title === "Lost" && value > 0 ? "bad" : "" }, count(value))));
  const lost = Object.entries(state.lost_by_reason).filter(([, records]) => records > 0)
    .map(([reason, records]) => `${reason} ${count(records)}`);
  return el("div", { class: "figures equation", id: "ledger", role: "group", "aria-label": "Account in records" },
    term(null, "Produced", state.produced), term("=", "Stored", state.stored), term("+", "Lost", state.lost),
    state.elsewhere > 0 ? term("+", "Elsewhere", state.elsewhere) : null, term("+", "Outstanding", state.outstanding),
    lost.length ? el("span", { class: "muted by-reason" }, `lost: ${lost.join(", ")}`) : null);
}

function lossRow(loss) {
  return el("tr", {},
    el("td", {}, el("span", { class: "badge lost", title: reasons[loss.reason] ?? null }, loss.reason)),
    el("td", {}, span(loss.from, loss.to)),
    el("td", { class: "num" }, count(loss.records)),
    el("td", { class: "num wide" }, loss.seq_first === loss.seq_last ? loss.seq_first : `${loss.seq_first} – ${loss.seq_last}`),
    el("td", { class: "num wide" }, loss.epoch));
}

/** The device's losses, newest first; null when there are none. `onMore` shows older ones. */
export function lossTable({ items, next_cursor: more }, onMore) {
  if (items.length === 0) return null;
  return el("section", { id: "losses" }, el("h2", {}, "Losses"),
    el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", {}, "Reason"), el("th", {}, "When"), el("th", { class: "num" }, "Records"),
        el("th", { class: "num wide" }, "Numbers"), el("th", { class: "num wide" }, "Epoch"))),
      el("tbody", {}, ...items.map(lossRow)))),
    more ? el("button", { class: "quiet", onclick: onMore }, "Older") : null);
}

/** What the chart's hatched parts mean, one entry a gap. */
export function gapItem(gap) {
  return el("li", { class: "gap" }, el("span", { class: "swatch", "aria-hidden": "true" }),
    el("span", { title: reasons[gap.reason] ?? null }, lostText(gap)), el("span", { class: "muted" }, span(gap.from, gap.to)));
}

/** `points` with one of unknown values within each gap, so that no line is drawn across it; by `end`. */
export function parted(points, gaps) {
  const holes = gaps.map((gap) => ({ end: new Date((Date.parse(gap.from) + Date.parse(gap.to)) / 2).toISOString() }));
  return [...points, ...holes].sort((one, other) => Date.parse(one.end) - Date.parse(other.end));
}

/** uPlot plugin: hatches each gap behind the lines and, where there is room and `labelled`, says what it is. */
export function hatch(gaps, labelled) {
  const eachBox = (plot, draw) => {
    const { left, top, width, height } = plot.bbox;
    plot.ctx.save();
    for (const gap of gaps()) {
      const x0 = Math.max(left, plot.valToPos(Date.parse(gap.from) / 1000, "x", true));
      const x1 = Math.min(left + width, plot.valToPos(Date.parse(gap.to) / 1000, "x", true));
      if (x1 > left && x0 < left + width) draw(gap, x0, top, Math.max(2, x1 - x0), height);
    }
    plot.ctx.restore();
  };
  return {
    hooks: {
      drawClear: (plot) => eachBox(plot, (_, x, y, width, height) => {
        const { ctx } = plot;
        ctx.save();
        ctx.beginPath();
        ctx.rect(x, y, width, height);
        ctx.clip();
        ctx.fillStyle = colour("--lost-ground");
        ctx.fillRect(x, y, width, height);
        ctx.strokeStyle = colour("--lost");
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([]);
        ctx.beginPath();
        for (let at = x - height; at < x + width; at += kHatchPx * devicePixelRatio) {
          ctx.moveTo(at, y + height);
          ctx.lineTo(at + height, y);
        }
        ctx.stroke();
        ctx.restore();
      }),
      draw: (plot) => labelled && eachBox(plot, (gap, x, y, width) => {
        const { ctx } = plot;
        ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
        const text = lostText(gap);
        const room = ctx.measureText(text).width + 12 * devicePixelRatio;
        if (room > width) return;
        const line = 20 * devicePixelRatio;
        ctx.fillStyle = colour("--surface");
        ctx.fillRect(x + (width - room) / 2, y + line / 2, room, line);
        ctx.fillStyle = colour("--lost-text");
        ctx.textAlign = "center";
        ctx.textBaseline = "middle";
        ctx.fillText(text, x + width / 2, y + line);
      }),
    },
  };
}
