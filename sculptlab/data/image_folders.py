"""`load_folder`: your own pictures as a Dataset."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from sculptlab.data.dataset import Dataset
from sculptlab.validation import choice, whole

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def load_folder(folder: str | os.PathLike[str], size: int, *, color: bool = True) -> Dataset:
    """Load every picture in a folder and below it, sorted by path: the middle square of each, scaled.

    Pictures are rotated as their camera recorded. Transparent parts become white. Of an animation the first frame is read.

    Parameters
    ----------
    folder : str or path
        If every picture lies in a subfolder, the names of the subfolders are the labels. Hidden files are skipped.
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
        If the folder does not exist or holds no picture, or if a file cannot be read, which the message names.
    """
    root, side = Path(folder).expanduser(), whole("size", size)
    mode = "RGB" if choice("color", color, (True, False)) else "L"
    if not root.is_dir():
        raise ValueError(f"folder must be a folder of pictures, got {str(root)!r}")
    found = (path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    files = sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts))
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


def _middle_square(path: Path, side: int, mode: str) -> np.ndarray:
    """The middle square of a picture file: uint8 (side, side) for mode "L", (side, side, 3) for "RGB"."""
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a picture ({error}): repair it or move it elsewhere") from error
    if picture.mode[0] in "IF":  # Pillow would clip such values at 255
        raise ValueError(f"{str(path)!r} must have 8 bits per channel, got Pillow's mode {picture.mode!r}: convert it first")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(ImageOps.fit(picture.convert(mode), (side, side), Image.Resampling.LANCZOS))
