"""Image sets as tensors: published sets, sprites rendered by code, and folders of your own pictures.

What needs torch is imported on first use: `sculptlab doctor` reads the tables of this room even where torch does not import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sculptlab.data.checksums import DataDamaged
from sculptlab.data.downloads import DataNotFound, available, fetch

if TYPE_CHECKING:
    from sculptlab.data import sprites
    from sculptlab.data.dataset import Dataset
    from sculptlab.data.loading import load, load_folder

_HOMES = {"Dataset": "dataset", "load": "loading", "load_folder": "loading", "sprites": "sprites"}
__all__ = ["DataDamaged", "DataNotFound", "Dataset", "available", "fetch", "load", "load_folder", "sprites"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sculptlab.data' has no attribute {name!r}; it has {', '.join(__all__)}")
    home = import_module(f"sculptlab.data.{_HOMES[name]}")
    return getattr(home, name, home)


def __dir__() -> list[str]:
    return __all__
