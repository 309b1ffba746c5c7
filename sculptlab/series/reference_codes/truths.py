"""The share of one dimension's variance that another explains in the population, by quadrature."""

from collections.abc import Callable

import numpy as np
from scipy import integrate, stats


def rotated_square(cos: float, sin: float) -> tuple[float, float]:
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


def modes_square(centers: np.ndarray, width: float) -> float:
    """R^2 of z_0^2 from z_1 for equally likely normal modes of that width at `centers` (k, 2), with total variance 1."""
    across, along = centers.T

    def integrand(y: float) -> float:
        densities = stats.norm.pdf(y, along, width) / len(centers)
        return float((densities @ (across**2 + width**2)) ** 2 / densities.sum()) if densities.sum() > 0 else 0.0

    reach = along.max() + 10 * width
    explained = integrate.quad(integrand, -reach, reach, points=np.unique(along.round(9)), limit=400)[0] - 1
    fourth = np.mean(across**4 + 6 * across**2 * width**2 + 3 * width**4)
    return float(explained / (fourth - 1))


def scales_square(squared_scales: tuple[float, float], dim: int) -> float:
    """Var E[s^2 | q] / Var z^2 for q = |z_-i|^2, which is s^2 chi^2 with dim - 1 degrees of freedom; E s^2 = 1."""
    scales = np.array(squared_scales)

    def integrand(q: float) -> float:
        densities = stats.chi2.pdf(q / scales, dim - 1) / scales / 2
        return float((densities @ scales) ** 2 / densities.sum()) if densities.sum() > 0 else 0.0

    # with q = r^2 the integrand has no pole at 0
    reach = (scales.max() * stats.chi2.isf(1e-16, dim - 1)) ** 0.5
    explained = integrate.quad(lambda r: 2 * r * integrand(r**2), 0, reach, limit=400)[0] - 1
    return float(explained / (3 * np.mean(scales**2) - 1))
