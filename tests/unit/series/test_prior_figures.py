"""Pictures of priors and codes: what they say is what was measured, and they draw in words that fit."""

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.plots.style import Picture
from sculptlab.priors import FromText, Ring, Uniform
from sculptlab.series.figures import priors as prior_plots
from sculptlab.series.results import Recorded
from sculptlab.series.studies.prior_gallery import two_squares
from sculptlab.series.studies.priors import EDGE, SIDE, TARGETS


def draw(prior, n=400):
    return prior.sample(n, torch.Generator().manual_seed(1))


def texts(picture):
    return [ax.get_title() for ax in picture.axes]


def test_the_wall_puts_codes_below_their_prior_in_the_same_window():
    priors = {f"{i}": Ring() for i in range(5)} | {"wide": Uniform(2).scaled(3.0)}
    codes = {name: draw(prior) for name, prior in priors.items()}
    picture = prior_plots.wall(priors, codes, dict.fromkeys(priors, (0.57, 0.51)), title="a finding")
    axes = np.array(picture.axes).reshape(4, 5)
    assert axes[2, 0].get_title() == "wide"
    assert axes[3, 0].get_title() == "told apart 57%, floor 51%"
    assert axes[2, 0].get_xlim() == axes[3, 0].get_xlim()
    assert axes[2, 0].get_xlim()[1] > 5 > axes[0, 0].get_xlim()[1]
    assert not axes[2, 1].images  # nothing where there is no prior


def test_a_drawing_stands_beside_its_codes_on_one_scale():
    word = FromText("Hi!")
    z = {"a word": draw(word, 4000), "a ring": draw(Ring(), 4000)}
    picture = prior_plots.drawings({"a word": word, "a ring": Ring()}, z, dict.fromkeys(z, (0.6, 0.5)), title="a finding")
    told = "its codes: told apart 60%, floor 50%"
    assert texts(picture) == ["a word", told, "a ring", told]
    left, right = picture.axes[:2]
    assert (left.get_xlim(), left.get_ylim()) == (right.get_xlim(), right.get_ylim())
    shown, full = np.asarray(right.images[0].get_array()), right.images[0].get_clim()[1]
    assert (shown[:, [0, -1]] < 0.05 * full).all()  # the paper stays white
    assert (shown >= full).sum() > 10  # and strokes are in full color


@pytest.fixture
def frame():
    rows = [
        {"prior": name, "seed": seed, "weight": weight, "c2st": 0.5 + 0.1 * i + 0.01 * seed, "chance_c2st": 0.5,
         "off_support": 0.02 * i, "chance_off_support": 0.001, "relative_error": 1.2 + weight / 1000}
        for i, name in enumerate(TARGETS) for seed in (0, 1) for weight in (50.0, 500.0)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_scoreboard_is_in_order_with_floors(frame):
    picture = prior_plots.scoreboard(frame, title="a finding")
    assert [label.get_text() for label in picture.axes[0].get_yticklabels()] == list(TARGETS)[::-1]  # best on top
    codes, floor = picture.axes[0].lines
    assert list(codes.get_xdata()) == pytest.approx([0.705, 0.605, 0.505])
    assert set(floor.get_xdata()) == {0.5}
    assert len(picture.axes[2].lines) == 1  # a price has no floor


def test_lines_over_the_weight_have_a_floor_but_for_the_price(frame):
    picture = prior_plots.over_weight(frame, title="a finding")
    assert [len(ax.lines) for ax in picture.axes] == [4, 4, 3]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == [*TARGETS, "a second sample of the prior"]
    assert isinstance(picture._repr_png_(), bytes)


def test_bridges_show_the_images_of_strays_in_order():
    z = torch.cat([draw(two_squares()), torch.tensor([[0.2, 0.0], [-0.2, 0.1], [0.0, 0.0]])])
    images = np.zeros((len(z), 4, 4))
    images[-3], images[-2], images[-1] = 0.9, 0.1, 0.5
    picture = prior_plots.bridges(z, two_squares(), images, path=z[-3:])
    assert texts(picture) == [f"{3 / 403:.1%} of the codes are strays", "their images, by z0"]
    sheet = picture.axes[1].images[0].get_array()
    assert [sheet[0, 5 * i] for i in range(3)] == pytest.approx([0.1, 0.5, 0.9])
    assert not prior_plots.bridges(draw(Uniform(2)), Uniform(2).scaled(1.5), images).axes[1].axison


def test_the_hand_of_a_setting_is_drawn_with_its_scores():
    row = {
        "prior": "0.5|45",
        "c2st": 0.561,
        "chance_c2st": 0.503,
        "off_support": 0.04,
        "chance_off_support": 0.001,
        "relative_error": 1.3,
    }
    arrays = {
        "0.5|45|codes": draw(Ring(), 50).numpy().astype(np.float16),
        "0.5|45|grid": np.zeros((SIDE**2, 6, 6), np.uint8),
        "labels": np.arange(50) % 3,
    }
    panel = prior_plots.HandPanel(Recorded("hands", pd.DataFrame([row]), arrays, {}))
    picture = panel.picture(0.5, 45)
    assert isinstance(picture, Picture)
    words = picture.get_suptitle()
    assert words == "told apart 56% (floor 50%), strays 4.0% (floor 0.1%), error 1.30 times the plain one"
    sheet = np.asarray(picture.axes[2].images[0].get_array())
    middle = 3 * 7 + 2  # the image at the origin, on the hand: black as decoded; the corner's is pale
    assert sheet[middle, middle] == 0
    assert sheet[2, 2] == pytest.approx(1 - prior_plots.FAINT)
    assert np.hypot(EDGE, EDGE) > 2.5  # the corner lies outside the ring
    with pytest.raises(KeyError):
        panel.picture(0.4, 45)
