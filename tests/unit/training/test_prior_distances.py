"""Distances to a prior as objectives: closed forms, what is promised of weights, views and names, training, bad input."""

import itertools
import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, trapezoid

import sculptlab as sl
from sculptlab.mmd.kernels import IMQ, RBF, Energy
from sculptlab.priors import Gaussian, Prior, Samples, Uniform
from sculptlab.training.objectives import MMD, EnergyDistance, Ramp, Reconstruction, SIGReg, SlicedMMD, SlicedWasserstein

QUICK = {"steps": 30, "batch_size": 64, "device": "cpu", "progress": False}
UNEQUAL = Samples(torch.randn(4000, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.01, 1.0, 50.0]))
LONG = {"steps": 300, "batch_size": 256, "learning_rate": 3e-3, "device": "cpu", "progress": False}
ALL = [MMD, EnergyDistance, SlicedWasserstein, SlicedMMD]


class Identity(torch.nn.Module):
    """Codes are the rows themselves and the reconstruction is perfect: the loss is the regularizer."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def encode(self, rows):
        return rows

    decode = encode


def normal(n, d, seed=0, dtype=torch.float32):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def terms(objective, rows, seed=0, step=0):
    batch = objective.batch(Identity(rows.shape[1]), rows, len(rows), torch.Generator().manual_seed(seed), step)
    return {name: value.item() for name, value in objective.terms(batch).items()}


def value(objective, rows, seed=0):
    return next(v for name, v in terms(objective, rows, seed).items() if name not in ("loss", "reconstruction"))


def draws(prior, n, seed=0):
    """What an objective draws first from a generator of this seed."""
    return prior.sample(n, generator=torch.Generator().manual_seed(seed))


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def toy_model(dim=2, seed=0, **options):
    return sl.build_autoencoder("mlp", image_shape=(6,), dim=dim, width=32, output="linear", seed=seed, **options)


# closed forms


@pytest.mark.parametrize("prior", [Gaussian(3), Uniform(3), UNEQUAL], ids=["gaussian", "uniform", "unequal"])
@pytest.mark.parametrize("kernel", [RBF(1.5), IMQ(base=4.0), Energy()], ids=repr)
def test_joint_is_mmd2_of_the_same_draws(prior, kernel):
    rows = normal(100, 3)
    expected = sl.mmd2(rows, draws(prior, 100), kernel).item()
    found = terms(MMD(prior, weight=7.0, kernel=kernel), rows)
    assert found["mmd2"] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert found["loss"] == pytest.approx(7.0 * expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("views", ["marginal", "pairs"])
def test_views_are_the_mean_over_columns_in_the_priors_units_and_the_loss_is_per_latent(views):
    """Each column divided by the standard deviation of the prior's, so that a scale of .01 weighs as much as one of 50."""
    rows = normal(80, 3) * torch.tensor([0.02, 1.0, 30.0])
    target, unit = draws(UNEQUAL, 80), UNEQUAL.bank.std(0)
    columns = [(i,) for i in range(3)] if views == "marginal" else itertools.combinations(range(3), 2)
    parts = [sl.mmd2((rows / unit)[:, c], (target / unit)[:, c], RBF(1.0)).item() for c in map(list, columns)]
    found = terms(MMD(UNEQUAL, weight=5.0, kernel=RBF(1.0), views=views), rows)
    assert found[f"mmd2_{views}"] == pytest.approx(np.mean(parts), rel=0.05)  # the units are those of 10,000 draws
    assert found["loss"] == pytest.approx(5.0 * 3 * found[f"mmd2_{views}"], rel=1e-5)


@pytest.mark.parametrize("views", ["marginal", "pairs"])
@pytest.mark.parametrize("kernel", [IMQ(), RBF(), Energy()], ids=repr)
def test_views_agree_with_those_of_mmd2(views, kernel):
    """There the units and the width come from these draws of the prior, here from its 10,000: nearly the same."""
    rows, prior = normal(2000, 3) * 0.5, Samples(normal(20_000, 3, seed=3))
    expected = sl.mmd2(rows, draws(prior, 2000), kernel, views=views).item()
    assert value(MMD(prior, kernel=kernel, views=views), rows) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("views", ["joint", "marginal", "pairs"])
