"""The Gaussian, and priors whose coordinates are independent and follow the same one-dimensional distribution."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Device, Prior, Shape, uniforms
from sculptlab.priors.parameters import Moments, Vector, isotropic, nested, numbers, positive_definite, vector
from sculptlab.validation import number, parameter, whole


@dataclass(frozen=True, init=False, repr=False)
class Gaussian(Prior):
    """The normal distribution N(mean, covariance), by default N(0, I).

    Parameters
    ----------
    dim : int, optional
        Number of dimensions; may be left out beside a mean (dim,) or a covariance.
    mean : float or array_like of shape (dim,), default 0
        The mean.
    covariance : array_like of shape (dim, dim), optional
        The covariance, symmetric positive definite; the identity if not given.

    Examples
    --------
    >>> Gaussian(covariance=[[1, 0.8], [0.8, 1]])
    Gaussian(dim=2, covariance=((1.0, 0.8), (0.8, 1.0)))
    """

    _mean: Vector | None
    _covariance: tuple[Vector, ...] | None

    def __init__(self, dim: int | None = None, *, mean: Any = None, covariance: Any = None) -> None:
        longest = mean if covariance is None else covariance
        if dim is None and not hasattr(longest, "__len__"):
            raise TypeError("dim must be given, or a covariance (dim, dim), or a mean (dim,)")
        dim = whole("dim", len(longest) if dim is None else dim)
        center = None if mean is None else nested(vector("mean", mean, dim))
        given = None if covariance is None else numbers("covariance", covariance, dim, dim)
        matrix = None if given is None else nested(positive_definite("covariance", given))
        vars(self).update(dim=dim, _mean=center, _covariance=matrix)

    def __repr__(self) -> str:
        parts = {"dim": self.dim, "mean": self._mean, "covariance": self._covariance}
        return f"Gaussian({', '.join(f'{name}={value!r}' for name, value in parts.items() if value is not None)})"

    def _moments(self) -> tuple[Tensor, Tensor]:
        mean, covariance = self._mean or (0.0,) * self.dim, self._covariance or torch.eye(self.dim).tolist()
        return torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        drawn = torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32)
        if self._covariance is not None:
            drawn = drawn @ torch.linalg.cholesky(self._moments()[1]).T.to(drawn)
        return drawn if self._mean is None else drawn + drawn.new_tensor(self._mean)

    def _quantile(self, u: Tensor) -> Tensor:
        mean, covariance = self._moments()
        return torch.special.ndtri(u) * covariance.sqrt().item() + mean.item()


@dataclass(frozen=True)
class Uniform(Prior):
    """The uniform distribution on the box [low, high]^dim, by default with mean 0 and variance 1, as `Gaussian`.

    Parameters
    ----------
    dim : as in `Prior`
    low, high : float, default -sqrt(3) and sqrt(3)
        The bounds of every coordinate; low < high.
    """

    low: float = parameter(number, -(3**0.5))
    high: float = parameter(number, 3**0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        number("high", self.high, above=self.low)

    def _moments(self) -> Moments:
        return isotropic(self.dim, (self.high - self.low) ** 2 / 12, (self.low + self.high) / 2)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return self._quantile(torch.rand(n, self.dim, generator=generator, device=device, dtype=torch.float32))

    def _quantile(self, u: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class Laplace(Shape):
    """Independent Laplace coordinates with density exp(-|z|) / 2 and variance 2 before standardizing.

    Parameters
    ----------
    dim, standardize : as in `Shape`
    """

    def _moments(self) -> Moments:
        return isotropic(self.dim, 2.0)

    def _quantile(self, u: Tensor) -> Tensor:
        return -(u - 0.5).sign() * torch.log1p(-2 * (u - 0.5).abs())


@dataclass(frozen=True)
class Logistic(Shape):
    """Independent logistic coordinates, P(z < t) = 1 / (1 + exp(-t)), with variance pi^2 / 3 before standardizing.

    Parameters
    ----------
    dim, standardize : as in `Shape`
    """

    def _moments(self) -> Moments:
        return isotropic(self.dim, math.pi**2 / 3)

    def _quantile(self, u: Tensor) -> Tensor:
        return torch.logit(u)


@dataclass(frozen=True)
class StudentT(Shape):
    """Independent coordinates of Student's t distribution with variance df / (df - 2) before standardizing.

    At df <= 2 there is no variance, so the draws keep the textbook's scale; at df <= 1 there is no mean.

    Parameters
    ----------
    dim, standardize : as in `Shape`
    df : float, default 5
        Degrees of freedom, at least 0.5: float32 cannot hold the tails of fewer. 1 gives the Cauchy distribution.

    References
    ----------
    Bailey, "Polar generation of random variates with the t-distribution", Mathematics of Computation 62 (1994).
    """

    df: float = parameter(number, 5.0, least=0.5)

    def _moments(self) -> Moments:
        mean, covariance = isotropic(self.dim, self.df / (self.df - 2) if self.df > 2 else math.nan)
        return mean if self.df > 1 else None, covariance if self.df > 2 else None

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        u, v = uniforms(n, 2 * self.dim, generator, device).chunk(2, dim=1)
        return (self.df * torch.expm1(-2 / self.df * u.log())).sqrt() * (2 * math.pi * v).cos()

    def _quantile(self, u: Tensor) -> Tensor:
        from scipy.special import stdtrit  # SciPy takes a second to import

        return torch.as_tensor(stdtrit(self.df, u.detach().cpu().double().numpy())).to(u)


@dataclass(frozen=True)
class Grid(Shape):
    """Independent coordinates, each one of the numbers 0 ... levels - 1 plus normal noise: a target for codes to be quantized.

    Parameters
    ----------
    dim, standardize : as in `Shape`
    levels : int, default 4
        Points along each axis, at least 2.
    noise : float, default 0.05
        Standard deviation in units of the points' spacing. With 0, continuous codes can approach the points but not reach them.
    """

    levels: int = parameter(whole, 4, least=2)
    noise: float = parameter(number, 0.05, least=0)

    def _moments(self) -> Moments:
        return isotropic(self.dim, (self.levels**2 - 1) / 12 + self.noise**2, (self.levels - 1) / 2)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        points = (self.levels * uniforms(n, self.dim, generator, device)).floor()
        return (
            points + self.noise * torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32)
            if self.noise
            else points
        )

    def _quantile(self, u: Tensor) -> Tensor | None:
        return (self.levels * u).ceil() - 1 if self.noise == 0 else None
