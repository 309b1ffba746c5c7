"""Pictures of LPS against the number of codes that its judge learned from."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.ticker import FuncFormatter

from sculptlab.plots.style import TEXT, Picture, panels, style
from sculptlab.plots.tables import line_with_spread
from sculptlab.series.figures import sculpting as sculpting_plots
from sculptlab.series.figures.sculpting import INDEPENDENT, kind

# an objective has one color and one mark in all figures; that of the game alone, which is not here, goes to the strong game
KINDS = {name: mark for name, mark in sculpting_plots.KINDS.items() if name != "predictability"}
KINDS["marginal MMD + predictability, 8 rounds"] = sculpting_plots.KINDS["predictability"]
REGRESSORS = {"mlp": "networks", "boosting": "trees"}


def rising(frames: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Picture:
    """LPS over the number of codes fitted to, a column for each named table of `lps_curves`, a row per regressor; of
    one table alone the regressors stand side by side.

    Lines are means over seeds, bands the range; dotted: LPS = 0.05; dashed: the largest floor of any objective. A column has its
    own range of LPS.
    """
    alone = len(frames) == 1
    picture, axes = panels(1, len(REGRESSORS), height=3.4) if alone else panels(len(REGRESSORS), len(frames), height=2.5)
    axes = axes.T if alone else axes
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for column, (name, frame) in enumerate(frames.items()):
        top = 1.1 * frame["score"].max()
        for row, (regressor, words) in enumerate(REGRESSORS.items()):
            ax, rows = axes[row, column], frame[frame["regressor"] == regressor].assign(kind=lambda f: f["objective"].map(kind))
            for objective, (color, marker) in KINDS.items():
                of = rows[rows["kind"] == objective]
                if len(of):
                    line_with_spread(ax, of, "n", "score", label=objective, color=color, marker=marker, log_x=True)
            ax.plot(*zip(*rows.groupby("n")["chance"].max().items(), strict=True), color=TEXT, linestyle="--", linewidth=0.8)
            ax.axhline(INDEPENDENT, color=TEXT, linestyle=":", linewidth=0.8)
            ax.set_ylim(-0.03 * top, top)
            ax.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n / 1000:.2g}k"))
            style(ax, x="", y="" if column else f"LPS by {words}")
            if alone or row == 0:
                style(ax, title=name)
            if alone or row == len(REGRESSORS) - 1:
                style(ax, x="codes learned from")
    picture.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return picture
