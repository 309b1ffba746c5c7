"""Make data/bundled/fashion_mnist_small from the published Fashion-MNIST: the first images of every class, in their order.

    python data/make_fashion_mnist_small.py FOLDER

FOLDER holds FashionMNIST/raw, as `sculptlab fetch fashion_mnist` stores it. The files are written in the published format,
as big-endian IDX compressed by gzip without a time stamp. Their checksums stand in data/manifest.json.
"""

import gzip
import struct
import sys
from pathlib import Path

import numpy as np

from sculptlab.data import checksums
from sculptlab.data.sources import PUBLISHED

PER_CLASS = {"train": 600, "test": 100}


def subset(split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The kept images (10 * PER_CLASS, 28, 28) and labels of a split, uint8, from the verified files in `folder`."""
    found = PUBLISHED["fashion_mnist"].find(split, folder)
    for path, checksum in found.items():
        checksums.verify(path, checksum)
    contents = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in found)
    pixels, labels = (np.frombuffer(content, np.uint8) for content in contents)
    images, labels = pixels[16:].reshape(-1, 28, 28), labels[8:]  # after the headers
    rows = np.sort(np.concatenate([np.flatnonzero(labels == label)[: PER_CLASS[split]] for label in range(10)]))
    return images[rows], labels[rows]


def make(folder: Path, out: Path) -> None:
    """Write the files of both splits below `out`, where data/manifest.json says."""
    for split, files in PUBLISHED["fashion_mnist_small"].splits.items():
        for file, array in zip(files, subset(split, folder), strict=True):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            content = gzip.compress(header + array.tobytes(), 9, mtime=0)
            (out / file.path).parent.mkdir(parents=True, exist_ok=True)
            (out / file.path).write_bytes(content)
            print(file.path, f"{len(content):,} bytes", checksums.compute_checksum(out / file.path, "md5"))


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(__file__).parent)
