"""Plots of codes and images on given axes. No pyplot state and no rcParams, so that widgets may draw from any thread."""

from __future__ import annotations

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

from sculptlab.histograms import smoothed
from sculptlab.plots.style import CLASSES, CODES, OTHERS, PRIOR, TEXT, as_axes, latent_label, short, style
from sculptlab.priors import as_prior
from sculptlab.validation import as_tensor, codes, describe, finite, items, whole

Names = Mapping[Any, str] | None  # of classes, by their labels
NAME_SIZE = (0.4, 0.09)  # of the axes' width and height: the room that the name of a class needs


def marginal_density(values: Any, ax: Axes, prior: Any = None, *, limits: tuple[float, float] | None = None, **look: Any) -> Axes:
    """Draw histograms of one latent (n,), as a line, and of draws of the prior (m,), if given, as a gray area; return `ax`.

    Values of the latent outside `limits` (low, high) are counted in the outermost bins; by default the limits hold nearly all of
    the prior, or without one of the latent. `look` may set the line's `color` and `label`.
    """
    from seaborn import histplot  # a second of imports

    rows = np.asarray(values, dtype=float).ravel()
    target = None if prior is None else np.asarray(prior, dtype=float).ravel()
    low, high = limits or span(rows if target is None else target)
    options: dict[str, Any] = {"bins": np.linspace(low, high, 41), "stat": "density", "element": "step", "ax": ax}
    if target is not None:
        histplot(x=target, color=PRIOR, alpha=0.45, linewidth=0, label="prior", **options)
        ax.set_ylim(0, 2.2 * ax.dataLim.ymax)  # the high peak of an inactive latent is cut, else the prior would look flat
    look = {"color": CODES, "label": "codes", **look}
    histplot(x=np.clip(rows, low, high), fill=False, linewidth=1.8, **look, **options)
    ax.set(xlim=(low, high), xlabel="", ylabel="", yticks=[])
    return style(ax)


def density(
    z: Any, ax: Axes, prior: Any = None, labels: Any = None, *, named: Names = None, color: str = CODES, title: str | None = None
) -> Axes:
    """Draw codes in the plane, as points by class or else as a map of their density, with the prior's outlines.

    Parameters
    ----------
    z : array_like of shape (n, 2)
        Codes.
    ax : matplotlib.axes.Axes
        Where to draw; they are returned.
    prior : prior_like, optional
        Anything that `priors.as_prior` takes; drawn as the outlines that hold 50 % and 95 % of it.
    labels : array_like of shape (n,), optional
        Classes. Three of them are named and colored, all others are gray.
    named : mapping of label to str, optional
        The names of at most three classes; by default the first two and the last.
    color, title : str, optional
        Color of the density map, title of the axes.

    Returns
    -------
    matplotlib.axes.Axes
    """
    as_axes(ax)
    rows = codes("z", z, dim=2, rows=1).detach().cpu().numpy()
    target = None if prior is None else prior_sample(prior, 2)
    limits = np.array([span(column) for column in (rows if target is None else target).T])
    plane(ax, limits)
    if labels is None:
        heat_map(rows, ax, limits, color)
    else:
        points_by_class(rows, np.array(items("labels", labels)), ax, named)
    if target is not None:
        outlines(target, ax, limits)
    return style(ax, title=title)


def plane(ax: Axes, limits: np.ndarray) -> Axes:
    """Set `ax` to the plane of two latents within limits (2, 2), with whole numbers at its ticks."""
    ax.set(xlim=limits[0], ylim=limits[1])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    return ax


def heat_map(rows: np.ndarray, ax: Axes, limits: np.ndarray, color: str, bins: int = 48) -> AxesImage:
    """Draw codes (n, 2) as a map of their density, on a square-root scale; those outside the limits count at the edge."""
    clipped = np.clip(rows.T, limits[:, :1], limits[:, 1:])
    counts, *_ = np.histogram2d(clipped[0], clipped[1], bins=bins, range=limits.tolist())
    shown = np.ma.masked_equal(np.sqrt(counts.T), 0)  # empty cells are transparent
    return ax.imshow(shown, origin="lower", extent=(*limits[0], *limits[1]), cmap=shades(color), aspect="auto", vmin=0)


