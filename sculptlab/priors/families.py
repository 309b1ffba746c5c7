"""The distributions with a name in every textbook of statistics: one law for each coordinate, or a normal with any covariance."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sculptlab.priors.base import Moments, Prior, Shape
from sculptlab.priors.draws import Place, uniforms
from sculptlab.priors.parameters import Matrix, Vector, nested, plain, positive_definite, vector
from sculptlab.validation import number

ROOT_3 = 3**0.5


@dataclass(frozen=True, init=False, repr=False)
class Gaussian(Prior):
    """N(mean, covariance); by default N(0, I), the prior of the KL family, and the one prior that no rotation changes and whose
    coordinates are independent.

    covariance (dim, dim) must be symmetric positive definite, mean is a number or (dim,); `dim` may be left out beside them.
    Raises ValueError for a covariance that is not, and for sizes that differ.

    >>> Gaussian(covariance=[[1, 0.8], [0.8, 1]])
    Gaussian(dim=2, covariance=((1.0, 0.8), (0.8, 1.0)))
    """

    _mean: Vector | None
    _covariance: Matrix | None

    def __init__(self, dim: int | None = None, *, mean: Any = None, covariance: Any = None) -> None:
        matrix = None if covariance is None else positive_definite("covariance", covariance, dim)
        if dim is None:
            if matrix is None and getattr(mean, "__len__", None) is None:
                raise TypeError("dim must be given, or a covariance (dim, dim), or a mean (dim,)")
            dim = len(mean) if matrix is None else len(matrix)
        object.__setattr__(self, "dim", dim)
        super().__post_init__()
        object.__setattr__(self, "_mean", None if mean is None else nested(vector("mean", mean, self.dim)))
        object.__setattr__(self, "_covariance", None if matrix is None else nested(matrix))

    def __repr__(self) -> str:
        parts = {"dim": self.dim, "mean": self._mean, "covariance": self._covariance}
        return f"Gaussian({', '.join(f'{name}={value!r}' for name, value in parts.items() if value is not None)})"

    @property
    def mean(self) -> Tensor:
        return torch.zeros(self.dim) if self._mean is None else torch.tensor(self._mean)

    @property
    def covariance(self) -> Tensor:
        return torch.eye(self.dim) if self._covariance is None else torch.tensor(self._covariance)

    @cached_property
    def _root(self) -> Tensor:
        return torch.linalg.cholesky(torch.tensor(self._covariance, dtype=torch.float64))

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        drawn = torch.randn(n, self.dim, generator=generator, device=device)
        if self._covariance is not None:
            drawn = drawn @ self._root.T.to(drawn)
        return drawn if self._mean is None else drawn + self.mean.to(drawn)

    def quantile(self, u: Tensor) -> Tensor:
        spread = 1.0 if self._covariance is None else self._covariance[0][0] ** 0.5
        return torch.special.ndtri(u) * spread + (0.0 if self._mean is None else self._mean[0])


@dataclass(frozen=True)
class Uniform(Prior):
    """The uniform box [low, high]^dim; by default it has unit variance like `Gaussian`, so the same kernels fit both."""

    low: float = -ROOT_3
    high: float = ROOT_3

    def __post_init__(self) -> None:
        super().__post_init__()
        number("high", self.high, above=number("low", self.low))
        object.__setattr__(self, "low", plain(self.low))
        object.__setattr__(self, "high", plain(self.high))

    @property
    def mean(self) -> Tensor:
        return torch.full((self.dim,), (self.low + self.high) / 2)

    @property
    def covariance(self) -> Tensor:
        return torch.eye(self.dim) * ((self.high - self.low) ** 2 / 12)

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        return self.low + (self.high - self.low) * torch.rand(n, self.dim, generator=generator, device=device)

    def quantile(self, u: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class _Coordinates(Shape):
    """Independent coordinates of one symmetric law, mean 0, known by its variance and quantiles."""

    def variance(self) -> float:
        raise NotImplementedError

    def form_moments(self) -> Moments:
        return torch.zeros(self.dim, dtype=torch.float64), self.variance() * torch.eye(self.dim, dtype=torch.float64)

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        drawn = self.form_quantile(uniforms(n, self.dim, generator, device))
        assert drawn is not None  # each of these laws writes it
        return drawn


@dataclass(frozen=True)
class Laplace(_Coordinates):
    """Independent double exponentials, density exp(-|z|) / 2 (variance 2), then standardized: sharp peak, heavier tails."""

    def variance(self) -> float:
        return 2.0

    def form_quantile(self, u: Tensor) -> Tensor:
        return -(u - 0.5).sign() * torch.log1p(-2 * (u - 0.5).abs())


@dataclass(frozen=True)
class Logistic(_Coordinates):
    """Independent logistic coordinates, P(z < t) = 1 / (1 + exp(-t)) (variance pi^2 / 3), then standardized."""

    def variance(self) -> float:
        return math.pi**2 / 3

    def form_quantile(self, u: Tensor) -> Tensor:
        return torch.logit(u)


@dataclass(frozen=True)
class StudentT(_Coordinates):
    """Independent coordinates of Student's t with `df` degrees of freedom (variance df / (df - 2)), then standardized.

    At df <= 2 there is no variance: `covariance` is None and the draws keep the textbook's scale; at df <= 1 (1: Cauchy) no mean.
    Raises ValueError for df < 0.5, whose tails float32 cannot hold. Drawn by Bailey's polar formula (1994).
    """

    df: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number("df", self.df, least=0.5)
        object.__setattr__(self, "df", plain(self.df))

    def form_moments(self) -> Moments:
        mean = torch.zeros(self.dim, dtype=torch.float64) if self.df > 1 else None
        return mean, self.df / (self.df - 2) * torch.eye(self.dim, dtype=torch.float64) if self.df > 2 else None

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        u, v = uniforms(n, 2 * self.dim, generator, device).chunk(2, dim=1)
        return (self.df * torch.expm1(-2 / self.df * u.log())).sqrt() * (2 * math.pi * v).cos()

    def form_quantile(self, u: Tensor) -> Tensor:
        from scipy.special import stdtrit  # a second to import, for this alone

        return torch.as_tensor(stdtrit(self.df, u.detach().cpu().double().numpy())).to(u.device)
