"""Codes whose dependence is known: what a score of independence must say of them, by formula rather than by another score.

Each case is a function `case(dim=…) -> ReferenceCode`; all have mean 0 and variance 1 in every dimension, and dimensions
that a case does not need are independent standard normal ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.stats import ortho_group

from sculptlab.series.reference_codes.mixing import KURTOSIS, MARGINALS, SOURCES, Mixed, marginal, mixed, normal
from sculptlab.series.reference_codes.truths import modes_square, scales_square, turned_square
from sculptlab.validation import choice, number, whole

__all__ = [
    "KURTOSIS", "MARGINALS", "SOURCES", "Mixed", "ReferenceCode", "duplicated", "eight_modes", "equicorrelated", "gallery",
    "independent", "mixed", "parabola", "ring", "rotated_gaussian", "rotated_uniform", "scale_mixture", "sign_xor",
]  # fmt: skip

Draw = Callable[[int, torch.Generator], torch.Tensor]
RING = 8  # modes on the ring
RING_WIDTH = 0.25  # of each mode; neighbors are four widths apart
SCALES = (0.1, 1.9)  # the squared scales of the scale mixture's rows, equally likely


@dataclass(frozen=True)
class ReferenceCode:
    """A distribution of codes (n, dim) with the R^2 that an unlimited regressor, and the best linear one, reach on it.

    best, linear: target ("mean": z_i; "square": the squared deviation of z_i from its mean) -> the population R^2 of each
    dimension from all the others. `truth` holds the mean of `best` over dimensions, what a perfect score would say.
    """

    name: str
    dim: int
    best: dict[str, tuple[float, ...]] = field(repr=False)
    linear: dict[str, tuple[float, ...]] = field(repr=False)
    draw: Draw = field(repr=False)

    @property
    def truth(self) -> dict[str, float]:
        """The mean over dimensions of the R^2 that the best possible regressor reaches, for the two targets."""
        return {target: float(np.mean(values)) for target, values in self.best.items()}

    @property
    def linear_truth(self) -> dict[str, float]:
        """The mean over dimensions of the R^2 that the best linear regressor reaches, for the two targets."""
        return {target: float(np.mean(values)) for target, values in self.linear.items()}

    def sample(self, n: int, generator: torch.Generator | int = 0) -> torch.Tensor:
        """`n` rows, (n, dim) float32, from a generator or a seed."""
        if not isinstance(generator, torch.Generator):
            generator = torch.Generator().manual_seed(whole("generator", generator, least=0))
        return self.draw(whole("n", n), generator).float()


def independent(shape: str = "gaussian", dim: int = 6) -> ReferenceCode:
    """Independent dimensions: "gaussian", "uniform", "student" (t with 5 degrees of freedom) or "two modes" on every axis."""
    choice("shape", shape, MARGINALS)
    return _case(f"independent {shape}", dim, lambda n, rng: marginal(shape, n, whole("dim", dim), rng))


def rotated_gaussian(dim: int = 6) -> ReferenceCode:
    """Independent normal dimensions after a fixed random rotation: still independent, whatever became of the axes."""
    whole("dim", dim, least=2)
    turn = torch.from_numpy(ortho_group.rvs(dim, random_state=0))
    return _case("rotated gaussian", dim, lambda n, rng: normal(n, dim, rng) @ turn.T)


def rotated_uniform(angle: float = 45.0, dim: int = 6) -> ReferenceCode:
    """Uniform squares, one for each two dimensions, turned by `angle` degrees: uncorrelated, and at 45 invisible to means.

    At 45 degrees z_0 given z_1 is uniform on [-h, h] with h = sqrt(6) - |z_1|, whence R^2 = 0 for the mean and 5/21 for
    the square. An odd last dimension is independent.
    """
    whole("dim", dim, least=2)
    radians = np.deg2rad(number("angle", angle))
    cos, sin = float(np.cos(radians)), float(np.sin(radians))
    values = turned_square(cos, sin)
    pairs = dim // 2

    def draw(n: int, rng: torch.Generator) -> torch.Tensor:
        z = marginal("uniform", n, dim, rng)
        first, second = z[:, 0 : 2 * pairs : 2].clone(), z[:, 1 : 2 * pairs : 2].clone()
        z[:, 0 : 2 * pairs : 2], z[:, 1 : 2 * pairs : 2] = cos * first - sin * second, sin * first + cos * second
        return z

    best = {target: (value,) * (2 * pairs) for target, value in values.items()}
    return _case(f"uniform turned by {angle:g}°", dim, draw, best=best)


def equicorrelated(rho: float = 0.5, dim: int = 6) -> ReferenceCode:
    """Normal dimensions with the correlation `rho` between any two: R^2 = rho^2 (d-1) / (1 + (d-2) rho), linear.

    The conditional mean m is normal with variance R^2, so E[z_i^2 | z_-i] = 1 - R^2 + m^2 explains 2 R^4 of Var z_i^2 = 2.
    """
    whole("dim", dim, least=2)
    if not -1 / (dim - 1) < number("rho", rho) < 1:
        raise ValueError(f"rho must lie between -1/(dim-1) = {-1 / (dim - 1):.3g} and 1 for {dim} dimensions, got {rho}")
    r2 = rho**2 * (dim - 1) / (1 + (dim - 2) * rho)
    root = torch.linalg.cholesky(torch.full((dim, dim), float(rho), dtype=torch.float64).fill_diagonal_(1))
    return _case(
        f"equicorrelated {rho:g}",
        dim,
        lambda n, rng: normal(n, dim, rng) @ root.T,
        best={"mean": (r2,) * dim, "square": (r2**2,) * dim},
        linear={"mean": (r2,) * dim},
    )


def duplicated(dim: int = 6) -> ReferenceCode:
    """Normal dimensions of which z_1 is a copy of z_0: R^2 = 1 for both, with any regressor."""

    def draw(n: int, rng: torch.Generator) -> torch.Tensor:
        z = normal(n, dim, rng)
        z[:, 1] = z[:, 0]
        return z

    return _case("duplicated", dim, draw, least=2, best={"mean": (1, 1), "square": (1, 1)}, linear={"mean": (1, 1)})


def parabola(dim: int = 6) -> ReferenceCode:
    """z_1 = (z_0^2 - 1) / sqrt(2): z_1 is certain given z_0, and uncorrelated with it.

    Given z_1 the sign of z_0 is a coin's, so R^2 = 0 for its mean; its square is z_1 itself but for scale, a line.
    """

    def draw(n: int, rng: torch.Generator) -> torch.Tensor:
        z = normal(n, dim, rng)
        z[:, 1] = (z[:, 0].square() - 1) / 2**0.5
        return z

    return _case("parabola", dim, draw, least=2, best={"mean": (0, 1), "square": (1, 1)}, linear={"square": (1, 0)})


def sign_xor(dim: int = 6) -> ReferenceCode:
    """z_2 = |w| sign(z_0 z_1): any two of the three are independent, and the third's sign is certain given both.

    R^2 = E[|w|]^2 = 2/pi for the mean of each; sizes are independent, so 0 for the square.
    """

    def draw(n: int, rng: torch.Generator) -> torch.Tensor:
        z = normal(n, dim, rng)
        z[:, 2] = z[:, 2].abs() * (z[:, 0] * z[:, 1]).sign()
        return z

    return _case("three-way sign XOR", dim, draw, least=3, best={"mean": (2 / np.pi,) * 3})


def ring(dim: int = 6) -> ReferenceCode:
    """(z_0, z_1) on a circle of radius sqrt(2): given one the other is +-sqrt(2 - z^2), so R^2 = 0 for means, 1 for squares."""

    def draw(n: int, rng: torch.Generator) -> torch.Tensor:
        z = normal(n, dim, rng)
        turn = 2 * torch.pi * torch.rand(n, generator=rng, dtype=torch.float64)
        z[:, :2] = 2**0.5 * torch.stack([turn.cos(), turn.sin()], 1)
        return z

    return _case("ring", dim, draw, least=2, best={"square": (1, 1)})


def eight_modes(dim: int = 6) -> ReferenceCode:
    """(z_0, z_1) from eight normal modes on a circle, a prior that one might well choose: R^2 = 0 for means.

    Given z_1, E z_0^2 = s^2 + sum_k w_k(z_1) m_k^2 with the modes' posterior weights w; its variance is a quadrature.
    """
    radius = (2 * (1 - RING_WIDTH**2)) ** 0.5
    turns = 2 * np.pi * np.arange(RING) / RING
    middles = radius * np.stack([np.cos(turns), np.sin(turns)], 1)

    def draw(n: int, rng: torch.Generator) -> torch.Tensor:
        z = normal(n, dim, rng)
        chosen = torch.from_numpy(middles)[torch.randint(RING, (n,), generator=rng)]
        z[:, :2] = chosen + RING_WIDTH * z[:, :2]
        return z

    value = modes_square(middles, RING_WIDTH)
    return _case("eight modes on a ring", dim, draw, least=2, best={"square": (value, value)})


def scale_mixture(dim: int = 6) -> ReferenceCode:
    """Normal rows, each of the one or the other scale: E[z_i | z_-i] = 0, but large neighbors announce a large z_i.

    E[z_i^2 | z_-i] = E[s^2 | z_-i] depends on |z_-i|^2 alone, which given s is s^2 chi^2 with d - 1 degrees of freedom.
    """
    scales = torch.tensor(SCALES, dtype=torch.float64).sqrt()

    def draw(n: int, rng: torch.Generator) -> torch.Tensor:
        return normal(n, dim, rng) * scales[torch.randint(2, (n, 1), generator=rng)]

    whole("dim", dim, least=2)
    return _case("scale mixture", dim, draw, best={"square": (scales_square(SCALES, dim),) * dim})


def gallery(dim: int = 6) -> list[ReferenceCode]:
    """Every case at `dim` >= 3 dimensions, the independent ones first: a strip to calibrate a score by."""
    whole("dim", dim, least=3)
    return [
        *(independent(shape, dim) for shape in MARGINALS),
        *(case(dim=dim) for case in (rotated_gaussian, rotated_uniform, equicorrelated, duplicated, parabola)),
        *(case(dim=dim) for case in (sign_xor, ring, eight_modes, scale_mixture)),
    ]


def _case(
    name: str,
    dim: int,
    draw: Draw,
    *,
    least: int = 1,
    best: dict[str, tuple[float, ...]] | None = None,
    linear: dict[str, tuple[float, ...]] | None = None,
) -> ReferenceCode:
    """A case whose R^2 are those given for the first dimensions, and 0 for all that is not given."""
    whole("dim", dim, least=least)

    def filled(given: dict[str, tuple[float, ...]] | None) -> dict[str, tuple[float, ...]]:
        values = {target: tuple(float(value) for value in (given or {}).get(target, ())) for target in ("mean", "square")}
        return {target: known + (0.0,) * (dim - len(known)) for target, known in values.items()}

    return ReferenceCode(name, dim, filled(best), filled(linear), draw)
