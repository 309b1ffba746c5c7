"""Find a published image set on this machine, or get it: checked, whole, once even if two processes ask together."""

import contextlib
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from sculptlab.data import checksums, folders, mirrors
from sculptlab.data.checksums import DataDamaged
from sculptlab.data.sources import NAMES, PUBLISHED, Download, Source


class DataNotFound(FileNotFoundError):
    """An image set is not on this machine and could not be downloaded."""


def source(name: str) -> Source | None:
    """The published set called `name`, None for one that comes with the installation; ValueError for any other name."""
    if not isinstance(name, str | None):
        raise TypeError(f"name must be the name of an image set, got {type(name).__name__}; your own array goes to fit as it is")
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}; got {name!r}")
    return PUBLISHED.get(name)


def split_of(name: str, split: str | None) -> str | None:
    """`split`, or the default one of `name` for None; None where the set has no published split; else a ValueError."""
    published = source(name)
    splits = tuple(published.splits) if published else ("all",)
    if splits == ("all",):
        if split is not None:
            raise ValueError(f"split must be None for {name}, which has no published one: use .split(); got {split!r}")
        return None
    if split is not None and split not in splits:
        raise ValueError(f"split of {name} must be one of {splits} or None ({splits[0]!r}), got {split!r}")
    return split or splits[0]


def _complete(published: Source, split: str) -> Path | None:
    """The first folder that holds every file the split needs, unchecked."""
    for root in folders.roots():
        if all(file.at(root) for file in published.splits[split]):
            return root
    return None


def _archive(download: Download) -> Path | None:
    """An archive that somebody put where we look, still packed."""
    paths = (root / download.path for root in folders.roots())
    return next((path for path in paths if download.unpacks and path.is_file()), None)


def locate(name: str, split: str | None = None) -> Path | None:
    """The folder of `name`, or its archive not yet unpacked; None if it would have to be downloaded. Uses no network.

    `split=None` asks for what `load(name)` reads. Files are found here, not checked: `load` and `fetch` do that.
    """
    published = source(name)
    split = split_of(name, split) or "all"
    if published is None:
        return _bundled(name)
    root = _complete(published, split)
    if root is not None:
        return root / published.folder
    return next(filter(None, map(_archive, published.downloads)), None)


def _bundled(name: str) -> Path | None:
    if name == "sprites":
        return Path(__file__).parents[1]
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "datasets" / {"digits": "data", "patches": "images"}[name]


def available(name: str, split: str | None = None) -> bool:
    """Whether `load(name, split)` finds its files without a network; sets that come with the installation always do."""
    return locate(name, split) is not None


def fetch(name: str, split: str | None = None) -> Path:
    """Make sure that `load(name, split)` needs no network from now on, and return the folder of the set.

    Looks in $SCULPTLAB_DATA, then in the cache, and else downloads the set with a progress bar to the first of these
    that can be written. Raises DataNotFound if it is nowhere to be had, with what to do; DataDamaged if a file in
    $SCULPTLAB_DATA is not the published one (damaged files in the cache are downloaded again).
    """
    published = source(name)
    split = split_of(name, split) or "all"
    if published is not None:
        return ensure(published, split) / published.folder
    folder = _bundled(name)
    if folder is None:
        raise DataNotFound(f"{name} comes with scikit-learn, which is not installed: pip install scikit-learn")
    return folder


def ensure(published: Source, split: str) -> Path:
    """The root beneath which every file of the split lies and has its published checksum."""
    root, _ = _checked(published, split)
    if root is not None:
        return root
    target = _destination(published)
    if not folders.writable(target):
        raise _not_found(published, split, [f"{target} cannot be written"])
    target.mkdir(parents=True, exist_ok=True)
    with _alone(target / f".{published.name}.lock", published.name):
        root, damage = _checked(published, split)  # another process may have got it while this one waited
        if root is None:
            if damage:
                tqdm.write(f"{damage[0]}; getting it again", file=sys.stderr)
            for download in published.downloads:
                failures = _get(download, target, published)
                if failures:
                    raise _not_found(published, split, [*failures, *damage])
            root, _ = _checked(published, split)
    if root is None:
        raise _not_found(published, split, ["what was downloaded does not hold it"])
    return root


