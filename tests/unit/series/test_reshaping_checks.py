"""Page 07's exercises: right answers pass, each usual slip is named."""

import math

import pytest
import torch

from sculptlab.series import checks


def turned(z, angle=0.7):
    cosine, sine = math.cos(angle), math.sin(angle)
    return z @ torch.tensor([[cosine, sine], [-sine, cosine]])


def twisted(z):
    angle, radius = torch.atan2(z[:, 1], z[:, 0]), z.norm(dim=1)
    return torch.stack([radius * (angle + radius).cos(), radius * (angle + radius).sin()], 1)


def levels(x):
    return (x.argsort().argsort() + 0.5) / len(x)


def one_permuted(z):
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(0))
    return torch.cat([z[order, :1], z[:, 1:]], 1)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (checks.check_to_target, checks.same_quantiles),
        (checks.check_to_target, lambda x, target: target.quantile(levels(x))),
        (checks.check_to_target, lambda x, target: target.sort().values[(levels(x) * len(target)).long()]),
        (checks.check_another_representation, twisted),
        (checks.check_another_representation, lambda z: turned(twisted(z))),
        (checks.check_broken_copy, one_permuted),
        (checks.check_broken_copy, lambda z: z.sort(0).values),
    ],
)
def test_right_answers_pass(check, answer):
    feedback = check(answer)
    assert feedback.passed, feedback


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (checks.check_to_target, lambda x, target: None, "nothing yet"),
        (checks.check_to_target, lambda x, target: levels(x), "levels between 0 and 1"),
        (checks.check_to_target, lambda x, target: (x - x.mean()) / x.std() * target.std() + target.mean(), "not its shape"),
        (checks.check_to_target, lambda x, target: x, "not its shape"),
        (checks.check_to_target, lambda x, target: x.exp(), "the distribution is not the target's"),
        (checks.check_to_target, lambda x, target: target.quantile(levels(x)).sort().values, "are sorted"),
        (checks.check_to_target, lambda x, target: target.quantile(levels(-x)), "decreasing"),
        (checks.check_to_target, lambda x, target: target.quantile(levels(x)).roll(1), "not in the order of x"),
        (checks.check_to_target, lambda x, target: target.quantile(x.sigmoid()).flip(0), "target's median"),
        (checks.check_to_target, lambda x, target: target, "one value for each of x"),
        (checks.check_to_target, lambda x, target: x / 0, "NaN"),
        (checks.check_another_representation, lambda z: ..., "nothing yet"),
        (checks.check_another_representation, lambda z: z.clone(), "as they were"),
        (checks.check_another_representation, lambda z: z.flip(1), "same axes"),
        (checks.check_another_representation, lambda z: -z, "same axes"),
        (checks.check_another_representation, turned, "rotation or a reflection"),
        (checks.check_another_representation, lambda z: turned(z, math.pi / 4), "rotation or a reflection"),
        (checks.check_another_representation, lambda z: turned(z).flip(1), "rotation or a reflection"),
        (checks.check_another_representation, lambda z: z.roll(1, 0), "by itself"),
        (checks.check_another_representation, lambda z: z + z.mean(0), "by itself"),
        (checks.check_another_representation, lambda z: torch.stack([z[:, 0], z[:, 0] + z[:, 1]], 1), "correlated"),
        (checks.check_another_representation, lambda z: torch.stack([z[:, 0] + z[:, 1], z[:, 0] - z[:, 1]], 1), "should be 1"),
        (checks.check_another_representation, lambda z: z + 1, "distribution has changed"),
        (checks.check_another_representation, lambda z: z[:, :1], "shape"),
        (checks.check_broken_copy, lambda z: z, "still there"),
        (checks.check_broken_copy, lambda z: z.roll(1, 0), "still there"),
        (checks.check_broken_copy, lambda z: 2 * z, "values of a column"),
        (checks.check_broken_copy, lambda z: torch.cat([z[[1, 0, *range(2, len(z))], :1], z[:, 1:]], 1), "hardly sees"),
    ],
)
def test_a_slip_is_named(check, answer, words):
    feedback = check(answer)
    assert not feedback.passed
    assert words in feedback.message
