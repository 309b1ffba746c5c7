"""LPS: closed forms, its chance level, its blind spot and the targets that cover it, and every kind of input."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sculptlab.independence import networks
from sculptlab.independence.lps import lps
from sculptlab.plots.style import Picture, panels
from sculptlab.series.reference_codes.mixing import mixed
from sculptlab.threads import one_thread

REGRESSORS = ("linear", "mlp", "boosting")


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def parabola(n, d=3, seed=0):
    z = normal(n, d, seed)
    z[:, 1] = z[:, 0] ** 2
    return z


def exclusive_or(n, seed=0):
    z = normal(n, 3, seed)
    z[:, 2] = np.abs(z[:, 2]) * np.sign(z[:, 0] * z[:, 1])
    return z


@pytest.fixture
def _short_networks(monkeypatch):
    """At most 300 steps, where the score of "mlp" does not matter: on latents that are certain it goes on to the last step."""
    monkeypatch.setattr(networks, "MAX_STEPS", 300)


def rotated_square(n, seed=0):
    u = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    return np.stack([u[:, 0] + u[:, 1], u[:, 0] - u[:, 1]], 1)


# closed forms


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.floats(0, 0.95))
def test_equicorrelated_gaussians(seed, d, rho):
    """R^2 = rho^2 (d - 1) / (1 + (d - 2) rho), from the inverse of the correlation matrix."""
    n = 4000
    rng = np.random.default_rng(seed)
    z = math.sqrt(rho) * rng.normal(size=(n, 1)) + math.sqrt(1 - rho) * rng.normal(size=(n, d))
    truth = rho**2 * (d - 1) / (1 + (d - 2) * rho)
    found = lps(z * rng.uniform(0.1, 50, d) - 7, "linear", permutations=0)
    # the spread of a squared correlation is 2 R (1 - R^2) / sqrt n; six of them, and 2 d / n for what the fit loses
    assert found.score == pytest.approx(truth, abs=6 * 2 * math.sqrt(truth) * (1 - truth) / math.sqrt(n) + 2 * d / n + 1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_any_gaussian(seed, d):
    """R_i^2 = 1 - 1 / (S_ii (S^-1)_ii) for the covariance S, whatever it is."""
    n, rng = 4000, np.random.default_rng(seed)
    root = rng.normal(size=(d, d)) + np.diag(rng.uniform(0.5, 2, d))
    covariance = root @ root.T
    truth = 1 - 1 / (np.diag(covariance) * np.diag(np.linalg.inv(covariance)))
    found = lps(rng.normal(size=(n, d)) @ root.T, "linear", permutations=0)
    assert found.raw == pytest.approx(truth, abs=0.08)
    spread = 2 * np.sqrt(truth) * (1 - truth) / math.sqrt(n)
    assert (np.abs(found.raw - truth) < 6 * spread + 2 * d / n + 1e-3).all()


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_a_bent_pair(seed, bend):
    """Of two normal sources mixed with a bend b, b^2 of z1's variance is known from z0, and nothing of z0's from z1's mean."""
    z = mixed("gaussian", 0, bend, n=3000, seed=seed).codes
    found = lps(z, permutations=0, seed=seed)
    assert bend**2 - 0.06 < found.raw[1] < bend**2 + 0.06
    assert found.raw[0] < 0.03


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_a_duplicated_dimension_is_1_for_both(regressor):
    z = normal(2000, 3)
    found = lps(np.column_stack([z, z[:, 0]]), regressor, permutations=0)
    assert found.per_dimension[[0, 3]] == pytest.approx([1, 1], abs=0.03)
    assert found.per_dimension[[1, 2]] == pytest.approx([0, 0], abs=0.01)
    assert found.score == pytest.approx(0.5, abs=0.02)


def test_a_parabola_is_invisible_to_linear_regression_and_not_to_networks():
    """z1 = z0^2: E[z1 | z0] = z1, E[z0 | z1] = 0, so that one of the dimensions is predicted wholly."""
    z = parabola(3000)
    assert lps(z, "linear", permutations=0).score < 0.02
    for regressor in ("mlp", "boosting"):
        found = lps(z, regressor, permutations=0)
        assert found.per_dimension[1] > 0.85
        assert found.per_dimension[0] < 0.02
        assert 0.28 < found.score <= 1 / 3 + 0.005


