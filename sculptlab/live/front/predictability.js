// The page of the PredictabilityWidget: each latent against its prediction from the other latents, LPS, and the relative reconstruction
// error. All state is in the kernel.

const REACH = 3.2; // standard deviations that a plot shows
const FITTING = 60; // seconds that the kernel may take to fit a map
const SCORES = [
  { name: "relative", title: "Relative reconstruction error", hint: "held-out error over that of a plain autoencoder after as many steps", base: 0.8,
    mark: () => 1, note: () => "1: no penalty", top: () => 1.2 },
  { name: "lps", title: "LPS", hint: "how well the 25 nearest neighbors predict a latent from the others, held out; gray: the chance level; dashed: what is shown",
    band: (frame) => frame.settings.show === "codes" ? frame.chance[0] : null, mark: (frame) => frame.settings.show === "codes" ? null : frame.lps,
    note: (frame) => frame.settings.show === "codes" ? frame.chance[0] !== null && `chance: ${short(frame.chance[0])}`
      : `dashed, ${frame.settings.show}: ${short(frame.lps)}`, top: () => 0.3 },
];
const TITLES = { codes: "", whitened: "after whitening", reshaped: "after reshaping" };

class PredictabilityView extends TrainingView {
  constructor(model) { super(model, "predictability", "Predictability: each latent and its prediction from the other latents"); }

  build() {
    const bar = this.bar(this.choice("latents", "Latents", [2, 3, 4].map((count) => [count, count]), (value) => ({ latents: +value })));
    this.penalty = this.button("", "a network predicts each latent from the others, and the encoder prevents it", () =>
      this.show({ penalty: !this.wanted("penalty") }));
    const weight = this.slider("weight", { hint: "nats of reconstruction per nat of information that the others have about a latent" }, 1,
      (value) => ({ weight: value }), [-2, 2]);
    const show = (name, text, hint) => {
      this.inputs[name] = this.button(text, hint, () => this.show({ show: name }));
      return this.inputs[name];
    };
    const mapped = { codes: ["Trained codes", "the codes as they are in training"], whitened: ["Whiten", "a linear map gives the codes covariance I"],
      reshaped: ["Reshape", "an invertible map, learned now, gives the codes the distribution N(0, I)"] };
    const tools = html("div", { className: "bar tools" }, this.penalty, weight, ...["codes", ...this.spec.mapped].map((name) => show(name, ...mapped[name])),
      this.choice("made", "Made samples", [["", "choose…"], ...this.spec.made.map((name) => [name, name])], (value) => ({ show: value || "codes" })));
    this.panels = html("div", { className: "panels" });
    this.lines = SCORES.map((_, which) => new Chart(SCORES, which));
    this.finding = html("p", { className: "finding", role: "status" });
    this.strip = html("canvas", { role: "img" });
    this.stripSheet = new Sheet(this.strip);
    this.strips = html("div", { className: "under" }, html("p"), this.strip);
    this.body.append(tools, this.panels, this.finding, html("div", { className: "charts" }, ...this.lines.map((line) => line.node), this.strips));
    this.root.append(bar, this.notice, this.still, this.body);
  }
  wanted(name) { return this.ask.pending.findLast((one) => name in one.changes)?.changes[name] ?? this.frame.settings[name]; }
  change(changes) { this.show(changes); }
  show(changes) { // a map is fitted before the next frame comes
    this.ask.change({ show: "codes", ...changes }); // else a map that was asked for before would be fitted again with these changes
    if ((changes.show ?? "codes") !== "codes") this.kernel.asked(FITTING);
    this.tellWaiting();
  }
  tellWaiting() {
    const name = this.ask.pending.findLast((one) => one.changes.show)?.changes.show;
    this.notice.textContent = name && name !== "codes" ? `Fitting: ${name}…` : this.frame.notice;
  }

