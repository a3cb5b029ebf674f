// SPDX-License-Identifier: Apache-2.0
// The hub's HTTP API: the token, requests, and the live feed (server-sent events over fetch, because EventSource
// cannot carry the Authorization header).

const kTokenKey = "lapwing.token";

/** The token from `#token=…` (then taken out of the address) or from this tab's session. */
export function takeToken() {
  const given = location.hash.match(/^#token=([^&]+)/);
  if (given) {
    sessionStorage.setItem(kTokenKey, decodeURIComponent(given[1]));
    history.replaceState(null, "", `${location.pathname}#/`);
  }
  return sessionStorage.getItem(kTokenKey);
}
export const setToken = (token) => sessionStorage.setItem(kTokenKey, token);
export const dropToken = () => sessionStorage.removeItem(kTokenKey);

export class ApiError extends Error {
  constructor(status, title, detail) {
    super(detail || title || `the hub answered ${status}`);
    this.status = status;
  }
}

async function request(path, options = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(kTokenKey)}`, ...options.headers };
  const response = await fetch(`/api/v1/${path}`, { ...options, headers });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new ApiError(response.status, problem.title, problem.detail);
}

/** GET as JSON; parameters that are null, undefined or empty are left out. */
export async function get(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return (await request(text ? `${path}?${text}` : path)).json();
}

export const getText = async (path) => (await request(path)).text();

/** Sends an object, or nothing, as JSON; the answer as JSON. */
export async function send(method, path, body) {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await request(path, { method, ...json })).json();
}
/** Sends bytes as they are. */
export async function sendBytes(method, path, bytes) {
  return (await request(path, { method, body: bytes, headers: { "Content-Type": "application/octet-stream" } })).json();
}
export const remove = (path) => request(path, { method: "DELETE" });

/**
 * Follows the feed until `signal` aborts; reconnects with back-off and Last-Event-ID, so nothing is missed.
 * onEvent(anomaly) per event, onState("live" | "reconnecting" | error text).
 */
export async function follow({ onEvent, onState, signal }) {
  let last = null;
  let wait = 500;
  while (!signal.aborted) {
    try {
      const headers = last === null ? {} : { "Last-Event-ID": last };
      const response = await request("feed", { headers, signal });
      onState("live");
      wait = 500;
      for await (const event of events(response.body)) {
        if (event.id) last = event.id;
        if (event.data) onEvent(JSON.parse(event.data));
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401 || error.status === 403) return onState(error.message);
    }
    onState("reconnecting");
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
    wait = Math.min(wait * 2, 15000);
  }
}

/** Splits a response body into events: blocks of `field: value` lines ended by an empty line. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { data: "" };
      for (const line of block.split(/\r?\n/)) {
        const at = line.indexOf(":");
        if (at <= 0) continue;
        const field = line.slice(0, at);
        const text = line.slice(at + 1).replace(/^ /, "");
        if (field === "data") event.data += text;
        else event[field] = text;
      }
      yield event;
    }
  }
}
