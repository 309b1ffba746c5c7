"""Rounding: when single precision is enough for squared distances, and what to do when it is not.

D2 is computed as a difference of squared norms, so its rounding error is the floating type's epsilon times the largest squared
norm, that of far-away codes included.
"""

from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd.kernel_base import TINY, Kernel
from sculptlab.validation import widest_dtype


def centered(kernel: Kernel, *samples: Tensor) -> tuple[Tensor, ...]:
    """`samples` (..., n, p) minus the last one's mean, in double precision if single-precision rounding would change k."""
    center = samples[-1].mean(dim=-2, keepdim=True)
    single = tuple(rows - center for rows in samples)
    if samples[0].dtype == torch.float64 or widest_dtype(samples[0].device) == torch.float32:
        return single
    largest = max(torch.linalg.vector_norm(rows, dim=-1).max().item() for rows in single) ** 2
    resolved = min(_near_squared_distance(rows) for rows in single) if kernel.resolution is None else kernel.resolution
    error = torch.finfo(torch.float32).eps * largest
    # In one or two dimensions some pairs are so close that a slope like 1 / |x - y| is large, and its rounding error with it.
    steep = not kernel.smooth and samples[0].shape[-1] <= 2
    if (
        isfinite(error)
        and error <= 1e-4 * resolved
        and TINY**2 < resolved < TINY**-2  # beyond it, widths and their squares leave the range of single precision
        and not steep
        and not _products_are_rounded(samples[0].device)
    ):
        return single
    center = samples[-1].double().mean(dim=-2, keepdim=True)
    return tuple(rows.double() - center for rows in samples)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """A context that turns off an autocast that the caller may have turned on."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def recompute_small(squared: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Recompute in place, from differences, the entries of `squared` (v, n, m) that are within rounding error of 0.

    A kernel of the distance |x - y| = sqrt(D2) would magnify their error.
    """
    norms = torch.linalg.vecdot(x, x).amax() + torch.linalg.vecdot(y, y).amax()
    error = 16 * torch.finfo(x.dtype).eps * norms
    if squared.amin() <= error:  # a pass over the matrix is several times faster than the search for small entries
        for entries in (squared <= error).nonzero().split(2**20 // x.shape[2] + 1):
            v, i, j = entries.unbind(1)
            squared[v, i, j] = (x[v, i] - y[v, j]).square().sum(1)
    return squared.clamp_min_(0)


def _near_squared_distance(rows: Tensor) -> float:
    """The lower quartile of the distances between the first 64 rows (of the first view), squared; 0 for a single row."""
    distances = torch.pdist((rows if rows.ndim == 2 else rows[0])[:64].detach())
    return distances.quantile(0.25).item() ** 2 if len(distances) else 0.0


def _products_are_rounded(device: torch.device) -> bool:
    """Whether the caller lets single-precision matrix products be rounded to fewer bits (TF32, bfloat16)."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    # PyTorch 2.9 introduced a setting for each backend; asking for the older one may then raise an error.
    precision = getattr(getattr(backend, "matmul", None), "fp32_precision", None)
    return torch.get_float32_matmul_precision() != "highest" if precision is None else precision not in ("ieee", "none")
