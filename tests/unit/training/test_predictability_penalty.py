"""The predictability penalty: what a predictor may see, nats in closed form, equal latents, training, bits, bad input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sculptlab as sl
from sculptlab.columns import standardize
from sculptlab.priors import Uniform
from sculptlab.training.objectives import MMD, Predictability, Reconstruction
from sculptlab.training.objectives.predictability import (
    EPSILON,
    LARGEST_R2,
    Predictors,
    gaussian_information,
    squared_prediction_correlations,
)

QUICK = {"steps": 30, "batch_size": 64, "device": "cpu", "progress": False}


@pytest.fixture(autouse=True)
def _seeded():
    """Predictors take their weights from the global generator, which `fit` forks; here the test does."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def normal(n, d, seed=0, dtype=torch.float32):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pairs(correlation, n=4000, seed=0):
    """Two columns of a Gaussian with this correlation: each predicts the other as well as can be, up to scale."""
    z = normal(n, 2, seed, torch.float64)
    return torch.stack([z[:, 0], correlation * z[:, 0] + (1 - correlation**2) ** 0.5 * z[:, 1]], 1)


def penalty_of(objective, codes, companions):
    """The term's value for codes that are given."""
    batch = Reconstruction().batch(_Identity(codes.shape[1]), codes, len(codes))
    (term,) = objective.regularizers(batch, companions)
    return term.value


class _Identity(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def encode(self, rows):
        return rows

    decode = encode


class _Neighbor(torch.nn.Module):
    """Predicts each latent by the next one: perfectly for two equal latents."""

    def forward(self, codes):
        return codes.roll(-1, 1)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def model(dim=4, seed=0, **options):
    return sl.build_autoencoder("mlp", image_shape=(dim,), dim=dim, width=32, output="linear", seed=seed, **options)


# the predictors


@pytest.mark.parametrize("dim", [2, 5])
def test_a_predictor_does_not_see_its_own_latent(dim):
    """Units are set by the whole column, which the gradient would show too: so the batch is told its own units."""
    predictors = Predictors(dim, width=8, rounds=1)
    codes = standardize(normal(50, dim), EPSILON).requires_grad_()
    weight = (predictors.into.weight * predictors.others).unflatten(0, (dim, 8))
    for i in range(dim):
        assert (weight[i, :, i] == 0).all()
        assert (weight[i].abs().sum(0) > 0).sum() == dim - 1
        (gradient,) = torch.autograd.grad(predictors(codes)[:, i].square().sum(), codes)
        assert (gradient[:, i] == 0).all()
        assert (gradient.abs().sum(0) > 0).sum() == dim - 1


def test_training_does_not_let_a_predictor_see_its_own_latent():
    predictors, codes = Predictors(3, width=8, rounds=1), normal(200, 3)
    optimizer = torch.optim.Adam(predictors.parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        predictors.loss(codes, None).backward()
        optimizer.step()
    before = predictors(codes)[:, 1]
    codes[:, 1] = normal(200, 1, seed=5)[:, 0]
    assert torch.equal(predictors(codes)[:, 1], before)


def test_a_predictor_reaches_the_best_r2():
    """z_2 = z_0^2 + z_1 up to noise of a tenth of its variance: R^2 = .9 of z_2, on rows that it was not trained on."""
    predictors = Predictors(3, width=64, rounds=1)
    optimizer = torch.optim.Adam(predictors.parameters(), predictors.learning_rate, predictors.betas)

    def sample(seed):
        z = normal(1000, 3, seed)
        signal = (z[:, 0] ** 2 + z[:, 1]) / 3**0.5
        return torch.stack([z[:, 0], z[:, 1], 0.9**0.5 * signal + 0.1**0.5 * z[:, 2]], 1)

    for step in range(600):
        optimizer.zero_grad()
        predictors.loss(sample(step), None).backward()
        optimizer.step()
    codes = sample(10_000)
    with torch.no_grad():
        assert squared_prediction_correlations(codes, predictors(codes))[2].item() == pytest.approx(0.9, abs=0.04)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 1000), shift=st.floats(-30, 30))
