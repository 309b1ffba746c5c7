"""Mixtures: each draw comes from one of several priors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Prior
from sculptlab.priors.parameters import Moments, nested, numbers, positive_definite, probabilities, weighted_moments
from sculptlab.priors.sampling import Device, choose
from sculptlab.priors.sources import as_priors


@dataclass(frozen=True)
class Mixture(Prior):
    """Each draw comes from one of several priors of the same dimension, chosen by its weight.

    Parameters
    ----------
    parts : sequence of priors
        Each anything that `as_prior` takes.
    weights : array_like of shape (k,), optional
        Probabilities, not negative and of sum 1; equal if not given.

    Examples
    --------
    >>> Mixture([Gaussian(2), Ring()], weights=[0.2, 0.8]).dim
    2
    """

    dim: int = field(init=False, repr=False)
    parts: Sequence[Any]
    weights: Any = None

    def __post_init__(self) -> None:
        parts = as_priors("parts", self.parts)
        weights = probabilities("weights", self.weights, len(parts))
        vars(self).update(dim=shared_dim("parts", parts), parts=parts, weights=weights)

    def _moments(self) -> Moments:
        # the law of total variance, over the parts that can be drawn
        used = [(weight, part) for weight, part in zip(self.weights, self.parts, strict=True) if weight > 0]
        means = [part.mean.double() for _, part in used if part.mean is not None]
        covariances = [part.covariance.double() for _, part in used if part.covariance is not None]
        if len(means) < len(used):
            return None, None
        weights = torch.tensor([weight for weight, _ in used], dtype=torch.float64)
        mean, between = weighted_moments(torch.stack(means), weights)
        if len(covariances) < len(used):
            return mean, None
        return mean, between + torch.einsum("k,kij->ij", weights, torch.stack(covariances))

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return draw_parts(self.parts, choose(self.weights, n, generator, device), generator, device)


@dataclass(frozen=True)
class GaussianMixture(Prior):
    """A mixture of k normal distributions N(means_i, covariances_i).

    Parameters
    ----------
    means : array_like of shape (k, d)
        The centers; `dim` is d.
    covariances : float or array_like of shape (k,), (d, d) or (k, d, d), default 1
        One variance for every coordinate, one variance for each normal, one matrix for all, or one matrix for each.
        Matrices must be symmetric positive definite.
    weights : as in `Mixture`

    Examples
    --------
    >>> GaussianMixture([[-2.0], [2.0]], covariances=0.25, weights=[0.3, 0.7]).mean
    tensor([0.8000])
    """

    dim: int = field(init=False, repr=False)
    means: Any
    covariances: Any = 1.0
    weights: Any = None

    def __post_init__(self) -> None:
        means = numbers("means", self.means, (None, None))
        vars(self).update(
            dim=means.shape[1],
            means=nested(means),
            covariances=nested(_covariances(self.covariances, *means.shape)),
            weights=probabilities("weights", self.weights, len(means)),
        )

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights (k,), means (k, d), covariances (k, d, d) and their Cholesky factors, in float64."""
        weights, means, given = (torch.tensor(x, dtype=torch.float64) for x in (self.weights, self.means, self.covariances))
        matrices = given if given.ndim > 1 else given[..., None, None] * torch.eye(self.dim, dtype=torch.float64)
        matrices = matrices.expand(len(means), self.dim, self.dim)
        return weights, means, matrices, torch.linalg.cholesky(matrices)

    def _moments(self) -> Moments:
        weights, means, covariances, _ = self._parts
        mean, between = weighted_moments(means, weights)
        return mean, between + torch.einsum("k,kij->ij", weights, covariances)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        weights, means, _, roots = self._parts
        which = choose(weights, n, generator, device)
        noise = torch.randn(n, self.dim, generator=generator, device=device)
        return means.to(noise)[which] + (roots.to(noise)[which] @ noise[:, :, None])[:, :, 0]


def _covariances(given: Any, count: int, dim: int) -> Tensor:
    """Covariances in the shape in which they were given, checked."""
    tensor = numbers("covariances", given)
    if tensor.shape not in [(), (count,), (dim, dim), (count, dim, dim)]:
        legal = f"a number, ({count},), ({dim}, {dim}) or ({count}, {dim}, {dim})"
        raise ValueError(f"covariances must be {legal} for {count} means of {dim} dimension(s), got shape {tuple(tensor.shape)}")
    if tensor.ndim > 1:
        names = ["covariances"] if tensor.ndim == 2 else [f"covariances[{i}]" for i in range(count)]
        matrices = zip(names, tensor.reshape(-1, dim, dim), strict=True)
        return torch.stack([positive_definite(name, matrix) for name, matrix in matrices]).reshape(tensor.shape)
    if (tensor <= 0).any():
        raise ValueError(f"covariances must be > 0, got {tensor.min().item():g}")
    return tensor


def shared_dim(name: str, parts: Iterable[Prior]) -> int:
    """The dimension that all of `parts` have."""
    dims = [part.dim for part in parts]
    if len(set(dims)) != 1:
        raise ValueError(f"{name} must have one dimension, got {dims}")
    return dims[0]


def draw_parts(parts: Sequence[Prior], which: Tensor, generator: Generator | None, device: Device) -> Tensor:
    """Draws (n, dim) whose row i comes from parts[which[i]]; `which` (n,) may be on any device."""
    drawn = torch.empty(len(which), parts[0].dim, device=device)
    for k, part in enumerate(parts):
        rows = (which == k).nonzero()[:, 0]
        if len(rows):
            drawn[rows.to(device)] = part.sample(len(rows), generator, device)
    return drawn
