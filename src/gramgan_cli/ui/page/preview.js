// The chosen crop of the photo: its frame in the overview, and its two pictures.

import { element, get, picture, say } from "./api.js";
import { reset } from "./viewer.js";

const PAUSE = 120; // milliseconds without a change before a preview is requested
const tab = Math.random().toString(36).slice(2);
const overview = element("overview"), image = element("overview-image"), frame = element("frame");
let photo = null, side = 192, number = 0, timer = 0, pending = new AbortController();
const corners = new Map();

export async function prepare(options) {
  side = options.side;
  for (const knob of ["denoise", "texture"]) {
    const input = element(knob), shown = element(`${knob}-value`);
    input.value = options[knob];
    const show = () => (shown.textContent = Number(input.value).toFixed(2));
    input.addEventListener("input", () => (show(), enlargeSoon()));
    show();
  }
}

// Whether the amount is estimated per photo in a run; the knob then shows that of the current photo.
function followPhoto() {
  const automatic = element("automatic").checked;
  element("denoise").disabled = automatic;
  if (!automatic || !photo) return;
  element("denoise").value = photo.automatic;
  element("denoise").dispatchEvent(new Event("input"));
}

element("automatic").addEventListener("change", followPhoto);

export const settings = () => (element("automatic").checked ? { ...knobs(), denoise: "auto" } : knobs());

const knobs = () => ({ denoise: Number(element("denoise").value), texture: Number(element("texture").value) });

export function current() {
  return photo;
}

export function show(chosen) {
  if (photo?.key === chosen.key) return;
  photo = chosen;
  if (!corners.has(photo.key)) corners.set(photo.key, [(photo.width - side) / 2, (photo.height - side) / 2].map(Math.round));
  image.src = `api/photos/${photo.key}/overview`;
  image.alt = `The whole photo ${photo.name}`;
  const pages = photo.frames > 1 ? `, ${photo.frames} pages or frames` : "";
  element("facts").textContent = [`${photo.name}: ${photo.width} x ${photo.height} pixels${pages}`, ...photo.warnings].join(". ");
  element("after").removeAttribute("src");
  reset();
  followPhoto();
  refresh();
}

export function forget() {
  photo = null;
  pending.abort();
}

// Each tab numbers its requests; the server skips outdated ones.
function address(what) {
  const [x, y] = corners.get(photo.key);
  return `api/photos/${photo.key}/${what}?${new URLSearchParams({ x, y, tab, number, ...knobs() })}`;
}

function put(target, url) {
  if (target.src.startsWith("blob:")) URL.revokeObjectURL(target.src);
  target.src = url;
}

async function refresh() {
  drawFrame();
  const shown = photo;
  try {
    const { url } = await picture(address("crop"));
    if (photo === shown) put(element("before"), url);
  } catch (error) {
    say(error.message, true);
  }
  enlargeSoon(0);
}

function enlargeSoon(pause = PAUSE) {
  clearTimeout(timer);
  timer = setTimeout(enlarge, pause);
}

async function enlarge() {
  if (!photo) return;
  pending.abort();
  pending = new AbortController();
  number += 1;
  const own = number;
  element("advice").textContent = photo.advice[knobs().denoise > 0.5 ? "high" : "low"] ?? "";
  element("stage").classList.add("busy");
  try {
    const { url, seconds } = await picture(address("preview"), pending.signal);
    if (own !== number) return;
    put(element("after"), url);
    element("timing").textContent = `Preview in ${seconds} s`;
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 409) say(error.message, true);
  }
  if (own === number) element("stage").classList.remove("busy");
}

function drawFrame() {
  if (!photo || !image.clientWidth) return;
  const [x, y] = corners.get(photo.key);
  const scale = image.clientWidth / photo.width;
  Object.assign(frame.style, {
    left: `${x * scale}px`, top: `${y * scale}px`,
    width: `${Math.min(side, photo.width) * scale}px`, height: `${Math.min(side, photo.height) * scale}px`,
  });
}

function moveTo(x, y) {
  const inside = (value, length) => Math.round(Math.max(0, Math.min(value, length - side)));
  corners.set(photo.key, [inside(x, photo.width), inside(y, photo.height)]);
  drawFrame();
  clearTimeout(timer);
  timer = setTimeout(refresh, PAUSE);
}

function pointAt(event) {
  const box = image.getBoundingClientRect();
  const scale = photo.width / box.width;
  moveTo((event.clientX - box.left) * scale - side / 2, (event.clientY - box.top) * scale - side / 2);
}

overview.addEventListener("pointerdown", (event) => {
  overview.setPointerCapture(event.pointerId);
  overview.focus({ preventScroll: true });
  pointAt(event);
  event.preventDefault();
});
overview.addEventListener("pointermove", (event) => event.buttons && pointAt(event));
overview.addEventListener("keydown", (event) => {
  const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!direction) return;
  const [x, y] = corners.get(photo.key);
  const step = event.shiftKey ? side : side / 8;
  moveTo(x + direction[0] * step, y + direction[1] * step);
  event.preventDefault();
});
image.addEventListener("load", drawFrame);
new ResizeObserver(drawFrame).observe(overview);

export const fetchOptions = () => get("api/options");
