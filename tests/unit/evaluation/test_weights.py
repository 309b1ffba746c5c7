"""The sweep over weights: its best by rule, rows that are never trained on, what is evaluated, figures, bad input."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import sculptlab as sl
from sculptlab.evaluation import weights as module
from sculptlab.evaluation.weights import WeightCurve, find_weight
from sculptlab.independence import networks
from sculptlab.priors import Gaussian
from sculptlab.training.objectives import KL, MMD, Predictability, Reconstruction
from sculptlab.training.sources import as_images

QUICK = {"steps": 3, "batch_size": 32, "device": "cpu", "progress": False}
ROWS = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _short_networks(monkeypatch):
    """Networks of the LPS with few steps: what they find is tested in tests/unit/independence."""
    monkeypatch.setattr(networks, "MAX_STEPS", 40)


def build(seed, dim=2, **options):
    return sl.build_autoencoder("mlp", image_shape=(6,), dim=dim, width=8, output="linear", seed=seed, **options)


def goal(weight):
    return MMD(Gaussian(2), weight=weight)


def curve(ratios, scores, tolerance=0.1):
    """Weights 1, 10, 100 … with these ratios and LPS for one seed, beside a plain autoencoder's of LPS .8."""
    rows = [{"weight": 0.0, "seed": 0, "reconstruction_mse": 0.02, "relative_error": 1.0, "lps": 0.8, "mmd2": 1.0}]
    for i, (ratio, score) in enumerate(zip(ratios, scores, strict=True)):
        rows.append(
            {"weight": 10.0**i, "seed": 0, "reconstruction_mse": 0.02 * ratio, "relative_error": ratio, "lps": score, "mmd2": 0.1}
        )
    return WeightCurve(pd.DataFrame(rows), tolerance)


@pytest.mark.parametrize(
    ("ratios", "scores", "tolerance", "best"),
    [
        ([1.0, 1.05, 1.5], [0.5, 0.2, 0.01], 0.1, 10.0),  # the last one's error is too large
        ([1.0, 1.05, 1.5], [0.5, 0.2, 0.01], 0.5, 100.0),  # a ratio of 1.5 is within a tolerance of .5
        ([1.0, 1.05, 1.5], [0.1, 0.2, 0.3], 0.1, 1.0),  # the least LPS, not the largest weight
        ([1.2, 1.3, 1.5], [0.1, 0.2, 0.3], 0.1, None),
        ([0.9, 0.8, 1.0], [0.9, 0.85, 0.9], 0.0, 10.0),  # the plain one's LPS of .8 is not a candidate
        ([1.0, 1.0, 1.0], [math.nan, math.nan, math.nan], 0.1, None),
        ([1.0, 1.0, 1.0], [0.5, math.nan, 0.6], 0.1, 1.0),
    ],
)
def test_the_best_weight_is_the_least_lps_within_the_tolerance(ratios, scores, tolerance, best):
    found = curve(ratios, scores, tolerance)
    assert found.best == best
    words = f"best weight: {best:g} " if best else "has no LPS" if np.isnan(scores).all() else "try smaller ones"
    assert words in repr(found)


@pytest.mark.parametrize(
    ("ratios", "scores", "said", "unsaid"),
    [
        ([1.0, 1.0, 1.0], [0.3, 0.01, 0.3], (), ("edge", "entangled", "worse")),
        ([1.0, 1.0, 1.0], [0.01, 0.2, 0.3], ("try smaller",), ("entangled", "worse")),
        ([1.0, 1.0, 0.76], [0.5, 0.4, 0.34], ("try larger", "LPS 0.34", "worse (0.76x)"), ()),
        ([1.0], [0.01], (), ("edge",)),
    ],
)
def test_a_best_weight_says_what_it_does_not_show(ratios, scores, said, unsaid):
    shown = repr(curve(ratios, scores, 0.1))
    assert all(words in shown for words in said)
    assert not any(words in shown for words in unsaid)


