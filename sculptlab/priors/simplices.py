"""Shares of a whole: Dirichlet's distribution in its own coordinates, and laid flat as a triangle, a tetrahedron, …"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sculptlab.priors.base import Moments, Shape
from sculptlab.priors.draws import Place, normals, uniforms
from sculptlab.priors.parameters import Vector, nested, numbers, plain
from sculptlab.validation import number


@dataclass(frozen=True)
class Dirichlet(Shape):
    """k shares of a whole with density proportional to prod_i z_i^(concentration_i - 1), in k dimensions, then standardized.

    All shares sum to 1, so the cloud fills k - 1 dimensions and its covariance is singular; with standardize=False the draws are
    the shares themselves. `Simplex` is the same cloud in k - 1 dimensions. concentration: k >= 2 numbers > 0.
    """

    dim: int = field(init=False, repr=False)
    concentration: Vector

    def __post_init__(self) -> None:
        alpha = numbers("concentration", self.concentration, (None,))
        if len(alpha) < 2 or (alpha <= 0).any():
            raise ValueError(f"concentration must be at least two numbers > 0, got {self.concentration}")
        object.__setattr__(self, "concentration", nested(alpha))
        object.__setattr__(self, "dim", len(alpha))
        super().__post_init__()

    def form_moments(self) -> Moments:
        alpha = torch.tensor(self.concentration, dtype=torch.float64)
        mean = alpha / alpha.sum()
        return mean, (mean.diag() - mean.outer(mean)) / (alpha.sum() + 1)

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        return _log_gammas(torch.tensor(self.concentration, dtype=torch.float64), n, generator, device).softmax(1)


@dataclass(frozen=True)
class Simplex(Shape):
    """Dirichlet's distribution with equal concentrations, laid without distortion into `dim` dimensions, then standardized.

    dim 2: a triangle with equal sides, dim 3: a tetrahedron. concentration 1: uniform; below: towards corners and edges.
    """

    concentration: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number("concentration", self.concentration, above=0)
        object.__setattr__(self, "concentration", plain(self.concentration))

    def form_moments(self) -> Moments:
        k = self.dim + 1
        variance = 1 / (k * (k * self.concentration + 1))
        return torch.zeros(self.dim, dtype=torch.float64), variance * torch.eye(self.dim, dtype=torch.float64)

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        alpha = torch.full((self.dim + 1,), self.concentration, dtype=torch.float64)
        shares = _log_gammas(alpha, n, generator, device).softmax(1)
        return shares @ _flat(self.dim).to(shares)


def _flat(dim: int) -> Tensor:
    """(dim + 1, dim) with orthonormal columns, each of sum 0 (Helmert's): shares times it keep their distances."""
    k = torch.arange(1.0, dim + 1, dtype=torch.float64)
    columns = torch.ones(dim + 1, dim, dtype=torch.float64).triu()
    columns[torch.arange(1, dim + 1), torch.arange(dim)] = -k
    columns[:, -1] *= -1  # a triangle stands on its side
    return columns / (k * (k + 1)).sqrt()


def _log_gammas(alpha: Tensor, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
    """(n, k) independent logarithms of gamma variables with shapes alpha (k,), scale 1 (Marsaglia & Tsang 2000).

    Below shape 1, log G(a) = log G(a + 1) + log(U) / a; logarithms, as a small shape's draws are too small for a float.
    Each round proposes for all, so that one decision that rounds differently elsewhere moves one number, not all that follow.
    """
    u = uniforms(n, len(alpha), generator, device)
    alpha = alpha.to(u)
    lift = torch.where(alpha < 1, u.log() / alpha, 0)
    d = torch.where(alpha < 1, alpha + 1, alpha) - 1 / 3
    found, missing = torch.zeros_like(u), torch.ones_like(u, dtype=torch.bool)
    while missing.any():
        x = normals(n, len(alpha), generator, device).to(u)
        cube = ((1 + x / (9 * d).sqrt()) ** 3).clamp(min=0)
        good = uniforms(n, len(alpha), generator, device).log() < x**2 / 2 + d * (1 - cube + cube.log())
        good &= missing & (cube > 0)
        found = torch.where(good, (d * cube).log(), found)
        missing &= ~good
    return found + lift
