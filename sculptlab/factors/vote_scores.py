"""Scores from batches of rows that share one factor's value: FactorVAE and BetaVAE."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from sculptlab.factors.rows import FactorRows, active_dimensions, clipped, deviations, draw_factor_rows
from sculptlab.factors.scores import FactorScore, Measurement, score_with_baselines
from sculptlab.validation import flag, number, whole


def factor_vae(
    codes: Any,
    factors: Any,
    *,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    prune: float = 0.05,
    bins: int = 20,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """FactorVAE's score: accuracy of the least varying dimension's vote for the factor that is held fixed.

    For each vote, a factor and a row are drawn, then `batch` rows with the row's value of it (its bin, if continuous), with
    replacement; the dimension with the least variance relative to its variance over all rows votes. Each dimension stands for
    the factor of most of its training votes; the score is the accuracy on the test votes. The original draws from a generator
    of all combinations of factors; here the given rows are drawn from, and values of a single row are never held fixed. The
    score is blind to a rotation, where it is still about 0.86. The table holds the training votes.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
        Codes and known factors, samples first, with k >= 2.
    train_votes, test_votes : int
        Numbers of votes.
    batch : int
        Rows per vote.
    prune : float
        Dimensions whose standard deviation is below this share of the largest one are left out; both without the outermost
        0.1 % of rows at either end. For dimensions in very different units, standardize the codes or use 0. (The original's
        0.05 is in units of a prior N(0, I).)
    bins, continuous, baselines, seed
        As described in `sculptlab.factors`.

    Returns
    -------
    FactorScore
        With the part "FactorVAE".

    References
    ----------
    Kim and Mnih 2018; numbers as in disentanglement_lib.
    """
    n = {"training votes": whole("train_votes", train_votes), "test votes": whole("test_votes", test_votes)}
    whole("batch", batch, least=2)
    number("prune", prune, least=0)
    data = draw_factor_rows(codes, factors, train=None, bins=bins, seed=seed, least_factors=2, continuous=continuous)

    def measure(given: FactorRows) -> Measurement:
        used = active_dimensions(given.codes, prune, deviations)
        kept = np.flatnonzero(used)
        votes, accuracy = np.zeros((len(used), len(given.names)), dtype=int), 0.0
        if len(kept):
            z, rng = _robustly_scaled(given.codes[:, kept]), np.random.default_rng([seed, 4])
            fixed, winners = _least_varying(z, given, train_votes + test_votes, batch, rng)
            winners = kept[winners]
            np.add.at(votes, (winners[:train_votes], fixed[:train_votes]), 1)
            accuracy = float((votes.argmax(1)[winners[train_votes:]] == fixed[train_votes:]).mean())
        return Measurement({"FactorVAE": accuracy}, votes, used)

    method = f"majority vote, batches of {batch}"
    n = {"n": len(data.codes), **n}
    return score_with_baselines("FactorVAE", data, measure, method=method, n=n, baselines=baselines, seed=seed)


def beta_vae(
    codes: Any,
    factors: Any,
    *,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    standardize: bool = True,
    bins: int = 20,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """BetaVAE's score: accuracy of a linear classifier of the factor that pairs of rows share.

    For each vote, a factor is drawn, then `batch` pairs of different rows that share its value (its bin, if continuous); the
    features are the mean |difference| of each dimension. The score is the accuracy of logistic regression on the test votes;
    chance is 1 / k. Pairs are drawn from the given rows, and values of a single row are never shared. The score is blind to a
    rotation, where it is still about 0.95. The table holds the classifier's weights.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
        Codes and known factors, samples first, with k >= 2.
    train_votes, test_votes : int
        Numbers of votes.
    batch : int
        Pairs per vote.
    standardize : bool
        Scale each dimension to variance 1, since the classifier's penalty depends on the unit. False is the original.
    bins, continuous, baselines, seed
        As described in `sculptlab.factors`.

    Returns
    -------
    FactorScore
        With the part "BetaVAE".

    References
    ----------
    Higgins et al. 2017; numbers as in disentanglement_lib.
    """
    n = {"training votes": whole("train_votes", train_votes), "test votes": whole("test_votes", test_votes)}
    whole("batch", batch, least=2)
    flag("standardize", standardize)
    data = draw_factor_rows(codes, factors, train=None, bins=bins, seed=seed, least_factors=2, continuous=continuous)

    def measure(given: FactorRows) -> Measurement:
        z = given.standardized() if standardize else given.codes
        shared, means = _mean_differences(z, given, train_votes + test_votes, batch, np.random.default_rng([seed, 5]))
        weights = np.zeros((z.shape[1], len(given.names)))
        if np.ptp(shared[:train_votes]) == 0:
            return Measurement({"BetaVAE": float((shared[train_votes:] == shared[0]).mean())}, weights, given.active)
        model = LogisticRegression(max_iter=1000).fit(means[:train_votes], shared[:train_votes])
        # With two classes scikit-learn keeps only the weights of the second.
        found = np.concatenate([-model.coef_, model.coef_]) if len(model.classes_) == 2 else model.coef_
        weights[:, model.classes_] = found.T
        accuracy = float((model.predict(means[train_votes:]) == shared[train_votes:]).mean())
        return Measurement({"BetaVAE": accuracy}, weights, given.active)

    method = f"logistic regression, batches of {batch}"
    n = {"n": len(data.codes), **n}
    return score_with_baselines("BetaVAE", data, measure, method=method, n=n, baselines=baselines, seed=seed)


class _Pools:
    """The rows with each value of each factor, to draw from. A value of a single row is never held fixed."""

    def __init__(self, rows: FactorRows) -> None:
        self.order = np.argsort(rows.classes, axis=0, kind="stable").T
        counts = [np.bincount(column) for column in rows.classes.T]
        self.start = np.stack([np.cumsum(c)[y] - c[y] for c, y in zip(counts, rows.classes.T, strict=True)])
        self.count = np.stack([c[y] for c, y in zip(counts, rows.classes.T, strict=True)])
        self.place = np.argsort(self.order, axis=1)  # the inverse of `order`
        for name, count in zip(rows.names, self.count, strict=True):
            if not (count > 1).any():
                raise ValueError(f"factors must repeat a value to hold it fixed, but {name!r} has no value in two rows")

    def leaders(self, factor: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """For each vote `size` rows, drawn from those whose value of `factor` occurs at least twice."""
        found = np.empty((len(factor), size), dtype=np.int64)
        for j in range(len(self.count)):
            legal, votes = np.flatnonzero(self.count[j] > 1), factor == j
            found[votes] = legal[rng.integers(len(legal), size=(int(votes.sum()), size))]
        return found

    def alike(self, factor: np.ndarray, leaders: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """For each vote `size` rows with its leader's value of `factor`."""
        steps = (rng.random((len(factor), size)) * self.count[factor, leaders][:, None]).astype(np.int64)
        return self.order[factor[:, None], self.start[factor, leaders][:, None] + steps]

    def partners(self, factor: np.ndarray, leaders: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each leader, (votes, size), another row with the same value of the vote's factor."""
        at = factor[:, None]
        start, count = self.start[at, leaders], self.count[at, leaders]
        step = 1 + (rng.random(leaders.shape) * (count - 1)).astype(np.int64)
        return self.order[at, start + (self.place[at, leaders] - start + step) % count]


def _robustly_scaled(codes: np.ndarray) -> np.ndarray:
    """Codes (n, d) in standard deviations of the clipped codes, or of all where that is 0, so that no outlier counts."""
    inner, plain = deviations(clipped(codes)), deviations(codes)
    return (codes - np.median(codes, axis=0)) / np.where(inner > 0, inner, np.where(plain > 0, plain, 1))


def _least_varying(
    z: np.ndarray, rows: FactorRows, votes: int, batch: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each vote the factor held fixed in `batch` rows, and the column of `z` that varies least in them, both (votes,)."""
    pools, factors, winners = _Pools(rows), [], []
    for count in _blocks(votes, batch * z.shape[1]):
        factor = rng.integers(len(rows.names), size=count)
        drawn = pools.alike(factor, pools.leaders(factor, 1, rng)[:, 0], batch, rng)
        factors.append(factor)
        winners.append(z[drawn].var(axis=1).argmin(axis=1))
    return np.concatenate(factors), np.concatenate(winners)


def _mean_differences(
    z: np.ndarray, rows: FactorRows, votes: int, batch: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each vote a factor (votes,), and the mean |difference| of `batch` pairs of rows that share its value (votes, d)."""
    pools, factors, means = _Pools(rows), [], []
    for count in _blocks(votes, batch * z.shape[1]):
        factor = rng.integers(len(rows.names), size=count)
        leaders = pools.leaders(factor, batch, rng)
        means.append(np.abs(z[leaders] - z[pools.partners(factor, leaders, rng)]).mean(axis=1))
        factors.append(factor)
    return np.concatenate(factors), np.concatenate(means)


def _blocks(votes: int, numbers: int) -> Iterator[int]:
    """Numbers of votes to draw at once, `numbers` each, so that at most 2 million numbers are held."""
    step = max(1, 2_000_000 // numbers)
    for start in range(0, votes, step):
        yield min(step, votes - start)
