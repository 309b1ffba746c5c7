"""Priors: what they draw, what else may be one, and that nothing global moves."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.mixture import GaussianMixture
from torch.distributions import Independent, MultivariateNormal, Normal

from sculptlab import priors
from sculptlab.priors import Conditional, Copula, Gaussian, Prior, Samples, Tied, Uniform, as_prior


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_gaussian_is_the_standard_normal():
    z = Gaussian(3).sample(20_000, seeded()).numpy()
    assert all(stats.kstest(column, "norm").pvalue > 1e-3 for column in z.T)
    assert np.abs(np.corrcoef(z.T) - np.eye(3)).max() < 0.03


def test_uniform_has_unit_variance_in_its_box():
    z = Uniform(2).sample(20_000, seeded()).numpy()
    assert all(stats.kstest(column, stats.uniform(-(3**0.5), 2 * 3**0.5).cdf).pvalue > 1e-3 for column in z.T)
    assert z.var(0) == pytest.approx([1, 1], rel=0.03)
    shifted = Uniform(2, low=5, high=6).sample(500, seeded())
    assert shifted.min() >= 5
    assert shifted.max() <= 6


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**31))
def test_shape_type_and_reproducibility(n, dim, seed):
    for prior in (Gaussian(dim), Uniform(dim), Samples(torch.arange(3.0 * dim).reshape(3, dim))):
        z = prior.sample(n, seeded(seed), device="cpu")
        assert z.shape == (n, dim)
        assert z.dtype == torch.float32
        assert torch.equal(z, prior.sample(n, seeded(seed)))


def test_the_repr_can_be_pasted_back():
    for prior in (Gaussian(4), Uniform(2), Uniform(3, low=-1.0, high=2.5)):
        assert eval(repr(prior)) == prior
    zeros, ones = repr(Samples(torch.zeros(5, 2))), repr(Samples(torch.ones(5, 2)))
    assert zeros.startswith("Samples(<5 x 2 points, crc32 ")
    assert zeros != ones  # a checkpoint tells one bank from another by this


def funnel(n):
    height = torch.randn(n)
    return torch.stack([height, (height / 2).exp() * torch.randn(n)], 1)


def test_the_repr_of_a_function_can_be_pasted_back_also_within_others():
    prior = (as_prior(funnel).scaled(2) * Uniform(1)).rotated(0.3)
    assert "as_prior(funnel, dim=2)" in repr(prior)
    again = eval(repr(prior), {**vars(priors), "funnel": funnel})
    assert torch.equal(again.sample(50, seeded()), prior.sample(50, seeded()))
    assert repr(as_prior(lambda n: torch.randn(n, 2))) == "as_prior(<lambda>, dim=2)"
    assert repr(as_prior(Ring())) == "as_prior(<Ring>, dim=2)"


def test_a_mixture_of_scikit_learn_with_a_random_state_is_drawn_afresh():
    mixture = GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 2)))
    prior = as_prior(mixture)
    assert torch.equal(prior.sample(9, seeded(1)), prior.sample(9, seeded(1)))
    assert not torch.equal(prior.sample(9, seeded(1)), prior.sample(9, seeded(2)))
    assert mixture.random_state == 0


def test_draws_that_do_not_follow_the_seed_are_warned_of():
    with pytest.warns(UserWarning, match="differ from call to call"):
        as_prior(lambda n: np.random.default_rng().normal(size=(n, 2)))
    with pytest.warns(UserWarning, match="are the same at every call"):
        as_prior(lambda n: np.random.default_rng(0).normal(size=(n, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_prior(lambda n: np.zeros((n, 2)))  # a point can do nothing else


def test_without_a_generator_torchs_default_one_is_drawn_from():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = Gaussian(2).sample(4)
        torch.manual_seed(3)
        assert torch.equal(first, torch.randn(4, 2))


class Ring:
    """An object with nothing but `sample(n)`."""

    def sample(self, n):
        angle = torch.rand(n) * 6.283
        return torch.stack([angle.cos(), angle.sin()], 1)


FOREIGN = {
    "independent": lambda: Independent(Normal(torch.zeros(2), torch.ones(2)), 1),
    "normal": lambda: Normal(torch.zeros(2), torch.ones(2)),
    "multivariate": lambda: MultivariateNormal(torch.zeros(2), torch.eye(2)),
    "callable": lambda: lambda n: torch.randn(n, 2),
    "numpy callable": lambda: lambda n: np.random.normal(size=(n, 2)),  # noqa: NPY002
    "generator": lambda: lambda n, generator: torch.randn(n, 2, generator=generator),
    "object": Ring,
    "array": lambda: np.arange(20.0).reshape(10, 2),
    "frame": lambda: pd.DataFrame(np.arange(20.0).reshape(10, 2)),
    "mixture": lambda: GaussianMixture(2, random_state=None).fit(np.random.default_rng(0).normal(size=(50, 2))),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_priors_follow_the_generator_and_leave_the_global_ones_alone(name):
    prior = as_prior(FOREIGN[name](), dim=2)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    first, second = prior.sample(7, seeded(1)), prior.sample(7, seeded(1))
    assert first.shape == (7, 2)
    assert first.dtype == torch.float32
    assert torch.equal(first, second)
    assert not torch.equal(first, prior.sample(7, seeded(2)))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002


def test_a_scalar_distribution_is_a_prior_of_one_dimension():
    z = as_prior(Normal(2.0, 0.1)).sample(1000, seeded())
    assert z.shape == (1000, 1)
    assert z.mean().item() == pytest.approx(2.0, abs=0.02)


def test_a_bank_is_drawn_with_replacement_and_not_shared():
    bank = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    prior = as_prior(bank)
    bank.zero_()
    assert {tuple(row) for row in prior.sample(50, seeded()).tolist()} == {(0.0, 1.0), (2.0, 3.0)}


def test_a_name_is_a_prior_of_the_dimension_that_is_needed():
    assert as_prior("gaussian", dim=3) == Gaussian(3)
    assert as_prior("uniform", 2) == Uniform(2)
    assert Copula(["uniform", "gaussian"], 0.5) == Copula([Uniform(1), Gaussian(1)], 0.5)
    assert Tied("uniform") == Tied(Uniform(1))


def test_a_prior_is_itself():
    prior = Gaussian(2)
    assert as_prior(prior, dim=2) is prior
    assert isinstance(as_prior(Ring()), Prior)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Gaussian(0), ValueError, "dim must be at least 1"),
        (lambda: Gaussian(2.0), TypeError, "dim must be a whole number"),
        (lambda: Uniform(2, low=1.0, high=1.0), ValueError, "high must be > 1"),
        (lambda: Gaussian(2).sample(0), ValueError, "n must be at least 1"),
        (lambda: as_prior(Gaussian(3), dim=2), ValueError, "prior must have 2 dimension"),
        (lambda: as_prior(Gaussian), TypeError, "call it first"),
        (lambda: as_prior("uniform"), ValueError, r"prior 'uniform' needs a number of dimensions here: give Uniform\(dim\)"),
        (lambda: as_prior("unifrom", dim=2), ValueError, "one of .* got 'unifrom'; did you mean 'uniform'"),
        (lambda: as_prior(None), TypeError, "prior must be a name, a Prior"),
        (lambda: as_prior(np.zeros(5)), ValueError, r"prior must have shape \(n, d\)"),
        (lambda: as_prior(np.full((5, 2), np.nan)), ValueError, "prior has 10 value"),
        (lambda: Samples(torch.full((5, 2), 1e39, dtype=torch.float64)), ValueError, "prior has 10 value"),
        (lambda: as_prior(lambda n: torch.randn(n)), ValueError, r"prior's draws must have shape \(n, d\)"),
        (lambda: as_prior(lambda n: torch.randn(3, 2)), ValueError, r"\(8, 2\), got \(3, 2\)"),
        (lambda: as_prior(lambda n: "codes"), TypeError, "prior's draws must be real numbers"),
        (lambda: as_prior(lambda n: torch.full((n, 2), torch.inf)), ValueError, "NaN or infinite"),
        (lambda: as_prior(lambda: torch.randn(8, 2)), TypeError, "prior must be drawn from by n"),
        (lambda: as_prior(stats.expon()), TypeError, "such as lambda n: prior.rvs"),
        (lambda: as_prior(lambda n, rng: torch.randn(n, 2)), TypeError, "prior must be drawn from by n"),
        (lambda: Gaussian(2).sample(3, 0), TypeError, "generator must be a torch.Generator"),
        (lambda: Conditional({0: Gaussian(2)}).given([0], np.random.default_rng(0)), TypeError, "generator must be a torch"),
        (lambda: Tied(Uniform(1)).given([0.5], 0), TypeError, "generator must be a torch.Generator"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
