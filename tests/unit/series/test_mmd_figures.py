"""The figures of page 03: what is drawn is what was measured."""

import numpy as np
import pandas as pd
import pytest

from sculptlab.mmd import mmd_test, witness
from sculptlab.mmd.kernels import RBF
from sculptlab.plots.style import Picture, panels
from sculptlab.series.figures import mmd as mmd_figures

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 2)) + np.array([1, 0]), RNG.normal(size=(40, 2))
PNG = b"\x89PNG\r\n\x1a\n"


def test_gaps_are_means_over_seeds_beside_the_null():
    rows = [("a", "the same", 0, 0.2), ("a", "the same", 1, 0.6), ("a", "other", 0, 3.0), ("a", "other", 1, 5.0)]
    picture = mmd_figures.feature_mean_gaps(pd.DataFrame(rows, columns=["features", "pair", "seed", "ratio"]), title="t")
    ax = picture.axes[0]
    means, *ranges = ax.lines
    assert list(means.get_xdata()) == pytest.approx([0.4, 4.0])
    assert [list(line.get_xdata()) for line in ranges] == [pytest.approx([0.2, 0.6]), pytest.approx([3.0, 5.0])]
    null = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert null.x1 == pytest.approx(1)  # the null reaches to 1
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["the same", "other"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # from the top down
    assert picture.get_suptitle() == "t"


def test_towards_the_kernel_the_line_is_the_exact_value():
    frame = pd.DataFrame({"features": [4, 4, 16], "gap": [0.1, 0.3, 0.21]})
    ax = mmd_figures.random_feature_convergence(frame, 0.25, title="t").axes[0]
    assert set(ax.lines[0].get_ydata()) == {0.25}
    assert ax.lines[1].get_ydata() == pytest.approx([0.2, 0.21])


def test_the_null_band_shows_every_value_and_the_limit():
    null = np.linspace(-1, 1, 101)
    ax = mmd_figures.null_histogram(null, {"mine": 2.0}, title="t").axes[0]
    places = {line.get_label(): line.get_xdata()[0] for line in ax.lines}
    assert places["mine: 2.0000"] == 2.0
    assert places["95 % of the null lie left of this"] == pytest.approx(0.9)
    assert 0 in places.values()
    values, edges, _ = ax.patches[0].get_data()
    assert (values * np.diff(edges)).sum() == pytest.approx(1)


def test_p_values_are_drawn_as_their_shares():
    ax = mmd_figures.p_value_shares({"a": [0.5, 0.25, 1.0, 0.25]}).axes[0]
    x, y = ax.lines[1].get_data()
    assert list(zip(x, y, strict=True))[1:] == [(0.25, 0.25), (0.25, 0.5), (0.5, 0.75), (1, 1)]


def test_the_map_is_the_witness_function():
    _, axes = panels()
    image, *points = mmd_figures.witness_map(X, Y, axes[0, 0], RBF(0.8))
    heights = image.get_array()
    ends = mmd_figures.REACH * np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    assert [heights[0, 0], heights[0, -1], heights[-1, 0]] == pytest.approx(witness(X, Y, ends, RBF(0.8)), abs=1e-6)
    assert image.norm.vmax == -image.norm.vmin == pytest.approx(np.abs(heights).max())
    assert np.allclose(points[1].get_xydata(), X)
    assert np.allclose(points[0].get_xydata(), Y)


def test_pairs_of_samples_have_a_panel_each():
    pairs = {"one": (X, Y), "two": (Y, X)}
    for picture in (mmd_figures.sample_pairs(pairs, title="t"), mmd_figures.sample_pairs(pairs, kernel=RBF(1.0), title="t")):
        assert isinstance(picture, Picture)
        assert [ax.get_title() for ax in picture.axes] == ["one", "two"]
        assert picture.get_suptitle() == "t"


def test_bandwidths_show_the_test_of_each():
    picture = mmd_figures.bandwidths(X, Y, [0.2, 2.0], title="t", seed=3)
    above, below = picture.axes[:2], picture.axes[2:]
    assert [ax.get_title() for ax in above] == ["h = 0.2", "h = 2"]
    for ax, width in zip(below, (0.2, 2.0), strict=True):
        tested = mmd_test(X, Y, RBF(width), seed=3)
        assert ax.get_title() == f"p = {tested.p_value:.3f}"
        assert ax.lines[0].get_xdata()[0] == pytest.approx(tested.statistic / tested.null.std())


def test_the_sliders_figure_depends_on_its_settings_alone():
    draw = mmd_figures.BandwidthPanel({"far": (X + 3, Y), "near": (X, Y)})
    first, other, again = (draw({"pair": name, "bandwidth": h}) for name, h in (("near", 0.5), ("far", 2.0), ("near", 0.5)))
    assert first.startswith(PNG)
    assert first == again != other
    assert len(draw.plane.images) == len(draw.plane.lines) == 0  # nothing is left behind
    with pytest.raises(ValueError, match=r"pair must be one of \['far', 'near'\]"):
        draw({"pair": "nearer", "bandwidth": 0.5})
    with pytest.raises(ValueError, match="bandwidth must be > 0"):
        draw({"pair": "near", "bandwidth": 0.0})


def test_witness_images_are_those_of_the_ends():
    images = np.linspace(0, 1, 20)[:, None, None] * np.ones((20, 2, 2))
    values = np.arange(20.0)
    picture = mmd_figures.witness_images(images, values, count=3, names=("light", "dark"))
    left, right = (ax.images[0].get_array() for ax in picture.axes)
    assert [left[0, 0], right[0, 0]] == pytest.approx([1, 0])
    assert picture.axes[0].get_title() == "most typical of light"
    with pytest.raises(ValueError, match="one an image, 20, got 3"):
        mmd_figures.witness_images(images, values[:3])
