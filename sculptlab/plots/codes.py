"""Pictures of codes: functions that take and return an `ax`, and whole figures as a `Picture`.

Nothing here touches pyplot or rcParams, so that widgets may draw from any thread; labels are plain Unicode, for the
same reason.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter

from sculptlab.plots.style import (
    ACCENT,
    BAD,
    CLASSES,
    CODES,
    GOOD,
    MEANS,
    OTHERS,
    PRIOR,
    RECONSTRUCTION,
    SAMPLES,
    TEXT,
    WIDTH,
    Picture,
    panels,
    style,
)
from sculptlab.plots.tables import line_with_spread
from sculptlab.priors import as_prior
from sculptlab.validation import codes as checked

__all__ = [
    "ACCENT", "BAD", "CLASSES", "CODES", "GOOD", "MEANS", "OTHERS", "PRIOR", "RECONSTRUCTION", "SAMPLES", "TEXT", "WIDTH",
    "Picture", "density", "image_grid", "line_with_spread", "marginal", "panels", "style",
]  # fmt: skip

DRAWN = 50_000  # prior samples behind a drawn density
CEILING = 2.2  # a marginal's axis ends at so many times the prior's peak
FLAT = 0.75  # of its peak: a density still so high around half of its mass has no inner outline
POINTS = 3_000  # more only blacken a scatter plot
APART = (0.4, 0.09)  # of the width and the height of its axes: what two names of classes need to be read


def marginal(
    values: Any,
    ax: Axes,
    prior: Any = None,
    *,
    color: str = CODES,
    label: str = "codes",
    limits: tuple[float, float] | None = None,
) -> Axes:
    """The density of one dimension, values (n,), as a stepped line; the prior's samples (m,) of it as a gray area behind."""
    values = np.asarray(values, dtype=float).ravel()
    target = None if prior is None else np.asarray(prior, dtype=float).ravel()
    low, high = limits or span(values if target is None else target)
    edges = np.linspace(low, high, 41)
    if target is not None:
        expected = np.histogram(target, edges, density=True)[0]
        ax.stairs(expected, edges, fill=True, color=PRIOR, alpha=0.45, label="prior")
        ax.set_ylim(0, CEILING * expected.max())  # a dead dimension's spike would flatten the prior to nothing
    inside = np.clip(values, low, high)  # what lies outside is drawn in the last bin rather than left out
    ax.stairs(np.histogram(inside, edges, density=True)[0], edges, color=color, linewidth=1.8, label=label)
    ax.set_xlim(low, high)
    ax.set_yticks([])
    return style(ax)


def density(
    z: Any,
    ax: Axes,
    prior: Any = None,
    labels: Any = None,
    *,
    named: Mapping[Any, str] | None = None,
    color: str = CODES,
    title: str | None = None,
) -> Axes:
    """Codes (n, 2): as points by class (`points_by_class`) where `labels` (n,) are given, else as a map of their density.

    The prior, if given, is drawn as the outlines that hold 50 % and 95 % of it.
    """
    rows = checked("z", z, dim=2, rows=1).detach().cpu().numpy()
    target = None if prior is None else drawn(prior, 2)
    limits = np.array([span(column) for column in (rows if target is None else target).T])
    plane(ax, limits)
    if labels is None:
        heat_map(rows, ax, limits, color)
    else:
        points_by_class(rows, np.asarray(labels), ax, named)
    if target is not None:
        outlines(target, ax, limits)
    return style(ax, title=title)


def plane(ax: Axes, limits: np.ndarray) -> Axes:
    """Set `ax` to the plane of two latents within limits (2, 2), with whole numbers at its ticks."""
    ax.set_xlim(*limits[0])
    ax.set_ylim(*limits[1])
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return ax


def heat_map(rows: np.ndarray, ax: Axes, limits: np.ndarray, color: str, bins: int = 48) -> AxesImage:
    """Codes (n, 2) as a map of their density; those outside the limits are counted at the edge."""
    clipped = np.clip(rows.T, limits[:, :1], limits[:, 1:])
    counts, *_ = np.histogram2d(clipped[0], clipped[1], bins=bins, range=limits.tolist())
    # the square root keeps a spike (a dead dimension) from washing out all else
    shown = np.ma.masked_equal(np.sqrt(counts.T), 0)  # empty cells let what lies behind show through
    return ax.imshow(shown, origin="lower", extent=(*limits[0], *limits[1]), cmap=shades(color), aspect="auto", vmin=0)


