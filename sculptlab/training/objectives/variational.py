"""The VAE and its relatives: the reconstruction plus a KL term, and what was added to it in search of independent latents."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.columns import permute_columns
from sculptlab.mmd.distance import mmd2
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Gaussian, Prior
from sculptlab.training.objectives.base import Adversaries, Adversary, Batch, Objective, Term
from sculptlab.training.objectives.divergences import covariance, dip_penalty, kl_to_standard_normal, split_kl
from sculptlab.validation import choice, number, whole


@dataclass(frozen=True)
class _Variational(Objective):
    """The reconstruction plus a KL term to N(0, I), of a stochastic encoder."""

    needs_posterior = True

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def kl(self, batch: Batch) -> Tensor:
        """KL(q(z|x) || N(0, I)) in nats, the mean over the batch, 0-d."""
        assert batch.posterior is not None  # `check` refuses deterministic encoders
        return kl_to_standard_normal(batch.posterior).sum() / len(batch.images)


@dataclass(frozen=True)
class KL(_Variational):
    """Reconstruction + beta * E_x KL(q(z|x) || N(0, I)): a VAE at beta = 1, a beta-VAE elsewhere.

    In the history: "kl".

    Parameters
    ----------
    beta : float
        >= 0, without a unit.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    References
    ----------
    Kingma and Welling 2014, arXiv 1312.6114; Higgins et al. 2017 (ICLR).
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number("beta", self.beta, least=0)

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        yield Term("kl", self.beta, self.kl(batch))


@dataclass(frozen=True)
class BetaTC(KL):
    """Reconstruction + KL + (beta - 1) * TC: of the KL term, the total correlation is weighted by beta and the rest by 1.

    TC = KL(q(z) || prod_j q(z_j)), estimated by minibatch stratified sampling (`divergences.split_kl`). The KL term itself is
    exact instead of sampled, which has the same expectation and less noise. In the history: "kl", "total_correlation".

    Parameters
    ----------
    beta : float
        >= 0, without a unit.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    References
    ----------
    Chen et al. 2018, arXiv 1802.04942.
    """

    beta: float = 6.0
    least_batch = 2

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        assert batch.posterior is not None
        parts = split_kl(batch.codes, batch.posterior, batch.rows)
        yield Term("kl", 1.0, self.kl(batch))
        yield Term("total_correlation", self.beta - 1, parts.total_correlation)


@dataclass(frozen=True)
class DIP(_Variational):
    """Reconstruction + KL + weight * (sum_{i != j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2): decorrelated codes.

    In the history: "kl", "dip".

    Parameters
    ----------
    weight : float
        lambda_od of the paper, in nats per unit of squared covariance.
    kind : {"I", "II"}
        C is the covariance of the means ("I") or of the samples ("II"), which is that of the means plus the mean variances.
    diagonal : float, optional
        lambda_d / lambda_od; by default the paper's, 10 for "I" and 1 for "II".
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    References
    ----------
    Kumar et al. 2018, arXiv 1711.00848.
    """

    weight: float = 10.0
    kind: str = "I"
    diagonal: float | None = None
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("kind", self.kind, ("I", "II"))
        number("weight", self.weight, least=0)
        if self.diagonal is not None:
            number("diagonal", self.diagonal, least=0)

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        assert batch.posterior is not None
        matrix = covariance(batch.posterior.mean)
        if self.kind == "II":
            matrix = matrix + batch.posterior.log_variance.exp().mean(0).diag()
        diagonal = self.diagonal if self.diagonal is not None else {"I": 10.0, "II": 1.0}[self.kind]
        yield Term("kl", 1.0, self.kl(batch))
        yield Term("dip", self.weight, dip_penalty(matrix, diagonal))


class _Discriminator(Adversary):
    """Classifies codes against codes with permuted columns; its logit estimates log q(z) / prod_j q(z_j)."""

    learning_rate, betas = 1e-4, (0.5, 0.9)

    def __init__(self, dim: int, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise([dim, *[width] * depth]):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, codes: Tensor) -> Tensor:
        return self.body(codes)[:, 0]

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """The cross-entropy between one half of the batch and the other half with permuted columns."""
        joint, other = codes.chunk(2)
        permuted = permute_columns(other, generator)
        return 0.5 * (functional.softplus(-self(joint)).mean() + functional.softplus(self(permuted)).mean())


@dataclass(frozen=True)
class FactorVAE(_Variational):
    """Reconstruction + KL + gamma * TC, with the total correlation from the logit of a discriminator.

    The discriminator has leaky ReLU units and takes one step of Adam (1e-4, betas .5 and .9) for each step of the model. In the
    history: "kl", "total_correlation".

    Parameters
    ----------
    gamma : float
        >= 0, without a unit.
    width, depth : int
        Units of a hidden layer of the discriminator, and number of its hidden layers.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    References
    ----------
    Kim and Mnih 2018, arXiv 1802.05983.
    """

    gamma: float = 35.0
    width: int = 1000
    depth: int = 6
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        number("gamma", self.gamma, least=0)
        whole("width", self.width), whole("depth", self.depth)

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        return {"discriminator": _Discriminator(dim, self.width, self.depth)}

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        if "discriminator" not in adversaries:
            raise ValueError("FactorVAE needs its discriminator: pass adversaries=objective.adversaries(dim)")
        yield Term("kl", 1.0, self.kl(batch))
        yield Term("total_correlation", self.gamma, adversaries["discriminator"](batch.codes).mean())


@dataclass(frozen=True)
class InfoVAE(_Variational):
    """Reconstruction + (1 - alpha) * KL + (alpha + lambda_ - 1) * MMD^2(q(z), N(0, I)).

    MMD^2 is the unbiased estimate between the batch's codes and as many draws of the prior, under the sum of the seven IMQ
    kernels of the Wasserstein autoencoder (`kernels.IMQ`, C = 2 dim); it may be slightly negative. The sum has k(x, x) = 7, so
    lambda_ = 1000 here weighs as much as 7,000 with a kernel of k(x, x) = 1. In the history: "kl", "mmd2".

    Parameters
    ----------
    alpha : float
        At 1, MMD^2 alone is left.
    lambda_ : float
        Against the reconstruction in nats, of which small images have few.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    Raises
    ------
    ValueError
        If either coefficient were negative: the loss would then reward a large distance to the prior.

    References
    ----------
    Zhao et al. 2019, arXiv 1706.02262, eq. 6.
    """

    alpha: float = 0.0
    lambda_: float = 1000.0
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        number("alpha", self.alpha), number("lambda_", self.lambda_)
        if self.alpha > 1 or self.alpha + self.lambda_ < 1:
            raise ValueError(
                "alpha and lambda_ must leave both coefficients >= 0: alpha <= 1 and alpha + lambda_ >= 1; "
                f"got alpha={self.alpha}, lambda_={self.lambda_}"
            )

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        codes = batch.codes
        target = Gaussian(codes.shape[1]).sample(len(codes), generator=batch.generator, device=codes.device)
        yield Term("kl", 1 - self.alpha, self.kl(batch))
        yield Term("mmd2", self.alpha + self.lambda_ - 1, mmd2(codes, target, kernel=IMQ(base=2.0 * codes.shape[1])))
