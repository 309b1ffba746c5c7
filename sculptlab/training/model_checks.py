"""What training asks of any model: is it a module, how many latents has it, does it fit codes and images?"""

from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.training.batches import as_unit_floats
from sculptlab.validation import describe


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
    shape = tuple(getattr(model, "image_shape", images.shape[1:]))
    if shape != tuple(images.shape[1:]):
        raise ValueError(f"{name} must have the model's shape {shape}, got {tuple(images.shape[1:])}")
