"""Checks of page 03's exercises, and the bags of points they are about."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch

from sculptlab.mmd import mmd2, mmd_test
from sculptlab.mmd.kernels import RBF
from sculptlab.series.checks.feedback import Feedback, judge

PERIOD = 0.6  # of the ripples, in units of z0
COARSE, FINE = RBF(10.0), RBF(0.5)  # the kernel to be fooled, and the one that must not be
CULPRITS = (3, 8)


def ripples(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two bags (400, 2) for the exercise "choose a bandwidth": y is normal, x the same with z0 in stripes 0.6 apart."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(2000, 2))
    kept = rng.random(2000) < (1 + np.cos(2 * np.pi * drawn[:, 0] / PERIOD)) / 2
    return drawn[kept][:400], rng.normal(size=(400, 2))


def suspects(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two bags (400, 12) for the exercise "find the culprits": in x, and not in y, two of the dimensions go together."""
    rng = np.random.default_rng(100 + seed)
    x, y = rng.normal(size=(2, 400, 12))
    first, second = CULPRITS
    x[:, second] = np.abs(x[:, first]) * rng.choice([-1, 1], 400)  # normal as before and uncorrelated: an X in the plane
    return x, y


def check_mmd2(answer: Callable[[np.ndarray, np.ndarray, float], Any]) -> Feedback:
    """Exercise "the estimator by hand": answer(x, y, h) -> the unbiased MMD^2 of bags (n, d), (m, d) under an RBF of width h."""
    rng = np.random.default_rng(5)
    x, y, width = rng.normal(size=(7, 2)), rng.normal(size=(9, 2)) + 1.5, 1.3
    within, own, cross = _means(x, y, lambda squared: np.exp(-squared / (2 * width**2)))
    right = within.sum() - 2 * cross
    wider = _means(x, y, lambda squared: np.exp(-squared / width**2))
    rooted = _means(x, y, lambda squared: np.exp(-np.sqrt(squared) / (2 * width**2)))
    linear = _means(x, y, lambda squared: np.exp(-squared / (2 * width)))
    short = within * [6 / 7, 8 / 9]
    slips = {
        "that is the biased estimate: leave out the pairs of a point with itself, and divide by n (n - 1)": own.sum() - 2 * cross,
        "the diagonal is gone, but you still divide by n²: there are n (n - 1) pairs left": short.sum() - 2 * cross,
        "the cross term counts twice, for k(x, y) and k(y, x)": within.sum() - cross,
        "the cross term is subtracted: points of different bags that are close make the bags more alike": within.sum()
        + 2 * cross,
        "that is half of it: some libraries define their loss so, MMD² is twice that": right / 2,
        "that is MMD, not its square: leave out the root": np.sqrt(right),
        "the 2 is missing in exp(-D2 / (2 h²))": wider[0].sum() - 2 * wider[2],
        "D2 is the *squared* distance: leave out the root": rooted[0].sum() - 2 * rooted[2],
        "the width enters squared: exp(-D2 / (2 h²))": linear[0].sum() - 2 * linear[2],
    }
    praise = "the mean over pairs within each bag, less twice the mean across"
    slips["the sums are divided by each bag's own size: the second bag has m points"] = (
        within[0] + within[1] * 9 * 8 / (7 * 6) - 2 * cross
    )
    found = judge(answer, (x, y, width), np.asarray(right), {words: np.asarray(value) for words, value in slips.items()}, praise)
    if found.passed and float(answer(x[:4], x[:4] + 1e-3, width)) >= 0:
        return Feedback(False, "for bags that agree the value is often negative: do not cut it off at 0")
    return found


def check_bandwidth(answer: Callable[[], Any]) -> Feedback:
    """Exercise "choose a bandwidth": answer() -> h > 0 for which the test finds 9 of 10 fresh pairs of `ripples` at 5 %."""
    given = _given(answer, "one number, such as 1.0", float)
    if isinstance(given, Feedback):
        return given
    if not 0 < given < np.inf:
        return Feedback(False, f"a bandwidth is a length, above 0 and finite; you gave {given:g}")
    found = sum(mmd_test(*ripples(50 + seed), RBF(given)).p_value <= 0.05 for seed in range(10))
    words = f"h = {given:g} finds {found} of 10 fresh pairs of bags"
    if found >= 9:
        return Feedback(True, f"{words}: about the size of what differs, a part of the distance from stripe to stripe")
    if given < PERIOD / 10:
        return Feedback(False, f"{words}: too small, hardly two points are so near to each other")
    return Feedback(
        False, f"{words}: too large, it averages over stripes that are {PERIOD} apart" if given > PERIOD / 3 else words
    )


