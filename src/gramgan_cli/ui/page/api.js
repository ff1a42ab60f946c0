// Requests to the server; failures are thrown as Error with a message for the user.

async function answer(response) {
  if (response.ok) return response;
  let sentence = "Access was refused. Start gramgan ui again, and open the new address.";
  if (response.status === 400) sentence = (await response.json()).error;
  throw Object.assign(new Error(sentence), { status: response.status });
}

async function request(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("gramgan ui does not answer. Was it stopped in the terminal?");
  }
  return answer(response);
}

export const get = async (address) => (await request(address)).json();

export const send = async (address, value, method = "POST") =>
  (await request(address, { method, body: JSON.stringify(value), headers: { "Content-Type": "application/json" } })).json();

export const remove = (address) => request(address, { method: "DELETE" });

export const upload = async (file) =>
  (await request(`api/photos?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file })).json();

export async function picture(address, signal) {
  const response = await request(address, { signal });
  return { url: URL.createObjectURL(await response.blob()), seconds: response.headers.get("X-Seconds") };
}

export const element = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function say(text, bad = false) {
  element("message").textContent = text;
  element("message").classList.toggle("bad", bad);
}
