// The models: 64-128-128-2 and its mirror with SiLU, the weights and Adam's averages in one memory, forward and backward.

const [PIXELS, HIDDEN, LARGEST] = [64, 128, 512]; // LARGEST: rows at a time

// 1 / (1 + exp(-x)), to 1e-9: by the derivatives at the nearest of these nodes, which takes a fifth of the time of exp.
const NODES = Float64Array.from({ length: 1025 }, (_, i) => 1 / (1 + Math.exp(16 - i / 32)));
const sigmoid = (x) => {
  if (!(x > -15.9 && x < 15.9)) return 1 / (1 + Math.exp(-x));
  const i = ((x + 16) * 32 + 0.5) | 0, s = NODES[i], d = x + 16 - i / 32, p = s * (1 - s);
  return s + d * p * (1 + d * (0.5 - s + d * (1 / 6 - p)));
};

const transpose = (a, n, m, out) => {
  for (let i = 0; i < n; i++) for (let j = 0, p = i * m; j < m; j++) out[j * n + i] = a[p + j];
};

class Linear {
  constructor(memory, inputs, outputs, last) {
    Object.assign(this, { memory, inputs, outputs, last });
    this.weight = memory.take(inputs * outputs); // (outputs, inputs), as torch stores it
    this.bias = memory.take(outputs);
    this.turned = memory.take(inputs * outputs); // the weight, transposed
    this.gradient = [memory.take(inputs * outputs), memory.take(outputs)];
    this.out = memory.take(LARGEST * outputs); // after the activation
    this.slope = last ? null : memory.take(LARGEST * outputs); // of the activation
  }
  forward(x, n) {
    const { outputs, out, slope, bias } = this;
    this.memory.products(x, n, this.weight, outputs, this.inputs, out);
    for (let i = 0, p = 0; i < n; i++) {
      for (let j = 0; j < outputs; j++, p++) {
        const value = out[p] + bias[j];
        if (slope === null) {
          out[p] = value;
          continue;
        }
        const share = sigmoid(value); // SiLU: value * share
        out[p] = value * share;
        slope[p] = share * (1 + value * (1 - share));
      }
    }
    return out;
  }
  // From the gradient in `out`, which is overwritten, those in the weights and, unless `into` is null, that in the input x.
  backward(grad, n, x, into, scratch) {
    const { inputs, outputs, slope, gradient } = this, [one, two] = scratch;
    if (slope !== null) for (let i = 0; i < n * outputs; i++) grad[i] *= slope[i];
    transpose(grad, n, outputs, one);
    transpose(x, n, inputs, two);
    this.memory.products(one, outputs, two, inputs, n, gradient[0]);
    for (let j = 0; j < outputs; j++) {
      let sum = 0;
      for (let i = 0, p = j * n; i < n; i++) sum += one[p + i];
      gradient[1][j] = sum;
    }
    if (into !== null) this.memory.products(grad, n, this.turned, inputs, outputs, into);
  }
  turn() { transpose(this.weight, this.outputs, this.inputs, this.turned); }
}

