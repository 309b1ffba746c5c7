"""The frame that all kernels share: squared distances, a kernel and its slope, sums of kernels and of scales.

A kernel whose width followed the codes could be satisfied by moving the width instead of the codes; so `fit` takes the
target only.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from sculptlab.priors import as_prior
from sculptlab.validation import codes, number

Term = tuple[float, torch.Tensor]

FIT_ROWS = 10_000  # draws a kernel is scaled by when its target is a prior: 2 d sigma^2 to about 1 % at d = 1


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """D2[i, j] = |x_i - y_j|^2 >= 0, of shape (n, m), by one matrix product; exactly 0 on the diagonal where `x is y`.

    Both are centered on the mean of `y` first: in float32 the product form loses what lies far from the origin.
    """
    center = y.detach().mean(dim=0)
    if x is y:
        x = y = y - center
    else:
        x, y = x - center, y - center
    norms = x.square().sum(1)[:, None] + y.square().sum(1)[None, :]
    squared = torch.addmm(norms, x, y.T, alpha=-2).clamp_min(0)
    return squared.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), 0) if x is y else squared


@dataclass(frozen=True)
class Kernel(ABC):
    """A kernel k(x, y) that depends on the squared distance D2 alone. A new one writes `of`, in differentiable torch.

    `a + b` is the sum of two kernels. One that leaves its width open takes it from the target, with `fit`.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "of" in vars(cls) and "terms" not in vars(cls):  # an inherited slope would belong to another formula
            cls.terms = Kernel.terms  # type: ignore[method-assign]

    @abstractmethod
    def of(self, squared: torch.Tensor) -> torch.Tensor:
        """The kernel's values at these squared distances, of the same shape."""

    @property
    def finest(self) -> float | None:
        """The squared distance, in squared units of the codes, that makes a difference; None: a smaller one of the rows."""
        return None

    @property
    def cornered(self) -> bool:
        """Whether its slope is infinite at D2 = 0, as a root's is: rounding must not move points apart that coincide."""
        return True

    def fit(self, target: Any) -> Self:
        """This kernel with its width set by `target` (a prior, or its samples (m, d)); itself where the width is given."""
        return self

    def widened(self, factor: float) -> "Kernel":
        """This kernel with `factor` times its width."""
        raise TypeError(f"{type(self).__name__} has no width to be scaled")

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        """Weights and values whose weighted sum is k; unless `slope` is None, dk/dD2 is added to it on the way.

        Values have the shape of `squared` and may lie in `scratch`, where the next ones replace them. This default asks
        autograd for the slope; the kernels of this package know theirs.
        """
        if slope is None:
            yield 1.0, self.of(squared)
            return
        with torch.enable_grad():
            at = squared.detach().requires_grad_()
            values = self.of(at)
            (slopes,) = torch.autograd.grad(values.sum(), at)
        slope += slopes
        yield 1.0, values.detach()

    def __call__(self, x: Any, y: Any) -> torch.Tensor:
        """k(x_i, y_j) of shape (n, m); a width left open is set by `y`, the target."""
        x, y = pair_of_codes(x, y)
        return self.fit(y).of(squared_distances(x, y))

    def __add__(self, other: Any) -> "SumKernel":
        return SumKernel(_parts(self) + _parts(other)) if isinstance(other, Kernel) else NotImplemented


