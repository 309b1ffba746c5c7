// The settings of the Sculptor without a kernel, and the string that carries them: as sculptlab.live.settings reads and writes it.
// `spec` is the description of the controls, with the defaults, that Python wrote into this file.

class Blank extends Error {} // nothing is painted, so there is no target

const flate = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const PAINTING = "painted must be a painting as the Sculptor writes it, got ";

// A painting: bytes of two pixels each, and its text.
const packPainting = async (pairs) => {
  const packed = await flate(pairs, new CompressionStream("deflate"));
  return btoa(String.fromCharCode(...packed)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};
const unpackPainting = async (text, spec) => {
  try {
    if (!/^[A-Za-z0-9_-]{1,2000}$/.test(text)) throw new Error();
    const pairs = await flate(bytesOf(text.replaceAll("-", "+").replaceAll("_", "/")), new DecompressionStream("deflate"));
    if (pairs.length * 2 !== spec.paper ** 2) throw new Error();
    return pairs;
  } catch { throw new Error(`${PAINTING}'${text.slice(0, 40)}'`); }
};
const grayOf = (pairs, spec) => {
  const gray = new Uint8Array(spec.paper ** 2);
  pairs?.forEach((pair, i) => { gray[2 * i] = pair >> 4; gray[2 * i + 1] = pair & 15; });
  return gray;
};

const choose = (name, value, legal) => {
  if (!legal.includes(value)) throw new Error(`${name} must be one of ${legal.join(", ")}, got '${String(value).slice(0, 60)}'`);
  return value;
};
const within = ({ name, low, high, step }, value) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Error(`${name} must be finite, got ${String(value).slice(0, 60)}`);
  if (value < low || value > high) throw new Error(`${name} must lie between ${low} and ${high}, got ${value}`);
  return step === 1 ? Math.round(value) : value;
};

// Settings with others in their place, checked; of a painted prior with its pixels as `pairs`.
const changedSettings = async (settings, changes, spec) => {
  const prior = changes.prior ?? settings.prior;
  choose("prior", prior, Object.keys(spec.priors));
  const sliders = prior === settings.prior ? { ...settings.sliders } : {};
  const made = { ...settings, ...(prior === settings.prior ? {} : { painted: "", pairs: null }) };
  const known = new Set([...Object.keys(spec.defaults), ...spec.priors[prior].map((slider) => slider.name)]);
  for (const [name, value] of Object.entries({ ...changes, ...changes.sliders })) {
    if (name === "sliders" || (name === "pairs" && typeof value !== "number")) continue; // bytes, from the page's canvas
    const others = Object.keys(spec.priors).filter((other) => spec.priors[other].some((slider) => slider.name === name));
    if (!known.has(name) && others.length) throw new Error(`the prior '${prior}' has no '${name}': that is a slider of ${others.join(", ")}`);
    choose("settings", name, [...known]);
    if (spec.priors[prior].some((slider) => slider.name === name)) sliders[name] = value;
    else made[name] = value;
  }
  if (!spec.data.includes(made.data)) throw new Error(`data must be ${spec.data.join(", ")} on this page, got '${String(made.data).slice(0, 60)}': other images need a notebook`);
  made.sliders = Object.fromEntries(spec.priors[prior].map((one) => [one.name, within(one, sliders[one.name] ?? one.start)]));
  for (const dial of spec.dials) made[dial.name] = within(dial, made[dial.name]);
  choose("objective", made.objective, spec.objectives);
  choose("kernel", made.kernel, spec.kernels);
  choose("batch", made.batch, spec.batches);
  if (typeof made.compare !== "boolean") throw new Error("compare must be 0 or 1");
  if (!Number.isInteger(made.seed) || made.seed < 0 || made.seed >= 2 ** 32) throw new Error(`seed must be a whole number from 0 to 2**32 - 1, got ${made.seed}`);
  if (prior !== "painted" && made.painted) throw new Error(`painted is for prior='painted', got it with prior='${prior}'`);
  if (prior === "painted") {
    if (changes.pairs) made.pairs = changes.pairs;
    else if (made.painted && made.painted !== settings.painted) made.pairs = await unpackPainting(made.painted, spec);
    if (!made.pairs?.some((pair) => pair > 0)) throw new Blank("nothing is painted yet: draw on the canvas with the mouse or a finger");
    if (changes.pairs) made.painted = await packPainting(made.pairs);
  }
  return made;
};

const firstSettings = (spec) => ({ ...spec.defaults, sliders: Object.fromEntries(spec.priors[spec.defaults.prior].map((one) => [one.name, one.start])), pairs: null });

const readSettings = async (text, spec) => {
  const trimmed = String(text).trim();
  if (!trimmed.startsWith(spec.scheme)) throw new Error(`settings must be a string that begins with '${spec.scheme}', got '${trimmed.slice(0, 60)}'`);
  const changes = {};
  for (const [name, word] of new URLSearchParams(trimmed.slice(spec.scheme.length))) {
    const start = spec.defaults[name];
    if (name === "sliders") throw new Error("settings must have each slider by its name, such as noise=0.2, got 'sliders'");
    if (typeof start === "string") {
      changes[name] = word;
      continue;
    }
    const whole = typeof start === "boolean" || name === "seed" || name === "batch";
    const pattern = whole ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
    if (!pattern.test(word.trim())) throw new Error(`${name.slice(0, 40)} must be a number, got '${word.slice(0, 60)}'`);
    changes[name] = typeof start === "boolean" ? Number(word) !== 0 : Number(word);
  }
  return changedSettings(firstSettings(spec), changes, spec);
};

// A number as Python writes it.
const pythonFloat = (value, zero) => {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${Object.is(value, -0) ? "-0" : value}${zero}`;
  if (Math.abs(value) >= 1e-4) return String(value);
  const [digits, power] = value.toExponential().split("e-");
  return `${digits}e-${power.padStart(2, "0")}`;
};

const writeSettings = (settings, spec) => {
  const words = [];
  for (const [name, start] of Object.entries(spec.defaults)) {
    const value = settings[name];
    if (name === "sliders") {
      for (const slider of spec.priors[settings.prior]) {
        if (value[slider.name] !== slider.start) words.push([slider.name, pythonFloat(value[slider.name], "")]);
      }
    } else if (value !== start) {
      const float = spec.dials.some((dial) => dial.name === name);
      words.push([name, typeof value === "boolean" ? String(+value) : float ? pythonFloat(value, ".0") : String(value)]);
    }
  }
  return spec.scheme + new URLSearchParams(words);
};
