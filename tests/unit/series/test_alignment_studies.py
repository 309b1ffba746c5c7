"""The alignment study's cases, recipe, on a few images and a few steps."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.data import sprites
from sculptlab.priors import Uniform
from sculptlab.series import results
from sculptlab.series.studies import alignment as alignment_studies
from sculptlab.series.studies import alignment_recipe as recipe
from sculptlab.series.studies.alignment_cases import ALL, CASES, ELLIPSE, POSITION, SpriteCase, SpriteSet, folded, ring_given

SMALL = SpriteCase(("x", "y"), {"shape": 2, "scale": 1.0, "orientation": 0.0}, size=16, components=12)
MORE = SpriteCase(("x", "y", "scale", "orientation"), {"shape": 2}, middle=0.5, size=16, components=12)


@pytest.fixture(scope="module")
def positions():
    return SpriteSet.of(SMALL, rows=300, held_out=300)


@pytest.fixture(scope="module")
def ellipses():
    return SpriteSet.of(MORE, rows=300, held_out=300)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    for module, name in (
        (recipe, "WARM_STEPS"),
        (recipe, "STEPS"),
        (alignment_studies, "FINAL_STEPS"),
        (alignment_studies, "SINGLE_STEPS"),
    ):
        monkeypatch.setattr(module, name, 3)


# cases


@pytest.mark.parametrize("name", CASES)
def test_priors_have_the_latents_that_the_factors_need_and_the_mirror_fits_the_ideal_codes(name):
    case = CASES[name]
    assert {prior.dim for prior in case.priors.values()} == {case.dim}
    values = case.values(20_000, 3)
    ideal, mirror = case.ideal(values), case.mirror.sample(20_000, torch.Generator().manual_seed(0))
    assert ideal.shape == (20_000, case.dim)
    assert torch.allclose(ideal.mean(0), mirror.mean(0), atol=0.05)
    assert torch.allclose(ideal.var(0), mirror.var(0), atol=0.08)  # the ring's noise is left out
    found = SpriteSet(case, None, None, torch.empty(0), values).alignment(ideal)
    assert list(found) == ["aligned", *(f"aligned {name}" for name in case.factors)]
    assert min(found.values()) == pytest.approx(1, abs=1e-4)


def test_the_position_case_turns_its_box_by_45_degrees():
    turned = POSITION.priors["uniform, turned"].sample(5000, torch.Generator().manual_seed(0))
    assert turned.abs().sum(1).max().item() == pytest.approx(6**0.5, abs=0.05)  # a square on its corner: |a| + |b| is bounded
    assert set(ALL.priors) == set(ELLIPSE.priors) == {"gaussian", "uniform", "mirror"}


def test_an_ellipse_looks_alike_after_half_a_turn_and_its_orientation_is_told_once():
    values = ELLIPSE.values(200, 0)
    assert values[:, 2].max() < math.pi
    half = values.clone()
    half[:, 2] += math.pi
    same = sprites.render(values, 32, antialias=True) - sprites.render(half, 32, antialias=True)
    assert same.abs().mean() < 1e-3
    assert torch.allclose(ELLIPSE.on_ring(values), ELLIPSE.on_ring(half), atol=1e-4)
    assert (ELLIPSE.on_ring(values) - ALL.on_ring(values)).abs().max() > 1  # a heart comes back after a whole turn
    assert values[:, 3:].min() >= 0.25


def test_around_draws_the_ring_given_its_directions():
    directions = ELLIPSE.on_ring(ELLIPSE.values(5000, 0))
    drawn = ring_given(directions, torch.Generator().manual_seed(0))
    ring = ELLIPSE.mirror.parts[-1].sample(5000, torch.Generator().manual_seed(1))
    assert drawn.norm(dim=1).mean().item() == pytest.approx(ring.norm(dim=1).mean().item(), abs=0.02)
    assert (drawn * directions).sum(1).min() > 0


# the study


def places(size=21):
    across, down = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    return np.stack([across, down], 2)


@pytest.mark.parametrize("matrix", [np.eye(2), [[0, 1], [1, 0]], [[2, 1], [0.5, 1]], [[-1, 0], [0, 1]]], ids=str)
def test_no_invertible_linear_map_is_folded(matrix):
    assert folded(places() @ np.array(matrix, dtype=float).T) == 0


def test_folds_are_counted_by_area():
    flat = places()
    in_two = flat.copy()
    in_two[..., 0] = np.abs(flat[..., 0])
    assert folded(in_two) == pytest.approx(0.5)
    corner = flat.copy()
    corner[..., 0] = np.abs(flat[..., 0] + 0.5)  # a quarter of the square is turned over
    assert folded(corner) == pytest.approx(0.25)


def test_folds_of_the_true_map_are_none():
    positions = SpriteSet.of(replace(SMALL, components=100), rows=1000, held_out=100)

    class Truth:
        def encode(self, components):
            images = positions.basis.restore(components).reshape(-1, 16, 16).clamp_min(0)
            places = torch.arange(16.0)
            mass = images.sum((1, 2))
            return torch.stack([(images.sum(1) * places).sum(1) / mass, (images.sum(2) * places).sum(1) / mass], 1)

    assert positions.folds(Truth()) < 0.02
    assert math.isnan(SpriteSet.of(MORE, rows=100, held_out=100).folds(Truth()))


def test_restarts_spread_over_a_right_angle_and_are_reproducible(positions):
    runs, table = recipe.restarts(positions, Uniform(2), 4, count=3, steps=2)
    gaps = np.diff(np.sort(table["turn"]))
    assert gaps == pytest.approx([30, 30])
    assert {"distortion", "training error", "training mmd2", "aligned"} <= set(table)
    again = recipe.restarts(positions, Uniform(2), 4, count=3, steps=2)[1]
    pd.testing.assert_frame_equal(table, again)
    assert len(runs) == 3


def test_a_random_start_is_not_warm(positions, monkeypatch):
    monkeypatch.setattr(recipe, "WARM_STEPS", 200)
    cold, warm = recipe.alignment_network(positions, 0), recipe.warm_started(positions, 0, 0.0)
    leading = positions.held_out[:, :2] / positions.training[:, :2].std(0)
    with torch.no_grad():
        off = [(model.encode(positions.held_out) - leading).square().mean().item() for model in (cold, warm)]
    assert off[1] < 0.2 < off[0]


def test_every_condition_is_trained_and_evaluated(positions):
    frame = alignment_studies.align_positions(positions, [0], progress=False)
    table, tried = (frame[frame["kind"] == kind] for kind in ("model", "restart"))
    conditions = {*SMALL.priors, "uniform, one start", "uniform, no isometry", "uniform, random start"}
    assert set(table["condition"]) == conditions
    assert tried.groupby("condition")["chosen"].sum().eq(1).all()
    best = tried[tried["condition"] == "uniform"]
    assert best.loc[best["chosen"].astype(bool), "distortion"].item() == best["distortion"].min()
    cold = tried[tried["condition"] == "uniform, random start"]
    assert cold.loc[cold["chosen"].astype(bool), "training error"].item() == cold["training error"].min()
    assert table[["aligned", "MIG", "DCI disentanglement", "SAP", "folded", "error"]].notna().all(axis=None)


def test_more_factors_and_labels(ellipses):
    weights = {"prior": 1.0, "distance": 1.0}
    table = alignment_studies.align_more(ellipses, [0], weights, labels=(10,), progress=False)
    starts = {*MORE.priors, "gaussian, not turned", "mirror, not turned"}
    assert set(table.loc[table["labels"] == 0, "condition"]) == starts
    assert list(table.loc[table["labels"] == 10, "condition"]) == ["prior", "distance", "regression"]
    limits = pd.DataFrame(recipe.reference_scores(ellipses, 0)).set_index("condition")
    assert limits.loc["ideal", "aligned"] > 0.999
    assert limits.loc["noise", "aligned"] < 0.3
    free = table[table["labels"] == 0]
    assert (free["MIG"] < limits.loc["ideal", "MIG"]).all()
    assert (free["MIG"] > 0).all()
    tuned = alignment_studies.search_label_weights(ellipses, seed=1, progress=False)
    assert len(tuned) == 2 * len(alignment_studies.LABEL_WEIGHTS)


def test_regression_learns_the_labels_it_is_given(ellipses, monkeypatch):
    monkeypatch.setattr(recipe, "STEPS", 300)
    images, values = ellipses.labeled(200, 0)
    z = alignment_studies.regression_codes(ellipses, images, values, 0)
    found = ellipses.alignment(z)
    assert found["aligned x"] > 0.8
    assert found["aligned y"] > 0.8


def test_the_recording_is_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(alignment_studies, "CASES", {"position": SMALL, "ellipse": MORE})
    monkeypatch.setattr(alignment_studies, "LABELS", (5,))
    monkeypatch.setattr(alignment_studies, "LABEL_WEIGHTS", (1.0,))
    monkeypatch.setattr(alignment_studies.SpriteSet, "of", classmethod(lambda cls, case: _small(case)))
    recorded = alignment_studies.record_alignment([0], progress=False)
    assert set(recorded.frame["kind"]) == {"search", "restart", "model"}
    assert not recorded.arrays
    assert set(recorded.provenance["settings"]["label_weights"]) == {"prior", "distance"}
    assert len(alignment_studies.final_models(recorded.frame, "position")) == 8
    assert recorded.provenance["seeds"] == [0]


_of = SpriteSet.of


def _small(case):
    return _of(case, rows=300, held_out=300)
