"""The sets as tensors: pixel for pixel what the sources hold, for the bundled ones, small imitations and the real ones."""

import errno
import gzip
import hashlib
import io
import os
import pickle
import re
import runpy
import shutil
import struct
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import sculptlab as sl
from sculptlab.data import DataDamaged, DataNotFound, Dataset, checksums, downloads, folders, loading, readers
from sculptlab.data.downloads import locate
from sculptlab.data.sources import NAMES, PUBLISHED, SHIPPED, File, Source

REPOSITORY = Path(__file__).resolve().parents[3]

TINY_DOWNLOADS = PUBLISHED["tiny_imagenet"].downloads


@pytest.fixture
def mine(tmp_path, monkeypatch) -> Path:
    """An empty $SCULPTLAB_DATA, with a cache of its own and nothing decoded before."""
    monkeypatch.setenv("SCULPTLAB_DATA", str(tmp_path / "mine"))
    monkeypatch.setattr(folders, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(checksums, "_checked_here", {})
    loading._read.cache_clear()
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def imitate(monkeypatch, root: Path, name: str, files: dict[str, tuple[str, ...]]) -> Source:
    """Make what lies in `root` the published set `name`: `files` are the paths that each split reads."""

    def listed(path: str) -> File:
        kind = "md5" if (root / path).is_file() else "tree-sha256"
        unpacked = "md5:0" if path.endswith(".gz") else ""
        return File(path, checksums.compute_checksum(root / path, kind), unpacked)

    splits = {split: tuple(map(listed, paths)) for split, paths in files.items()}
    fake = replace(PUBLISHED[name], splits=splits, downloads=())
    monkeypatch.setitem(PUBLISHED, name, fake)
    return fake


# --- the bundled sets ------------------------------------------------------------------------------------------------


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    bunch, data = load_digits(), sl.load("digits")
    assert data.images.dtype == torch.float32
    assert data.image_shape == (1, 8, 8)
    assert np.array_equal(data.images[:, 0].numpy() * 16, bunch.images)
    assert np.array_equal(data.labels.numpy(), bunch.target)
    assert data.label_names == tuple("0123456789")
    assert (data.factors, data.factor_names) == (None, ())


def test_uint8_digits_spread_over_0_to_255():
    data = sl.load("digits", dtype="uint8")
    assert data.images.dtype == torch.uint8
    assert (data.images.min(), data.images.max()) == (0, 255)
    assert torch.equal(data.images, (sl.load("digits").images * 255).round().byte())


def test_patches_tile_the_two_photographs_without_overlap():
    from sklearn.datasets import load_sample_images

    data = sl.load("patches", dtype="uint8")
    assert len(data) == 520
    assert data.labels.bincount().tolist() == [260, 260]
    for label, photograph in enumerate(load_sample_images().images):
        tiles = data.images[data.labels == label].reshape(13, 20, 3, 32, 32)
        whole = tiles.permute(0, 3, 1, 4, 2).reshape(416, 640, 3)
        assert np.array_equal(whole.numpy(), photograph[:416])
    assert sl.load("patches", stride=8).images.shape == (7_700, 3, 32, 32)


def test_patches_and_mnist_stay_the_same_for_a_seed_and_change_with_it():
    first, same, other = (sl.load("patches", n=50, seed=s).images for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    whole = {tuple(image.flatten().tolist()) for image in sl.load("patches").images}
    assert {tuple(image.flatten().tolist()) for image in first} <= whole


def test_sprites_come_with_the_factors_they_were_drawn_from():
    data = sl.load("sprites", n=64, size=32, seed=3)
    assert data.images.shape == (64, 1, 32, 32)
    assert data.factor_names == sl.data.sprites.FACTOR_NAMES
    assert torch.equal(data.images, sl.data.sprites.render(data.factors, size=32).float())
    assert torch.equal(data.labels, data.factors[:, 0].long() - 1)
    assert data.label_names == ("square", "ellipse", "heart")
    assert not torch.equal(data.factors, sl.load("sprites", n=64, size=32, seed=4).factors)


CODE_OFFLINE = """
import socket, sys
def refused(*arguments, **options): raise OSError("no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
import sculptlab as sl
from sculptlab.data import folders
folders.cache = lambda: None
assert sl.__file__.startswith(sys.argv[1])
for split in ("train", "test"):
    data = sl.load("fashion_mnist_small", split)
    print(len(data), *data.images.shape[1:], *data.labels.bincount().tolist())
"""


def test_fashion_mnist_small_is_balanced_and_named_as_torchvision_names_it():
    from torchvision.datasets import FashionMNIST

    for split, n in (("train", 600), ("test", 100)):
        data = sl.load("fashion_mnist_small", split)
        assert data.images.shape == (10 * n, 1, 28, 28)
        assert data.images.dtype == torch.float32
        assert (data.images.min(), data.images.max()) == (0, 1)
        assert data.labels.bincount().tolist() == [n] * 10
        assert len(torch.unique(data.images.flatten(1), dim=0)) == 10 * n
        assert data.label_names == tuple(FashionMNIST.classes)
    assert torch.equal(sl.load("fashion_mnist_small").images, sl.load("fashion_mnist_small", "train").images)


def test_fashion_mnist_small_has_the_license_of_its_source():
    text = (SHIPPED / PUBLISHED["fashion_mnist_small"].folder / "LICENSE").read_text(encoding="utf-8")
    assert "Copyright © 2017 Zalando SE" in text
    assert "The above copyright notice and this permission notice shall be included in all copies" in text


@pytest.mark.parametrize("fault", ["altered", "missing"])
def test_damage_to_what_ships_is_named(mine, monkeypatch, fault):
    shutil.copytree(SHIPPED / "bundled", mine / "bundled")
    monkeypatch.setattr(downloads, "SHIPPED", mine)
    sl.load("fashion_mnist_small", "test")
    path = mine / PUBLISHED["fashion_mnist_small"].splits["test"][0].path
    path.write_bytes(path.read_bytes()[:-1]) if fault == "altered" else path.unlink()
    said = f"{path} is not the published one" if fault == "altered" else f"{path.parent} is incomplete"
    monkeypatch.delenv("SCULPTLAB_DATA")
    with pytest.raises(DataDamaged, match=f"{re.escape(said)}.*ships with sculptlab: install it again"):
        sl.load("fashion_mnist_small", "test")


def test_a_wheel_has_fashion_mnist_small_and_reads_it_without_a_network_or_a_home_folder(tmp_path):
    """The wheel is laid out as pyproject.toml says, since building one downloads what builds it."""
    wheel = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source, place in {**{name: name for name in wheel["packages"]}, **wheel["force-include"]}.items():
        copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy
        copy(REPOSITORY / source, tmp_path / place)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path / "absent"), "SCULPTLAB_DATA": ""}
    command = [sys.executable, "-c", CODE_OFFLINE, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["6000 1 28 28" + " 600" * 10, "1000 1 28 28" + " 100" * 10]


# --- imitations of the published ones --------------------------------------------------------------------------------


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_are_read_packed_and_unpacked(mine, monkeypatch, packed):
    images = np.arange(6 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(6, 28, 28)
    labels = np.array([3, 1, 4, 1, 5, 9], dtype=np.uint8)
    (mine / "MNIST/raw").mkdir(parents=True)
    end = ".gz" if packed else ""
    for name, array in (("images", images), ("labels", labels)):
        content = idx_bytes(array)
        (mine / f"MNIST/raw/{name}{end}").write_bytes(gzip.compress(content) if packed else content)
    imitate(monkeypatch, mine, "mnist", {"train": (f"MNIST/raw/images{end}", f"MNIST/raw/labels{end}")})
    data = sl.load("mnist", dtype="uint8")
    assert np.array_equal(data.images[:, 0].numpy(), images)
    assert data.labels.tolist() == labels.tolist()
    assert torch.equal(sl.load("mnist").images, data.images.float() / 255)
    assert sorted(path.name for path in (mine / "MNIST/raw").iterdir()) == [f"images{end}", f"labels{end}"]


@pytest.fixture
def cifar10(mine, monkeypatch) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3 * 32 * 32), dtype=np.uint8)
    folder = mine / "cifar-10-batches-py"
    folder.mkdir()
    for i, rows in enumerate((slice(0, 4), slice(4, 8))):
        batch = {"data": pixels[rows], "labels": [0, 1, 2, 3]}
        (folder / f"data_batch_{i}").write_bytes(pickle.dumps(batch, 4))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["plane", "car", "bird", "cat"]}, 4))
    paths = tuple(f"cifar-10-batches-py/{name}" for name in ("data_batch_0", "data_batch_1", "batches.meta"))
    imitate(monkeypatch, mine, "cifar10", {"train": paths})
    return pixels


