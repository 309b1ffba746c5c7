"""The study of codes on curves: one row for each noise, and what the map leaves."""

from dataclasses import replace

import pytest

from sculptlab.series.studies import tables, thin_codes
from sculptlab.series.studies.settings import PreparedImages


@pytest.fixture(scope="module")
def table():
    case = (thin_codes.WHOLE, 3)
    setting = replace(thin_codes.SETTING, dim=3, components=16, width=32, steps=150)
    images = {case: PreparedImages.of(setting, tables.pulses(800)[:2])}
    return thin_codes.thin_codes_study(images, [1], noises=(0.0, 0.3), max_iter=30, progress=False)


def test_a_row_for_each_noise(table):
    assert table[["case", "dim", "seed", "noise", "evaluated"]].to_numpy().tolist() == [
        [thin_codes.WHOLE, 3, 1, 0.0, 200],
        [thin_codes.WHOLE, 3, 1, 0.3, 200],
    ]


def test_noise_fills_the_dimensions_costs_error_and_lowers_lps(table):
    clean, noisy = table.to_dict("records")
    assert clean["dimension"] < 1.5 < 2 < noisy["dimension"]
    assert clean["relative_error"] == 1 < noisy["relative_error"]
    assert noisy["mlp"] < clean["mlp"]


def test_any_frequency_is_between_the_least_and_the_largest_whole_one():
    whole, some = (tables.pulses(400, whole=kind)[2][:, 0] for kind in (True, False))
    assert set(whole) == {2, 3, 4, 5, 6, 7, 8}
    assert len(set(some)) == 100
    assert 2 <= some.min() < 2.6
    assert 7.4 < some.max() <= 8
