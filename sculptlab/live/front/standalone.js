// The page's side of the Sculptor without a kernel: a Web Worker takes the kernel's place. Python writes SPEC, IMAGES, STYLE and ENGINE
// (the worker's script, as a text) above; see sculptlab.live.standalone.

// What the widget expects of its kernel, for a worker.
class LocalModel {
  constructor(send) {
    const counters = Object.fromEntries(["revision", "plays", "steps", "resets", "reseeds", "views", "seen", "codes"].map((name) => [name, 0]));
    this.values = { controls: SPEC, picture: "", asked: { ...counters, changes: {}, on: false, slow: false, arrows: false, pointer: null } };
    Object.assign(this, { send, listeners: [], silence: "The engine of this page does not answer. Reload the page." });
  }
  get(name) { return this.values[name]; }
  set(name, value) { this.values[name] = value; }
  save_changes() { this.send({ asked: this.values.asked }); }
  on(name, listener) { if (name === "msg:custom") this.listeners.push(listener); }
  off(name, listener) { this.listeners = this.listeners.filter((one) => one !== listener); }
  link(text) { return `${location.href.split("#")[0]}#s=${encodeURIComponent(text)}`; }
}

// The settings string of the page's address, "…#s=…"; null if it has none.
const linked = () => {
  const found = location.hash.match(/^#s=(.*)$/s);
  if (!found) return null;
  try { return decodeURIComponent(found[1]); } catch { return found[1]; }
};

const missing = () => {
  const needs = { "Web Workers": typeof Worker, "OffscreenCanvas": typeof OffscreenCanvas, "DecompressionStream": typeof DecompressionStream,
    "ResizeObserver": typeof ResizeObserver };
  const found = Object.keys(needs).filter((name) => needs[name] === "undefined");
  if (!found.length && !document.createElement("canvas").getContext("2d")) found.push("a canvas");
  return found;
};

// Show the Sculptor in an element, in place of what is in it: a picture, say, which stays where the browser cannot show the Sculptor.
// `settings` is a string as the Sculptor writes it, in whose place that of the page's address counts, and `steps` are taken before the
// first picture (50 by default). The result ends it.
export const mount = (element, { settings = null, steps } = {}) => {
  const before = [...element.childNodes];
  const root = html("div", { hidden: true });
  const say = (words) => {
    root.remove();
    element.replaceChildren(html("p", { className: "sculptor-missing", role: "status" }, words), ...before);
  };
  const lacks = missing();
  if (lacks.length) {
    say(`The Sculptor needs a newer browser: this one has no ${lacks.join(", ")}.`);
    return () => {};
  }
  let worker = null;
  try {
    const address = URL.createObjectURL(new Blob([ENGINE], { type: "text/javascript" }));
    worker = new Worker(address);
    URL.revokeObjectURL(address);
  } catch (error) {
    say(`The Sculptor cannot start its Web Worker here: ${error.message}`);
    return () => {};
  }
  const model = new LocalModel((message) => worker.postMessage(message));
  if (!document.querySelector("style.sculptor-style")) document.head.append(html("style", { className: "sculptor-style" }, STYLE));
  worker.onerror = (event) => say(`The Sculptor has stopped: ${event.message || "its Web Worker could not be started"}. Reload the page.`);
  worker.onmessage = ({ data: { content, buffers } }) => {
    if (root.hidden) {
      before.forEach((node) => node.remove());
      root.hidden = false;
    }
    model.listeners.forEach((listener) => listener(content, buffers));
  };
  worker.postMessage({ spec: SPEC, images: IMAGES, text: linked() ?? settings, steps });
  const hide = () => worker.postMessage({ hidden: document.hidden }); // a tab in the background waits
  const follow = () => {
    const text = linked();
    if (text === null) return;
    const { asked } = model.values;
    model.set("asked", { ...asked, revision: asked.revision + 1, changes: { text } });
    model.save_changes();
  };
  hide();
  document.addEventListener("visibilitychange", hide);
  window.addEventListener("hashchange", follow);
  element.append(root);
  const end = widget.render({ model, el: root });
  return () => {
    end();
    worker.terminate();
    document.removeEventListener("visibilitychange", hide);
    window.removeEventListener("hashchange", follow);
    root.remove();
  };
};
