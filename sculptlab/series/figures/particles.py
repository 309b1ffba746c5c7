"""An animation of points that follow a gradient, which plays in a page without a server."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import torch

from sculptlab.plots.style import CODES, PRIOR, WIDTH, Picture, style
from sculptlab.series.figures.common import grid
from sculptlab.validation import codes


class Animation:
    """Particles in the plane: a panel for each named flow, played by one button and one slider.

    flows: {panel's title: positions (frames, n, 2)}, all with the same number of frames. target: (m, 2), drawn in gray.
    labels: the words under the slider, one a frame; by default its number.

    A notebook and its HTML export play it by a short script from the positions themselves, without a server or a library.
    Where scripts do not run, the first and the last frame are shown. `strip(frames)` gives frames side by side as a figure.
    """

    def __init__(self, flows: Mapping[str, Any], target: Any, *, labels: list[str] | None = None) -> None:
        self.target = codes("target", target, dim=2, rows=1).detach().cpu().numpy()
        self.flows = {name: _positions(name, positions) for name, positions in flows.items()}
        counts = {name: len(positions) for name, positions in self.flows.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"flows must name at least one flow, all of the same number of frames, got {counts}")
        frames = next(iter(counts.values()))
        self.labels = [f"frame {i}" for i in range(frames)] if labels is None else list(labels)
        if len(self.labels) != frames:
            raise ValueError(f"labels must be one a frame, {frames}, got {len(self.labels)}")
        farthest = np.abs(np.concatenate([positions.reshape(-1, 2) for positions in self.flows.values()])).max(1)
        # 99.9 % of the positions: a single particle far away must not set the scale
        self.reach = 1.08 * max(float(np.abs(self.target).max()), float(np.quantile(farthest, 0.999)))

    def strip(self, frames: list[int], *, title: str | None = None) -> Picture:
        """The frames side by side, a row for each flow."""
        height = 0.2 + 0.9 * WIDTH / max(3, len(frames))
        figure, axes = grid(len(self.flows), len(frames), height=height, title=title)
        limits = (-self.reach, self.reach)
        for row, (name, positions) in zip(axes, self.flows.items(), strict=True):
            for ax, frame in zip(row, frames, strict=True):
                ax.plot(*self.target.T, linestyle="none", marker=".", markersize=3, color=PRIOR, alpha=0.6)
                ax.plot(*positions[frame].T, linestyle="none", marker="o", markersize=2.5, color=CODES)
                ax.set(xlim=limits, ylim=limits, aspect="equal", xticks=[], yticks=[])
                style(ax, title=self.labels[frame] if ax in axes[0] else None, y=name if ax is row[0] else None)
                ax.spines[["top", "right"]].set_visible(True)
        return figure

    def _repr_html_(self) -> str:
        facts = {
            "target": _rounded(self.target),
            "flows": [[_rounded(frame) for frame in positions] for positions in self.flows.values()],
            "labels": self.labels,
            "reach": self.reach,
            "colors": [PRIOR, CODES],
        }
        data = json.dumps(facts, separators=(",", ":")).replace("</", "<\\/")
        stages = "".join(
            f'<figure style="margin:4px;flex:1 1 0;min-width:150px;max-width:280px"><figcaption style="text-align:center">'
            f'{html.escape(title)}</figcaption><canvas width="560" height="560" role="img" '
            f'style="width:100%;height:auto;background:white" aria-label="particles and target: {html.escape(title)}">'
            f"</canvas></figure>"
            for title in self.flows
        )
        return Template(files(__package__).joinpath("particles.html").read_text(encoding="utf-8")).substitute(
            name="particles-" + hashlib.sha1(data.encode()).hexdigest()[:10],
            stages=stages,
            still=base64.b64encode(self.strip([0, len(self.labels) - 1])._repr_png_()).decode(),
            data=data,
        )


def _positions(name: str, positions: Any) -> np.ndarray:
    if isinstance(positions, list | tuple):
        positions = torch.stack([torch.as_tensor(frame, device="cpu") for frame in positions])
    found = torch.as_tensor(positions, device="cpu").detach().cpu().double().numpy()
    if found.ndim != 3 or found.shape[2] != 2 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"flows[{name!r}] must be finite positions of shape (frames, n, 2), got {found.shape}")
    return found


def _rounded(rows: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in rows.ravel()]
