"""Power of MMD tests: how often does which kernel and view reject a sample that differs from N(0, I)?"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sculptlab.mmd import mmd2, sliced_mmd2
from sculptlab.mmd.kernels import IMQ, RBF, Energy
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.runner import run_study
from sculptlab.validation import SEEDS, as_seed, choice, number, whole

Chosen = Sequence[str] | None  # names of `STATISTICS`; None: all

LEVEL = 0.05
DIMENSIONS, SIZES, SLICED_SIZES = (2, 4, 8, 16, 32), (64, 128, 256, 512), (64, 128, 256, 512)
ROWS, DIM = 256, 8  # the number of rows while dimensions vary, and the reverse
DIRECTIONS = 128  # of sliced MMD

# what each difference makes of standard normal rows (n, d); "none" is the null hypothesis
DIFFERENCES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda z: z,
    "mean shifted by 0.2": lambda z: z + 0.2,
    "std 0.8": lambda z: 0.8 * z,
    "uniform, unit variance": lambda z: 3**0.5 * torch.erf(z / 2**0.5),  # 2 Phi(z) - 1 is uniform on [-1, 1]
    "one dimension twice": lambda z: torch.cat([z[:, :1], z[:, :1], z[:, 2:]], 1),
    "one dimension uniform": lambda z: torch.cat([3**0.5 * torch.erf(z[:, :1] / 2**0.5), z[:, 1:]], 1),
    "one dimension, std 3": lambda z: torch.cat([3 * z[:, :1], z[:, 1:]], 1),
    "no difference": lambda z: z,  # other samples than those of "none": how often a test rejects without reason
}
IN_ALL = ("none", "mean shifted by 0.2", "std 0.8", "uniform, unit variance", "one dimension twice")
IN_ONE = ("none", "no difference", "one dimension twice", "one dimension uniform", "one dimension, std 3")


def mmd2_of_pairs(x: Tensor, y: Tensor) -> Tensor:
    """`mmd2` of x (n, d) and y (m, d) under RBF(1) for each two dimensions, off the diagonal of (d, d).

    This kernel of two dimensions is a product of two kernels of one, so that the sums for all pairs are one matrix product.
    """

    def sums(a: Tensor, b: Tensor) -> Tensor:
        k = torch.exp(-0.5 * (a.T[:, :, None] - b.T[:, None]).square()).flatten(1)
        return k @ k.T

    n, m = len(x), len(y)
    return (sums(x, x) - n) / (n * (n - 1)) + (sums(y, y) - m) / (m * (m - 1)) - 2 * sums(x, y) / (n * m)


# name -> the statistic of two samples, (n, d) and (m, d); "h = 1" is the kernel RBF(1) of one or two dimensions
STATISTICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "joint IMQ": lambda x, y: mmd2(x, y, IMQ(base=2.0 * x.shape[1])),
    "joint RBF, median": lambda x, y: mmd2(x, y, RBF().fit(Gaussian(x.shape[1]))),
    "joint Energy": lambda x, y: mmd2(x, y, Energy()),
    "joint RBF, exp(-D2/d²)": lambda x, y: mmd2(x, y, RBF(bandwidth=x.shape[1] / 2**0.5)),
    "marginals, mean": lambda x, y: mmd2(x, y, IMQ(base=2.0), views="marginal"),
    "pairs, mean": lambda x, y: mmd2(x, y, IMQ(base=4.0), views="pairs"),
    "pairs, worst": lambda x, y: mmd2(x, y, IMQ(base=4.0), views="pairs", reduction="max"),
    "marginals, mean, h = 1": lambda x, y: mmd2(x, y, RBF(1.0), views="marginal"),
    "pairs, worst, h = 1": lambda x, y: mmd2_of_pairs(x, y).triu(1).amax(),
    "sliced Energy": lambda x, y: sliced_mmd2(x, y, DIRECTIONS),
    "sliced RBF, h = 1": lambda x, y: sliced_mmd2(x, y, DIRECTIONS, RBF(1.0)),
}
OF_VIEWS = tuple(STATISTICS)[:7]
# largest number of points of 64 dimensions -> the statistics that take at most a tenth of a second there
LARGEST = {256: ("marginals, mean, h = 1", "pairs, worst, h = 1"), 512: ("joint IMQ", "sliced Energy", "sliced RBF, h = 1")}


def sample_pair(difference: str, n: int, dim: int, seed: int) -> tuple[Tensor, Tensor]:
    """x (n, dim) with the `difference`, and y (n, dim) from N(0, I), independent of each other."""
    choice("difference", difference, DIFFERENCES)
    generator = torch.Generator().manual_seed(as_seed("seed", seed))
    shape = 2, whole("n", n, least=2), whole("dim", dim, least=2)
    x, y = torch.randn(shape, generator=generator, device="cpu", dtype=torch.float32)
    return DIFFERENCES[difference](x), y


def mmd_statistics(x: Any, y: Any, statistics: Chosen = None) -> dict[str, float]:
    """The unbiased MMD^2 of `x` (n, d) and `y` (m, d), d >= 2, by each of `statistics` (None: all of `STATISTICS`).

    Sliced statistics take the same directions for all samples.
    """
    x, y = torch.as_tensor(x, device="cpu"), torch.as_tensor(y, device="cpu")
    names = list(STATISTICS) if statistics is None else statistics
    return {name: STATISTICS[choice("statistics", name, STATISTICS)](x, y).item() for name in names}


def draw_statistics(
    difference: str, n: int, dim: int, *, count: int, seed: int = 0, statistics: Chosen = None
) -> list[dict[str, Any]]:
    """The `mmd_statistics` of `count` independent pairs of samples, one row each."""
    # every difference and seed has its own range of random seeds: the null must be independent of what is tested
    first = 1_000_000 * as_seed("seed", seed) + 100_000 * list(DIFFERENCES).index(choice("difference", difference, DIFFERENCES))
    common = {"dim": dim, "difference": difference, "n": n, "seed": seed}
    pairs = (sample_pair(difference, n, dim, (first + draw) % SEEDS) for draw in range(whole("count", count)))
    return [{**common, **mmd_statistics(*pair, statistics)} for pair in pairs]


def rejection_rates(frame: pd.DataFrame, *, level: float = LEVEL) -> pd.DataFrame:
    """How often each statistic rejects: columns dim, difference, n, seed, statistic, rate; from rows of `draw_statistics`.

    A value is rejected if it exceeds all but the largest floor(level (N + 1)) - 1 of the N null values (difference "none")
    at the same n and dim, over all seeds. The null is sampled, not permuted, because N(0, I) can be sampled.
    Raises ValueError where the null has too few values for the level.
    """
    number("level", level, above=0)
    rows = []
    for (n, dim), group in frame.groupby(["n", "dim"]):
        null, others = group[group["difference"] == "none"], group[group["difference"] != "none"]
        rank = int(level * (len(null) + 1))
        if rank < 1:
            raise ValueError(f"frame must have at least {int(1 / level - 1e-9)} null rows at n={n}, dim={dim}, got {len(null)}")
        for name in [name for name in STATISTICS if name in frame.columns]:
            limit = null[name].nlargest(rank).iloc[-1]
            rates = (others[name] > limit).groupby([others["difference"], others["seed"]]).mean()
            rows += [(dim, difference, n, seed, name, rate) for (difference, seed), rate in rates.items()]
    return pd.DataFrame(rows, columns=["dim", "difference", "n", "seed", "statistic", "rate"])


def power_study(
    grid: Sequence[tuple[int, int]],
    seeds: Sequence[int],
    *,
    null: int,
    count: int,
    statistics: Chosen = None,
    differences: Iterable[str] = DIFFERENCES,
    **options: Any,
) -> pd.DataFrame:
    """The `rejection_rates` over a `grid` of (n, dim): for each seed `null` samples without and `count` with each difference."""

    def draw(condition: tuple[int, int, str], seed: int) -> list[dict[str, Any]]:
        n, dim, difference = condition
        wanted = null if difference == "none" else count
        return draw_statistics(difference, n, dim, count=wanted, seed=seed, statistics=statistics)

    conditions = [(n, dim, difference) for n, dim in grid for difference in differences]
    columns = ("n", "dim", "difference")
    return rejection_rates(run_study(conditions, seeds, draw, lambda _, rows, seed: rows, columns=columns, **options))


def record_power(seeds: Sequence[int] = range(5), *, null: int = 40, count: int = 12) -> Recorded:
    """Run page 03's study of power over dimensions (n = 256) and rows (dim = 8), and record it."""
    grid = [(ROWS, dim) for dim in DIMENSIONS] + [(n, DIM) for n in SIZES]
    frame = power_study(grid, seeds, null=null, count=count, statistics=OF_VIEWS, differences=IN_ALL)
    settings = {"level": LEVEL, "null_samples_per_seed": null, "samples_per_seed": count}
    settings |= {"n_while_dim_varies": ROWS, "dim_while_n_varies": DIM}
    return record_result("mmd_power", frame, seeds=seeds, settings=settings)


def record_sliced_power(seeds: Sequence[int] = range(1, 6), *, dim: int = 64, null: int = 40, count: int = 12) -> Recorded:
    """Run page 03's study of sliced MMD beside the other views, over rows of 64 dimensions, and record it."""
    frames = []
    for least, most in zip((0, *LARGEST), LARGEST, strict=False):
        sizes = [(n, dim) for n in SLICED_SIZES if least < n <= most]
        names = [name for largest, few in LARGEST.items() if largest >= most for name in few]
        frames.append(power_study(sizes, seeds, null=null, count=count, statistics=names, differences=IN_ONE))
    settings = {"level": LEVEL, "null_samples_per_seed": null, "samples_per_seed": count, "directions": DIRECTIONS}
    return record_result("mmd_power_sliced", pd.concat(frames), seeds=seeds, settings=settings)
