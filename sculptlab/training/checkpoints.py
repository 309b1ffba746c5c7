"""Checkpoints of a training: written in full or not at all, with a checksum, and with a predecessor.

`torch.load(path, weights_only=True)` returns a mapping:

- "format"; "made_with": the versions of sculptlab, torch, NumPy and Python, and the number of threads.
- "state": "step"; "model" and "optimizer", as their `state_dict` has them; "scheduler", if it was the caller's; "regularizer",
  with the companions' weights and optimizers; "generator"; "first_loss".
- "rows": the history, a mapping for each logged step.
- "settings": what must be the same to resume, by name.

The file is a zip archive whose comment is the SHA-256 of all bytes before it. The checkpoint before it is kept beside it under
the same name and ".previous", and is used if the last one is damaged. A lock keeps two trainings from writing the same file.
"""

from __future__ import annotations

import hashlib
import io
import platform
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sculptlab.files import write_file
from sculptlab.training.sources import StreamSource

if TYPE_CHECKING:
    from sculptlab.training.state import Training

Rows = list[dict[str, float]]
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of a function in memory, another one in each process
FORMAT = "sculptlab checkpoint 2"
DIGITS = 64  # of a SHA-256
PARTS = {"step": int, "first_loss": float, "generator": torch.Tensor, "model": dict, "optimizer": dict, "regularizer": dict}


def predecessor(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.name}.previous")


def made_with() -> dict[str, Any]:
    """What else the bits of a training depend on: versions and the number of threads."""
    return {
        "sculptlab": import_module("sculptlab").__version__, "torch": str(torch.__version__), "numpy": np.__version__,
        "python": platform.python_version(), "threads": torch.get_num_threads(),
    }  # fmt: skip


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Keep other trainings, also of other processes, from the checkpoint at `path`; a ValueError if one of them has it."""
    if path is None:
        yield
        return
    from filelock import FileLock, Timeout

    file = path.with_name(f".{path.name[:40]}.{zlib.crc32(path.name.encode()):08x}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(f"checkpoint {str(path)!r} is being written by another training: name another file") from None
    except (OSError, NotImplementedError):  # of a file system without locks
        pass
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # Windows removes no file that is open
                file.unlink()
        lock.release()


def save_checkpoint(path: Path, training: Training, rows: Rows) -> None:
    """Write a checkpoint; the one at `path`, if it is not damaged, becomes its predecessor."""
    content = {
        "format": FORMAT, "made_with": made_with(), "settings": settings_of(training), "state": training.state_dict(),
        "rows": rows,
    }  # fmt: skip
    torch.save(content, written := io.BytesIO())
    # The last two bytes of an archive are the length of its comment.
    body = written.getvalue()[:-2] + DIGITS.to_bytes(2, "little")
    if path.exists() and _is_whole(old := path.read_bytes()):
        write_file(predecessor(path), old)
    write_file(path, body + hashlib.sha256(body).hexdigest().encode())


def _is_whole(content: bytes) -> bool:
    return hashlib.sha256(content[:-DIGITS]).hexdigest().encode() == content[-DIGITS:]


def resume_from(path: Path, training: Training, total: int) -> Rows:
    """Put `training` where the checkpoint at `path` stands, and return its history; nothing happens if there is no file.

    Of a damaged file the predecessor is used, with a warning. Raises ValueError for a damaged file without one, for other
    settings (the message says which), and for more steps than `total`; then `training` stays as it is.
    """
    if not path.exists():
        return []
    try:
        content = _read(path)
    except ValueError as error:
        try:
            content = _read(path := predecessor(path))
        except (OSError, ValueError):
            raise error from None
        warnings.warn(
            f"{error}; training goes on from its predecessor {str(path)!r}, {content['state']['step']} steps along", stacklevel=3
        )
    saved, state = content["settings"], content["state"]
    here = settings_of(training)
    if different := [name for name, value in here.items() if saved.get(name) != value]:
        both = {name: f"{saved.get(name)!r} there, {here[name]!r} here" for name in different if name != "model"}
        both |= {"model": "tensors of other shapes or names"} if "model" in different else {}
        listed = "; ".join(f"{name}: {text}" for name, text in both.items())
        raise ValueError(f"checkpoint {str(path)!r} belongs to another training ({listed}); it stays as it is: name another file")
    if state["step"] > total:
        raise ValueError(f"checkpoint {str(path)!r} is {state['step']} steps along, steps asks for {total}")
    try:
        training.load_state_dict(state)
    except Exception as error:  # malformed contents make modules and optimizers raise many types
        training.put_back()
        raise ValueError(f"checkpoint {str(path)!r} does not fit this training: {type(error).__name__}: {error}") from error
    now = made_with()
    if changed := [f"{name} {content['made_with'].get(name)}" for name in ("torch", "threads")
                   if content["made_with"].get(name) != now[name]]:  # fmt: skip
        warnings.warn(
            f"checkpoint {str(path)!r} was written with {', '.join(changed)}, here it is torch {now['torch']}, threads "
            f"{now['threads']}: the last bits may differ from those of an uninterrupted training", stacklevel=3
        )  # fmt: skip
    return content["rows"]


def _read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; a ValueError that names the file if it is damaged or malformed."""
    try:
        found = path.read_bytes()
        if not _is_whole(found):
            raise ValueError("its checksum is not that of its content: it is damaged, or another file")
        content = torch.load(io.BytesIO(found), map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            came = content.get("format") if isinstance(content, dict) else type(content).__name__
            raise ValueError(f"its format is {came!r}, this version reads {FORMAT!r}")
        _check(content)
    except Exception as error:  # torch.load raises many types
        raise ValueError(
            f"checkpoint {str(path)!r} cannot be read as a checkpoint of fit ({error}): name another file, or delete it to start "
            "anew"
        ) from error
    return content


def _check(content: dict[str, Any]) -> None:
    """Raise a ValueError if a part of a checkpoint is missing or of another type, or a number cannot be."""
    wanted = {"settings": dict, "made_with": dict, "state": dict, "rows": list}
    for held, kinds in ((content, wanted), (content.get("state"), PARTS)):
        for name, kind in kinds.items():
            part = held.get(name) if isinstance(held, dict) else None
            if not isinstance(part, kind) or isinstance(part, bool):
                raise ValueError(f"{name!r} must be a {kind.__name__}, got {type(part).__name__}")
    for name in ("settings", "made_with"):
        facts = chain(content[name].values(), *(part.values() for part in content[name].values() if isinstance(part, dict)))
        if not all(isinstance(fact, str | int | float | dict | None) for fact in facts):
            raise ValueError(f"{name!r} must hold words and numbers")
    step, rows = content["state"]["step"], content["rows"]
    if step < 0:
        raise ValueError(f"'step' must be at least 0, got {step}")
    last = 0
    for row in rows:
        if not isinstance(row, dict) or not all(isinstance(name, str) and _is_number(value) for name, value in row.items()):
            raise ValueError("'rows' must be mappings of names to numbers")
        if missing := {"step", "loss", "seconds"} - row.keys():
            raise ValueError(
                f"'rows' must be mappings with the numbers step, loss and seconds, got no {' and no '.join(missing)}"
            )
        if not last < row["step"] <= step or row["step"] != int(row["step"]):
            raise ValueError(f"'rows' must have rising steps up to {step}, got {row['step']} after {last}")
        last = int(row["step"])


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def settings_of(training: Training) -> dict[str, Any]:
    """What a training that goes on, or another process of the same training, must have in common with this one."""
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
