"""Figures: what they show can be read off the axes, and nothing global is touched."""

import sys
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

import sculptlab as sl
from sculptlab import plots
from sculptlab.plots import codes, figures
from sculptlab.plots.results import line_with_spread
from sculptlab.plots.style import BAD
from sculptlab.priors import Gaussian, Samples, Uniform


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.fixture
def ax():
    return plots.panels(width=4)[1][0, 0]


def lightness(color):
    return float(np.dot(to_rgb(color), [0.299, 0.587, 0.114]))


def test_roles_that_meet_differ_in_gray_too():
    for one, other in combinations((plots.PRIOR, plots.SAMPLES, plots.MEANS), 2):
        assert abs(lightness(one) - lightness(other)) > 0.1
    colors, marks = zip(*plots.CLASSES, strict=True)
    assert len(set(marks)) == len(marks) == 3
    for one, other in combinations((*colors, plots.OTHERS), 2):
        assert abs(lightness(one) - lightness(other)) > 0.09


def test_a_figure_shows_itself_once_and_without_pyplot():
    picture, _ = plots.panels(1, 2)
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert isinstance(picture, Figure)
    assert picture.get_layout_engine() is not None
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []


def test_a_notebook_formats_a_figure_to_one_png():
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(plots.panels()[0])
    assert [kind for kind in data if kind.startswith("image/")] == ["image/png"]


def test_a_figure_is_shown_with_its_titles_in_words():
    from IPython.core.formatters import DisplayFormatter

    picture, (axes,) = plots.panels(1, 3)
    picture.suptitle("Lower is\nbetter")
    for ax, title in zip(axes, ("digits", "digits", "decoded"), strict=True):
        plots.style(ax, title=title, x="codes", y="LPS")
    axes[2].set_axis_off()
    assert picture.in_words() == "Lower is better. digits: LPS over codes. decoded"
    _, described = DisplayFormatter().format(picture)
    assert described["image/png"] == {"alt": picture.in_words()}


def test_rcparams_stay_as_they_are():
    before = dict(mpl.rcParams)
    figures.overview(normal(100, 3), Gaussian(3), {"codes": np.eye(3)})._repr_png_()
    assert dict(mpl.rcParams) == before
    assert "sculptlab.plots" in sys.modules


def test_a_marginal_has_the_density_of_its_values(ax):
    values = np.repeat([-1.0, 1.0], 50)
    assert codes.marginal_density(values, ax, normal(5000, 1)[:, 0]) is ax
    (line,) = ax.lines
    bins = np.unique(line.get_xdata())
    assert line.get_ydata().max() * np.diff(bins).max() == pytest.approx(0.5)  # half of the values in each of two bins
    assert ax.get_legend_handles_labels()[1] == ["prior", "codes"]


def test_codes_outside_the_prior_are_drawn_at_its_edge(ax):
    codes.marginal_density(np.full(10, 99.0), ax, normal(500, 1)[:, 0])
    assert ax.lines[0].get_ydata()[-2] > 0


def test_the_outlines_hold_half_and_nearly_all_of_a_gaussian(ax):
    plots.density(normal(500, 2), ax, Gaussian(2))
    outer, inner = (np.concatenate([p.vertices for p in ax.collections[0].get_paths()[i : i + 1]]) for i in (0, 1))
    # the circles that hold 95 % and 50 % of N(0, I) in the plane
    assert np.linalg.norm(outer, axis=1).mean() == pytest.approx((-2 * np.log(0.05)) ** 0.5, rel=0.08)
    assert np.linalg.norm(inner, axis=1).mean() == pytest.approx((-2 * np.log(0.5)) ** 0.5, rel=0.08)


def test_a_flat_prior_has_no_inner_outline(ax):
    plots.density(normal(500, 2), ax, Uniform(2))
    assert len(ax.collections[0].get_paths()) == 1


def test_corner_shows_eight_dimensions_and_says_which():
    z = normal(300, 12)
    z[:, [1, 11]] += 3
    picture = figures.corner(z, Gaussian(12))
    names = {ax.get_xlabel() for part in picture.subfigs for ax in part.axes} - {""}
    assert len(names) == 8
    assert {"z1", "z11"} <= names
    assert picture.subfigs[0].get_supxlabel() == "the 8 of 12 dimensions farthest from the prior"


