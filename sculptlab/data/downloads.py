"""Find a published image set on this machine, or download it: complete, checked, and once even if two processes ask."""

import os
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout
from tqdm.auto import tqdm

from sculptlab.data import checksums, folders, mirrors
from sculptlab.data.checksums import DataDamaged
from sculptlab.data.sources import NAMES, PUBLISHED, Download, Source


class DataNotFound(FileNotFoundError):
    """An image set is not on this machine and could not be downloaded."""


def resolve(name: str, split: str | None = None) -> tuple[Source | None, str]:
    """The source of an image set, None if it comes with the installation, and its split ("all" if it has no others)."""
    if not isinstance(name, str | None):
        raise TypeError(f"name must be the name of an image set, got {type(name).__name__}; your own array goes to fit as it is")
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}; got {name!r}")
    published = PUBLISHED.get(name)
    splits = tuple(published.splits) if published else ("all",)
    if splits == ("all",) and split is not None:
        raise ValueError(f"split must be None for {name}, which has no published one: use .split(); got {split!r}")
    if split is not None and split not in splits:
        raise ValueError(f"split of {name} must be one of {splits} or None ({splits[0]!r}), got {split!r}")
    return published, split or splits[0]


def locate(name: str, split: str | None = None) -> Path | None:
    """The folder of an image set, or its archive if that is not unpacked yet; None if it would have to be downloaded.

    This uses no network, and it does not check the files: `load` and `fetch` do.
    """
    published, split = resolve(name, split)
    if published is None:
        return _bundled(name)
    root = _complete_root(published, split)
    if root is not None:
        return root / published.folder
    return next(filter(None, map(_archive, published.downloads)), None)


def available(name: str, split: str | None = None) -> bool:
    """Whether `load(name, split)` needs no network.

    Parameters
    ----------
    name : str
        The name of an image set, as in `load`.
    split : str, optional
        "train" or "test"; by default the one that `load(name)` reads.

    Returns
    -------
    bool
        True if all files are on this machine. Their checksums are not verified here.

    Examples
    --------
    >>> import sculptlab as sl
    >>> sl.data.available("digits")
    True
    """
    return locate(name, split) is not None


def fetch(name: str, split: str | None = None) -> Path:
    """Make sure that `load(name, split)` needs no network, downloading the set if necessary.

    The set is searched for in $SCULPTLAB_DATA, then in the cache. If it is in neither, it is downloaded to the first of
    the two that is writable. A damaged file in the cache is downloaded again.

    Parameters
    ----------
    name : str
        The name of an image set, as in `load`.
    split : str, optional
        "train" or "test"; by default the one that `load(name)` reads.

    Returns
    -------
    Path
        The folder of the set.

    Raises
    ------
    DataNotFound
        If no mirror serves the set. The message says which file to put where.
    DataDamaged
        If a file in $SCULPTLAB_DATA is not the published one.
    """
    published, split = resolve(name, split)
    return _bundled(name) if published is None else ensure(published, split) / published.folder


def ensure(published: Source, split: str) -> Path:
    """The folder below which every file of the split lies and has its published checksum."""
    root, _ = _verified_root(published, split)
    if root is not None:
        return root
    target = _destination(published)
    if not folders.writable(target):
        raise _not_found(published, split, [f"{target} cannot be written"])
    target.mkdir(parents=True, exist_ok=True)
    with _lock(target / f".{published.name}.lock", published.name):
        root, damage = _verified_root(published, split)  # another process may have downloaded it in the meantime
        if root is not None:
            return root
        if damage:
            tqdm.write(f"{damage}; downloading it again", file=sys.stderr)
        for download in published.downloads:
            failures = _get(download, target, published)
            if failures:
                raise _not_found(published, split, [*failures, damage] if damage else failures)
        root, _ = _verified_root(published, split)
    if root is None:
        raise _not_found(published, split, ["the downloaded files do not contain it"])
    return root


def _bundled(name: str) -> Path:
    if name == "sprites":
        return Path(__file__).parent
    return Path(str(distribution("scikit-learn").locate_file("sklearn/datasets")))


def _complete_root(published: Source, split: str) -> Path | None:
    """The first folder that holds every file of the split, not verified."""
    return next((root for root in folders.roots() if published.paths(split, root)), None)


def _archive(download: Download) -> Path | None:
    """An archive that lies, still packed, where image sets are searched for."""
    paths = (root / download.path for root in folders.roots())
    return next((path for path in paths if download.unpacks and path.is_file()), None)


