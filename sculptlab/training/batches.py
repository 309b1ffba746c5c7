"""Checks of the models that training gets, and the batches of images, whose order depends on the seed alone."""

from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.training.distributed import Ranks
from sculptlab.training.encodings import encoded, evaluating, placement
from sculptlab.training.images import as_unit_floats
from sculptlab.training.models import Posterior
from sculptlab.training.sources import Source, StreamSource, as_images
from sculptlab.validation import describe


def held_images(name: str, images: Any) -> Tensor:
    """Checked `images` for an objective to hold: floats on the CPU, uint8 divided by 255."""
    return as_unit_floats(as_images(images, name=name)).detach().cpu().contiguous()


def as_model(model: Any) -> nn.Module:
    """`model` itself, if it is a torch module; else a TypeError that says what it is instead."""
    if not isinstance(model, nn.Module):
        came = f"a {type(model).__name__}" if hasattr(model, "__array__") else describe(model)
        raise TypeError(f"model must be a torch module, such as build_autoencoder(...) makes, got {came}")
    return model


def as_trainable(model: Any) -> nn.Module:
    """`model` itself, if it is a torch module with weights that can be trained here."""
    name, weights = type(as_model(model)).__name__, list(model.parameters())
    if not weights:
        raise ValueError(f"model must have weights to train, a {name} without parameters has none")
    if any(nn.parameter.is_lazy(weight) for weight in weights):
        raise ValueError(f"model must have made its lazy layers: call this {name} on a few images first")
    if any(weight.is_meta for weight in weights):
        raise ValueError(f"model must have its weights in memory, those of this {name} are on the device 'meta'")
    if torch.is_inference_mode_enabled() or any(weight.is_inference() for weight in weights):
        raise ValueError("model must be made and trained outside torch.inference_mode(), in which nothing can be learned")
    return model


def count_latents(model: Any, images: Tensor) -> int:
    """Number of latents of a model: its `dim`, else the columns of its codes of `images`; 0 if it has no `encode`."""
    if hasattr(model, "dim"):
        return int(model.dim)
    if not hasattr(model, "encode"):
        return 0
    found = first_codes(model, images)
    return (found.mean if isinstance(found, Posterior) else found).shape[1]


def first_codes(model: Any, images: Tensor) -> Posterior | Tensor:
    """What the model's encoder gives for the first two of `images`, codes or a posterior."""
    device, dtype = placement(model)
    with evaluating(model):
        return encoded(model, as_unit_floats(images[:2].to(device), dtype))


def check_dim(name: str, dim: int, model: Any) -> None:
    """Raise ValueError if codes have `dim` columns and `model` says that it has another number of latents."""
    if (latents := getattr(model, "dim", dim)) != dim:
        raise ValueError(f"{name} must have the model's {latents} column(s), got {dim}")


def of_shape(made: Tensor, images: Tensor, model: Any) -> Tensor:
    """Decoded images; a ValueError if their shape is not that of `images`, so that a difference would be broadcast."""
    if made.shape != images.shape:
        raise ValueError(f"model must decode codes to the images' shape (n, {', '.join(map(str, images.shape[1:]))}), a "
                         f"{type(model).__name__} made {tuple(made.shape)} for {len(images)} images")  # fmt: skip
    return made


class Batches:
    """Batches of `size` images of a source, on `device`; those of a stream that has batches have at least `least` images.

    Where rows have numbers, each epoch has a new order, drawn from (seed, epoch) alone; a last short batch is left out. With
    several `ranks`, each reads its own `share` of a batch; from streams, those of its own stream.
    """

    def __init__(
        self, source: Source, size: int, seed: int, device: torch.device, least: int = 1, ranks: Ranks | None = None
    ) -> None:
        self.source, self.size, self.seed, self.device, self.least, self.ranks = source, size, seed, device, least, ranks
        self.share = size if ranks is None else size // ranks.size
        self._epoch, self._order = -1, torch.empty(0, device="cpu", dtype=torch.float32)

    def at(self, step: int, dtype: torch.dtype) -> Tensor:
        """The batch of a step, counted from 0, as floats of type `dtype`."""
        if isinstance(self.source, StreamSource):
            images = self.source.at(step, self.share, self.least if self.ranks is None else self.share)
            if self.ranks is not None and len(images) != self.share:
                raise ValueError(f"{self.source.name} must come in batches of {self.share} rows, as the first, got {len(images)}")
        else:
            rows = self.source.rows or 0
            epoch, position = divmod(step, rows // self.size)
            if epoch != self._epoch:
                generator = torch.Generator("cpu").manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
                order = torch.randperm(rows, generator=generator, device="cpu")
                self._order, self._epoch = order.to(self.source.known.device), epoch
            order = self._order[position * self.size : (position + 1) * self.size]
            images = self.source.take(order if self.ranks is None else order[self.ranks.own(self.size)])
        return as_unit_floats(images.to(self.device), dtype)
