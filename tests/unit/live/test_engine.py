"""The Sculptor without a display: changes in any order, messages to the page, and exported code that repeats a run."""

import base64
import contextlib
import io
import math

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.tree import DecisionTreeRegressor

import sculptlab as sl
from sculptlab.data.sources import BUNDLED
from sculptlab.histograms import smoothed
from sculptlab.live.engine import MOST_ROWS, Engine
from sculptlab.live.frames import frame_message, read_changes
from sculptlab.live.script import training_script
from sculptlab.live.settings import BATCHES, KERNELS, Settings
from sculptlab.live.targets import CANVAS_SIZE, EXTENT, PRESETS, Target, decode_painting, encode_painting, tree_lps
from sculptlab.mmd import witness
from sculptlab.threads import one_thread


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


def painting():
    gray = np.zeros((CANVAS_SIZE, CANVAS_SIZE), int)
    gray[10:20, 5:25] = 9
    return encode_painting(gray)


def images(n=64):
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))


EVENTS = st.one_of(
    st.tuples(st.just("step"), st.integers(1, 3)),
    st.tuples(st.just("look"), st.booleans()),
    st.tuples(st.just("clear"), st.none()),
    st.tuples(st.just("reset"), st.sampled_from([None, 0, 1, 7])),
    st.tuples(
        st.just("change"),
        st.one_of(
            st.fixed_dictionaries({"prior": st.sampled_from([*PRESETS, "yours", "painted", "cube"])}),
            st.fixed_dictionaries({"size": st.floats(0.2, 1.7)}),
            st.fixed_dictionaries({"noise": st.one_of(st.floats(-0.1, 0.6), st.just(math.nan))}),
            st.fixed_dictionaries({"weight": st.sampled_from([0.0, 1.0, 1e4, -1.0, math.inf, "heavy"])}),
            st.fixed_dictionaries({"rate": st.sampled_from([1e-4, 1e-2, 0.9, 5.0])}),
            st.fixed_dictionaries({"batch": st.sampled_from([*BATCHES, 3, 16.0])}),
            st.fixed_dictionaries({"kernel": st.sampled_from([*KERNELS, "none"]), "bandwidth": st.sampled_from([0.1, 1.0, 8.0])}),
            st.fixed_dictionaries({"objective": st.sampled_from(["mmd", "kl", "gan"])}),
            st.fixed_dictionaries({"compare": st.booleans()}),
            st.fixed_dictionaries({"painted": st.just(painting()), "prior": st.just("painted")}),
            st.fixed_dictionaries({"painted": st.just(""), "prior": st.just("painted")}),
            st.fixed_dictionaries({"beta": st.floats(0, 10), "seed": st.integers(0, 3)}),
            st.fixed_dictionaries({"data": st.sampled_from(["yours", "nothing_of_that_name"])}),
        ),
    ),
)


def frame(engine, pointer=None, span=EXTENT, settled=False):
    return frame_message(engine, pointer, span, settled=settled)


def consistent(engine):
    settings = engine.settings
    assert Settings.read(str(settings)) == settings
    assert list(engine.log.values())[-1] == settings
    assert list(engine.log) == sorted(engine.log)
    assert 0 in engine.log
    for objective in settings.objectives:
        assert all(torch.isfinite(p).all() for p in engine.model(objective).parameters())
    content, buffers = frame(engine, {"lane": "mmd", "at": [0.1, -0.2]})
    assert content["settings"]["prior"] == settings.prior
    assert [model["name"] for model in content["lanes"]] == list(settings.objectives)
    assert all(len(buffers[model["codes"]]) == 8 * content["count"] for model in content["lanes"])
    assert len(engine.history) <= MOST_ROWS


