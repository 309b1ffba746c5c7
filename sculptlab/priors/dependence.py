"""Priors whose parts depend on one another, or on a label: copulas and conditional priors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.priors.banks import Samples
from sculptlab.priors.base import Prior, home
from sculptlab.priors.combinations import mixed_moments, one_dim, priors_of
from sculptlab.priors.draws import Place, chosen, normals, scattered
from sculptlab.priors.families import Gaussian, Uniform
from sculptlab.priors.parameters import Matrix, Vector, in_order, nested, plain, positive_definite, shares
from sculptlab.priors.sources import as_prior

STAND_INS = 100_000  # draws that stand for a marginal without a formula for its quantiles


@dataclass(frozen=True)
class Copula(Prior):
    """Marginals and dependence apart, by a Gaussian copula: z_j = Q_j(Phi(g_j)) with g ~ N(0, correlation), Q_j the quantiles.

    marginals    priors of one dimension each. One without a quantile function is replaced by 100,000 fixed draws of it; its place
                 is in `.empirical`
    correlation  of g: (d, d), symmetric positive definite with ones on the diagonal, or one number for all pairs. That of z is
                 smaller where marginals are not normal; `.rank_correlation` is Spearman's, exact for continuous marginals
    The covariance is known where each pair is uncorrelated, both normal or both uniform; else None.
    """

    dim: int = field(init=False, repr=False)
    marginals: tuple[Prior, ...]
    correlation: Matrix

    def __post_init__(self) -> None:
        marginals = priors_of("marginals", self.marginals)
        wide = [i for i, one in enumerate(marginals) if one.dim != 1]
        if wide:
            raise ValueError(f"marginals must have 1 dimension each, got {marginals[wide[0]].dim} at place {wide[0]}")
        if len(marginals) < 2:
            raise ValueError(f"marginals must be at least 2, got {len(marginals)}")
        object.__setattr__(self, "marginals", marginals)
        object.__setattr__(self, "dim", len(marginals))
        object.__setattr__(self, "correlation", nested(_correlations(plain(self.correlation), self.dim)))

    @cached_property
    def _correlation(self) -> Tensor:
        return torch.tensor(self.correlation, dtype=torch.float64)

    @cached_property
    def _root(self) -> Tensor:
        return torch.linalg.cholesky(self._correlation)

    @cached_property
    def _quantiles(self) -> list[Prior]:
        """Each marginal, or the bank of draws that stands for it."""
        middle = torch.tensor([0.5], dtype=torch.float64)
        known = [one.quantile(middle) is not None for one in self.marginals]
        seed = torch.Generator().manual_seed(0)
        return [one if exact else Samples(one.sample(STAND_INS, seed)) for one, exact in zip(self.marginals, known, strict=True)]

    @property
    def empirical(self) -> tuple[int, ...]:
        """The places of the marginals whose quantiles are those of draws, as they have no formula here."""
        return tuple(i for i, (one, used) in enumerate(zip(self.marginals, self._quantiles, strict=True)) if one is not used)

    @property
    def rank_correlation(self) -> Tensor:
        """Spearman's correlations, (d, d) float32: 6 / pi arcsin(correlation / 2), whatever the continuous marginals."""
        return (6 / math.pi * (self._correlation / 2).asin()).float()

    @property
    def mean(self) -> Tensor | None:
        means = [one.mean for one in self._quantiles]
        known = [mean for mean in means if mean is not None]
        return torch.cat(known) if len(known) == len(means) else None

    @property
    def covariance(self) -> Tensor | None:
        covariances = [one.covariance for one in self._quantiles]
        variances = [covariance for covariance in covariances if covariance is not None]
        if len(variances) < self.dim:
            return None
        correlations = torch.eye(self.dim)
        for i, j in torch.combinations(torch.arange(self.dim)).tolist():
            pair = {type(self.marginals[i]), type(self.marginals[j])}
            found = self._correlation if pair == {Gaussian} else self.rank_correlation if pair == {Uniform} else None
            if found is None and self._correlation[i, j] != 0:
                return None
            correlations[i, j] = correlations[j, i] = 0.0 if found is None else found[i, j]
        spread = torch.cat([variance.reshape(1) for variance in variances]).sqrt()
        return spread[:, None] * correlations * spread

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        g = normals(n, self.dim, generator, device)
        double = g if g.device.type == "mps" else g.double()
        u = torch.special.ndtr(double @ self._root.T.to(double))
        least = torch.finfo(u.dtype).eps / 2
        columns = [one.quantile(p) for one, p in zip(self._quantiles, u.clamp(least, 1 - least).T, strict=True)]
        return torch.stack([column for column in columns if column is not None], 1)


