"""Checks of page 05's exercises."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sculptlab.mmd import mmd_test
from sculptlab.priors import Gaussian, Mixture, Prior, Ring, Uniform
from sculptlab.series.checks.feedback import Feedback, judge

ROWS = 4000  # draws that an answer is judged by
DARKNESS = np.array([[0.0, 1.0, 3.0, 0.0], [0.0, 0.0, 0.0, 2.0], [4.0, 0.0, 0.0, 0.0]])  # another one when turned or swapped
EMPTY = "the function returns nothing yet: fill in the line with the dots"


def check_three_latents(answer: Callable[[], Any]) -> Feedback:
    """Exercise "say it": answer() -> a uniform latent on [-1, 1] beside a mixture of a small Gaussian (1/4) and a ring (3/4)."""
    try:
        prior = answer()
    except Exception as error:
        return Feedback(False, f"your code raised {type(error).__name__}: {error}")
    if prior is None or prior is Ellipsis:
        return Feedback(False, EMPTY)
    if not isinstance(prior, Prior):
        return Feedback(False, f"it should return a prior, made of sl.priors alone; yours is of type {type(prior).__name__}")
    if prior.dim != 3:
        return Feedback(
            False, f"it should have 3 latents, yours has {prior.dim}: the mixture is of two, `*` puts the first beside"
        )
    z = prior.sample(ROWS, torch.Generator().manual_seed(0))
    if (slip := _first(z[:, 0])) or (slip := _pair(z[:, 1:])):
        return Feedback(False, slip)
    pair = Mixture([Gaussian(2).scaled(0.2), Ring()], weights=[0.25, 0.75])
    right = (Uniform(1, -1.0, 1.0) * pair).sample(ROWS, torch.Generator().manual_seed(1))
    if mmd_test(z, right, permutations=200).p_value < 0.01:
        return Feedback(
            False, "each latent is right by itself, but not all three together: are the first and the pair independent?"
        )
    return Feedback(
        True, "one line, and a model can be trained on it (and turning it by 90° changed nothing: rings and bells are round)"
    )


def _first(u: torch.Tensor) -> str | None:
    low, high = u.min().item(), u.max().item()
    if -1 <= low < -0.98 and 0.98 < high <= 1 and abs(u.var().item() - 1 / 3) < 0.03:
        return None
    if 1.7 < high <= 3**0.5 + 1e-6:
        return f"the first latent reaches {high:.2f}: Uniform(1) has unit variance unless low and high are given"
    return f"the first latent should be uniform on [-1, 1]; yours goes from {low:.2f} to {high:.2f}"


def _pair(z: torch.Tensor) -> str | None:
    radius = z.norm(dim=1)
    center = (radius < 0.7).double().mean().item()
    near = z[radius < 0.7]
    if abs(center - 0.75) < 0.03:
        return "the weights are the wrong way round: 0.25 is the Gaussian's"
    if abs(center - 0.5) < 0.03:
        return "both parts are as likely: weights=[0.25, 0.75] says how often each is drawn"
    if abs(center - 0.25) > 0.03:
        return (
            f"{center:.0%} of the draws lie within 0.7 of the center, it should be 25%: the Gaussian's, of standard deviation 0.2"
        )
    spread = near.std().item()
    if abs(spread - 0.2) > 0.02:
        return f"the Gaussian's standard deviation is {spread:.2f}, not 0.2: .scaled takes the factor, a covariance its square"
    return None


def check_drawing(answer: Callable[[np.ndarray, int, np.random.Generator], Any]) -> Feedback:
    """Exercise "be the sampler": answer(darkness, n, rng) -> (n, 2) draws; the unit a pixel, the origin the lower left corner."""
    try:
        given = answer(DARKNESS.copy(), ROWS, np.random.default_rng(0))
        z = None if given is None or given is Ellipsis else np.asarray(given, dtype=float)
    except Exception as error:
        return Feedback(False, f"your code raised {type(error).__name__}: {error}")
    if z is None:
        return Feedback(False, EMPTY)
    if z.shape != (ROWS, 2) or not np.isfinite(z).all():
        return Feedback(False, f"the shape should be ({ROWS}, 2) and all numbers finite, yours is {z.shape}")
    if _near(z, DARKNESS):
        within = z - np.floor(z)
        if np.ptp(within) == 0:
            return Feedback(False, "the pixels are right, but every draw sits in the same place of its pixel: add a uniform one")
        if np.abs(within.mean(0) - 0.5).max() > 0.03 or np.abs(within.std(0) - 12**-0.5).max() > 0.02:
            return Feedback(False, "the pixels are right, but the places within them are not uniform on [0, 1)")
        if abs(np.corrcoef(within.T)[0, 1]) > 0.1:
            return Feedback(False, "the two coordinates of a place share one random number: draw (n, 2) of them")
        return Feedback(True, "draws are all that MMD asks for: this is a prior")
    slips = {
        "upside down: row 0 is the *top* row, the second coordinate goes up": DARKNESS[::-1],
        "white is drawn instead of black: darkness itself is the weight": DARKNESS.max() - DARKNESS,
        "every dark pixel is as likely in yours: the probability is the darkness over its sum": (DARKNESS > 0).astype(float),
    }
    for slip, wrong in slips.items():
        if _near(z, wrong):
            return Feedback(False, slip)
    if _near(z[:, ::-1], DARKNESS) or _near(z[:, ::-1], DARKNESS[::-1]):
        return Feedback(False, "rows and columns are swapped: the first coordinate goes right, the second up")
    return Feedback(
        False, "the pixels are not drawn in proportion to their darkness: compare np.histogram2d of your draws with it"
    )


def _near(z: np.ndarray, darkness: np.ndarray) -> bool:
    """Whether the shares of draws in each pixel are those of `darkness`, to five standard errors."""
    height, width = darkness.shape
    side = max(width, height)  # so that an answer with rows and columns swapped has room
    counts = np.histogram2d(z[:, 1], z[:, 0], bins=side, range=((0, side), (0, side)))[0]
    if counts.sum() != len(z):
        return False
    expected = np.zeros((side, side))
    expected[:height, :width] = darkness[::-1] / darkness.sum()
    return bool(np.abs(counts / len(z) - expected).max() < 5 * math.sqrt(0.25 / len(z)))


def check_quantization(answer: Callable[[float, float, int], Any]) -> Feedback:
    """Exercise "what a cut costs": answer(low, high, k) -> the mean squared error of 2^k equal steps over a uniform latent."""
    low, high, k = -1.7, 2.3, 3
    width = high - low
    step = width / 2**k
    slips = {
        "k bits tell 2^k steps apart, not k": (width / k) ** 2 / 12,
        "2^k steps, not 2^k - 1: the levels are the middles of the steps, not their edges": (width / (2**k - 1)) ** 2 / 12,
        "a uniform of width w has variance w²/12": step**2 / 3,
        "that is the standard deviation: square it": step / math.sqrt(12),
        "that is the largest error squared; the mean is asked": (step / 2) ** 2,
        "that is the variance of the whole latent: how wide is one step?": width**2 / 12,
        "the width of the step enters squared": step / 12,
    }
    praise = "each further bit divides it by four, until the error of the autoencoder itself is all that is left"
    return judge(answer, (low, high, k), np.asarray(step**2 / 12), {slip: np.asarray(v) for slip, v in slips.items()}, praise)
