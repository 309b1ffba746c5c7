"""A picture of which only some artists change: the rest is drawn once, so that a slider is answered at once."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from sculptlab.plots.style import Picture


class Backdrop:
    """`picture` as it is now, axes and all; `png(artists)` shows it with further artists on its axes, then takes them off."""

    def __init__(self, picture: Picture) -> None:
        self.canvas = FigureCanvasAgg(picture)
        self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(picture.bbox)

    def png(self, artists: Sequence[Artist]) -> bytes:
        """A PNG of the backdrop with the artists, which are removed from their axes."""
        self.canvas.restore_region(self.background)
        for artist in artists:
            assert artist.axes is not None
            artist.axes.draw_artist(artist)
            artist.remove()
        buffer = BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3]).save(buffer, "png", compress_level=1)
        return buffer.getvalue()