def _correlations(given: Any, dim: int) -> Tensor:
    if isinstance(given, int | float):
        low = -1 / (dim - 1)
        if not low < given < 1:
            raise ValueError(f"correlation must lie between {low:g} and 1 for all pairs of {dim} marginals, got {given}")
        return torch.full((dim, dim), float(given), dtype=torch.float64).fill_diagonal_(1)
    matrix = positive_definite("correlation", given, dim)
    if not torch.allclose(matrix.diag(), torch.ones(dim, dtype=torch.float64), atol=1e-5):
        raise ValueError(f"correlation must have ones on its diagonal, got {nested(matrix.diag())}")
    return matrix.fill_diagonal_(1)


@dataclass(frozen=True)
class Conditional(Prior):
    """A prior for each label: `given` draws one code for each of a list of labels, `sample` draws the labels by `weights` too.

    priors    {label: prior}, all of one dimension; labels are whole numbers or strings
    weights   {label: weight} or a list in the same order, of sum 1; None: all labels as likely

    >>> Conditional({0: Ring(), 1: Gaussian(2)}).given([1, 1, 0]).shape
    torch.Size([3, 2])
    """

    dim: int = field(init=False, repr=False)
    priors: Mapping[Any, Prior]
    weights: Vector | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.priors, Mapping) or not self.priors:
            raise TypeError(f"priors must be a mapping {{label: prior}} with at least one label, got {self.priors!r}")
        named = {plain(label): as_prior(prior) for label, prior in self.priors.items()}
        odd = [label for label in named if not isinstance(label, int | str)]
        if odd:
            raise TypeError(f"priors must have whole numbers or strings as labels, got {odd[0]!r}")
        object.__setattr__(self, "dim", one_dim("priors", named.values()))
        object.__setattr__(self, "priors", named)
        weights = in_order("weights", self.weights, list(named))
        object.__setattr__(self, "weights", shares("weights", weights, len(named)))

    def __hash__(self) -> int:
        return hash((tuple(self.priors.items()), self.weights))

    @property
    def labels(self) -> tuple[Any, ...]:
        """The labels, in the order of their weights."""
        return tuple(self.priors)

    @cached_property
    def _weights(self) -> Tensor:
        return torch.tensor(self.weights, dtype=torch.float64)

    @property
    def mean(self) -> Tensor | None:
        return mixed_moments(self.priors.values(), self._weights)[0]

    @property
    def covariance(self) -> Tensor | None:
        return mixed_moments(self.priors.values(), self._weights)[1]

    def given(self, labels: Any, generator: torch.Generator | None = None, device: torch.device | str | None = None) -> Tensor:
        """A draw of each label's prior, (n, dim) float32; labels (n,): a list, array or tensor. Devices as in `sample`."""
        if not isinstance(labels, Iterable) or getattr(labels, "ndim", 1) != 1:
            raise ValueError(f"labels must be a list of {list(self.priors)}, got {labels!r}")
        listed = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else [plain(label) for label in labels]
        place = {label: k for k, label in enumerate(self.priors)}
        strange = [label for label in listed if label not in place]
        if strange:
            raise ValueError(f"labels must be a list of {list(place)}, got {strange[0]!r} among them")
        if not listed:
            raise ValueError("labels must hold at least one label, got none")
        which = torch.tensor([place[label] for label in listed])
        drawn = scattered(list(self.priors.values()), which, generator, home(generator, device))
        return drawn if device is None else drawn.to(device)

    def draw(self, n: int, generator: torch.Generator | None, device: Place) -> Tensor:
        return scattered(list(self.priors.values()), chosen(self._weights, n, generator, device), generator, device)
