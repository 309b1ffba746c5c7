"""Shapes with a geometry: balls and their surfaces, and curves and sheets with a little noise across them."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sculptlab.priors.base import Moments, Shape
from sculptlab.priors.draws import Place, normals, uniforms
from sculptlab.priors.parameters import plain
from sculptlab.validation import number, whole

NODES = {1: 512, 2: 64}  # of Gauss-Legendre quadrature over the parameters: exact to rounding for 30 turns of a spiral
MOST_TURNS = 30


@dataclass(frozen=True)
class Ball(Shape):
    """Uniform in the unit ball of `dim` dimensions (variance 1 / (dim + 2) each), then standardized."""

    def form_moments(self) -> Moments:
        return torch.zeros(self.dim, dtype=torch.float64), torch.eye(self.dim, dtype=torch.float64) / (self.dim + 2)

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        direction = torch.nn.functional.normalize(normals(n, self.dim, generator, device))
        return direction * uniforms(n, 1, generator, device) ** (1 / self.dim)


@dataclass(frozen=True)
class Sphere(Shape):
    """Uniform on the surface of the unit ball (variance 1 / dim each), then standardized, which makes the radius sqrt(dim)."""

    def form_moments(self) -> Moments:
        return torch.zeros(self.dim, dtype=torch.float64), torch.eye(self.dim, dtype=torch.float64) / self.dim

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        return torch.nn.functional.normalize(normals(n, self.dim, generator, device))


@dataclass(frozen=True)
class Curve(Shape):
    """A point of a curve (or sheet) at uniform parameters, plus normal noise of standard deviation `noise` in every direction.

    Subclasses write `at`; mean and covariance are integrals of it, by quadrature exact to rounding. noise is in the textbook's
    units, before standardizing.
    """

    dim: int = field(default=2, init=False, repr=False)
    noise: float = 0.1
    parameters = 1  # of the curve

    def __post_init__(self) -> None:
        super().__post_init__()
        number("noise", self.noise, least=0)
        object.__setattr__(self, "noise", plain(self.noise))

    @property
    def branches(self) -> int:
        """How many curves there are, all as likely."""
        return 1

    @abstractmethod
    def at(self, u: Tensor, branch: Tensor) -> Tensor:
        """The points (n, dim) at parameters u (n, parameters) in [0, 1] of branches (n,) 0, 1, …"""

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        u = uniforms(n, self.parameters, generator, device)
        branch = (self.branches * uniforms(n, 1, generator, device)[:, 0]).long()
        return self.at(u, branch) + self.noise * normals(n, self.dim, generator, device)

    def form_moments(self) -> Moments:
        u, weights = _quadrature(self.parameters)
        first, second = torch.zeros(self.dim, dtype=torch.float64), torch.zeros(self.dim, self.dim, dtype=torch.float64)
        for branch in range(self.branches):
            points = self.at(u, torch.full((len(u),), branch))
            first += weights @ points / self.branches
            second += (weights[:, None] * points).T @ points / self.branches
        return first, second - first.outer(first) + self.noise**2 * torch.eye(self.dim, dtype=torch.float64)


@dataclass(frozen=True)
class Ring(Curve):
    """The unit circle with noise: it has a hole, so that no continuous map of a disc onto it is one-to-one."""

    def at(self, u: Tensor, branch: Tensor) -> Tensor:
        return _polar(torch.ones_like(u[:, 0]), 2 * math.pi * u[:, 0])


@dataclass(frozen=True)
class Moons(Curve):
    """Two interleaved half circles of radius 1, as scikit-learn's `make_moons`: the second's center lies at (1, 1/2)."""

    @property
    def branches(self) -> int:
        return 2

    def at(self, u: Tensor, branch: Tensor) -> Tensor:
        upper = _polar(torch.ones_like(u[:, 0]), math.pi * u[:, 0])
        return torch.where(branch[:, None] == 0, upper, upper.new_tensor([1.0, 0.5]) - upper)


@dataclass(frozen=True)
class Spirals(Curve):
    """`arms` spirals r = theta / (2 pi turns) from the origin to radius 1, evenly turned, about as dense along each arm."""

    noise: float = 0.02
    arms: int = 2
    turns: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "arms", whole("arms", self.arms))
        if number("turns", self.turns, above=0) > MOST_TURNS:
            raise ValueError(f"turns must be at most {MOST_TURNS}, got {self.turns}")
        object.__setattr__(self, "turns", plain(self.turns))

    @property
    def branches(self) -> int:
        return self.arms

    def at(self, u: Tensor, branch: Tensor) -> Tensor:
        radius = u[:, 0].sqrt()  # as many points at each radius as the arm is long there
        return _polar(radius, 2 * math.pi * (self.turns * radius + branch.to(u) / self.arms))


@dataclass(frozen=True)
class SwissRoll(Curve):
    """A sheet rolled up in three dimensions, (t cos t, 21 v, t sin t) with t uniform in [1.5 pi, 4.5 pi], v in [0, 1].

    As scikit-learn's `make_swiss_roll`; noise in these units.
    """

    dim: int = field(default=3, init=False, repr=False)
    noise: float = 0.25
    parameters = 2

    def at(self, u: Tensor, branch: Tensor) -> Tensor:
        t = 1.5 * math.pi * (1 + 2 * u[:, 0])
        return torch.stack([t * t.cos(), 21 * u[:, 1], t * t.sin()], 1)


def _polar(radius: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def _quadrature(parameters: int) -> tuple[Tensor, Tensor]:
    """Points (m, parameters) in the unit cube and weights (m,) whose sum of f is its integral."""
    x, w = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(NODES[parameters]))
    points = torch.cartesian_prod(*[(x + 1) / 2] * parameters).reshape(-1, parameters)
    weights = torch.cartesian_prod(*[w / 2] * parameters).reshape(-1, parameters).prod(1)
    return points, weights
