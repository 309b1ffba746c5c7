"""A text as an image, from the outlines of matplotlib's own font: the same letters on every machine, without a display."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextToPath
from matplotlib.transforms import Affine2D

PIXELS = 64  # to the font's size


def ink(text: str, *, bold: bool = False) -> np.ndarray:
    """The share of each pixel that letters cover, (height, width) in [0, 1], top row first; a 1 x 1 array of 0 for blank text.

    Raises ValueError for characters that the font, DejaVu Sans, lacks.
    """
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    missing = sorted({letter for letter in text if not get_font(file).get_char_index(ord(letter))})
    if missing:
        raise ValueError(f"text must be one line of characters of DejaVu Sans; it lacks {', '.join(map(repr, missing))}")
    writer = TextToPath()
    vertices, codes = writer.get_text_path(FontProperties(fname=file), text)
    if not len(vertices):
        return np.zeros((1, 1))
    outline = Outline(np.asarray(vertices) * (PIXELS / writer.FONT_SCALE), codes)
    bounds = outline.get_extents()
    low, high = np.floor(bounds.min), np.ceil(bounds.max)
    width, height = (high - low).astype(int)
    renderer = RendererAgg(width, height, 72)
    pen = renderer.new_gc()
    pen.set_linewidth(0)
    pen.set_snap(False)
    renderer.draw_path(pen, outline, Affine2D().translate(*-low), (0, 0, 0))
    return np.asarray(renderer.buffer_rgba())[:, :, 3] / 255
