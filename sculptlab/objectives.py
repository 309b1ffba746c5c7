"""What a model is trained to do: reconstruct, plus regularisers; every term in nats per image, averaged over the batch.

reconstruction, likelihood "gaussian":   1/2 sum_pixels (x - x_hat)^2, the negative log-likelihood with unit variance,
                                         without its constant (pixels / 2) log(2 pi)
reconstruction, likelihood "bernoulli":  -sum_pixels x log x_hat + (1 - x) log(1 - x_hat), the cross-entropy
KL and its relatives:                    nats per image

Nothing is divided by pixels, dimensions or batch size, so a weight of 1 is one nat against one nat at every size, and
KL(beta=1) is the negative evidence lower bound. A Gaussian decoder of variance s^2 instead of 1 is beta = s^2 here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.autoencoders import Posterior
from sculptlab.divergences import covariance, dip_penalty, kl_to_standard_normal, permute_each_dimension, split_kl
from sculptlab.kernels import IMQ
from sculptlab.mmd import mmd2
from sculptlab.priors import Gaussian, Prior
from sculptlab.validation import choice, number, whole

LIKELIHOODS = ("gaussian", "bernoulli")


@dataclass(frozen=True)
class Batch:
    """What an objective sees of one step: images, their posterior (None if deterministic), codes, reconstruction."""

    images: Tensor
    posterior: Posterior | None
    codes: Tensor
    model: Any
    rows: int
    generator: torch.Generator | None

    def need_posterior(self, objective: object) -> Posterior:
        if self.posterior is None:
            raise ValueError(
                f"objective {type(objective).__name__} needs a stochastic encoder: build_autoencoder(..., stochastic=True)"
            )
        return self.posterior


class Adversary(nn.Module):
    """A network trained beside the model, on its codes, with its own Adam of this learning rate and these betas."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """What the adversary minimises, 0-d; codes (n, dim) come without a gradient."""
        raise NotImplementedError


Adversaries = Mapping[str, Adversary]


@dataclass(frozen=True)
class Term:
    """One regulariser of a step: its name in the history, its weight in the loss, its value in nats per image."""

    name: str
    weight: float
    value: Tensor


@dataclass(frozen=True)
class Objective:
    """The base of all objectives: reconstruction plus the terms of `regularisers`. Objectives add up with `+`."""

    likelihood: str = field(default="gaussian", kw_only=True)

    def __post_init__(self) -> None:
        choice("likelihood", self.likelihood, LIKELIHOODS)

    def prior_for(self, dim: int) -> Prior | None:
        """The distribution that codes of `dim` latents are pulled towards; None where there is none."""
        return None

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        """The networks to be trained beside the model on codes of `dim` latents, by name."""
        return {}

    def regularisers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        """The terms beside the reconstruction."""
        return ()

    def batch(self, model: Any, images: Tensor, rows: int, generator: torch.Generator | None = None) -> Batch:
        """Encode `images`, of a data set of `rows`; a stochastic encoder's codes are one draw from each posterior."""
        if not getattr(model, "stochastic", False):
            return Batch(images, None, model.encode(images), model, rows, generator)
        posterior = model.posterior(images)
        return Batch(images, posterior, posterior.sample(generator), model, rows, generator)

    def terms(self, batch: Batch, adversaries: Adversaries | None = None) -> dict[str, Tensor]:
        """All terms of a step by name, 0-d: "loss" (their weighted sum), "reconstruction", then the regularisers' values."""
        loss = reconstruction = _reconstruction(self.likelihood, batch)
        values: dict[str, Tensor] = {}
        for term in self.regularisers(batch, adversaries or {}):
            loss = loss + term.weight * term.value
            name = term.name if term.name not in values else f"{term.name}_{1 + sum(n.startswith(term.name) for n in values)}"
            values[name] = term.value
        return {"loss": loss, "reconstruction": reconstruction, **values}

    def __add__(self, other: Objective) -> Objective:
        if not isinstance(other, Objective):
            return NotImplemented
        if self.likelihood != other.likelihood:
            raise ValueError(f"likelihood must be the same in a sum, got {self.likelihood!r} and {other.likelihood!r}")
        return Sum((*_parts(self), *_parts(other)), likelihood=self.likelihood)


def _reconstruction(likelihood: str, batch: Batch) -> Tensor:
    images, model = batch.images, batch.model
    if likelihood == "gaussian":
        return 0.5 * (model.decode(batch.codes) - images).square().sum() / len(images)
    if getattr(model, "output", "sigmoid") != "sigmoid":
        raise ValueError("likelihood='bernoulli' needs a decoder with output='sigmoid'")
    if hasattr(model, "logits"):
        return functional.binary_cross_entropy_with_logits(model.logits(batch.codes), images, reduction="sum") / len(images)
    return functional.binary_cross_entropy(model.decode(batch.codes), images, reduction="sum") / len(images)


