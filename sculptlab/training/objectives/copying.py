"""Objectives that transfer a latent space to another model: the distribution of its codes, and the codes of a few images."""

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
from sculptlab.training.batches import check_dim, check_image_shape, held_images
from sculptlab.training.latent_units import Units
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.mmd import MMD
from sculptlab.training.objectives.terms import Adversaries, Batch, Term
from sculptlab.validation import as_tensor, codes, number

FINE = IMQ(scales=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0))


@dataclass(frozen=True, eq=False)
class Copying(Objective):
    """Reconstruction + weight * MMD^2(codes, source): the codes follow the joint distribution of another model's codes.

    Both samples are compared in standard deviations of the source's latents, since no kernel fits a latent of spread 0.01 beside
    one of 50. The codes themselves are in the units of the source. In the history: "mmd2".

    Parameters
    ----------
    source : array_like of shape (n, d) or Samples
        Codes of another model, at least as many as a batch has images; drawn from with replacement.
    weight : float
        Nats per image for an MMD^2 of 1, as in `MMD`.
    kernel : Kernel, optional
        Its width is in standard deviations of the source. By default an IMQ kernel with nine scales from 0.001 to 10, which
        sees the filaments and clusters of a trained encoder's codes that the scales of `MMD` blur.
    schedule, likelihood
        As in `MMD`.

    Raises
    ------
    ValueError
        For a source that is not finite or does not vary, has another dimension than the model, or fewer rows than a batch.

    References
    ----------
    arXiv 2510.11953, which calls it latent space copying.
    """

    source: Any
    weight: float = 300.0
    kernel: Kernel | None = None
    schedule: Callable[[int], float] | None = field(default=None, kw_only=True)
    units: Units = field(init=False, repr=False)
    _distance: MMD = field(init=False, repr=False)
    least_batch = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        source = Samples(self.source.bank if isinstance(self.source, Samples) else codes("source", self.source))
        if (source.bank == source.bank[0]).all():
            raise ValueError(f"source must vary, got {len(source.bank)} rows that are all alike")
        units = Units.of(source.bank)
        distance = MMD(Samples(units.plain(source.bank)), self.weight, self.kernel or FINE, schedule=self.schedule)
        for name, value in (("source", source), ("units", units), ("_distance", distance)):
            object.__setattr__(self, name, value)

    def check(self, model: Any) -> None:
        super().check(model)
        check_dim("source", self.source.dim, model)

    def prior_for(self, dim: int) -> Prior:
        return self.source

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        if len(batch.codes) > len(self.source.bank):
            raise ValueError(
                f"source must have at least as many rows as a batch has images, {len(batch.codes)}, got {len(self.source.bank)}: "
                "give more codes, or a smaller batch_size"
            )
        yield from self._distance.regularizers(replace(batch, codes=self.units.plain(batch.codes)), adversaries)


@dataclass(frozen=True, eq=False)
class Anchors(Objective):
    """Reconstruction + weight * 1/2 mean over anchors of |(encode(image) - code) / unit|^2: a few images have given codes.

    All anchors are encoded at every step; of a stochastic encoder, the means are compared. In the history: "anchors".

    Parameters
    ----------
    images : array_like of shape (k, *image_shape)
        As the model takes them: floats, or uint8, which is divided by 255.
    codes : array_like of shape (k, d)
        Where the encoder is to put them.
    weight : float
        At 1, the loss is in nats of codes that are normal around the given ones with a standard deviation of one unit.
    unit : array_like of shape (d,), optional
        In which a deviation is measured, for each latent, > 0; by default 1.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    Raises
    ------
    ValueError
        For unequal lengths, values that are not finite, or codes and images of another shape than the model's.
    """

    images: Any = field(repr=False)
    codes: Any = field(repr=False)
    weight: float = 10.0
    unit: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        number("weight", self.weight, least=0)
        images, target = held_images("anchors' images", self.images), codes("anchors' codes", self.codes, rows=1).detach().float()
        if len(images) != len(target):
            raise ValueError(
                f"anchors must pair every image with a code, got images {tuple(images.shape)} and codes {tuple(target.shape)}"
            )
        unit = torch.ones(target.shape[1]) if self.unit is None else as_tensor("unit", self.unit).float().cpu()
        if unit.shape != target.shape[1:] or not (unit > 0).all() or not torch.isfinite(unit).all():
            raise ValueError(f"unit must be {target.shape[1]} number(s) > 0, got {self.unit!r}")
        for name, value in (("codes", target.cpu()), ("images", images), ("unit", unit)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        held = b"".join(part.contiguous().numpy().tobytes() for part in (self.images, self.codes, self.unit))
        return f"Anchors(<{len(self.codes)} pairs, crc32 {zlib.crc32(held):08x}>, weight={self.weight:g})"

    def check(self, model: Any) -> None:
        super().check(model)
        check_dim("anchors' codes", self.codes.shape[1], model)
        check_image_shape("anchors' images", self.images, model)

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        found: Tensor = batch.model.encode(self.images.to(batch.codes))
        deviation = (found - self.codes.to(found)) / self.unit.to(found)
        yield Term("anchors", self.weight, 0.5 * deviation.square().sum(1).mean())
