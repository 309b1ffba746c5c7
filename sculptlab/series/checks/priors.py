"""Checks of page 05's exercises."""

import math

import numpy as np
import torch

from sculptlab.mmd import mmd_test
from sculptlab.priors import Gaussian, Mixture, Prior, Ring, Uniform
from sculptlab.series.checks.feedback import Answer, call, call_for_codes, exercise, require

ROWS = 4000  # draws of the answer's sampler
DARKNESS = np.array([[0.0, 1.0, 3.0, 0.0], [0.0, 0.0, 0.0, 2.0], [4.0, 0.0, 0.0, 0.0]])  # no symmetry: a flip or a swap shows


@exercise("05-1")
def check_three_latents(answer: Answer) -> str:
    """Page 05, a product prior: answer() -> a uniform latent on [-1, 1] beside a mixture of a Gaussian (1/4) and a ring (3/4)."""
    prior = call(answer)
    of_type = f"it should return a prior, made of sl.priors alone; yours is of type {type(prior).__name__}"
    require(isinstance(prior, Prior), of_type)
    latents = f"it should have 3 latents, yours has {prior.dim}: the mixture is of two, `*` puts the first beside"
    require(prior.dim == 3, latents)
    z = prior.sample(ROWS, torch.Generator().manual_seed(0))
    u, pair = z[:, 0], z[:, 1:]
    low, high = u.min().item(), u.max().item()
    unscaled = 1.7 < high <= 3**0.5 + 1e-6
    require(not unscaled, f"the first latent reaches {high:.2f}: Uniform(1) has unit variance unless low and high are given")
    fits = -1 <= low < -0.98 and 0.98 < high <= 1 and abs(u.var().item() - 1 / 3) < 0.03
    require(fits, f"the first latent should be uniform on [-1, 1]; yours goes from {low:.2f} to {high:.2f}")
    near = pair.norm(dim=1) < 0.7  # the Gaussian's draws; the ring's radius is about 1.4
    share = near.double().mean().item()
    require(abs(share - 0.75) >= 0.03, "the weights are swapped: 0.25 is the Gaussian's")
    require(abs(share - 0.5) >= 0.03, "both parts are equally likely: weights=[0.25, 0.75] says how often each is drawn")
    expected = "it should be 25%: the Gaussian's, of standard deviation 0.2"
    require(abs(share - 0.25) <= 0.03, f"{share:.0%} of the draws lie within 0.7 of the center, {expected}")
    std = pair[near].std().item()
    scale = f"the Gaussian's standard deviation is {std:.2f}, not 0.2: .scaled takes the factor, a covariance its square"
    require(abs(std - 0.2) <= 0.02, scale)
    right = Uniform(1, -1.0, 1.0) * Mixture([Gaussian(2).scaled(0.2), Ring()], weights=[0.25, 0.75])
    p = mmd_test(z, right.sample(ROWS, torch.Generator().manual_seed(1)), permutations=200).p_value
    require(p >= 0.01, "each latent is right by itself, but not all three together: are the first and the pair independent?")
    return "one line, and a model can be trained on it (the rotation by 90° changes nothing: Gaussian and ring are round)"


@exercise("05-2")
def check_drawing(answer: Answer) -> str:
    """Page 05, write the sampler: answer(darkness, n, rng) -> (n, 2) draws; unit: a pixel, origin: the lower left corner."""
    z = call_for_codes(answer, DARKNESS.copy(), ROWS, np.random.default_rng(0), shape=(ROWS, 2))
    if not _follows(z, DARKNESS):
        slips = {
            "upside down: row 0 is the *top* row, the second coordinate goes up": DARKNESS[::-1],
            "white is drawn instead of black: darkness itself is the weight": DARKNESS.max() - DARKNESS,
            "yours draws every dark pixel equally often: the probability is the darkness over its sum": DARKNESS > 0,
        }
        for slip, wrong in slips.items():
            require(not _follows(z, wrong), slip)
        swapped = _follows(z[:, ::-1], DARKNESS) or _follows(z[:, ::-1], DARKNESS[::-1])
        require(not swapped, "rows and columns are swapped: the first coordinate goes right, the second up")
        histogram = "compare np.histogram2d of your draws with the darkness"
        require(False, f"the pixels are not drawn in proportion to their darkness: {histogram}")
    within = z - np.floor(z)
    fixed = "the pixels are right, but every draw lies at the same point of its pixel: add a uniform number"
    require(np.ptp(within) > 0, fixed)
    uniform = np.abs(within.mean(0) - 0.5).max() <= 0.03 and np.abs(within.std(0) - 12**-0.5).max() <= 0.02
    require(uniform, "the pixels are right, but the points within them are not uniform on [0, 1)")
    dependent = abs(np.corrcoef(within.T)[0, 1]) > 0.1
    require(not dependent, "the two coordinates of a point share one random number: draw (n, 2) of them")
    return "MMD needs nothing but draws: this is a prior"


def _follows(z: np.ndarray, darkness: np.ndarray) -> bool:
    """Whether the share of draws in each pixel is that of the darkness, to five standard errors."""
    height, width = darkness.shape
    side = max(width, height)  # a square, so that draws with rows and columns swapped fit in
    counts = np.histogram2d(z[:, 1], z[:, 0], bins=side, range=((0, side), (0, side)))[0]
    expected = np.zeros((side, side))
    expected[:height, :width] = darkness[::-1] / darkness.sum()
    return counts.sum() == len(z) and bool(np.abs(counts / len(z) - expected).max() < 5 * math.sqrt(0.25 / len(z)))
