"""What all kernels share: squared distances, values and slopes, the width set by a target, sums of kernels.

A width must not follow the codes: training could then lower the MMD by changing the width instead of the codes. So `fit`
takes the target only.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from sculptlab.mmd.inputs import pair_of_codes
from sculptlab.priors import as_prior
from sculptlab.validation import codes

FIT_ROWS = 10_000  # draws of a prior that set a width: its variance is then known to about 1 %


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances between the rows of two tensors, differentiable in both.

    D2[i, j] = |x_i - y_j|^2 = |x_i|^2 + |y_j|^2 - 2 x_i . y_j. The rows are centered on the mean of `y` first, because squared
    norms lose precision when codes are far from the origin.

    Parameters
    ----------
    x : Tensor of shape (n, d) or (v, n, d)
        Codes, samples first.
    y : Tensor of shape (m, d) or (v, m, d)
        Codes to compare them with. If `y` is the same object as `x`, the diagonal is exactly 0.

    Returns
    -------
    Tensor of shape (n, m) or (v, n, m)
        Squared distances, at least 0.
    """
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

    A kernel of your own defines `values` in differentiable torch operations. `a + b` is the sum of two kernels.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "values" in vars(cls) and "row_sums_and_slopes" not in vars(cls):  # an inherited slope belongs to another formula
            cls.row_sums_and_slopes = Kernel.row_sums_and_slopes  # type: ignore[method-assign]

    @abstractmethod
    def values(self, squared: Tensor) -> Tensor:
        """Compute the kernel from squared distances, differentiably.

        Parameters
        ----------
        squared : Tensor
            Squared distances, of any shape.

        Returns
        -------
        Tensor
            k at each of them, of the same shape.
        """

    def row_sums_and_slopes(self, squared: Tensor, slopes: bool = True) -> tuple[Tensor, Tensor | None]:
        """Sum the kernel over each row of squared distances, and compute its derivative dk / dD2, without recording a graph.

        Parameters
        ----------
        squared : Tensor of shape (v, n, m)
            Squared distances.
        slopes : bool
            Whether the derivative is needed.

        Returns
        -------
        tuple of Tensor and Tensor or None
            The sums (v, n) and the derivative (v, n, m). Where it is infinite at D2 = 0, it is given as 0.
        """
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
        return self.values(torch.zeros((), dtype=torch.float64)).item()

    @property
    def resolution(self) -> float | None:
        """The smallest squared distance that the kernel resolves, in squared units of the codes; None if it has no scale."""
        return None

    @property
    def smooth(self) -> bool:
        """Whether the slope is finite at D2 = 0. If not, the distance of equal points must not be rounded away from 0."""
        return False

    def fit(self, target: Any) -> Self:
        """Set an open width from the target.

        Parameters
        ----------
        target : prior or array_like of shape (m, d)
            What codes are compared with; of a prior, 10,000 draws are used.

        Returns
        -------
        Kernel
            A new kernel, or this one if its width is given already.
        """
        return self

    def widened(self, factor: float) -> "Kernel":
        """Multiply the width.

        Parameters
        ----------
        factor : float
            The new width divided by the present one.

        Returns
        -------
        Kernel
            A new kernel.
        """
        raise TypeError(f"{type(self).__name__} has no width to be scaled")

    def __call__(self, x: Any, y: Any) -> Tensor:
        """k(x_i, y_j) of shape (n, m); an open width is set by `y`."""
        x, y = pair_of_codes(x, y)
        return self.fit(y).values(squared_distances(x, y))

    def __add__(self, other: Any) -> "SumKernel":
        return SumKernel(_summands(self) + _summands(other)) if isinstance(other, Kernel) else NotImplemented


@dataclass(frozen=True)
class SumKernel(Kernel):
    """The sum of kernels, k = k_1 + k_2 + ...; it sees every difference that one of them sees.

    Parameters
    ----------
    kernels : tuple of Kernel
        The summands. `fit` sets the open width of each.
    """

    kernels: tuple[Kernel, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.kernels, tuple) or not self.kernels or not all(isinstance(k, Kernel) for k in self.kernels):
            raise TypeError(f"kernels must be a tuple of one or more kernels, got {self.kernels!r}")

    @property
    def resolution(self) -> float | None:
        return min((kernel.resolution for kernel in self.kernels if kernel.resolution is not None), default=None)

    @property
    def smooth(self) -> bool:
        return all(kernel.smooth for kernel in self.kernels)

    def fit(self, target: Any) -> "SumKernel":
        fitted = tuple(kernel.fit(target) for kernel in self.kernels)
        return self if all(a is b for a, b in zip(fitted, self.kernels, strict=True)) else SumKernel(fitted)

    def widened(self, factor: float) -> "SumKernel":
        return SumKernel(tuple(kernel.widened(factor) for kernel in self.kernels))

    def values(self, squared: Tensor) -> Tensor:
        return torch.stack([kernel.values(squared) for kernel in self.kernels]).sum(0)

    def row_sums_and_slopes(self, squared: Tensor, slopes: bool = True) -> tuple[Tensor, Tensor | None]:
        found = [kernel.row_sums_and_slopes(squared, slopes) for kernel in self.kernels]
        derivative = torch.stack([slope for _, slope in found if slope is not None]).sum(0) if slopes else None
        return torch.stack([total for total, _ in found]).sum(0), derivative


def samples_of(target: Any) -> Tensor:
    """The target's points, without a graph: a width is a constant, not a parameter to learn."""
    if isinstance(target, Tensor) or hasattr(target, "__array__"):
        return codes("target", target).detach()
    return as_prior(target).sample(FIT_ROWS, generator=torch.Generator().manual_seed(0))


def _summands(kernel: Kernel) -> tuple[Kernel, ...]:
    return kernel.kernels if isinstance(kernel, SumKernel) else (kernel,)
