"""A Run: a trained model with its history, and what one does with it: encode, decode, sample, measure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sculptlab.priors import as_prior
from sculptlab.training.models import Posterior
from sculptlab.training.objectives import Objective
from sculptlab.validation import as_tensor, describe, finite, whole
from sculptlab.validation import codes as valid_codes

CHUNK = 4096  # rows through the network at once, when no gradient is needed


def as_model(model: Any) -> nn.Module:
    """`model` itself, if it is a module; else a TypeError that says what it is instead."""
    if not isinstance(model, nn.Module):
        came = f"a {type(model).__name__}" if isinstance(model, Tensor | np.ndarray) else describe(model)
        raise TypeError(f"model must be a torch module, such as build_autoencoder(...) makes, got {came}")
    return model


def as_images(data: Any, model: Any = None, *, unit_range: bool = False, name: str = "data") -> Tensor:
    """The images of a Dataset, tensor or array: uint8 or float32, checked against what `model` takes and puts out.

    unit_range: whether floats must lie in [0, 1] even if the model does not say that its output does. name: in messages.
    """
    images = data.images if hasattr(data, "images") else data
    images = as_tensor(name, images)
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
    """uint8 as floats / 255, floats as they are; of type `dtype`."""
    return images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)


def latents(model: Any, images: Tensor) -> int:
    """How many latents a model has: its `dim`, else what it makes of an image; 0 where it has no `encode`."""
    if hasattr(model, "dim"):
        return int(model.dim)
    if not hasattr(model, "encode"):
        return 0
    with torch.no_grad():
        return model.encode(as_unit_floats(images[:2], next(model.parameters()).dtype)).shape[1]


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What `fit` returns.

    model      the trained model, in eval mode, on the device it was trained on.
    objective  what it was trained for.
    rows       the logged steps; `history` is the same as a DataFrame.
    seed, steps, stopped   as trained; stopped is "interrupted" after Ctrl-C, else None.
    """

    model: Any
    objective: Objective
    rows: list[dict[str, float]] = field(repr=False)
    seed: int
    steps: int
    stopped: str | None = None

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row per logged step: step, loss, reconstruction and the regularizers (nats per image), seconds."""
        frame = pd.DataFrame(self.rows) if self.rows else pd.DataFrame(columns=["step", "loss", "seconds"])
        return frame.astype({"step": int})

    def __repr__(self) -> str:
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        latents = f", {self.model.dim} latent(s)" if hasattr(self.model, "dim") else ""
        loss = f", loss {self.rows[-1]['loss']:.4g}" if self.rows else ""
        return (
            f"Run of {self.objective!r}\n{type(self.model).__name__}{latents}, {weights:,} weights, on {self.device}\n"
            f"{self.steps:,} steps, seed {self.seed}{loss}" + (f"; {self.stopped}" if self.stopped else "")
        )

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype

    def encode(self, data: Any) -> Any:
        """Codes (n, dim) of a Dataset, tensor or array: a stochastic encoder's *means*. NumPy in, NumPy out."""
        return self._map(data, self.model.encode)

    def codes(self, data: Any, seed: int = 0) -> dict[str, Any]:
        """Every kind of code the model has, by name: {"codes"}, or {"means", "samples"} for a stochastic encoder.

        Samples are one draw from each image's posterior, with `seed`.
        """
        if not getattr(self.model, "stochastic", False):
            return {"codes": self.encode(data)}
        posterior = self.posterior(data)
        generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
        return {"means": _like(posterior.mean, data), "samples": _like(posterior.sample(generator), data)}

    def posterior(self, data: Any) -> Posterior:
        """q(z|x) of each image, as tensors on the CPU; a ValueError for a deterministic encoder."""

        def both(images: Tensor) -> Tensor:
            posterior = self.model.posterior(images)
            return torch.stack([posterior.mean, posterior.log_variance])

        return Posterior(*self._chunks(as_images(data, self.model), both, axis=1))

    def decode(self, codes: Any) -> Any:
        """Images (n, *image_shape) of codes (n, dim). NumPy in, NumPy out."""
        z = valid_codes("codes", codes, dim=getattr(self.model, "dim", None), rows=1)
        return _like(self._chunks(z.float(), self.model.decode), codes)

    def reconstruct(self, data: Any) -> Any:
        """The images decoded from their codes (means): (n, *image_shape). NumPy in, NumPy out."""
        return self._map(data, lambda images: self.model.decode(self.model.encode(images)))

    def reconstruction_error(self, data: Any) -> float:
        """Mean squared error per pixel of `reconstruct`, in squared units of the data; give held-out images."""
        images = as_images(data, self.model)

        def error(x: Tensor) -> Tensor:
            return (self.model.decode(self.model.encode(x)) - x).square().flatten(1).mean(1)

        return self._chunks(images, error).double().mean().item()

    def sample(self, n: int, *, prior: Any = None, seed: int = 0) -> Tensor:
        """`n` new images, decoded from draws of the prior: the objective's own, or `prior` (anything `priors.as_prior` takes)."""
        dim = self.model.dim
        source = as_prior(prior, dim=dim) if prior is not None else self.objective.prior_for(dim)
        if source is None:
            raise ValueError(f"prior must be given: {self.objective!r} pulls the codes towards none")
        generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
        return self.decode(source.sample(whole("n", n), generator=generator))

    def _map(self, data: Any, function: Callable[[Tensor], Tensor]) -> Any:
        return _like(self._chunks(as_images(data, self.model), function), data)

    def _chunks(self, rows: Tensor, function: Callable[[Tensor], Tensor], axis: int = 0) -> Tensor:
        with torch.no_grad():
            parts = [function(as_unit_floats(part.to(self.device), self._dtype)) for part in rows.split(CHUNK)]
        return torch.cat(parts, axis).cpu()


def _like(result: Tensor, given: Any) -> Any:
    return result.numpy() if isinstance(given, np.ndarray) else result
