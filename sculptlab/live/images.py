"""The Sculptor's images: one part to train on, another to show and measure."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sculptlab.data import load
from sculptlab.training.batches import as_images, as_unit_floats
from sculptlab.validation import as_tensor

MOST_HELD_OUT = 500
MOST_TRAINING = 20_000


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Training images (n, c, h, w); held-out images (m, c, h, w) in [0, 1] with their labels (m,), or None without labels."""

    name: str
    training: Tensor
    held_out: Tensor
    labels: Tensor | None
    label_names: tuple[str, ...]


def split_images(data: Any) -> ImageSplit:
    """Hold out a quarter, at most 500, of a named set, a Dataset or images (n, c, h, w) or (n, h, w), always the same ones.

    Raises ValueError for fewer than 42 images, of which 32 are trained on, and for other than 1 or 3 channels.
    """
    given = load(data) if isinstance(data, str) else data
    images = as_images(given)
    images = images[:, None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"data must be images (n, c, h, w) or (n, h, w) of 1 or 3 channels, got shape {tuple(images.shape)}")
    if len(images) < 42:
        raise ValueError(f"data must have at least 42 images, got {len(images)}")
    labels = getattr(given, "labels", None)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    count = min(MOST_HELD_OUT, len(images) // 4)
    held_out, training = order[:count], order[count : count + MOST_TRAINING]
    return ImageSplit(
        data if isinstance(data, str) else "yours",
        images[training],
        as_unit_floats(images[held_out]),
        None if labels is None else as_tensor("labels", labels).long()[held_out],
        tuple(getattr(given, "label_names", ())),
    )
