"""The VAE and its relatives: reconstruction plus a KL term, and what was added to it in search of independent latents."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.mmd import mmd2
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Gaussian, Prior
from sculptlab.training.objectives.base import Adversaries, Adversary, Batch, Objective, Term
from sculptlab.training.objectives.divergences import (
    covariance,
    dip_penalty,
    kl_to_standard_normal,
    permute_each_dimension,
    split_kl,
)
from sculptlab.validation import choice, number, whole


@dataclass(frozen=True)
class KL(Objective):
    """Reconstruction + beta * E_x KL(q(z|x) || N(0, I)): a VAE at beta = 1 (Kingma & Welling 2014), a beta-VAE elsewhere.

    beta >= 0, no unit (Higgins et al. 2017). Needs a stochastic encoder.
    """

    beta: float = 1.0
    needs_posterior = True

    def __post_init__(self) -> None:
        super().__post_init__()
        number("beta", self.beta, least=0)

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        yield Term("kl", self.beta, _kl(batch))


def _kl(batch: Batch) -> Tensor:
    assert batch.posterior is not None  # Objective.check saw to it
    return kl_to_standard_normal(batch.posterior).sum() / len(batch.images)


@dataclass(frozen=True)
class BetaTC(KL):
    """KL(1) + (beta - 1) * TC: total correlation, the dependence between latents, weighs beta, all else of the KL term 1.

    TC = KL(q(z) || prod_j q(z_j)) by minibatch stratified sampling (`divergences.split_kl`; Chen et al. 2018). The KL term
    itself is exact, not sampled, which has the same expectation and less noise.
    """

    beta: float = 6.0
    least_batch = 2

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        assert batch.posterior is not None
        parts = split_kl(batch.codes, batch.posterior, batch.rows)
        yield Term("kl", 1.0, _kl(batch))
        yield Term("total_correlation", self.beta - 1, parts.total_correlation)


@dataclass(frozen=True)
class DIP(Objective):
    """KL(1) + weight * (sum_{i != j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2): decorrelated codes (Kumar et al. 2018).

    kind       "I": C is the covariance of the means. "II": of the samples (means' covariance + mean variances).
    weight     lambda_od of the paper, nats per unit of squared covariance.
    diagonal   lambda_d / lambda_od; None takes the paper's choice, 10 for I and 1 for II.
    """

    weight: float = 10.0
    kind: str = "I"
    diagonal: float | None = None
    needs_posterior, least_batch = True, 2

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("kind", self.kind, ("I", "II"))
        number("weight", self.weight, least=0)
        if self.diagonal is not None:
            number("diagonal", self.diagonal, least=0)

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        assert batch.posterior is not None
        matrix = covariance(batch.posterior.mean)
        if self.kind == "II":
            matrix = matrix + batch.posterior.log_variance.exp().mean(0).diag()
        diagonal = self.diagonal if self.diagonal is not None else {"I": 10.0, "II": 1.0}[self.kind]
        yield Term("kl", 1.0, _kl(batch))
        yield Term("dip", self.weight, dip_penalty(matrix, diagonal))


class _Discriminator(Adversary):
    """Tells codes from codes whose dimensions were shuffled apart; its logit estimates log q(z) / prod_j q(z_j)."""

    learning_rate, betas = 1e-4, (0.5, 0.9)

    def __init__(self, dim: int, width: int, depth: int) -> None:
        super().__init__()
        sizes = [dim, *[width] * depth]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, codes: Tensor) -> Tensor:
        return self.body(codes)[:, 0]

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """Cross-entropy of telling one half of the batch from the other half, shuffled."""
        joint, other = codes.chunk(2)
        apart = permute_each_dimension(other, generator)
        return 0.5 * (functional.softplus(-self(joint)).mean() + functional.softplus(self(apart)).mean())


@dataclass(frozen=True)
class FactorVAE(Objective):
    """KL(1) + gamma * TC, with the total correlation read from a discriminator's logit (Kim & Mnih 2018).

    The discriminator (depth x width, leaky ReLU, Adam 1e-4 with betas .5 and .9, one step per step) trains beside the model.
    """

    gamma: float = 35.0
    width: int = 1000
    depth: int = 6
    needs_posterior, least_batch = True, 2

    def __post_init__(self) -> None:
        super().__post_init__()
        number("gamma", self.gamma, least=0)
        whole("width", self.width), whole("depth", self.depth)

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        return {"discriminator": _Discriminator(dim, self.width, self.depth)}

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        if "discriminator" not in adversaries:
            raise ValueError("FactorVAE needs its discriminator: pass adversaries=objective.adversaries(dim)")
        yield Term("kl", 1.0, _kl(batch))
        yield Term("total_correlation", self.gamma, adversaries["discriminator"](batch.codes).mean())


@dataclass(frozen=True)
class InfoVAE(Objective):
    """Reconstruction + (1 - alpha) * KL + (alpha + lambda_ - 1) * MMD^2(q(z), N(0, I)) (Zhao et al. 2019, eq. 6).

    MMD^2 is the unbiased estimate between the batch's codes and as many draws of the prior, under the sum of the seven IMQ
    kernels of the Wasserstein autoencoder (`kernels.IMQ`, C = 2 dim); it may be slightly negative. The sum of kernels has
    k(x, x) = 7, so lambda_ = 1000 here weighs as much as 7,000 with a kernel of k(x, x) = 1; and the weight is against the
    reconstruction in nats, which small images have few of. alpha = 1 leaves MMD alone.
    Raises ValueError where either coefficient would be negative: the loss would then reward being far from the prior.
    """

    alpha: float = 0.0
    lambda_: float = 1000.0
    needs_posterior, least_batch = True, 2

    def __post_init__(self) -> None:
        super().__post_init__()
        number("alpha", self.alpha), number("lambda_", self.lambda_)
        if self.alpha > 1 or self.alpha + self.lambda_ < 1:
            raise ValueError(
                "alpha and lambda_ must leave both coefficients >= 0: alpha <= 1 and alpha + lambda_ >= 1; "
                f"got alpha={self.alpha}, lambda_={self.lambda_}"
            )

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        codes = batch.codes
        target = Gaussian(codes.shape[1]).sample(len(codes), generator=batch.generator, device=codes.device)
        yield Term("kl", 1 - self.alpha, _kl(batch))
        yield Term("mmd2", self.alpha + self.lambda_ - 1, mmd2(codes, target, kernel=IMQ(base=2.0 * codes.shape[1])))
