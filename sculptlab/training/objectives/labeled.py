"""A few labels, tied to latents through the prior: codes of images whose label is known are pulled to what it says of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.mmd.kernel_base import FIT_ROWS, Kernel, squared_distances
from sculptlab.mmd.kernels import as_kernel
from sculptlab.priors import Prior
from sculptlab.training.objectives.base import Adversaries, Batch, Objective, Term
from sculptlab.validation import as_tensor, codes, finite, number, whole

MOST_ROWS = 256  # labeled images at a step


@dataclass(frozen=True, eq=False)
class LabeledMMD(Objective):
    """Reconstruction + weight * MMD^2 between codes of labeled images and draws of the prior *given the same labels*.

    sum_{i != j} w_ij (k(z_i, z_j) + k(y_i, y_j) - 2 k(z_i, y_j)) / sum_{i != j} w_ij,  z_i = encode(image_i),
    y_i ~ prior.given(label_i), w_ij = how alike the labels i and j are. With weights that are a kernel of the labels this is
    the MMD^2 of (code, label) pairs, in the unit of `MMD`: with one label for all it is `MMD` of these images. Unbiased: 0 on
    average, and negative as often, where codes given their labels are draws of the prior given them.
    prior      what has `given(labels, generator)` -> (n, k), as `priors.Conditional` and `priors.Tied`, or such a function.
    images     (n, *image_shape) as the model takes them: floats, or uint8, which is scaled by 1/255.
    labels     (n,) whole numbers or strings: classes, alike if equal. Floats (n,) or (n, c): alike by
               exp(-|difference|^2 / 2 reach^2), each column in its standard deviations over these images.
    weight     nats per image for an MMD^2 of 1.
    latents    the k latents that it is about, numbered from 0; None: all.
    Images without a label are the business of `MMD`: add the two. At most 256 labeled images take part in a step, drawn anew.
    In the history: "mmd2_labeled". Raises ValueError for unequal lengths, classes of which none has two images, labels that
    the prior does not know, another dimension or image shape than the model's, values that are not finite. Source: the joint
    MMD of Long et al. 2017, arXiv 1605.06636, with a prior in the place of the second domain.
    """

    prior: Any
    images: Any = field(repr=False)
    labels: Any = field(repr=False)
    weight: float = 100.0
    latents: Sequence[int] | None = None
    kernel: Kernel | None = None
    reach: float = 0.3
    _given: Callable[[Any, torch.Generator | None], Any] = field(init=False, repr=False)
    _alike: Tensor = field(init=False, repr=False)
    _kernel: Kernel = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        number("weight", self.weight, least=0)
        number("reach", self.reach, above=0)
        if self.latents is not None:
            object.__setattr__(self, "latents", tuple(whole("latents", one, least=0) for one in self.latents))
        images, labels = _images(self.images), _labels(self.labels)
        if len(images) != len(labels) or len(images) < 2:
            raise ValueError(f"labels must be one for each of 2 or more images, got {len(labels)} for {len(images)}")
        given = getattr(self.prior, "given", self.prior)
        if not callable(given) or isinstance(given, type):
            raise TypeError(f"prior must have given(labels, generator), or be such a function, got {self.prior!r}")
        likeness = _likeness(labels, self.reach)
        for name, value in (("images", images), ("labels", labels), ("_given", given), ("_alike", likeness)):
            object.__setattr__(self, name, value)
        seen = self._targets(torch.arange(FIT_ROWS) % len(images), torch.Generator().manual_seed(0))
        if self.latents is not None and len(self.latents) != seen.shape[1]:
            raise ValueError(f"latents must be as many as the prior's {seen.shape[1]} dimension(s), got {list(self.latents)}")
        object.__setattr__(self, "_kernel", as_kernel(self.kernel).fit(seen))

    def __repr__(self) -> str:
        held = self.images.numpy().tobytes() + repr(self.labels.tolist()).encode()
        told = f"<{len(self.images)} labeled images, crc32 {zlib.crc32(held):08x}>"
        prior = getattr(self.prior, "__qualname__", None) or repr(self.prior)  # of a function its name, not its address
        return f"LabeledMMD({prior}, {told}, weight={self.weight:g}, latents={self.latents!r})"

    def check(self, model: Any) -> None:
        super().check(model)
        dims = self._targets(torch.arange(2), torch.Generator().manual_seed(0)).shape[1]
        dim, shape = getattr(model, "dim", None), getattr(model, "image_shape", self.images.shape[1:])
        if dim is not None and self.latents is None and dim != dims:
            raise ValueError(f"prior must have the model's {dim} dimension(s), or latents must say which; got {dims}")
        if dim is not None and self.latents is not None and max(self.latents) >= dim:
            raise ValueError(f"latents must be below the model's {dim}, got {list(self.latents)}")
        if tuple(shape) != tuple(self.images.shape[1:]):
            raise ValueError(f"images must have the model's shape {tuple(shape)}, got {tuple(self.images.shape[1:])}")

    def prior_for(self, dim: int) -> Prior | None:
        return self.prior if self.latents is None and isinstance(self.prior, Prior) else None

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        rows = torch.arange(len(self.images))
        if len(rows) > MOST_ROWS:
            place = "cpu" if batch.generator is None else batch.generator.device
            rows = torch.randperm(len(rows), generator=batch.generator, device=place)[:MOST_ROWS].cpu()
        z: Tensor = batch.model.encode(self.images[rows].to(batch.codes))
        z = z if self.latents is None else z[:, self.latents]
        target = self._targets(rows, batch.generator).to(z)
        yield Term("mmd2_labeled", self.weight, self.distance(z, target, self._alike[rows][:, rows].to(z)))

    def distance(self, z: Tensor, target: Tensor, alike: Tensor) -> Tensor:
        """The formula above, 0-d, of codes and draws (n, k), row by row of one label, and weights (n, n); 0 if none is > 0."""
        own, other = (self._kernel.values(squared_distances(rows, rows)) for rows in (z, target))
        across = self._kernel.values(squared_distances(z, target))
        return (alike * (own + other - 2 * across)).sum() / alike.sum().clamp_min(torch.finfo(alike.dtype).tiny)

    def _targets(self, rows: Tensor, generator: torch.Generator | None) -> Tensor:
        drawn = codes("prior's draws", self._given(self.labels[rows.numpy()], generator), rows=1)
        if len(drawn) != len(rows):
            raise ValueError(f"prior must return {len(rows)} rows for as many labels, got {len(drawn)}")
        return drawn


def _images(given: Any) -> Tensor:
    images = as_tensor("images", given).detach().cpu()
    images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if images.ndim < 2:
        raise ValueError(f"images must have shape (n, ...), got {tuple(images.shape)}")
    return finite("images", images).contiguous()


def _labels(given: Any) -> np.ndarray:
    """Labels as an array: of classes (n,), or floats (n,) or (n, c)."""
    labels = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if labels.dtype.kind == "f":
        finite("labels", torch.from_numpy(labels))
    if labels.dtype.kind not in "iufU" or labels.ndim not in ((1, 2) if labels.dtype.kind == "f" else (1,)):
        raise ValueError(f"labels must be whole numbers or strings (n,), or floats (n,) or (n, c), got {given!r}")
    return labels


def _likeness(labels: np.ndarray, reach: float) -> Tensor:
    """How alike labels i and j are, (n, n), with zeros on the diagonal: no image is compared with its own draw."""
    if labels.dtype.kind == "f":
        values = torch.from_numpy(labels.astype(np.float32)).reshape(len(labels), -1)
        spread = values.std(0)
        plain = values / torch.where(spread > 0, spread, 1)
        alike = (-squared_distances(plain, plain) / (2 * reach**2)).exp()
    else:
        alike = torch.from_numpy((labels[:, None] == labels[None, :]).astype(np.float32))
    alike.fill_diagonal_(0)
    if not alike.sum() > 0:
        raise ValueError("labels must have at least two images that share one, or floats that lie near each other, got none")
    return alike
