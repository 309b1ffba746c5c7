"""The study of power: which difference from N(0, I) which kernel and view finds, at how many rows and dimensions."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab.mmd import mmd2
from sculptlab.mmd.kernels import IMQ, RBF, Energy, Kernel
from sculptlab.priors import Gaussian, Uniform
from sculptlab.series.results import Recorded, write
from sculptlab.validation import choice, number, whole

LEVEL = 0.05
DIMENSIONS, SIZES = (2, 4, 8, 16, 32), (64, 128, 256, 512)
ROWS, DIM = 256, 8  # of the axis that is held


def _shifted(z: Tensor) -> Tensor:
    return z + 0.2


def _narrow(z: Tensor) -> Tensor:
    return 0.8 * z


def _uniform(z: Tensor) -> Tensor:
    return Uniform(1).high * torch.erf(z / 2**0.5)  # each dimension by its rank: uniform, of unit variance


def _twice(z: Tensor) -> Tensor:
    return torch.cat([z[:, :1], z[:, :1], z[:, 2:]], 1)


# each makes of standard normal rows (n, d) rows of another distribution; "none" is the null
DIFFERENCES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda z: z,
    "mean shifted by 0.2": _shifted,
    "std 0.8": _narrow,
    "uniform, unit variance": _uniform,
    "one dimension twice": _twice,
}
# name -> (kernel for d dimensions, views, reduction)
LENSES: dict[str, tuple[Callable[[int], Kernel], str, str]] = {
    "joint IMQ": (lambda d: IMQ(base=2.0 * d), "joint", "mean"),
    "joint RBF, median": (lambda d: RBF().fit(Gaussian(d)), "joint", "mean"),
    "joint Energy": (lambda d: Energy(), "joint", "mean"),
    "joint RBF, exp(-D2/d²)": (lambda d: RBF(bandwidth=d / 2**0.5), "joint", "mean"),
    "marginals, mean": (lambda d: IMQ(base=2.0), "marginal", "mean"),
    "pairs, mean": (lambda d: IMQ(base=4.0), "pairs", "mean"),
    "pairs, worst": (lambda d: IMQ(base=4.0), "pairs", "max"),
}


def bags(difference: str, n: int, dim: int, seed: int) -> tuple[Tensor, Tensor]:
    """x (n, dim) with the `difference`, and y (n, dim) from N(0, I), independent of each other."""
    choice("difference", difference, DIFFERENCES)
    generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
    x, y = torch.randn(2, whole("n", n, least=2), whole("dim", dim, least=2), generator=generator)
    return DIFFERENCES[difference](x), y


def statistics(x: Any, y: Any, lenses: Sequence[str] | None = None) -> dict[str, float]:
    """The unbiased MMD^2 of `x` (n, d) from `y` (m, d), d >= 2, under each of `lenses` (None: all of LENSES)."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    found: dict[str, float] = {}
    views: dict[str, Tensor] = {}
    for name in LENSES if lenses is None else lenses:
        choice("lenses", name, LENSES)
        kernel, view, reduction = LENSES[name]
        if view == "joint":
            found[name] = mmd2(x, y, kernel(x.shape[1])).item()
            continue
        if view not in views:  # one look at the views serves their mean and the worst of them
            views[view] = mmd2(x, y, kernel(x.shape[1]), views=view, reduction="none")
        found[name] = (views[view].mean() if reduction == "mean" else views[view].max()).item()
    return found


def draws(
    difference: str, n: int, dim: int, *, count: int, seed: int = 0, lenses: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """`count` independent pairs of bags and their `statistics`, one row each."""
    # a stream of its own for each setting and seed: the null must not be drawn from the bags it judges
    first = 1_000_000 * seed + 100_000 * list(DIFFERENCES).index(choice("difference", difference, DIFFERENCES))
    settings = {"difference": difference, "n": n, "d": dim, "seed": seed}
    return [{**settings, **statistics(*bags(difference, n, dim, first + draw), lenses)} for draw in range(whole("count", count))]


def rates(frame: pd.DataFrame, *, level: float = LEVEL) -> pd.DataFrame:
    """How often each lens rejects: columns difference, n, d, seed, lens, rate; from rows as `draws` makes them.

    A value counts when fewer than `level` of the null's would exceed it: when it is larger than all but the largest
    floor(level (N + 1)) - 1 of the N values with the difference "none" at the same n and d, of all seeds. The null is
    drawn anew rather than permuted, as the prior can be sampled and views would cost a permutation test dearly.
    Raises ValueError where the null has too few values for the level.
    """
    number("level", level, above=0)
    lenses = [name for name in LENSES if name in frame.columns]
    rows = []
    for (n, dim), here in frame.groupby(["n", "d"]):
        null, others = here[here["difference"] == "none"], here[here["difference"] != "none"]
        rank = int(level * (len(null) + 1))
        if rank < 1:
            raise ValueError(f"frame must have at least {int(1 / level - 1e-9)} null rows at n={n}, d={dim}, got {len(null)}")
        for lens in lenses:
            limit = null[lens].nlargest(rank).iloc[-1]
            found = (others[lens] > limit).groupby([others["difference"], others["seed"]]).mean()
            rows += [
                {"difference": difference, "n": n, "d": dim, "seed": seed, "lens": lens, "rate": rate}
                for (difference, seed), rate in found.items()
            ]
    return pd.DataFrame(rows)


def power(
    grid: Sequence[tuple[int, int]],
    seeds: Sequence[int],
    *,
    null: int = 40,
    count: int = 12,
    lenses: Sequence[str] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """The `rates` over a `grid` of (n, d): for each seed `null` draws without and `count` with each difference."""
    settings = [(n, dim, name, seed) for n, dim in dict.fromkeys(grid) for name in DIFFERENCES for seed in seeds]
    found: list[dict[str, Any]] = []
    for n, dim, name, seed in tqdm(settings, disable=not progress, unit="setting"):
        found += draws(name, n, dim, count=null if name == "none" else count, seed=seed, lenses=lenses)
    return rates(pd.DataFrame(found))


def record_power(seeds: Sequence[int] = range(5), *, null: int = 40, count: int = 12) -> Recorded:
    """Run page 03's study of power over dimensions (n = 256) and rows (d = 8), and record it."""
    grid = [(ROWS, dim) for dim in DIMENSIONS] + [(n, DIM) for n in SIZES]
    frame = power(grid, seeds, null=null, count=count)
    settings = {"level": LEVEL, "null draws a seed": null, "draws a seed": count, "n at d": ROWS, "d at n": DIM}
    return write("mmd_power", frame, seeds=list(seeds), settings=settings)
