"""The published image sets: their files, mirrors, checksums and licenses, read from data/manifest.json, without torch.

Downloaded sets share one folder, with the paths that torchvision uses in it. The set that ships with the package lies in
SHIPPED, and its entry has no downloads. Checksums are as in the module `checksums`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sculptlab.data import folders


@dataclass(frozen=True)
class File:
    """A file or folder that a split needs; `unpacked` is the checksum of the content of a .gz file."""

    path: str
    checksum: str
    unpacked: str = ""

    def find(self, root: Path) -> tuple[Path, str] | None:
        """Its path below `root`, where a .gz file may also lie unpacked, and the checksum to expect; None if it is absent."""
        packed = root / self.path
        places = {packed: self.checksum} | ({packed.with_suffix(""): self.unpacked} if self.unpacked else {})
        return next((place for place in places.items() if os.path.exists(place[0])), None)


@dataclass(frozen=True)
class Download:
    """A file on the network, stored at `path`; an archive names in `unpacks` the folder that it contains."""

    path: str
    urls: tuple[str, ...]
    checksum: str
    size: int | None
    unpacks: str = ""


@dataclass(frozen=True)
class Source:
    """A published image set. `splits` lists the files of each split; the first split is the default."""

    name: str
    page: str
    license: str
    folder: str
    stand_in: str
    splits: dict[str, tuple[File, ...]]
    downloads: tuple[Download, ...]

    def find(self, split: str, root: Path) -> dict[Path, str]:
        """The files of a split below `root`, in their order, with their checksums; empty if any is absent."""
        found = [place for file in self.splits[split] if (place := file.find(root))]
        return dict(found) if len(found) == len(self.splits[split]) else {}


def _source(entry: dict[str, Any]) -> Source:
    splits = {split: tuple(File(**file) for file in files) for split, files in entry["splits"].items()}
    downloads = tuple(Download(**{**download, "urls": tuple(download["urls"])}) for download in entry["downloads"])
    return Source(**{**entry, "splits": splits, "downloads": downloads})


_clone = folders.clone()
SHIPPED = _clone / "data" if _clone else Path(__file__).parents[1] / "share"
_manifest = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))
PUBLISHED = {name: _source(entry) for name, entry in _manifest.items()}
BUNDLED = ("digits", "patches", "sprites", "fashion_mnist_small")
NAMES = tuple(dict.fromkeys((*BUNDLED, *PUBLISHED)))
