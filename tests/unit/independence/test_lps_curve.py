"""LPS against the number of codes: closed forms of least squares, what more codes find, chance levels, errors."""

import numpy as np
import pandas as pd
import pytest
import torch

import sculptlab as sl


def gaussian(n, dim, seed, correlation=0.0):
    """Equicorrelated Gaussian codes; R^2 of one from the d - 1 others in closed form."""
    g = torch.Generator().manual_seed(seed)
    common, own = torch.randn(n, 1, generator=g), torch.randn(n, dim, generator=g)
    k = dim - 1
    return correlation**0.5 * common + (1 - correlation) ** 0.5 * own, correlation**2 * k / (1 + (k - 1) * correlation)


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_least_squares_with_few_codes_loses_what_theory_says(n):
    # out-of-sample error of OLS with k Gaussian inputs and an intercept: (1 - R^2) (1 + 1/n) (n - 2) / (n - k - 2)
    dim, k = 5, 4
    held_out, r2 = gaussian(20_000, dim, 999, 0.5)
    expected = 1 - (1 - r2) * (1 + 1 / n) * (n - 2) / (n - k - 2)
    found = [
        sl.lps_curve(gaussian(n, dim, s, 0.5)[0], held_out, "linear", rows=(n,), permutations=0).frame["score"][0]
        for s in range(40)
    ]
    assert np.mean(found) == pytest.approx(expected, abs=3 * np.std(found) / 40**0.5 + 0.01)


def test_what_few_codes_miss_many_find():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(12_000, 6, generator=g)
    z[:, 0] = 0.6 * z[:, 1] * z[:, 2] * z[:, 3] + 0.8 * z[:, 0]  # R^2 = 0.36, by a product of three
    curve = sl.lps_curve(z, rows=(200, 2000, 9000), seed=1)
    assert curve.frame["score"].is_monotonic_increasing
    assert curve.frame["score"].iloc[0] < 0.01 < 0.03 < curve.frame["score"].iloc[-1]
    assert "still rising" in curve.verdict()


@pytest.mark.parametrize("regressor", ["mlp", "linear", "boosting"])
def test_independent_codes_stay_at_chance(regressor):
    curve = sl.lps_curve(gaussian(4000, 4, 0)[0], regressor=regressor, rows=(500, 3000))
    assert (curve.frame["score"] < 0.01).all()
    assert (curve.frame["chance"] < 0.01).all()
    assert curve.verdict() == "no longer rising"


def test_a_ring_is_seen_by_its_squares_and_bits():
    angle = 2 * np.pi * np.random.default_rng(0).random(3000)
    z = np.stack([np.cos(angle), np.sin(angle)], 1)
    for target, least in (("square", 0.95), ("distribution", 1.5)):
        assert sl.lps_curve(z, target=target, rows=(2000,)).frame["score"][0] > least


def test_units_do_not_matter():
    z, _ = gaussian(3000, 3, 0, 0.5)
    a, b = (
        sl.lps_curve(codes, regressor="linear", rows=(100, 2000)).frame for codes in (z, (z + 1) * torch.tensor([1e8, 1, 1e-6]))
    )
    np.testing.assert_allclose(a["score"], b["score"], atol=1e-4)


def test_agrees_with_scikit_learn_by_hand():
    from sklearn.linear_model import LinearRegression

    (z, _), (held_out, _) = gaussian(500, 3, 0, 0.5), gaussian(700, 3, 1, 0.5)
    found = sl.lps_curve(z, held_out, LinearRegression(), rows=(500,), permutations=0).frame["score"][0]
    a, b = z.double().numpy(), held_out.double().numpy()
    others = [[j for j in range(3) if j != i] for i in range(3)]
    by_hand = [LinearRegression().fit(a[:, o], a[:, i]).score(b[:, o], b[:, i]) for i, o in enumerate(others)]
    assert found == pytest.approx(np.mean(by_hand), abs=1e-6)


def test_only_some_latents_are_predicted():
    z, _ = gaussian(600, 5, 0, 0.5)
    z[:, 2] = 7.0
    curve = sl.lps_curve(z, regressor="linear", latents=2)
    assert len(curve.latents) == 2
    assert 2 not in curve.latents
    assert curve.dead == [2]
    assert "inactive: 2" in repr(curve)


def test_column_names_survive():
    z = pd.DataFrame(gaussian(200, 3, 0, 0.5)[0].numpy(), columns=["a", "b", "c"]).assign(off=0.0)
    curve = sl.lps_curve(z, regressor="linear", rows=(100,))
    assert curve.latents == ("a", "b", "c")
    assert curve.dead == ["off"]


def test_defaults_grow_to_all_codes_and_draw_themselves():
    curve = sl.lps_curve(gaussian(3000, 3, 0)[0], regressor="linear")
    assert curve.frame["n"].tolist() == [500, 2000, 2400]
    assert curve.scored == 600
    assert "LPS (linear, mean)" in repr(curve)
    assert curve.plot().axes[0].get_xscale() == "log"
    ax = curve.plot().axes[0]
    assert curve.plot(ax) is ax


def test_the_same_seed_gives_the_same_numbers():
    z, _ = gaussian(1500, 4, 0, 0.3)
    a, b, c = (sl.lps_curve(z, seed=seed).frame for seed in (0, 0, 1))
    assert a.equals(b)
    assert not a.equals(c)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": (10,)}, "rows must be a whole number of at least 20|rows"),
        ({"rows": (5000,)}, "rows must be numbers between 20 and the 800"),
        ({"rows": ()}, "rows must be numbers"),
        ({"latents": 9}, "latents must be 'all' or at most the 3"),
        ({"regressor": "forest"}, "regressor must be one of"),
        ({"target": "median"}, "target"),
        ({"held_out": np.zeros((5, 2))}, "held_out must have"),
        ({"z": np.zeros((100, 3))}, "at least 2 columns that vary"),
        ({"z": np.full((100, 3), np.nan)}, "z"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        sl.lps_curve(**{"z": gaussian(1000, 3, 0)[0], **arguments})


def test_the_docstring_tells_the_truth():
    import doctest

    (example,) = doctest.DocTestFinder().find(sl.lps_curve, "lps_curve", globs={"lps_curve": sl.lps_curve, "torch": torch})
    assert doctest.DocTestRunner().run(example) == (0, 3)
