"""Priors made of others: several side by side, or an affine map of one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Device, Prior
from sculptlab.priors.parameters import Moments, nested, numbers, vector
from sculptlab.priors.sources import as_prior, as_priors


@dataclass(frozen=True)
class Product(Prior):
    """Independent priors side by side: the dimensions of each follow those of the one before it. ``a * b`` makes it.

    Parameters
    ----------
    parts : sequence of priors
        Each anything that `as_prior` takes.
    """

    dim: int = field(init=False, repr=False)
    parts: Sequence[Any]

    def __post_init__(self) -> None:
        parts = as_priors("parts", self.parts)
        flat = tuple(one for part in parts for one in (part.parts if isinstance(part, Product) else (part,)))
        vars(self).update(dim=sum(part.dim for part in flat), parts=flat)

    def _moments(self) -> Moments:
        means, covariances = zip(*((part.mean, part.covariance) for part in self.parts), strict=True)
        return (
            None if any(x is None for x in means) else torch.cat(means),
            None if any(x is None for x in covariances) else torch.block_diag(*covariances),
        )

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return torch.cat([part.sample(n, generator, device) for part in self.parts], 1)

    def _quantile(self, u: Tensor) -> Tensor | None:
        return self.parts[0].icdf(u)  # asked of one dimension alone, hence of one part


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
    prior: Any
    matrix: Any
    offset: Any

    def __post_init__(self) -> None:
        prior = as_prior(self.prior)
        matrix = numbers("matrix", self.matrix, None, prior.dim)
        offset = nested(vector("offset", self.offset, len(matrix)))
        vars(self).update(dim=len(matrix), prior=prior, matrix=nested(matrix), offset=offset)

    @cached_property
    def _map(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.matrix, dtype=torch.float64), torch.tensor(self.offset, dtype=torch.float64)

    def _apply(self, z: Tensor) -> Tensor:
        matrix, offset = (part.to(z) for part in self._map)
        return z @ matrix.T + offset

    @property
    def bank(self) -> Tensor | None:
        """All mapped points (m, dim) if the prior is a `Samples`, so that `diagnose` can avoid duplicates; else None."""
        bank = getattr(self.prior, "bank", None)
        return None if bank is None else self._apply(bank.double()).float()

    def affine(self, matrix: Any, offset: Any = 0.0) -> "Affine":
        (second, last), (first, middle) = Affine(self, matrix, offset)._map, self._map
        return Affine(self.prior, nested(second @ first), nested(second @ middle + last))

    def _moments(self) -> Moments:
        mean, covariance, (matrix, offset) = self.prior.mean, self.prior.covariance, self._map
        return (
            None if mean is None else matrix @ mean.double() + offset,
            None if covariance is None else matrix @ covariance.double() @ matrix.T,
        )

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return self._apply(self.prior.sample(n, generator, device))

    def _quantile(self, u: Tensor) -> Tensor | None:
        (factor, *others), *_ = self.matrix
        quantile = None if others or factor == 0 else self.prior.icdf(u if factor > 0 else 1 - u)
        return None if quantile is None else factor * quantile + self.offset[0]


Prior._affine, Prior._product = Affine, Product
