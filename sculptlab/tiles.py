"""Kernel matrices read tile by tile: sums over pairs of rows, and their exact gradient in the same pass.

A radial kernel has d k(|x - y|^2) / dx = 2 k'(D2) (x - y); so a tile's slopes k'(D2) times the rows give its part of the
gradient, by one matrix product, and no tile is kept. Memory is that of the rows and of three tiles. Everything is
batched over views: rows are (v, n, p).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import isfinite

import torch
from torch import Tensor

from sculptlab.kernel import Kernel

SIDE = 512  # rows and columns of a tile: three of them stay in a processor's cache
SIDE_ON_DEVICE = 4096  # a GPU wants work for all its cores at each step
NEAR = 16  # roundings of a squared norm: what a difference of several may have lost
ROUNDING = 1e-4  # what float32 may lose of a squared distance, as a part of the finest the kernel sees


@dataclass
class PairSum:
    """The sum of k(x_i, y_j) over all pairs, (v,) in double precision, and its gradients in x and y, None if unwanted."""

    total: Tensor
    gradients: tuple[Tensor | None, Tensor | None]


def exact(like: Tensor) -> torch.dtype:
    """The type that sums are accumulated in: double precision, where the device has it."""
    return torch.float32 if like.device.type == "mps" else torch.float64


def precise(kernel: Kernel, *rows: Tensor) -> tuple[Tensor, ...]:
    """`rows` (…, n, p), in double precision if single would blur what `kernel` sees.

    D2 is a difference of squared norms; its rounding error is eps times the largest of them, far-away rows included.
    """
    if rows[0].dtype == torch.float64 or exact(rows[0]) == torch.float32:
        return rows
    own = [(r - r.mean(dim=-2, keepdim=True)).square().sum(-1) for r in rows]
    gaps = [(r.mean(dim=-2) - rows[-1].mean(dim=-2)).square().sum(-1).max() for r in rows]
    reach = (max(norms.max() for norms in own) + max(gaps)).item()
    finest = min(_smaller_distance(r) for r in rows) if kernel.finest is None else kernel.finest
    blurred = not (isfinite(reach) and torch.finfo(torch.float32).eps * reach <= ROUNDING * finest)
    return tuple(r.double() for r in rows) if blurred or _products_are_rounded() else rows


def between(x: Tensor, y: Tensor, kernel: Kernel, wants: tuple[bool, bool] = (False, False)) -> PairSum:
    """Of all pairs of a row of `x` (v, n, p) with one of `y` (v, m, p)."""
    centre = y.mean(dim=1, keepdim=True)
    x, y = x - centre, y - centre
    total = x.new_zeros(len(x), dtype=exact(x))
    pulls = (_Pull(x) if wants[0] else None, _Pull(y) if wants[1] else None)
    tiles = _Tiles(kernel, x, y, slopes=any(wants))
    for views, rows, columns in tiles.all():
        squared = tiles.squared(views, rows, columns)
        slope = tiles.read(squared, total[views])
        if pulls[0] is not None:
            pulls[0].add(views, rows, slope, y[views, columns])
        if pulls[1] is not None:
            pulls[1].add(views, columns, slope.mT, x[views, rows])
    return PairSum(total, tuple(pull and pull.gradient() for pull in pulls))  # type: ignore[arg-type]


def within(x: Tensor, kernel: Kernel, diagonal: bool, wants: bool = False) -> PairSum:
    """Of all pairs of rows of `x` (v, n, p), in both orders, those of a row with itself only if `diagonal`.

    Every pair is read once: tiles above the diagonal count twice. The gradient is that of x as both of the pair.
    """
    x = x - x.mean(dim=1, keepdim=True)
    total = x.new_zeros(len(x), dtype=exact(x))
    pull = _Pull(x) if wants else None
    tiles = _Tiles(kernel, x, x, slopes=wants)
    for views, rows, columns in tiles.upper():
        squared = tiles.squared(views, rows, columns)
        mirrored = columns != rows
        if not mirrored:
            squared.diagonal(dim1=1, dim2=2).zero_()
        slope = tiles.read(squared, total[views], times=2 if mirrored else 1, diagonal=mirrored or diagonal)
        if pull is not None:
            pull.add(views, rows, slope, x[views, columns])
            if mirrored:
                pull.add(views, columns, slope.mT, x[views, rows])
    return PairSum(total, (None if pull is None else 2 * pull.gradient(), None))


@dataclass
class MarkedSums:
    """Of a symmetric kernel matrix without its diagonal: the sum over all pairs, and for every column of marks (P,) those
    over pairs of two marked rows and over pairs of a marked row with any."""

    total: Tensor
    inside: Tensor
    touching: Tensor


def marked_sums(points: Tensor, kernel: Kernel, marks: Tensor) -> MarkedSums:
    """For `points` (n, d) and `marks` (n, P) of 0 and 1, each pair of rows read once for all columns of marks."""
    x = (points - points.mean(dim=0))[None]
    weights = marks.to(x.dtype)
    inside = x.new_zeros(marks.shape[1], dtype=exact(x))
    row_sums = x.new_zeros(len(points), dtype=exact(x))
    tiles = _Tiles(kernel, x, x, slopes=False)
    for views, rows, columns in tiles.upper():
        value = tiles.values(tiles.squared(views, rows, columns))[0]
        mirrored = columns != rows
        if mirrored:
            row_sums[columns] += value.sum(dim=0)
        else:
            value.diagonal().zero_()
        row_sums[rows] += value.sum(dim=1)
        shares = (weights[rows] * (value @ weights[columns])).sum(dim=0, dtype=exact(x))
        inside += shares * (2 if mirrored else 1)
    return MarkedSums(row_sums.sum(), inside, row_sums @ marks.to(row_sums.dtype))


class _Tiles:
    """Where the tiles lie, and the room that all of them are worked out in, one after the other."""

    def __init__(self, kernel: Kernel, x: Tensor, y: Tensor, slopes: bool = True) -> None:
        self.kernel, self.slopes = kernel, slopes
        self.x, self.y, self.left, self.right = x, y, _left(x), _right(y)
        self.views, self.rows, self.columns = len(x), x.shape[1], y.shape[1]
        self.side = SIDE if x.device.type == "cpu" else SIDE_ON_DEVICE
        size = min(self.side**2, self.views * self.rows * self.columns)
        self.room = [x.new_empty(size) for _ in range(3)]

    def all(self) -> Iterator[tuple[slice, slice, slice]]:
        """Views, rows and columns of every tile."""
        for rows, columns in product(_slices(0, self.rows, self.side), _slices(0, self.columns, self.side)):
            yield from self._viewed(rows, columns)

    def upper(self) -> Iterator[tuple[slice, slice, slice]]:
        """The same of a symmetric matrix: tiles on the diagonal, whose rows are their columns, and those above it."""
        for rows, columns in _triangle(0, self.rows, self.side):
            yield from self._viewed(rows, columns)

    def _viewed(self, rows: slice, columns: slice) -> Iterator[tuple[slice, slice, slice]]:
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        for views in _slices(0, self.views, max(1, self.side**2 // area)):  # small tiles are read many views at a time
            yield views, rows, columns

    def squared(self, views: slice, rows: slice, columns: slice) -> Tensor:
        """The squared distances of a tile, by one matrix product; rounding must not make them negative."""
        left, right = self.left[views, rows], self.right[views, columns]
        shape = len(left), left.shape[1], right.shape[1]
        out = self.room[0][: shape[0] * shape[1] * shape[2]].view(shape)
        torch.bmm(left, right.mT, out=out).clamp_min_(0)
        if self.kernel.cornered:
            self._sharpen(out, views, rows, columns)
        return out

    def _sharpen(self, squared: Tensor, views: slice, rows: slice, columns: slice) -> None:
        """Takes from the differences themselves what is within rounding of 0, where a root would magnify it."""
        x, y = self.x[views, rows], self.y[views, columns]
        norms = self.left[views, rows, -2].max() + self.right[views, columns, -1].max()
        for near in (squared <= NEAR * torch.finfo(x.dtype).eps * norms).nonzero().split(SIDE**2 // x.shape[2] + 1):
            v, i, j = near.unbind(1)
            squared[v, i, j] = (x[v, i] - y[v, j]).square().sum(1)

    def read(self, squared: Tensor, total: Tensor, times: int = 1, diagonal: bool = True) -> Tensor:
        """Adds `times` the tile's values, all or without its diagonal, to `total` (v,); returns its slopes, if any."""
        scratch, slope = self._like(squared)
        slope.zero_()
        for weight, values in self.kernel.terms(squared, scratch, slope if self.slopes else None):
            if not diagonal:
                values.diagonal(dim1=1, dim2=2).zero_()
            total.add_(values.sum(dim=(1, 2)), alpha=weight * times)
        return slope

    def values(self, squared: Tensor) -> Tensor:
        """The kernel's values at every pair of the tile."""
        scratch, found = self._like(squared)
        found.zero_()
        for weight, values in self.kernel.terms(squared, scratch, None):
            found.add_(values, alpha=weight)
        return found

    def _like(self, squared: Tensor) -> Iterator[Tensor]:
        return (part[: squared.numel()].view_as(squared) for part in self.room[1:])


