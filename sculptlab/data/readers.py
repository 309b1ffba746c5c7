"""One reader per image set: from verified files to uint8 arrays, as published.

The reader of a published set takes the paths of a split's files, in the order of data/manifest.json.
"""

import gzip
import hashlib
import os
import pickle
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from tokenize import TokenError
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from sculptlab.data import checksums, folders, sprites
from sculptlab.data.checksums import DataDamaged
from sculptlab.files import replacing


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images as stored: uint8 pixels (n, c, h, w) in 0..`maximum`, with labels and factors where known.

    Where `packed` is (c, h, w), `pixels` holds binary images of that shape as (n, c * h * w / 8), eight pixels to a byte.
    """

    pixels: np.ndarray
    maximum: int
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    factors: np.ndarray | None = None
    packed: tuple[int, int, int] | None = None

    def take(self, rows: slice | np.ndarray) -> np.ndarray:
        """The pixels (m, c, h, w) of some rows."""
        pixels = self.pixels[rows]
        return np.unpackbits(pixels, axis=1).reshape(len(pixels), *self.packed) if self.packed else pixels


def read_digits() -> RawImages:
    """scikit-learn's 1,797 digits of 8x8 pixels in 0..16, from its file: importing scikit-learn takes more than a second."""
    path = Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")))
    rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # 64 pixels and the label
    return RawImages(rows[:, :-1].reshape(-1, 1, 8, 8), 16, rows[:, -1].astype(np.int64), tuple("0123456789"))


def read_patches(stride: int) -> RawImages:
    """All 32x32 patches on a grid with this stride, of scikit-learn's two photographs of 427x640 pixels."""
    from sklearn.datasets import load_sample_images

    windows = np.lib.stride_tricks.sliding_window_view(np.stack(load_sample_images().images), (32, 32), axis=(1, 2))
    patches = windows[:, ::stride, ::stride].reshape(-1, 3, 32, 32)
    return RawImages(patches, 255, np.repeat(np.arange(2, dtype=np.int64), len(patches) // 2), ("china", "flower"))


def render_sprites(n: int, size: int, seed: int) -> RawImages:
    """dSprites-style images with factors drawn from the grid of dSprites."""
    values = sprites.sample(n, seed=seed)
    pixels = (sprites.render(values, size=size) * 255).round().byte().numpy()
    return RawImages(pixels, 255, values[:, 0].long().numpy() - 1, tuple(sprites.SHAPES.values()), values.numpy())


def read_mnist(paths: list[Path], published: str) -> RawImages:
    """MNIST or Fashion-MNIST by torchvision's class, which reads unpacked files: they are written to a temporary folder."""
    from torchvision import datasets

    # A subclass of the same name without `resources`: torchvision would otherwise require the files of both splits.
    reader = type(published, (getattr(datasets, published),), {"resources": ()})
    with TemporaryDirectory() as root:
        folder = Path(root, published, "raw")
        folder.mkdir(parents=True)
        for path, name in zip(paths, ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), strict=True):
            content = path.read_bytes()
            (folder / name).write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
        read = reader(root, train=True)
    names = tuple(name.split(" - ")[0] for name in read.classes)  # "7 - seven" becomes "7"
    return RawImages(read.data[:, None].numpy(), 255, read.targets.numpy(), names)


def read_cifar10(paths: list[Path]) -> RawImages:
    """CIFAR-10's pickled batches of 10,000 rows, and the names of its classes."""
    *batches, meta = map(_unpickled, paths)
    pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch["labels"] for batch in batches]).astype(np.int64)
    return RawImages(pixels, 255, labels, tuple(meta["label_names"]))


class _Arrays(pickle.Unpickler):
    """Reads pickles of arrays, numbers, text and their lists and mappings; any other could run code when it is read."""

    _known: ClassVar[dict[str, Any]] = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != "numpy" or name not in self._known:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return self._known[name]


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return dict(_Arrays(file, encoding="latin1").load())
    except Exception as error:  # unpickling raises many types
        raise DataDamaged(f"{path} is not the published one: {error}") from None


