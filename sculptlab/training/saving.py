"""Files of trained runs in the safetensors format, which holds tensors and text and never code.

The tensors, by their keys:

- "model.NAME": each entry of the model's `state_dict`, of its own type. Weights that two layers share are written for both.
- "companions.NAME": weights and buffers that the objective trained beside the model.
- "history.COLUMN": each column of `run.history`, float64, NaN where a step has no such term.

The metadata, by name: "format"; "sculptlab", the version; "model", as JSON: the arguments of `build_autoencoder`, or those and
the structure of the map of `run.reshape`, or {"class": name}; "objective", as it prints itself; "seed", "steps", "dim",
"stopped"; "columns" of the history in order, as JSON; "torch", "numpy", "python", "threads" of the training; "crc32" of all
else, tensors and metadata; "changes", if only the objective itself knows the
codes that are decoded ("decoder_input") or drawn ("sampling_prior").
"""

from __future__ import annotations

import ast
import json
import math
import os
import zlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab import priors
from sculptlab.files import writable_path, write_file
from sculptlab.mmd import kernels
from sculptlab.names import as_path, shown, suggestion
from sculptlab.training import objectives
from sculptlab.training.checkpoints import Rows, made_with
from sculptlab.training.objectives.base import Objective
from sculptlab.validation import whole

FORMAT = "sculptlab run 2"


@dataclass(frozen=True, repr=False)
class UnknownObjective(Objective):
    """The objective of a file that its text cannot rebuild, such as a function."""

    text: str

    def __repr__(self) -> str:
        return f"{self.text} (known by this text alone)"

    def check(self, model: Any) -> None:
        raise ValueError(f"objective must be given to load_run to train more: the file has only its text, {self.text}")


def exported(module: nn.Module) -> dict[str, Any]:
    """The `state_dict` of a module as a plain dict of contiguous copies on the CPU, each of its own type."""

    def copied(value: Any) -> Any:
        return value.cpu().clone(memory_format=torch.contiguous_format) if isinstance(value, Tensor) else value

    return {name: copied(value) for name, value in module.state_dict().items()}


def write_run(given: str | os.PathLike[str], model: nn.Module, companions: dict[str, Tensor], rows: Rows, **about: str) -> Path:
    """Write the file of a run with further metadata, and return its path."""
    from safetensors.torch import save

    path, weights = writable_path("path", given), exported(model)
    if other := [name for name, value in weights.items() if not isinstance(value, Tensor)]:
        raise ValueError(f"model.state_dict() must hold tensors only to be saved, which {other} are not")
    columns = dict.fromkeys(name for row in rows for name in row)
    history = {
        name: torch.tensor([row.get(name, math.nan) for row in rows], dtype=torch.float64, device="cpu") for name in columns
    }
    parts = {"model": weights, "companions": companions, "history": history}
    tensors = {f"{part}.{name}": value for part, found in parts.items() for name, value in found.items()}
    built = json.dumps(getattr(model, "built_with", None) or {"class": type(model).__name__})
    about |= {"format": FORMAT, "model": built, "columns": json.dumps([*columns])}
    about |= {name: str(value) for name, value in made_with().items()}
    write_file(path, save(tensors, about | {"crc32": _checksum(tensors, about)}))
    return path


def read_run(given: str | os.PathLike[str]) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors of a run's file by the two parts of their keys, and its metadata, with the rows of the history as "rows".

    Another or damaged file raises a ValueError.
    """
    from safetensors import SafetensorError, safe_open

    path = as_path("path", given)
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file that run.save wrote; there is none at {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            about, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"path {str(path)!r} is damaged, or no safetensors file: {error}") from error
    if about.get("format") != FORMAT:
        raise ValueError(f"path must be a file that run.save wrote; {str(path)!r} has the format {about.get('format')!r}")
    if about.pop("crc32", None) != _checksum(tensors, about):
        raise ValueError(f"path {str(path)!r} is damaged: its content has another checksum than when it was written")
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "companions": {}, "history": {}}
    try:
        for name, value in tensors.items():
            part, _, key = name.partition(".")
            parts[part][key] = value
        columns = {name: parts["history"][name].tolist() for name in json.loads(about["columns"])}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if any(row["step"] != int(row["step"]) for row in rows) or (rows and not {"loss", "seconds"} <= columns.keys()):
            raise ValueError("the history must have losses, seconds and steps that are whole numbers")
        numbers = {name: whole(name, int(about[name]), least=0) for name in ("seed", "steps", "dim")}
        known = {"model": dict(json.loads(about["model"])), "stopped": about["stopped"] or None, "objective": about["objective"]}
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"path {str(path)!r} is damaged: its metadata are not those of a run ({error!r})") from error
    return parts, {**about, **known, **numbers, "rows": rows}


def _checksum(tensors: dict[str, Tensor], about: dict[str, str]) -> str:
    found = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tuple(value.shape)} {value.dtype}".encode(), found)
        found = zlib.crc32(value.reshape(-1).view(torch.uint8).numpy().data, found)
    return str(found)


def load_weights(model: Any, weights: dict[str, Tensor], wanted: str = "model must be built like the one that was saved") -> None:
    """Give `model` these weights, each of the type that it has in the file; a ValueError, with `wanted`, if they do not fit."""
    try:
        model.load_state_dict(weights)
        for name, value in model.state_dict(keep_vars=True).items():
            if value.dtype != weights[name].dtype:
                value.data = weights[name].to(value.device)
    except RuntimeError as error:
        raise ValueError(f"{wanted}: {error}") from error


def objective_of(text: str) -> Objective:
    """The objective that printed itself as `text`, or an `UnknownObjective` if `read_objective` cannot read it."""
    try:
        return read_objective(text)
    except Exception:  # of any kind: the text is not code, or no arguments of these classes
        return UnknownObjective(text=text)


def read_objective(text: str) -> Objective:
    """The objective that `text` describes. Only classes of this package are called, with numbers and words; raises any error."""
    known = {name: getattr(room, name) for room in (objectives, priors, kernels) for name in room.__all__ if name[0].isupper()}
    if text.startswith("ReshapedObjective("):
        known["ReshapedObjective"] = import_module("sculptlab.reshaping.models").ReshapedObjective

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id not in known:
                raise ValueError(f"there is no {shown(node.func.id)} in sl.objectives{suggestion(node.func.id, known)}")
            return known[node.func.id](*map(value, node.args), **{str(one.arg): value(one.value) for one in node.keywords})
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.Tuple):
            return tuple(map(value, node.elts))
        try:
            return ast.literal_eval(node)
        except ValueError as error:
            rule = "classes stand without a prefix, as in MMD(Ring()), and text in quotes, as in MMD('gaussian')"
            raise ValueError(f"{ast.unparse(node)} cannot be read: {rule}") from error

    found = value(ast.parse(text, mode="eval").body)
    if not isinstance(found, Objective):
        raise TypeError(f"{shown(text)} is no objective")
    return found
