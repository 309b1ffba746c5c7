"""What every prior has: a dimension, draws, moments and quantiles where a formula is known, and ways to transform it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor

from sculptlab.drawing import draw
from sculptlab.priors.parameters import Moments, vector
from sculptlab.validation import as_device, as_tensor, check_parameters, describe, flag, number, whole, widest_dtype

Device = torch.device | str


@dataclass(frozen=True)
class Prior(ABC):
    """A distribution of codes, known by its samples.

    A subclass writes `_draw`, and where it has formulas `_moments` and `_quantile`. ``a * b`` is a `Product`.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    """

    dim: int = field(metadata={"check": whole})
    standardize = False  # a field of `Shape`
    _affine: ClassVar[Any]  # the classes `Affine` and `Product`, which their module enters here
    _product: ClassVar[Any]
    __array_ufunc__ = None  # so that NumPy leaves `array * prior` to `__rmul__`

    def __post_init__(self) -> None:
        check_parameters(self)

    @abstractmethod
    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        """`n` draws (n, dim), made on `device` with `generator`, whose device it is if there is one."""

    def _moments(self) -> Moments:
        """Mean (dim,) and covariance (dim, dim) in the units of `_draw`; None for what has no formula or does not exist."""
        return None, None

    def _quantile(self, u: Tensor) -> Tensor | None:
        """Quantiles of a prior of one dimension at checked probabilities, in the units of `_draw`; None without a formula."""
        return None

    def sample(self, n: int, generator: Generator | None = None, device: Device | None = None) -> Tensor:
        """Draw `n` independent codes (n, dim), float32.

        They are drawn on the device of `generator` and then moved to `device`, so that a seed gives the same codes on every
        device. Without a generator, torch's default one of `device` is used. `device` is named as in `fit`, but None is where
        they are drawn: on the device of `generator`, else on the CPU.
        """
        n, source = whole("n", n), drawing_device(generator, device)
        drawn = self._draw(n, generator, source)
        if not isinstance(drawn, Tensor):
            raise TypeError(f"prior's draws must be a tensor (n, d), got {type(drawn).__name__}; as_prior(function) takes arrays")
        if drawn.shape != (n, self.dim):
            raise ValueError(f"prior's draws must have shape (n, d) = ({n}, {self.dim}), got {tuple(drawn.shape)}")
        return self._in_units(drawn).to(as_device(device, source), torch.float32)

    def icdf(self, u: Any) -> Tensor | None:
        """Quantiles at probabilities 0 < `u` < 1 of any shape, float64 ("mps": float32); None if `dim` > 1 or no formula."""
        given = as_tensor("u", u)
        p = given.to(widest_dtype(given.device))
        if not bool(((p > 0) & (p < 1)).all()):
            raise ValueError("u must lie strictly between 0 and 1")
        quantile = self._quantile(p) if self.dim == 1 else None
        return None if quantile is None else self._in_units(quantile)

    @cached_property
    def _formulas(self) -> Moments:
        return self._moments()

    @property
    def mean(self) -> Tensor | None:
        """The mean (dim,) in float32; None where it does not exist or no formula is known."""
        mean = self._formulas[0]
        return None if mean is None else self._in_units(mean).float()

    @property
    def covariance(self) -> Tensor | None:
        """The covariance (dim, dim) in float32; None where it does not exist or no formula is known."""
        covariance = self._formulas[1]
        return None if covariance is None else (self.scale**2 * covariance).float()

    @property
    def scale(self) -> float:
        """The factor from the units of `_draw` to those of `sample`; 1 unless a `Shape` is standardized."""
        covariance = self._formulas[1] if self.standardize else None
        return 1.0 if covariance is None else math.sqrt(self.dim / covariance.trace().item())

    @property
    def center(self) -> Tensor:
        """What is subtracted from the draws before scaling (dim,), float64: zeros, or the mean if a `Shape` is standardized."""
        mean = self._formulas[0] if self.standardize else None
        return torch.zeros(self.dim, dtype=torch.float64, device="cpu") if mean is None else mean

    def _in_units(self, z: Tensor) -> Tensor:
        return self.scale * (z - self.center.to(z)) if self.standardize else z

    def affine(self, matrix: Any, offset: Any = 0.0) -> "Prior":
        """The distribution of matrix z + offset, of a matrix (k, dim) and an offset (k,) or one number; see `Affine`."""
        return self._affine(self, matrix, offset)

    def scaled(self, factor: Any) -> "Prior":
        """The codes times a factor: one number for all dimensions, or one for each (dim,); none of them 0."""
        factors = vector("factor", factor, self.dim)
        if (factors == 0).any():
            raise ValueError(f"factor must not be 0, got {factor}")
        return self.affine(factors.diag())

    def shifted(self, offset: Any) -> "Prior":
        """The codes plus an offset: one number for all dimensions, or one for each (dim,)."""
        return self.affine(torch.eye(self.dim, device="cpu", dtype=torch.float32), offset)

    def rotated(self, angle: float, plane: tuple[int, int] = (0, 1)) -> "Prior":
        """The codes rotated by an angle in radians from the first axis of `plane` to the second."""
        angle = number("angle", angle)
        if not isinstance(plane, tuple | list) or len(plane) != 2:
            raise TypeError(f"plane must be two axes such as (0, 1), got {describe(plane)}")
        i, j = (whole("plane", axis, least=0) for axis in plane)
        if i == j or max(i, j) >= self.dim:
            raise ValueError(f"plane must be two different axes of the prior's {self.dim} dimension(s), got {plane}")
        matrix, cosine, sine = torch.eye(self.dim, dtype=torch.float64, device="cpu"), math.cos(angle), math.sin(angle)
        matrix[[i, i, j, j], [i, j, i, j]] = matrix.new_tensor([cosine, -sine, sine, cosine])
        return self.affine(matrix)

    def standardized(self) -> "Prior":
        """The codes shifted to mean 0 and scaled, by one factor for all dimensions, to a variance of 1 on average over them."""
        mean, covariance = self.mean, self.covariance
        if mean is None or covariance is None:
            raise ValueError(f"standardized needs a mean and a covariance by formula; use scaled and shifted on {self!r}")
        spread = math.sqrt(covariance.double().trace().item() / self.dim)
        if spread == 0:
            raise ValueError(f"standardized needs a prior that varies, got {describe(self)}")
        return self.affine(torch.eye(self.dim, dtype=torch.float64, device="cpu") / spread, -mean.double() / spread)

    def plot(self, ax: Any = None) -> Any:
        """Show 50,000 draws: a density in one dimension, a map in two, a corner plot in more (on given axes the first two)."""
        return draw("prior_picture", self, ax)

    def __mul__(self, other: Any) -> "Prior":
        return self._product((self, other))

    def __rmul__(self, other: Any) -> "Prior":
        return self._product((other, self))


@dataclass(frozen=True)
class Shape(Prior):
    """A prior whose textbook form has units of its own; its samples are scale * (textbook draw - center).

    `_draw`, `_moments` and `_quantile` are in textbook units; `sample`, `mean`, `covariance` and `icdf` in the prior's.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    standardize : bool, default True
        Shift to mean 0 and scale, by one factor for all dimensions, to a variance of 1 on average over them. Where there is no
        variance, `scale` is 1. False keeps the textbook units: center 0 and scale 1.
    """

    standardize: bool = field(default=True, kw_only=True, metadata={"check": flag})

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        """Independent coordinates of one law, by its quantiles."""
        return cast(Tensor, self._quantile(uniforms(n, self.dim, generator, device)))


def drawing_device(generator: Any, device: Device | None) -> torch.device:
    """Where to draw: on the generator's device if there is a generator, else on `device`, else on the CPU."""
    if generator is None:
        return as_device(device, "cpu")
    if not isinstance(generator, Generator):
        raise TypeError(
            f"generator must be a torch.Generator, as torch.Generator().manual_seed(0), or None; got {describe(generator)}"
        )
    return generator.device


def open_unit(u: Tensor) -> Tensor:
    """Probabilities moved off 0 and 1 by half a rounding error, so that quantiles stay finite."""
    smallest = torch.finfo(u.dtype).eps / 2
    return u.clamp(smallest, 1 - smallest)


def uniforms(n: int, columns: int, generator: Generator | None, device: Device) -> Tensor:
    """Uniform numbers (n, columns) strictly between 0 and 1. Double precision reaches further into the tails."""
    return open_unit(torch.rand(n, columns, generator=generator, device=device, dtype=widest_dtype(device)))


def choose(weights: Sequence[float] | Tensor, n: int, generator: Generator | None, device: Device) -> Tensor:
    """Indices (n,) into `weights` (k,), each with a probability proportional to its weight."""
    cumulative = torch.as_tensor(weights, dtype=torch.float64, device="cpu").cumsum(0)
    u = uniforms(n, 1, generator, device)[:, 0]
    return torch.searchsorted((cumulative / cumulative[-1]).to(u), u, right=True)
