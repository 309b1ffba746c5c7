"""Figures of codes against a prior: marginals, pairs, corner and overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from sculptlab.plots.codes import density, heat_map, marginal_density, matrix_map, plane, prior_sample, shades, span
from sculptlab.plots.style import ACCENT, BAD, CODES, MEANS, PRIOR, RECONSTRUCTION, SAMPLES, TEXT, WIDTH, Picture, panels, style
from sculptlab.priors import as_prior
from sculptlab.validation import codes as valid_codes

Part = Figure | SubFigure
Sets = dict[str, np.ndarray]  # codes (n, d) by name
MOST_DIMENSIONS = 8  # a corner plot of more cannot be read


def marginals(z: Any, prior: Any) -> Picture:
    """One panel per latent of codes (n, d), or of each set in a mapping, over the prior; at most the eight farthest from it."""
    sets, target = _sets(z, prior)
    shown = _farthest(sets, target)
    figure = Picture(figsize=(WIDTH, _marginals_height(shown)))
    _marginals(figure, sets, target, shown)
    return figure


def pairs(z: Any, prior: Any, chosen: Sequence[tuple[int, int]] | None = None) -> Picture:
    """Densities of at most four `chosen` pairs of latents (by default neighbors), a row for each set of codes."""
    sets, target = _sets(z, prior)
    if target.shape[1] < 2:
        raise ValueError("pairs needs codes of at least 2 dimensions, got 1; draw marginals")
    shown = list(chosen or [(i, i + 1) for i in range(target.shape[1] - 1)])[:4]
    figure = Picture(figsize=(WIDTH, 2.7 * len(sets)))
    for part, (name, rows) in zip(_stacked(figure, len(sets)), sets.items(), strict=True):
        for k, pair in enumerate(shown):
            _pair(part.add_subplot(1, max(3, len(shown)), k + 1), name, rows, target, pair, _color(name, sets))
    return figure


def corner(z: Any, prior: Any) -> Picture:
    """Every marginal and every pair of codes (n, d), or of each set in a mapping; at most the eight latents farthest away.

    The prior is the gray area behind a marginal and the outlines (50 % and 95 % of it) over a pair.
    """
    sets, target = _sets(z, prior)
    shown = _farthest(sets, target)
    size = max(4.0, 1.1 * len(shown) + 0.6)
    beside = len(sets) > 1 and len(shown) <= 3
    figure = Picture(figsize=(WIDTH if beside or len(shown) > 4 else 6.5, size if beside else size * len(sets)))
    parts = figure.subfigures(1, len(sets), squeeze=False).flat if beside else _stacked(figure, len(sets))
    for part, (name, rows) in zip(parts, sets.items(), strict=True):
        _corner(part, name, rows, target, shown, _color(name, sets))
    return figure


def overview(z: Any, prior: Any, dependence: Mapping[str, Any] | None = None) -> Picture:
    """Marginals on top; below, for each set of codes, a map of `dependence` (name -> (d, d)) and its most dependent pair."""
    sets, target = _sets(z, prior)
    if target.shape[1] == 1 or not dependence:
        return marginals(z, prior)
    shown = _farthest(sets, target)
    heights = [_marginals_height(shown), 3.1 * -(-len(sets) // 2)]
    figure = Picture(figsize=(WIDTH, sum(heights)))
    upper, lower = _stacked(figure, 2, heights)
    for k, (name, rows) in enumerate(sets.items()):
        matrix = np.asarray(dependence[name], dtype=float)
        left, right = (lower.add_subplot(-(-len(sets) // 2), 4, 2 * k + side) for side in (1, 2))
        largest = max(0.1, np.nanmax(np.nan_to_num(matrix * (1 - np.eye(len(matrix))))))
        matrix_map(matrix, left, f"{name}: dependence", cmap=shades(BAD), vmin=0, vmax=largest, cbar_kws={"shrink": 0.7})
        _pair(right, name, rows, target, most_dependent(matrix, 1)[0], _color(name, sets))
    _marginals(upper, sets, target, shown)  # last: seaborn draws the figure so far with each heat map
    return figure


def prior_picture(prior: Any, ax: Axes | None = None) -> Axes | Picture:
    """A prior by itself: on `ax` (its first two dimensions), which is returned, or as a new figure."""
    prior = as_prior(prior)
    rows = prior_sample(prior, prior.dim)
    if ax is None and prior.dim > 2:
        return corner({"prior": rows}, prior)
    figure, axes = panels(width=4.2, height=3.6) if ax is None else (None, np.array([[ax]]))
    ax = axes[0, 0]
    if prior.dim == 1:
        style(marginal_density(rows, ax, color=PRIOR, label="prior"), x="z0")
    else:
        limits = np.array([span(column) for column in rows[:, :2].T])
        heat_map(rows[:, :2], plane(ax, limits), limits, PRIOR, bins=96)
        ax.set_aspect("equal")
        style(ax, x="z0", y="z1")
    return figure or ax


def most_dependent(matrix: np.ndarray, count: int) -> list[tuple[int, int]]:
    """The `count` pairs (i < j) of largest entries of a symmetric (d, d) matrix; those that are NaN come last."""
    first, second = np.triu_indices(len(matrix), 1)
    order = np.argsort(-np.nan_to_num(matrix[first, second], nan=-np.inf), kind="stable")[:count]
    return [(int(first[k]), int(second[k])) for k in order]


def _marginals_height(shown: list[int]) -> float:
    return 0.6 + 1.7 * -(-len(shown) // 4)


def _marginals(part: Part, sets: Sets, target: np.ndarray, shown: list[int]) -> None:
    columns = min(4, max(2, len(shown)))
    for k, i in enumerate(shown):
        ax = part.add_subplot(-(-len(shown) // columns), columns, k + 1)
        for name, rows in sets.items():
            behind = target[:, i] if name == next(iter(sets)) else None
            marginal_density(rows[:, i], ax, behind, color=_color(name, sets), label=name, limits=span(target[:, i]))
        style(ax, x=f"z{i}")
    _legend(part, "outside upper center", target.shape[1], shown)


def _corner(part: Part, name: str, rows: np.ndarray, target: np.ndarray, shown: list[int], color: str) -> None:
    for k, i in enumerate(shown):
        for m, j in enumerate(shown[: k + 1]):
            ax = part.add_subplot(len(shown), len(shown), k * len(shown) + m + 1)
            if i == j:
                marginal_density(rows[:, i], ax, target[:, i], color=color, label=name)
            else:
                density(rows[:, [j, i]], ax, target[:, [j, i]], color=color)
            style(ax, x=f"z{j}" if i == shown[-1] else None, y=f"z{i}" if m == 0 and k else None)
            ax.tick_params(labelbottom=i == shown[-1], labelleft=m == 0)
    _legend(part, "outside upper right", target.shape[1], shown)


def _pair(ax: Axes, name: str, rows: np.ndarray, target: np.ndarray, pair: tuple[int, int], color: str) -> None:
    i, j = pair
    density(rows[:, [i, j]], ax, target[:, [i, j]], color=color, title=f"{name}: z{i}, z{j}")
    style(ax, x=f"z{i}", y=f"z{j}")


def _legend(part: Part, place: Any, dim: int, shown: list[int]) -> None:
    """A legend of the marginals, and a note which latents are shown if not all are."""
    handles, labels = part.axes[0].get_legend_handles_labels()
    part.legend(handles, labels, loc=place, ncols=len(labels), fontsize=9, frameon=False)
    if len(shown) < dim:
        part.supxlabel(f"the {len(shown)} of {dim} dimensions farthest from the prior", fontsize=9, color=TEXT)


def _sets(z: Any, prior: Any) -> tuple[Sets, np.ndarray]:
    """The named codes and samples of the prior, all (_, d)."""
    given = dict(z) if isinstance(z, Mapping) else {"codes": z}
    if not given:
        raise ValueError("z must hold at least one set of codes, got an empty mapping")
    sets: Sets = {}
    for name, rows in given.items():
        dim = next(iter(sets.values())).shape[1] if sets else None
        sets[str(name)] = valid_codes(f"z[{name!r}]", rows, dim=dim).detach().cpu().numpy()
    return sets, prior_sample(prior, next(iter(sets.values())).shape[1])


def _farthest(sets: Sets, target: np.ndarray) -> list[int]:
    """All dimensions, or the eight whose marginals lie farthest from the prior (Kolmogorov-Smirnov), in order."""
    from scipy.stats import ks_2samp

    dim = target.shape[1]
    if dim <= MOST_DIMENSIONS:
        return list(range(dim))
    gaps = [max(ks_2samp(rows[:, i], target[:, i], method="asymp").statistic for rows in sets.values()) for i in range(dim)]
    return sorted(np.argsort(gaps)[-MOST_DIMENSIONS:].tolist())


def _color(name: str, sets: Sets) -> str:
    named = {"means": MEANS, "samples": SAMPLES, "codes": CODES, "prior": PRIOR}
    return named.get(name) or (CODES, MEANS, RECONSTRUCTION, BAD, ACCENT)[list(sets).index(name) % 5]


def _stacked(figure: Picture, count: int, heights: list[float] | None = None) -> list[SubFigure]:
    return list(figure.subfigures(count, 1, squeeze=False, height_ratios=heights).flat)