def test_means_and_samples_share_a_panel():
    z = {"means": normal(50, 2) * 0.1, "samples": normal(50, 2)}
    first = figures.marginals(z, Gaussian(2)).axes[0]
    assert first.get_legend_handles_labels()[1] == ["prior", "means", "samples"]
    assert {to_hex(line.get_color()).upper() for line in first.lines} == {plots.MEANS, plots.SAMPLES}


def test_the_overview_shows_the_most_dependent_pair():
    matrix = np.full((3, 3), 0.01)
    matrix[0, 2] = matrix[2, 0] = 0.5
    picture = figures.overview(normal(100, 3), Gaussian(3), {"codes": matrix})
    assert "codes: z0, z2" in [ax.get_title() for part in picture.subfigs for ax in part.axes]
    assert figures.most_dependent(np.full((3, 3), np.nan)) == (0, 1)


def test_the_overview_has_one_color_scale_and_square_pairs():
    little, much = (np.full((3, 3), largest) for largest in (0.2, 0.8))
    picture = figures.overview(
        {"means": normal(100, 3), "samples": normal(100, 3)}, Gaussian(3), {"means": much, "samples": little}
    )
    axes = [ax for ax in picture.subfigs[1].axes if ax.get_title()]
    limits = [ax.collections[0].get_clim() for ax in axes if "dependence" in ax.get_title()]
    assert limits == [(0, 0.8), (0, 0.8)]
    assert [ax.get_box_aspect() for ax in axes if "dependence" not in ax.get_title()] == [1, 1]


def test_image_grid_lays_images_out_row_by_row(ax):
    images = torch.stack([torch.full((1, 4, 4), value) for value in (0.0, 0.25, 0.5)])
    plots.image_grid(images, ax, columns=2)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (9, 9)
    assert (sheet[0, 0], sheet[0, 5], sheet[5, 0], sheet[5, 5]) == (0.0, 0.25, 0.5, 1.0)
    assert ax.images[0].get_clim() == (0, 1)


def test_color_images_keep_their_colors(ax):
    images = np.zeros((1, 3, 2, 2))
    images[:, 2] = 1
    plots.image_grid(images, ax)
    assert ax.images[0].get_array()[0, 0].tolist() == [0, 0, 1]


def test_the_line_is_the_mean_and_the_band_the_range(ax):
    frame = pd.DataFrame({"beta": [1, 1, 10, 10], "mmd2": [1.0, 3.0, 5.0, 9.0]})
    assert line_with_spread(ax, frame, "beta", "mmd2", log_x=True) is ax
    assert ax.lines[0].get_ydata().tolist() == [2.0, 7.0]
    band = ax.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in band} >= {(1, 1), (1, 3), (10, 5), (10, 9)}
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "10"]  # plain text, no mathtext


def runs():
    rows = [(name, kind, 10 * i + seed) for i, name in enumerate("ab") for kind in ("one", "two") for seed in (0, 1, 5)]
    return pd.DataFrame(rows, columns=["condition", "kind", "lps"])


STYLES = {"one": (plots.CODES, "o"), "two": (plots.MEANS, "D"), "absent": (BAD, "s")}


def test_a_line_for_each_value_of_a_column(ax):
    frame = runs().assign(x=lambda f: f["condition"].map({"a": 1, "b": 2}))
    line_with_spread(ax, frame, "x", "lps", "kind", styles=STYLES)
    assert ax.get_legend_handles_labels()[1] == ["one", "two"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2, 12]] * 2
    assert [line.get_marker() for line in ax.lines] == ["o", "D"]


def shown(ax):
    """Of a scatter plot by class: how many points in which color, and the names with their places."""
    counts = {
        to_hex(part.get_facecolor()[0]).upper(): len(part.get_offsets()) for part in ax.collections if len(part.get_offsets())
    }
    return counts, {text.get_text(): text.xy for text in ax.texts}


def test_three_classes_are_named_in_color_and_the_others_gray(ax):
    assert plots.density(normal(100, 2), ax, labels=np.arange(100) % 10, title="digits") is ax
    assert ax.get_title() == "digits"
    counts, names = shown(ax)
    assert counts == {plots.OTHERS: 70, **{color: 10 for color, _ in plots.CLASSES}}
    assert sorted(names) == ["0", "1", "9"]


