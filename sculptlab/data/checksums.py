r"""Check that a file is the published one, and record the result so that an unchanged file is read only once.

A checksum is "kind:hexadecimal digits". The kinds are md5; git-blob-sha1, which GitHub shows (SHA-1 of
b"blob <length>\0" and the content); and tree-sha256 of a folder (names, sizes and contents of all its .JPEG files,
sorted by name).
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from sculptlab.data import folders

_checked_here: dict[str, dict[str, str]] = {}  # used where the cache, and so checked.json, cannot be written


class DataDamaged(OSError):
    """A file of an image set is not the published one."""


def _images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.JPEG"), key=Path.as_posix)


def _add_content(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)


def compute_checksum(path: Path, kind: str) -> str:
    """The checksum of a file (md5 or git-blob-sha1) or of a folder (tree-sha256), read in full."""
    algorithm = {"md5": "md5", "git-blob-sha1": "sha1", "tree-sha256": "sha256"}[kind]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    if kind == "git-blob-sha1":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    for file in _images(path) if kind == "tree-sha256" else [path]:
        if kind == "tree-sha256":
            digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        _add_content(digest, file)
    return f"{kind}:{digest.hexdigest()}"


def _stamp(path: Path) -> str:
    """Size and time of the last change; of a folder, a hash of those of all its images."""
    if path.is_file():
        return f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    stats = ((file.name, file.stat()) for file in _images(path))
    lines = "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)
    return hashlib.sha256(lines.encode()).hexdigest()


def _read_record() -> dict[str, dict[str, str]]:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return {**json.loads((folders.cache() / "checked.json").read_text(encoding="utf-8")), **_checked_here}
    return dict(_checked_here)


def _add_to_record(path: Path, **facts: str) -> None:
    folder = folders.cache()
    if not folders.writable(folder):
        _checked_here[str(path)] = {**_checked_here.get(str(path), {}), **facts}
        return
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".checked.lock"):
        record = _read_record()
        record[str(path)] = {**record.get(str(path), {}), **facts}
        part = folder / ".checked.json.part"
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        os.replace(part, folder / "checked.json")


def trust(path: Path, kind: str) -> None:
    """Record `path` as published, as it is: it comes from an archive with the right checksum."""
    actual = compute_checksum(path, kind)
    _add_to_record(path.resolve(), stamp=_stamp(path), sum=actual, trusted=actual)


def verify(path: Path, expected: str) -> str:
    """Return the checksum of `path`, or raise DataDamaged if it is not `expected` ("kind:" alone accepts any).

    The file is read on first use, and again when its size or time of change differ from the record. A change that
    keeps both goes unnoticed.
    """
    kind, _, published = expected.partition(":")
    path, stamp = path.resolve(), _stamp(path)
    known = _read_record().get(str(path), {})
    actual = known.get("sum", "")
    if known.get("stamp") != stamp or not actual.startswith(f"{kind}:"):
        actual = compute_checksum(path, kind)
        _add_to_record(path, stamp=stamp, sum=actual)
    if published and actual not in (expected, known.get("trusted")):
        raise DataDamaged(f"{path} is not the published one: {_describe(path)}, {actual} instead of {expected}")
    return actual


def _describe(path: Path) -> str:
    """The size of a file; the number of images in a folder, and the names of the truncated ones."""
    if path.is_file():
        return f"{path.stat().st_size:,} bytes"
    files = _images(path)
    cut = [file.name for file in files if file.read_bytes()[-2:] != b"\xff\xd9"]  # a JPEG ends with these two bytes
    return f"{len(files):,} images" + (f", cut short or overwritten: {', '.join(cut[:5])}" if cut else "")
