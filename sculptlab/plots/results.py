"""Figures of results: what `.plot()` of LPS, its curve, the independence report and the weight sweep draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sculptlab.plots.style import BAD, CODES, GOOD, PRIOR, RECONSTRUCTION, TEXT, Picture, panels, style
from sculptlab.plots.tables import line_with_spread


def lps_bars(found: Any, ax: Any = None) -> Any:
    """Each latent's raw score with its interval, and the largest score of permuted copies; on `ax`, or as a new figure."""
    figure, ax = _new_panel(ax, 3.1, max(5.0, min(9.0, 2.5 + 0.25 * len(found.raw))))
    frame, positions = found.to_frame(), np.arange(len(found.raw))
    shown = np.nan_to_num(found.raw)
    reach = np.nan_to_num([shown - frame["low"], frame["high"] - shown]).clip(0)
    ax.bar(positions, shown, yerr=reach, width=0.65, color=CODES, ecolor=TEXT, error_kw={"elinewidth": 1}, label="held out")
    if len(found.null):
        ax.scatter(positions, frame["largest_permuted"], marker="_", s=160, color=PRIOR, linewidth=2, label="largest permuted")
    for i in found.dead:
        ax.text(i, 0, "inactive", rotation=90, ha="center", va="bottom", fontsize=8, color=TEXT)
    ax.axhline(0, color=TEXT, linewidth=0.8)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True))
    ax.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    style(ax, title=found.title(), x="latent", y=found.unit)
    return figure or ax


def lps_against_codes(found: Any, ax: Any = None) -> Any:
    """Score and chance level against the number of codes; on `ax`, or as a new figure."""
    figure, ax = _new_panel(ax, 3.0, 5.0)
    ax.plot(found.frame["n"], found.frame["score"], color=CODES, marker="o", label="codes")
    if found.frame["chance"].notna().any():
        ax.plot(found.frame["n"], found.frame["chance"], color=PRIOR, marker="X", label="permuted columns")
    ax.set_xscale("log")
    ax.legend(fontsize=8, frameon=False)
    style(ax, title=found.verdict(), x="codes that the regressor learned from", y=f"LPS, {found.unit}")
    return figure or ax


def independence_strips(found: Any) -> Picture:
    """A strip for each measure, on its own scale: the value as a dot, the range of the permuted codes as a gray bar."""
    figure, axes = panels(len(found.table), 1, height=0.62)
    for ax, (name, line) in zip(axes[:, 0], found.table.iterrows(), strict=True):
        _strip(ax, str(name), line, found.null[str(name)])
    axes[-1, 0].set_xlabel(
        "dot: these codes, filled where p <= 0.05 · gray: copies with permuted columns, least to greatest · line: mean",
        fontsize=8,
        color=TEXT,
    )
    return figure


def _strip(ax: Axes, name: str, line: pd.Series, null: np.ndarray) -> None:
    """One measure: its null as a gray bar with a line at the chance level, its value as a dot, both in words on the right."""
    value, infinite = line["value"], not np.isfinite(line["value"])
    finite = [*null[np.isfinite(null)], 0.0, *([] if infinite else [value])]
    low, high = min(finite), max(finite)
    extent = (high - low) or 1.0
    if np.isfinite(null).all():
        ax.hlines(0, null.min(), null.max(), color=PRIOR, linewidth=7, alpha=0.55)
        ax.vlines(line["chance"], -0.5, 0.5, color=TEXT, linewidth=1.2)
    color, fill = (BAD, BAD) if line["p_value"] <= 0.05 else (GOOD, "white")
    at, marker = (high + 0.08 * extent, ">") if infinite else (value, "o")
    ax.plot(at, 0, marker=marker, color=color, markerfacecolor=fill, markersize=8, mew=2, zorder=3)
    words = f"infinite ({line['unit']})" if infinite else f"{value:.3g} {line['unit']}"
    ax.text(1.02, 0.5, f"{words}\np = {line['p_value']:.2g}", transform=ax.transAxes, va="center", fontsize=8, color=TEXT)
    style(ax)
    ax.set_yticks([0], [name], fontsize=9)
    ax.set(xlim=(low - 0.04 * extent, high + 0.12 * extent), ylim=(-1, 1))
    ax.locator_params(axis="x", nbins=5)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def weight_curve(found: Any) -> Picture:
    """Relative reconstruction error and LPS over the weight, means and ranges over seeds."""
    figure, ((left, right),) = panels(1, 2, height=2.8)
    rows = found.frame[found.frame["weight"] > 0]
    line_with_spread(left, rows, "weight", "relative_error", color=RECONSTRUCTION, log_x=True)
    left.axhspan(0, 1 + found.tolerance, color=PRIOR, alpha=0.2, linewidth=0)
    left.set_ylim(min(0.9, rows["relative_error"].min() - 0.02), max(1.2, rows["relative_error"].max() + 0.02))
    style(left, title="relative reconstruction error", y="error / plain autoencoder's")
    line_with_spread(right, rows, "weight", "lps", color=CODES, log_x=True)
    plain = found.means.loc[0.0, "lps"]
    right.axhline(plain, color=TEXT, linestyle="--", linewidth=1)
    right.annotate("plain", (0.01, plain), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=TEXT)
    right.set_ylim(-0.02, None)
    style(right, title="predictability of the latents", y="LPS of held-out codes")
    for ax in (left, right) if found.best is not None else ():
        ax.axvline(found.best, color=TEXT, linewidth=1, linestyle=":")
    return figure


def _new_panel(ax: Axes | None, height: float, width: float) -> tuple[Picture | None, Axes]:
    """`ax` and no figure, or the axes of a new figure and that figure."""
    if ax is not None:
        return None, ax
    figure, axes = panels(height=height, width=width)
    return figure, axes[0, 0]
