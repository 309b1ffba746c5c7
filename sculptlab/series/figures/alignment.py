"""Figures of the alignment study: codes colored by factor, scores by prior, the effect of labels, traversals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn

from sculptlab.plots.codes import image_grid, plane, span
from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import BAD, CODES, GOOD, PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import LOOKS, grid, legend, legend_below

SCORES = {"aligned": "linear alignment", "MIG": "MIG", "DCI disentanglement": "DCI disentanglement"}
COS_45 = np.sqrt(0.5)  # alignment of two factors with two latents that are an isometry of them, rotated by 45 degrees
LABELED = {"prior": "tied through the prior", "distance": "squared distance", "regression": "regression, labels only"}
LABELED_STYLES = dict(zip(LABELED.values(), [(CODES, "o"), (BAD, "s"), (GOOD, "^")], strict=True))


def codes_by_factor(
    codes: Mapping[str, Any], factors: Any, *, names: Sequence[str] = ("x", "y"), title: str | None = None
) -> Picture:
    """Codes (n, 2) of each model in a column, colored by each of the factors (n, k) in a row.

    Vertical or horizontal stripes: the factor depends on one latent alone. Slanted stripes: it depends on both.
    """
    values = np.asarray(factors, dtype=float)
    figure, axes = grid(len(names), len(codes), height=2.6, title=title)
    for column, (model, z) in zip(axes.T, codes.items(), strict=True):
        rows = np.asarray(z, dtype=float)
        style(column[0], title=model)
        style(column[-1], x="latent 1")
        for ax, name, factor in zip(column, names, values.T, strict=False):
            plane(ax, np.array([span(latent) for latent in rows.T]))
            points = ax.scatter(*rows.T, c=factor, s=7, cmap="viridis", linewidths=0, rasterized=True)
            if ax in axes[:, 0]:
                style(ax, y="latent 2")
            if ax in axes[:, -1]:
                figure.colorbar(points, ax=ax, label=f"true {name}")
    return figure


def rotation_scores(mmd: Mapping[str, Sequence[float]], angles: Sequence[float], *, title: str | None = None) -> Picture:
    """Left: for each prior, MMD^2 between its rotated draws and its draws, in units of the noise of a batch, at each angle.

    Right: the alignment of two factors with their rotation by the angle (degrees), max(|cos|, |sin|) >= cos 45° = 0.71.
    """
    figure, ((left, right),) = grid(1, 2, height=3.0, title=title)
    left.axhspan(-1, 1, color=PRIOR, alpha=0.25, linewidth=0, label="noise of one batch")
    for (name, values), (color, marker) in zip(mmd.items(), LOOKS, strict=False):
        left.plot(angles, values, color=color, marker=marker, markersize=4, label=name)
    angle = np.radians(np.asarray(angles, dtype=float))
    right.plot(angles, np.maximum(np.abs(np.cos(angle)), np.abs(np.sin(angle))), color=TEXT, marker="o", markersize=4)
    right.axhline(COS_45, color=TEXT, linestyle="--", linewidth=1)
    right.annotate("cos 45° = 0.71", (max(angles), COS_45 - 0.02), ha="right", va="top", fontsize=9, color=TEXT)
    left.set(xticks=[0, 45, 90], ylim=(-1.2, 1.2))
    right.set(xticks=[0, 45, 90], ylim=(0, 1.03))
    legend(left, loc="lower center", ncols=2)
    style(left, x="rotation (degrees)", y="MMD² / noise of a batch", title="MMD² of the rotated prior")
    style(right, x="rotation (degrees)", y="linear alignment", title="alignment of the rotated factors")
    return figure


def scores_by_prior(
    frame: pd.DataFrame, conditions: Mapping[str, str], *, isometry: bool = False, title: str | None = None
) -> Picture:
    """A panel for each of `SCORES`, a row for each of the conditions {name in the frame: words}; dots are seeds, bars means.

    Dotted: the score of the true factors (condition "ideal"); the gray area reaches to the score of codes that are independent
    of them ("noise"). isometry: mark cos 45°, the least alignment of an isometry of two factors.
    """
    figure, (axes,) = grid(1, len(SCORES), height=0.34 * len(conditions) + 1.5, title=title)
    shown = frame[frame["condition"].isin(conditions)].replace({"condition": dict(conditions)})
    palette = {name: color for name, (color, _) in zip(conditions.values(), LOOKS, strict=False)}
    for ax, (column, words) in zip(axes, SCORES.items(), strict=True):
        look: dict[str, Any] = {"hue": "condition", "order": list(palette), "palette": palette, "legend": False}
        seaborn.stripplot(shown, x=column, y="condition", ax=ax, jitter=False, alpha=0.6, size=5, **look)
        means = shown.groupby("condition")[column].mean().reindex(list(palette))
        ax.scatter(means, range(len(means)), marker="|", s=240, linewidths=2, color=list(palette.values()), zorder=3)
        ideal, noise = (frame.loc[frame["condition"] == name, column].mean() for name in ("ideal", "noise"))
        ax.axvline(ideal, color=TEXT, linestyle=":", linewidth=1)
        ax.axvspan(0, noise, color=PRIOR, alpha=0.3, linewidth=0)
        if isometry and column == "aligned":
            ax.axvline(COS_45, color=TEXT, linestyle="--", linewidth=1)
            ax.set_title("cos 45°", x=COS_45 / 1.03, fontsize=8, color=TEXT)
        ax.set(xlim=(0, 1.03), xticks=[0, 0.5, 1], ylim=(len(palette) - 0.5, -0.5))
        ax.tick_params(axis="y", labelleft=ax is axes[0])
        style(ax, x=words, y="")
    return figure


def alignment_over_labels(frame: pd.DataFrame, columns: Mapping[str, str], *, title: str | None = None) -> Picture:
    """Alignment over the number of labels: a panel for each column {name: words}, a line for each way to use labels.

    Lines are means over seeds, bands the range. "prior" and "distance" start with the unlabeled prior at 0 labels;
    "regression" has no such point.
    """
    figure, (axes,) = grid(1, len(columns), height=3.3, title=title)
    without = [frame[frame["condition"] == "mirror"].assign(labels=0, condition=tie) for tie in ("prior", "distance")]
    shown = pd.concat([*without, frame[frame["condition"].isin(LABELED)]]).replace({"condition": LABELED})
    numbers = sorted(set(shown["labels"]))
    for ax, (column, words) in zip(axes, columns.items(), strict=True):
        line_with_spread(ax, shown, "labels", column, "condition", styles=LABELED_STYLES)
        ax.set_xscale("function", functions=(np.log1p, np.expm1))
        ax.set_xticks(numbers, [f"{number:g}" for number in numbers])
        ax.set_ylim(0, 1.03)
        style(ax, title=words, x="labeled images", y="alignment" if ax is axes[0] else "")
    legend_below(figure, axes[0], len(LABELED))
    return figure


def traversal_rows(images: Mapping[str, Any], latents: Sequence[str], *, title: str | None = None) -> Picture:
    """Traversals (dim, steps, size, size), uint8, of each model in a panel: a row for each latent, named on the left."""
    figure, (axes,) = grid(1, len(images), height=0.4 * len(latents) + 0.7, title=title)
    for ax, (model, rows) in zip(axes, images.items(), strict=True):
        stack = np.asarray(rows, dtype=float) / 255
        image_grid(stack.reshape(-1, *stack.shape[2:]), ax, columns=stack.shape[1], title=model)
    bottom = axes[0].get_ylim()[0] / len(latents)
    for i, name in enumerate(latents):
        at, look = (-3, (i + 0.5) * bottom), {"ha": "right", "va": "center", "fontsize": 8, "color": TEXT}
        axes[0].annotate(name, at, annotation_clip=False, **look)
    return figure
