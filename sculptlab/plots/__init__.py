"""Plots of codes, priors and results: `ax` in, `ax` out; whole figures as a `Picture`. `results` has what `.plot()` draws."""

from sculptlab.plots.codes import density, image_grid
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
)  # fmt: skip

__all__ = [
    "ACCENT", "BAD", "CLASSES", "CODES", "GOOD", "MEANS", "OTHERS", "PRIOR", "RECONSTRUCTION", "SAMPLES", "TEXT", "WIDTH",
    "Picture", "density", "image_grid", "panels", "style",
]  # fmt: skip
