"""Distances between a batch's codes and samples of a prior, as regularizers: any prior that can be sampled will do.

They act on the whole batch, not on each code: the aggregate posterior is pulled towards the prior, while a single code may lie
wherever the reconstruction needs it. Adding one to a reconstruction gives a penalized Wasserstein objective (Tolstikhin et al.
2018), which is not a bound on the likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.mmd.distance import discrepancies
from sculptlab.mmd.kernel_base import FIT_ROWS, Kernel
from sculptlab.mmd.kernels import Energy, as_kernel
from sculptlab.mmd.views import VIEWS
from sculptlab.priors import Prior, as_prior
from sculptlab.training.objectives.base import Adversaries, Batch, Objective, Term
from sculptlab.validation import choice, number, whole
from sculptlab.validation import codes as valid_codes


@dataclass(frozen=True)
class Ramp:
    """A weight's schedule: `start` times the weight until step `begin`, then a line up to the whole weight at step `end`.

    0 <= begin < end are steps of training, 0 <= start <= 1. Codes find their places first and take their shape after.
    """

    end: int
    begin: int = 0
    start: float = 0.0

    def __post_init__(self) -> None:
        whole("end", self.end, least=1 + whole("begin", self.begin, least=0))
        if number("start", self.start, least=0) > 1:
            raise ValueError(f"start must be between 0 and 1, got {self.start}")

    def __call__(self, step: int) -> float:
        share = min(max((step - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.start + (1 - self.start) * share


@dataclass(frozen=True)
class _ToPrior(Objective):
    """Reconstruction + weight * schedule(step) * distance(codes, draws of the prior), as many draws as codes."""

    prior: Any
    weight: float = 1.0
    schedule: Callable[[int], float] | None = field(default=None, kw_only=True)
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "prior", _probed(as_prior(self.prior)))
        number("weight", self.weight, least=0)
        if self.schedule is not None and not callable(self.schedule):
            raise TypeError(f"schedule must be a function of the step, such as Ramp(1000), got {self.schedule!r}")

    def check(self, model: Any) -> None:
        super().check(model)
        dim = getattr(model, "dim", self.prior.dim)
        if dim != self.prior.dim:
            raise ValueError(f"prior must have the model's {dim} dimension(s), got {self.prior.dim}: {self.prior!r}")

    def prior_for(self, dim: int) -> Prior:
        return self.prior

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        codes = batch.codes
        if codes.shape[1] != self.prior.dim:  # of a model that does not say its `dim`
            raise ValueError(f"prior must have the codes' {codes.shape[1]} dimension(s), got {self.prior.dim}: {self.prior!r}")
        target = self.prior.sample(len(codes), generator=batch.generator, device=codes.device).to(codes.dtype)
        name, value = self.distance(codes, target, batch.generator)
        yield Term(name, self.weight * self._share(batch.step), value)

    def _share(self, step: int) -> float:
        if self.schedule is None:
            return 1.0
        share = self.schedule(step)
        return number(f"schedule({step})", share.item() if isinstance(share, Tensor) and share.numel() == 1 else share, least=0)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        """Its name in the history and its value, 0-d, between codes and draws of the prior, both (b, dim)."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Views:
    """The columns (views, columns to a view) that are compared, each in its unit (dim,), under a kernel of given width."""

    columns: Tensor
    unit: Tensor
    kernel: Kernel

    @classmethod
    def of(cls, views: str, prior: Prior, kernel: Kernel) -> _Views:
        """All views of `prior`; a width that `kernel` leaves open is set by its draws, seen as the codes will be."""
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
class MMD(_ToPrior):
    """Reconstruction + weight * MMD^2(codes, prior): an autoencoder whose aggregate posterior takes the prior's shape.

    prior      anything that `priors.as_prior` takes: a Prior, samples (m, dim), a function, a distribution.
    weight     nats per image for an MMD^2 of 1. The estimate is unbiased, hence the same at every batch size but for its noise,
               which falls as 1 / batch and may be negative. Reconstruction grows with the number of pixels and with the squared
               contrast, MMD^2 does not: scale the weight likewise. `find_weight` measures what a weight does.
    kernel     None: `kernels.IMQ()`, seven scales. An open width is set by the prior, once, never by the codes; a width given to
               single or double views is in the prior's standard deviations (`mmd2` takes it in units of the codes).
    views      "joint": all dimensions at once. "marginal": each alone, "pairs": each two; of these the mean over all views, in
               units of the prior's standard deviations, times dim: nats per *latent*, the same at every dim. With many
               dimensions the joint kernel sees neither one's shape nor that two are alike; add objectives up to have several.
    subset     how many views, drawn anew each step, stand for all; None: all. Pairs are dim (dim - 1) / 2.
    schedule   a function of the step, >= 0, that multiplies the weight, such as `Ramp(1000)`.
    In the history: "mmd2", "mmd2_marginal" (mean over views) or "mmd2_pairs".
    Raises ValueError for a prior of another dimension than the model's. Source: Tolstikhin et al. 2018, arXiv 1711.01558;
    the views are ours.

    >>> MMD(torch.zeros(5, 2), weight=10.0).prior.dim
    2
    """

    weight: float = 100.0
    kernel: Kernel | None = None
    views: str = "joint"
    subset: int | None = None
    _views: _Views = field(init=False, repr=False, compare=False)
    name: ClassVar[str] = "mmd2"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("views", self.views, VIEWS)
        found = _Views.of(self.views, self.prior, as_kernel(self.kernel))
        if self.subset is not None and whole("subset", self.subset) > len(found.columns):
            raise ValueError(f"subset must be at most the {len(found.columns)} view(s) of {self.views!r}, got {self.subset}")
        object.__setattr__(self, "_views", found)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        columns = self._views.columns
        if self.subset is not None:
            chosen = torch.randperm(len(columns), generator=generator, device=_place(generator))[: self.subset]
            columns = columns[chosen.to(columns.device)]
        unit = self._views.unit.to(codes)
        x, y = ((rows / unit)[:, columns].transpose(0, 1) for rows in (codes, target))
        values = discrepancies(x, y, self._views.kernel, unbiased=True)
        return self.name if self.views == "joint" else f"{self.name}_{self.views}", values.mean()

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        latents = 1 if self.views == "joint" else self.prior.dim
        for term in super().regularizers(batch, adversaries):
            yield Term(term.name, term.weight * latents, term.value)


