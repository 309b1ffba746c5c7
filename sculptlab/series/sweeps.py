"""Sweeps: a study whose finished cells are files in one folder, which any number of processes and hosts share.

The folder holds

- `sweep.json`: the study and the version of the package; a folder of others is refused.
- `cells/KEY.json`: a finished cell: its `rows`, the `commit` and `host` that made them, and its `seconds`. It is written in full
  or not at all. A file that is no such record, for example after a power failure, is ignored, and the cell is computed again.
- `claims/KEY.N`: a cell under way: host and process. Creating this file is atomic, so one process gets the cell. The claim of a
  process that has ended is not removed: the next process creates number N + 1.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sculptlab.files import write_file

FORMAT = 1
BEAT = 20.0  # seconds between signs of life of a claim
LOST = 600.0  # seconds without a sign of life after which the claim of another host is taken over
UNWRITTEN = 5.0  # seconds after which an empty claim is that of a process that was killed while it wrote it
WAIT = 0.5  # seconds between looks at cells that other processes have under way

Rows = list[dict[str, Any]]
Cell = Callable[[], Rows]
_active: ContextVar[Sweep | None] = ContextVar("sweep", default=None)


class SweepFinished(Exception):
    """All cells of a study are done; raised where the study would record its result, in processes that do not."""


@dataclass(eq=False)
class Sweep:
    """The folder of a study's finished cells. `records` says whether this process writes the result when all are done."""

    folder: Path
    study: str
    version: str
    about: Mapping[str, str] = field(default_factory=dict)  # noted in each cell, such as the commit
    records: bool = False
    progress: bool = True
    calls: int = 0  # of `run_study` so far

    def __post_init__(self) -> None:
        own = {"format": FORMAT, "study": self.study, "version": self.version}
        file = self.folder / "sweep.json"
        # Several processes may start at once, and each writes sweep.json before anything else. The folder is listed first, and
        # sweep.json looked for second: if there are other files and no sweep.json, they are not those of a sweep.
        self.folder.mkdir(parents=True, exist_ok=True)
        foreign = [path for path in self.folder.iterdir() if not path.name.startswith(".sweep.json.")]
        if not file.exists():
            if foreign:
                raise ValueError(f"folder {str(self.folder)!r} holds other files and no sweep.json: name a new or empty folder")
            with suppress(FileExistsError):  # of a process that began at the same time, perhaps with another study
                write_file(file, json.dumps(own) + "\n", new=True)
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            found = file.read_text(encoding="utf-8", errors="replace")[:200]
        if found != own:
            raise ValueError(f"folder {str(self.folder)!r} holds the sweep {found}, not {own}: name another folder")
        for name in ("cells", "claims"):
            (self.folder / name).mkdir(exist_ok=True)

    @contextmanager
    def active(self) -> Iterator[Sweep]:
        """Inside this context `run_study` takes and leaves its cells in the folder."""
        token = _active.set(self)
        try:
            yield self
        finally:
            _active.reset(token)

    def rows(self, key: str) -> Rows | None:
        """The rows of a finished cell; None if there is none, or no whole one."""
        found = self._read(key)
        return None if found is None else found["rows"]

    def _read(self, key: str) -> dict[str, Any] | None:
        file = self.folder / "cells" / f"{key}.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        except (FileNotFoundError, ValueError, RecursionError):  # the last two: of JSON, or of bytes that are no text
            return None
        rows = found.get("rows") if isinstance(found, dict) else None
        return found if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None

    def provenance(self) -> dict[str, list[str]]:
        """The commits and hosts that made the cells."""
        cells = [self._read(path.stem) or {} for path in (self.folder / "cells").glob("*.json")]
        return {
            name: sorted({cell[one] for cell in cells if one in cell}) for name, one in (("commits", "commit"), ("hosts", "host"))
        }

    def run(self, cells: Mapping[str, Cell], progress: bool = True) -> dict[str, Rows]:
        """The rows of every cell by its key: each is computed here, or by another process that shares the folder."""
        from tqdm.auto import tqdm

        found = {key: rows for key in cells if (rows := self.rows(key)) is not None}
        with tqdm(total=len(cells), initial=len(found), disable=not (progress and self.progress), unit="cell") as bar:
            while len(found) < len(cells):
                before = len(found)
                for key in [key for key in cells if key not in found]:
                    rows = self.rows(key)
                    if rows is None and (claim := self._claim(key)):
                        rows = self._compute(key, cells[key], claim)
                    if rows is not None:
                        found[key] = rows
                        bar.update()
                if len(found) == before:
                    time.sleep(WAIT)
        return {key: found[key] for key in cells}

    def _compute(self, key: str, cell: Cell, claim: Path) -> Rows:
        """The rows of a claimed cell, which are written to its file."""
        with _signs_of_life(claim):
            try:
                if (rows := self.rows(key)) is not None:  # another process finished it between the look and the claim
                    return rows
                started = time.perf_counter()
                rows = _plain(cell())
                seconds = round(time.perf_counter() - started, 3)
                facts = {**self.about, "host": platform.node(), "seconds": seconds, "rows": rows}
                try:
                    write_file(self.folder / "cells" / f"{key}.json", json.dumps(facts) + "\n")
                except OSError as error:
                    error.strerror = f"{error.strerror}. The finished cells stay: make room, and run the same command again"
                    raise
                return rows
            finally:
                for old in self._claims(key):
                    if old == claim or _ended(old):
                        with suppress(OSError):
                            old.unlink()

    def _claim(self, key: str) -> Path | None:
        """This process's new claim of a cell; None if another process has one and lives."""
        before = self._claims(key)
        if before and not _ended(before[-1]):
            return None
        path = self.folder / "claims" / f"{key}.{int(before[-1].suffix[1:]) + 1 if before else 0}"
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump({"host": platform.node(), "process": os.getpid(), "started": _started(os.getpid())}, file)
        except FileExistsError:
            return None
        return path

    def _claims(self, key: str) -> list[Path]:
        """The claims of a cell by their number; other files, such as an editor's copies, are left alone."""
        found = [path for path in (self.folder / "claims").glob(f"{key}.*") if re.fullmatch(r"\.[0-9]+", path.suffix)]
        return sorted(found, key=lambda path: int(path.suffix[1:]))


