"""Image sets in one tensor: `load(name)`, for the three that come with the installation and five published ones."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sculptlab.data import readers, sprites
from sculptlab.data.downloads import DataDamaged as DataDamaged
from sculptlab.data.downloads import DataNotFound as DataNotFound
from sculptlab.data.downloads import available, ensure, fetch, locate, source, split_of
from sculptlab.data.sources import BUNDLED, NAMES
from sculptlab.validation import choice, number, whole

__all__ = [
    "BUNDLED", "NAMES", "DataDamaged", "DataNotFound", "Dataset", "available", "fetch", "load", "locate",
]  # fmt: skip

_KEPT_BYTES = 2**29
_kept: OrderedDict[Any, readers.Originals] = OrderedDict()
_one_at_a_time = threading.RLock()  # widgets load from threads


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images with what is known of them; your own data too: `Dataset("mine", images)`.

    images: (n, c, h, w), float32 in [0, 1] or uint8 in 0..255. labels: (n,) int64 or None, indexing `label_names`.
    factors: (n, k) float32 or None, with `factor_names`. Raises TypeError or ValueError where that does not hold.
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor | None = None
    factors: torch.Tensor | None = None
    factor_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images = self.images
        if not isinstance(images, torch.Tensor) or images.dtype not in (torch.float32, torch.uint8):
            raise TypeError(f"images must be a float32 or uint8 tensor, got {getattr(images, 'dtype', type(images))}")
        if images.ndim != 4 or images.numel() == 0:
            raise ValueError(f"images must have shape (n, c, h, w), none of them 0; got {tuple(images.shape)}")
        if images.dtype == torch.float32:
            low, high = (value.item() for value in images.aminmax())
            if not (low >= 0 and high <= 1):  # NaN fails this too
                raise ValueError(f"images must lie in [0, 1], got {low:g} .. {high:g}; divide 0..255 by 255")
        for name in ("labels", "factors"):
            if not isinstance(getattr(self, name), torch.Tensor | None):
                raise TypeError(f"{name} must be a tensor or None, got {type(getattr(self, name)).__name__}")
        if self.labels is not None and (self.labels.shape != images.shape[:1] or self.labels.dtype != torch.int64):
            raise ValueError(f"labels must be int64 of shape {(len(self),)}, got {_kind(self.labels)}")
        k = len(self.factor_names)
        if self.factors is not None and self.factors.shape != (len(self), k):
            raise ValueError(f"factors must have shape {(len(self), k)} like factor_names, got {_kind(self.factors)}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(c, h, w)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def __repr__(self) -> str:
        c, h, w = self.image_shape
        span = "in [0, 1]" if self.images.dtype == torch.float32 else "in 0..255"
        dtype = str(self.images.dtype).removeprefix("torch.")
        parts = [f"{len(self):,} images of {c}x{h}x{w}, {dtype} {span} on {self.images.device}"]
        if self.labels is not None:
            parts.append(f"{len(self.label_names) or len(self.labels.unique())} labels")
        if self.factors is not None:
            parts.append(f"factors {', '.join(self.factor_names)}")
        return f"<{self.name}: {'; '.join(parts)}>"

    def _rows(self, rows: torch.Tensor) -> "Dataset":
        def pick(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor[rows.to(tensor.device)]

        images = self.images[rows.to(self.images.device)]
        return replace(self, images=images, labels=pick(self.labels), factors=pick(self.factors))

    def subset(self, indices: Any) -> "Dataset":
        """The images at `indices`: whole numbers 0..n-1 in any order, a slice, or a mask (n,); at least one."""
        if isinstance(indices, slice):
            indices = range(len(self))[indices]
        rows = np.asarray(indices.cpu() if isinstance(indices, torch.Tensor) else indices)
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = rows.nonzero()[0]
        if rows.ndim != 1 or rows.size == 0 or rows.dtype.kind not in "iu":
            raise ValueError(
                f"indices must be a non-empty list of whole numbers, a slice or a mask of shape {(len(self),)}; "
                f"got {rows.dtype} of shape {rows.shape}"
            )
        if rows.min() < 0 or rows.max() >= len(self):
            raise ValueError(f"indices must lie in 0..{len(self) - 1}, got {rows.min()}..{rows.max()}")
        return self._rows(torch.from_numpy(rows.astype(np.int64)))

    def split(self, test: float = 0.2, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """(rest, held out): round(test * n) images held out, the same share (to one image) of every label.

        The same `seed` always gives the same split. Patches cut with a stride below 32 overlap, so that what is held
        out then shares pixels with the rest.
        """
        held = round(number("test", test, above=0) * len(self))
        if not 0 < held < len(self):
            raise ValueError(f"test must leave at least one of {len(self)} images on either side, got {test}")
        order = np.random.default_rng(whole("seed", seed, least=0)).permutation(len(self))
        if self.labels is not None:  # every (n / held)-th of a shuffle sorted by label is a stratified draw
            order = order[np.argsort(self.labels.cpu().numpy()[order], kind="stable")]
        mask = np.zeros(len(self), dtype=bool)
        mask[order[((np.arange(held) + 0.5) * len(self) / held).astype(int)]] = True
        return self.subset(~mask), self.subset(mask)

    def to(self, device: str | torch.device) -> "Dataset":
        """The same data on another device; what is there already is not copied."""
        try:
            images = self.images.to(device)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise ValueError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from None
        labels, factors = (None if t is None else t.to(device) for t in (self.labels, self.factors))
        return replace(self, images=images, labels=labels, factors=factors)


def _kind(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"


def load(
    name: str,
    split: str | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    **options: int,
) -> Dataset:
    """An image set by name, as one tensor.

    =============  ============================  ===========  ====================================
    name           split: images, default first  c x h x w    notes
    =============  ============================  ===========  ====================================
    digits         1,797                         1 x 8 x 8    scikit-learn's; 17 gray levels
    patches        520                           3 x 32 x 32  `stride` below 32: more, overlapping
    sprites        20,000 rendered, or n         1 x 64 x 64  dSprites-style; factors; `size`
    mnist          train 60,000; test 10,000     1 x 28 x 28
    fashion_mnist  train 60,000; test 10,000     1 x 28 x 28
    cifar10        train 50,000; test 10,000     3 x 32 x 32
    tiny_imagenet  test 10,000; train 100,000    3 x 64 x 64  test: its labeled validation images
    dsprites       737,280                       1 x 64 x 64  factors; 12 GB as float32: give n
    =============  ============================  ===========  ====================================

    Tiny ImageNet's training images take 4.9 GB as float32, hence its default. Sets without published splits are
    divided with `.split()`. The first three come with the installation; the others are read from $SCULPTLAB_DATA or
    the cache (a clone's data/, else the user's cache folder), or downloaded once to the first of these that can be
    written. Their files are checked against published checksums on first use, and again when size or time change.

    n: that many images, drawn without replacement with `seed` (sprites: rendered; default 20,000); None: all.
    dtype: "float32", in [0, 1], or "uint8", in 0..255. Every call returns memory of its own.
    Options: stride=32 (patches; 32 gives 260 patches a photograph, none of which overlap; 8 gives 7,700 in all),
    size=64 (sprites: pixels a side).

    Raises ValueError for an unknown name, split, dtype, option, or n above what there is; DataNotFound
    (a FileNotFoundError) with what to do if a set is neither here nor to be downloaded; DataDamaged (an OSError)
    naming a file that is not the published one.
    """
    published, split = source(name), split_of(name, split)
    choice("dtype", dtype, ("float32", "uint8"))
    seed, n = whole("seed", seed, least=0), None if n is None else whole("n", n)
    legal = {"patches": {"stride": 32}, "sprites": {"size": 64}}.get(name, {})
    for option, value in options.items():
        if option not in legal:
            raise ValueError(f"{option!r} is not an option of {name}, which has {sorted({*legal, 'n', 'seed'})}")
        whole(option, value)
    settings = legal | options
    if name == "sprites":
        settings |= {"n": n or 20_000, "seed": seed}
        n = None
    originals = _originals(name, split, settings, None if published is None else ensure(published, split or "all"))
    rows = None if n is None else _draw(n, len(originals.pixels), seed, name)
    return _dataset(name, originals, rows, dtype).to(device)


def _draw(n: int, total: int, seed: int, name: str) -> np.ndarray:
    if n > total:
        raise ValueError(f"n must be at most {total:,}, the images there are of {name}; got {n:,}")
    return np.sort(np.random.default_rng(seed).choice(total, n, replace=False))


def _originals(name: str, split: str | None, settings: dict[str, int], root: Any) -> readers.Originals:
    """The decoded set, kept from the last few calls: nothing is decoded twice in one process."""
    key = (name, split, *sorted(settings.items()), root)
    with _one_at_a_time:
        if key not in _kept:
            _kept[key] = _read(name, split, settings, root)
        _kept.move_to_end(key)
        while len(_kept) > 1 and sum(map(_weight, _kept.values())) > _KEPT_BYTES:
            _kept.popitem(last=False)
        return _kept[key]


def _read(name: str, split: str | None, settings: dict[str, int], root: Any) -> readers.Originals:
    if name in ("mnist", "fashion_mnist"):
        return readers.idx(name, root, str(split))
    read: dict[str, Callable[[], readers.Originals]] = {
        "digits": readers.digits,
        "patches": lambda: readers.patches(**settings),
        "sprites": lambda: readers.rendered(**settings),
        "cifar10": lambda: readers.cifar10(root, str(split)),
        "tiny_imagenet": lambda: readers.tiny_imagenet(root, str(split)),
        "dsprites": lambda: readers.dsprites(root),
    }
    return read[name]()


def _weight(originals: readers.Originals) -> int:
    """Bytes held in memory: a mapped file holds none."""
    return 0 if isinstance(originals.pixels, np.memmap) else originals.pixels.nbytes


def _dataset(name: str, originals: readers.Originals, rows: np.ndarray | None, dtype: str) -> Dataset:
    def pick(array: np.ndarray | None) -> torch.Tensor | None:
        return None if array is None else torch.from_numpy(array.copy() if rows is None else array[rows])

    pixels = originals.take(rows)
    if dtype == "float32":
        images = torch.empty(pixels.shape, dtype=torch.float32)
        np.divide(pixels, originals.top, out=images.numpy(), dtype=np.float32)
    elif originals.top == 255:
        images = torch.from_numpy(np.array(pixels))
    else:
        levels = np.round(np.arange(originals.top + 1) * (255 / originals.top)).astype(np.uint8)
        images = torch.from_numpy(levels[pixels])
    names = sprites.FACTOR_NAMES if originals.factors is not None else ()
    return Dataset(name, images, pick(originals.labels), pick(originals.factors), names, originals.label_names)
