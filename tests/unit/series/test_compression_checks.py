"""Page 09's exercises: the right answer passes, each usual slip is named."""

import numpy as np
import pytest
import torch

from sculptlab.series import checks


def entropy(symbols, base=2.0, scale=-1.0):
    total = 0.0
    for column in symbols.T:
        share = np.unique(column, return_counts=True)[1] / len(column)
        total += scale * (share * np.log(share) / np.log(base)).sum()
    return total


def with_absent_symbols(symbols):
    shares = torch.stack([torch.bincount(column, minlength=8) / len(column) for column in symbols.T])
    return -(shares * shares.log2()).sum()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (entropy, None),
        (lambda s: torch.tensor(entropy(s)), None),
        (lambda s: entropy(s, np.e), "nats"),
        (lambda s: entropy(s, scale=1), "sign"),
        (lambda s: entropy(s) / 2, "mean over the latents"),
        (lambda s: entropy(s.reshape(-1, 1)), "frequencies of its own"),
        (lambda s: 2 * entropy(s.reshape(-1, 1)), "frequencies of its own"),
        (lambda s: sum(np.log2(len(np.unique(column))) for column in s.T), "fixed length"),
        (with_absent_symbols, "NaN"),
        (lambda s: 1.234, "expected about"),
        (lambda s: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_the_entropy_is_named(answer, words):
    feedback = checks.check_entropy(answer)
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
