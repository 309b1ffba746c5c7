// The Sculptor's page: it draws what the kernel sends and sends what the reader does. All state is in the kernel. A `lane` is a row of
// the page that shows one model, named by its objective. Without a kernel, a worker takes its place (standalone.js): such a model has
// a `link`, a function that makes an address of a settings string.

const POINT = "Point at the plane: what is decoded there, and the nearest images.";
const KEYS = "Space: play or pause · S: one step · M: slow motion · R: reset · N: new seed · A: arrows. On a plane, arrow keys move the pointer; "
  + "on the canvas of the target, they move the brush, Enter paints and Backspace erases; Ctrl+Z takes a stroke back.";
const LOADING = 120; // seconds that the kernel may take to load other images

const about = (lane, frame) => {
  if (lane !== "kl") return ` · ${frame.count} held out`;
  return frame.step ? " (samples; KL's target is the standard Gaussian)" : " (samples; untrained, so they are mostly noise)";
};

class View {
  constructor(model, el) {
    this.model = model;
    this.id = unique("sculptor");
    this.spec = model.get("controls");
    this.frame = null;
    this.kernel = new KernelWatch(model, (words) => this.disconnect(words));
    this.ask = new Asker(model, () => this.kernel.asked());
    this.inputs = {};
    this.lanes = {};
    this.painting = new PaintCanvas(this.spec, () => (this.painted() ? null : { prior: this.frame.settings.prior, sliders: this.frame.settings.sliders }),
      (changes) => this.ask.change(changes));
    this.root = html("div", { className: "sculptor", role: "group", "aria-label": "Sculptor: shape a latent space while it trains",
      "data-lm-suppress-shortcuts": "true", onkeydown: (event) => this.key(event) });
    this.build();
    el.append(this.root);
    this.listen();
    this.ask.tell({ views: this.ask.now.views + 1 });
    this.kernel.asked();
  }

  // ---- the elements of the page
  build() {
    const button = (text, title, act, main = "") =>
      html("button", { type: "button", className: main, title, onclick: act }, text);
    this.play = button("▶ Play", "train, or pause (Space)", () => this.toggle(), "main");
    this.slow = button("Slow", "a few steps a second (M)", () => this.ask.count("plays", { slow: !this.ask.now.slow, on: true }));
    this.arrows = button("Arrows", "what pulls each code: minus the gradient of MMD² in the code; an arrow at the chance level is as long as a code is "
      + "wide, and the longest are cut off (A)", () => this.ask.tell({ arrows: !this.ask.now.arrows }));
    this.counter = html("span", { className: "count" });
    const bar = html("div", { className: "bar" }, this.play,
      button("Step", "one step (S)", () => this.ask.count("steps")), this.slow,
      button("Reset", "begin again with the same seed (R)", () => this.ask.count("resets")),
      button("New seed", "begin again with other weights, batches and noise (N)", () => this.ask.count("reseeds")),
      this.choice("objective", "Objective", this.spec.objectives.map((name) => [name, name === "kl" ? "KL (a VAE)" : "MMD"])
        .concat([["both", "MMD beside KL"]]), (value) =>
        value === "both" ? { compare: true } : { compare: false, objective: value }),
      this.choice("data", "Data", this.spec.data.map((name) => [name, name]), (value) => ({ data: value })),
      this.arrows, this.counter);
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
    const select = html("select", { id, onchange: () => this.change(change(select.value)) },
      ...options.map(([value, text]) => html("option", { value }, text)));
    this.inputs[name] = select;
    return html("span", {}, html("label", { htmlFor: id }, `${label} `), select);
  }

  change(changes) {
    this.ask.change(changes);
    if ("prior" in changes) this.painting.forget();
    if ("data" in changes) this.wait();
  }
  // Other images may take the kernel a while. Then the page says so, and does not yet warn that the kernel is silent.
  loading() {
    const name = this.ask.pending.findLast((one) => one.changes.data)?.changes.data;
    return name && (name === "sprites" ? "Rendering sprites…" : `Loading ${name}…`);
  }
  wait() {
    this.kernel.asked(LOADING);
    this.notice.textContent = this.loading();
  }

  target() {
    this.sliders = html("div");
    return html("div", { className: "target" }, html("h4", {}, "Target prior"),
      this.choice("prior", "Shape", Object.keys(this.spec.priors).map((name) => [name, name]), (value) =>
        value === "painted" ? { painting: this.painting.encoded() } : { prior: value }), this.painting.canvas, this.painting.tools, this.sliders);
  }

