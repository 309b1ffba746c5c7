"""The figures of page 08's alignment study: what is drawn is what the table says."""

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.priors import Gaussian
from sculptlab.series.figures import alignment as alignment_figures


@pytest.fixture
def frame():
    labeled = ("prior", "distance", "regression")
    conditions = ("gaussian", "uniform", "ideal", "noise", "mirror", *labeled)
    scores = {name: 0.1 * (1 + i) for i, name in enumerate(alignment_figures.SCORES)}
    rows = [{"condition": name, "seed": seed, "labels": 10 if name in labeled else 0} for name in conditions for seed in (0, 1)]
    return pd.DataFrame([{**row, **scores, "aligned x": 0.5 + row["seed"] / 10} for row in rows])


def png(picture):
    return picture._repr_png_().startswith(b"\x89PNG")


def test_scores_have_a_row_for_each_condition(frame):
    picture = alignment_figures.scores_by_prior(frame, {"gaussian": "N(0, I)", "uniform": "box"}, isometry=True, title="t")
    assert [tick.get_text() for tick in picture.axes[0].get_yticklabels()] == ["N(0, I)", "box"]
    assert [ax.get_xlabel() for ax in picture.axes] == list(alignment_figures.SCORES.values())
    assert {ax.get_xlim() for ax in picture.axes} == {(0, 1.03)}  # the whole of each score
    dashed = [line.get_xdata()[0] for line in picture.axes[0].lines if line.get_linestyle() == "--"]
    assert dashed == [pytest.approx(0.5**0.5)]
    assert png(picture)


def test_lines_over_labels_begin_without_labels(frame):
    picture = alignment_figures.alignment_over_labels(frame, {"aligned": "mean", "aligned x": "x"})
    assert [tick.get_text() for tick in picture.axes[0].get_xticklabels()] == ["0", "10"]
    lines = {line.get_label(): list(line.get_xdata()) for line in picture.axes[1].lines}
    assert lines == {"tied through the prior": [0, 10], "squared distance": [0, 10], "regression, labels only": [10]}
    assert [text.get_text() for text in picture.legends[0].get_texts()] == list(alignment_figures.LABELED.values())
    assert png(picture)


def test_codes_have_a_column_for_each_model_and_a_row_for_each_factor():
    codes = {"a": Gaussian(2).sample(50, torch.Generator().manual_seed(0)), "b": np.zeros((50, 2)) + np.arange(50)[:, None]}
    picture = alignment_figures.codes_by_factor(codes, np.random.default_rng(0).random((50, 2)))
    assert len(picture.axes) == 6  # two by two and the color bar of each row
    assert png(picture)
