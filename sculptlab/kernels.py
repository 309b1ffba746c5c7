"""Kernels: how alike two codes are. Small frozen objects, scaled to the prior and never to the codes.

A kernel whose width followed the codes could be satisfied by moving the width instead of the codes; so `fit` takes the
target only.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import torch

from sculptlab.priors import as_prior
from sculptlab.validation import codes, number

FIT_ROWS = 10_000  # draws a kernel is scaled by when its target is a prior: 2 d sigma^2 to about 1 % at d = 1
MEDIAN_ROWS = 1_000  # half a million pairs settle a median


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """D2[i, j] = |x_i - y_j|^2 >= 0, of shape (n, m), by one matrix product; exactly 0 on the diagonal where `x is y`.

    Both are centred on the mean of `y` first: in float32 the product form loses what lies far from the origin.
    """
    centre = y.detach().mean(dim=0)
    if x is y:
        x = y = y - centre
    else:
        x, y = x - centre, y - centre
    norms = x.square().sum(1)[:, None] + y.square().sum(1)[None, :]
    squared = torch.addmm(norms, x, y.T, alpha=-2).clamp_min(0)
    return squared.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), 0) if x is y else squared


@dataclass(frozen=True)
class Kernel(ABC):
    """A kernel k(x, y) that depends on the squared distance alone."""

    @abstractmethod
    def of(self, squared: torch.Tensor) -> torch.Tensor:
        """The kernel's values at these squared distances, of the same shape."""

    def fit(self, target: Any) -> Self:
        """This kernel with its width set by `target` (a prior, or its samples (m, d)); itself where the width is given."""
        return self

    def __call__(self, x: Any, y: Any) -> torch.Tensor:
        """k(x_i, y_j) of shape (n, m); a width left open is set by `y`, the target."""
        x, y = codes("x", x, rows=1), codes("y", y, rows=1)
        codes("y", y, dim=x.shape[1], rows=1)
        dtype = torch.promote_types(x.dtype, y.dtype)
        x, y = x.to(dtype), y.to(x.device, dtype)
        return self.fit(y).of(squared_distances(x, y))


@dataclass(frozen=True)
class RBF(Kernel):
    """The Gaussian kernel k = exp(-D2 / (2 bandwidth^2)).

    `bandwidth` is in the units of the codes; None takes the median distance between two points of the target.
    It sees differences of about one bandwidth and is blind to much finer and much coarser ones.
    """

    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if self.bandwidth is not None:
            number("bandwidth", self.bandwidth, above=0)

    def fit(self, target: Any) -> Self:
        if self.bandwidth is not None:
            return self
        # the first rows are as good as any: samples of a prior come in no order
        median = torch.pdist(_samples(target)[:MEDIAN_ROWS]).median().item()
        return replace(self, bandwidth=_spread("bandwidth", median))

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        return torch.exp(squared / (-2 * _fitted("RBF", "bandwidth", self.bandwidth) ** 2))


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
            number("base", self.base, above=0)

    def fit(self, target: Any) -> Self:
        if self.base is not None:
            return self
        return replace(self, base=_spread("base", 2 * _samples(target).var(dim=0).sum().item()))

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        base = _fitted("IMQ", "base", self.base)
        total, one = torch.zeros_like(squared), squared.new_ones(())
        for scale in self.scales:
            total = total.addcdiv(one, squared + scale * base, value=scale * base)
        return total


@dataclass(frozen=True)
class Energy(Kernel):
    """The energy kernel k = -|x - y|: no width to choose, and MMD^2 becomes the energy distance (Szekely and Rizzo
    2013).

    It sees every scale, large ones most; its values grow with the units of the codes.
    """

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        # the root has an infinite slope at 0, which would make the gradient of coinciding points NaN
        apart = squared > 0
        return -torch.where(apart, squared, 1).sqrt() * apart


def _samples(target: Any) -> torch.Tensor:
    """The target's points, detached: a width is a constant, not something to learn."""
    if isinstance(target, torch.Tensor) or hasattr(target, "__array__"):
        return codes("target", target).detach()
    return as_prior(target).sample(FIT_ROWS, generator=torch.Generator().manual_seed(0))


def _spread(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name} cannot be taken from a target whose points coincide; give a {name} > 0")
    return value


def _fitted(kernel: str, name: str, value: float | None) -> float:
    if value is None:
        raise ValueError(f"{kernel}({name}=None) has no width yet: give a {name}, or call .fit(prior) first")
    return value
