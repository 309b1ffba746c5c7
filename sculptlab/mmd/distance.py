"""Maximum mean discrepancy: how far two clouds of codes are apart, where, and whether that is more than chance."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.mmd.discrepancy import discrepancies
from sculptlab.mmd.kernel_base import Kernel, pair_of_codes, squared_distances
from sculptlab.mmd.kernels import as_kernel
from sculptlab.mmd.tiles import marked_sums, precise
from sculptlab.validation import as_tensor, choice, codes, whole

VIEWS = ("joint", "marginal", "pairs")
POINTS = 256  # of a witness function at a time


@dataclass(frozen=True)
class MMDTestResult:
    """A permutation test's outcome: the unbiased MMD^2, its p-value, and what `permutations` reshuffled labels gave."""

    statistic: float
    p_value: float
    null: np.ndarray = field(repr=False)


def mmd2(
    x: Any,
    y: Any,
    kernel: Kernel | None = None,
    estimator: str = "unbiased",
    views: str = "joint",
    reduction: str = "mean",
) -> torch.Tensor:
    """The squared maximum mean discrepancy of `x` (n, d) from the target `y` (m, d), a 0-d tensor differentiable in
    both.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y). "unbiased" leaves out the pairs of a point with itself, and
    is negative about half the time when the two distributions agree; "biased" keeps them and is never negative. An open
    width of `kernel` (default `IMQ()`) is set by `y` and held constant for the gradient; `kernel.fit(prior)` sets it
    once and for all.

    `views` says what is compared: all dimensions at once ("joint"); each alone ("marginal"), which sees the shape of
    every single dimension; each two ("pairs"), which sees what depends on what. With many dimensions the joint kernel
    sees neither. `reduction` makes one number of the d single or d (d - 1) / 2 double views: their "mean"; their "max",
    the worst view, which sees one in hundreds where the mean drowns it, and has a gradient in that view alone; "none"
    gives them all, (v,), the pairs in the order of `itertools.combinations` (the joint view is one: 0-d). A width left open
    is then set for one or two dimensions, each in units of its standard deviation in `y`; a width given is used as it is,
    in units of `x` and `y` (`objectives.MMD` takes it in the prior's standard deviations).

    Exact, and so is the gradient, found in the same pass over tiles of the kernel matrices: memory is O((n + m) d), and
    O((n + m) d^2) for pairs. A second derivative is computed from whole matrices, O((n + m)^2).
    Raises ValueError for shapes or devices that differ, values that are not finite, fewer than two rows (one if
    "biased"), TypeError for tensors of integers. Source: Gretton et al. 2012, JMLR 13.

    >>> round(mmd2([[0.0], [1.0]], [[3.0], [4.0]], RBF(bandwidth=1.0), "biased").item(), 4)
    1.5276
    """
    choice("estimator", estimator, ("unbiased", "biased"))
    choice("views", views, VIEWS)
    choice("reduction", reduction, ("mean", "max", "none"))
    unbiased = estimator == "unbiased"
    x, y = pair_of_codes(x, y, rows=2 if unbiased else 1)
    x, y, kernel = _viewed(x, y, as_kernel(kernel), views)
    if reduction == "max" and len(x) > 1:
        worst = discrepancies(x.detach(), y.detach(), kernel, unbiased).argmax()
        x, y = x[worst][None], y[worst][None]
    values = discrepancies(x, y, kernel, unbiased)
    return values if reduction == "none" and views != "joint" else values.mean()


def witness(x: Any, y: Any, points: Any, kernel: Kernel | None = None) -> Any:
    """Where `x` (n, d) and `y` (m, d) differ: f(p) = mean_i k(x_i, p) - mean_j k(y_j, p) at `points` (q, d), as (q,).

    Positive where there is more of `x`, negative where there is more of `y`; of all functions of the kernel's space it
    tells the two apart best, and mean f(x) - mean f(y) is the biased MMD^2. An open width of `kernel` (default `IMQ()`)
    is set by `y`. A tensor of points gives a tensor, differentiable in all three; else an array.
    Raises ValueError as `mmd2` does. Source: Gretton et al. 2012, JMLR 13, section 2.3.
    """
    x, y = pair_of_codes(x, y)
    place = points if isinstance(points, torch.Tensor) else as_tensor("points", points).to(x.device)
    if place.device != x.device:
        raise ValueError(f"points must be on the device of x and y, {x.device}, got {place.device}")
    at = codes("points", place, dim=x.shape[1], rows=1).to(x.dtype)
    kernel = _fitted(as_kernel(kernel), y, len(y))
    with torch.autocast(x.device.type, enabled=False):
        x, y, at = precise(kernel, x, y, at)
        values = [
            kernel.of(squared_distances(block, x)).mean(1) - kernel.of(squared_distances(block, y)).mean(1)
            for block in at.split(POINTS)
        ]
    found = torch.cat(values)
    if isinstance(points, torch.Tensor):
        return found.to(points.dtype) if points.is_floating_point() else found.float()
    return found.detach().cpu().numpy()


