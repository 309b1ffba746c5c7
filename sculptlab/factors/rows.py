"""Codes beside the factors they should hold: read, drawn, split, and the two sets of codes every score is compared with."""

import math
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sculptlab.validation import as_tensor, choice, whole
from sculptlab.validation import codes as checked

BINNINGS = ("width", "quantile")
FEWEST_ROWS = 20  # fewer make a score of chance alone
CLASSES_AT_MOST = 100  # distinct values above which a factor of fractions is taken to be continuous
CLASS_ROWS = 5  # rows per value below which it is, too; whole numbers must fail both
SAME = 1e-6  # of a factor's range: values that are closer are one value, written with rounding of single precision or less
TAIL = 1e-3  # of the rows at either end of a dimension have no say in how wide it is
LARGEST = 1e70  # fourth powers of anything larger leave float64
ROUNDING = 1e-12  # of a dimension's largest value: a spread below it is arithmetic, not code


@dataclass(frozen=True)
class Rows:
    """n rows of codes (n, d) and of the k factors that vary: their values and their classes 0, 1, ... (both (n, k)).

    The first `train` rows are for fitting, the others for testing. continuous (k,): the factors whose classes are
    bins; left_out: those that take one value only.
    """

    codes: np.ndarray
    values: np.ndarray
    classes: np.ndarray
    names: list[str]
    continuous: np.ndarray
    left_out: list[str]
    train: int

    @property
    def dead(self) -> list[int]:
        """The dimensions of the codes that never move."""
        return [int(i) for i in np.flatnonzero(self.codes.max(0) == self.codes.min(0))]

    @property
    def binned(self) -> list[str]:
        """The names of the continuous factors."""
        return [name for name, wide in zip(self.names, self.continuous, strict=True) if wide]

    def standardized(self) -> np.ndarray:
        """The codes with mean 0 and variance 1 in each dimension; a dead one is 0."""
        return standardized(self.codes)

    def perfect(self, seed: int, filler: str, *, numbers: bool) -> "Rows":
        """The same rows with each factor as one dimension, standardized, and filler up to d dimensions where d > k.

        A factor enters by the rank of its value, a continuous one, or any if `numbers`, by the value itself. Filler is
        Gaussian "noise", or "dead" dimensions.
        """
        by_rank = ~self.continuous & (not numbers)
        given = standardized(np.where(by_rank, self.classes.astype(float), self.values))
        spare = np.random.default_rng([seed, 1]).normal(size=(len(given), max(0, self.codes.shape[1] - given.shape[1])))
        return replace(self, codes=np.concatenate([given, spare if filler == "noise" else 0 * spare], axis=1))

    def noise(self, seed: int) -> "Rows":
        """The same rows with independent Gaussian noise for codes."""
        return replace(self, codes=np.random.default_rng([seed, 2]).normal(size=self.codes.shape))


def read(
    codes: Any,
    factors: Any,
    *,
    train: int,
    test: int | None = None,
    bins: int,
    binning: str,
    seed: int,
    fewest_factors: int = 1,
    continuous: Collection[Any] | None = None,
) -> Rows:
    """What every score starts from: checked, `train` + `test` rows drawn by `seed`, one-valued factors put aside.

    Of fewer rows all are used, in the same proportion. Values of a factor closer than a millionth of its range are one
    value, unless all are whole numbers. The factors that `continuous` lists, by name or by number, are cut into `bins`
    bins, which are then their classes. None: those with more than `bins` distinct values and, if these are fractions, more
    than 100 of them or fewer than five rows for each; if whole numbers, both or fewer than two rows for each. Of all
    others each value is a class.
    """
    z, y = _numbers("codes", codes), _numbers("factors", factors)
    if len(z) != len(y):
        raise ValueError(f"codes and factors must have the same number of rows, got {len(z)} and {len(y)}")
    rng = np.random.default_rng(whole("seed", seed, least=0))
    _sizes(train, test)
    whole("bins", bins, least=2)
    choice("binning", binning, BINNINGS)
    share = len(z) if test is None else max(1, round(len(z) * train / (train + test)))
    if test is not None or len(z) > train:
        drawn = rng.permutation(len(z))[: train + (test or 0)]
        z, y = z[drawn], y[drawn]
    z = np.where(np.ptp(z, axis=0) <= ROUNDING * np.abs(z).max(0), 0.0, z)
    y = np.stack([_without_rounding(column) for column in y.T], axis=1)
    varies = y.max(0) > y.min(0)
    names = _names(factors, y.shape[1])
    listed = None if continuous is None else _listed(continuous, factors, names)
    if varies.sum() < fewest_factors:
        raise ValueError(
            f"factors must hold at least {fewest_factors} that take two or more values, got {varies.sum()} of {names}"
        )
    y = y[:, varies]
    kept = [name for name, moves in zip(names, varies, strict=True) if moves]
    in_bins = np.array([_is_continuous(column, bins) for column in y.T]) if listed is None else listed[varies]
    classes = [_ranks(binned(c, bins, binning) if wide else c) for c, wide in zip(y.T, in_bins, strict=True)]
    return Rows(
        codes=z,
        values=y,
        classes=np.stack(classes, axis=1),
        names=kept,
        continuous=in_bins,
        left_out=[name for name, moves in zip(names, varies, strict=True) if not moves],
        train=min(share, train, len(z) - (test is not None)),
    )


