// The Sculptor's page: it draws what the kernel sends and tells the kernel what a hand does. All that is known is in the kernel.

const SILENCE = 6; // seconds without an answer, after which the kernel is doubted
const MEASURES = [
  ["reconstruction", "Reconstruction error", "mean squared error per pixel, held out"],
  ["mmd2", "MMD² from the target", "of held-out codes; grey: what chance alone gives"],
  ["lps", "LPS", "how well a tree guesses one latent from the other, held out"],
];
const KEYS = "Space: play or pause · S: one step · M: slow motion · R: reset · N: new seed";
let made = 0;

// What the kernel is asked for: counters and whole values, as the browser may leave out any message but the last.
class Asker {
  constructor(model, doubt) {
    this.model = model;
    this.pending = [];
    this.doubt = doubt;
  }
  get now() { return this.model.get("asked"); }
  tell(patch) {
    this.model.set("asked", { ...this.now, ...patch });
    this.model.save_changes();
  }
  count(name, patch = {}) {
    this.doubt();
    this.tell({ [name]: this.now[name] + 1, ...patch });
  }
  change(changes) {
    const revision = this.now.revision + 1;
    this.pending.push({ revision, changes });
    this.doubt();
    this.tell({ revision, changes: this.merged() });
  }
  merged() {
    let all = {};
    for (const { changes } of this.pending) {
      if ("text" in changes || "prior" in changes || "painting" in changes) delete all.sliders;
      if ("text" in changes) all = {};
      all = { ...all, ...changes, ...(changes.sliders ? { sliders: { ...all.sliders, ...changes.sliders } } : {}) };
      if ("prior" in changes) delete all.painting;
    }
    return all;
  }
  arrived(revision) { this.pending = this.pending.filter((one) => one.revision > revision); }
}

class View {
  constructor(model, el) {
    this.model = model;
    this.id = `sculptor-${made++}`;
    this.spec = model.get("controls");
    this.frame = null;
    this.asked_at = 0;
    this.ask = new Asker(model, () => { this.asked_at ||= performance.now(); });
    this.inputs = {};
    this.lanes = {};
    this.brush = { down: false, erase: false, cursor: [this.spec.paper / 2, this.spec.paper / 2] };
    this.painting = new Float32Array(this.spec.paper ** 2);
    this.root = html("div", { className: "sculptor", role: "group", "aria-label": "Sculptor: a latent space trained by hand",
      "data-lm-suppress-shortcuts": "true", onkeydown: (event) => this.key(event) });
    this.build();
    el.append(this.root);
    this.listen();
    this.ask.tell({ views: this.ask.now.views + 1 });
    this.asked_at = performance.now();
  }

  // ---- what is on the page
  build() {
    const button = (text, title, act, main = "") =>
      html("button", { type: "button", className: main, title, onclick: act }, text);
    this.play = button("▶ Play", "train, or pause (Space)", () => this.toggle(), "main");
    this.slow = button("Slow", "a few steps a second (M)", () => this.ask.count("plays", { slow: !this.ask.now.slow, on: true }));
    this.counter = html("span", { className: "count" });
    const bar = html("div", { className: "bar" }, this.play,
      button("Step", "one step (S)", () => this.ask.count("steps")), this.slow,
      button("Reset", "begin again with the same seed (R)", () => this.ask.count("resets")),
      button("New seed", "begin again with other weights, batches and noise (N)", () => this.ask.count("reseeds")),
      this.choice("objective", "Objective", this.spec.objectives.map((name) => [name, name === "kl" ? "KL (a VAE)" : "MMD"])
        .concat([["both", "MMD beside KL"]]), (value) =>
        value === "both" ? { compare: true } : { compare: false, objective: value }),
      this.choice("data", "Data", this.spec.data.map((name) => [name, name]), (value) => ({ data: value })), this.counter);
    this.notice = html("div", { className: "notice", role: "status" });
    this.still = html("img", { className: "still", alt: "How the Sculptor looked when this page was saved" });
    const picture = this.model.get("picture");
    this.still.hidden = !picture;
    if (picture) this.still.src = `data:image/png;base64,${picture}`;
    this.stage = html("div", { className: "stage" }, this.target());
    this.body = html("div", { hidden: true }, this.stage, this.dials(), this.charts(), this.share());
    this.root.append(bar, this.notice, this.still, this.body);
  }

