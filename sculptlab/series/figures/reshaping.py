"""Figures of sculpting after training: codes on their way to a prior, and recorded scores of independence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sculptlab.plots.codes import plane, points_by_class, span
from sculptlab.plots.style import CODES, MEANS, PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import dot_rows, grid, legend_below
from sculptlab.series.studies.prior_gallery import LABELS
from sculptlab.validation import as_tensor

CONDITIONS = {"plain": (PRIOR, "X"), "whitened": (MEANS, "D"), "reshaped": (CODES, "o")}
EVALUATORS = {"mlp": "LPS by networks", "boosting": "LPS by boosted trees", "squares": "LPS of squares,\nby networks"}
PLANE = {"c2st": "C2ST accuracy (50 %: chance)", "off_support": "off-support mass"}
SAMPLES = {"samples_c2st": "C2ST accuracy (50 %: chance)", "precision": "precision", "recall": "recall"}
WAYS = {  # how images were drawn: condition of a table -> words
    "other images": "other real images",
    "reconstructions": "reconstructions",
    "plain, reshaped": "plain + Reshaper",
    "plain, second VAE": "plain + second VAE",
    "plain, linear": "plain + linear map",
    "MMD": "MMD",
    "VAE": "VAE",
}
ROTATED = {"plain": (PRIOR, "X"), "reshaped": (CODES, "o"), "reshaped, rotated": (MEANS, "D")}
FACTOR_SCORES = {"mlp": "LPS", "MIG": "MIG", "DCI disentanglement": "DCI disentanglement", "InfoM": "InfoM", "InfoE": "InfoE"}
THUMBNAILS = 40


def independence(tables: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Picture:
    """Tables of `studies.reshaping.independence_study` by their names: a row for each, a panel for each of `EVALUATORS`."""
    frame = pd.concat([table.assign(set=name) for name, table in tables.items()])
    panels = [(frame[frame["regressor"] == name], "score") for name in EVALUATORS]
    figure, axes = dot_rows(panels, "set", "condition", order=list(tables), styles=CONDITIONS, height=0.9, title=title)
    for ax, words in zip(axes, EVALUATORS.values(), strict=True):
        ax.set_xlim(-0.03, 0.03 + frame["score"].max())  # one scale for all evaluators
        style(ax, x=words)
    legend_below(figure, axes[0], 3)
    return figure


def planar_priors(frame: pd.DataFrame, *, label: str = "held-out codes", title: str | None = None) -> Picture:
    """Recorded planar priors: a row for each, the least off-support mass first; panels: `PLANE`.

    `frame` is the table of `studies.reshaping.planar_study` or of `studies.priors`, `label` says what its codes are.
    """
    named = frame.assign(prior=frame["prior"].replace(LABELS))
    mean = named.groupby("prior").mean(numeric_only=True).sort_values("off_support")
    panels = [(named, column) for column in PLANE]
    figure, axes = dot_rows(panels, "prior", order=list(mean.index), height=0.22, title=title, label=label)
    for ax, (column, words) in zip(axes, PLANE.items(), strict=True):
        second = mean[f"chance_{column}"]
        ax.plot(second, range(len(mean)), "|", color=TEXT, markersize=8, label="a second sample of the prior")
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        style(ax, x=words)
    low, high = axes[0].get_xlim()
    axes[0].set_xlim(min(low, 0.45), max(high, 0.61))
    legend_below(figure, axes[0], 2)
    return figure


def samples(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """The table of `studies.samples.sample_study`: a row for each of `WAYS` that it has, a panel for each of `SAMPLES`."""
    named = frame.assign(way=frame["condition"].map(WAYS))
    order = [words for words in WAYS.values() if (named["way"] == words).any()]
    figure, axes = dot_rows([(named, column) for column in SAMPLES], "way", order=order, height=0.3, title=title)
    for ax, words in zip(axes, SAMPLES.values(), strict=True):
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        style(ax, x=words)
    return figure


def rotations(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """The table of `studies.rotations.rotation_study`: a row for each case, a panel for each of `FACTOR_SCORES`."""
    panels = [(frame, column) for column in FACTOR_SCORES]
    order = list(dict.fromkeys(frame["case"]))
    figure, axes = dot_rows(panels, "case", "condition", order=order, styles=ROTATED, height=0.9, title=title)
    for ax, words in zip(axes, FACTOR_SCORES.values(), strict=True):
        ax.set_xlim(-0.05, 1.05)  # one scale for all scores
        style(ax, x=words)
    legend_below(figure, axes[0], 3)
    return figure


def walk(
    before: Any, after: Any, images: Any, shares: Sequence[float], *, labels: Any, named: Any = None, title: str | None = None
) -> Picture:
    """Codes on straight lines from `before` (n, 2) to `after` (n, 2), at each of `shares` of the way: 0 is before, 1 is after.

    Above, or left for one share, they are points by class; below, or right, 40 of them are their images (n, 1, h, w). The
    columns of `before` are shown in standard deviations.
    """
    start, end = (as_tensor(name, rows).double() for name, rows in (("before", before), ("after", after)))
    start = (start - start.mean(0)) / start.std(0)
    low, high = np.array([span(column) for rows in (start, end) for column in rows.T]).T
    limits = np.array([[low.min(), high.max()]] * 2)
    size = (limits[0, 1] - limits[0, 0]) / 26
    beside = len(shares) == 1
    figure, axes = grid(*((1, 2) if beside else (2, len(shares))), height=4.4 if beside else 3.0, title=title)
    for share, upper, lower in zip(shares, *axes.reshape(2, -1), strict=True):
        rows = torch.lerp(start, end, share).numpy()
        points_by_class(rows, np.asarray(labels), plane(upper, limits), named)
        for (x, y), image in zip(rows[:THUMBNAILS], np.asarray(images)[:THUMBNAILS, 0], strict=True):
            extent = (x - size, x + size, y - size, y + size)
            plane(lower, limits).imshow(image, cmap="gray_r", vmin=0, vmax=1, extent=extent, alpha=0.9)
        plane(lower, limits)
        for ax in (upper, lower):
            ax.set_aspect("equal")
            style(ax, x="latent 0", y="latent 1" if share == shares[0] else None)
        style(upper, title=f"t = {share:g}")
        style(lower, title="the decoded images, each at its code" if share == shares[0] else None)
    return figure
