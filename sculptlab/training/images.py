"""Images as training takes them: in which form they come, and the checks of shape, type and range."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sculptlab.validation import as_tensor, finite

IMAGE_KEYS = ("image", "img", "images", "pixel_values", "x")  # of a mapping, such as an example of a Hugging Face data set


def as_unit_floats(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """`images` as `dtype`: uint8 divided by 255, floats as they are."""
    return images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)


class Limits(NamedTuple):
    """What images must be: of this shape (c, h, w), which is `whose`, and, with `unit_range`, in [0, 1] if they are floats."""

    shape: Sequence[int] | None
    unit_range: bool = False
    whose: str = "the model's shape"


def check_images(images: Tensor, name: str, limits: Limits) -> Tensor:
    """`images` (n, *shape) as uint8 or float32, finite and within `limits`; errors call them `name`."""
    if images.is_floating_point():
        images = images.float()
    elif images.dtype != torch.uint8:
        raise TypeError(
            f"{name} must be uint8 or floats, got {images.dtype}: convert a table of whole numbers to floats, and divide images "
            "by their largest possible value, such as 65535.0"
        )
    if images.ndim < 2 or images.numel() == 0:
        raise ValueError(f"{name} must have shape (n, ...) with at least one row, got {tuple(images.shape)}")
    check_image_shape(name, images, limits.shape, limits.whose)
    finite(name, images)
    if limits.unit_range and images.is_floating_point():
        low, high = images.min().item(), images.max().item()
        if low < 0 or high > 1:
            raise ValueError(
                f"{name} must lie in [0, 1] for output='sigmoid' or likelihood='bernoulli', got [{low:g}, {high:g}]: "
                "rescale it, or take a model with output='linear' and likelihood='gaussian'"
            )
    return images


def check_image_shape(name: str, images: Tensor, shape: Sequence[int] | None, whose: str = "the model's shape") -> None:
    """Raise ValueError if `images` (n, *shape) have another shape than `whose`; a `shape` of None allows any."""
    came, legal = tuple(images.shape[1:]), tuple(images.shape[1:] if shape is None else shape)
    if came != legal:
        hint = f"; {name}[:, None] adds the channel" if (1, *came) == legal else ""
        hint = "; numpy.moveaxis puts the channels first" if len(legal) == 3 and came == (*legal[1:], legal[0]) else hint
        sizes = ", ".join(map(str, legal))
        raise ValueError(f"{name} must have shape (n, {sizes}), {whose}, got {tuple(images.shape)}{hint}")


def image_of(item: Any, name: str) -> Tensor:
    """The image, or the batch of images, in an item of a data set, without a graph.

    Of a pair (image, label) it is the first part, of a mapping the entry of one of `IMAGE_KEYS`. A PIL image is uint8 (c, h, w).
    """
    if isinstance(item, Mapping):
        keys = [key for key in IMAGE_KEYS if key in item] or ([*item] if len(item) == 1 else [])
        if not keys:
            raise TypeError(f"{name} must have images under one of the keys {list(IMAGE_KEYS)}, got a mapping of {list(item)}")
        item = item[keys[0]]
    elif isinstance(item, tuple | list) and len(item) == 2 and _dimensions(item[1]) > max(2, _dimensions(item[0])):
        raise TypeError(f"{name} must be a pair (image, label), got the label first: let the data set return the image first")
    elif isinstance(item, tuple | list) and item and is_image(item[0]):
        shapes = {getattr(part, "shape", None) for part in item}
        if len(item) > 2 and len(shapes) == 1:
            raise TypeError(f"{name} must be images or a pair (images, labels), got {len(item)} arrays of one shape: stack them")
        item = item[0]
    if isinstance(item, list) and item and is_image(item[0]):
        return torch.stack([image_of(part, name) for part in item])
    if hasattr(item, "getbands"):  # a PIL image
        item = item.convert({"1": "L", "P": "RGB"}.get(item.mode, item.mode))
        pixels = np.array(item)
        item = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    return as_tensor(name, item).detach()


def _dimensions(value: Any) -> int:
    """The number of dimensions of an array; 3 for a PIL image, 0 for anything else."""
    return 3 if hasattr(value, "getbands") else getattr(value, "ndim", 0)


def is_image(value: Any) -> bool:
    """Whether `value` may be an image, or hold one: a PIL image, an array of at least one dimension, or a mapping."""
    return hasattr(value, "getbands") or getattr(value, "ndim", 0) > 0 or isinstance(value, Mapping)
