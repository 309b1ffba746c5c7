"""Pictures of the compression study: error against rate, a line for each arm, at fixed length and after entropy coding."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter

from sculptlab.compression_studies import at_rates
from sculptlab.palette import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, Picture, panels, style

ARMS: dict[str, tuple[str, str, str]] = {  # colour, marker, line
    "none": (PRIOR, "X", "-"),
    "KL": (MEANS, "D", "-"),
    "independent": (TEXT, "P", "-"),
    "gaussian": (GOOD, "^", "-"),
    "uniform": (CODES, "o", "-"),
    "none, aware": (ACCENT, "v", "--"),
    "uniform, aware": (BAD, "s", "--"),
}
PANELS = {"nominal": "symbols of fixed length", "coded": "entropy-coded file, all counted"}
MARKS = 9  # on a line


def rate_distortion_lines(frame: pd.DataFrame, *, most: float, title: str | None = None) -> Picture:
    """Held-out error over the rate, up to `most` bits per image: fixed length on the left, the real file's on the right.

    frame: of `compression_studies.compress`. At every rate each arm takes the best of its levels (the VAE of its betas too);
    lines are means over seeds, bands the range; dotted: the plain autoencoder's error without quantisation.
    """
    picture, (axes,) = panels(1, len(PANELS), height=3.9)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, (rate, words) in zip(axes, PANELS.items(), strict=True):
        _lines(ax, frame, rate, most)
        ax.axhline(frame.loc[frame["arm"] == "none", "unquantised"].mean(), color=TEXT, linestyle=":", linewidth=1)
        style(ax, title=words, x="rate (bits per image)")
    axes[0].set_ylabel("mean squared error per pixel", fontsize=9, color=TEXT)
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), limits[:, 1].max())
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ARMS), fontsize=8, frameon=False)
    return picture


def _lines(ax: Axes, frame: pd.DataFrame, rate: str, most: float) -> None:
    found = at_rates(frame, np.linspace(0, most, 8 * MARKS + 1), rate=rate)
    for name, (colour, marker, line) in ARMS.items():
        of = found[found["arm"] == name].groupby("rate")["mse"].agg(["mean", "min", "max", "count"])
        of = of[of["count"] == of["count"].max()]  # rates that all seeds reach
        ax.fill_between(of.index, of["min"], of["max"], color=colour, alpha=0.2, linewidth=0)
        ax.plot(of.index, of["mean"], color=colour, linestyle=line, linewidth=1.6, label=name, marker=marker, markersize=5,
                markevery=8, markeredgecolor="white", markeredgewidth=0.5)  # fmt: skip
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
