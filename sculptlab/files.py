"""Files are written in full or not at all: to a part beside the file, through to the disk, and moved into place."""

import errno
import glob
import os
import platform
import shutil
import stat
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sculptlab.names import as_path, shown

DAY = 86_400  # seconds


def writable_path(name: str, given: str | os.PathLike[str]) -> Path:
    """The argument `name` as a path, its folder made; a ValueError before any work if no file can be written there."""
    path = as_path(name, given)
    try:
        target = _target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except (OSError, ValueError) as error:  # a ValueError of a null byte
        why = getattr(error, "strerror", None) or error  # without the path, which may be long
        raise ValueError(f"{name} {shown(str(path))} cannot be written: {why}") from error
    return path


@contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[Path]:
    """Another path to write to; what is there is then written through to the disk and moved to `path` in one operation.

    If `new`, a file at `path` stays, also one that another process has just written, and a FileExistsError says so; but a file
    system without hard links replaces it. After an error, an interruption or a power failure `path` is the old file or the new
    one in full. A link stays a link: the file that it leads to is replaced. An OSError, as of a full disk, names `path`. Parts
    that killed processes left are removed.
    """
    try:
        target = _target(path)
        key = f".{target.name[:40]}.{zlib.crc32(os.fsencode(target.name)):08x}"
        machine = zlib.crc32(platform.node().encode())
        for old in target.parent.glob(f"{glob.escape(key)}.*.part"):
            _remove_if_left(old, machine)
        part = target.with_name(f"{key}.{machine:08x}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            yield part
            if target.exists():
                shutil.copymode(target, part)
            _write_through(part, os.O_RDWR)
            if not (new and _linked(part, target)):
                os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        with suppress(OSError):  # the new name in its folder; Windows opens no folders
            _write_through(target.parent, os.O_RDONLY)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"{error.strerror or error}; what was there before stays", str(path)) from error


def write_file(path: Path, content: bytes | str, *, new: bool = False) -> None:
    """Write `content`, text as UTF-8, to `path` as `replacing` does: all of it, or nothing and an OSError."""
    with replacing(path, new=new) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def _linked(part: Path, target: Path) -> bool:
    """Whether the file `part` could be given the further name `target`; a FileExistsError if that is the name of another."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # of a file system without hard links
        return False
    return True


def _target(path: Path) -> Path:
    """The file that `path` names or links to; an OSError if a folder, a device or another thing that is no file is there."""
    target = Path(os.path.realpath(path))
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(target).st_mode):
            raise OSError(errno.EINVAL, f"must be a file, it is a {'folder' if target.is_dir() else 'device'}")
    return target


def _write_through(path: Path, flags: int) -> None:
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _remove_if_left(part: Path, machine: int) -> None:
    """Remove the part of a process of this machine that has ended, or one that is older than a day."""
    _, _, host, process, _ = part.name.rsplit(".", 4)
    ended = False
    if os.name == "posix" and host == f"{machine:08x}":  # os.kill with 0 only asks, but not on Windows
        try:
            os.kill(int(process.split("-")[0]), 0)
        except ProcessLookupError:
            ended = True
        except (OSError, ValueError):
            pass
    with suppress(OSError):
        if ended or time.time() - part.stat().st_mtime > DAY:
            part.unlink()
