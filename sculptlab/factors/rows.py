"""Codes beside the known factors: checked and drawn rows, the factors' classes, and perfect and noise codes to compare with."""

import math
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sculptlab.columns import standardize
from sculptlab.validation import as_tensor, choice, only_array, whole
from sculptlab.validation import codes as valid_codes

BINNINGS = {"width": "equal-width", "quantile": "quantile"}
LEAST_ROWS = 20
ROUNDING = 1e-12  # a column whose range is below this share of its largest value is constant up to rounding


@dataclass(frozen=True)
class FactorRows:
    """n rows of codes (n, d) and of the k factors that vary, as values and as classes 0, 1, ..., both (n, k).

    The first `train` rows are for fitting, the others for testing. `continuous` (k,) marks the factors whose classes are
    bins, `left_out` names the factors with a single value, and `dimensions` names the columns of the codes.
    """

    codes: np.ndarray
    values: np.ndarray
    classes: np.ndarray
    names: list[str]
    dimensions: list[Any]
    continuous: np.ndarray
    left_out: list[str]
    train: int

    @property
    def active(self) -> np.ndarray:
        """Which dimensions vary, (d,)."""
        return np.ptp(self.codes, axis=0) > 0

    @property
    def split(self) -> dict[str, int]:
        """Numbers of training and test rows."""
        return {"train": self.train, "test": len(self.codes) - self.train}

    @property
    def binned(self) -> list[str]:
        """Names of the continuous factors."""
        return [name for name, wide in zip(self.names, self.continuous, strict=True) if wide]

    def standardized(self) -> np.ndarray:
        """The codes with mean 0 and variance 1 in each dimension; an inactive one is 0."""
        return standardized(self.codes)

    def perfect(self, seed: int, filler: str, *, as_values: bool) -> "FactorRows":
        """The same rows with codes that are the standardized factors, and filler up to d dimensions where d > k.

        A factor enters by the rank of its value; a continuous one, or any if `as_values`, by the value itself. Filler is
        Gaussian "noise" or "constant".
        """
        by_rank = ~self.continuous & (not as_values)
        given = standardized(np.where(by_rank, self.classes.astype(float), self.values))
        spare = np.random.default_rng([seed, 1]).normal(size=(len(given), max(0, self.codes.shape[1] - given.shape[1])))
        return replace(self, codes=np.concatenate([given, spare if filler == "noise" else 0 * spare], axis=1))

    def noise(self, seed: int) -> "FactorRows":
        """The same rows with independent Gaussian noise as codes."""
        return replace(self, codes=np.random.default_rng([seed, 2]).normal(size=self.codes.shape))


