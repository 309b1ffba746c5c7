"""Every column from all the others by neural networks: d of them trained as one batched network, each stopped by itself."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

BATCH = 128
LEARNING_RATE = 3e-3
BETAS = (0.9, 0.99)
HELD_BACK, MOST_HELD_BACK = 0.2, 5000  # of the training rows: what each network is stopped by; more would only cost time
LOOKS = (20, 60)  # steps between two looks at the rows held back: an epoch, but no fewer and no more than these
PATIENCE = 6  # looks without a better one, after which a network stops
MOST_STEPS = 3000
NEVER = -30.0  # the logarithm of the share of a class that does not occur
CHUNK = 4_000_000  # numbers of one layer held at once


def predict(x: Tensor, y: Tensor, new: Tensor, *, hidden: Sequence[int], classes: int = 0, seed: int = 0) -> Tensor:
    """Column i of `y` (n, d) predicted for the rows `new` (t, d) from every column of `x` (n, d) but the i-th.

    Least squares where `classes` is 0: predictions (t, d). Else `y` holds class numbers below `classes`, the loss is
    cross-entropy, and the logarithms of the probabilities come back, (t, d, classes). Of the rows, 20 % (at most 5,000) are
    held back; each network keeps the weights that did best on those, its untrained guess among them, and stops when it gets
    no better.
    """
    generator = torch.Generator().manual_seed(seed)
    task = _Classes(classes) if classes else _Squares()
    order = torch.randperm(len(x), generator=generator).to(x.device)
    back = max(1, min(MOST_HELD_BACK, round(HELD_BACK * len(x))))
    rows, targets = x[order].T.contiguous(), y[order].T.contiguous()
    networks = Networks(hidden, task.guess(targets).to(x.dtype), generator)
    training = _Rows(rows[:, back:], targets[:, back:])
    return task.read(_trained(networks, task, training, _Rows(rows[:, :back], targets[:, :back]), generator)(new.T))


class Networks:
    """d networks as one: network i sees every input column but the i-th, through ReLU layers of `hidden` units.

    bias: (d, outputs), what each network says before any training, since its last layer starts at zero. Weights of a layer
    are one tensor (d, out, in), biases (d, out, 1); rows run along the last axis.
    """

    def __init__(self, hidden: Sequence[int], bias: Tensor, generator: torch.Generator) -> None:
        dim, outputs = bias.shape
        sizes = [dim, *hidden, outputs]
        self.weights, self.biases = [], []
        for fan_in, fan_out in pairwise(sizes):
            draw = torch.randn(dim, fan_out, fan_in, generator=generator) * math.sqrt(2 / (fan_in + fan_out))
            self.weights.append(draw.to(bias))
            self.biases.append(bias.new_zeros(dim, fan_out, 1))
        self.weights[-1].zero_()
        self.biases[-1].copy_(bias[:, :, None])
        self.columns = torch.arange(dim, device=bias.device)  # the column that each network must not see
        self._blind(self.weights[0])

    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]

    def keep(self, chosen: Tensor) -> None:
        """Go on with the networks that the mask `chosen` names."""
        self.weights, self.biases = [w[chosen] for w in self.weights], [b[chosen] for b in self.biases]
        self.columns = self.columns[chosen]

    def _blind(self, first: Tensor) -> None:
        first[torch.arange(len(first), device=first.device), :, self.columns] = 0

    def layers(self, x: Tensor) -> list[Tensor]:
        """The input of every layer, and the output (networks, outputs, rows), for x (d, rows)."""
        passed = [x]
        for level, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if level == 0:  # one product serves all networks: their inputs are the same rows
                value = (weight.flatten(0, 1) @ x).unflatten(0, weight.shape[:2]).add_(bias)
            else:
                value = torch.baddbmm(bias, weight, passed[-1])
            passed.append(value if level == len(self.weights) - 1 else value.relu_())
        return passed

    def gradients(self, passed: list[Tensor], slope: Tensor) -> list[Tensor]:
        """The gradients of `parameters()`, from what `layers` passed on and the loss's slope at the output."""
        weights, biases = [], []
        for level in range(len(self.weights) - 1, -1, -1):
            biases.append(slope.sum(2, keepdim=True))
            if level > 0:
                weights.append(slope @ passed[level].transpose(1, 2))
                slope = (self.weights[level].transpose(1, 2) @ slope).mul_(passed[level] > 0)
        first = (slope.flatten(0, 1) @ passed[0].T).unflatten(0, slope.shape[:2])
        self._blind(first)
        return [first, *weights[::-1], *biases[::-1]]

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (networks, outputs, rows) for x (d, rows), of which a part at a time."""
        widest = max(weight.shape[0] * weight.shape[1] for weight in self.weights)
        return torch.cat([self.layers(part)[-1] for part in x.split(max(1, CHUNK // widest), dim=1)], dim=2)


class _Adam:
    """Adam on tensors from whose first axis networks may drop out (Kingma and Ba 2015)."""

    def __init__(self, parameters: list[Tensor]) -> None:
        self.first, self.second = [torch.zeros_like(p) for p in parameters], [torch.zeros_like(p) for p in parameters]
        self.step = 0

    def keep(self, chosen: Tensor) -> None:
        self.first, self.second = [m[chosen] for m in self.first], [v[chosen] for v in self.second]

    def move(self, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        self.step += 1
        size = LEARNING_RATE * math.sqrt(1 - BETAS[1] ** self.step) / (1 - BETAS[0] ** self.step)
        for p, g, m, v in zip(parameters, gradients, self.first, self.second, strict=True):
            m.lerp_(g, 1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            p.addcdiv_(m, v.sqrt().add_(1e-8), value=-size)


@dataclass(frozen=True)
class _Rows:
    """Inputs and targets, both (d, rows)."""

    x: Tensor
    y: Tensor


class _Task(Protocol):
    """A loss over rows: the best constant `guess` (d, outputs), the `loss` (d,), its `slope`, and how outputs are read."""

    def guess(self, targets: Tensor) -> Tensor: ...
    def loss(self, output: Tensor, targets: Tensor) -> Tensor: ...
    def slope(self, output: Tensor, targets: Tensor) -> Tensor: ...
    def read(self, output: Tensor) -> Tensor: ...


class _Squares:
    def guess(self, targets: Tensor) -> Tensor:
        return targets.mean(1, keepdim=True)

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        return (output[:, 0] - targets).square().mean(1)

    def slope(self, output: Tensor, targets: Tensor) -> Tensor:
        return (output - targets[:, None]) * (2 / targets.shape[1])

    def read(self, output: Tensor) -> Tensor:
        return output[:, 0].T


class _Classes:
    def __init__(self, classes: int) -> None:
        self.classes = classes

    def guess(self, targets: Tensor) -> Tensor:
        return log_shares(targets.T, self.classes)

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        return -output.log_softmax(1).gather(1, targets[:, None])[:, 0].mean(1)

    def slope(self, output: Tensor, targets: Tensor) -> Tensor:
        shares = output.softmax(1)
        shares.scatter_add_(1, targets[:, None], shares.new_full((), -1).expand(targets[:, None].shape))
        return shares / targets.shape[1]

    def read(self, output: Tensor) -> Tensor:
        return output.log_softmax(1).permute(2, 0, 1)


def log_shares(labels: Tensor, classes: int) -> Tensor:
    """The logarithm of the share of each class in each column of labels (n, d), as (d, classes), in float32.

    A class that does not occur gets `NEVER`, finite so that it can be trained from.
    """
    counts = torch.stack([(labels == c).sum(0) for c in range(classes)], dim=1)
    return (counts / counts.sum(1, keepdim=True)).log().clamp_min(NEVER)


def _trained(networks: Networks, task: _Task, rows: _Rows, held: _Rows, generator: torch.Generator) -> Networks:
    """Each network as it was when it did best on the rows held back."""
    best, lowest = copy.deepcopy(networks), task.loss(networks(held.x), held.y)
    waited = torch.zeros_like(lowest)
    adam, batches = _Adam(networks.parameters()), _Batches(rows.x.shape[1], generator)
    look = min(max(LOOKS[0], batches.per_epoch), LOOKS[1])
    for step in range(1, MOST_STEPS + 1):
        batch = batches.next().to(rows.x.device)
        passed = networks.layers(rows.x[:, batch])
        slope = task.slope(passed[-1], rows.y[:, batch][networks.columns])
        adam.move(networks.parameters(), networks.gradients(passed, slope))
        if step % look:
            continue
        running = networks.columns
        loss = task.loss(networks(held.x), held.y[running])
        better = loss < lowest[running]
        lowest[running[better]] = loss[better]
        for kept, now in zip(best.parameters(), networks.parameters(), strict=True):
            kept[running[better]] = now[better]
        waited[running] = torch.where(better, 0, waited[running] + 1)
        going = waited[running] < PATIENCE
        if not going.any():
            break
        if not going.all():
            networks.keep(going)
            adam.keep(going)
    return best


class _Batches:
    """Row numbers, a batch at a time, in an order drawn anew for each epoch."""

    def __init__(self, rows: int, generator: torch.Generator) -> None:
        self.rows, self.generator, self.size = rows, generator, min(BATCH, rows)
        self.per_epoch = rows // self.size
        self.left: list[Tensor] = []

    def next(self) -> Tensor:
        if not self.left:
            order = torch.randperm(self.rows, generator=self.generator)[: self.per_epoch * self.size]
            self.left = list(order.split(self.size))
        return self.left.pop()
