// The charts: a score of every model over the steps.

// A measure has a name (that of the score in a lane), a title and a hint; and, as functions of a frame, a gray band around 0, a dashed
// line, a note beside the value, and the least value at the top. Its axis begins at `base`, by default 0.
const MEASURES = [
  { name: "reconstruction", title: "Reconstruction error", hint: "mean squared error per pixel, held out" },
  { name: "mmd2", title: "MMD² from the target", hint: "of held-out codes; gray: the chance level", band: (frame) => frame.band,
    note: (frame) => frame.band !== null && `chance: below ${short(frame.band)}`, top: (frame) => 2 * frame.band },
  { name: "lps", title: "LPS", hint: "how well a regression tree predicts one latent from the other, held out; chance level: 0; dashed: LPS of the target itself",
    mark: (frame) => frame.target_lps, note: (frame) => frame.target_lps !== null && `chance: 0; target: ${short(frame.target_lps)}`,
    top: (frame) => Math.max(0.1, frame.target_lps) },
];

// The largest and the smallest value that a chart has room for: of nine tenths of the values and of the latest ones. A spike leaves the
// chart at its edge, so that it does not flatten what comes later.
const rangeOf = (values, latest) => {
  const sorted = values.slice().sort((a, b) => a - b), at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return sorted.length ? [Math.min(at(0.05), ...latest), Math.max(at(0.9), ...latest)] : [0, 0];
};

class Chart {
  constructor(measures, which) {
    const { name, title, hint } = measures[which];
    Object.assign(this, { measure: measures[which], count: measures.length, which, name, words: html("b"), canvas: html("canvas", { role: "img" }) });
    this.sheet = new Sheet(this.canvas);
    this.node = html("div", {}, html("p", { title: `${hint}. A spike may leave the chart at its edge.` }, `${title} `, this.words), this.canvas);
  }
  say({ frame, colors }) {
    const { lanes } = frame;
    this.words.replaceChildren(...lanes.flatMap((lane, i) => {
      const part = html("span", {}, `${lanes.length > 1 ? `${lane.name.toUpperCase()} ` : ""}${short(lane[this.name])}`);
      part.style.color = colors[lane.name];
      return i ? [" · ", part] : [part];
    }));
    const note = this.measure.note?.(frame);
    if (note) this.words.append(html("small", {}, ` (${note})`));
    this.canvas.setAttribute("aria-label", `${this.words.textContent} at step ${frame.step}`);
  }
  draw({ frame, colors }) {
    this.say({ frame, colors });
    if (!this.sheet.begin()) return;
    const { at, width, height } = this.sheet;
    const { lanes } = frame;
    const count = frame.rows.length / frame.columns;
    const value = (row, lane) => frame.rows[row * frame.columns + 1 + this.count * lane + this.which];
    const last = Math.max(10, frame.rows[(count - 1) * frame.columns]);
    const all = lanes.map((_, lane) => Array.from({ length: count }, (_, row) => value(row, lane)).filter(Number.isFinite));
    const [least, most] = rangeOf(all.flat(), all.flatMap((values) => values.slice(-5)));
    const { base = 0 } = this.measure, band = this.measure.band?.(frame), mark = this.measure.mark?.(frame);
    const top = base + 1.08 * (Math.max(base + 1e-6, this.measure.top?.(frame) ?? base, most) - base);
    const low = Math.min(base, least);
    this.canvas.dataset.top = top;
    const [left, right, bottom] = [40, 6, 16];
    const x = (step) => left + (step / last) * (width - left - right);
    const y = (v) => height - bottom - ((v - low) / (top - low)) * (height - bottom - 6);
    if (Number.isFinite(band)) {
      at.fillStyle = colors.line;
      at.fillRect(left, y(band), width - left - right, y(Math.max(low, -band)) - y(band));
    }
    if (mark > base) {
      at.strokeStyle = colors.quiet;
      at.setLineDash([2, 3]);
      at.beginPath(); at.moveTo(left, y(mark)); at.lineTo(width - right, y(mark)); at.stroke();
      at.setLineDash([]);
    }
    at.font = "10px system-ui, sans-serif";
    at.fillStyle = colors.quiet;
    at.textAlign = "right";
    at.fillText(short(base + (top - base) / 1.08), left - 4, y(base + (top - base) / 1.08) + 4);
    at.fillText(short(base), left - 4, y(base) + 3);
    at.fillText(`${last.toLocaleString("en")} steps`, width - right, height - 4);
    at.strokeStyle = colors.line;
    at.lineWidth = 1;
    at.beginPath(); at.moveTo(left, y(base)); at.lineTo(width - right, y(base)); at.stroke();
    at.save();
    at.beginPath(); at.rect(left - 3, 2, width - left - right + 6, height); at.clip();
    lanes.forEach((lane, k) => {
      at.strokeStyle = colors[lane.name];
      at.lineWidth = 1.8;
      at.setLineDash(lane.name === "kl" ? [5, 3] : []);
      at.beginPath();
      let now = null;
      for (let row = 0; row < count; row++) {
        const v = value(row, k);
        // LPS is measured every 100 steps and repeated in between: the line connects the measurements
        const repeats = this.name === "lps" && row < count - 1 && v === value(row - 1, k);
        if (!Number.isFinite(v) || repeats) continue;
        const point = [x(frame.rows[row * frame.columns]), y(v)];
        if (now) at.lineTo(...point);
        else at.moveTo(...point);
        now = point;
      }
      at.stroke();
      at.setLineDash([]);
      if (!now) return;
      at.fillStyle = colors[lane.name];
      at.beginPath(); at.arc(...now, 2.6, 0, 7); at.fill();
    });
    at.restore();
  }
}
