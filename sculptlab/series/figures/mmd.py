"""Figures of MMD: pairs of samples, feature means, the null distribution, the witness function, bandwidths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import StrMethodFormatter

from sculptlab.mmd import MMDTestResult, mmd_test, witness
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import RBF
from sculptlab.plots.codes import image_grid
from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import ACCENT, BAD, CODES, MEANS, PRIOR, TEXT, WIDTH, Picture, style
from sculptlab.series.figures.common import Backdrop, dot_rows, grid, legend
from sculptlab.validation import choice

Pairs = Mapping[str, tuple[Any, Any]]  # name -> samples x (n, 2) and y (m, 2)

WITNESS = LinearSegmentedColormap.from_list("witness", [MEANS, "white", CODES])  # blue: more of x; orange: more of y
ON_WITNESS = ("#003B5C", "#8A5A00")  # darker blue and orange, for points on such a map
REACH = 3.2  # of a plane, for samples of about unit width


def sample_pairs(pairs: Pairs, *, kernel: Kernel | None = None, title: str | None = None) -> Picture:
    """The points of each pair of samples in a panel: x in blue, y in orange; with a kernel, over its witness function."""
    columns = min(2, len(pairs))
    figure, axes = grid(-(-len(pairs) // columns), columns, height=3.1, width=max(4.5, 3.3 * columns), title=title)
    for ax, (name, (x, y)) in zip(axes.flat, pairs.items(), strict=False):
        _plane(ax, title=name, first=ax in axes[:, 0])
        if kernel is None:
            _points(x, y, ax, colors=(CODES, MEANS), size=3.5)
        else:
            witness_map(x, y, ax, kernel)
    return figure


def feature_mean_gaps(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """The distance between the mean features of two samples, in units of the null's 95 % limit: a panel per kind of feature.

    frame: columns features, pair, ratio; a row per kind of feature, pair of samples and seed. Dots are means, lines the range;
    the gray area is what two samples of one distribution reach in 19 of 20 cases.
    """
    kinds, pairs = (list(dict.fromkeys(frame[column])) for column in ("features", "pair"))
    tables = [(frame[frame["features"] == kind], "ratio") for kind in kinds]
    figure, axes = dot_rows(tables, "pair", order=pairs, height=0.38, title=title)
    for ax, kind in zip(axes, kinds, strict=True):
        ax.axvspan(1e-3, 1, color=PRIOR, alpha=0.3, linewidth=0)
        ax.set(xscale="log", xlim=(0.02, 2 * max(1.0, frame["ratio"].max())))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        style(ax, title=kind, x="distance / the null's 95 % limit")
    return figure


def random_feature_convergence(frame: pd.DataFrame, exact: float, *, title: str | None = None) -> Picture:
    """The squared distance between mean random features, over their number, beside the biased MMD^2 of the kernel.

    frame: columns features (their number) and gap; a row per number and draw of the features.
    """
    figure, ((ax,),) = grid(1, 1, height=2.6, title=None)
    ax.axhline(exact, color=TEXT, linestyle=":", linewidth=1.5, label="biased MMD², from the kernel")
    line_with_spread(ax, frame, "features", "gap", label="random features: mean and range", log_x=True)
    ax.set_ylim(0)
    legend(ax)
    style(ax, title=title, x="number of random features", y="squared distance of their means")
    return figure


def null_histogram(null: Any, values: Mapping[str, float], *, title: str | None = None) -> Picture:
    """The null distribution of MMD^2, null (b,), as a histogram, with 0, its 95 % limit, and `values` by name as lines."""
    figure, ((ax,),) = grid(1, 1, height=2.6, title=None)
    _histogram(ax, np.asarray(null, dtype=float), CODES)
    ax.axvline(0, color=TEXT, linewidth=1)
    limit = float(np.quantile(null, 0.95))
    ax.axvline(limit, color=PRIOR, linestyle="--", linewidth=1.5, label="95 % of the null lie left of this")
    for (name, value), color in zip(values.items(), (BAD, MEANS, ACCENT, TEXT), strict=False):
        ax.axvline(value, color=color, linewidth=2.2, label=f"{name}: {value:.4f}")
    low, high = ax.get_xlim()
    ax.set_xlim(low, high + 0.5 * (high - low))  # room for the legend
    legend(ax, loc="upper right")
    ax.set_yticks([])
    style(ax, title=title, x="unbiased MMD²", y="how often")
    return figure


def p_value_shares(values: Mapping[str, Sequence[float]], *, title: str | None = None) -> Picture:
    """The share of p-values at or below each level, a line per name; a test that keeps its level follows the diagonal."""
    figure, ((ax,),) = grid(1, 1, height=3.2, width=5.5, title=None)
    ax.plot([0, 1], [0, 1], color=TEXT, linestyle=":", linewidth=1.2, label="exactly the level")
    for (name, found), color in zip(values.items(), (CODES, BAD, MEANS, ACCENT), strict=False):
        seaborn.ecdfplot(x=found, ax=ax, color=color, linewidth=1.8, label=name)
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    legend(ax, loc="lower right")
    style(ax, title=title, x="level", y="share of p-values at or below it")
    return figure


def witness_map(x: Any, y: Any, ax: Axes, kernel: Kernel, *, size: float = 2.5) -> list[Artist]:
    """The witness function of x (n, 2) against y (m, 2), in blue where there is more of x, under the points; returns both."""
    line = torch.linspace(-REACH, REACH, 97, device="cpu", dtype=torch.float32)
    values = witness(x, y, torch.cartesian_prod(line, line), kernel).reshape(97, 97).T.cpu().numpy()
    limit = np.abs(values).max() or 1.0
    image = ax.imshow(
        values, WITNESS, vmin=-limit, vmax=limit, interpolation="bilinear", origin="lower", extent=(-REACH, REACH) * 2
    )
    return [image, *_points(x, y, ax, size=size)]


def bandwidths(x: Any, y: Any, widths: Sequence[float], *, title: str | None = None, seed: int = 0) -> Picture:
    """RBFs of several widths on the same two samples: the witness function of each, and below it the test's null."""
    figure, axes = grid(2, len(widths), height=2.15, title=title)
    axes[0, 0].get_gridspec().set_height_ratios([1.5, 1])
    for (above, below), width in zip(axes.T, widths, strict=True):
        tested = mmd_test(x, y, RBF(width), seed=seed)
        witness_map(x, y, above, RBF(width), size=1.2)
        _plane(above, title=f"h = {width:g}", first=above is axes[0, 0])
        _null(below, tested)
        style(below, title=f"p = {tested.p_value:.3f}", x="MMD² / null's std")
        below.set_yticks([])
    return figure


