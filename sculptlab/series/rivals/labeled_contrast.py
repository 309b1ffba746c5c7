"""XFactors' contrastive supervision: each known factor has latents of its own, in which images of one value come together."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.mmd.kernel_base import squared_distances
from sculptlab.priors import Gaussian, Prior
from sculptlab.priors.base import drawing_device
from sculptlab.training.batches import held_images
from sculptlab.training.encodings import encoded_means
from sculptlab.training.images import check_image_shape
from sculptlab.training.objectives import Batch, Objective, Term
from sculptlab.training.objectives.companion import Companions
from sculptlab.training.objectives.divergences import kl_to_standard_normal
from sculptlab.validation import as_tensor, number, parameter, whole

IMAGES_PER_STEP = 256


def supervised_info_nce(codes: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """-ln of the share of the rows of the same label in sum_j exp(-|z_i - z_j|^2 / t), j != i; the mean over rows that have one.

    Codes are (n, d), labels (n,). 0 where codes of one value coincide and those of others are far away.
    """
    logits = -squared_distances(codes, codes) / temperature
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    logits = logits.masked_fill(itself, -torch.inf)
    has = (same & ~itself).any(1)
    alike = logits.masked_fill(~same, -torch.inf)[has].logsumexp(1)
    return (logits[has].logsumexp(1) - alike).sum() / has.sum().clamp_min(1)


@dataclass(frozen=True, eq=False)
class LabeledContrast(Objective):
    """Reconstruction + beta * KL + weight * sum_k InfoNCE of the latents of factor k, with images of one value as positives.

    Unlike a prior that is tied to labels, it says nothing about where the codes of a value are, only that they are near each
    other. Images without a label take no part in the contrast. In the history: "kl", "contrast".

    The paper gives each factor a subspace of several latents and leaves a further one for the rest, and contrasts pairs of
    images. Here latents are assigned by `latents`, similarity is minus the squared distance over the temperature (the cosine of a
    single latent would be 1 or -1), and the temperature is ours. Continuous factors must be cut into bins first.

    Parameters
    ----------
    images : array_like of shape (n, *image_shape)
        The labeled ones; at most 256, drawn anew, take part in a step.
    labels : array_like of shape (n, k)
        Whole numbers: the value of each of k factors.
    latents : sequence of k sequences of int
        The latents of each factor, numbered from 0; the others are the rest.
    weight, beta : float, at least 0
    temperature : float, above 0
    likelihood : as in `Reconstruction`

    References
    ----------
    XFactors, 2026, arXiv 2601.21688.
    """

    images: Any
    labels: Any
    latents: Sequence[Sequence[int]]
    weight: float = parameter(number, 1.0, least=0)
    beta: float = parameter(number, 1.0, least=0)
    temperature: float = parameter(number, 0.1, above=0)
    needs_posterior = needs_model = True

    def __post_init__(self) -> None:
        super().__post_init__()
        images, labels = held_images("images", self.images), as_tensor("labels", self.labels).detach().cpu()
        latents = tuple(tuple(whole("latents", one, least=0) for one in some) for some in self.latents)
        if labels.ndim != 2 or labels.is_floating_point() or len(labels) != len(images):
            raise ValueError(
                f"labels must be whole numbers ({len(images)}, k), got {labels.dtype} of shape {tuple(labels.shape)}"
            )
        if len(latents) != labels.shape[1] or not all(latents):
            raise ValueError(f"latents must name one or more for each of {labels.shape[1]} factor(s), got {list(latents)}")
        vars(self).update(images=images, labels=labels, latents=latents)

    def __repr__(self) -> str:
        held = np.ascontiguousarray(self.images.numpy()).tobytes() + repr(self.labels.tolist()).encode()
        shown = f"weight={self.weight:g}, beta={self.beta:g}, temperature={self.temperature:g}, latents={self.latents!r}"
        return f"LabeledContrast(<{len(self.images)} labeled images, crc32 {zlib.crc32(held):08x}>, {shown})"

    def check(self, model: Any) -> None:
        super().check(model)
        check_image_shape("images", self.images, getattr(model, "image_shape", None))
        if max(max(some) for some in self.latents) >= getattr(model, "dim", torch.inf):
            raise ValueError(f"latents must be below the model's {model.dim}, got {list(self.latents)}")

    def prior_for(self, dim: int) -> Prior:
        return Gaussian(dim)

    def regularizers(self, batch: Batch, companions: Companions) -> Iterable[Term]:
        order = torch.randperm(len(self.images), generator=batch.generator, device=drawing_device(batch.generator, None))
        rows = order[:IMAGES_PER_STEP].cpu()
        z = encoded_means(batch.model, self.images[rows].to(batch.codes))
        labels = self.labels[rows].to(z.device)
        parts = (supervised_info_nce(z[:, list(some)], labels[:, k], self.temperature) for k, some in enumerate(self.latents))
        yield Term("kl", self.beta, kl_to_standard_normal(batch.posterior).sum() / len(batch.codes))
        yield Term("contrast", self.weight, sum(parts, z.new_zeros(())))
