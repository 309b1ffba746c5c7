"""The study of page 05: one prior of each kind, compared with itself; codes where a prior has no mass; what is recorded."""

import math

import numpy as np
import pytest
import torch

from sculptlab import priors
from sculptlab.priors import Gaussian, Ring, Uniform
from sculptlab.series import results
from sculptlab.series.studies import prior_gallery
from sculptlab.series.studies import priors as prior_studies
from sculptlab.series.studies.evaluators import off_support, prior_measures
from sculptlab.series.studies.prior_gallery import gallery_priors, ring_with_hand, two_squares
from sculptlab.series.studies.priors import train_to_priors
from sculptlab.series.studies.settings import PreparedImages, Setting

TINY = Setting("digits", 2, components=20, steps=20, width=16, batch_size=64)


def draw(prior, n, seed=0):
    return prior.sample(n, torch.Generator().manual_seed(seed))


def test_the_gallery_is_planar_and_lies_in_the_units_of_the_kernels():
    for name, prior in gallery_priors().items():
        z = draw(prior, 20_000)
        assert z.shape == (20_000, 2), name
        assert z.mean(0).abs().max() < 0.6, name
        assert 0.3 < z.var(0).mean() < 1.7, name


def test_every_prior_that_can_be_planar_is_in_the_gallery_priors():
    kinds = {type(part) for prior in gallery_priors().values() for part in parts(prior)}
    abstract = {"Conditional", "Tied", "Curve", "Drawing", "Empirical", "Prior", "Shape"}  # the first two: priors given a label
    names = {name for name in priors.__all__ if isinstance(getattr(priors, name), type)} - abstract
    assert {getattr(priors, name) for name in names} == kinds


def parts(prior):
    yield prior
    for name in ("parts", "marginals"):
        for part in getattr(prior, name, ()):
            yield from parts(part)
    if hasattr(prior, "prior"):
        yield from parts(prior.prior)


def test_the_two_squares_have_no_mass_between_them():
    z = draw(two_squares(), 50_000)
    assert z[:, 0].abs().min() >= 0.5
    assert z[:, 0].abs().max() <= 0.5 + 1.8
    assert (z[:, 0] > 0).float().mean() == pytest.approx(0.5, abs=0.01)
    assert draw(two_squares(gap=0.0), 50_000)[:, 0].abs().min() < 0.01


def test_the_hand_has_its_share_and_turns_from_the_first_axis_to_the_second():
    z = draw(ring_with_hand(0.25, math.pi / 2), 20_000)
    inside = z.norm(dim=1) < 1.0
    assert inside.float().mean() == pytest.approx(0.25 * 1.0 / 1.5, abs=0.01)
    assert z[inside, 0].abs().max() < 0.13
    with pytest.raises(ValueError, match=r"share must be between 0 and 1, got 1\.5"):
        ring_with_hand(1.5, 0.0)


def test_off_support_is_what_lies_where_the_prior_has_no_mass():
    z = draw(two_squares(), 4000, seed=5)
    assert off_support(z, two_squares()).float().mean() < 0.005
    between = torch.stack([torch.linspace(-0.3, 0.3, 40), torch.zeros(40)], 1)
    assert off_support(between, two_squares()).all()
    assert off_support(torch.zeros(1, 2), Ring()).all()
    assert not off_support(torch.zeros(1, 2), Gaussian(2)).any()
    with pytest.raises(ValueError, match="z"):
        off_support(torch.zeros(3, 5), Ring())


@pytest.mark.parametrize("name", list(gallery_priors()))
def test_draws_of_a_prior_are_not_distinguished_from_it(name):
    prior = gallery_priors()[name]
    found = prior_measures(draw(prior, 1500, seed=7), prior)
    assert abs(found["c2st"] - 0.5) < 0.05
    assert found["mmd2"] < 2 * found["mmd2_95"]
    assert found["off_support"] < 0.01
    assert found["chance_off_support"] < 0.01


