"""Plots of codes, priors and results: `ax` in, `ax` out; whole figures as a `Picture`. `results` has what `.plot()` draws."""

from sculptlab.plots.codes import density, image_grid
from sculptlab.plots.style import CLASSES, CODES, MEANS, OTHERS, PRIOR, SAMPLES, Picture, panels, style

__all__ = ["CLASSES", "CODES", "MEANS", "OTHERS", "PRIOR", "SAMPLES", "Picture", "density", "image_grid", "panels", "style"]
