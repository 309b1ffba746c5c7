"""Priors in pieces: mixtures of normals, and the points of a grid for codes that will be quantized."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sculptlab.priors.base import Moments, Prior, Shape
from sculptlab.priors.draws import Place, chosen, normals, uniforms
from sculptlab.priors.parameters import Matrix, Vector, nested, numbers, plain, positive_definite, shares
from sculptlab.validation import number, whole


@dataclass(frozen=True)
class GaussianMixture(Prior):
    """k normals N(means_i, covariances_i) with weights_i, in the caller's units.

    means        (k, d)
    covariances  the variance of every coordinate (one number > 0), one such number for each normal (k,), one matrix (d, d) for
                 all, or one for each (k, d, d); matrices must be symmetric positive definite
    weights      (k,), not negative, of sum 1; None: equal

    >>> GaussianMixture([[-2.0], [2.0]], covariances=0.25, weights=[0.3, 0.7]).mean
    tensor([0.8000])
    """

    dim: int = field(init=False, repr=False)
    means: Matrix
    covariances: Any = 1.0
    weights: Vector | None = None

    def __post_init__(self) -> None:
        means = numbers("means", self.means, (None, None))
        count, dim = means.shape
        object.__setattr__(self, "dim", dim)
        super().__post_init__()
        object.__setattr__(self, "means", nested(means))
        object.__setattr__(self, "weights", shares("weights", self.weights, count))
        object.__setattr__(self, "covariances", _covariances(plain(self.covariances), count, dim))

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (k,), means (k, d) and covariances (k, d, d), float64."""
        weights, means, given = (torch.tensor(x, dtype=torch.float64) for x in (self.weights, self.means, self.covariances))
        count, dim = means.shape
        given = given[..., None, None] * torch.eye(dim, dtype=torch.float64) if given.ndim < 2 else given
        return weights, means, given.expand(count, dim, dim)

    @cached_property
    def _roots(self) -> Tensor:
        return torch.linalg.cholesky(self._parts[2])

    @property
    def mean(self) -> Tensor:
        weights, means, _ = self._parts
        return (weights @ means).float()

    @property
    def covariance(self) -> Tensor:
        weights, means, covariances = self._parts
        off = means - weights @ means
        return (torch.einsum("k,kij->ij", weights, covariances) + (weights[:, None] * off).T @ off).float()

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        weights, means, _ = self._parts
        which = chosen(weights, n, generator, device)
        noise = normals(n, self.dim, generator, device)
        return means.to(noise)[which] + (self._roots.to(noise)[which] @ noise[:, :, None])[:, :, 0]


def _covariances(given: Any, count: int, dim: int) -> Any:
    """What was given, checked, as numbers in tuples."""
    if isinstance(given, int | float):
        return number("covariances", given, above=0)
    tensor = torch.as_tensor(numbers("covariances", given, (None,) * max(1, _depth(given))))
    if tensor.shape == (count,) and tensor.ndim == 1:
        if (tensor <= 0).any():
            raise ValueError(f"covariances must be > 0, got {tensor.min().item():g}")
        return nested(tensor)
    if tensor.shape == (dim, dim):
        return nested(positive_definite("covariances", tensor))
    if tensor.shape == (count, dim, dim):
        return nested(torch.stack([positive_definite(f"covariances[{i}]", one) for i, one in enumerate(tensor)]))
    legal = f"a number, ({count},), ({dim}, {dim}) or ({count}, {dim}, {dim})"
    raise ValueError(f"covariances must be {legal} for {count} means of {dim} dimension(s), got shape {tuple(tensor.shape)}")


def _depth(given: Any) -> int:
    """The number of axes of an array or of nested lists."""
    if hasattr(given, "ndim"):
        return given.ndim
    return 1 + _depth(given[0]) if isinstance(given, list | tuple) and given else 0


@dataclass(frozen=True)
class Grid(Shape):
    """Each coordinate is one of the whole numbers 0 … levels - 1, all as likely, plus normal noise; then standardized.

    For codes that will be quantized: levels^dim points. noise is the standard deviation in units of the points' spacing; 0 gives
    the points alone, which continuous codes can approach but not reach.
    """

    levels: int = 4
    noise: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "levels", whole("levels", self.levels, least=2))
        number("noise", self.noise, least=0)
        object.__setattr__(self, "noise", plain(self.noise))

    def form_moments(self) -> Moments:
        mean = torch.full((self.dim,), (self.levels - 1) / 2, dtype=torch.float64)
        return mean, ((self.levels**2 - 1) / 12 + self.noise**2) * torch.eye(self.dim, dtype=torch.float64)

    def form(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        points = (self.levels * uniforms(n, self.dim, generator, device)).floor()
        return points + self.noise * normals(n, self.dim, generator, device) if self.noise else points

    def form_quantile(self, u: Tensor) -> Tensor | None:
        return (self.levels * u).ceil() - 1 if self.noise == 0 else None
