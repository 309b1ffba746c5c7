"""A few labels tied to latents through the prior: the codes of labeled images are pulled to the prior given their labels."""

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
from sculptlab.training.batches import check_image_shape, held_images
from sculptlab.training.objectives.base import Objective
from sculptlab.training.objectives.prior_distances import device_of
from sculptlab.training.objectives.terms import Adversaries, Batch, Term
from sculptlab.validation import codes, finite, number, whole

IMAGES_PER_STEP = 256


@dataclass(frozen=True, eq=False)
class LabeledMMD(Objective):
    """Reconstruction + weight * MMD^2 between codes of labeled images and draws of the prior given the same labels.

    MMD^2 = sum_{i != j} w_ij (k(z_i, z_j) + k(y_i, y_j) - 2 k(z_i, y_j)) / sum_{i != j} w_ij,  z_i = encode(image_i),
    y_i ~ prior.given(label_i), w_ij = similarity of labels i and j.

    With weights that are a kernel of the labels this is the MMD^2 of (code, label) pairs; with one label for all images it is
    their `MMD`. It is unbiased: 0 on average, and negative as often as positive, where codes given their labels are draws of
    the prior given them. Images without a label take no part; add an `MMD` for them. At most 256 labeled images, drawn anew,
    take part in a step. In the history: "mmd2_labeled".

    Parameters
    ----------
    prior : object with given(labels, generator) -> (n, k), or such a function
        For example `priors.Conditional` or `priors.Tied`.
    images : array_like of shape (n, *image_shape)
        As the model takes them: floats, or uint8, which is divided by 255.
    labels : array_like of shape (n,) or (n, c)
        Whole numbers or strings (n,) are classes, similar (1) if equal, else 0. Floats are similar by
        exp(-|difference|^2 / 2 reach^2), each column in its standard deviations over these images.
    weight : float
        Nats per image for an MMD^2 of 1.
    latents : sequence of int, optional
        The k latents that the prior is about, numbered from 0; by default all.
    kernel : Kernel, optional
        As in `MMD`.
    reach : float
        Of the similarity of labels that are floats.
    likelihood : {"gaussian", "bernoulli"}
        As in `Reconstruction`.

    Raises
    ------
    ValueError
        For unequal lengths, classes of which none has two images, labels that the prior does not know, values that are not
        finite, another dimension or image shape than the model's.

    References
    ----------
    Long et al. 2017, arXiv 1605.06636: the joint MMD, here with a prior in the place of the second domain.
    """

    prior: Any
    images: Any = field(repr=False)
    labels: Any = field(repr=False)
    weight: float = 100.0
    latents: Sequence[int] | None = None
    kernel: Kernel | None = None
    reach: float = 0.3
    similarity: Tensor = field(init=False, repr=False)
    _given: Callable[[Any, torch.Generator | None], Any] = field(init=False, repr=False)
    fitted_kernel: Kernel = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        number("weight", self.weight, least=0)
        number("reach", self.reach, above=0)
        if self.latents is not None:
            object.__setattr__(self, "latents", tuple(whole("latents", one, least=0) for one in self.latents))
        images, labels = held_images("images", self.images), _as_labels(self.labels)
        if len(images) != len(labels) or len(images) < 2:
            raise ValueError(f"labels must be one for each of 2 or more images, got {len(labels)} for {len(images)}")
        given = getattr(self.prior, "given", self.prior)
        if not callable(given) or isinstance(given, type):
            raise TypeError(f"prior must have given(labels, generator), or be such a function, got {self.prior!r}")
        similarity = _similarity(labels, self.reach)
        for name, value in (("images", images), ("labels", labels), ("_given", given), ("similarity", similarity)):
            object.__setattr__(self, name, value)
        seen = self._targets(torch.arange(FIT_ROWS) % len(images), torch.Generator().manual_seed(0))
        if self.latents is not None and len(self.latents) != seen.shape[1]:
            raise ValueError(f"latents must be as many as the prior's {seen.shape[1]} dimension(s), got {list(self.latents)}")
        object.__setattr__(self, "fitted_kernel", as_kernel(self.kernel).fit(seen))

    def __repr__(self) -> str:
        held = self.images.numpy().tobytes() + repr(self.labels.tolist()).encode()
        prior = getattr(self.prior, "__qualname__", None) or repr(self.prior)  # a function's repr has its address
        labeled = f"<{len(self.images)} labeled images, crc32 {zlib.crc32(held):08x}>"
        return f"LabeledMMD({prior}, {labeled}, weight={self.weight:g}, latents={self.latents!r})"

    def check(self, model: Any) -> None:
        super().check(model)
        check_image_shape("images", self.images, model)
        if self.latents is None:
            dim = self._targets(torch.arange(2), torch.Generator().manual_seed(0)).shape[1]
            if (latents := getattr(model, "dim", dim)) != dim:
                raise ValueError(f"prior must have the model's {latents} dimension(s), or latents must say which; got {dim}")
        elif max(self.latents) >= getattr(model, "dim", torch.inf):
            raise ValueError(f"latents must be below the model's {model.dim}, got {list(self.latents)}")

    def prior_for(self, dim: int) -> Prior | None:
        return self.prior if self.latents is None and isinstance(self.prior, Prior) else None

    def regularizers(self, batch: Batch, adversaries: Adversaries) -> Iterable[Term]:
        rows = torch.arange(len(self.images))
        if len(rows) > IMAGES_PER_STEP:
            order = torch.randperm(len(rows), generator=batch.generator, device=device_of(batch.generator))
            rows = order[:IMAGES_PER_STEP].cpu()
        z: Tensor = batch.model.encode(self.images[rows].to(batch.codes))
        z = z if self.latents is None else z[:, self.latents]
        target = self._targets(rows, batch.generator).to(z)
        yield Term("mmd2_labeled", self.weight, labeled_mmd2(z, target, self.similarity[rows][:, rows].to(z), self.fitted_kernel))

    def _targets(self, rows: Tensor, generator: torch.Generator | None) -> Tensor:
        drawn = codes("prior's draws", self._given(self.labels[rows.numpy()], generator), rows=1)
        if len(drawn) != len(rows):
            raise ValueError(f"prior must return {len(rows)} rows for as many labels, got {len(drawn)}")
        return drawn