@pytest.mark.parametrize("regressor", ["mlp", "boosting"])
def test_the_three_way_sign_is_seen_from_all_others_at_once(regressor):
    """E[z2 | z0, z1] = sign(z0 z1) E|z2|: R^2 = 2 / pi for each of the three; no pair shows anything."""
    z = exclusive_or(6000)
    assert 0.5 < lps(z, regressor, permutations=0).score < 2 / math.pi + 0.02
    assert lps(z, "linear", permutations=0).score < 0.005
    assert lps(z[:, :2], regressor, permutations=0).score < 0.005


@pytest.mark.parametrize("regressor", REGRESSORS)
@pytest.mark.parametrize("target", ["mean", "square", "distribution"])
def test_independent_columns_score_nothing(regressor, target):
    rng = np.random.default_rng(3)
    z = np.column_stack([rng.normal(size=2000), rng.uniform(size=2000), rng.standard_t(5, 2000), rng.exponential(size=2000)])
    found = lps(z, regressor, target, permutations=0)
    assert found.score <= 0.01
    assert (found.raw[~np.isnan(found.raw)] < 0.03).all()


def test_a_rotated_gaussian_scores_nothing():
    rotation = np.linalg.qr(normal(6, 6, 5))[0]
    assert lps(normal(2000, 6) @ rotation, permutations=0).score < 0.01


# the blind spot, and what covers it


def test_a_rotated_square_is_invisible_to_the_mean_alone():
    """z0 = u + v, z1 = u - v: E[z0 | z1] = 0; z0 is uniform within 2 - |z1|, so E[z0^2 | z1] = (2 - |z1|)^2 / 3.

    With t = 2 - |z1| of density t / 2 on (0, 2): E t^2 = 2, E t^4 = 16/3; var(z0^2) = E t^4 / 5 - (2/3)^2 = 28/45;
    R^2 = ((16/3 - 4) / 9) / (28/45) = 5/21.
    """
    z = rotated_square(8000)
    assert lps(z, permutations=0).score < 0.01
    assert lps(z, target="square", permutations=0).score == pytest.approx(5 / 21, abs=0.02)
    assert lps(z, target="distribution", permutations=0).score > 0.1


def test_the_information_of_a_copied_latent_is_the_entropy_of_its_bins():
    z = normal(4000, 2)
    found = lps(np.column_stack([z, z[:, 0]]), target="distribution", permutations=0)
    assert found.per_dimension[[0, 2]] == pytest.approx([3, 3], abs=0.35)
    assert found.per_dimension[1] == pytest.approx(0, abs=0.01)
    assert found.unit == "bits"


def test_the_information_stays_below_that_of_a_gaussian_pair():
    """I = -1/2 log2(1 - rho^2) bits; binning and a finite fit can only lose some of it."""
    rho, z = 0.8, normal(8000, 2)
    z[:, 1] = rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1]
    truth = -0.5 * math.log2(1 - rho**2)
    found = lps(z, target="distribution", permutations=0)
    assert 0.75 * truth < found.score < truth + 0.02


# cross-fitting, interval, chance level


def test_any_regressor_of_scikit_learn_is_cross_fitted():
    z = parabola(300)
    found = lps(z, Ridge(alpha=1e-6), folds=3, permutations=0)
    ours = lps(z, "linear", folds=3, permutations=0)
    assert found.raw == pytest.approx(ours.raw, abs=1e-6)
    assert found.regressor == "Ridge"


def test_linear_agrees_with_scikit_learn_left_out_row_by_row():
    z = normal(60, 3) @ normal(3, 3, 1)
    found = lps(z, "linear", permutations=0)
    assert found.folds == 60
    for i in range(3):
        predicted = cross_val_predict(LinearRegression(), np.delete(z, i, 1), z[:, i], cv=KFold(60))
        assert found.raw[i] == pytest.approx(r2_score(z[:, i], predicted), abs=1e-6)


def test_no_row_is_predicted_by_a_model_that_saw_it():
    """A forest that remembers its rows would score near 1 on noise."""
    forest = RandomForestRegressor(20, bootstrap=False, max_features=1.0)
    assert lps(normal(300, 3), forest, permutations=0).score < 0.02


def test_the_interval_holds_what_is_known_about_as_often_as_it_says():
    rho, truth, inside = 0.6, 0.36, 0
    for seed in range(60):
        z = normal(400, 2, seed)
        z[:, 1] = rho * z[:, 0] + 0.8 * z[:, 1]
        low, high = lps(z, "linear", permutations=0).interval
        inside += low <= truth <= high
    assert 50 <= inside <= 60  # binomial(60, 0.95) falls below 50 three times in ten thousand


