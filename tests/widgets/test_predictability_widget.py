"""The PredictabilityWidget and its messages, without a browser: the test sets what a page would send."""

import base64
import io
import time

import numpy as np
import pytest
import torch
from matplotlib.image import imread

import sculptlab as sl


class Page:
    """Takes the place of the page: sends requests, keeps what the kernel answers, and confirms it."""

    def __init__(self, widget):
        self.widget, self.frames = widget, []
        widget.send = self.take
        self.tell(views=1)

    def tell(self, **patch):
        self.widget.asked = {**self.widget.asked, **patch}

    def take(self, content, buffers=None):
        self.frames.append((content, buffers))
        self.widget._worker.confirm(content["number"])

    def wait(self, condition, seconds=60):
        until = time.monotonic() + seconds
        while not (self.frames and condition(self.frames[-1][0])):
            assert time.monotonic() < until, self.frames[-1][0] if self.frames else "no frame"
            time.sleep(0.005)
        return self.frames[-1]


@pytest.fixture
def widget():
    images = torch.rand(80, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    made = sl.PredictabilityWidget(images, latents=2)
    yield made
    made.close()


def test_a_page_plays_switches_the_penalty_and_sees_maps_and_made_samples(widget):
    page = Page(widget)
    page.wait(lambda frame: frame["step"] == 0)
    page.tell(revision=1, changes={"penalty": True, "weight": 2.0})
    page.wait(lambda frame: frame["settings"]["penalty"])
    page.tell(plays=1, on=True)
    page.wait(lambda frame: frame["step"] > 10 and frame["playing"])
    page.tell(plays=2, on=False)
    frame, buffers = page.wait(lambda frame: not frame["playing"])
    codes, predictions = (np.frombuffer(buffers[frame[name]], np.float32).reshape(20, 2) for name in ("codes", "predictions"))
    r2 = 1 - ((codes - predictions) ** 2).sum(0) / ((codes - codes.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(r2, frame["r2"], atol=1e-4)
    assert len(buffers[frame["images"]]) == 2 * np.prod(frame["shape"])
    rows = np.frombuffer(buffers[frame["rows"]], np.float32).reshape(-1, frame["columns"])
    assert rows[-1, 0] == frame["step"]
    assert frame["lanes"][0]["lps"] == pytest.approx(frame["lps"], abs=1e-6)
    for number, show in enumerate(("whitened", "cross"), 2):
        page.tell(revision=number, changes={"show": show})
        frame, _ = page.wait(lambda frame, show=show: frame["settings"]["show"] == show)
        assert frame["notice"] == ""
        assert (frame["images"] is None) == (show == "cross")
    page.tell(revision=4, changes={"painted": "x"})
    frame, _ = page.wait(lambda frame: frame["notice"])
    assert "settings must be one of" in frame["notice"]
    assert widget._engine.settings.show == "cross"


def test_from_python_it_runs_shows_scores_and_a_figure(widget):
    assert widget.run(10)["step"].tolist() == [10]
    assert widget.change(show="cross").scores.loc["LPS of squares", "score"] > 0.9
    assert widget.scores.loc["LPS", "score"] < 0.02
    with pytest.raises(ValueError, match="show must be one of"):
        widget.change(show="ring")


def test_without_a_kernel_a_figure_takes_its_place_and_it_has_begun(widget):
    data, metadata = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert imread(io.BytesIO(base64.b64decode(data["image/png"]))).std() > 0
    assert "R²" in metadata["image/png"]["alt"]
    assert "settings" not in metadata["image/png"]  # no Sculptor takes its place on the site
    assert widget.history["step"].tolist() == [50, 60]
    widget.close()
    with pytest.raises(RuntimeError, match="PredictabilityWidget was closed"):
        widget.run(1)
