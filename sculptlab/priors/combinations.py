"""Priors made of others: side by side, mapped, coupled by a copula, or tied to a number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Device, Prior, drawing_device, open_unit
from sculptlab.priors.families import Gaussian, Uniform
from sculptlab.priors.parameters import Moments, nested, numbers, positive_definite, vector
from sculptlab.priors.sources import Samples, as_prior, as_priors
from sculptlab.validation import as_device, as_tensor, check_parameters, describe, finite, number, parameter, widest_dtype


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
        flat = tuple(one for part in parts for one in (part.parts if type(part) is Product else (part,)))
        vars(self).update(dim=sum(part.dim for part in flat), parts=flat)

    def _moments(self) -> Moments:
        means, covariances = zip(*((part.mean, part.covariance) for part in self.parts), strict=True)
        mean = None if any(x is None for x in means) else torch.cat(means)
        return mean, None if any(x is None for x in covariances) else torch.block_diag(*covariances)

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
    matrix, offset : array_like of shape (k, prior.dim), and float or array_like of shape (k,)
        The linear part, and what is added after it.
    """

    dim: int = field(init=False, repr=False)
    prior: Any
    matrix: Any
    offset: Any
    _map: tuple[Tensor, Tensor] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        prior = as_prior(self.prior)
        matrix = numbers("matrix", self.matrix, None, prior.dim)
        offset = vector("offset", self.offset, len(matrix))
        vars(self).update(dim=len(matrix), prior=prior, matrix=nested(matrix), offset=nested(offset), _map=(matrix, offset))

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
        mean, covariance, matrix = self.prior.mean, self.prior.covariance, self._map[0]
        mapped = None if mean is None else self._apply(mean.double())
        return mapped, None if covariance is None else matrix @ covariance.double() @ matrix.T

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return self._apply(self.prior.sample(n, generator, device))

    def _quantile(self, u: Tensor) -> Tensor | None:
        (factor, *others), *_ = self.matrix
        quantile = None if others or factor == 0 else self.prior.icdf(u if factor > 0 else 1 - u)
        return None if quantile is None else factor * quantile + self.offset[0]


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
    _correlation: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        marginals = as_priors("marginals", self.marginals, dim=1)
        dims = [one.dim for one in marginals]
        dim = len(dims)
        if set(dims) != {1} or dim < 2:
            raise ValueError(f"marginals must be at least 2 priors of 1 dimension each, got dimensions {dims}")
        matrix = numbers("correlation", self.correlation)
        if matrix.ndim == 0:
            low = -1 / (dim - 1)
            if not low < matrix < 1:
                raise ValueError(f"correlation must lie between {low:g} and 1 for all pairs of {dim} marginals, got {matrix:g}")
            matrix = matrix.repeat(dim, dim)
        else:
            matrix = positive_definite("correlation", numbers("correlation", matrix, dim, dim))
            if not torch.allclose(matrix.diag(), torch.ones(dim, dtype=torch.float64, device="cpu"), atol=1e-5):
                raise ValueError(f"correlation must have ones on its diagonal, got {nested(matrix.diag())}")
        matrix.fill_diagonal_(1)
        vars(self).update(dim=dim, marginals=marginals, correlation=nested(matrix), _correlation=matrix)

    @cached_property
    def _with_quantiles(self) -> list[Any]:
        """Each marginal, or the draws that stand for it."""
        seed = torch.Generator().manual_seed(0)
        return [one if one.icdf(0.5) is not None else Samples(one.sample(100_000, seed)) for one in self.marginals]

    @property
    def empirical(self) -> tuple[int, ...]:
        """The positions of the marginals whose quantiles are those of draws."""
        return tuple(i for i, (one, used) in enumerate(zip(self.marginals, self._with_quantiles, strict=True)) if one is not used)

    @property
    def rank_correlation(self) -> Tensor:
        """Spearman's correlations (d, d), 6 / pi arcsin(correlation / 2), exact for continuous marginals."""
        return (6 / math.pi * (self._correlation / 2).asin()).float()

    def _moments(self) -> Moments:
        mean, covariance = Product(self._with_quantiles)._moments()
        if covariance is None:
            return mean, None
        for i, j in combinations(range(self.dim), 2):
            kinds = {type(self.marginals[i]), type(self.marginals[j])}
            if kinds not in ({Gaussian}, {Uniform}) and self._correlation[i, j] != 0:
                return mean, None
            correlation = (self.rank_correlation if kinds == {Uniform} else self._correlation)[i, j]
            covariance[i, j] = covariance[j, i] = correlation * (covariance[i, i] * covariance[j, j]).sqrt()
        return mean, covariance

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        g = torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32).to(widest_dtype(device))
        u = open_unit(torch.special.ndtr(g @ torch.linalg.cholesky(self._correlation).T.to(g)))
        return torch.stack([one.icdf(p) for one, p in zip(self._with_quantiles, u.T, strict=True)], 1)


