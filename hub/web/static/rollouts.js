// SPDX-License-Identifier: Apache-2.0
// Rollouts: rings filling, gates with what they saw, and every decision.
import { get, send } from "./api.js";
import { ago, clock, count, el, number } from "./format.js";
import { refresh } from "./refresh.js";

/** In the order in which they stand in a bar; each with its word beside it, never the colour alone. */
const kStages = ["confirmed", "active", "shadow", "fetching", "told", "undone", "refused", "failed", "reverted", "silent", "left_out", "waiting"];
const kWords = { left_out: "left out", undone: "taken back" };
const kPhases = { rolling_back: "rolling back", rolled_back: "rolled back" };
const kDecisions = 50;

const word = (stage) => kWords[stage] ?? stage;
const phaseWord = (rollout) => kPhases[rollout.phase] ?? rollout.phase;
const phase = (rollout) => el("span", { class: `phase ${rollout.phase}` }, phaseWord(rollout));

function row(rollout) {
  return el("tr", {},
    el("td", {}, el("a", { href: `#/rollouts/${rollout.id}` }, `rollout ${rollout.id}`)),
    el("td", {}, rollout.model), el("td", { class: "num" }, count(rollout.number)), el("td", {}, phase(rollout)),
    el("td", { class: "num" }, `${rollout.ring} of ${rollout.plan.rings.length}`),
    el("td", { class: "wide" }, ago(rollout.created_at)));
}

function table(id, titles, rows) {
  return el("div", { class: "scroll" }, el("table", { id },
    el("thead", {}, el("tr", {}, ...titles.map(([title, kind]) => el("th", { class: kind ?? null }, title)))),
    el("tbody", {}, ...rows)));
}

export async function showRollouts(view, { signal }) {
  const list = el("div", {});
  const draw = async () => {
    const { items } = await get("rollouts", { limit: 100 });
    if (signal.aborted) return;
    list.replaceChildren(items.length === 0
      ? el("p", { class: "muted" }, "None yet. lapwing rollout start brings a signed version to the fleet, ring by ring.")
      : table("rollouts", [["Rollout"], ["Model"], ["Version", "num"], ["Phase"], ["Ring", "num"], ["Begun", "wide"]], items.map(row)));
    if (!view.contains(list)) view.replaceChildren(el("h1", {}, "Rollouts"), list);
  };
  await refresh(draw, signal);
}

/** One ring: a bar whose parts are as long as there are devices in each stage. */
function ringBar(ring, here) {
  const stages = kStages.filter((stage) => ring.stages[stage] > 0);
  const told = stages.map((stage) => `${count(ring.stages[stage])} ${word(stage)}`).join(", ") || "no device";
  const parts = stages.map((stage) => {
    const part = el("span", { class: `stage ${stage}`, title: `${count(ring.stages[stage])} ${word(stage)}` });
    part.style.flexGrow = ring.stages[stage]; // not an attribute: the page allows no inline styles
    return part;
  });
  return el("li", { class: here ? "ring here" : "ring", "aria-current": here ? "step" : null },
    el("span", { class: "ring-name" }, el("b", {}, `Ring ${ring.ring}`), ` ${ring.label ?? `${number(ring.percent)} %`} · ${count(ring.size)} ${ring.size === 1 ? "device" : "devices"}`),
    el("span", { class: "ring-bar", role: "img", "aria-label": told }, ...parts),
    el("span", { class: "ring-told" }, ...stages.map((stage) =>
      el("span", { class: "key" }, el("span", { class: `stage ${stage}` }), `${count(ring.stages[stage])} ${word(stage)}`))));
}

function gateRow(gate) {
  const verdict = gate.value === null && gate.verdict === "passed" ? "no figure yet" : gate.verdict;
  return el("tr", { class: gate.verdict },
    el("td", {}, gate.name.replace(/_(max|min)$/, "").replaceAll("_", " ")),
    el("td", { class: "num" }, gate.value === null ? "–" : number(gate.value)),
    el("td", { class: "num" }, number(gate.bound)),
    el("td", {}, el("span", { class: gate.verdict === "failed" ? "bad" : "muted" }, verdict)),
    el("td", { class: "wide wraps" }, gate.text));
}

function decisionRow(decision) {
  return el("tr", {}, el("td", {}, clock(decision.at)), el("td", { class: "wide" }, decision.actor),
    el("td", {}, decision.action.replaceAll("_", " ")), el("td", { class: "wraps" }, decision.text));
}

export async function showRollout(view, { id, signal }) {
  const path = `rollouts/${encodeURIComponent(id)}`;
  const head = el("div", {});
  const rings = el("ol", { id: "rings" });
  const gates = el("div", {});
  const decisions = el("div", {});
  const note = el("p", { class: "problem", role: "status" });
  const change = (action, body) => send("POST", `${path}/${action}`, body).then(draw).catch((error) => { note.textContent = error.message; });
  const button = (text, action, body) => el("button", { class: "quiet", onclick: () => change(action, body) }, text);
  let offered = ""; // which buttons are there: drawn anew when that changes, so that one keeps the focus
  const buttons = el("div", { class: "filters" });
  const draw = async () => {
    const [rollout, decided] = await Promise.all([get(path), get(`${path}/decisions`, { limit: kDecisions })]);
    if (signal.aborted) return;
    const { figures } = rollout;
    head.replaceChildren(
      el("h1", {}, `${rollout.model} version ${rollout.number} `, phase(rollout)),
      el("p", {}, rollout.text),
      el("p", { class: "muted" }, `Since ${clock(rollout.since)}; ${count(figures.touched)} devices touched; goes back to ` +
        `${rollout.undo === 0 ? "no version" : `version ${rollout.undo}`}.`));
    if (rollout.phase !== offered) {
      offered = rollout.phase;
      const goesOn = ["waiting", "shadow", "active"].includes(rollout.phase);
      buttons.replaceChildren(...[
        goesOn ? button("Pause", "pause") : null,
        rollout.phase === "paused" ? button("Resume", "resume") : null,
        goesOn || rollout.phase === "paused" ? button("Abort and go back", "abort", { roll_back: true }) : null,
      ].filter((one) => one !== null));
    }
    rings.replaceChildren(...figures.rings.map((ring) => ringBar(ring, ring.ring === rollout.ring && !rollout.ended_at)));
    gates.replaceChildren(...figures.gates.length === 0 ? [] : [el("h2", {}, "Gates of the ring"),
      table("gates", [["Gate"], ["Value", "num"], ["Bound", "num"], [""], ["", "wide"]], figures.gates.map(gateRow))]);
    decisions.replaceChildren(table("decisions", [["Decided"], ["By", "wide"], ["What"], ["Why"]], decided.items.map(decisionRow)));
    if (!view.contains(head)) {
      view.replaceChildren(el("p", { class: "crumbs" }, el("a", { href: "#/rollouts" }, "Rollouts")), head, buttons, note,
        rings, gates, el("h2", {}, "Decisions"), decisions);
    }
  };
  await refresh(draw, signal);
}
