"""Image sets as tensors: published sets, sprites rendered by code, and folders of your own pictures.

Names are imported on first use: `sculptlab doctor` reads the tables of this room even where torch does not import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sculptlab.data import sprites
    from sculptlab.data.checksums import DataDamaged
    from sculptlab.data.dataset import Dataset
    from sculptlab.data.downloads import DataNotFound, available, fetch
    from sculptlab.data.image_folders import load_folder
    from sculptlab.data.loading import load

_MODULES = {
    "DataDamaged": "checksums",
    "DataNotFound": "downloads",
    "Dataset": "dataset",
    "available": "downloads",
    "fetch": "downloads",
    "load": "loading",
    "load_folder": "image_folders",
}
__all__ = ["DataDamaged", "DataNotFound", "Dataset", "available", "fetch", "load", "load_folder", "sprites"]


def __getattr__(name: str) -> Any:
    if name == "sprites":
        return import_module("sculptlab.data.sprites")
    if name in _MODULES:
        return getattr(import_module(f"sculptlab.data.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'sculptlab.data' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