@settings(max_examples=30, deadline=None)
def test_the_penalty_does_not_depend_on_a_latents_scale_and_shift(seed, scale, shift):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        predictors = {"predictors": Predictors(3, width=8, rounds=1).double()}
    codes = normal(60, 3, seed, torch.float64)
    changed = codes.clone()
    changed[:, 1] = -codes[:, 1] * scale if shift < 0 else codes[:, 1] * scale
    changed[:, 1] += shift * scale
    flip = torch.tensor([1.0, -1.0 if shift < 0 else 1.0, 1.0])
    once = penalty_of(Predictability(), codes * flip, predictors).item()
    assert penalty_of(Predictability(), changed, predictors).item() == pytest.approx(once, rel=2e-3)  # 1e-8 in the variance


def test_standardized_columns_and_a_constant_one():
    codes = torch.stack([normal(100, 1)[:, 0] * 5 + 3, torch.full((100,), 0.1)], 1).requires_grad_()
    result = standardize(codes, EPSILON)
    assert torch.allclose(result.mean(0), torch.zeros(2), atol=1e-3)  # .1 has no exact mean
    assert torch.allclose(result.std(0, correction=0), torch.tensor([1.0, 0.0]), atol=1e-3)
    result.square().sum().backward()
    assert torch.isfinite(codes.grad).all()


# nats


@pytest.mark.parametrize("correlation", [0.0, 0.3, -0.6, 0.9, 0.99])
def test_a_gaussian_with_the_best_prediction(correlation):
    """The best prediction of z_0 from z_1 is proportional to z_1: r^2 = correlation^2, and nats are the mutual information."""
    z = pairs(correlation)
    explained = squared_prediction_correlations(z, z.roll(-1, 1))
    assert explained.tolist() == pytest.approx([correlation**2] * 2, abs=0.03)
    assert gaussian_information(explained).tolist() == pytest.approx([-0.5 * math.log(1 - correlation**2)] * 2, abs=0.05)
    for name, each in (("nats", -0.5 * math.log(1 - correlation**2)), ("square", correlation**2)):
        found = penalty_of(Predictability(penalty=name), z, {"predictors": _Neighbor()}).item()
        assert found == pytest.approx(2 * each, abs=0.1)


@pytest.mark.parametrize("explained", [0.0, 1e-6, 0.1, 0.5, 0.9, 0.99])
def test_nats_in_closed_form(explained):
    exact = -0.5 * math.log1p(-explained)
    found = gaussian_information(torch.tensor(explained, dtype=torch.float64))
    assert found.item() == pytest.approx(exact, rel=2e-4, abs=0.006 * explained)


def test_nats_are_finite_and_sloped_at_certainty():
    one = torch.tensor([1.0, 1.0 + 1e-6], requires_grad=True)  # rounding may lift r^2 over 1
    found = gaussian_information(one)
    assert found.tolist() == pytest.approx([-0.5 * math.log(1 - LARGEST_R2)] * 2, rel=0.01)
    found.sum().backward()
    assert (one.grad > 1000).all()
    assert torch.isfinite(one.grad).all()


@given(st.floats(0, 1), st.floats(0, 1))
def test_nats_grow(a, b):
    low, high = sorted((a, b))
    assert 0 <= gaussian_information(torch.tensor(low)).item() <= gaussian_information(torch.tensor(high)).item() + 1e-6 < 4.7


def push(penalty, apart):
    """How hard the penalty pushes nearly equal columns, which differ by `apart` standard deviations: the gradient's norm."""
    z = normal(256, 1).repeat(1, 2)
    z[:, 1] += apart * normal(256, 1, seed=1)[:, 0]
    z.requires_grad_()
    penalty_of(Predictability(penalty=penalty), z, {"predictors": _Neighbor()}).backward()
    return z.grad.norm().item()


def test_nearly_equal_latents_are_pushed_harder_by_nats_and_less_by_squares_the_nearer_they_are():
    distances = (0.3, 0.1, 0.03, 0.01)
    by_nats, by_squares = ([push(penalty, apart) for apart in distances] for penalty in ("nats", "square"))
    assert by_nats == sorted(by_nats)
    assert by_squares == sorted(by_squares, reverse=True)
    assert push("nats", 0.001) > 1000 * push("square", 0.001) > 0  # .999998 of r^2: the bound on nats keeps a slope


