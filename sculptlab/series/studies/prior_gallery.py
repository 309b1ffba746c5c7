"""Two-dimensional priors, at least one of each kind in the library, for the figures and studies of page 05."""

import math

import numpy as np
import torch
from torch import Tensor

from sculptlab import priors
from sculptlab.priors import Mixture, Prior, Ring, Uniform, as_prior
from sculptlab.validation import as_seed, number

GAP = 1.0  # between the squares of `two_squares`, in units of the codes
LABELS = {  # in figures, where the name alone does not say which distribution it is
    "FromImage": "heart (FromImage)", "FromText": "MMD (FromText)", "Samples": "figure of eight (Samples)",
    "mixture": "a ring and its center", "function": "banana (function)", "product": "Uniform * Laplace",
    "torch": "Gumbel (torch)", "rotated": "Uniform, rotated by 45°",
    "Sphere": "circle line (Sphere)", "Dirichlet": "segment (Dirichlet)",
}  # fmt: skip


def gallery_priors() -> dict[str, Prior]:
    """Each two-dimensional prior by its name: families, shapes, drawings, combinations, priors from other packages."""
    angles = [2 * math.pi * k / 5 + math.pi / 2 for k in range(5)]
    pentagon = tuple((1.3 * math.cos(angle), 1.3 * math.sin(angle)) for angle in angles)
    return {
        "Gaussian": priors.Gaussian(2),
        "Gaussian, correlated": priors.Gaussian(covariance=[[1.0, 0.8], [0.8, 1.0]]),
        "Uniform": Uniform(2),
        "Laplace": priors.Laplace(2),
        "Logistic": priors.Logistic(2),
        "StudentT": priors.StudentT(2, df=5),
        "Ball": priors.Ball(2),
        "Sphere": priors.Sphere(2),
        "Ring": Ring(),
        "Moons": priors.Moons(),
        "Spirals": priors.Spirals(),
        "SwissRoll, from above": priors.SwissRoll().affine([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        "Simplex": priors.Simplex(2),
        "Dirichlet": priors.Dirichlet((2.0, 5.0)),
        "GaussianMixture": priors.GaussianMixture(pentagon, covariances=0.06),
        "Grid": priors.Grid(2),
        "Checkerboard": priors.Checkerboard(),
        "FromImage": priors.FromImage(heart()),
        "FromText": priors.FromText("MMD"),
        "Samples": priors.Samples(figure_of_eight()),
        "product": Uniform(1) * priors.Laplace(1),
        "mixture": Mixture([priors.Gaussian(2).scaled(0.3), Ring()], weights=[0.3, 0.7]),
        "rotated": Uniform(2).rotated(math.pi / 4),
        "Copula": priors.Copula((Uniform(1), priors.Laplace(1)), correlation=((1.0, 0.7), (0.7, 1.0))),
        "torch": as_prior(torch.distributions.Gumbel(torch.zeros(2, device="cpu", dtype=torch.float32), 0.8)),
        "function": as_prior(banana),
        "two squares": two_squares(),
    }


def ring_with_hand(share: float, turn: float) -> Prior:
    """A ring and in it a bar that holds `share` of the mass and is rotated by `turn` radians, like the hand of a clock."""
    if number("share", share, least=0) > 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    hand = (Uniform(1, -1.5, 1.5) * Uniform(1, -0.12, 0.12)).rotated(turn)
    return Mixture([Ring(noise=0.06), hand], weights=[1 - share, share])


def two_squares(gap: float = GAP) -> Prior:
    """Two squares of side 1.8 and equal mass, side by side, with no mass for `gap` units of z0: a disconnected support."""
    half = 0.9
    offset = number("gap", gap, least=0) / 2 + half
    square = Uniform(2, -half, half)
    return Mixture([square.shifted((-offset, 0.0)), square.shifted((offset, 0.0))])


def heart(size: int = 64) -> np.ndarray:
    """A drawing (size, size) of a black heart on white (1): (x^2 + y^2 - 1)^3 <= x^2 y^3."""
    y, x = np.mgrid[1.3 : -1.3 : size * 1j, -1.3 : 1.3 : size * 1j]
    return np.where((x**2 + y**2 - 1) ** 3 <= x**2 * y**3, 0.0, 1.0)


def figure_of_eight(n: int = 20_000, seed: int = 0) -> np.ndarray:
    """Points (n, 2) along the curve (1.4 sin t, sin 2t) with a little noise: a prior that is given as an array.

    `diagnose` uses three disjoint thirds of the points.
    """
    rng = np.random.default_rng(as_seed("seed", seed))
    t = rng.uniform(0, 2 * np.pi, n)
    return np.stack([1.4 * np.sin(t), np.sin(2 * t)], 1) + 0.08 * rng.normal(size=(n, 2))


def banana(n: int) -> Tensor:
    """Draws (n, 2) of a bent normal: a prior that is given as a function, without a generator."""
    a, b = torch.randn(2, n, device="cpu", dtype=torch.float32)
    return torch.stack([a, 0.4 * b + 0.7 * (a**2 - 1)], 1)
