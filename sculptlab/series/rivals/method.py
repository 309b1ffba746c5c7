"""`Method`: a way to train an autoencoder with codes of a declared distribution, as the scorecard compares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sculptlab.priors import Prior
from sculptlab.training.objectives import Objective
from sculptlab.training.run import Run

if TYPE_CHECKING:
    from sculptlab.series.studies.settings import PreparedImages

MOST_WEIGHTS = 6  # the same number of tries for every method


@dataclass(frozen=True)
class Method:
    """A row of the scorecard.

    Parameters
    ----------
    name : str
    family : str
        Methods of one family have one color.
    source : str
        The paper, with its arXiv number.
    prior : callable, optional
        Number of latents -> the distribution that the method declares for its codes. None where it declares none, or learns one:
        then it is what the run's objective samples from.
    weights : tuple of float
        Values of its main weight that are tried, in order, at most six; (0.0,) if it has no weight.
    train : callable
        (images, weight, seed) -> a Run whose encode, decode and sample are final.
    """

    name: str
    family: str
    source: str
    prior: Callable[[int], Prior] | None
    weights: tuple[float, ...]
    train: Callable[[PreparedImages, float, int], Run]

    def __post_init__(self) -> None:
        if not 1 <= len(self.weights) <= MOST_WEIGHTS:
            raise ValueError(f"weights must be 1 to {MOST_WEIGHTS} numbers, got {self.weights}")

    def declared(self, run: Run, dim: int) -> Prior | None:
        """The distribution that the codes of `run` should have: `prior`, or the one that its objective samples from."""
        if self.prior is not None:
            return self.prior(dim)
        return run.objective.sampling_prior(dim, run.model, run.companions)


def of_objective(
    name: str,
    family: str,
    source: str,
    prior: Callable[[int], Prior] | None,
    weights: tuple[float, ...],
    objective: Callable[[float], Objective],
) -> Method:
    """A method that is only an objective: `objective` makes it from the weight.

    Weights are in nats per image under a Gaussian decoder of variance `images.decoder_variance`; see `PreparedImages.train`.
    """

    def train(images: PreparedImages, weight: float, seed: int) -> Run:
        return images.train(objective(weight), seed)

    return Method(name, family, source, prior, weights, train)
