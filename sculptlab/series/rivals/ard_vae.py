"""ARD-VAE: a VAE whose prior has a variance for each latent, re-estimated from the codes (automatic relevance determination)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.priors import Gaussian, Prior
from sculptlab.series.rivals.method import of_objective
from sculptlab.training.objectives import Batch, Companion, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.validation import number, parameter

LEAST_VARIANCE = 1e-8  # of the prior, so that its logarithm stays finite


class LatentVariances(Companion):
    """The variance (dim,) of the prior of each latent: a moving average of the mean squared code of each batch."""

    def __init__(self, dim: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.variance = nn.Buffer(torch.ones(dim, device="cpu", dtype=torch.float32))

    def refresh(self, codes: Tensor, model: Any, generator: torch.Generator | None) -> None:
        self.variance.lerp_(codes.square().mean(0), self.rate).clamp_(min=LEAST_VARIANCE)


@dataclass(frozen=True)
class ARDVAE(Objective):
    """Reconstruction + beta * E_x KL(q(z|x) || N(0, diag(s^2))), with s_j^2 the mean square of sampled codes z_j.

    KL = 1/2 sum_j (mean_j^2 + variance_j) / s_j^2 - 1 - ln(variance_j / s_j^2). In the history: "kl". A latent is relevant if
    `sculptlab.relevance` is large: its variance times the mean squared derivative of the decoder. s^2 alone does not say so,
    since encoder and decoder can scale a latent up and down without an effect on the loss.

    The paper puts a Gamma(a_0, b_0) distribution on each 1 / s_j^2 and re-estimates it from the codes of a fixed subset of the
    training images. Its prior of the codes is then a Student t distribution with twice as many degrees of freedom as images in
    that subset, which is N(0, s^2) in the limit. Here s^2 is an exponential average over batches.

    Parameters
    ----------
    beta : float, at least 0
    rate : float
        Share of the newest batch in s^2, above 0.
    likelihood : as in `Reconstruction`

    References
    ----------
    Saha, Joshi and Whitaker 2025, arXiv 2501.10901.
    """

    beta: float = parameter(number, 1.0, least=0)
    rate: float = parameter(number, 0.02, above=0)
    needs_posterior = True

    def companions(self, dim: int) -> dict[str, Companion]:
        return {"variances": LatentVariances(dim, self.rate)}

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        variances: Any = companions["variances"]
        prior = variances.variance
        mean, log_variance = batch.posterior.mean, batch.posterior.log_variance
        kl = 0.5 * ((mean.square() + log_variance.exp()) / prior - 1 - log_variance + prior.log())
        yield Term("kl", self.beta, kl.sum(1).mean())

    def sampling_prior(self, dim: int, model: Any, companions: Companions) -> Prior:
        variances: Any = companions["variances"]
        return Gaussian(dim).scaled(variances.variance.sqrt())


ARD_VAE = of_objective(
    "ARD-VAE", "learned prior", "Saha et al. 2025, arXiv 2501.10901", None, (0.1, 0.3, 1.0, 2.0, 4.0, 8.0),
    lambda w: ARDVAE(beta=w),
)  # fmt: skip
