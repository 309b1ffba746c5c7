"""MMD^2 of batched views as one node of the graph: its gradient is ready when its value is."""

from typing import Any

import torch
from torch import Tensor

from sculptlab import tiles
from sculptlab.kernel import Kernel, squared_distances

WHOLE = 2**27  # pairs of rows whose matrices are held at once for a second derivative: some GB


class Discrepancy(torch.autograd.Function):
    """MMD^2 between rows x (v, n, p) and y (v, m, p) in each of v views, under a kernel of given width, as (v,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            value, pulls = _value_and_pulls(x, y, kernel, unbiased, ctx.needs_input_grad[:2])
        ctx.kernel, ctx.unbiased = kernel, unbiased
        ctx.save_for_backward(x, y, *pulls)
        return value

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, y, *pulls = ctx.saved_tensors
        wants = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():  # a derivative of this derivative is wanted
            value = _whole(x, y, ctx.kernel, ctx.unbiased)
            inputs = [rows for rows, want in zip((x, y), wants, strict=True) if want]
            gradients = iter(torch.autograd.grad(value, inputs, upstream[0], create_graph=True))
        else:
            gradients = (upstream[0][:, None, None] * pull for pull in pulls)
        return *(next(gradients) if want else None for want in wants), None, None


def _value_and_pulls(
    x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, wants: tuple[bool, bool]
) -> tuple[Tensor, list[Tensor]]:
    n, m = x.shape[1], y.shape[1]
    a, b = tiles.precise(kernel, x, y)
    room = tiles.room_for(a, b)
    pulls = [tiles.Pull(rows) if want else None for rows, want in zip((a, b), wants, strict=True)]
    value = tiles.within(a, kernel, not unbiased, 1 / (n * (n - unbiased)), pulls[0], room)
    value += tiles.within(b, kernel, not unbiased, 1 / (m * (m - unbiased)), pulls[1], room)
    value += tiles.between(a, b, kernel, -2 / (n * m), pulls, room)
    return value.to(x.dtype), [pull.gradient(x.dtype) for pull in pulls if pull]


def _whole(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
    """The same values from whole matrices, which autograd can differentiate as often as it likes."""
    pairs = len(x) * (x.shape[1] + y.shape[1]) ** 2
    if pairs > WHOLE:
        raise RuntimeError(
            f"a second derivative of mmd2 holds whole kernel matrices, of at most {WHOLE:,} pairs of rows; got {pairs:,}: "
            "take fewer rows, or views"
        )
    values = []
    for rows, targets in zip(*tiles.precise(kernel, x, y), strict=True):
        own, other = (_mean_within(kernel.of(squared_distances(r, r)), unbiased) for r in (rows, targets))
        values.append(own + other - 2 * kernel.of(squared_distances(rows, targets)).mean())
    return torch.stack(values).to(x.dtype)


def _mean_within(matrix: Tensor, unbiased: bool) -> Tensor:
    n = len(matrix)
    return (matrix.sum() - unbiased * matrix.diagonal().sum()) / (n * (n - unbiased))
