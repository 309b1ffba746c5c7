"""Estimates of the information between single dimensions and single factors, in nats, and statistics of such matrices."""

import numpy as np
from scipy.special import digamma
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from sculptlab.factors.rows import into_bins


def entropies(classes: np.ndarray) -> np.ndarray:
    """Plug-in entropy of each column of whole numbers (n, k), in nats."""
    return np.array([entropy(np.bincount(column)) for column in classes.T])


def plugin_information(codes: np.ndarray, classes: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """Plug-in mutual information of each binned dimension with each factor, (d, k), in nats.

    Its bias is about +(bins - 1) (classes - 1) / 2n.
    """
    binned = [into_bins(dimension, bins, binning) for dimension in codes.T]
    return np.array([[mutual_info_score(column, bin_of) for column in classes.T] for bin_of in binned])


def neighbor_information(codes: np.ndarray, classes: np.ndarray, seed: int, neighbors: int = 10) -> np.ndarray:
    """Nearest-neighbor estimate (Ross 2014) of the information of each standardized dimension with each factor, (d, k).

    psi(n) + mean over rows of psi(k) - psi(rows of the class) - psi(rows within the distance to the k-th neighbor of the same
    class), with k = `neighbors`, or all others of a smaller class. Classes of one row are left out; negative estimates
    become 0. The default is that of the InfoMEC reference.
    """
    found = np.zeros((codes.shape[1], classes.shape[1]))
    jitter = 1e-10 * np.random.default_rng([seed, 3]).normal(size=codes.shape)  # breaks ties
    for i in np.flatnonzero(np.ptp(codes, axis=0) > 0):
        for j, column in enumerate(classes.T):
            found[i, j] = _ross(codes[:, i] + jitter[:, i], column, neighbors)
    return found.clip(0)


def _ross(x: np.ndarray, labels: np.ndarray, neighbors: int) -> float:
    counts = np.bincount(labels)
    kept = counts[labels] > 1
    if not kept.any():
        return 0.0
    x, labels = x[kept], labels[kept]
    radius, used = np.empty(len(x)), np.empty(len(x))
    for group in np.split(np.lexsort((x, labels)), np.cumsum(np.bincount(labels))):
        k = min(neighbors, len(group) - 1)
        used[group], radius[group] = k, _distance_to_neighbor(x[group], k)
    # The k-th neighbor itself does not count. Rounding would decide whether it lies within the radius; so it is included by
    # a margin far below the jitter, and subtracted.
    radius += 1e-13
    everyone = np.sort(x)
    within = np.searchsorted(everyone, x + radius, side="right") - np.searchsorted(everyone, x - radius, side="left") - 1
    return float(digamma(len(x)) + (digamma(used) - digamma(counts[labels]) - digamma(within)).mean())


def _distance_to_neighbor(x: np.ndarray, k: int) -> np.ndarray:
    """Distance of each of the sorted `x` to its k-th nearest other value: the best window of k + 1 values around it."""
    best = np.full(len(x), np.inf)
    for below in range(k + 1):
        at = np.arange(below, len(x) - (k - below))
        best[at] = np.minimum(best[at], np.maximum(x[at] - x[at - below], x[at + k - below] - x[at]))
    return best


def largest_gaps(matrix: np.ndarray) -> np.ndarray:
    """Largest minus second largest entry of each column of a non-negative (d, k) matrix; minus 0 if d = 1."""
    ordered = np.sort(np.concatenate([matrix, np.zeros((1, matrix.shape[1]))]), axis=0)
    return ordered[-1] - ordered[-2]


def modularities(information: np.ndarray) -> np.ndarray:
    """Modularity (Ridgeway and Mozer 2018) of each row of an information matrix (d, k >= 2); 0 for a row of zeros.

    1 - sum of I^2 over all but the largest entry / ((k - 1) largest I^2).
    """
    squares = information**2
    largest = squares.max(1)
    others = (squares.sum(1) - largest) / (np.where(largest > 0, largest, 1) * (squares.shape[1] - 1))
    return np.where(largest > 0, (1 - others).clip(0, 1), 0.0)


def info_m_and_c(information: np.ndarray) -> tuple[float, float]:
    """InfoM and InfoC: concentration of each dimension's information on one factor, and of each factor's in one dimension.

    (mean of largest / sum - 1/m) / (1 - 1/m) over rows, or columns, of m entries. A row or column of zeros counts as evenly
    spread. Both are 0 for a matrix of zeros or without rows; InfoC of a single row is the share of factors it knows.
    """
    if not information.any():
        return 0.0, 0.0
    return _one_entry_share(information), _one_entry_share(information.T)


def _one_entry_share(matrix: np.ndarray) -> float:
    total, m = matrix.sum(1), matrix.shape[1]
    if m == 1:
        return float((total > 0).mean())
    share = np.where(total > 0, matrix.max(1) / np.where(total > 0, total, 1), 1 / m)
    return float(np.clip((share.mean() - 1 / m) / (1 - 1 / m), 0, 1))
