"""A prior moved, stretched, turned: affine maps of its draws, under which mean and covariance follow exactly."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sculptlab.priors.base import Prior
from sculptlab.priors.draws import Place
from sculptlab.priors.parameters import Matrix, Vector, nested, numbers, plain, vector
from sculptlab.priors.sources import as_prior
from sculptlab.validation import number, whole


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
    if not isinstance(plane, tuple | list) or len(plane) != 2:
        raise TypeError(f"plane must be two axes such as (0, 1), got {plane!r}")
    i, j = (whole("plane", axis, least=0) for axis in plane)
    if i == j or max(i, j) >= prior.dim:
        raise ValueError(f"plane must be two different axes of the prior's {prior.dim} dimension(s), got {plane}")
    turn = torch.eye(prior.dim, dtype=torch.float64)
    turn[i, i] = turn[j, j] = math.cos(angle)
    turn[j, i], turn[i, j] = math.sin(angle), -math.sin(angle)
    return affine(prior, turn, 0.0)


def standardized(prior: Prior) -> Affine:
    """`prior` with mean 0 and, by one factor for all dimensions, a variance of 1 on average over them."""
    mean, covariance = prior.mean, prior.covariance
    if mean is None or covariance is None:
        raise ValueError(f"standardized needs a mean and a covariance by formula; use scaled and shifted on {prior!r}")
    spread = math.sqrt(covariance.double().trace().item() / prior.dim)
    if spread == 0:
        raise ValueError(f"standardized needs a prior that varies, got {prior!r}")
    return affine(prior, torch.eye(prior.dim, dtype=torch.float64) / spread, -mean.double() / spread)
