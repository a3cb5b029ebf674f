// SPDX-License-Identifier: Apache-2.0
// Views that keep up with the hub.
const kRefreshMs = 3000;

/** Calls `draw` now and every few seconds until the view is left; a failed refresh keeps what is shown. */
export async function refresh(draw, signal) {
  await draw();
  const timer = setInterval(() => {
    if (!document.hidden) draw().catch(() => {});
  }, kRefreshMs);
  signal.addEventListener("abort", () => clearInterval(timer));
}