def test_cifar_batches_are_joined(cifar10):
    data = sl.load("cifar10", dtype="uint8")
    assert np.array_equal(data.images.numpy(), cifar10.reshape(8, 3, 32, 32))
    assert data.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert data.label_names[2] == "bird"


def test_nothing_is_read_twice_and_no_caller_can_change_it(cifar10, monkeypatch):
    first = sl.load("cifar10", dtype="uint8")
    first.images.zero_()
    first.labels.zero_()
    monkeypatch.setitem(readers.READERS, "cifar10", lambda paths: pytest.fail("read again"))
    again = sl.load("cifar10", dtype="uint8")
    assert np.array_equal(again.images.numpy(), cifar10.reshape(8, 3, 32, 32))
    assert again.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_what_is_kept_in_memory_is_bounded():
    for n in range(1, 20):
        sl.load("sprites", n=n)
    assert loading._read.cache_info().currsize < 5


def test_a_pickle_that_changed_after_its_check_runs_nothing(cifar10, mine, monkeypatch):
    folder, ran = mine / "cifar-10-batches-py", []
    monkeypatch.setattr(checksums, "verify", lambda path, expected: expected)  # as if it changed right after

    class Bomb:
        def __reduce__(self):
            return ran.append, (1,)

    for bomb, said in ((Bomb(), "it would call"), (print, "it would call .*print"), ([1, 2], "is not the published one")):
        (folder / "data_batch_1").write_bytes(pickle.dumps(bomb, 2))
        with pytest.raises(DataDamaged, match=rf"data_batch_1 is not the published one: .*{said if 'call' in said else ''}"):
            sl.load("cifar10")
    assert not ran


