"""Scalar quantizers: each latent is replaced by one of a few levels, on a prior's support or fitted to training codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from sculptlab.validation import choice, number, whole
from sculptlab.validation import codes as valid_codes

LEVELS = ("box", "range", "quantile", "lloyd", "step")
MOST_BITS = 12
FINE = 65_535  # files list fitted levels in two bytes each, as multiples of this share of the latent's range
LEAST_RANGE = 1e-12  # stands for the range of a latent that does not vary


class Quantized(NamedTuple):
    """Quantized codes.

    Attributes
    ----------
    symbols, values : Tensor of shape (n, d)
        The numbers of the codes' levels, int64, and the levels themselves, float32.
    clamped : float
        The share of codes outside the quantizer's range, which get its first or last level.
    """

    symbols: Tensor
    values: Tensor
    clamped: float


@dataclass(frozen=True, eq=False)
class Quantizer:
    """Levels for each of d latents. `box` and `fit` make one.

    Parameters
    ----------
    origin, unit, numbers : Tensor of shape (d,), (d,) and (d, m)
        The m levels of a latent are origin + unit * numbers. The numbers are whole and rise.
    edges : Tensor of shape (d, m - 1)
        The borders between the intervals that the levels stand for.
    low, high : Tensor of shape (d,)
        The range. Codes outside count as clamped.

    Examples
    --------
    >>> Quantizer.box(dim=2, bits=1, low=-1.0, high=1.0).quantize([[-1.0, 0.1], [5.0, 0.9]]).values
    tensor([[-0.5000,  0.5000],
            [ 0.5000,  0.5000]])
    """

    origin: Tensor
    unit: Tensor
    numbers: Tensor
    edges: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def box(cls, dim: int, bits: int, low: float, high: float) -> Quantizer:
        """2^bits equal steps from `low` to `high`, such as a prior's support, for each of `dim` latents; 1 to 12 bits.

        The mean squared error of codes spread evenly over the range is step^2 / 12.
        """
        size = _size(bits)
        step = (number("high", high, above=number("low", low)) - low) / size
        unit = torch.full((whole("dim", dim),), step, device="cpu", dtype=torch.float32)
        return cls._grid(torch.full_like(unit, low + step / 2), unit, size)

    @classmethod
    def fit(cls, codes: Any, bits: int, levels: str = "range") -> Quantizer:
        """Fit 2^bits levels, 1 to 12 bits, to training codes (n, d).

        Parameters
        ----------
        levels : {"range", "quantile", "lloyd", "step"}
            "range": equal steps from the least to the greatest code of each latent.
            "quantile": intervals that hold equally many codes; the level is their mean. The symbols are nearly uniform.
            "lloyd": the levels of least squared error for each latent (Lloyd 1982). Best for symbols of fixed length.
            "step": one step for all latents, sqrt(12 * mean variance) / 2^bits, and as many levels as the codes need. At high
            rates it is best for entropy-coded symbols: a latent of small spread then costs little or nothing.
        """
        z = valid_codes("codes", codes).detach().cpu().double()
        choice("levels", levels, LEVELS[1:])
        size = _size(bits)
        low, high = z.min(0).values, z.max(0).values
        extent = (high - low).clamp_min(LEAST_RANGE)
        if levels == "range":
            return cls._grid((low + extent / size / 2).float(), (extent / size).float(), size)
        if levels == "step":  # a uniform density's length is sqrt(12) standard deviations
            mean = z.mean(0)
            step = math.sqrt(12) * z.var(0).mean().sqrt().clamp_min(LEAST_RANGE).item() / size
            first = int(((low - mean) / step + 0.5).floor().min())
            if (needed := int(((high - mean) / step + 0.5).floor().max()) - first + 1) > 2**MOST_BITS:
                raise ValueError(f"bits must be fewer: codes that reach this far need {needed} levels, more than {2**MOST_BITS}")
            return cls._grid((mean + first * step).float(), torch.full_like(mean, step).float(), needed)
        edges, centers = _fitted_levels(z.T.sort(1).values.contiguous(), size, optimal=levels == "lloyd")
        origin, unit = low.float(), (extent / FINE).float()
        numbers = ((centers - origin[:, None]) / unit[:, None]).round().clamp(0, FINE).long()
        return cls(origin, unit, numbers, edges.float(), low.float(), high.float())

    @classmethod
    def _grid(cls, origin: Tensor, unit: Tensor, size: int) -> Quantizer:
        """Equally spaced levels origin + unit * (0, 1, ..., size - 1)."""
        numbers = torch.arange(size, device="cpu").expand(len(origin), size)
        edges = origin[:, None] + unit[:, None] * (numbers[:, 1:] - 0.5)
        return cls(origin, unit, numbers, edges, origin - unit / 2, origin + unit * (size - 0.5))

    @property
    def levels(self) -> Tensor:
        """The levels (d, m), float32."""
        return self.origin[:, None] + self.unit[:, None] * self.numbers

    def quantize(self, codes: Any) -> Quantized:
        """Replace codes (n, d) by their levels."""
        z = valid_codes("codes", codes, dim=len(self.numbers), rows=1).detach().cpu().float()
        symbols = torch.searchsorted(self.edges, z.T.contiguous(), right=True)
        outside = (z < self.low) | (z > self.high)
        return Quantized(symbols.T, self.levels.gather(1, symbols).T.contiguous(), outside.double().mean().item())


def _size(bits: int) -> int:
    """The number of levels, 2^bits."""
    if (bits := whole("bits", bits)) > MOST_BITS:
        raise ValueError(f"bits must be between 1 and {MOST_BITS}, got {bits}")
    return 2**bits


def _fitted_levels(ordered: Tensor, size: int, *, optimal: bool) -> tuple[Tensor, Tensor]:
    """Edges (d, size - 1) and centers (d, size) of intervals of sorted codes (d, n); a center is the mean of its interval.

    The intervals hold equally many codes, or if `optimal` have the least squared error, by Lloyd's iteration: each edge midway
    between two centers. It starts where many levels are best, as dense as density^(1/3) (Panter and Dite 1951). Between fine
    quantiles of distance w the density is as 1 / w, so each such gap gets a share of the levels as w^(2/3).
    """
    n = ordered.shape[1]
    edges = ordered[:, torch.arange(1, size, device="cpu") * n // size].contiguous()
    if optimal:
        quantiles = ordered[:, torch.linspace(0, n - 1, 1 + min(1000, n - 1), device="cpu", dtype=torch.float32).long()]
        share = pad((quantiles.diff() + 1e-12).pow(2 / 3).cumsum(1), (1, 0)).numpy()
        wanted = np.arange(1, size) / size
        starts = [np.interp(wanted, s / s[-1], at) for s, at in zip(share, quantiles.numpy(), strict=True)]
        edges = torch.from_numpy(np.stack(starts))
        for _ in range(50):
            centers = _interval_means(ordered, edges)
            edges = (centers[:, 1:] + centers[:, :-1]) / 2
    return edges, _interval_means(ordered, edges)


def _interval_means(ordered: Tensor, edges: Tensor) -> Tensor:
    """The mean (d, m) of the sorted codes (d, n) in each interval, or its middle where it has none; edges (d, m - 1)."""
    ends = pad(torch.searchsorted(ordered, edges), (1, 1))
    ends[:, -1] = ordered.shape[1]
    counts, sums = ends.diff(), pad(ordered.cumsum(1), (1, 0)).gather(1, ends).diff()
    borders = torch.cat([ordered[:, :1], edges, ordered[:, -1:]], 1)
    return torch.where(counts > 0, sums / counts.clamp_min(1), (borders[:, 1:] + borders[:, :-1]) / 2)
