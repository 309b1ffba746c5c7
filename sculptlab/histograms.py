"""Smooth counts on a grid, for pictures of a density."""

import numpy as np


def smoothed(counts: np.ndarray, deviation: float) -> np.ndarray:
    """A matrix under a Gaussian filter of this standard deviation in cells, cut at four of them and mirrored at the edges.

    It is scipy.ndimage's gaussian_filter, whose import takes as long as a hundred of these.
    """
    radius = int(4 * deviation + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    for axis in (0, 1):
        padded = np.pad(counts, [(radius, radius) if i == axis else (0, 0) for i in (0, 1)], mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis)
        counts = windows @ (weights / weights.sum())
    return counts
