"""The few random steps that priors share, each from an explicit generator."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sculptlab.priors.base import Prior

Place = torch.device | str


def uniforms(n: int, columns: int, generator: torch.Generator | None, device: Place) -> Tensor:
    """(n, columns) uniform numbers strictly between 0 and 1: float64, so that tails are reached (float32 on Apple's GPUs)."""
    dtype = torch.float32 if torch.device(device).type == "mps" else torch.float64
    least = torch.finfo(dtype).eps / 2
    return torch.rand(n, columns, generator=generator, device=device, dtype=dtype).clamp_(least, 1 - least)


def normals(n: int, columns: int, generator: torch.Generator | None, device: Place) -> Tensor:
    """(n, columns) standard normal numbers, float32."""
    return torch.randn(n, columns, generator=generator, device=device)


def chosen(weights: Tensor, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
    """(n,) indices into `weights` (k,), each as likely as its weight; one of weight 0 never."""
    below = weights.cumsum(0)
    u = uniforms(n, 1, generator, device)[:, 0]
    return torch.searchsorted((below / below[-1]).to(u), u, right=True)


def scattered(parts: Sequence[Prior], which: Tensor, generator: torch.Generator | None, device: Any) -> Tensor:
    """(n, dim): row i is a draw of parts[which[i]]; which (n,) on any device."""
    drawn = torch.empty(len(which), parts[0].dim, device=device)
    for k, part in enumerate(parts):
        rows = (which == k).nonzero()[:, 0]
        if len(rows):
            drawn[rows.to(device)] = part.sample(len(rows), generator, device)
    return drawn