def mmd_test(
    x: Any,
    y: Any,
    kernel: Kernel | None = None,
    permutations: int = 200,
    seed: int = 0,
    views: str = "joint",
    reduction: str = "mean",
) -> MMDTestResult:
    """Do `x` (n, d) and `y` (m, d) come from one distribution? The unbiased MMD^2 against that of reshuffled labels.

    p = (1 + #{null >= statistic}) / (1 + permutations), never 0. The statistic is what `mmd2` gives with the same `views`
    and `reduction` ("mean" or "max"), and a permutation moves whole rows, all views alike: one p-value that needs no
    correction for their number. One dimension that is a copy of another is one pair in d (d - 1) / 2: from d = 16 the mean
    over pairs finds it no more often than the joint kernel, their max does.

    Every permutation reads the kernel matrices of the pooled rows, all by one matrix product, a tile of them at a time
    and each pair of rows once. Memory is that of the rows of all views, O((n + m) d^2) for pairs, and for the max a
    number for each view and permutation besides. On one CPU core the 2,016 pairs of 64 dimensions take 5 s at n = m =
    500 and 200 permutations, their max 10 s. The level is exact for a kernel of given width or fitted to the prior;
    with the default, whose width is set by `y`, it is so up to the noise of that width: at 5 %, 4 to 6 % of 400 true
    nulls of 50 rows and more, 6 to 8 % of 20 rows.
    Raises ValueError as `mmd2` does, and for values whose squares leave the floating type.
    """
    permutations = whole("permutations", permutations)
    generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
    choice("views", views, VIEWS)
    choice("reduction", reduction, ("mean", "max"))
    x, y = (rows.detach() for rows in pair_of_codes(x, y, rows=2))
    n, m = len(x), len(y)
    kernel = as_kernel(kernel)
    _in_reach("x", x)
    _in_reach("y", y)
    x, y, kernel = _viewed(x, y, kernel, views)
    pooled = torch.cat([x, y], dim=1)
    # column 0 marks the true x, those after it n rows at random
    ranks = torch.rand(permutations, n + m, generator=generator).argsort(dim=1).T.to(x.device)
    truth = torch.arange(n + m, device=x.device)[:, None] < n
    marks = torch.cat([truth, ranks < n], dim=1)
    with torch.autocast(x.device.type, enabled=False):
        (points,) = precise(kernel, pooled)
        sums = marked_sums(points, kernel, marks, together=reduction == "mean")
    within_x, across = sums.inside, sums.touching - sums.inside
    within_y = sums.total - within_x - 2 * across
    by_view = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)
    values = by_view.amax(dim=0).cpu().numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"kernel must give finite values on x and y, got NaN or infinite ones from {kernel!r}")
    statistic, null = values[0], values[1:]
    # a permutation that restores the labels must count as a tie, whatever the rounding
    reached = null >= statistic - 10 * torch.finfo(pooled.dtype).eps * max(1.0, abs(statistic))
    return MMDTestResult(float(statistic), float((1 + reached.sum()) / (1 + permutations)), null)


def _viewed(x: Tensor, y: Tensor, kernel: Kernel, views: str) -> tuple[Tensor, Tensor, Kernel]:
    """The rows as (v, n, p), one p-dimensional cloud to a view, and the kernel with its width set for them."""
    if views == "joint":
        return x[None], y[None], _fitted(kernel, y, len(y))
    if views == "pairs" and x.shape[1] < 2:
        raise ValueError("views='pairs' needs x and y of at least 2 columns, got 1")
    spread = y.detach().std(dim=0) if len(y) > 1 else torch.ones_like(y[0])
    spread = torch.where(spread > 0, spread, 1)
    centered = (y.detach() - y.detach().mean(dim=0)) / spread
    fitted = _fitted(kernel, _columns(centered, views).transpose(0, 1).flatten(0, 1), len(y))
    if fitted is not kernel:
        x, y = x / spread, y / spread
    return _columns(x, views), _columns(y, views), fitted


def _fitted(kernel: Kernel, seen: Tensor, rows: int) -> Kernel:
    """The kernel with its width set by what is `seen` of the `rows` of y; a ValueError if it is open and they are too few."""
    if rows < 2:
        apart = torch.stack([torch.zeros_like(seen[0]), torch.ones_like(seen[0])])
        if kernel.fit(apart) is not kernel:
            raise ValueError(f"y must have at least 2 rows to set the width of {kernel!r}, got 1: give a width, or fit a prior")
    return kernel.fit(seen)


def _columns(rows: Tensor, views: str) -> Tensor:
    """(v, n, p): each column of `rows` (n, d), or each two of them."""
    if views == "marginal":
        return rows.T[:, :, None]
    return rows.T[torch.combinations(torch.arange(rows.shape[1], device=rows.device))].mT


def _in_reach(name: str, rows: Tensor) -> None:
    """Refuse what would leave the floating type when squared, summed over dimensions and scaled."""
    size, largest = rows.abs().max().item(), 0.01 * (torch.finfo(rows.dtype).max / rows.shape[1]) ** 0.5
    if size > largest:
        raise ValueError(f"{name} must stay within {largest:.1g} to have squared distances in {rows.dtype}, got {size:.3g}")
