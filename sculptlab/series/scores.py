"""The exercises and quizzes that a reader has passed, kept in a file for a teacher to collect."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sculptlab.files import writable_path, write_file
from sculptlab.names import as_file

if TYPE_CHECKING:
    import pandas as pd

_last: dict[str, object] = {}  # the last answer to each exercise
_kept: dict[str, Any] = {}  # "path" and "name" of the file that this kernel writes; empty until `keep_score`


def keep_score(name: str, path: str | Path = "scores.json") -> None:
    """Write every later result of a check or quiz to a file of JSON, under the name of who works on the page.

    The file has {"name": ..., "exercises": {"01-2": {"passed": true, "tries": 2, "time": "2026-11-28T10:00:00+00:00"}}} for
    exercise 2 of page 01. One that was passed stays passed. A file of the same name is continued; that of another raises a
    ValueError.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name must be a text that is not empty, got {name!r}")
    file = writable_path("path", path)
    if file.exists() and (before := read_score(file)["name"]) != name:
        raise ValueError(f"path must be a file of {name!r} or a new one: {file} is that of {before!r}")
    _kept.update(path=file, name=name)
    _last.clear()
    _write({"name": name, "exercises": read_score(file)["exercises"] if file.exists() else {}})


def read_score(path: str | Path) -> dict[str, Any]:
    """The content of a file that `keep_score` wrote."""
    file = as_file("path", path)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        assert isinstance(found["name"], str)
        assert isinstance(found["exercises"], dict)
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise ValueError(f"path must be a file that keep_score wrote, got {file}") from error
    return found


def table(paths: Sequence[str | Path]) -> pd.DataFrame:
    """The number of tries, negative if an exercise is not passed yet: a row for each file, a column for each exercise."""
    import pandas as pd

    scores = [read_score(path) for path in paths]
    tries = [{key: one["tries"] * (1 if one["passed"] else -1) for key, one in score["exercises"].items()} for score in scores]
    return pd.DataFrame(tries, index=[score["name"] for score in scores]).sort_index(axis=1)


def note(exercise: str, passed: bool, answer: object) -> None:
    """Count one try of an exercise, if this kernel keeps a score; the same `answer` as the last time is no new try."""
    if not _kept or (answer is not None and _last.get(exercise) == answer):
        return
    _last[exercise] = answer
    score = read_score(_kept["path"]) if _kept["path"].exists() else {"name": _kept["name"], "exercises": {}}
    before = score["exercises"].get(exercise, {"passed": False, "tries": 0})
    if not before["passed"]:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        score["exercises"][exercise] = {"passed": passed, "tries": before["tries"] + 1, "time": now}
        _write(score)


def _write(score: dict[str, Any]) -> None:
    write_file(_kept["path"], json.dumps(score, indent=1, ensure_ascii=False) + "\n")
