"""What an objective sees of a step and what it returns: a batch, terms, and the networks trained beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.training.models import Posterior


@dataclass(frozen=True)
class Batch:
    """What an objective sees of one step: images, their posterior (None if deterministic) and codes.

    `rows` is the size of the whole data set. Steps are counted from 0.
    """

    images: Tensor
    posterior: Posterior | None
    codes: Tensor
    model: Any
    rows: int
    generator: torch.Generator | None
    step: int = 0


class Adversary(nn.Module):
    """A network that is trained beside the model, on its codes, by its own Adam with this learning rate and these betas."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    rounds: int = 1  # steps of its own for each step of the model

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """What the adversary minimizes, a 0-d tensor; codes (n, dim) come without a gradient."""
        raise NotImplementedError


Adversaries = Mapping[str, Adversary]


@dataclass(frozen=True)
class Term:
    """One regularizer of a step: its name in the history, its weight in the loss, its value."""

    name: str
    weight: float
    value: Tensor