def test_a_pickle_that_is_not_the_published_one_is_never_opened(cifar10, mine):
    class Bomb:
        def __reduce__(self):
            return (os.abort, ())

    (mine / "cifar-10-batches-py/data_batch_1").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataDamaged, match="data_batch_1 is not the published one"):
        sl.load("cifar10")


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


@pytest.fixture
def tiny_imagenet(mine, monkeypatch) -> Path:
    """Three validation images, the second one grayscale, and 500 training images of one class."""
    folder = mine / "tiny-imagenet-200"
    (folder / "val/images").mkdir(parents=True)
    (folder / "train/n02/images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("n02\nn01\n")
    (folder / "words.txt").write_text("n01\treel\nn02\tEgyptian cat, Felis\nn99\tnot among them\n")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for i, pixels in enumerate((noise, noise[..., 0], noise[::-1])):
        (folder / f"val/images/val_{i}.JPEG").write_bytes(jpeg(pixels))
    lines = [f"val_{i}.JPEG\t{wnid}\t0\t0\t9\t9\n" for i, wnid in enumerate(("n01", "n02", "n01"))]
    (folder / "val/val_annotations.txt").write_text("".join(lines))
    words = ("tiny-imagenet-200/wnids.txt", "tiny-imagenet-200/words.txt")
    test = (*words, "tiny-imagenet-200/val/val_annotations.txt", "tiny-imagenet-200/val/images")
    imitate(monkeypatch, mine, "tiny_imagenet", {"test": test, "train": (*words, "tiny-imagenet-200/train")})
    return folder


def test_tiny_imagenet_grayscale_becomes_color_and_labels_follow_wnids(tiny_imagenet):
    data = sl.load("tiny_imagenet", dtype="uint8")
    assert data.images.shape == (3, 3, 64, 64)
    for i in range(3):
        with Image.open(tiny_imagenet / f"val/images/val_{i}.JPEG") as image:
            assert image.mode == ("L" if i == 1 else "RGB")
            assert np.array_equal(data.images[i].permute(1, 2, 0).numpy(), np.asarray(image.convert("RGB")))
    assert torch.equal(data.images[1, 0], data.images[1, 2])
    assert data.labels.tolist() == [1, 0, 1]
    assert data.label_names == ("Egyptian cat", "reel")


def test_tiny_imagenet_is_decoded_once_for_all_processes_and_again_when_its_images_change(tiny_imagenet, monkeypatch):
    first = sl.load("tiny_imagenet").images
    loading._read.cache_clear()  # as in the next process
    with monkeypatch.context() as patch:
        patch.setattr(readers, "_decode_jpegs", lambda *_: pytest.fail("decoded again"))
        assert torch.equal(sl.load("tiny_imagenet").images, first)
    loading._read.cache_clear()
    (decoded,) = (folders.cache() / "decoded").glob("*.npy")
    decoded.write_bytes(decoded.read_bytes()[:1_000])
    assert torch.equal(sl.load("tiny_imagenet").images, first)
    assert not [path for path in decoded.parent.iterdir() if ".part" in path.name]


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def offline(*_: object, **options: object) -> None:
    raise OSError("offline")


@pytest.mark.parametrize("lack", ["permission", "room"])
def test_tiny_imagenet_without_a_cache_to_write_to(tiny_imagenet, monkeypatch, lack):
    if lack == "permission":
        monkeypatch.setattr(folders, "writable", lambda folder: False)
    else:
        monkeypatch.setattr(np, "save", full_disk)
    assert len(sl.load("tiny_imagenet")) == 3
    assert not list(folders.cache().rglob("*.npy"))


def test_tiny_imagenet_names_a_truncated_image(tiny_imagenet):
    path = tiny_imagenet / "val/images/val_1.JPEG"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataDamaged, match=r"val_1\.JPEG"):
        sl.load("tiny_imagenet")


