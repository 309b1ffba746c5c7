"""Pictures of sculpted autoencoders: independence against its price, the judges side by side, ablations as small multiples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, Picture, panels, style
from sculptlab.series.figures.scores import dots
from sculptlab.training.objectives.predictability import gaussian_information

PRICE, INDEPENDENT = 1.10, 0.05  # the corner that a sculpted autoencoder should reach
KINDS: dict[str, tuple[str, str]] = {
    "no regularizer": (PRIOR, "X"),
    "KL": (MEANS, "D"),
    "MMD": (ACCENT, "v"),
    "predictability": (GOOD, "^"),
    "MMD + predictability": (CODES, "o"),
    "marginal MMD + predictability": (BAD, "s"),
}
GAMES = {"predictability": 13, "MMD + predictability": 9, "marginal MMD + predictability": 5}  # sizes of their rings
JUDGES: dict[str, tuple[str, str]] = {
    "boosting": (GOOD, "s"),
    "mlp": (CODES, "o"),
    "squares boosting": (ACCENT, "D"),
    "dcor_rest": (TEXT, "v"),
}
ARMS: dict[str, tuple[str, str]] = {"no regularizer": (PRIOR, "X"), "MMD": (ACCENT, "v"), "MMD + predictability": (CODES, "o")}


def kind(objective: str) -> str:
    """The kind of an objective by the name it has in a frontier's table: every beta is "KL"."""
    return "KL" if objective.startswith("beta ") else objective


def frontiers(frames: Mapping[str, pd.DataFrame], judge: str = "boosting", *, title: str | None = None) -> Picture:
    """LPS by `judge` of codes (a VAE's means) against the price in reconstruction, a panel for each named frame.

    Marks are means over seeds, lines the range; the shaded corner is LPS <= 0.05 at no more than 1.10 times the plain error.
    """
    picture, (axes,) = panels(1, len(frames), height=3.3)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    top = 1.1 * max(frame.loc[frame["codes"] != "samples", judge].max() for frame in frames.values())
    for ax, (name, frame) in zip(axes, frames.items(), strict=True):
        _frontier(ax, frame[frame["codes"] != "samples"], judge, top)
        style(ax, title=name, x="error / plain autoencoder's")
    axes[0].set_ylabel(f"LPS by {judge} (0: nothing found)", fontsize=9, color=TEXT)
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return picture


def _frontier(ax: Axes, frame: pd.DataFrame, judge: str, top: float) -> None:
    ax.set_ylim(-0.03, top)
    ax.axvspan(0, PRICE, ymax=(INDEPENDENT + 0.03) / (top + 0.03), color=PRIOR, alpha=0.25, linewidth=0)
    for name, (color, marker) in KINDS.items():
        rows = frame[frame["objective"].map(kind) == name]
        if rows.empty:
            continue
        of = rows.groupby("objective", sort=False)[["relative_error", judge]].agg(["mean", "min", "max"])
        x, y = of["relative_error"], of[judge]
        ax.hlines(y["mean"], x["min"], x["max"], color=color, linewidth=1)
        ax.vlines(x["mean"], y["min"], y["max"], color=color, linewidth=1)
        # rings, one in the other: games that come to the same place are all seen
        look: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.5}
        if name in GAMES:
            look = {"markersize": GAMES[name], "markeredgewidth": 1.5, "markerfacecolor": "none"}
        ax.plot(x["mean"], y["mean"], color=color, marker=marker, linewidth=1, linestyle=":", label=name, **look)
    ratios = frame.groupby("objective")["relative_error"].mean()
    ax.set_xlim(min(0.95, ratios.min() - 0.03), max(1.15, ratios.max() + 0.05))