def read_tiny_imagenet(paths: list[Path]) -> RawImages:
    """Tiny ImageNet's 64x64 JPEGs, grayscale ones as RGB, decoded once into the cache; labels index wnids.txt."""
    wnids_file, words_file, *annotations, images = paths
    wnids = wnids_file.read_text(encoding="utf-8").split()
    words = dict(line.split("\t") for line in words_file.read_text(encoding="utf-8").splitlines())
    if annotations:
        lines = [line.split("\t") for line in annotations[0].read_text(encoding="utf-8").splitlines()]
        files = [(images / name, wnid) for name, wnid, *_ in lines]
    else:
        files = [(images / wnid / "images" / f"{wnid}_{i}.JPEG", wnid) for wnid in wnids for i in range(500)]
    name, key = f"tiny_imagenet-{'test' if annotations else 'train'}", checksums.verify(images, "tree-sha256:")
    pixels = _cached(name, key, lambda: _decode_jpegs([path for path, _ in files]))
    labels = np.array([wnids.index(wnid) for _, wnid in files], dtype=np.int64)
    return RawImages(pixels, 255, labels, tuple(words[wnid].split(",")[0] for wnid in wnids))


def _decode_jpegs(paths: list[Path]) -> np.ndarray:
    from PIL import Image

    def decode(path: Path) -> np.ndarray:
        try:
            with Image.open(path) as image:
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        except Exception as error:  # Pillow raises many types
            raise DataDamaged(f"{path} is not the published one: {error}") from None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = tqdm(pool.map(decode, paths), total=len(paths), desc="decoding Tiny ImageNet, once")
        return np.fromiter(images, np.dtype((np.uint8, (3, 64, 64))), len(paths))


def read_dsprites(paths: list[Path]) -> RawImages:
    """dSprites' npz; its binary images are cached with eight pixels to a byte (377 MB instead of 3 GB)."""
    (path,) = paths
    pixels = _cached("dsprites", checksums.verify(path, "git-blob-sha1:"), lambda: _pack_bits(path))
    with np.load(path) as npz:  # its pickled metadata are not read
        values, classes = npz["latents_values"], npz["latents_classes"]
    labels, factors = classes[:, 1].astype(np.int64), values[:, 1:].astype(np.float32)
    return RawImages(pixels, 1, labels, tuple(sprites.SHAPES.values()), factors, packed=(1, 64, 64))


def _pack_bits(path: Path) -> np.ndarray:
    """The images of dSprites, read a few thousand at a time: all of them would take 3 GB of memory."""
    with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as file:
        np.lib.format.read_magic(file)
        (n, *_), _, _ = np.lib.format.read_array_header_1_0(file)
        bits = np.empty((n, 512), np.uint8)
        for start in tqdm(range(0, n, 8192), desc="unpacking dSprites, once"):
            block = np.frombuffer(file.read(4096 * min(8192, n - start)), np.uint8)
            bits[start : start + 8192] = np.packbits(block.reshape(-1, 4096), axis=1)
    return bits


def _cached(name: str, key: str, decode: Callable[[], np.ndarray]) -> np.ndarray:
    """What `decode` returns, memory-mapped from the cache, under the checksum `key` of its input, if the disk has room."""
    if (cache := folders.cache()) is None or not folders.writable(folder := cache / "decoded"):
        return decode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    with FileLock(folder / f".{name}.lock"):
        with suppress(OSError, ValueError, EOFError, TokenError):  # it is absent, or damaged
            return np.load(path, mmap_mode="r")
        pixels = decode()
        with suppress(OSError):
            with replacing(path) as part, part.open("wb") as file:
                np.save(file, pixels)
            return np.load(path, mmap_mode="r")
    return pixels


READERS: dict[str, Callable[..., RawImages]] = {
    "digits": read_digits,
    "patches": read_patches,
    "sprites": render_sprites,
    "fashion_mnist_small": partial(read_mnist, published="FashionMNIST"),
    "mnist": partial(read_mnist, published="MNIST"),
    "fashion_mnist": partial(read_mnist, published="FashionMNIST"),
    "cifar10": read_cifar10,
    "tiny_imagenet": read_tiny_imagenet,
    "dsprites": read_dsprites,
}
