"""Plots of a table with several rows a value, such as one for each seed: the mean, and the range from least to greatest."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from sculptlab.plots.style import CODES, style

RANGE = ("pi", 100)  # seaborn's words for the interval that holds 100 % of the values


def line_with_spread(
    ax: Axes,
    frame: pd.DataFrame,
    x: str,
    y: str,
    hue: str | None = None,
    *,
    styles: Mapping[Any, tuple[str, str]] | None = None,
    label: str | None = None,
    color: str = CODES,
    marker: str = "o",
    log_x: bool = False,
) -> Axes:
    """Draw the mean of one column over another as a line, with a band from the least to the greatest value.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    frame : pandas.DataFrame
        A row for each measurement, for instance for each value of `x` and seed.
    x, y : str
        Numeric columns of `frame`.
    hue : str, optional
        A column of `frame`: a line for each of its values.
    styles : mapping of str to (color, marker), optional
        The values of `hue` that are drawn, and how. Needed with `hue`.
    label, color, marker : str
        The line's name in a legend and its look, where there is no `hue`.
    log_x : bool
        Whether the horizontal axis is logarithmic, with a tick at each value of `x`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`. It has no legend; `ax.get_legend_handles_labels()` has the lines and their names.
    """
    _check_columns(frame, x, y, *([hue] if hue else []))
    for name, (shade, mark) in ({label: (color, marker)} if hue is None else _styles(frame, hue, styles)).items():
        seaborn.lineplot(
            frame if hue is None else frame[frame[hue] == name], x=x, y=y, ax=ax, color=shade, marker=mark, label=name,
            legend=False, errorbar=RANGE, err_kws={"linewidth": 0}, markersize=4, markeredgewidth=0, linewidth=1.6,
        )  # fmt: skip
    if log_x:
        ax.set_xscale("log")
        ax.set_xticks(sorted(frame[x].unique()), minor=False)
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return style(ax, x=x, y=y)


def dots_with_range(
    ax: Axes,
    frame: pd.DataFrame,
    x: str,
    y: str,
    hue: str | None = None,
    *,
    order: Sequence[Any] | None = None,
    styles: Mapping[Any, tuple[str, str]] | None = None,
    label: str | None = None,
    color: str = CODES,
    marker: str = "o",
) -> Axes:
    """Draw the mean of each category as a dot, with a line from the least to the greatest value.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    frame : pandas.DataFrame
        A row for each measurement, for instance for each category and seed. `frame.melt(...)` makes one of a wide table.
    x, y : str
        Columns of `frame`. One is numeric, the other holds the categories. Categories on `y` run from the top down.
    hue : str, optional
        A column of `frame`: a dot for each of its values, side by side within a category.
    order : sequence, optional
        The categories that are drawn, in their order. Those without rows stay empty.
    styles : mapping of str to (color, marker), optional
        The values of `hue` that are drawn, and how. Needed with `hue`.
    label, color, marker : str
        The dots' name in a legend and their look, where there is no `hue`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`. It has no legend; `ax.get_legend_handles_labels()` has the dots and their names.
    """
    _check_columns(frame, x, y, *([hue] if hue else []))
    look: dict[str, Any] = {"color": color, "markers": marker, "label": label}
    if hue is not None:
        marks = _styles(frame, hue, styles)
        look = {
            "hue": hue, "hue_order": list(marks), "palette": {name: shade for name, (shade, _) in marks.items()},
            "markers": [mark for _, mark in marks.values()], "dodge": 0.22 * (len(marks) - 1),
        }  # fmt: skip
    seaborn.pointplot(
        frame, x=x, y=y, ax=ax, order=order, errorbar=RANGE, linestyle="none", markersize=6, markeredgewidth=0,
        err_kws={"linewidth": 1.4}, **look,
    )  # fmt: skip
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    return style(ax, x=x, y=y)


def _check_columns(frame: pd.DataFrame, *names: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"frame must have the columns {list(names)}, got {list(frame.columns)}")


def _styles(frame: pd.DataFrame, hue: str, styles: Mapping[Any, tuple[str, str]] | None) -> dict[Any, tuple[str, str]]:
    """The styles of those values of `hue` that `frame` has."""
    if styles is None:
        raise ValueError(f"styles must say the color and the marker of each value of {hue!r}, got None")
    present = set(frame[hue])
    return {name: look for name, look in styles.items() if name in present}
