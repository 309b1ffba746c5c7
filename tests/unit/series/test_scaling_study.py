"""The cost of several processes: the formula of bytes, and the rows that the study writes."""

import pytest

from sculptlab.series.studies import scaling


def test_bytes_received_by_hand():
    assert scaling.bytes_received("MMD", 1) == 0
    assert scaling.bytes_received("MMD", 2, batch=4, dim=3, weights=10) == 2 * (4 * 3) + 4 * 10
    assert scaling.bytes_received("MMD + predictability", 4, batch=4, dim=3) == 2 * 3 * 12
    assert scaling.bytes_received("no regularizer", 1024, batch=4, dim=3) == 0
    with pytest.raises(ValueError, match="ranks must be at least 1"):
        scaling.bytes_received("MMD", 0)


def test_a_row_for_each_objective_and_seed(monkeypatch):
    monkeypatch.setattr(scaling, "STEPS", 1)
    rows = scaling.measure([1])
    assert [row["objective"] for row in rows] == list(scaling.OBJECTIVES)
    assert all(row["cpu_ms"] > 0 and row["received"] == 0 for row in rows)
