r"""Check that a file is the published one, and record the result so that an unchanged file is read only once.

A checksum is "kind:hexadecimal digits". The kinds are md5; git-blob-sha1, which GitHub shows (SHA-1 of b"blob <length>\0" and
the content); and tree-sha256 of a folder (names, sizes and contents of all its .JPEG files, sorted by name).
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from sculptlab.data import folders
from sculptlab.files import write_file

_checked_here: dict[str, dict[str, str]] = {}  # used where the cache, and so checked.json, cannot be written


class DataDamaged(OSError):
    """A file of an image set is not the published one."""


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.JPEG"), key=Path.as_posix)


def compute_checksum(path: Path, kind: str) -> str:
    """The checksum of a file (md5 or git-blob-sha1) or of a folder (tree-sha256), read in full."""
    algorithm = {"md5": "md5", "git-blob-sha1": "sha1", "tree-sha256": "sha256"}[kind]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for file in _files(path):
        size, name = file.stat().st_size, file.relative_to(path).as_posix()
        digest.update({"md5": "", "git-blob-sha1": f"blob {size}\0", "tree-sha256": f"{name}\0{size}\0"}[kind].encode())
        with file.open("rb") as content:
            hashlib.file_digest(content, lambda: digest)
    return f"{kind}:{digest.hexdigest()}"


def stamp_of(path: Path) -> str:
    """The names, sizes and times of the last change of a file or of all images in a folder, as a hash."""
    stats = ((file.name, file.stat()) for file in _files(path))
    lines = "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)
    return hashlib.sha256(lines.encode()).hexdigest()


def _read_record() -> dict[str, dict[str, str]]:
    if folder := folders.cache():
        with suppress(OSError, ValueError, TypeError):
            return json.loads((folder / "checked.json").read_text(encoding="utf-8")) | _checked_here
    return dict(_checked_here)


def record(path: Path, stamp: str, checksum: str) -> None:
    """Note that a file or folder has this checksum as long as it has this stamp."""
    folder, facts = folders.cache(), {str(path.resolve()): {"stamp": stamp, "sum": checksum}}
    if folder is not None and folders.writable(folder):
        with suppress(OSError):  # of a full disk
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".checked.lock"):
                write_file(folder / "checked.json", json.dumps(_read_record() | facts, indent=1))
            return
    _checked_here.update(facts)


def verify(path: Path, expected: str) -> str:
    """Return the checksum of `path`, or raise DataDamaged if it is not `expected` ("kind:" alone accepts any).

    The file is read on first use, and again when its size or time of change differ from the record. A change that
    keeps both goes unnoticed.
    """
    kind, _, published = expected.partition(":")
    stamp, known = stamp_of(path), _read_record().get(str(path.resolve()), {})
    actual = known.get("sum", "")
    if known.get("stamp") != stamp or not actual.startswith(f"{kind}:"):
        actual = compute_checksum(path, kind)
        record(path, stamp, actual)
    if published and actual != expected:
        raise DataDamaged(f"{path} is not the published one: {_describe(path)}, {actual} instead of {expected}")
    return actual


def _describe(path: Path) -> str:
    """The size of a file; the number of images in a folder, and the names of the truncated ones."""
    if path.is_file():
        return f"{path.stat().st_size:,} bytes"
    files = _files(path)
    cut = [file.name for file in files if file.read_bytes()[-2:] != b"\xff\xd9"]  # a JPEG ends with these two bytes
    return f"{len(files):,} images" + (f", cut short or overwritten: {', '.join(cut[:5])}" if cut else "")
