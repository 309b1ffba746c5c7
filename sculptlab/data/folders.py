"""The folders where image sets are looked for: $SCULPTLAB_DATA, then the cache."""

import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from sculptlab.names import as_path

_PACKAGE = Path(__file__).resolve().parents[1]


def clone() -> Path | None:
    """The root of the repository that the package runs from; None where it is installed from a wheel."""
    return _PACKAGE.parent if (_PACKAGE.parent / "data" / "manifest.json").is_file() else None


def writable(folder: Path) -> bool:
    """Whether files can be created in `folder`, or in its nearest existing parent if it does not exist yet."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def cache() -> Path | None:
    """The repository's data/ folder if it is writable, else the user's cache folder for sculptlab; None without a home folder."""
    root = clone()
    if root and writable(root / "data"):
        return root / "data"
    with suppress(RuntimeError):  # newer versions of platformdirs raise it where older ones leave the ~
        found = platformdirs.user_cache_path("sculptlab")
        return None if found.parts[0] == "~" else found
    return None


def given() -> Path | None:
    """The folder that $SCULPTLAB_DATA names, which may be missing or read-only; None if the variable is unset or empty."""
    text = os.environ.get("SCULPTLAB_DATA", "").strip()
    folder = as_path("SCULPTLAB_DATA", text).absolute()
    if text and os.path.exists(folder) and not folder.is_dir():
        raise ValueError(f"SCULPTLAB_DATA must name a folder, got the file {folder}")
    return folder if text else None


def roots() -> list[Path]:
    """The folders to search for image sets, in order."""
    return [root for root in (given(), cache()) if root]