def test_the_priors_units_do_not_matter_to_views_and_an_open_width_follows_them(views):
    factor = torch.tensor([10.0, 10.0, 10.0]) if views == "joint" else torch.tensor([0.01, 1.0, 50.0])
    bank, rows = normal(5000, 3, seed=3), normal(60, 3) + 0.5
    once = value(MMD(Samples(bank), views=views), rows)
    assert value(MMD(Samples(bank * factor), views=views), rows * factor) == pytest.approx(once, rel=1e-3)


def test_a_constant_dimension_of_the_prior_has_no_unit_to_be_divided_by():
    bank = torch.cat([normal(500, 1, seed=3), torch.full((500, 1), 0.1)], 1)
    for views in ("joint", "marginal", "pairs"):
        assert math.isfinite(value(MMD(bank, views=views), normal(50, 2)))
        assert value(MMD(bank, views=views), normal(50, 2)) > value(MMD(bank, views=views), bank[:50])


def test_a_subset_is_unbiased_for_the_mean_of_all_views():
    """Columns that differ, so that a subset's value depends on which it drew; four columns, one of six pairs a time."""
    prior, rows = Gaussian(4), normal(100, 4) * torch.tensor([0.1, 1.0, 2.0, 5.0])
    for views in ("marginal", "pairs"):
        some, target = MMD(prior, views=views, subset=2), draws(prior, 100)
        generator = torch.Generator().manual_seed(7)
        found = np.array([some.distance(rows, target, generator)[1].item() for _ in range(400)])
        all_views = MMD(prior, views=views).distance(rows, target, None)[1].item()
        assert found.std() > 0.1 * all_views
        assert found.mean() == pytest.approx(all_views, abs=4 * found.std() / 20)


def test_a_subset_of_all_views_is_all_views_and_leaves_the_weight_alone():
    rows = normal(50, 3)
    some, every = (terms(MMD(Gaussian(3), views="pairs", subset=s), rows) for s in (3, None))
    assert some["loss"] == pytest.approx(every["loss"], rel=1e-5)
    one = terms(MMD(Gaussian(3), views="pairs", subset=1, weight=2.0), rows)
    assert one["loss"] == pytest.approx(2.0 * 3 * one["mmd2_pairs"], rel=1e-5)


@pytest.mark.parametrize("views", ["joint", "marginal", "pairs"])
def test_the_width_is_set_by_the_prior_once_and_never_by_the_codes(views):
    objective = MMD(Gaussian(2), views=views)
    before = objective._views_of(2)[2].base
    assert before == pytest.approx({"joint": 4.0, "marginal": 2.0, "pairs": 4.0}[views], rel=0.05)  # 2 p sigma^2
    value(objective, normal(100, 2) * 1000)
    assert objective._views_of(2)[2].base == before
    given = MMD(Gaussian(2), kernel=IMQ(base=0.3), views=views)
    assert given._views_of(2)[2].base == 0.3


def test_far_codes_cost_more_so_no_width_has_followed_them():
    """Spread beyond every scale they are near nothing, and only E k(y, y') of the prior's own pairs is left."""
    costs = [value(MMD(Gaussian(2)), normal(200, 2) * scale) for scale in (1, 3, 10, 100)]
    assert costs == sorted(costs)
    own = IMQ(base=4.0)(draws(Gaussian(2), 500), draws(Gaussian(2), 500, seed=1)).mean().item()
    assert costs[-1] == pytest.approx(own, rel=0.05)


def test_unbiased_at_every_batch_size():
    """Codes twice as wide as the prior: the mean over batches is the same at 8 rows and at 128, unlike the biased one's."""
    objective = MMD(Gaussian(1))
    means, errors = [], []
    for n in (8, 128):
        found = [value(objective, 2 * normal(n, 1, seed=100 + i), seed=i) for i in range(3200 // n + 50)]
        means.append(np.mean(found))
        errors.append(np.std(found) / len(found) ** 0.5)
    assert abs(means[0] - means[1]) < 4 * math.hypot(*errors)
    assert means[1] > 10 * errors[1]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.5, 1.0), (0.0, 3.0), (1.0, 0.25)])
