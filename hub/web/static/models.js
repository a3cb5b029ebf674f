// SPDX-License-Identifier: Apache-2.0
// Models: their versions, the files they are made of, and the hub training new ones.
import { get, getText, remove, send, sendBytes } from "./api.js";
import { ago, clock, count, el, number } from "./format.js";
import { refresh } from "./refresh.js";

const kPieceBytes = 512 * 1024; // as the hub takes them
const kDetectors = ["isolation_forest", "pca", "knn", "local_outlier_factor", "one_class_svm"];

const short = (sha256) => sha256.slice(0, 16);
const fileLink = (sha256) => el("a", { href: `#/model-files/${sha256}`, class: "digest" }, short(sha256));
const modelLink = (model) => el("a", { href: `#/models/${encodeURIComponent(model)}` }, model);

function table(id, titles, rows) {
  return el("div", { class: "scroll" }, el("table", { id },
    el("thead", {}, el("tr", {}, ...titles.map(([title, kind]) => el("th", { class: kind ?? null }, title)))),
    el("tbody", {}, ...rows)));
}

function modelRow({ model, versions, newest }) {
  return el("tr", {}, el("td", {}, modelLink(model)), el("td", { class: "num" }, count(newest.number)),
    el("td", { class: "num" }, count(versions)), el("td", { class: "wide" }, newest.device_class ?? "any"),
    el("td", { class: "wide" }, ago(newest.created_at)), el("td", {}, fileLink(newest.sha256)));
}

function fileRow(file) {
  return el("tr", {}, el("td", {}, fileLink(file.sha256)), el("td", {}, file.kind),
    el("td", { class: "num" }, count(file.length)), el("td", { class: "wide" }, ago(file.created_at)),
    el("td", { class: "wide" }, file.job ? `job ${file.job}` : "brought"));
}

/** One training: how far it is, and what came of it. */
function jobRow(job, cancel) {
  const running = job.state === "queued" || job.state === "running";
  const made = job.state === "done" ? job.text.match(/^model ([0-9a-f]{64})$/) : null;
  const bar = job.state === "running" && job.total
    ? el("progress", { max: job.total, value: job.done, "aria-label": `job ${job.id}` }) : null;
  return el("tr", {}, el("td", {}, `job ${job.id}`), el("td", {}, job.arguments.name || job.arguments.detector || "isolation_forest"),
    el("td", {}, job.state, " ", bar), el("td", {}, made ? fileLink(made[1]) : job.text),
    el("td", {}, running ? el("button", { class: "quiet", onclick: () => cancel(job.id) }, "Cancel") : null));
}

/** Brings the file piece by piece; `tell(share)` as it goes. */
async function bring(file, tell) {
  const { id } = await send("POST", "uploads", { name: file.name.slice(0, 100) });
  for (let at = 0; at < file.size; at += kPieceBytes) {
    await sendBytes("PUT", `uploads/${id}/content?offset=${at}`, file.slice(at, at + kPieceBytes));
    tell(Math.min(1, (at + kPieceBytes) / file.size));
  }
  await send("POST", `uploads/${id}/complete`);
  return id;
}

function trainForm(onStarted) {
  const file = el("input", { type: "file", accept: ".csv,text/csv", required: true, "aria-label": "CSV file", id: "train-file" });
  const detector = el("select", { "aria-label": "Detector", id: "train-detector" }, ...kDetectors.map((kind) => el("option", {}, kind)));
  const label = el("input", { placeholder: "label column, if any", "aria-label": "Label column" });
  const state = el("p", { class: "muted", role: "status", id: "train-state" },
    "A table of normal operation: a column a sensor, a row a time.");
  const button = el("button", {}, "Train");
  const start = async (event) => {
    event.preventDefault();
    button.disabled = true;
    state.className = "muted";
    try {
      const upload = await bring(file.files[0], (share) => {
        state.textContent = `sending: ${Math.round(100 * share)} %`;
      });
      const wanted = { upload, detector: detector.value, name: file.files[0].name.slice(0, 100) };
      if (label.value.trim()) wanted.label = label.value.trim();
      const job = await send("POST", "jobs", { kind: "train", arguments: wanted });
      state.textContent = `job ${job.id} has begun`;
      onStarted();
    } catch (error) {
      state.className = "problem";
      state.textContent = error.message;
    }
    button.disabled = false;
  };
  return el("form", { class: "filters train", id: "train", onsubmit: start }, file, detector, label, button, state);
}