def test_named_classes_are_named_where_they_lie(ax):
    z = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]], 10, axis=0) + 0.1 * normal(30, 2)
    plots.density(z, ax, labels=np.repeat(["a", "b", "c"], 10), named={"b": "bags", "c": "coats"})
    counts, names = shown(ax)
    assert counts == {plots.OTHERS: 10, plots.CLASSES[0][0]: 10, plots.CLASSES[1][0]: 10}
    assert np.round(names["bags"]).tolist() == [5, 0]
    assert np.round(names["coats"]).tolist() == [0, 5]


def test_names_of_one_place_stand_one_above_the_other(ax):
    plots.density(normal(300, 2), ax, labels=np.arange(300) % 3)
    heights = sorted(y for _, y in shown(ax)[1].values())
    assert min(np.diff(heights)) >= codes.NAME_SIZE[1] * ax.viewLim.height * 0.999


def test_one_class_alone_and_a_name_without_points(ax):
    plots.density(normal(5, 2), ax, labels=np.zeros(5), named={0: "all", 7: "none"})
    assert shown(ax)[0] == {plots.CLASSES[0][0]: 5}
    assert list(shown(ax)[1]) == ["all"]


@pytest.mark.parametrize(
    "prior", [Uniform(1), Gaussian(2), Uniform(3), Samples(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))]
)
def test_priors_draw_themselves(prior, ax):
    assert prior.plot(ax) is ax
    assert prior.plot()._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ax: plots.density(normal(5, 3), ax), "z must have 2 column"),
        (lambda ax: plots.density(normal(5, 2), ax, labels=[1, 2]), r"labels must have shape \(5,\)"),
        (lambda ax: plots.density(normal(5, 2), ax, labels=range(5), named=dict.fromkeys(range(4), "")), "at most 3 classes"),
        (lambda ax: plots.density(normal(5, 2), ax, Gaussian(3)), "prior must have 2 dimension"),
        (lambda ax: plots.image_grid(np.zeros((2, 2, 4, 4)), ax), "images must have shape"),
        (lambda ax: plots.image_grid(np.zeros((0, 1, 4, 4)), ax), "n > 0"),
        (lambda ax: figures.pairs(normal(5, 1), Gaussian(1)), "at least 2 dimensions"),
        (lambda ax: figures.marginals({}, Gaussian(1)), "at least one set"),
    ],
)
def test_bad_input_is_named(ax, call, words):
    with pytest.raises(ValueError, match=words):
        call(ax)


def test_a_single_code_in_a_cell_is_seen(ax):
    """Empty cells are clear, and the palest shade belongs to zero, not to one."""
    shown = codes.heat_map(np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]), ax, np.array([[-2.0, 2.0], [-2.0, 2.0]]), plots.CODES)
    shades = shown.to_rgba(shown.get_array())
    assert (shades[..., 3] > 0).sum() == 2
    assert shades[shades[..., 3] > 0][:, 0].max() < 0.5


def test_long_names_are_shortened_in_labels_and_kept_in_tables(recwarn):
    names = [f"mean annual temperature of the{' very' * 40} region\nnumber {number}" for number in range(3)]
    z = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=names)
    found = sl.diagnose({"codes of the model that " * 9: z}, "gaussian", permutations=5)
    figure = found.plot()
    figure.draw_without_rendering()
    shown = [label.get_text() for ax in figure.axes for label in ax.get_xticklabels()]
    assert "mean annual …on number 0" in shown
    assert max(map(len, shown)) <= 24
    assert names[2] in set(found.effects["where"])
    assert not recwarn.list


def test_names_of_latents_sets_and_classes_with_dollar_signs_are_drawn_as_they_are(recwarn):
    rng = np.random.default_rng(0)
    z = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a$x$", "$_{", "c$1"])
    found = sl.diagnose({"s$et$_{": z}, "gaussian", permutations=5)
    pictures = [found.plot(kind) for kind in ("overview", "marginals", "pairs", "corner")]
    pictures.append(sl.lps(z, "linear", permutations=2).plot())
    figure, axes = plots.panels(1, 1)
    codes.density(z.iloc[:, :2], axes[0, 0], labels=np.repeat(["$^{", "$b$"], 100))
    for picture in (*pictures, figure):
        assert len(picture._repr_png_()) > 1000  # a formula that cannot be read raises here
    shown = [ax.get_xlabel() for ax in pictures[1].axes]
    assert shown == [r"a\$x\$", r"\$_{", r"c\$1"]
    assert [text.get_text() for text in pictures[4].axes[0].get_xticklabels()] == shown
