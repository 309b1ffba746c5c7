"""The PredictabilityWidget's engine: predictions, scores and maps with known answers, the penalty, changes in any order."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsRegressor

import sculptlab as sl
from sculptlab.live.predictability import (
    MADE,
    MAPPED,
    NEIGHBORS,
    ROWS,
    SHOWN,
    PredictabilityEngine,
    PredictabilitySettings,
    chance_level,
    made_sample,
    predict_by_neighbors,
)
from sculptlab.threads import one_thread


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


def engine(**settings):
    return PredictabilityEngine(settings=PredictabilitySettings(**settings))


@pytest.fixture(scope="module")
def trained():
    made = engine()
    made.run(60)
    return made


@pytest.mark.parametrize("name", MADE)
def test_predictions_are_those_of_the_library(name):
    fitted, held_out = made_sample(name, 1).split([ROWS - 450, 450])
    found = predict_by_neighbors(fitted, held_out)
    for target, score in (("mean", found.lps), ("square", found.squares)):
        curve = sl.lps_curve(
            fitted, held_out, KNeighborsRegressor(NEIGHBORS), target, rows=(len(fitted),), permutations=0, progress=False
        )
        assert score == pytest.approx(curve.frame["score"].item(), abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_made_samples_have_the_scores_that_they_are_made_for(seed):
    found = {name: predict_by_neighbors(*made_sample(name, seed).split([ROWS - 450, 450])) for name in MADE}
    assert found["independent"].lps < 0.02
    assert found["independent"].squares < 0.02
    assert found["parabola"].r2[0] < 0.05
    assert found["parabola"].r2[1] > 0.9
    assert (found["XOR"].r2 > 0.4).all()  # at its best (E|z|)² = 2/π
    assert (found["XOR"].r2 < 2 / np.pi).all()
    pair = made_sample("XOR", seed)[:, [0, 2]].split([ROWS - 450, 450])
    assert predict_by_neighbors(*pair).lps < 0.02
    assert found["cross"].lps < 0.02
    assert found["cross"].squares > 0.9
    assert max(chance_level(*made_sample("parabola", seed).split([ROWS - 450, 450]))) < 0.02


def test_a_latent_that_does_not_vary_is_not_predicted():
    codes = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    codes[:, 1] = 3.0
    found = predict_by_neighbors(codes[:60], codes[60:])
    assert found.r2[1] == found.squares_r2[1] == 0
    assert torch.isfinite(found.predictions).all()


def test_whitened_codes_have_covariance_one_and_both_maps_keep_every_reconstruction(trained):
    held_out = trained._encoded()[1]
    plain = trained.model.decode(held_out)
    for name in MAPPED:
        fitted, mapped, decode = trained.mapped(name)
        cov = fitted.double().T.cov(correction=0)
        assert (cov - torch.eye(3)).abs().max() < (1e-5 if name == "whitened" else 0.3)
        assert (decode(mapped) - plain).abs().max() < 1e-4
        assert (mapped - held_out).abs().max() > 0.1


def test_a_map_and_a_made_sample_stand_until_the_next_step(trained):
    step = trained.step
    for show in ("whitened", "cross", "codes"):
        trained.change(show=show)
        look = trained.look()
        assert (look.reconstructions is None) == (show == "cross")
        assert np.isnan(look.relative) if show == "cross" else abs(look.relative - 1) < 1e-4
        assert (look.network_r2 is None) == (show != "codes")
    trained.change(show="XOR")
    assert "XOR" in trained.settings.show
    assert "product of the signs" in trained.finding(trained.look())
    assert trained.advance()
    assert (trained.settings.show, trained.step) == ("codes", step + 1)


@pytest.mark.parametrize(
    ("show", "words"), [("independent", "Neither"), ("cross", "misses this dependence"), ("parabola", "finds a dependence")]
)
def test_the_finding_says_what_the_scores_say(trained, show, words):
    trained.change(show=show)
    assert words in trained.finding(trained.look())
    trained.change(show="codes")


def test_the_penalty_lowers_lps_and_the_plain_autoencoder_is_the_same_model_without_it():
    without, made = engine(), engine()
    for one in (without, made):
        one.run(150)
    made.change(penalty=True)
    assert made.advance()
    history = made.run(149)
    without.run(150)
    for name, weight in without.model.state_dict().items():
        torch.testing.assert_close(made.plain.model.state_dict()[name], weight, rtol=0, atol=1e-4)
    assert history["relative reconstruction error"].iloc[:3].eq(1).all()
    last = history.iloc[-1]
    assert last["LPS"] < 0.85 * without.history["LPS"].iloc[-1]
    assert last["relative reconstruction error"] == pytest.approx(
        last["reconstruction"] / without.history["reconstruction"].iloc[-1], rel=1e-3
    )
    made.change(penalty=False, weight=5.0)
    assert made.training.objective.weight == 0
    made.change(latents=2)
    assert (made.step, made.plain) == (0, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latents": 5}, "latents must be at most 4"),
        ({"weight": 0.0}, "weight must be"),
        ({"penalty": 1}, "penalty must be True or False"),
        ({"show": "ring"}, "show must be one of"),
        ({"wieght": 1.0}, "settings must be one of"),
    ],
)
def test_a_bad_change_is_named_and_changes_nothing(trained, changes, words):
    before = trained.settings, trained.step
    with pytest.raises((ValueError, TypeError), match=words):
        trained.change(**changes)
    assert (trained.settings, trained.step) == before


def test_a_divergence_is_said_and_a_reset_repairs_it():
    made = engine(latents=2)
    made.run(5)
    made.model.encoder[-1].weight.data.fill_(torch.nan)
    while made.advance():
        pass
    assert "Training diverged" in made.notice
    assert not made.advance()
    made.reset(seed=3)
    assert (made.notice, made.settings.seed, made.step) == ("", 3, 0)
    assert made.advance()


def test_all_that_can_be_shown_has_words():
    assert set(SHOWN) == {"codes", *MAPPED, *MADE}
