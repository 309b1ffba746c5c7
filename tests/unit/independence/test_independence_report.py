"""The independence report: what each measure detects, exact p-values, ties, inactive latents and bad input."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.independence import networks
from sculptlab.independence import report as report_module
from sculptlab.independence.dependence import distance_correlation_to_rest, gaussian_total_correlation, hsic_to_rest
from sculptlab.independence.regressors import LatentPredictor
from sculptlab.independence.report import independence_report
from sculptlab.plots.style import Picture
from sculptlab.series.reference_codes import cases as rc

MEASURES = [
    "LPS of means",
    "LPS of squares",
    "LPS of the distribution",
    "distance correlation",
    "HSIC",
    "Gaussian total correlation",
]
JOINT = MEASURES[3:]


def constant_losses(predictor, z, seed, columns):
    return np.ones((1, len(columns))), np.ones((1, len(columns)))


@pytest.fixture
def joint_only(monkeypatch):
    """Replace LPS by a constant, so that the other measures can be computed often."""
    monkeypatch.setattr(LatentPredictor, "cross_fitted", constant_losses)


@pytest.fixture(scope="module")
def parabola():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "MAX_STEPS", 60)  # for the classes of the distribution, whose score no test here looks at
        return independence_report(rc.parabola(3).sample(400, 0), regressor="linear")


def test_a_parabola_is_missed_by_linear_measures_and_detected_by_the_others(parabola):
    table = parabola.table
    assert list(table.index) == MEASURES
    assert table.loc["LPS of squares", "value"] == pytest.approx(1 / 3, abs=0.05)  # z_0² is a line in z_1
    assert table.loc["LPS of means", "value"] == pytest.approx(0, abs=0.05)
    assert {"LPS of squares", "distance correlation", "HSIC"} <= set(parabola.detected_by)
    assert list(table["unit"].iloc[[0, 2, 5]]) == ["share of variance", "bits", "nats"]


def test_values_are_those_of_the_measures_and_chance_the_mean_of_copies(parabola):
    z = rc.parabola(3).sample(400, 0).double()
    expected = (distance_correlation_to_rest(z).mean(), hsic_to_rest(z).mean(), gaussian_total_correlation(z))
    assert list(parabola.table.loc[JOINT, "value"]) == pytest.approx([float(value) for value in expected], abs=1e-9)
    for name, line in parabola.table.iterrows():
        null = parabola.null[name]
        assert len(null) == 19
        assert line["chance"] == pytest.approx(null.mean())
        assert line["p_value"] == pytest.approx((1 + (null >= line["value"]).sum()) / 20)
    assert np.abs(parabola.table.loc[JOINT[:2], "chance"]).max() < 0.005


def test_xor_is_detected_jointly_only(joint_only):
    found = independence_report(rc.sign_xor(3).sample(500, 0))
    assert found.detected_by == ["distance correlation", "HSIC"]
    assert "2 of 6 measures detect dependence: distance correlation, HSIC" in found.verdict()


@pytest.mark.parametrize("case", [rc.rotated_uniform(45, 2), rc.eight_modes(2), rc.ring(2), rc.scale_mixture(3)], ids=str)
def test_what_no_mean_shows_is_detected(joint_only, case):
    assert {"distance correlation", "HSIC"} <= set(independence_report(case.sample(500, 1)).detected_by)


@pytest.mark.parametrize("dim", [2, 3])
def test_p_values_of_independent_codes_are_uniform(joint_only, dim):
    # d = 2 is the sharp case: z_0 against z_1 and z_1 against z_0 are one number, and two permutations of it would be two
    rng = np.random.default_rng(dim)
    p = np.array([independence_report(rng.exponential(size=(24, dim)), seed=i).table.loc[JOINT, "p_value"] for i in range(40)])
    assert (p <= 0.05).sum(0).max() <= 6  # binomial(40, 0.05) exceeds it once in 300
    assert p.mean(0) == pytest.approx(0.525, abs=0.15)  # three standard errors
    assert (p > 0.75).sum(0).min() >= 3


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 60), st.integers(0, 1000), st.integers(1, 9))
def test_permuted_copies_that_equal_the_codes_are_ties(n, seed, permutations):
    z = np.zeros((n, 2))
    z[0, 0] = z[1, 1] = 1e3  # every permutation gives these codes again, or lays the ones together
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LatentPredictor, "cross_fitted", constant_losses)
        assert list(independence_report(z, permutations=permutations, seed=seed).table.loc[JOINT[:2], "p_value"]) == [1, 1]


def test_a_copy_is_infinite_in_nats_and_still_printed_and_drawn(joint_only):
    found = independence_report(rc.duplicated(3).sample(200, 0))
    line = found.table.loc["Gaussian total correlation"]
    assert line["value"] == np.inf
    assert line["p_value"] == 0.05
    assert "inf" in repr(found)
    assert any("infinite" in text.get_text() for text in found.plot().axes[-1].texts)


def test_with_fewer_rows_than_latents_linear_dependence_is_not_significant(joint_only):
    found = independence_report(np.random.default_rng(0).normal(size=(20, 30)))
    assert found.table.loc["Gaussian total correlation", "p_value"] == 1
    assert isinstance(found.plot(), Picture)
    assert len(found.plot()._repr_png_()) > 1000


def test_inactive_latents_are_named_and_change_nothing(joint_only):
    z = rc.equicorrelated(0.4, 3).sample(120, 0).numpy()
    dead = np.insert(z, 1, 0.1, axis=1).astype(np.float32)
    found, without = independence_report(dead), independence_report(z)
    assert found.dead == [1]
    assert found.table.loc[JOINT, "value"].to_numpy() == pytest.approx(without.table.loc[JOINT, "value"].to_numpy(), abs=1e-9)
    assert "3 latents, 120 rows" in repr(found)
    assert "Inactive, left out: 1." in repr(found)


def test_only_the_work_that_grows_with_the_square_draws_rows(joint_only):
    z = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    found = independence_report(z, max_rows=50, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert list(found.table["rows"]) == [300, 300, 300, 50, 50, 300]
    assert found.table.equals(independence_report(z.numpy(), max_rows=50, seed=1).table)
    assert not found.table.equals(independence_report(z, max_rows=50, seed=2).table)


def test_words_table_and_figure(parabola):
    html = parabola._repr_html_()
    assert all(name in html for name in MEASURES)
    assert "blind to a ring" in html
    assert "p is at least 0.05" in repr(parabola)
    assert (
        "no measure detects"
        in report_module.IndependenceReport(parabola.table.assign(p_value=1.0), parabola.null, [], 400, 3, 19).verdict()
    )
    assert "gray" in parabola.plot().axes[-1].get_xlabel()
    assert "needs 19" not in parabola.plot().axes[-1].get_xlabel()
    frame = parabola.to_frame()
    frame["value"] = 0
    assert parabola.table["value"].abs().sum() > 0
    axes = parabola.plot().axes
    assert [ax.get_yticklabels()[0].get_text() for ax in axes] == MEASURES
    assert all("p = " in ax.texts[0].get_text() for ax in axes)


def test_column_names_survive():
    z = pd.DataFrame(rc.equicorrelated(0.4, 2).sample(60, 0).numpy(), columns=["x", "y"]).assign(off=1.0)
    assert independence_report(z, regressor="linear", permutations=1).dead == ["off"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: independence_report(np.eye(10)), ValueError, "z must have at least 20 row"),
        (lambda: independence_report(np.arange(40.0)[:, None]), ValueError, "at least 2 columns that vary, got 1 of 1"),
        (lambda: independence_report(np.ones((40, 3))), ValueError, "at least 2 columns that vary, got 0 of 3"),
        (lambda: independence_report(np.full((40, 2), np.nan)), ValueError, "z has 80 value"),
        (lambda: independence_report(np.eye(30), permutations=0), ValueError, "permutations must be at least 1"),
        (lambda: independence_report(np.eye(30), max_rows=5), ValueError, "max_rows must be at least 20"),
        (lambda: independence_report(np.eye(30), seed=0.5), TypeError, "seed must be a whole number"),
        (lambda: independence_report(np.eye(30), regressor="forest"), ValueError, "regressor"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("permutations", [1, 18, 19])
def test_too_few_permutations_leave_the_report_undecided(joint_only, permutations):
    z = np.random.default_rng(0).normal(size=(60, 1))
    found = independence_report(np.hstack([z, z + 0.01 * z**2]), permutations=permutations)
    assert found.table.loc["HSIC", "p_value"] == pytest.approx(1 / (1 + permutations))  # the least that is possible
    enough = permutations >= 19
    assert ("undecided, as p <= 0.05 needs at least 19 permutations" in repr(found)) != enough
    assert ("measures detect dependence" in repr(found)) == enough
    assert "no measure detects" not in repr(found)
    assert ("undecided" in found.plot().axes[-1].get_xlabel()) != enough