  choice(name, label, options, change) {
    const id = `${this.id}-${name}`;
    const select = html("select", { id, onchange: () => this.ask.change(change(select.value)) },
      ...options.map(([value, text]) => html("option", { value }, text)));
    this.inputs[name] = select;
    return html("span", {}, html("label", { htmlFor: id }, `${label} `), select);
  }

  target() {
    this.paper = html("canvas", { className: "paper square", tabIndex: 0, role: "img" });
    this.paper.setAttribute("aria-label", "The target's density. Paint with mouse or finger; or arrow keys and Enter, Backspace rubs out.");
    this.sliders = html("div");
    this.eraser = html("button", { type: "button", title: "rub out instead of painting", onclick: () => {
      this.brush.erase = !this.brush.erase;
      this.eraser.setAttribute("aria-pressed", this.brush.erase);
    } }, "Eraser");
    this.eraser.setAttribute("aria-pressed", "false");
    const tools = html("div", { className: "tools" }, this.eraser, html("button", { type: "button", title: "white paper",
      onclick: () => { this.painting.fill(0); this.drawPaper(); this.sendPainting(); } }, "Clear"), html("span", {}, "paint on it"));
    return html("div", { className: "target" }, html("h4", {}, "Target prior"),
      this.choice("prior", "Shape", Object.keys(this.spec.priors).map((name) => [name, name]), (value) =>
        value === "painted" ? { painting: this.encoded() } : { prior: value }), this.paper, tools, this.sliders);
  }

  // One labelled slider; `log` moves through powers of ten.
  slider(name, dial, value, change, log) {
    const id = `${this.id}-${name}`;
    const shown = html("output", { htmlFor: id });
    const [low, high] = log || [dial.low, dial.high];
    const input = html("input", { type: "range", id, title: dial.hint, min: low, max: high, step: log ? 0.05 : dial.step });
    const read = () => (log ? +(10 ** +input.value).toPrecision(2) : +input.value);
    const write = (x) => {
      input.value = log ? Math.log10(Math.max(x, 10 ** low)) : x;
      shown.value = short(x);
      input.setAttribute("aria-valuetext", short(x));
    };
    input.addEventListener("input", () => { shown.value = short(read()); input.setAttribute("aria-valuetext", short(read())); this.ask.change(change(read())); });
    write(value);
    this.inputs[name] = { write, input };
    return html("div", { className: "field" }, html("label", { htmlFor: id, title: dial.hint }, name), input, shown);
  }

  dials() {
    const logs = { weight: [-1, 4], beta: [-3, 2], bandwidth: [-1, 1], rate: [-4, 0] };
    const fields = this.spec.dials.map((dial) => {
      const field = this.slider(dial.name, dial, dial.start, (x) => ({ [dial.name]: x }), logs[dial.name]);
      field.dataset.dial = dial.name;
      return field;
    });
    const label = { weight: "MMD weight", beta: "KL weight β", bandwidth: "bandwidth ×", rate: "learning rate" };
    for (const field of fields) field.firstChild.textContent = label[field.dataset.dial];
    this.dialFields = fields;
    return html("div", { className: "dials" }, ...fields, html("div", { className: "tools" },
      this.choice("kernel", "Kernel", this.spec.kernels.map((name) => [name, name]), (value) => ({ kernel: value })),
      this.choice("batch", "Batch", this.spec.batches.map((size) => [size, size]), (value) => ({ batch: +value }))));
  }