  // One labeled slider; with `log` its positions are powers of ten.
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
    this.lines = MEASURES.map((_, which) => new Chart(which));
    return html("div", { className: "charts" }, ...this.lines.map((line) => line.node));
  }

  share() {
    this.text = html("input", { type: "text", spellcheck: false, onkeydown: (event) => { if (event.key === "Enter") this.paste(); } });
    this.text.setAttribute("aria-label", "Settings as a string: copy it, or paste one and press Enter");
    this.python = html("textarea", { readOnly: true, hidden: true });
    this.python.setAttribute("aria-label", "Python code that repeats this run");
    this.copyPython = copier(this.python);
    this.copyPython.hidden = true;
    this.refused = html("div", { className: "refusal" }); // the error of a pasted string, beside its field
    const { link } = this.model;
    const address = { select: () => { this.text.value = link(this.text.value); this.text.select(); } };
    Object.defineProperty(address, "value", { get: () => link(this.text.value) });
    const hint = link ? "Python for a notebook with these settings" : "Python that repeats this run to the same bits";
    return html("details", {}, html("summary", {}, `Share: settings as ${link ? "a link or " : ""}a string, the run as Python · keyboard`),
      html("div", { className: "share" }, this.text, ...(link ? [copier(address, "Copy link")] : []), copier(this.text),
        html("button", { type: "button", title: "take the settings of the string", onclick: () => this.paste() }, "Use"),
        html("button", { type: "button", title: hint, onclick: () => this.ask.count("codes") }, "Python")),
      this.refused, this.python, this.copyPython, html("p", {}, KEYS));
  }

  lane(name) {
    const canvas = (kind) => html("canvas", { className: `square ${kind}`, role: "img", tabIndex: kind === "plane" ? 0 : -1 });
    const [plane, grid, strip] = [canvas("plane"), canvas("grid"), html("canvas", { role: "img" })];
    const [title, under] = [html("h4"), html("h4")];
    const words = html("p", {}, POINT);
    const node = html("div", { className: "lane" }, html("div", {}, title, plane),
      html("div", {}, under, grid, html("div", { className: "under" }, words, strip)));
    const lane = { name, node, title, under, words, plane, planeSheet: new Sheet(plane), gridSheet: new Sheet(grid), stripSheet: new Sheet(strip) };
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

  // ---- what the reader does
  toggle() { this.ask.count("plays", { on: !(this.frame && this.frame.playing) }); }
  paste() {
    this.ask.change({ text: this.text.value });
    this.pasted = this.ask.now.revision;
    this.text.blur();
  }
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
      r: () => this.ask.count("resets"), a: () => this.arrows.click(), n: () => this.ask.count("reseeds") }[event.key.toLowerCase()];
    if (!act || (event.key === " " && event.target.tagName === "BUTTON") || event.target.tagName === "SUMMARY") return;
    event.preventDefault();
    act();
  }

  listen() {
    this.receive = (message, buffers) => this.take(message, buffers);
    this.model.on("msg:custom", this.receive);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.root);
    this.themed = new MutationObserver(() => this.draw());
    for (const node of [document.body, document.documentElement]) this.themed.observe(node, { attributes: true });
  }
  painted() { // whether the target is a painting or a blank canvas, or will be with the next frame
    return this.frame?.blank || this.frame?.settings.prior === "painted" || this.ask.pending.some((one) => "painting" in one.changes);
  }

  // ---- what the kernel sends
  take(message, buffers) {
    if (message.kind === "code") {
      this.python.value = message.text;
      this.python.hidden = this.copyPython.hidden = false;
      this.codeOf = message.settings;
      this.kernel.answered();
      return;
    }
    if (message.kind !== "frame") return;
    const bytes = (i) => (i === null ? null : new Uint8Array(buffers[i].buffer, buffers[i].byteOffset, buffers[i].byteLength));
    const floats = (i) => new Float32Array(bytes(i).slice().buffer);
    this.frame = { ...message, rows: floats(message.rows), density: bytes(message.density), 
      labels: message.labels === null ? null : new Float64Array(bytes(message.labels).slice().buffer),
      lanes: message.lanes.map((lane) => ({ ...lane, codes: floats(lane.codes), pulls: lane.pulls === null ? null : floats(lane.pulls), sheet: bytes(lane.sheet) })),
      pointer: message.pointer && { ...message.pointer, images: bytes(message.pointer.images) } };
    this.ask.arrived(message.revision);
    this.kernel.answered();
    if (this.loading()) this.kernel.asked(LOADING);
    else if (message.playing) this.kernel.asked(); // while it plays, another frame must follow
    this.ask.tell({ seen: message.number });
    if (!this.painting.down && !this.ask.pending.length && !message.blank && message.settings.prior === "painted") {
      this.painting.take(bytes(message.painting));
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
        this.draw(message.measured !== false);
        this.root.dataset.drawn = +(this.root.dataset.drawn || 0) + 1;
      });
    }
  }
  disconnect(words) { // without a kernel nothing plays
    this.play.textContent = "▶ Play";
    this.play.setAttribute("aria-pressed", false);
    this.root.dataset.playing = false;
    this.notice.textContent = words;
  }

  // Words, numbers and controls follow the kernel, except for controls that the reader has moved since.
  show() {
    const { frame, inputs } = this;
    const { settings } = frame;
    this.play.textContent = frame.playing ? "❚❚ Pause" : "▶ Play";
    this.play.setAttribute("aria-pressed", frame.playing);
    this.slow.setAttribute("aria-pressed", frame.slow);
    this.counter.replaceChildren("step ", html("b", {}, frame.step.toLocaleString("en")), ` · seed ${settings.seed}`);
    this.arrows.setAttribute("aria-pressed", this.ask.now.arrows);
    // What is wrong with a pasted string is said once, beside its field.
    if (frame.revision >= this.pasted) {
      this.refused.textContent = frame.revision === this.pasted ? frame.notice : "";
      this.pasted = NaN;
    } else if (!frame.notice) this.refused.textContent = "";
    const words = this.loading() || (frame.notice === this.refused.textContent ? "" : frame.notice);
    // A notice that appears would move the canvas during a stroke, so it waits until the stroke has ended.
    if (!this.painting.down && this.notice.textContent !== words) this.notice.textContent = words;
    this.showLanes();
    if (this.ask.pending.length) return;
    inputs.objective.value = settings.compare ? "both" : settings.objective;
    for (const name of ["data", "kernel", "batch"]) inputs[name].value = settings[name];
    inputs.prior.value = frame.blank ? "painted" : settings.prior;
    for (const dial of this.spec.dials) inputs[dial.name].write(settings[dial.name]);
    if (document.activeElement !== this.text) this.text.value = frame.text;
    if (frame.text !== this.codeOf) this.python.hidden = this.copyPython.hidden = true; // the code would repeat another run than the one shown
    this.showSliders(frame.blank ? { prior: "painted", sliders: {} } : settings);
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
  draw(charts = true) { // the charts too, unless no score is new
    this.colors = colorsOf(this.root);
    if (!this.frame || this.body.hidden) return;
    this.painting.show(this.painted() ? null : this.frame.density, this.colors);
    this.frame.lanes.forEach((lane) => this.drawLane(lane, this.lanes[lane.name]));
    if (charts) this.lines.forEach((line) => line.draw(this));
  }
  drawLane(lane, view) {
    const { frame } = this;
    const { pointer } = frame;
    const title = lane.name === "kl" ? "Codes under KL" : "Codes under MMD";
    view.title.replaceChildren(title, html("small", {}, about(lane.name, frame)));
    view.under.replaceChildren("Decoded plane", html("small", {}, " · of the dotted square"));
    view.plane.setAttribute("aria-label", `${title}: ${frame.count} held-out codes over the target at step ${frame.step}; `
      + `MMD² ${short(lane.mmd2)}, reconstruction error ${short(lane.reconstruction)}. Arrow keys move the pointer.`);
    view.words.textContent = pointer?.lane === lane.name ? `At (${pointer.at.map((v) => v.toFixed(2)).join(", ")})` : POINT;
    if (view.planeSheet.begin()) drawPlane(this, lane, view.planeSheet);
    if (view.gridSheet.begin()) drawGrid(this, lane, view.gridSheet);
    if (view.stripSheet.begin()) drawStrip(this, lane, view.stripSheet);
  }

  end() {
    this.kernel.end();
    clearTimeout(this.later);
    cancelAnimationFrame(this.drawing);
    this.model.off("msg:custom", this.receive);
    this.resized.disconnect();
    this.themed.disconnect();
    this.root.remove();
  }
}

const views = new Map(); // how many views each widget has; when the last one is removed, training pauses

const widget = {
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

export default widget;