class Network {
  // The weights that build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=128, seed=seed) has; `variances` adds outputs for
  // log-variances that are 0 at first.
  constructor(seed, variances, vectors = true) {
    const memory = Memory.of(1_400_000, vectors), random = new Random(seed);
    this.memory = memory;
    this.variances = variances;
    this.encoder = [[PIXELS, HIDDEN], [HIDDEN, HIDDEN], [HIDDEN, variances ? 4 : 2]].map(([a, b], i) => new Linear(memory, a, b, i === 2));
    this.decoder = [[2, HIDDEN], [HIDDEN, HIDDEN], [HIDDEN, PIXELS]].map(([a, b], i) => new Linear(memory, a, b, i === 2));
    this.layers = [...this.encoder, ...this.decoder];
    for (const layer of this.layers) {
      const bound = Math.fround(1 / Math.sqrt(layer.inputs));
      const drawn = layer === this.encoder[2] ? 2 : layer.outputs; // rows
      const fill = (part, count) => { for (let i = 0; i < count; i++) part[i] = random.single() * 2 * bound - bound; };
      fill(layer.weight, drawn * layer.inputs);
      fill(layer.bias, drawn);
    }
    this.parts = this.layers.flatMap((layer) => [layer.weight, layer.bias]);
    this.gradients = this.layers.flatMap((layer) => layer.gradient);
    this.first = this.parts.map((part) => memory.take(part.length)); // Adam's averages
    this.second = this.parts.map((part) => memory.take(part.length));
    this.good = this.parts.map((part) => Float32Array.from(part));
    this.step = 0;
    this.scratch = [memory.take(LARGEST * HIDDEN), memory.take(LARGEST * HIDDEN)];
    this.grads = [memory.take(LARGEST * HIDDEN), memory.take(LARGEST * HIDDEN)];
    this.input = memory.take(LARGEST * PIXELS);
    this.heldOut = memory.take(LARGEST * PIXELS);
    this.codes = memory.take(LARGEST * 2);
    this.codeGradient = memory.take(LARGEST * 2);
    this.turn();
  }
  turn() { for (const layer of this.layers) layer.turn(); }
  encode(images, n) { // what the last layer gives: codes (n, 2), or means and log-variances (n, 4)
    return this.encoder.reduce((x, layer) => layer.forward(x, n), images);
  }
  decode(codes, n) { // images (n, PIXELS) in [0, 1], in memory of the last layer
    const out = this.decoder.reduce((x, layer) => layer.forward(x, n), codes);
    for (let i = 0; i < n * PIXELS; i++) out[i] = sigmoid(out[i]);
    return out;
  }
  // Adam's step: the averages of the gradients and of their squares, without bias.
  update(rate) {
    this.step += 1;
    const correction = Math.sqrt(1 - 0.999 ** this.step), size = rate / (1 - 0.9 ** this.step);
    for (let p = 0; p < this.parts.length; p++) {
      const weight = this.parts[p], gradient = this.gradients[p], first = this.first[p], second = this.second[p];
      for (let i = 0; i < weight.length; i++) {
        const g = gradient[i];
        const m = first[i] = first[i] + 0.1 * (g - first[i]);
        const v = second[i] = 0.999 * second[i] + 0.001 * g * g;
        weight[i] -= size * m / (Math.sqrt(v) / correction + 1e-8);
      }
    }
    this.turn();
  }
  keep() { this.parts.forEach((part, p) => this.good[p].set(part)); }
  restore() {
    this.parts.forEach((part, p) => part.set(this.good[p]));
    this.turn();
  }
  finite() { return this.parts.every((part) => part.every(Number.isFinite)); }

  // One step on images (n, PIXELS) in `input`: the loss and its terms by name. For "mmd": `target` { kernel, weight, draws (n, 2) };
  // for "kl": { beta, noise (n, 2) }.
  learn(n, target) {
    const { input, codes, codeGradient, scratch, grads } = this;
    const encoded = this.encode(input, n);
    let penalty = 0, weight = 0;
    codeGradient.fill(0, 0, 2 * n);
    if (this.variances) {
      for (let i = 0; i < n; i++) {
        for (let d = 0; d < 2; d++) {
          const mean = encoded[4 * i + d], log = encoded[4 * i + 2 + d];
          codes[2 * i + d] = mean + Math.exp(0.5 * log) * target.noise[2 * i + d];
          penalty += 0.5 * (mean * mean + Math.exp(log) - log - 1) / n;
        }
      }
      weight = target.beta;
    } else {
      codes.set(encoded.subarray(0, 2 * n));
      weight = target.weight;
      penalty = mmd2(codes, target.draws, n, target.kernel, codeGradient, weight);
    }
    const made = this.decode(codes, n), back = grads[0];
    let error = 0;
    for (let i = 0; i < n * PIXELS; i++) {
      const gap = made[i] - input[i];
      error += gap * gap;
      back[i] = gap / n * made[i] * (1 - made[i]);
    }
    const [d0, d1, d2] = this.decoder, [e0, e1, e2] = this.encoder;
    d2.backward(back, n, d1.out, grads[1], scratch);
    d1.backward(grads[1], n, d0.out, grads[0], scratch);
    d0.backward(grads[0], n, codes, grads[1], scratch);
    const into = grads[0];
    if (this.variances) {
      for (let i = 0; i < n; i++) {
        for (let d = 0; d < 2; d++) {
          const slope = grads[1][2 * i + d], mean = encoded[4 * i + d], log = encoded[4 * i + 2 + d];
          into[4 * i + d] = slope + weight * mean / n;
          into[4 * i + 2 + d] = slope * 0.5 * Math.exp(0.5 * log) * target.noise[2 * i + d] + weight * 0.5 * (Math.exp(log) - 1) / n;
        }
      }
    } else {
      for (let i = 0; i < 2 * n; i++) into[i] = grads[1][i] + codeGradient[i];
    }
    e2.backward(into, n, e1.out, grads[1], scratch);
    e1.backward(grads[1], n, e0.out, grads[0], scratch);
    e0.backward(grads[0], n, input, null, scratch);
    this.terms = { loss: 0.5 * error / n + weight * penalty, reconstruction: 0.5 * error / n, penalty };
    return this.terms.loss;
  }
}
