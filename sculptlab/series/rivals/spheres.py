"""Codes on the unit sphere, spread over it by a momentum contrastive loss, or by the MMD as its control."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.priors import Prior, Sphere
from sculptlab.series.rivals.method import Method, of_objective
from sculptlab.training.encodings import encoded_means
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import MMD, Batch, Companion, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.training.run import Run
from sculptlab.validation import number, parameter, whole

if TYPE_CHECKING:
    from sculptlab.series.studies.settings import PreparedImages


@dataclass(frozen=True)
class _OnSphere(Objective):
    """Codes are divided by their length before they are decoded; the prior is uniform on the unit sphere."""

    def prior_for(self, dim: int) -> Prior:
        return Sphere(dim, standardize=False)

    def decoder_input(self, batch: Batch, companions: Companions) -> Tensor:
        return functional.normalize(batch.codes, dim=1)


@dataclass(frozen=True)
class SphereMMD(_OnSphere):
    """Reconstruction + weight * MMD^2(codes / |codes|, uniform on the unit sphere). In the history: "mmd2".

    Parameters
    ----------
    weight : float, at least 0
    likelihood : as in `Reconstruction`

    References
    ----------
    Tolstikhin et al. 2018, arXiv 1711.01558, for the MMD; here the control of `MomentumContrast`.
    """

    weight: float = parameter(number, 100.0, least=0)
    least_batch = 2

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        unit = batch._replace(codes=self.decoder_input(batch, companions))
        return MMD(self.prior_for(batch.codes.shape[1]), self.weight).regularizers(unit, companions)


class MomentumEncoder(Companion):
    """A moving average of the model's weights, and a queue (size, dim) of its latest codes on the sphere."""

    def __init__(self, model: Any, dim: int, size: int, momentum: float) -> None:
        super().__init__()
        self.model, self.momentum = copy.deepcopy(model).requires_grad_(False), momentum
        first = torch.randn(size, dim, device="cpu", dtype=torch.float32)
        self.queue = nn.Buffer(functional.normalize(first, dim=1))
        self.keys: Tensor | None = None  # of the present step, until `refresh` puts them into the queue

    def encode(self, images: Tensor) -> Tensor:
        """The codes (b, dim) of `images` on the sphere, by the averaged weights."""
        with torch.no_grad():
            self.keys = functional.normalize(encoded_means(self.model, images), dim=1)
        return self.keys

    def refresh(self, codes: Tensor, model: Any, generator: torch.Generator | None) -> None:
        for average, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(weight.to(average), 1 - self.momentum)
        if self.keys is not None:
            self.queue.copy_(torch.cat([self.keys.to(self.queue), self.queue])[: len(self.queue)])


def info_nce(queries: Tensor, keys: Tensor, others: Tensor, temperature: float) -> Tensor:
    """-ln exp(q_i . k_i / t) / (exp(q_i . k_i / t) + sum_j exp(q_i . o_j / t)), the mean over rows; all (n, d) of length 1."""
    own = (queries * keys).sum(1, keepdim=True)
    logits = torch.cat([own, queries @ others.T], 1) / temperature
    return (logits.logsumexp(1) - logits[:, 0]).mean()


@dataclass(frozen=True, eq=False)
class MomentumContrast(_OnSphere):
    """Reconstruction + weight * InfoNCE of codes on the unit sphere: a momentum contrastive autoencoder.

    An image's code q is to be near k+, its code by a moving average of the encoder, and far from a queue of such codes k of
    earlier images: -ln exp(q . k+ / t) / (exp(q . k+ / t) + sum_k exp(q . k / t)). Its least value is where codes are uniform on
    the sphere. In the history: "info_nce".

    The paper trains on CelebA and CIFAR-10 with a queue longer than our small sets. Queue, momentum and temperature are ours:
    the average must follow within hundreds of steps.

    Parameters
    ----------
    start : torch.nn.Module
        The untrained model, from whose weights the average starts.
    weight : float, at least 0
    temperature : float, above 0
    momentum : float, at least 0
        Share of the old weights in the average after a step, below 1.
    size : int
        Codes in the queue.
    likelihood : as in `Reconstruction`

    References
    ----------
    Arpit, Bhatnagar, Wang and Xiong 2021, arXiv 2110.10303. He et al. 2020, arXiv 1911.05722, for the momentum encoder.
    """

    start: Any
    weight: float = parameter(number, 10.0, least=0)
    temperature: float = parameter(number, 0.2, above=0)
    momentum: float = parameter(number, 0.99, least=0)
    size: int = parameter(whole, 1024)
    needs_model = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.momentum >= 1:
            raise ValueError(f"momentum must be below 1, got {self.momentum}")

    def __repr__(self) -> str:
        settings = f"temperature={self.temperature:g}, momentum={self.momentum:g}, size={self.size}"
        return f"MomentumContrast(<{type(self.start).__name__}>, weight={self.weight:g}, {settings})"

    def companions(self, dim: int) -> dict[str, Companion]:
        return {"average": MomentumEncoder(self.start, dim, self.size, self.momentum)}

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        average: Any = companions["average"]
        queries, keys = self.decoder_input(batch, companions), average.encode(batch.images)
        yield Term("info_nce", self.weight, info_nce(queries, keys, average.queue, self.temperature))


def trained(images: PreparedImages, weight: float, seed: int) -> Run:
    """A momentum contrastive autoencoder, whose average starts from the same weights as the model."""
    at = images.setting
    start = build_autoencoder(
        "mlp", image_shape=images.training.shape[1:], dim=at.dim, width=at.width, output="linear", seed=seed
    )
    return images.train(MomentumContrast(start, weight), seed)


def _unit_sphere(dim: int) -> Prior:
    return Sphere(dim, standardize=False)


MOMENTUM_CONTRAST = Method(
    "momentum contrastive", "sphere", "Arpit et al. 2021, arXiv 2110.10303", _unit_sphere, (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    trained,
)  # fmt: skip
SPHERE_MMD = of_objective(
    "MMD on the sphere", "sphere", "here: MMD in the place of the contrastive loss", _unit_sphere,
    (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0), lambda w: SphereMMD(weight=w),
)  # fmt: skip
