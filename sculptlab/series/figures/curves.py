"""Figure of LPS over the number of codes that its regressor was trained on."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.ticker import FuncFormatter

from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import TEXT, Picture, style
from sculptlab.series.figures.common import INDEPENDENT, OBJECTIVES, grid, legend_below, objective_kind

# "predictability" alone is not in this study: its color is free for the penalty with 8 rounds
STYLES = {name: look for name, look in OBJECTIVES.items() if name != "predictability"}
STYLES["marginal MMD + predictability, 8 rounds"] = OBJECTIVES["predictability"]
REGRESSORS = {"mlp": "networks", "boosting": "trees"}


def lps_over_codes(frames: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Picture:
    """LPS over the number of training codes: a column for each named table of `lps_curves`, a row per regressor.

    Lines are means over seeds, bands the range. Dotted: LPS = 0.05. Dashed: the largest chance level of any objective. Each
    column has its own range of LPS. With a single table the regressors stand side by side.
    """
    alone = len(frames) == 1
    figure, axes = grid(1, 2, height=3.4, title=title) if alone else grid(2, len(frames), height=2.5, title=title)
    for i, (column, (name, frame)) in enumerate(zip(axes if alone else axes.T, frames.items(), strict=True)):
        top = 1.1 * frame["score"].max()
        rows = frame.assign(kind=frame["objective"].map(objective_kind))
        for ax, (regressor, words) in zip(column, REGRESSORS.items(), strict=True):
            shown = rows[rows["regressor"] == regressor]
            line_with_spread(ax, shown, "n", "score", "kind", styles=STYLES, log_x=True)
            chance = shown.groupby("n")["chance"].max()
            ax.plot(chance.index, chance, color=TEXT, linestyle="--", linewidth=0.8)
            ax.axhline(INDEPENDENT, color=TEXT, linestyle=":", linewidth=0.8)
            ax.set_ylim(-0.03 * top, top)
            ax.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n / 1000:.2g}k"))
            style(ax, title=name if alone or ax is column[0] else None, y="" if i else f"LPS by {words}")
            style(ax, x="codes to train on" if alone or ax is column[-1] else "")
    legend_below(figure, axes[0, 0], 3)
    return figure
