"""The VAE and objectives derived from it: the reconstruction, a KL term and, in most of them, one more regularizer."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.columns import permute_columns
from sculptlab.mmd import mmd2
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Gaussian, Prior
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companion, Companions, Term
from sculptlab.training.objectives.divergences import kl_to_standard_normal, split_kl
from sculptlab.validation import choice, number, parameter, whole


@dataclass(frozen=True)
class _Variational(Objective):
    """The reconstruction plus a KL term to N(0, I), of a stochastic encoder."""

    needs_posterior = True

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def kl(self, batch: Batch, weight: float = 1.0) -> Term:
        """KL(q(z|x) || N(0, I)) in nats, the mean over the batch."""
        return Term("kl", weight, kl_to_standard_normal(batch.posterior).sum() / len(batch.posterior.mean))


@dataclass(frozen=True)
class KL(_Variational):
    """Reconstruction + beta * E_x KL(q(z|x) || N(0, I)): a VAE at beta = 1, a beta-VAE elsewhere. In the history: "kl".

    The likelihood "gaussian" has variance 1 for each pixel, far more than images in [0, 1] have: at beta = 1 their latents often
    become inactive. Take likelihood="bernoulli", or a beta of about 0.1, which stands for a variance of 0.1.

    Parameters
    ----------
    beta : float, at least 0
    likelihood : as in `Reconstruction`

    References
    ----------
    Kingma and Welling 2014, arXiv 1312.6114; Higgins et al. 2017 (ICLR).
    """

    beta: float = parameter(number, 1.0, least=0)

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        yield self.kl(batch, self.beta)


@dataclass(frozen=True)
class BetaTC(KL):
    """Reconstruction + KL + (beta - 1) * TC: of the KL term, the total correlation is weighted by beta and the rest by 1.

    TC = KL(q(z) || prod_j q(z_j)), estimated by minibatch stratified sampling (`divergences.split_kl`). The KL term itself is
    exact instead of sampled, which has the same expectation and less noise. In the history: "kl", "total_correlation".

    Parameters
    ----------
    beta, likelihood : as in `KL`

    References
    ----------
    Chen et al. 2018, arXiv 1802.04942.
    """

    beta: float = parameter(number, 6.0, least=0)
    needs_rows = True
    least_batch = 2

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        assert batch.rows is not None  # `needs_rows`
        parts = split_kl(batch.codes, batch.posterior, batch.rows)
        yield self.kl(batch)
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
        C is the covariance of the means ("I") or of the samples ("II"): that of the means, plus the posteriors' mean variances.
    diagonal : float, optional
        lambda_d / lambda_od; by default the paper's, 10 for "I" and 1 for "II".
    likelihood : as in `Reconstruction`

    References
    ----------
    Kumar et al. 2018, arXiv 1711.00848.
    """

    weight: float = parameter(number, 10.0, least=0)
    kind: str = parameter(choice, "I", legal=("I", "II"))
    diagonal: float | None = parameter(number, None, least=0)
    least_batch = 2

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        centered = batch.posterior.mean - batch.posterior.mean.mean(0)
        covariance = centered.T @ centered / len(centered)
        if self.kind == "II":
            covariance = covariance + batch.posterior.log_variance.exp().mean(0).diag()
        variances = covariance.diagonal()
        off_diagonal = (covariance - variances.diag()).square().sum()
        diagonal = self.diagonal if self.diagonal is not None else {"I": 10.0, "II": 1.0}[self.kind]
        yield self.kl(batch)
        yield Term("dip", self.weight, off_diagonal + diagonal * (variances - 1).square().sum())


class _Discriminator(Companion):
    """Classifies codes against codes with permuted columns; its logit estimates log q(z) / prod_j q(z_j)."""

    learning_rate, betas = 1e-4, (0.5, 0.9)

    def __init__(self, dim: int, width: int, depth: int) -> None:
        super().__init__()
        sizes = itertools.pairwise([dim, *[width] * depth])
        hidden = [layer for a, b in sizes for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
        self.body = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, codes: Tensor) -> Tensor:
        return self.body(codes.to(next(self.parameters()).dtype))[:, 0]  # the model may have another type

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
    gamma : float, at least 0
    width, depth : int
        Units of a hidden layer of the discriminator, and number of its hidden layers.
    likelihood : as in `Reconstruction`

    References
    ----------
    Kim and Mnih 2018, arXiv 1802.05983.
    """

    gamma: float = parameter(number, 35.0, least=0)
    width: int = parameter(whole, 1000)
    depth: int = parameter(whole, 6)
    least_batch = 2

    def companions(self, dim: int) -> dict[str, Companion]:
        return {"discriminator": _Discriminator(dim, self.width, self.depth)}

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        if "discriminator" not in companions:
            raise ValueError("FactorVAE needs its discriminator: pass companions=objective.companions(dim)")
        yield self.kl(batch)
        yield Term("total_correlation", self.gamma, companions["discriminator"](batch.codes).mean())


@dataclass(frozen=True)
class InfoVAE(_Variational):
    """Reconstruction + (1 - alpha) * KL + (alpha + lambda_ - 1) * MMD^2(q(z), N(0, I)); no coefficient may be negative.

    MMD^2 is the unbiased estimate between the batch's codes and as many draws of the prior, under the sum of the seven IMQ
    kernels of the Wasserstein autoencoder (`kernels.IMQ`, C = 2 dim); it may be slightly negative. The sum has k(x, x) = 7, so
    lambda_ = 1000 here weighs as much as 7,000 with a kernel of k(x, x) = 1. In the history: "kl", "mmd2".

    Parameters
    ----------
    alpha, lambda_ : float
        At alpha = 1, MMD^2 alone is left. lambda_ weighs it against nats of reconstruction, of which small images have few.
    likelihood : as in `Reconstruction`

    References
    ----------
    Zhao et al. 2019, arXiv 1706.02262, eq. 6.
    """

    alpha: float = parameter(number, 0.0)
    lambda_: float = parameter(number, 1000.0)
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha > 1 or self.alpha + self.lambda_ < 1:
            got = f"got alpha={self.alpha}, lambda_={self.lambda_}"
            raise ValueError(f"alpha <= 1 and alpha + lambda_ >= 1 must hold, for both coefficients >= 0; {got}")

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        codes = batch.codes
        target = Gaussian(codes.shape[1]).sample(len(codes), generator=batch.generator, device=codes.device)
        yield self.kl(batch, 1 - self.alpha)
        yield Term("mmd2", self.alpha + self.lambda_ - 1, mmd2(codes, target, kernel=IMQ(base=2.0 * codes.shape[1])))