class BandwidthPanel:
    """The figure of a slider: the witness function of a pair of samples under an RBF, and the null of its test."""

    def __init__(self, pairs: Pairs, *, seed: int = 0) -> None:
        self.pairs, self.seed = dict(pairs), seed
        figure = Picture(figsize=(WIDTH, 3.7))
        self.plane, self.null = figure.subplots(1, 2, width_ratios=[1, 1.4])
        _plane(self.plane, title="blue: more of x; orange: more of y", first=True)
        self.null.set(xlim=(-5, 30), ylim=(0, 1.3), yticks=[])
        words = "null of 200 permutations (gray), statistic (line)"
        style(self.null, title=words, x="unbiased MMD² / the null's std (cut off at 30)")
        self.null.axvline(0, color=TEXT, linewidth=0.6)
        self.backdrop = Backdrop(figure)

    def __call__(self, settings: Mapping[str, Any]) -> bytes:
        """The figure as a PNG at settings "pair" (a name) and "bandwidth" (h > 0)."""
        x, y = self.pairs[choice("pair", settings["pair"], self.pairs)]
        kernel = RBF(settings["bandwidth"])
        tested = mmd_test(x, y, kernel, seed=self.seed)
        changing = witness_map(x, y, self.plane, kernel) + _null(self.null, tested, most=29.7)
        words = f"h = {kernel.width:g}:  MMD² = {tested.statistic:.2g},  p = {tested.p_value:.3f}"
        box = {"facecolor": "white", "linewidth": 0}
        changing.append(self.null.text(1, 1.26, words, va="top", fontsize=10, color=TEXT, bbox=box))
        return self.backdrop.png(changing)


def witness_images(
    images: Any, values: Any, *, count: int = 24, title: str | None = None, names: Sequence[str] = ("x", "y")
) -> Picture:
    """The `count` images (n, c, h, w) where the witness function's `values` (n,) are highest and where they are lowest."""
    if len(values) != len(images):
        raise ValueError(f"values must be one an image, {len(images)}, got {len(values)}")
    order = np.argsort(np.asarray(values, dtype=float))
    figure, (axes,) = grid(1, 2, height=2.4, title=title)
    figure.get_layout_engine().set(wspace=0.08)  # type: ignore[union-attr,call-arg]  # the engine of every `Picture`
    for ax, chosen, name in zip(axes, (order[::-1][:count], order[:count]), names, strict=True):
        image_grid(images[chosen.copy()], ax, columns=8, title=f"most typical of {name}")
    return figure


def _null(ax: Axes, tested: MMDTestResult, most: float = np.inf) -> list[Artist]:
    """The null and the statistic, both in units of the null's standard deviation."""
    std = tested.null.std() or 1.0
    line = ax.axvline(min(tested.statistic / std, most), color=BAD, linewidth=2.2)
    return [_histogram(ax, tested.null / std, PRIOR), line]


def _histogram(ax: Axes, values: np.ndarray, color: str) -> Artist:
    heights, edges = np.histogram(values, bins=min(30, max(8, len(values) // 12)), density=True)
    return ax.stairs(heights, edges, fill=True, color=color, alpha=0.6)


def _points(x: Any, y: Any, ax: Axes, colors: tuple[str, str] = ON_WITNESS, size: float = 2.5) -> list[Artist]:
    look: dict[str, Any] = {"linestyle": "none", "markersize": size, "markeredgewidth": size / 4, "alpha": 0.55}
    below = ax.plot(*np.asarray(y).T, color=colors[1], marker="x", **look)
    return [*below, *ax.plot(*np.asarray(x).T, color=colors[0], marker=".", **look)]


def _plane(ax: Axes, *, title: str, first: bool) -> Axes:
    ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    return style(ax, title=title, x="z0", y="z1" if first else None)
