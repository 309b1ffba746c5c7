"""A text as an image, from the outlines of matplotlib's own font: the same pixels on every machine, and no window system."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextToPath

PIXELS = 64  # to the font's size
FINE = 8  # lines that cross a row of pixels; along each line, cover is exact


def ink(text: str, *, bold: bool = False) -> np.ndarray:
    """The share of each pixel that letters cover, (height, width) in [0, 1], the top row first; (1, 1) of 0 where there is none.

    Raises ValueError for characters that the font, DejaVu Sans, lacks.
    """
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    missing = sorted({letter for letter in text if not get_font(file).get_char_index(ord(letter))})
    if missing:
        raise ValueError(
            f"text must be of characters that DejaVu Sans has, on one line; it lacks {', '.join(map(repr, missing))}"
        )
    outlines = TextToPath()
    drawn: tuple[Any, Any] = outlines.get_text_path(FontProperties(fname=file), text)  # type: ignore[assignment]  # a wrong stub
    corners, codes = np.asarray(drawn[0], dtype=float).reshape(-1, 2), drawn[1]
    if not len(corners):
        return np.zeros((1, 1))
    shape = Outline(corners * (PIXELS / outlines.FONT_SCALE), codes)
    polygons = [np.asarray(polygon) for polygon in shape.to_polygons(closed_only=True)]
    return _covered([polygon for polygon in polygons if len(polygon) > 2])


def _covered(polygons: list[np.ndarray]) -> np.ndarray:
    """The share of each pixel within the polygons, each [(x, y), …] closed, by the rule of the nonzero winding number."""
    start = np.concatenate([polygon[:-1] for polygon in polygons])
    end = np.concatenate([polygon[1:] for polygon in polygons])
    low = np.floor(start.min(0))
    width, height = (np.ceil(end.max(0)) - low).astype(int)
    covered = np.zeros((height * FINE, width))
    for row in range(height * FINE):
        y = low[1] + (row + 0.5) / FINE
        crossed = (start[:, 1] <= y) != (end[:, 1] <= y)
        if crossed.any():
            (x0, y0), (x1, y1) = start[crossed].T, end[crossed].T
            at = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
            order = np.argsort(at)
            inside = np.cumsum(np.where(y1 > y0, 1, -1)[order])[:-1] != 0
            passed = np.concatenate([[0.0], np.cumsum(np.diff(at[order]) * inside)])  # ink to the left of each crossing
            covered[row] = np.diff(np.interp(low[0] + np.arange(width + 1), at[order], passed))
    return covered.reshape(height, FINE, width).mean(1)[::-1].copy()
