"""Checkpoints of a training, written atomically. Resuming from one that has other settings raises ValueError.

`torch.load(path, weights_only=True)` returns a mapping:

- "state": "step"; "model" and "optimizer", as their `state_dict` has them; "scheduler", if it was the caller's; "regularizer",
  with the companions' weights and optimizers; "generator"; "first_loss".
- "rows": the history, a mapping for each logged step.
- "settings": what must be the same to resume, by name.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sculptlab.files import replacing
from sculptlab.training.sources import StreamSource

if TYPE_CHECKING:
    from sculptlab.training.state import Training

Rows = list[dict[str, float]]
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of a function in memory, another one in each process


def save_checkpoint(path: Path, training: Training, rows: Rows) -> None:
    """Write a checkpoint."""
    state = training_state(training) | {"model": training.model.state_dict()}
    with replacing(path) as part:
        torch.save({"settings": _settings(training), "state": state, "rows": rows}, part)


def training_state(training: Training) -> dict[str, Any]:
    """All that continuing needs beside the model's weights; the tensors are not copied."""
    return {
        "step": training.step, "first_loss": training.first_loss, "generator": training.generator.get_state(),
        **training.optimization.state_dict(), "regularizer": training.regularizer.state_dict(),
    }  # fmt: skip


def restore(training: Training, state: dict[str, Any]) -> None:
    """Put `training` where it stood when `training_state` was called, and its model to the weights in `state`, if it has any."""
    training.step, training.first_loss = state["step"], state["first_loss"]
    training.generator.set_state(state["generator"])
    if "model" in state:
        training.model.load_state_dict(state["model"])
    training.optimization.load_state_dict(state)
    training.regularizer.load_state_dict(state["regularizer"])


def resume_from(path: Path, training: Training, total: int) -> Rows:
    """Put `training` where the checkpoint at `path` stands, and return its history; nothing happens if there is no file.

    Raises ValueError for a damaged file, for other settings (the message says which), and for more steps than `total`.
    """
    if not path.exists():
        return []
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved, state, rows = dict(content["settings"]), content["state"], list(content["rows"])
        step, _ = state["step"], state["regularizer"]  # which the first versions did not have
    except Exception as error:
        raise ValueError(
            f"checkpoint {str(path)!r} cannot be read as a checkpoint of fit (damaged, or another file): name another file, "
            f"or delete it to start anew ({error})"
        ) from error
    here = _settings(training)
    if different := [name for name, value in here.items() if saved.get(name) != value]:
        both = {name: f"{saved.get(name)!r} there, {here[name]!r} here" for name in different if name != "model"}
        both |= {"model": "tensors of other shapes or names"} if "model" in different else {}
        listed = "; ".join(f"{name}: {text}" for name, text in both.items())
        raise ValueError(f"checkpoint {str(path)!r} belongs to another training ({listed}); it stays as it is: name another file")
    if step > total:
        raise ValueError(f"checkpoint {str(path)!r} is {step} steps along, steps asks for {total}")
    restore(training, state)
    return rows


def _settings(training: Training) -> dict[str, Any]:
    model, known = training.model, training.source.known.cpu().contiguous()
    # Of rows that are read when needed the first are compared, of streams none: they may begin with other images each time.
    checksum = "" if isinstance(training.source, StreamSource) else f", crc32 {zlib.crc32(known.numpy().data)}"
    return {
        "model": {name: str(tuple(value.shape)) for name, value in model.state_dict().items()},
        "kind of model": f"{type(model).__name__}, output {getattr(model, 'output', None)}",
        "objective": ADDRESS.sub("", repr(training.objective)),
        "data": f"{(training.source.rows, *known.shape[1:])}{checksum}",
        "batch_size": training.batches.size, **training.optimization.settings, "seed": training.seed,
        "scheduler": ADDRESS.sub("", str(training.optimization.settings["scheduler"])), "device": training.device.type,
        "precision": training.execution.precision, "compile": training.compile,
    }  # fmt: skip
