"""Plots of codes, priors and results: `ax` in, `ax` out; whole figures as a `Picture`.

The functions that are not in `__all__` draw results; their `.plot()` finds them here by name.
"""

from sculptlab.plots.codes import density, image_grid
from sculptlab.plots.figures import corner, marginals, overview, pairs, prior_picture  # noqa: F401
from sculptlab.plots.results import (  # noqa: F401
    copy_correlations,
    copy_densities,
    independence_strips,
    lps_against_codes,
    lps_bars,
    weight_curve,
)
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
