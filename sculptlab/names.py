"""Names and paths as people type them. This module needs no torch, so that the command line starts fast."""

import difflib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

LONGEST = 200  # characters of a value in an error message


def shown(value: Any) -> str:
    """The repr of `value` as an error message shows it: at most 200 characters, also where there is none."""
    try:
        text = repr(value[: 2 * LONGEST] if isinstance(value, str | bytes) else value)
    except Exception as error:  # of a class of the caller, or of an int with too many digits
        text = f"a {type(value).__name__} without a repr ({type(error).__name__})"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def suggestion(value: Any, legal: Collection[Any]) -> str:
    """The end of an error message: the one of `legal` that is closest to `value`, whatever its case and hyphens; else ""."""
    if not isinstance(value, str):
        return ""
    value = "gaussian" if value == "normal" and "gaussian" in legal else value
    plain = {re.sub(r"[\W_]", "", word.lower()): word for word in legal if isinstance(word, str)}
    near = difflib.get_close_matches(re.sub(r"[\W_]", "", value.lower()), plain, 1)
    return f"; did you mean {plain[near[0]]!r}?" if near else ""


def as_path(name: str, value: str | os.PathLike[str]) -> Path:
    """`value` as a path, with the home folder in place of a leading ~; a ValueError where there is no such folder."""
    try:
        return Path(value).expanduser()
    except TypeError:
        raise TypeError(f"{name} must be a path, got {shown(value)}") from None
    except RuntimeError as error:  # no HOME, or no user of this name
        raise ValueError(f"{name} must begin with a folder of this machine, got {shown(str(value))}: {error}") from None


def as_file(name: str, value: str | os.PathLike[str]) -> Path:
    """`value` as the path of a file to read; a ValueError if a folder is there, or a pipe or device, which may never answer."""
    path = as_path(name, value)
    if os.path.exists(path) and not path.is_file():
        raise ValueError(f"{name} must be a file, got the {'folder' if path.is_dir() else 'pipe or device'} {shown(str(path))}")
    return path