def test_tiny_imagenets_training_images(tiny_imagenet, monkeypatch):
    (tiny_imagenet / "wnids.txt").write_text("n02\n")
    source = PUBLISHED["tiny_imagenet"]
    words, trains = source.splits["train"][1], File("tiny-imagenet-200/train", "tree-sha256:")
    wnids = File("tiny-imagenet-200/wnids.txt", checksums.compute_checksum(tiny_imagenet / "wnids.txt", "md5"))
    monkeypatch.setitem(PUBLISHED, "tiny_imagenet", replace(source, splits={"train": (wnids, words, trains)}))
    content = jpeg(np.full((64, 64, 3), 128, np.uint8))
    for i in range(500):
        (tiny_imagenet / f"train/n02/images/n02_{i}.JPEG").write_bytes(content)
    data = sl.load("tiny_imagenet", "train", n=20)
    assert data.images.shape == (20, 3, 64, 64)
    assert data.labels.unique().tolist() == [0]
    loading._read.cache_clear()  # as in the next process
    (tiny_imagenet / "train/n02/images/n02_7.JPEG").unlink()
    with pytest.raises(DataDamaged, match=r"n02_7\.JPEG"):
        sl.load("tiny_imagenet", "train")


def test_tiny_imagenet_with_validation_images_only_says_that_train_is_missing(tiny_imagenet, monkeypatch):
    (tiny_imagenet / "train/n02/images").rmdir()
    (tiny_imagenet / "train/n02").rmdir()
    (tiny_imagenet / "train").rmdir()
    monkeypatch.setattr("urllib.request.urlopen", offline)
    published = replace(PUBLISHED["tiny_imagenet"], downloads=TINY_DOWNLOADS)
    monkeypatch.setitem(PUBLISHED, "tiny_imagenet", published)
    with pytest.raises(
        DataNotFound, match=r"(?s)validation images are here.*train/ is missing.*fetch tiny_imagenet --split train"
    ):
        sl.load("tiny_imagenet", "train")