@dataclass(frozen=True)
class Custom(Objective):
    """Any function (model, images, generator) -> loss, or -> a mapping of named 0-d tensors with "loss" among them.

    images (b, *image_shape) are a batch in the data's range; the function draws its noise from `generator`.
    """

    function: Callable[[Any, Tensor, torch.Generator | None], Tensor | Mapping[str, Tensor]] | None = None

    def batch(self, model: Any, images: Tensor, rows: int, generator: torch.Generator | None = None) -> Batch:
        return Batch(images, None, images.new_empty(0, 0), model, rows, generator)

    def terms(self, batch: Batch, adversaries: Adversaries | None = None) -> dict[str, Tensor]:
        assert self.function is not None
        result = self.function(batch.model, batch.images, batch.generator)
        values = {"loss": result} if isinstance(result, Tensor) else dict(result)
        if "loss" not in values or values["loss"].ndim != 0:
            raise ValueError("objective must return a 0-d loss, or a mapping with a 0-d 'loss'")
        return values


def as_objective(objective: Any) -> Objective:
    """`objective` itself, or a function wrapped as one; a TypeError for anything else."""
    if isinstance(objective, Objective):
        return objective
    if isinstance(objective, type) or not callable(objective):
        raise TypeError(
            "objective must be an Objective such as sl.objectives.KL(beta=1.0), or a function "
            f"(model, images, generator) -> loss; got {objective!r}"
        )
    return Custom(function=objective)


@dataclass(frozen=True)
class Reconstruction(Objective):
    """Reconstruction alone: a plain autoencoder, whose latent space takes whatever shape it takes."""


@dataclass(frozen=True)
class KL(Objective):
    """Reconstruction + beta * E_x KL(q(z|x) || N(0, I)): a VAE at beta = 1 (Kingma & Welling 2014), a beta-VAE elsewhere.

    beta >= 0, no unit (Higgins et al. 2017). Needs a stochastic encoder.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number("beta", self.beta, least=0)

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def regularisers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        yield Term("kl", self.beta, _kl(batch, self))


def _kl(batch: Batch, objective: Objective) -> Tensor:
    posterior = batch.need_posterior(objective)
    return kl_to_standard_normal(posterior).sum() / len(batch.images)


@dataclass(frozen=True)
class BetaTC(KL):
    """KL(1) + (beta - 1) * TC: total correlation, the dependence between latents, weighs beta, all else of the KL term 1.

    TC = KL(q(z) || prod_j q(z_j)) by minibatch stratified sampling (`divergences.split_kl`; Chen et al. 2018). The KL term
    itself is exact, not sampled, which has the same expectation and less noise.
    """

    beta: float = 6.0

    def regularisers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        parts = split_kl(batch.codes, batch.need_posterior(self), batch.rows)
        yield Term("kl", 1.0, _kl(batch, self))
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

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("kind", self.kind, ("I", "II"))
        number("weight", self.weight, least=0)
        if self.diagonal is not None:
            number("diagonal", self.diagonal, least=0)

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def regularisers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        posterior = batch.need_posterior(self)
        matrix = covariance(posterior.mean)
        if self.kind == "II":
            matrix = matrix + posterior.log_variance.exp().mean(0).diag()
        diagonal = self.diagonal if self.diagonal is not None else {"I": 10.0, "II": 1.0}[self.kind]
        yield Term("kl", 1.0, _kl(batch, self))
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

    def __post_init__(self) -> None:
        super().__post_init__()
        number("gamma", self.gamma, least=0)
        whole("width", self.width), whole("depth", self.depth)

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        return {"discriminator": _Discriminator(dim, self.width, self.depth)}

    def regularisers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        if "discriminator" not in adversaries:
            raise ValueError("FactorVAE needs its discriminator: pass adversaries=objective.adversaries(dim)")
        yield Term("kl", 1.0, _kl(batch, self))
        yield Term("total_correlation", self.gamma, adversaries["discriminator"](batch.codes).mean())


@dataclass(frozen=True)
class InfoVAE(Objective):
    """Reconstruction + (1 - alpha) * KL + (alpha + lambda_ - 1) * MMD^2(q(z), N(0, I)) (Zhao et al. 2019, eq. 6).

    MMD^2 is the unbiased estimate between the batch's codes and as many draws of the prior, under the sum of the seven IMQ
    kernels of the Wasserstein autoencoder (`kernels.IMQ`, C = 2 dim); it may be slightly negative. alpha = 1 leaves MMD alone.
    Raises ValueError where either coefficient would be negative: the loss would then reward being far from the prior.
    """

    alpha: float = 0.0
    lambda_: float = 1000.0

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

    def regularisers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        codes = batch.codes
        target = Gaussian(codes.shape[1]).sample(len(codes), generator=batch.generator, device=codes.device)
        yield Term("kl", 1 - self.alpha, _kl(batch, self))
        yield Term("mmd2", self.alpha + self.lambda_ - 1, mmd2(codes, target, kernel=IMQ(base=2.0 * codes.shape[1])))


@dataclass(frozen=True)
class Sum(Objective):
    """Objectives added up: the reconstruction once, the regularisers of each. Written `a + b`."""

    parts: tuple[Objective, ...] = ()

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in self.parts)

    def prior_for(self, dim: int) -> Prior | None:
        return next((prior for part in self.parts if (prior := part.prior_for(dim)) is not None), None)

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        return {f"{i}:{name}": a for i, part in enumerate(self.parts) for name, a in part.adversaries(dim).items()}

    def regularisers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        for i, part in enumerate(self.parts):
            own = {name.partition(":")[2]: a for name, a in adversaries.items() if name.startswith(f"{i}:")}
            yield from part.regularisers(batch, own)


def _parts(objective: Objective) -> tuple[Objective, ...]:
    return objective.parts if isinstance(objective, Sum) else (objective,)
