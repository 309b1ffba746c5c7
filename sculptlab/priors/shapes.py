"""Shapes: balls, spheres and simplices; curves and sheets with a little noise across them."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from sculptlab.priors.base import Device, Shape, uniforms
from sculptlab.priors.parameters import Moments, isotropic, nested, numbers, weighted_moments
from sculptlab.validation import describe, number, parameter, whole


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
        direction = normalize(torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32))
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
        return normalize(torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32))


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
        alpha = numbers("concentration", self.concentration, None)
        if len(alpha) < 2 or (alpha <= 0).any():
            raise ValueError(f"concentration must be at least two numbers > 0, got {describe(self.concentration)}")
        vars(self).update(dim=len(alpha), concentration=nested(alpha))
        super().__post_init__()

    def _moments(self) -> Moments:
        alpha = torch.tensor(self.concentration, dtype=torch.float64, device="cpu")
        mean = alpha / alpha.sum()
        return mean, (mean.diag() - mean.outer(mean)) / (alpha.sum() + 1)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        # gamma variables divided by their sum, drawn as log G(a) = log G(a + 1) + log(U) / a: those of a small a underflow
        u = uniforms(n, self.dim, generator, device)
        alpha = u.new_tensor(self.concentration).expand_as(u)
        return (torch._standard_gamma(alpha + 1, generator).log() + u.log() / alpha).softmax(1)


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
        from scipy.linalg import helmert  # takes a second to import

        shares = Dirichlet((self.concentration,) * (self.dim + 1))._draw(n, generator, device)
        basis = shares.new_tensor(helmert(self.dim + 1)).T  # orthonormal columns of sum 0
        basis[:, -1] *= -1  # a triangle stands on its side
        return shares @ basis


@dataclass(frozen=True)
class Curve(Shape):
    """Points of a curve or sheet at uniform parameters, plus normal noise in every direction; then standardized.

    Subclasses write `_at`. Mean and covariance are integrals of it, by quadrature that is exact to rounding.

    Parameters
    ----------
    noise : float, default 0.1
        Standard deviation of the noise in textbook units.
    standardize : as in `Shape`
    """

    dim: int = field(default=2, init=False, repr=False)
    noise: float = parameter(number, 0.1, least=0)
    parameters = 1  # 1 for a curve, 2 for a sheet
    branches = 1  # how many curves there are, all equally likely
    nodes = 512  # of the quadrature, for each parameter: exact to rounding for a spiral of 30 turns

    @abstractmethod
    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        """Points (n, dim) at parameters `u` (n, parameters) in [0, 1] of the curves with numbers `branch` (n,)."""

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        u = uniforms(n, self.parameters, generator, device)
        branch = (self.branches * uniforms(n, 1, generator, device)[:, 0]).long()
        noise = torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32)
        return self._at(u, branch) + self.noise * noise

    def _moments(self) -> Moments:
        nodes, weights = (torch.from_numpy(x) for x in _legendre(self.nodes))
        u, w = (torch.cartesian_prod(*[x] * self.parameters).view(-1, self.parameters) for x in ((nodes + 1) / 2, weights / 2))
        first = torch.zeros(len(u), device="cpu", dtype=torch.int64)
        points = torch.cat([self._at(u, first + branch) for branch in range(self.branches)])
        mean, covariance = weighted_moments(points, w.prod(1).repeat(self.branches) / self.branches)
        return mean, covariance + isotropic(self.dim, self.noise**2)[1]


@dataclass(frozen=True)
class Ring(Curve):
    """The unit circle with noise. It has a hole, so no continuous map of a disc onto it is one-to-one.

    Parameters
    ----------
    noise, standardize : as in `Curve`
    """

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        return _polar(2 * math.pi * u[:, 0])


@dataclass(frozen=True)
class Moons(Curve):
    """Two interleaved half circles of radius 1 with noise, as scikit-learn's `make_moons`.

    Parameters
    ----------
    noise, standardize : as in `Curve`
    """

    branches = 2

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        upper = _polar(math.pi * u[:, 0])
        return torch.where(branch[:, None] == 0, upper, upper.new_tensor([1.0, 0.5]) - upper)


@dataclass(frozen=True)
class Spirals(Curve):
    """Spirals r = theta / (2 pi turns) from the origin to radius 1, evenly rotated, with about the same density along each arm.

    Parameters
    ----------
    noise, standardize : as in `Curve`, with a noise of 0.02 by default
    arms, turns : int and float, default 2 and 1.5
        Number of spirals, and turns of each around the origin, at most 30.
    """

    noise: float = parameter(number, 0.02, least=0)
    arms: int = parameter(whole, 2)
    turns: float = parameter(number, 1.5, above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        vars(self)["branches"] = self.arms
        if self.turns > 30:
            raise ValueError(f"turns must be at most 30, got {self.turns}")

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        radius = u[:, 0].sqrt()  # the number of points grows with the radius, as the length of an arm does
        return _polar(2 * math.pi * (self.turns * radius + branch.to(u) / self.arms), radius)


@dataclass(frozen=True)
class SwissRoll(Curve):
    """A sheet rolled up in three dimensions, as scikit-learn's `make_swiss_roll`.

    (t cos t, 21 v, t sin t) with t uniform in [1.5 pi, 4.5 pi] and v uniform in [0, 1].

    Parameters
    ----------
    noise, standardize : as in `Curve`, with a noise of 0.25 by default
    """

    dim: int = field(default=3, init=False, repr=False)
    noise: float = parameter(number, 0.25, least=0)
    parameters, nodes = 2, 64

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        t = 1.5 * math.pi * (1 + 2 * u[:, 0])
        return torch.stack([t * t.cos(), 21 * u[:, 1], t * t.sin()], 1)


@cache  # an eigenvalue problem of the same matrix for every curve
def _legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the quadrature of Gauss and Legendre on [-1, 1], `nodes` of each."""
    return np.polynomial.legendre.leggauss(nodes)


def _polar(angle: Tensor, radius: Tensor | float = 1.0) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
