"""Checkpoints: written whole or not at all, and refused by any training but their own."""

import os
import re
import tempfile
import zlib
from pathlib import Path
from typing import Any

import torch

BEFORE = {"precision": "float32", "compile": False}  # of checkpoints older than the setting


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Put `content` at `path` in one move, so that an interruption leaves the old file or the new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(content, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def writable_path(checkpoint: str | os.PathLike[str]) -> Path:
    """`checkpoint` as a path that can be written, its folder made; a ValueError before hours of training if it cannot."""
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


def read_checkpoint(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The content at `path`, if it was written under `settings`; else a ValueError that says what differs."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved = {name: _nowhere(value) for name, value in (BEFORE | content["settings"]).items()}
    except Exception as error:
        raise ValueError(
            f"checkpoint {str(path)!r} cannot be read as a checkpoint of fit (damaged, or another file): name another file, "
            f"or delete it to start anew ({error})"
        ) from error
    different = [
        f"{name}: {_brief(saved.get(name))} there, {_brief(value)} here"
        for name, value in settings.items()
        if saved.get(name) != value
    ]
    if different:
        raise ValueError(
            f"checkpoint {str(path)!r} belongs to another training ({'; '.join(different)}); "
            "it was left as it is: name another file"
        )
    return content


def by_name(thing: Any) -> str:
    """The repr of `thing` without memory addresses, the same in every process: its functions are known by name alone."""
    return str(_nowhere(repr(thing)))


def fingerprint(images: torch.Tensor) -> int:
    """A number that other images hardly share: CRC-32 of their bytes."""
    return zlib.crc32(images.cpu().contiguous().numpy().data)


def _nowhere(value: Any) -> Any:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", value) if isinstance(value, str) else value


def _brief(value: Any) -> str:
    return f"{len(value)} tensors of other shapes or names" if isinstance(value, dict) else repr(value)
