"""A spline flow between codes and the standard normal distribution, and its training by maximum likelihood."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.reshaping.maps import Map
from sculptlab.training.initialization import Initialization
from sculptlab.training.optimizers import AdamW

LOG_NORMAL = 0.5 * math.log(2 * math.pi)  # minus the logarithm of the standard normal density at 0
CHECK_EVERY = 25  # steps between two looks at the validation rows
Batch = tuple[Tensor, Tensor | None]  # codes (b, d), and their context


class SplineFlow(Map):
    """Coupling layers: in each, half of the latents is mapped by rational-quadratic splines that a network of the others sets.

    The layers are those of `zuko`. Each is inverted by its network in one pass; an autoregressive flow would need d passes. The
    flow begins as the identity, and beyond 5 standard deviations it stays so.

    Parameters
    ----------
    dim, context : int
        Number of latents, and of the values that the networks get beside them.
    layers, hidden_size, bins : int
        Number of layers, of units in each of a network's two hidden layers, and of pieces of each spline.
    seed : int
        Of the weights, and of the halves.

    References
    ----------
    Durkan et al. 2019, arXiv 1906.04032 (neural spline flows).
    """

    def __init__(
        self, dim: int, *, context: int = 0, layers: int = 6, hidden_size: int = 128, bins: int = 8, seed: int = 0
    ) -> None:  # fmt: skip
        super().__init__()
        from zuko.flows import NICE  # type: ignore[import-untyped]
        from zuko.transforms import MonotonicRQSTransform  # type: ignore[import-untyped]

        self.arguments = {
            "dim": dim, "context": context, "layers": layers, "hidden_size": hidden_size, "bins": bins, "seed": seed
        }  # fmt: skip
        splines = partial(MonotonicRQSTransform, slope=1e-3)
        with Initialization(seed):
            self.flow: Any = NICE(
                dim, context, transforms=layers, randmask=True, univariate=splines, shapes=[(bins,), (bins,), (bins - 1,)],
                hidden_features=(hidden_size,) * 2,
            )  # fmt: skip
        for network in (part for part in self.modules() if isinstance(part, nn.Sequential)):
            for parameter in network[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.flow(context).transform.call_and_ladj(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.flow(context).transform.inv(z)


def log_likelihood(flow: Map, x: Tensor, context: Tensor | None = None) -> Tensor:
    """log p(x) (n,) in nats of `x` (n, d) if `flow` maps it to the standard normal distribution."""
    z, stretched = flow(x, context)
    return stretched - (0.5 * z.square() + LOG_NORMAL).sum(1)


@torch.enable_grad()  # also inside a caller's no_grad
def maximize_likelihood(
    flow: Map,
    draw: Callable[[], Batch],
    validation: Batch,
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    patience: int,
    advance: Callable[[], Any],
) -> list[dict[str, float]]:
    """Train a flow in place by AdamW; return a row for every 25 steps: step, and mean log-likelihoods in nats.

    The weights are averaged over steps: each step takes one percent of the new weights. Those averages are kept that gave the
    validation rows their largest likelihood, and training ends when `patience` steps bring nothing better.

    Parameters
    ----------
    flow : Map
    draw : callable
        () -> a batch of codes (b, d), and their context or None.
    validation : pair of Tensor and Tensor or None
        Codes that are not trained on, and their context.
    steps, patience : int
    learning_rate : float
        At the start; it falls to 0 along a cosine over all steps.
    weight_decay : float
        Each step takes the share learning rate x weight_decay off every weight.
    advance : callable
        Called after each step.
    """
    average = copy.deepcopy(flow)
    weights, means = tuple(flow.parameters()), tuple(average.parameters())
    optimizer = AdamW(weights, learning_rate, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rows: list[dict[str, float]] = []
    best, best_step, kept, loss = -math.inf, 0, flow.state_dict(), None
    for step in range(steps + 1):
        if step:
            loss = -log_likelihood(flow, *draw()).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 5.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                torch._foreach_lerp_(means, weights, max(0.01, 1 / step))
            advance()
        if step % CHECK_EVERY and step < steps:
            continue
        with torch.no_grad():
            found = log_likelihood(average, *validation).mean().item()
        rows.append({"step": step, "training": math.nan if loss is None else -loss.item(), "validation": found})
        if found > best:
            best, best_step, kept = found, step, copy.deepcopy(average.state_dict())
        elif step - best_step >= patience:
            break
    flow.load_state_dict(kept)
    return rows