def active_sweep() -> Sweep | None:
    """The sweep inside whose context this is called."""
    return _active.get()


def cell_key(call: int, about: Mapping[str, Any]) -> str:
    """The name of a cell's file, from the number of the call of `run_study` and the columns that tell it from other cells."""
    words = re.sub(r"[^a-z0-9.]+", "_", "_".join(map(str, about.values())).lower()).strip("_.")[:60]
    return f"{call}-{words}-{zlib.crc32(json.dumps(about, default=str).encode()):08x}"


def _plain(rows: Rows) -> Rows:
    """Rows as they are read again from their file: numbers of NumPy and torch as numbers of Python."""
    return json.loads(json.dumps([{str(k): v for k, v in row.items()} for row in rows], default=lambda value: value.item()))


@contextmanager
def _signs_of_life(claim: Path) -> Iterator[None]:
    """Touch a claim now and then. The process ends with the one that started it as a worker."""
    done, parent = threading.Event(), multiprocessing.parent_process()

    def touch() -> None:
        since = 0.0
        while not done.wait(min(1.0, BEAT)):
            if parent is not None and not parent.is_alive():
                os._exit(1)
            since += min(1.0, BEAT)
            if since >= BEAT:
                since = 0.0
                with suppress(OSError):
                    os.utime(claim)

    thread = threading.Thread(target=touch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _ended(claim: Path) -> bool:
    """Whether the process of a claim has ended, or the claim is gone."""
    try:
        age = time.time() - claim.stat().st_mtime
        owner = json.loads(claim.read_text(encoding="utf-8")) if claim.is_file() else None
    except FileNotFoundError:
        return True
    except (ValueError, RecursionError):  # of JSON, or of bytes that are no text
        owner = None
    if not isinstance(owner, dict) or not isinstance(owner.get("process"), int) or not {"host", "started"} <= owner.keys():
        return age > UNWRITTEN
    if owner["host"] == platform.node() and os.name == "posix":  # os.kill with 0 only asks, but not on Windows
        try:
            os.kill(owner["process"], 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:
            pass
        if owner["started"] != _started(owner["process"]):  # another process has got its number
            return True
    return age > LOST


def _started(process: int) -> str:
    """When a process started, in ticks since the machine did; "" where the system does not say. A killed one has ended."""
    try:
        words = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]