def test_the_energy_distance_of_two_gaussians(shift, scale):
    """E|N(m, s^2)| = s sqrt(2/pi) exp(-m^2/2s^2) + m (1 - 2 Phi(-m/s))."""

    def folded(m, s):
        return s * math.sqrt(2 / math.pi) * math.exp(-(m**2) / (2 * s**2)) + m * math.erf(m / (s * math.sqrt(2)))

    exact = 2 * folded(shift, math.hypot(scale, 1)) - folded(0, scale * 2**0.5) - folded(0, 2**0.5)
    found = [value(EnergyDistance(Gaussian(1)), normal(500, 1, seed=50 + i) * scale + shift, seed=i) for i in range(40)]
    error = np.std(found) / 40**0.5
    assert np.mean(found) == pytest.approx(exact, abs=4 * error)
    assert error < 0.02


@pytest.mark.parametrize("d", [1, 4])
@pytest.mark.parametrize(("shift", "scale"), [(2.0, 1.0), (0.0, 3.0), (1.0, 0.5)])
def test_sliced_wasserstein_of_gaussians(d, shift, scale):
    """Between N(m, s^2 I) and N(0, I), W2^2 along u is (u . m)^2 + (s - 1)^2, and the mean of (u . m)^2 is |m|^2 / d."""
    rows = normal(2000, d) * scale + shift / d**0.5  # |m| = shift
    found = value(SlicedWasserstein(Gaussian(d), projections=1000), rows)
    assert found == pytest.approx(shift**2 / d + (scale - 1) ** 2, rel=0.1, abs=0.01)


def test_sliced_wasserstein_moves_points_by_hand():
    """One dimension, one way to slice it: the mean squared difference of the sorted values."""
    rows = torch.tensor([[3.0], [0.0], [1.0]])
    target = draws(Gaussian(1), 3)
    by_hand = (rows.sort(0).values - target.sort(0).values).square().mean().item()
    assert value(SlicedWasserstein(Gaussian(1), projections=1), rows) == pytest.approx(by_hand, rel=1e-5)


def test_a_ramp_by_hand():
    ramp = Ramp(end=30, begin=10, start=0.5)
    assert [ramp(step) for step in (0, 10, 20, 30, 1000)] == [0.5, 0.5, 0.75, 1.0, 1.0]
    assert [Ramp(4)(step) for step in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]


@given(begin=st.integers(0, 1000), length=st.integers(1, 1000), start=st.floats(0, 1), step=st.integers(0, 5000))
def test_a_ramp_rises_from_start_to_one(begin, length, start, step):
    ramp = Ramp(begin + length, begin, start)
    assert start - 1e-12 <= ramp(step) <= ramp(step + 1) + 1e-12 <= 1 + 2e-12


@pytest.mark.parametrize("kind", ALL)
def test_the_schedule_multiplies_the_weight_and_not_the_value(kind):
    rows, plain = normal(50, 2), kind(Gaussian(2), weight=8.0)
    ramped = kind(Gaussian(2), weight=8.0, schedule=Ramp(100))
    for step, share in ((0, 0.0), (25, 0.25), (500, 1.0)):
        now, full = terms(ramped, rows, step=step), terms(plain, rows, step=step)
        assert now["loss"] == pytest.approx(share * full["loss"], rel=1e-5, abs=1e-7)
        assert list(now.values())[2] == list(full.values())[2]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("half", TypeError, r"schedule\(0\) must be a number, got 'half'"),
        (None, TypeError, r"schedule\(0\) must be a number, got None"),
        (-1.0, ValueError, r"schedule\(0\) must be >= 0, got -1\.0"),
        (math.nan, ValueError, r"schedule\(0\) must be >= 0 and finite, got nan"),
    ],
)
def test_a_schedule_that_gives_no_share_is_named(kind, value, error, words):
    with pytest.raises(error, match=words):
        terms(kind(Gaussian(2), schedule=lambda step: value), normal(20, 2))


def test_a_schedule_may_give_a_tensor_of_one_number():
    given, plain = (
        terms(MMD(Gaussian(2), schedule=lambda step, half=half: half), normal(20, 2)) for half in (torch.tensor(0.5), 0.5)
    )
    assert given == plain


def test_training_counts_the_steps_for_the_schedule():
    asked = []
    objective = MMD(Gaussian(2), schedule=lambda step: asked.append(step) or 0.0)
    sl.fit(toy_model(), normal(100, 6), objective, **QUICK | {"steps": 5})
    assert asked == [0, 1, 2, 3, 4]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40), d=st.integers(1, 5), shift=st.floats(-50, 50), kind=st.sampled_from(ALL))
