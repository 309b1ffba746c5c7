"""Training by several processes, called ranks: every objective sees the codes of the whole batch, and gradients are averaged.

Each rank encodes its own rows. The codes are gathered, so that each rank computes the terms of the whole batch and differentiates
them in its own rows. Ranks average their gradients, so the gradient of a term is multiplied by their number; the mean over the
rows of a rank, such as the reconstruction, is not. Draws are made for the whole batch from the shared seed. So with N ranks and
any objective on codes, the step is that of one process, up to rounding. `backward` does not communicate.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn

from sculptlab.training.models import Posterior
from sculptlab.validation import number

TIMEOUT = 300.0  # seconds that a rank waits for the others


class RankError(RuntimeError):
    """Another rank ended, or did not come in time."""


class Ranks:
    """The processes of torch's default process group, and which one of them this is."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    @staticmethod
    def present() -> Ranks | None:
        """The ranks, if a process group of two or more was initialized; else None."""
        if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
            return None
        return Ranks()

    def own(self, rows: int) -> slice:
        """Which of the `rows` of the whole batch are this rank's."""
        share = rows // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows (b, k) of all ranks in order, (size b, k); the gradient reaches this rank's own, multiplied by `size`."""
        return cast(Tensor, _Gather.apply(rows, self))

    def gather_codes(self, codes: Tensor, posterior: Posterior | None) -> tuple[Tensor, Posterior | None]:
        """Codes and posteriors of all ranks; `Ranks.of` the codes themselves are these ranks, of no tensor made from them."""
        if posterior is None:
            whole, posterior = self.gather(codes), None
        else:
            joined = self.gather(torch.cat([codes, posterior.mean, posterior.log_variance], 1))
            whole, mean, log_variance = joined.chunk(3, 1)
            posterior = Posterior(mean, log_variance)
        whole.gathered_by = self  # type: ignore[attr-defined]
        return whole, posterior

    @staticmethod
    def of(codes: Tensor) -> Ranks | None:
        """The ranks that gathered these codes, in the order of their rows; None of other tensors, such as chosen rows of them."""
        return getattr(codes, "gathered_by", None)

    def total(self, share: Tensor) -> Tensor:
        """The sum over ranks; the gradient passes as it is, so a share has the whole gradient in the rows of its rank."""
        return cast(Tensor, _Total.apply(share, self))

    def normal(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Standard normal noise like this rank's rows: its part of the noise of the whole batch."""
        rows = len(like) * self.size
        drawn = torch.randn(rows, *like.shape[1:], generator=generator, device=like.device, dtype=like.dtype)
        return drawn[self.own(rows)]

    def average(self, terms: Mapping[str, Tensor], weights: Iterable[nn.Parameter]) -> dict[str, Tensor]:
        """Replace the gradients of `weights` by their means over ranks, and return the means of the 0-d `terms`."""
        weights = [weight for weight in weights if weight.requires_grad]
        parts = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        values = [value.detach().reshape(1) for value in terms.values()]
        joined = torch.cat([*(part.flatten() for part in parts), *values])
        with self._together("averaging gradients"):
            distributed.all_reduce(joined)
        *means, rest = (joined / self.size).split([*(part.numel() for part in parts), len(values)])
        for weight, part, mean in zip(weights, parts, means, strict=True):
            if weight.grad is not None or mean.any():
                weight.grad = part.copy_(mean.view_as(part))
        return {name: value.to(terms[name].dtype) for name, value in zip(terms, rest, strict=True)}

    def largest(self, value: int, device: torch.device) -> int:
        """The largest of the whole numbers that the ranks give."""
        found = torch.tensor(value, device=device, dtype=torch.int64)
        with self._together("asking whether to stop"):
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def agree(self, what: Mapping[str, Any]) -> None:
        """Raise the same ValueError in every rank, with the names in `what` whose values differ, unless none does."""
        found = self._all(dict(what))
        names = dict.fromkeys(name for one in found for name in one)
        different = {name: [one.get(name) for one in found] for name in names}
        different = {name: values for name, values in different.items() if any(value != values[0] for value in values)}
        if different:
            listed = "; ".join(f"{name}: {_outlined(values)}" for name, values in different.items())
            raise ValueError(
                f"all {self.size} processes of the process group must train together, with the same arguments; they differ in "
                f"{listed}. To train separate models, call fit without a process group"
            )

    def differ(self, name: str, images: Tensor) -> None:
        """Raise ValueError in every rank if two ranks have the same `images`."""
        found = self._all(checksum([images]))
        if len(set(found)) < self.size:
            raise ValueError(
                f"{name} must be other ones in each of {self.size} processes, but two have the same: give the DataLoader a "
                "DistributedSampler; or give the data set itself, of which each process reads its part"
            )

    def _all(self, value: Any) -> list[Any]:
        found: list[Any] = [None] * self.size
        with self._together("comparing settings"):
            distributed.all_gather_object(found, value)
        return found

    @contextmanager
    def _together(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # all errors of torch.distributed are
            stalled = "timed out" in str(error).lower() or "timeout" in str(error).lower()
            what = "did not come in time" if stalled else "ended"
            raise RankError(
                f"rank {self.rank} of {self.size} was {doing}, and another rank {what}: look for its own message. The model "
                f"stays as it was before this step ({str(error).partition(chr(10))[0][:200]})"
            ) from error


class _Gather(torch.autograd.Function):
    """`Ranks.gather`: communication forward, none backward."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ranks: Ranks) -> Tensor:
        sizes = [torch.zeros(1, device=rows.device, dtype=torch.int64) for _ in range(ranks.size)]
        with ranks._together("gathering codes"):
            distributed.all_gather(sizes, torch.tensor([len(rows)], device=rows.device, dtype=torch.int64))
            if len(counts := {int(size) for size in sizes}) > 1:
                raise ValueError(
                    f"codes must have the same number of rows in every process, got {sorted(counts)}: "
                    "DataLoader(..., drop_last=True) leaves out a short last batch"
                )
            parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(ranks.size)]
            distributed.all_gather(parts, rows.contiguous())
        ctx.ranks = ranks
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        ranks: Ranks = ctx.ranks
        return ranks.size * upstream[0][ranks.own(len(upstream[0]))], None


class _Total(torch.autograd.Function):
    """`Ranks.total`: communication forward, none backward."""

    @staticmethod
    def forward(ctx: Any, share: Tensor, ranks: Ranks) -> Tensor:
        total = share.clone()
        with ranks._together("adding up a distance"):
            distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        return upstream[0], None


def _outlined(values: list[Any]) -> str:
    return ", ".join(f"{str(value)[:80]} in rank {rank}" for rank, value in enumerate(values[:4]))


def checksum(tensors: Iterable[Tensor]) -> str:
    """A checksum of the bytes of tensors."""
    found = 0
    for value in tensors:
        found = zlib.crc32(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data, found)
    return f"crc32 {found:08x}"


def check_model(model: nn.Module) -> None:
    """Raise ValueError for layers whose statistics are those of the rows of one rank alone."""
    for name, part in model.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and not isinstance(part, nn.SyncBatchNorm):
            raise ValueError(
                f"model must have no batch normalization with several processes, whose statistics are those of one process: "
                f"{name or type(part).__name__} is a {type(part).__name__}. Take GroupNorm, or SyncBatchNorm on GPUs"
            )


@contextmanager
def process_group(timeout: float = TIMEOUT) -> Iterator[Ranks | None]:
    """The process group of this process, if `torchrun` started it; else nothing. On GPUs each rank takes its own.

    A rank that waits longer than `timeout` seconds for the others ends with a `RankError`.
    """
    timeout = number("timeout", timeout, above=0, most=1e9)
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        yield Ranks.present()
        return
    cuda = torch.cuda.is_available() and distributed.is_nccl_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(seconds=timeout))
    try:
        yield Ranks.present()
    finally:
        distributed.destroy_process_group()
