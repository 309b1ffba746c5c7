"""Matching two moments: the mean and variance of a batch's posterior means, instead of each posterior, to N(0, I)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sculptlab.priors import Gaussian, Prior
from sculptlab.series.rivals.method import of_objective
from sculptlab.training.objectives import Batch, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.validation import number, parameter


@dataclass(frozen=True)
class TwoMoments(Objective):
    """Reconstruction + weight * (sum_j KL(N(m_j, v_j) || N(0, 1)) + share * E_x sum_j KL(N(0, variance_j) || N(0, 1))).

    m_j and v_j are the mean and variance over the batch of the posterior means of latent j; KL(N(m, v) || N(0, 1)) is (m^2 + v -
    ln v - 1) / 2. The second term keeps the posteriors' own variances near 1. Latents with the same two moments as N(0, 1) cost
    nothing, whatever else their distribution is, and however much they depend on each other. In the history: "kl_moments",
    "kl_variances".

    The paper adds a discriminator of image patches, which is left out here, and an absolute error with weight 5,000. `share` is
    that of the authors' code.

    Parameters
    ----------
    weight, share : float, at least 0
    likelihood : as in `Reconstruction`

    References
    ----------
    Rivera 2024 (ICIP), "How to train your VAE", arXiv 2309.13160.
    """

    weight: float = parameter(number, 1.0, least=0)
    share: float = parameter(number, 0.2, least=0)
    needs_posterior = True
    least_batch = 2

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        mean, log_variance = batch.posterior.mean, batch.posterior.log_variance
        m, v = mean.mean(0), mean.var(0, correction=0).clamp_min(1e-12)
        yield Term("kl_moments", self.weight, 0.5 * (m.square() + v - v.log() - 1).sum())
        yield Term("kl_variances", self.weight * self.share, 0.5 * (log_variance.exp() - log_variance - 1).sum(1).mean())


TWO_MOMENTS = of_objective(
    "two moments", "distance to the prior", "Rivera 2024 (ICIP), arXiv 2309.13160, without its discriminator", Gaussian,
    (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), lambda w: TwoMoments(weight=w),
)  # fmt: skip
