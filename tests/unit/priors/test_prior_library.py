"""The library of priors: moments, supports and laws against their closed forms; seeds, reprs, scaling, bad input."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

import sculptlab as sl
from sculptlab import priors
from sculptlab.priors import (
    Ball,
    Checkerboard,
    Conditional,
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
    Product,
    Ring,
    Samples,
    Shape,
    Simplex,
    Sphere,
    Spirals,
    StudentT,
    SwissRoll,
    Uniform,
)

N = 200_000
CORRELATED = [[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]]

SHAPES = {
    "Laplace": lambda **k: Laplace(2, **k),
    "Logistic": lambda **k: Logistic(1, **k),
    "StudentT": lambda **k: StudentT(2, df=6.0, **k),
    "Ball": lambda **k: Ball(3, **k),
    "Sphere": lambda **k: Sphere(4, **k),
    "Sphere of a line": lambda **k: Sphere(1, **k),
    "Ring": lambda **k: Ring(**k),
    "Moons": lambda **k: Moons(**k),
    "Spirals": lambda **k: Spirals(**k),
    "one spiral": lambda **k: Spirals(arms=1, turns=0.7, noise=0.3, **k),
    "SwissRoll": lambda **k: SwissRoll(**k),
    "Grid": lambda **k: Grid(2, levels=3, **k),
    "points": lambda **k: Grid(1, levels=5, noise=0, **k),
    "Simplex": lambda **k: Simplex(3, concentration=0.4, **k),
    "Dirichlet": lambda **k: Dirichlet([0.5, 1.0, 3.0], **k),
    "Checkerboard": lambda **k: Checkerboard(**k),
    "FromImage": lambda **k: FromImage([[0.0, 0.9, 1.0], [0.5, 1.0, 0.25]], **k),
    "FromText": lambda **k: FromText("Ab", **k),
}
GIVEN = {
    "Gaussian": lambda: Gaussian(2),
    "correlated": lambda: Gaussian(mean=[1, 2, 3], covariance=CORRELATED),
    "shifted Gaussian": lambda: Gaussian(mean=[1.0, -1.0]),
    "Uniform": lambda: Uniform(2, low=1.0, high=5.0),
    "GaussianMixture": lambda: GaussianMixture([[-1, 0], [1, 3], [0, 0]], weights=[0.5, 0.2, 0.3]),
    "mixture of variances": lambda: GaussianMixture([[-1.0, 0.0], [4.0, 0.0]], covariances=[0.1, 2.0]),
    "mixture of matrices": lambda: GaussianMixture([[0.0, 0.0], [4.0, 0.0]], [[[1, 0.5], [0.5, 1]], [[1, 0], [0, 3]]]),
    "Samples": lambda: Samples(seeded_normal(50, 2)),
    "product": lambda: Product([Uniform(1), Ring(), Gaussian(2)]),
    "mixture": lambda: Mixture([Ring(), Gaussian(2).shifted([4, 0])], weights=[0.75, 0.25]),
    "affine": lambda: Moons().affine([[1, 2], [0, 1], [1, 0]], [5, 0, -5]),
    "Copula": lambda: Copula([Gaussian(1), Gaussian(1).scaled(2)], 0.0),
    "uniform copula": lambda: Copula([Uniform(1), Uniform(1, low=0, high=1)], -0.7),
    "normal copula": lambda: Copula([Gaussian(1), Gaussian(1, mean=2, covariance=[[4]])], 0.6),
    "Conditional": lambda: Conditional({"a": Ring(), "b": Uniform(2)}, weights={"b": 0.9, "a": 0.1}),
}
ALL = {**SHAPES, **GIVEN}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def seeded_normal(*shape):
    return torch.randn(*shape, generator=seeded())


def draws(prior, n=N, seed=0):
    return prior.sample(n, seeded(seed)).double().numpy()


def assert_moments(prior, rows):
    """Mean and covariance within five standard errors (and float32's rounding) of what the prior says they are."""
    mean, covariance = prior.mean.double().numpy(), prior.covariance.double().numpy()
    error = 5 * rows.std(0) / math.sqrt(len(rows)) + 1e-5
    assert (np.abs(rows.mean(0) - mean) <= error).all()
    off = rows - mean
    for i in range(prior.dim):
        for j in range(prior.dim):
            products = off[:, i] * off[:, j]
            assert abs(products.mean() - covariance[i, j]) <= 5 * products.std() / math.sqrt(len(rows)) + 1e-4


@pytest.mark.parametrize("name", ALL)
def test_moments_are_those_of_the_draws(name):
    prior = ALL[name]()
    assert prior.mean.dtype == prior.covariance.dtype == torch.float32
    assert prior.mean.shape == (prior.dim,)
    assert_moments(prior, draws(prior))


@pytest.mark.parametrize("name", SHAPES)
def test_the_scaling_is_reported(name):
    """Standardized: mean 0 and variance 1 on average; and the draws are scale * (textbook's draws - center), number by number."""
    prior, form = SHAPES[name](), SHAPES[name](standardize=False)
    assert isinstance(prior, Shape)
    assert prior.covariance.trace().item() / prior.dim == pytest.approx(1, rel=1e-5)
    assert prior.mean.abs().max() < 1e-5
    assert (form.scale, form.center.tolist()) == (1.0, [0.0] * form.dim)
    z, w = prior.sample(500, seeded()), form.sample(500, seeded())
    assert torch.allclose(z.double(), prior.scale * (w.double() - prior.center), atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_the_textbooks_form_has_its_own_moments(name):
    form = SHAPES[name](standardize=False)
    assert_moments(form, draws(form, n=50_000))


TEXTBOOK = {
    "Laplace": (Laplace(1), 1 / 2**0.5),
    "Logistic": (Logistic(1), 3**0.5 / math.pi),
    "StudentT": (StudentT(1, df=5), (3 / 5) ** 0.5),
    "Ball": (Ball(2), 2.0),
    "Sphere": (Sphere(3), 3**0.5),
    "Ring": (Ring(noise=0.5), (2 / 1.5) ** 0.5),  # variance (1 + 2 noise^2) / 2
    "Simplex": (Simplex(2), 12**0.5),  # uniform: variance 1 / (k (k + 1)), k = 3
    "Grid": (Grid(2, levels=4, noise=0), (12 / 15) ** 0.5),
    "Checkerboard": (Checkerboard(4), (12 / 16) ** 0.5),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_scales_known_by_formula(name):
    prior, scale = TEXTBOOK[name]
    assert prior.scale == pytest.approx(scale, rel=1e-12)


def test_moments_of_curves_known_by_formula():
    moons = Moons(noise=0.2, standardize=False)
    assert moons.mean.tolist() == pytest.approx([0.5, 0.25])
    cross = 1 / 8 - 1 / math.pi
    wanted = [0.75 + 0.04, cross, cross, 9 / 16 - 1 / math.pi + 0.04]
    assert moons.covariance.ravel().tolist() == pytest.approx(wanted, rel=1e-5)
    roll = SwissRoll(noise=0, standardize=False)
    assert roll.mean[1].item() == pytest.approx(10.5)
    assert roll.covariance[1, 1].item() == pytest.approx(21**2 / 12)
    a = 2 * math.pi * 0.7  # one arm: E x = int_0^1 2 s^2 cos(a s) ds
    arm = Spirals(arms=1, turns=0.7, noise=0, standardize=False)
    wanted = 2 * (math.sin(a) / a + 2 * math.cos(a) / a**2 - 2 * math.sin(a) / a**3)
    assert arm.mean[0].item() == pytest.approx(wanted, rel=1e-5)
    many = Spirals(arms=2, turns=30, noise=0, standardize=False)  # E |z|^2 = 1/2 at every number of turns
    assert many.covariance.trace().item() == pytest.approx(0.5, rel=1e-6)
    b = 4 * math.pi * 30  # E r^2 cos(2 theta) = (6 / b^2) at whole turns
    assert (many.covariance[0, 0] - many.covariance[1, 1]).item() == pytest.approx(6 / b**2, rel=0.02)


def fits(values, law):
    return stats.kstest(values, law).pvalue > 1e-3


@pytest.mark.parametrize(
    ("prior", "law"),
    [
        (Laplace(2), stats.laplace(scale=0.5**0.5)),
        (Logistic(2), stats.logistic(scale=3**0.5 / math.pi)),
        (StudentT(2, df=5), stats.t(5, scale=0.6**0.5)),
        (StudentT(2, df=2), stats.t(2)),
        (StudentT(2, df=1), stats.cauchy),
        (StudentT(2, df=0.5), stats.t(0.5)),
        (Simplex(1, standardize=False), stats.uniform(-(0.5**0.5), 2**0.5)),
    ],
    ids=lambda of: repr(of) if isinstance(of, priors.Prior) else of.__class__.__name__,
)
def test_laws_of_one_coordinate(prior, law):
    rows = draws(prior, 20_000)
    assert all(fits(column, law.cdf) for column in rows.T)
    if prior.dim == 2:
        assert abs(stats.spearmanr(*rows.T).statistic) < 5 / math.sqrt(20_000)
        assert abs(stats.spearmanr(*np.abs(rows.T)).statistic) < 5 / math.sqrt(20_000)


@pytest.mark.parametrize(
    ("prior", "law"),
    [
        (Gaussian(1), stats.norm),
        (Gaussian(mean=[3.0], covariance=[[4.0]]), stats.norm(3, 2)),
        (Uniform(1, low=-1, high=3), stats.uniform(-1, 4)),
        (Laplace(1), stats.laplace(scale=0.5**0.5)),
        (Logistic(1, standardize=False), stats.logistic),
        (StudentT(1, df=3, standardize=False), stats.t(3)),
        (Grid(1, levels=4, noise=0, standardize=False), stats.randint(0, 4)),
        (sl.priors.as_prior(torch.distributions.LogNormal(0.0, 0.5)), stats.lognorm(0.5)),
        (Uniform(1, low=0, high=1).scaled(-2).shifted(1), stats.uniform(-1, 2)),
    ],
    ids=lambda of: repr(of) if isinstance(of, priors.Prior) else of.__class__.__name__,
)
def test_quantiles(prior, law):
    u = torch.tensor([[1e-6, 0.1, 0.4], [0.51, 0.9, 0.999]], dtype=torch.float64)
    assert prior.icdf(u).numpy() == pytest.approx(law.ppf(u.numpy()), rel=1e-5, abs=1e-6)
    assert fits(prior.icdf(torch.rand(5000, generator=seeded(), dtype=torch.float64)).numpy(), law.cdf) or "randint" in str(
        law.dist
    )


def test_the_law_of_an_uneven_simplex():
    """In float64: float32 cannot tell one in thirty of these draws from the corner itself."""
    form = Simplex(1, concentration=0.2)._draw(20_000, seeded(), "cpu")[:, 0].numpy()
    assert fits(form * 0.5**0.5 + 0.5, stats.beta(0.2, 0.2).cdf)


def test_quantiles_of_a_bank_and_where_there_are_none():
    assert Samples([[3.0], [1.0], [2.0], [4.0]]).icdf([0.1, 0.25, 0.26, 0.5, 0.9]).tolist() == [1, 1, 2, 2, 4]
    for prior in (Gaussian(2), Ring(), Ball(1), Mixture([Gaussian(1), Uniform(1)]), Grid(1)):
        assert prior.icdf([0.5]) is None


def test_a_variance_that_does_not_exist_is_none():
    heavy, cauchy = StudentT(2, df=2), StudentT(2, df=1)
    assert heavy.covariance is None
    assert heavy.mean.tolist() == [0, 0]
    assert heavy.scale == 1.0
    assert cauchy.mean is None
    assert (cauchy * Gaussian(1)).mean is None
    assert Mixture([heavy, Gaussian(2)], weights=[0, 1]).covariance is not None
    assert Mixture([heavy, Gaussian(2)]).covariance is None


def angle_of(rows):
    return np.arctan2(rows[:, 1], rows[:, 0]) / (2 * math.pi) % 1


def test_balls_and_spheres():
    for dim in (1, 2, 5):
        inside = draws(Ball(dim, standardize=False), 20_000)
        assert fits(np.linalg.norm(inside, axis=1) ** dim, "uniform")
        surface = draws(Sphere(dim), 1000)
        assert np.linalg.norm(surface, axis=1) == pytest.approx(math.sqrt(dim), rel=1e-5)
    for prior in (Ball(2), Sphere(2)):
        assert fits(angle_of(draws(prior, 20_000)), "uniform")
    assert fits(draws(Sphere(3, standardize=False), 20_000)[:, 2], stats.uniform(-1, 2).cdf)  # Archimedes


def test_the_ring_has_its_angle_and_radius():
    rows = draws(Ring(noise=0.1, standardize=False), 20_000)
    assert fits(angle_of(rows), "uniform")
    assert fits(np.linalg.norm(rows, axis=1), stats.rice(10, scale=0.1).cdf)  # |unit vector + normal noise|
    assert np.linalg.norm(draws(Ring(noise=0), 100), axis=1) == pytest.approx(2**0.5, rel=1e-5)


def test_curves_without_noise_are_where_they_should_be():
    x, y = draws(Moons(noise=0, standardize=False), 2000).T
    upper, lower = np.hypot(x, y) - 1, np.hypot(x - 1, y - 0.5) - 1
    assert np.minimum(abs(upper), abs(lower)).max() < 1e-6
    assert (y[abs(upper) < 1e-6] >= 0).all()
    assert np.mean(abs(upper) < 1e-6) == pytest.approx(0.5, abs=0.06)
    rows = draws(Spirals(arms=3, turns=2, noise=0, standardize=False), 30_000)
    radius = np.linalg.norm(rows, axis=1)
    arm = (angle_of(rows) - 2 * radius) * 3 % 3
    assert np.minimum(abs(arm - arm.round()), 1).max() < 1e-3
    assert stats.chisquare(np.bincount(arm.round().astype(int) % 3)).pvalue > 1e-3
    assert fits(radius**2, "uniform")
    x, y, z = draws(SwissRoll(noise=0, standardize=False), 2000).T
    t = np.hypot(x, z)
    assert np.abs(t * np.cos(t) - x).max() < 1e-3
    assert fits((t / math.pi - 1.5) / 3, "uniform")
    assert fits(y / 21, "uniform")


def test_the_grid_has_its_points():
    rows = draws(Grid(2, levels=3, noise=0, standardize=False), 9000)
    points, counts = np.unique(rows, axis=0, return_counts=True)
    assert points.tolist() == [[i, j] for i in range(3) for j in range(3)]
    assert stats.chisquare(counts).pvalue > 1e-3
    near = draws(Grid(1, levels=3, noise=0.05, standardize=False), 20_000)[:, 0]
    assert fits((near - near.round()) / 0.05, "norm")


def test_shares_of_a_whole():
    rows = draws(Dirichlet([0.5, 1.0, 3.0], standardize=False), 20_000)
    assert rows.sum(1) == pytest.approx(1, abs=1e-6)
    for i, a in enumerate((0.5, 1.0, 3.0)):
        assert fits(rows[:, i], stats.beta(a, 4.5 - a).cdf)
    tiny = draws(Dirichlet([0.001, 0.001], standardize=False), 2000)
    assert set(tiny.round(2).ravel()) >= {0.0, 1.0}
    assert np.isfinite(tiny).all()
    big = draws(Dirichlet([400.0, 100.0], standardize=False), 20_000)
    assert fits(big[:, 0], stats.beta(400, 100).cdf)


def test_the_simplex_is_dirichlet_without_distortion():
    """Distances between its corners are those of the shares', and so is every moment of degree two of a distance."""
    corners = draws(Simplex(2, concentration=1e-4, standardize=False), 300)
    found = np.unique(corners.round(3), axis=0)
    assert len(found) == 3
    assert [np.linalg.norm(found[i] - found[j]) for i, j in ((0, 1), (0, 2), (1, 2))] == pytest.approx([2**0.5] * 3, abs=2e-3)
    uniform = draws(Simplex(2, standardize=False), 20_000)
    height = uniform[:, 1] - uniform[:, 1].min()
    top = 1.5**0.5
    assert fits(1 - (1 - height / top).clip(0) ** 2, "uniform")  # the triangle stands on a side and narrows upwards


def test_the_squares_of_the_board():
    rows = draws(Checkerboard(4, standardize=False), 8000)
    square = np.floor(rows).astype(int)
    assert (square.sum(1) % 2 == 0).all()  # the lower left one is dark
    assert stats.chisquare(np.unique(square, axis=0, return_counts=True)[1]).pvalue > 1e-3
    assert fits((rows - square).ravel(), "uniform")


def test_a_correlated_gaussian():
    prior = Gaussian(covariance=[[1, 0.8], [0.8, 1]])
    rows = draws(prior, 20_000)
    assert fits((rows @ np.linalg.inv(prior.covariance.numpy()) * rows).sum(1), stats.chi2(2).cdf)
    assert torch.equal(Gaussian(2).sample(9, seeded()), torch.randn(9, 2, generator=seeded()))


def test_a_mixture_of_normals_keeps_its_weights_and_never_draws_weight_zero():
    prior = GaussianMixture([[-10.0], [0.0], [10.0]], covariances=0.1, weights=[0.2, 0.0, 0.8])
    counts = np.bincount((draws(prior, 10_000)[:, 0].round(-1) / 10 + 1).astype(int), minlength=3)
    assert counts[1] == 0
    assert stats.binomtest(int(counts[0]), 10_000, 0.2).pvalue > 1e-3
    same = [GaussianMixture([[0, 0], [3, 0]], c) for c in (2.0, [2, 2], np.eye(2) * 2, [np.eye(2) * 2] * 2)]
    assert all(torch.allclose(one.sample(50, seeded()), same[0].sample(50, seeded())) for one in same)


@pytest.mark.parametrize("name", ALL)
def test_the_repr_can_be_pasted_back_and_seeds_repeat(name):
    prior = ALL[name]()
    first = prior.sample(40, seeded(5))
    assert torch.equal(first, prior.sample(40, seeded(5)))
    assert not torch.equal(first, prior.sample(40, seeded(6)))
    assert first.dtype == torch.float32
    for again in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior))):
        assert torch.equal(first, again.sample(40, seeded(5)))
    if name != "Samples":  # an array of points: its repr only tells its size and checksum
        pasted = eval(repr(prior), dict(vars(priors)))
        assert torch.equal(first, pasted.sample(40, seeded(5)))
        assert pasted == prior
        assert hash(pasted) == hash(prior)
        assert repr(pasted) == repr(prior)


