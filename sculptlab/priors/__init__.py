"""Priors: anything that can be sampled is a shape an autoencoder's codes may be given.

in your units       Gaussian, Uniform, GaussianMixture, Samples: drawn as given
of a textbook       Laplace, Logistic, StudentT; Ball, Sphere, Ring, Moons, Spirals, SwissRoll; Grid, Simplex, Dirichlet;
                    Checkerboard, FromImage, FromText: by default standardized to mean 0 and, by one factor for all dimensions
                    (`.scale`; `.center` is what was subtracted before), a variance of 1 on average over them; `standardize=False`
                    gives the textbook's form
combined            a * b or product(a, b): side by side; mixture([a, b], weights); a.scaled, a.shifted, a.rotated, a.affine,
                    a.standardized(); Copula(marginals, correlation); Conditional({label: prior}).given(labels);
                    Tied(marginal, low, high).given(numbers): one latent that follows a label
from elsewhere      as_prior(torch distribution, array, function or object with sample)

Each has `dim`, `sample(n, generator, device)`, `mean` and `covariance` (None where no formula is at hand), `icdf` (in one
dimension), `scale`, `plot()`. One seed gives the same draws, and `eval(repr(prior), vars(sculptlab.priors))` is the same prior;
only arrays (Samples, larger images) and what as_prior made of other people's objects print in angle brackets. A function with a
name prints as `as_prior(name, …)`, and so can be pasted where that name is known.
"""

from sculptlab.priors.affine import Affine
from sculptlab.priors.base import Prior
from sculptlab.priors.conditional import Conditional, Tied
from sculptlab.priors.curves import Curve, Moons, Ring, Spirals, SwissRoll
from sculptlab.priors.drawings import Checkerboard, Drawing, FromImage, FromText
from sculptlab.priors.families import Gaussian, Grid, Laplace, Logistic, StudentT, Uniform
from sculptlab.priors.mixtures import GaussianMixture, Mixture, mixture
from sculptlab.priors.products import Copula, Product, product
from sculptlab.priors.samples import Samples
from sculptlab.priors.shapes import Ball, Dirichlet, Shape, Simplex, Sphere
from sculptlab.priors.sources import Drawn, as_prior

__all__ = [
    "Affine", "Ball", "Checkerboard", "Conditional", "Copula", "Curve", "Dirichlet", "Drawing", "Drawn", "FromImage",
    "FromText", "Gaussian", "GaussianMixture", "Grid", "Laplace", "Logistic", "Mixture", "Moons", "Prior", "Product", "Ring",
    "Samples", "Shape", "Simplex", "Sphere", "Spirals", "StudentT", "SwissRoll", "Tied", "Uniform", "as_prior", "mixture",
    "product",
]  # fmt: skip
