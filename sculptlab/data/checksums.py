"""Is this file the published one? Checksums, and a record of what was checked so that it need not be read again.

A checksum is "kind:hex" with kind md5, git-blob-sha1 (sha1 of b"blob <length>\\0" and the content, what GitHub shows)
or tree-sha256 (of a folder: names, sizes and contents of all its .JPEG files in the order of their names).
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from sculptlab.data import folders

_seen: dict[str, dict[str, str]] = {}


class DataDamaged(OSError):
    """A file of an image set is not the published one."""


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.JPEG"), key=Path.as_posix)


def _feed(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)


def measure(path: Path, kind: str) -> str:
    """The checksum of a file (md5, git-blob-sha1) or folder (tree-sha256), read in full."""
    if kind == "tree-sha256":
        tree = hashlib.sha256()
        for file in _files(path):
            tree.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
            _feed(tree, file)
        return f"{kind}:{tree.hexdigest()}"
    digest = hashlib.new({"md5": "md5", "git-blob-sha1": "sha1"}[kind], usedforsecurity=False)
    if kind == "git-blob-sha1":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    _feed(digest, path)
    return f"{kind}:{digest.hexdigest()}"


def _stamp(path: Path) -> str:
    """Size and time of change: of a folder, those of all its files."""
    if path.is_file():
        return f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    stats = ((file.name, file.stat()) for file in _files(path))
    lines = "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)
    return hashlib.sha256(lines.encode()).hexdigest()


def _record() -> dict[str, dict[str, str]]:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return {**json.loads((folders.cache() / "checked.json").read_text(encoding="utf-8")), **_seen}
    return dict(_seen)


def _remember(path: Path, **facts: str) -> None:
    """Write `facts` about `path` down, for this process and, where the cache can be written, for the next ones."""
    folder = folders.cache()
    if not folders.writable(folder):
        _seen[str(path)] = {**_seen.get(str(path), {}), **facts}
        return
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".checked.lock"):
        record = _record()
        record[str(path)] = {**record.get(str(path), {}), **facts}
        part = folder / ".checked.json.part"
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        os.replace(part, folder / "checked.json")


def trust(path: Path, kind: str) -> None:
    """Take `path` as it is for the published one: it came out of an archive whose checksum was right."""
    actual = measure(path, kind)
    _remember(path.resolve(), stamp=_stamp(path), sum=actual, trusted=actual)


def verify(path: Path, expected: str) -> str:
    """The checksum of `path`; DataDamaged, naming it, if that is not `expected` ("kind:" alone accepts any).

    It is read in full on first use and again whenever its size or time of change differ from what is on record; a
    change that keeps both is not noticed.
    """
    kind, _, published = expected.partition(":")
    path, stamp = path.resolve(), _stamp(path)
    known = _record().get(str(path), {})
    actual = known.get("sum", "")
    if known.get("stamp") != stamp or not actual.startswith(f"{kind}:"):
        actual = measure(path, kind)
        _remember(path, stamp=stamp, sum=actual)
    if actual not in (expected, known.get("trusted")) and published:
        raise DataDamaged(f"{path} is not the published one: {_difference(path)}, {actual} instead of {expected}")
    return actual


def _difference(path: Path) -> str:
    """What can be said of a damaged file or folder in a few words."""
    if path.is_file():
        return f"{path.stat().st_size:,} bytes"
    files = _files(path)
    cut = [file.name for file in files if file.read_bytes()[-2:] != b"\xff\xd9"]
    return f"{len(files):,} images" + (f", cut short or overwritten: {', '.join(cut[:5])}" if cut else "")
