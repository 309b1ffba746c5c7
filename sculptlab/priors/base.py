"""What every prior answers: its dimension, its draws, its moments and quantiles where known, its picture; and its algebra."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sculptlab.drawing import draw
from sculptlab.validation import as_tensor, whole

if TYPE_CHECKING:
    from sculptlab.priors.combinations import Product
    from sculptlab.priors.maps import Affine


@dataclass(frozen=True)
class Prior(ABC):
    """A distribution of codes with `dim` dimensions, known by its samples. Subclasses write `draw`, and what else they know.

    `a * b` is the product: b's dimensions after a's, independent. `scaled`, `shifted`, `rotated` and `affine` map its draws.
    """

    dim: int
    __array_ufunc__ = None  # an array times a prior is for the prior to answer, not for each number of the array

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", whole("dim", self.dim))

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> Tensor:
        """(n, dim) float32 on `device`, which is the generator's where there is one."""

    def sample(self, n: int, generator: torch.Generator | None = None, device: torch.device | str | None = None) -> Tensor:
        """`n` independent draws, (n, dim) float32 on `device` (default: where they were drawn).

        They are drawn where `generator` lives and then moved, so that a seed gives the same codes on every device;
        without a generator they come from torch's default one, as `torch.randn` does.
        """
        place = home(generator, device)
        n = whole("n", n)
        drawn = _of_shape(self.draw(n, generator, place), n, self.dim).float()
        return drawn if device is None else drawn.to(device)

    @property
    def mean(self) -> Tensor | None:
        """E z, (dim,) float32; None where it does not exist or no formula is at hand."""
        return None

    @property
    def covariance(self) -> Tensor | None:
        """E (z - E z)(z - E z)^T, (dim, dim) float32; None where it does not exist or no formula is at hand."""
        return None

    @property
    def scale(self) -> float:
        """The factor from the textbook's shape to this one; 1 for priors whose units the caller gave."""
        return 1.0

    def icdf(self, u: Any) -> Tensor | None:
        """Quantiles of a prior of one dimension at probabilities 0 < u < 1 of any shape, float64; None where not at hand."""
        p = as_tensor("u", u).double()
        if not bool(((p > 0) & (p < 1)).all()):
            raise ValueError("u must lie strictly between 0 and 1")
        return self.quantile(p) if self.dim == 1 else None

    def quantile(self, u: Tensor) -> Tensor | None:
        """`icdf` of checked probabilities; subclasses that know it write this one."""
        return None

    def __mul__(self, other: Any) -> Product:
        from sculptlab.priors.combinations import product

        return product(self, _no_number(other))

    def __rmul__(self, other: Any) -> Product:
        from sculptlab.priors.combinations import product

        return product(_no_number(other), self)

    def affine(self, matrix: Any, offset: Any = 0.0) -> Affine:
        """The law of matrix z + offset; matrix (k, dim), offset (k,) or one number; mean and covariance follow exactly."""
        from sculptlab.priors.maps import affine

        return affine(self, matrix, offset)

    def scaled(self, factor: Any) -> Affine:
        """The law of factor z; factor is a number other than 0, or one for each dimension."""
        from sculptlab.priors.maps import scaled

        return scaled(self, factor)

    def shifted(self, offset: Any) -> Affine:
        """The law of z + offset; offset is a number, or one for each dimension."""
        return self.affine(torch.eye(self.dim, dtype=torch.float64), offset)

    def rotated(self, angle: Any, plane: tuple[int, int] = (0, 1)) -> Affine:
        """Turned by `angle` (radians, from the first axis of `plane` to the second), or by an orthogonal matrix (dim, dim)."""
        from sculptlab.priors.maps import rotated

        return rotated(self, angle, plane)

    def standardized(self) -> Affine:
        """Moved to mean 0 and scaled, by one factor for all dimensions, to a variance of 1 on average over them."""
        from sculptlab.priors.maps import standardized

        return standardized(self)

    def plot(self, ax: Any = None) -> Any:
        """What 50,000 draws look like: on `ax`, which is returned, or as a new picture where there is none.

        One dimension: the density; two: a map; more: a corner plot, or on an `ax` the first two dimensions.
        """
        return draw("prior_picture", self, ax)


