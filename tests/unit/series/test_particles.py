"""The animation of points that follow a gradient."""

import json
import re

import numpy as np
import pytest
import torch

from sculptlab.plots.style import Picture
from sculptlab.series.figures.particles import Animation

FRAMES = torch.arange(12.0).reshape(3, 2, 2) / 10


def data_of(animation):
    return json.loads(re.search(r"const facts = (.*);\n", animation._repr_html_())[1])


def test_the_page_holds_every_position_to_a_thousandth():
    animation = Animation({"a": FRAMES, "b": list(FRAMES + 0.00012)}, [[0.0, 0.5]], labels=["x", "y", "z"])
    facts = data_of(animation)
    assert np.allclose(facts["flows"][0], FRAMES.reshape(3, 4))
    assert np.allclose(facts["flows"][1], FRAMES.reshape(3, 4), atol=0.0006)
    assert facts["target"] == [0, 0.5]
    assert facts["labels"] == ["x", "y", "z"]
    assert facts["reach"] >= 1.1  # the farthest coordinate lies within the panel


def test_the_page_needs_no_server_and_quotes_what_it_is_given():
    page = Animation({"<b>&": FRAMES}, [[0.0, 0.0]], labels=["</script>", "1", "2"])._repr_html_()
    assert "http" not in page.replace("data:image", "")
    assert page.count("</script>") == 1
    assert "&lt;b&gt;&amp;" in page
    assert page.count("<canvas") == 1
    assert "data:image/png;base64," in page  # where scripts do not run


def test_the_page_of_notebook_03_is_light():
    frames = torch.randn(50, 150, 2, generator=torch.Generator().manual_seed(0))
    assert len(Animation({"a": frames, "b": frames, "c": frames}, frames[0])._repr_html_()) < 1_000_000


def test_a_strip_has_a_row_for_each_flow_and_names_its_frames():
    picture = Animation({"a": FRAMES, "b": FRAMES}, [[0.0, 0.0]]).strip([0, 2], title="t")
    assert isinstance(picture, Picture)
    assert [ax.get_title() for ax in picture.axes] == ["frame 0", "frame 2", "", ""]
    assert [ax.get_ylabel() for ax in picture.axes] == ["a", "", "b", ""]
    assert np.allclose(picture.axes[3].lines[1].get_xydata(), FRAMES[2])


@pytest.mark.parametrize(
    ("flows", "options", "message"),
    [
        ({}, {}, "at least one flow"),
        ({"a": FRAMES, "b": FRAMES[:2]}, {}, "same number of frames"),
        ({"a": FRAMES[0]}, {}, r"shape \(frames, n, 2\)"),
        ({"a": FRAMES * torch.nan}, {}, "finite positions"),
        ({"a": FRAMES}, {"labels": ["one"]}, "labels must be one a frame, 3"),
    ],
)
def test_bad_animations_are_refused(flows, options, message):
    with pytest.raises(ValueError, match=message):
        Animation(flows, [[0.0, 0.0]], **options)
