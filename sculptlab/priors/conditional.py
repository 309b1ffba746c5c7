"""Priors that depend on a label: one prior for each class, or one latent that follows a number."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from sculptlab.priors.base import Prior
from sculptlab.priors.mixtures import Mixture, draw_parts, shared_dim
from sculptlab.priors.parameters import Moments, probabilities
from sculptlab.priors.sampling import Device, drawing_device, open_unit, widest_dtype
from sculptlab.priors.sources import as_prior
from sculptlab.validation import as_tensor, finite, number, parameter


@dataclass(frozen=True)
class Conditional(Prior):
    """One prior for each label: `given` draws a code for each of many labels, `sample` draws the labels too.

    Parameters
    ----------
    priors : mapping of label to prior
        Labels are whole numbers or strings; each prior is anything that `as_prior` takes, all of the same dimension.
    weights : mapping of label to float, or array_like of shape (k,), optional
        Probabilities of the labels, not negative and of sum 1; equal if not given.

    Examples
    --------
    >>> Conditional({0: Ring(), 1: Gaussian(2)}).given([1, 1, 0]).shape
    torch.Size([3, 2])
    """

    dim: int = field(init=False, repr=False)
    priors: Mapping[Any, Any]
    weights: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.priors, Mapping) or not self.priors:
            raise TypeError(f"priors must be a mapping {{label: prior}} with at least one label, got {self.priors!r}")
        priors = {_plain(label): as_prior(prior) for label, prior in self.priors.items()}
        for label in priors:
            if not isinstance(label, int | str):
                raise TypeError(f"priors must have whole numbers or strings as labels, got {label!r}")
        weights = self.weights
        if isinstance(weights, Mapping):
            if set(weights) != set(priors):
                raise ValueError(f"weights must have the labels {list(priors)}, got {list(weights)}")
            weights = [weights[label] for label in priors]
        weights = probabilities("weights", weights, len(priors))
        vars(self).update(dim=shared_dim("priors", priors.values()), priors=priors, weights=weights)

    def __hash__(self) -> int:
        return hash((tuple(self.priors.items()), self.weights))

    @property
    def labels(self) -> tuple[Any, ...]:
        """The labels, in the order of their weights."""
        return tuple(self.priors)

    @cached_property
    def _mixture(self) -> Mixture:
        return Mixture(tuple(self.priors.values()), self.weights)

    def _moments(self) -> Moments:
        return self._mixture._moments()

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return self._mixture._draw(n, generator, device)

    def given(self, labels: Any, generator: Generator | None = None, device: Device | None = None) -> Tensor:
        """Draw one code for each label.

        Parameters
        ----------
        labels : array_like or list of shape (n,)
            Labels of this prior.
        generator, device : as in `sample`

        Returns
        -------
        Tensor of shape (n, dim), float32
        """
        if not isinstance(labels, Iterable) or getattr(labels, "ndim", 1) != 1:
            raise ValueError(f"labels must be a list of {list(self.priors)}, got {labels!r}")
        position = {label: k for k, label in enumerate(self.priors)}
        listed = labels.tolist() if hasattr(labels, "tolist") else [_plain(label) for label in labels]
        for label in listed:
            if label not in position:
                raise ValueError(f"every label must be one of {list(position)}, got {label!r}")
        if not listed:
            raise ValueError("labels must hold at least one label, got none")
        which = torch.tensor([position[label] for label in listed])
        return draw_parts(self._mixture.parts, which, generator, drawing_device(generator, device)).to(device)


@dataclass(frozen=True)
class Tied(Prior):
    """One latent that follows a numeric label, by a Gaussian copula of the two.

    z = Q(Phi(r g + sqrt(1 - r^2) e)) with g = Phi^-1((label - low) / (high - low)), e ~ N(0, 1) and Q the quantiles of the
    marginal. Over labels uniform in [low, high] the latent has exactly the marginal's distribution.

    Parameters
    ----------
    marginal : prior
        Anything that `as_prior` takes, of one dimension and with a formula for its quantiles.
    low, high : float, default 0 and 1
        The least and the greatest label.
    correlation : float, default 0.99
        r, in [-1, 1] and not 0. Where negative, the latent falls with the label; 1 makes it a function of the label.

    Examples
    --------
    >>> Tied(Uniform(1), correlation=1.0).given([0.25, 0.5]).flatten().tolist()
    [-0.8660253882408142, 0.0]
    """

    dim: int = field(default=1, init=False, repr=False)
    marginal: Prior
    low: float = parameter(number, 0.0)
    high: float = parameter(number, 1.0)
    correlation: float = parameter(number, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        marginal = as_prior(self.marginal, dim=1 if isinstance(self.marginal, str) else None)
        if marginal.dim != 1 or marginal.icdf(0.5) is None:
            raise ValueError(f"marginal must have one dimension and quantiles at hand, got {self.marginal!r}")
        number("high", self.high, above=self.low)
        if not 0 < abs(self.correlation) <= 1:
            raise ValueError(f"correlation must lie in [-1, 1] and not be 0, got {self.correlation}")
        vars(self)["marginal"] = marginal

    @property
    def rank_correlation(self) -> float:
        """Spearman's correlation of the latent and a label that is uniform in [low, high], 6 / pi arcsin(r / 2)."""
        return 6 / math.pi * math.asin(self.correlation / 2)

    def given(self, labels: Any, generator: Generator | None = None, device: Device | None = None) -> Tensor:
        """Draw one code for each label.

        Parameters
        ----------
        labels : array_like of shape (n,)
            Numbers in [low, high].
        generator, device : as in `sample`

        Returns
        -------
        Tensor of shape (n, 1), float32
        """
        values = finite("labels", as_tensor("labels", labels))
        if values.ndim != 1 or not len(values):
            raise ValueError(f"labels must have shape (n,) with at least one row, got {tuple(values.shape)}")
        if values.min() < self.low or values.max() > self.high:
            span = f"[{values.min().item():g}, {values.max().item():g}]"
            raise ValueError(f"labels must lie in [{self.low:g}, {self.high:g}], got {span}")
        place = drawing_device(generator, device)
        noise = torch.randn(len(values), 1, generator=generator, device=place)[:, 0].to(widest_dtype(place))
        g = torch.special.ndtri(open_unit((values.to(noise) - self.low) / (self.high - self.low)))
        mixed = self.correlation * g + math.sqrt(1 - self.correlation**2) * noise
        return self.marginal._icdf(open_unit(torch.special.ndtr(mixed)))[:, None].to(device=device, dtype=torch.float32)

    def _moments(self) -> Moments:
        return self.marginal.mean, self.marginal.covariance

    def _draw(self, n: int, generator: Generator | None, device: Device) -> Tensor:
        return self.marginal.sample(n, generator, device)

    def _quantile(self, u: Tensor) -> Tensor | None:
        return self.marginal._icdf(u)


def _plain(label: Any) -> Any:
    """A scalar of NumPy or torch as Python's."""
    return label.item() if hasattr(label, "item") and getattr(label, "ndim", 1) == 0 else label
