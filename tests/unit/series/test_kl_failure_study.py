import numpy as np
import pytest
import torch

from sculptlab.series import results
from sculptlab.series.studies import kl_failure as studies
from sculptlab.series.studies import settings
from sculptlab.training.objectives import KL

TINY = {"steps": 4, "width": 8, "progress": False}


def test_a_study_has_a_row_for_each_model_and_kind_of_code():
    frame = studies.kl_study("digits", [2, 3], studies.beta_sweep([0.5, 1.0]), [1], **TINY)
    assert len(frame) == 2 * 2 * 2
    assert list(frame.columns[:5]) == ["data", "dim", "objective", "seed", "codes"]
    assert set(frame["objective"]) == {"beta 0.5", "beta 1"}
    assert frame.groupby(["dim", "objective", "seed"])["codes"].agg(list).map(tuple).unique().tolist() == [("means", "samples")]
    again = studies.kl_study("digits", [3], studies.beta_sweep([1.0]), [0, 1], **TINY)
    assert again[again["seed"] == 1].reset_index(drop=True).equals(frame[-2:].reset_index(drop=True))
    assert again["reconstruction_mse"].nunique() == 2


def test_the_measurements_are_of_held_out_images():
    train, held_out = settings.train_and_test("digits")
    assert len(train) + len(held_out) == 1797
    run = settings.train_autoencoder(train, KL(), dim=2, steps=4, seed=0, width=8, stochastic=True)
    means, samples = studies.evaluate_vae(run, held_out)
    assert means["rows"] == samples["rows"] == len(held_out)
    assert means["reconstruction_mse"] == run.reconstruction_error(held_out)
    images = held_out.images
    assert means["baseline_mse"] == pytest.approx((images - images.mean(0)).square().mean().item(), rel=1e-4)
    posterior = run.posterior(held_out)
    by_hand = 0.5 * (posterior.mean**2 + posterior.log_variance.exp() - posterior.log_variance - 1)
    assert means["kl"] == pytest.approx(by_hand.sum(1).mean().item(), rel=1e-4)
    assert means["active"] == int((by_hand.mean(0) > 0.01).sum())


def test_the_most_dependent_pair_is_found_among_active_latents():
    z = torch.randn(500, 5, generator=torch.Generator().manual_seed(0))
    z[:, 3] = z[:, 1] ** 2
    z[:, 0] = z[:, 4] = 1e-3 * z[:, 2]  # perfectly dependent, and inactive
    assert studies.most_dependent_pair(z) == [1, 3]


def test_a_recording_keeps_what_the_pages_draw(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    sweep = studies.beta_sweep([1.0])
    monkeypatch.setattr(studies, "beta_sweep", lambda: sweep)
    monkeypatch.setattr(studies, "RELATIVES", {})
    recorded = studies.record_kl_failure("digits", seeds=[3], steps=2, width=8)
    assert recorded.provenance["seeds"] == [3]
    assert recorded.provenance["settings"]["steps"] == 2
    kept = {f"{dim}|{name}|{kind}" for dim in (2, 10) for name in studies.beta_sweep() for kind in ("means", "samples")}
    assert set(recorded.arrays) == {"labels"} | kept
    assert all(recorded.arrays[name].shape == (400, 2) for name in kept)
    assert np.isfinite(recorded.arrays["2|beta 1|means"]).all()