@dataclass(frozen=True)
class Tied(Product):
    """One latent that follows a numeric label, by a Gaussian copula of the two.

    z = Q(Phi(r g + sqrt(1 - r^2) e)) with g = Phi^-1((label - low) / (high - low)), e ~ N(0, 1) and Q the quantiles of the
    marginal. Over labels uniform in [low, high] the latent has exactly the marginal's distribution.

    Parameters
    ----------
    marginal : prior
        Anything that `as_prior` takes, of one dimension and with a formula for its quantiles.
    low, high : float, default 0 and 1
        The least and the greatest label.
    correlation : float, default 0.99
        r, in [-1, 1] and not 0. Where negative, the latent falls with the label; 1 makes it a function of the label.

    Examples
    --------
    >>> Tied(Uniform(1), correlation=1.0).given([0.25, 0.5]).flatten().tolist()
    [-0.8660253882408142, 0.0]
    """

    parts: Sequence[Any] = field(init=False, repr=False)  # the marginal alone, from which `sample` draws
    marginal: Any
    low: float = parameter(number, 0.0)
    high: float = parameter(number, 1.0)
    correlation: float = parameter(number, 0.99)

    def __post_init__(self) -> None:
        check_parameters(self)
        marginal = as_prior(self.marginal, dim=1 if isinstance(self.marginal, str) else None)
        if marginal.dim != 1 or marginal.icdf(0.5) is None:
            raise ValueError(f"marginal must have one dimension and quantiles at hand, got {describe(self.marginal)}")
        number("high", self.high, above=self.low)
        if not 0 < abs(self.correlation) <= 1:
            raise ValueError(f"correlation must lie in [-1, 1] and not be 0, got {self.correlation}")
        vars(self).update(dim=1, parts=(marginal,), marginal=marginal)

    @property
    def rank_correlation(self) -> float:
        """Spearman's correlation of the latent and a label that is uniform in [low, high], 6 / pi arcsin(r / 2)."""
        return 6 / math.pi * math.asin(self.correlation / 2)

    def given(self, labels: Any, generator: Generator | None = None, device: Device | None = None) -> Tensor:
        """Draw one code for each of the labels (n,) in [low, high], float32 (n, 1); the rest is as in `sample`."""
        values = finite("labels", as_tensor("labels", labels).detach())
        if values.ndim != 1 or not len(values):
            raise ValueError(f"labels must have shape (n,) with at least one row, got {tuple(values.shape)}")
        least, greatest = values.min().item(), values.max().item()
        if least < self.low or greatest > self.high:
            raise ValueError(f"labels must lie in [{self.low:g}, {self.high:g}], got [{least:g}, {greatest:g}]")
        place = drawing_device(generator, device)
        noise = torch.randn(len(values), generator=generator, device=place, dtype=torch.float32).to(widest_dtype(place))
        g = torch.special.ndtri(open_unit((values.to(noise) - self.low) / (self.high - self.low)))
        mixed = self.correlation * g + math.sqrt(1 - self.correlation**2) * noise
        return self.marginal.icdf(open_unit(torch.special.ndtr(mixed)))[:, None].to(as_device(device, place), torch.float32)


Prior._affine, Prior._product = Affine, Product