@dataclass(frozen=True)
class SumKernel(Kernel):
    """k = k_1 + k_2 + …: it sees what any of its `kernels` sees, each weighed by its height; an open width is set in each."""

    kernels: tuple[Kernel, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.kernels, tuple) or not self.kernels or not all(isinstance(k, Kernel) for k in self.kernels):
            raise TypeError(f"kernels must be a tuple of one or more kernels, got {self.kernels!r}")

    @property
    def finest(self) -> float | None:
        return _finest(self.kernels)

    @property
    def cornered(self) -> bool:
        return any(kernel.cornered for kernel in self.kernels)

    def fit(self, target: Any) -> "SumKernel":
        fitted = tuple(kernel.fit(target) for kernel in self.kernels)
        return self if all(a is b for a, b in zip(fitted, self.kernels, strict=True)) else SumKernel(fitted)

    def widened(self, factor: float) -> "SumKernel":
        return SumKernel(tuple(kernel.widened(factor) for kernel in self.kernels))

    def of(self, squared: torch.Tensor) -> torch.Tensor:
        return torch.stack([kernel.of(squared) for kernel in self.kernels]).sum(0)

    def terms(self, squared: torch.Tensor, scratch: torch.Tensor, slope: torch.Tensor | None) -> Iterator[Term]:
        for kernel in self.kernels:
            yield from kernel.terms(squared, scratch, slope)


def pair_of_codes(x: Any, y: Any, rows: int = 1, names: tuple[str, str] = ("x", "y")) -> tuple[torch.Tensor, torch.Tensor]:
    """`x` (n, d) and `y` (m, d) as finite floating tensors of one type on one device, each of at least `rows` rows.

    Arrays and lists follow the tensor they are paired with; errors call them by their `names`. Raises ValueError for two
    tensors on different devices, TypeError for tensors, arrays and data frames of integers, which are labels or indices
    more often than codes. Numbers in a list may be whole: it has no type that says what they are.
    """
    for name, value in zip(names, (x, y), strict=True):
        if isinstance(value, str | type) or (hasattr(value, "sample") and not hasattr(value, "__array__")):
            raise TypeError(f"{name} must be rows (n, d), got {value!r}; of a prior pass draws: prior.sample(n)")
        _refuse_integers(name, value)
    tensors = [value for value in (x, y) if isinstance(value, torch.Tensor)]
    if len({tensor.device for tensor in tensors}) > 1:
        raise ValueError(f"{names[0]} and {names[1]} must be on one device, got {x.device} and {y.device}")
    x = codes(names[0], x, rows=rows)
    y = codes(names[1], y, dim=x.shape[1], rows=rows)
    dtype = torch.promote_types(x.dtype, y.dtype)
    device = tensors[0].device if tensors else x.device
    return x.to(device, dtype), y.to(device, dtype)


def _refuse_integers(name: str, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        if not (value.is_floating_point() or value.is_complex()):
            raise TypeError(f"{name} must be a floating tensor, got {value.dtype}; if these are codes, pass {name}.float()")
    elif hasattr(value, "__array__") and (kind := np.asarray(value).dtype).kind in "biu":
        raise TypeError(f"{name} must be a floating array, got {kind}; if these are codes, pass {name}.astype(float)")


def samples_of(target: Any) -> torch.Tensor:
    """The target's points, detached: a width is a constant, not something to learn."""
    if isinstance(target, torch.Tensor) or hasattr(target, "__array__"):
        return codes("target", target).detach()
    return as_prior(target).sample(FIT_ROWS, generator=torch.Generator().manual_seed(0))


def width_given(name: str, value: float) -> float:
    """`value`, if it can be a width."""
    return number(name, value, above=0)


def width_taken(name: str, value: float) -> float:
    """`value`, if a target whose spread it is can set a width."""
    if not value > 0:
        raise ValueError(f"{name} cannot be taken from a target whose points coincide; give a {name} > 0")
    return value


def width_of(kernel: str, name: str, value: float | None) -> float:
    """`value`, unless it was left open and no target has set it."""
    if value is None:
        raise ValueError(f"{kernel}({name}=None) has no width yet: give a {name}, or call .fit(prior) first")
    return value


def _parts(kernel: Kernel) -> tuple[Kernel, ...]:
    return kernel.kernels if isinstance(kernel, SumKernel) else (kernel,)


def _finest(kernels: tuple[Kernel, ...]) -> float | None:
    return min((kernel.finest for kernel in kernels if kernel.finest is not None), default=None)
