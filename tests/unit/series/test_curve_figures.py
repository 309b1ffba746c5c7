"""The figure of LPS over the number of codes."""

import pandas as pd
import pytest

from sculptlab.series.figures import curves as curve_figures


@pytest.fixture
def table():
    rows = [
        {"objective": objective, "regressor": regressor, "n": n, "seed": seed, "score": n / 1000 + seed / 10, "chance": 0.01}
        for objective in ("no regularizer", "beta 0.2", "MMD + predictability")
        for regressor in curve_figures.REGRESSORS for n in (100, 400) for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_column_for_each_table_and_a_row_for_each_regressor(table):
    picture = curve_figures.lps_over_codes({"digits": table, "again": table}, title="a finding")
    assert [ax.get_ylabel() for ax in picture.axes] == ["LPS by networks", "", "LPS by trees", ""]
    assert [ax.get_title() for ax in picture.axes] == ["digits", "again", "", ""]
    names = ["plain autoencoder", "KL (a VAE's means)", "MMD + penalty"]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == names
    lines = {line.get_label(): list(line.get_ydata()) for line in picture.axes[0].lines}
    assert lines["KL (a VAE's means)"] == pytest.approx([0.15, 0.45])


def test_the_error_figure_shows_the_largest_number_of_codes_by_networks(table):
    shown = table.assign(relative_error=1 + table["seed"] / 100, score=table["score"] + (table["regressor"] == "boosting"))
    picture = curve_figures.lps_over_error({"digits": shown})
    means = {line.get_label(): line.get_xydata().ravel() for line in picture.axes[0].lines if line.get_marker() != "None"}
    assert means["MMD + penalty"] == pytest.approx([1.005, 0.45])
