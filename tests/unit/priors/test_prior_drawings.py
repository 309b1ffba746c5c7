"""Images and texts as priors: where the ink is, how much of it, what is refused; banks of points from files."""

import zlib

import numpy as np
import pytest
import torch
from matplotlib import get_data_path
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextToPath
from PIL import Image
from scipy import stats

import sculptlab as sl
from sculptlab import priors
from sculptlab.priors import FromImage, FromText, Samples


def draws(prior, n=20_000):
    return prior.sample(n, torch.Generator().manual_seed(0)).double().numpy()


def ink(text, *, bold=False):
    return FromText(text, bold=bold).darkness


def textbook(image, **options):
    return draws(FromImage(image, standardize=False, **options))


def test_darkness_is_the_density_and_jitter_fills_the_pixels():
    light = np.array([[0.0, 0.5, 1.0], [0.75, 1.0, 0.25]])
    rows = textbook(light)
    column, up = np.floor(rows).astype(int).T
    counts = np.zeros((2, 3))
    np.add.at(counts, (1 - up, column), 1)  # the image's first row is its top
    dark = 1 - light
    assert (counts[dark == 0] == 0).all()
    assert stats.chisquare(counts[dark > 0], 20_000 * dark[dark > 0] / dark.sum()).pvalue > 1e-3
    assert all(stats.kstest(part, "uniform").pvalue > 1e-3 for part in (rows - np.floor(rows)).T)


def test_inverted_lightness_is_the_density():
    light = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert (np.floor(textbook(light, invert=True)) == [1, 1]).all()


@pytest.mark.parametrize(
    "image",
    [
        np.array([[0, 255], [255, 255]], dtype=np.uint8),
        np.array([[False, True], [True, True]]),
        [[0, 1], [1, 1]],
        np.stack([np.array([[0.0, 1.0], [1.0, 1.0]])] * 3, 2),
        np.stack([np.array([[0.0, 1.0], [1.0, 1.0]])] * 3),
        np.array([[[0.0, 1.0], [1.0, 1.0]]]),
        torch.tensor([[0.0, 1.0], [1.0, 1.0]]),
    ],
    ids=["uint8", "bool", "whole numbers", "color", "channels first", "one channel", "tensor"],
)
def test_images_of_every_kind(image):
    assert (np.floor(textbook(image)) == [0, 1]).all()


def test_an_image_file_is_read_and_its_repr_pasted_back(tmp_path):
    pixels = np.full((3, 2, 4), 255, np.uint8)
    pixels[0, 0, :3], pixels[2, 1] = 0, [0, 0, 0, 0]  # one black pixel at the top left; one that is transparent, hence paper
    path = tmp_path / "a drawing.png"
    Image.fromarray(pixels).save(path)
    prior = FromImage(path, standardize=False)
    assert (np.floor(draws(prior)) == [0, 2]).all()
    assert prior.crc32 == f"{zlib.crc32(path.read_bytes()):08x}"
    pasted = eval(repr(prior), dict(vars(priors)))
    assert pasted == prior
    assert torch.equal(pasted.sample(9, torch.Generator().manual_seed(1)), prior.sample(9, torch.Generator().manual_seed(1)))
    pixels[0, 0, :3] = 90
    Image.fromarray(pixels).save(path)
    with pytest.raises(ValueError, match=f"image has changed: its crc32 is .* expected {prior.crc32}"):
        eval(repr(prior), dict(vars(priors)))


def test_a_large_array_says_its_size_and_which_it_is():
    one, other = np.zeros((20, 20)), np.zeros((20, 20))
    other[3, 3] = 0.5
    assert repr(FromImage(one)).startswith("FromImage(<20 x 20 pixels>, ")
    assert repr(FromImage(one)) != repr(FromImage(other))
    assert FromImage(one) != FromImage(other)
    assert FromImage(one) == FromImage(one.copy())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: FromImage(np.ones((4, 4))), ValueError, "image must not be blank: it is all white"),
        (lambda: FromImage(np.zeros((4, 4)), invert=True), ValueError, "image must not be blank: it is all black"),
        (lambda: FromImage(np.zeros(4)), ValueError, r"image must have shape \(h, w\)"),
        (lambda: FromImage(np.zeros((2, 4, 4))), ValueError, r"image must have shape \(h, w\), .* got \(2, 4, 4\)"),
        (lambda: FromImage([[0.0]], invert=1), TypeError, "invert must be True or False"),
        (lambda: FromText("a", bold="x"), TypeError, "bold must be True or False"),
        (lambda: FromImage(np.zeros((0, 4))), ValueError, "image must have shape"),
        (lambda: FromImage(np.full((2, 2), 7.0)), ValueError, r"image must lie in \[0, 1\], or be uint8; got values from 7 to 7"),
        (lambda: FromImage(np.full((2, 2), np.nan)), ValueError, "image has 4 value"),
        (lambda: FromImage(np.eye(2, dtype=np.uint8)), ValueError, "of type bool or float"),
        (lambda: FromImage(None), TypeError, "image must be an array of real numbers"),
        (lambda: FromImage(np.zeros((2, 2)), crc32="00000000"), ValueError, "image has changed"),
        (lambda: FromImage("no such file.png"), FileNotFoundError, "no such file.png"),
        (lambda: FromImage(__file__), ValueError, "image must be a file that pillow can read"),
        (lambda: FromText(""), ValueError, "text must have ink, got ''"),
        (lambda: FromText("  "), ValueError, "text must have ink"),
        (lambda: FromText("a中b\n"), ValueError, r"it lacks '\\n', '中'"),
        (lambda: FromText(5), TypeError, "text must be a string"),
    ],
)
def test_bad_drawings_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def outline_area(letter, bold):
    """Half the sum of cross products along the outlines, which run one way around ink and the other way around holes."""
    font = f"{get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf"
    writer = TextToPath()
    corners, codes = writer.get_text_path(FontProperties(fname=font), letter)
    polygons = Outline(np.asarray(corners) * 64 / writer.FONT_SCALE, codes).to_polygons()
    return abs(sum(np.sum(p[:-1, 0] * p[1:, 1] - p[1:, 0] * p[:-1, 1]) for p in polygons)) / 2


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("letter", ["I", "O", "M", "8", "g", "ä", "&"])
def test_letters_cover_the_area_within_their_outlines(letter, bold):
    assert ink(letter, bold=bold).sum() == pytest.approx(outline_area(letter, bold), rel=0.004)


