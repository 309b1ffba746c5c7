"""Page 06's exercises: right answers pass, each usual slip is named."""

import pytest
import torch

from sculptlab.series import checks


def shuffled(z):
    orders = (torch.randperm(len(z), generator=torch.Generator().manual_seed(i)) for i in range(z.shape[1]))
    return torch.stack([column[order] for column, order in zip(z.T, orders, strict=True)], 1)


def quarter(z):
    return torch.stack([-z[:, 1], z[:, 0]], 1)


def cosines(z, a):
    return (z @ a.T) / (z.norm(dim=1, keepdim=True) * a.norm(dim=1))


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (checks.check_same_marginals, shuffled),
        (checks.check_moved, quarter),
        (checks.check_moved, checks.moved_codes),
        (checks.check_moved, lambda z: -z),
        (checks.check_moved, lambda z: z * torch.tensor([1.0, -1.0])),
        (checks.check_moved, lambda z: z.roll(1, 0)),
        (checks.check_relative, cosines),
    ],
)
def test_right_answers_pass(check, answer):
    feedback = check(answer)
    assert feedback.passed, feedback


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (checks.check_same_marginals, lambda z: None, "nothing yet"),
        (checks.check_same_marginals, lambda z: z, "still depend"),
        (checks.check_same_marginals, lambda z: z.roll(1, 0), "whole rows"),
        (checks.check_same_marginals, lambda z: torch.cat([shuffled(z)[:, :1], z[:, 1:]], 1), "order of its own"),
        (checks.check_same_marginals, lambda z: 2 * shuffled(z), "values of a column"),
        (checks.check_same_marginals, lambda z: z[:10], "shape should be"),
        (checks.check_same_marginals, lambda z: z / 0, "NaN"),
        (checks.check_same_marginals, lambda z: z.nothing, "AttributeError"),
        (checks.check_moved, lambda z: ..., "nothing yet"),
        (checks.check_moved, lambda z: z, "hardly moved"),
        (checks.check_moved, lambda z: z + 2, "has changed"),
        (checks.check_moved, lambda z: -2 * z, "has changed"),
        (checks.check_relative, lambda z, a: z @ a.T, "dot product"),
        (checks.check_relative, lambda z, a: (z @ a.T) / z.norm(dim=1, keepdim=True), "divide by those of the anchors"),
        (checks.check_relative, lambda z, a: (z @ a.T) / a.norm(dim=1), "divide by those of the codes"),
        (checks.check_relative, lambda z, a: (z / z.norm(dim=0)) @ (a / a.norm(dim=0)).T, "belongs to a row"),
        (checks.check_relative, lambda z, a: 1 - cosines(z, a), "not 1 minus"),
        (checks.check_relative, torch.cdist, "the distance"),
        (checks.check_relative, lambda z, a: cosines(z, a).T, "shape"),
    ],
)
def test_a_slip_is_named(check, answer, words):
    feedback = check(answer)
    assert not feedback.passed
    assert words in feedback.message
