"""The one loop of all studies: what it calls, and the table it returns."""

from types import SimpleNamespace

import pytest

from sculptlab.series.studies.runner import compare_objectives, run_study
from sculptlab.series.studies.settings import Setting


def test_every_condition_is_trained_with_every_seed_and_common_columns_come_first():
    frame = run_study(
        {"twice": 2, "thrice": 3}, [0, 5], lambda factor, seed: factor * seed,
        lambda factor, product, seed: [{"mmd2": product, "codes": kind} for kind in ("means", "samples")],
        columns="objective", constant={"dim": 4, "data": "digits"}, progress=False,
    )  # fmt: skip
    assert list(frame.columns) == ["data", "dim", "objective", "seed", "codes", "mmd2"]
    assert len(frame) == 2 * 2 * 2
    found = frame[frame["codes"] == "means"].set_index(["objective", "seed"])["mmd2"].to_dict()
    assert found == {("twice", 0): 0, ("thrice", 0): 0, ("twice", 5): 10, ("thrice", 5): 15}


def test_names_may_be_tuples_and_rows_may_overwrite_their_condition():
    seen = []
    rows = [{"rate": 1}, {"condition": "other", "rate": 2}]
    frame = run_study(
        [("a", 1), ("b", 2)], [0], lambda name, seed: name, lambda name, same, seed: rows, columns=("condition", "n"),
        keep=lambda *call: seen.append(call) or {}, progress=False,
    )  # fmt: skip
    assert frame[["condition", "n", "rate"]].to_numpy().tolist() == [["a", 1, 1], ["other", 1, 2], ["b", 2, 1], ["other", 2, 2]]
    assert seen == [(("a", 1), 0, ("a", 1)), (("b", 2), 0, ("b", 2))]


def test_relative_error_is_over_the_mean_of_the_plain_autoencoder():
    images = SimpleNamespace(setting=Setting("digits", 4), train=lambda objective, seed: objective + 2 * seed)
    objectives, errors = {"no regularizer": 1.0, "MMD": 4.0}, lambda _, trained, seed: [{"reconstruction_mse": trained}]
    frame = compare_objectives(images, objectives, [0, 1], errors, progress=False)
    assert frame["objective"].tolist() == ["no regularizer", "MMD"] * 2
    assert frame["relative_error"].tolist() == pytest.approx([0.5, 2.0, 1.5, 3.0])
    assert set(frame["dim"]) == {4}
