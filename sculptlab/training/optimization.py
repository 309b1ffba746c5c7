"""How weights follow their gradients: the optimizer, its learning rate over the steps, weight decay, the limit on gradients."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from sculptlab.training.optimizers import Adam, AdamW
from sculptlab.validation import choice, describe, number

HYPERPARAMETERS = ("betas", "eps", "weight_decay", "momentum", "dampening", "nesterov", "alpha", "rho", "amsgrad")

ELEMENTWISE = {  # their averages have the weights' shape; those that a weight has from its first step on
    torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"}, torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: set(), torch.optim.RMSprop: {"step", "square_avg"},
}  # fmt: skip


class Optimization:
    """The optimizer of `weights`, and of those of companions that `joined`, which do not decay; the options are those of `fit`.

    Under "cosine", the learning rate is 0 at the step `decay_over`, an attribute that is set before the first step.
    """

    def __init__(
        self, weights: list[nn.Parameter], joined: list[nn.Parameter], optimizer: Any, learning_rate: float | None,
        weight_decay: float | None, scheduler: Any, max_grad_norm: float | None,
    ) -> None:  # fmt: skip
        given = {} if learning_rate is None else {"lr": number("learning_rate", learning_rate, above=0)}
        given |= {} if weight_decay is None else {"weight_decay": number("weight_decay", weight_decay, least=0)}
        self.max_grad_norm = None if max_grad_norm is None else number("max_grad_norm", max_grad_norm, above=0)
        if not callable(scheduler):
            choice("scheduler", scheduler, ("cosine", "constant"))
        self.optimizer = _made(optimizer, weights, given)
        if joined:
            self.optimizer.add_param_group({"params": joined, "weight_decay": 0.0, "of companions": True})
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.cosine, self.decay_over, self._scheduler = scheduler == "cosine", 0, None
        if callable(scheduler):
            self._scheduler = scheduler(self.optimizer)
            if not isinstance(self._scheduler, LRScheduler) or _needs_argument(self._scheduler.step):
                raise TypeError(
                    "scheduler must be 'cosine', 'constant' or a function optimizer -> LRScheduler, which is stepped once a step "
                    f"without an argument; it returned {describe(self._scheduler)}"
                )
        made, known = self.optimizer, (name for name in HYPERPARAMETERS if name in self.optimizer.defaults)
        self.settings = {  # what must be the same to resume
            "learning_rate": self.rates[0], "max_grad_norm": self.max_grad_norm,
            "optimizer": f"{type(made).__name__}({', '.join(f'{name}={made.defaults[name]}' for name in known)})",
            "scheduler": scheduler if isinstance(scheduler, str) else repr(scheduler),
        }  # fmt: skip

    @property
    def weights(self) -> list[nn.Parameter]:
        """All weights that the optimizer changes."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def set_rates(self, rates: Sequence[float]) -> None:
        """Give each group of weights its learning rate."""
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def step(self, step: int) -> float:
        """Change the weights by their gradients, and return the learning rate of the first group."""
        if self.cosine:
            share = min(step / self.decay_over, 1.0)
            self.set_rates([rate * 0.5 * (1 + math.cos(math.pi * share)) for rate in self.rates])
        groups = self.optimizer.param_groups
        if self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.max_grad_norm)
        rate = float(groups[0]["lr"])
        self.optimizer.step()
        if self._scheduler is not None:
            self._scheduler.step()
        return rate

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's averages and the scheduler's position."""
        found = {"optimizer": self.optimizer.state_dict()}
        return found if self._scheduler is None else found | {"scheduler": self._scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned. Learning rates stay as they are, except for those that a scheduler sets."""
        names = "lr", "initial_lr"
        own = [{name: group[name] for name in names if name in group} for group in self.optimizer.param_groups]
        load_averages(self.optimizer, state["optimizer"])
        for group, rates in zip(self.optimizer.param_groups, own, strict=True):
            group.update(rates)
        if self._scheduler is not None and "scheduler" in state:
            self._scheduler.load_state_dict(state["scheduler"])
            self.set_rates(self._scheduler.get_last_lr())


