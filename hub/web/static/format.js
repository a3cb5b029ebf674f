// SPDX-License-Identifier: Apache-2.0
// Text for people: times, numbers, names of states. Builds DOM without innerHTML, so no name can inject markup.

/** Element with attributes and children; null children are skipped, text is always text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2);
  return value.toLocaleString(undefined, { maximumSignificantDigits: 5 });
}

/** A number of things, exactly: figures that add up must add up on the screen too. */
export const count = (value) => value.toLocaleString();

export function band(item) {
  if (item.lower === null || item.lower === undefined) return "–";
  return `${number(item.lower)} … ${number(item.upper)}`;
}

export function clock(text) {
  if (!text) return "–";
  const time = new Date(text);
  const today = time.toDateString() === new Date().toDateString();
  const hours = time.toLocaleTimeString(undefined, { hourCycle: "h23" });
  return today ? hours : `${time.toLocaleDateString()} ${hours}`;
}

/** Marks of a time axis, `step` seconds apart: only as much as tells them apart; the day where it begins. */
export function timeMarks(marks, step) {
  return marks.map((mark, at) => {
    const time = new Date(mark * 1000);
    const day = time.toLocaleDateString(undefined, { day: "numeric", month: "short" });
    if (step >= 86400) return day;
    const hours = time.toLocaleTimeString(undefined, {
      hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: step < 60 ? "2-digit" : undefined });
    const newDay = at === 0 || time.toDateString() !== new Date(marks[at - 1] * 1000).toDateString();
    return newDay ? `${hours}\n${day}` : hours;
  });
}

export function ago(text) {
  if (!text) return "never";
  return `${duration((Date.now() - new Date(text)) / 1000)} ago`;
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function streamLink(device, stream) {
  return `#/devices/${encodeURIComponent(device)}/streams/${encodeURIComponent(stream)}`;
}

const reasons = {
  unusual: "unusual",
  out_of_range: "out of range",
  stuck: "stuck",
  gap: "outage",
  rate: "too fast",
  not_a_number: "not a number",
  clock: "clock",
};
export const reasonText = (reason) => reasons[reason] ?? reason;

/** A choice of regions, where there are others than this one; null where there are none. */
export function regionChoice(regions, onchange) {
  if (regions.length === 0) return null;
  return el("select", { "aria-label": "Region", id: "regions", onchange },
    el("option", { value: "" }, "All regions"),
    el("option", { value: "local" }, "This region"),
    ...regions.map(({ region }) => el("option", { value: region }, region)));
}

/** One anomaly as a list entry; the same in the live list and in the table of a stream. */
export function anomalyItem(anomaly) {
  const lasted = anomaly.end ? duration((new Date(anomaly.end) - new Date(anomaly.onset)) / 1000) : "open";
  return el("li", { class: `anomaly ${anomaly.severity} ${anomaly.state}`, "data-id": anomaly.id },
    el("a", { href: streamLink(anomaly.device, anomaly.stream) },
      el("span", { class: "title" },
        el("span", { class: "badge" }, reasonText(anomaly.reason)), anomaly.stream),
      el("span", { class: "detail" },
        (anomaly.region ? `${anomaly.region} · ` : "") +
        `${anomaly.device} · ${clock(anomaly.onset)} · ${lasted} · score ${number(anomaly.peak_score)}`),
      anomaly.text ? el("span", { class: "detail" }, anomaly.text) : null));
}
