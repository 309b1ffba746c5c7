import math

import pandas as pd
import pytest

from sculptlab.series.results import recorded_names
from sculptlab.series.summary import BEGIN, END, PAGE, README, number, summarize, summary, verdict_lines


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (0.04312, 0.00201, "0.0431 ± 0.0020"),
        (414.2, 103.7, "414 ± 104"),
        (2.0, 0.0, "2.00"),
        (0.0, 0.0, "0"),
        (1.2345, math.nan, "1.23"),
        (-0.5, 0.01, "-0.500 ± 0.010"),
        (math.nan, math.nan, ""),
    ],
)
def test_a_number_with_its_spread(mean, spread, text):
    assert number(mean, spread) == text


def test_a_row_for_each_condition_of_each_data_set():
    frame = pd.DataFrame(
        {"data": ["a", "a", "b"], "dim": 2, "condition": ["x", "x", None], "score": [1.0, 3.0, 5.0], "nothing": math.nan}
    )
    found = summarize(frame, ["condition", "weight"], ["score", "nothing", "absent"])
    assert found.columns.tolist() == ["data", "condition", "score"]
    assert found["score"].tolist() == ["2.00 ± 1.41", "5.00"]


def test_the_results_page_is_that_of_the_recorded_results():
    made = summary()
    assert PAGE.read_text(encoding="utf-8") == made, "run python -m sculptlab.series.summary"
    left_out = {"lps_mixing", "priors_hands_fashion_mnist"}  # figures of pages 02 and 05
    assert {name for name in recorded_names() if f"`{name}`" not in made} == left_out


def test_the_readme_has_five_claims_with_their_recorded_numbers():
    made = verdict_lines()
    assert f"{BEGIN}{made}{END}" in README.read_text(encoding="utf-8"), "run python -m sculptlab.series.summary"
    assert made.count("\n") == 5
    assert "{" not in made
