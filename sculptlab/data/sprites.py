"""dSprites-style images rendered by code: a white square, ellipse or heart on black, with known factors.

`torch.cartesian_prod(*GRID.values())` holds the factor values (737,280, 5) of the images of dSprites (Matthey, Higgins,
Hassabis and Lerchner 2017, https://github.com/google-deepmind/dsprites-dataset; Apache 2.0) in their order. Orientations 0
and 2π give the same image. The outlines were measured on the public animation; no image of dSprites is stored here.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sculptlab.validation import as_seed, choice, codes, number, whole

FACTOR_NAMES = ("shape", "scale", "orientation", "x", "y")
SHAPES = {1: "square", 2: "ellipse", 3: "heart"}
_LEVELS = {"shape": (1, 3, 3), "scale": (0.5, 1, 6), "orientation": (0, 2 * np.pi, 40), "x": (0, 1, 32), "y": (0, 1, 32)}
GRID = {name: torch.from_numpy(np.linspace(*levels)).float() for name, levels in _LEVELS.items()}  # float32 of dSprites' values

# Lengths at scale 1, in pixels of a frame of 64 x 64. Ellipse and heart are fitted: at most 4 pixels of a frame are wrong.
# The heart is the curve x = 16 sin³t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, stretched and moved.
FRAME, MARGIN, TRAVEL = 64, 16, 32
SQUARE_SIDE = 19.2
ELLIPSE_AXES = (12.7675, 7.2125)
HEART_WIDTH, HEART_HEIGHT, HEART_RAISE = 9.594, 0.6622, 1.4368
_RADII = {1: SQUARE_SIDE / math.sqrt(2), 2: ELLIPSE_AXES[0], 3: 11.0}  # circles around the center that hold the outlines


def sample(n: int, seed: int = 0, *, fixed: Mapping[str, float] | None = None, continuous: bool = False) -> torch.Tensor:
    """Draw independent, uniform factor values.

    Parameters
    ----------
    n, seed : int
        Number of rows, and the seed of the draws.
    fixed : mapping of str to float, optional
        Factors that keep one value, on the grid or between its points, such as `{"shape": 2, "scale": 0.75}`.
    continuous : bool
        Draw scale, orientation, x and y from the intervals that the grid covers, rather than from its points.

    Returns
    -------
    Tensor of shape (n, 5)
        float32 values of shape, scale, orientation, x and y.
    """
    generator = torch.Generator().manual_seed(as_seed("seed", seed))
    n = whole("n", n)
    values = torch.empty(n, len(FACTOR_NAMES), device="cpu", dtype=torch.float32)
    for column, (name, grid) in enumerate(GRID.items()):
        if continuous and name != "shape":
            share = torch.rand(n, generator=generator, device="cpu", dtype=torch.float32)
            values[:, column] = grid[0] + (grid[-1] - grid[0]) * share
        else:
            values[:, column] = grid[torch.randint(len(grid), (n,), generator=generator, device="cpu")]
    for name, value in (fixed or {}).items():
        column = FACTOR_NAMES.index(choice("fixed", name, FACTOR_NAMES))
        values[:, column] = number(f"fixed[{name!r}]", value)
    return _checked(values)


@torch.no_grad()
def render(values: Any, size: int = 64, antialias: bool = False) -> torch.Tensor:
    """Render images from factor values, on the device where these are.

    The center of a sprite lies at (16 + 32 x, 16 + 32 y) pixels of a frame of 64 x 64, y downwards; all lengths are
    proportional to `size`. A positive orientation turns the sprite anticlockwise. Parts outside of the frame are cut off.

    Parameters
    ----------
    values : array_like of shape (n, 5)
        shape (1 square, 2 ellipse, 3 heart), scale (> 0), orientation (radians), x and y, on the grid or not.
    size : int
        Pixels per side.
    antialias : bool
        False: a pixel is 1 if its center lies inside the outline, else 0. True: it is the share of its 4 x 4 subpixel
        centers inside.

    Returns
    -------
    Tensor of shape (n, 1, size, size)
        float32 images in [0, 1].

    Raises
    ------
    ValueError
        For a shape or scale that is not valid, or a value that is not finite.

    Examples
    --------
    >>> from sculptlab.data import sprites
    >>> sprites.render([[3, 1.0, 0.0, 0.5, 0.5]]).shape
    torch.Size([1, 1, 64, 64])
    """
    table, size = _checked(values).float(), whole("size", size)
    subpixels = 4 if choice("antialias", antialias, (False, True)) else 1
    images = torch.zeros(len(table), size, size, device=table.device, dtype=torch.float32)
    for shape in SHAPES:
        rows = (table[:, 0] == shape).nonzero()[:, 0]
        rows = rows[table[rows, 1].argsort(descending=True)]  # sprites of like size share a window of pixels
        while len(rows):
            rows = rows[_draw(images, table, rows, shape, subpixels) :]
    return images[:, None]


def _draw(images: torch.Tensor, table: torch.Tensor, rows: torch.Tensor, shape: int, subpixels: int) -> int:
    """Draw sprites of one shape, largest first, each in a window around it; returns how many of `rows` were drawn."""
    size, unit = images.shape[-1], images.shape[-1] / FRAME
    radius = _RADII[shape] * unit * table[rows[0], 1].item()
    window = min(size, int(min(2 * radius, size)) + 2)  # pixels that an interval of length 2 * radius can touch
    chunk = 2**15 if table.device.type == "cpu" else 2**22  # pixels: temporaries fit a CPU's cache, or keep a GPU busy
    rows = rows[: max(1, chunk // (window * subpixels) ** 2)]
    pixels = torch.arange(window, device=table.device)
    points = (torch.arange(window * subpixels, device=table.device, dtype=torch.float32) + 0.5) / subpixels
    scale, angle = table[rows, 1:3].T[:, :, None]
    centers = (MARGIN + TRAVEL * table[rows, 3:].T[:, :, None]) * unit  # (2, n, 1), as are the first pixels of the windows
    first = (centers - radius).floor().clamp(0, size - window)
    columns, lines = first.long() + pixels
    right, down = first + points - centers
    cosine, sine = torch.cos(angle) / (scale * unit), torch.sin(angle) / (scale * unit)
    u = (cosine * right)[:, None, :] - (sine * down)[:, :, None]
    v = (sine * right)[:, None, :] + (cosine * down)[:, :, None]
    covered = _inside(shape, u, v).float()
    if subpixels > 1:
        covered = torch.nn.functional.avg_pool2d(covered, subpixels)
    images[rows[:, None, None], lines[:, :, None], columns[:, None, :]] = covered
    return len(rows)


def _inside(shape: int, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Whether points (u, v), v downwards, lie inside the outline of a sprite at 0, of scale 1, not turned; may overwrite both."""
    if shape == 1:
        return torch.maximum(u.abs_(), v.abs_()) < SQUARE_SIDE / 2
    if shape == 2:
        return (u / ELLIPSE_AXES[0]).square_() + (v / ELLIPSE_AXES[1]).square_() < 1
    # The heart's curve has q = sin²t = |u / width|^(2/3), and meets the vertical line at u where -v = even(q) ± odd(q).
    q = (u / HEART_WIDTH).square_().pow_(1 / 3).clamp_(max=1)
    even = HEART_RAISE + HEART_HEIGHT * (-6 + 18 * q - 8 * q * q)
    odd = HEART_HEIGHT * (1 - q).sqrt_() * (11 + 8 * q)
    return (v + even).abs_() < odd


def _checked(values: Any) -> torch.Tensor:
    table = codes("values", values, dim=len(FACTOR_NAMES), rows=1)
    unknown = ~torch.isin(table[:, 0], torch.tensor(list(SHAPES), device=table.device, dtype=table.dtype))
    if unknown.any():
        raise ValueError(f"values[:, 0], the shape, must be one of {SHAPES}, got {table[unknown, 0][0].item():g}")
    if (table[:, 1] <= 0).any():
        raise ValueError(f"values[:, 1], the scale, must be > 0, got {table[:, 1].min().item():g}")
    return table