def test_a_wrong_shape_is_detected_and_the_chance_level_is_not():
    found = prior_measures(draw(Gaussian(2), 1500, seed=7), Ring())
    assert found["c2st"] > 0.7
    assert found["mmd_p"] < 0.01
    assert found["off_support"] > 0.3
    assert abs(found["chance_c2st"] - 0.5) < 0.05
    assert found["rows"] == 1500


def test_the_study_has_a_row_for_each_prior_and_seed_and_errors_are_over_the_plain_model_of_the_seed():
    prepared, seen = PreparedImages.of(TINY), []
    some = {"square": Uniform(2), "ring": Ring()}

    def keep(name, seed, run):
        seen.append((name, seed, prior_studies.decoded_grid(run, prepared)))
        return {}

    frame = train_to_priors(some, TINY, [0, 3], progress=False, keep=keep, prepared=prepared)
    assert list(zip(frame["prior"], frame["seed"], strict=True)) == [(name, seed) for name, seed, _ in seen]
    assert len(frame) == 4
    base = prepared.error(prepared.train(prior_studies.Reconstruction(), 3))
    row = frame[(frame["seed"] == 3) & (frame["prior"] == "ring")].iloc[0]
    assert row["relative_error"] == pytest.approx(row["reconstruction_mse"] / base)
    grid = seen[0][2]
    assert grid.shape == (prior_studies.SIDE**2, 8, 8)
    assert 0 <= grid.min() <= grid.max() <= 1
    assert "relative_error" not in train_to_priors(some, TINY, [0], plain=False, progress=False, prepared=prepared)


def test_the_grid_is_laid_as_the_plane_is():
    prepared = PreparedImages.of(TINY)

    class Ramp:
        def decode(self, z):  # the mean image and, along its first component, z0 + 10 z1
            return torch.cat([z[:, :1] + 10 * z[:, 1:], torch.zeros(len(z), 19)], 1)

    grid = prior_studies.decoded_grid(Ramp(), prepared, side=2, edge=0.1)
    places = torch.tensor([[-0.1, 0.1], [0.1, 0.1], [-0.1, -0.1], [0.1, -0.1]])  # top row first, left to right
    expected = prepared.basis.restore(Ramp().decode(places)).clamp(0, 1).reshape(-1, 8, 8)
    assert torch.allclose(grid, expected)


def test_a_study_is_recorded_with_its_codes(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    monkeypatch.setitem(prior_studies.SETTINGS, "digits", TINY)
    monkeypatch.setattr(prior_studies, "gallery_priors", lambda: {"ring": Ring()})
    monkeypatch.setattr(prior_studies, "WEIGHT_FACTORS", (0.1, 1.0))
    monkeypatch.setattr(prior_studies, "SHARES", (0.5,))
    found = prior_studies.record_priors("digits", seeds=[1])
    assert found.frame["prior"].tolist() == ["ring"]
    assert found.arrays["ring"].dtype == np.float16
    assert found.provenance["settings"]["weight"] == prior_studies.WEIGHT["digits"]
    over = prior_studies.record_topology("digits", seeds=[1]).frame
    assert over.groupby("weight")["prior"].apply(list).tolist() == 2 * [list(prior_studies.TARGETS)]
    hands = prior_studies.record_hands("digits")
    assert set(hands.arrays) == {"labels"} | {f"0.5|{turn}|{kind}" for turn in prior_studies.TURNS for kind in ("codes", "grid")}
    with pytest.raises(ValueError, match="name must be one of"):
        prior_studies.record_priors("nowhere")


def test_the_functions_of_the_gallery_are_what_they_say():
    z = draw(gallery_priors()["function"], 50_000)
    assert z.mean(0).abs().max() < 0.03
    drawing = prior_gallery.heart(32)
    assert set(np.unique(drawing)) == {0.0, 1.0}
    assert drawing[:, :16].sum() == pytest.approx(drawing[:, 16:].sum(), abs=4)
    assert drawing[-1].min() == 1  # its point does not touch the edge
    assert len(prior_gallery.figure_of_eight(100)) == 100
