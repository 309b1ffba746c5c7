"""Particles that slide down MMD^2 towards a target, and an animation of them that plays in a page without a server."""

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.mmd import mmd2, witness
from sculptlab.mmd.inputs import pair_of_codes
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import as_kernel
from sculptlab.plots.style import CODES, PRIOR, TEXT, WIDTH, Picture, panels, style
from sculptlab.validation import codes, number, whole

STAGE = 280  # pixels a panel of the animation is wide, at most
SHOWN = 0.999  # of all positions lie within the panels


def flow(
    start: Any, target: Any, kernel: Kernel | None = None, *, step: float, noise: float = 0.0, seed: int = 0
) -> Iterator[Tensor]:
    """Positions (n, d) of particles under the gradient flow of MMD^2: `start` (n, d), then one step after the other, for ever.

    x_i <- x_i - step grad f(x_i + noise u_i), with f the witness function of the particles against `target` (m, d) and
    u_i ~ N(0, I) drawn anew with `seed`. grad f(x_i) is n/2 times the gradient of the biased MMD^2 in x_i, so that a step
    is as long for many particles as for few. `step` is in squared units of the codes (an Energy kernel: in units), `noise`
    in units. An open width of `kernel` (default `IMQ()`) is set by `target`.
    Noise helps particles that feel no pull, and must be taken away at the end: they keep moving with it.
    Raises ValueError as `mmd2` does, for a step that is not > 0 and for particles that leave all bounds (a step too large).
    Source: Arbel et al. 2019, arXiv 1906.04370.
    """
    number("step", step, above=0)
    number("noise", noise, least=0)
    x, y = (rows.detach() for rows in pair_of_codes(start, target, names=("start", "target")))
    generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
    fitted = as_kernel(kernel).fit(y)
    return _steps(x.clone(), y, fitted, step, noise, generator)


