"""Figures of the study over beta: reconstruction error, C2ST accuracy, dependence and coverage gap of a VAE's codes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sculptlab.plots.codes import heat_map, outlines, plane, prior_sample, span
from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import BAD, MEANS, RECONSTRUCTION, SAMPLES, TEXT, Picture, panels, style
from sculptlab.priors import Gaussian
from sculptlab.series.figures.common import Backdrop, grid, legend
from sculptlab.series.results import Recorded
from sculptlab.validation import choice

CODES = {"means": (MEANS, "o"), "samples": (SAMPLES, "s")}
SCORES = {  # column of the table: (words, what codes that follow the prior score)
    "c2st": ("C2ST accuracy, codes against prior (0.5: chance)", 0.5),
    "distance_correlation": ("dependence of the active latents (0: none)", 0.0),
    "coverage_gap": ("coverage gap: share of the prior without codes", 0.05),
}


def beta_rows(frame: pd.DataFrame, dim: int) -> pd.DataFrame:
    """The rows of the sweep over beta at `dim` latents, with a column beta; frame: of `kl_study`."""
    choice("dim", dim, sorted(set(frame["dim"])))
    rows = frame[(frame["dim"] == dim) & frame["objective"].str.startswith("beta ")]
    return rows.assign(beta=rows["objective"].str.removeprefix("beta ").astype(float))


def _reconstruction(ax: Axes, sweep: pd.DataFrame) -> Axes:
    """Held-out reconstruction error over beta, beside that of the mean image, which codes without information reach."""
    rows = sweep[sweep["codes"] == "means"]
    line_with_spread(ax, rows, "beta", "reconstruction_mse", color=RECONSTRUCTION, log_x=True)
    baseline = rows["baseline_mse"].iloc[0]
    ax.axhline(baseline, color=TEXT, linestyle="--", linewidth=1)
    ax.annotate("the mean image", (0.02, baseline), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=TEXT)
    ax.set_ylim(0, 1.15 * baseline)
    return _name_axes(ax, sweep, "reconstruction error (MSE)")


def _name_axes(ax: Axes, sweep: pd.DataFrame, title: str) -> Axes:
    ticks = sorted(set(sweep["beta"]))[1::2]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    return style(ax, title=title, x="β (weight of the KL term)", y="")


def metrics_over_beta(frame: pd.DataFrame, *, dim: int, title: str | None = None) -> Picture:
    """Four panels over beta at `dim` latents: reconstruction error, and the `SCORES` of means and samples.

    Lines are means over seeds, bands the range; dotted: codes that follow the prior.
    """
    figure, axes = grid(2, 2, height=2.9, title=title)
    sweep = beta_rows(frame, dim)
    _reconstruction(axes[0, 0], sweep)
    for ax, (column, (words, expected)) in zip(axes.flat[1:], SCORES.items(), strict=True):
        line_with_spread(ax, sweep, "beta", column, "codes", styles=CODES, log_x=True)
        ax.axhline(expected, color=TEXT, linestyle=":", linewidth=1)
        _name_axes(ax, sweep, words)
    legend(axes[0, 1])
    return figure


class CodesPanel:
    """The figure of a slider over beta: a VAE's means, its samples, and its reconstruction error."""

    def __init__(self, recorded: Recorded, *, dim: int) -> None:
        self.recorded, self.dim = recorded, dim
        figure, (self.axes,) = panels(1, 3, height=3.0)
        prior = prior_sample(Gaussian(2), 2)
        self.limits = np.array([span(column) for column in prior.T])
        for ax, codes in zip(self.axes, CODES, strict=False):
            outlines(prior, plane(ax, self.limits), self.limits)
            style(ax, title=f"recorded {codes}", x="first latent", y="second latent").set_aspect("equal")
        _reconstruction(self.axes[2], beta_rows(recorded.frame, dim))
        self.backdrop = Backdrop(figure)

    def png(self, beta: float) -> bytes:
        """The figure at one of the recorded betas, as a PNG."""
        means, samples = (self.recorded.arrays[f"{self.dim}|beta {beta:g}|{codes}"].astype(float) for codes in CODES)
        changing = [
            heat_map(means, self.axes[0], self.limits, MEANS),
            heat_map(samples, self.axes[1], self.limits, SAMPLES),
            self.axes[2].axvline(beta, color=BAD, linewidth=2),
        ]
        return self.backdrop.png(changing)
