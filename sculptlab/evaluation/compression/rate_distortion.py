"""Files of quantized codes, and rate against distortion.

Codes that fill a prior's box evenly need no fitted levels, no table and no entropy coder: k bits a latent are k bits. What that
is worth against codes of any other shape, with levels and a coder fitted to them, is measured here (`rate_distortion`).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.evaluation.compression.entropy_coding import FrequencyCode, entropy
from sculptlab.evaluation.compression.quantizers import LEVELS, Quantizer
from sculptlab.training.run import CHUNK, as_images, as_unit_floats
from sculptlab.validation import choice

_HEAD = struct.Struct("<IHH?I")  # rows, latents, levels, whether they are equally spaced, bytes of the description
_CHECK = struct.Struct("<I")  # crc32 of all before it


@dataclass(frozen=True, eq=False)
class Codec:
    """Turns codes into a file that holds all that `decompress` needs. `Codec.fit(quantizer, codes)` makes one.

    Parameters
    ----------
    quantizer : Quantizer
    code : FrequencyCode
    """

    quantizer: Quantizer
    code: FrequencyCode

    @classmethod
    def fit(cls, quantizer: Quantizer, codes: Any) -> Codec:
        """A codec with the frequencies of the symbols that training codes (n, d) have under `quantizer`."""
        return cls(quantizer, FrequencyCode.fit(quantizer.quantize(codes).symbols, quantizer.size))

    def _description(self) -> bytes:
        """Origin and unit (8 bytes a latent), levels' numbers (2 bytes each, unless equally spaced), frequencies (2 each)."""
        q = self.quantizer
        scale = torch.stack([q.origin, q.unit]).numpy().astype("<f4").tobytes()
        numbers = b"" if q.equally_spaced else q.numbers.numpy().astype("<u2").tobytes()
        return zlib.compress(scale + numbers + (self.code.frequencies - 1).astype("<u2").tobytes(), 9)

    def compress(self, codes: Any) -> bytes:
        """Quantize and encode codes.

        Parameters
        ----------
        codes : array_like of shape (n, d)

        Returns
        -------
        bytes
            A file: a head of 13 bytes, the description, the symbols, and a checksum of 4 bytes.
        """
        symbols = self.quantizer.quantize(codes).symbols
        description = self._description()
        head = _HEAD.pack(len(symbols), self.quantizer.dim, self.quantizer.size, self.quantizer.equally_spaced, len(description))
        file = head + description + self.code.encode(symbols)
        return file + _CHECK.pack(zlib.crc32(file))


def decompress(file: bytes) -> Tensor:
    """Read the codes from a file that `Codec.compress` made.

    Parameters
    ----------
    file : bytes
        The whole file.

    Returns
    -------
    Tensor of shape (n, d)
        The dequantized codes, float32.

    Raises
    ------
    ValueError
        If the file is cut short or damaged.
    """
    body, check = file[: -_CHECK.size], file[-_CHECK.size :]
    if len(body) < _HEAD.size or check != _CHECK.pack(zlib.crc32(body)):
        raise ValueError(f"file must be whole, as Codec.compress made it: these {len(file)} bytes are cut short or damaged")
    n, dim, size, equally_spaced, length = _HEAD.unpack_from(body)
    description = zlib.decompress(body[_HEAD.size : _HEAD.size + length])
    origin, unit = torch.from_numpy(np.frombuffer(description, "<f4", 2 * dim).astype(np.float32).reshape(2, dim))
    tables = np.frombuffer(description, "<u2", offset=8 * dim).astype(np.int64).reshape(-1, dim, size)
    numbers = torch.arange(size).expand(dim, size) if equally_spaced else torch.from_numpy(tables[0])
    symbols = torch.from_numpy(FrequencyCode(1 + tables[-1]).decode(body[_HEAD.size + length :], n))
    return (origin[:, None] + unit[:, None] * numbers).gather(1, symbols.T).T.contiguous()


def rate_distortion(
    run: Any,
    training: Any,
    held_out: Any,
    bits: Iterable[int] = range(1, 9),
    *,
    levels: str = "range",
    support: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Measure rate and distortion of held-out images through quantized codes.

    Parameters
    ----------
    run : Run
        A trained model; anything with `encode` and `decode`. A VAE's codes are its means.
    training : Dataset or array_like
        Images. Levels and frequencies are fitted to their codes.
    held_out : Dataset or array_like
        Images that are compressed.
    bits : iterable of int
        1 to 12 bits per latent; a row for each.
    levels : {"box", "range", "quantile", "lloyd", "step"}
        "box": equal steps over `support`; the others as in `Quantizer.fit`.
    support : tuple (low, high), optional
        The range of "box", and of no other.

    Returns
    -------
    pandas.DataFrame
        Rates in bits per image. "nominal": symbols of fixed length, d log2 of the number of levels. "coded": the whole file.
        "stream": the file without the description of levels and frequencies, which a decoder may hold instead. "entropy": of
        each latent's own held-out symbols, summed.
        "mse": mean squared error per pixel of images decoded from quantized codes; "unquantized": from the codes themselves.
        "clamped": share of held-out codes outside the levels' range. Also "levels" and "bits".
    """
    choice("levels", levels, LEVELS)
    if (levels == "box") != (support is not None):
        raise ValueError(f"support must be given for levels='box' and for no others, got {support} and {levels!r}")
    fitted, seen = (torch.as_tensor(run.encode(images)) for images in (training, held_out))
    images = as_unit_floats(as_images(held_out)).detach().cpu()
    unquantized = _error(run, seen, images)
    rows = []
    for k in bits:
        quantizer = Quantizer.fit(fitted, k, levels) if support is None else Quantizer.box(seen.shape[1], k, *support)
        codec, found = Codec.fit(quantizer, fitted), quantizer.quantize(seen)
        coded, description = (8 * len(part) / len(seen) for part in (codec.compress(seen), codec._description()))
        rows.append({
            "levels": levels, "bits": k, "nominal": quantizer.dim * math.log2(quantizer.size), "coded": coded,
            "stream": coded - description, "entropy": entropy(found.symbols), "clamped": found.clamped,
            "mse": _error(run, found.values, images), "unquantized": unquantized,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _error(run: Any, codes: Tensor, images: Tensor) -> float:
    """Mean squared error per pixel of the images that `run` decodes from codes."""
    parts = zip(codes.split(CHUNK), images.split(CHUNK), strict=True)
    return sum((run.decode(z) - x).double().square().sum().item() for z, x in parts) / images.numel()
