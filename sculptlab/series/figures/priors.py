"""Pictures of priors and of the codes that should follow them: a wall of small multiples, a scoreboard, bridges, a slider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter, StrMethodFormatter
from scipy.ndimage import gaussian_filter

from sculptlab.plots.codes import heat_map, image_grid, outlines, plane, points_by_class, prior_sample, shades, span
from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, Picture, panels, style
from sculptlab.priors import Prior
from sculptlab.series.results import Recorded
from sculptlab.series.studies.evaluators import off_support
from sculptlab.series.studies.prior_gallery import ring_with_hand
from sculptlab.series.studies.priors import EDGE, SIDE, TARGETS

ACROSS = 5  # priors to a row of the wall
COLORS = (CODES, MEANS, BAD, GOOD, ACCENT)
MARKS = ("o", "s", "^", "D", "v")
FAINT = 0.25  # how strongly images are drawn where the prior has no mass


def wall(
    priors: Mapping[str, Prior], codes: Mapping[str, Any], scores: Mapping[str, tuple[float, float]], *, title: str | None = None
) -> Picture:
    """Small multiples: each prior (gray) and below it the codes (n, 2) that were to follow it (blue), in the same limits.

    scores: for each prior how often a classifier is right in telling codes from prior, and the same for a second sample of it.
    """
    down = -(-len(priors) // ACROSS)
    picture, axes = panels(2 * down, ACROSS, height=1.75)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (name, prior) in enumerate(priors.items()):
        row, column = divmod(i, ACROSS)
        accuracy, floor = scores[name]
        _map(axes[2 * row, column], prior, prior_sample(prior, 2), PRIOR, bins=80, title=name)
        below = f"told apart {accuracy:.0%}, floor {floor:.0%}"
        _map(axes[2 * row + 1, column], prior, np.asarray(codes[name], dtype=float), CODES, bins=56, title=below)
    return picture


def _map(ax: Axes, prior: Prior, rows: np.ndarray, color: str, *, bins: int, title: str) -> None:
    limits = _limits(prior)
    heat_map(rows, plane(ax, limits), limits, color, bins=bins)
    ax.set_aspect("equal")
    style(ax).set_title(title, fontsize=8.5, color=TEXT)


def _limits(prior: Prior) -> np.ndarray:
    """Of a square window that holds nearly all of the prior: (2, 2)."""
    spans = np.array([span(column) for column in prior_sample(prior, 2).T])
    half = (spans[:, 1] - spans[:, 0]).max() / 2
    middle = spans.mean(1)
    return np.stack([middle - half, middle + half], 1)


def drawings(
    priors: Mapping[str, Prior], codes: Mapping[str, Any], scores: Mapping[str, tuple[float, float]], *, title: str | None = None
) -> Picture:
    """Each drawing (gray) and beside it the codes (n, 2) that were to follow it (blue), on one scale; scores as in `wall`.

    Shades are linear in the density, so that strokes stand out of the haze between them, which the shades of `wall` show.
    """
    picture, axes = panels(len(priors), 2, height=2.7)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for (left, right), (name, prior) in zip(axes, priors.items(), strict=True):
        target = prior_sample(prior, 2)
        limits = np.array([span(column) for column in target.T])
        _strokes(left, target, limits, PRIOR, bins=96)
        _strokes(right, np.asarray(codes[name], dtype=float), limits, CODES, bins=56)
        style(left, title=name, x="z0", y="z1")
        style(right, title="its codes: told apart {:.0%}, floor {:.0%}".format(*scores[name]), x="z0")
    return picture


def _strokes(ax: Axes, rows: np.ndarray, limits: np.ndarray, color: str, *, bins: int) -> None:
    """Square cells, `bins` to the wider axis, smoothed by less than one and in full color where 3 % of them are denser."""
    width, height = limits[:, 1] - limits[:, 0]
    cells = [round(bins * float(length) / max(width, height)) for length in (width, height)]
    counts, *_ = np.histogram2d(rows[:, 0], rows[:, 1], bins=cells, range=limits.tolist())
    dense = gaussian_filter(counts, 0.8)
    extent = (*limits[0], *limits[1])
    full = float(np.quantile(dense[dense > 0], 0.97))
    plane(ax, limits).imshow(dense.T, origin="lower", extent=extent, cmap=shades(color), vmin=0, vmax=full)
    ax.set_aspect("equal")


def scoreboard(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """Each prior of `train_to_priors` on a line: C2ST and strays beside their floors, and the price; mean and range."""
    means = frame.groupby("prior").mean(numeric_only=True).sort_values("c2st", ascending=False)
    picture, (axes,) = panels(1, 3, height=0.5 + 0.2 * len(means))
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, column, words in zip(
        axes,
        ("c2st", "off_support", "relative_error"),
        ("told apart by a classifier", "codes where the prior has no mass", "error / plain autoencoder's"),
        strict=True,
    ):
        spread = frame.groupby("prior")[column].agg(["min", "max"]).loc[means.index]
        places = np.arange(len(means))
        ax.hlines(places, spread["min"], spread["max"], color=CODES, linewidth=2, alpha=0.5)
        ax.plot(means[column], places, "o", color=CODES, markersize=5, label="codes")
        if f"chance_{column}" in means:
            ax.plot(means[f"chance_{column}"], places, "|", color=TEXT, markersize=8, label="a second sample of the prior")
            ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_yticks(places, means.index if ax is axes[0] else [""] * len(means))
        ax.grid(axis="y", color="#EEEEEE")
        style(ax, x=words)
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return picture


def over_weight(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """`record_topology`'s targets over the weight: strays, C2ST and the price; means over seeds, bands the range."""
    picture, (axes,) = panels(1, 3, height=3.4)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    words = {
        "off_support": "codes where the prior has no mass",
        "c2st": "told apart (50 %: cannot)",
        "relative_error": "error / plain error",
    }
    for ax, (column, y) in zip(axes, words.items(), strict=True):
        for name, color, mark in zip(TARGETS, COLORS, MARKS, strict=False):
            of = frame[frame["prior"] == name].groupby("weight")[column].agg(["mean", "min", "max"])
            ax.fill_between(of.index, of["min"], of["max"], color=color, alpha=0.2, linewidth=0)
            ax.plot(of.index, of["mean"], color=color, marker=mark, markersize=5, label=name)
        if column != "relative_error":
            floor = frame.groupby("weight")[f"chance_{column}"].mean()
            ax.plot(floor.index, floor, color=TEXT, linestyle=":", label="a second sample of the prior")
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xscale("log")
        ax.set_xticks(sorted(frame["weight"].unique()))
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        style(ax, x="weight (nats for an MMD² of 1)", y=y)
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return picture


