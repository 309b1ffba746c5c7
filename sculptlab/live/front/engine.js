// The Sculptor without a display and without a kernel: what sculptlab.live.engine, targets and snapshots do, for the digits.

const [DRAWS, LPS_EVERY, MOST_ROWS, LOSS_LIMIT, CHECK_EVERY, FIRST_STEPS] = [10000, 100, 600, 1000, 50, 50];
const NEW_RUN = { data: "other data", objective: "another objective", compare: "another objective", seed: "another seed" };
const BLANK_NOTICE = "The canvas is blank, so training waits: paint a target, choose a shape, or press Reset.";

class Target {
  constructor(prior, rows, spec) {
    const [points, noise] = [new Float64Array(2 * DRAWS), new Float32Array(2 * DRAWS)];
    prior.sample(new Random(0), DRAWS, points, noise);
    Object.assign(this, { prior, points, rows, kernel: new Kernel("imq", points, 1) });
    this.draws = points.slice(0, 2 * rows);
    this.within = meanWithin(this.draws, rows, this.kernel);
    this.box = Math.max(quantile(points.map(Math.abs).sort(), 0.99), 0.1);
    this.density = this.densityMap(spec.map * spec.paper, spec.map * spec.reach);
    this.band = this.lps = null;
  }
  densityMap(side, reach) { // the square root of the smoothed density, top row first, 255 at the peak
    let counts = new Float64Array(side * side);
    for (let i = 0; i < DRAWS; i++) {
      const [x, y] = [0, 1].map((axis) => (this.points[2 * i + axis] + reach) / (2 * reach) * side);
      if (x < 0 || y < 0 || x > side || y > side) continue;
      counts[(side - 1 - Math.min(side - 1, Math.floor(y))) * side + Math.min(side - 1, Math.floor(x))] += 1;
    }
    const weights = [-3, -2, -1, 0, 1, 2, 3].map((k) => Math.exp(-0.5 * (k / 0.7) ** 2)), sum = weights.reduce((a, b) => a + b);
    const mirrored = (i) => (i < 0 ? -1 - i : i >= side ? 2 * side - 1 - i : i);
    for (const [along, across] of [[1, side], [side, 1]]) {
      const smooth = new Float64Array(side * side);
      for (let i = 0; i < side; i++) {
        for (let j = 0; j < side; j++) {
          for (let k = -3; k <= 3; k++) smooth[i * across + j * along] += weights[k + 3] / sum * counts[i * across + mirrored(j + k) * along];
        }
      }
      counts = smooth;
    }
    const peak = counts.reduce((a, b) => Math.max(a, b), 0);
    return Uint8Array.from(counts, (v) => (peak ? 255 * Math.sqrt(v / peak) : 0));
  }
  // The 95 % quantile of MMD² between two samples of the target, of 100 permutations of which rows are in which sample.
  measureBand() {
    const { rows, points, kernel } = this, n = 2 * rows, matrix = new Float32Array(n * n), random = new Random(0);
    let whole = 0;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) {
        const dx = points[2 * i] - points[2 * j], dy = points[2 * i + 1] - points[2 * j + 1];
        whole += matrix[i * n + j] = matrix[j * n + i] = kernel.at(dx * dx + dy * dy);
      }
    }
    const sums = Float64Array.from({ length: n }, (_, i) => matrix.subarray(i * n, (i + 1) * n).reduce((a, b) => a + b, 0));
    const values = Array.from({ length: 100 }, () => {
      const keys = Float32Array.from({ length: n }, () => random.single());
      const order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => keys[a] - keys[b]);
      const chosen = Uint32Array.from({ length: n }, (_, i) => i).filter((i) => order[i] < rows);
      let own = 0, all = 0;
      for (const i of chosen) {
        all += sums[i];
        const start = i * n;
        for (const j of chosen) own += matrix[start + j];
      }
      const other = 2 * whole - 2 * all + own; // sums over ordered pairs, within and between
      return (own + other) / (rows * (rows - 1)) - 2 * (all - own) / rows ** 2;
    });
    this.band = quantile(Float64Array.from(values).sort(), 0.95);
    this.lps = predictability(this.draws, rows);
  }
  // Minus the gradient of MMD² in each of n codes, as a multiple of its chance level: that of the length where codes are draws.
  pulls(codes, n, kernel) {
    kernel.chance ??= Math.max(quantile(lengthsOf(this.descent(this.points.subarray(2 * this.rows, 4 * this.rows), this.rows, kernel)), 0.95), 1e-12);
    return this.descent(codes, n, kernel).map((v) => (Number.isFinite(v) ? v / kernel.chance : 0));
  }
  descent(codes, n, kernel) { // minus the gradient times the number of codes
    const gradient = new Float32Array(2 * n);
    meanWithin(codes, n, kernel, gradient, -n);
    meanBetween(codes, n, this.draws, this.rows, kernel, gradient, 2 * n);
    return gradient;
  }
}