def test_values_and_gradients_are_finite_and_rows_have_no_order(seed, n, d, shift, kind):
    rows = (normal(n, d, seed) + shift).requires_grad_()
    objective, target = kind(Gaussian(d)), draws(Gaussian(d), n, seed)
    _, found = objective.distance(rows, target, torch.Generator().manual_seed(seed))
    found.backward()
    assert torch.isfinite(rows.grad).all()
    _, turned = objective.distance(rows.flip(0), target, torch.Generator().manual_seed(seed))
    assert turned.item() == pytest.approx(found.item(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("kind", ALL)
def test_the_gradient_pulls_codes_towards_the_prior(kind):
    rows = (normal(200, 2) + 3).requires_grad_()
    kind(Gaussian(2)).distance(rows, draws(Gaussian(2), 200), torch.Generator().manual_seed(0))[1].backward()
    assert (rows.grad.mean(0) > 0).all()


# priors of every kind


def ring(n, generator=None):
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    return 2**0.5 * torch.stack([angle.cos(), angle.sin()], 1)


@pytest.mark.parametrize(
    "prior",
    [
        Uniform(2),
        ring,
        lambda n: np.random.default_rng(n).normal(size=(n, 2)),
        normal(30, 2),
        normal(30, 2).numpy(),
        torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2)),
    ],
    ids=["Prior", "function", "numpy function", "tensor", "array", "distribution"],
)
@pytest.mark.parametrize("kind", ALL)
def test_any_prior_trains(kind, prior):
    objective = kind(prior)
    run = sl.fit(toy_model(), normal(100, 6), objective, **QUICK | {"steps": 5})
    assert np.isfinite(run.history["loss"]).all()
    assert objective.prior_for(2).dim == 2
    assert run.sample(5).shape == (5, 6)


@pytest.mark.parametrize("views", ["joint", "pairs"])
@pytest.mark.parametrize(("name", "prior"), [("gaussian", Gaussian), ("uniform", Uniform)])
def test_a_prior_by_name_is_that_prior_in_the_models_dimension(name, prior, views):
    rows = normal(40, 3)
    by_name = MMD(name, views=views)
    assert value(by_name, rows) == value(MMD(prior(3), views=views), rows)
    assert value(by_name, rows[:, :2]) == value(MMD(prior(2), views=views), rows[:, :2])  # the same objective, another model
    assert by_name.prior_for(3) == prior(3)
    assert eval(repr(by_name), vars(sl.objectives)) == by_name


@pytest.mark.parametrize("kind", ALL)
def test_a_prior_by_name_trains_and_is_sampled(kind):
    run = sl.fit(toy_model(), normal(100, 6), kind("gaussian"), **QUICK | {"steps": 5})
    named = sl.fit(toy_model(), normal(100, 6), kind(Gaussian(2)), **QUICK | {"steps": 5})
    assert torch.equal(weights(run.model), weights(named.model))
    assert torch.equal(run.sample(5), run.sample(5, prior="gaussian"))
    assert not torch.equal(run.sample(5), run.sample(5, prior="uniform"))


def test_a_prior_by_name_meets_the_model_before_training():
    with pytest.raises(ValueError, match="views='pairs' needs a prior of at least 2 dimensions"):
        MMD("gaussian", views="pairs").check(toy_model(1))
    with pytest.raises(ValueError, match=r"subset must be at most the 1 view\(s\) of 'pairs'"):
        MMD("uniform", views="pairs", subset=2).check(toy_model(2))


@dataclass(frozen=True)
class WrongDraws(Prior):
    """A user's own prior that draws what it should not."""

    kind: str = "wide"

    def _draw(self, n, generator, device):
        shape = {"wide": (n, self.dim + 1), "flat": (n,), "long": (n + 1, self.dim), "nan": (n, self.dim)}[self.kind]
        return torch.full(shape, math.nan) if self.kind == "nan" else torch.zeros(shape)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (lambda n: torch.zeros(n), r"must have shape \(n, d\)"),
        (lambda n: torch.zeros(n + 1, 2), r"\(8, 2\), got \(9, 2\)"),
        (lambda n: torch.full((n, 2), math.nan), "NaN or infinite"),
        (torch.tensor([[0.0, math.nan], [0.0, 0.0]]), "NaN or infinite"),
        (torch.zeros(5), r"must have shape \(n, d\)"),
        (WrongDraws(2, "wide"), r"\(4, 2\), got \(4, 3\)"),
        (WrongDraws(2, "flat"), r"must have shape \(n, d\)"),
        (WrongDraws(2, "long"), r"\(4, 2\), got \(5, 2\)"),
        (WrongDraws(2, "nan"), "NaN or infinite"),
    ],
)
def test_a_prior_that_draws_what_it_should_not_is_refused_when_the_objective_is_made(kind, prior, words):
    with pytest.raises(ValueError, match=words):
        kind(prior)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("prior", [None, "cauchy", 3, Gaussian], ids=str)
