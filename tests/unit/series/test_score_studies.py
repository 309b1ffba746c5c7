"""The studies of page 02, on few rows and steps: what a row holds, and that made codes are what they are called."""

import numpy as np
import pytest
import torch

import sculptlab as sl
from sculptlab.series import results
from sculptlab.series.reference_codes import cases as reference_codes
from sculptlab.series.reference_codes.mixing import mixed
from sculptlab.series.studies import scores as score_studies
from sculptlab.series.studies.scores import codes_of_factors, mixing_scores, score_codes, score_models

FEW = {"names": ("linear",), "permutations": 1}


def grid_of_factors(n=1200):
    rng = np.random.default_rng(0)
    return np.column_stack([rng.integers(c, size=n) for c in (3, 6, 8)]).astype(float)


def test_a_score_is_that_of_lps_and_inactive_latents_are_separate():
    z = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    z[:, 1] = z[:, 0] + 0.1 * z[:, 1]
    z[:, 3] = 1e-3 * z[:, 0]  # inactive by its size, and a copy of the first
    found = score_codes(z, **FEW)
    assert found["linear"] == sl.lps(z, "linear", permutations=0).score
    assert found["dead"] == 1
    assert found["evaluated"] == 300
    assert found["mlp_active"] == sl.lps(z[:, :3], permutations=0).score


def test_the_score_of_active_latents_where_all_are_active_and_where_one_is():
    z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    found = score_codes(z, names=("mlp",), permutations=0)
    assert found["mlp_active"] == found["mlp"]
    assert np.isnan(score_codes(z * torch.tensor([1, 1e-3, 1e-3]), **FEW)["mlp_active"])


def test_models_are_scored_on_held_out_codes_of_both_kinds():
    models = {name: score_studies.MODELS[name] for name in ("no regularizer", "beta 1")}
    frame = score_models("digits", models, [0, 1], FEW, rows=200, dim=3, steps=3, width=8)
    assert frame.groupby("objective")["codes"].agg(list).tolist() == [["means", "samples"] * 2] * 2
    assert (frame["evaluated"] == 200).all()
    assert frame["linear"].between(0, 1).all()


def test_the_models_are_those_of_page_01():
    recorded = set(results.read_result("kl_failure_digits").frame["objective"])
    assert set(score_studies.MODELS) <= recorded


def test_codes_made_of_factors():
    known = grid_of_factors()
    made = codes_of_factors(known, dim=6)
    assert {z.shape for z in made.values()} == {(1200, 6)}
    for name in ("aligned", "uniform"):
        for i in range(3):  # a rank: it never falls where the factor rises
            z, values = made[name][:, i].numpy(), known[:, i]
            assert max(z[values == 0]) < min(z[values == 1])
    assert made["uniform"][:, 0].abs().max() < 3**0.5 + 1e-5
    assert torch.allclose(made["aligned"].norm(dim=1), made["rotated"].norm(dim=1), atol=1e-3)  # a rotation
    assert torch.equal(made["duplicated"][:, :3], made["duplicated"][:, 3:])
    assert abs(np.corrcoef(made["noise"][:, 0], known[:, 0])[0, 1]) < 0.1
    assert sl.lps(made["uniform"], "linear", permutations=0).score < 0.01


def test_against_factors_the_rotation_shows_in_mig_alone():
    known = grid_of_factors()
    made = codes_of_factors(known, dim=4)
    aligned, rotated = (score_studies.score_against_factors(made[name], known) for name in ("aligned", "rotated"))
    assert aligned["mlp"] < 0.02
    assert rotated["mlp"] < 0.02
    assert rotated["MIG"] < 0.4 * aligned["MIG"]
    assert rotated["DCI disentanglement"] < aligned["DCI disentanglement"]


def test_the_scores_of_a_mixture():
    straight, bent = (mixing_scores(mixed("gaussian", 0, bend, n=800)) for bend in (0.0, 1.0))
    assert max(straight[name] for name in ("linear", "mlp", "squares", "distance correlation", "HSIC")) < 0.03
    assert bent["mlp"] == pytest.approx(0.5, abs=0.05)  # one of the two is certain
    assert bent["linear"] < 0.03
    assert straight["MIG"] > 0.3
    assert straight["SAP (continuous)"] > 0.9


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    for name, value in {"ANGLES": (0, 45), "BENDS": (0.0,), "SOURCES": ("uniform",), "SIZES": (100,), "DIMENSIONS": (3,),
                        "TRAINING_STEPS": (2,), "REGRESSORS": ("linear",), "LPS_NAMES": ("linear",)}.items():  # fmt: skip
        monkeypatch.setattr(score_studies, name, value)
    models = {name: score_studies.MODELS[name] for name in ("no regularizer", "beta 1")}
    monkeypatch.setattr(score_studies, "MODELS", models)
    monkeypatch.setattr(score_studies, "SPRITE_MODELS", {"beta 1": models["beta 1"]})
    monkeypatch.setattr(score_studies, "score_against_factors", lambda z, known, seed: {"mlp": float(len(z))})


def test_the_recordings(small):
    mixing = score_studies.record_mixing([0, 1], n=60)
    assert len(mixing.frame) == 4
    assert {"source", "angle", "bend", "seed", "linear", "MIG", "HSIC"} <= set(mixing.frame)
    sensitivity = score_studies.record_sensitivity([0])
    assert sensitivity.frame.groupby("hyperparameter").size().to_dict() == {"n": 4, "d": 4, "steps": 2}
    xor = sensitivity.frame.query("hyperparameter == 'd' and codes == 'three-way sign XOR'")
    assert xor["raw_truth"].item() == pytest.approx(2 / np.pi, abs=1e-4)
    sprites = score_studies.record_factor_scores([0], steps=2, n=200)
    assert sprites.frame["mlp"].unique().tolist() == [60]  # three tenths are held out, and scored
    assert sprites.frame.groupby("kind").size().to_dict() == {"made": 7, "model": 1}
    models = score_studies.record_model_scores("digits", [0], steps=2, permutations=1)
    assert len(models.frame) == 4
    assert models.provenance["settings"]["lps"] == ["linear"]


def test_the_truth_of_the_cases_that_move():
    assert reference_codes.sign_xor(6).truth["mean"] == pytest.approx(1 / np.pi)
