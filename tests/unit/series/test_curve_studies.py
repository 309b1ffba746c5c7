"""The study of LPS against the number of codes: what is trained, what its table holds, its picture."""

import pytest

from sculptlab.series.figures import curves as curve_plots
from sculptlab.series.studies import curves as curve_studies
from sculptlab.series.studies import sculpting as sculpting_studies
from sculptlab.series.studies.curves import contenders, curves

TINY = sculpting_studies.Setting("digits", 3, components=20, steps=20, width=16)


@pytest.fixture(scope="module")
def table():
    goals = {
        name: goal for name, goal in contenders(3, 0.1).items() if name in ("no regularizer", "beta 0.1", "MMD + predictability")
    }
    return curves(sculpting_studies.Prepared.of(TINY), goals, (100, 800), [0, 1], progress=False)


def test_a_row_for_each_objective_seed_judge_and_size(table):
    assert len(table) == 3 * 2 * 2 * 2
    assert set(table["n"]) == {100, 800}
    assert (table["scored"] == 599).all()  # all held-out digits


def test_the_plain_autoencoder_costs_one_on_average(table):
    plain = table[table["objective"] == "no regularizer"]
    assert plain["relative_error"].mean() == pytest.approx(1)
    assert plain["score"].max() > 0.05  # three latents of digits are far from independent after twenty steps


def test_permuted_columns_stand_beside_every_score(table):
    assert table["chance"].notna().all()
    assert table["chance"].max() < 0.05


def test_contenders_differ_in_the_game_alone():
    goals = contenders(4, 0.2)
    assert list(goals) == [*list(curve_plots.KINDS)[:1], "beta 0.2", *list(curve_plots.KINDS)[2:]]
    assert repr(goals["marginal MMD + strong predictability"]) != repr(goals["marginal MMD + predictability"])


def test_picture_has_a_column_for_each_table_and_a_row_for_each_judge(table):
    picture = curve_plots.rising({"digits": table, "again": table}, title="a finding")
    assert len(picture.axes) == 4
    assert picture.axes[0].get_ylabel() == "LPS by networks"
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["no regularizer", "KL", "MMD + predictability"]


def test_unknown_study_is_named():
    with pytest.raises(ValueError, match="name must be one of"):
        curve_studies.record_curves("mnist_16")
