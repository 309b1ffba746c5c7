"""dSprites-style images, rendered by code: a square, an ellipse or a heart, white on black, with known factors.

The factor grid is that of dSprites (Matthey, Higgins, Hassabis & Lerchner 2017, "dSprites: Disentanglement testing
Sprites dataset", https://github.com/google-deepmind/dsprites-dataset; Apache 2.0, its images made with LÖVE, zlib
license). No image of it is stored here; the outlines below were measured on its public animation. The heart is the
well-known curve x = 16 sin³t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, stretched and moved.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sculptlab.validation import choice, codes, finite, number, whole

FACTOR_NAMES = ("shape", "scale", "orientation", "x", "y")
SHAPES = {1: "square", 2: "ellipse", 3: "heart"}
GRID = {  # rounded once, from float64, so that it equals dSprites' own values in float32
    name: torch.tensor(values, dtype=torch.float32)
    for name, values in {
        "shape": [1, 2, 3],
        "scale": np.linspace(0.5, 1, 6),
        "orientation": np.linspace(0, 2 * np.pi, 40),
        "x": np.linspace(0, 1, 32),
        "y": np.linspace(0, 1, 32),
    }.items()
}
SIZES = tuple(len(GRID[name]) for name in FACTOR_NAMES)
TOTAL = math.prod(SIZES)

# Lengths at scale 1 in pixels of a 64 px image. The curved outlines carry measured numbers, a little off the round ones
# they were surely drawn with: they leave the fewest pixels wrong on the genuine frames (4 or fewer on each).
FRAME, MARGIN, TRAVEL = 64, 16, 32
SQUARE_SIDE = 19.2
ELLIPSE_AXES = (12.7675, 7.2125)
HEART_WIDTH, HEART_HEIGHT, HEART_RAISE = 9.594, 0.6622, 1.4368
_REACH = {1: SQUARE_SIDE / math.sqrt(2), 2: ELLIPSE_AXES[0], 3: 11.0}  # the outlines' farthest points, or beyond

_SUBPIXELS = 4  # per side of a pixel: coverage in steps of 1/16
# Pixels (antialiased: quarters of them) worked on at once: on the CPU so few that temporaries stay in cache, on a GPU as
# many as keep it busy.
_CHUNKS = {"cpu": 2**15, "other": 2**22}


def values_at(indices: Any) -> torch.Tensor:
    """Factor values (n, 5) float32 of images `indices` (n,) of the grid, in dSprites' order: shape slowest, y fastest.

    Orientations 0 and 39 (0 and 2π) are the same picture, as in dSprites. ValueError outside 0 .. 737,279.
    """
    classes = classes_at(indices)
    return torch.stack([GRID[name][classes[:, k]] for k, name in enumerate(FACTOR_NAMES)], dim=1)


def classes_at(indices: Any) -> torch.Tensor:
    """Factor classes (n, 5) int64, each counted from 0, of images `indices` (n,) of the grid."""
    flat = _whole_numbers("indices", indices, ndim=1)
    if flat.numel() and (flat.min() < 0 or flat.max() >= TOTAL):
        raise ValueError(f"indices must lie in 0 .. {TOTAL - 1}, got {flat.min().item()} .. {flat.max().item()}")
    return torch.stack(torch.unravel_index(flat, SIZES), dim=1)


def index_of(classes: Any) -> torch.Tensor:
    """Indices (n,) int64 in the grid of factor classes (n, 5): what `classes_at` undoes."""
    table = _whole_numbers("classes", classes, ndim=2)
    sizes = torch.tensor(SIZES)
    if table.shape[1] != len(SIZES):
        raise ValueError(f"classes must have shape (n, 5), one column per factor {FACTOR_NAMES}; got {tuple(table.shape)}")
    if ((table < 0) | (table >= sizes)).any():
        raise ValueError(f"classes must be >= 0 and below {SIZES} for {FACTOR_NAMES}, got one outside")
    return table @ torch.tensor([math.prod(SIZES[k + 1 :]) for k in range(len(SIZES))])


def sample(
    n: int, seed: int | torch.Generator = 0, *, fixed: Mapping[str, float] | None = None, continuous: bool = False
) -> torch.Tensor:
    """`n` draws (n, 5) float32 of independent, uniform factors: on the grid, or between its ends if `continuous`.

    `fixed` holds factors at values of your choice, on the grid or off it: `fixed={"shape": 2, "scale": 0.75}`.
    `seed` is a whole number or a CPU generator. ValueError for an unknown factor, shape or a scale <= 0.
    """
    n = whole("n", n)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(whole("seed", seed, least=0))
    values = torch.empty(n, len(FACTOR_NAMES))
    for column, name in enumerate(FACTOR_NAMES):
        grid = GRID[name]
        if continuous and name != "shape":
            values[:, column] = grid[0] + (grid[-1] - grid[0]) * torch.rand(n, generator=generator)
        else:
            values[:, column] = grid[torch.randint(len(grid), (n,), generator=generator)]
    for name, value in (fixed or {}).items():
        column = FACTOR_NAMES.index(choice("fixed", name, FACTOR_NAMES))
        values[:, column] = number(f"fixed[{name!r}]", value)
    return _checked(values)


@torch.no_grad()
def render(values: Any, size: int = 64, antialias: bool = False, device: str | torch.device | None = None) -> torch.Tensor:
    """Images (n, 1, size, size) float32 in [0, 1] of factor values (n, 5): shape, scale, orientation, x, y.

    Shape 1 is a square, 2 an ellipse, 3 a heart. Orientation is in radians and turns it anticlockwise as one sees it.
    The center lies at 16 + 32 x and 16 + 32 y pixels of a 64 px frame, y downwards; every length grows with `size` / 64.
    Values need not lie on the grid; what leaves the frame is cut. A pixel is 1 if its center is inside the outline; with
    `antialias` it is the share of its 4 x 4 sub-pixel centers that are. Drawn on `device`, else where `values` are.
    Images are always a tensor, also where `values` are an array: they go into training.
    ValueError for another shape, a scale <= 0, NaN or infinite values, no rows, or a device that is not there.
    """
    table = _checked(values)
    table = table.to(device=table.device if device is None else _present(device), dtype=torch.float32)
    size = whole("size", size)
    samples = _SUBPIXELS if choice("antialias", antialias, (False, True)) else 1
    images = torch.zeros(len(table), size, size, device=table.device)
    for shape in SHAPES:
        rows = (table[:, 0] == shape).nonzero()[:, 0]
        rows = rows[table[rows, 1].argsort(descending=True)]  # like sizes together: small sprites get small windows
        while len(rows):
            rows = rows[_draw(images, table, rows, shape, samples) :]
    return images[:, None]


def _draw(images: torch.Tensor, table: torch.Tensor, rows: torch.Tensor, shape: int, samples: int) -> int:
    """Draw the first of `rows` (one shape, largest first), as many as fit in a chunk; returns how many those were."""
    size, unit = images.shape[-1], images.shape[-1] / FRAME
    reach = _REACH[shape] * unit * table[rows[0], 1].item()
    window = min(size, int(min(2 * reach, size)) + 2)  # pixels that an interval of length 2 * reach can touch
    chunk = _CHUNKS.get(table.device.type, _CHUNKS["other"])
    rows = rows[: max(1, chunk // (window * window * samples))]
    _, scale, angle, x, y = table[rows].T[:, :, None]
    pixels = torch.arange(window, device=table.device)
    fine = (torch.arange(window * samples, device=table.device) + 0.5) / samples
    columns, right = _span(x, reach, size, window, fine)
    lines, down = _span(y, reach, size, window, fine)
    cosine, sine = torch.cos(angle) / (scale * unit), torch.sin(angle) / (scale * unit)
    u = (cosine * right)[:, None, :] - (sine * down)[:, :, None]
    v = (sine * right)[:, None, :] + (cosine * down)[:, :, None]
    covered = _INSIDE[shape](u, v).float()
    if samples > 1:
        covered = torch.nn.functional.avg_pool2d(covered, samples)
    images[rows[:, None, None], (lines + pixels)[:, :, None], (columns + pixels)[:, None, :]] = covered
    return len(rows)


def _span(position: torch.Tensor, reach: float, size: int, window: int, fine: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First pixel (n, 1) of the windows along one axis, and the offsets (n, m) of their samples from the centers."""
    center = (MARGIN + TRAVEL * position) * (size / FRAME)
    first = (center - reach).floor().clamp(0, size - window)
    return first.long(), first + fine - center


