"""The figures of page 07: what is drawn is what was given."""

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.series.figures import reshaping as figures


@pytest.fixture
def cloud():
    generator = torch.Generator().manual_seed(0)
    before, images = 7 + 3 * torch.randn(60, 2, generator=generator), torch.rand(60, 1, 8, 8, generator=generator)
    return before, torch.randn(60, 2, generator=generator), images, torch.arange(60) % 3


def test_three_shares_are_three_columns_in_one_window(cloud):
    before, after, images, labels = cloud
    picture = figures.walk(before, after, images, (0, 0.5, 1), labels=labels, title="a finding")
    assert [ax.get_title() for ax in picture.axes[:3]] == ["t = 0", "t = 0.5", "t = 1"]
    assert len({ax.get_xlim() for ax in picture.axes}) == 1
    assert [len(ax.images) for ax in picture.axes[3:]] == [figures.THUMBNAILS] * 3


def test_images_lie_at_their_codes(cloud):
    before, after, images, labels = cloud
    upper, lower = figures.walk(before, after, images, [1], labels=labels).axes
    left, right, low, high = lower.images[5].get_extent()
    assert ((left + right) / 2, (low + high) / 2) == pytest.approx(after[5].tolist(), abs=1e-6)
    assert np.allclose(lower.images[5].get_array(), images[5, 0])
    assert upper.get_title() == "t = 1"


def test_a_row_for_each_table_and_a_dot_for_each_condition():
    rows = [
        {"regressor": regressor, "condition": condition, "seed": seed, "score": 0.3 * k + 0.01 * seed}
        for regressor in (*figures.EVALUATORS, "squares boosting")
        for k, condition in enumerate(figures.CONDITIONS)
        for seed in range(2)
    ]
    frame = pd.DataFrame(rows)
    picture = figures.independence({"first": frame, "second": frame}, title="a finding")
    assert [ax.get_xlabel() for ax in picture.axes] == list(figures.EVALUATORS.values())
    assert [tick.get_text() for tick in picture.axes[0].get_yticklabels()] == ["first", "second"]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == list(figures.CONDITIONS)


def test_priors_are_rows_beside_their_chance_level():
    frame = pd.DataFrame(
        {"prior": prior, "seed": seed, "c2st": 0.51, "chance_c2st": 0.5, "off_support": mass, "chance_off_support": 0.001}
        for prior, mass in (("circle", 0.1), ("ring", 0.002))
        for seed in range(2)
    )
    left, right = figures.planar_priors(frame, title="a finding").axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["ring", "circle"]
    assert right.lines[-1].get_xdata().tolist() == [0.001, 0.001]


def test_ways_to_draw_are_rows_in_a_fixed_order():
    frame = pd.DataFrame(
        {"condition": condition, "seed": seed, "samples_c2st": 0.7 + 0.01 * seed, "precision": 0.5, "recall": 0.25}
        for condition in ("VAE", "other images", "unknown")
        for seed in range(2)
    )
    picture = figures.samples(frame, title="a finding")
    assert [ax.get_xlabel() for ax in picture.axes] == list(figures.SAMPLES.values())
    assert [tick.get_text() for tick in picture.axes[0].get_yticklabels()] == ["other real images", "VAE"]
    recall = np.concatenate([line.get_xdata() for line in picture.axes[2].lines])
    assert set(recall[~np.isnan(recall)].tolist()) == {0.25}


def test_scores_of_rotations_are_shown_for_each_case():
    frame = pd.DataFrame(
        {"case": case, "condition": condition, "seed": seed, **dict.fromkeys(figures.FACTOR_SCORES, 0.1 * k + 0.01 * seed)}
        for case in ("position", "ellipse")
        for k, condition in enumerate(figures.ROTATED)
        for seed in range(2)
    )
    picture = figures.rotations(frame, title="a finding")
    assert [ax.get_xlabel() for ax in picture.axes] == list(figures.FACTOR_SCORES.values())
    assert [tick.get_text() for tick in picture.axes[0].get_yticklabels()] == ["position", "ellipse"]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == list(figures.ROTATED)
    assert len({ax.get_xlim() for ax in picture.axes}) == 1
