"""The random steps that priors share, each from an explicit generator."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

Device = torch.device | str


def drawing_device(generator: Any, device: Device | None) -> Device:
    """Where to draw: on the generator's device if there is a generator, else on `device`, else on the CPU."""
    if generator is None:
        return device or "cpu"
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a torch.Generator, as torch.Generator().manual_seed(0), or None; got {generator!r}")
    return generator.device


def widest_dtype(device: Device) -> torch.dtype:
    """The most precise floating type of a device: float64, but float32 on Apple's GPUs."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def open_unit(u: Tensor) -> Tensor:
    """Probabilities moved off 0 and 1 by half a rounding error, so that quantiles stay finite."""
    smallest = torch.finfo(u.dtype).eps / 2
    return u.clamp(smallest, 1 - smallest)


def uniforms(n: int, columns: int, generator: Generator | None, device: Device) -> Tensor:
    """Uniform numbers (n, columns) strictly between 0 and 1. Double precision reaches further into the tails."""
    return open_unit(torch.rand(n, columns, generator=generator, device=device, dtype=widest_dtype(device)))


def choose(weights: Sequence[float] | Tensor, n: int, generator: Generator | None, device: Device) -> Tensor:
    """Indices (n,) into `weights` (k,), each with a probability proportional to its weight."""
    cumulative = torch.as_tensor(weights, dtype=torch.float64).cumsum(0)
    u = uniforms(n, 1, generator, device)[:, 0]
    return torch.searchsorted((cumulative / cumulative[-1]).to(u), u, right=True)