def _verified_root(published: Source, split: str) -> tuple[Path | None, str]:
    """The folder of a complete split with the right checksums, or None and what is damaged."""
    root = _complete_root(published, split)
    if root is None:
        return None, ""
    for file, path in zip(published.splits[split], published.paths(split, root), strict=True):
        damage = _damage(path, file.expected(path), published)
        if damage:
            return None, damage
    return root, ""


def _damage(path: Path, checksum: str, published: Source) -> str:
    """What is wrong with a file, "" if nothing. DataDamaged if it is in $SCULPTLAB_DATA: such files are never replaced."""
    try:
        checksums.verify(path, checksum)
    except DataDamaged as damage:
        mine = folders.given()
        if mine is not None and path.is_relative_to(mine):
            raise DataDamaged(f"{damage}. Remove it, then type: sculptlab fetch {published.name}") from None
        return str(damage)
    return ""


def _destination(published: Source) -> Path:
    """$SCULPTLAB_DATA if it is writable and has no folder of this name that an archive would replace, else the cache."""
    mine = folders.given()
    unpacks = any(download.unpacks for download in published.downloads)
    if mine is None or not folders.writable(mine) or (unpacks and (mine / published.folder).exists()):
        return folders.cache()
    return mine


def _lock(path: Path, name: str) -> AcquireReturnProxy:
    lock = FileLock(path)
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        tqdm.write(f"another process is downloading {name}; waiting for it", file=sys.stderr)
        return lock.acquire()


def _get(download: Download, target: Path, published: Source) -> list[str]:
    """Put a download in place below `target`, from a file already here or from a mirror; returns one message per failure."""
    final = target / download.path
    here = _archive(download) if download.unpacks else final
    if here is not None and here.exists() and not _damage(here, download.checksum, published):
        if download.unpacks:
            _unpack(here, download, target, published)
        return []
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.part")  # a fixed name, so that the rest of a killed process is overwritten
    try:
        failures = mirrors.download(download, part)
        if not failures and download.unpacks:
            _unpack(part, download, target, published)
        elif not failures:
            os.replace(part, final)
    finally:
        part.unlink(missing_ok=True)
    return failures


def _unpack(archive: Path, download: Download, target: Path, published: Source) -> None:
    """Unpack a verified archive beside the final folder, move it into place, and record the checksums of its files."""
    final, part, old = (target / name.format(download.unpacks) for name in ("{}", ".{}.part", ".{}.old"))
    shutil.rmtree(part, ignore_errors=True)
    try:
        if download.path.endswith(".tar.gz"):
            shutil.unpack_archive(archive, part, "gztar", filter="data")
        else:
            shutil.unpack_archive(archive, part, "zip")
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        (part / download.unpacks).rename(final)
        for file in {file for files in published.splits.values() for file in files}:
            path = file.find(target)
            if path is not None:
                checksums.trust(path, file.checksum.partition(":")[0])
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _not_found(published: Source, split: str, failures: list[str]) -> DataNotFound:
    """What is missing, what was tried, what to type, which file to put where, and which bundled set can replace it."""
    which = published.name if split == "all" else f"{published.name} ({split})"
    size = sum(download.size or 0 for download in published.downloads)
    lines = [f"{which} is not on this machine and could not be downloaded:", *(f"  {failure}" for failure in failures)]
    lines.append(f"Searched: {', '.join(str(root / published.folder) for root in folders.roots())}")
    if published.name == "tiny_imagenet" and split == "train" and _complete_root(published, "test"):
        lines.append('The labeled validation images are here: load("tiny_imagenet") reads them; train/ is missing.')
    again = f"sculptlab fetch {published.name}"
    if locate(published.name) is not None:  # without --split the command would find the default split and stop
        again += f" --split {split}"
    lines.append(f"With a connection: {again}" + (f" ({size / 1e6:,.0f} MB)" if size else ""))
    for download in published.downloads:
        unpacked = "it is unpacked on first use; " if download.unpacks else ""
        path = _destination(published) / download.path
        lines.append(f"By hand: {download.urls[0]} to {path} ({unpacked}{download.checksum})")
    lines.append("SCULPTLAB_DATA may name another folder that holds the same paths.")
    lines.append(f'Meanwhile sl.load("{published.stand_in}") needs no network.')
    return DataNotFound("\n".join(lines))
