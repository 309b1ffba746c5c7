"""Where image sets lie: $SCULPTLAB_DATA first, then the cache."""

import os
import tomllib
from pathlib import Path

import platformdirs


def clone() -> Path | None:
    """The clone that this package runs from, or None where it is installed as a wheel."""
    root = Path(__file__).resolve().parents[2]
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, ValueError, KeyError):
        return None
    return root if project == "sculptlab" else None


def writable(folder: Path) -> bool:
    """Whether files can be put into `folder`, or into the nearest folder above it where it does not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def cache() -> Path:
    """The clone's data/ where that can be written, else the user's cache folder for sculptlab."""
    root = clone()
    if root is not None and writable(root / "data"):
        return root / "data"
    return Path(platformdirs.user_cache_path("sculptlab"))


def given() -> Path | None:
    """$SCULPTLAB_DATA, or None where it is not set; it need not exist and need not be writable."""
    text = os.environ.get("SCULPTLAB_DATA", "").strip()
    if not text:
        return None
    folder = Path(text).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"SCULPTLAB_DATA must name a folder, got the file {folder}")
    return folder


def roots() -> list[Path]:
    """The folders that are searched, in order."""
    mine = given()
    return [cache()] if mine is None else [mine, cache()]
