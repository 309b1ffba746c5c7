// MMD² in the plane with its exact gradient, under the kernels of sculptlab.mmd.kernels; and the median and other order statistics.

const SCALES = [0.1, 0.2, 0.5, 1, 2, 5, 10]; // of the inverse multiquadric kernel

const quantile = (sorted, share) => {
  const at = share * (sorted.length - 1), low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
};

// The variance of column `axis` of points (n, 2); of a heavy-tailed one, that of its middle part.
const spreadOf = (points, axis) => {
  const column = Float64Array.from({ length: points.length / 2 }, (_, i) => points[2 * i + axis]), n = column.length;
  const variance = () => {
    const mean = column.reduce((sum, v) => sum + v, 0) / n;
    return column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  };
  const sorted = column.slice().sort();
  const reach = 3 * (quantile(sorted, 0.75) - quantile(sorted, 0.25)), median = sorted[(n - 1) >> 1];
  const heavy = Math.sqrt(variance() * (n - 1) / n) > (quantile(sorted, 0.99) - quantile(sorted, 0.01)) / 2 && reach > 0;
  if (heavy) column.forEach((v, i) => { column[i] = Math.min(Math.max(v, median - reach), median + reach); });
  return variance();
};

class Kernel { // its width fits `points` (10,000, 2), drawn from the target, and is multiplied by `times`
  constructor(name, points, times) {
    this.name = name;
    if (name === "imq") {
      const base = 2 * (spreadOf(points, 0) + spreadOf(points, 1)) * times ** 2;
      this.widths = Float64Array.from(SCALES, (scale) => scale * base);
    } else if (name !== "energy") {
      const n = 1000, distances = new Float32Array(n * (n - 1) / 2);
      for (let i = 0, k = 0; i < n; i++) {
        for (let j = i + 1; j < n; j++) distances[k++] = Math.hypot(points[2 * i] - points[2 * j], points[2 * i + 1] - points[2 * j + 1]);
      }
      this.width = distances.sort()[(distances.length - 1) >> 1] * times;
    }
    this.slope = 0;
  }
  at(squared) { // the value; `slope` becomes its derivative in the squared distance
    if (this.name === "imq") {
      const { widths } = this;
      let value = 0, slope = 0;
      for (let s = 0; s < 7; s++) {
        const inverse = 1 / (squared + widths[s]), share = widths[s] * inverse;
        value += share;
        slope -= share * inverse;
      }
      this.slope = slope;
      return value;
    }
    if (this.name === "rbf") {
      const value = Math.exp(squared * (-0.5 / this.width ** 2));
      this.slope = value * (-0.5 / this.width ** 2);
      return value;
    }
    const distance = Math.sqrt(squared);
    const value = this.name === "energy" ? -distance : Math.exp(-distance / this.width);
    this.slope = distance === 0 ? 0 : this.name === "energy" ? -0.5 / distance : -0.5 * value / (this.width * distance);
    return value;
  }
}

// The mean of k over pairs of different points, of x (n, 2) with itself; its gradient times `weight` is added to `gradient`.
const meanWithin = (x, n, kernel, gradient = null, weight = 1) => {
  let sum = 0;
  const share = 2 / (n * (n - 1));
  for (let i = 0; i < n; i++) {
    const xi = x[2 * i], yi = x[2 * i + 1];
    let gx = 0, gy = 0;
    for (let j = i + 1; j < n; j++) {
      const dx = xi - x[2 * j], dy = yi - x[2 * j + 1];
      sum += kernel.at(dx * dx + dy * dy);
      if (gradient === null) continue;
      const pull = 2 * share * weight * kernel.slope;
      gx += pull * dx;
      gy += pull * dy;
      gradient[2 * j] -= pull * dx;
      gradient[2 * j + 1] -= pull * dy;
    }
    if (gradient === null) continue;
    gradient[2 * i] += gx;
    gradient[2 * i + 1] += gy;
  }
  return share * sum;
};

// The mean of k between x (n, 2) and y (m, 2); its gradient in x, times `weight`, is added to `gradient`.
const meanBetween = (x, n, y, m, kernel, gradient = null, weight = 1) => {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const xi = x[2 * i], yi = x[2 * i + 1];
    let gx = 0, gy = 0;
    for (let j = 0; j < m; j++) {
      const dx = xi - y[2 * j], dy = yi - y[2 * j + 1];
      sum += kernel.at(dx * dx + dy * dy);
      gx += kernel.slope * dx;
      gy += kernel.slope * dy;
    }
    if (gradient === null) continue;
    gradient[2 * i] += 2 * weight / (n * m) * gx;
    gradient[2 * i + 1] += 2 * weight / (n * m) * gy;
  }
  return sum / (n * m);
};

// The unbiased MMD² between codes (n, 2) and draws (n, 2) of the target; its gradient, times `weight`, is added to `gradient`.
const mmd2 = (codes, draws, n, kernel, gradient, weight) =>
  meanWithin(codes, n, kernel, gradient, weight) + meanWithin(draws, n, kernel) - 2 * meanBetween(codes, n, draws, n, kernel, gradient, -2 * weight);
