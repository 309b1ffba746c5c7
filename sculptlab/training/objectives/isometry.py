"""How evenly a decoder stretches its latent space, and the objective that keeps it even."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.priors.base import drawing_device
from sculptlab.training.encodings import decoded
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companions, Term
from sculptlab.validation import number, parameter


def distortion(model: Any, codes: Tensor, reach: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """Var(s) / E(s)^2, 0-d, of the decoder's stretch s = |J(z) u|^2, over codes z (n, dim) and random unit directions u.

    J is the decoder's derivative, taken by differences over `reach` standard deviations of the codes to either side. The result
    is 0 if the decoder keeps all lengths up to one factor; a linear decoder with singular values a and b has
    (a^2 - b^2)^2 / 2 (a^2 + b^2)^2. Of several maps that fill the same prior equally well, the straight ones have a smaller
    distortion than the twisted ones.
    """
    drawn = torch.randn(codes.shape, generator=generator, device=drawing_device(generator, codes.device), dtype=torch.float32)
    step = reach * codes.std(dim=0).mean() * functional.normalize(drawn.to(codes), dim=1)
    stretch = (decoded(model, codes + step) - decoded(model, codes - step)).flatten(1).square().sum(1)  # in a unit that cancels
    return stretch.var() / stretch.mean().square().clamp_min(torch.finfo(stretch.dtype).tiny)


@dataclass(frozen=True)
class Isometry(Objective):
    """Reconstruction + weight * Var(s) / E(s)^2 of the decoder's stretch s at the batch's codes (see `isometry.distortion`).

    The gradient reaches the decoder alone. A step decodes twice more. In the history: "isometry".

    Parameters
    ----------
    weight : float
        Nats per image for a relative variance of 1.
    reach : float
        The length over which the stretch is measured, in standard deviations of the codes over the batch.
    likelihood : as in `Reconstruction`

    References
    ----------
    After Lee et al. 2022 (ICLR), who compare moments of J^T J.
    """

    weight: float = parameter(number, 1.0, least=0)
    reach: float = parameter(number, 0.1, above=0)
    needs_model = True
    least_batch = 2

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        yield Term("isometry", self.weight, distortion(batch.model, batch.codes.detach(), self.reach, batch.generator))
