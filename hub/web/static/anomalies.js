// SPDX-License-Identifier: Apache-2.0
// All anomalies, newest first, with filters; older ones by cursor.
import { get } from "./api.js";
import { anomalyItem, el, reasonText, regionChoice } from "./format.js";

function choice(label, values, onchange) {
  return el("select", { "aria-label": label, onchange },
    el("option", { value: "" }, label),
    ...values.map((value) => el("option", { value }, reasonText(value))));
}

export async function showAnomalies(view, { signal, onAnomaly }) {
  const list = el("ol", { id: "anomalies" });
  const more = el("button", { hidden: true }, "Older");
  const filters = { state: "", severity: "", reason: "", region: "" };
  let cursor = null;

  const load = async (from) => {
    const page = await get("anomalies", { ...filters, cursor: from, limit: 100 });
    if (signal.aborted) return;
    const items = page.items.map(anomalyItem);
    if (from) list.append(...items);
    else list.replaceChildren(...items);
    cursor = page.next_cursor;
    more.hidden = !cursor;
    if (list.children.length === 0) list.replaceChildren(el("li", { class: "muted" }, "None."));
  };
  const filterBy = (name) => (event) => {
    filters[name] = event.target.value;
    load(null);
  };
  more.addEventListener("click", () => load(cursor));

  const [{ items: regions }] = await Promise.all([get("regions"), load(null)]);
  if (signal.aborted) return;
  view.replaceChildren(el("h1", {}, "Anomalies"),
    el("div", { class: "filters" },
      choice("State", ["open", "closed"], filterBy("state")),
      choice("Severity", ["minor", "major", "critical"], filterBy("severity")),
      choice("Reason", ["unusual", "out_of_range", "stuck", "gap", "rate", "not_a_number", "clock"], filterBy("reason")),
      regionChoice(regions, filterBy("region"))),
    list, more);
  onAnomaly(() => {
    if (list.children.length <= 100) load(null);
  }, signal);
}
