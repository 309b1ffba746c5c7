"""Figures of LPS: trained models, agreement with scores that know the factors, what changes LPS, codes above their scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import StrMethodFormatter

from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, SAMPLES, TEXT, WIDTH, Picture, style
from sculptlab.series.figures.common import Backdrop, dot_rows, grid, legend, legend_below
from sculptlab.series.reference_codes.mixing import mixed
from sculptlab.validation import choice

REGRESSORS: dict[str, tuple[str, str]] = {"linear": (MEANS, "v"), "boosting": (GOOD, "s"), "mlp": (CODES, "o")}
HYPERPARAMETERS = {"n": "codes n", "d": "dimensions d"}
AGREEMENT = {
    "mlp": "LPS\n(0: independent)",
    "MIG": "MIG\n(0: no latent is ahead)",
    "DCI disentanglement": "DCI disentanglement\n(1: one factor a latent)",
}
CODES_OF_FACTORS = {
    "aligned": "each factor, Gaussian", "uniform": "each factor, uniform", "rotated": "Gaussian, rotated",
    "rotated uniform": "uniform, rotated", "network": "random network", "duplicated": "each factor twice",
    **{f"beta {beta}": f"VAE, β = {beta}" for beta in (1, 4, 16)},
}  # fmt: skip
KINDS = {"made": "made of the factors", "model": "means of trained models"}
BARS = {  # scores between 0 and 1, in the colors of their kinds; gray: without a regressor
    "correlation²": PRIOR, "distance correlation": PRIOR, "HSIC": PRIOR, "LPS linear": MEANS, "LPS boosting": GOOD,
    "LPS mlp": CODES, "LPS mlp, squares": CODES, "LPS mlp, bits / 3": CODES, "MIG": ACCENT, "SAP (continuous)": ACCENT,
}  # fmt: skip
LPS_COLUMNS = {"linear": "LPS linear", "boosting": "LPS boosting", "mlp": "LPS mlp", "squares": "LPS mlp, squares"}


def _by_regressor(frame: pd.DataFrame, row: str) -> pd.DataFrame:
    """A row instead of a column for each regressor, with its score in "LPS"."""
    return frame.melt([row], list(REGRESSORS), var_name="regressor", value_name="LPS")


def model_scores(frame: pd.DataFrame, order: list[str], *, title: str | None = None) -> Picture:
    """LPS of trained models, of their means on the left and samples on the right; gray: up to the chance level."""
    kinds = {kind: frame[frame["codes"] == kind] for kind in ("means", "samples")}
    tables = [(_by_regressor(rows, "objective"), "LPS") for rows in kinds.values()]
    figure, axes = dot_rows(tables, "objective", "regressor", order=order, height=0.42, title=title, styles=REGRESSORS)
    for ax, (kind, rows) in zip(axes, kinds.items(), strict=True):
        chance = rows[[f"{name}_chance" for name in REGRESSORS]].max().max()
        ax.axvspan(0, chance, color=PRIOR, alpha=0.5, linewidth=0)
        ax.axvline(0, color=PRIOR, linewidth=1.5)
        ax.set_xlim(-0.03, 1.03)
        style(ax, title=f"{kind} (chance level at most {chance:.3f})", x="LPS (explained share of variance, R²)")
    legend(axes[1], loc="center right")
    return figure


def agreement(frame: pd.DataFrame, scores: Mapping[str, str] = AGREEMENT, *, title: str | None = None) -> Picture:
    """LPS beside scores that know the factors: a row for each kind of codes, a panel for each of `scores` {column: words}.

    frame: columns kind ("made" or "model"), codes, and those of `scores`; a row per kind of codes and seed.
    """
    named = frame.assign(kind=frame["kind"].replace(KINDS), codes=frame["codes"].replace(CODES_OF_FACTORS))
    tables, order = [(named, column) for column in scores], list(dict.fromkeys(named["codes"]))
    styles = dict(zip(KINDS.values(), ((BAD, "s"), (CODES, "o")), strict=True))
    figure, axes = dot_rows(tables, "codes", "kind", order=order, height=0.28, title=title, styles=styles)
    for ax, words in zip(axes, scores.values(), strict=True):
        ax.set_xlim(-0.05, 1.05)
        style(ax, x=words)
    legend_below(figure, axes[0], 2)
    return figure


def sensitivity(frame: pd.DataFrame, codes: str, *, title: str | None = None) -> Picture:
    """Held-out R² of `codes` over their number and their dimension, a line for each regressor, beside the truth (dotted)."""
    figure, (axes,) = grid(1, 2, height=2.9, title=title)
    for ax, hyperparameter in zip(axes, HYPERPARAMETERS, strict=True):
        rows = frame[(frame["hyperparameter"] == hyperparameter) & (frame["codes"] == codes)]
        line_with_spread(ax, rows, "value", "raw", "regressor", styles=REGRESSORS, log_x=True)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.tick_params(axis="x", labelrotation=30)
        truth = rows.groupby("value")["raw_truth"].mean()
        ax.plot(truth.index, truth, color=TEXT, linestyle=":", linewidth=1.5, label="truth")
        ax.axhline(0, color=TEXT, linewidth=0.6)
        style(ax, x=HYPERPARAMETERS[hyperparameter], y="held-out R²")
    axes[1].set_ylim(axes[0].get_ylim())
    legend(axes[0])
    return figure


def codes_with_scores(codes: Mapping[str, Any], scores: pd.DataFrame, *, title: str | None = None) -> Picture:
    """Codes (n, 2) by name, and below them a bar for each column of `scores`, which has a row for each name."""
    figure, axes = grid(2, len(codes), height=2.1, title=title)
    for (above, below), (name, z) in zip(axes.T, codes.items(), strict=True):
        above.plot(*np.asarray(z)[:800].T, linestyle="none", marker=".", markersize=2, color=SAMPLES)
        above.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[-2, 0, 2], yticks=[-2, 0, 2], aspect="equal")
        style(above, title=name, x="z0", y="z1" if above is axes[0, 0] else None)
        values = scores.loc[name].to_numpy(dtype=float)
        bars = below.barh(list(scores.columns), values, color=[CODES if value > 0.02 else PRIOR for value in values])
        below.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=8, color=TEXT)
        below.set_xlim(0, max(1.0, 1.2 * scores.to_numpy().max()))
        below.invert_yaxis()
        below.tick_params(axis="y", labelleft=below is axes[1, 0])
        style(below, x="score")
    return figure


class MixingPanel:
    """The figure of three sliders: mixed codes, and a bar for every recorded score, with its range over seeds."""

    def __init__(self, frame: pd.DataFrame, *, n: int) -> None:
        scaled = {"correlation²": frame["|correlation|"] ** 2, "LPS mlp, bits / 3": frame["bits"] / 3}
        scores = frame.rename(columns=LPS_COLUMNS).assign(**scaled)
        self.frame, self.n = scores.set_index(["source", "angle", "bend"]).sort_index(), n
        figure = Picture(figsize=(WIDTH, 3.6))
        self.codes, self.bars = figure.subplots(1, 2, width_ratios=[1, 1.5])
        self.codes.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
        style(self.codes, title="codes", x="z0", y="z1")
        self.bars.set(xlim=(0, 1.12), ylim=(-0.6, len(BARS) - 0.4), xticks=[0, 0.25, 0.5, 0.75, 1])
        self.bars.set_yticks(range(len(BARS)), list(reversed(BARS)))
        style(self.bars, title="dependence of the codes; pink: alignment with the sources", x="mean and range over seeds")
        self.backdrop = Backdrop(figure)

    def __call__(self, settings: Mapping[str, Any]) -> bytes:
        """The figure as a PNG at settings "source", "angle" (degrees) and "bend" of the recorded grid."""
        key = source, angle, bend = settings["source"], settings["angle"], settings["bend"]
        choice("settings", key, list(self.frame.index.unique()))
        z = mixed(source, angle, bend, n=self.n, seed=0).codes
        drawn = list(self.codes.plot(z[:, 0], z[:, 1], linestyle="none", marker=".", markersize=2.5, color=SAMPLES))
        for place, (column, color) in enumerate(reversed(BARS.items())):
            values = self.frame.loc[[key], column]
            drawn += self.bars.barh(place, values.mean(), color=color, height=0.7).patches
            drawn += self.bars.plot([values.min(), values.max()], [place, place], color=TEXT, linewidth=1)
            drawn.append(self.bars.text(1.12, place, f"{values.mean():.2f}", ha="right", va="center", fontsize=8, color=TEXT))
        return self.backdrop.png(drawn)
