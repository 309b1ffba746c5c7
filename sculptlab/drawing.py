"""How results draw themselves: the function of `sculptlab.plots.results` is imported by name when `.plot()` is called."""

from importlib import import_module
from typing import Any


def draw(name: str, *given: Any, **options: Any) -> Any:
    """Call the function `name` of `sculptlab.plots.results` and return what it draws.

    A result's `.plot()` uses this, so that importing a statistic loads neither matplotlib nor seaborn.
    """
    return getattr(import_module(f"{__package__}.plots.results"), name)(*given, **options)