class _Pull:
    """The gradient of a sum of kernels in the rows x, as it grows: 2 sum_j k'(D2_ij) (x_i - y_j)."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.weights = x.new_zeros(x.shape[:2], dtype=exact(x))
        self.targets = x.new_zeros(x.shape, dtype=exact(x))

    def add(self, views: slice, rows: slice, slope: Tensor, others: Tensor) -> None:
        self.weights[views, rows] += slope.sum(dim=2)
        # the product of the transposed is faster where the slopes lie transposed in memory
        self.targets[views, rows] += slope @ others if slope.is_contiguous() else (others.mT @ slope.mT).mT

    def gradient(self) -> Tensor:
        return 2 * (self.weights[:, :, None] * self.x - self.targets)


def _smaller_distance(rows: Tensor) -> float:
    """A squared distance that a quarter of some pairs of rows fall short of: in clusters, one within a cluster."""
    distances = torch.pdist((rows if rows.ndim == 2 else rows[0])[:64].detach())
    return distances.quantile(0.25).item() ** 2 if len(distances) else 0.0


def _slices(start: int, stop: int, step: int) -> list[slice]:
    return [slice(at, min(at + step, stop)) for at in range(start, stop, step)]


def _triangle(start: int, stop: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Tiles that cover one triangle of a square, halving it: the smaller those on the diagonal, the less is read twice."""
    if stop - start <= side // 2:
        yield slice(start, stop), slice(start, stop)
        return
    middle = (start + stop) // 2
    yield from product(_slices(start, middle, side), _slices(middle, stop, side))
    yield from _triangle(start, middle, side)
    yield from _triangle(middle, stop, side)


def _left(x: Tensor) -> Tensor:
    """With `_right(y)`, the factors of D2 = -2 x y + |x|^2 + |y|^2 as one product."""
    norms = x.square().sum(2, keepdim=True)
    return torch.cat([-2 * x, norms, torch.ones_like(norms)], dim=2)


def _right(y: Tensor) -> Tensor:
    norms = y.square().sum(2, keepdim=True)
    return torch.cat([y, torch.ones_like(norms), norms], dim=2)


def _products_are_rounded() -> bool:
    """Whether the caller lets single-precision matrix products be rounded to fewer bits (TF32, bfloat16)."""
    return torch.get_float32_matmul_precision() != "highest"
