"""Pictures of MMD: feature means, the null band, the witness function, bandwidths, images that tell two bags apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import StrMethodFormatter

from sculptlab.mmd import MMDTestResult, mmd_test, witness
from sculptlab.mmd.kernel_base import Kernel
from sculptlab.mmd.kernels import RBF
from sculptlab.plots.codes import image_grid
from sculptlab.plots.style import ACCENT, BAD, CODES, MEANS, PRIOR, TEXT, WIDTH, Picture, panels, style
from sculptlab.plots.tables import line_with_spread
from sculptlab.series.figures.backdrop import Backdrop
from sculptlab.validation import choice

MORE = LinearSegmentedColormap.from_list("more", [MEANS, "white", CODES])  # orange: more of y; blue: more of x
DARK = ("#003B5C", "#8A5A00")  # of points on such a map
GRID = 97  # points of a witness map along each axis
REACH = 3.2  # of the drawn plane, for clouds of about unit width


def scatters(bags: Mapping[str, tuple[Any, Any]], *, title: str | None = None) -> Picture:
    """The points of each named pair of bags (x, y), all (n, 2): x in blue, y in orange."""
    picture, axes = _row(bags, title, height=2.9)
    for ax, (x, y) in zip(axes, bags.values(), strict=True):
        _points(x, y, ax, colors=(CODES, MEANS), size=3.5)
    return picture


def gaps(frame: pd.DataFrame, *, title: str | None = None) -> Picture:
    """How far the mean features of two bags are apart, in units of what equal bags reach: a panel for each kind of feature.

    frame: columns features, bags, ratio; a row per kind of feature, two bags and seed; 1 is the largest of 19 out of 20
    distances between bags of one distribution. Dots are means, lines run from the least to the greatest.
    """
    kinds, bags = (list(dict.fromkeys(frame[column])) for column in ("features", "bags"))
    picture, axes = panels(1, len(kinds), height=2.4)
    _head(picture, title)
    for ax, kind in zip(axes[0], kinds, strict=True):
        ratios = frame[frame["features"] == kind].groupby("bags")["relative_error"].agg(["mean", "min", "max"]).reindex(bags)
        ax.axvspan(1e-3, 1, color=PRIOR, alpha=0.3, linewidth=0)
        places = np.arange(len(bags))[::-1]
        ax.hlines(places, ratios["min"], ratios["max"], color=CODES, linewidth=1.5)
        for place, mean in zip(places, ratios["mean"], strict=True):
            ax.plot(mean, place, marker="o", markersize=7, color=CODES if mean > 1 else "white", markeredgecolor=CODES)
        ax.set(
            xscale="log", xlim=(0.02, 2 * max(1.0, frame["relative_error"].max())), ylim=(-0.6, len(bags) - 0.4), yticks=places
        )
        ax.set_yticklabels(bags if ax is axes[0, 0] else [])
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        style(ax, title=kind, x="gap / the null's 95 % limit")
    return picture


def towards_kernel(frame: pd.DataFrame, exact: float, *, title: str | None = None) -> Picture:
    """The squared gap of the means of ever more random features, against the biased MMD^2 that needs none.

    frame: columns features (their number) and gap; a row per number and draw of the features.
    """
    picture, axes = panels(height=2.6)
    ax = axes[0, 0]
    ax.axhline(exact, color=TEXT, linestyle=":", linewidth=1.5, label="biased MMD², from the kernel")
    line_with_spread(ax, frame, "features", "gap", label="random features: mean and range", color=CODES, log_x=True)
    ax.set_ylim(0)
    ax.legend(fontsize=8, frameon=False)
    style(ax, title=title, x="number of random features", y="squared gap of their means")
    return picture


def null_band(null: Any, values: Mapping[str, float], *, title: str | None = None, limit: bool = True) -> Picture:
    """What MMD^2 is when nothing differs, null (b,), as a histogram, with 0, its 95 % limit, and `values` by name as lines."""
    picture, axes = panels(height=2.6)
    ax = axes[0, 0]
    _histogram(ax, np.asarray(null, dtype=float), CODES)
    ax.axvline(0, color=TEXT, linewidth=1)
    if limit:
        ax.axvline(
            float(np.quantile(null, 0.95)), color=PRIOR, linestyle="--", linewidth=1.5, label="95 % of the null lie left of this"
        )
    for (name, value), color in zip(values.items(), (BAD, MEANS, ACCENT, TEXT), strict=False):
        ax.axvline(value, color=color, linewidth=2.2, label=f"{name}: {value:.4f}")
    low, high = ax.get_xlim()
    ax.set_xlim(low, high + 0.5 * (high - low))  # room for the legend
    ax.legend(fontsize=8, frameon=False, loc="upper right")
    ax.set_yticks([])
    style(ax, title=title, x="unbiased MMD²", y="how often")
    return picture


def p_values(values: Mapping[str, Sequence[float]], *, title: str | None = None) -> Picture:
    """The share of p-values at or below each level, a line per name; a test that keeps its level follows the diagonal."""
    picture, axes = panels(height=3.2, width=5.5)
    ax = axes[0, 0]
    ax.plot([0, 1], [0, 1], color=TEXT, linestyle=":", linewidth=1.2, label="exactly the level")
    for (name, found), color in zip(values.items(), (CODES, BAD, MEANS, ACCENT), strict=False):
        ordered = np.sort(np.asarray(found, dtype=float))
        ax.step(np.r_[0, ordered, 1], np.r_[0, np.arange(1, len(ordered) + 1), len(ordered)] / len(ordered), where="post",
                color=color, linewidth=1.8, label=name)  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    style(ax, title=title, x="level", y="share of p-values at or below it")
    return picture


def witness_map(
    x: Any, y: Any, ax: Axes, kernel: Kernel | None = None, *, reach: float = REACH, size: float = 2.5
) -> list[Artist]:
    """The witness function of x (n, 2) against y (m, 2) as colors, blue where there is more of x, under the points.

    The colors are scaled to the largest absolute value. Returns what was drawn.
    """
    line = torch.linspace(-reach, reach, GRID)
    places = torch.cartesian_prod(line, line)
    heights = witness(x, y, places, kernel).reshape(GRID, GRID).T.cpu().numpy()
    most = np.abs(heights).max() or 1.0
    drawn = ax.imshow(
        heights, origin="lower", extent=(-reach, reach, -reach, reach), cmap=MORE, vmin=-most, vmax=most, interpolation="bilinear"
    )
    return [drawn, *_points(x, y, ax, size=size)]


def witnesses(bags: Mapping[str, tuple[Any, Any]], kernel: Kernel | None = None, *, title: str | None = None) -> Picture:
    """A witness map for each named pair of bags (x, y), all (n, 2)."""
    picture, axes = _row(bags, title, height=2.9)
    for ax, (x, y) in zip(axes, bags.values(), strict=True):
        witness_map(x, y, ax, kernel)
    return picture


def bandwidths(x: Any, y: Any, widths: Sequence[float], *, title: str | None = None, seed: int = 0) -> Picture:
    """RBFs of several `widths` on the same two bags (n, 2): the witness function of each, and below it the test's null."""
    picture = Picture(figsize=(WIDTH, 4.3))
    axes = picture.subplots(2, len(widths), height_ratios=[1.5, 1], squeeze=False)
    _head(picture, title)
    for (above, below), width in zip(axes.T, widths, strict=True):
        tested = mmd_test(x, y, RBF(width), seed=seed)
        witness_map(x, y, above, RBF(width), size=1.2)
        _plane(above, title=f"h = {width:g}")
        _tested(below, tested)
        style(below, title=f"p = {tested.p_value:.3f}", x="MMD² / null's std")
        below.set_yticks([])
    axes[0, 0].set_ylabel("z1", fontsize=9, color=TEXT)
    return picture


