"""The transformer: scikit-learn's checks, held-out codes of known distributions, awkward codes and priors."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sculptlab as sl
from sculptlab.reshaping import Reshaper, dimension

GENERATOR = np.random.default_rng(0)


def bent(n, seed=0):
    """Codes (n, 2) that are a curved function of independent ones: the second depends on the first, and has correlation 0."""
    u, v = np.random.default_rng(seed).normal(size=(2, n))
    return np.stack([u, u**2 + 0.3 * v], 1).astype(np.float32)


@pytest.fixture(scope="module")
def gaussian():
    return Reshaper(max_iter=600).fit(bent(8000))


@pytest.fixture(scope="module")
def briefly():
    """A map of the same codes after few steps, for what does not depend on how well it was learned."""
    return Reshaper(max_iter=30).fit(bent(8000))


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([Reshaper(max_iter=5), Reshaper("uniform", max_iter=5)])
def test_the_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


def test_held_out_codes_become_independent_and_normal(gaussian):
    held_out = bent(4000, seed=1)
    before, z = sl.lps(held_out, "boosting"), gaussian.transform(held_out)
    after = sl.lps(z, "boosting")
    assert before.score > 0.3
    assert after.score < 0.02
    for column in (*z.T, z.sum(1) / 2**0.5):
        assert kstest(column, "norm").statistic < 0.04


def test_the_likelihood_of_held_out_codes_approaches_the_true_one(gaussian):
    held_out = bent(4000, seed=1)
    u, v = held_out[:, 0], (held_out[:, 1] - held_out[:, 0] ** 2) / 0.3
    truth = float((-0.5 * (u**2 + v**2) - np.log(2 * np.pi) - np.log(0.3)).mean())
    linear = Reshaper(max_iter=1).fit(bent(8000)).score(held_out)
    assert truth - 0.1 < gaussian.score(held_out) < truth + 0.02
    assert linear < truth - 0.4


def test_codes_come_back_and_the_error_is_reported(gaussian):
    held_out = bent(4000, seed=1)
    for dtype, most in ((np.float32, 1e-4), (np.float64, 1e-8)):
        rows = held_out.astype(dtype)
        z = gaussian.transform(rows)
        assert z.dtype == dtype
        assert np.quantile(np.abs(gaussian.inverse_transform(z) - rows) / rows.std(0), 0.999) < most
    assert gaussian.round_trip_error_ < 1e-4


def test_one_seed_gives_the_same_bits_in_any_thread_state_and_a_copy_maps_alike(gaussian):
    state = torch.get_rng_state()
    codes = bent(300)
    first, second = (Reshaper("uniform", max_iter=20, random_state=3).fit(codes) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert (first.transform(codes) == second.transform(codes)).all()
    other = Reshaper("uniform", max_iter=20, random_state=4).fit(codes)
    assert not np.allclose(first.transform(codes), other.transform(codes))
    copied = pickle.loads(pickle.dumps(gaussian))
    assert (copied.transform(codes) == gaussian.transform(codes)).all()
    assert clone(gaussian).get_params() == gaussian.get_params()


def test_any_form_of_codes_is_taken_and_names_of_columns_are_checked():
    codes = bent(300)
    array = Reshaper(max_iter=10).fit(codes)
    for form in (torch.from_numpy(codes), {"codes": codes}, pd.DataFrame(codes, columns=["a", "b"])):
        assert np.array_equal(Reshaper(max_iter=10).fit(form).transform(form), array.transform(codes))
    framed = Reshaper(max_iter=10).set_output(transform="pandas").fit(pd.DataFrame(codes, columns=["a", "b"]))
    assert list(framed.transform(pd.DataFrame(codes, columns=["a", "b"])).columns) == ["reshaper0", "reshaper1"]
    with pytest.raises(ValueError, match="feature names"):
        framed.transform(pd.DataFrame(codes, columns=["b", "a"]))
    with pytest.raises(ValueError, match="3 features"):
        array.transform(np.zeros((4, 3)))
    pipeline = make_pipeline(StandardScaler(), Reshaper(max_iter=10)).fit(codes)
    assert np.allclose(pipeline.inverse_transform(pipeline.transform(codes)), codes, atol=1e-3)


def test_a_map_of_another_models_codes_is_learned_from_them():
    target = bent(3000, seed=5)[:, [1, 0]]
    copied = Reshaper(target, max_iter=300).fit(GENERATOR.normal(size=(4000, 2)))
    z = copied.transform(GENERATOR.normal(size=(2000, 2)))
    assert sl.mmd_test(z, bent(2000, seed=6)[:, [1, 0]], permutations=200).p_value > 0.01


def test_a_prior_of_three_dimensions_is_learned():
    prior = sl.priors.Sphere(3)
    z = Reshaper(prior, max_iter=150).fit(GENERATOR.normal(size=(2000, 3))).transform(GENERATOR.normal(size=(1000, 3)))
    radius = np.linalg.norm(z, axis=1)
    expected = prior.sample(1000, torch.Generator().manual_seed(0)).norm(dim=1).mean().item()
    assert abs(np.median(radius) - expected) < 0.15 * expected


def test_each_label_has_its_prior():
    labels = GENERATOR.integers(2, size=2000)
    codes = GENERATOR.normal(size=(2000, 2)) + 4 * labels[:, None]
    priors = {0: sl.priors.Uniform(2), 1: sl.priors.Gaussian(2, mean=[10.0, 0.0])}
    reshaper = Reshaper(priors, max_iter=100).fit(codes, labels)
    z = reshaper.transform(codes, labels)
    assert np.abs(z[labels == 0]).max() < 3**0.5 + 1e-6
    assert z[labels == 1].mean(0) == pytest.approx([10, 0], abs=0.2)
    assert np.allclose(reshaper.inverse_transform(z, labels), codes, atol=1e-6)
    assert reshaper.sample(3, [0, 1, 1]).shape == (3, 2)
    with pytest.raises(ValueError, match=r"y must be given: there is a prior for each of the labels \[0, 1\]"):
        reshaper.transform(codes)
    with pytest.raises(ValueError, match=r"y must hold the labels \[0, 1\], got \[7\]"):
        reshaper.transform(codes, np.full(2000, 7))
    with pytest.raises(ValueError, match=r"y must be 2000 label\(s\)"):
        reshaper.transform(codes, labels[:5])


def test_columns_that_others_determine_are_named_and_dropped_or_kept():
    codes = bent(400)
    given = np.stack([codes[:, 0], np.full(400, 2.0), codes[:, 1], codes[:, 0]], 1).astype(np.float64)
    with pytest.warns(UserWarning, match="X has rank 2 of 4 columns: 1, 3: constant, or an affine"):
        dropped = Reshaper(max_iter=10).fit(given)
    assert (dropped.rank_, dropped.dropped_) == (2, [1, 3])
    assert np.allclose(dropped.inverse_transform(dropped.transform(given)), given)
    with pytest.warns(UserWarning, match="passed on unchanged"):
        kept = Reshaper(max_iter=10, low_rank="keep").fit(given)
    z = kept.transform(given)
    assert np.array_equal(z[:, [1, 3]], given[:, [1, 3]])
    assert np.allclose(z[:, [0, 2]], dropped.transform(given))
    assert np.allclose(kept.inverse_transform(z), given)
    with pytest.warns(UserWarning, match="rank 2"), pytest.raises(ValueError, match="X has rank 2 of 4 columns"):
        Reshaper(sl.priors.Gaussian(4)).fit(given)
    with pytest.raises(ValueError, match="X must have a column that varies"):
        Reshaper().fit(np.ones((20, 2)))


def test_heavy_tails_are_mapped_and_come_back():
    codes = np.random.default_rng(0).standard_cauchy(size=(4000, 2))
    reshaper = Reshaper(max_iter=300).fit(codes)
    held_out = np.random.default_rng(1).standard_cauchy(size=(2000, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a row may lie far outside
        z = reshaper.transform(held_out)
    assert all(kstest(column, "norm").statistic < 0.05 for column in z.T)
    assert np.allclose(reshaper.inverse_transform(z), held_out, rtol=1e-5)


def test_quantized_codes_are_warned_of_and_keep_finite_likelihood():
    with pytest.warns(UserWarning, match=r"few different values in 1 column\(s\), \[1\]"):
        reshaper = Reshaper(max_iter=50).fit(np.stack([bent(500)[:, 0], np.arange(500) % 5], 1))
    assert abs(reshaper.history_["validation"].iloc[-1]) < 10


def test_few_rows_and_far_rows_are_warned_of():
    with pytest.warns(UserWarning, match="X has 30 rows for 4 columns"):
        Reshaper(max_iter=5).fit(GENERATOR.normal(size=(30, 4)))
    reshaper = Reshaper(max_iter=5).fit(bent(300))
    with pytest.warns(UserWarning, match=r"X has 1 of 2 row\(s\) far outside"):
        reshaper.transform(np.array([[0.0, 0.0], [300.0, -50.0]]))


def test_a_row_that_does_not_come_back_is_reported():
    reshaper = Reshaper("uniform", max_iter=5).fit(GENERATOR.normal(size=(500, 2)))
    with pytest.warns(UserWarning, match=r"row\(s\) that inverse_transform does not give back"):
        reshaper.transform(np.array([[7.0, 0.0]], dtype=np.float32))


def test_training_stops_when_held_out_rows_gain_nothing_and_keeps_the_best_weights():
    codes = GENERATOR.normal(size=(300, 4))
    reshaper = Reshaper(max_iter=600, n_iter_no_change=50, learning_rate=1e-2, weight_decay=0.0).fit(codes)
    history = reshaper.history_
    assert reshaper.n_iter_ < 600
    assert history["validation"].idxmax() <= len(history) - 2
    assert reshaper.n_iter_ - history.loc[history["validation"].idxmax(), "step"] >= 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "gauss"}, "gaussian"),
        ({"prior": sl.priors.Gaussian(3)}, "dim"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"low_rank": "no"}, "low_rank must be one of"),
        ({"validation_fraction": 1.0}, "validation_fraction must be below 1"),
        ({"learning_rate": -1.0}, "learning_rate must be > 0"),
        ({"random_state": -1}, "random_state must be at least 0"),
        ({"device": "tpu"}, "device must be"),
        ({"prior": sl.priors.Grid(2, noise=0.0)}, "prior must be continuous"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Reshaper(**{"max_iter": 5, **options}).fit(bent(100))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    codes = bent(100)
    codes[3, 1] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        Reshaper(max_iter=5).fit(codes)


def test_draws_of_the_prior_become_codes_like_those_fitted(gaussian):
    drawn = gaussian.sample(2000, random_state=1)
    assert sl.mmd_test(drawn, bent(2000, seed=9), permutations=100).p_value > 0.01
    assert (gaussian.sample(2000, random_state=1) == drawn).all()


@pytest.mark.parametrize("prior", ["uniform", sl.priors.Ring(), "gaussian"])
def test_another_prior_is_what_a_fit_to_it_would_give(briefly, prior):
    held_out = bent(1000, seed=1).astype(np.float64)  # in float32, rows at the edge of a square come back less exactly
    other = briefly.with_prior(prior)
    fitted = Reshaper(prior, max_iter=30).fit(bent(8000))
    assert np.array_equal(other.transform(held_out), fitted.transform(held_out))
    assert np.allclose(other.inverse_transform(other.transform(held_out)), held_out, atol=1e-6)
    assert other.map_ is briefly.map_
    assert other.round_trip_error_ < 1e-4
    assert other.score(held_out) == briefly.score(held_out)
    assert other.get_params() == fitted.get_params()


def test_with_another_prior_the_first_reshaper_stays_as_it_is(briefly):
    held_out = bent(100, seed=1)
    before = briefly.transform(held_out)
    assert not np.allclose(briefly.with_prior("uniform").transform(held_out), before)
    assert np.array_equal(briefly.transform(held_out), before)
    assert briefly.prior == "gaussian"


def test_another_prior_of_three_dimensions_is_learned():
    reshaper = Reshaper(max_iter=100).fit(GENERATOR.normal(size=(2000, 3)))
    z = reshaper.with_prior(sl.priors.Sphere(3)).transform(GENERATOR.normal(size=(1000, 3)))
    assert np.median(np.linalg.norm(z, axis=1)) == pytest.approx(3**0.5, rel=0.15)


def test_other_priors_of_labels_are_matched_by_label():
    labels = np.arange(600) % 2
    reshaper = Reshaper({0: "uniform", 1: "gaussian"}, max_iter=20).fit(GENERATOR.normal(size=(600, 2)), labels)
    shifted = sl.priors.Gaussian(2, mean=[10.0, 0.0])
    z = reshaper.with_prior({1: shifted, 0: "gaussian"}).transform(GENERATOR.normal(size=(600, 2)), labels)
    assert z[labels == 1].mean(0) == pytest.approx([10, 0], abs=0.3)
    assert z[labels == 0].mean(0) == pytest.approx([0, 0], abs=0.3)
    for prior, got in (("uniform", "one prior for all"), ({0: "uniform", 2: "uniform"}, r"the labels \[0, 2\]")):
        with pytest.raises(ValueError, match=rf"prior must have priors for the labels \[0, 1\], as in fit, got {got}"):
            reshaper.with_prior(prior)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("gauss", "gaussian"),
        (sl.priors.Gaussian(3), "dim"),
        (sl.priors.Grid(2, noise=0.0), "prior must be continuous"),
        ({0: "uniform"}, "prior must be one for all codes, as in fit, got the labels"),
    ],
)
def test_another_prior_is_checked(briefly, prior, message):
    with pytest.raises(ValueError, match=message):
        briefly.with_prior(prior)


def test_codes_that_do_not_come_back_from_another_prior_are_reported(briefly, monkeypatch):
    monkeypatch.setattr("sculptlab.reshaping.reshaper.TOLERANCE", -1.0)
    with pytest.warns(UserWarning, match=r"prior, a sample of codes, has 5000 of 5000 row\(s\) that inverse_transform does not"):
        briefly.with_prior("uniform")


def test_rows_outside_a_bounded_prior_are_read_at_its_edge():
    reshaper = Reshaper("uniform", max_iter=5).fit(GENERATOR.normal(size=(500, 2)))
    with pytest.warns(UserWarning, match=r"Z has 2 of 3 row\(s\) outside the prior"):
        codes = reshaper.inverse_transform(np.array([[0.0, 0.0], [1.8, 0.0], [5.0, -5.0]]))
    assert np.isfinite(codes).all()
    assert np.abs(codes).max() < 20


def test_labels_may_be_words_priors_names_and_gradients_off():
    labels = np.where(GENERATOR.integers(2, size=300) == 1, "a", "b")
    with torch.no_grad():
        z = Reshaper({"a": "gaussian", "b": "uniform"}, max_iter=5).fit_transform(GENERATOR.normal(size=(300, 2)), labels)
    assert np.abs(z[labels == "b"]).max() < 3**0.5 + 1e-6
    with pytest.raises(ValueError, match=r"y must hold the labels \[0, 1\], got \['0'"):
        Reshaper({0: "gaussian", 1: "uniform"}).fit(bent(60), ["0", "1"] * 30)


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e-320])
def test_units_beyond_the_range_of_squares_are_refused(factor):
    with pytest.raises(ValueError, match=r"X must have values of at most 1e100.*column\(s\) \[0\] need another unit"):
        Reshaper(max_iter=2).fit(bent(50).astype(np.float64) * np.array([factor, 1.0]))


def test_labels_that_cannot_be_learned_are_named():
    reshaper = Reshaper({"a": "gaussian", "b": "uniform"}, max_iter=2)
    with pytest.raises(ValueError, match=r"y must hold each of the labels .*; it has none of \['b'\]"):
        reshaper.fit(bent(50), ["a"] * 50)
    with pytest.raises(TypeError, match=r"y must be labels .*got the text 'abab"):
        reshaper.fit(bent(50), "ab" * 25)


def test_a_share_that_leaves_nothing_to_learn_from_is_refused():
    with pytest.raises(ValueError, match=r"validation_fraction must leave 2 of 50 rows to learn from, got 0\.999"):
        Reshaper(max_iter=2, validation_fraction=0.999).fit(bent(50))


def test_nothing_can_be_asked_of_a_reshaper_that_is_not_fitted():
    reshaper = Reshaper()
    for call in (
        lambda: reshaper.history_,
        reshaper.sample,
        lambda: reshaper.score(bent(5)),
        lambda: reshaper.transform(bent(5)),
        lambda: reshaper.with_prior("uniform"),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_tensors_of_other_kinds_are_read_or_named():
    z = torch.from_numpy(bent(200))
    reshaper = Reshaper(max_iter=2).fit(z.bfloat16())
    assert np.isfinite(reshaper.transform(z.bfloat16())).all()
    model = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=8)
    sparse, absent = z.to_sparse(), z.to("meta")
    for other, words in ((sparse, "must be a dense tensor"), (absent, "must be in memory"), (model, "got the model Autoencoder")):
        with pytest.raises(TypeError, match=f"X .*{words}"):
            reshaper.transform(other)


def test_a_prior_of_few_samples_is_warned_of_and_one_of_lower_rank_refused():
    with pytest.warns(UserWarning, match=r"prior has 30 samples for 2 column\(s\): with fewer than 100"):
        Reshaper(bent(30), max_iter=2).fit(bent(200))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Reshaper(bent(200), max_iter=2).fit(bent(200))
    plane = np.random.default_rng(0).normal(size=(900, 2))
    for line in (plane[:, [0, 0]], np.c_[plane, plane.sum(1)]):
        with pytest.raises(ValueError, match=r"prior must fill all of its . dimensions, but column\(s\) \[.\] of its draws"):
            Reshaper(line, max_iter=2).fit(np.random.default_rng(1).normal(size=(200, line.shape[1])))


def on_a_circle(n, noise=0.0, seed=0):
    """Rows of three columns near a closed curve."""
    drawn = np.random.default_rng(seed)
    angle = drawn.uniform(0, 2 * np.pi, n)
    return np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle)] + noise * drawn.normal(size=(n, 3))


def test_codes_on_a_curve_that_the_map_cannot_spread_are_warned_of():
    with pytest.warns(UserWarning, match=r"X has 3 columns but lies near a curve or a sheet of about 1\.\d dimension"):
        Reshaper(max_iter=60).fit(on_a_circle(600))


@pytest.mark.parametrize(
    "codes",
    [on_a_circle(600, noise=0.1), bent(600), on_a_circle(150)],
    ids=["with noise they fill space", "of two dimensions", "too few to tell"],
)
def test_other_codes_are_not(codes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Reshaper(max_iter=60).fit(codes)


def test_a_sheet_whose_columns_the_map_makes_independent_is_not_warned_of(monkeypatch):
    monkeypatch.setattr(dimension, "lps", lambda z, **_: SimpleNamespace(score=0.09))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Reshaper(max_iter=5).fit(on_a_circle(600))