const lengthsOf = (vectors) => Float64Array.from({ length: vectors.length / 2 }, (_, i) => Math.hypot(vectors[2 * i], vectors[2 * i + 1])).sort();

// How well a regression tree with leaves of at least 20 rows predicts each column of codes (n, 2) from the other, by two folds.
const predictability = (codes, n) => {
  const columns = [0, 1].map((axis) => Float64Array.from({ length: n }, (_, i) => codes[2 * i + axis]));
  for (const column of columns) {
    const mean = column.reduce((a, b) => a + b, 0) / n;
    const sd = Math.sqrt(column.reduce((a, b) => a + (b - mean) ** 2, 0) / n);
    if (!(sd > 1e-7 * Math.abs(mean))) return 0; // with one that varies at most, nothing is predicted
    column.forEach((v, i) => { column[i] = (v - mean) / sd; });
  }
  const order = new Uint32Array(n);
  new Random(0).order(order);
  const parts = [0, 1].map((fold) => order.filter((_, i) => i % 2 === fold).sort());
  let score = 0;
  for (const [x, y] of [columns, [columns[1], columns[0]]]) {
    let [loss, baseline] = [0, 0];
    parts.forEach((test, fold) => {
      const predict = regressionTree(x, y, parts[1 - fold]);
      for (const i of test) { loss += (y[i] - predict(x[i])) ** 2; baseline += y[i] ** 2; }
    });
    score += Math.max(0, 1 - loss / baseline) / 2;
  }
  return score;
};

const regressionTree = (x, y, rows) => {
  const sorted = rows.slice().sort((a, b) => x[a] - x[b]), [edges, values] = [[], []];
  const split = (from, to) => {
    let total = 0;
    for (let i = from; i < to; i++) total += y[sorted[i]];
    let [best, at, left] = [total ** 2 / (to - from) + 1e-12, 0, 0];
    for (let i = from + 1; i <= to - 20; i++) {
      left += y[sorted[i - 1]];
      if (i - from < 20 || x[sorted[i]] <= x[sorted[i - 1]] + 1e-7) continue;
      const gain = left ** 2 / (i - from) + (total - left) ** 2 / (to - i);
      if (gain > best) [best, at] = [gain, i];
    }
    if (!at) {
      values.push(total / (to - from));
      return;
    }
    split(from, at);
    edges.push((x[sorted[at - 1]] + x[sorted[at]]) / 2);
    split(at, to);
  };
  split(0, sorted.length);
  return (v) => {
    const leaf = edges.findIndex((edge) => v <= edge);
    return values[leaf < 0 ? edges.length : leaf];
  };
};

