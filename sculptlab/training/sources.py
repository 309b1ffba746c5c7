"""Where training and encoding read images from: a tensor, rows that are read when they are needed, or a stream of batches."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset, RandomSampler, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

from sculptlab.training.images import Limits, check_images, image_of, is_image
from sculptlab.validation import as_tensor

FEW = 64  # rows of a lazy source that are read before training
STALLED = 60.0  # seconds without data after which a warning says where
END = object()  # of an iterator
RANDOM = RandomSampler, SubsetRandomSampler, WeightedRandomSampler  # of a DataLoader


def as_images(data: Any, model: Any = None, *, unit_range: bool = False, name: str = "data") -> Tensor:
    """All images of `data` in one tensor, uint8 or float32, checked as `as_source` checks them."""
    source = as_source(data, model, unit_range=unit_range, name=name)
    return source.images if isinstance(source, TensorSource) else torch.cat([*source.chunks(FEW)])


def as_source(data: Any, model: Any = None, *, unit_range: bool = False, name: str = "data") -> Source:
    """The images of `data`, checked against the image shape and output range of `model`.

    Tensors and arrays are checked at once. A memory map, anything else with a shape, a dtype and rows (such as HDF5), and
    anything with a length and items (a torch `Dataset`, a Hugging Face data set) are read when needed. Any other iterable, or a
    function that returns one, is a stream of batches, or of single images, which training groups; a `model` without image_shape
    leaves it to the first item, and a ValueError says so if that may be either. What is read when needed is checked then. An item
    may be an image, a pair (image, label) or a mapping that has the image under one of `images.IMAGE_KEYS`.

    With `unit_range`, floats must lie in [0, 1] even if `model` has no such limit. Error messages call the images `name`.
    """
    shape = getattr(model, "image_shape", None)
    limits = Limits(None if shape is None else tuple(shape), unit_range or getattr(model, "output", None) == "sigmoid")
    if isinstance(data, Source):
        check_images(data.known, name, limits)
        return data
    if isinstance(data, TensorDataset):
        data = data.tensors[0]
    elif hasattr(data, "images") and not isinstance(data, TorchDataset):
        data = data.images
    elif isinstance(data, tuple | list) and len(data) == 2 and _are_images_and_labels(*data):
        data = data[0]
    sparse = hasattr(data, "toarray")  # of scipy.sparse, which `as_tensor` refuses; before SciPy 1.13 some could be iterated
    if isinstance(data, IterableDataset) or (hasattr(data, "__iter__") and not hasattr(data, "__getitem__") and not sparse):
        return StreamSource(data, name, limits)
    if isinstance(data, list | tuple) and _are_batches(data, limits.shape):
        return StreamSource(data, name, limits)
    if _has_rows(data):
        return RowSource(data, name, limits)
    if isinstance(data, TorchDataset):
        raise TypeError(f"{name} must have a length, `__len__`, or be an IterableDataset, which a {type(data).__name__} is not")
    if inspect.isroutine(data) or isinstance(data, partial):
        return StreamSource(data, name, limits)
    return TensorSource(check_images(as_tensor(name, data).detach(), name, limits))


class Source:
    """Images for training and encoding; `as_source` makes one.

    `rows` is their number, or None. `known` are images that have been read already: all of a tensor, the first of anything else.
    """

    rows: int | None = None
    known: Tensor
    own_batches = False  # whether the data come in batches, whose size is then theirs
    shuffled = False  # whether each pass has another order

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits

    def _checked(self, images: Tensor, where: str) -> Tensor:
        images = check_images(images, where, self.limits)
        if self.limits.shape is None:
            self.limits = self.limits._replace(shape=tuple(images.shape[1:]), whose="the shape of the first images")
        return images

    @property
    def first(self) -> Tensor:
        """The first few images (k, *image_shape), uint8 or float32."""
        return self.known[:FEW]

    def to(self, device: torch.device) -> Source:
        """The same source; a tensor is moved to `device`."""
        return self

    def take(self, rows: Tensor) -> Tensor:
        """The images of these rows, int64 on the device of `known`."""
        raise NotImplementedError

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Every image once, in order, in tensors of at most `size` images."""
        return map(self.take, torch.arange(self.rows or 0, device="cpu").split(size))

    def subset(self, rows: Tensor) -> Source:
        """The source of these rows alone; a stream, which has no rows, raises a TypeError."""
        raise TypeError(f"{self.name} must have rows, some of which are held out: an array or a data set with a length")

    def steps_per_epoch(self, size: int) -> int | None:
        """How many batches of `size` images an epoch has, without a last short one; None if that is unknown."""
        return None if self.rows is None else self.rows // size


