"""Whole figures of codes against a prior: marginals, pairs, corner and overview, each a `Picture`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from scipy.stats import ks_2samp

from sculptlab.plots.codes import density, drawn, heat_map, marginal, plane, shades, span
from sculptlab.plots.style import ACCENT, BAD, CODES, MEANS, PRIOR, RECONSTRUCTION, SAMPLES, TEXT, WIDTH, Picture, panels, style
from sculptlab.priors import as_prior
from sculptlab.validation import codes as checked

Part = Figure | SubFigure
PRIOR_BINS = 96  # to an axis, of a prior alone: 50,000 draws leave few holes in it
MOST_DIMENSIONS = 8  # a corner plot of more cannot be read


def marginals(z: Any, prior: Any) -> Picture:
    """One panel per dimension of z (n, d), or of each set in a mapping, against the prior.

    Of more than eight dimensions, the eight furthest from the prior.
    """
    sets, target = _sets(z, prior)
    shown = _furthest(sets, target)
    picture = Picture(figsize=(WIDTH, 0.6 + 1.7 * -(-len(shown) // 4)))
    _marginals(picture, sets, target, shown)
    return picture


def pairs(z: Any, prior: Any, chosen: Sequence[tuple[int, int]] | None = None) -> Picture:
    """Densities of pairs of dimensions, a row for each named set of codes; `chosen` (first four drawn), else neighbors."""
    sets, target = _sets(z, prior)
    dim = target.shape[1]
    if dim < 2:
        raise ValueError("pairs needs codes of at least 2 dimensions, got 1; draw marginals")
    shown = list(chosen or [(i, i + 1) for i in range(dim - 1)])[:4]
    picture = Picture(figsize=(WIDTH, 2.7 * len(sets)))
    for part, (name, rows) in zip(_rows(picture, len(sets)), sets.items(), strict=True):
        for ax, (i, j) in zip(part.subplots(1, max(3, len(shown)), squeeze=False).flat, shown, strict=False):
            density(rows[:, [i, j]], ax, target[:, [i, j]], color=_color(name, sets), title=f"{name}: z{i}, z{j}")
            style(ax, x=f"z{i}", y=f"z{j}")
        _clear(part)
    return picture


def corner(z: Any, prior: Any) -> Picture:
    """Every marginal and every pair of z (n, d), or of each set in a mapping; of more than eight dimensions, the eight
    furthest from the prior.

    The prior is the gray area behind a marginal and the outlines (50 % and 95 % of it) over a pair.
    """
    sets, target = _sets(z, prior)
    shown = _furthest(sets, target)
    size = max(4.0, 1.1 * len(shown) + 0.6)
    beside = len(sets) > 1 and len(shown) <= 3
    picture = Picture(figsize=(WIDTH if beside or len(shown) > 4 else 6.5, size if beside else size * len(sets)))
    parts = picture.subfigures(1, len(sets), squeeze=False).flat if beside else _rows(picture, len(sets))
    for part, (name, rows) in zip(parts, sets.items(), strict=True):
        _corner(part, name, rows, target, shown, _color(name, sets))
    return picture


def overview(z: Any, prior: Any, dependence: Mapping[str, Any] | None = None) -> Picture:
    """Marginals on top; below, for each set of codes, a map of `dependence` (name -> (d, d)) and its most dependent pair."""
    sets, target = _sets(z, prior)
    shown = _furthest(sets, target)
    top = 0.6 + 1.7 * -(-len(shown) // 4)
    if target.shape[1] == 1 or not dependence:
        return marginals(z, prior)
    picture = Picture(figsize=(WIDTH, top + 3.1 * -(-len(sets) // 2)))
    upper, lower = _rows(picture, 2, [top, 3.1 * -(-len(sets) // 2)])
    _marginals(upper, sets, target, shown)
    axes = lower.subplots(-(-len(sets) // 2), 4, squeeze=False)
    for (name, rows), (left, right) in zip(sets.items(), axes.reshape(-1, 2), strict=False):
        matrix = np.asarray(dependence[name], dtype=float)
        i, j = most_dependent(matrix, 1)[0]
        _heat(matrix, left, f"{name}: dependence")
        density(rows[:, [i, j]], right, target[:, [i, j]], color=_color(name, sets), title=f"{name}: z{i}, z{j}")
        style(right, x=f"z{i}", y=f"z{j}")
    _clear(lower)
    return picture


def prior_picture(prior: Any, ax: Axes | None = None) -> Axes | Picture:
    """A prior by itself: on `ax` (its first two dimensions), which is returned, or as a new picture."""
    prior = as_prior(prior)
    rows = drawn(prior, prior.dim)
    if ax is None and prior.dim > 2:
        return corner({"prior": rows}, prior)
    picture = None
    if ax is None:
        picture, axes = panels(width=4.2, height=3.6)
        ax = axes[0, 0]
    if prior.dim == 1:
        marginal(rows, ax, color=PRIOR, label="prior")
        style(ax, x="z0")
    else:
        _alone(rows[:, :2], ax)
    return ax if picture is None else picture


def _alone(rows: np.ndarray, ax: Axes) -> None:
    """A prior's draws (n, 2) as a fine map with one unit for both axes: letters stay readable and circles round."""
    limits = np.array([span(column) for column in rows.T])
    heat_map(rows, plane(ax, limits), limits, PRIOR, bins=PRIOR_BINS)
    ax.set_aspect("equal")
    style(ax, x="z0", y="z1")


