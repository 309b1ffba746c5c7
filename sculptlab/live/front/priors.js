// Samplers of the targets in the plane, as sculptlab.priors draws them from the same random numbers.

const polar = (angle, radius = 1) => [radius * Math.cos(angle), radius * Math.sin(angle)];

// Each writes `count` draws into `out` (count, 2), in textbook units; `noise` has room for as many normal numbers. With it come the
// center and the scale that bring the draws to mean 0 and a variance of 1 on average.
const curve = (at, branches, sd, center, trace) => ({
  center,
  scale: Math.sqrt(2 / (trace + 2 * sd ** 2)),
  draw(random, count, out, noise) {
    for (let i = 0; i < count; i++) out[2 * i] = random.double();
    for (let i = 0; i < count; i++) out[2 * i + 1] = Math.floor(branches * random.double());
    random.normals(noise, 2 * count);
    for (let i = 0; i < count; i++) {
      const [x, y] = at(out[2 * i], out[2 * i + 1]);
      out[2 * i] = x + sd * noise[2 * i];
      out[2 * i + 1] = y + sd * noise[2 * i + 1];
    }
  },
});

// A density that is constant within each pixel of `ink` (size, size), the top row first; the unit is a pixel, the origin below left.
const pixels = (ink, size) => {
  const corners = [], sums = [];
  let total = 0;
  const moments = [0, 0, 0, 0];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const weight = ink[(size - 1 - y) * size + x];
      if (!weight) continue;
      total += weight;
      corners.push([x, y]);
      sums.push(total);
      [x, y, x * x, y * y].forEach((value, i) => { moments[i] += weight * value; });
    }
  }
  const [mx, my, xx, yy] = moments.map((value) => value / total);
  return {
    center: [mx + 0.5, my + 0.5],
    scale: Math.sqrt(2 / (xx - mx * mx + yy - my * my + 1 / 6)),
    draw(random, count, out) {
      for (let i = 0; i < 2 * count; i++) out[i] = random.double();
      for (let i = 0; i < count; i++) {
        const u = random.double();
        let [low, high] = [0, sums.length - 1]; // the first sum above u
        while (low < high) {
          const middle = (low + high) >> 1;
          if (sums[middle] / total > u) high = middle;
          else low = middle + 1;
        }
        out[2 * i] += corners[low][0];
        out[2 * i + 1] += corners[low][1];
      }
    },
  };
};

// A gamma variable of shape a > 1, by Marsaglia and Tsang's method.
const gamma = (random, a) => {
  const d = a - 1 / 3, c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal(), v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = 1 - random.double();
    if (u < 1 - 0.0331 * x ** 4 || Math.log(u) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v;
  }
};

const own = { center: [0, 0], scale: 1 }; // draws that are in their units already
const SHAPES = {
  gaussian: ({ correlation: r }) => ({ ...own, draw(random, count, out) {
    random.normals(out, 2 * count);
    for (let i = 0; i < count; i++) out[2 * i + 1] = r * out[2 * i] + Math.sqrt(1 - r * r) * out[2 * i + 1];
  } }),
  square: () => ({ ...own, draw(random, count, out) {
    for (let i = 0; i < 2 * count; i++) out[i] = Math.sqrt(3) * (2 * random.single() - 1);
  } }),
  ring: ({ noise }) => curve((u) => polar(2 * Math.PI * u), 1, noise, [0, 0], 1),
  moons: ({ noise }) => curve((u, branch) => {
    const [x, y] = polar(Math.PI * u);
    return branch ? [1 - x, 0.5 - y] : [x, y];
  }, 2, noise, [0.5, 0.25], 0.75 + 0.5625 - 1 / Math.PI),
  spirals: ({ arms, turns, noise }) => {
    const a = 2 * Math.PI * turns, [cos, sin] = polar(a);
    const center = arms > 1 ? [0, 0] : [2 * (sin / a + 2 * cos / a ** 2 - 2 * sin / a ** 3), 2 * (-cos / a + 2 * sin / a ** 2 + 2 * (cos - 1) / a ** 3)];
    return curve((u, branch) => polar(2 * Math.PI * (turns * Math.sqrt(u) + branch / arms), Math.sqrt(u)), arms, noise,
      center, 0.5 - center[0] ** 2 - center[1] ** 2);
  },
  clusters: ({ count: clusters, radius, spread }) => ({ ...own, draw(random, count, out, noise) {
    for (let i = 0; i < count; i++) out[2 * i] = Math.min(clusters - 1, Math.floor(clusters * random.double()));
    random.normals(noise, 2 * count);
    for (let i = 0; i < count; i++) {
      const [x, y] = polar(2 * Math.PI * out[2 * i] / clusters, radius);
      out[2 * i] = x + spread * noise[2 * i];
      out[2 * i + 1] = y + spread * noise[2 * i + 1];
    }
  } }),
  checkerboard: ({ squares }) => pixels(Array.from({ length: squares ** 2 }, (_, i) => (Math.floor(i / squares) + (i % squares) + squares) % 2), squares),
  triangle: ({ concentration: a }) => { // Dirichlet's distribution: gamma variables divided by their sum, by logarithms
    let logs = new Float64Array(0);
    return { center: [0, 0], scale: Math.sqrt(3 * (3 * a + 1)), draw(random, count, out) {
      if (logs.length < 3 * count) logs = new Float64Array(3 * count);
      for (let i = 0; i < 3 * count; i++) logs[i] = Math.log(random.double()) / a;
      for (let i = 0; i < 3 * count; i++) logs[i] += Math.log(gamma(random, a + 1));
      for (let i = 0; i < count; i++) {
        const top = Math.max(logs[3 * i], logs[3 * i + 1], logs[3 * i + 2]);
        const p = Math.exp(logs[3 * i] - top), q = Math.exp(logs[3 * i + 1] - top), r = Math.exp(logs[3 * i + 2] - top);
        out[2 * i] = (p - q) / Math.sqrt(2) / (p + q + r);
        out[2 * i + 1] = (2 * r - p - q) / Math.sqrt(6) / (p + q + r);
      }
    } };
  },
};

// A target: its shape, scaled, stretched and turned. `ink` is a painting (size, size) that reaches to `reach` each way.
class Prior {
  constructor(name, sliders, ink, size, reach) {
    const { size: times = 1, stretch = 1, turn = 0 } = sliders;
    this.shape = name === "painted" ? pixels(ink, size) : SHAPES[name](sliders);
    if (name === "painted") Object.assign(this.shape, { center: [size / 2, size / 2], scale: 2 * reach / size });
    const [across, up] = [times * Math.sqrt(stretch), times / Math.sqrt(stretch)];
    const [cos, sin] = polar(turn * Math.PI / 180);
    this.matrix = [cos * across, -sin * up, sin * across, cos * up];
  }
  sample(random, count, out, noise) {
    this.shape.draw(random, count, out, noise);
    const { center: [x0, y0], scale } = this.shape, [a, b, c, d] = this.matrix;
    for (let i = 0; i < count; i++) {
      const x = scale * (out[2 * i] - x0), y = scale * (out[2 * i + 1] - y0);
      out[2 * i] = a * x + b * y;
      out[2 * i + 1] = c * x + d * y;
    }
  }
}