export async function showModels(view, { signal }) {
  const models = el("div", {});
  const jobs = el("div", {});
  const files = el("div", {});
  const note = el("p", { class: "problem", role: "status" });
  const cancel = (id) => remove(`jobs/${id}`).then(draw).catch((error) => { note.textContent = error.message; });
  const draw = async () => {
    const [known, kept, work] = await Promise.all([
      get("models", { limit: 500 }), get("model-files", { limit: 100 }), get("jobs", { limit: 100 })]);
    if (signal.aborted) return;
    models.replaceChildren(known.items.length === 0
      ? el("p", { class: "muted" }, "No model yet. Train one below, sign it (lapwing model sign) and bring it (lapwing model push).")
      : table("models", [["Model"], ["Newest", "num"], ["Versions", "num"], ["Class", "wide"], ["Since", "wide"], ["File"]],
        known.items.map(modelRow)));
    const trainings = work.items.filter((job) => job.kind === "train").slice(0, 10);
    jobs.replaceChildren(trainings.length === 0 ? ""
      : table("trainings", [["Job"], ["Of"], ["State"], [""], [""]], trainings.map((job) => jobRow(job, cancel))));
    files.replaceChildren(kept.items.length === 0 ? el("p", { class: "muted" }, "None yet.")
      : table("model-files", [["File"], ["Detector"], ["Bytes", "num"], ["Since", "wide"], ["Made by", "wide"]],
        kept.items.map(fileRow)));
    if (!view.contains(models)) {
      view.replaceChildren(el("h1", {}, "Models"), models,
        el("h2", {}, "Train"), trainForm(() => draw().catch(() => {})), note, jobs, el("h2", {}, "Model files"), files);
    }
  };
  await refresh(draw, signal);
}

function versionRow(version) {
  return el("tr", {}, el("td", { class: "num" }, count(version.number)), el("td", {}, version.device_class ?? "any"),
    el("td", {}, clock(version.created_at)), el("td", { class: "wide" }, version.created_by), el("td", {}, fileLink(version.sha256)));
}

export async function showModel(view, { model, signal }) {
  const { items } = await get(`models/${encodeURIComponent(model)}/versions`, { limit: 500 });
  if (signal.aborted) return;
  const box = el("div", {});
  view.replaceChildren(
    el("p", { class: "crumbs" }, el("a", { href: "#/models" }, "Models"), " · ", el("a", { href: "#/rollouts" }, "Rollouts")),
    el("h1", {}, model),
    items.length === 0 ? el("p", { class: "muted" }, "No version of it.")
      : table("versions", [["Version", "num"], ["Class"], ["Since"], ["By", "wide"], ["File"]], items.map(versionRow)), box);
  if (items.length > 0) box.replaceChildren(el("h2", {}, `Version ${items[0].number}`), ...await fileParts(items[0].sha256));
}

function figure(title, value) {
  return el("div", { class: "figure" }, el("span", { class: "muted" }, title), el("b", {}, value));
}

function sensorRow(sensor) {
  return el("tr", {}, el("td", {}, sensor.name), el("td", {}, sensor.unit ?? "–"),
    ...[sensor.mean, sensor.deviation].map((value) => el("td", { class: "num" }, number(value))),
    ...[sensor.least, sensor.greatest].map((value) => el("td", { class: "num wide" }, number(value))),
    el("td", { class: "num wide" }, `${number(100 * sensor.missing_share)} %`));
}

function verdict(report) {
  if (!report || report.held_out_above === null) return null;
  const drifted = report.held_out_above > 0.1;
  const alarms = report.alarms
    ? ` In their ${number(report.alarms.weeks)} weeks they raise ${count(report.alarms.raised)} alarms; ${number(report.alarms.expected)} were to be expected.` : "";
  return el("p", { class: drifted ? "problem" : "muted" },
    `${number(100 * report.held_out_above)} % of the ${count(report.held_out_rows)} newest rows, which it was not trained on, score above 99 % of the others` +
    (drifted ? ": they are not like them." : ".") + alarms);
}

/** What a model file says: figures, lineage, evaluation, sensors. */
async function fileParts(sha256) {
  const file = await get(`model-files/${sha256}`);
  const { header, report } = file;
  const { lineage } = header;
  const picture = file.picture
    ? el("img", { class: "spread", alt: "Share of the rows above each score, of those trained on and of newer ones",
      src: `data:image/svg+xml,${encodeURIComponent(await getText(`model-files/${sha256}/picture.svg`))}` }) : null;
  const settings = Object.entries(header.parameters).map(([name, value]) => `${name} ${number(value)}`);
  return [
    el("div", { class: "figures" }, figure("Detector", file.kind), figure("Sensors", count(header.sensors.length)),
      figure("Trained on", `${count(lineage.rows)} rows`), figure("Bytes", count(file.length))),
    el("dl", { class: "lineage" },
      el("dt", {}, "SHA-256"), el("dd", { class: "digest" }, file.sha256),
      el("dt", {}, "Data"), el("dd", { class: "digest" }, lineage.data_sha256 || "not known"),
      el("dt", {}, "From, to"), el("dd", {}, lineage.from ? `${clock(lineage.from)} – ${clock(lineage.to)}` : "not known"),
      el("dt", {}, "Parameters"), el("dd", {}, [`seed ${lineage.seed}`, ...settings].join(", ")),
      el("dt", {}, "Made by"), el("dd", {}, lineage.tool)),
    picture, verdict(report),
    table("sensors", [["Sensor"], ["Unit"], ["Mean", "num"], ["Deviation", "num"], ["Least", "num wide"], ["Greatest", "num wide"], ["Missing", "num wide"]],
      header.sensors.map(sensorRow))];
}

export async function showModelFile(view, { sha256, signal }) {
  const parts = await fileParts(sha256);
  if (signal.aborted) return;
  view.replaceChildren(el("p", { class: "crumbs" }, el("a", { href: "#/models" }, "Models")),
    el("h1", {}, `Model file ${short(sha256)}`), ...parts.filter((part) => part !== null));
}
