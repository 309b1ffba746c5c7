"""Codes beside the known factors: checked and drawn rows, the factors' classes, and perfect and noise codes to compare with."""

import math
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from sculptlab.columns import standardize
from sculptlab.validation import as_seed, choice, describe, items, named_codes, only_array, whole

BINNINGS = {"width": "equal-width", "quantile": "quantile"}
LEAST_ROWS = 20
ROUNDING = 1e-12  # a column whose range is below this share of its largest value is constant up to rounding


@dataclass(frozen=True)
class FactorRows:
    """n rows of codes (n, d) and of the k factors that vary, as values and as classes 0, 1, ..., both (n, k).

    The first `train` rows are for fitting, the others for testing. `names` (k,) are the factors' and `dimensions` the codes'
    column names; `continuous` (k,) marks the factors whose classes are bins; `left_out` names the factors with a single value.
    """

    codes: np.ndarray
    values: np.ndarray
    classes: np.ndarray
    names: np.ndarray
    dimensions: pd.Index
    continuous: np.ndarray
    left_out: list[str]
    train: int
    bins: int
    seed: int

    @property
    def active(self) -> np.ndarray:
        """Which dimensions vary, (d,)."""
        return np.ptp(self.codes, axis=0) > 0

    @property
    def size(self) -> dict[str, int]:
        """Numbers of training and test rows, or of all rows if none are for testing."""
        n = len(self.codes)
        return {"train": self.train, "test": n - self.train} if self.train < n else {"n": n}

    def perfect(self, filler: str, by_value: bool) -> "FactorRows":
        """The same rows with codes that are the standardized factors, and filler up to d dimensions where d > k.

        A factor enters by the rank of its value; a continuous one, or any if `by_value`, by the value itself. Filler is
        Gaussian "noise" or "constant".
        """
        by_rank = ~self.continuous & (not by_value)
        given = standardized(np.where(by_rank, self.classes.astype(float), self.values))
        spare = np.random.default_rng([self.seed, 1]).normal(size=(len(given), max(0, self.codes.shape[1] - given.shape[1])))
        codes = np.concatenate([given, spare if filler == "noise" else 0 * spare], axis=1)
        return replace(self, codes=codes, dimensions=pd.RangeIndex(codes.shape[1]))

    def noise(self) -> "FactorRows":
        """The same rows with independent Gaussian noise as codes."""
        return replace(self, codes=np.random.default_rng([self.seed, 2]).normal(size=self.codes.shape))


def draw_factor_rows(
    codes: Any,
    factors: Any,
    *,
    train: int | None = 10_000,
    test: int | None = 5_000,
    bins: int = 20,
    binning: str = "width",
    continuous: Collection[Any] | None = None,
    seed: int = 0,
    least_factors: int = 1,
) -> FactorRows:
    """Check codes and factors, draw `train` + `test` rows by `seed`, and turn each factor into classes.

    The package docstring describes the arguments. `train` = None uses all rows in their order, `test` = None has no test rows.
    """
    seed = as_seed("seed", seed)
    first, dimensions = named_codes("codes", codes, rows=LEAST_ROWS)
    second, labels = named_codes("factors", factors, rows=LEAST_ROWS)
    z, y = (tensor.detach().cpu().double().numpy() for tensor in (first, second))
    n = len(z)
    if n != len(y):
        raise ValueError(f"codes and factors must have the same number of rows, got {n} and {len(y)}")
    train = whole("train", n if train is None else train, least=2)
    held_out = 0 if test is None else whole("test", test)
    if train + held_out < LEAST_ROWS:
        raise ValueError(f"train + test must be at least {LEAST_ROWS} rows, got {train} + {held_out}")
    whole("bins", bins, least=2)
    choice("binning", binning, BINNINGS)
    rng = np.random.default_rng(seed)
    if held_out or n > train:
        drawn = rng.permutation(n)[: train + held_out]
        z, y = z[drawn], y[drawn]
    z = np.where(np.ptp(z, axis=0) <= ROUNDING * np.abs(z).max(0), 0.0, z)
    y = np.stack([_without_rounding(column) for column in y.T], axis=1)
    prefix = "" if hasattr(only_array("factors", factors), "columns") else "factor "
    names = np.array([f"{prefix}{label}" for label in labels], dtype=object)
    wide = np.array([_is_continuous(column, bins) for column in y.T]) if continuous is None else _listed(continuous, labels)
    varies = np.ptp(y, axis=0) > 0
    if varies.sum() < least_factors:
        found = f"{varies.sum()} of {names.tolist()}"
        raise ValueError(f"factors must hold at least {least_factors} that take two or more values, got {found}")
    y, wide = y[:, varies], wide[varies]
    columns = [into_bins(column, bins, binning) if cut else column for column, cut in zip(y.T, wide, strict=True)]
    return FactorRows(
        codes=z,
        values=y,
        classes=np.stack([np.unique(column, return_inverse=True)[1] for column in columns], axis=1),
        names=names[varies],
        dimensions=pd.Index(dimensions, name="dimension"),
        continuous=wide,
        left_out=names[~varies].tolist(),
        train=min(max(1, round(n * train / (train + held_out))), train, len(z) - (held_out > 0)),
        bins=bins,
        seed=seed,
    )


