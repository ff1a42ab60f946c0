// The page: opening and choosing photos, settings of whole photos, folder dialog.

import { element, get, make, remove, say, send, upload } from "./api.js";
import { current, fetchOptions, forget, prepare, show } from "./preview.js";
import { follow, look, start } from "./runs.js";

const LABELS = { default: "Same as the photo", png: "PNG", jpg: "JPEG", webp: "WebP", tiff: "TIFF", avif: "AVIF" };
let photos = [], wanted = null;

async function openFiles(files) {
  const failed = [];
  for (const [index, file] of files.entries()) {
    say(`Opening ${file.name} (${index + 1} of ${files.length})`);
    try {
      wanted = (await upload(file)).key;
      await look();
    } catch (error) {
      failed.push(error.message);
    }
  }
  say(failed.join(" "), failed.length > 0);
}

// Called with each poll of the server, since another tab may have opened or closed a photo.
function listPhotos(now) {
  const same = now.map((photo) => photo.key).join() === photos.map((photo) => photo.key).join();
  photos = now;
  const chosen = photos.find((photo) => photo.key === (wanted ?? current()?.key)) ?? photos.at(-1);
  wanted = null;
  element("work").hidden = !chosen;
  if (chosen) show(chosen);
  else forget();
  if (!same) drawPhotos();
  for (const button of document.querySelectorAll("#photos .pick"))
    button.setAttribute("aria-pressed", String(button.dataset.key === chosen?.key));
  element("run-all").hidden = photos.length < 2;
  element("run-all").textContent = `Enlarge all ${photos.length}`;
  const onDisk = photos.some((photo) => !photo.uploaded);
  element("disk").hidden = !onDisk;
  element("where").textContent = !chosen ? "" : chosen.uploaded
    ? "When the photo is done, press Save below. The result keeps the date, camera data and colours."
    : `The result is saved next to ${chosen.folder}/${chosen.name}, or in the folder that you enter below. The result keeps the date, camera data and colours.`;
}

function drawPhotos() {
  element("photos").replaceChildren(...photos.map((photo) => {
    const picture = make("img", { src: `api/photos/${photo.key}/overview`, alt: "" });
    const pick = make("button", { type: "button", className: "pick", title: photo.name }, picture);
    pick.dataset.key = photo.key;
    pick.setAttribute("aria-label", `Show ${photo.name}`);
    pick.addEventListener("click", () => {
      wanted = photo.key;
      listPhotos(photos);
    });
    const close = make("button", { type: "button", className: "drop-one", textContent: "\u00d7" });
    close.setAttribute("aria-label", `Close ${photo.name}`);
    close.addEventListener("click", async () => {
      await remove(`api/photos/${photo.key}`).catch((error) => say(error.message, true));
      look();
    });
    return make("li", {}, pick, close);
  }));
}

const drop = element("drop");
for (const kind of ["dragenter", "dragover"])
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
document.addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  openFiles([...event.dataTransfer.files]);
});
element("choose").addEventListener("click", () => element("files").click());
element("files").addEventListener("change", async (event) => {
  await openFiles([...event.target.files]);
  event.target.value = "";
});
element("run").addEventListener("click", () => start({ photos: [current().key] }));
element("run-all").addEventListener("click", () => start({ photos: photos.map((photo) => photo.key) }));
element("size").addEventListener("change", () => {
  element("side-label").hidden = !["width", "height"].includes(element("size").value);
});
element("format").addEventListener("change", updateQuality);

function updateQuality() {
  element("quality").disabled = ["png", "tiff"].includes(element("format").value);
}

// ---- folder dialog

const dialog = element("folder");
element("browse").addEventListener("click", () => {
  dialog.showModal();
  enter(element("path").value);
});
element("folder-close").addEventListener("click", () => dialog.close());
element("folder-form").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(element("path").value);
});

async function enter(path) {
  try {
    const found = await get(`api/folder?${new URLSearchParams({ path })}`);
    element("path").value = found.path;
    element("folder-message").textContent = `${found.photo_count} photos here.`;
    element("folder-message").classList.remove("bad");
    const inside = (name) => `${found.path.replace(/[\\/]$/, "")}/${name}`;
    element("entries").replaceChildren(
      ...(found.parent ? [entry("\u2191 Up", () => enter(found.parent))] : []),
      ...found.folders.map((name) => entry(`${name}/`, () => enter(inside(name)))),
      ...found.photos.map((name) => entry(name, () => openPath(inside(name)))),
    );
  } catch (error) {
    element("folder-message").textContent = error.message;
    element("folder-message").classList.add("bad");
  }
}

function entry(text, action) {
  const button = make("button", { type: "button", textContent: text });
  button.addEventListener("click", action);
  return make("li", {}, button);
}

async function openPath(path) {
  try {
    wanted = (await send("api/open", { path })).key;
    dialog.close();
    say("");
    await look();
  } catch (error) {
    element("folder-message").textContent = error.message;
    element("folder-message").classList.add("bad");
  }
}

element("folder-run").addEventListener("click", async () => {
  dialog.close();
  await start({ folder: element("path").value, recursive: element("recursive").checked });
});

try {
  const options = await fetchOptions();
  element("files").accept = [...options.suffixes, "image/*"].join();
  element("format").replaceChildren(...options.formats.map((name) => make("option", { value: name, textContent: LABELS[name] ?? name })));
  element("quality").placeholder = options.quality;
  updateQuality();
  await prepare(options);
  await follow(listPhotos);
  document.body.dataset.ready = "yes";
} catch (error) {
  say(error.message, true);
}
