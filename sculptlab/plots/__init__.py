"""Plots of codes, priors and results: `ax` in, `ax` out; whole figures as a `Picture`.

The functions that are not in `__all__` draw results; their `.plot()` finds them here by name.
"""

from sculptlab.plots.codes import density, image_grid, marginal_density
from sculptlab.plots.copying import copy_correlations, copy_densities  # noqa: F401
from sculptlab.plots.figures import corner, marginals, overview, pairs, prior_picture  # noqa: F401
from sculptlab.plots.results import independence_strips, lps_against_codes, lps_bars, weight_curve  # noqa: F401
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
from sculptlab.plots.tables import dots_with_range, line_with_spread

__all__ = [
    "ACCENT", "BAD", "CLASSES", "CODES", "GOOD", "MEANS", "OTHERS", "PRIOR", "RECONSTRUCTION", "SAMPLES", "TEXT", "WIDTH",
    "Picture", "density", "dots_with_range", "image_grid", "line_with_spread", "marginal_density", "panels", "style",
]  # fmt: skip
