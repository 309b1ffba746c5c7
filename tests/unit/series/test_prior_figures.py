"""The figure of page 05's sliders: what it shows is what was recorded."""

import numpy as np
import pandas as pd
import pytest
import torch

from sculptlab.plots.style import Picture
from sculptlab.priors import Ring
from sculptlab.series.figures import priors as prior_figures
from sculptlab.series.results import Recorded
from sculptlab.series.studies.priors import EDGE, SIDE


def draw(prior, n=400):
    return prior.sample(n, torch.Generator().manual_seed(1))


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
