"""Views of codes: all dimensions at once, each dimension alone, each two; and the kernel's width for them."""

import torch
from torch import Tensor

from sculptlab.columns import without_heavy_tails
from sculptlab.mmd.kernel_base import Kernel, samples_of

VIEWS = ("joint", "marginal", "pairs")


def views_of(x: Tensor, y: Tensor, kernel: Kernel, views: str) -> tuple[Tensor, Tensor, Kernel]:
    """The rows as (v, n, p), one p-dimensional sample a view, or as they are for "joint"; the kernel with its width set."""
    if views == "joint":
        return x, y, fitted(kernel, y, len(y))
    if views == "pairs" and x.shape[1] < 2:
        raise ValueError("views='pairs' needs x and y of at least 2 columns, got 1")
    spread = without_heavy_tails(samples_of(y)).std(dim=0).to(y) if len(y) > 1 else torch.ones_like(y[0])
    spread = torch.where(spread > 0, spread, 1)
    centered = (y.detach() - y.detach().mean(dim=0)) / spread
    # rows first: a width may be set by the first rows alone, and they must come from all views
    fit = fitted(kernel, _columns(centered, views).transpose(0, 1).flatten(0, 1), len(y))
    if fit is not kernel:  # a width left open is in units of the standard deviations
        x, y = x / spread, y / spread
    return _columns(x, views), _columns(y, views), fit


def fitted(kernel: Kernel, target: Tensor, rows: int) -> Kernel:
    """The kernel with an open width set by `target`; a ValueError if it is open and y has fewer than two `rows`."""
    if rows < 2 and kernel.fit(torch.eye(2, dtype=target.dtype, device="cpu")) is not kernel:
        raise ValueError(f"y must have at least 2 rows to set the width of {kernel!r}, got 1: give a width, or fit a prior")
    return kernel.fit(target)


def _columns(rows: Tensor, views: str) -> Tensor:
    """(v, n, p): each column of `rows` (n, d), or each two of them."""
    if views == "marginal":
        return rows.T[:, :, None]
    return rows.T[torch.combinations(torch.arange(rows.shape[1], device=rows.device))].mT
