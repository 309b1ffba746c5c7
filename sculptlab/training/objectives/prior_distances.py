"""Distances between the codes of a batch, taken together, and draws of any prior; the loss is no bound on the likelihood."""

import math
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd.kernel_base import FIT_ROWS, Kernel
from sculptlab.mmd.kernels import RBF, Energy, as_kernel
from sculptlab.mmd.sliced import by_formula, characteristic_distances, fitted_to_projections, sliced, unit_directions
from sculptlab.priors import Gaussian, Prior, as_prior
from sculptlab.priors.sources import NAMES
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companions, Term
from sculptlab.validation import choice, describe, finite, number, parameter, whole, widest_dtype


@dataclass(frozen=True)
class Ramp:
    """A schedule of a weight: `start` until step `begin`, then a line up to 1 at step `end`.

    With it, codes are first placed by the reconstruction and then take their shape.

    Parameters
    ----------
    end, begin : int
        Steps of training, 0 <= begin < end.
    start : float
        Share of the weight at the beginning, 0 <= start <= 1.

    Examples
    --------
    >>> [Ramp(100)(step) for step in (0, 50, 1000)]
    [0.0, 0.5, 1.0]
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
class PriorDistance(Objective):
    """Reconstruction + weight * schedule(step) * distance(codes, draws of the prior), with as many draws as codes.

    A prior given by name has the dimension of the codes that it meets; `prior` then stays the name.
    """

    prior: Any
    weight: float = parameter(number, 1.0, least=0)
    _: KW_ONLY
    schedule: Callable[[int], float] | None = None
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule is not None and not callable(self.schedule):
            raise TypeError(f"schedule must be a function of the step, such as Ramp(1000), got {describe(self.schedule)}")
        if isinstance(self.prior, str):
            choice("prior", self.prior, NAMES)
        else:
            vars(self)["prior"] = as_prior(self.prior)
            self._try(self.prior.dim)

    def check(self, model: Any) -> None:
        super().check(model)
        if hasattr(model, "dim"):
            self._try(model.dim)

    def _try(self, dim: int) -> None:
        """Compare a few draws of the prior, so that what cannot be compared is refused before training."""
        draws = finite("prior's draws", self.prior_for(dim).sample(4, torch.Generator().manual_seed(0)))
        self.distance(draws[:2], draws[2:], torch.Generator().manual_seed(0))

    def prior_for(self, dim: int) -> Prior:
        return as_prior(self.prior, dim)

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        codes, generator = batch.codes, batch.generator
        target = self.prior_for(codes.shape[1]).sample(len(codes), generator, codes.device).to(codes.dtype)
        share: Any = 1.0 if self.schedule is None else self.schedule(batch.step)
        share = share.item() if isinstance(share, Tensor) and share.numel() == 1 else share
        name, value = self.distance(codes, target, generator)
        yield Term(name, self.weight * number(f"schedule({batch.step})", share, least=0), value)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        """The name in the history and the 0-d distance between codes and draws of the prior, both (b, dim)."""
        raise NotImplementedError


@dataclass(frozen=True)
class SlicedWasserstein(PriorDistance):
    """Reconstruction + weight * the mean over random directions u of W2^2(u . codes, u . draws of the prior).

    In one dimension W2^2 is the mean squared difference of the sorted values. The value is biased upwards, by the distance
    between two batches of draws. In the history: "sliced_wasserstein".

    Parameters
    ----------
    prior, schedule, likelihood : as in `MMD`
    weight : float
        Nats per image for a distance of 1, in squared units of the codes.
    projections : int
        Directions, drawn anew at each step.

    References
    ----------
    Kolouri et al. 2019, arXiv 1804.01947.
    """

    weight: float = parameter(number, 10.0, least=0)
    projections: int = parameter(whole, 64)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        directions = unit_directions(codes.shape[1], self.projections, generator).to(codes)
        sorted_codes, sorted_target = ((z @ directions).sort(dim=0).values for z in (codes, target))
        return "sliced_wasserstein", (sorted_codes - sorted_target).square().mean()


@dataclass(frozen=True)
class SlicedMMD(PriorDistance):
    """Reconstruction + weight * the mean over random directions u of the unbiased MMD^2(u . codes, u . draws of the prior).

    Its time is linear in the batch and needs no kernel width. A Gaussian prior enters by its formula, without draws. In the
    history: "sliced_mmd2".

    Parameters
    ----------
    prior, schedule, likelihood : as in `MMD`
    weight : float
        Nats per image for a distance of 1.
    kernel : Kernel, optional
        Of one dimension, by default `kernels.Energy()`. A width that is left open is set by projections of the prior, once.
    directions : int
        Drawn anew at each step.

    References
    ----------
    `sculptlab.sliced_mmd2`.
    """

    weight: float = parameter(number, 100.0, least=0)
    kernel: Kernel | None = None
    directions: int = parameter(whole, 256)
    _kernels: dict[int, Kernel] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        as_kernel(self.kernel)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        dim, directions = codes.shape[1], unit_directions(codes.shape[1], self.directions, generator)
        prior = self.prior_for(dim)
        if dim not in self._kernels:
            fixed = torch.Generator().manual_seed(0)
            draws, kernel = prior.sample(FIT_ROWS, fixed), as_kernel(Energy() if self.kernel is None else self.kernel)
            self._kernels[dim] = fitted_to_projections(kernel, draws, unit_directions(dim, self.directions, fixed))
        kernel = self._kernels[dim]
        against = prior if isinstance(prior, Gaussian) and by_formula(kernel) else target
        return "sliced_mmd2", sliced(codes, against, directions, kernel, unbiased=True)


@dataclass(frozen=True)
class SIGReg(SlicedMMD):
    """Reconstruction + weight * LeJEPA's SIGReg: the Epps-Pulley statistic of normality of b codes, over random directions u.

    mean_u b integral |phi_u(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt, with phi_u(t) the mean of exp(i t u . z) over the codes z.
    It is sqrt(2 pi) b times the biased sliced MMD^2 under RBF(1) from N(0, I): `SlicedMMD` with any prior is its generalization.
    It grows with the batch; of normal codes its mean is 1.06. In the history: "sigreg".

    Parameters
    ----------
    weight : float
        Nats per image for a statistic of 1.
    directions : int
        Drawn anew at each step.
    knots : int, optional
        At least 2. None integrates over all t; a number is that of the equally spaced knots of the trapezoid rule on
        0 <= t <= 3, taken twice, by which the authors' code truncates the integral: 17 there.
    schedule, likelihood : as in `MMD`

    References
    ----------
    Balestriero and LeCun 2025, LeJEPA, arXiv 2511.08544. Epps and Pulley 1983, Biometrika 70.

    Examples
    --------
    >>> codes = torch.randn(256, 16, generator=torch.Generator().manual_seed(0))
    >>> term = SIGReg(weight=0.05).regularizer(16)
    >>> bool(term(2.0 * codes) > 10 * term(codes))
    True
    """

    prior: Any = field(default="gaussian", init=False, repr=False)
    weight: float = parameter(number, 1.0, least=0)
    kernel: Kernel | None = field(default=RBF(1.0), init=False, repr=False)
    knots: int | None = parameter(whole, None, least=2)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        dim, directions = codes.shape[1], unit_directions(codes.shape[1], self.directions, generator)
        if self.knots is None:
            value = math.sqrt(2 * math.pi) * sliced(codes, Gaussian(dim), directions, RBF(1.0), unbiased=False)
        else:
            t = torch.linspace(0, 3, self.knots, device="cpu", dtype=torch.float64).to(codes.device, widest_dtype(codes.device))
            weights = 6 / (self.knots - 1) * torch.exp(-t.square() / 2)
            weights[[0, -1]] /= 2
            projected, ones = (codes @ directions.to(codes)).T, codes.new_ones(self.directions, 1)
            value = characteristic_distances(projected, ones, True, t, weights, unbiased=False).mean().to(codes.dtype)
        return "sigreg", len(codes) * value