def test_means_are_over_seeds():
    one, two = curve([1.0], [0.2]).frame, curve([1.16], [0.4]).frame.assign(seed=1)
    found = WeightCurve(pd.concat([one, two]), 0.1)
    assert found.means.loc[1.0, "lps"] == pytest.approx(0.3)
    assert found.means.loc[1.0, "relative_error"] == pytest.approx(1.08)
    assert found.best == 1.0  # on average within, though one seed is not


def test_a_row_for_each_weight_and_seed():
    found = find_weight(goal, build, ROWS, weights=[30, 1.0], seeds=(0, 5), **QUICK)
    assert list(found.frame["weight"]) == [0, 0, 1, 1, 30, 30]
    assert list(found.frame["seed"]) == [0, 5] * 3
    assert list(found.frame.columns) == ["weight", "seed", "reconstruction_mse", "lps", "mmd2", "relative_error"]
    assert np.isfinite(found.frame).all(axis=None)
    plain = found.frame["reconstruction_mse"][:2].mean()
    assert np.allclose(found.frame["relative_error"], found.frame["reconstruction_mse"] / plain)
    assert found.frame["relative_error"][:2].mean() == pytest.approx(1.0)


@pytest.fixture
def spied(monkeypatch):
    """What `fit` was given: images, objective and options of each run, beside the run itself."""
    calls, fit = [], module.fit_to_the_end

    def spy(model, images, objective, **options):
        run = fit(model, images, objective, **options)
        calls.append((as_images(images), objective, options, run))
        return run

    monkeypatch.setattr(module, "fit_to_the_end", spy)
    return calls


def test_held_out_rows_are_never_trained_on_and_are_the_same_throughout(spied, monkeypatch):
    evaluated, evaluate = [], module._evaluate

    def spy(run, images, *rest):
        evaluated.append(as_images(images))
        return evaluate(run, images, *rest)

    monkeypatch.setattr(module, "_evaluate", spy)
    find_weight(goal, build, ROWS, weights=(1.0, 5.0), seeds=(0, 1), held_out=0.3, **QUICK)
    trained = [images for images, *_ in spied]
    assert len(trained) == len(evaluated) == 6
    for seen, aside in zip(trained, evaluated, strict=True):
        assert (len(seen), len(aside)) == (140, 60)
        together = torch.cat([seen, aside])
        assert torch.equal(together[together[:, 0].argsort()], ROWS[ROWS[:, 0].argsort()])  # every row on one side, once
        assert torch.equal(seen, trained[0])
        assert torch.equal(aside, evaluated[0])


def test_one_weight_and_one_seed_need_no_list():
    one, listed = (find_weight(goal, build, ROWS, weights=w, seeds=s, **QUICK) for w, s in ((3.0, 1), ([3.0], [1])))
    assert one.frame.equals(listed.frame)


def test_every_run_has_its_objective_seed_and_options(spied):
    find_weight(goal, build, ROWS, weights=(4.0,), seeds=(3,), learning_rate=2e-3, **QUICK)
    plain, weighed = spied
    assert plain[1] == Reconstruction()
    assert weighed[1] == goal(4.0)
    for _, _, options, run in spied:
        assert (options["seed"], options["steps"], options["learning_rate"], options["batch_size"]) == (3, 3, 2e-3, 32)
        assert run.seed == 3


def test_the_numbers_are_those_of_the_held_out_codes(spied):
    found = find_weight(goal, build, ROWS, weights=(4.0,), seeds=(3,), **QUICK)
    aside = ROWS[module.hold_out(len(ROWS), 0.2)[1]]
    run, row = spied[1][3], found.frame.iloc[1]
    codes = run.encode(aside)
    assert row["reconstruction_mse"] == pytest.approx((run.reconstruct(aside) - aside).square().mean().item(), rel=1e-5)
    assert row["lps"] == pytest.approx(sl.lps(codes, permutations=0, seed=3).score)
    target = Gaussian(2).sample(len(codes), generator=torch.Generator().manual_seed(0))
    assert row["mmd2"] == pytest.approx(sl.mmd2(codes, target).item(), rel=1e-5)


