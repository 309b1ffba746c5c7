"""Scalar quantizers: each latent is replaced by one of a few levels, on a prior's support or fitted to training codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sculptlab.evaluation.compression.entropy_coding import MOST_SYMBOLS, valid_symbols
from sculptlab.validation import choice, number, whole
from sculptlab.validation import codes as valid_codes

LEVELS = ("box", "range", "quantile", "lloyd", "step")
FINE = 65_535  # files list fitted levels in two bytes each, as multiples of this share of the latent's range
LEAST_RANGE = 1e-12  # stands for the range of a latent that does not vary


class Quantized(NamedTuple):
    """Quantized codes.

    Attributes
    ----------
    symbols : Tensor of shape (n, d), int64
        The number of each code's level.
    values : Tensor of shape (n, d), float32
        The levels themselves.
    clamped : float
        The share of codes outside the quantizer's range, which get its first or last level.
    """

    symbols: Tensor
    values: Tensor
    clamped: float


@dataclass(frozen=True, eq=False)
class Quantizer:
    """Levels for each of d latents, origin + unit * numbers. `box` and `fit` make one.

    Parameters
    ----------
    origin, unit : Tensor of shape (d,)
        The units of a latent's levels.
    numbers : Tensor of shape (d, m)
        The levels in these units: whole, rising.
    edges : Tensor of shape (d, m - 1)
        The borders between the intervals that the levels stand for.
    low, high : Tensor of shape (d,)
        The range. Codes outside count as clamped.
    """

    origin: Tensor
    unit: Tensor
    numbers: Tensor
    edges: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def box(cls, dim: int, bits: int, low: float, high: float) -> Quantizer:
        """2^bits equal steps from `low` to `high`, such as the support of a prior, for each of `dim` latents."""
        size = _size(bits)
        step = (number("high", high, above=number("low", low)) - low) / size
        return cls._grid(torch.full((whole("dim", dim),), low + step / 2), torch.full((dim,), step), size)

    @classmethod
    def fit(cls, codes: Any, bits: int, levels: str = "range") -> Quantizer:
        """Fit levels to training codes.

        Parameters
        ----------
        codes : array_like of shape (n, d)
        bits : int
            1 to 12; each latent gets 2^bits levels, those of "step" aside.
        levels : {"range", "quantile", "lloyd", "step"}
            "range": equal steps from the least to the greatest code of each latent.
            "quantile": intervals that hold equally many codes; the level is their mean. The symbols are nearly uniform.
            "lloyd": the levels of least squared error for each latent. Best for symbols of fixed length.
            "step": one step for all latents, sqrt(12 * mean variance) / 2^bits, and as many levels as the codes need. At high
            rates it is best for entropy-coded symbols: a latent of small spread then costs little or nothing.

        Returns
        -------
        Quantizer
            Its levels of "quantile" and "lloyd" are rounded to 1 / 65,535 of their latent's range, as files store them.

        References
        ----------
        Lloyd 1982, IEEE Transactions on Information Theory 28.
        """
        z = valid_codes("codes", codes).detach().cpu().double()
        choice("levels", levels, LEVELS[1:])
        size = _size(bits)
        if levels == "step":
            return cls._common_step(z, size)
        low, high = z.min(0).values, z.max(0).values
        extent = (high - low).clamp_min(LEAST_RANGE)
        if levels == "range":
            return cls._grid((low + extent / size / 2).float(), (extent / size).float(), size)
        edges, centers = _fitted_levels(z.T.sort(1).values.contiguous(), size, optimal=levels == "lloyd")
        origin, unit = low.float(), (extent / FINE).float()
        numbers = ((centers - origin[:, None]) / unit[:, None]).round().clamp(0, FINE).long()
        return cls(origin, unit, numbers, edges.float(), low.float(), high.float())

    @classmethod
    def _common_step(cls, z: Tensor, size: int) -> Quantizer:
        """One step for all latents; each latent has as many levels as the farthest code of any needs."""
        mean = z.mean(0)
        step = math.sqrt(12) * z.var(0).mean().sqrt().clamp_min(LEAST_RANGE).item() / size  # a uniform density's length is
        steps = ((z - mean) / step + 0.5).floor()  # sqrt(12) standard deviations
        first, last = int(steps.min()), int(steps.max())
        if last - first >= MOST_SYMBOLS:
            raise ValueError(
                f"bits must be fewer: codes that reach this far need {last - first + 1} levels, more than {MOST_SYMBOLS}"
            )
        return cls._grid((mean + first * step).float(), torch.full_like(mean, step).float(), last - first + 1)

    @classmethod
    def _grid(cls, origin: Tensor, unit: Tensor, size: int) -> Quantizer:
        """Equally spaced levels origin + unit * (0, 1, ..., size - 1)."""
        numbers = torch.arange(size).expand(len(origin), size)
        edges = origin[:, None] + unit[:, None] * (numbers[:, 1:] - 0.5)
        return cls(origin, unit, numbers, edges, origin - unit / 2, origin + unit * (size - 0.5))

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
        """The number of latents d."""
        return self.numbers.shape[0]

    @property
    def equally_spaced(self) -> bool:
        """Whether neighboring levels are one unit apart, so that a file need not list them."""
        return torch.equal(self.numbers, torch.arange(self.size).expand_as(self.numbers))

    def quantize(self, codes: Any) -> Quantized:
        """Replace codes by their levels.

        Parameters
        ----------
        codes : array_like of shape (n, d)

        Returns
        -------
        Quantized
        """
        z = valid_codes("codes", codes, dim=self.dim, rows=1).detach().cpu().float()
        symbols = torch.searchsorted(self.edges, z.T.contiguous(), right=True).T
        outside = (z < self.low) | (z > self.high)
        return Quantized(symbols, self.dequantize(symbols), outside.double().mean().item())

    def dequantize(self, symbols: Any) -> Tensor:
        """Look up the levels that symbols stand for.

        Parameters
        ----------
        symbols : array_like of int, shape (n, d)
            Numbers of levels, from 0 to m - 1.

        Returns
        -------
        Tensor of shape (n, d), float32
        """
        rows = torch.from_numpy(valid_symbols(symbols, self.size, self.dim)).long()
        return self.levels.gather(1, rows.T).T.contiguous()


def quantize(codes: Any, bits: int, low: float, high: float) -> Quantized:
    """Quantize codes to 2^bits equal steps over [low, high], such as a uniform prior's support.

    The mean squared error of codes spread evenly over the range is step^2 / 12.

    Parameters
    ----------
    codes : array_like of shape (n, d)
        Codes, samples first. Those outside the range get the nearest level.
    bits : int
        1 to 12.
    low, high : float
        The range, low < high.

    Returns
    -------
    Quantized

    Examples
    --------
    >>> quantize([[-1.0, 0.1], [5.0, 0.9]], 1, -1.0, 1.0).values
    tensor([[-0.5000,  0.5000],
            [ 0.5000,  0.5000]])
    """
    z = valid_codes("codes", codes, rows=1)
    return Quantizer.box(z.shape[1], bits, low, high).quantize(z)


def _size(bits: int) -> int:
    size = 2 ** whole("bits", bits)
    if size > MOST_SYMBOLS:
        raise ValueError(f"bits must be between 1 and {int(math.log2(MOST_SYMBOLS))}, got {bits}")
    return size


def _fitted_levels(ordered: Tensor, size: int, *, optimal: bool) -> tuple[Tensor, Tensor]:
    """Edges (d, size - 1) and centers (d, size) of intervals of sorted codes (d, n); a center is the mean of its interval.

    The intervals hold equally many codes, or if `optimal` have the least squared error, by Lloyd's iteration: each edge midway
    between two centers. It starts where many levels are best, as dense as density^(1/3) (Panter and Dite 1951). Between fine
    quantiles of distance w the density is as 1 / w, so each such gap gets a share of the levels as w^(2/3).
    """
    dim, n = ordered.shape
    if not optimal:
        edges = ordered[:, torch.arange(1, size) * n // size].contiguous()
        return edges, _interval_means(ordered, edges)
    quantiles = ordered[:, torch.linspace(0, n - 1, 1 + min(1000, n - 1)).long()]
    share = torch.cat([torch.zeros(dim, 1), (quantiles.diff() + 1e-12).pow(2 / 3).cumsum(1)], 1).numpy()
    wanted = np.arange(1, size) / size
    starts = [np.interp(wanted, s / s[-1], at) for s, at in zip(share, quantiles.numpy(), strict=True)]
    edges = torch.from_numpy(np.stack(starts))
    for _ in range(50):
        centers = _interval_means(ordered, edges)
        edges = (centers[:, 1:] + centers[:, :-1]) / 2
    return edges, _interval_means(ordered, edges)


def _interval_means(ordered: Tensor, edges: Tensor) -> Tensor:
    """The mean (d, m) of the sorted codes (d, n) in each interval, or its middle where it has none; edges (d, m - 1)."""
    dim, n = ordered.shape
    ends = torch.searchsorted(ordered, edges)
    ends = torch.cat([torch.zeros(dim, 1, dtype=ends.dtype), ends, torch.full((dim, 1), n)], 1)
    counts = ends.diff()
    sums = torch.cat([torch.zeros(dim, 1, dtype=ordered.dtype), ordered.cumsum(1)], 1)
    borders = torch.cat([ordered[:, :1], edges, ordered[:, -1:]], 1)
    means = sums.gather(1, ends).diff() / counts.clamp_min(1)
    return torch.where(counts > 0, means, (borders[:, 1:] + borders[:, :-1]) / 2)
