"""The figures of the pages: functions that take results and return a `Picture`."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

__all__ = sorted(module.name for module in iter_modules(__path__))


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
