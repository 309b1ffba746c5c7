"""Figures of results. Their `.plot()` finds the function here by name, also those of codes against a prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from sculptlab.evaluation.effects import MARGINS
from sculptlab.independence.dependence import correlation, distance_correlation
from sculptlab.plots.codes import density, marginal_density, matrix_map, shades
from sculptlab.plots.figures import COLORS, OTHER_COLORS, corner, marginals, most_dependent, overview, pairs, prior_picture  # noqa: F401
from sculptlab.plots.style import (
    BAD,
    CODES,
    GOOD,
    PRIOR,
    RECONSTRUCTION,
    TEXT,
    Picture,
    latent_label,
    panel,
    panels,
    short,
    style,
)

MOST_NAMES = 64  # of latents at the ticks of an axis: more would overlap
MOST_LATENTS = 16
UNITS = {"shift": "shift\n(prior stds)", "scale": "scale\n(ratio)", "shape": "shape", "c2st": "C2ST\naccuracy"}
COPIES = {"source": "source", "before": "B before, at its own scale", "copy": "B after"}  # titles by the name of the codes


def lps_bars(found: Any, ax: Axes | None = None) -> Axes | Picture:
    """Each latent's raw score with its interval, and the largest score of permuted copies; on `ax`, or as a new figure."""
    frame = found.to_frame()
    figure, ax = panel(ax, height=3.1, width=max(5.0, min(9.0, 2.5 + 0.25 * len(frame))))
    positions, shown = np.arange(len(frame)), np.nan_to_num(frame["raw"])
    reach = np.nan_to_num([shown - frame["low"], frame["high"] - shown]).clip(0)
    ax.bar(positions, shown, yerr=reach, width=0.65, color=CODES, ecolor=TEXT, error_kw={"elinewidth": 1}, label="held out")
    if len(found.null):
        ax.scatter(positions, frame["largest_permuted"], marker="_", s=160, color=PRIOR, linewidth=2, label="largest permuted")
    for i in np.flatnonzero(frame["dead"]).tolist():
        ax.text(i, 0, "inactive", rotation=90, ha="center", va="bottom", fontsize=8, color=TEXT)
    ax.axhline(0, color=TEXT, linewidth=0.8)
    if list(frame.index) == list(range(len(frame))):
        ax.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True))
    elif len(frame) <= MOST_NAMES:
        ax.set_xticks(positions, [short(name) for name in frame.index], rotation=90)
    else:
        ax.set_xticks([])
    ax.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    style(ax, title=found.title(), x="latent", y=found.unit)
    return figure or ax


def lps_against_codes(found: Any, ax: Axes | None = None) -> Axes | Picture:
    """Score and chance level against the number of codes; on `ax`, or as a new figure."""
    figure, ax = panel(ax, height=3.0, width=5.0)
    ax.plot(found.frame["n"], found.frame["score"], color=CODES, marker="o", label="codes")
    if found.frame["chance"].notna().any():
        ax.plot(found.frame["n"], found.frame["chance"], color=PRIOR, marker="X", label="permuted columns")
    ax.set_xscale("log")
    ax.set_xticks(found.frame["n"], [f"{n:,}" for n in found.frame["n"]])
    ax.minorticks_off()
    ax.legend(fontsize=8, frameon=False)
    style(ax, title=found.verdict(), x="codes that the regressor learned from", y=f"LPS, {found.unit}")
    return figure or ax


def _are_long(names: Sequence[Any]) -> bool:
    """Whether the names, side by side, would overlap under one panel."""
    return max(len(short(name)) for name in names) * len(names) > 40