def clipped(columns: np.ndarray) -> np.ndarray:
    """Each column (n >= 3) with the outermost 0.1 % of its rows, at least one, at either end moved to the next value."""
    tail = math.ceil(1e-3 * len(columns))
    low, high = np.partition(columns, (tail, len(columns) - 1 - tail), axis=0)[[tail, -1 - tail]]
    return columns.clip(low, high)


def deviations(columns: np.ndarray) -> np.ndarray:
    """Standard deviation of each column, (d,), exactly 0 if it is constant."""
    largest = np.abs(columns).max(0)
    scaled = columns / np.where(largest > 0, largest, 1)  # the squares of very small numbers would be 0
    return np.where(np.ptp(columns, axis=0) > ROUNDING * largest, largest * scaled.std(0), 0.0)


def active_dimensions(codes: np.ndarray, prune: float, spread: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Which dimensions vary and have at least `prune` of the largest `spread` of clipped codes, (d,)."""
    spreads = spread(clipped(codes))
    return (np.ptp(codes, axis=0) > 0) & (spreads >= prune * spreads.max())


def standardized(columns: np.ndarray) -> np.ndarray:
    """`sculptlab.columns.standardize` for arrays."""
    return standardize(torch.from_numpy(columns)).numpy()


def into_bins(column: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """The bin of each value; equal values share one. Bins have equal "width", or hold equally many rows ("quantile")."""
    if binning == "width":
        return np.searchsorted(np.linspace(column.min(), column.max(), bins + 1)[1:-1], column, side="right")
    inner = np.unique(np.quantile(column, np.arange(1, bins) / bins, method="inverted_cdf"))
    if inner[0] == column.max() > column.min():
        inner = column[column < column.max()].max(keepdims=True)  # nearly all values tie at the top: two bins
    # An edge belongs to the bin below it; otherwise the smallest of a few values would not get a bin of its own.
    return np.searchsorted(inner, column, side="left")


def _is_continuous(column: np.ndarray, bins: int) -> bool:
    """Whether a factor is continuous by default, as the package docstring says."""
    n, distinct = len(column), len(np.unique(column))
    many, few_rows = distinct > 100, n < 5 * distinct
    if (column == np.round(column)).all():
        return distinct > bins and (n < 2 * distinct or (many and few_rows))
    return distinct > bins and (many or few_rows)


def _listed(continuous: Collection[Any], labels: list[Any]) -> np.ndarray:
    """Which factors `continuous` lists, (k,)."""
    if isinstance(continuous, str) or not isinstance(continuous, Collection):
        raise TypeError(f"continuous must be None or a sequence of factor names or numbers, got {describe(continuous)}")
    listed = items("continuous", continuous)
    for entry in listed:
        if isinstance(entry, bool) or not isinstance(entry, Hashable) or entry not in labels:
            raise ValueError(f"continuous must list some of {labels}, got {describe(entry)}")
    return np.array([label in listed for label in labels])


def _without_rounding(column: np.ndarray) -> np.ndarray:
    """A factor in which values closer than a millionth of its range, as single precision leaves them, become one value.

    Whole numbers have no rounding error and stay as they are, as do values so dense that a chain of them spans more.
    """
    if (column == np.round(column)).all():
        return column
    if np.ptp(column) <= ROUNDING * np.abs(column).max():
        return np.full_like(column, column.min())
    span = np.ptp(clipped(column)) or np.ptp(column)
    values, place = np.unique(column, return_inverse=True)
    chain = np.cumsum(np.diff(values, prepend=values[0]) > 1e-6 * span)
    least = values[np.searchsorted(chain, chain)]
    most = values[np.searchsorted(chain, chain, side="right") - 1]
    return np.where(most - least <= 1e-6 * span, least, values)[place]
