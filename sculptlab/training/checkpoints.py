"""Checkpoints of a training, written atomically. Resuming from one that has other settings raises ValueError.

`torch.load(path, weights_only=True)` returns "settings" (of `_settings`), "state" (to resume from) and "rows" (the history).
"""

from __future__ import annotations

import os
import re
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from sculptlab.training.state import Training

Rows = list[dict[str, float]]
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of a function in memory, another one in each process
OLDER = {"precision": "float32", "compile": False}  # settings of checkpoints that were written before there was a choice


def writable_path(checkpoint: str | os.PathLike[str]) -> Path:
    """`checkpoint` as a path, its folder made; a ValueError before hours of training if no file can be written there."""
    path = Path(checkpoint)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"checkpoint {str(path)!r} cannot be written: {error}") from error
    if path.is_dir():
        raise ValueError(f"checkpoint must be a file, {str(path)!r} is a folder")
    return path


def save_checkpoint(path: Path, training: Training, rows: Rows) -> None:
    """Write a checkpoint under another name and move it to `path`, so that an interruption leaves the old file or the new one."""
    state = {
        "step": training.step, "first_loss": training.first_loss, "generator": training.generator.get_state(),
        "model": training.model.state_dict(), "optimizer": training.optimizer.state_dict(),
        "regularizer": training.regularizer.state_dict(),
    }  # fmt: skip
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save({"settings": _settings(training), "state": state, "rows": rows}, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def resume_from(path: Path, training: Training, total: int) -> Rows:
    """Put `training` where the checkpoint at `path` stands, and return its history; nothing happens if there is no file.

    Raises ValueError for a damaged file, for other settings (the message says which), and for more steps than `total`.
    """
    if not path.exists():
        return []
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved, state, rows = OLDER | content["settings"], content["state"], list(content["rows"])
        saved["objective"] = ADDRESS.sub("", saved["objective"])
    except Exception as error:
        raise ValueError(
            f"checkpoint {str(path)!r} cannot be read as a checkpoint of fit (damaged, or another file): name another file, "
            f"or delete it to start anew ({error})"
        ) from error
    if "regularizer" not in state:
        raise ValueError(f"checkpoint {str(path)!r} was written by an older version: name another file to start anew")
    here = _settings(training)
    if different := [name for name, value in here.items() if saved.get(name) != value]:
        listed = "; ".join(f"{name}: {_brief(saved.get(name))} there, {_brief(here[name])} here" for name in different)
        raise ValueError(f"checkpoint {str(path)!r} belongs to another training ({listed}); it stays as it is: name another file")
    if state["step"] > total:
        raise ValueError(f"checkpoint {str(path)!r} is {state['step']} steps along, steps asks for {total}")
    training.step, training.first_loss = state["step"], state["first_loss"]
    training.generator.set_state(state["generator"])
    training.model.load_state_dict(state["model"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.regularizer.load_state_dict(state["regularizer"])
    return rows


def _settings(training: Training) -> dict[str, Any]:
    model, images = training.model, training.images
    return {
        "model": {name: str(tuple(value.shape)) for name, value in model.state_dict().items()},
        "kind of model": f"{type(model).__name__}, output {getattr(model, 'output', None)}",
        "objective": ADDRESS.sub("", repr(training.objective)),
        "data": f"{tuple(images.shape)}, crc32 {zlib.crc32(images.cpu().contiguous().numpy().data)}",
        "batch_size": training.batches.size, "learning_rate": training.learning_rate, "cosine over": training.decay_over,
        "seed": training.seed, "device": training.device.type, "precision": training.execution.precision,
        "compile": training.compile,
    }  # fmt: skip


def _brief(value: Any) -> str:
    return f"{len(value)} tensors of other shapes or names" if isinstance(value, dict) else repr(value)