Moments = tuple[Tensor | None, Tensor | None]  # mean (dim,), covariance (dim, dim); float64, None where they do not exist


@dataclass(frozen=True)
class Shape(Prior):
    """A prior whose textbook form has units of its own; its draws are scale * (textbook's draw - center).

    standardize=True: `center` is the textbook's mean and `scale` one factor for all dimensions (angles and proportions stay) that
    makes the variance 1 on average over them, as `Gaussian`'s, so that the kernels' default scales fit. Where the variance does
    not exist, scale is 1. False: the textbook's form itself, center 0 and scale 1. Subclasses write `form` and `form_moments`.
    """

    standardize: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.standardize, bool):
            raise TypeError(f"standardize must be True or False, got {self.standardize!r}")

    @abstractmethod
    def form(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> Tensor:
        """Draws of the textbook's form, (n, dim)."""

    def form_moments(self) -> Moments:
        """Mean and covariance of the textbook's form."""
        raise NotImplementedError

    def form_quantile(self, u: Tensor) -> Tensor | None:
        """Quantiles of the textbook's form in one dimension; None where not at hand."""
        return None

    @cached_property
    def _moments(self) -> Moments:
        return self.form_moments()

    @property
    def scale(self) -> float:
        covariance = self._moments[1]
        return 1.0 if not self.standardize or covariance is None else math.sqrt(self.dim / covariance.trace().item())

    @property
    def center(self) -> Tensor:
        """What is subtracted from the textbook's draws before scaling, (dim,) float64, in the textbook's units."""
        mean = self._moments[0]
        return torch.zeros(self.dim, dtype=torch.float64) if not self.standardize or mean is None else mean

    @property
    def mean(self) -> Tensor | None:
        mean = self._moments[0]
        return None if mean is None else (self.scale * (mean - self.center)).float()

    @property
    def covariance(self) -> Tensor | None:
        covariance = self._moments[1]
        return None if covariance is None else (self.scale**2 * covariance).float()

    def draw(self, n: int, generator: torch.Generator | None, device: torch.device | str) -> Tensor:
        drawn = self.form(n, generator, device)
        return self.scale * (drawn - self.center.to(drawn))

    def quantile(self, u: Tensor) -> Tensor | None:
        found = self.form_quantile(u)
        return None if found is None else self.scale * (found - self.center.to(found))


def home(generator: Any, device: torch.device | str | None) -> torch.device | str:
    """Where draws are made: the generator's device, or the one that was asked for; a TypeError for no torch generator."""
    if generator is None:
        return device or "cpu"
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator, such as torch.Generator().manual_seed(0), or None; got {generator!r}"
        )
    return generator.device


def _of_shape(drawn: Any, n: int, dim: int) -> Tensor:
    """What `draw` returned, if it is a tensor (n, dim); values are looked at where an objective is made, not at each step."""
    if not isinstance(drawn, Tensor):
        raise TypeError(
            f"prior's draws must be a tensor of shape (n, d), got {type(drawn).__name__}; as_prior(function) takes arrays"
        )
    if drawn.ndim != 2:
        raise ValueError(f"prior's draws must have shape (n, d), samples first; got {tuple(drawn.shape)}")
    if drawn.shape[1] != dim:
        raise ValueError(f"prior's draws must have {dim} column(s), got {drawn.shape[1]}")
    if len(drawn) != n:
        raise ValueError(f"prior must return {n} rows when asked for {n}, got {len(drawn)}")
    return drawn


def _no_number(other: Any) -> Any:
    """`other`, unless it is a number: whether that should stretch or repeat the prior, nobody could tell."""
    if isinstance(other, int | float):
        raise TypeError(f"* joins the dimensions of two priors, got the number {other}; prior.scaled({other}) stretches one")
    return other