class TensorSource(Source):
    """Images in one tensor, checked already."""

    def __init__(self, images: Tensor) -> None:
        self.images = self.known = images
        self.rows = len(images)

    def to(self, device: torch.device) -> Source:
        return TensorSource(self.images.to(device))

    def take(self, rows: Tensor) -> Tensor:
        return self.images[rows]

    def subset(self, rows: Tensor) -> Source:
        return TensorSource(self.images[rows])


class RowSource(Source):
    """Images that are read when needed, from anything with a length whose rows have numbers."""

    def __init__(self, data: Any, name: str, limits: Limits, index: Tensor | None = None) -> None:
        super().__init__(name, limits)
        self._data = data
        self._index = torch.arange(len(data), device="cpu") if index is None else index
        self.rows = len(self._index)
        self._row = 0  # the one that is read
        if self.rows == 0:
            raise ValueError(f"{name} must have at least one row, got none")
        self.known = self.take(torch.arange(min(FEW, self.rows), device="cpu"))

    def subset(self, rows: Tensor) -> Source:
        return RowSource(self._data, self.name, self.limits, self._index[rows])

    def take(self, rows: Tensor) -> Tensor:
        wanted = self._index[rows].tolist()
        with _watched(self._where):
            images = self._read(wanted)
        try:
            return self._checked(images, self.name)
        except ValueError:
            for row, image in zip(wanted, images, strict=True):
                self._checked(image[None], f"row {row} of {self.name}")
            raise

    def _read(self, rows: list[int]) -> Tensor:
        if isinstance(self._data, np.ndarray | Tensor):
            return as_tensor(self.name, self._data[rows]).detach()
        if hasattr(self._data, "dtype") and rows == [*range(rows[0], rows[-1] + 1)]:  # files are faster read in slices
            return as_tensor(self.name, self._data[rows[0] : rows[-1] + 1])
        first = self._read_item(rows[0])
        images = first.new_empty(len(rows), *first.shape)
        for place, row in enumerate(rows):
            image = self._read_item(row) if place else first
            if (image.shape, image.dtype) != (first.shape, first.dtype):
                same, came = (f"{tuple(one.shape)} of {one.dtype}" for one in (first, image))
                raise ValueError(f"row {row} of {self.name} must be {same}, as row {rows[0]} is, got {came}")
            images[place] = image
        return images

    def _read_item(self, row: int) -> Tensor:
        self._row = row
        try:
            item = self._data[row]
        except Exception as error:
            raise _failed(self._where(), error) from error
        return image_of(item, self._where())

    def _where(self) -> str:
        return f"row {self._row} of {self.name}"


