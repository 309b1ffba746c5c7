"""Kernels: how similar two codes are, as a function of their squared distance D2 = |x - y|^2.

RBF                exp(-D2 / (2 h^2))                resolves differences of about one bandwidth h
RationalQuadratic  (1 + D2 / (2 alpha h^2))^-alpha   the same, with a tail that reaches far-away codes
IMQ                sum_s sC / (sC + D2)              seven widths at once
Laplacian          exp(-|x - y| / h)                 finer shape than an RBF of the same h
Energy             -|x - y|                          every scale, large ones most; no width
a + b, MultiScale  sums of kernels, and of one kernel at several widths

All of them average over dimensions: at 32 dimensions and 256 rows none detects one duplicated dimension or a wrong marginal
distribution. `mmd2(..., views="pairs")` and `views="marginal"` do.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from sculptlab.columns import without_heavy_tails
from sculptlab.mmd.kernel_base import Kernel, SumKernel, _Sum, samples_of, squared_distances
from sculptlab.validation import check_parameters, describe, number, parameter

__all__ = [
    "IMQ", "RBF", "Energy", "Kernel", "Laplacian", "MultiScale", "RationalQuadratic", "SumKernel", "squared_distances",
]  # fmt: skip

LEAST_WIDTH, MOST_WIDTH = 1e-150, 1e150  # so that squares and products of widths are within the range of floats


@dataclass(frozen=True)
class _OneBandwidth(Kernel):
    """A kernel with one width."""

    bandwidth: float | None = parameter(number, None, above=0, least=LEAST_WIDTH, most=MOST_WIDTH)

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def width(self) -> float:
        """The bandwidth, or a ValueError if it is still open."""
        return _known_width(self, "bandwidth")

    @property
    def resolution(self) -> float | None:
        return self.width**2

    def fit(self, target: Any) -> Self:
        if self.bandwidth is not None:
            return self
        median = torch.pdist(samples_of(target)[:1000]).median().item()  # half a million pairs are enough for a median
        return replace(self, bandwidth=_width_of_target("bandwidth", median))

    def widened(self, factor: float) -> Self:
        return replace(self, bandwidth=self.width * number("factor", factor, above=0))


@dataclass(frozen=True)
class RBF(_OneBandwidth):
    """The Gaussian kernel, k = exp(-D2 / (2 bandwidth^2)).

    It resolves differences of about one bandwidth and sees neither much finer nor much coarser ones.

    Parameters
    ----------
    bandwidth : float, optional
        In units of the codes. None takes the median distance between two points of the target.
    """

    smooth = analytic = True

    def values(self, squared: Tensor) -> Tensor:
        return torch.exp(squared * (-0.5 / self.width**2))


@dataclass(frozen=True)
class RationalQuadratic(_OneBandwidth):
    """The rational quadratic kernel, k = (1 + D2 / (2 alpha bandwidth^2))^-alpha.

    It is a mixture of RBF kernels of all widths and tends to `RBF` for large `alpha`; alpha = 1 is one scale of `IMQ`. With a
    smaller `alpha` it reaches farther and resolves less fine shape.

    Parameters
    ----------
    bandwidth : float, optional
        As in `RBF`.
    alpha : float
        The exponent, above 0.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, section 4.2.
    """

    alpha: float = parameter(number, 1.0, above=0, least=1e-6, most=1e6)
    smooth = analytic = True

    @property
    def resolution(self) -> float | None:
        return self.width**2 * min(1.0, 2 * self.alpha)

    def values(self, squared: Tensor) -> Tensor:
        return (1 + squared / (2 * self.alpha * self.width**2)) ** -self.alpha


@dataclass(frozen=True)
class Laplacian(_OneBandwidth):
    """The Laplacian kernel, k = exp(-|x - y| / bandwidth).

    Its peak is a corner, so it resolves finer shape than an `RBF` of the same bandwidth, with more noise. The gradient between
    equal points is taken as 0.

    Parameters
    ----------
    bandwidth : float, optional
        As in `RBF`.
    """

    @property
    def resolution(self) -> float | None:
        return 0.01 * self.width**2  # small distances matter more than for an RBF, because of the corner

    def values(self, squared: Tensor) -> Tensor:
        return torch.exp(_root(squared) / -self.width)


@dataclass(frozen=True)
class Energy(Kernel):
    """The energy kernel, k = -|x - y|; MMD^2 is then the energy distance.

    It has no width to choose. It sees every scale, large ones most, and its values grow with the units of the codes. The gradient
    between equal points is taken as 0.

    References
    ----------
    Szekely and Rizzo 2013, Energy statistics, Journal of Statistical Planning and Inference 143.
    """

    def values(self, squared: Tensor) -> Tensor:
        return -_root(squared)


@dataclass(frozen=True)
class IMQ(Kernel):
    """The inverse multiquadric kernel summed over scales, k = sum_s s base / (s base + D2).

    Its tail is heavy: far-away codes still have a gradient, where that of an `RBF` is 0. The default scales resolve differences
    from a third of the typical distance to three times it.

    Parameters
    ----------
    scales : tuple of float
        The scales s, each above 0.
    base : float, optional
        In squared units of the codes. None takes twice the target's variance, summed over dimensions: the mean squared distance
        between two of its points; of a heavy-tailed dimension, that of its middle part (`columns.without_heavy_tails`).

    References
    ----------
    Tolstikhin et al. 2018, Wasserstein Auto-Encoders, arXiv 1711.01558.
    """

    scales: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    base: float | None = parameter(number, None, above=0, least=LEAST_WIDTH, most=MOST_WIDTH)
    smooth = analytic = True

    def __post_init__(self) -> None:
        _check_numbers("scales", self.scales)
        check_parameters(self)

    @property
    def resolution(self) -> float | None:
        return min(self._widths)

    def fit(self, target: Any) -> Self:
        if self.base is not None:
            return self
        return replace(self, base=_width_of_target("base", 2 * without_heavy_tails(samples_of(target)).var(dim=0).sum().item()))

    def widened(self, factor: float) -> Self:
        return replace(self, base=_known_width(self, "base") * number("factor", factor, above=0) ** 2)

    def values(self, squared: Tensor) -> Tensor:
        total, one = torch.zeros_like(squared), squared.new_ones(())
        for width in self._widths:
            total = total.addcdiv(one, squared + width, value=width)
        return total

    def row_sums_and_slopes(self, squared: Tensor, slopes: bool = True) -> tuple[Tensor, Tensor | None]:
        if squared.numel() <= 2**14:  # all scales at once: half the time for so few pairs, more time for many
            widths = squared.new_tensor(self._widths)
            inverse = (squared.flatten() + widths[:, None]).reciprocal_()
            values = torch.mv(inverse.T, widths).view_as(squared)
            return values.sum(-1), torch.mv(inverse.square_().T, widths.neg_()).view_as(squared) if slopes else None
        total, inverse = squared.new_zeros(squared.shape[:2]), torch.empty_like(squared)
        derivative = torch.zeros_like(squared) if slopes else None
        for width in self._widths:
            torch.add(squared, width, out=inverse).reciprocal_()
            total.add_(inverse.sum(-1), alpha=width)
            if derivative is not None:
                derivative.addcmul_(inverse, inverse, value=-width)
        return total, derivative

    @property
    def _widths(self) -> list[float]:
        """The squared widths s C."""
        base = _known_width(self, "base")
        return [scale * base for scale in self.scales]


@dataclass(frozen=True)
class MultiScale(_Sum):
    """One kernel at several multiples of its width, k = sum_f k_f.

    It resolves differences of all these sizes, and each weighs less. `IMQ` has scales of its own; `Energy` has none.

    Parameters
    ----------
    kernel : Kernel
        A kernel with a width, such as `RBF()`. An open width is set as it sets it.
    factors : tuple of float
        The width of k_f divided by that of `kernel`, each above 0.
    """

    kernel: Kernel
    factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, Kernel) or isinstance(self.kernel, Energy):
            raise TypeError(f"kernel must be a Kernel with a width, such as RBF(), got {describe(self.kernel)}")
        _check_numbers("factors", self.factors)

    @property
    def kernels(self) -> tuple[Kernel, ...]:  # type: ignore[override]
        """The kernel at each width."""
        return tuple(self.kernel.widened(factor) for factor in self.factors)

    def fit(self, target: Any) -> Self:
        fitted = self.kernel.fit(target)
        return self if fitted is self.kernel else replace(self, kernel=fitted)

    def widened(self, factor: float) -> Self:
        return replace(self, kernel=self.kernel.widened(factor))


def as_kernel(kernel: Any) -> Kernel:
    """`kernel` itself, `IMQ()` in place of None; a TypeError for anything else."""
    kernel = IMQ() if kernel is None else kernel
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a Kernel such as IMQ() or RBF(1.0), got {describe(kernel)}")
    return kernel


def _known_width(kernel: Kernel, name: str) -> float:
    """The kernel's argument `name`, or a ValueError if it is open and no target has set it."""
    value: float | None = getattr(kernel, name)
    if value is None:
        raise ValueError(f"{type(kernel).__name__}({name}=None) has no width yet: give a {name}, or call .fit(prior) first")
    return value


def _width_of_target(name: str, value: float) -> float:
    """`value`, the spread of a target, or a ValueError if its points are equal or far apart, up to the range of floats."""
    if not value >= LEAST_WIDTH:
        raise ValueError(f"{name} cannot be taken from a target whose points coincide; give a {name} > 0")
    if not value <= MOST_WIDTH:
        raise ValueError(
            f"{name} cannot be taken from a target whose points are as far apart as {value:.3g}: divide it by its spread"
        )
    return value


def _check_numbers(name: str, values: Any) -> None:
    if not isinstance(values, tuple) or not values:
        raise TypeError(f"{name} must be a tuple of one or more numbers, got {describe(values)}")
    for value in values:
        number(name, value, above=0, least=LEAST_WIDTH, most=MOST_WIDTH)


def _root(squared: Tensor) -> Tensor:
    """The distances, with slope 0 at 0: the root's own slope is infinite there and would make gradients NaN."""
    apart = squared > 0
    return torch.where(apart, squared, 1).sqrt() * apart
