// The list of runs: progress, cancelling, and the result of each photo.

import { element, get, make, remove, say, send } from "./api.js";
import { settings } from "./preview.js";

const QUICK = 300, SLOW = 2000; // milliseconds between polls, with and without an active run
const WORDS = { waiting: "waiting", working: "running", done: "finished", failed: "failed", cancelled: "cancelled" };
const drawn = new Map();
let timer = 0, onPhotos = () => {};

export function follow(callback) {
  onPhotos = callback;
  return look();
}

export async function look() {
  clearTimeout(timer);
  let busy = false;
  try {
    const state = await get("api/state");
    busy = state.runs.some(active);
    draw(state.runs);
    onPhotos(state.photos);
  } catch (error) {
    say(error.message, true);
  }
  timer = setTimeout(look, busy ? QUICK : SLOW);
}

export async function start(what) {
  const size = element("size").value, side = Number(element("side").value);
  const quality = element("quality").disabled ? null : element("quality").value;
  try {
    await send("api/runs", {
      ...what,
      ...settings(),
      size: size === "width" || size === "height" ? { [size]: side } : { factor: Number(size) },
      format: element("format").value,
      quality: quality ? Number(quality) : null,
      output: element("output").value.trim() || null,
      overwrite: element("overwrite").checked,
    });
    say("Started.");
    await look();
    element("runs-section").scrollIntoView({ block: "nearest" });
  } catch (error) {
    say(error.message, true);
  }
}

// A run is redrawn only if it has changed, to keep focus and scroll positions.
function draw(runs) {
  element("runs-section").hidden = runs.length === 0;
  for (const [index, run] of runs.entries()) {
    const facts = JSON.stringify(run);
    const before = drawn.get(run.key);
    if (before?.facts === facts) continue;
    const item = before?.item ?? make("li");
    drawn.set(run.key, { facts, item });
    if (before && before.state === run.state && run.state === "working") {
      item.querySelector("progress").value = run.progress;
      item.querySelector(".percent").textContent = percent(run);
      fill(item.querySelector(".items"), run);
    } else {
      build(item, run);
    }
    if (before && active(before) && !active(run)) say(`${run.title}: ${summary(run)}. See the results below.`);
    drawn.get(run.key).state = run.state;
    if (item.parentNode === null) element("runs").insertBefore(item, element("runs").children[index] ?? null);
  }
}

const active = (run) => run.state === "waiting" || run.state === "working";
const percent = (run) => `${Math.floor(run.progress * 100)}%`;

function build(item, run) {
  const line = make("div", { className: "line" }, make("strong", { textContent: run.title }), make("span", {
    className: run.state === "failed" || run.counts.failed ? "bad" : run.state === "done" ? "good" : "",
    textContent: summary(run),
  }));
  item.replaceChildren(line);
  if (active(run)) {
    const bar = make("progress", { max: 1, value: run.progress });
    bar.setAttribute("aria-label", `Progress of ${run.title}`);
    const cancel = make("button", { type: "button", textContent: "Cancel" });
    cancel.setAttribute("aria-label", `Cancel ${run.title}`);
    cancel.addEventListener("click", async () => {
      cancel.disabled = true;
      await remove(`api/runs/${run.key}`).catch((error) => say(error.message, true));
      look();
    });
    line.append(make("span", { className: "percent", textContent: percent(run) }), cancel);
    item.append(bar);
  }
  if (run.error) item.append(make("p", { className: "bad", textContent: run.error }));
  const list = make("ul", { className: "items" });
  item.append(list);
  fill(list, run);
}

function summary(run) {
  const { done, skipped, failed } = run.counts;
  if (run.items.length < 2) return WORDS[run.state];
  return `${WORDS[run.state]}: ${done} done, ${skipped} skipped, ${failed} failed of ${run.items.length}`;
}

function fill(list, run) {
  const rows = run.items.map((item, index) => [item, index]).filter(([item]) => item.state !== "waiting");
  list.replaceChildren(...rows.map(([item, index]) => row(run, item, index)));
}

function row(run, item, index) {
  const made = make("li");
  if (item.state === "failed") {
    made.append(make("span", { className: "bad", textContent: item.error }));
  } else {
    const address = `api/runs/${run.key}/${index}`;
    if (run.download) made.append(make("a", { className: "button", href: address, download: "", textContent: `Save ${item.output}` }), " ");
    else made.append(`${item.state === "skipped" ? "Already exists" : "Saved"}: ${item.output} `);
    const look = make("a", { href: `${address}?show`, target: "_blank", textContent: "View" });
    look.setAttribute("aria-label", `View ${item.output} in a new tab`);
    made.append(look, item.seconds === null ? "" : ` (${item.seconds.toFixed(1)} s)`);
  }
  for (const warning of item.warnings) made.append(make("div", { className: "path", textContent: warning }));
  return made;
}