def check_blind_kernel(answer: Callable[[], Any]) -> Feedback:
    """Exercise "break it": answer() -> (x, y), each (n, 2) with 200 <= n <= 2000, that RBF(10) cannot tell apart
    (p > 0.05) and RBF(0.5) can (p <= 0.01)."""
    given = _given(answer, "two arrays, (x, y)", lambda pair: [np.asarray(rows, dtype=float) for rows in pair])
    if isinstance(given, Feedback):
        return given
    if len(given) != 2 or any(z.ndim != 2 or z.shape[1] != 2 or not 200 <= len(z) <= 2000 for z in given):
        return Feedback(False, f"x and y should have shape (n, 2) with n from 200 to 2000, yours are {[z.shape for z in given]}")
    x, y = given
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Feedback(False, "some values are NaN or infinite")
    coarse, fine = mmd_test(x, y, COARSE).p_value, mmd_test(x, y, FINE).p_value
    if coarse <= 0.05:
        apart, wide = np.abs(x.mean(0) - y.mean(0)).max(), np.abs(np.cov(x.T) - np.cov(y.T)).max()
        why = f"the means differ by {apart:.2f}" if apart > 0.1 else f"means agree, the covariances differ by {wide:.2f}"
        return Feedback(False, f"RBF(10) tells them apart, p = {coarse:.3f}: {why}, and that is what a wide kernel sees")
    if fine > 0.01:
        return Feedback(False, f"RBF(0.5) sees no difference either, p = {fine:.3f}: the shapes must differ")
    means, spreads = np.abs(x.mean(0) - y.mean(0)).max(), np.abs(np.cov(x.T) - np.cov(y.T)).max()
    gaps = f"means differ by up to {means:.2f}, covariances by up to {spreads:.2f}"
    return Feedback(True, f"p = {coarse:.2f} for RBF(10), {fine:.3f} for RBF(0.5); {gaps}")


def check_culprits(answer: Callable[[np.ndarray, np.ndarray], Any]) -> Feedback:
    """Exercise "find the culprits": answer(x, y) -> the numbers of the two dimensions of `suspects()` that go together."""
    x, y = suspects()
    given = _given(lambda: answer(x, y), "two whole numbers, such as (0, 3)", lambda pair: sorted({int(i) for i in pair}))
    if isinstance(given, Feedback):
        return given
    if len(given) != 2 or not set(given) <= set(range(x.shape[1])):
        return Feedback(False, f"two different dimensions of the twelve, 0 to 11, go together; you named {given}")
    if tuple(given) != CULPRITS:
        return Feedback(False, f"not {given}: which entry of mmd2(x, y, views='pairs', reduction='none') is the largest?")
    pairs = mmd2(torch.from_numpy(x), torch.from_numpy(y), views="pairs", reduction="none")
    values = dict(zip(combinations(range(12), 2), pairs.tolist(), strict=True))
    return Feedback(True, f"their MMD² is {values[CULPRITS]:.2f}, the next pair's {sorted(values.values())[-2]:.2f}")


def _means(x: np.ndarray, y: np.ndarray, kernel: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """The kernel's mean within x and within y without the diagonals, the same with them, and its mean across."""
    parts = [kernel(((a[:, None] - b[None]) ** 2).sum(-1)) for a, b in ((x, x), (y, y), (x, y))]
    without = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in parts[:2]]
    return np.array(without), np.array([k.mean() for k in parts[:2]]), float(parts[2].mean())


def _given(answer: Callable[[], Any], wanted: str, read: Callable[[Any], Any]) -> Any:
    """What the learner returns, read, or what is wrong with it."""
    try:
        value = answer()
        if value is None or value is ...:
            return Feedback(False, "the function returns nothing yet: fill in the line with the dots")
        return read(value)
    except Exception as error:
        return Feedback(False, f"it should return {wanted}; {type(error).__name__}: {error}")