@hypothesis.given(st.lists(EVENTS, min_size=50, max_size=50))
@hypothesis.settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck))
def test_a_thousand_random_events_leave_it_consistent(events):
    engine = Engine(images())
    for number, (kind, what) in enumerate(events):
        before, step = engine.settings, engine.step
        if kind == "step":
            taken = sum(engine.advance() for _ in range(what))
            assert engine.step == step + taken or (
                engine.error and engine.step < step + taken
            )  # divergence: back to good weights
            assert taken == what or engine.error or engine.blank
        elif kind == "look":
            engine.take_snapshots(with_lps=what)
        elif kind == "reset":
            engine.reset(what)
            assert (engine.step, engine.error, engine.blank, engine.notice) == (0, None, False, "")
        elif kind == "clear":
            engine.clear()
            assert (engine.settings, engine.step, engine.advance()) == (before, step, False)
        else:
            try:
                engine.change(**what)
            except (ValueError, TypeError):
                assert engine.settings == before
                assert engine.step == step
            else:
                assert all(getattr(engine.settings, k, v) == v or k in engine.settings.sliders for k, v in what.items())
        if number % 10 == 9:
            consistent(engine)
    engine.reset()
    engine.change(rate=1e-3, weight=1.0)
    assert engine.advance()


def test_a_divergence_goes_back_to_good_weights_and_forgets_later_steps():
    engine = Engine(images())
    engine.run(60)
    engine.change(weight=2.0)
    with torch.no_grad():
        next(engine.model("mmd").parameters()).fill_(torch.nan)
    assert not engine.advance()
    assert "diverged" in engine.notice
    assert (engine.step, list(engine.log)) == (50, [0, 50])
    assert engine.history["step"].max() <= 50
    consistent(engine)


def test_a_reset_gives_the_same_first_codes_and_another_seed_others():
    engine = Engine(images())
    first = engine.take_snapshots()["mmd"].codes
    engine.run(5)
    engine.reset()
    assert np.array_equal(engine.take_snapshots()["mmd"].codes, first)
    engine.reset(seed=1)
    assert not np.array_equal(engine.take_snapshots()["mmd"].codes, first)


def test_both_models_begin_at_the_same_means_and_decode_alike():
    engine = Engine(images(), Settings(compare=True))
    mmd, kl = engine.model("mmd"), engine.model("kl")
    x = engine.images.held_out
    assert torch.allclose(mmd.encode(x), kl.encode(x), atol=1e-6)  # a product of four columns rounds another way than of two
    assert torch.equal(mmd.decode(mmd.encode(x)), kl.decode(mmd.encode(x)))
    assert torch.equal(kl.posterior(x).log_variance, torch.zeros(len(x), 2))


def repeated(engine, objective=None):
    """The codes that the exported code finds."""
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(training_script(engine, objective), "exported", "exec"), names)
    engine.take_snapshots()
    last = engine.history.iloc[-1]
    shown = [last[f"{engine.name_of(objective)} {name}"] for name in ("reconstruction", "mmd2")]
    assert printed.getvalue() == f"step {engine.step}: reconstruction error {shown[0]:.4g}, MMD² {shown[1]:.3g}\n"
    return names["run"].codes(names["held_out"])


def shown_codes(engine, objective=None):
    return engine.take_snapshots()[engine.name_of(objective)].codes


SPIRALS = {"arms": 3, "turns": 1.5, "noise": 0.05, "size": 1.2, "turn": 30}


@pytest.mark.parametrize(
    "settings",
    [
        Settings(prior="spirals", sliders=SPIRALS, weight=30, kernel="rbf", bandwidth=0.5, batch=64, seed=3),
        Settings(prior="painted", painted=painting(), kernel="energy", rate=0.01),
        Settings(objective="kl", beta=0.5, seed=2),
    ],
    ids=["spirals", "painted", "kl"],
)
def test_the_exported_code_repeats_a_plain_run_to_the_bit(settings):
    engine = Engine(settings=settings)
    engine.run(12)
    assert "sl.fit(" in training_script(engine)
    found = repeated(engine)
    assert np.array_equal(found["samples" if "samples" in found else "codes"], shown_codes(engine))


def test_the_exported_code_repeats_every_change_on_the_way():
    engine = Engine(settings=Settings(prior="ring", compare=True))
    changes = [{"noise": 0.3}, {"prior": "painted", "painted": painting()}, {"batch": 32, "rate": 0.01}, {"kernel": "laplace"}]
    changes += [{"bandwidth": 2.0, "beta": 1.0}, {"prior": "moons"}, {"weight": 3.0}]
    for change in changes:
        engine.run(4)
        engine.change(**change)
    engine.run(4)
    assert np.array_equal(repeated(engine, "mmd")["codes"], shown_codes(engine, "mmd"))
    assert np.array_equal(repeated(engine, "kl")["samples"], shown_codes(engine, "kl"))


