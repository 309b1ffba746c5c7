"""Invertible maps: round trips, volumes by autograd, and distributions by closed forms."""

import math

import pytest
import torch
from scipy.stats import kstest
from torch.autograd.functional import jacobian

import sculptlab as sl
from sculptlab.evaluation.two_samples import off_support
from sculptlab.reshaping.flows import SplineFlow, log_likelihood
from sculptlab.reshaping.maps import Blocks, Chain, Choice, Columns, HeavyTails, Linear
from sculptlab.reshaping.quantiles import Quantiles
from sculptlab.reshaping.targets import map_of


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def heavy(dim=2):
    return HeavyTails(normal(dim), normal(dim, seed=1).abs() + 0.5, torch.arange(dim) % 2 == 0)


def flow(dim=2, context=0):
    made = SplineFlow(dim, context=context, layers=3, hidden_size=8, seed=3).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * normal(*parameter.shape, seed=parameter.numel()))
    return made


def linear(dim=2):
    return Linear(normal(dim), normal(dim, dim, seed=5) + 2 * torch.eye(dim))


MAPS = {
    "linear": linear(),
    "heavy tails": heavy(),
    "flow": flow(),
    "one column": flow(1),
    "table": Quantiles.of_samples(normal(3000, 2, seed=7).cumsum(1)),
    "table of one column": Quantiles.of_samples(normal(500, 1, seed=7)),
    "chain": Chain([linear(), heavy(), flow()]),
    "blocks": Blocks([linear(), flow(1)], [2, 1]),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_undone_by_its_inverse_and_knows_how_it_stretches_volume(name):
    one = MAPS[name]
    dim = {"one column": 1, "table of one column": 1, "blocks": 3}.get(name, 2)
    x = 1.5 * normal(20, dim, seed=11)
    z, stretched = one(x)
    assert torch.allclose(one.inverse(z), x, atol=1e-8)
    for row, value in zip(x, stretched, strict=True):
        matrix = jacobian(lambda r: one(r[None])[0][0], row)
        assert value.item() == pytest.approx(float(torch.linalg.slogdet(matrix)[1]), abs=1e-6)


def test_a_map_depends_on_its_context_and_a_choice_takes_the_map_of_each_row():
    one, x = flow(2, context=2), normal(6, 2)
    first, second = (torch.eye(2, dtype=torch.float64)[[i] * 6] for i in (0, 1))
    assert not torch.allclose(one(x, first)[0], one(x, second)[0])
    assert torch.allclose(one.inverse(one(x, second)[0], second), x)
    parts = [linear(), Linear(torch.zeros(2).double(), 3 * torch.eye(2).double())]
    context = torch.eye(2, dtype=torch.float64)[[0, 1, 1, 0, 0, 1]]
    z, stretched = Choice(parts)(x, context)
    assert torch.equal(z[1], 3 * x[1])
    assert float(stretched[2]) == pytest.approx(2 * math.log(3))
    assert torch.allclose(Choice(parts).inverse(z, context), x)


def test_a_flow_begins_as_the_identity_with_the_likelihood_of_the_normal_distribution():
    x = normal(50, 3)
    one = SplineFlow(3).double()
    assert torch.allclose(one(x)[0], x)
    expected = torch.distributions.Normal(0, 1).log_prob(x).sum(1)
    assert torch.allclose(log_likelihood(one, x), expected)


def test_a_cauchy_distribution_becomes_normal():
    x = torch.distributions.Cauchy(3.0, 2.0).icdf((torch.arange(4000).double() + 0.5) / 4000)[:, None]
    one = HeavyTails(torch.tensor([3.0]).double(), torch.tensor([2.0]).double(), torch.tensor([True]))
    z, stretched = one(x)
    assert kstest(z[:, 0], "norm").statistic < 0.001
    density = stretched + torch.distributions.Normal(0, 1).log_prob(z[:, 0])
    assert torch.allclose(density, torch.distributions.Cauchy(3.0, 2.0).log_prob(x[:, 0]), atol=1e-6)
    assert torch.allclose(one.inverse(z), x, rtol=1e-9)


def test_whitening_gives_unit_covariance_and_hardly_turns_the_axes():
    x = normal(2000, 3) @ (normal(3, 3, seed=2) + 3 * torch.eye(3)).double() + 5
    z = Linear.whitening(x)(x)[0]
    assert torch.allclose(z.T @ z / len(z), torch.eye(3).double(), atol=1e-9)
    assert torch.allclose(z.mean(0), torch.zeros(3).double(), atol=1e-9)
    together = torch.corrcoef(torch.cat([x, z], 1).T)[:3, 3:]
    assert together.diag().min() > 0.8


def test_columns_that_others_determine_are_found_and_restored():
    x = normal(500, 3)
    given = torch.stack([x[:, 0], torch.full((500,), 4.0), x[:, 1], 2 * x[:, 0] - x[:, 1] + 7, x[:, 2], x[:, 2]], 1)
    columns = Columns.independent(given)
    assert (columns.kept, columns.other) == ([0, 2, 4], [1, 3, 5])
    assert torch.allclose(columns.inverse(columns(given)[0]), given)
    assert Columns.independent(x).other == []
    assert Columns.independent(1e6 + 1e-3 * x).other == []


@pytest.mark.parametrize(
    "prior",
    [
        sl.priors.Gaussian(2, mean=[1.0, -2.0]),
        sl.priors.Gaussian(covariance=[[2.0, 0.9], [0.9, 1.0]]),
        sl.priors.Uniform(2).rotated(0.3),
        sl.priors.Laplace(1) * sl.priors.StudentT(1, df=3),
        sl.priors.Copula([sl.priors.Uniform(1), sl.priors.Laplace(1)], 0.6),
        sl.priors.Uniform(1) * sl.priors.Moons(),
        sl.priors.SwissRoll().affine([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    ],
    ids=str,
)
def test_the_map_of_a_prior_makes_it_normal_and_normal_codes_the_prior(prior):
    one = map_of(prior)
    generator = torch.Generator().manual_seed(1)
    z = one(prior.sample(4000, generator).double())[0]
    for column in (*z.T, (z[:, 0] + z[:, 1]) / 2**0.5, (z[:, 0] - z[:, 1]) / 2**0.5):
        assert kstest(column, "norm").pvalue > 1e-3
    drawn = one.inverse(normal(4000, prior.dim, seed=4))
    assert sl.mmd_test(drawn, prior.sample(4000, generator), permutations=100).p_value > 0.01


def test_quantiles_with_a_formula_are_exact():
    one = map_of(sl.priors.Uniform(1, low=0.0, high=2.0))
    z = torch.linspace(-4, 4, 999, dtype=torch.float64)[:, None]
    assert torch.allclose(one.inverse(z), 2 * torch.special.ndtr(z), atol=1e-7)
    assert torch.allclose(one(one.inverse(z))[0], z, atol=1e-9)


SHAPES = [sl.priors.Checkerboard(), sl.priors.FromText("MMD"), sl.priors.Ring(), sl.priors.Grid(2)]


@pytest.mark.parametrize("prior", SHAPES, ids=str)
def test_separate_parts_are_joined_by_thin_bridges_only(prior):
    drawn = map_of(prior).inverse(normal(10_000, 2)).float()
    assert off_support(drawn, prior).float().mean() < 0.02
    assert sl.mmd_test(drawn[:3000], prior.sample(3000, torch.Generator().manual_seed(3)), permutations=300).p_value > 0.005


@pytest.mark.parametrize("prior", [sl.priors.Grid(2, noise=0.0), sl.priors.Samples([[0.0, 1.0], [1.0, 2.0]] * 40)], ids=str)
def test_a_discrete_prior_is_refused(prior):
    with pytest.raises(ValueError, match="prior must be continuous, but column 0"):
        map_of(prior)


def test_a_prior_on_a_line_through_the_plane_is_refused():
    with pytest.raises(ValueError, match="must fill all of its 2 dimensions"):
        map_of(sl.priors.Gaussian(1).affine([[1.0], [2.0]]))


def test_a_prior_of_three_dimensions_must_be_learned():
    with pytest.raises(ValueError, match="at most 2 dimensions, or independent parts"):
        map_of(sl.priors.Sphere(3))
