"""Distances between a batch's codes and draws of a prior as regularizers: any prior that can be sampled will do.

They compare the batch as a whole, not each code: the aggregate posterior is pulled towards the prior, while a single code may lie
wherever the reconstruction needs it. Together with a reconstruction, such a distance is a penalized Wasserstein objective
(Tolstikhin et al. 2018), which is not a bound on the likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.priors import Gaussian, Prior, Uniform, as_prior
from sculptlab.training.objectives.base import Adversaries, Batch, Objective, Term
from sculptlab.validation import choice, number, whole
from sculptlab.validation import codes as valid_codes

NAMED_PRIORS = {"gaussian": Gaussian, "uniform": Uniform}


def prior_of(given: Any, dim: int) -> Prior:
    """The prior that was given by name, or as anything that `priors.as_prior` takes, with `dim` dimensions."""
    return NAMED_PRIORS[choice("prior", given, NAMED_PRIORS)](dim) if isinstance(given, str) else as_prior(given, dim)


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
    weight: float = 1.0
    schedule: Callable[[int], float] | None = field(default=None, kw_only=True)
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.prior, str):
            choice("prior", self.prior, NAMED_PRIORS)
        else:
            object.__setattr__(self, "prior", _checked(as_prior(self.prior)))
        number("weight", self.weight, least=0)
        if self.schedule is not None and not callable(self.schedule):
            raise TypeError(f"schedule must be a function of the step, such as Ramp(1000), got {self.schedule!r}")

    def check(self, model: Any) -> None:
        super().check(model)
        if hasattr(model, "dim"):
            self._prior_of_dim("model's", model.dim)

    def prior_for(self, dim: int) -> Prior:
        return prior_of(self.prior, dim) if isinstance(self.prior, str) else self.prior

    def _prior_of_dim(self, whose: str, dim: int) -> Prior:
        prior = self.prior_for(dim)
        if prior.dim != dim:
            raise ValueError(f"prior must have the {whose} {dim} dimension(s), got {prior.dim}: {prior!r}")
        return prior

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        codes = batch.codes
        prior = self._prior_of_dim("codes'", codes.shape[1])
        target = prior.sample(len(codes), generator=batch.generator, device=codes.device).to(codes.dtype)
        name, value = self.distance(codes, target, batch.generator)
        yield Term(name, self.weight * self._share(batch.step), value)

    def _share(self, step: int) -> float:
        """The schedule's share of the weight at this step."""
        if self.schedule is None:
            return 1.0
        share = self.schedule(step)
        return number(f"schedule({step})", share.item() if isinstance(share, Tensor) and share.numel() == 1 else share, least=0)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        """The distance between codes and draws of the prior.

        Parameters
        ----------
        codes, target : Tensor of shape (b, dim)
        generator : torch.Generator, optional
            Of what the distance draws.

        Returns
        -------
        tuple of str and 0-d Tensor
            Its name in the history and its value.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class SlicedWasserstein(PriorDistance):
    """Reconstruction + weight * the mean over random directions u of W2^2(u . codes, u . draws of the prior).

    In one dimension W2^2 is the mean squared difference of the sorted values. The value is biased upwards, by the distance
    between two batches of draws. In the history: "sliced_wasserstein".

    Parameters
    ----------
    weight : float
        Nats per image for a distance of 1, in squared units of the codes.
    projections : int
        Directions, drawn anew at each step.
    prior, schedule, likelihood
        As in `MMD`.

    References
    ----------
    Kolouri et al. 2019, arXiv 1804.01947.
    """

    weight: float = 10.0
    projections: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("projections", self.projections)

    def distance(self, codes: Tensor, target: Tensor, generator: torch.Generator | None) -> tuple[str, Tensor]:
        drawn = torch.randn(codes.shape[1], self.projections, generator=generator, device=device_of(generator))
        directions = functional.normalize(drawn, dim=0).to(codes)
        sorted_codes, sorted_target = ((z @ directions).sort(dim=0).values for z in (codes, target))
        return "sliced_wasserstein", (sorted_codes - sorted_target).square().mean()


def device_of(generator: torch.Generator | None) -> torch.device:
    """Where a generator draws."""
    return torch.device("cpu") if generator is None else generator.device


def _checked(prior: Prior) -> Prior:
    """`prior`, if its draws are finite and have its shape; a user's own subclass of Prior may draw anything."""
    drawn = valid_codes("prior's draws", prior.sample(2, generator=torch.Generator().manual_seed(0)), dim=prior.dim)
    if len(drawn) != 2:
        raise ValueError(f"prior must return 2 rows when asked for 2, got {len(drawn)}: {prior!r}")
    return prior
