"""Page 09's exercises: the right answer passes, each usual slip is named."""

import numpy as np
import pytest

from sculptlab.series import checks


def by_logarithms(rates, errors, target):
    return np.interp(np.log(target), np.log(errors)[::-1], rates[::-1])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (by_logarithms, None),
        (checks.rate_at_error, None),
        (lambda r, e, t: np.interp(np.log(t), np.log(e), r), "reverse both arrays"),
        (lambda r, e, t: np.interp(t, e, r), "reverse both arrays"),
        (lambda r, e, t: np.interp(np.log(t), np.log(e)[::-1], r), "reverse the rates"),
        (lambda r, e, t: np.interp(t, e[::-1], r[::-1]), "by factors"),
        (lambda r, e, t: np.interp(t, np.log(e)[::-1], r[::-1]), "of the target"),
        (lambda r, e, t: np.exp(by_logarithms(np.log(r), e, t)), "without a logarithm"),
        (lambda r, e, t: r[np.abs(e - t).argmin()], "measured rates"),
        (lambda r, e, t: np.interp(t, r, e), "error at a rate"),
        (lambda r, e, t: 1.234, "expected about"),
        (lambda r, e, t: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_the_rate_at_equal_distortion_is_named(answer, words):
    feedback = checks.check_rate_at(answer)
    assert feedback.passed == (words is None), feedback
    assert words is None or words in feedback.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda low, high, k: ((high - low) / 2**k) ** 2 / 12, None),
        (lambda low, high, k: ((high - low) / 2**k) ** 2, "/12 is forgotten"),
        (lambda low, high, k: ((high - low) / k) ** 2 / 12, "give 2^k steps"),
        (lambda low, high, k: ((high - low) / (2**k - 1)) ** 2 / 12, "2^k - 1"),
        (lambda low, high, k: ((high - low) / 2**k) ** 2 / 3, "variance w²/12"),
        (lambda low, high, k: (high - low) / 2**k / 12**0.5, "square it"),
        (lambda low, high, k: (high - low) / 2**k / 12, "enters squared"),
        (lambda low, high, k: (high - low) ** 2 / 12, "one step"),
        (lambda low, high, k: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_the_quantization_error_is_named(answer, words):
    feedback = checks.check_quantization(answer)
    assert feedback.passed == (words is None)
    assert words is None or words in feedback.message


def test_the_quantization_error_is_what_quantizing_gives():
    z = np.linspace(-2, 1, 300_001)
    step = 3 / 2**4
    cut = -2 + step * (np.floor((z + 2) / step).clip(0, 15) + 0.5)
    assert ((z - cut) ** 2).mean() == pytest.approx(step**2 / 12, rel=1e-3)
