"""The scorecard's figure, relative error against LPS with the Pareto front, and tables that a reader sorts in the page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from sculptlab.plots.style import TEXT, Picture, style
from sculptlab.series.figures.common import LOOKS, grid, legend_below
from sculptlab.series.studies.scorecard import pareto

# A click sorts by the column: numbers as numbers, first up, then down.
SORT = (
    "const t=this.closest('table'),b=t.tBodies[0],i=this.cellIndex,up=this.dataset.up!=='1';this.dataset.up=up?'1':'';"
    "const v=r=>r.cells[i].innerText,n=s=>{const x=parseFloat(s);return isNaN(x)?null:x};"
    "[...b.rows].sort((p,q)=>{const x=n(v(p)),y=n(v(q));"
    "if(x===null&&y===null)return up?v(p).localeCompare(v(q)):v(q).localeCompare(v(p));"
    "if(x===null||y===null)return x===null?1:-1;return up?x-y:y-x}).forEach(r=>b.append(r))"
)


LABEL_SIZE = 7.5  # of the names of points, in typographic points
MOST_NAMES = 8  # more than these would cover each other
MORE_LOOKS = (("#8C564B", "P"), ("#777777", "*"))  # there are more families than looks


def error_against_lps(
    frame: pd.DataFrame, families: Mapping[str, str], *, column: str = "mlp", title: str | None = None
) -> Picture:
    """A point for each method: the mean over seeds, with lines of one standard deviation; one color for each family.

    frame: rows of kind "chosen" of a scorecard. The dashed line joins the methods that no other one beats in both. Among more
    than eight methods only those have their names; the others have the numbers of `means_table`, where there is room.
    """
    figure, ((ax,),) = grid(1, 1, height=4.6, title=title)
    looks = dict(zip(dict.fromkeys(families.values()), cycle((*LOOKS, *MORE_LOOKS)), strict=False))
    groups = frame.groupby("method", sort=False)[["relative_error", column]]
    means, spreads = groups.mean().dropna(), groups.std()
    front = means.loc[pareto(frame, y=column)]
    ax.plot(front["relative_error"], front[column], color=TEXT, linestyle="--", linewidth=1, zorder=0)
    named: set[str] = set()
    points: list[tuple[str, str, float, float]] = []
    for number, (name, row) in enumerate(means.iterrows(), 1):
        family = families[str(name)]
        color, marker = looks[family]
        label = None if family in named else family
        named.add(family)
        ax.errorbar(
            row["relative_error"], row[column], xerr=spreads.loc[name, "relative_error"], yerr=spreads.loc[name, column],
            color=color, marker=marker, markersize=6, linestyle="none", linewidth=1, label=label,
        )  # fmt: skip
        words = f"{number} {name}" if len(means) <= MOST_NAMES or name in front.index else f"{number}"
        points.append((words, str(number), row["relative_error"], row[column]))
    if means["relative_error"].max() > 1.5:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator([0.5, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50]))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    style(ax, x="held-out error / plain autoencoder's", y="LPS by networks (0: independent)")
    legend_below(figure, ax, 3)
    label_points(ax, sorted(points, key=lambda point: point[0] == point[1]))  # those with names first
    return figure


def label_points(ax: Any, points: Sequence[tuple[str, str, float, float]]) -> None:
    """Write the words (words, number, x, y) of each point where no other text or point is; else its number; else nothing.

    Words that are more than a line away from their point are joined to it by a thin line.
    """
    ax.figure.draw_without_rendering()  # the places of the axes
    at = ax.transData.transform([point[2:] for point in points]) * 72 / ax.figure.dpi  # in typographic points, as the offsets
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
    left, bottom, right, _ = ax.get_window_extent().extents * 72 / ax.figure.dpi
    for (words, number, *xy), (x, y) in zip(points, at, strict=True):
        for text, below in ((words, 8), (number, 1)):
            width = 0.62 * LABEL_SIZE * len(text)
            offsets = [(dx, dy) for dy in (4, *range(-11, -11 * (below + 1), -11)) for dx in (5, -5 - width)]
            boxes = [(x + dx, y + dy, x + dx + width, y + dy + LABEL_SIZE) for dx, dy in offsets]
            inside = [i for i, box in enumerate(boxes) if box[0] > left and box[1] > bottom and box[2] < right]
            free = [i for i in inside if not any(_overlap(boxes[i], other) for other in taken)]
            if free:
                dx, dy = offsets[free[0]]
                line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.5} if dy < -11 else None
                ax.annotate(text, xy, (dx, dy), textcoords="offset points", fontsize=LABEL_SIZE, arrowprops=line)
                taken.append(boxes[free[0]])
                break


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass(frozen=True, eq=False)
class SortableTable:
    """A table whose columns a reader sorts by a click on their names; it needs no kernel. As text it is the table itself."""

    frame: pd.DataFrame
    caption: str = ""

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.frame.to_string(index=False)}"

    def _repr_html_(self) -> str:
        head = "".join(
            f'<th style="cursor:pointer;text-align:left" title="sort" onclick="{html.escape(SORT)}">{html.escape(str(name))}</th>'
            for name in self.frame
        )
        rows = "".join(
            "<tr>"
            + "".join(f'<td style="text-align:left;white-space:normal">{html.escape(_text(value))}</td>' for value in row)
            + "</tr>"
            for row in self.frame.itertuples(index=False)
        )
        return f"<table><caption>{html.escape(self.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _text(value: object) -> str:
    return "" if value is None or value != value else str(value)


def means_table(frame: pd.DataFrame, columns: Mapping[str, str], families: Mapping[str, str], caption: str = "") -> SortableTable:
    """A row for each method: its number in `error_against_lps`, family, weight, and means ± standard deviations over seeds.

    `columns` has the words for each column of `frame` that is shown.
    """
    rows = []
    for number, (name, group) in enumerate(frame.groupby("method", sort=False), 1):
        row = {"no.": number, "method": name, "family": families.get(str(name), ""), "weight": f"{group['weight'].iloc[0]:g}"}
        for column, words in columns.items():
            values = group[column].dropna() if column in group else pd.Series(dtype=float)
            row[words] = f"{values.mean():.3f} ± {values.std():.3f}" if len(values) else ""
        rows.append(row)
    return SortableTable(pd.DataFrame(rows), caption)


COLUMNS: Mapping[str, str] = {
    "relative_error": "relative error", "mlp": "LPS, networks", "boosting": "LPS, trees", "squares": "LPS of squares",
    "dcor_rest": "distance corr.", "c2st": "C2ST to prior", "coverage_gap": "coverage gap", "mmd_p": "MMD p",
    "active_latents": "active", "rank": "eff. rank", "samples_c2st": "C2ST of draws", "precision": "precision",
    "recall": "recall",
}  # fmt: skip
OTHERS: Sequence[str] = (  # measures that LPS by networks is compared with
    "boosting",
    "squares",
    "dcor_rest",
    "c2st",
    "coverage_gap",
    "samples_c2st",
    "precision",
    "recall",
    "rank",
)