def own(n):
    return torch.randn(n, 2)


@pytest.mark.parametrize(
    "prior", [lambda n: torch.randn(n, 2), own, sl.priors.as_prior(own).scaled(2)], ids=["lambda", "own", "within"]
)
def test_code_that_needs_what_only_the_reader_has_says_so(prior):
    engine = Engine(images(), prior=prior)
    engine.run(2)
    assert "prior = ...  # yours" in training_script(engine)
    assert "data = ...  # your images" in training_script(engine)


def test_codes_move_towards_their_target():
    engine = Engine(settings=Settings(prior="square", rate=5e-3))
    history = engine.run(250)
    first, last = history.iloc[0], history.iloc[-1]
    assert last["mmd mmd2"] < 0.2 * first["mmd mmd2"]
    assert last["mmd reconstruction"] < first["mmd reconstruction"]
    assert 0 < engine.target.null_band < 0.02
    assert np.isfinite(last["mmd lps"])


def test_samples_of_the_prior_itself_lie_in_the_null_band():
    target = Engine(images(2000)).target
    outside = 0
    for seed in range(40):
        sample = target.prior.sample(len(target.draws), torch.Generator().manual_seed(100 + seed))
        outside += sl.mmd2(sample, target.draws, target.kernel).item() > target.null_band
    assert outside <= 7  # expected 2 of 40; 7 and more happen once in 300 draws of the band


def test_the_notice_of_codes_that_flew_off_says_what_to_do():
    engine = Engine(images())
    engine.take_snapshots()
    assert engine.advice == ""
    with torch.no_grad():
        engine.model().encoder[-1].weight.mul_(1e6)
    notice = frame(engine)[0]["notice"]
    assert "flew off" in notice
    assert "learning rate (now 0.005), then press Reset" in notice
    engine.change(weight=0.0)  # without a prior nothing is to pull them back
    assert frame(engine)[0]["notice"] == ""
    engine.change(weight=1.0)
    engine.reset()
    assert frame(engine)[0]["notice"] == ""


def test_the_density_of_a_wide_prior_has_no_edge():
    density = Engine(images(), Settings(prior="gaussian", sliders={"size": 1.6})).target.density.astype(float)
    inner = CANVAS_SIZE // 2  # the canvas begins here
    rows = density[:, inner:-inner].mean(1)
    assert 0.7 < rows[inner - 1] / rows[inner] < 1.1
    assert rows[0] < 0.1 * rows[inner]


def test_a_divergence_gives_a_notice_and_a_reset_repairs_it():
    engine = Engine(images(), Settings(rate=1.0, weight=1e5, batch=16))
    for _ in range(300):
        if not engine.advance():
            break
    if engine.error is None:  # Adam's steps are bounded: make it certain
        with torch.no_grad():
            engine.model().decoder[0].weight.fill_(math.nan)
        engine.advance()
    assert "learning_rate" in engine.notice
    assert "Reset" in engine.notice
    assert not engine.advance()
    engine.reset()
    engine.change(rate=1e-3, weight=1.0)
    assert engine.advance()


def test_a_prior_that_fails_later_gives_a_notice_and_can_be_replaced():
    calls = []

    def fragile(n):
        calls.append(n)
        if len(calls) > 12:
            raise RuntimeError("the source is empty")
        return torch.randn(n, 2)

    engine = Engine(images(), prior=fragile)
    while engine.advance():
        assert len(calls) < 50
    assert "the source is empty" in engine.notice
    engine.change(prior="ring")
    engine.reset()
    assert engine.advance()


def test_a_prior_of_three_dimensions_gives_a_notice_and_no_error():
    engine = Engine(images(), prior=sl.priors.Gaussian(3))
    assert "3 dimension(s) and the plane shows 2. Shown instead: the square." in engine.notice
    assert engine.settings.prior == "square"
    assert engine.advance()


def test_the_plane_has_a_width_for_codes_anywhere():
    engine = Engine(images())
    with torch.no_grad():
        engine.model().encoder[-1].bias.fill_(3e38)
    content, _ = frame(engine)
    assert 3e38 < content["span"] < math.inf


