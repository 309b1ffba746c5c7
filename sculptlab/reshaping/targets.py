"""The map from a prior to the standard normal distribution: by a formula, by tables of quantiles, or learned from samples."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sculptlab.priors import Affine, Copula, Gaussian, Grid, Laplace, Logistic, Prior, Product, StudentT, Uniform
from sculptlab.reshaping.maps import Blocks, Chain, Columns, Linear, Map
from sculptlab.reshaping.quantiles import Quantiles
from sculptlab.validation import describe

INDEPENDENT = (Grid, Laplace, Logistic, StudentT, Uniform)  # priors whose coordinates are independent and alike
DRAWS = 2**20  # of a prior for a table
LEARNED_DRAWS = 2**17  # of a prior whose map is learned
JITTER = 1e-4  # standard deviations of noise in samples for a table, so that none of them are equal


def map_of(prior: Prior, learn: Callable[[Prior], Map] | None = None, seed: int = 0) -> Map:
    """The map from `prior` to N(0, I), float64.

    It is linear for a Gaussian, and by formulas for independent coordinates whose quantiles have one, and for a `Copula` of
    them. Parts of a `Product` are mapped each by itself. In one and two dimensions every other prior gets a table of
    quantiles; in more, `learn` gives its map.
    """
    if isinstance(prior, Gaussian):
        mean, covariance = prior._moments()
        return Linear(mean, _uncorrelating(covariance))
    if isinstance(prior, Affine):
        matrix, offset = prior._map
        if torch.linalg.matrix_rank(matrix.double()) < len(matrix):
            raise ValueError(f"prior must fill all of its {prior.dim} dimensions, but its matrix has a lower rank: {prior!r}")
        if len(matrix) == prior.prior.dim:
            back = torch.linalg.inv(matrix.double()).T.contiguous()
            return Chain([Linear(offset.double(), back), map_of(prior.prior, learn, seed)])
    if isinstance(prior, Copula):
        marginals = Blocks([map_of(part, learn, seed) for part in prior.marginals], [1] * prior.dim)
        correlation = prior._correlation.double()
        return Chain([marginals, Linear(correlation.new_zeros(prior.dim), _uncorrelating(correlation))])
    if type(prior) is Product:
        return Blocks([map_of(part, learn, seed) for part in prior.parts], [part.dim for part in prior.parts])
    if isinstance(prior, INDEPENDENT) and prior.dim > 1:
        one = map_of(replace(prior, dim=1), learn, seed)
        return Blocks([one] * prior.dim, [1] * prior.dim)
    if prior.dim == 1 and not hasattr(prior, "bank") and prior.icdf(0.5) is not None:
        check_continuous(prior)
        return Quantiles.of_formula(prior)
    if prior.dim > 2:
        if learn is None:
            raise ValueError(
                f"prior must have at most 2 dimensions, or independent parts of them, without learn; got {describe(prior)}"
            )
        return learn(prior)
    drawn = draws(prior, DRAWS, seed)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(drawn.shape, generator=generator, dtype=torch.float64, device="cpu")
    return Quantiles.of_samples(drawn + JITTER * drawn.std(0, correction=0) * noise)


def _uncorrelating(covariance: Tensor) -> Tensor:
    """The matrix A (d, d) for which x A has covariance I if x has `covariance`."""
    return torch.linalg.inv(torch.linalg.cholesky(covariance)).T.contiguous()


def draws(prior: Prior, n: int, seed: int = 0) -> Tensor:
    """`n` draws (n, dim) of a prior, float64, or all points of an array of samples; a ValueError if they repeat each other."""
    check_continuous(prior)
    bank = getattr(prior, "bank", None)
    return (prior.sample(n, torch.Generator().manual_seed(seed)) if bank is None else bank).double().cpu()


def check_continuous(prior: Prior) -> None:
    """Raise ValueError if a column of the prior's draws repeats values, or is an affine function of the others."""
    bank = getattr(prior, "bank", None)
    drawn = prior.sample(4000, torch.Generator().manual_seed(0)) if bank is None else bank
    for i, column in enumerate(drawn.T):
        if (distinct := len(column.unique())) < 0.9 * len(column):
            raise ValueError(
                f"prior must be continuous, but column {i} of {len(column)} of its draws has only {distinct} values: an "
                "invertible map cannot make different codes equal. Add noise to them, as sl.priors.Grid(noise=0.05) does"
            )
    if other := Columns.independent(drawn.double()).other:
        raise ValueError(
            f"prior must fill all of its {prior.dim} dimensions, but column(s) {other} of its draws are determined by others"
        )
