// Products of matrices, on which nearly all of a step's time is spent: in JavaScript, and in WebAssembly where there is one with vectors.

// c[i, j] = sum over k of a[i, k] b[j, k], for a (n, k), b (m, k) and c (n, m): two rows by four at a time.
const products = (a, n, b, m, k, c) => {
  let i = 0;
  for (; i + 2 <= n; i += 2) {
    const p = i * k, q = p + k;
    let j = 0;
    for (; j + 4 <= m; j += 4) {
      const r = j * k, s = r + k, t = s + k, u = t + k;
      let c0 = 0, c1 = 0, c2 = 0, c3 = 0, d0 = 0, d1 = 0, d2 = 0, d3 = 0;
      for (let l = 0; l < k; l++) {
        const x = a[p + l], y = a[q + l], b0 = b[r + l], b1 = b[s + l], b2 = b[t + l], b3 = b[u + l];
        c0 += x * b0; c1 += x * b1; c2 += x * b2; c3 += x * b3;
        d0 += y * b0; d1 += y * b1; d2 += y * b2; d3 += y * b3;
      }
      const e = i * m + j, f = e + m;
      c[e] = c0; c[e + 1] = c1; c[e + 2] = c2; c[e + 3] = c3;
      c[f] = d0; c[f + 1] = d1; c[f + 2] = d2; c[f + 3] = d3;
    }
    for (; j < m; j++) {
      let c0 = 0, d0 = 0;
      for (let l = 0, r = j * k; l < k; l++) { c0 += a[p + l] * b[r + l]; d0 += a[q + l] * b[r + l]; }
      c[i * m + j] = c0;
      c[(i + 1) * m + j] = d0;
    }
  }
  for (; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let l = 0, p = i * k, r = j * k; l < k; l++) sum += a[p + l] * b[r + l];
      c[i * m + j] = sum;
    }
  }
};

