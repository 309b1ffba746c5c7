"""Scores against known factors: closed forms, reference values of perfect, noisy, rotated and random codes, bad input."""

import doctest
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score

from sculptlab import factors as scores
from sculptlab.factors.information import modularities, neighbor_information, one_entry_share, plugin_information
from sculptlab.factors.prediction import concentration, largest_gaps
from sculptlab.factors.rows import draw_factor_rows, into_bins

DSPRITES = (3, 6, 40, 32, 32)
FEW = (3, 6, 8, 8, 8)
QUICK = {
    "mig": {},
    "dci": {"estimator": "lasso"},
    "sap": {"kind": "continuous"},
    "factor_vae": {"train_votes": 200, "test_votes": 100, "batch": 16},
    "beta_vae": {"train_votes": 200, "test_votes": 100, "batch": 16},
    "modularity": {},
    "info_mec": {},
}


def drawn(seed, n=3000, counts=DSPRITES):
    """Factors drawn independently and uniformly, and the same with variance 1."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(0, count, n) for count in counts], axis=1)
    return factors, (factors - factors.mean(0)) / factors.std(0), rng


def score_of(name, codes, factors, **more):
    return getattr(scores, name)(codes, factors, **{**QUICK[name], "baselines": False, **more})


def grid(*counts, repeats=1):
    """Every combination of factors, equally often."""
    return np.repeat(np.stack([axis.ravel() for axis in np.meshgrid(*map(np.arange, counts))], axis=1), repeats, axis=0)


# Closed forms


def test_codes_that_are_the_factors():
    factors = grid(4, 5, 10, repeats=4)
    assert scores.mig(factors, factors, baselines=False).score == pytest.approx(1)
    assert score_of("modularity", factors, factors, train=10**6).parts["modularity"] == pytest.approx(1, abs=1e-3)
    assert score_of("factor_vae", factors, factors).score == 1
    assert score_of("beta_vae", factors, factors).score == 1
    assert list(score_of("dci", factors, factors).parts.values()) == pytest.approx([1, 1, 1], abs=1e-3)


def test_two_dimensions_per_factor_leave_no_gap():
    factors = grid(4, 5, 10, repeats=2)
    twice = np.concatenate([factors, -3.0 * factors], axis=1)
    assert scores.mig(twice, factors, baselines=False).score == pytest.approx(0, abs=1e-12)
    for kind in ("discrete", "continuous"):
        assert scores.sap(twice, factors, kind=kind, baselines=False).score == pytest.approx(0, abs=0.01)
    found = scores.info_mec(twice, factors, baselines=False)
    assert found.parts["InfoM"] == pytest.approx(1, abs=0.05)
    assert found.parts["InfoC"] == pytest.approx((1 / 2 - 1 / 6) / (1 - 1 / 6), abs=0.05)


@pytest.mark.parametrize("degrees", [0, 15, 30, 45])
def test_sap_continuous_of_a_rotation(degrees):
    """Of two independent factors of variance 1 turned by an angle: cos^2 - sin^2 = cos(2 angle)."""
    factors = np.random.default_rng(0).normal(size=(10_000, 2))
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    found = scores.sap(factors @ np.array([[c, s], [-s, c]]), factors, kind="continuous", baselines=False)
    assert found.score == pytest.approx(np.cos(np.radians(2 * degrees)), abs=0.04)


def test_mig_of_a_code_that_knows_half_a_factor():
    """A code that separates the upper half of 8 values from the lower knows log 2 of log 8."""
    factors = grid(8, 3, repeats=5)
    codes = np.stack([factors[:, 0] >= 4, factors[:, 1]], axis=1)
    found = scores.mig(codes, factors, baselines=False)
    assert found.score == pytest.approx((1 / 3 + 1) / 2)
    assert found.table.to_numpy() == pytest.approx(np.array([[1 / 3, 0], [0, 1]]), abs=1e-12)


def test_more_values_than_bins():
    """40 values in 20 bins of two: log 20 of log 40."""
    factors = grid(40, 2, repeats=3)
    assert scores.mig(factors, factors, baselines=False).score == pytest.approx((math.log(20) / math.log(40) + 1) / 2)


def test_dci_of_a_matrix():
    assert concentration(np.eye(4)) == pytest.approx(1)
    assert concentration(np.ones((3, 4))) == pytest.approx(0)
    assert concentration(np.zeros((3, 4))) == 0
    assert concentration(np.ones((3, 1))) == 1
    half = np.array([[1.0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]])  # rows of entropy log 2 and 0, equal weights; an inactive one
    assert concentration(half) == pytest.approx((0.5 + 1) / 2)


def test_modularity_of_a_matrix():
    information = np.array([[2.0, 1, 1], [0, 3, 0], [0, 0, 0], [1, 1, 1]])
    assert modularities(information) == pytest.approx([1 - (1 + 1) / (2 * 4), 1, 0, 0])


def test_infomec_of_a_matrix():
    information = np.array([[0.6, 0.2], [0, 0], [0, 0.5]])
    assert one_entry_share(information) == pytest.approx(((0.75 + 0.5 + 1) / 3 - 0.5) / 0.5)
    assert one_entry_share(information.T) == pytest.approx(((1 + 5 / 7) / 2 - 1 / 3) / (2 / 3))
    for empty in (np.zeros((3, 2)), np.zeros((0, 2))):
        assert one_entry_share(empty) == one_entry_share(empty.T) == 0
    assert one_entry_share(np.ones((1, 2))) == 0
    assert one_entry_share(np.ones((2, 1))) == 1


def test_gaps_of_a_matrix():
    assert largest_gaps(np.array([[0.9, 0.2], [0.4, 0.2], [0.1, 0.0]])) == pytest.approx([0.5, 0])
    assert largest_gaps(np.array([[0.9, 0.2]])) == pytest.approx([0.9, 0.2])


# What others compute


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_information_agrees_with_scikit_learn(seed):
    factors, perfect, rng = drawn(seed, 3000)
    codes = np.concatenate([perfect + 0.2 * rng.normal(size=perfect.shape), rng.normal(size=(3000, 2))], axis=1)
    codes = codes / codes.std(0)
    neighbors, plugin = neighbor_information(codes, factors, seed), plugin_information(codes, factors, 20, "width")
    for i, j in [(0, 0), (2, 2), (4, 3), (5, 1), (6, 2)]:
        theirs = mutual_info_classif(codes[:, [i]], factors[:, j], discrete_features=False, n_neighbors=10, random_state=seed)
        assert neighbors[i, j] == pytest.approx(theirs[0], abs=1e-5)
        edges = np.histogram(codes[:, i], 20)[1][:-1]
        assert plugin[i, j] == pytest.approx(mutual_info_score(factors[:, j], np.digitize(codes[:, i], edges)))


def test_neighbors_of_small_classes():
    """Classes {0, .1} and {.25, 1}: one neighbor at .1 and .75, nearer than which lie 0, 0, 2 and 0 others."""
    codes, psi = np.array([0.0, 0.1, 0.25, 1.0])[:, None], digamma
    found = neighbor_information(codes, np.array([[0], [0], [1], [1]]), 0)
    assert found[0, 0] == pytest.approx(psi(4) + psi(1) - psi(2) - (3 * psi(1) + psi(3)) / 4)
    lonely = np.array([[0], [0], [1], [2]])  # classes of one row are passed over
    assert neighbor_information(codes, lonely, 0) == pytest.approx(0, abs=1e-12)


def test_neighbors_of_tied_codes_find_the_entropy():
    """Codes that are the factor itself; scikit-learn, whose distances lose such small differences, finds 4.9 of 3.7 nats."""
    factors, perfect, _ = drawn(0, 800)
    found = neighbor_information(perfect, factors, 0)
    assert found.diagonal() == pytest.approx(np.log(DSPRITES), abs=0.02)


def test_explicitness_agrees_with_scikit_learn():
    factors, perfect, rng = drawn(0, 300, (4, 3))
    codes = perfect + rng.normal(size=perfect.shape)
    rows = draw_factor_rows(codes, factors, train=200, test=100)
    z, t = (rows.codes - rows.codes.mean(0)) / rows.codes.std(0), rows.train
    expected = []
    for y in rows.classes.T:
        logs = LogisticRegression().fit(z[:t], y[:t]).predict_log_proba(z[t:])
        expected.append(roc_auc_score(y[t:, None] == np.arange(y.max() + 1), logs))
    found = scores.modularity(codes, factors, train=200, test=100, baselines=False).parts["explicitness"]
    assert found == pytest.approx(np.mean(expected), abs=1e-3)


# The reference values: disentanglement_lib's protocol, the number of values of dSprites' factors, 5 + 5 dimensions


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reference_values_at_the_standard_size(seed):
    factors, perfect, rng = drawn(seed, 10_000)
    filled = np.concatenate([perfect, rng.normal(size=(10_000, 5))], axis=1)
    noisy = filled + 0.1 * rng.normal(size=filled.shape)
    assert scores.mig(filled, factors, baselines=False).score == pytest.approx(0.896, abs=0.003)
    by_bins = [scores.mig(noisy, factors, bins=bins, baselines=False).score for bins in (5, 10, 20, 40, 80, 160)]
    assert by_bins == pytest.approx([0.588, 0.693, 0.738, 0.750, 0.743, 0.717], abs=0.006)
    assert score_of("sap", filled, factors).score == pytest.approx(1.00, abs=0.01)
    assert score_of("sap", noisy, factors).score == pytest.approx(0.99, abs=0.01)
    assert modularities(plugin_information(filled, factors, 20, "width")).mean() == pytest.approx(0.83, abs=0.03)
    noise = rng.normal(size=filled.shape)
    assert scores.mig(noise, factors, baselines=False).score == pytest.approx(0.0003, abs=0.0005)
    assert modularities(plugin_information(noise, factors, 20, "width")).mean() == pytest.approx(0.68, abs=0.04)


def test_one_outlier_row_ruins_equal_width_bins_alone():
    factors, perfect, rng = drawn(0, 10_000)
    codes = perfect + 0.1 * rng.normal(size=perfect.shape)
    spoilt = codes.copy()
    spoilt[0] = 50
    width = [scores.mig(z, factors, baselines=False).score for z in (codes, spoilt)]
    quantile = [scores.mig(z, factors, binning="quantile", baselines=False).score for z in (codes, spoilt)]
    assert width == pytest.approx([0.738, 0.27], abs=0.02)
    assert quantile[0] == pytest.approx(quantile[1], abs=0.002)
    assert quantile[0] == pytest.approx(0.72, abs=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reference_values_of_votes_and_classifiers(seed):
    factors, perfect, rng = drawn(seed, 4000)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    filler = rng.normal(size=(4000, 5))
    codes = {
        "perfect": np.concatenate([perfect, filler], axis=1),
        "rotated": np.concatenate([perfect @ turn, filler], axis=1),
        "noise": rng.normal(size=(4000, 10)),
    }
    size = {"train_votes": 1500, "test_votes": 1000, "batch": 64}
    votes = {name: score_of("factor_vae", z, factors, **size).score for name, z in codes.items()}
    pairs = {name: score_of("beta_vae", z, factors, **size).score for name, z in codes.items()}
    assert votes["perfect"] == pairs["perfect"] == 1
    assert 0.6 < votes["rotated"] < 1  # .86 in the survey's draw of a rotation, and blind to it in every one
    assert 0.85 < pairs["rotated"] < 1
    assert votes["noise"] == pytest.approx(0.2, abs=0.05)
    assert pairs["noise"] == pytest.approx(0.2, abs=0.05)


def test_reference_values_of_sap_discrete():
    factors, perfect, rng = drawn(0, 15_000)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert scores.sap(perfect, factors, baselines=False).score == pytest.approx(0.247, abs=0.012)
    assert scores.sap(perfect @ turn, factors, baselines=False).score < 0.15  # .03 in the survey's draw of a rotation
    assert scores.sap(rng.normal(size=perfect.shape), factors, baselines=False).score < 0.01


def test_the_unit_of_the_codes_decides_the_original_sap():
    factors, perfect, _ = drawn(0, 3000)
    ours = [scores.sap(perfect * unit, factors, baselines=False).score for unit in (1, 0.1)]
    original = [scores.sap(perfect * unit, factors, standardize=False, baselines=False).score for unit in (1, 0.1)]
    assert ours[0] == ours[1] == pytest.approx(original[0], abs=0.005)
    assert original[1] < 0.7 * original[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reference_values_of_infomec(seed):
    factors, perfect, rng = drawn(seed, 3000, FEW)
    found = scores.info_mec(perfect, factors, baselines=False)
    assert list(found.parts.values()) == pytest.approx([0.992, 1.0, 0.992], abs=0.02)
    twice = scores.info_mec(np.concatenate([perfect, perfect], axis=1), factors, baselines=False)
    assert list(twice.parts.values()) == pytest.approx([0.992, 1.0, 0.441], abs=0.02)
    noise = scores.info_mec(rng.normal(size=(3000, 5)), factors, baselines=False)
    assert noise.parts["InfoE"] < 0.005  # held out: the reference credits noise with .005
    assert all(0 <= value < 0.8 for value in noise.parts.values())


def test_explicitness_of_perfect_codes_and_of_noise():
    factors, perfect, rng = drawn(0)
    assert score_of("modularity", perfect, factors).parts["explicitness"] > 0.95
    assert score_of("modularity", rng.normal(size=perfect.shape), factors).parts["explicitness"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("estimator", ["boosting", "forest", "lasso"])
def test_dci_by_every_estimator(estimator):
    factors, perfect, rng = drawn(0, 300, (2, 3))
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    filler = rng.normal(size=(300, 1))
    found = {
        name: scores.dci(np.concatenate([z, filler], axis=1), factors, estimator=estimator, baselines=False)
        for name, z in {"perfect": perfect, "rotated": perfect @ turn, "noise": rng.normal(size=(300, 3))}.items()
    }
    assert min(found["perfect"].parts.values()) > 0.95
    assert found["rotated"].score < 0.6
    assert found["noise"].score < 0.15
    assert found["perfect"].method == estimator
    assert found["perfect"].n == {"train": 200, "test": 100}


# The result


def test_ceiling_and_chance_level():
    factors, perfect, rng = drawn(0, 450, (3, 4, 5, 4, 3))
    codes = np.concatenate([perfect + 0.1 * rng.normal(size=perfect.shape), np.zeros((450, 1))], axis=1)
    for name in QUICK:
        found = score_of(name, codes, factors, baselines=True)
        assert set(found.parts) == set(found.perfect) == set(found.noise)
        assert found.floor < float(found) <= found.ceiling + 0.05
        assert list(found.to_frame().index) == ["codes", "perfect", "noise"]
        assert found.dead == [5]
        bare = score_of(name, codes, factors)
        assert bare.ceiling is bare.floor is None
        assert bare.parts == found.parts
        assert bare.table.shape == (6, 5)
        assert "perfect" in repr(found)
        assert "perfect" not in repr(bare)
        assert "<table" in found._repr_html_()


def test_the_ceiling_of_fewer_dimensions_than_factors_has_them_all():
    factors, perfect, _ = drawn(0, 10_000)
    found = scores.mig(perfect[:, :2], factors)
    assert found.ceiling == pytest.approx(0.896, abs=0.01)
    assert float(found) == pytest.approx(2 / 5, abs=0.01)


def test_the_text_of_a_result():
    factors, perfect, rng = drawn(0, 12_000)
    codes = perfect + 0.1 * rng.normal(size=perfect.shape)
    frame = pd.DataFrame(factors, columns=["shape", "scale", "orientation", "x", "y"]).assign(color=1)
    found = scores.mig(codes, frame)
    assert repr(found).splitlines() == [
        "MIG 0.74 (noise 0.00, perfect 0.90; 20 equal-width bins; n = 10,000)",
        "  left out, with a single value: color",
    ]
    assert list(found.table.columns) == ["shape", "scale", "orientation", "x", "y"]
    sap = scores.sap(codes, frame, kind="continuous", baselines=False)
    assert repr(sap).splitlines()[0] == "SAP (continuous) 0.99 (squared correlation; n = 8,000)"
    mec = scores.info_mec(perfect[:900], frame[:900], baselines=False)
    assert repr(mec).startswith("InfoMEC InfoM ")
    assert "train = 600, test = 300" in repr(mec)


# Rows, classes and bins


def test_kinds_of_factors():
    rng = np.random.default_rng(0)
    n = 2000
    factors = {
        "radians": rng.integers(0, 40, n) * np.pi / 40,  # 40 fractions that recur: classes
        "angle": np.arange(n) % 360,  # whole numbers, five rows and more of each: classes
        "year": np.arange(n) % 401,  # many, and fewer rows of each
        "seldom": np.arange(n) % 99,  # not so many
        "size": rng.uniform(size=n),
        "row": rng.permutation(n),  # whole, but all different
        "few": rng.choice([0.1, 0.7], n),
    }
    rows = draw_factor_rows(np.zeros((n, 1)), pd.DataFrame(factors), train=n, test=None)
    assert list(rows.names[rows.continuous]) == ["year", "size", "row"]
    assert list(rows.classes.max(0) + 1) == [40, 360, 20, 99, 20, 20, 2]
    few = draw_factor_rows(np.zeros((300, 1)), pd.DataFrame(factors)[["angle", "seldom"]][:300], train=n, test=None)
    assert list(few.names[few.continuous]) == ["angle"]  # 99 whole numbers stay classes at three rows each


@pytest.mark.parametrize("values", [1000, 900])
def test_many_whole_numbers_are_continuous(values):
    factors = np.random.default_rng(0).integers(0, values, (3000, 2))
    whole, moved = (scores.mig(factors, y, baselines=False) for y in (factors, factors + 0.5 * (factors % 2)))
    assert whole.binned == ["factor 0", "factor 1"]
    assert whole.score == pytest.approx(moved.score, abs=0.03)
    assert whole.score > 0.95
    assert scores.mig(factors, factors, continuous=[], baselines=False).score < 0.3


def test_the_factors_listed_are_continuous_and_no_others():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"angle": rng.integers(0, 360, 3000), "one": 1, "size": rng.uniform(size=3000)})
    for listed, expected in [(None, ["size"]), (["angle"], ["angle"]), (("angle", "size"), ["angle", "size"]), ([], [])]:
        assert scores.mig(frame, frame, continuous=listed, baselines=False).binned == expected
    assert scores.mig(frame, frame, continuous=["size", "one"], baselines=False).binned == ["size"]
    assert scores.mig(frame, frame.to_numpy(), continuous=np.array([0, 2]), baselines=False).binned == ["factor 0", "factor 2"]
    shown = scores.mig(frame, frame, continuous=["angle", "size"], baselines=False)
    assert shown.score > 0.95 > 0.7 > scores.mig(frame, frame, baselines=False).score
    assert "continuous factors, in bins: angle, size" in repr(shown)
    years = frame.set_axis([1, 2, 3], axis=1)  # labels that are numbers are names: 1 is the first
    assert scores.mig(frame, years, continuous=[1], baselines=False).binned == ["1"]
    with pytest.raises(ValueError, match=r"continuous must list some of \[1, 2, 3\], got 0"):
        scores.mig(frame, years, continuous=[0])
    for name in QUICK:
        assert score_of(name, frame[:200], frame[:200], continuous=["angle", "size"]).binned == ["angle", "size"]


def test_rounding_noise_splits_no_class():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, (3000, 2)) / 10
    coin = rng.random(y.shape) < 0.5
    exact = scores.mig(y, y, baselines=False).score
    for noisy in ((y + 0.7) - 0.7, y.astype(np.float32), y + 4e-7 * rng.random(y.shape)):
        mixed = np.where(coin, y, noisy)
        assert len(np.unique(mixed)) > 10
        assert scores.mig(y, mixed, baselines=False).score == exact
    assert scores.mig(y, y + 1e-5 * coin, baselines=False).score < exact - 0.1  # no rounding: twice as many values
    steady = np.concatenate([y, np.where(coin[:, :1], 0.3, 0.1 + 0.2)], axis=1)
    assert scores.mig(y, steady, baselines=False).left_out == ["factor 2"]


def test_far_values_join_no_classes():
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 6, (3000, 1))
    whole[:300] = 10**9  # as one who has no NaN writes missing
    tenths = rng.integers(0, 10, (3000, 1)) / 10
    tenths[0] = 1e7
    rows = draw_factor_rows(np.zeros((3000, 1)), np.concatenate([whole, tenths], axis=1), train=None, test=None)
    assert list(rows.classes.max(0) + 1) == [7, 11]
    dense = 1e-7 * np.arange(3000)[:, None] * [1, 2]
    dense[-10:] = 1  # far enough out that all others would be one chain
    assert len(np.unique(draw_factor_rows(dense, dense, train=None, test=None).values[:, 0])) == 2991


def test_large_whole_numbers_stay_apart():
    factors = 2**24 + grid(2, 3, repeats=20) % 3
    assert draw_factor_rows(factors, factors, train=None, test=None).classes.max() == 2


def test_continuous_factors_that_are_the_codes():
    factors = np.random.default_rng(0).normal(size=(3000, 3))
    for name in QUICK:
        found = score_of(name, np.exp(factors) if name == "factor_vae" else factors, factors)
        assert found.score > 0.95 if name != "mig" else found.score > 0.9
        assert found.binned == ["factor 0", "factor 1", "factor 2"]


def test_quantile_bins_hold_equally_many():
    column = np.random.default_rng(0).lognormal(size=1000)
    assert set(np.bincount(into_bins(column, 20, "quantile"))) == {50}
    assert list(into_bins(np.array([0.0, 0, 0, 1]), 20, "quantile")) == [0, 0, 0, 1]
    assert list(into_bins(np.array([0.0, 1, 2, 10]), 5, "width")) == [0, 0, 1, 4]
    assert list(into_bins(np.array([0.0, 1, *[2] * 98]), 20, "quantile")[:4]) == [
        0,
        0,
        1,
        1,
    ]  # most at the top: two bins


def test_rows_need_no_grid_and_values_of_a_single_row_are_never_fixed():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, 600)
    factors = np.stack([first, (first + rng.integers(0, 3, 600)) % 5], axis=1)  # dependent factors: no full grid
    factors[0] = [77, 88]  # values that one row has
    assert score_of("factor_vae", factors, factors).score > 0.9
    assert score_of("beta_vae", factors, factors).score > 0.9


def test_pruned_dimensions_do_not_vote():
    factors, perfect, _ = drawn(0, 2000)
    codes = np.concatenate([perfect, 0.01 * perfect[:, :1]], axis=1)
    found = score_of("factor_vae", codes, factors)
    assert found.dead == [5]
    assert found.table.loc[5].sum() == 0
    assert score_of("factor_vae", codes, factors, prune=0.0).dead == []
    assert scores.info_mec(codes, factors, baselines=False).dead == [5]


@pytest.mark.parametrize("far", [100.0, 2000.0, 1e9])
def test_no_outlier_row_prunes_the_other_dimensions(far):
    factors, perfect, rng = drawn(0, 3000, FEW)
    codes = perfect + 0.1 * rng.normal(size=perfect.shape)
    spoilt = codes.copy()
    spoilt[0, 0] = far
    before, after = (scores.info_mec(z, factors, baselines=False) for z in (codes, spoilt))
    assert after.dead == []
    assert after.parts["InfoM"] == pytest.approx(before.parts["InfoM"], abs=0.005)
    assert after.parts["InfoC"] == pytest.approx(before.parts["InfoC"], abs=0.005)
    votes = {"train_votes": 1000, "test_votes": 500, "batch": 64}
    before, after = (score_of("factor_vae", z, factors, **votes) for z in (codes, spoilt))
    assert after.dead == []
    assert before.score == 1
    assert after.score > 0.97  # batches that hold the row itself still vote for another dimension


def test_one_outlier_row_makes_no_dimension_active():
    factors, perfect, _ = drawn(0, 3000, FEW)
    codes = np.concatenate([perfect, np.zeros((3000, 1))], axis=1)
    codes[7, 5] = 1000
    for name in ("factor_vae", "info_mec"):
        found = score_of(name, codes, factors)
        assert found.dead == found.pruned == [5]
        assert found.score > 0.98
        assert score_of(name, codes, factors, prune=0.0).dead == []


def test_small_units_are_said_to_be_pruned():
    factors, perfect, rng = drawn(0, 900, FEW)
    codes = np.concatenate([(perfect + 0.1 * rng.normal(size=perfect.shape)) * [1, 1, 1, 1, 100], np.ones((900, 1))], axis=1)
    for name in ("factor_vae", "info_mec"):
        found = score_of(name, codes, factors)
        assert found.pruned == [0, 1, 2, 3]
        assert found.dead == [0, 1, 2, 3, 5]
        assert "which do not vary: 5" in repr(found)
        assert "pruned because they spread too little beside the widest (prune=0 keeps them): 0, 1, 2, 3" in repr(found)
        assert score_of(name, codes, factors, prune=0.0).dead == [5]
        assert score_of(name, codes, factors, prune=0.0).score > 0.95


def test_few_test_rows_are_never_none():
    factors, perfect, _ = drawn(0, 30, (2, 3))
    assert scores.dci(perfect, factors, estimator="forest", train=10_000, test=1, baselines=False).n == {"train": 29, "test": 1}


def test_rows_are_drawn_by_seed():
    factors, perfect, rng = drawn(0, 1500)
    codes = perfect + rng.normal(size=perfect.shape)
    first, second = (scores.mig(codes, factors, rows=500, seed=seed, baselines=False) for seed in (0, 1))
    assert first.score == scores.mig(codes, factors, rows=500, seed=0, baselines=False).score
    assert first.score != second.score
    assert first.n == {"n": 500}


# Properties


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(QUICK)), st.floats(0, 3))
def test_permuting_scaling_and_negating_dimensions_changes_nothing(seed, name, noise):
    factors, perfect, rng = drawn(seed, 300, (3, 4, 5))
    codes = perfect + (0.01 + noise) * rng.normal(size=perfect.shape)
    order, sign = rng.permutation(3), rng.choice([-1, 1], 3)
    same = -7.0 * (codes[:, order] if name != "factor_vae" else codes) * (sign if name != "mig" else 1)
    ours, theirs = score_of(name, codes, factors), score_of(name, same, factors)
    assert list(ours.parts.values()) == pytest.approx(list(theirs.parts.values()), abs=0.02)
    assert all(0 <= value <= 1 for value in ours.parts.values())


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_no_score_is_ever_nan(data):
    n, d, k = (data.draw(st.integers(*span)) for span in ((20, 50), (1, 4), (2, 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    codes = rng.integers(0, data.draw(st.integers(1, 3)), (n, d)) * 10.0 ** data.draw(st.integers(-60, 60))
    factors = rng.integers(0, data.draw(st.integers(1, 3)), (n, k)) + 0.0
    factors[:2] = [[0] * k, [1] * k]
    factors[2:4] = factors[:2]
    name = data.draw(st.sampled_from(sorted(QUICK)))
    more = {"kind": "discrete"} if name == "sap" else {}
    found = score_of(name, codes, factors, baselines=True, **more)
    values = found.to_frame().to_numpy()
    assert ((values >= 0) & (values <= 1)).all()
    assert np.isfinite(found.table.to_numpy(dtype=float)).all()


@pytest.mark.parametrize("name", ["mig", "alignment"])
def test_the_examples_in_docstrings(name):
    function = getattr(scores, name)
    (example,) = doctest.DocTestFinder().find(function, name, globs={"np": np, name: function})
    assert doctest.DocTestRunner().run(example) == (0, 2)


# Input


@pytest.mark.parametrize("name", QUICK)
def test_collapsed_codes_and_single_dimensions(name):
    factors, perfect, _ = drawn(0, 400)
    collapsed = score_of(name, np.full((400, 3), 0.1, dtype=np.float32), factors)
    assert collapsed.score == pytest.approx(0.2 if name == "beta_vae" else 0, abs=0.08)
    assert collapsed.dead == [0, 1, 2]
    single = score_of(name, perfect[:, :1], factors)
    assert 0 <= single.score <= 1
    assert single.table.shape == (1, 5)


def test_every_kind_of_array():
    factors, perfect, _ = drawn(0, 300)
    reference = scores.mig(perfect.astype(np.float16), factors, baselines=False).score
    half = perfect.astype(np.float16)
    for codes, given_factors in [
        (torch.from_numpy(half), torch.from_numpy(factors)),
        (torch.from_numpy(half).requires_grad_(), factors.astype(np.uint8)),
        (pd.DataFrame(half), pd.DataFrame(factors)),
        (half.tolist(), factors.tolist()),
    ]:
        assert scores.mig(codes, given_factors, baselines=False).score == pytest.approx(reference)
    mixed = pd.DataFrame({"a": factors[:, 0] > 0, "b": factors[:, 1], "c": perfect[:, 2]})
    assert scores.mig(perfect, mixed, baselines=False).table.shape == (5, 3)


def test_column_names_survive():
    factors, perfect, _ = drawn(0, 300, (3, 4))
    codes = pd.DataFrame(perfect, columns=["a", 1]).assign(off=0.0)
    found = scores.mig(codes, factors, baselines=False)
    assert found.dead == ["off"]
    assert list(found.table.index) == ["a", 1, "off"]
    assert "do not vary: off" in repr(found)
    assert scores.mig({"codes": codes}, factors, baselines=False).score == found.score


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_tensors():
    factors, perfect, _ = drawn(0, 300)
    there = scores.mig(torch.from_numpy(perfect).cuda(), torch.from_numpy(factors).cuda(), baselines=False)
    assert there.score == scores.mig(perfect, factors, baselines=False).score


FACTORS = grid(2, 3, repeats=4)
CODES = np.random.default_rng(0).normal(size=(24, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scores.mig(CODES[:20], FACTORS), "same number of rows, got 20 and 24"),
        (lambda: scores.mig(CODES[:1], FACTORS[:1]), "codes must have at least 20 row"),
        (lambda: scores.mig(np.where(CODES > 1, np.nan, CODES), FACTORS), "codes has .* NaN or infinite"),
        (lambda: scores.mig(CODES, np.full((24, 2), np.inf)), "factors has 48 value"),
        (lambda: scores.mig(CODES, FACTORS[:, 0]), r"factors must have shape \(n, d\)"),
        (lambda: scores.mig(CODES, FACTORS * 0), "factors must hold at least 1 that take two or more values, got 0"),
        (lambda: scores.dci(CODES, FACTORS[:, :1]), "factors must hold at least 2"),
        (lambda: scores.mig(CODES, FACTORS, bins=1), "bins must be at least 2"),
        (lambda: scores.mig(CODES[:3], FACTORS[:3]), r"codes must have at least 20 row\(s\) and 1 column, got \(3, 2\)"),
        (lambda: scores.mig(CODES, FACTORS, rows=19), "rows must be at least 20, got 19"),
        (lambda: scores.dci(CODES, FACTORS, train=15, test=4), r"train \+ test must be at least 20 rows, got 15 \+ 4"),
        (lambda: scores.mig(np.ma.masked_greater(CODES, 1), FACTORS), "codes has masked values"),
        (lambda: scores.mig(CODES, np.ma.masked_equal(FACTORS, 2)), "factors has masked values"),
        (
            lambda: scores.mig(CODES, FACTORS, continuous=["size"]),
            r"continuous must list some of \[0, 1\], got 'size'",
        ),
        (lambda: scores.mig(CODES, FACTORS, continuous=[2]), r"continuous must list some of \[0, 1\], got 2"),
        (lambda: scores.mig(CODES, FACTORS, continuous=[-1]), "continuous must list .*, got -1"),
        (lambda: scores.mig(CODES, FACTORS, continuous=[True]), "continuous must list .*, got True"),
        (lambda: scores.mig(CODES, FACTORS, continuous=[[0]]), r"continuous must list .*, got \[0\]"),
        (lambda: scores.mig(CODES, FACTORS, binning="equal"), "binning must be one of"),
        (lambda: scores.dci(CODES, FACTORS, estimator="svm"), "estimator must be one of"),
        (lambda: scores.dci(CODES, FACTORS, test=0), "test must be at least 1"),
        (lambda: scores.sap(CODES, FACTORS, kind="both"), "kind must be one of"),
        (lambda: scores.factor_vae(CODES, FACTORS, prune=-1.0), "prune must be >= 0"),
        (lambda: scores.factor_vae(CODES, FACTORS, batch=1), "batch must be at least 2"),
        (lambda: scores.factor_vae(CODES, CODES, continuous=[]), "'factor 0' has no value in two rows"),
        (lambda: scores.info_mec(CODES, FACTORS, seed=-1), "seed must be at least 0"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scores.mig(CODES.astype(str), FACTORS), "codes must be real numbers"),
        (lambda: scores.mig(CODES, pd.DataFrame({"shape": ["heart", "square"] * 12})), "factors must be real numbers"),
        (lambda: scores.mig(torch.from_numpy(CODES + 0j), FACTORS), "codes must be real numbers"),
        (lambda: scores.mig(CODES, FACTORS, baselines="yes"), "baselines must be True or False"),
        (lambda: scores.sap(CODES, FACTORS, standardize=1), "standardize must be True or False"),
        (lambda: scores.mig(CODES, FACTORS, bins=2.5), "bins must be a whole number"),
        (lambda: scores.mig(CODES, FACTORS, continuous="size"), "continuous must be None or a sequence .*, got 'size'"),
        (lambda: scores.mig(CODES, FACTORS, continuous=1), "continuous must be None or a sequence .*, got 1"),
    ],
)
def test_bad_types_are_named(call, words):
    with pytest.raises(TypeError, match=words):
        call()


@pytest.mark.parametrize("options", [{"foo": 1}, {"by_value": True}, {"filler": "constant"}, {"least_factors": 2}])
def test_arguments_that_a_score_does_not_list_are_refused(options):
    rng = np.random.default_rng(0)
    codes, factors = rng.normal(size=(60, 3)), rng.integers(0, 3, size=(60, 2))
    for score in (scores.mig, scores.sap, scores.info_mec, scores.factor_vae):
        with pytest.raises(TypeError, match=rf"{score.__name__}\(codes: Any, factors: Any, .*unexpected keyword"):
            score(codes, factors, **options)
    with pytest.raises(TypeError, match=r"mig\(.*unexpected keyword argument 'train'"):
        scores.mig(codes, factors, train=50)


def test_categories_are_refused_with_the_remedy():
    codes, colors = np.eye(40, 2), np.array(["red", "blue"] * 20)
    for factors in (colors[:, None], pd.DataFrame({"color": pd.Categorical(colors)}), pd.DataFrame({"color": colors})):
        with pytest.raises(TypeError, match=r"factors must be real numbers.*encode categories as numbers, pandas\.factorize"):
            scores.mig(codes, factors)
    assert np.isfinite(scores.mig(codes, pd.DataFrame({"color": pd.factorize(colors)[0]})).score)
