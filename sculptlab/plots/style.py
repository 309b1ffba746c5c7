"""The palette by role, and `Picture`, a figure that needs neither pyplot nor rcParams."""

import os
from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sculptlab.files import write_file
from sculptlab.names import as_path
from sculptlab.validation import describe, number, whole

# Okabe and Ito's colors, which color-blind readers can distinguish; roles that meet in one panel differ in lightness too
CODES = SAMPLES = "#0072B2"  # samples of a stochastic encoder: the codes the decoder sees
MEANS = "#E69F00"
PRIOR = "#7A7A7A"
RECONSTRUCTION = GOOD = "#009E73"
BAD = "#D55E00"
ACCENT = "#CC79A7"
TEXT = "#333333"
CLASSES = (("#0072B2", "o"), ("#E69F00", "^"), ("#5C1240", "s"))  # color and marker; more than three overlap too much
OTHERS = "#C4C4C4"  # the points of all other classes
MOST_PANELS, MOST_INCHES = 50, 100.0  # rows or columns of axes, width and height: more cannot be read or drawn
WIDTH = 9.0  # inches: a notebook's column
LONGEST = 24  # characters of a name in a label


class Picture(Figure):
    """A matplotlib figure that shows itself in a notebook without pyplot. `savefig(path)` writes it to a file.

    Parameters
    ----------
    **options : Any
        Passed on to `matplotlib.figure.Figure`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"layout": "constrained", "dpi": 100, "facecolor": "white", **options})

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure to the path or open file `fname`, with matplotlib's options; a path is replaced as a whole."""
        if not isinstance(fname, str | os.PathLike):
            super().savefig(fname, **options)
            return
        path = as_path("fname", fname)
        kind = options.pop("format", None) or path.suffix[1:] or self.canvas.get_default_filetype()
        super().savefig(buffer := BytesIO(), format=kind, **options)
        write_file(path if path.suffix else path.with_name(f"{path.name}.{kind}"), buffer.getvalue())

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        png = b64encode(self._repr_png_()).decode()
        return {"text/plain": repr(self), "image/png": png}, {"image/png": {"alt": self.in_words()}}

    def in_words(self) -> str:
        """The figure for a screen reader: its title, and the titles of its panels with the names of their axes."""
        found = [self.get_suptitle()]
        for ax in filter(Axes.get_visible, self.axes):
            names = (ax.get_ylabel(), ax.get_xlabel()) if ax.axison else ()
            found.append(": ".join(filter(None, (ax.get_title(), " over ".join(filter(None, names))))))
        return ". ".join(filter(None, dict.fromkeys(found))).replace("\n", " ")


def panels(rows: int = 1, columns: int = 1, *, height: float = 2.8, width: float = WIDTH) -> tuple[Picture, np.ndarray]:
    """Make a figure with a grid of axes.

    Parameters
    ----------
    rows, columns : int
        Of axes.
    height, width : float
        Of a row and of the figure, in inches.

    Returns
    -------
    Picture, ndarray of shape (rows, columns)
        The figure and its axes.
    """
    rows, columns = whole("rows", rows, most=MOST_PANELS), whole("columns", columns, most=MOST_PANELS)
    width, height = (number(name, size, above=0, most=MOST_INCHES) for name, size in (("width", width), ("height", height)))
    figure = Picture(figsize=(width, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        style(ax)
    return figure, axes


def plain(text: Any) -> str:
    """A user's text for a label: matplotlib would read what stands between two dollar signs as a formula."""
    return str(text).replace("$", r"\$")


def short(name: Any) -> str:
    """A user's name for a label, on one line; of a long one the beginning and the end, with an ellipsis between them."""
    text = " ".join(str(name).split())
    return plain(text if len(text) <= LONGEST else f"{text[: LONGEST - 12]}…{text[-11:]}")


def latent_label(name: Any) -> str:
    """The label of a latent: its name, or z0, z1, ... for a number."""
    return f"z{name}" if isinstance(name, int | np.integer) else short(name)


def as_axes(ax: Any) -> Axes:
    """Return `ax` if it is axes of matplotlib."""
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be axes of matplotlib, as plots.panels makes them, got {describe(ax)}")
    return ax


def panel(ax: Axes | None, *, height: float, width: float) -> tuple[Picture | None, Axes]:
    """No figure and `ax`; where that is None, a new figure and its axes."""
    if ax is not None:
        return None, as_axes(ax)
    figure, axes = panels(height=height, width=width)
    return figure, axes[0, 0]


def style(ax: Axes, *, title: str | None = None, x: str | None = None, y: str | None = None) -> Axes:
    """Give axes the look of the package, with a title and names of the axes if given.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        They are returned.
    title, x, y : str, optional
        Title and names of the horizontal and the vertical axis.

    Returns
    -------
    matplotlib.axes.Axes
    """
    as_axes(ax).spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(TEXT)
    ax.tick_params(labelsize=8, color=TEXT, labelcolor=TEXT, length=3)
    for text, write, size in ((title, ax.set_title, 10), (x, ax.set_xlabel, 9), (y, ax.set_ylabel, 9)):
        if text is not None:
            write(text, fontsize=size, color=TEXT)
    return ax