def test_what_is_no_prior_is_refused(kind, prior):
    with pytest.raises((TypeError, ValueError), match="prior"):
        kind(prior)


@pytest.mark.parametrize("kind", ALL)
def test_a_prior_of_another_dimension_is_refused_at_fit(kind):
    with pytest.raises(ValueError, match=r"prior must have 2 dimension\(s\) as the codes do, got 3"):
        sl.fit(toy_model(), normal(100, 6), kind(Gaussian(3)), **QUICK)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(("latents", "dim"), [(1, 3), (3, 1), (2, 3)])  # 1 would broadcast
def test_a_model_that_does_not_say_its_dim_is_refused_at_the_first_step(kind, latents, dim):
    model = Identity(latents)
    del model.dim
    with pytest.raises(ValueError, match=rf"prior must have {latents} dimension\(s\) as the codes do, got {dim}"):
        sl.fit(model, normal(100, latents), kind(Gaussian(dim)), **QUICK)


# settings


@pytest.mark.parametrize("kind", ALL)
def test_a_weight_of_zero_is_the_plain_autoencoder_to_the_bit(kind, digits):
    one, two = (sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=16) for _ in range(2))
    sl.fit(one, digits, kind(Gaussian(2), weight=0.0), **QUICK)
    sl.fit(two, digits, Reconstruction(), **QUICK)
    assert torch.equal(weights(one), weights(two))


@pytest.mark.parametrize("kind", ALL)
def test_whole_numbers_are_weights_too(kind):
    assert terms(kind(Gaussian(2), weight=3), normal(20, 2)) == terms(kind(Gaussian(2), weight=3.0), normal(20, 2))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"weight": -1.0}, ValueError, "weight must be >= 0"),
        ({"weight": math.nan}, ValueError, "weight must be >= 0"),
        ({"weight": math.inf}, ValueError, "weight must be >= 0"),
        ({"weight": "big"}, TypeError, "weight must be a number"),
        ({"weight": True}, TypeError, "weight must be a number"),
        ({"schedule": 0.5}, TypeError, "schedule must be a function of the step"),
        ({"likelihood": "laplace"}, ValueError, "likelihood must be one of"),
    ],
)
def test_bad_settings_are_named(kind, options, error, words):
    with pytest.raises(error, match=words):
        kind(Gaussian(2), **options)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MMD(Gaussian(2), views="triples"), ValueError, "views must be one of"),
        (lambda: MMD(Gaussian(2), kernel="rbf"), TypeError, "kernel must be a Kernel"),
        (lambda: MMD(Gaussian(2), kernel=RBF), TypeError, "kernel must be a Kernel"),
        (lambda: MMD(Gaussian(2), kernel=RBF(-1.0)), ValueError, "bandwidth must be > 0"),
        (lambda: MMD(Gaussian(1), views="pairs"), ValueError, "at least 2 dimensions, got 1"),
        (lambda: MMD(Gaussian(3), views="pairs", subset=4), ValueError, r"subset must be at most the 3 view\(s\) of 'pairs'"),
        (lambda: MMD(Gaussian(3), views="pairs", subset=0), ValueError, "subset must be at least 1"),
        (lambda: MMD(Gaussian(3), views="pairs", subset=1.5), TypeError, "subset must be a whole number"),
        (lambda: MMD(Gaussian(3), subset=2), ValueError, r"at most the 1 view\(s\) of 'joint'"),
        (lambda: MMD(torch.zeros(5, 2)), ValueError, "points coincide"),
        (lambda: SlicedWasserstein(Gaussian(2), projections=0), ValueError, "projections must be at least 1"),
        (lambda: Ramp(0), ValueError, "end must be at least 1"),
        (lambda: Ramp(10, begin=10), ValueError, "end must be at least 11"),
        (lambda: Ramp(10, begin=-1), ValueError, "begin must be at least 0"),
        (lambda: Ramp(10, start=1.1), ValueError, "start must be between 0 and 1"),
        (lambda: Ramp(10, start=-0.1), ValueError, "start must be >= 0"),
        (lambda: Ramp(10.0), TypeError, "end must be a whole number"),
    ],
)
def test_bad_settings_of_one_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("kind", ALL)
def test_one_row_is_too_few(kind):
    with pytest.raises(ValueError, match="batch_size must be at least 2, got 1"):
        sl.fit(toy_model(), normal(100, 6), kind(Gaussian(2)), **QUICK | {"batch_size": 1})
    with pytest.raises(ValueError, match="data must have at least 2 rows for"):
        sl.fit(toy_model(), normal(1, 6), kind(Gaussian(2)), **QUICK | {"batch_size": None})
    assert math.isfinite(value(kind(Gaussian(2)), normal(2, 2)))