@pytest.mark.parametrize("target", ["mean", "square"])
def test_the_level_of_the_permutation_test(target):
    with one_thread():
        p = np.array([lps(normal(100, 3, seed), "linear", target).p_value for seed in range(50)])
    assert (p <= 0.05).sum() <= 8  # binomial(50, 0.05) exceeds 8 once in a thousand
    assert p.min() >= 0.05


def test_the_chance_level_is_that_of_independent_columns_with_these_marginals():
    z = parabola(200)
    found = lps(z, "linear", permutations=60)
    rng = np.random.default_rng(1)
    fresh = [lps(np.column_stack([rng.permutation(c) for c in z.T]), "linear", permutations=0).score for _ in range(60)]
    assert found.floor == pytest.approx(np.mean(fresh), abs=4 * np.std(fresh) / 60**0.5 + 1e-4)
    assert len(found.null) == 60
    assert found.floor == found.null.mean()


def test_the_p_value_counts_and_names_its_resolution():
    found = lps(normal(200, 2) @ [[1, 1], [0, 0.5]], "linear", permutations=9)
    assert found.p_value == 0.1
    assert "at least 0.1 with 9 permutations" in repr(found)
    assert math.isnan(lps(normal(200, 2), "linear", permutations=0).p_value)


@pytest.mark.usefixtures("_short_networks")
def test_the_seed_decides_everything():
    z = normal(200, 3)
    first, again, other = (lps(z, permutations=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.raw, again.raw)
    assert np.array_equal(first.null, again.null)
    assert first.interval == again.interval
    assert not np.array_equal(first.raw, other.raw)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(-3, 3).filter(lambda a: abs(a) > 1e-3), min_size=3, max_size=3))
def test_shift_scale_and_order_do_not_matter(seed, scales):
    z = parabola(80, seed=seed)
    found, moved = (lps(q, "linear", permutations=0) for q in (z, (z * scales + [5, -5, 1e3])[:, ::-1]))
    assert moved.raw[::-1] == pytest.approx(found.raw, abs=1e-5)


# inactive latents


@pytest.mark.usefixtures("_short_networks")
def test_inactive_latents_are_left_out_and_named():
    z = parabola(500, 4)
    padded = np.insert(z, 2, 7.0, axis=1)
    found, clean = (lps(q, permutations=3) for q in (padded, z))
    assert found.dead == [2]
    assert found.score == clean.score
    assert np.isnan(found.per_dimension[2])
    assert np.array_equal(found.null, clean.null)
    assert "inactive: 2" in repr(found)
    assert found.to_frame()["dead"].tolist() == [False, False, True, False, False]


def test_what_varies_by_rounding_alone_is_inactive():
    z = torch.from_numpy(parabola(300)).float()
    z[:, 2] = 1e6 + torch.randn(300, generator=torch.Generator().manual_seed(0)).sign() * 0.0625  # a step of float32 there
    assert lps(z, "linear", permutations=0).dead == [2]


def test_one_active_latent_has_nothing_to_be_predicted_from():
    z = np.column_stack([normal(50, 1), np.ones(50)])
    found = lps(z)
    assert (found.score, found.p_value, found.dead) == (0, 1, [1])


def test_without_an_active_latent_there_is_no_score():
    found = lps(np.ones((50, 3)))
    assert math.isnan(found.score)
    assert math.isnan(found.p_value)
    assert found.dead == [0, 1, 2]
    assert "no latent varies" in repr(found)


def test_squares_that_are_constant_are_predicted_by_nothing():
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (200, 2))
    assert lps(np.column_stack([signs, normal(200, 1)]), "linear", "square", permutations=0).score < 0.01


# rows that are not independent, values that tie


def test_repeated_rows_are_warned_of():
    z = parabola(300)
    with pytest.warns(UserWarning, match="z has 50% repeated rows"):
        lps(np.concatenate([z, z]), "linear", permutations=0)


