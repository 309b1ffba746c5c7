"""The study of rotations: what stays the same under them, and what does not."""

import pytest

from sculptlab.series.studies import rotations
from sculptlab.series.studies.alignment_cases import POSITION, SpriteSet


@pytest.fixture(scope="module")
def table():
    sprites = SpriteSet.of(POSITION, rows=1500, held_out=600)
    return rotations.rotation_study(sprites, [1], steps=100, max_iter=60, rotations=3, progress=False)


def test_a_row_for_plain_and_reshaped_codes_and_each_rotation(table):
    assert table["condition"].tolist() == ["plain", "reshaped", *["reshaped, rotated"] * 3]
    assert table["rotation"].tolist() == [0, 0, 1, 2, 3]
    assert {"MIG", "DCI disentanglement", "InfoM", "InfoC", "InfoE", "mlp", "error"} <= set(table)


def test_rotations_change_the_alignment_and_not_what_the_codes_know(table):
    rotated = table[table["rotation"] > 0]
    assert rotated["MIG"].max() > 2 * rotated["MIG"].min()
    assert rotated["InfoE"].max() - rotated["InfoE"].min() < 0.02
    assert (rotated["mlp"] < 0.15).all()
