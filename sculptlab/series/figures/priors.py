"""Figures of priors and of the codes that should follow them: small multiples, a scoreboard, the weight, off-support codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from scipy.ndimage import gaussian_filter

from sculptlab.plots.codes import heat_map, image_grid, outlines, plane, points_by_class, prior_sample, shades, span
from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import BAD, CODES, PRIOR, TEXT, Picture, style
from sculptlab.priors import Prior
from sculptlab.series.figures.common import LOOKS, dot_rows, grid, legend, legend_below
from sculptlab.series.results import Recorded
from sculptlab.series.studies.evaluators import off_support
from sculptlab.series.studies.prior_gallery import ring_with_hand
from sculptlab.series.studies.priors import EDGE, SIDE

SCORES = {  # columns of the studies' tables, in words; those in percent have a chance level
    "c2st": "C2ST accuracy (50 %: chance)",
    "off_support": "off-support mass",
    "relative_error": "relative reconstruction error",
}
FAINT = 0.25  # contrast of decoded images where the prior has no mass


def priors_and_codes(
    priors: Mapping[str, Prior], codes: Mapping[str, Any], scores: Mapping[str, tuple[float, float]], *, title: str | None = None
) -> Picture:
    """Small multiples, five in a row: each prior (gray) and below it the codes (n, 2) trained to follow it (blue), on one scale.

    scores: {name: C2ST accuracy of codes against prior, that of a second sample of the prior, the chance level}.
    """
    down = -(-len(priors) // 5)
    figure, axes = grid(2 * down, 5, height=1.75, title=title)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (name, prior) in enumerate(priors.items()):
        row, column = divmod(i, 5)
        above, below = axes[2 * row : 2 * row + 2, column]
        limits = _limits(prior)
        for ax, z, color, bins in ((above, prior_sample(prior, 2), PRIOR, 80), (below, codes[name], CODES, 56)):
            heat_map(np.asarray(z, dtype=float), plane(ax, limits), limits, color, bins=bins)
            ax.set_aspect("equal")
        above.set_title(name, fontsize=8.5, color=TEXT)
        below.set_title("C2ST {:.0%}, chance {:.0%}".format(*scores[name]), fontsize=8.5, color=TEXT)
    return figure


def _limits(prior: Prior) -> np.ndarray:
    """Of a square window that holds nearly all of the prior: (2, 2)."""
    spans = np.array([span(column) for column in prior_sample(prior, 2).T])
    half = (spans[:, 1] - spans[:, 0]).max() / 2
    middle = spans.mean(1)
    return np.stack([middle - half, middle + half], 1)


def drawings(
    priors: Mapping[str, Prior], codes: Mapping[str, Any], scores: Mapping[str, tuple[float, float]], *, title: str | None = None
) -> Picture:
    """Each drawing (gray) and beside it the codes (n, 2) trained to follow it (blue), on one scale; scores: as above.

    Shades are linear in the density, which makes strokes stand out; those of `priors_and_codes` show thin mass between them.
    """
    figure, axes = grid(len(priors), 2, height=2.7, title=title)
    for row, (name, prior) in zip(axes, priors.items(), strict=True):
        target = prior_sample(prior, 2)
        limits = np.array([span(column) for column in target.T])
        lengths = limits[:, 1] - limits[:, 0]
        for ax, z, color, bins in zip(row, (target, codes[name]), (PRIOR, CODES), (96, 56), strict=True):
            cells = (bins * lengths / lengths.max()).round().astype(int).tolist()  # square ones
            x, y = np.asarray(z, dtype=float).T
            counts, *_ = np.histogram2d(x, y, bins=cells, range=limits.tolist())
            density = gaussian_filter(counts, 0.8)
            full = float(np.quantile(density[density > 0], 0.97))  # the densest 3 % of the cells have the full color
            look: dict[str, Any] = {"cmap": shades(color), "vmin": 0, "vmax": full, "extent": (*limits[0], *limits[1])}
            plane(ax, limits).imshow(density.T, origin="lower", **look)
            ax.set_aspect("equal")
        style(row[0], title=name, x="z0", y="z1")
        style(row[1], title="its codes: C2ST accuracy {:.0%}, chance {:.0%}".format(*scores[name]), x="z0")
    return figure


def scoreboard(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """A row for each prior of `train_to_priors`, a panel for each of `SCORES`: mean and range, beside the chance level."""
    means = frame.groupby("prior").mean(numeric_only=True).sort_values("c2st")
    order = list(means.index)
    tables = [(frame, column) for column in SCORES]
    figure, axes = dot_rows(tables, "prior", order=order, height=0.2, title=title, label="codes")
    for ax, (column, words) in zip(axes, SCORES.items(), strict=True):
        if f"chance_{column}" in means:
            chance = means[f"chance_{column}"]
            ax.plot(chance, range(len(order)), "|", color=TEXT, markersize=8, label="a second sample of the prior")
            ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        style(ax, x=words)
    legend_below(figure, axes[0], 2)
    return figure


def scores_over_weight(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """`SCORES` over the weight of MMD, a line for each prior of `studies.priors.record_topology`; bands are the range."""
    figure, (axes,) = grid(1, 3, height=3.4, title=title)
    styles = dict(zip(dict.fromkeys(frame["prior"]), LOOKS, strict=False))
    for ax, column in zip(axes, ("off_support", "c2st", "relative_error"), strict=True):
        line_with_spread(ax, frame, "weight", column, "prior", styles=styles, log_x=True)
        if f"chance_{column}" in frame:
            chance = frame.groupby("weight")[f"chance_{column}"].mean()
            ax.plot(chance.index, chance, color=TEXT, linestyle=":", label="a second sample of the prior")
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        style(ax, x="weight (nats for an MMD² of 1)", y=SCORES[column])
    legend_below(figure, axes[0], 4)
    return figure


def off_support_codes(
    z: Any, prior: Prior, images: Any, *, path: Any = None, count: int = 24, latent: int = 0, title: str | None = None
) -> Picture:
    """Codes z (n, 2), those where the prior has no mass in red, and `count` images of these, ordered by a latent.

    path (m, 2): further codes, drawn as a line, such as those of a blend of two images.
    """
    rows = np.asarray(z, dtype=float)
    outside = off_support(rows, prior).numpy()
    figure, ((left, right),) = grid(1, 2, height=3.6, title=title)
    limits = _limits(prior)
    outlines(prior_sample(prior, 2), plane(left, limits), limits)
    left.scatter(*rows[~outside].T, s=4, color=CODES, alpha=0.4, linewidths=0, label="codes")
    left.scatter(*rows[outside].T, s=9, color=BAD, marker="D", linewidths=0, label="where the prior has no mass")
    if path is not None:
        left.plot(*np.asarray(path).T, color="black", linewidth=1.4, marker=".", markersize=4, label="blends of two images")
    left.set_aspect("equal")
    legend(left, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, handletextpad=0.2)
    style(left, title=f"off-support mass {outside.mean():.1%}", x="z0", y="z1")
    found = np.flatnonzero(outside)
    if not len(found):
        right.set_axis_off()
        return figure
    evenly = found[np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)]
    shown = evenly[np.argsort(rows[evenly, latent])]
    image_grid(np.asarray(images)[shown], right, columns=6, title=f"images of off-support codes, by z{latent}")
    return figure


class HandPanel:
    """The figure of two sliders: a recorded `ring_with_hand`, the held-out codes by class, and images decoded on a grid.

    named: {label: name} of the classes in color, at most three.
    """

    def __init__(self, recorded: Recorded, named: Mapping[Any, str] | None = None) -> None:
        self.recorded, self.named = recorded, named
        self.rows = recorded.frame.set_index("prior")

    def __call__(self, settings: Mapping[str, float]) -> Picture:
        """The figure at recorded settings "share" and "turn" (degrees), with scores and chance levels as its title."""
        share, turn = settings["share"], settings["turn"]
        key = f"{share:g}|{turn:g}"
        prior, row = ring_with_hand(share, np.deg2rad(turn)), self.rows.loc[key]
        figure, (axes,) = grid(1, 3, height=3.9, title=None)
        figure.suptitle(
            f"C2ST accuracy {row['c2st']:.0%} (chance {row['chance_c2st']:.0%}), off-support mass {row['off_support']:.1%} "
            f"(chance {row['chance_off_support']:.1%}), relative reconstruction error {row['relative_error']:.2f}",
            fontsize=11, color=TEXT,
        )  # fmt: skip
        limits = np.array([[-EDGE, EDGE]] * 2)
        heat_map(prior_sample(prior, 2), plane(axes[0], limits), limits, PRIOR, bins=96)
        outlines(prior_sample(prior, 2), plane(axes[1], limits), limits)
        codes, labels = self.recorded.arrays[f"{key}|codes"].astype(float), self.recorded.arrays["labels"]
        points_by_class(codes, labels, axes[1], self.named)
        for ax, words in zip(axes, ("the prior", "held-out codes, by class"), strict=False):
            ax.set_aspect("equal")
            style(ax, title=words, x="z0", y="z1")
        images = self.recorded.arrays[f"{key}|grid"] / 255
        at = np.linspace(-EDGE, EDGE, SIDE)
        outside = off_support(np.stack([np.tile(at, SIDE), np.repeat(at[::-1], SIDE)], 1), prior).numpy()
        faint = np.where(outside[:, None, None], 1 - FAINT * (1 - images), images)
        image_grid(faint, axes[2], columns=SIDE, title=f"decoded from {-EDGE:g} to {EDGE:g}")
        return figure
