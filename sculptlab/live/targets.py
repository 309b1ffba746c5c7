"""The Sculptor's targets: priors of two dimensions with sliders or painted on a canvas, with their draws and density."""

import base64
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab import priors
from sculptlab.columns import random_rows
from sculptlab.histograms import smoothed
from sculptlab.independence.lps import active_columns
from sculptlab.mmd import mmd2, mmd_test
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import IMQ
from sculptlab.priors import Prior
from sculptlab.validation import choice, codes, number

EXTENT = 3.2  # the canvas, and at first the plane of the codes, go from -EXTENT to EXTENT in both latents
CANVAS_SIZE = 32  # pixels to a side of a painting
GRAY_LEVELS = 15  # of a painted pixel, above 0 for blank
DENSITY_SCALE = 2  # the density map is this many canvases wide and high
DRAWS = 10_000  # of a prior, for its density map


class BlankCanvasError(ValueError):
    """Nothing is painted, so there is no target."""


@dataclass(frozen=True)
class Slider:
    """A number that a slider on the page sets: its range, step and initial value, and a hint for the reader."""

    name: str
    low: float
    high: float
    step: float
    start: float
    hint: str

    def checked(self, value: float) -> float:
        """`value` as a float within the range; where the step is 1, rounded to an int."""
        number(self.name, value)
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name} must lie between {self.low:g} and {self.high:g}, got {value:g}")
        return round(value) if self.step == 1 else float(value)


def _gaussian(correlation: float) -> Prior:
    return priors.Gaussian(covariance=[[1, correlation], [correlation, 1]]) if correlation else priors.Gaussian(2)


