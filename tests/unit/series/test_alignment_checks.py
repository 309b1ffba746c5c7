"""Page 08's exercise: the right answer passes, each usual slip is named."""

import numpy as np
import pytest

from sculptlab.factors import alignment
from sculptlab.series import checks


def table(z, factors, size=np.abs):
    return size(np.corrcoef(z.T, factors.T)[:2, 2:])


def better(r):
    return max(r[0, 0] + r[1, 1], r[0, 1] + r[1, 0]) / 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda z, f: better(table(z, f)), None),
        (lambda z, f: alignment(z, f).mean(), None),
        (lambda z, f: better(table(z, f, np.array)), "sign"),
        (lambda z, f: table(z, f).max(0).mean(), "the same latent"),
        (lambda z, f: table(z, f).max(1).mean(), "left out"),
        (lambda z, f: table(z, f).diagonal().mean(), "better one"),
        (lambda z, f: table(z, f).mean(), "all pairs"),
        (lambda z, f: better(table(z, f, np.square)), "squared"),
        (lambda z, f: 2 * better(table(z, f)), "sum"),
        (lambda z, f: 0.123, "expected about"),
        (lambda z, f: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_the_alignment_is_named(answer, words):
    feedback = checks.check_alignment(answer)
    assert feedback.passed == (words is None), feedback
    assert words is None or words in feedback.message
