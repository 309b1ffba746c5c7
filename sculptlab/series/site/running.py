"""Pages are run again only if they, the package or the recorded results have changed since."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

import nbformat

from sculptlab.files import write_file
from sculptlab.series import pages
from sculptlab.series.results import PACKAGE, results_folder

KEY = "sculptlab"  # in a notebook's metadata: {"key": ...}, of what it was executed from
SETTINGS = ("SCULPTLAB_PROFILE", "SCULPTLAB_SEED")
LIBRARIES = ("torch", "numpy", "scikit-learn", "matplotlib")


def run_changed(paths: list[Path], folder: Path) -> list[pages.Report]:
    """Execute those of the pages `paths` whose executed copy in `folder` is missing or out of date, and print their reports.

    A page that fails, or whose claims do not all hold, is executed again the next time.
    """
    reports = []
    for path in paths:
        copy, key = folder / path.name, page_key(path)
        if executed_from(copy) == key:
            print(f"{path.stem}  unchanged: {copy}", flush=True)
            continue
        reports.append(pages.execute(path, folder))
        print(reports[-1], flush=True)
        if reports[-1].ok:
            notebook = nbformat.read(copy, as_version=4)
            notebook.metadata[KEY] = {"key": key}
            write_file(copy, nbformat.writes(notebook))
    return reports


def executed_from(copy: Path) -> str | None:
    """The key with which an executed page was made; None for a missing file and one that `run_changed` did not make."""
    try:
        return str(nbformat.read(copy, as_version=4).metadata[KEY]["key"])
    except Exception:  # whatever is wrong with the copy, it is made again
        return None


def page_key(path: Path) -> str:
    """A hash of what the outputs of the page at `path` depend on: page, package, recorded results, versions, settings."""
    words = [platform.python_version(), *map(version, LIBRARIES), *(os.environ.get(name, "") for name in SETTINGS)]
    digest = hashlib.sha256("\n".join(words).encode())
    for file in [path, *_sources()]:
        digest.update(f"\n{file.name} {file.stat().st_size}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _sources() -> list[Path]:
    """The files of the package, except those of the site itself, and the recorded results."""
    site = Path(__file__).parent
    found = [*PACKAGE.rglob("*"), *results_folder().rglob("*")]
    return sorted({file for file in found if file.is_file() and file.suffix != ".pyc" and site not in file.parents})
