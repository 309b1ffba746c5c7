"""Plots of a copied latent space: source, copy before and copy after, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from sculptlab.independence.dependence import correlation, distance_correlation
from sculptlab.plots.codes import density, heat_map, marginal, plane, shades, span
from sculptlab.plots.figures import most_dependent
from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, Picture, panels, style

CASES = ((CODES, "o"), (MEANS, "D"), (GOOD, "^"), (ACCENT, "v"), (BAD, "s"))
MEASURES = {
    "c2st": "told apart (0.5: not)",
    "alignment_error": "place (1: chance)",
    "mrr": "retrieval, MRR",
    "decoded_mse": "decoded by A, error",
}
SHOWN = {"source": "the source's codes", "before": "B before, at its own scale", "copy": "B after"}


def copy_clouds(codes: Mapping[str, np.ndarray]) -> Picture:
    """The codes (n, d) named source, before and copy as densities of the two latents that depend most on each other in the
    source, whose outlines (50 % and 95 %) are drawn over the copy's; B before has limits of its own.
    """
    source = codes["source"]
    pair = most_dependent(distance_correlation(source), 1)[0] if source.shape[1] > 1 else None
    picture, (axes,) = panels(1, 3, height=3.0)
    for ax, (name, title) in zip(axes, SHOWN.items(), strict=True):
        if pair is None:
            behind = source[:, 0] if name == "copy" else None
            style(marginal(codes[name][:, 0], ax, behind), title=title, x="z0")
            continue
        shown = codes[name][:, list(pair)]
        if name == "copy":
            density(shown, ax, source[:, list(pair)], color=CODES, title=title)
        else:
            limits = np.array([span(column) for column in shown.T])
            heat_map(shown, plane(ax, limits), limits, PRIOR if name == "source" else CODES)
        style(ax, title=title, x=f"z{pair[0]}", y=f"z{pair[1]}" if name == "source" else None)
    return picture


def copy_correlations(codes: Mapping[str, np.ndarray]) -> Picture:
    """Of the codes (n, d) named source, before and copy: Pearson's correlations (top), distance correlations (bottom)."""
    if codes["source"].shape[1] < 2:
        raise ValueError("correlations needs codes of at least 2 latents, got 1")
    picture, axes = panels(2, 3, height=2.6, width=8.0)
    for row, (measure, words, colors, low) in enumerate(
        ((correlation, "correlation", "RdBu_r", -1.0), (distance_correlation, "distance correlation", shades(BAD), 0.0))
    ):
        for ax, (name, title) in zip(axes[row], SHOWN.items(), strict=True):
            image = _matrix(ax, measure(codes[name]), colors, low)
            style(ax, title=title if row == 0 else None)
        bar = picture.colorbar(image, ax=list(axes[row]), shrink=0.8, pad=0.02)
        bar.set_label(words, fontsize=9, color=TEXT)
        bar.ax.tick_params(labelsize=8, labelcolor=TEXT)
        bar.outline.set_visible(False)
    return picture


def _matrix(ax: Axes, values: Any, colors: Any, low: float) -> AxesImage:
    shown = np.array(values, dtype=float)
    np.fill_diagonal(shown, np.nan)
    ax.set_facecolor("#EEEEEE")
    ax.set_xticks(range(len(shown)), [f"z{i}" for i in range(len(shown))])
    ax.set_yticks(range(len(shown)), [f"z{i}" for i in range(len(shown))])
    return ax.imshow(shown, cmap=colors, vmin=low, vmax=1.0)