  take(message, buffers) {
    if (message.kind !== "frame") return;
    const bytes = (i) => (i === null ? null : new Uint8Array(buffers[i].buffer, buffers[i].byteOffset, buffers[i].byteLength));
    const floats = (i) => new Float32Array(bytes(i).slice().buffer);
    this.frame = { ...message, rows: floats(message.rows), codes: floats(message.codes), predictions: floats(message.predictions), images: bytes(message.images) };
    this.arrived(message);
    this.tellWaiting();
    this.write();
    this.drawSoon();
  }
  write() {
    const { frame, inputs } = this, { settings } = frame, dim = frame.r2.length;
    this.root.dataset.show = settings.show;
    if (settings.show !== "codes" && !frame.playing) this.play.textContent = "▶ Train on";
    if (this.panels.childElementCount !== dim + 1) {
      this.plots = Array.from({ length: dim + 1 }, () => {
        const [title, canvas] = [html("h4"), html("canvas", { className: "square", role: "img" })];
        return { title, canvas, sheet: new Sheet(canvas), node: html("div", {}, title, canvas) };
      });
      this.panels.replaceChildren(...this.plots.map((plot) => plot.node));
    }
    const what = TITLES[settings.show] ?? `made: ${settings.show}`;
    this.plots.forEach(({ title, canvas }, i) => {
      title.replaceChildren(i ? `z${i - 1}: R² ${frame.r2[i - 1].toFixed(2)}` : "Codes ", html("small", {}, !i ? what : frame.network_r2 ? ` network ${frame.network_r2[i - 1]?.toFixed(2) ?? "–"}` : ""));
      title.title = i ? "R² of the 25 nearest neighbors, and of the network that the penalty uses" : "";
      canvas.setAttribute("aria-label", i ? `z${i - 1} of ${frame.count} held-out codes against its prediction from the other latents: R² ${frame.r2[i - 1].toFixed(2)}`
        : `z0 and z1 of ${frame.count} held-out codes`);
    });
    this.finding.textContent = frame.finding;
    const [chance, squareChance] = frame.chance.map(short);
    this.finding.append(html("small", {}, ` LPS ${short(frame.lps)} (chance ${chance}), LPS of squares ${short(frame.squares)} (chance ${squareChance}).`));
    this.strips.style.visibility = frame.images ? "visible" : "hidden"; // keeps its place, so that nothing moves
    this.strips.firstChild.textContent = `Held-out images, and their reconstructions: relative error ${short(frame.relative)}`;
    this.strip.setAttribute("aria-label", this.strips.firstChild.textContent);
    const on = this.wanted("penalty");
    this.penalty.textContent = `Adversarial predictability penalty: ${on ? "on" : "off"}`;
    this.penalty.setAttribute("aria-pressed", on);
    if (this.ask.pending.length) return;
    inputs.latents.value = settings.latents;
    inputs.weight.write(settings.weight);
    for (const name of ["codes", ...this.spec.mapped]) inputs[name].setAttribute("aria-pressed", settings.show === name);
    inputs.made.value = this.spec.made.includes(settings.show) ? settings.show : "";
  }

  draw() {
    this.colors = colorsOf(this.root);
    if (!this.frame || this.body.hidden) return;
    this.plots.forEach(({ sheet }, i) => { if (sheet.begin()) this.drawPlot(sheet, i - 1); });
    this.lines.forEach((line) => line.draw(this));
    if (this.frame.images && this.stripSheet.begin()) this.drawImages(this.stripSheet);
  }
  // Latent i against its prediction; for i = -1, z1 against z0.
  drawPlot({ at, width }, i) {
    const { frame, colors } = this, dim = frame.r2.length;
    const place = (v) => (Math.max(-REACH, Math.min(REACH, v)) / REACH + 1) * width / 2;
    at.strokeStyle = colors.line;
    at.beginPath(); at.moveTo(place(0), 0); at.lineTo(place(0), width); at.moveTo(0, place(0)); at.lineTo(width, place(0)); at.stroke();
    if (i >= 0) { // a perfect prediction
      at.strokeStyle = colors.quiet;
      at.beginPath(); at.moveTo(0, width); at.lineTo(width, 0); at.stroke();
    }
    at.globalAlpha = 0.65;
    for (let k = 0; k < frame.count; k++) {
      const z = (latent) => frame.codes[k * dim + latent];
      at.fillStyle = dim > 2 && z(2) > 0 ? colors.kl : colors.mmd;
      at.beginPath();
      at.arc(place(i < 0 ? z(0) : frame.predictions[k * dim + i]), place(-z(i < 0 ? 1 : i)), 2, 0, 7);
      at.fill();
    }
    at.globalAlpha = 1;
    at.font = "10px system-ui, sans-serif";
    at.fillStyle = colors.quiet;
    at.textAlign = "right";
    at.fillText(i < 0 ? "z0" : "predicted", width - 4, width - 5);
    at.textAlign = "left";
    at.fillText(i < 0 ? `z1${dim > 2 ? ", orange: z2 > mean" : ""}` : `z${i}`, 4, 11);
  }
  drawImages({ at, width, height: tall }) {
    const [count, height, across, channels] = this.frame.shape, size = height * across * channels;
    const cell = Math.min(width / count, tall / 2);
    at.imageSmoothingEnabled = false;
    for (let k = 0; k < 2 * count; k++) {
      const row = Math.floor(k / count);
      at.drawImage(image(this.frame.images.subarray(k * size, (k + 1) * size), height, across, channels), (k % count) * cell, row * cell, cell - 2, cell - 2);
    }
  }
}

export default widgetOf(PredictabilityView);
