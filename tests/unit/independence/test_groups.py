"""Rows that belong together, such as the places of a feature map: splits and permutations of whole groups, and valid p-values."""

import numpy as np
import pytest
import torch

from sculptlab.columns import draw_rows, permute_columns, random_rows
from sculptlab.independence import independence_report, lps, lps_curve, networks
from sculptlab.independence.regressors import LatentPredictor


def places(seed, images=30, copies=9):
    """Independent latents at 9 places of each image, correlated by 0.8 within an image."""
    generator = torch.Generator().manual_seed(seed)
    shared, own = torch.randn(images, 1, 2, generator=generator), torch.randn(images, copies, 2, generator=generator)
    return (0.8**0.5 * shared + 0.2**0.5 * own).flatten(0, 1)


def test_random_rows_keep_groups_whole():
    order = random_rows(12, 0, 3)
    assert sorted(order.tolist()) == list(range(12))
    assert (order.reshape(4, 3) % 3 == torch.arange(3)).all()
    assert order.tolist() != list(range(12))
    assert torch.equal(random_rows(12, 0), torch.randperm(12, generator=torch.Generator().manual_seed(0)))


def test_permuted_columns_and_drawn_rows_keep_groups_whole():
    z = torch.arange(24.0).reshape(12, 2)
    permuted = permute_columns(z, torch.Generator().manual_seed(0), 4)
    assert torch.equal(permuted.sort(0).values, z)
    assert (permuted.reshape(3, 4, 2).diff(dim=1) == 2).all()
    assert not torch.equal(permuted[:, 1], permuted[:, 0] + 1)
    drawn = draw_rows(z, 10, 0, 4)
    assert drawn.shape == (8, 2)
    assert (drawn.reshape(2, 4, 2).diff(dim=1) == 2).all()


@pytest.mark.parametrize("regressor", ["linear", "mlp"])
def test_no_row_is_predicted_by_a_model_that_saw_its_group(monkeypatch, regressor):
    splits = []
    monkeypatch.setattr(LatentPredictor, "_losses", lambda self, z, found, *_: splits.extend(found))
    LatentPredictor(regressor, folds=3, group_size=5).cross_fitted(torch.zeros(50, 2), 0, [0, 1])
    assert len(splits) == 3
    for train, test in splits:
        assert not set((train // 5).tolist()) & set((test // 5).tolist())
        assert len(train) + len(test) == 50


def test_rows_of_one_image_taken_for_independent_ones_are_a_false_alarm():
    rows, groups = (
        np.array([lps(places(k), "linear", folds=2, permutations=9, seed=k, group_size=size).p_value for k in range(30)])
        for size in (1, 9)
    )
    assert (rows <= 0.1).mean() > 0.3
    assert (groups <= 0.1).sum() <= 9  # binomial(30, 0.1) exceeds 9 once in 500


def test_the_interval_is_wider_for_groups():
    z = places(0)
    z[:, 1] += z[:, 0]
    (low, high), (least, most) = (lps(z, "linear", folds=2, permutations=0, group_size=size).interval for size in (1, 9))
    assert most - least > 1.5 * (high - low)


def test_dependence_between_groups_is_found_by_all(monkeypatch):
    monkeypatch.setattr(networks, "MAX_STEPS", 60)  # for the classes of the distribution, which is not looked at
    z = places(1)
    z[:, 1] += 2 * z[:, 0]
    found = independence_report(z, regressor="linear", group_size=9)
    assert {"LPS of means", "distance correlation", "HSIC", "Gaussian total correlation"} <= set(found.detected_by)
    assert "n = 270 in groups of 9, 2 folds" in repr(lps(z, "linear", group_size=9))
    curve = lps_curve(z, regressor="linear", rows=(50, 216), group_size=9)
    assert list(curve.frame["n"]) == [54, 216]
    assert curve.scored == 54


@pytest.mark.parametrize("statistic", [lps, lps_curve, independence_report])
@pytest.mark.parametrize("size", [7, 18, 0])  # does not divide 270; 15 groups; none
def test_groups_that_do_not_fit(statistic, size):
    with pytest.raises(ValueError, match="group_size must"):
        statistic(places(0), regressor="linear", group_size=size)
