"""Objectives that hold a few images of which more is known: their codes, or labels that the prior ties to latents."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.columns import without_heavy_tails
from sculptlab.mmd.kernel_base import FIT_ROWS, Kernel, squared_distances
from sculptlab.mmd.kernels import as_kernel
from sculptlab.priors import Prior
from sculptlab.priors.base import drawing_device
from sculptlab.training.batches import check_dim, held_images
from sculptlab.training.encodings import encoded_means
from sculptlab.training.images import check_image_shape
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.companion import Batch, Companions, Term
from sculptlab.validation import as_tensor, codes, describe, finite, items, number, parameter, whole

IMAGES_PER_STEP = 256


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
    likelihood : as in `Reconstruction`
    """

    images: Any
    codes: Any
    weight: float = parameter(number, 10.0, least=0)
    unit: Any = None
    needs_model = True

    def __post_init__(self) -> None:
        super().__post_init__()
        images, target = held_images("anchors' images", self.images), codes("anchors' codes", self.codes, rows=1).detach().float()
        if len(images) != len(target):
            raise ValueError(f"anchors must pair every image with a code, got {len(images)} images and {len(target)} codes")
        unit = torch.ones_like(target[0]) if self.unit is None else as_tensor("unit", self.unit).detach().float()
        if unit.shape != target.shape[1:] or not (unit > 0).all() or not torch.isfinite(unit).all():
            raise ValueError(f"unit must be {target.shape[1]} number(s) > 0, got {describe(self.unit)}")
        vars(self).update(images=images, codes=target.cpu(), unit=unit.cpu())

    def __repr__(self) -> str:
        held = b"".join(part.contiguous().numpy().tobytes() for part in (self.images, self.codes, self.unit))
        return f"Anchors(<{len(self.codes)} pairs, crc32 {zlib.crc32(held):08x}>, {_shown(self, 'weight', 'likelihood')})"

    def check(self, model: Any) -> None:
        super().check(model)
        check_dim("anchors' codes", self.codes.shape[1], model)
        check_image_shape("anchors' images", self.images, getattr(model, "image_shape", None))

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        found = encoded_means(batch.model, self.images.to(batch.codes))
        deviation = (found - self.codes.to(found)) / self.unit.to(found)
        yield Term("anchors", self.weight, 0.5 * deviation.square().sum(1).mean())


