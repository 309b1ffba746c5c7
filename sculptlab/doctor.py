"""What works on this machine: one small check per thing a page needs, each problem with its remedy."""

import importlib
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import sculptlab
from sculptlab.data import downloads, folders, sources
from sculptlab.series import pages

OLDEST_PYTHON = (3, 11)
KERNEL_SECONDS = 60
SPARE_GB = 2.0


@dataclass(frozen=True)
class Finding:
    """What one check found: fine (True), a problem (False), or a note on something optional (None)."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = {True: "ok      ", False: "PROBLEM ", None: "note    "}[self.ok]
        line = f"{mark} {self.name:<19} {self.detail}"
        return f"{line}\n{'':<29}-> {self.remedy}" if self.remedy else line


def python() -> Finding:
    """Whether this Python is young enough."""
    detail, oldest = f"{platform.python_version()} at {sys.executable}", ".".join(map(str, OLDEST_PYTHON))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Finding("Python", True, detail)
    return Finding("Python", False, detail, f"install Python {oldest} or newer and make the environment again with it")


def package() -> Finding:
    """Which sculptlab this is, and whether it runs from a clone."""
    where = "a clone" if folders.clone() else "an installed package"
    return Finding("sculptlab", True, f"{sculptlab.__version__}, {where} at {Path(sculptlab.__file__).parent}")


def torch() -> Finding:
    """Whether torch and torchvision can be imported together."""
    try:
        versions = [importlib.import_module(name).__version__ for name in ("torch", "torchvision")]
    except Exception as error:  # a broken binary may raise anything: ImportError, OSError, RuntimeError
        return Finding("torch", False, f"cannot be imported: {_first_line(error)}", _torch_remedy(error))
    return Finding("torch", True, f"{versions[0]}, torchvision {versions[1]}")


def _torch_remedy(error: Exception) -> str:
    again = f"{sys.executable} -m pip install --force-reinstall torch torchvision"
    if "torchvision::nms" in str(error):
        return f"torch and torchvision do not fit each other: reinstall both in one command from one index: {again}"
    if isinstance(error, ModuleNotFoundError):
        return f"{sys.executable} -m pip install torch torchvision"
    return f"reinstall both: {again}"


def gpu() -> Finding:
    """Which accelerator torch sees; none is fine."""
    try:
        cuda = importlib.import_module("torch").cuda
        if cuda.is_available():
            return Finding("GPU", True, ", ".join(cuda.get_device_name(i) for i in range(cuda.device_count())))
    except Exception as error:
        return Finding("GPU", None, f"unknown until torch works ({_first_line(error)})")
    if shutil.which("nvidia-smi"):
        remedy = "install the build of torch for your driver: https://pytorch.org/get-started/locally"
        return Finding("GPU", None, "a driver is here, but torch sees no GPU: everything runs on the CPU", remedy)
    return Finding("GPU", None, "none: everything runs on the CPU")


def data() -> list[Finding]:
    """Every data set: bundled, found and where, or how to fetch it."""
    return [_dataset(name) for name in sources.NAMES]


def _dataset(name: str) -> Finding:
    if name in sources.BUNDLED:
        return Finding(f"data: {name}", True, "bundled")
    try:
        place = downloads.locate(name)
    except (OSError, ValueError) as error:
        return Finding(f"data: {name}", False, _first_line(error), "point SCULPTLAB_DATA to a folder, or unset it")
    if place is None:
        return Finding(f"data: {name}", None, "absent (optional)", f"sculptlab fetch {name}")
    return Finding(f"data: {name}", True, f"found in {place}")


def cache() -> Finding:
    """Whether downloads can be written, and whether there is room for them."""
    remedy = "point SCULPTLAB_DATA to a folder you can write to"
    place = folders.cache()
    try:
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        return Finding("data cache", False, f"{place} cannot be written: {_first_line(error)}", remedy)
    free = shutil.disk_usage(place).free / 1e9
    if free < SPARE_GB:
        remedy = f"free some space, or {remedy}: the downloads take up to {SPARE_GB:g} GB"
        return Finding("data cache", None, f"{place}, only {free:.1f} GB free", remedy)
    return Finding("data cache", True, f"{place}, {free:.0f} GB free")


def widgets() -> Finding:
    """Whether sliders will show: the kernel's half (ipywidgets) and JupyterLab's half (its extension)."""
    try:
        versions = [f"{name} {metadata.version(name)}" for name in ("ipywidgets", "jupyterlab_widgets")]
        from jupyter_core.paths import jupyter_path
    except ImportError as error:  # PackageNotFoundError is one
        return Finding("widgets", False, _first_line(error), f"{sys.executable} -m pip install ipywidgets jupyterlab")
    places = [Path(path, "@jupyter-widgets", "jupyterlab-manager") for path in jupyter_path("labextensions")]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        again = f"{sys.executable} -m pip install --force-reinstall --no-deps jupyterlab_widgets"
        return Finding("widgets", False, f"{', '.join(versions)}, but JupyterLab's extension is missing", again)
    return Finding("widgets", True, f"{', '.join(versions)}, extension in {found}")


def kernel() -> Finding:
    """Whether a kernel of this Python starts and answers."""
    remedy = f"{sys.executable} -m pip install --force-reinstall ipykernel jupyter_client pyzmq"
    try:
        answer = _ask_kernel("1+1")
    except Exception as error:
        return Finding("kernel", False, f"does not start: {_first_line(error)}", remedy)
    if answer != "2":
        return Finding("kernel", False, f"starts, but says 1+1 = {answer}", remedy)
    return Finding("kernel", True, "starts and answers")


def _ask_kernel(expression: str) -> str:
    from jupyter_client.manager import KernelManager

    from sculptlab.series.execution import kernel_environment, native_specs

    manager = KernelManager(kernel_name="python3", kernel_spec_manager=native_specs())
    manager.start_kernel(env=kernel_environment(), extra_arguments=["--log-level=CRITICAL"])
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=KERNEL_SECONDS)
        request = {"silent": True, "user_expressions": {"answer": expression}}
        reply = client.execute("", reply=True, timeout=KERNEL_SECONDS, **request)
        return str(reply["content"]["user_expressions"]["answer"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def notebooks() -> Finding:
    """Whether the pages are there."""
    try:
        found = pages.every()
    except OSError as error:
        return Finding("notebooks", False, str(error), "reinstall sculptlab")
    if not found:
        return Finding("notebooks", False, f"no page in {pages.notebooks_folder()}", "reinstall sculptlab, or restore the clone")
    return Finding("notebooks", True, f"{len(found)} page(s) in {pages.notebooks_folder()}")


def disk() -> Finding:
    """Whether a run's outputs fit where one stands."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free / 1e9
    if not os.access(here, os.W_OK):
        return Finding("working folder", None, f"{here} cannot be written", "sculptlab run --out SOMEWHERE_ELSE")
    if free < 0.2:
        return Finding("working folder", False, f"{here}, only {free:.2f} GB free", "free some space: pages need 0.2 GB")
    return Finding("working folder", True, f"{here}, {free:.0f} GB free")


def chromium() -> Finding:
    """Whether the browser tests can run; only developers need them."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return Finding("chromium", True, found)
    return Finding("chromium", None, "absent (only the project's browser tests need it)", "apt-get install chromium")


CHECKS = (python, package, torch, gpu, data, cache, widgets, kernel, notebooks, disk, chromium)


def examine() -> list[Finding]:
    """Every check's findings, in the order in which a person should read them."""
    findings: list[Finding] = []
    for check in CHECKS:
        found = check()
        findings += found if isinstance(found, list) else [found]
    return findings


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
