"""Priors combined: products, mixtures, maps, copulas, labels; and random expressions of them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.distributions import (
    Beta,
    Categorical,
    Cauchy,
    Dirichlet,
    Exponential,
    Gamma,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Poisson,
    VonMises,
)
from torch.distributions import Laplace as TorchLaplace
from torch.distributions import StudentT as TorchStudentT

from sculptlab import priors
from sculptlab.priors import (
    Affine,
    Ball,
    Conditional,
    Copula,
    Gaussian,
    Grid,
    Laplace,
    Logistic,
    Mixture,
    Moons,
    Product,
    Ring,
    Samples,
    StudentT,
    Uniform,
    as_prior,
)

N = 20_000
LIMIT = 5 / math.sqrt(N)  # five standard errors of a correlation of independent columns


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(prior, n=N, seed=0):
    return prior.sample(n, seeded(seed)).double().numpy()


def fits(values, law):
    return stats.kstest(values, law).pvalue > 1e-3


# products


def test_a_product_puts_independent_priors_side_by_side():
    prior = Uniform(1) * Gaussian(2) * Ring(noise=0)
    assert prior.dim == 5
    assert len(prior.parts) == 3
    rows = draws(prior)
    assert fits(rows[:, 0], stats.uniform(-(3**0.5), 2 * 3**0.5).cdf)
    assert fits(rows[:, 1], "norm")
    assert np.hypot(*rows[:, 3:].T) == pytest.approx(2**0.5, rel=1e-5)
    for shaped in (rows, rows**2):
        between = np.corrcoef(shaped.T)
        between[3:, 3:] = np.eye(2)  # the two of the ring depend on each other
        assert np.abs(between - np.eye(5)).max() < LIMIT
    assert torch.allclose(prior.covariance, torch.eye(5))


def test_products_are_associative_and_take_whatever_can_be_sampled():
    a, b, c = Uniform(1), Ring(), Gaussian(1)
    assert (a * b) * c == a * (b * c) == Product([a, b, c])
    normal, bank = Normal(3.0, 0.1), np.arange(6.0).reshape(3, 2)
    for prior in (as_prior(normal) * b, normal * b, Product([normal, b])):
        assert prior.sample(500, seeded())[:, 0].mean().item() == pytest.approx(3, abs=0.05)
    assert (bank * b).dim == (b * bank).dim == 4
    assert torch.equal((b * bank).sample(5, seeded()), (b * bank).sample(5, seeded()))
    assert ((lambda n: torch.zeros(n, 3)) * b).dim == 5
    with pytest.raises(TypeError, match=r"got the number 2; .*prior.scaled\(2\)"):
        2 * b
    with pytest.raises(ValueError, match=r"prior must be one of \['gaussian', 'uniform'\], got 'ring'"):
        b * "ring"


def test_torch_distributions_say_what_torch_knows():
    assert as_prior(Normal(2.0, 3.0)).covariance.tolist() == [[9.0]]
    assert as_prior(Normal(torch.zeros(2), torch.tensor([1.0, 2.0]))).covariance.tolist() == [[1, 0], [0, 4]]
    assert as_prior(Independent(Normal(torch.zeros(2), torch.ones(2)), 1)).covariance.tolist() == [[1, 0], [0, 1]]
    full = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    assert torch.allclose(as_prior(MultivariateNormal(torch.ones(2), full)).covariance, full)
    assert as_prior(Dirichlet(torch.ones(3))).mean.tolist() == pytest.approx([1 / 3] * 3)
    assert as_prior(Dirichlet(torch.ones(3))).covariance is None  # torch knows the variances alone
    assert as_prior(Cauchy(0.0, 1.0)).mean is None
    assert as_prior(lambda n: torch.zeros(n, 1)).mean is None
    assert as_prior(lambda n: torch.zeros(n, 1)).icdf([0.5]) is None


@pytest.mark.parametrize(
    "theirs",
    [
        Beta(2.0, 3.0),
        Gamma(2.0, 0.5),
        Poisson(3.0),
        Exponential(torch.tensor([1.0, 3.0])),
        TorchStudentT(6.0, 1.0, 2.0),
        Independent(TorchLaplace(torch.zeros(2), torch.tensor([1.0, 2.0])), 1),
        MixtureSameFamily(Categorical(torch.tensor([0.2, 0.8])), Normal(torch.tensor([0.0, 5.0]), torch.ones(2))),
        LowRankMultivariateNormal(torch.ones(2), torch.ones(2, 1), torch.ones(2)),
    ],
    ids=lambda theirs: type(theirs).__name__,
)
def test_what_torch_knows_is_true_of_the_draws(theirs):
    prior = as_prior(theirs)
    rows = draws(prior)
    spread = prior.covariance.diagonal().sqrt().numpy()
    assert np.abs((rows.mean(0) - prior.mean.numpy()) / spread).max() < LIMIT
    assert np.allclose(np.cov(rows.T), prior.covariance, rtol=0.1, atol=LIMIT * spread.max() ** 2)


def test_a_direction_has_no_mean_on_the_line():
    prior = as_prior(VonMises(3.0, 1.0))  # torch's mean is 3 and its variance that of a direction; the draws lie on both sides
    assert prior.mean is None
    assert prior.covariance is None


# mixtures


def test_a_mixture_keeps_its_weights_and_draws_each_part_as_it_is():
    prior = Mixture([Gaussian(1).shifted(-50), Uniform(1).shifted(50), Normal(0.0, 1.0)], weights=[0.25, 0.7, 0.05])
    rows = draws(prior)[:, 0]
    counts = [int((rows < -25).sum()), int((rows > 25).sum())]
    assert stats.binomtest(counts[0], N, 0.25).pvalue > 1e-3
    assert stats.binomtest(counts[1], N, 0.7).pvalue > 1e-3
    assert fits(rows[rows < -25] + 50, "norm")
    assert fits(rows[rows > 25] - 50, stats.uniform(-(3**0.5), 2 * 3**0.5).cdf)
    assert prior.mean.item() == pytest.approx(-12.5 + 35)
    assert prior.covariance.item() == pytest.approx(1 + 0.95 * 2500 - 22.5**2)
    order = np.argsort(rows)[:N].argsort()  # parts come in no order
    assert abs(np.corrcoef(order, np.arange(N))[0, 1]) < LIMIT


def test_mixtures_without_weights_are_even_and_a_part_of_weight_zero_never_comes():
    assert Mixture([Ring(), Moons()]).weights == (0.5, 0.5)
    assert Mixture([Ring()]).sample(3, seeded()).shape == (3, 2)
    assert torch.equal(
        Mixture([Gaussian(2), StudentT(2, df=1)], [1, 0]).sample(50, seeded()),
        Mixture([Gaussian(2), Ring()], [1, 0]).sample(50, seeded()),
    )


# maps


def test_covariances_follow_a_map():
    matrix = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]])
    prior = Moons().affine(matrix, [1, 2, 3])
    wanted = matrix @ Moons().covariance @ matrix.T
    assert torch.allclose(prior.covariance, wanted, atol=1e-5)
    assert prior.mean.tolist() == pytest.approx([1, 2, 3], abs=1e-5)
    z = Moons().sample(50, seeded())
    assert torch.allclose(prior.sample(50, seeded()), z @ matrix.T + torch.tensor([1.0, 2.0, 3.0]))


def test_turning_scaling_shifting():
    z = Moons().sample(50, seeded())
    x, y = z.T
    turned = Moons().rotated(math.pi / 2).sample(50, seeded())
    assert torch.allclose(turned, torch.stack([-y, x], 1), atol=1e-6)  # the first axis goes to the second
    in_three = (Moons() * Gaussian(1)).rotated(math.pi / 2, plane=(1, 2)).sample(50, seeded())
    assert torch.allclose(in_three[:, 0], x)
    assert torch.allclose(in_three[:, 2], y, atol=1e-6)
    assert torch.allclose(Moons().scaled([2, -1]).sample(50, seeded()), torch.stack([2 * x, -y], 1))
    assert torch.allclose(Moons().scaled(3).shifted([1, 0]).sample(50, seeded()), 3 * z + torch.tensor([1.0, 0.0]))
    swap = [[0, 1], [1, 0]]
    assert torch.allclose(Moons().affine(swap).sample(50, seeded()), z.flip(1))


def test_a_map_of_a_map_is_one_map():
    prior = Ring().scaled(2).shifted([1, 0]).rotated(0.3)
    assert isinstance(prior.prior, Ring)
    nested = Affine(Affine(Affine(Ring(), 2 * np.eye(2), 0), np.eye(2), [1, 0]), Ring().rotated(0.3).matrix, 0)
    assert isinstance(nested.prior, Affine)
    assert torch.allclose(prior.sample(20, seeded()), nested.sample(20, seeded()), atol=1e-5)


def test_any_prior_can_be_standardized():
    prior = (Mixture([Ring(), Gaussian(2).shifted([4, 0])]) * Uniform(1, low=0, high=100)).standardized()
    assert prior.mean.abs().max() < 1e-6
    assert prior.covariance.trace().item() == pytest.approx(3, rel=1e-5)
    with pytest.raises(ValueError, match="standardized needs a mean and a covariance by formula"):
        StudentT(1, df=2).standardized()
    with pytest.raises(ValueError, match="needs a prior that varies"):
        Samples(torch.ones(3, 2)).standardized()


# copulas

MARGINALS = {
    "uniform": (Uniform(1), stats.uniform(-(3**0.5), 2 * 3**0.5)),
    "laplace": (Laplace(1), stats.laplace(scale=0.5**0.5)),
    "t": (StudentT(1, df=3, standardize=False), stats.t(3)),
    "logistic": (Logistic(1, standardize=False), stats.logistic),
    "gaussian": (Gaussian(mean=[5.0], covariance=[[4.0]]), stats.norm(5, 2)),
}
R = np.array([[1, 0.8, 0, 0, -0.5], [0.8, 1, 0, 0, 0], [0, 0, 1, 0.3, 0], [0, 0, 0.3, 1, 0], [-0.5, 0, 0, 0, 1]])


def test_a_copula_keeps_marginals_and_rank_correlations():
    prior = Copula([marginal for marginal, _ in MARGINALS.values()], R)
    rows = draws(prior)
    for column, (_, law) in zip(rows.T, MARGINALS.values(), strict=True):
        assert fits(column, law.cdf)
    assert np.abs(stats.spearmanr(rows).statistic - prior.rank_correlation.numpy()).max() < LIMIT
    assert prior.rank_correlation[0, 1].item() == pytest.approx(6 / math.pi * math.asin(0.4))
    assert prior.empirical == ()
    assert prior.mean.tolist() == [0, 0, 0, 0, 5]
    assert prior.covariance is None  # of a uniform and a Laplace no formula is at hand


def test_copulas_whose_covariance_is_known():
    normal = Copula([Gaussian(1), Gaussian(1, covariance=[[9.0]])], 0.5)
    assert torch.allclose(normal.covariance, torch.tensor([[1.0, 1.5], [1.5, 9.0]]))
    uniform = Copula([Uniform(1), Uniform(1)], -0.9)
    assert uniform.covariance[0, 1].item() == pytest.approx(6 / math.pi * math.asin(-0.45))
    free = Copula([Uniform(1), StudentT(1, df=3)], 0.0)
    assert torch.allclose(free.covariance, torch.eye(2))


def test_a_marginal_without_quantiles_is_replaced_by_draws_and_said_so():
    two = Mixture([Gaussian(1).shifted(-4), Gaussian(1).shifted(4)])
    prior = Copula([Uniform(1), two, Ball(1)], 0.6)
    assert prior.empirical == (1, 2)
    rows = draws(prior)
    assert fits(rows[:, 1], lambda x: (stats.norm(-4).cdf(x) + stats.norm(4).cdf(x)) / 2)
    assert np.abs(stats.spearmanr(rows).statistic - prior.rank_correlation.numpy()).max() < LIMIT


def test_a_copula_of_points():
    prior = Copula([Grid(1, levels=2, noise=0), Gaussian(1)], 0.99)
    rows = draws(prior)
    assert np.unique(rows[:, 0]).tolist() == [-1, 1]
    assert rows[rows[:, 0] > 0, 1].mean() > 0.7


# labels


def test_conditional_priors_give_each_label_its_own():
    prior = Conditional({3: Gaussian(2).shifted([100, 0]), "cat": Ring(noise=0), 7: Uniform(2).shifted([-100, 0])})
    labels = [3, "cat", 7, "cat", 3] * 400
    rows = prior.given(labels, seeded())
    named = np.array([str(label) for label in labels])
    assert fits(rows[named == "3", 0] - 100, "norm")
    assert rows[named == "cat"].norm(dim=1).numpy() == pytest.approx(2**0.5, rel=1e-5)
    assert rows[named == "7", 0].mean().item() == pytest.approx(-100, abs=0.2)
    assert torch.equal(rows, prior.given(labels, seeded()))
    assert prior.labels == (3, "cat", 7)


@pytest.mark.parametrize("labels", [torch.tensor([1, 0, 1]), np.array([1, 0, 1]), (1, 0, 1), [np.int64(1), torch.tensor(0), 1.0]])
def test_labels_of_every_kind(labels):
    prior = Conditional({np.int64(0): Gaussian(1).shifted(100), 1: Gaussian(1)})
    assert (prior.given(labels, seeded())[:, 0] > 50).tolist() == [False, True, False]
    assert "np." not in repr(prior)


def test_labels_are_drawn_by_their_weights():
    prior = Conditional({"a": Gaussian(1), "b": Gaussian(1).shifted(100)}, weights={"b": 0.9, "a": 0.1})
    assert prior.weights == (0.1, 0.9)
    assert stats.binomtest(int((draws(prior) > 50).sum()), N, 0.9).pvalue > 1e-3
    assert prior.mean.item() == pytest.approx(90)


# what is refused


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Product([]), ValueError, "parts must hold at least one prior"),
        (lambda: Mixture([]), ValueError, "parts must hold at least one prior"),
        (lambda: Mixture(Ring()), TypeError, "parts must be a list of priors"),
        (lambda: Mixture([Ring(), Gaussian(3)]), ValueError, r"parts must have the same number of dimensions, got \[2, 3\]"),
        (lambda: Mixture([Ring(), Moons()], [0.5, 0.6]), ValueError, "weights must sum to 1, got 1.1; divide"),
        (lambda: Mixture([Ring(), Moons()], [2, 2]), ValueError, "weights must sum to 1, got 4"),
        (lambda: Mixture([Ring(), Moons()], [-1, 2]), ValueError, "weights must not be negative"),
        (lambda: Mixture([Ring(), "moons"]), ValueError, "prior must be one of"),
        (lambda: Mixture((Ring(), lambda n: torch.full((n, 2), math.nan))), ValueError, "NaN"),
        (lambda: Ring().scaled(0), ValueError, "factor must not be 0"),
        (lambda: Ring().scaled([1, 2, 3]), ValueError, r"factor must have shape \(2,?\), got \(3,\)"),
        (lambda: Ring().scaled(math.inf), ValueError, "factor has 1 value"),
        (lambda: Ring().shifted("up"), TypeError, "offset must be real numbers"),
        (lambda: Ring().affine(np.eye(3)), ValueError, r"matrix must have shape \(any, 2\), got \(3, 3\)"),
        (lambda: Ring().affine([[1, np.nan]]), ValueError, "matrix has 1 value"),
        (lambda: Ring().rotated([[2, 0], [0, 2]]), TypeError, "angle must be a number"),
        (lambda: Ring().rotated(1.0, plane=(0, 2)), ValueError, "plane must be two different axes of the prior's 2"),
        (lambda: Gaussian(1).rotated(1.0), ValueError, "plane must be"),
        (lambda: Ring().rotated(1.0, plane=0), TypeError, "plane must be two axes"),
        (lambda: Copula([Gaussian(1)], 0.5), ValueError, "marginals must be at least 2"),
        (lambda: Copula(Gaussian(1), 0.5), TypeError, "marginals must be a list of priors"),
        (lambda: Copula([Gaussian(1), Ring()], 0.5), ValueError, r"1 dimension each, got dimensions \[1, 2\]"),
        (lambda: Copula([Gaussian(1)] * 2, 1.0), ValueError, "correlation must lie between -1 and 1"),
        (lambda: Copula([Gaussian(1)] * 3, -0.6), ValueError, "correlation must lie between -0.5 and 1"),
        (lambda: Copula([Gaussian(1)] * 2, [[1, 2], [2, 1]]), ValueError, "correlation must be positive definite"),
        (lambda: Copula([Gaussian(1)] * 2, [[2, 0], [0, 1]]), ValueError, "correlation must have ones"),
        (lambda: Copula([Gaussian(1)] * 2, np.eye(3)), ValueError, "correlation must have shape"),
        (lambda: Conditional({}), TypeError, "priors must be a mapping"),
        (lambda: Conditional([Ring()]), TypeError, "priors must be a mapping"),
        (lambda: Conditional({0: Ring(), 1: Gaussian(3)}), ValueError, "priors must have the same number of dimensions"),
        (lambda: Conditional({0.5: Ring()}), TypeError, "whole numbers or strings as labels, got 0.5"),
        (lambda: Conditional({0: Ring(), 1: Moons()}, [1.0]), ValueError, "weights must have shape"),
        (lambda: Conditional({0: Ring(), 1: Moons()}, {0: 1.0}), ValueError, r"weights must have the labels \[0, 1\], got \[0\]"),
        (lambda: Conditional({0: Ring()}).given([0, 2]), ValueError, r"labels must be among \[0\], got 2"),
        (lambda: Conditional({0: Ring()}).given(0), ValueError, "labels must be a list"),
        (lambda: Conditional({0: Ring()}).given([]), ValueError, "at least one label"),
        (lambda: Conditional({0: Ring()}).given(torch.zeros(2, 2)), ValueError, "labels must be a list"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


# random expressions

LINES = st.sampled_from(
    [Gaussian(1), Uniform(1), Laplace(1), Grid(1, levels=3), StudentT(1, df=2.5), Logistic(1, standardize=False)]
)
PLANES = st.sampled_from([Ring(), Moons(), Gaussian(covariance=[[1, 0.3], [0.3, 2]]), Uniform(2, low=0, high=1), Ball(2)])
NUMBERS = st.floats(0.1, 3).flatmap(lambda x: st.sampled_from([x, -x]))


def larger(inner):
    """Expressions one level above those of `inner`."""
    return st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        st.tuples(inner, NUMBERS).map(lambda pair: pair[0].scaled(pair[1])),
        st.tuples(inner, NUMBERS).map(lambda pair: pair[0].shifted(pair[1])),
        st.tuples(inner, NUMBERS, st.floats(0, 1)).map(lambda x: Mixture([x[0], x[0].shifted(x[1])], weights=[x[2], 1 - x[2]])),
        st.tuples(inner, NUMBERS).map(lambda pair: Conditional({0: pair[0], "b": pair[0].scaled(pair[1])})),
        inner.filter(lambda prior: prior.dim > 1).map(lambda prior: prior.rotated(0.7, (0, prior.dim - 1))),
        st.tuples(LINES, LINES, st.floats(-0.9, 0.9)).map(lambda x: Copula(x[:2], x[2])),
    )


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.one_of(LINES, PLANES), larger, max_leaves=5), st.integers(0, 2**31))
def test_expressions_of_priors(prior, seed):
    """Dimensions agree, seeds repeat, reprs can be pasted back, and known moments are those of the draws."""
    z = prior.sample(4000, seeded(seed))
    assert z.shape == (4000, prior.dim)
    assert torch.isfinite(z).all()
    pasted = eval(repr(prior), dict(vars(priors)))
    assert pasted == prior
    assert torch.equal(z, pasted.sample(4000, seeded(seed)))
    if prior.mean is not None and prior.covariance is not None:
        spread = prior.covariance.diagonal().sqrt()
        assert ((z.mean(0) - prior.mean).abs() <= 7 * spread / math.sqrt(4000) + 1e-5).all()
        assert torch.linalg.eigvalsh(prior.covariance.double())[0] > -1e-4 * spread.max() ** 2


@settings(max_examples=30, deadline=None)
@given(PLANES, LINES, st.lists(NUMBERS, min_size=6, max_size=6))
def test_moments_of_expressions_agree_with_algebra(plane, line, entries):
    """Product then map: A diag(C, v) A^T, and variances of a mixture by the law of total variance."""
    matrix = torch.tensor(entries).reshape(2, 3)
    joint = plane * line
    block = torch.block_diag(plane.covariance, line.covariance)
    mapped = joint.affine(matrix)
    assert torch.allclose(mapped.covariance, matrix @ block @ matrix.T, rtol=1e-4, atol=1e-4)
    apart = Mixture([mapped, mapped.shifted([2.0, 0.0])], weights=[0.25, 0.75])
    gap = torch.tensor([[0.25 * 0.75 * 4, 0.0], [0.0, 0.0]])
    assert torch.allclose(apart.covariance, mapped.covariance + gap, rtol=1e-4, atol=1e-4)