FIRST = {  # of seed 0, so that a seed means the same in every version and on every machine
    "Laplace": [1.99063, 0.37988],
    "StudentT": [-0.19532, 0.61395],
    "Ball": [0.98561, -0.18768, -1.39354],
    "Spirals": [1.96451, -0.24544],
    "SwissRoll": [0.27337, 0.70587, 2.01181],
    "Dirichlet": [0.3292, 1.50267, -1.83187],
    "Checkerboard": [0.84009, -1.11906],
    "FromText": [-0.15914, -0.65062],
    "GaussianMixture": [1.26446, -0.68743],
    "mixture": [4.41589, 0.83957],
    "uniform copula": [1.51846, 0.09883],
    "Conditional": [-0.03432, 1.37332],
}


@pytest.mark.parametrize("name", FIRST)
def test_a_seed_means_the_same_everywhere(name):
    assert ALL[name]().sample(3, seeded())[0].tolist() == pytest.approx(FIRST[name], abs=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_every_prior_is_a_target_and_draws_itself(name):
    prior = ALL[name]()
    objective = sl.objectives.MMD(prior)
    rows = prior.sample(300, seeded(1))
    assert abs(objective.distance(rows, prior.sample(300, seeded(2)), None)[1].item()) < 0.05
    assert prior.sample(4, seeded(), device="cpu").shape == (4, prior.dim)
    assert prior.sample(1, seeded()).shape == (1, prior.dim)


@pytest.mark.parametrize("prior", [Ring(), Logistic(1), SwissRoll(), Conditional({0: Ring(), 1: Moons()})], ids=repr)
def test_every_number_of_dimensions_has_a_plot(prior):
    assert prior.plot()._repr_png_().startswith(b"\x89PNG")


def test_both_axes_of_a_plot_have_one_unit():
    assert Ring().plot().axes[0].get_aspect() == 1


def test_numbers_of_numpy_do_not_show_in_a_repr():
    made = [
        Gaussian(np.int64(2)),
        Uniform(2, np.float64(0), np.float32(1)),
        StudentT(1, np.float64(3)),
        Ring(noise=np.float64(0.2)),
        Grid(np.int32(2), levels=np.int64(3)),
        Simplex(2, np.float64(2)),
        GaussianMixture(np.eye(2), np.float64(1)),
    ]
    assert not [repr(prior) for prior in made if "np." in repr(prior)]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Gaussian(), TypeError, "dim must be given"),
        (
            lambda: Gaussian(covariance=[[1, 2], [2, 1]]),
            ValueError,
            "covariance must be positive definite, got the smallest .* -1",
        ),
        (lambda: Gaussian(covariance=[[1, 1], [1, 1]]), ValueError, "positive definite"),
        (lambda: Gaussian(covariance=[[1, 0.5], [0.2, 1]]), ValueError, "covariance must be symmetric"),
        (lambda: Gaussian(covariance=[[1, 0, 0], [0, 1, 0]]), ValueError, r"covariance must have shape \(2, 2\), got \(2, 3\)"),
        (lambda: Gaussian(3, covariance=np.eye(2)), ValueError, r"covariance must have shape \(3, 3\), got \(2, 2\)"),
        (lambda: Gaussian(covariance=[[np.nan]]), ValueError, "covariance has 1 value"),
        (lambda: Gaussian(2, covariance=2.0), ValueError, "covariance must have shape"),
        (lambda: Gaussian(2, mean=[1, 2, 3]), ValueError, r"mean must have shape \(2\)|mean must have shape \(2,\)"),
        (lambda: Gaussian(2, mean="a"), TypeError, "mean must be real numbers"),
        (lambda: StudentT(2, df=0), ValueError, "df must be >= 0.5"),
        (lambda: StudentT(2, df=-1), ValueError, "df must be >= 0.5"),
        (lambda: Ring(noise=-0.1), ValueError, "noise must be >= 0"),
        (lambda: Ring(noise="a"), TypeError, "noise must be a number"),
        (lambda: Ring(standardize="no"), TypeError, "standardize must be True or False"),
        (lambda: Spirals(arms=0), ValueError, "arms must be at least 1"),
        (lambda: Spirals(turns=31), ValueError, "turns must be at most 30"),
        (lambda: Grid(2, levels=1), ValueError, "levels must be at least 2"),
        (lambda: Checkerboard(1), ValueError, "squares must be at least 2"),
        (lambda: Dirichlet([1.0]), ValueError, "concentration must be at least two numbers > 0"),
        (lambda: Dirichlet([1.0, 0.0]), ValueError, "concentration must be at least two numbers > 0"),
        (lambda: Simplex(2, concentration=0), ValueError, "concentration must be > 0"),
        (lambda: GaussianMixture([1.0, 2.0]), ValueError, r"means must have shape \(any, any\), got \(2,\)"),
        (lambda: GaussianMixture([[1.0], [2.0, 3.0]]), ValueError, "means must be .* every row of the same length"),
        (lambda: GaussianMixture([[0.0], [1.0]], weights=[0.5, 0.6]), ValueError, "weights must sum to 1, got 1.1"),
        (lambda: GaussianMixture([[0.0], [1.0]], weights=[-0.5, 1.5]), ValueError, "weights must not be negative, got -0.5"),
        (lambda: GaussianMixture([[0.0], [1.0]], weights=[1.0]), ValueError, r"weights must have shape \(2,?\)"),
        (lambda: GaussianMixture([[0.0], [1.0]], weights=[np.nan, 1.0]), ValueError, "weights has 1 value"),
        (lambda: GaussianMixture([[0.0], [1.0]], covariances=-1.0), ValueError, "covariances must be > 0"),
        (lambda: GaussianMixture([[0.0], [1.0]], covariances=[1.0, 0.0]), ValueError, "covariances must be > 0"),
        (lambda: GaussianMixture([[0, 0]], covariances=[[1, 2], [2, 1]]), ValueError, "covariances must be positive definite"),
        (
            lambda: GaussianMixture([[0, 0]] * 3, [np.eye(2)] * 2),
            ValueError,
            r"covariances must be a number, \(3,\), \(2, 2\) or",
        ),
        (lambda: Gaussian(1).icdf([0.5, 1.0]), ValueError, "u must lie strictly between 0 and 1"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


class Own(Prior):
    """A person's own prior, with a fault to be named."""

    def _draw(self, n, generator, device):
        return {2: np.zeros((n, 2)), 3: torch.zeros(n, 2), 4: torch.zeros(n + 1, 4), 5: torch.zeros(n)}[self.dim]


@pytest.mark.parametrize(
    ("dim", "error", "words"),
    [
        (2, TypeError, "must be a tensor"),
        (3, ValueError, r"\(2, 3\), got \(2, 2\)"),
        (4, ValueError, r"\(2, 4\), got \(3, 4\)"),
        (5, ValueError, "n, d"),
    ],
)
def test_a_persons_own_prior_is_checked_when_sampled(dim, error, words):
    with pytest.raises(error, match=words):
        (Own(dim) * Gaussian(1)).sample(2)
