"""Hostile arguments for every public name: a right answer, or a ValueError or TypeError of ours that names an argument.

`SCULPTLAB_FUZZ=500` makes that many calls of each name in place of 14, or by hand `python -m tests.fuzz --calls 500 --seed 9`.
"""

import os

import pytest

from sculptlab.series.reference import ROOMS, public_names
from tests.fuzz.calling import arguments, fault
from tests.fuzz.calls import VALID, WITHOUT_ARGUMENTS_TO_CHECK

CALLS = int(os.environ.get("SCULPTLAB_FUZZ", "14"))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    """Some of the paths that are tried can be written to."""
    monkeypatch.chdir(tmp_path)


def test_every_public_name_is_called():
    things = {id(thing): f"{room}.{name}" for room in reversed(ROOMS) for name, thing in public_names(room).items()}
    left_out = set(things.values()) - VALID.keys() - WITHOUT_ARGUMENTS_TO_CHECK
    assert not left_out, f"tests/fuzz/calls.py needs a valid call of {sorted(left_out)}"
    assert set(things.values()) >= WITHOUT_ARGUMENTS_TO_CHECK


@pytest.mark.parametrize("path", VALID)
def test_hostile_arguments(path):
    found = [fault(path, seed) for seed in range(CALLS)]
    assert not any(found), "\n".join(filter(None, found))


def test_the_same_seed_gives_the_same_call():
    first, second = ([arguments("mmd.mmd2", seed)[1] for seed in range(20)] for _ in range(2))
    assert first == second
    assert len(set(map(tuple, first))) > 5


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x: float("nan"), "not finite"),
        (lambda x: 1 / 0, "another exception"),
        (lambda x: int("a"), "names no argument|raised by"),
    ],
)
def test_faults_are_seen(monkeypatch, function, what):
    monkeypatch.setitem(VALID, "broken", (function, {"x": 1}))
    with pytest.raises(AssertionError, match=what):
        test_hostile_arguments("broken")
