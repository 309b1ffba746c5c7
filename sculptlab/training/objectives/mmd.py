"""The maximum mean discrepancy to a prior as a regularizer, of all latents jointly, of each alone, or of each pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from sculptlab.mmd.distance import discrepancies
from sculptlab.mmd.kernel_base import FIT_ROWS, Kernel
from sculptlab.mmd.kernels import Energy, as_kernel
from sculptlab.mmd.views import VIEWS
from sculptlab.priors import Prior
from sculptlab.training.objectives.prior_distances import PriorDistance, device_of
from sculptlab.training.objectives.terms import Adversaries, Batch, Term
from sculptlab.validation import choice, whole


@dataclass(frozen=True)
class Views:
    """What is compared: columns (views, columns of a view), the unit (dim,) of each latent, and a kernel of given width."""

    columns: Tensor
    unit: Tensor
    kernel: Kernel

    @classmethod
    def of(cls, views: str, prior: Prior, kernel: Kernel) -> Views:
        """All views of `prior`; a width that `kernel` leaves open is set by draws of the prior in their units."""
        draws = prior.sample(FIT_ROWS, generator=torch.Generator().manual_seed(0))
        dims = torch.arange(prior.dim)
        if views == "joint":
            return cls(dims[None], torch.ones(prior.dim), kernel.fit(draws))
        if views == "pairs" and prior.dim < 2:
            raise ValueError("views='pairs' needs a prior of at least 2 dimensions, got 1")
        columns = dims[:, None] if views == "marginal" else torch.combinations(dims)
        spread = draws.std(0)
        unit = torch.where(spread > 0, spread, 1)
        seen = ((draws - draws.mean(0)) / unit)[: 1 + FIT_ROWS // len(columns), columns]
        return cls(columns, unit, kernel.fit(seen.flatten(0, 1)))


@dataclass(frozen=True)
class MMD(PriorDistance):
    """Reconstruction + weight * MMD^2(codes, prior): an autoencoder whose aggregate posterior follows the prior.

    The estimate is unbiased: on average the same at every batch size. Its noise falls as 1 / batch, and it may be negative. In
    the history: "mmd2", "mmd2_marginal" or "mmd2_pairs", the latter two as means over views.

    Parameters
    ----------
    prior
        "gaussian" or "uniform", or anything that `priors.as_prior` takes: a Prior, an array of samples (m, dim), a function
        n -> (n, dim), a torch distribution. It must have the model's number of latents.
    weight : float
        Factor of MMD^2 in a loss in nats per image. The reconstruction grows with the number of pixels and the squared contrast
        of the images, MMD^2 does not: scale the weight likewise. `find_weight` measures the effect of a weight.
    kernel : Kernel, optional
        By default `kernels.IMQ()` with seven scales. A width that is left open is set by the prior, once, never by the codes. A
        width given for marginal or pair views is in the prior's standard deviations (`mmd2` takes it in units of the codes).
    views : {"joint", "marginal", "pairs"}
        All latents at once, each alone, or each two. For "marginal" and "pairs" the loss has dim times the mean MMD^2 over views,
        each latent divided by the prior's standard deviation. With many latents the joint kernel barely detects that one marginal
        has the wrong shape or that two latents are equal; combine views as MMD(p) + MMD(p, views="marginal").
    subset : int, optional
        How many views, drawn anew at each step, represent all; by default all. There are dim (dim - 1) / 2 pairs.
    schedule : callable, optional
        A function of the step, >= 0, that multiplies the weight, such as `objectives.Ramp(1000)`.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    References
    ----------
    Tolstikhin et al. 2018, arXiv 1711.01558. Marginal and pair views were added here.

    Examples
    --------
    >>> MMD("uniform", weight=200.0).prior_for(3).dim
    3
    """

    weight: float = 100.0
    kernel: Kernel | None = None
    views: str = "joint"
    subset: int | None = None
    _views_by_dim: dict[int, Views] = field(default_factory=dict, init=False, repr=False, compare=False)
    name: ClassVar[str] = "mmd2"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("views", self.views, VIEWS)
        as_kernel(self.kernel)
        if self.subset is not None:
            whole("subset", self.subset)
        if not isinstance(self.prior, str):
            self._views_of(self.prior.dim)

    def check(self, model: Any) -> None:
        super().check(model)
        if hasattr(model, "dim"):
            self._views_of(model.dim)

    def _views_of(self, dim: int) -> Views:
        """The views of codes with `dim` latents; computed once."""
        if dim not in self._views_by_dim:
            found = Views.of(self.views, self.prior_for(dim), as_kernel(self.kernel))
            if self.subset is not None and self.subset > len(found.columns):
                raise ValueError(f"subset must be at most the {len(found.columns)} view(s) of {self.views!r}, got {self.subset}")
            self._views_by_dim[dim] = found
        return self._views_by_dim[dim]

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        views = self._views_of(codes.shape[1])
        columns = views.columns
        if self.subset is not None:
            chosen = torch.randperm(len(columns), generator=generator, device=device_of(generator))[: self.subset]
            columns = columns[chosen.to(columns.device)]
        unit = views.unit.to(codes)
        x, y = ((rows / unit)[:, columns].transpose(0, 1) for rows in (codes, target))
        values = discrepancies(x, y, views.kernel, unbiased=True)
        return self.name if self.views == "joint" else f"{self.name}_{self.views}", values.mean()

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        latents = 1 if self.views == "joint" else batch.codes.shape[1]
        for term in super().regularizers(batch, adversaries):
            yield Term(term.name, term.weight * latents, term.value)


@dataclass(frozen=True)
class EnergyDistance(MMD):
    """Reconstruction + weight * the energy distance 2 E|z - y| - E|z - z'| - E|y - y'| between codes z and draws y of the prior.

    It is MMD^2 under the kernel -|x - y|, which has no width to choose; it grows with the units of the codes. In the history:
    "energy".

    Parameters
    ----------
    prior, weight, views, subset, schedule, likelihood
        As in `MMD`.

    References
    ----------
    Szekely and Rizzo 2013, doi 10.1016/j.jspi.2013.03.018.
    """

    weight: float = 10.0
    kernel: Kernel | None = field(default=Energy(), init=False, repr=False)
    name: ClassVar[str] = "energy"
