"""The figure of error over rate."""

import pandas as pd
import pytest

from sculptlab.series.figures import compression as compression_figures


@pytest.fixture
def frame():
    names = ["beta 0.01" if name == "KL" else name for name in compression_figures.CONDITIONS]
    rows = [
        {"condition": name, "levels": "range", "seed": seed, "mse": 1 + 4 / bits, "nominal": float(3 * bits), "coded": 2.5 * bits,
         "unquantized": 1.0}
        for name in names for seed in (0, 1) for bits in ((1, 2) if "aware" in name else (1, 2, 3, 4, 5))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_line_for_each_condition_over_the_rates_it_reaches(frame):
    picture = compression_figures.error_over_rate(frame, rates=(2, 15), title="a finding")
    left, right = picture.axes
    assert [text.get_text() for text in picture.legends[0].get_texts()] == list(compression_figures.CONDITIONS.values())
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlabel() == "rate (bits per image)"
    drawn = {line.get_label(): line.get_xdata() for line in left.lines[:-1]}
    assert min(drawn["plain"]) == pytest.approx(3, abs=0.25)  # the least fixed length: a bit for each of 3 latents
    assert max(drawn["uniform, rounded in training"]) <= 6
