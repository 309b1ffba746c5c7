"""The frame that all objectives share: reconstruction plus named, weighted terms; sums, and functions as objectives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from sculptlab.priors import Prior
from sculptlab.training.models import Posterior
from sculptlab.validation import choice

LIKELIHOODS = ("gaussian", "bernoulli")


@dataclass(frozen=True)
class Batch:
    """What an objective sees of one step: images, their posterior (None if deterministic), codes; steps are counted from 0."""

    images: Tensor
    posterior: Posterior | None
    codes: Tensor
    model: Any
    rows: int
    generator: torch.Generator | None
    step: int = 0


class Adversary(nn.Module):
    """A network trained beside the model, on its codes, with its own Adam of this learning rate and these betas."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    rounds: int = 1  # steps of its own for each of the model's

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """What the adversary minimizes, 0-d; codes (n, dim) come without a gradient."""
        raise NotImplementedError


Adversaries = Mapping[str, Adversary]


@dataclass(frozen=True)
class Term:
    """One regularizer of a step: its name in the history, its weight in the loss, its value in nats per image."""

    name: str
    weight: float
    value: Tensor


@dataclass(frozen=True)
class Objective:
    """The base of all objectives: reconstruction plus the terms of `regularizers`. Objectives add up with `+`."""

    likelihood: str = field(default="gaussian", kw_only=True)

    needs_posterior: ClassVar[bool] = False  # whether the encoder must be stochastic
    least_batch: ClassVar[int] = 1  # the fewest rows that its terms are defined for

    def __post_init__(self) -> None:
        choice("likelihood", self.likelihood, LIKELIHOODS)

    def check(self, model: Any) -> None:
        """A ValueError if this objective cannot train `model`."""
        if self.needs_posterior and not getattr(model, "stochastic", False):
            raise ValueError(f"objective {self!r} needs a stochastic encoder: build_autoencoder(..., stochastic=True)")
        if self.likelihood == "bernoulli" and getattr(model, "output", "sigmoid") != "sigmoid":
            raise ValueError("likelihood='bernoulli' needs a decoder with output='sigmoid'")

    def prior_for(self, dim: int) -> Prior | None:
        """The distribution that codes of `dim` latents are pulled towards; None where there is none."""
        return None

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        """The networks to be trained beside the model on codes of `dim` latents, by name."""
        return {}

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        """The terms beside the reconstruction."""
        return ()

    def batch(self, model: Any, images: Tensor, rows: int, generator: torch.Generator | None = None, step: int = 0) -> Batch:
        """Encode `images`, of a data set of `rows`; a stochastic encoder's codes are one draw from each posterior."""
        if not getattr(model, "stochastic", False):
            return Batch(images, None, model.encode(images), model, rows, generator, step)
        posterior = model.posterior(images)
        return Batch(images, posterior, posterior.sample(generator), model, rows, generator, step)

    def terms(self, batch: Batch, adversaries: Adversaries | None = None) -> dict[str, Tensor]:
        """All terms of a step by name, 0-d: "loss" (their weighted sum), "reconstruction", then the regularizers' values."""
        loss = reconstruction = _reconstruction(self.likelihood, batch)
        values: dict[str, Tensor] = {}
        for term in self.regularizers(batch, adversaries or {}):
            loss = loss + term.weight * term.value
            name = term.name if term.name not in values else f"{term.name}_{1 + sum(n.startswith(term.name) for n in values)}"
            values[name] = term.value
        return {"loss": loss, "reconstruction": reconstruction, **values}

    def __add__(self, other: Objective) -> Objective:
        """One reconstruction and the regularizers of both; each relative of the VAE brings its own KL term."""
        if not isinstance(other, Objective) or isinstance(self, Custom) or isinstance(other, Custom):
            raise TypeError(f"objectives add up with objectives; a function holds its own sum. Got {self!r} + {other!r}")
        if self.likelihood != other.likelihood:
            raise ValueError(f"likelihood must be the same in a sum, got {self.likelihood!r} and {other.likelihood!r}")
        return SumObjective((*_parts(self), *_parts(other)), likelihood=self.likelihood)

    def __radd__(self, other: Any) -> Objective:
        """`self` for the 0 that `sum` starts with."""
        return self if other == 0 and isinstance(other, int) else self + other

    def _not_scaled(self, other: Any) -> Any:
        raise TypeError(
            "an objective is not multiplied: its reconstruction counts once, and each term has its own weight, such as "
            f"MMD(prior, weight=200.0) or KL(beta=2.0); got {self!r} and {other!r}"
        )

    __mul__ = __rmul__ = __truediv__ = _not_scaled


def _reconstruction(likelihood: str, batch: Batch) -> Tensor:
    images, model = batch.images, batch.model
    if likelihood == "gaussian":
        return 0.5 * (model.decode(batch.codes) - images).square().sum() / len(images)
    if hasattr(model, "logits"):
        return functional.binary_cross_entropy_with_logits(model.logits(batch.codes), images, reduction="sum") / len(images)
    return functional.binary_cross_entropy(model.decode(batch.codes), images, reduction="sum") / len(images)


@dataclass(frozen=True)
class Custom(Objective):
    """Any function (model, images, generator) -> loss, or -> a mapping of named 0-d tensors with "loss" among them.

    images (b, *image_shape) are a batch in the data's range; the function draws its noise from `generator`.
    """

    function: Callable[[Any, Tensor, torch.Generator | None], Tensor | Mapping[str, Tensor]] | None = None

    def batch(self, model: Any, images: Tensor, rows: int, generator: torch.Generator | None = None, step: int = 0) -> Batch:
        return Batch(images, None, images.new_empty(0, 0), model, rows, generator, step)

    def terms(self, batch: Batch, adversaries: Adversaries | None = None) -> dict[str, Tensor]:
        assert self.function is not None
        result = self.function(batch.model, batch.images, batch.generator)
        values = dict(result) if isinstance(result, Mapping) else {"loss": result}
        loss = values.get("loss")
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            raise TypeError(f"objective must return a 0-d tensor, or a mapping with one called 'loss'; got {result!r}")
        return {name: torch.as_tensor(value) for name, value in values.items()}

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"{getattr(self.function, '__module__', '')}.{name}"


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
class SumObjective(Objective):
    """Objectives added up: the reconstruction once, the regularizers of each. Written `a + b`."""

    parts: tuple[Objective, ...] = ()

    @property
    def least_batch(self) -> int:  # type: ignore[override]  # of an instance here: the largest of the parts
        return max(part.least_batch for part in self.parts)

    @property
    def needs_posterior(self) -> bool:  # type: ignore[override]  # likewise: if one part does
        return any(part.needs_posterior for part in self.parts)

    def check(self, model: Any) -> None:
        for part in self.parts:
            part.check(model)

    def __repr__(self) -> str:
        return " + ".join(repr(part) for part in self.parts)

    def prior_for(self, dim: int) -> Prior | None:
        return next((prior for part in self.parts if (prior := part.prior_for(dim)) is not None), None)

    def adversaries(self, dim: int) -> dict[str, Adversary]:
        return {f"{i}:{name}": a for i, part in enumerate(self.parts) for name, a in part.adversaries(dim).items()}

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        for i, part in enumerate(self.parts):
            own = {name.partition(":")[2]: a for name, a in adversaries.items() if name.startswith(f"{i}:")}
            yield from part.regularizers(batch, own)


def _parts(objective: Objective) -> tuple[Objective, ...]:
    return objective.parts if isinstance(objective, SumObjective) else (objective,)
