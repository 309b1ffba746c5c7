"""How the rows of a scikit-learn caller, a table or images, become what a network takes, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from sculptlab.data import Dataset
from sculptlab.validation import whole


@dataclass(frozen=True)
class TableFormat:
    """A table (n, p), whose columns are standardized by the mean and scale (p,) of the training rows.

    A constant column keeps its unit, is 0 to the network, and comes back as it was; varies (p,) says which columns are not
    constant.
    """

    mean: np.ndarray
    scale: np.ndarray
    varies: np.ndarray
    output: ClassVar[str] = "linear"
    image_shape: ClassVar[None] = None

    @classmethod
    def of(cls, rows: np.ndarray) -> TableFormat:
        """The format of training rows (n, p); a ValueError for columns whose variance is not finite in float64."""
        with np.errstate(all="ignore"):
            fitted = StandardScaler().fit(rows.astype(np.float64))
        bad = np.flatnonzero(~np.isfinite(fitted.mean_) | ~np.isfinite(fitted.scale_))
        if len(bad):
            raise ValueError(f"X must have columns whose variance is finite in float64, got too large values in {bad.tolist()}")
        return cls(fitted.mean_, fitted.scale_, rows.max(0) > rows.min(0))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self.mean.shape

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
    """Images of `image_shape` (c, h, w), given as (n, c, h, w) or, `flat`, as rows: floats in [0, 1], or uint8."""

    image_shape: tuple[int, ...]
    flat: bool
    output: ClassVar[str] = "sigmoid"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return self.image_shape

    def to_network(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, c * h * w) as images (n, c, h, w), uint8 or float32."""
        if rows.dtype != np.uint8:
            low, high = rows.min(), rows.max()
            if low < 0 or high > 1:
                raise ValueError(f"X must be images in [0, 1] or of uint8, got [{low:g}, {high:g}]; divide 0..255 by 255")
            rows = rows.astype(np.float32)
        return rows.reshape(len(rows), *self.image_shape)

    def from_network(self, decoded: np.ndarray) -> np.ndarray:
        """Decoded images as the caller gave them, flat or not."""
        return decoded.reshape(len(decoded), -1) if self.flat else decoded


def checked_image_shape(given: Any) -> tuple[int, ...] | None:
    """(channels, height, width) as given, or None; a TypeError or ValueError for anything else."""
    if given is None:
        return None
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(f"image_shape must be (channels, height, width) or None, got {given!r}")
    if len(given) != 3:
        raise ValueError(f"image_shape must be (channels, height, width), got {tuple(given)}")
    return tuple(whole(f"image_shape[{i}]", size) for i, size in enumerate(given))


def as_rows(X: Any, expected: tuple[int, ...] | None) -> tuple[Any, tuple[int, ...] | None, bool]:
    """X as rows (n, features), the shape of its images (None for a table), and whether they came as flat rows.

    X is a table, images (n, c, h, w), or a Dataset. With an `expected` image shape, a table holds flat images of it.
    """
    X = X.images if isinstance(X, Dataset) else X
    X = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else X
    dims = getattr(X, "ndim", 2)
    if dims == 4:
        shape = tuple(X.shape[1:])
        if expected is None and shape[0] not in (1, 3, 4) and shape[2] in (1, 3, 4):
            raise ValueError(f"X must have its channels first: X.transpose(0, 3, 1, 2) of {X.shape}; or give image_shape={shape}")
        if expected is not None and shape != expected:
            raise ValueError(f"X must hold images of {expected}, got {shape}")
        return X.reshape(len(X), -1), shape, False
    if dims == 3:
        raise ValueError(
            f"X must have shape (n, features) or (n, channels, height, width), got {tuple(X.shape)}; X[:, None] adds a channel"
        )
    if expected is not None and dims == 2 and hasattr(X, "shape") and X.shape[1] != math.prod(expected):
        raise ValueError(f"X must have {math.prod(expected)} columns for image_shape={expected}, got {X.shape[1]}")
    return X, expected, True
