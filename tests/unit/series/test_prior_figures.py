"""Figures of priors and codes: what they show is what was measured."""

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.plots.style import Picture
from sculptlab.priors import FromText, Ring, Uniform
from sculptlab.series.figures import priors as prior_figures
from sculptlab.series.results import Recorded
from sculptlab.series.studies.prior_gallery import two_squares
from sculptlab.series.studies.priors import EDGE, SIDE, TARGETS


def draw(prior, n=400):
    return prior.sample(n, torch.Generator().manual_seed(1))


def texts(picture):
    return [ax.get_title() for ax in picture.axes]


def test_codes_lie_below_their_prior_in_the_same_window():
    priors = {f"{i}": Ring() for i in range(5)} | {"wide": Uniform(2).scaled(3.0)}
    codes = {name: draw(prior) for name, prior in priors.items()}
    picture = prior_figures.priors_and_codes(priors, codes, dict.fromkeys(priors, (0.57, 0.51)), title="a finding")
    axes = np.array(picture.axes).reshape(4, 5)
    assert axes[2, 0].get_title() == "wide"
    assert axes[3, 0].get_title() == "C2ST 57%, chance 51%"
    assert axes[2, 0].get_xlim() == axes[3, 0].get_xlim()
    assert axes[2, 0].get_xlim()[1] > 5 > axes[0, 0].get_xlim()[1]
    assert not axes[2, 1].images  # nothing where there is no prior


def test_a_drawing_stands_beside_its_codes_on_one_scale():
    word = FromText("Hi!")
    z = {"a word": draw(word, 4000), "a ring": draw(Ring(), 4000)}
    picture = prior_figures.drawings({"a word": word, "a ring": Ring()}, z, dict.fromkeys(z, (0.6, 0.5)), title="a finding")
    words = "its codes: C2ST accuracy 60%, chance 50%"
    assert texts(picture) == ["a word", words, "a ring", words]
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


def test_the_scoreboard_is_in_order_with_chance_levels(frame):
    picture = prior_figures.scoreboard(frame, title="a finding")
    assert [label.get_text() for label in picture.axes[0].get_yticklabels()] == list(TARGETS)  # the lowest accuracy on top
    lines = {line.get_label(): list(line.get_xdata()) for line in picture.axes[0].lines}
    assert lines["codes"] == pytest.approx([0.505, 0.605, 0.705])
    assert set(lines["a second sample of the prior"]) == {0.5}
    assert not any("prior" in line.get_label() for line in picture.axes[2].lines)  # errors have no chance level


def test_lines_over_the_weight_have_a_chance_level_but_for_the_error(frame):
    picture = prior_figures.scores_over_weight(frame, title="a finding")
    assert [len(ax.lines) for ax in picture.axes] == [4, 4, 3]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == [*TARGETS, "a second sample of the prior"]
    assert isinstance(picture._repr_png_(), bytes)


def test_images_of_off_support_codes_are_in_order():
    z = torch.cat([draw(two_squares()), torch.tensor([[0.2, 0.0], [-0.2, 0.1], [0.0, 0.0]])])
    images = np.zeros((len(z), 4, 4))
    images[-3], images[-2], images[-1] = 0.9, 0.1, 0.5
    picture = prior_figures.off_support_codes(z, two_squares(), images, path=z[-3:])
    assert texts(picture) == [f"off-support mass {3 / 403:.1%}", "images of off-support codes, by z0"]
    sheet = picture.axes[1].images[0].get_array()
    assert [sheet[0, 5 * i] for i in range(3)] == pytest.approx([0.1, 0.5, 0.9])
    assert not prior_figures.off_support_codes(draw(Uniform(2)), Uniform(2).scaled(1.5), images).axes[1].axison


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
    panel = prior_figures.HandPanel(Recorded("hands", pd.DataFrame([row]), arrays, {}))
    picture = panel({"share": 0.5, "turn": 45})
    assert isinstance(picture, Picture)
    words = picture.get_suptitle()
    assert words == ("C2ST accuracy 56% (chance 50%), off-support mass 4.0% (chance 0.1%), relative reconstruction error 1.30")
    sheet = np.asarray(picture.axes[2].images[0].get_array())
    middle = 3 * 7 + 2  # the image at the origin, on the hand: black as decoded; the corner's is pale
    assert sheet[middle, middle] == 0
    assert sheet[2, 2] == pytest.approx(1 - prior_figures.FAINT)
    assert np.hypot(EDGE, EDGE) > 2.5  # the corner lies outside the ring
    with pytest.raises(KeyError):
        panel({"share": 0.4, "turn": 45})
