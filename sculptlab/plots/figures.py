"""Figures of codes against a prior: marginals, pairs, corner and overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy.stats import ks_2samp

from sculptlab.plots.codes import density, heat_map, marginal_density, matrix_map, plane, prior_sample, shades, span
from sculptlab.plots.style import (
    ACCENT,
    BAD,
    CODES,
    MEANS,
    PRIOR,
    RECONSTRUCTION,
    SAMPLES,
    TEXT,
    WIDTH,
    Picture,
    latent_label,
    panel,
    short,
    style,
)
from sculptlab.priors import as_prior
from sculptlab.validation import named_codes

Part = Figure | SubFigure
Sets = list[tuple[str, np.ndarray, str, list[str]]]  # the name of each set, its codes (n, d), its color, its latents' labels
COLORS = {"means": MEANS, "samples": SAMPLES, "codes": CODES, "prior": PRIOR}
OTHER_COLORS = (CODES, MEANS, RECONSTRUCTION, BAD, ACCENT)
MOST_DIMENSIONS = 8  # a corner plot of more cannot be read


def marginals(z: Any, prior: Any, part: Part | None = None) -> Part:
    """One panel per latent of codes (n, d), or of each set in a mapping, over the prior; at most the eight farthest from it.

    They are drawn on `part` of a figure, or as a new figure.
    """
    sets, target, shown = _sets(z, prior)
    part = part or Picture(figsize=(WIDTH, _marginals_height(target.shape[1])))
    columns = min(4, max(2, len(shown)))
    for k, i in enumerate(shown):
        ax = part.add_subplot(-(-len(shown) // columns), columns, k + 1)
        for m, (name, rows, color, _) in enumerate(sets):
            behind = None if m else target[:, i]
            marginal_density(rows[:, i], ax, behind, color=color, label=name, limits=span(target[:, i]))
        style(ax, x=sets[0][3][i])
    _legend(part, "outside upper center", target.shape[1], shown)
    return part


def pairs(z: Any, prior: Any, chosen: Sequence[tuple[int, int]] | None = None) -> Picture:
    """Densities of at most four `chosen` pairs of latents (by default neighbors), a row for each set of codes."""
    sets, target, _ = _sets(z, prior)
    if target.shape[1] < 2:
        raise ValueError("pairs needs codes of at least 2 dimensions, got 1; draw marginals")
    shown = list(chosen or [(i, i + 1) for i in range(target.shape[1] - 1)])[:4]
    figure = Picture(figsize=(WIDTH, 2.7 * len(sets)))
    for part, one in zip(figure.subfigures(len(sets), 1, squeeze=False).flat, sets, strict=True):
        for k, pair in enumerate(shown):
            _pair(part.add_subplot(1, max(3, len(shown)), k + 1), one, target, pair)
    return figure


def corner(z: Any, prior: Any) -> Picture:
    """Every marginal and every pair of codes (n, d), or of each set in a mapping; at most the eight latents farthest away.

    The prior is the gray area behind a marginal and the outlines (50 % and 95 % of it) over a pair.
    """
    sets, target, shown = _sets(z, prior)
    size = max(4.0, 1.1 * len(shown) + 0.6)
    beside = len(sets) > 1 and len(shown) <= 3
    figure = Picture(figsize=(WIDTH if beside or len(shown) > 4 else 6.5, size if beside else size * len(sets)))
    parts = figure.subfigures(*((1, len(sets)) if beside else (len(sets), 1)), squeeze=False).flat
    for part, (name, rows, color, labels) in zip(parts, sets, strict=True):
        for k, i in enumerate(shown):
            for m, j in enumerate(shown[: k + 1]):
                ax = part.add_subplot(len(shown), len(shown), k * len(shown) + m + 1)
                if i == j:
                    marginal_density(rows[:, i], ax, target[:, i], color=color, label=name)
                else:
                    density(rows[:, [j, i]], ax, target[:, [j, i]], color=color)
                style(ax, x=labels[j] if i == shown[-1] else None, y=fill(labels[i], 14) if m == 0 and k else None)
                ax.tick_params(labelbottom=i == shown[-1], labelleft=m == 0)
        _legend(part, "outside upper right", target.shape[1], shown)
    return figure


def overview(z: Any, prior: Any, dependence: Mapping[str, Any] | None = None) -> Part:
    """Marginals on top; below, for each set of codes, a map of `dependence` (name -> (d, d)) and its most dependent pair."""
    sets, target, _ = _sets(z, prior)
    given = list(z) if isinstance(z, Mapping) else ["codes"]
    if target.shape[1] == 1 or not dependence:
        return marginals(z, prior)
    down = -(-len(sets) // 2)
    heights = [_marginals_height(target.shape[1]), 3.1 * down]
    figure = Picture(figsize=(WIDTH, sum(heights)))
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights).flat
    matrices = [np.asarray(dependence[name], dtype=float) for name in given]
    largest = max(0.1, *(np.nanmax(np.nan_to_num(matrix * (1 - np.eye(len(matrix))))) for matrix in matrices))
    options = {"cmap": shades(BAD), "vmin": 0, "vmax": largest, "cbar_kws": {"shrink": 0.7}}  # one scale for all sets
    for k, (one, matrix) in enumerate(zip(sets, matrices, strict=True)):
        left, right = (lower.add_subplot(down, 4, 2 * k + side) for side in (1, 2))
        matrix_map(matrix, left, f"{one[0]}: dependence", one[3], **options)
        _pair(right, one, target, most_dependent(matrix))
    marginals(z, prior, upper)  # last: seaborn draws the figure so far with each heat map
    return figure


def prior_picture(prior: Any, ax: Axes | None = None) -> Axes | Picture:
    """A prior by itself: on `ax` (its first two dimensions), which is returned, or as a new figure."""
    prior = as_prior(prior)
    rows = prior_sample(prior, prior.dim)
    if ax is None and prior.dim > 2:
        return corner({"prior": rows}, prior)
    figure, ax = panel(ax, height=3.6, width=4.2)
    if prior.dim == 1:
        style(marginal_density(rows, ax, color=PRIOR, label="prior"), x="z0")
    else:
        limits = np.array([span(column) for column in rows[:, :2].T])
        heat_map(rows[:, :2], plane(ax, limits), limits, PRIOR, bins=96)
        ax.set_aspect("equal")
        style(ax, x="z0", y="z1")
    return figure or ax


def most_dependent(matrix: np.ndarray) -> tuple[int, int]:
    """The pair (i < j) of the largest entry of a symmetric (d, d) matrix; those that are NaN come last."""
    first, second = np.triu_indices(len(matrix), 1)
    k = np.argmax(np.nan_to_num(matrix[first, second], nan=-np.inf))
    return int(first[k]), int(second[k])


def _marginals_height(dim: int) -> float:
    return 0.6 + 1.7 * -(-min(dim, MOST_DIMENSIONS) // 4)


def _pair(ax: Axes, one: tuple[str, np.ndarray, str, list[str]], target: np.ndarray, pair: tuple[int, int]) -> None:
    (name, rows, color, labels), (i, j) = one, pair
    first, second = labels[i], labels[j]
    style(density(rows[:, pair], ax, target[:, pair], color=color), title=f"{name}: {first}, {second}", x=first, y=second)
    ax.set_box_aspect(1)


def _legend(part: Part, place: Any, dim: int, shown: list[int]) -> None:
    """A legend of the marginals, and a note which latents are shown if not all are."""
    handles, labels = part.axes[0].get_legend_handles_labels()
    part.legend(handles, labels, loc=place, ncols=len(labels), fontsize=9, frameon=False)
    if len(shown) < dim:
        part.supxlabel(f"the {len(shown)} of {dim} dimensions farthest from the prior", fontsize=9, color=TEXT)


def _sets(z: Any, prior: Any) -> tuple[Sets, np.ndarray, list[int]]:
    """The sets of codes, samples of the prior (m, d), and the at most eight latents farthest from it (Kolmogorov-Smirnov)."""
    given = dict(z) if isinstance(z, Mapping) else {"codes": z}
    if not given:
        raise ValueError("z must hold at least one set of codes, got an empty mapping")
    sets: Sets = []
    for k, (name, rows) in enumerate(given.items()):
        checked, latents = named_codes(f"z[{name!r}]", rows, dim=sets[0][1].shape[1] if sets else None)
        color = COLORS.get(name) or OTHER_COLORS[k % len(OTHER_COLORS)]
        sets.append((short(name), checked.detach().cpu().numpy(), color, [latent_label(latent) for latent in latents]))
    dim = sets[0][1].shape[1]
    target, shown = prior_sample(prior, dim), list(range(dim))
    if dim > MOST_DIMENSIONS:
        gaps = [max(ks_2samp(rows[:, i], target[:, i], method="asymp").statistic for _, rows, *_ in sets) for i in range(dim)]
        shown = sorted(np.argsort(gaps)[-MOST_DIMENSIONS:].tolist())
    return sets, target, shown
