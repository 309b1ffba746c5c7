"""FlexAE: the prior is learned, as the output of a generator; a critic measures how far the codes are from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from sculptlab.priors import Prior
from sculptlab.priors.base import Device
from sculptlab.series.rivals.method import of_objective
from sculptlab.training.encodings import placement
from sculptlab.training.objectives import Batch, Companion, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.validation import number, parameter, whole

GRADIENT_PENALTY = 10.0


class GeneratorAndCritic(Companion):
    """A generator, from normal noise (n, dim) to codes (n, dim), and a critic (n, dim) -> (n,) with slopes near 1."""

    betas = (0.0, 0.9)

    def __init__(self, dim: int, width: int, rounds: int) -> None:
        super().__init__()
        self.rounds, self.dim = rounds, dim

        def network(outputs: int) -> nn.Sequential:
            hidden = [nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
            return nn.Sequential(*hidden, nn.Linear(width, outputs))

        self.generator, self.critic = network(dim), network(1)

    def generate(self, n: int, noise: Generator | None) -> Tensor:
        """`n` codes (n, dim) of the generator, with its gradient."""
        device, dtype = placement(self)
        return self.generator(torch.randn(n, self.dim, generator=noise, device=device, dtype=torch.float32).to(dtype))

    def loss(self, codes: Tensor, generator: Generator | None) -> Tensor:
        """The critic's loss with its gradient penalty, plus the generator's, in which the critic is held fixed."""
        made = self.generate(len(codes), generator)
        share = torch.rand(len(codes), 1, generator=generator, device=codes.device, dtype=codes.dtype)
        between = (share * codes + (1 - share) * made.detach()).requires_grad_()
        slopes = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)[0].norm(dim=1)
        distance = self.critic(codes).mean() - self.critic(made.detach()).mean()
        fixed = {name: weight.detach() for name, weight in self.critic.named_parameters()}
        fooled = functional_call(self.critic, fixed, (made,)).mean()
        return -distance + GRADIENT_PENALTY * (slopes - 1).square().mean() - fooled


@dataclass(frozen=True, eq=False)
class Generated(Prior):
    """The distribution of the generator's codes.

    Parameters
    ----------
    dim : int
    network : GeneratorAndCritic
    """

    network: Any

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        noise = torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32)
        with torch.no_grad():
            return self.network.generator(noise.to(*placement(self.network))).to(noise)


@dataclass(frozen=True)
class FlexAE(Objective):
    """Reconstruction + weight * (E c(z) - E c(g(noise))): codes z and the generator's codes are pulled to each other.

    The critic c is trained to raise the difference, with a penalty of 10 on (|slope| - 1)^2 between codes: the difference then
    estimates the Wasserstein-1 distance. The generator g is trained to lower it. The target that the method declares is what g
    makes: any distribution that the encoder and g agree on. In the history: "wasserstein".

    In the paper each network has an optimizer of its own, the generator's and the critic's four layers have 1,024 units, and one
    step of the encoder with a tenth of the critic's learning rate follows several of the critic. Here generator and critic share
    an Adam (1e-3, betas 0 and 0.9), which takes `rounds` steps for each step of the model, have three layers of `width` units,
    and the encoder's term is part of the model's loss. The version with a second critic on images (FlexAE-SR) is left out.

    Parameters
    ----------
    weight : float, at least 0
        Nats per image for a distance of 1, in units of the codes.
    width, rounds : int
    likelihood : as in `Reconstruction`

    References
    ----------
    Mondal, Asnani, Singla and Prathosh 2021 (UAI), "FlexAE: flexibly learning latent priors for Wasserstein auto-encoders".
    """

    weight: float = parameter(number, 1.0, least=0)
    width: int = parameter(whole, 128)
    rounds: int = parameter(whole, 3)

    def companions(self, dim: int) -> dict[str, Companion]:
        return {"networks": GeneratorAndCritic(dim, self.width, self.rounds)}

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        networks: Any = companions["networks"]
        made = networks.generate(len(batch.codes), batch.generator)
        yield Term("wasserstein", self.weight, networks.critic(batch.codes).mean() - networks.critic(made).mean())

    def sampling_prior(self, dim: int, model: Any, companions: Companions) -> Prior:
        return Generated(dim, companions["networks"])


FLEX_AE = of_objective(
    "FlexAE", "learned prior", "Mondal et al. 2021 (UAI)", None, (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), lambda w: FlexAE(weight=w)
)
