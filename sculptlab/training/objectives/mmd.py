"""The maximum mean discrepancy (MMD) of codes to a prior, or to another model's codes, as a regularizer."""

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from sculptlab.columns import without_heavy_tails
from sculptlab.mmd.distance import discrepancies, discrepancy_share
from sculptlab.mmd.kernel_base import FIT_ROWS, Kernel
from sculptlab.mmd.kernels import IMQ, Energy, as_kernel
from sculptlab.mmd.views import VIEWS
from sculptlab.priors import Prior, Samples
from sculptlab.priors.base import drawing_device
from sculptlab.training.batches import check_dim
from sculptlab.training.distributed import Ranks
from sculptlab.training.latent_units import Units
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companions, Term
from sculptlab.training.objectives.prior_distances import PriorDistance
from sculptlab.validation import choice, codes, number, parameter, whole

FINE = IMQ(scales=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0))


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
    likelihood : as in `Reconstruction`

    References
    ----------
    Tolstikhin et al. 2018, arXiv 1711.01558. Marginal and pair views were added here.

    Examples
    --------
    >>> MMD("uniform", weight=200.0).prior_for(3).dim
    3
    """

    weight: float = parameter(number, 100.0, least=0)
    kernel: Kernel | None = None
    views: str = parameter(choice, "joint", legal=VIEWS)
    subset: int | None = parameter(whole, None)
    _views_by_dim: dict[int, tuple[Tensor, Tensor, Kernel]] = field(default_factory=dict, init=False, repr=False, compare=False)
    name: ClassVar[str] = "mmd2"

    def __post_init__(self) -> None:
        super().__post_init__()
        as_kernel(self.kernel)

    def _views_of(self, dim: int) -> tuple[Tensor, Tensor, Kernel]:
        """The columns (views, columns of a view), unit (dim,) of each latent, and kernel fitted in these units; computed once."""
        if dim not in self._views_by_dim:
            draws = self.prior_for(dim).sample(FIT_ROWS, generator=torch.Generator().manual_seed(0))
            latents, unit = torch.arange(dim, device="cpu"), torch.ones(dim, device="cpu", dtype=torch.float32)
            columns = {"joint": latents[None], "marginal": latents[:, None], "pairs": torch.combinations(latents)}[self.views]
            if not len(columns):
                raise ValueError(f"views='pairs' needs a prior of at least 2 dimensions, got {dim}")
            if self.subset is not None and self.subset > len(columns):
                raise ValueError(f"subset must be at most the {len(columns)} view(s) of {self.views!r}, got {self.subset}")
            if self.views != "joint":
                spread = without_heavy_tails(draws).std(0)
                unit = torch.where(spread > 0, spread, 1)
                draws = ((draws - draws.mean(0)) / unit)[: 1 + FIT_ROWS // len(columns), columns].flatten(0, 1)
            self._views_by_dim[dim] = columns, unit, as_kernel(self.kernel).fit(draws)
        return self._views_by_dim[dim]

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        columns, unit, kernel = self._views_of(codes.shape[1])
        ranks = Ranks.of(codes)

        def mmd2(x: Tensor, y: Tensor) -> Tensor:
            if ranks is None:
                return discrepancies(x, y, kernel, unbiased=True)
            return ranks.total(discrepancy_share(x, y, kernel, True, ranks.own(len(codes))))

        if self.views == "joint":
            return self.name, mmd2(codes, target)
        if self.subset is not None:
            chosen = torch.randperm(len(columns), generator=generator, device=drawing_device(generator, None))
            columns = columns[chosen[: self.subset].cpu()]
        x, y = (rows / unit.to(codes) for rows in (codes, target))
        if self.views == "marginal" and self.subset is None:
            x, y = x.T[..., None], y.T[..., None]  # a third of the time of the line below
        else:
            x, y = x[:, columns].transpose(0, 1), y[:, columns].transpose(0, 1)
        return f"{self.name}_{self.views}", mmd2(x, y).mean()

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        latents = 1 if self.views == "joint" else batch.codes.shape[1]
        for term in super().regularizers(batch, companions):
            yield term._replace(weight=latents * term.weight)


@dataclass(frozen=True)
class EnergyDistance(MMD):
    """Reconstruction + weight * the energy distance 2 E|z - y| - E|z - z'| - E|y - y'| between codes z and draws y of the prior.

    It is MMD^2 under the kernel -|x - y|, which has no width to choose; it grows with the units of the codes. In the history:
    "energy".

    Parameters
    ----------
    prior, weight, views, subset, schedule, likelihood : as in `MMD`

    References
    ----------
    Szekely and Rizzo 2013, doi 10.1016/j.jspi.2013.03.018.
    """

    weight: float = parameter(number, 10.0, least=0)
    kernel: Kernel | None = field(default=Energy(), init=False, repr=False)
    name: ClassVar[str] = "energy"


@dataclass(frozen=True, eq=False)
class Copying(Objective):
    """Reconstruction + weight * MMD^2(codes, source): the codes follow the joint distribution of another model's codes.

    Both samples are compared in standard deviations of the source's latents, since no kernel fits a latent of spread 0.01 beside
    one of 50. The codes themselves are in the units of the source. In the history: "mmd2".

    Parameters
    ----------
    source : array_like of shape (n, d) or Samples
        Codes of another model, not all alike, at least as many as a batch has images; drawn from with replacement.
    weight, schedule, likelihood : as in `MMD`
    kernel : Kernel, optional
        Its width is in standard deviations of the source. By default an IMQ kernel with nine scales from 0.001 to 10, which
        sees the filaments and clusters of a trained encoder's codes that the scales of `MMD` blur.

    References
    ----------
    arXiv 2510.11953, which calls it latent space copying.
    """

    source: Any
    weight: float = 300.0
    kernel: Kernel | None = None
    _: KW_ONLY
    schedule: Callable[[int], float] | None = None
    units: Units = field(init=False, repr=False)
    _distance: MMD = field(init=False, repr=False)
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        source = Samples(self.source.bank if isinstance(self.source, Samples) else codes("source", self.source).detach())
        if (source.bank == source.bank[0]).all():
            raise ValueError(f"source must vary, got {len(source.bank)} rows that are all alike")
        units = Units.of(source.bank)
        distance = MMD(Samples(units.plain(source.bank)), self.weight, self.kernel or FINE, schedule=self.schedule)
        vars(self).update(source=source, units=units, _distance=distance)

    def check(self, model: Any) -> None:
        super().check(model)
        check_dim("source", self.source.dim, model)

    def prior_for(self, dim: int) -> Prior:
        return self.source

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        if len(batch.codes) > len(self.source.bank):
            counts = f"{len(batch.codes)}, got {len(self.source.bank)}: give more codes, or a smaller batch_size"
            raise ValueError(f"source must have at least as many rows as a batch has images, {counts}")
        return self._distance.regularizers(batch._replace(codes=self.units.plain(batch.codes)), companions)
