"""Images as training takes them: one checked tensor, and its batches, whose order depends on the seed alone."""

import warnings
from typing import Any

import torch
from torch import Tensor

from sculptlab.validation import as_tensor, finite


def as_images(data: Any, model: Any = None, *, unit_range: bool = False, name: str = "data") -> Tensor:
    """The images of a Dataset, tensor or array, as uint8 or float32, checked against what `model` takes and puts out.

    With `unit_range`, floats must lie in [0, 1] even if the output of `model` may be larger. Messages call the images `name`.
    """
    images = as_tensor(name, data.images if hasattr(data, "images") else data)
    if images.is_floating_point():
        images = images.float()
    elif images.dtype != torch.uint8:
        raise TypeError(f"{name} must be uint8 or floats, got {images.dtype}: convert a table of whole numbers to floats")
    if images.ndim < 2 or images.numel() == 0:
        raise ValueError(f"{name} must have shape (n, ...) with at least one row, got {tuple(images.shape)}")
    shape = getattr(model, "image_shape", None)
    if shape is not None and tuple(images.shape[1:]) != tuple(shape):
        hint = f"; {name}[:, None] adds the channel" if tuple(images.shape[1:]) == tuple(shape[1:]) and shape[0] == 1 else ""
        raise ValueError(
            f"{name} must have shape (n, {', '.join(map(str, shape))}) for this model, got {tuple(images.shape)}{hint}"
        )
    finite(name, images)
    if (unit_range or getattr(model, "output", None) == "sigmoid") and images.is_floating_point():
        low, high = images.min().item(), images.max().item()
        if low < 0 or high > 1:
            raise ValueError(
                f"{name} must lie in [0, 1] for output='sigmoid' or likelihood='bernoulli', got [{low:g}, {high:g}]: "
                "rescale it, or take a model with output='linear' and likelihood='gaussian'"
            )
    return images


def as_unit_floats(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """`images` as `dtype`: uint8 divided by 255, floats as they are."""
    return images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)


def warn_of_wide_columns(images: Tensor) -> None:
    """Warn of columns whose squared error, in nats under unit noise, would outweigh every other term."""
    if images.is_floating_point() and len(images) > 1 and (widest := float(images.std(0).max())) > 20:  # 200 nats and more
        warnings.warn(
            f"data has columns with a standard deviation of up to {widest:.3g}, so that the squared error outweighs every other "
            "term of the loss: bring each column to mean 0 and standard deviation 1 first",
            stacklevel=4,
        )


class Batches:
    """Batches of `size` images. Each epoch has a new order, drawn from (seed, epoch) alone; a last short batch is left out."""

    def __init__(self, images: Tensor, size: int, seed: int) -> None:
        self.images, self.size, self.seed = images, size, seed
        self._epoch, self._order = -1, torch.empty(0)

    def at(self, step: int, dtype: torch.dtype) -> Tensor:
        """The batch of a step, counted from 0, as floats of type `dtype`."""
        epoch, position = divmod(step, len(self.images) // self.size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
            self._order = torch.randperm(len(self.images), generator=generator).to(self.images.device)
            self._epoch = epoch
        rows = self._order[position * self.size : (position + 1) * self.size]
        return as_unit_floats(self.images[rows], dtype)
