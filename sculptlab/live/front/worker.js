// The Web Worker's loop: it takes the requests of the page (see asking.js), trains, and sends frames, at most two ahead of the page.

const [FRAME_MS, SCORES_MS, SLOW_MS, SETTLED_MS, BURST_MS] = [22, 120, 400, 250, 10]; // SCORES_MS: while it plays, which is costly
const COUNTERS = ["revision", "plays", "steps", "resets", "reseeds", "views", "seen", "codes"];

class Session {
  constructor(engine, send) {
    Object.assign(this, { engine, send, play: false, slow: false, hidden: false, revision: 0, sent: 0, seen: 0, span: engine.spec.reach });
    this.done = { ...Object.fromEntries(COUNTERS.map((name) => [name, 0])), on: false, slow: false, arrows: false, pointer: null };
    this.dirty = this.unsettled = true;
    this.nextStep = this.lastChange = this.lastFrame = this.lastScores = 0;
    this.requests = Promise.resolve();
    this.turning = new MessageChannel();
    this.turning.port1.onmessage = () => this.turn();
    this.waiting = false;
    this.timer = 0;
  }
  get playing() { return this.play && !this.hidden && !this.engine.blank && !this.engine.error; }
  hear(asked) { this.requests = this.requests.then(() => this.carryOut(asked)).then(() => this.wake()); } // one after the other
  hide(hidden) {
    this.hidden = hidden;
    this.wake();
  }
  wake(after = 0) { // a turn soon, or after so many milliseconds unless there is another reason before
    if (this.waiting && (after > 0 || !this.timer)) return;
    clearTimeout(this.timer);
    this.waiting = true;
    this.timer = after > 0 ? setTimeout(() => this.turn(), after) : 0;
    if (!this.timer) this.turning.port2.postMessage(0);
  }
  async carryOut(asked) {
    const { done, engine } = this, fresh = (name) => asked[name] > done[name];
    this.seen = Math.max(this.seen, asked.seen);
    const slow = asked.slow !== done.slow, news = slow || asked.pointer !== done.pointer || asked.arrows !== done.arrows || COUNTERS.some((name) => name !== "seen" && fresh(name));
    const before = { ...done };
    Object.assign(done, asked, Object.fromEntries(COUNTERS.map((name) => [name, Math.max(asked[name], done[name])])));
    if (!news) return;
    this.dirty = this.asked = true;
    if (slow) Object.assign(this, { slow: asked.slow, nextStep: 0 });
    if (asked.plays > before.plays) this.play = asked.on;
    if ((this.playing || asked.steps > before.steps) && !engine.error && !engine.blank) engine.notice = "";
    for (let i = before.steps; i < asked.steps; i++) if (engine.advance()) this.play = false;
    const changed = asked.revision > before.revision || asked.resets > before.resets || asked.reseeds > before.reseeds;
    try {
      if (asked.revision > before.revision) await engine.change(await this.changesOf(asked.changes));
      if (asked.resets > before.resets) engine.reset();
      if (asked.reseeds > before.reseeds) engine.reset((engine.settings.seed + 1) % 2 ** 32);
    } catch (error) {
      if (error instanceof Blank) engine.clear();
      else engine.notice = error.message;
    }
    if (engine.error) this.play = false;
    this.revision = Math.max(this.revision, asked.revision);
    if (changed) Object.assign(this, { unsettled: true, lastChange: performance.now() });
    if (asked.codes > before.codes) this.send({ kind: "code", text: this.script(), settings: writeSettings(engine.settings, engine.spec) }, []);
  }
  changesOf(changes) {
    if ("text" in changes) return readSettings(changes.text, this.engine.spec);
    const { painting, ...others } = changes;
    if (painting === undefined) return others;
    return { ...others, prior: "painted", painted: "", pairs: bytesOf(painting) };
  }
  script() {
    const text = writeSettings(this.engine.settings, this.engine.spec);
    return `import sculptlab as sl\n\nsculptor = sl.Sculptor(settings=${JSON.stringify(text)})\nhistory = sculptor.run(${this.engine.step})\nsculptor\n`;
  }
  turn() {
    Object.assign(this, { waiting: false, timer: 0 });
    let now = performance.now();
    const until = now + BURST_MS;
    while (this.playing && now >= this.nextStep && now < until) {
      if (!this.engine.advance()) this.play = false;
      this.dirty = true;
      this.nextStep = this.slow ? now + SLOW_MS : 0;
      now = performance.now();
    }
    const settled = now - this.lastChange > SETTLED_MS, may = !this.hidden && this.done.views > 0 && this.sent - this.seen < 2;
    if (may && (this.dirty || (this.unsettled && settled)) && (this.asked || now - this.lastFrame >= FRAME_MS)) {
      Object.assign(this, { lastFrame: now, dirty: false, asked: false, unsettled: this.unsettled && !settled });
      const { pointer, arrows } = this.done;
      const measured = !this.playing || this.slow || now - this.lastScores >= SCORES_MS || this.engine.rows.size === 0;
      if (measured) this.lastScores = now;
      const [content, buffers] = this.engine.frame(pointer, this.span, settled, measured, arrows);
      this.span = content.span;
      this.sent += 1;
      this.send({ ...content, number: this.sent, playing: this.playing, slow: this.slow, revision: this.revision }, buffers);
    }
    if (this.playing) this.wake(Math.max(0, this.nextStep - now));
    else if ((this.dirty || this.unsettled) && may) this.wake(FRAME_MS);
  }
}

// What Python packed: all pixels of the held-out and the training images in 0 ... 16, then the labels of the held-out ones.
const unpackImages = async ({ packed, held, count, names }) => {
  const bytes = await flate(bytesOf(packed), new DecompressionStream("deflate"));
  const pixels = Float32Array.from(bytes.subarray(0, (held + count) * PIXELS), (v) => v / 16);
  return { held, count, names, heldOut: pixels.slice(0, held * PIXELS), training: pixels.slice(held * PIXELS),
    labels: Float64Array.from(bytes.subarray((held + count) * PIXELS)) };
};

const startWorker = (scope) => {
  let session = null;
  const early = [];
  const act = ({ asked, hidden }) => {
    if (asked) session.hear(asked);
    if (hidden !== undefined) session.hide(hidden);
  };
  scope.onmessage = async ({ data }) => {
    if (!data.spec) {
      if (session) act(data);
      else early.push(data);
      return;
    }
    const images = await unpackImages(data.images);
    let settings = firstSettings(data.spec), notice = "";
    if (data.text !== null) {
      try {
        settings = await readSettings(data.text, data.spec);
      } catch (error) { notice = `The settings of this link cannot be used: ${error.message}. Shown instead: the ${settings.prior}.`; }
    }
    const engine = new Engine(data.spec, images, settings);
    engine.start(data.steps);
    engine.notice ||= notice;
    session = new Session(engine, (content, buffers) => scope.postMessage({ content, buffers }));
    early.forEach(act);
  };
};
