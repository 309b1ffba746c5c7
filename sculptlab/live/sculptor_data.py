"""The Sculptor's images: cut once into those it trains on and those it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sculptlab.data import Dataset, load
from sculptlab.training.batches import as_images, as_unit_floats
from sculptlab.validation import as_tensor

HELD_OUT = 500  # images shown and measured
TRAINING = 20_000  # images trained on, at most
LEAST = 32  # images to train on


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images to train on (n, c, h, w), held-out ones to show (m, c, h, w) in [0, 1], and what these are: labels (m,) or None."""

    name: str
    training: Tensor
    held_out: Tensor
    labels: Tensor | None
    label_names: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.training.shape[1:]
        return channels, height, width


def cut(data: Any) -> Pictures:
    """The images of a name for `sl.load`, a Dataset, or an array (n, c, h, w) or (n, h, w), in an order that never changes.

    Of n images, min(500, n // 4) are held out. Raises ValueError for too few images, or other than 1 or 3 channels.
    """
    given = load(data) if isinstance(data, str) else data
    if not isinstance(given, Dataset):
        images = as_images(given)
        images = images[:, None] if images.ndim == 3 else images
        if images.ndim != 4:
            raise ValueError(f"data must be images (n, c, h, w) or (n, h, w), got shape {tuple(images.shape)}")
        labels = getattr(given, "labels", None)
        given = Dataset("yours", images, None if labels is None else as_tensor("labels", labels).long())
    if given.image_shape[0] not in (1, 3):
        raise ValueError(f"data must have 1 or 3 channels to be shown, got {given.image_shape[0]}")
    shown = min(HELD_OUT, len(given) // 4)
    if len(given) - shown < LEAST or not shown:
        raise ValueError(f"data must have at least {LEAST * 4 // 3 + 1} images, got {len(given)}")
    order = torch.randperm(len(given), generator=torch.Generator().manual_seed(0))
    held_out, training = order[:shown], order[shown : shown + TRAINING]
    return Pictures(
        data if isinstance(data, str) else "yours",
        given.images[training],
        as_unit_floats(given.images[held_out]),
        None if given.labels is None else given.labels[held_out],
        given.label_names,
    )
