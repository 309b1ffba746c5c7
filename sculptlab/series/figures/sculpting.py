"""Figures of sculpted autoencoders: independence against reconstruction error, metrics by objective, ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import (
    INDEPENDENT,
    OBJECTIVES,
    dot_rows,
    dots_with_range,
    grid,
    legend,
    legend_below,
    objective_kind,
)
from sculptlab.training.objectives.predictability import gaussian_information

GOOD_RECONSTRUCTION = 1.10  # relative reconstruction error at or below which the series calls a reconstruction good
RINGS = {"predictability": 13, "MMD + predictability": 9, "marginal MMD + predictability": 5}  # nested: none hides another
METRICS = {  # column of the table -> words
    "boosting": "LPS boosting", "mlp": "LPS mlp", "squares boosting": "LPS boosting, squares",
    "dcor_rest": "distance correlation to the rest",
}  # fmt: skip
METRIC_STYLES = dict(zip(METRICS.values(), [(GOOD, "s"), (CODES, "o"), (ACCENT, "D"), (TEXT, "v")], strict=True))
CONDITIONS = {name: OBJECTIVES[name] for name in ("no regularizer", "MMD", "MMD + predictability")}
BASES = {"kernel": "IMQ", "bandwidth": "1", "weight": "100", "batch": "256"}  # the base's value of each hyperparameter


def frontiers(frames: Mapping[str, pd.DataFrame], metric: str = "boosting", *, title: str | None = None) -> Picture:
    """LPS by `metric` of codes (a VAE's means) against the relative reconstruction error, a panel for each named frame.

    Markers are means over seeds, lines the range. The gray corner: LPS <= 0.05 at a relative reconstruction error <= 1.10.
    """
    figure, (axes,) = grid(1, len(frames), height=3.3, title=title)
    shown = {name: frame[frame["codes"] != "samples"] for name, frame in frames.items()}
    top = 1.1 * max(frame[metric].max() for frame in shown.values())
    for ax, (panel, frame) in zip(axes, shown.items(), strict=True):
        for name, (color, marker) in OBJECTIVES.items():
            rows = frame[frame["objective"].map(objective_kind) == name]
            if rows.empty:
                continue
            of = rows.groupby("objective", sort=False)[["relative_error", metric]].agg(["mean", "min", "max"])
            x, y = of["relative_error"], of[metric]
            ax.hlines(y["mean"], x["min"], x["max"], color=color, linewidth=1)
            ax.vlines(x["mean"], y["min"], y["max"], color=color, linewidth=1)
            look: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.5}
            if name in RINGS:
                look = {"markersize": RINGS[name], "markeredgewidth": 1.5, "markerfacecolor": "none"}
            ax.plot(x["mean"], y["mean"], color=color, marker=marker, linewidth=1, linestyle=":", label=name, **look)
        ax.axvspan(0, GOOD_RECONSTRUCTION, ymax=(INDEPENDENT + 0.03) / (top + 0.03), color=PRIOR, alpha=0.25, linewidth=0)
        errors = frame.groupby("objective")["relative_error"].mean()
        ax.set(xlim=(min(0.95, errors.min() - 0.03), max(1.15, errors.max() + 0.05)), ylim=(-0.03, top))
        style(ax, title=panel, x="relative reconstruction error")
    style(axes[0], y=f"LPS by {metric} (0: independent)")
    legend_below(figure, axes[0], len(OBJECTIVES))
    return figure


def metrics_by_objective(frames: Mapping[str, pd.DataFrame], order: Sequence[str], *, title: str | None = None) -> Picture:
    """Every metric of the codes (a VAE's means): a panel for each named frame, a row for each objective of `order`."""
    trained = {objective for frame in frames.values() for objective in frame["objective"]}
    present = [objective for objective in order if objective in trained]
    shown = [frame[frame["codes"] != "samples"].rename(columns=METRICS) for frame in frames.values()]
    tables = [(rows.melt(["objective"], list(METRIC_STYLES), "metric", "share"), "share") for rows in shown]
    figure, axes = dot_rows(tables, "objective", "metric", order=present, height=0.33, title=title, styles=METRIC_STYLES)
    for ax, name in zip(axes, frames, strict=True):
        ax.axvline(INDEPENDENT, color=PRIOR, linestyle=":", linewidth=1)
        ax.set_xlim(-0.03, 1.03)
        style(ax, title=name, x="explained share (0: none)")
    legend_below(figure, axes[0], len(METRICS))
    return figure


def ablation_panels(frame: pd.DataFrame, hyperparameters: Mapping[str, str], *, title: str | None = None) -> Picture:
    """LPS (top) and relative reconstruction error (bottom) for every hyperparameter {name in the frame: words} of an ablation.

    Dots are means, lines the range. The base stands in every panel, at the value that it has there.
    """
    figure, axes = grid(2, len(hyperparameters), height=2.5, title=title)
    for column, (hyperparameter, words) in zip(axes.T, hyperparameters.items(), strict=True):
        rows = _with_base(frame, hyperparameter)
        values = list(dict.fromkeys(rows["value"]))
        for ax, score in zip(column, ("mlp", "relative_error"), strict=True):
            dots_with_range(ax, rows, "value", score, "condition", order=values, styles=CONDITIONS)
            style(ax, x="", y="")
        column[0].set_ylim(-0.03, 1.03)
        column[0].set_xticklabels([])
        style(column[0], title=words)
        if hyperparameter == "kernel":
            column[1].tick_params(axis="x", rotation=90)
    style(axes[0, 0], y="LPS (mlp)")
    style(axes[1, 0], y="rel. reconstruction error")
    legend_below(figure, axes[0, -1], len(CONDITIONS))
    return figure


def _with_base(frame: pd.DataFrame, hyperparameter: str) -> pd.DataFrame:
    """The rows of a hyperparameter and of the base, in the order of values, with `relative_error`.

    Networks have no base: their error is relative to that of the same network without regularizer.
    """
    varied = frame[frame["hyperparameter"] == hyperparameter]
    if hyperparameter not in BASES:
        return _relative(varied)
    base = frame[frame["hyperparameter"] == "base"]
    plain = base.loc[base["condition"] == "no regularizer", "reconstruction_mse"].mean()
    if hyperparameter == "bandwidth":  # the base of the bandwidth is the RBF of the median distance
        base = frame[(frame["hyperparameter"] == "kernel") & (frame["value"] == "RBF")]
    rows = pd.concat([base.assign(value=BASES[hyperparameter]), varied])
    if hyperparameter != "kernel":
        rows = rows.sort_values("value", key=lambda column: column.astype(float), kind="stable")
    return rows.assign(relative_error=rows["reconstruction_mse"] / plain)


def _relative(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the error relative to the one without regularizer at the same value."""
    plain = rows[rows["condition"] == "no regularizer"].groupby("value")["reconstruction_mse"].mean()
    return rows.assign(relative_error=rows["reconstruction_mse"] / rows["value"].map(plain))


def scores_over_dimension(frames: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Picture:
    """LPS, effective rank and relative reconstruction error over the number of latents, a column for each named ablation frame.

    Of a frame the base and the rows whose hyperparameter is "dim" are shown.
    """
    figure, axes = grid(3, len(frames), height=2.0, title=title)
    words = {"mlp": "LPS (mlp)", "filled": "effective rank / latents", "relative_error": "rel. reconstruction error"}
    for column, (name, frame) in zip(axes.T, frames.items(), strict=True):
        rows = frame[frame["hyperparameter"].isin(("base", "dim"))]
        numbers = [str(dim) for dim in sorted(set(rows["dim"]))]
        rows = _relative(rows.assign(value=rows["dim"].astype(str), filled=rows["rank"] / rows["dim"]))
        for ax, score in zip(column, words, strict=True):
            dots_with_range(ax, rows, "value", score, "condition", order=numbers, styles=CONDITIONS)
            ax.axhline(float(score != "mlp"), color=PRIOR, linestyle=":", linewidth=1)
            style(ax, x="", y=words[score] if ax in axes[:, 0] else "")
        for ax in column[:2]:
            ax.set_ylim(-0.03, 1.08)
        style(column[0], title=name)
        style(column[2], x="number of latents")
    legend_below(figure, axes[0, 0], len(CONDITIONS))
    return figure


def penalty_and_gradient() -> Picture:
    """The penalty of a latent over its correlation r with its prediction, and the size of its gradient along the angle.

    With r = cos(angle), the slope along the angle is what a gradient step on the codes can use.
    """
    r = torch.linspace(0, 0.995, 400, device="cpu", dtype=torch.float32)
    sin = (1 - r**2).sqrt()
    penalties = {"nats, -½ ln(1 - r²)": (gaussian_information(r**2), r / sin), "squared, r²": (r**2, 2 * r * sin)}
    figure, (axes,) = grid(1, 2, height=2.6, title=None)
    for (name, lines), color, dash in zip(penalties.items(), (CODES, BAD), ("-", "--"), strict=True):
        for ax, line in zip(axes, lines, strict=True):
            ax.plot(r, line, color=color, linestyle=dash, label=name)
    axes[1].set_ylim(0, 4)
    style(axes[0], title="the penalty", x="correlation r of a latent with its prediction", y="nats")
    style(axes[1], title="its gradient along the angle", x="correlation r of a latent with its prediction", y="nats per radian")
    legend(axes[0])
    return figure
