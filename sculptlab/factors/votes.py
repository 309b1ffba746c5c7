"""Batches of rows that share one factor's value, and what they vote for: the draws behind FactorVAE and BetaVAE."""

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression

from sculptlab.factors.rows import Rows, clipped, deviations

FEWEST = 2  # rows that a value must have to be held fixed: one row alone does not vary at all
BLOCK = 2_000_000  # numbers drawn at once


class Pools:
    """The rows of each value of each factor, to draw from. A value of one row only is never held fixed."""

    def __init__(self, rows: Rows) -> None:
        self.order = np.argsort(rows.classes, axis=0, kind="stable").T
        counts = [np.bincount(column) for column in rows.classes.T]
        self.start = np.stack([np.cumsum(c)[y] - c[y] for c, y in zip(counts, rows.classes.T, strict=True)])
        self.count = np.stack([c[y] for c, y in zip(counts, rows.classes.T, strict=True)])
        self.place = np.argsort(self.order, axis=1)  # where in the order a row stands
        for name, count in zip(rows.names, self.count, strict=True):
            if not (count >= FEWEST).any():
                raise ValueError(f"factors must repeat a value to hold it fixed, but {name!r} has no value in two rows")

    def leaders(self, factor: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """For each vote `size` rows, drawn from those whose value of `factor` occurs at least twice."""
        found = np.empty((len(factor), size), dtype=np.int64)
        for j in range(len(self.count)):
            legal = np.flatnonzero(self.count[j] >= FEWEST)
            mine = factor == j
            found[mine] = legal[rng.integers(len(legal), size=(int(mine.sum()), size))]
        return found

    def alike(self, factor: np.ndarray, leaders: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """For each vote `size` rows with the value of `factor` that its leader has."""
        steps = (rng.random((len(factor), size)) * self.count[factor, leaders][:, None]).astype(np.int64)
        return self.order[factor[:, None], self.start[factor, leaders][:, None] + steps]

    def partners(self, factor: np.ndarray, leaders: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each leader, (votes, size), another row that shares its value of the vote's factor."""
        at = factor[:, None]
        start, count = self.start[at, leaders], self.count[at, leaders]
        step = 1 + (rng.random(leaders.shape) * (count - 1)).astype(np.int64)
        return self.order[at, start + (self.place[at, leaders] - start + step) % count]


def scaled(codes: np.ndarray) -> np.ndarray:
    """The codes (n, d) in standard deviations of the clipped ones, or plain ones where that is 0, so that no outlier counts."""
    inner, plain = deviations(clipped(codes)), deviations(codes)
    return (codes - np.median(codes, axis=0)) / np.where(inner > 0, inner, np.where(plain > 0, plain, 1))


def least_varying(z: np.ndarray, rows: Rows, votes: int, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For each vote a factor, held at one value in `batch` rows, and the column of `z` that varies least, both (votes,)."""
    pools = Pools(rows)
    factors, winners = [], []
    for count in _blocks(votes, batch * z.shape[1]):
        factor = rng.integers(len(rows.names), size=count)
        leaders = pools.leaders(factor, 1, rng)[:, 0]
        drawn = pools.alike(factor, leaders, batch, rng)
        factors.append(factor)
        winners.append(z[drawn].var(axis=1).argmin(axis=1))
    return np.concatenate(factors), np.concatenate(winners)


def majority(factors: np.ndarray, winners: np.ndarray, trained: int, k: int, d: int) -> tuple[np.ndarray, float]:
    """The votes (d, k) of the first `trained`, and how often the others' factor is their dimension's majority factor."""
    votes = np.zeros((d, k), dtype=np.int64)
    np.add.at(votes, (winners[:trained], factors[:trained]), 1)
    return votes, float((votes.argmax(1)[winners[trained:]] == factors[trained:]).mean())


def mean_differences(
    z: np.ndarray, rows: Rows, votes: int, batch: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each vote a factor (votes,), and the mean |difference| of `batch` pairs of rows that share its value (votes, d)."""
    pools = Pools(rows)
    factors, means = [], []
    for count in _blocks(votes, batch * z.shape[1]):
        factor = rng.integers(len(rows.names), size=count)
        leaders = pools.leaders(factor, batch, rng)
        means.append(np.abs(z[leaders] - z[pools.partners(factor, leaders, rng)]).mean(axis=1))
        factors.append(factor)
    return np.concatenate(factors), np.concatenate(means)


def told_apart(factors: np.ndarray, means: np.ndarray, trained: int, k: int) -> tuple[np.ndarray, float]:
    """The weights (d, k) of a linear classifier of the first `trained` votes' factor, and its accuracy on the others."""
    weights = np.zeros((means.shape[1], k))
    if np.ptp(factors[:trained]) == 0:
        return weights, float((factors[trained:] == factors[0]).mean())
    model = LogisticRegression(max_iter=1000).fit(means[:trained], factors[:trained])
    right = float((model.predict(means[trained:]) == factors[trained:]).mean())
    # of two classes scikit-learn keeps the second's weights alone
    found = np.concatenate([-model.coef_, model.coef_]) if len(model.classes_) == 2 else model.coef_
    weights[:, model.classes_] = found.T
    return weights, right


def _blocks(votes: int, numbers: int) -> Iterator[int]:
    step = max(1, BLOCK // numbers)
    for start in range(0, votes, step):
        yield min(step, votes - start)