def effects(found: Any) -> Picture:
    """Shift, scale and shape of each latent and the C2ST accuracy, with 95 % intervals: dots are filled where they are "far".

    The gray bands are the margins below which a difference matters little. At most 16 latents are shown, the farthest ones.
    """
    names, sets = list(found.per_dimension.loc[next(iter(found.codes))].index), list(found.codes)
    table = found.effects.reset_index(level="codes")
    of_latents = table[table["effect"].isin(("shift", "scale", "shape")) & table["where"].isin(names)]
    largest = set(of_latents["where"].drop_duplicates().iloc[:MOST_LATENTS])  # the table has the largest first
    names = [name for name in names if name in largest]
    figure = Picture(figsize=(5.0, 6.6 + (0.3 * max(len(short(name)) for name in names) if _are_long(names) else 0)))
    titles = [fill(f"{short(name)}: {found.headline(name)}", 48) for name in sets]
    figure.suptitle("\n".join(titles), fontsize=12, color=TEXT)
    chances = {"shift": 0.0, "scale": 1.0, "shape": 0.0, "c2st": 0.5}
    for ax, (kind, chance) in zip(figure.subplots(4, 1).flat, chances.items(), strict=True):
        margin = MARGINS[kind]
        low = {"scale": 1 / (1 + margin), "shape": 0.0}.get(kind, chance - margin)
        ax.axhspan(low, chance + margin, color=PRIOR, alpha=0.25, linewidth=0)
        ax.axhline(chance, color=TEXT, linewidth=0.8)
        ticks = sets if kind == "c2st" else names
        for k, name in enumerate(sets):
            rows = table[(table["codes"] == name) & (table["effect"] == kind)].set_index("where")
            rows = rows if kind == "c2st" else rows.loc[names]
            at = np.array([k]) if kind == "c2st" else np.arange(len(names)) + 0.25 * (k - (len(sets) - 1) / 2)
            color, value = COLORS.get(name) or OTHER_COLORS[k % len(OTHER_COLORS)], rows["value"]
            ax.vlines(at, rows["low"], rows["high"], color=color, linewidth=2)
            filled = [color if state == "far" else "white" for state in rows["state"]]
            ax.scatter(at, value, s=34, c=filled, edgecolors=color, linewidths=1.6, zorder=3, label=short(name))
        ax.set_xticks(range(len(ticks)), [short(name) for name in ticks], rotation=90 if _are_long(ticks) else 0)
        ax.set_xlim(-0.6, len(ticks) - 0.4)
        ax.locator_params(axis="y", nbins=4)
        style(ax, y=UNITS[kind])
        ax.tick_params(labelsize=10)
        ax.yaxis.label.set_size(11)
    few = "" if len(names) == len(found.per_dimension) // len(sets) else f": the {len(names)} farthest"
    figure.axes[2].set_xlabel(f"latent{few}", fontsize=11, color=TEXT)
    figure.axes[3].set_xlabel("filled: a difference that matters; band: margin; bars: 95 %", fontsize=10, color=TEXT)
    return figure


def independence_strips(found: Any) -> Picture:
    """A strip for each measure, on its own scale: its null as a gray bar with a line at the chance level, its value as a dot."""
    figure, axes = panels(len(found.table), 1, height=0.62)
    for ax, (name, line) in zip(axes[:, 0], found.table.iterrows(), strict=True):
        null, value, infinite = found.null[name], line["value"], not np.isfinite(line["value"])
        finite = [*null[np.isfinite(null)], 0.0, *([] if infinite else [value])]
        low, high = min(finite), max(finite)
        extent = (high - low) or 1.0
        if np.isfinite(null).all():
            ax.hlines(0, null.min(), null.max(), color=PRIOR, linewidth=7, alpha=0.55)
            ax.vlines(line["chance"], -0.5, 0.5, color=TEXT, linewidth=1.2)
        color, fill = (BAD, BAD) if line["p_value"] <= 0.05 else (GOOD if found.enough_permutations else TEXT, "white")
        at, marker = (high + 0.08 * extent, ">") if infinite else (value, "o")
        ax.plot(at, 0, marker=marker, color=color, markerfacecolor=fill, markersize=8, mew=2, zorder=3)
        words = f"infinite ({line['unit']})" if infinite else f"{value:.3g} {line['unit']}"
        ax.text(1.02, 0.5, f"{words}\np = {line['p_value']:.2g}", transform=ax.transAxes, va="center", fontsize=8, color=TEXT)
        ax.set_yticks([0], [name], fontsize=9)
        ax.set(xlim=(low - 0.04 * extent, high + 0.12 * extent), ylim=(-1, 1))
        ax.locator_params(axis="x", nbins=5)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    filled = "filled where p <= 0.05" if found.enough_permutations else "undecided: p <= 0.05 needs 19 permutations"
    words = f"dot: these codes, {filled} · gray: copies with permuted columns, least to greatest · line: mean"
    axes[-1, 0].set_xlabel(words, fontsize=8, color=TEXT)
    return figure