def image_grid(images: Any, ax: Axes, *, columns: int | None = None, title: str | None = None) -> Axes:
    """Images (n, c, h, w) or (n, h, w) in [0, 1], row by row on `ax`; by default about as many columns as rows."""
    stack = np.asarray(images.detach().cpu() if isinstance(images, torch.Tensor) else images, dtype=float)
    stack = stack[:, None] if stack.ndim == 3 else stack
    if stack.ndim != 4 or stack.shape[1] not in (1, 3) or not len(stack):
        raise ValueError(f"images must have shape (n, 1 or 3, h, w) or (n, h, w) with n > 0, got {stack.shape}")
    n, channels, height, width = stack.shape
    across = columns or int(np.ceil(n**0.5))
    down, gap = -(-n // across), max(1, height // 16)
    sheet = np.ones((down * (height + gap) - gap, across * (width + gap) - gap, channels))
    for i, image in enumerate(stack):
        top, left = (i // across) * (height + gap), (i % across) * (width + gap)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    ax.imshow(np.clip(sheet, 0, 1).squeeze(-1) if channels == 1 else np.clip(sheet, 0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    return style(ax, title=title)


def points_by_class(rows: np.ndarray, labels: np.ndarray, ax: Axes, named: Mapping[Any, str] | None = None) -> list[Artist]:
    """Codes (n, 2) as points: three classes in a color and a mark each, with their name where they lie, all others gray.

    named: {label: name}, at most three; by default the first two classes and the last. Returns what was drawn.
    """
    if labels.shape != (len(rows),):
        raise ValueError(f"labels must have shape ({len(rows)},), one per code, got {labels.shape}")
    classes = list(np.unique(labels))
    shown = {name: str(name) for name in classes[:2] + classes[2:][-1:]} if named is None else dict(named)
    if len(shown) > len(CLASSES):
        raise ValueError(f"named must hold at most {len(CLASSES)} classes, which an eye can tell apart, got {len(shown)}")
    kept = np.random.default_rng(0).permutation(len(rows))[:POINTS]
    rest = kept[~np.isin(labels[kept], list(shown))]
    made: list[Artist] = [ax.scatter(rows[rest, 0], rows[rest, 1], s=4, color=OTHERS, alpha=0.6, linewidths=0, rasterized=True)]
    names = []
    for (label, name), (color, mark) in zip(shown.items(), CLASSES, strict=False):
        cloud = rows[kept[labels[kept] == label]]
        made.append(
            ax.scatter(cloud[:, 0], cloud[:, 1], s=11, color=color, marker=mark, alpha=0.7, linewidths=0, rasterized=True)
        )
        if len(cloud):
            names.append((name, np.median(cloud, axis=0), color))
    return made + _names(names, ax)


def _names(given: list[tuple[str, np.ndarray, str]], ax: Axes) -> list[Artist]:
    """Each name in its color at its place, or just above the name that would hide it."""
    unit = np.array([ax.viewLim.width, ax.viewLim.height]) * APART
    written: list[np.ndarray] = []
    made: list[Artist] = []
    for name, place, color in sorted(given, key=lambda one: one[1][1]):
        at = place.astype(float)
        for other in written:
            if (np.abs(at - other) < unit).all():
                at[1] = other[1] + unit[1]
        written.append(at)
        halo = [withStroke(linewidth=3, foreground="white")]
        made.append(ax.annotate(
            name, (at[0], at[1]), ha="center", va="center", fontsize=9, fontweight="bold", color=color,
            path_effects=halo, zorder=5,
        ))  # fmt: skip
    return made


def outlines(target: np.ndarray, ax: Axes, limits: np.ndarray) -> None:
    """The outlines that hold 50 % (solid) and 95 % (dashed) of a prior's draws (m, 2)."""
    counts, *edges = np.histogram2d(target[:, 0], target[:, 1], bins=60, range=limits.tolist())
    smooth = gaussian_filter(counts, 2.0)
    falling = np.sort(smooth.ravel())[::-1]
    held = np.cumsum(falling) / falling.sum()
    outer, inner = (falling[np.searchsorted(held, share)] for share in (0.95, 0.5))
    flat = inner > FLAT * falling[0]  # half of a flat prior lies nowhere in particular
    levels = [outer] if flat else [outer, inner]
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    ax.contour(
        *middles,
        smooth.T,
        levels=levels,
        colors=TEXT,
        linewidths=[1.2, 0.8][: len(levels)],
        linestyles=["--", "-"][: len(levels)],
    )


def drawn(prior: Any, dim: int) -> np.ndarray:
    """The draws (50,000, dim) that stand for a prior in a picture, the same ones each time."""
    return as_prior(prior, dim).sample(DRAWN, torch.Generator().manual_seed(0)).cpu().numpy()


def shades(color: str) -> LinearSegmentedColormap:
    """A color map from white to `color`."""
    return LinearSegmentedColormap.from_list("shades", ["white", color])


def span(values: np.ndarray) -> tuple[float, float]:
    """Where nearly all of the values lie, with a margin as wide as a fifth of that."""
    low, high = np.quantile(values, [0.002, 0.998])
    margin = 0.2 * (high - low) or 1.0
    return float(low - margin), float(high + margin)
