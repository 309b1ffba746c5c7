"""Page 03's exercises: right answers pass, and each usual slip is named."""

import itertools

import numpy as np
import pytest

from sculptlab.mmd import mmd2, mmd_test
from sculptlab.mmd.kernels import RBF
from sculptlab.series import checks
from sculptlab.series.checks.mmd import DEPENDENT_PAIR, PERIOD, dependent_pair, ripples


def k(a, b, h):
    return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * h**2))


def within(x, h):
    return (k(x, x, h).sum() - len(x)) / (len(x) * (len(x) - 1))


def by_hand(x, y, h):
    return within(x, h) + within(y, h) - 2 * k(x, y, h).mean()


def biased(x, y, h):
    return k(x, x, h).mean() + k(y, y, h).mean() - 2 * k(x, y, h).mean()


def with_sizes(x_diagonal="n", x_pairs="n", y_diagonal="m", y_pairs="m", pairs="nm"):
    """The estimator with these sizes in place of n and m."""

    def answer(x, y, h):
        sizes = {"n": len(x), "m": len(y)}
        (a, b), (c, d) = (sizes[x_diagonal], sizes[x_pairs]), (sizes[y_diagonal], sizes[y_pairs])
        in_x, in_y = (k(x, x, h).sum() - a) / (b * (b - 1)), (k(y, y, h).sum() - c) / (d * (d - 1))
        return in_x + in_y - 2 * k(x, y, h).sum() / (sizes[pairs[0]] * sizes[pairs[1]])

    return answer


def of_equal_sizes(x, y, h):
    """Gretton et al. 2012, lemma 6 for m = n: no pair (i, i) of x and y either."""
    n, both = len(x), k(x, x, h) + k(y, y, h) - k(x, y, h) - k(x, y, h).T
    return (both.sum() - np.trace(both)) / (n * (n - 1))


def cross_without_diagonal(x, y, h):
    xy = k(x, y, h)
    return within(x, h) + within(y, h) - 2 * (xy.sum() - np.trace(xy)) / (len(x) * (len(y) - 1))


def of_the_shorter(x, y, h):
    least = min(len(x), len(y))
    return by_hand(x[:least], y[:least], h)