def line_with_spread(
    ax: Axes, frame: pd.DataFrame, x: str, y: str, hue: str | None = None, *, styles: Any = None, log_x: bool = False, **look: Any
) -> Axes:
    """Draw the mean of the column y over x as a line, with a band from the least to the greatest value; return `ax`.

    `frame` has a row for each measurement, for instance for each x and seed. With `hue`, another column, there is a line for each
    of its values that `styles` names: {value: (color, marker)}. `look` are options of the one line where there is no `hue`.
    """
    lines = [(frame, {"color": CODES, "marker": "o", **look})]
    if hue is not None:
        looks = {name: {"color": color, "marker": marker, "label": name} for name, (color, marker) in styles.items()}
        lines = [(frame[frame[hue] == name], options) for name, options in looks.items() if (frame[hue] == name).any()]
    for rows, options in lines:
        seaborn.lineplot(
            rows, x=x, y=y, ax=ax, legend=False, errorbar=("pi", 100), err_kws={"linewidth": 0}, markersize=4,
            markeredgewidth=0, linewidth=1.6, **options,
        )  # fmt: skip
    if log_x:
        ax.set_xscale("log")
        ax.set_xticks(sorted(frame[x].unique()), minor=False)
        ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return style(ax, x=x, y=y)


def weight_curve(found: Any) -> Picture:
    """Relative reconstruction error and LPS over the weight, means and ranges over seeds."""
    figure, ((left, right),) = panels(1, 2, height=2.8)
    rows = found.frame[found.frame["weight"] > 0]
    line_with_spread(left, rows, "weight", "relative_error", color=RECONSTRUCTION, log_x=True)
    left.axhspan(0, 1 + found.tolerance, color=PRIOR, alpha=0.2, linewidth=0)
    left.set_ylim(min(0.9, rows["relative_error"].min() - 0.02), max(1.2, rows["relative_error"].max() + 0.02))
    style(left, title="relative reconstruction error", y="error / plain autoencoder's")
    line_with_spread(right, rows, "weight", "lps", log_x=True)
    plain = found.means.loc[0.0, "lps"]
    right.axhline(plain, color=TEXT, linestyle="--", linewidth=1)
    right.annotate("plain", (0.01, plain), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=TEXT)
    right.set_ylim(-0.02, None)
    style(right, title="predictability of the latents", y="LPS of held-out codes")
    for ax in (left, right) if found.best is not None else ():
        ax.axvline(found.best, color=TEXT, linewidth=1, linestyle=":")
    return figure


def copy_densities(codes: Mapping[str, Any]) -> Picture:
    """Densities of the two latents that depend most on each other in the source, for the codes source, before and copy.

    The source's outlines (50 % and 95 %) are drawn over the copy.
    """
    names = getattr(codes["source"], "columns", None)
    codes = {name: np.asarray(z) for name, z in codes.items()}
    source = codes["source"]
    labels = [latent_label(name) for name in (range(source.shape[1]) if names is None else names)]
    pair = most_dependent(distance_correlation(source)) if source.shape[1] > 1 else (0,)
    figure, (axes,) = panels(1, 3, height=3.0)
    for ax, (name, title) in zip(axes, COPIES.items(), strict=True):
        shown, target = codes[name][:, pair], source[:, pair] if name == "copy" else None
        if len(pair) == 1:
            marginal_density(shown, ax, target)
        else:
            density(shown, ax, target, color=PRIOR if name == "source" else CODES)
        style(ax, title=title, x=labels[pair[0]], y=labels[pair[1]] if name == "source" and len(pair) > 1 else None)
    return figure


def copy_correlations(codes: Mapping[str, Any]) -> Picture:
    """Pearson's correlations (top) and distance correlations (bottom) of the codes source, before and copy."""
    if codes["source"].shape[1] < 2:
        raise ValueError("correlations needs codes of at least 2 latents, got 1")
    figure, axes = panels(2, 3, height=2.6, width=8.0)
    scales: tuple[tuple[Any, dict[str, Any]], ...] = (
        (correlation, {"cmap": "RdBu_r", "vmin": -1, "cbar_kws": {"label": "correlation"}}),
        (distance_correlation, {"cmap": shades(BAD), "vmin": 0, "cbar_kws": {"label": "distance correlation"}}),
    )
    for row, (measure, options) in zip(axes, scales, strict=True):
        for ax, (name, title) in zip(row, COPIES.items(), strict=True):
            matrix_map(measure(codes[name]), ax, title, vmax=1, cbar=name == "copy", **options)
    return figure
