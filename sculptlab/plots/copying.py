"""Figures of a copied latent space: source, copy before and copy after, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sculptlab.independence.dependence import correlation, distance_correlation
from sculptlab.plots.codes import density, heat_map, marginal_density, matrix_map, plane, shades, span
from sculptlab.plots.figures import most_dependent
from sculptlab.plots.style import BAD, CODES, PRIOR, Picture, panels, style

TITLES = {"source": "source", "before": "B before, at its own scale", "copy": "B after"}


def copy_densities(codes: Mapping[str, np.ndarray]) -> Picture:
    """Densities of the two latents that depend most on each other in the source, for the codes source, before and copy.

    The source's outlines (50 % and 95 %) are drawn over the copy.
    """
    source = codes["source"]
    pair = most_dependent(distance_correlation(source), 1)[0] if source.shape[1] > 1 else (0,)
    figure, (axes,) = panels(1, 3, height=3.0)
    for ax, (name, title) in zip(axes, TITLES.items(), strict=True):
        shown = codes[name][:, pair]
        if len(pair) == 1:
            marginal_density(shown, ax, source if name == "copy" else None)
        elif name == "copy":
            density(shown, ax, source[:, pair], color=CODES)
        else:
            limits = np.array([span(column) for column in shown.T])
            heat_map(shown, plane(ax, limits), limits, PRIOR if name == "source" else CODES)
        style(ax, title=title, x=f"z{pair[0]}", y=f"z{pair[1]}" if name == "source" and len(pair) > 1 else None)
    return figure


def copy_correlations(codes: Mapping[str, np.ndarray]) -> Picture:
    """Pearson's correlations (top) and distance correlations (bottom) of the codes source, before and copy."""
    if codes["source"].shape[1] < 2:
        raise ValueError("correlations needs codes of at least 2 latents, got 1")
    figure, axes = panels(2, 3, height=2.6, width=8.0)
    scales = (
        (correlation, {"cmap": "RdBu_r", "vmin": -1, "cbar_kws": {"label": "correlation"}}),
        (distance_correlation, {"cmap": shades(BAD), "vmin": 0, "cbar_kws": {"label": "distance correlation"}}),
    )
    for row, (measure, options) in zip(axes, scales, strict=True):
        for ax, (name, title) in zip(row, TITLES.items(), strict=True):
            matrix_map(measure(codes[name]), ax, title, vmax=1, cbar=name == "copy", **options)
    return figure
