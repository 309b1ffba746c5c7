// The Explorer's page: a slider for each latent, a plot of two latents, and two codes side by side. All state is in the kernel.

const LABELS = 24; // pixels beside the matrix of pairs, for the names of latents

class Explorer {
  constructor(model, el) {
    this.model = model;
    this.id = unique("explorer");
    this.spec = model.get("spec");
    this.active = "a";
    this.kernel = new KernelWatch(model, (words) => { this.notice.textContent = words; });
    this.sent = model.get("asked").revision;
    this.root = html("div", { className: "sculptor explorer", role: "group", "aria-label": "Explorer of a latent space",
      "data-lm-suppress-shortcuts": "true", onkeydown: (event) => event.stopPropagation() });
    this.build();
    el.append(this.root);
    this.receive = (message, buffers) => this.take(message, buffers);
    model.on("msg:custom", this.receive);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.root);
    this.themed = new MutationObserver(() => this.draw());
    this.themed.observe(document.body, { attributes: true });
    this.tell({ views: model.get("asked").views + 1, pick: null });
  }
  tell(patch) {
    const { a, b, ...rest } = this.model.get("asked");
    const codes = this.answer ? { a: this.answer.a, b: this.answer.b } : {};
    this.model.set("asked", { ...rest, ...codes, active: this.active, ...patch });
    this.kernel.asked();
    this.model.save_changes();
  }
  ask(patch) { this.tell({ revision: ++this.sent, pick: null, ...patch }); }

  build() {
    const codeButton = (name) => {
      const button = html("button", { type: "button", title: `let sliders and clicks move code ${name.toUpperCase()}`, onclick: () => {
        this.active = name;
        this.ask({});
      } }, `Code ${name.toUpperCase()}`);
      return button;
    };
    this.buttons = { a: codeButton("a"), b: codeButton("b") };
    this.notice = html("div", { className: "notice", role: "status" });
    this.rows = Array.from({ length: this.spec.dim }, (_, i) => this.row(i));
    this.matrix = html("canvas", { className: "square matrix", role: "img", tabIndex: 0 });
    this.matrix.setAttribute("aria-label", "Every pair of latents, in stronger color where more correlated; click a pair, or use the arrow keys, to plot it");
    this.plot = html("canvas", { className: "square plane", role: "img" });
    this.plot.setAttribute("aria-label", "Codes in the plane of two latents; click to take the nearest image's code");
    this.pairName = html("h4");
    this.apart = html("p");
    this.both = html("canvas", { role: "img" });
    this.both.setAttribute("aria-label", "The decoded images of both codes and of the line between them");
    this.sheets = { matrix: new Sheet(this.matrix), plot: new Sheet(this.plot), both: new Sheet(this.both) };
    this.root.append(html("div", { className: "bar" }, this.buttons.a, this.buttons.b,
      html("span", { className: "count" }, "sliders and clicks move the selected code")), this.notice,
      html("div", { className: "stage" }, html("div", { className: "latents" }, html("h4", {}, "Latents ",
        html("small", {}, "slider, LPS (0: not predicted from the others, 1: fully), traversal")), ...this.rows.map((row) => row.node)),
      html("div", {}, this.pairName, this.plot),
      html("div", {}, html("h4", {}, "Pairs ", html("small", {}, "|correlation|; click to plot")), this.matrix,
        html("div", { className: "scale" }, html("span", {}, "0"), html("i"), html("span", {}, "1")),
        html("div", { className: "under" }, this.apart, this.both))));
    this.listen();
  }
  row(i) {
    const { low, high, lps } = this.spec;
    const input = html("input", { type: "range", id: `${this.id}-${i}`, min: low[i], max: high[i], step: (high[i] - low[i]) / 200 });
    const shown = html("output");
    const strip = html("canvas", { className: "strip", role: "img" });
    strip.setAttribute("aria-label", `Decoded images as latent ${i} goes through its range`);
    const score = html("span", { className: "score", title: "LPS: how well this latent is predicted from the others" },
      lps[i] < 0 ? "–" : lps[i].toFixed(2));
    score.style.setProperty("--share", `${100 * Math.max(0, lps[i])}%`);
    input.addEventListener("input", () => {
      if (!this.answer) return;
      this.answer[this.active][i] = +input.value;
      shown.value = short(+input.value);
      this.ask({});
    });
    const node = html("div", { className: "latent" }, html("label", { htmlFor: input.id }, `z${i}`), input, shown, score, strip);
    return { node, input, shown, sheet: new Sheet(strip) };
  }
  listen() {
    const share = (event, canvas) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    this.matrix.addEventListener("click", (event) => {
      const label = LABELS / this.matrix.clientWidth; // the part of the canvas that the labels take
      const [i, j] = share(event, this.matrix).map((v) => Math.max(0, Math.min(this.spec.dim - 1, Math.floor((v - label) / (1 - label) * this.spec.dim))));
      this.ask({ pair: [i, j] });
    });
    this.matrix.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!move || !this.answer) return;
      event.preventDefault();
      this.ask({ pair: this.answer.pair.map((v, k) => Math.min(this.spec.dim - 1, Math.max(0, v + move[k]))) });
    });
    this.plot.addEventListener("click", (event) => {
      if (!this.answer) return;
      const [x, y] = share(event, this.plot);
      const [left, right] = this.range(this.answer.pair[0]);
      const [bottom, top] = this.range(this.answer.pair[1]);
      this.ask({ pick: [left + x * (right - left), top - y * (top - bottom)] });
    });
  }
  range(i) {
    const margin = 0.12 * (this.spec.high[i] - this.spec.low[i]);
    return [this.spec.low[i] - margin, this.spec.high[i] + margin];
  }

  take(message, buffers) {
    if (message.kind !== "answer") return;
    this.kernel.answered();
    const bytes = (i) => new Uint8Array(buffers[i].buffer, buffers[i].byteOffset, buffers[i].byteLength);
    const newest = message.revision >= this.sent;
    const codes = newest || !this.answer ? {} : { a: this.answer.a, b: this.answer.b }; // the reader has moved a slider since
    this.answer = { ...message, ...codes, points: new Float32Array(bytes(0).slice().buffer), classes: new Float64Array(bytes(1).slice().buffer), images: bytes(2) };
    this.root.dataset.revision = message.revision;
    this.notice.textContent = message.notice;
    for (const name of ["a", "b"]) this.buttons[name].setAttribute("aria-pressed", name === this.active);
    this.rows.forEach((row, i) => {
      const value = this.answer[this.active][i];
      if (newest) row.input.value = value;
      row.shown.value = short(value);
    });
    this.drawing ||= requestAnimationFrame(() => { this.drawing = 0; this.draw(); });
  }

  draw() {
    this.colors = colorsOf(this.root);
    if (!this.answer) return;
    const { stops } = this.spec;
    this.rows.forEach((row, i) => { if (row.sheet.begin()) this.strip(row.sheet, 2 + stops + i * stops, row.sheet.width, row.sheet.height); });
    if (this.sheets.matrix.begin()) this.drawMatrix(this.sheets.matrix);
    if (this.sheets.plot.begin()) this.drawPlot(this.sheets.plot);
    if (this.sheets.both.begin()) this.drawBoth(this.sheets.both);
  }
  picture(k) {
    const [, height, width, channels] = this.answer.shape;
    const size = height * width * channels;
    return image(this.answer.images.subarray(k * size, (k + 1) * size), height, width, channels);
  }
  strip({ at }, first, width, height, top = 0) {
    at.imageSmoothingEnabled = false;
    const cell = Math.min(height, width / this.spec.stops);
    for (let k = 0; k < this.spec.stops; k++) at.drawImage(this.picture(first + k), k * (width / this.spec.stops), top, cell - 1, cell - 1);
  }
  drawMatrix({ at, width: whole }) {
    const { dim, matrix } = this.spec;
    const width = whole - LABELS, cell = width / dim, every = Math.ceil(22 / cell);
    at.font = "10px system-ui, sans-serif";
    at.fillStyle = this.colors.quiet;
    for (let i = 0; i < dim; i += every) {
      const middle = LABELS + (i + 0.5) * cell;
      at.textAlign = "center";
      at.fillText(`z${i}`, middle, LABELS - 6);
      at.textAlign = "right";
      at.fillText(`z${i}`, LABELS - 4, middle + 3);
    }
    at.save();
    at.translate(LABELS, LABELS);
    for (let i = 0; i < dim; i++) {
      for (let j = 0; j < dim; j++) {
        at.globalAlpha = i === j ? 0.06 : 0.06 + 0.94 * matrix[i][j];
        at.fillStyle = this.colors.mmd;
        at.fillRect(i * cell + 0.5, j * cell + 0.5, cell - 1, cell - 1);
      }
    }
    at.globalAlpha = 1;
    at.strokeStyle = this.colors.kl;
    at.lineWidth = 2.5;
    at.strokeRect(this.answer.pair[0] * cell + 1, this.answer.pair[1] * cell + 1, cell - 2, cell - 2);
    at.restore();
  }
  drawPlot({ at, width }) {
    const { pair, points, classes, labels } = this.answer;
    this.pairName.textContent = `z${pair[0]} across, z${pair[1]} up`;
    const [[left, right], [bottom, top]] = pair.map((i) => this.range(i));
    const x = (v) => (v - left) / (right - left) * width;
    const y = (v) => (top - v) / (top - bottom) * width;
    for (let k = 0; k < classes.length; k++) {
      at.fillStyle = classColor(labels ? classes[k] : 0, this.colors.dark);
      at.beginPath();
      at.arc(x(points[2 * k]), y(points[2 * k + 1]), 2.2, 0, 7);
      at.fill();
    }
    if (labels) drawNames(at, this.colors, classes, this.spec.label_names, (k) => [x(points[2 * k]), y(points[2 * k + 1])]);
    at.font = "bold 14px system-ui, sans-serif";
    at.textAlign = "center";
    for (const name of ["a", "b"]) {
      const [px, py] = [x(this.answer[name][pair[0]]), y(this.answer[name][pair[1]])];
      at.beginPath();
      at.arc(px, py, 10, 0, 7);
      at.fillStyle = this.colors.paper;
      at.fill();
      at.strokeStyle = this.colors.ink;
      at.lineWidth = name === this.active ? 3 : 1;
      at.stroke();
      at.fillStyle = this.colors.ink;
      at.fillText(name.toUpperCase(), px, py + 5);
    }
    at.font = "10px system-ui, sans-serif";
    at.fillStyle = this.colors.quiet;
    at.textAlign = "left";
    at.fillText(short(left), 18, width - 4);
    at.fillText(short(top), 3, 11);
    at.fillText(short(bottom), 3, width - 18);
    at.textAlign = "right";
    at.fillText(short(right), width - 4, width - 4);
  }
  drawBoth(sheet) {
    const { at, width } = sheet;
    at.imageSmoothingEnabled = false;
    at.font = "11px system-ui, sans-serif";
    at.fillStyle = this.colors.quiet;
    [0, 1].forEach((k) => {
      at.drawImage(this.picture(k), k * 92, 14, 84, 84);
      at.fillText("AB"[k], k * 92, 10);
    });
    at.fillText("the straight line from A to B", 0, 116);
    this.strip(sheet, 2, width, 40, 120);
    this.apart.textContent = `A and B differ by ${short(this.answer.apart)} (mean squared, per pixel)`;
  }
  end() {
    cancelAnimationFrame(this.drawing);
    this.kernel.end();
    this.model.off("msg:custom", this.receive);
    this.resized.disconnect();
    this.themed.disconnect();
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const view = new Explorer(model, el);
    return () => view.end();
  },
};
