"""Read an image set by its name: `load`."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from sculptlab.data.dataset import Dataset
from sculptlab.data.downloads import ensure, resolve
from sculptlab.data.readers import READERS, RawImages
from sculptlab.data.sources import PUBLISHED
from sculptlab.data.sprites import FACTOR_NAMES
from sculptlab.validation import choice, whole


def load(
    name: str,
    split: str | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    stride: int | None = None,
    size: int | None = None,
) -> Dataset:
    """Load an image set by its name.

    "digits", "patches" and "sprites" come with the installation. The other sets are read from $SCULPTLAB_DATA or the
    cache (a clone's data/, else the user's cache folder), or downloaded once to the first of these that is writable.
    Their files are checked against published checksums on first use, and again when a size or time of change differs.

    Parameters
    ----------
    name, split : str
        From the table below. The first split is the default; sets without splits are divided by `Dataset.split`.
    n, seed : int
        Number of images, drawn without replacement by `seed`; by default all. Sprites are rendered: by default 20,000, with
        factors drawn by `seed`.
    dtype : {"float32", "uint8"}
        float32 for images in [0, 1], uint8 for 0..255.
    device : str or torch.device
        Where the tensors are stored.
    stride, size : int, optional
        "patches" alone has a stride between neighbors, by default 32 pixels, so that they do not overlap. "sprites" alone has
        a size, by default 64 pixels per side.

    Returns
    -------
    Dataset
        Images with labels and factors, in memory that is not shared with any other call.

    Raises
    ------
    DataNotFound
        If the set is not on this machine and cannot be downloaded. The message says what to do.
    DataDamaged
        If a file is not the published one.

    Notes
    -----
    =============  ============================  ===========  =====================================
    name           split: images                 c x h x w    notes
    =============  ============================  ===========  =====================================
    digits         1,797                         1 x 8 x 8    scikit-learn's; 17 gray levels
    patches        520                           3 x 32 x 32  of two photographs; 7,700 at stride 8
    sprites        20,000 rendered, or n         1 x 64 x 64  as dSprites; factors known
    mnist          train 60,000; test 10,000     1 x 28 x 28
    fashion_mnist  train 60,000; test 10,000     1 x 28 x 28
    cifar10        train 50,000; test 10,000     3 x 32 x 32
    tiny_imagenet  test 10,000; train 100,000    3 x 64 x 64  test: its labeled validation images
    dsprites       737,280                       1 x 64 x 64  factors known; 12 GB as float32: give n
    =============  ============================  ===========  =====================================

    The training images of Tiny ImageNet take 4.9 GB as float32, so its default split is "test".

    Examples
    --------
    >>> import sculptlab as sl
    >>> sl.load("digits")
    <digits: 1,797 images of 1x8x8, float32 in [0, 1] on cpu; 10 labels>
    """
    published, split = resolve(name, split)
    choice("dtype", dtype, ("float32", "uint8"))
    seed, n = whole("seed", seed, least=0), None if n is None else whole("n", n)
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
    factor_names = () if factors is None else FACTOR_NAMES
    return Dataset(name, torch.from_numpy(images), labels, factors, factor_names, raw.label_names).to(device)


@lru_cache(maxsize=4)
def _read(name: str, split: str, root: Path | None, **settings: int) -> RawImages:
    """The images as stored. The last few sets stay in memory, so that no set is decoded twice in one process."""
    paths = () if root is None else (list(PUBLISHED[name].find(split, root)),)
    return READERS[name](*paths, **settings)