def test_nearly_equal_latents_are_separated_by_nats_and_hardly_by_squares():
    """Gradient descent on codes: 30 steps from a distance of a hundredth of a standard deviation."""
    separated = {}
    for penalty in ("nats", "square"):
        z = normal(256, 1).repeat(1, 2)
        z[:, 1] += 0.01 * normal(256, 1, seed=1)[:, 0]
        z.requires_grad_()
        for _ in range(30):
            (slope,) = torch.autograd.grad(penalty_of(Predictability(penalty=penalty), z, {"predictors": _Neighbor()}), z)
            z = (z - 0.1 * slope).detach().requires_grad_()
        separated[penalty] = squared_prediction_correlations(z, z.roll(-1, 1)).max().item()
    assert separated["nats"] < 0.9
    assert separated["square"] > 0.999


# training


def mixed_sources(seed, n=1000, d=4):
    """Uniform sources of variance 1, to each of which the sum of all is added: columns correlate by (d + 2) / (d + 3)."""
    sources = (torch.rand(n, d, generator=torch.Generator().manual_seed(seed)) - 0.5) * 12**0.5
    return sources + sources.sum(1, keepdim=True)


def test_trained_latents_cannot_be_predicted_by_another_family_of_regressors():
    """LPS by boosting of four mixed uniform sources, with and without the penalty: means of three seeds."""
    options = {"steps": 400, "batch_size": 256, "learning_rate": 3e-3, "device": "cpu", "progress": False}
    scores, errors = {"plain": [], "predictability": []}, {"plain": [], "predictability": []}
    for seed in range(3):
        rows = mixed_sources(seed)
        for name, goal in (("plain", Reconstruction()), ("predictability", Predictability(rounds=4))):
            run = sl.fit(model(seed=seed), rows, goal, **options, seed=seed)
            scores[name].append(sl.lps(run.encode(rows), "boosting", permutations=0).score)
            errors[name].append(run.reconstruction_error(rows) / rows.var().item())
    assert np.mean(scores["plain"]) > 0.5
    assert np.mean(scores["predictability"]) < 0.15
    assert max(scores["predictability"]) < 0.5 * min(scores["plain"])
    assert np.mean(errors["predictability"]) < 0.1  # and the codes still say what was put in


def test_a_weight_of_zero_is_the_plain_autoencoder_to_the_bit(digits):
    one, two = (sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=3, width=16) for _ in range(2))
    sl.fit(one, digits, Predictability(weight=0.0), **QUICK)
    sl.fit(two, digits, Reconstruction(), **QUICK)
    assert torch.equal(weights(one), weights(two))


OBJECTIVES = [Predictability(width=8), MMD(Uniform(4)) + Predictability(width=8, rounds=3)]


@pytest.mark.parametrize("goal", OBJECTIVES, ids=["predictability", "MMD + predictability"])
def test_the_same_seed_gives_the_same_bits(goal):
    a, b, c = (weights(sl.fit(model(), mixed_sources(0), goal, **QUICK, seed=s).model) for s in (7, 7, 8))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("goal", OBJECTIVES, ids=["predictability", "MMD + predictability"])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(goal, tmp_path):
    rows, options = mixed_sources(0), QUICK | {"scheduler": "constant", "log_every": 5}
    whole = sl.fit(model(), rows, goal, **options)
    sl.fit(model(), rows, goal, **options | {"steps": 15}, checkpoint=tmp_path / "a.pt")
    resumed = sl.fit(model(seed=9), rows, goal, **options, checkpoint=tmp_path / "a.pt")
    assert torch.equal(weights(whole.model), weights(resumed.model))
    assert resumed.history[["step", "loss"]].equals(whole.history[["step", "loss"]])


def test_the_predictors_take_their_rounds(monkeypatch):
    calls = []
    monkeypatch.setattr(Predictors, "loss", lambda self, codes, generator: calls.append(len(codes)) or self(codes).sum())
    sl.fit(model(), mixed_sources(0), Predictability(rounds=3, width=4), **QUICK | {"steps": 2})
    assert calls == [64] * 6


