"""Checks of the models and images that training gets, and the batches of images, whose order depends on the seed alone."""

from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.validation import as_tensor, describe, finite


def as_images(data: Any, model: Any = None, *, unit_range: bool = False, name: str = "data") -> Tensor:
    """The images of a Dataset, tensor or array, as uint8 or float32, checked against the image shape and output range of `model`.

    With `unit_range`, floats must lie in [0, 1] even if `model` has no such limit. Error messages call the images `name`.
    """
    images = as_tensor(name, data.images if hasattr(data, "images") else data)
    if images.is_floating_point():
        images = images.float()
    elif images.dtype != torch.uint8:
        raise TypeError(f"{name} must be uint8 or floats, got {images.dtype}: convert a table of whole numbers to floats")
    if images.ndim < 2 or images.numel() == 0:
        raise ValueError(f"{name} must have shape (n, ...) with at least one row, got {tuple(images.shape)}")
    check_image_shape(name, images, model)
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


def held_images(name: str, images: Any) -> Tensor:
    """Checked `images` for an objective to hold: floats on the CPU, uint8 divided by 255."""
    return as_unit_floats(as_images(images, name=name)).detach().cpu().contiguous()


def as_model(model: Any) -> nn.Module:
    """`model` itself, if it is a torch module; else a TypeError that says what it is instead."""
    if not isinstance(model, nn.Module):
        came = f"a {type(model).__name__}" if hasattr(model, "__array__") else describe(model)
        raise TypeError(f"model must be a torch module, such as build_autoencoder(...) makes, got {came}")
    return model


def count_latents(model: Any, images: Tensor) -> int:
    """Number of latents of a model: its `dim`, else the columns of its codes of `images`; 0 if it has no `encode`."""
    if hasattr(model, "dim"):
        return int(model.dim)
    if not hasattr(model, "encode"):
        return 0
    with torch.no_grad():
        return model.encode(as_unit_floats(images[:2], next(model.parameters()).dtype)).shape[1]


def check_dim(name: str, dim: int, model: Any) -> None:
    """Raise ValueError if codes have `dim` columns and `model` says that it has another number of latents."""
    if (latents := getattr(model, "dim", dim)) != dim:
        raise ValueError(f"{name} must have the model's {latents} column(s), got {dim}")


def check_image_shape(name: str, images: Tensor, model: Any) -> None:
    """Raise ValueError if `model` says that it takes images of another shape."""
    came, shape = tuple(images.shape[1:]), tuple(getattr(model, "image_shape", images.shape[1:]))
    if came != shape:
        hint = f"; {name}[:, None] adds the channel" if (1, *came) == shape else ""
        legal = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have shape (n, {legal}), the model's shape, got {tuple(images.shape)}{hint}")


class Batches:
    """Batches of `size` images. Each epoch has a new order, drawn from (seed, epoch) alone; a last short batch is left out."""

    def __init__(self, images: Tensor, size: int, seed: int) -> None:
        self.images, self.size, self.seed = images, size, seed
        self._epoch, self._order = -1, torch.empty(0, device="cpu", dtype=torch.float32)

    def at(self, step: int, dtype: torch.dtype) -> Tensor:
        """The batch of a step, counted from 0, as floats of type `dtype`."""
        epoch, position = divmod(step, len(self.images) // self.size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
            self._order = torch.randperm(len(self.images), generator=generator, device="cpu").to(self.images.device)
            self._epoch = epoch
        rows = self._order[position * self.size : (position + 1) * self.size]
        return as_unit_floats(self.images[rows], dtype)