def short(x, y, h):
    return (k(x, x, h).sum() - len(x)) / len(x) ** 2 + (k(y, y, h).sum() - len(y)) / len(y) ** 2 - 2 * k(x, y, h).mean()


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (checks.check_mmd2, by_hand),
        (checks.check_bandwidth, lambda: 0.1),
        (checks.check_dependent_pair, lambda x, y: DEPENDENT_PAIR),
        (checks.check_dependent_pair, lambda x, y: np.array(DEPENDENT_PAIR[::-1])),
    ],
)
def test_the_right_answer_passes(check, answer):
    feedback = check(answer)
    assert feedback.passed, feedback


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (checks.check_mmd2, lambda x, y, h: ..., "returns nothing yet"),
        (checks.check_mmd2, lambda x, y, h: 1 / 0, "ZeroDivisionError"),
        (checks.check_mmd2, lambda x, y, h: k(x, y, h), "over which axis"),
        (checks.check_mmd2, biased, "biased estimate"),
        (checks.check_mmd2, short, "n (n - 1) pairs left"),
        (checks.check_mmd2, lambda x, y, h: within(x, h) + within(y, h) - k(x, y, h).mean(), "counts twice"),
        (checks.check_mmd2, lambda x, y, h: within(x, h) + within(y, h) + 2 * k(x, y, h).mean(), "is subtracted"),
        (checks.check_mmd2, lambda x, y, h: by_hand(x, y, h) / 2, "half of it"),
        (checks.check_mmd2, lambda x, y, h: by_hand(x, y, h) ** 0.5, "leave out the square root"),
        (checks.check_mmd2, lambda x, y, h: biased(x, y, h) ** 0.5, "square root of the biased estimate"),
        (checks.check_mmd2, with_sizes("m", "m", "n", "n"), "n and m are mixed up, x has n points and y has m"),
        (checks.check_mmd2, with_sizes(y_diagonal="n", y_pairs="n"), "k(y, y) has m entries; y has m (m - 1) pairs"),
        (checks.check_mmd2, with_sizes(x_diagonal="m", x_pairs="m"), "k(x, x) has n entries; x has n (n - 1) pairs"),
        (checks.check_mmd2, with_sizes(pairs="nn"), "y has m: there are n m pairs"),
        (checks.check_mmd2, with_sizes(pairs="mm"), "y has m: there are n m pairs"),
        (checks.check_mmd2, of_equal_sizes, "runs only where n = m"),
        (checks.check_mmd2, cross_without_diagonal, "no pair is left out between x and y"),
        (checks.check_mmd2, of_the_shorter, "right only where n = m"),
        (checks.check_mmd2, lambda x, y, h: by_hand(x, y, h / 2**0.5), "the 2 is missing"),
        (checks.check_mmd2, lambda x, y, h: by_hand(x, y, h**0.5), "width enters squared"),
        (checks.check_mmd2, lambda x, y, h: by_hand(x, y, h) + 1, "expected about"),
        (checks.check_bandwidth, lambda: ..., "returns nothing yet"),
        (checks.check_bandwidth, lambda: "wide", "one number"),
        (checks.check_bandwidth, lambda: 0, "above 0"),
        (checks.check_bandwidth, lambda: float("nan"), "above 0"),
        (checks.check_bandwidth, lambda: 0.002, "too small"),
        (checks.check_bandwidth, lambda: 1.0, "too large"),
        (checks.check_dependent_pair, lambda x, y: ..., "returns nothing yet"),
        (checks.check_dependent_pair, lambda x, y: "ab", "two whole numbers"),
        (checks.check_dependent_pair, lambda x, y: (1, 1), "you named [1]"),
        (checks.check_dependent_pair, lambda x, y: (1, 12), "you named [1, 12]"),
        (checks.check_dependent_pair, lambda x, y: (0, 3), "is the largest"),
    ],
)
def test_a_slip_is_named(check, answer, words):
    feedback = check(answer)
    assert not feedback.passed
    assert words in feedback.message


@pytest.mark.parametrize("sizes", [*itertools.product("nm", "nm", "nm", "nm", ("nm", "nn", "mm"))], ids="".join)
def test_every_way_to_exchange_the_sizes_is_named(sizes):
    feedback = checks.check_mmd2(with_sizes(*sizes))
    right = [size == other for size, other in zip(sizes, ("n", "n", "m", "m", "nm"), strict=True)]
    assert feedback.passed == all(right)
    assert feedback.passed or "mixed up" in feedback.message
    assert feedback.passed or feedback.message.count(";") <= right.count(False) - 1


def test_ripples_have_stripes_and_nothing_else():
    x, y = ripples(4)
    assert x.shape == y.shape == (400, 2)
    assert np.cos(2 * np.pi * x[:, 0] / PERIOD).mean() == pytest.approx(0.5, abs=0.1)  # E cos under (1 + cos) is 1/2
    assert np.cos(2 * np.pi * x[:, 1] / PERIOD).mean() == pytest.approx(0, abs=0.1)
    assert np.allclose([x.mean(0), x.std(0)], [[0, 0], [1, 1]], atol=0.15)


def test_the_dependent_pair_shows_neither_in_the_marginals_nor_in_the_joint_test():
    x, y = dependent_pair()
    correlation = np.corrcoef(x.T) - np.eye(12)
    assert np.abs(correlation).max() < 0.2
    assert np.allclose(np.abs(x[:, DEPENDENT_PAIR[0]]), np.abs(x[:, DEPENDENT_PAIR[1]]))
    assert mmd_test(x, y).p_value > 0.05
    pairs = mmd2(x, y, views="pairs", reduction="none").numpy()
    first, second = np.triu_indices(12, 1)
    assert (first[pairs.argmax()], second[pairs.argmax()]) == DEPENDENT_PAIR


def test_an_estimate_cut_off_at_zero_does_not_pass():
    def clamped(x, y, h):
        return max(0.0, mmd2(x, y, RBF(h)).item())

    feedback = checks.check_mmd2(clamped)
    assert not feedback.passed
    assert "cut it off" in feedback.message
