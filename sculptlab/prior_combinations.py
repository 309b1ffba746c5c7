"""New priors from old ones: side by side (product), one or another (mixture), moved and turned (affine)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sculptlab.prior import Prior
from sculptlab.prior_draws import Place, chosen, scattered
from sculptlab.prior_parameters import Matrix, Vector, nested, numbers, plain, shares, vector
from sculptlab.prior_sources import as_prior
from sculptlab.validation import number, whole


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


@dataclass(frozen=True)
class Affine(Prior):
    """The law of matrix z + offset for draws z of `prior`; matrix (k, prior.dim), offset (k,): mean and covariance follow."""

    dim: int = field(init=False, repr=False)
    prior: Prior
    matrix: Matrix
    offset: Vector

    def __post_init__(self) -> None:
        object.__setattr__(self, "prior", as_prior(self.prior))
        matrix = numbers("matrix", self.matrix, (None, self.prior.dim))
        object.__setattr__(self, "dim", len(matrix))
        object.__setattr__(self, "matrix", nested(matrix))
        object.__setattr__(self, "offset", nested(vector("offset", self.offset, len(matrix))))

    @property
    def bank(self) -> Tensor | None:
        """All points of a mapped bank (m, dim), so that `diagnose` need not draw any of them twice; None of other priors."""
        bank, (matrix, offset) = getattr(self.prior, "bank", None), self._map
        return None if bank is None else (bank.double() @ matrix.T + offset).float()

    @cached_property
    def _map(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.matrix, dtype=torch.float64), torch.tensor(self.offset, dtype=torch.float64)

    @property
    def mean(self) -> Tensor | None:
        mean, (matrix, offset) = self.prior.mean, self._map
        return None if mean is None else (matrix @ mean.double() + offset).float()

    @property
    def covariance(self) -> Tensor | None:
        covariance, (matrix, _) = self.prior.covariance, self._map
        return None if covariance is None else (matrix @ covariance.double() @ matrix.T).float()

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        drawn = self.prior.sample(n, generator, device)
        matrix, offset = (part.to(drawn) for part in self._map)
        return drawn @ matrix.T + offset

    def quantile(self, u: Tensor) -> Tensor | None:
        (factor, *others), *_ = self.matrix
        found = None if others or factor == 0 else self.prior.quantile(u if factor > 0 else 1 - u)
        return None if found is None else factor * found + self.offset[0]


def affine(prior: Prior, matrix: Any, offset: Any) -> Affine:
    """`prior` under z -> matrix z + offset; a map of a map becomes one map."""
    if not isinstance(prior, Affine):
        return Affine(prior, matrix, offset)
    outer = Affine(prior, matrix, offset)  # checks both
    inner, (second, last) = prior._map, outer._map
    return Affine(prior.prior, nested(second @ inner[0]), nested(second @ inner[1] + last))


def scaled(prior: Prior, factor: Any) -> Affine:
    """`prior` stretched by one number, or one for each dimension; none of them 0."""
    factors = vector("factor", factor, prior.dim)
    if (factors == 0).any():
        raise ValueError(f"factor must not be 0, got {factor}")
    return affine(prior, factors.diag(), 0.0)


def rotated(prior: Prior, angle: Any, plane: tuple[int, int]) -> Affine:
    """`prior` turned within a plane of two axes by an angle in radians, or by an orthogonal matrix."""
    angle = plain(angle)
    if not isinstance(angle, int | float):
        turn = numbers("angle", angle, (prior.dim, prior.dim))
        if not torch.allclose(turn @ turn.T, torch.eye(prior.dim, dtype=torch.float64), atol=1e-5):
            raise ValueError("angle must be a number in radians or an orthogonal matrix; for any other matrix use affine(matrix)")
        return affine(prior, turn, 0.0)
    number("angle", angle)
    i, j = (whole("plane", axis, least=0) for axis in plane)
    if i == j or max(i, j) >= prior.dim:
        raise ValueError(f"plane must be two different axes of the prior's {prior.dim} dimension(s), got {plane}")
    turn = torch.eye(prior.dim, dtype=torch.float64)
    turn[i, i] = turn[j, j] = math.cos(angle)
    turn[j, i], turn[i, j] = math.sin(angle), -math.sin(angle)
    return affine(prior, turn, 0.0)


def standardised(prior: Prior) -> Affine:
    """`prior` with mean 0 and, by one factor for all dimensions, a variance of 1 on average over them."""
    mean, covariance = prior.mean, prior.covariance
    if mean is None or covariance is None:
        raise ValueError(f"standardised needs a mean and a covariance by formula; use scaled and shifted on {prior!r}")
    spread = math.sqrt(covariance.double().trace().item() / prior.dim)
    if spread == 0:
        raise ValueError(f"standardised needs a prior that varies, got {prior!r}")
    return affine(prior, torch.eye(prior.dim, dtype=torch.float64) / spread, -mean.double() / spread)


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
