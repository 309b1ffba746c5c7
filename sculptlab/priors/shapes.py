"""Shapes with textbook units of their own, standardized by default; and the simplest ones: balls, spheres and simplices."""

import math
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from sculptlab.priors.base import Prior
from sculptlab.priors.parameters import Moments, isotropic, nested, numbers
from sculptlab.priors.sampling import Device, uniforms
from sculptlab.validation import flag, number, parameter


@dataclass(frozen=True)
class Shape(Prior):
    """A prior whose textbook form has units of its own; its samples are scale * (textbook draw - center).

    `_draw`, `_moments` and `_quantile` are in textbook units; `sample`, `mean`, `covariance` and `icdf` in the prior's.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    standardize : bool, default True
        Shift to mean 0 and scale, by one factor for all dimensions, to a variance of 1 on average over them, which suits the
        kernels' default scales and keeps angles and proportions. Where there is no variance, `scale` is 1. False keeps the
        textbook units: center 0 and scale 1.
    """

    standardize: bool = field(default=True, kw_only=True, metadata={"check": flag})

    @property
    def scale(self) -> float:
        covariance = self._cached_moments[1]
        return 1.0 if not self.standardize or covariance is None else math.sqrt(self.dim / covariance.trace().item())

    @property
    def center(self) -> Tensor:
        """What is subtracted from the textbook draws before scaling: their mean (dim,) in float64, or zeros."""
        mean = self._cached_moments[0]
        return torch.zeros(self.dim, dtype=torch.float64) if not self.standardize or mean is None else mean

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        """Independent coordinates of one law, by its quantiles."""
        return cast(Tensor, self._quantile(uniforms(n, self.dim, generator, device)))

    def _in_units(self, z: Tensor) -> Tensor:
        return self.scale * (z - self.center.to(z))


@dataclass(frozen=True)
class Ball(Shape):
    """Uniform in the unit ball, with variance 1 / (dim + 2) in each dimension before standardizing.

    Parameters
    ----------
    dim, standardize : as in `Shape`
    """

    def _moments(self) -> Moments:
        return isotropic(self.dim, 1 / (self.dim + 2))

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        direction = normalize(torch.randn(n, self.dim, generator=generator, device=device))
        return direction * uniforms(n, 1, generator, device) ** (1 / self.dim)


@dataclass(frozen=True)
class Sphere(Shape):
    """Uniform on the surface of the unit ball; standardizing makes the radius sqrt(dim).

    Parameters
    ----------
    dim, standardize : as in `Shape`
    """

    def _moments(self) -> Moments:
        return isotropic(self.dim, 1 / self.dim)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return normalize(torch.randn(n, self.dim, generator=generator, device=device))


@dataclass(frozen=True)
class Dirichlet(Shape):
    """Shares of a whole: k positive coordinates of sum 1 with density proportional to prod_i z_i^(concentration_i - 1).

    The draws fill k - 1 of the k dimensions, so the covariance is singular; see `Simplex` for k - 1 coordinates.

    Parameters
    ----------
    concentration : array_like of shape (k,)
        At least two numbers > 0; `dim` is k.
    standardize : as in `Shape`; with False the draws are the shares themselves
    """

    dim: int = field(init=False, repr=False)
    concentration: Any

    def __post_init__(self) -> None:
        alpha = numbers("concentration", self.concentration, (None,))
        if len(alpha) < 2 or (alpha <= 0).any():
            raise ValueError(f"concentration must be at least two numbers > 0, got {self.concentration}")
        vars(self).update(dim=len(alpha), concentration=nested(alpha))
        super().__post_init__()

    def _moments(self) -> Moments:
        alpha = torch.tensor(self.concentration, dtype=torch.float64)
        mean = alpha / alpha.sum()
        return mean, (mean.diag() - mean.outer(mean)) / (alpha.sum() + 1)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return _shares(torch.tensor(self.concentration, dtype=torch.float64), n, generator, device)


@dataclass(frozen=True)
class Simplex(Shape):
    """Dirichlet's distribution with equal concentrations, laid without distortion into `dim` dimensions; then standardized.

    In two dimensions it is an equilateral triangle, in three a regular tetrahedron.

    Parameters
    ----------
    dim, standardize : as in `Shape`
    concentration : float, default 1
        1 is uniform; less moves the mass towards corners and edges.
    """

    concentration: float = parameter(number, 1.0, above=0)

    def _moments(self) -> Moments:
        k = self.dim + 1
        return isotropic(self.dim, 1 / (k * (k * self.concentration + 1)))

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        alpha = torch.full((self.dim + 1,), self.concentration, dtype=torch.float64)
        shares = _shares(alpha, n, generator, device)
        return shares @ _helmert(self.dim).to(shares)


def _helmert(dim: int) -> Tensor:
    """Helmert's matrix (dim + 1, dim): orthonormal columns of sum 0, so that shares times it keep their distances."""
    k = torch.arange(1.0, dim + 1, dtype=torch.float64)
    columns = torch.ones(dim + 1, dim, dtype=torch.float64).triu()
    columns[torch.arange(1, dim + 1), torch.arange(dim)] = -k
    columns[:, -1] *= -1  # a triangle stands on its side
    return columns / (k * (k + 1)).sqrt()


def _shares(alpha: Tensor, n: int, generator: Generator | None, device: Device) -> Tensor:
    """Draws (n, k) of Dirichlet's distribution: gamma variables G(alpha_i) divided by their sum.

    Drawn as log G(a) = log G(a + 1) + log(U) / a, since the draws for a small alpha are too small for a float.
    """
    u = uniforms(n, len(alpha), generator, device)
    alpha = alpha.to(u).expand_as(u)
    return (torch._standard_gamma(alpha + 1, generator).log() + u.log() / alpha).softmax(1)
