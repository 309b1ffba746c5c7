"""How the rows of a scikit-learn caller, a table or images, become what a network takes, and back."""

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from sculptlab.data import Dataset
from sculptlab.training.images import check_images
from sculptlab.training.sources import TensorSource, as_source
from sculptlab.validation import describe, tensor_as_array, whole


class TableFormat:
    """A table (n, p), whose columns are standardized by the mean and scale (p,) of the training rows.

    A constant column has scale 1, is 0 to the network, and comes back as it was.
    """

    def __init__(self, rows: np.ndarray) -> None:
        with np.errstate(all="ignore"):
            fitted = StandardScaler().fit(rows.astype(np.float64))
        self.mean, self.scale = fitted.mean_, fitted.scale_
        bad = np.flatnonzero(~np.isfinite(self.mean) | ~np.isfinite(self.scale))
        if len(bad):
            raise ValueError(f"X must have columns whose variance is finite in float64, got too large values in {bad.tolist()}")
        self.varies = rows.max(0) > rows.min(0)

    def to_network(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, p) as standardized float32."""
        with np.errstate(over="ignore"):
            standardized = ((rows.astype(np.float64) - self.mean) / self.scale).astype(np.float32)
        lost = int((~np.isfinite(standardized)).sum())
        if lost:
            raise ValueError(f"X must stay within float32 in units of the training rows' spread, {lost} value(s) do not")
        return standardized

    def from_network(self, decoded: np.ndarray) -> np.ndarray:
        """Decoded rows (n, p) in the caller's units."""
        return decoded.astype(np.float64) * np.where(self.varies, self.scale, 0) + self.mean


@dataclass(frozen=True)
class ImageFormat:
    """Images of `shape` (c, h, w), given as (n, c, h, w) or, `flat`, as rows: floats in [0, 1], or uint8."""

    shape: tuple[int, ...]
    flat: bool

    def to_network(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, c * h * w) as images (n, c, h, w), uint8 or float32."""
        if rows.dtype != np.uint8:
            low, high = rows.min(), rows.max()
            if low < 0 or high > 1:
                raise ValueError(f"X must be images in [0, 1] or of uint8, got [{low:g}, {high:g}]; divide 0..255 by 255")
            rows = rows.astype(np.float32)
        return rows.reshape(len(rows), *self.shape)

    def from_network(self, decoded: np.ndarray) -> np.ndarray:
        """Decoded images as the caller gave them, flat or not."""
        return decoded.reshape(len(decoded), -1) if self.flat else decoded


def checked_image_shape(given: Any) -> tuple[int, ...] | None:
    """(channels, height, width) as given, or None; a TypeError or ValueError for anything else."""
    if given is None:
        return None
    if not isinstance(given, Sequence) or len(given) != 3:
        error = ValueError if isinstance(given, Sequence) else TypeError
        raise error(f"image_shape must be (channels, height, width) or None, got {describe(given)}")
    return tuple(whole(f"image_shape[{i}]", size) for i, size in enumerate(given))


def as_lazy_images(X: Any) -> Any:
    """A source of images that are read when they are needed, if X is a data set, a loader, a stream or a memory map of images.

    Anything else is returned as it is; a data set of rows, not images, as one array.
    """
    if isinstance(X, np.memmap):
        lazy = X.ndim == 4
    else:
        array = isinstance(X, Dataset | torch.Tensor | list | tuple | str) or hasattr(X, "__array__") or hasattr(X, "toarray")
        lazy = not array and (hasattr(X, "__iter__") or hasattr(X, "__getitem__") or inspect.isroutine(X))
    if not lazy:
        return X
    source = as_source(X, name="X")
    if source.known.ndim != 4:
        return torch.cat([*source.chunks(4096)]).numpy()
    if isinstance(source, TensorSource):  # of a TensorDataset
        return source.images.numpy()
    source.limits = source.limits._replace(unit_range=True)
    check_images(source.known, "X", source.limits)
    return source


def as_rows(X: Any, expected: tuple[int, ...] | None) -> tuple[Any, tuple[int, ...] | None, bool]:
    """X as rows (n, features), the shape of its images (None for a table), and whether they came as flat rows.

    X is a table, images (n, c, h, w), or a Dataset. With an `expected` image shape, a table holds flat images of it.
    """
    X = X.images if isinstance(X, Dataset) else X
    X = tensor_as_array("X", X)
    size: tuple[int, ...] = getattr(X, "shape", ())
    if len(size) == 3:
        raise ValueError(f"X must be (n, features) or (n, channels, height, width), got {tuple(size)}; X[:, None] adds a channel")
    if len(size) == 4:
        shape = tuple(size[1:])
        if expected is None and shape[0] not in (1, 3, 4) and shape[2] in (1, 3, 4):
            raise ValueError(f"X must have its channels first: X.transpose(0, 3, 1, 2) of {size}; or give image_shape={shape}")
        if expected is not None and shape != expected:
            raise ValueError(f"X must hold images of {expected}, got {shape}")
        return X.reshape(len(X), -1), shape, False
    if expected is not None and len(size) == 2 and size[1] != math.prod(expected):
        raise ValueError(f"X must have {math.prod(expected)} columns for image_shape={expected}, got {size[1]}")
    return X, expected, True
