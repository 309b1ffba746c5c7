"""Drawings as densities: a checkerboard, a text, any image; the darker a pixel, the more codes fall into it."""

import os
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from sculptlab.names import as_file
from sculptlab.priors.base import Device, Shape, choose, uniforms
from sculptlab.priors.parameters import Moments, checksum, isotropic, weighted_moments
from sculptlab.validation import as_tensor, describe, finite, flag, parameter, whole


@dataclass(frozen=True)
class Drawing(Shape):
    """A density on the plane that is constant within each pixel; then standardized.

    Subclasses write `darkness`. The textbook unit is one pixel, with the origin at the lower left corner.

    Parameters
    ----------
    standardize : as in `Shape`
    """

    dim: int = field(default=2, init=False, repr=False)

    @property
    @abstractmethod
    def darkness(self) -> np.ndarray:
        """The density of each pixel up to a factor, (height, width), the top row first as images are stored."""

    @cached_property
    def _pixels(self) -> tuple[Tensor, Tensor]:
        """Lower left corners (m, 2) and weights (m,) of sum 1 of the pixels that are not white."""
        darkness = torch.from_numpy(np.ascontiguousarray(self.darkness, dtype=np.float64)).flip(0)
        return darkness.nonzero().flip(1).double(), darkness[darkness > 0] / darkness.sum()

    def _moments(self) -> Moments:
        mean, covariance = weighted_moments(*self._pixels)
        return mean + 0.5, covariance + isotropic(2, 1 / 12)[1]

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        corners, weights = self._pixels
        inside = uniforms(n, 2, generator, device)
        return corners.to(inside)[choose(weights, n, generator, device)] + inside


@dataclass(frozen=True)
class Checkerboard(Drawing):
    """Uniform on the dark squares of a checkerboard; then standardized.

    Parameters
    ----------
    squares : int, default 4
        Squares along each side, at least 2.
    standardize : as in `Shape`
    """

    squares: int = parameter(whole, 4, least=2)

    @property
    def darkness(self) -> np.ndarray:
        row, column = np.indices((self.squares, self.squares))
        return ((row + column + self.squares) % 2).astype(float)  # the lower left square is dark, as on a chessboard


@dataclass(frozen=True)
class FromText(Drawing):
    """Uniform on the letters of a text in matplotlib's font DejaVu Sans, 64 pixels to the font size; then standardized.

    Parameters
    ----------
    text : str
        One line of characters that the font has.
    bold : bool, default True
        Use the bold font.
    standardize : as in `Shape`
    """

    text: str
    bold: bool = parameter(flag, True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.text, str):
            raise TypeError(f"text must be a string, got {describe(self.text)}")
        if not self.darkness.any():
            raise ValueError(f"text must have ink, got {describe(self.text)}")

    @cached_property
    def darkness(self) -> np.ndarray:
        import matplotlib  # for its font alone: the same letters on every machine, without a display
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.font_manager import FontProperties, get_font
        from matplotlib.path import Path as Outline
        from matplotlib.textpath import TextToPath
        from matplotlib.transforms import Affine2D

        file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if self.bold else ''}.ttf"
        missing = sorted({letter for letter in self.text if not get_font(file).get_char_index(ord(letter))})
        if missing:
            raise ValueError(f"text must be one line of characters of DejaVu Sans; it lacks {', '.join(map(repr, missing))}")
        vertices, codes = TextToPath().get_text_path(FontProperties(fname=file), self.text)
        if not len(vertices):
            return np.zeros((1, 1))
        outline = Outline(np.asarray(vertices) * (64 / TextToPath.FONT_SCALE), codes)
        low, high = np.floor(outline.get_extents().min), np.ceil(outline.get_extents().max)
        width, height = (high - low).astype(int)
        renderer = RendererAgg(width, height, 72)
        pen = renderer.new_gc()
        pen.set_linewidth(0)
        pen.set_snap(False)
        renderer.draw_path(pen, outline, Affine2D().translate(*-low), (0, 0, 0))
        return np.asarray(renderer.buffer_rgba())[:, :, 3] / 255


@dataclass(frozen=True, repr=False)
class FromImage(Drawing):
    """The darkness of an image as a density; then standardized.

    Parameters
    ----------
    image : array_like of shape (h, w), (h, w, 3), (1, h, w) or (3, h, w), or path
        Lightness in [0, 1], where 0 is black, or of type uint8 in 0 ... 255; or an image file, whose transparent parts are
        white. It must not be blank.
    invert : bool, default False
        Use lightness as the density, for light drawings on dark such as MNIST's digits.
    crc32 : str, optional
        Checksum of the file or the pixels, as the repr shows it; raises ValueError where it differs.
    standardize : as in `Shape`
    """

    image: Any = field(compare=False)
    invert: bool = parameter(flag, False)
    crc32: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        file = isinstance(self.image, str | os.PathLike)
        image: Any = str(as_file("image", self.image)) if file else _lightness(self.image)
        content = Path(image).read_bytes() if file else image.tobytes()
        vars(self).update(image=image, crc32=checksum("image", content, self.crc32))
        if not self.darkness.any():
            raise ValueError(f"image must not be blank: it is all {'black' if self.invert else 'white'}")

    @cached_property
    def darkness(self) -> np.ndarray:
        lightness = _read(self.image) if isinstance(self.image, str) else self.image
        return lightness if self.invert else 1 - lightness

    def __repr__(self) -> str:
        image = repr(self.image if isinstance(self.image, str) else self.image.tolist())
        if not isinstance(self.image, str) and self.image.size > 256:
            image = f"<{' x '.join(map(str, self.image.shape))} pixels>"
        return f"FromImage({image}, invert={self.invert}, crc32={self.crc32!r}, standardize={self.standardize})"


def _read(path: str) -> np.ndarray:
    """An image file's lightness (h, w) in [0, 1] on a white background."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except Exception as error:  # Pillow raises many types for damaged files
        raise ValueError(f"image must be a file that pillow can read, got {describe(path)} ({error})") from error
    background = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(background, image).convert("L"), dtype=np.float64) / 255


def _lightness(image: Any) -> np.ndarray:
    """An array's lightness (h, w) in [0, 1], float64."""
    tensor = finite("image", as_tensor("image", image).detach().cpu())
    if tensor.ndim == 3 and tensor.shape[2] != 3 and tensor.shape[0] in (1, 3):
        tensor = tensor.movedim(0, 2)
    if tensor.ndim not in (2, 3) or not tensor.numel() or (tensor.ndim == 3 and tensor.shape[2] not in (1, 3)):
        raise ValueError(f"image must have shape (h, w), (h, w, 3) or (1 or 3, h, w), got {tuple(tensor.shape)}")
    if tensor.dtype == torch.uint8 and tensor.max() == 1:
        raise ValueError("image is of type uint8 with no value above 1: a drawing of 0 and 1 must be of type bool or float")
    light = tensor.double() / (255 if tensor.dtype == torch.uint8 else 1)
    if light.min() < 0 or light.max() > 1:
        raise ValueError(f"image must lie in [0, 1], or be uint8; got values from {light.min():g} to {light.max():g}")
    if light.ndim == 3:
        light = light.expand(-1, -1, 3) @ light.new_tensor([0.299, 0.587, 0.114])  # luma, as pillow's mode L weighs the colors
    return np.ascontiguousarray(light.numpy())
