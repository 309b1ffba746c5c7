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

class View extends TrainingView {
  constructor(model) {
    super(model, "shaping", "Sculptor: shape a latent space while it trains");
    this.lanes = {};
    this.painting = new PaintCanvas(this.spec, () => (this.painted() ? null : { prior: this.frame.settings.prior, sliders: this.frame.settings.sliders }),
      (changes) => this.ask.change(changes));
  }

  // ---- the elements of the page
  build() {
    this.arrows = this.button("Arrows", "what pulls each code: minus the gradient of MMD² in the code; an arrow at the chance level is as long as a code is "
      + "wide, and the longest are cut off (A)", () => this.ask.tell({ arrows: !this.ask.now.arrows }));
    const bar = this.bar(
      this.choice("objective", "Objective", this.spec.objectives.map((name) => [name, name === "kl" ? "KL (a VAE)" : "MMD"])
        .concat([["both", "MMD beside KL"]]), (value) =>
        value === "both" ? { compare: true } : { compare: false, objective: value }),
      this.choice("data", "Data", this.spec.data.map((name) => [name, name]), (value) => ({ data: value })),
      this.arrows);
    this.stage = html("div", { className: "stage" }, this.target());
    this.body.append(this.stage, this.dials(), this.charts(), this.share());
    this.root.append(bar, this.notice, this.still, this.body);
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
    this.lines = MEASURES.map((_, which) => new Chart(MEASURES, which));
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
  keys() { return { ...super.keys(), a: () => this.arrows.click() }; }
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
    this.arrived(message);
    if (this.loading()) this.kernel.asked(LOADING);
    if (!this.painting.down && !this.ask.pending.length && !message.blank && message.settings.prior === "painted") {
      this.painting.take(bytes(message.painting));
    }
    this.show();
    this.drawSoon(message.measured !== false);
  }

  // Words, numbers and controls follow the kernel, except for controls that the reader has moved since.
  show() {
    const { frame, inputs } = this;
    const { settings } = frame;
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
}

const widget = widgetOf(View);

export default widget;
