"""Figures of latent copying: scores by condition, decoded images, codes by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sculptlab.plots.codes import density, image_grid
from sculptlab.plots.style import TEXT, Picture, style
from sculptlab.series.figures.common import LOOKS, dot_rows, grid, legend_below

MEASURES = {
    "c2st": "C2ST accuracy\n(0.5: chance)",
    "alignment_error": "alignment error\n(1: chance)",
    "mrr": "retrieval,\nmean reciprocal rank",
}


def copies_by_condition(frame: pd.DataFrame, measures: Mapping[str, str] = MEASURES, *, title: str | None = None) -> Picture:
    """The conditions of a copying study as rows, a panel for each of `measures` {column: words}, a marker for each case."""
    order, cases = (list(dict.fromkeys(frame[name])) for name in ("condition", "case"))
    styles = dict(zip(cases, LOOKS, strict=False))
    tables = [(frame, column) for column in measures]
    figure, axes = dot_rows(tables, "condition", "case", order=order, styles=styles, height=0.28, title=title)
    for ax, words in zip(axes, measures.values(), strict=True):
        style(ax, x=words)
    if len(cases) > 1:
        legend_below(figure, axes[0], 2)
    return figure


def image_rows(rows: Mapping[str, Any], *, title: str | None = None) -> Picture:
    """Images (n, c, h, w) of each name as a row under it."""
    figure, axes = grid(len(rows), 1, height=1.05, title=title)
    for ax, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        image_grid(images, ax, columns=len(images))
        ax.set_title(name, fontsize=9, color=TEXT, loc="left", pad=3)
    return figure


def codes_by_class(
    codes: Mapping[str, Any], labels: Any, source: Any, *, named: Mapping[Any, str] | None = None, title: str | None = None
) -> Picture:
    """Codes (n, 2) of each name in a panel, three classes in color, over the outlines of the source (m, 2).

    named: {label: name} of the classes in color, at most three.
    """
    figure, (axes,) = grid(1, len(codes), height=3.2, title=title)
    for ax, (name, z) in zip(axes, codes.items(), strict=True):
        density(z, ax, source, labels, named=named, title=name)
        style(ax, x="z0", y="z1" if ax is axes[0] else None)
    return figure