def test_the_plain_autoencoder_has_the_objectives_likelihood(spied):
    pixels = torch.rand(80, 6, generator=torch.Generator().manual_seed(1))
    find_weight(
        lambda w: MMD(Gaussian(2), weight=w, likelihood="bernoulli"),
        lambda seed: sl.build_autoencoder("mlp", image_shape=(6,), dim=2, width=8, seed=seed),
        pixels, weights=(1.0,), seeds=(0,), held_out=0.5, **QUICK,
    )  # fmt: skip
    assert spied[0][1] == Reconstruction(likelihood="bernoulli")


def test_without_a_prior_there_is_no_mmd_and_a_sum_has_its_parts():
    penalty = find_weight(lambda w: Predictability(weight=w, width=4), build, ROWS, weights=(1.0,), seeds=(0,), **QUICK)
    assert penalty.frame["mmd2"].isna().all()
    assert penalty.frame["lps"].notna().all()
    both = find_weight(lambda w: goal(w) + Predictability(width=4), build, ROWS, weights=(1.0,), seeds=(0,), **QUICK)
    assert both.frame["mmd2"].notna().all()


def test_one_latent_has_a_curve_and_no_best():
    found = find_weight(
        lambda w: MMD(Gaussian(1), weight=w), lambda s: build(s, dim=1), ROWS, weights=(1.0,), seeds=(0,), **QUICK
    )
    assert found.frame["lps"].isna().all()
    assert found.frame["mmd2"].notna().all()
    assert found.best is None
    assert "has no LPS" in repr(found)


def test_a_stochastic_encoder_is_swept_too():
    found = find_weight(lambda w: KL(beta=w), lambda s: build(s, stochastic=True), ROWS, weights=(0.1,), seeds=(0,), **QUICK)
    assert np.isfinite(found.frame).all(axis=None)


def test_a_dataset_and_its_bytes(digits):
    def small(seed):
        return sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=8, seed=seed)

    one = find_weight(goal, small, digits, weights=(1.0,), seeds=(0,), **QUICK)
    two = find_weight(goal, small, digits.images, weights=(1.0,), seeds=(0,), **QUICK)
    assert one.frame.equals(two.frame)
    images = (digits.images * 255).round().to(torch.uint8)
    bytes_, floats = (find_weight(goal, small, x, weights=(1.0,), seeds=(0,), **QUICK) for x in (images, images / 255))
    assert np.allclose(bytes_.frame, floats.frame, rtol=1e-4)


def test_a_larger_weight_brings_the_codes_nearer_to_the_prior():
    """Means of three seeds, held-out codes: a weight of 100 leaves less than a fifth of the plain autoencoder's MMD^2."""
    options = QUICK | {"steps": 200, "learning_rate": 3e-3}
    found = find_weight(goal, build, ROWS, weights=(100.0,), seeds=(0, 1, 2), **options)
    plain, pulled = found.means["mmd2"]
    assert plain > 5 * pulled


