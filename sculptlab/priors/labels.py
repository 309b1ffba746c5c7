"""A latent that follows a number: the prior of one latent given a continuous label."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sculptlab.priors.base import Prior, home
from sculptlab.priors.draws import Place, normals
from sculptlab.priors.parameters import plain
from sculptlab.priors.sources import as_prior
from sculptlab.validation import as_tensor, finite, number


@dataclass(frozen=True)
class Tied(Prior):
    """One latent that rises with a label: z = Q(Phi(r g + sqrt(1 - r^2) e)) with
    g = Phi^-1((label - low) / (high - low)), e ~ N(0, 1).

    Q are the quantiles of `marginal`. Over labels uniform in [low, high] the latent is distributed exactly as `marginal`, and its
    rank correlation with the label is 6 / pi arcsin(r / 2): a Gaussian copula of latent and label.
    marginal     a prior of one dimension with quantiles at hand
    low, high    the least and the greatest label
    correlation  r, 0 < |r| <= 1; negative: the latent falls; 1: it is a function of the label

    >>> Tied(Uniform(1), correlation=1.0).given([0.25, 0.5]).flatten().tolist()
    [-0.8660253882408142, 0.0]
    """

    dim: int = field(init=False, repr=False)
    marginal: Prior
    low: float = 0.0
    high: float = 1.0
    correlation: float = 0.99

    def __post_init__(self) -> None:
        marginal = as_prior(self.marginal)
        if marginal.dim != 1 or marginal.quantile(torch.tensor([0.5], dtype=torch.float64)) is None:
            raise ValueError(f"marginal must have one dimension and quantiles at hand, got {self.marginal!r}")
        number("high", self.high, above=number("low", self.low))
        if not 0 < abs(number("correlation", self.correlation)) <= 1:
            raise ValueError(f"correlation must lie in [-1, 1] and not be 0, got {self.correlation}")
        object.__setattr__(self, "dim", 1)
        object.__setattr__(self, "marginal", marginal)
        for name in ("low", "high", "correlation"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    @property
    def mean(self) -> Tensor | None:
        return self.marginal.mean

    @property
    def covariance(self) -> Tensor | None:
        return self.marginal.covariance

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of the latent and a label that is uniform in [low, high]."""
        return 6 / math.pi * math.asin(self.correlation / 2)

    def given(self, labels: Any, generator: torch.Generator | None = None, device: torch.device | str | None = None) -> Tensor:
        """A draw for each label, (n, 1) float32; labels (n,), numbers in [low, high]. Devices as in `sample`."""
        values = finite("labels", as_tensor("labels", labels).double())
        if values.ndim != 1 or not len(values):
            raise ValueError(f"labels must have shape (n,) with at least one row, got {tuple(values.shape)}")
        if values.min() < self.low or values.max() > self.high:
            span = f"[{values.min().item():g}, {values.max().item():g}]"
            raise ValueError(f"labels must lie in [{self.low:g}, {self.high:g}], got {span}")
        noise = normals(len(values), 1, generator, home(generator, device))
        least = torch.finfo(torch.float64).eps / 2
        g = torch.special.ndtri(((values.to(noise.device) - self.low) / (self.high - self.low)).clamp(least, 1 - least))
        mixed = self.correlation * g + math.sqrt(1 - self.correlation**2) * noise[:, 0].double()
        drawn = self.marginal.quantile(torch.special.ndtr(mixed).clamp(least, 1 - least))
        assert drawn is not None
        return drawn[:, None].float() if device is None else drawn[:, None].float().to(device)

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        return self.marginal.sample(n, generator, device)

    def quantile(self, u: Tensor) -> Tensor | None:
        return self.marginal.quantile(u)
