"""Pictures of the alignment study: codes colored by factor, scores by prior with their spread, labels, traversals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sculptlab.plots.codes import image_grid, plane, span
from sculptlab.plots.style import ACCENT, BAD, CODES, GOOD, MEANS, PRIOR, TEXT, Picture, panels, style
from sculptlab.plots.tables import line_with_spread

SCORES = {"aligned": "linear alignment", "MIG": "MIG", "DCI disentanglement": "DCI disentanglement"}
SLANTED = np.sqrt(0.5)  # cos 45°: the alignment of an undistorted map that is turned as far as it can be
TIES = {"prior": ("tied through the prior", CODES, "o"), "distance": ("squared distance", BAD, "s"),
        "regression": ("regression, labels only", GOOD, "^")}  # fmt: skip
COLORS = (CODES, MEANS, GOOD, BAD, ACCENT, PRIOR, TEXT)
MARKS = ("o", "^", "s", "D", "v")


def codes_by_factor(
    clouds: Mapping[str, Any], factors: Any, *, names: Sequence[str] = ("x", "y"), title: str | None = None
) -> Picture:
    """Codes (n, 2) of several models, a column each, colored by each of the factors (n, k), a row each.

    Stripes that stand upright or lie flat: the factor is one latent's business; slanted: it is both's.
    """
    values = np.asarray(factors, dtype=float)
    picture, grid = panels(len(names), len(clouds), height=2.6)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for j, (words, z) in enumerate(clouds.items()):
        rows = np.asarray(z, dtype=float)
        for i, name in enumerate(names):
            ax = grid[i][j]
            plane(ax, np.array([span(column) for column in rows.T]))
            drawn = ax.scatter(rows[:, 0], rows[:, 1], c=values[:, i], s=7, cmap="viridis", linewidths=0, rasterized=True)
            style(ax, title=words if i == 0 else None, x="latent 1" if i == len(names) - 1 else None)
            if j == 0:
                style(ax, y="latent 2")
            if j == len(clouds) - 1:
                picture.colorbar(drawn, ax=ax, label=f"true {name}")
    return picture


def turned(pulls: Mapping[str, Sequence[float]], angles: Sequence[float], *, title: str | None = None) -> Picture:
    """Left, for each prior, MMD^2 of its draws, turned by each of `angles` (degrees), to itself, over the noise of a batch.

    Right the alignment of upright factors with a cloud of theirs that is turned so, max(|cos|, |sin|), at least cos 45° = 0.71.
    """
    picture, ((left, right),) = panels(1, 2, height=3.0)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    left.axhspan(-1, 1, color=PRIOR, alpha=0.25, linewidth=0, label="noise of one batch")
    for (name, pull), color, mark in zip(pulls.items(), COLORS, MARKS, strict=False):
        left.plot(angles, pull, color=color, marker=mark, markersize=4, label=name)
    turn = np.radians(np.asarray(angles, dtype=float))
    right.plot(angles, np.maximum(np.abs(np.cos(turn)), np.abs(np.sin(turn))), color=TEXT, marker="o", markersize=4)
    right.axhline(SLANTED, color=TEXT, linestyle="--", linewidth=1)
    right.annotate("cos 45° = 0.71", (max(angles), SLANTED - 0.02), ha="right", va="top", fontsize=9, color=TEXT)
    for ax in (left, right):
        ax.set_xticks([0, 45, 90])
    left.set_ylim(-1.2, 1.2)
    right.set_ylim(0, 1.03)
    left.legend(fontsize=8, frameon=False, loc="lower center", ncols=2)
    style(left, x="turn (degrees)", y="MMD² / noise of a batch", title="what MMD sees of a turn")
    style(right, x="turn (degrees)", y="linear alignment", title="what a turn does to the alignment")
    return picture


def scores_by_prior(
    frame: pd.DataFrame,
    arms: Mapping[str, str],
    *,
    scores: Mapping[str, str] = SCORES,
    flat: bool = False,
    title: str | None = None,
) -> Picture:
    """A panel for each score, a row for each arm {name in the frame: words}: each seed a dot, the mean a bar across.

    Where the frame has them, a dotted line is what the true factors score ("ideal") and a gray area what codes without any
    knowledge of them reach ("noise"). Scores lie between 0 and 1. flat: two factors and two latents, of which an undistorted map
    has an alignment of at least cos 45° = 0.71, which is marked.
    """
    picture, (axes,) = panels(1, len(scores), height=0.34 * len(arms) + 1.5)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for k, (column, words) in enumerate(scores.items()):
        ax = axes[k]
        for i, arm in enumerate(arms):
            _seeds(ax, frame[frame["condition"] == arm], column, -i, COLORS[i % len(COLORS)])
        ideal, noise = (frame.loc[frame["condition"] == name, column] for name in ("ideal", "noise"))
        if len(ideal):
            ax.axvline(ideal.mean(), color=TEXT, linestyle=":", linewidth=1)
        if len(noise):
            ax.axvspan(0, noise.mean(), color=PRIOR, alpha=0.3, linewidth=0)
        ax.set_yticks([-i for i in range(len(arms))], list(arms.values()) if k == 0 else [""] * len(arms))
        ax.set_ylim(-len(arms) + 0.4, 0.6)
        ax.set_xlim(0, 1.03)
        ax.set_xticks([0, 0.5, 1])
        style(ax, x=words)
        if flat and column == "aligned":
            ax.axvline(SLANTED, color=TEXT, linestyle="--", linewidth=1)
            ax.set_title("cos 45°", x=SLANTED / 1.03, fontsize=8, color=TEXT)
    return picture


def _seeds(ax: Axes, of: pd.DataFrame, column: str, height: float, color: str) -> None:
    ax.plot(of[column], [height] * len(of), "o", color=color, alpha=0.6, markersize=5, markeredgewidth=0)
    ax.plot([of[column].mean()] * 2, [height - 0.28, height + 0.28], color=color, linewidth=2)


def labels_lines(frame: pd.DataFrame, columns: Mapping[str, str], *, title: str | None = None) -> Picture:
    """Alignment over the number of labels, a panel for each column {name: words}, a line for each of TIES; bands: all seeds.

    The prior without labels is drawn at 0 as the start of both ties; regression has none.
    """
    picture, (axes,) = panels(1, len(columns), height=3.3)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    none = frame[frame["condition"] == "mirror"].assign(labels=0)
    for k, (column, words) in enumerate(columns.items()):
        ax = axes[k]
        for arm, (label, color, marker) in TIES.items():
            found = frame[frame["condition"] == arm]
            found = pd.concat([none, found]) if arm != "regression" else found
            spaced = found.assign(position=found["labels"].map(_spaced))
            line_with_spread(ax, spaced, "position", column, label=label if k == 0 else None, color=color, marker=marker)
        given = sorted(set(frame["labels"].dropna()) | {0})
        ax.set_xticks([_spaced(n) for n in given], [f"{n:g}" for n in given])
        ax.set_ylim(0, 1.03)
        style(ax, title=words, x="labeled images", y="alignment" if k == 0 else "")
    picture.legend(loc="outside lower center", ncols=len(TIES), fontsize=9, frameon=False)
    return picture


def _spaced(labels: float) -> float:
    return float(np.log10(1 + labels))


def traversal_rows(images: Mapping[str, Any], latents: Sequence[str], *, title: str | None = None) -> Picture:
    """Traversals (dim, steps, size, size) of several models side by side: a row of images for each latent, named on the left."""
    picture, (axes,) = panels(1, len(images), height=0.4 * len(latents) + 0.7)
    if title is not None:
        picture.suptitle(title, fontsize=12, color=TEXT)
    for k, (words, rows) in enumerate(images.items()):
        stack = np.asarray(rows, dtype=float)
        stack = stack / 255 if stack.max() > 1 else stack
        ax = axes[k]
        image_grid(stack.reshape(-1, *stack.shape[2:]), ax, columns=stack.shape[1], title=words)
        if k == 0:
            pitch = stack.shape[2] + max(1, stack.shape[2] // 16)
            for i, name in enumerate(latents):
                ax.annotate(name, (-3, (i + 0.5) * pitch), ha="right", va="center", fontsize=8, color=TEXT, annotation_clip=False)
    return picture
