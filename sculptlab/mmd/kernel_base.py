"""What all kernels share: squared distances, values and slopes, the width set by a target, sums of kernels.

A width must not follow the codes: training could then lower the MMD by changing the width instead of the codes. So `fit`
takes the target only.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from sculptlab.mmd.inputs import pair_of_codes
from sculptlab.priors import as_prior
from sculptlab.validation import codes, describe, widest_dtype

TINY = 1e-6  # distance: slopes of kernels, up to its inverse fourth power, must stay far within single precision
FIT_ROWS = 10_000  # draws of a prior that set a width: its variance is then known to about 1 %


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances between the rows of two tensors, differentiable in both.

    D2[i, j] = |x_i - y_j|^2 = |x_i|^2 + |y_j|^2 - 2 x_i . y_j. The rows are centered on the mean of `y` first, because squared
    norms lose precision when codes are far from the origin.

    Parameters
    ----------
    x, y : Tensor of shape (n, d) and (m, d), or (v, n, d) and (v, m, d)
        Codes, samples first. If `y` is the same object as `x`, the diagonal is exactly 0.

    Returns
    -------
    Tensor of shape (n, m) or (v, n, m)
    """
    for name, rows in (("x", x), ("y", y)):
        if not isinstance(rows, Tensor) or not rows.is_floating_point() or rows.is_nested or rows.is_meta or rows.is_sparse:
            raise TypeError(f"{name} must be a tensor of floats, got {describe(rows)}")
    if x.ndim not in (2, 3) or x.shape[:-2] + x.shape[-1:] != y.shape[:-2] + y.shape[-1:] or x.dtype != y.dtype:
        came = " and ".join(f"{rows.dtype} {tuple(rows.shape)}" for rows in (x, y))
        raise ValueError(f"x and y must have one type and the shapes (n, d) and (m, d), or (v, n, d) and (v, m, d), got {came}")
    center = y.detach().mean(dim=-2, keepdim=True)
    same = x is y
    y = y - center
    x = y if same else x - center
    norms = torch.linalg.vecdot(x, x)[..., :, None] + torch.linalg.vecdot(y, y)[..., None, :]
    multiply = torch.addmm if x.ndim == 2 else torch.baddbmm
    squared = multiply(norms, x, y.mT, alpha=-2).clamp_min_(0)
    if same:
        squared.diagonal(dim1=-2, dim2=-1).zero_()
    return squared


@dataclass(frozen=True)
class Kernel(ABC):
    """A kernel k(x, y) that depends on the squared distance D2 = |x - y|^2 only.

    A kernel of your own defines `values` in differentiable torch operations. It must not change once it is used, since some of
    its values are computed once. `a + b` is the sum of two kernels.
    """

    analytic: ClassVar[bool] = False  # whether k is an analytic function of |x - y| as wide as `resolution` says
    smooth: ClassVar[bool] = False  # whether the slope is finite at D2 = 0; if not, equal points must have D2 = 0 exactly

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "values" in vars(cls) and "row_sums_and_slopes" not in vars(cls):  # an inherited slope belongs to another formula
            cls.row_sums_and_slopes = Kernel.row_sums_and_slopes  # type: ignore[method-assign]
        if "values" in vars(cls) and "analytic" not in vars(cls):
            cls.analytic = False

    @abstractmethod
    def values(self, squared: Tensor) -> Tensor:
        """The kernel at squared distances of any shape, differentiably."""

    def row_sums_and_slopes(self, squared: Tensor, slopes: bool = True) -> tuple[Tensor, Tensor | None]:
        """Sums (v, n) of k over rows of squared distances (v, n, m) and, if `slopes`, dk / dD2 (v, n, m), without a graph."""
        if not slopes:
            return self.values(squared).sum(-1), None
        with torch.enable_grad():
            at = squared.detach().requires_grad_()
            values = self.values(at)
            (found,) = torch.autograd.grad(values.sum(), at)
        return values.detach().sum(-1), found

    @cached_property
    def peak(self) -> float:
        """k at D2 = 0, the kernel of a point with itself."""
        return self.values(torch.zeros((), dtype=torch.float64, device="cpu")).item()

    @property
    def resolution(self) -> float | None:
        """The smallest squared distance that the kernel resolves, in squared units of the codes; None if it has no scale."""
        return None

    def fit(self, target: Any) -> Self:
        """The kernel with an open width set by `target`: a prior, of which 10,000 draws are used, or codes (m, d)."""
        return self

    def widened(self, factor: float) -> "Kernel":
        """The kernel with its width multiplied by `factor`."""
        raise TypeError(f"{type(self).__name__} has no width to be scaled")

    def __call__(self, x: Any, y: Any) -> Tensor:
        """k(x_i, y_j) of shape (n, m); an open width is set by `y`."""
        x, y = pair_of_codes(x, y)
        return self.fit(y).values(squared_distances(x, y))

    def __add__(self, other: Any) -> "SumKernel":
        return SumKernel(_summands(self) + _summands(other)) if isinstance(other, Kernel) else NotImplemented


class _Sum(Kernel):
    """What `SumKernel` and `kernels.MultiScale` share: k is the sum of `kernels`."""

    kernels: tuple[Kernel, ...]

    @property
    def resolution(self) -> float | None:
        return min((kernel.resolution for kernel in self.kernels if kernel.resolution is not None), default=None)

    @property
    def smooth(self) -> bool:  # type: ignore[override]  # a constant elsewhere
        return all(kernel.smooth for kernel in self.kernels)

    @property
    def analytic(self) -> bool:  # type: ignore[override]
        return all(kernel.analytic for kernel in self.kernels)

    def values(self, squared: Tensor) -> Tensor:
        return torch.stack([kernel.values(squared) for kernel in self.kernels]).sum(0)

    def row_sums_and_slopes(self, squared: Tensor, slopes: bool = True) -> tuple[Tensor, Tensor | None]:
        found = [kernel.row_sums_and_slopes(squared, slopes) for kernel in self.kernels]
        derivative = torch.stack([slope for _, slope in found if slope is not None]).sum(0) if slopes else None
        return torch.stack([total for total, _ in found]).sum(0), derivative


@dataclass(frozen=True)
class SumKernel(_Sum):
    """The sum of kernels, k = k_1 + k_2 + ...; it sees every difference that one of them sees.

    Parameters
    ----------
    kernels : tuple of Kernel
        The summands. `fit` sets the open width of each.
    """

    kernels: tuple[Kernel, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.kernels, tuple) or not self.kernels or not all(isinstance(k, Kernel) for k in self.kernels):
            raise TypeError(f"kernels must be a tuple of one or more kernels, got {describe(self.kernels)}")

    def fit(self, target: Any) -> "SumKernel":
        fitted = tuple(kernel.fit(target) for kernel in self.kernels)
        return self if all(a is b for a, b in zip(fitted, self.kernels, strict=True)) else SumKernel(fitted)

    def widened(self, factor: float) -> "SumKernel":
        return SumKernel(tuple(kernel.widened(factor) for kernel in self.kernels))


def samples_of(target: Any) -> Tensor:
    """The target's points without a graph, as a width is a constant, not a parameter to learn; in double precision if tiny."""
    if isinstance(target, Tensor) or hasattr(target, "__array__"):
        points = codes("target", target).detach()
    else:
        points = as_prior(target).sample(FIT_ROWS, generator=torch.Generator().manual_seed(0))
    return points.to(widest_dtype(points.device)) if points.abs().max() < TINY else points


def _summands(kernel: Kernel) -> tuple[Kernel, ...]:
    return kernel.kernels if isinstance(kernel, SumKernel) else (kernel,)