def clipped(columns: np.ndarray) -> np.ndarray:
    """Each column (n >= 3) with its outermost 0.1 % of rows, at least one, at either end drawn in to the next value."""
    tail = math.ceil(TAIL * len(columns))
    low, high = np.partition(columns, (tail, len(columns) - 1 - tail), axis=0)[[tail, -1 - tail]]
    return columns.clip(low, high)


def deviations(columns: np.ndarray) -> np.ndarray:
    """The standard deviation of each column, (d,); exactly 0 if it is constant."""
    moves = np.ptp(columns, axis=0) > ROUNDING * np.abs(columns).max(0)
    centered = np.where(moves, columns - columns.mean(0), 0.0)
    size = np.abs(centered).max(0)
    return size * (centered / np.where(moves, size, 1)).std(0)  # of size 1 inside: the square of a tiny number is 0


def live(codes: np.ndarray, prune: float, spread: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Which dimensions move, and have at least `prune` of the widest one's `spread`, (d,), by their clipped codes.

    So no outlier row hides the other dimensions, nor wakes one that takes a single value in all other rows.
    """
    spreads = spread(clipped(codes))
    return (np.ptp(codes, axis=0) > 0) & (spreads >= prune * spreads.max())


def standardized(columns: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and variance 1; 0 if it is constant."""
    moves = np.ptp(columns, axis=0) > ROUNDING * np.abs(columns).max(0)
    centered = np.where(moves, columns - columns.mean(0), 0.0)
    centered = centered / np.where(moves, np.abs(centered).max(0), 1)  # first to size 1: the square of a tiny number is 0
    return centered / np.where(moves, centered.std(0), 1)


def binned(column: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """The bin of each value: of "width", from the smallest value to the largest; of "quantile", of equally many rows.

    Values that tie share a bin.
    """
    if binning == "width":
        inner = np.linspace(column.min(), column.max(), bins + 1)[1:-1]
    else:
        inner = np.unique(np.quantile(column, np.arange(1, bins) / bins, method="inverted_cdf"))
        if inner[0] == column.max() > column.min():
            inner = column[column < column.max()].max(keepdims=True)  # nearly all tie at the top: the others are a bin
        # an edge belongs to the bin below it, else the smallest of few values would have a bin of its own or none
        return np.searchsorted(inner, column, side="left")
    return np.searchsorted(inner, column, side="right")


def _is_continuous(column: np.ndarray, bins: int) -> bool:
    n, distinct = len(column), len(np.unique(column))
    if distinct <= bins:
        return False
    many, few_rows = distinct > CLASSES_AT_MOST, n < CLASS_ROWS * distinct
    if (column == np.round(column)).all():
        return n < 2 * distinct or (many and few_rows)
    return many or few_rows


def _listed(continuous: Collection[Any], factors: Any, names: list[str]) -> np.ndarray:
    """Which factors `continuous` lists, (k,): by name or column label, or by number where no label is a number."""
    if isinstance(continuous, str) or not isinstance(continuous, Collection):
        raise TypeError(f"continuous must be None or a sequence of factor names or numbers, got {continuous!r}")
    labels = list(factors.columns) if isinstance(factors, pd.DataFrame) else names
    numbered = any(isinstance(label, (int, float, np.number)) for label in labels)
    places: dict[Any, list[int]] = {}
    for j, (name, label) in enumerate(zip(names, labels, strict=True)):
        for key in {name, label} if numbered else {name, label, j}:
            places.setdefault(key, []).append(j)
    found = np.zeros(len(names), dtype=bool)
    for entry in continuous:
        if isinstance(entry, bool) or not isinstance(entry, Hashable) or entry not in places:
            numbers = "" if numbered else f" or numbers from 0 to {len(names) - 1}"
            raise ValueError(f"continuous must list factors of {names}{numbers}, got {entry!r}")
        found[places[entry]] = True
    return found


def _without_rounding(column: np.ndarray) -> np.ndarray:
    """A factor whose values that differ by less than rounding of single precision are one, the least of them.

    Left apart: whole numbers, which carry no rounding, and values so dense that they join up to more than that.
    """
    if (column == np.round(column)).all():
        return column
    if np.ptp(column) <= ROUNDING * np.abs(column).max():
        return np.full_like(column, column.min())
    span = np.ptp(clipped(column)) or np.ptp(column)
    values, place = np.unique(column, return_inverse=True)
    chain = np.r_[0, np.cumsum(np.diff(values) > SAME * span)]
    least = values[np.searchsorted(chain, chain)]
    most = values[np.searchsorted(chain, chain, side="right") - 1]
    return np.where(most - least <= SAME * span, least, values)[place.reshape(-1)]


def _sizes(train: int, test: int | None) -> None:
    whole("train", train, least=2)
    if test is not None and train + whole("test", test) < FEWEST_ROWS:
        raise ValueError(f"train + test must be at least {FEWEST_ROWS} rows, got {train} + {test}")


def _ranks(column: np.ndarray) -> np.ndarray:
    return np.unique(column, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _numbers(name: str, value: Any) -> np.ndarray:
    """Checked rows in float64: single precision would merge large whole numbers."""
    tensor = as_tensor(name, value)
    found = checked(name, tensor if tensor.is_complex() else tensor.detach().cpu().double(), rows=FEWEST_ROWS).numpy()
    if np.abs(found).max() > LARGEST:
        raise ValueError(f"{name} must stay within {LARGEST:g}, got a value of size {np.abs(found).max():.3g}")
    return found


def _names(factors: Any, k: int) -> list[str]:
    return [str(c) for c in factors.columns] if isinstance(factors, pd.DataFrame) else [f"factor {i}" for i in range(k)]
