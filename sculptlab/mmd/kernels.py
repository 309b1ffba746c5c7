"""Kernels: how alike two codes are. Small frozen objects, scaled to the prior and never to the codes.

All are radial: with r = |x - y| and D2 = r^2,

    RBF                exp(-D2 / (2 h^2))                sees differences of about one h
    RationalQuadratic  (1 + D2 / (2 alpha h^2))^-alpha   the same, with a tail that far-away codes still feel
    IMQ                sum_s sC / (sC + D2)              seven widths at once
    Laplace            exp(-r / h)                       finer shape than an RBF of the same h
    Energy             -r                                every scale, large ones most; no width
    a + b, MultiScale      sums of kernels, of one kernel's widths

A mean over pairs under any of them sees little of what one dimension in many does: at d = 32 and 256 rows none sees one
duplicated dimension or a uniform marginal (`mmd2(…, views="pairs")` and `"marginal"` do).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import torch

from sculptlab.mmd.fusion import fuse, summed
from sculptlab.mmd.kernel_base import Kernel, SumKernel, Term, samples_of, squared_distances, width_given, width_of, width_taken
from sculptlab.validation import describe, number

__all__ = [
    "IMQ",
    "RBF",
    "Energy",
    "Kernel",
    "Laplacian",
    "MultiScale",
    "RationalQuadratic",
    "SumKernel",
    "fuse",
    "squared_distances",
]

MEDIAN_ROWS = 1_000  # half a million pairs settle a median
ROUNDING_ROOM = 0.01  # of a Laplacian kernel's squared width: near 0 it bends, so that small distances matter more


@dataclass(frozen=True)
class _Bandwidth(Kernel):
    """A kernel of one width: `bandwidth`, in the units of the codes; None takes the median distance in the target."""

    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if self.bandwidth is not None:
            width_given("bandwidth", self.bandwidth)

    @property
    def width(self) -> float:
        return width_of(type(self).__name__, "bandwidth", self.bandwidth)

    @property
    def finest(self) -> float | None:
        return self.width**2

    def fit(self, target: Any) -> Self:
        if self.bandwidth is not None:
            return self
        # the first rows are as good as any: samples of a prior come in no order
        median = torch.pdist(samples_of(target)[:MEDIAN_ROWS]).median().item()
        return replace(self, bandwidth=width_taken("bandwidth", median))

    def widened(self, factor: float) -> Self:
        return replace(self, bandwidth=self.width * factor)


@dataclass(frozen=True)
class RBF(_Bandwidth):
    """The Gaussian kernel k = exp(-D2 / (2 bandwidth^2)).

    `bandwidth` is in the units of the codes; None takes the median distance between two points of the target.
    It sees differences of about one bandwidth and is blind to much finer and much coarser ones.
    """

    @property
    def cornered(self) -> bool:
        return False

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        return torch.exp(squared / (-2 * self.width**2))

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        rate = -0.5 / self.width**2
        torch.mul(squared, rate, out=scratch).exp_()
        if slope is not None:
            slope.add_(scratch, alpha=rate)
        yield 1.0, scratch


@dataclass(frozen=True)
class RationalQuadratic(_Bandwidth):
    """The rational quadratic kernel k = (1 + D2 / (2 alpha bandwidth^2))^-alpha, a blend of RBFs of all widths.

    Width as in `RBF`, to which it tends for a large `alpha`; alpha = 1 is one scale of `IMQ`. The smaller `alpha`, the
    farther away codes still feel a pull, and the less it sees of fine shape. Source: Rasmussen and Williams 2006, 4.2.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number("alpha", self.alpha, above=0)

    @property
    def cornered(self) -> bool:
        return False

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        return (1 + squared / (2 * self.alpha * self.width**2)) ** -self.alpha

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        flat = 2 * self.alpha * self.width**2  # k = u^-alpha with u = 1 + D2 / flat
        torch.mul(squared, 1 / flat, out=scratch).add_(1)
        power = scratch.pow(-self.alpha)
        if slope is not None:
            slope.addcdiv_(power, scratch, value=-self.alpha / flat)
        yield 1.0, power


@dataclass(frozen=True)
class Laplacian(_Bandwidth):
    """The Laplacian kernel k = exp(-|x - y| / bandwidth).

    Width as in `RBF`. Its peak is a corner, its spectrum falls slowly: it sees finer shape than an `RBF` of the same
    width, at the price of more noise. Like an RBF it is flat far away. The gradient of coinciding points is 0.
    """

    @property
    def finest(self) -> float | None:
        return ROUNDING_ROOM * self.width**2

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        return torch.exp(_root(squared) / -self.width)

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        torch.sqrt(squared, out=scratch)
        values = scratch.mul(-1 / self.width).exp_()
        if slope is not None:
            slope.addcmul_(values, _inverse(scratch), value=-0.5 / self.width)
        yield 1.0, values


