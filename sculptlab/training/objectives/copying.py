"""Objectives that carry one latent space over to another model: its distribution, and the places of a few paired examples."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Prior, Samples
from sculptlab.training.latent_units import Units
from sculptlab.training.objectives.base import Adversaries, Batch, Objective, Term
from sculptlab.training.objectives.prior_distances import MMD
from sculptlab.validation import as_tensor, codes, finite, number

FINE = IMQ(scales=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0))


@dataclass(frozen=True, eq=False)
class Copying(Objective):
    """Reconstruction + weight * MMD^2(codes, source): the codes as a whole take the joint distribution of another model's.

    source     codes (n, d) of another model; drawn from with replacement.
    weight     nats per image for an MMD^2 of 1, as in `MMD`.
    kernel     its width in standard deviations of the source; None: `FINE`, which sees the threads and clumps that a trained
               encoder's codes have and that the scales of `MMD` blur.
    schedule   as in `MMD`.
    Both clouds are compared in the source's units, each latent's mean and standard deviation: no kernel fits a latent of
    spread 0.01 beside one of 50. The codes themselves stay as they are, and `prior_for` is the source as it is.
    In the history: "mmd2". Raises ValueError for codes of another dimension than the model's, not finite, all alike, or fewer
    than a batch has images, which would meet some of them twice at every step.
    """

    source: Any
    weight: float = 300.0
    kernel: Kernel | None = None
    schedule: Callable[[int], float] | None = field(default=None, kw_only=True)
    units: Units = field(init=False, repr=False)
    _shape: MMD = field(init=False, repr=False)
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        bank = self.source.bank if isinstance(self.source, Samples) else codes("source", self.source)
        source = Samples(bank)
        if (source.bank == source.bank[0]).all():
            raise ValueError(f"source must vary, got {len(bank)} rows that are all alike")
        units = Units.of(source.bank)
        shape = MMD(Samples(units.plain(source.bank)), self.weight, self.kernel or FINE, schedule=self.schedule)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "units", units)
        object.__setattr__(self, "_shape", shape)

    def check(self, model: Any) -> None:
        super().check(model)
        dim = getattr(model, "dim", self.source.dim)
        if dim != self.source.dim:
            raise ValueError(f"source must have the model's {dim} column(s), got {self.source.dim}")

    def prior_for(self, dim: int) -> Prior:
        return self.source

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        if len(batch.codes) > len(self.source.bank):
            raise ValueError(
                f"source must have at least as many rows as a batch has images, {len(batch.codes)}, got {len(self.source.bank)}: "
                "give more codes, or a smaller batch_size"
            )
        yield from self._shape.regularizers(replace(batch, codes=self.units.plain(batch.codes)), adversaries)


@dataclass(frozen=True, eq=False)
class Anchors(Objective):
    """Reconstruction + weight * 1/2 mean over anchors of |(encode(image) - code) / unit|^2: a few images have their places.

    images     (k, *image_shape) as the model takes them, floats, or uint8, which is scaled by 1/255.
    codes      (k, d): where the encoder (a stochastic one's means) is to put them.
    weight     1: the nats of codes that are normal around their places, with a standard deviation of one unit.
    unit       (d,), > 0: what a deviation is measured in, in each latent; None: 1.
    All anchors are encoded at every step. In the history: "anchors".
    Raises ValueError for unequal lengths, codes of another dimension than the model's, or values that are not finite.
    """

    images: Any = field(repr=False)
    codes: Any = field(repr=False)
    weight: float = 10.0
    unit: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        number("weight", self.weight, least=0)
        places = codes("anchors' codes", self.codes, rows=1).detach().float().cpu()
        images = as_tensor("anchors' images", self.images).detach().cpu()
        images = finite("anchors' images", images.float() / 255 if images.dtype == torch.uint8 else images.float())
        if images.ndim < 2 or len(images) != len(places):
            raise ValueError(
                f"anchors must pair every image with a code, got images {tuple(images.shape)} and codes {tuple(places.shape)}"
            )
        unit = torch.ones(places.shape[1]) if self.unit is None else as_tensor("unit", self.unit).float().cpu()
        if unit.shape != places.shape[1:] or not (unit > 0).all() or not torch.isfinite(unit).all():
            raise ValueError(f"unit must be {places.shape[1]} number(s) > 0, got {self.unit!r}")
        for name, value in (("codes", places), ("images", images), ("unit", unit)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        held = b"".join(part.contiguous().numpy().tobytes() for part in (self.images, self.codes, self.unit))
        return f"Anchors(<{len(self.codes)} pairs, crc32 {zlib.crc32(held):08x}>, weight={self.weight:g})"

    def check(self, model: Any) -> None:
        super().check(model)
        dim, shape = getattr(model, "dim", self.codes.shape[1]), getattr(model, "image_shape", self.images.shape[1:])
        if dim != self.codes.shape[1]:
            raise ValueError(f"anchors' codes must have the model's {dim} column(s), got {self.codes.shape[1]}")
        if tuple(shape) != tuple(self.images.shape[1:]):
            raise ValueError(f"anchors' images must have the model's shape {tuple(shape)}, got {tuple(self.images.shape[1:])}")

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        found: Tensor = batch.model.encode(self.images.to(batch.codes))
        off = (found - self.codes.to(found)) / self.unit.to(found)
        yield Term("anchors", self.weight, 0.5 * off.square().sum(1).mean())
