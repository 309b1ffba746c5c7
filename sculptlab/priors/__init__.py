"""Priors: distributions that an autoencoder's codes may be given, and how to combine them.

One seed gives the same draws, and ``eval(repr(prior), vars(sculptlab.priors))`` is the same prior, except for arrays of points,
larger images and objects of other libraries, which print in angle brackets.
"""

from sculptlab.priors.base import Prior, Shape
from sculptlab.priors.combinations import Affine, Copula, Product, Tied
from sculptlab.priors.drawings import Checkerboard, Drawing, FromImage, FromText
from sculptlab.priors.families import Gaussian, Grid, Laplace, Logistic, StudentT, Uniform
from sculptlab.priors.mixtures import Conditional, GaussianMixture, Mixture
from sculptlab.priors.shapes import Ball, Curve, Dirichlet, Moons, Ring, Simplex, Sphere, Spirals, SwissRoll
from sculptlab.priors.sources import Drawn, Samples, as_prior

__all__ = [
    "Affine", "Ball", "Checkerboard", "Conditional", "Copula", "Curve", "Dirichlet", "Drawing", "Drawn", "FromImage",
    "FromText", "Gaussian", "GaussianMixture", "Grid", "Laplace", "Logistic", "Mixture", "Moons", "Prior", "Product", "Ring",
    "Samples", "Shape", "Simplex", "Sphere", "Spirals", "StudentT", "SwissRoll", "Tied", "Uniform", "as_prior",
]  # fmt: skip
