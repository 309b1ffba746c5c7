"""Kernel matrices read tile by tile: sums over pairs of rows, and their exact gradient in the same pass.

A radial kernel has d k(|x - y|^2) / dx = 2 k'(D2) (x - y); so a tile's slopes k'(D2) times the rows give its part of the
gradient, by one matrix product, and no tile is kept. Memory is that of the rows and of three tiles. Everything is
batched over views: rows are (v, n, p).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby, product
from math import isfinite, isqrt
from operator import itemgetter

import torch
from torch import Tensor

from sculptlab.mmd.kernel_base import Kernel

SIDE = 1024  # rows and columns of a tile: the least that several cores share without waiting, and three stay in a cache
SIDE_ON_DEVICE = 4096  # a GPU wants work for all its cores at each step
NARROW = 8  # columns: a product with fewer on its right takes several times as long as one with them on its left
NEAR = 16  # roundings of a squared norm: what a difference of several may have lost
ROUNDING = 1e-4  # what float32 may lose of a squared distance, as a part of the finest the kernel sees

Room = list[Tensor]


def room_for(x: Tensor, y: Tensor) -> Room:
    """Memory for the distances of a tile, for its slopes and to work in; tiles take turns, so that it stays in the cache."""
    size = min(_side(x) ** 2, len(x) * max(x.shape[1], y.shape[1]) ** 2)
    return [x.new_empty(size) for _ in range(3)]


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
    return tuple(r.double() for r in rows) if blurred or _products_are_rounded(rows[0].device) else rows


class Pull:
    """The gradient in rows x (v, n, p) of weighted sums of kernels, as it grows: 2 share sum_j k'(D2_ij) (x_i - y_j)."""

    def __init__(self, x: Tensor) -> None:
        self.targets = x.new_zeros(x.shape, dtype=exact(x))
        self.frames: list[tuple[Tensor, Tensor]] = []

    def frame(self, x: Tensor) -> Tensor:
        """Weights (v, n) for the rows as seen from one origin: centered rows lose less when the two parts are subtracted."""
        self.frames.append((x, x.new_zeros(x.shape[:2], dtype=exact(x))))
        return self.frames[-1][1]

    def add(self, weights: Tensor, views: slice, rows: slice, slope: Tensor, others: Tensor, share: float) -> None:
        weights[views, rows].add_(slope.sum(dim=2), alpha=share)
        self.targets[views, rows].add_(_product(slope, others), alpha=share)

    def gradient(self, dtype: torch.dtype) -> Tensor:
        found = torch.empty_like(self.targets, dtype=dtype)
        for rows in _slices(0, found.shape[1], SIDE):  # a few rows at a time need no large memory in between
            part = self.targets[:, rows].neg()
            for x, weights in self.frames:
                part.addcmul_(weights[:, rows, None], x[:, rows].to(part.dtype))
            found[:, rows] = part.mul_(2)
        return found


def between(x: Tensor, y: Tensor, kernel: Kernel, share: float, pulls: Sequence[Pull | None], room: Room) -> Tensor:
    """`share` times the sum over all pairs of a row of `x` (v, n, p) with one of `y` (v, m, p), (v,) in double precision.

    The gradients in x and in y are added to the two of `pulls`, those of them that are wanted.
    """
    center = y.mean(dim=1, keepdim=True)
    x, y = x - center, y - center
    total = x.new_zeros(len(x), dtype=exact(x))
    of_x, of_y = ((pull, pull.frame(rows)) if pull else None for pull, rows in zip(pulls, (x, y), strict=True))
    tiles = _Tiles(kernel, x, y, room, slopes=any(pulls))
    for views, rows, columns in tiles.all():
        slope = tiles.read(tiles.squared(views, rows, columns), total[views])
        if of_x:
            of_x[0].add(of_x[1], views, rows, slope, y[views, columns], share)
        if of_y:
            of_y[0].add(of_y[1], views, columns, slope.mT, x[views, rows], share)
    return share * total


