"""Where image sets are stored: in $SCULPTLAB_DATA, then in the cache."""

import os
import tomllib
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parents[1]


def clone() -> Path | None:
    """The root of the repository that the package runs from; None where it is installed from a wheel."""
    root = _PACKAGE.parent
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, ValueError, KeyError):
        return None
    return root if project == "sculptlab" else None


def shipped(name: str) -> Path:
    """A file or folder of the repository's data/, or the copy of it inside an installed package."""
    root = clone()
    return _PACKAGE / "share" / name if root is None else root / "data" / name


def writable(folder: Path) -> bool:
    """Whether files can be created in `folder`, or in its nearest existing parent if it does not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def cache() -> Path:
    """The repository's data/ folder if it is writable, else the user's cache folder for sculptlab."""
    root = clone()
    if root is not None and writable(root / "data"):
        return root / "data"
    return Path(platformdirs.user_cache_path("sculptlab"))


def given() -> Path | None:
    """$SCULPTLAB_DATA, or None if it is not set. The folder may be absent or read-only."""
    text = os.environ.get("SCULPTLAB_DATA", "").strip()
    if not text:
        return None
    folder = Path(text).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"SCULPTLAB_DATA must name a folder, got the file {folder}")
    return folder


def roots() -> list[Path]:
    """The folders to search for image sets, in order."""
    return [root for root in (given(), cache()) if root is not None]
