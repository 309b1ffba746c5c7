"""The Sculptor as a picture, for pages without a kernel: codes over their target, decoded plane, and the numbers so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sculptlab.live.sculptor_engine import Engine
from sculptlab.live.sculptor_measures import SIDE, reach, sheet
from sculptlab.plots.codes import density
from sculptlab.plots.style import BAD, CODES, PRIOR, Picture, panels, style

LINES = {"mmd": CODES, "kl": BAD}


def still(engine: Engine) -> Picture:
    """One row of panels to a lane: codes by class over the prior's outlines, the decoded plane, MMD² and its null band."""
    lanes = engine.settings.lanes
    picture, axes = panels(len(lanes), 3, height=3.0)
    history = engine.history
    for row in axes[1:]:
        row[2].sharey(axes[0, 2])
    for row, lane in zip(axes, lanes, strict=True):
        codes, labels = engine.codes(lane).numpy(), engine.pictures.labels
        finite = np.isfinite(codes).all(1)  # of a model that broke down perhaps none
        if finite.any():
            density(codes[finite], row[0], engine.target.prior, None if labels is None else labels.numpy()[finite])
            _widen(row[0], codes[finite])
        row[0].set_aspect("equal")
        style(row[0], title=f"{lane.upper()}, step {engine.step:,}: codes, target", x="latent 0", y="latent 1")
        box = engine.target.box
        decoded = sheet(engine.model(lane), box)
        row[1].imshow(decoded.squeeze(), extent=(-box, box, -box, box), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        for edge in np.linspace(-box, box, SIDE + 1)[1:-1]:
            row[1].axhline(edge, color="white", linewidth=1)
            row[1].axvline(edge, color="white", linewidth=1)
        style(row[1], title="Decoded over the plane", x="latent 0", y="latent 1")
        if len(history):
            row[2].plot(history["step"], history[f"{lane} mmd2"], color=LINES[lane], linewidth=1.6)
            row[2].set_ylim(*_scale(history, lanes, engine.target.band))
        row[2].axhspan(-engine.target.band, engine.target.band, color=PRIOR, alpha=0.4, linewidth=0)
        style(row[2], title="MMD² (gray: chance)", x="step", y="MMD²")
    return picture


def _scale(history: pd.DataFrame, lanes: Sequence[str], band: float) -> tuple[float, float]:
    """Limits that fit all MMD² but those of the first fifth of the steps, whose fall would flatten the rest."""
    later = history[history["step"] >= history["step"].max() / 5]
    found = later[[f"{lane} mmd2" for lane in lanes]].to_numpy().ravel()
    found = found[np.isfinite(found)]
    return min(-2 * band, found.min(initial=0)), 1.1 * max(2 * band, found.max(initial=0))


def _widen(ax: Axes, codes: np.ndarray) -> None:
    """Show nearly all codes, though they lie outside the prior's window."""
    far = 1.1 * reach(codes)
    if far > max(ax.get_xlim()[1], ax.get_ylim()[1]):
        ax.set(xlim=(-far, far), ylim=(-far, far))
