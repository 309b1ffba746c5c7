"""What works on this machine: one small check per thing that a page needs, each with the remedy for a problem.

A check returns what it found. It raises Note for something optional that is missing, any other error for a problem.
"""

import importlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

import sculptlab
from sculptlab.data import downloads, folders, sources
from sculptlab.series import pages


class Note(Exception):
    """Something optional is missing; the second argument is the remedy, if there is one."""


@dataclass(frozen=True)
class Finding:
    """The result of one check: fine (True), a problem (False), or a note on something optional (None)."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = {True: "ok", False: "PROBLEM", None: "note"}[self.ok]
        line = f"{mark:<8} {self.name:<19} {self.detail}"
        return f"{line}\n{'':<29}-> {self.remedy}" if self.remedy else line


def _python() -> str:
    return f"{platform.python_version()} at {sys.executable}"


def _package() -> str:
    where = "a clone" if folders.clone() else "an installed package"
    return f"{sculptlab.__version__}, {where} at {Path(sculptlab.__file__).parent}"


def _torch() -> str:
    torch, torchvision = (importlib.import_module(name) for name in ("torch", "torchvision"))
    return f"{torch.__version__}, torchvision {torchvision.__version__}"


def _gpu() -> str:
    try:
        cuda = importlib.import_module("torch").cuda
        names = [cuda.get_device_name(i) for i in range(cuda.device_count())] if cuda.is_available() else []
    except Exception:
        raise Note("unknown until torch works") from None
    if names:
        return ", ".join(names)
    if shutil.which("nvidia-smi"):
        remedy = "install the build of torch for your driver: https://pytorch.org/get-started/locally"
        raise Note("a driver is here, but torch sees no GPU: everything runs on the CPU", remedy)
    raise Note("none: everything runs on the CPU")


def _data(name: str) -> str:
    if name in sources.BUNDLED:
        return "bundled"
    place = downloads.locate(name)
    if place is None:
        raise Note("absent (optional)", f"sculptlab fetch {name}")
    return f"found in {place}"


def _home() -> str:
    return str(Path.home())


def _cache() -> str:
    place = folders.cache()
    if place is None:
        raise OSError("no home folder, so there is no place for a cache")
    place.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=place).close()
    free = shutil.disk_usage(place).free / 1e9
    if free < 2:
        raise Note(f"{place}, only {free:.1f} GB free", "free some space, or set SCULPTLAB_DATA: the downloads take up to 2 GB")
    return f"{place}, {free:.0f} GB free"


def _widgets() -> str:
    """Widgets need ipywidgets in the kernel, and its extension of JupyterLab."""
    from jupyter_core.paths import jupyter_path

    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ipywidgets", "jupyterlab_widgets"))
    places = (Path(path, "@jupyter-widgets", "jupyterlab-manager") for path in jupyter_path("labextensions"))
    found = next(filter(os.path.isdir, places), None)  # False also where the home folder may not be read
    if found is None:
        raise FileNotFoundError(f"{versions}, but JupyterLab's extension is missing")
    return f"{versions}, extension in {found}"


def _kernel() -> str:
    from sculptlab.series import execution

    answer = execution.ask_kernel("1+1")
    if answer != "2":
        raise RuntimeError(f"starts, but says 1+1 = {answer}")
    return "starts and answers"


def _notebooks() -> str:
    found = pages.every()
    if not found:
        raise FileNotFoundError(f"no page in {pages.notebooks_folder()}")
    return f"{len(found)} page(s) in {pages.notebooks_folder()}"


def _working_folder() -> str:
    here = Path.cwd()
    free = shutil.disk_usage(here).free / 1e9
    if not os.access(here, os.W_OK):
        raise Note(f"{here} cannot be written", "sculptlab run --out SOMEWHERE_ELSE")
    if free < 0.2:
        raise OSError(f"{here}, only {free:.2f} GB free")
    return f"{here}, {free:.0f} GB free"


# README's environment has no pip of its own. `find_spec("pip")` would run the hook of setuptools, which on Python 3.11 makes
# a later `import setuptools`, and with it torch.compile, fail.
PIP = f"{sys.executable} -m pip" if PathFinder.find_spec("pip") else f"python3 -m pip --python {sys.executable}"
_REINSTALL = f"{PIP} install --force-reinstall"
CHECKS: tuple[tuple[str, Callable[[], str], str], ...] = (  # name, check, remedy for a problem
    ("Python", _python, ""),
    ("sculptlab", _package, "reinstall sculptlab"),
    ("torch", _torch, f"torch and torchvision must fit each other, so install both at once: {_REINSTALL} torch torchvision"),
    ("GPU", _gpu, ""),
    *((f"data: {name}", partial(_data, name), "point SCULPTLAB_DATA to a folder, or unset it") for name in sources.NAMES),
    ("home folder", _home, "set HOME to a folder: Jupyter and the data cache need one"),
    ("data cache", _cache, "point SCULPTLAB_DATA to a folder you can write to"),
    ("widgets", _widgets, f"{_REINSTALL} ipywidgets jupyterlab_widgets"),
    ("kernel", _kernel, f"{_REINSTALL} ipykernel jupyter_client pyzmq"),
    ("notebooks", _notebooks, "reinstall sculptlab, or restore the clone"),
    ("working folder", _working_folder, "free some space: pages need 0.2 GB"),
)


def run_check(name: str, check: Callable[[], str], remedy: str) -> Finding:
    """Run one check."""
    try:
        return Finding(name, True, check())
    except Note as note:
        return Finding(name, None, *note.args)
    except Exception as error:  # a broken installation may raise anything
        text = str(error).strip() or type(error).__name__
        return Finding(name, False, text.splitlines()[0][:200], remedy)
