"""Two-dimensional priors, one of each kind the library has: what a page shows and a study asks for."""

import math

import numpy as np
import torch
from torch import Tensor

from sculptlab.priors import (
    Ball,
    Checkerboard,
    Copula,
    Dirichlet,
    FromImage,
    FromText,
    Gaussian,
    GaussianMixture,
    Grid,
    Laplace,
    Logistic,
    Mixture,
    Moons,
    Prior,
    Ring,
    Samples,
    Simplex,
    Sphere,
    Spirals,
    StudentT,
    SwissRoll,
    Uniform,
    as_prior,
)
from sculptlab.validation import number

BANK = 20_000  # points of the sampled figure of eight: diagnose's tests take disjoint thirds
GAP = 1.0  # between the two squares of `islands`, in units of the codes
SIDE = 1.8
HAND = (1.5, 0.12)  # half the length and half the width of the bar of `ring_with_hand`


def gallery() -> dict[str, Prior]:
    """Each two-dimensional prior of the library by its name: families, shapes, drawings, combinations, other people's."""
    return {
        "Gaussian": Gaussian(2),
        "Gaussian, correlated": Gaussian(covariance=[[1.0, 0.8], [0.8, 1.0]]),
        "Uniform": Uniform(2),
        "Laplace": Laplace(2),
        "Logistic": Logistic(2),
        "StudentT": StudentT(2, df=5),
        "Ball": Ball(2),
        "Sphere": Sphere(2),
        "Ring": Ring(),
        "Moons": Moons(),
        "Spirals": Spirals(),
        "SwissRoll, from above": SwissRoll().affine([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        "Simplex": Simplex(2),
        "Dirichlet": Dirichlet((2.0, 5.0)),
        "GaussianMixture": GaussianMixture(_pentagon(), covariances=0.06),
        "Grid": Grid(2),
        "Checkerboard": Checkerboard(),
        "FromImage": FromImage(heart()),
        "FromText": FromText("MMD"),
        "Samples": Samples(figure_of_eight()),
        "product": Uniform(1) * Laplace(1),
        "mixture": Mixture([Gaussian(2).scaled(0.3), Ring()], weights=[0.3, 0.7]),
        "rotated": Uniform(2).rotated(math.pi / 4),
        "Copula": Copula((Uniform(1), Laplace(1)), correlation=((1.0, 0.7), (0.7, 1.0))),
        "torch": as_prior(torch.distributions.Gumbel(torch.zeros(2), 0.8)),
        "function": as_prior(banana),
        "islands": islands(),
    }


def ring_with_hand(share: float, turn: float) -> Prior:
    """A ring, and in it a bar like the hand of a clock, which holds `share` of the mass and is turned by `turn` radians."""
    if number("share", share, least=0) > 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    length, width = HAND
    hand = (Uniform(1, -length, length) * Uniform(1, -width, width)).rotated(turn)
    return Mixture([Ring(noise=0.06), hand], weights=[1 - share, share])


def islands(gap: float = GAP) -> Prior:
    """Two squares of equal mass with nothing between them for `gap` units of z0: a target in two parts."""
    offset = (number("gap", gap, least=0) + SIDE) / 2
    square = Uniform(2, -SIDE / 2, SIDE / 2)
    return Mixture([square.shifted((-offset, 0.0)), square.shifted((offset, 0.0))])


def heart(size: int = 64) -> np.ndarray:
    """A drawing (size, size), black on white, 1 white: (x^2 + y^2 - 1)^3 <= x^2 y^3."""
    y, x = np.mgrid[1.3 : -1.3 : size * 1j, -1.3 : 1.3 : size * 1j]
    return np.where((x**2 + y**2 - 1) ** 3 <= x**2 * y**3, 0.0, 1.0)


def figure_of_eight(n: int = BANK, seed: int = 0) -> np.ndarray:
    """Points (n, 2) along a lying eight (2 sin t, sin 2t) with a little noise: an array, as another program may leave one."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 2 * np.pi, n)
    return np.stack([1.4 * np.sin(t), np.sin(2 * t)], 1) + 0.08 * rng.normal(size=(n, 2))


def banana(n: int) -> Tensor:
    """Draws (n, 2) of a bent normal, as a person may write it: no generator, torch's own dice."""
    a, b = torch.randn(2, n)
    return torch.stack([a, 0.4 * b + 0.7 * (a**2 - 1)], 1)


def _pentagon() -> tuple[tuple[float, float], ...]:
    angles = [2 * math.pi * k / 5 + math.pi / 2 for k in range(5)]
    return tuple((1.3 * math.cos(angle), 1.3 * math.sin(angle)) for angle in angles)
