"""Codes beside the factors they should hold: read, drawn, split, and the two sets of codes every score is compared with."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sculptlab.validation import as_tensor, choice, whole
from sculptlab.validation import codes as checked

BINNINGS = ("width", "quantile")
CLASSES_AT_MOST = 100  # distinct values above which a factor of fractions is taken to be continuous
CLASS_ROWS = 5  # rows per value below which it is, too
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

    def standardised(self) -> np.ndarray:
        """The codes with mean 0 and variance 1 in each dimension; a dead one is 0."""
        return standardised(self.codes)

    def perfect(self, seed: int, filler: str, *, numbers: bool) -> "Rows":
        """The same rows with each factor as one dimension, standardised, and filler up to d dimensions where d > k.

        A factor enters by the rank of its value, a continuous one, or any if `numbers`, by the value itself. Filler is
        Gaussian "noise", or "dead" dimensions.
        """
        by_rank = ~self.continuous & (not numbers)
        given = standardised(np.where(by_rank, self.classes.astype(float), self.values))
        spare = np.random.default_rng([seed, 1]).normal(size=(len(given), max(0, self.codes.shape[1] - given.shape[1])))
        return replace(self, codes=np.concatenate([given, spare if filler == "noise" else 0 * spare], axis=1))

    def noise(self, seed: int) -> "Rows":
        """The same rows with independent Gaussian noise for codes."""
        return replace(self, codes=np.random.default_rng([seed, 2]).normal(size=self.codes.shape))


def read(
    codes: Any, factors: Any, *, train: int, test: int | None = None, bins: int, binning: str, seed: int, fewest_factors: int = 1
) -> Rows:
    """What every score starts from: checked, `train` + `test` rows drawn by `seed`, one-valued factors put aside.

    Of fewer rows all are used, in the same proportion. A factor is continuous, and its classes are then `bins` bins, if it
    has more than `bins` distinct values and either nearly all rows differ (fewer than two per value), or the values are
    fractions and there are more than 100 of them or fewer than five rows per value; else each value is a class.
    """
    z, y = _numbers("codes", codes), _numbers("factors", factors)
    if len(z) != len(y):
        raise ValueError(f"codes and factors must have the same number of rows, got {len(z)} and {len(y)}")
    rng = np.random.default_rng(whole("seed", seed, least=0))
    whole("train", train, least=2)
    whole("bins", bins, least=2)
    choice("binning", binning, BINNINGS)
    share = len(z) if test is None else max(1, round(len(z) * train / (train + whole("test", test))))
    if test is not None or len(z) > train:
        drawn = rng.permutation(len(z))[: train + (test or 0)]
        z, y = z[drawn], y[drawn]
    z = np.where(np.ptp(z, axis=0) <= ROUNDING * np.abs(z).max(0), 0.0, z)
    varies = y.max(0) > y.min(0)
    names = _names(factors, y.shape[1])
    if varies.sum() < fewest_factors:
        raise ValueError(
            f"factors must hold at least {fewest_factors} that take two or more values, got {varies.sum()} of {names}"
        )
    y = y[:, varies]
    kept = [name for name, moves in zip(names, varies, strict=True) if moves]
    continuous = [_is_continuous(column, bins) for column in y.T]
    classes = [_ranks(binned(c, bins, binning) if wide else c) for c, wide in zip(y.T, continuous, strict=True)]
    return Rows(
        codes=z,
        values=y,
        classes=np.stack(classes, axis=1),
        names=kept,
        continuous=np.array(continuous),
        left_out=[name for name, moves in zip(names, varies, strict=True) if not moves],
        train=min(share, train, len(z)),
    )


def standardised(columns: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and variance 1; 0 if it is constant."""
    moves = np.ptp(columns, axis=0) > ROUNDING * np.abs(columns).max(0)
    centred = np.where(moves, columns - columns.mean(0), 0.0)
    centred = centred / np.where(moves, np.abs(centred).max(0), 1)  # first to size 1: the square of a tiny number is 0
    return centred / np.where(moves, centred.std(0), 1)


def binned(column: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """The bin of each value: of "width", from the smallest value to the largest; of "quantile", of equally many rows.

    Values that tie share a bin.
    """
    if binning == "width":
        inner = np.linspace(column.min(), column.max(), bins + 1)[1:-1]
    else:
        inner = np.unique(np.quantile(column, np.arange(1, bins) / bins, method="inverted_cdf"))
        # an edge belongs to the bin below it, else the smallest of few values would have a bin of its own or none
        return np.searchsorted(inner, column, side="left")
    return np.searchsorted(inner, column, side="right")


def _is_continuous(column: np.ndarray, bins: int) -> bool:
    n, distinct = len(column), len(np.unique(column))
    if distinct <= bins:
        return False
    if (column == np.round(column)).all():
        return n < 2 * distinct
    return distinct > CLASSES_AT_MOST or n < CLASS_ROWS * distinct


def _ranks(column: np.ndarray) -> np.ndarray:
    return np.unique(column, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _numbers(name: str, value: Any) -> np.ndarray:
    """Checked rows in float64: single precision would merge large whole numbers."""
    if isinstance(value, pd.DataFrame) and all(pd.api.types.is_numeric_dtype(kind) for kind in value.dtypes):
        value = value.to_numpy(dtype=float, na_value=np.nan)
    tensor = as_tensor(name, value)
    found = checked(name, tensor if tensor.is_complex() else tensor.detach().cpu().double()).numpy()
    if np.abs(found).max() > LARGEST:
        raise ValueError(f"{name} must stay within {LARGEST:g}, got a value of size {np.abs(found).max():.3g}")
    return found


def _names(factors: Any, k: int) -> list[str]:
    return [str(c) for c in factors.columns] if isinstance(factors, pd.DataFrame) else [f"factor {i}" for i in range(k)]
