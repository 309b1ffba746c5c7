"""Maximum mean discrepancy: how far two clouds of codes are apart, and whether that is more than chance."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sculptlab.kernels import IMQ, Kernel, squared_distances
from sculptlab.validation import choice, codes, whole

BLOCK = 128  # rows of a kernel matrix at a time: what a processor's cache holds is several times faster than the whole


@dataclass(frozen=True)
class MMDTest:
    """A permutation test's outcome: the unbiased MMD^2, its p-value, and what `permutations` reshuffled labels gave."""

    statistic: float
    p_value: float
    null: np.ndarray = field(repr=False)


def mmd2(x: Any, y: Any, kernel: Kernel | None = None, estimator: str = "unbiased") -> torch.Tensor:
    """The squared maximum mean discrepancy of `x` (n, d) from the target `y` (m, d), a 0-d tensor differentiable in
    both.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y). "unbiased" leaves out the pairs of a point with itself, and
    is negative about half the time when the two distributions agree; "biased" keeps them and is never negative. An open
    width of `kernel` (default `IMQ()`) is set by `y` and held constant for the gradient; `kernel.fit(prior)` sets it
    once and for all.
    Raises ValueError for shapes that differ, values that are not finite, fewer than two rows. Source: Gretton et al.
    2012, JMLR 13.

    >>> round(mmd2([[0.0], [1.0]], [[3.0], [4.0]], RBF(bandwidth=1.0), "biased").item(), 4)
    1.5417
    """
    choice("estimator", estimator, ("unbiased", "biased"))
    x, y, kernel = _prepared(x, y, kernel)
    kernel = kernel.fit(y)
    within_x = _mean_within(kernel.of(squared_distances(x, x)), estimator)
    within_y = _mean_within(kernel.of(squared_distances(y, y)), estimator)
    return within_x + within_y - 2 * kernel.of(squared_distances(x, y)).mean()


def mmd_test(x: Any, y: Any, kernel: Kernel | None = None, permutations: int = 200, seed: int = 0) -> MMDTest:
    """Do `x` (n, d) and `y` (m, d) come from one distribution? The unbiased MMD^2 against that of reshuffled labels.

    p = (1 + #{null >= statistic}) / (1 + permutations), never 0. Every permutation reads the one kernel matrix of the
    pooled rows, all by one matrix product, a block of its rows at a time. The level is exact for a kernel of given
    width or fitted to the prior; with the default, whose width is set by `y`, it is so up to the noise of that width.
    Raises ValueError as `mmd2` does, and for values whose squares leave the floating type.
    """
    permutations = whole("permutations", permutations)
    generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
    x, y, kernel = _prepared(x, y, kernel)
    _in_reach("x", x)
    _in_reach("y", y)
    kernel = kernel.fit(y)
    n, m = len(x), len(y)
    pooled = torch.cat([x, y]).detach()
    # column 0 marks the true x, the last one every row, those between n rows at random
    ranks = torch.rand(permutations, n + m, generator=generator).argsort(dim=1).T.to(x.device)
    truth, everyone = torch.arange(n + m, device=x.device)[:, None] < n, torch.ones_like(ranks[:, :1], dtype=torch.bool)
    marks = torch.cat([truth, ranks < n, everyone], dim=1)
    sums = _without_diagonal(kernel, pooled, marks)
    marks, to_x, to_all = marks[:, :-1], sums[:, :-1], sums[:, -1:]
    within_x = (marks * to_x).sum(0)
    across = (marks * (to_all - to_x)).sum(0)
    within_y = to_all.sum() - within_x - 2 * across
    values = (within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)).cpu().numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"kernel must give finite values on x and y, got NaN or infinite ones from {kernel!r}")
    statistic, null = values[0], values[1:]
    # a permutation that restores the labels must count as a tie, whatever the rounding
    reached = null >= statistic - 10 * torch.finfo(pooled.dtype).eps * max(1.0, abs(statistic))
    return MMDTest(float(statistic), float((1 + reached.sum()) / (1 + permutations)), null)


def _without_diagonal(kernel: Kernel, points: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """K @ marks in float64 for the points' kernel matrix K with a zero diagonal, of which a few rows are held at a time."""
    weights = marks.to(points.dtype)
    products = []
    for start in range(0, len(points), BLOCK):
        block = kernel.of(squared_distances(points[start : start + BLOCK], points))
        block.diagonal(start).fill_(0)
        products.append((block @ weights).double())
    return torch.cat(products)


def _prepared(x: Any, y: Any, kernel: Kernel | None) -> tuple[torch.Tensor, torch.Tensor, Kernel]:
    x = codes("x", x)
    y = codes("y", y, dim=x.shape[1])
    kernel = IMQ() if kernel is None else kernel
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a Kernel such as IMQ() or RBF(1.0), got {kernel!r}")
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(x.device, dtype), kernel


def _in_reach(name: str, rows: torch.Tensor) -> None:
    """Refuse what would leave the floating type when squared, summed over dimensions and scaled."""
    size, largest = rows.abs().max().item(), 0.01 * (torch.finfo(rows.dtype).max / rows.shape[1]) ** 0.5
    if size > largest:
        raise ValueError(f"{name} must stay within {largest:.1g} to have squared distances in {rows.dtype}, got {size:.3g}")


def _mean_within(matrix: torch.Tensor, estimator: str) -> torch.Tensor:
    n = len(matrix)
    if estimator == "biased":
        return matrix.mean()
    return (matrix.sum() - matrix.diagonal().sum()) / (n * (n - 1))