def load_averages(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the `state_dict` of an optimizer: its averages and numbers, such as momentum, but not how they are computed.

    Raises ValueError for averages of other names or shapes, and numbers that are none. Each average becomes a tensor of its own:
    torch would write outside of one that repeats its values in memory.
    """
    groups = [
        came | {name: _number_like(name, value, came.get(name, value)) for name, value in own.items() if name != "params"}
        for own, came in zip(optimizer.param_groups, state["param_groups"], strict=True)
    ]
    optimizer.load_state_dict(state | {"param_groups": groups})
    needed = next((names for kind, names in ELEMENTWISE.items() if isinstance(optimizer, kind)), None)
    if needed is None:
        return
    for weight, averages in optimizer.state.items():
        if averages and (missing := needed - averages.keys()):
            raise ValueError(f"optimizer must have {', '.join(sorted(missing))} of each weight")
        for name, value in averages.items():
            if value is None and name not in needed:
                continue
            wanted = torch.Size() if name == "step" else weight.shape
            found = torch.as_tensor(value, device="cpu" if name == "step" else weight.device)
            if found.shape != wanted or found.layout != torch.strided or (name == "step" and not found >= 0):
                raise ValueError(f"optimizer's {name} must have the shape {tuple(wanted)}, got {describe(value)}")
            averages[name] = value.clone() if isinstance(value, Tensor) else value


def _number_like(name: str, own: Any, came: Any) -> Any:
    """A number, or a tuple of numbers, of a file in the place of the optimizer's `own`; of anything else its own stays."""
    if isinstance(own, tuple | list) and isinstance(came, tuple | list) and len(own) == len(came):
        return tuple(_number_like(name, *pair) for pair in zip(own, came, strict=True))
    if not isinstance(own, int | float) or isinstance(own, bool):
        return own
    if not isinstance(came, int | float) or not math.isfinite(came):
        raise ValueError(f"optimizer's {name} must be a number, got {describe(came)}")
    return came


def _made(optimizer: Any, weights: list[nn.Parameter], given: dict[str, float]) -> torch.optim.Optimizer:
    """Adam or AdamW by default, else what the caller's class or function makes, or has made."""
    if optimizer is None:
        kind = AdamW if given.get("weight_decay") else Adam
        return kind(weights, **{"lr": 1e-3, "weight_decay": 0} | given, fused=True)
    if isinstance(optimizer, torch.optim.Optimizer):
        if given:
            raise ValueError(f"learning_rate and weight_decay must be None with an optimizer that is already made, got {given}")
        optimizer.param_groups[:] = [group for group in optimizer.param_groups if "of companions" not in group]  # of a run before
        if optimizer.state:
            optimizer.load_state_dict(optimizer.state_dict())  # moves its averages to the device of the weights
    elif callable(optimizer):
        try:
            optimizer = optimizer(weights, **given)
        except TypeError as error:
            raise TypeError(f"optimizer cannot be called with the model's parameters and {given}: {error}") from error
    if not isinstance(optimizer, torch.optim.Optimizer) or _needs_argument(optimizer.step):
        raise TypeError(
            "optimizer must be an Optimizer over the model's parameters that steps without a closure, or a class or function "
            f"(parameters) -> Optimizer, such as torch.optim.SGD; got {describe(optimizer)}"
        )
    if not {id(weight) for weight in weights} & {id(weight) for group in optimizer.param_groups for weight in group["params"]}:
        raise ValueError(f"optimizer must be made over the model's parameters; this {type(optimizer).__name__} has none of them")
    return optimizer


def _needs_argument(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(one.default is one.empty and one.kind < one.VAR_POSITIONAL for one in parameters)
