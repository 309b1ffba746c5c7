"""The study of sample quality: its conditions, and that draws through the map resemble images more than those without it."""

from dataclasses import replace

import pytest
import torch

from sculptlab.priors import Gaussian
from sculptlab.series.studies import samples
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.objectives import MMD, Reconstruction

IMAGES = PreparedImages.of(Setting("digits", 4, components=20, steps=80, width=32))


@pytest.fixture(scope="module")
def table():
    conditions = samples.sample_conditions(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "MAX_ITER", 60)
        chosen = {name: conditions[name] for name in ("plain", "MMD, map inside")}
        return samples.sample_study(IMAGES, chosen, [0], progress=False)


def test_a_row_for_each_way_to_draw_with_the_measures_that_it_has(table):
    drawn = ["other images", "reconstructions", "plain, linear", "plain, second VAE", "plain, reshaped", "MMD, map inside"]
    assert table["condition"].tolist() == drawn
    assert table.set_index("condition")["c2st"].notna().tolist() == [False, True, False, False, True, True]
    rows = table.set_index("condition")
    assert rows["relative_error"].isna().tolist() == [True, *[False] * 5]
    assert (rows["relative_error"][1:5] == 1).all()
    assert rows.loc["MMD, map inside", "relative_error"] != 1


def test_real_images_are_at_chance_and_reshaped_codes_nearer_to_the_prior_than_plain_ones(table):
    rows = table.set_index("condition")
    assert rows.loc["other images", "samples_c2st"] < 0.6
    assert rows.loc["plain, reshaped", "c2st"] < rows.loc["reconstructions", "c2st"]
    drawn = rows.drop(index=["other images", "reconstructions"])
    assert (drawn["samples_c2st"] > rows.loc["other images", "samples_c2st"] + 0.1).all()


def test_a_second_stage_draws_codes_of_the_same_mean_and_spread():
    codes = torch.tensor([5.0, -2.0]) + torch.tensor([3.0, 0.1]) * torch.randn(
        2000, 2, generator=torch.Generator().manual_seed(0)
    )
    setting = replace(IMAGES.setting, steps=600)
    made = samples.second_stage(codes, setting, 0)(Gaussian(2).sample(2000, torch.Generator().manual_seed(1)))
    assert torch.allclose(made.mean(0), codes.mean(0), atol=0.5)
    assert torch.allclose(made.std(0) / codes.std(0), torch.ones(2), atol=0.35)


def test_the_map_inside_is_the_identity_at_first_and_is_trained_by_the_distance_alone():
    model = IMAGES.train(Reconstruction(), 0, steps=1).model
    inside = samples.with_map(model)
    images = IMAGES.training[:64]
    assert torch.allclose(inside.encode(images), model.encode(images), atol=1e-4)
    assert torch.allclose(inside(images), model.decode(model.encode(images)), atol=1e-4)
    for weight, moves in ((0.0, False), (10.0, True)):
        loss = samples.through_map(MMD(Gaussian(4), weight))(inside, images, torch.Generator().manual_seed(0))
        assert set(loss) == {"loss", "reconstruction", "mmd2"}
        inside.zero_grad()
        loss["loss"].backward()
        gradients = [p.grad.abs().max().item() for p in inside.map.parameters() if p.grad is not None]
        assert (max(gradients) > 0) == moves
