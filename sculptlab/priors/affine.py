"""Affine maps of a prior, under which mean and covariance follow exactly."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Prior
from sculptlab.priors.parameters import Matrix, Moments, Vector, nested, numbers, vector
from sculptlab.priors.sampling import Device
from sculptlab.priors.sources import as_prior
from sculptlab.validation import whole


@dataclass(frozen=True)
class Affine(Prior):
    """The distribution of matrix z + offset for draws z of a prior.

    Parameters
    ----------
    prior : prior
        Anything that `as_prior` takes.
    matrix : array_like of shape (k, prior.dim)
        The linear part.
    offset : float or array_like of shape (k,)
        Added after it.
    """

    dim: int = field(init=False, repr=False)
    prior: Prior
    matrix: Matrix
    offset: Vector

    def __post_init__(self) -> None:
        prior = as_prior(self.prior)
        matrix = numbers("matrix", self.matrix, (None, prior.dim))
        offset = vector("offset", self.offset, len(matrix))
        vars(self).update(dim=len(matrix), prior=prior, matrix=nested(matrix), offset=nested(offset))

    @cached_property
    def _map(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.matrix, dtype=torch.float64), torch.tensor(self.offset, dtype=torch.float64)

    @property
    def bank(self) -> Tensor | None:
        """All mapped points (m, dim) if the prior is a `Samples`, so that `diagnose` can avoid duplicates; else None."""
        bank, (matrix, offset) = getattr(self.prior, "bank", None), self._map
        return None if bank is None else (bank.double() @ matrix.T + offset).float()

    def affine(self, matrix: Any, offset: Any = 0.0) -> "Affine":
        outer = Affine(self, matrix, offset)  # checks both
        (second, last), (first, middle) = outer._map, self._map
        return Affine(self.prior, nested(second @ first), nested(second @ middle + last))

    def moments(self) -> Moments:
        mean, covariance, (matrix, offset) = self.prior.mean, self.prior.covariance, self._map
        return (
            None if mean is None else matrix @ mean.double() + offset,
            None if covariance is None else matrix @ covariance.double() @ matrix.T,
        )

    def draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        drawn = self.prior.sample(n, generator, device)
        matrix, offset = (part.to(drawn) for part in self._map)
        return drawn @ matrix.T + offset

    def quantile(self, u: Tensor) -> Tensor | None:
        (factor, *others), *_ = self.matrix
        quantile = None if others or factor == 0 else self.prior._icdf(u if factor > 0 else 1 - u)
        return None if quantile is None else factor * quantile + self.offset[0]


def rotation_matrix(angle: Any, plane: Any, dim: int) -> Tensor:
    """The rotation by an angle in radians within a plane of two axes; or `angle` itself, if it is an orthogonal matrix."""
    matrix = numbers("angle", angle)
    if matrix.ndim:
        matrix = numbers("angle", matrix, (dim, dim))
        if not torch.allclose(matrix @ matrix.T, torch.eye(dim, dtype=torch.float64), atol=1e-5):
            raise ValueError("angle must be a number in radians or an orthogonal matrix; for any other matrix use affine(matrix)")
        return matrix
    if not isinstance(plane, tuple | list) or len(plane) != 2:
        raise TypeError(f"plane must be two axes such as (0, 1), got {plane!r}")
    i, j = (whole("plane", axis, least=0) for axis in plane)
    if i == j or max(i, j) >= dim:
        raise ValueError(f"plane must be two different axes of the prior's {dim} dimension(s), got {plane}")
    sine, cosine = math.sin(matrix), math.cos(matrix)
    matrix = torch.eye(dim, dtype=torch.float64)
    matrix[i, i] = matrix[j, j] = cosine
    matrix[j, i], matrix[i, j] = sine, -sine
    return matrix
