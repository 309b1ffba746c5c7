"""Pictures of the compression study: error against rate, a line for each of `ARMS`, at fixed length and after entropy coding."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sculptlab.plots.style import ACCENT, BAD, CODES, MEANS, PRIOR, TEXT, Picture, panels, style
from sculptlab.series.studies.compression import at_rates

ARMS: dict[str, tuple[str, str, str, str]] = {  # words, color, marker, line; the study's other arms are in its table alone
    "no regularizer": ("plain", PRIOR, "X", "-"),
    "KL": ("KL, small β", MEANS, "D", "-"),
    "uniform": ("uniform codes", CODES, "o", "-"),
    "no regularizer, quantization-aware": ("plain, rounded in training", ACCENT, "v", "--"),
    "uniform, quantization-aware": ("uniform, rounded in training", BAD, "s", "--"),
}
PANELS = {"nominal": "symbols of fixed length", "coded": "entropy-coded file, all counted"}
MARKS = 9  # on a line
TOP = 2.0  # times the plain autoencoder's error


def rate_distortion_lines(frame: pd.DataFrame, *, rates: tuple[float, float], title: str | None = None) -> Picture:
    """Held-out error over the rate, between two rates in bits per image: fixed length on the left, the real file's on the right.

    frame: of `compression_study`. At every rate each of `ARMS` takes the best of its levels (the VAE of its betas
    too). Errors are divided by the plain autoencoder's without quantization (dotted; mean over seeds); lines are means over
    seeds, bands the range. Just above an arm's least rate only its worst levels are within reach: begin a tenth of a bit a
    latent later.
    """
    picture, (axes,) = panels(1, len(PANELS), height=3.9)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    unit = frame.loc[frame["condition"] == "no regularizer", "unquantized"].mean()
    for ax, (rate, words) in zip(axes, PANELS.items(), strict=True):
        found = at_rates(frame, np.linspace(*rates, 8 * MARKS + 1), rate=rate)
        _lines(ax, found.assign(mse=found["mse"] / unit))
        ax.axhline(1, color=TEXT, linestyle=":", linewidth=1)
        style(ax, title=words, x="rate (bits per image)")
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), min(TOP, limits[:, 1].max()))
    axes[0].set_ylabel("error / plain autoencoder's, unquantized", fontsize=9, color=TEXT)
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ARMS), fontsize=8, frameon=False)
    return picture


def _lines(ax: Axes, found: pd.DataFrame) -> None:
    for name, (words, color, marker, line) in ARMS.items():
        of = found[found["condition"] == name].groupby("rate")["mse"].agg(["mean", "min", "max", "count"])
        of = of[of["count"] == of["count"].max()]  # rates that all seeds reach
        ax.fill_between(of.index, of["min"], of["max"], color=color, alpha=0.2, linewidth=0)
        ax.plot(of.index, of["mean"], color=color, linestyle=line, linewidth=1.6, label=words, marker=marker, markersize=5,
                markevery=8, markeredgecolor="white", markeredgewidth=0.5)  # fmt: skip
