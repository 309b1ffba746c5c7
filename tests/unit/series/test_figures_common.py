"""What the figures of the series share."""

import numpy as np
import pandas as pd

from sculptlab import plots
from sculptlab.plots.style import BAD
from sculptlab.series.figures.common import dots_with_range


def test_dots_are_means_and_lines_the_range():
    rows = [(name, kind, 10 * i + seed) for i, name in enumerate("ab") for kind in ("one", "two") for seed in (0, 1, 5)]
    frame = pd.DataFrame(rows, columns=["condition", "kind", "lps"])
    styles = {"one": (plots.CODES, "o"), "two": (plots.MEANS, "D"), "absent": (BAD, "s")}
    ax = plots.panels(width=4)[1][0, 0]
    assert dots_with_range(ax, frame, "lps", "condition", "kind", order=["b", "a", "none"], styles=styles) is ax
    handles, names = ax.get_legend_handles_labels()
    assert (names, ax.get_legend()) == (["one", "two"], None)
    assert [handle.get_marker() for handle in handles] == ["o", "D"]
    points = [line.get_xdata() for line in ax.lines if line.get_linestyle() == "None" and len(line.get_xdata()) > 1]
    assert np.nanmax(points) == 12
    assert np.nanmin(points) == 2
    ranges = {tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2}
    assert ranges >= {(0, 5), (10, 15)}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a", "none"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first is at the top
