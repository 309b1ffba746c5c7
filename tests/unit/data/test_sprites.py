"""Sprites: areas and outlines against closed forms, symmetries, the factor grid, bad input, genuine frames."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from sculptlab.data import sprites

CENTER = 0.5  # the position that puts a sprite in the middle of the frame
AREAS = {1: 19.2**2, 2: math.pi * 12.75 * 7.2, 3: 11.25 * math.pi * 9.6 * 0.6622}  # px² at scale 1, 64 px


def image(shape: float, scale: float = 1.0, angle: float = 0.0, x: float = CENTER, y: float = CENTER, **options):
    return sprites.render([[shape, scale, angle, x, y]], **options)[0, 0]


def inside(shape: int, scale: float, angle: float, x: float, y: float, size: int) -> torch.Tensor:
    """The same image from a polygon of 4,000 corners, by matplotlib, which shares no formula with the renderer."""
    t = np.linspace(0, 2 * np.pi, 4001)
    if shape == 1:
        u, v = np.array([-9.6, 9.6, 9.6, -9.6]), np.array([-9.6, -9.6, 9.6, 9.6])
    elif shape == 2:
        u, v = sprites.ELLIPSE_AXES[0] * np.cos(t), sprites.ELLIPSE_AXES[1] * np.sin(t)
    else:
        u = sprites.HEART_WIDTH * np.sin(t) ** 3
        curve = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
        v = -(sprites.HEART_RAISE + sprites.HEART_HEIGHT * curve)
    corners_x = 16 + 32 * x + scale * (np.cos(angle) * u + np.sin(angle) * v)
    corners_y = 16 + 32 * y + scale * (-np.sin(angle) * u + np.cos(angle) * v)
    grid = (np.arange(size) + 0.5) * 64 / size
    centers = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    return torch.tensor(Polygon(np.stack([corners_x, corners_y], 1)).contains_points(centers)).reshape(size, size)


@pytest.mark.parametrize("shape", [1, 2, 3])
@pytest.mark.parametrize("scale", [0.5, 0.8, 1.0])
def test_area_is_the_closed_form(shape, scale):
    area = image(shape, scale, 0.7, size=512).sum().item() / 64  # (512 / 64)² pixels to one of the 64 px frame
    assert area == pytest.approx(AREAS[shape] * scale**2, rel=0.006)


@pytest.mark.parametrize("antialias", [False, True])
def test_center_of_mass_of_square_and_ellipse_is_the_position(antialias):
    values = sprites.sample(60, seed=1)
    values = values[values[:, 0] < 3]
    images = sprites.render(values, antialias=antialias)[:, 0]
    middle = torch.arange(64) + 0.5
    mass = images.sum((1, 2))
    assert torch.allclose((images.sum(1) @ middle) / mass, 16 + 32 * values[:, 3], atol=0.35)
    assert torch.allclose((images.sum(2) @ middle) / mass, 16 + 32 * values[:, 4], atol=0.35)


def test_heart_at_zero_stands_on_its_tip():
    upright = image(3)
    assert torch.equal(upright, upright.flip(1))
    rows = upright.sum(1).nonzero()[:, 0]
    assert upright[rows[-2]].sum() <= 4  # the tip, below
    assert upright[rows[1]].sum() >= 8  # two lobes, above
    assert upright[rows[1], 31:33].sum() == 0  # with the notch between them


def test_orientation_turns_anticlockwise_as_seen():
    quarter = math.pi / 2
    assert torch.equal(image(3, angle=quarter), torch.rot90(image(3), 1))
    rising = image(2, angle=0.5)  # the ellipse's right end goes up
    assert rising[:32, 32:].sum() > rising[32:, 32:].sum()


@pytest.mark.parametrize(("shape", "period"), [(1, math.pi / 2), (2, math.pi), (3, 2 * math.pi)])
def test_rotation_symmetry(shape, period):
    values = torch.tensor([[shape, 0.83, 0.37 + k * period, 0.41, 0.59] for k in range(4)])
    images = sprites.render(values)
    assert (images != images[:1]).sum((1, 2, 3)).max() <= 2  # a center on the outline may fall to either side
    assert (image(shape, angle=0.37) != image(shape, angle=0.37 + period / 2)).sum() > 8


@pytest.mark.parametrize("shape", [1, 2, 3])
def test_moving_by_whole_pixels_moves_the_sprite(shape):
    moved = image(shape, 0.7, 0.9, x=3 / 32, y=5 / 32)
    assert torch.equal(moved, image(shape, 0.7, 0.9, x=0.0, y=0.0).roll((5, 3), (0, 1)))


@pytest.mark.parametrize("size", [16, 32, 64, 100])
def test_pixels_are_on_where_their_center_is_inside_the_polygon(size):
    values = sprites.sample(40, seed=size, continuous=True)
    for row, drawn in zip(values.tolist(), sprites.render(values, size=size)[:, 0], strict=True):
        assert (drawn.bool() != inside(int(row[0]), *row[1:], size)).sum() <= 1, row


def test_antialiasing_is_coverage():
    values = sprites.sample(12, seed=3)
    soft = sprites.render(values, size=32, antialias=True)
    fine = sprites.render(values, size=128)
    assert torch.equal(soft, torch.nn.functional.avg_pool2d(fine, 4))
    assert set((soft.unique() * 16).tolist()) == set(range(17))


@pytest.mark.parametrize("shape", [1, 2, 3])
def test_what_leaves_the_frame_is_cut(shape):
    for x, y in [(-0.45, 0.5), (1.45, 1.4), (0.2, -0.5)]:
        assert (image(shape, 1.0, 0.3, x, y).bool() != inside(shape, 1.0, 0.3, x, y, 64)).sum() <= 1
    assert image(shape, x=1e30).sum() == 0
    assert image(shape, 1e30).min() == 1
    assert image(shape, 1e-30).sum() <= 1


def test_the_order_of_rows_does_not_matter():
    values = sprites.sample(3000, seed=5)  # several chunks of each shape
    images = sprites.render(values)
    turn = torch.randperm(3000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sprites.render(values[turn]), images[turn])
    assert torch.equal(sprites.render(values[17:18]), images[17:18])
    assert images.shape == (3000, 1, 64, 64)
    assert images.dtype == torch.float32
    assert images.unique().tolist() == [0, 1]


def test_arrays_lists_and_doubles_draw_the_same():
    values = sprites.sample(20, seed=2)
    expected = sprites.render(values)
    assert torch.equal(sprites.render(values.numpy()), expected)
    assert torch.equal(sprites.render(values.tolist()), expected)
    assert torch.equal(sprites.render(values.double()), expected)


def test_grid_is_that_of_dsprites():
    assert tuple(sprites.GRID) == sprites.FACTOR_NAMES
    values = torch.cartesian_prod(*sprites.GRID.values())
    assert values.shape == (737_280, 5)
    assert values[[0, 1, 32, 32**2, 40 * 32**2, 240 * 32**2]] == pytest.approx(
        np.array(
            [
                [1, 0.5, 0, 0, 0],
                [1, 0.5, 0, 0, 1 / 31],
                [1, 0.5, 0, 1 / 31, 0],
                [1, 0.5, 2 * math.pi / 39, 0, 0],
                [1, 0.6, 0, 0, 0],
                [2, 0.5, 0, 0, 0],
            ]
        )
    )
    assert values[-1].tolist() == pytest.approx([3, 1, 2 * math.pi, 1, 1])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    shape=st.sampled_from([1, 2, 3]),
    scale=st.floats(0.3, 1.2),
    angle=st.floats(-10, 10),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    antialias=st.booleans(),
)
def test_any_sprite_has_its_area_and_a_mirror_image(shape, scale, angle, x, y, antialias):
    drawn = image(shape, scale, angle, x, y, antialias=antialias)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    rim = 80 * scale  # longer than any outline; each of its points is misplaced by half a sample at most
    assert abs(drawn.sum().item() - AREAS[shape] * scale**2) < (0.125 if antialias else 0.5) * rim
    mirrored = image(shape, scale, -angle, 1 - x, y, antialias=antialias)
    assert (mirrored - drawn.flip(1)).abs().sum() <= 4  # centers on the outline may fall to either side


def test_sample_draws_every_value_equally_often():
    values = sprites.sample(24_000, seed=0)
    for column, name in enumerate(sprites.FACTOR_NAMES):
        found, counts = values[:, column].unique(return_counts=True)
        assert torch.equal(found, sprites.GRID[name])
        expected = 24_000 / len(found)
        assert (counts - expected).abs().max() < 5 * expected**0.5
    assert abs(np.corrcoef(values.T.numpy()) - np.eye(5)).max() < 0.03


def test_sample_follows_its_seed_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first = sprites.sample(50, seed=4, continuous=True)
    assert torch.equal(first, sprites.sample(50, seed=4, continuous=True))
    assert not torch.equal(first, sprites.sample(50, seed=5, continuous=True))
    assert torch.equal(before, torch.get_rng_state())


def test_sample_holds_what_is_fixed_and_leaves_the_grid_if_continuous():
    values = sprites.sample(500, seed=0, fixed={"shape": 2, "scale": 0.75}, continuous=True)
    assert values[:, :2].unique(dim=0).tolist() == [[2, 0.75]]
    free = sprites.sample(500, seed=0, continuous=True)
    for column, name in enumerate(sprites.FACTOR_NAMES):
        grid = sprites.GRID[name]
        assert free[:, column].min() >= grid[0]
        assert free[:, column].max() <= grid[-1]
    assert len(free[:, 0].unique()) == 3
    assert len(free[:, 1].unique()) > 400


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[4, 1, 0, 0, 0]], "shape.*1: 'square'.*got 4"),
        ([[0, 1, 0, 0, 0]], "shape.*got 0"),
        ([[1.5, 1, 0, 0, 0]], "shape.*got 1.5"),
        ([[1, 0, 0, 0, 0]], "scale, must be > 0, got 0"),
        ([[1, -0.5, 0, 0, 0]], "scale, must be > 0, got -0.5"),
        ([[1, 1, math.nan, 0, 0]], "values has 1 value.*NaN"),
        ([[1, 1, 0, math.inf, 0]], "values has 1 value.*infinite"),
        ([[1, 1, 0, 0]], r"values must have 5 column\(s\), got 4"),
        ([1, 1, 0, 0, 0], r"values must have shape \(n, d\)"),
        (np.zeros((0, 5)), "values must have at least 1 row"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        sprites.render(values)


def test_other_bad_input_is_refused():
    good = sprites.sample(1)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        sprites.render(good, size=0)
    with pytest.raises(TypeError, match="size must be a whole number"):
        sprites.render(good, size=32.0)
    with pytest.raises(ValueError, match="antialias must be one of"):
        sprites.render(good, antialias="yes")
    with pytest.raises(ValueError, match="n must be at least 1"):
        sprites.sample(0)
    with pytest.raises(TypeError, match="seed must be a whole number"):
        sprites.sample(1, seed=0.5)
    with pytest.raises(ValueError, match=r"fixed must be one of.*'color'"):
        sprites.sample(1, fixed={"color": 1})
    with pytest.raises(ValueError, match=r"shape.*got 7"):
        sprites.sample(1, fixed={"shape": 7})
    with pytest.raises(ValueError, match=r"fixed\['x'\] must be"):
        sprites.sample(1, fixed={"x": math.nan})


def candidates() -> torch.Tensor:
    """Grid values that could be in the public animation: one factor at a time moves, the others rest at an end."""
    rows = []
    for shape in (1.0, 2.0, 3.0):
        rows += [(shape, scale, 0.0, 0.0, 0.0) for scale in sprites.GRID["scale"]]
        rows += [(shape, 1.0, angle, 0.0, 0.0) for angle in sprites.GRID["orientation"]]
        for moving in sprites.GRID["x"]:
            rows += [(shape, 1.0, 0.0, moving, end) for end in (0.0, 1.0)]
            rows += [(shape, 1.0, 0.0, end, moving) for end in (0.0, 1.0)]
    return torch.tensor(rows)


@pytest.mark.real_data
def test_frames_of_dsprites_are_matched_within_a_few_pixels(real):
    from PIL import Image, ImageSequence  # torchvision's own dependency

    with Image.open(real / "dsprites" / "dsprites.gif") as animation:
        frames = np.stack([np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(animation)])
    assert frames.shape == (320, 64, 64)
    genuine = torch.tensor(frames > 127).flatten(1).float()
    drawn = sprites.render(candidates()).flatten(1)
    apart = genuine.sum(1)[:, None] + drawn.sum(1) - 2 * genuine @ drawn.T  # pixels that differ, every pair
    nearest, which = apart.min(1)
    shapes = candidates()[which, 0]
    assert shapes.unique(return_counts=True)[1].tolist() == [64, 64, 192]
    for shape in (1, 2, 3):
        assert nearest[shapes == shape].max() <= 4
        assert nearest[shapes == shape].mean() < 0.2
