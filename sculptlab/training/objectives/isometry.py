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
    """Var(s) / E(s)^2 of the stretch s = |J(z) u|^2 over codes z, the `points` (n, d), and random unit directions u.

    J is the decoder's derivative, taken by differences over `reach` standard deviations of the points to either side. 0: the
    decoder keeps all lengths up to one factor; a linear one with singular values a, b has (a^2 - b^2)^2 / 2 (a^2 + b^2)^2. Of
    several maps that fill the same prior equally well, it tells the straight ones from the twisted ones.
    Raises ValueError for points of another shape than the decoder's codes. Source: after Lee et al. 2022 (ICLR), who compare
    moments of J^T J.
    """
    z = codes("points", points, dim=getattr(model, "dim", None))
    weights = next(model.parameters())
    with torch.no_grad():
        generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
        stretch = _stretch(model, z.to(weights), number("reach", reach, above=0), generator)
    return _unevenness(stretch).item()


@dataclass(frozen=True)
class Isometry(Objective):
    """Reconstruction + weight * Var(s) / E(s)^2 of the decoder's stretch at the batch's codes, so that no place is blown up.

    weight     nats per image for a relative variance of 1.
    reach      in standard deviations of each latent over the batch: the length over which the stretch is measured.
    The gradient reaches the decoder alone; two more decodings a step. In the history: "isometry". Source: as `distortion`.
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
        yield Term("isometry", self.weight, _unevenness(stretch))


def _stretch(model: Any, z: Tensor, reach: float, generator: torch.Generator | None) -> Tensor:
    place = generator.device if generator is not None else z.device
    drawn = torch.randn(z.shape, generator=generator, device=place).to(z)
    step = reach * z.std(dim=0).mean() * functional.normalize(drawn, dim=1)
    return (model.decode(z + step) - model.decode(z - step)).flatten(1).square().sum(1)


def _unevenness(stretch: Tensor) -> Tensor:
    return stretch.var() / stretch.mean().square().clamp_min(torch.finfo(stretch.dtype).tiny)
