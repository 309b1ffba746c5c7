"""Find a published image set on this machine, or download it: complete, checked, and once even if two processes ask."""

import os
import shutil
import sys
import time
import urllib.request
from http.client import HTTPException
from importlib.metadata import distribution
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout
from tqdm.auto import tqdm

from sculptlab.data import checksums, folders
from sculptlab.data.checksums import DataDamaged
from sculptlab.data.sources import BUNDLED, NAMES, PUBLISHED, SHIPPED, Download, Source
from sculptlab.names import shown, suggestion

TIMEOUT = 10.0  # seconds to wait for an answer, and for each further block
LARGEST = 2**27  # bytes of a file whose size is not in the manifest
SLOWEST, PATIENCE = 20_000, 60.0  # bytes per second on average, and seconds from which a slower mirror is given up


class DataNotFound(FileNotFoundError):
    """An image set is not on this machine and could not be downloaded."""


def resolve(name: str, split: str | None = None) -> tuple[Source | None, str]:
    """The source of an image set, None if it is scikit-learn's or rendered, and its split ("all" if it has no others)."""
    if not isinstance(name, str | None):
        raise TypeError(f"name must be the name of an image set, got {type(name).__name__}; your own array goes to fit as it is")
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}; got {shown(name)}{suggestion(name, NAMES)}")
    published = PUBLISHED.get(name)
    splits = tuple(published.splits) if published else ("all",)
    if split is not None and splits == ("all",):
        raise ValueError(f"split must be None for {name}, which has no published one: use .split(); got {shown(split)}")
    if split not in (None, *splits):
        raise ValueError(f"split of {name} must be one of {splits} or None ({splits[0]!r}), got {shown(split)}")
    return published, split or splits[0]


def locate(name: str, split: str | None = None) -> Path | None:
    """The folder of an image set, or its archive if that is not unpacked yet; None if it would have to be downloaded.

    This uses no network, and it does not check the files: `load` and `fetch` do.
    """
    published, split = resolve(name, split)
    if published is None:
        return _bundled(name)
    root = _complete_root(published, split)
    return root / published.folder if root else next(filter(None, map(_archive, published.downloads)), None)


def available(name: str, split: str | None = None) -> bool:
    """Whether `load(name, split)` needs no network.

    Parameters
    ----------
    name, split : str
        As in `load`.

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
    """Make sure that `load(name, split)` needs no network: download the set if it is absent, or damaged in the cache.

    Parameters
    ----------
    name, split : str
        As in `load`.

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
    root, damage = _verified_root(published, split)
    if root:
        return root
    if published.name in BUNDLED:
        raise DataDamaged(f"{damage or f'{SHIPPED / published.folder} is incomplete'}; it ships with sculptlab: install it again")
    target, failures = _destination(published), list[str]()
    if target is None or not folders.writable(target):
        reason = f"{target} cannot be written" if target else "there is no home folder for a cache, so set SCULPTLAB_DATA"
        raise _not_found(published, split, [reason])
    target.mkdir(parents=True, exist_ok=True)
    with _lock(target / f".{published.name}.lock", published.name):
        root, damage = _verified_root(published, split)  # another process may have downloaded it in the meantime
        if damage:
            tqdm.write(f"{damage}; downloading it again", file=sys.stderr)
        if not root and all(_get(download, target, published, failures) for download in published.downloads):
            root, damage = _verified_root(published, split)
    if not root:
        raise _not_found(published, split, [*failures, damage])
    return root


def _bundled(name: str) -> Path:
    package = Path(__file__).parent
    return package if name == "sprites" else Path(str(distribution("scikit-learn").locate_file("sklearn/datasets")))


def _complete_root(published: Source, split: str) -> Path | None:
    """The first folder that holds every file of the split, not verified."""
    roots = [SHIPPED] if published.name in BUNDLED else folders.roots()
    return next((root for root in roots if published.find(split, root)), None)


def _archive(download: Download) -> Path | None:
    """An archive that lies, still packed, where image sets are searched for."""
    paths = (root / download.path for root in folders.roots())
    return next((path for path in paths if download.unpacks and os.path.isfile(path)), None)


def _verified_root(published: Source, split: str) -> tuple[Path | None, str]:
    """The folder of a complete split with the right checksums, or None and what is damaged."""
    root = _complete_root(published, split)
    files = published.find(split, root) if root else {}
    damage = next(filter(None, (_damage(path, checksum, published) for path, checksum in files.items())), "")
    return None if damage else root, damage


def _damage(path: Path, checksum: str, published: Source) -> str:
    """What is wrong with a file, "" if nothing. DataDamaged if it is in $SCULPTLAB_DATA: such files are never replaced."""
    try:
        checksums.verify(path, checksum)
    except DataDamaged as damage:
        mine = folders.given()
        if mine and path.is_relative_to(mine):
            raise DataDamaged(f"{damage}. Remove it, then type: sculptlab fetch {published.name}") from None
        return str(damage)
    return ""


