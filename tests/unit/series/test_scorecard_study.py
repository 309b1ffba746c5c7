"""The scorecard: how weights are chosen, what a row holds, and what is computed from the rows."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.series.results import COLUMNS, base_column
from sculptlab.series.rivals import METHODS, PLAIN, Method, of_objective
from sculptlab.series.studies import scorecard, tables
from sculptlab.series.studies.settings import PreparedImages, Setting, WithDecoderVariance
from sculptlab.training import DivergenceError, build_autoencoder
from sculptlab.training.objectives import KL, MMD, Predictability, Reconstruction

TINY = Setting("digits", 3, components=20, steps=10, width=16, batch_size=64, evaluated=200)


@pytest.fixture(scope="module")
def card():
    return scorecard.Scorecard(PreparedImages.of(TINY)).with_decoder_variance(progress=False)


def test_the_table_is_standardized_by_its_training_rows_and_its_components_lose_nothing():
    images = scorecard.Scorecard.of("breast_cancer").images
    assert images.training.shape == (398, 30)
    assert images.held_out.shape == (171, 30)
    training, held_out = (images.basis.restore(rows) for rows in (images.training, images.held_out))
    np.testing.assert_allclose(training.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(training.var(0, correction=0), 1, rtol=1e-4)
    assert 0.02 < held_out.mean(0).abs().mean() < 0.2  # held-out rows have no part in the mean
    assert images.lost == pytest.approx(0, abs=1e-5)
    assert images.basis.pixels == 30
    both = torch.cat([training, held_out])
    assert len({tuple(row) for row in both.mul(100).round().tolist()}) == 569  # no row is in both parts


def test_pulses_have_their_frequency_and_duty_cycle():
    frequency, duty_cycle = torch.tensor([2.0, 8.0, 5.0]), torch.tensor([0.1, 0.9, 0.5])
    on = tables.pulse_train(frequency, duty_cycle) > 0.5
    rising = (on & ~on.roll(1, dims=1)).sum(1)
    np.testing.assert_array_equal(rising, frequency)
    np.testing.assert_allclose(on.float().mean(1), duty_cycle, atol=8 / 256)


def test_the_known_factors_of_pulses_are_those_of_the_held_out_waveforms():
    training, held_out, known = tables.pulses()
    assert training.shape == (3000, 256)
    torch.testing.assert_close(held_out, tables.pulse_train(*torch.from_numpy(known).T))
    assert abs(np.corrcoef(known.T)[0, 1]) < 0.1  # drawn independently
    assert len(np.unique(known[:, 0])) == 7
    assert len(torch.cat([training, held_out]).unique(dim=0)) == 4000  # else a held-out waveform could be a training one
    assert scorecard.Scorecard.of("pulses").known is not None


def tried(**columns):
    return pd.DataFrame({"method": "A", "weight": [1.0, 2.0, 3.0, 4.0], **columns})


@pytest.mark.parametrize(
    ("errors", "scores", "weight"),
    [
        ([1.0, 1.05, 1.10, 1.5], [0.5, 0.1, 0.2, 0.0], 2.0),
        ([1.0, 1.05, 1.10, 1.5], [0.5, 0.4, 0.2, 0.0], 3.0),  # a tolerance is kept where it is reached
        ([1.3, 1.2, 1.4, 1.5], [0.5, 0.4, 0.2, 0.0], 2.0),  # none is allowed: the least error
        ([1.0, math.nan, 1.0, 1.0], [0.5, 0.0, 0.2, math.nan], 3.0),  # diverged; no two active latents
    ],
)
def test_the_weight_of_least_lps_within_the_tolerance_is_chosen(errors, scores, weight):
    assert scorecard.chosen_weights(tried(relative_error=errors, mlp=scores)) == {"A": weight}


def test_a_method_that_always_diverges_is_left_out():
    frame = pd.concat([tried(relative_error=1.0, mlp=0.1), tried(relative_error=math.nan, mlp=math.nan).assign(method="B")])
    assert scorecard.chosen_weights(frame) == {"A": 1.0}


def test_methods_without_an_allowed_weight_are_named():
    rows = [("A", 1.2), ("A", 1.1), ("B", 1.2), ("B", 1.3), ("C", math.nan)]
    frame = pd.DataFrame(rows, columns=["method", "relative_error"])
    assert scorecard.never_allowed(frame) == ["B", "C"]
    assert scorecard.never_allowed(frame, tolerance=1.05) == ["A", "B", "C"]


def test_a_decoder_variance_multiplies_every_regularizer_and_not_the_reconstruction():
    objective, images = MMD("gaussian", 5.0) + Predictability(2.0), torch.rand(32, 6, generator=torch.Generator().manual_seed(0))
    model = build_autoencoder("mlp", image_shape=(6,), dim=3, width=8)
    whole, part = objective, WithDecoderVariance((objective,), 0.1)
    terms = []
    for goal in (whole, part):
        batch = goal.batch(model, images, None, torch.Generator().manual_seed(1))
        terms.append({name: value.item() for name, value in goal.terms(batch, goal.regularizer(3).companions).items()})
    for found, scale in zip(terms, (1.0, 0.1), strict=True):
        expected = found["reconstruction"] + scale * (5.0 * found["mmd2"] + 2.0 * found["predictability"])
        assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert part.needs_posterior == objective.needs_posterior
    assert WithDecoderVariance((KL(),), 0.1).needs_posterior


def test_the_decoder_variance_is_the_error_that_a_plain_autoencoder_leaves(card):
    part = card.images.set_aside(scorecard.ASIDE)
    run = replace(part, decoder_variance=1.0).train(Reconstruction(), 0)
    assert card.images.decoder_variance == pytest.approx(run.reconstruction_error(part.held_out), rel=1e-5)


def test_images_that_are_set_aside_are_training_images(card):
    part = card.images.set_aside(0.25)
    rows = {tuple(row.tolist()) for row in card.images.training}
    assert len(part.training) + len(part.held_out) == len(card.images.training)
    assert all(tuple(row.tolist()) in rows for row in part.held_out)


def test_a_row_for_each_method_and_seed_whose_columns_are_described(card):
    some = {name: METHODS[name] for name in (PLAIN, "VAE", "plain + whitening")}
    frame = card.compare(some, dict.fromkeys(some, 1.0), [1, 2], progress=False)
    assert frame["method"].tolist() == list(some) * 2
    assert [column for column in frame if base_column(column) not in COLUMNS] == []
    plain, vae, whitened = (frame[frame["method"] == name].iloc[0] for name in some)
    assert frame.loc[frame["method"] == PLAIN, "relative_error"].mean() == pytest.approx(1.0)
    assert math.isnan(plain["c2st"])  # it declares nothing
    assert 0.3 < vae["c2st"] <= 1
    assert 0 <= vae["precision"] <= 1
    assert whitened["reconstruction_mse"] == pytest.approx(plain["reconstruction_mse"], rel=1e-4)
    assert whitened["rank"] > 2.5 > plain["rank"]


def test_a_method_that_diverges_gives_a_row_that_says_so(card):
    def fail(images, weight, seed):
        raise DivergenceError("loss is not finite")

    broken = Method("broken", "other", "-", None, (1.0,), fail)
    frame = card.try_weights({PLAIN: METHODS[PLAIN], "broken": broken}, progress=False)
    assert frame.set_index("method")["failed"].dropna().to_dict() == {"broken": "loss is not finite"}
    assert scorecard.chosen_weights(frame) == {PLAIN: 0.0}


def test_flex_ae_that_diverges_gives_a_row(card):
    method = replace(METHODS["FlexAE"], weights=(1e45,))  # more than a float32 holds
    frame = card.try_weights({PLAIN: METHODS[PLAIN], "FlexAE": method}, progress=False).set_index("method")
    assert "the loss was inf" in frame.loc["FlexAE", "failed"]


def test_inactive_latents_are_those_that_hardly_vary():
    z = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([2.0, 0.05, 1.0])
    assert torch.equal(scorecard.active_latents(z), z[:, [0, 2]])


def test_rank_correlations_and_stability_of_known_tables():
    seeds, methods = [1, 2, 3], ["a", "b", "c", "d"]
    rows = [
        {"method": m, "seed": s, "mlp": k, "same": 10.0 * k, "opposite": -(k**3), "noise": (k * s * 7) % 4}
        for k, m in enumerate(methods) for s in seeds
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    assert scorecard.rank_correlations(frame, ["same", "opposite"]).to_dict() == {"same": 1.0, "opposite": -1.0}
    stable = scorecard.stability(frame, ["mlp", "noise"])
    assert stable.loc["mlp"].tolist() == [1.0, 0.0]
    assert stable.loc["noise", "rank agreement"] < 0.9
    assert stable.loc["noise", "noise"] > 0.5


def test_the_front_has_the_methods_that_no_other_one_beats():
    errors, scores = [1.0, 1.02, 1.05, 1.05, 1.2, 1.0], [0.5, 0.2, 0.1, 0.3, 0.1, 0.6]
    frame = pd.DataFrame({"method": list("abcdef"), "relative_error": errors, "mlp": scores})
    assert scorecard.pareto(frame) == ["a", "b", "c"]


def test_factors_themselves_score_high_and_noise_low():
    known = np.stack(np.meshgrid(range(4), range(5)), axis=-1).reshape(-1, 2).repeat(20, axis=0)
    images = PreparedImages.of(TINY)
    own = scorecard.Scorecard(replace(images, setting=replace(TINY, evaluated=400)), known)
    factors, noise = (own.reference(name, 0) for name in ("factors", "noise"))
    assert factors["MIG"] > 0.9 > 0.2 > noise["MIG"]


@pytest.mark.parametrize("weights", [(), tuple(range(7))])
def test_a_method_has_one_to_six_weights(weights):
    with pytest.raises(ValueError, match="weights must be 1 to 6 numbers"):
        of_objective("A", "other", "-", None, weights, lambda _: Reconstruction())


def test_every_method_has_its_own_name_a_source_and_at_most_six_weights():
    assert all(name == method.name for name, method in METHODS.items())
    assert all(method.source and method.family for method in METHODS.values())
    assert METHODS[PLAIN].prior is None


def test_the_declared_target_is_the_prior_or_what_the_objective_samples_from(card):
    run = card.images.train(MMD("uniform", 1.0), 0)
    unnamed = of_objective("A", "other", "-", None, (1.0,), lambda _: Reconstruction())
    assert unnamed.declared(run, 3).dim == 3
    assert unnamed.declared(card.images.train(Reconstruction(), 0), 3) is None
    assert METHODS["VAE"].declared(run, 3).dim == 3
