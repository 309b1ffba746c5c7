"""Checks of page 11's exercises."""

from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd import mmd2
from sculptlab.mmd.kernels import IMQ
from sculptlab.series.checks.feedback import Answer, Mistake, call, exercise, require, require_value

RANKS, ROWS, DIM = 4, 12, 3


def _read(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim:
        raise TypeError("a 0-d tensor, the loss")
    return loss


@exercise("11-1")
def check_whole_batch(answer: Answer) -> str:
    """Page 11, the loss of a process: answer(own, others, target, ranks, distance) -> the loss whose mean gradient is right."""
    generator, kernel = torch.Generator().manual_seed(0), IMQ(base=2.0 * DIM)
    z = torch.randn(RANKS * ROWS, DIM, generator=generator, device="cpu", dtype=torch.float64)
    target = 2 * torch.randn(z.shape, generator=generator, device="cpu", dtype=torch.float64)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return mmd2(x, y, kernel)

    def slope(make: Any) -> Tensor:
        own, others = z[:ROWS].clone().requires_grad_(), z[ROWS:].clone().requires_grad_()
        loss = make(own, others)
        require(loss.requires_grad, "the loss has no gradient in `own`: do not detach this process's own codes")
        found = torch.autograd.grad(loss, [own, others], allow_unused=True)
        require(found[0] is not None, "the loss has no gradient in `own`: do not detach this process's own codes")
        return found[0]

    right = slope(lambda own, others: RANKS * distance(torch.cat([own, others]), target))
    slips = {
        "DDP takes the mean over processes, so each gradient must be multiplied by their number": right / RANKS,
        "these are the pairs within this process alone: join its codes with those of the others": slope(
            lambda own, _: distance(own, target[:ROWS])
        ),
        "the codes of the others are missing in the first sample: join them with torch.cat": slope(
            lambda own, _: distance(own, target)
        ),
        "without the others, a factor does not help: pairs across processes are missing": slope(
            lambda own, _: RANKS * distance(own, target)
        ),
        "do not divide: DDP does it already": right / RANKS**2,
    }
    found = slope(lambda own, others: call(answer, own, others, target, RANKS, distance, read=_read, wanted="a 0-d tensor"))
    require_value(found, right, slips)
    return "the mean of these gradients over processes is the gradient of one process with the whole batch"


@exercise("11-2")
def check_gathered_bytes(answer: Answer) -> str:
    """Page 11, the cost of gathering: answer(ranks, rows, dim) -> bytes that a process receives for float32 codes."""
    ranks, rows, dim = 8, 100, 16
    right = 4 * (ranks - 1) * rows * dim
    slips = {
        "a process has its own codes already: the ranks - 1 others send theirs": 4 * ranks * rows * dim,
        "a float32 has 4 bytes": [(ranks - 1) * rows * dim, ranks * rows * dim],
        "a float32 has 4 bytes, 32 bits": 32 * (ranks - 1) * rows * dim,
        "that is what a process sends; it receives that from each of the others": 4 * rows * dim,
        "images are not gathered, codes are: `dim` numbers a row": 4 * (ranks - 1) * rows,
    }
    found = call(answer, ranks, rows, dim, read=float, wanted="a number of bytes")
    for words, wrong in slips.items():
        for value in wrong if isinstance(wrong, list) else [wrong]:
            if found == value:
                raise Mistake(words)
    require_value(found, right, {})
    return "the codes are small: a row of 784 pixels becomes a row of 16 numbers"
