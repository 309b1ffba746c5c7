"""Recorded results: a table, a few arrays, and where they came from; kept in data/results/, shipped with the wheel."""

import datetime
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recorded result: `frame` (a row per measurement), `arrays` by name, `provenance` (machine, commit, date, seeds …)."""

    name: str
    frame: pd.DataFrame = field(repr=False)
    arrays: Mapping[str, np.ndarray] = field(repr=False)
    provenance: Mapping[str, Any]

    def __str__(self) -> str:
        p = self.provenance
        seeds = p["seeds"]
        return (
            f"recorded {p['date']} at commit {p['commit']} on {p['machine']} (torch {p['torch']}), "
            f"{len(seeds)} seeds ({seeds[0]}-{seeds[-1]}), {len(self.frame)} rows"
        )


def folder() -> Path:
    """data/results/ of the clone that the package runs from, else the copy inside the installed package."""
    clone = PACKAGE.parent / "data" / "results"
    return clone if clone.is_dir() else PACKAGE / "share" / "results"


def names() -> list[str]:
    """The recorded results there are."""
    return sorted(path.stem for path in folder().glob("*.json"))


def read(name: str) -> Recorded:
    """The recorded result `name`; a ValueError that lists the names there are if it is none of them."""
    if name not in names():
        raise ValueError(f"name must be one of {names()}, got {name!r}")
    base = folder() / name
    frame = pd.read_csv(base.with_suffix(".csv"))
    packed = base.with_suffix(".npz")
    arrays: dict[str, np.ndarray] = {}
    if packed.exists():
        with np.load(packed) as stored:
            arrays = {key: stored[key] for key in stored.files}
    return Recorded(name, frame, arrays, json.loads(base.with_suffix(".json").read_text()))


def write(
    name: str,
    frame: pd.DataFrame,
    *,
    seeds: list[int],
    settings: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
) -> Recorded:
    """Record `frame` (and `arrays`) under `name` in `folder()`, with this machine, commit, date, versions and `settings`."""
    folder().mkdir(parents=True, exist_ok=True)
    base = folder() / name
    frame.to_csv(base.with_suffix(".csv"), index=False, float_format="%.6g")
    if arrays:
        np.savez_compressed(base.with_suffix(".npz"), **dict(arrays))  # type: ignore[arg-type]  # the stub confuses ** with allow_pickle
    provenance = {**_provenance(), "seeds": seeds, "settings": dict(settings)}
    base.with_suffix(".json").write_text(json.dumps(provenance, indent=1) + "\n")
    return read(name)


def _provenance() -> dict[str, str]:
    import torch

    if torch.cuda.is_available():
        machine = torch.cuda.get_device_name()
    else:
        machine = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _commit(),
        "machine": machine,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _commit() -> str:
    """The commit, "-dirty" where a file differs from it: but for recorded results, which a study may rewrite as it goes."""
    commit = _git("describe", "--always", "--abbrev=10")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)data/results")
    return f"{commit}-dirty" if commit and changed else commit or "unknown (no clone)"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=False).stdout.strip()