def judges(frames: Mapping[str, pd.DataFrame], order: Sequence[str], *, title: str | None = None) -> Picture:
    """Every judge of the codes (a VAE's means), a panel for each named frame and a line for each objective of `order`."""
    picture, (axes,) = panels(1, len(frames), height=0.9 + 0.33 * len(order))
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    trained = {objective for frame in frames.values() for objective in frame["objective"]}
    present = [objective for objective in order if objective in trained]  # a line for each in every panel, empty or not
    for i, (ax, (name, frame)) in enumerate(zip(axes, frames.items(), strict=True)):
        rows = frame[frame["codes"] != "samples"].assign(kind=lambda f: f["objective"].map(kind))
        ax.axvline(INDEPENDENT, color=PRIOR, linestyle=":", linewidth=1)
        dots(ax, rows, "objective", JUDGES, present)
        ax.set_xlim(-0.03, 1.03)
        style(ax, title=name, x="share explained (0: nothing found)")
        if i:
            ax.set_yticklabels([])
    handles, _ = axes[0].get_legend_handles_labels()
    words = ["LPS boosting", "LPS mlp", "LPS boosting, squares", "distance correlation to the rest"]
    picture.legend(handles, words, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return picture


def small_multiples(frame: pd.DataFrame, knobs: Mapping[str, str], *, title: str | None = None) -> Picture:
    """LPS (top) and error over the plain one's (bottom) for every knob of an ablation; means and ranges.

    knobs: column name -> words. The base stands in every panel, where it belongs in the order of values.
    """
    picture, axes = panels(2, len(knobs), height=2.5)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for column, (knob, words) in enumerate(knobs.items()):
        rows = _with_base(frame, knob)
        values = list(dict.fromkeys(rows["value"]))
        for ax, measured in zip(axes[:, column], ("mlp", "relative_error"), strict=True):
            _arms(ax, rows, values, measured)
        axes[0, column].set_ylim(-0.03, 1.03)
        style(axes[0, column], title=words)
        axes[0, column].set_xticklabels([])
        if knob == "kernel":
            axes[1, column].tick_params(axis="x", rotation=90)
    style(axes[0, 0], y="LPS (mlp)")
    style(axes[1, 0], y="error / plain's")
    picture.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return picture


def _arms(ax: Axes, rows: pd.DataFrame, values: list[str], measured: str) -> None:
    for shift, (arm, (color, marker)) in zip((-0.15, 0, 0.15), ARMS.items(), strict=True):
        of = rows[rows["condition"] == arm].groupby("value")[measured].agg(["mean", "min", "max"]).reindex(values)
        at = np.arange(len(values)) + shift
        ax.vlines(at, of["min"], of["max"], color=color, linewidth=1.2)
        ax.plot(at, of["mean"], linestyle="none", marker=marker, color=color, markersize=5, label=arm)
    ax.set_xticks(range(len(values)), values)


BASES = {"kernel": "IMQ", "bandwidth": "1", "weight": "100", "batch": "256"}


def _with_base(frame: pd.DataFrame, knob: str) -> pd.DataFrame:
    """The rows of a knob and those of the base under the value it has there, in order; with `ratio` to the plain error.

    Of networks, which have no base, the error is over that of the same network without regularizer.
    """
    if knob not in BASES:
        return _priced(frame[frame["hyperparameter"] == knob])
    base = frame[frame["hyperparameter"] == "base"]
    if knob == "bandwidth":  # its own base is the RBF of the median distance
        base = frame[(frame["hyperparameter"] == "kernel") & (frame["value"] == "RBF")]
    rows = pd.concat([base.assign(value=BASES[knob]), frame[frame["hyperparameter"] == knob]])
    if knob != "kernel":
        rows = rows.sort_values("value", key=lambda column: column.astype(float), kind="stable")
    plain = frame[(frame["condition"] == "no regularizer") & (frame["hyperparameter"] == "base")]["reconstruction_mse"].mean()
    return rows.assign(ratio=rows["reconstruction_mse"] / plain)


def _priced(rows: pd.DataFrame) -> pd.DataFrame:
    plain = rows[rows["condition"] == "no regularizer"].groupby("value")["reconstruction_mse"].mean()
    return rows.assign(ratio=rows["reconstruction_mse"] / rows["value"].map(plain))


def dimensions(frames: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Picture:
    """LPS, the effective rank and the price over the number of latents asked for, a column for each named ablation frame.

    frame: the rows whose knob is "dim", and the base's, whose number of latents is in the column dim; others are left out.
    """
    picture, axes = panels(3, len(frames), height=2.0)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for column, (name, frame) in enumerate(frames.items()):
        rows = frame[frame["hyperparameter"].isin(("base", "dim"))]
        numbers = [str(dim) for dim in sorted(set(rows["dim"]))]
        rows = _priced(rows.assign(value=rows["dim"].astype(str), filled=rows["rank"] / rows["dim"]))
        for ax, measured in zip(axes[:, column], ("mlp", "filled", "relative_error"), strict=True):
            _arms(ax, rows, numbers, measured)
            ax.axhline(float(measured != "mlp"), color=PRIOR, linestyle=":", linewidth=1)
        for ax in axes[:2, column]:
            ax.set_ylim(-0.03, 1.08)
        style(axes[0, column], title=name)
        style(axes[2, column], x="latents asked for")
    style(axes[0, 0], y="LPS (mlp)")
    style(axes[1, 0], y="effective rank / latents")
    style(axes[2, 0], y="error / plain's")
    picture.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return picture


def twins() -> Picture:
    """What a latent pays for its correlation r with the guess, and how hard it is pushed away from it, by either penalty."""
    r = torch.linspace(0, 0.995, 400)
    turn = (1 - r**2).sqrt()  # r = cos(angle): the slope along the angle is what a gradient on the codes can use
    prices = {"nats, -½ ln(1 - r²)": (gaussian_information(r**2), r / turn), "squared, r²": (r**2, 2 * r * turn)}
    picture, (axes,) = panels(1, 2, height=2.6)
    for (name, lines), color, dash in zip(prices.items(), (CODES, BAD), ("-", "--"), strict=True):
        for ax, line in zip(axes, lines, strict=True):
            ax.plot(r, line, color=color, linestyle=dash, label=name)
    axes[1].set_ylim(0, 4)
    style(axes[0], title="the penalty", x="correlation r of a latent with its guess", y="nats")
    style(axes[1], title="the push apart, per radian", x="correlation r of a latent with its guess", y="nats per radian")
    axes[0].legend(fontsize=8, frameon=False)
    return picture
