"""Do latents follow factors, one each? The best matching of the two, and whether a map of positions is folded."""

from __future__ import annotations

from collections.abc import Collection
from itertools import permutations
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from sculptlab.validation import codes as valid_codes


def alignment(codes: Any, factors: Any, *, angles: Collection[int] = ()) -> np.ndarray:
    """How linearly each factor is written in a latent of its own, (k,) in [0, 1]: 1 is an axis each, in any order or sign.

    codes (n, d) and factors (n, k). A factor's number is |r| with the latent that the best matching gives it, each latent to one
    factor at most. A factor listed in `angles` (columns, radians) has a pair of latents: the square root of the R^2 of (cos, sin)
    on them. The best matching has the greatest mean of all k; chance lies above 0, as the best of several is taken.
    Raises ValueError for fewer latents than the factors need, rows that differ in number, or a column that is not there.
    """
    z, f = (valid_codes(name, value).double().cpu().numpy() for name, value in (("codes", codes), ("factors", factors)))
    turning = sorted(set(angles))
    if turning and not 0 <= turning[0] <= turning[-1] < f.shape[1]:
        raise ValueError(f"angles must be columns of the {f.shape[1]} factor(s), got {turning}")
    if len(z) != len(f):
        raise ValueError(f"factors must have the codes' {len(z)} rows, got {len(f)}")
    if z.shape[1] < f.shape[1] + len(turning):
        raise ValueError(f"codes must have at least {f.shape[1] + len(turning)} latents for these factors, got {z.shape[1]}")
    straight = [j for j in range(f.shape[1]) if j not in turning]
    table = _correlations(z, f[:, straight])
    best = np.full(f.shape[1], -np.inf)
    for picked in permutations(range(z.shape[1]), 2 * len(turning)):
        pairs = list(zip(picked[::2], picked[1::2], strict=True))
        if any(a > b for a, b in pairs):
            continue  # a pair in the other order says the same
        found = np.zeros(f.shape[1])
        for j, pair in zip(turning, pairs, strict=True):
            found[j] = _circular(z[:, pair], f[:, j])
        left = [i for i in range(z.shape[1]) if i not in picked]
        rows, columns = linear_sum_assignment(-table[left])
        found[np.array(straight, dtype=int)[columns]] = table[left][rows, columns]
        best = max(best, found, key=np.mean)
    return best


def folded(grid: Any) -> float:
    """The share of a grid of positions whose codes lie the other way round than most: 0 without a fold, 1/2 folded in two.

    grid (h, w, 2): the code of the image at each position. A cell's two triangles count by the sign of their areas.
    Raises ValueError for another shape or values that are not finite.
    """
    places = np.asarray(grid, dtype=float)
    if places.ndim != 3 or places.shape[2] != 2 or min(places.shape[:2]) < 2 or not np.isfinite(places).all():
        raise ValueError(f"grid must be finite, of shape (h, w, 2) with h and w of at least 2, got {places.shape}")
    corner, right, down, far = places[:-1, :-1], places[:-1, 1:], places[1:, :-1], places[1:, 1:]
    signs = np.stack([_turn(corner, right, down), _turn(far, down, right)]) > 0
    return float(min(signs.mean(), 1 - signs.mean()))


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    u, v = b - a, c - a
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def _correlations(z: np.ndarray, f: np.ndarray) -> np.ndarray:
    """|r| of each latent with each factor, (d, k); 0 where one never moves."""
    a, b = (rows - rows.mean(0) for rows in (z, f))
    scale = np.linalg.norm(a, axis=0)[:, None] * np.linalg.norm(b, axis=0)[None]
    return np.abs(a.T @ b) / np.where(scale > 0, scale, 1)


def _circular(pair: np.ndarray, angle: np.ndarray) -> float:
    wanted = np.stack([np.cos(angle), np.sin(angle)], 1)
    wanted = wanted - wanted.mean(0)
    seen = pair - pair.mean(0)
    left = wanted - seen @ np.linalg.lstsq(seen, wanted, rcond=None)[0]
    return float(np.sqrt(max(0.0, 1 - (left**2).sum() / max((wanted**2).sum(), np.finfo(float).tiny))))
