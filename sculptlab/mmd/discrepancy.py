"""MMD^2 of batched views as one node of the graph: its gradient is ready when its value is."""

from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd import tiles
from sculptlab.mmd.kernel_base import Kernel, squared_distances

WHOLE = 2**25  # pairs of rows whose matrices are held at once for a second derivative: a few GB


class Discrepancy(torch.autograd.Function):
    """MMD^2 between rows x (v, n, p) and y (v, m, p) in each of v views, under a kernel of given width, as (v,)."""

    @staticmethod
    def forward(
        x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, wants: tuple[bool, bool]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        with torch.autocast(x.device.type, enabled=False):
            return _value_and_pulls(x, y, kernel, unbiased, wants)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        x, y, ctx.kernel, ctx.unbiased, ctx.wants = inputs
        pulls = output[1:]
        ctx.mark_non_differentiable(*(pull for pull in pulls if pull is not None))
        ctx.save_for_backward(x, y, *pulls)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, y, *pulls = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return *(None if pull is None else upstream[0][:, None, None] * pull for pull in pulls), None, None, None
        # a derivative of this derivative is wanted
        value = _whole(x, y, ctx.kernel, ctx.unbiased)
        inputs = [rows for rows, want in zip((x, y), ctx.wants, strict=True) if want]
        gradients = iter(torch.autograd.grad(value, inputs, upstream[0], create_graph=True))
        return *(next(gradients) if want else None for want in ctx.wants), None, None, None


def discrepancies(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
    """MMD^2 between rows x (v, n, p) and y (v, m, p) in each of v views, as (v,), differentiable twice."""
    wanted = torch.is_grad_enabled()
    return Discrepancy.apply(x, y, kernel, unbiased, (wanted and x.requires_grad, wanted and y.requires_grad))[0]


def _value_and_pulls(
    x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, wants: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    n, m = x.shape[1], y.shape[1]
    a, b = tiles.precise(kernel, x, y)
    room = tiles.room_for(a, b)
    pulls = [tiles.Pull(rows) if want else None for rows, want in zip((a, b), wants, strict=True)]
    value = tiles.within(a, kernel, not unbiased, 1 / (n * (n - unbiased)), pulls[0], room)
    value += tiles.within(b, kernel, not unbiased, 1 / (m * (m - unbiased)), pulls[1], room)
    value += tiles.between(a, b, kernel, -2 / (n * m), pulls, room)
    found = [pull.gradient(x.dtype) if pull else None for pull in pulls]
    return value.to(x.dtype), found[0], found[1]


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
