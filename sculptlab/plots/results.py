"""Plots of results: what `.plot()` of LPS, its curve, the independence report and the weight sweep draws."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sculptlab.plots.codes import line_with_spread
from sculptlab.plots.style import BAD, CODES, GOOD, PRIOR, RECONSTRUCTION, TEXT, Picture, panels, style


def lps_bars(found: Any, ax: Any = None) -> Any:
    """Each dimension's raw value, its interval, and the reach of permuted copies; on `ax`, or as a new picture."""
    picture: Picture | None = None
    if ax is None:
        picture, axes = panels(height=3.1, width=max(5.0, min(9.0, 2.5 + 0.25 * len(found.raw))))
        ax = axes[0, 0]
    frame, positions = found.to_frame(), np.arange(len(found.raw))
    shown = np.nan_to_num(found.raw)
    ax.bar(positions, shown, width=0.65, color=CODES, label="held out")
    reach = np.nan_to_num([shown - frame["low"], frame["high"] - shown]).clip(0)
    ax.errorbar(positions, shown, reach, fmt="none", ecolor=TEXT, elinewidth=1)
    if len(found.null):
        ax.scatter(positions, frame["largest_permuted"], marker="_", s=160, color=PRIOR, linewidth=2, label="largest permuted")
    for i in np.flatnonzero(np.isnan(found.raw)):
        ax.text(i, 0, "inactive", rotation=90, ha="center", va="bottom", fontsize=8, color=TEXT)
    ax.axhline(0, color=TEXT, linewidth=0.8)
    if found.names == list(range(len(found.raw))):
        ax.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True))
    else:
        ax.set_xticks(positions, found.names, rotation=90)
    ax.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    style(ax, title=found.title(), x="latent", y=found.unit)
    return ax if picture is None else picture


def lps_against_codes(found: Any, ax: Any = None) -> Any:
    """Score and floor against the number of codes; on `ax`, or as a new picture."""
    picture: Picture | None = None
    if ax is None:
        picture, axes = panels(height=3.0, width=5.0)
        ax = axes[0, 0]
    ax.plot(found.frame["n"], found.frame["score"], color=CODES, marker="o", label="codes")
    if found.frame["chance"].notna().any():
        ax.plot(found.frame["n"], found.frame["chance"], color=PRIOR, marker="X", label="columns permuted apart")
    ax.set_xscale("log")
    ax.legend(fontsize=8, frameon=False)
    style(ax, title=found.verdict(), x="codes that the regressor learned from", y=f"LPS, {found.unit}")
    return ax if picture is None else picture


def independence_strips(found: Any) -> Picture:
    """A strip for each measure, on its own scale: the value as a dot, the range of the permuted codes as a gray bar."""
    picture, axes = panels(len(found.table), 1, height=0.62)
    for ax, (name, line) in zip(axes[:, 0], found.table.iterrows(), strict=True):
        _strip(ax, str(name), line, found.null[str(name)])
    axes[-1, 0].set_xlabel(
        "dot: these codes, filled where p <= 0.05 · gray: copies with permuted columns, least to greatest · line: mean",
        fontsize=8,
        color=TEXT,
    )
    return picture


def _strip(ax: Any, name: str, line: pd.Series, null: np.ndarray) -> None:
    """One measure: its null as a gray bar with a mark at the floor, its value as a dot, both in words on the right."""
    value = line["value"]
    finite = [*null[np.isfinite(null)], 0.0, *([value] if np.isfinite(value) else [])]
    low, high = min(finite), max(finite)
    reach = (high - low) or 1.0
    seen = line["p_value"] <= 0.05
    if np.isfinite(null).all():
        ax.hlines(0, null.min(), null.max(), color=PRIOR, linewidth=7, alpha=0.55)
        ax.vlines(line["chance"], -0.5, 0.5, color=TEXT, linewidth=1.2)
    at = value if np.isfinite(value) else high + 0.08 * reach
    color = BAD if seen else GOOD
    shape = "o" if np.isfinite(value) else ">"
    ax.plot(at, 0, marker=shape, color=color, markerfacecolor=color if seen else "white", markersize=8, mew=2, zorder=3)
    words = f"{value:.3g} {line['unit']}" if np.isfinite(value) else f"infinite ({line['unit']})"
    ax.text(1.02, 0.5, f"{words}\np = {line['p_value']:.2g}", transform=ax.transAxes, va="center", fontsize=8, color=TEXT)
    style(ax)
    ax.set_yticks([0], [name], fontsize=9)
    ax.set_ylim(-1, 1)
    ax.set_xlim(low - 0.04 * reach, high + 0.12 * reach)
    ax.locator_params(axis="x", nbins=5)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def weight_curve(found: Any) -> Picture:
    """Two panels over the weight: the price (ratio of reconstruction errors) and the gain (LPS), means and ranges."""
    picture, (axes,) = panels(1, 2, height=2.8)
    rows = found.frame[found.frame["weight"] > 0]
    plain = found.means.loc[0.0]
    line_with_spread(axes[0], rows, "weight", "relative_error", color=RECONSTRUCTION, log_x=True)
    axes[0].axhspan(0, 1 + found.tolerance, color=PRIOR, alpha=0.2, linewidth=0)
    axes[0].set_ylim(min(0.9, rows["relative_error"].min() - 0.02), max(1.2, rows["relative_error"].max() + 0.02))
    style(axes[0], title="the price", x="weight", y="error / plain autoencoder's")
    line_with_spread(axes[1], rows, "weight", "lps", color=CODES, log_x=True)
    axes[1].axhline(plain["lps"], color=TEXT, linestyle="--", linewidth=1)
    axes[1].annotate("plain", (0.01, plain["lps"]), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=TEXT)
    axes[1].set_ylim(-0.02, None)
    style(axes[1], title="the gain", x="weight", y="LPS of held-out codes")
    _mark(axes, found.best)
    return picture


def _mark(axes: Iterable[Axes], best: float | None) -> None:
    if best is None:
        return
    for ax in axes:
        ax.axvline(best, color=TEXT, linewidth=1, linestyle=":")
