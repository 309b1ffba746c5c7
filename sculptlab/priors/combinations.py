"""Priors made of others: an affine map of one; several side by side, independent or coupled by a copula."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Prior
from sculptlab.priors.families import Gaussian, Uniform
from sculptlab.priors.parameters import Moments, nested, numbers, positive_definite, vector
from sculptlab.priors.samples import Samples
from sculptlab.priors.sampling import Device, open_unit, widest_dtype
from sculptlab.priors.sources import as_prior, as_priors

STAND_IN_DRAWS = 100_000


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
        means = [part.mean for part in self.parts if part.mean is not None]
        covariances = [part.covariance for part in self.parts if part.covariance is not None]
        return (
            torch.cat(means) if len(means) == len(self.parts) else None,
            torch.block_diag(*covariances) if len(covariances) == len(self.parts) else None,
        )

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return torch.cat([part.sample(n, generator, device) for part in self.parts], 1)

    def _quantile(self, u: Tensor) -> Tensor | None:
        return self.parts[0]._icdf(u)  # asked of one dimension alone, hence of one part


@dataclass(frozen=True)
class Copula(Prior):
    """Chosen marginals coupled by a Gaussian copula: z_j = Q_j(Phi(g_j)) with g ~ N(0, correlation) and quantiles Q_j.

    A marginal without a formula for its quantiles is replaced by 100,000 fixed draws of it; `empirical` lists those. The
    covariance is known where each pair is uncorrelated, both normal or both uniform.

    Parameters
    ----------
    marginals : sequence of priors
        At least two, of one dimension each.
    correlation : float or array_like of shape (d, d)
        Correlation of g: one number for all pairs, or a symmetric positive definite matrix with ones on its diagonal. That of z
        is smaller where marginals are not normal.
    """

    dim: int = field(init=False, repr=False)
    marginals: Sequence[Any]
    correlation: Any

    def __post_init__(self) -> None:
        marginals = as_priors("marginals", self.marginals, dim=1)
        dims = [one.dim for one in marginals]
        if set(dims) != {1} or len(dims) < 2:
            raise ValueError(f"marginals must be at least 2 priors of 1 dimension each, got dimensions {dims}")
        correlation = nested(_correlations(self.correlation, len(marginals)))
        vars(self).update(dim=len(marginals), marginals=marginals, correlation=correlation)

    @cached_property
    def _correlation(self) -> Tensor:
        return torch.tensor(self.correlation, dtype=torch.float64)

    @cached_property
    def _with_quantiles(self) -> list[Prior]:
        """Each marginal, or the draws that stand for it."""
        seed = torch.Generator().manual_seed(0)
        return [one if one.icdf(0.5) is not None else Samples(one.sample(STAND_IN_DRAWS, seed)) for one in self.marginals]

    @property
    def empirical(self) -> tuple[int, ...]:
        """The positions of the marginals whose quantiles are those of draws."""
        return tuple(i for i, (one, used) in enumerate(zip(self.marginals, self._with_quantiles, strict=True)) if one is not used)

    @property
    def rank_correlation(self) -> Tensor:
        """Spearman's correlations (d, d), 6 / pi arcsin(correlation / 2), exact for continuous marginals."""
        return (6 / math.pi * (self._correlation / 2).asin()).float()

    def _moments(self) -> Moments:
        mean, covariance = Product(tuple(self._with_quantiles))._moments()
        if covariance is None:
            return mean, None
        for i, j in torch.combinations(torch.arange(self.dim)).tolist():
            pair = {type(self.marginals[i]), type(self.marginals[j])}
            if pair not in ({Gaussian}, {Uniform}) and self._correlation[i, j] != 0:
                return mean, None
            correlation = (self.rank_correlation if pair == {Uniform} else self._correlation)[i, j]
            covariance[i, j] = covariance[j, i] = correlation * (covariance[i, i] * covariance[j, j]).sqrt()
        return mean, covariance

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        g = torch.randn(n, self.dim, generator=generator, device=device).to(widest_dtype(device))
        u = open_unit(torch.special.ndtr(g @ torch.linalg.cholesky(self._correlation).T.to(g)))
        return torch.stack([one._icdf(p) for one, p in zip(self._with_quantiles, u.T, strict=True)], 1)


def _correlations(given: Any, dim: int) -> Tensor:
    """The correlation matrix (dim, dim), checked."""
    tensor = numbers("correlation", given)
    if tensor.ndim == 0:
        low = -1 / (dim - 1)
        if not low < tensor < 1:
            raise ValueError(f"correlation must lie between {low:g} and 1 for all pairs of {dim} marginals, got {tensor:g}")
        return tensor.repeat(dim, dim).fill_diagonal_(1)
    matrix = positive_definite("correlation", tensor, dim)
    if not torch.allclose(matrix.diag(), torch.ones(dim, dtype=torch.float64), atol=1e-5):
        raise ValueError(f"correlation must have ones on its diagonal, got {nested(matrix.diag())}")
    return matrix.fill_diagonal_(1)


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

    def _moments(self) -> Moments:
        mean, covariance, (matrix, offset) = self.prior.mean, self.prior.covariance, self._map
        return (
            None if mean is None else matrix @ mean.double() + offset,
            None if covariance is None else matrix @ covariance.double() @ matrix.T,
        )

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        drawn = self.prior.sample(n, generator, device)
        matrix, offset = (part.to(drawn) for part in self._map)
        return drawn @ matrix.T + offset

    def _quantile(self, u: Tensor) -> Tensor | None:
        (factor, *others), *_ = self.matrix
        quantile = None if others or factor == 0 else self.prior._icdf(u if factor > 0 else 1 - u)
        return None if quantile is None else factor * quantile + self.offset[0]


Prior._algebra.update(affine=Affine, product=Product)