class BandwidthPanel:
    """The slider's picture: the witness function of a named pair of bags under an RBF of some width, and its test's null."""

    def __init__(self, bags: Mapping[str, tuple[Any, Any]], *, seed: int = 0) -> None:
        self.bags, self.seed = dict(bags), seed
        picture = Picture(figsize=(WIDTH, 3.7))
        self.plane, self.null = picture.subplots(1, 2, width_ratios=[1, 1.4])
        _plane(self.plane, title="blue: more of x; orange: more of y", y="z1")
        self.null.set(xlim=(-5, 30), ylim=(0, 1.3), yticks=[])
        style(
            self.null,
            title="null of 200 permutations (gray), the statistic (line)",
            x="unbiased MMD² / the null's std (cut off at 30)",
        )
        self.null.axvline(0, color=TEXT, linewidth=0.6)
        self.backdrop = Backdrop(picture)

    def __call__(self, settings: Mapping[str, Any]) -> bytes:
        """The picture as a PNG at settings "bags" (a name) and "bandwidth" (h > 0)."""
        x, y = self.bags[choice("bags", settings["bags"], self.bags)]
        kernel = RBF(settings["bandwidth"])
        tested = mmd_test(x, y, kernel, seed=self.seed)
        drawn = witness_map(x, y, self.plane, kernel) + _tested(self.null, tested, most=29.7)
        words = f"h = {kernel.width:g}:  MMD² = {tested.statistic:.2g},  p = {tested.p_value:.3f}"
        drawn.append(
            self.null.text(1, 1.26, words, va="top", fontsize=10, color=TEXT, bbox={"facecolor": "white", "linewidth": 0})
        )
        return self.backdrop.png(drawn)