def test_letters_stand_upright_and_keep_their_holes():
    assert ink("I", bold=True)[2:-2, 2:-2].all()  # a bar
    hole = ink("O")
    assert hole[hole.shape[0] // 2, hole.shape[1] // 2] == 0
    el = ink("L")
    assert el[-3:].mean() > 0.9 > 0.2 > el[:3].mean()  # the foot of an L is at the bottom
    assert el[:, :4].mean() > el[:, -4:].mean()  # and its stem at the left
    stars = ink("$x$_^")  # no formula: dollars are letters as well
    assert stars.shape[1] > 3 * ink("x").shape[1]


def test_a_text_is_drawn_where_its_letters_are():
    prior = FromText("MMD")
    covered = ink("MMD", bold=True)
    rows = draws(prior) / prior.scale + prior.center.numpy()
    column, up = np.floor(rows).astype(int).T
    height, width = covered.shape
    assert (covered[height - 1 - up, column] > 0).all()
    assert np.bincount(3 * column // width, minlength=3).min() > 3000  # each of the three letters has its share
    assert prior.covariance[0, 0] > 4 * prior.covariance[1, 1]  # one factor for both axes: a text stays wide
    assert FromText("MMD", bold=False) != prior


def test_a_bank_from_a_file(tmp_path):
    points = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    np.save(tmp_path / "codes.npy", points)
    np.savetxt(tmp_path / "codes.csv", points, delimiter=",")
    np.savetxt(tmp_path / "named.CSV", points, delimiter=",", header="z0,z1", comments="")
    for name in ("codes.npy", "codes.csv", "named.CSV"):
        prior = Samples(tmp_path / name)
        assert torch.equal(prior.bank, torch.from_numpy(points))
        assert prior.mean.numpy() == pytest.approx(points.mean(0), abs=1e-6)
        assert prior.covariance.numpy() == pytest.approx(np.cov(points.T, bias=True), abs=1e-6)
        pasted = eval(repr(prior), dict(vars(priors)))
        assert torch.equal(pasted.bank, prior.bank)
    np.save(tmp_path / "codes.npy", points + 1)
    with pytest.raises(ValueError, match=r"prior has changed: its crc32 is \w+, expected \w+"):
        eval(repr(Samples(tmp_path / "codes.csv")).replace(".csv", ".npy"), dict(vars(priors)))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("a.txt", b"1,2", "file ending must be one of"), ("a.csv", b"x,y\n1,b\n", "must hold one table of numbers"),
     ("a.npy", b"12", "must hold one table of numbers"),
     ("c.npy", b"\x93NUMPY\x01\x00v\x00" + b"(" * 117 + b"\n", "must hold one table of numbers"),
     ("b.csv", b"1,2\n3,nan\n", "1 value")],
)  # fmt: skip
def test_bad_files_of_points_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        Samples(tmp_path / name)


def test_codes_of_a_model_are_a_prior_and_are_never_drawn_twice_by_diagnose():
    codes = torch.randn(900, 2, generator=torch.Generator().manual_seed(0)) * 3 + 5
    prior = priors.Samples(codes).standardized()
    assert prior.mean.abs().max() < 1e-5
    assert prior.bank.std(0, correction=0).square().mean().item() == pytest.approx(1, rel=1e-4)
    fresh = torch.randn(900, 2, generator=torch.Generator().manual_seed(1))
    joint = sl.diagnose(fresh, prior, permutations=50).joint
    assert (joint["rows"] == 300).all()  # a third of the bank each for the prior's own row, the target and its check
    assert joint["c2st_p"].min() > 0.01
