"""What the figures of the series share: grids with a title, rows of dots, legends, looks, and figures that a slider redraws."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, WIDTH, Picture, panels, style

Tables = Sequence[tuple[pd.DataFrame, str]]  # a table and the column to show, for each panel

LOOKS = ((CODES, "o"), (MEANS, "D"), (GOOD, "^"), (ACCENT, "v"), (BAD, "s"), (PRIOR, "X"))  # where a color has no meaning
OBJECTIVES: dict[str, tuple[str, str]] = {  # an objective has one color and one marker in all figures
    "no regularizer": (PRIOR, "X"),
    "KL": (MEANS, "D"),
    "MMD": (ACCENT, "v"),
    "predictability": (GOOD, "^"),
    "MMD + predictability": (CODES, "o"),
    "marginal MMD + predictability": (BAD, "s"),
}


def objective_kind(objective: str) -> str:
    """The name in `OBJECTIVES` of an objective of a table: "beta 0.1" and its like are "KL"."""
    return "KL" if objective.startswith("beta ") else objective


def grid(rows: int, columns: int, *, height: float, title: str | None, width: float = WIDTH) -> tuple[Picture, np.ndarray]:
    """A figure with a title over its (rows, columns) axes."""
    figure, axes = panels(rows, columns, height=height, width=width)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)  # a phone shows the left panel first
    return figure, axes


def legend(ax: Axes, **options: Any) -> None:
    """A small legend within the axes."""
    ax.legend(fontsize=8, frameon=False, **options)


def legend_below(figure: Picture, ax: Axes, columns: int) -> None:
    """One legend for the whole figure, below it, with what is drawn on `ax`."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def dots_with_range(
    ax: Axes, frame: pd.DataFrame, x: str, y: str, hue: str | None = None, *, order: Any = None, styles: Any = None, **look: Any
) -> Axes:
    """Draw the mean of each category as a dot, with a line from the least to the greatest value; return `ax`.

    One of the columns x and y of `frame` is numeric, the other holds the categories, drawn in `order`, on y from the top down.
    With `hue`, another column, there is a dot for each of its values that `styles` names: {value: (color, marker)}. `look` are
    options of the dots where there is no `hue`.
    """
    look = {"color": CODES, "markers": "o", **look}
    if hue is not None:
        marks = {name: mark for name, mark in styles.items() if (frame[hue] == name).any()}
        look = {
            "hue": hue, "hue_order": list(marks), "palette": {name: shade for name, (shade, _) in marks.items()},
            "markers": [mark for _, mark in marks.values()], "dodge": 0.22 * (len(marks) - 1),
        }  # fmt: skip
    seaborn.pointplot(
        frame, x=x, y=y, ax=ax, order=order, errorbar=("pi", 100), linestyle="none", markersize=6, markeredgewidth=0,
        err_kws={"linewidth": 1.4}, **look,
    )  # fmt: skip
    if (legend := ax.get_legend()) is not None:  # its entries stay, for `ax.get_legend_handles_labels()`
        legend.remove()
    return style(ax, x=x, y=y)


def dot_rows(
    tables: Tables, rows: str, hue: str | None = None, *, order: Sequence[str], height: float, title: str | None, **look: Any
) -> tuple[Picture, Sequence[Axes]]:
    """A panel for each (table, column): the column's mean and range for each category of the column `rows`, from the top down.

    The panels share the categories, in `order`; the first one names them. `height` is that of a row, in inches.
    """
    figure, (axes,) = grid(1, len(tables), height=0.9 + height * len(order), title=title)
    for i, (ax, (table, column)) in enumerate(zip(axes, tables, strict=True)):
        dots_with_range(ax, table, column, rows, hue, order=order, **look)
        ax.set_ylim(len(order) - 0.5, -0.5)
        ax.set_yticks(range(len(order)), order if i == 0 else [""] * len(order))
        ax.set_axisbelow(True)
        ax.grid(axis="y", color="#EEEEEE")
        ax.set_ylabel("")
    return figure, axes


class Backdrop:
    """A figure that is drawn once, to which `png` adds what changes, so that a slider is answered at once."""

    def __init__(self, figure: Picture) -> None:
        self.canvas = FigureCanvasAgg(figure)
        self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def png(self, artists: Sequence[Artist]) -> bytes:
        """A PNG of the figure with the artists, which are then removed from their axes."""
        self.canvas.restore_region(self.background)
        for artist in artists:
            assert artist.axes is not None
            artist.axes.draw_artist(artist)
            artist.remove()
        buffer = BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3]).save(buffer, "png", compress_level=1)
        return buffer.getvalue()
