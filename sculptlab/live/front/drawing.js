// Draws a frame: functions of a scene { frame, spec, colors } and a canvas. `lane` is the part of a frame that belongs to one model.

const drawAxes = (at, width, span, colors) => {
  at.font = "10px system-ui, sans-serif";
  at.fillStyle = colors.quiet;
  at.strokeStyle = colors.line;
  at.lineWidth = 1;
  const least = span / 8; // for any span: the codes of a model that diverges may be anywhere
  const power = 10 ** Math.floor(Math.log10(least));
  const stride = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least);
  const count = Math.floor(span / stride);
  for (let k = -count; k <= count; k++) {
    const x = (k * stride / span + 1) * width / 2;
    at.beginPath();
    at.moveTo(x, width - 4); at.lineTo(x, width); at.moveTo(0, x); at.lineTo(4, x);
    at.stroke();
    if (k % 2 === 0 && x > 12 && x < width - 12) {
      at.textAlign = "center";
      at.fillText(short(k * stride), x, width - 7);
      at.textAlign = "left";
      if (k && x > 28 && x < width - 24) at.fillText(short(-k * stride), 7, x + 3);
    }
  }
  if (width < 300) return; // the small canvas of the target shows the same plane
  at.textAlign = "right";
  at.fillText("latent 0", width - 6, width - 20);
  at.textAlign = "left";
  at.fillText("latent 1", 8, 14);
};

const drawDensity = ({ frame, spec, colors }, at, place) => {
  const [reach, across] = [spec.map * spec.reach, spec.map * spec.paper];
  at.imageSmoothingEnabled = true;
  const side = place(reach) - place(-reach);
  at.drawImage(image(frame.density, across, across, 1, shade(0.38, colors.dark)), place(-reach), place(-reach), side, side);
};

// The part of the plane that the decoded plane shows.
const drawFrame = (at, start, side, colors) => {
  at.strokeStyle = colors.quiet;
  at.lineWidth = 1;
  at.setLineDash([2, 4]);
  at.strokeRect(start, start, side, side);
  at.setLineDash([]);
};

// The codes of a model over their target.
const drawPlane = (scene, lane, { at, width }) => {
  const { frame, spec, colors } = scene;
  const place = (v) => (v / frame.span + 1) * width / 2;
  if (!frame.blank) drawDensity(scene, at, place);
  drawAxes(at, width, frame.span, colors);
  drawFrame(at, place(-frame.box), place(frame.box) - place(-frame.box), colors);
  const names = frame.labels ? [...new Set(frame.labels)].sort((a, b) => a - b) : [0];
  for (const name of names) {
    at.fillStyle = classColor(frame.labels ? name : 0, colors.dark);
    at.beginPath();
    for (let i = 0; i < frame.count; i++) {
      if (frame.labels && frame.labels[i] !== name) continue;
      const [x, y] = [place(lane.codes[2 * i]), place(-lane.codes[2 * i + 1])];
      at.moveTo(x + 2.4, y);
      at.arc(x, y, 2.4, 0, 7);
    }
    at.globalAlpha = 0.8;
    at.fill();
    at.globalAlpha = 1;
  }
  if (lane.pulls) drawPulls(scene, lane, at, place);
  if (frame.labels) drawNames(at, colors, frame.labels, frame.label_names, (i) => [place(lane.codes[2 * i]), place(-lane.codes[2 * i + 1])]);
  if (frame.pointer && frame.pointer.lane === lane.name) drawPointer(scene, lane, at, place);
};

// An arrow from each code: where to, and how strongly, MMD² pulls it. At the chance level it is AT_CHANCE pixels long.
const [AT_CHANCE, LONGEST] = [5, 60];
const drawPulls = ({ frame, colors }, lane, at, place) => {
  at.strokeStyle = colors.ink;
  at.lineWidth = 1;
  at.beginPath();
  for (let i = 0; i < frame.count; i++) {
    const [x, y] = [place(lane.codes[2 * i]), place(-lane.codes[2 * i + 1])], [px, py] = [lane.pulls[2 * i], -lane.pulls[2 * i + 1]];
    const strength = Math.hypot(px, py), length = Math.min(LONGEST, AT_CHANCE * strength);
    if (!(length > 1)) continue;
    const [dx, dy] = [px / strength * length, py / strength * length], head = Math.min(0.4, 4 / length);
    at.moveTo(x, y);
    at.lineTo(x + dx, y + dy);
    for (const side of [-0.6, 0.6]) {
      at.moveTo(x + dx, y + dy);
      at.lineTo(x + dx - head * (dx - side * dy), y + dy - head * (dy + side * dx));
    }
  }
  at.globalAlpha = 0.75;
  at.stroke();
  at.globalAlpha = 1;
};

