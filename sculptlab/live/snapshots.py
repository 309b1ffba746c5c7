"""The Sculptor's images, and what it shows of a model at one moment: codes, the decoded plane, scores, images near a point."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.data import load
from sculptlab.live.targets import Target, tree_lps
from sculptlab.mmd import mmd2
from sculptlab.training.images import as_unit_floats
from sculptlab.training.sources import as_images
from sculptlab.validation import as_tensor

MOST_HELD_OUT = 500
MOST_TRAINING = 20_000
TILES = 10  # decoded images to a side of the plane
SCORES = ("reconstruction", "mmd2", "lps")  # of a snapshot
NEIGHBORS = 6  # held-out images shown beside the nearest one


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
    name, given = (data, load(data)) if isinstance(data, str) else ("yours", data)
    images = as_images(given)
    images = images[:, None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"data must be images (n, c, h, w) or (n, h, w) of 1 or 3 channels, got shape {tuple(images.shape)}")
    if len(images) < 42:
        raise ValueError(f"data must have at least 42 images, got {len(images)}")
    labels = getattr(given, "labels", None)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0), device="cpu")
    count = min(MOST_HELD_OUT, len(images) // 4)
    held_out, training = order[:count], order[count : count + MOST_TRAINING]
    labels = None if labels is None else as_tensor("labels", labels).long()[held_out]
    names = tuple(getattr(given, "label_names", ()))
    return ImageSplit(name, images[training], as_unit_floats(images[held_out]), labels, names)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model at one moment, measured on held-out images."""

    codes: np.ndarray  # (m, 2), as the decoder sees them: samples of a stochastic encoder
    tiles: np.ndarray  # (TILES h, TILES w, c) uint8: images decoded on an even grid over the plane, top row first
    reconstruction: float  # mean squared error per pixel
    mmd2: float  # unbiased MMD² of the codes from as many draws of the prior; its kernel does not depend on the training kernel
    lps: float  # by `tree_lps`; NaN where it was not measured


@torch.no_grad()
def take_snapshot(model: Any, images: ImageSplit, target: Target, lps: float | None = None) -> Snapshot:
    """Measure a model; `lps` is the last measured value, or None to measure it now."""
    if model.stochastic:  # the same noise each time, so that only training moves the codes
        codes = model.posterior(images.held_out).sample(torch.Generator().manual_seed(0))
    else:
        codes = model.encode(images.held_out)
    error = (model.decode(codes) - images.held_out).square().mean().item()
    finite = bool(torch.isfinite(codes).all())
    distance = mmd2(codes, target.draws, target.kernel).item() if finite else np.nan
    if lps is None:
        lps = tree_lps(codes) if finite else np.nan
    centers = (torch.arange(TILES, device="cpu", dtype=torch.float32) + 0.5) / TILES * 2 * target.box - target.box
    grid = torch.stack([centers.repeat(TILES), centers.flip(0).repeat_interleave(TILES)], 1)
    tiles = as_bytes(model.decode(grid))
    tiles = np.concatenate(np.concatenate(tiles.reshape(TILES, TILES, *tiles.shape[1:]), axis=1), axis=1)
    return Snapshot(codes.float().numpy(), tiles, error, distance, lps)


def code_extent(codes: np.ndarray) -> float:
    """The 98 % quantile of the codes' absolute values, in both latents together."""
    finite = np.abs(codes[np.isfinite(codes)])
    return float(np.quantile(finite.astype(float), 0.98)) if len(finite) else 0.0


@torch.no_grad()
def images_near(model: Any, images: ImageSplit, codes: np.ndarray, point: tuple[float, ...]) -> tuple[np.ndarray, list[int]]:
    """Images (3 + NEIGHBORS, h, w, c), uint8, at a point of the plane, and the rows of the held-out ones, nearest first.

    They are the decoded point, the held-out image with the nearest code, its reconstruction, and the next nearest images.
    """
    distances = np.square(codes - np.asarray(point, codes.dtype)).sum(1)
    rows = np.argsort(distances, kind="stable")[: 1 + NEIGHBORS].tolist()
    decoded = model.decode(torch.tensor([point, codes[rows[0]].tolist()], device="cpu", dtype=torch.float32))
    return as_bytes(torch.cat([decoded[:1], images.held_out[rows[:1]], decoded[1:], images.held_out[rows[1:]]])), rows


def as_bytes(images: Tensor) -> np.ndarray:
    """Images (n, c, h, w) in [0, 1] as (n, h, w, c), uint8."""
    return (images * 255).round().clamp(0, 255).byte().movedim(1, 3).contiguous().numpy()
