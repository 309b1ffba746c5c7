"""The Sculptor's widget and its thread, without a browser: the test sets what a page would send."""

import base64
import gc
import io
import re
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

import sculptlab as sl
from sculptlab.live.engine import Engine
from sculptlab.live.training_widget import NOTHING
from sculptlab.live.worker import STEPS_AT_ONCE, Worker


def images(n=64):
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))


class Page:
    """Takes the place of the page: sends requests, keeps what the kernel answers, and confirms it."""

    def __init__(self, sculptor):
        self.sculptor, self.messages = sculptor, []
        sculptor.send = self.take
        self.tell(views=1)

    def tell(self, **patch):
        self.sculptor.asked = {**self.sculptor.asked, **patch}

    def take(self, content, buffers=None):
        self.messages.append((content, buffers))
        if content["kind"] == "frame":
            self.sculptor._worker.confirm(content["number"])

    @property
    def last(self):
        return next((content for content, _ in reversed(self.messages) if content["kind"] == "frame"), {})

    def wait(self, condition, seconds=60):
        until = time.monotonic() + seconds
        while not (self.last and condition(self.last)):
            assert time.monotonic() < until, self.last.get("notice", "no frame")
            time.sleep(0.005)
        return self.last


@pytest.fixture
def sculptor():
    made = sl.Sculptor(images(), batch=16)
    yield made
    made.close()


@pytest.fixture
def page(sculptor):
    return Page(sculptor)


def wait_for_no_thread(seconds=30):
    until = time.monotonic() + seconds
    while any(thread.name == "sculptor" for thread in threading.enumerate()):
        assert time.monotonic() < until, "a thread is left"
        time.sleep(0.02)


def test_it_plays_and_pauses_and_leaves_no_thread(page):
    page.wait(lambda frame: frame["step"] == 0)
    page.tell(plays=1, on=True)
    page.wait(lambda frame: frame["step"] > 20 and frame["playing"])
    page.tell(plays=2, on=False)
    step = page.wait(lambda frame: not frame["playing"])["step"]
    wait_for_no_thread()
    assert page.last["step"] == step
    page.tell(plays=3, on=True)  # and a new thread goes on
    page.wait(lambda frame: frame["step"] > step + 5)


def test_single_steps_are_counted_even_if_the_browser_leaves_some_out(page):
    page.tell(steps=1)
    page.wait(lambda frame: frame["step"] == 1)
    page.tell(steps=4)
    page.wait(lambda frame: frame["step"] == 4)


def test_one_message_cannot_ask_for_more_steps_than_can_be_waited_for(page):
    page.tell(steps=30 * STEPS_AT_ONCE)
    page.wait(lambda frame: frame["step"] >= STEPS_AT_ONCE)
    assert page.last["step"] == STEPS_AT_ONCE


def test_old_messages_that_come_late_do_nothing(page, sculptor):
    page.tell(steps=3)
    page.wait(lambda frame: frame["step"] == 3)
    sculptor.asked = {**NOTHING, "views": 1, "steps": 1}
    sculptor.asked = {**NOTHING, "views": 1, "steps": 4}
    page.wait(lambda frame: frame["step"] == 4)


def test_changes_reset_and_new_seed(page):
    page.tell(revision=1, changes={"prior": "ring", "sliders": {"noise": 0.3}, "batch": 32.0})
    frame = page.wait(lambda frame: frame["revision"] == 1)
    assert frame["settings"]["sliders"]["noise"] == 0.3
    assert frame["settings"]["batch"] == 32
    page.tell(steps=2)
    page.wait(lambda frame: frame["step"] == 2)
    page.tell(resets=1)
    page.wait(lambda frame: frame["step"] == 0)
    page.tell(reseeds=1)
    page.wait(lambda frame: frame["settings"]["seed"] == 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "nonsense"}, "must be a string that begins"),
        ({"painting": base64.b64encode(bytes(512)).decode()}, "canvas is blank"),
        ({"painting": "not base64!"}, ""),
        ({"weight": -3}, "weight must lie between"),
        ({"data": "no_such_set"}, "no_such_set"),
        ({"sliders": {"noise": 0.2}}, "the prior 'square' has no 'noise': that is a slider of ring, moons, spirals"),
        ({"data": "ring"}, "data must be one of"),
    ],
)
def test_bad_input_gives_a_notice_and_changes_nothing(page, sculptor, changes, words):
    before = sculptor.settings
    page.tell(revision=1, changes=changes)
    frame = page.wait(lambda frame: frame["revision"] == 1)
    assert words in frame["notice"]
    assert frame["notice"]
    assert sculptor.settings == before
    page.tell(resets=1)
    page.wait(lambda frame: not frame["notice"])


