"""Checks of page 03's exercises, and the samples that they are about."""

import itertools
from collections.abc import Callable

import numpy as np

from sculptlab.mmd import mmd2, mmd_test
from sculptlab.mmd.kernels import RBF
from sculptlab.series.checks.feedback import (
    Answer,
    Mistake,
    Unanswered,
    as_array,
    call,
    exercise,
    require,
    require_value,
    same,
)
from sculptlab.validation import as_seed

PERIOD = 0.6  # distance from stripe to stripe of `ripples`, in units of z0
DEPENDENT_PAIR = (3, 8)  # the dimensions of `dependent_pair` that depend on each other


def ripples(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two samples (400, 2): y is standard normal, x is the same with z0 in stripes that are 0.6 apart."""
    rng = np.random.default_rng(as_seed("seed", seed))
    z = rng.normal(size=(2000, 2))
    kept = rng.random(2000) < (1 + np.cos(2 * np.pi * z[:, 0] / PERIOD)) / 2
    return z[kept][:400], rng.normal(size=(400, 2))


def dependent_pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two samples (400, 12): two dimensions of x depend on each other, all those of y are independent."""
    rng = np.random.default_rng(100 + as_seed("seed", seed))
    x, y = rng.normal(size=(2, 400, 12))
    first, second = DEPENDENT_PAIR
    x[:, second] = np.abs(x[:, first]) * rng.choice([-1, 1], 400)  # still normal, and uncorrelated: an X in the plane
    return x, y


@exercise("03-1")
def check_mmd2(answer: Answer) -> str:
    """Page 03, the estimator by hand: answer(x, y, h) -> the unbiased MMD^2 of x (n, d) and y (m, d) under an RBF of width h."""
    rng = np.random.default_rng(5)
    n, m, h = 7, 9, 1.3
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 1.5

    def other(kernel: Callable[[np.ndarray], np.ndarray]) -> float:
        unbiased, _, cross = _means(x, y, kernel)
        return float(unbiased.sum() - 2 * cross)

    (in_x, in_y), biased, cross = _means(x, y, lambda squared: np.exp(-squared / (2 * h**2)))
    within, right = in_x + in_y, in_x + in_y - 2 * cross
    undivided = in_x * (n - 1) / n + in_y * (m - 1) / m - 2 * cross
    slips = {
        "that is the biased estimate: leave out the pairs of a point with itself, divide by n (n - 1)": biased.sum() - 2 * cross,
        "the diagonal is gone, but you still divide by n²: there are n (n - 1) pairs left": undivided,
        "the cross term counts twice, for k(x, y) and k(y, x)": within - cross,
        "the cross term is subtracted: where points of x and y are close, the samples are more alike": within + 2 * cross,
        "that is half of it: some libraries define their loss so, MMD² is twice that": right / 2,
        "that is MMD, not its square: leave out the square root": np.sqrt(right),
        "that is the square root of the biased estimate: MMD² has no root, and no pairs of a point with itself": np.sqrt(
            biased.sum() - 2 * cross
        ),
        "the 2 is missing in exp(-D2 / (2 h²))": other(lambda squared: np.exp(-squared / h**2)),
        "D2 is the *squared* distance: leave out the square root": other(lambda squared: np.exp(-np.sqrt(squared) / (2 * h**2))),
        "the width enters squared: exp(-D2 / (2 h²))": other(lambda squared: np.exp(-squared / (2 * h))),
    } | _mixed_sizes(in_x * n * (n - 1) + n, in_y * m * (m - 1) + m, cross * n * m, n, m)
    short = y[:n]
    try:
        found = call(answer, x, y, h)
    except Unanswered:
        raise
    except Mistake:
        works = np.ndim(call(answer, x, short, h)) == 0
        require(not works, f"your code runs only where n = m: here x has n = {n} points and y has m = {m}")
        raise
    matched = np.exp(-((x - short) ** 2).sum(1) / (2 * h**2)).sum()  # of pairs (i, i), which are no point with itself
    fewer = [(cross * n * m - less) / pairs for less in (matched, n, m) for pairs in (n * m, n * (m - 1), m * (n - 1))]
    if any(same(as_array(found), as_array(within - 2 * mean)) for mean in fewer):
        slips["no pair is left out between x and y: the cross term is the mean over all n m of them"] = found
    (in_x, in_short), _, cross = _means(x, short, lambda squared: np.exp(-squared / (2 * h**2)))
    if same(as_array(call(answer, x, short, h)), as_array(in_x + in_short - 2 * cross)):
        slips["that is right only where n = m: which of the sums belong to n, which to m?"] = found
    require_value(found, right, slips)
    negative = as_array(answer(x[:4], x[:4] + 1e-3, h)) < 0
    require(negative, "for samples of one distribution the estimate is often negative: do not cut it off at 0")
    return "the mean over pairs within each sample, less twice the mean across"


def _mixed_sizes(sum_x: float, sum_y: float, across: float, n: int, m: int) -> dict[str, float]:
    """The estimates with n for m or m for n at one place or at several, from the sums of the three kernel matrices, by name."""
    slips: dict[str, float] = {}
    for x_diagonal, x_pairs, y_diagonal, y_pairs in itertools.product((n, m), repeat=4):
        for pairs, other in ((n * m, ""), (n * n, "n²"), (m * m, "m²")):
            wrong = {
                "the diagonal of k(x, x) has n entries": x_diagonal != n,
                "x has n (n - 1) pairs": x_pairs != n,
                "the diagonal of k(y, y) has m entries": y_diagonal != m,
                "y has m (m - 1) pairs": y_pairs != m,
                f"there are n m pairs between x and y, not {other}": pairs != n * m,
            }
            in_x, in_y = (sum_x - x_diagonal) / (x_pairs * (x_pairs - 1)), (sum_y - y_diagonal) / (y_pairs * (y_pairs - 1))
            words = f"n and m are mixed up, x has n points and y has m: {'; '.join(name for name in wrong if wrong[name])}"
            slips |= {words: in_x + in_y - 2 * across / pairs} if any(wrong.values()) else {}
    return dict(sorted(slips.items(), key=lambda slip: slip[0].count(";")))  # of two that are equal, the simpler one is named


def _means(x: np.ndarray, y: np.ndarray, kernel: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """The kernel's means within x and y without their diagonals, the same with them, and its mean across."""
    xx, yy, xy = (kernel(((a[:, None] - b[None]) ** 2).sum(-1)) for a, b in ((x, x), (y, y), (x, y)))
    unbiased = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    return np.array(unbiased), np.array([xx.mean(), yy.mean()]), float(xy.mean())


@exercise("03-2")
def check_bandwidth(answer: Answer) -> str:
    """Page 03, choose a bandwidth: answer() -> h > 0 with which the test rejects 9 of 10 fresh pairs of `ripples` at 5 %."""
    h = call(answer, read=float, wanted="one number, such as 1.0")
    require(0 < h < np.inf, f"a bandwidth is a length, above 0 and finite; you gave {h:g}")
    found = sum(mmd_test(*ripples(50 + seed), RBF(h)).p_value <= 0.05 for seed in range(10))
    words = f"with h = {h:g} the test rejects {found} of 10 fresh pairs"
    if found >= 9:
        return f"{words}: h is about the size of the difference, a part of the distance from stripe to stripe"
    require(h >= PERIOD / 10, f"{words}: too small, hardly two points are so near to each other")
    raise Mistake(f"{words}: too large, it averages over stripes that are {PERIOD} apart" if h > PERIOD / 3 else words)


@exercise("03-3")
def check_dependent_pair(answer: Answer) -> str:
    """Page 03, find the dependent pair: answer(x, y) -> the numbers of the two dimensions of `dependent_pair()`."""
    x, y = dependent_pair()
    given = call(answer, x, y, read=lambda pair: sorted({int(i) for i in pair}), wanted="two whole numbers, such as (0, 3)")
    numbered = len(given) == 2 and set(given) <= set(range(12))
    require(numbered, f"name two different dimensions of the twelve, 0 to 11; you named {given}")
    largest = f"not {given}: which entry of mmd2(x, y, views='pairs', reduction='none') is the largest?"
    require(tuple(given) == DEPENDENT_PAIR, largest)
    *_, second, first = sorted(mmd2(x, y, views="pairs", reduction="none").tolist())
    return f"their MMD² is {first:.2f}, the next pair's {second:.2f}"
