"""How results draw themselves: plots are imported when `.plot()` is called, so that a statistic does not load matplotlib."""

from importlib import import_module
from typing import Any


def draw(name: str, *given: Any, **options: Any) -> Any:
    """Call the function `name` of `sculptlab.plots.results` and return what it draws."""
    return getattr(import_module(f"{__package__}.plots.results"), name)(*given, **options)
