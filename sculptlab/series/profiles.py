"""How much a page may cost: the one place that reads SCULPTLAB_PROFILE and SCULPTLAB_SEED."""

import os
from typing import Any, TypeVar

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


def page_seed(name: str, value: Any) -> int:
    """Return `value`, a number or its decimal text, as an int if it is a whole number from 0 to 9999.

    Pages multiply their seeds by up to 50,000, and the products must be seeds too.
    """
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= 4):
        raise ValueError(f"{name} must be a whole number from 0 to 9999, got {value!r}")
    return int(text)


def first_seed() -> int:
    """The seed a page starts from (SCULPTLAB_SEED, default 0); its further seeds follow it."""
    return page_seed("SCULPTLAB_SEED", os.environ.get("SCULPTLAB_SEED", "0"))


def seeds(*, fast: int, full: int) -> range:
    """As many seeds as the profile affords, from `first_seed()` on."""
    return range(first_seed(), first_seed() + budget(fast=fast, full=full))
