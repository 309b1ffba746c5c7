// The canvas on which a target is painted, with mouse, finger or keys; `spec` is the description of the controls from the kernel.

const BRUSHES = { fine: 0.8, medium: 1.7, broad: 3.4 }; // half the width, in pixels of the canvas

class PaintCanvas {
  // `shape()`: the changes that give the shape that is shown; null where it is a painting, to which the next stroke adds. `send(changes)`
  // sends changes, of which a painting is in the kernel's format.
  constructor(spec, shape, send) {
    Object.assign(this, { size: spec.paper, levels: spec.levels, reach: spec.reach, map: spec.map, shape, send, down: false, erase: false, past: [] });
    this.cursor = [this.size / 2, this.size / 2];
    this.gray = new Float32Array(this.size ** 2);
    this.canvas = html("canvas", { className: "paper square", tabIndex: 0, role: "img" });
    this.canvas.setAttribute("aria-label", "The target's density. Paint with mouse or finger; or arrow keys and Enter, Backspace erases.");
    this.sheet = new Sheet(this.canvas);
    this.eraser = html("button", { type: "button", title: "erase instead of painting", onclick: () => this.turnEraser() }, "Eraser");
    this.eraser.setAttribute("aria-pressed", "false");
    this.back = html("button", { type: "button", title: "take the last stroke back (Ctrl+Z on the canvas)", onclick: () => this.undo() }, "Undo");
    this.brush = html("select", { title: "width of brush and eraser" }, ...Object.keys(BRUSHES).map((name) => html("option", { value: name }, name)));
    this.brush.setAttribute("aria-label", "Brush");
    this.brush.value = "medium";
    this.tools = html("div", { className: "tools" }, this.brush, this.eraser, this.back,
      html("button", { type: "button", title: "blank canvas", onclick: () => this.clear() }, "Clear"));
    this.forget();
    this.listen();
  }
  // ---- strokes that can be taken back
  remember() {
    this.past = [...this.past.slice(-29), { gray: this.gray, shape: this.shape() }];
    this.gray = this.gray.slice();
    this.back.disabled = false;
  }
  forget() {
    this.past = [];
    this.back.disabled = true;
  }
  undo() {
    const last = this.past.pop();
    this.back.disabled = !this.past.length;
    if (!last) return;
    this.gray = last.gray;
    if (last.shape) {
      this.send(last.shape);
      return;
    }
    this.draw(true);
    this.tell();
  }
  turnEraser() {
    this.erase = !this.erase;
    this.eraser.setAttribute("aria-pressed", this.erase);
  }
  clear() { // nothing is left to erase, so the next stroke paints
    this.remember();
    if (this.erase) this.turnEraser();
    this.gray.fill(0);
    this.draw(true);
    this.tell();
  }
  listen() {
    const spot = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * this.size, (event.clientY - box.top) / box.height * this.size];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.begin();
      this.down = true;
      this.last = spot(event);
      this.canvas.setPointerCapture(event.pointerId);
      this.stroke(this.last);
    });
    this.canvas.addEventListener("pointermove", (event) => { if (this.down) this.stroke(spot(event)); });
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, () => {
        if (this.down) this.tell();
        if (this.erase && !this.gray.some((v) => v > 0)) this.turnEraser(); // nothing is left to erase
        this.down = false;
      });
    }
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }
  begin() { // a stroke adds to a painting; on a preset shape it starts a new painting, but the eraser erases from the shape
    this.remember();
    if (!this.shape()) return;
    const { size, density } = this;
    const across = size * this.map;
    const edge = Math.floor((across - size) / 2);
    const shown = (i) => density[(Math.floor(i / size) + edge) * across + (i % size) + edge] / 255; // the square root of the density
    this.gray = this.gray.map((_, i) => (this.erase && density ? shown(i) ** 2 : 0));
  }
  stroke(to) {
    const [from, size, radius] = [this.last, this.size, BRUSHES[this.brush.value]], reach = Math.ceil(2 * radius);
    const far = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let k = 0; k <= far; k++) {
      const [x, y] = [0, 1].map((i) => from[i] + ((to[i] - from[i]) * k) / far);
      for (let row = Math.floor(y - reach); row <= y + reach; row++) {
        for (let column = Math.floor(x - reach); column <= x + reach; column++) {
          if (row < 0 || column < 0 || row >= size || column >= size) continue;
          const gray = Math.max(0, 1 - Math.hypot(column + 0.5 - x, row + 0.5 - y) / (2 * radius)) ** 0.5;
          const i = row * size + column;
          this.gray[i] = this.erase ? this.gray[i] * (gray > 0.3 ? 0 : 1) : Math.max(this.gray[i], gray > 0.3 ? gray : 0);
        }
      }
    }
    this.last = to;
    this.draw(true);
    if (performance.now() - (this.told || 0) > 150) this.tell();
  }
  key(event) {
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.undo();
      return;
    }
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const inked = event.key === "Enter" || event.key === "Backspace";
    if (!move && !inked) return;
    event.preventDefault();
    if (move) this.cursor = this.cursor.map((v, i) => Math.min(this.size - 1, Math.max(0, v + move[i])));
    if (inked) {
      const erase = this.erase;
      this.erase = event.key === "Backspace";
      this.begin();
      this.last = this.cursor;
      this.stroke(this.cursor);
      this.erase = erase;
      this.tell();
    }
    this.draw(inked);
  }
  tell() {
    this.told = performance.now();
    this.send({ painting: this.encoded() });
  }
  encoded() {
    const levels = Array.from(this.gray, (v) => Math.round(v * this.levels));
    let bytes = "";
    for (let i = 0; i < levels.length; i += 2) bytes += String.fromCharCode(levels[i] * 16 + levels[i + 1]);
    return btoa(bytes);
  }
  take(bytes) { this.gray = Float32Array.from(bytes, (v) => v / this.levels); }

  // Shows the density of a prior, as the kernel sends it, cropped to the canvas; or the painting, where it is null.
  show(density, colors) {
    Object.assign(this, { density, colors });
    this.draw();
  }
  draw(own = false) {
    if (!this.colors || !this.sheet.begin()) return;
    const { at, width } = this.sheet;
    const mine = own || this.down || !this.density;
    const bytes = mine ? Uint8Array.from(this.gray, (v) => 255 * v) : this.density;
    const [size, across] = [this.size, mine ? this.size : this.size * this.map];
    const edge = (across - size) / 2;
    at.imageSmoothingEnabled = !mine;
    at.drawImage(image(bytes, across, across, 1, shade(0.85, this.colors.dark)), edge, edge, size, size, 0, 0, width, width);
    drawAxes(at, width, this.reach, this.colors);
    if (this.canvas.matches(":focus-visible")) {
      const unit = width / this.size;
      at.strokeStyle = this.colors.mmd;
      at.strokeRect((this.cursor[0] - 1.5) * unit, (this.cursor[1] - 1.5) * unit, 3 * unit, 3 * unit);
    }
  }
}
