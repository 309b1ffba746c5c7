"""Points as a prior: an array of them, a file, the codes of another model."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Prior
from sculptlab.priors.parameters import Moments, checksum, weighted_moments
from sculptlab.priors.sampling import Device
from sculptlab.validation import choice, codes, finite


@dataclass(frozen=True, eq=False)
class Samples(Prior):
    """The empirical distribution of points: rows drawn with replacement; the covariance divides by m.

    The repr names a file, so that it can be pasted back; of an array it only tells size and checksum.

    Parameters
    ----------
    bank : array_like of shape (m, dim), or path
        The points, such as another model's codes; or a file of them: .npy, or .csv with or without a line of column names.
    crc32 : str, optional
        Checksum of the points, as the repr shows it; raises ValueError where it differs.
    """

    dim: int = field(init=False)
    bank: Any
    crc32: str | None = field(default=None, kw_only=True)
    file: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        file = os.fspath(self.bank) if isinstance(self.bank, str | os.PathLike) else None
        points = codes("prior", self.bank if file is None else _table(file)).detach().float().cpu().clone()
        finite("prior", points)  # again, since large numbers are infinite in float32
        crc32 = checksum("prior", points.numpy().tobytes(), self.crc32)
        vars(self).update(dim=points.shape[1], bank=points, crc32=crc32, file=file)

    def __repr__(self) -> str:
        if self.file is not None:
            return f"Samples({self.file!r}, crc32={self.crc32!r})"
        return f"Samples(<{len(self.bank)} x {self.dim} points, crc32 {self.crc32}>)"

    def _moments(self) -> Moments:
        return weighted_moments(self.bank.double(), torch.full((len(self.bank),), 1 / len(self.bank), dtype=torch.float64))

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        rows = torch.randint(len(self.bank), (n,), generator=generator, device=device)
        return self.bank[rows.cpu()].to(device)

    @cached_property
    def _sorted(self) -> Tensor:
        return self.bank[:, 0].double().sort().values

    def _quantile(self, u: Tensor) -> Tensor:
        position = (u.cpu() * len(self.bank)).ceil().long() - 1
        return self._sorted[position.clamp(0, len(self.bank) - 1)].to(u)


def _table(path: str) -> np.ndarray:
    """The points of a .npy or .csv file."""
    ending = choice("prior's file ending", os.path.splitext(path)[1].lower(), [".npy", ".csv"])
    try:
        if ending == ".npy":
            return np.load(path, allow_pickle=False)
        try:
            return np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")
        except ValueError:  # the first line holds names
            return np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig", skiprows=1)
    except (ValueError, EOFError) as error:
        raise ValueError(f"prior's file {path!r} must hold one table of numbers: {error}") from error