STROKE = base64.b64encode(bytes([0xFF] * 200 + [0] * 312)).decode()
BLANK = base64.b64encode(bytes(512)).decode()


def test_a_page_is_told_of_what_python_asks(page, sculptor):
    assert sculptor.play() is sculptor
    page.wait(lambda frame: frame["step"] > 3 and frame["playing"])
    assert sculptor.pause() is sculptor
    step = page.wait(lambda frame: not frame["playing"])["step"]
    sculptor.change(prior="ring")
    page.wait(lambda frame: frame["settings"]["prior"] == "ring")
    sculptor.run(4)
    page.wait(lambda frame: frame["step"] == step + 4)
    sculptor.reset(seed=3)
    page.wait(lambda frame: (frame["step"], frame["settings"]["seed"]) == (0, 3))
    wait_for_no_thread()


def test_on_a_blank_canvas_training_waits_and_a_stroke_resumes_it(page, sculptor):
    page.tell(revision=1, changes={"painting": STROKE})
    page.tell(plays=1, on=True)
    page.wait(lambda frame: frame["step"] > 5 and frame["settings"]["prior"] == "painted")
    page.tell(revision=2, changes={"painting": BLANK})
    frame = page.wait(lambda frame: frame["blank"])
    assert "canvas is blank" in frame["notice"]
    assert not frame["playing"]
    page.tell(steps=3)
    page.tell(plays=2, on=True)
    page.tell(revision=3, changes={"weight": 50.0})
    assert page.wait(lambda frame: frame["revision"] == 3)["blank"]
    wait_for_no_thread()
    assert page.last["step"] == frame["step"]  # neither steps nor play go towards the erased target
    with pytest.raises(ValueError, match="canvas is blank"):
        sculptor.run(1)
    page.tell(plays=3, on=True)
    page.tell(revision=4, changes={"painting": STROKE})
    after = page.wait(lambda later: later["playing"] and later["step"] > frame["step"] + 2)
    assert (after["blank"], after["notice"]) == (False, "")


@pytest.mark.parametrize("way", [{"resets": 1}, {"revision": 2, "changes": {"prior": "square"}}], ids=["reset", "the same shape"])
def test_a_reset_or_a_shape_ends_the_blank_canvas(page, way):
    page.tell(revision=1, changes={"painting": BLANK})
    page.wait(lambda frame: frame["blank"])
    page.tell(**way)
    frame = page.wait(lambda frame: not frame["blank"])
    assert (frame["notice"], frame["settings"]["prior"]) == ("", "square")
    assert not frame["playing"]  # it did not play before


def test_a_pause_on_a_blank_canvas_holds(page):
    page.tell(plays=1, on=True)
    page.wait(lambda frame: frame["playing"])
    page.tell(revision=1, changes={"painting": BLANK})
    page.wait(lambda frame: frame["blank"])
    page.tell(plays=2, on=False)
    page.tell(revision=2, changes={"painting": STROKE})
    assert not page.wait(lambda frame: frame["revision"] == 2)["playing"]


def test_the_next_step_removes_the_notice_of_bad_input(page):
    page.tell(revision=1, changes={"weight": -3})
    page.wait(lambda frame: frame["revision"] == 1 and "weight must lie" in frame["notice"])
    page.tell(steps=1)
    page.wait(lambda frame: frame["step"] == 1 and not frame["notice"])
    page.tell(revision=2, changes={"objective": "kl"})
    assert "another objective needs new weights" in page.wait(lambda frame: frame["revision"] == 2)["notice"]
    page.tell(plays=1, on=True)
    page.wait(lambda frame: frame["step"] > 60 and not frame["notice"])


