// SPDX-License-Identifier: Apache-2.0
// The page: chooses the view from the address, keeps the live list, asks for a token when there is none.
import { dropToken, follow, get, setToken, takeToken } from "./api.js";
import { anomalyItem, el } from "./format.js";
import { showAnomalies } from "./anomalies.js";
import { showDevice, showFleet } from "./fleet.js";
import { showModel, showModelFile, showModels } from "./models.js";
import { showRollout, showRollouts } from "./rollouts.js";
import { showStream } from "./stream.js";

const kLiveItems = 50;
const view = document.getElementById("view");
let leave = null; // aborts what the current view started
let feed = null;
const listeners = new Set();

/** Calls `handler(anomaly)` for each event of the feed until `signal` aborts. */
function onAnomaly(handler, signal) {
  listeners.add(handler);
  signal.addEventListener("abort", () => listeners.delete(handler));
}

function routes(path) {
  const [first, device, second, stream] = path.split("/").map(decodeURIComponent);
  if (first === "anomalies") return [showAnomalies, {}];
  if (first === "models" && device) return [showModel, { model: device }];
  if (first === "models") return [showModels, {}];
  if (first === "model-files" && device) return [showModelFile, { sha256: device }];
  if (first === "rollouts" && device) return [showRollout, { id: device }];
  if (first === "rollouts") return [showRollouts, {}];
  if (first === "devices" && second === "streams" && stream) return [showStream, { device, stream }];
  if (first === "devices" && device) return [showDevice, { device }];
  return [showFleet, {}];
}

async function show() {
  leave?.abort();
  leave = new AbortController();
  const signal = leave.signal;
  const path = location.hash.replace(/^#\/?/, "");
  const [render, parameters] = routes(path);
  for (const link of document.querySelectorAll("[data-nav]")) {
    const at = ["anomalies", "model", "rollouts"].find((begin) => path.startsWith(begin)) ?? "fleet";
    const here = link.dataset.nav.startsWith(at);
    link.toggleAttribute("aria-current", here);
  }
  view.replaceChildren(el("p", { class: "muted" }, "Loading…"));
  try {
    await render(view, { ...parameters, signal, onAnomaly });
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === 401) return signIn(error.message);
    view.replaceChildren(el("p", { class: "problem" }, error.message));
  }
}

function onFeedEvent(anomaly) {
  const list = document.getElementById("live-list");
  list.querySelector(`[data-id="${CSS.escape(anomaly.id)}"]`)?.remove();
  const item = anomalyItem(anomaly);
  item.classList.add("fresh");
  list.prepend(item);
  while (list.children.length > kLiveItems) list.lastChild.remove();
  document.getElementById("live-empty").hidden = true;
  for (const listener of listeners) listener(anomaly);
}

function start() {
  document.getElementById("live").hidden = false;
  document.getElementById("sign-out").hidden = false;
  feed?.abort();
  feed = new AbortController();
  const state = document.getElementById("feed-state");
  follow({
    signal: feed.signal,
    onEvent: onFeedEvent,
    onState: (text) => {
      state.textContent = text;
      state.classList.toggle("live", text === "live");
    },
  });
  get("anomalies", { limit: 20 }).then(({ items }) => items.reverse().forEach((item) => {
    if (!document.querySelector(`#live-list [data-id="${CSS.escape(item.id)}"]`)) {
      document.getElementById("live-list").prepend(anomalyItem(item));
      document.getElementById("live-empty").hidden = true;
    }
  })).catch(() => {});
  show();
}

function signIn(message) {
  feed?.abort();
  document.getElementById("live").hidden = true;
  document.getElementById("sign-out").hidden = true;
  const input = el("input", {
    type: "password", id: "token", autocomplete: "off", required: true, placeholder: "lwt_…",
  });
  const enter = (event) => {
    event.preventDefault();
    setToken(input.value.trim());
    start();
  };
  view.replaceChildren(el("form", { class: "sign-in", onsubmit: enter },
    el("h1", {}, "Sign in"),
    message ? el("p", { class: "problem" }, message) : null,
    el("label", { for: "token" }, "A token of this hub (lapwing-hub token create --scope read)"),
    input, el("button", {}, "Sign in")));
  input.focus();
}

document.getElementById("sign-out").addEventListener("click", () => {
  dropToken();
  signIn();
});
window.addEventListener("hashchange", () => (location.hash.startsWith("#token=") ? location.reload() : show()));
if (takeToken()) start();
else signIn();