@dataclass(frozen=True)
class IMQ(Kernel):
    """The inverse multiquadric of WAE, summed over scales: k = sum_s sC / (sC + D2).

    C is `base`, in squared units of the codes; None takes 2 d sigma^2, sigma^2 being the target's mean variance per
    dimension: the mean squared distance between two points of the target. Its heavy tail sees far-away codes, where an
    RBF has no gradient left, and its seven scales see differences from a third of the typical distance to three times
    it. Source: Tolstikhin et al. 2018, arXiv 1711.01558.
    """

    scales: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    base: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.scales, tuple) or not self.scales:
            raise TypeError(f"scales must be a tuple of one or more numbers, got {self.scales!r}")
        for scale in self.scales:
            number("scales", scale, above=0)
        if self.base is not None:
            width_given("base", self.base)

    @property
    def widths(self) -> list[float]:
        return [scale * width_of("IMQ", "base", self.base) for scale in self.scales]

    @property
    def finest(self) -> float | None:
        return min(self.widths)

    @property
    def cornered(self) -> bool:
        return False

    def fit(self, target: Any) -> Self:
        if self.base is not None:
            return self
        return replace(self, base=width_taken("base", 2 * samples_of(target).var(dim=0).sum().item()))

    def widened(self, factor: float) -> Self:
        return replace(self, base=width_of("IMQ", "base", self.base) * factor**2)

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        total, one = torch.zeros_like(squared), squared.new_ones(())
        for width in self.widths:
            total = total.addcdiv(one, squared + width, value=width)
        return total

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        widths = self.widths
        if summed(squared, widths, scratch, slope):
            yield 1.0, scratch
            return
        for width in widths:
            torch.add(squared, width, out=scratch).reciprocal_()
            if slope is not None:
                slope.addcmul_(scratch, scratch, value=-width)
            yield width, scratch


@dataclass(frozen=True)
class Energy(Kernel):
    """The energy kernel k = -|x - y|: no width to choose, and MMD^2 becomes the energy distance (Szekely and Rizzo
    2013).

    It sees every scale, large ones most; its values grow with the units of the codes.
    """

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        return -_root(squared)

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        torch.sqrt(squared, out=scratch)
        yield -1.0, scratch
        if slope is not None:
            slope.sub_(_inverse(scratch), alpha=0.5)


@dataclass(frozen=True)
class MultiScale(Kernel):
    """One `kernel` at several multiples of its width: k = sum_f k_f, k_f having `factors` f times the width of `kernel`.

    It sees differences of all these sizes, the price being that each weighs less. The width, if open, is set as that of
    `kernel`. `IMQ` brings scales of its own; `Energy` has none.
    """

    kernel: Kernel
    factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, Kernel) or isinstance(self.kernel, Energy):
            raise TypeError(f"kernel must be a Kernel with a width, such as RBF(), got {describe(self.kernel)}")
        if not isinstance(self.factors, tuple) or not self.factors:
            raise TypeError(f"factors must be a tuple of one or more numbers, got {self.factors!r}")
        for factor in self.factors:
            number("factors", factor, above=0)

    @property
    def parts(self) -> SumKernel:
        return SumKernel(tuple(self.kernel.widened(factor) for factor in self.factors))

    @property
    def finest(self) -> float | None:
        return self.parts.finest

    @property
    def cornered(self) -> bool:
        return self.kernel.cornered

    def fit(self, target: Any) -> Self:
        fitted = self.kernel.fit(target)
        return self if fitted is self.kernel else replace(self, kernel=fitted)

    def widened(self, factor: float) -> Self:
        return replace(self, kernel=self.kernel.widened(factor))

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        return self.parts.of(squared)

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        return self.parts.terms(squared, scratch, slope)


def as_kernel(kernel: Any) -> Kernel:
    """`kernel` itself, `IMQ()` in place of None; a TypeError for anything else."""
    kernel = IMQ() if kernel is None else kernel
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a Kernel such as IMQ() or RBF(1.0), got {describe(kernel)}")
    return kernel


def _root(squared: torch.Tensor) -> torch.Tensor:
    """The distances. The root has an infinite slope at 0, which would make the gradient of coinciding points NaN."""
    apart = squared > 0
    return torch.where(apart, squared, 1).sqrt() * apart


def _inverse(distances: torch.Tensor) -> torch.Tensor:
    """1 / `distances`, in place, with 0 in place of infinity: the slope of coinciding points is 0."""
    return distances.reciprocal_().nan_to_num_(nan=torch.nan, posinf=0.0)