@pytest.mark.parametrize("scores", [[0.5, 0.1], [math.nan, math.nan]], ids=["scores", "none"])
@pytest.mark.parametrize("ratio", [1.05, 1.5])
def test_the_figure_has_two_panels_and_marks_the_best(ratio, scores):
    found = curve([1.0, ratio], scores)
    figure = found.plot()
    error, gain = figure.axes
    assert (error.get_title(), error.get_xscale()) == ("relative reconstruction error", "log")
    marked = [line for line in gain.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in marked] == ([] if found.best is None else [found.best])
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"weights": ()}, ValueError, "number of weights must be at least 1, got 0"),
        ({"weights": (1.0, -1.0)}, ValueError, "weights must be > 0"),
        ({"weights": (0.0,)}, ValueError, "weights must be > 0"),
        ({"weights": ("1",)}, TypeError, "weights must be a number"),
        ({"seeds": ()}, ValueError, "number of seeds must be at least 1, got 0"),
        ({"seeds": (0.5,)}, TypeError, "seeds must be a whole number"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"tolerance": -0.1}, ValueError, "tolerance must be >= 0"),
        ({"held_out": 0.0}, ValueError, "held_out must be > 0"),
        (
            {"held_out": 0.05},
            ValueError,
            "held_out must leave at least 20 rows of data on either side, got 0.05, which leaves 190 to train on and 10 ",
        ),
        ({"held_out": 0.95}, ValueError, "held_out must leave at least 20"),
        ({"held_out": 1.5}, ValueError, "held_out must be a share below 1, got 1.5"),
    ],
)
def test_bad_settings_are_named_before_anything_is_trained(spied, options, error, words):
    with pytest.raises(error, match=words):
        find_weight(goal, build, ROWS, **{**QUICK, "weights": (1.0,), "seeds": (0,), **options})
    assert not spied


def test_a_build_that_returns_one_model_again_is_refused(spied):
    model = build(0)
    with pytest.raises(ValueError, match="build must make a new model at each call, got the same one twice"):
        find_weight(goal, lambda seed: model, ROWS, **{**QUICK, "weights": (1.0,), "seeds": (0,)})
    assert not spied


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (1, "at least 20 rows of data on either side, got 0.2, which leaves 1 to train on and 0 to evaluate"),
        (39, "which leaves 31 to train on and 8 to evaluate"),
        (45, "which leaves 36 to train on and 9 to evaluate"),
    ],
)
def test_few_rows_are_said_to_be_few(spied, rows, words):
    with pytest.raises(ValueError, match=words):
        find_weight(goal, build, ROWS[:rows], **QUICK)
    assert not spied


def test_what_is_no_objective_or_of_another_dimension_is_refused_before_anything_is_trained(spied):
    with pytest.raises(TypeError, match="objective must be"):
        find_weight(lambda w: w, build, ROWS, weights=(1.0,), **QUICK)
    with pytest.raises(ValueError, match=r"prior must have 2 dimension\(s\)"):
        find_weight(lambda w: MMD(Gaussian(3), weight=w), build, ROWS, weights=(1.0,), seeds=(0,), **QUICK)
    assert not spied
    with pytest.raises(ValueError, match="NaN or infinite"):
        find_weight(goal, build, ROWS / 0, weights=(1.0,), **QUICK)


def test_best_breaks_a_tie_by_the_distance_to_the_prior():
    rows = [(0.0, 1.0, 0.5, 0.9), (10.0, 1.05, 0.0001, 0.02), (30.0, 1.06, 0.0002, 0.01), (90.0, 1.5, 0.0, 0.0)]
    frame = pd.DataFrame(
        [
            {"weight": w, "seed": 0, "reconstruction_mse": r, "relative_error": r, "lps": lps, "mmd2": mmd2}
            for w, r, lps, mmd2 in rows
        ]
    )
    assert WeightCurve(frame, 0.1).best == 30.0


def test_a_model_or_an_objective_instead_of_a_function_is_refused():
    with pytest.raises(TypeError, match="build one of the seed"):
        find_weight(lambda w: MMD(Gaussian(2), weight=w), build(0), ROWS, **QUICK)
    with pytest.raises(TypeError, match="objective must be a function of the weight"):
        find_weight(MMD(Gaussian(2)), build, ROWS, **QUICK)


def test_ctrl_c_ends_the_sweep_and_no_half_trained_model_is_compared():
    seen = []

    def interrupt(record):
        seen.append(record.step)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted after 2 of 3 steps"), pytest.raises(KeyboardInterrupt):
        find_weight(goal, build, ROWS, weights=[1.0, 10.0], callbacks=interrupt, **QUICK)
    assert seen == [1, 2, 3, 1, 2]