class StreamSource(Source):
    """Batches or single images of an iterable, or of what a function returns; it is started again for each epoch.

    A `DataLoader` keeps its batch size, its order and its workers.
    """

    def __init__(self, data: Any, name: str, limits: Limits) -> None:
        super().__init__(name, limits)
        if inspect.isgenerator(data) and inspect.getgeneratorstate(data) == inspect.GEN_SUSPENDED:
            warnings.warn(f"{name} is a generator that was read before: what it gave then is left out", stacklevel=4)
        self._start: Callable[[], Any] = (lambda: data) if hasattr(data, "__iter__") else data
        self._step, self._epoch, self._number, self._batch = 0, 1, 0, torch.empty(0, device="cpu", dtype=torch.float32)
        self._unit = "image" if isinstance(data, IterableDataset) else "batch"
        self._items = self._read()
        with _watched(self._where):
            first = next(self._items, None)
        if first is None:
            raise ValueError(f"{name} must give at least one batch of images, got none: it is empty or was read before")
        self.known, self._items = first, chain([first], self._items)
        self.own_batches = self._unit == "batch"
        self._length, self.rows = _length(data), _length(getattr(data, "dataset", None) if self.own_batches else data)
        sampler = getattr(getattr(data, "batch_sampler", None), "sampler", getattr(data, "sampler", None))
        self.shuffled = isinstance(sampler, RANDOM) or getattr(sampler, "shuffle", False) is True

    def at(self, step: int, size: int, least: int = 1) -> Tensor:
        """The batch of a step, counted from 0: `size` images, or the data's next batch that has at least `least` images."""
        if self._step != step + 1:
            self._step, size = step + 1, 1 if self.own_batches else size
            with _watched(self._where):
                self._batch = self._next(size, least if self.own_batches else 1)
        return self._batch

    def _next(self, items: int, least: int) -> Tensor:
        for _ in range(2):  # from the rest of this epoch, or else from another one
            found = list(islice((item for item in self._items if len(item) >= least), items))
            if len(found) == items:
                return self._joined(found)
            self._epoch += 1
            self._items = self._read()
        raise ValueError(
            f"{self.name} ended before step {self._step:,} and gave too few images when started again; the model keeps what it "
            "learned. A generator can be read only once: give a DataLoader, or a function that returns an iterator"
        )

    def chunks(self, size: int) -> Iterator[Tensor]:
        items, self._items = self._items, self._read()
        while found := list(islice(items, 1 if self.own_batches else size)):
            yield from self._joined(found).split(size)

    def _joined(self, items: list[Tensor]) -> Tensor:
        """The last items that were read as one tensor; single images are checked here, together, which is faster."""
        try:
            images = torch.cat(items)
            if len(types := {str(image.dtype) for image in items}) > 1:
                raise TypeError(f"{self.name} must be images of one type, got {' and '.join(sorted(types))}")
            return images if self.own_batches else self._checked(images, self._where())
        except (ValueError, TypeError, RuntimeError):  # find the item
            last = self._number
            for self._number, image in enumerate(items, last - len(items) + 1):
                self._checked(image, self._where())
            raise

    def steps_per_epoch(self, size: int) -> int | None:
        return self._length if self.own_batches else super().steps_per_epoch(size)

    def _read(self) -> Iterator[Tensor]:
        """The items of one epoch, each as a tensor (n, *image_shape); batches, and the first image, are checked."""
        self._number, items = 0, None
        while True:
            self._number += 1
            try:
                items = iter(self._start()) if items is None else items
                item = next(items, END)
            except Exception as error:
                raise _failed(self._where(), error) from error
            if item is END:
                return
            image = image_of(item, self._where())
            if self._number == self._epoch == 1:
                self._unit = self._unit_of(item, image)
            image = image[None] if self._unit == "image" else image
            yield image if self._unit == "image" and self._number > 1 else self._checked(image, self._where())

    def _unit_of(self, item: Any, image: Tensor) -> str:
        """Whether the first item is an "image" or a "batch": by the model's shape, else by its label or its dimensions."""
        size, shape = tuple(image.shape), self.limits.shape
        if shape is not None or image.ndim > 3:
            return "image" if size == shape else "batch"
        parts = item.values() if isinstance(item, Mapping) else item if isinstance(item, tuple | list) else ()
        if self._unit == "image" or image.ndim == 1 or any(map(_is_label, parts)):
            return "image"
        if len(size) == 3 and size[0] in (1, 3, 4):
            raise ValueError(
                f"{self._where()} has shape {size}: it may be one image (c, h, w) or a batch of images (h, w). Give batches "
                "(b, c, h, w), as DataLoader(data, batch_size=64) does, or give the model an attribute image_shape"
            )
        return "batch"

    def _where(self) -> str:
        step = f" (step {self._step:,})" if self._step else ""
        return f"{self._unit} {self._number:,} of epoch {self._epoch}{step} of {self.name}"


def _are_batches(items: Sequence[Any], shape: Sequence[int] | None) -> bool:
    """Whether a list holds batches (b, *shape), or pairs (batch, labels), and not images."""
    first = items[0][0] if items and isinstance(items[0], tuple | list) and len(items[0]) else items[0] if items else None
    size = tuple(getattr(first, "shape", ()))
    return len(size) == 4 if shape is None else len(size) > 1 and size[1:] == tuple(shape) != size


def _are_images_and_labels(images: Any, labels: Any) -> bool:
    """Whether two arrays are images or rows, and a label for each."""
    size, count = (tuple(getattr(part, "shape", ())) for part in (images, labels))
    return len(size) > 1 and len(count) == 1 and size[0] == count[0]


def _has_rows(data: Any) -> bool:
    """Whether the rows of `data` are read when they are needed."""
    if isinstance(data, np.memmap):
        return True
    if hasattr(data, "toarray"):  # of scipy.sparse, which `as_tensor` refuses
        return False
    if isinstance(data, Tensor):
        return data.device.type == "cpu" and data.layout == torch.strided and data.untyped_storage().filename is not None
    if isinstance(data, list | tuple):
        return len(data) > 0 and not getattr(data[0], "ndim", 0) and (
            hasattr(data[0], "getbands") or isinstance(data[0], Mapping)
            or (isinstance(data[0], tuple | list) and len(data[0]) > 0 and is_image(data[0][0]))
        )  # fmt: skip
    rows = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, np.ndarray | Mapping | str | bytes)
    return rows and (hasattr(data, "dtype") or not hasattr(data, "__array__"))


def _is_label(part: Any) -> bool:
    """Whether a part of an item is a single number or word, so that the item is one image and no batch."""
    return isinstance(part, int | float | str) or getattr(part, "ndim", 1) == 0


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:
        return None


@contextmanager
def _watched(where: Callable[[], str]) -> Iterator[None]:
    """Warn if what is inside takes longer than `STALLED` seconds."""
    message = f"has not come for {STALLED:g} seconds: the data may be stalled"
    timer = threading.Timer(STALLED, lambda: warnings.warn(f"{where()} {message}", stacklevel=1))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _failed(where: str, error: Exception) -> RuntimeError:
    return RuntimeError(f"{where} could not be read: {type(error).__name__}: {error}")
