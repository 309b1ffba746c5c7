"""NashAE: the encoder lowers the covariance of each latent with its prediction from the other latents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.series.rivals.method import of_objective
from sculptlab.training.objectives import Batch, Companion, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.validation import number, parameter, whole


class Predictors(Companion):
    """For each of d latents a network with two hidden layers, SELU, that predicts it from the others, in sigmoid units."""

    learning_rate = 1e-2

    def __init__(self, dim: int, width: int, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds

        def weights(*shape: int) -> nn.Parameter:  # of variance 1 / inputs, for which SELU keeps the variance
            return nn.Parameter(torch.randn(shape, device="cpu", dtype=torch.float32) / shape[-1] ** 0.5)

        def zeros(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape, device="cpu", dtype=torch.float32))

        self.first, self.second, self.last = weights(dim, width, dim), weights(dim, width, width), weights(dim, width)
        self.first_bias, self.second_bias, self.last_bias = zeros(dim, width), zeros(dim, width), zeros(dim)
        self.others = nn.Buffer(1 - torch.eye(dim, device="cpu", dtype=torch.float32), persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        """The predictions (n, d) of codes (n, d)."""
        seen = torch.einsum("nj,ihj->inh", codes, self.first * self.others[:, None])
        hidden = functional.selu(seen + self.first_bias[:, None])
        hidden = functional.selu(torch.baddbmm(self.second_bias[:, None], hidden, self.second.transpose(1, 2)))
        return torch.einsum("inh,ih->ni", hidden, self.last) + self.last_bias

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """Half the mean squared error, summed over latents: each network minimizes its own."""
        z = codes.sigmoid()
        return 0.5 * (self(z) - z).square().mean(0).sum()


def summed_covariance(codes: Tensor, predictions: Tensor) -> Tensor:
    """The sum over latents of the covariance over rows of a latent with its prediction, 0-d, both (n, d)."""
    return ((codes - codes.mean(0)) * (predictions - predictions.mean(0))).mean(0).sum()


@dataclass(frozen=True)
class NashAE(Objective):
    """Reconstruction + weight * sum_i cov(z_i, g_i(z_-i)) of sigmoid codes z; g_i predicts latent i from the others.

    As in the authors' code, the gradient of the covariance reaches the encoder through the inputs of g_i alone, not through z_i.
    The codes that are decoded are sigmoids of what the encoder returns, in (0, 1). In the history: "covariance".

    The paper's loss is (1 - lambda) * (1/2 mean squared error over pixels) + lambda * covariance: `weight` is lambda / (1 -
    lambda) times the number of pixels. Its lambda of 0.008 for dSprites is a weight of 33, for a decoder of variance 1. Width,
    depth, SELU, five steps and the learning rate 0.01 of the predictors are the paper's. It declares no distribution.

    Parameters
    ----------
    weight : float, at least 0
        Nats per image for a covariance of 1; of two sigmoid codes it is at most 1/4.
    width, rounds : int
        Hidden units of each layer of each g_i, and its steps of Adam (0.01) for each step of the model.
    likelihood : as in `Reconstruction`

    References
    ----------
    Yeats, Liu, Womble and Li 2022 (ECCV), arXiv 2209.10677.
    """

    weight: float = parameter(number, 33.0, least=0)
    width: int = parameter(whole, 40)
    rounds: int = parameter(whole, 5)
    least_batch = 2

    def companions(self, dim: int) -> dict[str, Companion]:
        return {"predictors": Predictors(dim, self.width, self.rounds)}

    def decoder_input(self, batch: Batch, companions: Companions) -> Tensor:
        return batch.codes.sigmoid()

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        z = batch.codes.sigmoid()
        yield Term("covariance", self.weight, summed_covariance(z.detach(), companions["predictors"](z)))


NASH_AE = of_objective(
    "NashAE", "predictability", "Yeats et al. 2022 (ECCV), arXiv 2209.10677", None, (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
    lambda w: NashAE(weight=w),
)  # fmt: skip
