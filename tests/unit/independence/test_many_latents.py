"""Codes with many latents: the choices by default, what the results say of them, valid p-values, and column names."""

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.columns import standardize
from sculptlab.independence import independence_report, lps, lps_curve
from sculptlab.independence.dependence import distance_correlations, hsics
from sculptlab.independence.networks import predict_by_networks
from sculptlab.independence.regressors import LatentPredictor
from sculptlab.progress import Progress


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def entangled(n, d, seed=0):
    """Each latent shares half of its variance with the others through eight sources."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 8)) @ rng.normal(size=(8, d)) / 8**0.5 + rng.normal(size=(n, d))


@pytest.mark.parametrize(("d", "regressor"), [(32, "mlp"), (33, "linear")])
def test_the_default_regressor_follows_the_number_of_active_latents(d, regressor):
    z = np.column_stack([normal(120, d), np.ones(120)])
    found = lps(z, permutations=0)
    assert found.regressor == regressor
    assert (f"linear, because of {d} latents" in repr(found)) == (regressor == "linear")
    assert found.raw.tolist() == pytest.approx(lps(z, regressor, permutations=0).raw.tolist(), nan_ok=True, abs=0)


def test_linear_predicts_all_by_default_and_classes_of_32_drawn_latents():
    z = entangled(300, 40)
    assert np.isfinite(lps(z, permutations=0).raw).all()
    found = lps(z, target="distribution", permutations=0, seed=3)
    assert np.isfinite(found.raw).sum() == len(found.to_frame()) == 32
    assert found.score == pytest.approx(np.nanmean(found.per_dimension))
    assert "32 of 40 latents, drawn by the seed" in repr(found)
    assert len(found.plot().axes[0].patches) == 32


def test_drawn_latents_have_the_scores_that_they_have_among_all():
    z = pd.DataFrame(entangled(200, 6), columns=list("abcdef")).assign(off=1.0)
    every, some = (lps(z, "mlp", latents=k, permutations=1) for k in (None, 2))
    shown = some.to_frame()
    assert list(shown.index[shown["dead"]]) == ["off"]
    names = list(shown.index[~shown["dead"]])
    assert len(names) == 2
    assert shown.loc[names, "raw"].to_numpy() == pytest.approx(every.to_frame().loc[names, "raw"].to_numpy(), abs=1e-4)
    assert lps(z, "mlp", latents=2, permutations=1).raw.tolist() == pytest.approx(some.raw.tolist(), nan_ok=True, abs=0)


def test_networks_of_some_columns_are_those_among_all():
    z = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    every = predict_by_networks(z, z, z, hidden=(8,), seed=1)
    some = predict_by_networks(z, z[:, [1, 4]], z, hidden=(8,), seed=1, columns=[1, 4])
    assert torch.allclose(some, every[:, [1, 4]], atol=1e-4)


@pytest.mark.parametrize("measure", [distance_correlations, hsics])
def test_chosen_columns_have_their_values_among_all(measure):
    data = standardize(torch.from_numpy(entangled(150, 40)))
    assert measure(data, [3, 30]).numpy() == pytest.approx(measure(data)[[3, 30]].numpy(), abs=1e-9)


def test_the_report_says_how_many_latents_each_measure_used():
    z = pd.DataFrame(entangled(300, 40), columns=[f"e{i}" for i in range(40)])
    found = independence_report(z, permutations=1, max_rows=50)
    assert list(found.table["latents"]) == [40, 40, 32, 32, 32, 40]
    assert len(found.latents) == 32
    assert set(found.latents) < set(z.columns)
    assert "linear, because of 40 latents" in repr(found)
    assert "32 of 40 latents" in found._repr_html_()
    few = independence_report(z, latents=3, permutations=1, max_rows=50)
    assert list(few.table["latents"]) == [3, 3, 3, 3, 3, 40]


def test_a_regressor_by_name_predicts_32_latents_in_the_report_and_says_so(monkeypatch):
    predicted = []

    def cross_fitted(predictor, z, seed, columns):
        predicted.append(len(columns))
        return np.ones((1, len(columns))), np.ones((1, len(columns)))

    monkeypatch.setattr(LatentPredictor, "cross_fitted", cross_fitted)
    found = independence_report(entangled(60, 40), regressor="mlp", permutations=1, max_rows=20)
    assert list(found.table["latents"]) == [32, 32, 32, 32, 32, 40]
    assert set(predicted) == {len(found.latents)} == {32}
    for shown in (repr(found), found._repr_html_()):
        assert "32 of 40 latents, drawn by the seed" in shown


def test_all_latents_or_a_number_of_them_in_every_statistic():
    z = entangled(120, 34)
    for latents, count in (("all", 34), (5, 5)):
        assert np.isfinite(lps(z, target="distribution", latents=latents, permutations=0).raw).sum() == count
        assert len(lps_curve(z, target="distribution", latents=latents, rows=(96,), permutations=0).latents) == count
        report = independence_report(z, latents=latents, permutations=1, max_rows=20)
        assert list(report.table["latents"]) == [count] * 5 + [34]
        assert ("5 of 34 latents" in repr(report)) == (count == 5)


def test_lps_of_drawn_latents_is_no_false_alarm_and_sees_dependence():
    p = np.array([lps(normal(100, 40, seed), latents=8, permutations=9, seed=seed).p_value for seed in range(60)])
    assert (p <= 0.1).sum() <= 14  # binomial(60, 0.1) exceeds it once in 1,000; most p are 1: all scores are cut at 0
    assert all(lps(entangled(200, 40, seed), latents=8, permutations=9, seed=seed).p_value == 0.1 for seed in range(5))


def test_p_values_of_drawn_latents_are_uniform_without_dependence(monkeypatch):
    monkeypatch.setattr(LatentPredictor, "cross_fitted", lambda *_: (np.ones((1, 8)), np.ones((1, 8))))
    joint = ["distance correlation", "HSIC"]
    tables = [independence_report(normal(40, 40, k), regressor="boosting", latents=8, seed=k).table for k in range(20)]
    p = np.array([table.loc[joint, "p_value"] for table in tables])
    assert (p <= 0.05).sum(0).max() <= 4  # binomial(20, 0.05) exceeds it once in 400
    assert p.mean(0) == pytest.approx(0.525, abs=0.2)  # three standard errors
    found = independence_report(entangled(300, 40), seed=0)
    assert {"distance correlation", "HSIC"} <= set(found.detected_by)


def test_the_curve_is_linear_for_many_latents():
    found = lps_curve(entangled(400, 40), rows=(100, 300))
    assert found.regressor == "linear"
    assert len(found.latents) == 40
    assert "linear, because of 40 latents" in repr(found)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: lps(normal(60, 80), "linear"),
            "at least 82 rows for linear on 80 columns, got 60: give more rows, fewer columns",
        ),
        (lambda: independence_report(normal(60, 80), regressor="linear"), "at least 82 rows for linear on 80 columns, got 60"),
        (lambda: lps(normal(60, 3), "linear", latents=4), "latents must be 'all' or at most the 3 that vary, got 4"),
        (lambda: lps(normal(60, 3), "linear", latents=0), "latents must be at least 1, got 0"),
        (lambda: independence_report(normal(60, 3), latents="every"), r"latents must be one of \['all'\], got 'every'"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_progress_bar_appears_late_and_says_what_is_left(monkeypatch, capsys):
    lps(normal(50, 3), "linear")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Progress, "delay", 0.0)
    lps(normal(50, 3), "boosting", permutations=1, progress=False)
    assert capsys.readouterr().err == ""
    lps(normal(50, 3), "boosting", permutations=1)
    shown = capsys.readouterr().err
    assert "LPS (boosting)" in shown
    assert "/12 [" in shown
