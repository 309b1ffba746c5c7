"""`load` an image set by its name, or `load_folder`: your own pictures."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from sculptlab.data.dataset import Dataset
from sculptlab.data.downloads import ensure, resolve
from sculptlab.data.readers import READERS, RawImages
from sculptlab.data.sources import PUBLISHED
from sculptlab.data.sprites import FACTOR_NAMES
from sculptlab.names import as_file, as_path
from sculptlab.validation import as_device, as_seed, choice, whole

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def load(
    name: str,
    split: str | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str | torch.device | None = "cpu",
    stride: int | None = None,
    size: int | None = None,
) -> Dataset:
    """Load an image set by its name.

    "digits", "patches", "sprites" and "fashion_mnist_small" come with the installation. The other sets are read from
    $SCULPTLAB_DATA or the cache (a clone's data/, else the user's cache folder), or downloaded once to the first of these that
    is writable. Files are checked against their recorded checksums on first use, and again when a size or time of change
    differs.

    Parameters
    ----------
    name, split : str
        From the table below. The first split is the default; sets without splits are divided by `Dataset.split`.
    n, seed : int
        Number of images, drawn without replacement by `seed`; by default all. Sprites are rendered: by default 20,000, with
        factors drawn by `seed`.
    dtype : {"float32", "uint8"}
        float32 for images in [0, 1], uint8 for 0..255.
    device : str, torch.device or None
        Where the tensors are stored; as in `fit`.
    stride, size : int, optional
        "patches" alone has a stride between neighbors, by default 32 pixels, so that they do not overlap. "sprites" alone has
        a size, by default 64 pixels per side.

    Returns
    -------
    Dataset
        Images with labels and factors, in memory that is not shared with any other call.

    Raises
    ------
    ValueError
        If a name, split, dtype or option is unknown, or if `n` exceeds the number of images.
    DataNotFound
        If the set is not on this machine and cannot be downloaded. The message says what to do.
    DataDamaged
        If a file is not the published one.

    Notes
    -----
    ===================  ============================  ===========  =====================================
    name                 split: images                 c x h x w    notes
    ===================  ============================  ===========  =====================================
    digits               1,797                         1 x 8 x 8    scikit-learn's; 17 gray levels
    patches              520                           3 x 32 x 32  of two photographs; 7,700 at stride 8
    sprites              20,000 rendered, or n         1 x 64 x 64  as dSprites; factors known
    fashion_mnist_small  train 6,000; test 1,000       1 x 28 x 28  the first images of every class
    mnist                train 60,000; test 10,000     1 x 28 x 28
    fashion_mnist        train 60,000; test 10,000     1 x 28 x 28
    cifar10              train 50,000; test 10,000     3 x 32 x 32
    tiny_imagenet        test 10,000; train 100,000    3 x 64 x 64  test: its labeled validation images
    dsprites             737,280                       1 x 64 x 64  factors known; 12 GB as float32: give n
    ===================  ============================  ===========  =====================================

    The training images of Tiny ImageNet take 4.9 GB as float32, so its default split is "test".

    Examples
    --------
    >>> import sculptlab as sl
    >>> sl.load("digits")
    <digits: 1,797 images of 1x8x8, float32 in [0, 1] on cpu; 10 labels>
    """
    seed = as_seed("seed", seed)
    published, split = resolve(name, split)
    choice("dtype", dtype, ("float32", "uint8"))
    device, n = as_device(device), None if n is None else whole("n", n)
    settings = {"patches": {"stride": 32}, "sprites": {"size": 64}}.get(name, {})
    for option, value in {"stride": stride, "size": size}.items():
        if value is not None and option not in settings:
            raise ValueError(f"{option!r} is not an option of {name}, which has {sorted({*settings, 'n', 'seed'})}")
        settings |= {option: whole(option, value)} if value is not None else {}
    if name == "sprites":
        settings, n = settings | {"n": n or 20_000, "seed": seed}, None
    raw = _read(name, split, ensure(published, split) if published else None, **settings)
    if n is not None and n > len(raw.pixels):
        raise ValueError(f"n must be at most {len(raw.pixels):,}, the images there are of {name}; got {n:,}")
    rows = slice(None) if n is None else np.sort(np.random.default_rng(seed).choice(len(raw.pixels), n, replace=False))
    if dtype == "float32":
        images = np.divide(raw.take(rows), raw.maximum, dtype=np.float32)
    else:
        images = np.round(np.arange(raw.maximum + 1) * (255 / raw.maximum)).astype(np.uint8)[raw.take(rows)]
    labels, factors = (None if array is None else torch.from_numpy(array[rows].copy()) for array in (raw.labels, raw.factors))
    names = () if factors is None else FACTOR_NAMES
    return Dataset(name, torch.from_numpy(images), labels, factors, names, raw.label_names).to(device)


@lru_cache(maxsize=4)
def _read(name: str, split: str, root: Path | None, **settings: int) -> RawImages:
    """The images as stored. The last few sets stay in memory, so that no set is decoded twice in one process."""
    paths = () if root is None else (list(PUBLISHED[name].find(split, root)),)
    return READERS[name](*paths, **settings)


def load_folder(folder: str | os.PathLike[str], size: int, *, color: bool = True) -> Dataset:
    """Load every picture in a folder and below it, sorted by path: the middle square of each, scaled.

    Pictures are rotated as their camera recorded. Transparent parts become white. Of an animation the first frame is read. Files
    of more than 179 million pixels are refused, by Pillow, since small files can unpack to fill the memory.

    Parameters
    ----------
    folder : str or path
        If every picture lies in a subfolder, the names of the subfolders are the labels. Hidden files are skipped; links are
        followed.
    size : int
        Pixels per side; 64 suits the models "conv" and "residual".
    color : bool
        True gives 3 channels, False one channel of gray.

    Returns
    -------
    Dataset
        Images (n, 3 or 1, size, size), float32 in [0, 1].

    Raises
    ------
    ValueError
        If the folder does not exist or holds no picture, or if a file or subfolder cannot be read, which the message names.
    """
    root, side = as_path("folder", folder), whole("size", size)
    mode = "RGB" if choice("color", color, (True, False)) else "L"
    if not root.is_dir():
        raise ValueError(f"folder must be a folder of pictures, got {str(root)!r}")
    files = sorted(_pictures(root))
    if not files:
        raise ValueError(f"folder must hold pictures ({', '.join(SUFFIXES)}), found none in or below {str(root)!r}")
    pixels = np.empty((len(files), side, side, len(mode)), dtype=np.float32)
    for row, path in zip(pixels, files, strict=True):
        row[:] = _middle_square(path, side, mode).reshape(row.shape) / np.float32(255)
    name, images = root.resolve().name, torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    if any(path.parent == root for path in files):
        return Dataset(name, images)
    names, labels = np.unique([path.relative_to(root).parts[0] for path in files], return_inverse=True)
    return Dataset(name, images, torch.from_numpy(labels.astype(np.int64)), label_names=tuple(map(str, names)))


def _pictures(root: Path) -> Iterator[Path]:
    """The picture files in a folder and below it, also behind links, except those that lead to a folder that holds them."""

    def refuse(error: OSError) -> NoReturn:
        raise ValueError(f"folder must be readable with all its subfolders, got {error}") from error

    for place, subfolders, names in os.walk(root, onerror=refuse, followlinks=True):
        folder = Path(place)
        above = {os.path.realpath(parent) for parent in (folder, *folder.parents)}
        subfolders[:] = [n for n in subfolders if n[0] != "." and os.path.realpath(folder / n) not in above]
        yield from (folder / name for name in names if name[0] != "." and Path(name).suffix.lower() in SUFFIXES)


def _middle_square(path: Path, side: int, mode: str) -> np.ndarray:
    """The middle square of a picture file: uint8 (side, side) for mode "L", (side, side, 3) for "RGB"."""
    from PIL import Image, ImageOps

    try:
        with Image.open(as_file("picture", path)) as file:
            picture = ImageOps.exif_transpose(file)
        deep = picture.mode[0] in "IF"  # Pillow would clip such values at 255
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        square = ImageOps.fit(picture.convert(mode), (side, side), Image.Resampling.LANCZOS)
    except Exception as error:  # Pillow raises many types for damaged files, such as struct.error for their EXIF block
        raise ValueError(f"{str(path)!r} cannot be read as a picture ({error}): repair it or move it elsewhere") from error
    if deep:
        raise ValueError(f"{str(path)!r} must have 8 bits per channel, got Pillow's mode {picture.mode!r}: convert it first")
    return np.asarray(square)
