"""Pictures of a copied latent space: source, copy before and copy after side by side; correlation matrices; places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from sculptlab.judges.dependence import correlation, distance_correlation
from sculptlab.pictures.figures import most_dependent
from sculptlab.pictures.palette import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, Picture, panels, style
from sculptlab.plots import density, heat_map, image_grid, marginal, outlines, plane, shades, span

CASES = ((CODES, "o"), (MEANS, "D"), (GOOD, "^"), (ACCENT, "v"), (BAD, "s"))
MEASURES = {
    "c2st": "told apart (0.5: not)",
    "place": "place (1: chance)",
    "mrr": "retrieval, MRR",
    "decoded_mse": "decoded by A, error",
}
SHOWN = {"source": "the source's codes", "before": "B before, at its own scale", "copy": "B after"}


def clouds(codes: Mapping[str, np.ndarray]) -> Picture:
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
            density(shown, ax, source[:, list(pair)], colour=CODES, title=title)
        else:
            limits = np.array([span(column) for column in shown.T])
            heat_map(shown, plane(ax, limits), limits, PRIOR if name == "source" else CODES)
        style(ax, title=title, x=f"z{pair[0]}", y=f"z{pair[1]}" if name == "source" else None)
    return picture


def correlations(codes: Mapping[str, np.ndarray]) -> Picture:
    """Of the codes (n, d) named source, before and copy: Pearson's correlations (top), distance correlations (bottom)."""
    if codes["source"].shape[1] < 2:
        raise ValueError("correlations needs codes of at least 2 latents, got 1")
    picture, axes = panels(2, 3, height=2.6, width=8.0)
    for row, (measure, words, colours, low) in enumerate(
        ((correlation, "correlation", "RdBu_r", -1.0), (distance_correlation, "distance correlation", shades(BAD), 0.0))
    ):
        for ax, (name, title) in zip(axes[row], SHOWN.items(), strict=True):
            image = _matrix(ax, measure(codes[name]), colours, low)
            style(ax, title=title if row == 0 else None)
        bar = picture.colorbar(image, ax=list(axes[row]), shrink=0.8, pad=0.02)
        bar.set_label(words, fontsize=9, color=TEXT)
        bar.ax.tick_params(labelsize=8, labelcolor=TEXT)
        bar.outline.set_visible(False)
    return picture


def _matrix(ax: Axes, values: Any, colours: Any, low: float) -> AxesImage:
    shown = np.array(values, dtype=float)
    np.fill_diagonal(shown, np.nan)
    ax.set_facecolor("#EEEEEE")
    ax.set_xticks(range(len(shown)), [f"z{i}" for i in range(len(shown))])
    ax.set_yticks(range(len(shown)), [f"z{i}" for i in range(len(shown))])
    return ax.imshow(shown, cmap=colours, vmin=low, vmax=1.0)


def arms(frame: pd.DataFrame, measures: Mapping[str, str] | None = None, *, title: str | None = None) -> Picture:
    """A study's arms as rows, a panel for each of `measures` (column -> words), a mark for each case: means and ranges."""
    shown = MEASURES if measures is None else measures
    order = list(dict.fromkeys(frame["arm"]))[::-1]
    picture, (axes,) = panels(1, len(shown), height=1.0 + 0.28 * len(order))
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for i, (ax, (column, words)) in enumerate(zip(axes, shown.items(), strict=True)):
        for (name, rows), (colour, marker), at in zip(
            frame.groupby("case", sort=False), CASES, np.linspace(0.2, -0.2, 5), strict=False
        ):
            of = rows.groupby("arm")[column].agg(["mean", "min", "max"]).reindex(order)
            y = np.arange(len(order)) + at
            ax.hlines(y, of["min"], of["max"], color=colour, linewidth=1.2)
            ax.plot(of["mean"], y, linestyle="none", marker=marker, color=colour, markersize=5, label=str(name))
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
    """Codes (n, 2) of each name in a panel, three classes in colour (`plots.points_by_class`), over the outlines of one cloud."""
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
    for (name, values), (colour, marker) in zip(curves.items(), CASES, strict=False):
        right.plot(angles, values, color=colour, marker=marker, markersize=3, linewidth=1.4, label=name)
    right.axvline(at, color=TEXT, linewidth=1, linestyle=":")
    right.axhline(0, color=TEXT, linewidth=0.8)
    right.set_xticks(range(0, 361, 90))
    right.legend(fontsize=8, frameon=False)
    style(right, x="turned by (degrees)", y="MMD² to the cloud as it was")
    return picture