@dataclass(frozen=True, eq=False)
class LabeledMMD(Objective):
    """Reconstruction + weight * MMD^2 between codes of labeled images and draws of the prior given the same labels.

    MMD^2 = sum_{i != j} w_ij (k(z_i, z_j) + k(y_i, y_j) - 2 k(z_i, y_j)) / sum_{i != j} w_ij,  z_i = encode(image_i),
    y_i ~ prior.given(label_i), w_ij = similarity of labels i and j.

    It is unbiased: 0 on average, and negative as often as positive, where codes given their labels are draws of the prior given
    them. With one label for all images it is their `MMD`. Images without a label take no part; add an `MMD` for them. At most
    256 labeled images, drawn anew, take part in a step. In the history: "mmd2_labeled".

    Parameters
    ----------
    prior : object with given(labels, generator) -> (n, k), or such a function
        For example `priors.Conditional` or `priors.Tied`.
    images : array_like of shape (n, *image_shape), as in `Anchors`
    labels : array_like of shape (n,) or (n, c)
        Whole numbers or strings (n,) are classes, similar (1) if equal, else 0; one of them must have two images. Floats are
        similar by exp(-|difference|^2 / 2 reach^2), each column in its standard deviations over these images.
    weight : float
        Nats per image for an MMD^2 of 1.
    latents : sequence of int, optional
        The k latents that the prior is about, numbered from 0; by default all.
    reach : float
        Of the similarity of labels that are floats.
    kernel, likelihood : as in `MMD`

    References
    ----------
    Long et al. 2017, arXiv 1605.06636: the joint MMD, here with a prior in the place of the second domain.
    """

    prior: Any
    images: Any
    labels: Any
    weight: float = parameter(number, 100.0, least=0)
    latents: Sequence[int] | None = None
    kernel: Kernel | None = None
    reach: float = parameter(number, 0.3, above=0)
    similarity: Tensor = field(init=False)
    fitted_kernel: Kernel = field(init=False)
    needs_model = True

    def __post_init__(self) -> None:
        super().__post_init__()
        images, (labels, similarity) = held_images("images", self.images), _labels_and_similarity(self.labels, self.reach)
        latents = None if self.latents is None else tuple(whole("latents", i, least=0) for i in items("latents", self.latents))
        if len(images) != len(labels) or len(images) < 2:
            raise ValueError(f"labels must be one for each of 2 or more images, got {len(labels)} for {len(images)}")
        if isinstance(self.prior, type) or not callable(getattr(self.prior, "given", self.prior)):
            raise TypeError(f"prior must have given(labels, generator), or be such a function, got {describe(self.prior)}")
        vars(self).update(images=images, labels=labels, latents=latents, similarity=similarity)
        seen = self._targets(torch.arange(FIT_ROWS, device="cpu") % len(images), torch.Generator().manual_seed(0))
        if latents is not None and len(latents) != seen.shape[1]:
            raise ValueError(f"latents must be as many as the prior's {seen.shape[1]} dimension(s), got {list(latents)}")
        vars(self)["fitted_kernel"] = as_kernel(self.kernel).fit(seen)

    def __repr__(self) -> str:
        held = self.images.numpy().tobytes() + repr(self.labels.tolist()).encode()
        prior = getattr(self.prior, "__qualname__", None) or repr(self.prior)  # a function's repr has its address
        labeled = f"<{len(self.images)} labeled images, crc32 {zlib.crc32(held):08x}>"
        return f"LabeledMMD({prior}, {labeled}, {_shown(self, 'weight', 'latents', 'kernel', 'reach', 'likelihood')})"

    def check(self, model: Any) -> None:
        super().check(model)
        check_image_shape("images", self.images, getattr(model, "image_shape", None))
        if self.latents is None:
            drawn = self._targets(torch.arange(2, device="cpu"), torch.Generator().manual_seed(0))
            check_dim("prior's draws (if latents does not say which they are)", drawn.shape[1], model)
        elif max(self.latents) >= getattr(model, "dim", torch.inf):
            raise ValueError(f"latents must be below the model's {model.dim}, got {list(self.latents)}")

    def prior_for(self, dim: int) -> Prior | None:
        return self.prior if self.latents is None and isinstance(self.prior, Prior) else None

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        rows = torch.arange(len(self.images), device="cpu")
        if len(rows) > IMAGES_PER_STEP:
            order = torch.randperm(len(rows), generator=batch.generator, device=drawing_device(batch.generator, None))
            rows = order[:IMAGES_PER_STEP].cpu()
        z = encoded_means(batch.model, self.images[rows].to(batch.codes))
        z = z if self.latents is None else z[:, self.latents]
        target = self._targets(rows, batch.generator).to(z)
        yield Term("mmd2_labeled", self.weight, labeled_mmd2(z, target, self.similarity[rows][:, rows].to(z), self.fitted_kernel))

    def _targets(self, rows: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draws (rows, k) of the prior given the labels of these images."""
        given = getattr(self.prior, "given", self.prior)
        drawn = codes("prior's draws", given(self.labels[rows.numpy()], generator), rows=1).detach()
        if len(drawn) != len(rows):
            raise ValueError(f"prior must return {len(rows)} rows for as many labels, got {len(drawn)}")
        return drawn


def labeled_mmd2(codes: Tensor, target: Tensor, similarity: Tensor, kernel: Kernel) -> Tensor:
    """The MMD^2 of `LabeledMMD`, 0-d, of codes and draws (n, k) for the same labels; the diagonal of `similarity` (n, n) is 0."""
    within = sum(kernel.values(squared_distances(rows, rows)) for rows in (codes, target))
    between = kernel.values(squared_distances(codes, target))
    return (similarity * (within - 2 * between)).sum() / similarity.sum().clamp_min(torch.finfo(similarity.dtype).tiny)


def _shown(objective: Objective, *names: str) -> str:
    return ", ".join(f"{name}={getattr(objective, name)!r}" for name in names)


def _labels_and_similarity(given: Any, reach: float) -> tuple[np.ndarray, Tensor]:
    """Labels as an array, and how similar labels i and j are, (n, n); 0 for i = j, since a code is not compared with itself."""
    labels = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if labels.dtype.kind not in "iufU" or labels.ndim not in ((1, 2) if labels.dtype.kind == "f" else (1,)):
        raise ValueError(f"labels must be whole numbers or strings (n,), or floats (n,) or (n, c), got {describe(given)}")
    if labels.dtype.kind == "f":
        values = finite("labels", torch.from_numpy(labels.astype(np.float32))).reshape(len(labels), -1)
        spread = without_heavy_tails(values).std(0)
        scaled = values / torch.where(spread > 0, spread, 1)
        similarity = (-squared_distances(scaled, scaled) / (2 * reach**2)).exp()
    else:
        similarity = torch.from_numpy((labels[:, None] == labels[None, :]).astype(np.float32))
    if not similarity.fill_diagonal_(0).sum() > 0:
        raise ValueError("labels must have at least two images that share one, or floats that are near each other, got none")
    return labels, similarity