// The same as the bytes of a WebAssembly module, for n even, m and k multiples of 4, a, b and c as places in its memory. Its loops are
// those above, four numbers of k at a time.
const wasmProducts = () => {
  const [A, N, B, M, K, C, I, J, P, Q, ROW, END, R0, D] = Array.from({ length: 14 }, (_, i) => i); // parameters, then locals (i32)
  const [V, X, Y] = [14, 22, 23]; // eight sums, then two rows' numbers (v128)
  const get = (i) => [0x20, i], set = (i) => [0x21, i], leb = (i) => { // a signed number
    const out = [];
    for (;;) {
      const byte = i & 0x7f;
      i >>= 7;
      if ((i === 0 && !(byte & 0x40)) || (i === -1 && byte & 0x40)) return [...out, byte];
      out.push(byte | 0x80);
    }
  };
  const number = (i) => [0x41, ...leb(i)], add = [0x6a], times = [0x6c];
  const plus = (i, by) => [...get(i), ...by, ...add, ...set(i)];
  const loop = (...body) => [0x03, 0x40, ...body.flat(), 0x0b];
  const load = (from, place = [0]) => [...from, 0xfd, 0x00, 0x02, ...place], vadd = [0xfd, 0xe4, 0x01], vmul = [0xfd, 0xe6, 0x01];
  const store = [0xfd, 0x0b, 0x02, 0x00], zero = [0xfd, 0x0c, ...Array(16).fill(0)];
  const shuffle = (...lanes) => [0xfd, 0x0d, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte))];
  const row = (j) => [...get(R0), ...(j ? [...get(D), ...number(j), ...times, ...add] : [])]; // the place in the j-th of four rows of b
  const term = (j) => [...load(row(j)), 0x21, X + 2, ...get(V + j), ...get(X), ...get(X + 2), ...vmul, ...vadd, ...set(V + j),
    ...get(V + 4 + j), ...get(Y), ...get(X + 2), ...vmul, ...vadd, ...set(V + 4 + j)];
  const sum = (v) => { // the sums of four vectors as one vector
    const pair = (i) => [...get(v + i), ...get(v + i + 1), ...shuffle(0, 4, 1, 5), ...get(v + i), ...get(v + i + 1), ...shuffle(2, 6, 3, 7), ...vadd];
    return [...pair(0), ...set(X), ...pair(2), ...set(Y), ...get(X), ...get(Y), ...shuffle(0, 1, 4, 5), ...get(X), ...get(Y), ...shuffle(2, 3, 6, 7), ...vadd];
  };
  const code = [
    ...get(K), ...number(4), ...times, ...set(D), // bytes of a row
    ...get(N), ...set(I),
    ...loop(
      [...get(B), ...set(ROW), ...get(M), ...set(J)],
      loop(
        [...get(A), ...set(P), ...get(ROW), ...set(R0), ...get(A), ...get(D), ...add, ...set(END)],
        [0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => [...zero, ...set(V + i)]),
        loop(
          [...load(get(P)), ...set(X), ...load([...get(P), ...get(D), ...add]), ...set(Y)],
          [0, 1, 2, 3].flatMap(term),
          [...plus(P, number(16)), ...plus(R0, number(16))],
          [...get(P), ...get(END), 0x47, 0x0d, 0x00], // again, while P is not at the end
        ),
        [...get(C), ...sum(V), ...store],
        [...get(C), ...get(M), ...number(4), ...times, ...add, ...sum(V + 4), ...store],
        [...plus(C, number(16)), ...plus(ROW, [...get(D), ...number(4), ...times]), ...plus(J, number(-4)), ...get(J), 0x0d, 0x00],
      ),
      [...plus(C, [...get(M), ...number(4), ...times]), ...plus(A, [...get(D), ...number(2), ...times])],
      [...plus(I, number(-2)), ...get(I), 0x0d, 0x00],
    ),
    0x0b,
  ];
  const size = (i) => { // an unsigned number
    const out = [];
    do { out.push((i & 0x7f) | (i > 0x7f ? 0x80 : 0)); i >>>= 7; } while (i);
    return out;
  };
  const section = (id, body) => [id, ...size(body.length), ...body];
  const body = [2, 8, 0x7f, 11, 0x7b, ...code]; // locals: 8 of i32, 11 of v128
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 6, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
    ...section(2, [1, 1, 0x6d, 1, 0x6d, 2, 0, 1]), // the memory m.m
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x70, 0, 0]), // the function p
    ...section(10, [1, ...size(body.length), ...body]),
  ]);
};

// Parts of one block of single-precision numbers, and the products of two of them. Blocks that were released are used again, as a
// browser has room for few memories of WebAssembly.
class Memory {
  constructor(numbers, vectors) {
    const bytes = wasmProducts();
    Object.assign(this, { numbers, vectors, fast: null, bytes: null, used: 0 });
    if (vectors && typeof WebAssembly === "object" && WebAssembly.validate(bytes)) {
      try { // a page may forbid it
        const memory = new WebAssembly.Memory({ initial: Math.ceil(numbers / 16384) });
        this.fast = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: { m: memory } }).exports.p;
        this.bytes = memory.buffer;
      } catch { this.fast = null; }
    }
    this.bytes ??= new ArrayBuffer(4 * numbers);
  }
  static of(numbers, vectors) {
    const at = released.findIndex((one) => one.numbers === numbers && one.vectors === vectors);
    if (at < 0) return new Memory(numbers, vectors);
    const [memory] = released.splice(at, 1);
    new Uint8Array(memory.bytes).fill(0);
    memory.used = 0;
    return memory;
  }
  release() { released.push(this); }
  take(count) {
    const part = new Float32Array(this.bytes, 4 * this.used, count);
    this.used += (count + 3) & ~3;
    return part;
  }
  products(a, n, b, m, k, c) { // where n is odd, one row more is read and written
    if (this.fast && m % 4 === 0 && k % 4 === 0) this.fast(a.byteOffset, n + (n & 1), b.byteOffset, m, k, c.byteOffset);
    else products(a, n, b, m, k, c);
  }
}
const released = [];
