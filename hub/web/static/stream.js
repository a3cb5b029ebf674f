// SPDX-License-Identifier: Apache-2.0
// One stream: value with its expected band, shaded anomalies and hatched gaps, the score below, both as lists.
import { get } from "./api.js";
import { anomalyItem, clock, el, number, timeMarks } from "./format.js";
import { gapItem, hatch, parted } from "./losses.js";

const kRanges = { "5 min": 300, "1 h": 3600, "24 h": 86400, "7 d": 604800 };
const kPoints = 2000;
const kRefreshMs = 2000;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seconds = (text) => new Date(text) / 1000;
const column = (points, name) => points.map((point) => point[name] ?? null);

/** uPlot plugin: shades the time of each anomaly behind the lines. `spans()` gives [[from, to], …] in seconds. */
function shade(spans) {
  return {
    hooks: {
      drawClear: (plot) => {
        const { left, top, width, height } = plot.bbox;
        plot.ctx.save();
        plot.ctx.fillStyle = colour("--shade");
        for (const [from, to] of spans()) {
          const x0 = Math.max(left, plot.valToPos(from, "x", true));
          const x1 = Math.min(left + width, plot.valToPos(to, "x", true));
          if (x1 > left && x0 < left + width) plot.ctx.fillRect(x0, top, Math.max(2, x1 - x0), height);
        }
        plot.ctx.restore();
      },
    },
  };
}

function axes() {
  const common = { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--grid") } };
  return [{ ...common, space: 80, values: (plot, marks, axis, space, step) => timeMarks(marks, step) }, { ...common, size: 64, values: (_, ticks) => ticks.map(number) }];
}

function plots(box, spans, gaps, limits) {
  const width = () => Math.max(280, box.clientWidth);
  const x = { time: true, range: limits };
  const shown = (_, value) => number(value);
  const time = { label: "time", value: (_, at) => (at ? clock(at * 1000) : "–") };
  const cursor = { sync: { key: "stream" } };
  const thin = { width: 1, points: { show: false }, value: shown };
  const value = new uPlot({
    width: width(), height: 300, cursor, plugins: [shade(spans), hatch(gaps, true)], axes: axes(),
    scales: { x },
    series: [time,
      { label: "upper", stroke: colour("--band-line"), ...thin },
      { label: "lower", stroke: colour("--band-line"), ...thin },
      { label: "expected", stroke: colour("--expected"), dash: [4, 4], ...thin },
      { label: "value", stroke: colour("--value"), ...thin, width: 1.6 }],
    bands: [{ series: [1, 2], fill: colour("--band") }],
  }, [[], [], [], [], []], box);
  const score = new uPlot({
    width: width(), height: 140, cursor, plugins: [shade(spans), hatch(gaps, false)], axes: axes(),
    scales: { x, y: { range: (_, low, high) => [0, Math.max(1.5, high ?? 0)] } },
    series: [time,
      { label: "score", stroke: colour("--score"), ...thin, width: 1.4, fill: colour("--score-fill") },
      { label: "anomalous above", stroke: colour("--bad"), dash: [6, 4], ...thin }],
  }, [[], [], []], box);
  const resize = new ResizeObserver(() => {
    value.setSize({ width: width(), height: 300 });
    score.setSize({ width: width(), height: 140 });
  });
  resize.observe(box);
  return { value, score, stop: () => { resize.disconnect(); value.destroy(); score.destroy(); } };
}

export async function showStream(view, { device, stream, signal, onAnomaly }) {
  const path = `devices/${encodeURIComponent(device)}`;
  const box = el("div", { id: "chart" });
  const list = el("ol", { id: "stream-anomalies" });
  const gapList = el("ol", { id: "stream-gaps" });
  const empty = el("p", { class: "muted", hidden: true }, "No readings in this range yet.");
  let range = kRanges["5 min"];
  let anomalies = [];
  let gaps = [];
  const spans = () => anomalies.map((item) => [seconds(item.onset), item.end ? seconds(item.end) : Date.now() / 1000]);

  const buttons = Object.entries(kRanges).map(([label, length]) => el("button", {
    class: "quiet",
    "aria-pressed": String(length === range),
    onclick: (event) => {
      range = length;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.target));
      draw();
    },
  }, label));
  view.replaceChildren(
    el("p", { class: "crumbs" }, el("a", { href: `#/devices/${encodeURIComponent(device)}` }, device), " /"),
    el("h1", { class: "stream-name" }, stream), el("div", { class: "filters" }, ...buttons), empty,
    el("div", { class: "chart" }, box, gapList), el("h2", {}, "Anomalies"), list);
  let oldest = 0; // of what is shown: a young stream fills the chart instead of its right edge
  const limits = () => [Math.max(Date.now() / 1000 - range, oldest), Date.now() / 1000];
  const chart = plots(box, spans, () => gaps, limits);
  signal.addEventListener("abort", () => chart.stop());

  async function draw() {
    const from = new Date(Date.now() - range * 1000).toISOString();
    const [history, found] = await Promise.all([
      get(`${path}/history`, { stream, from, limit: kPoints }),
      get("anomalies", { device, stream, limit: 50 })]);
    if (signal.aborted) return;
    anomalies = found.items;
    gaps = history.gaps;
    empty.hidden = history.points.length > 0;
    const points = parted(history.points, gaps);
    const x = points.map((point) => seconds(point.end));
    oldest = x.length > 0 ? Math.min(x[0], ...gaps.map((gap) => seconds(gap.from))) : 0;
    gapList.replaceChildren(...gaps.map(gapItem));
    chart.value.setData([x, column(points, "upper"), column(points, "lower"), column(points, "expected"), column(points, "value_mean")]);
    chart.score.setData([x, column(points, "score_max"), x.map(() => 1)]);
    list.replaceChildren(...(anomalies.length ? anomalies.map(anomalyItem) : [el("li", { class: "muted" }, "None.")]));
  }
  await draw();
  const timer = setInterval(() => { if (!document.hidden) draw().catch(() => {}); }, kRefreshMs);
  signal.addEventListener("abort", () => clearInterval(timer));
  onAnomaly((anomaly) => { if (anomaly.device === device && anomaly.stream === stream) draw().catch(() => {}); }, signal);
}
