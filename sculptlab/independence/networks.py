"""The regressor "mlp": one small network for each column, all trained together as one batched network.

Back-propagation is written out: for up to 10 latents a step takes 1.3 to 2 times less time than with autograd and torch's
Adam, for 32 and more about the same (tests/benchmarks/bench_lps.py).
"""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sculptlab.columns import random_rows

BATCH_SIZE = 128
LEARNING_RATE = 3e-3
BETAS = (0.9, 0.99)  # of Adam
MAX_STEPS = 3000
PATIENCE = 6  # validations in a row without improvement after which a network stops
LEAST_LOG_FREQUENCY = -30.0  # given to a class that does not occur; -inf could not be trained from


def predict_by_networks(
    x: Tensor,
    y: Tensor,
    new: Tensor,
    *,
    hidden: Sequence[int],
    classes: int = 0,
    seed: int = 0,
    columns: Sequence[int] | None = None,
    group_size: int = 1,
    advance: Callable[[int], Any] = lambda stopped: None,
) -> Tensor:
    """Predict `y` (n, c) for the rows `new` (t, d), column i from all columns of `x` (n, d) but columns[i] (default: i).

    With `classes` = 0 the loss is the squared error, and predictions (t, c) are returned. Otherwise `y` holds class numbers
    below `classes`, the loss is the cross-entropy, and log-probabilities (t, c, classes) are returned. Of the rows, 20 %
    (at most 5,000) are held back for validation, in whole groups of `group_size`. Each network stops when its validation
    loss no longer improves, and keeps the weights with the lowest one, which may be the initial constant prediction.
    `advance` is told how many have stopped.
    """
    generator = torch.Generator().manual_seed(seed)
    order = random_rows(len(x), generator, group_size).to(x.device)
    held = max(1, min(5000, round(0.2 * len(x))) // group_size) * group_size
    rows, targets = x.index_select(0, order), y.index_select(0, order).T.contiguous()
    chosen = torch.tensor(range(x.shape[1]) if columns is None else columns, dtype=torch.int64, device=x.device)
    constant = x.new_zeros(x.shape[1], classes or 1)
    constant[chosen] = (log_frequencies(targets.T, classes) if classes else targets.mean(1, keepdim=True)).to(x.dtype)
    networks = Networks(hidden, constant, generator)
    networks.keep(chosen)
    output = _trained(networks, rows, targets, held, generator, advance)(new.T)
    return output.log_softmax(1).permute(2, 0, 1) if classes else output[:, 0].T


def log_frequencies(labels: Tensor, classes: int) -> Tensor:
    """Logarithm of the relative frequency of each class in each column of `labels` (n, d), as (d, classes)."""
    counts = torch.stack([(labels == c).sum(0) for c in range(classes)], dim=1)
    return (counts.float() / counts.sum(1, keepdim=True)).log().clamp_min(LEAST_LOG_FREQUENCY)


class Networks:
    """d networks with ReLU layers of `hidden` units; network i sees every input column except the i-th.

    The weights of a layer are one tensor (d, out, in), the biases (d, out, 1); rows run along the last axis. `bias`
    (d, outputs) is what the networks return before training, since the last layer starts with zero weights.
    """

    def __init__(self, hidden: Sequence[int], bias: Tensor, generator: torch.Generator) -> None:
        dim, outputs = bias.shape
        self.weights, self.biases = [], []
        for fan_in, fan_out in pairwise([dim, *hidden, outputs]):
            draw = torch.randn(dim, fan_out, fan_in, generator=generator, device="cpu", dtype=torch.float32)
            draw = draw * math.sqrt(2 / (fan_in + fan_out))
            self.weights.append(draw.to(bias))
            self.biases.append(bias.new_zeros(dim, fan_out, 1))
        self.weights[-1].zero_()
        self.biases[-1].copy_(bias[:, :, None])
        self.columns = torch.arange(dim, device=bias.device)  # the column that each network predicts and must not see
        self._mask_own_column(self.weights[0])
        self.moments = [[torch.zeros_like(p) for p in self.parameters()] for _ in range(2)]  # of Adam: first and second
        self.steps = 0

    def parameters(self) -> list[Tensor]:
        """Weights, then biases, from the first layer to the last."""
        return [*self.weights, *self.biases]

    def keep(self, chosen: Tensor) -> None:
        """Keep only the networks that `chosen` lists by their places or marks by a boolean mask."""
        self.weights, self.biases = [w[chosen] for w in self.weights], [b[chosen] for b in self.biases]
        self.columns, self.moments = self.columns[chosen], [[m[chosen] for m in each] for each in self.moments]

    def _mask_own_column(self, first: Tensor) -> None:
        first[torch.arange(len(first), device=first.device), :, self.columns] = 0

    def layers(self, x: Tensor) -> list[Tensor]:
        """The input of every layer and the output (networks, outputs, rows), for `x` (d, rows)."""
        values = [x, (self.weights[0] @ x).add_(self.biases[0])]  # all networks have the same input: one matrix product
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            values.append(torch.baddbmm(bias, weight, values[-1].relu_()))
        return values

    def gradients(self, values: list[Tensor], slope: Tensor) -> list[Tensor]:
        """Gradients of `parameters()`, from the result of `layers` and the gradient `slope` at the output."""
        weights, biases = [], []
        for level in reversed(range(len(self.weights))):
            weights.append(slope @ values[level].mT)
            biases.append(slope.sum(2, keepdim=True))
            if level > 0:
                slope = (self.weights[level].mT @ slope).mul_(values[level] > 0)
        self._mask_own_column(weights[-1])
        return [*weights[::-1], *biases[::-1]]

    def step(self, gradients: list[Tensor]) -> None:
        """A step of Adam (Kingma and Ba 2015)."""
        self.steps += 1
        size = LEARNING_RATE * math.sqrt(1 - BETAS[1] ** self.steps) / (1 - BETAS[0] ** self.steps)
        for p, g, first, second in zip(self.parameters(), gradients, *self.moments, strict=True):
            first.lerp_(g, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            p.addcdiv_(first, torch.sqrt(second, out=g).add_(1e-8), value=-size)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (networks, outputs, rows) for `x` (d, rows), in parts of at most 4 million numbers a layer."""
        widest = max(weight.shape[0] * weight.shape[1] for weight in self.weights)
        return torch.cat([self.layers(part)[-1] for part in x.split(max(1, 4_000_000 // widest), dim=1)], dim=2)


def losses(output: Tensor, targets: Tensor) -> Tensor:
    """Mean loss of each network, (networks,): squared error, or cross-entropy where `targets` are class numbers."""
    if targets.is_floating_point():
        return (output[:, 0] - targets).square().mean(1)
    return -output.log_softmax(1).gather(1, targets[:, None])[:, 0].mean(1)


def output_gradients(output: Tensor, targets: Tensor) -> Tensor:
    """Gradient of the sum of `losses` at the output (networks, outputs, rows)."""
    if targets.is_floating_point():
        return (output - targets[:, None]) * (2 / targets.shape[1])
    probabilities = output.softmax(1)
    probabilities.scatter_add_(1, targets[:, None], torch.full_like(targets[:, None], -1, dtype=output.dtype))
    return probabilities / targets.shape[1]


def _trained(
    networks: Networks, rows: Tensor, targets: Tensor, held: int, generator: torch.Generator, advance: Callable[[int], Any]
) -> Networks:
    """Train on `rows` (n, d) and `targets` (c, n) but the first `held`; return each network at its lowest loss on those."""
    x, x_held = rows[held:], rows[:held].T.contiguous()
    y, y_held = targets[:, held:], targets[:, :held]
    best, lowest = copy.deepcopy(networks), losses(networks(x_held), y_held)
    running = torch.arange(len(lowest), device=lowest.device)  # places in `best` of those that are still trained
    waited = torch.zeros_like(lowest)
    size = min(BATCH_SIZE, len(x))
    full = len(x) // size  # batches of an epoch
    interval = min(max(20, full), 60)  # steps between two validations: an epoch, but 20 to 60
    batches: list[Tensor] = []
    for step in range(1, MAX_STEPS + 1):
        batches = batches or list(torch.randperm(len(x), generator=generator, device="cpu")[: full * size].split(size))
        batch = batches.pop().to(x.device)
        values = networks.layers(x.index_select(0, batch).T.contiguous())
        slope = output_gradients(values[-1], y.index_select(1, batch))
        networks.step(networks.gradients(values, slope))
        if step % interval:
            continue
        loss = losses(networks(x_held), y_held[running])
        better = loss < lowest[running]
        lowest[running[better]] = loss[better]
        for kept, now in zip(best.parameters(), networks.parameters(), strict=True):
            kept[running[better]] = now[better]
        waited[running] = torch.where(better, 0, waited[running] + 1)
        going = waited[running] < PATIENCE
        stopped = int((~going).sum())
        advance(stopped)
        if stopped == len(running):
            break
        if stopped:
            networks.keep(going)
            running, y = running[going], y[going]
    else:
        advance(len(running))
    return best
