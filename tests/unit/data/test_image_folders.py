"""A folder of pictures: what is read, how it is rotated, and the errors for files that cannot be read."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import sculptlab as sl


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path, **options)


def test_pixels_come_through_in_the_order_of_their_paths(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3))
    for name, image in zip(("b.png", "a.PNG", "below/c.bmp"), pixels, strict=True):
        save(tmp_path / name, image)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.png").write_text("what macOS leaves behind")
    data = sl.load_folder(tmp_path, size=6)
    assert data.images.dtype == torch.float32
    expected = pixels[[1, 0, 2]].transpose(0, 3, 1, 2) / 255
    assert data.images.numpy() == pytest.approx(expected, abs=1e-6)
    assert data.labels is None  # some lie at the top
    assert data.name == tmp_path.name


def test_folders_are_labels(tmp_path):
    for path in ("dogs/1.png", "cats/deep/2.png", "dogs/3.png"):
        save(tmp_path / path, np.zeros((4, 4)))
    data = sl.load_folder(tmp_path, size=4, color=False)
    assert data.images.shape == (3, 1, 4, 4)
    assert data.label_names == ("cats", "dogs")
    assert data.labels.tolist() == [0, 1, 1]


def test_the_middle_square_is_cut_out_and_scaled(tmp_path):
    wide = np.zeros((20, 60))
    wide[:, 20:30], wide[:, 30:40], wide[:, 40:] = 100, 200, 255
    save(tmp_path / "wide.png", wide)
    image = sl.load_folder(tmp_path, size=4, color=False).images[0, 0]
    assert (image[:, 0] * 255).tolist() == pytest.approx([100] * 4, abs=15)  # Lanczos rings a little at the edge
    assert (image[:, 3] * 255).tolist() == pytest.approx([200] * 4, abs=15)


def test_rotation_by_the_camera_is_applied_and_transparency_is_white(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    save(tmp_path / "a.png", np.repeat([[0], [255]], 2, axis=1), exif=turned)
    clear = np.zeros((2, 2, 4))
    clear[0, :, 3] = 255  # black above, transparent below
    save(tmp_path / "b.png", clear)
    images = sl.load_folder(tmp_path, size=2, color=False).images[:, 0]
    assert images.tolist() == [[[1, 1], [0, 0]], [[0, 0], [1, 1]]]


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"folder must be a folder of pictures, got '.*nowhere'"):
        sl.load_folder(tmp_path / "nowhere", size=8)
    with pytest.raises(ValueError, match="found none in or below"):
        sl.load_folder(tmp_path, size=8)
    save(tmp_path / "a.png", np.zeros((4, 4)))
    with pytest.raises(TypeError, match="size must be a whole number"):
        sl.load_folder(tmp_path, size=8.0)
    with pytest.raises(ValueError, match="color must be one of"):
        sl.load_folder(tmp_path, size=8, color="gray")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(ValueError, match=r"b\.jpg' cannot be read as a picture"):
        sl.load_folder(tmp_path, size=8)
    (tmp_path / "b.jpg").unlink()
    Image.fromarray(np.zeros((4, 4), dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png' must have 8 bits"):
        sl.load_folder(tmp_path, size=8)


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    save(tmp_path / "elsewhere" / "1.png", np.zeros((4, 4)))
    save(tmp_path / "mine" / "cats" / "2.png", np.zeros((4, 4)))
    (tmp_path / "mine" / "dogs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine" / "cats" / "again").symlink_to(tmp_path / "mine")
    data = sl.load_folder(tmp_path / "mine", size=4)
    assert data.label_names == ("cats", "dogs")
    assert data.labels.tolist() == [0, 1]


def test_a_file_with_odd_exif_is_named(tmp_path, monkeypatch):
    def unpack_too_few_bytes(picture):
        struct.unpack("<L", b"ab")

    save(tmp_path / "a.jpg", np.zeros((4, 4)))
    monkeypatch.setattr(ImageOps, "exif_transpose", unpack_too_few_bytes)
    with pytest.raises(ValueError, match=r"a\.jpg' cannot be read as a picture \(unpack requires"):
        sl.load_folder(tmp_path, size=4)
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"no chunk")
    with pytest.raises(ValueError, match=r"image must be a file that pillow can read, got '.*c\.png'"):
        sl.priors.FromImage(tmp_path / "c.png")
