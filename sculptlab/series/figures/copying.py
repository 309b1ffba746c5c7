"""Pictures of a copied latent space: source, copy before and copy after side by side; correlation matrices; places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sculptlab.plots.codes import density, heat_map, image_grid, outlines, plane, span
from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, TEXT, Picture, panels, style

CASES = ((CODES, "o"), (MEANS, "D"), (GOOD, "^"), (ACCENT, "v"), (BAD, "s"))
MEASURES = {
    "c2st": "told apart (0.5: not)",
    "alignment_error": "place (1: chance)",
    "mrr": "retrieval, MRR",
    "decoded_mse": "decoded by A, error",
}
SHOWN = {"source": "the source's codes", "before": "B before, at its own scale", "copy": "B after"}


def arms(frame: pd.DataFrame, measures: Mapping[str, str] | None = None, *, title: str | None = None) -> Picture:
    """A study's arms as rows, a panel for each of `measures` (column -> words), a mark for each case: means and ranges."""
    shown = MEASURES if measures is None else measures
    order = list(dict.fromkeys(frame["condition"]))[::-1]
    picture, (axes,) = panels(1, len(shown), height=1.0 + 0.28 * len(order))
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for i, (ax, (column, words)) in enumerate(zip(axes, shown.items(), strict=True)):
        for (name, rows), (color, marker), at in zip(
            frame.groupby("case", sort=False), CASES, np.linspace(0.2, -0.2, 5), strict=False
        ):
            of = rows.groupby("condition")[column].agg(["mean", "min", "max"]).reindex(order)
            y = np.arange(len(order)) + at
            ax.hlines(y, of["min"], of["max"], color=color, linewidth=1.2)
            ax.plot(of["mean"], y, linestyle="none", marker=marker, color=color, markersize=5, label=str(name))
        ax.set_yticks(range(len(order)), order if i == 0 else [""] * len(order))
        ax.set_ylim(-0.5, len(order) - 0.5)  # in every panel, also where some arms have no value
        style(ax, x=words)
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return picture


def exchanged(rows: Mapping[str, Any], *, title: str | None = None) -> Picture:
    """Images (n, c, h, w) of each name as a row under it, the same image in the same column."""
    picture, axes = panels(len(rows), 1, height=1.05)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        image_grid(images, ax, columns=len(images))
        ax.set_title(name, fontsize=9, color=TEXT, loc="left", pad=3)
    return picture


def classes(
    clouds: Mapping[str, Any], labels: Any, outline: Any, *, named: Mapping[Any, str] | None = None, title: str | None = None
) -> Picture:
    """Codes (n, 2) of each name in a panel, three classes in color (`plots.points_by_class`), over the outlines of one cloud."""
    picture, (axes,) = panels(1, len(clouds), height=3.2)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for i, (ax, (name, z)) in enumerate(zip(axes, clouds.items(), strict=True)):
        density(z, ax, outline, labels, named=named, title=name)
        style(ax, x="z0", y="z1" if i == 0 else None)
    return picture


def turned(cloud: Any, outline: Any, curves: Mapping[str, Any], angles: Any, at: float, *, title: str | None = None) -> Picture:
    """A cloud (n, 2) turned by `at` degrees over the outlines of the one it was, and MMD^2 to that over all angles.

    curves: name -> MMD^2 at each of `angles`, of this cloud and of others; `at` is marked.
    """
    picture, ((left, right),) = panels(1, 2, height=3.0, width=8.0)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    shown, target = (np.asarray(rows, dtype=float) for rows in (cloud, outline))
    reach = max(abs(end) for column in (*shown.T, *target.T) for end in span(column))
    limits = np.array([[-reach, reach]] * 2)  # the same at every angle: what a turn takes out of the outline is seen
    heat_map(shown, plane(left, limits), limits, CODES)
    outlines(target, left, limits)
    style(left, title=f"turned by {at:g}°", x="z0", y="z1").set_aspect("equal")
    for (name, values), (color, marker) in zip(curves.items(), CASES, strict=False):
        right.plot(angles, values, color=color, marker=marker, markersize=3, linewidth=1.4, label=name)
    right.axvline(at, color=TEXT, linewidth=1, linestyle=":")
    right.axhline(0, color=TEXT, linewidth=0.8)
    right.set_xticks(range(0, 361, 90))
    right.legend(fontsize=8, frameon=False)
    style(right, x="turned by (degrees)", y="MMD² to the cloud as it was")
    return picture