def telling_images(
    images: Any, values: Any, *, count: int = 24, title: str | None = None, sides: Sequence[str] = ("x", "y")
) -> Picture:
    """The `count` images (n, c, h, w) where the witness function's `values` (n,) are highest and where they are lowest."""
    values = np.asarray(values, dtype=float)
    if len(values) != len(images):
        raise ValueError(f"values must be one an image, {len(images)}, got {len(values)}")
    order = np.argsort(values)
    picture = Picture(figsize=(WIDTH, 2.4))
    axes = picture.subplots(1, 2, gridspec_kw={"wspace": 0.08})
    _head(picture, title)
    for ax, chosen, side in zip(axes, (order[::-1][:count], order[:count]), sides, strict=True):
        image_grid(images[chosen.copy()], ax, columns=8, title=f"most typical of {side}")
    return picture


def _tested(ax: Axes, tested: MMDTestResult, most: float = np.inf) -> list[Artist]:
    """The null and the statistic, both in units of the null's standard deviation."""
    spread = tested.null.std() or 1.0
    made = _histogram(ax, tested.null / spread, PRIOR)
    return [*made, ax.axvline(min(tested.statistic / spread, most), color=BAD, linewidth=2.2)]


def _histogram(ax: Axes, values: np.ndarray, color: str) -> list[Artist]:
    heights, edges = np.histogram(values, bins=min(30, max(8, len(values) // 12)), density=True)
    return [ax.stairs(heights, edges, fill=True, color=color, alpha=0.6)]


def _points(x: Any, y: Any, ax: Axes, colors: tuple[str, str] = DARK, size: float = 2.5) -> list[Artist]:
    made: list[Artist] = []
    for rows, color, marker in ((y, colors[1], "x"), (x, colors[0], ".")):
        look: dict[str, Any] = {"marker": marker, "markersize": size, "markeredgewidth": size / 4, "color": color, "alpha": 0.55}
        made += ax.plot(*np.asarray(rows).T, linestyle="none", **look)
    return made


def _row(bags: Mapping[str, Any], title: str | None, height: float) -> tuple[Picture, list[Axes]]:
    """A picture with a plane for each name."""
    picture, axes = panels(1, len(bags), height=height)
    _head(picture, title)
    for ax, name in zip(axes[0], bags, strict=True):
        _plane(ax, title=name, y="z1" if ax is axes[0, 0] else None)
    return picture, list(axes[0])


def _plane(ax: Axes, *, title: str | None = None, y: str | None = None) -> Axes:
    ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    return style(ax, title=title, x="z0", y=y)


def _head(picture: Picture, title: str | None) -> None:
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
