"""The study of LPS against the number of codes: what is trained, what its table holds."""

import pytest

from sculptlab.series.studies import curves as curve_studies
from sculptlab.series.studies.curves import curve_objectives, lps_curves
from sculptlab.series.studies.settings import PreparedImages, Setting

TINY = Setting("digits", 3, components=20, steps=20, width=16)


@pytest.fixture(scope="module")
def table():
    objectives = curve_objectives(3, 0.1)
    goals = {name: objectives[name] for name in ("no regularizer", "beta 0.1", "MMD + predictability")}
    return lps_curves(PreparedImages.of(TINY), goals, (100, 800), [0, 1], progress=False)


def test_a_row_for_each_objective_seed_regressor_and_size(table):
    assert len(table) == 3 * 2 * 2 * 2
    assert set(table["n"]) == {100, 800}
    assert (table["evaluated"] == 599).all()  # all held-out digits


def test_the_plain_autoencoder_has_relative_error_one_on_average(table):
    plain = table[table["objective"] == "no regularizer"]
    assert plain["relative_error"].mean() == pytest.approx(1)
    assert plain["score"].max() > 0.05  # three latents of digits are far from independent after twenty steps


def test_permuted_columns_stand_beside_every_score(table):
    assert table["chance"].notna().all()
    assert table["chance"].max() < 0.05


def test_objectives_differ_in_the_penalty_alone():
    goals = curve_objectives(4, 0.2)
    assert [name for name in goals if "MMD" not in name] == ["no regularizer", "beta 0.2"]
    assert len(goals) == 6
    assert repr(goals["marginal MMD + predictability, 8 rounds"]) != repr(goals["marginal MMD + predictability"])


def test_unknown_study_is_named():
    with pytest.raises(ValueError, match="name must be one of"):
        curve_studies.record_curves("mnist_16")
