"""Page 03's exercises: right answers pass, and each usual slip is named."""

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


def n_for_m(x, y, h, diagonal, pairs, across):
    in_y = (k(y, y, h).sum() - diagonal) / (pairs * (pairs - 1))
    return within(x, h) + in_y - 2 * k(x, y, h).sum() / (len(x) * across)


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
        (checks.check_mmd2, lambda x, y, h: n_for_m(x, y, h, len(x), len(x), len(y)), "n for m"),
        (checks.check_mmd2, lambda x, y, h: n_for_m(x, y, h, len(y), len(x), len(y)), "n for m"),
        (checks.check_mmd2, lambda x, y, h: n_for_m(x, y, h, len(x), len(y), len(y)), "n for m"),
        (checks.check_mmd2, lambda x, y, h: n_for_m(x, y, h, len(y), len(y), len(x)), "n for m"),
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
