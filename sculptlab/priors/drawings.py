"""Drawings as densities: a checkerboard, any image, any text; the darker a pixel, the more codes fall into it."""

import os
import zlib
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from sculptlab.priors.base import Moments, Shape
from sculptlab.priors.draws import Place, chosen, uniforms
from sculptlab.validation import as_tensor, finite, whole

SMALL = 256  # pixels: so many are printed, more are named by their checksum


@dataclass(frozen=True)
class Drawing(Shape):
    """A density on the plane, constant within each pixel; the textbook's unit is one pixel, the origin the lower left corner."""

    dim: int = field(default=2, init=False, repr=False)

    @property
    @abstractmethod
    def darkness(self) -> np.ndarray:
        """(height, width), not negative, the top row first, as images are stored."""

    @cached_property
    def _pixels(self) -> tuple[Tensor, Tensor]:
        """Weights (m,) of sum 1 and lower left corners (m, 2) of the pixels that are not white."""
        darkness = torch.from_numpy(np.ascontiguousarray(self.darkness, dtype=np.float64)).flip(0)
        corners = darkness.nonzero().flip(1).double()
        weights = darkness[darkness > 0]
        return weights / weights.sum(), corners

    def form_moments(self) -> Moments:
        weights, corners = self._pixels
        mean = weights @ corners
        off = corners - mean
        return mean + 0.5, (weights[:, None] * off).T @ off + torch.eye(2, dtype=torch.float64) / 12

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        weights, corners = self._pixels
        inside = uniforms(n, 2, generator, device)
        return corners.to(inside)[chosen(weights, n, generator, device)] + inside


@dataclass(frozen=True)
class Checkerboard(Drawing):
    """Uniform on the dark squares of a board with `squares` to a side; then standardized."""

    squares: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "squares", whole("squares", self.squares, least=2))

    @property
    def darkness(self) -> np.ndarray:
        row, column = np.indices((self.squares, self.squares))
        return ((row + column + self.squares) % 2).astype(float)  # the lower left square is dark, as on a chessboard


@dataclass(frozen=True)
class FromText(Drawing):
    """Uniform on the letters of `text`, in DejaVu Sans as it comes with matplotlib, 64 pixels to the font's size; standardized.

    bold: heavier letters. One factor scales width and height, so a long text is much wider than high. Raises ValueError for a
    text without ink and for characters that the font lacks.
    """

    text: str
    bold: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.text, str):
            raise TypeError(f"text must be a string, got {self.text!r}")
        _true_or_false("bold", self.bold)
        if not self.darkness.any():
            raise ValueError(f"text must have ink, got {self.text!r}")

    @cached_property
    def darkness(self) -> np.ndarray:
        from sculptlab.priors.lettering import ink  # matplotlib's font; the other priors need no matplotlib

        return ink(self.text, bold=self.bold)


@dataclass(frozen=True, repr=False)
class FromImage(Drawing):
    """A drawing's darkness as a density: white is never drawn, black most often; then standardized.

    image    (h, w), (h, w, 3), or (1 or 3, h, w) as `load` gives them, in [0, 1] where 0 is black, or of type uint8 in 0 … 255;
             or an image file, of which transparent parts are white
    invert   lightness is the density instead: for light on dark, such as MNIST's digits
    crc32    of the file or the pixels, as the repr gives it; a ValueError where it differs from what is there

    The repr names a file, or shows the pixels of a small image (256 at most); of a larger array only size and checksum.
    Raises ValueError for a blank image, TypeError for what is no image.
    """

    image: Any = field(compare=False)
    invert: bool = False
    crc32: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _true_or_false("invert", self.invert)
        if isinstance(self.image, str | os.PathLike):
            image: Any = os.fspath(self.image)
            found = zlib.crc32(Path(image).read_bytes())
            light = _opened(image)
        else:
            light = image = _lightness(self.image)
            found = zlib.crc32(light.tobytes())
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "crc32", same_crc32("image", f"{found:08x}", self.crc32))
        object.__setattr__(self, "_darkness", light if self.invert else 1 - light)
        if not self.darkness.any():
            raise ValueError(
                f"image must not be blank: it is all {'black' if self.invert else 'white'}, so nothing can be drawn from it"
            )

    @property
    def darkness(self) -> np.ndarray:
        return self._darkness  # type: ignore[attr-defined]  # set above

    def __repr__(self) -> str:
        rest = f"invert={self.invert}, crc32={self.crc32!r}, standardize={self.standardize}"
        if isinstance(self.image, str):
            return f"FromImage({self.image!r}, {rest})"
        if self.image.size <= SMALL:
            return f"FromImage({self.image.tolist()}, {rest})"
        return f"FromImage(<{' x '.join(map(str, self.image.shape))} pixels>, {rest})"


def _true_or_false(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def same_crc32(name: str, found: str, expected: str | None) -> str:
    """`found`, if nothing else was expected."""
    if expected not in (None, found):
        raise ValueError(f"{name} has changed: its crc32 is {found}, expected {expected}")
    return found


def _opened(path: str) -> np.ndarray:
    """An image file's lightness (h, w) in [0, 1], on white paper."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGBA")
    except UnidentifiedImageError as error:
        raise ValueError(f"image must be a file that pillow can read, got {path!r}") from error
    paper = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(paper, picture).convert("L"), dtype=np.float64) / 255


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