def test_images_without_labels_and_in_color():
    engine = Engine(torch.randint(0, 256, (80, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    content, buffers = frame(engine, {"lane": "mmd", "at": (0, 0)}, settled=True)
    assert content["labels"] is None
    assert content["sheet"] == (60, 50, 3)
    assert len(buffers[content["lanes"][0]["sheet"]]) == 60 * 50 * 3
    assert content["pointer"]["shape"] == (9, 6, 5, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [(images(20), "at least 42 images"), (torch.rand(90, 2, 4, 4), "1 or 3 channels"), (torch.rand(90, 5), "must be images")],
)
def test_images_that_cannot_be_shown_are_refused(data, words):
    with pytest.raises(ValueError, match=words):
        Engine(data)


def test_what_lies_under_the_pointer():
    engine = Engine(images(400))
    snapshot = engine.take_snapshots()["mmd"]
    content, buffers = frame(engine, {"lane": "mmd", "at": snapshot.codes[5].tolist()})
    pointer = content["pointer"]
    assert pointer["rows"][0] == 5
    count, height, width, channels = pointer["shape"]
    shown = np.frombuffer(buffers[pointer["images"]], np.uint8).reshape(count, height, width, channels)
    assert np.array_equal(shown[1, :, :, 0], (engine.images.held_out[5, 0] * 255).round().numpy())
    assert np.array_equal(shown[0], shown[2])  # the point is the code: what decodes there is the reconstruction
    distances = np.square(snapshot.codes - snapshot.codes[5]).sum(1)[pointer["rows"]]
    assert (np.diff(distances) >= 0).all()


@pytest.mark.parametrize("pointer", [{"lane": "kl", "at": [0, 0]}, {"lane": "mmd", "at": [math.nan, 0]}, {}, None])
def test_a_pointer_on_nothing_shows_nothing(pointer):
    assert frame(Engine(images()), pointer)[0]["pointer"] is None


def test_the_history_stays_short_and_keeps_both_ends():
    engine = Engine(images(), Settings(batch=16))
    engine.run(1)
    for _ in range(MOST_ROWS + 50):
        engine.advance()
        engine.take_snapshots(with_lps=False)
    steps = engine.history["step"]
    assert len(steps) <= MOST_ROWS
    assert (steps.iloc[0], steps.iloc[-1]) == (0, engine.step)
    assert steps.is_monotonic_increasing
    assert list(engine.history) == ["step", *(f"mmd {name}" for name in ("reconstruction", "mmd2", "lps"))]


def test_the_plane_widens_when_codes_leave_it_and_does_not_flicker():
    engine = Engine(images())
    assert frame(engine)[0]["span"] == pytest.approx(3.2)
    head = engine.model().encoder[-1]
    with torch.no_grad():
        head.weight.mul_(100)
        head.bias.fill_(6.0)
    wide = frame(engine)[0]["span"]
    assert wide > 6
    with torch.no_grad():
        head.weight.mul_(0.95)
    assert frame(engine, span=wide)[0]["span"] == wide


def test_a_painting_from_the_page_is_unpacked_as_it_was_sent():
    pairs = bytes([0x5F, *([0] * (CANVAS_SIZE * CANVAS_SIZE // 2 - 1))])
    changes = read_changes({"painting": base64.b64encode(pairs).decode()}, BUNDLED)
    assert changes["prior"] == "painted"
    assert decode_painting(changes["painted"])[0, :2].tolist() == [5, 15]
    with pytest.raises(ValueError, match="32 x 32 pixels"):
        read_changes({"painting": base64.b64encode(b"123").decode()}, BUNDLED)


@pytest.mark.parametrize(
    "message", [{"data": "cifar10"}, {"text": "sculptor?data=dsprites"}, {"data": "/etc"}, {"data": ["digits"]}]
)
def test_a_page_cannot_ask_for_a_set_that_was_not_offered(message):
    engine = Engine(images())
    with pytest.raises(ValueError, match="data must be one of"):
        read_changes(message, engine.offered)
    assert read_changes({"data": "digits"}, engine.offered) == {"data": "digits"}
    assert read_changes({"text": "sculptor?data=yours"}, engine.offered)["data"] == "yours"


def test_the_tiles_show_what_each_place_decodes_to():
    engine = Engine(images())
    snapshot, box, height = engine.take_snapshots()["mmd"], engine.target.box, 4
    for row, column in ((0, 0), (2, 7), (9, 9)):
        at = torch.tensor([[(column + 0.5) / 5 * box - box, box - (row + 0.5) / 5 * box]])
        with torch.no_grad():
            decoded = (engine.model().decode(at)[0, 0] * 255).numpy()
        shown = snapshot.tiles[row * height : (row + 1) * height, column * height : (column + 1) * height, 0]
        assert np.abs(shown - decoded).max() <= 0.51


def test_a_run_that_is_shown_has_begun():
    engine = Engine(images())
    engine.begin()
    assert (engine.step, list(engine.history["step"])) == (50, [0])
    engine.begin()
    assert engine.step == 50
    other = Engine(images())
    other.run(50)
    assert torch.equal(engine.model().decoder[0].weight, other.model().decoder[0].weight)


def test_each_code_is_pulled_to_where_codes_are_missing():
    """Draws of the prior are pulled as much as chance; codes in one place are all pulled the same way."""
    engine = Engine("digits")
    codes = engine.target.prior.sample(449, torch.Generator().manual_seed(5)).numpy().copy()
    lengths = np.linalg.norm(engine.pulls("mmd", codes), axis=1)
    assert 0.5 < np.quantile(lengths, 0.95) < 2
    pulls = engine.pulls("mmd", np.full((449, 2), [4.0, 0.0], np.float32))
    assert (pulls[:, 0] < -2).all()  # to the left, where the square is
    assert np.ptp(pulls, axis=0) == pytest.approx([0, 0], abs=1e-3)
    assert abs(pulls[0, 1]) < 0.1 * abs(pulls[0, 0])
    codes[:110] += [5.0, 0.0]
    pulls = engine.pulls("mmd", codes)
    lengths = np.linalg.norm(pulls, axis=1)
    points = torch.from_numpy(codes).double().requires_grad_()
    target = engine.target.draws.double()
    (gradient,) = torch.autograd.grad(witness(points.detach(), target, points, engine.target.kernel).sum(), points)
    assert pulls @ np.ones(2) == pytest.approx(-(gradient.sum(1) / gradient.norm(dim=1).max()).numpy() * lengths.max(), abs=0.05)
    engine.change(weight=0.0)
    assert engine.pulls("mmd", codes) is None  # nothing pulls
    assert engine.pulls("kl", codes) is None


@pytest.mark.parametrize("shape", PRESETS)
def test_the_chance_level_of_lps_by_the_tree_is_zero(shape):
    draws = Target(Settings().changed(prior=shape).target(), 449).draws
    for rows in (20, 60, 449):
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(rows))
        shuffled = torch.stack([draws[:rows, 0], draws[order, 1]], 1)
        assert tree_lps(shuffled) < 0.02


@pytest.mark.parametrize("shape", PRESETS)
def test_lps_by_the_tree_is_that_of_scikit_learns_tree(shape):
    draws = Target(Settings().changed(prior=shape).target(), 449).draws
    for codes in (draws[:20], draws[:61], draws, (4 * draws).round(), draws * torch.tensor([1e-6, 1e6])):
        expected = sl.lps(codes, DecisionTreeRegressor(min_samples_leaf=20, random_state=0), permutations=0).score
        assert tree_lps(codes) == pytest.approx(expected, abs=2e-3)


def test_lps_by_the_tree_where_less_than_two_latents_vary():
    codes = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert np.isnan(tree_lps(codes[:19]))
    codes[:, 1] = 3.0
    assert tree_lps(codes) == 0
    assert np.isnan(tree_lps(torch.ones(50, 2)))


def test_the_density_is_smoothed_as_scipy_does():
    counts = np.random.default_rng(0).poisson(0.3, (9, 12)).astype(float)
    for deviation in (0.7, 2.0):
        np.testing.assert_allclose(smoothed(counts, deviation), gaussian_filter(counts, deviation), atol=1e-12)
