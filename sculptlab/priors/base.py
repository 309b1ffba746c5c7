"""What every prior has: a dimension, draws, moments and quantiles where a formula is known, and an algebra."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from sculptlab.drawing import draw
from sculptlab.priors.parameters import Moments, rotation_matrix, vector
from sculptlab.priors.sampling import Device, drawing_device
from sculptlab.validation import as_tensor, check_parameters, whole


@dataclass(frozen=True)
class Prior(ABC):
    """A distribution of codes, known by its samples.

    A subclass writes `_draw`, and where it has formulas `_moments` and `_quantile`. ``a * b`` puts two independent priors side by
    side (see `Product`).

    Parameters
    ----------
    dim : int
        Number of dimensions.
    """

    dim: int = field(metadata={"check": whole})
    _algebra: ClassVar[dict[str, Any]] = {}  # the classes `Affine` and `Product`, which the module `combinations` enters here
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
        """Draw `n` independent codes.

        Parameters
        ----------
        n : int
            Number of draws.
        generator : torch.Generator, optional
            Source of randomness, by default torch's default generator. Codes are drawn on its device and then moved, so that a
            seed gives the same codes on every device.
        device : torch.device or str, optional
            Where the codes are needed; by default they stay where they were drawn.

        Returns
        -------
        Tensor of shape (n, dim), float32
        """
        n = whole("n", n)
        drawn = self._draw(n, generator, drawing_device(generator, device))
        if not isinstance(drawn, Tensor):
            raise TypeError(f"prior's draws must be a tensor (n, d), got {type(drawn).__name__}; as_prior(function) takes arrays")
        if drawn.shape != (n, self.dim):
            raise ValueError(f"prior's draws must have shape (n, d) = ({n}, {self.dim}), got {tuple(drawn.shape)}")
        return self._in_units(drawn).to(device=device, dtype=torch.float32)

    def icdf(self, u: Any) -> Tensor | None:
        """Quantiles of a prior of one dimension.

        Parameters
        ----------
        u : array_like
            Probabilities strictly between 0 and 1, of any shape.

        Returns
        -------
        Tensor or None
            In float64, in the shape of `u`; None if there is no formula or `dim` is not 1.
        """
        p = as_tensor("u", u).double()
        if not bool(((p > 0) & (p < 1)).all()):
            raise ValueError("u must lie strictly between 0 and 1")
        return self._icdf(p) if self.dim == 1 else None

    @property
    def mean(self) -> Tensor | None:
        """The mean (dim,) in float32; None where it does not exist or no formula is known."""
        mean = self._cached_moments[0]
        return None if mean is None else self._in_units(mean).float()

    @property
    def covariance(self) -> Tensor | None:
        """The covariance (dim, dim) in float32; None where it does not exist or no formula is known."""
        covariance = self._cached_moments[1]
        return None if covariance is None else (self.scale**2 * covariance).float()

    @property
    def scale(self) -> float:
        """The factor from the units of `_draw` to those of `sample`; 1 unless a `Shape` is standardized."""
        return 1.0

    def affine(self, matrix: Any, offset: Any = 0.0) -> Prior:
        """Map the codes z to matrix z + offset; mean and covariance follow exactly.

        Parameters
        ----------
        matrix : array_like of shape (k, dim)
            The linear part.
        offset : float or array_like of shape (k,), default 0
            Added after it.

        Returns
        -------
        Affine
        """
        return self._algebra["affine"](self, matrix, offset)

    def scaled(self, factor: Any) -> Prior:
        """Multiply the codes by a factor.

        Parameters
        ----------
        factor : float or array_like of shape (dim,)
            One factor for all dimensions, or one for each; none of them 0.

        Returns
        -------
        Affine
        """
        factors = vector("factor", factor, self.dim)
        if (factors == 0).any():
            raise ValueError(f"factor must not be 0, got {factor}")
        return self.affine(factors.diag())

    def shifted(self, offset: Any) -> Prior:
        """Add an offset to the codes.

        Parameters
        ----------
        offset : float or array_like of shape (dim,)
            One number for all dimensions, or one for each.

        Returns
        -------
        Affine
        """
        return self.affine(torch.eye(self.dim), offset)

    def rotated(self, angle: Any, plane: tuple[int, int] = (0, 1)) -> Prior:
        """Rotate the codes within a plane of two axes, or by an orthogonal matrix.

        Parameters
        ----------
        angle : float or array_like of shape (dim, dim)
            An angle in radians, from the first axis of `plane` to the second; or an orthogonal matrix.
        plane : tuple of two int, default (0, 1)
            The axes that an angle refers to.

        Returns
        -------
        Affine
        """
        return self.affine(rotation_matrix(angle, plane, self.dim))

    def standardized(self) -> Prior:
        """Shift to mean 0 and scale, by one factor for all dimensions, to a variance of 1 on average over them.

        Returns
        -------
        Affine
        """
        mean, covariance = self.mean, self.covariance
        if mean is None or covariance is None:
            raise ValueError(f"standardized needs a mean and a covariance by formula; use scaled and shifted on {self!r}")
        spread = math.sqrt(covariance.double().trace().item() / self.dim)
        if spread == 0:
            raise ValueError(f"standardized needs a prior that varies, got {self!r}")
        return self.affine(torch.eye(self.dim, dtype=torch.float64) / spread, -mean.double() / spread)

    def plot(self, ax: Any = None) -> Any:
        """Show 50,000 draws: a density in one dimension, a map in two, a corner plot in more.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to plot; of more than two dimensions it shows the first two.

        Returns
        -------
        matplotlib.axes.Axes or Picture
        """
        return draw("prior_picture", self, ax)

    def _icdf(self, u: Tensor) -> Any:
        """`icdf` of checked probabilities of a prior of one dimension: a tensor, or None."""
        quantile = self._quantile(u)
        return None if quantile is None else self._in_units(quantile)

    @cached_property
    def _cached_moments(self) -> Moments:
        return self._moments()

    def _in_units(self, z: Tensor) -> Tensor:
        """`z` from the units of `_draw` to those of `sample`, which are the same unless a `Shape` is standardized."""
        return z

    def __mul__(self, other: Any) -> Prior:
        return _side_by_side(self, other)

    def __rmul__(self, other: Any) -> Prior:
        return _side_by_side(other, self)


def _side_by_side(*parts: Any) -> Prior:
    """The product of two priors; a number is refused, since it could mean to scale the prior or to repeat it."""
    for part in parts:
        if isinstance(part, int | float):
            raise TypeError(f"* joins the dimensions of two priors, got the number {part}; prior.scaled({part}) scales one")
    return Prior._algebra["product"](parts)