@pytest.fixture
def dsprites(mine, monkeypatch) -> dict[str, np.ndarray]:
    """24 binary images in the published file's format, its pickled metadata included."""
    rng = np.random.default_rng(0)
    arrays = {
        "imgs": rng.integers(0, 2, (24, 64, 64), dtype=np.uint8),
        "latents_values": np.column_stack([np.ones(24), rng.random((24, 5))]),
        "latents_classes": np.column_stack([np.zeros(24, int), np.arange(24) // 8, np.zeros((24, 4), int)]),
    }
    (mine / "dsprites").mkdir()
    path = mine / PUBLISHED["dsprites"].downloads[0].path
    np.savez_compressed(path, metadata=np.array({"title": "x"}, dtype=object), **arrays)
    imitate(monkeypatch, mine, "dsprites", {"all": (f"dsprites/{path.name}",)})
    return arrays


def test_dsprites_images_factors_and_shapes(dsprites, monkeypatch):
    data = sl.load("dsprites")
    assert np.array_equal(data.images[:, 0].numpy(), dsprites["imgs"])
    assert np.array_equal(data.factors.numpy(), dsprites["latents_values"][:, 1:].astype(np.float32))
    assert data.labels.tolist() == dsprites["latents_classes"][:, 1].tolist()
    assert data.factor_names == ("shape", "scale", "orientation", "x", "y")
    loading._read.cache_clear()
    monkeypatch.setattr(readers, "_pack_bits", lambda *_: pytest.fail("unpacked again"))
    some = sl.load("dsprites", n=5, seed=1, dtype="uint8")
    assert some.images.unique().tolist() == [0, 255]
    rows = [int((data.factors == row).all(dim=1).nonzero()) for row in some.factors]
    assert torch.equal(some.images.float() / 255, data.images[rows])


def test_a_truncated_npz_is_named(dsprites, mine):
    (path,) = (mine / "dsprites").iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataDamaged, match=r"64x64\.npz is not the published one"):
        sl.load("dsprites")
    assert not zipfile.is_zipfile(path)


# --- the real ones ---------------------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_mnist_and_fashion_mnist(real, name, tmp_path):
    from torchvision import datasets as tv

    assert locate(name, "test") == real / PUBLISHED[name].folder
    train, test = sl.load(name), sl.load(name, "test", dtype="uint8")
    assert (train.images.shape, test.images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert (train.images.min(), train.images.max()) == (0, 1)
    if name == "fashion_mnist":
        assert train.labels.bincount().tolist() == [6_000] * 10
    for file in PUBLISHED[name].splits["test"]:
        content = gzip.decompress(file.find(real)[0].read_bytes())
        path = tmp_path / Path(file.path).with_suffix("")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for file in PUBLISHED[name].splits["train"]:  # torchvision wants to see all four, and reads two
        (tmp_path / Path(file.path).with_suffix("")).write_bytes(b"")
    theirs = {"mnist": tv.MNIST, "fashion_mnist": tv.FashionMNIST}[name](tmp_path, train=False)
    assert torch.equal(test.images[:, 0], theirs.data)
    assert torch.equal(test.labels, theirs.targets)


@pytest.mark.real_data
def test_fashion_mnist_small_is_made_again_from_the_published_files(real, tmp_path):
    for split, n in (("train", 600), ("test", 100)):
        whole, small = (sl.load(name, split, dtype="uint8") for name in ("fashion_mnist", "fashion_mnist_small"))
        rows = torch.cat([(whole.labels == label).nonzero()[:n, 0] for label in range(10)]).sort().values
        assert torch.equal(small.images, whole.images[rows])
        assert torch.equal(small.labels, whole.labels[rows])
    script = REPOSITORY / "data" / "make_fashion_mnist_small.py"
    runpy.run_path(str(script))["make"](real, tmp_path)
    for file in (file for files in PUBLISHED["fashion_mnist_small"].splits.values() for file in files):
        content = gzip.decompress((tmp_path / file.path).read_bytes())  # other versions of zlib compress to other bytes
        assert f"md5:{hashlib.md5(content).hexdigest()}" == file.unpacked
        assert content == gzip.decompress((SHIPPED / file.path).read_bytes())


@pytest.mark.real_data
def test_real_cifar10(real):
    from torchvision.datasets import CIFAR10
    from torchvision.transforms.functional import to_tensor

    assert locate("cifar10") == real / "cifar-10-batches-py"
    test = sl.load("cifar10", "test")
    theirs = CIFAR10(real, train=False)
    assert torch.equal((test.images * 255).round().byte().permute(0, 2, 3, 1), torch.from_numpy(theirs.data))
    assert torch.equal(test.images[7], to_tensor(theirs[7][0]))
    assert test.labels.tolist() == theirs.targets
    assert test.label_names == tuple(theirs.classes)
    assert sl.load("cifar10", n=500, dtype="uint8").images.shape == (500, 3, 32, 32)
    assert sl.load("cifar10", dtype="uint8").labels.bincount().tolist() == [5_000] * 10


@pytest.mark.real_data
def test_real_tiny_imagenet(real):
    folder = real / "tiny-imagenet-200"
    assert locate("tiny_imagenet") == folder
    data = sl.load("tiny_imagenet", dtype="uint8")
    assert data.images.shape == (10_000, 3, 64, 64)
    assert data.labels.bincount().tolist() == [50] * 200
    assert len(set(data.label_names)) == 200
    gray = 0
    for i in range(0, 10_000, 50):
        with Image.open(folder / f"val/images/val_{i}.JPEG") as image:
            gray += image.mode == "L"
            assert np.array_equal(data.images[i].permute(1, 2, 0).numpy(), np.asarray(image.convert("RGB")))
    assert gray > 0


# --- Dataset ---------------------------------------------------------------------------------------------------------


def numbered(labels: list[int] | None) -> Dataset:
    n = 12 if labels is None else len(labels)
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1)
    return Dataset("numbered", images, None if labels is None else torch.tensor(labels))


def test_repr_says_what_it_is():
    said = repr(sl.load("digits"))
    assert said == "<digits: 1,797 images of 1x8x8, float32 in [0, 1] on cpu; 10 labels>"
    assert "factors shape, scale" in repr(sl.load("sprites", n=3))


def test_subset_takes_lists_slices_and_masks_with_labels_and_factors():
    data = sl.load("sprites", n=10)
    for rows in ([3, 1], torch.tensor([3, 1]), np.array([3, 1])):
        some = data.subset(rows)
        assert torch.equal(some.images, data.images[[3, 1]])
        assert torch.equal(some.labels, data.labels[[3, 1]])
        assert torch.equal(some.factors, data.factors[[3, 1]])
    assert torch.equal(data.subset(slice(-2, None)).images, data.images[8:])
    assert torch.equal(data.subset(data.labels == data.labels[0]).labels.unique(), data.labels[:1])


def test_split_is_stratified_to_one_image():
    rest, held = sl.load("digits").split(test=0.25, seed=1)
    assert (len(rest), len(held)) == (1_348, 449)
    exact = sl.load("digits").labels.bincount() * 449 / 1_797
    assert (held.labels.bincount() - exact).abs().max() < 1


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.floats(0.01, 0.99), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_split_is_a_stratified_repeatable_partition(labels, test, seed):
    data = numbered(labels)
    held_out = round(test * len(data))
    if not 0 < held_out < len(data):
        with pytest.raises(ValueError, match="test must leave at least one"):
            data.split(test, seed)
        return
    rest, held = data.split(test, seed)
    assert sorted([*rest.images.flatten().tolist(), *held.images.flatten().tolist()]) == list(range(len(data)))
    assert len(held) == held_out
    exact = data.labels.bincount(minlength=4) * held_out / len(data)
    assert ((held.labels.bincount(minlength=4) - exact).abs() <= 1).all()
    assert torch.equal(data.split(test, seed)[1].images, held.images)


def test_split_without_labels_and_with_another_seed():
    first, second = (numbered(None).split(0.5, seed)[1].images.flatten().tolist() for seed in (0, 1))
    assert len(first) == 6
    assert first != second


def test_numpys_global_random_state_is_left_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    sl.load("sprites", n=5, seed=1).split(0.4)
    sl.load("patches", n=5, seed=1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_to_another_device():
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    moved = sl.load("sprites", n=3, device="cuda")
    assert {t.device.type for t in (moved.images, moved.labels, moved.factors)} == {"cuda"}
    assert len(moved.subset([0])) == 1
    assert len(moved.split(0.4)[0]) == 2


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: sl.load("minst"), ValueError, "name must be one of digits, .*mnist.*; got 'minst'"),
        (lambda: sl.load("digits", "test"), ValueError, r"split must be None for digits.*\.split\(\)"),
        (lambda: sl.load("mnist", "val"), ValueError, "split of mnist must be one of"),
        (lambda: sl.load("digits", dtype="float16"), ValueError, "dtype must be one of"),
        (lambda: sl.load("digits", device="tpu7"), ValueError, "device must be .* got 'tpu7'"),
        (lambda: sl.load("digits", size=3), ValueError, r"'size' is not an option of digits, which has \['n', 'seed'\]"),
        (lambda: sl.load("patches", stride=0), ValueError, "stride must be at least 1"),
        (lambda: sl.load("patches", n=521), ValueError, "n must be at most 520"),
        (lambda: sl.load("patches", n=0), ValueError, "n must be at least 1"),
        (lambda: sl.load("patches", n=2.5), TypeError, "n must be a whole number"),
        (lambda: sl.load("patches", seed=-1), ValueError, "seed must be at least 0"),
        (lambda: numbered(None).subset([12]), ValueError, r"indices must be .* whole numbers in 0\.\.11.*got \[12\]"),
        (lambda: numbered(None).subset([-1]), ValueError, r"indices must be .* whole numbers in 0\.\.11.*got \[-1\]"),
        (lambda: numbered(None).subset([]), ValueError, "indices must be a non-empty list"),
        (lambda: numbered(None).subset([0.5]), ValueError, "indices must be a non-empty list"),
        (lambda: numbered(None).subset([True, False]), ValueError, "indices must be a non-empty list"),
        (lambda: numbered(None).split(0), ValueError, "test must be > 0"),
        (lambda: numbered(None).split(1.0), ValueError, "test must leave at least one of 12 images"),
        (lambda: Dataset("x", np.zeros((2, 1, 3, 3))), TypeError, "images must be a float32 or uint8 tensor, got float64"),
        (lambda: Dataset("x", torch.zeros(2, 3, 3)), ValueError, r"images must have shape \(n, c, h, w\)"),
        (lambda: Dataset("x", torch.zeros(0, 1, 3, 3)), ValueError, "images must have shape"),
        (lambda: Dataset("x", torch.full((2, 1, 3, 3), 255.0)), ValueError, r"images must lie in \[0, 1\], got 255"),
        (lambda: Dataset("x", torch.full((2, 1, 3, 3), torch.nan)), ValueError, r"images must lie in \[0, 1\], got nan"),
        (lambda: Dataset("x", torch.zeros(2, 1, 3, 3), [0, 1]), TypeError, "labels must be a tensor or None, got list"),
        (lambda: Dataset("x", torch.zeros(2, 1, 3, 3), torch.zeros(3).long()), ValueError, r"labels must be int64 of shape"),
        (lambda: Dataset("x", torch.zeros(2, 1, 3, 3), factors=torch.zeros(2, 3)), ValueError, r"factors must have shape"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_names():
    assert NAMES == (
        "digits", "patches", "sprites", "fashion_mnist_small", "mnist", "fashion_mnist", "cifar10", "tiny_imagenet", "dsprites",
    )  # fmt: skip


def test_an_array_is_not_a_name():
    with pytest.raises(TypeError, match="your own array goes to fit"):
        sl.load(np.zeros((10, 1, 8, 8)))