def within(x: Tensor, kernel: Kernel, diagonal: bool, share: float, pull: Pull | None, room: Room) -> Tensor:
    """The same of all pairs of rows of `x`, in both orders, those of a row with itself only if `diagonal`.

    Every pair is read once: tiles above the diagonal count twice. The gradient is that of x as both of the pair.
    """
    x = x - x.mean(dim=1, keepdim=True)
    total = x.new_zeros(len(x), dtype=exact(x))
    weights = pull.frame(x) if pull else None
    tiles = _Tiles(kernel, x, x, room, slopes=bool(pull))
    for views, rows, columns in tiles.upper():
        squared = tiles.squared(views, rows, columns)
        mirrored = columns != rows
        if not mirrored:
            squared.diagonal(dim1=1, dim2=2).zero_()
        slope = tiles.read(squared, total[views], times=2 if mirrored else 1, diagonal=mirrored or diagonal)
        if pull and weights is not None:
            pull.add(weights, views, rows, slope, x[views, columns], 2 * share)
            if mirrored:
                pull.add(weights, views, columns, slope.mT, x[views, rows], 2 * share)
    return share * total


@dataclass
class MarkedSums:
    """Of symmetric kernel matrices without their diagonals, one a view: the sum over all pairs (v, 1), and for every column of
    marks (v, P) those over pairs of two marked rows and over pairs of a marked row with any."""

    total: Tensor
    inside: Tensor
    touching: Tensor


def marked_sums(points: Tensor, kernel: Kernel, marks: Tensor, together: bool = False) -> MarkedSums:
    """For `points` (v, n, p) and `marks` (n, P) of 0 and 1, each pair of rows read once for all columns of marks.

    If `together`, of the one matrix that is the mean over views, as v = 1: sums over pairs are linear, and the product with
    the marks costs more than the kernel.
    """
    x = points - points.mean(dim=1, keepdim=True)
    weights = marks.to(x.dtype)
    count = 1 if together else len(x)
    inside = x.new_zeros((count, marks.shape[1]), dtype=exact(x))
    row_sums = x.new_zeros((count, x.shape[1]), dtype=exact(x))
    tiles = _Tiles(kernel, x, x, room_for(x, x), slopes=False)
    for views, rows, columns, value in tiles.mean_values() if together else tiles.all_values():
        mirrored = columns != rows
        if mirrored:
            row_sums[views, columns] += value.sum(dim=1)
        else:
            value.diagonal(dim1=1, dim2=2).zero_()
        row_sums[views, rows] += value.sum(dim=2)
        shares = (weights[rows] * (value @ weights[columns])).sum(dim=1, dtype=exact(x))
        inside[views] += shares * (2 if mirrored else 1)
    return MarkedSums(row_sums.sum(dim=1, keepdim=True), inside, row_sums @ marks.to(row_sums.dtype))