def _in_square(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.maximum(u.abs_(), v.abs_()) < SQUARE_SIDE / 2


def _in_ellipse(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return (u / ELLIPSE_AXES[0]).square_() + (v / ELLIPSE_AXES[1]).square_() < 1


def _in_heart(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    # With q = sin²t = |u / width|^(2/3) the curve passes u at the heights even(q) ± odd(q): no search for t is needed.
    q = (u / HEART_WIDTH).square_().pow_(1 / 3).clamp_(max=1)
    even = HEART_RAISE + HEART_HEIGHT * (-6 + 18 * q - 8 * q * q)
    odd = HEART_HEIGHT * (1 - q).sqrt_() * (11 + 8 * q)
    return (v + even).abs_() < odd


_INSIDE = {1: _in_square, 2: _in_ellipse, 3: _in_heart}


def _present(device: str | torch.device) -> str | torch.device:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter from a torch built without that kind of device
        reason = str(error).partition("\n")[0]
        raise ValueError(f"device must be one that works on this machine, such as 'cpu', got {device!r}: {reason}") from error
    return device


def _checked(values: Any) -> torch.Tensor:
    table = codes("values", values, dim=len(FACTOR_NAMES), rows=1)
    strange = ~torch.isin(table[:, 0], torch.tensor(list(SHAPES), device=table.device, dtype=table.dtype))
    if strange.any():
        raise ValueError(f"values[:, 0], the shape, must be one of {SHAPES}, got {table[strange, 0][0].item():g}")
    if (table[:, 1] <= 0).any():
        raise ValueError(f"values[:, 1], the scale, must be > 0, got {table[:, 1].min().item():g}")
    return table


def _whole_numbers(name: str, value: Any, ndim: int) -> torch.Tensor:
    tensor = (value if isinstance(value, torch.Tensor) else torch.as_tensor(np.asarray(value))).cpu()
    if not tensor.numel():  # an empty list has no type of its own
        tensor = tensor.long()
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"{name} must be whole numbers, got {tensor.dtype}")
    if tensor.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s), got shape {tuple(tensor.shape)}")
    return finite(name, tensor).long()
