// The charts: a score of every model over the steps.

const MEASURES = [
  ["reconstruction", "Reconstruction error", "mean squared error per pixel, held out"],
  ["mmd2", "MMD² from the target", "of held-out codes; gray: the chance level"],
  ["lps", "LPS", "how well a regression tree predicts one latent from the other, held out; chance level: 0; dashed: LPS of the target itself"],
];

// The largest and the smallest value that a chart has room for: of nine tenths of the values and of the latest ones. A spike leaves the
// chart at its edge, so that it does not flatten what comes later.
const rangeOf = (values, latest) => {
  const sorted = values.slice().sort((a, b) => a - b), at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return sorted.length ? [Math.min(at(0.05), ...latest), Math.max(at(0.9), ...latest)] : [0, 0];
};

class Chart {
  constructor(which) {
    const [name, title, hint] = MEASURES[which];
    Object.assign(this, { which, name, words: html("b"), canvas: html("canvas", { role: "img" }) });
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
    if (this.name === "mmd2" && frame.band !== null) this.words.append(html("small", {}, ` (chance: below ${short(frame.band)})`));
    if (this.name === "lps" && frame.target_lps !== null) this.words.append(html("small", {}, ` (chance: 0; target: ${short(frame.target_lps)})`));
    this.canvas.setAttribute("aria-label", `${this.words.textContent} at step ${frame.step}`);
  }
  draw({ frame, colors }) {
    this.say({ frame, colors });
    if (!this.sheet.begin()) return;
    const { at, width, height } = this.sheet;
    const { lanes } = frame;
    const count = frame.rows.length / frame.columns;
    const value = (row, lane) => frame.rows[row * frame.columns + 1 + 3 * lane + this.which];
    const last = Math.max(10, frame.rows[(count - 1) * frame.columns]);
    const all = lanes.map((_, lane) => Array.from({ length: count }, (_, row) => value(row, lane)).filter(Number.isFinite));
    const [least, most] = rangeOf(all.flat(), all.flatMap((values) => values.slice(-5)));
    const top = 1.08 * Math.max(1e-6, this.name === "lps" ? Math.max(0.1, frame.target_lps) : 0, frame.band * 2 * (this.name === "mmd2"), most);
    const low = Math.min(0, least);
    this.canvas.dataset.top = top;
    const [left, right, bottom] = [40, 6, 16];
    const x = (step) => left + (step / last) * (width - left - right);
    const y = (v) => height - bottom - ((v - low) / (top - low)) * (height - bottom - 6);
    if (this.name === "mmd2" && frame.band !== null) {
      at.fillStyle = colors.line;
      at.fillRect(left, y(frame.band), width - left - right, y(Math.max(low, -frame.band)) - y(frame.band));
    }
    if (this.name === "lps" && frame.target_lps > 0) {
      at.strokeStyle = colors.quiet;
      at.setLineDash([2, 3]);
      at.beginPath(); at.moveTo(left, y(frame.target_lps)); at.lineTo(width - right, y(frame.target_lps)); at.stroke();
      at.setLineDash([]);
    }
    at.font = "10px system-ui, sans-serif";
    at.fillStyle = colors.quiet;
    at.textAlign = "right";
    at.fillText(short(top / 1.08), left - 4, y(top / 1.08) + 4);
    at.fillText("0", left - 4, y(0) + 3);
    at.fillText(`${last.toLocaleString("en")} steps`, width - right, height - 4);
    at.strokeStyle = colors.line;
    at.lineWidth = 1;
    at.beginPath(); at.moveTo(left, y(0)); at.lineTo(width - right, y(0)); at.stroke();
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