@pytest.mark.filterwarnings("error")
def test_ties_are_no_repeats():
    rng = np.random.default_rng(0)
    for z in (rng.integers(0, 2, (500, 3)), rng.integers(0, 40, (500, 2)), np.maximum(rng.normal(size=(500, 3)), 0)):
        lps(z, "linear", permutations=0)
    lps(np.column_stack([rng.integers(0, 250, 500), rng.normal(size=500)]), "linear", permutations=0)
    lps(np.column_stack([rng.integers(0, 250, 500), np.ones(500)]), "linear", permutations=0)


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_sparse_codes_and_their_negative_score_the_same(regressor, monkeypatch):
    """A copied latent that is 0 in nine rows of ten: what is shared is the entropy of its two bins."""
    z = normal(2000, 3)
    z[:, 0] = z[:, 1] = np.random.default_rng(1).random(2000) < 0.1
    if regressor == "mlp":
        monkeypatch.setattr(networks, "MAX_STEPS", 300)  # at most 0.0003 from the entropy, for four seeds
    share = z[:, 0].mean()
    entropy = -(share * math.log2(share) + (1 - share) * math.log2(1 - share))
    for codes in (z, -z):
        found = lps(codes, regressor, "distribution", permutations=0)
        assert found.raw[:2] == pytest.approx([entropy, entropy], abs=0.02)
        assert found.raw[2] < 0.005


@pytest.mark.parametrize("n", [20, 30, 60, 75])
def test_boosting_of_the_distribution_on_few_rows(n):
    assert lps(normal(n, 3), "boosting", "distribution", permutations=1).score < 0.05


def test_a_class_that_occurs_once_or_alone():
    z = normal(200, 3)
    z[:, 0] = 0
    z[7, 0] = 1
    assert np.isfinite(lps(z, "boosting", "distribution", permutations=0).raw).all()


def test_near_copies_are_distinguished():
    """z1 = z0 + e z2: with all the others at hand, z2 = (z1 - z0) / e is certain."""
    z = normal(1000, 3)
    z[:, 1] = z[:, 0] + 1e-4 * z[:, 2]
    assert lps(z, "linear", permutations=0).raw == pytest.approx([1, 1, 1], abs=1e-4)


def test_a_pipelines_steps_follow_the_seed():
    forest = make_pipeline(StandardScaler(), RandomForestRegressor(5))
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again = (lps(parabola(100), forest, permutations=0, seed=4).raw for _ in range(2))
    assert np.array_equal(first, again)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_large_seeds():
    for regressor in REGRESSORS:
        assert lps(normal(60, 2), regressor, permutations=1, seed=2**32 - 1).score < 0.1


# what comes in


@pytest.mark.parametrize(
    "given",
    [
        lambda z: torch.from_numpy(z).float(),
        lambda z: pd.DataFrame(z),
        lambda z: z.tolist(),
        lambda z: torch.from_numpy(z).float().requires_grad_(),
        lambda z: z.astype(np.float32),
    ],
)
def test_tensors_frames_and_lists_are_the_same_codes(given):
    z = parabola(200)
    assert lps(given(z), "linear", permutations=0).raw == pytest.approx(lps(z, "linear", permutations=0).raw, abs=1e-4)


def test_column_names_survive():
    z = pd.DataFrame(parabola(200), columns=["x", "x squared", 7]).assign(off=1.0)
    found = lps(z, "boosting", permutations=2)
    assert found.dead == ["off"]
    assert found.to_frame().index.tolist() == found.names == ["x", "x squared", 7, "off"]
    assert found.to_frame()["dead"].tolist() == [False, False, False, True]
    assert "most predictable: x squared" in repr(found)
    assert "inactive: off" in repr(found)
    assert [label.get_text() for label in found.plot().axes[0].get_xticklabels()] == ["x", "x squared", "7", "off"]


def test_a_mapping_of_one_array_is_its_array():
    z = parabola(200)
    assert lps({"codes": z}, "linear", permutations=0).score == lps(z, "linear", permutations=0).score
    with pytest.raises(TypeError, match=r"z must be one array, got a mapping of \['means', 'samples'\]: choose one, for example"):
        lps({"means": z, "samples": z}, "linear")


@pytest.mark.usefixtures("_short_networks")
def test_half_precision_integers_and_ties():
    z = np.round(parabola(120) * 3)
    for regressor in REGRESSORS:
        for target in ("mean", "distribution"):
            whole = lps(z.astype(np.int64), regressor, target, permutations=0)
            assert whole.score == lps(z.astype(np.float32), regressor, target, permutations=0).score
            assert np.isfinite(whole.raw).all()
    assert lps(parabola(500).astype(np.float16), permutations=0).score == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("scale", [1e-300, 1e200])
def test_any_scale(scale):
    z = parabola(200)
    assert lps(z * scale, "linear", permutations=0).raw == pytest.approx(lps(z, "linear", permutations=0).raw, abs=1e-6)


