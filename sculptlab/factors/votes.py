"""Scores from batches of rows that share one factor's value: FactorVAE and BetaVAE."""

from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np
from sklearn.linear_model import LogisticRegression

from sculptlab.factors.rows import FactorRows, active_dimensions, clipped, deviations, standardized
from sculptlab.factors.scores import FactorScore, Protocol, explicit, one_score, score_with_baselines
from sculptlab.validation import flag, number, whole


@explicit
def factor_vae(
    codes: Any,
    factors: Any,
    *,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    prune: float = 0.05,
    **protocol: Unpack[Protocol],
) -> FactorScore:
    """FactorVAE's score: accuracy of the least varying dimension's vote for the factor that is held fixed.

    For each vote, a factor and a row are drawn, then `batch` rows with the row's value of it (its bin, if continuous), with
    replacement; the dimension with the least variance relative to its variance over all rows votes. Each dimension stands for
    the factor of most of its training votes; the score is the accuracy on the test votes. The original draws new images; here
    the given rows are drawn from, and values of a single row are never held fixed. The score is nearly blind to a rotation,
    where it is about 0.86. The table holds the training votes.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k), k >= 2
    train_votes, test_votes, batch : int
        Numbers of votes, and of rows per vote.
    prune : float
        Dimensions whose standard deviation is below this share of the largest one are left out; both without the outermost
        0.1 % of rows at either end. For dimensions in very different units, standardize the codes or use 0.
    bins, continuous, baselines, seed : as in `sculptlab.factors`

    Returns
    -------
    FactorScore

    References
    ----------
    Kim and Mnih 2018; numbers as in disentanglement_lib.
    """
    n = {"training votes": whole("train_votes", train_votes), "test votes": whole("test_votes", test_votes)}
    whole("batch", batch, least=2)
    number("prune", prune, least=0)
    method = f"majority vote, batches of {batch}"

    def measure(data: FactorRows) -> FactorScore:
        used = active_dimensions(data.codes, prune, deviations)
        counts = np.zeros((len(used), len(data.names)), dtype=int)
        if not used.any():
            return one_score("FactorVAE", data, {"FactorVAE": 0.0}, counts, used, method, {**data.size, **n})
        z = data.codes[:, used]
        inner = deviations(clipped(z))  # so that no outlier counts; 0 if all rows but the clipped ones are equal
        z = (z - np.median(z, axis=0)) / np.where(inner > 0, inner, deviations(z))
        drawn = _votes(data, train_votes + test_votes, batch, z.shape[1], np.random.default_rng([data.seed, 4]), pairs=False)
        fixed, least = map(np.concatenate, zip(*((factor, z[rows].var(1).argmin(1)) for factor, _, rows in drawn), strict=True))
        winners = np.flatnonzero(used)[least]
        np.add.at(counts, (winners[:train_votes], fixed[:train_votes]), 1)
        accuracy = float((counts.argmax(1)[winners[train_votes:]] == fixed[train_votes:]).mean())
        return one_score("FactorVAE", data, {"FactorVAE": accuracy}, counts, used, method, {**data.size, **n})

    return score_with_baselines(measure, codes, factors, train=None, test=None, least_factors=2, **protocol)


@explicit
def beta_vae(
    codes: Any,
    factors: Any,
    *,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    standardize: bool = True,
    **protocol: Unpack[Protocol],
) -> FactorScore:
    """BetaVAE's score: accuracy of a linear classifier of the factor that pairs of rows share.

    For each vote, a factor is drawn, then `batch` pairs of different rows that share its value (its bin, if continuous); the
    features are the mean |difference| of each dimension. The score is the accuracy of logistic regression on the test votes;
    chance is 1 / k. Pairs are drawn from the given rows, and values of a single row are never shared. The score is blind to a
    rotation, where it is still about 0.95. The table holds the classifier's weights.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k), k >= 2
    train_votes, test_votes, batch : int
        Numbers of votes, and of pairs per vote.
    standardize : as in `sap`
    bins, continuous, baselines, seed : as in `sculptlab.factors`

    Returns
    -------
    FactorScore

    References
    ----------
    Higgins et al. 2017; numbers as in disentanglement_lib.
    """
    n = {"training votes": whole("train_votes", train_votes), "test votes": whole("test_votes", test_votes)}
    whole("batch", batch, least=2)
    flag("standardize", standardize)

    def measure(data: FactorRows) -> FactorScore:
        z, t = standardized(data.codes) if standardize else data.codes, train_votes
        drawn = _votes(data, t + test_votes, batch, z.shape[1], np.random.default_rng([data.seed, 5]), pairs=True)
        pairs = ((factor, np.abs(z[rows] - z[partners]).mean(1)) for factor, rows, partners in drawn)
        shared, means = map(np.concatenate, zip(*pairs, strict=True))
        weights = np.zeros((z.shape[1], len(data.names)))
        model = LogisticRegression(max_iter=1000).fit(means[:t], shared[:t])
        # With two classes scikit-learn keeps only the weights of the second.
        found = np.concatenate([-model.coef_, model.coef_]) if len(model.classes_) == 2 else model.coef_
        weights[:, model.classes_] = found.T
        accuracy = float((model.predict(means[t:]) == shared[t:]).mean())
        method = f"logistic regression, batches of {batch}"
        return one_score("BetaVAE", data, {"BetaVAE": accuracy}, weights, data.active, method, {**data.size, **n})

    return score_with_baselines(measure, codes, factors, train=None, test=None, least_factors=2, **protocol)


def _votes(
    rows: FactorRows, votes: int, batch: int, dim: int, rng: np.random.Generator, *, pairs: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each vote a factor, and `batch` pairs of different rows that share its value; or one row and `batch` that share its.

    Yields blocks of votes of at most 2 million numbers of `dim` dimensions: factors (votes,), rows (votes, batch or 1) and
    partners (votes, batch). A row whose value occurs once is never drawn.
    """
    order = np.argsort(rows.classes, axis=0, kind="stable").T  # the rows with the same class are next to each other
    place = np.argsort(order, axis=1)
    start = np.stack([np.searchsorted(np.sort(y), y) for y in rows.classes.T])
    count = np.stack([np.bincount(y)[y] for y in rows.classes.T])
    for name, rows_alike in zip(rows.names, count, strict=True):
        if rows_alike.max() < 2:
            raise ValueError(f"factors must repeat a value to hold it fixed, but {name!r} has no value in two rows")
    step = max(1, 2_000_000 // (batch * dim))
    for done in range(0, votes, step):
        factor = rng.integers(len(rows.names), size=min(step, votes - done))
        first = np.empty((len(factor), batch if pairs else 1), dtype=np.int64)
        for j in range(len(count)):
            legal, chosen = np.flatnonzero(count[j] > 1), factor == j
            first[chosen] = legal[rng.integers(len(legal), size=first[chosen].shape)]
        at = factor[:, None], first
        among = count[at]
        shift = (rng.random((len(factor), batch)) * (among - pairs)).astype(np.int64)
        if pairs:
            shift = (place[at] - start[at] + 1 + shift) % among  # never to the row itself
        yield factor, first, order[factor[:, None], start[at] + shift]
