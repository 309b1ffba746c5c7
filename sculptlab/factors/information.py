"""Scores from the mutual information of dimensions and factors: the mutual information gap, modularity and InfoMEC."""

from typing import Any, Unpack

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import digamma
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from sculptlab.factors.prediction import largest_gaps, logistic_scores
from sculptlab.factors.rows import BINNINGS, LEAST_ROWS, FactorRows, active_dimensions, into_bins, standardized
from sculptlab.factors.scores import FactorScore, Protocol, Split, explicit, one_score, score_with_baselines
from sculptlab.validation import number, whole


@explicit
def mig(codes: Any, factors: Any, *, binning: str = "width", rows: int = 10_000, **protocol: Unpack[Protocol]) -> FactorScore:
    """Mutual information gap: how far each factor is known to one dimension alone.

    Mean over factors of (I(z_1; v) - I(z_2; v)) / H(v), where z_1 and z_2 are the two dimensions that know most of v, with
    plug-in estimates from binned codes. Perfect codes score below 1 where a factor has more values than there are bins; a
    rotation of perfect codes scores near 0. The table holds I / H.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
    binning : {"width", "quantile"}
        How the codes, too, are cut into `bins` bins. "width", the standard, cuts from the smallest to the largest, so that one
        outlier at 50 standard deviations lowers a score of 0.74 to 0.27. "quantile" bins hold equally many rows.
    rows : int
        Number of rows to use.
    bins, continuous, baselines, seed : as in `sculptlab.factors`

    Returns
    -------
    FactorScore

    References
    ----------
    Chen et al. 2018; protocol of disentanglement_lib.

    Examples
    --------
    >>> factors = np.stack(np.meshgrid(range(4), range(5)), axis=-1).reshape(-1, 2).repeat(5, axis=0)
    >>> round(mig(-2.0 * factors, factors).score, 2)
    1.0
    """
    whole("rows", rows, least=LEAST_ROWS)

    def measure(data: FactorRows) -> FactorScore:
        matrix = plugin_information(data.codes, data.classes, data.bins, binning) / entropies(data.classes)
        parts = {"MIG": float(largest_gaps(matrix).mean())}
        return one_score("MIG", data, parts, matrix, data.active, f"{data.bins} {BINNINGS[binning]} bins", data.size)

    return score_with_baselines(measure, codes, factors, train=rows, test=None, binning=binning, **protocol)


@explicit
def modularity(codes: Any, factors: Any, *, binning: str = "width", **protocol: Unpack[Split]) -> FactorScore:
    """Modularity, each dimension knows one factor only, and explicitness, a linear classifier can read the factors.

    Modularity is the mean over dimensions of 1 - (sum of I^2 over all factors but the best known) / ((k - 1) I_best^2), with
    plug-in information I; 0 without any. "modularity of active" leaves inactive dimensions out. The chance level is high, since
    the estimates' noise is spread unevenly. Explicitness is the area under the ROC curve of logistic regression, one value
    versus the rest, on the test rows, averaged over values and then factors; chance is 0.5. The table holds I in nats.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k), k >= 2
    binning : as in `mig`
    train, test, bins, continuous, baselines, seed : as in `sculptlab.factors`

    Returns
    -------
    FactorScore
        With the parts "modularity", "modularity of active" and "explicitness".

    References
    ----------
    Ridgeway and Mozer 2018; protocol of disentanglement_lib.
    """

    def measure(data: FactorRows) -> FactorScore:
        information = plugin_information(data.codes[: data.train], data.classes[: data.train], data.bins, binning)
        each = modularities(information)
        of_active = each[data.active].mean() if data.active.any() else 0.0
        parts = {"modularity": float(each.mean()), "modularity of active": float(of_active)}
        parts["explicitness"] = float(logistic_scores(data, penalty=1.0)[0].mean())
        method = f"{data.bins} {BINNINGS[binning]} bins, logistic regression"
        return one_score("Modularity", data, parts, information, data.active, method, data.size)

    return score_with_baselines(measure, codes, factors, binning=binning, least_factors=2, **protocol)


