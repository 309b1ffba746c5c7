"""The pictures of the study of power: what is drawn is what was measured."""

import numpy as np
import pandas as pd
import pytest

from sculptlab.series.figures import power as power_plots
from sculptlab.series.studies.power import STATISTICS

RNG = np.random.default_rng(0)


@pytest.fixture
def frame():
    rows = [
        {"difference": difference, "n": 256, "dim": d, "seed": seed, "statistic": lens, "rate": RNG.random()}
        for difference in ("a", "b") for d in (2, 8) for seed in (0, 1) for lens in STATISTICS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_power_curves_are_means_over_seeds(frame):
    picture = power_plots.power_curves(frame, "dim", title="t")
    assert [ax.get_title() for ax in picture.axes] == ["a", "b"]
    line = next(line for line in picture.axes[1].lines if line.get_label() == "pairs, worst")
    expected = frame[(frame["difference"] == "b") & (frame["statistic"] == "pairs, worst")].groupby("dim")["rate"].mean()
    assert line.get_ydata() == pytest.approx(expected.to_numpy())
    assert {text.get_text() for text in picture.legends[0].get_texts()} == set(STATISTICS)
    with pytest.raises(ValueError, match="hyperparameter must be one of"):
        power_plots.power_curves(frame, "seed")


def test_every_lens_has_a_look_of_its_own():
    assert set(power_plots.LENSES) == set(STATISTICS)
    assert (
        len({color for color, _ in power_plots.LENSES.values()})
        == len({m for _, m in power_plots.LENSES.values()})
        == len(STATISTICS)
    )