def test_more_dimensions_than_rows():
    assert lps(normal(40, 60), permutations=0).score < 0.1
    with pytest.raises(ValueError, match="z must have at least 62 rows for linear on 60 columns, got 40"):
        lps(normal(40, 60), "linear")


@pytest.mark.parametrize(
    ("z", "options", "error", "message"),
    [
        (normal(50, 1), {}, ValueError, "at least 2 columns"),
        (normal(10, 2), {}, ValueError, "at least 20 rows"),
        (normal(50, 2)[0], {}, ValueError, r"z must have shape \(n, d\)"),
        (np.full((50, 2), np.nan), {}, ValueError, "z has 100 value"),
        (normal(50, 2), {"regressor": "forest"}, ValueError, r"regressor must be one of \['mlp', 'linear', 'boosting'\]"),
        (normal(50, 2), {"regressor": 3}, TypeError, "regressor must be one of"),
        (normal(50, 2), {"regressor": Ridge}, TypeError, r"got the class Ridge: call it first"),
        (normal(50, 2), {"regressor": LogisticRegression()}, ValueError, "must be a regressor for target='mean'"),
        (normal(50, 2), {"regressor": Ridge(), "target": "distribution"}, ValueError, "must be a classifier"),
        (normal(50, 2), {"target": "median"}, ValueError, r"target must be one of \['mean', 'square'"),
        (normal(50, 2), {"folds": 1}, ValueError, "folds must be at least 2"),
        (normal(50, 2), {"folds": 40}, ValueError, "at least 80 rows"),
        (normal(50, 2), {"regressor": "linear", "folds": 60}, ValueError, "at least 120 rows"),
        (normal(50, 2), {"permutations": -1}, ValueError, "permutations must be at least 0"),
        (normal(50, 2), {"seed": 0.5}, TypeError, "seed must be a whole number"),
    ],
)
def test_what_it_refuses(z, options, error, message):
    with pytest.raises(error, match=message):
        lps(z, **options)


def test_a_classifier_of_scikit_learn_for_the_distribution():
    z = normal(600, 2)
    z[:, 1] = z[:, 0] + 0.3 * z[:, 1]
    theirs = lps(z, LogisticRegression(max_iter=500), "distribution", permutations=0)
    assert theirs.score == pytest.approx(lps(z, "linear", "distribution", permutations=0).score, abs=0.1)
    assert theirs.score > 0.5


def test_a_constant_regressor_scores_nothing():
    found = lps(parabola(200), DummyRegressor(), permutations=2)
    assert found.score < 0.001
    assert "within the range of permuted copies" in repr(found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("regressor", REGRESSORS)
@pytest.mark.parametrize("target", ["mean", "distribution"])
def test_codes_on_a_gpu(regressor, target):
    z = torch.from_numpy(parabola(2000)).float()
    here, there = (lps(q, regressor, target, permutations=1).score for q in (z, z.cuda()))
    assert there == pytest.approx(here, abs=0.02)
    assert lps(z, regressor, target, permutations=0, device="cuda").score == pytest.approx(there, abs=1e-4)


# what is seen


@pytest.mark.usefixtures("_short_networks")
def test_the_words_and_the_table():
    found = lps(parabola(400), permutations=3)
    assert repr(found).startswith(f"LPS {found.score:.4f} share of variance (R²), ")
    assert "higher than in every permuted copy; most predictable: z1" in repr(found)
    assert "mlp on 3 active of 3 latents, n = 400, 2 folds, seed 0" in repr(found)
    assert "no chance level" in repr(lps(parabola(100), "linear", permutations=0))
    frame = found.to_frame()
    assert frame.loc[1, "score"] == found.per_dimension[1]
    assert (frame["low"] <= frame["raw"]).all()
    assert (frame["raw"] <= frame["high"]).all()


def test_the_figure():
    z = np.column_stack([parabola(300), np.ones(300)])
    picture = lps(z, "linear", permutations=2).plot()
    assert isinstance(picture, Picture)
    ax = picture.axes[0]
    assert ax.get_title().startswith("LPS ")
    assert "inactive" in [text.get_text() for text in ax.texts]
    assert len(ax.patches) == 4
    other = panels()[1][0, 0]
    assert lps(z, "linear", permutations=0).plot(other) is other


def test_the_example_in_the_docstring():
    import doctest

    (example,) = doctest.DocTestFinder().find(lps, "lps", globs={"torch": torch, "lps": lps})
    assert doctest.DocTestRunner().run(example) == (0, 3)
