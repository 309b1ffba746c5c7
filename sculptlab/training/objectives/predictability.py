"""The predictability game: networks learn to guess each latent from the others, and the encoder learns to give nothing away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.training.objectives.base import Adversaries, Adversary, Batch, Objective, Term
from sculptlab.validation import choice, number, whole

CERTAIN = 1 - 1e-4  # of r^2 counts, which bounds the nats of one latent by 4.6 and, unlike a cut, leaves a slope at r^2 = 1


class Predictors(Adversary):
    """d regressors of one hidden layer as one module: the i-th guesses latent i of codes (n, d) from all but the i-th.

    They see and guess in units of the batch's standard deviations, and take `rounds` steps of Adam for each of the model's.
    """

    learning_rate, betas = 3e-3, (0.9, 0.99)
    others: Tensor

    def __init__(self, dim: int, width: int, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.into = nn.Linear(dim, dim * width)
        self.out = nn.Parameter(torch.randn(dim, width) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("others", (1 - torch.eye(dim)).repeat_interleave(width, dim=0), persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        """The guesses (n, d), in standard deviations."""
        seen = standardized(codes).to(self.bias.dtype)  # the model may be of another precision
        hidden = functional.silu(functional.linear(seen, self.into.weight * self.others, self.into.bias))
        # a product and a sum take two thirds of the time of the matrix products that an einsum makes of this
        return (hidden.unflatten(1, self.out.shape) * self.out).sum(2) + self.bias

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """The mean squared error summed over latents: each regressor minimizes its own."""
        return (self(codes) - standardized(codes)).square().mean(0).sum()


def standardized(codes: Tensor) -> Tensor:
    """codes (n, d) with mean 0 and standard deviation 1 over the rows of each column; a constant column becomes zeros."""
    centered = codes - codes.mean(0)
    return centered * (centered.square().mean(0) + 1e-8).rsqrt()


def squared_correlations(codes: Tensor, guesses: Tensor) -> Tensor:
    """corr(z_i, g_i)^2 over the rows of codes and guesses (n, d), as (d,); 0 where one of the two is constant."""
    return (standardized(codes) * standardized(guesses)).mean(0).square()


def nats(explained: Tensor) -> Tensor:
    """-1/2 ln(1 - r^2): what a Gaussian variable tells of another one, in nats, at a squared correlation of r^2.

    With .9999 r^2 in place of r^2, so that r = 1 is 4.6 nats.
    """
    return -0.5 * torch.log1p(-CERTAIN * explained)


@dataclass(frozen=True)
class Predictability(Objective):
    """Reconstruction + weight * sum_i -1/2 ln(1 - r_i^2), r_i = corr(z_i, g_i(z_-i)): latents that cannot be guessed.

    g_i is a small network, trained beside the model to guess latent i from all the others; r_i^2 is taken over the batch, does
    not depend on the latents' units, and at its best is the R^2 whose mean over latents is LPS.

    weight     nats of reconstruction per nat that the others tell of a latent: 1 means the same at every batch size, dim and
               image size.
    penalty    "nats", as above: twins (r = 1) are pushed apart ever harder. "square": r_i^2 itself, whose slope vanishes at
               r = 1, so that twins stay twins.
    width      hidden units of each g_i. rounds: its steps of Adam (3e-3) for each step of the model; 8 leave a judge with many
               codes a little over half of what 2 leave, for twice the time (page 04, section 4).
    In the history: "predictability", the penalty summed over latents; chance adds about 1 / batch to each r_i^2.
    The game makes codes independent and gives them no shape and no scale: add a distance to a prior, `MMD(...) +
    Predictability(...)`. Judge it with another family of regressors. After NashAE (Yeats et al. 2022, ECCV), which
    penalizes the covariance with the guess.
    """

    weight: float = 1.0
    penalty: str = "nats"
    width: int = 64
    rounds: int = 2
    least_batch = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        number("weight", self.weight, least=0)
        choice("penalty", self.penalty, ("nats", "square"))
        whole("width", self.width), whole("rounds", self.rounds)

    def check(self, model: object) -> None:
        super().check(model)
        if getattr(model, "dim", 2) < 2:
            raise ValueError("Predictability needs a model of at least 2 latents: one has no others to be guessed from")

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        return {"predictors": Predictors(dim, self.width, self.rounds)}

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        if "predictors" not in adversaries:
            raise ValueError("Predictability needs its predictors: pass adversaries=objective.adversaries(dim)")
        explained = squared_correlations(batch.codes, adversaries["predictors"](batch.codes))
        price = (nats(explained) if self.penalty == "nats" else explained).sum()
        yield Term("predictability", self.weight, price)