def _steps(x: Tensor, y: Tensor, kernel: Kernel, step: float, noise: float, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield x
        x = x - step * _slope(x, y, kernel, noise, generator)
        if not bool(torch.isfinite(x).all()):
            raise ValueError(f"step must be small enough for the particles to stay finite, got {step}")


def _slope(x: Tensor, y: Tensor, kernel: Kernel, noise: float, generator: torch.Generator) -> Tensor:
    """The witness function's gradient at the particles, or near them."""
    with torch.enable_grad():
        if noise == 0:
            at = x.clone().requires_grad_()
            value = len(x) / 2 * mmd2(at, y, kernel, "biased")
        else:
            kick = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
            at = (x + noise * kick).requires_grad_()
            value = witness(x, y, at, kernel).sum()
        return torch.autograd.grad(value, at)[0]


class Animation:
    """Particles in the plane, a panel for each named flow, all played by one button and one slider.

    flows    name -> positions (frames, n, 2), all of as many frames; the name is the panel's title
    target   (m, 2), drawn in gray
    labels   the words under the slider, one a frame; None numbers the frames

    A notebook and its HTML export play it, drawn by a few lines of script from the positions themselves; no server, no
    library. It starts on demand and loops; where scripts do not run there are the first and last frame as a picture.
    `strip(frames)` gives chosen frames side by side as a `Picture`.
    """

    def __init__(self, flows: Mapping[str, Any], target: Any, *, labels: list[str] | None = None) -> None:
        if not flows:
            raise ValueError("flows must name at least one flow, got none")
        self.target = codes("target", target, dim=2, rows=1).detach().cpu().numpy()
        self.flows = {name: _frames(name, positions) for name, positions in flows.items()}
        counts = {name: len(positions) for name, positions in self.flows.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"flows must have the same number of frames, got {counts}")
        self.labels = [f"frame {i}" for i in range(next(iter(counts.values())))] if labels is None else list(labels)
        if len(self.labels) != next(iter(counts.values())):
            raise ValueError(f"labels must be one a frame, {next(iter(counts.values()))}, got {len(self.labels)}")
        # nearly all of what is ever drawn: one particle far away must not shrink the rest to a dot
        moving = np.concatenate([positions.reshape(-1, 2) for positions in self.flows.values()])
        self.reach = 1.08 * max(float(np.abs(self.target).max()), float(np.quantile(np.abs(moving).max(1), SHOWN)))

    def strip(self, frames: list[int], *, title: str | None = None) -> Picture:
        """The `frames` side by side, a row for each flow."""
        picture, axes = panels(len(self.flows), len(frames), height=0.2 + 0.9 * WIDTH / max(3, len(frames)))
        if title is not None:
            picture.suptitle(title, fontsize=12, color=TEXT)
        limits = (-self.reach, self.reach)
        for row, (name, positions) in zip(axes, self.flows.items(), strict=True):
            for ax, frame in zip(row, frames, strict=True):
                ax.plot(*self.target.T, linestyle="none", marker=".", markersize=3, color=PRIOR, alpha=0.6)
                ax.plot(*positions[frame].T, linestyle="none", marker="o", markersize=2.5, color=CODES)
                ax.set(xlim=limits, ylim=limits, aspect="equal", xticks=[], yticks=[])
                style(ax, title=self.labels[frame] if ax in axes[0] else None, y=name if ax is row[0] else None)
                ax.spines[["top", "right"]].set_visible(True)
        return picture

    def _repr_html_(self) -> str:
        facts = {
            "target": _rounded(self.target),
            "flows": [[_rounded(frame) for frame in positions] for positions in self.flows.values()],
            "labels": self.labels,
            "reach": self.reach,
            "colors": [PRIOR, CODES],
        }
        data = json.dumps(facts, separators=(",", ":")).replace("</", "<\\/")
        name = "particles-" + hashlib.sha1(data.encode()).hexdigest()[:10]
        stages = "".join(
            f'<figure style="margin:4px;flex:1 1 0;min-width:150px;max-width:{STAGE}px"><figcaption style="text-align:center">'
            f'{html.escape(title)}</figcaption><canvas width="{2 * STAGE}" height="{2 * STAGE}" role="img" '
            f'style="width:100%;height:auto;background:white" aria-label="particles and target: {html.escape(title)}">'
            f"</canvas></figure>"
            for title in self.flows
        )
        still = base64.b64encode(self.strip([0, len(self.labels) - 1])._repr_png_()).decode()
        return PAGE.replace("NAME", name).replace("STAGES", stages).replace("STILL", still).replace("DATA", data)


PAGE = """<div class="NAME" style="font-family:sans-serif;font-size:13px">
<img class="still" alt="first and last frame" style="max-width:100%" src="data:image/png;base64,STILL">
<div class="player" style="display:none"><div style="display:flex;flex-wrap:wrap">STAGES</div>
<button type="button" class="play">&#9654; play</button>
<input type="range" class="frame" min="0" value="0" aria-label="frame" style="width:320px;vertical-align:middle">
<span class="label"></span></div></div>
<script>(function () {
const facts = DATA;
for (const box of document.querySelectorAll("div.NAME:not([data-on])")) {
  box.dataset.on = "1";
  const find = (name) => box.querySelector("." + name), play = find("play"), slider = find("frame");
  const stages = Array.from(box.querySelectorAll("canvas")), last = facts.labels.length - 1;
  let timer = null;
  function dots(pen, size, rows, color, radius) {
    pen.fillStyle = color;
    for (let i = 0; i < rows.length; i += 2) {
      pen.beginPath();
      pen.arc(size / 2 * (1 + rows[i] / facts.reach), size / 2 * (1 - rows[i + 1] / facts.reach), radius, 0, 7);
      pen.fill();
    }
  }
  function draw() {
    const at = Number(slider.value);
    stages.forEach((stage, k) => {
      const pen = stage.getContext("2d"), size = stage.width;
      pen.clearRect(0, 0, size, size);
      pen.strokeStyle = "#999999"; pen.strokeRect(0, 0, size, size);
      dots(pen, size, facts.target, facts.colors[0] + "80", 4);
      dots(pen, size, facts.flows[k][at], facts.colors[1], 5);
    });
    find("label").textContent = facts.labels[at];
  }
  function stop() { clearInterval(timer); timer = null; play.textContent = "\\u25b6 play"; }
  function next() {
    if (!box.isConnected) { stop(); return; }
    slider.value = Number(slider.value) === last ? 0 : Number(slider.value) + 1; draw();
  }
  play.onclick = () => {
    if (timer) { stop(); } else { play.textContent = "\\u275a\\u275a pause"; timer = setInterval(next, 90); }
  };
  slider.max = last; slider.oninput = () => { stop(); draw(); };
  find("still").style.display = "none"; find("player").style.display = ""; draw();
}})();</script>"""


def _frames(name: str, positions: Any) -> np.ndarray:
    if isinstance(positions, list | tuple):
        positions = torch.stack([torch.as_tensor(frame) for frame in positions])
    found = torch.as_tensor(positions).detach().cpu().double().numpy()
    if found.ndim != 3 or found.shape[2] != 2 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"flows[{name!r}] must be finite positions of shape (frames, n, 2), got {found.shape}")
    return found


def _rounded(rows: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in rows.ravel()]
