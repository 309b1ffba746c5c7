"""One small reader per image set: from checked files to uint8 arrays, as published."""

import gzip
import hashlib
import os
import pickle
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image
from tqdm.auto import tqdm

from sculptlab.data import checksums, folders, sprites
from sculptlab.data.checksums import DataDamaged
from sculptlab.data.sources import PUBLISHED

SHAPES = tuple(sprites.SHAPES.values())
PATCH = 32
ROOM = 2 * 2**30  # bytes free on the disk, or nothing decoded is kept there


@dataclass(frozen=True, eq=False)
class Originals:
    """Pixels 0..`top` as uint8: (n, c, h, w), or with `packed` (n, h * w / 8) with eight to a byte, (1, h, w) each."""

    pixels: np.ndarray
    top: int
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    factors: np.ndarray | None = None
    packed: tuple[int, int, int] | None = None

    def take(self, rows: np.ndarray | None) -> np.ndarray:
        """The pixels of these rows, or of all: (n, c, h, w)."""
        pixels = self.pixels if rows is None else self.pixels[rows]
        return np.unpackbits(pixels, axis=1).reshape(len(pixels), *self.packed) if self.packed else pixels


def digits() -> Originals:
    """scikit-learn's 1,797 digits of 8x8 pixels, 0..16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = bunch.images.astype(np.uint8)[:, None]
    return Originals(pixels, 16, bunch.target.astype(np.int64), tuple("0123456789"))


def patches(stride: int) -> Originals:
    """Every 32x32 patch on a grid of this stride, of scikit-learn's two photographs of 427x640 pixels."""
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    cut, labels = [], []
    for label, photograph in enumerate(photographs):
        windows = np.lib.stride_tricks.sliding_window_view(photograph, (PATCH, PATCH), axis=(0, 1))
        cut.append(windows[::stride, ::stride].reshape(-1, 3, PATCH, PATCH))
        labels.append(np.full(len(cut[-1]), label, dtype=np.int64))
    return Originals(np.concatenate(cut), 255, np.concatenate(labels), ("china", "flower"))


def rendered(n: int, size: int, seed: int) -> Originals:
    """dSprites-style sprites, drawn at random from the factor grid."""
    values = np.asarray(sprites.sample(n, seed=seed))
    pixels = (sprites.render(values, size=size) * 255).round().byte().numpy()
    return Originals(pixels, 255, values[:, 0].astype(np.int64) - 1, SHAPES, values.astype(np.float32))


def idx(name: str, root: Path, split: str) -> Originals:
    """MNIST's and Fashion-MNIST's format: a big-endian header, then bytes; packed with gzip or not."""
    images, labels = (_idx_file(file.at(root)) for file in PUBLISHED[name].splits[split])
    return Originals(images[:, None], 255, labels.astype(np.int64), _IDX_LABELS[name])


_IDX_LABELS = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
}  # fmt: skip


def _idx_file(path: Path | None) -> np.ndarray:
    assert path is not None
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def cifar10(root: Path, split: str) -> Originals:
    """CIFAR-10's pickles, whose checksums were verified first: a pickle from elsewhere could run anything."""
    *batches, meta = (_unpickle(file.at(root)) for file in PUBLISHED["cifar10"].splits[split])
    pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch["labels"] for batch in batches]).astype(np.int64)
    return Originals(pixels, 255, labels, tuple(meta["label_names"]))


def _unpickle(path: Path | None) -> dict:
    assert path is not None
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pickles are older than NumPy's present rules for dtypes
        return pickle.load(file, encoding="latin1")


def tiny_imagenet(root: Path, split: str) -> Originals:
    """Tiny ImageNet's 64x64 JPEGs, grayscale ones made RGB, decoded once into the cache; labels index wnids.txt."""
    folder = root / PUBLISHED["tiny_imagenet"].folder
    wnids = (folder / "wnids.txt").read_text().split()
    words = dict(line.split("\t") for line in (folder / "words.txt").read_text().splitlines())
    index = {wnid: i for i, wnid in enumerate(wnids)}
    paths, labels = [], []
    if split == "test":
        for line in (folder / "val" / "val_annotations.txt").read_text().splitlines():
            name, wnid = line.split("\t")[:2]
            paths.append(folder / "val" / "images" / name)
            labels.append(index[wnid])
    else:
        for wnid in wnids:
            found = [folder / "train" / wnid / "images" / f"{wnid}_{i}.JPEG" for i in range(500)]
            paths += found
            labels += [index[wnid]] * len(found)
    tree = PUBLISHED["tiny_imagenet"].splits[split][-1]
    key = checksums.verify(root / tree.path, tree.checksum)
    pixels = _decoded(f"tiny_imagenet-{split}", key, lambda part: _decode_jpegs(paths, part))
    return Originals(pixels, 255, np.array(labels), tuple(words[wnid].split(",")[0] for wnid in wnids))


def _decode_jpegs(paths: list[Path], out: Path | None) -> np.ndarray:
    shape = (len(paths), 3, 64, 64)
    pixels = np.empty(shape, np.uint8) if out is None else np.lib.format.open_memmap(out, "w+", np.uint8, shape)

    def decode(i: int) -> None:
        try:
            with Image.open(paths[i]) as image:
                pixels[i] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        except (OSError, ValueError) as error:
            raise DataDamaged(f"{paths[i]} is not the published one: {error}") from None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in tqdm(pool.map(decode, range(len(paths))), total=len(paths), desc="decoding Tiny ImageNet, once"):
            pass
    return pixels


def dsprites(root: Path) -> Originals:
    """The published npz, its binary images kept in the cache with eight pixels to a byte (377 MB instead of 3 GB)."""
    (file,) = PUBLISHED["dsprites"].splits["all"]
    path = root / file.path
    key = checksums.verify(path, file.checksum)
    pixels = _decoded("dsprites", key, lambda part: _pack_bits(path, part))
    with np.load(path) as npz:  # never its pickled metadata
        values, classes = npz["latents_values"], npz["latents_classes"]
    height = round((pixels.shape[1] * 8) ** 0.5)
    labels, factors = classes[:, 1].astype(np.int64), values[:, 1:].astype(np.float32)
    return Originals(pixels, 1, labels, SHAPES, factors, packed=(1, height, height))


def _pack_bits(path: Path, out: Path | None) -> np.ndarray:
    """Read the images a few thousand at a time, so that 3 GB never stand in memory."""
    with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        (n, height, width), _, _ = header(file)
        shape, each = (n, height * width // 8), height * width
        bits = np.empty(shape, np.uint8) if out is None else np.lib.format.open_memmap(out, "w+", np.uint8, shape)
        for start in tqdm(range(0, n, 8192), desc="unpacking dSprites, once"):
            block = np.frombuffer(file.read(each * min(8192, n - start)), np.uint8).reshape(-1, each)
            bits[start : start + len(block)] = np.packbits(block, axis=1)
    return bits


def _decoded(name: str, key: str, decode: Callable[[Path | None], np.ndarray]) -> np.ndarray:
    """What `decode` makes, kept in the cache under the checksum `key` of what it was made from; mapped, not read."""
    folder = folders.cache() / "decoded"
    if not folders.writable(folder):
        return decode(None)
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < ROOM:  # writing to a mapped file on a full disk kills the process
        return decode(None)
    path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    with FileLock(folder / f".{name}.lock"):
        if path.exists():
            try:
                return np.load(path, mmap_mode="r")
            except (ValueError, EOFError):  # cut short by a full disk or by hand: made again below
                pass
        part = path.with_name(f".{path.name}.part")
        try:
            decode(part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")
