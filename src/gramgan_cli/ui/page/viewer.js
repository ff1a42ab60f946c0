// The view of both pictures: divider, zoom and pan, by mouse, touch and keys.

import { element } from "./api.js";

const MOST_ZOOM = 16;
const stage = element("stage"), scene = element("scene"), divider = element("divider"), after = element("after");
let zoom = 1, left = 0, top = 0, share = 0.5;

function draw() {
  const { width, height } = stage.getBoundingClientRect();
  left = Math.min(0, Math.max(left, width - width * zoom));
  top = Math.min(0, Math.max(top, height - height * zoom));
  scene.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
  const cut = width ? (share * width - left) / (width * zoom) : share;
  after.style.clipPath = `inset(0 0 0 ${Math.max(0, cut) * 100}%)`;
  after.style.imageRendering = element("before").style.imageRendering = "auto";
  divider.style.left = `${share * 100}%`;
  const percent = Math.round(share * 100);
  divider.setAttribute("aria-valuenow", percent);
  divider.setAttribute("aria-valuetext", `${percent} percent before, ${100 - percent} percent after`);
  element("zoom").textContent = `${Math.round(zoom * 100)}%`;
}

function zoomTo(wanted, x, y) {
  const next = Math.min(MOST_ZOOM, Math.max(1, wanted));
  left = x - ((x - left) * next) / zoom;
  top = y - ((y - top) * next) / zoom;
  zoom = next;
  draw();
}

function zoomBy(factor) {
  const { width, height } = stage.getBoundingClientRect();
  zoomTo(zoom * factor, width / 2, height / 2);
}

export function reset() {
  [zoom, left, top] = [1, 0, 0];
  draw();
}

function place(event) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

const pointers = new Map();
let dividing = false;

stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, place(event));
  if (pointers.size === 1) dividing = zoom === 1 || divider.contains(event.target);
  if (dividing && pointers.size === 1) moveDivider(place(event)[0]);
  if (divider.contains(event.target)) divider.focus({ preventScroll: true });
  event.preventDefault();
});

function moveDivider(x) {
  share = Math.min(1, Math.max(0, x / stage.getBoundingClientRect().width));
  draw();
}

stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = place(event);
  pointers.set(event.pointerId, now);
  if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    zoomTo((zoom * distance(now, other)) / distance(before, other), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (dividing) {
    moveDivider(now[0]);
  } else {
    left += now[0] - before[0];
    top += now[1] - before[1];
    draw();
  }
});

for (const kind of ["pointerup", "pointercancel"])
  stage.addEventListener(kind, (event) => {
    pointers.delete(event.pointerId);
    dividing = false;
  });

stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomTo(zoom * Math.exp(-event.deltaY * 0.002), ...place(event));
}, { passive: false });

divider.addEventListener("keydown", (event) => {
  const step = event.shiftKey ? 0.1 : 0.02;
  const pan = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (event.altKey && pan) {
    left += pan[0] * 40;
    top += pan[1] * 40;
  } else if (event.key === "ArrowLeft" || event.key === "ArrowDown") share = Math.max(0, share - step);
  else if (event.key === "ArrowRight" || event.key === "ArrowUp") share = Math.min(1, share + step);
  else if (event.key === "Home") share = 0;
  else if (event.key === "End") share = 1;
  else if (event.key === "+" || event.key === "=") return zoomBy(1.25);
  else if (event.key === "-") return zoomBy(0.8);
  else if (event.key === "0") return reset();
  else return undefined;
  event.preventDefault();
  return draw();
});

element("zoom-in").addEventListener("click", () => zoomBy(1.25));
element("zoom-out").addEventListener("click", () => zoomBy(0.8));
element("zoom-reset").addEventListener("click", reset);
new ResizeObserver(draw).observe(stage);
