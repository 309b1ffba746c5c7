"""FlexAE: the prior is a network of normal noise, and a critic measures its Wasserstein distance to the codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.priors import Prior, as_prior
from sculptlab.priors.base import drawing_device
from sculptlab.series.rivals.method import of_objective
from sculptlab.training.objectives import Batch, Companion, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.validation import number, parameter, whole


def _network(*sizes: int) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them."""
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.ReLU(), nn.Linear(a, b))]
    return nn.Sequential(*layers[1:])


class PriorNetwork(Companion):
    """The prior: a network of noise from N(0, I), which raises what `judge`, the critic, says of its draws."""

    learning_rate, betas = 2e-4, (0.0, 0.9)

    def __init__(self, dim: int, width: int, depth: int, judge: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.dim, self.body, self.judge = dim, _network(dim, *[width] * depth, dim), judge

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """`n` draws (n, dim), on the device of the weights."""
        device = drawing_device(generator, None)
        noise = torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32)
        return self.body(noise.to(next(self.parameters())))

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        return -self.judge(self.sample(len(codes), generator)).mean()


class Critic(Companion):
    """A function f of codes whose mean over codes minus that over draws of the prior is as large as its slope of 1 lets it be."""

    betas = (0.0, 0.9)

    draw: Callable[..., Tensor]  # of the prior

    def __init__(self, dim: int, width: int, depth: int, penalty: float, rounds: int) -> None:
        super().__init__()
        self.penalty, self.rounds = penalty, rounds
        self.body = _network(dim, *[width] * depth, 1)

    def forward(self, codes: Tensor) -> Tensor:
        return self.body(codes.to(next(self.parameters())))[:, 0]  # the model may have another type

    def distance(self, codes: Tensor, drawn: Tensor) -> Tensor:
        """E f(codes) - E f(drawn), 0-d: the Wasserstein-1 distance if f is the best function of slope 1."""
        return self(codes).mean() - self(drawn).mean()

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """Minus the distance, plus the gradient penalty at one point between each code and a draw of the prior."""
        with torch.no_grad():
            drawn = self.draw(len(codes), generator)
        share = torch.rand(len(codes), 1, generator=generator, device=codes.device, dtype=codes.dtype)
        between = torch.lerp(drawn.to(codes), codes, share)
        return self.penalty * gradient_penalty(self, between) - self.distance(codes, drawn)


def gradient_penalty(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """The mean over points (n, d) of (length of the critic's gradient - 1)^2."""
    points = points.detach().requires_grad_()
    slopes = torch.autograd.grad(critic(points).sum(), points, create_graph=True)[0]
    return (torch.linalg.vector_norm(slopes, dim=1) - 1).square().mean()


@dataclass(frozen=True)
class FlexAE(Objective):
    """Reconstruction + weight * (E f(z) - E f(g(n))), n from N(0, I): a Wasserstein distance to a prior that is learned.

    The encoder and the network g minimize the distance, the critic f maximizes it, with a gradient penalty; the prior is the
    distribution of g(n). In the history: "wasserstein".

    The authors' code has four layers of 1024 ReLU units in f and in g and five steps of f for each of g, all with new images. It
    trains for 130,000 steps, with Adam (betas 0 and 0.9) at rates of 0.0001 for f and 0.0002 for g. The encoder has an Adam of
    its own for the distance, at a twentieth of the rate for the reconstruction, in the place of a weight. Here f has a rate of
    0.001, so that it follows within some hundreds of steps; its five steps see the same codes; and the scorecard has two layers
    of 128 units. The smoothing of the decoder between codes, a variant of the authors, is left out.

    Parameters
    ----------
    weight : float, at least 0
        Nats per image for a distance of 1 between the codes and the prior. The scale of both is free.
    width, depth : int
        Units of a hidden layer of f and g, and the number of hidden layers.
    penalty : float, at least 0
        Weight of the gradient penalty in the loss of f.
    rounds : int
        Steps of f for each step of the model.
    likelihood : as in `Reconstruction`

    References
    ----------
    Mondal, Asnani, Singla and Prathosh 2021 (UAI). Gulrajani et al. 2017, arXiv 1704.00028, for the gradient penalty.
    """

    weight: float = parameter(number, 1.0, least=0)
    width: int = parameter(whole, 1024)
    depth: int = parameter(whole, 4)
    penalty: float = parameter(number, 10.0, least=0)
    rounds: int = parameter(whole, 5)

    def companions(self, dim: int) -> dict[str, Companion]:
        critic = Critic(dim, self.width, self.depth, self.penalty, self.rounds)
        prior = PriorNetwork(dim, self.width, self.depth, judge=critic.forward)
        critic.draw = prior.sample
        return {"critic": critic, "prior": prior}

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        prior, critic = companions["prior"], companions["critic"]
        assert isinstance(prior, PriorNetwork)
        assert isinstance(critic, Critic)
        yield Term("wasserstein", self.weight, critic.distance(batch.codes, prior.sample(len(batch.codes), batch.generator)))

    def sampling_prior(self, dim: int, model: Any, companions: Companions) -> Prior:
        return as_prior(companions["prior"], dim)


FLEX_AE = of_objective(
    "FlexAE", "learned prior", "Mondal et al. 2021 (UAI)", None, (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    lambda w: FlexAE(weight=w, width=128, depth=2),
)  # fmt: skip