class _Tiles:
    """Where the tiles lie, and how one is read."""

    def __init__(self, kernel: Kernel, x: Tensor, y: Tensor, room: Room, slopes: bool) -> None:
        self.kernel, self.room, self.slopes = kernel, room, slopes
        self.x, self.y, self.left, self.right = x, y, _left(x), _right(y)
        self.views, self.rows, self.columns, self.side = len(x), x.shape[1], y.shape[1], _side(x)

    def all(self) -> Iterator[tuple[slice, slice, slice]]:
        """Views, rows and columns of every tile."""
        for rows, columns in product(_slices(0, self.rows, self.side), _slices(0, self.columns, self.side)):
            yield from self._viewed(rows, columns)

    def upper(self) -> Iterator[tuple[slice, slice, slice]]:
        """The same of a symmetric matrix: tiles on the diagonal, whose rows are their columns, and those above it."""
        # half of a tile on the diagonal is read for nothing; the more views are read at a time, the smaller it may be
        least = max(self.side // 16, isqrt(self.side**2 // 16 // self.views))
        for rows, columns in _triangle(0, self.rows, self.side, least):
            yield from self._viewed(rows, columns)

    def all_values(self) -> Iterator[tuple[slice, slice, slice, Tensor]]:
        """Views, rows and columns of every tile of `upper`, and its values."""
        for views, rows, columns in self.upper():
            yield views, rows, columns, self.values(self.squared(views, rows, columns))

    def mean_values(self) -> Iterator[tuple[slice, slice, slice, Tensor]]:
        """The same of the one matrix that is the mean over views, no more of it held than a tile."""
        for (rows, columns), tile in groupby(self.upper(), key=itemgetter(1, 2)):
            parts = (self.values(self.squared(views, rows, columns)).sum(dim=0, keepdim=True) for views, _, _ in tile)
            yield slice(0, 1), rows, columns, reduce(Tensor.add_, parts).div_(self.views)

    def _viewed(self, rows: slice, columns: slice) -> Iterator[tuple[slice, slice, slice]]:
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        for views in _slices(0, self.views, max(1, self.side**2 // 4 // area)):  # small tiles are read many views at a time
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
        close = NEAR * torch.finfo(x.dtype).eps * norms
        if squared.amin() > close:  # several times faster than looking for them
            return
        for near in (squared <= close).nonzero().split(SIDE**2 // x.shape[2] + 1):
            v, i, j = near.unbind(1)
            squared[v, i, j] = (x[v, i] - y[v, j]).square().sum(1)

    def read(self, squared: Tensor, total: Tensor, times: int = 1, diagonal: bool = True) -> Tensor:
        """Adds `times` the tile's values, all or without its diagonal, to `total` (v,); returns its slopes, if any."""
        scratch, slope = self._like(squared)
        if self.slopes:
            slope.zero_()
        sums = squared.new_zeros(len(squared))
        for weight, values in self.kernel.terms(squared, scratch, slope if self.slopes else None):
            if not diagonal:
                values.diagonal(dim1=1, dim2=2).zero_()
            sums.add_(values.sum(dim=(1, 2)), alpha=weight)
        total.add_(sums, alpha=times)
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


def _smaller_distance(rows: Tensor) -> float:
    """A squared distance that a quarter of some pairs of rows fall short of: in clusters, one within a cluster."""
    distances = torch.pdist((rows if rows.ndim == 2 else rows[0])[:64].detach())
    return distances.quantile(0.25).item() ** 2 if len(distances) else 0.0


def _slices(start: int, stop: int, step: int) -> list[slice]:
    count = -(-(stop - start) // step)
    return [slice(start + (stop - start) * i // count, start + (stop - start) * (i + 1) // count) for i in range(count)]


def _triangle(start: int, stop: int, side: int, least: int) -> Iterator[tuple[slice, slice]]:
    """Tiles that cover one triangle of a square, halving it down to tiles of `least` rows on the diagonal."""
    if stop - start <= max(least, 1):
        yield slice(start, stop), slice(start, stop)
        return
    middle = (start + stop) // 2
    yield from product(_slices(start, middle, side), _slices(middle, stop, side))
    yield from _triangle(start, middle, side, least)
    yield from _triangle(middle, stop, side, least)


def _product(slope: Tensor, others: Tensor) -> Tensor:
    """`slope` (v, n, m) times `others` (v, m, p), in the order of factors that processors are fast at."""
    if slope.is_contiguous() and others.shape[2] >= NARROW:
        return torch.bmm(slope, others)
    return torch.bmm(others.mT.contiguous() if others.shape[2] < NARROW else others.mT, slope.mT).mT


def _side(x: Tensor) -> int:
    return SIDE if x.device.type == "cpu" else SIDE_ON_DEVICE


def _left(x: Tensor) -> Tensor:
    """With `_right(y)`, the factors of D2 = -2 x y + |x|^2 + |y|^2 as one product."""
    factor = x.new_ones(*x.shape[:2], x.shape[2] + 2)
    torch.mul(x, -2, out=factor[:, :, :-2])
    factor[:, :, -2] = torch.linalg.vecdot(x, x)
    return factor


def _right(y: Tensor) -> Tensor:
    factor = y.new_ones(*y.shape[:2], y.shape[2] + 2)
    factor[:, :, :-2] = y
    factor[:, :, -1] = torch.linalg.vecdot(y, y)
    return factor


def _products_are_rounded(device: torch.device) -> bool:
    """Whether the caller lets single-precision matrix products be rounded to fewer bits (TF32, bfloat16)."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    # since PyTorch 2.9 there is one answer for each backend, and the older question may be refused
    precision = getattr(getattr(backend, "matmul", None), "fp32_precision", None)
    return torch.get_float32_matmul_precision() != "highest" if precision is None else precision not in ("ieee", "none")
