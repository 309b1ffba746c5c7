"""How evenly a decoder stretches its latent space: a measure that needs no labels, and the objective that keeps it even."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.training.objectives.base import Adversaries, Batch, Objective, Term
from sculptlab.validation import codes, number, whole


def distortion(model: Any, points: Any, *, reach: float = 0.1, seed: int = 0) -> float:
    """Var(s) / E(s)^2 of the decoder's stretch s = |J(z) u|^2, over codes z and random unit directions u.

    J is the decoder's derivative. The result is 0 if the decoder keeps all lengths up to one factor; a linear decoder with
    singular values a and b has (a^2 - b^2)^2 / 2 (a^2 + b^2)^2. Of several maps that fill the same prior equally well, the
    straight ones have a smaller distortion than the twisted ones.

    Parameters
    ----------
    model : nn.Module
        With `decode`.
    points : array_like of shape (n, d)
        Codes.
    reach : float
        The derivative is taken by differences over this many standard deviations of the points, to either side.
    seed : int
        Of the directions.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For points of another shape than the decoder's codes.

    References
    ----------
    After Lee et al. 2022 (ICLR), who compare moments of J^T J.
    """
    z = codes("points", points, dim=getattr(model, "dim", None))
    weights = next(model.parameters())
    with torch.no_grad():
        generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
        stretch = _stretch(model, z.to(weights), number("reach", reach, above=0), generator)
    return _relative_variance(stretch).item()


@dataclass(frozen=True)
class Isometry(Objective):
    """Reconstruction + weight * Var(s) / E(s)^2 of the decoder's stretch s at the batch's codes (see `distortion`).

    The gradient reaches the decoder alone. A step decodes twice more. In the history: "isometry".

    Parameters
    ----------
    weight : float
        Nats per image for a relative variance of 1.
    reach : float
        The length over which the stretch is measured, in standard deviations of the codes over the batch.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    References
    ----------
    As for `distortion`.
    """

    weight: float = 1.0
    reach: float = 0.1
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        number("weight", self.weight, least=0)
        number("reach", self.reach, above=0)

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        stretch = _stretch(batch.model, batch.codes.detach(), self.reach, batch.generator)
        yield Term("isometry", self.weight, _relative_variance(stretch))


def _stretch(model: Any, z: Tensor, reach: float, generator: torch.Generator | None) -> Tensor:
    """Squared lengths (n,) of the decoder's differences in a random direction at each code; their unit does not matter."""
    device = generator.device if generator is not None else z.device
    directions = functional.normalize(torch.randn(z.shape, generator=generator, device=device).to(z), dim=1)
    step = reach * z.std(dim=0).mean() * directions
    return (model.decode(z + step) - model.decode(z - step)).flatten(1).square().sum(1)


def _relative_variance(stretch: Tensor) -> Tensor:
    return stretch.var() / stretch.mean().square().clamp_min(torch.finfo(stretch.dtype).tiny)
