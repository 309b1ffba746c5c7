"""Figures of the alignment study: codes colored by factor, scores by prior, the effect of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn

from sculptlab.plots.codes import plane, span
from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import BAD, CODES, GOOD, PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import LOOKS, grid, legend_below

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