def test_histories_hold_the_names_that_are_promised():
    prior = Gaussian(2)
    goal = MMD(prior) + MMD(prior, views="marginal") + MMD(prior, views="pairs") + SlicedWasserstein(prior)
    history = sl.fit(toy_model(), normal(100, 6), goal, **QUICK | {"steps": 3}).history
    names = ["mmd2", "mmd2_marginal", "mmd2_pairs", "sliced_wasserstein"]
    assert list(history.columns) == ["step", "loss", "reconstruction", *names, "seconds"]
    total = history["reconstruction"] + history[names] @ [100.0, 200.0, 200.0, 10.0]  # the views weigh dim times as much
    assert np.allclose(history["loss"], total, rtol=1e-4)


def test_repr_can_be_pasted_back():
    names = {**vars(sl.objectives), **vars(sl.priors), **vars(sl.kernels)}
    made = [MMD(Gaussian(2), kernel=RBF(0.5), views="pairs", subset=1, schedule=Ramp(10)), EnergyDistance(Uniform(2), weight=3.0),
            SlicedWasserstein(Gaussian(2), projections=7)]  # fmt: skip
    for objective in made:
        assert eval(repr(objective), names) == objective


# training


@pytest.mark.parametrize("kind", ALL)
def test_the_same_seed_gives_the_same_bits(kind):
    rows = normal(200, 6)
    a, b, c = (weights(sl.fit(toy_model(), rows, kind(Gaussian(2)), **QUICK, seed=s).model) for s in (7, 7, 8))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize(
    "objective",
    [MMD(Gaussian(3), views="pairs", subset=1, schedule=Ramp(30, start=0.2)), SlicedWasserstein(Gaussian(3), schedule=Ramp(30))],
    ids=["MMD", "sliced"],
)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(objective, tmp_path):
    rows, options = normal(200, 6), QUICK | {"scheduler": "constant", "log_every": 5}
    whole = sl.fit(toy_model(3), rows, objective, **options)
    sl.fit(toy_model(3), rows, objective, **options | {"steps": 15}, checkpoint=tmp_path / "a.pt")
    resumed = sl.fit(toy_model(3, seed=9), rows, objective, **options, checkpoint=tmp_path / "a.pt")
    assert torch.equal(weights(whole.model), weights(resumed.model))
    assert resumed.history[["step", "loss"]].equals(whole.history[["step", "loss"]])


class Late:
    def __call__(self, step):
        return float(step > 5)


@pytest.mark.parametrize(
    "schedule",
    [lambda: lambda step: min(1.0, step / 20), lambda: partial(min, 0.5), lambda: Late().__call__, Late],
    ids=["lambda", "partial", "method", "object"],
)
def test_a_run_resumes_with_a_schedule_made_anew(schedule, tmp_path):
    first, second = schedule(), schedule()
    assert first is not second
    rows, options = normal(200, 6), QUICK | {"scheduler": "constant", "log_every": 5, "checkpoint": tmp_path / "a.pt"}
    whole = sl.fit(toy_model(), rows, MMD(Gaussian(2), schedule=first), **options | {"checkpoint": None})
    sl.fit(toy_model(), rows, MMD(Gaussian(2), schedule=first), **options | {"steps": 15})
    resumed = sl.fit(toy_model(seed=9), rows, MMD(Gaussian(2), schedule=second), **options)
    assert torch.equal(weights(whole.model), weights(resumed.model))
    with pytest.raises(ValueError, match=r"belongs to another training \(objective: .* there, .*<function normal>.* here\)"):
        sl.fit(toy_model(), rows, MMD(Gaussian(2), schedule=normal), **options)