def _destination(published: Source) -> Path | None:
    """$SCULPTLAB_DATA if it is writable and has no folder of this name that an archive would replace, else the cache, if any."""
    mine = folders.given()
    taken = mine and os.path.exists(mine / published.folder) and any(download.unpacks for download in published.downloads)
    return mine if mine and folders.writable(mine) and not taken else folders.cache()


def _lock(path: Path, name: str) -> AcquireReturnProxy:
    lock = FileLock(path)
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        tqdm.write(f"another process is downloading {name}; waiting for it", file=sys.stderr)
        return lock.acquire()


def _get(download: Download, target: Path, published: Source, failures: list[str]) -> bool:
    """Put a download in place below `target`, from a file already here or from a mirror; False if no mirror serves it."""
    final = target / download.path
    part = final.with_name(f".{final.name}.part")  # a fixed name, so that the rest of a killed process is overwritten
    here = _archive(download) or final
    try:
        if not here.exists() or _damage(here, download.checksum, published):
            here = part
            if not any(_save(url, part, download, failures) for url in download.urls):
                return False
        if download.unpacks:
            _unpack(here, download, target, published)
        elif here == part:
            os.replace(part, final)
        return True
    finally:
        part.unlink(missing_ok=True)


def _save(url: str, path: Path, download: Download, failures: list[str]) -> bool:
    """Write what a mirror serves to `path`; False, with a message in `failures`, if that is not the published file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    request = urllib.request.Request(url, headers={"User-Agent": "sculptlab"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
            given, begun = answer.headers.get("Content-Length", ""), time.monotonic()
            most = download.size or min(int(given) if given.isdecimal() else LARGEST, LARGEST)
            with tqdm(total=most, desc=Path(download.path).name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
                while block := answer.read1(2**16):
                    bar.update(file.write(block))
                    seconds = time.monotonic() - begun
                    if file.tell() > most:
                        raise OSError(f"it sends more than {most:,} bytes")
                    if seconds > PATIENCE and file.tell() < SLOWEST * seconds:
                        raise OSError(f"it sent {file.tell():,} bytes in {seconds:.0f} s")
            os.fsync(file.fileno())
        actual = checksums.compute_checksum(path, download.checksum.partition(":")[0])
        if actual == download.checksum:
            return True
        failures.append(f"{url}: got {path.stat().st_size:,} bytes, {actual} instead of {download.checksum}")
    except (OSError, HTTPException, ValueError) as error:  # a ValueError of a malformed address or answer
        failures.append(f"{url}: {error or type(error).__name__}")
    return False


def _unpack(archive: Path, download: Download, target: Path, published: Source) -> None:
    """Unpack a verified archive beside the final folder, move it into place, and record the checksums of its files."""
    final, part = target / download.unpacks, target / f".{download.unpacks}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        tar = download.path.endswith(".tar.gz")
        shutil.unpack_archive(archive, part, "gztar" if tar else "zip", filter="data" if tar else None)
        shutil.rmtree(final, ignore_errors=True)
        (part / download.unpacks).rename(final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for split in published.splits:  # what the published archive holds is right, whatever its checksum in the manifest
        for path, checksum in published.find(split, target).items():
            checksums.record(path, checksums.stamp_of(path), checksum)


def _not_found(published: Source, split: str, failures: list[str]) -> DataNotFound:
    """What is missing, what was tried, what to type, which file to put where, and which bundled set can replace it."""
    name, unsplit = published.name, split == "all"
    size = sum(download.size or 0 for download in published.downloads)
    lines = [f"{name if unsplit else f'{name} ({split})'} is not on this machine and could not be downloaded:"]
    lines += [f"  {failure}" for failure in failures if failure]
    lines.append(f"Searched: {', '.join(str(root / published.folder) for root in folders.roots())}")
    if name == "tiny_imagenet" and split == "train" and _complete_root(published, "test"):
        lines.append('The labeled validation images are here: load("tiny_imagenet") reads them; train/ is missing.')
    again = f"sculptlab fetch {name}" + ("" if unsplit else f" --split {split}")
    lines.append(f"With a connection: {again}" + (f" ({size / 1e6:,.0f} MB)" if size else ""))
    for download in published.downloads:
        path, unpacked = (
            (_destination(published) or Path("$SCULPTLAB_DATA")) / download.path,
            "it is unpacked on first use; " if download.unpacks else "",
        )
        lines.append(f"By hand: {download.urls[0]} to {path} ({unpacked}{download.checksum})")
    lines.append("SCULPTLAB_DATA may name another folder that holds the same paths.")
    lines.append(f'Meanwhile sl.load("{published.stand_in}") needs no network.')
    return DataNotFound("\n".join(lines))