def bridges(
    z: Any, prior: Prior, images: Any, *, path: Any = None, count: int = 24, order: int = 0, title: str | None = None
) -> Picture:
    """Codes z (n, 2), those where the prior has no mass in red, and `count` of these codes' images along latent `order`.

    path (m, 2): further codes, drawn as a line from place to place, such as those of a blend of two images.
    """
    rows = np.asarray(z, dtype=float)
    lost = off_support(rows, prior).numpy()
    picture, (axes,) = panels(1, 2, height=3.6)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    left, right = axes
    limits = _limits(prior)
    outlines(prior_sample(prior, 2), plane(left, limits), limits)
    left.scatter(*rows[~lost].T, s=4, color=CODES, alpha=0.4, linewidths=0, label="codes")
    left.scatter(*rows[lost].T, s=9, color=BAD, marker="D", linewidths=0, label="where the prior has no mass")
    if path is not None:
        left.plot(*np.asarray(path).T, color="black", linewidth=1.4, marker=".", markersize=4, label="blends of two images")
    left.set_aspect("equal")
    left.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, handletextpad=0.2)
    style(left, title=f"{lost.mean():.1%} of the codes are strays", x="z0", y="z1")
    found = np.flatnonzero(lost)
    if len(found):
        evenly = found[np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)]
        shown = evenly[np.argsort(rows[evenly, order])]
        image_grid(np.asarray(images)[shown], right, columns=6, title=f"their images, by z{order}")
    else:
        right.set_axis_off()
    return picture


class HandPanel:
    """One recorded `ring_with_hand` at a time: the prior, the held-out codes by class, and what the decoder draws where."""

    def __init__(self, recorded: Recorded, named: Mapping[Any, str] | None = None) -> None:
        self.recorded, self.named = recorded, named  # named: as in `points_by_class`
        self.rows = recorded.frame.set_index("prior")

    def picture(self, share: float, turn: float) -> Picture:
        """The picture at a recorded share and turn (degrees), with scores and their floors as its title."""
        key = f"{share:g}|{turn:g}"
        prior, row = ring_with_hand(share, np.deg2rad(turn)), self.rows.loc[key]
        picture, (axes,) = panels(1, 3, height=3.9)
        picture.suptitle(
            f"told apart {row['c2st']:.0%} (floor {row['chance_c2st']:.0%}), strays {row['off_support']:.1%} "
            f"(floor {row['chance_off_support']:.1%}), error {row['relative_error']:.2f} times the plain one",
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
        image_grid(_faint(images, prior), axes[2], columns=SIDE, title=f"decoded from {-EDGE:g} to {EDGE:g}")
        return picture


def _faint(images: np.ndarray, prior: Prior) -> np.ndarray:
    """The images of a decoded grid, paler where the prior has no mass."""
    at = np.linspace(-EDGE, EDGE, SIDE)
    places = np.stack([np.tile(at, SIDE), np.repeat(at[::-1], SIDE)], 1)
    none = off_support(places, prior).numpy()
    shown: np.ndarray = np.where(none[:, None, None], 1 - FAINT * (1 - images), images)
    return shown
