"""The study of rotations: what stays the same under them, and what does not."""

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.series.studies import rotations


@pytest.fixture(scope="module")
def table():
    sizes = {"training": 1000, "held_out": 400, "max_iter": 60, "rotations": 3}
    return rotations.rotation_study(rotations.HEART, [1], progress=False, **sizes)


def test_a_row_for_plain_and_reshaped_codes_and_each_rotation(table):
    assert table["condition"].tolist() == ["plain", "reshaped", *["reshaped, rotated"] * 3]
    assert table["rotation"].tolist() == [0, 0, 1, 2, 3]
    assert {"MIG", "DCI disentanglement", "InfoM", "InfoC", "InfoE", "mlp"} <= set(table)


def test_rotated_codes_stay_independent(table):
    assert (table[table["rotation"] > 0]["mlp"] < 0.1).all()


def test_a_rotation_by_45_degrees_lowers_the_alignment_and_not_what_the_codes_know():
    drawn = np.random.default_rng(0).random((1000, 2))
    values = pd.DataFrame(drawn, columns=["x", "y"])
    aligned = torch.special.ndtri(torch.from_numpy(drawn))
    rotated = aligned @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).double() / 2**0.5
    before, after = (rotations.factor_scores(z, values) for z in (aligned, rotated))
    for name in ("MIG", "DCI disentanglement", "DCI completeness", "InfoM", "InfoC"):
        assert after[name] < 0.6 * before[name]
    assert after["InfoE"] == pytest.approx(before["InfoE"], abs=0.05)
    assert max(before["mlp"], after["mlp"]) < 0.02


def test_trained_models_are_named_by_their_case_and_have_the_number_of_latents_that_is_scored():
    def model(seed):
        values = np.random.default_rng(seed).random((1400, 2))
        codes = torch.special.ndtri(torch.from_numpy(values)).float()
        return codes[:1000], codes[1000:], pd.DataFrame(values[1000:], columns=["x", "y"])

    table = rotations.trained_models_study({"aligned": model}, [1], max_iter=30, rotations=1, progress=False)
    assert table[["case", "condition", "active_latents", "evaluated"]].to_numpy().tolist() == [
        ["aligned", "plain", 2, 400], ["aligned", "reshaped", 2, 400], ["aligned", "reshaped, rotated", 2, 400],
    ]  # fmt: skip
    plain, reshaped, rotated = table["MIG"]
    assert reshaped > 0.8 * plain  # the axes of independent latents are kept by a map that has nothing to do
    assert rotated < 0.5 * plain
