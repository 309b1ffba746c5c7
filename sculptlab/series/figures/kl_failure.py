"""Pictures of a recorded study over beta: the price of reconstruction, and collapse, dependence and holes beside it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sculptlab.plots.codes import heat_map, outlines, plane, points_by_class, prior_sample, span
from sculptlab.plots.style import BAD, MEANS, RECONSTRUCTION, SAMPLES, TEXT, Picture, panels, style
from sculptlab.plots.tables import line_with_spread
from sculptlab.priors import Gaussian
from sculptlab.series.figures.backdrop import Backdrop
from sculptlab.series.results import Recorded
from sculptlab.validation import choice

KINDS = (("means", MEANS, "o"), ("samples", SAMPLES, "s"))


def betas(frame: pd.DataFrame, dim: int) -> pd.DataFrame:
    """The rows of `frame` (of `kl_study`) that belong to the sweep over beta at `dim` latents, with a column beta."""
    choice("dim", dim, sorted(set(frame["dim"])))
    rows = frame[(frame["dim"] == dim) & frame["objective"].str.startswith("beta ")]
    return rows.assign(beta=rows["objective"].str.removeprefix("beta ").astype(float))


def reconstruction(ax: Axes, frame: pd.DataFrame, dim: int) -> Axes:
    """Held-out reconstruction error over beta, with the error of the mean image as the line where nothing is left."""
    rows = betas(frame, dim).query("codes == 'means'")
    line_with_spread(ax, rows, "beta", "reconstruction_mse", color=RECONSTRUCTION, log_x=True)
    blank = rows["baseline_mse"].iloc[0]
    ax.axhline(blank, color=TEXT, linestyle="--", linewidth=1)
    ax.annotate("the mean image", (0.02, blank), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=TEXT)
    ax.set_ylim(0, 1.15 * blank)
    return _over_beta(ax, rows, "reconstruction error (MSE)")


def over_beta(ax: Axes, frame: pd.DataFrame, dim: int, column: str, *, floor: float, words: str) -> Axes:
    """`column` over beta for means and samples, with what the prior itself scores as a dotted line."""
    rows = betas(frame, dim)
    for kind, color, marker in KINDS:
        line_with_spread(ax, rows[rows["codes"] == kind], "beta", column, label=kind, color=color, marker=marker, log_x=True)
    ax.axhline(floor, color=TEXT, linestyle=":", linewidth=1)
    return _over_beta(ax, rows, words)


def _over_beta(ax: Axes, rows: pd.DataFrame, words: str) -> Axes:
    ticks = sorted(set(rows["beta"]))[1::2]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_ylabel("")
    return style(ax, title=words, x="β (weight of the KL term)")


def beta_story(frame: pd.DataFrame, *, dim: int, title: str | None = None, live: Any = None) -> Picture:
    """Four panels over beta at `dim` latents: reconstruction, told apart, dependence, holes; `live` rows are drawn as stars.

    live: rows of `evaluate_vae` with a column "β", of models trained here.
    """
    picture, axes = panels(2, 2, height=2.9)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    reconstruction(axes[0, 0], frame, dim)
    over_beta(axes[0, 1], frame, dim, "c2st", floor=0.5, words="told apart from the prior (0.5: cannot)")
    over_beta(axes[1, 0], frame, dim, "distance_correlation", floor=0.0, words="dependence of live latents (0: none)")
    over_beta(axes[1, 1], frame, dim, "coverage_gap", floor=0.05, words="holes: share of the prior without codes")
    axes[0, 1].legend(fontsize=8, frameon=False)
    if live is not None:
        _stars(axes[0, 0], live[live["codes"] == "means"], "reconstruction_mse", RECONSTRUCTION)
        for ax, column in zip(axes.flat[1:], ("c2st", "distance_correlation", "coverage_gap"), strict=True):
            for kind, color, _ in KINDS:
                _stars(ax, live[live["codes"] == kind], column, color)
    return picture


def _stars(ax: Axes, rows: pd.DataFrame, column: str, color: str) -> None:
    means = rows.groupby("β")[column].mean()
    ax.plot(
        means.index, means, linestyle="none", marker="*", markersize=10, color=color, markeredgecolor=TEXT, markeredgewidth=0.6
    )


class CodesPanel:
    """One beta of a recorded sweep at a time: means by class, samples, and where beta lies on the price of reconstruction.

    What does not depend on beta (axes, the prior's outlines, the curve) is drawn once, so that `png(beta)` answers a slider.
    """

    def __init__(self, recorded: Recorded, *, dim: int) -> None:
        self.recorded, self.dim = recorded, dim
        picture, (axes,) = panels(1, 3, height=3.0)
        target = prior_sample(Gaussian(2), 2)
        self.limits = np.array([span(column) for column in target.T])
        for ax, (kind, _, _) in zip(axes, KINDS, strict=False):
            outlines(target, plane(ax, self.limits), self.limits)
            style(ax, title=kind).set_aspect("equal")
        reconstruction(axes[2], recorded.frame, dim)
        self.axes = axes
        self.backdrop = Backdrop(picture)

    def png(self, beta: float) -> bytes:
        """The picture at one of the recorded betas, as a PNG."""
        means, samples = (self.recorded.arrays[f"{self.dim}|beta {beta:g}|{kind}"].astype(float) for kind, _, _ in KINDS)
        made = [
            *points_by_class(means, self.recorded.arrays["labels"], self.axes[0]),
            heat_map(samples, self.axes[1], self.limits, SAMPLES),
            self.axes[2].axvline(beta, color=BAD, linewidth=2),
        ]
        return self.backdrop.png(made)
