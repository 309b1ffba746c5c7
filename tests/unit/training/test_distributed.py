"""Training by several processes is training by one: all objectives, the whole of `fit`, faults."""

import numpy as np
import pytest
from rank_checks import all_objectives, every_objective, in_ranks, stepped


@pytest.fixture(scope="module")
def by_one():
    return {name: stepped(objective) for name, objective in every_objective().items()}


@pytest.mark.parametrize("size", [2, 4])
def test_every_objective_takes_the_step_of_one_process(by_one, size):
    for answer, found in in_ranks(all_objectives, size):
        assert answer == "ok", found
        for name, (terms, changes) in by_one.items():
            for ours, theirs in zip(found[name][0], terms, strict=True):
                assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-9), name
            assert np.abs(found[name][1] - changes).max() < 1e-5 * np.abs(changes).max(), name
