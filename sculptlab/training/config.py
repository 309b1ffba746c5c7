"""A training as a file, for `sculptlab train` and `torchrun`: data, model, objective and options in TOML or in Python.

    data = "fashion_mnist_small"  # a name of `sl.load`, a table of its arguments, or images.npy, read when needed
    objective = "MMD('gaussian', weight=100.0) + Predictability()"
    out = "run.safetensors"  # for `sl.load_run`; by default the name of this file

    [model]  # arguments of `sl.build_autoencoder`
    architecture = "mlp"
    dim = 8

    [training]  # arguments of `sl.fit`
    steps = 2000
    checkpoint = "run.checkpoint"

A Python file sets the same names, to objects as `sl.fit` takes them or to the values above. It is run, so it must be your own.
`timeout` is the number of seconds that a process waits for the others.
"""

from __future__ import annotations

import inspect
import os
import runpy
import tempfile
import tomllib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from sculptlab.data import load
from sculptlab.files import writable_path
from sculptlab.names import as_file, as_path, shown
from sculptlab.training.distributed import TIMEOUT, process_group
from sculptlab.training.loop import fit
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import Objective
from sculptlab.training.run import Run
from sculptlab.training.saving import read_objective
from sculptlab.training.sources import as_source
from sculptlab.validation import choice

NAMES = ("data", "model", "objective", "training", "out", "timeout")


def train_from(config: str | os.PathLike[str]) -> Run:
    """Train as the file `config` says, in all processes that `torchrun` started, and write the run to its `out`.

    Raises ValueError for a file that is not as described above, and whatever `fit` raises.
    """
    path = as_file("config", config)
    given = _read(path)
    out = as_path("out", given.get("out", path.with_suffix(".safetensors")))
    with process_group(given.get("timeout", TIMEOUT)) as ranks:
        writes = ranks is None or ranks.rank == 0
        if writes:
            writable_path("out", out)
        data = given["data"]
        if isinstance(data, str) and data.endswith(".npy"):
            data = _images(as_file("data", data))
        elif isinstance(data, str | Mapping):
            data = load(**_table("data", {"name": data} if isinstance(data, str) else data, load))
        model, objective = given["model"], given["objective"]
        if isinstance(model, Mapping):
            shape = {} if "image_shape" in model else {"image_shape": tuple(as_source(data).known.shape[1:])}
            model = build_autoencoder(**_table("model", shape | dict(model), build_autoencoder))
        if isinstance(objective, str):
            objective = _objective(objective)
        run = fit(model, data, objective, **_table("training", given.get("training", {}), fit))
        if writes:
            print(f"{run}\nwritten to {_save(run, out)}")
    return run


def _save(run: Run, out: Path) -> Path:
    """Write the run to `out`, or, so that it is not lost, to the folder of temporary files with a warning."""
    try:
        return run.save(out)
    except OSError as error:
        kept = Path(tempfile.gettempdir(), f"{out.stem}-{os.getpid()}{out.suffix}")
        run.save(kept)
        warnings.warn(f"out {shown(str(out))} could not be written ({error}): the run is in {kept}", stacklevel=2)
        return kept


def _read(path: Path) -> dict[str, Any]:
    """The values of the file, by name."""
    try:
        if path.suffix == ".py":
            given = {name: value for name, value in runpy.run_path(str(path)).items() if name in NAMES}
        else:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"config must be a TOML or a Python file, {str(path)!r} is neither: {error}") from error
    for name in given:
        choice("config's names", name, NAMES)
    if missing := [name for name in NAMES[:3] if name not in given]:
        below = [name for name in missing if any(isinstance(table, Mapping) and name in table for table in given.values())]
        hint = f"; a line below [model] or [training] belongs to that table: write {', '.join(below)} above them" if below else ""
        raise ValueError(f"config must set data, model and objective; {str(path)!r} lacks {', '.join(missing)}{hint}")
    return given


def _objective(text: str) -> Objective:
    """The objective that a line of the file describes."""
    try:
        return read_objective(text)
    except Exception as error:  # of any kind: the text is not code, or no arguments of these classes
        example = "MMD('gaussian', weight=100.0) + Predictability()"
        why = f"{type(error).__name__}: {str(error)[:400]}"
        raise ValueError(f"objective must be a sum of sl.objectives, such as {example!r}, got {shown(text)} ({why})") from error


def _images(path: Path) -> np.ndarray:
    """The array of a .npy file, read when needed."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, TokenError) as error:
        raise ValueError(f"data must be an array that np.save wrote, {shown(str(path))} is none: {str(error)[:200]}") from error


def _table(name: str, given: Any, function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments in a table, if `function` takes them; the error for others names the table."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} must be a table of arguments of {function.__name__}, got {given!r}")
    for key in given:
        choice(f"{name}'s keys", key, [one for one in inspect.signature(function).parameters if one not in NAMES])
    return dict(given)