@dataclass(frozen=True)
class EnergyDistance(MMD):
    """Reconstruction + weight * (2 E|z - y| - E|z - z'| - E|y - y'|): MMD under the kernel -|x - y|, no width to choose.

    Arguments as in `MMD`; the distance grows with the units of the codes. In the history: "energy". Source: Szekely and Rizzo
    2013.
    """

    weight: float = 10.0
    kernel: Kernel | None = field(default=Energy(), init=False, repr=False)
    name: ClassVar[str] = "energy"


@dataclass(frozen=True)
class SlicedWasserstein(_ToPrior):
    """Reconstruction + weight * mean over random directions u of W2^2(u . codes, u . draws of the prior).

    In one dimension W2^2 is the mean squared difference of the sorted values. weight: nats per image for a distance of 1, in
    squared units of the codes; projections: directions, drawn anew each step. The value is biased upwards, by what two batches of
    the prior differ. Arguments else as in `MMD`. Source: Kolouri et al. 2019, arXiv 1804.01947.
    """

    weight: float = 10.0
    projections: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("projections", self.projections)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        drawn = torch.randn(codes.shape[1], self.projections, generator=generator, device=_place(generator))
        directions = functional.normalize(drawn, dim=0).to(codes)
        sorted_codes, sorted_target = ((z @ directions).sort(dim=0).values for z in (codes, target))
        return "sliced_wasserstein", (sorted_codes - sorted_target).square().mean()


def _probed(prior: Prior) -> Prior:
    """`prior`, if what it draws has its shape and is finite: a person's own subclass may do anything."""
    drawn = valid_codes("prior's draws", prior.sample(2, generator=torch.Generator().manual_seed(0)), dim=prior.dim)
    if len(drawn) != 2:
        raise ValueError(f"prior must return 2 rows when asked for 2, got {len(drawn)}: {prior!r}")
    return prior


def _place(generator: torch.Generator | None) -> torch.device:
    return torch.device("cpu") if generator is None else generator.device