def matrix_map(matrix: Any, ax: Axes, title: str | None = None, labels: list[str] | None = None, **options: Any) -> Axes:
    """Draw a matrix (d, d) over pairs of latents by `seaborn.heatmap`; its diagonal and entries that are NaN are gray.

    Latents are labeled by `labels`, else by the columns of a DataFrame, else by their numbers.
    """
    from seaborn import heatmap

    labels = labels or [latent_label(name) for name in getattr(matrix, "columns", range(len(matrix)))]
    values = np.array(matrix, dtype=float)
    np.fill_diagonal(values, np.nan)
    ax.set_facecolor("#EEEEEE")
    heatmap(values, ax=ax, square=True, xticklabels=False, yticklabels=False, **options)
    shown = np.arange(0, len(values), -(-len(values) // 10))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(shown + 0.5, [labels[i] for i in shown], rotation=0)
    bar = ax.collections[0].colorbar
    if bar is not None:
        bar.ax.tick_params(labelsize=8, labelcolor=TEXT)
    return style(ax, title=title)


def image_grid(images: Any, ax: Axes, *, columns: int | None = None, title: str | None = None) -> Axes:
    """Draw images row by row.

    Parameters
    ----------
    images : array_like of shape (n, c, h, w) or (n, h, w)
        Images in [0, 1], with c = 1 or 3 channels.
    ax : matplotlib.axes.Axes
        Where to draw; they are returned.
    columns, title : int, str, optional
        Number of columns, by default about as many as rows; title of the axes.

    Returns
    -------
    matplotlib.axes.Axes
    """
    as_axes(ax)
    stack = finite("images", as_tensor("images", images).detach().cpu().double()).numpy()
    stack = stack[:, None] if stack.ndim == 3 else stack
    if stack.ndim != 4 or stack.shape[1] not in (1, 3) or not len(stack):
        raise ValueError(f"images must have shape (n, 1 or 3, h, w) or (n, h, w) with n > 0, got {stack.shape}")
    n, channels, height, width = stack.shape
    across = int(np.ceil(n**0.5)) if columns is None else whole("columns", columns)
    down, gap = -(-n // across), max(1, height // 16)
    padded = np.ones((down * across, height + gap, width + gap, channels))
    padded[:n, :height, :width] = stack.clip(0, 1).transpose(0, 2, 3, 1)
    sheet = np.concatenate(np.concatenate(padded.reshape(down, across, *padded.shape[1:]), 1), 1)[:-gap, :-gap]
    ax.imshow(sheet.squeeze(-1) if channels == 1 else sheet, cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    return style(ax, title=title)


def points_by_class(rows: np.ndarray, labels: np.ndarray, ax: Axes, named: Names = None) -> list[Artist]:
    """Draw at most 3,000 codes (n, 2): three classes in a color and a marker each, with their names, all others gray.

    named: {label: name}, at most three; by default the first two classes and the last. Returns what was drawn.
    """
    if labels.shape != (len(rows),):
        raise ValueError(f"labels must have shape ({len(rows)},), one per code, got {labels.shape}")
    classes = list(np.unique(labels))
    shown = {name: str(name) for name in classes[:2] + classes[2:][-1:]} if named is None else _named(named)
    if len(shown) > len(CLASSES):
        raise ValueError(f"named must hold at most {len(CLASSES)} classes, more are hard to distinguish, got {len(shown)}")
    kept = np.random.default_rng(0).permutation(len(rows))[:3000]
    options: dict[str, Any] = {"linewidths": 0, "rasterized": True}
    rest = rows[kept[~np.isin(labels[kept], list(shown))]]
    made: list[Artist] = [ax.scatter(rest[:, 0], rest[:, 1], s=4, color=OTHERS, alpha=0.6, **options)]
    places = []
    for (label, name), (color, marker) in zip(shown.items(), CLASSES, strict=False):
        of = rows[kept[labels[kept] == label]]
        made.append(ax.scatter(of[:, 0], of[:, 1], s=11, color=color, marker=marker, alpha=0.7, **options))
        if len(of):
            places.append((np.median(of, axis=0).astype(float), name, color))
    unit = np.array([ax.viewLim.width, ax.viewLim.height]) * NAME_SIZE
    outline = [withStroke(linewidth=3, foreground="white")]
    options = {"ha": "center", "va": "center", "fontsize": 9, "fontweight": "bold", "zorder": 5, "path_effects": outline}
    places.sort(key=lambda place: place[0][1])
    for k, (at, name, color) in enumerate(places):
        for other, *_ in places[:k]:  # a name stands just above one that would hide it
            if (np.abs(at - other) < unit).all():
                at[1] = other[1] + unit[1]
        made.append(ax.annotate(short(name), (at[0], at[1]), color=color, **options))
    return made


def _named(named: Any) -> dict[Any, str]:
    if not isinstance(named, Mapping):
        raise TypeError(f"named must be a mapping {{label: name}}, got {describe(named)}")
    return dict(named)


def outlines(target: np.ndarray, ax: Axes, limits: np.ndarray) -> None:
    """Draw the outlines that hold 50 % (solid) and 95 % (dashed) of a prior's draws (m, 2)."""
    counts, *edges = np.histogram2d(target[:, 0], target[:, 1], bins=60, range=limits.tolist())
    smooth = smoothed(counts, 2.0)
    falling = np.sort(smooth.ravel())[::-1]
    held = np.cumsum(falling) / falling.sum()
    outer, inner = (falling[np.searchsorted(held, share)] for share in (0.95, 0.5))
    styles = {outer: (1.2, "--"), inner: (0.8, "-")}
    if inner > 0.75 * falling[0]:  # a flat density has no region that holds one half of it
        del styles[inner]
    widths, dashes = zip(*styles.values(), strict=True)
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    ax.contour(*middles, smooth.T, levels=list(styles), colors=TEXT, linewidths=widths, linestyles=dashes)


def prior_sample(prior: Any, dim: int) -> np.ndarray:
    """The draws (50,000, dim) that stand for a prior in figures, the same ones each time."""
    return as_prior(prior, dim).sample(50_000, torch.Generator().manual_seed(0)).cpu().numpy()


def shades(color: str) -> LinearSegmentedColormap:
    """A color map from white to `color`."""
    return LinearSegmentedColormap.from_list("shades", ["white", color])


def span(values: np.ndarray) -> tuple[float, float]:
    """The range of nearly all values, and a fifth of it more on either side."""
    low, high = np.quantile(values, [0.002, 0.998])
    margin = 0.2 * (high - low) or 1.0
    return float(low - margin), float(high + margin)
