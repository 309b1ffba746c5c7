"""`Dataset`, which holds images with their labels and factors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sculptlab.validation import as_device, as_seed, describe, items, number, widest_dtype


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images in one tensor, with their labels and factors where these are known.

    Parameters
    ----------
    name : str
        What the set is called.
    images : Tensor of shape (n, c, h, w)
        float32 in [0, 1] or uint8 in 0..255.
    labels : Tensor of shape (n,), optional
        int64 classes, which index `label_names`.
    factors : Tensor of shape (n, k), optional
        The factors from which each image was made, one column per name in `factor_names`.
    factor_names, label_names : tuple of str
        Names of the factors and of the classes.

    Raises
    ------
    TypeError, ValueError
        If a tensor has another type, shape or range.

    Examples
    --------
    >>> import torch, sculptlab as sl
    >>> sl.Dataset("noise", torch.rand(100, 1, 8, 8))
    <noise: 100 images of 1x8x8, float32 in [0, 1] on cpu>
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor | None = None
    factors: torch.Tensor | None = None
    factor_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images = self.images
        if not isinstance(images, torch.Tensor) or images.dtype not in (torch.float32, torch.uint8):
            raise TypeError(f"images must be a float32 or uint8 tensor, got {getattr(images, 'dtype', type(images))}")
        if images.ndim != 4 or images.numel() == 0:
            raise ValueError(f"images must have shape (n, c, h, w), none of them 0; got {tuple(images.shape)}")
        if images.dtype == torch.float32:
            low, high = (value.item() for value in images.aminmax())
            if not (low >= 0 and high <= 1):  # true for NaN, too
                raise ValueError(f"images must lie in [0, 1], got {low:g} .. {high:g}; divide 0..255 by 255")
        for name in ("labels", "factors"):
            if not isinstance(getattr(self, name), torch.Tensor | None):
                raise TypeError(f"{name} must be a tensor or None, got {type(getattr(self, name)).__name__}")
        for name in ("factor_names", "label_names"):
            vars(self)[name] = tuple(map(str, items(name, getattr(self, name))))
        n, k, labels, factors = len(self), len(self.factor_names), self.labels, self.factors
        if labels is not None and (labels.shape != (n,) or labels.dtype != torch.int64):
            raise ValueError(f"labels must be int64 of shape {(n,)}, got {labels.dtype} of shape {tuple(labels.shape)}")
        if factors is not None and factors.shape != (n, k):
            raise ValueError(f"factors must have shape {(n, k)} like factor_names, got shape {tuple(factors.shape)}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (n, c, h, w) of the images."""
        return tuple(self.images.shape)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape (c, h, w) of one image."""
        return tuple(self.images.shape[1:])

    def __repr__(self) -> str:
        span = "in [0, 1]" if self.images.dtype == torch.float32 else "in 0..255"
        shape, dtype = "x".join(map(str, self.image_shape)), str(self.images.dtype).removeprefix("torch.")
        parts = [f"{len(self):,} images of {shape}, {dtype} {span} on {self.images.device}"]
        if self.labels is not None:
            parts.append(f"{len(self.label_names) or len(self.labels.unique())} labels")
        if self.factors is not None:
            parts.append(f"factors {', '.join(self.factor_names)}")
        return f"<{self.name}: {'; '.join(parts)}>"

    def subset(self, indices: Any) -> "Dataset":
        """The images at `indices` (whole numbers in 0..n-1 in any order, a slice, or a mask (n,)), with labels and factors."""
        if isinstance(indices, slice):
            indices = range(len(self))[indices]
        rows = np.asarray(indices.cpu() if isinstance(indices, torch.Tensor) else indices)
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = rows.nonzero()[0]
        if rows.ndim != 1 or not rows.size or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(self):
            legal = f"a non-empty list of whole numbers in 0..{len(self) - 1}, a slice or a mask of shape {(len(self),)}"
            raise ValueError(f"indices must be {legal}; got {describe(indices)}")
        index = torch.from_numpy(rows.astype(np.int64))
        return self._map(lambda tensor: tensor[index.to(tensor.device)])

    def split(self, test: float = 0.2, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """Divide the images at random into a training part and a held-out part with the share `test`, in (0, 1), of them.

        The held-out part has the same share of every label, to within one image. Patches that were cut with a stride
        below 32 overlap, so the two parts then share pixels. The same seed always gives the same split.
        """
        rng = np.random.default_rng(as_seed("seed", seed))
        held_out = round(number("test", test, above=0) * len(self))
        if not 0 < held_out < len(self):
            raise ValueError(f"test must leave at least one of {len(self)} images on either side, got {test}")
        order = rng.permutation(len(self))
        if self.labels is not None:  # evenly spaced positions in a shuffle sorted by label are a stratified sample
            order = order[np.argsort(self.labels.cpu().numpy()[order], kind="stable")]
        mask = np.zeros(len(self), dtype=bool)
        mask[order[((np.arange(held_out) + 0.5) * len(self) / held_out).astype(int)]] = True
        return self.subset(~mask), self.subset(mask)

    def __getitem__(self, rows: Any) -> "Dataset":
        """The same as `subset(rows)`. scikit-learn divides a Dataset so, which it asks for [rows, ...]."""
        return self.subset(rows[0] if isinstance(rows, tuple) and rows[1:] == (...,) else rows)

    def to(self, device: str | torch.device | None) -> "Dataset":
        """The same data on another device, named as in `fit`; tensors that are there already are not copied."""
        place = as_device(device)

        def move(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(place, widest_dtype(place) if tensor.dtype == torch.float64 else tensor.dtype)

        return self._map(move)

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Dataset":
        labels, factors = (None if tensor is None else change(tensor) for tensor in (self.labels, self.factors))
        return replace(self, images=change(self.images), labels=labels, factors=factors)
