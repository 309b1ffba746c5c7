"""Invertible maps between codes and normally distributed codes, and chains of them."""

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn


class Map(nn.Module):
    """An invertible map of codes (n, d): `forward` leads towards the standard normal distribution, `inverse` back.

    `context` (n, k) is what a map may depend on beside the codes, such as a label as a one-hot vector.
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The mapped codes (n, r), and the logarithm (n,) of the factor by which the map stretches volume there."""
        raise NotImplementedError

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The codes (n, d) that `forward` maps to `z` (n, r)."""
        raise NotImplementedError


class Chain(Map):
    """Maps one after another: the first one is applied to the codes first."""

    def __init__(self, maps: Sequence[Map]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        stretched = x.new_zeros(len(x))
        for one in self.maps:
            x, more = one(x, context)
            stretched = stretched + more
        return x, stretched

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        for one in reversed(self.maps):
            z = cast(Map, one).inverse(z, context)
        return z


class Blocks(Map):
    """Maps side by side: each maps its own columns, of which there are `sizes`; none of them sees the columns of another."""

    def __init__(self, maps: Sequence[Map], sizes: Sequence[int]) -> None:
        super().__init__()
        self.maps, self.sizes = nn.ModuleList(maps), list(sizes)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        parts = [one(part, context) for one, part in zip(self.maps, x.split(self.sizes, 1), strict=True)]
        return torch.cat([z for z, _ in parts], 1), torch.stack([stretched for _, stretched in parts]).sum(0)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        pairs = zip(self.maps, z.split(self.sizes, 1), strict=True)
        return torch.cat([cast(Map, one).inverse(part, context) for one, part in pairs], 1)


class Linear(Map):
    """z = (x - mean) matrix, with a mean (d,) and an invertible matrix (d, d)."""

    mean: Tensor
    matrix: Tensor
    inverse_matrix: Tensor

    def __init__(self, mean: Tensor, matrix: Tensor) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("matrix", matrix), ("inverse_matrix", torch.linalg.inv(matrix))):
            self.register_buffer(name, value)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (x - self.mean) @ self.matrix, torch.linalg.slogdet(self.matrix)[1].expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z @ self.inverse_matrix + self.mean

    @classmethod
    def whitening(cls, x: Tensor) -> "Linear":
        """The map that gives `x` (n, d) mean 0 and covariance I, and moves the standardized columns as little as possible.

        The matrix is diag(s)^-1 R^-1/2 for standard deviations s and the correlation matrix R (Kessy et al. 2018, ZCA-cor).
        """
        mean, std = x.mean(0), x.std(0, correction=0)
        standardized = (x - mean) / std
        values, vectors = torch.linalg.eigh(standardized.T @ standardized / len(x))
        return cls(mean, (vectors / values.sqrt()) @ vectors.T / std[:, None])


class HeavyTails(Map):
    """Makes heavy-tailed columns nearly normal: z = Phi^-1(F((x - median) / scale)) with F of the Cauchy distribution.

    F is a smooth function of known inverse, and it grows like the tails of the heaviest usual distribution. `heavy` (d,) marks
    the columns; all others stay as they are.
    """

    median: Tensor
    scale: Tensor
    heavy: Tensor

    def __init__(self, median: Tensor, scale: Tensor, heavy: Tensor) -> None:
        super().__init__()
        for name, value in (("median", median), ("scale", scale), ("heavy", heavy)):
            self.register_buffer(name, value)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        t = (x - self.median) / self.scale
        tail = torch.where(t.abs() < 1, 0.5 - t.abs().atan() / torch.pi, t.abs().clamp(min=1).reciprocal().atan() / torch.pi)
        z = torch.where(t < 0, 1, -1) * torch.special.ndtri(tail)
        stretched = -(torch.pi * (1 + t * t) * self.scale).log() + 0.5 * (z * z + math.log(2 * math.pi))
        return torch.where(self.heavy, z, x), torch.where(self.heavy, stretched, 0).sum(1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        tail = torch.special.ndtr(-z.abs())
        t = z.sign() * (torch.pi * tail).tan().reciprocal()
        return torch.where(self.heavy, self.median + self.scale * torch.where(z == 0, 0, t), z)


class Columns(Map):
    """Some columns of the codes; the others are an affine function of them, by which `inverse` restores them.

    Parameters
    ----------
    kept, other : list of int
        Positions of the columns that are kept (r of them), and of the others.
    coefficients, offset : Tensor of shape (r, d - r) and (d - r,)
        The affine function.
    """

    coefficients: Tensor
    offset: Tensor

    def __init__(self, kept: list[int], other: list[int], coefficients: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.kept, self.other = kept, other
        self.register_buffer("coefficients", coefficients)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if x.shape[1] != len(self.kept) + len(self.other):
            raise ValueError(f"codes must have the {len(self.kept) + len(self.other)} column(s) of the fit, got {x.shape[1]}")
        return x[:, self.kept], x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        order = torch.tensor(self.kept + self.other, dtype=torch.int64, device=z.device).argsort()
        return torch.cat([z, z @ self.coefficients + self.offset], 1)[:, order]

    @classmethod
    def independent(cls, x: Tensor, tolerance: float = 1e-9) -> "Columns":
        """The columns of `x` (n, d) that are no affine function of those before them.

        A column is one if what the earlier columns leave of its variance is at most the share `tolerance`. A constant is one.
        """
        constant = x.amax(0) == x.amin(0)
        mean, std = x.mean(0), torch.where(constant, 1, x.std(0, correction=0))
        standardized = (x - mean) / std
        r = (standardized.T @ standardized / len(x)).cpu()
        lower, kept = torch.zeros_like(r), list[int]()
        for j in range(len(r)):  # a Cholesky factorization that leaves out what is dependent
            row = lower[:j].new_zeros(len(kept))
            for k, i in enumerate(kept):
                row[k] = (r[j, i] - row[:k] @ lower[i, :k]) / lower[i, k]
            left = r[j, j] - row @ row
            if not constant[j] and left > tolerance:
                lower[j, : len(kept)], lower[j, len(kept)] = row, left.sqrt()
                kept.append(j)
        other = [j for j in range(len(r)) if j not in kept]
        coefficients = torch.linalg.solve(r[kept][:, kept], r[kept][:, other]).to(x) / std[kept][:, None] * std[other]
        return cls(kept, other, coefficients, mean[other] - mean[kept] @ coefficients)


class Choice(Map):
    """One of several maps for each row: the one whose number is the largest entry of the row's `context` (n, k)."""

    def __init__(self, maps: Sequence[Map]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, stretched = torch.empty_like(x), x.new_empty(len(x))
        for rows, one in self._rows(context):
            z[rows], stretched[rows] = one(x[rows])
        return z, stretched

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x = torch.empty_like(z)
        for rows, one in self._rows(context):
            x[rows] = one.inverse(z[rows])
        return x

    def _rows(self, context: Tensor | None) -> Iterator[tuple[Tensor, Map]]:
        which = cast(Tensor, context).argmax(1)
        return ((which == i, cast(Map, one)) for i, one in enumerate(self.maps))
