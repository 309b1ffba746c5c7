"""Points as a prior: an array of them, a file, the codes of another model."""

import os
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from sculptlab.priors.base import Prior
from sculptlab.validation import choice, codes, finite


@dataclass(frozen=True, eq=False)
class Samples(Prior):
    """The empirical distribution of a bank of points (m, dim): rows drawn with replacement, in the bank's own units.

    bank   an array (m, dim), such as another model's codes; or a file: .npy, or .csv of numbers with or without a line of names
    crc32  of the points, as the repr gives it; a ValueError where it differs from what is there

    The repr names the file, so that it can be pasted back; of an array it only tells size and checksum.
    """

    dim: int = field(init=False)
    bank: Any
    crc32: str | None = field(default=None, kw_only=True)
    file: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if isinstance(self.bank, str | os.PathLike):
            object.__setattr__(self, "file", os.fspath(self.bank))
            object.__setattr__(self, "bank", _read(os.fspath(self.bank)))
        bank = finite("prior", codes("prior", self.bank).detach().float().cpu().clone())  # in float32 1e39 is infinite
        found = f"{zlib.crc32(bank.numpy().tobytes()):08x}"
        if self.crc32 not in (None, found):
            raise ValueError(f"prior has changed: its points' crc32 is {found}, expected {self.crc32}")
        object.__setattr__(self, "bank", bank)
        object.__setattr__(self, "crc32", found)
        object.__setattr__(self, "dim", bank.shape[1])

    def __repr__(self) -> str:
        if self.file is not None:
            return f"Samples({self.file!r}, crc32={self.crc32!r})"
        return f"Samples(<{len(self.bank)} x {self.dim} points, crc32 {self.crc32}>)"

    @property
    def mean(self) -> torch.Tensor:
        return self.bank.double().mean(0).float()

    @property
    def covariance(self) -> torch.Tensor:
        """Of the bank as it is, a mean over its m points (not m - 1)."""
        off = self.bank.double() - self.bank.double().mean(0)
        return (off.T @ off / len(off)).float()

    @cached_property
    def _sorted(self) -> torch.Tensor:
        return self.bank[:, 0].double().sort().values

    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> torch.Tensor:
        rows = torch.randint(len(self.bank), (n,), generator=generator, device=device)
        return self.bank[rows.cpu()].to(device)

    def quantile(self, u: torch.Tensor) -> torch.Tensor:
        place = (u.cpu() * len(self.bank)).ceil().long() - 1
        return self._sorted[place.clamp(0, len(self.bank) - 1)].to(u)


def _read(path: str) -> np.ndarray:
    """The points of a .npy or .csv file."""
    kind = choice("prior's file ending", os.path.splitext(path)[1].lower(), [".npy", ".csv"])
    try:
        if kind == ".npy":
            return np.load(path, allow_pickle=False)
        with open(path, encoding="utf-8-sig") as file:
            names = any(not _is_number(word) for word in file.readline().split(","))
        return np.loadtxt(path, delimiter=",", ndmin=2, skiprows=int(names), encoding="utf-8-sig")
    except (ValueError, EOFError) as error:
        raise ValueError(f"prior's file {path!r} must hold one table of numbers: {error}") from error


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