// One model in training.
class Lane {
  constructor(name, images, seed) {
    Object.assign(this, { name, images, seed, network: new Network(seed, name === "kl"), random: new Random(seed) });
    this.network.heldOut.set(images.heldOut);
    this.order = new Uint32Array(images.count);
    this.epoch = -1;
    this.step = 0;
    this.first = NaN;
    this.good = 0;
    this.lps = NaN;
    this.own = { kernel: null, weight: 0, beta: 0, draws: new Float64Array(2 * LARGEST), noise: new Float32Array(2 * LARGEST) };
    this.noise = new Float32Array(2 * images.held); // of the held-out codes: the same each time, so that only training moves them
    new Random(0).normals(this.noise, 2 * images.held);
  }
  aim(settings, target) {
    const kernel = target.kernelOf(settings.kernel, settings.bandwidth);
    Object.assign(this.own, { kernel, prior: target.prior, weight: settings.weight, beta: settings.beta });
    this.size = Math.min(settings.batch, this.images.count);
    this.rate = settings.rate;
    this.epoch = -1;
  }
  batch() { // the rows of the step's batch into the network's input
    const { images, size, network } = this, perEpoch = Math.floor(images.count / size), epoch = Math.floor(this.step / perEpoch);
    if (epoch !== this.epoch) {
      new Random((Math.imul(this.seed, 1000003) + epoch) >>> 0).order(this.order);
      this.epoch = epoch;
    }
    const start = (this.step % perEpoch) * size;
    for (let i = 0; i < size; i++) {
      for (let p = 0, from = this.order[start + i] * PIXELS, to = i * PIXELS; p < PIXELS; p++) network.input[to + p] = images.training[from + p];
    }
  }
  advance() {
    const { network, own, size, random } = this;
    this.batch();
    if (network.variances) random.normals(own.noise, 2 * size);
    else own.prior.sample(random, size, own.draws, own.noise);
    const loss = network.learn(size, own);
    if (this.step % CHECK_EVERY === 0) {
      if (!network.finite()) this.diverged(`weights became infinite by step ${this.step}`);
      network.keep();
      this.good = this.step;
    }
    if (Number.isNaN(this.first)) this.first = loss;
    if (!Number.isFinite(loss) || Math.abs(loss) > LOSS_LIMIT * Math.max(Math.abs(this.first), 1)) {
      this.diverged(`the loss was ${loss.toPrecision(4)} at step ${this.step + 1} (first: ${this.first.toPrecision(4)})`);
    }
    network.update(this.rate);
    this.step += 1;
  }
  diverged(reason) {
    this.network.restore();
    throw new Error(`${reason}. The model was put back to its weights of step ${this.good}. Try a smaller learning rate (now ${this.rate}), `
      + `a smaller weight, or a larger batch (now ${this.size}).`);
  }
  // What the page shows of the model now: its scores are measured anew if asked for, LPS if it is `due`.
  snapshot(target, tiles, measured, due, arrows = false) {
    const { network, images } = this, n = images.held, encoded = network.encode(network.heldOut, n), { codes } = network;
    const shown = new Float32Array(2 * n);
    for (let i = 0; i < 2 * n; i++) {
      const at = network.variances ? 2 * i - (i & 1) : i;
      shown[i] = network.variances ? encoded[at] + Math.exp(0.5 * encoded[at + 2]) * this.noise[i] : encoded[at];
    }
    const finite = shown.every(Number.isFinite);
    if (measured) {
      codes.set(shown);
      const made = network.decode(codes, n);
      let error = 0;
      for (let i = 0; i < n * PIXELS; i++) error += (made[i] - images.heldOut[i]) ** 2;
      this.reconstruction = error / (n * PIXELS);
      this.mmd2 = finite ? meanWithin(shown, n, target.kernel) + target.within - 2 * meanBetween(shown, n, target.draws, n, target.kernel) : NaN;
    }
    if (!arrows || network.variances || !this.own.weight) this.pulls = null;
    else if (measured || !this.pulls) this.pulls = target.pulls(shown, n, this.own.kernel);
    if (due) this.lps = finite ? predictability(shown, n) : NaN;
    for (let i = 0; i < tiles ** 2; i++) {
      codes[2 * i] = ((i % tiles + 0.5) / tiles * 2 - 1) * target.box;
      codes[2 * i + 1] = (1 - (Math.floor(i / tiles) + 0.5) / tiles * 2) * target.box;
    }
    const decoded = network.decode(codes, tiles ** 2), sheet = new Uint8Array(tiles ** 2 * PIXELS);
    for (let i = 0; i < tiles ** 2; i++) {
      for (let p = 0; p < PIXELS; p++) {
        sheet[(Math.floor(i / tiles) * 8 + (p >> 3)) * tiles * 8 + (i % tiles) * 8 + (p & 7)] = Math.round(255 * decoded[i * PIXELS + p]);
      }
    }
    return { name: this.name, codes: shown, pulls: this.pulls, extent: extentOf(shown), sheet, reconstruction: this.reconstruction, mmd2: this.mmd2, lps: this.lps };
  }
  near(codes, point) { // what lies at a point: images as bytes, and the rows of the held-out ones, nearest first
    const { network, images } = this, far = (i) => (codes[2 * i] - point[0]) ** 2 + (codes[2 * i + 1] - point[1]) ** 2;
    const rows = Array.from({ length: images.held }, (_, i) => i).sort((a, b) => far(a) - far(b) || a - b).slice(0, 7);
    network.codes.set([...point, codes[2 * rows[0]], codes[2 * rows[0] + 1]]);
    const made = network.decode(network.codes, 2).slice(0, 2 * PIXELS);
    const row = (i) => images.heldOut.subarray(i * PIXELS, (i + 1) * PIXELS);
    const all = [made.subarray(0, PIXELS), row(rows[0]), made.subarray(PIXELS), ...rows.slice(1).map(row)];
    return { rows, images: Uint8Array.from(all.flatMap((one) => [...one]), (v) => Math.round(255 * v)), shape: [all.length, 8, 8, 1] };
  }
}

