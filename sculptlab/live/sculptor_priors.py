"""The Sculptor's targets: priors of the plane with a few sliders each, and the paper on which one is painted."""

import base64
import binascii
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sculptlab import priors
from sculptlab.priors import Prior
from sculptlab.validation import choice, number

PAPER = 32  # pixels to a side of a painting
LEVELS = 15  # of darkness above white
REACH = 3.2  # the plane shown, and the paper, go from -REACH to REACH in both latents


class NothingPaintedError(ValueError):
    """The paper is white: there is no target on it."""

    def __init__(self) -> None:
        super().__init__("nothing is painted yet: draw on the paper with the mouse or a finger")


@dataclass(frozen=True)
class Slider:
    """A number that a hand can move: its name, range, step and first value, and what is said about it."""

    name: str
    low: float
    high: float
    step: float
    start: float
    hint: str

    def checked(self, value: float) -> float:
        """`value` as a float within the range; of a slider that moves in whole numbers, the nearest one."""
        number(self.name, value)
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name} must lie between {self.low:g} and {self.high:g}, got {value:g}")
        return float(round(value)) if self.step == 1 else float(value)


SIZE = Slider("size", 0.3, 1.6, 0.05, 1.0, "how large, 1: variance 1 on average")
TURN = Slider("turn", -90, 90, 1, 0, "turned by so many degrees")
STRETCH = Slider("stretch", 0.4, 2.5, 0.05, 1.0, "width over height")


@dataclass(frozen=True)
class Preset:
    """A family of priors of the plane: its sliders, and the prior for a value of each, by name."""

    sliders: tuple[Slider, ...]
    make: Callable[[dict[str, float]], Prior]


def _gaussian(at: dict[str, float]) -> Prior:
    r = at["correlation"]
    return _moved(priors.Gaussian(covariance=[[1, r], [r, 1]]) if r else priors.Gaussian(2), at)


def _clusters(at: dict[str, float]) -> Prior:
    angles = [2 * math.pi * k / at["count"] for k in range(int(at["count"]))]
    means = tuple((at["radius"] * math.cos(a), at["radius"] * math.sin(a)) for a in angles)
    return _moved(priors.GaussianMixture(means, at["spread"] ** 2), at)


def _moved(prior: Prior, at: dict[str, float]) -> Prior:
    """`prior` under those of size, stretch and turn that are not neutral."""
    size, stretch, turn = at.get("size", 1.0), at.get("stretch", 1.0), at.get("turn", 0.0)
    if size != 1 or stretch != 1:
        prior = prior.scaled([size * math.sqrt(stretch), size / math.sqrt(stretch)])
    return prior.rotated(math.radians(turn)) if turn else prior


PRESETS = {
    "gaussian": Preset((SIZE, Slider("correlation", -0.95, 0.95, 0.05, 0, "between the two latents")), _gaussian),
    "square": Preset((SIZE, STRETCH, TURN), lambda at: _moved(priors.Uniform(2), at)),
    "ring": Preset(
        (Slider("noise", 0.02, 0.5, 0.01, 0.1, "width of the band, in radii"), SIZE, STRETCH),
        lambda at: _moved(priors.Ring(noise=at["noise"]), at),
    ),
    "moons": Preset(
        (Slider("noise", 0.02, 0.5, 0.01, 0.1, "width of each moon"), SIZE, TURN),
        lambda at: _moved(priors.Moons(noise=at["noise"]), at),
    ),
    "spirals": Preset(
        (
            Slider("arms", 1, 5, 1, 2, "how many arms"),
            Slider("turns", 0.5, 3, 0.25, 1.25, "turns of each arm"),
            Slider("noise", 0.01, 0.15, 0.01, 0.03, "width of each arm"),
            SIZE,
            TURN,
        ),
        lambda at: _moved(priors.Spirals(noise=at["noise"], arms=int(at["arms"]), turns=at["turns"]), at),
    ),
    "clusters": Preset(
        (
            Slider("count", 2, 10, 1, 5, "how many clusters"),
            Slider("radius", 0.5, 2.2, 0.1, 1.5, "distance from the middle"),
            Slider("spread", 0.05, 0.6, 0.05, 0.2, "standard deviation of each"),
            TURN,
        ),
        _clusters,
    ),
    "checkerboard": Preset(
        (Slider("squares", 2, 6, 1, 4, "squares to a side"), SIZE, TURN),
        lambda at: _moved(priors.Checkerboard(squares=int(at["squares"])), at),
    ),
    "triangle": Preset(
        (Slider("concentration", 0.3, 4, 0.1, 1, "below 1: in the corners, above: in the middle"), SIZE, TURN),
        lambda at: _moved(priors.Simplex(2, at["concentration"]), at),
    ),
}
PAINTED, YOURS = "painted", "yours"
NAMES = (*PRESETS, PAINTED, YOURS)


def sliders(prior: str) -> tuple[Slider, ...]:
    """The sliders of a prior by its name; a painting, and a prior from Python, have none."""
    choice("prior", prior, NAMES)
    return PRESETS[prior].sliders if prior in PRESETS else ()


def preset(name: str, values: Sequence[float]) -> Prior:
    """The prior of that name at values of its sliders, in their order."""
    known = sliders(choice("prior", name, PRESETS))
    return PRESETS[name].make({slider.name: slider.checked(value) for slider, value in zip(known, values, strict=True)})


def painted(painting: str) -> Prior:
    """The prior of a painting, where it was painted; a ValueError if there is no ink on the paper."""
    darkness = unpacked(painting) / LEVELS
    if not darkness.any():
        raise NothingPaintedError
    drawing = priors.FromImage(darkness, invert=True, standardize=False)
    return drawing.affine(np.eye(2) * 2 * REACH / PAPER, [-REACH, -REACH])


def packed(darkness: np.ndarray) -> str:
    """A painting (32, 32) of whole numbers 0 (white) … 15, the top row first, as a short text of letters and digits."""
    paper = np.asarray(darkness)
    if paper.shape != (PAPER, PAPER) or paper.min() < 0 or paper.max() > LEVELS:
        raise ValueError(f"darkness must have shape ({PAPER}, {PAPER}) and values from 0 to {LEVELS}, got {paper.shape}")
    levels = paper.astype(np.uint8).ravel()
    return base64.urlsafe_b64encode(zlib.compress((levels[::2] * 16 + levels[1::2]).tobytes(), 9)).decode().rstrip("=")


def unpacked(painting: str) -> np.ndarray:
    """The painting (32, 32), uint8, of a text that `packed` made; "" is white paper."""
    if painting == "":
        return np.zeros((PAPER, PAPER), np.uint8)
    try:
        unfolder = zlib.decompressobj()
        pairs = unfolder.decompress(base64.urlsafe_b64decode(painting + "=" * (-len(painting) % 4)), PAPER * PAPER)
        nibbles = np.frombuffer(pairs, np.uint8)
        return np.stack([nibbles >> 4, nibbles & 15], 1).reshape(PAPER, PAPER)
    except (ValueError, binascii.Error, zlib.error, TypeError) as error:
        raise ValueError(f"painted must be a painting as the Sculptor writes it, got {painting[:40]!r}") from error
