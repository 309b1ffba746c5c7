"""Figure of the power study: how often an MMD test with each kernel and view detects each difference."""

import pandas as pd
import seaborn
from matplotlib.ticker import StrMethodFormatter

from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import grid, legend_below

# joint kernels in grays and blues, solid; marginal and pairwise views in warm colors, dashed; sliced MMD in greens, dotted
STATISTICS: dict[str, tuple[str, str]] = {
    "joint IMQ": (CODES, "o"),
    "joint RBF, median": ("#56B4E9", "v"),
    "joint Energy": (PRIOR, "s"),
    "joint RBF, exp(-D2/d²)": ("#000000", "X"),
    "marginals, mean": (MEANS, "^"),
    "pairs, mean": (ACCENT, "D"),
    "pairs, worst": (BAD, "*"),
    "marginals, mean, h = 1": ("#B8860B", "<"),
    "pairs, worst, h = 1": ("#A0307A", "h"),
    "sliced Energy": (GOOD, "P"),
    "sliced RBF, h = 1": ("#7A9A01", "p"),
}
LINES = {"joint": "-", "slice": ":"}  # by the first letters of a statistic; others "--"


def power_curves(frame: pd.DataFrame, over: str = "dim", *, title: str | None = None) -> Picture:
    """The power of each test over dimensions ("dim") or rows ("n"): a panel for each difference.

    frame: columns difference, statistic, seed, dim, n and rate, as `rejection_rates` gives them, at one number of rows or of
    dimensions. Lines are means over seeds; the dotted line without markers is the level.
    """
    differences = list(dict.fromkeys(frame["difference"]))
    figure, axes = grid(-(-len(differences) // 2), 2, height=2.5, title=title)
    present = [name for name in STATISTICS if name in set(frame["statistic"])]
    for ax, difference in zip(axes.flat, differences, strict=False):
        ax.axhline(0.05, color=TEXT, linestyle=":", linewidth=1)
        means = frame[frame["difference"] == difference].groupby(["statistic", over])["rate"].mean()
        for name in present:
            color, marker = STATISTICS[name]
            line = LINES.get(name[:5], "--")
            seaborn.lineplot(means[name], ax=ax, color=color, marker=marker, linestyle=line, label=name, legend=False)
        ax.set_xscale("log", base=2)
        ax.set(ylim=(-0.03, 1.05), xticks=sorted(set(frame[over])))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        style(
            ax, title=difference, x={"dim": "dimensions d", "n": "points n"}[over], y="share rejected" if ax in axes[:, 0] else ""
        )
    legend_below(figure, axes[0, 0], 4)
    return figure
