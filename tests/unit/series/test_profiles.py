import pytest

from sculptlab.series import profiles


def test_fast_is_the_default(monkeypatch):
    monkeypatch.delenv("SCULPTLAB_PROFILE", raising=False)
    assert profiles.budget(fast=1, full=2) == 1


def test_the_variable_decides(monkeypatch):
    monkeypatch.setenv("SCULPTLAB_PROFILE", "full")
    assert profiles.budget(fast=1, full=2) == 2
    monkeypatch.setenv("SCULPTLAB_PROFILE", "quick")
    with pytest.raises(ValueError, match="SCULPTLAB_PROFILE must be one of"):
        profiles.budget(fast=1, full=2)


def test_seeds_follow_the_first(monkeypatch):
    monkeypatch.setenv("SCULPTLAB_PROFILE", "fast")
    monkeypatch.delenv("SCULPTLAB_SEED", raising=False)
    assert profiles.seeds(fast=3, full=5) == range(3)
    monkeypatch.setenv("SCULPTLAB_SEED", "7")
    assert profiles.seeds(fast=2, full=5) == range(7, 9)
    monkeypatch.setenv("SCULPTLAB_SEED", "-1")
    with pytest.raises(ValueError, match="SCULPTLAB_SEED must be a whole number"):
        profiles.first_seed()