def _clusters(count: int, radius: float, spread: float) -> Prior:
    angles = [2 * math.pi * k / count for k in range(count)]
    return priors.GaussianMixture(tuple((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles), spread**2)


SIZE = Slider("size", 0.3, 1.6, 0.05, 1.0, "scale; at 1 the variance is 1 on average")
TURN = Slider("turn", -90, 90, 1, 0, "rotation in degrees")
STRETCH = Slider("stretch", 0.4, 2.5, 0.05, 1.0, "width over height")
PRESETS: dict[str, tuple[Any, ...]] = {  # a function of the preset's own sliders, then its sliders, perhaps with the three above
    "gaussian": (_gaussian, SIZE, Slider("correlation", -0.95, 0.95, 0.05, 0, "correlation of the two latents")),
    "square": (lambda: priors.Uniform(2), SIZE, STRETCH, TURN),
    "ring": (priors.Ring, Slider("noise", 0.02, 0.5, 0.01, 0.1, "width of the band, in radii"), SIZE, STRETCH),
    "moons": (priors.Moons, Slider("noise", 0.02, 0.5, 0.01, 0.1, "width of each moon"), SIZE, TURN),
    "spirals": (
        priors.Spirals,
        Slider("arms", 1, 5, 1, 2, "number of arms"),
        Slider("turns", 0.5, 3, 0.25, 1.25, "turns of each arm"),
        Slider("noise", 0.01, 0.15, 0.01, 0.03, "width of each arm"),
        SIZE,
        TURN,
    ),
    "clusters": (
        _clusters,
        Slider("count", 2, 10, 1, 5, "number of clusters"),
        Slider("radius", 0.5, 2.2, 0.1, 1.5, "distance of each cluster from the center"),
        Slider("spread", 0.05, 0.6, 0.05, 0.2, "standard deviation of each cluster"),
        TURN,
    ),
    "checkerboard": (priors.Checkerboard, Slider("squares", 2, 6, 1, 4, "squares to a side"), SIZE, TURN),
    "triangle": (
        lambda concentration: priors.Simplex(2, concentration),
        Slider("concentration", 0.3, 4, 0.1, 1, "below 1: mass in the corners; above 1: in the middle"),
        SIZE,
        TURN,
    ),
}
PAINTED, YOURS = "painted", "yours"
PRIOR_NAMES = (*PRESETS, PAINTED, YOURS)


def sliders_of(prior: str) -> tuple[Slider, ...]:
    """The sliders of a prior by its name; a painting and a prior given from Python have none."""
    return PRESETS.get(choice("prior", prior, PRIOR_NAMES), (None,))[1:]


def preset_prior(name: str, sliders: Mapping[str, float], painting: str = "") -> Prior:
    """The prior of a preset at the values of its sliders, or that of a painting, where it was painted."""
    if name == PAINTED:
        drawing = priors.FromImage(decode_painting(painting) / GRAY_LEVELS, invert=True, standardize=False)
        return drawing.affine(np.eye(2) * 2 * EXTENT / CANVAS_SIZE, [-EXTENT, -EXTENT])
    at: dict[str, Any] = dict(sliders)
    size, stretch, turn = at.pop("size", 1.0), at.pop("stretch", 1.0), at.pop("turn", 0)
    prior = PRESETS[name][0](**at)
    if size != 1 or stretch != 1:
        prior = prior.scaled([size * math.sqrt(stretch), size / math.sqrt(stretch)])
    return prior.rotated(math.radians(turn)) if turn else prior


def encode_painting(gray: np.ndarray) -> str:
    """A painting (32, 32) of whole numbers from 0, blank, to 15, top row first, as a short text of letters and digits."""
    flat = np.asarray(gray, np.uint8).ravel()
    return base64.urlsafe_b64encode(zlib.compress((flat[::2] * 16 + flat[1::2]).tobytes(), 9)).decode().rstrip("=")


def decode_painting(painting: str) -> np.ndarray:
    """The painting (32, 32), uint8, of a text that `encode_painting` made; "" is the blank canvas."""
    if painting == "":
        return np.zeros((CANVAS_SIZE, CANVAS_SIZE), np.uint8)
    problem = f"painted must be a painting as the Sculptor writes it, got {str(painting)[:40]!r}"
    if not isinstance(painting, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", painting):  # base64 ignores other characters
        raise ValueError(problem)
    try:
        packed = base64.urlsafe_b64decode(painting + "=" * (-len(painting) % 4))
        stream = zlib.decompressobj()
        pairs = stream.decompress(packed, CANVAS_SIZE**2)  # at most: a hostile text cannot fill the memory
        if not stream.eof or stream.unused_data:
            raise ValueError("it goes on, or ends early")
        return unpack_pixels(pairs)
    except (ValueError, zlib.error) as error:
        raise ValueError(problem) from error


def unpack_pixels(pairs: bytes) -> np.ndarray:
    """Gray levels (32, 32), uint8, of bytes that hold two pixels each."""
    both = np.frombuffer(pairs, np.uint8)
    return np.stack([both >> 4, both & 15], 1).reshape(CANVAS_SIZE, CANVAS_SIZE)


def tree_lps(codes: Tensor) -> float:
    """LPS of codes (n, 2) by a regression tree, as `sl.lps` computes it; NaN for fewer than 20 rows and if no latent varies.

    Its chance level is 0: on independent latents the tree predicts held-out rows worse than their mean does.
    """
    if len(codes) < 20:
        return math.nan
    columns, active, _ = active_columns(codes.detach(), [0, 1])
    if len(active) < 2:
        return 0.0 if active else math.nan
    z, order = columns.cpu().numpy(), random_rows(len(codes), 0).numpy()
    halves, scores = (np.sort(order[::2]), np.sort(order[1::2])), []
    for x, y in (z.T, z.T[::-1]):
        loss = sum(np.square(y[test] - predict_by_tree(x[fit], y[fit], x[test])).sum() for fit, test in (halves, halves[::-1]))
        scores.append(max(0.0, 1 - loss / np.square(y - y.mean()).sum()))
    return float(np.mean(scores))


def predict_by_tree(x: np.ndarray, y: np.ndarray, new: np.ndarray, least: int = 20) -> np.ndarray:
    """Predict `y` (n,) at `new` (m,) by a regression tree on `x` (n,) whose leaves hold at least `least` rows.

    It is scikit-learn's DecisionTreeRegressor, which takes more than a second to import, for a single column.
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    edges: list[float] = []
    values: list[float] = []

    def grow(start: int, stop: int) -> None:
        sums, left = np.cumsum(y[start:stop]), np.arange(least, stop - start - least + 1)  # rows left of a cut
        left = left[x[start + left] > x[start + left - 1] + 1e-7]  # none between equal values
        before, total, n = sums[left - 1], sums[-1], stop - start
        gains = before**2 / left + (total - before) ** 2 / (n - left)
        if not len(left) or gains.max() <= total**2 / n + 1e-12:
            values.append(total / n)
            return
        cut = start + left[gains.argmax()]
        grow(start, cut)
        edges.append((x[cut - 1] + x[cut]) / 2)
        grow(cut, stop)

    grow(0, len(x))
    return np.array(values)[np.searchsorted(edges, new)]


class Target:
    """A prior with its kernel, draws and density map, computed once. Errors of the prior's own code are passed on.

    `draws` (rows, 2) are compared with as many codes under `kernel`. The grid of decoded images goes from -`box` to `box` in both
    latents. `density` is the square root of the prior's smoothed density, uint8 with the top row first and 255 at the peak.
    """

    def __init__(self, prior: Prior, rows: int) -> None:
        drawn = codes("prior's draws", prior.sample(DRAWS, torch.Generator().manual_seed(0)).cpu(), dim=2)
        self.prior, self.kernel = prior, IMQ().fit(prior)
        self.draws, self._more_draws = drawn[:rows].contiguous(), drawn[rows : 2 * rows].contiguous()
        self.box = max(float(drawn.abs().quantile(0.99)), 0.1)
        plane = [(-DENSITY_SCALE * EXTENT, DENSITY_SCALE * EXTENT)] * 2
        counts, *_ = np.histogram2d(drawn[:, 0].numpy(), drawn[:, 1].numpy(), bins=DENSITY_SCALE * CANVAS_SIZE, range=plane)
        smooth = smoothed(counts, 0.7)
        root = np.sqrt(smooth.T[::-1] / smooth.max()) if smooth.any() else smooth
        self.density = (255 * root).astype(np.uint8)
        self._training: dict[Kernel, tuple[Kernel, float]] = {}  # the fitted kernel, and the gradient's chance level

    @cached_property
    def null_band(self) -> float:
        """The 95 % quantile, by permutation, of MMD² between two samples of the prior, each of as many rows as `draws`."""
        null = mmd_test(self.draws, self._more_draws, self.kernel, permutations=100).null
        return float(np.quantile(null, 0.95))

    @cached_property
    def lps(self) -> float:
        """LPS of the draws themselves."""
        return tree_lps(self.draws)

    def pulls(self, points: np.ndarray, kernel: Kernel) -> np.ndarray:
        """Minus the gradient of MMD² under `kernel` in each code (m, 2), float32, as a multiple of its chance level.

        The chance level is the 95 % quantile of the gradient's length where the codes are draws of the prior.
        """
        if kernel not in self._training:
            fitted = kernel.fit(self.prior)
            lengths = self._descent(self._more_draws, fitted).norm(dim=1)
            self._training[kernel] = fitted, max(float(lengths.quantile(0.95)), 1e-12)
        fitted, chance = self._training[kernel]
        found = self._descent(torch.from_numpy(points).to("cpu", torch.float32), fitted)
        return (found / chance).nan_to_num(0, 0, 0).numpy()

    def _descent(self, points: Tensor, kernel: Kernel) -> Tensor:
        """Minus the gradient of MMD² in each point, times their number."""
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(mmd2(points, self.draws, kernel), points)
        return -len(points) * gradient
