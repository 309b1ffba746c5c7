"""Distances between the codes of a batch, taken together, and draws of any prior; the loss is no bound on the likelihood."""

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.priors import Prior, as_prior
from sculptlab.priors.base import drawing_device
from sculptlab.priors.sources import NAMES
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companions, Term
from sculptlab.validation import choice, finite, number, parameter, whole


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
            raise TypeError(f"schedule must be a function of the step, such as Ramp(1000), got {self.schedule!r}")
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
        drawn = torch.randn(
            codes.shape[1], self.projections, generator=generator, device=drawing_device(generator, None), dtype=torch.float32
        )
        directions = functional.normalize(drawn, dim=0).to(codes)
        sorted_codes, sorted_target = ((z @ directions).sort(dim=0).values for z in (codes, target))
        return "sliced_wasserstein", (sorted_codes - sorted_target).square().mean()
