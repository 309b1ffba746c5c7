"""What the Sculptor shows of a model at one moment: codes, the decoded plane, scores, and images near a point."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor

from sculptlab.independence.lps import lps as predictability
from sculptlab.live.images import ImageSplit
from sculptlab.live.targets import Target
from sculptlab.mmd import mmd2
from sculptlab.training.models import Autoencoder

TILES = 10  # decoded images to a side of the plane
NEIGHBORS = 6  # held-out images shown beside the nearest one


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model at one moment, measured on held-out images.

    codes           (m, 2), as the decoder sees them: samples of a stochastic encoder.
    tiles           (TILES h, TILES w, c) uint8: images decoded on an even grid over the plane, top row first.
    reconstruction  mean squared error per pixel.
    mmd2            unbiased MMD² of the codes from as many draws of the prior; the kernel does not depend on the training kernel.
    lps             LPS with a regression tree, which fits in a millisecond; NaN where it was not measured.
    """

    codes: np.ndarray
    tiles: np.ndarray
    reconstruction: float
    mmd2: float
    lps: float


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
        tree = DecisionTreeRegressor(min_samples_leaf=20, random_state=0)
        lps = float(predictability(codes, tree, permutations=0).score) if finite and len(codes) >= 20 else np.nan
    return Snapshot(codes.float().numpy(), decode_plane(model, target.box), error, distance, lps)


def code_extent(codes: np.ndarray) -> float:
    """The 98 % quantile of the codes' absolute values, in both latents together."""
    finite = np.abs(codes[np.isfinite(codes)])
    return float(np.quantile(finite.astype(float), 0.98)) if len(finite) else 0.0


@torch.no_grad()
def decode_plane(model: Autoencoder, box: float) -> np.ndarray:
    """Images decoded at the centers of TILES x TILES equal squares of [-box, box]², as one image (h, w, c), uint8."""
    centers = (torch.arange(TILES) + 0.5) / TILES * 2 * box - box
    codes = torch.stack([centers.repeat(TILES), centers.flip(0).repeat_interleave(TILES)], 1)
    tiles = as_bytes(model.decode(codes))
    height, width, channels = tiles.shape[1:]
    return tiles.reshape(TILES, TILES, height, width, channels).swapaxes(1, 2).reshape(TILES * height, TILES * width, channels)


@torch.no_grad()
def images_near(
    model: Autoencoder, images: ImageSplit, codes: np.ndarray, point: tuple[float, float]
) -> tuple[np.ndarray, list[int]]:
    """Images (3 + NEIGHBORS, h, w, c), uint8, at a point of the plane, and the rows of the held-out ones, nearest first.

    They are the decoded point, the held-out image with the nearest code, its reconstruction, and the next nearest images.
    """
    distances = np.square(codes - np.asarray(point, codes.dtype)).sum(1)
    rows = np.argsort(distances, kind="stable")[: 1 + NEIGHBORS].tolist()
    decoded = model.decode(torch.tensor([point, codes[rows[0]].tolist()]))
    return as_bytes(torch.cat([decoded[:1], images.held_out[rows[:1]], decoded[1:], images.held_out[rows[1:]]])), rows


def as_bytes(images: Tensor) -> np.ndarray:
    """Images (n, c, h, w) in [0, 1] as (n, h, w, c), uint8."""
    return (images * 255).round().clamp(0, 255).byte().movedim(1, 3).contiguous().numpy()
