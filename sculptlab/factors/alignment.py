"""Alignment of single latents with single factors by the best matching."""

from collections.abc import Collection, Hashable
from itertools import permutations
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from sculptlab.validation import codes as valid_codes
from sculptlab.validation import describe, items, named_codes, only_array


def alignment(codes: Any, factors: Any, *, angles: Collection[Any] = ()) -> Any:
    """Alignment: how linearly each factor is written in a latent of its own, under the best matching.

    A factor's score is |r| with the latent that the matching gives it, each latent to one factor at most. The best matching
    has the greatest mean score. Chance is above 0, because the best of several matchings is taken.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
    angles : collection of int or of column names
        Columns of `factors`, by number or by name, that are angles in radians. Each gets a pair of latents, and the square root
        of the R^2 of (cos, sin) on the pair as its score.

    Returns
    -------
    array or Series of shape (k,)
        Scores in [0, 1]; 1 is a latent for each factor, in any order, sign and unit. A Series with the factors' names where
        `factors` is a DataFrame.

    Raises
    ------
    ValueError
        For fewer latents than the factors need, numbers of rows that differ, or angles that are not columns.

    Examples
    --------
    >>> factors = np.random.default_rng(0).uniform(size=(100, 2))
    >>> alignment(-3 * factors[:, ::-1], factors).round(2).tolist()
    [1.0, 1.0]
    """
    given, names = named_codes("factors", factors)
    z, f = (rows.detach().cpu().double().numpy() for rows in (valid_codes("codes", codes), given))
    places = {**{i: i for i in range(len(names))}, **{name: i for i, name in enumerate(names)}}
    angles = items("angles", angles)
    if unknown := [angle for angle in angles if not isinstance(angle, Hashable) or angle not in places]:
        raise ValueError(f"angles must be columns of the {f.shape[1]} factor(s), {names}, got {describe(unknown)}")
    circular = sorted({places[angle] for angle in angles})
    if len(z) != len(f):
        raise ValueError(f"factors must have the codes' {len(z)} rows, got {len(f)}")
    if z.shape[1] < f.shape[1] + len(circular):
        raise ValueError(f"codes must have at least {f.shape[1] + len(circular)} latents for these factors, got {z.shape[1]}")
    linear = [j for j in range(f.shape[1]) if j not in circular]
    a, b = z - z.mean(0), f[:, linear] - f[:, linear].mean(0)
    scale = np.linalg.norm(a, axis=0)[:, None] * np.linalg.norm(b, axis=0)
    table = np.abs(a.T @ b) / np.where(scale > 0, scale, 1)  # |r| (d, k), 0 where one of the two is constant
    best = np.full(f.shape[1], -np.inf)
    for picked in permutations(range(z.shape[1]), 2 * len(circular)):
        pairs = list(zip(picked[::2], picked[1::2], strict=True))
        if any(first > second for first, second in pairs):
            continue  # the order within a pair makes no difference
        found = np.zeros(f.shape[1])
        for j, pair in zip(circular, pairs, strict=True):
            found[j] = _circular(z[:, pair], f[:, j])
        left = [i for i in range(z.shape[1]) if i not in picked]
        rows, columns = linear_sum_assignment(-table[left])
        found[np.array(linear, dtype=int)[columns]] = table[left][rows, columns]
        best = max(best, found, key=np.mean)
    if not hasattr(only_array("factors", factors), "columns"):
        return best
    import pandas as pd

    return pd.Series(best, pd.Index(names, name="factor"))


def _circular(pair: np.ndarray, angle: np.ndarray) -> float:
    """Square root of the R^2 of (cos, sin) of an angle (n,) on a pair of latents (n, 2)."""
    wanted = np.stack([np.cos(angle), np.sin(angle)], 1)
    wanted = wanted - wanted.mean(0)
    seen = pair - pair.mean(0)
    left = wanted - seen @ np.linalg.lstsq(seen, wanted, rcond=None)[0]
    return float(np.sqrt(max(0.0, 1 - (left**2).sum() / max((wanted**2).sum(), np.finfo(float).tiny))))
