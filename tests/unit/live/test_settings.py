"""The Sculptor's settings: what they refuse, and that the string holds all of them."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from sculptlab.live.settings import BATCHES, HYPERPARAMETERS, KERNELS, Settings
from sculptlab.live.targets import CANVAS_SIZE, PRESETS, decode_painting, encode_painting, preset_prior, sliders_of


def numbers(slider):
    return st.floats(slider.low, slider.high)


@st.composite
def any_settings(draw):
    name = draw(st.sampled_from([*PRESETS, "painted"]))
    painting = np.array([*draw(st.lists(st.integers(0, 15), min_size=6, max_size=6)), 1])
    gray = np.zeros(CANVAS_SIZE * CANVAS_SIZE, int)
    gray[draw(st.integers(0, CANVAS_SIZE * CANVAS_SIZE - 7)) :][:7] = painting
    return Settings(
        data=draw(st.sampled_from(["digits", "sprites", "mine & yours"])),
        prior=name,
        sliders={slider.name: draw(numbers(slider)) for slider in sliders_of(name)},
        painted=encode_painting(gray.reshape(CANVAS_SIZE, CANVAS_SIZE)) if name == "painted" else "",
        objective=draw(st.sampled_from(["mmd", "kl"])),
        compare=draw(st.booleans()),
        kernel=draw(st.sampled_from(list(KERNELS))),
        batch=draw(st.sampled_from(BATCHES)),
        seed=draw(st.integers(0, 2**31)),
        **{slider.name: draw(numbers(slider)) for slider in HYPERPARAMETERS.values()},
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("learning_rate", "called rate"),
        ("lr", "called rate"),
        ("arms", "a slider of spirals"),
        ("batch_size", "called batch"),
        ("dim", "2 latents"),
        ("x", "one of"),
    ],
)
def test_the_error_of_an_unknown_name_gives_the_right_one(name, words):
    with pytest.raises(ValueError, match=words):
        Settings().changed(**{name: 3})


@hypothesis.given(any_settings())
@hypothesis.settings(deadline=None, max_examples=150)
def test_the_string_holds_every_setting_exactly(settings):
    assert Settings.read(str(settings)) == settings
    assert Settings.read(f"  {settings}\n") == settings


def test_the_string_holds_only_what_differs_from_the_defaults():
    assert str(Settings()) == "sculptor?"
    assert str(Settings().changed(prior="spirals", arms=3, weight=30)) == "sculptor?prior=spirals&arms=3&weight=30.0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digits", "begins with 'sculptor\\?'"),
        ("sculptor?weigth=3", "settings must be one of"),
        ("sculptor?weight=heavy", "weight must be a number"),
        ("sculptor?weight=-1", "weight must lie between"),
        ("sculptor?weight=nan", "weight must be finite"),
        ("sculptor?noise=0.1&prior=square", "a slider of ring, moons, spirals"),
        ("sculptor?prior=cube", "prior must be one of"),
        ("sculptor?prior=painted", "nothing is painted"),
        ("sculptor?prior=ring&painted=AAAA", "painted is for prior='painted', got it with prior='ring'"),
        ("sculptor?prior=painted&painted=AAAA", "painted must be a painting"),
        ("sculptor?sliders=1", "each slider by its name"),
        ("sculptor?batch=7", "batch must be one of"),
        ("sculptor?seed=-1", "seed must be at least 0"),
        ("sculptor?compare=maybe", "compare must be a number"),
        ("sculptor?self=1", "settings must be one of"),
        (f"sculptor?{'a' * 10_000}=1", "settings must be one of"),
        (f"sculptor?{'a' * 10_000}=b", "a must be a number, got 'b'"),
    ],
    ids=range(17),
)
def test_the_error_of_a_bad_string_says_what_is_wrong(text, words):
    with pytest.raises(ValueError, match=words) as error:
        Settings.read(text)
    assert len(str(error.value)) <= 1000


def test_another_prior_has_its_own_sliders():
    settings = Settings(prior="ring").changed(noise=0.3).changed(prior="moons")
    assert settings.sliders == {"noise": 0.1, "size": 1.0, "turn": 0.0}
    assert settings.changed(size=1.2).changed(turn=45).sliders == {"noise": 0.1, "size": 1.2, "turn": 45.0}


def test_no_prior_has_more_than_five_sliders():
    assert all(1 <= len(sliders_of(name)) <= 5 for name in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_drawn_at_the_ends_of_its_sliders(name):
    for ends in ("low", "start", "high"):
        prior = preset_prior(name, {slider.name: getattr(slider, ends) for slider in sliders_of(name)})
        drawn = prior.sample(500, torch.Generator().manual_seed(0))
        assert drawn.shape == (500, 2)
        assert 0.01 < drawn.std() < 4


def test_a_painting_is_a_prior_where_it_was_painted():
    gray = np.zeros((CANVAS_SIZE, CANVAS_SIZE), int)
    gray[4, 24] = 15  # row 4 from the top, column 24 of 32, of a plane from -3.2 to 3.2
    assert np.array_equal(decode_painting(encode_painting(gray)), gray)
    drawn = Settings(prior="painted", painted=encode_painting(gray)).target().sample(200, torch.Generator().manual_seed(0))
    assert drawn[:, 0].min() >= 1.6
    assert drawn[:, 0].max() <= 1.8
    assert drawn[:, 1].min() >= 2.2
    assert drawn[:, 1].max() <= 2.4


def test_draws_of_a_painting_are_proportional_to_its_gray_levels():
    gray = np.zeros((CANVAS_SIZE, CANVAS_SIZE), int)
    gray[:, 0], gray[:, 31] = 5, 15
    drawn = Settings(prior="painted", painted=encode_painting(gray)).target().sample(4000, torch.Generator().manual_seed(0))
    assert (drawn[:, 0] > 0).float().mean().item() == pytest.approx(0.75, abs=0.03)  # 15 / (15 + 5); sd 0.007


def test_bandwidth_multiplies_the_width_that_fits_the_prior():
    settings = Settings(kernel="rbf", bandwidth=0.5)
    target = settings.target()
    wide, narrow = Settings(kernel="rbf").kernel_for(target).fit(target), settings.kernel_for(target)
    assert narrow.width == pytest.approx(wide.width / 2)