def draw_factor_rows(
    codes: Any,
    factors: Any,
    *,
    train: int | None,
    test: int | None = None,
    bins: int,
    binning: str = "width",
    seed: int,
    least_factors: int = 1,
    continuous: Collection[Any] | None = None,
) -> FactorRows:
    """Check codes and factors, draw `train` + `test` rows by `seed`, and turn each factor into classes.

    `train` = None uses all rows in their order; of too few rows all are used, in the same proportion. The package docstring
    says how classes are made.
    """
    (z, dimensions), (y, labels) = _numbers("codes", codes), _numbers("factors", factors)
    if len(z) != len(y):
        raise ValueError(f"codes and factors must have the same number of rows, got {len(z)} and {len(y)}")
    rng = np.random.default_rng(whole("seed", seed, least=0))
    if train is not None:
        whole("train", train, least=2)
    if train is not None and test is not None and train + whole("test", test) < LEAST_ROWS:
        raise ValueError(f"train + test must be at least {LEAST_ROWS} rows, got {train} + {test}")
    whole("bins", bins, least=2)
    choice("binning", binning, BINNINGS)
    train = len(z) if train is None else train
    share = len(z) if test is None else max(1, round(len(z) * train / (train + test)))
    if test is not None or len(z) > train:
        drawn = rng.permutation(len(z))[: train + (test or 0)]
        z, y = z[drawn], y[drawn]
    z = np.where(np.ptp(z, axis=0) <= ROUNDING * np.abs(z).max(0), 0.0, z)
    y = np.stack([_without_rounding(column) for column in y.T], axis=1)
    varies = np.ptp(y, axis=0) > 0
    names = [f"factor {i}" for i in range(y.shape[1])] if labels is None else [str(label) for label in labels]
    in_bins = None if continuous is None else _listed(continuous, labels, names)[varies]
    if varies.sum() < least_factors:
        raise ValueError(
            f"factors must hold at least {least_factors} that take two or more values, got {varies.sum()} of {names}"
        )
    y = y[:, varies]
    if in_bins is None:
        in_bins = np.array([_is_continuous(column, bins) for column in y.T])
    columns = [into_bins(column, bins, binning) if wide else column for column, wide in zip(y.T, in_bins, strict=True)]
    return FactorRows(
        codes=z,
        values=y,
        classes=np.stack([np.unique(column, return_inverse=True)[1].reshape(-1) for column in columns], axis=1),
        names=[name for name, kept in zip(names, varies, strict=True) if kept],
        dimensions=list(range(z.shape[1])) if dimensions is None else dimensions,
        continuous=in_bins,
        left_out=[name for name, kept in zip(names, varies, strict=True) if not kept],
        train=min(share, train, len(z) - (test is not None)),
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
    """Which dimensions vary and have at least `prune` of the largest `spread`, (d,).

    Spreads are those of clipped codes, so that an outlier changes neither its own dimension's result nor the others'.
    """
    spreads = spread(clipped(codes))
    return (np.ptp(codes, axis=0) > 0) & (spreads >= prune * spreads.max())


def standardized(columns: np.ndarray) -> np.ndarray:
    """`sculptlab.columns.standardize` for arrays."""
    return standardize(torch.from_numpy(columns)).numpy()


def into_bins(column: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """The bin of each value. "width": equal widths from the smallest to the largest value; "quantile": equally many rows.

    Equal values share a bin.
    """
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
    if distinct <= bins:
        return False
    many, few_rows = distinct > 100, n < 5 * distinct
    if (column == np.round(column)).all():
        return n < 2 * distinct or (many and few_rows)
    return many or few_rows


def _listed(continuous: Collection[Any], labels: list[Any] | None, names: list[str]) -> np.ndarray:
    """Which factors `continuous` lists, (k,): by name or column label, or by number where no label is a number."""
    if isinstance(continuous, str) or not isinstance(continuous, Collection):
        raise TypeError(f"continuous must be None or a sequence of factor names or numbers, got {continuous!r}")
    labels = names if labels is None else labels
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
    """A factor in which values closer than a millionth of its range, as single precision leaves them, become one value.

    Whole numbers have no rounding error and stay as they are, as do values so dense that a chain of them spans more.
    """
    if (column == np.round(column)).all():
        return column
    if np.ptp(column) <= ROUNDING * np.abs(column).max():
        return np.full_like(column, column.min())
    span = np.ptp(clipped(column)) or np.ptp(column)
    values, place = np.unique(column, return_inverse=True)
    chain = np.r_[0, np.cumsum(np.diff(values) > 1e-6 * span)]
    least = values[np.searchsorted(chain, chain)]
    most = values[np.searchsorted(chain, chain, side="right") - 1]
    return np.where(most - least <= 1e-6 * span, least, values)[place.reshape(-1)]


def _numbers(name: str, value: Any) -> tuple[np.ndarray, list[Any] | None]:
    """Checked rows in float64, which single precision would merge if they are large integers; and a DataFrame's labels."""
    value = only_array(name, value)
    tensor = as_tensor(name, value)
    found = valid_codes(name, tensor if tensor.is_complex() else tensor.detach().cpu().double(), rows=LEAST_ROWS).numpy()
    if np.abs(found).max() > 1e70:
        raise ValueError(f"{name} must stay within 1e+70, whose fourth power is finite, got size {np.abs(found).max():.3g}")
    return found, list(value.columns) if hasattr(value, "columns") else None
