"""Curves and sheets with a little noise across them: a ring, moons, spirals, a Swiss roll."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor

from sculptlab.priors.parameters import Moments, isotropic, weighted_moments
from sculptlab.priors.sampling import Device, uniforms
from sculptlab.priors.shapes import Shape
from sculptlab.validation import number, parameter, whole

QUADRATURE_NODES = {1: 512, 2: 64}  # by number of parameters; 512 are exact to rounding for a spiral of 30 turns
MOST_TURNS = 30


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

    @property
    def branches(self) -> int:
        """How many curves there are, all equally likely."""
        return 1

    @abstractmethod
    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        """Points (n, dim) at parameters `u` (n, parameters) in [0, 1] of the curves with numbers `branch` (n,)."""

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        u = uniforms(n, self.parameters, generator, device)
        branch = (self.branches * uniforms(n, 1, generator, device)[:, 0]).long()
        return self._at(u, branch) + self.noise * torch.randn(n, self.dim, generator=generator, device=device)

    def _moments(self) -> Moments:
        nodes, weights = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(QUADRATURE_NODES[self.parameters]))
        u = torch.cartesian_prod(*[(nodes + 1) / 2] * self.parameters).reshape(-1, self.parameters)
        w = torch.cartesian_prod(*[weights / 2] * self.parameters).reshape(-1, self.parameters).prod(1)
        points = torch.cat([self._at(u, torch.full((len(u),), branch)) for branch in range(self.branches)])
        mean, covariance = weighted_moments(points, w.repeat(self.branches) / self.branches)
        return mean, covariance + isotropic(self.dim, self.noise**2)[1]


@dataclass(frozen=True)
class Ring(Curve):
    """The unit circle with noise. It has a hole, so no continuous map of a disc onto it is one-to-one.

    Parameters
    ----------
    noise, standardize : as in `Curve`
    """

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        return _polar(torch.ones_like(u[:, 0]), 2 * math.pi * u[:, 0])


@dataclass(frozen=True)
class Moons(Curve):
    """Two interleaved half circles of radius 1 with noise, as scikit-learn's `make_moons`.

    Parameters
    ----------
    noise, standardize : as in `Curve`
    """

    branches = 2

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        upper = _polar(torch.ones_like(u[:, 0]), math.pi * u[:, 0])
        return torch.where(branch[:, None] == 0, upper, upper.new_tensor([1.0, 0.5]) - upper)


@dataclass(frozen=True)
class Spirals(Curve):
    """Spirals r = theta / (2 pi turns) from the origin to radius 1, evenly rotated, with about the same density along each arm.

    Parameters
    ----------
    noise, standardize : as in `Curve`, with a noise of 0.02 by default
    arms : int, default 2
        Number of spirals.
    turns : float, default 1.5
        Turns of each around the origin, at most 30.
    """

    noise: float = parameter(number, 0.02, least=0)
    arms: int = parameter(whole, 2)
    turns: float = parameter(number, 1.5, above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.turns > MOST_TURNS:
            raise ValueError(f"turns must be at most {MOST_TURNS}, got {self.turns}")

    @property
    def branches(self) -> int:
        return self.arms

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        radius = u[:, 0].sqrt()  # the number of points grows with the radius, as the length of an arm does
        return _polar(radius, 2 * math.pi * (self.turns * radius + branch.to(u) / self.arms))


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
    parameters = 2

    def _at(self, u: Tensor, branch: Tensor) -> Tensor:
        t = 1.5 * math.pi * (1 + 2 * u[:, 0])
        return torch.stack([t * t.cos(), 21 * u[:, 1], t * t.sin()], 1)


def _polar(radius: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
