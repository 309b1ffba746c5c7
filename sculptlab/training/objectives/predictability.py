"""The adversarial predictability penalty: networks predict each latent from the others, and the encoder prevents it."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.columns import standardize
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companion, Companions, Term
from sculptlab.validation import choice, number, parameter, whole

EPSILON = 1e-8  # added to variances, so that the gradient stays finite where a latent is nearly constant
MANY = 32  # latents; with more, small networks that learn longer do about as much in two fifths of the time
LARGEST_R2 = 1 - 1e-4  # r^2 is multiplied by it: the penalty of a latent is then at most 4.6 nats, with a finite slope at r^2 = 1


class Predictors(Companion):
    """One network of one hidden layer for each of d latents: the i-th predicts latent i of codes (n, d) from all the others."""

    learning_rate, betas = 3e-3, (0.9, 0.99)

    def __init__(self, dim: int, width: int, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.into = nn.Linear(dim, dim * width)
        self.out = nn.Parameter(torch.randn(dim, width) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(dim))
        self.others = nn.Buffer((1 - torch.eye(dim)).repeat_interleave(width, dim=0), persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        """The predictions (n, d), in standard deviations of the batch."""
        return self._predictions(standardize(codes, EPSILON))

    def _predictions(self, standard: Tensor) -> Tensor:
        seen = standard.to(self.bias.dtype)  # the model may have another type
        hidden = functional.silu(functional.linear(seen, self.into.weight * self.others, self.into.bias))
        # a product and a sum take two thirds of the time of an einsum
        return (hidden.unflatten(1, self.out.shape) * self.out).sum(2) + self.bias

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """The mean squared error, summed over latents: each network minimizes its own."""
        standard = standardize(codes, EPSILON)
        return (self._predictions(standard) - standard).square().mean(0).sum()


def squared_prediction_correlations(codes: Tensor, predictions: Tensor) -> Tensor:
    """The squared correlation over rows of each latent with its prediction, both (n, d), as (d,); 0 where one is constant."""
    return (standardize(codes, EPSILON) * standardize(predictions, EPSILON)).mean(0).square()


def gaussian_information(squared_correlation: Tensor) -> Tensor:
    """The mutual information of two Gaussian variables with this r^2: -1/2 ln(1 - r^2) in nats, 4.6 at r = 1."""
    return -0.5 * torch.log1p(-LARGEST_R2 * squared_correlation)


@dataclass(frozen=True)
class Predictability(Objective):
    """Reconstruction + weight * sum_i -1/2 ln(1 - r_i^2), r_i = corr(z_i, g_i(z_-i)): no latent is predictable from the others.

    g_i is a small network, trained beside the model to predict latent i from all the others. r_i^2 is taken over the batch,
    does not depend on the units of the latents, and at its best is the R^2 whose mean over latents is LPS. By chance it is
    about 1 / batch. The penalty makes codes independent and gives them no shape and no scale: add a distance to a prior,
    `MMD(...) + Predictability(...)`. Evaluate the result with another family of regressors. In the history: "predictability".

    Parameters
    ----------
    weight : float
        Nats of reconstruction per nat of information that the others have about a latent: 1 means the same at every batch size,
        dim and image size.
    penalty : {"nats", "square"}
        "nats" as above: it separates equal latents (r = 1). "square" is r_i^2 itself, whose slope vanishes at r = 1, so that
        equal latents stay equal.
    width, rounds : int, optional
        Hidden units of each g_i, and its steps of Adam (3e-3) for each step of the model: 8 lower LPS further than 2, for twice
        the time. By default 64 and 2 for up to 32 latents, else 8 and 4: with 64 latents of CIFAR-10, in a trial
        with two seeds, 8 and 4 left an LPS of 0.09, and 64 and 2 left 0.08 in 2.3 times the time.
    likelihood : as in `Reconstruction`

    References
    ----------
    After NashAE (Yeats et al. 2022, ECCV), which penalizes the covariance of a latent with its prediction.
    """

    weight: float = parameter(number, 1.0, least=0)
    penalty: str = parameter(choice, "nats", legal=("nats", "square"))
    width: int | None = parameter(whole, None)
    rounds: int | None = parameter(whole, None)
    least_batch = 3

    def check(self, model: object) -> None:
        super().check(model)
        if getattr(model, "dim", 2) < 2:
            raise ValueError("Predictability needs a model of at least 2 latents: a single one has no others to predict it from")

    def companions(self, dim: int) -> dict[str, Companion]:
        width, rounds = (64, 2) if dim <= MANY else (8, 4)
        return {"predictors": Predictors(dim, self.width or width, self.rounds or rounds)}

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        if "predictors" not in companions:
            raise ValueError("Predictability needs its predictors: pass companions=objective.companions(dim)")
        r2 = squared_prediction_correlations(batch.codes, companions["predictors"](batch.codes))
        yield Term("predictability", self.weight, (gaussian_information(r2) if self.penalty == "nats" else r2).sum())
