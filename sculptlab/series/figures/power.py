"""Pictures of the study of power: how often each lens finds each difference."""

import pandas as pd
from matplotlib.ticker import StrMethodFormatter

from sculptlab.plots.style import ACCENT, BAD, CODES, MEANS, PRIOR, TEXT, Picture, panels, style
from sculptlab.validation import choice

# the joint kernels in grays and blues, the views in warm colors
LENSES: dict[str, tuple[str, str]] = {
    "joint IMQ": (CODES, "o"),
    "joint RBF, median": ("#56B4E9", "v"),
    "joint Energy": (PRIOR, "s"),
    "joint RBF, exp(-D2/d²)": ("#000000", "x"),
    "marginals, mean": (MEANS, "^"),
    "pairs, mean": (ACCENT, "D"),
    "pairs, worst": (BAD, "*"),
}
KNOBS = {"dim": "dimensions d", "n": "points in each bag n"}


def power_curves(frame: pd.DataFrame, knob: str, *, title: str | None = None) -> Picture:
    """How often each lens finds each difference, over dimensions (knob "dim") or rows ("n"): a panel for each difference.

    frame: columns difference, statistic, seed, rate and the knob, as `rejection_rates` gives them, at one value of the
    other knob. Lines are means over seeds; the dotted line is the level.
    """
    choice("hyperparameter", knob, KNOBS)
    differences = list(dict.fromkeys(frame["difference"]))
    picture, axes = panels(1, len(differences), height=3.1)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for ax, difference in zip(axes[0], differences, strict=True):
        means = frame[frame["difference"] == difference].groupby([knob, "statistic"])["rate"].mean().unstack("statistic")
        ax.axhline(0.05, color=TEXT, linestyle=":", linewidth=1)
        for name in [name for name in LENSES if name in means]:
            color, marker = LENSES[name]
            line = "-" if name.startswith("joint") else "--"
            ax.plot(means.index, means[name], linestyle=line, marker=marker, markersize=5, linewidth=1.5, color=color, label=name)
        ax.set_xscale("log", base=2)
        ax.set(ylim=(-0.03, 1.05), xticks=means.index)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        style(ax, title=difference, x=KNOBS[knob], y="share of bags found out" if ax is axes[0, 0] else None)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return picture
