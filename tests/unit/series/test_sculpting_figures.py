"""The figures of page 04: what is drawn is what the tables say."""

import math

import pandas as pd
import pytest

from sculptlab.series.figures import sculpting as sculpting_figures
from sculptlab.series.figures.common import OBJECTIVES


def dots(ax, marker):
    """The means that are drawn with a marker."""
    return next(line for line in ax.lines if line.get_marker() == marker and len(line.get_xdata()))


@pytest.fixture
def frontier():
    rows = [
        {"objective": objective, "codes": "codes", "seed": seed, "relative_error": 1 + i / 10 + seed / 100,
         **dict.fromkeys(sculpting_figures.METRICS, 0.1 * i)}
        for i, objective in enumerate(("no regularizer", "beta 0.1", "MMD + predictability")) for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_frontier_has_a_marker_for_each_kind_of_objective(frontier):
    picture = sculpting_figures.frontiers({"digits": frontier, "again": frontier}, title="a finding")
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["no regularizer", "KL", "MMD + predictability"]
    means = {line.get_label(): line for line in picture.axes[0].lines if line.get_label() in OBJECTIVES}
    assert means["KL"].get_xdata() == pytest.approx([1.105])
    assert means["KL"].get_ydata() == pytest.approx([0.1])
    assert picture.axes[0].get_xlabel() == "relative reconstruction error"


def test_metrics_have_a_row_for_each_objective(frontier):
    picture = sculpting_figures.metrics_by_objective(
        {"digits": frontier}, ["no regularizer", "beta 0.1", "beta 1", "MMD + predictability"]
    )
    assert [label.get_text() for label in picture.axes[0].get_yticklabels()] == list(dict.fromkeys(frontier["objective"]))
    assert dots(picture.axes[0], sculpting_figures.METRIC_STYLES["LPS mlp"][1]).get_xdata() == pytest.approx([0, 0.1, 0.2])


def test_scores_over_dimension_have_the_numbers_of_latents_in_order():
    rows = [
        {"hyperparameter": "base" if dim == 8 else "dim", "dim": dim, "rank": dim / 2, "condition": condition, "seed": 0,
         "mlp": 0.1, "reconstruction_mse": 2.0 if condition == "MMD" else 1.0}
        for dim in (8, 4, 16) for condition in ("no regularizer", "MMD", "MMD + predictability")
    ]  # fmt: skip
    picture = sculpting_figures.scores_over_dimension({"digits": pd.DataFrame(rows)})
    assert [tick.get_text() for tick in picture.axes[0].get_xticklabels()] == ["4", "8", "16"]
    _, rank, error = (dots(ax, OBJECTIVES["MMD"][1]).get_ydata() for ax in picture.axes)
    assert rank == pytest.approx([0.5, 0.5, 0.5])
    assert error == pytest.approx([2, 2, 2])


def test_ablations_put_the_base_where_it_belongs():
    rows = [
        {"hyperparameter": name, "value": value, "condition": condition, "seed": seed, "mlp": 0.1, "reconstruction_mse": 2.0}
        for name, value in (("base", ""), ("weight", "3"), ("weight", "1000"), ("kernel", "RBF"), ("bandwidth", "4"))
        for condition in ("MMD", "MMD + predictability", "no regularizer")
        for seed in (0, 1)
    ]
    shown = {"weight": "weight", "kernel": "kernel", "bandwidth": "width"}
    picture = sculpting_figures.ablation_panels(pd.DataFrame(rows), shown)
    ticks = [[tick.get_text() for tick in ax.get_xticklabels()] for ax in picture.axes[3:6]]
    assert ticks == [["3", "100", "1000"], ["IMQ", "RBF"], ["1", "4"]]


def test_errors_of_networks_are_relative_to_themselves():
    rows = [
        {
            "hyperparameter": "architecture",
            "value": value,
            "condition": condition,
            "seed": 0,
            "mlp": 0.1,
            "reconstruction_mse": error,
        }
        for value, errors in {"mlp": (2.0, 3.0), "conv": (1.0, 1.2)}.items()
        for condition, error in zip(("no regularizer", "MMD"), errors, strict=True)
    ]
    picture = sculpting_figures.ablation_panels(pd.DataFrame(rows), {"architecture": "network"})
    plain, mmd = (dots(picture.axes[1], OBJECTIVES[name][1]).get_ydata() for name in ("no regularizer", "MMD"))
    assert list(plain) == [1, 1]
    assert list(mmd) == pytest.approx([1.5, 1.2])


def test_the_squared_penalty_loses_its_gradient_at_high_correlation():
    nats, squared = (line.get_ydata() for line in sculpting_figures.penalty_and_gradient().axes[1].lines)
    assert nats[-1] > 5
    assert squared[-1] < 0.25
    assert max(squared) == pytest.approx(1, abs=1e-3)  # at r = 1 / sqrt 2
    assert math.isclose(nats[0], 0)
