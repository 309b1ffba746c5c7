import pytest
import torch

from sculptlab import checks


def right_kl(mean, std):
    return 0.5 * (mean**2 + std**2 - (std**2).log() - 1).sum(1)


def right_variance(mean, std):
    return mean.var(0, correction=0) + (std**2).mean(0)


def right_pair():
    first = 0.3 * torch.linspace(-1, 1, 200)
    return torch.stack([first, first], 1), torch.ones(200, 2)


@pytest.mark.parametrize(
    ("check", "answer"),
    [(checks.check_kl, right_kl), (checks.check_aggregate_variance, right_variance), (checks.check_same_sum, right_pair)],
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
        (checks.check_kl, lambda m, s: -right_kl(m, s), "sign"),
        (checks.check_kl, lambda m, s: 0.5 * (m**2 + s**2 - s.log() - 1).sum(1), "log"),
        (checks.check_kl, lambda m, s: 0.5 * (m**2 + s - (s**2).log() - 1).sum(1), "squared"),
        (checks.check_kl, lambda m, s: right_kl(m, s).mean(), "which axis"),
        (checks.check_kl, lambda m, s: right_kl(m, s) + 1, "expected about"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0, correction=0), "means alone"),
        (checks.check_aggregate_variance, lambda m, s: (s**2).mean(0), "own variance alone"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0, correction=0) + s.mean(0), "variances"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0, correction=0) + s.mean(0) ** 2, "averaging first"),
        (checks.check_aggregate_variance, lambda m, s: m.var(0) + (s**2).mean(0), "correction=0"),
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
        (lambda: 5 + torch.linspace(-1, 1, 1000).reshape(500, 2), "centre"),
        (lambda: torch.zeros(500, 2), "width"),
    ],
)
def test_slips_of_a_target_are_named(answer, words):
    feedback = checks.check_target(answer)
    assert not feedback.passed
    assert words in feedback.message