def test_a_checkpoint_knows_no_addresses(tmp_path):
    path, rows = tmp_path / "a.pt", normal(200, 6)
    goal = MMD(Gaussian(2), schedule=lambda step: 1.0)
    sl.fit(toy_model(), rows, goal, **QUICK, checkpoint=path)
    content = torch.load(path, weights_only=True)
    assert "schedule=<function test_a_checkpoint_" in content["settings"]["objective"]
    assert "0x" not in content["settings"]["objective"]


@pytest.mark.parametrize("kind", ALL)
def test_samples_of_a_stochastic_encoder_are_compared(kind):
    run = sl.fit(toy_model(stochastic=True), normal(200, 6), kind(Gaussian(2)), **QUICK)
    assert np.isfinite(run.history["loss"]).all()
    model, objective = toy_model(stochastic=True), kind(Gaussian(2))
    batch = objective.batch(model, normal(50, 6), 50, torch.Generator().manual_seed(0))
    assert not torch.equal(batch.codes, batch.posterior.mean)


@pytest.mark.parametrize("kind", ALL)
def test_models_in_double_precision(kind):
    run = sl.fit(toy_model().double(), normal(100, 6), kind(Gaussian(2)), **QUICK | {"steps": 5})
    assert run.encode(normal(3, 6)).dtype == torch.float64
    one, two = (value(kind(Gaussian(2)), normal(50, 2).to(t)) for t in (torch.float32, torch.float64))
    assert one == pytest.approx(two, rel=1e-4, abs=1e-5)


def loop(seed, n=1000):
    """A closed curve in six dimensions, more of it on one side than on the other, and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(n, generator=generator) * 2 * math.pi
    angle = angle + 0.8 * angle.sin()
    curve = torch.stack([angle.cos(), angle.sin(), (2 * angle).cos(), (2 * angle).sin()], 1)
    return curve @ torch.randn(4, 6, generator=generator) + 0.05 * torch.randn(n, 6, generator=generator)


def test_training_brings_the_codes_of_a_loop_to_a_ring():
    """MMD^2 of 500 codes and 500 draws ends within the range for two samples of draws, for each of three seeds."""
    kernel = IMQ().fit(ring(10_000, torch.Generator().manual_seed(1)))
    noise = torch.Generator().manual_seed(2)
    null = [sl.mmd2(ring(500, noise), ring(500, noise), kernel).item() for _ in range(100)]
    for seed in range(3):
        rows, target = loop(seed), ring(500, torch.Generator().manual_seed(99))
        before, after = (
            sl.mmd2(sl.fit(toy_model(seed=seed), rows, goal, **LONG, seed=seed).encode(rows[:500]), target, kernel).item()
            for goal in (Reconstruction(), MMD(ring))
        )
        assert before > 10 * max(null)
        assert after < max(null)


@pytest.mark.parametrize("kind", [EnergyDistance, SlicedWasserstein])
def test_so_do_the_other_distances(kind):
    rows, target, kernel = loop(0), ring(500, torch.Generator().manual_seed(99)), IMQ(base=4.0)
    run = sl.fit(toy_model(), rows, kind(ring, weight=100.0), **LONG)
    assert sl.mmd2(run.encode(rows[:500]), target, kernel).item() < 0.02 < sl.mmd2(normal(500, 2), target, kernel).item()


# sliced MMD and SIGReg


def epps_pulley(z, limit):
    """N integral over |t| <= limit of |phi_N(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2), by scipy's adaptive quadrature."""

    def integrand(t):
        return abs(np.exp(1j * t * z).mean() - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2)

    return len(z) * 2 * quad(integrand, 0, limit, epsabs=1e-13, epsrel=1e-12, limit=500)[0]


@pytest.mark.parametrize(
    "codes", [normal(100, 1), 3 * normal(64, 1, 1) + 2, normal(200, 1, 2) ** 3], ids=["normal", "far", "cubed"]
)
def test_sigreg_is_the_epps_pulley_integral(codes):
    codes = codes.double()
    expected = epps_pulley(codes[:, 0].numpy(), 12)
    assert value(SIGReg(directions=3), codes) == pytest.approx(expected, abs=1e-6)
    assert value(SIGReg(directions=3), codes.float()) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    biased = sl.sliced_mmd2(codes, "gaussian", directions=3, kernel=RBF(1.0), estimator="biased").item()
    assert len(codes) * math.sqrt(2 * math.pi) * biased == pytest.approx(expected, abs=1e-6)


