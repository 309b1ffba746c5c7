"""MMD^2 of large samples: kernel matrices are read tile by tile, with the exact gradient in the same pass.

No tile is kept, so memory is that of the rows and of one tile. Everything is batched over views: samples are (v, n, p).
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.precision import recompute_small
from sculptlab.validation import widest_dtype

SIDE = 512  # rows and columns of a tile on a CPU, so that it fits into the processor's cache
SIDE_ON_DEVICE = 2048  # a GPU needs more work in each call


def tiled(
    x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, wants: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """What `distance.whole_matrices` computes, for any number of rows and views: every pair of rows is read once."""
    samples, exact, (n, m) = (x, y), widest_dtype(x.device), (x.shape[1], y.shape[1])
    value = x.new_zeros(len(x), dtype=exact)
    gradients = [torch.zeros_like(rows, dtype=exact) if want else None for rows, want in zip(samples, wants, strict=True)]
    for a, b, share in ((0, 0, 1 / (n * (n - unbiased))), (1, 1, 1 / (m * (m - unbiased))), (0, 1, -2 / (n * m))):
        tiles = Tiles(samples[a], samples[b], kernel)
        for views, rows, columns in tiles:
            sums, slopes = kernel.row_sums_and_slopes(tiles.squared(views, rows, columns), wants[a] or wants[b])
            # In a symmetric matrix, a tile above the diagonal stands for the one below it too.
            mirrored = a == b and rows != columns
            value[views] += sums.sum(1, dtype=exact) * (2 * share if mirrored else share)
            if slopes is None:
                continue
            weight = (4 if a == b else 2) * share
            left, right = samples[a][views, rows], samples[b][views, columns]
            if (gradient := gradients[b]) is not None:
                gradient[views, columns].add_(pull(slopes, right, left), alpha=weight)
            if (gradient := gradients[a]) is not None and (mirrored or a != b):
                gradient[views, rows].add_(pull(slopes.mT, left, right), alpha=weight)
    if unbiased:  # leave out the pairs of a point with itself
        value -= (1 / (n - 1) + 1 / (m - 1)) * kernel.peak
    return value, gradients[0], gradients[1]


def tiled_share(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, own: slice) -> tuple[Tensor, Tensor]:
    """Of `tiled`, the sums over pairs with one of the rows `own` of x or y, (v,), and the gradient in these rows of x, (v, b, p).

    Over slices that make up all n rows of x and of y, these values add up to MMD^2.
    """
    n, mine, theirs, exact = x.shape[1], x[:, own], y[:, own], widest_dtype(x.device)
    value, gradient = x.new_zeros(len(x), dtype=exact), torch.zeros_like(mine, dtype=exact)
    within = 1 / (n * (n - unbiased))
    for others, rows_of, share, power in ((x, mine, within, 4), (y, mine, -2 / n**2, 2), (y, theirs, within, 0)):
        tiles = Tiles(others, rows_of, kernel)
        for views, rows, columns in tiles:
            sums, slopes = kernel.row_sums_and_slopes(tiles.squared(views, rows, columns), power > 0)
            value[views] += sums.sum(1, dtype=exact) * share
            if slopes is not None:
                found = pull(slopes, rows_of[views, columns], others[views, rows])
                gradient[views, columns].add_(found, alpha=power * share)
    if unbiased:
        value -= 2 * mine.shape[1] * within * kernel.peak
    return value, gradient


def pull(slopes: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """sum_i k'(D2_ij) (own_j - other_i), (v, n, p), for slopes (v, m, n), own (v, n, p) and others (v, m, p)."""
    return slopes.sum(1)[:, :, None] * own - slopes.mT @ others


class Tiles:
    """The kernel matrix between x (v, n, p) and y (v, m, p), tile by tile; if both are the same object, the upper triangle."""

    def __init__(self, x: Tensor, y: Tensor, kernel: Kernel) -> None:
        self.x, self.y, self.kernel = x, y, kernel
        ones = x.new_ones(1)
        # D2 = -2 x . y + |x|^2 + |y|^2 as one product of two factors
        self.left = torch.cat([-2 * x, torch.linalg.vecdot(x, x)[:, :, None], ones.expand(*x.shape[:2], 1)], dim=2)
        self.right = torch.cat([y, ones.expand(*y.shape[:2], 1), torch.linalg.vecdot(y, y)[:, :, None]], dim=2)

    def __iter__(self) -> Iterator[tuple[slice, slice, slice]]:
        """Views, rows and columns of every tile; small tiles are read for many views at a time."""
        side = SIDE if self.x.device.type == "cpu" else SIDE_ON_DEVICE
        for rows, columns in product(_slices(self.x.shape[1], side), _slices(self.y.shape[1], side)):
            if self.x is not self.y or columns.start >= rows.start:
                area = (rows.stop - rows.start) * (columns.stop - columns.start)
                for views in _slices(len(self.x), max(1, side**2 // area)):
                    yield views, rows, columns

    def squared(self, views: slice, rows: slice, columns: slice) -> Tensor:
        """The squared distances of a tile."""
        squared = torch.bmm(self.left[views, rows], self.right[views, columns].mT)
        if not self.kernel.smooth:  # otherwise a negative number within rounding error of 0 does no harm
            recompute_small(squared, self.x[views, rows], self.y[views, columns])
        if self.x is self.y and rows == columns:
            squared.diagonal(dim1=1, dim2=2).zero_()
        return squared


def _slices(size: int, most: int) -> list[slice]:
    """0 ... size in slices of nearly equal length, at most `most`."""
    count = -(-size // most)
    return [slice(size * i // count, size * (i + 1) // count) for i in range(count)]
