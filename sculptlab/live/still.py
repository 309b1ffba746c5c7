"""The Sculptor as a figure, for pages without a kernel: codes over their target, the decoded plane, and MMD² so far."""

import numpy as np

from sculptlab.live.engine import Engine
from sculptlab.live.snapshots import TILES, code_extent
from sculptlab.plots.codes import density
from sculptlab.plots.style import BAD, CODES, PRIOR, Picture, panels, style


def sculptor_figure(engine: Engine) -> Picture:
    """One row of panels for each model: codes by class over the prior's outlines, decoded plane, MMD² with its null band."""
    snapshots, box, band = engine.take_snapshots(with_lps=False), engine.target.box, engine.target.null_band
    figure, axes = panels(len(snapshots), 3, height=3.0)
    history = engine.history
    later = history[history["step"] >= history["step"].max() / 5]  # the steep fall of the first steps would flatten the rest
    for (left, middle, right), (name, snapshot) in zip(axes, snapshots.items(), strict=True):
        finite, labels = np.isfinite(snapshot.codes).all(1), engine.images.labels
        codes = snapshot.codes[finite]  # none of a model that diverged may be
        if len(codes):
            density(codes, left, engine.target.prior, None if labels is None else labels.numpy()[finite])
            extent = 1.1 * code_extent(codes)
            if extent > max(left.get_xlim()[1], left.get_ylim()[1]):
                left.set(xlim=(-extent, extent), ylim=(-extent, extent))
        left.set_aspect("equal")
        style(left, title=f"{name.upper()}, step {engine.step:,}: codes, target", x="latent 0", y="latent 1")
        middle.imshow(
            snapshot.tiles.squeeze(), extent=(-box, box, -box, box), cmap="gray", vmin=0, vmax=255, interpolation="nearest"
        )
        for edge in np.linspace(-box, box, TILES + 1)[1:-1]:
            middle.axhline(edge, color="white", linewidth=1)
            middle.axvline(edge, color="white", linewidth=1)
        style(middle, title="Decoded plane", x="latent 0", y="latent 1")
        right.plot(history["step"], history[f"{name} mmd2"], color=BAD if name == "kl" else CODES, linewidth=1.6)
        right.axhspan(-band, band, color=PRIOR, alpha=0.4, linewidth=0)
        values = later.filter(like="mmd2").to_numpy().ravel()
        values = values[np.isfinite(values)]
        right.set_ylim(min(-2 * band, values.min(initial=0)), 1.1 * max(2 * band, values.max(initial=0)))
        style(right, title="MMD² (gray: chance level)", x="step", y="MMD²")
    return figure