const drawPointer = ({ frame, colors }, lane, at, place) => {
  const { pointer } = frame;
  at.strokeStyle = colors.ink;
  at.lineWidth = 1.5;
  pointer.rows.forEach((i, k) => {
    at.beginPath();
    at.arc(place(lane.codes[2 * i]), place(-lane.codes[2 * i + 1]), k ? 4 : 6, 0, 7);
    at.stroke();
  });
  const [x, y] = [place(pointer.at[0]), place(-pointer.at[1])];
  at.beginPath();
  at.moveTo(x - 7, y); at.lineTo(x + 7, y); at.moveTo(x, y - 7); at.lineTo(x, y + 7);
  at.stroke();
};

// The decoded plane, as tiles, with its axes to the left and below.
const MARGIN = 22; // pixels, for the axes
const drawGrid = ({ frame, spec, colors }, lane, { at, width: whole }) => {
  const [height, across, channels] = frame.sheet, width = whole - MARGIN;
  drawTileAxes(at, width, frame.box, colors);
  at.save();
  at.translate(MARGIN, 0);
  drawTiles(at, lane, frame, spec, colors, width, image(lane.sheet, height, across, channels));
  at.restore();
};

const drawTileAxes = (at, width, box, colors) => {
  at.font = "10px system-ui, sans-serif";
  at.fillStyle = at.strokeStyle = colors.quiet;
  at.lineWidth = 1;
  const stride = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((step) => step > box / 3) ?? box / 2;
  for (let k = -Math.floor(box / stride); k * stride <= box; k++) {
    const place = (k * stride / box + 1) * width / 2;
    at.beginPath();
    at.moveTo(MARGIN + place, width); at.lineTo(MARGIN + place, width + 4); at.moveTo(MARGIN - 4, place); at.lineTo(MARGIN, place);
    at.stroke();
    at.textAlign = "center";
    at.fillText(short(k * stride), MARGIN + Math.min(place, width - 8), width + 15);
    at.textAlign = "right";
    at.fillText(short(-k * stride), MARGIN - 5, Math.max(9, place + 3));
  }
};

const drawTiles = (at, lane, frame, spec, colors, width, tiles) => {
  at.imageSmoothingEnabled = false;
  at.drawImage(tiles, 0, 0, width, width);
  at.strokeStyle = colors.panel;
  at.lineWidth = 2;
  at.beginPath();
  for (let k = 1; k < spec.side; k++) {
    const edge = k * width / spec.side;
    at.moveTo(edge, 0); at.lineTo(edge, width); at.moveTo(0, edge); at.lineTo(width, edge);
  }
  at.stroke();
  const { pointer, box } = frame;
  if (!pointer || pointer.lane !== lane.name) return;
  const [x, y] = [(pointer.at[0] / box + 1) * width / 2, (1 - pointer.at[1] / box) * width / 2];
  at.strokeStyle = "#E69F00";
  at.lineWidth = 2;
  at.strokeRect(x - width / 2 / spec.side, y - width / 2 / spec.side, width / spec.side, width / spec.side);
};

// A word, cut off where it is wider than `width`.
const fitting = (word, at, width) => {
  if (at.measureText(word).width <= width) return word;
  let kept = word.length - 1;
  while (kept > 1 && at.measureText(`${word.slice(0, kept)}…`).width > width) kept--;
  return `${word.slice(0, kept)}…`;
};

// The images near the pointer, in a row.
const drawStrip = ({ frame, colors }, lane, { at, width }) => {
  const { pointer } = frame;
  if (!pointer || pointer.lane !== lane.name) return;
  const [count, height, across, channels] = pointer.shape;
  const named = (k) => (pointer.labels ? frame.label_names[pointer.labels[k]] ?? pointer.labels[k] : "");
  const cell = Math.min(46, width / count - 4);
  at.imageSmoothingEnabled = false;
  at.font = "10px system-ui, sans-serif";
  at.textAlign = "center";
  at.fillStyle = colors.quiet;
  for (let k = 0; k < count; k++) {
    const part = pointer.images.subarray(k * height * across * channels, (k + 1) * height * across * channels);
    const x = k * (width / count);
    at.drawImage(image(part, height, across, channels), x, 0, cell, cell);
    const label = pointer.labels && k && k !== 2 ? [String(named(Math.max(0, k - 2)))] : []; // only images of the data set have a label
    const words = [["here", "image", "recon."][k] ?? "next", ...label];
    words.forEach((word, line) => at.fillText(fitting(word, at, width / count - 2), x + cell / 2, cell + 11 + 11 * line));
  }
};
