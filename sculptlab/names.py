"""Names and paths as people type them. This module needs no torch, so that the command line starts fast."""

import difflib
import os
import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def suggestion(value: Any, legal: Collection[Any]) -> str:
    """The end of an error message: the one of `legal` that is closest to `value`, whatever its case and hyphens; else ""."""
    value = "gaussian" if value == "normal" and "gaussian" in legal else value
    plain = {re.sub(r"[\W_]", "", word.lower()): word for word in legal if isinstance(word, str)}
    near = difflib.get_close_matches(re.sub(r"[\W_]", "", value.lower()), plain, 1) if isinstance(value, str) else []
    return f"; did you mean {plain[near[0]]!r}?" if near else ""


def as_path(name: str, value: str | os.PathLike[str]) -> Path:
    """`value` as a path, with the home folder in place of a leading ~; a ValueError where there is no such folder."""
    try:
        return Path(value).expanduser()
    except TypeError:
        raise TypeError(f"{name} must be a path, got {value!r}") from None
    except RuntimeError as error:  # no HOME, or no user of this name
        raise ValueError(f"{name} must begin with a folder of this machine, got {str(value)!r}: {error}") from None


def writable_path(name: str, given: str | os.PathLike[str]) -> Path:
    """The argument `name` as a path, its folder made; a ValueError before any work if no file can be written there."""
    path = as_path(name, given)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"{name} {str(path)!r} cannot be written: {error}") from error
    if path.is_dir():
        raise ValueError(f"{name} must be a file, {str(path)!r} is a folder")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Another path to write to, which is then moved to `path`: an interruption leaves the old file or the new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