  charts() {
    this.lines = MEASURES.map(([name, title, hint]) => {
      const [words, canvas] = [html("b"), html("canvas", { role: "img" })];
      return { name, words, canvas, sheet: new Sheet(canvas), node: html("div", {}, html("p", { title: hint }, `${title} `, words), canvas) };
    });
    return html("div", { className: "charts" }, ...this.lines.map((line) => line.node));
  }

  share() {
    this.text = html("input", { type: "text", spellcheck: false, onkeydown: (event) => { if (event.key === "Enter") this.paste(); } });
    this.text.setAttribute("aria-label", "Settings as a string: copy it, or paste one and press Enter");
    this.python = html("textarea", { readOnly: true, hidden: true });
    this.python.setAttribute("aria-label", "Python code that repeats this run");
    return html("details", {}, html("summary", {}, "Share: settings as a string, the run as Python · keyboard"),
      html("div", { className: "share" }, this.text,
        html("button", { type: "button", title: "take the settings of the string", onclick: () => this.paste() }, "Use"),
        html("button", { type: "button", title: "Python that repeats this run to the same bits", onclick: () => this.ask.count("codes") }, "Python")),
      this.python, html("p", {}, KEYS));
  }

  lane(name) {
    const canvas = (kind) => html("canvas", { className: `square ${kind}`, role: "img", tabIndex: kind === "plane" ? 0 : -1 });
    const [plane, grid, strip] = [canvas("plane"), canvas("grid"), html("canvas", { role: "img" })];
    const title = html("h4");
    const words = html("p", {}, "Point at the plane: what decodes there, the nearest image and its reconstruction, its neighbours.");
    const node = html("div", { className: "lane" }, html("div", {}, title, plane),
      html("div", {}, html("h4", {}, "Decoded over the plane"), grid, html("div", { className: "under" }, words, strip)));
    const lane = { name, node, title, words, plane, planeSheet: new Sheet(plane), gridSheet: new Sheet(grid), stripSheet: new Sheet(strip) };
    const point = (event) => {
      const box = plane.getBoundingClientRect();
      const span = this.frame.span;
      const at = [((event.clientX - box.left) / box.width * 2 - 1) * span, (1 - (event.clientY - box.top) / box.height * 2) * span];
      this.point(name, at);
    };
    plane.addEventListener("pointermove", point);
    plane.addEventListener("pointerdown", point);
    plane.addEventListener("pointerleave", () => this.point(name, null));
    plane.addEventListener("keydown", (event) => this.walk(event, name));
    return lane;
  }

