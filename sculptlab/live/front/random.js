// Random numbers of the Sculptor without a kernel: those of torch.Generator().manual_seed(seed) on a CPU, number for number.

class Random {
  constructor(seed) { // the Mersenne twister; of the seed, its lower 32 bits count
    this.words = new Uint32Array(624);
    this.words[0] = seed >>> 0;
    for (let i = 1; i < 624; i++) {
      const last = this.words[i - 1] ^ (this.words[i - 1] >>> 30);
      this.words[i] = Math.imul(1812433253, last) + i;
    }
    this.at = 624;
    this.spare = null;
  }
  word() {
    const { words } = this;
    if (this.at === 624) {
      for (let i = 0; i < 624; i++) {
        const bits = (words[i] & 0x80000000) | (words[(i + 1) % 624] & 0x7fffffff);
        words[i] = words[(i + 397) % 624] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
      }
      this.at = 0;
    }
    let y = words[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }
  single() { return (this.word() & 0xffffff) / 2 ** 24; } // uniform in [0, 1), of 24 bits
  double() { // strictly between 0 and 1, of 53 bits
    const high = this.word() & 0x1fffff;
    const u = (high * 2 ** 32 + this.word()) / 2 ** 53;
    return Math.min(Math.max(u, 2 ** -53), 1 - 2 ** -53);
  }
  normal() { // one at a time, by pairs
    if (this.spare !== null) {
      const kept = this.spare;
      this.spare = null;
      return kept;
    }
    const angle = 2 * Math.PI * this.double(), radius = Math.sqrt(-2 * Math.log1p(-this.double()));
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
  // The first `count` numbers of `out`, at least 16, become standard normal: in blocks of 16, by pairs of uniform numbers.
  normals(out, count) {
    for (let i = 0; i < count; i++) out[i] = this.single();
    for (let i = 0; i + 16 <= count; i += 16) this.pairs(out, i);
    if (count % 16) {
      for (let i = count - 16; i < count; i++) out[i] = this.single();
      this.pairs(out, count - 16);
    }
  }
  pairs(out, from) {
    for (let i = from; i < from + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - out[i])), angle = 2 * Math.PI * out[i + 8];
      out[i] = radius * Math.cos(angle);
      out[i + 8] = radius * Math.sin(angle);
    }
  }
  order(out) { // the numbers 0 ... n - 1 in random order
    const n = out.length;
    for (let i = 0; i < n; i++) out[i] = i;
    for (let i = 0; i < n - 1; i++) {
      const k = i + (this.word() % (n - i)), kept = out[i];
      out[i] = out[k];
      out[k] = kept;
    }
  }
}
