"""What the Sculptor shows of a model at one moment: codes, decoded plane, numbers, and what lies under the pointer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor

from sculptlab.independence.lps import lps
from sculptlab.live.sculptor_data import Pictures
from sculptlab.live.sculptor_priors import PAPER, REACH
from sculptlab.mmd import mmd2, mmd_test
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Prior
from sculptlab.training.models import Autoencoder
from sculptlab.validation import codes as valid_codes

SIDE = 10  # decoded images to a side of the plane
NEIGHBORS = 6
DRAWS = 10_000  # that stand for a prior in its picture
MAP = 2  # so many papers wide and high is the picture of a prior's density
BLUR = 0.7  # pixels of the density's picture: less than its noise
PERMUTATIONS = 100  # of the null band
CHANCE = 0.95  # of the null lies under the band's upper edge
TREE = DecisionTreeRegressor(min_samples_leaf=20, random_state=0)  # finds bends, and is fitted in a millisecond


@dataclass(frozen=True, eq=False)
class Target:
    """A prior with what is drawn and measured of it once: as many draws as there are codes, the measuring kernel, the map."""

    prior: Prior
    draws: Tensor
    others: Tensor  # as many again, for the null
    kernel: Kernel
    box: float  # the decoded plane goes from -box to box
    density: np.ndarray = field(repr=False)  # (MAP PAPER, MAP PAPER) uint8, the top row first

    @classmethod
    def of(cls, prior: Prior, rows: int) -> Target:
        """Raises what the prior raises."""
        many = valid_codes("prior's draws", prior.sample(DRAWS, torch.Generator().manual_seed(0)).cpu(), dim=2)
        plane = [(-MAP * REACH, MAP * REACH)] * 2
        counts, *_ = np.histogram2d(many[:, 0].numpy(), many[:, 1].numpy(), bins=MAP * PAPER, range=plane)
        smooth = gaussian_filter(counts, BLUR)
        gray = np.sqrt(smooth.T[::-1] / smooth.max()) if smooth.any() else smooth
        box = float(many.abs().quantile(0.99))
        draws, others = many[:rows].contiguous(), many[rows : 2 * rows].contiguous()
        return cls(prior, draws, others, IMQ().fit(prior), max(box, 0.1), (255 * gray).astype(np.uint8))

    @cached_property
    def band(self) -> float:
        """What MMD² stays under in 95 of 100 cases when both clouds are the prior's, as many rows each."""
        null = mmd_test(self.draws, self.others, self.kernel, permutations=PERMUTATIONS).null
        return float(np.quantile(null, CHANCE))


@dataclass(frozen=True, eq=False)
class LanePicture:
    """One model at one moment: held-out codes (m, 2) as its decoder sees them, the decoded plane, and numbers.

    sheet           (SIDE h, SIDE w, c) uint8: images decoded at an even grid over the prior, the top row first.
    reconstruction  mean squared error per pixel of held-out images.
    mmd2            unbiased MMD² of the codes from as many draws of the prior, under one kernel whatever trains.
    lps             how well a tree guesses one latent from the other, held out; NaN where it was not asked for.
    """

    codes: np.ndarray
    sheet: np.ndarray
    reconstruction: float
    mmd2: float
    lps: float


def reach(codes: np.ndarray) -> float:
    """How far from the middle codes lie, in either latent: 98 of 100 nearer than that."""
    inside = np.abs(codes[np.isfinite(codes)])
    return float(np.quantile(inside.astype(float), 0.98)) if len(inside) else 0.0


def shown_codes(model: Any, images: Tensor) -> Tensor:
    """The codes that the decoder sees; of a stochastic encoder one draw each, with the same noise at every look."""
    if not model.stochastic:
        return model.encode(images)
    return model.posterior(images).sample(torch.Generator().manual_seed(0))


@torch.no_grad()
def look(model: Any, pictures: Pictures, target: Target, *, lps: bool) -> LanePicture:
    """What a model shows now."""
    codes = shown_codes(model, pictures.held_out)
    error = (model.decode(codes) - pictures.held_out).square().mean().item()
    good = bool(torch.isfinite(codes).all())
    distance = mmd2(codes, target.draws, target.kernel).item() if good else np.nan
    score = _lps(codes) if lps and good else np.nan
    return LanePicture(codes.float().numpy(), sheet(model, target.box), error, distance, score)


def _lps(codes: Tensor) -> float:
    return float(lps(codes, TREE, permutations=0).score) if len(codes) >= 20 else np.nan


def sheet(model: Autoencoder, box: float) -> np.ndarray:
    """Images decoded at the middles of SIDE x SIDE equal squares of [-box, box]², as one picture (h, w, c), uint8."""
    middles = (torch.arange(SIDE) + 0.5) / SIDE * 2 * box - box
    codes = torch.stack([middles.repeat(SIDE), middles.flip(0).repeat_interleave(SIDE)], 1)
    images = _bytes(model.decode(codes))
    height, width, channels = images.shape[1:]
    return images.reshape(SIDE, SIDE, height, width, channels).swapaxes(1, 2).reshape(SIDE * height, SIDE * width, channels)


@torch.no_grad()
def under(model: Autoencoder, pictures: Pictures, codes: np.ndarray, at: tuple[float, float]) -> tuple[np.ndarray, list[int]]:
    """What lies under a point of the plane: images (3 + NEIGHBORS, h, w, c) uint8, and the rows of the held-out images.

    They are: the point decoded; the held-out image whose code is nearest; its reconstruction; then the next nearest images.
    """
    distances = np.square(codes - np.asarray(at, codes.dtype)).sum(1)
    rows = np.argsort(distances, kind="stable")[: 1 + NEIGHBORS].tolist()
    decoded = model.decode(torch.tensor([at, codes[rows[0]].tolist()]))
    images = torch.cat([decoded[:1], pictures.held_out[rows[:1]], decoded[1:], pictures.held_out[rows[1:]]])
    return _bytes(images), rows


def _bytes(images: Tensor) -> np.ndarray:
    """(n, h, w, c) uint8 of images (n, c, h, w) in [0, 1]."""
    return (images * 255).round().clamp(0, 255).byte().movedim(1, 3).contiguous().numpy()
