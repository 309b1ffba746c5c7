"""How much a page may cost: the one place that reads SCULPTLAB_PROFILE and SCULPTLAB_SEED."""

import os
from typing import TypeVar

T = TypeVar("T")
PROFILES = ("fast", "full")


def profile() -> str:
    """The running profile: "fast" (tests, laptops; the default) or "full" (longer training, more seeds)."""
    name = os.environ.get("SCULPTLAB_PROFILE", "fast")
    if name not in PROFILES:
        raise ValueError(f"SCULPTLAB_PROFILE must be one of {PROFILES}, got {name!r}")
    return name


def budget(*, fast: T, full: T) -> T:
    """`fast` or `full`, whichever profile runs: every size that costs time is written this way."""
    return fast if profile() == "fast" else full


def first_seed() -> int:
    """The seed a page starts from (SCULPTLAB_SEED, default 0); its further seeds follow it."""
    text = os.environ.get("SCULPTLAB_SEED", "0")
    if not text.isdigit():
        raise ValueError(f"SCULPTLAB_SEED must be a whole number >= 0, got {text!r}")
    return int(text)


def seeds(*, fast: int, full: int) -> range:
    """As many seeds as the profile affords, from `first_seed()` on."""
    return range(first_seed(), first_seed() + budget(fast=fast, full=full))
