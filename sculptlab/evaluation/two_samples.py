"""Do two samples come from one distribution? Tests by MMD and by a classifier, and where one sample misses the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from sculptlab.mmd import mmd_test
from sculptlab.mmd.kernels import Kernel
from sculptlab.priors import Prior, as_prior
from sculptlab.threads import one_thread
from sculptlab.validation import as_group_size, as_seed, codes, finite, number, whole

LEAST_ROWS = 20  # no test here has any power with fewer
SHARED = 1.5  # variance of the C2ST accuracy in two dimensions, relative to coin tosses: 1.44 to 1.54 in 150 simulated tests
WIDE = 64  # columns, above which some work is reduced


@dataclass(frozen=True)
class C2STResult:
    """The outcome of a classifier two-sample test.

    Parameters
    ----------
    accuracy : float
        Share of held-out rows that are classified correctly; 0.5 is chance.
    p_value : float
        The probability of at least this accuracy by tossing coins.
    interval : tuple of two floats
        Wilson's 95 % interval of the accuracy, with two thirds of the number of rows, because the two halves share their rows.
    """

    accuracy: float
    p_value: float
    interval: tuple[float, float]


def c2st(x: Any, y: Any, seed: int = 0, group_size: int = 1) -> C2STResult:
    """Classifier two-sample test with gradient-boosted trees (Lopez-Paz and Oquab 2017, arXiv 1610.06545).

    Each half of the rows is classified by trees fitted to the other half. The binomial p-value is slightly too small, because
    the two halves share their rows: it falls below 0.05 in about 10 % of tests between samples of one distribution. Of more
    than 64 columns the trees see each one in 32 bins instead of 255, which takes a third of the time.

    Parameters
    ----------
    x, y : array_like of shape (n, d) and (m, d)
        Two samples with about as many rows, at least 20 each.
    seed : int
        Of the trees.
    group_size : int
        How many consecutive rows belong together, such as all places of one feature map. Each half holds whole groups, at least
        20 of x and of y in all, and the p-value and the interval count fewer rows, by how alike the rows of a group are
        classified. With 30 images of 9 places, correlated by 0.8, against 270 draws of the places' own distribution, the
        p-value was below 0.05 in 9 % of 110 tests; in 60 % without groups.

    Returns
    -------
    C2STResult

    Examples
    --------
    >>> sample = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> c2st(sample, sample + 10).accuracy
    1.0
    """
    from scipy.stats import binom, binomtest
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    seed = as_seed("seed", seed)
    x = codes("x", x, rows=LEAST_ROWS)
    y = codes("y", y, dim=x.shape[1], rows=LEAST_ROWS)
    size = as_group_size(group_size, len(x), len(y), least=LEAST_ROWS)
    rows = np.concatenate([sample.detach().cpu().double().numpy() for sample in (x, y)])
    first, half = np.arange(len(rows)) < len(x), np.concatenate([np.arange(len(sample)) // size % 2 for sample in (x, y)])
    bins = 255 if rows.shape[1] <= WIDE else 32
    trees = HistGradientBoostingClassifier(max_iter=50, max_bins=bins, early_stopping=False, random_state=seed)
    with one_thread():
        right = cross_val_predict(trees, rows, first, cv=PredefinedSplit(half)) == first
    # Groups classified alike have a variance of up to 1/4 around the share of their sample, independent rows 1 / (4 size).
    shares = [part.reshape(-1, size).mean(1) for part in np.split(right, [len(x)])]
    alike = max(1.0, 4 * size * np.concatenate([share - share.mean() for share in shares]).var()) if size > 1 else 1.0
    correct, count = right.sum() / alike, len(rows) / alike
    interval = binomtest(round(correct / SHARED), round(count / SHARED)).proportion_ci(method="wilson")
    p_value = float(binom.sf(round(correct) - 1, round(count), 0.5))
    return C2STResult(int(right.sum()) / len(rows), p_value, (float(interval.low), float(interval.high)))


def prior_samples(prior: Prior, most: int, max_rows: int, generator: Generator) -> tuple[Tensor, Tensor, Callable, int]:
    """Reference (for kernel and moments), control (the row "prior"), a function n -> (target, second), the most rows n.

    Control, target and second sample are independent: fresh draws, or of a prior that is an array of samples disjoint parts.
    """

    def sample(n: int) -> Tensor:
        return finite("prior's draws", prior.sample(n, generator)).cpu().double()

    bank = getattr(prior, "bank", None)
    if bank is None:
        return sample(20_000), sample(most), lambda n: (sample(n), sample(n)), max_rows
    third = len(bank) // 3
    if third < LEAST_ROWS:
        raise ValueError(f"prior must hold at least {3 * LEAST_ROWS} points where it is an array of them, got {len(bank)}")
    points = bank[torch.randperm(len(bank), generator=generator, device="cpu")].double()
    control, target, second = points[: 3 * third].split(third)
    return points, control[:most], lambda n: (target[:n], second[:n]), min(max_rows, third)


def two_sample_tests(z: Tensor, target: Tensor, kernel: Kernel, permutations: int, seed: int) -> dict[str, float]:
    """MMD and classifier two-sample tests of z (n, d) against target (m, d); columns as in `Diagnosis.joint`."""
    mmd = mmd_test(z.float(), target.float(), kernel, permutations, seed)  # single precision is enough and twice as fast
    classifier = c2st(z, target, seed)
    return {
        "mmd2": mmd.statistic, "mmd2_95": float(np.quantile(mmd.null, 0.95)), "mmd_p": mmd.p_value,
        "c2st": classifier.accuracy, "c2st_low": classifier.interval[0], "c2st_high": classifier.interval[1],
        "c2st_p": classifier.p_value, "rows": len(z),
    }  # fmt: skip


def coverage_gap(z: Any, target: Any, second: Any) -> float:
    """Share of a target's points that lie far from every code.

    Far is farther from the nearest code than 95 % of the target's points are from the nearest point of a second sample of it.

    Parameters
    ----------
    z, target, second : array_like of shape (n, d)
        Codes, and two independent samples of the distribution that they should cover.

    Returns
    -------
    float
        0.05 by chance, where `z` is a sample of the same distribution; 1 where the codes cover nothing.
    """
    x = codes("target", target)
    far = torch.cdist(x, codes("second", second, dim=x.shape[1]).to(x)).amin(1).quantile(0.95)
    return int((torch.cdist(x, codes("z", z, dim=x.shape[1]).to(x)).amin(1) > far).sum()) / len(x)


def off_support(z: Any, prior: Any, seed: int = 0) -> Tensor:
    """Find the codes that lie where a prior has no mass. Their share is the off-support mass.

    These are farther from the nearest of 10,000 draws of the prior than 99.9 % of 10,000 other draws.

    Parameters
    ----------
    z : array_like of shape (n, d)
    prior : prior_like
        Anything that `priors.as_prior` takes.
    seed : int
        Of the draws.

    Returns
    -------
    Tensor of shape (n,), bool
        True for codes off the support; for one in a thousand by chance.
    """
    from scipy.spatial import cKDTree

    generator = torch.Generator().manual_seed(as_seed("seed", seed))
    rows = codes("z", z, rows=1)
    first, second = (as_prior(prior, rows.shape[1]).sample(10_000, generator).numpy() for _ in range(2))
    mass = cKDTree(first)
    far = np.quantile(mass.query(second)[0], 0.999)
    return torch.from_numpy(mass.query(rows.detach().cpu().numpy())[0] > far)


def precision_recall(x: Any, reference: Any, neighbors: int = 3) -> tuple[float, float]:
    """Shares of a sample that lie near a reference (precision), and of the reference that lie near the sample (recall).

    Near a set is within the distance of any of its points to its own k-th nearest neighbor in the set: generated images that look
    real have a high precision, and those that are as diverse as real ones a high recall. Of two samples of one distribution
    both are equal on average, and below 1: compare with a second real sample. Both fall with the number of dimensions.

    Parameters
    ----------
    x, reference : array_like of shape (n, d) and (m, d)
        For example generated and real images, as features of about equal scale. Compare only values with the same n and m.
    neighbors : int
        k, below n and m.

    Returns
    -------
    tuple of two floats

    References
    ----------
    Kynkaanniemi et al. 2019, arXiv 1904.06991.

    Examples
    --------
    >>> real = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> precision_recall(real[real[:, 0] > 0], real)[0]
    1.0
    """
    whole("neighbors", neighbors)
    samples = codes("x", x, rows=neighbors + 1)
    known = codes("reference", reference, dim=samples.shape[1], rows=neighbors + 1).to(samples)
    return _share_near(samples, known, neighbors), _share_near(known, samples, neighbors)


def _share_near(rows: Tensor, points: Tensor, neighbors: int) -> float:
    """The share of rows (n, d) that lie within the distance of any of the points (m, d) to its neighbor number `neighbors`."""

    def distances(part: Tensor) -> Tensor:  # exact also between equal rows
        return torch.cdist(part, points, compute_mode="donot_use_mm_for_euclid_dist")

    # a point is its own nearest neighbor
    radius = torch.cat([distances(part).kthvalue(neighbors + 1, dim=1).values for part in points.split(1000)])
    return sum(int((distances(part) <= radius).any(1).sum()) for part in rows.split(1000)) / len(rows)


def hold_out(n: int, share: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Indices of n rows in an order drawn by `seed`: those to train on, and a share that is held out."""
    if number("held_out", share, above=0) >= 1:
        raise ValueError(f"held_out must be a share below 1, got {share:g}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(as_seed("seed", seed)), device="cpu")
    return order[round(share * n) :], order[: round(share * n)]
