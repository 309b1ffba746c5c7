// What the pages of the widgets share in which a model trains: play and its relatives, controls, and the exchange with the kernel.

class TrainingView {
  constructor(model, name, label) {
    this.model = model;
    this.id = unique(name);
    this.spec = model.get("controls");
    this.frame = null;
    this.kernel = new KernelWatch(model, (words) => this.disconnect(words));
    this.ask = new Asker(model, () => this.kernel.asked());
    this.inputs = {};
    this.root = html("div", { className: `sculptor ${name}`, role: "group", "aria-label": label,
      "data-lm-suppress-shortcuts": "true", onkeydown: (event) => this.key(event) });
    this.notice = html("div", { className: "notice", role: "status" });
    this.still = html("img", { className: "still", alt: "How the widget looked when this page was saved" });
    const picture = model.get("picture");
    this.still.hidden = !picture;
    if (picture) this.still.src = `data:image/png;base64,${picture}`;
    this.body = html("div", { hidden: true });
  }
  begin(el) {
    this.build();
    el.append(this.root);
    this.receive = (message, buffers) => this.take(message, buffers);
    this.model.on("msg:custom", this.receive);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.root);
    this.themed = new MutationObserver(() => this.draw());
    for (const node of [document.body, document.documentElement]) this.themed.observe(node, { attributes: true });
    this.hid = () => this.rest();
    document.addEventListener("visibilitychange", this.hid);
    this.ask.tell({ views: this.ask.now.views + 1 });
    this.kernel.asked();
  }

  // ---- the elements of the page
  button(text, title, act, main = "") {
    return html("button", { type: "button", className: main, title, onclick: act }, text);
  }
  bar(...more) {
    this.play = this.button("▶ Play", "train, or pause (Space)", () => this.toggle(), "main");
    this.slow = this.button("Slow", "a few steps a second (M)", () => this.ask.count("plays", { slow: !this.ask.now.slow, on: true }));
    this.counter = html("span", { className: "count" });
    return html("div", { className: "bar" }, this.play,
      this.button("Step", "one step (S)", () => this.ask.count("steps")), this.slow,
      this.button("Reset", "begin again with the same seed (R)", () => this.ask.count("resets")),
      this.button("New seed", "begin again with other weights, batches and noise (N)", () => this.ask.count("reseeds")), ...more, this.counter);
  }
  choice(name, label, options, change) {
    const id = `${this.id}-${name}`;
    const select = html("select", { id, onchange: () => this.change(change(select.value)) },
      ...options.map(([value, text]) => html("option", { value }, text)));
    this.inputs[name] = select;
    return html("span", {}, html("label", { htmlFor: id }, `${label} `), select);
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
    input.addEventListener("input", () => { shown.value = short(read()); input.setAttribute("aria-valuetext", short(read())); this.change(change(read())); });
    write(value);
    this.inputs[name] = { write, input };
    return html("div", { className: "field" }, html("label", { htmlFor: id, title: dial.hint }, name), input, shown);
  }

  // ---- what the reader does
  change(changes) { this.ask.change(changes); }
  toggle() { this.ask.count("plays", { on: !(this.frame && this.frame.playing) }); }
  keys() {
    return { " ": () => this.toggle(), s: () => this.ask.count("steps"), m: () => this.slow.click(), r: () => this.ask.count("resets"),
      n: () => this.ask.count("reseeds") };
  }
  key(event) {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const act = this.keys()[event.key.toLowerCase()];
    if (!act || (event.key === " " && event.target.tagName === "BUTTON") || event.target.tagName === "SUMMARY") return;
    event.preventDefault();
    act();
  }
  // In a tab in the background training pauses, after a second: a page that is being reloaded is hidden too. Without a kernel
  // standalone.js does this.
  rest() {
    clearTimeout(this.resting);
    if (this.model.link) return;
    if (document.hidden && this.frame?.playing) {
      this.resting = setTimeout(() => { this.rested = true; this.ask.count("plays", { on: false }); }, 1000);
    } else if (!document.hidden && this.rested) {
      this.rested = false;
      this.ask.count("plays", { on: true });
    }
  }

  // ---- what the kernel sends
  arrived(message) {
    this.ask.arrived(message.revision);
    this.kernel.answered();
    if (message.playing) this.kernel.asked(); // while it plays, another frame must follow
    this.ask.tell({ seen: message.number });
    for (const name of ["step", "revision", "playing"]) this.root.dataset[name] = message[name];
    this.root.dataset.frames = +(this.root.dataset.frames || 0) + 1;
    this.still.hidden = true;
    this.body.hidden = false;
    this.play.textContent = message.playing ? "❚❚ Pause" : "▶ Play";
    for (const [button, on] of [[this.play, message.playing], [this.slow, message.slow]]) button.setAttribute("aria-pressed", on);
    this.counter.replaceChildren("step ", html("b", {}, message.step.toLocaleString("en")), ` · seed ${message.settings.seed}`);
  }
  drawSoon(charts = true) {
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.draw(charts);
      this.root.dataset.drawn = +(this.root.dataset.drawn || 0) + 1;
    });
  }
  disconnect(words) { // without a kernel nothing plays
    this.play.textContent = "▶ Play";
    this.play.setAttribute("aria-pressed", false);
    this.root.dataset.playing = false;
    this.notice.textContent = words;
  }
  end() {
    this.kernel.end();
    clearTimeout(this.later);
    clearTimeout(this.resting);
    cancelAnimationFrame(this.drawing);
    this.model.off("msg:custom", this.receive);
    this.resized.disconnect();
    this.themed.disconnect();
    document.removeEventListener("visibilitychange", this.hid);
    this.root.remove();
  }
}

const views = new Map(); // how many views each widget has; when the last one is removed, training pauses

const widgetOf = (View) => ({
  render({ model, el }) {
    const view = new View(model);
    view.begin(el);
    views.set(model, (views.get(model) || 0) + 1);
    return () => {
      view.end();
      views.set(model, views.get(model) - 1);
      if (!views.get(model)) view.ask.count("plays", { on: false });
    };
  },
});
