"""Particles under the gradient of MMD^2, and the animation that shows them."""

import json
import re
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sculptlab.mmd import mmd2
from sculptlab.mmd.kernels import IMQ, RBF, Energy
from sculptlab.plots.style import Picture
from sculptlab.series.figures.particles import Animation, flow

ONE = [[0.0]]


def run(*arguments, steps, **options):
    return list(islice(flow(*arguments, **options), steps + 1))


def test_a_step_is_the_slope_of_the_kernel():
    (_, after) = run([[1.0]], ONE, RBF(1.0), step=0.5, steps=1)
    assert after.item() == pytest.approx(1 - 0.5 * np.exp(-0.5))  # the witness is k(x, p) - k(0, p), flat at p = x


def test_under_the_energy_kernel_a_lone_particle_moves_at_the_pace_of_its_step():
    places = [x.item() for x in run([[1.0]], ONE, Energy(), step=0.25, steps=4)]
    assert places == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-6)


def test_the_first_position_is_the_start_and_the_start_is_left_alone():
    start = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    kept = start.clone()
    frames = run(start, torch.eye(2), step=0.1, steps=3)
    assert torch.equal(frames[0], kept)
    assert torch.equal(start, kept)
    assert not torch.equal(frames[1], kept)


def test_particles_at_their_target_stay():
    points = torch.randn(20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    after = run(points, points, IMQ(base=4.0), step=0.3, steps=5)[-1]
    assert torch.allclose(after, points, atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), kernel=st.sampled_from([RBF(1.0), IMQ(base=4.0)]))
def test_small_steps_never_raise_mmd(seed, kernel):
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(12, 2, generator=generator, dtype=torch.float64) + 1
    target = torch.randn(15, 2, generator=generator, dtype=torch.float64)
    values = [mmd2(x, target, kernel, "biased").item() for x in run(start, target, kernel, step=0.02, steps=6)]
    assert all(after <= before + 1e-12 for before, after in pairwise(values))


def test_a_step_is_as_long_for_many_particles_as_for_few():
    few, many = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]).repeat(7, 1)
    target = torch.zeros(3, 2)
    assert torch.allclose(
        run(many, target, RBF(1.0), step=0.3, steps=1)[1][0], run(few, target, RBF(1.0), step=0.3, steps=1)[1][0]
    )


def test_noise_is_where_the_slope_is_taken_and_comes_from_the_seed():
    start, target = torch.randn(30, 2, generator=torch.Generator().manual_seed(2)), torch.zeros(4, 2)
    without, almost = (run(start, target, RBF(1.0), step=0.2, noise=noise, steps=1)[1] for noise in (0.0, 1e-6))
    assert torch.allclose(without, almost, atol=1e-5)
    a, b, c = (run(start, target, RBF(1.0), step=0.2, noise=1.0, seed=seed, steps=2)[-1] for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.allclose(a, c)


def test_a_particle_that_feels_nothing_is_moved_by_noise_alone():
    far, target = [[6.0]], [[0.0]]
    still = run(far, target, RBF(0.5), step=1.0, steps=20)[-1]
    moved = run(far, target, RBF(0.5), step=1.0, noise=3.0, steps=20)[-1]
    assert abs(still.item() - 6) < 1e-6
    assert abs(moved.item() - 6) > 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0.0}, "step must be > 0"),
        ({"step": -1.0}, "step must be > 0"),
        ({"step": float("nan")}, "step must be > 0"),
        ({"step": 1.0, "noise": -0.1}, "noise must be >= 0"),
        ({"step": 1.0, "seed": -1}, "seed must be at least 0"),
    ],
)
def test_bad_settings_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        flow(ONE, ONE, **options)  # before the first position is asked for


def test_bad_bags_are_refused():
    with pytest.raises(ValueError, match="target must have 1 column"):
        flow(ONE, [[0.0, 1.0]], step=1.0)
    with pytest.raises(ValueError, match=r"start has 1 value.* NaN"):
        flow([[float("nan")]], ONE, step=1.0)
    with pytest.raises(TypeError, match="got the class IMQ: call it first"):
        flow(ONE, ONE, IMQ, step=1.0)


def test_particles_that_leave_all_bounds_are_reported():
    with pytest.raises(ValueError, match="step must be small enough"):
        run(torch.ones(1, 1), torch.zeros(1, 1), Energy(), step=1e39, steps=3)


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