def test_a_settings_string_of_one_is_taken_by_another(page, sculptor):
    other = sl.Sculptor(images(), prior="spirals", arms=3, weight=12, kernel="laplace", bandwidth=2, batch=32)
    text = other.settings
    page.tell(revision=1, changes={"text": text})
    page.wait(lambda frame: frame["text"] == text)
    assert sl.Sculptor(images(), settings=text).settings == text
    other.close()


def test_slow_motion_takes_its_time(page):
    page.tell(plays=1, on=True, slow=True)
    page.wait(lambda frame: frame["step"] == 2)
    began = time.monotonic()
    page.wait(lambda frame: frame["step"] == 4)
    assert time.monotonic() - began > 0.5  # 2 steps of 0.4 s


def test_a_divergence_stops_it_and_a_reset_repairs_it(page, sculptor):
    page.tell(plays=1, on=True)
    page.wait(lambda frame: frame["step"] > 2)
    sculptor._visit(lambda engine: engine.model().decoder[0].weight.data.fill_(torch.nan))
    frame = page.wait(lambda frame: frame["broken"])
    assert "Reset" in frame["notice"]
    assert not frame["playing"]
    with pytest.raises(RuntimeError):
        sculptor.result()
    sculptor._visit(lambda engine: engine.model().encoder[-1].weight.data.fill_(torch.nan))
    assert "image/png" in sculptor._repr_mimebundle_()[0]  # the cell can be shown again
    page.tell(resets=1)
    page.wait(lambda frame: not frame["broken"] and frame["step"] == 0)
    assert sculptor.result().steps == 0


def test_two_do_not_disturb_each_other(page):
    other = sl.Sculptor(images(), batch=16, seed=1)
    two = Page(other)
    page.tell(plays=1, on=True)
    two.tell(plays=1, on=True)
    page.wait(lambda frame: frame["step"] > 10)
    two.wait(lambda frame: frame["step"] > 10)
    page.tell(plays=2, on=False)
    page.wait(lambda frame: not frame["playing"])
    step = two.last["step"]
    two.wait(lambda frame: frame["step"] > step + 10)
    other.close()


def test_what_it_trains_in_the_thread_is_what_it_trains_without(page, sculptor):
    page.tell(steps=7)
    page.wait(lambda frame: frame["step"] == 7)
    alone = sl.Sculptor(images(), batch=16)
    alone.run(7)
    held_out = images()[:20]
    assert np.array_equal(sculptor.result().encode(held_out), alone.result().encode(held_out))
    alone.close()


def test_close_leaves_no_thread_and_no_model(monkeypatch):
    made = sl.Sculptor(images(), batch=16)
    page = Page(made)
    page.tell(plays=1, on=True)
    page.wait(lambda frame: frame["step"] > 2)
    engine, model = weakref.ref(made._engine), weakref.ref(made._engine.model())
    made.close()
    made.close()
    assert not [t for t in threading.enumerate() if t.name == "sculptor"]
    gc.collect()
    assert engine() is None
    assert model() is None
    with pytest.raises(RuntimeError, match="was closed"):
        made.run(1)


def test_without_a_sign_of_a_page_it_pauses(monkeypatch):
    monkeypatch.setattr("sculptlab.live.worker.ABANDONED_SECONDS", 0.2)
    engine, shown = Engine(images()), []
    worker = Worker(engine, lambda engine, settled: shown.append(worker.next_frame()), Engine.change)
    worker.request(playing=True)
    until = time.monotonic() + 30
    while not engine.notice:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert "no page has answered" in engine.notice
    wait_for_no_thread()
    worker.close()


def test_a_page_that_is_slow_is_not_flooded():
    engine, shown = Engine(images()), []
    worker = Worker(engine, lambda engine, settled: shown.append(worker.next_frame()), Engine.change)
    worker.request(playing=True)
    while engine.step < 100:
        time.sleep(0.01)
    began, before = time.monotonic(), len(shown)
    while time.monotonic() - began < 1.5:
        time.sleep(0.05)
    assert len(shown) - before <= 3  # one a second, as none was seen
    worker.close()


def test_a_visitor_waits_for_a_step_or_two_and_not_for_the_end(sculptor):
    sculptor.play()
    for _ in range(20):
        before = sculptor._engine.step
        assert sculptor._visit(lambda engine: engine.step) <= before + 5