def labeled_mmd2(codes: Tensor, target: Tensor, similarity: Tensor, kernel: Kernel) -> Tensor:
    """The MMD^2 of `LabeledMMD`, 0-d, of codes and draws (n, k) for the same labels; the diagonal of `similarity` (n, n) is 0."""
    within = sum(kernel.values(squared_distances(rows, rows)) for rows in (codes, target))
    between = kernel.values(squared_distances(codes, target))
    return (similarity * (within - 2 * between)).sum() / similarity.sum().clamp_min(torch.finfo(similarity.dtype).tiny)


def _as_labels(given: Any) -> np.ndarray:
    """Labels as an array of classes (n,), or of floats (n,) or (n, c)."""
    labels = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if labels.dtype.kind == "f":
        finite("labels", torch.from_numpy(labels))
    if labels.dtype.kind not in "iufU" or labels.ndim not in ((1, 2) if labels.dtype.kind == "f" else (1,)):
        raise ValueError(f"labels must be whole numbers or strings (n,), or floats (n,) or (n, c), got {given!r}")
    return labels


def _similarity(labels: np.ndarray, reach: float) -> Tensor:
    """How similar labels i and j are, (n, n), with zeros on the diagonal: no code is compared with the draw for itself."""
    if labels.dtype.kind == "f":
        values = torch.from_numpy(labels.astype(np.float32)).reshape(len(labels), -1)
        spread = values.std(0)
        scaled = values / torch.where(spread > 0, spread, 1)
        similarity = (-squared_distances(scaled, scaled) / (2 * reach**2)).exp()
    else:
        similarity = torch.from_numpy((labels[:, None] == labels[None, :]).astype(np.float32))
    similarity.fill_diagonal_(0)
    if not similarity.sum() > 0:
        raise ValueError("labels must have at least two images that share one, or floats that are near each other, got none")
    return similarity
