"""Mixtures: each draw comes from one of several priors, which a label may choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Device, Prior, choose, drawing_device
from sculptlab.priors.parameters import Moments, nested, numbers, positive_definite, probabilities, weighted_moments
from sculptlab.priors.sources import as_priors
from sculptlab.validation import as_device, describe


@dataclass(frozen=True)
class Mixture(Prior):
    """Each draw comes from one of several priors of the same dimension, chosen by its weight.

    Parameters
    ----------
    parts : sequence of priors
        Each anything that `as_prior` takes.
    weights : array_like of shape (k,), optional
        Probabilities, not negative and of sum 1; equal if not given.
    """

    dim: int = field(init=False, repr=False)
    parts: Sequence[Any]
    weights: Any = None

    def __post_init__(self) -> None:
        parts = as_priors("parts", self.parts, same_dim=True)
        vars(self).update(dim=parts[0].dim, parts=parts, weights=probabilities("weights", self.weights, len(parts)))

    def _moments(self) -> Moments:
        used, parts = zip(*(pair for pair in zip(self.weights, self.parts, strict=True) if pair[0] > 0), strict=True)
        if any(part.mean is None for part in parts):
            return None, None
        weights = torch.tensor(used, dtype=torch.float64, device="cpu")
        mean, between = weighted_moments(torch.stack([part.mean for part in parts]).double(), weights)
        if any(part.covariance is None for part in parts):
            return mean, None
        within = torch.stack([part.covariance for part in parts]).double()
        return mean, between + torch.einsum("k,kij->ij", weights, within)  # the law of total variance

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return self._draw_parts(choose(self.weights, n, generator, device), generator, device)

    def _draw_parts(self, which: Tensor, generator: Generator | None, device: Device) -> Tensor:
        """Draws (n, dim) whose row i comes from parts[which[i]]; `which` (n,) may be on any device."""
        drawn = torch.empty(len(which), self.dim, device=device, dtype=torch.float32)
        for k, part in enumerate(self.parts):
            rows = (which == k).nonzero()[:, 0]
            if len(rows):
                drawn[rows.to(device)] = part.sample(len(rows), generator, device)
        return drawn


@dataclass(frozen=True)
class GaussianMixture(Prior):
    """A mixture of k normal distributions N(means_i, covariances_i).

    Parameters
    ----------
    means : array_like of shape (k, d)
        The centers; `dim` is d.
    covariances : float or array_like of shape (k,), (d, d) or (k, d, d), default 1
        One variance for all, one for each normal, one matrix for all, or one for each, symmetric positive definite.
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
    _parts: tuple[Tensor, Tensor, Tensor] = field(init=False, repr=False, compare=False)  # weights, means, covariances

    def __post_init__(self) -> None:
        means, given = numbers("means", self.means, None, None), numbers("covariances", self.covariances)
        k, d = means.shape
        if given.shape not in [(), (k,), (d, d), (k, d, d)]:
            legal = f"a number, ({k},), ({d}, {d}) or ({k}, {d}, {d}) for {k} means of {d} dimension(s)"
            raise ValueError(f"covariances must be {legal}, got shape {tuple(given.shape)}")
        if given.ndim == 2:
            given = positive_definite("covariances", given)
        elif given.ndim == 3:
            given = torch.stack([positive_definite(f"covariances[{i}]", one) for i, one in enumerate(given)])
        elif (given <= 0).any():
            raise ValueError(f"covariances must be > 0, got {given.min():g}")
        weights = probabilities("weights", self.weights, k)
        identity = torch.eye(d, dtype=torch.float64, device="cpu")
        matrices = (given if given.ndim > 1 else given[..., None, None] * identity).expand(k, d, d)
        parts = torch.tensor(weights, dtype=torch.float64, device="cpu"), means, matrices
        vars(self).update(dim=d, means=nested(means), covariances=nested(given), weights=weights, _parts=parts)

    def _moments(self) -> Moments:
        weights, means, covariances = self._parts
        mean, between = weighted_moments(means, weights)
        return mean, between + torch.einsum("k,kij->ij", weights, covariances)

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        weights, means, covariances = self._parts
        which = choose(weights, n, generator, device)
        noise = torch.randn(n, self.dim, generator=generator, device=device, dtype=torch.float32)
        roots = torch.linalg.cholesky(covariances).to(noise)
        return means.to(noise)[which] + (roots[which] @ noise[:, :, None])[:, :, 0]


@dataclass(frozen=True, init=False, repr=False)
class Conditional(Mixture):
    """One prior for each label: `given` draws a code for each of many labels, `sample` draws the labels too.

    Parameters
    ----------
    priors : mapping of label to prior
        Labels are whole numbers or strings; each prior is anything that `as_prior` takes, all of the same dimension.
    weights : mapping of label to float, or array_like of shape (k,), optional
        Probabilities of the labels, not negative and of sum 1; equal if not given.

    Examples
    --------
    >>> Conditional({0: GaussianMixture([[0.0, 5.0]]), 1: [[0.0, -5.0]]}).given([1, 1, 0]).shape
    torch.Size([3, 2])
    """

    labels: tuple[Any, ...] = ()

    def __init__(self, priors: Mapping[Any, Any], weights: Any = None) -> None:
        if not isinstance(priors, Mapping) or not priors:
            raise TypeError(f"priors must be a mapping {{label: prior}} with at least one label, got {describe(priors)}")
        labels = [_plain(label) for label in priors]
        wrong = [label for label in labels if not isinstance(label, int | str)]
        if wrong:
            raise TypeError(f"priors must have whole numbers or strings as labels, got {describe(wrong[0])}")
        if isinstance(weights, Mapping):
            if set(weights) != set(labels):
                raise ValueError(f"weights must have the labels {labels}, got {list(weights)}")
            weights = [weights[label] for label in labels]
        super().__init__(as_priors("priors", priors.values(), same_dim=True), weights)
        vars(self)["labels"] = tuple(labels)

    def __repr__(self) -> str:
        return f"Conditional(priors={self.priors}, weights={self.weights})"

    @property
    def priors(self) -> dict[Any, Prior]:
        """The prior of each label, in the order of the weights."""
        return dict(zip(self.labels, self.parts, strict=True))

    def given(self, labels: Any, generator: Generator | None = None, device: Device | None = None) -> Tensor:
        """Draw one code for each of the labels (n,), float32 (n, dim); `generator` and `device` are as in `sample`."""
        if not hasattr(labels, "__len__") or getattr(labels, "ndim", 1) != 1 or not len(labels):
            raise ValueError(f"labels must be a list of at least one label of {list(self.labels)}, got {describe(labels)}")
        position = {label: k for k, label in enumerate(self.labels)}
        listed = labels.tolist() if hasattr(labels, "tolist") else [_plain(label) for label in labels]
        which = [position.get(label) for label in listed]
        if None in which:
            raise ValueError(f"labels must be among {list(position)}, got {describe(listed[which.index(None)])}")
        place = drawing_device(generator, device)
        rows = torch.tensor(which, dtype=torch.int64, device="cpu")
        return self._draw_parts(rows, generator, place).to(as_device(device, place))


def _plain(label: Any) -> Any:
    """A scalar of NumPy or torch as Python's."""
    return label.item() if hasattr(label, "item") and getattr(label, "ndim", 1) == 0 else label