const sameTarget = (a, b) => ["prior", "sliders", "painted"].every((name) => JSON.stringify(a[name]) === JSON.stringify(b[name]));

class Engine {
  constructor(spec, images, settings) {
    Object.assign(this, { spec, images, notice: "", blank: false });
    this.begin(settings);
  }
  targetOf(settings) {
    const { spec } = this;
    const prior = new Prior(settings.prior, settings.sliders, grayOf(settings.pairs, spec), spec.paper, spec.reach);
    const target = new Target(prior, this.images.held, spec), kernels = new Map();
    target.kernelOf = (name, times) => {
      const key = `${name} ${times}`;
      if (!kernels.has(key)) kernels.set(key, new Kernel(name, target.points, times));
      return kernels.get(key);
    };
    return target;
  }
  begin(settings) {
    if (!this.target || !sameTarget(this.settings, settings)) this.target = this.targetOf(settings);
    this.settings = settings;
    const names = settings.compare ? this.spec.objectives : [settings.objective];
    const before = this.lanes ?? [];
    this.lanes = names.map((name) => new Lane(name, this.images, settings.seed));
    this.lanes.forEach((lane) => lane.aim(settings, this.target));
    before.forEach((lane) => lane.network.memory.release());
    Object.assign(this, { rows: new Map(), nextLps: 0, extent: 0, news: "", error: null });
  }
  get step() { return Math.min(...this.lanes.map((lane) => lane.step)); }
  async change(changes) {
    const before = this.settings, settings = await changedSettings(before, changes, this.spec);
    const reasons = Object.keys(NEW_RUN).filter((name) => before[name] !== settings[name]);
    if (reasons.length) {
      this.begin(settings);
      this.news = `Begun again at step 0, as ${NEW_RUN[reasons[0]]} needs new weights.`;
    } else {
      if (!sameTarget(before, settings)) this.target = this.targetOf(settings);
      this.settings = settings;
      this.lanes.forEach((lane) => lane.aim(settings, this.target));
    }
    if ("prior" in changes) this.blank = false;
    if (!this.error) this.notice = this.blank ? BLANK_NOTICE : "";
  }
  clear() { Object.assign(this, { blank: true, notice: BLANK_NOTICE }); }
  reset(seed = this.settings.seed) {
    this.begin({ ...this.settings, seed });
    Object.assign(this, { blank: false, notice: "" });
  }
  advance() {
    if (this.error || this.blank) return false;
    try {
      for (const lane of this.lanes) lane.advance();
    } catch (error) {
      Object.assign(this, { error, notice: `Training diverged: ${error.message} Then press Reset.` });
    }
    return !this.error;
  }
  start(steps = FIRST_STEPS) { // the steps after which a run is first shown
    this.snapshots(false);
    for (let i = 0; i < steps && this.advance(); i++);
  }
  snapshots(settled, measured = true, arrows = false) {
    const due = measured && settled && this.step >= this.nextLps, { target, rows, step } = this;
    if (due) this.nextLps = step + LPS_EVERY;
    const found = this.lanes.map((lane) => lane.snapshot(target, this.spec.side, measured, due, arrows));
    const own = found.find((one) => one.name === "mmd");
    this.extent = own ? own.extent : 0;
    if (measured) rows.set(step, [step, ...found.flatMap((one) => [one.reconstruction, one.mmd2, one.lps])]);
    if (rows.size > MOST_ROWS) {
      const all = [...rows];
      this.rows = new Map(all.filter((_, i) => i % 2 === 0 || i === all.length - 1));
    }
    return found;
  }
  get advice() {
    if (this.news && this.step < 50) return this.news;
    if (!this.settings.weight || this.extent <= 100 * this.target.box) return "";
    return `The codes flew off, to ${Math.round(+this.extent.toPrecision(1)).toLocaleString("en")} from the origin. The kernel is flat there, so MMD has no `
      + `gradient that pulls them back. Lower the learning rate (now ${this.settings.rate}), then press Reset.`;
  }
  // All that the page shows at one moment: the message of sculptlab.live.frames, and its binary parts.
  frame(pointer, span, settled, measured = true, arrows = false) {
    const { settings, target, spec, images } = this, found = this.snapshots(settled, measured, arrows), buffers = [];
    if (settled && target.band === null) target.measureBand();
    const put = (part) => buffers.push(new Uint8Array(part.buffer, part.byteOffset, part.byteLength)) - 1;
    const finite = (v) => (Number.isFinite(v) ? v : null);
    const lanes = found.map((one) => ({ name: one.name, codes: put(one.codes), sheet: put(one.sheet),
      pulls: one.pulls && put(one.pulls),
      reconstruction: finite(one.reconstruction), mmd2: finite(one.mmd2), lps: finite(one.lps) }));
    const rows = Float32Array.from([...this.rows.values()].flat()), { pairs, ...shown } = settings;
    const content = { kind: "frame", step: this.step, settings: shown, text: writeSettings(settings, spec), notice: this.notice || this.advice,
      broken: this.error !== null, blank: this.blank, band: target.band, target_lps: target.lps, box: target.box, span: spanOf(found, span, spec.reach), count: images.held,
      sheet: [8 * spec.side, 8 * spec.side, 1], density: put(target.density), painting: put(grayOf(pairs, spec)), labels: put(images.labels),
      label_names: images.names, rows: put(rows), columns: 1 + 3 * lanes.length, lanes, measured, pointer: null };
    const lane = pointer && this.lanes.findIndex((one) => one.name === pointer.lane);
    if (pointer && lane >= 0 && pointer.at.length === 2 && pointer.at.every(Number.isFinite)) {
      const near = this.lanes[lane].near(found[lane].codes, pointer.at);
      content.pointer = { ...pointer, ...near, images: put(near.images), labels: near.rows.map((i) => images.labels[i]) };
    }
    return [content, buffers];
  }
}

const extentOf = (codes) => { // the 98 % quantile of the codes' absolute values
  const sizes = codes.filter(Number.isFinite).map(Math.abs).sort();
  return sizes.length ? quantile(sizes, 0.98) : 0;
};
const spanOf = (found, before, reach) => { // half the width of the plane: `reach` times a power of the root of 2, which rarely changes
  const wide = 1.15 * Math.max(...found.map((one) => one.extent));
  if (wide <= before && (before <= reach || wide > 0.62 * before)) return before;
  return reach * 2 ** (Math.max(0, Math.ceil(2 * Math.log2(Math.max(wide, 1e-9) / reach))) / 2);
};
