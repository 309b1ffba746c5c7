"""What an objective sees of a step, what it returns, and its companions: the parts with state that exist beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sculptlab.training.distributed import Ranks


class Batch(NamedTuple):
    """One step as an objective sees it: images (b, *image_shape), posterior (None if deterministic) and codes (b, dim).

    `rows` is the size of the whole data set; `generator` is the source of all noise. Steps are counted from 0. With several
    processes, `ranks`, the reconstruction sees the rows of this process, and the regularizers see `whole`.
    """

    images: Any
    posterior: Any
    codes: Tensor
    model: Any
    rows: int | None
    generator: torch.Generator | None
    step: int = 0
    ranks: Ranks | None = None

    def whole(self) -> Batch:
        """The codes and posteriors of all processes, without images; the batch itself if there is one process."""
        if self.ranks is None:
            return self
        codes, posterior = self.ranks.gather_codes(self.codes, self.posterior)
        return self._replace(images=None, codes=codes, posterior=posterior)


class Term(NamedTuple):
    """One regularizer of a step: its name in the history, its weight in the loss, its value."""

    name: str
    weight: float
    value: Tensor


class Companion(nn.Module):
    """A part of an objective that has state: networks, parameters or buffers that exist beside the model.

    `Objective.companions` makes it; the objective's `regularizers`, `decoder_input` and `sampling_prior` get it by its name. All
    of it is saved in checkpoints. It learns by its own `loss`, or with the model, and its buffers may change by `refresh`.

    Attributes
    ----------
    learning_rate, betas : float, tuple of float
        Of the Adam that minimizes `loss` after each step of the model. The objective's own loss passes gradients through the
        companion to the codes and does not change its parameters.
    rounds : int
        Steps of this Adam for each step of the model.
    joins_model : bool
        If true, there is no `loss`: the model's optimizer trains the parameters, by the loss of the objective.

    Examples
    --------
    >>> class RunningMean(Companion):
    ...     def __init__(self, dim):
    ...         super().__init__()
    ...         self.mean = torch.nn.Buffer(torch.zeros(dim))
    ...     def refresh(self, codes, model, generator):
    ...         self.mean.lerp_(codes.mean(0), 0.01)
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    rounds: int = 1
    joins_model: bool = False

    def __init__(self) -> None:
        super().__init__()

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """What the companion minimizes, a 0-d tensor; codes (n, dim) come without a gradient."""
        raise NotImplementedError

    def refresh(self, codes: Tensor, model: Any, generator: torch.Generator | None) -> None:
        """Change buffers after a step, by its codes (n, dim) and the model; called without gradients."""


Companions = Mapping[str, Companion]
