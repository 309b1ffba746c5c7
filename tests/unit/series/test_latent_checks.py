import numpy as np
import pytest
import torch

from sculptlab.independence.lps import lps
from sculptlab.series import checks
from sculptlab.series.reference_codes import cases as reference_codes


def right_kl(mean, std):
    return 0.5 * (mean**2 + std**2 - (std**2).log() - 1).sum(1)


def right_variance(mean, std):
    return mean.var(0, correction=0) + (std**2).mean(0)


def right_pair():
    first = 0.3 * torch.linspace(-1, 1, 200)
    return torch.stack([first, first], 1), torch.ones(200, 2)


def share(z, predicted):
    return 1 - ((z - predicted) ** 2).sum(0) / ((z - z.mean(0)) ** 2).sum(0)


def seen_by_squares(z):
    return np.argsort(lps(z, target="square", permutations=0).per_dimension)[-2:]


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (checks.check_score, lambda z, p: share(z, p).clip(0).mean()),
        (checks.check_puzzle, seen_by_squares),
        (checks.check_blind_spot, lambda: reference_codes.ring(2).sample(2000)),
        (checks.check_kl, right_kl),
        (checks.check_aggregate_variance, right_variance),
        (checks.check_same_sum, right_pair),
    ],
)
def test_the_right_answer_passes(check, answer):
    feedback = check(answer)
    assert feedback.passed, feedback
    assert str(feedback).startswith("✓ right")


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (checks.check_kl, lambda m, s: None, "returns nothing yet"),
        (checks.check_kl, lambda m, s: ..., "returns nothing yet"),
        (checks.check_kl, lambda m, s: 1 / 0, "ZeroDivisionError"),
        (checks.check_kl, lambda m, s: 2 * right_kl(m, s), "half is missing"),
        (checks.check_kl, lambda m, s: -right_kl(m, s), "the sign is wrong"),
        (checks.check_kl, lambda m, s: 0.5 * (m**2 + s**2 - s.log() - 1).sum(1), "log"),
        (checks.check_kl, lambda m, s: 0.5 * (m**2 + s - (s**2).log() - 1).sum(1), "squared"),
        (checks.check_kl, lambda m, s: right_kl(m, s).mean(), "which axis"),
        (checks.check_kl, lambda m, s: right_kl(m, s) + 1, "expected about"),
        (checks.check_kl, lambda m, s: 0.5 * (m**2 + s**2 - (s**2).log() - 1).mean(1), "you take the mean over the latents"),
        (checks.check_kl, lambda m, s: 0.5 * (m**2 + s.exp() - s - 1).sum(1), "std as the log-variance"),
        (checks.check_kl, lambda m, s: 0.5 * (m**2 + s - s.log() - 1).sum(1), "std as the variance"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0, correction=0), "the noise is forgotten"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0), "the noise is forgotten"),
        (checks.check_aggregate_variance, lambda m, s: (s**2).mean(0), "own variances alone"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0, correction=0) + s.mean(0), "std is not squared"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0) + s.mean(0), "std is not squared"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0, correction=0) + s.mean(0) ** 2, "square before averaging"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0) + (s**2).mean(0), "correction=0"),
        (checks.check_score, lambda z, p: None, "returns nothing yet"),
        (
            checks.check_score,
            lambda z, p: np.mean([np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(z.T, p.T, strict=True)]),
            "squared correlation",
        ),
        (checks.check_score, lambda z, p: share(z, p).mean(), "clip each dimension at 0 first"),
        (checks.check_score, lambda z, p: (1 - share(z, p)).mean(), "1 minus it"),
        (checks.check_score, lambda z, p: share(z, p).clip(0).sum(), "one number, the mean"),
        (checks.check_score, lambda z, p: share(z, p).clip(0), "which axis"),
        (checks.check_score, lambda z, p: (1 - ((z - p) ** 2).sum(0) / (z**2).sum(0)).clip(0).mean(), "around the mean"),
        (checks.check_score, lambda z, p: 1 - ((z - p) ** 2).sum() / ((z - z.mean(0)) ** 2).sum(), "largest unit"),
        (checks.check_blind_spot, lambda: None, "returns nothing yet"),
        (checks.check_blind_spot, lambda: np.zeros((5, 2)), "n >= 1000"),
        (checks.check_blind_spot, lambda: reference_codes.equicorrelated(0.6, 2).sample(1000), "with regressor='linear'"),
        (checks.check_blind_spot, lambda: reference_codes.parabola(2).sample(1000), "with regressor='mlp'"),
        (checks.check_blind_spot, lambda: reference_codes.independent("gaussian", 2).sample(1000), "little to see"),
        (checks.check_puzzle, lambda z: ..., "returns nothing yet"),
        (checks.check_puzzle, lambda z: 3, "two whole numbers"),
        (checks.check_puzzle, lambda z: (0, 1, 2), "you named [0, 1, 2]"),
        (checks.check_puzzle, lambda z: (2, 5), "numbered 0 to 4"),
        (checks.check_puzzle, lambda z: (0, 1), "which target"),
        (checks.check_same_sum, lambda: None, "returns nothing yet"),
        (checks.check_same_sum, lambda: 3, "two tensors"),
        (checks.check_same_sum, lambda: torch.zeros(100, 2), "two tensors"),
        (checks.check_same_sum, lambda: (torch.zeros(3, 2), torch.ones(3, 2)), "shape"),
        (checks.check_same_sum, lambda: (torch.zeros(100, 2), torch.zeros(100, 2)), "above 0"),
        (checks.check_same_sum, lambda: (10 * right_pair()[0], right_pair()[1]), "largest KL"),
        (checks.check_same_sum, lambda: (torch.zeros(100, 2), torch.ones(100, 2)), "correlation"),
    ],
)
def test_slips_are_named(check, answer, words):
    feedback = check(answer)
    assert not feedback.passed
    assert words in feedback.message
    assert "not yet" in feedback._repr_html_()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: ..., "returns nothing yet"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: torch.zeros(10, 2), "n >= 500"),
        (lambda: torch.full((500, 2), torch.nan), "NaN"),
        (lambda: 5 + torch.linspace(-1, 1, 1000).reshape(500, 2), "center"),
        (lambda: torch.zeros(500, 2), "width"),
    ],
)
def test_slips_of_a_target_are_named(answer, words):
    feedback = checks.check_target(answer)
    assert not feedback.passed
    assert words in feedback.message
