"""Figures of LPS over the number of codes that its regressor learned from, and of LPS against the reconstruction error."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.ticker import FuncFormatter

from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import CLASSES, GOOD, PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import OBJECTIVES, grid, legend_below, objective_kind

REGRESSORS = {"mlp": "networks", "boosting": "trees"}
NAMES = {  # an objective in the tables -> its name in figures
    "no regularizer": "plain autoencoder", "KL": "KL (a VAE's means)", "MMD": "MMD", "MMD + predictability": "MMD + penalty",
    "marginal MMD + predictability": "marginal MMD + penalty", "reshaped": "reshaped after training",
}  # fmt: skip
STYLES = {words: OBJECTIVES[name] for name, words in NAMES.items() if name in OBJECTIVES}
STYLES |= {
    "marginal MMD + penalty, 8 rounds": (GOOD, "^"), "whitened": (PRIOR, "P"), "reshaped after training": (CLASSES[2][0], "*"),
}  # fmt: skip


def lps_over_codes(frames: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Picture:
    """LPS over the number of training codes: a column for each named table of `lps_curves`, a row per regressor.

    Lines are means over seeds, bands the range. Dashed: the largest chance level of any objective. A row shares its range.
    """
    figure, axes = grid(2, len(frames), height=2.6, title=title)
    tables = {name: _named(frame) for name, frame in frames.items()}
    for row, (regressor, words) in zip(axes.tolist(), REGRESSORS.items(), strict=True):
        for ax, (name, frame) in zip(row, tables.items(), strict=True):
            shown = frame[frame["regressor"] == regressor]
            line_with_spread(ax, shown, "n", "score", "kind", styles=STYLES, log_x=True)
            chance = shown.groupby("n")["chance"].max()
            ax.plot(chance.index, chance, color=TEXT, linestyle="--", linewidth=0.8)
            ax.set_ylim(-0.03, 1.03)
            ax.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n / 1000:.2g}k"))
            style(ax, title=name if ax in axes[0] else None, y=f"LPS by {words}" if ax is row[0] else "")
            style(ax, x="codes learned from" if ax in axes[-1] else "")
    legend_below(figure, axes[0, 0], 3)
    return figure


def lps_over_error(frames: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Picture:
    """LPS by networks, from all training codes, over the relative reconstruction error: a panel for each table of `lps_curves`.

    Markers are means over seeds, lines the range. Tables may have rows of `independence_study` too, with their conditions as
    objectives.
    """
    figure, (axes,) = grid(1, len(frames), height=3.4, title=title)
    for ax, (name, frame) in zip(axes, frames.items(), strict=True):
        shown = _named(frame[(frame["n"] == frame["n"].max()) & (frame["regressor"] == "mlp")])
        for kind in filter(set(shown["kind"]).__contains__, STYLES):
            color, marker = STYLES[kind]
            of = shown.loc[shown["kind"] == kind, ["relative_error", "score"]].agg(["mean", "min", "max"])
            (x, y), (left, low), (right, high) = of.to_numpy()
            ax.plot([left, right], [y, y], color=color, linewidth=1)
            ax.plot([x, x], [low, high], color=color, linewidth=1)
            ax.plot(x, y, color=color, marker=marker, markersize=8, linestyle="", label=kind)
        ax.set(xlim=(0.95, 1.05), ylim=(-0.03, 1.03))
        style(ax, title=name, x="relative reconstruction error", y="LPS by networks" if ax is axes[0] else "")
    legend_below(figure, axes[0], 4)
    return figure


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the column `kind`: what its objectives are called in figures."""
    kinds = frame["objective"].map(objective_kind)
    return frame.assign(kind=kinds.map(lambda kind: NAMES.get(kind, kind.replace("predictability", "penalty"))))
