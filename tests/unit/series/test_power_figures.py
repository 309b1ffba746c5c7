"""The figure of the power study: what is drawn is what was measured."""

import numpy as np
import pandas as pd
import pytest

from sculptlab.series.figures import power as power_figures
from sculptlab.series.studies.power import STATISTICS

RNG = np.random.default_rng(0)


@pytest.fixture
def frame():
    rows = [
        {"difference": difference, "n": 256, "dim": d, "seed": seed, "statistic": name, "rate": RNG.random()}
        for difference in ("a", "b") for d in (2, 8) for seed in (0, 1) for name in STATISTICS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_power_curves_are_means_over_seeds(frame):
    picture = power_figures.power_curves(frame, title="t")
    assert [ax.get_title() for ax in picture.axes] == ["a", "b"]
    line = next(line for line in picture.axes[1].lines if line.get_label() == "pairs, worst")
    expected = frame[(frame["difference"] == "b") & (frame["statistic"] == "pairs, worst")].groupby("dim")["rate"].mean()
    assert line.get_ydata() == pytest.approx(expected.to_numpy())
    assert {text.get_text() for text in picture.legends[0].get_texts()} == set(STATISTICS)


def test_power_over_rows(frame):
    frame = frame.rename(columns={"n": "dim", "dim": "n"})
    picture = power_figures.power_curves(frame, "n")
    assert [ax.get_xlabel() for ax in picture.axes] == ["points n"] * 2
    line = next(line for line in picture.axes[0].lines if line.get_label() == "sliced Energy")
    expected = frame[(frame["difference"] == "a") & (frame["statistic"] == "sliced Energy")].groupby("n")["rate"].mean()
    assert line.get_ydata() == pytest.approx(expected.to_numpy())


def test_every_statistic_has_a_look_of_its_own():
    assert set(power_figures.STATISTICS) == set(STATISTICS)
    assert (
        len({color for color, _ in power_figures.STATISTICS.values()})
        == len({m for _, m in power_figures.STATISTICS.values()})
        == len(STATISTICS)
    )
