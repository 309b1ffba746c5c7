"""The terms of an objective on codes alone, as a module for `fit` and for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sculptlab.training.initialization import Initialization
from sculptlab.training.models import Posterior

if TYPE_CHECKING:
    from sculptlab.training.objectives.base import Objective


class Batch(NamedTuple):
    """One step as an objective sees it: images (b, *image_shape), posterior (None if deterministic) and codes (b, dim).

    `rows` is the size of the whole data set; `generator` is the source of all noise. Steps are counted from 0.
    """

    images: Any
    posterior: Any
    codes: Tensor
    model: Any
    rows: int | None
    generator: torch.Generator | None
    step: int = 0


class Term(NamedTuple):
    """One regularizer of a step: its name in the history, its weight in the loss, its value."""

    name: str
    weight: float
    value: Tensor


class Companion(nn.Module):
    """A part of an objective that has state: networks, parameters or buffers that exist beside the model.

    By default it has a `loss` of its own, and its parameters are trained by an Adam of their own with this learning rate and
    these betas; no other loss changes them. With `joins_model` its parameters are trained with the model's, by the loss of the
    objective. Its buffers may be changed by `refresh`. All of it is saved in checkpoints.
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    rounds: int = 1  # steps of its own for each step of the model
    joins_model: bool = False

    def loss(self, codes: Tensor, generator: torch.Generator | None) -> Tensor:
        """What the companion minimizes, a 0-d tensor; codes (n, dim) come without a gradient."""
        raise NotImplementedError

    def refresh(self, codes: Tensor, model: Any) -> None:
        """Change buffers after a step, by its codes (n, dim) and the model; called without gradients."""


Companions = Mapping[str, Companion]


class Regularizer(nn.Module):
    """The regularizers of an objective as one term of a loss, for any training loop; `objective.regularizer(dim)` makes it.

    `term(codes)` is the weighted sum of the terms. After each step of the model's optimizer, `term.update(codes)` trains what the
    objective trains beside the model, and counts the step. `state_dict` holds all that resuming needs.

    Parameters
    ----------
    objective : Objective
    dim : int
        Number of latents.
    rows : int, optional
        Number of images in the data set, which `BetaTC` needs.
    seed : int
        Of all noise, and of the first weights of the companions.

    Examples
    --------
    >>> from sculptlab.training.objectives import MMD
    >>> term = MMD("gaussian", weight=100.0).regularizer(2)
    >>> codes = torch.zeros(64, 2, requires_grad=True)
    >>> loss = term(codes)  # in a loop of your own: reconstruction + term(codes)
    >>> loss.backward()
    >>> term.update(codes)
    """

    def __init__(self, objective: Objective, dim: int, *, rows: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self.objective, self.dim, self.rows, self.seed, self.step = objective, dim, rows, seed, 0
        self.generator: torch.Generator | None = None
        with Initialization(seed):
            made = objective.companions(dim)
        self.companions: Companions = cast("Companions", nn.ModuleDict(made))
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, companion in made.items():
            if not companion.joins_model and (weights := list(companion.parameters())):
                self._optimizers[name] = torch.optim.Adam(weights, lr=companion.learning_rate, betas=companion.betas, fused=True)
                companion.requires_grad_(False)  # outside `update`, so that no other loss and no other optimizer changes it

    def forward(self, codes: Tensor, posterior: Any = None, model: Any = None) -> Tensor:
        """The weighted sum of the terms of codes (b, dim), 0-d, in nats per image.

        The posterior, a `Posterior` or (mean, log_variance), is needed by KL and its relatives; the model, with `encode` and
        `decode`, by `Anchors`, `LabeledMMD` and `Isometry`.
        """
        if not isinstance(codes, Tensor) or codes.ndim != 2 or codes.shape[1] != self.dim:
            raise ValueError(f"codes must be a tensor (b, {self.dim}), got {_shape(codes)}")
        if len(codes) < self.objective.least_batch:
            raise ValueError(
                f"codes must have at least {self.objective.least_batch} rows for {self.objective!r}, got {len(codes)}"
            )
        if isinstance(posterior, tuple | list) and len(posterior) == 2:
            posterior = Posterior(*posterior)
        for name, given, needed in (
            ("posterior", posterior, self.objective.needs_posterior), ("model", model, self.objective.needs_model),
        ):  # fmt: skip
            if needed and given is None:
                raise ValueError(f"{name} must be given for {self.objective!r}: term(codes, {name}={name})")
        if self.generator is None or self.generator.device.type != codes.device.type:
            self.generator = torch.Generator(codes.device).manual_seed(self.seed)
        batch = Batch(None, posterior, codes, model, self.rows, self.generator, self.step)
        total = codes.new_zeros(())
        for term in self.objective.regularizers(batch, self.companions):
            total = total + term.weight * term.value
        return total

    def update(self, codes: Tensor, model: Any = None) -> None:
        """Train the companions on the codes (b, dim) of a step, refresh their buffers, and count the step."""
        codes = codes.detach()
        for name, companion in self.companions.items():
            optimizer = self._optimizers.get(name)
            if optimizer is not None:
                companion.requires_grad_(True)
                with torch.enable_grad(), torch.autocast(codes.device.type, enabled=False):
                    for _ in range(companion.rounds):
                        optimizer.zero_grad()
                        companion.loss(codes, self.generator).backward()
                        optimizer.step()
                optimizer.zero_grad()
                companion.requires_grad_(False)
            with torch.no_grad():
                companion.refresh(codes, model)
        self.step += 1

    def get_extra_state(self) -> dict[str, Any]:
        """The step, the optimizers' averages and the generator, for `state_dict`."""
        return {
            "step": self.step,
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "generator": None if self.generator is None else self.generator.get_state(),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Put back what `get_extra_state` returned."""
        self.step = state["step"]
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if state["generator"] is not None:
            if self.generator is None:
                self.generator = torch.Generator()
            self.generator.set_state(state["generator"])


def _shape(value: Any) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