@explicit
def info_mec(codes: Any, factors: Any, *, prune: float = 0.05, **protocol: Unpack[Split]) -> FactorScore:
    """InfoM, InfoE and InfoC: modularity, explicitness and compactness in units of information.

    With N (d, k) the nearest-neighbor estimates of I(z_i; v_j) / H(v_j) on the training rows, InfoM is the mean over
    dimensions of (largest / sum of its row - 1/k) / (1 - 1/k), and InfoC the same over factors and columns. Noise scores well
    above 0 in both, because its few positive estimates look concentrated. InfoE is the mean over factors of the share of
    H(v_j) that an unpenalized logistic regression predicts of the test rows, at least 0; the reference scores the training
    rows, and so credits noise, and weighs classes equally. The table holds N.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k), k >= 2
    prune : float
        Dimensions whose range is below this share of the widest one's are left out of InfoM and InfoC; both without the
        outermost 0.1 % of rows at either end. For dimensions in very different units, standardize the codes or use 0.
    train, test, bins, continuous, baselines, seed : as in `sculptlab.factors`

    Returns
    -------
    FactorScore
        With the parts "InfoM", "InfoE" and "InfoC". Perfect codes have constant dimensions as filler.

    References
    ----------
    Hsu et al. 2023.
    """
    number("prune", prune, least=0)

    def measure(data: FactorRows) -> FactorScore:
        z, classes = standardized(data.codes)[: data.train], data.classes[: data.train]
        total = entropies(classes)
        matrix = neighbor_information(z, classes, data.seed) / np.where(total > 0, total, 1)
        used = active_dimensions(data.codes, prune, lambda clipped: np.ptp(clipped, axis=0))
        info_m, info_c = one_entry_share(matrix[used]), one_entry_share(matrix[used].T)
        parts = {"InfoM": info_m, "InfoE": float(logistic_scores(data, penalty=0.0)[1].mean()), "InfoC": info_c}
        return one_score("InfoMEC", data, parts, matrix, used, "10 nearest neighbors, logistic regression", data.size)

    return score_with_baselines(measure, codes, factors, filler="constant", least_factors=2, **protocol)


def entropies(classes: np.ndarray) -> np.ndarray:
    """Plug-in entropy of each column of whole numbers (n, k), in nats."""
    return np.array([entropy(np.bincount(column)) for column in classes.T])


def plugin_information(codes: np.ndarray, classes: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """Plug-in mutual information of each binned dimension with each factor, (d, k); its bias is +(bins - 1)(classes - 1) / 2n."""
    binned = [into_bins(dimension, bins, binning) for dimension in codes.T]
    return np.array([[mutual_info_score(column, bin_of) for column in classes.T] for bin_of in binned])


def neighbor_information(codes: np.ndarray, classes: np.ndarray, seed: int, neighbors: int = 10) -> np.ndarray:
    """Nearest-neighbor estimate (Ross 2014) of the information of each standardized dimension with each factor, (d, k).

    psi(n) + mean over rows of psi(k) - psi(rows of the class) - psi(rows within the distance to the k-th neighbor of the same
    class), at least 0, with k = `neighbors`, or all others of a smaller class. Classes of one row are left out.
    """
    found = np.zeros((codes.shape[1], classes.shape[1]))
    untied = codes + 1e-10 * np.random.default_rng([seed, 3]).normal(size=codes.shape)
    for i in np.flatnonzero(np.ptp(codes, axis=0) > 0):
        for j, labels in enumerate(classes.T):
            kept = np.bincount(labels)[labels] > 1
            if kept.any():
                found[i, j] = _ross(untied[kept, i], labels[kept], neighbors)
    return found.clip(0)


def _ross(x: np.ndarray, labels: np.ndarray, neighbors: int) -> float:
    radius, used = np.empty(len(x)), np.empty(len(x))
    for label in np.unique(labels):
        group = np.flatnonzero(labels == label)
        group = group[np.argsort(x[group])]
        k = min(neighbors, len(group) - 1)
        around = sliding_window_view(np.pad(x[group], k, constant_values=np.inf), 2 * k + 1)  # also holds the row itself
        used[group], radius[group] = k, np.partition(np.abs(around - x[group, None]), k, axis=1)[:, k]
    # The k-th neighbor itself does not count. Rounding would decide whether it lies within the radius; so it is included by
    # a margin far below the noise that breaks ties, and subtracted.
    radius += 1e-13
    everyone = np.sort(x)
    within = np.searchsorted(everyone, x + radius, side="right") - np.searchsorted(everyone, x - radius, side="left") - 1
    return float(digamma(len(x)) + (digamma(used) - digamma(np.bincount(labels)[labels]) - digamma(within)).mean())


def modularities(information: np.ndarray) -> np.ndarray:
    """Modularity of each row of an information matrix (d, k >= 2), as in `modularity`; 0 for a row of zeros."""
    squares = information**2
    largest = squares.max(1)
    others = (squares.sum(1) - largest) / (np.where(largest > 0, largest, 1) * (squares.shape[1] - 1))
    return np.where(largest > 0, (1 - others).clip(0, 1), 0.0)


def one_entry_share(information: np.ndarray) -> float:
    """How far each row of an information matrix is concentrated in one entry, 0 to 1: InfoM, or InfoC of the transpose.

    (s - 1/m) / (1 - 1/m) for m columns, where s is the mean over rows of largest entry / sum, with 1/m for a row of zeros; 0 if
    the matrix is empty or all 0. For m = 1, the share of rows that are not 0.
    """
    total, m = information.sum(1), information.shape[1]
    if m == 1 or not information.any():
        return float((total > 0).sum() / max(1, len(total)))
    share = np.where(total > 0, information.max(1) / np.where(total > 0, total, 1), 1 / m)
    return float(np.clip((share.mean() - 1 / m) / (1 - 1 / m), 0, 1))