def _checked(published: Source, split: str) -> tuple[Path | None, list[str]]:
    """The root of a complete and correct split, if there is one; else what is damaged in the cache, if anything is."""
    root = _complete(published, split)
    if root is None:
        return None, []
    try:
        for file in published.splits[split]:
            path = file.at(root)
            assert path is not None
            checksums.verify(path, file.expected(path))
    except DataDamaged as damage:
        if root == folders.given():  # a person's own file is never replaced
            raise DataDamaged(f"{damage}. Remove it, then type: sculptlab fetch {published.name}") from None
        return None, [str(damage)]
    return root, []


def _destination(published: Source) -> Path:
    """$SCULPTLAB_DATA if it can be written and a person's own folder there is not in the way, else the cache."""
    mine = folders.given()
    unpacks = any(download.unpacks for download in published.downloads)
    if mine is None or not folders.writable(mine) or (unpacks and (mine / published.folder).exists()):
        return folders.cache()
    return mine


@contextlib.contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tqdm.write(f"another process is getting {name}; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _get(download: Download, target: Path, published: Source) -> list[str]:
    """Put one download in place beneath `target`, whole and checked, from a file already here or from its mirrors.

    Returns [] or what went wrong at each mirror.
    """
    found = _archive(download)
    if found is not None and _right(found, download.checksum):
        _unpack(found, download, target, published)
        return []
    final = target / download.path
    if final.exists() and not download.unpacks and _right(final, download.checksum):
        return []
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.part")  # a fixed name: what a killed process left is overwritten
    try:
        failures = mirrors.download(download, part)
        if not failures and download.unpacks:
            _unpack(part, download, target, published)
        elif not failures:
            os.replace(part, final)
    finally:
        part.unlink(missing_ok=True)
    return failures


def _right(path: Path, checksum: str) -> bool:
    """Whether the file has its checksum; DataDamaged if it has not and is a person's own."""
    try:
        checksums.verify(path, checksum)
    except DataDamaged as damage:
        mine = folders.given()
        if mine is not None and path.is_relative_to(mine):
            raise DataDamaged(f"{damage}. Remove it, then try again") from None
        return False
    return True


def _unpack(archive: Path, download: Download, target: Path, published: Source) -> None:
    """Unpack beside the final folder, note its checksums, then move it into place whole."""
    part, old = (target / f".{download.unpacks}.{end}" for end in ("part", "old"))
    final = target / download.unpacks
    shutil.rmtree(part, ignore_errors=True)
    is_tar = download.path.endswith(".tar.gz")
    safely: dict[str, Any] = {"filter": "data"} if is_tar and hasattr(tarfile, "data_filter") else {}
    try:
        shutil.unpack_archive(archive, part, "gztar" if is_tar else "zip", **safely)
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        (part / download.unpacks).rename(final)
        for file in {file.path: file for files in published.splits.values() for file in files}.values():
            path = file.at(target)
            if path is not None:
                checksums.trust(path, file.checksum.partition(":")[0])
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _not_found(published: Source, split: str, failures: list[str]) -> DataNotFound:
    """What is missing, what was tried, what to type, which file to put where, and what can stand in meanwhile."""
    which = published.name if split == "all" else f"{published.name} ({split})"
    size = sum(download.size or 0 for download in published.downloads)
    target = _destination(published)
    lines = [f"{which} is not on this machine and could not be downloaded:", *(f"  {failure}" for failure in failures)]
    lines.append(f"Searched: {', '.join(str(root / published.folder) for root in folders.roots())}")
    if published.name == "tiny_imagenet" and split == "train" and _complete(published, "test"):
        lines.append('The labeled validation images are here: load("tiny_imagenet") reads them; train/ is missing.')
    again = f"sculptlab fetch {published.name}"
    if locate(published.name) is not None:  # that command would be content with the default split
        again += f" --split {split}"
    lines.append(f"With a connection: {again}" + (f" ({size / 1e6:,.0f} MB)" if size else ""))
    for download in published.downloads:
        verb = "it is unpacked on first use; " if download.unpacks else ""
        lines.append(f"By hand: {download.urls[0]} to {target / download.path} ({verb}{download.checksum})")
    lines.append("SCULPTLAB_DATA may name another folder that holds the same paths.")
    lines.append(f'Meanwhile sl.load("{published.stand_in}") needs no network.')
    return DataNotFound("\n".join(lines))
