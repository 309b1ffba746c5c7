"""Scalar quantizers: each latent to one of a few levels, on a prior's support or fitted to training codes, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.evaluation.compression.entropy_coding import MOST
from sculptlab.validation import choice, number, whole
from sculptlab.validation import codes as valid_codes

LEVELS = ("box", "range", "quantile", "lloyd", "step")
ROOT_12 = 12**0.5  # the length of the interval on which the uniform density has unit variance
ROUNDS = 50  # of Lloyd's iteration
FINE_QUANTILES = 1000  # from which it starts
FINE = 65_535  # of a latent's range is the unit in which files list levels


@dataclass(frozen=True)
class Quantized:
    """What `quantize` makes of codes (n, d): `symbols` (n, d) int64, dequantized `values` (n, d), and the share `clamped`."""

    symbols: Tensor
    values: Tensor
    clamped: float


@dataclass(frozen=True, eq=False)
class Quantizer:
    """A latent becomes the number of the interval it lies in, and that number the interval's level, origin + unit * numbers.

    origin, unit (d,); numbers (d, m) whole, rising; edges (d, m - 1), the borders between intervals; low, high (d,): what lies
    outside counts as clamped and gets the first or last level. `box`, `grid` and `fit` make one.
    """

    origin: Tensor
    unit: Tensor
    numbers: Tensor
    edges: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def box(cls, dim: int, bits: int, low: float, high: float) -> Quantizer:
        """2^bits equal steps over [low, high], the support of a prior: nothing is fitted."""
        size = _size(bits)
        step = (number("high", high, above=number("low", low)) - low) / size
        return cls.grid(torch.full((whole("dim", dim),), low + step / 2), torch.full((dim,), step), size)

    @classmethod
    def grid(cls, origin: Tensor, unit: Tensor, size: int) -> Quantizer:
        """`size` levels origin + unit * (0, 1, ...) for each latent; origin and unit (d,)."""
        numbers = torch.arange(size).expand(len(origin), size)
        edges = origin[:, None] + unit[:, None] * (numbers[:, 1:] - 0.5)
        return cls(origin, unit, numbers, edges, origin - unit / 2, origin + unit * (size - 0.5))

    @classmethod
    def fit(cls, codes: Any, bits: int, levels: str = "range") -> Quantizer:
        """Levels for codes (n, d), the training codes.

        levels     "range": 2^bits equal steps from the least to the greatest code of each latent.
                   "quantile": 2^bits intervals with as many codes in each, the level their mean: symbols as uniform as can be.
                   "lloyd": the 2^bits levels of least squared error for each latent (Lloyd 1982): the best for symbols of fixed
                   length.
                   "step": one step for all latents, sqrt(12) * their root mean square standard deviation / 2^bits, levels at
                   the mean and on both sides as far as codes reach: the best, at high rate, for symbols that are entropy-coded,
                   where a latent of small spread then costs little or nothing.
        Levels of "quantile" and "lloyd" are rounded to 1 / 65,535 of their latent's range, as files store them.
        """
        z = valid_codes("codes", codes).detach().cpu().double()
        choice("levels", levels, LEVELS[1:])
        if levels == "step":
            return _stepped(z, _size(bits))
        low, high = z.min(0).values, z.max(0).values
        if levels == "range":
            step = (high - low).clamp_min(1e-12) / _size(bits)
            return cls.grid((low + step / 2).float(), step.float(), _size(bits))
        edges, centers = (_quantiles if levels == "quantile" else _lloyd)(_Columns.of(z), _size(bits))
        origin, unit = low.float(), ((high - low).clamp_min(1e-12) / FINE).float()
        numbers = ((centers - origin[:, None]) / unit[:, None]).round().clamp(0, FINE).long()
        return cls(origin, unit, numbers, edges.float(), low.float(), high.float())

    @property
    def levels(self) -> Tensor:
        """The levels (d, m), float32."""
        return self.origin[:, None] + self.unit[:, None] * self.numbers

    @property
    def size(self) -> int:
        """The number of levels m of each latent."""
        return self.numbers.shape[1]

    @property
    def dim(self) -> int:
        return self.numbers.shape[0]

    @property
    def even(self) -> bool:
        """Whether neighboring levels are one unit apart, so that a file need not list them."""
        return torch.equal(self.numbers, torch.arange(self.size).expand_as(self.numbers))

    def quantize(self, codes: Any) -> Quantized:
        """Symbols and dequantized values of codes (n, d), and the share of the n d codes outside [low, high]."""
        z = valid_codes("codes", codes, dim=self.dim, rows=1).detach().cpu().float()
        symbols = torch.searchsorted(self.edges, z.T.contiguous(), right=True).T
        outside = (z < self.low) | (z > self.high)
        return Quantized(symbols, self.dequantize(symbols), outside.double().mean().item())

    def dequantize(self, symbols: Any) -> Tensor:
        """The levels (n, d) float32 that symbols (n, d) stand for."""
        numbers = torch.as_tensor(symbols)
        if numbers.is_floating_point():
            raise TypeError(f"symbols must be whole numbers, got {numbers.dtype}")
        if numbers.ndim != 2 or numbers.shape[1] != self.dim:
            raise ValueError(f"symbols must have shape (n, {self.dim}), got {tuple(numbers.shape)}")
        if numbers.numel() and (numbers.min() < 0 or numbers.max() >= self.size):
            raise ValueError(f"symbols must lie in 0 ... {self.size - 1}, got {numbers.min()} ... {numbers.max()}")
        return levels_of(self.levels, numbers)


def quantize(codes: Any, bits: int, low: float, high: float) -> Quantized:
    """Codes (n, d) in 2^bits equal steps over [low, high], such as a uniform prior's support: step^2 / 12 of error within it.

    Codes outside get the nearest level; `clamped` is their share. Raises ValueError for bits outside 1 ... 12, low >= high, codes
    that are NaN or infinite.

    >>> quantize([[-1.0, 0.1], [5.0, 0.9]], 1, -1.0, 1.0).values
    tensor([[-0.5000,  0.5000],
            [ 0.5000,  0.5000]])
    """
    z = valid_codes("codes", codes, rows=1)
    return Quantizer.box(z.shape[1], bits, low, high).quantize(z)


def _size(bits: int) -> int:
    size = 2 ** whole("bits", bits)
    if size > MOST:
        raise ValueError(f"bits must be between 1 and {int(math.log2(MOST))}, got {bits}")
    return size


def levels_of(levels: Tensor, symbols: Tensor) -> Tensor:
    """Of levels (d, m) those that symbols (n, d) name, (n, d)."""
    return levels.gather(1, symbols.long().T).T.contiguous()


def _quantiles(columns: _Columns, size: int) -> tuple[Tensor, Tensor]:
    """Edges (d, size - 1) between as many codes each, and the intervals' means (d, size)."""
    n = columns.ordered.shape[1]
    edges = columns.ordered[:, torch.arange(1, size) * n // size].contiguous()
    return edges, columns.centers(edges)


def _lloyd(columns: _Columns, size: int) -> tuple[Tensor, Tensor]:
    """Edges and centers of least squared error: each center the mean of its interval, each edge midway between centers.

    Started where levels are as dense as density^(1/3), the optimum of many levels (Panter and Dite 1951): on fine quantiles of
    width w the density is as 1 / w, so each holds a share of the levels as w^(2/3).
    """
    dim, n = columns.ordered.shape
    marks = columns.ordered[:, torch.linspace(0, n - 1, 1 + min(FINE_QUANTILES, n - 1)).long()]
    share = torch.cat([torch.zeros(dim, 1), (marks.diff() + 1e-12).pow(2 / 3).cumsum(1)], 1)
    wanted = np.arange(1, size) / size
    edges = torch.stack(
        [torch.from_numpy(np.interp(wanted, s / s[-1], m)) for s, m in zip(share.numpy(), marks.numpy(), strict=True)]
    )
    for _ in range(ROUNDS):
        centers = columns.centers(edges)
        edges = (centers[:, 1:] + centers[:, :-1]) / 2
    return edges, columns.centers(edges)


@dataclass(frozen=True)
class _Columns:
    """Codes as columns that rise, `ordered` (d, n), and the running sums of each, `sums` (d, n + 1)."""

    ordered: Tensor
    sums: Tensor

    @classmethod
    def of(cls, codes: Tensor) -> _Columns:
        ordered = codes.T.sort(1).values.contiguous()
        return cls(ordered, torch.cat([torch.zeros(len(ordered), 1, dtype=ordered.dtype), ordered.cumsum(1)], 1))

    def centers(self, edges: Tensor) -> Tensor:
        """The mean of each interval's codes (d, m), or the middle of its borders where it has none; edges (d, m - 1)."""
        dim, n = self.ordered.shape
        ends = torch.searchsorted(self.ordered, edges)
        ends = torch.cat([torch.zeros(dim, 1, dtype=ends.dtype), ends, torch.full((dim, 1), n)], 1)
        counts = ends.diff()
        borders = torch.cat([self.ordered[:, :1], edges, self.ordered[:, -1:]], 1)
        means = self.sums.gather(1, ends).diff() / counts.clamp_min(1)
        return torch.where(counts > 0, means, (borders[:, 1:] + borders[:, :-1]) / 2)


def _stepped(codes: Tensor, size: int) -> Quantizer:
    """One step for all latents; as many levels for each as the furthest code of any needs."""
    mean = codes.mean(0)
    step = ROOT_12 * codes.var(0).mean().sqrt().clamp_min(1e-12).item() / size
    furthest = (codes - mean) / step
    first, last = (math.floor(furthest.min().item() + 0.5), math.floor(furthest.max().item() + 0.5))
    if last - first >= MOST:
        raise ValueError(f"bits must be fewer: codes that reach this far need {last - first + 1} levels, more than {MOST}")
    dim = len(mean)
    return Quantizer.grid((mean + first * step).float(), torch.full((dim,), step), last - first + 1)
