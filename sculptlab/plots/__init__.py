"""Plots of codes, priors and results: `ax` in, `ax` out; whole figures as a `Picture`."""

from sculptlab.plots.codes import (
    density,
    heat_map,
    image_grid,
    marginal,
    outlines,
    plane,
    points_by_class,
)
from sculptlab.plots.copying import copy_clouds, copy_correlations
from sculptlab.plots.figures import corner, marginals, overview, pairs, prior_picture
from sculptlab.plots.results import independence_strips, lps_against_codes, lps_bars, weight_curve
from sculptlab.plots.style import CLASSES, CODES, MEANS, PRIOR, SAMPLES, Picture, panels, style
from sculptlab.plots.tables import dots_with_range, line_with_spread

__all__ = [
    "CLASSES", "CODES", "MEANS", "PRIOR", "SAMPLES", "Picture", "copy_clouds", "copy_correlations", "corner", "density",
    "dots_with_range", "heat_map", "image_grid", "independence_strips", "line_with_spread", "lps_against_codes",
    "lps_bars", "marginal", "marginals", "outlines", "overview", "pairs", "panels", "plane", "points_by_class",
    "prior_picture", "style", "weight_curve",
]  # fmt: skip
