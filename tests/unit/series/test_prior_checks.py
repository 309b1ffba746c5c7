"""Page 05's exercises: the right answer passes, each usual slip is named."""

import numpy as np
import pytest

from sculptlab.priors import Gaussian, Mixture, Ring, Uniform
from sculptlab.series import checks


def three(first=(-1.0, 1.0), weights=(0.25, 0.75), scale=0.2):
    return Uniform(1, *first) * Mixture([Gaussian(2).scaled(scale), Ring()], weights=weights).rotated(np.pi / 2)


def dependent():
    class Follows(Gaussian):
        def _draw(self, n, generator, device):
            z = three()._draw(n, generator, device)
            order = z[:, 1:].norm(dim=1).argsort()
            z[order, 0] = z[:, 0].sort().values
            return z

    return Follows(3)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (three, None),
        (lambda: three((-(3**0.5), 3**0.5)), "unit variance"),
        (lambda: three((0.0, 1.0)), r"goes from 0.00 to 1.00"),
        (lambda: three(weights=(0.75, 0.25)), "swapped"),
        (lambda: three(weights=None), "equally likely"),
        (lambda: three(weights=(0.1, 0.9)), "should be 25%"),
        (lambda: three(scale=0.04), "standard deviation is 0.04"),
        (dependent, "independent"),
        (lambda: Ring() * Uniform(1), "goes from"),
        (lambda: Ring(), "yours has 2"),
        (lambda: np.zeros((5, 3)), "type ndarray"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_a_prior_is_named(answer, words):
    feedback = checks.check_three_latents(answer)
    assert feedback.passed == (words is None)
    assert words is None or words in feedback.message


def sampler(up=True, swap=False, jitter="both", invert=False, flat=False):
    def draw(darkness, n, rng):
        height, width = darkness.shape
        weights = darkness.max() - darkness if invert else (darkness > 0).astype(float) if flat else darkness
        row, column = np.divmod(rng.choice(darkness.size, size=n, p=weights.ravel() / weights.sum()), width)
        corner = np.stack([column, height - 1 - row if up else row], 1)[:, :: -1 if swap else 1]
        places = {"both": rng.random((n, 2)), "one": rng.random((n, 1)), "none": 0.5, "half": rng.random((n, 2)) / 2}
        return corner + places[jitter]

    return draw


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (sampler(), None),
        (sampler(up=False), "upside down"),
        (sampler(swap=True), "swapped"),
        (sampler(up=False, swap=True), "swapped"),
        (sampler(invert=True), "white"),
        (sampler(flat=True), "every dark pixel"),
        (sampler(jitter="none"), "same point"),
        (sampler(jitter="half"), "not uniform"),
        (sampler(jitter="one"), "share one random number"),
        (lambda d, n, rng: rng.random((n, 2)), "in proportion"),
        (lambda d, n, rng: rng.random((2, n)), "shape"),
        (lambda d, n, rng: d[99], "IndexError"),
        (lambda d, n, rng: ..., "returns nothing yet"),
    ],
)
def test_a_mistake_in_the_sampler_is_named(answer, words):
    feedback = checks.check_drawing(answer)
    assert feedback.passed == (words is None)
    assert words is None or words in feedback.message