def test_an_interrupt_while_the_settings_are_asked_for_locks_nothing():
    """In a process of its own, as an interrupt goes to the main thread of one; the old lock hung at one of the first."""
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=240, check=False)
    assert ran.stdout.split() == ["interrupted", "and", "free"], ran.stdout + ran.stderr


INTERRUPTED = """
import _thread, os, random, signal, threading, time, torch
import sculptlab as sl

signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
made = sl.Sculptor(torch.rand(64, 1, 4, 4), batch=16).play()
random.seed(0)
came = 0
for _ in range(25):
    try:
        threading.Timer(random.uniform(0.001, 0.005), _thread.interrupt_main).start()
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            made.settings
    except KeyboardInterrupt:
        came += 1
    asked = threading.Thread(target=lambda: made.settings, daemon=True)
    asked.start()
    asked.join(20)
    if asked.is_alive():
        print("locked after", came, flush=True)
        os._exit(1)
print("interrupted and free" if came > 20 else came, flush=True)
made.close()
os._exit(0)
"""


def test_the_rest_of_the_program_keeps_its_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made = sl.Sculptor(images(), batch=16)
        page = Page(made)
        page.tell(plays=1, on=True)
        page.wait(lambda frame: frame["step"] > 2)
        found = []
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert found == [2]
        assert torch.get_num_threads() == 2
        made.close()
    finally:
        torch.set_num_threads(before)


def test_without_a_kernel_a_figure_takes_its_place():
    made = sl.Sculptor(images(), compare=True, batch=16)
    made.run(3)
    data, metadata = made._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "KL, step 3: codes, target" in metadata["image/png"]["alt"]
    image = imread(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.std() > 0.05
    assert made.picture == data["image/png"]  # a saved page shows it too
    made.close()


def test_from_python(sculptor):
    sculptor.change(prior="ring", noise=0.2).reset(seed=5)
    assert sculptor.settings == "sculptor?data=yours&prior=ring&noise=0.2&batch=16&seed=5"
    history = sculptor.run(10)
    assert history["step"].iloc[-1] == 10
    assert sculptor.result().steps == 10
    assert "images, sl.objectives.MMD(prior" in sculptor.code()
    with pytest.raises(ValueError, match="weight"):
        sculptor.change(weight=-1)


def raising(n):
    raise RuntimeError("the source is empty")


@pytest.mark.parametrize(("prior", "words"), [(sl.priors.Gaussian(3), "3 dimension"), (raising, "the source is empty")])
def test_a_script_does_not_train_towards_another_prior_than_was_given(prior, words):
    made = sl.Sculptor(images(), prior, batch=16)  # in a notebook the widget says so and shows the square
    with pytest.raises(ValueError, match=f"prior cannot be used: .*{words}"):
        made.run(2)
    assert made.change(prior="square").run(2)["step"].iloc[-1] == 2
    made.close()


def test_exported_code_says_which_settings_it_repeats(page, sculptor):
    """By them the page knows when the code it shows has become that of another run."""
    page.tell(codes=1)
    until = time.monotonic() + 60
    while not (sent := [content for content, _ in page.messages if content["kind"] == "code"]):
        assert time.monotonic() < until
        time.sleep(0.005)
    assert sent[-1]["settings"] == sculptor.settings == page.wait(lambda frame: True)["text"]


def test_an_objective_that_is_not_trained_is_refused(sculptor):
    for ask in (sculptor.code, sculptor.result):
        with pytest.raises(ValueError, match=r"objective must be .*'mmd'.*got 'kl'"):
            ask("kl")


def test_the_page_needs_no_network_and_no_build():
    """Hatch packs every file of the package that git does not ignore."""
    front = Path(sl.__file__).parent / "live" / "front"
    text = "".join(path.read_text(encoding="utf-8") for path in front.iterdir() if path.suffix in (".js", ".css"))
    assert "http" not in text
    assert not re.search(r"^\s*import\b|\bimport\(", text, re.MULTILINE)
    names = [path.name for path in front.iterdir()]
    ignored = subprocess.run(["git", "check-ignore", "-q", *names], cwd=front, check=False).returncode
    assert ignored != 0
