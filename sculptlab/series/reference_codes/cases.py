"""Codes whose dependence is known by formula or quadrature: the values that a score of independence must find on them.

Each function of `dim` returns a `ReferenceCode` with mean 0 and variance 1 in every dimension; dimensions that a case does
not need are independent and standard normal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import integrate, stats
from torch import Tensor

from sculptlab.series.reference_codes.mixing import KURTOSIS, MARGINALS, SOURCES, Mixed, draw_marginal, mixed, normal
from sculptlab.validation import as_seed, choice, number, whole

__all__ = [
    "KURTOSIS", "MARGINALS", "SOURCES", "Mixed", "ReferenceCode", "duplicated", "eight_modes", "equicorrelated", "independent",
    "mixed", "parabola", "reference_gallery", "ring", "rotated_gaussian", "rotated_uniform", "scale_mixture", "sign_xor",
]  # fmt: skip

Draw = Callable[[Tensor, torch.Generator], Tensor]
R2 = Sequence[float]
SQUARED_SCALES = (0.1, 1.9)  # of the rows of the scale mixture, equally likely


@dataclass(frozen=True)
class ReferenceCode:
    """A distribution of codes (n, dim) with the R^2 that the best possible regressor reaches on it.

    best   target ("mean": z_i; "square": the squared deviation of z_i from its mean) -> R^2 of each dimension, predicted
           from all the others
    draw   (n, generator) -> codes (n, dim), float64
    """

    name: str
    dim: int
    best: dict[str, tuple[float, ...]] = field(repr=False)
    draw: Callable[[int, torch.Generator], Tensor] = field(repr=False)

    @property
    def truth(self) -> dict[str, float]:
        """The mean of `best` over dimensions, for each target: LPS with the best possible regressor."""
        return {target: float(np.mean(values)) for target, values in self.best.items()}

    def sample(self, n: int, generator: torch.Generator | int = 0) -> Tensor:
        """`n` rows, (n, dim) float32, from a generator or a seed."""
        if not isinstance(generator, torch.Generator):
            generator = torch.Generator().manual_seed(as_seed("generator", generator))
        return self.draw(whole("n", n), generator).float()


def independent(shape: str = "gaussian", dim: int = 6) -> ReferenceCode:
    """Independent dimensions: "gaussian", "uniform", "student" (t with 5 degrees of freedom) or "two modes"."""
    choice("shape", shape, MARGINALS)
    return _code(f"independent {shape}", dim, lambda z, rng: draw_marginal(shape, len(z), dim, rng), normal_first=False)


def rotated_gaussian(dim: int = 6) -> ReferenceCode:
    """Independent normal dimensions after a fixed random rotation, and therefore still independent."""
    rotation = torch.from_numpy(stats.ortho_group.rvs(whole("dim", dim, least=2), random_state=0))
    return _code("rotated gaussian", dim, lambda z, rng: z @ rotation.T)


def rotated_uniform(angle: float = 45.0, dim: int = 6) -> ReferenceCode:
    """Uniform squares, one for each two dimensions, rotated by `angle` degrees; uncorrelated.

    At 45 degrees z_0 given z_1 is uniform on [-h, h] with h = sqrt(6) - |z_1|: R^2 = 0 for the mean, 5/21 for the square.
    An odd last dimension is independent.
    """
    radians = np.deg2rad(number("angle", angle))
    cos, sin, pairs = float(np.cos(radians)), float(np.sin(radians)), whole("dim", dim, least=2) // 2

    def rotate(z: Tensor, rng: torch.Generator) -> Tensor:
        z = draw_marginal("uniform", len(z), dim, rng)
        first, second = z[:, 0 : 2 * pairs : 2].clone(), z[:, 1 : 2 * pairs : 2].clone()
        z[:, 0 : 2 * pairs : 2], z[:, 1 : 2 * pairs : 2] = cos * first - sin * second, sin * first + cos * second
        return z

    mean, square = _rotated_square(cos, sin)
    name = f"uniform turned by {angle:g}°"
    return _code(name, dim, rotate, mean=[mean] * (2 * pairs), square=[square] * (2 * pairs), normal_first=False)


def equicorrelated(rho: float = 0.5, dim: int = 6) -> ReferenceCode:
    """Normal dimensions with correlation `rho` between any two: R^2 = rho^2 (d-1) / (1 + (d-2) rho) for the mean.

    The conditional mean m is normal with variance R^2, so E[z_i^2 | z_-i] = 1 - R^2 + m^2 explains 2 R^4 of Var z_i^2 = 2.
    """
    whole("dim", dim, least=2)
    if not -1 / (dim - 1) < number("rho", rho) < 1:
        raise ValueError(f"rho must lie between -1/(dim-1) = {-1 / (dim - 1):.3g} and 1 for {dim} dimensions, got {rho}")
    r2 = rho**2 * (dim - 1) / (1 + (dim - 2) * rho)
    root = torch.linalg.cholesky(torch.full((dim, dim), float(rho), dtype=torch.float64).fill_diagonal_(1))
    return _code(f"equicorrelated {rho:g}", dim, lambda z, rng: z @ root.T, mean=[r2] * dim, square=[r2**2] * dim)


def duplicated(dim: int = 6) -> ReferenceCode:
    """Normal dimensions of which z_1 is a copy of z_0: R^2 = 1 for both."""
    return _code("duplicated", dim, lambda z, rng: _replaced(z, 1, z[:, 0]), least=2, mean=[1, 1], square=[1, 1])


def parabola(dim: int = 6) -> ReferenceCode:
    """z_1 = (z_0^2 - 1) / sqrt(2): determined by z_0 and uncorrelated with it.

    Given z_1 both signs of z_0 are equally likely, so R^2 = 0 for its mean; its square is a linear function of z_1.
    """
    return _code(
        "parabola", dim, lambda z, rng: _replaced(z, 1, (z[:, 0].square() - 1) / 2**0.5), least=2, mean=[0, 1], square=[1, 1]
    )


def sign_xor(dim: int = 6) -> ReferenceCode:
    """z_2 = |w| sign(z_0 z_1) with w normal: any two of the three are independent, but two determine the sign of the third.

    R^2 = E[|w|]^2 = 2/pi for the mean of each; the sizes are independent, so 0 for the square.
    """
    return _code(
        "three-way sign XOR", dim, lambda z, rng: _replaced(z, 2, z[:, 2].abs() * (z[:, 0] * z[:, 1]).sign()), least=3,
        mean=[2 / np.pi] * 3,
    )  # fmt: skip


def ring(dim: int = 6) -> ReferenceCode:
    """(z_0, z_1) on a circle of radius sqrt(2): z_0 = +-sqrt(2 - z_1^2), so R^2 = 0 for means and 1 for squares."""

    def on_circle(z: Tensor, rng: torch.Generator) -> Tensor:
        angle = 2 * torch.pi * torch.rand(len(z), generator=rng, dtype=torch.float64)
        return _replaced(z, slice(0, 2), 2**0.5 * torch.stack([angle.cos(), angle.sin()], 1))

    return _code("ring", dim, on_circle, least=2, square=[1, 1])


def eight_modes(dim: int = 6) -> ReferenceCode:
    """(z_0, z_1) from eight normal modes on a circle, four of their widths apart: R^2 = 0 for means.

    Given z_1, E z_0^2 = s^2 + sum_k w_k(z_1) m_k^2 with the modes' posterior weights w; its variance is a quadrature.
    """
    width, angles = 0.25, 2 * np.pi * np.arange(8) / 8
    centers = (2 * (1 - width**2)) ** 0.5 * np.stack([np.cos(angles), np.sin(angles)], 1)

    def from_modes(z: Tensor, rng: torch.Generator) -> Tensor:
        chosen = torch.from_numpy(centers)[torch.randint(8, (len(z),), generator=rng)]
        return _replaced(z, slice(0, 2), chosen + width * z[:, :2])

    return _code("eight modes on a ring", dim, from_modes, least=2, square=[_modes_square(centers, width)] * 2)


def scale_mixture(dim: int = 6) -> ReferenceCode:
    """Normal rows, each of one of two scales: E[z_i | z_-i] = 0, but large neighbors make a large z_i likely.

    E[z_i^2 | z_-i] = E[s^2 | z_-i] depends on |z_-i|^2 alone, which given s is s^2 chi^2 with d - 1 degrees of freedom.
    """
    scales = torch.tensor(SQUARED_SCALES, dtype=torch.float64).sqrt()
    square = [_scales_square(SQUARED_SCALES, whole("dim", dim, least=2))] * dim
    return _code("scale mixture", dim, lambda z, rng: z * scales[torch.randint(2, (len(z), 1), generator=rng)], square=square)


def reference_gallery(dim: int = 6) -> list[ReferenceCode]:
    """Every case at `dim` >= 3 dimensions, the independent ones first: to calibrate a score of independence."""
    whole("dim", dim, least=3)
    others = (
        rotated_gaussian, rotated_uniform, equicorrelated, duplicated, parabola, sign_xor, ring, eight_modes, scale_mixture
    )  # fmt: skip
    return [*(independent(shape, dim) for shape in MARGINALS), *(case(dim=dim) for case in others)]


def _replaced(z: Tensor, columns: int | slice, values: Tensor) -> Tensor:
    z[:, columns] = values
    return z


def _code(
    name: str, dim: int, change: Draw, *, least: int = 1, mean: R2 = (), square: R2 = (), normal_first: bool = True
) -> ReferenceCode:
    """A code that `change` makes of normal rows (of empty ones where it draws all itself); R^2 not given are 0."""
    whole("dim", dim, least=least)

    def draw(n: int, rng: torch.Generator) -> Tensor:
        return change(normal(n, dim, rng) if normal_first else torch.empty(n, dim), rng)

    best = {"mean": mean, "square": square}
    padded = {target: (*map(float, values), *[0.0] * (dim - len(values))) for target, values in best.items()}
    return ReferenceCode(name, dim, padded, draw)


def _rotated_square(cos: float, sin: float) -> tuple[float, float]:
    """R^2 of z_0 and of z_0^2 from z_1, for a rotated square of variance 1: given z_1 = y, z_0 is uniform on [low, high].

    The square |s_i| <= sqrt(3) gives |cos z_0 + sin y| <= sqrt(3) and |cos y - sin z_0| <= sqrt(3), and y has the density
    (high - low) / 12. A right angle only exchanges the sides, so cos and sin may be taken >= 0.
    """
    cos, sin, side = abs(cos), abs(sin), 3**0.5
    if min(cos, sin) < 1e-12:
        return 0.0, 0.0

    def squared_moment(moment: Callable[[float, float], float]) -> float:
        def integrand(y: float) -> float:
            low, high = max((-side - sin * y) / cos, (cos * y - side) / sin), min((side - sin * y) / cos, (cos * y + side) / sin)
            return moment(low, high) ** 2 * max(high - low, 0) / 12

        reach, kink = side * (cos + sin), side * abs(cos - sin)
        return integrate.quad(integrand, -reach, reach, points=[-kink, kink], limit=200)[0]

    mean = squared_moment(lambda low, high: (low + high) / 2)
    square = squared_moment(lambda low, high: (low**2 + low * high + high**2) / 3) - 1
    return mean, square / (2 - 1.2 * (cos**4 + sin**4))  # Var z^2 = 2 + excess kurtosis


def _modes_square(centers: np.ndarray, width: float) -> float:
    """R^2 of z_0^2 from z_1 for equally likely normal modes of that width at `centers` (k, 2), with total variance 1."""
    across, along = centers.T

    def integrand(y: float) -> float:
        densities = stats.norm.pdf(y, along, width) / len(centers)
        return float((densities @ (across**2 + width**2)) ** 2 / densities.sum()) if densities.sum() > 0 else 0.0

    reach = along.max() + 10 * width
    explained = integrate.quad(integrand, -reach, reach, points=np.unique(along.round(9)), limit=400)[0] - 1
    fourth = np.mean(across**4 + 6 * across**2 * width**2 + 3 * width**4)
    return float(explained / (fourth - 1))


def _scales_square(squared_scales: tuple[float, float], dim: int) -> float:
    """Var E[s^2 | q] / Var z^2 for q = |z_-i|^2, which is s^2 chi^2 with dim - 1 degrees of freedom; E s^2 = 1."""
    scales = np.array(squared_scales)

    def integrand(q: float) -> float:
        densities = stats.chi2.pdf(q / scales, dim - 1) / scales / 2
        return float((densities @ scales) ** 2 / densities.sum()) if densities.sum() > 0 else 0.0

    # with q = r^2 the integrand has no pole at 0
    reach = (scales.max() * stats.chi2.isf(1e-16, dim - 1)) ** 0.5
    explained = integrate.quad(lambda r: 2 * r * integrand(r**2), 0, reach, limit=400)[0] - 1
    return float(explained / (3 * np.mean(scales**2) - 1))