  // ---- what a hand does
  toggle() { this.ask.count("plays", { on: !(this.frame && this.frame.playing) }); }
  paste() { this.ask.change({ text: this.text.value }); this.text.blur(); }
  point(lane, at) {
    clearTimeout(this.later);
    const tell = () => { this.pointed = performance.now(); this.ask.tell({ pointer: at && { lane, at } }); };
    const wait = 60 - (performance.now() - (this.pointed || 0));
    if (wait > 0) this.later = setTimeout(tell, wait);
    else tell();
  }
  walk(event, lane) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move || !this.frame) return;
    event.preventDefault();
    const held = this.ask.now.pointer;
    const [x, y] = held && held.lane === lane ? held.at : [0, 0];
    const [span, stride] = [this.frame.span, this.frame.span / 20];
    const within = (v) => Math.min(span, Math.max(-span, v));
    this.point(lane, [within(x + move[0] * stride), within(y + move[1] * stride)]);
  }
  key(event) {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const act = { " ": () => this.toggle(), s: () => this.ask.count("steps"), m: () => this.slow.click(),
      r: () => this.ask.count("resets"), n: () => this.ask.count("reseeds") }[event.key.toLowerCase()];
    if (!act || (event.key === " " && event.target.tagName === "BUTTON") || event.target.tagName === "SUMMARY") return;
    event.preventDefault();
    act();
  }

  // ---- painting
  listen() {
    const size = this.spec.paper;
    const spot = (event) => {
      const box = this.paper.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * size, (event.clientY - box.top) / box.height * size];
    };
    this.paper.addEventListener("pointerdown", (event) => {
      this.startPainting();
      this.brush.down = true;
      this.brush.last = spot(event);
      this.paper.setPointerCapture(event.pointerId);
      this.stroke(this.brush.last);
    });
    this.paper.addEventListener("pointermove", (event) => { if (this.brush.down) this.stroke(spot(event)); });
    for (const end of ["pointerup", "pointercancel"]) {
      this.paper.addEventListener(end, () => {
        if (this.brush.down) this.sendPainting();
        this.brush.down = false;
      });
    }
    this.paper.addEventListener("keydown", (event) => this.paintByKey(event));
    this.receive = (message, buffers) => this.take(message, buffers);
    this.model.on("msg:custom", this.receive);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.root);
    this.themed = new MutationObserver(() => this.draw());
    for (const node of [document.body, document.documentElement]) this.themed.observe(node, { attributes: true });
    this.watch = setInterval(() => this.doubtKernel(), 1000);
  }
  startPainting() { // on a shape there is: white paper; on a painting: go on
    if (this.frame && this.frame.settings.prior !== "painted" && !this.ask.pending.some((one) => "painting" in one.changes)) this.painting.fill(0);
  }
  stroke(to) {
    const [from, size, radius] = [this.brush.last, this.spec.paper, 1.7];
    const far = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let k = 0; k <= far; k++) {
      const [x, y] = [0, 1].map((i) => from[i] + ((to[i] - from[i]) * k) / far);
      for (let row = Math.floor(y - 3); row <= y + 3; row++) {
        for (let column = Math.floor(x - 3); column <= x + 3; column++) {
          if (row < 0 || column < 0 || row >= size || column >= size) continue;
          const ink = Math.max(0, 1 - Math.hypot(column + 0.5 - x, row + 0.5 - y) / (2 * radius)) ** 0.5;
          const i = row * size + column;
          this.painting[i] = this.brush.erase ? this.painting[i] * (ink > 0.3 ? 0 : 1) : Math.max(this.painting[i], ink > 0.3 ? ink : 0);
        }
      }
    }
    this.brush.last = to;
    this.drawPaper(true);
    if (performance.now() - (this.painted || 0) > 150) this.sendPainting();
  }
  paintByKey(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const inked = event.key === "Enter" || event.key === "Backspace";
    if (!move && !inked) return;
    event.preventDefault();
    if (move) this.brush.cursor = this.brush.cursor.map((v, i) => Math.min(this.spec.paper - 1, Math.max(0, v + move[i])));
    if (inked) {
      this.startPainting();
      const erase = this.brush.erase;
      this.brush.erase = event.key === "Backspace";
      this.brush.last = this.brush.cursor;
      this.stroke(this.brush.cursor);
      this.brush.erase = erase;
      this.sendPainting();
    }
    this.drawPaper(true);
  }
  encoded() {
    const levels = Array.from(this.painting, (v) => Math.round(v * this.spec.levels));
    let bytes = "";
    for (let i = 0; i < levels.length; i += 2) bytes += String.fromCharCode(levels[i] * 16 + levels[i + 1]);
    return btoa(bytes);
  }
  sendPainting() {
    this.painted = performance.now();
    this.ask.change({ painting: this.encoded() });
  }

  // ---- what the kernel sends
  take(message, buffers) {
    if (message.kind === "code") {
      this.python.value = message.text;
      this.python.hidden = false;
      this.asked_at = 0;
      return;
    }
    if (message.kind !== "frame") return;
    const bytes = (i) => (i === null ? null : new Uint8Array(buffers[i].buffer, buffers[i].byteOffset, buffers[i].byteLength));
    const floats = (i) => new Float32Array(bytes(i).slice().buffer);
    this.frame = { ...message, rows: floats(message.rows), density: bytes(message.density), labels: bytes(message.labels),
      lanes: message.lanes.map((lane) => ({ ...lane, codes: floats(lane.codes), sheet: bytes(lane.sheet) })),
      pointer: message.pointer && { ...message.pointer, images: bytes(message.pointer.images) } };
    this.ask.arrived(message.revision);
    this.asked_at = 0;
    this.ask.tell({ seen: message.number });
    if (!this.brush.down && !this.ask.pending.length && message.settings.prior === "painted") {
      this.painting = Float32Array.from(bytes(message.painting), (v) => v / this.spec.levels);
    }
    this.root.dataset.step = message.step;
    this.root.dataset.frames = +(this.root.dataset.frames || 0) + 1;
    this.root.dataset.revision = message.revision;
    this.root.dataset.playing = message.playing;
    this.still.hidden = true;
    this.body.hidden = false;
    this.show();
    if (!this.drawing) {
      this.drawing = requestAnimationFrame(() => {
        this.drawing = 0;
        this.draw();
        this.root.dataset.drawn = +(this.root.dataset.drawn || 0) + 1;
      });
    }
  }
  doubtKernel() {
    const waited = this.asked_at ? (performance.now() - this.asked_at) / 1000 : 0;
    if (waited < SILENCE) return;
    this.notice.textContent = this.frame
      ? `No answer from the kernel for ${Math.round(waited)} s: it may be busy, or closed. After a restart, run this cell again.`
      : "No kernel answers, so this is a picture of how it looked. Run this cell to bring it to life.";
  }

  // Words, numbers and controls follow the kernel, except for those that a hand has moved on in the meantime.
  show() {
    const { frame, inputs } = this;
    const { settings } = frame;
    this.play.textContent = frame.playing ? "❚❚ Pause" : "▶ Play";
    this.play.setAttribute("aria-pressed", frame.playing);
    this.slow.setAttribute("aria-pressed", frame.slow);
    this.counter.replaceChildren("step ", html("b", {}, frame.step.toLocaleString("en")), ` · seed ${settings.seed}`);
    if (this.notice.textContent !== frame.notice) this.notice.textContent = frame.notice;
    this.showLanes();
    if (this.ask.pending.length) return;
    inputs.objective.value = settings.compare ? "both" : settings.objective;
    for (const name of ["data", "prior", "kernel", "batch"]) inputs[name].value = settings[name];
    for (const dial of this.spec.dials) inputs[dial.name].write(settings[dial.name]);
    if (document.activeElement !== this.text) this.text.value = frame.text;
    this.showSliders(settings);
    const shown = { weight: settings.compare || settings.objective === "mmd", beta: settings.compare || settings.objective === "kl" };
    shown.bandwidth = shown.weight && settings.kernel !== "energy";
    for (const field of this.dialFields) field.hidden = shown[field.dataset.dial] === false;
    inputs.kernel.parentNode.hidden = !shown.weight;
  }
  showSliders(settings) {
    if (this.slidersOf !== settings.prior) {
      this.slidersOf = settings.prior;
      this.sliders.replaceChildren(...this.spec.priors[settings.prior].map((slider) =>
        this.slider(slider.name, slider, settings.sliders[slider.name], (x) => ({ sliders: { [slider.name]: x } }))));
    }
    for (const [name, value] of Object.entries(settings.sliders)) this.inputs[name].write(value);
  }
  showLanes() {
    const names = this.frame.lanes.map((lane) => lane.name);
    if (names.join() === Object.keys(this.lanes).join()) return;
    for (const lane of Object.values(this.lanes)) lane.node.remove();
    this.lanes = Object.fromEntries(names.map((name) => [name, this.lane(name)]));
    this.stage.append(...Object.values(this.lanes).map((lane) => lane.node));
    this.stage.classList.toggle("two", names.length > 1);
  }

  // ---- drawing
  draw() {
    this.colours = coloursOf(this.root);
    if (!this.frame || this.body.hidden) return;
    this.drawPaper();
    this.frame.lanes.forEach((lane) => this.drawLane(lane, this.lanes[lane.name]));
    this.lines.forEach((line, i) => this.drawLine(line, i));
  }
  drawPaper(own = false) {
    this.paperSheet ||= new Sheet(this.paper);
    if (!this.paperSheet.begin()) return;
    const { at, width } = this.paperSheet;
    const size = this.spec.paper;
    const mine = own || this.brush.down || (this.frame && this.frame.settings.prior === "painted");
    const bytes = mine ? Uint8Array.from(this.painting, (v) => 255 * v) : this.frame.density;
    at.imageSmoothingEnabled = !mine;
    at.drawImage(image(bytes, size, size, 1, shade(0.85, this.colours.dark)), 0, 0, width, width);
    this.axes(at, width, this.spec.reach);
    if (this.paper.matches(":focus-visible")) {
      at.strokeStyle = this.colours.mmd;
      at.strokeRect((this.brush.cursor[0] - 1.5) * width / size, (this.brush.cursor[1] - 1.5) * width / size, 3 * width / size, 3 * width / size);
    }
  }
  axes(at, width, span) {
    at.font = "10px system-ui, sans-serif";
    at.fillStyle = this.colours.quiet;
    at.strokeStyle = this.colours.line;
    at.lineWidth = 1;
    at.textAlign = "center";
    const stride = span > 20 ? 10 : span > 8 ? 4 : 1;
    for (let tick = -Math.floor(span / stride) * stride; tick <= span; tick += stride) {
      const x = (tick / span + 1) * width / 2;
      at.beginPath();
      at.moveTo(x, width - 4); at.lineTo(x, width); at.moveTo(0, x); at.lineTo(4, x);
      at.stroke();
      if (tick % (2 * stride) === 0 && x > 12 && x < width - 12) {
        at.fillText(tick, x, width - 7);
        if (tick && x < width - 24) at.fillText(-tick, 13, x + 3);
      }
    }
  }
  drawLane(lane, view) {
    const { frame } = this;
    const title = lane.name === "kl" ? "Codes under KL" : "Codes under MMD";
    view.title.replaceChildren(title, html("small", {}, lane.name === "kl" ? " (it knows only the round Gaussian)" : ` · ${frame.count} held out`));
    view.plane.setAttribute("aria-label", `${title}: ${frame.count} held-out codes over the target at step ${frame.step}; `
      + `MMD² ${short(lane.mmd2)}, reconstruction error ${short(lane.reconstruction)}. Arrow keys move the pointer.`);
    if (view.planeSheet.begin()) this.drawPlane(lane, view.planeSheet);
    if (view.gridSheet.begin()) this.drawGrid(lane, view.gridSheet);
    if (view.stripSheet.begin()) this.drawStrip(lane, view);
  }
  drawPlane(lane, { at, width }) {
    const { frame, spec } = this;
    const place = (v) => (v / frame.span + 1) * width / 2;
    const side = place(spec.reach) - place(-spec.reach);
    at.imageSmoothingEnabled = true;
    at.drawImage(image(frame.density, spec.paper, spec.paper, 1, shade(0.38, this.colours.dark)), place(-spec.reach), place(-spec.reach), side, side);
    this.axes(at, width, frame.span);
    const names = frame.labels ? [...new Set(frame.labels)].sort((a, b) => a - b) : [0];
    for (const name of names) {
      at.fillStyle = classColour(frame.labels ? name : 0, this.colours.dark);
      at.beginPath();
      for (let i = 0; i < frame.count; i++) {
        if (frame.labels && frame.labels[i] !== name) continue;
        const [x, y] = [place(lane.codes[2 * i]), place(-lane.codes[2 * i + 1])];
        at.moveTo(x + 2.4, y);
        at.arc(x, y, 2.4, 0, 7);
      }
      at.globalAlpha = 0.8;
      at.fill();
      at.globalAlpha = 1;
    }
    if (frame.labels && names.length <= 12) for (const name of names) this.drawName(at, lane, name, place);
    if (frame.pointer && frame.pointer.lane === lane.name) this.drawPointer(at, lane, place);
  }
  drawName(at, lane, name, place) { // the number too: ten colours are more than a colour-blind reader can tell apart
    const rows = [...this.frame.labels.keys()].filter((i) => this.frame.labels[i] === name);
    const median = (axis) => rows.map((i) => lane.codes[2 * i + axis]).sort((a, b) => a - b)[rows.length >> 1];
    const text = this.frame.label_names[name] ?? String(name);
    at.font = "bold 13px system-ui, sans-serif";
    at.textAlign = "center";
    at.lineWidth = 3.5;
    at.strokeStyle = this.colours.panel;
    at.strokeText(text, place(median(0)), place(-median(1)) + 4);
    at.fillStyle = classColour(name, this.colours.dark);
    at.fillText(text, place(median(0)), place(-median(1)) + 4);
  }
  drawPointer(at, lane, place) {
    const { pointer } = this.frame;
    at.strokeStyle = this.colours.ink;
    at.lineWidth = 1.5;
    pointer.rows.forEach((i, k) => {
      at.beginPath();
      at.arc(place(lane.codes[2 * i]), place(-lane.codes[2 * i + 1]), k ? 4 : 6, 0, 7);
      at.stroke();
    });
    const [x, y] = [place(pointer.at[0]), place(-pointer.at[1])];
    at.beginPath();
    at.moveTo(x - 7, y); at.lineTo(x + 7, y); at.moveTo(x, y - 7); at.lineTo(x, y + 7);
    at.stroke();
  }
  drawGrid(lane, { at, width }) {
    const [height, across, channels] = this.frame.sheet;
    at.imageSmoothingEnabled = false;
    at.drawImage(image(lane.sheet, height, across, channels), 0, 0, width, width);
    at.strokeStyle = this.colours.panel;
    at.lineWidth = 2;
    at.beginPath();
    for (let k = 1; k < this.spec.side; k++) {
      const edge = k * width / this.spec.side;
      at.moveTo(edge, 0); at.lineTo(edge, width); at.moveTo(0, edge); at.lineTo(width, edge);
    }
    at.stroke();
    const { pointer, box } = this.frame;
    if (!pointer || pointer.lane !== lane.name) return;
    const [x, y] = [(pointer.at[0] / box + 1) * width / 2, (1 - pointer.at[1] / box) * width / 2];
    at.strokeStyle = "#E69F00";
    at.lineWidth = 2;
    at.strokeRect(x - width / 2 / this.spec.side, y - width / 2 / this.spec.side, width / this.spec.side, width / this.spec.side);
  }
  drawStrip(lane, view) {
    const { pointer } = this.frame;
    const { at, width } = view.stripSheet;
    if (!pointer || pointer.lane !== lane.name) {
      view.words.textContent = "Point at the plane: what decodes there, the nearest image, its reconstruction, its neighbours.";
      return;
    }
    const [count, height, across, channels] = pointer.shape;
    const named = (k) => (pointer.labels ? this.frame.label_names[pointer.labels[k]] ?? pointer.labels[k] : "");
    view.words.textContent = `At (${pointer.at.map((v) => v.toFixed(2)).join(", ")})`;
    const cell = Math.min(46, width / count - 4);
    at.imageSmoothingEnabled = false;
    at.font = "10px system-ui, sans-serif";
    at.textAlign = "center";
    at.fillStyle = this.colours.quiet;
    for (let k = 0; k < count; k++) {
      const part = pointer.images.subarray(k * height * across * channels, (k + 1) * height * across * channels);
      const x = k * (width / count);
      at.drawImage(image(part, height, across, channels), x, 0, cell, cell);
      const words = ["here", `image${pointer.labels ? ` ${named(0)}` : ""}`, "recon."][k] ?? (pointer.labels ? `next ${named(k - 2)}` : "next");
      at.fillText(words, x + cell / 2, cell + 12);
    }
  }
  drawLine(line, which) {
    const { frame } = this;
    const lanes = frame.lanes;
    line.words.replaceChildren(...lanes.flatMap((lane, i) => {
      const part = html("span", {}, `${lanes.length > 1 ? `${lane.name.toUpperCase()} ` : ""}${short(lane[line.name])}`);
      part.style.color = this.colours[lane.name];
      return i ? [" · ", part] : [part];
    }));
    if (line.name === "mmd2" && frame.band !== null) line.words.append(html("small", {}, ` (chance: below ${short(frame.band)})`));
    line.canvas.setAttribute("aria-label", `${line.words.textContent} at step ${frame.step}`);
    if (!line.sheet.begin()) return;
    const { at, width, height } = line.sheet;
    const count = frame.rows.length / frame.columns;
    const value = (row, lane) => frame.rows[row * frame.columns + 1 + 3 * lane + which];
    const all = lanes.flatMap((_, lane) => Array.from({ length: count }, (_, row) => value(row, lane))).filter(Number.isFinite);
    const top = 1.08 * Math.max(1e-6, line.name === "lps" ? 0.1 : 0, frame.band * 2 * (line.name === "mmd2"), ...all);
    const low = Math.min(0, ...all);
    const last = Math.max(10, frame.rows[(count - 1) * frame.columns]);
    const [left, right, bottom] = [40, 6, 16];
    const x = (step) => left + (step / last) * (width - left - right);
    const y = (v) => height - bottom - ((v - low) / (top - low)) * (height - bottom - 6);
    if (line.name === "mmd2" && frame.band !== null) {
      at.fillStyle = this.colours.line;
      at.fillRect(left, y(frame.band), width - left - right, y(Math.max(low, -frame.band)) - y(frame.band));
    }
    at.font = "10px system-ui, sans-serif";
    at.fillStyle = this.colours.quiet;
    at.textAlign = "right";
    at.fillText(short(top / 1.08), left - 4, y(top / 1.08) + 4);
    at.fillText("0", left - 4, y(0) + 3);
    at.fillText(`${last.toLocaleString("en")} steps`, width - right, height - 4);
    at.strokeStyle = this.colours.line;
    at.lineWidth = 1;
    at.beginPath(); at.moveTo(left, y(0)); at.lineTo(width - right, y(0)); at.stroke();
    lanes.forEach((lane, k) => {
      at.strokeStyle = this.colours[lane.name];
      at.lineWidth = 1.8;
      at.setLineDash(lane.name === "kl" ? [5, 3] : []);
      at.beginPath();
      let begun = false;
      for (let row = 0; row < count; row++) {
        const v = value(row, k);
        if (!Number.isFinite(v)) continue;
        const point = [x(frame.rows[row * frame.columns]), y(v)];
        if (begun) at.lineTo(...point);
        else at.moveTo(...point);
        begun = true;
      }
      at.stroke();
      at.setLineDash([]);
    });
  }

  end() {
    clearInterval(this.watch);
    clearTimeout(this.later);
    cancelAnimationFrame(this.drawing);
    this.model.off("msg:custom", this.receive);
    this.resized.disconnect();
    this.themed.disconnect();
    this.root.remove();
  }
}

const views = new Map(); // how many views each model has: with the last one gone, nobody looks on

export default {
  render({ model, el }) {
    const view = new View(model, el);
    views.set(model, (views.get(model) || 0) + 1);
    return () => {
      view.end();
      views.set(model, views.get(model) - 1);
      if (!views.get(model)) view.ask.count("plays", { on: false });
    };
  },
};
