"""New priors from several: side by side (product), or one or another (mixture)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sculptlab.priors.base import Prior
from sculptlab.priors.draws import Place, chosen, scattered
from sculptlab.priors.parameters import Vector, shares
from sculptlab.priors.sources import as_prior


@dataclass(frozen=True)
class Product(Prior):
    """Independent priors side by side: the dimensions of each after those of the one before it. `a * b` makes it."""

    dim: int = field(init=False, repr=False)
    parts: tuple[Prior, ...]

    def __post_init__(self) -> None:
        parts = priors_of("parts", self.parts)
        flat = tuple(one for part in parts for one in (part.parts if isinstance(part, Product) else (part,)))
        object.__setattr__(self, "parts", flat)
        object.__setattr__(self, "dim", sum(part.dim for part in flat))

    @property
    def mean(self) -> Tensor | None:
        means = [part.mean for part in self.parts]
        known = [mean for mean in means if mean is not None]
        return torch.cat(known) if len(known) == len(means) else None

    @property
    def covariance(self) -> Tensor | None:
        covariances = [part.covariance for part in self.parts]
        known = [covariance for covariance in covariances if covariance is not None]
        return torch.block_diag(*known) if len(known) == len(covariances) else None

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        return torch.cat([part.sample(n, generator, device) for part in self.parts], 1)

    def quantile(self, u: Tensor) -> Tensor | None:
        return self.parts[0].quantile(u)  # asked of one dimension alone, hence of one part


def product(*priors: Any) -> Product:
    """`priors[0] * priors[1] * …`: each anything that `as_prior` takes."""
    return Product(priors)


@dataclass(frozen=True)
class Mixture(Prior):
    """Each draw is one of parts[0], parts[1], …, with probabilities `weights`; all of one dimension."""

    dim: int = field(init=False, repr=False)
    parts: tuple[Prior, ...]
    weights: Vector | None = None

    def __post_init__(self) -> None:
        parts = priors_of("parts", self.parts)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "dim", one_dim("parts", parts))
        object.__setattr__(self, "weights", shares("weights", self.weights, len(parts)))

    @cached_property
    def _weights(self) -> Tensor:
        return torch.tensor(self.weights, dtype=torch.float64)

    @property
    def mean(self) -> Tensor | None:
        return mixed_moments(self.parts, self._weights)[0]

    @property
    def covariance(self) -> Tensor | None:
        return mixed_moments(self.parts, self._weights)[1]

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        return scattered(self.parts, chosen(self._weights, n, generator, device), generator, device)


def mixture(priors: Iterable[Any], weights: Any = None) -> Mixture:
    """One of `priors` for each draw, by `weights` (k,), not negative, of sum 1; None: all as likely.

    >>> mixture([Gaussian(2), Ring()], weights=[0.2, 0.8]).dim
    2
    """
    return Mixture(_sequence("priors", priors), weights)


def one_dim(name: str, parts: Iterable[Prior]) -> int:
    """The dimension that all of `parts` have."""
    dims = [part.dim for part in parts]
    if len(set(dims)) != 1:
        raise ValueError(f"{name} must have one dimension, got {dims}")
    return dims[0]


def mixed_moments(parts: Iterable[Prior], weights: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Mean and covariance of a mixture, by the law of total variance; parts of weight 0 do not count."""
    used = [(weight, part) for weight, part in zip(weights, parts, strict=True) if weight > 0]
    means = [part.mean for _, part in used]
    if any(mean is None for mean in means):
        return None, None
    w = torch.stack([weight for weight, _ in used])
    stack = torch.stack([mean.double() for mean in means if mean is not None])
    mean = w @ stack
    covariances = [part.covariance for _, part in used]
    if any(covariance is None for covariance in covariances):
        return mean.float(), None
    within = torch.stack([covariance.double() for covariance in covariances if covariance is not None])
    off = stack - mean
    return mean.float(), (torch.einsum("k,kij->ij", w, within) + (w[:, None] * off).T @ off).float()


def _sequence(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, Prior | Tensor | str) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of priors, got {given!r}")
    return tuple(given)


def priors_of(name: str, given: Any) -> tuple[Prior, ...]:
    """A list of one or more things that `as_prior` takes, as priors."""
    parts = tuple(as_prior(part) for part in _sequence(name, given))
    if not parts:
        raise ValueError(f"{name} must hold at least one prior, got none")
    return parts