def test_the_history_holds_the_penalty_and_the_loss_its_weighted_sum():
    history = sl.fit(model(), mixed_sources(0), Predictability(weight=2.5), **QUICK).history
    assert list(history.columns) == ["step", "loss", "reconstruction", "predictability", "seconds"]
    assert np.allclose(history["loss"], history["reconstruction"] + 2.5 * history["predictability"], rtol=1e-5)
    assert (history["predictability"] >= 0).all()


def test_chance_adds_about_one_over_the_batch_to_each_square():
    found = [squared_prediction_correlations(normal(50, 4, 2 * i), normal(50, 4, 2 * i + 1)).mean().item() for i in range(200)]
    assert np.mean(found) == pytest.approx(1 / 49, abs=4 * np.std(found) / 200**0.5)


def test_stochastic_encoders_and_double_precision():
    for made in (model(stochastic=True), model().double(), model(stochastic=True).double()):
        run = sl.fit(made, mixed_sources(0), MMD(Uniform(4)) + Predictability(width=8), **QUICK | {"steps": 5})
        assert np.isfinite(run.history["loss"]).all()
    objective, networks = Predictability(), {"predictors": _Neighbor()}
    one, two = (penalty_of(objective, normal(50, 4).to(dtype), networks).item() for dtype in (torch.float32, torch.float64))
    assert one == pytest.approx(two, rel=1e-4)


def test_a_constant_latent_has_no_penalty_and_finite_gradients():
    codes = torch.cat([normal(50, 2), torch.zeros(50, 1)], 1).requires_grad_()
    predictors = {"predictors": Predictors(3, 8, 1)}
    found = penalty_of(Predictability(), codes, predictors)
    found.backward()
    assert torch.isfinite(codes.grad).all()
    assert squared_prediction_correlations(codes, predictors["predictors"](codes))[2].item() == 0


# bad input


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"weight": -1.0}, ValueError, "weight must be >= 0"),
        ({"weight": math.nan}, ValueError, "weight must be >= 0"),
        ({"weight": "1"}, TypeError, "weight must be a number"),
        ({"penalty": "cubes"}, ValueError, "penalty must be one of"),
        ({"width": 0}, ValueError, "width must be at least 1"),
        ({"rounds": 0}, ValueError, "rounds must be at least 1"),
        ({"rounds": 1.5}, TypeError, "rounds must be a whole number"),
    ],
)
def test_bad_settings_are_named(options, error, words):
    with pytest.raises(error, match=words):
        Predictability(**options)


def test_one_latent_two_rows_and_missing_predictors_are_refused():
    with pytest.raises(ValueError, match="at least 2 latents"):
        sl.fit(model(dim=1), mixed_sources(0, d=1), Predictability(), **QUICK)
    with pytest.raises(ValueError, match="at least 2 latents"):
        sl.fit(model(dim=1), mixed_sources(0, d=1), MMD(Uniform(1)) + Predictability(), **QUICK)
    with pytest.raises(ValueError, match="batch_size must be at least 3, got 2"):
        sl.fit(model(), mixed_sources(0), Predictability(), **QUICK | {"batch_size": 2})
    with pytest.raises(ValueError, match="needs its predictors"):
        penalty_of(Predictability(), normal(10, 2), {})


@pytest.mark.parametrize(
    ("options", "dim", "width", "rounds"),
    [
        ({}, 32, 64, 2),
        ({}, 33, 8, 4),
        ({"width": 5}, 33, 5, 4),
        ({"rounds": 8}, 33, 8, 8),
        ({"width": 5, "rounds": 1}, 2, 5, 1),
    ],
)
def test_many_latents_get_smaller_networks_and_more_steps_unless_they_are_given(options, dim, width, rounds):
    networks = Predictability(**options).companions(dim)["predictors"]
    assert (networks.out.shape, networks.rounds) == ((dim, width), rounds)


def test_repr_can_be_pasted_back():
    objective = Predictability(weight=2.0, penalty="square", width=8, rounds=1)
    assert eval(repr(objective), vars(sl.objectives)) == objective
