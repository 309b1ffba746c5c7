"""Figure of the compression study: error over rate, with symbols of fixed length and after entropy coding."""

import numpy as np
import pandas as pd

from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import ACCENT, BAD, CODES, MEANS, PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import grid, legend_below
from sculptlab.series.studies.compression import at_rates

CONDITIONS = {  # those that are drawn, in words; the table of the study has more
    "no regularizer": "plain",
    "KL": "KL, small β",
    "uniform": "uniform codes",
    "no regularizer, quantization-aware": "plain, rounded in training",
    "uniform, quantization-aware": "uniform, rounded in training",
}
STYLES = dict(zip(CONDITIONS.values(), [(PRIOR, "X"), (MEANS, "D"), (CODES, "o"), (ACCENT, "v"), (BAD, "s")], strict=True))


def error_over_rate(frame: pd.DataFrame, *, rates: tuple[float, float], title: str | None = None) -> Picture:
    """Held-out error over the rate, between two rates in bits per image.

    frame: of `compression_study`. At every rate each condition takes the best of its levels, "KL" of its betas, too. Errors are
    divided by the plain autoencoder's without quantization (dotted). Lines are means over seeds, bands the range, at rates
    that all seeds reach. The axis ends at twice the plain error.
    """
    figure, (axes,) = grid(1, 2, height=3.9, title=title)
    unit = frame.loc[frame["condition"] == "no regularizer", "unquantized"].mean()
    names = {"nominal": "symbols of fixed length", "coded": "entropy-coded file, all counted"}
    for ax, (rate, words) in zip(axes, names.items(), strict=True):
        found = at_rates(frame, np.linspace(*rates, 73), rate=rate)
        seeds = found.groupby(["condition", "rate"])["mse"].transform("count")
        reached = found[seeds == seeds.groupby(found["condition"]).transform("max")]
        shown = reached.assign(error=reached["mse"] / unit).replace({"condition": CONDITIONS})
        line_with_spread(ax, shown, "rate", "error", "condition", styles=STYLES)
        for line in ax.lines:
            line.set(markevery=8, linestyle="--" if "rounded" in str(line.get_label()) else "-")
        ax.axhline(1, color=TEXT, linestyle=":", linewidth=1)
        style(ax, title=words, x="rate (bits per image)", y="")
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), min(2.0, limits[:, 1].max()))
    style(axes[0], y="error / plain autoencoder's, unquantized")
    legend_below(figure, axes[0], len(CONDITIONS))
    return figure
