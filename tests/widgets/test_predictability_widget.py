"""The PredictabilityWidget and its messages, without a browser: the test sets what a page would send."""

import base64
import io
import json
import threading
import time

import numpy as np
import pytest
import torch
from matplotlib.image import imread

import sculptlab as sl
from sculptlab.live.predictability import SHOWN, PredictabilityEngine
from sculptlab.live.worker import Worker


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


# ---- faults


@pytest.mark.parametrize(
    "changes",
    [
        {"latents": 1e300}, {"latents": "3"}, {"latents": None}, {"weight": float("nan")}, {"weight": []}, {"penalty": "yes"},
        {"seed": -1}, {"seed": 0.5}, {"show": []}, {"show": {"a": 1}}, {"show": None}, {"self": 1}, {"__class__": "x"}, {"": 0},
        None, [], "show", 3,
    ],
    ids=repr,
)  # fmt: skip
def test_what_no_page_should_ask_for_is_refused_and_the_widget_goes_on(widget, changes):
    page = Page(widget)
    before = widget._visit(lambda engine: engine.settings)
    page.tell(revision=1, changes=changes)
    frame, _ = page.wait(lambda frame: frame["revision"] == 1)
    assert frame["notice"] or not changes
    assert widget._visit(lambda engine: engine.settings) == before
    page.tell(steps=1)
    page.wait(lambda frame: frame["step"] == 1 and not frame["notice"])


def test_lost_late_and_repeated_messages(widget):
    page = Page(widget)
    page.tell(steps=3)  # of 1, 2 and 3, the browser sent the last alone
    page.wait(lambda frame: frame["step"] == 3)
    late = {**widget.asked, "steps": 1, "revision": 0}
    page.tell(revision=2, changes={"penalty": True, "weight": 3.0})  # revision 1 was lost: its changes come again
    page.wait(lambda frame: frame["settings"]["penalty"] and frame["settings"]["weight"] == 3.0)
    widget.asked = late
    page.tell(steps=4, revision=2)
    frame, _ = page.wait(lambda frame: frame["step"] == 4)
    assert frame["settings"]["penalty"]


def broken(widget, part):
    """Spoil weights as a divergence would that no check has seen yet."""

    def spoil(engine):
        weights = {
            "encoder": engine.model.encoder[-1].weight, "decoder": engine.model.decoder[0].weight,
            "predictors": next(engine.training.regularizer.companions["predictors"].parameters()),
        }[part]  # fmt: skip
        weights.data.fill_(torch.nan)

    widget._visit(spoil)


@pytest.mark.parametrize("part", ["encoder", "decoder", "predictors"])
def test_with_weights_that_are_not_finite_all_can_be_asked_for_and_a_reset_repairs_it(widget, part):
    page = Page(widget)
    page.tell(steps=2)
    page.wait(lambda frame: frame["step"] == 2)
    broken(widget, part)
    for number, show in enumerate(SHOWN, 1):
        page.tell(revision=number, changes={"show": show})
        frame, _ = page.wait(lambda frame, number=number: frame["revision"] == number)
        json.dumps(frame, allow_nan=False)  # a page reads no NaN
    assert "image/png" in widget._repr_mimebundle_()[0]
    page.tell(resets=1)
    page.wait(lambda frame: frame["step"] == 0 and not frame["notice"])
    page.tell(steps=3)
    page.wait(lambda frame: frame["step"] == 1 and not frame["broken"])


def test_images_without_an_error_have_no_relative_error():
    made = sl.PredictabilityWidget(torch.zeros(64, 1, 4, 4), latents=2)
    page = Page(made)
    made._visit(lambda engine: [part for part in engine.model.decoder if hasattr(part, "bias")][-1].bias.data.fill_(-200.0))
    number = len(page.frames)
    page.tell(views=2)
    until = time.monotonic() + 60
    while len(page.frames) <= number:
        assert time.monotonic() < until, "no frame"
        time.sleep(0.005)
    assert page.frames[-1][0]["relative"] is None
    made.close()


def test_changes_during_a_fit_wait_for_it_and_the_last_one_holds(widget, monkeypatch):
    page = Page(widget)
    started, go = threading.Event(), threading.Event()
    mapped = PredictabilityEngine.mapped

    def slow(engine, name):
        started.set()
        assert go.wait(60)
        return mapped(engine, name)

    monkeypatch.setattr(PredictabilityEngine, "mapped", slow)
    page.tell(revision=1, changes={"show": "whitened"})
    assert started.wait(60)
    page.tell(revision=2, changes={"show": "codes", "penalty": True})
    page.tell(revision=3, changes={"show": "cross", "penalty": True})
    page.tell(views=2)  # a second view opens
    go.set()
    frame, _ = page.wait(lambda frame: frame["revision"] == 3)
    assert (frame["settings"]["show"], frame["settings"]["penalty"]) == ("cross", True)


def test_closed_during_a_fit_its_thread_ends_without_an_error(monkeypatch):
    monkeypatch.setattr("sculptlab.live.worker.END_SECONDS", 0.05)
    errors, started, go = [], threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", errors.append)
    engine = PredictabilityEngine(torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0)))

    def fit(engine, changes):
        started.set()
        assert go.wait(60)

    worker = Worker(engine, lambda engine, settled: errors.append("a frame"), fit)
    worker.request(changes={}, revision=1)
    thread = worker._thread
    assert started.wait(60)
    worker.request(changes={}, revision=2)
    worker.close()
    assert thread.is_alive()
    go.set()
    thread.join(60)
    assert not thread.is_alive()
    assert errors == []


@pytest.mark.parametrize("show", ["whitened", "reshaped"])
def test_an_interrupt_during_a_fit_leaves_the_widget_as_it_was(widget, monkeypatch, show):
    widget.run(2)
    before = widget._visit(lambda engine: engine.settings)

    def interrupted(engine, name):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PredictabilityEngine, "mapped", interrupted)
        with pytest.raises(KeyboardInterrupt):
            widget.change(show=show, penalty=True)
    assert widget._visit(lambda engine: engine.settings) == before
    assert widget.run(1)["step"].iloc[-1] == 3
