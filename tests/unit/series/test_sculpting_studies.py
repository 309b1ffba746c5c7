"""The studies of page 04: errors relative to the plain model, measures of independence, ablations of one choice each."""

import numpy as np
import pytest
import torch

import sculptlab as sl
from sculptlab.priors import Gaussian
from sculptlab.series.studies import ablations as ablation_studies
from sculptlab.series.studies import evaluators
from sculptlab.series.studies import sculpting as sculpting_studies
from sculptlab.series.studies.ablations import ablations, effective_rank
from sculptlab.series.studies.evaluators import FRONTIER_LPS, independence_measures
from sculptlab.series.studies.sculpting import frontier_objectives
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.objectives import MMD, Predictability, Reconstruction

TINY = Setting("digits", 3, components=20, steps=20, width=16, evaluated=200, betas=(0.1,))


@pytest.fixture(scope="module")
def prepared():
    return PreparedImages.of(TINY)


@pytest.fixture
def _least_squares(monkeypatch):
    """Least squares in place of the networks, for tests of what a table has: they take a hundredth of the time."""
    linear = {name: ("linear", target) for name, (_, target) in evaluators.LPS_COLUMNS.items()}
    monkeypatch.setattr(evaluators, "LPS_COLUMNS", linear)


def test_held_out_images_do_not_shape_the_basis(prepared):
    assert len(prepared.training) + len(prepared.held_out) == 1797
    assert abs(prepared.training.mean(0)).max() < 1e-4  # centered on the training mean
    assert abs(prepared.held_out.mean(0)).max() > 1e-3


def test_the_error_counts_what_the_basis_loses(prepared):
    run = prepared.train(Reconstruction(), 0)
    inside = run.reconstruction_error(prepared.held_out) * 20 / 64
    assert prepared.error(run) == pytest.approx(inside + prepared.lost)
    assert prepared.lost > 0


def test_the_measures_recognize_a_gaussian_and_a_copy():
    z = torch.randn(1500, 4, generator=torch.Generator().manual_seed(0))
    good = independence_measures(z)
    assert max(good[name] for name in FRONTIER_LPS) < 0.02
    assert good["kurtosis"] == pytest.approx(3, abs=0.2)
    assert abs(good["dcor_rest"]) < 0.02
    bad = independence_measures(torch.cat([z[:, :3], z[:, :1]], 1), names=("mlp",))
    assert bad["mlp"] == pytest.approx(0.5, abs=0.05)
    assert bad["largest_correlation"] == pytest.approx(1, abs=1e-5)
    assert bad["dcor"] > 10 * abs(bad["dcor_chance"])


@pytest.mark.usefixtures("_least_squares")
def test_frontier_has_a_row_for_each_kind_of_code_and_the_plain_model_has_relative_error_one(prepared):
    goals = {name: frontier_objectives(3, (0.1,))[name] for name in ("no regularizer", "beta 0.1", "MMD + predictability")}
    frame = sculpting_studies.frontier(prepared, goals, [0, 1], names=("mlp",), progress=False)
    assert set(frame["codes"]) == {"codes", "means", "samples"}
    assert len(frame) == 2 * (1 + 2 + 1)
    assert frame[frame["objective"] == "no regularizer"]["relative_error"].mean() == pytest.approx(1)


def test_objectives_have_the_weights_of_the_module():
    goals = frontier_objectives(5, (0.01,))
    assert repr(goals["MMD + predictability"]) == repr(
        MMD(Gaussian(5), sculpting_studies.JOINT_WEIGHT) + Predictability(sculpting_studies.PENALTY_WEIGHT, width=64, rounds=2)
    )
    assert goals["marginal MMD + predictability"].parts[0].views == "marginal"
    assert goals["beta 0.01"].needs_posterior


def test_each_ablation_changes_one_hyperparameter():
    base = next(term for name, _, term, _ in ablations(4) if name == "base")
    for hyperparameter, value, term, changes in ablations(4):
        if hyperparameter in ("batch", "dim"):
            assert list(changes.values()) == [int(value)]
            assert (term.weight, term.kernel) == (base.weight, base.kernel)
        elif hyperparameter != "64 latents":
            assert changes == {}
        if hyperparameter == "weight":
            assert term.weight == float(value)
            assert term.weight != base.weight
    wide = {
        value: (term.weight, changes) for hyperparameter, value, term, changes in ablations(4) if hyperparameter == "64 latents"
    }
    assert wide == {"weight 10": (10.0, {"dim": 64}), "batch 1024": (base.weight, {"dim": 64, "batch_size": 1024})}


def test_effective_rank_counts_uncorrelated_latents():
    z = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0))
    assert effective_rank(z) == pytest.approx(6, rel=0.02)
    assert effective_rank(torch.cat([z[:, :3], z[:, :3]], 1)) == pytest.approx(3, rel=0.02)
    assert effective_rank(z[:, :1].expand(-1, 6)) == pytest.approx(1)


@pytest.mark.usefixtures("_least_squares")
def test_architectures_are_compared_on_the_images_themselves(monkeypatch):
    halves = sl.load("patches").subset(range(124)).split(test=60 / 124, seed=0)
    monkeypatch.setattr(ablation_studies, "train_and_test", lambda name: halves)
    setting = Setting("patches", 3, steps=2, width=8, batch_size=16, evaluated=60)
    frame = ablation_studies.architectures(
        setting, [0], kinds=("mlp", "conv"), conditions=("no regularizer", "MMD"), progress=False
    )
    assert list(frame.groupby(["value", "condition"]).size()) == [1] * 4
    assert np.isfinite(frame[["mlp", "rank", "reconstruction_mse"]]).all(axis=None)


@pytest.mark.usefixtures("_least_squares")
def test_ablation_has_every_condition(prepared, monkeypatch):
    small = [row for row in ablations(3) if row[3].get("dim", 3) < 10]
    monkeypatch.setattr(ablation_studies, "ablations", lambda dim: small)
    frame = ablation_studies.ablate(prepared, [0], hyperparameters=("base", "dim"), progress=False)
    assert {
        "MMD",
        "predictability",
        "no regularizer",
        "MMD + predictability",
        "predictability, squared",
        "MMD + predictability, squared",
    } == set(frame[frame["hyperparameter"] == "base"]["condition"])
    assert frame.groupby("dim")["condition"].count().to_dict() == {3: 6, 4: 3, 8: 3}
    assert np.isfinite(frame[["mlp", "squares", "reconstruction_mse"]]).all(axis=None)


def test_the_kl_half_of_a_frontier_has_no_other_objective():
    setting = sculpting_studies.FRONTIERS["cifar10_16_kl"]
    assert setting.kl_only
    assert {"beta 0.2", "beta 1"} < set(frontier_objectives(setting.dim, setting.betas))
