"""Recorded results: a table, a few arrays and their provenance, kept in data/results/ and shipped with the wheel.

Every table has columns of data/results/columns.csv, which states the meaning and unit of each, in that order.
"""

import datetime
import io
import json
import os
import platform
import re
import subprocess
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sculptlab.files import write_file
from sculptlab.names import suggestion
from sculptlab.series.sweeps import SweepFinished, active_sweep
from sculptlab.validation import describe

NEXT = ".next"  # ends the name of a file that waits for its provenance
PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recorded result: `frame` (a row per measurement), `arrays` by name, `provenance` (machine, commit, date, seeds, ...)."""

    name: str
    frame: pd.DataFrame = field(repr=False)
    arrays: Mapping[str, np.ndarray] = field(repr=False)
    provenance: Mapping[str, Any]

    def __str__(self) -> str:
        p, seeds = self.provenance, self.provenance["seeds"]
        return (
            f"recorded {p['date']} at commit {p['commit']} on {p['machine']} (torch {p['torch']}), "
            f"{len(seeds)} seeds ({seeds[0]}-{seeds[-1]}), {len(self.frame)} rows"
        )


def results_folder() -> Path:
    """data/results/ of the clone that the package runs from, else the copy inside the installed package."""
    clone = PACKAGE.parent / "data" / "results"
    return clone if clone.is_dir() else PACKAGE / "share" / "results"


# column -> meaning and unit. "chance_X" and "X_chance" are column X at chance level: of a second sample of the prior, or of
# codes whose columns were permuted. "aligned X" is the alignment with the factor X.
COLUMNS: dict[str, str] = pd.read_csv(results_folder() / "columns.csv", index_col="column")["meaning"].to_dict()


def recorded_names() -> list[str]:
    """The names of all recorded results."""
    return sorted(path.stem for path in results_folder().glob("*.json"))


def read_result(name: str) -> Recorded:
    """The recorded result `name`; an unknown name raises a ValueError that names the closest one."""
    if not isinstance(name, str) or name not in recorded_names():
        raise ValueError(
            f"name must be one of the {len(recorded_names())} recorded results that results.recorded_names() lists, got "
            f"{describe(name)}{suggestion(name, recorded_names())}"
        )
    provenance = json.loads((results_folder() / f"{name}.json").read_text(encoding="utf-8"))
    checksums = provenance.pop("crc32", {})
    arrays: dict[str, np.ndarray] = {}
    if packed := _content(f"{name}.npz", checksums):
        with np.load(io.BytesIO(packed)) as stored:
            arrays = dict(stored)
    return Recorded(name, pd.read_csv(io.BytesIO(_content(f"{name}.csv", checksums))), arrays, provenance)


def record_result(
    name: str, frame: pd.DataFrame, *, seeds: Iterable[int], settings: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
) -> Recorded:
    """Write `frame` and `arrays` under `name` in `results_folder()`, with this machine, commit, date, versions and `settings`.

    The provenance has the checksums of the other files, which wait beside their places until it is written. Whatever ends this
    function, `read_result` then returns the old record or the new one in full. Of a sweep, the provenance also names the commits
    and hosts of its cells.
    """
    sweep = active_sweep()
    if sweep is not None and not sweep.records:
        raise SweepFinished
    if not isinstance(name, str) or not re.fullmatch(r"\w{1,100}", name):
        raise ValueError(f"name must consist of letters, digits and underscores, got {describe(name)}")
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame must be a DataFrame, got {describe(frame)}")
    unknown = [column for column in frame if base_column(column) not in COLUMNS]
    if unknown:
        raise ValueError(f"frame must have columns of results.COLUMNS only, got {unknown}")
    folder = results_folder()
    folder.mkdir(parents=True, exist_ok=True)
    contents = {f"{name}.csv": order_columns(frame).to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()}
    if arrays:
        np.savez_compressed(buffer := io.BytesIO(), **dict(arrays))
        contents[f"{name}.npz"] = buffer.getvalue()
    for file, content in contents.items():
        write_file(folder / f"{file}{NEXT}", content)
    facts: dict[str, Any] = {**_provenance(), "seeds": list(seeds), "settings": dict(settings)}
    if sweep is not None:
        facts |= sweep.provenance()
    facts["crc32"] = {file: _checksum(content) for file, content in contents.items()}
    write_file(folder / f"{name}.json", json.dumps(facts, indent=1) + "\n")
    for file in contents:
        os.replace(folder / f"{file}{NEXT}", folder / file)
    return read_result(name)


def _content(file: str, checksums: Mapping[str, int]) -> bytes:
    """The content of a file of a record: the one that its provenance was written with, if it says so; b"" if there is none."""
    found = [path.read_bytes() for end in ("", NEXT) if (path := results_folder() / f"{file}{end}").exists()]
    if not checksums:  # of version 0.2 and before
        return found[0] if found else b""
    if file not in checksums:
        return b""
    for content in found:
        if _checksum(content) == checksums[file]:
            return content
    raise ValueError(f"{results_folder() / file} is damaged, or was changed after it was recorded: its checksum differs")


def _checksum(content: bytes) -> int:
    """CRC-32, of text with any line ends as with those of Unix, since git may change them."""
    return zlib.crc32(content if content.startswith(b"PK") else content.replace(b"\r\n", b"\n"))


def base_column(column: str) -> str:
    """The key of `COLUMNS` that describes a column: "c2st" for "chance_c2st", "aligned" for "aligned x"."""
    if column.startswith("aligned "):
        return "aligned"
    return column if column in COLUMNS else column.removeprefix("chance_").removesuffix("_chance")


def order_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with its columns in the order of `COLUMNS`; a column at chance level follows its own, unknown ones come last."""
    places = {column: i for i, column in enumerate(COLUMNS)}
    return frame[sorted(frame.columns, key=lambda column: places.get(base_column(str(column)), len(places)))]


def _provenance() -> dict[str, str]:
    import torch

    cpu = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
        "machine": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def commit() -> str:
    """The commit, with "-dirty" where a tracked file differs from it; recorded results do not count, as studies rewrite them."""
    commit = _git("describe", "--always", "--abbrev=10")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)data/results")
    return f"{commit}-dirty" if commit and changed else commit or "unknown (no clone)"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=False).stdout.strip()
