"""Information between single dimensions and single factors: estimates in nats, and the scores made of such a matrix."""

from typing import NamedTuple

import numpy as np
from scipy.special import digamma

from sculptlab.factors.rows import binned

NEIGHBORS = 10  # of the nearest-neighbor estimate, as in the InfoMEC reference
JITTER = 1e-10  # of a standard deviation: tells tied codes apart and changes nothing else
ROUNDING = 1e-13  # of standardized codes: above what a sum is off by, far below the jitter


def entropies(classes: np.ndarray) -> np.ndarray:
    """The plug-in entropy of each column of whole numbers (n, k), in nats."""
    return np.array([_entropy(np.bincount(column)) for column in classes.T])


def plugin_information(codes: np.ndarray, classes: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """The plug-in mutual information of each binned dimension with each factor, (d, k), in nats.

    Biased upward by about (bins - 1) (classes - 1) / 2n.
    """
    found = np.zeros((codes.shape[1], classes.shape[1]))
    for i, dimension in enumerate(codes.T):
        bin_of = binned(dimension, bins, binning)
        for j, column in enumerate(classes.T):
            joint = np.bincount(bin_of + bins * column, minlength=bins * (column.max() + 1)).reshape(-1, bins)
            found[i, j] = _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint.ravel())
    found[codes.max(0) == codes.min(0)] = 0
    return found.clip(0)


def neighbor_information(codes: np.ndarray, classes: np.ndarray, seed: int) -> np.ndarray:
    """The nearest-neighbor estimate (Ross 2014) of the information of each dimension with each factor, (d, k), in nats.

    psi(n) + mean over rows of psi(k) - psi(rows of the class) - psi(rows within the distance of the k-th neighbor of that
    class), k = 10 or all others of a small class; classes of one row are passed over; below 0 it counts as 0. `codes`
    standardized.
    """
    found = np.zeros((codes.shape[1], classes.shape[1]))
    noise = np.random.default_rng([seed, 3]).normal(size=codes.shape)
    for i in np.flatnonzero(codes.max(0) > codes.min(0)):
        dimension = codes[:, i] + JITTER * noise[:, i]
        for j, column in enumerate(classes.T):
            found[i, j] = _ross(dimension, column)
    return found.clip(0)


def _ross(x: np.ndarray, labels: np.ndarray) -> float:
    counts = np.bincount(labels)
    kept = counts[labels] > 1
    if not kept.any():
        return 0.0
    x, labels = x[kept], labels[kept]
    order = np.lexsort((x, labels))
    radius, neighbors = np.empty(len(x)), np.empty(len(x))
    ends = np.cumsum(np.bincount(labels))
    for start, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
        if end > start:
            group = order[start:end]
            neighbors[group] = min(NEIGHBORS, end - start - 1)
            radius[group] = _to_neighbor(x[group], min(NEIGHBORS, end - start - 1))
    # the neighbor itself does not count, and whether rounding lets it in must not decide: let it in, and take it off
    radius += ROUNDING
    everyone = np.sort(x)
    within = np.searchsorted(everyone, x + radius, side="right") - np.searchsorted(everyone, x - radius, side="left") - 1
    terms = digamma(neighbors) - digamma(counts[labels]) - digamma(within)
    return float(digamma(len(x)) + terms.mean())


def _to_neighbor(x: np.ndarray, k: int) -> np.ndarray:
    """The distance of each of the sorted x to its k-th nearest other: the narrowest window of k + 1 values that holds it."""
    best = np.full(len(x), np.inf)
    for below in range(k + 1):
        at = np.arange(below, len(x) - (k - below))
        best[at] = np.minimum(best[at], np.maximum(x[at] - x[at - below], x[at + k - below] - x[at]))
    return best


class Shares(NamedTuple):
    """InfoM and InfoC, both in [0, 1]."""

    modularity: float
    compactness: float


def gaps(matrix: np.ndarray) -> np.ndarray:
    """The largest minus the second largest entry of each column of (d, k); of a single row, minus 0."""
    padded = np.concatenate([matrix, np.zeros((1, matrix.shape[1]))]) if len(matrix) == 1 else matrix
    ordered = np.sort(padded, axis=0)
    return ordered[-1] - ordered[-2]


def modularities(information: np.ndarray) -> np.ndarray:
    """Of each row of an information matrix (d, k >= 2): 1 - sum over all but the largest I^2 / ((k - 1) largest I^2).

    0 for a row of zeros. Source: Ridgeway and Mozer 2018, with a row's own largest entry as its template.
    """
    squares = information**2
    largest = squares.max(1)
    others = (squares.sum(1) - largest) / (np.where(largest > 0, largest, 1) * (squares.shape[1] - 1))
    return np.where(largest > 0, (1 - others).clip(0, 1), 0.0)


def shares(information: np.ndarray) -> Shares:
    """How much of each dimension's information is about one factor (InfoM), and of each factor's in one dimension (InfoC).

    (mean of largest / sum - 1/m) / (1 - 1/m) over the m entries of each row, or column, of the (d, k) matrix; a row or
    column of zeros counts as evenly spread. 0 for no rows; a single row holds all there is of every factor.
    """
    if not information.size or not information.any():
        return Shares(0.0, 0.0)
    return Shares(_concentration(information), _concentration(information.T))


def _concentration(matrix: np.ndarray) -> float:
    total, m = matrix.sum(1), matrix.shape[1]
    if m == 1:
        return float((total > 0).mean())
    share = np.where(total > 0, matrix.max(1) / np.where(total > 0, total, 1), 1 / m)
    return float(np.clip((share.mean() - 1 / m) / (1 - 1 / m), 0, 1))


def _entropy(counts: np.ndarray) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())