def most_dependent(matrix: np.ndarray, count: int) -> list[tuple[int, int]]:
    """The `count` pairs (i < j) of largest entries of a symmetric (d, d) matrix; those that are NaN come last."""
    first, second = np.triu_indices(len(matrix), 1)
    order = np.argsort(-np.nan_to_num(matrix[first, second], nan=-np.inf), kind="stable")[:count]
    return [(int(first[k]), int(second[k])) for k in order]


def _marginals(part: Part, sets: dict[str, np.ndarray], target: np.ndarray, shown: list[int]) -> None:
    columns = min(4, max(2, len(shown)))
    axes = part.subplots(-(-len(shown) // columns), columns, squeeze=False)
    for ax, i in zip(axes.flat, shown, strict=False):
        for name, rows in sets.items():
            behind = target[:, i] if not ax.patches else None
            marginal(rows[:, i], ax, behind, color=_color(name, sets), label=name, limits=span(target[:, i]))
        style(ax, x=f"z{i}")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    part.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=9, frameon=False)
    _note_hidden(part, target.shape[1], shown)
    _clear(part)


def _corner(part: Part, name: str, rows: np.ndarray, target: np.ndarray, shown: list[int], color: str) -> None:
    axes = part.subplots(len(shown), len(shown), squeeze=False)
    for (i, j), ax in np.ndenumerate(axes):
        first, second = shown[j], shown[i]
        if i == j:
            marginal(rows[:, first], ax, target[:, first], color=color, label=name)
        elif j < i:
            density(rows[:, [first, second]], ax, target[:, [first, second]], color=color)
        style(ax, x=f"z{first}" if i == len(shown) - 1 else None, y=f"z{second}" if j == 0 and i else None)
        if i < len(shown) - 1:
            ax.tick_params(labelbottom=False)
        if j > 0:
            ax.tick_params(labelleft=False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    part.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=9, frameon=False)
    _note_hidden(part, target.shape[1], shown)
    _clear(part)


def _note_hidden(part: Part, dim: int, shown: list[int]) -> None:
    if len(shown) < dim:
        note = f"the {len(shown)} of {dim} dimensions furthest from the prior"
        part.supxlabel(note, fontsize=9, color=TEXT)


def _heat(matrix: np.ndarray, ax: Axes, title: str) -> None:
    """Distance correlations as a map; a dead dimension's are NaN and stay hatched."""
    off_diagonal = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)
    ax.set_facecolor("#EEEEEE")
    image = ax.imshow(off_diagonal, cmap=shades(BAD), vmin=0, vmax=max(0.1, np.nanmax(np.nan_to_num(off_diagonal))))
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.7, pad=0.03)
    bar.ax.tick_params(labelsize=8, labelcolor=TEXT)
    bar.outline.set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(min(10, len(matrix)), integer=True))
        axis.set_major_formatter(StrMethodFormatter("z{x:.0f}"))
    style(ax, title=title)


def _sets(z: Any, prior: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The named codes and samples of the prior, all (_, d)."""
    given = dict(z) if isinstance(z, Mapping) else {"codes": z}
    if not given:
        raise ValueError("z must hold at least one set of codes, got an empty mapping")
    sets: dict[str, np.ndarray] = {}
    for name, rows in given.items():
        dim = next(iter(sets.values())).shape[1] if sets else None
        sets[str(name)] = checked(f"z[{name!r}]", rows, dim=dim).detach().cpu().numpy()
    return sets, drawn(prior, next(iter(sets.values())).shape[1])


def _furthest(sets: dict[str, np.ndarray], target: np.ndarray) -> list[int]:
    """All dimensions, or the eight whose marginals lie furthest from the prior (Kolmogorov-Smirnov), in order."""
    dim = target.shape[1]
    if dim <= MOST_DIMENSIONS:
        return list(range(dim))
    gaps = [max(ks_2samp(rows[:, i], target[:, i], method="asymp").statistic for rows in sets.values()) for i in range(dim)]
    return sorted(np.argsort(gaps)[-MOST_DIMENSIONS:].tolist())


def _color(name: str, sets: dict[str, np.ndarray]) -> str:
    named = {"means": MEANS, "samples": SAMPLES, "codes": CODES, "prior": PRIOR}
    return named.get(name) or (CODES, MEANS, RECONSTRUCTION, BAD, ACCENT)[list(sets).index(name) % 5]


def _rows(picture: Picture, count: int, heights: list[float] | None = None) -> list[Part]:
    return list(picture.subfigures(count, 1, squeeze=False, height_ratios=heights).flat)


def _clear(part: Part) -> None:
    """Takes away the panels nothing was drawn in."""
    for ax in part.axes:
        if not ax.has_data() and ax.get_label() != "<colorbar>":
            ax.remove()
