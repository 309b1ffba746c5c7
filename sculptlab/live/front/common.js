// Helpers of both widgets for elements, canvases and colors. Each widget's own script follows in the same scope.

const CLASSES = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#BFA900", "#000000", "#882255", "#999999"];
const ON_DARK = { "#0072B2": "#4CA8E0", "#000000": "#FFFFFF", "#882255": "#D4699C" };

const html = (tag, props = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

// An id that no other widget on the page has. A counter would repeat: each widget has its own copy of this module.
const unique = (name) => `${name}-${Math.random().toString(36).slice(2, 10)}`;

const short = (x) => {
  if (x === null || x === undefined) return "–";
  const size = Math.abs(x);
  return size !== 0 && (size < 0.001 || size >= 1e5) ? x.toExponential(1) : String(+x.toPrecision(3));
};

// A button that copies a text. A page without HTTPS has no clipboard: then it selects the text.
const copier = (field, name = "Copy") => {
  const button = html("button", { type: "button", title: "copy it", onclick: async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch {
      field.select();
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = name; }, 1500);
  } }, name);
  return button;
};

// A canvas at the resolution of the screen.
class Sheet {
  constructor(canvas) {
    this.canvas = canvas;
    this.at = canvas.getContext("2d");
  }
  begin() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width || !height) return false;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    this.at.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.at.clearRect(0, 0, width, height);
    [this.width, this.height] = [width, height];
    return true;
  }
}

// One small canvas for each size, used again: new ones for every frame pile up faster than the browser frees them.
const small = new Map();
const smallCanvas = (height, width) => {
  const size = `${height} x ${width}`;
  if (!small.has(size)) {
    const canvas = new OffscreenCanvas(width, height);
    small.set(size, { canvas, at: canvas.getContext("2d", { willReadFrequently: true }), data: new ImageData(width, height) });
  }
  return small.get(size);
};

// Bytes of gray or color as a small canvas. Draw it at once: the next image of the same size overwrites it.
const image = (bytes, height, width, channels, paint) => {
  const { canvas, at, data } = smallCanvas(height, width);
  for (let i = 0; i < width * height; i++) {
    if (paint) paint(bytes[i], data.data, 4 * i);
    else {
      for (let c = 0; c < 3; c++) data.data[4 * i + c] = bytes[channels === 1 ? i : 3 * i + c];
      data.data[4 * i + 3] = 255;
    }
  }
  at.putImageData(data, 0, 0);
  return canvas;
};

// The colors of a widget by name, for the light or dark background that it lies on.
const colorsOf = (root) => {
  let back = null;
  for (let node = root.parentElement; node && !back; node = node.parentElement) {
    const found = getComputedStyle(node).backgroundColor.match(/[\d.]+/g);
    if (found && (found.length < 4 || +found[3] > 0.5)) back = found.slice(0, 3).map(Number);
  }
  const dark = back ? 0.3 * back[0] + 0.59 * back[1] + 0.11 * back[2] < 128 : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "dark" : "light";
  const style = getComputedStyle(root);
  const names = ["ink", "quiet", "line", "mmd", "kl", "paper", "panel"];
  return { dark, ...Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])) };
};

// The color of a class by its number.
const classColor = (name, dark) => {
  const count = CLASSES.length, base = CLASSES[((name % count) + count) % count]; // also for a label below 0
  return (dark && ON_DARK[base]) || base;
};

// Paints a density in gray, for `image`; `strength` is its largest opacity.
const shade = (strength, dark) => (value, data, i) => {
  data[i] = data[i + 1] = data[i + 2] = dark ? 235 : 40;
  data[i + 3] = value * strength;
};

// The name of each class at the median of its points, as color-blind readers cannot distinguish ten colors. Names that would overlap
// are moved down.
const LINE = 13; // pixels
const drawNames = (at, colors, classes, names, point) => {
  const kinds = [...new Set(classes)];
  if (kinds.length > 12) return;
  at.font = "bold 13px system-ui, sans-serif";
  at.textAlign = "center";
  const found = kinds.map((name) => {
    const points = [...classes.keys()].filter((i) => classes[i] === name).map(point);
    const median = (axis) => points.map((xy) => xy[axis]).sort((a, b) => a - b)[points.length >> 1];
    const text = names[name] ?? String(name);
    return { name, text, half: at.measureText(text).width / 2, x: median(0), y: median(1) + 4 };
  });
  const placed = [];
  for (const one of found.sort((a, b) => a.y - b.y)) {
    const beside = placed.filter((other) => Math.abs(other.x - one.x) < other.half + one.half);
    const middle = one.y;
    for (const other of beside.sort((a, b) => a.y - b.y)) {
      if (Math.abs(other.y - one.y) < LINE) one.y = other.y + LINE;
    }
    if (one.y - middle > 2.5 * LINE) continue; // too far from its class to name it
    placed.push(one);
    at.globalAlpha = 0.8;
    at.fillStyle = colors.panel;
    at.beginPath();
    at.roundRect(one.x - one.half - 3, one.y - 11.5, 2 * one.half + 6, 14, 4);
    at.fill();
    at.globalAlpha = 1;
    at.fillStyle = classColor(one.name, colors.dark);
    at.fillText(one.text, one.x, one.y);
  }
};

// Watches whether the kernel answers. `say` gets a message when it was restarted, or has not answered for too long.
const SILENCE = 6; // seconds; a request that takes longer says so
class KernelWatch {
  constructor(model, say) {
    Object.assign(this, { model, say, since: 0, heard: false, patience: SILENCE });
    this.parted = () => { // Jupyter's widget manager reports a restart; without one, the missing answer shows it later
      this.since = 0;
      say("The kernel was restarted, and this is its last state. Run this cell again.");
    };
    model.on("comm_live_update", this.parted);
    this.watch = setInterval(() => this.look(), 1000);
  }
  asked(patience = SILENCE) {
    this.since ||= performance.now();
    this.patience = Math.max(this.patience, patience);
  }
  answered() { Object.assign(this, { since: 0, heard: true, patience: SILENCE }); }
  look() {
    if (this.since && document.hidden) this.since = performance.now(); // the browser may hold back the answers
    const waited = this.since ? (performance.now() - this.since) / 1000 : 0;
    if (waited < this.patience) return;
    this.say(this.model.silence ? this.model.silence : this.heard
      ? `No answer from the kernel for ${Math.round(waited)} s: it may be busy, or closed. After a restart, run this cell again.`
      : "No kernel answers: run this cell to start the widget.");
  }
  end() {
    clearInterval(this.watch);
    this.model.off("comm_live_update", this.parted);
  }
}
