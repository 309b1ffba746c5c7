"""The figure of page 05's sliders: a prior, the codes that should follow it, and what the decoder draws over the plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sculptlab.plots.codes import heat_map, image_grid, outlines, plane, points_by_class, prior_sample
from sculptlab.plots.style import PRIOR, TEXT, Picture, style
from sculptlab.series.figures.common import grid
from sculptlab.series.results import Recorded
from sculptlab.series.studies.evaluators import off_support
from sculptlab.series.studies.prior_gallery import ring_with_hand
from sculptlab.series.studies.priors import EDGE, SIDE

FAINT = 0.25  # contrast of decoded images where the prior has no mass


class HandPanel:
    """The figure of two sliders: a recorded `ring_with_hand`, the held-out codes by class, and images decoded on a grid.

    named: {label: name} of the classes in color, at most three.
    """

    def __init__(self, recorded: Recorded, named: Mapping[Any, str] | None = None) -> None:
        self.recorded, self.named = recorded, named
        self.rows = recorded.frame.set_index("prior")

    def __call__(self, settings: Mapping[str, float]) -> Picture:
        """The figure at recorded settings "share" and "turn" (degrees), with scores and chance levels as its title."""
        share, turn = settings["share"], settings["turn"]
        key = f"{share:g}|{turn:g}"
        prior, row = ring_with_hand(share, np.deg2rad(turn)), self.rows.loc[key]
        figure, (axes,) = grid(1, 3, height=3.9, title=None)
        figure.suptitle(
            f"C2ST accuracy {row['c2st']:.0%} (chance {row['chance_c2st']:.0%}), off-support mass {row['off_support']:.1%} "
            f"(chance {row['chance_off_support']:.1%}), relative reconstruction error {row['relative_error']:.2f}",
            x=0.01, ha="left", fontsize=11, color=TEXT,
        )  # fmt: skip
        limits = np.array([[-EDGE, EDGE]] * 2)
        heat_map(prior_sample(prior, 2), plane(axes[0], limits), limits, PRIOR, bins=96)
        outlines(prior_sample(prior, 2), plane(axes[1], limits), limits)
        codes, labels = self.recorded.arrays[f"{key}|codes"].astype(float), self.recorded.arrays["labels"]
        points_by_class(codes, labels, axes[1], self.named)
        for ax, words in zip(axes, ("the prior", "held-out codes, by class"), strict=False):
            ax.set_aspect("equal")
            style(ax, title=words, x="z0", y="z1")
        images = self.recorded.arrays[f"{key}|grid"] / 255
        at = np.linspace(-EDGE, EDGE, SIDE)
        outside = off_support(np.stack([np.tile(at, SIDE), np.repeat(at[::-1], SIDE)], 1), prior).numpy()
        faint = np.where(outside[:, None, None], 1 - FAINT * (1 - images), images)
        image_grid(faint, axes[2], columns=SIDE, title=f"decoded from {-EDGE:g} to {EDGE:g}")
        return figure