def test_sigreg_is_the_mean_over_its_directions():
    codes, seed = normal(80, 5).double() * 1.3, 4
    generator = torch.Generator().manual_seed(seed)
    draws(Gaussian(5), 80, seed)
    Gaussian(5).sample(80, generator)  # an objective draws its prior first
    u = torch.nn.functional.normalize(torch.randn(5, 6, generator=generator), dim=0).double()
    expected = np.mean([epps_pulley(z, 12) for z in (codes @ u).T.numpy()])
    assert value(SIGReg(directions=6), codes, seed) == pytest.approx(expected, abs=1e-6)


def test_truncated_sigreg_is_the_published_rule():
    """The trapezoid rule with 17 knots on [0, 3], doubled: half weights at the ends, times the window and the number of codes."""
    z = 1.4 * normal(50, 1).double()[:, 0] + 0.3
    t = np.linspace(0, 3, 17)
    phi = np.exp(1j * t[:, None] * z.numpy()).mean(1)
    expected = 50 * 2 * trapezoid(np.abs(phi - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2), t)
    found = value(SIGReg(directions=2, knots=17), z[:, None])
    assert found == pytest.approx(expected, abs=1e-10)
    assert found == pytest.approx(epps_pulley(z.numpy(), 3), rel=0.005)  # the error of 17 knots
    assert value(SIGReg(directions=2, knots=2000), z[:, None]) == pytest.approx(epps_pulley(z.numpy(), 3), abs=1e-6)


def test_sigreg_of_normal_codes_has_its_known_mean():
    """E of b sqrt(2 pi) biased MMD^2 is sqrt(2 pi) (1 - 1 / sqrt 3)."""
    values = [value(SIGReg(directions=8), normal(64, 4, s), s) for s in range(100)]
    assert np.mean(values) == pytest.approx(math.sqrt(2 * math.pi) * (1 - 3**-0.5), rel=0.1)


@pytest.mark.parametrize("prior", [Gaussian(3), Uniform(3), UNEQUAL], ids=["gaussian", "uniform", "unequal"])
def test_sliced_mmd_is_the_function_of_the_same_draws(prior):
    codes = normal(64, 3) * 1.5
    found = value(SlicedMMD(prior, kernel=RBF(1.0)), codes, seed=3)
    assert found == pytest.approx(sl.sliced_mmd2(codes, prior, kernel=RBF(1.0), seed=3).item(), abs=1e-6)
    assert value(SlicedMMD(prior), codes, 3) == pytest.approx(sl.sliced_mmd2(codes, prior, seed=3).item(), abs=1e-6)


def test_an_open_width_of_sliced_mmd_does_not_follow_the_codes():
    objective = SlicedMMD(Gaussian(3), kernel=RBF())
    first = value(objective, normal(64, 3))
    value(objective, 50 * normal(64, 3))
    assert value(objective, normal(64, 3)) == first


@pytest.mark.parametrize(
    "objective", [SlicedMMD(Uniform(2), 300.0, directions=16), SIGReg(directions=16), SIGReg(directions=16, knots=17)], ids=repr
)
def test_sliced_objectives_train(objective, tmp_path):
    rows = normal(512, 6)
    runs = [sl.fit(toy_model(), rows, o, seed=0, **LONG) for o in (Reconstruction(), objective)]
    distances = [sl.mmd2(run.codes(rows)["codes"], objective.prior_for(2)).item() for run in runs]
    assert distances[1] < 0.2 * distances[0]
    runs[1].save(tmp_path / "run.pt")
    assert sl.load_run(tmp_path / "run.pt").objective == objective
    assert np.isfinite(terms(objective + Reconstruction(), normal(8, 2))["loss"])


@pytest.mark.parametrize(("options", "error"), [
    ({"knots": 1}, ValueError), ({"directions": 0}, ValueError), ({"weight": -1.0}, ValueError), ({"knots": 2.5}, TypeError),
])  # fmt: skip
def test_bad_values_of_sigreg(options, error):
    with pytest.raises(error, match=next(iter(options))):
        SIGReg(**options)
